//! The settings of the two memcached caches (contract: M-1 to M-6; golden/memcached_values.json, `locations`).

// Tests may say plainly what must not happen.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::config::{
    Address, Choice, Client, Config, Failover, Family, Hash, Keepalive, Memcached, MemcachedServer, Ring, read,
};
use larder::error::Kind;
use serde_json::{Value, json};

const PYMEMCACHE: &str = "django.core.cache.backends.memcached.PyMemcacheCache";
const PYLIBMC: &str = "django.core.cache.backends.memcached.PyLibMCCache";

fn nothing(_: &str) -> Option<String> {
    None
}

fn document(backend: &str, location: &Value, options: &Value) -> Value {
    json!({"CACHES": {"default": {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}}})
}

fn open(document: &Value) -> Config {
    read(document.to_string().as_bytes(), &nothing).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// The alias's settings, its call's time, its pickle protocol, and the warnings.
struct Opened {
    memcached: Memcached,
    budget: Duration,
    protocol: u8,
    warnings: Vec<String>,
}

fn opened(document: &Value) -> Opened {
    let mut config = open(document);
    let alias = config.aliases.remove(0);
    let protocol = alias.protocol();
    match alias.family {
        Family::Memcached(memcached) => {
            Opened { memcached, budget: alias.settings.budget, protocol, warnings: config.warnings }
        }
        family => panic!("{document}: {family:?}"),
    }
}

fn pymemcache(options: &Value) -> Opened {
    opened(&document(PYMEMCACHE, &json!("127.0.0.1"), options))
}

fn behaviors(behaviors: &Value) -> Opened {
    opened(&document(PYLIBMC, &json!("127.0.0.1"), &json!({"behaviors": behaviors})))
}

fn servers(backend: &str, location: &Value) -> Vec<MemcachedServer> {
    opened(&document(backend, location, &json!({}))).memcached.servers
}

fn refused(document: &Value) -> String {
    let error = read(document.to_string().as_bytes(), &nothing).expect_err(&document.to_string());
    assert_eq!(error.kind(), Kind::Config);
    error.reason().to_owned()
}

/// Why the alias cannot be opened.
fn not_built_in(document: &Value) -> String {
    match &open(document).aliases[0].family {
        Family::NotBuiltIn { reason } => reason.clone(),
        family => panic!("{document}: {family:?}"),
    }
}

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp(host.to_owned(), port)
}

fn golden() -> Value {
    let shared = std::env::var_os("LARDER_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let text = std::fs::read_to_string(shared.join("golden/memcached_values.json")).expect("the golden data");
    serde_json::from_str(&text).expect("golden data is JSON")
}

#[test]
fn locations_are_split_as_django_splits_them() {
    let golden = golden();
    let rows = golden["locations"].as_array().expect("rows");
    assert_eq!(rows.len(), 9);
    for row in rows {
        let location = &row["LOCATION"];
        let addresses: Vec<Address> = servers(PYMEMCACHE, location).into_iter().map(|server| server.address).collect();
        let expected = row["pymemcache_address"].as_array().expect("addresses");
        let expected: Vec<Address> = expected
            .iter()
            .map(|address| match address.as_array() {
                Some(pair) => {
                    let port = pair[1].as_u64().and_then(|port| u16::try_from(port).ok());
                    tcp(pair[0].as_str().expect("a host"), port.expect("a port"))
                }
                None => Address::Unix(address.as_str().expect("a path").into()),
            })
            .collect();
        assert_eq!(addresses, expected, "{location}"); // M-1, M-2
        // pylibmc's list is what Django hands over; the client makes the same addresses of it
        assert_eq!(row["pylibmc"].as_array().expect("a list").len(), addresses.len());
        let others: Vec<Address> = servers(PYLIBMC, location).into_iter().map(|server| server.address).collect();
        assert_eq!(others, addresses, "{location}");
    }
}

#[test]
fn servers_have_each_client_s_forms() {
    let one = |backend: &str, location: &str| servers(backend, &json!(location)).remove(0);
    // M-2, as the clients themselves read them
    for (location, host, port) in
        [("a:0_1", "a", 1), ("a: 1", "a", 1), ("[::1]:5", "::1", 5), ("[::1]", "::1", 11211), ("h", "h", 11211)]
    {
        for backend in [PYMEMCACHE, PYLIBMC] {
            let server = one(backend, location);
            assert_eq!((server.address, server.name.as_str(), server.weight), (tcp(host, port), host, 1), "{location}");
        }
    }
    for (location, host, port, weight) in
        [("a:1:2", "a", 1, 2), ("[::1]:1:2", "::1", 1, 2), ("a:0", "a", 11211, 1), ("a:1:0", "a", 1, 1)]
    {
        let server = one(PYLIBMC, location);
        assert_eq!((server.address, server.name.as_str(), server.weight), (tcp(host, port), host, weight));
    }
    for backend in [PYMEMCACHE, PYLIBMC] {
        for location in ["unix:/run/m.sock", "/run/m.sock"] {
            let server = one(backend, location);
            assert_eq!((server.port(), server.name.as_str()), (0, "/run/m.sock"));
            assert_eq!(server.address, Address::Unix("/run/m.sock".into()));
            assert_eq!(&*server.shown, "unix:/run/m.sock");
        }
        assert_eq!(&*one(backend, "[::1]").shown, "[::1]:11211");
    }
    let relative = opened(&document(PYMEMCACHE, &json!("unix:m.sock"), &json!({})));
    let [server] = relative.memcached.servers.as_slice() else { panic!("one server") };
    assert_eq!(server.name, "m.sock", "the choice of the server sees what is written");
    assert!(matches!(&server.address, Address::Unix(path) if path.is_absolute() && path.ends_with("m.sock")));
    assert!(relative.warnings[0].contains("is not absolute"), "{:?}", relative.warnings);
}

#[test]
fn equal_servers_are_one_for_pymemcache_and_two_for_pylibmc() {
    assert_eq!(servers(PYMEMCACHE, &json!("a:1;a:1;[a]:1,b")).len(), 2);
    assert_eq!(servers(PYLIBMC, &json!("a:1;a:1;b")).len(), 3);
}

#[test]
fn wrong_servers_are_refused_and_passwords_are_not_shown() {
    let both = |location: Value, why: &str| {
        for backend in [PYMEMCACHE, PYLIBMC] {
            let reason = refused(&document(backend, &location, &json!({})));
            assert!(reason.starts_with("CACHES.default.LOCATION") && reason.contains(why), "{location}: {reason}");
            assert!(!reason.contains("secret"), "{reason}");
        }
    };
    both(json!(""), "is missing");
    both(json!([]), "is missing");
    both(json!(["a:1", ""]), "LOCATION[1]: is empty");
    both(json!("a:1;"), "is split into 2 servers, and number 2 is empty");
    both(json!([["a", 1]]), "LOCATION[0]: must be a text such as \"127.0.0.1:11211\"");
    both(json!(["a:1", 7]), "LOCATION[1]: must be a text, not 7");
    both(json!({"a": 1}), "must be a text, not an object");
    both(json!("user:secret@a:1"), "is a URL");
    both(json!("memcached://:secret@a"), "is a URL");
    both(json!("::1"), "[::1]:11211");
    both(json!("[::1"), "[::1]");
    both(json!("a:b"), "has a port that is no number from 1 to 65535");
    both(json!("a:"), "has a port");
    both(json!("a:-1"), "has a port");
    both(json!("a:70000"), "has a port");
    both(json!(":1"), "names no host");
    both(json!("rel/path"), "has a / in its host");
    both(json!("a\u{0}b"), "has a NUL character");
    let one = |backend: &str, location: &str| refused(&document(backend, &json!(location), &json!({})));
    assert!(one(PYMEMCACHE, "a:1:2").contains("weights are pylibmc's"));
    assert!(one(PYMEMCACHE, "unix:").contains("names no socket"));
    assert!(one(PYLIBMC, "unix:m.sock").contains("does not begin with /"));
    assert!(one(PYLIBMC, "a:1:70000").contains("has a weight"));
    assert!(one(PYLIBMC, "a:1,/run/m.sock").contains("takes only the one or the other"));
    assert_eq!(servers(PYMEMCACHE, &json!("a:1,/run/m.sock")).len(), 2);
    let udp = not_built_in(&document(PYLIBMC, &json!("udp:a"), &json!({})));
    assert_eq!(udp, "CACHES.default.LOCATION: UDP is not in this version of larder");
    let entry = json!({"CACHES": {"default": {"BACKEND": PYMEMCACHE}}});
    assert!(refused(&entry).contains("LOCATION: is missing"));
}

#[test]
fn blanks_stay_and_are_warned_about() {
    for backend in [PYMEMCACHE, PYLIBMC] {
        let opened = opened(&document(backend, &json!("a:1, b:2"), &json!({})));
        assert_eq!(opened.memcached.servers[1].address, tcp(" b", 2)); // M-1
        assert!(opened.warnings[0].contains("has a blank beside a host's name"), "{:?}", opened.warnings);
    }
}

#[test]
fn pymemcache_has_django_s_defaults() {
    let opened = pymemcache(&json!({}));
    let memcached = &opened.memcached;
    assert_eq!((memcached.client, memcached.choice), (Client::PyMemcache, Choice::Rendezvous)); // M-4
    let failover = Failover::Rotate { attempts: 2, retry: Duration::from_secs(1), dead: Duration::from_mins(1) };
    assert_eq!(memcached.failover, failover); // M-6
    assert!(!memcached.ascii_keys && !memcached.compressed && !memcached.ignore_exceptions); // M-3
    assert_eq!((memcached.connect, memcached.max_connections, memcached.key_prefix.as_str()), (None, 100, ""));
    assert_eq!((opened.budget, opened.protocol), (Duration::from_secs(5), 5)); // PK-1
    assert!(opened.warnings.is_empty(), "{:?}", opened.warnings);
}

#[test]
fn pymemcache_s_options_are_understood() {
    let all = pymemcache(&json!({
        "connect_timeout": 0.5, "timeout": 2, "key_prefix": "app|", "use_pooling": true, "max_pool_size": 7,
        "retry_attempts": 0, "retry_timeout": 0, "dead_timeout": 2.5, "ignore_exc": true, "allow_unicode_keys": false,
        "serde": "pymemcache.serde.compressed_serde", "socket_keepalive": {"idle": 30, "cnt": 2},
        "no_delay": true, "pool_idle_timeout": 60, "encoding": "UTF-8", "tls_context": null, "socket_module": null,
        "serializer": null, "deserializer": null, "lock_generator": null, "default_noreply": false,
        "hasher": "pymemcache.client.rendezvous.RendezvousHash",
    }));
    let memcached = &all.memcached;
    assert_eq!(memcached.connect, Some(Duration::from_millis(500)));
    assert_eq!(all.budget, Duration::from_secs(2));
    assert_eq!((memcached.key_prefix.as_str(), memcached.max_connections), ("app|", 7));
    let failover = Failover::Rotate { attempts: 0, retry: Duration::ZERO, dead: Duration::from_millis(2500) };
    assert_eq!(memcached.failover, failover);
    assert!(memcached.ascii_keys && memcached.compressed && memcached.ignore_exceptions);
    let keepalive = Keepalive { idle: Some(30), interval: Some(1), count: Some(2) };
    assert_eq!(memcached.resting.keepalive, Some(keepalive));
    assert!(all.warnings.is_empty(), "{:?}", all.warnings);

    let warned = pymemcache(&json!({"default_noreply": true, "max_pool_size": 3, "MAX_ENTRIES": 5, "timeout": null}));
    assert_eq!((warned.memcached.max_connections, warned.warnings.len()), (100, 4), "{:?}", warned.warnings);
    let own = json!({"CACHES": {"default": {
        "BACKEND": PYMEMCACHE, "LOCATION": "a", "OPTIONS": {"timeout": 60, "use_pooling": true, "max_pool_size": 3},
        "LARDER": {"TIMEOUT_MS": 70, "MAX_CONNECTIONS": 9, "BREAKER": false},
    }}});
    let own = opened(&own);
    assert_eq!((own.budget, own.memcached.max_connections), (Duration::from_millis(70), 9));
    assert!(own.memcached.breaker.is_none());
}

#[test]
fn what_pymemcache_would_refuse_is_refused() {
    for (options, place, why) in [
        (json!({"timeuot": 1}), "OPTIONS.timeuot", "pymemcache has no such option; did you mean timeout?"),
        (json!({"behaviors": {}}), "OPTIONS.behaviors", "pymemcache has no such option"),
        (json!({"servers": []}), "OPTIONS.servers", "is what LOCATION says"),
        (json!({"timeout": 0}), "OPTIONS.timeout", "must be a number of seconds greater than 0, not 0"),
        (json!({"connect_timeout": "1"}), "OPTIONS.connect_timeout", "must be a number of seconds"),
        (json!({"retry_attempts": "2"}), "OPTIONS.retry_attempts", "must be a whole number"),
        (json!({"dead_timeout": -1}), "OPTIONS.dead_timeout", "must be a number of seconds, 0 or greater"),
        (json!({"use_pooling": true, "max_pool_size": 0}), "OPTIONS.max_pool_size", "greater than 0"),
        (json!({"key_prefix": "é"}), "OPTIONS.key_prefix", "must have only visible ASCII characters"),
        (json!({"key_prefix": "a b"}), "OPTIONS.key_prefix", "must have only visible ASCII characters"),
        (json!({"key_prefix": "a".repeat(250)}), "OPTIONS.key_prefix", "leaves no room for keys"),
        (json!({"key_prefix": null}), "OPTIONS.key_prefix", "must be a text, not null"),
        (
            json!({"serde": "pymemcache.serde.pickle_serd"}),
            "OPTIONS.serde",
            "did you mean pymemcache.serde.pickle_serde?",
        ),
        (json!({"tls_context": "x"}), "OPTIONS.tls_context", "larder speaks no TLS with memcached"),
        (json!({"lock_generator": "x"}), "OPTIONS.lock_generator", "must be a Python object"),
        (json!({"socket_keepalive": true}), "OPTIONS.socket_keepalive", "an object with idle, intvl and cnt"),
        (
            json!({"socket_keepalive": {"count": 1}}),
            "OPTIONS.socket_keepalive.count",
            "KeepaliveOpts has no such option",
        ),
        (json!({"socket_keepalive": {"idle": 0}}), "OPTIONS.socket_keepalive.idle", "from 1 to 32767"),
    ] {
        let reason = refused(&document(PYMEMCACHE, &json!("a"), &options));
        assert!(
            reason.starts_with(&format!("CACHES.default.{place}: ")) && reason.contains(why),
            "{options}: {reason}"
        );
    }
}

#[test]
fn what_larder_lacks_of_pymemcache_makes_the_alias_not_open() {
    for (options, place) in [
        (json!({"serde": null}), "serde"),
        (json!({"serde": "shop.cache.json_serde"}), "serde"),
        (json!({"hasher": "shop.cache.Ring"}), "hasher"),
        (json!({"encoding": "utf-16"}), "encoding"),
    ] {
        let reason = not_built_in(&document(PYMEMCACHE, &json!("a"), &options));
        assert!(reason.starts_with(&format!("CACHES.default.OPTIONS.{place}: ")), "{reason}");
    }
}

#[test]
fn pylibmc_has_libmemcached_s_defaults() {
    for options in [json!({}), json!({"behaviors": null, "binary": false, "username": null})] {
        let opened = opened(&document(PYLIBMC, &json!("a"), &options));
        let memcached = &opened.memcached;
        assert_eq!((memcached.client, memcached.choice), (Client::PyLibMc, Choice::Modulo(Hash::OneAtATime))); // M-5
        assert_eq!((memcached.failover, opened.protocol, opened.budget), (Failover::None, 5, Duration::from_secs(5)));
        assert!(opened.warnings.is_empty());
    }
}

/// What libmemcached 1.0.16 makes of each, as its `behaviors` show afterwards.
#[test]
fn behaviors_choose_servers_as_libmemcached_does() {
    let ring = |hash, weighted, spy| Choice::Ketama(Ring { hash, weighted, spy });
    let default = Hash::OneAtATime;
    for (given, expected) in [
        (json!({"ketama": true}), ring(default, false, false)),
        (json!({"ketama": 1, "hash": "md5"}), ring(Hash::Md5, false, false)),
        (json!({"ketama": 0}), Choice::Modulo(default)),
        (json!({"ketama_weighted": 1}), ring(Hash::Md5, true, false)),
        (json!({"ketama_weighted": 0}), ring(default, false, false)),
        (json!({"ketama_weighted": true, "hash": "crc"}), ring(Hash::Md5, true, false)),
        (json!({"ketama_weighted": 1, "ketama": 1}), ring(Hash::Md5, true, false)),
        (json!({"distribution": "modula"}), Choice::Modulo(default)),
        (json!({"distribution": "consistent"}), ring(default, false, false)),
        (json!({"distribution": "consistent ketama"}), ring(default, false, false)),
        (json!({"distribution": "consistent weighted"}), ring(default, true, false)),
        (json!({"distribution": "consistent ketama spy"}), ring(default, false, true)),
        (json!({"distribution": "consistent", "ketama_weighted": 1}), ring(Hash::Md5, false, false)),
        (json!({"ketama": 1, "distribution": "modula"}), Choice::Modulo(default)),
        (json!({"hash": "default", "ketama_hash": "md5"}), Choice::Modulo(default)),
        (json!({"hash": "crc"}), Choice::Modulo(Hash::Crc)),
        (json!({"hash": "fnv1_64"}), Choice::Modulo(Hash::Fnv1Of64)),
        (json!({"hash": "fnv1a_64"}), Choice::Modulo(Hash::Fnv1aOf64)),
        (json!({"hash": "fnv1_32"}), Choice::Modulo(Hash::Fnv1Of32)),
        (json!({"hash": "fnv1a_32"}), Choice::Modulo(Hash::Fnv1aOf32)),
    ] {
        assert_eq!(behaviors(&given).memcached.choice, expected, "{given}");
    }
    let weights = document(PYLIBMC, &json!("a:1:2,b:1"), &json!({"behaviors": {"ketama": 1}}));
    assert_eq!(opened(&weights).memcached.choice, ring(default, true, false), "a weight makes a ring a weighted one");
    let sorted = document(PYLIBMC, &json!("b:2,a:3,a:10"), &json!({"behaviors": {"_sort_hosts": 1}}));
    let names: Vec<String> = opened(&sorted).memcached.servers.iter().map(|server| server.shown.to_string()).collect();
    assert_eq!(names, ["a:3", "a:10", "b:2"]);
}

#[test]
fn other_behaviors_are_understood() {
    let opened = behaviors(&json!({
        "connect_timeout": 250, "receive_timeout": 1_500_000, "send_timeout": 1, "_poll_timeout": 9, "tcp_keepalive": 0,
        "namespace": "app:", "_hash_with_prefix_key": 1, "pickle_protocol": 2, "tcp_nodelay": true, "no_block": 1,
        "cas": 1, "verify_keys": 1, "_io_key_prefetch": 3, "_socket_recv_size": 1024,
    }));
    let memcached = &opened.memcached;
    assert_eq!((memcached.connect, opened.budget), (Some(Duration::from_millis(250)), Duration::from_millis(1500)));
    assert_eq!((memcached.key_prefix.as_str(), memcached.chooses_with_prefix, opened.protocol), ("app:", true, 2));
    assert_eq!(memcached.resting.keepalive, None);
    assert!(opened.warnings.is_empty(), "{:?}", opened.warnings);
    assert_eq!(behaviors(&json!({"_poll_timeout": 700})).budget, Duration::from_millis(700));
    assert_eq!(behaviors(&json!({"pickle_protocol": 0})).protocol, 0);
    assert_eq!(behaviors(&json!({"_poll_timeout": -1, "pickle_protocol": -1})).budget, Duration::from_secs(5));
    let warned = behaviors(&json!({"_noreply": 1, "buffer_requests": true, "num_replicas": 1})).warnings;
    assert_eq!(warned.len(), 3, "{warned:?}");
}

#[test]
fn servers_are_ejected_only_from_a_ring() {
    let failover = |given: Value| behaviors(&given).memcached.failover;
    let eject = |failures, seconds| Failover::Eject { failures, pause: Duration::from_secs(seconds) };
    assert_eq!(failover(json!({"ketama": 1})), Failover::None);
    assert_eq!(failover(json!({"auto_eject": 1})), Failover::None, "there is no way but the hash's");
    assert_eq!(failover(json!({"ketama": 1, "auto_eject": true})), eject(5, 2));
    assert_eq!(failover(json!({"ketama": 1, "remove_failed": 1})), eject(1, 2));
    assert_eq!(failover(json!({"ketama": 1, "remove_failed": 4, "failure_limit": 3})), eject(3, 2));
    assert_eq!(failover(json!({"ketama": 1, "auto_eject": 1, "retry_timeout": 7})), eject(5, 7));
    assert_eq!(failover(json!({"ketama": 1, "auto_eject": 1, "_retry_timeout": 6})), eject(5, 6));
    assert_eq!(failover(json!({"ketama": 1, "auto_eject": 1, "retry_timeout": 7, "dead_timeout": 30})), eject(5, 30));
}

#[test]
fn what_pylibmc_would_refuse_is_refused() {
    for (options, place, why) in [
        (json!({"behaviour": {}}), "OPTIONS.behaviour", "pylibmc has no such option; did you mean behaviors?"),
        (json!({"ketama": 1}), "OPTIONS.ketama", "belongs inside behaviors"),
        (json!({"timeout": 1}), "OPTIONS.timeout", "pylibmc has no such option"),
        (json!({"binary": null}), "OPTIONS.binary", "must be true or false, not null"),
        (json!({"username": "u", "password": "secret"}), "OPTIONS.username", "needs SASL"),
        (json!({"behaviors": 1}), "OPTIONS.behaviors", "must be an object, not 1"),
        (json!({"behaviors": {"ketamma": 1}}), "OPTIONS.behaviors.ketamma", "no such behavior; did you mean ketama?"),
        (json!({"behaviors": {"tcp_nodelay": "1"}}), "OPTIONS.behaviors.tcp_nodelay", "must be a whole number"),
        (json!({"behaviors": {"connect_timeout": 1.5}}), "OPTIONS.behaviors.connect_timeout", "must be a whole number"),
        (json!({"behaviors": {"hash": 1}}), "OPTIONS.behaviors.hash", "must be a text, not 1"),
        (json!({"behaviors": {"hash": "md4"}}), "OPTIONS.behaviors.hash", "no such hash; did you mean md5?"),
        (
            json!({"behaviors": {"distribution": "consistent_ketama"}}),
            "OPTIONS.behaviors.distribution",
            "did you mean consistent ketama?",
        ),
        (json!({"behaviors": {"failure_limit": 0}}), "OPTIONS.behaviors.failure_limit", "greater than 0"),
        (json!({"behaviors": {"remove_failed": false}}), "OPTIONS.behaviors.remove_failed", "greater than 0"),
        (json!({"behaviors": {"namespace": "a b"}}), "OPTIONS.behaviors.namespace", "visible ASCII"),
    ] {
        let reason = refused(&document(PYLIBMC, &json!("a"), &options));
        assert!(
            reason.starts_with(&format!("CACHES.default.{place}: ")) && reason.contains(why),
            "{options}: {reason}"
        );
        assert!(!reason.contains("secret"));
    }
}

#[test]
fn what_larder_lacks_of_pylibmc_makes_the_alias_not_open() {
    for (options, place) in [
        (json!({"binary": true}), "binary"),
        (json!({"username": "u", "password": "secret", "binary": 1}), "binary"),
        (json!({"behaviors": {"hash": "murmur"}}), "behaviors.hash"),
        (json!({"behaviors": {"distribution": "random"}}), "behaviors.distribution"),
        (json!({"behaviors": {"pickle_protocol": 6}}), "behaviors.pickle_protocol"),
    ] {
        let reason = not_built_in(&document(PYLIBMC, &json!("a"), &options));
        assert!(reason.starts_with(&format!("CACHES.default.OPTIONS.{place}: ")), "{reason}");
        assert!(!reason.contains("secret"));
    }
}
