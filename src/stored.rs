//! A serialised value: its bytes, and what some caches keep beside them to say what the bytes are.

use std::fmt;

use bytes::Bytes;

/// A serialised value of one's own.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The bytes.
    pub bytes: Bytes,
    /// What kind of bytes: memcached's flags (M-7), for diskcache one of [`kind`] (1.17). 0 where the cache keeps no such thing.
    pub flags: u32,
}

/// A serialised value that is somebody else's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoredRef<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// As in [`Stored`].
    pub flags: u32,
}

impl Stored {
    /// The same, borrowed.
    pub fn as_ref(&self) -> StoredRef<'_> {
        StoredRef { bytes: &self.bytes, flags: self.flags }
    }
}

impl<B: Into<Bytes>> From<B> for Stored {
    fn from(bytes: B) -> Self {
        Self { bytes: bytes.into(), flags: 0 }
    }
}

impl<'a, B: AsRef<[u8]> + ?Sized> From<&'a B> for StoredRef<'a> {
    fn from(bytes: &'a B) -> Self {
        Self { bytes: bytes.as_ref(), flags: 0 }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&self.bytes, self.flags, f)
    }
}

impl fmt::Debug for StoredRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&self.bytes, self.flags, f)
    }
}

/// The bytes, and the flags where there are any.
fn show(bytes: &dyn fmt::Debug, flags: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.fmt(f)?;
    if flags == 0 { Ok(()) } else { write!(f, " with flags {flags}") }
}

/// What [`Stored::flags`] says where diskcache keeps the value (1.17), which has columns of several types.
pub mod kind {
    /// Any value, as a pickle: what a cache that knows no kinds keeps.
    pub const PICKLE: u32 = 0;
    /// An `int` of at most 64 bits, as decimal digits.
    pub const INT: u32 = 1;
    /// A `float` that is a number, as Python's `repr` writes it.
    pub const FLOAT: u32 = 2;
    /// `str`, in UTF-8.
    pub const TEXT: u32 = 3;
    /// `bytes`.
    pub const BYTES: u32 = 4;
    /// `None`: a column without a value, as Python's sqlite3 makes one of NaN. Never written.
    pub const NULL: u32 = 5;
}
