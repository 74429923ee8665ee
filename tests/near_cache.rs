//! The near cache of a Redis alias: what is kept in the process is never staler than it says, whatever happens.
#![cfg(all(feature = "redis", feature = "memory"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, unsafe_code)]

mod common;

#[path = "near_cache/away.rs"]
mod away;
#[path = "near_cache/coherent.rs"]
mod coherent;
#[path = "near_cache/fake.rs"]
mod fake;
#[path = "near_cache/process.rs"]
mod process;
#[path = "near_cache/soak.rs"]
mod soak;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::flight::{Face, LONG, Runtime, ask, config_for, tcp};
use common::redis::RedisServer;
use larder::backend::{Backend, NearStats, Reply, Request, Stored, When, redis};
use larder::config::{self, Address, Flavor, NearCache};
use larder::key::MadeKey;
use larder::lock::Mutex;
use larder::log::{Level, Log};
use larder::timeout::Ttl;

/// Keeps what is logged.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<(Level, String)>>);

impl Log for Kept {
    fn record(&self, level: Level, text: &fmt::Arguments<'_>) {
        self.0.lock().push((level, text.to_string()));
    }
}

impl Kept {
    /// How many warnings have this in them.
    pub(crate) fn warnings(&self, part: &str) -> usize {
        self.0.lock().iter().filter(|(level, text)| *level == Level::Warning && text.contains(part)).count()
    }
}

/// A cache with a near cache.
pub(crate) struct Client {
    pub(crate) cache: Arc<dyn Backend>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) log: Arc<Kept>,
}

pub(crate) fn settings(address: Address, mut near: NearCache) -> config::Redis {
    let mut config = config_for(address, Flavor::DjangoRedis);
    config.server.database = 0;
    near.prefix = b"near:".to_vec();
    config.near = Some(near);
    config
}

impl Client {
    pub(crate) fn of(config: config::Redis) -> Self {
        let (runtime, log) = (Runtime::start(), Arc::new(Kept::default()));
        Self { cache: redis::open(config, runtime.clone(), log.clone()), runtime, log }
    }

    /// Of a server; what it tells is heard.
    pub(crate) fn on(server: &RedisServer) -> Self {
        let client = Self::of(settings(tcp(server.port()), NearCache::default()));
        client.stands(1);
        client
    }

    /// Waits until so many servers tell what changes.
    pub(crate) fn stands(&self, servers: u64) {
        eventually("the near cache stands", || {
            for number in 0..20 {
                let _ = self.cache.get(&key(&format!("stands{number}")), LONG); // asks for it, on every server
            }
            self.near().tracked == servers
        });
    }

    pub(crate) fn near(&self) -> NearStats {
        self.cache.near().unwrap()
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.cache.get(&key(name), LONG).unwrap().map(text)
    }

    /// Sets a value, and hears what the server tells of that: it would take what is kept then away again.
    pub(crate) fn set(&self, name: &str, value: &str) {
        let before = self.near();
        self.cache.set(&key(name), value.as_bytes().into(), Ttl::Millis(600_000), When::Always, LONG).unwrap();
        if before.tracked > 0 {
            eventually("it is heard of", || self.near().invalidated > before.invalidated);
        }
    }

    /// Reads until it is kept. One read can lose its place to a message about a key of the same stripe.
    pub(crate) fn keep(&self, name: &str, value: &str) {
        eventually("it is kept", || {
            let hits = self.near().hits;
            assert_eq!(self.get(name).as_deref(), Some(value));
            self.near().hits > hits
        });
    }
}

pub(crate) fn key(name: &str) -> MadeKey {
    MadeKey::as_is(&format!("near:1:{name}"))
}

/// A made key as others send it.
pub(crate) fn raw(name: &str) -> Vec<u8> {
    key(name).as_bytes().to_vec()
}

#[allow(clippy::needless_pass_by_value, reason = "it maps answers")]
pub(crate) fn text(stored: Stored) -> String {
    String::from_utf8(stored.bytes.to_vec()).unwrap()
}

pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}: not in 20 s");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How often the server has carried out these commands.
pub(crate) fn calls(server: &RedisServer, commands: &[&str]) -> u64 {
    let info = String::from_utf8(server.command(0, &[b"INFO", b"commandstats"])).unwrap();
    let count = |command: &&str| {
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
    };
    commands.iter().map(count).sum::<u64>()
}

const READS: [&str; 3] = ["get", "mget", "pttl"];

// No test of a time: the server itself says that nobody asked.
#[test]
fn a_hit_does_not_ask_the_server() {
    let server = RedisServer::start();
    let client = Client::on(&server);
    let names = ["a", "b", "c"];
    for name in names {
        client.set(name, name);
        client.keep(name, name);
    }
    let keys: Vec<MadeKey> = names.iter().map(|name| key(name)).collect();
    // a machine that does much else may keep the server from being heard for a while
    eventually("nobody asks", || {
        let (asked, hits) = (calls(&server, &READS), client.near().hits);
        for face in [Face::Synchronous, Face::Asynchronous] {
            for _ in 0..50 {
                read_all(&client, face, &names, &keys);
            }
        }
        let mut shown = Vec::new();
        assert!(client.cache.look(&keys[0], LONG, &mut |stored| shown = stored.bytes.to_vec()).unwrap());
        assert_eq!(shown, b"a");
        calls(&server, &READS) == asked && client.near().hits - hits == 2 * 50 * 10 + 1
    });
}

fn read_all(client: &Client, face: Face, names: &[&str], keys: &[MadeKey]) {
    for (name, key) in names.iter().zip(keys) {
        let Reply::Value(Some(value)) = ask(&*client.cache, face, &Request::Get(key), LONG).unwrap() else {
            panic!("no value")
        };
        assert_eq!(text(value), *name);
    }
    let Reply::Values(values) = ask(&*client.cache, face, &Request::GetMany(keys), LONG).unwrap() else {
        panic!("no values")
    };
    assert_eq!(values.into_iter().map(|value| text(value.unwrap())).collect::<Vec<_>>(), names);
    let Reply::Fetched(one) = ask(&*client.cache, face, &Request::Fetch(&keys[0]), LONG).unwrap() else {
        panic!("no value")
    };
    let Reply::FetchedMany(all) = ask(&*client.cache, face, &Request::FetchMany(keys), LONG).unwrap() else {
        panic!("no values")
    };
    for (fetched, name) in [one].into_iter().chain(all).zip([names[0]].iter().chain(names)) {
        let fetched = fetched.unwrap();
        assert!(matches!(fetched.left, Some(Ttl::Millis(500_000..=600_000))), "{:?}", fetched.left);
        assert_eq!(text(fetched.value), *name);
    }
}

// Some are there and some are not: each comes to its place, by both faces.
#[test]
fn several_keys_are_read_in_part() {
    let server = RedisServer::start();
    for face in [Face::Synchronous, Face::Asynchronous] {
        let client = Client::on(&server);
        for number in 0..20 {
            client.set(&format!("k{number}"), &number.to_string());
        }
        (0..20).step_by(3).for_each(|number| client.keep(&format!("k{number}"), &number.to_string()));
        let names: Vec<String> = (0..30).rev().map(|number| format!("k{number}")).collect();
        let keys: Vec<MadeKey> = names.iter().map(|name| key(name)).collect();
        eventually("all are kept", || {
            let before = calls(&server, &READS);
            let Reply::Values(values) = ask(&*client.cache, face, &Request::GetMany(&keys), LONG).unwrap() else {
                panic!("no values")
            };
            for (number, value) in (0..30).rev().zip(values) {
                assert_eq!(value.map(text), (number < 20).then(|| number.to_string()));
            }
            calls(&server, &READS) - before == 11 // one MGET, and PTTL for each that is not there at all
        });
    }
}

#[test]
fn keys_outside_of_the_prefix_are_not_kept() {
    let server = RedisServer::start();
    let client = Client::on(&server);
    server.command(0, &[b"SET", b"other:1:k", b"v"]);
    let entries = client.near().entries;
    for _ in 0..5 {
        assert_eq!(client.cache.get(&MadeKey::as_is("other:1:k"), LONG).unwrap().map(text).as_deref(), Some("v"));
    }
    assert_eq!(client.near().entries, entries);
}

#[test]
fn the_limits_hold() {
    let server = RedisServer::start();
    let fill = |client: &Client, size: usize| {
        client.stands(1);
        for number in 0..300 {
            client.set(&format!("k{number}"), &"x".repeat(size));
        }
        for number in 0..300 {
            client.get(&format!("k{number}"));
        }
        client.near()
    };
    let few = Client::of(settings(tcp(server.port()), NearCache { max_entries: 100, ..NearCache::default() }));
    let stats = fill(&few, 10);
    assert!(stats.entries <= 100 && stats.entries > 50 && stats.evicted > 0, "{stats:?}");
    let small = Client::of(settings(tcp(server.port()), NearCache { max_bytes: 100_000, ..NearCache::default() }));
    let stats = fill(&small, 1000);
    assert!(stats.bytes <= 100_000 && stats.bytes > 50_000, "{stats:?}");
    small.set("large", &"x".repeat(20_000));
    let entries = small.near().entries;
    small.get("large"); // more than an eighth of all
    assert_eq!(small.near().entries, entries);
}
