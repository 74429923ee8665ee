//! The same values and bytes here and in Python's packages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use larder::codec::{Codec, Form, Input, Serializer};
use larder::error::Kind;
use larder::value::Tree;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::codec_support::documents::document;
use super::codec_support::{base64, shown};
use super::python::Partner;
use super::random::Random;
use super::{codec, decode};

/// How many documents are made up, of each of two kinds.
const DOCUMENTS: usize = 150;

/// Whether msgpack has all that a document may hold: no lone surrogates, no large ints.
fn is_plain(document: &str) -> bool {
    let long = |run: &str| run.len() > 19 && !run.contains('.');
    !document.contains("\\ud") && !document.split(|c: char| !c.is_ascii_digit() && c != '.').any(long)
}

/// The same documents in every run.
fn documents() -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let mut all = Vec::new();
    for plain in [false, true] {
        let made = std::iter::repeat_with(|| document().new_tree(&mut runner).expect("a document").current());
        all.extend(made.filter(|text| !plain || is_plain(text)).take(DOCUMENTS));
    }
    // Values that stand for themselves, around the bounds of forms.
    let ints = [7, 8, 15, 16, 31, 32, 63, 64, 65, 200].into_iter().flat_map(|bits| {
        let bound = num_bigint::BigInt::from(2).pow(bits);
        [-1, 0, 1].into_iter().flat_map(move |more| [format!("{}", &bound + more), format!("-{}", &bound + more)])
    });
    let lengths = [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536];
    let texts = lengths.into_iter().map(|len| format!("\"{}\"", "x".repeat(len)));
    let lists = lengths.into_iter().take(7).map(|len| format!("[{}]", vec!["\"ab\""; len].join(",")));
    let dicts = [0, 1, 2, 15, 16, 999, 1000, 1001]
        .into_iter()
        .map(|len| format!("{{{}}}", (0..len).map(|n| format!("\"k{n}\": {n}")).collect::<Vec<_>>().join(",")));
    let floats = ["NaN", "Infinity", "-Infinity", "-0.0", "1e16", "1e-5", "5e-324", "1.7976931348623157e308"];
    let floats = floats.map(str::to_owned);
    all.into_iter().chain(ints).chain(texts).chain(lists).chain(dicts).chain(floats).collect()
}

/// The type and JSON text as the partner describes a value.
fn described(tree: &Tree) -> Value {
    let name = tree.type_name();
    let name = name.rsplit('.').next().unwrap_or_default();
    json!([name, shown(tree).0])
}

fn all_same(what: &str, codec: &Codec, stored: &[Vec<u8>], answers: &Value) {
    for (bytes, expected) in stored.iter().zip(answers.as_array().expect("answers")) {
        let said = || format!("{what}: {:.300}", bytes.escape_ascii().to_string());
        match decode(codec, bytes) {
            Ok(tree) => assert_eq!(described(&tree), *expected, "{}", said()),
            Err(error) => {
                assert!(expected.is_null(), "{}: {error} but {expected:.300}", said());
                assert!(matches!(error.kind(), Kind::Undecodable | Kind::TooBig), "{}: {error}", said());
            }
        }
    }
}

fn encoded(stored: &[Vec<u8>]) -> Vec<String> {
    stored.iter().map(|bytes| STANDARD.encode(bytes)).collect()
}

#[test]
fn documents_are_written_and_read_as_by_python() {
    let mut python = Partner::start("codec_serializers/partner.py");
    let documents = documents();
    let all = [("json", 4, Serializer::Json), ("msgpack", 4, Serializer::MsgPack)];
    let pickles = (0..=5).map(|protocol| ("pickle", protocol, Serializer::Pickle(protocol)));
    for (name, protocol, serializer) in all.into_iter().chain(pickles) {
        let codec = codec(serializer, Form::Pickle);
        let answers = python.must("dumps", json!({"name": name, "documents": &documents, "protocol": protocol}));
        let mut written = Vec::new();
        for (text, expected) in documents.iter().zip(answers.as_array().expect("answers")) {
            let said = || format!("{name} {protocol}: {text:.200}");
            match codec.encode(Input::Json(text.as_bytes())) {
                Ok(stored) => {
                    let expected = base64(expected.as_str().unwrap_or_else(|| panic!("{}: not in Python", said())));
                    let (ours, theirs) = (stored.bytes.escape_ascii(), expected.escape_ascii());
                    assert!(stored.bytes == expected, "{}:\n{ours:.3000}\n{theirs:.3000}", said());
                    written.push(expected);
                }
                Err(error) => {
                    assert!(expected.is_null(), "{}: {error}", said());
                    assert_eq!(error.kind(), Kind::Type, "{}", said());
                }
            }
        }
        assert!(written.len() > DOCUMENTS + 50, "{name} {protocol}: {}", written.len());
        let answers = python.must("loads", json!({"name": name, "stored": encoded(&written)}));
        all_same(name, &codec, &written, &answers);
    }
    // Keys that are there twice, and some that only look so.
    let texts = [r#"{"a": 1, "b": 2, "a": 3}"#, r#"{"": 1, "": {}}"#, r#"{"\u0061": 1, "a": 2}"#];
    let stored: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let answers = python.must("loads", json!({"name": "json", "stored": encoded(&stored)}));
    all_same("json", &codec(Serializer::Json, Form::Pickle), &stored, &answers);
    let packed: Vec<Vec<u8>> =
        [&b"\x82\xa1a\x01\xa1a\x02"[..], b"\x83\xa1a\x01\xc4\x01a\x02\xa1a\x03", b"\x82\xc4\x01b\x01\xc4\x01b\x02"]
            .map(<[u8]>::to_vec)
            .into();
    let answers = python.must("loads", json!({"name": "msgpack", "stored": encoded(&packed)}));
    all_same("msgpack", &codec(Serializer::MsgPack, Form::Pickle), &packed, &answers);
}

/// Bits flipped, bytes left out, cut short, and put together at random.
#[test]
fn damaged_values_are_read_or_refused_as_by_python() {
    let mut python = Partner::start("codec_serializers/partner.py");
    let mut random = Random(11);
    let documents = documents();
    for (name, serializer) in [("json", Serializer::Json), ("msgpack", Serializer::MsgPack)] {
        let codec = codec(serializer, Form::Pickle);
        let mut damaged: Vec<Vec<u8>> = Vec::new();
        for text in documents.iter().filter(|text| text.len() < 2000) {
            let Ok(stored) = codec.encode(Input::Json(text.as_bytes())) else { continue };
            for _ in 0..10 {
                let mut bytes = stored.bytes.to_vec();
                let place = random.below(bytes.len());
                match random.below(5) {
                    0 => bytes.truncate(place),
                    1 => drop(bytes.remove(place)),
                    2 => bytes.insert(place, u8::try_from(random.below(256)).unwrap()),
                    3 => bytes[place] = u8::try_from(random.below(256)).unwrap(),
                    _ => bytes[place] ^= 1 << random.below(8),
                }
                damaged.push(bytes);
            }
        }
        for _ in 0..3000 {
            let len = 1 + random.below(12);
            damaged.push(random.bytes(len, 0..=255));
            // Mostly arrays, maps and small things.
            let heads = b"\x81\x82\x91\x92\xa1a\xc4\x01b\xc0\xc2\xd4\xd6\xff\x05\xcc\xd0\xca\xcb";
            damaged.push((0..len).map(|_| heads[random.below(heads.len())]).collect());
            let tokens =
                ["[", "]", "{", "}", ",", ":", "\"a\"", "1", "-", ".5", "e2", " ", "null", "NaN", "\\u00e9", "\"", "0"];
            damaged.push((0..len).flat_map(|_| tokens[random.below(tokens.len())].bytes()).collect());
        }
        let answers = python.must("loads", json!({"name": name, "stored": encoded(&damaged)}));
        let read = answers.as_array().expect("answers").iter().filter(|answer| !answer.is_null()).count();
        assert!(read > 500, "{name}: only {read} of {} can be read", damaged.len());
        all_same(name, &codec, &damaged, &answers);
    }
}

#[test]
fn django_valkey_s_numbers_are_read_and_written_as_by_itself() {
    let mut python = Partner::start("codec_serializers/partner.py");
    let mut random = Random(12);
    let mut texts: Vec<Vec<u8>> = [
        &b""[..],
        b"12",
        b"-5",
        b"+5",
        b" 5",
        b"5\n",
        b"\x0b5\x0c",
        b"1_0",
        b"1__0",
        b"_1",
        b"1_",
        b"1e5",
        b"1e_5",
        b"1_0e1_0",
        b"1._5",
        b"1_.5",
        b"nan",
        b"NaN",
        b"-nan",
        b"+inf",
        b"Infinity",
        b"iNFinity",
        b"infinit",
        b"0x10",
        b"1.",
        b".5",
        b".",
        b"1e",
        b"e5",
        b"\xff",
        b"\xc2\xa05",
        b"5\0",
        b"\xd9\xa3",
        b"\x1c5",
        b"\x855",
        b"007",
        b"1e400",
        b"-1e400",
        b"1e-400",
        b"- 5",
        b"--5",
        b"1 2",
        b"nan_",
        b"in_f",
        b"1e+_5",
        b".e1",
        b"1.e1",
        b"1d5",
        b"0b1",
        b"\xb2",
        b"-0",
        b"0",
        b"+nan",
        b"inf ",
    ]
    .map(<[u8]>::to_vec)
    .into();
    texts.extend([4300, 4301].map(|len| b"7".repeat(len)));
    texts.push([&b"-"[..], &b"7".repeat(5000)].concat());
    let characters = b"0123456789+-._eE \tinfaxNI";
    for _ in 0..4000 {
        let len = 1 + random.below(7);
        texts.push((0..len).map(|_| characters[random.below(characters.len())]).collect());
    }
    // Also the values that are not bare.
    texts.extend(
        [&b"\x80\x04\x88."[..], b"\x80\x04N.", b"I01\n.", b"true", b"\"5\"", b"[1]", b"\xa1a", b"\x93\x01\x02\x03"]
            .map(<[u8]>::to_vec),
    );
    let documents: Vec<String> = documents().into_iter().filter(|text| text.len() < 1000).collect();
    for (name, serializer) in
        [("json", Serializer::Json), ("msgpack", Serializer::MsgPack), ("pickle", Serializer::Pickle(4))]
    {
        let codec = codec(serializer, Form::ValkeyNumbers);
        let answers = python.must("valkey_decode", json!({"name": name, "stored": encoded(&texts)}));
        all_same(name, &codec, &texts, &answers);
        let answers = python.must("valkey_encode", json!({"name": name, "documents": &documents}));
        for (text, expected) in documents.iter().zip(answers.as_array().expect("answers")) {
            match codec.encode(Input::Json(text.as_bytes())) {
                Ok(stored) => assert_eq!(Some(STANDARD.encode(&stored.bytes).as_str()), expected.as_str(), "{text}"),
                Err(error) => assert!(expected.is_null(), "{name}: {text}: {error}"),
            }
        }
    }
}
