//! Keys as Django and django-redis make them (contract: K rules, DR-26; golden/keys.json).

// Tests may say plainly what must not happen.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::path::PathBuf;

use larder::key::{KeyFunction, KeyRules, key_warnings};
use serde_json::Value;

fn golden() -> Value {
    let shared = std::env::var_os("LARDER_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let file = shared.join("golden/keys.json");
    let text = std::fs::read(&file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
    serde_json::from_slice(&text).expect("golden data is JSON")
}

/// A version as text: numbers by their digits (P-5).
fn version(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{name} is no text in {case}"))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(|item| item.as_str().expect("a text").to_owned()).collect()
}

fn rules(prefix: &str, version: &str) -> KeyRules {
    KeyRules {
        prefix: prefix.to_owned(),
        version: version.to_owned(),
        function: KeyFunction::Default,
        ..KeyRules::default()
    }
}

/// The name of a made key's file (K-11).
#[cfg(feature = "file")]
fn file_name(made: &[u8]) -> String {
    use md5::{Digest, Md5};
    let digest = Md5::digest(made).iter().fold(0_u128, |digest, byte| digest << 8 | u128::from(*byte));
    format!("{digest:032x}.djcache")
}

#[test]
fn made_keys_lengths_warnings_and_file_names_are_django_s() {
    let golden = golden();
    let cases = golden["cases"].as_array().expect("cases");
    assert!(cases.len() >= 200, "only {} cases", cases.len());
    let mut warned = 0;
    for case in cases {
        let rules = rules(text(case, "key_prefix"), &version(&case["config_version"]).expect("a version"));
        let of_call = version(&case["version"]);
        let made = rules.make(text(case, "key"), of_call.as_deref()); // K-1, K-3
        let shown = std::str::from_utf8(made.as_bytes()).expect("UTF-8");
        assert_eq!(shown, text(case, "final_key"));
        assert_eq!(shown.chars().count() as u64, case["chars"].as_u64().expect("chars"), "{shown}");
        assert_eq!(shown.len() as u64, case["utf8_bytes"].as_u64().expect("bytes"), "{shown}");
        let warnings = key_warnings(shown); // K-5
        assert_eq!(warnings, texts(&case["warnings"]));
        warned += usize::from(!warnings.is_empty());
        #[cfg(feature = "file")]
        assert_eq!(file_name(made.as_bytes()), text(case, "file_name"));
        assert_eq!(rules.user_key(made.as_bytes(), of_call.as_deref()), Some(text(case, "key").as_bytes()));
    }
    assert!(warned > 20, "only {warned} cases have warnings");
}

#[test]
fn non_string_keys_are_known_by_their_text() {
    for case in golden()["non_string_keys"].as_array().expect("cases") {
        let made = rules("", "1").make(text(case, "python_key"), None); // K-2
        assert_eq!(made.as_bytes(), text(case, "final_key").as_bytes());
    }
}

#[test]
fn patterns_are_django_redis_s() {
    let golden = golden();
    let cases = golden["django_redis_patterns"].as_array().expect("cases");
    assert!(cases.len() >= 40);
    for case in cases {
        let pattern =
            rules(text(case, "key_prefix"), "1").pattern(text(case, "pattern"), version(&case["version"]).as_deref());
        assert_eq!(String::from_utf8(pattern).expect("UTF-8"), text(case, "redis_pattern")); // DR-26
    }
    let raw = KeyRules { function: KeyFunction::AsIs, ..rules("a*b", "1") };
    assert_eq!(raw.pattern("x*", None), b"x*");
    assert_eq!(rules("p", "[1]").pattern("*", None), b"p:[[]1]:*");
}

#[test]
fn reversed_keys_are_django_redis_s() {
    let golden = golden();
    let cases = golden["django_redis_reverse_key"].as_array().expect("cases");
    assert!(cases.len() >= 6);
    for case in cases {
        let (made, reversed) = (text(case, "final_key"), text(case, "reversed"));
        assert_eq!(KeyRules::default().reversed(made.as_bytes()), Some(reversed.as_bytes()), "{made}"); // DR-2
        let Some((prefix, rest)) = made.split_once(':') else { panic!("{made}") };
        let Some((version, key)) = rest.split_once(':') else { panic!("{made}") };
        assert_eq!(rules(prefix, version).user_key(made.as_bytes(), None), Some(key.as_bytes()));
        assert_eq!(key, reversed);
    }
    // Python raises an IndexError for these.
    for made in [&b""[..], b"a", b"a:", b":a", b"a:b"] {
        assert_eq!(KeyRules::default().reversed(made), None);
    }
}

#[test]
fn user_keys_are_exact_also_where_the_prefix_has_a_colon() {
    // DR-2: django-redis would answer "1:foo" here.
    assert_eq!(rules("p:q", "1").user_key(b"p:q:1:foo", None), Some(&b"foo"[..]));
    // Not of this alias, not of this version.
    assert_eq!(rules("p", "1").user_key(b"q:1:foo", None), None);
    assert_eq!(rules("p", "1").user_key(b"p:2:foo", None), None);
    assert_eq!(rules("p", "1").user_key(b"p:2:foo", Some("2")), Some(&b"foo"[..]));
    let raw = KeyRules { function: KeyFunction::AsIs, ..rules("p", "1") };
    assert_eq!(raw.user_key(b"any:thing", None), Some(&b"any:thing"[..])); // K-4
}

#[test]
fn nothing_is_the_default_for_django_valkey() {
    let valkey = KeyRules { nothing_is_default: true, ..rules("p", "2") };
    let made = |key, version| String::from_utf8(valkey.make(key, version).as_bytes().to_vec()).expect("UTF-8");
    assert_eq!(made("k", None), "p:2:k");
    assert_eq!(made("k", Some("0")), "p:2:k"); // K-3
    assert_eq!(made("k", Some("3")), "p:3:k");
    assert_eq!(made("k", Some("00")), "p:00:k");
    assert_eq!(made("", None), ""); // 1.16
    assert_eq!(valkey.pattern("*", Some("0")), b"p:2:*");
    let zero = KeyRules { nothing_is_default: true, ..rules("p", "0") };
    assert_eq!(zero.make("k", None).as_bytes(), b"p:0:k");
    assert_eq!(rules("p", "2").make("k", Some("0")).as_bytes(), b"p:0:k");
    assert_eq!(rules("p", "2").make("", None).as_bytes(), b"p:2:");
}

#[test]
fn a_backslash_in_the_prefix_is_only_itself() {
    // golden data has none; django-redis would let it escape the next character
    assert_eq!(rules(r"a\b", "1").pattern("*", None), br"a\\b:1:*");
}

#[test]
fn only_what_memcached_refuses_is_warned_about() {
    // K-5: code points are counted, not bytes; NBSP and U+0085 are fine.
    assert!(key_warnings(&"é".repeat(250)).is_empty());
    assert_eq!(key_warnings(&"é".repeat(251)).len(), 1);
    assert!(key_warnings("a\u{a0}b\u{85}c").is_empty());
    for bad in ['\0', '\u{1f}', ' ', '\u{7f}'] {
        assert_eq!(key_warnings(&format!("a{bad}b")).len(), 1, "{bad:?}");
    }
    assert_eq!(key_warnings(&" ".repeat(251)).len(), 2);
}
