//! Between stores: real backends, and what HerdClient puts beside a value.

use larder::backend::When;
use larder::codec::Input;
use larder::error::Kind;
use larder::store::{Call, Store};
use larder::timeout::{Ttl, TtlChoice};
use serde_json::json;

use super::common::client::rust_store;
use super::common::redis::RedisServer;

const CALL: Call<'static> = Call { version: None, budget: None, final_key: false };
const MINUTE: TtlChoice = TtlChoice::Of(Ttl::Millis(60_000));

/// Copies the value of `key`.
fn carry(from: &Store, to: &Store, key: &str) {
    let value = from.get(key, &CALL).unwrap().unwrap();
    let carried = to.carry(from, &value).unwrap();
    to.set(key, Input::Ready(carried.as_ref()), MINUTE, When::Always, &CALL).unwrap();
}

fn json_of(store: &Store, key: &str) -> String {
    store.get(key, &CALL).unwrap().unwrap().json().unwrap().shown.to_owned()
}

#[test]
fn values_go_from_store_to_store() {
    let server = RedisServer::start();
    let redis = |options: serde_json::Value| {
        json!({"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url(0), "OPTIONS": options,
               "KEY_PREFIX": options.to_string()})
    };
    let folder = std::env::temp_dir().join(format!("larder-carry-{}", std::process::id()));
    let document = json!({"CACHES": {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "carry"},
        "file": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": folder.join("file")},
        "disk": {"BACKEND": "diskcache.DjangoCache", "LOCATION": folder.join("disk"), "SHARDS": 1},
        "redis": redis(json!({"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"})),
        "json": redis(json!({"SERIALIZER": "django_redis.serializers.json.JSONSerializer"})),
        "herd": redis(json!({"CLIENT_CLASS": "django_redis.client.HerdClient"})),
        "herd_too": redis(json!({"CLIENT_CLASS": "django_redis.client.HerdClient", "PICKLE_VERSION": 2,
                                 "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"})),
    }})
    .to_string();
    let names = ["default", "file", "disk", "redis", "json", "herd", "herd_too"];
    let stores = names.map(|name| rust_store(&document, name));
    let values =
        ["7", "1.5", "\"text\"", "[1, {\"a\": null}]", &format!("{:?}", "long ".repeat(50))].map(str::to_owned);
    for (first, name) in stores.iter().zip(names) {
        for (number, value) in values.iter().enumerate() {
            let key = format!("{name}{number}");
            first.set(&key, Input::Json(value.as_bytes()), MINUTE, When::Always, &CALL).unwrap();
            let mut before = first;
            for store in &stores {
                if !std::ptr::eq(store, first) {
                    carry(before, store, &key);
                    before = store;
                }
                assert_eq!(json_of(store, &key), *value, "{key} in {}", store.name());
            }
        }
    }
    // a server counts on with what came from elsewhere
    assert!(stores[3].incr("file0", &larder::value::Number::Int(1.into()), &CALL).unwrap().is_some());
    assert_eq!(json_of(&stores[3], "file0"), "8");
    drop(stores);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn soft_deadlines_stay_with_those_who_know_them() {
    let server = RedisServer::start();
    let herd = |options: serde_json::Value| {
        let mut all = json!({"CLIENT_CLASS": "django_redis.client.HerdClient"});
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        json!({"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url(0), "OPTIONS": all,
               "KEY_PREFIX": options.to_string()})
    };
    let document = json!({"CACHES": {
        "default": herd(json!({})),
        "zlib": herd(json!({"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"})),
        "plain": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url(0)},
    }})
    .to_string();
    let [one, zlib, plain, redis] = ["default", "zlib", "plain", "redis"].map(|name| rust_store(&document, name));
    let stored = |store: &Store, key: &str| store.get(key, &CALL).unwrap().unwrap().stored().bytes.to_vec();
    let has_marker = |bytes: &[u8]| bytes.windows(6).any(|part| part == b"Marker");

    one.set("k", Input::Json(b"[1]"), MINUTE, When::Always, &CALL).unwrap();
    let value = one.get("k", &CALL).unwrap().unwrap();
    assert!(has_marker(value.stored().bytes));
    assert!(!has_marker(&plain.carry(&one, &value).unwrap().bytes));
    // another client of the same package keeps it, whatever it compresses with
    carry(&one, &zlib, "k");
    assert!(json_of(&zlib, "k") == "[1]" && json_of(&one, "k") == "[1]");
    // what has none gets none
    carry(&one, &plain, "k");
    carry(&plain, &one, "k");
    assert!(!has_marker(&stored(&one, "k")) && json_of(&one, "k") == "[1]");
    // an int under a deadline is digits elsewhere
    one.set("n", Input::Json(b"42"), MINUTE, When::Always, &CALL).unwrap();
    let number = one.get("n", &CALL).unwrap().unwrap();
    assert_eq!(redis.carry(&one, &number).unwrap().bytes, "42");

    // (Marker(), datetime.date, deadline): larder cannot write the date, and says so
    let date =
        b"\x80\x04\x8c\x18django_redis.client.herd\x94\x8c\x06Marker\x94\x93\x94)\x81\x94\x8c\x08datetime\x94\x8c\
                 \x04date\x94\x93\x94C\x04\x07\xe6\x01\x02\x94\x85\x94R\x94\x8a\x05\xff\xff\xff\xff\x00\x87\x94.";
    one.set("d", Input::Stored(date), MINUTE, When::Always, &CALL).unwrap();
    let dated = one.get("d", &CALL).unwrap().unwrap();
    assert_eq!(dated.text().unwrap().shown, "2022-01-02");
    let error = plain.carry(&one, &dated).unwrap_err();
    assert!(error.kind() == Kind::Unsupported && error.to_string().contains("plain"), "{error}");
    assert_eq!(zlib.carry(&one, &dated).unwrap().bytes[..2], [0x78, 0x9c]);
}
