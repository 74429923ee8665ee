//! The settings of the two Redis caches (contract: rules U, R-1 to R-3, R-8, DR-1 to DR-4, DR-15, PK-1).

// Tests may say plainly what must not happen.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

#[path = "config_redis/connections.rs"]
mod connections;
#[path = "config_redis/reversed.rs"]
mod reversed;

use std::path::PathBuf;
use std::time::Duration;

use larder::config::{Address, Config, Family, Flavor, Redis, Server, read};
use larder::error::Kind;
use serde_json::{Value, json};

const CORE: &str = "django.core.cache.backends.redis.RedisCache";
const DJANGO_REDIS: &str = "django_redis.cache.RedisCache";

fn nothing(_: &str) -> Option<String> {
    None
}

fn document(backend: &str, location: &Value, options: &Value) -> Value {
    json!({"CACHES": {"default": {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}}})
}

fn open(document: &Value) -> Config {
    read(document.to_string().as_bytes(), &nothing).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// The alias's Redis settings, its call's time, its pickle protocol, and the warnings.
struct Opened {
    redis: Redis,
    budget: Duration,
    protocol: u8,
    warnings: Vec<String>,
}

fn opened(document: &Value) -> Opened {
    let mut config = open(document);
    let alias = config.aliases.remove(0);
    let protocol = alias.protocol();
    match alias.family {
        Family::Redis(redis) => Opened { redis, budget: alias.settings.budget, protocol, warnings: config.warnings },
        family => panic!("{document}: {family:?}"),
    }
}

fn core(location: &str, options: &Value) -> Opened {
    opened(&document(CORE, &json!(location), options))
}

fn django_redis(location: &str, options: &Value) -> Opened {
    opened(&document(DJANGO_REDIS, &json!(location), options))
}

fn server(location: &str) -> Server {
    core(location, &json!({})).redis.server
}

fn refused(document: &Value) -> String {
    let error = read(document.to_string().as_bytes(), &nothing).expect_err(&document.to_string());
    assert_eq!(error.kind(), Kind::Config);
    error.reason().to_owned()
}

/// Why the first alias cannot be opened.
fn not_built_in(document: &Value) -> String {
    match &open(document).aliases[0].family {
        Family::NotBuiltIn { reason } => reason.clone(),
        family => panic!("{document}: {family:?}"),
    }
}

#[test]
fn urls_name_a_server_as_redis_py_reads_them() {
    // U-2, U-3.
    let tcp = [
        ("redis://", "localhost", 6379, 0),
        ("redis://h", "h", 6379, 0),
        ("redis://HOST.Example:7000/3", "host.example", 7000, 3),
        ("redis://h:/3", "h", 6379, 3),
        ("redis://h:0", "h", 6379, 0),
        ("redis://:7000", "localhost", 7000, 0),
        ("redis://h/1/2", "h", 6379, 12),
        ("redis://h/%33", "h", 6379, 3),
        ("redis://h/3?db=5", "h", 6379, 5),
        ("redis://h/x?db=5", "h", 6379, 5),
        ("redis://h?db=5&db=6", "h", 6379, 5), // U-5
        ("redis://h/3?db=", "h", 6379, 3),
        ("redis://h/3#fragment", "h", 6379, 3),
        ("redis://[::1]:7000/3", "::1", 7000, 3),
        ("redis://[FE80::1%Eth0]", "fe80::1%Eth0", 6379, 0),
        ("redis://user:pass@h:7000", "h", 7000, 0),
        ("redis://h\n:70\t00\r", "h", 7000, 0),
        ("redis://?host=inner&port=7000", "inner", 7000, 0),
    ];
    for (url, host, port, database) in tcp {
        // A list, so that nothing is split.
        let server = opened(&document(CORE, &json!([url]), &json!({}))).redis.server;
        assert_eq!(server.address, Address::Tcp(host.to_owned(), port), "{url}");
        assert_eq!(server.database, database, "{url}");
    }
    assert_eq!(&*server("redis://[::1]:7000/3").shown, "redis://[::1]:7000/3");
    // U-4.
    for (url, path, database) in [
        ("unix:///run/redis.sock", "/run/redis.sock", 0),
        ("unix:///run/redis.sock?db=2", "/run/redis.sock", 2),
        ("unix://user:pw@/run/a%20b%40c.sock", "/run/a b@c.sock", 0),
        ("unix:///run/a@b.sock", "/run/a@b.sock", 0),
        ("unix://?path=/run/redis.sock", "/run/redis.sock", 0),
    ] {
        let server = server(url);
        assert_eq!(server.address, Address::Unix(PathBuf::from(path)), "{url}");
        assert_eq!(server.database, database, "{url}");
        assert_eq!(&*server.shown, format!("unix://{path} (database {database})"));
    }
}

#[test]
fn urls_name_a_user_and_a_password() {
    for (url, user, password) in [
        ("redis://h", None, None),
        ("redis://u@h", Some("u"), None),
        ("redis://:p@h", None, Some("p")),
        ("redis://u:p@h", Some("u"), Some("p")),
        ("redis://u:@h", Some("u"), None),
        ("redis://u%40x:p%2Fw%25@h", Some("u@x"), Some("p/w%")),
        ("redis://u:p@w:x@h", Some("u"), Some("p@w:x")), // the last @ counts
        ("redis://u:p%zz%4@h", Some("u"), Some("p%zz%4")),
        ("redis://u:%FF@h", Some("u"), Some("\u{fffd}")),
        ("redis://:a+b@h", None, Some("a+b")),
        ("redis://h?username=u+v&password=p%2Bw", Some("u v"), Some("p+w")),
        ("redis://:url@h?password=query", None, Some("url")),
    ] {
        let server = server(url);
        assert_eq!((server.username.as_deref(), server.password.as_deref()), (user, password), "{url}");
        assert_eq!(&*server.shown, "redis://h:6379/0");
        assert_eq!(format!("{server:?}"), "redis://h:6379/0");
    }
}

#[test]
fn wrong_urls_say_where_and_never_what() {
    let place = "CACHES.default.LOCATION";
    for (location, expected) in [
        (json!(null), "must be a text"),
        (json!(5), "must be a text"),
        (json!(""), "is missing; it must be a URL"), // DR-1
        (json!([]), "is missing; it must be a URL"),
        (json!("valkey://h"), "must begin with redis://, rediss:// or unix://"), // U-1
        (json!("REDIS://h"), "must begin with redis://"),
        (json!("h:6379"), "must begin with redis://"),
        (json!(" redis://h"), "must begin with redis://, rediss:// or unix://; blanks around it are not taken off"),
        (json!("redis://h:port"), "has a port that is no number from 0 to 65535"),
        (json!("redis://h:65536"), "has a port that is no number"),
        (json!("redis://h/-1"), "has a database number that is out of range"),
        (json!("redis://h/4294967296"), "has a database number that is out of range"),
        (json!("redis://[::1"), "has a bracket without its partner"),
        (json!("redis://[h]"), "has no IPv6 address between its brackets"),
        (json!("redis://u:p/w@h"), "has an @ behind a / or ? or #"),
        (json!("redis://u:12#w@h"), "has an @ behind a / or ? or #"),
        (json!("redis://u:1?x=w@h"), "has an @ behind a / or ? or #"),
        (json!("unix://"), "names no socket"),
        (json!("unix://host"), "names no socket"),
        (
            json!("redis://h, redis://i"),
            "is split into 2 addresses (in a password write %2C for a comma, %3B for a \
            semicolon), and number 2 must begin with redis://, rediss:// or unix://; blanks",
        ), // R-1
    ] {
        for backend in [CORE, DJANGO_REDIS] {
            let reason = refused(&document(backend, &location, &json!({})));
            assert!(reason.starts_with(&format!("{place}: {expected}")), "{location}: {reason}");
        }
    }
    let missing = json!({"CACHES": {"default": {"BACKEND": CORE}}});
    assert!(refused(&missing).starts_with("CACHES.default.LOCATION: is missing"));
    assert!(refused(&document(CORE, &json!(["redis://h", 5]), &json!({}))).starts_with("CACHES.default.LOCATION[1]: "));
    for (query, expected) in [
        ("db=x", "(?db): has a value of the wrong type"),
        ("db=-1", "(?db): must be a database number (0 or greater)"),
        ("socket_timeout=x", "(?socket_timeout): has a value of the wrong type"),
        ("socket_timeout=nan", "(?socket_timeout): has a value of the wrong type"),
        ("socket_timeout=0", "(?socket_timeout): must be a number of seconds greater than 0"),
        ("max_connection=5", "(?…): redis-py has no such option; did you mean max_connections?"),
        ("retry=5", "(?…): must be a Python object"),
        ("ssl_cert_reqs=none", "(?ssl_cert_reqs): has a meaning only with a rediss:// address"),
    ] {
        let reason = refused(&document(CORE, &json!(format!("redis://h?{query}")), &json!({})));
        assert_eq!(reason.get(..place.len() + 1 + expected.len()), Some(&*format!("{place} {expected}")), "{reason}");
    }
}

#[test]
fn what_redis_py_ignores_in_urls_is_warned_about() {
    let warned = core("redis://h/name", &json!({})); // U-3
    assert_eq!(warned.redis.server.database, 0);
    assert_eq!(warned.warnings.len(), 1);
    assert!(warned.warnings[0].starts_with("CACHES.default.LOCATION: redis-py ignores the URL's path"));
    let warned = core("unix://run/redis.sock", &json!({}));
    assert_eq!(warned.redis.server.address, Address::Unix("/redis.sock".into()));
    assert!(warned.warnings[0].contains("unix:///run/redis.sock"), "{:?}", warned.warnings);
}

#[test]
fn locations_are_split_as_each_package_does() {
    // R-1, DR-1: golden/redis_values.json.
    let shared = std::env::var_os("LARDER_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let text = std::fs::read(shared.join("golden/redis_values.json")).expect("golden data");
    let golden: Value = serde_json::from_slice(&text).expect("golden data is JSON");
    let cases = golden["locations"].as_array().expect("cases");
    assert!(cases.len() >= 5);
    for case in cases {
        for (backend, name) in [(CORE, "django"), (DJANGO_REDIS, "django_redis")] {
            let pieces = case[name].as_array().expect("pieces");
            let document = document(backend, &case["LOCATION"], &json!({}));
            if pieces.iter().any(|piece| piece.as_str().is_some_and(|piece| piece.starts_with(' '))) {
                assert!(refused(&document).contains("blanks around it are not taken off"));
                continue;
            }
            // R-2, DR-5: the first is written to.
            let redis = opened(&document).redis;
            let servers: Vec<_> = std::iter::once(&redis.server).chain(&redis.replicas).collect();
            let places: Vec<_> = servers.iter().map(|server| (server.address.clone(), server.database)).collect();
            let expected: Vec<_> = pieces.iter().map(|piece| place(piece.as_str().expect("a URL"))).collect();
            assert_eq!(places, expected, "{name}: {}", case["LOCATION"]);
        }
    }
}

/// Where `redis://host:port/database` leads; redis-py takes no path that is no number for one (U-3).
fn place(url: &str) -> (Address, u32) {
    let (server, path) = url.strip_prefix("redis://").expect("a scheme").split_once('/').expect("a path");
    let (host, port) = server.split_once(':').expect("a port");
    (Address::Tcp(host.to_owned(), port.parse().expect("a number")), path.parse().unwrap_or(0))
}

#[test]
fn core_options_are_redis_py_s_arguments() {
    // R-3, R-8.
    let plain = core("redis://h", &json!({}));
    assert_eq!(plain.redis.flavor, Flavor::Core);
    assert_eq!((plain.redis.max_connections, plain.redis.connect, plain.protocol), (100, None, 5));
    assert_eq!(plain.budget, Duration::from_secs(5));
    assert!(plain.redis.server.client_name.is_none() && !plain.redis.ignore_exceptions);
    let full = core(
        "redis://h",
        &json!({
            "db": 7, "username": "u", "password": 1234, "socket_timeout": 0.5, "socket_connect_timeout": 2, "client_name": "c",
            "max_connections": 9, "port": "7000", "socket_keepalive": true, "retry_on_timeout": true, "protocol": 3,
            "health_check_interval": 30, "encoding": "UTF-8", "decode_responses": false, "ssl_cert_reqs": null,
            "serializer": "django.core.cache.backends.redis.RedisSerializer", "pool_class": "redis.BlockingConnectionPool",
            "parser_class": "redis.connection.DefaultParser",
        }),
    );
    assert!(full.warnings.is_empty(), "{:?}", full.warnings);
    let server = &full.redis.server;
    assert_eq!(server.address, Address::Tcp("h".to_owned(), 7000));
    assert_eq!((server.username.as_deref(), server.password.as_deref()), (Some("u"), Some("1234")));
    assert_eq!((server.database, server.client_name.as_deref()), (7, Some("c")));
    assert_eq!((full.budget, full.redis.connect), (Duration::from_millis(500), Some(Duration::from_secs(2))));
    assert_eq!(full.redis.max_connections, 9);
    // U-6: the URL wins.
    let options = json!({"db": 7, "username": "u", "password": "p", "socket_timeout": 1, "max_connections": 9});
    let url = core("redis://v:q@h/3?socket_timeout=2.5&max_connections=1_0&client_name=a+b", &options);
    let server = &url.redis.server;
    assert_eq!((server.username.as_deref(), server.password.as_deref()), (Some("v"), Some("q")));
    assert_eq!((server.database, server.client_name.as_deref()), (3, Some("a b")));
    assert_eq!((url.budget, url.redis.max_connections), (Duration::from_millis(2500), 10));
    assert_eq!(core("redis://h", &options).redis.server.database, 7);
    // Nothing, in Python's words.
    let empty = core(
        "redis://h",
        &json!({"db": null, "username": "", "password": null, "max_connections": 0, "client_name": ""}),
    );
    assert!(empty.redis.server.username.is_none() && empty.redis.server.password.is_none());
    assert_eq!((empty.redis.server.database, empty.redis.max_connections), (0, 100));
    // No time-out in Python is no time-out for larder, but there is always an end.
    let endless = core("redis://h", &json!({"socket_timeout": null}));
    assert_eq!(endless.budget, Duration::from_secs(5));
    assert!(endless.warnings[0].starts_with("CACHES.default.OPTIONS.socket_timeout: is null"));
    // P-12.
    let culled = core("redis://h", &json!({"MAX_ENTRIES": 5}));
    assert!(culled.warnings[0].starts_with("CACHES.default.OPTIONS.MAX_ENTRIES: has no effect here, and Django's"));
}

#[test]
fn wrong_core_options_are_refused() {
    for (options, expected) in [
        (json!({"max_conections": 5}), "max_conections: redis-py has no such option; did you mean max_connections?"),
        (json!({"PASSWORD": "x"}), "PASSWORD: redis-py has no such option; did you mean password?"),
        (json!({"max_entries": 5}), "max_entries: redis-py has no such option"), // P-10
        (json!({"db": "x"}), "db: must be a database number (0 or greater), not \"x\""),
        (json!({"db": -1}), "db: must be a database number (0 or greater), not -1"),
        (json!({"db": 1.0}), "db: must be a database number (0 or greater), not 1.0"),
        (json!({"db": true}), "db: must be a database number (0 or greater), not true"),
        (json!({"password": ["x"]}), "password: must be a text"),
        (json!({"socket_timeout": "5"}), "socket_timeout: must be a number of seconds greater than 0, not \"5\""),
        (json!({"socket_timeout": 0}), "socket_timeout: must be a number of seconds greater than 0, not 0"),
        (json!({"socket_connect_timeout": -1}), "socket_connect_timeout: must be a number of seconds"),
        (json!({"max_connections": -1}), "max_connections: must be a whole number greater than 0, not -1"),
        (json!({"protocol": 4}), "protocol: must be 2 or 3, not 4"),
        (json!({"client_name": 5}), "client_name: must be a text, not 5"),
        (json!({"port": 70000}), "port: must be a port (0 to 65535), not 70000"),
        (json!({"path": "/x"}), "path: has a meaning only with a unix:// address"),
        (json!({"ssl_ca_certs": "/x"}), "ssl_ca_certs: has a meaning only with a rediss:// address"),
        (json!({"credential_provider": "x"}), "credential_provider: must be a Python object"),
        (json!({"serializer": 5}), "serializer: must be a text, not 5"),
        (
            json!({"pool_class": "redis.ConnectionPol"}),
            "pool_class: \"redis.ConnectionPol\" is not a connection pool; did you mean redis.ConnectionPool?",
        ),
    ] {
        let reason = refused(&document(CORE, &json!("redis://h"), &options));
        assert!(reason.starts_with(&format!("CACHES.default.OPTIONS.{expected}")), "{options}: {reason}");
    }
    let reason = refused(&document(CORE, &json!("unix:///x"), &json!({"host": "h"})));
    assert_eq!(reason, "CACHES.default.OPTIONS.host: has no meaning with a unix:// address");
}

#[test]
fn django_redis_options() {
    // DR-3, PK-1.
    let plain = django_redis("redis://h", &json!({}));
    assert_eq!((plain.redis.flavor, plain.protocol, plain.redis.max_connections), (Flavor::DjangoRedis, 4, 100));
    assert!(plain.warnings.is_empty() && !plain.redis.ignore_exceptions);
    let full = django_redis(
        "redis://h",
        &json!({
            "USERNAME": "u", "PASSWORD": "p", "SOCKET_TIMEOUT": 2, "SOCKET_CONNECT_TIMEOUT": true, "IGNORE_EXCEPTIONS": true,
            "PICKLE_VERSION": 3, "CONNECTION_POOL_KWARGS": {"max_connections": 9, "db": 4, "timeout": 20},
            "CLIENT_CLASS": "django_redis.client.default.DefaultClient", "REPLICA_READ_ONLY": true, "CLOSE_CONNECTION": false,
            "SERIALIZER": "django_redis.serializers.pickle.PickleSerializer", "PARSER_CLASS": "redis.connection._HiredisParser",
            "COMPRESSOR": "django_redis.compressors.identity.IdentityCompressor", "REDIS_CLIENT_KWARGS": {"anything": 1},
            "CONNECTION_FACTORY": "django_redis.pool.ConnectionFactory",
            "CONNECTION_POOL_CLASS": "redis.BlockingConnectionPool", "REDIS_CLIENT_CLASS": "redis.client.StrictRedis",
        }),
    );
    assert!(full.warnings.is_empty(), "{:?}", full.warnings);
    let server = &full.redis.server;
    assert_eq!((server.username.as_deref(), server.password.as_deref(), server.database), (Some("u"), Some("p"), 4));
    assert_eq!((full.budget, full.redis.connect), (Duration::from_secs(2), Some(Duration::from_secs(1))));
    assert_eq!((full.protocol, full.redis.max_connections), (3, 9));
    assert!(full.redis.ignore_exceptions);
    // The URL wins over CONNECTION_POOL_KWARGS, and these over the options; falsy is not set.
    let options = json!({"PASSWORD": "option", "SOCKET_TIMEOUT": 9, "CONNECTION_POOL_KWARGS": {"password": "pool", "socket_timeout": 8}});
    let opened = django_redis("redis://:url@h", &options);
    assert_eq!((opened.redis.server.password.as_deref(), opened.budget), (Some("url"), Duration::from_secs(8)));
    assert_eq!(django_redis("redis://h", &options).redis.server.password.as_deref(), Some("pool"));
    let options = json!({"PASSWORD": "option", "CONNECTION_POOL_KWARGS": {"password": null}});
    assert_eq!(django_redis("redis://h", &options).redis.server.password.as_deref(), Some("option"));
    let options = json!({"PASSWORD": "", "USERNAME": null, "SOCKET_TIMEOUT": 0, "SOCKET_CONNECT_TIMEOUT": null});
    let falsy = django_redis("redis://h", &options);
    assert!(falsy.redis.server.password.is_none() && falsy.redis.connect.is_none());
    assert_eq!(falsy.budget, Duration::from_secs(5));
    // PICKLE_VERSION is `int(x)`.
    for (given, protocol) in [(json!(-1), 5), (json!(5), 5), (json!(2), 2), (json!("3"), 3), (json!(4.9), 4)] {
        assert_eq!(django_redis("redis://h", &json!({"PICKLE_VERSION": given})).protocol, protocol);
    }
    // What is ignored there is warned about.
    for (options, expected) in [
        (json!({"password": "x"}), "password: is ignored, as in django-redis: unknown name; did you mean PASSWORD?"),
        (
            json!({"ssl_ca_certs": "/x"}),
            "ssl_ca_certs: is ignored, as in django-redis: unknown name; it belongs in OPTIONS.CONNECTION_POOL_KWARGS",
        ),
        (json!({"MAX_ENTRIES": 5}), "MAX_ENTRIES: has no effect with this backend"), // P-12
        (
            json!({"SOCKET_TIMOUT": 5}),
            "SOCKET_TIMOUT: is ignored, as in django-redis: unknown name; did you mean SOCKET_TIMEOUT?",
        ),
        (
            json!({"IGNORE_EXCEPTIONS": "false"}),
            "IGNORE_EXCEPTIONS: is a text; every text but the empty one counts as true",
        ),
    ] {
        let warnings = django_redis("redis://h", &options).warnings;
        assert!(warnings[0].starts_with(&format!("CACHES.default.OPTIONS.{expected}")), "{options}: {warnings:?}");
    }
}

#[test]
fn wrong_django_redis_options_are_refused() {
    for (options, expected) in [
        (json!({"PICKLE_VERSION": "x"}), "PICKLE_VERSION: must be a whole number from -1 to 5, not \"x\""),
        (json!({"PICKLE_VERSION": 6}), "PICKLE_VERSION: must be a whole number from -1 to 5, not 6"),
        (json!({"PICKLE_VERSION": null}), "PICKLE_VERSION: must be a whole number from -1 to 5, not null"),
        (json!({"SOCKET_TIMEOUT": "5"}), "SOCKET_TIMEOUT: must be a number of seconds greater than 0, not \"5\""),
        (json!({"SOCKET_CONNECT_TIMEOUT": -1}), "SOCKET_CONNECT_TIMEOUT: must be a number of seconds"),
        (json!({"PASSWORD": {"x": 1}}), "PASSWORD: must be a text"),
        (json!({"CONNECTION_POOL_KWARGS": []}), "CONNECTION_POOL_KWARGS: must be an object, not a list"),
        (json!({"CONNECTION_POOL_KWARGS": {"max_conns": 5}}), "CONNECTION_POOL_KWARGS.max_conns: redis-py has no such"),
        (json!({"REDIS_CLIENT_KWARGS": 5}), "REDIS_CLIENT_KWARGS: must be an object, not 5"),
        (json!({"CLIENT_CLASS": null}), "CLIENT_CLASS: must be a text, not null"),
        (
            json!({"CLIENT_CLASS": "django_redis.client.DefaultClent"}),
            "CLIENT_CLASS: \"django_redis.client.DefaultClent\" is not a client; did you mean django_redis.client.DefaultClient?",
        ),
        (json!({"COMPRESSOR": "zlib"}), "COMPRESSOR: \"zlib\" is not a compressor"),
    ] {
        let reason = refused(&document(DJANGO_REDIS, &json!("redis://h"), &options));
        assert!(reason.starts_with(&format!("CACHES.default.OPTIONS.{expected}")), "{options}: {reason}");
    }
}

#[test]
fn what_this_version_lacks_stops_only_its_alias() {
    for (backend, location, options, place) in [
        (CORE, "rediss://h", json!({"ssl_ciphers": "ALL"}), "OPTIONS.ssl_ciphers"),
        (CORE, "rediss://h", json!({"ssl_validate_ocsp": true}), "OPTIONS.ssl_validate_ocsp"),
        (CORE, "rediss://h", json!({"ssl_validate_ocsp_stapled": true}), "OPTIONS.ssl_validate_ocsp_stapled"),
        (CORE, "rediss://h", json!({"ssl_ocsp_expected_cert": "x"}), "OPTIONS.ssl_ocsp_expected_cert"),
        (CORE, "rediss://h", json!({"ssl_include_verify_flags": [1]}), "OPTIONS.ssl_include_verify_flags"),
        (CORE, "rediss://h", json!({"ssl_exclude_verify_flags": [1]}), "OPTIONS.ssl_exclude_verify_flags"),
        (CORE, "rediss://h?ssl_ciphers=ALL", json!({}), "LOCATION (?ssl_ciphers)"),
        (CORE, "redis://h", json!({"serializer": "shop.JSON"}), "OPTIONS.serializer"),
        (CORE, "redis://h", json!({"pool_class": "redis.sentinel.SentinelConnectionPool"}), "OPTIONS.pool_class"),
        (CORE, "redis://h", json!({"parser_class": "shop.Parser"}), "OPTIONS.parser_class"),
        (CORE, "redis://h", json!({"decode_responses": true}), "OPTIONS.decode_responses"),
        (CORE, "redis://h", json!({"encoding": "latin-1"}), "OPTIONS.encoding"),
        (
            DJANGO_REDIS,
            "rediss://h",
            json!({"CONNECTION_POOL_KWARGS": {"ssl_ciphers": "ALL"}}),
            "OPTIONS.CONNECTION_POOL_KWARGS.ssl_ciphers",
        ),
        (DJANGO_REDIS, "redis://h", json!({"CLIENT_CLASS": "shop.Client"}), "OPTIONS.CLIENT_CLASS"),
        (
            DJANGO_REDIS,
            "redis://h",
            json!({"REDIS_CLIENT_CLASS": "redis.cluster.RedisCluster"}),
            "OPTIONS.REDIS_CLIENT_CLASS",
        ),
    ] {
        let mut document = document(backend, &json!(location), &options);
        let reason = not_built_in(&document);
        assert!(reason.starts_with(&format!("CACHES.default.{place}: ")), "{document}: {reason}");
        document["CACHES"]["other"] = json!({"BACKEND": CORE, "LOCATION": "redis://h"});
        assert!(matches!(open(&document).aliases[1].family, Family::Redis(_)));
    }
}

#[test]
fn settings_beside_caches_count_where_the_option_is_not_there() {
    // DR-4, DR-15.
    let ignores = |sibling: Value, options: Value| {
        let mut document = document(DJANGO_REDIS, &json!("redis://h"), &options);
        document["DJANGO_REDIS_IGNORE_EXCEPTIONS"] = sibling;
        opened(&document).redis.ignore_exceptions
    };
    assert!(ignores(json!(true), json!({})));
    assert!(!ignores(json!(true), json!({"IGNORE_EXCEPTIONS": false})));
    assert!(ignores(json!(false), json!({"IGNORE_EXCEPTIONS": 1})));
    assert!(!ignores(json!(0), json!({})));
    let mut sentinel = document(DJANGO_REDIS, &json!("redis://h"), &json!({}));
    sentinel["DJANGO_REDIS_CONNECTION_FACTORY"] = json!("django_redis.pool.SentinelConnectionFactory");
    assert!(refused(&sentinel).starts_with("CACHES.default.OPTIONS.SENTINELS: must be a list of Sentinels"));
}

#[test]
fn larder_s_own_settings_beat_the_options() {
    let entry = |own: Value| {
        json!({"CACHES": {"default": {"BACKEND": CORE, "LOCATION": "redis://h?socket_timeout=2",
            "OPTIONS": {"max_connections": 9}, "LARDER": own}}})
    };
    let opened_with = |own: Value| opened(&entry(own));
    let plain = opened_with(json!({}));
    assert_eq!((plain.budget, plain.redis.max_connections), (Duration::from_secs(2), 9));
    let own = opened_with(json!({"TIMEOUT_MS": 300, "MAX_CONNECTIONS": 2}));
    assert_eq!((own.budget, own.redis.max_connections), (Duration::from_millis(300), 2));
    assert!(own.warnings.is_empty());
}
