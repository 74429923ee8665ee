//! Tokens as Pyot makes them (PY-T; golden/pyot_tokens.json, and tokens/pyot_6.json of the newest Pyot), and as Python
//! shows whatever JSON there is.

// Tests may say plainly what must not happen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fmt::Write;

use common::python::Partner;
use common::random::Random;
use larder::error::Kind;
use larder::key::{KeyRules, key_warnings};
use larder::pyot::token::{Builder, Dict, Item, LONGEST, Style, Token, TokenForm, Unicode, Wish};
use serde_json::{Value, json};

const NO_WISH: Wish = Wish { form: None, unicode: None };

fn wish(form: TokenForm, unicode: &str) -> Wish {
    Wish { form: Some(form), unicode: Some(Unicode::read(unicode).expect("a version")) }
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{name} is no text in {case}"))
}

fn golden() -> Value {
    serde_json::from_str(&common::golden("pyot_tokens.json")).expect("golden data is JSON")
}

/// A token of Pyot 3 by the default version of Unicode.
fn plain(params: &str, queries: &str) -> Token {
    Token::new(NO_WISH, "lol", "na1", "m", params.as_bytes(), queries.as_bytes()).unwrap()
}

fn fault(params: &str) -> Kind {
    let outcome = Token::new(NO_WISH, "lol", "na1", "m", params.as_bytes(), b"{}");
    outcome.err().unwrap_or_else(|| panic!("{params:.100} made a token")).kind()
}

#[cfg(feature = "file")]
fn file_name(made: &[u8]) -> String {
    use md5::{Digest, Md5};
    let digest = Md5::digest(made).iter().fold(0_u128, |digest, byte| digest << 8 | u128::from(*byte));
    format!("{digest:032x}.djcache") // K-11
}

#[test]
fn tokens_and_their_keys_are_pyot_s() {
    let golden = golden();
    let unicode = text(&golden["about"], "unicodedata");
    let cases = golden["cases"].as_array().expect("cases");
    assert!(cases.len() >= 150, "only {} cases", cases.len());
    let mut warned = 0;
    for case in cases {
        let names = ["model", "server", "method"].map(|name| text(case, name));
        let json = ["params_json", "queries_json"].map(|name| text(case, name).as_bytes());
        let token = Token::new(wish(TokenForm::V3, unicode), names[0], names[1], names[2], json[0], json[1]).unwrap();
        assert_eq!(token.text(), text(case, "stringify")); // PY-T1 to PY-T6
        let made = KeyRules { version: "1".to_owned(), ..KeyRules::default() }.make(token.text(), None);
        let shown = std::str::from_utf8(made.as_bytes()).expect("UTF-8");
        assert_eq!(shown, text(case, "django_key")); // PY-T9
        #[cfg(feature = "file")]
        assert_eq!(file_name(made.as_bytes()), text(case, "file_name"));
        let warnings: Vec<&str> = case["memcached_warnings"]
            .as_array()
            .expect("warnings")
            .iter()
            .map(|text| text.as_str().unwrap())
            .collect();
        let ours = key_warnings(shown);
        // the texts have the key in them, as the default version of Unicode shows it
        assert_eq!(ours.len(), warnings.len(), "{shown}"); // PY-T8
        warned += ours.len();
        // what an older Python escapes is the same where it is asked for by the pipeline
        let style = Style { form: TokenForm::V3, unicode: Unicode::read(unicode).unwrap() };
        let token = Token::new(NO_WISH, names[0], names[1], names[2], json[0], json[1]).unwrap();
        assert_eq!(token.text_in(style).unwrap(), text(case, "stringify")); // PY-T7
        // and found again in the finished text
        let known = [names[2], "no such method"].into_iter();
        let ready = Token::ready(text(case, "stringify")).unwrap();
        assert_eq!(ready.method_in(names[0], known), Some(names[2]).filter(|name| !name.is_empty()), "{case}");
    }
    assert!(warned > 0, "no token is too long for memcached");
}

#[test]
fn tokens_of_version_6_are_pyot_s() {
    let table: Value = serde_json::from_str(include_str!("tokens/pyot_6.json")).expect("JSON");
    let unicode = Unicode::read(text(&table["about"], "unicode")).unwrap();
    let cases = table["cases"].as_array().expect("cases");
    assert!(cases.len() >= 30);
    for case in cases {
        let [model, server, method, params, queries, value] = [0, 1, 2, 3, 4, 5].map(|at| case[at].as_str().unwrap());
        let token = Token::new(NO_WISH, model, server, method, params.as_bytes(), queries.as_bytes()).unwrap();
        let style = Style { form: TokenForm::V6, unicode };
        assert_eq!(token.text_in(style).unwrap(), value);
        assert_eq!(token.text_in(style).unwrap(), value); // the second time it is kept
        assert!(token.text_in(Style::default()).unwrap().ends_with('}'));
        let wish = Wish { form: Some(TokenForm::V6), unicode: Some(unicode) };
        let token = Token::new(wish, model, server, method, params.as_bytes(), queries.as_bytes()).unwrap();
        assert_eq!(token.text(), value);
        assert_eq!(token.text_in(Style::default()).unwrap(), value); // the token's own word counts
        if !method.is_empty() {
            let found = Token::ready(value).unwrap().method_in(model, [method].into_iter());
            assert_eq!(found, Some(method), "{value}");
        }
    }
}

#[test]
fn a_version_of_unicode_decides_what_is_escaped() {
    // PY-T7: known since 15.0, 16.0 and 17.0
    let json = "{\"name\": \"\u{1FAE8}\u{1FAE9}\u{1FAEA}\"}";
    let shown = [
        ("14.0", "lolna1m{'name':_'\\U0001fae8\\U0001fae9\\U0001faea'}{}"),
        ("15.0", "lolna1m{'name':_'\u{1FAE8}\\U0001fae9\\U0001faea'}{}"),
        ("15.1", "lolna1m{'name':_'\u{1FAE8}\\U0001fae9\\U0001faea'}{}"),
        ("16.0", "lolna1m{'name':_'\u{1FAE8}\u{1FAE9}\\U0001faea'}{}"),
        ("17.0", "lolna1m{'name':_'\u{1FAE8}\u{1FAE9}\u{1FAEA}'}{}"),
    ];
    for (version, expected) in shown {
        let token = Token::new(wish(TokenForm::V3, version), "lol", "na1", "m", json.as_bytes(), b"").unwrap();
        assert_eq!(token.text(), expected);
    }
    assert_eq!(plain(json, "").text(), shown[3].1);
    // one token in all styles, as pipelines ask for it, again and again
    let token = plain(json, "");
    for _ in 0..2 {
        for (version, expected) in shown {
            let unicode = Unicode::read(version).unwrap();
            assert_eq!(token.text_in(Style { form: TokenForm::V3, unicode }).unwrap(), expected);
            let path = "lol/na1/m/\u{1FAE8}\u{1FAE9}\u{1FAEA}";
            assert_eq!(token.text_in(Style { form: TokenForm::V6, unicode }).unwrap(), path);
        }
    }
}

#[test]
fn names_are_taken_in_lower_case() {
    let token = Token::new(NO_WISH, "LOL", "NA1", "Method", br#"{"Name": "A"}"#, b"{}").unwrap();
    assert_eq!(token.text(), "lolna1Method{'Name':_'A'}{}"); // PY-T1: model and server only
    assert_eq!((token.model(), token.server(), token.method()), (Some("lol"), Some("na1"), Some("Method")));
    let token = Token::new(NO_WISH, "ÉTÉ", "ΣΑΣ", "É", b"", b"").unwrap();
    assert_eq!(token.text(), "étéσαςÉ{}{}"); // as str.lower does, and as the configuration has the model
}

#[test]
fn records_are_pyot_s() {
    let token =
        |params: &str| Token::new(NO_WISH, "lol", "na1", "summoner_v4_by_name", params.as_bytes(), b"").unwrap();
    assert_eq!(token(r#"{"name": "Hide on bush"}"#).record(), "<NA1 summoner_v4_by_name: Hide on bush>"); // PY-L
    assert_eq!(token("{}").record(), "<NA1 summoner_v4_by_name: >");
    assert_eq!(
        token(r#"{"a": "it's", "b": 1, "c": 1e16, "d": null, "e": ["it's", {"f": true}], "g": "\ud800"}"#).record(),
        "<NA1 summoner_v4_by_name: it's 1 1e+16 None [\"it's\", {'f': True}] \u{FFFD}>"
    );
    let ready = Token::ready("lolna1summoner_v4_by_name{'name':_'Hide_on_bush'}{}").unwrap();
    assert_eq!(ready.record(), "<lolna1summoner_v4_by_name{'name':_'Hide_on_bush'}{}>");
    assert!(!format!("{:?}", token(r#"{"name": "Hide on bush"}"#)).contains("Hide"));
}

#[test]
fn values_are_found_by_name() {
    let token = plain(r#"{"name": "a b", "id": 7, "name": "last"}"#, r#"{"queue": [420, "x"]}"#);
    assert_eq!(token.text(), "lolna1m{'name':_'last',_'id':_7}{'queue':_[420,_'x']}");
    assert_eq!(token.item(Dict::Params, "name"), Some("last"));
    assert_eq!(token.item(Dict::Params, "id"), Some("7"));
    assert_eq!(token.item(Dict::Params, "queue"), None);
    assert_eq!(token.item(Dict::Queries, "queue"), Some("[420, 'x']"));
    let ready = Token::ready("x").unwrap();
    assert_eq!((ready.item(Dict::Params, "name"), ready.method(), ready.text()), (None, None, "x"));
    assert_eq!(ready.text_in(Style { form: TokenForm::V6, ..Style::default() }).unwrap(), "x");
    // of a token that says what it calls, the method is not looked for
    assert_eq!(token.method_in("other", ["m", "n"].into_iter()), Some("m"));
    assert_eq!(token.method_in("lol", ["n"].into_iter()), None);
}

#[test]
fn a_builder_makes_what_the_json_makes() {
    let mut builder = Builder::new(NO_WISH, "lol", "na1", "m");
    assert_eq!(builder.finish().unwrap().text(), "lolna1m{}{}");
    let params = [
        ("name", Item::Text("it's \"both\" \\ \n \u{200b} é")),
        ("null", Item::Null),
        ("no\"name", Item::Bool(false)),
        ("int", Item::Int(i64::MIN)),
        ("float", Item::Float(1e16)),
        ("nan", Item::Float(f64::NAN)),
        ("minus", Item::Float(-0.0)),
        ("null", Item::Bool(true)), // the last value, at the place of the first
        ("deep", Item::Json(br#" [1, {"a": "\ud800"}, [] ] "#)),
    ];
    for (name, item) in params {
        builder.put(Dict::Params, name, item).unwrap();
    }
    builder.put(Dict::Queries, "list", Item::Json(b"[420,440]")).unwrap();
    builder.put(Dict::Queries, "inf", Item::Float(f64::NEG_INFINITY)).unwrap();
    // what is refused leaves the token as it is
    for bad in [&b""[..], b"]", b"1,2", b"1}", b"\"", b"1, \"x\": 2", b"\xff", b"{1: 2}"] {
        assert_eq!(builder.put(Dict::Queries, "bad", Item::Json(bad)).unwrap_err().kind(), Kind::Invalid);
    }
    let expected = concat!(
        r#"lolna1m{'name':_'it\'s_"both"_\\_\n_\u200b_é',_'null':_True,_'no"name':_False,_'int':_-9223372036854775808"#,
        r#",_'float':_1e+16,_'nan':_nan,_'minus':_-0.0,_'deep':_[1,_{'a':_'\ud800'},_[]]}"#,
        "{'list':_[420,_440],_'inf':_-inf}"
    );
    assert_eq!(builder.finish().unwrap().text(), expected);
    let huge = "x".repeat(LONGEST + 1);
    assert_eq!(builder.put(Dict::Params, "huge", Item::Text(&huge)).unwrap_err().kind(), Kind::TooBig);
    assert_eq!(builder.put(Dict::Params, &huge, Item::Null).unwrap_err().kind(), Kind::TooBig);
}

#[test]
fn hostile_json_is_refused() {
    let bad = [
        "[]",
        "1",
        "null",
        "\"{}\"",
        "{",
        "}",
        "{}}",
        "{}{}",
        "{} x",
        "{'a': 1}",
        "{\"a\"}",
        "{\"a\": }",
        "{\"a\": 1,}",
        "{,}",
        "{1: 2}",
        "{\"a\": 01}",
        "{\"a\": 1.}",
        "{\"a\": +1}",
        "{\"a\": .5}",
        "{\"a\": nan}",
        "{\"a\": inf}",
        "{\"a\": \"\n\"}",
        "{\"a\": \"\\x\"}",
        "{\"a\": \"\\u12\"}",
        "{\"a\": \"",
        "{\"a\": tru}",
        "\u{feff}{}",
        "{\"a\": [}",
        "{\"a\": [1}",
        "{\"a\": {]}",
        " ",
        "{}\0",
    ];
    for text in bad {
        assert_eq!(fault(text), Kind::Invalid, "{text}");
    }
    let not_utf8 = Token::new(NO_WISH, "lol", "na1", "m", b"{\"a\": \"\xff\"}", b"{}").unwrap_err();
    assert_eq!(not_utf8.kind(), Kind::Invalid);
    assert!(not_utf8.reason().starts_with("params: "), "{not_utf8}");
    let queries = Token::new(NO_WISH, "lol", "na1", "m", b"{}", b"[1]").unwrap_err();
    assert!(queries.reason().contains("queries"), "{queries}");
    let too_big = [
        format!("{{\"a\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)),
        format!("{{\"a\": {}}}", "9".repeat(4301)),
        format!("{{\"a\": \"{}\"}}", "x".repeat(LONGEST)),
        // small enough as JSON, but not as a token
        format!("{{\"a\": \"{}\"}}", "\u{7f}".repeat(LONGEST / 3)),
        format!("{{\"a\": [{}]}}", "1,".repeat(2 << 20) + "1"),
    ];
    for text in too_big {
        assert_eq!(fault(&text), Kind::TooBig, "{text:.40}");
    }
    // as much as Python takes
    let digits = "9".repeat(4300);
    assert_eq!(plain(&format!("{{\"a\": {digits}}}"), "").text(), format!("lolna1m{{'a':_{digits}}}{{}}"));
    let deep = format!("{}1{}", "[".repeat(900), "]".repeat(900));
    assert_eq!(plain(&format!("{{\"a\": {deep}}}"), "").text(), format!("lolna1m{{'a':_{deep}}}{{}}"));
    // version 6 does not escape
    let lone = Token::new(wish(TokenForm::V6, "16.0"), "lol", "na1", "m", br#"{"a": "\ud800"}"#, b"");
    assert_eq!(lone.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(Token::ready("").unwrap_err().kind(), Kind::Invalid);
    assert_eq!(Token::ready(&"x".repeat(LONGEST + 1)).unwrap_err().kind(), Kind::TooBig);
}

#[test]
fn printable_characters_are_python_s() {
    let mut python = Partner::start("tokens/partner.py");
    let version = python.must("unicode", json!({}));
    let unicode = Unicode::read(version.as_str().unwrap()).expect("a version of Unicode that larder knows");
    let ranges = python.must("printable", json!({}));
    let mut printable = vec![false; 0x11_0000];
    for range in ranges.as_array().unwrap() {
        let [first, last] = [0, 1].map(|at| usize::try_from(range[at].as_u64().unwrap()).unwrap());
        printable[first..=last].fill(true);
    }
    for (code, theirs) in printable.into_iter().enumerate() {
        let code = u32::try_from(code).unwrap();
        assert_eq!(unicode.is_printable(code), theirs, "U+{code:04X} in {version}");
    }
}

/// Random JSON, of which some is none: Python makes the same tokens of it, and refuses the same.
#[test]
fn random_tokens_are_python_s() {
    let mut python = Partner::start("tokens/partner.py");
    let version = python.must("unicode", json!({}));
    let unicode = Unicode::read(version.as_str().unwrap()).unwrap();
    let mut random = Random(6);
    let (mut made, mut refused) = (0, 0);
    for _ in 0..8 {
        let cases: Vec<(u8, [String; 5])> = (0..500)
            .map(|at| {
                let names = ["model", "server", "method"].map(|_| name(&mut random));
                let [model, server, method] = names;
                (if at % 2 == 0 { 3 } else { 6 }, [model, server, method, object(&mut random), object(&mut random)])
            })
            .collect();
        let asked: Vec<Value> = cases
            .iter()
            .map(|(form, [model, server, method, params, queries])| {
                json!({"form": form, "names": [model, server, method], "params": params, "queries": queries})
            })
            .collect();
        let answers = python.must("tokens", json!({"cases": asked}));
        for ((form, [model, server, method, params, queries]), theirs) in cases.iter().zip(answers.as_array().unwrap())
        {
            let form = if *form == 3 { TokenForm::V3 } else { TokenForm::V6 };
            let wish = Wish { form: Some(form), unicode: Some(unicode) };
            let ours = Token::new(wish, model, server, method, params.as_bytes(), queries.as_bytes());
            assert_eq!(ours.as_ref().ok().map(Token::text), theirs.as_str(), "{params} {queries} {ours:?}");
            made += usize::from(ours.is_ok());
            refused += usize::from(ours.is_err());
        }
    }
    assert!(made > 2000 && refused > 200, "{made} made, {refused} refused");
}

fn name(random: &mut Random) -> String {
    ["", "lol", "na1", "a b", "match_v4_match", "é", "{", "/"][random.below(8)].to_owned()
}

fn object(random: &mut Random) -> String {
    let mut out = String::new();
    let space = |random: &mut Random| ["", "", " ", "\n\t", "\r "][random.below(5)].to_owned();
    out += &space(random);
    members(random, &mut out, 3);
    out += &space(random);
    if random.below(25) == 0 {
        // broken somewhere
        let mut cut = random.below(out.len());
        while !out.is_char_boundary(cut) {
            cut -= 1;
        }
        match random.below(3) {
            0 => out.truncate(cut.max(1)), // nothing at all is an empty object here
            1 => out.insert(cut, ['}', ',', '"', '\\', '\u{1}', '0', 'e'][random.below(7)]),
            _ => drop(out.remove(cut)),
        }
    }
    out
}

fn members(random: &mut Random, out: &mut String, depth: usize) {
    out.push('{');
    for at in 0..random.below(5) {
        *out += if at > 0 { ", " } else { "" };
        if random.below(4) == 0 {
            *out += "\"twice\""; // now and then more than once
        } else {
            string(random, out);
        }
        *out += ":";
        value(random, out, depth);
    }
    out.push('}');
}

fn value(random: &mut Random, out: &mut String, depth: usize) {
    match random.below(if depth > 0 { 9 } else { 7 }) {
        0 => *out += ["null", "true", "false", "NaN", "Infinity", "-Infinity"][random.below(6)],
        1 => *out += &random.next().cast_signed().to_string(),
        2 => {
            let digits = 1 + random.below(60);
            out.push_str(["-", ""][random.below(2)]);
            out.push(char::from(b'1' + u8::try_from(random.below(9)).unwrap()));
            (1..digits).for_each(|_| out.push(char::from(b'0' + u8::try_from(random.below(10)).unwrap())));
        }
        3 => {
            let float = f64::from_bits(random.next());
            let _ = if float.is_finite() { write!(out, "{float:e}") } else { write!(out, "1E5") };
        }
        4 => {
            *out += ["0", "-0", "-0.0", "1.0", "1e16", "1E+15", "123456789.125", "1e-5", "0.0001", "1e400", "-2e-400"]
                [random.below(11)];
        }
        5 | 6 => string(random, out),
        7 => {
            out.push('[');
            for at in 0..random.below(4) {
                *out += if at > 0 { "," } else { "" };
                value(random, out, depth - 1);
            }
            out.push(']');
        }
        _ => members(random, out, depth - 1),
    }
}

fn string(random: &mut Random, out: &mut String) {
    out.push('"');
    for _ in 0..random.below(8) {
        match random.below(10) {
            0 => *out += ["\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t"][random.below(8)],
            1 => drop(write!(out, "\\u{:04x}", random.below(0x1_0000))),
            2 => {
                *out +=
                    ["\\ud83d\\ude00", "\\uD800", "\\udc00\\ud800", "\\ud800\\\\udc00", "'", "'\\\""][random.below(6)];
            }
            3 | 4 => {
                let code = u32::try_from(random.below(0x11_0000)).unwrap();
                out.extend(char::from_u32(code).filter(|c| !c.is_control()));
            }
            5 => out.extend(char::from_u32(0x80 + u32::try_from(random.below(0x3000)).unwrap())),
            _ => out.push(char::from(b"abc xyz'_0{}"[random.below(12)])),
        }
    }
    out.push('"');
}
