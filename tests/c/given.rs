//! Aliases that a test gives to a C program, with the servers that they are on.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::common::mariadb::{self, MariaDbServer};
use crate::common::memcached::{MemcachedServer, locations};
use crate::common::postgres::{self, PostgresServer};
use crate::driver::folder_of_its_own;

const PYMEMCACHE: &str = "django.core.cache.backends.memcached.PyMemcacheCache";
const PYLIBMC: &str = "django.core.cache.backends.memcached.PyLibMCCache";
const DATABASE: &str = "django.core.cache.backends.db.DatabaseCache";

/// A configuration; what it names ends with it.
pub struct Given {
    caches: Map<String, Value>,
    databases: Value,
    pub memcached: Vec<MemcachedServer>,
    _postgres: Option<PostgresServer>,
    _mariadb: Option<MariaDbServer>,
    _folder: Option<Folder>,
}

impl Given {
    /// These aliases, whose servers somebody else has started.
    pub fn new(caches: &Value) -> Self {
        let mut caches = caches.as_object().unwrap().clone();
        for entry in caches.values_mut() {
            if entry.get("LARDER").is_none() {
                entry["LARDER"] = json!({});
            }
            let larder = entry["LARDER"].as_object_mut().unwrap();
            larder.entry("TIMEOUT_MS").or_insert(60_000.into());
        }
        let (databases, memcached) = (json!({}), Vec::new());
        Self { caches, databases, memcached, _postgres: None, _mariadb: None, _folder: None }
    }

    /// Both clients, on one server and on three; they take values larger than 1 MiB.
    pub fn memcached() -> Self {
        let memcached = MemcachedServer::several(3, &["-I", "4m"]);
        let locations = locations(&memcached);
        let caches = json!({
            "pymemcache": {"BACKEND": PYMEMCACHE, "LOCATION": locations[0]},
            "pymemcache_of_3": {"BACKEND": PYMEMCACHE, "LOCATION": locations},
            "pylibmc": {"BACKEND": PYLIBMC, "LOCATION": locations[0]},
            "pylibmc_of_3": {"BACKEND": PYLIBMC, "LOCATION": locations},
        });
        Self { memcached, ..Self::new(&caches) }
    }

    /// Both clients on one server, which the test ends and stops; it gets its keys back soon.
    pub fn memcached_in_trouble() -> Self {
        let memcached = vec![MemcachedServer::start()];
        let (location, larder) = (memcached[0].location(), json!({"TIMEOUT_MS": 2000}));
        let caches = json!({
            "pylibmc": {"BACKEND": PYLIBMC, "LOCATION": location, "KEY_PREFIX": "l", "LARDER": larder},
            "pymemcache": {
                "BACKEND": PYMEMCACHE, "LOCATION": location, "LARDER": larder,
                "OPTIONS": {"retry_timeout": 0.01, "dead_timeout": 0.05},
            },
        });
        Self { memcached, ..Self::new(&caches) }
    }

    /// Tables of PostgreSQL and of MariaDB.
    pub fn databases() -> Self {
        let (postgres, mariadb) = (PostgresServer::start(), MariaDbServer::start());
        let caches = json!({
            "postgresql": {"BACKEND": DATABASE, "LOCATION": "the cache", "LARDER": {"DATABASE": "postgresql"}},
            "mariadb": {"BACKEND": DATABASE, "LOCATION": "the cache", "LARDER": {"DATABASE": "mariadb"}},
        });
        let databases = json!({
            "postgresql": {
                "ENGINE": "django.db.backends.postgresql", "NAME": "shop", "HOST": "127.0.0.1",
                "PORT": postgres.port(), "USER": postgres::USER, "PASSWORD": postgres::PASSWORD,
            },
            "mariadb": {
                "ENGINE": "django.db.backends.mysql", "NAME": "shop", "HOST": "127.0.0.1",
                "PORT": mariadb.port(), "USER": mariadb::USER, "PASSWORD": mariadb::PASSWORD,
            },
        });
        Self { databases, _postgres: Some(postgres), _mariadb: Some(mariadb), ..Self::new(&caches) }
    }

    /// A table of SQLite, and diskcache.
    pub fn local() -> Self {
        let folder = folder_of_its_own("given");
        let caches = json!({
            "sqlite": {"BACKEND": DATABASE, "LOCATION": "the cache", "LARDER": {"DATABASE": "sqlite"}},
            "diskcache": {"BACKEND": "diskcache.DjangoCache", "LOCATION": folder.join("disk")},
        });
        let databases =
            json!({"sqlite": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder.join("cache.sqlite3")}});
        Self { databases, _folder: Some(Folder(folder)), ..Self::new(&caches) }
    }

    /// What tells a program of them.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        let names: Vec<_> = self.caches.keys().map(String::as_str).collect();
        let config = json!({"CACHES": self.caches, "DATABASES": self.databases, "USE_TZ": true, "TIME_ZONE": "UTC"});
        [("LARDER_TEST_ALIASES", names.join(" ")), ("LARDER_TEST_CONFIG", config.to_string())]
    }
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
