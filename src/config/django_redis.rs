//! `django_redis.cache.RedisCache` (rules DR).

use serde_json::{Map, Value};

use super::alias::{Family, Flavor};
use super::class::Classes;
use super::connection::{self, Wanted, seconds, secret};
use super::entry::{Built, Entry};
use super::names::did_you_mean;
use super::own::Own;
use super::place::{Place, Report, Setting};
use super::python::{int, is_true};
use super::servers;
use crate::error::Result;

/// Everything that django-redis looks for in OPTIONS (DR-3).
const KNOWN: [&str; 19] = [
    "CLIENT_CLASS",
    "IGNORE_EXCEPTIONS",
    "REPLICA_READ_ONLY",
    "SERIALIZER",
    "PICKLE_VERSION",
    "COMPRESSOR",
    "USERNAME",
    "PASSWORD",
    "SOCKET_TIMEOUT",
    "SOCKET_CONNECT_TIMEOUT",
    "PARSER_CLASS",
    "CONNECTION_FACTORY",
    "CONNECTION_POOL_CLASS",
    "CONNECTION_POOL_KWARGS",
    "REDIS_CLIENT_CLASS",
    "REDIS_CLIENT_KWARGS",
    "SENTINELS",
    "SENTINEL_KWARGS",
    "CLOSE_CONNECTION",
];

/// Python's default pickle protocol, which django-redis writes (PK-1).
const DEFAULT_PROTOCOL: u8 = 4;

const CLIENTS: Classes = Classes {
    noun: "client",
    same: &["django_redis.client.DefaultClient", "django_redis.client.default.DefaultClient"],
    later: &[
        "django_redis.client.HerdClient",
        "django_redis.client.herd.HerdClient",
        "django_redis.client.ShardClient",
        "django_redis.client.sharded.ShardClient",
        "django_redis.client.SentinelClient",
        "django_redis.client.sentinel.SentinelClient",
    ],
    home: "django_redis.",
};

const SERIALIZERS: Classes = Classes {
    noun: "serializer",
    same: &["django_redis.serializers.pickle.PickleSerializer"],
    later: &["django_redis.serializers.json.JSONSerializer", "django_redis.serializers.msgpack.MSGPackSerializer"],
    home: "django_redis.",
};

const COMPRESSORS: Classes = Classes {
    noun: "compressor",
    same: &["django_redis.compressors.identity.IdentityCompressor"],
    later: &[
        "django_redis.compressors.zlib.ZlibCompressor",
        "django_redis.compressors.gzip.GzipCompressor",
        "django_redis.compressors.lz4.Lz4Compressor",
        "django_redis.compressors.lzma.LzmaCompressor",
        "django_redis.compressors.zstd.ZStdCompressor",
    ],
    home: "django_redis.",
};

const FACTORIES: Classes = Classes {
    noun: "connection factory",
    same: &["django_redis.pool.ConnectionFactory"],
    later: &["django_redis.pool.SentinelConnectionFactory"],
    home: "django_redis.",
};

const POOLS: Classes = Classes {
    noun: "connection pool",
    same: &[
        "redis.ConnectionPool",
        "redis.connection.ConnectionPool",
        "redis.BlockingConnectionPool",
        "redis.connection.BlockingConnectionPool",
    ],
    later: &["redis.sentinel.SentinelConnectionPool"],
    home: "redis.",
};

const REDIS_CLIENTS: Classes = Classes {
    noun: "Redis client",
    same: &["redis.Redis", "redis.StrictRedis", "redis.client.Redis", "redis.client.StrictRedis"],
    later: &["redis.RedisCluster", "redis.cluster.RedisCluster"],
    home: "redis.",
};

/// Reads what is this backend's own. `siblings` is what stands beside CACHES.
pub(super) fn read(entry: &Entry<'_>, own: &Own, siblings: &Map<String, Value>, report: &mut Report) -> Result<Built> {
    let servers = servers::read(entry.top("LOCATION"), &entry.place.at("LOCATION"), &[','], report)?; // DR-1
    warn_of_unknown_names(entry, report);
    let lacking = lacking_class(entry, siblings, report)?;
    let ignore_exceptions = ignore_exceptions(entry, siblings, report);
    let protocol = protocol(entry, report)?;
    if let Some(reason) = lacking {
        // The URL may then have options that DefaultClient's have not (DR-31).
        let mut wanted = Wanted::of(&servers.0.url);
        take_options(&mut wanted, entry, report)?;
        return Ok(Built {
            family: Family::NotBuiltIn { reason },
            timeout: wanted.timeout,
            protocol: DEFAULT_PROTOCOL,
        });
    }
    let mut options = |wanted: &mut Wanted, report: &mut Report| {
        take_options(wanted, entry, report)?;
        if protocol < 2 {
            let place = entry.place.at("OPTIONS").at("PICKLE_VERSION");
            wanted.lacking.get_or_insert_with(|| {
                format!(
                    "{place}: writing pickles of protocol {protocol} is not in this version of larder; 2 to 5 are, and -1"
                )
            });
        }
        Ok(())
    };
    let built = servers::build(Flavor::DjangoRedis, servers, &mut options, own, ignore_exceptions, report)?;
    Ok(Built { protocol, ..built })
}

/// Why larder cannot do what one of the classes does.
fn lacking_class(entry: &Entry<'_>, siblings: &Map<String, Value>, report: &Report) -> Result<Option<String>> {
    let mut lacking = None;
    for (name, classes) in [
        ("CLIENT_CLASS", &CLIENTS),
        ("SERIALIZER", &SERIALIZERS),
        ("COMPRESSOR", &COMPRESSORS),
        ("CONNECTION_POOL_CLASS", &POOLS),
        ("REDIS_CLIENT_CLASS", &REDIS_CLIENTS),
    ] {
        if let Some(setting) = entry.option(name) {
            let reason = classes.lacking(&setting, report)?;
            lacking = lacking.or(reason);
        }
    }
    // DR-4: the setting outside CACHES counts where the option is missing or empty.
    let factory = entry.option("CONNECTION_FACTORY").filter(|setting| is_true(setting.value));
    let factory = factory.or_else(|| Setting::of(siblings, &Place::document(), "DJANGO_REDIS_CONNECTION_FACTORY"));
    if let Some(setting) = factory {
        let reason = FACTORIES.lacking(&setting, report)?;
        lacking = lacking.or(reason);
    }
    Ok(lacking)
}

/// The options that say how to connect, and then CONNECTION_POOL_KWARGS, which beat them.
fn take_options(wanted: &mut Wanted, entry: &Entry<'_>, report: &mut Report) -> Result<()> {
    let credential = |name: &str| match entry.option(name) {
        Some(setting) => secret(&setting),
        None => Ok(None),
    };
    wanted.username = credential("USERNAME")?;
    wanted.password = credential("PASSWORD")?;
    let wait = |name: &str| match entry.option(name) {
        Some(setting) if is_true(setting.value) => {
            let wait = seconds(setting.value);
            wait.map(Some).ok_or_else(|| setting.must_be("a number of seconds greater than 0", report))
        }
        _ => Ok(None), // 0 and null: not set
    };
    wanted.timeout = wait("SOCKET_TIMEOUT")?;
    wanted.connect = wait("SOCKET_CONNECT_TIMEOUT")?;
    for name in ["CONNECTION_POOL_KWARGS", "REDIS_CLIENT_KWARGS"] {
        let Some(setting) = entry.option(name) else { continue };
        let arguments = setting.object(report)?;
        if name == "CONNECTION_POOL_KWARGS" {
            wanted.take_arguments(arguments, &setting.place, report)?;
        }
    }
    Ok(())
}

/// IGNORE_EXCEPTIONS, else DJANGO_REDIS_IGNORE_EXCEPTIONS, by Python's truth (DR-4, DR-15).
fn ignore_exceptions(entry: &Entry<'_>, siblings: &Map<String, Value>, report: &mut Report) -> bool {
    let setting = entry
        .option("IGNORE_EXCEPTIONS")
        .or_else(|| Setting::of(siblings, &Place::document(), "DJANGO_REDIS_IGNORE_EXCEPTIONS"));
    setting.is_some_and(|setting| {
        if setting.value.is_string() {
            report.warn(&setting.place, "is a text; every text but the empty one counts as true, as in Django");
        }
        is_true(setting.value)
    })
}

/// PICKLE_VERSION: `int(x)`; negative numbers are the highest protocol.
fn protocol(entry: &Entry<'_>, report: &Report) -> Result<u8> {
    let Some(setting) = entry.option("PICKLE_VERSION") else { return Ok(DEFAULT_PROTOCOL) };
    let number = int(setting.value).filter(|number| *number <= 5);
    let number = number.ok_or_else(|| setting.must_be("a whole number from -1 to 5", report))?;
    Ok(u8::try_from(number).unwrap_or(5))
}

/// django-redis ignores what it does not look for.
fn warn_of_unknown_names(entry: &Entry<'_>, report: &mut Report) {
    for (name, setting) in entry.options() {
        match name {
            "MAX_ENTRIES" | "CULL_FREQUENCY" => report.warn(&setting.place, "has no effect with this backend"), // P-12
            _ if KNOWN.contains(&name) => {}
            _ => {
                let of_redis_py = connection::KNOWN.contains(&name);
                let same = KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name));
                let hint = if of_redis_py && !same {
                    "; it belongs in OPTIONS.CONNECTION_POOL_KWARGS".to_owned()
                } else {
                    did_you_mean(name, &KNOWN).to_string()
                };
                report.warn(&setting.place, format_args!("is ignored, as in django-redis: unknown name{hint}"));
            }
        }
    }
    if let Some(setting) = entry.top("REVERSE_KEY_FUNCTION").filter(|setting| is_true(setting.value)) {
        report.warn(&setting.place, "is ignored: larder takes prefix and version off its keys by itself"); // DR-2
    }
}
