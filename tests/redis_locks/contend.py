"""One of the Python processes that contend: counts up under cache.lock(...), in two steps that are no atomic step."""

import sys
import time

from django.conf import settings

location, seconds = sys.argv[1], float(sys.argv[2])
settings.configure(CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location}})

import django
from django.core.cache import cache

django.setup()

end = time.monotonic() + seconds
counted = 0
while time.monotonic() < end:
    lock = cache.lock("contest", timeout=30, sleep=0.01, blocking_timeout=5)
    if not lock.acquire():
        continue
    if counted % 5 == 0:
        lock.extend(5)
    now = cache.get("counter", 0)
    time.sleep(0.001)
    cache.set("counter", now + 1, timeout=None)
    counted += 1
    lock.release()
print(counted)
