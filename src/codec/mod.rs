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

mod glance;
pub mod json;
pub mod pickle;
pub mod raw;

/// How an alias turns values into bytes.
#[derive(Clone, Copy, Debug)]
pub struct Codec {
    /// The pickle protocol to write, 2 to 5.
    pub protocol: u8,
    /// Redis: integers are written as bare digits and read back by rule I (R-4, DR-10).
    pub raw_integers: bool,
    /// Bounds for both directions.
    pub limits: Limits,
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
    /// Serialised already.
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
        let limits = &self.limits;
        let stored = match input {
            Input::Stored(bytes) => {
                if bytes.len() > limits.bytes {
                    let reason = format!("the value is larger than the limit of {} bytes", limits.bytes);
                    return Err(Error::new(Kind::TooBig, reason));
                }
                bytes.to_vec()
            }
            Input::Bytes(bytes) => pickle::write::bytes(bytes, self.protocol, limits)?,
            Input::Text(text) => pickle::write::text(text, self.protocol, limits)?,
            Input::Number(Number::Int(int)) if self.raw_integers => digits(int)?,
            Input::Number(number) => pickle::write::number(number, self.protocol, limits)?,
            Input::Json(text) => {
                let tree = json::read(text, limits)?;
                match tree.int_text().filter(|_| self.raw_integers) {
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
        if self.raw_integers
            && bytes.len() <= self.limits.bytes
            && let Some(int) = raw::int(bytes)
        {
            let mut tables = Tables::new(Bytes::new(), &self.limits)?;
            let root = match int {
                raw::Int::Small(value) => Node::Int(value),
                raw::Int::Big(value) => Node::Big(tables.keep(&value.to_signed_bytes_le())?),
            };
            return Ok(Tree { tables, root });
        }
        pickle::read::read(bytes, &self.limits)
    }

    /// Understands the common simple forms in place; `None` for everything else, also for what cannot be decoded.
    pub fn glance<'a>(&self, stored: StoredRef<'a>) -> Option<Glance<'a>> {
        glance::glance(self, stored.bytes)
    }
}

/// The bare digits of an int (pitfall 7).
fn digits(int: &BigInt) -> Result<Vec<u8>> {
    match int.to_i64() {
        Some(value) => Ok(value.to_string().into_bytes()),
        None => Ok(value::decimal(&int.to_signed_bytes_le())?.into_bytes()),
    }
}
