//! What the fuzz targets share: what has to hold for whatever was read.

use bytes::Bytes;
use larder::codec::compress::{Compressor, Method};
use larder::codec::{Codec, Form, Glance, Input, Serializer, json};
use larder::error::Kind;
use larder::stored::{Stored, StoredRef};
use larder::value::{Limits, Loss, Tree};

/// Small enough that nothing takes long.
pub const LIMITS: Limits = Limits { bytes: 1 << 20, nodes: 1 << 16, depth: 1000 };

/// A codec without a compressor.
pub fn codec(serializer: Serializer, form: Form) -> Codec {
    Codec { form, serializer, compressor: Compressor::none(), limits: LIMITS }
}

/// Reads stored bytes: what can be read can be shown within the limits, a glance says the same, and what is shown without
/// a loss can be stored again.
pub fn read(codec: &Codec, stored: &[u8], flags: u32) -> Option<Tree> {
    let whole = Stored { bytes: Bytes::copy_from_slice(stored), flags };
    let glance = codec.glance(StoredRef { bytes: stored, flags });
    let tree = match codec.decode(&whole) {
        Ok(tree) => tree,
        Err(error) => {
            assert!(matches!(error.kind(), Kind::Undecodable | Kind::TooBig), "{error}");
            assert_eq!(glance, None, "{error}");
            return None;
        }
    };
    agrees(&tree, glance);
    let _ = (tree.bytes(), tree.number(), tree.int_text(), tree.type_name(), tree.len(), tree.is_none());
    let is_bool_of_pylibmc = codec.form == Form::PyLibMc && tree.boolean().is_some(); // stored as a number (M-7)
    if let Some((text, Loss::Exact)) = shown(&tree)
        && !is_bool_of_pylibmc
        && let Ok(again) = codec.encode(Input::Json(text.as_bytes()))
    {
        let again = codec.decode(&again).expect("what was written is read");
        assert_eq!(shown(&again), Some((text, Loss::Exact)));
    }
    Some(tree)
}

/// A value as JSON, unless that is too long.
pub fn shown(tree: &Tree) -> Option<(String, Loss)> {
    let (text, loss) = json::write(tree, &LIMITS).ok()?;
    assert!(text.len() <= LIMITS.bytes);
    // One that holds the other's limits nearly can exceed them: nothing is promised there.
    if let Ok(again) = json::read(text.as_bytes(), &LIMITS)
        && let Ok((text_again, loss_again)) = json::write(&again, &LIMITS)
        && loss == Loss::Exact
    {
        assert_eq!((text_again, loss_again), (text.clone(), loss));
    }
    Some((text, loss))
}

fn agrees(tree: &Tree, glance: Option<Glance<'_>>) {
    match glance {
        None => {}
        Some(Glance::Null) => assert!(tree.is_none()),
        Some(Glance::Bool(value)) => assert_eq!(tree.boolean(), Some(value)),
        Some(Glance::Int(value)) => assert_eq!(tree.int64(), Some(value)),
        Some(Glance::Float(value)) => assert_eq!(tree.float().map(f64::to_bits), Some(value.to_bits())),
        Some(Glance::Text(value)) => assert_eq!(tree.text(), Some((value.into(), Loss::Exact))),
        Some(Glance::Bytes(value)) => assert_eq!(tree.bytes(), Some((value, Loss::Exact))),
    }
}

/// What packs so much packs quickly.
const QUICK: usize = 1 << 16;

/// Unpacks stored bytes: never more than the limit, and what comes out can be packed and unpacked again; so can the bytes
/// themselves. Values of more than `most` bytes are not packed, where that takes long.
pub fn unpack(method: Method, stored: &[u8], most: usize) {
    let bytes = Bytes::copy_from_slice(stored);
    let strict = Compressor { method, min_length: 0, forgives: false };
    let forgiving = Compressor { forgives: true, ..strict.clone() };
    let forgiven = forgiving.decompress(&bytes, &LIMITS);
    match strict.decompress(&bytes, &LIMITS) {
        Ok(value) => {
            assert!(value.len() <= LIMITS.bytes || value == bytes, "{} bytes", value.len());
            assert!(forgiven.as_ref().is_ok_and(|forgiven| *forgiven == value));
            if value != bytes {
                survives(&strict, &value, most);
            }
        }
        Err(error) if error.kind() == Kind::TooBig => assert!(forgiven.is_err(), "a bomb is never taken as it is"),
        Err(error) => {
            assert_eq!(error.kind(), Kind::Undecodable, "{error}");
            assert!(forgiven.is_ok_and(|taken| taken == bytes));
        }
    }
    if most >= QUICK {
        survives(&strict, stored, most);
    }
}

fn survives(compressor: &Compressor, value: &[u8], most: usize) {
    if value.is_empty() || value.len() > most {
        return;
    }
    let packed = compressor.compress(value.to_vec(), &LIMITS).expect("it can be packed");
    let again = compressor.decompress(&packed.into(), &LIMITS).expect("it can be unpacked");
    assert!(again == value);
}
