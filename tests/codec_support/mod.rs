//! Golden data, and the codec as the tests use it.

#![allow(dead_code, reason = "each test file takes what it needs")]

pub mod documents;

use std::io::Read;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use larder::codec::{Codec, Form, json};
use larder::value::{Limits, Loss, Tree};
use serde_json::Value;

pub fn golden(name: &str) -> Value {
    let shared = std::env::var_os("LARDER_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("golden").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("golden data is JSON")
}

pub fn list<'a>(data: &'a Value, name: &str) -> &'a [Value] {
    data[name].as_array().unwrap_or_else(|| panic!("golden data has no {name}"))
}

pub fn base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("golden data is base64")
}

pub fn inflate(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::ZlibDecoder::new(&base64(text)[..]).read_to_end(&mut out).expect("golden data is zlib");
    out
}

/// Bytes given as base64, or as `{"zlib": base64}`; `None` for `{"raises": …}`.
pub fn blob(value: &Value) -> Option<Vec<u8>> {
    value.as_str().map(base64).or_else(|| value["zlib"].as_str().map(inflate))
}

/// The text of a JSON document that holds a case's value: exactly, or with arrays in place of tuples.
pub fn document(case: &Value, name: &str) -> Option<String> {
    let zlib = case[format!("{name}_zlib")].as_str();
    match case[name].as_str() {
        Some(text) => Some(text.to_owned()),
        None => zlib.map(|text| String::from_utf8(inflate(text)).expect("golden data is UTF-8")),
    }
}

pub fn limits() -> Limits {
    Limits { depth: 100_001, ..Limits::default() }
}

pub fn codec(protocol: u8) -> Codec {
    Codec::pickling(protocol, Form::Pickle, limits())
}

pub fn decode(pickle: Vec<u8>) -> larder::error::Result<Tree> {
    codec(5).decode(&Bytes::from(pickle).into())
}

pub fn shown(tree: &Tree) -> (String, Loss) {
    json::write(tree, &limits()).expect("the value can be shown")
}

/// A JSON document as Python's `json.dumps` writes it.
pub fn dumps(text: &str) -> String {
    shown(&json::read(text.as_bytes(), &limits()).expect("golden data is JSON")).0
}
