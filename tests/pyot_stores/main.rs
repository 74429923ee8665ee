//! Pyot's own cache stores (contract pyot.md 2.6): larder beside what Pyot's code does in Python.
#![cfg(all(feature = "diskcache", feature = "memory", feature = "redis"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // helpers of tests may say plainly what must not happen

#[path = "../common/mod.rs"]
mod common;

use std::sync::Arc;

use common::python::Partner;
use common::redis::RedisServer;
use larder::backend::When;
use larder::backend::memory::Tables;
use larder::codec::Input;
use larder::config::Level;
use larder::error::Kind;
use larder::log::Silent;
use larder::runtime::Runtime;
use larder::store::{Call, Scope, Store, Surroundings};
use larder::timeout::{Ttl, TtlChoice};
use serde_json::{Value, json};

const TOKEN: &str = "lolna1summoner_v4_by_name{'name':_'Hide_on_bush'}{}";
const FOREVER: TtlChoice = TtlChoice::Of(Ttl::Forever);
const LONG: TtlChoice = TtlChoice::Of(Ttl::Millis(300_000));

/// Values as JSON, and what Python's `repr` makes of them.
fn values() -> Vec<(String, String)> {
    let long = "x".repeat(100_000); // a file of its own on diskcache
    let mut values: Vec<(String, String)> = [
        ("1", "1"), // no bare digits
        ("1.5", "1.5"),
        ("null", "None"),
        ("true", "True"),
        ("\"\\u00e9\"", "'é'"),
        ("{\"name\": \"Hide on bush\", \"levels\": [30, null]}", "{'name': 'Hide on bush', 'levels': [30, None]}"),
    ]
    .map(|(json, repr)| (json.to_owned(), repr.to_owned()))
    .into();
    values.push((format!("\"{long}\""), format!("'{long}'")));
    values
}

fn level(store: &Value) -> Level {
    let caches = json!({"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}});
    let document = json!({"CACHES": caches, "PIPELINES": {"LOL": [store]}}).to_string();
    let mut config = larder::config::read(document.as_bytes(), &|_| None).unwrap();
    config.pipelines.remove(0).levels.remove(0)
}

fn open_in(level: &Level, tables: &Arc<Tables>) -> Store {
    let around = Surroundings {
        plugins: Arc::default(),
        tables: tables.clone(),
        spawner: Runtime::new(),
        log: Arc::new(Silent),
    };
    Store::open(level.alias.clone(), around).unwrap()
}

fn open(store: &Value) -> Store {
    open_in(&level(store), &Arc::default())
}

fn set(store: &Store, key: &str, json: &str, ttl: TtlChoice) {
    store.set(key, Input::Json(json.as_bytes()), ttl, When::Always, &Call::default()).unwrap();
}

fn get(store: &Store, key: &str) -> Option<String> {
    store.get(key, &Call::default()).unwrap().map(|value| value.json().unwrap().shown.to_owned())
}

/// Each reads what the other has written.
fn read_each_other(store: &Store, python: &mut Partner) {
    for (json, repr) in values() {
        set(store, TOKEN, &json, LONG);
        assert_eq!(python.must("get", json!({"name": "x", "token": TOKEN})), json!(repr));
        python.must("set", json!({"name": "x", "token": "theirs{}{}", "value": repr, "timeout": 60}));
        assert_eq!(get(store, "theirs{}{}"), Some(json));
    }
    assert_eq!(python.must("keys", json!({"name": "x"})), json!([TOKEN, "theirs{}{}"]));
    python.must("set", json!({"name": "x", "token": TOKEN, "value": "[]", "timeout": -1}));
    assert_eq!(store.ttl(TOKEN, &Call::default()).unwrap(), Some(Ttl::Forever));
    assert!(matches!(store.ttl("theirs{}{}", &Call::default()).unwrap(), Some(Ttl::Millis(50_000..=60_000))));
    assert!(store.delete(TOKEN, &Call::default()).unwrap());
    assert_eq!(python.must("get", json!({"name": "x", "token": TOKEN})), Value::Null);
    // What Pyot cannot unpickle.
    python.must("raw", json!({"name": "x", "token": "raw", "value": "42"}));
    let error = store.get("raw", &Call::default()).unwrap().unwrap().json().unwrap_err();
    assert_eq!(error.kind(), Kind::Undecodable);
    let error = store.clear(Scope::Prefix, &Call::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(store.check_key(&"x".repeat(300), &Call::default()).is_empty()); // nobody looks at Pyot's keys
    store.clear(Scope::Everything, &Call::default()).unwrap();
    assert_eq!(python.must("keys", json!({"name": "x"})), json!([]));
}

#[test]
fn redis_cache() {
    let server = RedisServer::start();
    server.command(9, &[b"SET", b"somebody's", b"own"]);
    let mut python = Partner::start("pyot_stores/partner.py");
    python.must("open_redis", json!({"name": "x", "port": server.port(), "db": 3}));
    let store = open(&json!({"BACKEND": "pyot.stores.RedisCache", "PORT": server.port(), "DB": 3}));
    read_each_other(&store, &mut python);
    set(&store, "e", "1", LONG);
    set(&store, "f", "1", FOREVER);
    let ttl = |python: &mut Partner, token: &str| python.must("ttl", json!({"name": "x", "token": token}));
    assert!(matches!(ttl(&mut python, "e").as_i64(), Some(290_000..=300_000)));
    assert_eq!(ttl(&mut python, "f"), json!(-1));
    assert_eq!(server.command(9, &[b"GET", b"somebody's"]), b"own", "clear is no FLUSHALL");
}

#[test]
fn disk_cache() {
    let folder = std::env::temp_dir().join(format!("larder-pyot-stores-{}", std::process::id()));
    let mut python = Partner::start("pyot_stores/partner.py");
    python.must("open_disk", json!({"name": "x", "directory": folder}));
    let store = open(&json!({"BACKEND": "pyot.stores.diskcache.DiskCache", "DIRECTORY": folder}));
    read_each_other(&store, &mut python);
    set(&store, "e", "1", LONG);
    set(&store, "f", "1", FOREVER);
    let seconds = |python: &mut Partner, token: &str| python.must("seconds", json!({"name": "x", "token": token}));
    assert!(seconds(&mut python, "e").as_f64().is_some_and(|left| (290.0..=300.0).contains(&left)));
    assert_eq!(seconds(&mut python, "f"), Value::Null);
    drop((store, python));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn omnistone() {
    let tables = Arc::new(Tables::default());
    let omnistone = json!({"BACKEND": "pyot.stores.Omnistone", "MAX_ENTRIES": 4});
    let (one, two) = (level(&omnistone), level(&omnistone));
    let (store, again, other) = (open_in(&one, &tables), open_in(&one, &tables), open_in(&two, &tables));
    set(&store, TOKEN, "[1]", FOREVER);
    assert_eq!(get(&again, TOKEN).as_deref(), Some("[1]"));
    assert_eq!(get(&other, TOKEN), None); // another configuration, or another pipeline
    // CULL_FRECUENCY 2: half of them go, least recently used first
    for key in ["a", "b", "c"] {
        set(&store, key, "1", FOREVER);
    }
    assert_eq!(get(&store, TOKEN).as_deref(), Some("[1]"));
    set(&store, "d", "1", FOREVER);
    let kept: Vec<&str> = [TOKEN, "a", "b", "c", "d"].into_iter().filter(|key| get(&store, key).is_some()).collect();
    assert_eq!(kept, [TOKEN, "c", "d"]);
    set(&other, TOKEN, "2", FOREVER);
    store.clear(Scope::Prefix, &Call::default()).unwrap(); // nobody else's keys are there
    assert_eq!((get(&again, TOKEN), get(&other, TOKEN).as_deref()), (None, Some("2")));
    // It lives as long as somebody has it open.
    set(&store, TOKEN, "3", FOREVER);
    drop((store, again));
    assert_eq!(get(&open_in(&one, &tables), TOKEN), None);
    tables.clear();
    assert_eq!(get(&other, TOKEN), None);
}
