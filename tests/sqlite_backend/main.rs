//! The table in a SQLite database, by the rules of the contract and beside others who use the file (DB, T, O, P-2, P-3).
#![cfg(all(feature = "sqlite-system", feature = "memory"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;
mod culling;
mod faults;
mod forks;
mod partners;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use common::client::rust_store;
use larder::backend::{Capability, Touched, When, Written};
use larder::codec::Input;
use larder::error::Kind;
use larder::store::{Call, Scope, Store};
use larder::timeout::{Ttl, TtlChoice};
use larder::value::Number;
use rusqlite::Connection;
use serde_json::{Value, json};

const LONG: Ttl = Ttl::Millis(1_000_000);
const SPENT: Ttl = Ttl::Millis(-5000);

/// A database file in a private folder.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("larder-sqlite-{}-{number}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    /// With a table, in a journal mode.
    fn with_table(mode: &str) -> Self {
        let place = Self::new();
        place.sql("CREATE TABLE other (x)"); // makes the file
        let connection = Connection::open(place.file()).unwrap();
        let now: String = connection.query_row(&format!("PRAGMA journal_mode={mode}"), [], |row| row.get(0)).unwrap();
        assert_eq!(now, mode);
        drop(connection);
        make_table(&place.document(&json!({})));
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.join("db.sqlite3")
    }

    fn document(&self, extra: &Value) -> Value {
        let mut document = json!({
            "CACHES": {"default": {
                "BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache",
                "OPTIONS": {"MAX_ENTRIES": 1_000_000},
            }},
            "DATABASES": {"default": {
                "ENGINE": "django.db.backends.sqlite3", "NAME": self.file().to_str().unwrap(),
                "OPTIONS": {"init_command": "PRAGMA synchronous=OFF"}, // no test loses power
            }},
        });
        let entry = document["CACHES"]["default"].as_object_mut().unwrap();
        entry.extend(extra.as_object().unwrap().clone());
        document
    }

    fn store(&self) -> Store {
        self.store_with(&json!({}))
    }

    fn store_with(&self, extra: &Value) -> Store {
        rust_store(&self.document(extra).to_string(), "default")
    }

    /// Runs statements by the SQLite of this test.
    fn sql(&self, statements: &str) {
        let connection = Connection::open(self.file()).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        connection.execute_batch(statements).unwrap();
    }

    fn count(&self) -> u64 {
        let connection = Connection::open(self.file()).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        let count: i64 = connection.query_row("SELECT COUNT(*) FROM cache", [], |row| row.get(0)).unwrap();
        u64::try_from(count).unwrap()
    }

    /// The stored keys, in their order.
    fn keys(&self) -> Vec<String> {
        let connection = Connection::open(self.file()).unwrap();
        let mut statement = connection.prepare("SELECT cache_key FROM cache ORDER BY cache_key").unwrap();
        let keys = statement.query_map([], |row| row.get(0)).unwrap();
        keys.map(Result::unwrap).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Makes the table as larder makes it.
fn make_table(document: &Value) {
    backend(document).create_table(larder::timeout::Budget::new(std::time::Duration::from_secs(5))).unwrap();
}

/// The backend alone.
fn backend(document: &Value) -> std::sync::Arc<dyn larder::backend::Backend> {
    struct Silent;
    impl larder::log::Log for Silent {
        fn record(&self, _: larder::log::Level, _: &std::fmt::Arguments<'_>) {}
    }
    let config = larder::config::read(document.to_string().as_bytes(), &|_| None).unwrap();
    let alias = &config.aliases[0];
    let larder::config::Family::Database(database) = alias.family.clone() else { panic!("{:?}", alias.family) };
    let bounds = larder::backend::database::Bounds { culling: alias.culling, limits: alias.settings.limits };
    let spawner: std::sync::Arc<dyn larder::backend::Spawner> = larder::runtime::Runtime::new();
    let log: std::sync::Arc<dyn larder::log::Log> = std::sync::Arc::new(Silent);
    larder::backend::database::open(database, bounds, &spawner, &log).unwrap()
}

/// Short words for a store.
trait Short {
    fn put(&self, key: &str, value: &str, ttl: Ttl) -> Written;
    fn add(&self, key: &str, value: &str, ttl: Ttl) -> Written;
    fn read_text(&self, key: &str) -> Option<String>;
    fn there(&self, key: &str) -> bool;
}

impl Short for Store {
    fn put(&self, key: &str, value: &str, ttl: Ttl) -> Written {
        self.set(key, Input::Text(value), TtlChoice::Of(ttl), When::Always, &Call::default()).unwrap()
    }

    fn add(&self, key: &str, value: &str, ttl: Ttl) -> Written {
        self.set(key, Input::Text(value), TtlChoice::Of(ttl), When::Missing, &Call::default()).unwrap()
    }

    fn read_text(&self, key: &str) -> Option<String> {
        self.get(key, &Call::default()).unwrap().map(|value| value.text().unwrap().shown.to_owned())
    }

    fn there(&self, key: &str) -> bool {
        self.has(key, &Call::default()).unwrap()
    }
}

#[test]
fn what_is_written_is_read() {
    let (place, call) = (Place::with_table("delete"), Call::default());
    let store = place.store();
    for capability in
        [Capability::Scan, Capability::ClearPrefix, Capability::Ttl, Capability::Persist, Capability::Keeps]
    {
        assert!(store.supports(capability));
    }
    assert_eq!(store.read_text("k"), None);
    assert_eq!(store.put("k", "v", LONG), Written::Stored);
    assert_eq!(store.read_text("k").unwrap(), "v");
    assert_eq!(store.add("k", "w", LONG), Written::NotStored);
    assert_eq!(store.add("n", "w", LONG), Written::Stored);
    let over = |key, value| store.set(key, Input::Text(value), TtlChoice::Of(LONG), When::Present, &call).unwrap();
    assert_eq!(over("k", "x"), Written::Stored);
    assert_eq!(over("missing", "x"), Written::NotStored);
    assert_eq!(store.read_text("k").unwrap(), "x");
    assert!(matches!(store.ttl("k", &call).unwrap(), Some(Ttl::Millis(left)) if (998_000..=1_000_000).contains(&left)));
    assert_eq!(store.persist("k", &call).unwrap(), Touched::Changed);
    assert_eq!(store.ttl("k", &call).unwrap(), Some(Ttl::Forever));
    assert_eq!(store.ttl("missing", &call).unwrap(), None);
    let fetched = store.fetch_many(&["k", "missing", "n"], &call).unwrap();
    let fetched = fetched.iter().map(|one| one.as_ref().map(|(value, left)| (value.text().unwrap().shown, *left)));
    let fetched: Vec<_> = fetched.collect();
    assert!(matches!(
        &fetched[..],
        [Some(("x", Some(Ttl::Forever))), None, Some(("w", Some(Ttl::Millis(998_000..=1_000_000))))]
    ));
    assert!(matches!(store.fetch("n", &call).unwrap(), Some((_, Some(Ttl::Millis(998_000..=1_000_000))))));
    assert!(store.fetch("missing", &call).unwrap().is_none());
    assert_eq!(store.touch("missing", TtlChoice::Of(LONG), &call).unwrap(), Touched::Missing);
    assert!(store.delete("k", &call).unwrap() && !store.delete("k", &call).unwrap());
    let large = "x".repeat(300_000);
    store.put("large", &large, LONG);
    assert_eq!(store.read_text("large").unwrap(), large);
    let long_key = "k".repeat(5000); // SQLite keeps to no length (pitfall 24)
    store.put(&long_key, "long", LONG);
    assert_eq!(store.read_text(&long_key).unwrap(), "long");
    for key in ["Key", "key", "a", "a ", "ü", "u", "nul\0l", "quote\"'`", "日本", "%", "_"] {
        store.put(key, key, LONG);
    }
    for key in ["Key", "key", "a", "a ", "ü", "u", "nul\0l", "quote\"'`", "日本", "%", "_"] {
        assert_eq!(store.read_text(key).unwrap(), key);
    }
}

#[test]
fn spent_rows_are_there_until_somebody_looks() {
    let (place, call) = (Place::with_table("delete"), Call::default());
    let store = place.store();
    for ttl in [SPENT, Ttl::Millis(0), Ttl::Millis(-1)] {
        assert_eq!(store.put("k", "v", ttl), Written::NotKept); // T
        assert!(!store.there("k"));
        assert_eq!(place.count(), 1, "has removes nothing");
        assert_eq!(store.read_text("k"), None);
        assert_eq!(place.count(), 0, "get does"); // DB-7
    }
    store.put("k", "v", SPENT);
    assert_eq!(store.ttl("k", &call).unwrap(), None);
    assert_eq!(store.persist("k", &call).unwrap(), Touched::Missing);
    assert_eq!(store.touch("k", TtlChoice::Of(LONG), &call).unwrap(), Touched::Changed); // DB-10
    assert_eq!(store.read_text("k").unwrap(), "v");
    store.put("k", "v", SPENT);
    assert_eq!(store.add("k", "w", LONG), Written::Stored);
    store.put("k", "v", SPENT);
    assert!(store.delete("k", &call).unwrap()); // O table
    store.put("a", "v", SPENT);
    store.put("b", "v", LONG);
    store.put("c", "v", SPENT);
    assert_eq!(store.purge_expired(&call).unwrap(), 2);
    assert_eq!(place.keys(), [":1:b"]);
}

#[test]
fn several_at_once() {
    let (place, call) = (Place::with_table("wal"), Call::default());
    let store = place.store();
    let values: Vec<(String, Input<'_>)> = (0..500).map(|n| (format!("k{n}"), Input::Text("v"))).collect();
    let values: Vec<(&str, Input<'_>)> = values.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let failed = store.set_many(&values, TtlChoice::Of(LONG), &call).unwrap();
    assert!(failed.iter().all(Option::is_none));
    store.put("k7", "v", SPENT);
    let keys: Vec<&str> = values.iter().map(|(key, _)| *key).chain(["missing", "k1"]).collect();
    let found = store.get_many(&keys, &call).unwrap();
    assert_eq!(found.len(), 502);
    assert!(found[1].is_some() && found[501].is_some() && found[7].is_none() && found[500].is_none());
    assert_eq!(place.count(), 499, "the one that was over is gone");
    assert_eq!(store.delete_many(&["k1", "missing", "k2"], &call).unwrap(), 2);
    assert!(store.incr("n", &Number::Int(1.into()), &call).unwrap().is_none());
    store.set("n", Input::Json(b"41"), TtlChoice::Of(Ttl::Forever), When::Always, &call).unwrap();
    store.incr("n", &Number::Int(1.into()), &call).unwrap().unwrap();
    assert_eq!(store.get("n", &call).unwrap().unwrap().json().unwrap().shown, "42");
    assert!(matches!(store.ttl("n", &call).unwrap(), Some(Ttl::Millis(left)) if left <= 300_000)); // O-3
}

#[test]
fn keys_are_listed_in_pages_and_cleared_by_their_prefix() {
    let (place, call) = (Place::with_table("delete"), Call::default());
    let store = place.store();
    let names: Vec<String> = (0..2500).map(|n| format!("k{n:04}")).collect();
    let values: Vec<(&str, Input<'_>)> = names.iter().map(|key| (key.as_str(), Input::Text("v"))).collect();
    store.set_many(&values, TtlChoice::Of(LONG), &call).unwrap();
    store.put("over", "v", SPENT);
    let (mut found, mut at, mut pages) = (Vec::new(), 0, 0);
    loop {
        let page = store.keys("*", at, &call).unwrap();
        pages += 1;
        found.extend(page.keys.into_iter().map(|key| String::from_utf8(key).unwrap()));
        match page.next {
            Some(next) => at = next,
            None => break,
        }
    }
    found.sort();
    assert_eq!((found, pages), (names, 3));
    assert!(store.keys("*", u64::MAX, &call).unwrap().keys.is_empty());

    // a prefix is no pattern
    let other = |prefix: &str| place.store_with(&json!({"KEY_PREFIX": prefix}));
    store.clear(Scope::Everything, &call).unwrap();
    assert_eq!(place.count(), 0);
    for prefix in ["a%", "ab", "a_", "a", "a\u{10ffff}", "é", "e", "A%"] {
        other(prefix).put("k", "v", LONG);
    }
    other("a%").clear(Scope::Prefix, &call).unwrap();
    assert_eq!(place.count(), 7);
    other("a").clear(Scope::Prefix, &call).unwrap();
    assert_eq!(place.keys(), ["A%:1:k", "a_:1:k", "ab:1:k", "a\u{10ffff}:1:k", "e:1:k", "é:1:k"]);
    other("a\u{10ffff}").clear(Scope::Prefix, &Call { version: Some("2"), ..call }).unwrap();
    assert_eq!(place.count(), 6);
}

#[test]
fn no_setting_of_the_file_is_changed() {
    for mode in ["delete", "truncate", "persist", "wal"] {
        let place = Place::with_table(mode);
        let document = {
            let mut document = place.document(&json!({}));
            let init = "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA user_version=9";
            document["DATABASES"]["default"]["OPTIONS"] = json!({"init_command": init});
            document
        };
        let store = rust_store(&document.to_string(), "default");
        store.put("k", "v", LONG);
        make_table(&document);
        assert_eq!(store.read_text("k").unwrap(), "v");
        let connection = Connection::open(place.file()).unwrap();
        let now: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        let kept = if mode == "wal" { "wal" } else { "delete" }; // the others are not kept in the file
        assert_eq!(now, kept);
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, 0);
    }
}

#[test]
fn a_file_that_takes_the_name_is_noticed() {
    let place = Place::with_table("delete");
    let store = place.store();
    store.put("k", "old", LONG);
    let other = Place::with_table("delete");
    other.store().put("k", "new", LONG);
    std::fs::rename(other.file(), place.file()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100)); // it is looked at once in a second
    assert_eq!(store.read_text("k").unwrap(), "new");
}

#[test]
fn values_are_bounded() {
    let place = Place::with_table("delete");
    place.store().put("k", &"x".repeat(5000), LONG);
    let small = place.store_with(&json!({"LARDER": {"MAX_VALUE_BYTES": 1000}}));
    assert_eq!(small.get("k", &Call::default()).err().unwrap().kind(), Kind::TooBig);
    assert!(small.there("k"));
}
