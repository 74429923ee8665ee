//! Every serializer, compressor and client of django-redis and django-valkey, as aliases.

use serde_json::{Value, json};

use super::common::redis::RedisServer;
use super::common::sentinels::Service;

/// What the servers of an alias are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One.
    One,
    /// One, with HerdClient.
    Herd,
    /// Three with ShardClient.
    Ring,
    /// A primary and its replica.
    Replicas,
    /// The same, found through a Sentinel.
    Sentinel,
}

pub const LAYOUTS: [Layout; 5] = [Layout::One, Layout::Herd, Layout::Ring, Layout::Replicas, Layout::Sentinel];

const SERIALIZERS: [&str; 3] = ["pickle.PickleSerializer", "json.JSONSerializer", "msgpack.MSGPackSerializer"];
const MSGSPEC: [&str; 2] = ["msgspec.MsgSpecJsonSerializer", "msgspec.MsgSpecMsgPackSerializer"];
const COMPRESSORS: [&str; 6] = [
    "identity.IdentityCompressor",
    "zlib.ZlibCompressor",
    "gzip.GzipCompressor",
    "lzma.LzmaCompressor",
    "lz4.Lz4Compressor",
    "zstd.ZStdCompressor",
];
const OF_VALKEY: [&str; 2] = ["bz2.Bz2Compressor", "brotli.BrotliCompressor"];

/// The servers.
pub struct Servers {
    one: RedisServer,
    other: RedisServer,
    service: Service,
}

impl Servers {
    pub fn start() -> Self {
        let servers = Self {
            one: RedisServer::start(),
            other: RedisServer::start(),
            service: Service::start("shop", 1, 1, None),
        };
        // a busy machine is no failure
        let patient: [&[u8]; 5] = [b"SENTINEL", b"SET", b"shop", b"down-after-milliseconds", b"600000"];
        assert_eq!(servers.service.ask(&servers.service.sentinels[0], &patient), "OK");
        servers.settle();
        servers
    }

    /// Waits until the replica has what the primary has.
    pub fn settle(&self) {
        let mut client = super::common::redis::RedisClient::connect(self.service.servers[0].port);
        client.command(&[b"SET", b"mark", b"1"]); // WAIT counts from this connection's last write on
        assert_eq!(client.command(&[b"WAIT", b"1", b"20000"]), b"1", "the replica does not follow");
    }

    /// LOCATION.
    fn location(&self, package: &str, layout: Layout) -> Value {
        match layout {
            Layout::One | Layout::Herd => json!(self.one.url(0)),
            Layout::Ring => json!([self.one.url(1), self.other.url(0), self.other.url(1)]),
            Layout::Replicas => {
                self.service.servers.iter().map(|server| format!("redis://127.0.0.1:{}/0", server.port)).collect()
            }
            Layout::Sentinel if package == "django_redis" => json!("redis://shop/0"),
            // Its SentinelClient makes two replicas of such a URL, and cannot write.
            Layout::Sentinel => json!(["valkey://shop/0?is_master=1", "valkey://shop/0?is_master=0"]),
        }
    }
}

/// An alias of both sides.
pub struct Alias {
    pub name: String,
    pub layout: Layout,
    pub entry: Value,
}

/// All of them.
pub fn aliases(servers: &Servers) -> Vec<Alias> {
    let mut all = Vec::new();
    for layout in LAYOUTS {
        for compressor in COMPRESSORS {
            for protocol in 0..=5 {
                all.push(alias(servers, "django_redis", layout, SERIALIZERS[0], compressor, Some(protocol)));
            }
            for serializer in &SERIALIZERS[1..] {
                if layout != Layout::Herd {
                    all.push(alias(servers, "django_redis", layout, serializer, compressor, None)); // DR-40
                }
            }
        }
        for compressor in COMPRESSORS.iter().chain(&OF_VALKEY) {
            all.push(alias(servers, "django_valkey", layout, SERIALIZERS[0], compressor, None));
        }
    }
    for compressor in COMPRESSORS.iter().chain(&OF_VALKEY) {
        for serializer in SERIALIZERS[1..].iter().chain(&MSGSPEC) {
            all.push(alias(servers, "django_valkey", Layout::One, serializer, compressor, None));
        }
    }
    all
}

fn alias(
    servers: &Servers,
    package: &str,
    layout: Layout,
    serializer: &str,
    compressor: &str,
    protocol: Option<u8>,
) -> Alias {
    let client = match layout {
        Layout::Sentinel if package == "django_redis" => "SentinelClient",
        Layout::One | Layout::Replicas | Layout::Sentinel => "DefaultClient",
        Layout::Herd => "HerdClient",
        Layout::Ring => "ShardClient",
    };
    let backend =
        if package == "django_redis" { "django_redis.cache.RedisCache" } else { "django_valkey.cache.ValkeyCache" };
    let short = |path: &str| path.split('.').next_back().unwrap_or_default().to_owned();
    let protocol_name = protocol.map_or_else(String::new, |protocol| format!(" {protocol}"));
    let name = format!("{package} {layout:?} {}{protocol_name} {}", short(serializer), short(compressor));
    let mut options = json!({
        "CLIENT_CLASS": format!("{package}.client.{client}"),
        "SERIALIZER": format!("{package}.serializers.{serializer}"),
        "COMPRESSOR": format!("{package}.compressors.{compressor}"),
    });
    if let Some(protocol) = protocol {
        options["PICKLE_VERSION"] = protocol.into();
    }
    if layout == Layout::Sentinel {
        options["CONNECTION_FACTORY"] = format!("{package}.pool.SentinelConnectionFactory").into();
        options["SENTINELS"] = servers.service.sentinels();
    }
    let prefix = name.replace(' ', "-");
    let entry = json!({"BACKEND": backend, "LOCATION": servers.location(package, layout), "KEY_PREFIX": prefix, "OPTIONS": options});
    Alias { name, layout, entry }
}
