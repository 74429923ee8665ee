//! Serializers other than today's pickles: JSON, MessagePack, protocols 0 and 1, and django-valkey's numbers, against
//! golden data, the real packages and hostile bytes (DR-13, 1.16, pitfalls 9 and 10).

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may say plainly what must not happen"
)]

#[path = "../common/alone.rs"]
mod alone;
#[path = "../codec_support/mod.rs"]
mod codec_support;
#[path = "../common/python.rs"]
#[allow(dead_code, reason = "this test program does not call caches")]
mod python;
#[path = "../common/random.rs"]
#[allow(dead_code, reason = "this test program takes what it needs")]
mod random;

mod bombs;
mod golden;
mod properties;
mod trees;
mod twins;

use bytes::Bytes;
use larder::codec::{Codec, Form, Serializer, json, msgpack};
use larder::error::Result;
use larder::value::{Limits, Tree};

fn codec(serializer: Serializer, form: Form) -> Codec {
    Codec { serializer, ..Codec::pickling(4, form, Limits::default()) }
}

fn redis(serializer: Serializer) -> Codec {
    codec(serializer, Form::RedisIntegers)
}

fn decode(codec: &Codec, bytes: &[u8]) -> Result<Tree> {
    codec.decode(&Bytes::copy_from_slice(bytes).into())
}

/// What a serializer writes for a tree, wherever that comes from.
fn write(serializer: &Serializer, tree: &Tree) -> Result<Vec<u8>> {
    match serializer {
        Serializer::Json => json::serialise_tree(tree, &Limits::default()),
        _ => msgpack::write(tree, &Limits::default()),
    }
}

/// The golden configurations without compression that are told from each other by their serializer.
const CONFIGS: [(&str, Serializer); 4] = [
    ("django_redis json identity", Serializer::Json),
    ("django_redis msgpack identity", Serializer::MsgPack),
    ("django_redis pickle PICKLE_VERSION=0 identity", Serializer::Pickle(0)),
    ("django_redis pickle PICKLE_VERSION=1 identity", Serializer::Pickle(1)),
];
