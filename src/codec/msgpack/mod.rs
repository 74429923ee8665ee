//! MessagePack as Python's `msgpack` writes and reads it (DR-13).
//!
//! `msgpack.dumps(value)`: the smallest form of everything, floats of 64 bits, `bytes` apart from `str`, tuples as arrays,
//! subclasses of `str` and `dict` as these. `msgpack.loads(stored, raw=False)`: keys of maps are `str` or `bytes`, so a
//! dict with other keys can be stored and not be read (pitfall 10). Extension types become the objects that Python has
//! for them, as data: `msgpack.ext.Timestamp(seconds, nanoseconds)` and `msgpack.ext.ExtType(code, data)`.

#[cfg(feature = "redis")]
mod read;
#[cfg(feature = "redis")]
mod write;

#[cfg(feature = "redis")]
pub use read::{glance, read};
#[cfg(feature = "redis")]
pub use write::{serialise, write};

#[cfg(not(feature = "redis"))]
pub use absent::{glance, read, serialise, write};

/// Where Python's packer and unpacker stop.
#[cfg(feature = "redis")]
const DEEPEST: usize = 1024;

/// The class that stands for the extension type -1, and those for 0 to 127: Python's module for both.
#[cfg(feature = "redis")]
const MODULE: &[u8] = b"msgpack.ext";
#[cfg(feature = "redis")]
const TIMESTAMP: &[u8] = b"Timestamp";
#[cfg(feature = "redis")]
const EXTENSION: &[u8] = b"ExtType";

/// Without the backends that have this serializer nobody comes here.
#[cfg(not(feature = "redis"))]
mod absent {
    use bytes::Bytes;

    use crate::codec::{Glance, Input};
    use crate::error::{Error, Kind, Result};
    use crate::value::{Limits, Tree};

    fn not_built_in<T>() -> Result<T> {
        Err(Error::new(Kind::Config, "the msgpack serializer is not built in"))
    }

    /// An error.
    pub fn serialise(_: Input<'_>, _: &Limits) -> Result<Vec<u8>> {
        not_built_in()
    }

    /// An error.
    pub fn write(_: &Tree, _: &Limits) -> Result<Vec<u8>> {
        not_built_in()
    }

    /// An error.
    pub fn read(_: &Bytes, _: &Limits) -> Result<Tree> {
        not_built_in()
    }

    /// Nothing.
    pub fn glance<'a>(_: &'a [u8], _: &Limits) -> Option<Glance<'a>> {
        None
    }
}
