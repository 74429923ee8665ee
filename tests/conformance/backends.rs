//! The backends that the scenarios run on, and what judges them.

use serde_json::{Map, Value};

use super::common::golden;

/// A backend. A new one is one more line in [`BACKENDS`].
#[derive(Debug)]
pub struct Backend {
    /// Its name here.
    pub name: &'static str,
    /// The column of the golden data that says which scenarios concern it.
    pub golden: &'static str,
    /// The column that says what is answered, unless there is a twin.
    pub like: &'static str,
    /// What CACHES calls it.
    pub class: &'static str,
    /// Where its data is.
    pub at: At,
    /// The golden data has no answers of it: Django's own backend takes the same steps.
    pub has_twin: bool,
    /// What Python's `clear` answers, where larder only says that it is done.
    pub clear_answers_true: bool,
    /// Whether Python's `delete_many` answers a count.
    pub delete_many_counts: bool,
    /// Calls that it cannot make: scenarios with one of them do not concern it.
    pub lacks: &'static [&'static str],
}

/// Where a backend's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Nowhere,
    Name,
    Directory,
    Redis,
    /// So many databases of one Redis server, as django-redis' ShardClient has them.
    Shards(usize),
    /// A Redis server with values as HerdClient has them.
    Herd,
    /// A service that a Sentinel watches.
    Sentinel,
    Valkey,
    /// So many servers.
    Memcached(usize),
    Database(Engine),
    DiskCache,
}

/// The servers of the database cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    PostgreSql,
    MariaDb,
}

const PYMEMCACHE: &str = "django.core.cache.backends.memcached.PyMemcacheCache";
const PYLIBMC: &str = "django.core.cache.backends.memcached.PyLibMCCache";
const DATABASE: &str = "django.core.cache.backends.db.DatabaseCache";

const DJANGO_REDIS: &str = "django_redis.cache.RedisCache";

/// Every backend of this library.
pub const BACKENDS: [Backend; 19] = [
    Backend::plain("dummy", "dummy", "django.core.cache.backends.dummy.DummyCache", At::Nowhere),
    Backend::plain("locmem", "locmem", "django.core.cache.backends.locmem.LocMemCache", At::Name),
    Backend::plain("file", "file", "django.core.cache.backends.filebased.FileBasedCache", At::Directory),
    Backend {
        clear_answers_true: true,
        ..Backend::plain("redis", "redis", "django.core.cache.backends.redis.RedisCache", At::Redis)
    },
    Backend { delete_many_counts: true, ..Backend::plain("django_redis", "django_redis", DJANGO_REDIS, At::Redis) },
    // the other clients of django-redis, and its descendant: the golden data has DefaultClient's answers only
    Backend {
        delete_many_counts: true,
        ..Backend::with_twin("ShardClient", "django_redis", DJANGO_REDIS, At::Shards(3))
    },
    Backend { delete_many_counts: true, ..Backend::with_twin("HerdClient", "django_redis", DJANGO_REDIS, At::Herd) },
    Backend {
        delete_many_counts: true,
        ..Backend::with_twin("SentinelClient", "django_redis", DJANGO_REDIS, At::Sentinel)
    },
    Backend {
        delete_many_counts: true,
        ..Backend::with_twin("django_valkey", "django_redis", "django_valkey.cache.ValkeyCache", At::Valkey)
    },
    Backend::plain("pymemcache", "pymemcache", PYMEMCACHE, At::Memcached(1)),
    Backend::plain("pymemcache, 3 servers", "pymemcache", PYMEMCACHE, At::Memcached(3)),
    Backend::plain("pylibmc", "pylibmc", PYLIBMC, At::Memcached(1)),
    Backend::plain("pylibmc, 3 servers", "pylibmc", PYLIBMC, At::Memcached(3)),
    Backend::plain("sqlite", "db", DATABASE, At::Database(Engine::Sqlite)),
    // long keys and keys that differ in case are not what they are on SQLite, from which the golden data is (pitfall 24)
    Backend::with_twin("postgresql", "db", DATABASE, At::Database(Engine::PostgreSql)),
    Backend::with_twin("mariadb", "db", DATABASE, At::Database(Engine::MariaDb)),
    // the scenarios of every backend: those of MAX_ENTRIES say nothing of it
    Backend::with_twin("diskcache", "redis", "diskcache.DjangoCache", At::DiskCache),
    // a table of functions from C, which answers as Django's in-memory cache does, but never culls
    Backend { like: "locmem", ..Backend::plain("plugged in from C", "redis", super::plugged::WHOLE, At::Name) },
    // the same table with nothing but the functions that have to be there: what larder makes of them is what Django's base
    // class makes of a backend that has no more, as its file cache (counting resets the time to live, pitfall 14)
    Backend {
        like: "file",
        lacks: &["clear"],
        ..Backend::plain("plugged in from C, the least", "redis", super::plugged::LEAST, At::Name)
    },
];

impl Backend {
    const fn plain(name: &'static str, golden: &'static str, class: &'static str, at: At) -> Self {
        Self {
            name,
            golden,
            like: golden,
            class,
            at,
            has_twin: false,
            clear_answers_true: false,
            delete_many_counts: false,
            lacks: &[],
        }
    }

    const fn with_twin(name: &'static str, golden: &'static str, class: &'static str, at: At) -> Self {
        Self { has_twin: true, ..Self::plain(name, golden, class, at) }
    }

    /// How many scenarios may run at once: servers have a limit of connections.
    pub fn at_once(&self) -> usize {
        if matches!(self.at, At::Database(_)) { 12 } else { 100 }
    }
}

/// The alias that a run's configuration has.
pub const ALIAS: &str = "default";

/// A configuration value as the golden data has it.
pub fn setting(config: &Value) -> Map<String, Value> {
    golden::object(config).clone()
}
