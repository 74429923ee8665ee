//! What a program plugs in: a serializer, a compressor.

use std::sync::Arc;

use bytes::Bytes;

use super::{Input, digits, json};
use crate::error::{Error, Kind, Result};
use crate::float;
use crate::value::arena::{Node, Span, Tables};
use crate::value::{Limits, Number, Tree};

/// A serializer of the program's own (SERIALIZER). Called on the thread that writes or looks at a value.
pub trait Serialize: Send + Sync {
    /// The bytes for a value: [`Input::Bytes`], [`Input::Text`], [`Input::Number`] or [`Input::Json`].
    fn dumps(&self, input: Input<'_>, limits: &Limits) -> Result<Vec<u8>>;

    /// The value of such bytes.
    fn loads(&self, serialised: &Bytes, limits: &Limits) -> Result<Tree>;
}

/// A compressor of the program's own (COMPRESSOR). Called on the thread that writes or looks at a value.
pub trait Compress: Send + Sync {
    /// Only what is longer is compressed, in bytes.
    fn min_length(&self) -> usize;

    /// Fewer bytes, at most `limit`.
    fn compress(&self, serialised: &[u8], limit: usize) -> Result<Vec<u8>>;

    /// The bytes that were compressed, at most `limit`; `None` where these were not.
    fn decompress(&self, stored: &[u8], limit: usize) -> Result<Option<Vec<u8>>>;
}

/// A compressor that is shared.
pub type SharedCompress = Arc<dyn Compress>;

/// What a serializer has read.
pub enum Given {
    /// Python `bytes`.
    Bytes(Vec<u8>),
    /// Python `str`, in UTF-8.
    Text(Vec<u8>),
    /// JSON text, for dict, list, str, int, float, bool, None.
    Json(Vec<u8>),
}

impl Given {
    /// The value.
    pub fn tree(self, limits: &Limits) -> Result<Tree> {
        let (bytes, is_text) = match self {
            Self::Json(text) => return json::read(&text, limits),
            Self::Bytes(bytes) => (bytes, false),
            Self::Text(bytes) => (bytes, true),
        };
        if is_text && let Err(error) = std::str::from_utf8(&bytes) {
            return Err(Error::new(Kind::Undecodable, format!("the text is not UTF-8: {error}")));
        }
        let len = u32::try_from(bytes.len()).map_err(|_| Error::new(Kind::TooBig, "the value is larger than 4 GiB"))?;
        let span = Span { start: 0, len };
        let root = if is_text { Node::Text { share: 0, span } } else { Node::Bytes(span) };
        Ok(Tree { tables: Tables::new(bytes.into(), limits)?, root })
    }
}

/// A number as `json.dumps` writes it.
pub fn number_as_json(number: &Number) -> Result<Vec<u8>> {
    match number {
        Number::Int(int) => digits(int),
        Number::Float(value) => {
            let mut text = Vec::new();
            float::push(&mut text, *value, float::JSON);
            Ok(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::ValueKind;

    #[test]
    fn what_a_serializer_gives_becomes_a_value() {
        let limits = Limits { bytes: 10, ..Limits::default() };
        assert_eq!(Given::Bytes(vec![0xff]).tree(&limits).unwrap().kind(), ValueKind::Bytes);
        assert_eq!(Given::Text("é".into()).tree(&limits).unwrap().text().unwrap().0, "é");
        assert_eq!(Given::Json("[1]".into()).tree(&limits).unwrap().kind(), ValueKind::List);
        assert_eq!(Given::Text(vec![0xff]).tree(&limits).unwrap_err().kind(), Kind::Undecodable);
        assert!(Given::Json("[1".into()).tree(&limits).is_err());
        assert_eq!(Given::Bytes(vec![0; 11]).tree(&limits).unwrap_err().kind(), Kind::TooBig);
    }

    #[test]
    fn numbers_are_json() {
        assert_eq!(number_as_json(&Number::Int((-5).into())).unwrap(), b"-5");
        assert_eq!(number_as_json(&Number::Float(1.5)).unwrap(), b"1.5");
        assert_eq!(number_as_json(&Number::Float(f64::NAN)).unwrap(), b"NaN");
    }
}
