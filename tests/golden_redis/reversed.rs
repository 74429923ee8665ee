//! The user's keys in listings, by both faces: REVERSE_KEY_FUNCTION (DR-2; `django_redis_reverse_key` of keys.json).

use std::sync::Arc;

use larder::backend::Reply;
use larder::store::{Call, Operation, Outcome, Store};
use serde_json::{Value, json};

use super::common::client::rust_store;
use super::common::flight::{LONG, Ledger};
use super::common::redis::RedisServer;
use super::common::{self, golden};

/// A store over keys with a prefix that may have a colon.
fn store(server: &RedisServer, backend: &str, settings: &Value) -> Arc<Store> {
    let mut entry = json!({"BACKEND": backend, "LOCATION": server.url(0)});
    for (name, value) in golden::object(settings) {
        entry[name] = value.clone();
    }
    Arc::new(rust_store(&json!({"default": entry}).to_string(), "default"))
}

/// What a listing tells; both faces tell the same.
fn listed(store: &Arc<Store>, call: &Call<'_>) -> Vec<String> {
    let call = Call { budget: Some(LONG), ..*call };
    let prepared = store.prepare(&Operation::Keys { pattern: "*", at: 0 }, &call).unwrap();
    let ledger = Ledger::new(1);
    store.begin(&prepared, ledger.ticket(0));
    let (_, answer): (_, larder::error::Result<Reply>) = ledger.settle().remove(0);
    let Outcome::Page(page) = store.conclude(prepared.asked, answer).unwrap() else { panic!("no page") };
    let mut later: Vec<_> = page.keys.into_iter().map(|key| String::from_utf8(key).unwrap()).collect();
    let page = store.keys("*", 0, &call).unwrap();
    let mut now: Vec<_> = page.keys.into_iter().map(|key| String::from_utf8(key).unwrap()).collect();
    later.sort();
    now.sort();
    assert_eq!(now, later);
    now
}

#[test]
fn listings_tell_keys_as_django_redis_does() {
    const DJANGO_REDIS: &str = "django_redis.cache.RedisCache";
    let server = RedisServer::start();
    let golden = golden::read(&common::golden("keys.json"));
    let rows = golden::list(&golden["django_redis_reverse_key"]);
    assert!(rows.len() >= 6);
    let all = Call { final_key: true, ..Call::default() };
    for row in rows {
        let (made, reversed) = (golden::text(&row["final_key"]), golden::text(&row["reversed"]));
        server.command(0, &[b"FLUSHALL"]);
        server.command(0, &[b"SET", made.as_bytes(), b"1"]);
        // The prefix and the version that such a key can have: all before the last two parts is the prefix.
        let parts: Vec<&str> = made.rsplitn(if made.contains("a:b:c") { 5 } else { 3 }, ':').collect();
        let (prefix, version) = (parts[parts.len() - 1], parts[parts.len() - 2]);
        let settings = json!({"KEY_PREFIX": prefix, "VERSION": version});
        let django = store(&server, DJANGO_REDIS, &settings);
        assert_eq!(listed(&django, &Call::default()), [reversed], "{made}");
        assert_eq!(listed(&django, &all), [made], "{made}");
        // What was put before, and nothing else, is taken off here.
        let exact = made.strip_prefix(&format!("{prefix}:{version}:")).unwrap();
        let mut settings = settings.clone();
        settings["REVERSE_KEY_FUNCTION"] = "larder.exact".into();
        assert_eq!(listed(&store(&server, DJANGO_REDIS, &settings), &Call::default()), [exact], "{made}");
    }
    // Django's own backend has no such function, and keys that nobody made are told as they are.
    server.command(0, &[b"FLUSHALL"]);
    server.command(0, &[b"SET", b"p:q:1:foo", b"1"]);
    let core = store(&server, "django.core.cache.backends.redis.RedisCache", &json!({"KEY_PREFIX": "p:q"}));
    assert_eq!(listed(&core, &Call::default()), ["foo"]);
    let plain = store(&server, DJANGO_REDIS, &json!({"KEY_FUNCTION": "larder.as_is"}));
    server.command(0, &[b"SET", b"alone", b"1"]);
    assert_eq!(listed(&plain, &Call::default()), ["alone", "p:q:1:foo"]);
    // Python raises an IndexError for the whole listing where one key has no two colons.
    let named =
        json!({"KEY_FUNCTION": "larder.as_is", "REVERSE_KEY_FUNCTION": "django_redis.util.default_reverse_key"});
    assert_eq!(listed(&store(&server, DJANGO_REDIS, &named), &Call::default()), ["1:foo"]);
}
