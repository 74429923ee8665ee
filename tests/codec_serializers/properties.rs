//! What holds for all values and all bytes.

use larder::codec::{Codec, Form, Glance, Input, Serializer, json, msgpack};
use larder::error::Kind;
use larder::value::{Limits, Loss, Number, ValueKind};
use proptest::collection::vec;
use proptest::prelude::*;

use super::codec_support::documents::document;
use super::trees::tree;
use super::{CONFIGS, codec, decode, write};

/// Small enough that nothing takes long.
fn small() -> Limits {
    Limits { bytes: 1 << 20, nodes: 1 << 16, depth: 1000 }
}

fn small_codec(serializer: Serializer, form: Form) -> Codec {
    Codec { limits: small(), ..codec(serializer, form) }
}

/// The number of one of [`CONFIGS`].
fn which() -> impl Strategy<Value = usize> {
    0..CONFIGS.len()
}

fn form() -> impl Strategy<Value = Form> {
    prop::sample::select(vec![Form::Pickle, Form::RedisIntegers, Form::ValkeyNumbers])
}

/// Reads bytes in every way; what a glance says is what a whole reading says.
fn look_at(codec: &Codec, stored: &[u8]) {
    let glance = codec.glance(stored.into());
    let Ok(tree) = decode(codec, stored) else {
        assert_eq!(glance, None, "{}", stored.escape_ascii());
        return;
    };
    let _ = json::write(&tree, &codec.limits);
    let _ = (json::serialise_tree(&tree, &codec.limits), msgpack::write(&tree, &codec.limits));
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_survives(text in document(), which in which(), form in form()) {
        let codec = small_codec(CONFIGS[which].1.clone(), form);
        let expected = json::read(text.as_bytes(), &small()).expect("JSON");
        let stored = match codec.encode(Input::Json(text.as_bytes())) {
            Ok(stored) => stored,
            Err(error) => {
                // Large ints and lone surrogates are all that it may not like.
                prop_assert!(matches!(codec.serializer, Serializer::MsgPack) && error.kind() == Kind::Type, "{}", error);
                return Ok(());
            }
        };
        look_at(&codec, &stored.bytes);
        let tree = codec.decode(&stored).expect("it can be read");
        if form == Form::ValkeyNumbers && tree.kind() == ValueKind::Float && expected.kind() == ValueKind::Int {
            prop_assert_eq!(tree.float(), expected.number().map(|number| number.to_f64())); // -5 is -5.0
            return Ok(());
        }
        let (ours, theirs) = (json::write(&tree, &small()).unwrap(), json::write(&expected, &small()).unwrap());
        // Two escapes that are one character in JSON are so from then on.
        if theirs.1 == Loss::Exact {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn texts_bytes_and_floats_survive(text: String, bytes: Vec<u8>, bits: u64, which in which(), form in form()) {
        let codec = small_codec(CONFIGS[which].1.clone(), form);
        let stored = codec.encode(Input::Text(&text)).expect("it can be written");
        look_at(&codec, &stored.bytes);
        let tree = codec.decode(&stored).expect("it can be read");
        prop_assert_eq!(tree.text(), Some((text.as_str().into(), Loss::Exact)));
        if matches!(codec.serializer, Serializer::Json) {
            prop_assert_eq!(codec.encode(Input::Bytes(&bytes)).unwrap_err().kind(), Kind::Type);
        } else {
            let stored = codec.encode(Input::Bytes(&bytes)).expect("it can be written");
            look_at(&codec, &stored.bytes);
            let tree = codec.decode(&stored).expect("it can be read");
            prop_assert_eq!(tree.bytes(), Some((&bytes[..], Loss::Exact)));
        }
        let float = f64::from_bits(bits);
        let stored = codec.encode(Input::Number(&Number::Float(float))).expect("it can be written");
        look_at(&codec, &stored.bytes);
        let read = codec.decode(&stored).expect("it can be read").float().expect("a float");
        prop_assert!(read.to_bits() == bits || read.is_nan() && float.is_nan());
    }

    #[test]
    fn any_bytes_are_safe(bytes in vec(any::<u8>(), 0..200), which in which(), form in form()) {
        look_at(&small_codec(CONFIGS[which].1.clone(), form), &bytes);
    }

    #[test]
    fn damaged_values_are_safe(text in document(), which in which(), place: u32, bit in 0..8_u32) {
        let codec = small_codec(CONFIGS[which].1.clone(), Form::Pickle);
        let Ok(stored) = codec.encode(Input::Json(text.as_bytes())) else { return Ok(()) };
        let place = place as usize % stored.bytes.len();
        look_at(&codec, &stored.bytes[..place]);
        let mut damaged = stored.bytes.to_vec();
        damaged[place] ^= 1 << bit;
        look_at(&codec, &damaged);
        damaged.remove(place);
        look_at(&codec, &damaged);
    }

    #[test]
    fn any_number_like_text_is_safe(text in "[ 0-9+\\-._eEinfatyNI]{0,12}") {
        look_at(&small_codec(Serializer::Json, Form::ValkeyNumbers), text.as_bytes());
        look_at(&small_codec(Serializer::MsgPack, Form::RedisIntegers), text.as_bytes());
    }
}

#[test]
fn depth_is_bounded() {
    let deep = |begin: &[u8]| begin.repeat(1_000_000);
    for (serializer, begin) in [
        (Serializer::MsgPack, &b"\x91"[..]),
        (Serializer::MsgPack, b"\x81\xa1a"),
        (Serializer::MsgPack, b"\x81"),
        (Serializer::MsgPack, b"\xdd\0\0\0\x01"),
        (Serializer::Json, b"["),
        (Serializer::Json, b"{\"a\":"),
    ] {
        let error = decode(&codec(serializer, Form::Pickle), &deep(begin)).unwrap_err();
        assert!(matches!(error.kind(), Kind::TooBig | Kind::Undecodable), "{error}");
    }
    // As deep as Python goes, where the limits allow it, and no deeper.
    let wide =
        Codec { limits: Limits { depth: 5000, ..Limits::default() }, ..codec(Serializer::MsgPack, Form::Pickle) };
    for (levels, fits) in [(1024, true), (1025, false)] {
        let json = [&b"[".repeat(levels)[..], b"5", &b"]".repeat(levels)].concat();
        let stored = [&b"\x91".repeat(levels)[..], b"\x05"].concat();
        assert_eq!(wide.encode(Input::Json(&json)).is_ok_and(|written| written.bytes == stored), fits);
        assert_eq!(decode(&wide, &stored).is_ok(), fits);
    }
    // A list that holds itself, and one that holds itself often.
    for cycle in [&b"]\x94h\0a"[..], b"]\x94(h\0h\0h\0e"] {
        for serializer in [Serializer::Json, Serializer::MsgPack] {
            assert_eq!(write(&serializer, &tree(cycle)).unwrap_err().kind(), Kind::TooBig);
        }
    }
}

#[test]
fn declared_lengths_are_not_believed() {
    let codec = codec(Serializer::MsgPack, Form::Pickle);
    for (head, is_sized) in [
        (0xc4, 1),
        (0xc5, 2),
        (0xc6, 4),
        (0xd9, 1),
        (0xda, 2),
        (0xdb, 4),
        (0xdc, 2),
        (0xdd, 4),
        (0xde, 2),
        (0xdf, 4),
        (0xc7, 1),
        (0xc8, 2),
        (0xc9, 4),
    ] {
        for tail in [&b""[..], b"\x05", b"\x05\x05\x05\x05\x05"] {
            let stored = [&[head], &[0xff; 4][..is_sized], tail].concat();
            // Many of them, one in the other, would be many times as much.
            for stored in [stored.clone(), [&b"\x91\x92"[..], &stored].concat(), stored.repeat(1000)] {
                assert_eq!(decode(&codec, &stored).unwrap_err().kind(), Kind::Undecodable, "{head:x}");
            }
        }
    }
}

#[test]
fn limits_hold() {
    let limits = Limits { bytes: 100, nodes: 50, depth: 5 };
    for serializer in [Serializer::Json, Serializer::MsgPack, Serializer::Pickle(0), Serializer::Pickle(1)] {
        let codec = Codec { limits, ..codec(serializer.clone(), Form::Pickle) };
        let wide = super::codec(serializer, Form::Pickle);
        let kind = |text: &str| codec.encode(Input::Json(text.as_bytes())).unwrap_err().kind();
        assert_eq!(kind(&format!("[{}1]", "1,".repeat(60))), Kind::TooBig);
        assert_eq!(kind("[[[[[[1]]]]]]"), Kind::TooBig);
        assert_eq!(codec.encode(Input::Text(&"x".repeat(101))).unwrap_err().kind(), Kind::TooBig);
        assert_eq!(codec.encode(Input::Text(&"\u{1F600}".repeat(30))).unwrap_err().kind(), Kind::TooBig);
        assert_eq!(codec.encode(Input::Stored(&[b'x'; 101])).unwrap_err().kind(), Kind::TooBig);
        for text in [format!("[{}1]", "1,".repeat(60)), format!("\"{}\"", "x".repeat(101))] {
            let stored = wide.encode(Input::Json(text.as_bytes())).expect("it can be written");
            assert_eq!(codec.decode(&stored).unwrap_err().kind(), Kind::TooBig, "{text}");
            assert_eq!(codec.glance(stored.as_ref()), None);
        }
    }
}
