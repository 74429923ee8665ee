//! A real Django and larder on one table of PostgreSQL and of MariaDB: each reads what the other wrote.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "redis"))] // the helpers are the Redis tests' too
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::client::{Call, Context, Input, Store, Ttl, alone};
use common::database::{Site, new_name};
use common::python::Partner;
use larder::capi::status::{LARDER_MISS, LARDER_NOT_STORED, LARDER_OK};
use serde_json::{Map, Value, json};

/// The four settings of the golden data.
fn settings() -> [Value; 4] {
    [(true, "UTC"), (false, "UTC"), (false, "America/Chicago"), (true, "America/Chicago")]
        .map(|(use_tz, zone)| json!({"USE_TZ": use_tz, "TIME_ZONE": zone}))
}

fn text_of(store: &Store, key: &str) -> Option<String> {
    store.get(key, Call::default()).unwrap().map(|value| value.json().unwrap().shown)
}

/// A Django and a larder that share a new table, which Django made.
fn begin(site: &Site, more: &Value) -> (Partner, Context, Store) {
    let config = site.config(&new_name(), more);
    let mut django = Partner::start("database_django.py");
    django.must("begin", json!({"config": config}));
    django.must("create", json!({}));
    let context = Context::open(&config.to_string()).unwrap();
    let store = context.store("default").unwrap();
    (django, context, store)
}

#[test]
fn each_reads_what_the_other_wrote() {
    alone(|| {
        for site in Site::both() {
            for more in settings() {
                let what = format!("{} {more}", site.name());
                let (mut django, _context, store) = begin(&site, &more);
                values_go_both_ways(&store, &mut django, &what);
                each_sees_what_the_other_did(&store, &mut django, &what);
            }
        }
    });
}

// DB-4, DB-5.
fn values_go_both_ways(store: &Store, django: &mut Partner, what: &str) {
    let items = json!({
        "text": "gragas", "emoji": "😀🎮", "none": null, "yes": true, "number": 444, "real": 1.5,
        "list": [1, [2, "x"]], "dict": {"id": 15, "n": "é"}, "empty": "", "key with blanks": 1, "ключ": "д",
        "quote'\"`%s\\": "it's",
    });
    for timeout in [json!(1000), json!(null)] {
        let found = django.must("write", json!({"items": items, "timeout": timeout}));
        assert_eq!(found.as_array().unwrap().len(), items.as_object().unwrap().len(), "{what}");
        for (key, value) in items.as_object().unwrap() {
            let shown: Value = serde_json::from_str(&text_of(store, key).unwrap()).unwrap();
            assert_eq!(shown, *value, "{what} {key}");
            let left = store.ttl(key, Call::default()).unwrap().unwrap();
            match left {
                Ttl::Forever => assert!(timeout.is_null(), "{what} {key}"),
                Ttl::Millis(left) => assert!((985_000..=1_000_000).contains(&left), "{what} {key} {left}"),
                Ttl::Default => unreachable!(),
            }
        }
    }
    write_and_compare(store, django, items.as_object().unwrap(), what);
}

fn write_and_compare(store: &Store, django: &mut Partner, items: &Map<String, Value>, what: &str) {
    for ttl in [Ttl::Millis(1_000_000), Ttl::Forever] {
        for (key, value) in items {
            let key = format!("larder {key}");
            let written = store.set(&key, Input::Json(&value.to_string()), ttl, Call::default());
            assert_eq!(written, Ok(LARDER_OK), "{what} {key}");
            assert_eq!(django.must("call", json!({"method": "get", "arguments": [key, "nothing"]})), *value, "{what}");
            assert_eq!(django.must("call", json!({"method": "has_key", "arguments": [key]})), true, "{what} {key}");
        }
    }
}

fn each_sees_what_the_other_did(store: &Store, django: &mut Partner, what: &str) {
    let mut call =
        |method: &str, arguments: Value| django.must("call", json!({"method": method, "arguments": arguments}));
    // an hour is more than what any of the settings could be wrong by, and less than a day
    for (ttl, lives) in [(-3600, false), (3600, true)] {
        call("set", json!(["django", "d", ttl]));
        assert_eq!(text_of(store, "django").is_some(), lives, "{what} {ttl}");
        store.set("larder", Input::Text("l"), Ttl::Millis(ttl * 1000), Call::default()).unwrap();
        let expected = if lives { json!("l") } else { json!(null) };
        assert_eq!(call("get", json!(["larder"])), expected, "{what} {ttl}");
    }
    assert_eq!(store.add("django", Input::Text("x"), Ttl::Default, Call::default()), Ok(LARDER_NOT_STORED));
    assert_eq!(call("add", json!(["larder", "x"])), false, "{what}");
    assert_eq!(store.delete("django", Call::default()), Ok(LARDER_OK), "{what}");
    assert_eq!(call("get", json!(["django"])), json!(null), "{what}");
    assert_eq!(call("delete", json!(["larder"])), true, "{what}");
    assert_eq!(store.has("larder", Call::default()), Ok(LARDER_MISS), "{what}");
    // a row that is over: touch gives it back to life (DB-10), add writes over it
    store.set("over", Input::Text("o"), Ttl::Millis(-5000), Call::default()).unwrap();
    assert_eq!(call("touch", json!(["over", 1000])), true, "{what}");
    assert_eq!(text_of(store, "over").unwrap(), r#""o""#, "{what}");
    call("set", json!(["over", "o", -5]));
    assert_eq!(store.add("over", Input::Text("new"), Ttl::Default, Call::default()), Ok(LARDER_OK), "{what}");
    assert_eq!(call("get", json!(["over"])), "new", "{what}");
    call("set", json!(["count", 5]));
    assert_eq!(store.incr("count", 3, Call::default()).unwrap().unwrap(), "8", "{what}");
    assert_eq!(call("incr", json!(["count"])), 9, "{what}");
    let many = json!({"a": 1, "b": [2]});
    call("set_many", json!([many]));
    assert_eq!(text_of(store, "b").unwrap(), "[2]", "{what}");
    store.set_many(&[("a", "3"), ("c", "4")], Ttl::Default, Call::default()).unwrap();
    let found = call("get_many", json!([["a", "b", "c", "d"]]));
    assert_eq!(found.as_object().unwrap().len(), 3, "{what} {found}");
    call("clear", json!([]));
    assert_eq!(text_of(store, "a"), None, "{what}");
}
