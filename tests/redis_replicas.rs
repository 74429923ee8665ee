//! A Redis cache of several servers: who is written to, and who is read from (R-2, DR-5). Both faces.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::flight::{FACES, Face, LONG, Ledger, Runtime, SLACK, ask};
use common::redis::{Monitor, RedisServer, free_port};
use larder::backend::redis::open;
use larder::backend::{Backend, Counted, Entry, Page, Reply, Request, Touched, When, Written};
use larder::config::{self, Address, BreakerRule, Flavor, Server};
use larder::error::{Kind, Result};
use larder::key::MadeKey;
use larder::log::Silent;
use larder::timeout::{Budget, Ttl};

struct Client {
    cache: Arc<dyn Backend>,
    face: Face,
    runtime: Arc<Runtime>,
}

impl Client {
    fn new(flavor: Flavor, ports: &[u16], breaker: Option<BreakerRule>, face: Face) -> Self {
        Self::with(flavor, ports, breaker, face, false)
    }

    /// One that tries writes on other servers.
    fn that_fails_over(ports: &[u16], face: Face) -> Self {
        // the asynchronous face would pause before it tries again to connect
        let rule = Some(BreakerRule { failures: 2, pause: Duration::from_mins(10) });
        Self::with(Flavor::DjangoRedis, ports, rule, face, true)
    }

    fn with(flavor: Flavor, ports: &[u16], breaker: Option<BreakerRule>, face: Face, fail_over: bool) -> Self {
        let mut servers = ports.iter().map(|port| Server {
            address: Address::Tcp("127.0.0.1".into(), *port),
            username: None,
            password: None,
            database: 0,
            client_name: None,
            shown: format!("redis://127.0.0.1:{port}").into(),
        });
        let config = config::Redis {
            layout: config::Layout::Replicas { fail_over },
            herd: None,
            flavor,
            server: servers.next().unwrap(),
            replicas: servers.collect(),
            breaker,
            resting: config::Resting::default(),
            connect: None,
            max_connections: 10,
            ignore_exceptions: false,
            near: None,
        };
        let runtime = Runtime::start();
        let log: Arc<dyn larder::log::Log> = Arc::new(Silent);
        Self { cache: open(config, runtime.clone(), log), face, runtime }
    }

    fn call(&self, request: &Request<'_>) -> Result<Reply> {
        ask(&*self.cache, self.face, request, LONG)
    }

    fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.call(&Request::Get(&MadeKey::as_is(key))).map(|reply| match reply {
            Reply::Value(value) => value.map(|value| value.bytes),
            other => panic!("{other:?}"),
        })
    }

    fn set(&self, key: &str, value: &[u8]) {
        let key = MadeKey::as_is(key);
        let request = Request::Set { key: &key, value: value.into(), ttl: Ttl::Millis(60_000), when: When::Always };
        assert!(matches!(self.call(&request), Ok(Reply::Written(Written::Stored))));
    }

    fn page(&self, pattern: &[u8], at: u64) -> Result<Page> {
        self.call(&Request::Scan(pattern, at)).map(|reply| match reply {
            Reply::Page(page) => page,
            other => panic!("{other:?}"),
        })
    }
}

/// The names of the commands that came, larder's own upkeep left out.
fn names(monitor: &mut Monitor) -> HashSet<String> {
    let upper = |one: Vec<Vec<u8>>| String::from_utf8_lossy(&one[0]).to_uppercase();
    monitor.seen().into_iter().map(upper).collect()
}

/// Sends a command to all.
fn to_all(servers: &[RedisServer], command: &[&[u8]]) {
    for server in servers {
        server.command(0, command);
    }
}

#[test]
fn reads_go_to_replicas_and_all_else_to_the_writer() {
    let servers = [RedisServer::start(), RedisServer::start(), RedisServer::start()];
    let mut monitors = servers.each_ref().map(Monitor::watch);
    for face in FACES {
        for flavor in [Flavor::Core, Flavor::DjangoRedis] {
            for (index, server) in servers.iter().enumerate() {
                server.command(0, &[b"FLUSHALL"]);
                server.command(0, &[b"SET", b"who", index.to_string().as_bytes(), b"PX", b"60000"]);
            }
            let client = Client::new(flavor, &servers.each_ref().map(RedisServer::port), None, face);
            monitors.iter_mut().for_each(Monitor::skip);
            let mut asked = [0_u32; 3];
            for _ in 0..200 {
                let who = client.get("who").unwrap().unwrap();
                asked[std::str::from_utf8(&who).unwrap().parse::<usize>().unwrap()] += 1;
            }
            // each is as likely: fewer than 50 of 200 come once in 10^12 runs
            assert!(asked[0] == 0 && asked[1] > 50 && asked[2] > 50, "{asked:?}");
            let keys = [MadeKey::as_is("who"), MadeKey::as_is("none")];
            for _ in 0..20 {
                assert!(matches!(client.call(&Request::Has(&keys[0])).unwrap(), Reply::Found(true)));
                assert!(matches!(client.call(&Request::Ttl(&keys[0])).unwrap(), Reply::Left(Some(Ttl::Millis(_)))));
                let Reply::Values(values) = client.call(&Request::GetMany(&keys)).unwrap() else { panic!() };
                assert!(matches!(values.as_slice(), [Some(who), None] if who.bytes != "0"), "{values:?}");
                assert_eq!(client.page(b"wh*", 0).unwrap().keys, [b"who"]);
            }
            assert_eq!(names(&mut monitors[0]), HashSet::new(), "{face:?}");
            for monitor in &mut monitors[1..] {
                let seen = names(monitor);
                assert!(["GET", "EXISTS", "PTTL", "MGET", "SCAN"].iter().all(|name| seen.contains(*name)), "{seen:?}");
            }
            client.set("k", b"v");
            let key = MadeKey::as_is("n");
            let entries = [Entry { key: key.clone(), value: Bytes::from_static(b"5").into() }];
            client.call(&Request::SetMany(&entries, Ttl::Millis(60_000))).unwrap();
            assert!(matches!(client.call(&Request::Incr(&key, 2)).unwrap(), Reply::Counted(Counted::Now(7))));
            assert!(matches!(
                client.call(&Request::Touch(&key, Ttl::Millis(90_000))).unwrap(),
                Reply::Touched(Touched::Changed)
            ));
            client.call(&Request::Persist(&key)).unwrap();
            assert!(matches!(client.call(&Request::Delete(&key)).unwrap(), Reply::Found(true)));
            client.call(&Request::DeleteMany(&[MadeKey::as_is("k")])).unwrap();
            client.set("p:1", b"v");
            client.call(&Request::Clear(Some(b"p:"))).unwrap();
            client.call(&Request::Ping).unwrap();
            client.call(&Request::Clear(None)).unwrap();
            for monitor in &mut monitors[1..] {
                assert_eq!(names(monitor), HashSet::new(), "{face:?}");
            }
            assert!(names(&mut monitors[0]).len() > 5);
            assert_eq!(servers[0].command(0, &[b"DBSIZE"]), b"0");
            // What reads in order to write asks the writer.
            let latest = client.cache.latest().unwrap();
            servers[0].command(0, &[b"SET", b"who", b"0"]);
            assert_eq!(latest.get(&keys[0], LONG).unwrap().unwrap().bytes, "0");
            monitors.iter_mut().for_each(Monitor::skip);
        }
    }
}

#[test]
fn a_true_replica_follows_and_is_never_written_to() {
    let (writer, replica) = (RedisServer::start(), RedisServer::start());
    replica.command(0, &[b"REPLICAOF", b"127.0.0.1", writer.port().to_string().as_bytes()]);
    for face in FACES {
        let client = Client::new(Flavor::DjangoRedis, &[writer.port(), replica.port()], None, face);
        let key = format!("{face:?}");
        client.set(&key, b"new");
        let end = Instant::now() + Duration::from_secs(30);
        while client.get(&key).unwrap().is_none() {
            assert!(Instant::now() < end, "it never came");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(client.get(&key).unwrap().unwrap(), "new");
        client.call(&Request::Delete(&MadeKey::as_is(&key))).unwrap(); // READONLY, were it asked
    }
}

#[test]
fn a_listing_stays_with_one_server() {
    let servers = [RedisServer::start(), RedisServer::start(), RedisServer::start()];
    for (index, server) in servers.iter().enumerate() {
        for number in 0..3000 {
            server.command(0, &[b"SET", format!("{index}:{number}").as_bytes(), b"v"]);
        }
    }
    for face in FACES {
        let client = Client::new(Flavor::Core, &servers.each_ref().map(RedisServer::port), None, face);
        for _ in 0..4 {
            let (mut seen, mut at, mut pages) = (HashSet::new(), 0, 0);
            loop {
                let page = client.page(b"*", at).unwrap();
                seen.extend(page.keys);
                pages += 1;
                match page.next {
                    Some(next) => at = next,
                    None => break,
                }
            }
            assert!(pages > 1, "{pages}");
            assert_eq!(seen.len(), 3000);
            let who: HashSet<_> = seen.iter().map(|key| key[0]).collect();
            assert!(who.len() == 1 && !who.contains(&b'0'), "{who:?}");
        }
        assert_eq!(client.page(b"*", 9 << 56 | 1).unwrap_err().kind(), Kind::Invalid);
    }
}

#[test]
fn a_replica_that_fails_is_passed_over() {
    let (writer, replica) = (RedisServer::start(), RedisServer::start());
    let away = [free_port(), free_port()];
    let rule = Some(BreakerRule { failures: 2, pause: Duration::from_mins(10) });
    writer.command(0, &[b"SET", b"who", b"writer"]);
    replica.command(0, &[b"SET", b"who", b"replica"]);
    // One of two is away: until its breaker opens reads fail on it, as in Python; then the other one has them all.
    let client = Client::new(Flavor::Core, &[writer.port(), away[0], replica.port()], rule, Face::Synchronous);
    let failed = (0..200).filter(|_| client.get("who").is_err()).count();
    assert_eq!(failed, 2);
    assert!((0..50).all(|_| client.get("who").unwrap().unwrap() == "replica"));
    let health = client.cache.health();
    let open: Vec<_> = health.iter().map(|one| (&*one.server, one.breaker_open)).collect();
    let shown = [writer.port(), away[0], replica.port()].map(|port| format!("redis://127.0.0.1:{port}"));
    assert_eq!(open, [(&*shown[0], false), (&*shown[1], true), (&*shown[2], false)]);
    // Both are: the writer has them.
    let client = Client::new(Flavor::Core, &[writer.port(), away[0], away[1]], rule, Face::Synchronous);
    let failed = (0..200).filter(|_| client.get("who").is_err()).count();
    assert_eq!(failed, 4);
    assert_eq!(client.get("who").unwrap().unwrap(), "writer");
    // Without a breaker there is no telling.
    let client = Client::new(Flavor::Core, &[writer.port(), away[0]], None, Face::Synchronous);
    assert!((0..20).all(|_| client.get("who").is_err()));
}

/// A write of `value` under `key`.
fn writing<'a>(key: &'a MadeKey, value: &'a [u8], when: When) -> Request<'a> {
    Request::Set { key, value: value.into(), ttl: Ttl::Millis(60_000), when }
}

fn left(server: &RedisServer, key: &str) -> i64 {
    String::from_utf8(server.command(0, &[b"PTTL", key.as_bytes()])).unwrap().parse().unwrap()
}

// DR-6
#[test]
fn a_write_that_the_first_does_not_take_is_tried_on_another() {
    let others = [RedisServer::start(), RedisServer::start()];
    let ports = [free_port(), others[0].port(), others[1].port()];
    for face in FACES {
        let client = Client::that_fails_over(&ports, face);
        let mut taken = [0_u32; 2];
        for round in 0..40 {
            let name = format!("{face:?} {round}");
            let key = MadeKey::as_is(&name);
            let when = [When::Always, When::Missing][round % 2];
            let answer = client.call(&writing(&key, b"v", when)).unwrap();
            assert!(matches!(answer, Reply::Written(Written::Stored)), "{answer:?}");
            let lives = others.each_ref().map(|server| left(server, &name));
            let who = usize::from(lives[0] < 0);
            taken[who] += 1;
            // the time to live is not multiplied by 1000, as it is in django-redis
            assert!((50_000..=60_000).contains(&lives[who]) && lives[1 - who] == -2, "{lives:?}");
        }
        assert!(taken.iter().all(|count| *count > 2), "{taken:?}"); // fewer come once in 10^9 runs
        // The answer of another server is an answer.
        to_all(&others, &[b"SET", b"there", b"1"]);
        let there = MadeKey::as_is("there");
        let none = MadeKey::as_is("none");
        for (key, when, expected) in [
            (&there, When::Missing, Written::NotStored),
            (&none, When::Present, Written::NotStored),
            (&there, When::Present, Written::Stored),
        ] {
            let answer = client.call(&writing(key, b"v", when)).unwrap();
            assert!(matches!(answer, Reply::Written(written) if written == expected), "{answer:?}");
        }
        // Nothing else is tried elsewhere, nor is a set whose time is over: that is a delete.
        let entries = [Entry { key: there.clone(), value: Bytes::from_static(b"5").into() }];
        let spent =
            Request::Set { key: &there, value: b"v".as_slice().into(), ttl: Ttl::Millis(0), when: When::Always };
        let keys = [there.clone()];
        for request in [
            Request::Touch(&there, Ttl::Millis(60_000)),
            Request::Persist(&there),
            Request::Delete(&there),
            Request::Incr(&there, 1),
            Request::SetMany(&entries, Ttl::Millis(60_000)),
            Request::DeleteMany(&keys),
            Request::Clear(None),
            Request::Ping,
            spent,
        ] {
            assert_eq!(client.call(&request).unwrap_err().kind(), Kind::Connection, "{request:?}");
        }
        assert!(others.iter().all(|server| server.command(0, &[b"EXISTS", b"there"]) == b"1"));
        // Without REPLICA_READ_ONLY false nothing is.
        let plain = Client::new(Flavor::DjangoRedis, &ports, None, face);
        assert_eq!(plain.call(&writing(&there, b"v", When::Always)).unwrap_err().kind(), Kind::Connection);
    }
}

#[test]
fn refusals_are_tried_elsewhere_and_mistakes_are_not() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let ports = servers.each_ref().map(RedisServer::port);
    let key = MadeKey::as_is("k");
    for face in FACES {
        to_all(&servers, &[b"FLUSHALL"]);
        let client = Client::that_fails_over(&ports, face);
        let endless =
            Request::Set { key: &key, value: b"v".as_slice().into(), ttl: Ttl::Millis(i64::MAX), when: When::Always };
        assert_eq!(client.call(&endless).unwrap_err().kind(), Kind::Invalid);
        assert_eq!([left(&servers[0], "k"), left(&servers[1], "k")], [-2, -2]);
        // a server that takes no writes: of READONLY it is as of NOREPLICAS
        servers[0].command(0, &[b"CONFIG", b"SET", b"min-replicas-to-write", b"1"]);
        assert!(matches!(client.call(&writing(&key, b"v", When::Always)), Ok(Reply::Written(Written::Stored))));
        assert_eq!((left(&servers[0], "k"), left(&servers[1], "k") > 0), (-2, true));
        // none does: what the first one said is told
        servers[1].command(0, &[b"CONFIG", b"SET", b"min-replicas-to-write", b"1"]);
        let error = client.call(&writing(&key, b"w", When::Always)).unwrap_err();
        assert_eq!((error.kind(), error.may_have_happened()), (Kind::Server, false));
        let told = error.during("set").to_string();
        assert!(told.contains(&format!(":{}", ports[0])), "{told}");
        to_all(&servers, &[b"CONFIG", b"SET", b"min-replicas-to-write", b"0"]);
    }
}

#[test]
fn all_tries_together_have_one_deadline() {
    let servers = [RedisServer::start(), RedisServer::start(), RedisServer::start()];
    let ports = servers.each_ref().map(RedisServer::port);
    let key = MadeKey::as_is("k");
    for face in FACES {
        let client = Client::with(Flavor::DjangoRedis, &ports, None, face, true);
        client.call(&Request::Ping).unwrap();
        let budget = Budget::new(Duration::from_millis(1500));
        // one says nothing: the others have time left
        servers[0].pause(true);
        let begin = Instant::now();
        let answer = ask(&*client.cache, face, &writing(&key, b"v", When::Always), budget);
        assert!(matches!(answer, Ok(Reply::Written(Written::Stored))), "{answer:?}");
        assert!(begin.elapsed() >= Duration::from_millis(450), "its share was not waited for");
        assert_eq!(servers[1..].iter().filter(|server| left(server, "k") > 0).count(), 1);
        // none says anything
        for server in &servers[1..] {
            server.pause(true);
        }
        let begin = Instant::now();
        let error = ask(&*client.cache, face, &writing(&key, b"w", When::Always), budget).unwrap_err();
        assert_eq!((error.kind(), error.may_have_happened()), (Kind::Timeout, true), "{error}");
        assert!(begin.elapsed() >= Duration::from_millis(1_450), "{:?}", begin.elapsed());
        assert!(begin.elapsed() < budget.total() + SLACK, "{:?}", begin.elapsed());
        for server in &servers {
            server.pause(false);
            server.command(0, &[b"FLUSHALL"]);
        }
    }
}

#[test]
fn a_write_that_is_tried_elsewhere_ends_with_its_runtime() {
    let other = RedisServer::start();
    let client = Client::that_fails_over(&[free_port(), other.port()], Face::Asynchronous);
    let runtime = client.runtime.clone();
    let key = MadeKey::as_is("k");
    let ledger = Ledger::new(50);
    for tag in 0..50 {
        client.cache.start(writing(&key, b"v", When::Always), LONG, ledger.ticket(tag));
        if tag == 25 {
            runtime.end_at_once();
        }
    }
    for (_, answer) in ledger.settle() {
        let ended = answer.as_ref().err().is_none_or(|error| matches!(error.kind(), Kind::Shutdown | Kind::Connection));
        assert!(ended, "{answer:?}");
    }
}
