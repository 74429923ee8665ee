//! Configuration, threads, shutdown and fork.

use std::sync::Arc;

use serde_json::{Value, json};

use super::common::alone::alone;
use super::common::client::{Call, Context, Input, Store, Ttl as Life, rust_store};
use super::common::flight::{LONG, NoRuntime, config_for, tcp};
use super::common::redis::{RedisClient, RedisServer};
use super::{Client, calls, eventually, key, raw, settings};
use larder::backend::{When, redis};
use larder::config::{self, Family, Flavor, NearCache};
use larder::log::Silent;
use larder::store::{self, Scope};
use larder::timeout::Ttl;

const DJANGO_REDIS: &str = "django_redis.cache.RedisCache";

fn near_of(entry: &Value) -> larder::error::Result<Option<NearCache>> {
    let document = json!({"CACHES": {"default": entry}}).to_string();
    let alias = config::read(document.as_bytes(), &|_| None)?.aliases.remove(0);
    match alias.family {
        Family::Redis(redis) => Ok(redis.near),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_configuration_is_read() {
    let entry = |near: Value| json!({"BACKEND": DJANGO_REDIS, "LOCATION": "redis://h/0", "KEY_PREFIX": "p", "LARDER": {"NEAR_CACHE": near}});
    let prefix = || b"p:".to_vec();
    let usual = NearCache { prefix: prefix(), ..NearCache::default() };
    assert_eq!(near_of(&entry(json!(true))).unwrap(), Some(usual.clone()));
    assert_eq!(near_of(&entry(json!({}))).unwrap(), Some(usual));
    assert_eq!(near_of(&entry(json!(false))).unwrap(), None);
    let all = json!({"MAX_ENTRIES": 7, "MAX_BYTES": 8, "TIMEOUT": 0.5});
    let timeout = std::time::Duration::from_millis(500);
    let wanted = NearCache { max_entries: 7, max_bytes: 8, timeout, prefix: prefix() };
    assert_eq!(near_of(&entry(all)).unwrap(), Some(wanted));
    let mut as_is = entry(json!(true));
    as_is["KEY_FUNCTION"] = json!("larder.as_is");
    assert_eq!(near_of(&as_is).unwrap().unwrap().prefix, b"");
}

#[test]
fn what_cannot_be_is_refused() {
    let entry = |backend: &str, location: Value, options: Value, near: Value| json!({"BACKEND": backend, "LOCATION": location, "OPTIONS": options, "LARDER": {"NEAR_CACHE": near}});
    let one = || json!("redis://h/0");
    for (entry, said) in [
        (entry(DJANGO_REDIS, one(), json!({}), json!({"MAX_ENTRY": 1})), "did you mean MAX_ENTRIES?"),
        (entry(DJANGO_REDIS, one(), json!({}), json!({"TIMEOUT": 0})), "a number of seconds greater than 0"),
        (entry(DJANGO_REDIS, one(), json!({}), json!({"MAX_BYTES": -1})), "a whole number greater than 0"),
        (entry(DJANGO_REDIS, one(), json!({}), json!(7)), "true, false, or an object"),
        (entry(DJANGO_REDIS, json!(["redis://h/0", "redis://i/0"]), json!({}), json!(true)), "with replicas"),
        (
            entry(DJANGO_REDIS, one(), json!({"CLIENT_CLASS": "django_redis.client.HerdClient"}), json!(true)),
            "HerdClient",
        ),
        (
            entry(
                DJANGO_REDIS,
                json!("redis://service/0"),
                json!({
                    "CLIENT_CLASS": "django_redis.client.SentinelClient",
                    "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
                    "SENTINELS": [["h", 26379]],
                }),
                json!({}),
            ),
            "cannot be used with",
        ),
        (
            entry("django.core.cache.backends.locmem.LocMemCache", json!(""), json!({}), json!(true)),
            "is for Redis aliases only",
        ),
    ] {
        let error = near_of(&entry).unwrap_err().to_string();
        assert!(error.contains("CACHES.default.LARDER.NEAR_CACHE") && error.contains(said), "{error}");
    }
    let ring = json!({"CLIENT_CLASS": "django_redis.client.ShardClient"});
    assert!(near_of(&entry(DJANGO_REDIS, json!(["redis://h/0", "redis://i/0"]), ring, json!(true))).unwrap().is_some());
}

// Who only writes needs no thread, and nobody is connected to twice.
#[test]
fn nothing_is_begun_before_the_first_read() {
    let server = RedisServer::start();
    let config = settings(tcp(server.port()), NearCache::default());
    let cache = redis::open(config, Arc::new(NoRuntime), Arc::new(Silent));
    cache.set(&key("k"), b"v".as_slice().into(), Ttl::Forever, When::Always, LONG).unwrap();
    assert!(cache.has(&key("k"), LONG).unwrap());
    assert!(cache.delete(&key("k"), LONG).unwrap());
    assert_eq!(calls(&server, &["hello"]), 0);
    let without = redis::open(config_for(tcp(server.port()), Flavor::Core), Arc::new(NoRuntime), Arc::new(Silent));
    assert_eq!(without.near(), None);
}

#[test]
fn a_shutdown_ends_it_and_reads_go_on() {
    let server = RedisServer::start();
    let client = Client::on(&server);
    client.set("k", "v");
    client.keep("k", "v");
    client.runtime.end();
    assert_eq!((client.near().tracked, client.near().entries), (0, 0));
    let asked = calls(&server, &["get"]);
    for _ in 0..3 {
        assert_eq!(client.get("k").as_deref(), Some("v"));
    }
    assert_eq!(calls(&server, &["get"]), asked + 3);
}

#[test]
fn a_closed_store_leaves_no_connection() {
    let server = RedisServer::start();
    let client = Client::on(&server);
    client.set("k", "v");
    client.keep("k", "v");
    let mut other = RedisClient::connect(server.port());
    let mut clients = || String::from_utf8(other.command(&[b"CLIENT", b"LIST"])).unwrap().lines().count();
    assert!(clients() > 1);
    drop(client.cache);
    eventually("all are closed", || clients() == 1);
}

fn set(store: &Store, name: &str, value: &str) {
    store.set(name, Input::Text(value), Life::Default, Call::default()).unwrap();
}

fn get(store: &Store, name: &str) -> Option<String> {
    store.get(name, Call::default()).unwrap().map(|value| value.text().unwrap().shown)
}

fn configuration(server: &RedisServer) -> String {
    let near = json!({"NEAR_CACHE": {"TIMEOUT": 30}});
    json!({"default": {"BACKEND": DJANGO_REDIS, "LOCATION": server.url(0), "KEY_PREFIX": "near", "LARDER": near}})
        .to_string()
}

/// Reads until the server is not asked.
fn keep(server: &RedisServer, store: &Store, name: &str, value: &str) {
    eventually("it is kept", || {
        let asked = calls(server, &["get"]);
        assert_eq!(get(store, name).as_deref(), Some(value));
        calls(server, &["get"]) == asked
    });
}

// A child begins with nothing, and hears over a connection of its own; its parent's stays as it is.
#[test]
fn a_forked_child_has_its_own() {
    if !alone("process::a_forked_child_has_its_own") {
        return;
    }
    let server = RedisServer::start();
    let context = Context::open(&configuration(&server)).unwrap();
    let store = context.store("default").unwrap();
    set(&store, "k", "parent");
    keep(&server, &store, "k", "parent");
    // SAFETY: the child runs only this and leaves at once, without the harness's own clean-up.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let ended = std::panic::catch_unwind(|| {
            let asked = calls(&server, &["get"]);
            assert_eq!(get(&store, "k").as_deref(), Some("parent"));
            assert_eq!(calls(&server, &["get"]), asked + 1);
            keep(&server, &store, "k", "parent");
            set(&store, "k", "child");
            assert_eq!(get(&store, "k").as_deref(), Some("child"));
            keep(&server, &store, "k", "child");
            server.command(0, &[b"DEL", &raw("k")]);
            eventually("the child hears of it", || get(&store, "k").is_none());
            set(&store, "k", "last");
        });
        // SAFETY: as above.
        unsafe { libc::_exit(i32::from(ended.is_err())) };
    }
    let mut status = -1;
    // SAFETY: the child is ours, and the place can be written.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    eventually("the parent hears of it", || get(&store, "k").as_deref() == Some("last"));
    keep(&server, &store, "k", "last");
}

// The store on top: what it counts, and what reads in order to write.
#[test]
fn a_store_counts_and_adds_with_it() {
    let server = RedisServer::start();
    let store = rust_store(&configuration(&server), "default");
    let call = store::Call::default();
    store
        .set("n", larder::codec::Input::Text("text"), larder::timeout::TtlChoice::Default, When::Always, &call)
        .unwrap();
    eventually("it is kept", || {
        let hits = store.near().unwrap().hits;
        assert!(store.get("n", &call).unwrap().is_some());
        store.near().unwrap().hits > hits
    });
    let seen = store.stats();
    assert!(seen.hits > 0 && seen.hits >= store.near().unwrap().hits);
    // django-redis adds floats by reading and writing: never to what is kept
    let number = |number: f64| larder::value::Number::Float(number);
    let ttl = larder::timeout::TtlChoice::Default;
    store.set("f", larder::codec::Input::Number(&number(1.0)), ttl, When::Always, &call).unwrap();
    for round in 1..20 {
        assert!(store.get("f", &call).unwrap().is_some());
        let other = format!("{round}");
        server.command(0, &[b"SET", b"near:1:f", other.as_bytes()]); // as another client would
        let sum = store.incr("f", &number(0.5), &call).unwrap().unwrap();
        assert_eq!(format!("{sum:?}"), format!("{:?}", number(f64::from(round) + 0.5)), "round {round}");
    }
    store.clear(Scope::Prefix, &call).unwrap();
    assert!(store.get("n", &call).unwrap().is_none());
}
