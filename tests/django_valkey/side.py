"""The Python side of the django-valkey test: real django-valkey on the same server."""

import base64
import json
import os
import sys

import django
from django.conf import settings
from django.core.cache import caches

from serve import serve

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "live"))

from values import is_exact, kind_of, same, show  # noqa: E402

VALUES = {
    "none": None, "true": True, "false": False, "zero": 0, "int": 9583, "negative": -5, "least": -(2**63),
    "big": 2**200, "negative big": -(2**80), "float": 1.5, "integral": 1.0, "minus zero": -0.0, "large": 1e16,
    "tiny": 5e-324, "nan": float("nan"), "inf": float("inf"), "minus inf": float("-inf"), "empty": "", "text": "teemo",
    "digits": "12", "number text": "-1.5", "unicode": "日本 é \u0000 😀", "long": "larder " * 500, "bytes": b"\xff\x00ab",
    "digit bytes": b"12", "list": [1, -2, 3.5, None, "é"], "dict": {"a": {"b": [1.5, -1, True]}}, "tuple": (1, 2),
    "nan inside": [float("nan")], "large inside": [2**70],
}


def setup(caches):
    settings.configure(CACHES=caches)
    django.setup()


def set_all(alias):
    """Sets what the alias can keep: by name what it reads itself, as larder has to show it."""
    told = {}
    for name, value in VALUES.items():
        try:
            caches[alias].set(name, value)
            back = caches[alias].get(name)
        except Exception:  # each serializer has its own
            continue
        told[name] = {"kind": kind_of(back), "json": show(back), "lossy": not is_exact(back)}
    return told


def judge(alias, items):
    """Of [key, JSON text, version]: what Python reads that is not what it would read of its own; and its own bytes."""
    told = []
    for key, json_text, version in items:
        value = json.loads(json_text)
        caches[alias].set("own", value)
        raw = caches[alias].client.get_client().get(caches[alias].make_key("own"))
        own, got = caches[alias].get("own"), caches[alias].get(key, "nothing", version=version)
        wrong = None if same(own, got) else f"{got!r}, not {own!r}"
        told.append({"wrong": wrong, "raw": base64.b64encode(raw).decode()})
    return told


def decode(alias, raws):
    """What django-valkey makes of bytes that somebody stored."""
    return [one(caches[alias].client, base64.b64decode(raw)) for raw in raws]


def one(client, raw):
    try:
        value = client.decode(raw)
    except Exception as error:
        return {"raises": repr(error)}
    return {"kind": kind_of(value), "json": show(value)}


def call(alias, method, arguments, **keywords):
    try:
        return getattr(caches[alias], method)(*arguments, **keywords)
    except ValueError:
        return "ValueError"


if __name__ == "__main__":
    serve(globals())
