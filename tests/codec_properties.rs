//! What holds for all values and all bytes: nothing panics, a glance agrees with a whole reading, and JSON survives
//! a pickle.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may say plainly what must not happen"
)]

mod codec_support;

use bytes::Bytes;
use codec_support::documents::document;
use codec_support::{blob, decode, golden, list};
use larder::codec::{Codec, Form, Glance, Input, json};
use larder::error::Kind;
use larder::value::{Limits, Loss, Number, ValueKind};
use num_bigint::BigInt;
use proptest::collection::vec;
use proptest::prelude::*;

/// Small enough that nothing takes long.
fn limits() -> Limits {
    Limits { bytes: 1 << 20, nodes: 1 << 16, depth: 1000 }
}

fn codec(protocol: u8, raw_integers: bool) -> Codec {
    let form = if raw_integers { Form::RedisIntegers } else { Form::Pickle };
    Codec::pickling(protocol, form, limits())
}

fn shown(tree: &larder::value::Tree) -> (String, Loss) {
    json::write(tree, &limits()).expect("it can be shown")
}

/// Reads bytes in every way. What is read can be shown, and its glance says the same.
fn look_at(stored: &[u8], raw_integers: bool) {
    let codec = codec(5, raw_integers);
    let glance = codec.glance(stored.into());
    let tree = match codec.decode(&Bytes::copy_from_slice(stored).into()) {
        Ok(tree) => tree,
        Err(error) => {
            assert_eq!(glance, None, "{error}: {}", stored.escape_ascii());
            return;
        }
    };
    let _ = (tree.text(), tree.bytes(), tree.number(), tree.int_text(), tree.type_name(), tree.len());
    if let Ok((text, loss)) = json::write(&tree, &limits()) {
        let again = json::read(text.as_bytes(), &limits()).expect("what is shown is JSON");
        if loss == Loss::Exact {
            assert_eq!(shown(&again), (text, loss));
        }
    }
    match glance {
        None => {}
        Some(Glance::Null) => assert!(tree.is_none()),
        Some(Glance::Bool(value)) => assert_eq!(tree.boolean(), Some(value)),
        Some(Glance::Int(value)) => assert_eq!(tree.int64(), Some(value)),
        Some(Glance::Float(value)) => assert_eq!(tree.float().map(f64::to_bits), Some(value.to_bits())),
        Some(Glance::Text(value)) => assert_eq!(tree.text(), Some((value.into(), Loss::Exact))),
        Some(Glance::Bytes(value)) => assert_eq!(tree.bytes(), Some((value, Loss::Exact))),
    }
}

/// The golden pickles that are short enough to be worth damaging.
fn golden_pickles() -> Vec<Vec<u8>> {
    let data = golden("pickles.json");
    let cases = list(&data, "cases")
        .iter()
        .flat_map(|case| case["pickles"].as_object().into_iter().flat_map(|pickles| pickles.values()).filter_map(blob));
    let others = ["other_writers", "handmade", "malicious"];
    let others = others.iter().flat_map(|name| list(&data, name)).filter_map(|case| blob(&case["pickle"]));
    cases.chain(others).filter(|pickle| pickle.len() < 4096).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_survives_a_pickle(text in document(), protocol in 0..=5_u8, raw: bool) {
        let codec = codec(protocol, raw);
        let expected = shown(&json::read(text.as_bytes(), &limits()).expect("JSON"));
        let stored = codec.encode(Input::Json(text.as_bytes())).expect("it can be written");
        let tree = codec.decode(&stored).expect("it can be read");
        prop_assert_eq!(shown(&tree), expected);
        // And a second time, from the shown form.
        let again = codec.encode(Input::Json(shown(&tree).0.as_bytes())).expect("it can be written");
        prop_assert_eq!(again, stored);
    }

    #[test]
    fn texts_and_bytes_survive(text: String, bytes: Vec<u8>, protocol in 0..=5_u8, raw: bool) {
        let codec = codec(protocol, raw);
        let stored = codec.encode(Input::Text(&text)).expect("it can be written");
        // Protocols 0 and 1 do not begin with what tells a pickle from digits.
        prop_assert_eq!(codec.glance(stored.as_ref()), (protocol >= 2).then_some(Glance::Text(&text)));
        let tree = codec.decode(&stored).expect("it can be read");
        prop_assert_eq!(tree.text(), Some((text.as_str().into(), Loss::Exact)));
        let stored = codec.encode(Input::Bytes(&bytes)).expect("it can be written");
        if protocol >= 3 {
            prop_assert_eq!(codec.glance(stored.as_ref()), Some(Glance::Bytes(&bytes)));
        }
        let tree = codec.decode(&stored).expect("it can be read");
        prop_assert_eq!(tree.bytes(), Some((&bytes[..], Loss::Exact)));
    }

    #[test]
    fn numbers_survive(bytes in vec(any::<u8>(), 0..40), bits: u64, protocol in 0..=5_u8, raw: bool) {
        let codec = codec(protocol, raw);
        let int = Number::Int(BigInt::from_signed_bytes_le(&bytes));
        let stored = codec.encode(Input::Number(&int)).expect("it can be written");
        let tree = codec.decode(&stored).expect("it can be read");
        prop_assert_eq!(tree.kind(), ValueKind::Int);
        prop_assert_eq!(tree.number(), Some(int));
        look_at(&stored.bytes, raw);
        let float = f64::from_bits(bits);
        let stored = codec.encode(Input::Number(&Number::Float(float))).expect("it can be written");
        let tree = codec.decode(&stored).expect("it can be read");
        prop_assert_eq!(tree.float().map(f64::to_bits), Some(bits));
        if !float.is_nan() {
            let again = json::read(shown(&tree).0.as_bytes(), &limits()).expect("JSON");
            prop_assert_eq!(again.float().map(f64::to_bits), Some(bits));
        }
    }

    #[test]
    fn any_bytes_are_safe(bytes in vec(any::<u8>(), 0..200), raw: bool) {
        look_at(&bytes, raw);
        let _ = json::read(&bytes, &limits());
    }

    #[test]
    fn any_opcodes_are_safe(codes in vec(prop::sample::select(OPCODES), 0..60), raw: bool) {
        let mut pickle = b"\x80\x04".to_vec();
        for code in codes {
            pickle.extend_from_slice(code);
        }
        pickle.push(b'.');
        look_at(&pickle, raw);
    }

    #[test]
    fn a_glance_agrees(head in prop::sample::select(HEADS), body in prop::sample::select(OPCODES), tail in vec(any::<u8>(), 0..4)) {
        let pickle = [head, body, b"\x94.", &tail].concat();
        look_at(&pickle, false);
        look_at(&[head, body, &tail].concat(), true);
    }

    #[test]
    fn any_json_like_text_is_safe(text in "[\\[\\]{}\",:0-9eE.+\\-\\\\ua-fnrtINi ]{0,60}") {
        if let Ok(tree) = json::read(text.as_bytes(), &limits()) {
            let (text, loss) = shown(&tree);
            prop_assert_eq!(shown(&json::read(text.as_bytes(), &limits()).expect("JSON")), (text, loss));
        }
    }
}

const HEADS: &[&[u8]] = &[
    b"",
    b"\x80\x02",
    b"\x80\x04",
    b"\x80\x05",
    b"\x80\x06",
    b"\x80\x04\x95\x03\0\0\0\0\0\0\0",
    b"\x80\x04\x95\xff\0\0\0\0\0\0\0",
    b"\x80\x04\x95\0\0\0\0\0\0\0\x80",
];

/// Opcodes with arguments that make sense often enough.
const OPCODES: &[&[u8]] = &[
    b"(",
    b"0",
    b"1",
    b"2",
    b"N",
    b"\x88",
    b"\x89",
    b"K\x05",
    b"M\x01\x02",
    b"J\xff\xff\xff\xff",
    b"\x8a\x00",
    b"\x8a\x02\xff\xff",
    b"\x8a\x09\0\0\0\0\0\0\0\0\x01",
    b"\x8a\x09\0\0\0\0\0\0\0\0\0",
    b"\x8b\x01\0\0\0\x7f",
    b"G\x3f\xf0\0\0\0\0\0\0",
    b"G\x7f\xf8\0\0\0\0\0\0",
    b"\x8c\x01a",
    b"\x8c\x02\xc3\xa9",
    b"\x8c\x03\xed\xa0\x80",
    b"\x8c\x02\xc3(",
    b"\x8c\x03int",
    b"\x8c\x06latin1",
    b"\x8c\x0dEurope/Berlin",
    b"X\x02\0\0\0ab",
    b"C\x02\xff\0",
    b"C\x0a\x07\xe8\x02\x1d\x0e\x3b\x3a\x08\xff\xe2",
    b"C\x04\x07\xc9\x07\x17",
    b"B\x01\0\0\0b",
    b"U\x01a",
    b"]",
    b"}",
    b")",
    b"\x8f",
    b"a",
    b"e",
    b"s",
    b"u",
    b"\x90",
    b"\x91",
    b"t",
    b"l",
    b"d",
    b"\x85",
    b"\x86",
    b"\x87",
    b"\x94",
    b"q\x00",
    b"q\x07",
    b"h\x00",
    b"h\x01",
    b"h\x02",
    b"h\x07",
    b"r\x00\x01\0\0",
    b"j\x00\x01\0\0",
    b"R",
    b"\x81",
    b"\x92",
    b"b",
    b"o",
    b"\x93",
    b"c__builtin__\nset\n",
    b"cbuiltins\nbytearray\n",
    b"cbuiltins\ngetattr\n",
    b"ccollections\nOrderedDict\n",
    b"ccollections\ndefaultdict\n",
    b"ccollections\ndeque\n",
    b"cdatetime\ndatetime\n",
    b"cdatetime\ntimedelta\n",
    b"cdatetime\ntimezone\n",
    b"cuuid\nUUID\n",
    b"cdecimal\nDecimal\n",
    b"c_codecs\nencode\n",
    b"czoneinfo\nZoneInfo\n",
    b"ccopyreg\n_reconstructor\n",
    b"ccopyreg\n__newobj__\n",
    b"cdjango.utils.safestring\nSafeString\n",
    b"ios\nsystem\n",
    b"I010\n",
    b"I01\n",
    b"I-0x_1f\n",
    b"L12L\n",
    b"F1e5\n",
    b"S'a\\x41\\101'\n",
    b"V\\u00e9\\ud83d\\ude00\n",
    b"p3\n",
    b"g3\n",
    b"\x96\x01\0\0\0\0\0\0\0c",
    b"\x98",
    b"\x97",
    b"Q",
    b"Pid\n",
    b"\x82\x01",
];

/// Every golden pickle with each of some bits flipped, some bytes left out, and cut short.
#[test]
fn damaged_pickles_are_safe() {
    for (number, pickle) in golden_pickles().into_iter().enumerate() {
        look_at(&pickle, number % 2 == 0);
        for step in 0..40_usize {
            let place = (number * 7919 + step * 104_729) % (pickle.len() * 8).max(1);
            let mut damaged = pickle.clone();
            if let Some(byte) = damaged.get_mut(place / 8) {
                *byte ^= 1 << (place % 8);
            }
            look_at(&damaged, false);
            damaged.truncate(place / 8);
            look_at(&damaged, false);
            let mut shorter = pickle.clone();
            if place / 8 < shorter.len() {
                shorter.remove(place / 8);
            }
            look_at(&shorter, true);
        }
    }
}

/// An opcode, a length of four bytes, and the bytes.
fn run(code: u8, bytes: &[u8]) -> Vec<u8> {
    [&[code], &u32::try_from(bytes.len()).unwrap().to_le_bytes()[..], bytes].concat()
}

// What follows repeats one large thing by two bytes, so often that looking at it for each would take minutes.

#[test]
fn a_long_key_is_looked_at_once() {
    let long = vec![b'x'; 1 << 20];
    let mut other = long.clone();
    other[(1 << 20) - 1] = b'y';
    let name = [b"cbuiltins\n", &long[..], b"\n"].concat();
    let shared = [run(b'X', &long), run(b'X', &other), run(b'B', &long), run(b'X', &long), run(0x8b, &long), name];
    let mut pickle = b"\x80\x04".to_vec();
    for (number, shared) in (0..).zip(&shared) {
        pickle.extend_from_slice(&[shared, &[b'q', number, b'0'][..]].concat());
    }
    // Few texts; keys of all kinds, in tuples and frozensets too; keys that are equal but apart.
    let few = b"}(h\0K\x01h\x01K\x02u";
    let more = b"h\x02K\x03h\0\x85K\x04h\x03\x85K\x05(h\x01h\x03\x91K\x06(h\0h\x01\x91K\x07h\x03K\x08";
    let rest = b"h\x04K\x09h\x05K\x0a";
    let many = [b"}(h\0K\x01h\x01K\x02", &more[..], rest, b"u"].concat();
    pickle.push(b']');
    for _ in 0..20_000 {
        pickle.extend_from_slice(&[&few[..], b"a", &many, b"a"].concat());
    }
    let last = |end: &[u8]| decode([&pickle, &b"0"[..], end, b"."].concat()).expect("it can be read");
    assert_eq!(last(few).len(), Some(2));
    assert_eq!(last(&many).len(), Some(7));
    // An int that long is not shown.
    let tree = last(&[b"}(h\0K\x01h\x01K\x02", &more[..], b"u"].concat());
    let (text, _) = json::write(&tree, &Limits::default()).expect("it can be shown");
    let (long, other) = (String::from_utf8(long).unwrap(), String::from_utf8(other).unwrap());
    let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let found = found.as_object().expect("a dict");
    assert_eq!((found.len(), &found[&long], &found[&other]), (5, &8.into(), &2.into()));
    assert_eq!(found[&format!("[\"{long}\"]")], 5);
    assert_eq!(found[&format!("[\"{other}\", \"{long}\"]")], 7);
}

#[test]
fn a_float_equals_a_long_int() {
    let mut int = vec![0; 110];
    int[109] = 1;
    let float = [&b"G"[..], &2_f64.powi(872).to_be_bytes()].concat();
    let pickle = [b"\x80\x04}(", &run(0x8b, &int)[..], b"K\x01", &float, b"K\x02u."].concat();
    let tree = decode(pickle).expect("it can be read");
    assert_eq!(shown(&tree).0, format!("{{\"{}\": 2}}", BigInt::from(2).pow(872)));
}

#[test]
fn a_long_text_is_encoded_once() {
    for text in ["x".repeat(4 << 20), "\u{e9}".repeat(2 << 20)] {
        let how = run(b'X', b"latin1");
        let mut pickle =
            [b"\x80\x02c_codecs\nencode\nq\x000", &run(b'X', text.as_bytes())[..], b"q\x010", &how].concat();
        pickle.extend_from_slice(b"q\x020");
        for _ in 0..40_000 {
            pickle.extend_from_slice(b"h\0h\x01h\x02\x86R0");
        }
        pickle.extend_from_slice(b"h\0h\x01h\x02\x86R.");
        let tree = decode(pickle).expect("it can be read");
        let expected: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        assert!(tree.bytes() == Some((&expected, Loss::Exact)));
    }
}

#[test]
fn calls_that_lead_to_nothing_count() {
    // Rows, the last of which is none: each call would look at all of them.
    let mut pickle = b"\x80\x04ccollections\nOrderedDict\nq\0K\x01K\x02\x86q\x01](".to_vec();
    pickle.extend(b"h\x01".repeat(100_000));
    pickle.extend_from_slice(b"K\0e\x85q\x02");
    let wide = Codec { limits: Limits { nodes: 1 << 20, ..Limits::default() }, ..codec(4, false) };
    let tree = wide.decode(&[&pickle[..], b"h\0h\x02R."].concat().into()).expect("it can be read");
    assert_eq!((tree.kind(), &*tree.type_name()), (ValueKind::Other, "collections.OrderedDict"));
    pickle.extend(b"h\0h\x02R0".repeat(100_000));
    pickle.push(b'.');
    assert_eq!(wide.decode(&pickle.into()).expect_err("it is too much").kind(), Kind::TooBig);
    // A name that is too long to be put together.
    let mut pickle = b"\x80\x04cbuiltins\ngetattr\nq\0cbuiltins\nobject\n".to_vec();
    pickle.extend_from_slice(&[&run(b'X', &vec![b'x'; 16 << 20])[..], b"\x86q\x01"].concat());
    pickle.extend(b"h\0h\x01R0".repeat(100_000));
    pickle.extend_from_slice(b"h\0h\x01R.");
    assert_eq!(decode(pickle).expect("it can be read").type_name(), "builtins.getattr");
}

#[test]
fn a_large_state_is_not_searched() {
    let uuid = |more: usize| {
        let mut pickle = b"\x80\x04cuuid\nUUID\nq\0}(X\x03\0\0\0intK\x05".to_vec();
        for number in 0..u32::try_from(more).unwrap() {
            pickle.extend_from_slice(&[&b"J"[..], &number.to_le_bytes(), b"N"].concat());
        }
        pickle.extend_from_slice(b"uq\x01");
        pickle
    };
    let one = |more| decode([&uuid(more)[..], b"h\0)\x81h\x01b."].concat()).expect("it can be read");
    assert_eq!(one(3).text().expect("a UUID").0, "00000000-0000-0000-0000-000000000005");
    assert_eq!(one(4).text(), None);
    let many = b"h\0)\x81h\x01b".repeat(20_000);
    let tree = decode([&uuid(100_000)[..], b"(", &many, b"l."].concat()).expect("it can be read");
    assert_eq!(json::write(&tree, &limits()).expect_err("it is too much").kind(), Kind::TooBig);
}

#[test]
fn a_timedelta_of_any_size_is_safe() {
    let text = |days: i64, seconds: i32| {
        let parts = [&days.to_le_bytes()[..], b"J", &seconds.to_le_bytes(), b"K\0\x87R."].concat();
        let tree = decode([b"\x80\x04cdatetime\ntimedelta\n\x8a\x08", &parts[..]].concat()).expect("it can be read");
        assert!(!shown(&tree).0.is_empty());
        tree.text().map(|(text, _)| text.into_owned())
    };
    assert_eq!(text(999_999_999, 86_399).unwrap(), "P999999999DT23H59M59S");
    assert_eq!(text(-999_999_999, 0).unwrap(), "-P999999999DT00H00M00S");
    assert_eq!(text(-1, 86_399).unwrap(), "-P0DT00H00M01S");
    for days in [1_000_000_000, -1_000_000_000, i64::MAX, i64::MIN] {
        assert_eq!(text(days, 0), None);
    }
}
