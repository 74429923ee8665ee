//! One load among all processes: redis-py's lock (DR-27).

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use larder::error::Kind;
use larder::log::Level;
use larder::pyot::ask::{Ask, Operation, TokenRef};
use larder::pyot::load::Load;
use larder::store::Call;
use larder::timeout::{Ttl, TtlChoice};
use serde_json::{Value, json};

use crate::bed::{Bed, FACES, Face, ONE, Own, text, usual, value, within};
use crate::common::python::Partner;
use crate::common::redis::RedisServer;

fn bed(port: u16, timeout: u64, loader: std::sync::Arc<Own>) -> Bed {
    let more = json!({"locks": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": format!("redis://127.0.0.1:{port}/0")}});
    let load: Value = json!({"TIMEOUT_MS": timeout, "LOCK": {"ALIAS": "locks", "TTL_MS": 60_000}});
    Bed::with(&json!({"PIPELINE": usual(), "LOAD": load}), &more, Some(loader))
}

/// As another process holds it.
fn hold(bed: &Bed) -> Vec<u8> {
    let (key, ttl) = (format!("lock:{ONE}"), TtlChoice::Of(Ttl::Millis(60_000)));
    let token = bed.store("locks").lock(&key, ttl, Some(Duration::ZERO), &Call::default(), || true).unwrap().unwrap();
    token.text().unwrap().shown.as_bytes().to_vec()
}

#[test]
fn the_lock_is_held_while_something_is_loaded() {
    let server = RedisServer::start();
    let port = server.port();
    for face in FACES {
        let loader = Own::new(move |load| {
            let key = format!(":1:lock:{}", load.token());
            let held = larder_tests_get(port, &key);
            load.done(crate::bed::loaded(if held.len() == 32 { "held" } else { "not held" }));
        });
        let bed = bed(port, 10_000, loader);
        assert_eq!(text(&bed.get(face, ONE).unwrap().unwrap()), "held");
        bed.until("the lock", |_| server.command(0, &[b"DBSIZE"]) == b"0");
    }
}

fn larder_tests_get(port: u16, key: &str) -> Vec<u8> {
    crate::common::redis::RedisClient::connect(port).command(&[b"GET", key.as_bytes()])
}

#[test]
fn who_waited_for_the_lock_finds_what_the_other_loaded() {
    let server = RedisServer::start();
    for face in FACES {
        let loader = Own::text("loaded here");
        let bed = bed(server.port(), 30_000, loader.clone());
        let token = hold(&bed);
        let pipeline = bed.pipeline.clone();
        let waits = std::thread::spawn(move || {
            let get = Operation::Get { token: TokenRef::from(ONE) };
            let found = value(crate::bed::begin(&pipeline, face, &get, &Ask::default())().unwrap()).unwrap();
            (text(&found), found.level)
        });
        bed.until("the flight", |bed| bed.flights.len() == 1);
        std::thread::sleep(Duration::from_millis(50));
        bed.put("file", ONE, "loaded there", Ttl::Millis(60_000));
        assert!(bed.store("locks").unlock(&format!("lock:{ONE}"), &token, &Call::default()).unwrap());
        assert_eq!(waits.join().unwrap(), ("loaded there".to_owned(), Some(1)));
        assert_eq!((loader.calls(), bed.read("memory", ONE).as_deref()), (0, Some("loaded there")));
        bed.until("the lock", |_| server.command(0, &[b"DBSIZE"]) == b"0");
    }
}

// Python loads under `cache.lock("lock:" + token)`; larder waits for it, and loads nothing.
#[test]
fn a_load_waits_for_one_of_python_s() {
    let server = RedisServer::start();
    let mut python = Partner::start("redis_locks/partner.py");
    python.must("connect", json!({"location": server.url(0)}));
    let lock = json!({"key": format!("lock:{ONE}"), "timeout": 60, "blocking": false});
    for face in FACES {
        let loader = Own::text("loaded here");
        let bed = bed(server.port(), 30_000, loader.clone());
        assert_eq!(python.must("lock", lock.clone()), true);
        let pipeline = bed.pipeline.clone();
        let waits = std::thread::spawn(move || {
            let get = Operation::Get { token: TokenRef::from(ONE) };
            text(&value(crate::bed::begin(&pipeline, face, &get, &Ask::default())().unwrap()).unwrap())
        });
        bed.until("the flight", |bed| bed.flights.len() == 1);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(loader.calls(), 0);
        bed.put("file", ONE, "loaded by Python", Ttl::Millis(60_000));
        python.must("unlock", json!({"key": format!("lock:{ONE}")}));
        assert_eq!((waits.join().unwrap().as_str(), loader.calls()), ("loaded by Python", 0));
        bed.until("the lock", |_| server.command(0, &[b"DBSIZE"]) == b"0");
    }
    // and the other way round
    let (sender, receiver) = mpsc::channel::<Load>();
    let sender = Mutex::new(sender);
    let bed = bed(server.port(), 30_000, Own::new(move |load| sender.lock().unwrap().send(load).unwrap()));
    let get = bed.begin(Face::Later, &Operation::Get { token: TokenRef::from(ONE) }, &Ask::default());
    let load = receiver.recv().unwrap();
    assert_eq!(python.must("lock", lock.clone()), false);
    load.done(crate::bed::loaded("loaded here"));
    assert_eq!(text(&value(get().unwrap()).unwrap()), "loaded here");
    bed.until("the lock", |_| server.command(0, &[b"DBSIZE"]) == b"0");
    assert_eq!(python.must("lock", lock), true);
}

#[test]
fn a_lock_that_is_held_too_long_is_not_waited_for() {
    let server = RedisServer::start();
    for face in FACES {
        let loader = Own::text("loaded");
        let bed = bed(server.port(), 300, loader.clone());
        let token = hold(&bed);
        let error = bed.get(face, ONE).err().unwrap();
        assert_eq!((error.kind(), loader.calls()), (Kind::Timeout, 0), "{error}");
        assert!(bed.flights.is_empty());
        // whose own time is over leaves the waiting to a task
        let error = bed.get_with(face, ONE, &within(100)).err().unwrap();
        assert_eq!(error.kind(), Kind::Timeout);
        assert!(bed.store("locks").unlock(&format!("lock:{ONE}"), &token, &Call::default()).unwrap());
        bed.until("the flight", |bed| bed.flights.is_empty());
        bed.until("the lock", |_| server.command(0, &[b"DBSIZE"]) == b"0");
    }
}

// What a loader of one call needs may be on its caller's stack: it is not begun after the call. Who waited leads the next.
#[test]
fn a_loader_of_one_call_is_not_begun_after_it() {
    let server = RedisServer::start();
    let bed = bed(server.port(), 30_000, Own::text("the pipeline's"));
    let token = hold(&bed);
    let own = Own::text("too late");
    let waits = std::thread::scope(|scope| {
        let short = scope.spawn(|| {
            let ask = Ask { loader: Some(own.clone()), ..within(300) };
            bed.get_with(Face::Now, ONE, &ask).err().map(|error| error.kind())
        });
        bed.until("the flight", |bed| bed.flights.len() == 1);
        let waits = bed.begin(Face::Later, &Operation::Get { token: TokenRef::from(ONE) }, &Ask::default());
        assert_eq!(short.join().unwrap(), Some(Kind::Timeout));
        waits
    });
    assert!(bed.store("locks").unlock(&format!("lock:{ONE}"), &token, &Call::default()).unwrap());
    assert_eq!(text(&value(waits().unwrap()).unwrap()), "the pipeline's");
    assert_eq!(own.calls(), 0);
    bed.until("the lock", |_| server.command(0, &[b"DBSIZE"]) == b"0");
}

#[test]
fn without_the_server_of_the_lock_it_is_loaded_all_the_same() {
    for face in FACES {
        let bed = bed(1, 10_000, Own::text("loaded"));
        assert_eq!(text(&bed.get(face, ONE).unwrap().unwrap()), "loaded");
        let records = bed.records();
        let warns = |(level, text): &(Level, String)| *level == Level::Warning && text.contains("without the lock");
        assert!(records.iter().any(warns), "{records:?}");
    }
}
