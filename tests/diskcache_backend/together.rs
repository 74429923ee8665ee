//! larder and Python at the same time.

use std::time::Duration;

use larder::backend::{When, Written};
use larder::timeout::Budget;
use larder::value::Number;

use super::common::random::Random;
use super::*;

#[test]
fn no_increment_is_lost() {
    let folder = Folder::new();
    let store = folder.store(&json!({}));
    set(&store, "n", Input::Json(b"0"));
    let one = Number::Int(1.into());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut python = folder.python(&json!({}));
            scope.spawn(move || python.must("hammer_incr", json!({"key": "n", "count": 300})));
            scope.spawn(|| (0..300).for_each(|_| drop(store.incr("n", &one, &call()).unwrap().unwrap())));
        }
    });
    assert_eq!(json_of(&store, "n").unwrap(), "1200");
}

#[test]
fn one_of_many_adds_wins() {
    let folder = Folder::new();
    let store = folder.store(&json!({}));
    let wins = std::thread::scope(|scope| {
        let mut runs = Vec::new();
        for mark in ["a", "b"] {
            let mut python = folder.python(&json!({}));
            runs.push(scope.spawn(move || {
                let won = python.must("hammer_add", json!({"count": 150, "mark": mark}));
                won.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect::<Vec<_>>()
            }));
            let store = &store;
            runs.push(scope.spawn(move || {
                let add = |number: &u64| {
                    let key = format!("race{number}");
                    store.set(&key, Input::Text(mark), LONG, When::Missing, &call()).unwrap() == Written::Stored
                };
                (0..150).filter(add).collect()
            }));
        }
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect::<Vec<_>>()
    });
    let mut sorted = wins;
    sorted.sort_unstable();
    assert_eq!(sorted, (0..150).collect::<Vec<_>>()); // each once
}

/// Many who find no cache make one together.
#[test]
fn all_at_once_on_a_fresh_directory() {
    let folder = Folder::new();
    let params = json!({"SHARDS": 2, "OPTIONS": {"tag_index": 1}});
    let begin = std::sync::Barrier::new(6);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (folder, params, begin) = (&folder, &params, &begin);
            scope.spawn(move || {
                let store = folder.store(params);
                begin.wait();
                (0..8).for_each(|key| set(&store, &format!("{number}-{key}"), Input::Text("v")));
            });
        }
        for number in 4..6 {
            let (folder, params, begin) = (&folder, &params, &begin);
            let mut partner = Partner::start("diskcache_backend/partner.py");
            scope.spawn(move || {
                partner.must("ready", json!({}));
                begin.wait();
                partner.must("open_cache", json!({"directory": folder.cache(), "params": params}));
                let set = json!({"directory": folder.cache(), "key": format!("{number}-0"), "value": "1"});
                assert_eq!(partner.must("set", set), true);
            });
        }
    });
    let mut python = folder.python(&params);
    python.no_faults();
    assert_eq!(python.must("volume", json!({}))[1], 4 * 8 + 2);
}

/// Everything at once on few keys, with large values: no file is left behind, and none is missing.
#[test]
fn heavy_mixed_use_leaves_no_fault() {
    let folder = Folder::new();
    let params = json!({"SHARDS": 2, "OPTIONS": {"size_limit": 3_000_000}});
    let store = folder.store(&params);
    store.ping(&call()).unwrap();
    std::thread::scope(|scope| {
        for seed in 0..2_u64 {
            let mut python = folder.python(&params);
            scope.spawn(move || python.must("hammer_mixed", json!({"seed": seed, "count": 300})));
            let store = &store;
            scope.spawn(move || mixed(store, 7 + seed, 300));
        }
    });
    folder.python(&params).no_faults();
}

fn mixed(store: &Store, seed: u64, count: usize) {
    let mut dice = Random(seed);
    for _ in 0..count {
        let key = format!("mixed{}", dice.below(30));
        let text = "z".repeat([10, 1000, 40_000, 70_000][dice.below(4)]);
        let ttl = [FOREVER, LONG, TtlChoice::Of(Ttl::Millis(10)), TtlChoice::Of(Ttl::Millis(0))][dice.below(4)];
        match dice.below(9) {
            0..3 => drop(store.set(&key, Input::Text(&text), ttl, When::Always, &call()).unwrap()),
            3 => drop(store.set(&key, Input::Bytes(text.as_bytes()), ttl, When::Missing, &call()).unwrap()),
            4 => drop(store.delete(&key, &call()).unwrap()),
            5 => drop(store.touch(&key, ttl, &call()).unwrap()),
            6 => drop(store.purge_expired(&call()).unwrap()),
            _ => {
                if let Some(value) = store.get(&key, &call()).unwrap() {
                    value.kind().unwrap(); // whole, whoever wrote it
                }
            }
        }
    }
}

#[test]
fn waiting_for_a_lock_ends_at_the_deadline() {
    let folder = Folder::new();
    let store = folder.store(&json!({}));
    store.ping(&call()).unwrap();
    set(&store, "k", Input::Text("v"));
    let mut python = folder.python(&json!({}));
    python.must("lock", json!({}));
    let short = Call { budget: Some(Budget::new(Duration::from_millis(100))), ..call() };
    let large = "x".repeat(50_000);
    let error = store.set("k", Input::Text(&large), LONG, When::Always, &short).unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(error.is_retriable() && !error.may_have_happened(), "{error}");
    assert!(error.reason().contains("locked by others until the deadline of 100 ms"), "{error}");
    assert!(folder.value_files().is_empty());
    assert_eq!(store.incr("n", &Number::Int(1.into()), &short).unwrap_err().kind(), Kind::Timeout);
    assert_eq!(json_of(&store, "k").unwrap(), "\"v\""); // readers do not wait for writers
    std::thread::scope(|threads| {
        let later = threads.spawn(|| set(&store, "k", Input::Text("later"))); // waits for the lock, and gets it
        std::thread::sleep(Duration::from_millis(100));
        assert!(!later.is_finished());
        python.must("unlock", json!({}));
    });
    python.no_faults();
    assert_eq!(python.get("k"), "'later'");
}
