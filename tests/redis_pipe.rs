//! The asynchronous face of the Redis backend: thousands in flight, each answered exactly once, whatever happens.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::redis::{RedisServer, free_port};
use larder::backend::redis::Redis;
use larder::backend::{Backend, Reply, Request, Sink, Spawner, Ticket, Touched, When, Written};
use larder::config::{self, Address, Flavor, Server};
use larder::error::{Error, Kind, Result};
use larder::key::MadeKey;
use larder::lock::Mutex;
use larder::timeout::{Budget, Ttl};

const LONG: Budget = Budget::new(Duration::from_secs(60));

/// A runtime that can be ended, as at shutdown.
struct Runtime(Mutex<Option<tokio::runtime::Runtime>>);

impl Runtime {
    fn start() -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Arc::new(Self(Mutex::new(Some(runtime))))
    }

    fn end(&self) {
        let runtime = self.0.lock().take();
        runtime.unwrap().shutdown_timeout(Duration::from_secs(10));
    }
}

impl Spawner for Runtime {
    fn spawn(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()> {
        let runtime = self.0.lock();
        let runtime = runtime.as_ref().ok_or_else(|| Error::new(Kind::Shutdown, "ended"))?;
        drop(runtime.spawn(task));
        Ok(())
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> Result<()> {
        let runtime = self.0.lock();
        let runtime = runtime.as_ref().ok_or_else(|| Error::new(Kind::Shutdown, "ended"))?;
        drop(runtime.spawn_blocking(job));
        Ok(())
    }
}

/// Counts how often each tag was answered, and keeps the answers.
struct Ledger {
    counts: Vec<AtomicU32>,
    arrived: AtomicUsize,
    answers: Mutex<Vec<(u64, Result<Reply>)>>,
}

impl Ledger {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            counts: (0..size).map(|_| AtomicU32::new(0)).collect(),
            arrived: AtomicUsize::new(0),
            answers: Mutex::default(),
        })
    }

    fn ticket(self: &Arc<Self>, tag: usize) -> Ticket {
        Ticket::new(self.clone(), tag as u64)
    }

    /// Waits until all have been answered, and shows that none was twice.
    fn settle(&self) -> Vec<(u64, Result<Reply>)> {
        let end = Instant::now() + Duration::from_secs(100);
        while self.arrived.load(Ordering::SeqCst) < self.counts.len() {
            assert!(Instant::now() < end, "{} of {} answered", self.arrived.load(Ordering::SeqCst), self.counts.len());
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(20));
        assert!(self.counts.iter().all(|count| count.load(Ordering::SeqCst) == 1), "not exactly once");
        std::mem::take(&mut *self.answers.lock())
    }
}

impl Sink for Ledger {
    fn deliver(&self, tag: u64, answer: Result<Reply>) {
        self.counts[usize::try_from(tag).unwrap()].fetch_add(1, Ordering::SeqCst);
        self.answers.lock().push((tag, answer));
        self.arrived.fetch_add(1, Ordering::SeqCst);
    }
}

fn config_for(address: Address, flavor: Flavor) -> config::Redis {
    let server = Server {
        address,
        username: None,
        password: None,
        database: 2,
        client_name: None,
        shown: "redis://test".into(),
    };
    config::Redis { flavor, server, connect: None, max_connections: 4, ignore_exceptions: false }
}

fn tcp(port: u16) -> Address {
    Address::Tcp("127.0.0.1".into(), port)
}

fn key(number: usize) -> MadeKey {
    MadeKey::as_is(&format!(":1:k{number}"))
}

fn set(key: &MadeKey, value: &[u8], ttl: Ttl, when: When, cache: &Redis, ticket: Ticket) {
    cache.start(Request::Set { key, value, ttl, when }, LONG, ticket);
}

#[test]
fn thousands_in_flight_get_their_own_answers() {
    const THREADS: usize = 4;
    const EACH: usize = 5000;
    let server = RedisServer::start();
    for address in
        [tcp(server.port()), Address::Unix(server.socket_path()), Address::Tcp("localhost".into(), server.port())]
    {
        let runtime = Runtime::start();
        let cache = Redis::open(config_for(address, Flavor::DjangoRedis), runtime.clone());
        let writes = Ledger::new(1000);
        for number in 0..1000 {
            // Some are longer than what is read at once.
            let value = format!("{number}").repeat(if number % 100 == 0 { 20_000 } else { 1 });
            set(&key(number), value.as_bytes(), Ttl::Millis(100_000), When::Always, &cache, writes.ticket(number));
        }
        assert!(writes.settle().iter().all(|(_, answer)| matches!(answer, Ok(Reply::Written(Written::Stored)))));

        let reads = Ledger::new(THREADS * EACH);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (cache, reads) = (&cache, &reads);
                scope.spawn(move || {
                    for round in 0..EACH {
                        let tag = thread * EACH + round;
                        cache.start(Request::Get(&key(tag % 1100)), LONG, reads.ticket(tag));
                    }
                });
            }
        });
        for (tag, answer) in reads.settle() {
            let number = usize::try_from(tag).unwrap() % 1100;
            let Reply::Value(value) = answer.unwrap() else { panic!("another kind of answer") };
            if number >= 1000 {
                assert_eq!(value, None);
            } else {
                let times = if number % 100 == 0 { 20_000 } else { 1 };
                assert!(value.unwrap() == format!("{number}").repeat(times), "the value of another key");
            }
        }
        runtime.end();
    }
}

// c-api.md, Order: on one store and one thread, operations on one key take effect in the order of submission.
#[test]
fn operations_on_one_key_keep_their_order() {
    let server = RedisServer::start();
    let runtime = Runtime::start();
    let cache = Redis::open(config_for(tcp(server.port()), Flavor::Core), runtime.clone());
    let ledger = Ledger::new(2000);
    for number in 0..1000 {
        set(&key(0), number.to_string().as_bytes(), Ttl::Forever, When::Always, &cache, ledger.ticket(number * 2));
        cache.start(Request::Get(&key(0)), LONG, ledger.ticket(number * 2 + 1));
    }
    for (tag, answer) in ledger.settle() {
        if tag % 2 == 1 {
            let Reply::Value(Some(value)) = answer.unwrap() else { panic!("no value") };
            assert_eq!(value, (tag / 2).to_string());
        }
    }
}

#[test]
fn sets_and_touches_answer_as_the_synchronous_ones_do() {
    let server = RedisServer::start();
    for flavor in [Flavor::Core, Flavor::DjangoRedis] {
        server.command(0, &[b"FLUSHALL"]);
        let runtime = Runtime::start();
        let cache = Redis::open(config_for(tcp(server.port()), flavor), runtime.clone());
        let one = |request: Request<'_>| {
            let ledger = Ledger::new(1);
            cache.start(request, LONG, ledger.ticket(0));
            ledger.settle().remove(0).1
        };
        let write =
            |name: usize, ttl: Ttl, when: When| match one(Request::Set { key: &key(name), value: b"v", ttl, when }) {
                Ok(Reply::Written(written)) => written,
                other => panic!("{other:?}"),
            };
        let touch = |name: usize, ttl: Ttl| match one(Request::Touch(&key(name), ttl)) {
            Ok(Reply::Touched(touched)) => touched,
            other => panic!("{other:?}"),
        };
        let spent = Ttl::Millis(-1000);
        assert_eq!(write(1, Ttl::Forever, When::Present), Written::NotStored);
        assert_eq!(write(1, spent, When::Missing), Written::NotKept); // SET NX, DEL; or EXISTS
        assert_eq!(write(1, Ttl::Forever, When::Missing), Written::Stored);
        assert_eq!(write(1, spent, When::Missing), Written::NotStored);
        assert_eq!(touch(1, Ttl::Millis(50_000)), Touched::Changed);
        assert_eq!(touch(1, Ttl::Forever), Touched::Changed);
        assert_eq!(touch(1, Ttl::Forever), Touched::Missing);
        assert_eq!(touch(1, spent), Touched::NotKept);
        assert_eq!(touch(1, spent), Touched::Missing);
        let refused = one(Request::Touch(&key(1), Ttl::Millis(i64::MAX - 1))).unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
        server.command(2, &[b"RPUSH", b":1:k5", b"1"]);
        assert_eq!(one(Request::Get(&key(5))).unwrap_err().kind(), Kind::Type);
        assert!(one(Request::Get(&key(1))).is_ok(), "the connection stays");
    }
}

#[test]
fn a_server_that_is_killed_leaves_nobody_waiting() {
    const COUNT: usize = 20_000;
    let port = free_port();
    let server = Mutex::new(Some(RedisServer::start_on(port, None)));
    let runtime = Runtime::start();
    let cache = Redis::open(config_for(tcp(port), Flavor::DjangoRedis), runtime.clone());
    let ledger = Ledger::new(COUNT);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(30));
                drop(server.lock().take());
                std::thread::sleep(Duration::from_millis(10));
                *server.lock() = Some(RedisServer::start_on(port, None));
            }
        });
        for number in 0..COUNT {
            if number % 2 == 0 {
                cache.start(Request::Get(&key(number)), LONG, ledger.ticket(number));
            } else {
                set(&key(number), b"v", Ttl::Forever, When::Always, &cache, ledger.ticket(number));
            }
            if number % 500 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    let answers = ledger.settle();
    for (_, answer) in &answers {
        if let Err(error) = answer {
            assert!(error.is_retriable(), "{error}");
            assert!(matches!(error.kind(), Kind::Connection | Kind::Busy | Kind::Server), "{error:?}");
        }
    }
    assert!(answers.iter().any(|(_, answer)| answer.is_ok()));
    assert!(cache.get(&key(0), LONG).is_ok());
    let after = Ledger::new(1);
    cache.start(Request::Get(&key(0)), LONG, after.ticket(0));
    assert!(after.settle().remove(0).1.is_ok(), "it works again");
}

#[test]
fn memory_does_not_grow_without_a_bound() {
    let server = RedisServer::start();
    let runtime = Runtime::start();
    let cache = Redis::open(config_for(tcp(server.port()), Flavor::DjangoRedis), runtime.clone());
    let first = Ledger::new(1);
    cache.start(Request::Get(&key(0)), LONG, first.ticket(0));
    first.settle();
    server.pause(true);
    let ledger = Ledger::new(100_000);
    for number in 0..100_000 {
        cache.start(Request::Get(&key(number)), LONG, ledger.ticket(number));
    }
    let refused = ledger.arrived.load(Ordering::SeqCst);
    server.pause(false);
    assert!(refused > 0, "everything was accepted");
    let answers = ledger.settle();
    for (_, answer) in &answers {
        assert!(answer.as_ref().err().is_none_or(|error| error.kind() == Kind::Busy && error.is_retriable()));
    }
    let taken = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
    assert!(taken >= 60_000, "{taken} were accepted");
    let after = Ledger::new(1);
    cache.start(Request::Get(&key(0)), LONG, after.ticket(0));
    assert!(after.settle().remove(0).1.is_ok(), "there is room again");
}

#[test]
fn the_end_of_the_runtime_or_the_store_answers_too() {
    let server = RedisServer::start();
    let runtime = Runtime::start();
    let cache = Redis::open(config_for(tcp(server.port()), Flavor::DjangoRedis), runtime.clone());
    let first = Ledger::new(1);
    cache.start(Request::Get(&key(0)), LONG, first.ticket(0));
    first.settle();
    server.pause(true);
    let cut = Ledger::new(100);
    (0..100).for_each(|number| cache.start(Request::Get(&key(number)), LONG, cut.ticket(number)));
    runtime.end();
    for (_, answer) in cut.settle() {
        assert_eq!(answer.unwrap_err().kind(), Kind::Shutdown);
    }
    let later = Ledger::new(1);
    cache.start(Request::Get(&key(0)), LONG, later.ticket(0));
    assert_eq!(later.settle().remove(0).1.unwrap_err().kind(), Kind::Shutdown);
    server.pause(false);

    // Closing a store lets what is under way end.
    let runtime = Runtime::start();
    let cache = Redis::open(config_for(tcp(server.port()), Flavor::DjangoRedis), runtime.clone());
    let ledger = Ledger::new(1000);
    (0..1000).for_each(|number| cache.start(Request::Get(&key(number)), LONG, ledger.ticket(number)));
    drop(cache);
    assert!(ledger.settle().iter().all(|(_, answer)| answer.is_ok()));
}
