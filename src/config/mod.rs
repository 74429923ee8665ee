//! CACHES JSON → typed aliases. Every error carries its JSON path; what Django would silently ignore or misread becomes
//! a warning.
//!
//! # The document
//!
//! ```json
//! {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}}
//! ```
//!
//! or the map of aliases alone (what stands under `CACHES` here). UTF-8, at most 16 MiB and 32 levels deep. A name that
//! stands twice in one object is an error. Beside `CACHES` these are known: `DJANGO_REDIS_IGNORE_EXCEPTIONS` and
//! `DJANGO_REDIS_CONNECTION_FACTORY` are honoured; `DATABASES`, `USE_TZ`, `TIME_ZONE`, `CACHE_HERD_TIMEOUT`,
//! `DJANGO_REDIS_SCAN_ITERSIZE`, `DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS`, `DJANGO_REDIS_LOGGER` and
//! `DJANGO_REDIS_CLOSE_CONNECTION` are accepted and have no effect yet. Names that begin with `$` or `_` are the writer's
//! own. Others give a warning.
//!
//! `${NAME}` in any text is replaced by the environment variable `NAME`; one that is not set is an error. `$${` is a
//! literal `${`. Replacements are texts; settings that Python reads with `int()` take them as numbers. Passwords never appear in
//! messages; hosts, ports, paths and VERSION may.
//!
//! What is *wrong* (a wrong type, an unknown BACKEND, an unknown name where Python raises an error) makes reading fail.
//! What is right but *not in this version* becomes [`Family::NotBuiltIn`]: only opening that alias fails.
//!
//! # Every alias
//!
//! | name | where | default | meaning |
//! |---|---|---|---|
//! | `BACKEND` | top | required | one of the table below |
//! | `LOCATION` | top | `""` | depends on the backend |
//! | `timeout`, `TIMEOUT` | top, the first counts | 300 | default time to live in seconds, by Python's `int(x)`: `12.9` is 12, `"12"` is 12, `true` is 1, nonsense is 300 (with a warning); `null` is for ever |
//! | `max_entries` at the top, `MAX_ENTRIES` in OPTIONS, `MAX_ENTRIES` at the top | the first counts | 300 | how many entries a local backend holds before it culls. Django does not look at the last place: a warning says so |
//! | `cull_frequency`, `CULL_FREQUENCY` | likewise | 3 | one in so many entries is culled; 0 drops all |
//! | `KEY_PREFIX` | top | `""` | a text; numbers and truth values as Python's `str(x)`; `null` is the text `None` (with a warning) |
//! | `VERSION` | top | 1 | likewise: `1` is `1`, `1.0` is `1.0`, `true` is `True` |
//! | `KEY_FUNCTION` | top | Django's | `django.core.cache.backends.base.default_key_func` (`prefix:version:key`) or `larder.as_is` (the key alone) |
//! | `OPTIONS` | top | none | an object; depends on the backend |
//! | `LARDER` | top | none | larder's own settings, below |
//!
//! Other names at the top are ignored, as in Django, with a warning.
//!
//! # `LARDER`
//!
//! | name | default | meaning |
//! |---|---|---|
//! | `TIMEOUT_MS` | SOCKET_TIMEOUT or `socket_timeout` where given, else 5000 | the whole time that a call may take, in milliseconds |
//! | `MAX_VALUE_BYTES` | 512 MiB | the largest stored or shown value |
//! | `MAX_VALUE_NODES` | 16,777,216 | the most parts of one value |
//! | `MAX_VALUE_DEPTH` | 1000 | the deepest nesting of one value |
//! | `MAX_CONNECTIONS` | `max_connections` where given, else 100 | blocking connections at the same time, to each Redis server |
//! | `BREAKER` | `{"FAILURES": 5, "PAUSE_MS": 500}` | after so many failures in a row calls to a Redis server fail at once for so long; `false`: never |
//!
//! All but the last are whole numbers greater than 0, and so are the two in it; other names are errors.
//!
//! # Backends
//!
//! | BACKEND | LOCATION | OPTIONS |
//! |---|---|---|
//! | `django.core.cache.backends.locmem.LocMemCache` | a name; aliases with the same one share their data | `MAX_ENTRIES`, `CULL_FREQUENCY` |
//! | `django.core.cache.backends.filebased.FileBasedCache` | a directory; a relative one is taken from the working directory when the configuration is read, with a warning | `MAX_ENTRIES`, `CULL_FREQUENCY` |
//! | `django.core.cache.backends.dummy.DummyCache` | ignored | none |
//! | `django.core.cache.backends.redis.RedisCache` | a URL, or several: a list, or a text split at `;` and `,` | redis-py's names, below; `serializer`, `pool_class`, `parser_class` with their defaults |
//! | `django_redis.cache.RedisCache` | a URL, or several: a list, or a text split at `,` | django-redis's names, below |
//! | `….memcached.PyMemcacheCache`, `….memcached.PyLibMCCache`, `….db.DatabaseCache`, `django_valkey.cache.ValkeyCache`, `diskcache.DjangoCache` | | not in this version |
//!
//! Sentinel, other clients than DefaultClient, other serializers than pickle, compressors, and PICKLE_VERSION 0 and 1 are
//! not in this version either.
//!
//! Of several servers the first is written to, and the others are its replicas: each has its own address, user, password,
//! database and TLS from its URL; the times and the limits are the first one's.
//!
//! # Redis URLs
//!
//! `redis://[user][:password]@host[:port][/database][?options]`, the same with `rediss://` (TLS), and
//! `unix://[user[:password]@]/path[?options]`, read as redis-py reads them: user and password percent-decoded, the host
//! lower-cased, `localhost`, 6379 and 0 where nothing is said. The URL's parts beat OPTIONS, and `?db=` beats the path. A
//! path that is no number is ignored with a warning. A `/`, `?`, `#` or `@` in a password must be percent-encoded; where
//! it is not, redis-py goes to a wrong server, and this is an error.
//!
//! # redis-py's names
//!
//! In OPTIONS of core Redis, in CONNECTION_POOL_KWARGS of django-redis, and as a URL's options.
//!
//! | name | meaning |
//! |---|---|
//! | `db` | the database |
//! | `username`, `password` | for AUTH; empty and `null` are none |
//! | `socket_timeout` | seconds; the time that a call may take, where `LARDER.TIMEOUT_MS` is not given |
//! | `socket_connect_timeout` | seconds; what connecting may take of it |
//! | `client_name` | for CLIENT SETNAME |
//! | `max_connections` | blocking connections at the same time; 0 and `null` are 100 |
//! | `host`, `port`, `path` | where the URL has none |
//! | `socket_keepalive` | true where not given |
//! | `socket_keepalive_options` | an object: `TCP_KEEPIDLE` (60), `TCP_KEEPINTVL` (10), `TCP_KEEPCNT` (3) by these names or their numbers on Linux (4, 5, 6) |
//! | `health_check_interval` | seconds, 30 where not given: a connection of blocking calls that rested longer is asked (PING) before it is used; 0: never |
//! | `ssl` | true in CONNECTION_POOL_KWARGS or OPTIONS is TLS, as `rediss://` is |
//! | `ssl_cert_reqs` | `required`, or `optional`, which is the same for a client (U-7), or `none`; also 2, 1, 0 |
//! | `ssl_check_hostname` | true where not given: whether the certificate must be for the host |
//! | `ssl_ca_certs`, `ssl_ca_path`, `ssl_ca_data` | a file, a directory, a text of certificates (PEM) to trust instead of the system's |
//! | `ssl_certfile`, `ssl_keyfile` | the client's own certificate and key (PEM); of all these a relative path is taken from the working directory when the configuration is read, with a warning |
//! | `ssl_min_version` | 771 or `TLSv1_2` (also where it is not given), 772 or `TLSv1_3` |
//!
//! These are accepted and change nothing here: `socket_type`, `socket_read_size`, `retry_on_timeout`, `retry_on_error`,
//! `protocol`, `legacy_responses`, `lib_name`, `lib_version`, `driver_info`, `timeout`, `encoding_errors`, `ssl_password`
//! (but an encrypted key cannot be read); `encoding` and `decode_responses` with their defaults. `ssl_ciphers`, OCSP and
//! verify flags are not in this version: where they are set the alias cannot be opened. Names of Python objects (`retry`,
//! `credential_provider`, …) and unknown names are errors, since Python raises one at the first connection.
//!
//! # django-redis's names
//!
//! | name | default | meaning |
//! |---|---|---|
//! | `USERNAME`, `PASSWORD` | none | for AUTH; the URL's beat them |
//! | `SOCKET_TIMEOUT`, `SOCKET_CONNECT_TIMEOUT` | none | seconds; 0 and `null` are none |
//! | `IGNORE_EXCEPTIONS` | `DJANGO_REDIS_IGNORE_EXCEPTIONS`, else false | a server that is away or answers errors counts as an empty cache |
//! | `PICKLE_VERSION` | 4 | the pickle protocol to write: 2 to 5; negative is 5 |
//! | `CONNECTION_POOL_KWARGS` | none | redis-py's names, above |
//! | `CLIENT_CLASS`, `SERIALIZER`, `COMPRESSOR`, `CONNECTION_FACTORY`, `CONNECTION_POOL_CLASS`, `REDIS_CLIENT_CLASS` | django-redis's own | as said above |
//!
//! `REPLICA_READ_ONLY` (there is no failover of writes), `PARSER_CLASS`, `REDIS_CLIENT_KWARGS`, `SENTINELS`,
//! `SENTINEL_KWARGS` and `CLOSE_CONNECTION` are accepted and change nothing. Other names are ignored, as in django-redis,
//! with a warning.

mod alias;
mod class;
mod connection;
mod core_redis;
mod database;
mod diskcache;
mod django_redis;
mod document;
mod entry;
mod memcached;
mod names;
mod own;
mod place;
mod python;
mod resting;
mod servers;
mod tls;
mod url;

pub use alias::{
    Address, Alias, BreakerRule, CertificateCheck, Config, Culling, Family, Flavor, Keepalive, Named, Redis, Resting,
    Server, Settings, Tls,
};
pub use database::Database;
pub use diskcache::DiskCache;
pub use document::LONGEST_DOCUMENT;
pub use memcached::{Client, Memcached};
pub use names::nearest;

use crate::error::Result;
use place::Report;

/// Reads a configuration: `{"CACHES": {…}}` with optional siblings, or the bare alias map. `environment` answers
/// `${NAME}`.
///
/// Fails with `Kind::Config`; the reason begins with the JSON path, and never shows a password or a URL.
pub fn read(text: &[u8], environment: &dyn Fn(&str) -> Option<String>) -> Result<Config> {
    let mut report = Report::default();
    let document = document::parse(text, environment, &mut report)?;
    let mut aliases = Vec::with_capacity(document.aliases.len());
    for (name, value) in &document.aliases {
        aliases.push(entry::read(name, value, document.place.at(name), &document.siblings, &mut report)?);
    }
    if !document.aliases.contains_key("default") {
        report.warn(&document.place, "has no alias named default, which Django wants (caches.E001)"); // A-6
    }
    Ok(Config { aliases, warnings: report.into_warnings() })
}
