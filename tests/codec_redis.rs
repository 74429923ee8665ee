//! What Django and django-redis stored in Redis, against the codec: R-4, DR-10, DR-11, DR-13, rule I, pitfalls 1 and 7.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may say plainly what must not happen"
)]

mod codec_support;

use bytes::Bytes;
use codec_support::{base64, blob, document, dumps, golden, list, shown};
use larder::codec::{Codec, Form, Glance, Input, json};
use larder::error::Kind;
use larder::value::{Limits, Loss, ValueKind};
use serde_json::Value;

fn codec(protocol: u8) -> Codec {
    Codec::pickling(protocol, Form::RedisIntegers, Limits::default())
}

/// The configurations that pickle and do not compress, and the protocol that each writes.
fn protocol(config: &str) -> Option<u8> {
    match config {
        "django" | "django_redis pickle PICKLE_VERSION=-1 identity" => Some(5),
        "django_redis pickle identity" => Some(4),
        _ => {
            let version = config.strip_prefix("django_redis pickle PICKLE_VERSION=")?.strip_suffix(" identity")?;
            version.parse().ok()
        }
    }
}

fn described<'a>(data: &'a Value, case: &'a Value) -> &'a Value {
    data["values"].get(case["value"].as_str().unwrap_or_default()).unwrap_or(case)
}

#[test]
fn stored_values_are_read_and_written() {
    let data = golden("redis_values.json");
    let (mut read, mut written) = (0, 0);
    for case in list(&data, "cases") {
        let Some(protocol) = protocol(case["config"].as_str().expect("a configuration")) else { continue };
        let Some(raw) = blob(&case["raw"]) else { continue };
        let codec = codec(protocol);
        let what = format!("{} with {}", case["value"], case["config"]);
        let tree = codec.decode(&Bytes::from(raw.clone()).into()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let value = case["reads_back"].get("returns").unwrap_or_else(|| described(&data, case));
        let (text, loss) = shown(&tree);
        read += 1;
        if let Some(lax) = document(value, "json_lax") {
            assert_eq!(text, dumps(&lax), "{what}");
        }
        if let Some(exact) = document(value, "json") {
            assert_eq!((text.as_str(), loss), (dumps(&exact).as_str(), Loss::Exact), "{what}");
            let stored = codec.encode(Input::Json(exact.as_bytes())).expect("it can be written");
            assert!(stored.bytes == raw, "{what}:\n{}\n{}", stored.bytes.escape_ascii(), raw.escape_ascii());
            written += 1;
        }
    }
    assert!(read > 200 && written > 100, "{read} values were read, {written} were written");
}

#[test]
fn shown_json_is_what_python_dumps() {
    let data = golden("redis_values.json");
    let raw_of = |config: &str, value: &Value| {
        let case = list(&data, "cases").iter().find(|case| case["config"] == config && &case["value"] == value);
        case.and_then(|case| blob(&case["raw"]))
    };
    let mut compared = 0;
    for case in list(&data, "cases").iter().filter(|case| case["config"] == "django_redis json identity") {
        let (Some(expected), Some(raw)) = (blob(&case["raw"]), raw_of("django", &case["value"])) else { continue };
        let name = case["value"].as_str().expect("a value's name");
        // Django's encoder cuts microseconds and turns +00:00 into Z (pitfall 10); subclasses are data here.
        if matches!(name, "datetime" | "aware datetime" | "int enum" | "int subclass" | "str subclass") {
            continue;
        }
        let tree = codec(5).decode(&Bytes::from(raw).into()).expect("it can be read");
        assert_eq!(shown(&tree).0.into_bytes(), expected, "{name}");
        compared += 1;
    }
    assert!(compared > 25, "only {compared} values were compared");
}

#[test]
fn foreign_bytes_are_read_as_by_django() {
    let data = golden("redis_values.json");
    for case in list(&data, "foreign_bytes") {
        let raw = blob(&case["raw"]).expect("bytes");
        let result = codec(5).decode(&Bytes::from(raw.clone()).into());
        for reader in ["django", "django_redis pickle"] {
            match (&case["read_by"][reader], &result) {
                (expected, Ok(tree)) if expected.get("returns").is_some() => {
                    let text = match document(&expected["returns"], "json").expect("a JSON value") {
                        same if same == "(same digits as raw)" => String::from_utf8_lossy(&raw).into_owned(),
                        text => dumps(&text),
                    };
                    assert_eq!(shown(tree).0, text, "{}", raw.escape_ascii());
                }
                (expected, Err(error)) if expected.get("raises").is_some() => {
                    assert_eq!(error.kind(), Kind::Undecodable, "{}", raw.escape_ascii());
                }
                (expected, result) => panic!("{}: {expected} but {result:?}", raw.escape_ascii()),
            }
        }
    }
}

#[test]
fn raw_integers_are_those_of_rule_i() {
    for (stored, value) in [
        ("12", 12),
        (" 12 ", 12),
        ("1_0", 10),
        ("+5", 5),
        ("-0", 0),
        ("\n7\n", 7),
        ("0012", 12),
        ("\t\x0b\x0c\r42", 42),
        ("-9223372036854775808", i64::MIN),
    ] {
        let tree = codec(5).decode(&Bytes::from(stored).into()).expect("an int");
        assert_eq!(tree.int64(), Some(value), "{stored:?}");
        assert_eq!(codec(5).glance(stored.as_bytes().into()), Some(Glance::Int(value)), "{stored:?}");
    }
    for stored in ["", " ", "-", "1__0", "_1", "1_", "1 0", "+-1", "- 1", "1.0", "\u{663}", "12\0"] {
        assert!(codec(5).decode(&Bytes::from(stored).into()).is_err(), "{stored:?}");
        assert_eq!(codec(5).glance(stored.as_bytes().into()), None, "{stored:?}");
    }
    // Up to 4300 digits, underscores not counted.
    let most = "9".repeat(4300);
    let tree = codec(5).decode(&Bytes::from(most.clone()).into()).expect("an int");
    assert_eq!(tree.int_text().expect("an int").expect("4300 digits"), most);
    assert_eq!(codec(5).encode(Input::Json(most.as_bytes())).expect("an int").bytes, most);
    assert!(codec(5).decode(&Bytes::from(format!("1_{}", "0".repeat(4299))).into()).is_ok());
    let error = codec(5).decode(&Bytes::from("9".repeat(4301)).into()).expect_err("one digit too many");
    assert_eq!(error.kind(), Kind::Undecodable);
}

#[test]
fn integers_are_stored_as_digits_and_bools_as_pickles() {
    let stored = |text: &str| codec(4).encode(Input::Json(text.as_bytes())).expect("it can be written").bytes;
    assert_eq!(stored("5"), "5");
    assert_eq!(stored("-0"), "0");
    assert_eq!(stored("1180591620717411303424"), "1180591620717411303424");
    assert_eq!(stored("true")[..], base64("gASILg==")); // DR-10
    assert_eq!(stored("5.0").first(), Some(&0x80));
    assert_eq!(stored("\"5\"").first(), Some(&0x80));
    let plain = Codec { form: Form::Pickle, ..codec(4) };
    assert_eq!(plain.encode(Input::Json(b"5")).expect("it can be written").bytes[..], *b"\x80\x04K\x05.");
    let tree = json::read(b"5", &Limits::default()).expect("JSON");
    assert_eq!(tree.kind(), ValueKind::Int);
}
