"""The Python side of the live test of clients: many aliases of django-redis and django-valkey, many values a turn.

One request is one line of JSON, as in partner.py.
"""

import base64
import contextlib
import datetime
import json
import warnings

import django
import msgspec
from django.conf import settings
from django.core.cache import caches

from serve import serve
from values import Maker, is_exact, kind_of, same, show

BACK = {}  # by key: what the alias in turn reads of the values that were made last


def setup(caches):
    settings.configure(CACHES=caches)
    django.setup()
    warnings.simplefilter("ignore")  # django-redis's own about ShardClient


def through(alias, value):
    """What an alias's own client reads of a value that it wrote. Pickles give back what they got, but not every number."""
    client = caches[alias].client
    herded = hasattr(client, "_pack")  # HerdClient pickles numbers too, inside its tuple
    encoded = client.encode(client._pack(value, 300) if herded else value)
    if not isinstance(encoded, bytes):
        return client.decode(repr(encoded).encode())  # as redis-py and valkey-py send numbers
    return value if "pickle" in type(client._serializer).__module__ else client.decode(encoded)


def write(alias, seed, keys):
    """Makes values, and sets those that the alias can keep: by key what larder has to see."""
    maker, kept = Maker(seed), {}
    BACK.clear()
    told = {}
    for number, key in enumerate(keys):
        value = maker.json_value() if number % 3 == 0 else maker.value()
        try:
            BACK[key] = through(alias, value)
        except Exception:  # each serializer has its own
            continue
        if is_msgspecs_own(BACK[key]) and "MsgSpecMsgPack" in type(caches[alias].client._serializer).__name__:
            continue
        kept[key] = value
        told[key] = {"type": type(value).__name__, "kind": kind_of(BACK[key])}
    caches[alias].set_many(kept)
    return told


def is_msgspecs_own(value):
    """Whether msgspec reads something as another kind than msgpack: its Timestamp, and keys that are no texts."""
    if isinstance(value, dict):
        return any(type(key) not in (str, bytes) or is_msgspecs_own(item) for key, item in value.items())
    return any(map(is_msgspecs_own, value)) if isinstance(value, list) else isinstance(value, datetime.datetime)


def shown(items):
    """Of each key: whether the value is shown as it should be. What is wrong, by key."""
    wrong = {}
    for key, (json_text, lossy) in items.items():
        expected = [show(BACK[key]), not is_exact(BACK[key])]
        if [json_text, lossy] != expected:
            wrong[key] = f"is shown as {json_text[:300]!r} ({lossy}), not {expected[0][:300]!r} ({expected[1]})"
    return wrong


def read(alias, keys):
    """The values of keys that are there, and can be read. ShardClient's get_many leaves those that are None out."""
    missing = object()
    try:
        got = caches[alias].get_many(keys)
    except msgspec.DecodeError:  # it has no NaN
        got = {}
    for key in keys:
        if key not in got:
            with contextlib.suppress(msgspec.DecodeError):
                value = caches[alias].get(key, missing)
                if value is not missing:
                    got[key] = value
    return got


def again(alias, keys):
    """Whether keys have the values that were read before, set again under other keys."""
    got = read(alias, list(keys))
    return {
        key: f"reads {got.get(key)!r:.300}, not {BACK[old]!r:.300}"
        for key, old in keys.items()
        if key not in got or not same(got[key], BACK[old])
    }


def judge(alias, items):
    """Whether keys have what larder was to set; an item is [what, whether larder refused it]."""
    got = read(alias, [key for key, (_, refused) in items.items() if not refused])
    wrong, count = {}, 0
    lenient = "msgspec" in type(caches[alias].client._serializer).__module__
    for key, (what, refused) in items.items():
        value = wanted(**what)
        try:
            back = through(alias, value)
        except Exception as error:
            if not refused and not lenient:
                wrong[key] = f"is set, which Python refuses: {value!r:.300}: {error!r:.100}"
            continue
        if lenient and not same(back, value):
            continue  # msgspec writes NaN as null, and bytes as a text
        if refused:
            wrong[key] = f"is refused, but Python takes {value!r:.300}"
        elif key not in got or not same(got[key], back):
            wrong[key] = f"reads {got.get(key)!r:.300}, not {back!r:.300}"
        count += 1
    return {"wrong": wrong, "count": count}


def wanted(json_text=None, text=None, raw=None):
    if json_text is not None:
        return json.loads(json_text)
    return text if text is not None else base64.b64decode(raw)


if __name__ == "__main__":
    serve(globals())
