//! The settings of Django's DatabaseCache (contract: DB-1, DB-2, DB-5, and the drivers' options).
#![cfg(all(feature = "sqlite-system", feature = "postgres", feature = "mysql"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::path::PathBuf;
use std::time::Duration;

use larder::config::{
    Config, Database, Engine, Family, MySql, Postgres, Reach, Sqlite, SqliteFile, SslMode, Times, read,
};
use larder::error::Kind;
use serde_json::{Value, json};

const BACKEND: &str = "django.core.cache.backends.db.DatabaseCache";
const SECRET: &str = "hunter2 of the database";

fn document(database: &Value) -> Value {
    json!({
        "CACHES": {"default": {"BACKEND": BACKEND, "LOCATION": "cache"}},
        "DATABASES": {"default": database},
    })
}

fn open(document: &Value) -> Config {
    read(document.to_string().as_bytes(), &|_| None).unwrap_or_else(|error| panic!("{document}: {error}"))
}

fn database_of(config: &Config) -> Database {
    match &config.aliases[0].family {
        Family::Database(database) => database.clone(),
        family => panic!("{family:?}"),
    }
}

fn database(document: &Value) -> Database {
    database_of(&open(document))
}

fn refused(document: &Value) -> String {
    let error = read(document.to_string().as_bytes(), &|_| None).expect_err(&document.to_string());
    assert_eq!(error.kind(), Kind::Config);
    assert!(!error.reason().contains(SECRET), "{error}");
    error.reason().to_owned()
}

fn not_built_in(document: &Value) -> String {
    match &open(document).aliases[0].family {
        Family::NotBuiltIn { reason } => reason.clone(),
        family => panic!("{document}: {family:?}"),
    }
}

/// A database of an engine with some OPTIONS.
fn with(engine: &str, options: &Value) -> Value {
    document(&json!({
        "ENGINE": format!("django.db.backends.{engine}"), "NAME": "/data/shop", "USER": "olaf", "PASSWORD": SECRET,
        "HOST": "db.example", "OPTIONS": options,
    }))
}

fn sqlite(options: &Value) -> Sqlite {
    match database(&with("sqlite3", options)).engine {
        Engine::Sqlite(sqlite) => sqlite,
        engine => panic!("{engine:?}"),
    }
}

fn postgres(document: &Value) -> Postgres {
    match database(document).engine {
        Engine::Postgres(postgres) => postgres,
        engine => panic!("{engine:?}"),
    }
}

fn mysql(document: &Value) -> MySql {
    match database(document).engine {
        Engine::MySql(mysql) => mysql,
        engine => panic!("{engine:?}"),
    }
}

#[test]
fn the_alias_names_a_table_and_finds_its_database() {
    let both = |larder: Value| {
        json!({
            "CACHES": {"default": {"BACKEND": BACKEND, "LOCATION": "my cache", "LARDER": larder}},
            "DATABASES": {
                "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/data/a.sqlite3"},
                "caches": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/data/b.sqlite3"},
            },
        })
    };
    let name = |document: &Value| match database(document).engine {
        Engine::Sqlite(sqlite) => sqlite.file,
        engine => panic!("{engine:?}"),
    };
    assert_eq!(database(&both(json!({}))).table, "my cache"); // DB-1
    assert_eq!(name(&both(json!({}))), SqliteFile::Path(PathBuf::from("/data/a.sqlite3"))); // DB-2
    assert_eq!(name(&both(json!({"DATABASE": "caches"}))), SqliteFile::Path(PathBuf::from("/data/b.sqlite3")));
    let reason = refused(&both(json!({"DATABASE": "cache"})));
    assert_eq!(reason, "CACHES.default.LARDER.DATABASE: no such database in DATABASES; did you mean caches?");
    assert!(refused(&both(json!({"DATABASE": 3}))).starts_with("CACHES.default.LARDER.DATABASE: must be a text"));
}

#[test]
fn what_is_missing_is_told() {
    let alone = json!({"CACHES": {"default": {"BACKEND": BACKEND, "LOCATION": "cache"}}});
    assert!(refused(&alone).contains("there is no DATABASES"));
    let other = json!({
        "CACHES": {"default": {"BACKEND": BACKEND, "LOCATION": "cache"}},
        "DATABASES": {"other": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/x"}},
    });
    assert!(refused(&other).starts_with("DATABASES.default: is missing"));
    for (location, database) in [
        (json!(""), json!({"ENGINE": "django.db.backends.sqlite3", "NAME": "/x"})),
        (json!(3), json!({"ENGINE": "django.db.backends.sqlite3", "NAME": "/x"})),
        (json!("a\u{0}b"), json!({"ENGINE": "django.db.backends.sqlite3", "NAME": "/x"})),
        (json!("postgres://olaf:hunter2 of the database@h/d"), json!({"ENGINE": "django.db.backends.sqlite3"})),
        (json!("cache"), json!({"NAME": "/x"})),
        (json!("cache"), json!({"ENGINE": "django.db.backends.sqlite3"})),
        (json!("cache"), json!({"ENGINE": "django.db.backends.postgresql", "NAME": ""})),
        (json!("cache"), json!({"ENGINE": "django.db.backends.mysql"})),
        (json!("cache"), json!({"ENGINE": "django.db.backends.sqlite3", "NAME": "/x", "OPTIONS": null})),
        (json!("cache"), json!({"ENGINE": "django.db.backends.sqlite3", "NAME": ["/x"]})),
        (json!("cache"), json!("sqlite:///x")),
    ] {
        let mut document = document(&database);
        document["CACHES"]["default"]["LOCATION"] = location;
        refused(&document);
    }
}

#[test]
fn engines_that_larder_has_not_are_refused_by_name() {
    let engine = |name: &str| document(&json!({"ENGINE": name, "NAME": "x"}));
    assert!(not_built_in(&engine("django.db.backends.oracle")).contains("Oracle"));
    let foreign = not_built_in(&engine("mssql.pyodbc.driver"));
    assert!(foreign.starts_with("DATABASES.default.ENGINE: ") && foreign.contains("mssql.pyodbc.driver"), "{foreign}");
    assert!(refused(&engine("django.db.backends.sqlite")).contains("did you mean django.db.backends.sqlite3?"));
    assert!(refused(&engine("postgresql")).contains("is not an engine of Django"));
    // GeoDjango's are the same databases
    for name in ["postgis", "spatialite", "mysql"] {
        database(&engine(&format!("django.contrib.gis.db.backends.{name}")));
    }
    refused(&engine("django.db.backends.dummy"));
}

#[test]
fn zones_are_django_s() {
    let times = |siblings: Value, zone: Value| -> Times {
        let mut whole = document(&json!({
            "ENGINE": "django.db.backends.sqlite3", "NAME": "/x", "TIME_ZONE": zone,
        }));
        whole.as_object_mut().unwrap().extend(siblings.as_object().unwrap().clone());
        database(&whole).times
    };
    let of = |times: Times| (times.use_tz, times.zone.map(|named| named.value));
    let text = |zone: &str| Some(zone.to_owned());
    assert_eq!(of(times(json!({}), json!(null))), (true, text("UTC"))); // DB-5: the default since Django 5.0
    assert_eq!(of(times(json!({"TIME_ZONE": "Asia/Seoul"}), json!(null))), (true, text("UTC")));
    assert_eq!(of(times(json!({}), json!("Asia/Seoul"))), (true, text("Asia/Seoul")));
    // django.conf.global_settings.TIME_ZONE
    assert_eq!(of(times(json!({"USE_TZ": false}), json!(null))), (false, text("America/Chicago")));
    assert_eq!(
        of(times(json!({"USE_TZ": false, "TIME_ZONE": "Asia/Seoul"}), json!(null))),
        (false, text("Asia/Seoul"))
    );
    assert_eq!(of(times(json!({"USE_TZ": false, "TIME_ZONE": null}), json!(null))), (false, None));
    let mut wrong = document(&json!({"ENGINE": "django.db.backends.sqlite3", "NAME": "/x", "TIME_ZONE": "Asia/Seoul"}));
    wrong["USE_TZ"] = json!(false);
    assert!(refused(&wrong).starts_with("DATABASES.default.TIME_ZONE: cannot be set where USE_TZ is false"));
    wrong["USE_TZ"] = json!("yes");
    assert!(refused(&wrong).starts_with("USE_TZ: must be true or false"));
}

#[test]
fn sqlite_s_names() {
    let file =
        |name: &str| match database(&document(&json!({"ENGINE": "django.db.backends.sqlite3", "NAME": name}))).engine {
            Engine::Sqlite(sqlite) => sqlite.file,
            engine => panic!("{engine:?}"),
        };
    assert_eq!(file("/data/db.sqlite3"), SqliteFile::Path("/data/db.sqlite3".into()));
    assert_eq!(file("file:/data/db?mode=ro"), SqliteFile::Uri("file:/data/db?mode=ro".into()));
    assert_eq!(file("file:/data/db?mode=rwc&cache=private"), SqliteFile::Uri("file:/data/db?cache=private".into()));
    assert_eq!(file("file:/data/db?mode=rwc"), SqliteFile::Uri("file:/data/db".into()));
    let relative = open(&document(&json!({"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"})));
    assert!(relative.warnings.iter().any(|warning| warning.starts_with("DATABASES.default.NAME: is not absolute")));
    assert_eq!(format!("{:?}", database_of(&relative).engine).matches("db.sqlite3").count(), 1);
    for memory in [":memory:", "file::memory:", "file:x?mode=memory&cache=shared"] {
        let reason = refused(&document(&json!({"ENGINE": "django.db.backends.sqlite3", "NAME": memory})));
        assert!(reason.contains("locmem"), "{reason}");
    }
}

#[test]
fn sqlite_s_options() {
    assert_eq!(sqlite(&json!({})).timeout, Duration::from_secs(5)); // Python's default
    assert_eq!(sqlite(&json!({"timeout": 0.25})).timeout, Duration::from_millis(250));
    for options in [
        json!({"transaction_mode": "immediate"}),
        json!({"transaction_mode": null}),
        json!({"check_same_thread": true, "detect_types": 3, "cached_statements": 10, "isolation_level": null}),
    ] {
        assert!(sqlite(&options).init.is_empty());
    }
    let init = "PRAGMA journal_mode=WAL; pragma synchronous = NORMAL;PRAGMA mmap_size(1000);PRAGMA busy_timeout=5; \
                DROP TABLE x; PRAGMA main.cache_size=-100; PRAGMA user_version=3";
    let config = open(&with("sqlite3", &json!({"init_command": init})));
    let Engine::Sqlite(kept) = database_of(&config).engine else { panic!("not SQLite") };
    assert_eq!(kept.init, ["pragma synchronous = NORMAL", "PRAGMA main.cache_size=-100"]);
    let warned: Vec<_> = config.warnings.iter().filter(|warning| warning.contains("init_command")).collect();
    assert_eq!(warned.len(), 4, "{warned:?}"); // the journal mode, the mapping, the table, and the version
    for (options, what) in [
        (json!({"timeouts": 3}), "did you mean timeout?"),
        (json!({"charset": "utf8"}), "sqlite3.connect has no such option"),
        (json!({"timeout": "soon"}), "must be a number of seconds"),
        (json!({"timeout": -1}), "must be a number of seconds"),
        (json!({"transaction_mode": "SOON"}), "must be \"DEFERRED\""),
    ] {
        assert!(refused(&with("sqlite3", &options)).contains(what), "{options}");
    }
}

#[test]
fn waiting_longer_for_locks_makes_calls_longer() {
    let budget = |options: Value| open(&with("sqlite3", &options)).aliases[0].settings.budget;
    assert_eq!(budget(json!({})), Duration::from_secs(5));
    assert_eq!(budget(json!({"timeout": 20})), Duration::from_secs(20));
    assert_eq!(budget(json!({"timeout": 0.1})), Duration::from_secs(5));
    let mut asked = with("sqlite3", &json!({"timeout": 20}));
    asked["CACHES"]["default"]["LARDER"] = json!({"TIMEOUT_MS": 300});
    assert_eq!(open(&asked).aliases[0].settings.budget, Duration::from_millis(300));
}

#[test]
fn postgresql_s_places() {
    let login = |extra: Value| {
        let mut database = json!({"ENGINE": "django.db.backends.postgresql", "NAME": "shop"});
        database.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        postgres(&document(&database)).login
    };
    assert_eq!(login(json!({})).reach, Reach::Local(5432));
    assert_eq!(login(json!({"HOST": "localhost"})).reach, Reach::Tcp("localhost".into(), 5432));
    assert_eq!(login(json!({"HOST": "db", "PORT": "6432"})).reach, Reach::Tcp("db".into(), 6432));
    assert_eq!(login(json!({"HOST": "/run/pg", "PORT": 5433})).reach, Reach::Socket("/run/pg".into(), 5433));
    assert_eq!(login(json!({"NAME": null})).database.as_deref(), Some("postgres"));
    let whole = login(json!({"USER": "olaf", "PASSWORD": SECRET}));
    assert_eq!((whole.user.as_deref(), whole.password.as_deref()), (Some("olaf"), Some(SECRET)));
    for (name, value) in [("PORT", json!(0)), ("PORT", json!("x")), ("HOST", json!("a,b")), ("USER", json!(3))] {
        let mut database = json!({"ENGINE": "django.db.backends.postgresql", "NAME": "shop"});
        database[name] = value;
        assert!(refused(&document(&database)).starts_with(&format!("DATABASES.default.{name}: ")));
    }
}

#[test]
fn postgresql_s_options() {
    let plain = postgres(&with("postgresql", &json!({})));
    assert_eq!((plain.ssl, plain.prepares, plain.isolation), (SslMode::Prefer, true, None));
    let full = postgres(&with(
        "postgresql",
        &json!({
            "sslmode": "verify-full", "sslrootcert": "/ca.pem", "sslcert": "/c.pem", "sslkey": "/k.pem",
            "connect_timeout": 3, "options": "-c search_path=a,b\\ c --statement-timeout=100 -cwork_mem=4MB",
            "application_name": "shop", "assume_role": "cache", "isolation_level": 4, "prepare_threshold": null,
            "keepalives": 1, "server_side_binding": true,
        }),
    ));
    assert_eq!(full.ssl, SslMode::VerifyFull);
    assert_eq!(full.root_certificate.unwrap().value, PathBuf::from("/ca.pem"));
    assert_eq!(full.login.connect, Some(Duration::from_secs(3)));
    let settings: Vec<_> = full.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(settings, [("search_path", "a,b c"), ("statement_timeout", "100"), ("work_mem", "4MB")]);
    assert_eq!((full.role.as_deref(), full.isolation, full.prepares), (Some("cache"), Some("SERIALIZABLE"), false));
    assert_eq!(database(&with("postgresql", &json!({"pool": {"max_size": 3}}))).max_connections, 3);
    assert_eq!(database(&with("postgresql", &json!({"pool": true}))).max_connections, 16);
    let reason = not_built_in(&with("postgresql", &json!({"service": "shop"})));
    assert!(reason.starts_with("DATABASES.default.OPTIONS.service: "), "{reason}");
    for options in [
        json!({"sslmodes": "require"}),
        json!({"sslmode": "on"}),
        json!({"options": "search_path=a"}),
        json!({"options": "-c search_path"}),
        json!({"isolation_level": 9}),
        json!({"password": SECRET}),
        json!({"charset": "utf8"}),
        json!({"pool": "yes"}),
    ] {
        refused(&with("postgresql", &options));
    }
}

#[test]
fn mysql_s_places() {
    let login = |extra: Value| {
        let mut database = json!({"ENGINE": "django.db.backends.mysql", "NAME": "shop"});
        database.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        mysql(&document(&database)).login
    };
    assert_eq!(login(json!({})).reach, Reach::Local(3306));
    assert_eq!(login(json!({"HOST": "localhost", "PORT": 3307})).reach, Reach::Local(3307)); // as libmysql
    assert_eq!(login(json!({"HOST": "127.0.0.1"})).reach, Reach::Tcp("127.0.0.1".into(), 3306));
    assert_eq!(login(json!({"HOST": "/run/my.sock"})).reach, Reach::Socket("/run/my.sock".into(), 3306));
    let reach = login(json!({"HOST": "db", "OPTIONS": {"unix_socket": "/run/my.sock"}})).reach;
    assert_eq!(reach, Reach::Socket("/run/my.sock".into(), 0));
}

#[test]
fn mysql_s_options() {
    let plain = mysql(&with("mysql", &json!({})));
    assert_eq!((plain.charset.as_str(), plain.isolation), ("utf8mb4", Some("READ COMMITTED"))); // Django's defaults
    assert_eq!(plain.ssl, SslMode::Prefer);
    let full = mysql(&with(
        "mysql",
        &json!({
            "charset": "utf8mb3", "collation": "utf8mb3_bin", "sql_mode": "STRICT_ALL_TABLES", "init_command": "SET x=1",
            "isolation_level": null, "ssl": {"ca": "/ca.pem", "cert": "/c.pem", "key": "/k.pem"}, "connect_timeout": "3",
            "read_timeout": 8, "conv": {}, "autocommit": true,
        }),
    ));
    assert_eq!((full.charset.as_str(), full.collation.as_deref()), ("utf8mb3", Some("utf8mb3_bin")));
    assert_eq!((full.sql_mode.as_deref(), full.init.as_deref()), (Some("STRICT_ALL_TABLES"), Some("SET x=1")));
    assert_eq!((full.isolation, full.ssl), (None, SslMode::VerifyCa));
    assert_eq!(full.login.connect, Some(Duration::from_secs(3)));
    assert_eq!(mysql(&with("mysql", &json!({"ssl_mode": "REQUIRED"}))).ssl, SslMode::Require);
    assert_eq!(mysql(&with("mysql", &json!({"ssl": true}))).ssl, SslMode::Require);
    assert_eq!(open(&with("mysql", &json!({"read_timeout": 8}))).aliases[0].settings.budget, Duration::from_secs(8));
    let reason = not_built_in(&with("mysql", &json!({"read_default_file": "/etc/my.cnf"})));
    assert!(reason.starts_with("DATABASES.default.OPTIONS.read_default_file: "), "{reason}");
    for options in [
        json!({"charsett": "utf8"}),
        json!({"isolation_level": "quick"}),
        json!({"ssl": {"cafile": "/x"}}),
        json!({"ssl_mode": "on"}),
        json!({"passwd": SECRET}),
        json!({"sslmode": "require"}),
    ] {
        refused(&with("mysql", &options));
    }
}

#[test]
fn passwords_are_never_shown() {
    for engine in ["sqlite3", "postgresql", "mysql"] {
        let config = open(&with(engine, &json!({})));
        let shown = format!("{config:?} {:?}", database_of(&config));
        assert!(!shown.contains(SECRET), "{shown}");
        for warning in &config.warnings {
            assert!(!warning.contains(SECRET), "{warning}");
        }
    }
    for (engine, name) in [("postgresql", "HOST"), ("postgresql", "NAME"), ("mysql", "HOST"), ("mysql", "NAME")] {
        let mut document = with(engine, &json!({}));
        document["DATABASES"]["default"][name] = json!(format!("{engine}://olaf:{SECRET}@db/shop"));
        let reason = refused(&document);
        assert!(
            reason.starts_with(&format!("DATABASES.default.{name}: is a URL")) && !reason.contains(SECRET),
            "{reason}"
        );
    }
    for password in [json!([SECRET]), json!({"x": SECRET})] {
        let database = json!({"ENGINE": "django.db.backends.mysql", "NAME": "x", "PASSWORD": password});
        assert!(refused(&document(&database)).starts_with("DATABASES.default.PASSWORD: must be a text"));
    }
}

#[test]
fn an_alias_is_told_what_has_no_effect() {
    let mut document = with("sqlite3", &json!({}));
    document["CACHES"]["default"]["OPTIONS"] = json!({"MAX_ENTRIES": 7, "CULL_FREQUENCY": 2, "max_entries": 3});
    document["CACHES"]["default"]["LARDER"] = json!({"BREAKER": false, "MAX_CONNECTIONS": 2});
    document["DATABASES"]["default"]["CONN_MAX_AGE"] = json!(60);
    document["DATABASES"]["default"]["NAMES"] = json!("x");
    let config = open(&document);
    let alias = &config.aliases[0];
    assert_eq!((alias.culling.max_entries, alias.culling.frequency), (7, 2)); // P-2, P-3
    assert_eq!((database_of(&config).max_connections, alias.protocol()), (2, 5)); // PK-1
    let warned = |place: &str| config.warnings.iter().any(|warning| warning.starts_with(place));
    assert!(warned("CACHES.default.OPTIONS.max_entries: "), "{:?}", config.warnings); // P-10
    assert!(warned("CACHES.default.LARDER.BREAKER: "), "{:?}", config.warnings);
    assert!(warned("DATABASES.default.NAMES: "), "{:?}", config.warnings);
    assert_eq!(config.warnings.len(), 3, "{:?}", config.warnings);

    let mut top = with("sqlite3", &json!({}));
    top["CACHES"]["default"]["MAX_ENTRIES"] = json!(9);
    assert_eq!(open(&top).aliases[0].culling.max_entries, 9); // P-8
    let elsewhere = json!({"CACHES": {"default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LARDER": {"DATABASE": "default"},
    }}});
    let config = open(&elsewhere);
    assert!(config.warnings[0].starts_with("CACHES.default.LARDER.DATABASE: has no effect"), "{:?}", config.warnings);
}
