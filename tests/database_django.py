"""The Python side of tests/database_django.rs: a Django process with one database cache.

One request is one line of JSON on stdin, with the name of a function below under "do" and its arguments beside it. The
answer is one line of JSON on stdout: {"answer": ...} or {"raised": "ExceptionType: message"}.
"""

import json
import os
import sys
import time
import warnings

import pymysql
from django.conf import settings

# Django asks for mysqlclient, and takes PyMySQL in its place where that says that it is as new
pymysql.version_info = (2, 2, 7, "final", 0)
pymysql.install_as_MySQLdb()


def begin(config):
    """Sets Django up."""
    import django

    warnings.simplefilter("ignore")  # of keys that memcached would not take
    os.environ["TZ"] = config["TIME_ZONE"]  # as a settings module does
    time.tzset()
    settings.configure(**config, INSTALLED_APPS=[])
    django.setup()


def cache():
    from django.core.cache import cache

    return cache


def create():
    """Makes the table."""
    from django.core.management import call_command

    call_command("createcachetable", verbosity=0)


def write(items, timeout):
    """Writes each item; tells which Django finds again."""
    for key, value in items.items():
        cache().set(key, value, timeout)
    return [key for key in items if cache().get(key, "nothing") == items[key]]


def read(keys):
    """The values, as Python shows them."""
    return {key: repr(cache().get(key, "nothing")) for key in keys}


def call(method, arguments):
    """Calls a method."""
    return getattr(cache(), method)(*arguments)


def main():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": globals()[request.pop("do")](**request)}
        except Exception as error:
            answer = {"raised": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
