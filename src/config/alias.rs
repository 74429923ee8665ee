//! What a configuration says, typed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::database::Database;
use super::diskcache::DiskCache;
use super::memcached::Memcached;
use super::pipelines::Pipeline;
use crate::key::KeyRules;
use crate::timeout::Ttl;
use crate::value::Limits;

/// A read configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The aliases, in the order of the document.
    pub aliases: Vec<Alias>,
    /// The pipelines, in the order of the document.
    pub pipelines: Vec<Pipeline>,
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
    /// Who makes bytes of values (SERIALIZER, PICKLE_VERSION, PK-1).
    pub serializer: Serializer,
    /// Who makes them fewer (COMPRESSOR).
    pub compressor: Compressor,
    /// What BACKEND names, with its own settings.
    pub family: Family,
    /// Whether it was made for a cache store of Pyot's own (`crate::config::LevelKind`): then every value is a pickle,
    /// numbers too, on diskcache in `bytes`; and nobody looks at keys.
    pub is_of_pyot: bool,
    /// larder's own settings, from `"LARDER"`.
    pub settings: Settings,
}

impl Alias {
    /// The pickle protocol to write, whatever the serializer.
    pub fn protocol(&self) -> u8 {
        match self.serializer {
            Serializer::Pickle(protocol) => protocol,
            _ => 5,
        }
    }
}

/// Who makes bytes of values (DR-13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serializer {
    /// Pickles of this protocol, 0 to 5.
    Pickle(u8),
    /// `json`.
    Json,
    /// `msgpack`.
    MsgPack,
    /// What a program has plugged in under this name.
    Own(Arc<str>),
}

/// A compressor's settings (DR-12, 1.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compressor {
    /// Which.
    pub method: CompressorMethod,
    /// Only what is longer is compressed, in bytes.
    pub min_length: usize,
    /// Whether what cannot be decompressed, for whatever reason, is taken as it is (1.16).
    pub forgives: bool,
}

impl Default for Compressor {
    fn default() -> Self {
        Self { method: CompressorMethod::Identity, min_length: 0, forgives: false }
    }
}

/// The compressors.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the compressors' names")]
pub enum CompressorMethod {
    Identity,
    Zlib,
    Gzip,
    Lzma,
    Lz4,
    Zstd,
    Bz2,
    Brotli,
    /// What a program has plugged in under this name; it says from which length on it is used.
    Own(Arc<str>),
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
    /// `UNDECODABLE`: whether a read takes what cannot be decoded for a miss (PK-8).
    pub undecodable_is_miss: bool,
}

/// The backends that BACKEND can name.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "there are as many as aliases, and they are read once")]
pub enum Family {
    /// `locmem.LocMemCache`: LOCATION is a name (L-1).
    Memory {
        /// The name.
        name: String,
    },
    /// A memory of its own, for Pyot's Omnistone.
    Private {
        /// Tells it from the others of this process.
        id: u64,
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
    /// `memcached.PyMemcacheCache` and `memcached.PyLibMCCache`.
    Memcached(Memcached),
    /// `db.DatabaseCache`.
    Database(Database),
    /// `diskcache.DjangoCache`.
    DiskCache(DiskCache),
    /// A backend that a program has plugged in.
    Plugged(Plugged),
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
            Self::Private { id } => f.debug_struct("Private").field("id", id).finish(),
            Self::File { directory } => {
                f.debug_struct("File").field("directory", &place(&directory.to_string_lossy())).finish()
            }
            Self::Dummy => f.write_str("Dummy"),
            Self::Redis(redis) => redis.fmt(f),
            Self::Memcached(memcached) => memcached.fmt(f),
            Self::Database(database) => database.fmt(f),
            Self::DiskCache(disk) => disk.fmt(f),
            Self::Plugged(plugged) => f.debug_struct("Plugged").field("name", &plugged.name).finish_non_exhaustive(),
            Self::NotBuiltIn { reason } => f.debug_struct("NotBuiltIn").field("reason", reason).finish(),
        }
    }
}

/// A backend that a program has plugged in.
#[derive(Clone)]
pub struct Plugged {
    /// The name under which it is registered: BACKEND.
    pub name: Arc<str>,
    /// LOCATION and OPTIONS for it: its entry, as JSON, with the environment's texts filled in. It may hold a password.
    pub entry: String,
}

/// Which of the Redis caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Django's own (rules R).
    Core,
    /// django-redis (rules DR).
    DjangoRedis,
    /// django-valkey (1.16): as django-redis where nothing else is said.
    DjangoValkey,
}

impl Flavor {
    /// Whether it is django-redis, or its descendant.
    pub fn is_django_redis(self) -> bool {
        self != Self::Core
    }
}

/// What several servers are to each other.
#[derive(Clone)]
pub enum Layout {
    /// The others are replicas of the first: they are read from (R-2, DR-5).
    Replicas {
        /// Whether a write that the first does not take is tried on the others (REPLICA_READ_ONLY false: DR-6).
        fail_over: bool,
    },
    /// Each has its share of the keys (DR-50). The URLs as they are written, in the order of the servers: they decide
    /// which key is where, and may hold passwords.
    Ring(Vec<String>),
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replicas { fail_over } => f.debug_struct("Replicas").field("fail_over", fail_over).finish(),
            Self::Ring(urls) => f.debug_tuple("Ring").field(&urls.len()).finish(),
        }
    }
}

/// The settings of a Redis alias.
#[derive(Clone, Debug)]
pub struct Redis {
    /// Whose rules.
    pub flavor: Flavor,
    /// The server: the one that is written to.
    pub server: Server,
    /// The other servers, if there are any.
    pub replicas: Vec<Server>,
    /// What they are.
    pub layout: Layout,
    /// HerdClient's CACHE_HERD_TIMEOUT (DR-40), where that is the client.
    pub herd: Option<Duration>,
    /// When calls to a server that fails are to fail at once; `None`: never (`"LARDER": {"BREAKER": …}`).
    pub breaker: Option<BreakerRule>,
    /// How connections that rest are kept, and looked at.
    pub resting: Resting,
    /// What connecting may take of a call's time (SOCKET_CONNECT_TIMEOUT).
    pub connect: Option<Duration>,
    /// Blocking connections at the same time (`max_connections`).
    pub max_connections: usize,
    /// IGNORE_EXCEPTIONS (DR-15).
    pub ignore_exceptions: bool,
    /// What of it is kept in the process (`"LARDER": {"NEAR_CACHE": …}`); `None`: nothing.
    pub near: Option<NearCache>,
}

/// What is kept in the process of the values that are read from Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearCache {
    /// `MAX_ENTRIES`: so many values at most.
    pub max_entries: usize,
    /// `MAX_BYTES`: so many bytes at most, keys and what is around them included.
    pub max_bytes: usize,
    /// `TIMEOUT`: none is kept longer.
    pub timeout: Duration,
    /// What the made keys begin with that are kept; empty: anything.
    pub prefix: Vec<u8>,
}

impl Default for NearCache {
    fn default() -> Self {
        Self { max_entries: 10_000, max_bytes: 64 << 20, timeout: Duration::from_mins(1), prefix: Vec::new() }
    }
}

/// When calls to a server that fails again and again are to fail at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRule {
    /// `FAILURES`: so many in a row open it.
    pub failures: u32,
    /// `PAUSE_MS`: how long it stays open before one call is let through.
    pub pause: Duration,
}

impl Default for BreakerRule {
    fn default() -> Self {
        Self { failures: 5, pause: Duration::from_millis(500) }
    }
}

/// How connections that rest are kept, and looked at: routers and servers drop idle ones without a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resting {
    /// `socket_keepalive` and `socket_keepalive_options`; `None`: none.
    pub keepalive: Option<Keepalive>,
    /// How long what was sent may stay unacknowledged until the connection counts as broken (TCP_USER_TIMEOUT): 30 s, or
    /// `socket_timeout` where that is longer.
    pub unheard: Duration,
    /// `health_check_interval`: a connection of blocking calls that rested longer is asked (PING) before it is used;
    /// `None`: never.
    pub check: Option<Duration>,
}

impl Default for Resting {
    fn default() -> Self {
        let unheard = Duration::from_secs(30);
        Self { keepalive: Some(Keepalive::default()), unheard, check: Some(Duration::from_secs(30)) }
    }
}

/// When the system asks whether the other side is still there; `None`: the system's own settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// TCP_KEEPIDLE: after so many seconds of rest.
    pub idle: Option<u32>,
    /// TCP_KEEPINTVL: so many seconds apart.
    pub interval: Option<u32>,
    /// TCP_KEEPCNT: how often, until the connection counts as broken.
    pub count: Option<u32>,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { idle: Some(60), interval: Some(10), count: Some(3) }
    }
}

/// One Redis server (rules U).
#[derive(Clone, PartialEq, Eq)]
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
    /// Host and port, to speak TLS with.
    Tls(String, u16, Box<Tls>),
    /// A socket's path.
    Unix(PathBuf),
    /// Wherever Sentinels say that it is now (DR-31).
    Service(Box<Service>),
}

/// A server that Sentinels are asked for (DR-31 to DR-37).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name as it is written; one that no Sentinel knows is looked for in lower case (DR-32).
    pub name: Arc<str>,
    /// Whether the primary is wanted (`is_master`), or one of its replicas.
    pub primary: bool,
    /// The Sentinels, in order, one at least.
    pub sentinels: Vec<Server>,
    /// What asking one of them may take of a call's time (SENTINEL_KWARGS' `socket_connect_timeout`, else its
    /// `socket_timeout`; DR-34).
    pub patience: Option<Duration>,
    /// TLS with the server (DR-37); `None`: none.
    pub tls: Option<Box<Tls>>,
}

impl Service {
    /// Whether TLS is spoken with anybody.
    pub fn speaks_tls(&self) -> bool {
        self.tls.is_some() || self.sentinels.iter().any(|sentinel| matches!(sentinel.address, Address::Tls(..)))
    }
}

/// How TLS is spoken with a server (U-7; redis-py's `ssl_…`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// What of the server's certificate is checked.
    pub check: CertificateCheck,
    /// `ssl_ca_certs`: a file of certificates to trust. With this or one of the next two the system's are not trusted.
    pub ca_file: Option<Named<PathBuf>>,
    /// `ssl_ca_path`: a directory of such files.
    pub ca_folder: Option<Named<PathBuf>>,
    /// `ssl_ca_data`: such certificates themselves.
    pub ca_data: Option<Named<String>>,
    /// `ssl_certfile`: the client's certificate and those between it and its authority.
    pub certificate: Option<Named<PathBuf>>,
    /// `ssl_keyfile`: the client's key; it can be in the certificate's file too.
    pub key: Option<Named<PathBuf>>,
    /// `ssl_min_version` is TLS 1.3; else 1.2 will do.
    pub only_newest: bool,
}

/// What of a server's certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateCheck {
    /// Who issued it, when it is valid, and whose it is.
    #[default]
    Full,
    /// Not whose it is (`ssl_check_hostname` false).
    NotName,
    /// Nothing (`ssl_cert_reqs` none).
    Nothing,
}

/// A setting and its JSON path, for errors that show only when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T> {
    /// The JSON path.
    pub place: Arc<str>,
    /// The setting.
    pub value: T,
}
