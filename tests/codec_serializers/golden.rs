//! What django-redis stored and read.

use larder::codec::{Input, Serializer, json};
use larder::error::Kind;
use larder::value::{Limits, Loss, Tree, ValueKind};
use serde_json::Value;

use super::codec_support::{blob, document as json_of, dumps, golden, list, shown};
use super::{CONFIGS, decode, redis, write};

fn described<'a>(data: &'a Value, case: &'a Value) -> &'a Value {
    data["values"].get(case["value"].as_str().unwrap_or_default()).unwrap_or(case)
}

/// The golden value as the pickle of another configuration has it.
fn pickled(data: &Value, case: &Value) -> Option<Tree> {
    let same = |other: &&Value| other["config"] == "django" && other["value"] == case["value"];
    let raw = blob(&list(data, "cases").iter().find(same)?["raw"])?;
    Some(decode(&redis(Serializer::Pickle(5)), &raw).expect("a pickle of Django"))
}

#[test]
fn golden_values_are_read() {
    let data = golden("redis_values.json");
    let mut read = 0;
    for (config, serializer) in CONFIGS {
        let codec = redis(serializer);
        for case in list(&data, "cases").iter().filter(|case| case["config"] == config) {
            let Some(raw) = blob(&case["raw"]) else { continue };
            let what = format!("{} with {config}", case["value"]);
            let result = decode(&codec, &raw);
            read += 1;
            if case["reads_back"].get("raises").is_some() {
                assert_eq!(result.unwrap_err().kind(), Kind::Undecodable, "{what}"); // pitfall 10
                continue;
            }
            let tree = result.unwrap_or_else(|error| panic!("{what}: {error}"));
            let value = case["reads_back"].get("returns").unwrap_or_else(|| described(&data, case));
            let (text, loss) = shown(&tree);
            if let Some(exact) = json_of(value, "json") {
                assert_eq!((text, loss), (dumps(&exact), Loss::Exact), "{what}");
            } else if let Some(lax) = json_of(value, "json_lax") {
                assert_eq!(text, dumps(&lax), "{what}");
            } else if value["type"] == "bytes" {
                assert_eq!(tree.kind(), ValueKind::Bytes, "{what}");
            } else if value["type"] == "float" {
                assert_eq!(float_repr(&tree), value["repr"].as_str().unwrap(), "{what}");
            }
        }
    }
    assert!(read > 120, "only {read} values were read");
}

fn float_repr(tree: &Tree) -> String {
    larder::float::repr(tree.float().expect("a float"))
}

#[test]
fn golden_values_that_c_can_set_are_written() {
    let data = golden("redis_values.json");
    let mut written = 0;
    for (config, serializer) in CONFIGS {
        let codec = redis(serializer.clone());
        for case in list(&data, "cases").iter().filter(|case| case["config"] == config) {
            let what = format!("{} with {config}", case["value"]);
            let value = described(&data, case);
            let exact = json_of(value, "json");
            let tree = pickled(&data, case);
            let bytes = tree.as_ref().and_then(Tree::bytes).filter(|_| value["type"] == "bytes");
            let text = exact.as_ref().filter(|_| value["type"] == "str").map(|text| {
                let tree = json::read(text.as_bytes(), &Limits::default()).expect("JSON");
                tree.text().expect("a text").0.into_owned()
            });
            let stored = match (&exact, &bytes) {
                (Some(text), _) => vec![codec.encode(Input::Json(text.as_bytes()))],
                (None, Some((bytes, _))) => vec![codec.encode(Input::Bytes(bytes))],
                (None, None) => continue,
            };
            let texts = text.iter().map(|text| codec.encode(Input::Text(text)));
            for stored in stored.into_iter().chain(texts) {
                match (blob(&case["raw"]), stored) {
                    (Some(raw), Ok(stored)) => {
                        let (ours, theirs) = (stored.bytes.escape_ascii(), raw.escape_ascii());
                        assert!(stored.bytes == raw, "{what}:\n{ours}\n{theirs}");
                    }
                    (None, Err(error)) => assert_eq!(error.kind(), Kind::Type, "{what}: {error}"),
                    (raw, stored) => panic!("{what}: {} but {stored:?}", raw.is_some()),
                }
                written += 1;
            }
        }
    }
    assert!(written > 80, "only {written} values were written");
}

/// Dates, sets, decimals: what comes from elsewhere is written as Django's encoder does, or is an error as in Python.
#[test]
fn golden_trees_are_written_or_refused() {
    let data = golden("redis_values.json");
    let (mut written, mut refused) = (0, 0);
    for (config, serializer) in CONFIGS.iter().take(2) {
        for case in list(&data, "cases").iter().filter(|case| case["config"] == *config) {
            let Some(tree) = pickled(&data, case) else { continue };
            // Their classes are only names here; ints do not come to the serializer.
            let kind = case["value"].as_str().unwrap();
            if matches!(kind, "int enum" | "int subclass" | "str subclass") || tree.kind() == ValueKind::Int {
                continue;
            }
            match (blob(&case["raw"]), write(serializer, &tree)) {
                (Some(raw), Ok(stored)) => {
                    assert!(stored == raw, "{kind} with {config}: {}", stored.escape_ascii());
                    written += 1;
                }
                (None, Err(error)) => {
                    assert_eq!(error.kind(), Kind::Type, "{kind}: {error}");
                    refused += 1;
                }
                (raw, stored) => panic!("{kind} with {config}: {} but {stored:?}", raw.is_some()),
            }
        }
    }
    assert!(written > 45 && refused > 10, "{written} were written, {refused} were refused");
}

#[test]
fn foreign_bytes_are_read_as_by_python() {
    let data = golden("redis_values.json");
    for (reader, serializer) in [("django_redis json", Serializer::Json), ("django_redis msgpack", Serializer::MsgPack)]
    {
        for case in list(&data, "foreign_bytes") {
            let raw = blob(&case["raw"]).expect("bytes");
            let expected = &case["read_by"][reader];
            let codec = redis(serializer.clone());
            let what = format!("{:.60} by {reader}", raw.escape_ascii().to_string());
            match (expected.get("returns"), decode(&codec, &raw)) {
                (Some(value), Ok(tree)) if value["repr"] == "nan" => assert_eq!(float_repr(&tree), "nan", "{what}"),
                (Some(value), Ok(tree)) => {
                    let text = json_of(value, "json").expect("a JSON value");
                    let digits = String::from_utf8_lossy(&raw);
                    let text = if text == "(same digits as raw)" { digits.into_owned() } else { dumps(&text) };
                    assert_eq!(shown(&tree).0, text, "{what}");
                }
                (None, Err(error)) => {
                    assert_eq!(error.kind(), Kind::Undecodable, "{what}: {error}");
                }
                (expected, result) => panic!("{what}: {expected:?} but {result:?}"),
            }
        }
    }
}
