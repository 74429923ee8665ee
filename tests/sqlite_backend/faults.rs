//! What is not there, may not be written, is locked, or is not what Django writes.

use std::time::{Duration, Instant};

use larder::backend::When;
use larder::codec::Input;
use larder::error::{Error, Kind};
use larder::store::{Call, Store};
use larder::timeout::{Budget, TtlChoice};
use rusqlite::Connection;
use serde_json::json;

use super::{LONG, Place, Short, make_table, rust_store};

fn get_fault(store: &Store) -> Error {
    store.get("k", &Call::default()).err().expect("this cannot be read")
}

fn set_fault(store: &Store) -> Error {
    store.set("k", Input::Text("v"), TtlChoice::Of(LONG), When::Always, &Call::default()).unwrap_err()
}

#[test]
fn a_file_that_is_not_there_is_not_made() {
    let place = Place::new();
    let store = place.store();
    for error in [get_fault(&store), set_fault(&store), store.ping(&Call::default()).unwrap_err()] {
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.reason().contains("there is no database") && error.reason().contains("larder_create_table"));
    }
    assert!(!place.file().exists());
    make_table(&place.document(&json!({})));
    make_table(&place.document(&json!({}))); // there already
    store.put("k", "v", LONG);
    assert_eq!(store.read_text("k").unwrap(), "v");
}

#[test]
fn a_table_that_is_not_there_is_told() {
    let place = Place::new();
    place.sql("CREATE TABLE other (x)");
    let store = place.store();
    for error in [get_fault(&store), set_fault(&store), store.ping(&Call::default()).unwrap_err()] {
        assert_eq!(error.kind(), Kind::Server);
        assert!(error.reason().contains("\"cache\"") && error.reason().contains("createcachetable"), "{error}");
    }
    make_table(&place.document(&json!({})));
    store.ping(&Call::default()).unwrap();
    place.sql("DROP TABLE cache");
    assert_eq!(get_fault(&store).kind(), Kind::Server); // also through statements that were prepared
}

#[test]
fn what_may_not_be_written_is_read() {
    let place = Place::with_table("delete");
    place.store().put("k", "v", LONG);
    let mut document = place.document(&json!({}));
    document["DATABASES"]["default"]["NAME"] = json!(format!("file:{}?mode=ro", place.file().display()));
    let store = rust_store(&document.to_string(), "default");
    assert_eq!(store.read_text("k").unwrap(), "v");
    let error = set_fault(&store);
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.reason().contains("read-only"), "{error}");
    place.sql("UPDATE cache SET expires = '2000-01-01 00:00:00'");
    assert_eq!(store.read_text("k"), None); // it is over, and stays
    assert_eq!(place.count(), 1);
}

/// A connection begins with statements that read the file (OPTIONS `init_command`), and SQLite by itself waits 5 s.
#[test]
fn a_first_call_that_meets_a_lock_ends_in_time() {
    let place = Place::with_table("delete");
    let store = place.store_with(&json!({"LARDER": {"TIMEOUT_MS": 500}}));
    let other = Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    for error in [get_fault(&store), set_fault(&store)] {
        assert_eq!(error.kind(), Kind::Timeout, "{error}");
        assert!(error.reason().contains("locked"), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    other.execute_batch("COMMIT").unwrap();
    store.put("k", "v", LONG);
}

#[test]
fn what_is_no_database_is_told() {
    let place = Place::new();
    std::fs::write(place.file(), "this is no database, however long it is ".repeat(200)).unwrap();
    let error = get_fault(&place.store());
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.reason().contains("not a"), "{error}");
    assert!(error.to_string().contains(&place.file().display().to_string()), "{error}");
    let place = Place::new();
    std::fs::create_dir(place.file()).unwrap();
    assert!(get_fault(&place.store()).reason().contains("is a directory"));

    let place = Place::with_table("delete");
    let store = place.store();
    for number in 0..200 {
        store.put(&number.to_string(), &"x".repeat(1000), LONG);
    }
    drop(store);
    let mut bytes = std::fs::read(place.file()).unwrap();
    for byte in &mut bytes[5000..] {
        *byte = 0xa5;
    }
    std::fs::write(place.file(), bytes).unwrap();
    let error = place.store().get("7", &Call::default()).err().expect("this is damaged");
    assert_eq!(error.kind(), Kind::Io, "{error}");
}

#[test]
fn a_locked_database_ends_a_call_at_its_deadline() {
    let place = Place::with_table("delete");
    let store = place.store();
    store.put("k", "v", LONG);
    let other = Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let call = Call { budget: Some(Budget::new(Duration::from_millis(200))), ..Call::default() };
    let begin = Instant::now();
    let value = Input::Text("w");
    for error in [
        store.get("k", &call).err().unwrap(),
        store.has("k", &call).unwrap_err(),
        store.set("k", value, TtlChoice::Of(LONG), When::Always, &call).unwrap_err(),
        store.set_many(&[("k", value)], TtlChoice::Of(LONG), &call).unwrap_err(),
        store.delete("k", &call).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Timeout);
        assert!(error.is_retriable() && !error.may_have_happened(), "{error}");
    }
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(20), "{took:?}");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(store.read_text("k").unwrap(), "v");
    store.put("k", "w", LONG);
}

/// OPTIONS `timeout` ends the wait for a lock before the deadline.
#[test]
fn patience_can_be_shorter_than_a_call() {
    let place = Place::with_table("delete");
    let mut document = place.document(&json!({"LARDER": {"TIMEOUT_MS": 60_000}}));
    document["DATABASES"]["default"]["OPTIONS"] = json!({"timeout": 0.05});
    let store = rust_store(&document.to_string(), "default");
    let other = Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begin = Instant::now();
    assert_eq!(store.read_text("k"), None); // readers do not mind
    assert_eq!(set_fault(&store).kind(), Kind::Timeout);
    assert!(begin.elapsed() < Duration::from_secs(30));
}

/// A view that never ends, in the place of the table.
#[test]
fn a_statement_that_runs_too_long_is_stopped() {
    let place = Place::new();
    place.sql(
        "CREATE VIEW cache AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) \
         SELECT 'k' || x AS cache_key, 'v' AS value, '9999-12-31 23:59:59' AS expires FROM n",
    );
    let store = place.store();
    let call = Call { budget: Some(Budget::new(Duration::from_millis(150))), ..Call::default() };
    let begin = Instant::now();
    let error = store.get("missing", &call).err().unwrap();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(error.reason().contains("deadline of 150 ms"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert!(store.has("missing", &call).is_err()); // the connection goes on
}

#[test]
fn rows_of_others_are_read_or_told() {
    let place = Place::with_table("delete");
    let store = place.store();
    let row = |value: &str, expires: &str| {
        place.sql(&format!("INSERT OR REPLACE INTO cache VALUES (':1:k', {value}, {expires})"));
    };
    let later = "'2999-01-01 00:00:00'";
    for expires in [
        later,
        "'2999-01-01 00:00:00.5'",
        "'2999-01-01T00:00:00.123456'",
        "'2999-01-01 00:00'",
        "'2999-01-01 00:00:00+02:00'",
        "'2999-1-1 0:00:00Z'",
        "'2999-01-01'",
        "CAST('2999-01-01 00:00:00' AS BLOB)",
    ] {
        row("'gAVLAS4='", expires); // DB-6
        assert_eq!(store.get("k", &Call::default()).unwrap().unwrap().json().unwrap().shown, "1", "{expires}");
        assert!(store.there("k"));
    }
    for expires in [
        "''",
        "'never'",
        "'2999-13-01 00:00:00'",
        "'2999-02-29 00:00:00'",
        "'2999-01-01 24:00:00'",
        "'10000-01-01 05:59:59'",
        "'-001-01-01 00:00:00'",
        "'0000-00-00 00:00:00'",
        "'2999-01-01 00:00:00 nonsense'",
        "'99999999999999999999999999-01-01 00:00:00'",
        "'2999-01-01 00:00:00+99:99'",
        "CAST(x'ff' AS TEXT)",
        "1700000000",
        "1e300",
    ] {
        row("'gAVLAS4='", expires);
        assert_eq!(get_fault(&store).kind(), Kind::Undecodable, "{expires}");
        assert_eq!(place.count(), 1, "what cannot be read stays");
        let _ = (store.has("k", &Call::default()), store.ttl("k", &Call::default()));
        let _ = store.add("k", "v", LONG);
    }
    for value in ["'gAVLAS4'", "'!'", "CAST('gAVLAS4=' AS BLOB)", "CAST(x'fffe' AS TEXT)", "'AAAA'", "''"] {
        row(value, later);
        let read = store.get("k", &Call::default()).and_then(|value| value.unwrap().json().map(|json| json.lossy));
        assert_eq!(read.unwrap_err().kind(), Kind::Undecodable, "{value}");
        store.put("k", "v", LONG);
        assert_eq!(store.read_text("k").unwrap(), "v");
    }
    row("'gAVL\nAS4='", later); // Python takes no notice of line breaks
    assert_eq!(store.get("k", &Call::default()).unwrap().unwrap().json().unwrap().shown, "1");

    place.sql("DROP TABLE cache; CREATE TABLE cache (cache_key, value, expires)"); // without any rule
    for values in ["':1:k', NULL, NULL", "':1:k', 5, '2999-01-01'", "':1:k', 'gAVLAS4=', NULL"] {
        place.sql(&format!("DELETE FROM cache; INSERT INTO cache VALUES ({values})"));
        assert_eq!(get_fault(&store).kind(), Kind::Undecodable, "{values}");
    }
    place.sql("DELETE FROM cache; INSERT INTO cache VALUES (NULL, 1, '2999-01-01'), (x'00ff', 1, '2999-01-01')");
    assert!(store.keys("*", 0, &Call::default()).unwrap().keys.is_empty());
}

/// In a build without them the other engines are named, with the feature that brings them.
#[cfg(not(any(feature = "postgres", feature = "mysql")))]
#[test]
fn engines_of_other_builds_are_told() {
    for (engine, feature) in [("postgresql", "postgres"), ("mysql", "mysql")] {
        let mut document = Place::new().document(&json!({}));
        document["DATABASES"]["default"] = json!({"ENGINE": format!("django.db.backends.{engine}"), "NAME": "x"});
        let config = larder::config::read(document.to_string().as_bytes(), &|_| None).unwrap();
        let larder::config::Family::NotBuiltIn { reason } = &config.aliases[0].family else { panic!("{engine}") };
        assert!(reason.contains(&format!("without the feature \"{feature}\"")), "{reason}");
    }
}
