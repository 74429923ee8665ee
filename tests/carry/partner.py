"""The Python side of tests/carry: what the real packages read of values that larder carried."""

import base64
import pickle

from django.conf import settings

from serve import serve

settings.configure()

from django.utils.module_loading import import_string  # noqa: E402
from django_redis.client import DefaultClient  # noqa: E402
from django_valkey import util as valkey  # noqa: E402
from pymemcache import serde  # noqa: E402


def coders(package, serializer, compressor):
    """The package's serializer and compressor."""
    names = {"json": "JSONSerializer", "msgpack": "MSGPackSerializer", "pickle": "PickleSerializer"}
    one = import_string(f"{package}.serializers.{serializer}.{names[serializer]}")({})
    other = import_string(f"{package}.compressors.{compressor}.{compressor.capitalize()}Compressor")({})
    return one, other


def value(form, serializer, compressor, flags, stored):
    """The value of stored bytes."""
    if form == "redis":
        client = DefaultClient("redis://127.0.0.1:1", {"OPTIONS": {}}, None)
        client._serializer, client._compressor = coders("django_redis", serializer, compressor)
        return client.decode(stored)
    if form == "valkey":
        return valkey.decode(stored, *coders("django_valkey", serializer, compressor))
    if form == "compressed":
        return serde.compressed_serde.deserialize("key", stored, flags)
    if form in ("pymemcache", "pylibmc"):
        return serde.pickle_serde.deserialize("key", stored, flags)
    return pickle.loads(stored)


def read(form, serializer, compressor, stored):
    """What is read, by its type and text; each of `stored` is flags and bytes."""
    values = [value(form, serializer, compressor, flags, base64.b64decode(text)) for flags, text in stored]
    return [[type(each).__name__, repr(each)] for each in values]


serve({"read": read})
