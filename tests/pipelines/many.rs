//! Several tokens in one call.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use larder::error::{Error, Kind};
use larder::pyot::ask::{Ask, Found, Loaded, Operation, Outcome, TokenRef};
use larder::timeout::Ttl;
use serde_json::json;

use crate::bed::{Bed, FACES, Face, Own, loaded, stores, text, usual};
use crate::common::redis::{Monitor, RedisClient, RedisServer, free_port};

fn token(number: usize) -> String {
    format!("lolna1summoner_v4_by_name{{'n':_{number}}}{{}}")
}

fn get_many(bed: &Bed, face: Face, tokens: &[String]) -> larder::error::Result<Vec<Option<Found>>> {
    let tokens: Vec<TokenRef<'_>> = tokens.iter().map(|token| TokenRef::from(&**token)).collect();
    match bed.ask(face, &Operation::GetMany { tokens: &tokens }, &Ask::default())? {
        Outcome::Values(found) => Ok(found),
        _ => panic!("no outcome of a get_many"),
    }
}

fn shown(found: &[Option<Found>]) -> Vec<Option<(String, Option<usize>)>> {
    found.iter().map(|found| found.as_ref().map(|found| (text(found), found.level))).collect()
}

// The issue: one batch per store, and what is found is written back for what is left of it
#[test]
fn each_store_is_asked_for_what_those_before_it_have_not() {
    for face in FACES {
        let bed = Bed::new(&stores(
            &json!({"summoner_v4_by_name": 120, "match_v4_match": 0}),
            &json!({"summoner_v4_by_name": 120, "match_v4_match": 60}),
        ));
        let mut tokens: Vec<String> = (0..4).map(token).collect();
        tokens.push("lolna1match_v4_match{'id':_1}{}".to_owned());
        tokens.push(tokens[1].clone());
        bed.put("memory", &tokens[0], "a", Ttl::Millis(60_000));
        bed.put("file", &tokens[1], "b", Ttl::Millis(60_000));
        bed.put("file", &tokens[2], "c", Ttl::Millis(30_000));
        bed.put("file", &tokens[4], "e", Ttl::Millis(30_000));
        let found = shown(&get_many(&bed, face, &tokens).unwrap());
        let some = |text: &str, level| Some((text.to_owned(), Some(level)));
        assert_eq!(found, [some("a", 0), some("b", 1), some("c", 1), None, some("e", 1), some("b", 1)]);
        assert!((50_000..=60_000).contains(&bed.left("memory", &tokens[1]).unwrap()));
        assert!((20_000..=30_000).contains(&bed.left("memory", &tokens[2]).unwrap()));
        assert_eq!(bed.read("memory", &tokens[4]), None, "PY-S4");
        let counts = bed.counts();
        assert_eq!((counts.levels[0].hits, counts.levels[1].hits, counts.all.misses), (1, 4, 1));
        assert_eq!((counts.levels[0].skipped, counts.levels[0].written_back), (1, 3));
        assert_eq!(get_many(&bed, face, &[]).unwrap().len(), 0);
    }
}

/// Memory, and a Redis behind it.
fn before_redis(url: &str) -> Bed {
    let entry = json!({"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url});
    let store = |alias: &str| json!({"BACKEND": "pyot.stores.DjangoCache", "ALIAS": alias, "EXPIRATIONS": {"summoner_v4_by_name": 120}});
    Bed::with(&json!([store("memory"), store("redis")]), &json!({"redis": entry}), None)
}

#[test]
fn a_store_is_asked_in_one_batch() {
    let server = RedisServer::start();
    let tokens: Vec<String> = (0..50).map(token).collect();
    let mut monitor = Monitor::watch(&server);
    for face in FACES {
        let bed = before_redis(&server.url(0));
        for token in tokens.iter().step_by(2) {
            bed.put("redis", token, "a", Ttl::Forever);
        }
        monitor.skip();
        assert_eq!(get_many(&bed, face, &tokens).unwrap().iter().flatten().count(), 25);
        let mut seen = monitor.seen();
        seen.retain(|command| ![&b"HELLO"[..], b"CLIENT", b"SELECT"].contains(&&command[0][..]));
        let (first, others) = seen.split_first().unwrap();
        assert_eq!((&first[0][..], first.len()), (&b"MGET"[..], 51));
        assert!(others.len() == 50 && others.iter().all(|command| command[0] == b"PTTL"), "{others:?}");
    }
}

/// A Redis which has 7 for every key, for a minute more, and answers when it has been asked for `count` of both.
fn patient_redis(count: usize) -> String {
    let port = free_port();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let serve = move |mut stream: TcpStream| {
        let mut commands = RedisClient::reading(stream.try_clone().unwrap());
        let (mut answer, mut lefts) = (Vec::new(), 0);
        while let Some(command) = commands.heard() {
            match &command[0][..] {
                b"GET" => answer.extend(b"$1\r\n7\r\n"),
                b"MGET" => write!(answer, "*{count}\r\n{}", "$1\r\n7\r\n".repeat(count)).unwrap(),
                b"PTTL" => {
                    answer.extend(b":60000\r\n");
                    lefts += 1;
                }
                _ => stream.write_all(b"+OK\r\n").unwrap(),
            }
            if lefts == count {
                stream.write_all(&std::mem::take(&mut answer)).unwrap();
                lefts = 0;
            }
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || serve(stream));
        }
    });
    format!("redis://127.0.0.1:{port}/0")
}

// What is left is no second question: who waited for the values before would wait for ever here.
#[test]
fn what_is_left_is_asked_for_in_the_same_breath() {
    for face in FACES {
        for count in [1, 50] {
            let bed = before_redis(&patient_redis(count));
            let tokens: Vec<String> = (0..count).map(token).collect();
            let found = if count == 1 {
                vec![bed.get(face, &tokens[0]).unwrap()]
            } else {
                get_many(&bed, face, &tokens).unwrap()
            };
            let levels: Vec<_> = found.iter().map(|found| found.as_ref().and_then(|found| found.level)).collect();
            assert_eq!(levels, vec![Some(1); count]);
            for token in &tokens {
                assert!((1..=60_000).contains(&bed.left("memory", token).unwrap()));
            }
        }
    }
}

#[test]
fn what_is_missing_is_loaded_once_each() {
    for face in FACES {
        let loader = Own::new(|load| {
            let token = load.token().clone();
            let is_none = token.contains("'n':_3}");
            load.done(if is_none { Loaded::NotFound } else { loaded(&format!("of {token}")) });
        });
        let bed = Bed::loading(&usual(), loader.clone());
        let mut tokens: Vec<String> = (0..20).map(token).collect();
        tokens.push(token(5));
        bed.put("file", &tokens[0], "stored", Ttl::Forever);
        let found = shown(&get_many(&bed, face, &tokens).unwrap());
        assert_eq!(found[0], Some(("stored".to_owned(), Some(1))));
        for (number, found) in found.iter().enumerate().skip(1) {
            let expected = (number != 3).then(|| (format!("of {}", tokens[number]), None));
            assert_eq!(found, &expected);
        }
        assert_eq!((loader.calls(), bed.counts().all.loads), (19, 19));
        assert_eq!(bed.read("file", &tokens[7]).unwrap(), format!("of {}", tokens[7]));
        assert!(bed.flights.is_empty());
    }
}

#[test]
fn a_load_that_fails_fails_the_call() {
    for face in FACES {
        let loader = Own::new(|load| {
            if load.token().contains("'n':_2}") {
                return load.done(Loaded::Failed(Error::new(Kind::Server, "503")));
            }
            load.done(loaded("x"));
        });
        let bed = Bed::loading(&usual(), loader);
        let tokens: Vec<String> = (0..5).map(token).collect();
        assert_eq!(get_many(&bed, face, &tokens).err().unwrap().kind(), Kind::Server);
        bed.until("the landing", |bed| bed.flights.is_empty());
        assert_eq!(bed.read("memory", &tokens[0]).unwrap(), "x", "what was loaded is stored");
    }
}

// grace, as for one
#[test]
fn what_is_over_is_served_and_loaded_anew() {
    for face in FACES {
        let pipeline = json!({"PIPELINE": usual(), "LOAD": {"GRACE_MS": 600_000}});
        let bed = Bed::loading(&pipeline, Own::text("new"));
        let tokens: Vec<String> = (0..3).map(token).collect();
        bed.put("memory", &tokens[0], "old", Ttl::Millis(590_000));
        bed.put("memory", &tokens[1], "fresh", Ttl::Millis(700_000));
        let found = get_many(&bed, face, &tokens).unwrap();
        let stale: Vec<bool> = found.iter().flatten().map(|found| found.stale).collect();
        assert_eq!(stale, [true, false, false]);
        let some = |text: &str, level| Some((text.to_owned(), level));
        assert_eq!(shown(&found), [some("old", Some(0)), some("fresh", Some(0)), some("new", None)]);
        bed.until("the new value", |bed| bed.read("memory", &tokens[0]).as_deref() == Some("new"));
        bed.until("the landing", |bed| bed.flights.is_empty());
    }
}
