//! Other processes change values at random while readers read: after a write was acknowledged, and what the server told of
//! it was heard, nobody sees the old value again. `LARDER_SOAK_SECONDS` says for how long, 2 where it is not set.
//!
//! Values are numbers that grow. The writers are Python processes (writer.py), which tell over a pipe what the server has
//! acknowledged; the store's own writes count some of the same keys up. That what was told was heard is known by a marker
//! that is kept: it is changed behind the acknowledged writes, and the messages come in order, so when its new value is read
//! all of theirs were heard; and where the connection was lost meanwhile, nothing that was kept before is there. From then
//! on no read may see less than those numbers. Nobody stops for that: every read is held to what counted when it began.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::common::flight::{FACES, LONG, ask, tcp};
use super::common::python::interpreter;
use super::common::random::Random;
use super::common::redis::{RedisClient, RedisServer};
use super::{Client, eventually, key, raw, settings, text};
use larder::backend::{Counted, Reply, Request};
use larder::config::NearCache;
use larder::key::MadeKey;

const KEYS: usize = 20;
/// Processes that write. Each has keys that it alone writes, in any way; the others are counted up by everybody.
const WRITERS: usize = 2;
/// A marker is used once: what is told of it can only be about its one change.
const MARKERS_A_SECOND: u64 = 500;
/// A run that has seen less shows nothing, and goes on until it has.
const LEAST: u64 = 100;

struct World {
    server: RedisServer,
    client: Client,
    /// The last number of each key that other processes were acknowledged.
    acknowledged: Vec<AtomicU64>,
    /// What a read has to see at least.
    floors: Vec<AtomicU64>,
    /// Held by who reads; taken as a whole to see whether one read was a hit.
    reading: RwLock<()>,
    over: AtomicBool,
    /// Lines of each process, reads that had something to be held to, and markers.
    written: Vec<AtomicU64>,
    checked: AtomicU64,
    settled: AtomicU64,
}

fn soak_time() -> Duration {
    let seconds = std::env::var("LARDER_SOAK_SECONDS").ok().map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(2))
}

fn name(index: usize) -> String {
    format!("k{index}")
}

/// The writer of a key; `WRITERS` and more: all.
fn owner(index: usize) -> usize {
    index % (2 * WRITERS)
}

/// A process that writes, ended when dropped.
struct Writer(Child);

impl Writer {
    fn start(port: u16, number: usize) -> Self {
        let of = |wanted: &dyn Fn(usize) -> bool| {
            (0..KEYS).filter(|index| wanted(owner(*index))).map(name).collect::<Vec<_>>().join(",")
        };
        let mut command = Command::new(interpreter());
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/near_cache/writer.py"));
        command.args([
            port.to_string(),
            number.to_string(),
            of(&|owner| owner == number),
            of(&|owner| owner >= WRITERS),
        ]);
        Self(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl World {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Takes what a process says it has written.
    fn listen(&self, number: usize, lines: impl BufRead) {
        for line in lines.lines() {
            let line = line.unwrap();
            if self.is_over() {
                continue; // the last line may be cut
            }
            let (key, value) = line.split_once(' ').unwrap();
            let index: usize = key.strip_prefix('k').unwrap().parse().unwrap();
            self.acknowledged[index].fetch_max(value.parse().unwrap(), Ordering::SeqCst);
            self.written[number].fetch_add(1, Ordering::SeqCst);
        }
        assert!(self.is_over(), "a writer has ended");
    }

    /// Counts up what other processes do too: what one's own store writes is seen at once, by both faces and everybody.
    fn count(&self, seed: u64) {
        let mut random = Random(seed);
        while !self.is_over() {
            let index = random.below(KEYS);
            if owner(index) >= WRITERS {
                let key = key(&name(index));
                let counted = ask(&*self.client.cache, FACES[random.below(2)], &Request::Incr(&key, 1), LONG).unwrap();
                let Reply::Counted(Counted::Now(number)) = counted else { panic!("{counted:?}") };
                self.floors[index].fetch_max(u64::try_from(number).unwrap(), Ordering::SeqCst);
                self.read(&[index], &mut random);
            }
            std::thread::sleep(Duration::from_micros(random.below(3000) as u64));
        }
    }

    fn read_all_the_time(&self, seed: u64) {
        let mut random = Random(seed);
        while !self.is_over() {
            let indexes: Vec<usize> = (0..[1, 1, 1, 5][random.below(4)]).map(|_| random.below(KEYS)).collect();
            self.read(&indexes, &mut random);
        }
    }

    /// Reads, and holds what is seen to what counted before.
    fn read(&self, indexes: &[usize], random: &mut Random) {
        let reading = self.reading.read().unwrap_or_else(PoisonError::into_inner);
        let floors: Vec<u64> = indexes.iter().map(|index| self.floors[*index].load(Ordering::SeqCst)).collect();
        let keys: Vec<MadeKey> = indexes.iter().map(|index| key(&name(*index))).collect();
        let request = if keys.len() == 1 { Request::Get(&keys[0]) } else { Request::GetMany(&keys) };
        let values = match ask(&*self.client.cache, FACES[random.below(2)], &request, LONG).unwrap() {
            Reply::Value(value) => vec![value],
            Reply::Values(values) => values,
            other => panic!("{other:?}"),
        };
        drop(reading);
        assert_eq!(values.len(), keys.len());
        for ((index, floor), value) in indexes.iter().zip(floors).zip(values) {
            let seen: u64 = text(value.expect("none of them is ever missing")).parse().unwrap();
            assert!(seen >= floor, "an old value of k{index}: {seen}, after {floor}");
            self.checked.fetch_add(u64::from(floor > 0), Ordering::Relaxed);
        }
    }

    /// Kills the connection that hears of changes, again and again.
    fn kill(&self, seed: u64) {
        let mut random = Random(seed);
        let mut other = RedisClient::connect(self.server.port());
        while !self.is_over() {
            std::thread::sleep(Duration::from_millis(random.below(300) as u64));
            let list = String::from_utf8(other.command(&[b"CLIENT", b"LIST"])).unwrap();
            for line in list.lines().filter(|line| line.contains("resp=3")) {
                let id = line.strip_prefix("id=").and_then(|rest| rest.split(' ').next()).unwrap();
                other.command(&[b"CLIENT", b"KILL", b"ID", id.as_bytes()]);
            }
        }
    }

    /// Whether a marker is kept: nobody else reads at that moment, so a hit is of this read.
    fn is_kept(&self, marker: &str) -> bool {
        let _alone = self.reading.write().unwrap_or_else(PoisonError::into_inner);
        let hits = self.client.near().hits;
        assert_eq!(self.client.get(marker).as_deref(), Some("old"));
        self.client.near().hits > hits
    }

    /// Waits until all that was acknowledged is heard of, and has every read from now on see it.
    fn settle(&self, marker: &str, other: &mut RedisClient) {
        eventually("the marker is kept", || self.is_kept(marker) || self.is_over());
        let acknowledged: Vec<u64> = self.acknowledged.iter().map(|number| number.load(Ordering::SeqCst)).collect();
        other.command(&[b"SET", &raw(marker), b"new"]);
        let is_heard = || {
            let _reading = self.reading.read().unwrap_or_else(PoisonError::into_inner);
            self.client.get(marker).as_deref() == Some("new")
        };
        eventually("the marker is heard of", || is_heard() || self.is_over());
        if self.is_over() {
            return; // somebody failed perhaps
        }
        for (floor, number) in self.floors.iter().zip(acknowledged) {
            floor.fetch_max(number, Ordering::SeqCst);
        }
        self.settled.fetch_add(1, Ordering::Relaxed);
    }

    fn has_seen_enough(&self) -> bool {
        let counts = self.written.iter().chain([&self.checked, &self.settled]);
        counts.map(|count| count.load(Ordering::Relaxed)).all(|count| count >= LEAST)
    }
}

/// What is there at the beginning. Nobody is told of it.
fn prepare(server: &RedisServer) {
    for index in 0..KEYS {
        server.command(0, &[b"SET", &raw(&name(index)), b"0"]);
    }
    let script = b"for number = 1, ARGV[1] do redis.call('set', KEYS[1] .. number, 'old') end";
    let markers = (MARKERS_A_SECOND * (soak_time().as_secs() + 60)).to_string();
    server.command(0, &[b"EVAL", script, b"1", &raw("marker"), markers.as_bytes()]);
}

fn soak(kills: bool) {
    let server = RedisServer::start();
    prepare(&server);
    let near = NearCache { timeout: Duration::from_mins(10), ..NearCache::default() };
    let client = Client::of(settings(tcp(server.port()), near));
    client.stands(1);
    let numbers = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
    let world = World {
        server,
        client,
        acknowledged: numbers(KEYS),
        floors: numbers(KEYS),
        reading: RwLock::new(()),
        over: AtomicBool::new(false),
        written: numbers(WRITERS),
        checked: AtomicU64::new(0),
        settled: AtomicU64::new(0),
    };
    let before = world.client.near();
    std::thread::scope(|scope| {
        let world = &world;
        let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::start(world.server.port(), number)).collect();
        let over = Over(world);
        for (number, writer) in writers.iter_mut().enumerate() {
            let mut lines = BufReader::new(writer.0.stdout.take().unwrap());
            let mut ready = String::new();
            lines.read_line(&mut ready).unwrap();
            assert_eq!(ready, "ready\n");
            scope.spawn(move || Over(world).after(|| world.listen(number, lines)));
        }
        for seed in 0..3 {
            scope.spawn(move || Over(world).after(|| world.read_all_the_time(100 + seed)));
        }
        scope.spawn(move || Over(world).after(|| world.count(5)));
        if kills {
            scope.spawn(move || Over(world).after(|| world.kill(7)));
        }
        let mut other = RedisClient::connect(world.server.port());
        let (end, mut marker) = (Instant::now() + soak_time(), 0);
        let at_last = end + Duration::from_mins(1);
        while !world.is_over() && (Instant::now() < end || !world.has_seen_enough() && Instant::now() < at_last) {
            marker += 1;
            world.settle(&format!("marker{marker}"), &mut other);
            std::thread::sleep(Duration::from_millis(1000 / MARKERS_A_SECOND));
        }
        drop(over);
        drop(writers); // their pipes end
    });
    let stats = world.client.near();
    assert!(world.has_seen_enough(), "{:?} {:?} {:?}", world.written, world.checked, world.settled);
    assert!(stats.hits > before.hits + 100 && stats.invalidated > before.invalidated + 100, "{stats:?}");
    assert!(!kills || stats.emptied > before.emptied, "{stats:?}");
    println!("{:?} writes, {:?} reads, {:?} markers: {stats:?}", world.written, world.checked, world.settled);
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
