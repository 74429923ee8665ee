//! Servers that go, hang and come back.

use std::time::{Duration, Instant};

use super::common::flight::tcp;
use super::common::proxy::{Fault, Proxy};
use super::common::redis::{RedisClient, RedisServer, free_port};
use super::{Client, eventually, key, raw, settings};
use larder::config::NearCache;
use larder::error::Kind;
use larder::timeout::Budget;

/// So long are values used without a word of the server.
const THREE_SECONDS: Duration = Duration::from_secs(3);
/// Longer than that.
const LEASE: Duration = Duration::from_millis(3200);

/// The id of the connection that hears of changes, where there is one.
fn tracking_id(other: &mut RedisClient) -> Option<Vec<u8>> {
    let list = String::from_utf8(other.command(&[b"CLIENT", b"LIST"])).unwrap();
    let field = |line: &str, name: &str| {
        line.split(' ').find_map(|field| field.strip_prefix(&format!("{name}="))).unwrap_or_default().to_owned()
    };
    let tracking = list.lines().find(|line| field(line, "flags").contains('B'));
    tracking.map(|line| field(line, "id").into_bytes())
}

#[test]
fn a_killed_connection_empties_and_is_made_again() {
    let server = RedisServer::start();
    let client = Client::on(&server);
    let mut other = RedisClient::connect(server.port());
    for round in 0..10 {
        let old = format!("old{round}");
        client.set("k", &old);
        client.keep("k", &old);
        let (emptied, id) = (client.near().emptied, tracking_id(&mut other).unwrap());
        // nobody is told of this one: it is written while nobody listens
        other.command(&[b"MULTI"]);
        other.command(&[b"CLIENT", b"KILL", b"ID", &id]);
        other.command(&[b"SET", &raw("k"), b"new"]);
        other.command(&[b"EXEC"]);
        eventually("the loss was noticed", || client.near().emptied > emptied);
        assert_eq!(client.get("k").as_deref(), Some("new"));
        client.stands(1);
    }
    assert!(client.log.warnings("the near cache was emptied") > 0);
}

#[test]
fn a_server_that_is_started_again_begins_with_nothing() {
    let port = free_port();
    let server = RedisServer::start_on(port, None);
    let client = Client::on(&server);
    client.set("k", "old");
    client.keep("k", "old");
    drop(server);
    eventually("the loss was noticed", || (client.near().tracked, client.near().entries) == (0, 0));
    assert!(client.cache.get(&key("k"), Budget::new(Duration::from_secs(2))).is_err());
    let server = RedisServer::start_on(port, None);
    eventually("it is there again", || client.cache.get(&key("k"), Budget::new(Duration::from_secs(2))).is_ok());
    assert_eq!(client.get("k"), None);
    client.stands(1);
    client.set("k", "new");
    client.keep("k", "new");
    server.command(0, &[b"DEL", &raw("k")]);
    eventually("it is heard of", || client.get("k").is_none());
}

// The connection is up and nobody answers: what is kept is used as long as the lease, and no longer.
#[test]
fn a_server_that_stands_still_is_not_believed_for_long() {
    let server = RedisServer::start();
    let client = Client::on(&server);
    client.set("k", "v");
    client.keep("k", "v");
    server.pause(true);
    let begin = Instant::now();
    let soon = Budget::new(Duration::from_millis(50));
    let mut last = begin;
    while begin.elapsed() < LEASE {
        let asked = Instant::now();
        match client.cache.get(&key("k"), soon) {
            Ok(value) => {
                assert!(value.is_some());
                last = asked;
            }
            Err(error) => assert_eq!(error.kind(), Kind::Timeout, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(last > begin && last - begin < THREE_SECONDS, "used after {:?}", last - begin);
    assert!(client.cache.get(&key("k"), soon).is_err());
    server.pause(false);
    client.stands(1);
    client.keep("k", "v");
}

// A router that forgets the connection: what is changed meanwhile is told to nobody, and seen when the lease has ended.
#[test]
fn a_network_that_swallows_everything_is_noticed() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let client = Client::of(settings(tcp(proxy.port()), NearCache::default()));
    client.stands(1);
    client.set("k", "old");
    client.keep("k", "old");
    proxy.set(Fault::BlackHole);
    let begin = Instant::now();
    server.command(0, &[b"SET", &raw("k"), b"new"]);
    let soon = Budget::new(Duration::from_millis(50));
    loop {
        let asked = begin.elapsed();
        let Ok(value) = client.cache.get(&key("k"), soon) else { break };
        assert!(value.is_some() && asked < THREE_SECONDS, "stale after {asked:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    proxy.set(Fault::None);
    eventually("it is there again", || client.cache.get(&key("k"), Budget::new(Duration::from_secs(1))).is_ok());
    assert_eq!(client.get("k").as_deref(), Some("new"));
    client.stands(1);
}

// After a rest nobody was asked for a while: the first reads go to the server, and then it stands again by itself.
#[test]
fn a_rest_costs_a_read_and_not_what_is_kept() {
    let server = RedisServer::start();
    let client = Client::on(&server);
    client.set("k", "v");
    client.keep("k", "v");
    let pings = || super::calls(&server, &["ping"]);
    eventually("the server is asked", || pings() > 0);
    let mut at_rest = pings();
    eventually("it is not asked any more", || {
        std::thread::sleep(Duration::from_millis(2500));
        let before = std::mem::replace(&mut at_rest, pings());
        at_rest == before
    });
    let (emptied, entries) = (client.near().emptied, client.near().entries);
    assert_eq!(client.get("k").as_deref(), Some("v"));
    client.keep("k", "v");
    assert_eq!((client.near().emptied, client.near().entries), (emptied, entries));
    assert!(pings() > at_rest);
}
