//! Servers that go away (M-6), and failures that are to be hidden.

use std::sync::Arc;

use larder::backend::{Entry, Reply, Request, When};
use larder::config;
use larder::error::Kind;
use larder::key::MadeKey;
use larder::log::Silent;
use serde_json::{Value, json};

use super::client::{Client, LIFE, PYLIBMC, PYMEMCACHE, key, stored, until, value};
use super::common::flight::{FACES, Runtime};
use super::common::memcached::{MemcachedServer, locations};
use super::common::redis::free_port;

#[test]
fn pymemcache_s_other_servers_take_the_keys_over_for_a_while() {
    for face in FACES {
        let mut servers = MemcachedServer::several(3, &[]);
        let options = json!({"retry_attempts": 1, "retry_timeout": 0.2, "dead_timeout": 1.5});
        let client = Client::of(PYMEMCACHE, &locations(&servers), &options);
        let (lost, kept) = (client.keys_of(0, 5), client.keys_of(1, 5));
        for name in lost.iter().chain(&kept) {
            assert!(stored(client.set(face, name, "before")));
        }
        servers[0].kill();
        let failed = client.set(face, &lost[0], "during").unwrap_err();
        assert_eq!(failed.kind(), Kind::Connection, "{face:?}: the first failures are told");
        assert!(until(|| stored(client.set(face, &lost[0], "during"))), "{face:?}: nobody took the keys over");
        for name in &lost[1..] {
            assert_eq!(client.get(face, name).unwrap(), None, "the others have it not");
            assert!(stored(client.set(face, name, "during")));
        }
        for name in &kept {
            assert_eq!(client.get(face, name).unwrap(), Some(value("before")), "their keys stay");
        }
        assert_eq!(client.get(face, &lost[0]).unwrap(), Some(value("during")));
        servers[0].revive();
        let back = || client.get(face, &lost[0]).is_ok_and(|value| value.is_none());
        assert!(until(back), "{face:?}: the server does not get its keys back");
        assert!(stored(client.set(face, &lost[0], "after")));
        assert!(servers[0].client().item(lost[0].as_bytes()).is_some());
    }
}

#[test]
fn a_ring_gives_the_keys_to_the_next_servers_where_it_is_told_to() {
    for (behaviors, moves) in [
        (json!({"ketama": 1, "remove_failed": 2, "retry_timeout": 60}), true),
        (json!({"ketama_weighted": 1, "auto_eject": 1, "failure_limit": 1, "dead_timeout": 60}), true),
        (json!({"ketama": 1}), false),
        (json!({"auto_eject": 1, "failure_limit": 1}), false),
    ] {
        for face in FACES {
            let mut servers = MemcachedServer::several(3, &[]);
            let client = Client::of(PYLIBMC, &locations(&servers), &json!({"behaviors": behaviors}));
            let lost = client.keys_of(2, 3);
            let kept = client.keys_of(0, 3);
            for name in lost.iter().chain(&kept) {
                assert!(stored(client.set(face, name, "before")));
            }
            servers[2].kill();
            let outcomes: Vec<bool> = (0..4).map(|_| stored(client.set(face, &lost[0], "during"))).collect();
            assert_eq!((outcomes[0], outcomes[3]), (false, moves), "{behaviors}, {face:?}: {outcomes:?}");
            for name in &kept {
                assert_eq!(client.get(face, name).unwrap(), Some(value("before")));
            }
        }
    }
}

#[test]
fn where_all_servers_are_away_all_are_tried_again() {
    for count in [1, 2] {
        for face in FACES {
            let mut servers = MemcachedServer::several(count, &[]);
            let options = json!({"retry_attempts": 0, "dead_timeout": 3600});
            let client = Client::of(PYMEMCACHE, &locations(&servers), &options);
            assert!(stored(client.set(face, "k", "v")));
            servers.iter_mut().for_each(MemcachedServer::kill);
            for _ in 0..3 {
                let away = client.get(face, "k").unwrap_err();
                assert!(away.kind() == Kind::Connection && away.is_retriable(), "{away}");
            }
            servers.iter_mut().for_each(MemcachedServer::revive);
            assert!(until(|| stored(client.set(face, "k", "v"))), "{count}, {face:?}");
        }
    }
}

#[test]
fn several_keys_say_which_servers_were_away() {
    let mut servers = MemcachedServer::several(2, &[]);
    let open = |options: &Value| Client::of(PYMEMCACHE, &locations(&servers), options);
    let patient = json!({"retry_attempts": 1000});
    let (strict, lenient) = (open(&patient), open(&json!({"retry_attempts": 1000, "ignore_exc": true})));
    let names = [strict.keys_of(0, 2), strict.keys_of(1, 2)].concat();
    let keys: Vec<MadeKey> = names.iter().map(|name| key(name)).collect();
    let entries: Vec<Entry> = keys.iter().map(|key| Entry { key: key.clone(), value: b"v".to_vec().into() }).collect();
    for face in FACES {
        assert!(strict.ask(face, &Request::SetMany(&entries, LIFE)).is_ok());
    }
    servers[1].kill();
    for face in FACES {
        let Ok(Reply::Failures(failures)) = strict.ask(face, &Request::SetMany(&entries, LIFE)) else {
            panic!("failures")
        };
        assert_eq!(failures.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true, true]);
        assert_eq!(strict.ask(face, &Request::GetMany(&keys)).unwrap_err().kind(), Kind::Connection);
        let Ok(Reply::Values(values)) = lenient.ask(face, &Request::GetMany(&keys)) else { panic!("values") };
        assert_eq!(values.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, false]);
    }
}

// ignore_exc: pymemcache answers every call of a server that is away as if the cache were empty.
#[test]
fn ignored_failures_are_hidden_where_pymemcache_hides_them() {
    use larder::store::{Call, Store, Surroundings};
    use larder::timeout::TtlChoice;
    let port = free_port();
    let document = json!({"CACHES": {"default": {
        "BACKEND": PYMEMCACHE, "LOCATION": format!("127.0.0.1:{port}"), "OPTIONS": {"ignore_exc": true},
    }}});
    let alias = config::read(document.to_string().as_bytes(), &|_| None).unwrap().aliases.remove(0);
    let around = Surroundings {
        plugins: std::sync::Arc::default(),
        tables: larder::backend::memory::Tables::shared(),
        spawner: Runtime::start(),
        log: Arc::new(Silent),
    };
    let (store, call) = (Store::open(alias, around).unwrap(), Call::default());
    let (input, ttl) = (larder::codec::Input::Text("v"), TtlChoice::Default);
    let one = larder::value::Number::Int(1.into());
    for (name, error) in [
        ("get", store.get("k", &call).err()),
        ("set", store.set("k", input, ttl, When::Always, &call).err()),
        ("add", store.set("k", input, ttl, When::Missing, &call).err()),
        ("touch", store.touch("k", ttl, &call).err()),
        ("persist", store.persist("k", &call).err()),
        ("delete", store.delete("k", &call).err()),
        ("has", store.has("k", &call).err()),
        ("incr", store.incr("k", &one, &call).err()),
        ("get_many", store.get_many(&["k", "l"], &call).err()),
        ("clear", store.clear(larder::store::Scope::Everything, &call).err()),
    ] {
        assert!(error.is_some_and(|error| error.is_hidden()), "{name}");
    }
    let refused = store.get("a b", &call).err().unwrap();
    assert!(refused.kind() == Kind::Invalid && !refused.is_hidden(), "a key that cannot be is no failure of a server");
    assert!(store.ping(&call).is_err_and(|error| !error.is_hidden()));
}
