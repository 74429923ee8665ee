//! Golden data and JSON texts, with numbers as they are written: `1` is not `1.0`, and no digit is lost.

use serde_json::{Map, Value};

/// Begins a text that stands for a number: a code point that is no character, and in no data.
const NUMBER: char = '\u{fdd0}';

/// Reads JSON text (as Python writes it, so with `NaN` and `Infinity`); numbers become texts that [`number`] and
/// [`write`] know, so that equal trees are equal Python values.
pub fn read(json: &str) -> Value {
    let is_in_use = json.contains(NUMBER) || json.contains("\\ufdd0") || json.contains("\\uFDD0");
    assert!(!is_in_use, "this data has a text that would be taken for a number");
    let mut marked = String::with_capacity(json.len() * 2);
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => text_len(rest),
            '-' | '0'..='9' | 'N' | 'I' => scalar_len(rest),
            other => other.len_utf8(),
        };
        let (token, after) = rest.split_at(len);
        match first {
            '-' | '0'..='9' | 'N' | 'I' => marked.extend(["\"", NUMBER.encode_utf8(&mut [0; 4]), token, "\""]),
            _ => marked.push_str(token),
        }
        rest = after;
    }
    serde_json::from_str(&marked).unwrap_or_else(|error| panic!("no JSON: {error}: {json}"))
}

fn text_len(json: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    panic!("a text without an end: {json}")
}

fn scalar_len(json: &str) -> usize {
    json.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(json.len())
}

/// The digits of a number, as they were written.
pub fn number(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix(NUMBER)
}

/// A whole number.
pub fn int(value: &Value) -> i64 {
    number(value).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{value} is no whole number"))
}

/// The content of a text that is no number.
pub fn text(value: &Value) -> &str {
    assert!(number(value).is_none(), "{value} is a number");
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// A number as a tree has it.
pub fn from_number(digits: &str) -> Value {
    Value::String(format!("{NUMBER}{digits}"))
}

/// JSON text again.
pub fn write(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(write).collect::<Vec<_>>().join(", ")),
        Value::Object(items) => {
            let items = items.iter().map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), write(value)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        }
        scalar => number(scalar).map_or_else(|| scalar.to_string(), str::to_owned),
    }
}

/// The entries of an object.
pub fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object"))
}

/// The items of a list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

/// Seconds of Python, as milliseconds: the part below a millisecond is cut off.
pub fn millis(seconds: &str) -> i64 {
    let seconds: f64 = seconds.parse().unwrap_or_else(|_| panic!("{seconds} are no seconds"));
    #[allow(clippy::cast_possible_truncation)] // the data has nothing near the bounds
    let millis = (seconds * 1000.0) as i64;
    millis
}

/// Bytes from base64.
pub fn bytes(value: &Value) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text(value)).unwrap_or_else(|error| panic!("{value}: {error}"))
}
