"""The Django half of shared_with_django.c: `python django_side.py shared.json fill`, then `… check`."""

import datetime
import decimal
import json
import sys

from django.conf import settings


def fill(cache):
    """Sets values of several types."""
    cache.set("django:text", "전적 from Python")
    cache.set("django:number", 41)
    cache.set("django:dict", {"name": "Ahri", "champions": ["Azir", "Ahri"], "level": 678})
    cache.set("django:tuple", (1, "two", 3.0))
    cache.set("django:date", datetime.datetime(2026, 11, 22, 16, 30, tzinfo=datetime.timezone.utc))
    cache.set("django:decimal", decimal.Decimal("1.50"))


def check(cache):
    """Reads what the C program has set."""
    wanted = {
        "larder:text": "from C",
        "larder:bytes": b"\x00\xff",
        "larder:dict": {"ids": [1, 2, 3], "rate": 0.5, "none": None, "ok": True},
        "django:number": 42,
    }
    got = cache.get_many(wanted)
    assert got == wanted, got
    assert all(type(got[key]) is type(wanted[key]) for key in wanted), got


def main():
    """Does one of the two on every alias of the configuration."""
    with open(sys.argv[1], encoding="utf-8") as file:
        settings.configure(CACHES=json.load(file)["CACHES"])
    from django.core.cache import caches

    for alias in ("files", "redis"):
        {"fill": fill, "check": check}[sys.argv[2]](caches[alias])
        print(f"django: {sys.argv[2]} {alias}: done")


if __name__ == "__main__":
    main()
