//! Servers of every kind, one folder, one configuration; larder here, and a Django process there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::common::client::{Call, Context, Store, alone};
use super::common::mariadb::{self, MariaDbServer};
use super::common::memcached::{MemcachedServer, locations};
use super::common::postgres::{self, PostgresServer};
use super::common::python::Partner;
use super::common::redis::RedisServer;

/// An alias that both sides use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    pub name: &'static str,
    pub prefix: &'static str,
    pub version: &'static str,
    pub kind: Kind,
}

/// What the alias is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Redis through Django's own backend: whole seconds.
    Core,
    /// Redis through django-redis: milliseconds.
    DjangoRedis,
    /// A directory.
    File,
    /// The first so many of the memcached servers: whole seconds, and keys of its own.
    Memcached(usize),
    /// A memcached server on a unix socket.
    MemcachedSocket,
    /// A table: whole seconds.
    Database(Engine),
    /// A directory of diskcache.
    DiskCache,
}

/// The servers of the database cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    PostgreSql,
    MariaDb,
}

impl Kind {
    /// Whether it is a memcached.
    pub fn is_memcached(self) -> bool {
        matches!(self, Self::Memcached(_) | Self::MemcachedSocket)
    }

    /// Whether the client keeps some values as another kind than they are, or cannot keep them at all.
    pub fn changes_values(self) -> bool {
        self.is_memcached() || self == Self::DiskCache
    }
}

/// The aliases of the test.
pub const ALIASES: [Alias; 13] = [
    Alias { name: "core", prefix: "", version: "1", kind: Kind::Core },
    Alias { name: "django_redis", prefix: "pré:fix *", version: "3", kind: Kind::DjangoRedis },
    Alias { name: "highest", prefix: "h", version: "1", kind: Kind::DjangoRedis },
    Alias { name: "file", prefix: "datei", version: "2", kind: Kind::File },
    Alias { name: "pymemcache", prefix: "p", version: "1", kind: Kind::Memcached(1) },
    Alias { name: "pymemcache_of_3", prefix: "pré", version: "4", kind: Kind::Memcached(3) },
    Alias { name: "pylibmc", prefix: "l", version: "1", kind: Kind::Memcached(1) },
    Alias { name: "pylibmc_of_3", prefix: "", version: "5", kind: Kind::Memcached(3) },
    Alias { name: "pylibmc_socket", prefix: "ß", version: "1", kind: Kind::MemcachedSocket },
    Alias { name: "sqlite", prefix: "pré:fix *", version: "1", kind: Kind::Database(Engine::Sqlite) },
    Alias { name: "postgresql", prefix: "", version: "2", kind: Kind::Database(Engine::PostgreSql) },
    Alias { name: "mariadb", prefix: "m", version: "1", kind: Kind::Database(Engine::MariaDb) },
    Alias { name: "diskcache", prefix: "d:", version: "6", kind: Kind::DiskCache },
];

/// What Django's settings say about time: with and without USE_TZ, in zones that have no UTC.
pub const ZONES: [(bool, &str); 2] = [(true, "America/Chicago"), (false, "Asia/Kolkata")];

/// Some values are larger than the megabyte that memcached takes otherwise.
const LARGE_ITEMS: [&str; 2] = ["-I", "16m"];

/// The servers. The tests take turns on them.
pub struct Servers {
    pub redis: RedisServer,
    memcached: Vec<MemcachedServer>,
    memcached_socket: MemcachedServer,
    postgres: PostgresServer,
    mariadb: MariaDbServer,
}

impl Servers {
    fn start() -> Self {
        Self {
            redis: RedisServer::start(),
            memcached: MemcachedServer::several(3, &LARGE_ITEMS),
            memcached_socket: MemcachedServer::on_socket(&LARGE_ITEMS),
            postgres: PostgresServer::start(),
            mariadb: MariaDbServer::start(),
        }
    }

    /// Those that another test waits with, else new ones.
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Servers>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let servers = Arc::new(Self::start());
            *shared = Arc::downgrade(&servers);
            servers
        })
    }

    /// Empties those that have no tables.
    fn empty(&self) {
        self.redis.command(0, &[b"FLUSHALL"]);
        for server in self.memcached.iter().chain([&self.memcached_socket]) {
            server.client().flush();
        }
    }
}

/// Runs a test when it is its turn. It has the servers already while it waits, so that they go from one to the next.
pub fn in_turn(test: impl FnOnce(&Arc<Servers>)) {
    let servers = Servers::shared();
    alone(|| test(&servers));
}

/// Both sides. The fields are dropped in this order.
pub struct World {
    pub partner: Partner,
    context: Context,
    pub servers: Arc<Servers>,
    _folder: Folder,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where everything is.
struct Places<'a> {
    servers: &'a Servers,
    folder: &'a Path,
    /// The tables of no other test.
    number: u32,
}

impl World {
    /// Starts both sides, over empty caches.
    pub fn start(servers: &Arc<Servers>) -> Self {
        Self::start_in(servers, ZONES[0])
    }

    /// Starts both sides with one of [`ZONES`].
    pub fn start_in(servers: &Arc<Servers>, (use_tz, zone): (bool, &str)) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = Folder(std::env::temp_dir().join(format!("larder-live-{}-{number}", std::process::id())));
        std::fs::create_dir(&folder.0).unwrap();
        servers.empty();
        let mut document = Places { servers, folder: &folder.0, number }.document();
        document["USE_TZ"] = use_tz.into();
        document["TIME_ZONE"] = zone.into();
        let mut partner = Partner::start("live/partner.py");
        let changing = ALIASES.iter().filter(|alias| alias.kind.changes_values()).map(|alias| alias.name);
        let asked = json!({
            "caches": document["CACHES"], "databases": document["DATABASES"], "use_tz": use_tz, "zone": zone,
            "changing": changing.collect::<Vec<_>>(),
        });
        partner.must("setup", asked);
        let context = Context::open(&document.to_string()).unwrap();
        Self { partner, context, servers: Arc::clone(servers), _folder: folder }
    }

    pub fn store(&self, alias: &str) -> Store {
        self.context.store(alias).unwrap()
    }

    /// What the server, the table or the file tells about a key's time: −2 for a missing key, −1 for one without an
    /// end, else ms.
    pub fn left(&mut self, alias: Alias, key: &str) -> i64 {
        let made = format!("{}:{}:{key}", alias.prefix, alias.version);
        let servers = match alias.kind {
            Kind::Memcached(count) => &self.servers.memcached[..count],
            Kind::MemcachedSocket => std::slice::from_ref(&self.servers.memcached_socket),
            Kind::Core | Kind::DjangoRedis => {
                let left = self.servers.redis.command(0, &[b"PTTL", made.as_bytes()]);
                return std::str::from_utf8(&left).unwrap().parse().unwrap();
            }
            Kind::File | Kind::Database(_) | Kind::DiskCache => {
                return self.partner.must("left", json!({"alias": alias.name, "key": key})).as_i64().unwrap();
            }
        };
        let found: Vec<_> = servers.iter().filter_map(|server| server.client().item(made.as_bytes())).collect();
        assert!(found.len() < 2, "{alias:?}: {key} is on {} servers", found.len());
        found.first().map_or(-2, |item| item.left.map_or(-1, |seconds| seconds * 1000))
    }

    /// Asserts that Python has a value under a key.
    pub fn python_has(&mut self, alias: &str, key: &str, json_text: &str) {
        let what = json!({"alias": alias, "key": key, "json_text": json_text});
        assert_eq!(self.partner.must("judge", what), Value::Null, "{alias}, {key:?}");
    }
}

impl Places<'_> {
    /// The document that both sides read.
    fn document(&self) -> Value {
        let (core, django_redis) = ("django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache");
        let file = "django.core.cache.backends.filebased.FileBasedCache";
        let pymemcache = "django.core.cache.backends.memcached.PyMemcacheCache";
        let pylibmc = "django.core.cache.backends.memcached.PyLibMCCache";
        let memcached = locations(&self.servers.memcached);
        let redis = self.servers.redis.url(0);
        let mut caches = json!({
            "core": {"BACKEND": core, "LOCATION": redis},
            "django_redis": {"BACKEND": django_redis, "LOCATION": redis},
            "highest": {"BACKEND": django_redis, "LOCATION": redis, "OPTIONS": {"PICKLE_VERSION": -1}},
            "file": {"BACKEND": file, "LOCATION": self.path("files"), "OPTIONS": {"MAX_ENTRIES": 100_000}},
            "pymemcache": {"BACKEND": pymemcache, "LOCATION": memcached[0]},
            "pymemcache_of_3": {"BACKEND": pymemcache, "LOCATION": memcached},
            "pylibmc": {"BACKEND": pylibmc, "LOCATION": memcached[0]},
            "pylibmc_of_3": {"BACKEND": pylibmc, "LOCATION": memcached.join(";")},
            "pylibmc_socket": {"BACKEND": pylibmc, "LOCATION": self.servers.memcached_socket.location()},
            "diskcache": {"BACKEND": "diskcache.DjangoCache", "LOCATION": self.path("disk")},
            "small": {"BACKEND": file, "LOCATION": self.path("few"), "OPTIONS": {"MAX_ENTRIES": super::FEW}},
            "short": {"BACKEND": django_redis, "LOCATION": self.servers.redis.url(1), "TIMEOUT": 7},
            "forever": {"BACKEND": core, "LOCATION": self.servers.redis.url(1), "TIMEOUT": null},
        });
        for name in ["sqlite", "postgresql", "mariadb"] {
            caches[name] = json!({
                "BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": format!("caché in {name} {}", self.number),
                "OPTIONS": {"MAX_ENTRIES": 100_000}, "LARDER": {"DATABASE": name},
            });
        }
        for alias in ALIASES {
            caches[alias.name]["KEY_PREFIX"] = alias.prefix.into();
            caches[alias.name]["VERSION"] = alias.version.parse::<u32>().unwrap().into();
        }
        json!({"CACHES": caches, "DATABASES": self.databases()})
    }

    fn databases(&self) -> Value {
        json!({
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": self.path("default.sqlite3")},
            "sqlite": {"ENGINE": "django.db.backends.sqlite3", "NAME": self.path("cache.sqlite3")},
            "postgresql": {
                "ENGINE": "django.db.backends.postgresql", "NAME": "shop", "HOST": "127.0.0.1",
                "PORT": self.servers.postgres.port(), "USER": postgres::USER, "PASSWORD": postgres::PASSWORD,
            },
            "mariadb": {
                "ENGINE": "django.db.backends.mysql", "NAME": "shop", "HOST": "127.0.0.1",
                "PORT": self.servers.mariadb.port(), "USER": mariadb::USER, "PASSWORD": mariadb::PASSWORD,
            },
        })
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }
}

/// The seed of this run, told on stderr, where it is seen also when the test passes.
pub fn seed() -> u64 {
    let seed = std::env::var("LARDER_SEED").ok().map(|seed| seed.parse().expect("LARDER_SEED is a number"));
    let seed = seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) ^ (now.as_secs() << 20)
    });
    #[allow(clippy::explicit_write)] // eprintln! is captured
    writeln!(std::io::stderr(), "live test: LARDER_SEED={seed} repeats this run").unwrap();
    seed
}

/// A call without anything special.
pub const PLAIN: Call<'static> = Call { version: None, flags: 0 };
