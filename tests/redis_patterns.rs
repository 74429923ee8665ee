//! Removing keys by pattern and by prefix, in large key spaces, without ever blocking the server.
#![cfg(all(feature = "memory", feature = "redis", feature = "diskcache"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::client::{Call, Context, Input, Store, Ttl};
use common::redis::{Monitor, RedisClient, RedisServer};
use larder::capi::status::{LARDER_EINVAL, LARDER_ETIMEOUT, LARDER_EUNSUPPORTED, LARDER_OK};
use larder::capi::upkeep::LARDER_CLEAR_PREFIX;
use serde_json::json;

/// Time enough for large key spaces, in ms.
const LONG: i64 = 60_000;
const FINAL: Call<'_> = Call { version: None, flags: 1 };

fn open(server: &RedisServer, prefix: &str) -> (Context, Store) {
    let config = json!({"default": {
        "BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url(0), "KEY_PREFIX": prefix}});
    let context = Context::open(&config.to_string()).unwrap();
    let store = context.store("default").unwrap();
    (context, store)
}

/// Makes `count` keys `head` + number + `tail`, by the server itself.
fn fill(server: &RedisServer, head: &str, count: u64, tail: &str) {
    const SCRIPT: &[u8] = b"for n = ARGV[3], ARGV[4] do redis.call('SET', ARGV[1] .. n .. ARGV[2], 'x') end";
    for first in (0..count).step_by(10_000) {
        let (from, to) = (first.to_string(), (count.min(first + 10_000) - 1).to_string());
        server.command(0, &[b"EVAL", SCRIPT, b"0", head.as_bytes(), tail.as_bytes(), from.as_bytes(), to.as_bytes()]);
    }
}

fn size(server: &RedisServer) -> u64 {
    String::from_utf8(server.command(0, &[b"DBSIZE"])).unwrap().parse().unwrap()
}

/// Only SCAN and UNLINK were sent, and each asked for and named few keys. How many keys were named.
fn only_short_steps(seen: &[Vec<Vec<u8>>]) -> usize {
    let (mut scans, mut named) = (0, 0);
    for command in seen {
        match &command[0][..] {
            b"SCAN" => {
                assert_eq!((&command[4][..], &command[5][..]), (&b"COUNT"[..], &b"1000"[..]));
                scans += 1;
            }
            b"UNLINK" => {
                assert!(command.len() <= 1001, "{} keys in one command", command.len() - 1);
                named += command.len() - 1;
            }
            other => panic!("it sent {}", String::from_utf8_lossy(other)),
        }
    }
    assert!(scans > 0);
    named
}

#[test]
fn two_hundred_thousand_of_three_hundred_thousand() {
    let server = RedisServer::start();
    let (_context, store) = open(&server, "");
    fill(&server, ":1:user:", 200_000, ":profile");
    fill(&server, ":1:item:", 50_000, "");
    fill(&server, ":2:user:", 50_000, ":profile");
    assert_eq!(size(&server), 300_000);
    let mut monitor = Monitor::watch(&server);
    store.has("warm", Call::default()).unwrap();
    monitor.skip();
    assert_eq!(store.delete_pattern("user:*", Call::default(), LONG), Ok(200_000));
    assert_eq!(only_short_steps(&monitor.seen()), 200_000);
    assert_eq!(size(&server), 100_000);
    assert_eq!(store.delete_pattern("user:*", Call::default(), LONG), Ok(0));
    // the same for a prefix, in steps as short
    monitor.skip();
    assert_eq!(store.clear(LARDER_CLEAR_PREFIX, Call::version(Some("2"))), Ok(LARDER_OK));
    assert_eq!(only_short_steps(&monitor.seen()), 50_000);
    assert_eq!(store.keys("item:4999*", Call::default()).unwrap().len(), 11);
    assert_eq!(size(&server), 50_000);
}

// Keys that come and go meanwhile are nobody's promise; those that are there all the time are removed, others stay.
#[test]
fn others_write_meanwhile() {
    let server = RedisServer::start();
    let (_context, store) = open(&server, "");
    fill(&server, ":1:user:", 60_000, "");
    fill(&server, ":1:item:", 30_000, "");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (over, port) = (&over, server.port());
            scope.spawn(move || {
                let mut client = RedisClient::connect(port);
                let mut number = 0;
                while !over.load(Ordering::SeqCst) {
                    number += 1;
                    client.command(&[b"SET", format!(":1:user:new{writer}:{number}").as_bytes(), b"x"]);
                    client.command(&[b"SET", format!(":1:other:{writer}:{number}").as_bytes(), b"x"]);
                    client.command(&[b"DEL", format!(":1:user:{}", 59_999 - number % 10_000).as_bytes()]);
                }
            });
        }
        let removed = store.delete_pattern("user:[0-9]*", Call::default(), LONG);
        over.store(true, Ordering::SeqCst);
        assert!((49_000..=60_000).contains(&removed.unwrap()));
    });
    assert_eq!(store.keys("user:[0-9]*", Call::default()).unwrap().len(), 0);
    assert_eq!(store.delete_pattern("item:*", Call::default(), LONG), Ok(30_000));
    assert!(store.delete_pattern("user:new*", Call::default(), LONG).unwrap() > 0);
    assert!(store.delete_pattern("other:*", Call::default(), LONG).unwrap() > 0);
    assert_eq!(size(&server), 0);
}

// The deadline is the whole call's; what is left can be removed by the same call.
#[test]
fn a_deadline_in_the_middle() {
    let server = RedisServer::start();
    let (_context, store) = open(&server, "");
    fill(&server, ":1:user:", 150_000, "");
    store.has("warm", Call::default()).unwrap();
    let mut timeout = 400;
    let failure = loop {
        // on a quick machine less is enough
        match store.delete_pattern("user:*", Call::default(), timeout) {
            Err(failure) => break failure,
            Ok(_) => fill(&server, ":1:user:", 150_000, ""),
        }
        timeout /= 2;
        assert!(timeout > 0, "it never takes a millisecond");
    };
    assert_eq!(failure.status, LARDER_ETIMEOUT);
    assert!(failure.message.contains(" keys were removed until then, do it again for the others"), "{failure:?}");
    let left = size(&server);
    assert!(left > 0, "it failed with nothing left to do");
    let removed = store.delete_pattern("user:*", Call::default(), LONG).unwrap();
    // what was under way when the time was over may have been removed before or after the look
    assert!(removed <= left && left - removed <= 1_000, "{removed} of {left}");
    assert_eq!(size(&server), 0);
}

// DR-26: a prefix is no pattern, and nothing outside of it is touched.
#[test]
fn hostile_prefixes() {
    let server = RedisServer::start();
    let prefixes =
        ["*", "?", "[a-z]", "we*ird", "\\", "a\\*b", "[", "]", "^", "[^x]", "a-z", "{tag}", "é*", "", "x:1:*"];
    for prefix in prefixes {
        for (key, how) in [("one", 0), ("two", 1)] {
            server.command(0, &[b"FLUSHDB"]);
            let (_context, store) = open(&server, prefix);
            for bystander in ["", "a", "b", "z", "weXird", "a*b", "x", "\\", "\\*", "tag"] {
                if bystander != prefix {
                    server.command(0, &[b"SET", format!("{bystander}:1:{key}").as_bytes(), b"x"]);
                }
            }
            let others = size(&server);
            assert_eq!(store.set(key, Input::Text("x"), Ttl::Forever, Call::default()), Ok(LARDER_OK));
            assert_eq!(size(&server), others + 1, "{prefix}");
            if how == 0 {
                assert_eq!(store.delete_pattern("*", Call::default(), LONG), Ok(1), "{prefix}");
            } else {
                assert_eq!(store.clear(LARDER_CLEAR_PREFIX, Call::default()), Ok(LARDER_OK));
            }
            assert_eq!(size(&server), others, "{prefix}");
        }
    }
}

#[test]
fn patterns_are_redis_globs() {
    let server = RedisServer::start();
    let (_context, store) = open(&server, "site");
    let keys = ["a", "ab", "abc", "b", "a*", "a[x]", "a?", "é", "a\\b", ""];
    let cases: [(&str, Call<'_>, &[&str]); 12] = [
        ("a", Call::default(), &["a"]),
        ("a*", Call::default(), &["a", "ab", "abc", "a*", "a[x]", "a?", "a\\b"]),
        ("a?", Call::default(), &["ab", "a*", "a?"]),
        ("[ab]", Call::default(), &["a", "b"]),
        ("[^a]", Call::default(), &["b"]),
        ("a\\*", Call::default(), &["a*"]),
        ("a\\\\b", Call::default(), &["a\\b"]),
        ("é", Call::default(), &["é"]),
        ("", Call::default(), &[""]),
        ("*", Call::default(), &keys),
        ("site:1:b", FINAL, &["b"]),
        ("*", FINAL, &keys),
    ];
    for (pattern, call, wanted) in cases {
        for key in keys {
            assert_eq!(store.set(key, Input::Text("x"), Ttl::Forever, Call::default()), Ok(LARDER_OK));
        }
        assert_eq!(store.delete_pattern(pattern, call, LONG), Ok(wanted.len() as u64), "{pattern}");
        let mut left = store.keys("*", Call::default()).unwrap();
        left.sort_unstable();
        let mut others: Vec<&str> = keys.into_iter().filter(|key| !wanted.contains(key)).collect();
        others.sort_unstable();
        assert_eq!(left, others, "{pattern}");
    }
}

// The general form: list and remove.
#[test]
fn other_backends() {
    let folder = std::env::temp_dir().join(format!("larder-patterns-{}", std::process::id()));
    let config = json!({
        "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}},
        "disk": {"BACKEND": "diskcache.DjangoCache", "LOCATION": folder.join("disk"), "SHARDS": 2},
        "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        "file": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": folder.join("files")},
    });
    let context = Context::open(&config.to_string()).unwrap();
    for alias in ["memory", "disk"] {
        let store = context.store(alias).unwrap();
        let items: Vec<(String, &str)> = (0..600).map(|number| (format!("user:{number}"), "1")).collect();
        let items: Vec<(&str, &str)> = items.iter().map(|(key, json)| (key.as_str(), *json)).collect();
        assert_eq!(store.set_many(&items, Ttl::Forever, Call::default()).unwrap().0, LARDER_OK);
        let other = Call::version(Some("2"));
        assert_eq!(store.set("user:1", Input::Text("x"), Ttl::Forever, other), Ok(LARDER_OK));
        assert_eq!(store.set("item", Input::Text("x"), Ttl::Forever, Call::default()), Ok(LARDER_OK));
        assert_eq!(store.delete_pattern("user:1*", Call::default(), LONG), Ok(111), "{alias}");
        assert_eq!(store.delete_pattern("user:*", Call::default(), LONG), Ok(489), "{alias}");
        assert_eq!(store.keys("*", Call::default()).unwrap(), ["item"]);
        assert_eq!(store.has("user:1", other), Ok(LARDER_OK));
    }
    assert_eq!(context.store("dummy").unwrap().delete_pattern("*", Call::default(), LONG), Ok(0));
    let refused = context.store("file").unwrap().delete_pattern("*", Call::default(), LONG).unwrap_err();
    assert!(refused.status == LARDER_EUNSUPPORTED && !refused.message.contains("do it again"), "{refused:?}");
    let store = context.store("memory").unwrap();
    assert_eq!(store.delete_pattern("*", Call::default(), -1).unwrap_err().status, LARDER_EINVAL);
    let _ = std::fs::remove_dir_all(folder);
}
