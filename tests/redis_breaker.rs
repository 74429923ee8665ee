//! The breaker, the counters and the upkeep of connections to one Redis server.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::flight::{self, Face, NoRuntime, Runtime, ask, tcp};
use common::redis::{RedisServer, free_port};
use larder::backend::redis;
use larder::backend::{Backend, Health, Request, When};
use larder::config::{self, BreakerRule, Flavor};
use larder::error::Kind;
use larder::key::MadeKey;
use larder::lock::Mutex;
use larder::log::{Level, Log};
use larder::timeout::{Budget, Ttl};

const LONG: Budget = Budget::new(Duration::from_secs(20));
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Default)]
struct Records(Mutex<Vec<(Level, String)>>);

impl Log for Records {
    fn record(&self, level: Level, text: &fmt::Arguments<'_>) {
        self.0.lock().push((level, text.to_string()));
    }
}

fn config_for(port: u16) -> config::Redis {
    let mut config = flight::config_for(tcp(port), Flavor::DjangoRedis);
    config.server.database = 0;
    config.breaker = Some(BreakerRule { failures: 3, pause: PAUSE });
    config
}

fn open(config: config::Redis) -> (Arc<dyn Backend>, Arc<Records>) {
    let records = Arc::new(Records::default());
    (redis::open(config, Arc::new(NoRuntime), records.clone()), records)
}

fn health(cache: &Arc<dyn Backend>) -> Health {
    let [health] = <[Health; 1]>::try_from(cache.health()).unwrap();
    assert_eq!(&*health.server, "redis://test");
    health
}

fn key() -> MadeKey {
    MadeKey::as_is("k")
}

fn fail(cache: &Arc<dyn Backend>, times: usize) {
    for _ in 0..times {
        let error = cache.get(&key(), LONG).unwrap_err();
        assert_eq!(error.kind(), Kind::Connection, "{error}");
        assert!(error.reason().starts_with("cannot connect"), "{error}");
    }
}

#[test]
fn a_server_that_is_away_is_left_alone_and_tried_again() {
    let port = free_port();
    let (cache, records) = open(config_for(port));
    fail(&cache, 3);
    let begin = Instant::now();
    let error = cache.set(&key(), b"v".into(), Ttl::Forever, When::Always, LONG).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("the server failed again and again, and calls fail at once until it answers a try; "),
        "{text}"
    );
    assert!(text.contains("; the last failure: cannot connect: connection refused"), "{text}");
    assert_eq!((error.kind(), error.is_retriable(), error.may_have_happened()), (Kind::Connection, true, false));
    let seen = health(&cache);
    assert_eq!((seen.breaker_open, seen.breaker_opened, seen.refused), (true, 1, 1));
    assert_eq!((seen.connections, seen.connected, seen.connect_failures), (0, 0, 3));
    // The probe fails: the pause is longer then.
    std::thread::sleep((PAUSE * 2).saturating_sub(begin.elapsed()));
    fail(&cache, 1);
    assert!(cache.get(&key(), LONG).unwrap_err().reason().contains("calls fail at once"));
    let server = RedisServer::start_on(port, None);
    let end = Instant::now() + Duration::from_secs(20);
    while let Err(error) = cache.get(&key(), LONG) {
        assert!(error.reason().contains("calls fail at once") && Instant::now() < end, "{error}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let seen = health(&cache);
    assert_eq!((seen.breaker_open, seen.breaker_opened), (false, 2));
    assert_eq!((seen.connections, seen.connected, seen.connect_failures), (1, 1, 4));
    let records = records.0.lock();
    let levels: Vec<_> = records.iter().map(|(level, _)| *level).collect();
    assert_eq!(levels, [Level::Warning, Level::Warning, Level::Info], "{records:?}");
    assert!(records[0].1.starts_with("redis://test: failed 3 times in a row; calls fail at once for "), "{records:?}");
    drop(server);
}

/// Counts connections, and closes each or says nothing, as it is told.
fn bad_server(silent: bool) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            kept.extend(stream.ok().filter(|_| silent));
        }
    });
    (port, count)
}

#[test]
fn only_one_call_tries_it() {
    let (port, count) = bad_server(true);
    let mut config = config_for(port);
    config.breaker = Some(BreakerRule { failures: 2, pause: PAUSE });
    let (cache, _) = open(config);
    let short = Budget::new(Duration::from_millis(150));
    for _ in 0..2 {
        assert_eq!(cache.get(&key(), short).unwrap_err().kind(), Kind::Timeout);
    }
    std::thread::sleep(PAUSE * 2);
    let before = count.load(Ordering::SeqCst);
    let kinds = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| cache.get(&key(), short).unwrap_err().kind())).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Timeout).count(), 1, "{kinds:?}");
    assert_eq!(count.load(Ordering::SeqCst), before + 1);
    assert_eq!(health(&cache).refused, 7);
}

#[test]
fn impatient_callers_do_not_close_it_to_others() {
    let server = RedisServer::start();
    let (cache, _) = open(config_for(server.port()));
    cache.ping(LONG).unwrap();
    server.pause(true);
    for _ in 0..10 {
        let error = cache.get(&key(), Budget::new(Duration::from_millis(2))).unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout, "{error}");
    }
    server.pause(false);
    assert!(!health(&cache).breaker_open);
    cache.ping(LONG).unwrap();
    // Who waits for a free connection says nothing about the server.
    let mut config = config_for(server.port());
    config.max_connections = 1;
    let (narrow, _) = open(config);
    server.pause(true);
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| narrow.get(&key(), LONG));
        std::thread::sleep(Duration::from_millis(100));
        for _ in 0..4 {
            let error = narrow.get(&key(), Budget::new(Duration::from_millis(100))).unwrap_err();
            assert!(error.reason().contains("see max_connections"), "{error}");
        }
        server.pause(false);
        holder.join().unwrap().unwrap();
    });
    assert!(!health(&narrow).breaker_open);
}

/// Carries out what is begun asynchronously.
#[test]
fn both_faces_have_one_breaker() {
    let mut config = config_for(free_port());
    config.breaker = Some(BreakerRule { failures: 3, pause: Duration::from_mins(10) });
    let cache = redis::open(config, Runtime::start(), Arc::new(Records::default()));
    fail(&cache, 3);
    let error = ask(&*cache, Face::Asynchronous, &Request::Get(&key()), LONG).unwrap_err();
    assert_eq!(error.kind(), Kind::Connection);
    assert!(error.reason().contains("calls fail at once until it answers a try"), "{error}");
    assert_eq!(health(&cache).refused, 1);
}

#[test]
fn a_probe_that_is_refused_here_makes_room_for_another() {
    let server = RedisServer::start();
    let mut config = config_for(server.port());
    config.breaker = Some(BreakerRule { failures: 3, pause: PAUSE });
    let cache = redis::open(config, Runtime::start(), Arc::new(Records::default()));
    server.pause(true);
    for _ in 0..3 {
        cache.get(&key(), Budget::new(Duration::from_millis(100))).unwrap_err();
    }
    assert!(health(&cache).breaker_open);
    server.pause(false);
    std::thread::sleep(PAUSE * 2);
    let (key, ttl) = (key(), Ttl::Millis(i64::MAX - 1));
    let set = Request::Set { key: &key, value: b"1".into(), ttl, when: When::Always };
    let refused = ask(&*cache, Face::Asynchronous, &set, Budget::new(Duration::MAX)).unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
    cache.get(&key, LONG).unwrap();
    assert!(!health(&cache).breaker_open);
}

#[test]
fn answers_of_the_server_are_no_failures_and_a_breaker_can_be_off() {
    let server = RedisServer::start();
    server.command(0, &[b"LPUSH", b"k", b"x"]);
    let (cache, records) = open(config_for(server.port()));
    for _ in 0..5 {
        assert_eq!(cache.get(&key(), LONG).unwrap_err().kind(), Kind::Type);
    }
    assert!(!health(&cache).breaker_open && records.0.lock().is_empty());
    let mut config = config_for(free_port());
    config.breaker = None;
    let (off, _) = open(config);
    fail(&off, 20);
    let seen = health(&off);
    assert_eq!((seen.breaker_open, seen.breaker_opened, seen.refused, seen.connect_failures), (false, 0, 0, 20));
}

/// Answers `+PONG` to everything, until it is told to say nothing on the connections that there are.
struct Mute {
    port: u16,
    connections: Arc<AtomicUsize>,
    pings: Arc<AtomicUsize>,
    switch: Arc<Mutex<Arc<AtomicBool>>>,
}

impl Mute {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
        let mute = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            pings: Arc::default(),
            switch: Arc::default(),
        };
        let (connections, pings, switch) = (mute.connections.clone(), mute.pings.clone(), mute.switch.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(std::result::Result::ok) {
                connections.fetch_add(1, Ordering::SeqCst);
                let (pings, mute) = (pings.clone(), switch.lock().clone());
                std::thread::spawn(move || answer(stream, &pings, &mute));
            }
        });
        mute
    }

    /// Silences the connections that there are; those that come later are answered.
    fn silence(&self) {
        std::mem::take(&mut *self.switch.lock()).store(true, Ordering::SeqCst);
    }
}

fn answer(mut stream: TcpStream, pings: &AtomicUsize, mute: &AtomicBool) {
    let mut request = [0; 4096];
    while let Ok(1..) = stream.read(&mut request) {
        pings.fetch_add(1, Ordering::SeqCst);
        if !mute.load(Ordering::SeqCst) && stream.write_all(b"+PONG\r\n").is_err() {
            return;
        }
    }
}

#[test]
fn a_connection_that_rested_is_asked_and_replaced_when_it_says_nothing() {
    let server = Mute::start();
    let mut config = config_for(server.port);
    config.resting.check = Some(Duration::from_millis(1)); // but a second is always trusted
    let (cache, _) = open(config);
    cache.ping(LONG).unwrap();
    assert_eq!((server.connections.load(Ordering::SeqCst), server.pings.load(Ordering::SeqCst)), (1, 1));
    cache.ping(LONG).unwrap();
    assert_eq!(server.pings.load(Ordering::SeqCst), 2);
    std::thread::sleep(Duration::from_millis(1100));
    cache.ping(LONG).unwrap();
    assert_eq!((server.connections.load(Ordering::SeqCst), server.pings.load(Ordering::SeqCst)), (1, 4));
    // A router that forgot the connection: nothing comes any more, and nothing says so.
    server.silence();
    std::thread::sleep(Duration::from_millis(1100));
    let begin = Instant::now();
    cache.ping(Budget::new(Duration::from_secs(4))).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(4));
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    let seen = health(&cache);
    assert_eq!((seen.connections, seen.connected, seen.connect_failures), (1, 2, 0));
}

#[test]
fn connecting_has_its_own_share_of_the_time() {
    // It takes connections, and never answers their first commands.
    let (port, _) = bad_server(true);
    let mut config = config_for(port);
    config.connect = Some(Duration::from_millis(200));
    config.server.password = Some("secret".into());
    let (cache, _) = open(config);
    let begin = Instant::now();
    let error = cache.get(&key(), LONG).unwrap_err();
    assert_eq!((error.kind(), error.may_have_happened()), (Kind::Timeout, false), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert!(error.reason().contains("more than the 200 ms that connecting may take"), "{error}");
    assert!(!error.to_string().contains("secret"));
}
