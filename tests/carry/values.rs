//! Values between all pairs of caches.

use larder::codec::carry::Unwrapped;
use larder::codec::compress::{Compressor, Method};
use larder::codec::{Codec, Form, Input, Serializer};
use larder::error::Kind;
use larder::stored::Stored;
use larder::value::{Limits, Number, Tree, ValueKind};

use super::codec_support::{blob, golden, list, shown};
use super::common::random::Random;
use super::forms::{self, Cache};

/// What JSON can say, and so everything stores: small and large, and at the bounds of what stands for itself. No negative ints,
/// which django-valkey reads as floats (1.16).
pub fn documents() -> Vec<String> {
    let mut texts: Vec<String> = [
        "null",
        "true",
        "false",
        "0",
        "7",
        "255",
        "65536",
        "2147483648",
        "9223372036854775807",
        "1.5",
        "-0.0",
        "1e300",
        "0.1",
        "\"\"",
        "\"v\"",
        "\"42\"",
        "\"1.5\"",
        "\"\\u00e9\\u20ac\"",
        "[]",
        "{}",
        "[[1, 2.5], {\"a\": null}]",
        r#"[{"id": 1, "x": "id"}, {"id": 2, "x": "id"}]"#,
    ]
    .map(str::to_owned)
    .into();
    texts.push(format!("{:?}", "long ".repeat(300)));
    texts.push(format!("[{}]", (0..1001).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")));
    texts
}

/// Type and JSON of a value.
fn told(tree: &Tree) -> (String, String) {
    (tree.type_name().into_owned(), shown(tree).0)
}

fn carried(from: &Cache, to: &Cache, stored: &Stored, what: &str) -> Stored {
    let carried = to.codec.carry(&from.codec, stored);
    carried.unwrap_or_else(|error| panic!("{what} from {from} to {to}: {error}"))
}

#[test]
fn every_value_is_the_same_wherever_it_is_carried() {
    let caches = forms::all();
    for document in documents() {
        for from in &caches {
            let stored = from.codec.encode(Input::Json(document.as_bytes())).unwrap();
            let before = told(&from.codec.decode(&stored).unwrap());
            for to in &caches {
                let after = carried(from, to, &stored, &document);
                let mut now = told(&to.codec.decode(&after).unwrap());
                if to.form == "pylibmc" && from.serializer != "pickle" && before.0 == "bool" {
                    // what pylibmc has made of a bool is an int (pitfall 16)
                    now = (before.0.clone(), if now.1 == "1" { "true".into() } else { "false".into() });
                }
                assert_eq!(now, before, "{document} from {from} to {to}");
            }
        }
    }
}

#[test]
fn what_stands_for_itself_does_so_wherever_it_comes_from() {
    let caches = forms::all();
    for document in documents() {
        for to in &caches {
            // numbers and, where they do, texts are stored as a set stores them: servers count with these digits
            let fresh = to.codec.encode(Input::Json(document.as_bytes())).unwrap();
            let Ok(inside) = to.codec.unwrapped(&fresh) else { panic!("{document} in {to}") };
            if matches!(inside, Unwrapped::Serialised(_)) || matches!(document.as_str(), "true" | "false") {
                continue;
            }
            for from in &caches {
                let stored = from.codec.encode(Input::Json(document.as_bytes())).unwrap();
                let same_form = from.form == to.form && from.serializer == to.serializer;
                assert!(same_form || carried(from, to, &stored, &document) == fresh, "{document} from {from} to {to}");
            }
        }
    }
}

/// All pickles of the golden data that take less than this: objects of classes, sets, dates, cycles, shared parts.
fn pickles() -> Vec<(String, Vec<u8>)> {
    let data = golden("pickles.json");
    let mut pickles = Vec::new();
    for case in list(&data, "cases") {
        for (protocol, pickle) in case["pickles"].as_object().expect("pickles by protocol") {
            let Some(pickle) = blob(pickle).filter(|pickle| pickle.len() < 3_000) else { continue };
            pickles.push((format!("{} in protocol {protocol}", case["name"].as_str().unwrap_or("?")), pickle));
        }
    }
    assert!(pickles.len() > 900, "only {} pickles", pickles.len());
    pickles
}

#[test]
fn golden_pickles_pass_unchanged() {
    let (all, plain) = (forms::all(), forms::all().swap_remove(0));
    let caches: Vec<&Cache> = all.iter().filter(|cache| cache.serializer == "pickle").collect();
    let (mut passed, mut stood) = (0, 0);
    for (name, pickle) in pickles() {
        let stored: Stored = pickle.clone().into();
        let before = plain.codec.decode(&stored).unwrap();
        let negative = before.kind() == ValueKind::Int && told(&before).1.starts_with('-');
        for to in caches.iter().filter(|to| !(negative && to.form == "valkey")) {
            let there = carried(&plain, to, &stored, &name);
            let back = carried(to, &plain, &there, &name);
            if to.codec.unwrapped(&there).unwrap() == Unwrapped::Serialised(pickle.clone().into()) {
                // also what cannot be told from something else by its JSON: it is the very pickle
                assert_eq!(back, stored, "{name} by way of {to}");
                passed += 1;
            } else {
                let scalar =
                    matches!(before.kind(), ValueKind::Int | ValueKind::Float | ValueKind::Text | ValueKind::Bytes);
                assert!(scalar && !["pickle", "pyotdisk"].contains(&to.form), "{name} in {to} is no pickle");
                assert_eq!(told(&plain.codec.decode(&back).unwrap()), told(&before), "{name} by way of {to}");
                stood += 1;
            }
            let beyond = carried(to, caches[1], &there, &name);
            assert_eq!(told(&caches[1].codec.decode(&beyond).unwrap()), told(&before), "{name} by way of {to}");
        }
    }
    assert!(passed > 5_000 && stood > 500, "{passed} passed, {stood} stood for themselves");
}

/// What Python pickles and larder cannot decode at all.
#[test]
fn what_nobody_here_understands_travels_as_well() {
    // persistent ids, extension codes, and bytes that are no pickle at all
    for pickle in [&b"\x80\x02Pid\n."[..], b"\x80\x02\x82\x05.", b"no pickle, but somebody's"] {
        let caches = forms::all();
        let stored = Stored::from(pickle.to_vec());
        for to in caches.iter().filter(|cache| cache.serializer == "pickle") {
            let there = carried(&caches[0], to, &stored, "something");
            assert_eq!(carried(to, &caches[0], &there, "something"), stored, "by way of {to}");
        }
        for to in caches.iter().filter(|cache| cache.serializer != "pickle") {
            let error = to.codec.carry(&caches[0].codec, &stored).unwrap_err();
            assert_eq!(error.kind(), Kind::Undecodable, "to {to}");
        }
    }
}

#[test]
fn what_the_other_cannot_say_is_refused() {
    let caches = forms::all();
    let find = |form, serializer| {
        &caches.iter().find(|cache| (cache.form, cache.serializer) == (form, serializer)).expect("a cache").codec
    };
    let pickled = find("pickle", "pickle");
    let refused = |to: &Codec, input: Input<'_>| to.carry(pickled, &pickled.encode(input).unwrap()).unwrap_err().kind();
    assert_eq!(refused(find("redis", "json"), Input::Bytes(b"\xff")), Kind::Type);
    assert_eq!(refused(find("redis", "own"), Input::Bytes(b"\xff")), Kind::Type);
    assert_eq!(refused(find("redis", "msgpack"), Input::Json(b"[18446744073709551616]")), Kind::Type);
    let set = Stored::from(b"\x80\x04\x8f\x94.".to_vec());
    for serializer in ["json", "msgpack", "own"] {
        assert_eq!(find("redis", serializer).carry(pickled, &set).unwrap_err().kind(), Kind::Type, "{serializer}");
    }
    // bytes inside of msgpack are bytes inside of a pickle; what only msgpack has is nothing there
    let msgpack = find("redis", "msgpack");
    let stored = Stored::from(b"\x92\xc4\x01\xff\x81\xc4\x01k\x01".to_vec());
    let tree = pickled.decode(&pickled.carry(msgpack, &stored).unwrap()).unwrap();
    assert_eq!(told(&tree), told(&msgpack.decode(&stored).unwrap()));
    let timestamp = Stored::from(b"\xd6\xff\0\0\0\x01".to_vec());
    assert_eq!(pickled.carry(msgpack, &timestamp).unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn limits_of_both_sides_hold() {
    let zlib = |bytes| Codec {
        form: Form::RedisIntegers,
        serializer: Serializer::Pickle(5),
        compressor: Compressor { method: Method::Zlib, min_length: 15, forgives: false },
        limits: Limits { bytes, ..Limits::default() },
    };
    let plain = |bytes| Codec::pickling(5, Form::Pickle, Limits { bytes, ..Limits::default() });
    let text = "x".repeat(5_000);
    let (stored, packed) =
        (plain(9_000).encode(Input::Text(&text)).unwrap(), zlib(9_000).encode(Input::Text(&text)).unwrap());
    assert!(packed.bytes.len() < 1_000);
    for (to, from, stored) in [
        (plain(1_000), plain(9_000), &stored),
        (plain(9_000), plain(1_000), &stored),
        (zlib(1_000), plain(9_000), &stored),
        (zlib(1_000), zlib(9_000), &packed), // nobody there could read it again
        (plain(1_000), zlib(9_000), &packed),
        (plain(9_000), zlib(1_000), &packed),
    ] {
        assert_eq!(to.carry(&from, stored).unwrap_err().kind(), Kind::TooBig);
    }
    assert_eq!(zlib(9_000).carry(&zlib(9_000), &packed).unwrap(), packed);
    assert_eq!(zlib(6_000).carry(&zlib(9_000), &packed).unwrap(), packed);
}

#[test]
fn negative_ints_are_digits_too() {
    for from in forms::all() {
        let stored = from.codec.encode(Input::Number(&Number::Int((-7).into()))).unwrap();
        for to in forms::all() {
            let there = carried(&from, &to, &stored, "-7");
            let tree = to.codec.decode(&there).unwrap();
            let by_valkey = from.form == "valkey" || to.form == "valkey"; // which reads floats (1.16)
            assert_eq!(tree.number().unwrap().to_f64().to_string(), "-7", "from {from} to {to}");
            assert!(by_valkey || tree.kind() == ValueKind::Int, "from {from} to {to}");
            assert!(by_valkey || to.form != "redis" || there.bytes == "-7", "from {from} to {to}");
        }
    }
}

#[test]
fn numbers_of_any_size_are_digits_again() {
    let [pickled, redis, valkey] = [Form::Pickle, Form::RedisIntegers, Form::ValkeyNumbers]
        .map(|form| Codec::pickling(4, form, Limits::default()));
    for digits in [1, 18, 19, 20, 300, 4300] {
        for sign in ["", "-"] {
            let number = format!("{sign}{}", "9".repeat(digits));
            for protocol in 0..=5 {
                let from = Codec { serializer: Serializer::Pickle(protocol), ..pickled.clone() };
                let stored = from.encode(Input::Json(number.as_bytes())).unwrap();
                for to in [&redis, &valkey] {
                    assert_eq!(to.carry(&from, &stored).unwrap().bytes, number, "protocol {protocol}");
                }
                assert_eq!(from.carry(&redis, &number.clone().into_bytes().into()).unwrap(), stored);
            }
        }
    }
    // what rule I takes for an int is one: 7 written with zeros and blanks
    let seven = pickled.encode(Input::Number(&Number::Int(7.into()))).unwrap();
    assert_eq!(pickled.carry(&redis, &b" 007 "[..].to_vec().into()).unwrap(), seven);
    // more digits than anyone reads stay in their pickle
    let huge = Stored::from([&b"\x80\x04\x8b\xd0\x07\0\0"[..], &[1; 2000], b"."].concat());
    assert_eq!(redis.carry(&pickled, &huge).unwrap(), huge);
}

/// A store may hold anything. Whatever it is, carrying ends with bytes or with an error, and never with bytes that are too many.
#[test]
fn whatever_is_stored_it_ends() {
    let limits = Limits { bytes: 4_000, nodes: 1_000, depth: 20 };
    let caches: Vec<Codec> = forms::all().into_iter().map(|cache| Codec { limits, ..cache.codec }).collect();
    let mut random = Random(6);
    for (_, mut bytes) in pickles().into_iter().step_by(3) {
        for _ in 0..4 {
            let place = random.below(bytes.len());
            match random.below(3) {
                0 => bytes.truncate(place + 1),
                1 => bytes[place] = u8::try_from(random.below(256)).unwrap(),
                _ => bytes.insert(place, b'('),
            }
            let from = &caches[random.below(caches.len())];
            let stored = Stored { bytes: bytes.clone().into(), flags: u32::try_from(random.below(32)).unwrap() };
            for to in &caches {
                if let Ok(carried) = to.carry(from, &stored) {
                    assert!(carried.bytes.len() <= limits.bytes);
                }
            }
        }
    }
}
