"""Python's side of the tests of locks: django-redis' cache.lock(...), kept under the names of the test."""

import sys

from serve import serve

from django.conf import settings

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{sys.argv[1] if len(sys.argv) > 1 else 0}/0",
        }
    }
)

import django
from django.core.cache import caches

django.setup()

cache = None
locks = {}


def connect(location):
    """Which server; the test knows only when it runs."""
    global cache
    settings.CACHES["default"]["LOCATION"] = location
    cache = caches["default"]


def lock(key, timeout=None, blocking=True, blocking_timeout=None):
    """Tries to take a lock; whether it is held."""
    one = cache.lock(key, timeout=timeout, sleep=0.01, blocking=blocking, blocking_timeout=blocking_timeout)
    held = one.acquire()
    if held:
        locks[key] = one
    return held


def token(key):
    return locks[key].local.token.decode()


def adopt(key, token, timeout=None):
    """Takes a lock over whose token somebody else has."""
    one = cache.lock(key, timeout=timeout)
    one.local.token = token.encode()
    locks[key] = one


def unlock(key):
    locks.pop(key).release()


def extend(key, seconds, replace):
    return locks[key].extend(seconds, replace_ttl=replace)


def reacquire(key):
    return locks[key].reacquire()


def owned(key):
    return locks[key].owned()


serve({f.__name__: f for f in (connect, lock, token, adopt, unlock, extend, reacquire, owned)})
