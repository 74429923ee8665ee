//! What HerdClient stores: `(Marker(), value, deadline)` (DR-40, DR-41).
//!
//! The deadline is the soft one: from then on readers begin to compute the value anew, while it is still there.

use num_traits::{Signed, ToPrimitive};

use super::pickle::write::{self, Class, Value};
use super::{Codec, Form, Input, Serializer, json};
use crate::error::{Error, Kind, Result};
use crate::stored::{Stored, StoredRef};
use crate::value::arena::{GroupKind, Node, Tables};
use crate::value::{Limits, Number, Tree};

mod deadline;

/// Whose the class of the marker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// django-redis's (DR-41).
    DjangoRedis,
    /// django-valkey's (1.16).
    DjangoValkey,
}

impl Marker {
    fn class(self) -> Class {
        let module = match self {
            Self::DjangoRedis => "django_redis.client.herd",
            Self::DjangoValkey => "django_valkey.base_client",
        };
        Class { module, name: "Marker" }
    }
}

impl Codec {
    /// The bytes to store for a value with its soft deadline, in seconds since 1970. [`Input::Stored`] is stored as it is:
    /// such bytes have their deadline already, or none.
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`] has them; [`Kind::Type`] where the serializer is not pickle, since no other can write the
    /// marker.
    pub fn encode_herd(&self, input: Input<'_>, deadline: i64) -> Result<Stored> {
        if let Input::Stored(bytes) | Input::Ready(StoredRef { bytes, .. }) = input {
            return Ok(self.within_limit(bytes)?.to_vec().into());
        }
        let Serializer::Pickle(protocol) = self.serializer else {
            let reason = "HerdClient stores a marker with each value, which only the pickle serializer can write";
            return Err(Error::new(Kind::Type, reason));
        };
        let packed = write(self.marker(), input, deadline, protocol, &self.limits)?;
        Ok(self.compressor.compress(packed, &self.limits)?.into())
    }

    fn marker(&self) -> Marker {
        if self.form == Form::ValkeyNumbers { Marker::DjangoValkey } else { Marker::DjangoRedis }
    }

    /// The value inside of what HerdClient stored, as [`unpack`] has it.
    ///
    /// # Errors
    ///
    /// As [`unpack`] has them.
    pub fn unpack_herd(&self, tree: Tree) -> Result<(Tree, Option<i64>)> {
        unpack(self.marker(), tree)
    }
}

/// The pickle of `(Marker(), value, deadline)` in a protocol from 0 to 5.
///
/// # Errors
///
/// [`Kind::Invalid`] for a text that is not JSON, and for what is serialised already; [`Kind::TooBig`] beyond the limits.
pub fn write(marker: Marker, input: Input<'_>, deadline: i64, protocol: u8, limits: &Limits) -> Result<Vec<u8>> {
    let read;
    let value = match input {
        Input::Bytes(bytes) => Value::Bytes(bytes),
        Input::Text(text) => Value::Text(text),
        Input::Number(number) => Value::Number(number),
        Input::Json(text) => {
            read = json::read(text, limits)?;
            Value::Tree(&read)
        }
        Input::Stored(_) | Input::Ready(_) => {
            return Err(Error::new(Kind::Invalid, "a serialised value cannot be pickled again"));
        }
    };
    write::tagged(marker.class(), value, deadline, protocol, limits)
}

/// The value inside of what HerdClient stored, and its soft deadline in seconds since 1970; anything else as it is, and
/// `None`. A deadline between two seconds counts as the later one; one beyond 64 bits is as far away as can be.
///
/// # Errors
///
/// [`Kind::Undecodable`] where the deadline is no number: Python cannot compare it either.
pub fn unpack(marker: Marker, tree: Tree) -> Result<(Tree, Option<i64>)> {
    let Some((value, deadline)) = parts(marker, &tree) else { return Ok((tree, None)) };
    let deadline = Tree { root: deadline, ..tree };
    let seconds = match deadline.number() {
        Some(Number::Int(int)) => int.to_i64().unwrap_or(if int.is_negative() { i64::MIN } else { i64::MAX }),
        // What never comes never passes: so it is for NaN in Python's comparison.
        Some(Number::Float(float)) if float.is_nan() => i64::MAX,
        Some(Number::Float(float)) => whole(float),
        None => return Err(Error::new(Kind::Undecodable, "the deadline that HerdClient stored is no number")),
    };
    Ok((Tree { root: value, ..deadline }, Some(seconds)))
}

/// What stands behind the marker. Python takes whatever has three items, also the keys of a dict; a set has no order that
/// could be known here.
fn parts(whose: Marker, tree: &Tree) -> Option<(Node, Node)> {
    let Node::Group(id) = tree.root else { return None };
    let tables = &tree.tables;
    let kind = tables.group_kind(id);
    let step = if kind.holds_pairs() { 2 } else { 1 };
    if tables.group_len(id) != 3 * step || matches!(kind, GroupKind::Set | GroupKind::FrozenSet) {
        return None;
    }
    let mut items = tables.iter(id).step_by(step);
    let (marker, value, deadline) = (items.next()?, items.next()?, items.next()?);
    is_marker(whose, tables, marker).then_some((value, deadline))
}

fn is_marker(whose: Marker, tables: &Tables, node: Node) -> bool {
    let Node::Object(id) = node else { return false };
    let Some(Node::Global(class)) = tables.object(id).map(|object| object.class) else { return false };
    let wanted = whose.class();
    tables.global(class).is_some_and(|class| {
        tables.slice(class.module) == wanted.module.as_bytes() && tables.slice(class.name) == wanted.name.as_bytes()
    })
}

/// The next whole number; the nearest that 64 bits hold.
#[allow(clippy::cast_possible_truncation, reason = "`as` stops at the bounds, which is what is wanted")]
fn whole(float: f64) -> i64 {
    float.ceil() as i64
}
