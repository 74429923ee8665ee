"""The Python side of the live test: a Django process that takes turns with larder on the same caches.

One request is one line of JSON on stdin, with the name of a function below under "do" and its arguments beside it. The
answer is one line of JSON on stdout: {"answer": ...} or {"raised": "ExceptionType: message"} (serve.py).
"""

import base64
import datetime
import json
import os
import pickle
import re
import time
import warnings
import zoneinfo

import django
from diskcache import DjangoCache
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.filebased import FileBasedCache
from django.db import connections

from serve import Router, create_table, serve
from values import Maker, is_exact, kind_of, same, show

VALUES = []  # those that were made last
CHANGING = set()  # the aliases whose clients know fewer kinds of values than Python


def setup(caches, databases, use_tz, zone, changing):
    settings.configure(
        CACHES=caches, DATABASES=databases, DATABASE_ROUTERS=["serve.Router"], USE_TZ=use_tz, TIME_ZONE=zone
    )
    os.environ["TZ"] = zone  # as Django does where the settings are a module
    time.tzset()
    django.setup()
    warnings.simplefilter("ignore")  # about keys that memcached would refuse
    CHANGING.update(changing)
    for name, entry in caches.items():
        if database := entry.get("LARDER", {}).get("DATABASE"):
            Router.databases[entry["LOCATION"]] = database
            create_table(database, entry["LOCATION"])


def make(seed, count):
    """Makes values."""
    maker = Maker(seed)
    VALUES[:] = [maker.json_value() if number % 3 == 0 else maker.value() for number in range(count)]


def through(alias, value):
    """What an alias's own client reads of a value that it wrote; some clients know fewer kinds than Python."""
    if alias not in CHANGING:
        return value
    cache, missing = caches[alias], object()
    cache.set("through", value)
    back = cache.get("through", missing)
    if back is missing:
        raise ValueError("it is not kept")
    is_same = same(back, value) or is_with_other_lines(alias, back, value)
    return value if is_same else back  # sets come back in another order


def is_with_other_lines(alias, got, expected):
    """Whether diskcache has read a large text through Python's universal newlines (it writes them as they are)."""
    if not isinstance(caches[alias], DjangoCache) or not type(got) is type(expected) is str:
        return False
    return got == re.sub("\r\n?", "\n", expected)


def set_value(alias, key, value, version=None):
    """Sets one of the made values; its type, and the kind that larder has to see. Raises what the client raises."""
    back = through(alias, VALUES[value])
    caches[alias].set(key, VALUES[value], version=version)
    return {"type": type(VALUES[value]).__name__, "kind": kind_of(back)}


def shown(alias, json_text, lossy, value):
    """Whether a value is shown as it should be; None, or what is wrong."""
    value = through(alias, VALUES[value])
    expected = show(value), not is_exact(value)
    if (json_text, lossy) == expected:
        return None
    return f"lossy {lossy}, not {expected[1]}; {difference(json_text, expected[0])}"


def difference(got, expected):
    """Two texts, from shortly before they begin to differ."""
    begin = max(0, len(os.path.commonprefix([got, expected])) - 40)
    return f"from {begin}: {got[begin:begin + 200]!r}, not {expected[begin:begin + 200]!r}"


def wanted(value=None, json_text=None, text=None, raw=None):
    if value is not None:
        return VALUES[value]
    if json_text is not None:
        return json.loads(json_text)
    return text if text is not None else base64.b64decode(raw)


def judge(alias, key, version=None, as_it_is=False, **what):
    """Whether a key has the value that it should have; None, or what is wrong."""
    missing = object()
    got, expected = caches[alias].get(key, missing, version=version), wanted(**what)
    expected = expected if as_it_is else through(alias, expected)
    if same(got, expected) or is_with_other_lines(alias, got, expected):
        return None
    return "there is no such key" if got is missing else difference(repr(got), repr(expected))


def call(alias, method, arguments, **keywords):
    """Any method of a cache; the arguments and the result are such as JSON holds."""
    return getattr(caches[alias], method)(*arguments, **keywords)


def write(alias, method, key, json_text, timeout, version):
    """Sets or adds a value."""
    return getattr(caches[alias], method)(key, json.loads(json_text), timeout, version=version)


def write_many(alias, json_texts, version):
    caches[alias].set_many({key: json.loads(text) for key, text in json_texts.items()}, 100, version=version)


def judge_many(alias, keys, json_texts, version):
    """Whether the keys have the values that they should have, and no others; None, or what is wrong."""
    got = caches[alias].get_many(keys, version=version)
    if set(got) != set(json_texts):
        return f"there are {sorted(got)}, not {sorted(json_texts)}"
    wrong = [key for key in got if not same(got[key], json.loads(json_texts[key]))]
    return f"{wrong} are wrong" if wrong else None


def shown_as(json_text, shown_text, lossy):
    """Whether a value that was written as one JSON text is shown as it should be; None, or what is wrong."""
    value = json.loads(json_text)
    if (shown_text, lossy) == (show(value), not is_exact(value)):
        return None
    return f"lossy {lossy}: {difference(shown_text, show(value))}"


def is_kept(alias, **what):
    """Whether the client of an alias can keep a value at all."""
    value = wanted(**what)
    try:
        back = through(alias, value)
    except (ValueError, OverflowError):  # UnicodeEncodeError is one
        return False
    return back is not None or value is None  # SQLite has NULL for NaN


def is_allowed(alias, key, version=None):
    """Whether the client of an alias takes a key."""
    try:
        caches[alias].set(key, 1, version=version)
    except Exception:
        return False
    return caches[alias].get(key, version=version) == 1


def left(alias, key):
    """What is left of a key's time in ms, as the file or the table has it: -1 without an end, -2 for a missing key."""
    cache = caches[alias]
    if isinstance(cache, DjangoCache):
        there, end = cache.get(key, expire_time=True)
        return -2 if there is None else until(end)
    if isinstance(cache, FileBasedCache):
        return until(header(alias, key)[0])
    connection = connections[Router.databases[cache._table]]
    column = "EXTRACT(EPOCH FROM expires)" if connection.vendor == "postgresql" else "expires"
    with connection.cursor() as cursor:
        table = connection.ops.quote_name(cache._table)
        cursor.execute(f"SELECT {column} FROM {table} WHERE cache_key = %s", [cache.make_and_validate_key(key)])
        row = cursor.fetchone()
    if row is None:
        return -2
    end = datetime.datetime.fromisoformat(row[0]) if isinstance(row[0], str) else row[0]
    if isinstance(end, datetime.datetime):
        if end.year == 9999:
            return -1
        end = end.replace(tzinfo=connection.timezone or zoneinfo.ZoneInfo(settings.TIME_ZONE)).timestamp()
    return -1 if end > 253370000000 else until(float(end))  # the last year that there is


def until(end):
    return -1 if end is None else int((end - time.time()) * 1000)


def header(alias, key, version=None):
    """What a cache file begins with: the expiry, and the length of its pickle."""
    cache = caches[alias]
    with open(cache._key_to_file(key, version), "rb") as file:
        return [pickle.load(file), file.tell()]


def count_files(alias):
    return len([name for name in os.listdir(caches[alias]._dir) if name.endswith(".djcache")])


if __name__ == "__main__":
    serve(globals())
