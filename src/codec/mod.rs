//! Python value ↔ bytes.
//!
//! Nothing that is read is ever executed: a pickle is a list of instructions for a small machine, and this machine
//! makes data only (PK-7).

use bytes::Bytes;
use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::error::{Error, Kind, Result};
use crate::stored::{Stored, StoredRef};
use crate::value::arena::{Node, Tables};
use crate::value::{self, Limits, Number, Tree};

#[cfg(feature = "diskcache")]
pub mod diskcache;
mod glance;
pub mod json;
#[cfg(feature = "memcached")]
pub mod memcached;
pub mod pickle;
pub mod raw;

/// How an alias turns values into bytes.
#[derive(Clone, Copy, Debug)]
pub struct Codec {
    /// The pickle protocol to write, 2 to 5.
    pub protocol: u8,
    /// What is stored for what.
    pub form: Form,
    /// Bounds for both directions.
    pub limits: Limits,
}

/// What a family of backends stores for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A pickle for everything.
    Pickle,
    /// Redis: integers are written as bare digits and read back by rule I, everything else is a pickle (R-4, DR-10).
    RedisIntegers,
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
    /// Serialised already; with memcached and diskcache, a pickle.
    Stored(&'a [u8]),
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
    /// The bytes to store for a value.
    ///
    /// # Errors
    ///
    /// [`Kind::Invalid`] for a text that is not JSON, [`Kind::TooBig`] for what exceeds the limits and for ints of
    /// more than 4300 digits, [`Kind::Config`] for a protocol that is not 2 to 5.
    pub fn encode(&self, input: Input<'_>) -> Result<Stored> {
        if !(2..=5).contains(&self.protocol) {
            return Err(Error::new(Kind::Config, "pickles are written with protocols 2 to 5"));
        }
        match self.form {
            Form::Pickle | Form::RedisIntegers => self.pickled(input),
            #[cfg(feature = "memcached")]
            Form::PyMemcache { .. } | Form::PyLibMc => memcached::encode(self, input),
            #[cfg(feature = "diskcache")]
            Form::DiskCache => diskcache::encode(self, input),
        }
    }

    /// The value as a pickle, or as bare digits where the form says so.
    fn pickled(&self, input: Input<'_>) -> Result<Stored> {
        let raw_integers = self.form == Form::RedisIntegers;
        let limits = &self.limits;
        let stored = match input {
            Input::Stored(bytes) => self.within_limit(bytes)?.to_vec(),
            Input::Bytes(bytes) => pickle::write::bytes(bytes, self.protocol, limits)?,
            Input::Text(text) => pickle::write::text(text, self.protocol, limits)?,
            Input::Number(Number::Int(int)) if raw_integers => digits(int)?,
            Input::Number(number) => pickle::write::number(number, self.protocol, limits)?,
            Input::Json(text) => {
                let tree = json::read(text, limits)?;
                match tree.int_text().filter(|_| raw_integers) {
                    Some(text) => text?.into_bytes(), // R-4, DR-10
                    None => pickle::write::tree(&tree, self.protocol, limits)?,
                }
            }
        };
        Ok(stored.into())
    }

    /// Reads stored bytes as a whole.
    ///
    /// # Errors
    ///
    /// [`Kind::Undecodable`] where Python raises, [`Kind::TooBig`] for what exceeds the limits.
    pub fn decode(&self, stored: &Stored) -> Result<Tree> {
        let bytes = &stored.bytes;
        match self.form {
            Form::RedisIntegers if bytes.len() <= self.limits.bytes => {
                if let Some(int) = raw::int(bytes) {
                    return tree_of(int, &self.limits);
                }
            }
            Form::Pickle | Form::RedisIntegers => {}
            #[cfg(feature = "memcached")]
            Form::PyMemcache { .. } | Form::PyLibMc => return memcached::decode(self, stored),
            #[cfg(feature = "diskcache")]
            Form::DiskCache if stored.flags != diskcache::PICKLE => return diskcache::decode(self, stored),
            #[cfg(feature = "diskcache")]
            Form::DiskCache => {}
        }
        pickle::read::read(bytes, &self.limits)
    }

    /// Understands the common simple forms in place; `None` for everything else, also for what cannot be decoded.
    pub fn glance<'a>(&self, stored: StoredRef<'a>) -> Option<Glance<'a>> {
        match self.form {
            Form::Pickle => glance::pickled(stored.bytes, &self.limits),
            Form::RedisIntegers => glance::pickled_or_digits(stored.bytes, &self.limits),
            #[cfg(feature = "memcached")]
            Form::PyMemcache { .. } | Form::PyLibMc => memcached::glance(self, stored),
            #[cfg(feature = "diskcache")]
            Form::DiskCache if stored.flags != diskcache::PICKLE => diskcache::glance(self, stored),
            #[cfg(feature = "diskcache")]
            Form::DiskCache => glance::pickled(stored.bytes, &self.limits),
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
