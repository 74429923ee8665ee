//! Pyot's own stores: how they name their keys, and how they store.

use super::*;

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
