//! The compressors of django-redis and django-valkey (DR-12, 1.16).
//!
//! Reading decides as Python does whether bytes "were not compressed", so that a compressor can be switched on while
//! old values are still stored. What unpacks to more than the limit is always an error, never taken as it is.
//!
//! Memory follows what is really unpacked, whatever a header promises: the output at most doubles, and beside it stand
//! at most 48 KiB (zlib, gzip), as much as the output again (lzma, whose dictionary grows with it), 13 MiB (lz4: blocks
//! of 4 MiB), 128 MiB (zstd: a window of 2**27, as Python's readers allow), 4 MiB (bz2) or 16 MiB (brotli: windows of
//! 2**24, no "large windows", as in Python). Those are the largest settings that Python's writers have, but for zstd's
//! `--long=28` and above.

use bytes::Bytes;

#[cfg(feature = "compressors")]
mod brotli;
#[cfg(feature = "compressors")]
mod bz2;
#[cfg(feature = "compressors")]
mod gzip;
#[cfg(feature = "compressors")]
mod lz4;
#[cfg(feature = "compressors")]
mod lzma;
#[cfg(feature = "compressors")]
mod zstd;

use super::own::SharedCompress;
use crate::error::{Error, Kind, Result};
#[cfg(feature = "compressors")]
use crate::unpack::{Fault, Room};
use crate::value::Limits;
#[cfg(feature = "compressors")]
use crate::zlib;

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
    ///
    /// # Errors
    ///
    /// What a compressor of the program's own says; [`Kind::TooBig`] for what the limit lets nobody read again;
    /// [`Kind::Memory`].
    pub fn compress(&self, serialised: Vec<u8>, limits: &Limits) -> Result<Vec<u8>> {
        match &self.method {
            Method::Identity => Ok(serialised),
            _ if serialised.len() <= self.min_length => Ok(serialised), // DR-12
            Method::Own(own) => own.compress(&serialised, limits.bytes),
            built_in => {
                let packed = pack(built_in, &serialised)?;
                if packed.len() > limits.bytes {
                    // what cannot be packed gets longer, and would not be read again
                    let reason = format!("the compressed value is larger than the limit of {} bytes", limits.bytes);
                    return Err(Error::new(Kind::TooBig, reason));
                }
                Ok(packed)
            }
        }
    }

    /// The serialised bytes of what is stored: those that were compressed, else the same (DR-11).
    ///
    /// # Errors
    ///
    /// [`Kind::TooBig`] for what unpacks to more than the limit;
    /// [`Kind::Undecodable`] for what begins as compressed and is broken, where Python
    /// raises; what a compressor of the program's own says.
    pub fn decompress(&self, stored: &Bytes, limits: &Limits) -> Result<Bytes> {
        match &self.method {
            Method::Identity => Ok(stored.clone()),
            Method::Own(own) => Ok(own.decompress(stored, limits.bytes)?.map_or_else(|| stored.clone(), Bytes::from)),
            built_in => match unpack(built_in, stored, limits.bytes) {
                Ok(serialised) => Ok(serialised.into()),
                Err(Failed::NotCompressed) => Ok(stored.clone()),
                Err(Failed::Broken(_)) if self.forgives => Ok(stored.clone()), // 1.16
                Err(Failed::Broken(error) | Failed::Refused(error)) => Err(error),
            },
        }
    }
}

/// Why nothing was unpacked.
#[cfg_attr(not(feature = "compressors"), allow(dead_code))]
enum Failed {
    /// The bytes are taken as they are.
    NotCompressed,
    /// An error with django-redis; with django-valkey the bytes are taken as they are.
    Broken(Error),
    /// An error everywhere.
    Refused(Error),
}

#[cfg(feature = "compressors")]
impl Failed {
    /// What Python's `CompressorError` is made of: broken bytes "were not compressed".
    fn forgiving(fault: Fault, limit: usize) -> Self {
        match fault {
            Fault::Broken | Fault::CutShort => Self::NotCompressed,
            Fault::TooBig | Fault::ManyStreams | Fault::NoMemory => {
                Self::Refused(fault.error("the compressed value", limit))
            }
        }
    }

    /// Broken bytes are broken.
    fn strict(fault: Fault, limit: usize) -> Self {
        let error = fault.error("the compressed value", limit);
        match fault {
            Fault::Broken | Fault::CutShort => Self::Broken(error),
            Fault::TooBig | Fault::ManyStreams | Fault::NoMemory => Self::Refused(error),
        }
    }
}

#[cfg(feature = "compressors")]
fn pack(method: &Method, serialised: &[u8]) -> Result<Vec<u8>> {
    let packed = match method {
        Method::Zlib => zlib_packed(serialised),
        Method::Gzip => gzip::pack(serialised),
        Method::Lzma => lzma::pack(serialised),
        Method::Lz4 => lz4::pack(serialised),
        Method::Zstd => zstd::pack(serialised),
        Method::Bz2 => bz2::pack(serialised),
        Method::Brotli => brotli::pack(serialised),
        Method::Identity | Method::Own(_) => Ok(serialised.to_vec()),
    };
    packed.map_err(|fault| fault.error("the value", usize::MAX))
}

#[cfg(feature = "compressors")]
fn zlib_packed(serialised: &[u8]) -> std::result::Result<Vec<u8>, Fault> {
    let mut packed = Vec::new();
    zlib::pack(serialised, zlib::Wrap::Zlib, 6, &mut packed)?;
    Ok(packed)
}

#[cfg(feature = "compressors")]
fn unpack(method: &Method, stored: &[u8], limit: usize) -> std::result::Result<Vec<u8>, Failed> {
    let unpacked = match method {
        // Whatever follows the stream is ignored, as by zlib.decompress.
        Method::Zlib => zlib::value(stored, limit),
        Method::Gzip => return gzip::unpack(stored, limit),
        Method::Lzma => lzma::unpack(stored, limit),
        Method::Lz4 => lz4::unpack(stored, limit),
        Method::Zstd => zstd::unpack(stored, limit),
        Method::Bz2 => return bz2::unpack(stored, limit).map_err(|fault| Failed::strict(fault, limit)),
        Method::Brotli => return brotli::unpack(stored, limit).map_err(|fault| Failed::strict(fault, limit)),
        Method::Identity | Method::Own(_) => return Err(Failed::NotCompressed),
    };
    unpacked.map_err(|fault| Failed::forgiving(fault, limit))
}

#[cfg(not(feature = "compressors"))]
fn not_built_in() -> Error {
    Error::new(Kind::Config, "larder was built without the feature \"compressors\"")
}

#[cfg(not(feature = "compressors"))]
fn pack(_: &Method, _: &[u8]) -> Result<Vec<u8>> {
    Err(not_built_in())
}

#[cfg(not(feature = "compressors"))]
fn unpack(_: &Method, _: &[u8], _: usize) -> std::result::Result<Vec<u8>, Failed> {
    Err(Failed::Refused(not_built_in()))
}

/// So many streams of bz2 or lzma are read in one value: each needs a new decoder, which costs much more than the few bytes of
/// an empty stream.
#[cfg(feature = "compressors")]
const MAX_STREAMS: usize = 1000;

/// Room for what a stream is expected to unpack to: memory is taken for what comes, not for what was promised.
#[cfg(feature = "compressors")]
fn room(stored: &[u8], limit: usize) -> std::result::Result<Room, Fault> {
    Room::new(zlib::expected(stored), limit)
}

/// Space for a packed value.
#[cfg(feature = "compressors")]
fn space(len: usize) -> std::result::Result<Vec<u8>, Fault> {
    let mut packed = Vec::new();
    packed.try_reserve_exact(len).map_err(|_| Fault::NoMemory)?;
    Ok(packed)
}
