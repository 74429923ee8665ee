"""The Python side: what Pyot's cache stores do with a token's text and a value (contract pyot.md 2.6)."""

import pickle
import time

import diskcache
import redis
from serve import serve

opened = {}


def open_redis(name, port, db):
    """RedisCache's `__init__`."""
    pool = redis.ConnectionPool(host="127.0.0.1", port=port, db=db)
    opened[name] = redis.Redis(connection_pool=pool)


def open_disk(name, directory):
    """DiskCache's `__init__`."""
    opened[name] = diskcache.FanoutCache(directory=directory, timeout=1)


def set(name, token, value, timeout):
    """Writes the value of a Python expression for so many seconds; -1 is for ever."""
    opened[name].set(token, pickle.dumps(eval(value)), None if timeout == -1 else timeout)


def get(name, token):
    """The `repr` of what is there, or None."""
    item = opened[name].get(token)
    return None if item is None else repr(pickle.loads(item))


def raw(name, token, value):
    """Writes something that Pyot has not pickled."""
    opened[name].set(token, value)


def seconds(name, token):
    """How long an entry of diskcache lives; None: for ever."""
    _, expires = opened[name].get(token, expire_time=True)
    return expires and expires - time.time()


def keys(name):
    """All keys, sorted."""
    cache = opened[name]
    if isinstance(cache, diskcache.FanoutCache):
        return sorted(cache)
    return sorted(key.decode() for key in cache.keys())


def ttl(name, token):
    """Redis's PTTL."""
    return opened[name].pttl(token)


serve(globals())
