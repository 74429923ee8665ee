//! What a configuration says of Sentinels (DR-31 to DR-34, DR-37; table 1.19).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::Duration;

use larder::config::{Address, Config, Family, Redis, Server, Service, read};
use larder::error::Kind;
use serde_json::{Value, json};

const FACTORY: &str = "django_redis.pool.SentinelConnectionFactory";
const CLIENT: &str = "django_redis.client.SentinelClient";

fn document(location: &Value, options: &Value) -> Value {
    json!({"CACHES": {"default": {
        "BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": options,
    }}})
}

/// Options with a factory and two Sentinels, and more.
fn options(more: &Value) -> Value {
    let mut options = json!({"CONNECTION_FACTORY": FACTORY, "SENTINELS": [["10.0.0.1", 26379], ["Host", "26380"]]});
    for (name, value) in more.as_object().unwrap() {
        if value == "absent" {
            options.as_object_mut().unwrap().remove(name);
        } else {
            options[name] = value.clone();
        }
    }
    options
}

fn open(document: &Value) -> Config {
    read(document.to_string().as_bytes(), &|_| None).unwrap_or_else(|error| panic!("{document}: {error}"))
}

fn redis(document: &Value) -> (Redis, Vec<String>) {
    let mut config = open(document);
    match config.aliases.remove(0).family {
        Family::Redis(redis) => (redis, config.warnings),
        family => panic!("{document}: {family:?}"),
    }
}

fn of(location: &str, more: &Value) -> (Redis, Vec<String>) {
    redis(&document(&json!(location), &options(more)))
}

fn service(server: &Server) -> &Service {
    match &server.address {
        Address::Service(service) => service,
        other => panic!("{other:?}"),
    }
}

fn refused(location: &Value, more: &Value) -> String {
    let document = document(location, &options(more));
    let error = read(document.to_string().as_bytes(), &|_| None).expect_err(&document.to_string());
    assert_eq!(error.kind(), Kind::Config);
    error.reason().to_owned()
}

#[test]
fn one_url_is_a_primary_and_its_replicas() {
    let (redis, warnings) = of("redis://user:pw@MyMaster/3?client_name=x", &json!({"CLIENT_CLASS": CLIENT}));
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(redis.replicas.len(), 1);
    let (writer, reader) = (&redis.server, &redis.replicas[0]);
    for (server, primary, shown) in [(writer, true, "service MyMaster"), (reader, false, "service MyMaster (replicas)")]
    {
        let service = service(server);
        assert_eq!((&*service.name, service.primary, &service.tls), ("MyMaster", primary, &None)); // DR-32: as written
        assert_eq!(&*server.shown, shown);
        assert_eq!((server.username.as_deref(), server.password.as_deref()), (Some("user"), Some("pw")));
        assert_eq!((server.database, server.client_name.as_deref()), (3, Some("x")));
        let [first, second] = &service.sentinels[..] else { panic!("{service:?}") };
        assert_eq!(first.address, Address::Tcp("10.0.0.1".to_owned(), 26379));
        assert_eq!(second.address, Address::Tcp("Host".to_owned(), 26380));
        assert_eq!((&*first.shown, &*second.shown), ("Sentinel 10.0.0.1:26379", "Sentinel Host:26380"));
        // DR-34: of the servers' settings they get the times, and nothing else
        assert_eq!((&first.username, &first.password, first.database), (&None, &None, 0));
    }
    assert!(!format!("{redis:?}").contains("pw"), "{redis:?}");
    // the text is one URL: nothing is split (DR-31)
    let (redis, _) = of("redis://a/0?client_name=x,y", &json!({"CLIENT_CLASS": CLIENT}));
    assert_eq!(redis.server.client_name.as_deref(), Some("x,y"));
    // a role in it is overruled
    let (redis, _) =
        of("redis://a/0?is_master=0", &json!({"CLIENT_CLASS": "django_redis.client.sentinel.SentinelClient"}));
    assert!(service(&redis.server).primary && !service(&redis.replicas[0]).primary);
    // a list is taken as it is
    let list = document(&json!(["redis://a"]), &options(&json!({"CLIENT_CLASS": CLIENT})));
    let (redis, _) = self::redis(&list);
    assert!(service(&redis.server).primary && redis.replicas.is_empty());
}

#[test]
fn urls_by_hand_say_who_is_meant() {
    let by_hand = json!(["redis://a/1?is_master=1", "redis://a/1?is_master=0", "redis://b?is_master=False"]);
    let (redis, warnings) = redis(&document(&by_hand, &options(&json!({}))));
    assert!(warnings.is_empty(), "{warnings:?}");
    let of = |server: &Server| (service(server).name.to_string(), service(server).primary, server.database);
    assert_eq!(of(&redis.server), ("a".into(), true, 1));
    assert_eq!(redis.replicas.iter().map(of).collect::<Vec<_>>(), [("a".into(), false, 1), ("b".into(), false, 0)]);
    // redis-py's to_bool: an absent or blank one is true, and so is every other text
    for (query, primary) in [
        ("", true),
        ("?is_master=", true),
        ("?is_master=yes", true),
        ("?is_master=no", false),
        ("?is_master=f", false),
        ("?is_master=2", true),
        ("?is_master=0&is_master=1", false),
    ] {
        let (redis, _) = self::of(&format!("redis://a{query}"), &json!({}));
        assert_eq!(service(&redis.server).primary, primary, "{query}");
    }
    // the arguments beat the URL, as in django-redis
    let (redis, _) = self::of("redis://a?is_master=1", &json!({"CONNECTION_POOL_KWARGS": {"is_master": false}}));
    assert!(!service(&redis.server).primary);
    let (_, warnings) = self::of("redis://a:6380", &json!({"CONNECTION_POOL_KWARGS": {"check_connection": true}}));
    assert!(warnings[0].contains("the host is the name of a service"), "{warnings:?}");
}

#[test]
fn the_sentinels_have_settings_of_their_own() {
    let patience = |more: &Value| service(&of("redis://a", more).0.server).patience;
    let millis = |millis| Some(Duration::from_millis(millis));
    assert_eq!(patience(&json!({})), None);
    assert_eq!(patience(&json!({"SOCKET_TIMEOUT": 0.7})), millis(700));
    assert_eq!(patience(&json!({"SOCKET_TIMEOUT": 0.7, "SOCKET_CONNECT_TIMEOUT": 0.2})), millis(200));
    assert_eq!(patience(&json!({"CONNECTION_POOL_KWARGS": {"socket_timeout": 0.3}})), millis(300));
    // with arguments of their own nothing else counts
    assert_eq!(patience(&json!({"SOCKET_TIMEOUT": 0.7, "SENTINEL_KWARGS": {}})), None);
    assert_eq!(patience(&json!({"SOCKET_TIMEOUT": 0.7, "SENTINEL_KWARGS": null})), millis(700));
    let own = json!({"PASSWORD": "data", "SENTINEL_KWARGS": {
        "username": "u", "password": "p", "socket_timeout": 0.5, "client_name": "c", "decode_responses": true, "db": 0,
    }});
    let (redis, warnings) = of("redis://a", &own);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(redis.server.password.as_deref(), Some("data"));
    let sentinel = &service(&redis.server).sentinels[1];
    assert_eq!((sentinel.username.as_deref(), sentinel.password.as_deref()), (Some("u"), Some("p")));
    assert_eq!(sentinel.client_name.as_deref(), Some("c"));
    assert_eq!(service(&redis.server).patience, millis(500));
    assert!(!format!("{redis:?}").contains("\"p\""), "{redis:?}");
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_for_the_servers_or_for_the_sentinels() {
    // DR-37
    for (location, pool) in [
        ("rediss://a", json!({})),
        ("redis://a", json!({"ssl": true})),
        ("rediss://a", json!({"ssl_cert_reqs": "none"})),
    ] {
        let (redis, _) = of(location, &json!({"CONNECTION_POOL_KWARGS": pool}));
        let service = service(&redis.server);
        assert!(service.tls.is_some() && service.speaks_tls(), "{location}");
        assert!(matches!(service.sentinels[0].address, Address::Tcp(..)));
    }
    let (redis, _) = of("redis://a", &json!({"SENTINEL_KWARGS": {"ssl": true, "ssl_cert_reqs": "none"}}));
    let service = service(&redis.server);
    assert!(service.tls.is_none() && service.speaks_tls());
    assert!(matches!(service.sentinels[0].address, Address::Tls(..)));
    assert_eq!(&*service.sentinels[0].shown, "Sentinel 10.0.0.1:26379");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let location = json!("redis://a");
    // DR-33
    for sentinels in [json!([]), json!(null), json!("absent"), json!("h:26379"), json!({"h": 26379})] {
        let reason = refused(&location, &json!({"SENTINELS": sentinels}));
        assert!(reason.starts_with("CACHES.default.OPTIONS.SENTINELS: must be a list of Sentinels"), "{reason}");
    }
    for (one, place) in [
        (json!("h:26379"), "SENTINELS[0]: must be [host, port]"),
        (json!(["h"]), "SENTINELS[0]: must be [host, port]"),
        (json!(["h", 1, 2]), "SENTINELS[0]: must be [host, port]"),
        (json!(["h", 70000]), "SENTINELS[0][1]: must be a port"),
        (json!(["h", null]), "SENTINELS[0][1]: must be a port"),
        (json!([7, 26379]), "SENTINELS[0][0]: must be a text"),
        (json!(["", 26379]), "SENTINELS[0][0]: must be a host"),
        (json!(["redis://h", 26379]), "SENTINELS[0][0]: must be a host"),
    ] {
        let reason = refused(&location, &json!({"SENTINELS": [one]}));
        assert!(reason.contains(place), "{reason}");
    }
    for (more, expected) in [
        (json!({"CONNECTION_FACTORY": "absent", "CLIENT_CLASS": CLIENT}), "CLIENT_CLASS: needs \"CONNECTION_FACTORY\""),
        (
            json!({"CONNECTION_FACTORY": "django_redis.pool.ConnectionFactory", "CLIENT_CLASS": CLIENT}),
            "CLIENT_CLASS: needs",
        ),
        (
            json!({"CONNECTION_FACTORY": "absent", "CONNECTION_POOL_CLASS": "redis.sentinel.SentinelConnectionPool"}),
            "CONNECTION_POOL_CLASS: needs",
        ),
        (json!({"CONNECTION_POOL_CLASS": "redis.ConnectionPool"}), "CONNECTION_POOL_CLASS: is no pool for Sentinels"),
        (json!({"SENTINEL_KWARGS": {"host": "h"}}), "SENTINEL_KWARGS.host: stands in SENTINELS already"),
        (json!({"SENTINEL_KWARGS": {"db": 2}}), "SENTINEL_KWARGS.db: has no meaning"),
        (json!({"SENTINEL_KWARGS": {"pasword": "p"}}), "did you mean password?"),
        (json!({"SENTINEL_KWARGS": [1]}), "SENTINEL_KWARGS: must be an object"),
        (json!({"SENTINEL_KWARGS": "a password"}), "SENTINEL_KWARGS: must be an object"),
        (json!({"CONNECTION_POOL_KWARGS": "a password"}), "CONNECTION_POOL_KWARGS: must be an object"),
        (json!({"SENTINEL_KWARGS": {"is_master": 1}}), "SENTINEL_KWARGS.is_master: redis-py has no such option"),
    ] {
        let reason = refused(&location, &more);
        assert!(reason.contains(expected) && !reason.contains("a password"), "{reason}");
    }
    for location in ["redis://", "unix:///run/redis.sock", "redis:///0"] {
        let reason = refused(&json!(location), &json!({}));
        assert!(reason.contains("names no service of the Sentinels"), "{location}: {reason}");
    }
    // without Sentinels it is an option that redis-py does not have
    let reason = refused(&json!("redis://a?is_master=1"), &json!({"CONNECTION_FACTORY": "absent"}));
    assert!(reason.contains("redis-py has no such option"), "{reason}");
}

#[test]
fn the_factory_can_stand_beside_caches_and_without_it_sentinels_are_not_asked() {
    let mut beside =
        document(&json!("redis://a"), &options(&json!({"CONNECTION_FACTORY": "absent", "CLIENT_CLASS": CLIENT})));
    beside["DJANGO_REDIS_CONNECTION_FACTORY"] = json!(FACTORY);
    assert!(service(&redis(&beside).0.server).primary);
    let (redis, warnings) =
        of("redis://Host", &json!({"CONNECTION_FACTORY": "absent", "SENTINEL_KWARGS": {"password": "p"}}));
    assert_eq!(redis.server.address, Address::Tcp("host".to_owned(), 6379));
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].starts_with("CACHES.default.OPTIONS.SENTINELS: has no effect without"), "{warnings:?}");
    assert!(warnings[1].starts_with("CACHES.default.OPTIONS.SENTINEL_KWARGS: has no effect"), "{warnings:?}");
}
