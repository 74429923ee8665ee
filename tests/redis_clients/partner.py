"""The Python side of tests/redis_shards.rs and tests/redis_herd.rs: django-redis' own clients on the tests' servers.

One request is one line of JSON on stdin, with the name of a function below under "do" and its arguments beside it. The
answer is one line of JSON on stdout: {"answer": ...} or {"raised": "ExceptionType: message"} (serve.py).
"""

import base64
import datetime
import warnings
from unittest import mock

import django
from django.conf import settings
from django.core.cache import caches
from django_redis.client import herd
from django_redis.util import CacheKey

from serve import serve

# What larder can read and cannot write.
ODD = {
    "date": datetime.date(2024, 2, 29),
    "tuple": (1, ("two", None), {3}),
    "class": datetime.timezone(datetime.timedelta(hours=2), "here"),
    "text in a list": ["x", b"y", frozenset({"z"})],
}


def setup(caches, herd_timeout=None):
    """Sets Django up."""
    beside = {} if herd_timeout is None else {"CACHE_HERD_TIMEOUT": herd_timeout}
    settings.configure(CACHES=caches, **beside)
    django.setup()
    warnings.simplefilter("ignore")


def places(alias, keys):
    """The number of the server that has each of some final keys."""
    client = caches[alias].client
    return [client._server.index(client.get_server_name(CacheKey(key))) for key in keys]


def call(alias, method, arguments):
    """Calls a method of a cache."""
    answer = getattr(caches[alias], method)(*arguments)
    return list(answer) if isinstance(answer, (set, tuple)) else answer


def frozen(alias, method, arguments, now):
    """The same while the clock stands still."""
    with mock.patch.object(herd.time, "time", lambda: now):
        return call(alias, method, arguments)


def until(alias, key, value, deadline):
    """Stores a value with a soft deadline of any kind, for an hour."""
    caches[alias].client.connection_factory  # there is a client
    packed = (herd.Marker(), value, deadline)
    return super(herd.HerdClient, caches[alias].client).set(key, packed, timeout=3600)


def odd(alias, key, name, timeout, now):
    """Stores a value of ODD."""
    return frozen(alias, "set", [key, ODD[name], timeout], now)


def is_odd(alias, key, name):
    """Whether that value is still there, as it was."""
    found = caches[alias].get(key)
    return type(found) is type(ODD[name]) and found == ODD[name]


def deadline(alias, key):
    """The soft deadline of a key; None where it has none."""
    packed = super(herd.HerdClient, caches[alias].client).get(key)
    is_packed = isinstance(packed, tuple) and len(packed) == 3 and isinstance(packed[0], herd.Marker)
    return packed[2] if is_packed else None


def raw(alias, key):
    """The bytes of a key."""
    client = caches[alias].client.get_client()
    stored = client.get(caches[alias].client.make_key(key))
    return None if stored is None else base64.b64encode(stored).decode()


serve({one.__name__: one for one in (setup, places, call, frozen, until, odd, is_odd, deadline, raw)})
