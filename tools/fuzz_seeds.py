"""Writes what the fuzz targets begin with: tools/fuzz_seeds.py FOLDER, taken from the golden data."""

import base64
import bz2
import hashlib
import json
import lzma
import os
import pathlib
import sys
import zlib

import brotli

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = pathlib.Path(os.environ.get("LARDER_SHARED") or ROOT.parent / "shared") / "golden"
FOLDER = pathlib.Path(sys.argv[1])

# Longer ones slow the fuzzer down, and have nothing that shorter ones have not.
LONGEST = 4096

REDIS = [
    b"+OK\r\n", b"-ERR no\r\n", b":-1\r\n", b"$5\r\nhello\r\n", b"$-1\r\n", b"*-1\r\n", b"_\r\n", b"#t\r\n", b",1.5e3\r\n",
    b",nan\r\n", b"(12345678901234567890\r\n", b"!3\r\nERR\r\n", b"=7\r\ntxt:abc\r\n", b"*2\r\n$1\r\na\r\n:1\r\n",
    b"%1\r\n+a\r\n*1\r\n$-1\r\n", b"~2\r\n:1\r\n:2\r\n", b">2\r\n+message\r\n$2\r\nab\r\n", b"|1\r\n+ttl\r\n:3\r\n+OK\r\n",
    b"*3\r\n*1\r\n*1\r\n*0\r\n$0\r\n\r\n+QUEUED\r\n",
]  # fmt: skip
MEMCACHED = [
    b"VALUE k 16 5\r\nhello\r\nEND\r\n", b"VALUE k 1 2 77\r\nN.\r\nVALUE l 2 1\r\n7\r\nEND\r\n", b"END\r\n", b"STORED\r\n",
    b"NOT_STORED\r\n", b"EXISTS\r\n", b"NOT_FOUND\r\n", b"DELETED\r\n", b"TOUCHED\r\n", b"OK\r\n", b"ERROR\r\n", b"17\r\n",
    b"VERSION 1.6.18\r\n", b"CLIENT_ERROR bad data chunk\r\n", b"SERVER_ERROR out of memory\r\n",
]  # fmt: skip


def blob(value):
    """Bytes as the golden data has them, if it has any."""
    if isinstance(value, str):
        return base64.b64decode(value)
    if isinstance(value, dict) and "zlib" in value:
        return zlib.decompress(base64.b64decode(value["zlib"]))
    return None


def seed(target, data):
    if data is not None and len(data) <= LONGEST:
        (FOLDER / target).mkdir(parents=True, exist_ok=True)
        (FOLDER / target / hashlib.sha1(data).hexdigest()).write_bytes(data)


def golden(name):
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def pickles():
    data = golden("pickles.json")
    for case in data["cases"]:
        yield from (blob(pickle) for pickle in case["pickles"].values())
    for section in ("other_writers", "handmade", "malicious"):
        yield from (blob(case.get("pickle")) for case in data[section])


def redis_values():
    data = golden("redis_values.json")
    for case in data["cases"]:
        raw, words = blob(case.get("raw")), case["config"].split()
        target = words[-1]
        if raw is None:
            continue
        if target not in ("identity", "django"):
            seed(target, raw)
        elif len(words) > 2 and words[1] in ("json", "msgpack"):
            seed(words[1], raw)
        if target == "identity" and "PICKLE" not in case["config"] and len(raw) > 15:
            seed("bz2", bz2.compress(raw))
            seed("brotli", brotli.compress(raw))
            seed("lzma", lzma.compress(raw, format=lzma.FORMAT_ALONE))
    for case in data["foreign_bytes"]:
        for target in ("numbers", "json", "msgpack", "zlib", "gzip", "lzma", "lz4", "zstd"):
            seed(target, blob(case["raw"]))


def numbers():
    for text in ("0", "-1", " 42", "1_000", "+5", "007", "1.0", "1e400", "-inf", "nan", "1_0.5e-3", "9" * 30, ".5", "5."):
        seed("numbers", text.encode())
        for kind in (b"\1", b"\2", b"\3", b"\4"):
            seed("diskcache_value", kind + text.encode())


def main():
    for pickle in pickles():
        seed("pickle", pickle)
        seed("herd", pickle)
        seed("memcached_value", pickle and b"\1" + pickle)
        seed("diskcache_value", pickle and b"\0" + pickle)
        seed("database_row", pickle and b"\x3f" + base64.b64encode(pickle))
    marker = b"cdjango_redis.client.herd\nMarker\n)\x81"
    for value in (b"K\1", b"}", b"X\1\0\0\0v", b"]"):
        for deadline in (b"J\0\0\0\x7f", b"G\x41\xd0\0\0\0\0\0\0", b"N"):
            seed("herd", b"\x80\2" + marker + value + deadline + b"\x87.")
    redis_values()
    numbers()
    for case in golden("memcached_values.json")["cases"]:
        raw = blob(case.get("raw"))
        seed("memcached_value", raw and bytes([case["flags"] & 0xFF]) + raw)
    for path in (GOLDEN / "files").rglob("*.djcache"):
        seed("file_entry", path.read_bytes())
    for target, replies in (("redis_reply", REDIS), ("memcached_reply", MEMCACHED)):
        for reply in [*replies, b"".join(replies)]:
            seed(target, b"\1" + reply)
            seed(target, b"\xff" + reply)


main()
