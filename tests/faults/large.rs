//! A value of 20 MB and small ones at the same time: all of them come right, and the small ones don't wait for the
//! large one longer than they must.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use larder::backend::{Reply, Request, When, Written};
use larder::key::MadeKey;
use larder::timeout::{Budget, Ttl};

use super::client::{Ask, Client, FACES, Face, sized_value};
use super::common::proxy::{Fault, Proxy};
use super::common::redis::RedisServer;

const SIZE: usize = 20 << 20;
/// A deadline that nothing here needs.
const LONG: Budget = Budget::new(Duration::from_mins(1));
/// What a small value is given: less than the large one needs over the slow network.
const SHORT: Budget = Budget::new(Duration::from_millis(500));
/// What a slow network moves in a ms: 20 MB take more than a second.
const SLOW: usize = 18_000;

fn set_large(client: &Client, face: Face, number: u64) {
    let (key, value) = (MadeKey::as_is("large"), sized_value("large", number, SIZE));
    let request = Request::Set { key: &key, value: (&value).into(), ttl: Ttl::Forever, when: When::Always };
    let answer = client.call(face, &request, LONG);
    assert!(matches!(answer, Ok(Reply::Written(Written::Stored))), "{face:?}: {answer:?}");
}

fn get_large(client: &Client, face: Face, number: u64) {
    match client.call(face, &Request::Get(&MadeKey::as_is("large")), LONG) {
        Ok(Reply::Value(Some(value))) => assert!(value.bytes == sized_value("large", number, SIZE), "{face:?}"),
        other => panic!("{face:?}: {:?}", other.map(|_| ())),
    }
}

#[test]
fn a_large_value_and_small_ones_at_the_same_time() {
    let server = RedisServer::start();
    for face in FACES {
        let client = Client::open(server.port(), None);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (client, over) = (&client, &over);
                scope.spawn(move || {
                    let key = format!("{face:?}:small:{thread}");
                    for number in 0.. {
                        let set = client.ask(face, &Ask::Set(key.clone(), number), LONG);
                        let get = client.ask(face, &Ask::Get(key.clone()), LONG);
                        let right = matches!(&get, super::client::Outcome::Found(found) if *found == [number]);
                        assert!(set.is_ok() && right, "{set:?} {get:?}");
                        if over.load(Ordering::SeqCst) {
                            break;
                        }
                    }
                });
            }
            for number in 0..3 {
                set_large(&client, face, number);
                get_large(&client, face, number);
            }
            over.store(true, Ordering::SeqCst);
        });
    }
}

/// Begins `large`, and reads small values until it is answered: how many came in time, and of how many.
fn small_ones_behind(client: &Client, large: &Request<'_>) -> (usize, usize, Duration) {
    let begun = Instant::now();
    let under_way = client.begin(large, LONG);
    std::thread::sleep(Duration::from_millis(100)); // it is on its way
    let (mut ok, mut all) = (0, 0);
    while !under_way.is_answered() {
        all += 1;
        ok += usize::from(client.ask(Face::Asynchronous, &Ask::Get("small".into()), SHORT).is_ok());
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = begun.elapsed();
    let answer = under_way.end();
    assert!(answer.is_ok(), "{:?}", answer.err());
    (ok, all, took)
}

/// Over a network on which 20 MB take a second, the first small value may have to find out that it is so.
#[test]
fn small_values_overtake_a_large_one_on_a_slow_network() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let client = Client::open(proxy.port(), None);
    set_large(&client, Face::Asynchronous, 1);
    assert!(client.ask(Face::Asynchronous, &Ask::Set("small".into(), 1), LONG).is_ok());
    proxy.set(Fault::Slow(SLOW));
    let (key, value) = (MadeKey::as_is("large"), sized_value("large", 2, SIZE));
    let set = Request::Set { key: &key, value: (&value).into(), ttl: Ttl::Forever, when: When::Always };
    for (name, request) in [("set", set), ("get", Request::Get(&key))] {
        let (ok, all, took) = small_ones_behind(&client, &request);
        println!("a {name} of 20 MB took {took:?}; meanwhile {ok} of {all} small values came within {SHORT:?}");
        assert!(took > SHORT.total() * 2, "the network was not slow: {took:?}");
        assert!(ok + 1 >= all && ok >= 10, "behind a {name}: {ok} of {all}");
    }
}
