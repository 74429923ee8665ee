//! Which client of django-redis an alias has, and what it makes of its servers (DR-3, DR-6, DR-40, DR-50).
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::Duration;

use larder::config::{self, Alias, Family, Layout, Redis};
use serde_json::{Value, json};

fn read(options: &Value, location: &Value, beside: &Value) -> (Alias, Vec<String>) {
    let mut document = json!({"CACHES": {"default": {
        "BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": options,
    }}});
    document.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    let mut config = config::read(document.to_string().as_bytes(), &|name| match name {
        "URL" => Some("redis://:geheim@c:3/0".to_owned()),
        _ => None,
    })
    .unwrap();
    (config.aliases.remove(0), config.warnings)
}

fn redis(options: &Value, location: &Value) -> (Redis, Vec<String>) {
    let (alias, warnings) = read(options, location, &json!({}));
    match alias.family {
        Family::Redis(redis) => (redis, warnings),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_ring_is_made_of_the_urls_as_they_are_written() {
    for class in ["django_redis.client.ShardClient", "django_redis.client.sharded.ShardClient"] {
        let urls = ["redis://A:1", "redis://user:p%2Cw@b:2/0?socket_timeout=5", "redis://:geheim@c:3/0"];
        let in_text = "redis://A:1,redis://user:p%2Cw@b:2/0?socket_timeout=5,${URL}";
        for location in [json!(["redis://A:1", urls[1], "${URL}"]), json!(in_text)] {
            let (redis, _) = redis(&json!({"CLIENT_CLASS": class}), &location);
            let Layout::Ring(texts) = &redis.layout else { panic!("{:?}", redis.layout) };
            assert_eq!(*texts, urls);
            let servers: Vec<_> =
                std::iter::once(&redis.server).chain(&redis.replicas).map(|one| &*one.shown).collect();
            assert!(servers.len() == 3 && servers[0].contains("a:1") && servers[2].contains("c:3"), "{servers:?}");
            let shown = format!("{redis:?}");
            assert!(!shown.contains("geheim") && !shown.contains("p%2C") && !shown.contains("p,w"), "{shown}");
            assert_eq!(redis.herd, None);
        }
    }
    let (redis, warnings) = redis(
        &json!({"CLIENT_CLASS": "django_redis.client.ShardClient", "REPLICA_READ_ONLY": false}),
        &json!("redis://h"),
    );
    assert!(matches!(redis.layout, Layout::Ring(urls) if urls == ["redis://h"]));
    assert!(warnings.len() == 1 && warnings[0].contains("has no effect with ShardClient"), "{warnings:?}");
}

#[test]
fn writes_are_tried_elsewhere_where_that_is_asked_for() {
    let herd = "django_redis.client.HerdClient";
    for (options, expected) in [
        (json!({}), false),
        (json!({"REPLICA_READ_ONLY": true}), false),
        (json!({"REPLICA_READ_ONLY": "False"}), false),
        (json!({"REPLICA_READ_ONLY": false}), true),
        (json!({"REPLICA_READ_ONLY": 0}), true),
        (json!({"REPLICA_READ_ONLY": null}), true),
        (json!({"REPLICA_READ_ONLY": ""}), true),
        (json!({"REPLICA_READ_ONLY": false, "CLIENT_CLASS": herd}), true),
    ] {
        let (redis, warnings) = redis(&options, &json!(["redis://a", "redis://b"]));
        assert!(matches!(redis.layout, Layout::Replicas { fail_over } if fail_over == expected), "{options}");
        let is_text = options["REPLICA_READ_ONLY"].is_string();
        assert_eq!(warnings.iter().any(|one| one.contains("is a text")), is_text, "{warnings:?}");
    }
}

#[test]
fn a_herd_has_a_time() {
    let options = json!({"CLIENT_CLASS": "django_redis.client.herd.HerdClient"});
    let location = json!("redis://h");
    for (beside, expected) in
        [(json!({}), 60), (json!({"CACHE_HERD_TIMEOUT": 5}), 5), (json!({"CACHE_HERD_TIMEOUT": 0}), 0)]
    {
        let (alias, warnings) = read(&options, &location, &beside);
        let Family::Redis(redis) = alias.family else { panic!("{:?}", alias.family) };
        assert_eq!((redis.herd, warnings), (Some(Duration::from_secs(expected)), vec![]));
    }
    for wrong in [json!("60"), json!(-1), json!(1.5), Value::Null, json!(5_000_000_000_u64)] {
        let document = json!({"CACHE_HERD_TIMEOUT": wrong, "CACHES": {"default": {
            "BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": options,
        }}});
        let error = config::read(document.to_string().as_bytes(), &|_| None).unwrap_err();
        assert!(error.reason().starts_with("CACHE_HERD_TIMEOUT: must be a whole number of seconds"), "{error}");
    }
    // nobody else looks at it
    let (alias, _) = read(&json!({}), &location, &json!({"CACHE_HERD_TIMEOUT": "soon"}));
    assert!(matches!(alias.family, Family::Redis(redis) if redis.herd.is_none()));
}

#[test]
fn only_pickles_can_hold_the_marker_of_a_herd() {
    for serializer in ["json.JSONSerializer", "msgpack.MSGPackSerializer"] {
        let serializer = format!("django_redis.serializers.{serializer}");
        let options = json!({"CLIENT_CLASS": "django_redis.client.HerdClient", "SERIALIZER": serializer});
        let (alias, _) = read(&options, &json!("redis://h"), &json!({}));
        let Family::NotBuiltIn { reason } = alias.family else { panic!("{:?}", alias.family) };
        assert!(reason.starts_with("CACHES.default.OPTIONS.SERIALIZER: HerdClient stores a marker"), "{reason}");
    }
}
