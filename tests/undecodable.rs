//! What cannot be decoded is an error, or with LARDER.UNDECODABLE a miss: cut, flipped and broken values and bombs of every
//! serializer, compressor and client, by both faces (PK-8, DR-12).
#![cfg(all(feature = "redis", feature = "file", feature = "compressors"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;
#[path = "redis_clients/store.rs"]
#[allow(dead_code, reason = "this test program takes what it needs")]
mod store;

use std::io::Write;

use common::flight::{FACES, Face};
use common::redis::{RedisClient, RedisServer};
use larder::error::{Kind, Result};
use larder::store::{Call, Value};
use larder::value::ValueKind;
use serde_json::{Value as Json, json};
use store::{Client, millis};

const SERIALIZERS: [&str; 3] = ["pickle.PickleSerializer", "json.JSONSerializer", "msgpack.MSGPackSerializer"];
const COMPRESSORS: [&str; 6] = [
    "identity.IdentityCompressor",
    "zlib.ZlibCompressor",
    "gzip.GzipCompressor",
    "lzma.LzmaCompressor",
    "lz4.Lz4Compressor",
    "zstd.ZStdCompressor",
];

/// Not more than this may be unpacked.
const LIMIT: usize = 1 << 16;

/// The same alias twice: `error` and `miss`.
fn document(entry: &Json) -> String {
    let with = |setting: &str| {
        let mut entry = entry.clone();
        entry["LARDER"] = json!({"UNDECODABLE": setting, "MAX_VALUE_BYTES": LIMIT});
        entry
    };
    json!({"CACHES": {"error": with("error"), "miss": with("miss")}}).to_string()
}

/// Both settings' alias by a face.
struct Both {
    error: Client,
    miss: Client,
}

impl Both {
    fn open(entry: &Json, face: Face) -> Self {
        let document = document(entry);
        Self { error: Client::of(&document, "error", face), miss: Client::of(&document, "miss", face) }
    }

    /// Reads a key by both: whether there was a value, which has to be the same for both.
    fn read(&self, key: &str, what: &str) -> bool {
        let wanted = whole(self.error.get(key));
        let found = self.miss.get(key).unwrap_or_else(|error| panic!("{what}: {error}"));
        let read = wanted.as_ref().ok().and_then(Option::as_ref);
        assert_eq!(found.as_ref().map(kind), read.map(kind), "{what}");
        let many = self.miss.store.get_many(&[key, "none"], &Call::default());
        let many = many.unwrap_or_else(|error| panic!("{what}: {error}"));
        // a flipped soft deadline of a herd's value is over: `None` is what several are told then (DR-43)
        let late = matches!(wanted, Ok(None)).then_some(ValueKind::Null);
        assert_eq!(many[0].as_ref().map(kind), late.or(read.map(kind)), "{what}");
        assert!(many[1].is_none());
        let mut size = None;
        let taken = self.miss.store.read(key, &Call::default(), &mut |shown| size = Some(shown.shown.len()));
        match &wanted {
            Err(error) => {
                assert!(matches!(error.kind(), Kind::Undecodable | Kind::TooBig), "{what}: {error}");
                assert!(!taken.unwrap() && size.is_none(), "{what}");
            }
            // a number, say, is no text
            Ok(_) => assert_eq!(taken.is_ok_and(|there| there), size.is_some(), "{what}"),
        }
        wanted.is_ok()
    }
}

fn kind(value: &Value) -> ValueKind {
    value.kind().expect("it was decoded")
}

/// What is there, decoded.
fn whole(found: Result<Option<Value>>) -> Result<Option<Value>> {
    let value = found?;
    value.as_ref().map(Value::kind).transpose()?;
    Ok(value)
}

/// A stored value, cut, and with a bit flipped in every byte.
fn damaged(stored: &[u8]) -> Vec<Vec<u8>> {
    let flip = |at: usize| {
        let mut bytes = stored.to_vec();
        bytes[at] ^= 1 << (at % 8);
        bytes
    };
    (0..stored.len()).flat_map(|at| [stored[..at].to_vec(), flip(at)]).collect()
}

#[test]
fn damaged_values_are_errors_or_misses() {
    let server = RedisServer::start();
    let mut client = RedisClient::connect(server.port());
    for compressor in COMPRESSORS {
        for (serializer, name) in
            SERIALIZERS.iter().map(|name| (*name, "DefaultClient")).chain([(SERIALIZERS[0], "HerdClient")])
        {
            let entry = json!({"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url(0), "OPTIONS": {
                "SERIALIZER": format!("django_redis.serializers.{serializer}"),
                "COMPRESSOR": format!("django_redis.compressors.{compressor}"),
                "CLIENT_CLASS": format!("django_redis.client.{name}"),
            }});
            let what = format!("{serializer}, {compressor}, {name}");
            let (mut good, mut bad) = (0, 0);
            for face in FACES {
                let both = Both::open(&entry, face);
                both.error.set("k", "{\"name\": \"Ahri\", \"tags\": [\"fox\", \"mage\", null, 1.5]}", millis(600_000));
                let stored = client.command(&[b"GET", b":1:k"]);
                assert!(both.read("k", &what));
                for bytes in damaged(&stored) {
                    client.command(&[b"SET", b":1:k", &bytes]);
                    let found = both.read("k", &format!("{what}, {}", bytes.escape_ascii()));
                    *(if found { &mut good } else { &mut bad }) += 1;
                }
                let stats = both.miss.store.stats();
                assert!(stats.misses > 0 && stats.failures == 0, "{what}: {stats:?}");
            }
            assert!(bad > 20, "{what}: {good} were read, {bad} were not");
        }
    }
}

#[test]
fn bombs_are_errors_or_misses() {
    let server = RedisServer::start();
    let mut client = RedisClient::connect(server.port());
    let plain = vec![b' '; 64 << 20];
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&plain).unwrap();
    let bomb = packer.finish().unwrap();
    let entry = json!({"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url(0),
        "OPTIONS": {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"}});
    for face in FACES {
        let both = Both::open(&entry, face);
        client.command(&[b"SET", b":1:k", &bomb[..LIMIT.min(bomb.len())]]);
        assert!(!both.read("k", "a bomb"));
        // larger than what may be read at all
        client.command(&[b"SET", b":1:k", &plain[..=LIMIT]]);
        assert!(!both.read("k", "a large value"));
        // what is asked but for its value is there
        assert!(both.miss.has("k").unwrap());
    }
}

#[test]
fn broken_files_are_errors_or_misses() {
    let folder = std::env::temp_dir().join(format!("larder-undecodable-{}", std::process::id()));
    let entry = json!({"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": folder});
    for face in FACES {
        let both = Both::open(&entry, face);
        both.error.set("k", "[1, 2, \"three\"]", millis(600_000));
        let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        let mut broken = bytes.clone();
        *broken.last_mut().unwrap() ^= 0x55;
        std::fs::write(&file, &broken).unwrap();
        let error = both.error.get("k").err().or_else(|| both.error.get("k").unwrap().unwrap().kind().err());
        assert_eq!(error.unwrap().kind(), Kind::Undecodable);
        assert!(both.miss.get("k").unwrap().is_none());
        assert!(!both.miss.store.read("k", &Call::default(), &mut |_| panic!("nothing is there")).unwrap());
        std::fs::write(&file, &bytes).unwrap();
        assert_eq!(both.miss.json("k").unwrap(), "[1, 2, \"three\"]");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
