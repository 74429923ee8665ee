//! The Redis backend against servers that misbehave: every call ends in time, with the right kind of error, and the
//! next one works when the server does. Both faces go through the same faults.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use common::flight::{self, FACES, Face, Runtime, SLACK, ask, tcp};
use common::redis::{RedisServer, free_port};
use larder::backend::redis;
use larder::backend::{Backend, Reply, Request, When, Written};
use larder::config::{self, Flavor};
use larder::error::{Error, Kind, Result};
use larder::key::MadeKey;
use larder::log::Silent;
use larder::timeout::{Budget, Ttl};

/// What a call that is to fail by time is given.
const SHORT: Budget = Budget::new(Duration::from_millis(300));
/// What every other call is given.
const LONG: Budget = Budget::new(Duration::from_secs(20));
fn config_for(port: u16) -> config::Redis {
    let mut config = flight::config_for(tcp(port), Flavor::DjangoRedis);
    config.server.database = 0;
    config
}

fn key(text: &str) -> MadeKey {
    MadeKey::as_is(text)
}

/// One cache and its runtime; calls go through either face.
struct Client {
    cache: Arc<dyn Backend>,
    face: Face,
    _runtime: Arc<Runtime>,
}

impl Client {
    fn new(config: config::Redis, face: Face) -> Self {
        let runtime = Runtime::start();
        Self { cache: redis::open(config, runtime.clone(), Arc::new(Silent)), face, _runtime: runtime }
    }

    /// Carries a request out, and fails the test if it does not end in time.
    fn call(&self, request: &Request<'_>, budget: Budget) -> Result<Reply> {
        let begin = Instant::now();
        let answer = ask(&*self.cache, self.face, request, budget);
        assert!(begin.elapsed() < budget.total() + SLACK, "{:?} took {:?}", self.face, begin.elapsed());
        answer
    }

    fn get(&self, budget: Budget) -> Result<Reply> {
        self.call(&Request::Get(&key("k")), budget)
    }

    fn set(&self, budget: Budget) -> Result<Reply> {
        let request = Request::Set { key: &key("k"), value: b"v".into(), ttl: Ttl::Forever, when: When::Always };
        self.call(&request, budget)
    }
}

/// A server that does what a test says: `serve` gets each connection with its number.
struct FakeServer {
    port: u16,
    connections: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl FakeServer {
    fn start(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Self {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let ended = Arc::new(AtomicBool::new(false));
        let (count, end, serve) = (connections.clone(), ended.clone(), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (stream, serve) = (stream.unwrap(), serve.clone());
                std::thread::spawn(move || serve(number, stream));
            }
        });
        Self { port, connections, ended }
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// Reads one piece of a request; `false` at the end.
fn hear(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0; 4096]).is_ok_and(|size| size > 0)
}

fn hear_once(stream: &mut TcpStream) {
    hear(stream);
}

/// Answers every request as a healthy server would to GET.
fn behave(mut stream: TcpStream) {
    while hear(&mut stream) {
        if stream.write_all(b"$2\r\nok\r\n").is_err() {
            return;
        }
    }
}

fn is_ok(reply: &Reply) -> bool {
    matches!(reply, Reply::Value(Some(value)) if value.bytes == "ok")
}

/// The first connection misbehaves as `fault` does, all others are healthy.
fn first_is_faulty(fault: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> FakeServer {
    FakeServer::start(move |number, mut stream| if number == 0 { fault(&mut stream) } else { behave(stream) })
}

fn check(fault: impl Fn(&mut TcpStream) + Clone + Send + Sync + 'static, budget: Budget, kinds: &[Kind]) {
    for face in FACES {
        let server = first_is_faulty(fault.clone());
        let client = Client::new(config_for(server.port), face);
        let error = client.get(budget).map(|reply| format!("{reply:?}")).unwrap_err();
        assert!(kinds.contains(&error.kind()), "{face:?}: {error:?}");
        assert!(error.to_string().len() < 400, "{error}");
        // A reply that never comes keeps the asynchronous connection for a while: then it is given up.
        let healed = (0..200).any(|_| client.get(SHORT).is_ok_and(|reply| is_ok(&reply)));
        assert!(healed, "{face:?}: not again after {error}");
    }
}

#[test]
fn accepts_and_closes() {
    check(|_| {}, LONG, &[Kind::Connection]);
}

#[test]
fn closes_after_the_request() {
    check(hear_once, LONG, &[Kind::Connection]);
}

#[test]
fn closes_in_the_middle_of_a_reply() {
    for part in ["$", "$5\r\nab", "$100000\r\nabc", "*2\r\n$1\r\na\r\n"] {
        check(
            move |stream| {
                hear(stream);
                stream.write_all(part.as_bytes()).unwrap();
            },
            LONG,
            &[Kind::Connection],
        );
    }
}

#[test]
fn sends_garbage() {
    for garbage in
        ["HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\0\r\n", "$-7\r\n", ":12\r\n", "+OK\r\n", "$999999999999\r\n"]
    {
        check(
            move |stream| {
                hear(stream);
                stream.write_all(garbage.as_bytes()).unwrap();
                hear(stream);
            },
            LONG,
            &[Kind::Connection, Kind::TooBig],
        );
    }
}

#[test]
fn never_answers() {
    check(|stream| while hear(stream) {}, SHORT, &[Kind::Timeout]);
}

#[test]
fn drips() {
    let drip = |stream: &mut TcpStream| {
        hear(stream);
        let _ = stream.write_all(b"$1000000\r\n");
        // One byte at a time must not move the deadline.
        for _ in 0..2000 {
            if stream.write_all(b"x").is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    // The asynchronous connection is not dead: only the deadline is looked at.
    for face in FACES {
        let server = first_is_faulty(drip);
        let client = Client::new(config_for(server.port), face);
        assert_eq!(client.get(SHORT).unwrap_err().kind(), Kind::Timeout);
    }
}

#[test]
fn floods() {
    // Messages that answer nothing, and then a value without an end: there is always something to receive.
    for flood in [">1\r\n:1\r\n".repeat(5000), format!("$500000000\r\n{}", "x".repeat(5000))] {
        for face in FACES {
            let flood = flood.clone();
            let server = first_is_faulty(move |stream| {
                hear(stream);
                let mut piece = flood.as_bytes();
                while stream.write_all(piece).is_ok() {
                    piece = if flood.starts_with('$') { &[b'x'; 100] } else { piece };
                    std::thread::sleep(Duration::from_micros(100));
                }
            });
            let client = Client::new(config_for(server.port), face);
            assert_eq!(client.get(SHORT).unwrap_err().kind(), Kind::Timeout);
        }
    }
}

#[test]
fn nobody_listens() {
    for face in FACES {
        let client = Client::new(config_for(free_port()), face);
        let error = client.set(LONG).unwrap_err();
        assert_eq!(error.kind(), Kind::Connection);
        assert!(error.is_retriable() && !error.may_have_happened(), "{error}");
        assert!(error.to_string().contains("is the server running"), "{error}");
        assert!(error.during("set").to_string().starts_with("set at redis://test: "));
    }
}

#[test]
fn a_write_without_an_answer_may_have_happened() {
    for face in FACES {
        let server = first_is_faulty(hear_once);
        let error = Client::new(config_for(server.port), face).set(LONG).unwrap_err();
        assert!(error.kind() == Kind::Connection && error.may_have_happened(), "{error}");
        let server = first_is_faulty(|stream| while hear(stream) {});
        let error = Client::new(config_for(server.port), face).set(SHORT).unwrap_err();
        assert!(error.kind() == Kind::Timeout && error.may_have_happened(), "{error}");
    }
}

// A late reply handed to the next request would be another key's value.
#[test]
fn a_late_reply_is_nobody_elses() {
    for face in FACES {
        let (given_up, wait) = mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let server = FakeServer::start(move |number, mut stream| {
            hear(&mut stream);
            if number == 0 {
                let _ = wait.lock().unwrap().recv();
                let _ = stream.write_all(b"$4\r\nlate\r\n");
            } else {
                let _ = stream.write_all(b"$2\r\nok\r\n");
            }
            behave(stream);
        });
        let client = Client::new(config_for(server.port), face);
        assert_eq!(client.get(SHORT).unwrap_err().kind(), Kind::Timeout);
        given_up.send(()).unwrap();
        assert!(is_ok(&client.get(LONG).unwrap()), "{face:?}");
        assert!(is_ok(&client.get(LONG).unwrap()), "{face:?}");
    }
}

#[test]
fn a_connection_that_died_while_it_rested_is_replaced() {
    let server = RedisServer::start();
    let port = server.port();
    let client = Client::new(config_for(port), Face::Synchronous);
    client.set(LONG).unwrap();
    drop(server);
    let server = RedisServer::start_on(port, None);
    // A read is repeated, and a write that must not be done twice looks first.
    assert!(matches!(client.get(LONG).unwrap(), Reply::Value(None)));
    drop(server);
    let _server = RedisServer::start_on(port, None);
    assert_eq!(client.cache.set(&key("k"), b"v".into(), Ttl::Forever, When::Missing, LONG).unwrap(), Written::Stored);
}

#[test]
fn a_server_that_stands_still_costs_only_the_deadline() {
    let server = RedisServer::start();
    for face in FACES {
        let client = Client::new(config_for(server.port()), face);
        client.set(LONG).unwrap();
        server.pause(true);
        let errors: Vec<Error> = (0..3).map(|_| client.set(SHORT).unwrap_err()).collect();
        server.pause(false);
        for error in errors {
            assert!(matches!(error.kind(), Kind::Timeout | Kind::Connection), "{error}");
            assert!(error.is_retriable() && error.may_have_happened(), "{error}");
        }
        let back = (0..200).any(|_| client.get(SHORT).is_ok());
        assert!(back, "{face:?}");
    }
}

#[test]
fn waiting_for_a_free_connection_ends_too() {
    let server = FakeServer::start(|_, mut stream| while hear(&mut stream) {});
    let mut config = config_for(server.port);
    config.max_connections = 1;
    let client = Client::new(config, Face::Synchronous);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| client.get(SHORT).unwrap_err())).collect();
        for call in calls {
            assert_eq!(call.join().unwrap().kind(), Kind::Timeout);
        }
    });
    assert!(server.connections.load(Ordering::SeqCst) <= 4);
}

#[test]
fn a_refused_greeting_reaches_every_caller() {
    let server = RedisServer::with_password("s3cret");
    for face in FACES {
        let mut config = config_for(server.port());
        config.server.password = Some("other".into());
        let error = Client::new(config.clone(), face).get(LONG).unwrap_err();
        assert!(error.kind() == Kind::Server && !error.to_string().contains("other"), "{error}");
        config.server.password = Some("s3cret".into());
        config.server.database = 5;
        let client = Client::new(config, face);
        client.set(LONG).unwrap();
        assert_eq!(server.command(5, &[b"GET", b"k"]), b"v");
    }
}
