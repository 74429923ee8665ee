//! Stored values of one cache, made into the stored form of another: `Codec::carry` and `Store::carry`.
#![cfg(all(
    feature = "redis",
    feature = "memcached",
    feature = "diskcache",
    feature = "compressors",
    feature = "file"
))]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may say plainly what must not happen"
)]

#[path = "../codec_support/mod.rs"]
mod codec_support;
#[path = "../common/mod.rs"]
mod common;
mod forms;
mod python_reads;
mod stores;
mod values;
