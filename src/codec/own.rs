//! What a program plugs in: a serializer, a compressor.

use std::sync::Arc;

use bytes::Bytes;

use super::Input;
use crate::error::Result;
use crate::value::{Limits, Tree};

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

    /// Fewer bytes.
    fn compress(&self, serialised: &[u8]) -> Result<Vec<u8>>;

    /// The bytes that were compressed, at most `limit`; `None` where these were not.
    fn decompress(&self, stored: &[u8], limit: usize) -> Result<Option<Vec<u8>>>;
}

/// A compressor that is shared.
pub type SharedCompress = Arc<dyn Compress>;
