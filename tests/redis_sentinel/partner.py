"""The Python side of django.rs: a Django process whose cache is django-redis' SentinelClient.

One request is one line of JSON on stdin, with the name of a function below under "do" and its arguments beside it. The
answer is one line of JSON on stdout: {"answer": ...} or {"raised": "ExceptionType: message"}.
"""

from django.conf import settings


def begin(config):
    """Sets Django up."""
    import django

    settings.configure(**config, INSTALLED_APPS=[])
    django.setup()


def get(key):
    from django.core.cache import cache

    return cache.get(key)


def set(key, value):
    from django.core.cache import cache

    return cache.set(key, value)


if __name__ == "__main__":
    from serve import serve

    serve({"begin": begin, "get": get, "set": set})
