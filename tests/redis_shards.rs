//! A Redis cache whose servers have their shares of the keys: django-redis' ShardClient (DR-50 to DR-52).
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;
#[path = "redis_shards/order.rs"]
mod order;
#[path = "redis_clients/store.rs"]
#[allow(dead_code)] // each test program uses its own part
mod store;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use common::flight::{FACES, LONG, Runtime, ask};
use common::python::Partner;
use common::random::Random;
use common::redis::{Monitor, RedisServer, free_port};
use larder::backend::redis::{Chooser, open};
use larder::backend::{Backend, LockAction, Reply, Request, Spawner, Touched, When, Written};
use larder::codec::Input;
use larder::config::{self, Family, Layout};
use larder::error::Kind;
use larder::key::MadeKey;
use larder::log::Silent;
use larder::store::Scope;
use larder::timeout::Ttl;
use serde_json::{Value, json};
use store::{Client, millis};

fn caches(urls: &[String]) -> Value {
    let options = json!({"CLIENT_CLASS": "django_redis.client.ShardClient"});
    json!({"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": urls, "OPTIONS": options}})
}

fn urls(servers: &[RedisServer]) -> Vec<String> {
    servers.iter().map(|server| server.url(0)).collect()
}

fn document(urls: &[String]) -> String {
    json!({"CACHES": caches(urls)}).to_string()
}

/// The cache of a configuration, below the store.
fn backend(urls: &[String], runtime: &Arc<Runtime>) -> Arc<dyn Backend> {
    over(urls, runtime.clone())
}

fn over(urls: &[String], spawner: Arc<dyn Spawner>) -> Arc<dyn Backend> {
    let config = config::read(document(urls).as_bytes(), &|_| None).unwrap().aliases.remove(0);
    let Family::Redis(redis) = config.family else { panic!("{:?}", config.family) };
    assert!(matches!(&redis.layout, Layout::Ring(texts) if texts == urls));
    open(redis, spawner, Arc::new(Silent))
}

/// Final keys as nobody has them: braces, line ends, letters from everywhere.
fn keys(dice: &mut Random, count: usize) -> Vec<String> {
    let parts = ["a", "user", "{", "}", "{", "}", "\n", ":", "1", "é", "日本", "\u{2028}", "\r", "🦀", "\u{85}", " "];
    let one = |dice: &mut Random| (0..=dice.below(12)).map(|_| parts[dice.below(parts.len())]).collect::<String>();
    (0..count).map(|number| format!(":1:{}{}", one(dice), if number % 2 == 0 { number } else { 0 })).collect()
}

/// Sends a command to all.
fn to_all(servers: &[RedisServer], command: &[&[u8]]) {
    for server in servers {
        server.command(0, command);
    }
}

#[test]
fn keys_are_where_the_golden_data_has_them() {
    let golden: Value = serde_json::from_str(&common::golden("redis_values.json")).unwrap();
    let rows = golden["sharding"].as_array().unwrap();
    assert!(rows.len() > 20);
    for row in rows {
        let urls: Vec<&str> = row["servers"].as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
        let key = MadeKey::as_is(row["final_key"].as_str().unwrap());
        let server = Chooser::new(urls.iter().copied()).server_of(&key);
        assert_eq!(urls[server], row["server"], "{row}");
    }
}

#[test]
fn keys_are_where_python_puts_them() {
    let servers = [RedisServer::start(), RedisServer::start(), RedisServer::with_password("p%2Cw")];
    let mut dice = Random(5);
    for count in 1..=3 {
        // one more, which nobody asks, written in another way than the first
        let mut urls = urls(&servers[..count]);
        urls.push(format!("{}?socket_timeout=5", urls[0]));
        let mut python = Partner::start("redis_clients/partner.py");
        python.must("setup", json!({"caches": caches(&urls)}));
        let chooser = Chooser::new(urls.iter().map(String::as_str));
        let keys = keys(&mut dice, 700);
        let places = python.must("places", json!({"alias": "default", "keys": &keys}));
        let mut seen = HashSet::new();
        for (key, place) in keys.iter().zip(places.as_array().unwrap()) {
            let ours = chooser.server_of(&MadeKey::as_is(key));
            assert_eq!(ours as u64, place.as_u64().unwrap(), "{key:?} over {count}");
            seen.insert(ours);
        }
        assert_eq!(seen.len(), urls.len());
    }
}

#[test]
fn each_side_finds_what_the_other_wrote() {
    let servers = [RedisServer::start(), RedisServer::start(), RedisServer::start()];
    let urls = urls(&servers);
    let mut python = Partner::start("redis_clients/partner.py");
    python.must("setup", json!({"caches": caches(&urls)}));
    let mut dice = Random(6);
    let keys = keys(&mut dice, 200);
    let config = document(&urls);
    let chooser = Chooser::new(urls.iter().map(String::as_str));
    for face in FACES {
        to_all(&servers, &[b"FLUSHALL"]);
        let client = Client::open(&config, face);
        for (number, key) in keys.iter().enumerate() {
            let value = json!([number, key]);
            if number % 2 == 0 {
                client.set(key, &value.to_string(), millis(60_000));
                assert_eq!(python.call("default", "get", &json!([key])), value, "{key:?}");
            } else {
                python.call("default", "set", &json!([key, value]));
                assert_eq!(serde_json::from_str::<Value>(&client.json(key).unwrap()).unwrap(), value, "{key:?}");
            }
            // on that server and no other
            let made = format!(":1:{key}");
            let found = |server: &RedisServer| server.command(0, &[b"EXISTS", made.as_bytes()]) == b"1";
            let place = chooser.server_of(&MadeKey::as_is(&made));
            assert!(servers.iter().enumerate().all(|(index, server)| found(server) == (index == place)), "{key:?}");
        }
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let ours = client.get_many(&names).unwrap();
        let theirs = python.call("default", "get_many", &json!([&names]));
        for (key, ours) in names.iter().zip(ours) {
            assert_eq!(serde_json::from_str::<Value>(&ours.unwrap()).unwrap(), theirs[*key], "{key:?}");
        }
    }
}

/// Some keys for each server.
fn keys_of(urls: &[String], prefix: &str, each: usize) -> Vec<Vec<String>> {
    let chooser = Chooser::new(urls.iter().map(String::as_str));
    let mut found = vec![Vec::new(); urls.len()];
    for key in (0..).map(|number| format!("{prefix}{number}")) {
        let place: &mut Vec<String> = &mut found[chooser.server_of(&MadeKey::as_is(&format!(":1:{key}")))];
        if place.len() < each {
            place.push(key);
        }
        if found.iter().all(|place| place.len() == each) {
            return found;
        }
    }
    unreachable!()
}

#[test]
fn every_operation_works() {
    let servers = [RedisServer::start(), RedisServer::start(), RedisServer::start()];
    let urls = urls(&servers);
    let all: Vec<String> = keys_of(&urls, "k", 4).concat();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for face in FACES {
        let client = Client::open(&document(&urls), face);
        client.ping().unwrap();
        for key in &all {
            assert_eq!(client.json(key), None);
            client.set(key, "[1]", millis(60_000));
            assert!(client.has(key).unwrap());
            let add = client.write(key, Input::Text("x"), millis(60_000), When::Missing);
            assert_eq!(add.unwrap(), Written::NotStored);
            assert_eq!(client.touch(key, millis(90_000)).unwrap(), Touched::Changed);
            let left = client.ttl(key).unwrap();
            assert!(matches!(left, Some(Ttl::Millis(80_000..=90_000))), "{left:?}");
            assert_eq!(client.persist(key).unwrap(), Touched::Changed);
            assert_eq!(client.ttl(key).unwrap(), Some(Ttl::Forever));
            assert!(client.delete(key).unwrap() && !client.delete(key).unwrap());
            client.set(key, "41", millis(60_000));
            assert_eq!(client.incr(key, 1).unwrap().as_deref(), Some("42"));
            client.set(key, "1.5", millis(60_000)); // read, added and written again (DR-20)
            assert_eq!(client.incr(key, 1).unwrap().as_deref(), Some("2.5"));
            // the next version is on any server
            assert_eq!(client.incr_version(key, 1).unwrap(), Some(2));
            assert_eq!((client.json(key), client.json_of_version(key, "2").as_deref()), (None, Some("2.5")));
            assert_eq!(client.incr_version(key, 1).unwrap(), None);
        }
        let values: Vec<(&str, String)> = all.iter().map(|key| (*key, format!("\"{key}\""))).collect();
        let values: Vec<(&str, &str)> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert!(client.set_many(&values, millis(60_000)).unwrap().iter().all(Option::is_none));
        let asked: Vec<&str> = all.iter().rev().copied().chain(["none", all[0]]).collect();
        let expected: Vec<_> = asked.iter().map(|key| (*key != "none").then(|| format!("\"{key}\""))).collect();
        assert_eq!(client.get_many(&asked).unwrap(), expected);
        assert_eq!(client.delete_many(&all[..5]).unwrap(), 5);
        assert_eq!((client.get_many(&[]).unwrap(), client.delete_many(&[]).unwrap()), (vec![], 0));
        // a listing goes over all servers
        let mut more: Vec<String> = keys_of(&urls, "m", 500).concat();
        let some: Vec<(&str, &str)> = more.iter().map(|key| (key.as_str(), "1")).collect();
        client.set_many(&some, millis(60_000)).unwrap();
        let (mut seen, mut at) = (Vec::new(), 0);
        loop {
            let page = client.page("m*", at).unwrap();
            seen.extend(page.keys.into_iter().map(|key| String::from_utf8(key).unwrap()));
            match page.next {
                Some(next) => at = next,
                None => break,
            }
        }
        more.sort();
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>(), more);
        assert_eq!(client.page("*", 3 << 56).unwrap_err().kind(), Kind::Invalid);
        let held = || servers.each_ref().map(|server| server.command(0, &[b"DBSIZE"]));
        to_all(&servers, &[b"SET", b"other", b"1"]);
        client.clear(Scope::Prefix).unwrap();
        // the second versions stay, and what is not ours
        assert!(servers.iter().all(|server| server.command(0, &[b"KEYS", b":1:*"]).is_empty()), "{:?}", held());
        assert!(servers.iter().all(|server| server.command(0, &[b"EXISTS", b"other"]) == b"1"));
        client.clear(Scope::Everything).unwrap();
        assert_eq!(held(), [b"0", b"0", b"0"]);
        let shown: Vec<_> = client.store.health().into_iter().map(|one| one.server.to_string()).collect();
        assert!(
            shown.len() == 3 && (0..3).all(|one| shown[one].contains(&servers[one].port().to_string())),
            "{shown:?}"
        );
    }
}

#[test]
fn several_keys_are_one_round_trip_to_each_server() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let urls = urls(&servers);
    let mut monitors = servers.each_ref().map(Monitor::watch);
    let keys = keys_of(&urls, "k", 5).concat();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for face in FACES {
        let client = Client::open(&document(&urls), face);
        client.ping().unwrap();
        monitors.iter_mut().for_each(Monitor::skip);
        client.get_many(&keys).unwrap();
        client.delete_many(&keys).unwrap();
        for monitor in &mut monitors {
            let seen: Vec<_> = monitor.seen().into_iter().map(|one| (one[0].to_ascii_uppercase(), one.len())).collect();
            assert_eq!(seen, [(b"MGET".to_vec(), 6), (b"DEL".to_vec(), 6)]);
        }
    }
}

#[test]
fn a_server_that_is_away_fails_its_own_keys() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let mut urls = urls(&servers);
    urls.insert(1, format!("redis://:geheim@127.0.0.1:{}/0", free_port()));
    let keys = keys_of(&urls, "k", 3);
    let all: Vec<&str> = keys.iter().flatten().map(String::as_str).collect();
    for face in FACES {
        let client = Client::open(&document(&urls), face);
        let away = |key: &str| keys[1].iter().any(|one| one == key);
        for key in &all {
            let set = client.write(key, Input::Text("v"), millis(60_000), When::Always);
            assert_eq!(set.is_err(), away(key), "{key}");
        }
        let values: Vec<(&str, &str)> = all.iter().map(|key| (*key, "2")).collect();
        let failures = client.set_many(&values, millis(60_000)).unwrap();
        for (key, failure) in all.iter().zip(&failures) {
            assert_eq!(failure.as_ref().map(larder::error::Error::kind), away(key).then_some(Kind::Connection));
        }
        assert!(failures.iter().flatten().all(|error| !error.to_string().contains("geheim")));
        assert_eq!(client.get_many(&all).unwrap_err().kind(), Kind::Connection);
        let there: Vec<&str> = all.iter().copied().filter(|key| !away(key)).collect();
        assert_eq!(client.get_many(&there).unwrap(), vec![Some("2".to_owned()); there.len()]);
        assert!(client.clear(Scope::Everything).is_err() && client.ping().is_err());
        assert!(client.delete_many(&all).is_err());
        // the value stays where the next version's server is away
        let chooser = Chooser::new(urls.iter().map(String::as_str));
        let server_of = |version: u8, key: &str| chooser.server_of(&MadeKey::as_is(&format!(":{version}:{key}")));
        let mut names = (0..).map(|number| format!("v{number}"));
        let key = names.find(|key| server_of(1, key) != 1 && server_of(2, key) == 1).unwrap();
        client.set(&key, "[5]", millis(60_000));
        assert_eq!(client.incr_version(&key, 1).unwrap_err().kind(), Kind::Connection);
        assert_eq!(client.json(&key).as_deref(), Some("[5]"));
    }
}

#[test]
fn all_servers_together_have_one_deadline() {
    let servers = [RedisServer::start(), RedisServer::start(), RedisServer::start()];
    let urls = urls(&servers);
    let keys = keys_of(&urls, "k", 2).concat();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut caches = caches(&urls);
    caches["default"]["LARDER"] = json!({"TIMEOUT_MS": 400});
    for server in &servers {
        server.pause(true);
    }
    for face in FACES {
        let client = Client::open(&json!({"CACHES": caches}).to_string(), face);
        let begin = std::time::Instant::now();
        assert_eq!(client.get_many(&keys).unwrap_err().kind(), Kind::Timeout);
        assert!(begin.elapsed() < Duration::from_secs(10), "not the sum of many");
    }
    for server in &servers {
        server.pause(false);
    }
}

#[test]
fn one_server_written_twice_is_one() {
    let server = RedisServer::start();
    let twice = [server.url(0), server.url(0)];
    for face in FACES {
        let client = Client::open(&document(&twice), face);
        client.set("k", "1", millis(60_000));
        assert_eq!(client.page("*", 0).unwrap().keys, [b"k"]);
        assert_eq!(client.page("*", 0).unwrap().next, None);
        assert_eq!(client.store.health().len(), 1);
    }
}

#[test]
fn locks_and_moments_are_on_the_server_of_the_key() {
    let servers = [RedisServer::start(), RedisServer::start(), RedisServer::start()];
    let urls = urls(&servers);
    let chooser = Chooser::new(urls.iter().map(String::as_str));
    let runtime = Runtime::start();
    let cache = backend(&urls, &runtime);
    let in_an_hour = 3_600_000 + i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    for face in FACES {
        for number in 0..12 {
            let key = MadeKey::as_is(&format!("{face:?} {number}"));
            let server = &servers[chooser.server_of(&key)];
            let lock = |token: &'static [u8], action| match ask(
                &*cache,
                face,
                &Request::Lock { key: &key, token, action },
                LONG,
            )
            .unwrap()
            {
                Reply::Found(found) => found,
                other => panic!("{other:?}"),
            };
            assert!(lock(b"mine", LockAction::Take(Ttl::Millis(60_000))));
            assert!(!lock(b"another", LockAction::Take(Ttl::Millis(60_000))));
            assert_eq!(server.command(0, &[b"GET", key.as_bytes()]), b"mine");
            assert!(!lock(b"another", LockAction::Release) && lock(b"mine", LockAction::Release));
            let set = Request::Set { key: &key, value: b"v".as_slice().into(), ttl: Ttl::Forever, when: When::Always };
            ask(&*cache, face, &set, LONG).unwrap();
            let moment = ask(&*cache, face, &Request::ExpireAt(&key, in_an_hour), LONG);
            assert!(matches!(moment, Ok(Reply::Touched(Touched::Changed))), "{moment:?}");
            let left = String::from_utf8(server.command(0, &[b"TTL", key.as_bytes()])).unwrap().parse::<i64>().unwrap();
            assert!((3500..=3600).contains(&left), "{left}");
        }
    }
}

#[test]
fn a_pattern_removes_whatever_a_server_has() {
    let servers = [RedisServer::start(), RedisServer::start(), RedisServer::start()];
    let urls = urls(&servers);
    for face in FACES {
        let client = Client::open(&document(&urls), face);
        let keys = keys_of(&urls, "k", 700).concat();
        let values: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "1")).collect();
        client.set_many(&values, millis(60_000)).unwrap();
        client.set("other", "1", millis(60_000));
        // one that is not where it belongs: somebody else's ring has other servers (DR-52)
        let stray = format!(":1:{}", keys[0]);
        to_all(&servers, &[b"SET", stray.as_bytes(), b"1"]);
        assert_eq!(client.delete_pattern("k*").unwrap(), 2102);
        assert!(servers.iter().all(|server| server.command(0, &[b"KEYS", b":1:k*"]).is_empty()));
        assert!(client.has("other").unwrap());
        assert_eq!(client.delete_pattern("k*").unwrap(), 0);
    }
    let mut urls = urls;
    urls.push(format!("redis://127.0.0.1:{}/0", free_port()));
    let client = Client::open(&document(&urls), FACES[0]);
    to_all(&servers, &[b"SET", b":1:x", b"1"]);
    let error = client.delete_pattern("x").unwrap_err();
    assert!(
        error.kind() == Kind::Connection && error.reason().ends_with("; on other servers 3 were removed"),
        "{error}"
    );
}
