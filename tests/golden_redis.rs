//! golden/redis_values.json through the C API against a real server: what the two Python backends store, read, answer
//! and send, in every configuration of the data (R-4, R-6, DR-10 to DR-13, DR-15, T-3, T-5).
#![cfg(all(feature = "redis", feature = "file", feature = "compressors"))] // the golden data is compressed with what files need
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "golden_redis/away.rs"]
mod away;
mod common;
#[path = "golden_redis/data.rs"]
mod data;
#[path = "golden_redis/operations.rs"]
mod operations;
#[path = "golden_redis/reversed.rs"]
mod reversed;
#[path = "golden_redis/shown.rs"]
mod shown;
#[path = "golden_redis/values.rs"]
mod values;

use common::client::{Call, Context, Input, Store, Ttl, alone};
use common::golden;
use common::redis::{Monitor, RedisServer};
use data::{Pttl, commands, config, content, pttl};
use larder::capi::status::{LARDER_EUNDECODABLE, LARDER_MISS, LARDER_NOT_KEPT, LARDER_NOT_STORED, LARDER_OK};
use serde_json::Value;

fn redis_values() -> Value {
    golden::read(&common::golden("redis_values.json"))
}

/// The sections of the file, and who reads them.
const READERS: [(&str, &str); 9] = [
    ("configs", include_str!("golden_redis/data.rs")),
    ("values", include_str!("golden_redis/values.rs")),
    ("cases", include_str!("golden_redis/values.rs")),
    ("timeouts", include_str!("golden_redis.rs")),
    ("operations", include_str!("golden_redis.rs")),
    ("foreign_bytes", include_str!("golden_redis.rs")),
    ("sharding", include_str!("redis_shards.rs")),
    ("locations", include_str!("config_redis.rs")),
    ("unreachable", include_str!("golden_redis/away.rs")),
];

#[test]
fn every_section_is_read_by_a_test() {
    let data = redis_values();
    for section in golden::object(&data).keys().filter(|section| *section != "about") {
        let reader = READERS.iter().find(|(read, _)| read == section);
        let (_, source) = reader.unwrap_or_else(|| panic!("nobody reads {section}"));
        assert!(source.contains(&format!("[\"{section}\"]")), "{section} is not read where it was");
    }
}

#[test]
fn foreign_bytes_are_read_as_python_reads_them() {
    alone(|| {
        let (data, server) = (redis_values(), RedisServer::start());
        let cases = golden::list(&data["foreign_bytes"]);
        let readers: Vec<&String> = golden::object(&cases[0]["read_by"]).keys().collect();
        assert!(cases.len() >= 28 && readers.len() >= 10);
        for reader in readers {
            // Without a compressor's name it is the one that does nothing.
            let with_identity = format!("{reader} identity");
            let name = if data["configs"].get(reader).is_some() { reader } else { &with_identity };
            let context = Context::open(&config(&data, name, &server)).unwrap();
            let store = context.store("default").unwrap();
            for case in cases {
                check_foreign(case, reader, &store, &server);
            }
        }
    });
}

fn check_foreign(case: &Value, reader: &str, store: &Store, server: &RedisServer) {
    let raw = golden::bytes(&case["raw"]);
    let what = format!("{reader}, {:.60}", raw.escape_ascii().to_string());
    assert_eq!(store.set("f", Input::Stored(&raw), Ttl::Default, Call::default()), Ok(LARDER_OK), "{what}");
    assert!(content(server).into_values().any(|stored| stored == raw), "{what}");
    let value = store.get("f", Call::default()).unwrap().expect("it is there");
    let python = &case["read_by"][reader];
    if python.get("raises").is_some() {
        assert_eq!(value.kind(), LARDER_EUNDECODABLE, "{what}");
        assert_eq!(value.json().expect_err(&what).status, LARDER_EUNDECODABLE, "{what}");
        return;
    }
    let expected = &python["returns"];
    match expected["json"].as_str() {
        Some("(same digits as raw)") => assert_eq!(value.json().unwrap().shown.as_bytes(), raw, "{what}"),
        _ if expected["repr"] == "nan" => shown::check(&value, expected, "nan", &what),
        _ => shown::check(&value, expected, "foreign bytes", &what),
    }
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
