//! The memcached backend over one server and several: where keys go, what several keys cost, servers that go away (M-6),
//! what a refused write leaves (M-10), and replies that memcached would never give.
#![cfg(all(feature = "memory", feature = "redis", feature = "memcached"))] // the tests' common parts know both
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "memcached_backend/away.rs"]
mod away;
#[path = "memcached_backend/client.rs"]
mod client;
mod common;
#[path = "memcached_backend/crowd.rs"]
mod crowd;
#[path = "memcached_backend/strange.rs"]
mod strange;
#[path = "golden_memcached/tee.rs"]
mod tee;

use client::{Client, LIFE, PYLIBMC, PYMEMCACHE, key, stored, value};
use common::flight::{FACES, memcached_on};
use common::memcached::{MemcachedServer, locations};
use larder::backend::{Counted, Entry, Reply, Request, Touched, When, Written};
use larder::error::Kind;
use larder::key::MadeKey;
use larder::timeout::Ttl;
use serde_json::json;
use tee::Tee;

// M-4, M-5
#[test]
fn each_key_is_on_its_own_server() {
    let servers = MemcachedServer::several(3, &[]);
    let mut direct: Vec<_> = servers.iter().map(MemcachedServer::client).collect();
    for (backend, options) in [
        (PYMEMCACHE, json!({})),
        (PYMEMCACHE, json!({"key_prefix": "app:"})),
        (PYLIBMC, json!({})),
        (PYLIBMC, json!({"behaviors": {"ketama": 1}})),
        (PYLIBMC, json!({"behaviors": {"namespace": "app:", "_hash_with_prefix_key": 1}})),
    ] {
        let client = Client::of(backend, &locations(&servers), &options);
        for face in FACES {
            for direct in &mut direct {
                direct.flush();
            }
            for number in 0..60 {
                let name = format!(":1:k{number}");
                assert!(stored(client.set(face, &name, &name)), "{options}");
                let sent = format!("{}{name}", client.config.key_prefix);
                for (server, direct) in direct.iter_mut().enumerate() {
                    let here = direct.item(sent.as_bytes()).map(|item| item.bytes);
                    assert_eq!(here.is_some(), server == client.server_of(&name), "{backend} {options} {name}");
                }
                assert_eq!(client.get(face, &name).unwrap(), Some(value(&name)));
            }
        }
    }
}

#[test]
fn several_keys_are_one_command_for_each_server() {
    let servers = MemcachedServer::several(3, &[]);
    let tees: Vec<Tee> = servers.iter().map(|server| Tee::before(server.port())).collect();
    let ports: Vec<u16> = tees.iter().map(Tee::port).collect();
    let client = Client::open(memcached_on(&ports));
    let names: Vec<String> = (0..3).flat_map(|server| client.keys_of(server, 4)).collect();
    for face in FACES {
        let entries: Vec<Entry> =
            names.iter().map(|name| Entry { key: key(name), value: name.clone().into_bytes().into() }).collect();
        let failures = client.ask(face, &Request::SetMany(&entries, LIFE)).unwrap();
        assert!(matches!(failures, Reply::Failures(all) if all.len() == 12 && all.iter().all(Option::is_none)));
        for tee in &tees {
            tee.sent();
        }
        let keys: Vec<MadeKey> = names.iter().chain([&"missing".to_owned()]).map(|name| key(name)).collect();
        let Ok(Reply::Values(values)) = client.ask(face, &Request::GetMany(&keys)) else { panic!("values") };
        let mut expected: Vec<_> = names.iter().map(|name| Some(value(name))).collect();
        expected.push(None);
        assert_eq!(values, expected, "{face:?}");
        for (server, tee) in tees.iter().enumerate() {
            let sent = String::from_utf8(tee.sent()).unwrap();
            let wanted: Vec<&str> = keys
                .iter()
                .map(|key| std::str::from_utf8(key.as_bytes()).unwrap())
                .filter(|name| client.server_of(name) == server)
                .collect();
            assert_eq!(sent, format!("get {}\r\n", wanted.join(" ")), "{face:?}");
        }
        let Ok(Reply::Removed(12)) = client.ask(face, &Request::DeleteMany(&keys)) else { panic!("12 removed") };
    }
}

#[test]
fn the_whole_cache_is_all_servers() {
    let mut servers = MemcachedServer::several(3, &[]);
    let client = Client::of(PYMEMCACHE, &locations(&servers), &json!({}));
    for face in FACES {
        for number in 0..30 {
            assert!(stored(client.set(face, &format!("k{number}"), "v")));
        }
        assert!(matches!(client.ask(face, &Request::Ping), Ok(Reply::Done)));
        assert!(matches!(client.ask(face, &Request::Clear(None)), Ok(Reply::Done)));
        for server in &servers {
            let mut direct = server.client();
            assert!((0..30).all(|number| direct.item(format!("k{number}").as_bytes()).is_none()));
        }
        let listed = client.ask(face, &Request::Clear(Some(b":1:"))).unwrap_err();
        assert_eq!(listed.kind(), Kind::Unsupported);
        assert_eq!(client.ask(face, &Request::Ttl(&key("k"))).unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(client.ask(face, &Request::Scan(b"*", 0)).unwrap_err().kind(), Kind::Unsupported);
    }
    let health = client.cache.health();
    let shown: Vec<&str> = health.iter().map(|one| &*one.server).collect();
    assert_eq!(shown, locations(&servers));
    assert!(health.iter().all(|one| one.connected > 0));
    servers[1].kill();
    for face in FACES {
        let away = client.ask(face, &Request::Ping).unwrap_err();
        assert_eq!(away.kind(), Kind::Connection);
        let told = away.during("ping").to_string();
        assert!(told.contains(&locations(&servers)[1]), "{told}");
        assert_eq!(client.ask(face, &Request::Clear(None)).unwrap_err().kind(), Kind::Connection);
    }
}

#[test]
fn sockets_are_servers_too() {
    let servers = [MemcachedServer::on_socket(&[]), MemcachedServer::on_socket(&[])];
    for backend in [PYMEMCACHE, PYLIBMC] {
        let client = Client::of(backend, &locations(&servers), &json!({}));
        for face in FACES {
            for number in 0..20 {
                let name = format!("k{number}");
                assert!(stored(client.set(face, &name, &name)));
                assert!(servers[client.server_of(&name)].client().item(name.as_bytes()).is_some());
            }
        }
        assert!(client.cache.health().iter().all(|one| one.server.starts_with("unix:/")));
    }
}

// Ten thousand answers come while the requests are still being sent: they have to be taken meanwhile.
#[test]
fn many_values_at_once() {
    const COUNT: usize = 25_000;
    for server in [MemcachedServer::start(), MemcachedServer::on_socket(&[])] {
        let client = Client::of(PYMEMCACHE, &[server.location()], &json!({}));
        let keys: Vec<MadeKey> = (0..COUNT).map(|number| key(&format!("k{number}"))).collect();
        let entries: Vec<Entry> = keys
            .iter()
            .enumerate()
            .map(|(number, key)| Entry { key: key.clone(), value: number.to_string().into_bytes().into() })
            .collect();
        for face in FACES {
            let Ok(Reply::Failures(failures)) = client.ask(face, &Request::SetMany(&entries, LIFE)) else {
                panic!("failures")
            };
            assert!(failures.len() == COUNT && failures.iter().all(Option::is_none));
            let Ok(Reply::Values(values)) = client.ask(face, &Request::GetMany(&keys)) else { panic!("values") };
            assert!(values.iter().zip(&entries).all(|(value, entry)| value.as_ref() == Some(&entry.value)));
            let removed = client.ask(face, &Request::DeleteMany(&keys)).unwrap();
            assert!(matches!(removed, Reply::Removed(count) if count == COUNT as u64));
        }
    }
}

// M-10, O-8, pitfall 19
#[test]
fn a_value_that_is_too_large_takes_the_old_one_with_it_and_nothing_else() {
    let server = MemcachedServer::start();
    let client = Client::of(PYLIBMC, &[server.location()], &json!({}));
    for face in FACES {
        assert!(stored(client.set(face, "k", "old")) && stored(client.set(face, "l", "other")));
        let error = client.set(face, "k", &"x".repeat(2 << 20)).unwrap_err();
        assert_eq!((error.kind(), error.may_have_happened()), (Kind::TooBig, false), "{error}");
        let told = error.during("set").to_string();
        assert!(told.contains(&server.location()), "{told}");
        assert_eq!(client.get(face, "k").unwrap(), None);
        assert_eq!(client.get(face, "l").unwrap(), Some(value("other")), "the connection is well");
        let entries = [("a", 3), ("b", 2 << 20), ("c", 3)]
            .map(|(name, size)| Entry { key: key(name), value: vec![b'v'; size].into() });
        let Ok(Reply::Failures(failures)) = client.ask(face, &Request::SetMany(&entries, LIFE)) else {
            panic!("failures")
        };
        let kinds: Vec<_> = failures.iter().map(|one| one.as_ref().map(larder::error::Error::kind)).collect();
        assert_eq!(kinds, [None, Some(Kind::TooBig), None]);
    }
}

#[test]
fn numbers_wrap_where_the_server_s_do() {
    let server = MemcachedServer::start();
    let client = Client::of(PYMEMCACHE, &[server.location()], &json!({}));
    let count = |face, delta| match client.ask(face, &Request::Incr(&key("n"), delta)) {
        Ok(Reply::Counted(counted)) => counted,
        other => panic!("{other:?}"),
    };
    for face in FACES {
        client.ask(face, &Request::Delete(&key("n"))).unwrap();
        assert_eq!(count(face, 1), Counted::Missing);
        server.client().put(b"n", 2, 0, b"9223372036854775806");
        assert_eq!(count(face, 1), Counted::Now(i64::MAX));
        assert_eq!(count(face, 1), Counted::Beyond(1 << 63));
        assert_eq!(count(face, i64::MIN), Counted::Now(0));
        assert_eq!(count(face, -5), Counted::Now(0));
        server.client().put(b"n", 2, 0, b"18446744073709551615");
        assert_eq!(count(face, 1), Counted::Now(0));
        assert!(stored(client.set(face, "n", "no number")));
        let refused = client.ask(face, &Request::Incr(&key("n"), 1)).unwrap_err();
        assert_eq!(refused.kind(), Kind::Type);
    }
}

#[test]
fn conditions_and_times_are_the_server_s() {
    let server = MemcachedServer::start();
    let client = Client::of(PYMEMCACHE, &[server.location()], &json!({}));
    for face in FACES {
        client.ask(face, &Request::Clear(None)).unwrap();
        let k = key("k");
        let write = |ttl, when| match client.ask(face, &Request::Set { key: &k, value: b"v".into(), ttl, when }) {
            Ok(Reply::Written(written)) => written,
            other => panic!("{other:?}"),
        };
        let touch = |ttl| match client.ask(face, &Request::Touch(&k, ttl)) {
            Ok(Reply::Touched(touched)) => touched,
            other => panic!("{other:?}"),
        };
        assert_eq!(write(LIFE, When::Present), Written::NotStored);
        assert_eq!(touch(LIFE), Touched::Missing);
        assert_eq!(write(Ttl::Millis(0), When::Missing), Written::NotKept);
        assert_eq!(write(LIFE, When::Missing), Written::Stored);
        assert_eq!(write(LIFE, When::Missing), Written::NotStored);
        assert_eq!(write(LIFE, When::Present), Written::Stored);
        let left = |name: &[u8]| server.client().item(name).map(|item| item.left);
        assert!(left(b"k").flatten().is_some_and(|left| (890..=900).contains(&left)));
        assert!(matches!(client.ask(face, &Request::Persist(&k)), Ok(Reply::Touched(Touched::Changed))));
        assert_eq!(left(b"k"), Some(None));
        assert_eq!(touch(Ttl::Millis(-1000)), Touched::NotKept);
        assert_eq!(left(b"k"), None);
        assert_eq!(write(Ttl::Forever, When::Always), Written::Stored);
        assert_eq!(write(Ttl::Millis(999), When::Always), Written::NotKept); // T-4
        assert_eq!(left(b"k"), None);
    }
}
