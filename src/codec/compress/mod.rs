//! The compressors of django-redis and django-valkey (DR-12, 1.16).

use bytes::Bytes;

use super::own::SharedCompress;
use crate::error::{Error, Kind, Result};
use crate::value::Limits;

/// Which compressor.
#[derive(Clone)]
pub enum Method {
    /// None.
    Identity,
    /// `zlib.compress`.
    Zlib,
    /// `gzip.compress`.
    Gzip,
    /// `lzma.compress`: .xz, and .lzma is read too.
    Lzma,
    /// `lz4.frame.compress`.
    Lz4,
    /// `pyzstd.compress`.
    Zstd,
    /// `bz2.compress` (django-valkey).
    Bz2,
    /// `brotli.compress` (django-valkey).
    Brotli,
    /// What a program has plugged in.
    Own(SharedCompress),
}

/// A compressor, and from which length on it is used.
#[derive(Clone)]
pub struct Compressor {
    /// Which.
    pub method: Method,
    /// Only what is longer is compressed, in bytes.
    pub min_length: usize,
    /// Whether what cannot be decompressed, for whatever reason, is taken as it is (1.16); else only what does not look
    /// compressed (DR-12).
    pub forgives: bool,
}

impl Compressor {
    /// No compression.
    pub const fn none() -> Self {
        Self { method: Method::Identity, min_length: 0, forgives: false }
    }

    /// Whether nothing is ever compressed.
    pub fn is_none(&self) -> bool {
        matches!(self.method, Method::Identity)
    }

    /// What is stored for serialised bytes.
    pub fn compress(&self, serialised: Vec<u8>, _limits: &Limits) -> Result<Vec<u8>> {
        match &self.method {
            Method::Identity => Ok(serialised),
            Method::Own(own) if serialised.len() > self.min_length => own.compress(&serialised),
            _ => Err(Error::new(Kind::Config, "this compressor is not there yet")),
        }
    }

    /// The serialised bytes of what is stored: those that were compressed, else the same (DR-11).
    pub fn decompress(&self, stored: &Bytes, limits: &Limits) -> Result<Bytes> {
        match &self.method {
            Method::Identity => Ok(stored.clone()),
            Method::Own(own) => Ok(own.decompress(stored, limits.bytes)?.map_or_else(|| stored.clone(), Bytes::from)),
            _ => Err(Error::new(Kind::Config, "this compressor is not there yet")),
        }
    }
}
