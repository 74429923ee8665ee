//! The compressors: golden data, the Python classes themselves, damage and bombs (DR-11, DR-12, 1.16, pitfall 9).

#![cfg(feature = "compressors")]
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

mod bombs;
mod damage;
mod golden;
mod python;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use common::python::Partner;
use larder::codec::compress::{Compressor, Method};
use larder::error::Result;
use larder::value::Limits;
use serde_json::{Value, json};

/// The compressors by the names of their modules; the last two are django-valkey's only.
const KINDS: [&str; 7] = ["zlib", "gzip", "lzma", "lz4", "zstd", "bz2", "brotli"];

/// As its class is: whichever error django-valkey meets, the bytes are taken as they are.
fn compressor(kind: &str) -> Compressor {
    let method = match kind {
        "zlib" => Method::Zlib,
        "gzip" => Method::Gzip,
        "lzma" => Method::Lzma,
        "lz4" => Method::Lz4,
        "zstd" => Method::Zstd,
        "bz2" => Method::Bz2,
        "brotli" => Method::Brotli,
        other => panic!("no compressor is called {other}"),
    };
    let min_length = if kind == "lzma" { 100 } else { 15 };
    Compressor { method, min_length, forgives: matches!(kind, "bz2" | "brotli") }
}

fn packed(kind: &str, value: &[u8]) -> Vec<u8> {
    compressor(kind).compress(value.to_vec(), &Limits::default()).unwrap()
}

fn unpacked(kind: &str, stored: &[u8], limit: usize) -> Result<Bytes> {
    let limits = Limits { bytes: limit, ..Limits::default() };
    compressor(kind).decompress(&Bytes::copy_from_slice(stored), &limits)
}

fn b64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn from_b64(text: &Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().expect("base64")).expect("base64")
}

fn partner() -> Partner {
    Partner::start("codec_compressors/partner.py")
}

/// What the Python class makes of stored bytes: `None` is an error.
fn read_by_python(partner: &mut Partner, kind: &str, stored: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    let texts: Vec<String> = stored.iter().map(|bytes| b64(bytes)).collect();
    let answer = partner.must("decompress", json!({"kind": kind, "stored": texts}));
    let outcomes = answer.as_array().unwrap();
    assert_eq!(outcomes.len(), stored.len());
    let taken = |(outcome, stored): (&Value, &Vec<u8>)| match outcome {
        Value::Bool(true) => Some(stored.clone()),
        Value::Bool(false) => None,
        value => Some(from_b64(value)),
    };
    outcomes.iter().zip(stored).map(taken).collect()
}

/// Values of many lengths and kinds: texts that repeat, noise, zeros.
fn values() -> Vec<Vec<u8>> {
    let mut random = common::random::Random(7);
    let mut values = Vec::new();
    for size in [0, 1, 14, 15, 16, 17, 99, 100, 101, 255, 256, 1000, 4096, 65_535, 65_536, 65_537, 300_000, 1 << 20] {
        let word = random.bytes(1 + size / 7 % 50, b'a'..=b'z');
        values.push(word.iter().copied().cycle().take(size).collect());
        values.push(random.bytes(size, 0..=255));
        values.push(vec![0; size]);
    }
    values
}
