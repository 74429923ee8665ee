//! What a configuration says, typed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::key::KeyRules;
use crate::timeout::Ttl;
use crate::value::Limits;

/// A read configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The aliases, in the order of the document.
    pub aliases: Vec<Alias>,
    /// What Django would ignore or misread, each with its JSON path in the text.
    pub warnings: Vec<String>,
}

/// One entry of CACHES.
#[derive(Clone, Debug)]
pub struct Alias {
    /// Its name.
    pub name: Arc<str>,
    /// KEY_PREFIX, VERSION, KEY_FUNCTION (P-4 to P-6).
    pub keys: KeyRules,
    /// TIMEOUT (P-1).
    pub ttl: Ttl,
    /// MAX_ENTRIES and CULL_FREQUENCY (P-2, P-3).
    pub culling: Culling,
    /// The pickle protocol to write (PK-1, PICKLE_VERSION).
    pub protocol: u8,
    /// What BACKEND names, with its own settings.
    pub family: Family,
    /// larder's own settings, from `"LARDER"`.
    pub settings: Settings,
}

/// When and how much a local backend culls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Culling {
    /// MAX_ENTRIES.
    pub max_entries: i64,
    /// CULL_FREQUENCY; 0 drops everything.
    pub frequency: i64,
}

/// The settings of an alias's `"LARDER"` object.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `TIMEOUT_MS`: the total deadline of a call; on Redis SOCKET_TIMEOUT where this is absent; else 5 s.
    pub budget: Duration,
    /// `MAX_VALUE_BYTES`, `MAX_VALUE_NODES`, `MAX_VALUE_DEPTH`.
    pub limits: Limits,
}

/// The backends that BACKEND can name.
#[derive(Clone)]
pub enum Family {
    /// `locmem.LocMemCache`: LOCATION is a name (L-1).
    Memory {
        /// The name.
        name: String,
    },
    /// `filebased.FileBasedCache`: LOCATION is a directory (FB-1).
    File {
        /// The directory, absolute.
        directory: PathBuf,
    },
    /// `dummy.DummyCache`.
    Dummy,
    /// Core `redis.RedisCache` and `django_redis.cache.RedisCache`.
    Redis(Redis),
    /// A backend, or a setting of one, that larder knows but does not have. Opening the alias answers `Kind::Config`
    /// with the reason; the other aliases can be used.
    NotBuiltIn {
        /// Why, in words, beginning with the JSON path.
        reason: String,
    },
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Somebody may have written a URL with a password where a name or a directory belongs.
        let place =
            |text: &str| if text.contains('@') || text.contains(":/") { "…".to_owned() } else { text.to_owned() };
        match self {
            Self::Memory { name } => f.debug_struct("Memory").field("name", &place(name)).finish(),
            Self::File { directory } => {
                f.debug_struct("File").field("directory", &place(&directory.to_string_lossy())).finish()
            }
            Self::Dummy => f.write_str("Dummy"),
            Self::Redis(redis) => redis.fmt(f),
            Self::NotBuiltIn { reason } => f.debug_struct("NotBuiltIn").field("reason", reason).finish(),
        }
    }
}

/// Which of the two Redis caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Django's own (rules R).
    Core,
    /// django-redis (rules DR).
    DjangoRedis,
}

/// The settings of a Redis alias.
#[derive(Clone, Debug)]
pub struct Redis {
    /// Whose rules.
    pub flavor: Flavor,
    /// The server.
    pub server: Server,
    /// What connecting may take of a call's time (SOCKET_CONNECT_TIMEOUT).
    pub connect: Option<Duration>,
    /// Blocking connections at the same time (`max_connections`).
    pub max_connections: usize,
    /// IGNORE_EXCEPTIONS (DR-15).
    pub ignore_exceptions: bool,
}

/// One Redis server (rules U).
#[derive(Clone)]
pub struct Server {
    /// Where it listens.
    pub address: Address,
    /// AUTH's first argument. With a user and no password, redis-py sends the user and an empty password.
    pub username: Option<String>,
    /// AUTH's last argument.
    pub password: Option<String>,
    /// SELECT's argument.
    pub database: u32,
    /// CLIENT SETNAME's argument.
    pub client_name: Option<String>,
    /// The server for messages: no credentials.
    pub shown: Arc<str>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Host and port.
    Tcp(String, u16),
    /// A socket's path.
    Unix(PathBuf),
}
