//! One Redis, one folder, one configuration; larder here, and a Django process there.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::common::client::{Call, Context, Store};
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
}

/// The aliases of the test.
pub const ALIASES: [Alias; 4] = [
    Alias { name: "core", prefix: "", version: "1", kind: Kind::Core },
    Alias { name: "django_redis", prefix: "pré:fix *", version: "3", kind: Kind::DjangoRedis },
    Alias { name: "highest", prefix: "h", version: "1", kind: Kind::DjangoRedis },
    Alias { name: "file", prefix: "datei", version: "2", kind: Kind::File },
];

/// Both sides. The fields are dropped in this order.
pub struct World {
    pub partner: Partner,
    context: Context,
    pub server: RedisServer,
    _folder: Folder,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl World {
    /// Starts everything, over empty caches.
    pub fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("larder-live-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir(&folder.0).unwrap();
        let server = RedisServer::start();
        let document = document(&server, &folder.0);
        let context = Context::open(&document.to_string()).unwrap();
        let mut partner = Partner::start("live/partner.py");
        partner.must("setup", json!({"caches": document["CACHES"]}));
        Self { partner, context, server, _folder: folder }
    }

    pub fn store(&self, alias: &str) -> Store {
        self.context.store(alias).unwrap()
    }

    /// What the server tells about a key's time: −2 for a missing key, −1 for one without an end, else ms.
    pub fn pttl(&self, alias: Alias, key: &str) -> i64 {
        let made = format!("{}:{}:{key}", alias.prefix, alias.version);
        let left = self.server.command(0, &[b"PTTL", made.as_bytes()]);
        std::str::from_utf8(&left).unwrap().parse().unwrap()
    }

    /// Asserts that Python has a value under a key.
    pub fn python_has(&mut self, alias: &str, key: &str, json_text: &str) {
        let what = json!({"alias": alias, "key": key, "json_text": json_text});
        assert_eq!(self.partner.must("judge", what), Value::Null, "{alias}, {key:?}");
    }
}

/// The document that both sides read.
fn document(server: &RedisServer, folder: &std::path::Path) -> Value {
    let (core, django_redis) = ("django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache");
    let file = "django.core.cache.backends.filebased.FileBasedCache";
    let directory = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let mut caches = json!({
        "core": {"BACKEND": core, "LOCATION": server.url(0)},
        "django_redis": {"BACKEND": django_redis, "LOCATION": server.url(0)},
        "highest": {"BACKEND": django_redis, "LOCATION": server.url(0), "OPTIONS": {"PICKLE_VERSION": -1}},
        "file": {"BACKEND": file, "LOCATION": directory("files"), "OPTIONS": {"MAX_ENTRIES": 100_000}},
        "small": {"BACKEND": file, "LOCATION": directory("few"), "OPTIONS": {"MAX_ENTRIES": super::FEW}},
        "short": {"BACKEND": django_redis, "LOCATION": server.url(1), "TIMEOUT": 7},
        "forever": {"BACKEND": core, "LOCATION": server.url(1), "TIMEOUT": null},
    });
    for alias in ALIASES {
        caches[alias.name]["KEY_PREFIX"] = alias.prefix.into();
        caches[alias.name]["VERSION"] = alias.version.parse::<u32>().unwrap().into();
    }
    json!({"CACHES": caches})
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
