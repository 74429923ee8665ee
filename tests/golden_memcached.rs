//! golden/memcached_values.json: what the two Python clients of memcached store, read, send and answer (M-1 to M-11), and
//! the keys that they refuse (golden/keys.json; K-7, K-8).
#![cfg(feature = "memcached")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;
#[path = "golden_memcached/tee.rs"]
mod tee;
#[path = "golden_memcached/wire.rs"]
mod wire;

use common::golden;
use larder::backend::{Stored, memcached};
use larder::codec::{Codec, Form, Input, json};
use larder::config::{self, Family};
use larder::error::{Error, Kind};
use larder::key::MadeKey;
use larder::value::{Limits, Tree};
use serde_json::{Value, json};

fn memcached_values() -> Value {
    golden::read(&common::golden("memcached_values.json"))
}

/// The BACKEND of a client of the golden data.
fn backend(client: &str) -> &'static str {
    match client {
        "pymemcache" => "django.core.cache.backends.memcached.PyMemcacheCache",
        "pylibmc" => "django.core.cache.backends.memcached.PyLibMCCache",
        other => panic!("a client that this test does not know: {other}"),
    }
}

fn codec(client: &str) -> Codec {
    let form = if client == "pylibmc" { Form::PyLibMc } else { Form::PyMemcache { compressed: false } };
    Codec::pickling(5, form, Limits::default())
}

fn stored(row: &Value) -> Stored {
    Stored { bytes: blob(&row["raw"]).into(), flags: u32::try_from(golden::int(&row["flags"])).unwrap() }
}

/// Bytes in base64, maybe compressed.
fn blob(value: &Value) -> Vec<u8> {
    value.get("zlib").map_or_else(|| golden::bytes(value), inflated)
}

fn inflated(value: &Value) -> Vec<u8> {
    use std::io::Read;
    let mut out = Vec::new();
    flate2::read::ZlibDecoder::new(&golden::bytes(value)[..]).read_to_end(&mut out).unwrap();
    out
}

/// The JSON text that holds a described value exactly, if there is one.
fn exact(described: &Value) -> Option<String> {
    match described.get("json_zlib") {
        Some(zlib) => Some(String::from_utf8(inflated(zlib)).unwrap()),
        None => described.get("json").filter(|json| !json.is_null()).map(|json| golden::text(json).to_owned()),
    }
}

fn shown(tree: &Tree) -> Value {
    golden::read(&json::write(tree, &Limits::default()).unwrap().0)
}

/// Asserts that a value is what Python describes, as far as JSON can tell; else by Python's `repr`.
fn check(tree: &Tree, described: &Value, what: &str) {
    let kind = golden::text(&described["type"]);
    if kind == "bytes" {
        let (bytes, _) = tree.bytes().unwrap_or_else(|| panic!("{what}: no bytes"));
        let repr = golden::text(&described["repr"]);
        assert_eq!(python_repr(bytes), repr, "{what}");
        return;
    }
    assert_eq!(tree.type_name(), kind, "{what}");
    let (json, lax) = (exact(described), described.get("json_lax").map(golden::text));
    if let Some(json) = json.as_deref().or(lax) {
        assert_eq!(shown(tree), golden::read(json), "{what}");
    }
}

/// `repr` of bytes.
fn python_repr(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::from("b'");
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => write!(out, "\\x{byte:02x}").unwrap(),
        }
    }
    out + "'"
}

fn cases(data: &Value) -> &[Value] {
    let cases = golden::list(&data["cases"]);
    assert!(cases.len() >= 66);
    cases
}

// M-7, M-8: either client's values, by an alias of either.
#[test]
fn values_of_both_clients_are_read() {
    let data = memcached_values();
    let mut read = 0;
    for case in cases(&data).iter().filter(|case| case.get("set_raises").is_none()) {
        for reader in ["pymemcache", "pylibmc"] {
            let what = format!("{} of {} by {reader}", case["value_name"], case["client"]);
            let tree = codec(reader).decode(&stored(case)).unwrap_or_else(|error| panic!("{what}: {error}"));
            match &case[format!("read_by_{reader}")] {
                Value::String(same) if same == "same" => check(&tree, case, &what),
                other => check(&tree, &other["returns"], &what),
            }
            read += 1;
        }
    }
    assert!(read >= 128, "only {read}");
}

// M-7
#[test]
fn values_are_written_as_each_client_writes_them() {
    let data = memcached_values();
    let mut written = 0;
    for case in cases(&data) {
        let codec = codec(golden::text(&case["client"]));
        let what = format!("{} by {}", case["value_name"], case["client"]);
        if golden::text(&case["value_name"]) == "lone surrogate str" {
            assert!(case.get("set_raises").is_some());
            let refused = codec.encode(Input::Json(b"\"a\\ud800\"")).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid, "{what}");
            continue;
        }
        let expected = stored(case);
        if golden::text(&case["type"]) == "bytes" {
            assert_eq!(codec.encode(Input::Bytes(&expected.bytes)).unwrap(), expected, "{what}");
        } else if let Some(json) = exact(case) {
            assert_eq!(codec.encode(Input::Json(json.as_bytes())).unwrap(), expected, "{what}");
            if golden::text(&case["type"]) == "str" {
                let text = golden::read(&json);
                assert_eq!(codec.encode(Input::Text(golden::text(&text))).unwrap(), expected, "{what}");
            }
        } else {
            continue;
        }
        let line = format!(" {} 300 {}", expected.flags, expected.bytes.len());
        assert!(golden::text(&case["set_line"]).ends_with(&line), "{what}");
        written += 1;
    }
    assert!(written >= 40, "only {written}");
}

/// What a client answered, as far as it can be compared.
fn outcome(result: &Value) -> Option<&Value> {
    result.get("returns")
}

// M-8, M-9, pitfall 17: what any client can read larder reads, and what none can is an error. Of two readings the one
// counts that inflates.
#[test]
fn flags_say_what_bytes_are() {
    let data = memcached_values();
    let rows = golden::list(&data["flags"]);
    assert!(rows.len() >= 132);
    for row in rows {
        let what = format!("flags {} over {}", row["flags"], row["raw"]);
        let (one, other) = (outcome(&row["pymemcache"]), outcome(&row["pylibmc"]));
        // a pickle that cannot be read is None for pymemcache alone
        let one = one.filter(|one| golden::text(&one["type"]) != "NoneType");
        let decoded = codec("pymemcache").decode(&stored(row));
        match (other.or(one), decoded) {
            (Some(described), Ok(tree)) => check(&tree, described, &what),
            (None, Err(error)) => assert_eq!(error.kind(), Kind::Undecodable, "{what}"),
            (Some(_), Err(error)) => panic!("{what}: {error}"),
            (None, Ok(tree)) => panic!("{what}: {tree:?}"),
        }
        let same = codec("pylibmc").decode(&stored(row)).map(|tree| shown(&tree)).map_err(|error| error.kind());
        let first = codec("pymemcache").decode(&stored(row)).map(|tree| shown(&tree)).map_err(|error| error.kind());
        assert_eq!(same, first, "{what}");
    }
}

fn settings(client: &str, location: &Value, options: &Value) -> config::Memcached {
    let document =
        json!({"CACHES": {"default": {"BACKEND": backend(client), "LOCATION": location, "OPTIONS": options}}});
    let mut read = config::read(document.to_string().as_bytes(), &|_| None).unwrap();
    match read.aliases.remove(0).family {
        Family::Memcached(memcached) => memcached,
        other => panic!("{other:?}"),
    }
}

// M-4, M-5
#[test]
fn keys_go_to_the_servers_to_which_the_clients_send_them() {
    let data = memcached_values();
    let rows = golden::list(&data["distribution"]);
    assert!(rows.len() >= 100);
    for row in rows {
        let client = golden::text(&row["client"]);
        let location: Vec<String> = match row.get("servers") {
            Some(servers) => golden::list(servers).iter().map(|server| golden::text(server).to_owned()).collect(),
            None => (0..golden::int(&row["server_count"])).map(|index| format!("10.0.0.{index}")).collect(),
        };
        let key = MadeKey::as_is(golden::text(&row["final_key"]));
        let chosen = memcached::Chooser::new(&settings(client, &json!(location), &json!({}))).server_of(&key).unwrap();
        assert_eq!(chosen, usize::try_from(golden::int(&row["server_index"])).ok(), "{row}");
    }
}

fn refusal(config: &config::Memcached, key: &str) -> Option<Error> {
    memcached::Chooser::new(config).server_of(&MadeKey::as_is(key)).err()
}

// K-5, K-7, K-8, pitfall 20
#[test]
fn keys_are_refused_that_django_or_the_client_refuses() {
    let keys = golden::read(&common::golden("keys.json"));
    let (mut by_django, mut by_client, mut taken) = (0, 0, 0);
    for case in golden::list(&keys["cases"]) {
        let key = golden::text(&case["final_key"]);
        for client in ["pymemcache", "pylibmc"] {
            let refused = refusal(&settings(client, &json!("a"), &json!({})), key);
            if let Some(error) = &refused {
                assert_eq!(error.kind(), Kind::Invalid, "{key:?}");
                assert!(!error.reason().contains(key), "{error}");
            }
            if !case["memcached_refused_by_django"].is_null() {
                assert!(refused.is_some(), "{key:?}");
                by_django += 1;
            } else if golden::text(&case["memcached_client"][client]) == "stored" {
                assert!(refused.is_none(), "{key:?}: {refused:?}");
                taken += 1;
            } else {
                assert!(refused.unwrap().reason().contains("bytes"), "{key:?}"); // K-8
                by_client += 1;
            }
        }
    }
    assert!(by_django >= 150 && by_client >= 30 && taken >= 200, "{by_django}, {by_client}, {taken}");
}

#[test]
fn a_client_s_own_prefix_counts_and_ascii_can_be_asked_for() {
    let prefixed = settings("pymemcache", &json!("a"), &json!({"key_prefix": "p".repeat(10)}));
    assert!(refusal(&prefixed, &"k".repeat(240)).is_none());
    assert!(refusal(&prefixed, &"k".repeat(241)).unwrap().reason().contains("251 bytes"));
    let ascii = settings("pymemcache", &json!("a"), &json!({"allow_unicode_keys": false}));
    assert!(refusal(&ascii, "k").is_none());
    assert!(refusal(&ascii, "é").unwrap().reason().contains("allow_unicode_keys"));
    assert!(refusal(&ascii, "").unwrap().reason().contains("empty"));
}

// serde.py's compressed_serde: more than 400 bytes, and only where it gets shorter.
#[test]
fn compressed_serde_deflates_what_is_long() {
    let codec = Codec { form: Form::PyMemcache { compressed: true }, ..codec("pymemcache") };
    let mut state = 88_172_645_463_325_252_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(2000)
    .collect();
    for (value, flags) in [(vec![b'a'; 400], 0), (vec![b'a'; 401], 8), (noise, 0), (vec![b'a'; 100_000], 8)] {
        let stored = codec.encode(Input::Bytes(&value)).unwrap();
        assert_eq!(stored.flags, flags, "{} bytes", value.len());
        assert!(stored.bytes.len() <= value.len());
        let tree = codec.decode(&stored).unwrap();
        assert_eq!(tree.bytes().unwrap().0, value);
        assert_eq!(codec.glance(stored.as_ref()).is_some(), flags == 0);
    }
    let text = codec.encode(Input::Text(&"é".repeat(300))).unwrap();
    assert_eq!(text.flags, 24);
    assert_eq!(codec.decode(&text).unwrap().text().unwrap().0, "é".repeat(300));
}

#[test]
fn what_is_inflated_is_bounded() {
    let compressing = Codec { form: Form::PyMemcache { compressed: true }, ..codec("pymemcache") };
    let stored = compressing.encode(Input::Bytes(&vec![0; 1 << 20])).unwrap();
    assert!(stored.bytes.len() < 4096);
    for (bytes, fits) in [((1 << 20) - 1, false), (1 << 20, true)] {
        let codec = Codec { limits: Limits { bytes, ..Limits::default() }, ..compressing.clone() };
        match codec.decode(&stored) {
            Ok(tree) => assert!(fits && tree.bytes().unwrap().0.len() == 1 << 20),
            Err(error) => assert!(!fits && error.kind() == Kind::TooBig, "{error}"),
        }
    }
    for end in 2..stored.bytes.len() {
        let cut = Stored { bytes: stored.bytes.slice(..end), flags: stored.flags };
        assert_eq!(compressing.decode(&cut).err().map(|error| error.kind()), Some(Kind::Undecodable), "{end}");
    }
}

// A caller's own serialised bytes are taken for a pickle.
#[test]
fn stored_bytes_are_kept_as_a_pickle() {
    let stored = codec("pylibmc").encode(Input::Stored(b"\x80\x04K\x07.")).unwrap();
    assert_eq!((stored.flags, codec("pymemcache").decode(&stored).unwrap().int64()), (1, Some(7)));
}
