"""The Python side of the diskcache tests: DjangoCache on a directory that larder uses too.

One request is one line of JSON on stdin, with the name of a function below under "do" and its arguments beside it. The
answer is one line of JSON on stdout: {"answer": ...} or {"raised": "ExceptionType: message"}.
"""

import json
import os
import random
import sqlite3
import sys
import time

from django.conf import settings

settings.configure(CACHES={})

import diskcache  # noqa: E402

caches = {}

# Connections that hold a lock.
held = []


def open_cache(directory, params):
    """Opens a cache, as Django does it for an alias."""
    params = dict(params)
    if params.get("OPTIONS", {}).get("disk") == "diskcache.Disk":
        params["OPTIONS"] = dict(params["OPTIONS"], disk=diskcache.Disk)
    caches[directory] = diskcache.DjangoCache(directory, params)


def ready():
    """Says that Python has started."""
    return True


def set(directory, key, value, timeout=300, tag=None):
    """Writes the value of a Python expression."""
    return caches[directory].set(key, eval(value), timeout, tag=tag)


def get(directory, key):
    """The repr of a value; None on a miss."""
    miss = object()
    found = caches[directory].get(key, miss)
    return None if found is miss else repr(found)


def same(directory, key, value):
    """Whether a value is that of an expression, and of the same type."""
    found, wanted = caches[directory].get(key), eval(value)
    return type(found) is type(wanted) and (found == wanted or (found != found and wanted != wanted))


def call(directory, method, arguments):
    """Calls a method of the cache."""
    return getattr(caches[directory], method)(*arguments)


def row(directory, key):
    """The row of a key, times as what they are from now."""
    shard = caches[directory]._cache
    shard = shard._shards[shard._hash(key) % shard._count]
    columns = "store_time, expire_time, access_time, access_count, tag, size, mode, filename, typeof(value), value"
    found = shard._sql(f"SELECT {columns} FROM Cache WHERE key = ? AND raw = 1", (key,)).fetchall()
    if not found:
        return None
    row = dict(zip(columns.replace("typeof(value)", "type").split(", "), found[0]))
    row["value"] = repr(row["value"])[:100]
    row["has_file"] = row["filename"] is not None and os.path.exists(os.path.join(shard.directory, row["filename"]))
    now = time.time()
    for name in ("store_time", "expire_time", "access_time"):
        row[name] = None if row[name] is None else row[name] - now
    return row


def check(directory):
    """What diskcache finds wrong."""
    return [str(warning.message) for warning in caches[directory]._cache.check(retry=True)]


def volume(directory):
    """The greatest volume of a shard, and the number of keys."""
    return [max(shard.volume() for shard in caches[directory]._cache._shards), len(caches[directory]._cache)]


def dump(directory):
    """Everything but the rows of all shards: schema, settings, what PRAGMAs tell."""
    shards = {}
    for name in sorted(os.listdir(directory)):
        database = sqlite3.connect(os.path.join(directory, name, "cache.db"))
        ask = lambda sql: database.execute(sql).fetchall()  # noqa: E731
        shards[name] = {
            "schema": sorted(map(list, ask("SELECT type, name, tbl_name, sql FROM sqlite_master")), key=str),
            "settings": sorted(map(list, ask("SELECT key, value, typeof(value) FROM Settings"))),
            "pragmas": {p: ask(f"PRAGMA {p}") for p in
                        ("auto_vacuum", "journal_mode", "page_size", "encoding", "user_version", "application_id")},
        }
        database.close()
    return shards


def sql(directory, shard, statement, arguments=()):
    """Runs a statement on a shard's database."""
    database = sqlite3.connect(os.path.join(directory, shard, "cache.db"), timeout=30)
    with database:
        rows = database.execute(statement, arguments).fetchall()
    database.close()
    return [list(row) for row in rows]


def hammer_incr(directory, key, count):
    """Adds one so many times."""
    for _ in range(count):
        caches[directory].incr(key)


def hammer_add(directory, count, mark):
    """Adds keys; which it won."""
    return [number for number in range(count) if caches[directory].add(f"race{number}", mark)]


def hammer_mixed(directory, seed, count):
    """Everything at once, on few keys, with values of all sizes."""
    cache, dice = caches[directory], random.Random(seed)
    for _ in range(count):
        key, size = f"mixed{dice.randrange(30)}", dice.choice([10, 1000, 40_000, 70_000])
        doing = dice.randrange(8)
        if doing < 3:
            cache.set(key, dice.choice(["x", b"y"]) * size, dice.choice([None, 300, 0.01, 0]))
        elif doing == 3:
            cache.add(key, [size] * size)
        elif doing == 4:
            cache.delete(key)
        elif doing == 5:
            cache.touch(key, dice.choice([None, 300, 0]))
        elif doing == 6:
            cache.get(key)
        else:
            cache.expire()


def lock(directory):
    """Takes the lock for writing of every shard."""
    for shard in caches[directory]._cache._shards:
        database = sqlite3.connect(os.path.join(shard.directory, "cache.db"), isolation_level=None)
        database.execute("BEGIN IMMEDIATE")
        held.append(database)


def unlock(directory):
    """Gives all locks back."""
    while held:
        database = held.pop()
        database.execute("ROLLBACK")
        database.close()


def main():
    """Answers requests until there are no more."""
    for line in sys.stdin:
        request = json.loads(line)
        function = globals()[request.pop("do")]
        try:
            answer = {"answer": function(**request)}
        except Exception as error:
            answer = {"raised": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=repr), flush=True)


main()
