//! The settings of `django_valkey.cache.ValkeyCache` (contract 1.16), and that they stay apart from django-redis's.

// Tests may say plainly what must not happen.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::time::Duration;

use larder::config::{
    Address, Alias, CertificateCheck, Compressor, CompressorMethod, Family, Flavor, Layout, Redis, Serializer, read,
};
use larder::key::ReverseKey;
use serde_json::{Value, json};

const VALKEY: &str = "django_valkey.cache.ValkeyCache";
const DJANGO_REDIS: &str = "django_redis.cache.RedisCache";

fn nothing(_: &str) -> Option<String> {
    None
}

fn document(location: &Value, options: &Value) -> Value {
    json!({"CACHES": {"default": {"BACKEND": VALKEY, "LOCATION": location, "OPTIONS": options}}})
}

/// The first alias, and the warnings.
fn read_first(document: &Value) -> (Alias, Vec<String>) {
    let config = read(document.to_string().as_bytes(), &nothing);
    let mut config = config.unwrap_or_else(|error| panic!("{document}: {error}"));
    (config.aliases.remove(0), config.warnings)
}

/// An alias that can be opened, and gives no warning.
fn valkey(location: &str, options: &Value) -> (Alias, Redis) {
    let (alias, warnings) = read_first(&document(&json!(location), options));
    assert!(warnings.is_empty(), "{warnings:?}");
    match &alias.family {
        Family::Redis(redis) => (alias.clone(), redis.clone()),
        family => panic!("{location}, {options}: {family:?}"),
    }
}

fn not_built_in(document: &Value) -> String {
    match read_first(document).0.family {
        Family::NotBuiltIn { reason } => reason,
        family => panic!("{document}: {family:?}"),
    }
}

fn refused(document: &Value) -> String {
    read(document.to_string().as_bytes(), &nothing).expect_err(&document.to_string()).reason().to_owned()
}

#[test]
fn urls_are_valkey_py_s() {
    let server = |location: &str| valkey(location, &json!({})).1.server;
    let tcp = |host: &str, port| Address::Tcp(host.to_owned(), port);
    assert_eq!(server("valkey://u:p%40@Host:7000/3").address, tcp("host", 7000));
    let full = server("valkey://u:p%40@h:7000/3");
    assert_eq!((full.username.as_deref(), full.password.as_deref(), full.database), (Some("u"), Some("p@"), 3));
    assert_eq!(&*full.shown, "valkey://h:7000/3");
    assert_eq!(server("valkey://").address, tcp("localhost", 6379));
    // valkey-py takes redis-py's schemes too, and all in any case.
    assert_eq!(server("VALKEY://h").address, tcp("h", 6379));
    assert_eq!(&*server("redis://h/1").shown, "redis://h:6379/1");
    assert_eq!(server("unix:///run/valkey.sock?db=2").address, Address::Unix("/run/valkey.sock".into()));
    let servers = valkey("valkey://a,redis://b", &json!({})).1;
    assert_eq!((&*servers.server.shown, &*servers.replicas[0].shown), ("valkey://a:6379/0", "redis://b:6379/0"));

    for wrong in ["http://h", "valkeyss://h", "h:6379", " valkey://h", "valkey://a;valkey:/b,xyz://c"] {
        let reason = refused(&document(&json!(wrong), &json!({})));
        assert!(reason.starts_with("CACHES.default.LOCATION: "), "{wrong}: {reason}");
        assert!(!reason.contains("xyz"), "{reason}");
    }
    let missing = refused(&json!({"CACHES": {"default": {"BACKEND": VALKEY}}}));
    assert!(missing.contains("such as valkey://"), "{missing}");
    // U-1: redis-py does not take valkey-py's.
    for backend in [DJANGO_REDIS, "django.core.cache.backends.redis.RedisCache"] {
        let of_redis = json!({"default": {"BACKEND": backend, "LOCATION": "valkeys://:secret@h"}});
        let reason = refused(&of_redis);
        assert!(reason.contains("redis://, rediss:// or unix://; valkey:// is for django_valkey"), "{reason}");
        assert!(!reason.contains("secret"), "{reason}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn valkeys_is_tls() {
    for url in ["valkeys://h", "rediss://h", "Valkeys://h"] {
        match valkey(url, &json!({})).1.server.address {
            Address::Tls(host, 6379, tls) => assert_eq!((&*host, tls.check), ("h", CertificateCheck::Full), "{url}"),
            address => panic!("{url}: {address:?}"),
        }
    }
    let server = valkey("valkeys://h?ssl_cert_reqs=none", &json!({})).1.server;
    assert_eq!(&*server.shown, "valkeys://h:6379/0");
}

#[test]
fn nothing_is_needed_but_a_location() {
    let (alias, redis) = valkey("valkey://h", &json!({}));
    assert_eq!(redis.flavor, Flavor::DjangoValkey);
    assert!(!redis.ignore_exceptions && redis.herd.is_none() && redis.replicas.is_empty());
    assert_eq!(alias.serializer, Serializer::Pickle(4)); // PK-1
    assert_eq!(alias.compressor.method, CompressorMethod::Identity);
    assert_eq!(alias.keys.reverse, ReverseKey::SecondColon);
    assert!(alias.keys.nothing_is_default); // K-3
}

#[test]
fn serializers_and_compressors_have_their_own_names() {
    for (class, serializer) in [
        ("pickle.PickleSerializer", Serializer::Pickle(4)),
        ("json.JSONSerializer", Serializer::Json),
        ("msgpack.MSGPackSerializer", Serializer::MsgPack),
        ("msgspec.MsgSpecJsonSerializer", Serializer::Json),
        ("msgspec.MsgSpecMsgPackSerializer", Serializer::MsgPack),
    ] {
        let options = json!({"SERIALIZER": format!("django_valkey.serializers.{class}")});
        assert_eq!(valkey("valkey://h", &options).0.serializer, serializer, "{class}");
    }
    for (version, protocol) in [(-1, 5), (0, 0), (1, 1), (2, 2), (5, 5)] {
        let alias = valkey("valkey://h", &json!({"PICKLE_VERSION": version})).0;
        assert_eq!(alias.serializer, Serializer::Pickle(protocol));
    }
    for (class, method) in [
        ("identity.IdentityCompressor", CompressorMethod::Identity),
        ("zlib.ZlibCompressor", CompressorMethod::Zlib),
        ("gzip.GzipCompressor", CompressorMethod::Gzip),
        ("lzma.LzmaCompressor", CompressorMethod::Lzma),
        ("lz4.Lz4Compressor", CompressorMethod::Lz4),
        ("zstd.ZStdCompressor", CompressorMethod::Zstd),
        ("bz2.Bz2Compressor", CompressorMethod::Bz2),
        ("brotli.BrotliCompressor", CompressorMethod::Brotli),
    ] {
        let options = json!({"COMPRESSOR": format!("django_valkey.compressors.{class}")});
        let compressor = valkey("valkey://h", &options).0.compressor;
        assert_eq!(compressor, Compressor { method, min_length: 15, forgives: true }, "{class}"); // 1.16
    }
}

#[test]
fn settings_beside_caches_say_when_and_how_to_compress() {
    let zlib = json!({"COMPRESSOR": "django_valkey.compressors.zlib.ZlibCompressor"});
    let beside = |name: &str, value: Value| {
        let mut document = document(&json!("valkey://h"), &zlib);
        document[name] = value;
        document
    };
    for (value, length) in [(json!(100), 100), (json!(0), 0), (json!(20.5), 20), (json!(-3), 0)] {
        let (alias, warnings) = read_first(&beside("CACHE_COMPRESS_MIN_LENGTH", value));
        assert_eq!((alias.compressor.min_length, warnings.len()), (length, 0));
    }
    for wrong in [json!("15"), json!(null), json!([])] {
        let reason = refused(&beside("CACHE_COMPRESS_MIN_LENGTH", wrong));
        assert!(reason.starts_with("CACHE_COMPRESS_MIN_LENGTH: must be a number of bytes"), "{reason}");
    }
    for (name, value) in [("CACHE_COMPRESS_LEVEL", 9), ("COMPRESS_ZLIB_WBITS", 15), ("COMPRESS_LZMA_FORMAT", 3)] {
        let (alias, warnings) = read_first(&beside(name, json!(value)));
        assert!(matches!(alias.family, Family::Redis(_)) && warnings.is_empty(), "{name}: {warnings:?}");
    }
    let reason = not_built_in(&beside("COMPRESS_ZLIB_WBITS", json!(31)));
    assert!(reason.starts_with("COMPRESS_ZLIB_WBITS: "), "{reason}");
}

#[test]
fn clients_pools_and_factories_have_their_own_names() {
    for (name, class) in [
        ("CLIENT_CLASS", "django_valkey.client.DefaultClient"),
        ("CLIENT_CLASS", "django_valkey.client.default.DefaultClient"),
        ("CLIENT_CLASS", "django_valkey.client.default.HashClient"),
        ("BASE_CLIENT_CLASS", "valkey.client.Valkey"),
        ("CONNECTION_FACTORY", "django_valkey.pool.ConnectionFactory"),
        ("CONNECTION_POOL_CLASS", "valkey.connection.ConnectionPool"),
        ("CONNECTION_POOL_CLASS", "valkey.BlockingConnectionPool"),
    ] {
        assert_eq!(valkey("valkey://h", &json!({name: class})).1.flavor, Flavor::DjangoValkey, "{class}");
    }
    // Those of the asynchronous and of the cluster cache are known, and not there.
    for (name, class) in [
        ("CLIENT_CLASS", "django_valkey.async_cache.client.AsyncDefaultClient"),
        ("CLIENT_CLASS", "django_valkey.async_cache.client.AsyncHerdClient"),
        ("CLIENT_CLASS", "django_valkey.cluster_cache.client.DefaultClusterClient"),
        ("CONNECTION_FACTORY", "django_valkey.async_cache.pool.AsyncConnectionFactory"),
        ("BASE_CLIENT_CLASS", "valkey.cluster.ValkeyCluster"),
    ] {
        let reason = not_built_in(&document(&json!("valkey://h"), &json!({name: class})));
        assert!(reason.starts_with(&format!("CACHES.default.OPTIONS.{name}: ")), "{reason}");
        assert!(reason.ends_with("is not in this version of larder"), "{reason}");
    }
    for backend in
        ["django_valkey.async_cache.cache.AsyncValkeyCache", "django_valkey.cluster_cache.cache.ClusterValkeyCache"]
    {
        let reason = not_built_in(&json!({"default": {"BACKEND": backend, "LOCATION": "valkey://h"}}));
        assert!(reason.starts_with("default.BACKEND: django-valkey's "), "{reason}");
        assert!(reason.ends_with("is not in this version of larder"), "{reason}");
    }
    // django-redis's names are not django-valkey's.
    for (name, class) in [
        ("CLIENT_CLASS", "django_valkey.client.DefaultKlient"),
        ("SERIALIZER", "django_valkey.serializers.json.JsonSerializer"),
        ("COMPRESSOR", "django_valkey.compressors.zstd.ZstdCompressor"),
    ] {
        let reason = refused(&document(&json!("valkey://h"), &json!({name: class})));
        assert!(reason.contains("; did you mean django_valkey."), "{reason}");
    }
    let reason = not_built_in(&document(&json!("valkey://h"), &json!({"SERIALIZER": "shop.Own"})));
    assert!(reason.contains("larder_register_serializer"), "{reason}");
}

#[test]
fn clients_make_of_servers_what_django_redis_s_do() {
    let client = |class: &str| json!({"CLIENT_CLASS": format!("django_valkey.client.{class}")});
    for class in ["HerdClient", "herd.HerdClient"] {
        assert_eq!(valkey("valkey://h", &client(class)).1.herd, Some(Duration::from_mins(1)), "{class}");
    }
    for class in ["ShardClient", "sharded.ShardClient"] {
        match valkey("valkey://a,valkey://B", &client(class)).1.layout {
            Layout::Ring(urls) => assert_eq!(urls, ["valkey://a", "valkey://B"], "{class}"), // DR-50: the text counts
            layout @ Layout::Replicas { .. } => panic!("{class}: {layout:?}"),
        }
    }
    match valkey("valkey://a,valkey://b", &json!({"REPLICA_READ_ONLY": false})).1.layout {
        Layout::Replicas { fail_over } => assert!(fail_over),
        layout @ Layout::Ring(_) => panic!("{layout:?}"),
    }
    // Its SentinelClient brings its factory along, and makes two servers of one URL (DR-31).
    for class in ["SentinelClient", "sentinel.SentinelClient"] {
        let mut options = client(class);
        options["SENTINELS"] = json!([["10.0.0.1", 26379]]);
        let redis = valkey("valkey://Shop/1", &options).1;
        let services: Vec<_> = std::iter::once(&redis.server).chain(&redis.replicas).collect();
        assert_eq!(services.len(), 2, "{class}");
        for (server, is_primary) in services.into_iter().zip([true, false]) {
            match &server.address {
                Address::Service(service) => {
                    assert_eq!((&*service.name, service.primary, server.database), ("Shop", is_primary, 1), "{class}");
                }
                address => panic!("{class}: {address:?}"),
            }
        }
    }
}

#[test]
fn options_are_those_of_django_valkey() {
    let options = json!({
        "PASSWORD": "p", "SOCKET_TIMEOUT": 2, "SOCKET_CONNECT_TIMEOUT": 0.5, "IGNORE_EXCEPTIONS": true,
        "LOG_IGNORE_EXCEPTIONS": true, "CLOSE_CONNECTION": true, "REPLICA_READ_ONLY": true, "PARSER_CLASS": null,
        "CONNECTION_POOL_KWARGS": {"max_connections": 7, "client_name": "shop"}, "BASE_CLIENT_KWARGS": {},
    });
    let (alias, redis) = valkey("valkey://h", &options);
    assert_eq!(redis.server.password.as_deref(), Some("p"));
    assert_eq!((alias.settings.budget, redis.connect), (Duration::from_secs(2), Some(Duration::from_millis(500))));
    assert!(redis.ignore_exceptions);
    assert_eq!((redis.max_connections, redis.server.client_name.as_deref()), (7, Some("shop")));

    // It has no USERNAME, and not the names of django-redis.
    for name in ["USERNAME", "REDIS_CLIENT_CLASS", "REDIS_CLIENT_KWARGS"] {
        let (alias, warnings) = read_first(&document(&json!("valkey://h"), &json!({name: "x"})));
        assert_eq!(warnings.len(), 1, "{name}: {warnings:?}");
        assert!(warnings[0].contains("is ignored, as in django-valkey"), "{warnings:?}");
        match alias.family {
            Family::Redis(redis) => assert_eq!(redis.server.username, None),
            family => panic!("{family:?}"),
        }
    }
    let read_with = |name: &str| {
        let mut document = document(&json!("valkey://h"), &json!({}));
        document[name] = json!(true);
        match read_first(&document) {
            (Alias { family: Family::Redis(redis), .. }, warnings) if warnings.is_empty() => redis.ignore_exceptions,
            other => panic!("{name}: {other:?}"),
        }
    };
    assert!(read_with("DJANGO_VALKEY_IGNORE_EXCEPTIONS"));
    assert!(!read_with("DJANGO_REDIS_IGNORE_EXCEPTIONS"));
    assert!(!read_with("DJANGO_VALKEY_LOG_IGNORED_EXCEPTIONS"));
}
