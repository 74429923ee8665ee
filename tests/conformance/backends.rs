//! The backends that the scenarios run on, and a place of its own for each run.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::common::golden;
use super::common::redis::RedisServer;
use super::scenario::Scenario;

/// A backend, by its name in the golden data. A new backend is one more line in [`BACKENDS`].
#[derive(Debug)]
pub struct Backend {
    /// Its name in the golden data.
    pub name: &'static str,
    /// What CACHES calls it.
    pub class: &'static str,
    /// Where its data is.
    pub at: At,
    /// What Python's `clear` answers, where larder only says that it is done.
    pub clear_answers_true: bool,
    /// Whether Python's `delete_many` answers a count.
    pub delete_many_counts: bool,
}

/// Where a backend's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Nowhere,
    Name,
    Directory,
    Redis,
}

/// Every backend of this library.
pub const BACKENDS: [Backend; 5] = [
    Backend::plain("dummy", "django.core.cache.backends.dummy.DummyCache", At::Nowhere),
    Backend::plain("locmem", "django.core.cache.backends.locmem.LocMemCache", At::Name),
    Backend::plain("file", "django.core.cache.backends.filebased.FileBasedCache", At::Directory),
    Backend {
        clear_answers_true: true,
        ..Backend::plain("redis", "django.core.cache.backends.redis.RedisCache", At::Redis)
    },
    Backend { delete_many_counts: true, ..Backend::plain("django_redis", "django_redis.cache.RedisCache", At::Redis) },
];

impl Backend {
    const fn plain(name: &'static str, class: &'static str, at: At) -> Self {
        Self { name, class, at, clear_answers_true: false, delete_many_counts: false }
    }
}

/// Databases of one server.
const DATABASES: usize = 16;

/// Servers and folders for all runs; gone when dropped.
pub struct Places {
    servers: Vec<RedisServer>,
    folder: PathBuf,
    scenarios: usize,
}

impl Places {
    /// As many places as the scenarios need.
    pub fn new(scenarios: &[Scenario]) -> Self {
        let runs = scenarios.len() * BACKENDS.iter().filter(|backend| backend.at == At::Redis).count();
        let servers = (0..runs.div_ceil(DATABASES)).map(|_| RedisServer::start()).collect();
        let folder = std::env::temp_dir().join(format!("larder-conformance-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        Self { servers, folder, scenarios: scenarios.len() }
    }

    /// A configuration with the one alias `default`, over an empty cache.
    pub fn config(&self, backend: &Backend, number: usize, scenario: &Scenario) -> String {
        let mut entry = Map::new();
        entry.insert("BACKEND".into(), backend.class.into());
        match backend.at {
            At::Nowhere => {}
            At::Name => {
                // The table of an earlier attempt may still be there.
                static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
                let name = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                entry.insert("LOCATION".into(), format!("scenario {number}, {name}").into());
            }
            At::Directory => {
                let directory = self.folder.join(number.to_string());
                empty(&directory);
                entry.insert("LOCATION".into(), directory.to_str().unwrap().into());
            }
            At::Redis => {
                let place = BACKENDS.iter().filter(|one| one.at == At::Redis).position(|one| one.name == backend.name);
                let place = place.unwrap() * self.scenarios + number;
                let (server, database) = (&self.servers[place / DATABASES], u32::try_from(place % DATABASES).unwrap());
                server.command(database, &[b"FLUSHDB"]);
                entry.insert("LOCATION".into(), server.url(database).into());
            }
        }
        entry.extend(scenario.config.clone());
        let caches = json!({"CACHES": {"default": entry}});
        golden::write(&caches)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn empty(directory: &Path) {
    if directory.exists() {
        std::fs::remove_dir_all(directory).unwrap();
    }
}

/// The alias that a run's configuration has.
pub const ALIAS: &str = "default";

/// A configuration value as the golden data has it.
pub fn setting(config: &Value) -> Map<String, Value> {
    golden::object(config).clone()
}
