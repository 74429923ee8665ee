//! What larder makes is what diskcache makes.

use super::*;

fn made_by_both(params: &Value) -> (Value, Value) {
    let (ours, theirs) = (Folder::new(), Folder::new());
    ours.store(params).ping(&call()).unwrap();
    let mut python = theirs.python(params);
    let dump = |python: &mut Python, folder: &Folder| python.partner.must("dump", json!({"directory": folder.cache()}));
    (dump(&mut python, &ours), dump(&mut python, &theirs))
}

#[test]
fn a_fresh_cache_is_the_same() {
    for params in [
        json!({}),
        json!({"SHARDS": 3, "DATABASE_TIMEOUT": 0.5, "OPTIONS": {
            "size_limit": 1_000_000, "cull_limit": 3, "eviction_policy": "least-recently-used", "statistics": true,
            "tag_index": true, "disk_min_file_size": 100, "disk_pickle_protocol": 4, "sqlite_cache_size": 100,
            "disk": "diskcache.Disk"}}),
        json!({"SHARDS": 1, "OPTIONS": {"eviction_policy": "none", "sqlite_journal_mode": "delete",
            "sqlite_auto_vacuum": 0, "sqlite_synchronous": 2, "our_own": "word", "ratio": 0.5}}),
        json!({"SHARDS": 2, "OPTIONS": {"eviction_policy": "least-frequently-used"}}),
    ] {
        let (ours, theirs) = made_by_both(&params);
        assert_eq!(ours.as_object().unwrap().len(), theirs.as_object().unwrap().len());
        for (shard, dumped) in theirs.as_object().unwrap() {
            assert_eq!(&ours[shard], dumped, "{params}");
        }
    }
}

/// The alias's settings win over the table's, the table's over the defaults, on both sides.
#[test]
fn settings_of_an_existing_cache() {
    let (ours, theirs) = (Folder::new(), Folder::new());
    let first = json!({"SHARDS": 1, "OPTIONS": {"cull_limit": 7, "eviction_policy": "least-recently-used",
        "disk_min_file_size": 50, "mine": 1, "tag_index": 1}});
    let second = json!({"SHARDS": 1, "OPTIONS": {"cull_limit": 0, "tag_index": false}});
    let (mut dumps, nobody_s) = (Vec::new(), Folder::new());
    let mut python = nobody_s.python(&json!({}));
    for folder in [&ours, &theirs] {
        folder.python(&first);
        if std::ptr::eq(folder, &raw const ours) {
            let store = folder.store(&second);
            set(&store, "k", Input::Text(&"x".repeat(60)));
            assert_eq!(folder.value_files().len(), 1); // disk_min_file_size as the table says
            store.delete("k", &call()).unwrap();
        } else {
            folder.python(&second);
        }
        dumps.push(python.partner.must("dump", json!({"directory": folder.cache()})));
    }
    assert_eq!(dumps[0], dumps[1]);
}

#[test]
fn python_opens_what_larder_made_and_finds_no_fault() {
    let folder = Folder::new();
    let store = folder.store(&json!({}));
    for number in 0..50 {
        set(&store, &format!("k{number}"), Input::Text(&"x".repeat(number * 1000)));
    }
    drop(store);
    let mut python = folder.python(&json!({}));
    python.no_faults();
    assert_eq!(python.must("volume", json!({}))[1], 50);
    assert_eq!(python.must("same", json!({"key": "k49", "value": "'x' * 49000"})), true);
}

#[test]
fn policies_note_what_is_read_and_statistics_count() {
    let params = json!({"SHARDS": 1, "OPTIONS": {"eviction_policy": "least-frequently-used", "statistics": 1}});
    let folder = Folder::new();
    let (store, mut python) = (folder.store(&params), folder.python(&params));
    set(&store, "k", Input::Text(&"x".repeat(50_000)));
    for _ in 0..3 {
        json_of(&store, "k").unwrap();
    }
    assert!(json_of(&store, "missing").is_none());
    assert_eq!(python.row("k")["access_count"], 3);
    assert_eq!(python.call("stats", &json!([])), json!([3, 1]));
    let settings = json!({"SHARDS": 1, "OPTIONS": {"eviction_policy": "least-recently-used"}});
    let store = folder.store(&settings);
    std::thread::sleep(std::time::Duration::from_millis(50));
    json_of(&store, "k").unwrap();
    let row = python.row("k");
    assert!(row["access_time"].as_f64().unwrap() - row["store_time"].as_f64().unwrap() >= 0.05, "{row}");
    assert_eq!(row["access_count"], 3);
}

/// The volume stays near the limit, and by each policy the right ones go.
#[test]
fn culling_keeps_the_volume_near_the_limit() {
    for policy in ["least-recently-stored", "least-recently-used", "least-frequently-used", "none"] {
        let options = json!({"eviction_policy": policy, "size_limit": 1_000_000});
        let params = json!({"SHARDS": 1, "OPTIONS": options});
        let folder = Folder::new();
        let (store, mut python) = (folder.store(&params), folder.python(&params));
        set(&store, "first", Input::Text("v"));
        for number in 0..60 {
            set(&store, &format!("k{number}"), Input::Bytes(&vec![7; 40_000]));
            json_of_bytes(&store, "first");
        }
        let volume = python.must("volume", json!({}));
        let (size, count) = (volume[0].as_f64().unwrap(), volume[1].as_u64().unwrap());
        if policy == "none" {
            assert_eq!(count, 61);
            continue;
        }
        assert!(size < 1_000_000.0 + 50_000.0 && count > 15, "{policy}: {size} {count}");
        assert!(store.has("k59", &call()).unwrap() && !store.has("k0", &call()).unwrap(), "{policy}");
        let kept = store.has("first", &call()).unwrap();
        assert_eq!(kept, policy != "least-recently-stored", "{policy}");
        python.no_faults();
    }
}

fn json_of_bytes(store: &Store, key: &str) {
    let _ = store.get(key, &call()).unwrap();
}

/// A cache that was removed while it is open is made anew, with the alias's settings.
#[test]
fn a_removed_directory_is_made_anew() {
    let folder = Folder::new();
    let store = folder.store(&json!({"SHARDS": 1, "OPTIONS": {"cull_limit": 3}}));
    set(&store, "k", Input::Text("old"));
    std::fs::remove_dir_all(folder.cache()).unwrap();
    assert!(json_of(&store, "k").is_none());
    set(&store, "k", Input::Text("new"));
    let mut python = folder.python(&json!({"SHARDS": 1}));
    assert_eq!(python.get("k"), "'new'");
    let limits =
        python.must("sql", json!({"shard": "000", "statement": "SELECT value FROM Settings WHERE key = 'cull_limit'"}));
    assert_eq!(limits, json!([[3]]));
    python.no_faults();
}
