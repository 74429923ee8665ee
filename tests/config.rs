//! What a CACHES document means (contract: rules A, P, K-4, L-1, FB-1), which documents are wrong, and where they say
//! so. The Redis settings are in `config_redis.rs`.

// Tests may say plainly what must not happen.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::time::Duration;

use larder::config::{
    Alias, CompressorMethod, Config, Culling, Family, Flavor, Registered, Serializer, nearest, read, read_with,
};
use larder::error::Kind;
use larder::key::{KeyFunction, ReverseKey};
use larder::timeout::Ttl;
use serde_json::{Value, json};

const LOCMEM: &str = "django.core.cache.backends.locmem.LocMemCache";
const FILE: &str = "django.core.cache.backends.filebased.FileBasedCache";
const CORE: &str = "django.core.cache.backends.redis.RedisCache";
const DJANGO_REDIS: &str = "django_redis.cache.RedisCache";

/// The document of the project's issue, as it stands there.
const ISSUE: &str = r#"{"CACHES": {
  "default":        {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:6379/10",
                     "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"}},
  "pyot-redis":     {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:6379/3",
                     "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient", "PICKLE_VERSION": -1}},
  "pyot-filebased": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                     "LOCATION": "filebased-cache", "MAX_ENTRIES": 10000},
  "scratch":        {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}}"#;

fn nothing(_: &str) -> Option<String> {
    None
}

fn open(document: &Value) -> Config {
    read(document.to_string().as_bytes(), &nothing).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// Reads one entry, as the alias `default`.
fn entry(entry: &Value) -> (Alias, Vec<String>) {
    let mut config = open(&json!({"CACHES": {"default": entry}}));
    (config.aliases.remove(0), config.warnings)
}

/// A local-memory entry with more settings.
fn local(more: &Value) -> (Alias, Vec<String>) {
    let mut whole = json!({"BACKEND": LOCMEM});
    for (name, value) in more.as_object().expect("an object") {
        whole[name] = value.clone();
    }
    entry(&whole)
}

fn refusal(text: &[u8]) -> String {
    let error = read(text, &nothing).expect_err(&String::from_utf8_lossy(text));
    assert_eq!(error.kind(), Kind::Config);
    assert!(!error.is_retriable());
    error.reason().to_owned()
}

fn refused(document: &Value) -> String {
    refusal(document.to_string().as_bytes())
}

#[test]
fn the_issue_s_document_reads_as_it_stands() {
    let config = read(ISSUE.as_bytes(), &nothing).expect("the issue's document");
    let names: Vec<&str> = config.aliases.iter().map(|alias| &*alias.name).collect();
    assert_eq!(names, ["default", "pyot-redis", "pyot-filebased", "scratch"]);
    let [default, pyot_redis, pyot_file, scratch] = &config.aliases[..] else { panic!("{names:?}") };
    for (alias, database, protocol) in [(default, 10, 4), (pyot_redis, 3, 5)] {
        let Family::Redis(redis) = &alias.family else { panic!("{alias:?}") };
        assert_eq!(redis.flavor, Flavor::DjangoRedis);
        assert_eq!(redis.server.database, database);
        assert_eq!(&*redis.server.shown, format!("redis://127.0.0.1:6379/{database}"));
        assert_eq!(alias.protocol(), protocol);
    }
    let Family::File { directory } = &pyot_file.family else { panic!("{pyot_file:?}") };
    assert_eq!(*directory, std::env::current_dir().expect("a directory").join("filebased-cache"));
    assert_eq!(pyot_file.culling, Culling { max_entries: 10000, frequency: 3 });
    assert_eq!(pyot_file.protocol(), 5);
    assert!(matches!(&scratch.family, Family::Memory { name } if name.is_empty()));
    for alias in &config.aliases {
        assert_eq!(alias.ttl, Ttl::Millis(300_000));
        assert_eq!(alias.settings.budget, Duration::from_secs(5));
        assert_eq!((alias.keys.prefix.as_str(), alias.keys.version.as_str()), ("", "1"));
    }
    assert_eq!(config.warnings.len(), 2, "{:#?}", config.warnings);
    assert!(config.warnings[0].starts_with("CACHES.pyot-filebased.MAX_ENTRIES: a Django process"));
    assert!(config.warnings[1].starts_with("CACHES.pyot-filebased.LOCATION: is not absolute"));
}

#[test]
fn the_bare_map_of_aliases_means_the_same() {
    let wrapped = open(&json!({"CACHES": {"default": {"BACKEND": LOCMEM, "LOCATION": "x", "TIMEOUT": 7}}}));
    let bare = open(&json!({"default": {"BACKEND": LOCMEM, "LOCATION": "x", "TIMEOUT": 7}}));
    assert_eq!(format!("{wrapped:?}"), format!("{bare:?}"));
    // A byte order mark is no reason to fail.
    let marked = format!("\u{feff}{}", json!({"default": {"BACKEND": LOCMEM}}));
    assert!(read(marked.as_bytes(), &nothing).is_ok());
}

/// What a program has registered is known by its name, and only there where it belongs.
#[test]
fn registered_names_are_known() {
    let registered = Registered {
        key_functions: vec!["shop.keys".into()],
        serializers: vec!["shop.Serializer".into()],
        compressors: vec!["shop.Compressor".into()],
        backends: vec!["shop.Backend".into()],
    };
    let read = |entry: &Value| {
        let document = json!({"default": entry}).to_string();
        read_with(document.as_bytes(), &|_| None, &registered).map(|config| config.aliases.into_iter().next().unwrap())
    };
    let alias = read(&json!({
        "BACKEND": "shop.Backend", "LOCATION": ["a", "b"], "KEY_FUNCTION": "shop.keys", "SHELVES": 3,
        "OPTIONS": {"SERIALIZER": "shop.Serializer", "COMPRESSOR": "shop.Compressor", "depth": 2},
    }))
    .unwrap();
    assert_eq!(alias.keys.function, KeyFunction::Own("shop.keys".into()));
    assert_eq!(alias.keys.reverse, ReverseKey::Own("shop.keys".into()));
    assert_eq!(alias.serializer, Serializer::Own("shop.Serializer".into()));
    assert_eq!(alias.compressor.method, CompressorMethod::Own("shop.Compressor".into()));
    let Family::Plugged(plugged) = alias.family else { panic!("{:?}", alias.family) };
    assert_eq!(&*plugged.name, "shop.Backend");
    let entry: Value = serde_json::from_str(&plugged.entry).unwrap();
    assert_eq!(
        (&entry["SHELVES"], &entry["LOCATION"][1], &entry["OPTIONS"]["depth"]),
        (&json!(3), &json!("b"), &json!(2))
    );

    let alias = read(&json!({"BACKEND": "shop.Backend"})).unwrap();
    assert_eq!(alias.serializer, Serializer::Pickle(5), "as Django's own backends");
    let alias = read(&json!({"BACKEND": "shop.Backend", "OPTIONS": {
        "SERIALIZER": "django_redis.serializers.json.JSONSerializer", "PICKLE_VERSION": 3,
        "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor",
    }}))
    .unwrap();
    assert_eq!((alias.serializer, alias.compressor.min_length), (Serializer::Json, 15));
    let wrong = [
        (
            json!({"BACKEND": "shop.keys"}),
            "default.BACKEND: \"shop.keys\" is not a backend that larder knows, and nobody",
        ),
        (json!({"BACKEND": "shop.Backends"}), "is opened); did you mean shop.Backend?"),
        (json!({"BACKEND": "other.Backend"}), "is opened); did you mean shop.Backend?"), // the same class
        (json!({"BACKEND": LOCMEM, "KEY_FUNCTION": "shop.Keys"}), "did you mean shop.keys?"),
        (json!({"BACKEND": LOCMEM, "KEY_FUNCTION": "shop.Backend"}), "default.KEY_FUNCTION: must be \"django."),
    ];
    for (entry, words) in wrong {
        let error = read(&entry).unwrap_err().to_string();
        assert!(error.contains(words), "{entry}: {error}");
    }
}

#[test]
fn wrong_documents_say_where_and_what() {
    let good = json!({"BACKEND": LOCMEM});
    let long = "n".repeat(500);
    let wrong = [
        (json!({}), "the document: has no alias"),
        (json!([]), "the document: must be an object such as"),
        (json!("x"), "the document: must be an object such as"),
        (json!({"CACHES": {}}), "CACHES: has no alias"),
        (json!({"CACHES": [good]}), "CACHES: must be an object of aliases, not a list"),
        (json!({"CACHES": good}), "CACHES.BACKEND: must be an alias (an object with a BACKEND), not \"django.core"),
        (good.clone(), "BACKEND: stands outside an alias"),
        (json!({"DATABASES": {}, "default": good}), "DATABASES.BACKEND: is missing"),
        (json!({"USE_TZ": true, "default": good}), "USE_TZ: stands beside CACHES, but there is no CACHES"),
        (json!({"default": 5}), "default: must be an alias (an object with a BACKEND), not 5"),
        (json!({"caches": {"default": good}}), "caches.BACKEND: is missing; if the aliases are inside, write CACHES"),
        (json!({"CACHES": {"my alias": {}}}), "CACHES[\"my alias\"].BACKEND: is missing"), // A-2
        (json!({"CACHES": {"a.b": {}}}), "CACHES[\"a.b\"].BACKEND: is missing"),
        (json!({"CACHES": {"": {}}}), "CACHES[\"\"].BACKEND: is missing"),
        (json!({"CACHES": {"a\"\n": {}}}), "CACHES[\"a\\\"\\n\"].BACKEND: is missing"),
        (json!({"CACHES": {long.clone(): {}}}), &format!("CACHES[\"{}…\"].BACKEND: is missing", &long[..60])),
        (json!({"a": {"backend": LOCMEM}}), "a.BACKEND: is missing; names are upper-case"),
        (json!({"a": {"BACKEND": null}}), "a.BACKEND: must be a text, not null"),
        (json!({"a": {"BACKEND": {}}}), "a.BACKEND: must be a text, not an object"),
        (json!({"a": {"BACKEND": LOCMEM, "OPTIONS": null}}), "a.OPTIONS: must be an object, not null"), // P-7
        (json!({"a": {"BACKEND": LOCMEM, "OPTIONS": []}}), "a.OPTIONS: must be an object, not a list"),
        (json!({"a": {"BACKEND": LOCMEM, "LOCATION": 5}}), "a.LOCATION: must be a text, not 5"),
        (json!({"a": {"BACKEND": FILE, "LOCATION": null}}), "a.LOCATION: must be a text, not null"),
        (json!({"a": {"BACKEND": FILE, "LOCATION": "/a\0b"}}), "a.LOCATION: has a NUL character"),
        (json!({"a": {"BACKEND": LOCMEM, "KEY_PREFIX": []}}), "a.KEY_PREFIX: must be a text or a number, not a list"),
        (json!({"a": {"BACKEND": LOCMEM, "VERSION": {}}}), "a.VERSION: must be a text or a number, not an object"),
        (json!({"a": {"BACKEND": LOCMEM, "VERSION": 1e20}}), "a.VERSION: must be written in quotes"),
        (
            json!({"a": {"BACKEND": LOCMEM, "KEY_FUNCTION": "my.func"}}), // P-6
            "a.KEY_FUNCTION: must be \"django.core.cache.backends.base.default_key_func\" or \"larder.as_is\"",
        ),
        (json!({"a": {"BACKEND": LOCMEM, "KEY_FUNCTION": 5}}), "a.KEY_FUNCTION: must be"),
        (json!({"a": {"BACKEND": LOCMEM, "LARDER": null}}), "a.LARDER: must be an object, not null"),
        (
            json!({"a": {"BACKEND": LOCMEM, "LARDER": {"TIMEOUT_MS": 0}}}),
            "a.LARDER.TIMEOUT_MS: must be a whole number greater than 0, not 0",
        ),
        (
            json!({"a": {"BACKEND": LOCMEM, "LARDER": {"TIMEOUT_MS": 1.5}}}),
            "a.LARDER.TIMEOUT_MS: must be a whole number",
        ),
        (
            json!({"a": {"BACKEND": LOCMEM, "LARDER": {"RETRIES": 5}}}),
            "a.LARDER.RETRIES: larder has no such setting; there are TIMEOUT_MS, MAX_VALUE_BYTES, MAX_VALUE_NODES, ",
        ),
        (json!({"a": {"BACKEND": LOCMEM, "LARDER": {"MAX_VALUE_DEPTH": -1}}}), "a.LARDER.MAX_VALUE_DEPTH: must be"),
        (json!({"a": {"BACKEND": LOCMEM, "LARDER": {"MAX_VALUE_NODES": true}}}), "a.LARDER.MAX_VALUE_NODES: must be"),
        (
            json!({"a": {"BACKEND": LOCMEM, "LARDER": {"UNDECODABLE": true}}}),
            "a.LARDER.UNDECODABLE: must be \"error\" or \"miss\", not true",
        ),
        (
            json!({"a": {"BACKEND": LOCMEM, "LARDER": {"MAX_VALUE_BYTE": 5}}}),
            "a.LARDER.MAX_VALUE_BYTE: larder has no such setting; did you mean MAX_VALUE_BYTES?",
        ),
    ];
    for (document, expected) in &wrong {
        let reason = refused(document);
        assert!(reason.starts_with(expected), "{document}\n  says     {reason}\n  expected {expected}");
    }
}

#[test]
fn unknown_backends_name_the_nearest_known_one() {
    // A-3 and the list of 1.1.
    for (given, meant) in [
        ("django.core.cache.backends.locmem.LocMemCach", LOCMEM),
        ("LocMemCache", LOCMEM),
        ("locmem.locmemcache", LOCMEM),
        ("django.core.cache.backends.FileBasedCache", FILE),
        ("django_redis.RedisCache", DJANGO_REDIS),
        ("django.core.cache.backends.redis.RedisCash", CORE),
        ("django.core.cache.backends.memcached.MemcachedCache", "django.core.cache.backends.memcached.PyMemcacheCache"),
    ] {
        let reason = refused(&json!({"CACHES": {"default": {"BACKEND": given}}}));
        assert!(reason.starts_with("CACHES.default.BACKEND: "), "{reason}");
        assert!(reason.contains(meant), "{given}: {reason}");
    }
    let reason = refused(&json!({"CACHES": {"default": {"BACKEND": "x"}}}));
    assert!(reason.contains(LOCMEM) && reason.contains("diskcache.DjangoCache"), "{reason}");
}

#[test]
fn backends_of_later_versions_do_not_stop_the_others() {
    let config = open(&json!({"CACHES": {
        "other": {"BACKEND": "django_valkey.cluster_cache.cache.ClusterValkeyCache", "LOCATION": ["a", "b"], "OPTIONS": {"anything": 1}},
        "default": {"BACKEND": LOCMEM},
    }}));
    let Family::NotBuiltIn { reason } = &config.aliases[0].family else { panic!("{config:?}") };
    assert!(reason.starts_with("CACHES.other.BACKEND: ") && reason.ends_with("is not in this version of larder"));
    assert!(matches!(config.aliases[1].family, Family::Memory { .. }));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let (dummy, _) = entry(&json!({"BACKEND": "django.core.cache.backends.dummy.DummyCache", "LOCATION": 5}));
    assert!(matches!(dummy.family, Family::Dummy));
}

#[test]
fn syntax_errors_say_line_and_column() {
    let reason = refusal(b"{\n  \"CACHES\": {,}\n}");
    assert!(reason.starts_with("the document: is not JSON: ") && reason.ends_with("line 2 column 14"), "{reason}");
    assert!(refusal(b"").contains("line 1 column 0"));
    assert!(refusal(b"{\"a\": \"\xff\"}").contains("is not UTF-8 at byte 7"));
    assert!(refusal("[".repeat(100_000).as_bytes()).contains("nested deeper than 32 levels"));
    assert!(refusal(&vec![b' '; (16 << 20) + 1]).contains("longer than 16777216 bytes"));
    assert!(refusal(br#"{"a": {"BACKEND": "x", "LOCATION": "\ud800"}}"#).contains("is not JSON"));
}

#[test]
fn names_that_stand_twice_are_refused() {
    for (text, place) in [
        (r#"{"CACHES": {"a": {}, "b": {}, "a": {}}}"#, "CACHES.a"),
        (r#"{"CACHES": {"a": {"TIMEOUT" : 1, "\u0054IMEOUT": 2}}}"#, "CACHES.a.TIMEOUT"),
        (r#"{"a": {}, "a": {}}"#, "a"),
        (r#"{"x y": [{"a": ":"}, {"a": "\"b\":", "c": [[1, {}]], "a" :5}]}"#, "[\"x y\"][1].a"),
    ] {
        assert_eq!(refusal(text.as_bytes()), format!("{place}: stands twice in the document"));
    }
}

#[test]
fn texts_are_filled_from_the_environment() {
    let environment = |name: &str| match name {
        "NAME" => Some("pantry".to_owned()),
        "SECONDS" => Some("60".to_owned()),
        "ODD" => Some("${NAME}$${".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let fill = |text: &str| {
        let document = json!({"a": {"BACKEND": LOCMEM, "LOCATION": text, "TIMEOUT": "${SECONDS}"}});
        let config = read(document.to_string().as_bytes(), &environment)?;
        assert_eq!(config.aliases[0].ttl, Ttl::Millis(60_000));
        match &config.aliases[0].family {
            Family::Memory { name } => Ok::<_, larder::error::Error>(name.clone()),
            family => panic!("{family:?}"),
        }
    };
    for (text, filled) in [
        ("${NAME}", "pantry"),
        ("a${NAME}b${NAME}", "apantrybpantry"),
        ("$${NAME}", "${NAME}"),
        ("$$${NAME}", "$${NAME}"),
        ("$NAME $ {NAME} } $", "$NAME $ {NAME} } $"),
        ("${ODD}", "${NAME}$${"), // what comes in is not looked at again
        ("${EMPTY}", ""),
        ("é${NAME}é", "épantryé"),
    ] {
        assert_eq!(fill(text).expect(text), filled);
    }
    let error = fill("${NOT_THERE}").expect_err("unset");
    assert_eq!(error.reason(), "a.LOCATION: the environment variable NOT_THERE is not set");
    for text in ["${", "x${NAME", "${}", "${A-B}", "${1A}", "${A B}"] {
        let error = fill(text).expect_err(text);
        assert!(error.reason().starts_with("a.LOCATION: has a ${ without"), "{error}");
    }
    // Names are not filled, nor is what nobody reads; lists and deeper objects are.
    let document = json!({"CACHES": {"${X}": {"BACKEND": LOCMEM}}, "LOGGING": "${levelname}"});
    assert_eq!(&*open(&document).aliases[0].name, "${X}");
    let document = json!({"a": {"BACKEND": CORE, "LOCATION": ["redis://x", "${MISSING}"]}});
    assert!(refused(&document).starts_with("a.LOCATION[1]: the environment variable MISSING"));
}

#[test]
fn texts_from_the_environment_are_not_shown() {
    let document = json!({"a": {"BACKEND": LOCMEM, "TIMEOUT": "${PW}", "KEY_FUNCTION": "${PW}"}});
    let error = read(document.to_string().as_bytes(), &|_| Some("hunter2hunter2".to_owned())).expect_err("wrong");
    assert!(error.reason().ends_with("not the text from the environment"), "{error}");
    let document = json!({"a": {"BACKEND": LOCMEM, "TIMEOUT": "${PW}"}});
    let config = read(document.to_string().as_bytes(), &|_| Some("hunter2hunter2".to_owned())).expect("right");
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
}

#[test]
fn times_to_live_are_python_s_int() {
    // P-1, P-9, P-11.
    let seconds = |more: Value| local(&more);
    for (more, expected, warned) in [
        (json!({}), Some(300), 0),
        (json!({"TIMEOUT": 60}), Some(60), 0),
        (json!({"TIMEOUT": null}), None, 0),
        (json!({"TIMEOUT": 0}), Some(0), 0),
        (json!({"TIMEOUT": -5}), Some(-5), 0),
        (json!({"TIMEOUT": " +1_0 "}), Some(10), 0),
        (json!({"TIMEOUT": "12"}), Some(12), 0),
        (json!({"TIMEOUT": 12.9}), Some(12), 1),
        (json!({"TIMEOUT": 12.0}), Some(12), 0),
        (json!({"TIMEOUT": true}), Some(1), 0),
        (json!({"TIMEOUT": "12.5"}), Some(300), 1),
        (json!({"TIMEOUT": "abc"}), Some(300), 1),
        (json!({"TIMEOUT": []}), Some(300), 1),
        (json!({"TIMEOUT": {}}), Some(300), 1),
        (json!({"timeout": 5, "TIMEOUT": 60}), Some(5), 1),
        (json!({"timeout": null, "TIMEOUT": 60}), None, 1),
        (json!({"timeout": "x", "TIMEOUT": 60}), Some(300), 2),
    ] {
        let (alias, warnings) = seconds(more.clone());
        assert_eq!(alias.ttl, expected.map_or(Ttl::Forever, |seconds| Ttl::Millis(seconds * 1000)), "{more}");
        assert_eq!(warnings.len(), warned, "{more}: {warnings:?}");
    }
    // Huge ones stay far from the ends of 64 bits.
    for huge in [json!(i64::MAX), json!(1e300), json!("9".repeat(100))] {
        let (alias, _) = seconds(json!({"TIMEOUT": huge}));
        assert_eq!(alias.ttl, Ttl::Millis(i64::MAX / 2));
    }
    let (alias, _) = seconds(json!({"TIMEOUT": i64::MIN}));
    assert_eq!(alias.ttl, Ttl::Millis(-(i64::MAX / 2)));
}

#[test]
fn culling_is_looked_up_where_django_looks_and_then_at_the_top() {
    // P-2, P-3, P-8, P-9, P-10 and the issue's decision.
    for (more, entries, frequency, warned) in [
        (json!({}), 300, 3, 0),
        (json!({"OPTIONS": {"MAX_ENTRIES": 7, "CULL_FREQUENCY": 0}}), 7, 0, 0),
        (json!({"max_entries": 5, "cull_frequency": 2, "OPTIONS": {"MAX_ENTRIES": 7}}), 5, 2, 1),
        (json!({"MAX_ENTRIES": 10_000, "CULL_FREQUENCY": 5}), 10_000, 5, 2),
        (json!({"MAX_ENTRIES": 10_000, "OPTIONS": {"MAX_ENTRIES": 7}}), 7, 3, 1),
        (json!({"MAX_ENTRIES": 10_000, "max_entries": 7}), 7, 3, 1),
        (json!({"OPTIONS": {"max_entries": 7}}), 300, 3, 1),
        (json!({"OPTIONS": {"MAX_ENTRIES": null}}), 300, 3, 1),
        (json!({"max_entries": "x", "OPTIONS": {"CULL_FREQUENCY": "4"}}), 300, 4, 1),
    ] {
        let (alias, warnings) = local(&more);
        assert_eq!(alias.culling, Culling { max_entries: entries, frequency }, "{more}");
        assert_eq!(warnings.len(), warned, "{more}: {warnings:?}");
    }
}

#[test]
fn key_settings_are_texts_as_python_writes_them() {
    // P-4 to P-6, K-4.
    for (given, text, warned) in [
        (json!("2"), "2", 0),
        (json!(""), "", 0),
        (json!(2), "2", 0),
        (json!(-1), "-1", 0),
        (json!(1.0), "1.0", 0),
        (json!(0.00001), "1e-05", 0),
        (json!(true), "True", 0),
        (json!(null), "None", 1),
        (json!("é:日"), "é:日", 0),
    ] {
        let (alias, warnings) = local(&json!({"VERSION": given, "KEY_PREFIX": given}));
        assert_eq!((alias.keys.version.as_str(), alias.keys.prefix.as_str()), (text, text));
        assert_eq!(warnings.len(), 2 * warned, "{warnings:?}");
    }
    for (given, function) in [
        (json!(null), KeyFunction::Default),
        (json!("django.core.cache.backends.base.default_key_func"), KeyFunction::Default),
        (json!("larder.as_is"), KeyFunction::AsIs),
    ] {
        assert_eq!(local(&json!({"KEY_FUNCTION": given})).0.keys.function, function);
    }
}

#[test]
fn larder_s_own_settings() {
    let (alias, warnings) = local(&json!({"LARDER": {
        "TIMEOUT_MS": 250, "MAX_VALUE_BYTES": 1000, "MAX_VALUE_NODES": "2_000", "MAX_VALUE_DEPTH": 30, "MAX_CONNECTIONS": 4,
    }}));
    assert_eq!(alias.settings.budget, Duration::from_millis(250));
    let limits = alias.settings.limits;
    assert_eq!((limits.bytes, limits.nodes, limits.depth), (1000, 2000, 30));
    assert_eq!(warnings, ["CACHES.default.LARDER.MAX_CONNECTIONS: has no effect with this backend"]);
    let (alias, _) = local(&json!({"LARDER": {"TIMEOUT_MS": u64::MAX >> 1}}));
    assert!(alias.settings.budget <= Duration::from_hours(8784));
}

#[test]
fn what_django_would_ignore_is_warned_about() {
    let warnings = |entry: Value| open(&json!({"CACHES": {"default": entry}})).warnings;
    for (entry, expected) in [
        (
            json!({"BACKEND": LOCMEM, "TIMEOT": 5}), // A-2
            "CACHES.default.TIMEOT: is ignored, as in Django: unknown name; did you mean TIMEOUT?",
        ),
        (json!({"BACKEND": LOCMEM, "REVERSE_KEY_FUNCTION": "x"}), "CACHES.default.REVERSE_KEY_FUNCTION: is ignored"),
        (
            json!({"BACKEND": LOCMEM, "OPTIONS": {"cull_frequency": 5}}), // P-10
            "CACHES.default.OPTIONS.cull_frequency: is ignored, as in Django: unknown name; did you mean CULL_FREQUENCY?",
        ),
        (
            json!({"BACKEND": LOCMEM, "KEY_PREFIX": null}),
            "CACHES.default.KEY_PREFIX: is null, which puts the text None",
        ),
        (
            json!({"BACKEND": LOCMEM, "TIMEOUT": "abc"}),
            "CACHES.default.TIMEOUT: \"abc\" is no whole number; it counts as 300, as in Django",
        ),
        (json!({"BACKEND": FILE}), "CACHES.default.LOCATION: is not absolute (caches.W003)"),
        (
            json!({"BACKEND": DJANGO_REDIS, "LOCATION": "redis://x", "MAX_ENTRIES": 5}), // P-12
            "CACHES.default.MAX_ENTRIES: has no effect with this backend",
        ),
    ] {
        let given = warnings(entry.clone());
        assert!(given.len() == 1 && given[0].starts_with(expected), "{entry}: {given:?}");
    }
    let config = open(&json!({"CACHES": {"a": {"BACKEND": LOCMEM}}})); // A-6
    assert_eq!(config.warnings, ["CACHES: has no alias named default, which Django wants (caches.E001)"]);
    let config = open(&json!({
        "CACHES": {"default": {"BACKEND": LOCMEM}}, "DATABASES": {}, "USE_TZ": true, "TIME_ZONE": "UTC", "$schema": "x",
        "CACHE_HERD_TIMEOUT": 60, "DJANGO_REDIS_SCAN_ITERSIZE": 10, "DEBUG": true, "DJANGO_REDIS_LOGER": "x",
        "scratch": {"BACKEND": LOCMEM},
    }));
    assert_eq!(
        config.warnings,
        [
            "DEBUG: is ignored: not a setting that larder knows",
            "DJANGO_REDIS_LOGER: is ignored: not a setting that larder knows; did you mean DJANGO_REDIS_LOGGER?",
            "scratch: is ignored; an alias stands inside CACHES",
        ]
    );
    // There is an end to them.
    let many: serde_json::Map<String, Value> = (0..1000).map(|n| (format!("unknown{n}"), json!(n))).collect();
    let (_, warnings) = local(&Value::Object(many));
    assert_eq!(warnings.len(), 201);
    assert_eq!(warnings[200], "the document: 800 more warnings are not shown");
}

/// A URL in the wrong place may hold a password, which messages about a directory would show.
#[test]
fn a_url_is_no_directory() {
    let text = json!({"default": {"BACKEND": FILE, "LOCATION": "redis://:hunter2@127.0.0.1/0"}}).to_string();
    let error = larder::config::read(text.as_bytes(), &|_| None).unwrap_err().to_string();
    assert!(error.contains("LOCATION") && error.contains("is a URL") && !error.contains("hunter2"), "{error}");
}

#[test]
fn directories_are_absolute_and_without_dots() {
    // FB-1: os.path.abspath.
    let here = std::env::current_dir().expect("a directory");
    for (location, expected) in [
        ("/var/cache/x", "/var/cache/x".into()),
        ("/var//cache/./x/../y/", "/var/cache/y".into()),
        ("/../..", "/".into()),
        ("", here.clone()),
        (".", here.clone()),
        ("a/../b", here.join("b")),
    ] {
        let (alias, warnings) = entry(&json!({"BACKEND": FILE, "LOCATION": location}));
        let Family::File { directory } = &alias.family else { panic!("{alias:?}") };
        assert_eq!(*directory, expected, "{location}");
        assert_eq!(warnings.len(), usize::from(!location.starts_with('/')));
    }
}

#[test]
fn near_names_are_found() {
    assert_eq!(nearest("scrach", ["default", "scratch"]), Some("scratch"));
    assert_eq!(nearest("DEFAULT", ["default", "scratch"]), Some("default"));
    assert_eq!(nearest("sessions", ["default", "scratch"]), None);
}
