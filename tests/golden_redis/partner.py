"""The Python side of the golden test: django-redis's own compressors take apart what larder has compressed."""

import base64

from django.conf import settings
from django.utils.module_loading import import_string

from serve import serve

settings.configure()


def serialised(items):
    """Of each [compressor, stored bytes] the serializer's bytes, and whether they had been compressed."""
    return [one(*item) for item in items]


def one(compressor, stored):
    from django_redis.exceptions import CompressorError

    stored = base64.b64decode(stored)
    try:
        plain, compressed = import_string(compressor)({}).decompress(stored), True
    except CompressorError:
        plain, compressed = stored, False
    return [base64.b64encode(plain).decode(), compressed]


if __name__ == "__main__":
    serve(globals())
