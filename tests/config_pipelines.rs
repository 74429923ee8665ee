//! What PIPELINES says (contract pyot.md: PY-S, PY-E, 2.6, 2.7).

// Tests may say plainly what must not happen.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

#[path = "config_pipelines/own_stores.rs"]
mod own_stores;
#[path = "config_pipelines/tables.rs"]
mod tables;

use std::path::Path;
use std::time::Duration;

use larder::config::{
    Address, Config, Expiry, Family, Level, LevelKind, OnStoreError, Pipeline, Serializer, TokenForm, UNICODE_VERSIONS,
    WriteBack, read,
};
use larder::error::Kind;
use larder::key::KeyFunction;
use larder::timeout::Ttl;
use serde_json::{Value, json};

/// A document with some caches and these pipelines.
fn document(pipelines: &Value) -> String {
    let caches = json!({
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "pyot-redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:6379/1"},
        "pyot-filebased": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/var/cache/pyot"},
    });
    json!({"CACHES": caches, "PIPELINES": pipelines}).to_string()
}

fn environment(name: &str) -> Option<String> {
    Some(match name {
        "SECONDS" => "120".to_owned(),
        "PW" => "S3cret".to_owned(),
        _ => return None,
    })
}

fn open(pipelines: &Value) -> Config {
    read(document(pipelines).as_bytes(), &environment).unwrap_or_else(|error| panic!("{pipelines}: {error}"))
}

/// The one pipeline, and the warnings.
fn pipeline(name: &str, value: &Value) -> (Pipeline, Vec<String>) {
    let mut config = open(&json!({ name: value }));
    assert_eq!(config.pipelines.len(), 1);
    (config.pipelines.remove(0), config.warnings)
}

/// The one store of `LOL`, without warnings.
fn store(value: &Value) -> Level {
    let (mut pipeline, warnings) = pipeline("LOL", &json!([value]));
    assert!(warnings.is_empty(), "{value}: {warnings:?}");
    pipeline.levels.remove(0)
}

fn refused(pipelines: &Value) -> String {
    let error = read(document(pipelines).as_bytes(), &environment).expect_err(&pipelines.to_string());
    assert_eq!(error.kind(), Kind::Config);
    error.reason().to_owned()
}

/// What is said against one store of `LOL`, behind the path.
fn wrong(value: &Value) -> String {
    let reason = refused(&json!({"LOL": [value]}));
    reason.strip_prefix("PIPELINES.LOL[0]").unwrap_or_else(|| panic!("{reason}")).to_owned()
}

fn django(more: &Value) -> Value {
    with(json!({"BACKEND": "pyot.stores.DjangoCache", "ALIAS": "default"}), more)
}

fn own(class: &str, more: &Value) -> Value {
    with(json!({"BACKEND": format!("pyot.stores.{class}")}), more)
}

fn with(mut store: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().expect("an object") {
        store[name] = value.clone();
    }
    store
}

#[test]
fn the_example_of_the_issue() {
    let text = r#"{"CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "pyot-redis": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://localhost"},
        "pyot-filebased": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/tmp/pyot"}},
"PIPELINES": {"LOL": [
   {"BACKEND": "pyot.stores.DjangoCache", "ALIAS": "pyot-redis", "LOG_LEVEL": 30,
    "EXPIRATIONS": {"summoner_v4_by_name": 120, "league_v4_challenger_league": "10m", "match_v4_match": -1}},
   {"BACKEND": "pyot.stores.DjangoCache", "ALIAS": "pyot-filebased"}]}}"#;
    let config = read(text.as_bytes(), &|_| None).expect("the issue's example");
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let [lol] = config.pipelines.as_slice() else { panic!("{config:?}") };
    assert_eq!((&*lol.name, &*lol.model, lol.levels.len()), ("LOL", "lol", 2));
    let [first, second] = lol.levels.as_slice() else { panic!("{lol:?}") };
    assert_eq!((&*first.alias.name, first.kind, first.log_level), ("pyot-redis", LevelKind::DjangoCache, 30));
    assert!(matches!(first.alias.family, Family::Redis(_)) && !first.alias.is_of_pyot);
    assert_eq!((&*second.alias.name, second.log_level), ("pyot-filebased", 20)); // the issue's decision; Pyot has 10
    let (first, second) = (&first.expirations, &second.expirations);
    assert_eq!(first.of("summoner_v4_by_name"), Some(Expiry::Seconds(120)));
    assert_eq!(first.of("league_v4_challenger_league"), Some(Expiry::Seconds(600)));
    assert_eq!(first.of("match_v4_match"), Some(Expiry::Forever));
    assert_eq!(first.of("match_v4_timeline"), Some(Expiry::Never));
    assert_eq!(second.of("summoner_v4_by_name"), Some(Expiry::Never));
    assert_eq!(second.of("cdragon_champion_by_id"), Some(Expiry::Seconds(10_800)));
}

#[test]
fn what_is_not_said() {
    let (pipeline, warnings) = pipeline("Lol", &json!([django(&json!({}))]));
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!((&*pipeline.name, &*pipeline.model), ("Lol", "lol"));
    assert_eq!((pipeline.form, pipeline.unicode.as_deref()), (TokenForm::V3, None));
    assert_eq!((pipeline.write_back, pipeline.on_error), (WriteBack::Remaining, OnStoreError::Skip)); // PY-P6
    let loading = &pipeline.loading;
    assert_eq!((loading.timeout, loading.grace), (Duration::from_secs(30), Duration::ZERO));
    assert!(loading.lock.is_none() && loading.early == 0.0 && loading.jitter == 0.0);
    assert!(
        read(br#"{"CACHES": {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}}"#, &|_| None)
            .is_ok_and(|config| config.pipelines.is_empty() && config.warnings.is_empty())
    );
}

#[test]
fn what_an_object_says() {
    let stores = json!([django(&json!({}))]);
    let (pipeline, warnings) = pipeline(
        "LOL",
        &json!({"PIPELINE": stores, "PYOT": 6, "UNICODE": "15.1", "WRITE_BACK_TTL": "full", "ON_STORE_ERROR": "fail",
            "LOAD": {"TIMEOUT_MS": "1500", "GRACE_MS": 10_000, "EARLY": 1, "JITTER": "0.25",
                "LOCK": {"ALIAS": "pyot-redis", "TTL_MS": 5000}}}),
    );
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!((pipeline.form, pipeline.unicode.as_deref()), (TokenForm::V6, Some("15.1")));
    assert_eq!((pipeline.write_back, pipeline.on_error), (WriteBack::Full, OnStoreError::Fail));
    let loading = &pipeline.loading;
    assert_eq!((loading.timeout, loading.grace), (Duration::from_millis(1500), Duration::from_secs(10)));
    assert!((loading.early, loading.jitter) == (1.0, 0.25));
    let lock = loading.lock.as_ref().expect("a lock");
    assert_eq!((&*lock.alias.name, lock.ttl), ("pyot-redis", Duration::from_secs(5)));

    for (name, value) in [("PYOT", json!(3)), ("PYOT", json!("3")), ("LOAD", json!({"LOCK": false, "GRACE_MS": 0}))] {
        let (pipeline, _) = self::pipeline("LOL", &json!({"pipeline": stores, name: value}));
        assert!(pipeline.form == TokenForm::V3 && pipeline.loading.lock.is_none());
    }
    let (pipeline, _) = self::pipeline("LOL", &json!({"PIPELINE": stores, "load": {"lock": "pyot-redis"}}));
    let lock = pipeline.loading.lock.expect("a lock");
    assert_eq!((&*lock.alias.name, lock.ttl), ("pyot-redis", Duration::from_secs(30)));
    for version in UNICODE_VERSIONS {
        let (pipeline, _) = self::pipeline("LOL", &json!({"PIPELINE": stores, "UNICODE": version}));
        assert_eq!(pipeline.unicode.as_deref(), Some(version));
    }
}

#[test]
fn what_an_object_says_wrongly() {
    for (name, value, reason) in [
        ("PIPELINE", json!(null), ".PIPELINE: must be a list of stores, not null"),
        ("PIPELINE", json!([]), ".PIPELINE: has no store"), // PY-P4
        ("PIPELINE", json!([1]), ".PIPELINE[0]: must be a store (an object with a BACKEND), not 1"),
        ("STORES", json!([]), ".STORES: stands twice: PIPELINES.LOL.PIPELINE is there too"),
        ("pyot", json!(5), ".pyot: must be 3 or 6, the major version of Pyot that makes the keys, not 5"),
        ("PYOT", json!(3.0), ".PYOT: must be 3 or 6"),
        ("PYOT", json!(true), ".PYOT: must be 3 or 6"),
        ("UNICODE", json!(15.1), ".UNICODE: must be in quotes one of 13.0, 14.0, 15.0, 15.1, 16.0, 17.0 (Python's is"),
        ("UNICODE", json!("15"), ".UNICODE: must be"),
        ("WRITE_BACK_TTL", json!("Full"), ".WRITE_BACK_TTL: must be \"remaining\" or \"full\", not \"Full\""),
        ("ON_STORE_ERROR", json!(true), ".ON_STORE_ERROR: must be \"skip\" or \"fail\", not true"),
        ("LOAD", json!(null), ".LOAD: must be an object, not null"),
        ("LOADS", json!({}), ".LOADS: a pipeline has no such setting; did you mean LOAD?"),
        ("Pyot", json!(3), ".Pyot: a pipeline has no such setting; did you mean PYOT? What is neither upper-case nor"),
        ("pipeline", json!([]), ".PIPELINE: stands twice: PIPELINES.LOL.pipeline is there too"),
        ("MODEL", json!("TFT"), ".MODEL: must be the model that the pipeline is named after"),
    ] {
        let mut object = json!({"PIPELINE": [django(&json!({}))]});
        object[name] = value;
        let told = refused(&json!({ "LOL": object }));
        assert!(told.starts_with(&format!("PIPELINES.LOL{reason}")), "{told}");
    }
    for (name, value, reason) in [
        ("TIMEOUT_MS", json!(0), ".TIMEOUT_MS: must be a whole number greater than 0, not 0"),
        ("TIMEOUT_MS", json!(1.5), ".TIMEOUT_MS: must be a whole number"),
        ("GRACE_MS", json!(-1), ".GRACE_MS: must be a whole number"),
        ("GRACE_MS", json!(false), ".GRACE_MS: must be a whole number"),
        ("EARLY", json!(-0.5), ".EARLY: must be a number from 0 to 100, not -0.5"),
        ("EARLY", json!("nan"), ".EARLY: must be a number"),
        ("JITTER", json!(0.6), ".JITTER: must be a number from 0 to 0.5, not 0.6"),
        ("TIMEOUT_S", json!(1), ".TIMEOUT_S: there is no such setting; did you mean TIMEOUT_MS?"),
        ("LOCK", json!(true), ".LOCK: must be the name of an alias, or an object with ALIAS and TTL_MS, not true"),
        ("LOCK", json!("pyot-reddis"), ".LOCK: CACHES has no alias \"pyot-reddis\"; did you mean \"pyot-redis\"?"),
        ("LOCK", json!("pyot-filebased"), ".LOCK: has no locks: of the backends only those of Redis and Valkey have"),
        ("LOCK", json!({"ALIAS": "default"}), ".LOCK.ALIAS: has no locks"),
        ("LOCK", json!({"TTL_MS": 1}), ".LOCK.ALIAS: is missing; a lock lives in an alias of CACHES"),
        (
            "LOCK",
            json!({"ALIAS": "pyot-redis", "TTL": 1}),
            ".LOCK.TTL: a lock has no such setting; there are ALIAS, TTL_MS",
        ),
        ("LOCK", json!({"ALIAS": "pyot-redis", "TTL_MS": 0}), ".LOCK.TTL_MS: must be a whole number"),
    ] {
        let told = refused(&json!({"LOL": {"PIPELINE": [django(&json!({}))], "LOAD": {name: value}}}));
        assert!(told.starts_with(&format!("PIPELINES.LOL.LOAD{reason}")), "{told}");
    }
}

#[test]
fn pipelines_themselves() {
    let stores = json!([django(&json!({}))]);
    for (pipelines, reason) in [
        (json!([]), "PIPELINES: must be an object, not a list"),
        (json!(null), "PIPELINES: must be an object, not null"),
        (json!({"LOL": 1}), "PIPELINES.LOL: must be a list of stores, not 1"),
        (json!({"": stores}), "PIPELINES[\"\"]: has no name; it is the model's"),
        (json!({"LOL": []}), "PIPELINES.LOL: has no store"),
        (
            json!({"LOL": {"BACKEND": "pyot.stores.Omnistone"}}),
            "PIPELINES.LOL.PIPELINE: is missing; a pipeline is a list",
        ),
        (json!({"LOL": stores, "Lol": stores}), "PIPELINES.Lol: is \"LOL\" in another case"),
        (json!({"LOL": vec![django(&json!({})); 33]}), "PIPELINES.LOL: has more than 32 stores"),
    ] {
        let told = refused(&pipelines);
        assert!(told.starts_with(reason), "{told}");
    }
    let many: serde_json::Map<String, Value> = (0..257).map(|n| (format!("m{n}"), stores.clone())).collect();
    assert!(refused(&json!(many)).starts_with("PIPELINES: has more than 256 pipelines"));
    let bare =
        json!({"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, "PIPELINES": {"LOL": stores}});
    let error = read(bare.to_string().as_bytes(), &|_| None).expect_err("no CACHES");
    assert!(error.reason().starts_with("PIPELINES: stands beside CACHES, but there is no CACHES"), "{error}");

    let config = open(&json!({"LOL": stores, "tft": stores, "my model": [django(&json!({"EXPIRATIONS": {"x": 1}}))]}));
    let names: Vec<&str> = config.pipelines.iter().map(|pipeline| &*pipeline.name).collect();
    assert_eq!(names, ["LOL", "tft", "my model"]);
    // What else Pyot's settings have.
    let (_, warnings) = pipeline(
        "LOL",
        &json!({"MODEL": "lol", "PIPELINE": stores, "DEFAULT_REGION": "AMERICAS", "LOCALE_MAP": {}, "default": true}),
    );
    let places: Vec<&str> = warnings.iter().filter_map(|warning| warning.split(':').next()).collect();
    assert_eq!(places, ["PIPELINES.LOL.DEFAULT_REGION", "PIPELINES.LOL.LOCALE_MAP", "PIPELINES.LOL.default"]);
}

/// PY-S1.
#[test]
fn names_are_upper_or_lower_case() {
    for names in [
        json!({"BACKEND": "pyot.stores.DjangoCache", "ALIAS": "default", "EXPIRATIONS": {"match_v4_match": 5}, "LOG_LEVEL": 10}),
        json!({"backend": "pyot.stores.DjangoCache", "alias": "default", "expirations": {"match_v4_match": 5}, "log_level": 10}),
        json!({"BACKEND": "pyot.stores.djangocache.DjangoCache", "alias": "default", "EXPIRATIONS": {"match_v4_match": 5}, "log_level": "10"}),
    ] {
        let level = store(&names);
        assert_eq!((&*level.alias.name, level.log_level), ("default", 10));
        assert_eq!(level.expirations.of("match_v4_match"), Some(Expiry::Seconds(5)));
    }
    for (more, reason) in [
        // mixed case is passed on and becomes a TypeError
        (
            json!({"Log_Level": 1}),
            ".Log_Level: pyot.stores.DjangoCache has no such argument; did you mean LOG_LEVEL? What is",
        ),
        (json!({"LOG_LEVLE": 1}), ".LOG_LEVLE: pyot.stores.DjangoCache has no such argument; did you mean LOG_LEVEL?"),
        (
            json!({"TIMEOUT": 1}),
            ".TIMEOUT: pyot.stores.DjangoCache has no such argument; there are BACKEND, EXPIRATIONS",
        ),
        (json!({"LARDER": {}}), ".LARDER: pyot.stores.DjangoCache has no such argument"),
        (json!({"alias": "default"}), ".ALIAS: stands twice: PIPELINES.LOL[0].alias is there too"),
        (json!({"LOG_LEVEL": "INFO"}), ".LOG_LEVEL: must be one of Python's numbers (10 is DEBUG, 20 INFO, 30 WARNING"),
        (json!({"LOG_LEVEL": 1.5}), ".LOG_LEVEL: must be one of Python's numbers"),
        (json!({"LOG_LEVEL": true}), ".LOG_LEVEL: must be one of Python's numbers"),
        (json!({"LOG_LEVEL": null}), ".LOG_LEVEL: must be one of Python's numbers"),
        (json!({"LOG_LEVEL": 1_u64 << 40}), ".LOG_LEVEL: must be one of Python's numbers"),
    ] {
        let told = wrong(&django(&more));
        assert!(told.starts_with(reason), "{told}");
    }
    let told = wrong(&json!({"Backend": "pyot.stores.DjangoCache"}));
    assert!(told.starts_with(".BACKEND: is missing; Backend is neither upper-case nor lower-case"), "{told}");
    let (_, warnings) = pipeline("LOL", &json!([django(&json!({"GAME": "tft"}))]));
    assert_eq!(warnings, ["PIPELINES.LOL[0].GAME: is ignored, as in Pyot: it is the model"]);
}

/// PY-S2.
#[test]
fn the_alias_is_obligatory() {
    for missing in [json!({"BACKEND": "pyot.stores.DjangoCache"}), django(&json!({"ALIAS": null}))] {
        assert_eq!(wrong(&missing), ".ALIAS: is missing: larder will not guess which cache is used");
    }
    let told = wrong(&json!({"BACKEND": "pyot.stores.DjangoCache", "Alias": "default"}));
    assert!(
        told.starts_with(".ALIAS: is missing: larder will not guess which cache is used; Alias is neither"),
        "{told}"
    );
    let told = wrong(&django(&json!({"ALIAS": "pyot-filebase"})));
    assert_eq!(told, ".ALIAS: CACHES has no alias \"pyot-filebase\"; did you mean \"pyot-filebased\"?"); // A-1
    let told = wrong(&django(&json!({"ALIAS": "sessions"})));
    assert_eq!(told, ".ALIAS: CACHES has no alias \"sessions\"; it has default, pyot-redis, pyot-filebased");
    assert!(wrong(&django(&json!({"ALIAS": ["default"]}))).starts_with(".ALIAS: must be a text, not a list"));
    assert!(wrong(&django(&json!({"ALIAS": "${PW}"}))).starts_with(".ALIAS: CACHES has no alias the text from the"));
}

/// PY-S3.
#[test]
fn many_stores_and_one_omnistone() {
    let (pipeline, _) = pipeline("LOL", &json!([django(&json!({})), own("Omnistone", &json!({})), django(&json!({}))]));
    let kinds: Vec<LevelKind> = pipeline.levels.iter().map(|level| level.kind).collect();
    assert_eq!(kinds, [LevelKind::DjangoCache, LevelKind::Omnistone, LevelKind::DjangoCache]);
    let two = json!([own("Omnistone", &json!({})), own("omnistone.Omnistone", &json!({}))]);
    assert_eq!(
        refused(&json!({ "LOL": two })),
        "PIPELINES.LOL[1]: is a second pyot.stores.Omnistone; a pipeline has only one"
    );
    // Pyot 6 does not look.
    let (pipeline, _) = self::pipeline("LOL", &json!({"PYOT": 6, "PIPELINE": two}));
    assert_eq!(pipeline.levels.len(), 2);
}

#[test]
fn what_is_no_cache_store() {
    for class in ["RiotAPI", "CDragon", "DDragon", "MerakiCDN", "riotapi.RiotAPI", "merakicdn.MerakiCDN"] {
        let told = wrong(&own(class, &json!({"API_KEY": "x"})));
        let expected = format!(
            ".BACKEND: \"pyot.stores.{class}\" asks a service, which larder does not do: leave it out, and give \
             larder_pipeline_open a loader that asks it"
        );
        assert_eq!(told, expected);
    }
    for (backend, reason) in [
        (
            json!("pyot.stores.DjangoCach"),
            "\"pyot.stores.DjangoCach\" is not a store that larder knows; did you mean pyot.stores.DjangoCache?",
        ),
        (
            json!("pyot.stores.redis.RedisCache"),
            "\"pyot.stores.redis.RedisCache\" is not a store that larder knows; did you mean pyot.stores.RedisCache?",
        ),
        (
            json!("django_redis.cache.RedisCache"),
            "\"django_redis.cache.RedisCache\" is not a store that larder knows; did you mean pyot.stores.RedisCache?",
        ),
        (
            json!("my.stores.Mine"),
            "\"my.stores.Mine\" is not a store that larder knows; it knows pyot.stores.DjangoCache, ",
        ),
        (json!("redis://:S3cret@h"), "an address is not a store"),
        (json!("${PW}"), "the text from the environment is not a store"),
        (json!(7), "must be a text, not 7"),
    ] {
        let told = wrong(&json!({ "BACKEND": backend }));
        assert!(told.starts_with(&format!(".BACKEND: {reason}")), "{told}");
    }
    assert_eq!(wrong(&json!({})), ".BACKEND: is missing");
    // 2.6: known, but not here, so only opening its pipeline fails.
    let level = store(&own("MongoDB", &json!({"DB": "pyot", "HOST": "h", "w": 1})));
    assert_eq!((level.kind, &*level.alias.name), (LevelKind::MongoDb, "MongoDB"));
    let Family::NotBuiltIn { reason } = &level.alias.family else { panic!("{level:?}") };
    assert_eq!(reason, "PIPELINES.LOL[0].BACKEND: pyot.stores.MongoDB is not in this version of larder");
}

#[test]
fn hostile_pipelines() {
    let deep = (0..20).fold(json!(0), |inner, _| json!([inner]));
    let wide: serde_json::Map<String, Value> = (0..100_000).map(|n| (format!("A{n}"), json!(n))).collect();
    let mut store = own("RedisCache", &json!({}));
    store.as_object_mut().expect("an object").extend(wide.clone());
    assert!(wrong(&store).starts_with(": has more than 200 names"));
    assert!(refused(&json!({ "LOL": wide })).starts_with("PIPELINES.LOL: has more than 200 names"));
    for (name, value) in [("BACKEND", &deep), ("ALIAS", &deep), ("EXPIRATIONS", &deep), ("LOG_LEVEL", &deep)] {
        assert!(wrong(&django(&json!({name: value}))).starts_with(&format!(".{name}: must be ")));
    }
    let expirations: serde_json::Map<String, Value> = (0..100_000).map(|n| (format!("e{n}"), json!(n))).collect();
    let (pipeline, _) = pipeline("own", &json!([django(&json!({ "EXPIRATIONS": expirations }))]));
    assert_eq!(pipeline.levels[0].expirations.names().count(), 100_000);
    assert_eq!(pipeline.levels[0].expirations.of("e99999"), Some(Expiry::Seconds(99_999)));
    let long = "x".repeat(1 << 20);
    let told = wrong(&django(&json!({"EXPIRATIONS": {long.clone(): 1}, "ALIAS": long})));
    assert!(told.len() < 500, "{}", told.len());
    let told = refused(&json!({ long: 1 }));
    assert!(told.len() < 500, "{}", told.len());
}
