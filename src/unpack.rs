//! What everything that unpacks bytes shares: room for output of unknown size, and what can go wrong.

use crate::error::{Error, Kind};

/// Why bytes could not be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They are not of this format.
    Broken,
    /// Their end is missing.
    CutShort,
    /// They unpack to more than the limit.
    TooBig,
    /// They are more streams, one behind the other, than anybody reads.
    ManyStreams,
    /// There was not enough memory.
    NoMemory,
}

impl Fault {
    /// The error: `what` is the noun of the packed bytes, such as "the zlib stream".
    pub fn error(self, what: &str, limit: usize) -> Error {
        match self {
            Self::Broken => Error::new(Kind::Undecodable, format!("{what} is broken")),
            Self::CutShort => Error::new(Kind::Undecodable, format!("{what} is cut short")),
            Self::TooBig => Error::new(Kind::TooBig, format!("{what} unpacks to more than the limit of {limit} bytes")),
            Self::ManyStreams => {
                Error::new(Kind::TooBig, format!("{what} has more streams, one behind the other, than are read"))
            }
            Self::NoMemory => no_memory(),
        }
    }
}

/// The error where memory is wanting.
pub fn no_memory() -> Error {
    Error::new(Kind::Memory, "not enough memory for the value")
}

/// The least room that is made.
const LEAST: usize = 256;

/// Room for output. It doubles with what has really been written, whatever a header promises.
#[derive(Debug)]
pub struct Room {
    /// All of it initialised.
    bytes: Vec<u8>,
    filled: usize,
    limit: usize,
}

impl Room {
    /// Room for about `expected` bytes at first (which the caller has bounded), for `limit` bytes in the end.
    pub fn new(expected: usize, limit: usize) -> Result<Self, Fault> {
        let mut room = Self { bytes: Vec::new(), filled: 0, limit };
        room.grow_to(expected.max(LEAST))?;
        Ok(room)
    }

    /// What can be written to, never nothing.
    pub fn spare(&mut self) -> Result<&mut [u8], Fault> {
        if self.filled == self.bytes.len() {
            self.grow_to(self.filled.saturating_mul(2).max(LEAST))?;
        }
        self.bytes.get_mut(self.filled..).filter(|spare| !spare.is_empty()).ok_or(Fault::TooBig)
    }

    /// Says how much of [`Room::spare`] was written.
    pub fn written(&mut self, count: usize) {
        self.filled = self.filled.saturating_add(count).min(self.bytes.len());
    }

    /// What has been written so far.
    pub fn so_far(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Forgets what was written behind the first `len` bytes.
    pub fn forget_behind(&mut self, len: usize) {
        self.filled = self.filled.min(len);
    }

    /// All that was written.
    pub fn finish(mut self) -> Result<Vec<u8>, Fault> {
        if self.filled > self.limit {
            return Err(Fault::TooBig);
        }
        self.bytes.truncate(self.filled);
        Ok(self.bytes)
    }

    /// One byte more than the limit shows that it is exceeded.
    fn grow_to(&mut self, len: usize) -> Result<(), Fault> {
        let len = len.min(self.limit.saturating_add(1));
        let more = len.saturating_sub(self.bytes.len());
        self.bytes.try_reserve_exact(more).map_err(|_| Fault::NoMemory)?;
        self.bytes.resize(self.bytes.len() + more, 0);
        Ok(())
    }
}
