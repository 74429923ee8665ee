//! `django_redis.cache.RedisCache` (rules DR), and what `django_valkey.cache.ValkeyCache` has under other names (1.16).

use std::sync::Arc;

use super::alias::{Compressor, CompressorMethod, Family, Flavor, Serializer};
use super::class::{Chosen, Classes};
use super::connection::{self, Wanted, seconds, secret};
use super::encoding::Encoding;
use super::entry::{Built, Entry};
use super::names::did_you_mean;
use super::own::Own;
use super::place::{Report, Setting};
use super::python::is_true;
use super::sentinel::{self, Sentinels};
use super::url::Schemes;
use super::{layout, servers};
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

/// What the two packages name differently.
pub(super) struct Package {
    /// Which it is.
    pub flavor: Flavor,
    /// Its name.
    pub name: &'static str,
    /// What its URLs begin with.
    pub schemes: Schemes,
    /// Everything that it looks for in OPTIONS.
    pub known: &'static [&'static str],
    /// What its settings outside CACHES begin with.
    pub beside: &'static str,
    /// For CLIENT_CLASS.
    pub clients: &'static Classes<Client>,
    /// For SERIALIZER.
    pub serializers: &'static Classes<Kind>,
    /// For COMPRESSOR.
    pub compressors: &'static Classes<(CompressorMethod, usize)>,
    /// Whether what cannot be decompressed is taken as it is, whatever the reason.
    pub forgives: bool,
    /// For CONNECTION_FACTORY.
    pub factories: &'static Classes<bool>,
    /// Whether SentinelClient asks Sentinels where no factory is named.
    pub sentinel_by_client: bool,
    /// For CONNECTION_POOL_CLASS.
    pub pools: &'static Classes<bool>,
    /// The option that names the client of the server, and the one with its arguments.
    pub base_client: [&'static str; 2],
    /// For the first of them.
    pub base_clients: &'static Classes<()>,
}

/// django-redis.
pub(super) const DJANGO_REDIS: Package = Package {
    flavor: Flavor::DjangoRedis,
    name: "django-redis",
    schemes: Schemes::Redis,
    known: &KNOWN,
    beside: "DJANGO_REDIS",
    clients: &CLIENTS,
    serializers: &SERIALIZERS,
    compressors: &COMPRESSORS,
    forgives: false,
    factories: &FACTORIES,
    sentinel_by_client: false,
    pools: &POOLS,
    base_client: ["REDIS_CLIENT_CLASS", "REDIS_CLIENT_KWARGS"],
    base_clients: &REDIS_CLIENTS,
};

/// Python's default pickle protocol, which django-redis writes (PK-1).
const DEFAULT_PROTOCOL: u8 = 4;

/// Which client: what the servers are to each other, and what is stored beside values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// DefaultClient.
    Default,
    /// HerdClient (DR-40).
    Herd,
    /// ShardClient (DR-50).
    Shard,
    /// SentinelClient (DR-31).
    Sentinel,
}

const CLIENTS: Classes<Client> = Classes {
    noun: "client",
    known: &[
        ("django_redis.client.DefaultClient", Client::Default),
        ("django_redis.client.default.DefaultClient", Client::Default),
        ("django_redis.client.HerdClient", Client::Herd),
        ("django_redis.client.herd.HerdClient", Client::Herd),
        ("django_redis.client.ShardClient", Client::Shard),
        ("django_redis.client.sharded.ShardClient", Client::Shard),
        ("django_redis.client.SentinelClient", Client::Sentinel),
        ("django_redis.client.sentinel.SentinelClient", Client::Sentinel),
    ],
    later: &[],
    home: "django_redis.",
    register: "",
};

const SERIALIZERS: Classes<Kind> = Classes {
    noun: "serializer",
    known: &[
        ("django_redis.serializers.pickle.PickleSerializer", Kind::Pickle),
        ("django_redis.serializers.json.JSONSerializer", Kind::Json),
        ("django_redis.serializers.msgpack.MSGPackSerializer", Kind::MsgPack),
    ],
    later: &[],
    home: "django_redis.",
    register: "larder_register_serializer",
};

/// A built-in serializer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pickle,
    Json,
    MsgPack,
}

/// A built-in compressor, and from which length on it is used (DR-12).
const COMPRESSORS: Classes<(CompressorMethod, usize)> = Classes {
    noun: "compressor",
    known: &[
        ("django_redis.compressors.identity.IdentityCompressor", (CompressorMethod::Identity, 0)),
        ("django_redis.compressors.zlib.ZlibCompressor", (CompressorMethod::Zlib, 15)),
        ("django_redis.compressors.gzip.GzipCompressor", (CompressorMethod::Gzip, 15)),
        ("django_redis.compressors.lz4.Lz4Compressor", (CompressorMethod::Lz4, 15)),
        ("django_redis.compressors.lzma.LzmaCompressor", (CompressorMethod::Lzma, 100)),
        ("django_redis.compressors.zstd.ZStdCompressor", (CompressorMethod::Zstd, 15)),
    ],
    later: &[],
    home: "django_redis.",
    register: "larder_register_compressor",
};

/// Whether Sentinels are asked.
const FACTORIES: Classes<bool> = Classes {
    noun: "connection factory",
    known: &[("django_redis.pool.ConnectionFactory", false), ("django_redis.pool.SentinelConnectionFactory", true)],
    later: &[],
    home: "django_redis.",
    register: "",
};

/// Whether it is one for Sentinels.
const POOLS: Classes<bool> = Classes {
    noun: "connection pool",
    known: &[
        ("redis.ConnectionPool", false),
        ("redis.connection.ConnectionPool", false),
        ("redis.BlockingConnectionPool", false),
        ("redis.connection.BlockingConnectionPool", false),
        ("redis.sentinel.SentinelConnectionPool", true),
    ],
    later: &[],
    home: "redis.",
    register: "",
};

const REDIS_CLIENTS: Classes<()> = Classes {
    noun: "Redis client",
    known: &[
        ("redis.Redis", ()),
        ("redis.StrictRedis", ()),
        ("redis.client.Redis", ()),
        ("redis.client.StrictRedis", ()),
    ],
    later: &["redis.RedisCluster", "redis.cluster.RedisCluster"],
    home: "redis.",
    register: "",
};

/// Reads what is this backend's own.
pub(super) fn read(entry: &Entry<'_>, own: &Own, package: &Package, report: &mut Report) -> Result<Built> {
    warn_of_unknown_names(entry, package, report);
    let classes = ClassNames::read(entry, package, report)?;
    let servers = servers_of(entry, &classes, package, report)?;
    let ignore_exceptions = ignore_exceptions(entry, package, report);
    if let Some(reason) = classes.lacking {
        // The URL may then have options that DefaultClient's have not (DR-31).
        let mut wanted = Wanted::of(&servers.0.url);
        wanted.sentinels = classes.sentinel.then(Arc::default);
        take_options(&mut wanted, entry, package, report)?;
        return Ok(Built { timeout: wanted.timeout, ..Built::plain(Family::NotBuiltIn { reason }) });
    }
    let mut options = |wanted: &mut Wanted, report: &mut Report| {
        if !classes.sentinel {
            return take_options(wanted, entry, package, report);
        }
        // their names are good ones only where there are Sentinels; what they are told is known afterwards
        wanted.sentinels = Some(Arc::default());
        take_options(wanted, entry, package, report)?;
        wanted.sentinels = Some(Arc::new(Sentinels::read(entry, wanted, report)?));
        Ok(())
    };
    let urls = std::iter::once(&servers.0).chain(&servers.1).map(|server| server.text.clone()).collect();
    let built = servers::build(package.flavor, servers, &mut options, own, ignore_exceptions, report)?;
    let built = Built { serializer: classes.serializer, compressor: classes.compressor, ..built };
    layout::arrange(built, classes.client, urls, entry, report)
}

/// LOCATION (DR-1). SentinelClient takes a text as one URL, and makes two servers of it (DR-31).
fn servers_of(
    entry: &Entry<'_>,
    classes: &ClassNames,
    package: &Package,
    report: &Report,
) -> Result<(servers::Server, Vec<servers::Server>)> {
    let location = entry.top("LOCATION");
    let one = classes.client == Client::Sentinel && location.as_ref().is_some_and(|setting| setting.value.is_string());
    let separators: &[char] = if one { &[] } else { &[','] };
    let servers = servers::read(location, &entry.place.at("LOCATION"), separators, package.schemes, report)?;
    Ok(if one { sentinel::both(servers.0) } else { servers })
}

/// What the settings that name classes say.
struct ClassNames {
    client: Client,
    serializer: Serializer,
    compressor: Compressor,
    /// Whether Sentinels are asked where the servers are.
    sentinel: bool,
    /// Why larder cannot do what one of them does.
    lacking: Option<String>,
}

impl ClassNames {
    fn read(entry: &Entry<'_>, package: &Package, report: &mut Report) -> Result<Self> {
        let values = Encoding::read(entry, package, DEFAULT_PROTOCOL, report)?;
        let mut read = Self {
            client: Client::Default,
            serializer: values.serializer,
            compressor: values.compressor,
            sentinel: false,
            lacking: values.lacking,
        };
        if let Some(client) = read.choose(package.clients, entry.option("CLIENT_CLASS"), &[], report)? {
            read.client = client;
        }
        let pool = read.choose(package.pools, entry.option("CONNECTION_POOL_CLASS"), &[], report)?;
        let [base_client, _] = package.base_client;
        read.choose(package.base_clients, entry.option(base_client), &[], report)?;
        // DR-4: the setting outside CACHES counts where the option is missing or empty.
        let factory = entry.option("CONNECTION_FACTORY").filter(|setting| is_true(setting.value));
        let factory = factory.or_else(|| entry.beside(&format!("{}_CONNECTION_FACTORY", package.beside)));
        let factory = read.choose(package.factories, factory, &[], report)?;
        read.sentinel = factory.unwrap_or(package.sentinel_by_client && read.client == Client::Sentinel);
        read.check_sentinels(pool, entry, package, report)?;
        Ok(read)
    }

    /// DR-33: the client, the factory and the pool are all for Sentinels, or none is. DefaultClient and the like can be
    /// used with such a factory.
    fn check_sentinels(
        &self,
        pool: Option<bool>,
        entry: &Entry<'_>,
        package: &Package,
        report: &mut Report,
    ) -> Result<()> {
        let option = |name: &str| entry.place.at("OPTIONS").at(name);
        let of_sentinels = package.factories.known.iter().find(|(_, asks)| *asks).map_or("", |(name, _)| *name);
        let factory = format!("\"CONNECTION_FACTORY\": \"{of_sentinels}\"");
        match (self.sentinel, pool) {
            (false, _) if self.client == Client::Sentinel => Err(option("CLIENT_CLASS").error(format_args!(
                "needs {factory} beside it (or the setting {}_CONNECTION_FACTORY beside CACHES)",
                package.beside
            ))),
            (false, Some(true)) => {
                Err(option("CONNECTION_POOL_CLASS").error(format_args!("needs {factory} beside it")))
            }
            (true, Some(false)) => {
                let pool = package.pools.known.iter().find(|(_, asks)| *asks).map_or("", |(name, _)| *name);
                let reason = format!("is no pool for Sentinels; leave it out, or name {pool}");
                Err(option("CONNECTION_POOL_CLASS").error(reason))
            }
            (false, _) => {
                sentinel::warn_of_unused(entry, &factory, report);
                Ok(())
            }
            (true, _) => Ok(()),
        }
    }

    fn choose<T: Clone>(
        &mut self,
        classes: &Classes<T>,
        setting: Option<Setting<'_>>,
        own: &[Arc<str>],
        report: &Report,
    ) -> Result<Option<T>> {
        let Some(setting) = setting else { return Ok(None) };
        match classes.choose(&setting, own, report)? {
            Chosen::Known(known) => Ok(Some(known)),
            Chosen::Own(_) => Ok(None),
            Chosen::Lacking(reason) => {
                self.lacking.get_or_insert(reason);
                Ok(None)
            }
        }
    }
}

/// The options that say how to connect, and then CONNECTION_POOL_KWARGS, which beat them.
fn take_options(wanted: &mut Wanted, entry: &Entry<'_>, package: &Package, report: &mut Report) -> Result<()> {
    let credential = |name: &str| match entry.option(name) {
        Some(setting) if package.known.contains(&name) => secret(&setting),
        _ => Ok(None),
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
    for name in ["CONNECTION_POOL_KWARGS", package.base_client[1]] {
        let Some(setting) = entry.option(name) else { continue };
        // a text in its place is likely to be a password
        let arguments = Setting { secret: setting.value.is_string(), ..setting.clone() }.object(report)?;
        if name == "CONNECTION_POOL_KWARGS" {
            wanted.take_arguments(arguments, &setting.place, report)?;
        }
    }
    Ok(())
}

/// IGNORE_EXCEPTIONS, else DJANGO_REDIS_IGNORE_EXCEPTIONS, by Python's truth (DR-4, DR-15).
fn ignore_exceptions(entry: &Entry<'_>, package: &Package, report: &mut Report) -> bool {
    let beside = || entry.beside(&format!("{}_IGNORE_EXCEPTIONS", package.beside));
    let setting = entry.option("IGNORE_EXCEPTIONS").or_else(beside);
    setting.is_some_and(|setting| {
        if setting.value.is_string() {
            report.warn(&setting.place, "is a text; every text but the empty one counts as true, as in Django");
        }
        is_true(setting.value)
    })
}

/// django-redis ignores what it does not look for.
fn warn_of_unknown_names(entry: &Entry<'_>, package: &Package, report: &mut Report) {
    let known = package.known;
    for (name, setting) in entry.options() {
        match name {
            "MAX_ENTRIES" | "CULL_FREQUENCY" => report.warn(&setting.place, "has no effect with this backend"), // P-12
            _ if known.contains(&name) => {}
            _ => {
                let of_redis_py = connection::KNOWN.contains(&name);
                let same = known.iter().any(|known| known.eq_ignore_ascii_case(name));
                let hint = if of_redis_py && !same {
                    "; it belongs in OPTIONS.CONNECTION_POOL_KWARGS".to_owned()
                } else {
                    did_you_mean(name, known).to_string()
                };
                report.warn(&setting.place, format_args!("is ignored, as in {}: unknown name{hint}", package.name));
            }
        }
    }
}
