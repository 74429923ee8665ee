//! Pickles that Python wrote, against the codec: contract 1.15 (PK), 1.14 (I), pitfalls 1 to 7.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may say plainly what must not happen"
)]

mod codec_support;

use codec_support::{blob, codec, decode, document, dumps, golden, inflate, limits, list, shown};
use larder::codec::{Input, json};
use larder::error::Kind;
use larder::value::{Limits, Loss, Tree, ValueKind};
use serde_json::Value;

fn name(case: &Value) -> &str {
    case["name"].as_str().unwrap_or("?")
}

/// Checks a decoded value against its description.
fn check(what: &str, tree: &Tree, case: &Value) {
    let (text, loss) = shown(tree);
    if let Some(exact) = document(case, "json") {
        assert_eq!(text, dumps(&exact), "{what}");
        assert_eq!(loss, Loss::Exact, "{what}");
    } else if let Some(lax) = document(case, "json_lax") {
        assert_eq!(text, dumps(&lax), "{what}");
        assert_eq!(loss, Loss::Lossy, "{what}");
    }
    let kind = match case["type"].as_str().expect("a type") {
        "NoneType" => ValueKind::Null,
        "bool" => ValueKind::Bool,
        "int" => ValueKind::Int,
        "float" => ValueKind::Float,
        "str" | "django.utils.safestring.SafeString" => ValueKind::Text,
        "bytes" | "bytearray" => ValueKind::Bytes,
        "list" | "tuple" | "set" | "frozenset" | "collections.deque" => ValueKind::List,
        "dict" | "collections.OrderedDict" | "collections.defaultdict" | "collections.Counter" => ValueKind::Dict,
        _ => ValueKind::Other,
    };
    assert_eq!(tree.kind(), kind, "{what}");
}

#[test]
fn every_value_is_read_from_every_protocol() {
    let data = golden("pickles.json");
    let mut read = 0;
    for case in list(&data, "cases") {
        for (protocol, pickle) in case["pickles"].as_object().expect("pickles by protocol") {
            let Some(pickle) = blob(pickle) else { continue };
            let what = format!("{} in protocol {protocol}", name(case));
            let tree = decode(pickle).unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&what, &tree, case);
            read += 1;
        }
    }
    assert!(read > 1000, "only {read} pickles were read");
}

#[test]
fn pickles_of_other_writers_are_read() {
    let data = golden("pickles.json");
    for case in list(&data, "other_writers") {
        let what = format!("{} by {} in protocol {}", name(case), case["writer"], case["protocol"]);
        let tree = decode(blob(&case["pickle"]).expect("a pickle")).unwrap_or_else(|error| panic!("{what}: {error}"));
        check(&what, &tree, case);
    }
}

#[test]
fn json_is_written_as_python_pickles_it() {
    let data = golden("pickles.json");
    let mut written = 0;
    for case in list(&data, "cases") {
        let Some(text) = document(case, "json") else { continue };
        // These were not made by json.loads: two places hold one object that JSON would make twice (PK-2).
        if matches!(name(case), "shared list" | "shared strings" | "300 memo entries, all shared") {
            continue;
        }
        for protocol in 0..=5 {
            let expected = blob(&case["pickles"][protocol.to_string()]).expect("a pickle");
            let pickle = codec(protocol).encode(Input::Json(text.as_bytes())).expect("it can be written").bytes;
            assert!(
                pickle == expected,
                "{} in protocol {protocol}:\n{}\n{}",
                name(case),
                pickle.escape_ascii(),
                expected.escape_ascii()
            );
            written += 1;
        }
    }
    assert!(written > 300, "only {written} pickles were written");
}

#[test]
fn texts_bytes_and_numbers_are_written_as_python_pickles_them() {
    let data = golden("pickles.json");
    for case in list(&data, "cases") {
        for protocol in 0..=5 {
            let Some(expected) = blob(&case["pickles"][protocol.to_string()]) else { continue };
            let tree = decode(expected.clone()).expect("it can be read");
            let codec = codec(protocol);
            let number = tree.number().filter(|_| tree.boolean().is_none());
            let pickle = match case["type"].as_str() {
                Some("bytes") => codec.encode(Input::Bytes(tree.bytes().expect("bytes").0)),
                Some("str") => match tree.text() {
                    Some((text, Loss::Exact)) => codec.encode(Input::Text(&text)),
                    _ => continue,
                },
                Some("int" | "float") => codec.encode(Input::Number(&number.expect("a number"))),
                _ => continue,
            };
            assert!(pickle.expect("it can be written").bytes == expected, "{} in protocol {protocol}", name(case));
        }
    }
}

#[test]
fn handmade_pickles_read_as_in_python() {
    let data = golden("pickles.json");
    for case in list(&data, "handmade") {
        let pickle = blob(&case["pickle"]).or_else(|| case["pickle_zlib"].as_str().map(inflate)).expect("a pickle");
        let result = decode(pickle);
        match (case["python"].get("returns"), result) {
            // 2**24 leaves: too many to show, quickly, and none too many to read.
            (Some(_), Ok(tree)) if name(case).contains("2**24 leaves") => {
                let few = Limits { nodes: 100_000, ..Limits::default() };
                assert_eq!(json::write(&tree, &few).expect_err("too many nodes").kind(), Kind::TooBig);
                let short = Limits { bytes: 100_000, ..Limits::default() };
                assert_eq!(json::write(&tree, &short).expect_err("too many bytes").kind(), Kind::TooBig);
            }
            (Some(expected), Ok(tree)) => check(name(case), &tree, expected),
            (Some(_), Err(error)) => panic!("{}: {error}", name(case)),
            (None, Err(error)) => {
                assert!(matches!(error.kind(), Kind::Undecodable | Kind::TooBig), "{}: {error}", name(case));
            }
            // PK-7: a class is only a name here, so it does not matter whether Python could import it.
            (None, Ok(tree)) if name(case) == "GLOBAL of a missing module" => {
                assert_eq!(shown(&tree).0, r#"{"$object": "no_such_module_x.thing"}"#);
            }
            (None, Ok(tree)) => panic!("{}: read as {:?}", name(case), tree.kind()),
        }
    }
}

#[test]
fn nothing_that_is_read_is_executed() {
    let folder = std::env::temp_dir().join(format!("larder-codec-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a private folder");
    std::env::set_current_dir(&folder).expect("the folder is there");
    let data = golden("pickles.json");
    let (mut opaque, mut refused) = (0, 0);
    for case in list(&data, "malicious") {
        match decode(blob(&case["pickle"]).expect("a pickle")) {
            Ok(tree) => {
                let (text, _) = shown(&tree);
                assert!(json::read(text.as_bytes(), &limits()).is_ok(), "{}: {text}", name(case));
                opaque += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), Kind::Undecodable, "{}", name(case));
                refused += 1;
            }
        }
    }
    assert!(opaque > 20 && refused >= 4, "{opaque} were shown as data, {refused} were refused");
    let left: Vec<_> = std::fs::read_dir(&folder).expect("the folder is there").collect();
    assert!(left.is_empty(), "something was executed: {left:?}");
    std::fs::remove_dir(&folder).expect("the folder is empty");
}
