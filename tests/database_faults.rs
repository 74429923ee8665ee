//! DatabaseCache on servers that end, stand still, refuse or make one wait.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "redis"))] // the helpers are the Redis tests' too
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::database::{Site, wait_until};
use common::flight::{FACES, LONG, Ledger, Runtime, SLACK, ask};
use larder::backend::{Backend, Entry, Reply, Request, When, Written};
use larder::error::{Error, Kind};
use larder::key::MadeKey;
use larder::timeout::{Budget, Ttl};
use serde_json::json;

const LIFE: Ttl = Ttl::Millis(900_000);
/// Operations that are begun while a server is killed.
const COUNT: usize = 3000;
const SHORT: Budget = Budget::new(Duration::from_millis(300));

fn key(text: &str) -> MadeKey {
    MadeKey::as_is(text)
}

fn write<'a>(key: &'a MadeKey, value: &'a [u8]) -> Request<'a> {
    Request::Set { key, value: value.into(), ttl: LIFE, when: When::Always }
}

fn set(cache: &dyn Backend, text: &str, value: &[u8]) -> larder::error::Result<Written> {
    cache.set(&key(text), value.into(), LIFE, When::Always, LONG)
}

fn get(cache: &dyn Backend, text: &str) -> larder::error::Result<Option<Vec<u8>>> {
    Ok(cache.get(&key(text), LONG)?.map(|stored| stored.bytes.to_vec()))
}

fn check_harmless(error: &Error) {
    let text = error.to_string();
    assert!(!text.contains("pea soup") && !text.contains("larder_test"), "{text}");
}

#[test]
fn a_server_that_ended_is_an_error_and_heals() {
    let runtime = Runtime::start();
    for site in Site::both_alone() {
        let (cache, _) = site.open_new(&json!({}), runtime.clone());
        set(&*cache, "k", b"1").unwrap();
        site.kill();
        for face in FACES {
            let begun = Instant::now();
            for request in [Request::Get(&key("k")), write(&key("k"), b"2")] {
                let error = ask(&*cache, face, &request, LONG).unwrap_err();
                assert_eq!(error.kind(), Kind::Connection, "{error}");
                let shown = error.clone().during("get").to_string();
                assert!(shown.contains(&format!(" at 127.0.0.1:{}/shop: ", site.port())), "{shown}");
                assert!(error.is_retriable());
                check_harmless(&error);
            }
            assert!(begun.elapsed() < SLACK);
        }
        let refused = ask(&*cache, FACES[1], &write(&key("k"), b"2"), LONG).unwrap_err();
        assert!(!refused.may_have_happened(), "{refused}"); // nobody was there
        assert!(refused.reason().contains("is the server running there?"), "{refused}");
        site.revive();
        assert_eq!(set(&*cache, "k", b"3").unwrap(), Written::Stored, "{}", site.name());
        assert_eq!(get(&*cache, "k").unwrap().unwrap(), b"3");
        // the server was there and gone and there again between two calls: a read does not notice
        site.kill();
        site.revive();
        assert!(get(&*cache, "k").is_ok(), "{}", site.name());
        assert_eq!(set(&*cache, "k", b"4").unwrap(), Written::Stored);
    }
}

// A session that an administrator ended, while it rested.
#[test]
fn a_session_that_was_ended_is_replaced() {
    let runtime = Runtime::start();
    for site in Site::both_alone() {
        let (cache, _) = site.open_new(&json!({}), runtime.clone());
        set(&*cache, "k", b"1").unwrap();
        let end = || {
            let sessions = site.sessions();
            assert_eq!(sessions.len(), 1);
            site.end_session(sessions[0]);
        };
        end();
        assert_eq!(get(&*cache, "k").unwrap().unwrap(), b"1", "{}", site.name());
        end();
        match set(&*cache, "k", b"2") {
            // PostgreSQL says that it ended the session, so that nothing was done
            Ok(written) => assert_eq!(written, Written::Stored),
            Err(error) => {
                assert!(site.is_mariadb() && error.kind() == Kind::Connection && error.may_have_happened(), "{error}");
            }
        }
        assert_eq!(set(&*cache, "k", b"3").unwrap(), Written::Stored);
        assert_eq!(get(&*cache, "k").unwrap().unwrap(), b"3");
    }
}

// Many idle sessions break at once: only the first operation can notice.
#[test]
fn after_one_break_the_others_are_looked_at_before_they_are_used() {
    let runtime = Runtime::start();
    for site in Site::both_alone() {
        let more = json!({"CACHE": {"LARDER": {"MAX_CONNECTIONS": 6}}});
        let (cache, _) = site.open_new(&more, runtime.clone());
        hammer(&*cache, 6, 20);
        wait_until("several sessions are open", || {
            hammer(&*cache, 6, 20);
            site.sessions().len() > 2
        });
        for session in site.sessions() {
            site.end_session(session);
        }
        let failed = (0..12).filter(|number| set(&*cache, &format!("k{number}"), b"v").is_err()).count();
        assert!(failed <= 1, "{}: {failed}", site.name());
    }
}

fn hammer(cache: &dyn Backend, threads: usize, count: usize) {
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for number in 0..count {
                    let (own, value) = (format!("own {thread} {}", number % 5), format!("{thread} {number}"));
                    set(cache, &own, value.as_bytes()).unwrap();
                    assert_eq!(get(cache, &own).unwrap().unwrap(), value.as_bytes());
                    set(cache, "all", value.as_bytes()).unwrap();
                    assert!(get(cache, "all").unwrap().is_some());
                }
            });
        }
    });
}

#[test]
fn eight_threads_share_few_connections() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let more = json!({"CACHE": {"LARDER": {"MAX_CONNECTIONS": 3}}});
        let (cache, _) = site.open_new(&more, runtime.clone());
        hammer(&*cache, 8, 60);
        let health = cache.health();
        assert!((1..=3).contains(&health[0].connected), "{}: {health:?}", site.name());
    }
}

#[test]
fn a_server_that_stands_still_is_waited_for_until_the_deadline() {
    let runtime = Runtime::start();
    for site in Site::both_alone() {
        let (cache, _) = site.open_new(&json!({}), runtime.clone());
        set(&*cache, "k", b"1").unwrap();
        site.pause(true);
        for face in FACES {
            let begun = Instant::now();
            let error = ask(&*cache, face, &Request::Get(&key("other")), SHORT).unwrap_err();
            assert_eq!((error.kind(), error.may_have_happened()), (Kind::Timeout, false), "{error}");
            assert!(error.reason().contains("300 ms"), "{error}");
            assert!(begun.elapsed() < SLACK);
            check_harmless(&error);
        }
        site.pause(false);
        set(&*cache, "k", b"2").unwrap();
        site.pause(true);
        let error = ask(&*cache, FACES[0], &write(&key("k"), b"3"), SHORT).unwrap_err();
        assert_eq!((error.kind(), error.may_have_happened()), (Kind::Timeout, true), "{error}");
        site.pause(false);
        // it was not lost, only late
        wait_until("the late write is there", || get(&*cache, "k").unwrap().unwrap() == b"3");
    }
}

/// Holds the row of a key locked, in a session of its own.
fn with_locked_row(site: &Site, table: &str, text: &str, while_locked: impl FnOnce()) {
    let lock = site.begin(&format!("UPDATE \"{table}\" SET value = 'bG9ja2Vk' WHERE cache_key = '{text}'"));
    while_locked();
    drop(lock);
}

#[test]
fn a_lock_is_waited_for_until_the_deadline() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let (cache, table) = site.open_new(&json!({}), runtime.clone());
        set(&*cache, "k", b"1").unwrap();
        let ledger = Ledger::new(3);
        let (k, other) = (key("k"), key("other"));
        with_locked_row(&site, &table, "k", || {
            let error = ask(&*cache, FACES[0], &write(&k, b"2"), SHORT).unwrap_err();
            assert_eq!((error.kind(), error.may_have_happened()), (Kind::Timeout, true), "{error}");
            assert!(get(&*cache, "k").unwrap().is_some()); // others go on, over a sound connection
            // answered at their deadlines, but in their order all the same
            cache.start(write(&k, b"3"), SHORT, ledger.ticket(0));
            cache.start(write(&k, b"4"), LONG, ledger.ticket(1));
            cache.start(write(&other, b"5"), LONG, ledger.ticket(2));
            wait_until("what is not locked is answered", || ledger.arrived.load(Ordering::SeqCst) == 2);
        });
        let answers = ledger.settle();
        let of = |tag: u64| answers.iter().find(|(one, _)| *one == tag).unwrap().1.clone();
        let late = of(0).unwrap_err();
        assert_eq!((late.kind(), late.may_have_happened()), (Kind::Timeout, true), "{late}");
        assert!(matches!((of(1), of(2)), (Ok(Reply::Written(_)), Ok(Reply::Written(_)))));
        // the server may carry the first one out at any time: nobody waits for it, and no order holds for it
        let last = get(&*cache, "k").unwrap().unwrap();
        assert!([b"4", b"2"].iter().any(|one| last == **one), "{}: {last:?}", site.name());
    }
}

#[test]
fn an_operation_that_waited_for_others_was_never_sent() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let (cache, table) = site.open_new(&json!({}), runtime.clone());
        set(&*cache, "k", b"1").unwrap();
        let ledger = Ledger::new(2);
        let k = key("k");
        with_locked_row(&site, &table, "k", || {
            cache.start(write(&k, b"2"), LONG, ledger.ticket(0));
            let begun = Instant::now();
            cache.start(write(&k, b"3"), SHORT, ledger.ticket(1));
            wait_until("it is answered", || ledger.arrived.load(Ordering::SeqCst) == 1);
            assert!(begun.elapsed() >= Duration::from_millis(300));
        });
        let answers = ledger.settle();
        let late = answers[0].1.clone().unwrap_err();
        assert_eq!((answers[0].0, late.kind(), late.may_have_happened()), (1, Kind::Timeout, false), "{late}");
        assert!(late.reason().contains("others on its keys"), "{late}");
        assert_eq!(get(&*cache, "k").unwrap().unwrap(), b"2", "{}", site.name());
    }
}

// The server picks one of two that wait for each other, and larder tries again.
#[test]
fn a_deadlock_is_tried_again() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let (cache, table) = site.open_new(&json!({}), runtime.clone());
        for name in ["a", "b"] {
            set(&*cache, name, b"1").unwrap();
        }
        let (other, from) = (site.clone(), table.clone());
        let sleep = if site.is_mariadb() { "SELECT SLEEP(0.6)" } else { "SELECT pg_sleep(0.6)" };
        let rival = std::thread::spawn(move || {
            let update = |name: &str| format!("UPDATE \"{from}\" SET value = 'bG9ja2Vk' WHERE cache_key = '{name}'");
            let sql = format!("BEGIN; {}; {sleep}; {}; COMMIT", update("b"), update("a"));
            // it may be the one that the server picks
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| other.query(&sql)));
        });
        std::thread::sleep(Duration::from_millis(250));
        // two statements in one transaction: each value is more than one may carry
        let entries = ["a", "b"].map(|name| Entry { key: key(name), value: vec![2; 1 << 20].into() });
        let failures = cache.set_many(&entries, LIFE, LONG).unwrap();
        assert!(failures.iter().all(Option::is_none), "{}", site.name());
        rival.join().unwrap();
        let mut found = cache.get_many(&[key("a"), key("b")], LONG).unwrap();
        let lengths: Vec<usize> = found.drain(..).map(|one| one.unwrap().bytes.len()).collect();
        assert!(lengths == [1 << 20, 1 << 20] || lengths == [6, 6], "{}: {lengths:?}", site.name()); // all or none
    }
}

#[test]
fn what_is_refused_says_what_to_do() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let (cache, table) = site.open_new(&json!({}), runtime.clone());
        cache.set(&key("over"), b"1".as_slice().into(), Ttl::Millis(-9000), When::Always, LONG).unwrap();
        let free = common::redis::free_port();
        let read_only = if site.is_mariadb() {
            json!({"OPTIONS": {"init_command": "SET SESSION TRANSACTION READ ONLY"}})
        } else {
            json!({"OPTIONS": {"options": "-c default_transaction_read_only=on"}})
        };
        for (table, database, kind, text) in [
            (
                "no such table",
                json!({}),
                Kind::Server,
                "is not there; make it with larder_create_table, or with manage.py createcachetable",
            ),
            (&*table, json!({"PASSWORD": "wrong soup"}), Kind::Server, "check USER and PASSWORD"),
            (&*table, json!({"USER": "nobody here"}), Kind::Server, "check USER and PASSWORD"),
            (&*table, json!({"NAME": "no such shop"}), Kind::Server, "check NAME"),
            (&*table, json!({"PORT": free}), Kind::Connection, "is the server running there?"),
            (&*table, read_only.clone(), Kind::Server, "only allows reading"),
        ] {
            let other = site.open(table, &json!({"DATABASE": database}), runtime.clone());
            for face in FACES {
                let error = ask(&*other, face, &write(&key("k"), b"v"), LONG).unwrap_err();
                assert_eq!(error.kind(), kind, "{} {error}", site.name());
                assert!(error.to_string().contains(text), "{} {error}", site.name());
                assert!(!error.may_have_happened(), "{error}");
                assert!(!error.to_string().contains("soup"), "{error}");
            }
        }
        // a row that is over cannot be taken away there, and is not there all the same
        let reader = site.open(&table, &json!({"DATABASE": read_only}), runtime.clone());
        assert_eq!(get(&*reader, "over").unwrap(), None, "{}", site.name());
        assert_eq!(get(&*reader, "k").unwrap(), None);
        assert!(cache.delete(&key("over"), LONG).unwrap());
        let foreign = common::database::new_name();
        site.query(&format!("CREATE TABLE \"{foreign}\" (cache_key varchar(255) NOT NULL PRIMARY KEY, other text)"));
        let error = get(&*site.open(&foreign, &json!({}), runtime.clone()), "k").unwrap_err();
        assert!(error.to_string().contains("other columns"), "{error}");
    }
}

#[test]
fn more_than_the_bound_is_refused_and_everything_is_answered_once() {
    let runtime = Runtime::start();
    let [site, _] = Site::both_alone();
    let (cache, _) = site.open_new(&json!({}), runtime.clone());
    set(&*cache, "k", b"1").unwrap();
    site.pause(true);
    let k = key("k");
    // the first must not have ended before the last is begun, which can take a while on a machine that does much else
    let all_at_once = |limit: Duration| {
        let (ledger, begun) = (Ledger::new(17_000), Instant::now());
        for tag in 0..17_000 {
            cache.start(Request::Get(&k), Budget::new(limit), ledger.ticket(tag));
        }
        let in_time = begun.elapsed() < limit;
        let answers = ledger.settle();
        in_time.then_some(answers)
    };
    let answers = [1_500, 6_000, 24_000].into_iter().find_map(|limit| all_at_once(Duration::from_millis(limit)));
    let answers = answers.expect("a machine that begins 17,000 operations in 24 s");
    let of = |kind: Kind| {
        answers.iter().filter(|(_, answer)| answer.as_ref().is_err_and(|error| error.kind() == kind)).count()
    };
    assert_eq!((of(Kind::Busy), of(Kind::Timeout)), (17_000 - (1 << 14), 1 << 14));
    site.pause(false);
    assert!(get(&*cache, "k").unwrap().is_some());
}

#[test]
fn a_shutdown_answers_everything_once() {
    for site in Site::both() {
        let runtime = Runtime::start();
        let (cache, table) = site.open_new(&json!({}), runtime.clone());
        set(&*cache, "k", b"1").unwrap();
        let ledger = Ledger::new(60);
        let keys: Vec<MadeKey> = (0..6).map(|number| key(&format!("k{number}"))).collect();
        let k = key("k");
        with_locked_row(&site, &table, "k", || {
            for tag in 0..20 {
                cache.start(write(&k, b"2"), LONG, ledger.ticket(tag));
            }
            for tag in 20..60 {
                cache.start(write(&keys[tag % 6], b"2"), LONG, ledger.ticket(tag));
            }
            wait_until("the free ones are answered", || ledger.arrived.load(Ordering::SeqCst) == 40);
            runtime.end();
        });
        let answers = ledger.settle();
        let (sent, unsent): (Vec<_>, Vec<_>) =
            answers.iter().filter_map(|(_, answer)| answer.as_ref().err()).partition(|error| error.may_have_happened());
        assert_eq!((sent.len(), unsent.len()), (1, 19), "{}", site.name()); // only the first one was sent
        assert!(unsent.iter().all(|error| error.kind() == Kind::Shutdown));
        assert_eq!(set(&*cache, "k", b"3").unwrap_err().kind(), Kind::Shutdown);
    }
}

// A server that is killed again and again: each operation is answered once, and the answers are true.
#[test]
fn answers_are_true_while_the_server_is_killed() {
    let runtime = Runtime::start();
    for site in Site::both_alone() {
        let more = json!({"CACHE": {"OPTIONS": {"MAX_ENTRIES": 1_000_000}, "LARDER": {"MAX_CONNECTIONS": 4}}});
        let (cache, _) = site.open_new(&more, runtime.clone());
        let ledger = Ledger::new(COUNT);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for tag in 0..COUNT {
                    let key = key(&format!("k{tag}"));
                    let request =
                        Request::Set { key: &key, value: b"v".as_slice().into(), ttl: LIFE, when: When::Missing };
                    cache.start(request, LONG, ledger.ticket(tag));
                    if tag % 20 == 0 {
                        std::thread::sleep(Duration::from_millis(4));
                    }
                }
            });
            for _ in 0..2 {
                std::thread::sleep(Duration::from_millis(100));
                site.kill();
                std::thread::sleep(Duration::from_millis(20));
                site.revive();
            }
        });
        let (mut stored, mut open) = (0, 0);
        for (tag, answer) in ledger.settle() {
            let is_there = cache.has(&key(&format!("k{tag}")), LONG).unwrap();
            match answer {
                Ok(Reply::Written(Written::Stored)) => {
                    assert!(is_there, "{}: {tag} was stored", site.name());
                    stored += 1;
                }
                Ok(other) => panic!("{tag}: {other:?}"),
                Err(error) => {
                    assert_eq!(error.kind(), Kind::Connection, "{error}");
                    assert!(error.may_have_happened() || !is_there, "{}: {tag} is there: {error}", site.name());
                    open += 1;
                }
            }
        }
        assert!(stored > 100 && open > 0, "{}: {stored} stored, {open} not", site.name());
    }
}
