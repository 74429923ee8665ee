//! The Redis backend against a real server: commands, results and state as the golden data has them.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use common::flight::{NoRuntime, config_for};
use common::redis::{Monitor, RedisServer};
use larder::backend::redis;
use larder::backend::{Backend, Counted, Entry, Spawner, Touched, When, Written};
use larder::config::{self, Address, Flavor};
use larder::error::{Error, Kind, Result};
use larder::key::MadeKey;
use larder::log::Silent;
use larder::timeout::{Budget, Ttl};
use serde_json::Value;

const BUDGET: Budget = Budget::new(Duration::from_secs(20));

/// Refuses to run anything, as after shutdown: many callers at once would share a connection on the runtime, and have
/// to get along without.
struct Refusing;

impl Spawner for Refusing {
    fn prepare(&self) -> Result<()> {
        Err(Error::new(Kind::Shutdown, "refused"))
    }

    fn spawn(&self, _: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()> {
        panic!("it was refused before")
    }

    fn spawn_blocking(&self, _: Box<dyn FnOnce() + Send>) -> Result<()> {
        panic!("it was refused before")
    }
}

fn settings(flavor: Flavor, address: Address) -> config::Redis {
    let mut config = config_for(address, flavor);
    config.server.database = 0;
    config.max_connections = 100;
    config
}

fn tcp(server: &RedisServer) -> Address {
    Address::Tcp("127.0.0.1".into(), server.port())
}

fn open(flavor: Flavor, server: &RedisServer) -> Arc<dyn Backend> {
    redis::open(settings(flavor, tcp(server)), Arc::new(NoRuntime), Arc::new(Silent))
}

fn key(text: &str) -> MadeKey {
    MadeKey::as_is(text)
}

fn flavor_of(row: &Value) -> Flavor {
    match row["flavor"].as_str().unwrap() {
        "django" => Flavor::Core,
        "django_redis" => Flavor::DjangoRedis,
        other => panic!("unknown flavor {other}"),
    }
}

fn base64(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

fn commands_of(row: &Value) -> Vec<Vec<Vec<u8>>> {
    let argument = |one: &Value| match one.as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => base64(one["b64"].as_str().unwrap()),
    };
    let list = |value: &Value| value.as_array().unwrap().clone();
    list(&row["commands"]).iter().map(|command| list(command).iter().map(argument).collect()).collect()
}

fn golden_rows(section: &str) -> Vec<Value> {
    let mut document: Value = serde_json::from_str(&common::golden("redis_values.json")).unwrap();
    let Value::Array(rows) = document[section].take() else { panic!("no section {section}") };
    assert!(rows.len() > 40, "{section} has few rows");
    rows
}

/// A call's timeout as a time to live: milliseconds, cut as both packages cut them.
#[allow(clippy::cast_possible_truncation)]
fn ttl_of(row: &Value) -> Ttl {
    match row["timeout"].as_str().unwrap() {
        "default" => Ttl::Millis(300_000),
        "default with TIMEOUT None" | "None" => Ttl::Forever,
        "true" => Ttl::Millis(1000),
        number => Ttl::Millis((number.parse::<f64>().unwrap() * 1000.0) as i64),
    }
}

// T, R-6, R-7, DR-19, DR-24: every row of the golden section.
#[test]
fn times_to_live_are_sent_and_counted_as_python_does() {
    let server = RedisServer::start();
    let mut monitor = Monitor::watch(&server);
    let caches = [open(Flavor::Core, &server), open(Flavor::DjangoRedis, &server)];
    for row in golden_rows("timeouts") {
        let cache = &caches[usize::from(flavor_of(&row) == Flavor::DjangoRedis)];
        let new: &[u8] = if flavor_of(&row) == Flavor::Core {
            b"\x80\x05\x95\x07\0\0\0\0\0\0\0\x8c\x03new\x94."
        } else {
            b"\x80\x04\x95\x07\0\0\0\0\0\0\0\x8c\x03new\x94."
        };
        server.command(0, &[b"FLUSHALL"]);
        if row["key_exists_before"] == true {
            server.command(0, &[b"SET", b":1:t", b"old", b"EX", b"1000"]);
        }
        monitor.skip();
        let expected = commands_of(&row);
        let first = expected[0][0].as_slice();
        let ttl = ttl_of(&row);
        match row["op"].as_str().unwrap() {
            "set" => {
                let wanted = match row["result"].as_str().unwrap() {
                    "False" => Written::NotStored,
                    _ if first == b"DEL" => Written::NotKept,
                    _ => Written::Stored,
                };
                assert_eq!(cache.set(&key(":1:t"), new.into(), ttl, When::Always, BUDGET).unwrap(), wanted, "{row}");
            }
            "add" => {
                let wanted = match row["result"].as_str().unwrap() {
                    "False" => Written::NotStored,
                    _ if first == b"EXISTS" || expected.len() > 1 => Written::NotKept,
                    _ => Written::Stored,
                };
                assert_eq!(cache.set(&key(":1:t"), new.into(), ttl, When::Missing, BUDGET).unwrap(), wanted, "{row}");
            }
            "touch" => {
                let wanted = match row["result"].as_str().unwrap() {
                    "False" => Touched::Missing,
                    _ if row["pttl_class"] == "missing" => Touched::NotKept,
                    _ => Touched::Changed,
                };
                assert_eq!(cache.touch(&key(":1:t"), ttl, BUDGET).unwrap(), wanted, "{row}");
            }
            "set_many" => {
                let entries = [
                    Entry { key: key(":1:t"), value: Bytes::copy_from_slice(new).into() },
                    Entry { key: key(":1:u"), value: Bytes::from_static(b"5").into() },
                ];
                let failed = cache.set_many(&entries, ttl, BUDGET).unwrap();
                assert!(failed.len() == 2 && failed.iter().all(Option::is_none), "{row}");
            }
            other => panic!("unknown operation {other}"),
        }
        assert_eq!(monitor.seen(), expected, "{row}");
        check_state(cache, &row, new);
    }
}

fn check_state(cache: &Arc<dyn Backend>, row: &Value, new: &[u8]) {
    let left = cache.ttl(&key(":1:t"), BUDGET).unwrap();
    match (row["pttl_class"].as_str().unwrap(), left) {
        ("missing", None) | ("persistent", Some(Ttl::Forever)) => {}
        ("expiring", Some(Ttl::Millis(left))) => {
            let about = row["pttl_about_ms"].as_i64().unwrap();
            assert!(left <= about && left > about - 100_000, "{left} ms left: {row}");
        }
        ("expiring", None) if row["pttl_about_ms"].as_i64().unwrap() < 2000 => return, // a slow machine
        (_, left) => panic!("{left:?}: {row}"),
    }
    let value = cache.get(&key(":1:t"), BUDGET).unwrap().map(|value| value.bytes);
    match row["value_after"].as_str() {
        Some("\"new\"") => assert!(value.is_none_or(|value| value == new), "{row}"),
        Some("\"old\"") => assert!(value.is_none_or(|value| value == "old"), "{row}"),
        _ => assert_eq!(value, None, "{row}"),
    }
}

/// Does what a golden call does, as far as it is the backend's part; `false` where it is the store's.
fn perform(cache: &Arc<dyn Backend>, call: &str) -> bool {
    let n = key(":1:n");
    let a = key(":1:a");
    let keys = ["a", "b", "zz"].map(|name| key(&format!(":1:{name}")));
    let incr = |delta| cache.incr(&n, delta, BUDGET);
    match call {
        "get('a') missing" | "get('a', 'dflt') missing" => assert_eq!(cache.get(&a, BUDGET).unwrap(), None),
        "get('a') after set('a', 7)" => assert_eq!(cache.get(&a, BUDGET).unwrap().unwrap().bytes, "7"),
        "get_many(['a','b','zz'])" => {
            let found = cache.get_many(&keys, BUDGET).unwrap();
            assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
            assert_eq!(found[0].as_ref().unwrap().bytes, "1");
        }
        "get_many([])" => assert!(cache.get_many(&[], BUDGET).unwrap().is_empty()),
        "has_key('a')" => assert!(cache.has(&a, BUDGET).unwrap()),
        "delete('a') existing" => assert!(cache.delete(&a, BUDGET).unwrap()),
        "delete('a') missing" => assert!(!cache.delete(&a, BUDGET).unwrap()),
        "delete_many(['a','b','c'])" => {
            let keys = ["a", "b", "c"].map(|name| key(&format!(":1:{name}")));
            assert_eq!(cache.delete_many(&keys, BUDGET).unwrap(), 2);
        }
        "delete_many([])" => assert_eq!(cache.delete_many(&[], BUDGET).unwrap(), 0),
        "incr('n')" => assert_eq!(incr(1).unwrap(), Counted::Now(42)),
        "incr('n', 5)" => assert_eq!(incr(5).unwrap(), Counted::Now(46)),
        "decr('n', 5)" => assert_eq!(incr(-5).unwrap(), Counted::Now(-2)),
        "incr('n') missing" => assert_eq!(incr(1).unwrap(), Counted::Missing),
        "incr('n') on a str"
        | "incr('n') on None"
        | "incr('n') on 1.5"
        | "incr('n') at 2**63-1"
        | "incr('n') on 2**70" => {
            if cache.habits().incr_version_keeps_ttl {
                assert_eq!(incr(1).unwrap(), Counted::ByStore); // DR-20
            } else {
                assert_eq!(incr(1).unwrap_err().kind(), Kind::Type); // O-7
            }
        }
        "set_many({})" => assert!(cache.set_many(&[], Ttl::Forever, BUDGET).unwrap().is_empty()),
        "clear()" => cache.clear(None, BUDGET).unwrap(),
        "persist('a')" => assert_eq!(cache.persist(&a, BUDGET).unwrap(), Touched::Changed),
        "set('a', 1, nx=True) existing" => {
            let written = cache.set(&a, b"1".into(), Ttl::Millis(300_000), When::Missing, BUDGET).unwrap();
            assert_eq!(written, Written::NotStored);
        }
        "set('a', 1, xx=True) missing" => {
            let written = cache.set(&a, b"1".into(), Ttl::Millis(300_000), When::Present, BUDGET).unwrap();
            assert_eq!(written, Written::NotStored);
        }
        _ => return false,
    }
    true
}

/// What was there before a golden call.
fn before(call: &str) -> Vec<(&'static str, &'static [u8])> {
    match call {
        "get('a') after set('a', 7)" => vec![("a", b"7")],
        "get_many(['a','b','zz'])" => vec![("a", b"1"), ("b", b"two")],
        "has_key('a')" | "delete('a') existing" => vec![("a", b"N.")],
        "delete_many(['a','b','c'])" => vec![("a", b"1"), ("b", b"2")],
        "incr('n')" | "incr('n', 5)" => vec![("n", b"41")],
        "decr('n', 5)" => vec![("n", b"3")],
        "incr('n') on a str" | "incr('n') on None" | "incr('n') on 1.5" => vec![("n", b"\x80\x05N.")],
        "incr('n') at 2**63-1" => vec![("n", b"9223372036854775807")],
        "incr('n') on 2**70" => vec![("n", b"1180591620717411303424")],
        "clear()" => vec![("a", b"1")],
        "persist('a')" | "set('a', 1, nx=True) existing" => vec![("a", b"2")],
        _ => vec![],
    }
}

// R-6, DR-19 to DR-25, O-6, O-7.
#[test]
fn operations_send_what_python_sends() {
    let server = RedisServer::start();
    let mut monitor = Monitor::watch(&server);
    let caches = [open(Flavor::Core, &server), open(Flavor::DjangoRedis, &server)];
    let mut done = 0;
    for row in golden_rows("operations") {
        let call = row["call"].as_str().unwrap();
        server.command(0, &[b"FLUSHALL"]);
        for (name, value) in before(call) {
            let name = format!(":1:{name}");
            // What incr refuses stays as it was: the golden row has it.
            let kept = if call.starts_with("incr('n') on") { row["keys_after"][":1:n"].as_str() } else { None };
            let kept = kept.map(base64);
            let value = kept.as_deref().unwrap_or(value);
            server.command(0, &[b"SET", name.as_bytes(), value, b"EX", b"300"]);
        }
        monitor.skip();
        let flavor = flavor_of(&row);
        if !perform(&caches[usize::from(flavor == Flavor::DjangoRedis)], call) {
            continue;
        }
        done += 1;
        let mut seen = monitor.seen();
        let mut expected = commands_of(&row);
        if flavor == Flavor::Core && call.contains("cr('n'") {
            // 1.19: one atomic script in place of EXISTS and INCRBY.
            let script = seen.remove(0);
            assert_eq!(script[0], b"EVAL");
            assert_eq!(seen, Vec::<Vec<Vec<u8>>>::new());
            let after = row["keys_after"][":1:n"].as_str().map(base64).unwrap_or_default();
            assert_eq!(server.command(0, &[b"GET", b":1:n"]), after, "{row}");
            continue;
        }
        if flavor == Flavor::Core && call == "get_many([])" {
            expected.clear(); // O-6: an MGET without keys is an error that redis-py hides
        }
        if seen.first().is_some_and(|command| command[0] == b"EVAL") {
            expected.truncate(1); // what django-redis does after a refusal is the store's part
            expected[0][1].clone_from(&seen[0][1]); // each client has a script of its own
        }
        assert_eq!(seen, expected, "{row}");
    }
    assert!(done > 40, "only {done} rows were performed");
}

#[test]
fn unix_sockets_passwords_databases_and_client_names() {
    let server = RedisServer::with_password("s3cret");
    let mut config = settings(Flavor::DjangoRedis, Address::Unix(server.socket_path()));
    let refused = redis::open(config.clone(), Arc::new(NoRuntime), Arc::new(Silent)).ping(BUDGET).unwrap_err();
    assert_eq!(refused.kind(), Kind::Server);
    assert!(refused.to_string().contains("password"), "{refused}");

    config.server.password = Some("wrong".into());
    let refused = redis::open(config.clone(), Arc::new(NoRuntime), Arc::new(Silent)).ping(BUDGET).unwrap_err();
    assert_eq!(refused.kind(), Kind::Server);
    assert!(!refused.to_string().contains("wrong"), "{refused}");

    config.server.password = Some("s3cret".into());
    config.server.username = Some("default".into());
    config.server.database = 3;
    config.server.client_name = Some("larder-test".into());
    let cache = redis::open(config.clone(), Arc::new(NoRuntime), Arc::new(Silent));
    cache.set(&key("k"), b"v".into(), Ttl::Forever, When::Always, BUDGET).unwrap();
    assert_eq!(server.command(3, &[b"GET", b"k"]), b"v");
    let clients = String::from_utf8(server.command(0, &[b"CLIENT", b"LIST"])).unwrap();
    let ours = clients.lines().find(|line| line.contains("name=larder-test")).expect("the name was given");
    assert!(ours.contains(" db=3 "), "{ours}");

    config.server.database = 99;
    let refused = redis::open(config.clone(), Arc::new(NoRuntime), Arc::new(Silent)).ping(BUDGET).unwrap_err();
    assert!(refused.to_string().contains("database"), "{refused}");
    config.server.address = Address::Unix(PathBuf::from("/nonexistent/redis.sock"));
    let refused = redis::open(config, Arc::new(NoRuntime), Arc::new(Silent)).ping(BUDGET).unwrap_err();
    assert_eq!(refused.kind(), Kind::Connection);
}

/// redis-py: a user without a password logs in with the empty one, and never works as the default user.
#[test]
fn a_user_without_a_password_is_still_that_user() {
    let server = RedisServer::start();
    server.command(0, &[b"ACL", b"SETUSER", b"reader", b"on", b"nopass", b"~*", b"+get", b"+ping"]);
    let mut config = settings(Flavor::Core, Address::Tcp("127.0.0.1".into(), server.port()));
    config.server.username = Some("reader".into());
    let cache = redis::open(config.clone(), Arc::new(NoRuntime), Arc::new(Silent));
    assert_eq!(cache.get(&key("k"), BUDGET).unwrap(), None);
    let refused = cache.set(&key("k"), b"v".into(), Ttl::Forever, When::Always, BUDGET).unwrap_err();
    assert!(refused.to_string().contains("ACL"), "{refused}");
    config.server.username = Some("nobody".into());
    let refused = redis::open(config, Arc::new(NoRuntime), Arc::new(Silent)).ping(BUDGET).unwrap_err();
    assert!(refused.to_string().contains("the user or the password"), "{refused}");
}

#[test]
fn names_are_looked_up() {
    let server = RedisServer::start();
    let cache = |host: &str| {
        redis::open(
            settings(Flavor::Core, Address::Tcp(host.into(), server.port())),
            Arc::new(NoRuntime),
            Arc::new(Silent),
        )
    };
    cache("localhost").ping(BUDGET).unwrap();
    let error = cache("no-such-host.invalid").ping(BUDGET).unwrap_err();
    assert!(matches!(error.kind(), Kind::Connection | Kind::Timeout), "{error}");
}

#[test]
fn values_of_every_size_come_back() {
    let server = RedisServer::start();
    let cache = open(Flavor::Core, &server);
    for size in [0, 1, 100, 4000, 8191, 8192, 8193, 16_370, 16_384, 65_536, 1 << 20, 20 << 20] {
        let value: Vec<u8> = (0..size).map(|at: usize| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
        cache.set(&key("big"), (&value).into(), Ttl::Forever, When::Always, BUDGET).unwrap();
        assert!(cache.get(&key("big"), BUDGET).unwrap().unwrap().bytes == value, "{size} bytes");
        let many = cache.get_many(&[key("big"), key("none"), key("big")], BUDGET).unwrap();
        assert!(many[1].is_none() && [0, 2].iter().all(|&at| many[at].as_ref().unwrap().bytes == value));
    }
}

#[test]
fn clearing_a_prefix_leaves_the_rest() {
    let server = RedisServer::start();
    let cache = open(Flavor::DjangoRedis, &server);
    let ours: Vec<_> = (0..2500).map(|number| key(&format!("a*[b]\\?:1:k{number}"))).collect();
    let others = ["aXb:1:k", "a*b:1:k", "a*[b]\\?:10:k", "b"].map(key);
    let entries =
        ours.iter().chain(&others).map(|key| Entry { key: key.clone(), value: Bytes::from_static(b"1").into() });
    cache.set_many(&entries.collect::<Vec<_>>(), Ttl::Forever, BUDGET).unwrap();
    cache.clear(Some(b"a*[b]\\?:1:"), BUDGET).unwrap();
    assert!(cache.get_many(&ours, BUDGET).unwrap().iter().all(Option::is_none));
    assert!(cache.get_many(&others, BUDGET).unwrap().iter().all(Option::is_some));

    let mut found = Vec::new();
    let mut at = Some(0);
    while let Some(from) = at {
        let page = cache.scan(b"a*", from, BUDGET).unwrap();
        found.extend(page.keys);
        at = page.next;
    }
    found.sort();
    found.dedup();
    assert_eq!(found, [b"a*[b]\\?:10:k".to_vec(), b"a*b:1:k".to_vec(), b"aXb:1:k".to_vec()]);
}

#[test]
fn what_the_server_refuses_is_said_and_the_connection_stays() {
    let server = RedisServer::start();
    for flavor in [Flavor::Core, Flavor::DjangoRedis] {
        let cache = open(flavor, &server);
        server.command(0, &[b"FLUSHALL"]);
        server.command(0, &[b"RPUSH", b"list", b"1"]);
        assert_eq!(cache.get(&key("list"), BUDGET).unwrap_err().kind(), Kind::Type);
        assert_eq!(cache.incr(&key("list"), 1, BUDGET).unwrap_err().kind(), Kind::Type);

        cache.set(&key("k"), b"old".into(), Ttl::Forever, When::Always, BUDGET).unwrap();
        let too_long = Ttl::Millis(i64::MAX - 1);
        let refused = cache.set(&key("k"), b"new".into(), too_long, When::Always, BUDGET).unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
        let entry = Entry { key: key("k"), value: Bytes::from_static(b"new").into() };
        assert_eq!(cache.set_many(&[entry], too_long, BUDGET).unwrap_err().kind(), Kind::Invalid);
        assert_eq!(cache.touch(&key("k"), too_long, BUDGET).unwrap_err().kind(), Kind::Invalid);
        assert_eq!(cache.get(&key("k"), BUDGET).unwrap().unwrap().bytes, "old");

        server.command(0, &[b"CONFIG", b"SET", b"maxmemory", b"1"]);
        let full = cache.set(&key("k"), b"new".into(), Ttl::Forever, When::Always, BUDGET).unwrap_err();
        let entry = Entry { key: key("k"), value: Bytes::from_static(b"new").into() };
        let full_many = cache.set_many(&[entry], Ttl::Forever, BUDGET).unwrap_err();
        server.command(0, &[b"CONFIG", b"SET", b"maxmemory", b"0"]);
        for error in [full, full_many] {
            assert!(error.kind() == Kind::Server && error.is_retriable(), "{error}");
            assert!(error.to_string().contains("OOM"), "{error}");
        }
        assert_eq!(cache.get(&key("k"), BUDGET).unwrap().unwrap().bytes, "old");
        let clients = String::from_utf8(server.command(0, &[b"CLIENT", b"LIST"])).unwrap();
        assert_eq!(clients.matches("id=").count(), 2, "one connection and this one: {clients}");
        drop(cache);
    }
}

fn connections_made(server: &RedisServer) -> u32 {
    let info = String::from_utf8(server.command(0, &[b"INFO", b"stats"])).unwrap();
    let made = info.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap();
    made.trim().parse().unwrap()
}

#[test]
fn callers_share_connections_up_to_the_limit() {
    let server = RedisServer::start();
    let before = connections_made(&server);
    let mut config = settings(Flavor::Core, tcp(&server));
    config.max_connections = 3;
    let cache = redis::open(config, Arc::new(Refusing), Arc::new(Silent));
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let cache = &cache;
            scope.spawn(move || {
                let mine = key(&format!("k{thread}"));
                for round in 0..200 {
                    let value = format!("{thread}-{round}");
                    cache.set(&mine, value.as_bytes().into(), Ttl::Forever, When::Always, BUDGET).unwrap();
                    assert_eq!(cache.get(&mine, BUDGET).unwrap().unwrap().bytes, value);
                }
            });
        }
    });
    let made = connections_made(&server);
    assert!(made <= before + 3 + 1, "{} connections were made", made - before - 1); // one is this look
}

#[test]
fn counting_at_once_loses_nothing() {
    let server = RedisServer::start();
    let cache = redis::open(settings(Flavor::Core, tcp(&server)), Arc::new(Refusing), Arc::new(Silent));
    cache.set(&key("n"), b"0".into(), Ttl::Millis(100_000), When::Always, BUDGET).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..250 {
                    cache.incr(&key("n"), 1, BUDGET).unwrap();
                }
            });
        }
    });
    assert_eq!(cache.get(&key("n"), BUDGET).unwrap().unwrap().bytes, "2000");
    assert!(matches!(cache.ttl(&key("n"), BUDGET).unwrap(), Some(Ttl::Millis(_))), "the expiry stays");
}

#[test]
fn a_small_stack_is_enough() {
    let server = RedisServer::start();
    let cache = open(Flavor::DjangoRedis, &server);
    std::thread::scope(|scope| {
        let work = || {
            let value = vec![1; 1 << 20];
            cache.set(&key("k"), (&value).into(), Ttl::Forever, When::Always, BUDGET).unwrap();
            assert_eq!(cache.get(&key("k"), BUDGET).unwrap().unwrap().bytes.len(), value.len());
            cache.clear(Some(b"k"), BUDGET).unwrap();
        };
        std::thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, work).unwrap();
    });
}
