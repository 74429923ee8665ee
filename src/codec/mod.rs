//! Python value ↔ bytes.
//!
//! Nothing that is read is ever executed: a pickle is a list of instructions for a small machine, and this machine
//! makes data only (PK-7).

use std::sync::Arc;

use bytes::Bytes;
use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::error::{Error, Kind, Result};
use crate::float;
use crate::stored::{Stored, StoredRef};
use crate::value::arena::{Node, Tables};
use crate::value::{self, Limits, Number, Tree};

pub mod carry;
pub mod compress;
#[cfg(feature = "diskcache")]
pub mod diskcache;
mod glance;
pub mod herd;
pub mod json;
#[cfg(feature = "memcached")]
pub mod memcached;
pub mod msgpack;
pub mod own;
pub mod pickle;
pub mod raw;

use compress::Compressor;
use pickle::write::Value;
use raw::Bare;

/// How an alias turns values into bytes.
#[derive(Clone)]
pub struct Codec {
    /// What is stored for what.
    pub form: Form,
    /// Who makes bytes of values.
    pub serializer: Serializer,
    /// Who makes them fewer.
    pub compressor: Compressor,
    /// Bounds for both directions.
    pub limits: Limits,
}

/// Who makes bytes of values, and values of bytes (DR-13).
#[derive(Clone)]
pub enum Serializer {
    /// Pickles, written with this protocol, 0 to 5; all are read.
    Pickle(u8),
    /// `json.dumps` and `json.loads`, with Django's encoder.
    Json,
    /// `msgpack.dumps` and `msgpack.loads`.
    MsgPack,
    /// What a program has plugged in.
    Own(Arc<dyn own::Serialize>),
}

/// What a family of backends stores for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The serializer's bytes for everything.
    Pickle,
    /// Redis: integers are written as bare digits and read back by rule I, everything else goes through the serializer
    /// (R-4, DR-10).
    RedisIntegers,
    /// django-valkey: floats are bare too, and what is not digits alone is read back as a float where it is one (1.16).
    ValkeyNumbers,
    /// PyMemcacheCache: the flags say what it is (M-7).
    #[cfg(feature = "memcached")]
    PyMemcache {
        /// `compressed_serde`: longer values are deflated where that makes them shorter.
        compressed: bool,
    },
    /// PyLibMCCache, likewise.
    #[cfg(feature = "memcached")]
    PyLibMc,
    /// diskcache: texts, bytes, floats and ints of 64 bits are columns of their own type (1.17).
    #[cfg(feature = "diskcache")]
    DiskCache,
    /// Pyot's DiskCache: diskcache's column of bytes, and in it the serializer's bytes for everything (2.6).
    #[cfg(feature = "diskcache")]
    PyotDisk,
}

/// A value on its way in.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Python `bytes`.
    Bytes(&'a [u8]),
    /// Python `str`.
    Text(&'a str),
    /// JSON text, for dict, list, str, int, float, bool, None.
    Json(&'a [u8]),
    /// A number.
    Number(&'a Number),
    /// Serialised already (and compressed); with memcached and diskcache, a pickle.
    Stored(&'a [u8]),
    /// What is to be stored, with its flags: made by [`Codec::carry`] for this very cache.
    Ready(StoredRef<'a>),
}

/// A stored value that could be understood without decoding it as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Glance<'a> {
    /// `None`.
    Null,
    /// `bool`.
    Bool(bool),
    /// `int` of at most 64 bits.
    Int(i64),
    /// `float`.
    Float(f64),
    /// `str`.
    Text(&'a str),
    /// `bytes`.
    Bytes(&'a [u8]),
}

impl Codec {
    /// The codec of a cache that pickles everything without compression.
    pub const fn pickling(protocol: u8, form: Form, limits: Limits) -> Self {
        Self { form, serializer: Serializer::Pickle(protocol), compressor: Compressor::none(), limits }
    }

    /// The bytes to store for a value.
    ///
    /// # Errors
    ///
    /// [`Kind::Invalid`] for a text that is not JSON, [`Kind::Type`] for what the serializer cannot write,
    /// [`Kind::TooBig`] for what exceeds the limits and for ints of more than 4300 digits.
    pub fn encode(&self, input: Input<'_>) -> Result<Stored> {
        if let Input::Ready(StoredRef { bytes, flags }) = input {
            return Ok(Stored { bytes: self.within_limit(bytes)?.to_vec().into(), flags });
        }
        match self.form {
            Form::Pickle | Form::RedisIntegers | Form::ValkeyNumbers => self.numbers_or_serialised(input),
            #[cfg(feature = "memcached")]
            Form::PyMemcache { .. } | Form::PyLibMc => memcached::encode(self, input),
            #[cfg(feature = "diskcache")]
            Form::DiskCache => diskcache::encode(self, input),
            #[cfg(feature = "diskcache")]
            Form::PyotDisk => Ok(Stored { bytes: self.serialise(input)?.into(), flags: diskcache::BYTES }),
        }
    }

    /// The same for a value that was read: from JSON, or from another cache.
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`] has them; [`Kind::Unsupported`] for what no pickle can be written of.
    fn encode_tree(&self, tree: &Tree) -> Result<Stored> {
        match self.form {
            Form::Pickle | Form::RedisIntegers | Form::ValkeyNumbers => self.number_or_tree(tree),
            #[cfg(feature = "memcached")]
            Form::PyMemcache { .. } | Form::PyLibMc => memcached::encode_tree(self, tree),
            #[cfg(feature = "diskcache")]
            Form::DiskCache => diskcache::encode_tree(self, tree),
            #[cfg(feature = "diskcache")]
            Form::PyotDisk => Ok(Stored { bytes: self.serialise_tree(tree)?.into(), flags: diskcache::BYTES }),
        }
    }

    /// Bare digits where the form says so, else serialised and compressed (DR-10).
    fn numbers_or_serialised(&self, input: Input<'_>) -> Result<Stored> {
        let serialised = match input {
            Input::Stored(bytes) => return Ok(self.within_limit(bytes)?.to_vec().into()),
            Input::Number(Number::Int(int)) if self.has_bare_ints() => return Ok(digits(int)?.into()),
            Input::Number(Number::Float(float)) if self.has_bare_floats() => {
                return Ok(float::repr(*float).into_bytes().into());
            }
            Input::Json(text) => return self.number_or_tree(&json::read(text, &self.limits)?),
            input => self.serialise(input)?,
        };
        Ok(self.compressor.compress(serialised, &self.limits)?.into())
    }

    fn number_or_tree(&self, tree: &Tree) -> Result<Stored> {
        if let Some(text) = tree.int_text().filter(|_| self.has_bare_ints()) {
            return Ok(text?.into_bytes().into()); // R-4, DR-10
        }
        if let Some(float) = tree.float().filter(|_| self.has_bare_floats()) {
            return Ok(float::repr(float).into_bytes().into()); // 1.16
        }
        Ok(self.compressor.compress(self.serialise_tree(tree)?, &self.limits)?.into())
    }

    fn has_bare_ints(&self) -> bool {
        matches!(self.form, Form::RedisIntegers | Form::ValkeyNumbers)
    }

    fn has_bare_floats(&self) -> bool {
        self.form == Form::ValkeyNumbers
    }

    /// What the serializer makes of a value.
    fn serialise(&self, input: Input<'_>) -> Result<Vec<u8>> {
        let limits = &self.limits;
        match &self.serializer {
            Serializer::Pickle(_) => match input {
                Input::Stored(bytes) | Input::Ready(StoredRef { bytes, .. }) => Ok(self.within_limit(bytes)?.to_vec()),
                Input::Bytes(bytes) => self.pickled(Value::Bytes(bytes)),
                Input::Text(text) => self.pickled(Value::Text(text)),
                Input::Number(number) => self.pickled(Value::Number(number)),
                Input::Json(text) => self.pickled(Value::Tree(&json::read(text, limits)?)),
            },
            Serializer::Json => json::serialise(input, limits),
            Serializer::MsgPack => msgpack::serialise(input, limits),
            Serializer::Own(own) => own.dumps(input, limits),
        }
    }

    /// The same for a tree.
    fn serialise_tree(&self, tree: &Tree) -> Result<Vec<u8>> {
        match &self.serializer {
            Serializer::Pickle(_) => self.pickled(Value::Tree(tree)),
            Serializer::Json => json::serialise_tree(tree, &self.limits),
            Serializer::MsgPack => msgpack::write(tree, &self.limits),
            Serializer::Own(own) => own.dumps(Input::Json(json::write(tree, &self.limits)?.0.as_bytes()), &self.limits),
        }
    }

    /// A pickle: of the configured protocol, or where another serializer is configured, of the highest.
    fn pickled(&self, value: Value<'_>) -> Result<Vec<u8>> {
        let protocol = match self.serializer {
            Serializer::Pickle(protocol) => protocol,
            _ => 5, // PK-1
        };
        pickle::write::pickle(value, protocol, &self.limits)
    }

    /// Reads stored bytes as a whole.
    ///
    /// # Errors
    ///
    /// [`Kind::Undecodable`] where Python raises, [`Kind::TooBig`] for what exceeds the limits.
    pub fn decode(&self, stored: &Stored) -> Result<Tree> {
        let bytes = &stored.bytes;
        match self.form {
            Form::RedisIntegers | Form::ValkeyNumbers => match self.bare_number(bytes) {
                Some(Bare::Int(int)) => return tree_of(int, &self.limits), // DR-11
                Some(Bare::Float(float)) => {
                    return Ok(Tree { tables: Tables::new(Bytes::new(), &self.limits)?, root: Node::Float(float) });
                }
                None => {}
            },
            Form::Pickle => {}
            #[cfg(feature = "memcached")]
            Form::PyMemcache { .. } | Form::PyLibMc => return memcached::decode(self, stored),
            #[cfg(feature = "diskcache")]
            Form::DiskCache if stored.flags != diskcache::PICKLE => return diskcache::decode(self, stored),
            #[cfg(feature = "diskcache")]
            Form::DiskCache => {}
            #[cfg(feature = "diskcache")]
            Form::PyotDisk => diskcache::check_of_pyot(stored.flags)?,
        }
        self.deserialise(&self.compressor.decompress(bytes, &self.limits)?)
    }

    /// A number that was stored without the serializer, in the two forms that have those.
    fn bare_number(&self, stored: &[u8]) -> Option<Bare> {
        if stored.len() > self.limits.bytes {
            None
        } else if self.form == Form::ValkeyNumbers {
            raw::number(stored)
        } else {
            raw::int(stored).map(Bare::Int)
        }
    }

    fn deserialise(&self, serialised: &Bytes) -> Result<Tree> {
        match &self.serializer {
            Serializer::Pickle(_) => pickle::read::read(serialised, &self.limits),
            Serializer::Json => json::deserialise(serialised, &self.limits),
            Serializer::MsgPack => msgpack::read(serialised, &self.limits),
            Serializer::Own(own) => own.loads(serialised, &self.limits),
        }
    }

    /// Understands the common simple forms in place; `None` for everything else, also for what cannot be decoded.
    pub fn glance<'a>(&self, stored: StoredRef<'a>) -> Option<Glance<'a>> {
        match self.form {
            Form::Pickle => self.glance_serialised(stored.bytes),
            Form::RedisIntegers | Form::ValkeyNumbers => match self.bare_number(stored.bytes) {
                Some(Bare::Int(raw::Int::Small(value))) => Some(Glance::Int(value)),
                Some(Bare::Int(raw::Int::Big(_))) => None,
                Some(Bare::Float(value)) => Some(Glance::Float(value)),
                None => self.glance_serialised(stored.bytes),
            },
            #[cfg(feature = "memcached")]
            Form::PyMemcache { .. } | Form::PyLibMc => memcached::glance(self, stored),
            #[cfg(feature = "diskcache")]
            Form::DiskCache if stored.flags != diskcache::PICKLE => diskcache::glance(self, stored),
            #[cfg(feature = "diskcache")]
            Form::DiskCache => glance::pickled(stored.bytes, &self.limits),
            #[cfg(feature = "diskcache")]
            Form::PyotDisk if stored.flags == diskcache::BYTES => glance::pickled(stored.bytes, &self.limits),
            #[cfg(feature = "diskcache")]
            Form::PyotDisk => None,
        }
    }

    fn glance_serialised<'a>(&self, stored: &'a [u8]) -> Option<Glance<'a>> {
        if !self.compressor.is_none() {
            return None;
        }
        match self.serializer {
            Serializer::Pickle(_) => glance::pickled(stored, &self.limits),
            Serializer::Json => json::glance(stored, &self.limits),
            Serializer::MsgPack => msgpack::glance(stored, &self.limits),
            Serializer::Own(_) => None,
        }
    }

    fn within_limit<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        let limit = self.limits.bytes;
        if bytes.len() > limit {
            return Err(Error::new(Kind::TooBig, format!("the value is larger than the limit of {limit} bytes")));
        }
        Ok(bytes)
    }
}

/// An int that was read from digits.
fn tree_of(int: raw::Int, limits: &Limits) -> Result<Tree> {
    let mut tables = Tables::new(Bytes::new(), limits)?;
    let root = match int {
        raw::Int::Small(value) => Node::Int(value),
        raw::Int::Big(value) => Node::Big(tables.keep(&value.to_signed_bytes_le())?),
    };
    Ok(Tree { tables, root })
}

/// The bare digits of an int (pitfall 7).
fn digits(int: &BigInt) -> Result<Vec<u8>> {
    match int.to_i64() {
        Some(value) => Ok(value.to_string().into_bytes()),
        None => Ok(value::decimal(&int.to_signed_bytes_le())?.into_bytes()),
    }
}
