//! What the Python clients of memcached store: plain bytes, texts and digits, and pickles for the rest; flags beside
//! them say which (M-7 to M-9).
//!
//! Either client's values are read, whatever the alias. What is written is what the alias's own client writes.

use bytes::Bytes;

use super::carry::Unwrapped;
use super::{Codec, Form, Glance, Input, Value, digits, glance, json, pickle, raw, tree_of};
use crate::error::{Error, Kind, Result};
use crate::stored::{Stored, StoredRef};
use crate::value::arena::{Node, Span, Tables};
use crate::value::{Limits, Number, Tree};
use crate::zlib::{self, Wrap};

/// Python `bytes`: no flag.
pub const BYTES: u32 = 0;
/// A pickle.
pub const PICKLE: u32 = 1;
/// Digits: what pymemcache writes for `int`, pylibmc for `bool`.
pub const INTEGER: u32 = 2;
/// Digits: what pylibmc writes for `int`.
pub const LONG: u32 = 4;
/// The bytes are a zlib stream of what the other flags say.
pub const COMPRESSED: u32 = 8;
/// Text in UTF-8.
pub const TEXT: u32 = 16;

/// `compressed_serde` leaves alone what is not longer.
const MIN_COMPRESSED: usize = 400;

/// The value and the flags to store.
pub(super) fn encode(codec: &Codec, input: Input<'_>) -> Result<Stored> {
    let (flags, bytes) = match input {
        Input::Stored(bytes) | Input::Ready(StoredRef { bytes, .. }) => (PICKLE, codec.within_limit(bytes)?.to_vec()),
        Input::Bytes(bytes) => (BYTES, codec.within_limit(bytes)?.to_vec()),
        Input::Text(text) => (TEXT, codec.within_limit(text.as_bytes())?.to_vec()),
        Input::Number(Number::Int(int)) => (int_flag(codec), digits(int)?),
        Input::Number(number) => (PICKLE, codec.pickled(Value::Number(number))?),
        Input::Json(text) => return encode_tree(codec, &json::read(text, &codec.limits)?),
    };
    packed(codec, flags, bytes)
}

/// The same for a tree.
pub(super) fn encode_tree(codec: &Codec, tree: &Tree) -> Result<Stored> {
    let whole = |span| codec.within_limit(tree.tables.slice(span));
    let (flags, bytes) = match tree.root {
        Node::Text { span, .. } => (TEXT, utf8(whole(span)?)?.to_vec()),
        Node::Bytes(span) => (BYTES, whole(span)?.to_vec()),
        Node::Bool(truth) if codec.form == Form::PyLibMc => (INTEGER, vec![b'0' + u8::from(truth)]),
        _ => match tree.int_text() {
            Some(text) => (int_flag(codec), text?.into_bytes()),
            None => (PICKLE, codec.pickled(Value::Tree(tree))?),
        },
    };
    packed(codec, flags, bytes)
}

fn int_flag(codec: &Codec) -> u32 {
    if codec.form == Form::PyLibMc { LONG } else { INTEGER }
}

/// What is stored for bytes: with `compressed_serde`, fewer.
fn packed(codec: &Codec, flags: u32, bytes: Vec<u8>) -> Result<Stored> {
    match codec.form {
        Form::PyMemcache { compressed: true } if bytes.len() > MIN_COMPRESSED => shortest(flags, bytes),
        _ => Ok(Stored { bytes: bytes.into(), flags }),
    }
}

fn utf8(text: &[u8]) -> Result<&[u8]> {
    let reason = "the text has a lone surrogate, which the UTF-8 that memcached's clients write cannot hold";
    std::str::from_utf8(text).map(str::as_bytes).map_err(|_| Error::new(Kind::Invalid, reason))
}

/// Reads either client's values. Where the two differ: a value with the flag of compression that is no zlib stream is
/// read as it is, as pymemcache does, and what cannot be unpickled is an error, as with pylibmc (M-8).
pub(super) fn decode(codec: &Codec, stored: &Stored) -> Result<Tree> {
    let bytes = inflated(codec, stored)?;
    match Kept::of(stored.flags) {
        Kept::Bytes => whole(&bytes, &codec.limits, Node::Bytes),
        Kept::Text if std::str::from_utf8(&bytes).is_err() => Err(broken("the text is not UTF-8")),
        Kept::Text => whole(&bytes, &codec.limits, |span| Node::Text { share: 0, span }),
        Kept::Digits => tree_of(number(codec, &bytes)?, &codec.limits),
        Kept::Pickle => pickle::read::read(&bytes, &codec.limits),
    }
}

/// What [`Codec::unwrapped`] does.
pub(super) fn unwrapped(codec: &Codec, stored: &Stored) -> Result<Unwrapped> {
    let bytes = inflated(codec, stored)?;
    Ok(match Kept::of(stored.flags) {
        Kept::Bytes => Unwrapped::Bytes(bytes),
        Kept::Text => Unwrapped::Text(bytes),
        Kept::Digits => Unwrapped::Number(Number::Int(number(codec, &bytes)?.into())),
        Kept::Pickle => Unwrapped::Serialised(bytes),
    })
}

/// What [`Codec::wrapped`] does with a pickle.
pub(super) fn wrapped(codec: &Codec, pickle: &[u8]) -> Result<Stored> {
    packed(codec, PICKLE, codec.within_limit(pickle)?.to_vec())
}

/// The bytes that the flags without [`COMPRESSED`] are about.
fn inflated(codec: &Codec, stored: &Stored) -> Result<Bytes> {
    if !is_compressed(stored.as_ref()) {
        return Ok(stored.bytes.clone());
    }
    let limit = codec.limits.bytes;
    Ok(zlib::value(&stored.bytes, limit).map_err(|fault| fault.error("the zlib stream", limit))?.into())
}

fn number(codec: &Codec, digits: &[u8]) -> Result<raw::Int> {
    // M-9: memcached leaves blanks behind a number that became shorter, which int() takes off.
    raw::int(codec.within_limit(digits)?).ok_or_else(|| broken("the value is not the number that its flags say"))
}

/// The short cut of [`Codec::glance`].
pub(super) fn glance<'a>(codec: &Codec, stored: StoredRef<'a>) -> Option<Glance<'a>> {
    if stored.flags & COMPRESSED != 0 || stored.bytes.len() > codec.limits.bytes {
        return None;
    }
    match Kept::of(stored.flags) {
        Kept::Bytes => Some(Glance::Bytes(stored.bytes)),
        Kept::Text => std::str::from_utf8(stored.bytes).ok().map(Glance::Text),
        Kept::Digits => glance::digits(stored.bytes),
        Kept::Pickle => glance::pickled(stored.bytes, &codec.limits),
    }
}

/// What the bytes are.
enum Kept {
    Bytes,
    Text,
    Digits,
    Pickle,
}

impl Kept {
    /// In the order in which pymemcache looks at the flags (M-8).
    fn of(flags: u32) -> Self {
        match flags {
            _ if flags & TEXT != 0 => Self::Text,
            _ if flags & (INTEGER | LONG) != 0 => Self::Digits,
            _ if flags & PICKLE != 0 => Self::Pickle,
            _ => Self::Bytes,
        }
    }
}

/// A value that is all of the bytes.
fn whole(bytes: &Bytes, limits: &Limits, node: impl FnOnce(Span) -> Node) -> Result<Tree> {
    let tables = Tables::new(bytes.clone(), limits)?;
    let len = u32::try_from(bytes.len()).map_err(|_| Error::new(Kind::TooBig, "the value is larger than 4 GiB"))?;
    Ok(Tree { tables, root: node(Span { start: 0, len }) })
}

// ---- compression ----

/// Whether the bytes are to be inflated: the flag says so, and they begin as a zlib stream.
fn is_compressed(stored: StoredRef<'_>) -> bool {
    let [first, second, ..] = *stored.bytes else { return false };
    stored.flags & COMPRESSED != 0 && first & 0x0f == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

/// What `compressed_serde` keeps: the zlib stream, unless it is longer.
fn shortest(flags: u32, bytes: Vec<u8>) -> Result<Stored> {
    let mut packed = Vec::new();
    zlib::pack(&bytes, Wrap::Zlib, 6, &mut packed).map_err(|fault| fault.error("the value", usize::MAX))?;
    if packed.len() > bytes.len() {
        return Ok(Stored { bytes: bytes.into(), flags });
    }
    Ok(Stored { bytes: packed.into(), flags: flags | COMPRESSED })
}

fn broken(why: &str) -> Error {
    Error::new(Kind::Undecodable, why)
}
