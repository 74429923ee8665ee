//! Connections that behave badly, over the pipe: a large reply that drips keeps nobody else waiting, a server that says
//! nothing is given up, and one that comes back soon is waited for.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::flight::{LONG, Ledger, Runtime, config_for, said, tcp};
use common::redis::{RedisClient, RedisServer, free_port};
use larder::backend::redis;
use larder::backend::{Backend, Request, When};
use larder::config::Flavor;
use larder::error::Kind;
use larder::key::MadeKey;
use larder::lock::Mutex;
use larder::log::{Level, Log, Silent};
use larder::timeout::{Budget, Ttl};

const LARGE: usize = 100_000;
const LIFE: Ttl = Ttl::Millis(900_000);

fn key(text: &str) -> MadeKey {
    MadeKey::as_is(text)
}

/// A server that keeps nothing: `serve` gets the connection's number and one command after the other.
fn fake(serve: impl Fn(usize, &[Vec<u8>], &mut TcpStream) -> bool + Send + Sync + 'static) -> u16 {
    let port = free_port();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (serve, count) = (Arc::new(serve), AtomicUsize::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (number, serve) = (count.fetch_add(1, Ordering::SeqCst), serve.clone());
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut commands = RedisClient::reading(stream.try_clone().unwrap());
                while let Some(command) = commands.heard() {
                    if !serve(number, &command, &mut stream) {
                        return;
                    }
                }
            });
        }
    });
    port
}

fn open_fake(port: u16, log: Arc<dyn Log>) -> (Arc<Runtime>, Arc<dyn Backend>) {
    let runtime = Runtime::start();
    let mut config = config_for(tcp(port), Flavor::DjangoRedis);
    config.server.database = 0; // then nothing is said first
    (runtime.clone(), redis::open(config, runtime, log))
}

// A small value never waits behind a large one.
#[test]
fn a_large_reply_that_drips_keeps_nobody_else_waiting() {
    const SIZE: usize = 64 << 20;
    let begun = Arc::new(AtomicUsize::new(0));
    let dripping = begun.clone();
    let port = fake(move |_, command, stream| {
        if command[0] == b"SET" {
            return stream.write_all(b"+OK\r\n").is_ok();
        }
        if command[1] == b"small" {
            return stream.write_all(b"$2\r\nok\r\n").is_ok();
        }
        stream.write_all(format!("${SIZE}\r\n").as_bytes()).unwrap();
        dripping.store(1, Ordering::SeqCst);
        let piece = [b'x'; 1000];
        while stream.write_all(&piece).is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    });
    let (runtime, cache) = open_fake(port, Arc::new(Silent));
    let (writes, large, small) = (Ledger::new(1), Ledger::new(2), Ledger::new(100));
    let value = vec![b'x'; LARGE];
    let set = Request::Set { key: &key("large"), value: (&value).into(), ttl: LIFE, when: When::Always };
    cache.start(set, LONG, writes.ticket(0));
    writes.settle();
    cache.start(Request::Get(&key("large")), LONG, large.ticket(0));
    while begun.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    for number in 0..100 {
        cache.start(Request::Get(&key("small")), LONG, small.ticket(number));
    }
    assert!(small.settle().iter().all(|(_, answer)| said(answer) == "Value(Some(b\"ok\"))"));
    // its own key waits for its turn
    let set = Request::Set { key: &key("large"), value: b"x".into(), ttl: LIFE, when: When::Always };
    cache.start(set, LONG, large.ticket(1));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(large.arrived.load(Ordering::SeqCst), 0);
    runtime.end();
    assert!(large.settle().iter().all(|(_, answer)| answer.is_err()));
}

/// Keeps what is logged.
#[derive(Default)]
struct Kept(Mutex<Vec<(Level, String)>>);

impl Log for Kept {
    fn record(&self, level: Level, text: &std::fmt::Arguments<'_>) {
        self.0.lock().push((level, text.to_string()));
    }
}

impl Kept {
    fn wait_for(&self, part: &str) {
        let end = Instant::now() + Duration::from_mins(1);
        while !self.0.lock().iter().any(|(_, text)| text.contains(part)) {
            assert!(Instant::now() < end, "{part:?} was not logged, but {:?}", self.0.lock());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

// A server that owes a reply and says nothing, or never ends one, is given up also for those with more time.
#[test]
fn a_silent_server_and_one_that_drips_are_given_up() {
    for drips in [false, true] {
        let port = fake(move |number, _, stream| {
            if number > 0 {
                return stream.write_all(b"$2\r\nok\r\n").is_ok();
            }
            if drips {
                let _ = stream.write_all(b"$1000\r\n");
                while stream.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(300));
                }
            }
            true
        });
        let log = Arc::new(Kept::default());
        let (runtime, cache) = open_fake(port, log.clone());
        let (soon, later) = (Ledger::new(1), Ledger::new(1));
        let begin = Instant::now();
        cache.start(Request::Get(&key("k")), Budget::new(Duration::from_millis(200)), soon.ticket(0));
        cache.start(Request::Get(&key("k")), Budget::new(Duration::from_mins(50)), later.ticket(0));
        assert_eq!(soon.settle()[0].1.as_ref().unwrap_err().kind(), Kind::Timeout);
        let error = later.settle().remove(0).1.unwrap_err();
        assert!(error.kind() == Kind::Connection && error.is_retriable(), "{error}");
        let took = begin.elapsed();
        assert!(took >= Duration::from_secs(if drips { 4 } else { 1 }), "given up after {took:?}");
        let after = Ledger::new(1);
        cache.start(Request::Get(&key("k")), LONG, after.ticket(0));
        assert_eq!(said(&after.settle()[0].1), "Value(Some(b\"ok\"))");
        runtime.end();
    }
}

#[test]
fn a_server_that_comes_back_soon_is_waited_for() {
    let log = Arc::new(Kept::default());
    let mut waited = false;
    for _ in 0..20 {
        let port = free_port();
        let server = RedisServer::start_on(port, None);
        let (runtime, cache) = open_fake(port, log.clone());
        let (first, second) = (Ledger::new(1), Ledger::new(1));
        cache.start(Request::Get(&key("k")), LONG, first.ticket(0));
        assert!(first.settle()[0].1.is_ok());
        log.0.lock().clear();
        drop(server);
        log.wait_for("the connection broke");
        cache.start(Request::Get(&key("k")), LONG, second.ticket(0));
        let _server = RedisServer::start_on(port, None);
        match &second.settle()[0].1 {
            Ok(_) => waited = true,
            Err(error) => assert!(error.kind() == Kind::Connection && error.is_retriable(), "{error}"),
        }
        runtime.end();
        if waited {
            break;
        }
    }
    assert!(waited, "the server was never waited for");
    log.wait_for("connected");
    assert!(log.0.lock().iter().all(|(level, _)| *level <= Level::Warning));
}
