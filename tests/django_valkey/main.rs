//! Real django-valkey and larder on a real Valkey server, both ways (contract 1.16, K-3).
#![cfg(all(feature = "redis", feature = "compressors"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../redis_clients/store.rs"]
#[allow(dead_code)] // each test program uses its own part
mod store;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::client::{Call, Context, Input, Store, Ttl, alone};
use common::flight::FACES;
use common::python::Partner;
use common::redis::RedisServer;
use larder::capi::status::{LARDER_EUNDECODABLE, LARDER_OK};
use serde_json::{Map, Value, json};
use store::{Client, millis};

const SERIALIZERS: [&str; 5] = [
    "pickle.PickleSerializer",
    "json.JSONSerializer",
    "msgpack.MSGPackSerializer",
    "msgspec.MsgSpecJsonSerializer",
    "msgspec.MsgSpecMsgPackSerializer",
];
const COMPRESSORS: [&str; 8] = [
    "identity.IdentityCompressor",
    "zlib.ZlibCompressor",
    "gzip.GzipCompressor",
    "lzma.LzmaCompressor",
    "lz4.Lz4Compressor",
    "zstd.ZStdCompressor",
    "bz2.Bz2Compressor",
    "brotli.BrotliCompressor",
];

/// What larder sets.
const DOCUMENTS: [&str; 22] = [
    "null",
    "true",
    "0",
    "9583",
    "-5",
    "-9223372036854775808",
    "1606938044258990275541962092341162602522202993782792835301376",
    "1.5",
    "1.0",
    "-0.0",
    "1e16",
    "1e-7",
    "5e-324",
    "NaN",
    "Infinity",
    "-Infinity",
    "\"\"",
    "\"12\"",
    "\"日本 é \\u0000 😀\"",
    "[1, -2, 3.5, null, \"é\"]",
    "{\"a\": {\"b\": [1.5, -1, true]}}",
    "[\"larder larder larder larder larder larder larder larder larder larder larder larder larder larder larder\"]",
];

/// What somebody else may have stored.
const FOREIGN: [&[u8]; 24] = [
    b"12",
    b"007",
    b"-5",
    b"+5",
    b" 42",
    b"42\n",
    b"1_000",
    b"1.0",
    b"1e3",
    b"-1.5E-2",
    b".5",
    b"5.",
    b"1_0.5",
    b"nan",
    b"-NaN",
    b"inf",
    b"Infinity",
    b"-infinity",
    b"",
    b"abc",
    b"0x10",
    b"1__0",
    b"- 1",
    b"\xd9\xa1",
];

/// The server, Python and larder, over one alias for each serializer and compressor.
struct World {
    partner: Partner,
    context: Context,
    config: String,
    server: RedisServer,
}

fn name_of(serializer: &str, compressor: &str) -> String {
    format!("{serializer} {compressor}")
}

impl World {
    fn start() -> Self {
        let server = common::valkey::start();
        let mut caches = Map::new();
        for serializer in SERIALIZERS {
            for compressor in COMPRESSORS {
                let name = name_of(serializer, compressor);
                let entry = json!({
                    "BACKEND": "django_valkey.cache.ValkeyCache", "LOCATION": server.url(0).replace("redis", "valkey"),
                    "KEY_PREFIX": format!("{}", caches.len()), "VERSION": 3,
                    "OPTIONS": {
                        "SERIALIZER": format!("django_valkey.serializers.{serializer}"),
                        "COMPRESSOR": format!("django_valkey.compressors.{compressor}"),
                    },
                });
                caches.insert(name, entry);
            }
        }
        let mut partner = Partner::start("django_valkey/side.py");
        partner.must("setup", json!({"caches": caches}));
        let config = json!({"CACHES": caches}).to_string();
        let context = Context::open(&config).unwrap();
        Self { partner, context, config, server }
    }

    fn plain(&self) -> (String, Store) {
        let name = name_of(SERIALIZERS[0], COMPRESSORS[0]);
        let store = self.context.store(&name).unwrap();
        (name, store)
    }
}

#[test]
fn values_go_both_ways_with_every_serializer_and_compressor() {
    alone(|| {
        let mut world = World::start();
        let (mut read, mut written) = (0, 0);
        for serializer in SERIALIZERS {
            for compressor in COMPRESSORS {
                let name = name_of(serializer, compressor);
                let store = world.context.store(&name).unwrap();
                read += python_writes(&mut world.partner, &name, &store);
                written += larder_writes(&mut world, &name, &store);
            }
        }
        assert!(read >= 900 && written >= 800, "only {read} and {written} values");
    });
}

fn python_writes(partner: &mut Partner, name: &str, store: &Store) -> usize {
    let told = partner.must("set_all", json!({"alias": name}));
    let told = told.as_object().unwrap();
    for (key, expected) in told {
        let what = format!("{name}, {key}");
        let value = store.get(key, Call::default()).unwrap().unwrap_or_else(|| panic!("{what} is not there"));
        assert_eq!(expected["kind"], value.kind(), "{what}");
        let shown = value.json().unwrap();
        assert_eq!(
            (expected["json"].as_str(), &expected["lossy"]),
            (Some(&*shown.shown), &json!(shown.lossy)),
            "{what}"
        );
    }
    told.len()
}

fn larder_writes(world: &mut World, name: &str, store: &Store) -> usize {
    // msgspec has no NaN inside of lists and dicts; these have none
    let items: Vec<Value> = (0..).zip(DOCUMENTS).map(|(at, text)| json!([format!("larder{at}"), text, null])).collect();
    for (at, text) in DOCUMENTS.iter().enumerate() {
        let set = store.set(&format!("larder{at}"), Input::Json(text), Ttl::Default, Call::default());
        assert_eq!(set, Ok(LARDER_OK), "{name}, {text}");
    }
    let judged = world.partner.must("judge", json!({"alias": name, "items": items}));
    let prefix = made_prefix(name);
    for ((at, text), told) in DOCUMENTS.iter().enumerate().zip(judged.as_array().unwrap()) {
        assert_eq!(told["wrong"], Value::Null, "{name}, {text}");
        let is_number = text.starts_with(|c: char| "-0123456789NI".contains(c));
        // Numbers are bare with all; else bytes are Python's own where nothing is compressed, and msgspec has a form of
        // its own.
        if is_number || (name.ends_with("identity.IdentityCompressor") && !name.starts_with("msgspec")) {
            let raw = world.server.command(0, &[b"GET", format!("{prefix}:3:larder{at}").as_bytes()]);
            assert_eq!(STANDARD.encode(&raw), told["raw"].as_str().unwrap(), "{name}, {text}: {}", raw.escape_ascii());
        }
    }
    judged.as_array().unwrap().len()
}

/// The alias's KEY_PREFIX: its number.
fn made_prefix(name: &str) -> usize {
    let all = SERIALIZERS.iter().flat_map(|serializer| COMPRESSORS.map(|compressor| name_of(serializer, compressor)));
    all.into_iter().position(|one| one == name).unwrap()
}

#[test]
fn foreign_bytes_are_read_as_django_valkey_reads_them() {
    alone(|| {
        let mut world = World::start();
        for compressor in [COMPRESSORS[0], COMPRESSORS[2]] {
            for serializer in &SERIALIZERS[..3] {
                let name = name_of(serializer, compressor);
                let store = world.context.store(&name).unwrap();
                let raws: Vec<String> = FOREIGN.iter().map(|raw| STANDARD.encode(raw)).collect();
                let told = world.partner.must("decode", json!({"alias": name, "raws": raws}));
                for (raw, expected) in FOREIGN.iter().zip(told.as_array().unwrap()) {
                    let what = format!("{name}, {}", raw.escape_ascii());
                    store.set("f", Input::Stored(raw), Ttl::Default, Call::default()).unwrap();
                    let value = store.get("f", Call::default()).unwrap().expect("it is there");
                    if expected.get("raises").is_some() {
                        assert_eq!(value.kind(), LARDER_EUNDECODABLE, "{what}: {expected}");
                        continue;
                    }
                    assert_eq!(expected["kind"], value.kind(), "{what}");
                    assert_eq!(expected["json"], value.json().unwrap().shown, "{what}");
                }
            }
        }
    });
}

#[test]
fn what_counts_as_false_is_not_given() {
    alone(|| {
        let mut world = World::start();
        let (name, store) = world.plain();
        // K-3: version 0 is the alias's own, 3
        let zero = Call::version(Some("0"));
        assert_eq!(store.set("k", Input::Json("1"), Ttl::Default, zero), Ok(LARDER_OK));
        assert_eq!(world.server.command(0, &[b"GET", b"0:3:k"]), b"1");
        for version in [json!(0), json!(3), Value::Null] {
            let asked = json!({"alias": name, "method": "get", "arguments": ["k"], "version": version});
            assert_eq!(world.partner.must("call", asked), json!(1), "{version}");
        }
        world.partner.must("call", json!({"alias": name, "method": "set", "arguments": ["p", 2], "version": 0}));
        assert_eq!(store.get("p", zero).unwrap().unwrap().json().unwrap().shown, "2");
        assert_eq!(store.keys("*", zero).map(|keys| keys.len()), Ok(2));
        // and the empty key is itself
        world.partner.call(&name, "set", &json!(["", 7]));
        assert_eq!(world.server.command(0, &[b"GET", b""]), b"7");
        assert_eq!(store.get("", Call::default()).unwrap().unwrap().json().unwrap().shown, "7");
        assert_eq!(store.set("", Input::Json("8"), Ttl::Default, Call::default()), Ok(LARDER_OK));
        assert_eq!(world.partner.call(&name, "get", &json!([""])), json!(8));
    });
}

#[test]
fn both_count_on_one_number() {
    alone(|| {
        let mut world = World::start();
        let (name, store) = world.plain();
        let plain = Call::default();
        world.partner.call(&name, "set", &json!(["n", 40]));
        assert_eq!(store.incr("n", 1, plain), Ok(Some("41".into())));
        assert_eq!(world.partner.call(&name, "incr", &json!(["n"])), json!(42));
        assert_eq!(store.incr("none", 1, plain), Ok(None));
        assert_eq!(world.partner.call(&name, "incr", &json!(["none"])), "ValueError");
        // Floats are bare, and added to in the client.
        store.set("f", Input::Json("1.5"), Ttl::Millis(100_000), plain).unwrap();
        assert_eq!(store.incr("f", 1, plain), Ok(Some("2.5".into())));
        assert_eq!(world.partner.call(&name, "incr", &json!(["f"])), json!(3.5));
        assert_eq!(world.server.command(0, &[b"GET", b"0:3:f"]), b"3.5");
        assert!(matches!(store.ttl("f", plain), Ok(Some(Ttl::Millis(90_000..=100_000)))));
        // Beyond 64 bits too.
        store.set("n", Input::Json("9223372036854775807"), Ttl::Default, plain).unwrap();
        assert_eq!(store.incr("n", 1, plain), Ok(Some("9223372036854775808".into())));
        assert_eq!(world.partner.call(&name, "get", &json!(["n"])), json!(9_223_372_036_854_775_808_u64));
        // Times to live are milliseconds.
        store.set("t", Input::Json("1"), Ttl::Millis(20_500), plain).unwrap();
        let left = world.partner.call(&name, "pttl", &json!(["t"])).as_i64().unwrap();
        assert!((15_000..=20_500).contains(&left), "{left}");
        world.partner.call(&name, "touch", &json!(["t", null]));
        assert_eq!(store.ttl("t", plain), Ok(Some(Ttl::Forever)));
        // Keys are reversed, and removed by pattern.
        let mut keys = store.keys("*", plain).unwrap();
        keys.sort();
        assert_eq!(keys, ["f", "n", "t"]);
        assert_eq!(store.delete_pattern("[ft]", plain, 0), Ok(2));
        assert_eq!(world.partner.call(&name, "keys", &json!(["*"])), json!(["n"]));
    });
}

/// What `incr` answers is an int below zero too, by both faces, although the value is read back as a float (1.16).
#[test]
fn sums_below_zero_are_ints() {
    alone(|| {
        let mut world = World::start();
        let (name, _) = world.plain();
        for (face, key) in FACES.into_iter().zip(["one", "other"]) {
            let client = Client::of(&world.config, &name, face);
            for (old, delta, sum, read) in [
                ("2", -5, "-3", "-3.0"),
                ("-9223372036854775808", -1, "-9.223372036854776e+18", "-9.223372036854776e+18"),
                ("1.5", -2, "-0.5", "-0.5"),
            ] {
                let python = format!("python's {key}");
                for key in [key, &python] {
                    client.set(key, old, millis(100_000));
                }
                let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
                assert_eq!(
                    client.incr(key, delta).unwrap().map(|told| number(&told)),
                    Some(number(sum)),
                    "{face:?} {old}"
                );
                assert_eq!(client.json(key).map(|told| number(&told)), Some(number(read)), "{face:?} {old}");
                assert_eq!(world.partner.call(&name, "incr", &json!([python, delta])), number(sum), "{old}");
                assert_eq!(world.partner.call(&name, "get", &json!([python])), number(read), "{old}");
            }
        }
    });
}
