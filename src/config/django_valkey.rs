//! `django_valkey.cache.ValkeyCache` (1.16): django-redis under other names, and with compressors of its own.

use super::alias::{Compressor, CompressorMethod, Family, Flavor};
use super::class::Classes;
use super::django_redis::{self, Client, Kind, Package};
use super::entry::{Built, Entry};
use super::own::Own;
use super::place::{Report, Setting};
use super::python::is_true;
use super::url::Schemes;
use crate::error::Result;

/// Everything that django-valkey looks for in OPTIONS. There is no USERNAME.
const KNOWN: [&str; 19] = [
    "CLIENT_CLASS",
    "IGNORE_EXCEPTIONS",
    "LOG_IGNORE_EXCEPTIONS",
    "REPLICA_READ_ONLY",
    "SERIALIZER",
    "PICKLE_VERSION",
    "COMPRESSOR",
    "PASSWORD",
    "SOCKET_TIMEOUT",
    "SOCKET_CONNECT_TIMEOUT",
    "PARSER_CLASS",
    "CONNECTION_FACTORY",
    "CONNECTION_POOL_CLASS",
    "CONNECTION_POOL_KWARGS",
    "BASE_CLIENT_CLASS",
    "BASE_CLIENT_KWARGS",
    "SENTINELS",
    "SENTINEL_KWARGS",
    "CLOSE_CONNECTION",
];

/// From which length on all its compressors are used, where CACHE_COMPRESS_MIN_LENGTH says nothing.
const MIN_LENGTH: usize = 15;

const CLIENTS: Classes<Client> = Classes {
    noun: "client",
    known: &[
        ("django_valkey.client.DefaultClient", Client::Default),
        ("django_valkey.client.default.DefaultClient", Client::Default),
        // Its hash commands are no operations of a cache.
        ("django_valkey.client.default.HashClient", Client::Default),
        ("django_valkey.client.HerdClient", Client::Herd),
        ("django_valkey.client.herd.HerdClient", Client::Herd),
        ("django_valkey.client.ShardClient", Client::Shard),
        ("django_valkey.client.sharded.ShardClient", Client::Shard),
        ("django_valkey.client.SentinelClient", Client::Sentinel),
        ("django_valkey.client.sentinel.SentinelClient", Client::Sentinel),
    ],
    later: &[
        "django_valkey.async_cache.client.AsyncDefaultClient",
        "django_valkey.async_cache.client.default.AsyncDefaultClient",
        "django_valkey.async_cache.client.AsyncHerdClient",
        "django_valkey.async_cache.client.herd.AsyncHerdClient",
        "django_valkey.async_cache.client.AsyncSentinelClient",
        "django_valkey.async_cache.client.sentinel.AsyncSentinelClient",
        "django_valkey.cluster_cache.client.DefaultClusterClient",
        "django_valkey.cluster_cache.client.default.DefaultClusterClient",
    ],
    home: "django_valkey.",
    register: "",
};

const SERIALIZERS: Classes<Kind> = Classes {
    noun: "serializer",
    known: &[
        ("django_valkey.serializers.pickle.PickleSerializer", Kind::Pickle),
        ("django_valkey.serializers.json.JSONSerializer", Kind::Json),
        ("django_valkey.serializers.msgpack.MSGPackSerializer", Kind::MsgPack),
        ("django_valkey.serializers.msgspec.MsgSpecJsonSerializer", Kind::Json),
        ("django_valkey.serializers.msgspec.MsgSpecMsgPackSerializer", Kind::MsgPack),
    ],
    later: &[],
    home: "django_valkey.",
    register: "larder_register_serializer",
};

const COMPRESSORS: Classes<(CompressorMethod, usize)> = Classes {
    noun: "compressor",
    known: &[
        ("django_valkey.compressors.identity.IdentityCompressor", (CompressorMethod::Identity, MIN_LENGTH)),
        ("django_valkey.compressors.zlib.ZlibCompressor", (CompressorMethod::Zlib, MIN_LENGTH)),
        ("django_valkey.compressors.gzip.GzipCompressor", (CompressorMethod::Gzip, MIN_LENGTH)),
        ("django_valkey.compressors.lz4.Lz4Compressor", (CompressorMethod::Lz4, MIN_LENGTH)),
        ("django_valkey.compressors.lzma.LzmaCompressor", (CompressorMethod::Lzma, MIN_LENGTH)),
        ("django_valkey.compressors.zstd.ZStdCompressor", (CompressorMethod::Zstd, MIN_LENGTH)),
        ("django_valkey.compressors.bz2.Bz2Compressor", (CompressorMethod::Bz2, MIN_LENGTH)),
        ("django_valkey.compressors.brotli.BrotliCompressor", (CompressorMethod::Brotli, MIN_LENGTH)),
    ],
    later: &[],
    home: "django_valkey.",
    register: "larder_register_compressor",
};

const FACTORIES: Classes<bool> = Classes {
    noun: "connection factory",
    known: &[("django_valkey.pool.ConnectionFactory", false), ("django_valkey.pool.SentinelConnectionFactory", true)],
    later: &[
        "django_valkey.async_cache.pool.AsyncConnectionFactory",
        "django_valkey.async_cache.pool.AsyncSentinelConnectionFactory",
        "django_valkey.cluster_cache.pool.ClusterConnectionFactory",
    ],
    home: "django_valkey.",
    register: "",
};

const POOLS: Classes<bool> = Classes {
    noun: "connection pool",
    known: &[
        ("valkey.ConnectionPool", false),
        ("valkey.connection.ConnectionPool", false),
        ("valkey.BlockingConnectionPool", false),
        ("valkey.connection.BlockingConnectionPool", false),
        ("valkey.sentinel.SentinelConnectionPool", true),
    ],
    later: &[],
    home: "valkey.",
    register: "",
};

const BASE_CLIENTS: Classes<()> = Classes {
    noun: "Valkey client",
    known: &[
        ("valkey.Valkey", ()),
        ("valkey.StrictValkey", ()),
        ("valkey.client.Valkey", ()),
        ("valkey.client.StrictValkey", ()),
    ],
    later: &["valkey.ValkeyCluster", "valkey.cluster.ValkeyCluster"],
    home: "valkey.",
    register: "",
};

const PACKAGE: Package = Package {
    flavor: Flavor::DjangoValkey,
    name: "django-valkey",
    schemes: Schemes::Valkey,
    known: &KNOWN,
    beside: "DJANGO_VALKEY",
    clients: &CLIENTS,
    serializers: &SERIALIZERS,
    compressors: &COMPRESSORS,
    forgives: true,
    factories: &FACTORIES,
    sentinel_by_client: true,
    pools: &POOLS,
    base_client: ["BASE_CLIENT_CLASS", "BASE_CLIENT_KWARGS"],
    base_clients: &BASE_CLIENTS,
};

/// Settings beside CACHES that make one compressor write another form: its class, the setting, and the value that
/// changes nothing.
const FORMS: [(CompressorMethod, &str, i64); 6] = [
    (CompressorMethod::Zlib, "COMPRESS_ZLIB_WBITS", 15),
    (CompressorMethod::Lzma, "COMPRESS_LZMA_FORMAT", 1),
    (CompressorMethod::Lzma, "COMPRESS_LZMA_FILTERS", 0),
    (CompressorMethod::Lzma, "DECOMPRESS_LZMA_FILTERS", 0),
    (CompressorMethod::Zstd, "COMPRESS_ZSTD_DICT", 0),
    (CompressorMethod::Zstd, "DECOMPRESS_ZSTD_DICT", 0),
];

/// Reads what is this backend's own.
pub(super) fn read(entry: &Entry<'_>, own: &Own, report: &mut Report) -> Result<Built> {
    let mut built = django_redis::read(entry, own, &PACKAGE, report)?;
    take_min_length(entry, &mut built.compressor, report)?;
    if let Some(setting) = other_form(entry, &built.compressor)
        && !matches!(built.family, Family::NotBuiltIn { .. })
    {
        let reason = format!("{}: this version of larder has only the default of this compressor", setting.place);
        built.family = Family::NotBuiltIn { reason };
    }
    Ok(built)
}

/// CACHE_COMPRESS_MIN_LENGTH, which counts for every compressor but a program's own.
fn take_min_length(entry: &Entry<'_>, compressor: &mut Compressor, report: &Report) -> Result<()> {
    let Some(setting) = entry.beside("CACHE_COMPRESS_MIN_LENGTH") else { return Ok(()) };
    let number = setting.value.as_f64().filter(|number| !number.is_nan());
    let number = number.ok_or_else(|| setting.must_be("a number of bytes", report))?;
    // A length is more than 15.5 where it is more than 15. What is negative is less than any length: as with 0, only the
    // empty text would differ, and no serializer makes one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, as it should")]
    let number = number.max(0.0) as usize;
    compressor.min_length = number;
    Ok(())
}

/// A setting that makes the alias's compressor write what larder cannot.
fn other_form<'a>(entry: &Entry<'a>, compressor: &Compressor) -> Option<Setting<'a>> {
    let of_this = FORMS.iter().filter(|(method, ..)| *method == compressor.method);
    of_this
        .filter_map(|(_, name, usual)| entry.beside(name).map(|setting| (setting, *usual)))
        .find(|(setting, usual)| is_true(setting.value) && setting.value.as_i64() != Some(*usual))
        .map(|(setting, _)| setting)
}
