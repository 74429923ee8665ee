"""The values of the live test: made from a seed, compared, and shown as larder has to show them."""

import base64
import collections
import datetime
import decimal
import enum
import json
import random
import struct
import uuid
import zoneinfo

from django.utils.safestring import SafeString


class Lane(enum.Enum):
    """An enum of an application."""

    TOP = 1
    MIDDLE = "mid"


class Champion:
    """A class of an application."""

    def __init__(self, name, level):
        self.name = name
        self.level = level

    def __eq__(self, other):
        return type(other) is Champion and self.__dict__ == other.__dict__

    __hash__ = None

    def __repr__(self):
        return f"Champion({self.name!r}, {self.level!r})"


# ---- values from a seed ----

SCRIPTS = [
    (0x20, 0x7E), (0x20, 0x7E), (0x00, 0x1F), (0x7F, 0xFF), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA),
    (0x600, 0x6FF), (0x900, 0x97F), (0x300, 0x36F), (0x2000, 0x206F), (0x3040, 0x30FF), (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3), (0xFF00, 0xFFEF), (0x1F300, 0x1FAFF), (0x10FFF0, 0x10FFFD),
]
ZONES = ["Europe/Berlin", "America/Chicago", "Asia/Kolkata", "UTC"]
SIZES = [0, 1, 2, 3, 5, 8, 13, 40, 255, 256]


class Maker:
    """Makes values of every kind that Django programs cache."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.scalars = [
            lambda: None, lambda: self.random.random() < 0.5, self.integer, self.integer, self.float, self.text,
            self.text, self.bytes,
        ]
        self.rich = [
            self.datetime, self.date, self.time, self.timedelta, self.decimal, self.uuid, self.safe_string,
            self.bytearray, lambda: complex(self.float(), 1.5), lambda: range(self.random.randrange(9), 99, 3),
            lambda: self.random.choice(list(Lane)), lambda: Champion(self.text(), self.integer()), self.surrogates,
        ]
        self.containers = [
            self.list, self.dict, self.dict, self.tuple, self.set, self.frozenset, self.odd_dict, self.ordered_dict,
            self.default_dict, self.counter, self.deque, self.shared,
        ]

    def value(self, depth=3):
        kind = self.random.random()
        if depth and kind < 0.4:
            return self.random.choice(self.containers)(depth - 1)
        return self.random.choice(self.rich if kind < 0.6 else self.scalars)()

    def json_value(self, depth=3):
        """A value that JSON holds."""
        kind = self.random.random()
        if depth and kind < 0.25:
            return [self.json_value(depth - 1) for _ in range(self.random.randrange(6))]
        if depth and kind < 0.5:
            return {self.text(): self.json_value(depth - 1) for _ in range(self.random.randrange(6))}
        return self.random.choice(self.scalars[:-1])()

    def integer(self):
        edge = self.random.choice([0, 2**8, 2**15, 2**16, 2**31, 2**32, 2**63, 2**64, 10**18, 2**200])
        near = edge + self.random.randrange(-2, 3)
        wide = self.random.getrandbits(self.random.choice([3, 8, 20, 40, 63, 64, 65, 300, 2100]))
        return self.random.choice([near, -near, wide, -wide])

    def float(self):
        bits = struct.unpack("<d", self.random.getrandbits(64).to_bytes(8, "little"))[0]
        if bits != bits:
            bits = float("nan")
        plain = self.random.choice([0.0, -0.0, 1.0, 0.1, 1e16, 1e-7, 1e22, 5e-324, 1.7976931348623157e308, 123456.789])
        odd = self.random.choice([float("inf"), float("-inf"), float("nan")])
        return self.random.choice([bits, bits, plain, plain, round(self.random.uniform(-1e6, 1e6), 3), odd])

    def text(self, size=None):
        if size is None:
            size = self.random.choice(SIZES)
            if self.random.random() < 0.004:
                size = self.random.choice([65535, 65536, 70000])
        first, last = self.random.choice(SCRIPTS)
        if size < 100 and self.random.random() < 0.3:
            return "".join(chr(self.random.randint(*self.random.choice(SCRIPTS))) for _ in range(size))
        return "".join(chr(self.random.randint(first, last)) for _ in range(size))

    def surrogates(self):
        """Text that is no Unicode: Python has it, and pickles hold it."""
        return self.text(3) + "".join(chr(self.random.randint(0xD800, 0xDFFF)) for _ in range(self.random.randint(1, 3)))

    def bytes(self):
        return self.random.randbytes(self.random.choice(SIZES))

    def bytearray(self):
        return bytearray(self.bytes())

    def zone(self):
        hours = datetime.timedelta(minutes=self.random.choice([0, 60, -300, 345, 839, -839]))
        named = datetime.timezone(hours, "named")
        key = zoneinfo.ZoneInfo(self.random.choice(ZONES))
        return self.random.choice([None, datetime.timezone.utc, datetime.timezone(hours), named, key])

    def datetime(self):
        whole = self.random.random() < 0.3
        micros = 0 if whole else self.random.randrange(10**6)
        return datetime.datetime(
            self.random.randint(1, 9999), self.random.randint(1, 12), self.random.randint(1, 28),
            self.random.randrange(24), self.random.randrange(60), self.random.randrange(60), micros,
            tzinfo=self.zone(), fold=self.random.randrange(2),
        )

    def date(self):
        return datetime.date(self.random.randint(1, 9999), self.random.randint(1, 12), self.random.randint(1, 28))

    def time(self):
        moment = self.datetime()
        return moment.timetz().replace(tzinfo=self.random.choice([None, datetime.timezone.utc]))

    def timedelta(self):
        days, seconds = self.random.randint(-999, 99999), self.random.randrange(86400)
        return datetime.timedelta(days, seconds, self.random.choice([0, 1, 500000, 999999]))

    def decimal(self):
        number = decimal.Decimal(self.random.randrange(-(10**12), 10**12)).scaleb(self.random.randrange(-15, 15))
        return self.random.choice([number, number, decimal.Decimal("NaN"), decimal.Decimal("-Infinity")])

    def uuid(self):
        return uuid.UUID(int=self.random.getrandbits(128))

    def safe_string(self):
        return SafeString("<b>" + self.text() + "</b>")

    def items(self, depth):
        count = self.random.choice([0, 1, 2, 3, 4, 5])
        if self.random.random() < 0.01:  # the batches of a pickle
            return [self.integer() for _ in range(self.random.choice([999, 1000, 1001, 2000]))]
        return [self.value(depth) for _ in range(count)]

    def list(self, depth):
        return self.items(depth)

    def tuple(self, depth):
        return tuple(self.items(depth))

    def dict(self, depth):
        return {self.text(): item for item in self.items(depth)}

    def hashable(self):
        return self.random.choice([
            lambda: None, lambda: True, self.integer, self.float, self.text, self.bytes, self.date, self.uuid,
            self.decimal, lambda: (self.integer(), self.text()),
        ])()

    def odd_dict(self, depth):
        return {self.hashable(): item for item in self.items(depth)}

    def set(self, _depth):
        return {self.hashable() for _ in range(self.random.randrange(5))}

    def frozenset(self, depth):
        return frozenset(self.set(depth))

    def ordered_dict(self, depth):
        return collections.OrderedDict((self.text(), item) for item in self.items(depth))

    def default_dict(self, depth):
        return collections.defaultdict(self.random.choice([list, int, None]), self.dict(depth))

    def counter(self, _depth):
        return collections.Counter(self.text(5))

    def deque(self, depth):
        return collections.deque(self.items(depth), self.random.choice([None, 4000]))

    def shared(self, depth):
        """One object in several places."""
        inner = self.value(depth)
        return [inner, {"again": inner}, inner]


# ---- what is the same, and how larder shows it ----


def same(one, other):
    """Whether two values are equal in type and content, to the last bit and in the same order."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other and struct.pack("<d", one) == struct.pack("<d", other) or one != one and other != other
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, decimal.Decimal):
        return one.as_tuple() == other.as_tuple()
    if isinstance(one, (list, tuple, collections.deque)):
        return len(one) == len(other) and getattr(one, "maxlen", 0) == getattr(other, "maxlen", 0) and all(
            map(same, one, other)
        )
    if isinstance(one, dict):
        if getattr(one, "default_factory", 0) is not getattr(other, "default_factory", 0):
            return False
        return len(one) == len(other) and all(map(same, one.items(), other.items()))
    if isinstance(one, (set, frozenset)):
        left = list(other)
        for item in one:
            place = next((place for place, candidate in enumerate(left) if same(item, candidate)), None)
            if place is None:
                return False
            del left[place]
        return not left
    if isinstance(one, Champion):
        return same(one.__dict__, other.__dict__)
    return one == other and repr(one) == repr(other)


def is_exact(value):
    """Whether JSON holds the value, so that reading it gives the same value."""
    if type(value) is list:
        return all(map(is_exact, value))
    if type(value) is dict:
        return all(type(key) is str and is_exact(key) and is_exact(item) for key, item in value.items())
    if type(value) is str:
        return json.loads(json.dumps(value)) == value
    return value is None or type(value) in (bool, int, float)


def text_of(value):
    """Dates, decimals and UUIDs as text, or None."""
    if isinstance(value, (datetime.datetime, datetime.time)) and isinstance(value.tzinfo, zoneinfo.ZoneInfo):
        return f"{value.replace(tzinfo=None).isoformat()}[{value.tzinfo.key}]"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, datetime.timedelta):
        sign, value = ("-", -value) if value < datetime.timedelta(0) else ("", value)
        minutes, seconds = divmod(value.seconds, 60)
        hours, minutes = divmod(minutes, 60)
        micros = f".{value.microseconds:06d}" if value.microseconds else ""
        return f"{sign}P{value.days}DT{hours:02d}H{minutes:02d}M{seconds:02d}{micros}S"
    return None


def key_of(key):
    """A dict's key as JSON text has it."""
    if isinstance(key, str):
        return str(key)
    if key is None or isinstance(key, (bool, int, float)):
        return json.dumps(key)
    return text_of(key) or show(key)


def show(value):
    """The JSON text that larder's header promises for a value."""
    if value is None or isinstance(value, (bool, int, float)) and not isinstance(value, enum.Enum):
        return json.dumps(value)
    if isinstance(value, str):
        return json.dumps(str(value))
    if isinstance(value, (bytes, bytearray)):
        return json.dumps({"$bytes": base64.b64encode(value).decode()})
    if isinstance(value, (list, tuple, set, frozenset, collections.deque)):
        return "[" + ", ".join(map(show, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key_of(key))}: {show(item)}" for key, item in value.items()) + "}"
    if (text := text_of(value)) is not None:
        return json.dumps(text)
    module = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, complex):
        return show({"$object": module, "args": [value.real, value.imag]})
    if isinstance(value, range):
        return show({"$object": module, "args": [value.start, value.stop, value.step]})
    if isinstance(value, enum.Enum):
        return show({"$object": module, "args": [value.value]})
    return show({"$object": module, "args": [], "state": value.__dict__})


KINDS = [
    (type(None), 1), (bool, 2), (int, 3), (float, 4), (str, 5), ((bytes, bytearray), 6),
    ((list, tuple, set, frozenset, collections.deque), 7), (dict, 8),
]


def kind_of(value):
    """The number of LARDER_KIND_ for a value."""
    return next((number for types, number in KINDS if isinstance(value, types)), 9)
