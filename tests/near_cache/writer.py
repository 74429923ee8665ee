"""A process that changes values at random, as others do who share a cache: by redis-py, and by Django with django-redis.

Values are numbers that grow. For each change that the server has acknowledged it says a line: the key, and its number.
"""

import random
import sys
import time

import redis
from django.conf import settings

port, seed, mine, everybody_s = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(","), sys.argv[4].split(",")
location = f"redis://127.0.0.1:{port}/0?protocol=2"
settings.configure(
    CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "KEY_PREFIX": "near"}}
)

import django
from django.core.cache import cache

django.setup()

server = redis.Redis.from_url(location)
dice = random.Random(seed)


def raw(key):
    return f"near:1:{key}"


def in_one(*commands):
    """MULTI and EXEC: nobody sees what is between."""
    transaction = server.pipeline(transaction=True)
    for command in commands:
        transaction.execute_command(*command)
    return transaction.execute()


def by_renaming(key, number):
    aside = f"aside:{seed}"
    server.set(aside, number)
    server.rename(aside, raw(key))


def with_another_life(key, number):
    cache.set(key, number, timeout=50)
    cache.touch(key, timeout=60)


# how a key of one's own gets the next number
SET = [
    lambda key, number: server.set(raw(key), number),
    lambda key, number: server.set(raw(key), number, px=60000),
    lambda key, number: server.execute_command("GETSET", raw(key), number),
    lambda key, number: server.eval("redis.call('set', KEYS[1], ARGV[1])", 1, raw(key), number),
    lambda key, number: in_one(["DEL", raw(key)], ["SET", raw(key), number]),
    by_renaming,
    lambda key, number: cache.set(key, number, timeout=None),
    lambda key, number: cache.set_many({key: number}, timeout=60),
    with_another_life,
]

# how one that others count up too does; what the number is then
COUNT = [
    lambda key: server.incr(raw(key)),
    lambda key: server.incrby(raw(key), 3),
    lambda key: server.eval("return redis.call('incrby', KEYS[1], 2)", 1, raw(key)),
    lambda key: in_one(["INCR", raw(key)])[0],
    lambda key: cache.incr(key),
]

numbers = dict.fromkeys(mine, 0)
print("ready", flush=True)
while True:
    if dice.random() < 0.6:
        key = dice.choice(mine)
        numbers[key] += 1
        number = numbers[key]
        dice.choice(SET)(key, number)
    else:
        key = dice.choice(everybody_s)
        number = dice.choice(COUNT)(key)
    print(key, number, flush=True)
    time.sleep(dice.random() * 0.002)
