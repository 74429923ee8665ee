//! The caches that values are carried between, as their codecs.

use std::sync::Arc;

use bytes::Bytes;
use larder::codec::compress::{Compressor, Method};
use larder::codec::own::{Given, Serialize};
use larder::codec::{Codec, Form, Input, Serializer};
use larder::error::Result;
use larder::value::{Limits, Tree};

/// A cache: what it is called, and how it stores.
pub struct Cache {
    pub form: &'static str,
    pub serializer: &'static str,
    pub compressor: &'static str,
    pub codec: Codec,
}

/// A program's own serializer: JSON behind a mark.
struct Marked;

impl Serialize for Marked {
    fn dumps(&self, input: Input<'_>, limits: &Limits) -> Result<Vec<u8>> {
        let json = Codec { serializer: Serializer::Json, ..Codec::pickling(4, Form::Pickle, *limits) };
        Ok([b"own:", &json.encode(input)?.bytes[..]].concat())
    }

    fn loads(&self, serialised: &Bytes, limits: &Limits) -> Result<Tree> {
        Given::Json(serialised.strip_prefix(b"own:").unwrap_or_default().to_vec()).tree(limits)
    }
}

/// Every form with every serializer that it has, and some of the compressors with some of them.
pub fn all() -> Vec<Cache> {
    let serializers = |form: &str| match form {
        "redis" | "valkey" => vec!["pickle", "json", "msgpack", "own"],
        _ => vec!["pickle"],
    };
    let mut caches = Vec::new();
    for (form, is) in [
        ("pickle", Form::Pickle),
        ("redis", Form::RedisIntegers),
        ("valkey", Form::ValkeyNumbers),
        ("pymemcache", Form::PyMemcache { compressed: false }),
        ("compressed", Form::PyMemcache { compressed: true }),
        ("pylibmc", Form::PyLibMc),
        ("diskcache", Form::DiskCache),
        ("pyotdisk", Form::PyotDisk),
    ] {
        let own: Arc<dyn Serialize> = Arc::new(Marked);
        for serializer in serializers(form) {
            let compressors: &[&str] = match (form, serializer) {
                ("redis", "pickle") => &["identity", "zlib", "lzma", "lz4", "gzip"],
                ("valkey", "pickle") => &["identity", "brotli", "bz2"],
                ("redis", _) => &["identity", "zlib"],
                _ => &["identity"],
            };
            for compressor in compressors {
                let method = match *compressor {
                    "zlib" => Method::Zlib,
                    "lzma" => Method::Lzma,
                    "lz4" => Method::Lz4,
                    "gzip" => Method::Gzip,
                    "brotli" => Method::Brotli,
                    "bz2" => Method::Bz2,
                    _ => Method::Identity,
                };
                let codec = Codec {
                    form: is,
                    serializer: match serializer {
                        "json" => Serializer::Json,
                        "msgpack" => Serializer::MsgPack,
                        "own" => Serializer::Own(own.clone()),
                        _ => Serializer::Pickle(if form == "redis" { 4 } else { 5 }),
                    },
                    compressor: Compressor { method, min_length: 15, forgives: form == "valkey" },
                    limits: Limits::default(),
                };
                caches.push(Cache { form, serializer, compressor, codec });
            }
        }
    }
    caches
}

impl std::fmt::Display for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} with {}", self.form, self.serializer, self.compressor)
    }
}
