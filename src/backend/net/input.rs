//! What a connection has read and not yet decoded: the memory that a transport reads into, and how parts of it become
//! values.
//!
//! A large value lands in a buffer of its own size at once. Smaller ones are copied out, or share what was read with
//! their neighbours: that costs no memory of their own, but keeps the neighbours'.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::error::{Error, Kind, Result};

/// What one read takes at most on a connection with one request at a time; several in flight read more at once.
pub(crate) const SMALL_READS: usize = 16 << 10;
/// What one read takes at most on a connection with many requests in flight.
pub(crate) const LARGE_READS: usize = 64 << 10;
/// Longer values that are not there yet get a buffer of their own.
pub(crate) const LARGE: usize = 8 << 10;
/// Blocks of what was read that are kept to be used again.
const KEPT_BLOCKS: usize = 16;
/// What comes in smaller pieces is copied to a block of its own size: parts of it keep no more than that.
const SMALL_BLOCK: usize = 8 << 10;
/// The longest line: numbers, statuses, errors.
pub(crate) const MAX_LINE: usize = 64 << 10;
/// Up to this size a declared length is believed before the bytes are there.
pub(crate) const BELIEVED: usize = 4 << 20;

/// Bytes that a server sent, in pieces of any size.
#[derive(Debug)]
pub(crate) struct Input {
    /// What one read takes at most.
    chunk: usize,
    /// What is read into.
    fresh: Vec<u8>,
    /// What was read, where values are parts of it; empty where they are copies.
    block: Bytes,
    /// Blocks that are used again when nobody has a part of them any more; `None` where values are copies.
    kept: Option<VecDeque<Bytes>>,
    /// Where the unread part of `fresh` or `block` begins.
    at: usize,
    /// How far the line at `at` was searched for its end.
    searched: usize,
    large: Option<Large>,
}

/// A value with a buffer of its own.
#[derive(Debug)]
struct Large {
    data: Vec<u8>,
    length: usize,
}

/// What [`Input::value`] found.
pub(crate) enum Found {
    /// The value, which has been taken out with the line end behind it.
    Value(Bytes),
    /// More bytes are needed. Where the value has got a buffer of its own, [`Input::large`] tells when it is whole, and
    /// nothing else is there to be read until then.
    More,
}

impl Input {
    /// An input that reads `chunk` bytes at a time, and whose values are copies.
    pub(crate) fn new(chunk: usize) -> Self {
        Self { chunk, fresh: Vec::new(), block: Bytes::new(), kept: None, at: 0, searched: 0, large: None }
    }

    /// An input whose values are parts of what was read.
    pub(crate) fn sharing(chunk: usize) -> Self {
        Self { kept: Some(VecDeque::new()), ..Self::new(chunk) }
    }

    /// Memory to read into: bytes are to be appended, within the capacity that is there.
    pub(crate) fn room(&mut self) -> Result<&mut Vec<u8>> {
        if self.large.is_none() {
            self.make_room()?;
        }
        let Some(large) = &mut self.large else { return Ok(&mut self.fresh) };
        if large.data.len() == large.data.capacity() {
            let missing = (large.length + 2).saturating_sub(large.data.len());
            let step = missing.min(large.data.len().max(BELIEVED));
            large.data.try_reserve_exact(step).map_err(|_| no_memory(large.length))?;
        }
        Ok(&mut large.data)
    }

    fn make_room(&mut self) -> Result<()> {
        if self.at == self.data().len() {
            self.discard();
        }
        if self.fresh.capacity() == 0 {
            // the oldest has been with others for longest
            let free = self.kept.as_mut().filter(|kept| kept.front().is_some_and(Bytes::is_unique));
            self.fresh = free.and_then(VecDeque::pop_front).map(Vec::from).unwrap_or_default();
            self.fresh.clear();
        }
        if !self.block.is_empty() {
            self.unseal();
        }
        if self.fresh.capacity() - self.fresh.len() >= self.chunk / 4 {
            return Ok(());
        }
        self.fresh.drain(..self.at);
        self.searched = self.searched.saturating_sub(self.at);
        self.at = 0;
        let room = self.chunk.saturating_sub(self.fresh.len()).max(self.chunk / 4);
        self.fresh.try_reserve(room).map_err(|_| no_memory(room))
    }

    /// What was read and is being decoded.
    fn data(&self) -> &[u8] {
        if self.block.is_empty() { &self.fresh } else { &self.block }
    }

    /// Forgets what was read.
    fn discard(&mut self) {
        self.fresh.clear();
        self.block = Bytes::new();
        self.advance(0);
    }

    /// Makes what was read something that values can be parts of.
    fn seal(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        if self.fresh.len() < SMALL_BLOCK {
            self.block = Bytes::copy_from_slice(&self.fresh);
            self.fresh.clear();
            kept.pop_front(); // there is not much to do: memory is given back
            return;
        }
        self.block = Bytes::from(std::mem::take(&mut self.fresh));
        if kept.len() == KEPT_BLOCKS {
            kept.pop_front();
        }
        kept.push_back(self.block.slice(..1));
    }

    /// Moves what is left of a block to the beginning of another.
    fn unseal(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.fresh.extend_from_slice(block.get(self.at..).unwrap_or_default());
        self.searched = self.searched.saturating_sub(self.at);
        self.at = 0;
    }

    /// A part of what was read.
    fn part(&self, start: usize, length: usize) -> Bytes {
        if self.block.is_empty() {
            Bytes::copy_from_slice(self.fresh.get(start..start + length).unwrap_or_default())
        } else {
            self.block.slice(start..start + length)
        }
    }

    /// Whether a value is a part of what was read.
    #[cfg(test)]
    pub(crate) fn shares(&self, value: &Bytes) -> bool {
        self.block.as_ptr_range().contains(&value.as_ptr())
    }

    /// Whether everything that was read has been taken out.
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.data().len() && self.large.is_none()
    }

    /// To be called before what came is looked at: makes it something that values can be parts of.
    pub(crate) fn settle(&mut self) {
        if self.block.is_empty() && !self.fresh.is_empty() {
            self.seal();
        }
    }

    /// The line that comes next, without its end, and where the byte behind its end is; `None` while it is not whole.
    pub(crate) fn line(&mut self) -> Result<Option<(&[u8], usize)>> {
        let from = self.searched.max(self.at);
        let data = self.data();
        match memchr::memchr(b'\n', data.get(from..).unwrap_or_default()) {
            Some(found) if from + found > self.at && data.get(from + found - 1) == Some(&b'\r') => {
                let end = from + found - 1;
                Ok(Some((self.data().get(self.at..end).unwrap_or_default(), end + 2)))
            }
            Some(_) => Err(garbage("a line ends without a carriage return")),
            None if data.len() - self.at > MAX_LINE => Err(garbage("a line is too long")),
            None => {
                self.searched = data.len();
                Ok(None)
            }
        }
    }

    /// How many bytes lie between where reading is and `to`.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    pub(crate) fn behind(&self, to: usize) -> usize {
        to - self.at
    }

    /// Takes out what lies before `to`.
    pub(crate) fn advance(&mut self, to: usize) {
        self.at = to;
        self.searched = to;
    }

    /// The value of `length` bytes that begins at `start`, behind a line that [`Input::line`] found, and has a line end
    /// behind it. While it is not whole nothing is taken out, unless it gets a buffer of its own.
    pub(crate) fn value(&mut self, start: usize, length: usize) -> Result<Found> {
        let there = self.data().get(start..).unwrap_or_default();
        if let Some((_, b"\r\n")) = there.get(..length + 2).and_then(<[u8]>::split_last_chunk) {
            let value = self.part(start, length);
            self.advance(start + length + 2);
            return Ok(Found::Value(value));
        }
        if there.len() >= length + 2 {
            return Err(garbage("a value does not end where it should"));
        }
        if length > LARGE {
            self.begin_large(start, length)?;
        }
        Ok(Found::More)
    }

    /// Whether a value has a buffer of its own that is being filled.
    pub(crate) fn has_large(&self) -> bool {
        self.large.is_some()
    }

    /// The value that has a buffer of its own, once it is whole.
    pub(crate) fn large(&mut self) -> Result<Found> {
        let Some(mut large) = self.large.take_if(|large| large.data.len() >= large.length + 2) else {
            return Ok(Found::More);
        };
        // A buffer can have come out larger than asked for, and the next reply's beginning can be in it.
        self.fresh.extend_from_slice(large.data.get(large.length + 2..).unwrap_or_default());
        if large.data.get(large.length..large.length + 2) != Some(b"\r\n") {
            return Err(garbage("a value does not end where it should"));
        }
        large.data.truncate(large.length);
        Ok(Found::Value(Bytes::from(large.data)))
    }

    fn begin_large(&mut self, start: usize, length: usize) -> Result<()> {
        let mut data = Vec::new();
        data.try_reserve_exact((length + 2).min(BELIEVED)).map_err(|_| no_memory(length))?;
        data.extend_from_slice(self.data().get(start..).unwrap_or_default());
        self.discard();
        self.large = Some(Large { data, length });
        Ok(())
    }
}

/// What is said of bytes that no server of the kind sends.
pub(crate) fn garbage(what: &str) -> Error {
    Error::new(Kind::Connection, format!("what answers does not speak the server's protocol: {what}"))
        .retriable_if(false)
}

fn no_memory(bytes: usize) -> Error {
    Error::new(Kind::Memory, format!("no memory for a reply of {bytes} bytes"))
}
