//! Another deadline for what HerdClient stored, without writing the value again: larder can read more than it writes.

use crate::codec::Codec;
use crate::error::Result;
use crate::stored::Stored;

const STOP: u8 = b'.';
const TUPLE: u8 = b't';
const TUPLE3: u8 = 0x87;
const MEMOIZE: u8 = 0x94;
const PROTO: u8 = 0x80;
const FRAME: u8 = 0x95;
const LONG1: u8 = 0x8a;
/// What stands before the pickle of one frame: PROTO and the protocol, FRAME and its length.
const HEAD: usize = 11;

impl Codec {
    /// The same value with the soft deadline `new` instead of `old`; `None` where that is not found at the end of the
    /// pickle, as whole seconds.
    pub fn with_deadline(&self, stored: &Stored, old: i64, new: i64) -> Result<Option<Stored>> {
        let pickle = self.compressor.decompress(&stored.bytes, &self.limits)?;
        let Some(changed) = changed(&pickle, old, new) else { return Ok(None) };
        // It was found by its looks: what came of it is looked at.
        let same = self.unpack_herd(self.deserialise(&changed.clone().into())?)?.1 == Some(new);
        if !same {
            return Ok(None);
        }
        self.compressor.compress(changed, &self.limits).map(|bytes| Some(bytes.into()))
    }
}

fn changed(pickle: &[u8], old: i64, new: i64) -> Option<Vec<u8>> {
    let end = tuples(pickle).find_map(|end| {
        let before = pickle.get(..end)?;
        ways(old).into_iter().find(|way| before.ends_with(way)).map(|way| (end, way))
    });
    let (end, way) = end?;
    let is_text = matches!(way.first(), Some(b'I' | b'L'));
    let fits = i32::try_from(new).ok();
    let written = match fits {
        _ if is_text || (fits.is_none() && pickle.first() != Some(&PROTO)) => text(new),
        Some(small) => binary(small),
        None => long(new),
    };
    let mut changed = pickle.get(..end - way.len())?.to_vec();
    changed.extend_from_slice(&written);
    changed.extend_from_slice(pickle.get(end..)?);
    mend_frame(&mut changed, pickle.len());
    Some(changed)
}

/// Where the instruction that makes the outermost tuple can stand: in front of the end, with or without the one that puts
/// the tuple into the memo.
fn tuples(pickle: &[u8]) -> impl Iterator<Item = usize> {
    let body = pickle.strip_suffix(&[STOP]).unwrap_or_default();
    let put =
        |size: usize, opcode: u8| body.len().checked_sub(size).filter(|at| body.get(*at) == Some(&opcode)).into_iter();
    let named = body.iter().rposition(|byte| *byte == b'p').filter(|_| body.ends_with(b"\n"));
    std::iter::once(body.len())
        .chain(put(1, MEMOIZE))
        .chain(put(2, b'q'))
        .chain(put(5, b'r'))
        .chain(named)
        .filter_map(|end| end.checked_sub(1))
        .filter(|at| matches!(body.get(*at), Some(&(TUPLE | TUPLE3))))
}

/// The ways in which Python's picklers write a number.
fn ways(number: i64) -> Vec<Vec<u8>> {
    let mut ways = vec![format!("I{number}\n").into_bytes(), format!("L{number}L\n").into_bytes(), long(number)];
    ways.extend(i32::try_from(number).ok().map(binary));
    ways.extend(u16::try_from(number).ok().map(|small| [b"M", small.to_le_bytes().as_slice()].concat()));
    ways.extend(u8::try_from(number).ok().map(|small| vec![b'K', small]));
    ways
}

fn binary(number: i32) -> Vec<u8> {
    [b"J", number.to_le_bytes().as_slice()].concat()
}

fn long(number: i64) -> Vec<u8> {
    let bytes = num_bigint::BigInt::from(number).to_signed_bytes_le();
    let bytes = if number == 0 { Vec::new() } else { bytes };
    [[LONG1, u8::try_from(bytes.len()).unwrap_or_default()].as_slice(), &bytes].concat()
}

fn text(number: i64) -> Vec<u8> {
    if i32::try_from(number).is_ok() { format!("I{number}\n") } else { format!("L{number}L\n") }.into_bytes()
}

/// Where the whole pickle was one frame, it is one again. Python takes frames that are too short, too.
fn mend_frame(pickle: &mut [u8], before: usize) {
    let after = pickle.len();
    let Some([PROTO, _, FRAME, size @ ..]) = pickle.get_mut(..HEAD) else { return };
    let Ok(place) = <&mut [u8; 8]>::try_from(size) else { return };
    if u64::from_le_bytes(*place) == before.saturating_sub(HEAD) as u64 {
        *place = (after.saturating_sub(HEAD) as u64).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Form, Input};
    use crate::value::Limits;

    const OLD: i64 = 1_700_000_000;

    #[test]
    fn the_deadline_is_replaced_in_every_protocol() {
        for protocol in 0..=5 {
            let codec = Codec::pickling(protocol, Form::RedisIntegers, Limits::default());
            for value in [r#"{"a": [1, 2.5, "x"]}"#, "[]", "null"] {
                let write = |deadline| codec.encode_herd(Input::Json(value.as_bytes()), deadline).unwrap();
                // beyond 2038 it is longer
                for (old, new) in [(OLD, OLD + 77), (OLD, 1 << 33), (1 << 33, OLD), (200, 60_000), (0, OLD)] {
                    let changed = codec.with_deadline(&write(old), old, new).unwrap().unwrap();
                    // Python has shorter ways for small numbers, and in protocol 1 other ones for large ones
                    let unlike_python = protocol > 0 && (new < 1 << 16 || (protocol == 1 && old == 1 << 33));
                    assert!(unlike_python || changed == write(new), "protocol {protocol}: {changed:?}");
                    let (_, deadline) = codec.unpack_herd(codec.decode(&changed).unwrap()).unwrap();
                    assert_eq!(deadline, Some(new));
                }
                assert!(codec.with_deadline(&write(OLD), OLD + 1, OLD).unwrap().is_none());
            }
            let plain = codec.encode(Input::Text("no tuple")).unwrap();
            assert!(codec.with_deadline(&plain, OLD, OLD + 1).unwrap().is_none());
        }
    }

    #[test]
    fn whatever_the_bytes_are_it_ends() {
        let codec = Codec::pickling(4, Form::RedisIntegers, Limits::default());
        let good = codec.encode_herd(Input::Text("v"), OLD).unwrap().bytes;
        for end in 0..good.len() {
            assert!(changed(good.get(..end).unwrap(), OLD, 5).is_none());
            assert!(changed(good.get(end + 1..).unwrap_or_default(), OLD, 5).is_none_or(|bytes| bytes.len() < 100));
        }
        assert!(changed(b"", 0, 0).is_none() && changed(b".", 0, 0).is_none() && changed(b"t.", 0, 0).is_none());
    }
}
