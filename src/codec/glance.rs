//! The short cut for the commonest values: one scalar, in place, without an allocation.

use super::Glance;
use super::pickle::opcode as op;
use super::pickle::read::small;
use crate::value::{Limits, keys};

/// A scalar in a pickle.
pub(super) fn pickled<'a>(stored: &'a [u8], limits: &Limits) -> Option<Glance<'a>> {
    let [op::PROTO, 0..=5, rest @ ..] = stored else { return None };
    if stored.len() > limits.bytes || limits.nodes < 2 {
        return None;
    }
    let rest = match rest {
        [op::FRAME, after @ ..] => {
            let (len, after) = after.split_first_chunk::<8>()?;
            // A frame longer than the data is an error, which is for decode to tell.
            usize::try_from(u64::from_le_bytes(*len)).ok().filter(|len| *len <= after.len())?;
            after
        }
        rest => rest,
    };
    let (value, rest) = scalar(rest)?;
    matches!(rest, [op::STOP, ..] | [op::MEMOIZE, op::STOP, ..] | [op::BINPUT, _, op::STOP, ..]).then_some(value)
}

/// An int of at most 64 bits in bare digits.
#[cfg(feature = "memcached")]
pub(super) fn digits(stored: &[u8]) -> Option<Glance<'_>> {
    use super::raw::{self, Int};
    match raw::int(stored)? {
        Int::Small(value) => Some(Glance::Int(value)),
        Int::Big(_) => None,
    }
}

fn scalar(data: &[u8]) -> Option<(Glance<'_>, &[u8])> {
    let (code, rest) = data.split_first()?;
    Some(match *code {
        op::NONE => (Glance::Null, rest),
        op::NEWTRUE => (Glance::Bool(true), rest),
        op::NEWFALSE => (Glance::Bool(false), rest),
        op::BININT1 => {
            let (byte, rest) = rest.split_first()?;
            (Glance::Int(i64::from(*byte)), rest)
        }
        op::BININT2 => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (Glance::Int(i64::from(u16::from_le_bytes(*bytes))), rest)
        }
        op::BININT => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (Glance::Int(i64::from(i32::from_le_bytes(*bytes))), rest)
        }
        op::LONG1 => {
            let (bytes, rest) = short(rest)?;
            (Glance::Int(small(keys::shortest(bytes))?), rest)
        }
        op::BINFLOAT => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (Glance::Float(f64::from_be_bytes(*bytes)), rest)
        }
        op::SHORT_BINUNICODE => text(short(rest)?)?,
        op::BINUNICODE => text(long(rest)?)?,
        op::SHORT_BINBYTES => {
            let (bytes, rest) = short(rest)?;
            (Glance::Bytes(bytes), rest)
        }
        op::BINBYTES => {
            let (bytes, rest) = long(rest)?;
            (Glance::Bytes(bytes), rest)
        }
        _ => return None,
    })
}

fn text<'a>((bytes, rest): (&'a [u8], &'a [u8])) -> Option<(Glance<'a>, &'a [u8])> {
    Some((Glance::Text(std::str::from_utf8(bytes).ok()?), rest))
}

fn short(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = rest.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

fn long(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = rest.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}
