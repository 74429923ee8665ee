//! What HerdClient stores, against the real one: DR-40, DR-41.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may say plainly what must not happen"
)]

mod codec_support;
#[path = "common/python.rs"]
#[allow(dead_code, reason = "this test file does not call caches")]
mod python;

use codec_support::{base64, codec, shown};
use larder::codec::compress::{Compressor, Method};
use larder::codec::{Codec, Input, Serializer, json};
use larder::error::Kind;
use larder::value::{Limits, Loss, Number, ValueKind};
use num_bigint::BigInt;
use serde_json::json;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const DEADLINE: i64 = 1_700_000_000;

/// JSON texts of all shapes: shared keys and letters, batches, frames, numbers of all sizes.
fn documents() -> Vec<String> {
    let mut texts: Vec<String> = [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "255",
        "256",
        "65535",
        "65536",
        "2147483647",
        "2147483648",
        "-2147483648",
        "-2147483649",
        "1180591620717411303424",
        "1.5",
        "-0.0",
        "1e300",
        "0.1",
        "\"\"",
        "\"v\"",
        "\"Marker\"",
        "\"object\"",
        "\"latin1\"",
        "\"\\u00e9\"",
        r#""\ud800\n\\\u0000\u001a\u20ac\ud83d\ude00""#,
        "[]",
        "{}",
        "[[]]",
        r#"{"a": [1, "a", "b", "a", {"a": "", "b": ""}]}"#,
        r#"[{"id": 1, "x": "id"}, {"id": 2, "x": "id"}]"#,
    ]
    .map(str::to_owned)
    .into();
    for count in [2, 999, 1000, 1001, 2000, 2001] {
        texts.push(format!("[{}]", vec!["1"; count].join(",")));
        texts.push(format!("{{{}}}", (0..count).map(|n| format!("\"k{n}\": {n}")).collect::<Vec<_>>().join(",")));
    }
    for length in [65_440, 65_500, 65_535, 65_536, 70_000] {
        texts.push(format!("\"{}\"", "x".repeat(length)));
        texts.push(format!("[\"{0}\", 1, \"{0}\"]", "y".repeat(length / 2)));
    }
    texts
}

#[test]
fn every_protocol_is_written_as_the_real_client_does() {
    let mut python = python::Partner::start("codec_serializers/partner.py");
    for protocol in 0..=5 {
        let documents = documents();
        let answer = python.must("herd", json!({"protocol": protocol, "deadline": DEADLINE, "documents": &documents}));
        for (text, expected) in documents.iter().zip(answer.as_array().unwrap()) {
            let ours = codec(protocol).encode_herd(Input::Json(text.as_bytes()), DEADLINE).unwrap().bytes;
            let expected = base64(expected.as_str().unwrap());
            let what = format!("{text:.60} in protocol {protocol}");
            assert!(ours == expected, "{what}:\n{}\n{}", ours.escape_ascii(), expected.escape_ascii());
            let (tree, deadline) = codec(5).unpack_herd(codec(5).decode(&expected.into()).unwrap()).unwrap();
            assert_eq!(deadline, Some(DEADLINE), "{what}");
            assert_eq!(shown(&tree), shown(&json::read(text.as_bytes(), &codec(5).limits).unwrap()), "{what}");
        }
    }
}

#[test]
fn texts_bytes_and_numbers_are_written_as_the_real_client_does() {
    let mut python = python::Partner::start("codec_serializers/partner.py");
    let long: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    for protocol in 0..=5 {
        for bytes in [&b""[..], b"x", b"\xff", b"latin1", b"ab\n\\\0", &long] {
            let arguments = json!({"protocol": protocol, "deadline": DEADLINE, "bytes": STANDARD.encode(bytes)});
            let expected = base64(python.must("herd_bytes", arguments).as_str().unwrap());
            let ours = codec(protocol).encode_herd(Input::Bytes(bytes), DEADLINE).unwrap().bytes;
            assert!(ours == expected, "{} bytes in protocol {protocol}: {}", bytes.len(), ours.escape_ascii());
            let (tree, _) = codec(5).unpack_herd(codec(5).decode(&expected.into()).unwrap()).unwrap();
            assert_eq!(tree.bytes(), Some((bytes, Loss::Exact)));
        }
        let same = |input: Input<'_>, text: &str| {
            let one = codec(protocol).encode_herd(input, DEADLINE).unwrap();
            assert_eq!(one, codec(protocol).encode_herd(Input::Json(text.as_bytes()), DEADLINE).unwrap(), "{text}");
        };
        same(Input::Text("v"), "\"v\"");
        same(Input::Text("a longer one"), "\"a longer one\"");
        same(Input::Number(&Number::Int(BigInt::from(5))), "5");
        same(Input::Number(&Number::Float(1e16)), "1e16");
    }
}

/// The vector of DR-41.
#[test]
fn the_contract_s_bytes_are_written() {
    let stored = codec(4).encode_herd(Input::Text("v"), DEADLINE).unwrap();
    let expected = [
        &b"\x80\x04\x955\0\0\0\0\0\0\0\x8c\x18django_redis.client.herd\x94\x8c\x06Marker\x94\x93\x94)\x81\x94"[..],
        b"\x8c\x01v\x94J\x00\xf1\x53\x65\x87\x94.",
    ];
    assert_eq!(stored.bytes, expected.concat());
}

#[test]
fn what_python_unpacks_is_unpacked() {
    let read = |body: &[u8]| {
        let head = b"\x80\x04cdjango_redis.client.herd\nMarker\nq\0)\x81q\x010";
        codec(5).unpack_herd(codec(5).decode(&[head, body, b"."].concat().into()).expect("a pickle"))
    };
    let unpacked = |body: &[u8]| {
        let (tree, deadline) = read(body).unwrap();
        (shown(&tree).0, deadline)
    };
    // Whatever has three items, the first of which is a marker.
    assert_eq!(unpacked(b"h\x01K\x05K\x07\x87"), ("5".into(), Some(7)));
    assert_eq!(unpacked(b"](h\x01K\x05K\x07e"), ("5".into(), Some(7)));
    assert_eq!(unpacked(b"}(h\x01NK\x05NK\x07Nu"), ("5".into(), Some(7)));
    assert_eq!(unpacked(b"h\x01]K\x07\x87"), ("[]".into(), Some(7)));
    // Other deadlines.
    assert_eq!(unpacked(b"h\x01K\x05G\x40\x1d\x99\x99\x99\x99\x99\x9a\x87"), ("5".into(), Some(8)));
    assert_eq!(unpacked(b"h\x01K\x05G\x7f\xf8\0\0\0\0\0\0\x87"), ("5".into(), Some(i64::MAX)));
    assert_eq!(unpacked(b"h\x01K\x05G\xff\xf0\0\0\0\0\0\0\x87"), ("5".into(), Some(i64::MIN)));
    assert_eq!(unpacked(b"h\x01K\x05\x8a\x09\0\0\0\0\0\0\0\0\x01\x87"), ("5".into(), Some(i64::MAX)));
    assert_eq!(unpacked(b"h\x01K\x05\x88\x87"), ("5".into(), Some(1)));
    for broken in [&b"h\x01K\x05N\x87"[..], b"h\x01K\x05\x8c\x011\x87", b"h\x01K\x05]\x87"] {
        assert_eq!(read(broken).unwrap_err().kind(), Kind::Undecodable);
    }
    // No marker there, or not three items.
    for (body, kind) in [
        (&b"h\0K\x05K\x07\x87"[..], ValueKind::List),
        (b"K\x05h\x01K\x07\x87", ValueKind::List),
        (b"h\x01K\x05\x86", ValueKind::List),
        (b"(h\x01K\x05K\x06K\x07t", ValueKind::List),
        (b"}(h\x01NK\x05Nu", ValueKind::Dict),
        (b"\x8c\x03abc", ValueKind::Text),
        (b"K\x05", ValueKind::Int),
        (b"h\x01", ValueKind::Other),
        (b"ccollections\nMarker\n)\x81K\x05K\x07\x87", ValueKind::List),
    ] {
        let (tree, deadline) = read(body).unwrap();
        assert_eq!((tree.kind(), deadline), (kind, None), "{}", body.escape_ascii());
    }
}

#[test]
fn only_pickle_can_do_it() {
    for serializer in [Serializer::Json, Serializer::MsgPack] {
        let codec = Codec { serializer, ..codec(4) };
        assert_eq!(codec.encode_herd(Input::Text("v"), DEADLINE).unwrap_err().kind(), Kind::Type);
    }
    // What is serialised already has its deadline inside, or none.
    assert_eq!(codec(4).encode_herd(Input::Stored(b"\x80\x04N."), DEADLINE).unwrap().bytes[..], *b"\x80\x04N.");
    let small = Codec { limits: Limits { bytes: 60, ..Limits::default() }, ..codec(4) };
    assert!(matches!(small.compressor, Compressor { method: Method::Identity, .. }));
    for input in [Input::Text(&"x".repeat(40)), Input::Stored(&[b'x'; 61]), Input::Bytes(&[b'x'; 100])] {
        assert_eq!(small.encode_herd(input, DEADLINE).unwrap_err().kind(), Kind::TooBig);
    }
}
