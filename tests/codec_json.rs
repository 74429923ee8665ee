//! JSON both ways: strict as Python's `json.loads`, written as its `json.dumps`, and the projection of all the rest.
//! The expectations were printed by Python 3.11.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may say plainly what must not happen"
)]

mod codec_support;

use bytes::Bytes;
use codec_support::{blob, decode, golden, list};
use larder::codec::json::{read, write};
use larder::error::Kind;
use larder::value::{Limits, Loss, Tree};

fn limits() -> Limits {
    Limits::default()
}

fn again(text: &str) -> String {
    let tree = read(text.as_bytes(), &limits()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    write(&tree, &limits()).expect("it can be shown").0
}

#[test]
fn floats_are_written_as_python_repr() {
    for text in [
        "0.0",
        "-0.0",
        "1.0",
        "1.5",
        "1000000000000000.0",
        "1e+16",
        "9999999999999998.0",
        "1.2345678901234568e+17",
        "1e+22",
        "1e+23",
        "1e+100",
        "1.7976931348623157e+308",
        "5e-324",
        "2.2250738585072014e-308",
        "0.0001",
        "1e-05",
        "0.00012345",
        "1.2345e-05",
        "123.456",
        "0.3333333333333333",
        "0.6666666666666666",
        "0.1",
        "100.0",
        "100000.0",
        "12345678.9",
        "4503599627370496.0",
        "9.223372036854776e+18",
        "1.8446744073709552e+19",
        "1e-07",
        "9.5e-05",
        "1e+21",
        "1.23e-08",
        "8.41e+21",
        "2.5",
        "30000000000.0",
        "NaN",
        "Infinity",
        "-Infinity",
    ] {
        assert_eq!(again(text), text);
        if !text.starts_with('-') && text != "NaN" {
            assert_eq!(again(&format!("-{text}")), format!("-{text}"));
        }
    }
}

#[test]
fn texts_are_written_as_python_dumps_them() {
    let text = "\"a\\\"b\\\\c/d\\u0000\\u001f\u{7f}\u{80}é\u{2028}日😀\\ud800x\\udfff\\b\\f\\n\\r\\t\"";
    assert_eq!(
        again(text),
        r#""a\"b\\c/d\u0000\u001f\u007f\u0080\u00e9\u2028\u65e5\ud83d\ude00\ud800x\udfff\b\f\n\r\t""#
    );
}

#[test]
fn what_python_takes_is_taken() {
    for (text, expected) in [
        ("-0", "0"),
        ("1e400", "Infinity"),
        ("-1e400", "-Infinity"),
        ("1E5", "100000.0"),
        ("1e-400", "0.0"),
        ("[]", "[]"),
        (" \t\n\r[ 1 , 2 ] ", "[1, 2]"),
        (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
        (r#""\ud83d""#, r#""\ud83d""#),
        (r#""\ude00\ud83d""#, r#""\ude00\ud83d""#),
        (r#""\ud83d\u0041""#, r#""\ud83dA""#),
        (r#""\ud83dx\ude00""#, r#""\ud83dx\ude00""#),
        (r#""\/""#, r#""/""#),
        ("[NaN]", "[NaN]"),
        ("-0e0", "-0.0"),
        ("1E+2", "100.0"),
        (r#"{"":{}}"#, r#"{"": {}}"#),
        (r#"{"a":1,"b":2,"a":[3],"c":4,"b":5}"#, r#"{"a": [3], "b": 5, "c": 4}"#),
        (r#"{"a":{"a":1,"a":2},"b":{"a":3},"a":{"b":{"a":4}}}"#, r#"{"a": {"b": {"a": 4}}, "b": {"a": 3}}"#),
        (r#"{"\u0061":1,"a":2}"#, r#"{"a": 2}"#),
        ("9223372036854775808", "9223372036854775808"),
        ("-9223372036854775809", "-9223372036854775809"),
    ] {
        assert_eq!(again(text), expected, "{text}");
    }
}

#[test]
fn what_python_refuses_is_refused() {
    for text in [
        "",
        " ",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "-NaN",
        "nul",
        "[1 2]",
        "{\"a\" 1}",
        "\"\u{1}\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"abc",
        "\"abc\\",
        "1 2",
        "[",
        "{",
        "{\"a\"",
        "{\"a\":",
        "\u{feff}1",
        "Infinit",
        "--1",
        "0x10",
        "[}",
        "{]",
        "\"\\ud8\"",
        "\u{b}1",
        "1_0",
        "{\"a\":}",
        "[,1]",
        "-I",
        "tru",
        "\u{a0}1",
        "{1:2}",
        "]",
        "}",
        ",",
        ":",
        "[]]",
        "{}{}",
    ] {
        let error = read(text.as_bytes(), &limits()).expect_err(text);
        assert_eq!(error.kind(), Kind::Invalid, "{text:?}");
    }
    for bytes in [&b"\"\xff\""[..], b"\"\xc3\"", b"\"\\n\xed\xa0\x80\"", b"\xff"] {
        assert_eq!(read(bytes, &limits()).expect_err("not UTF-8").kind(), Kind::Invalid);
    }
}

#[test]
fn limits_are_kept() {
    let too_big = |text: &str, limits: &Limits| {
        assert_eq!(read(text.as_bytes(), limits).expect_err("too big").kind(), Kind::TooBig);
    };
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(deep(1000).as_bytes(), &limits()).is_ok());
    too_big(&deep(1001), &limits());
    too_big(&"9".repeat(4301), &limits());
    assert_eq!(again(&"9".repeat(4300)), "9".repeat(4300));
    too_big("[1, 2, 3]", &Limits { nodes: 3, ..limits() });
    assert!(read(b"[1, 2, 3]", &Limits { nodes: 4, ..limits() }).is_ok());
    too_big("[1, 2, 3]", &Limits { bytes: 8, ..limits() });
    // Escapes grow: the text is measured before it is written.
    let tree = read("\"ééé\"".as_bytes(), &limits()).expect("JSON");
    assert!(write(&tree, &Limits { bytes: 20, ..limits() }).is_ok());
    assert_eq!(write(&tree, &Limits { bytes: 19, ..limits() }).expect_err("too big").kind(), Kind::TooBig);
}

fn show(tree: &Tree) -> (String, Loss) {
    write(tree, &limits()).expect("it can be shown")
}

/// The projection of golden values that JSON cannot hold, from every protocol that has them.
#[test]
fn what_json_lacks_is_projected() {
    let data = golden("pickles.json");
    let expected = [
        ("str lone surrogate", r#""a\ud800b""#),
        ("str surrogate pair written as two", r#""\ud83d\ude00""#),
        ("bytes empty", r#"{"$bytes": ""}"#),
        ("bytes latin-1 text", r#"{"$bytes": "R3L232U="}"#),
        ("bytearray empty", r#"{"$bytes": ""}"#),
        ("bytes in dict in list", r#"[{"raw": {"$bytes": "gAQu"}}]"#),
        ("complex", r#"{"$object": "builtins.complex", "args": [8.0, -2.5]}"#),
        ("ellipsis", r#"{"$object": "builtins.Ellipsis"}"#),
        ("dict int keys", r#"{"1": "one", "2": "two"}"#),
        ("dict mixed keys", r#"{"null": 0, "true": 1, "2.5": 2, "[1, 2]": 3, "s": 4, "{\"$bytes\": \"Yg==\"}": 5}"#),
        ("set", "[1, 2, 3]"),
        ("frozenset", r#"[1, "a"]"#),
        ("frozenset empty", "[]"),
        ("recursive list", r#"[{"$cycle": true}]"#),
        ("recursive dict", r#"{"self": {"$cycle": true}}"#),
        ("datetime naive", r#""2024-02-29T14:59:58.589794""#),
        ("datetime utc", r#""2021-06-01T12:30:00+00:00""#),
        ("datetime offset", r#""2021-06-01T12:30:00+05:30""#),
        ("datetime named offset", r#""2021-06-01T00:00:00-03:00""#),
        ("datetime fold", r#""2021-11-07T01:30:00""#),
        ("datetime max", r#""9999-12-31T23:59:59.999999""#),
        ("datetime zoneinfo", r#""2022-07-01T08:00:00[Europe/Berlin]""#),
        ("date", r#""1993-07-23""#),
        ("time", r#""23:59:59.999999""#),
        ("time utc", r#""01:02:03+00:00""#),
        ("timedelta", r#""-P0DT18H50M04.999995S""#),
        ("decimal", r#""556.91""#),
        ("decimal special", r#"["NaN", "-Infinity", "1E+28", "-0"]"#),
        ("uuid", r#""35794dc0-389c-b725-f50f-2e894fc620ef""#),
        ("OrderedDict", r#"{"z": 1, "a": [2]}"#),
        ("defaultdict", r#"{"a": [1]}"#),
        ("Counter", r#"{"a": 2, "b": 1, "c": 1}"#),
        ("deque", "[1, 2, 3]"),
        ("range", r#"{"$object": "builtins.range", "args": [1, 10, 3]}"#),
        ("slice", r#"{"$object": "builtins.slice", "args": [1, null, 2]}"#),
        ("enum", r#"{"$object": "shop.models.Color", "args": ["g"]}"#),
        ("SafeString", r#""<b>ekko</b>""#),
        ("builtin function", r#"{"$object": "builtins.len"}"#),
        ("class reference", r#"{"$object": "shop.models.Basket"}"#),
        ("nested class instance", r#"{"$object": "shop.models.Outer.Inner", "args": [], "state": {"v": 7}}"#),
        (
            "dataclass instance",
            r#"{"$object": "shop.models.Basket", "args": [], "state": {"owner": "yasuo", "items": [1, "two", null], "total": 9.5}}"#,
        ),
        (
            "instance with itself inside",
            r#"{"$object": "shop.models.Plain", "args": [], "state": {"name": "loop", "me": {"$cycle": true}}}"#,
        ),
        ("__getstate__ instance", r#"{"$object": "shop.models.Stateful", "args": [], "state": ["v1", 89]}"#),
        ("exception", r#"{"$object": "builtins.ValueError", "args": ["bad aatrox", 3]}"#),
    ];
    for (name, text) in expected {
        let case = list(&data, "cases").iter().find(|case| case["name"] == name).expect("a case of that name");
        for (protocol, pickle) in case["pickles"].as_object().expect("pickles") {
            let Some(pickle) = blob(pickle) else { continue };
            let tree = decode(pickle).expect("it can be read");
            // Lone surrogates come back; two that stand together come back as one character.
            let loss = if name == "str lone surrogate" { Loss::Exact } else { Loss::Lossy };
            assert_eq!(show(&tree), (text.to_owned(), loss), "{name} in protocol {protocol}");
        }
    }
    for (name, text) in [
        ("dict subclass", r#"{"$object": "shop.models.MyDict", "args": [], "pairs": [["a", 1]]}"#),
        ("list subclass", r#"{"$object": "shop.models.MyList", "args": [], "items": [1, 2]}"#),
        (
            "__getnewargs_ex__ instance",
            r#"{"$object": "shop.models.NewArgsEx", "args": [], "kwargs": {"a": 1, "b": "kindred"}}"#,
        ),
    ] {
        let case = list(&data, "cases").iter().find(|case| case["name"] == name).expect("a case of that name");
        let tree = decode(blob(&case["pickles"]["4"]).expect("a pickle")).expect("it can be read");
        assert_eq!(show(&tree), (text.to_owned(), Loss::Lossy), "{name}");
    }
}

#[test]
fn accessors_give_text_and_bytes() {
    let data = golden("pickles.json");
    let tree = |name: &str| {
        let case = list(&data, "cases").iter().find(|case| case["name"] == name).expect("a case of that name");
        decode(blob(&case["pickles"]["4"]).expect("a pickle")).expect("it can be read")
    };
    let text = |name: &str| tree(name).text().map(|(text, loss)| (text.into_owned(), loss));
    assert_eq!(text("str ascii"), Some(("leona".to_owned(), Loss::Exact)));
    assert_eq!(text("str lone surrogate"), Some(("a\u{fffd}b".to_owned(), Loss::Lossy)));
    assert_eq!(text("SafeString"), Some(("<b>ekko</b>".to_owned(), Loss::Lossy)));
    assert_eq!(text("date"), Some(("1993-07-23".to_owned(), Loss::Lossy)));
    assert_eq!(text("decimal"), Some(("556.91".to_owned(), Loss::Lossy)));
    assert_eq!(text("int 1"), None);
    assert_eq!(text("enum"), None);
    assert_eq!(tree("bytes latin-1 text").bytes(), Some((&b"Gr\xf6\xdfe"[..], Loss::Exact)));
    assert_eq!(tree("bytearray").bytes(), Some((&b"\x00\x01abcakali"[..], Loss::Lossy)));
    assert_eq!(tree("str ascii").bytes(), None);
    assert!(tree("none").is_none());
    assert_eq!(tree("true").boolean(), Some(true));
    assert_eq!(tree("true").int64(), None);
    assert_eq!(tree("float 1.0").float(), Some(1.0));
    assert_eq!(tree("deque").len(), Some(3));
    assert_eq!(tree("Counter").len(), Some(3));
    assert_eq!(tree("dataclass instance").type_name(), "shop.models.Basket");
    assert_eq!(format!("{:?}", tree("str ascii")), "Tree(Text)"); // never the value
}

#[test]
fn keys_follow_python() {
    let shown = |pickle: &[u8]| {
        codec_support::codec(4)
            .decode(&Bytes::copy_from_slice(pickle).into())
            .map(|tree| show(&tree).0)
            .map_err(|e| e.kind())
    };
    // {"1": 0, b"1": 1}: a str never equals bytes.
    assert_eq!(shown(b"\x80\x04}(\x8c\x011K\x00C\x011K\x01u."), Ok(r#"{"1": 0, "{\"$bytes\": \"MQ==\"}": 1}"#.into()));
    // {(1, "a"): 0, (1.0, "a"): 1}: tuples by content, and 1 == 1.0.
    assert_eq!(
        shown(b"\x80\x04}(K\x01\x8c\x01a\x86K\x00G\x3f\xf0\0\0\0\0\0\0\x8c\x01a\x86K\x01u."),
        Ok(r#"{"[1, \"a\"]": 1}"#.into())
    );
    // {frozenset({1, 2}): 0, frozenset({2, 1}): 1}.
    assert_eq!(shown(b"\x80\x04}((K\x01K\x02\x91K\x00(K\x02K\x01\x91K\x01u."), Ok(r#"{"[1, 2]": 1}"#.into()));
    // {2**64: 0, float(2**64): 1}.
    assert_eq!(
        shown(b"\x80\x04}(\x8a\x09\0\0\0\0\0\0\0\0\x01K\x00G\x43\xf0\0\0\0\0\0\0K\x01u."),
        Ok(r#"{"18446744073709551616": 1}"#.into())
    );
    // {nan: 0, nan: 1}: two keys.
    let nan = b"G\x7f\xf8\0\0\0\0\0\0";
    let both = [b"\x80\x04}(", &nan[..], b"K\x00", nan, b"K\x01u."].concat();
    assert_eq!(shown(&both), Ok(r#"{"NaN": 0, "NaN": 1}"#.into()));
    // A set of a set, a tuple with a list as key, a bytearray as key: unhashable.
    for pickle in
        [&b"\x80\x04\x8f(\x8f\x90."[..], b"\x80\x04}K\x01]\x86K\x01s.", b"\x80\x05}\x96\x01\0\0\0\0\0\0\0aK\x01s."]
    {
        assert_eq!(shown(pickle), Err(Kind::Undecodable));
    }
    // t = (t, t), forty times, as a key: no exponential walk.
    let mut doubling = b"\x80\x04)\x94".to_vec();
    for number in 0..40_u8 {
        doubling.extend_from_slice(&[b'h', number, b'h', number, 0x86, 0x94]);
    }
    doubling.extend_from_slice(b"}h\x28K\x01s.");
    let tree = codec_support::codec(4).decode(&Bytes::from(doubling).into()).expect("it can be read");
    let few = Limits { bytes: 1 << 20, ..limits() };
    assert_eq!(write(&tree, &few).expect_err("too many nodes").kind(), Kind::TooBig);
}
