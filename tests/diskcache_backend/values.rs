//! Values in both directions, and what becomes of them.

use larder::backend::{Reply, Touched, When, Written};
use larder::store::Operation;
use larder::value::{Number, ValueKind};

use super::common::flight::Ledger;
use super::*;

/// JSON, and the same in Python.
const VALUES: [(&str, &str); 18] = [
    ("\"text\"", "'text'"),
    ("\"\"", "''"),
    ("\"nul\\u0000 und \\u00fc \\ud83d\\ude00\"", "'nul\\x00 und \\xfc \\U0001f600'"),
    ("\"\\ud800\"", "'\\ud800'"),
    ("0", "0"),
    ("-9223372036854775808", "-2**63"),
    ("9223372036854775807", "2**63 - 1"),
    ("9223372036854775808", "2**63"),
    ("0.1", "0.1"),
    ("1e300", "1e300"),
    ("-0.0", "-0.0"),
    ("Infinity", "float('inf')"),
    ("NaN", "float('nan')"),
    ("true", "True"),
    ("null", "None"),
    ("[]", "[]"),
    ("[1,\"a\",2.5,null]", "[1, 'a', 2.5, None]"),
    ("{\"a\":[{\"b\":1},{\"b\":2}]}", "{'a': [{'b': 1}, {'b': 2}]}"),
];

#[test]
fn every_kind_of_value_in_both_directions() {
    let folder = Folder::new();
    let (store, mut python) = (folder.store(&json!({})), folder.python(&json!({})));
    for (number, (shown, python_s)) in VALUES.iter().enumerate() {
        let (ours, theirs) = (format!("ours{number}"), format!("theirs{number}"));
        set(&store, &ours, Input::Json(shown.as_bytes()));
        assert_eq!(python.must("same", json!({"key": ours, "value": python_s})), true, "{shown}");
        if python_s.contains("ud800") {
            continue; // Python's sqlite3 refuses it; here it is pickled
        }
        python.set(&theirs, python_s);
        // SQLite makes NULL of NaN, and so diskcache None of it
        let expected = if *shown == "NaN" { "null" } else { shown };
        let seen = json_of(&store, &theirs).unwrap();
        let same: (Value, Value) = (parse(&seen), parse(expected));
        assert_eq!(same.0, same.1, "{seen} {shown}");
        let columns = |row: Value| (row["mode"].clone(), row["type"].clone(), row["size"].clone());
        if *shown != "NaN" {
            assert_eq!(columns(python.row(&ours)), columns(python.row(&theirs)), "{shown}");
        }
    }
    python.no_faults();
}

/// JSON with Python's extra words.
fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

#[test]
fn bytes_and_large_values_in_both_directions() {
    let folder = Folder::new();
    let (store, mut python) = (folder.store(&json!({})), folder.python(&json!({})));
    // sizes around 32 KiB: bytes of bytes and pickles, characters of texts
    for size in [0, 1, 32_767, 32_768, 200_000] {
        set(&store, "bytes", Input::Bytes(&vec![0xff; size]));
        assert_eq!(python.must("same", json!({"key": "bytes", "value": format!("b'\\xff' * {size}")})), true);
        assert_eq!(python.row("bytes")["has_file"], size >= 32_768);
        python.set("theirs", &format!("b'\\xff' * {size}"));
        let value = store.get("theirs", &call()).unwrap().unwrap();
        assert_eq!((value.kind().unwrap(), value.bytes().unwrap().shown.len()), (ValueKind::Bytes, size));

        let text = "é".repeat(size);
        set(&store, "text", Input::Text(&text));
        assert_eq!(python.must("same", json!({"key": "text", "value": format!("'é' * {size}")})), true);
        let ours = python.row("text");
        assert_eq!(
            (&ours["has_file"], &ours["mode"]),
            (&json!(size >= 32_768), &json!(if size < 32_768 { 1 } else { 3 }))
        );
        python.set("theirs", &format!("'é' * {size}"));
        assert_eq!(python.row("theirs")["size"], ours["size"]);
        assert_eq!(store.get("theirs", &call()).unwrap().unwrap().text().unwrap().shown, text);

        let list = format!("[{}1]", "1,".repeat(size));
        set(&store, "list", Input::Json(list.as_bytes()));
        assert_eq!(python.must("same", json!({"key": "list", "value": format!("[1] * {}", size + 1)})), true);
        python.set("theirs", &format!("[1] * {}", size + 1));
        assert_eq!(json_of(&store, "theirs").unwrap().replace(' ', ""), list);
        assert_eq!(python.row("theirs")["size"], python.row("list")["size"]);
    }
    assert_eq!(folder.value_files().len(), 4); // each file went with the value that it was for
    assert!(store.delete("bytes", &call()).unwrap() && store.delete("text", &call()).unwrap());
    python.call("delete", &json!(["list"]));
    python.call("delete", &json!(["theirs"]));
    assert!(folder.value_files().is_empty());
    python.no_faults();
}

/// diskcache reads large texts with universal newlines; larder reads what was written.
#[test]
fn ends_of_lines_in_large_texts() {
    let folder = Folder::new();
    let (store, mut python) = (folder.store(&json!({})), folder.python(&json!({})));
    let text = "\r\n\r".repeat(20_000);
    set(&store, "ours", Input::Text(&text));
    python.set("theirs", "'\\r\\n\\r' * 20000");
    for key in ["ours", "theirs"] {
        assert_eq!(store.get(key, &call()).unwrap().unwrap().text().unwrap().shown, text);
        assert_eq!(python.must("same", json!({"key": key, "value": "'\\n\\n' * 20000"})), true);
    }
    python.no_faults();
}

#[test]
fn times_to_live() {
    let folder = Folder::new();
    let (store, mut python) = (folder.store(&json!({"TIMEOUT": 100})), folder.python(&json!({"TIMEOUT": 100})));
    let written = |ttl| store.set("k", Input::Text("v"), ttl, When::Always, &call()).unwrap();
    let left = |python: &mut Python| python.row("k")["expire_time"].as_f64();
    assert_eq!(written(TtlChoice::Default), Written::Stored);
    assert!((70.0..=100.0).contains(&left(&mut python).unwrap()));
    assert_eq!(written(FOREVER), Written::Stored);
    assert_eq!(left(&mut python), None);
    assert_eq!(store.ttl("k", &call()).unwrap(), Some(Ttl::Forever));
    assert_eq!(written(TtlChoice::Of(Ttl::Millis(60_500))), Written::Stored);
    assert!((30.0..=60.5).contains(&left(&mut python).unwrap()));
    let Some(Ttl::Millis(ms)) = store.ttl("k", &call()).unwrap() else { panic!("no time to live") };
    assert!((30_000..=60_500).contains(&ms), "{ms}");
    // a spent one is written, and culled at once, as in Python
    assert_eq!(written(TtlChoice::Of(Ttl::Millis(0))), Written::NotKept);
    assert_eq!(python.row("k"), Value::Null);
    // what Python let expire
    python.must("set", json!({"key": "soon", "value": "1", "timeout": 60}));
    assert!(store.has("soon", &call()).unwrap());
    assert_eq!(python.call("touch", &json!(["soon", 0.05])), json!(true));
    std::thread::sleep(std::time::Duration::from_millis(60));
    assert!(!store.has("soon", &call()).unwrap() && json_of(&store, "soon").is_none());
    assert_eq!(store.ttl("soon", &call()).unwrap(), None);
    assert!(!store.delete("soon", &call()).unwrap());
    assert_eq!(store.touch("soon", LONG, &call()).unwrap(), Touched::Missing);
    assert_eq!(store.incr("soon", &Number::Int(1.into()), &call()).unwrap(), None);
    assert_eq!(store.purge_expired(&call()).unwrap(), 1);
    // touch and persist
    written(LONG);
    assert_eq!(store.touch("k", TtlChoice::Of(Ttl::Millis(5000)), &call()).unwrap(), Touched::Changed);
    assert!(left(&mut python).unwrap() <= 5.0);
    assert_eq!(store.persist("k", &call()).unwrap(), Touched::Changed);
    assert_eq!(left(&mut python), None);
    assert_eq!(store.touch("k", TtlChoice::Of(Ttl::Millis(-1)), &call()).unwrap(), Touched::NotKept);
    assert_eq!(python.get("k"), Value::Null);
    python.no_faults();
}

#[test]
fn conditions() {
    let folder = Folder::new();
    let (store, mut python) = (folder.store(&json!({})), folder.python(&json!({})));
    let large = "x".repeat(50_000);
    let put = |text: &str, when| store.set("k", Input::Text(text), LONG, when, &call()).unwrap();
    assert_eq!(put(&large, When::Present), Written::NotStored);
    assert!(folder.value_files().is_empty()); // the file of what was not stored
    assert_eq!(put("a", When::Missing), Written::Stored);
    assert_eq!(put(&large, When::Missing), Written::NotStored);
    assert_eq!(python.call("add", &json!(["k", "b"])), false);
    assert!(folder.value_files().is_empty());
    assert_eq!(put(&large, When::Present), Written::Stored);
    assert_eq!(folder.value_files().len(), 1);
    python.must("set", json!({"key": "k", "value": "'over' * 20000", "timeout": -1}));
    assert_eq!(put("again", When::Missing), Written::Stored);
    assert_eq!(python.get("k"), "'again'");
    assert!(folder.value_files().is_empty());
    python.no_faults();
}

#[test]
fn incr_is_diskcache_s() {
    let folder = Folder::new();
    let (store, mut python) = (folder.store(&json!({})), folder.python(&json!({})));
    let incr = |key: &str, delta: Number| store.incr(key, &delta, &call());
    assert_eq!(incr("n", Number::Int(1.into())).unwrap(), None);
    python.must("set", json!({"key": "n", "value": "5", "timeout": 50, "tag": "odd"}));
    assert_eq!(incr("n", Number::Int(2.into())).unwrap(), Some(Number::Int(7.into())));
    assert_eq!(python.call("incr", &json!(["n", -10])), -3);
    assert_eq!(incr("n", Number::Float(0.5)).unwrap(), Some(Number::Float(-2.5)));
    let row = python.row("n");
    assert_eq!((&row["tag"], &row["type"], &row["mode"]), (&json!("odd"), &json!("real"), &json!(1)));
    assert!((45.0..=50.0).contains(&row["expire_time"].as_f64().unwrap())); // it stays
    store.touch("n", LONG, &call()).unwrap();
    assert_eq!(python.row("n")["tag"], "odd");
    set(&store, "n", Input::Json(b"9223372036854775807"));
    assert_eq!(python.row("n")["tag"], Value::Null);
    assert_eq!(incr("n", Number::Int(1.into())).unwrap_err().kind(), Kind::Type); // OverflowError
    assert_eq!(json_of(&store, "n").unwrap(), "9223372036854775807");
    for other in ["'text'", "True", "2**64", "[1]", "'x' * 50000"] {
        python.set("other", other); // a TypeError in Python, each of them
        assert_eq!(incr("other", Number::Int(1.into())).unwrap_err().kind(), Kind::Type, "{other}");
        assert_eq!(python.must("same", json!({"key": "other", "value": other})), true);
    }
    assert_eq!(store.incr_version("n", 1, &call()).unwrap(), Some(2));
    assert_eq!(python.call("get", &json!(["n", null, 2])), 9_223_372_036_854_775_807_i64);
    python.no_faults();
}

#[test]
fn keys_and_clear() {
    let folder = Folder::new();
    let store = folder.store(&json!({"KEY_PREFIX": "é"}));
    let mut python = folder.python(&json!({"KEY_PREFIX": "other"}));
    let mut python_s = Vec::new();
    for number in 0..300 {
        set(&store, &format!("k{number}"), Input::Text("v"));
        python.set(&format!("p{number}"), "1");
        python_s.push(format!("other:1:p{number}"));
    }
    set(&store, "large", Input::Text(&"x".repeat(50_000)));
    let listed = |pattern: &str, call: &Call<'_>| {
        let (mut keys, mut at) = (Vec::new(), 0);
        loop {
            let page = store.keys(pattern, at, call).unwrap();
            keys.extend(page.keys.into_iter().map(|key| String::from_utf8(key).unwrap()));
            match page.next {
                Some(next) => at = next,
                None => break,
            }
        }
        keys.sort();
        keys
    };
    assert_eq!(listed("k1?", &call()).len(), 10);
    assert_eq!(listed("*", &call()).len(), 301);
    python_s.sort();
    assert_eq!(listed("other:*", &Call { final_key: true, ..call() }), python_s);
    store.clear(larder::store::Scope::Prefix, &call()).unwrap();
    assert_eq!(listed("*", &Call { final_key: true, ..call() }), python_s);
    assert!(folder.value_files().is_empty());
    store.clear(larder::store::Scope::Everything, &call()).unwrap();
    assert_eq!(python.must("volume", json!({}))[1], 0);
    python.no_faults();
}

#[test]
fn several_at_once() {
    let folder = Folder::new();
    let store = folder.store(&json!({}));
    let keys: Vec<String> = (0..20).map(|number| format!("k{number}")).collect();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let values: Vec<(&str, Input<'_>)> = names.iter().map(|key| (*key, Input::Text(key))).collect();
    assert!(store.set_many(&values, LONG, &call()).unwrap().iter().all(Option::is_none));
    let found = store.get_many(&names, &call()).unwrap();
    for (key, value) in names.iter().zip(found) {
        assert_eq!(value.unwrap().text().unwrap().shown, *key);
    }
    assert_eq!(store.delete_many(&names, &call()).unwrap(), 20);
}

/// What is begun takes effect in order: each sum is one more than the one before.
#[test]
fn what_is_begun_is_answered_in_order() {
    let folder = Folder::new();
    let store = Arc::new(folder.store(&json!({})));
    let ledger = Ledger::new(101);
    let begin = |operation: &Operation<'_>, number| {
        let prepared = store.prepare(operation, &call()).unwrap();
        store.begin(&prepared, ledger.ticket(number));
        prepared.asked
    };
    begin(&Operation::Set { key: "n", value: Input::Json(b"0"), ttl: LONG, when: When::Always }, 0);
    for number in 1..=100 {
        begin(&Operation::Incr { key: "n", delta: 1 }, number);
    }
    for (tag, answer) in ledger.settle() {
        if tag > 0 {
            let Ok(Reply::Value(Some(sum))) = answer else { panic!("{answer:?}") };
            assert_eq!(sum.bytes, tag.to_string());
        }
    }
}
