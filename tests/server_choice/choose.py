"""Which server each Python client gives a key to. No server is asked: both clients decide by themselves.

One request a line, as JSON: client, servers (as in LOCATION), options, keys. One answer a line: a list of indexes.
"""

import ctypes
import json
import sys


def mapped(name):
    """The path of a library that this process has loaded."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            path = line.split(maxsplit=5)[-1].strip()
            if name in path:
                return path
    raise LookupError(f"{name} is not loaded")


def pymemcache(servers, options, keys):
    from pymemcache.client.hash import HashClient

    options = {"allow_unicode_keys": True, **options}
    if "key_prefix" in options:
        options["key_prefix"] = options["key_prefix"].encode()
    client = HashClient(servers, **options)
    # the same objects in the same order as the servers; equal ones are one
    places = {id(one): index for index, one in enumerate(client.clients.values())}
    return [places[id(client._get_client(key))] for key in keys]


class Head(ctypes.Structure):
    """The beginning of pylibmc's client object: behind Python's own head is libmemcached's memcached_st."""

    _fields_ = [("refcount", ctypes.c_ssize_t), ("type", ctypes.c_void_p), ("mc", ctypes.c_void_p)]


def pylibmc(servers, options, keys):
    import pylibmc

    # as Django does
    client = pylibmc.Client([server.removeprefix("unix:") for server in servers], **options)
    library = ctypes.CDLL(mapped("libmemcached-"))
    choose = library.memcached_generate_hash
    choose.restype = ctypes.c_uint32
    choose.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    count = library.memcached_server_count
    count.restype = ctypes.c_uint32
    count.argtypes = [ctypes.c_void_p]
    memcached = Head.from_address(id(client)).mc
    assert count(memcached) == len(servers), "this is not libmemcached's structure"
    return [choose(memcached, key, len(key)) for key in (key.encode() for key in keys)]


for line in sys.stdin:
    request = json.loads(line)
    choose = {"pymemcache": pymemcache, "pylibmc": pylibmc}[request.pop("client")]
    options = request["options"]
    if "namespace" in options.get("behaviors", {}):
        options["behaviors"]["namespace"] = options["behaviors"]["namespace"].encode()
    print(json.dumps(choose(**request)), flush=True)
