//! What PIPELINES says (contract pyot.md: PY-S, PY-E, 2.6, 2.7).

// Tests may say plainly what must not happen.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

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

/// PY-E1, PY-E6, PY-E7: pyot_live compares the tables with Pyot's own; here is how many there are.
#[test]
fn models_of_pyot_have_their_tables() {
    for (model, form, count, kept) in [
        (
            "lol",
            3,
            42,
            vec![
                "cdragon_champion_by_id",
                "cdragon_champion_summary",
                "cdragon_item_full",
                "cdragon_profile_icon_full",
                "cdragon_rune_full",
                "cdragon_spells_full",
                "meraki_champion_by_key",
                "meraki_item_by_id",
            ],
        ),
        ("TFT", 3, 17, vec!["cdragon_profile_icon_full", "cdragon_tft_full"]),
        ("Lor", 3, 8, vec!["ddragon_lor_set_data"]),
        ("val", 3, 9, vec![]),
        ("RIOT", 3, 3, vec![]),
        (
            "lol",
            6,
            45,
            vec![
                "cdragon_champion_by_id",
                "cdragon_champion_summary",
                "cdragon_item_full",
                "cdragon_profile_icon_full",
                "cdragon_rune_full",
                "cdragon_spells_full",
                "meraki_champion_by_key",
                "meraki_item_by_id",
            ],
        ),
        ("tft", 6, 17, vec!["cdragon_profile_icon_full", "cdragon_tft_full"]),
    ] {
        let (pipeline, warnings) = pipeline(model, &json!({"PYOT": form, "PIPELINE": [django(&json!({}))]}));
        let table = &pipeline.levels[0].expirations;
        assert_eq!(table.names().count(), count, "{model}");
        let seconds = Expiry::Seconds(if form == 3 { 10_800 } else { 1200 });
        let found: Vec<&str> = table.names().filter(|name| table.of(name) == Some(seconds)).collect();
        assert_eq!(found, kept, "{model}");
        let never = table.names().filter(|name| table.of(name) == Some(Expiry::Never)).count();
        assert_eq!(never, count - kept.len());
        for name in ["account_v1_by_puuid", "account_v1_by_riot_id", "account_v1_active_shard"] {
            assert_eq!(table.of(name), Some(Expiry::Never), "{model}"); // PY-E1
        }
        assert_eq!(table.of("of_no_model"), None); // PY-E5
        assert_eq!(warnings.is_empty(), !kept.is_empty(), "{model}: {warnings:?}"); // a store that keeps nothing
    }
    let (pipeline, _) = pipeline("riot", &json!([django(&json!({"EXPIRATIONS": {"account_v1_by_puuid": "1d"}}))]));
    let table = &pipeline.levels[0].expirations;
    assert_eq!(table.of("account_v1_by_puuid"), Some(Expiry::Seconds(86_400)));
    assert_eq!(
        store(&django(&json!({"EXPIRATIONS": {"status_v3_shard_data": 9}}))).expirations.of("status_v3_shard_data"),
        Some(Expiry::Seconds(9))
    );
    // so it is spelt in Pyot
    store(&django(&json!({"EXPIRATIONS": {"clash_v1_toutnaments_by_tournament_id": 1}})));
    // 2.7: the documentation says 3 h
    let (pipeline, _) = self::pipeline("VAL", &json!([django(&json!({}))]));
    assert_eq!(pipeline.levels[0].expirations.of("content_v1_contents"), Some(Expiry::Never));
}

/// PY-E2.
#[test]
fn unknown_endpoints_of_models_of_pyot() {
    let told = wrong(&django(&json!({"EXPIRATIONS": {"summoner_v4_by_nam": 1}})));
    assert!(
        told.starts_with(".EXPIRATIONS.summoner_v4_by_nam: is not an endpoint of lol in Pyot 3; did you mean summoner_v4_by_name? (\"*\""),
        "{told}"
    );
    let told = wrong(&django(&json!({"expirations": {"SUMMONER_V4_BY_NAME": 1}})));
    assert!(
        told.starts_with(".expirations.SUMMONER_V4_BY_NAME: is not") && told.contains("mean summoner_v4_by_name?"),
        "{told}"
    );
    let told = wrong(&django(&json!({"EXPIRATIONS": {"match_v5_match": 1}})));
    assert!(told.contains("in Pyot 3; Pyot 6 has it (\"PYOT\": 6)"), "{told}");
    let told = wrong(&django(&json!({"EXPIRATIONS": {"zzz": 1}})));
    assert!(told.starts_with(".EXPIRATIONS.zzz: is not an endpoint of lol in Pyot 3 (\"*\" stands for all"), "{told}");
    // PY-E5: in no table, though a model uses it
    let told = refused(&json!({"tft": [django(&json!({"EXPIRATIONS": {"third_party_code_v4_code": 1}}))]}));
    assert!(
        told.starts_with("PIPELINES.tft[0].EXPIRATIONS.third_party_code_v4_code: is not an endpoint of tft"),
        "{told}"
    );
    let six = json!({"LOL": {"PYOT": 6, "PIPELINE": [django(&json!({"EXPIRATIONS": {"match_v5_match": 1}}))]}});
    assert_eq!(open(&six).pipelines[0].levels[0].expirations.of("match_v5_match"), Some(Expiry::Seconds(1)));
    for wrong_type in [json!([]), json!(3), json!("3h"), json!(false)] {
        assert!(wrong(&django(&json!({ "EXPIRATIONS": wrong_type }))).starts_with(".EXPIRATIONS: must be an object"));
    }
    let null = store(&django(&json!({"EXPIRATIONS": null}))); // Python's None
    assert_eq!(null.expirations.names().count(), 42);
}

/// PY-E8.
#[test]
fn a_star_and_models_of_one_s_own() {
    let named = json!({"*": "1h", "match_v4_match": -1, "cdragon_item_full": 0});
    let level = store(&django(&json!({ "EXPIRATIONS": named })));
    let of = |name| level.expirations.of(name);
    assert_eq!((of("match_v4_match"), of("cdragon_item_full")), (Some(Expiry::Forever), Some(Expiry::Never)));
    // what the configuration does not name, whether Pyot's table has it or not
    for name in ["summoner_v4_by_name", "cdragon_rune_full", "match_v5_match", "*"] {
        assert_eq!(of(name), Some(Expiry::Seconds(3600)), "{name}");
    }
    assert!(level.expirations.names().all(|name| name != "*"));

    let (pipeline, warnings) = pipeline(
        "Chess",
        &json!([
            django(&json!({"EXPIRATIONS": {"Game": 5, "player": 0}})),
            django(&json!({"EXPIRATIONS": {"*": -1}})),
            django(&json!({})),
        ]),
    );
    let [first, second, third] = pipeline.levels.as_slice() else { panic!("{pipeline:?}") };
    assert_eq!(first.expirations.of("Game"), Some(Expiry::Seconds(5)));
    assert_eq!((first.expirations.of("game"), first.expirations.of("account_v1_by_puuid")), (None, None)); // PY-E5
    assert_eq!(second.expirations.of("anything"), Some(Expiry::Forever));
    assert_eq!((third.expirations.of("x"), third.expirations.names().count()), (None, 0));
    assert_eq!(
        warnings,
        ["PIPELINES.Chess[2].EXPIRATIONS: keeps nothing, so this store is never asked: no endpoint has a time to live"]
    );
}

/// PY-E3, PY-E4.
#[test]
fn times_to_live() {
    let year = 365 * 86_400;
    for (value, expiry) in [
        (json!(0), Expiry::Never),
        (json!(-1), Expiry::Forever),
        (json!("-1"), Expiry::Forever),
        (json!(60), Expiry::Seconds(60)),
        (json!("60"), Expiry::Seconds(60)),
        (json!(" +1_000 "), Expiry::Seconds(1000)),
        (json!("${SECONDS}"), Expiry::Seconds(120)),
        (json!(60.0), Expiry::Seconds(60)),
        (json!("3h"), Expiry::Seconds(10_800)),
        (json!("10m"), Expiry::Seconds(600)),
        (json!("1h30m"), Expiry::Seconds(5400)),
        (json!("365d"), Expiry::Seconds(year)),
        (json!("PT3H"), Expiry::Seconds(10_800)),
        (json!("P1DT1M"), Expiry::Seconds(86_460)),
        (json!("0s"), Expiry::Never),
        (json!(4_000_000_000_000_000_i64), Expiry::Seconds(4_000_000_000_000_000)),
    ] {
        let level = store(&django(&json!({"EXPIRATIONS": {"match_v4_match": value}})));
        assert_eq!(level.expirations.of("match_v4_match"), Some(expiry), "{value}");
    }
    // As Python's int() and timedelta have it, but not without a word.
    for (value, expiry, told) in [
        (json!(0.9), Expiry::Never, "0.9 counts as 0, neither read nor stored, as in Pyot"),
        (json!(-1.5), Expiry::Forever, "-1.5 counts as -1, for ever, as in Pyot"),
        (json!(12.9), Expiry::Seconds(12), "12.9 counts as 12, as in Pyot"),
        (json!(true), Expiry::Seconds(1), "true counts as 1, as in Pyot"),
        (json!("0.5s"), Expiry::Never, "\"0.5s\" counts as 0, neither read nor stored, as in Pyot"),
        (json!("PT1.5S"), Expiry::Seconds(1), "\"PT1.5S\" counts as 1, as in Pyot"),
    ] {
        let (pipeline, warnings) =
            pipeline("LOL", &json!([django(&json!({"EXPIRATIONS": {"match_v4_match": value}}))]));
        assert_eq!(pipeline.levels[0].expirations.of("match_v4_match"), Some(expiry), "{value}");
        assert_eq!(warnings, [format!("PIPELINES.LOL[0].EXPIRATIONS.match_v4_match: {told}")]);
    }
    for (value, reason) in [
        (json!(-2), "is less than -1: -1 is for ever"), // PY-E4
        (json!("-60"), "is less than -1"),
        (json!(-2.5), "is less than -1"),
        (json!(i64::MIN), "is less than -1"),
        (json!(i64::MAX), "is longer than 146 million years; -1 is for ever"),
        (json!(1e300), "is longer than 146 million years"),
        (json!("999999999999999999w"), "is longer than 146 million years"),
        (json!(null), "must be a number of seconds, 0 (neither read nor stored), -1 (for ever) or a duration such as"),
        (json!([60]), "must be a number of seconds"),
        (json!({"hours": 3}), "must be a number of seconds"),
        (json!(""), "must be a number of seconds"),
        (json!("0.9"), "must be a number of seconds"), // int("0.9") is an error in Python
        (json!("-PT1S"), "must be a number of seconds"),
        (json!("3 hours"), "must be a number of seconds"),
        (json!("P1M"), "must be a number of seconds"),
        (json!("9".repeat(100_000)), "must be a number of seconds"),
    ] {
        for name in ["match_v4_match", "*"] {
            let told = wrong(&django(&json!({"EXPIRATIONS": {name: value}})));
            assert!(told.starts_with(".EXPIRATIONS") && told.contains(&format!(": {reason}")), "{told}");
        }
    }
}

/// 2.6: raw keys, pickles.
fn check_own(level: &Level, kind: LevelKind, title: &str) {
    assert_eq!((level.kind, level.title().as_str()), (kind, title)); // PY-L
    let alias = &level.alias;
    assert!(alias.is_of_pyot);
    assert_eq!((&alias.keys.function, &alias.serializer), (&KeyFunction::AsIs, &Serializer::Pickle(4)));
    assert_eq!(alias.keys.make("lolna1x{}{}", None).as_bytes(), b"lolna1x{}{}");
    assert_eq!(alias.ttl, Ttl::Forever);
}

#[cfg(feature = "redis")]
#[test]
fn pyot_s_redis() {
    let redis = |level: &Level| match &level.alias.family {
        Family::Redis(redis) => redis.clone(),
        other => panic!("{other:?}"),
    };
    let level = store(&own("RedisCache", &json!({})));
    check_own(&level, LevelKind::RedisCache, "RedisCache > 127.0.0.1:6379/0");
    let server = redis(&level).server;
    assert_eq!((&server.address, server.database), (&Address::Tcp("127.0.0.1".into(), 6379), 0));

    let level = store(&own(
        "rediscache.RedisCache",
        &json!({"host": "Cache.example", "PORT": "6380", "DB": 7,
        "USERNAME": "u", "PASSWORD": "${PW}", "SOCKET_TIMEOUT": 2.5, "Max_Connections": 9, "expirations": {"*": 60},
        "LARDER": {"MAX_VALUE_BYTES": 1000}}),
    ));
    check_own(&level, LevelKind::RedisCache, "RedisCache > Cache.example:6380/7");
    let settings = redis(&level);
    assert_eq!(settings.server.address, Address::Tcp("Cache.example".into(), 6380));
    assert_eq!((settings.server.database, settings.max_connections), (7, 9));
    assert_eq!(settings.server.password.as_deref(), Some("S3cret"));
    assert_eq!(level.alias.settings.budget, Duration::from_millis(2500));
    assert_eq!(level.alias.settings.limits.bytes, 1000);
    assert!(!format!("{level:?}").contains("S3cret"));

    let level = store(&own("RedisCache", &json!({"UNIX_SOCKET_PATH": "/run/redis.sock", "DB": 2})));
    check_own(&level, LevelKind::RedisCache, "RedisCache > /run/redis.sock/2");
    assert_eq!(redis(&level).server.address, Address::Unix("/run/redis.sock".into()));
    let level = store(&own("RedisCache", &json!({"SSL": true, "HOST": "h"})));
    assert!(cfg!(not(feature = "tls")) || matches!(redis(&level).server.address, Address::Tls(..)));

    for (more, reason) in [
        (json!({"PORT": 70_000}), ".PORT: must be a port (0 to 65535), not 70000"),
        (json!({"DB": -1}), ".DB: must be a database number (0 or greater), not -1"),
        (json!({"HOST": "redis://:S3cret@h"}), ".HOST: must be the name or the address of a host; PORT, DB, USERNAME"),
        (json!({"HOST": null}), ".HOST: must be"),
        (json!({"HOST": ""}), ".HOST: must be"),
        (
            json!({"Host": "h"}),
            ".Host: is neither upper-case nor lower-case, and Pyot raises a TypeError; did you mean HOST?",
        ),
        (json!({"Socket_Timeout": 1, "SOCKET_TIMEOUT": 2}), ".SOCKET_TIMEOUT: is neither upper-case nor lower-case"),
        (json!({"PASWORD": "S3cret"}), ".PASWORD: redis-py has no such option; did you mean password?"),
        (json!({"PASSWORD": ["S3cret"]}), ".PASSWORD: must be a text"),
        (json!({"CONNECTION_CLASS": "x"}), ".CONNECTION_CLASS: must be a Python object"),
        (json!({"UNIX_SOCKET_PATH": "/s", "PORT": 1}), ".PORT: has no meaning with a unix:// address"),
        (json!({"UNIX_SOCKET_PATH": "unix://:S3cret@/s"}), ".UNIX_SOCKET_PATH: must be the path of a socket"),
        (json!({"LARDER": {"TIMEOUT_MS": 0}}), ".LARDER.TIMEOUT_MS: must be a whole number greater than 0"),
        (json!({"ALIAS": "default"}), ".ALIAS: redis-py has no such option"),
    ] {
        let told = wrong(&own("RedisCache", &more));
        assert!(told.starts_with(reason) && !told.contains("S3cret"), "{told}");
    }
    let (pipeline, _) = pipeline("LOL", &json!([own("RedisCache", &json!({"DECODE_RESPONSES": true}))]));
    assert!(
        matches!(&pipeline.levels[0].alias.family, Family::NotBuiltIn { reason } if reason.starts_with("PIPELINES.LOL[0].DECODE_RESPONSES: "))
    );
}

#[cfg(feature = "memory")]
#[test]
fn pyot_s_omnistone() {
    let level = store(&own("Omnistone", &json!({})));
    check_own(&level, LevelKind::Omnistone, "Omnistone");
    assert_eq!((level.alias.culling.max_entries, level.alias.culling.frequency), (10_000, 2));
    let id = |level: &Level| match level.alias.family {
        Family::Private { id } => id,
        ref other => panic!("{other:?}"),
    };
    for name in ["CULL_FRECUENCY", "cull_frecuency", "CULL_FREQUENCY", "cull_frequency"] {
        let other = store(&own("omnistone.Omnistone", &json!({"MAX_ENTRIES": "5", name: 3})));
        assert_eq!((other.alias.culling.max_entries, other.alias.culling.frequency), (5, 3));
        assert_ne!(id(&level), id(&other));
    }
    for (more, reason) in [
        (
            json!({"CULL_FRECUENCY": 2, "CULL_FREQUENCY": 2}),
            ".CULL_FREQUENCY: stands twice: PIPELINES.LOL[0].CULL_FRECUENCY",
        ),
        (json!({"CULL_FRECUENCY": 0}), ".CULL_FRECUENCY: must be a whole number greater than 0, not 0"),
        (json!({"MAX_ENTRIES": 1.5}), ".MAX_ENTRIES: must be a whole number greater than 0, not 1.5"),
        (
            json!({"max_entrys": 1}),
            ".max_entrys: pyot.stores.Omnistone has no such argument; did you mean MAX_ENTRIES?",
        ),
        (json!({"ALIAS": "default"}), ".ALIAS: pyot.stores.Omnistone has no such argument; there are BACKEND, "),
    ] {
        let told = wrong(&own("Omnistone", &more));
        assert!(told.starts_with(reason), "{told}");
    }
}

#[cfg(feature = "diskcache")]
#[test]
fn pyot_s_diskcache() {
    let disk = |level: &Level| match &level.alias.family {
        Family::DiskCache(disk) => disk.clone(),
        other => panic!("{other:?}"),
    };
    let level = store(&own("DiskCache", &json!({"DIRECTORY": "/var/cache/lol"})));
    check_own(&level, LevelKind::DiskCache, "DiskCache > lol");
    let settings = disk(&level);
    assert_eq!((settings.directory.as_path(), settings.shards), (Path::new("/var/cache/lol"), 8));
    assert!(settings.settings.is_empty());

    let level = store(&own(
        "diskcache.DiskCache",
        &json!({"directory": "/d", "SHARDS": 4, "TIMEOUT": 0.5,
        "SIZE_LIMIT": 1e9, "Cull_Limit": 0, "disk_pickle_protocol": 2}),
    ));
    check_own(&level, LevelKind::DiskCache, "DiskCache > d"); // the protocol is that of diskcache's own pickles
    assert_eq!(disk(&level).shards, 4);
    let names: Vec<String> = disk(&level).settings.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["size_limit", "cull_limit", "disk_pickle_protocol"]);

    let (pipeline, warnings) = pipeline("LOL", &json!([own("DiskCache", &json!({"DIRECTORY": "diskcache"}))]));
    assert_eq!(pipeline.levels[0].title(), "DiskCache > diskcache");
    assert!(warnings[0].starts_with("PIPELINES.LOL[0].DIRECTORY: is not absolute"), "{warnings:?}");
    for (more, reason) in [
        (json!({}), ".DIRECTORY: is missing"),
        (json!({"DIRECTORY": 1}), ".DIRECTORY: must be a text, not 1"),
        (json!({"DIRECTORY": "redis://:S3cret@h"}), ".DIRECTORY: is a URL; this backend takes a directory"),
        (json!({"DIRECTORY": "/d", "SHARDS": 0}), ".SHARDS: must be a whole number from 1 to 1000"),
        (json!({"DIRECTORY": "/d", "TIMEOUT": "x"}), ".TIMEOUT: must be a number of seconds"),
        (json!({"DIRECTORY": "/d", "EVICTION_POLICY": "x"}), ".EVICTION_POLICY: must be one of none, "),
        (json!({"DIRECTORY": "/d", "disk_mode": 1}), ".disk_mode: diskcache.Disk has no such setting"),
        (json!({"DIRECTORY": "/d", "Shards": 1}), ".Shards: is neither upper-case nor lower-case"),
    ] {
        let told = wrong(&own("DiskCache", &more));
        assert!(told.starts_with(reason), "{told}");
    }
    let unknown = own("DiskCache", &json!({"DIRECTORY": "/d", "SIZE_LIMITS": 1}));
    let (_, warnings) = self::pipeline("LOL", &json!([unknown]));
    assert!(
        warnings[0].starts_with("PIPELINES.LOL[0].SIZE_LIMITS: is only stored") && warnings[0].ends_with("size_limit?"),
        "{warnings:?}"
    );
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
