//! One entry: key and value in a single allocation that readers can share.

use bytes::Bytes;

use crate::backend::clock::Nanos;
use crate::error::{Error, Kind, Result};

/// Key and value, written once: the key's length in four bytes, the key, the value.
#[derive(Clone)]
pub struct Record(Bytes);

impl Record {
    /// A record of its own memory. The only allocation of a write, so that it fails before anything has changed.
    pub fn new(key: &[u8], value: &[u8]) -> Result<Self> {
        let length = u32::try_from(key.len()).map_err(|_| Error::new(Kind::TooBig, "the key is too long"))?;
        let mut record = Vec::new();
        let size = key.len().saturating_add(value.len()).saturating_add(4);
        record.try_reserve_exact(size).map_err(|_| no_memory())?;
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(key);
        record.extend_from_slice(value);
        Ok(Self(record.into()))
    }

    /// The made key.
    pub fn key(&self) -> &[u8] {
        self.split().0
    }

    /// The serialised value.
    pub fn value(&self) -> &[u8] {
        self.split().1
    }

    /// The serialised value, sharing the record's memory.
    pub fn share_value(&self) -> Bytes {
        let start = self.0.len() - self.value().len();
        self.0.slice(start..)
    }

    fn split(&self) -> (&[u8], &[u8]) {
        let Some((length, rest)) = self.0.split_first_chunk::<4>() else { return (&[], &[]) };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        rest.split_at_checked(length).unwrap_or((rest, &[]))
    }
}

/// What the table holds for a key.
pub struct Entry {
    /// Key and value.
    pub record: Record,
    /// When it expires.
    pub deadline: Nanos,
    /// When it was last used, as a number that is given out once: the smallest is the least recently used (L-3).
    pub stamp: u64,
}

/// The failure of an allocation.
pub fn no_memory() -> Error {
    Error::new(Kind::Memory, "not enough memory for the entry")
}
