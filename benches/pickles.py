"""CPython's half of the contests on pickles: pickle.loads and json.dumps, timed by CPython itself.

Answers requests on its standard input, one line each:

    pickle NAME         -> the length, a line break, the pickle of protocol 5
    json NAME           -> the length, a line break, json.dumps(pickle.loads(it))
    run NAME COPY N     -> the ns that N times json.dumps(pickle.loads(it)) took, with a copy (a or b) of its own

The garbage collector is off, as timeit has it: what is made here has no cycles, and looking for some costs CPython time.
"""

import gc
import json
import pickle
import random
import sys
import time

RANDOM = random.Random(20)
WORDS = "assists baronKills champLevel damageDealt deaths goldEarned healing kills longestLife minions wards".split()
NAMES = ["Ahri", "Azir", "Lux", "Kai'Sa", "Nunu & Willump", "전적", "Ünü"]


def letters(count):
    """A text such as identifiers are."""
    return "".join(RANDOM.choices("abcdefghijklmnopqrstuvwxyz0123456789-_", k=count))


def player(number, words):
    """One of the ten players of a match: texts, ints, floats, bools, None, small dicts and lists."""
    made = {"id": number, "puuid": letters(78), "name": RANDOM.choice(NAMES), "win": number < 5, "banned": None}
    for copy in range(words):
        for word in WORDS:
            value = RANDOM.random() * 1000 if RANDOM.random() < 0.4 else RANDOM.randrange(40000)
            made[word if copy == 0 else f"{word}{copy}"] = value
    made["items"] = [RANDOM.randrange(7000) for _ in range(7)]
    made["runes"] = [{"id": RANDOM.randrange(9999), "vars": [RANDOM.randrange(3000), 0, 0]} for _ in range(6)]
    return made


def frame(minute):
    """A minute of a match: many small dicts with the same keys."""
    return {
        "timestamp": minute * 60000,
        "players": {
            str(number): {
                "level": minute % 18,
                "gold": RANDOM.randrange(20000),
                "position": {"x": RANDOM.randrange(15000), "y": RANDOM.randrange(15000)},
            }
            for number in range(1, 11)
        },
    }


def match(words, minutes):
    """A match, as the API of a game answers it and Django applications cache it."""
    return {
        "metadata": {"version": "2", "id": letters(15), "participants": [letters(78) for _ in range(10)]},
        "info": {
            "created": 1700000000000,
            "mode": "CLASSIC",
            "players": [player(number, words) for number in range(10)],
            "frames": [frame(minute) for minute in range(minutes)],
        },
    }


def main():
    """Answers until its input ends."""
    gc.disable()
    values = {"player": player(0, 3), "match": match(8, 0), "timeline": match(8, 150)}
    # through json first, as what an API answered: equal keys are one object then, and the pickle refers back to them
    pickles = {name: pickle.dumps(json.loads(json.dumps(value)), 5) for name, value in values.items()}
    copies = {(name, copy): bytes(bytearray(data)) for name, data in pickles.items() for copy in "ab"}
    out = sys.stdout.buffer
    for line in sys.stdin:
        what, name, *more = line.split()
        if what == "run":
            data, count = copies[name, more[0]], int(more[1])
            loads, dumps, times = pickle.loads, json.dumps, range(count)
            start = time.perf_counter_ns()
            for _ in times:
                dumps(loads(data))
            out.write(b"%d\n" % (time.perf_counter_ns() - start))
        else:
            data = pickles[name]
            answer = data if what == "pickle" else json.dumps(pickle.loads(data)).encode()
            out.write(b"%d\n%b" % (len(answer), answer))
        out.flush()


if __name__ == "__main__":
    main()
