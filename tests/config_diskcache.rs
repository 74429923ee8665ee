//! What a diskcache alias says (contract 1.17).

// Tests may say plainly what must not happen.
#![allow(clippy::expect_used, clippy::indexing_slicing)]
#![cfg(feature = "diskcache")]

use std::path::Path;

use larder::config::{Alias, DiskCache, Family, Scalar, read};
use larder::error::Kind;
use serde_json::{Value, json};

fn document(more: &Value) -> String {
    let mut entry = json!({"BACKEND": "diskcache.DjangoCache", "LOCATION": "/var/cache/app"});
    for (name, value) in more.as_object().expect("an object") {
        entry[name] = value.clone();
    }
    json!({"CACHES": {"default": entry}}).to_string()
}

fn alias(more: &Value) -> (Alias, Vec<String>) {
    let mut config = read(document(more).as_bytes(), &|_| None).unwrap_or_else(|error| panic!("{more}: {error}"));
    (config.aliases.remove(0), config.warnings)
}

fn cache(more: &Value) -> (DiskCache, Vec<String>) {
    let (alias, warnings) = alias(more);
    let Family::DiskCache(cache) = alias.family else { panic!("{alias:?}") };
    (cache, warnings)
}

fn refused(more: &Value) -> String {
    let error = read(document(more).as_bytes(), &|_| None).expect_err(&more.to_string());
    assert_eq!(error.kind(), Kind::Config);
    error.reason().to_owned()
}

#[test]
fn what_is_not_said() {
    let (cache, warnings) = cache(&json!({}));
    assert_eq!((cache.directory.as_path(), cache.shards), (Path::new("/var/cache/app"), 8));
    assert!(cache.settings.is_empty() && warnings.is_empty(), "{warnings:?}");
    assert_eq!(alias(&json!({})).0.protocol(), 5);
}

#[test]
fn settings_are_kept_by_their_types() {
    let options = json!({"size_limit": 1e6, "cull_limit": 0, "eviction_policy": "none", "statistics": true,
        "disk_pickle_protocol": 4, "sqlite_journal_mode": "delete", "disk": "diskcache.Disk"});
    let (found, warnings) = cache(&json!({"SHARDS": 3, "DATABASE_TIMEOUT": 1, "OPTIONS": options}));
    let expected = [
        ("size_limit", Scalar::Float(1e6)),
        ("cull_limit", Scalar::Int(0)),
        ("eviction_policy", Scalar::Text("none".into())),
        ("statistics", Scalar::Int(1)),
        ("disk_pickle_protocol", Scalar::Int(4)),
        ("sqlite_journal_mode", Scalar::Text("delete".into())),
    ];
    assert_eq!(found.settings, expected.map(|(name, value)| (name.to_owned(), value)));
    assert!(found.shards == 3 && warnings.is_empty(), "{warnings:?}");
    for (given, written) in [(4, 4), (2, 2), (1, 1), (0, 0), (-1, 5)] {
        assert_eq!(alias(&json!({"OPTIONS": {"disk_pickle_protocol": given}})).0.protocol(), written);
    }
}

#[test]
fn directories() {
    let here = std::env::current_dir().expect("a working directory");
    let (relative, warnings) = cache(&json!({"LOCATION": "some/cache"}));
    assert_eq!(relative.directory, here.join("some/cache"));
    assert!(warnings[0].starts_with("CACHES.default.LOCATION: is not absolute"), "{warnings:?}");
    let home = std::env::var("HOME").expect("a home");
    assert_eq!(cache(&json!({"LOCATION": "~/cache"})).0.directory, Path::new(&home).join("cache"));
    assert_eq!(cache(&json!({"LOCATION": "$HOME/cache"})).0.directory, Path::new(&home).join("cache"));
    assert!(refused(&json!({"LOCATION": "redis://:secret@host"})).contains("is a URL"));
    assert!(!refused(&json!({"LOCATION": "redis://:secret@host"})).contains("secret"));
    assert!(refused(&json!({"LOCATION": "a\0b"})).contains("NUL"));
    assert!(refused(&json!({"LOCATION": "~somebody/cache"})).contains("write the directory out"));
    assert!(refused(&json!({"LOCATION": 5})).contains("must be a text"));
}

#[test]
fn what_python_refuses() {
    for (more, reason) in [
        (json!({"SHARDS": 0}), "SHARDS: must be a whole number from 1 to 1000, not 0"),
        (json!({"SHARDS": 1001}), "SHARDS: must be"),
        (json!({"SHARDS": 1.5}), "SHARDS: must be"),
        (json!({"DATABASE_TIMEOUT": "soon"}), "DATABASE_TIMEOUT: must be a number of seconds"),
        (json!({"OPTIONS": {"size_limit": "1G"}}), "OPTIONS.size_limit: must be a number"),
        (json!({"OPTIONS": {"cull_limit": 1.5}}), "OPTIONS.cull_limit: must be a whole number"),
        (json!({"OPTIONS": {"eviction_policy": "lru"}}), "OPTIONS.eviction_policy: must be one of none, least-"),
        (json!({"OPTIONS": {"disk_min_file_siz": 1}}), "has no such setting; did you mean disk_min_file_size?"),
        (json!({"OPTIONS": {"disk_pickle_protocol": 6}}), "must be a pickle protocol"),
        (json!({"OPTIONS": {"directory": "/x"}}), "LOCATION is its place"),
        (json!({"OPTIONS": {"timeout": 1}}), "DATABASE_TIMEOUT is its place"),
        (json!({"OPTIONS": {"sqlite_journal_mode": "wal; DROP TABLE Cache"}}), "must be a number or a word"),
        (json!({"OPTIONS": {"mine": [1]}}), "OPTIONS.mine: must be a text, a number"),
        (json!({"OPTIONS": {"disk": "diskcache.Disc"}}), "is not a disk"),
    ] {
        let told = refused(&more);
        assert!(told.starts_with("CACHES.default.") && told.contains(reason), "{more}: {told}");
    }
}

#[test]
fn what_is_not_here_and_what_is_odd() {
    for (options, reason) in [
        (json!({"disk": "diskcache.JSONDisk"}), "the disk \"diskcache.JSONDisk\" is not in this version of larder"),
        (json!({"disk": "app.disks.Mine"}), "larder cannot use a disk of your own"),
    ] {
        let (alias, _) = alias(&json!({"OPTIONS": options}));
        let Family::NotBuiltIn { reason: told } = &alias.family else { panic!("{alias:?}") };
        assert!(told.contains(reason), "{told}");
    }
    let odd = json!({"SHARD": 4, "OPTIONS": {"mine": "x", "sizelimit": 1, "sqlite_temp_store": 2, "count": 7}});
    let (found, warnings) = cache(&odd);
    assert_eq!(found.settings.len(), 3); // count is diskcache's own
    assert_eq!(found.shards, 8);
    for (warning, told) in warnings.iter().zip([
        "SHARD: is ignored",
        "mine: is only stored",
        "did you mean size_limit?",
        "does not carry this PRAGMA out",
        "counts it itself",
    ]) {
        assert!(warning.contains(told), "{warning} {told}");
    }
    assert_eq!(warnings.len(), 5, "{warnings:?}");
}
