//! The time to live family, relative and absolute: ttl, persist, expire, expire_at, and sets with a condition (DR-19,
//! DR-21, DR-23, DR-24), against the golden data and the server's own clock.
#![cfg(all(feature = "memory", feature = "file", feature = "redis"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::time::{SystemTime, UNIX_EPOCH};

use common::client::{Answer, Call, Context, Input, Store, Ttl};
use common::golden;
use common::redis::{Monitor, RedisServer};
use larder::capi::argument::{LARDER_CALL_NX, LARDER_CALL_XX};
use larder::capi::status::{LARDER_EINVAL, LARDER_MISS, LARDER_NOT_KEPT, LARDER_NOT_STORED, LARDER_OK, larder_status};
use serde_json::{Value, json};

const DJANGO_REDIS: &str = "django_redis.cache.RedisCache";
const CORE: &str = "django.core.cache.backends.redis.RedisCache";

fn open(backend: &str, server: &RedisServer) -> (Context, Store) {
    let config = json!({"default": {"BACKEND": backend, "LOCATION": server.url(0)}});
    let context = Context::open(&config.to_string()).unwrap();
    let store = context.store("default").unwrap();
    (context, store)
}

fn set(store: &Store, key: &str, ttl: Ttl) {
    assert_eq!(store.set(key, Input::Json("1"), ttl, Call::default()), Ok(LARDER_OK));
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn millis(left: Answer<Option<Ttl>>) -> i64 {
    match left {
        Ok(Some(Ttl::Millis(left))) => left,
        other => panic!("{other:?}"),
    }
}

/// A call of the golden data: what the cache holds before it, what it answers as Python says it, and what it sends.
struct Row {
    call: &'static str,
    before: &'static [(&'static str, Ttl)],
    perform: fn(&Store) -> Answer<Value>,
    /// Where it is not what Python sends.
    sends: Option<&'static [&'static [&'static str]]>,
}

const BEFORE: &[(&str, Ttl)] = &[("a", Ttl::Default)];
const SCANS: &[&[&str]] = &[&["SCAN", "0", "MATCH", ":1:a*", "COUNT", "1000"]];

const ROWS: [Row; 12] = [
    // contract 1.19: milliseconds, in one step
    Row {
        call: "ttl('a')",
        before: &[("a", Ttl::Millis(500_000))],
        perform: seconds,
        sends: Some(&[&["PTTL", ":1:a"]]),
    },
    Row {
        call: "ttl('a') without timeout",
        before: &[("a", Ttl::Forever)],
        perform: seconds,
        sends: Some(&[&["PTTL", ":1:a"]]),
    },
    Row { call: "ttl('a') missing", before: &[], perform: seconds, sends: Some(&[&["PTTL", ":1:a"]]) },
    Row {
        call: "persist('a')",
        before: BEFORE,
        perform: |store| truth(store.persist("a", Call::default()), LARDER_MISS),
        sends: None,
    },
    Row {
        call: "expire('a', 20)",
        before: BEFORE,
        perform: |store| truth(store.expire("a", Ttl::Millis(20_000), Call::default()), LARDER_MISS),
        sends: Some(&[&["PEXPIRE", ":1:a", "20000"]]),
    },
    Row {
        call: "pexpire('a', 20500)",
        before: BEFORE,
        perform: |store| truth(store.expire("a", Ttl::Millis(20_500), Call::default()), LARDER_MISS),
        sends: None,
    },
    Row {
        call: "expire_at('a', 4102444800)",
        before: BEFORE,
        perform: |store| truth(store.expire_at("a", 4_102_444_800_000, Call::default()), LARDER_MISS),
        // EXISTS: only the server knows whether the moment is past
        sends: Some(&[&["PEXPIREAT", ":1:a", "4102444800000"], &["EXISTS", ":1:a"]]),
    },
    Row {
        call: "set('a', 1, nx=True) existing",
        before: &[],
        perform: |store| {
            store.set("a", Input::Json("2"), Ttl::Default, Call::default())?;
            conditional(store, LARDER_CALL_NX)
        },
        sends: Some(&[&["SET", ":1:a", "2", "PX", "300000"], &["SET", ":1:a", "1", "NX", "PX", "300000"]]),
    },
    Row {
        call: "set('a', 1, xx=True) missing",
        before: &[],
        perform: |store| conditional(store, LARDER_CALL_XX),
        sends: None,
    },
    Row { call: "keys('a*')", before: LISTED, perform: keys, sends: Some(SCANS) },
    Row { call: "iter_keys('a*')", before: LISTED, perform: keys, sends: Some(SCANS) },
    Row {
        call: "delete_pattern('a*')",
        before: &[("ab", Ttl::Default), ("b", Ttl::Default)],
        perform: |store| Ok(golden::from_number(&store.delete_pattern("a*", Call::default(), 0)?.to_string())),
        sends: Some(&[&["SCAN", "0", "MATCH", ":1:a*", "COUNT", "1000"], &["UNLINK", ":1:ab"]]),
    },
];

const LISTED: &[(&str, Ttl)] = &[("ab", Ttl::Default), ("ac", Ttl::Default), ("b", Ttl::Default)];

/// DR-21: 0 for what is missing, None for no expiry, else seconds.
fn seconds(store: &Store) -> Answer<Value> {
    Ok(match store.ttl("a", Call::default())? {
        None => golden::from_number("0"),
        Some(Ttl::Millis(left)) => golden::from_number(&((left + 999) / 1000).to_string()),
        Some(_) => Value::Null,
    })
}

fn keys(store: &Store) -> Answer<Value> {
    let mut keys = store.keys("a*", Call::default())?;
    keys.sort();
    Ok(json!(keys))
}

fn conditional(store: &Store, flags: u32) -> Answer<Value> {
    let call = Call { flags, ..Call::default() };
    truth(store.set("a", Input::Json("1"), Ttl::Default, call), LARDER_NOT_STORED)
}

fn truth(status: Answer<larder_status>, no: larder_status) -> Answer<Value> {
    let status = status?;
    assert!(status == LARDER_OK || status == no, "an unexpected {status}");
    Ok((status == LARDER_OK).into())
}

#[test]
fn the_golden_operations() {
    let data = golden::read(&common::golden("redis_values.json"));
    let server = RedisServer::start();
    let mut monitor = Monitor::watch(&server);
    let (_context, store) = open(DJANGO_REDIS, &server);
    for row in ROWS {
        let wanted = golden::list(&data["operations"])
            .iter()
            .find(|one| golden::text(&one["flavor"]) == "django_redis" && golden::text(&one["call"]) == row.call)
            .unwrap_or_else(|| panic!("the golden data has no {}", row.call));
        server.command(0, &[b"FLUSHDB"]);
        for (key, ttl) in row.before {
            set(&store, key, *ttl);
        }
        monitor.skip();
        let answered = (row.perform)(&store).unwrap();
        let sent: Vec<Vec<String>> = monitor
            .seen()
            .into_iter()
            .map(|command| command.into_iter().map(|one| String::from_utf8(one).unwrap()).collect())
            .collect();
        assert_eq!(answered, golden::read(golden::text(&wanted["result"]["returns"]["json"])), "{}", row.call);
        let listed = |commands: &Value| -> Vec<Vec<String>> { serde_json::from_value(commands.clone()).unwrap() };
        match row.sends {
            Some(sends) => assert_eq!(sent, sends, "{}", row.call),
            None => assert_eq!(sent, listed(&wanted["commands"]), "{}", row.call),
        }
        let mut left: Vec<String> = golden::object(&wanted["keys_after"]).keys().cloned().collect();
        left.sort();
        let mut found = store.keys("*", Call { flags: 1, ..Call::default() }).unwrap();
        found.sort();
        assert_eq!(found, left, "{}", row.call);
    }
}

// DR-23, in both flavours to the millisecond; the server's clock decides.
#[test]
fn expiry_at_a_moment() {
    let server = RedisServer::start();
    for backend in [DJANGO_REDIS, CORE] {
        let (_context, store) = open(backend, &server);
        let at = |key: &str, at_ms: i64| store.expire_at(key, at_ms, Call::default());
        let left = |key: &str| store.ttl(key, Call::default());
        set(&store, "k", Ttl::Forever);
        assert_eq!(at("k", now_ms() + 90_500), Ok(LARDER_OK));
        assert!((60_000..=90_500).contains(&millis(left("k"))));
        let time = server.command(0, &[b"PEXPIRETIME", b":1:k"]);
        let moment = 4_102_444_800_123;
        assert_eq!(at("k", moment), Ok(LARDER_OK));
        if !time.starts_with(b"ERR") {
            assert_eq!(server.command(0, &[b"PEXPIRETIME", b":1:k"]), moment.to_string().as_bytes());
        }
        assert_eq!(store.persist("k", Call::default()), Ok(LARDER_OK));
        assert_eq!(left("k"), Ok(Some(Ttl::Forever)));
        for past in [now_ms() - 1_000, 1, 0, -1, i64::MIN] {
            set(&store, "k", Ttl::Default);
            assert_eq!(at("k", past), Ok(LARDER_NOT_KEPT), "{past}");
            assert_eq!(store.has("k", Call::default()), Ok(LARDER_MISS));
            assert_eq!(at("k", past), Ok(LARDER_MISS), "{past}");
        }
        assert_eq!(at("k", now_ms() + 1_000), Ok(LARDER_MISS));
        assert_eq!(at("k", i64::MAX).unwrap_err().status, LARDER_EINVAL);
        let other = Call::version(Some("2"));
        assert_eq!(store.set("k", Input::Json("1"), Ttl::Forever, other), Ok(LARDER_OK));
        assert_eq!(at("k", now_ms() + 60_000), Ok(LARDER_MISS), "another version");
        assert_eq!(store.expire_at("k", now_ms() + 60_000, other), Ok(LARDER_OK));
        server.command(0, &[b"FLUSHDB"]);
    }
}

// DR-21, DR-23, DR-24: the rest of the family.
#[test]
fn ttl_persist_and_expire() {
    let server = RedisServer::start();
    for backend in [DJANGO_REDIS, CORE] {
        let (_context, store) = open(backend, &server);
        let call = Call::default();
        assert_eq!(store.ttl("none", call), Ok(None));
        assert_eq!(store.persist("none", call), Ok(LARDER_MISS));
        for ttl in [Ttl::Default, Ttl::Forever, Ttl::Millis(5_000), Ttl::Millis(0)] {
            assert_eq!(store.expire("none", ttl, call), Ok(LARDER_MISS));
        }
        set(&store, "k", Ttl::Millis(60_000));
        assert!((30_000..=60_000).contains(&millis(store.ttl("k", call))));
        assert_eq!(store.expire("k", Ttl::Default, call), Ok(LARDER_OK));
        assert!((200_000..=300_000).contains(&millis(store.ttl("k", call))));
        assert_eq!(store.expire("k", Ttl::Forever, call), Ok(LARDER_OK));
        assert_eq!(store.ttl("k", call), Ok(Some(Ttl::Forever)));
        // R-7, DR-24: there is no expiry to remove
        assert_eq!(store.expire("k", Ttl::Forever, call), Ok(LARDER_MISS));
        assert_eq!(store.persist("k", call), Ok(LARDER_MISS));
        for spent in [0, -1, i64::MIN + 1] {
            set(&store, "k", Ttl::Forever);
            assert_eq!(store.expire("k", Ttl::Millis(spent), call), Ok(LARDER_NOT_KEPT), "{spent}");
            assert_eq!(store.has("k", call), Ok(LARDER_MISS));
        }
        set(&store, "k", Ttl::Forever);
        // T-3, T-5: whole seconds in core
        let half = if backend == CORE { LARDER_NOT_KEPT } else { LARDER_OK };
        assert_eq!(store.expire("k", Ttl::Millis(900), call), Ok(half));
        server.command(0, &[b"FLUSHDB"]);
    }
}

// The general form: what is left, by this machine's clock and as each backend counts.
#[test]
fn expiry_at_a_moment_elsewhere() {
    let folder = std::env::temp_dir().join(format!("larder-ttl-{}", std::process::id()));
    let config = json!({
        "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "file": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": folder},
    });
    let context = Context::open(&config.to_string()).unwrap();
    for alias in ["memory", "file"] {
        let store = context.store(alias).unwrap();
        let at = |at_ms: i64| store.expire_at("k", at_ms, Call::default());
        assert_eq!(at(now_ms() + 60_000), Ok(LARDER_MISS), "{alias}");
        set(&store, "k", Ttl::Forever);
        assert_eq!(at(now_ms() + 60_000), Ok(LARDER_OK));
        assert!((30_000..=60_000).contains(&millis(store.ttl("k", Call::default()))), "{alias}");
        assert_eq!(at(now_ms() - 1), Ok(LARDER_NOT_KEPT), "{alias}");
        assert_eq!(store.has("k", Call::default()), Ok(LARDER_MISS));
        for at_ms in [i64::MIN, i64::MAX] {
            assert_eq!(at(at_ms), Ok(LARDER_MISS), "{alias}");
        }
    }
    let _ = std::fs::remove_dir_all(folder);
}
