//! golden/redis_values.json through the C API against a real server: what the two Python backends store, read, answer
//! and send, for the configurations with the pickle serializer and no compression (R-4, R-6, DR-10, DR-11, T-3, T-5).
#![cfg(all(feature = "redis", feature = "file"))] // the golden data is compressed with what files need
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;
#[path = "golden_redis/data.rs"]
mod data;
#[path = "golden_redis/operations.rs"]
mod operations;
#[path = "golden_redis/shown.rs"]
mod shown;

use common::client::{Call, Context, Input, Store, Ttl, alone};
use common::golden;
use common::redis::{Monitor, RedisServer};
use data::{Pttl, commands, config, content, flavors, pttl};
use larder::capi::status::{
    LARDER_ECONFIG, LARDER_EUNDECODABLE, LARDER_MISS, LARDER_NOT_KEPT, LARDER_NOT_STORED, LARDER_OK,
};
use serde_json::Value;

/// Configurations of the golden data that this version of larder opens.
const CONFIGS: [&str; 6] = [
    "django",
    "django_redis pickle identity",
    "django_redis pickle PICKLE_VERSION=-1 identity",
    "django_redis pickle PICKLE_VERSION=2 identity",
    "django_redis pickle PICKLE_VERSION=3 identity",
    "django_redis pickle PICKLE_VERSION=4 identity",
];
const PROTOCOL_5: &str = "django_redis pickle PICKLE_VERSION=5 identity";

/// Configurations whose pickles are read, by an alias that writes another protocol.
const READ_ONLY: [&str; 2] =
    ["django_redis pickle PICKLE_VERSION=0 identity", "django_redis pickle PICKLE_VERSION=1 identity"];

fn redis_values() -> Value {
    golden::read(&common::golden("redis_values.json"))
}

/// The rows of the golden data's `cases` for a configuration that can be stored.
fn cases<'a>(data: &'a Value, config: &str) -> Vec<&'a Value> {
    let of_config = golden::list(&data["cases"]).iter().filter(|case| golden::text(&case["config"]) == config);
    let cases: Vec<_> = of_config.filter(|case| case.get("set_raises").is_none()).collect();
    assert!(cases.len() >= 25, "{config} has fewer cases than it had");
    cases
}

/// A case's value: described in the row itself, or by its name.
fn described<'a>(data: &'a Value, case: &'a Value) -> &'a Value {
    if case.get("type").is_some() { case } else { &data["values"][golden::text(&case["value"])] }
}

#[test]
fn values_of_python_are_read() {
    alone(|| {
        let (data, server) = (redis_values(), RedisServer::start());
        for name in CONFIGS.iter().chain(&[PROTOCOL_5]).chain(&READ_ONLY) {
            let opened = if READ_ONLY.contains(name) { "django_redis pickle identity" } else { name };
            let context = Context::open(&config(&data, opened, &server)).unwrap();
            let store = context.store("default").unwrap();
            for case in cases(&data, name) {
                let (key, redis_key) = (golden::text(&case["key"]), golden::text(&case["redis_key"]));
                server.command(0, &[b"SET", redis_key.as_bytes(), &golden::bytes(&case["raw"])]);
                let value = store.get(key, Call::default()).unwrap();
                let value = value.unwrap_or_else(|| panic!("{name}: {key} is not under {redis_key}"));
                let expected = match &case["reads_back"]["returns"] {
                    Value::Null => described(&data, case),
                    other => other,
                };
                shown::check(&value, expected, golden::text(&case["value"]), &format!("{name}, {key}"));
                assert_eq!(value.stored(), golden::bytes(&case["raw"]), "{name}, {key}");
            }
        }
    });
}

#[test]
fn values_are_written_as_python_writes_them() {
    alone(|| {
        let (data, server) = (redis_values(), RedisServer::start());
        for name in CONFIGS.iter().chain(&[PROTOCOL_5]) {
            let context = Context::open(&config(&data, name, &server)).unwrap();
            let store = context.store("default").unwrap();
            let mut written = 0;
            for case in cases(&data, name) {
                let (key, redis_key) = (golden::text(&case["key"]), golden::text(&case["redis_key"]));
                let value = described(&data, case);
                let status = if golden::text(&value["type"]) == "bytes" {
                    let raw = shown::BYTES_VALUE;
                    store.set(key, Input::Bytes(raw), Ttl::Default, Call::default())
                } else if let Some(json) = data::exact(value) {
                    store.set(key, Input::Json(&json), Ttl::Default, Call::default())
                } else {
                    continue;
                };
                assert_eq!(status, Ok(LARDER_OK), "{name}, {key}");
                let raw = server.command(0, &[b"GET", redis_key.as_bytes()]);
                assert_eq!(raw, golden::bytes(&case["raw"]), "{name}, {key}");
                assert_eq!(pttl(&server, redis_key).class(), golden::text(&case["pttl_class"]), "{name}, {key}");
                written += 1;
            }
            assert!(written >= 12, "{name}: only {written} values can be written");
        }
    });
}

#[test]
fn protocols_0_and_1_are_not_written() {
    alone(|| {
        let (data, server) = (redis_values(), RedisServer::start());
        for name in READ_ONLY {
            let refused =
                Context::open(&config(&data, name, &server)).and_then(|context| context.store("default").map(drop));
            let failure = refused.expect_err(name);
            assert_eq!(failure.status, LARDER_ECONFIG, "{name}");
            assert!(failure.message.contains("PICKLE_VERSION"), "{failure:?}");
        }
    });
}

#[test]
fn foreign_bytes_are_read_as_python_reads_them() {
    alone(|| {
        let (data, server) = (redis_values(), RedisServer::start());
        for (flavor, reader) in flavors().into_iter().zip(["django", "django_redis pickle"]) {
            let context = Context::open(&flavor.config(&server, None)).unwrap();
            let store = context.store("default").unwrap();
            for case in golden::list(&data["foreign_bytes"]) {
                let (raw, what) = (golden::bytes(&case["raw"]), format!("{reader}, {}", case["raw"]));
                server.command(0, &[b"SET", b":1:f", &raw]);
                let value = store.get("f", Call::default()).unwrap().expect("it is there");
                let python = &case["read_by"][reader];
                if python.get("raises").is_some() {
                    assert_eq!(value.kind(), LARDER_EUNDECODABLE, "{what}");
                    assert_eq!(value.json().expect_err(&what).status, LARDER_EUNDECODABLE, "{what}");
                } else if golden::text(&python["returns"]["json"]) == "(same digits as raw)" {
                    assert_eq!(value.json().unwrap().shown.as_bytes(), raw, "{what}");
                } else {
                    shown::check(&value, &python["returns"], "foreign bytes", &what);
                }
            }
        }
    });
}

#[test]
fn times_to_live_are_sent_as_python_sends_them() {
    alone(|| {
        let (data, server) = (redis_values(), RedisServer::start());
        let mut monitor = Monitor::watch(&server);
        let rows = golden::list(&data["timeouts"]);
        assert!(rows.len() >= 180);
        for row in rows {
            let forever = golden::text(&row["timeout"]) == "default with TIMEOUT None";
            let flavor = data::flavor(golden::text(&row["flavor"]));
            let context = Context::open(&flavor.config(&server, forever.then_some("null"))).unwrap();
            check_timeout(row, &context.store("default").unwrap(), &server, &mut monitor);
        }
    });
}

/// One row of `timeouts`.
fn check_timeout(row: &Value, store: &Store, server: &RedisServer, monitor: &mut Monitor) {
    let what = format!("{} {} {}, {}", row["flavor"], row["op"], row["timeout"], row["key_exists_before"]);
    let existed = row["key_exists_before"] == true;
    server.command(0, &[b"FLUSHDB"]);
    if existed {
        store.set("t", Input::Text("old"), Ttl::Millis(1_000_000), Call::default()).unwrap();
    } else {
        store.has("t", Call::default()).unwrap(); // so that the connection is there
    }
    let ttl = match golden::text(&row["timeout"]) {
        "default" | "default with TIMEOUT None" => Ttl::Default,
        "None" => Ttl::Forever,
        "true" => Ttl::Millis(1000),
        seconds => Ttl::Millis(golden::millis(seconds)),
    };
    monitor.skip();
    let status = match golden::text(&row["op"]) {
        "set" => store.set("t", Input::Text("new"), ttl, Call::default()),
        "add" => store.add("t", Input::Text("new"), ttl, Call::default()),
        "touch" => store.expire("t", ttl, Call::default()),
        "set_many" => store.set_many(&[("t", "\"new\""), ("u", "5")], ttl, Call::default()).map(|(status, failed)| {
            assert_eq!(failed, [false, false], "{what}");
            status
        }),
        other => panic!("a call that this test does not know: {other}"),
    };
    let seen = monitor.seen();
    let (is_gone, python) = (golden::text(&row["pttl_class"]) == "missing", golden::text(&row["result"]));
    let expected = match (golden::text(&row["op"]), python) {
        ("touch", "False") => LARDER_MISS,
        (_, "False") => LARDER_NOT_STORED,
        ("set" | "set_many", "None" | "[]") | (_, "True") => {
            if is_gone {
                LARDER_NOT_KEPT
            } else {
                LARDER_OK
            }
        }
        other => panic!("an answer that this test does not know: {other:?}"),
    };
    assert_eq!(status, Ok(expected), "{what}");
    assert_eq!(seen, commands(&row["commands"]), "{what}");
    let left = pttl(server, ":1:t");
    assert_eq!(left.class(), golden::text(&row["pttl_class"]), "{what}");
    if let (Pttl::Expiring(left), Some(about)) = (left, row.get("pttl_about_ms")) {
        let gone = golden::int(about) - left;
        assert!((0..5000).contains(&gone), "{what}: {left} ms are left of {about:?}");
    }
    let value = store.get("t", Call::default()).unwrap();
    let value = value.map_or_else(|| "null".to_owned(), |value| value.json().unwrap().shown);
    assert_eq!(value, golden::text(&row["value_after"]), "{what}");
}

#[test]
fn operations_answer_and_send_what_pythons_do() {
    alone(|| {
        let (data, server) = (redis_values(), RedisServer::start());
        let mut monitor = Monitor::watch(&server);
        let rows = golden::list(&data["operations"]);
        let mut done = 0;
        for row in rows {
            let (flavor, call) = (data::flavor(golden::text(&row["flavor"])), golden::text(&row["call"]));
            if operations::NOT_HERE.iter().any(|(known, _)| *known == call) {
                continue;
            }
            let what = format!("{}: {call}", flavor.name);
            let context = Context::open(&flavor.config(&server, None)).unwrap();
            let store = context.store("default").unwrap();
            server.command(0, &[b"FLUSHDB"]);
            operations::prepare(&store, call);
            monitor.skip();
            let said = operations::perform(&store, flavor, call);
            let seen = monitor.seen();
            assert_eq!(said, operations::Said::python(&row["result"]), "{what}");
            operations::check_commands(&seen, flavor, call, &row["commands"]);
            assert_eq!(content(&server), data::keys(&row["keys_after"]), "{what}");
            done += 1;
        }
        assert_eq!(done + operations::NOT_HERE.len(), rows.len());
        assert!(done >= 60);
    });
}
