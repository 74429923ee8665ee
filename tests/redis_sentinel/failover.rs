//! What a failover costs: the primary is killed, stands still, or is told to step down, while others work.
//!
//! Redis copies to its replicas behind the callers' backs, so what was acknowledged just before a failover can be lost:
//! that is not larder's to prevent. Wrong is a value that was never written under its key; one that is older than what
//! was acknowledged, once the failover is over; and a number that counts more than was asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder::backend::{Counted, Reply, Request};
use larder::error::{Error, Kind};
use larder::key::MadeKey;
use larder::timeout::Budget;
use serde_json::json;

use crate::client::Client;
use crate::common::flight::{FACES, Face, Ledger, SLACK};
use crate::common::sentinels::{FAILOVER, Service, wait};

/// Long enough for every failover.
const PATIENT: Duration = Duration::from_secs(40);
/// Some of these calls have to fail.
const HASTY: Duration = Duration::from_millis(300);

/// Half of the calls that fail may end so much later than their deadline at most; any of them, [`SLACK`].
const HALF: Duration = Duration::from_millis(500);

/// What one worker saw.
#[derive(Default)]
struct Seen {
    failures: Vec<(Instant, Error)>,
    /// How many of them ended notably later than their deadline.
    late: usize,
    /// How far the values are that were written, and those that were acknowledged.
    written: u32,
    acknowledged: u32,
    done: u32,
    /// When writes went well.
    well: Vec<Instant>,
}

/// Writes and reads one key, until it is told to stop.
fn work(client: &Client, key: &str, limit: Duration, settled: &AtomicBool, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        seen.written += 1;
        // before the write: what comes is checked by what held when it began
        let strict = settled.load(Ordering::Relaxed);
        let begun = Instant::now();
        let outcome = client.set_within(key, &format!("{key} {}", seen.written), limit);
        in_time(begun, limit);
        match outcome {
            Ok(()) => {
                seen.acknowledged = seen.written;
                seen.well.push(Instant::now());
            }
            Err(error) => seen.fails(error, begun, limit),
        }
        let begun = Instant::now();
        let found = client.get_within(key, limit);
        in_time(begun, limit);
        match found {
            Ok(Some(bytes)) => {
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                let number = text.strip_prefix(key).and_then(|rest| rest.trim().parse::<u32>().ok());
                let number = number.unwrap_or_else(|| panic!("{key} holds {text}"));
                assert!(number <= seen.written, "{text} was never written");
                assert!(!strict || number >= seen.acknowledged, "{text}, after {} was", seen.acknowledged);
                seen.done += 1;
            }
            Ok(None) => assert!(!strict || seen.acknowledged == 0, "{key} is gone"),
            Err(error) => seen.fails(error, begun, limit),
        }
        thread::sleep(Duration::from_millis(3));
    }
    seen
}

fn in_time(begun: Instant, limit: Duration) {
    assert!(begun.elapsed() < limit + SLACK, "{:?} of {limit:?}", begun.elapsed());
}

impl Seen {
    fn fails(&mut self, error: Error, begun: Instant, limit: Duration) {
        self.late += usize::from(begun.elapsed() > limit + HALF);
        assert!(matches!(error.kind(), Kind::Connection | Kind::Timeout | Kind::Server), "{error:?}");
        assert!(error.is_retriable(), "{error:?}");
        self.failures.push((Instant::now(), error));
    }
}

/// Stops the workers when it is dropped.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets several threads work by both faces while `fail` ends the primary, until the Sentinels have another one and all
/// has settled. The primary alone is asked: replicas are behind.
fn through(service: &Service, fail: impl FnOnce(&Service)) {
    let mut entry = service.entry(&json!({"CLIENT_CLASS": "django_redis.client.DefaultClient"}));
    entry["LARDER"] = json!({"MAX_CONNECTIONS": 20});
    let open = || Client::new(&entry, Face::Synchronous);
    // those in a hurry have an alias of their own: its breaker opens, and that is for all who use it
    let (patient, hasty) = (open(), open());
    let (settled, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let before = service.primary();
    thread::scope(|scope| {
        let _ended = Ended(&stop); // a check that fails in here must not leave the workers working
        let mut workers = Vec::new();
        for number in 0..8 {
            let face = FACES[number % 2];
            let (client, limit) = if number < 5 { (&patient, PATIENT) } else { (&hasty, HASTY) };
            let (client, key) = (client.by(face), format!("key {number}"));
            let (settled, stop) = (&settled, &stop);
            let worker = thread::Builder::new().name(format!("worker {number}"));
            let seen = worker.spawn_scoped(scope, move || work(&client, &key, limit, settled, stop)).unwrap();
            workers.push((limit, seen));
        }
        let counter = {
            let (client, stop) = (patient.by(Face::Asynchronous), &stop);
            scope.spawn(move || count(&client, stop))
        };
        thread::sleep(Duration::from_millis(400));
        let failed = Instant::now();
        fail(service);
        wait("the Sentinels have another primary", || service.primary() != before);
        assert!(failed.elapsed() < FAILOVER, "the Sentinels themselves took {:?}", failed.elapsed());
        // the longest that a breaker rests, and a connection is made again
        thread::sleep(Duration::from_millis(1500));
        let back = Instant::now();
        settled.store(true, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(700));
        stop.store(true, Ordering::Relaxed);
        let mut hurried = 0;
        for (limit, worker) in workers {
            let seen = worker.join().unwrap();
            // those in a hurry may be late on a busy machine all the same, but not for long
            let late = seen.failures.iter().filter(|(when, _)| *when > back).count();
            let well = seen.well.iter().filter(|when| **when > back).count();
            assert!(seen.done > 5 && well > late, "{} reads, {well} writes, {:?}", seen.done, seen.failures.last());
            if limit == PATIENT {
                assert!(seen.failures.is_empty(), "{} failures: {:?}", seen.failures.len(), seen.failures.first());
            }
            assert!(2 * seen.late <= seen.failures.len(), "{} of {} were late", seen.late, seen.failures.len());
            hurried += seen.failures.len();
        }
        eprintln!("{hurried} calls in a hurry failed");
        counter.join().unwrap();
    });
    assert_ne!(service.primary(), before);
}

/// Counts by a call that must not be repeated where it may have been done.
fn count(client: &Client, stop: &AtomicBool) {
    let key = MadeKey::as_is("counter");
    client.set("counter", "0");
    let (mut asked, mut highest) = (0_i64, 0_i64);
    while !stop.load(Ordering::Relaxed) {
        asked += 1;
        match client.call(&Request::Incr(&key, 1), PATIENT) {
            Ok(Reply::Counted(Counted::Now(now))) => {
                assert!(now <= asked, "{now} after {asked} calls");
                highest = highest.max(now);
            }
            // it can have been lost in the failover with its last values, or altogether
            Ok(Reply::Counted(_)) => client.set("counter", "0"),
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(error.may_have_happened() && error.is_retriable(), "{error:?}"),
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert!(highest > 10, "{highest}");
}

#[test]
fn a_killed_primary() {
    let mut service = Service::start("mymaster", 2, 3, None);
    let port = service.primary();
    let killed = service.servers.remove(0);
    assert_eq!(killed.port, port);
    let killed = larder::lock::Mutex::new(killed);
    through(&service, |_| killed.lock().kill());
}

#[test]
fn a_primary_that_stands_still() {
    let service = Service::start("mymaster", 2, 3, None);
    let before = service.primary();
    through(&service, |service| service.at(before).pause(true));
    // it comes back as what it was, and is told that it is a replica now
    let client = Client::new(&service.entry(&json!({})), Face::Asynchronous);
    client.set("late", "v");
    service.at(before).pause(false);
    for number in 0..50 {
        client.set("late", &format!("{number}"));
        thread::sleep(Duration::from_millis(10));
    }
    wait("it is a replica", || service.at(before).command(&[b"ROLE"]).starts_with("slave"));
    client.sees("late", "49");
}

#[test]
fn a_primary_that_steps_down() {
    let service = Service::start("mymaster", 2, 3, None);
    through(&service, |service| {
        // a Sentinel that has no good replica yet says so
        let ask = || service.ask(&service.sentinels[0], &[b"SENTINEL", b"FAILOVER", b"mymaster"]);
        wait("the failover begins", || ask().starts_with("OK"));
    });
}

#[test]
fn what_waits_in_a_queue_keeps_its_order() {
    let service = Service::start("mymaster", 1, 1, None);
    let before = service.primary();
    let mut entry = service.entry(&json!({"CLIENT_CLASS": "django_redis.client.DefaultClient"}));
    entry["LARDER"] = json!({"BREAKER": false});
    let client = Client::new(&entry, Face::Asynchronous);
    client.set("order", "first");
    service.at(before).pause(true);
    // a write, what reads it, another write, what reads that: all of one thread
    let rounds = 100;
    let ledger = Ledger::new(rounds * 2);
    let key = MadeKey::as_is("order");
    for round in 0..rounds {
        let value = round.to_string();
        let ttl = larder::timeout::Ttl::Millis(600_000);
        let when = larder::backend::When::Always;
        let set = Request::Set { key: &key, value: value.as_bytes().into(), ttl, when };
        client.cache.start(set, Budget::new(PATIENT), ledger.ticket(round * 2));
        client.cache.start(Request::Get(&key), Budget::new(PATIENT), ledger.ticket(round * 2 + 1));
    }
    let answers = ledger.settle();
    let mut wrong = 0;
    for (tag, answer) in answers {
        match answer {
            Ok(Reply::Value(value)) => {
                let text = String::from_utf8(value.unwrap().bytes.to_vec()).unwrap();
                assert_eq!(text, (tag / 2).to_string(), "a read saw another write than the one before it");
            }
            Ok(_) => {}
            // a read that a sent write stands behind may not be repeated
            Err(error) if tag % 2 == 1 && error.is_retriable() => wrong += 1,
            Err(error) => panic!("{tag}: {error:?}"),
        }
    }
    assert!(wrong < rounds, "every read failed");
    assert_ne!(service.primary(), before);
    assert_eq!(client.get("order").as_deref(), Some("99"));
    service.at(before).pause(false);
}
