//! Configurations that mean no good: JSON at random is read or refused, and no message ever shows a credential.

// Tests may say plainly what must not happen.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use larder::config::{Config, Family, read};
use larder::error::{Error, Kind};
use proptest::prelude::*;
use serde_json::{Value, json};

const LOCMEM: &str = "django.core.cache.backends.locmem.LocMemCache";
const FILE: &str = "django.core.cache.backends.filebased.FileBasedCache";
const CORE: &str = "django.core.cache.backends.redis.RedisCache";
const DJANGO_REDIS: &str = "django_redis.cache.RedisCache";

/// JSON with the names that matter in it.
fn any_json() -> impl Strategy<Value = Value> {
    let names = [
        "CACHES",
        "default",
        "BACKEND",
        "LOCATION",
        "OPTIONS",
        "LARDER",
        "TIMEOUT",
        "VERSION",
        "MAX_ENTRIES",
        "db",
        "PICKLE_VERSION",
        "CONNECTION_POOL_KWARGS",
        "KEY_FUNCTION",
        "password",
        "x y",
        "PIPELINES",
        "ALIAS",
        "EXPIRATIONS",
        "LOG_LEVEL",
        "PIPELINE",
        "LOAD",
        "LOCK",
        "DIRECTORY",
    ];
    let texts = [
        LOCMEM,
        FILE,
        CORE,
        DJANGO_REDIS,
        "redis://u:p@h:1/2?db=3",
        "${X}",
        "",
        "12",
        "a,b;c",
        "1h30m",
        "pyot.stores.DjangoCache",
        "pyot.stores.RedisCache",
        "pyot.stores.DiskCache",
        "pyot.stores.Omnistone",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        proptest::sample::select(texts.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        let name = prop_oneof![8 => proptest::sample::select(names.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,8}"];
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            6 => prop::collection::btree_map(name, inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_reads_or_is_refused(inside in any_json(), backend in 0_usize..5, text in "\\PC{0,40}") {
        let environment = |name: &str| (name == "X").then(|| "1".to_owned());
        let mut entry = inside.clone();
        if let (Some(entry), Some(name)) = (entry.as_object_mut(), [LOCMEM, FILE, CORE, DJANGO_REDIS].get(backend)) {
            entry.insert("BACKEND".to_owned(), Value::from(*name));
        }
        let mut store = inside.clone();
        let stores = ["DjangoCache", "RedisCache", "DiskCache", "Omnistone", "MongoDB"];
        if let (Some(store), Some(name)) = (store.as_object_mut(), stores.get(backend)) {
            store.insert("BACKEND".to_owned(), Value::from(format!("pyot.stores.{name}")));
            store.insert("ALIAS".to_owned(), Value::from("default"));
        }
        let pipelines = |pipelines: Value| json!({"CACHES": {"default": {"BACKEND": LOCMEM}}, "PIPELINES": pipelines});
        let mut object = inside.clone();
        if let Some(object) = object.as_object_mut() {
            object.insert("PIPELINE".to_owned(), json!([{"BACKEND": "pyot.stores.Omnistone"}]));
        }
        for document in [
            inside.to_string(),
            json!({"CACHES": {"default": entry}}).to_string(),
            pipelines(inside.clone()).to_string(),
            pipelines(json!({"own": [store]})).to_string(),
            pipelines(json!({"lol": object})).to_string(),
            text,
        ] {
            if let Err(error) = read(document.as_bytes(), &environment) {
                prop_assert_eq!(error.kind(), Kind::Config);
                prop_assert!(error.reason().contains(": "), "{}", error);
            }
        }
    }
}

#[test]
fn deep_and_long_documents_fit_into_small_stacks() {
    let deep = |depth: usize| format!("{{\"a\": {}0{}}}", "[{\"a\": ".repeat(depth), "}]".repeat(depth));
    let wide: serde_json::Map<String, Value> =
        (0..200_000).map(|n| (format!("max_entrie{n}"), json!("${X}"))).collect();
    let mut entry = json!({"BACKEND": LOCMEM, "OPTIONS": wide});
    entry["LOCATION"] = Value::from("${X}".repeat(10_000));
    let wide = json!({ "a".repeat(100_000): entry }).to_string();
    let documents = [deep(15), deep(100_000), wide];
    let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
        documents
            .map(|document| read(document.as_bytes(), &|_| Some("x".to_owned())).map(|config| config.warnings.len()))
    });
    let read = thread.expect("a thread").join().expect("no overflow");
    assert!(read[0].as_ref().is_err_and(|error| error.reason().starts_with("a: must be an alias")), "{:?}", read[0]);
    assert!(
        read[1].as_ref().is_err_and(|error| error.reason().contains("nested deeper than 32 levels")),
        "{:?}",
        read[1]
    );
    assert!(read[2].as_ref().is_ok_and(|count| *count == 201), "{:?}", read[2]);
    // The environment cannot blow a document up either.
    let document = json!({"a": {"BACKEND": LOCMEM, "LOCATION": "${X}".repeat(100)}}).to_string();
    let error = larder::config::read(document.as_bytes(), &|_| Some("x".repeat(1 << 20))).expect_err("too long");
    assert!(
        error.reason().starts_with("a.LOCATION: the texts from the environment make the document longer"),
        "{error}"
    );
}

/// What every password here has in it, and nothing else has.
const MARK: &str = "S3cret";

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02X}"))
}

/// Everything that a reading can tell.
fn told(result: &Result<Config, Error>) -> String {
    match result {
        Ok(config) => {
            let reasons = config.aliases.iter().filter_map(|alias| match &alias.family {
                Family::NotBuiltIn { reason } => Some(reason.clone()),
                _ => None,
            });
            format!("{config:?} {config:#?} {:?} {}", config.warnings, reasons.collect::<String>())
        }
        Err(error) => format!("{error} {error:?} {}", error.reason()),
    }
}

/// Documents with a password in the places where people put them, right and wrong ones.
fn documents(password: &str) -> Vec<Value> {
    let encoded = percent_encoded(password);
    let mut documents = Vec::new();
    for location in [
        format!("redis://:{password}@host:6379/1"),
        format!("redis://user:{password}@host"),
        format!("redis://:{encoded}@host:6379/x"),
        format!("redis://:{encoded}@host?password={encoded}&db=1"),
        format!("redis://host?password={encoded}&nonsense=1"),
        format!("redis://host?db={encoded}&password={encoded}"),
        format!("redis://host?socket_timeout={encoded}"),
        format!("rediss://:{password}@host,redis://:{password}@other"),
        format!("redis://a;redis://:{password}@b"),
        format!("valkey://:{password}@host"),
        format!("unix://:{password}@/run/redis.sock?db=1"),
        format!("unix://:{encoded}@/run/redis.sock?db={encoded}"),
        format!(" redis://:{password}@host"),
        format!("redis://:{password}@host:port"),
        format!("redis://:{password}@[::1"),
    ] {
        for backend in [LOCMEM, FILE, CORE, DJANGO_REDIS, "redis.RedisCach"] {
            documents.push(json!({"a": {"BACKEND": backend, "LOCATION": location}}));
        }
        documents.push(json!({"a": {"BACKEND": CORE, "LOCATION": [location]}}));
        for (class, name) in [
            ("RedisCache", "HOST"),
            ("RedisCache", "UNIX_SOCKET_PATH"),
            ("RedisCache", "DB"),
            ("RedisCache", "URL"),
            ("RedisCache", "PASSWORD"),
            ("DiskCache", "DIRECTORY"),
            ("DjangoCache", "ALIAS"),
            ("Omnistone", "MAX_ENTRIES"),
            ("Omnistone", "LOG_LEVEL"),
        ] {
            let store = json!({"BACKEND": format!("pyot.stores.{class}"), name: location});
            documents.push(json!({"CACHES": {"a": {"BACKEND": LOCMEM}}, "PIPELINES": {"own": [store]}}));
        }
        documents.push(json!({"CACHES": {"a": {"BACKEND": LOCMEM}}, "PIPELINES": {"own": [{"BACKEND": location}]}}));
        documents.push(json!({"a": {"BACKEND": location, "LOCATION": location, "TIMEOUT": location}}));
        documents.push(json!({"a": {"BACKEND": LOCMEM, "TIMEOUT": location, "VERSION": 1}}));
    }
    for value in [json!(password), json!([password]), json!({ "x": password })] {
        documents.push(json!({"a": {"BACKEND": CORE, "LOCATION": "redis://h", "OPTIONS": {"password": value}}}));
        documents
            .push(json!({"a": {"BACKEND": CORE, "LOCATION": "redis://h", "OPTIONS": {"username": value, "db": -1}}}));
        let options = json!({"PASSWORD": value, "USERNAME": value, "CONNECTION_POOL_KWARGS": {"password": value}});
        documents.push(json!({"a": {"BACKEND": DJANGO_REDIS, "LOCATION": "redis://h/x", "OPTIONS": options}}));
        documents.push(json!({"a": {"BACKEND": DJANGO_REDIS, "LOCATION": value, "OPTIONS": options}}));
        documents.push(json!({"CACHES": {"a": {"BACKEND": LOCMEM}}, "DATABASES": {"default": {"PASSWORD": value}}}));
        for more in [json!({}), json!({"DB": -1}), json!({"EXPIRATIONS": {"*": -2}}), json!({"nonsense": 1})] {
            let mut store = json!({"BACKEND": "pyot.stores.RedisCache", "PASSWORD": value, "USERNAME": value});
            store.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            documents.push(json!({"CACHES": {"a": {"BACKEND": LOCMEM}}, "PIPELINES": {"own": [store]}}));
        }
    }
    documents
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_message_shows_a_password(
        before in "[-/?#@:,;%=&+ a-z0-9é\\[\\]]{0,4}",
        after in "[-/?#@:,;%=&+ a-z0-9é\\[\\]]{0,6}",
    ) {
        let password = format!("{before}{MARK}{after}");
        let encoded = percent_encoded(&password);
        for document in documents(&password) {
            let told = told(&read(document.to_string().as_bytes(), &|_| None));
            prop_assert!(!told.contains(MARK) && !told.contains(&encoded), "{}\n{}", document, told);
        }
        // The same from the environment.
        let document = json!({"a": {"BACKEND": CORE, "LOCATION": "redis://:${PW}@host:1/2", "TIMEOUT": "${PW}",
            "LARDER": {"TIMEOUT_MS": "${PW}"}}});
        let told = told(&read(document.to_string().as_bytes(), &|_| Some(password.clone())));
        prop_assert!(!told.contains(MARK), "{}", told);
    }

    #[test]
    fn a_percent_encoded_password_arrives_whole(password in "\\PC{1,20}", user in "[^\\PC]{0,3}") {
        let url = format!("redis://{}:{}@host", percent_encoded(&user), percent_encoded(&password)); // U-2
        let document = json!({"a": {"BACKEND": DJANGO_REDIS, "LOCATION": url}});
        let config = read(document.to_string().as_bytes(), &|_| None).expect("a good document");
        let Family::Redis(redis) = &config.aliases[0].family else { panic!("{config:?}") };
        prop_assert_eq!(redis.server.password.as_deref(), Some(password.as_str()));
        prop_assert_eq!(redis.server.username.as_deref(), Some(user.as_str()).filter(|user| !user.is_empty()));
        prop_assert_eq!(&*redis.server.shown, "redis://host:6379/0");
    }
}
