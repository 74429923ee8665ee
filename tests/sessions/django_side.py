"""The Django half of sessions.rs: logs a real user in, with sessions in each cache of a configuration.

`python django_side.py caches.json` prints, as JSON, the session keys of each alias. `… check` reads hostile session keys
from the arguments and tells what Django makes of them.
"""

import json
import sys

import django
from django.conf import settings


def configure(path):
    """Settings as a project has them, with the caches of the configuration."""
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    settings.configure(
        CACHES=document["CACHES"],
        DATABASES=document["DATABASES"],
        USE_TZ=True,
        SECRET_KEY="for tests",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ALLOWED_HOSTS=["*"],
    )
    django.setup()
    return document


def login():
    """A user of the site, logged in as a view does it; the session."""
    from django.contrib.auth.models import User
    from django.test import Client

    user = User.objects.filter(username="ahri").first() or User.objects.create_user("ahri", password="fox")
    client = Client()
    client.force_login(user)
    session = client.session
    session["cart"] = "three potions"
    session["numbers"] = {"level": 678, "ratio": 0.5}
    session.save()
    return session, user


def of_alias():
    """The session keys of one alias."""
    from django.contrib.sessions.backends.cache import SessionStore

    session, user = login()
    anonymous = SessionStore()
    anonymous["cart"] = "nothing yet"
    anonymous.save()
    empty = SessionStore()
    empty.save()
    flushed, _ = login()
    flushed_key = flushed.session_key
    flushed.flush()
    expired, _ = login()
    expired_key = expired.session_key
    expired.set_expiry(-1)
    expired.save()
    short, _ = login()
    short.set_expiry(600)
    short.save()
    # Django reads neither: one is too short for a session key, the other is no dict
    store = SessionStore()._cache
    store.set("django.contrib.sessions.cache1234567", {"_auth_user_id": "666"})
    store.set("django.contrib.sessions.cachenonenone", None)
    return {
        "login": session.session_key,
        "anonymous": anonymous.session_key,
        "empty": empty.session_key,
        "flushed": flushed_key,
        "expired": expired_key,
        "expiry": short.session_key,
        "user": str(user.pk),
        "hash": session["_auth_user_hash"],
    }


def main():
    """Does it on every alias."""
    document = configure(sys.argv[1])
    from django.contrib.sessions.backends.cache import SessionStore
    from django.core.management import call_command
    from django.test import override_settings

    if sys.argv[2:3] == ["check"]:
        with override_settings(SESSION_CACHE_ALIAS=sys.argv[3]):
            print(json.dumps([dict(SessionStore(key).items()) for key in sys.argv[4:]]))
        return
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    said = {}
    for alias in document["CACHES"]:
        with override_settings(SESSION_CACHE_ALIAS=alias):
            said[alias] = of_alias()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
