//! Writers change values at random while readers read: after a write was acknowledged, and what the server told of it was
//! heard, nobody sees the old value again. `LARDER_SOAK_SECONDS` says for how long, 2 where it is not set.
//!
//! Values are numbers that grow. Now and then the writers stop, all they wrote being acknowledged, and nobody kills. Then a
//! marker that is kept is changed: when the new one is read, what was told before it was heard, since the messages come in order; and
//! where the connection was lost meanwhile, nothing that was kept before is there. From then on every read of every key
//! has to see its last number, until the writers go on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::common::flight::{FACES, LONG, ask, tcp};
use super::common::random::Random;
use super::common::redis::{RedisClient, RedisServer};
use super::{Client, eventually, key, raw, settings, text};
use larder::backend::{Reply, Request, When};
use larder::config::NearCache;
use larder::lock::Mutex;
use larder::timeout::Ttl;

const KEYS: usize = 20;

struct World {
    server: RedisServer,
    client: Client,
    /// The last number of each key that was acknowledged; locked while it is written.
    numbers: Vec<Mutex<u64>>,
    /// Held by those who write or kill; taken as a whole while nobody may.
    writing: RwLock<()>,
    /// The round in which nobody writes, and all that was told is heard: what a read sees has to be the last; else 0.
    settled: AtomicU64,
    over: AtomicBool,
    checked: AtomicU64,
}

fn soak_time() -> Duration {
    let seconds = std::env::var("LARDER_SOAK_SECONDS").ok().map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(2))
}

fn name(index: usize) -> String {
    format!("k{index}")
}

impl World {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn write(&self, seed: u64) {
        let mut random = Random(seed);
        let mut other = RedisClient::connect(self.server.port());
        while !self.is_over() {
            let writing = self.writing.read().unwrap_or_else(PoisonError::into_inner);
            let index = random.below(KEYS);
            let mut last = self.numbers[index].lock();
            *last += 1;
            let number = last.to_string();
            let raw = raw(&name(index));
            match random.below(6) {
                0 => drop(other.command(&[b"SET", &raw, number.as_bytes(), b"PX", b"60000"])),
                1 => drop(other.command(&[b"GETSET", &raw, number.as_bytes()])),
                2 => {
                    other.command(&[b"DEL", &raw]);
                    other.command(&[b"SET", &raw, number.as_bytes()]);
                }
                3 => {
                    let script = b"redis.call('set', KEYS[1], ARGV[1])";
                    other.command(&[b"EVAL", script, b"1", &raw, number.as_bytes()]);
                }
                4 => drop(other.command(&[b"INCR", &raw])),
                _ => {
                    let (key, value) = (key(&name(index)), number.as_bytes().into());
                    let set = Request::Set { key: &key, value, ttl: Ttl::Forever, when: When::Always };
                    ask(&*self.client.cache, FACES[random.below(2)], &set, LONG).unwrap();
                    // one's own writes are seen at once, by both faces
                    assert_eq!(self.read(index, &mut random).as_ref(), Some(&number));
                }
            }
            drop((last, writing));
            std::thread::sleep(Duration::from_micros(random.below(2000) as u64));
        }
    }

    fn read(&self, index: usize, random: &mut Random) -> Option<String> {
        let answer = ask(&*self.client.cache, FACES[random.below(2)], &Request::Get(&key(&name(index))), LONG);
        let Reply::Value(value) = answer.unwrap() else { panic!("no value") };
        value.map(text)
    }

    fn read_all_the_time(&self, seed: u64) {
        let mut random = Random(seed);
        while !self.is_over() {
            let index = random.below(KEYS);
            let round = self.settled.load(Ordering::SeqCst);
            let value = self.read(index, &mut random);
            // the numbers are looked at when the read has ended: they count if nobody wrote meanwhile
            if round > 0 && self.settled.load(Ordering::SeqCst) == round {
                let last = self.numbers[index].lock().to_string();
                assert!(
                    self.settled.load(Ordering::SeqCst) != round || value == Some(last),
                    "an old value of {index}: {value:?}"
                );
                self.checked.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Kills the connection that hears of changes, again and again.
    fn kill(&self, seed: u64) {
        let mut random = Random(seed);
        let mut other = RedisClient::connect(self.server.port());
        while !self.is_over() {
            std::thread::sleep(Duration::from_millis(random.below(300) as u64));
            let _killing = self.writing.read().unwrap_or_else(PoisonError::into_inner);
            let list = String::from_utf8(other.command(&[b"CLIENT", b"LIST"])).unwrap();
            for line in list.lines().filter(|line| line.contains("resp=3")) {
                let id = line.strip_prefix("id=").and_then(|rest| rest.split(' ').next()).unwrap();
                other.command(&[b"CLIENT", b"KILL", b"ID", id.as_bytes()]);
            }
        }
    }

    /// Stops the writers, waits until what was told is heard, and has everybody look.
    fn check(&self, round: u64, other: &mut RedisClient) {
        let stopped = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        let (old, marker) = ((round - 1).to_string(), round.to_string());
        // where the connection is gone already, and this process does not know yet, it will when this is read as new
        self.client.keep("marker", &old);
        other.command(&[b"SET", &raw("marker"), marker.as_bytes()]);
        eventually("the marker is heard of", || self.client.get("marker").as_ref() == Some(&marker));
        self.settled.store(round, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(40));
        self.settled.store(0, Ordering::SeqCst);
        drop(stopped);
    }
}

fn soak(kills: bool) {
    let server = RedisServer::start();
    let near = NearCache { timeout: Duration::from_mins(10), ..NearCache::default() };
    let client = Client::of(settings(tcp(server.port()), near));
    client.stands(1);
    for index in 0..KEYS {
        client.set(&name(index), "0");
    }
    client.set("marker", "0");
    let world = World {
        server,
        client,
        numbers: (0..KEYS).map(|_| Mutex::new(0)).collect(),
        writing: RwLock::new(()),
        settled: AtomicU64::new(0),
        over: AtomicBool::new(false),
        checked: AtomicU64::new(0),
    };
    let before = world.client.near();
    std::thread::scope(|scope| {
        let world = &world;
        let over = Over(world);
        for seed in 0..3 {
            scope.spawn(move || Over(world).after(|| world.write(seed)));
            scope.spawn(move || Over(world).after(|| world.read_all_the_time(100 + seed)));
        }
        if kills {
            scope.spawn(move || Over(world).after(|| world.kill(7)));
        }
        let mut other = RedisClient::connect(world.server.port());
        let (end, mut round) = (Instant::now() + soak_time(), 0);
        while Instant::now() < end && !world.is_over() {
            std::thread::sleep(Duration::from_millis(60));
            round += 1;
            world.check(round, &mut other);
        }
        drop(over);
    });
    let stats = world.client.near();
    assert!(stats.hits > before.hits + 100 && stats.invalidated > before.invalidated + 100, "{stats:?}");
    assert!(world.checked.load(Ordering::Relaxed) > 20);
    assert!(!kills || stats.emptied > before.emptied, "{stats:?}");
}

/// Ends the others, also where a thread fails.
struct Over<'a>(&'a World);

impl Over<'_> {
    fn after(self, what: impl FnOnce()) {
        what();
        drop(self);
    }
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

#[test]
fn nobody_sees_an_old_value_again() {
    soak(false);
}

#[test]
fn nobody_does_while_connections_are_killed() {
    soak(true);
}
