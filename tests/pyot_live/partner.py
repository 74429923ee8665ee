"""The Python side of tests/pyot_live: the real Pyot, of version 3 or 6, over the same caches as larder's pipeline."""

import asyncio
import datetime
import json
import sys
import unicodedata
import warnings

import django
from django.conf import settings

from serve import create_table, serve

LOOP = asyncio.new_event_loop()
asyncio.set_event_loop(LOOP)


class Thing:
    """Something of a program's own, of which larder knows nothing."""

    def __init__(self, number):
        self.number = number

    def __repr__(self):
        return f"Thing({self.number})"


# what JSON cannot say
ODD = {
    "thing": [Thing(3), {"at": datetime.datetime(2022, 1, 2, 3, 4, 5, 6)}],
    "date": datetime.date(2022, 1, 2),
    "set": {420},
    "tuple": (1, "two", (3.5,)),
    "bytes": b"\xff\x00",
    "keys": {1: "one", None: "none", (2, 3): "pair"},
}


def begin(version, folder, document):
    """Sets Django and Pyot up, and makes the database's table."""
    global Token, pipeline, NotFound
    sys.path[:0] = [f"{folder}/{version}", f"{folder}/needs"]
    warnings.simplefilter("ignore")  # of keys that memcached would not take, and of what Pyot uses
    settings.configure(
        CACHES=document["CACHES"], DATABASES=document["DATABASES"], PYOT_SETTINGS=[], PYOT_CONFS=[], USE_TZ=True
    )
    django.setup()
    create_table("default", "pyot_cache")
    stores = document["PIPELINES"]["LOL"]["PIPELINE"]
    pipeline = activated(version, stores)
    from pyot.core.exceptions import NotFound
    from pyot.pipeline.token import PipelineToken as Token

    return unicodedata.unidata_version.removesuffix(".0")


def activated(version, stores):
    """Pyot's pipeline, as its documentation says that one is made."""
    if version == 3:
        from pyot.core import Settings
        from pyot.pipeline import pipelines

        Settings(MODEL="LOL", DEFAULT_PLATFORM="NA1", DEFAULT_REGION="EUROPE", PIPELINE=stores).activate()
        return pipelines["lol"]
    from pyot.conf.model import ModelConf, activate_model
    from pyot.conf.pipeline import PipelineConf, activate_pipeline, pipelines

    @activate_model("lol")
    class Model(ModelConf):
        default_platform, default_region, default_version, default_locale = "na1", "europe", "latest", "en_us"

    class Conf(PipelineConf):
        name, default = "lol", True

    Conf.stores = stores
    activate_pipeline("lol")(Conf)
    return pipelines["lol"]


def token(call):
    """The token of [server, method, params, queries], the last two as JSON."""
    server, method, params, queries = call
    return Token("lol", server, method, json.loads(params), json.loads(queries))


def value_of(call):
    """A token's text."""
    return token(call).value


def of_models():
    """The tokens that Pyot's own objects make: what they are made of, and their texts."""
    from pyot.models import lol

    things = [
        lol.Summoner(name="Hide on bush", platform="KR"),
        lol.Summoner(name="it's \u200b \u00e9\uc548 \"x\"", platform="na1"),
        lol.Summoner(puuid="a-b_c"),
        lol.SummonerLeague(summoner_id="x y", platform="EUW1"),
        lol.ChallengerLeague(queue="RANKED_SOLO_5x5", platform="na1"),
        lol.ChampionMastery(summoner_id="x", champion_id=235, platform="na1"),
        lol.ChampionRotation(platform="na1"),
    ]
    made = []
    for thing in things:
        one = LOOP.run_until_complete(thing.create_token() if hasattr(thing, "create_token") else thing.token())
        made.append([[one.server, one.method, json.dumps(one.params), json.dumps(one.queries)], one.value])
    return made


def run(action):
    """What it gives; "NotFound" where it raises that."""
    try:
        return LOOP.run_until_complete(action)
    except NotFound:
        return "NotFound"


def there(store):
    """One store, or all of them."""
    return pipeline if store is None else pipeline.stores[store]


def put(call, value, store=None):
    """Sets a value: a JSON text, or the name of an odd one."""
    return run(there(store).set(token(call), ODD[value] if value in ODD else json.loads(value)))


def get(call, store=None):
    """The type and JSON text of a value, or the text of one that JSON cannot say."""
    value = run(there(store).get(token(call)))
    try:
        return [type(value).__name__, json.dumps(value)]
    except TypeError:
        return [type(value).__name__, repr(value)]


def is_odd(call, value, store):
    """Whether a store has this odd value."""
    found = run(there(store).get(token(call)))
    return type(found) is type(ODD[value]) and repr(found) == repr(ODD[value])


def contains(call, store=None):
    """Whether it is there."""
    return run(there(store).contains(token(call)))


def delete(call, store=None):
    """Removes it."""
    return run(there(store).delete(token(call)))


def by_hand(alias, call, value):
    """What no pipeline does: an entry that Pyot's rules would not make."""
    from django.core.cache import caches

    caches[alias].set(token(call).value, json.loads(value), None)


def tables():
    """The times to live of each game, where nothing else is said."""
    from pyot.pipeline.expiration import ExpirationManager

    return {game: ExpirationManager(game, None).expirations for game in ("lol", "tft", "lor", "val")}


def summoner(name):
    """What Pyot's own object shows of an entry."""
    from pyot.models import lol

    one = LOOP.run_until_complete(lol.Summoner(name=name, platform="na1").get())
    return [one.level, one.puuid]


FUNCTIONS = [begin, value_of, of_models, put, get, is_odd, contains, delete, by_hand, tables, summoner]
serve({function.__name__: function for function in FUNCTIONS})
