"""The Python side of tests/codec_herd.rs and tests/codec_serializers: what the real packages write and read.

One request is one line of JSON on stdin, with the name of a function below under "do" and its arguments beside it. The
answer is one line of JSON on stdout: {"answer": ...} or {"raised": "ExceptionType: message"}.
"""

import base64
import json
import pickle

import msgpack
from django.conf import settings

from serve import serve

settings.configure()

from django_redis.client.herd import Marker  # noqa: E402
from django_redis.compressors.identity import IdentityCompressor  # noqa: E402
from django_redis.serializers.json import JSONSerializer  # noqa: E402
from django_redis.serializers.msgpack import MSGPackSerializer  # noqa: E402
from django_redis.serializers.pickle import PickleSerializer  # noqa: E402
from django_valkey import util as valkey  # noqa: E402
from valkey._parsers.encoders import Encoder  # noqa: E402

MARKER = Marker()


def text(stored):
    return base64.b64encode(stored).decode()


def herd(protocol, deadline, documents):
    """The pickles of herded values."""
    return [text(pickle.dumps((MARKER, json.loads(document), deadline), protocol)) for document in documents]


def herd_bytes(protocol, deadline, bytes):
    """The pickle of one herded value that is bytes."""
    return text(pickle.dumps((MARKER, base64.b64decode(bytes), deadline), protocol))


def serializer(name, protocol=4):
    classes = {"json": JSONSerializer, "msgpack": MSGPackSerializer, "pickle": PickleSerializer}
    return classes[name]({"PICKLE_VERSION": protocol})


def outcome(call):
    """Text where that succeeds, else null."""
    try:
        return call()
    except Exception:
        return None


def dumps(name, documents, protocol=4):
    """What a serializer writes for JSON documents; null where it raises."""
    one = serializer(name, protocol)
    return [outcome(lambda: text(one.dumps(json.loads(document)))) for document in documents]


def shape(value):
    """The value as larder shows it in JSON."""
    if isinstance(value, msgpack.ExtType):
        return {"$object": "msgpack.ext.ExtType", "args": [value.code, shape(value.data)]}
    if isinstance(value, msgpack.Timestamp):
        return {"$object": "msgpack.ext.Timestamp", "args": [value.seconds, value.nanoseconds]}
    if isinstance(value, bytes):
        return {"$bytes": text(value)}
    if isinstance(value, (list, tuple)):
        return [shape(item) for item in value]
    if isinstance(value, dict):
        return {key if isinstance(key, str) else json.dumps(shape(key)): shape(item) for key, item in value.items()}
    return value


def described(value):
    """The value's type and its JSON text."""
    return [type(value).__name__, json.dumps(shape(value))]


def loads(name, stored):
    """What a serializer reads; null where it raises."""
    one = serializer(name)
    return [outcome(lambda: described(one.loads(base64.b64decode(each)))) for each in stored]


def valkey_encode(name, documents):
    """What django-valkey sends for JSON documents."""
    one, identity, wire = serializer(name), IdentityCompressor({}), Encoder("utf-8", "strict", False)
    return [
        outcome(lambda: text(wire.encode(valkey.encode(json.loads(document), one, identity))))
        for document in documents
    ]


def valkey_decode(name, stored):
    """What django-valkey reads; null where it raises."""
    one, identity = serializer(name), IdentityCompressor({})
    return [outcome(lambda: described(valkey.decode(base64.b64decode(each), one, identity))) for each in stored]


serve({f.__name__: f for f in (herd, herd_bytes, dumps, loads, valkey_encode, valkey_decode)})
