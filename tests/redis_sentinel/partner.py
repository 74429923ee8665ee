"""The Python side of django.rs: a Django process whose caches are on services that Sentinels watch.

One request is one line of JSON on stdin, with the name of a function below under "do" and its arguments beside it. The
answer is one line of JSON on stdout: {"answer": ...} or {"raised": "ExceptionType: message"}.
"""

import warnings

from django.conf import settings


def begin(config):
    """Sets Django up."""
    import django

    settings.configure(**config, INSTALLED_APPS=[])
    django.setup()
    warnings.simplefilter("ignore")  # django-redis' own ShardClient is warned of by django-redis' own cache


def get(key, alias="default"):
    from django.core.cache import caches

    return caches[alias].get(key)


def set(key, value, alias="default"):
    from django.core.cache import caches

    return caches[alias].set(key, value)


if __name__ == "__main__":
    from serve import serve

    serve({"begin": begin, "get": get, "set": set})
