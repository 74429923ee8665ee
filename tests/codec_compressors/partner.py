"""The Python side of the compressors' tests: the classes of django-redis and django-valkey themselves."""

import base64
import bz2
import gzip
import lzma
import zlib

from django.conf import settings

settings.configure()

import brotli  # noqa: E402
import lz4.frame  # noqa: E402
import pyzstd  # noqa: E402
from django_redis.compressors.gzip import GzipCompressor  # noqa: E402
from django_redis.compressors.lz4 import Lz4Compressor  # noqa: E402
from django_redis.compressors.lzma import LzmaCompressor  # noqa: E402
from django_redis.compressors.zlib import ZlibCompressor  # noqa: E402
from django_redis.compressors.zstd import ZStdCompressor  # noqa: E402
from django_redis.exceptions import CompressorError  # noqa: E402
from django_valkey.compressors.brotli import BrotliCompressor  # noqa: E402
from django_valkey.compressors.bz2 import Bz2Compressor  # noqa: E402
from django_valkey.exceptions import CompressorError as ValkeyCompressorError  # noqa: E402
from serve import serve  # noqa: E402

COMPRESSORS = {
    "zlib": ZlibCompressor({}),
    "gzip": GzipCompressor({}),
    "lzma": LzmaCompressor({}),
    "lz4": Lz4Compressor({}),
    "zstd": ZStdCompressor({}),
    "bz2": Bz2Compressor({}),
    "brotli": BrotliCompressor({}),
}


LARGEST = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 26, "lc": 0, "lp": 4, "pb": 4}
FILTERS = [
    [LARGEST],
    [{"id": lzma.FILTER_DELTA, "dist": 3}, LARGEST],
    [{"id": lzma.FILTER_X86}, LARGEST],
]


def b64(data):
    return base64.b64encode(data).decode()


def compress(kind, values):
    """What the class stores for each of the values."""
    return [b64(COMPRESSORS[kind].compress(base64.b64decode(value))) for value in values]


def outcome(kind, stored):
    try:
        return b64(COMPRESSORS[kind].decompress(stored))
    except (CompressorError, ValkeyCompressorError):
        return True  # was not compressed
    except Exception:
        return False


def decompress(kind, stored):
    """What comes of each: the value, true for "was not compressed", false for any other error."""
    return [outcome(kind, base64.b64decode(one)) for one in stored]


def other_writers(value):
    """The same value as others write it: [kind, bytes]."""
    value = base64.b64decode(value)
    written = [
        ("zlib", zlib.compress(value, 0)),
        ("zlib", zlib.compress(value, 9, wbits=9)),
        ("zlib", zlib.compress(value) + b"behind"),
        ("gzip", gzip.compress(value[:5]) + b"\0\0\0" + gzip.compress(value[5:])),
        ("gzip", b"\x1f\x8b\x08\x1e" + bytes(6) + b"\2\0xxname\0comment\0cc" + gzip.compress(value, mtime=0)[10:]),
        ("lz4", lz4.frame.compress(value, block_size=lz4.frame.BLOCKSIZE_MAX4MB, content_checksum=True)),
        ("lz4", lz4.frame.compress(value, block_checksum=True, store_size=False, block_linked=False)),
        ("lz4", lz4.frame.compress(value, compression_level=16) + b"behind"),
        ("zstd", pyzstd.compress(value, 22) + pyzstd.compress(b"")),
        ("zstd", pyzstd.compress(value[:9], {pyzstd.CParameter.checksumFlag: 1}) + pyzstd.compress(value[9:], -5)),
        ("zstd", b"\x50\x2a\x4d\x18\3\0\0\0abc" + pyzstd.compress(value)),
        ("zstd", pyzstd.compress(value, {pyzstd.CParameter.contentSizeFlag: 0, pyzstd.CParameter.windowLog: 27})),
        ("bz2", bz2.compress(value[:7], 1) + bz2.compress(value[7:])),
        ("bz2", bz2.compress(value) + b"behind"),
        ("brotli", brotli.compress(value, quality=0, lgwin=10)),
        ("brotli", brotli.compress(value, lgwin=24)),
        ("lzma", lzma.compress(value, format=lzma.FORMAT_ALONE)),
        ("lzma", lzma.compress(value[:6], format=lzma.FORMAT_ALONE) + lzma.compress(value[6:]) + b"behind"),
        ("lzma", lzma.compress(value[:6]) + lzma.compress(value[6:], check=lzma.CHECK_SHA256)),
        ("lzma", lzma.compress(value, preset=9 | lzma.PRESET_EXTREME, check=lzma.CHECK_NONE)),
        ("lzma", lzma.compress(value, preset=0, check=lzma.CHECK_CRC32)),
        *(("lzma", lzma.compress(value, filters=filters)) for filters in FILTERS),
    ]
    return [[kind, b64(stored)] for kind, stored in written]


def bomb(kind, megabytes):
    """So many MiB of zeros."""
    chunk = bytes(1 << 20)
    if kind == "lz4":
        with lz4.frame.LZ4FrameCompressor(auto_flush=False) as packer:
            return b64(packer.begin() + b"".join(packer.compress(chunk) for _ in range(megabytes)) + packer.flush())
    if kind == "brotli":
        packer = brotli.Compressor(quality=1)
        return b64(b"".join(packer.process(chunk) for _ in range(megabytes)) + packer.finish())
    if kind in ("bz2", "xz", "lzma"):  # streams behind each other, since packing takes so long
        pack = {"bz2": bz2.compress, "xz": lambda value: lzma.compress(value, preset=0), "lzma": legacy}[kind]
        return b64(pack(bytes(megabytes << 14)) * 64)
    packer = {
        "zlib": lambda: zlib.compressobj(1),
        "gzip": lambda: zlib.compressobj(1, wbits=31),
        "zstd": lambda: pyzstd.ZstdCompressor(),
    }[kind]()
    return b64(b"".join(packer.compress(chunk) for _ in range(megabytes)) + packer.flush())


def legacy(value):
    return lzma.compress(value, format=lzma.FORMAT_ALONE, preset=0)


serve({function.__name__: function for function in (compress, decompress, other_writers, bomb)})
