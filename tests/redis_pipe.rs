//! The asynchronous face of the Redis backend: thousands in flight, each answered exactly once, whatever happens.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::flight::{LONG, Ledger, Runtime, config_for, said, tcp};
use common::redis::{RedisClient, RedisServer, free_port};
use larder::backend::redis;
use larder::backend::{Backend, Entry, Reply, Request, Ticket, Touched, When, Written, perform};
use larder::config::{Address, Flavor};
use larder::error::Kind;
use larder::key::MadeKey;
use larder::lock::Mutex;
use larder::log::Silent;
use larder::timeout::{Budget, Ttl};

fn key(number: usize) -> MadeKey {
    MadeKey::as_is(&format!(":1:k{number}"))
}

fn set(key: &MadeKey, value: &[u8], ttl: Ttl, when: When, cache: &Arc<dyn Backend>, ticket: Ticket) {
    cache.start(Request::Set { key, value: value.into(), ttl, when }, LONG, ticket);
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
        let cache = redis::open(config_for(address, Flavor::DjangoRedis), runtime.clone(), Arc::new(Silent));
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
                assert!(value.unwrap().bytes == format!("{number}").repeat(times), "the value of another key");
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
    let cache = redis::open(config_for(tcp(server.port()), Flavor::Core), runtime.clone(), Arc::new(Silent));
    let ledger = Ledger::new(2000);
    for number in 0..1000 {
        set(&key(0), number.to_string().as_bytes(), Ttl::Forever, When::Always, &cache, ledger.ticket(number * 2));
        cache.start(Request::Get(&key(0)), LONG, ledger.ticket(number * 2 + 1));
    }
    for (tag, answer) in ledger.settle() {
        if tag % 2 == 1 {
            let Reply::Value(Some(value)) = answer.unwrap() else { panic!("no value") };
            assert_eq!(value.bytes, (tag / 2).to_string());
        }
    }
}

#[test]
fn sets_and_touches_answer_as_the_synchronous_ones_do() {
    let server = RedisServer::start();
    for flavor in [Flavor::Core, Flavor::DjangoRedis] {
        server.command(0, &[b"FLUSHALL"]);
        let runtime = Runtime::start();
        let cache = redis::open(config_for(tcp(server.port()), flavor), runtime.clone(), Arc::new(Silent));
        let one = |request: Request<'_>| {
            let ledger = Ledger::new(1);
            cache.start(request, LONG, ledger.ticket(0));
            ledger.settle().remove(0).1
        };
        let write = |name: usize, ttl: Ttl, when: When| match one(Request::Set {
            key: &key(name),
            value: b"v".into(),
            ttl,
            when,
        }) {
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
    let cache = redis::open(config_for(tcp(port), Flavor::DjangoRedis), runtime.clone(), Arc::new(Silent));
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
    let cache = redis::open(config_for(tcp(server.port()), Flavor::DjangoRedis), runtime.clone(), Arc::new(Silent));
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
    let cache = redis::open(config_for(tcp(server.port()), Flavor::DjangoRedis), runtime.clone(), Arc::new(Silent));
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
    let cache = redis::open(config_for(tcp(server.port()), Flavor::DjangoRedis), runtime.clone(), Arc::new(Silent));
    let ledger = Ledger::new(1000);
    (0..1000).for_each(|number| cache.start(Request::Get(&key(number)), LONG, ledger.ticket(number)));
    drop(cache);
    assert!(ledger.settle().iter().all(|(_, answer)| answer.is_ok()));
}

#[test]
fn every_request_answers_as_the_synchronous_operation_does() {
    let server = RedisServer::start();
    let entries = [Entry { key: key(1), value: "one".into() }, Entry { key: key(2), value: "2".into() }];
    let (keys, life) = ([key(1), key(2), key(3)], Ttl::Millis(90_000));
    let many: Vec<MadeKey> = (0..10_001).map(key).collect();
    let requests = [
        Request::Ping,
        Request::PurgeExpired,
        Request::GetMany(&[]),
        Request::SetMany(&[], life),
        Request::DeleteMany(&[]),
        Request::SetMany(&entries, life),
        Request::GetMany(&keys),
        Request::Ttl(&keys[0]),
        Request::Persist(&keys[0]),
        Request::Persist(&keys[0]),
        Request::Ttl(&keys[0]),
        Request::Ttl(&keys[2]),
        Request::Has(&keys[0]),
        Request::Has(&keys[2]),
        Request::Incr(&keys[0], 1),
        Request::Incr(&keys[1], 40),
        Request::Incr(&keys[2], 1),
        Request::Get(&keys[1]),
        Request::Set { key: &keys[2], value: b"x".into(), ttl: Ttl::Millis(0), when: When::Missing },
        Request::Set { key: &keys[2], value: b"x".into(), ttl: life, when: When::Missing },
        Request::Set { key: &keys[2], value: b"x".into(), ttl: Ttl::Millis(0), when: When::Missing },
        Request::Set { key: &keys[2], value: b"x".into(), ttl: Ttl::Millis(0), when: When::Always },
        Request::Touch(&keys[1], life),
        Request::Scan(b":1:k*", 0),
        Request::GetMany(&many),
        Request::Delete(&keys[0]),
        Request::Delete(&keys[0]),
        Request::DeleteMany(&keys),
        Request::SetMany(&entries, life),
        Request::DeleteMany(&many),
        Request::SetMany(&entries, life),
        Request::Clear(Some(b":1:k1")),
        Request::Scan(b"*", 0),
        Request::Clear(None),
        Request::Scan(b"*", 0),
    ];
    for flavor in [Flavor::Core, Flavor::DjangoRedis] {
        let runtime = Runtime::start();
        let config = config_for(tcp(server.port()), flavor);
        let cache = redis::open(config.clone(), runtime.clone(), Arc::new(Silent));
        server.command(0, &[b"FLUSHALL"]);
        let wanted: Vec<String> = requests.iter().map(|one| said(&perform(&*cache, one, LONG))).collect();
        server.command(0, &[b"FLUSHALL"]);
        for (request, wanted) in requests.iter().zip(&wanted) {
            let ledger = Ledger::new(1);
            cache.start(*request, LONG, ledger.ticket(0));
            let answer = said(&ledger.settle().remove(0).1);
            let request: String = format!("{request:?}").chars().take(200).collect();
            assert!(answer == *wanted, "{flavor:?}: {request}");
        }
        runtime.end();
    }
}

#[test]
fn many_callers_share_a_connection_and_read_through_its_loss() {
    const THREADS: usize = 16;
    let server = RedisServer::start();
    let runtime = Runtime::start();
    let cache = redis::open(config_for(tcp(server.port()), Flavor::DjangoRedis), runtime.clone(), Arc::new(Silent));
    for number in 0..100 {
        let value = format!("{number} ").repeat(number * 10 + 1);
        cache.set(&key(number), value.as_bytes().into(), Ttl::Forever, When::Always, LONG).unwrap();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(60));
                server.command(0, &[b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes"]);
            }
        });
        let readers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let cache = &cache;
                scope.spawn(move || {
                    for round in 0..1000 {
                        let number = (thread * 31 + round) % 101;
                        let value = cache.get(&key(number), LONG).unwrap().map(|value| value.bytes);
                        let wanted = (number < 100).then(|| format!("{number} ").repeat(number * 10 + 1));
                        assert!(value.as_deref() == wanted.as_deref().map(str::as_bytes), "another key's value");
                    }
                })
            })
            .collect();
        for reader in readers {
            reader.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
    runtime.end();
    assert!(cache.get(&key(1), LONG).unwrap().is_some(), "without a runtime too");
}

#[test]
fn callers_that_all_wait_need_few_connections() {
    const THREADS: usize = 24;
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, free_port())).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (tally, counts) = (heard.clone(), connections.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counts.fetch_add(1, Ordering::SeqCst);
            let (mut stream, heard) = (stream.unwrap(), tally.clone());
            let mut commands = RedisClient::reading(stream.try_clone().unwrap());
            std::thread::spawn(move || {
                let mut names = Vec::new();
                while let Some(command) = commands.heard() {
                    names.push(command);
                    heard.fetch_add(1, Ordering::SeqCst);
                    // whoever comes last lets all go
                    if names.len() == 1 {
                        let (heard, mut stream) = (heard.clone(), stream.try_clone().unwrap());
                        std::thread::spawn(move || {
                            while heard.load(Ordering::SeqCst) < THREADS {
                                std::thread::sleep(Duration::from_millis(1));
                            }
                            std::thread::sleep(Duration::from_millis(100));
                            let _ = stream.write_all(b"+PONG\r\n".repeat(THREADS).as_slice());
                        });
                    }
                }
                let _ = stream.flush();
            });
        }
    });
    let runtime = Runtime::start();
    let mut config = config_for(tcp(port), Flavor::DjangoRedis);
    (config.server.database, config.max_connections) = (0, THREADS);
    let cache = redis::open(config, runtime.clone(), Arc::new(Silent));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| cache.ping(LONG));
        }
    });
    assert_eq!(heard.load(Ordering::SeqCst), THREADS);
    assert!(connections.load(Ordering::SeqCst) <= 9, "{connections:?} connections"); // eight apart, and the shared one
    runtime.end();
}

/// A write whose time was over before it was sent is never carried out: somebody may have written something newer since.
#[test]
fn what_was_late_before_it_was_sent_is_never_sent() {
    let (server, runtime) = (RedisServer::start(), Runtime::start());
    let cache = redis::open(config_for(tcp(server.port()), Flavor::DjangoRedis), runtime.clone(), Arc::new(Silent));
    let warm = Ledger::new(1);
    set(&key(0), b"first", Ttl::Forever, When::Always, &cache, warm.ticket(0));
    warm.settle();
    server.pause(true);
    let (count, filler) = (500, vec![b'x'; 60 << 10]);
    let ledger = Ledger::new(count + 2);
    for number in 0..count {
        set(&key(1 + number), &filler, Ttl::Forever, When::Always, &cache, ledger.ticket(number));
    }
    std::thread::sleep(Duration::from_millis(100)); // the socket is full, and the task takes nothing more
    let short = Budget::new(Duration::from_millis(200));
    let stale = Request::Set { key: &key(0), value: b"stale".into(), ttl: Ttl::Forever, when: When::Always };
    cache.start(stale, short, ledger.ticket(count));
    std::thread::sleep(Duration::from_millis(500));
    cache.start(Request::Get(&key(0)), LONG, ledger.ticket(count + 1));
    server.pause(false);
    for (tag, answer) in ledger.settle() {
        let number = usize::try_from(tag).unwrap();
        match answer {
            Err(error) if number == count => {
                assert_eq!((error.kind(), error.may_have_happened()), (Kind::Timeout, false), "{error}");
            }
            Ok(Reply::Value(Some(value))) if number == count + 1 => assert_eq!(value.bytes, "first"),
            Ok(Reply::Written(Written::Stored)) if number < count => {}
            other => panic!("{number}: {other:?}"),
        }
    }
}
