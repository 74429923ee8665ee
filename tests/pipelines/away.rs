//! Stores that fail, or hang.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use larder::backend::Written;
use larder::error::Kind;
use larder::log::Level;
use larder::pyot::ask::{Ask, Operation, Outcome, TokenRef};
use larder::timeout::Ttl;
use serde_json::{Value, json};

use crate::bed::{Bed, FACES, Face, ONE, Own, text, within};

/// A server that is not there.
fn nobody() -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    redis(port)
}

fn redis(port: u16) -> Value {
    json!({"away": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": format!("redis://127.0.0.1:{port}/0")}})
}

fn level(alias: &str) -> Value {
    json!({"BACKEND": "pyot.stores.DjangoCache", "ALIAS": alias, "EXPIRATIONS": {"summoner_v4_by_name": 60}})
}

fn pipeline(aliases: &[&str], on_error: &str) -> Value {
    let levels: Vec<Value> = aliases.iter().map(|alias| level(alias)).collect();
    json!({"PIPELINE": levels, "ON_STORE_ERROR": on_error})
}

// The issue: skipped, counted, logged
#[test]
fn a_store_that_fails_is_passed_over() {
    for face in FACES {
        let bed = Bed::with(&pipeline(&["away", "memory"], "skip"), &nobody(), None);
        assert!(bed.get(face, ONE).unwrap().is_none(), "the other store says that there is none");
        assert!(matches!(bed.set(face, ONE, "x"), Ok(Outcome::Written(_))));
        assert_eq!(bed.text(face, ONE).unwrap().unwrap(), ("x".to_owned(), Some(1)));
        assert_eq!(bed.counts().levels[0].errors_skipped, 3, "and it is not written back to");
        let is_ours = |(level, text): &(Level, String)| *level == Level::Warning && text.contains("goes on without");
        let warnings: Vec<_> = bed.records().into_iter().filter(is_ours).collect();
        assert_eq!(warnings.len(), 3);
        assert!(warnings.iter().all(|(_, text)| text.contains("LOL") && text.contains("'away'")), "{warnings:?}");
        assert!(warnings.iter().all(|(_, text)| !text.contains("Hide")), "no key's value: {warnings:?}");
        // it may have it still
        let delete = Operation::Delete { token: TokenRef::from(ONE) };
        assert_eq!(bed.ask(face, &delete, &Ask::default()).err().unwrap().kind(), Kind::Connection);
        assert_eq!(bed.read("memory", ONE), None, "removed where it could be");
        let contains = Operation::Contains { token: TokenRef::from(ONE) };
        assert!(matches!(bed.ask(face, &contains, &Ask::default()), Ok(Outcome::Found(false))));
        let expire = bed.ask(face, &Operation::Expire, &Ask::default());
        assert!(matches!(expire, Ok(Outcome::Removed(0))));
    }
}

// PY-S11, PY-P2: Pyot's way
#[test]
fn on_request_a_store_that_fails_fails_the_call() {
    for face in FACES {
        let bed = Bed::with(&pipeline(&["away", "memory"], "fail"), &nobody(), None);
        bed.put("memory", ONE, "x", Ttl::Forever);
        assert_eq!(bed.get(face, ONE).err().unwrap().kind(), Kind::Connection);
        assert_eq!(bed.set(face, ONE, "y").err().unwrap().kind(), Kind::Connection);
        assert_eq!(bed.read("memory", ONE).unwrap(), "x", "it ended there");
        let bed = Bed::with(&pipeline(&["memory", "away"], "fail"), &nobody(), None);
        bed.put("memory", ONE, "x", Ttl::Forever);
        assert_eq!(text(&bed.get(face, ONE).unwrap().unwrap()), "x", "it is not asked");
    }
}

#[test]
fn where_all_fail_there_is_no_miss() {
    for face in FACES {
        let bed = Bed::with(&pipeline(&["away"], "skip"), &nobody(), None);
        assert_eq!(bed.get(face, ONE).err().unwrap().kind(), Kind::Connection);
        assert_eq!(bed.set(face, ONE, "x").err().unwrap().kind(), Kind::Connection);
        let contains = Operation::Contains { token: TokenRef::from(ONE) };
        assert_eq!(bed.ask(face, &contains, &Ask::default()).err().unwrap().kind(), Kind::Connection);
        let many = [TokenRef::from(ONE)];
        let many = bed.ask(face, &Operation::GetMany { tokens: &many }, &Ask::default());
        assert_eq!(many.err().unwrap().kind(), Kind::Connection);
        // but a loader has the last word
        let bed = Bed::with(&pipeline(&["away"], "skip"), &nobody(), Some(Own::text("loaded")));
        assert_eq!(text(&bed.get(face, ONE).unwrap().unwrap()), "loaded");
    }
}

// DR-15: what its own settings hide is a miss, whatever the pipeline does about failures.
#[test]
fn what_is_ignored_by_request_never_fails() {
    for face in FACES {
        let mut away = nobody();
        away["away"]["OPTIONS"] = json!({"IGNORE_EXCEPTIONS": true});
        let bed = Bed::with(&pipeline(&["away"], "fail"), &away, None);
        assert!(bed.get(face, ONE).unwrap().is_none());
        let contains = Operation::Contains { token: TokenRef::from(ONE) };
        assert!(matches!(bed.ask(face, &contains, &Ask::default()), Ok(Outcome::Found(false))));
        let delete = Operation::Delete { token: TokenRef::from(ONE) };
        assert!(matches!(bed.ask(face, &delete, &Ask::default()), Ok(Outcome::Found(false))));
        // which is not that no store keeps the endpoint
        assert!(matches!(bed.set(face, ONE, "x"), Ok(Outcome::Written(Written::NotStored))));
        let nowhere = "lolna1spectator_v4_current_game{'id':_1}{}";
        assert!(matches!(bed.set(face, nowhere, "x"), Ok(Outcome::Written(Written::NotKept))));
    }
}

// Beside one whose failures are told: for reads it is a store that has answered, in either order.
#[test]
fn what_is_ignored_answers_for_those_that_fail_beside_it() {
    let mut more = nobody();
    more["quiet"] = more["away"].clone();
    more["quiet"]["OPTIONS"] = json!({"IGNORE_EXCEPTIONS": true});
    for (face, order) in FACES.into_iter().flat_map(|face| [(face, ["away", "quiet"]), (face, ["quiet", "away"])]) {
        let bed = Bed::with(&pipeline(&order, "skip"), &more, None);
        assert!(bed.get(face, ONE).unwrap().is_none(), "{order:?}");
        let many = [TokenRef::from(ONE)];
        let many = bed.ask(face, &Operation::GetMany { tokens: &many }, &Ask::default());
        assert!(matches!(many, Ok(Outcome::Values(found)) if found[0].is_none()), "{order:?}");
        let contains = Operation::Contains { token: TokenRef::from(ONE) };
        assert!(matches!(bed.ask(face, &contains, &Ask::default()), Ok(Outcome::Found(false))), "{order:?}");
        assert_eq!(bed.set(face, ONE, "x").err().unwrap().kind(), Kind::Connection, "{order:?}");
    }
}

// One deadline over the whole call, and no store eats it all.
#[test]
fn a_store_that_hangs_leaves_time_for_the_others() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // never accepts
    let more = redis(listener.local_addr().unwrap().port());
    for face in FACES {
        let bed = Bed::with(&pipeline(&["away", "file"], "skip"), &more, None);
        bed.put("file", ONE, "x", Ttl::Forever);
        let began = Instant::now();
        let found = bed.get_with(face, ONE, &within(3_000)).unwrap().unwrap();
        assert_eq!((text(&found), found.level), ("x".to_owned(), Some(1)));
        assert!(began.elapsed() >= Duration::from_millis(1_500), "the first was asked");
    }
    let bed = Bed::with(&pipeline(&["away", "away"], "skip"), &more, None);
    for face in [Face::Now, Face::Later] {
        assert_eq!(bed.get_with(face, ONE, &within(200)).err().unwrap().kind(), Kind::Timeout);
    }
}
