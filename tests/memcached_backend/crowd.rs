//! Many at once: callers, operations in flight, and servers that are asked.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::backend::{Reply, Request, When, Written};
use larder::error::Kind;
use larder::key::MadeKey;
use larder::timeout::Budget;
use serde_json::json;

use super::client::{Client, LIFE, PYMEMCACHE, fake, key, stored, value};
use super::common::flight::{FACES, Face, LONG, Ledger, ask, memcached_of, memcached_on};
use super::common::memcached::{MemcachedServer, locations};

// More callers than connections of their own: they share one.
#[test]
fn many_callers_at_once_get_their_own_answers() {
    let servers = MemcachedServer::several(2, &[]);
    let client = Client::of(PYMEMCACHE, &locations(&servers), &json!({}));
    std::thread::scope(|scope| {
        for caller in 0..24 {
            let client = &client;
            scope.spawn(move || {
                for round in 0..200 {
                    let (name, text) = (format!("k{caller}-{}", round % 7), format!("{caller} {round}"));
                    assert!(stored(client.set(Face::Synchronous, &name, &text)));
                    assert_eq!(client.get(Face::Synchronous, &name).unwrap(), Some(value(&text)));
                }
            });
        }
    });
}

#[test]
fn thousands_in_flight_are_answered_once_even_when_servers_die() {
    const COUNT: usize = 20_000;
    let servers: Vec<Mutex<MemcachedServer>> = MemcachedServer::several(3, &[]).into_iter().map(Mutex::new).collect();
    let location: Vec<String> = servers.iter().map(|server| server.lock().unwrap().location()).collect();
    let client = Client::of(PYMEMCACHE, &location, &json!({"retry_attempts": 0, "dead_timeout": 0.05}));
    let ledger = Ledger::new(COUNT);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for server in servers.iter().cycle() {
                if done.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                let mut server = server.lock().unwrap();
                std::thread::sleep(Duration::from_millis(20));
                server.kill();
                std::thread::sleep(Duration::from_millis(20));
                server.revive();
            }
        });
        for tag in 0..COUNT {
            let name = key(&format!("k{}", tag % 500));
            let ticket = ledger.ticket(tag);
            let text = format!("{}", tag % 500);
            if tag % 5 == 0 {
                let keys: Vec<MadeKey> = (0..4).map(|step| key(&format!("k{}", (tag + step) % 500))).collect();
                client.cache.start(Request::GetMany(&keys), LONG, ticket);
            } else if tag % 2 == 0 {
                let set = Request::Set { key: &name, value: text.as_bytes().into(), ttl: LIFE, when: When::Always };
                client.cache.start(set, LONG, ticket);
            } else {
                client.cache.start(Request::Get(&name), LONG, ticket);
            }
            if tag % 1000 == 999 {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let answers = ledger.settle();
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        for (tag, answer) in answers {
            let number = |step: u64| ((tag + step) % 500).to_string();
            match answer {
                Ok(Reply::Value(Some(found))) => assert!(found.bytes == number(0), "another key's value"),
                Ok(Reply::Values(found)) => {
                    for (step, found) in (0..).zip(found) {
                        assert!(found.is_none_or(|found| found.bytes == number(step)), "another key's value");
                    }
                }
                Ok(Reply::Value(None) | Reply::Written(Written::Stored)) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => assert!(matches!(error.kind(), Kind::Connection | Kind::Timeout), "{error:?}"),
            }
        }
    });
}

// Each server waits before it answers until all have been asked.
#[test]
fn several_servers_are_asked_at_once() {
    let asked = Arc::new(std::sync::Barrier::new(3));
    let ports: Vec<u16> = (0..3)
        .map(|_| {
            let asked = asked.clone();
            fake(move |line, stream| {
                asked.wait();
                let keys = line.split(' ').skip(1);
                let values: Vec<String> = keys.map(|key| format!("VALUE {key} 0 1\r\nv\r\n")).collect();
                stream.write_all(format!("{}END\r\n", values.concat()).as_bytes()).unwrap();
            })
        })
        .collect();
    let client = Client::open(memcached_on(&ports));
    let keys: Vec<MadeKey> = (0..30).map(|number| key(&format!("k{number}"))).collect();
    for face in FACES {
        let Ok(Reply::Values(values)) = client.ask(face, &Request::GetMany(&keys)) else { panic!("values") };
        assert!(values.iter().all(|found| *found == Some(value("v"))));
    }
}

// Every caller holds a connection of one server while it waits for one of another.
#[test]
fn callers_of_several_servers_do_not_wait_in_a_circle() {
    let servers = MemcachedServer::several(3, &[]);
    let mut config = memcached_of(&json!({"BACKEND": PYMEMCACHE, "LOCATION": locations(&servers)}));
    config.max_connections = 1;
    let client = Client::open(config);
    std::thread::scope(|scope| {
        for caller in 0..6 {
            let client = &client;
            scope.spawn(move || {
                for round in 0..300 {
                    let mut keys: Vec<MadeKey> = (0..9).map(|number| key(&format!("k{}", number + round))).collect();
                    if caller % 2 == 0 {
                        keys.reverse();
                    }
                    let budget = Budget::new(Duration::from_secs(10));
                    let answer = ask(&*client.cache, Face::Synchronous, &Request::GetMany(&keys), budget);
                    assert!(answer.is_ok(), "{answer:?}");
                }
            });
        }
    });
}
