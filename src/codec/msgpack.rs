//! MessagePack as Python's `msgpack` writes and reads it (DR-13).

use bytes::Bytes;

use super::Input;
use crate::error::{Error, Kind, Result};
use crate::value::{Limits, Tree};

/// `msgpack.dumps` of a value.
pub fn serialise(_input: Input<'_>, _limits: &Limits) -> Result<Vec<u8>> {
    Err(Error::new(Kind::Config, "msgpack is not there yet"))
}

/// `msgpack.dumps` of a tree.
pub fn write(_tree: &Tree, _limits: &Limits) -> Result<Vec<u8>> {
    Err(Error::new(Kind::Config, "msgpack is not there yet"))
}

/// `msgpack.loads` with `raw=False`.
pub fn read(_serialised: &Bytes, _limits: &Limits) -> Result<Tree> {
    Err(Error::new(Kind::Config, "msgpack is not there yet"))
}
