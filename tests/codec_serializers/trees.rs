//! Types that a format has, has not, or has in its own way.

use bytes::Bytes;
use larder::codec::{Form, Input, Serializer};
use larder::error::Kind;
use larder::value::{Loss, Number, Tree, ValueKind};
use num_bigint::BigInt;

use super::codec_support::shown;
use super::{codec, decode, redis, write};

#[test]
fn what_a_serializer_lacks_is_an_error_of_type() {
    let kind = |serializer: Serializer, input: Input<'_>| {
        codec(serializer, Form::Pickle).encode(input).map(drop).map_err(|error| error.kind())
    };
    let error = codec(Serializer::Json, Form::Pickle).encode(Input::Bytes(b"x")).unwrap_err();
    assert_eq!(error.kind(), Kind::Type);
    assert!(error.reason().contains("pickle"), "{error}");
    let int = |exponent: u32| Number::Int(BigInt::from(2).pow(exponent));
    for (exponent, fits) in [(63, Ok(())), (64, Err(Kind::Type)), (300, Err(Kind::Type))] {
        assert_eq!(kind(Serializer::MsgPack, Input::Number(&int(exponent))), fits);
        assert_eq!(
            kind(Serializer::MsgPack, Input::Json(format!("[{}]", BigInt::from(2).pow(exponent)).as_bytes())),
            fits
        );
        assert_eq!(kind(Serializer::Json, Input::Number(&int(exponent))), Ok(()));
    }
    assert_eq!(kind(Serializer::MsgPack, Input::Number(&Number::Int(-BigInt::from(2).pow(63) - 1))), Err(Kind::Type));
    for surrogate in [&br#""\ud800""#[..], br#"{"\udfff": 1}"#] {
        assert_eq!(kind(Serializer::MsgPack, Input::Json(surrogate)), Err(Kind::Type));
        assert_eq!(kind(Serializer::Json, Input::Json(surrogate)), Ok(()));
    }
    for serializer in [Serializer::Json, Serializer::Pickle(0), Serializer::Pickle(1)] {
        assert_eq!(kind(serializer.clone(), Input::Number(&int(14_290))), Err(Kind::TooBig), "4300 digits");
        assert_eq!(kind(serializer, Input::Json(b"[")), Err(Kind::Invalid));
    }
    assert_eq!(kind(Serializer::MsgPack, Input::Json(b"[")), Err(Kind::Invalid));
}

/// A tree from the opcodes of a pickle.
pub fn tree(opcodes: &[u8]) -> Tree {
    decode(&codec(Serializer::Pickle(5), Form::Pickle), &[b"\x80\x04", opcodes, b"."].concat()).expect("a pickle")
}

#[test]
fn trees_become_json_as_with_djangos_encoder() {
    let written = |opcodes: &[u8]| {
        let tree = tree(opcodes);
        write(&Serializer::Json, &tree).map(|text| String::from_utf8(text).unwrap()).map_err(|error| error.kind())
    };
    let text = |text: &str| Ok(text.to_owned());
    // Keys (Python gives all of these).
    assert_eq!(
        written(b"}(K\x01NNN\x88N\x89NG\x3f\xf8\0\0\0\0\0\0NG\x7f\xf8\0\0\0\0\0\0NG\x7f\xf0\0\0\0\0\0\0Nu"),
        text(r#"{"1": null, "null": null, "false": null, "1.5": null, "NaN": null, "Infinity": null}"#)
    );
    for key in [&b"C\x01a"[..], b"K\x01\x85", b"cdatetime\ndate\nC\x04\x07\xe8\x05\x06\x85R"] {
        assert_eq!(written(&[b"}", key, b"Ns"].concat()), Err(Kind::Type), "{}", key.escape_ascii());
    }
    // Containers.
    assert_eq!(written(b"K\x01]\x86"), text("[1, []]"));
    assert_eq!(written(b"ccollections\nOrderedDict\n)R\x8c\x01aNs"), text(r#"{"a": null}"#));
    assert_eq!(written(b"cdjango.utils.safestring\nSafeString\n\x8c\x01a\x85\x81"), text(r#""a""#));
    for lacking in
        [&b"\x8f"[..], b"(K\x01\x91", b"ccollections\ndeque\n)R", b"cbuiltins\ncomplex\n)R", b"cbuiltins\nint\n"]
    {
        assert_eq!(written(lacking), Err(Kind::Type), "{}", lacking.escape_ascii());
        assert_eq!(written(&[b"]", lacking, b"a"].concat()), Err(Kind::Type), "{}", lacking.escape_ascii());
    }
    // Dates and times.
    let utc = b"cdatetime\ntimezone\ncdatetime\ntimedelta\nK\0K\0K\0\x87R\x85R";
    let hour = b"cdatetime\ntimezone\ncdatetime\ntimedelta\nK\0M\x10\x0eK\0\x87R\x85R";
    let zone = |name: &[u8]| {
        let name = [&[0x8c, u8::try_from(name.len()).unwrap()], name].concat();
        [b"czoneinfo\nZoneInfo\n", &name[..], b"\x85R"].concat()
    };
    let moment = |micros: &[u8; 3], zone: &[u8]| {
        let opcodes = [b"cdatetime\ndatetime\nC\x0a\x07\xe8\x05\x06\x07\x08\x09", &micros[..], zone];
        written(&[&opcodes.concat()[..], if zone.is_empty() { &b"\x85R"[..] } else { b"\x86R" }].concat())
    };
    assert_eq!(moment(b"\x01\xe2\x40", b""), text("\"2024-05-06T07:08:09.123\""));
    assert_eq!(moment(b"\0\0\x01", b""), text("\"2024-05-06T07:08:09.000\""));
    assert_eq!(moment(b"\0\0\0", b""), text("\"2024-05-06T07:08:09\""));
    assert_eq!(moment(b"\x01\xe2\x40", utc), text("\"2024-05-06T07:08:09.123Z\""));
    assert_eq!(moment(b"\0\0\0", utc), text("\"2024-05-06T07:08:09Z\""));
    assert_eq!(moment(b"\x01\xe2\x40", hour), text("\"2024-05-06T07:08:09.123+01:00\""));
    assert_eq!(moment(b"\x01\xe2\x40", &zone(b"UTC")), text("\"2024-05-06T07:08:09.123Z\""));
    assert_eq!(moment(b"\x01\xe2\x40", &zone(b"Europe/Berlin")), Err(Kind::Type));
    let clock = |zone: &[u8]| written(&[b"cdatetime\ntime\nC\x06\x07\x08\x09\x01\xe2\x40", zone].concat());
    assert_eq!(clock(b"\x85R"), text("\"07:08:09.123\""));
    assert_eq!(clock(&[&utc[..], b"\x86R"].concat()), Err(Kind::Type));
    assert_eq!(written(b"cdatetime\ntime\nC\x06\x07\x08\x09\0\0\0\x85R"), text("\"07:08:09\""));
    // DR-13's own example.
    assert_eq!(written(b"cdatetime\ntimedelta\nK\x01K\x05K\0\x87R"), text("\"P1DT00H00M05S\""));
}

#[test]
fn msgpack_extension_types_are_data() {
    for (stored, expected) in [
        (&b"\xd6\xff\0\0\0\x01"[..], r#"{"$object": "msgpack.ext.Timestamp", "args": [1, 0]}"#),
        (b"\xd7\xff\0\0\0\x08\0\0\0\x01", r#"{"$object": "msgpack.ext.Timestamp", "args": [1, 2]}"#),
        (
            b"\xc7\x0c\xff\0\0\0\x05\xff\xff\xff\xff\xff\xff\xff\xff",
            r#"{"$object": "msgpack.ext.Timestamp", "args": [-1, 5]}"#,
        ),
        (b"\xd4\x05a", r#"{"$object": "msgpack.ext.ExtType", "args": [5, {"$bytes": "YQ=="}]}"#),
        (b"\xc7\0\x7f", r#"{"$object": "msgpack.ext.ExtType", "args": [127, {"$bytes": ""}]}"#),
    ] {
        let tree = decode(&redis(Serializer::MsgPack), stored).expect("it can be read");
        assert_eq!(shown(&tree), (expected.to_owned(), Loss::Lossy));
        assert_eq!(write(&Serializer::MsgPack, &tree).expect("it can be written"), stored);
    }
    // A timestamp that could be shorter is written shorter.
    let tree = decode(&redis(Serializer::MsgPack), b"\xc7\x0c\xff\0\0\0\0\0\0\0\0\0\0\0\x07").expect("it can be read");
    assert_eq!(write(&Serializer::MsgPack, &tree).expect("it can be written"), b"\xd6\xff\0\0\0\x07");
    for stored in [&b"\xd4\xff\0"[..], b"\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\xd5\x80ab", b"\x81\xd4\x05a\x01"]
    {
        let error = decode(&redis(Serializer::MsgPack), stored).unwrap_err();
        assert_eq!(error.kind(), Kind::Undecodable, "{}", stored.escape_ascii());
    }
}

#[test]
fn django_valkey_s_numbers_are_bare() {
    let valkey = codec(Serializer::Pickle(4), Form::ValkeyNumbers);
    let stored = |text: &str| valkey.encode(Input::Json(text.as_bytes())).expect("it can be written").bytes;
    for (text, expected) in
        [("5", "5"), ("-5", "-5"), ("1.5", "1.5"), ("1e16", "1e+16"), ("NaN", "nan"), ("-Infinity", "-inf")]
    {
        assert_eq!(stored(text), expected, "{text}");
    }
    assert_eq!(valkey.encode(Input::Number(&Number::Float(0.1))).unwrap().bytes, "0.1");
    assert_eq!(stored("true")[..], *b"\x80\x04\x88.");
    let read = |stored: &str| valkey.decode(&Bytes::copy_from_slice(stored.as_bytes()).into()).expect("a number");
    // Only digits alone are an int.
    assert_eq!((read("12").int64(), read("007").int64()), (Some(12), Some(7)));
    assert_eq!((read("-5").float(), read(" 5\n").float(), read("1_0").float()), (Some(-5.0), Some(5.0), Some(10.0)));
    assert_eq!(read(&"9".repeat(4300)).kind(), ValueKind::Int);
    assert!(valkey.decode(&Bytes::from("9".repeat(4301)).into()).is_err());
    assert_eq!(read(&format!("-{}", "9".repeat(5000))).float(), Some(f64::NEG_INFINITY));
}

#[test]
fn the_smallest_form_is_written_at_its_bounds() {
    let codec = codec(Serializer::MsgPack, Form::Pickle);
    for (len, list, dict) in [
        (15, &b"\x9f"[..], &b"\x8f"[..]),
        (16, b"\xdc\0\x10", b"\xde\0\x10"),
        (65_535, b"\xdc\xff\xff", b"\xde\xff\xff"),
        (65_536, b"\xdd\0\x01\0\0", b"\xdf\0\x01\0\0"),
    ] {
        let items = vec!["1"; len].join(",");
        let stored = codec.encode(Input::Json(format!("[{items}]").as_bytes())).expect("it can be written").bytes;
        assert!(stored == [list, &b"\x01".repeat(len)].concat(), "{len} items");
        assert_eq!(codec.decode(&stored.into()).expect("it can be read").len(), Some(len));
        let pairs: Vec<String> = (0..len).map(|n| format!("\"{n:05}\": 1")).collect();
        let json = format!("{{{}}}", pairs.join(","));
        let stored = codec.encode(Input::Json(json.as_bytes())).expect("it can be written").bytes;
        let expected: Vec<u8> =
            (0..len).flat_map(|n| [&b"\xa5"[..], format!("{n:05}").as_bytes(), b"\x01"].concat()).collect();
        assert!(stored == [dict, &expected].concat(), "{len} pairs");
        assert_eq!(codec.decode(&stored.into()).expect("it can be read").len(), Some(len));
    }
}
