//! A stored value of one cache made into the stored form of another.
//!
//! What both serialise alike is passed on as it is, and only what is around it is made anew. So pickles travel whatever
//! they hold, instances of classes that nothing here could write included, and nothing is executed.

use std::sync::Arc;

use bytes::Bytes;

use super::compress::{Compressor, Method};
use super::pickle::opcode as op;
use super::raw::Bare;
use super::{Codec, Form, Glance, Input, Serializer, glance, json};
use crate::error::{Error, Kind, Result};
use crate::stored::Stored;
use crate::value::arena::Node;
use crate::value::{MAX_DIGITS, Number, Tree, ValueKind};

/// What is inside of a stored value, once the compressor and the cache's own ways are taken off.
#[derive(Clone, Debug, PartialEq)]
pub enum Unwrapped {
    /// A number that was stored as digits, or in a column of numbers.
    Number(Number),
    /// `str` that was stored as itself, in UTF-8 (which is not looked at here).
    Text(Bytes),
    /// `bytes` that were stored as themselves.
    Bytes(Bytes),
    /// `None` in a column of its own.
    Null,
    /// The serializer's bytes.
    Serialised(Bytes),
}

/// Nothing longer is a number that is stored as digits: the most digits, and what a serializer writes around them.
const LONGEST_NUMBER: usize = MAX_DIGITS + 100;

impl Codec {
    /// What to store here for the same value as `stored` is for `from`. As much as Python: another serializer may hold
    /// less of a value (JSON has no tuples), and then this is what storing the value here would have made of it.
    ///
    /// # Errors
    ///
    /// [`Kind::Undecodable`] for what `from` could not read; [`Kind::Type`] and [`Kind::Unsupported`] for what cannot be
    /// written here; [`Kind::TooBig`] beyond the limits of either.
    pub fn carry(&self, from: &Self, stored: &Stored) -> Result<Stored> {
        from.within_limit(&stored.bytes)?;
        if self.reads_what(from) {
            self.within_limit(&stored.bytes)?;
            return Ok(stored.clone());
        }
        match from.unwrapped(stored)? {
            Unwrapped::Number(number) => self.encode(Input::Number(&number)),
            Unwrapped::Bytes(bytes) => self.encode(Input::Bytes(&bytes)),
            Unwrapped::Null => self.encode(Input::Json(b"null")),
            Unwrapped::Text(text) => match std::str::from_utf8(&text) {
                Ok(text) => self.encode(Input::Text(text)),
                Err(_) => Err(Error::new(Kind::Undecodable, "the text is not UTF-8")),
            },
            Unwrapped::Serialised(bytes) if self.serialises_as(from) => self.wrapped(&bytes),
            Unwrapped::Serialised(bytes) => self.encode_foreign(&from.deserialise(&bytes)?),
        }
    }

    /// What is inside of a stored value.
    ///
    /// # Errors
    ///
    /// [`Kind::Undecodable`] for what cannot be decompressed, and for what is not what its flags say;
    /// [`Kind::TooBig`] for what unpacks to more than the limit.
    pub fn unwrapped(&self, stored: &Stored) -> Result<Unwrapped> {
        let bytes = &stored.bytes;
        match self.form {
            Form::RedisIntegers | Form::ValkeyNumbers => match self.bare_number(bytes) {
                Some(Bare::Int(int)) => return Ok(Unwrapped::Number(Number::Int(int.into()))),
                Some(Bare::Float(float)) => return Ok(Unwrapped::Number(Number::Float(float))),
                None => {}
            },
            Form::Pickle => {}
            #[cfg(feature = "memcached")]
            Form::PyMemcache { .. } | Form::PyLibMc => return super::memcached::unwrapped(self, stored),
            #[cfg(feature = "diskcache")]
            Form::DiskCache if stored.flags != super::diskcache::PICKLE => {
                return super::diskcache::unwrapped(self, stored);
            }
            #[cfg(feature = "diskcache")]
            Form::DiskCache => {}
            #[cfg(feature = "diskcache")]
            Form::PyotDisk => super::diskcache::check_of_pyot(stored.flags)?,
        }
        Ok(Unwrapped::Serialised(self.compressor.decompress(bytes, &self.limits)?))
    }

    /// What to store for the serializer's own bytes; what stands for itself here (digits, texts) does so.
    ///
    /// # Errors
    ///
    /// [`Kind::TooBig`] beyond the limits, and what the compressor says.
    pub fn wrapped(&self, serialised: &Bytes) -> Result<Stored> {
        self.within_limit(serialised)?;
        if let Some(plain) = self.plain(serialised) {
            return plain;
        }
        match self.form {
            #[cfg(feature = "memcached")]
            Form::PyMemcache { .. } | Form::PyLibMc => super::memcached::wrapped(self, serialised),
            #[cfg(feature = "diskcache")]
            Form::PyotDisk => Ok(Stored { bytes: serialised.clone(), flags: super::diskcache::BYTES }),
            _ => Ok(self.compressor.compress(serialised.to_vec(), &self.limits)?.into()),
        }
    }

    /// Whether every value of `from` is read here as it is, and not too large.
    fn reads_what(&self, from: &Self) -> bool {
        self.form == from.form
            && self.serialises_as(from)
            && self.compressor.unpacks_as(&from.compressor)
            && self.limits.bytes >= from.limits.bytes
    }

    fn serialises_as(&self, from: &Self) -> bool {
        match (&self.serializer, &from.serializer) {
            _ if self.pickles() || from.pickles() => self.pickles() && from.pickles(),
            (Serializer::Json, Serializer::Json) | (Serializer::MsgPack, Serializer::MsgPack) => true,
            (Serializer::Own(one), Serializer::Own(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    fn pickles(&self) -> bool {
        match self.form {
            // the flags have no other serializer
            #[cfg(feature = "memcached")]
            Form::PyMemcache { .. } | Form::PyLibMc => true,
            _ => matches!(self.serializer, Serializer::Pickle(_)),
        }
    }

    /// What is stored without the serializer here; `None` where that is not the case. A bool stays a pickle, which keeps it
    /// one (pitfall 16).
    fn plain(&self, serialised: &Bytes) -> Option<Result<Stored>> {
        let (texts, floats) = match self.form {
            Form::Pickle => return None,
            #[cfg(feature = "diskcache")]
            Form::PyotDisk => return None,
            Form::RedisIntegers => (false, false),
            Form::ValkeyNumbers => (false, true),
            #[cfg(feature = "memcached")]
            Form::PyMemcache { .. } | Form::PyLibMc => (true, false),
            #[cfg(feature = "diskcache")]
            Form::DiskCache => (true, true),
        };
        let seen = if self.pickles() { glance::pickled(serialised, &self.limits) } else { None };
        let number = match seen {
            Some(Glance::Text(text)) if texts => return Some(self.encode(Input::Text(text))),
            Some(Glance::Bytes(bytes)) if texts => return Some(self.encode(Input::Bytes(bytes))),
            Some(Glance::Int(int)) => Number::Int(int.into()),
            Some(Glance::Float(float)) => Number::Float(float),
            Some(_) => return None,
            None => self.number(serialised)?,
        };
        let is_plain = floats || matches!(number, Number::Int(_));
        is_plain.then(|| self.encode(Input::Number(&number)))
    }

    /// A number among serialised bytes, decoded only where they look like one.
    fn number(&self, serialised: &Bytes) -> Option<Number> {
        let looks_so = match &self.serializer {
            _ if self.pickles() => begins_pickled_number(serialised),
            Serializer::Json => begins_json_number(serialised),
            // fixints, and the float and int types
            Serializer::MsgPack => matches!(serialised.first(), Some(0..=0x7f | 0xca..=0xd3 | 0xe0..=0xff)),
            Serializer::Pickle(_) | Serializer::Own(_) => true,
        };
        if !looks_so || serialised.len() > LONGEST_NUMBER {
            return None;
        }
        let tree = if self.pickles() {
            super::pickle::read::read(serialised, &self.limits)
        } else {
            self.deserialise(serialised)
        };
        let tree = tree.ok().filter(|tree| matches!(tree.kind(), ValueKind::Int | ValueKind::Float))?;
        match tree.int_text() {
            Some(Err(_)) => None, // more digits than anyone reads: it stays as it is
            _ => tree.number(),
        }
    }

    /// What to store for a value that another serializer has read.
    fn encode_foreign(&self, tree: &Tree) -> Result<Stored> {
        if self.pickles() || !matches!(self.serializer, Serializer::Own(_)) {
            return self.encode_tree(tree);
        }
        // A program's serializer gets what it would get from the program.
        if let Some(number) = tree.number().filter(|_| tree.kind() != ValueKind::Bool) {
            return self.encode(Input::Number(&number));
        }
        match tree.root {
            Node::Text { span, .. } if std::str::from_utf8(tree.tables.slice(span)).is_ok() => {
                let text = std::str::from_utf8(tree.tables.slice(span)).unwrap_or_default();
                self.encode(Input::Text(text))
            }
            Node::Bytes(span) => self.encode(Input::Bytes(tree.tables.slice(span))),
            _ => {
                let (text, loss) = json::write(tree, &self.limits)?;
                if loss.is_lossy() {
                    let reason = "the value holds what JSON cannot say, which is what the program's serializer gets";
                    return Err(Error::new(Kind::Type, reason));
                }
                self.encode(Input::Json(text.as_bytes()))
            }
        }
    }
}

impl Compressor {
    /// Whether this one reads what the other writes, from whatever length on either does.
    fn unpacks_as(&self, other: &Self) -> bool {
        match (&self.method, &other.method) {
            (Method::Own(one), Method::Own(other)) => Arc::ptr_eq(one, other),
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }
}

/// Whether the first instruction makes a number. What is one by way of a call stays a pickle.
fn begins_pickled_number(pickle: &[u8]) -> bool {
    let body = match pickle {
        [op::PROTO, _, rest @ ..] => rest,
        body => body,
    };
    let body = match body {
        [op::FRAME, rest @ ..] => rest.get(8..).unwrap_or_default(),
        body => body,
    };
    let numbers =
        [op::INT, op::LONG, op::BININT, op::BININT1, op::BININT2, op::LONG1, op::LONG4, op::FLOAT, op::BINFLOAT];
    body.first().is_some_and(|code| numbers.contains(code))
}

/// NaN and Infinity are numbers, too.
fn begins_json_number(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'0'..=b'9' | b'-' | b'N' | b'I'))
}
