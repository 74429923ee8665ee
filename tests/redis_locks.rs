//! Locks, between larder and redis-py's Lock as django-redis hands it out (DR-27).
#![cfg(all(feature = "memory", feature = "file", feature = "redis"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

#[path = "c/driver.rs"]
mod driver;
#[path = "redis_locks/faults.rs"]
mod faults;
#[path = "redis_locks/later.rs"]
mod later;

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::client::{Call, Context, Input, Store, Ttl};
use common::python::{Partner, interpreter};
use common::redis::RedisServer;
use larder::capi::status::{
    LARDER_ECONNECTION, LARDER_EINVAL, LARDER_ETYPE, LARDER_EUNSUPPORTED, LARDER_MISS, LARDER_OK,
};
use serde_json::{Value, json};

const MINUTE: Ttl = Ttl::Millis(60_000);

fn config(server: &RedisServer, options: &Value) -> String {
    let entry =
        |backend: &str, options: &Value| json!({"BACKEND": backend, "LOCATION": server.url(0), "OPTIONS": options});
    json!({
        "default": entry("django_redis.cache.RedisCache", options),
        "core": entry("django.core.cache.backends.redis.RedisCache", &json!({})),
        "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "file": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": concat!(env!("CARGO_TARGET_TMPDIR"), "/locks"),
        },
        "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    })
    .to_string()
}

fn open(server: &RedisServer) -> (Context, Store) {
    let context = Context::open(&config(server, &json!({}))).unwrap();
    let store = context.store("default").unwrap();
    (context, store)
}

/// A Python process that uses the server.
fn python(server: &RedisServer) -> Partner {
    let mut python = Partner::start("redis_locks/partner.py");
    python.must("connect", json!({"location": server.url(0)}));
    python
}

fn pttl(server: &RedisServer, key: &str) -> i64 {
    String::from_utf8(server.command(0, &[b"PTTL", key.as_bytes()])).unwrap().parse().unwrap()
}

#[test]
fn a_lock_is_a_key_with_its_token() {
    let server = RedisServer::start();
    let (_context, store) = open(&server);
    let token = store.lock("one", MINUTE, 0, 0).unwrap().unwrap();
    assert_eq!(server.command(0, &[b"GET", b":1:one"]), token.as_bytes());
    assert!((55_000..=60_000).contains(&pttl(&server, ":1:one")));
    assert_eq!(store.lock("one", MINUTE, 0, 0), Ok(None));
    assert_eq!(store.unlock("one", "no token of it"), Ok(LARDER_MISS));
    assert_eq!(store.unlock("one", &token), Ok(LARDER_OK));
    assert_eq!(store.unlock("one", &token), Ok(LARDER_MISS));
    let other = store.lock("one", Ttl::Forever, 0, 0).unwrap().unwrap();
    assert!(other != token && pttl(&server, ":1:one") == -1);
    assert_eq!(store.unlock("one", &token), Ok(LARDER_MISS), "the old token");
    assert_eq!(store.unlock("one", &other), Ok(LARDER_OK));
    assert_eq!(server.command(0, &[b"DBSIZE"]), b"0");
}

// In both flavours, to the millisecond.
#[test]
fn core_redis_has_locks_too() {
    let server = RedisServer::start();
    let (context, store) = open(&server);
    let core = context.store("core").unwrap();
    let token = core.lock("one", Ttl::Millis(1500), 0, 0).unwrap().unwrap();
    assert!((1_000..=1_500).contains(&pttl(&server, ":1:one")));
    assert_eq!(store.lock("one", MINUTE, 0, 0), Ok(None));
    assert_eq!(store.unlock("one", &token), Ok(LARDER_OK));
}

#[test]
fn who_waits_gets_it_when_it_is_free() {
    let server = RedisServer::start();
    let (_context, store) = open(&server);
    let token = store.lock("one", MINUTE, 0, 0).unwrap().unwrap();
    let begin = Instant::now();
    assert_eq!(store.lock("one", MINUTE, 250, 0), Ok(None));
    assert!(begin.elapsed() >= Duration::from_millis(250));
    // the call's deadline ends the waiting too, without a failure
    let begin = Instant::now();
    assert_eq!(store.lock("one", MINUTE, -1, 400), Ok(None));
    assert!((Duration::from_millis(250)..Duration::from_secs(20)).contains(&begin.elapsed()));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| store.lock("one", MINUTE, 30_000, 60_000));
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(store.unlock("one", &token), Ok(LARDER_OK));
        let second = waiting.join().unwrap().unwrap().unwrap();
        assert_ne!(second, token);
        // and one whose time is over is free
        assert_eq!(store.extend_lock("one", &second, Ttl::Millis(100), true), Ok(LARDER_OK));
        assert!(store.lock("one", MINUTE, 30_000, 60_000).unwrap().is_some());
        assert_eq!(store.unlock("one", &second), Ok(LARDER_MISS));
    });
}

// A waiting lock does not ask all the time.
#[test]
fn waiting_is_not_busy() {
    let server = RedisServer::start();
    let (_context, store) = open(&server);
    store.lock("one", MINUTE, 0, 0).unwrap().unwrap();
    server.command(0, &[b"CONFIG", b"RESETSTAT"]);
    assert_eq!(store.lock("one", MINUTE, 1_000, 0), Ok(None));
    let stats = String::from_utf8(server.command(0, &[b"INFO", b"commandstats"])).unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_eval:calls=")).unwrap();
    let calls: u32 = calls.split(',').next().unwrap().parse().unwrap();
    assert!((2..=15).contains(&calls), "{calls} attempts in a second");
}

#[test]
fn python_and_larder_keep_each_other_out() {
    let server = RedisServer::start();
    let (_context, store) = open(&server);
    let mut python = python(&server);
    let token = store.lock("one", MINUTE, 0, 0).unwrap().unwrap();
    assert_eq!(python.must("lock", json!({"key": "one", "blocking": false})), false);
    assert_eq!(python.must("lock", json!({"key": "one", "blocking_timeout": 0.2})), false);
    assert_eq!(store.unlock("one", &token), Ok(LARDER_OK));
    assert_eq!(python.must("lock", json!({"key": "one", "timeout": 60, "blocking": false})), true);
    assert_eq!(store.lock("one", MINUTE, 200, 0), Ok(None));
    assert_eq!(python.must("token", json!({"key": "one"})).as_str().unwrap().len(), 32, "the same shape");
    python.must("unlock", json!({"key": "one"}));
    // Python waits for larder
    let token = store.lock("one", MINUTE, 0, 0).unwrap().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| python.must("lock", json!({"key": "one", "timeout": 60, "blocking_timeout": 30})));
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(store.unlock("one", &token), Ok(LARDER_OK));
        assert_eq!(waiting.join().unwrap(), true);
    });
    // larder waits for Python
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| store.lock("one", MINUTE, 30_000, 60_000));
        std::thread::sleep(Duration::from_millis(150));
        python.must("unlock", json!({"key": "one"}));
        assert!(waiting.join().unwrap().unwrap().is_some());
    });
}

#[test]
fn an_expired_lock_is_lost_on_both_sides() {
    let server = RedisServer::start();
    let (_context, store) = open(&server);
    let mut python = python(&server);
    let token = store.lock("one", Ttl::Millis(150), 0, 0).unwrap().unwrap();
    assert_eq!(python.must("lock", json!({"key": "one", "timeout": 0.2, "blocking_timeout": 30})), true);
    assert_eq!(store.unlock("one", &token), Ok(LARDER_MISS));
    assert_eq!(store.extend_lock("one", &token, MINUTE, true), Ok(LARDER_MISS));
    let token = store.lock("one", MINUTE, 30_000, 60_000).unwrap().unwrap();
    let raised = python.ask("unlock", json!({"key": "one"})).unwrap_err();
    assert!(raised.starts_with("LockNotOwnedError"), "{raised}");
    assert_eq!(store.unlock("one", &token), Ok(LARDER_OK));
}

#[test]
fn each_side_extends_the_locks_of_the_other() {
    let server = RedisServer::start();
    let (_context, store) = open(&server);
    let mut python = python(&server);
    let left = || pttl(&server, ":1:one") / 1000;
    assert_eq!(python.must("lock", json!({"key": "one", "timeout": 60})), true);
    let token = python.must("token", json!({"key": "one"})).as_str().unwrap().to_owned();
    assert_eq!(store.extend_lock("one", &token, MINUTE, false), Ok(LARDER_OK));
    assert!((100..=120).contains(&left()), "{}", left());
    assert_eq!(python.must("extend", json!({"key": "one", "seconds": 60, "replace": false})), true);
    assert!((150..=180).contains(&left()), "{}", left());
    assert_eq!(store.extend_lock("one", &token, MINUTE, true), Ok(LARDER_OK));
    assert!((40..=60).contains(&left()), "{}", left());
    assert_eq!(python.must("extend", json!({"key": "one", "seconds": 300, "replace": true})), true);
    assert!((280..=300).contains(&left()), "{}", left());
    assert_eq!(python.must("reacquire", json!({"key": "one"})), true);
    assert!((40..=60).contains(&left()), "{}", left());
    assert_eq!(store.unlock("one", &token), Ok(LARDER_OK), "by Python's token");
    assert_eq!(python.must("owned", json!({"key": "one"})), false);

    let token = store.lock("two", MINUTE, 0, 0).unwrap().unwrap();
    python.must("adopt", json!({"key": "two", "token": token, "timeout": 60}));
    assert_eq!(python.must("owned", json!({"key": "two"})), true);
    assert_eq!(python.must("extend", json!({"key": "two", "seconds": 60, "replace": false})), true);
    assert!((100..=120).contains(&(pttl(&server, ":1:two") / 1000)));
    python.must("unlock", json!({"key": "two"}));
    assert_eq!(store.unlock("two", &token), Ok(LARDER_MISS));
}

// As redis-py's scripts: adding to what never expires is refused, reacquire() gives it a time.
#[test]
fn extending_a_lock_that_never_expires() {
    let server = RedisServer::start();
    let (_context, store) = open(&server);
    let mut python = python(&server);
    let token = store.lock("one", Ttl::Forever, 0, 0).unwrap().unwrap();
    python.must("adopt", json!({"key": "one", "token": token, "timeout": 60}));
    assert!(python.ask("extend", json!({"key": "one", "seconds": 60, "replace": false})).is_err());
    assert_eq!(store.extend_lock("one", &token, MINUTE, false), Ok(LARDER_MISS));
    assert_eq!(pttl(&server, ":1:one"), -1);
    assert_eq!(store.extend_lock("one", &token, MINUTE, true), Ok(LARDER_OK));
    assert!(pttl(&server, ":1:one") > 50_000);
    let token = store.lock("two", Ttl::Forever, 0, 0).unwrap().unwrap();
    python.must("adopt", json!({"key": "two", "token": token, "timeout": 60}));
    assert_eq!(python.must("reacquire", json!({"key": "two"})), true);
    // the longest that both can count
    let token = store.lock("three", Ttl::Millis(i64::MAX / 4), 0, 0).unwrap().unwrap();
    assert_eq!(store.extend_lock("three", &token, Ttl::Millis(i64::MAX / 4), false), Ok(LARDER_OK));
    assert!(pttl(&server, ":1:three") > i64::MAX / 4);
}

#[test]
fn what_is_no_lock() {
    let server = RedisServer::start();
    let (context, store) = open(&server);
    for ttl in [Ttl::Millis(0), Ttl::Millis(-1), Ttl::Default] {
        let refused = store.lock("one", ttl, 0, 0).unwrap_err();
        assert!(refused.status == LARDER_EINVAL && refused.message.contains("a lock"), "{refused:?}");
        assert_eq!(store.extend_lock("one", "token", ttl, true).unwrap_err().status, LARDER_EINVAL);
    }
    assert_eq!(store.extend_lock("one", "token", Ttl::Forever, true).unwrap_err().status, LARDER_EINVAL);
    assert_eq!(store.lock("one", Ttl::Millis(i64::MAX - 1), 0, 0).unwrap_err().status, LARDER_EINVAL);
    // other keys are no locks, but keep others out as in Python
    server.command(0, &[b"HSET", b":1:hash", b"a", b"b"]);
    assert_eq!(store.lock("hash", MINUTE, 0, 0), Ok(None));
    assert_eq!(store.unlock("hash", "token").unwrap_err().status, LARDER_ETYPE);
    assert_eq!(store.set("value", Input::Text("value"), MINUTE, Call::default()), Ok(LARDER_OK));
    assert_eq!(store.lock("value", MINUTE, 0, 0), Ok(None));
    assert_eq!(store.unlock("value", "value"), Ok(LARDER_MISS), "a pickle");
    assert_eq!(store.unlock("none", ""), Ok(LARDER_MISS));
    for alias in ["memory", "file", "dummy"] {
        let other = context.store(alias).unwrap();
        for refused in [
            other.lock("one", MINUTE, 0, 0).map(drop),
            other.unlock("one", "token").map(drop),
            other.extend_lock("one", "token", MINUTE, true).map(drop),
        ] {
            assert_eq!(refused.unwrap_err().status, LARDER_EUNSUPPORTED, "{alias}");
        }
    }
}

// DR-16: IGNORE_EXCEPTIONS never hides that a lock could not be had.
#[test]
fn failures_of_locks_are_never_ignored() {
    let server = RedisServer::start();
    let context = Context::open(&config(&server, &json!({"IGNORE_EXCEPTIONS": true}))).unwrap();
    drop(server);
    let store = context.store("default").unwrap();
    assert_eq!(store.lock("one", MINUTE, 1_000, 0).unwrap_err().status, LARDER_ECONNECTION);
    assert_eq!(store.unlock("one", "token").unwrap_err().status, LARDER_ECONNECTION);
    assert_eq!(store.extend_lock("one", "token", MINUTE, false).unwrap_err().status, LARDER_ECONNECTION);
}

// Where reads go to replicas: locks, moments and patterns are the first server's business, on both faces.
#[test]
fn the_first_server_keeps_the_locks() {
    let servers = [RedisServer::start(), RedisServer::start(), RedisServer::start()];
    let locations: Vec<String> = servers.iter().map(|server| server.url(0)).collect();
    let config = json!({"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": locations}});
    let context = Context::open(&config.to_string()).unwrap();
    let store = context.store("default").unwrap();
    for _ in 0..10 {
        let token = store.lock("one", MINUTE, 0, 0).unwrap().unwrap();
        assert_eq!(servers[0].command(0, &[b"GET", b":1:one"]), token.as_bytes());
        assert_eq!(store.lock("one", MINUTE, 20, 0), Ok(None));
        assert_eq!(store.extend_lock("one", &token, MINUTE, true), Ok(LARDER_OK));
        assert_eq!(store.expire_at("one", 4_102_444_800_000, Call::default()), Ok(LARDER_OK));
        assert_eq!(store.unlock("one", &token), Ok(LARDER_OK));
        for server in &servers {
            server.command(0, &[b"SET", b":1:user", b"1"]);
        }
        assert_eq!(store.delete_pattern("user*", Call::default(), 0), Ok(1));
        assert_eq!(servers[0].command(0, &[b"DBSIZE"]), b"0");
        assert!(servers[1..].iter().all(|server| server.command(0, &[b"DBSIZE"]) == b"1"));
    }
}

const SECONDS: &str = "10";

// The counter is read and written in two steps: only the lock makes it exact.
#[test]
fn eight_processes_contend_for_ten_seconds() {
    let server = RedisServer::start();
    let program = driver::build("tests/c/contend.c", driver::Link::Dynamic);
    let counts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..8 {
            let mut command = if number < 4 {
                Command::new(&program)
            } else {
                let mut python = Command::new(interpreter());
                python.arg(driver::root().join("tests/redis_locks/contend.py"));
                python
            };
            command.args([&server.url(0), SECONDS]).stdin(Stdio::null()).env_remove("LD_LIBRARY_PATH");
            let counts = &counts;
            scope.spawn(move || {
                let output = command.output().unwrap();
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
                counts.lock().unwrap().push((number, said.trim().parse::<u64>().unwrap()));
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    let sum: u64 = counts.iter().map(|(_, count)| count).sum();
    assert_eq!(server.command(0, &[b"GET", b":1:counter"]), sum.to_string().as_bytes(), "{counts:?}");
    assert!(counts.iter().all(|(_, count)| *count > 0), "{counts:?}");
    assert_eq!(server.command(0, &[b"EXISTS", b":1:contest"]), b"0");
    println!("{sum} times: {counts:?}");
}
