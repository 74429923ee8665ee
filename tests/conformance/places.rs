//! Servers and folders, and a place of its own for each run of a scenario.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::backends::{At, BACKENDS, Backend, Engine};
use super::common::mariadb::{self, MariaDbServer};
use super::common::memcached::{MemcachedServer, locations};
use super::common::postgres::{self, PostgresServer};
use super::common::python::Partner;
use super::common::redis::{RedisServer, free_port};
use super::common::sentinels::Service;
use super::common::{golden, golden_path, valkey};
use super::scenario::Scenario;

/// Databases of one Redis server.
const DATABASES: usize = 16;

/// CACHE_HERD_TIMEOUT in seconds: so long that HerdClient hardly ever asks for a value anew, which it does by chance
/// (DR-42).
const HERD_TIMEOUT: u32 = 10_000_000;

/// Threads of the Python side.
const PYTHON_THREADS: usize = 20;

/// Servers and folders for all runs; gone when dropped.
pub struct Places {
    redis: Vec<RedisServer>,
    /// For the other clients of django-redis, a database for each run and side.
    shards: RedisServer,
    herd: RedisServer,
    service: Service,
    valkey: RedisServer,
    memcached: Vec<MemcachedServer>,
    /// For scenarios that want servers of their own.
    more: Mutex<Vec<MemcachedServer>>,
    postgres: PostgresServer,
    mariadb: MariaDbServer,
    folder: PathBuf,
    partner: Mutex<Partner>,
    scenarios: usize,
}

impl Places {
    /// As many places as the scenarios need.
    pub fn new(scenarios: &[Scenario]) -> Self {
        let runs = scenarios.len() * BACKENDS.iter().filter(|backend| backend.at == At::Redis).count();
        let folder = std::env::temp_dir().join(format!("larder-conformance-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let with_databases = ["--databases", "1000"];
        let redis = || RedisServer::start_with(Path::new("redis-server"), free_port(), None, &with_databases);
        let places = Self {
            redis: (0..runs.div_ceil(DATABASES)).map(|_| RedisServer::start()).collect(),
            shards: redis(),
            herd: redis(),
            // without replicas, which are a moment behind: SentinelClient reads the primary then (DR-35)
            service: Service::start("mymaster", 0, 1, None),
            valkey: valkey::start_with(&with_databases),
            memcached: MemcachedServer::several(3, &[]),
            more: Mutex::new(Vec::new()),
            postgres: PostgresServer::start(),
            mariadb: MariaDbServer::start(),
            folder,
            partner: Mutex::new(Partner::start("conformance/twin.py")),
            scenarios: scenarios.len(),
        };
        places.set_python_up(scenarios);
        places
    }

    /// Python makes all tables, its own and ours: ours are then what Django makes.
    fn set_python_up(&self, scenarios: &[Scenario]) {
        let (mut databases, mut aliases, mut tables) = (Map::new(), Map::new(), Vec::new());
        databases.insert("default".into(), self.database(Engine::Sqlite, scenarios.len()));
        databases.insert("postgresql".into(), self.database(Engine::PostgreSql, 0));
        databases.insert("mariadb".into(), self.database(Engine::MariaDb, 0));
        for (number, scenario) in scenarios.iter().enumerate() {
            databases.insert(format!("sqlite{number}"), self.database(Engine::Sqlite, number));
            for backend in &BACKENDS {
                if let At::Database(engine) = backend.at {
                    let mut table = |name| tables.push((database_name(engine, number), name));
                    table(our_table(number));
                    if backend.has_twin {
                        table(twins_name(backend, number));
                    }
                }
                if backend.has_twin && scenario.concerns(backend) {
                    let mut entry = scenario.config.clone();
                    entry.insert("BACKEND".into(), backend.class.into());
                    entry.insert("LOCATION".into(), self.twins_location(backend, number));
                    self.add_options(backend, &mut entry);
                    aliases.insert(twins_name(backend, number), entry.into());
                }
            }
        }
        let mut partner = self.partner();
        let aliases = plain(&golden::write(&aliases.into()));
        partner.must("setup", json!({"databases": databases, "aliases": aliases, "herd_timeout": HERD_TIMEOUT}));
        partner.must("create_tables", json!({"places": tables}));
    }

    /// What Django's own backends answer to the steps: the answers of each run, in the order of `runs`.
    pub fn ask_python(&self, runs: &[(usize, &Backend)]) -> Vec<Value> {
        let golden = golden_path("behaviour.json");
        let asked: Vec<_> = runs.iter().map(|(number, backend)| (number, twins_name(backend, *number))).collect();
        let answers = self.partner().must("run", json!({"golden": golden, "runs": asked, "workers": PYTHON_THREADS}));
        answers.as_array().unwrap().clone()
    }

    fn partner(&self) -> MutexGuard<'_, Partner> {
        self.partner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn twins_location(&self, backend: &Backend, number: usize) -> Value {
        match backend.at {
            At::DiskCache => self.directory("python", number).to_str().unwrap().into(),
            _ => self.redis_location(backend, 2 * number + 1).unwrap_or_else(|| twins_name(backend, number).into()),
        }
    }

    /// The LOCATION of what other clients of django-redis have, for a run of either side.
    fn redis_location(&self, backend: &Backend, run: usize) -> Option<Value> {
        let number = |database: usize| u32::try_from(database).unwrap();
        Some(match backend.at {
            At::Shards(servers) => {
                let databases = run * servers..(run + 1) * servers;
                databases.map(|database| self.shards.url(number(database))).collect()
            }
            At::Herd => self.herd.url(number(run)).into(),
            At::Sentinel => format!("redis://{}/{run}", self.service.name).into(),
            At::Valkey => self.valkey.url(number(run)).replace("redis://", "valkey://").into(),
            _ => return None,
        })
    }

    /// What makes an entry one of another client of django-redis.
    fn add_options(&self, backend: &Backend, entry: &mut Map<String, Value>) {
        let options = match backend.at {
            At::Shards(_) => json!({"CLIENT_CLASS": "django_redis.client.ShardClient"}),
            At::Herd => json!({"CLIENT_CLASS": "django_redis.client.HerdClient"}),
            At::Sentinel => self.service.entry(&json!({}))["OPTIONS"].clone(),
            _ => return,
        };
        assert!(entry.insert("OPTIONS".into(), options).is_none(), "a scenario with OPTIONS: {entry:?}");
    }

    fn directory(&self, kind: &str, number: usize) -> PathBuf {
        self.folder.join(format!("{kind} {number}"))
    }

    /// An entry of DATABASES.
    fn database(&self, engine: Engine, number: usize) -> Value {
        match engine {
            Engine::Sqlite => {
                let name = self.folder.join(format!("{number}.sqlite3"));
                json!({"ENGINE": "django.db.backends.sqlite3", "NAME": name})
            }
            Engine::PostgreSql => json!({
                "ENGINE": "django.db.backends.postgresql", "NAME": "shop", "HOST": "127.0.0.1",
                "PORT": self.postgres.port(), "USER": postgres::USER, "PASSWORD": postgres::PASSWORD,
            }),
            Engine::MariaDb => json!({
                "ENGINE": "django.db.backends.mysql", "NAME": "shop", "HOST": "127.0.0.1",
                "PORT": self.mariadb.port(), "USER": mariadb::USER, "PASSWORD": mariadb::PASSWORD,
            }),
        }
    }

    /// A configuration with the one alias `default`, over an empty cache.
    pub fn config(&self, backend: &Backend, number: usize, scenario: &Scenario) -> String {
        // What an earlier attempt left may still be there.
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let unique = NEXT.fetch_add(1, Ordering::Relaxed);
        let (mut entry, mut databases) = (Map::new(), json!({}));
        entry.insert("BACKEND".into(), backend.class.into());
        match backend.at {
            At::Nowhere => {}
            At::Name => _ = entry.insert("LOCATION".into(), format!("scenario {number}, {unique}").into()),
            At::Directory | At::DiskCache => {
                let directory = self.directory(backend.name, number);
                empty(&directory);
                entry.insert("LOCATION".into(), directory.to_str().unwrap().into());
            }
            At::Redis => {
                let place = BACKENDS.iter().filter(|one| one.at == At::Redis).position(|one| one.name == backend.name);
                let place = place.unwrap() * self.scenarios + number;
                let (server, database) = (&self.redis[place / DATABASES], u32::try_from(place % DATABASES).unwrap());
                server.command(database, &[b"FLUSHDB"]);
                entry.insert("LOCATION".into(), server.url(database).into());
            }
            At::Shards(_) | At::Herd | At::Sentinel | At::Valkey => {
                self.empty_databases(backend, 2 * number);
                let location = self.redis_location(backend, 2 * number).unwrap();
                entry.insert("LOCATION".into(), location);
            }
            At::Memcached(servers) => {
                if scenario.wants_a_server() {
                    let own = MemcachedServer::several(servers, &[]);
                    entry.insert("LOCATION".into(), locations(&own).into());
                    self.more.lock().unwrap().extend(own);
                } else {
                    entry.insert("LOCATION".into(), locations(&self.memcached[..servers]).into());
                    entry.insert("KEY_PREFIX".into(), unique.to_string().into());
                }
            }
            At::Database(engine) => {
                let table = our_table(number);
                let name = database_name(engine, number);
                self.partner().must("empty", json!({"database": name, "table": table}));
                databases = json!({"shop": self.database(engine, number)});
                entry.insert("LOCATION".into(), table.into());
                entry.insert("LARDER".into(), json!({"DATABASE": "shop"}));
            }
        }
        entry.extend(scenario.config.clone());
        self.add_options(backend, &mut entry);
        let caches = golden::write(&json!({"default": entry}));
        format!(
            r#"{{"CACHES": {caches}, "DATABASES": {databases}, "USE_TZ": true, "TIME_ZONE": "UTC",
                "CACHE_HERD_TIMEOUT": {HERD_TIMEOUT}}}"#
        )
    }

    fn empty_databases(&self, backend: &Backend, run: usize) {
        let number = |database: usize| u32::try_from(database).unwrap();
        match backend.at {
            At::Shards(servers) => {
                for database in run * servers..(run + 1) * servers {
                    self.shards.command(number(database), &[b"FLUSHDB"]);
                }
            }
            At::Herd => _ = self.herd.command(number(run), &[b"FLUSHDB"]),
            At::Sentinel => self.service.servers[0].flush(number(run)),
            At::Valkey => _ = self.valkey.command(number(run), &[b"FLUSHDB"]),
            _ => {}
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Each scenario has a SQLite file of its own: it has one writer at a time.
fn database_name(engine: Engine, number: usize) -> String {
    match engine {
        Engine::Sqlite => format!("sqlite{number}"),
        Engine::PostgreSql => "postgresql".to_owned(),
        Engine::MariaDb => "mariadb".to_owned(),
    }
}

fn our_table(number: usize) -> String {
    format!("larder's {number}")
}

/// Django's alias, and its table.
fn twins_name(backend: &Backend, number: usize) -> String {
    format!("{} {number}", backend.name)
}

/// JSON text with numbers as they are usually read.
fn plain(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn empty(directory: &Path) {
    if directory.exists() {
        std::fs::remove_dir_all(directory).unwrap();
    }
}
