//! How a value that Python describes is shown by the accessors.

use larder::capi::value::{
    LARDER_KIND_BOOL, LARDER_KIND_BYTES, LARDER_KIND_DICT, LARDER_KIND_FLOAT, LARDER_KIND_INT, LARDER_KIND_LIST,
    LARDER_KIND_NULL, LARDER_KIND_OTHER, LARDER_KIND_TEXT,
};
use serde_json::Value;

use super::common::client;
use super::common::golden;
use super::common::value::Shown;
use super::data;

/// The golden data's `bytes`, which JSON cannot hold.
pub const BYTES_VALUE: &[u8] = b"-y^\x17q)\xd0\x8a\x96\xce\xbd\x99";

/// What JSON lacks: name, kind, JSON (the table in `codec::json`), and whether that loses something.
const PROJECTED: [(&str, i32, &str, bool); 18] = [
    ("bytes", LARDER_KIND_BYTES, r#"{"$bytes": "LXleF3Ep0IqWzr2Z"}"#, true),
    ("tuple", LARDER_KIND_LIST, "[1, 2]", true),
    ("nan", LARDER_KIND_FLOAT, "NaN", false),
    ("infinity", LARDER_KIND_FLOAT, "Infinity", false),
    ("dict int keys", LARDER_KIND_DICT, r#"{"1": "a"}"#, true),
    ("set", LARDER_KIND_LIST, "[1]", true),
    ("datetime", LARDER_KIND_OTHER, r#""2024-05-06T07:08:09.123456""#, true),
    ("aware datetime", LARDER_KIND_OTHER, r#""2024-05-06T07:08:09+00:00""#, true),
    ("date", LARDER_KIND_OTHER, r#""2024-05-06""#, true),
    ("timedelta", LARDER_KIND_OTHER, r#""P1DT02H00M00S""#, true),
    ("decimal", LARDER_KIND_OTHER, r#""1.10""#, true),
    ("uuid", LARDER_KIND_OTHER, r#""de6a2d51-dba0-fe48-5c65-e5dce4f8ca02""#, true),
    ("int enum", LARDER_KIND_OTHER, r#"{"$object": "shop.models.Level", "args": [10]}"#, true),
    ("enum", LARDER_KIND_OTHER, r#"{"$object": "shop.models.Color", "args": [1]}"#, true),
    ("int subclass", LARDER_KIND_OTHER, r#"{"$object": "shop.models.MyInt", "args": [7]}"#, true),
    ("str subclass", LARDER_KIND_OTHER, r#"{"$object": "shop.models.MyStr", "args": ["s"]}"#, true),
    ("bytearray", LARDER_KIND_BYTES, r#"{"$bytes": "YWI="}"#, true),
    ("bytes of a bytearray", LARDER_KIND_BYTES, r#"{"$bytes": "YWI="}"#, true),
];

/// Asserts that a value is shown as Python describes it.
pub fn check(value: &client::Value, described: &Value, name: &str, what: &str) {
    let json = value.json().unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
    let type_name = golden::text(&described["type"]);
    if let Some(exact) = data::exact(described) {
        assert_eq!(value.kind(), kind(type_name), "{what}");
        assert!(!json.lossy, "{what}: {json:?}");
        assert_eq!(golden::read(&json.shown), golden::read(&exact), "{what}");
        return;
    }
    if let Some(lax) = described.get("json_lax") {
        assert!(json.lossy, "{what}: {json:?}");
        assert_eq!(golden::read(&json.shown), golden::read(golden::text(lax)), "{what}");
    }
    match PROJECTED.iter().find(|known| known.0 == name) {
        Some((_, kind, shown, lossy)) => {
            assert_eq!(value.kind(), *kind, "{what}");
            assert_eq!(json, Shown { shown: (*shown).to_owned(), lossy: *lossy }, "{what}");
        }
        None => assert!(described.get("json_lax").is_some(), "{what}: this test does not know how to show it"),
    }
    match name {
        "bytes" => assert_eq!(value.bytes(), Ok(Shown { shown: BYTES_VALUE.to_vec(), lossy: false }), "{what}"),
        "bytearray" => assert_eq!(value.bytes(), Ok(Shown { shown: b"ab".to_vec(), lossy: true }), "{what}"),
        "bytes of a bytearray" => {
            assert_eq!(value.bytes(), Ok(Shown { shown: b"ab".to_vec(), lossy: false }), "{what}");
        }
        "nan" => assert!(value.double().unwrap().shown.is_nan(), "{what}"),
        "infinity" => assert_eq!(value.double(), Ok(Shown { shown: f64::INFINITY, lossy: false }), "{what}"),
        "datetime" | "aware datetime" | "date" | "decimal" | "uuid" => {
            let text = Shown { shown: json.shown.trim_matches('"').to_owned(), lossy: true };
            assert_eq!(value.text(), Ok(text), "{what}");
        }
        _ => {}
    }
}

fn kind(python: &str) -> i32 {
    match python {
        "NoneType" => LARDER_KIND_NULL,
        "bool" => LARDER_KIND_BOOL,
        "int" => LARDER_KIND_INT,
        "float" => LARDER_KIND_FLOAT,
        "str" => LARDER_KIND_TEXT,
        "list" => LARDER_KIND_LIST,
        "dict" => LARDER_KIND_DICT,
        other => panic!("no JSON has a {other}"),
    }
}
