//! What diskcache keeps beside pickles (1.17): `str`, `bytes`, `float` and ints of 64 bits, each as itself.
//!
//! [`Stored::flags`](crate::stored::Stored) is one of [`crate::stored::kind`] and says how the bytes are to be read. How they
//! are spread over diskcache's columns (mode, value, filename) is the backend's business.

use bytes::Bytes;
use num_traits::ToPrimitive;

use super::carry::Unwrapped;
use super::{Codec, Glance, Input, Value, json, raw};
use crate::error::{Error, Kind, Result};
use crate::float;
use crate::stored::{Stored, StoredRef};
use crate::value::arena::{Node, Span, Tables};
use crate::value::{Number, Tree};

pub use crate::stored::kind::{BYTES, FLOAT, INT, NULL, PICKLE, TEXT};

/// Beyond this many bytes nothing is a number.
const LONGEST_NUMBER: usize = 32;

/// What [`Codec::encode`] does. What is "serialised already" is a pickle: diskcache serialises nothing else.
pub(super) fn encode(codec: &Codec, input: Input<'_>) -> Result<Stored> {
    let native = match input {
        Input::Text(text) => Some((TEXT, text.as_bytes().into())),
        Input::Bytes(bytes) => Some((BYTES, bytes.into())),
        Input::Number(number) => native(number),
        Input::Json(text) => return encode_tree(codec, &json::read(text, &codec.limits)?),
        Input::Stored(_) | Input::Ready(_) => None,
    };
    match native {
        Some(native) => column(codec, native),
        None => Ok(Stored { bytes: codec.serialise(input)?.into(), flags: PICKLE }),
    }
}

/// The same for a tree.
pub(super) fn encode_tree(codec: &Codec, tree: &Tree) -> Result<Stored> {
    match native_root(tree) {
        Some(native) => column(codec, native),
        None => Ok(Stored { bytes: codec.pickled(Value::Tree(tree))?.into(), flags: PICKLE }),
    }
}

/// What is a column of its own type.
fn column(codec: &Codec, (flags, bytes): (u32, Vec<u8>)) -> Result<Stored> {
    codec.within_limit(&bytes)?;
    Ok(Stored { bytes: bytes.into(), flags })
}

/// A number as itself: not beyond 64 bits; and NaN, of which SQLite makes NULL, is better pickled.
fn native(number: &Number) -> Option<(u32, Vec<u8>)> {
    match number {
        Number::Int(int) => int.to_i64().map(|int| (INT, int.to_string().into_bytes())),
        Number::Float(float) => (!float.is_nan()).then(|| (FLOAT, float::repr(*float).into_bytes())),
    }
}

fn native_root(tree: &Tree) -> Option<(u32, Vec<u8>)> {
    match tree.root {
        Node::Int(int) => Some((INT, int.to_string().into_bytes())),
        Node::Float(float) => native(&Number::Float(float)),
        Node::Text { span, .. } => {
            // A text with lone surrogates is no UTF-8, and so a pickle.
            let bytes = tree.tables.slice(span);
            std::str::from_utf8(bytes).is_ok().then(|| (TEXT, bytes.to_vec()))
        }
        Node::Bytes(span) => Some((BYTES, tree.tables.slice(span).to_vec())),
        _ => None,
    }
}

/// What [`Codec::decode`] does with what is no pickle.
pub(super) fn decode(codec: &Codec, stored: &Stored) -> Result<Tree> {
    let tables = |bytes: &Bytes| Tables::new(bytes.clone(), &codec.limits);
    let whole = || {
        let len = u32::try_from(stored.bytes.len()).map_err(|_| Error::new(Kind::TooBig, "the value has 4 GiB"))?;
        Ok::<_, Error>(Span { start: 0, len })
    };
    let (tables, root) = match stored.flags {
        TEXT => {
            let tables = tables(&stored.bytes)?;
            std::str::from_utf8(&stored.bytes).map_err(|_| broken("a text that is not UTF-8"))?;
            (tables, Node::Text { share: 0, span: whole()? })
        }
        BYTES => (tables(&stored.bytes)?, Node::Bytes(whole()?)),
        _ => {
            let node = match glance(codec, stored.as_ref()) {
                Some(Glance::Null) => Node::None,
                Some(Glance::Int(int)) => Node::Int(int),
                Some(Glance::Float(float)) => Node::Float(float),
                _ => return Err(broken("a number that is none")),
            };
            (tables(&Bytes::new())?, node)
        }
    };
    Ok(Tree { tables, root })
}

/// What [`Codec::unwrapped`] does with what is no pickle.
pub(super) fn unwrapped(codec: &Codec, stored: &Stored) -> Result<Unwrapped> {
    Ok(match stored.flags {
        TEXT => Unwrapped::Text(stored.bytes.clone()),
        BYTES => Unwrapped::Bytes(stored.bytes.clone()),
        _ => match glance(codec, stored.as_ref()) {
            Some(Glance::Null) => Unwrapped::Null,
            Some(Glance::Int(int)) => Unwrapped::Number(Number::Int(int.into())),
            Some(Glance::Float(float)) => Unwrapped::Number(Number::Float(float)),
            _ => return Err(broken("a number that is none")),
        },
    })
}

/// Refuses what Pyot's `pickle.loads` would: what diskcache did not keep as `bytes`.
pub(super) fn check_of_pyot(flags: u32) -> Result<()> {
    if flags == BYTES { Ok(()) } else { Err(broken("not bytes, so Pyot has not written it")) }
}

/// What [`Codec::glance`] does with what is no pickle.
pub(super) fn glance<'a>(codec: &Codec, stored: StoredRef<'a>) -> Option<Glance<'a>> {
    let bytes = stored.bytes;
    match stored.flags {
        NULL => Some(Glance::Null),
        TEXT if bytes.len() <= codec.limits.bytes => std::str::from_utf8(bytes).ok().map(Glance::Text),
        BYTES if bytes.len() <= codec.limits.bytes => Some(Glance::Bytes(bytes)),
        INT => int(bytes).map(Glance::Int),
        FLOAT => float(bytes).map(Glance::Float),
        _ => None,
    }
}

/// The number in the bytes of an [`INT`].
fn int(bytes: &[u8]) -> Option<i64> {
    match raw::int(in_bounds(bytes)?)? {
        raw::Int::Small(int) => Some(int),
        raw::Int::Big(_) => None,
    }
}

/// The number in the bytes of a [`FLOAT`].
fn float(bytes: &[u8]) -> Option<f64> {
    std::str::from_utf8(in_bounds(bytes)?).ok()?.parse().ok()
}

fn in_bounds(bytes: &[u8]) -> Option<&[u8]> {
    (bytes.len() <= LONGEST_NUMBER).then_some(bytes)
}

fn broken(what: &str) -> Error {
    Error::new(Kind::Undecodable, format!("the stored value is {what}"))
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;

    use super::*;
    use crate::codec::Form;
    use crate::value::{Limits, ValueKind};

    const CODEC: Codec = Codec::pickling(5, Form::DiskCache, Limits { bytes: 1000, nodes: 1000, depth: 10 });

    fn stored(input: Input<'_>) -> (u32, Vec<u8>) {
        let stored = CODEC.encode(input).unwrap();
        (stored.flags, stored.bytes.to_vec())
    }

    #[test]
    fn what_is_native_and_what_is_pickled() {
        assert_eq!(stored(Input::Text("é")), (TEXT, "é".into()));
        assert_eq!(stored(Input::Bytes(b"\0")), (BYTES, vec![0]));
        assert_eq!(stored(Input::Json(b"42")), (INT, b"42".into()));
        assert_eq!(stored(Input::Json(b"-0.0")), (FLOAT, b"-0.0".into()));
        assert_eq!(stored(Input::Json(b"\"x\"")), (TEXT, b"x".into()));
        assert_eq!(stored(Input::Json(b"Infinity")), (FLOAT, b"inf".into()));
        assert_eq!(stored(Input::Number(&Number::Float(1e16))), (FLOAT, b"1e+16".into()));
        assert_eq!(stored(Input::Number(&Number::Int(i64::MIN.into()))).0, INT);
        for pickled in ["true", "null", "[1]", "{}", "9223372036854775808", "NaN", "\"\\ud800\""] {
            let (flags, bytes) = stored(Input::Json(pickled.as_bytes()));
            assert_eq!((flags, bytes.starts_with(b"\x80\x05")), (PICKLE, true), "{pickled}");
        }
        assert_eq!(stored(Input::Number(&Number::Int(BigInt::from(i64::MAX) + 1))).0, PICKLE);
        assert_eq!(stored(Input::Stored(b"\x80\x05N.")), (PICKLE, b"\x80\x05N.".into()));
        assert_eq!(CODEC.encode(Input::Bytes(&[0; 1001])).unwrap_err().kind(), Kind::TooBig);
    }

    #[test]
    fn what_was_written_is_read() {
        let kinds = [
            ("\"text\"", ValueKind::Text),
            ("7", ValueKind::Int),
            ("0.5", ValueKind::Float),
            ("null", ValueKind::Null),
            ("[]", ValueKind::List),
        ];
        for (text, kind) in kinds {
            let stored = CODEC.encode(Input::Json(text.as_bytes())).unwrap();
            let tree = CODEC.decode(&stored).unwrap();
            assert_eq!(tree.kind(), kind, "{text}");
            assert_eq!(json::write(&tree, &CODEC.limits).unwrap().0, text);
        }
        let null = Stored { flags: NULL, ..Stored::default() };
        assert_eq!(CODEC.decode(&null).unwrap().kind(), ValueKind::Null);
        let bytes = Stored { bytes: Bytes::from_static(b"\xff"), flags: BYTES };
        assert_eq!(CODEC.glance(bytes.as_ref()), Some(Glance::Bytes(b"\xff")));
        assert_eq!(CODEC.decode(&bytes).unwrap().kind(), ValueKind::Bytes);
    }

    #[test]
    fn pyot_keeps_pickles_as_bytes() {
        let codec = Codec { form: Form::PyotDisk, ..CODEC };
        for (text, pickle) in [
            ("1", &b"\x80\x05K\x01."[..]),
            ("null", b"\x80\x05N."),
            ("\"x\"", b"\x80\x05\x95\x05\0\0\0\0\0\0\0\x8c\x01x\x94."),
        ] {
            let stored = codec.encode(Input::Json(text.as_bytes())).unwrap();
            assert_eq!((stored.flags, &*stored.bytes), (BYTES, pickle));
            assert!(codec.glance(stored.as_ref()).is_some());
            assert_eq!(json::write(&codec.decode(&stored).unwrap(), &codec.limits).unwrap().0, text);
        }
        assert_eq!(codec.encode(Input::Stored(b"\x80\x05N.")).unwrap().flags, BYTES);
        for flags in [PICKLE, INT, TEXT, FLOAT, NULL] {
            let stored = Stored { bytes: Bytes::from_static(b"\x80\x05K\x01."), flags };
            assert_eq!(codec.decode(&stored).err().map(|error| error.kind()), Some(Kind::Undecodable));
            assert_eq!(codec.glance(stored.as_ref()), None);
        }
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        for (flags, bytes) in [(TEXT, &b"\xff"[..]), (INT, b""), (INT, b"x"), (FLOAT, b"1.x"), (9, b"1"), (PICKLE, b"")]
        {
            let stored = Stored { bytes: Bytes::from_static(bytes), flags };
            assert_eq!(CODEC.decode(&stored).err().map(|error| error.kind()), Some(Kind::Undecodable), "{stored:?}");
            assert_eq!(CODEC.glance(stored.as_ref()), None);
        }
    }
}
