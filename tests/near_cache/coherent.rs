//! Changes: other clients' are heard of, and one's own are seen at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::common::flight::{LONG, Ledger, tcp};
use super::common::redis::{RedisClient, RedisServer};
use super::common::valkey;
use super::{Client, eventually, key, raw, settings, text};
use larder::backend::{Backend, Entry, Keys, LockAction, Reply, Request, When, perform};
use larder::config::{Address, Layout, NearCache, Server};
use larder::timeout::{Budget, Ttl};

/// A write of one's own.
type Write<'a> = Box<dyn Fn(&dyn Backend) + 'a>;

/// What another client does, and what is read then.
type Change = (&'static [&'static str], Option<&'static str>);

const CHANGES: [Change; 12] = [
    (&["SET", "KEY", "new"], Some("new")),
    (&["SET", "KEY", "new", "PX", "90000"], Some("new")),
    (&["APPEND", "KEY", "er"], Some("older")),
    (&["GETSET", "KEY", "new"], Some("new")),
    (&["DEL", "KEY"], None),
    (&["UNLINK", "KEY"], None),
    (&["GETDEL", "KEY"], None),
    (&["PEXPIRE", "KEY", "1"], None),
    (&["RENAME", "KEY", "elsewhere"], None),
    (&["EVAL", "redis.call('set', KEYS[1], 'new')", "1", "KEY"], Some("new")),
    (&["FLUSHDB"], None),
    (&["FLUSHALL"], None),
];

fn hear_of_changes(server: &RedisServer) {
    let client = Client::on(server);
    let mut other = RedisClient::connect(server.port());
    for (command, after) in CHANGES {
        client.set("k", "old");
        client.keep("k", "old");
        let raw = raw("k");
        let arguments: Vec<&[u8]> =
            command.iter().map(|one| if *one == "KEY" { raw.as_slice() } else { one.as_bytes() }).collect();
        other.command(&arguments);
        eventually(&format!("{command:?} is heard of"), || client.get("k").as_deref() == after);
        for _ in 0..20 {
            assert_eq!(client.get("k").as_deref(), after, "{command:?}");
        }
    }
}

#[test]
fn other_clients_changes_are_heard_of() {
    hear_of_changes(&RedisServer::start());
}

#[test]
fn a_valkey_server_tells_them_too() {
    hear_of_changes(&valkey::start());
}

// EXPIRE of a key that is kept shortens its stay.
#[test]
fn a_shorter_life_is_heard_of() {
    let server = RedisServer::start();
    let client = Client::on(&server);
    client.set("k", "v");
    client.keep("k", "v");
    server.command(0, &[b"PEXPIRE", &raw("k"), b"400"]);
    let expired = Instant::now() + Duration::from_millis(400);
    while Instant::now() < expired + Duration::from_millis(50) {
        client.get("k");
    }
    assert_eq!(client.get("k"), None);
}

// A write of this store's is seen by what this thread reads behind it, without waiting for what the server tells.
#[test]
fn own_writes_are_seen_at_once() {
    let server = RedisServer::start();
    let client = Client::on(&server);
    let k = key("k");
    let value = |text: &str| Some(text.to_owned());
    let of = |request: Request<'static>| -> Write<'static> {
        Box::new(move |cache: &dyn Backend| drop(perform(cache, &request, LONG).unwrap()))
    };
    let k: &'static _ = Box::leak(Box::new(k));
    let entries: &'static [Entry] = Box::leak(Box::new([Entry { key: k.clone(), value: b"new".as_slice().into() }]));
    let ttl = Ttl::Millis(600_000);
    let writes: Vec<(Write<'_>, Option<String>)> = vec![
        (of(Request::Set { key: k, value: b"new".into(), ttl, when: When::Always }), value("new")),
        (of(Request::Set { key: k, value: b"new".into(), ttl, when: When::Present }), value("new")),
        (of(Request::SetMany(entries, ttl)), value("new")),
        (of(Request::Delete(k)), None),
        (of(Request::DeleteMany(std::slice::from_ref(k))), None),
        (of(Request::Incr(k, 2)), value("9")),
        (of(Request::Touch(k, Ttl::Millis(-1))), None),
        (of(Request::ExpireAt(k, 1000)), None),
        (of(Request::Clear(Some(b"near:"))), None),
        (of(Request::Clear(None)), None),
        (Box::new(|cache| assert_eq!(cache.delete_pattern(b"near:1:k", LONG).unwrap(), 1)), None),
        (of(Request::Lock { key: k, token: b"7", action: LockAction::Release }), None),
        (Box::new(|cache| drop(cache.latest().unwrap().set(k, b"new".into(), ttl, When::Always, LONG))), value("new")),
    ];
    for (number, (write, after)) in writes.iter().enumerate() {
        for _ in 0..10 {
            client.set("k", "7");
            client.keep("k", "7");
            write(&*client.cache);
            assert_eq!(client.get("k"), *after, "write {number}");
            assert_eq!(client.cache.get_many(std::slice::from_ref(k), LONG).unwrap()[0].clone().map(text), *after);
        }
    }
}

// What one thread begins on a key takes effect in that order, answers that come from memory included.
#[test]
fn what_is_begun_keeps_its_order() {
    let server = RedisServer::start();
    let client = Client::on(&server);
    let k = key("k");
    let rounds = 60;
    client.set("k", "before");
    for round in 0..rounds {
        // now and then there is something to be found that is out of date a moment later
        client.get("k");
        let ledger = Ledger::new(4);
        let (one, two) = (format!("{round}a"), format!("{round}b"));
        let set = |value: &str, tag| {
            let request = Request::Set { key: &k, value: value.into(), ttl: Ttl::Millis(600_000), when: When::Always };
            client.cache.start(request, LONG, ledger.ticket(tag));
        };
        set(&one, 0);
        client.cache.start(Request::Get(&k), LONG, ledger.ticket(1));
        if round % 2 == 0 {
            set(&two, 2);
        } else {
            let (cache, k, two, ticket) = (client.cache.clone(), k.clone(), two.clone(), ledger.ticket(2));
            let job = move |may: larder::error::Result<()>| {
                may.unwrap();
                std::thread::sleep(Duration::from_millis(1));
                let set = Request::Set { key: &k, value: two.as_bytes().into(), ttl: Ttl::Forever, when: When::Always };
                ticket.answer(perform(&*cache, &set, LONG));
            };
            client.cache.start_job(Keys::These(&[key("k")]), LONG, Box::new(job));
        }
        client.cache.start(Request::Get(&k), LONG, ledger.ticket(3));
        for (tag, answer) in ledger.settle() {
            if let Reply::Value(value) = answer.unwrap() {
                assert_eq!(value.map(text), Some(if tag == 1 { one.clone() } else { two.clone() }), "round {round}");
            }
        }
    }
}

// A write that comes to nothing, or to who knows what: what is kept is not what was there before.
#[test]
fn a_write_that_fails_leaves_nothing_stale() {
    let server = RedisServer::start();
    let client = Client::on(&server);
    client.set("k", "old");
    client.keep("k", "old");
    server.pause(true);
    let soon = Budget::new(Duration::from_millis(500)); // but not before it is sent
    let set = client.cache.set(&key("k"), b"new".into(), Ttl::Forever, When::Always, soon);
    assert!(set.unwrap_err().may_have_happened());
    // the value may be the old one or the new one: only the server knows
    assert!(client.cache.get(&key("k"), soon).is_err());
    server.pause(false);
    eventually("it is known", || client.get("k").as_deref() == Some("new"));
    client.keep("k", "new");
}

// Keys are on several servers: each tells its own, and one that is lost takes only its own with it.
#[test]
fn shards_tell_their_own_changes() {
    let servers: Vec<RedisServer> = (0..3).map(|_| RedisServer::start()).collect();
    let mut config = settings(tcp(servers[0].port()), NearCache::default());
    config.layout = Layout::Ring(servers.iter().map(|server| server.url(0)).collect());
    let other = |server: &RedisServer| Server { address: tcp(server.port()), ..config.server.clone() };
    config.replicas = servers[1..].iter().map(other).collect();
    let client = Client::of(config);
    client.stands(3);
    let names: Vec<String> = (0..60).map(|number| format!("k{number}")).collect();
    for name in &names {
        client.set(name, "old");
        client.keep(name, "old");
    }
    let mut counts = Vec::new();
    for server in &servers {
        let mut other = RedisClient::connect(server.port());
        let mine: Vec<&String> = names.iter().filter(|name| other.command(&[b"EXISTS", &raw(name)]) == b"1").collect();
        other.command(&[b"SET", &raw(mine[0]), b"new"]);
        eventually("it is heard of", || client.get(mine[0]).as_deref() == Some("new"));
        counts.push(mine.len());
    }
    assert_eq!(counts.iter().sum::<usize>(), 60);
    eventually("all are kept", || {
        for name in &names {
            client.get(name);
        }
        client.near().entries == 60
    });
    let before = client.near();
    servers[1].command(0, &[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
    eventually("it was lost", || client.near().emptied > before.emptied);
    let left = client.near().entries;
    assert!(left >= u64::try_from(60 - counts[1]).unwrap() && left < before.entries, "{left} of {before:?}");
    client.stands(3);
    assert!(names.iter().all(|name| client.get(name).is_some()));
}

// By whatever way the others go, this connection goes too.
#[test]
fn sockets_passwords_users_and_databases() {
    let server = RedisServer::with_password("secret");
    server.command(0, &[b"ACL", b"SETUSER", b"reader", b"on", b">word", b"~near:*", b"+@all"]);
    for (address, user, password, database) in [
        (Address::Unix(server.socket_path()), None, "secret", 0),
        (tcp(server.port()), None, "secret", 3),
        (tcp(server.port()), Some("reader"), "word", 5),
    ] {
        let mut config = settings(address, NearCache::default());
        config.server.database = database;
        config.server.client_name = Some("near".into());
        config.server.password = Some(password.into());
        config.server.username = user.map(Into::into);
        let client = Client::of(config);
        client.stands(1);
        client.set("k", "old");
        client.keep("k", "old");
        server.command(database, &[b"SET", &raw("k"), b"new"]);
        eventually("it is heard of", || client.get("k").as_deref() == Some("new"));
    }
    server.command(0, &[b"ACL", b"SETUSER", b"reader", b"-client|tracking"]);
    let mut config = settings(tcp(server.port()), NearCache::default());
    (config.server.username, config.server.password) = (Some("reader".into()), Some("word".into()));
    let client = Client::of(config);
    client.set("k", "v");
    eventually("it was said", || {
        assert_eq!(client.get("k").as_deref(), Some("v"));
        client.log.warnings("the server refuses CLIENT TRACKING, which a user's ACL has to allow") == 1
    });
    assert_eq!(client.near().entries, 0);
    drop(Arc::clone(&client.cache));
}
