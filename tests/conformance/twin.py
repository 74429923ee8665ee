"""The Python side of the conformance test: makes the tables of the database cache as Django does, and takes the steps of
the scenarios on Django's own backends where the golden data has no answers of them."""

import json
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import django
from django.conf import settings
from django.core.cache import caches
from django.db import connections

from serve import Router, create_table, serve

# A scenario with times to live says nothing when the machine needed so many seconds for the calls.
TOO_SLOW = 0.3
# For so many seconds it may begin again: what others of the scenarios cost is over by then.
PATIENCE = 180


def setup(databases, aliases, herd_timeout):
    settings.configure(
        DATABASES=databases, CACHES=aliases, DATABASE_ROUTERS=["serve.Router"], USE_TZ=True, TIME_ZONE="UTC",
        CACHE_HERD_TIMEOUT=herd_timeout,
    )
    django.setup()
    warnings.simplefilter("ignore")  # about keys that memcached would refuse


def create_tables(places):
    for database, table in places:
        Router.databases[table] = database
        create_table(database, table)
        connections[database].close()


def empty(database, table):
    """Removes all rows; the connection is of no more use soon."""
    with connections[database].cursor() as cursor:
        cursor.execute(f"DELETE FROM {connections[database].ops.quote_name(table)}")
    connections[database].close()


def run(golden, runs, workers):
    """Takes the steps of scenarios; for each run [number of the scenario, alias] what every step answered."""
    with open(golden, encoding="utf-8") as file:
        scenarios = json.load(file)["scenarios"]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda run: attempts(scenarios[run[0]], run[1]), runs))


def attempts(scenario, alias):
    timed = any("timeout" in step or step["op"] == "sleep" for step in scenario["steps"])
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        cache = caches[alias]
        cache.clear()
        if scenario["start_at_full_second"]:
            time.sleep(1 - time.time() % 1)
        busy, answers = 0.0, []
        for step in scenario["steps"]:
            if step["op"] == "sleep":
                time.sleep(step["seconds"])
                answers.append(None)
                continue
            begin = time.monotonic()
            answers.append(take(cache, step))
            busy += time.monotonic() - begin
        if not timed or busy < TOO_SLOW:
            break
    else:
        raise TimeoutError(f"{alias}, {scenario['name']}: the machine is too slow for this test")
    connections.close_all()  # those of this thread
    return answers


def take(cache, step):
    """One step: the JSON text of what it answered, or the type of what it raised."""
    arguments = {name: value for name, value in step.items() if name not in ("op", "timeout")}
    if "timeout" in step and step["timeout"] != "default":
        timeout = step["timeout"]
        # larder is told milliseconds
        arguments["timeout"] = timeout if timeout is None else int(timeout * 1000) / 1000
    try:
        answer = getattr(cache, step["op"])(**arguments)
    except Exception as error:
        return {"raises": type(error).__name__}
    if step["op"] == "get_many":
        answer = {key: answer[key] for key in step["keys"] if key in answer}
    if step["op"] == "clear" or (step["op"] == "set" and answer):  # the golden data has null for what is only done
        answer = None
    if step["op"] == "add":  # django-valkey has what the server answers: nothing
        answer = bool(answer)
    if step["op"] == "set_many" and answer is None:  # no key failed; not all clients say so
        answer = []
    return {"json": json.dumps(answer)}


if __name__ == "__main__":
    serve(globals())
