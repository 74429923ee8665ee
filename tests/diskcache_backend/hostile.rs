//! Rows, files and databases that somebody else has made, and not in good faith.

use larder::value::Number;

use super::*;

/// A cache of one shard, and the statements run on its database.
fn with(statements: &str) -> (Folder, Store) {
    let folder = Folder::new();
    let store = folder.store(&json!({"SHARDS": 1}));
    set(&store, "k", Input::Text(&"x".repeat(50_000)));
    set(&store, "other", Input::Text("here"));
    rusqlite::Connection::open(folder.0.join("cache/000/cache.db")).unwrap().execute_batch(statements).unwrap();
    (folder, store)
}

/// The same, with the name of the value's file replaced.
fn with_file(name: &str) -> (Folder, Store) {
    with(&format!("UPDATE Cache SET filename = '{name}' WHERE filename IS NOT NULL"))
}

fn kind_of(store: &Store, key: &str) -> Option<Kind> {
    let value = store.get(key, &call()).and_then(|value| value.map(|value| value.kind()).transpose());
    value.err().map(|error| error.kind())
}

#[test]
fn file_names_cannot_lead_outside() {
    let outside = Folder::new();
    let secret = outside.0.join("0123456789abcdef0123456789ab.val");
    std::fs::write(&secret, "secret").unwrap();
    let absolute = secret.to_str().unwrap().to_owned();
    let relative =
        format!("../../../{}/0123456789abcdef0123456789ab.val", outside.0.file_name().unwrap().to_str().unwrap());
    for name in [absolute.as_str(), relative.as_str(), "cache.db", "", "aa/../cache.db"] {
        let (folder, store) = with_file(name);
        assert_eq!(kind_of(&store, "k"), Some(Kind::Undecodable), "{name}");
        assert!(store.has("k", &call()).unwrap());
        assert!(store.delete("k", &call()).unwrap());
        assert_eq!(json_of(&store, "other").unwrap(), "\"here\"", "{name}");
        assert!(secret.exists() && folder.0.join("cache/000/cache.db").exists(), "{name}");
    }
}

#[test]
fn links_are_not_followed() {
    let outside = Folder::new();
    let name = "0123456789abcdef0123456789ab.val";
    std::fs::write(outside.0.join(name), "secret").unwrap();
    let its_name = format!("aa/bb/{name}");
    let (folder, store) = with_file(&its_name);
    assert!(json_of(&store, "k").is_none()); // no such file: a miss, as in diskcache
    let inside = folder.0.join("cache/000/aa");
    std::fs::create_dir(&inside).unwrap();
    std::os::unix::fs::symlink(&outside.0, inside.join("bb")).unwrap();
    assert_eq!(kind_of(&store, "k"), Some(Kind::Io)); // the folder is a link
    std::fs::remove_file(inside.join("bb")).unwrap();
    std::fs::create_dir(inside.join("bb")).unwrap();
    std::os::unix::fs::symlink(outside.0.join(name), inside.join("bb").join(name)).unwrap();
    assert_eq!(kind_of(&store, "k"), Some(Kind::Io)); // the file is a link
    set(&store, "k", Input::Text("new"));
    assert!(outside.0.join(name).exists());
    // what is no file at all
    let (folder, store) = with_file(&its_name);
    std::fs::create_dir_all(folder.0.join("cache/000/aa/bb").join(name)).unwrap();
    assert_eq!(kind_of(&store, "k"), Some(Kind::Undecodable));
}

#[test]
fn rows_of_any_kind_do_no_harm() {
    for (columns, expected) in [
        ("mode = 9", Some(Kind::Undecodable)),
        ("mode = 'x'", Some(Kind::Undecodable)),
        ("mode = NULL", Some(Kind::Undecodable)),
        ("mode = 4, value = 'text'", Some(Kind::Undecodable)),
        ("mode = 4, value = 7", Some(Kind::Undecodable)),
        ("mode = 4, value = X'80'", Some(Kind::Undecodable)),
        ("mode = 4, value = X''", Some(Kind::Undecodable)),
        // os.system('false'), which is not run
        (
            "mode = 4, value = CAST('cos' || char(10) || 'system' || char(10) || '(S''false''' || char(10) || 'tR.' AS BLOB)",
            None,
        ),
        ("mode = 1, value = CAST(X'ff' AS TEXT)", Some(Kind::Undecodable)),
        ("mode = 2, filename = NULL", Some(Kind::Undecodable)),
        ("mode = 3, filename = 7", Some(Kind::Undecodable)),
        ("mode = 0", None),
        ("size = 'x'", None),
        ("store_time = 'x', access_count = 'y', tag = X'00'", None),
    ] {
        let (_folder, store) = with(&format!("UPDATE Cache SET {columns} WHERE key = ':1:other'"));
        assert_eq!(kind_of(&store, "other"), expected, "{columns}");
        set(&store, "other", Input::Text("again"));
        assert_eq!(json_of(&store, "other").unwrap(), "\"again\"", "{columns}");
    }
    // an expiry that is no number never ends, as SQLite compares it
    let (_folder, store) = with("UPDATE Cache SET expire_time = X'00'");
    assert_eq!(json_of(&store, "other").unwrap(), "\"here\"");
    assert_eq!(store.ttl("other", &call()).unwrap(), Some(Ttl::Forever));
    set(&store, "other", Input::Text("again"));
    assert!(matches!(store.ttl("other", &call()).unwrap(), Some(Ttl::Millis(_))));
}

#[test]
fn sizes_are_bounded() {
    let (folder, _) = with("");
    let mut python = folder.python(&json!({"SHARDS": 1}));
    let store = folder.store(&json!({"SHARDS": 1, "LARDER": {"MAX_VALUE_BYTES": 20_000}}));
    assert_eq!(kind_of(&store, "k"), Some(Kind::TooBig)); // in a file
    python.set("inline", "b'x' * 20001");
    assert_eq!(kind_of(&store, "inline"), Some(Kind::TooBig));
    assert_eq!(store.incr("inline", &Number::Int(1.into()), &call()).unwrap_err().kind(), Kind::TooBig);
    assert!(store.delete("inline", &call()).unwrap() && store.delete("k", &call()).unwrap());
    python.no_faults();
}

#[test]
fn a_database_that_is_none() {
    for content in [&b"no database at all, but long enough to be looked at as one, page and all"[..], &[0; 4096]] {
        let folder = Folder::new();
        std::fs::create_dir_all(folder.0.join("cache/000")).unwrap();
        std::fs::write(folder.0.join("cache/000/cache.db"), content).unwrap();
        let store = folder.store(&json!({"SHARDS": 1}));
        let error = store.get("k", &call()).err();
        assert!(error.as_ref().is_some_and(|error| error.kind() == Kind::Io), "{error:?}");
    }
    // something else in the folder's place
    let folder = Folder::new();
    std::fs::write(folder.0.join("cache"), "a file").unwrap();
    let error = folder.store(&json!({})).get("k", &call()).err().unwrap();
    assert!(error.kind() == Kind::Io && error.reason().contains("cannot be made"), "{error}");
}

/// A trigger or a view that never ends is ended by the deadline.
#[test]
fn schemas_that_never_end() {
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";
    let trigger = format!(
        "CREATE TRIGGER loop AFTER INSERT ON Cache BEGIN INSERT INTO Settings {}; END",
        endless.replace("max(x)", "'x', max(x)")
    );
    let (_folder, store) = with(&trigger);
    let begin = std::time::Instant::now();
    let short = Call { budget: Some(larder::timeout::Budget::new(std::time::Duration::from_millis(200))), ..call() };
    let error = store.set("new", Input::Text("v"), LONG, larder::backend::When::Always, &short).unwrap_err();
    assert!(error.kind() == Kind::Timeout || error.kind() == Kind::Io, "{error}");
    assert!(begin.elapsed().as_secs() < 4);
    assert_eq!(json_of(&store, "other").unwrap(), "\"here\"");
}

#[test]
fn a_settings_table_of_strangers() {
    for (statement, kind) in [
        ("UPDATE Settings SET value = 'hottest-first' WHERE key = 'eviction_policy'", Some(Kind::Config)),
        ("UPDATE Settings SET value = 'all' WHERE key = 'cull_limit'", Some(Kind::Config)),
        ("UPDATE Settings SET value = '1; DROP TABLE Cache' WHERE key LIKE 'sqlite_%'", None),
        ("INSERT INTO Settings VALUES ('sqlite_writable_schema', 1), ('sqlite_x = 1; DROP TABLE Cache; --', 1)", None),
        ("DELETE FROM Settings", None),
        ("DROP TABLE Settings", None),
    ] {
        let (folder, store) = with(statement);
        drop(store);
        let store = folder.store(&json!({"SHARDS": 1}));
        assert_eq!(kind_of(&store, "other"), kind, "{statement}");
        if kind.is_none() {
            assert_eq!(json_of(&store, "other").unwrap(), "\"here\"");
            set(&store, "other", Input::Text("again"));
        }
    }
}
