//! The one incremental decoder of the wire format, which trusts nothing.
//!
//! It owns the memory that a transport reads into ([`Decoder::room`]), so that a large bulk reply lands in a buffer of
//! its own size at once. Smaller ones are copied out, or share what was read with their neighbours: that costs no
//! memory of their own, but keeps the neighbours'. It keeps its own stack: nesting costs no thread stack, and is
//! bounded.

use std::collections::VecDeque;

use bytes::Bytes;

use super::resp::Frame;
use crate::error::{Error, Kind, Result};

/// What one read takes at most on a connection with one request at a time; several in flight read more at once.
pub(super) const SMALL_READS: usize = 16 << 10;
/// What one read takes at most on a connection with many requests in flight.
pub(super) const LARGE_READS: usize = 64 << 10;
/// Longer bulk replies that are not there yet get a buffer of their own.
const LARGE: usize = 8 << 10;
/// Blocks of what was read that are kept to be used again.
const KEPT_BLOCKS: usize = 16;
/// What comes in smaller pieces is copied to a block of its own size: parts of it keep no more than that.
const SMALL_BLOCK: usize = 8 << 10;
/// The largest bulk reply (what Redis itself allows by default).
const MAX_BULK: usize = 512 << 20;
/// The longest line: numbers, statuses, errors.
const MAX_LINE: usize = 64 << 10;
/// The most bytes of values that one reply may have.
const MAX_REPLY: usize = 4 * MAX_BULK;
/// The most items that one reply may have, nested ones included.
const MAX_ITEMS: usize = 4 << 20;
/// The deepest nesting; EXEC of SCAN needs three.
const MAX_DEPTH: usize = 16;
/// Up to this size a declared length is believed before the bytes are there.
const BELIEVED: usize = 4 << 20;

/// Turns what a server sent, in pieces of any size, into [`Frame`]s. After an error it must not be used again.
#[derive(Debug)]
pub(super) struct Decoder {
    /// What one read takes at most.
    chunk: usize,
    /// What is read into.
    input: Vec<u8>,
    /// What was read, where bulk replies are parts of it; empty where they are copies.
    block: Bytes,
    /// Blocks that are used again when nobody has a part of them any more; `None` where bulk replies are copies.
    kept: Option<VecDeque<Bytes>>,
    /// Where the unread part of `input` or `block` begins.
    at: usize,
    /// How far the line at `at` was searched for its end.
    searched: usize,
    /// The collections that are being filled, outermost first.
    open: Vec<Open>,
    large: Option<Large>,
    /// Items of the reply that is being read.
    items: usize,
    /// Bytes of the values of the reply that is being read.
    bytes: usize,
}

/// A collection that is being filled.
#[derive(Debug)]
struct Open {
    shape: Shape,
    left: usize,
    items: Vec<Frame>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Array,
    Map,
    Push,
    /// Metadata before a reply; read and dropped.
    Attribute,
}

/// A bulk reply with a buffer of its own.
#[derive(Debug)]
struct Large {
    mark: u8,
    data: Vec<u8>,
    length: usize,
}

/// The next thing in the input.
enum Token {
    Leaf(Frame),
    Open(Shape, usize),
    /// More bytes are needed.
    More,
}

impl Decoder {
    /// A decoder that reads `chunk` bytes at a time, and whose bulk replies are copies.
    pub(super) fn new(chunk: usize) -> Self {
        Self {
            chunk,
            input: Vec::new(),
            block: Bytes::new(),
            kept: None,
            at: 0,
            searched: 0,
            open: Vec::new(),
            large: None,
            items: 0,
            bytes: 0,
        }
    }

    /// A decoder whose bulk replies are parts of what was read.
    pub(super) fn sharing(chunk: usize) -> Self {
        Self { kept: Some(VecDeque::new()), ..Self::new(chunk) }
    }

    /// Memory to read into: bytes are to be appended, within the capacity that is there.
    pub(super) fn room(&mut self) -> Result<&mut Vec<u8>> {
        if self.large.is_none() {
            self.make_room()?;
        }
        let Some(large) = &mut self.large else { return Ok(&mut self.input) };
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
        if self.input.capacity() == 0 {
            // the oldest has been with others for longest
            let free = self.kept.as_mut().filter(|kept| kept.front().is_some_and(Bytes::is_unique));
            self.input = free.and_then(VecDeque::pop_front).map(Vec::from).unwrap_or_default();
            self.input.clear();
        }
        if !self.block.is_empty() {
            self.unseal();
        }
        if self.input.capacity() - self.input.len() >= self.chunk / 4 {
            return Ok(());
        }
        self.input.drain(..self.at);
        self.searched = self.searched.saturating_sub(self.at);
        self.at = 0;
        let room = self.chunk.saturating_sub(self.input.len()).max(self.chunk / 4);
        self.input.try_reserve(room).map_err(|_| no_memory(room))
    }

    /// What was read and is being decoded.
    fn data(&self) -> &[u8] {
        if self.block.is_empty() { &self.input } else { &self.block }
    }

    /// Forgets what was read.
    fn discard(&mut self) {
        self.input.clear();
        self.block = Bytes::new();
        self.advance(0);
    }

    /// Makes what was read something that replies can be parts of.
    fn seal(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        if self.input.len() < SMALL_BLOCK {
            self.block = Bytes::copy_from_slice(&self.input);
            self.input.clear();
            kept.pop_front(); // there is not much to do: memory is given back
            return;
        }
        self.block = Bytes::from(std::mem::take(&mut self.input));
        if kept.len() == KEPT_BLOCKS {
            kept.pop_front();
        }
        kept.push_back(self.block.slice(..1));
    }

    /// Moves what is left of a block to the beginning of another.
    fn unseal(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.input.extend_from_slice(block.get(self.at..).unwrap_or_default());
        self.searched = self.searched.saturating_sub(self.at);
        self.at = 0;
    }

    /// A part of what was read.
    fn part(&self, start: usize, length: usize) -> Bytes {
        if self.block.is_empty() {
            Bytes::copy_from_slice(self.input.get(start..start + length).unwrap_or_default())
        } else {
            self.block.slice(start..start + length)
        }
    }

    /// Whether everything that was read has been handed out.
    pub(super) fn is_empty(&self) -> bool {
        self.at == self.data().len() && self.open.is_empty() && self.large.is_none()
    }

    /// The next whole reply, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            if self.block.is_empty() && !self.input.is_empty() {
                self.seal();
            }
            let token = if self.large.is_some() { self.finish_large()? } else { self.token()? };
            match token {
                Token::More => return Ok(None),
                Token::Open(shape, left) => self.begin(shape, left)?,
                Token::Leaf(frame) => {
                    self.count(1)?;
                    if let Some(frame) = self.place(frame) {
                        (self.items, self.bytes) = (0, 0);
                        return Ok(Some(frame));
                    }
                }
            }
        }
    }

    fn begin(&mut self, shape: Shape, left: usize) -> Result<()> {
        if self.open.len() >= MAX_DEPTH {
            return Err(garbage("a reply is nested too deeply"));
        }
        if left > MAX_ITEMS {
            return Err(garbage("a reply has too many items"));
        }
        self.count(1)?;
        self.open.push(Open { shape, left, items: Vec::with_capacity(left.min(256)) });
        Ok(())
    }

    fn count(&mut self, more: usize) -> Result<()> {
        self.items += more;
        if self.items > MAX_ITEMS { Err(garbage("a reply has too many items")) } else { Ok(()) }
    }

    /// Puts a frame where it belongs; hands it back when it is a whole reply.
    fn place(&mut self, mut frame: Frame) -> Option<Frame> {
        loop {
            let Some(top) = self.open.last_mut() else { return Some(frame) };
            top.items.push(frame);
            top.left -= 1;
            frame = self.close_full()?;
        }
    }

    /// Takes the innermost collection off the stack if it is full.
    fn close_full(&mut self) -> Option<Frame> {
        let full = self.open.pop_if(|top| top.left == 0)?;
        match full.shape {
            Shape::Array => Some(Frame::Array(full.items)),
            Shape::Map => Some(Frame::Map(full.items)),
            Shape::Push => Some(Frame::Push(full.items)),
            Shape::Attribute => None,
        }
    }

    fn token(&mut self) -> Result<Token> {
        let Some(end) = self.line_end()? else { return Ok(Token::More) };
        let line = self.data().get(self.at..end).unwrap_or_default();
        let Some((&mark, body)) = line.split_first() else { return Err(garbage("an empty line")) };
        let next = end + 2;
        let token = match mark {
            b'$' | b'=' | b'!' => return self.bulk(mark, next),
            b'*' | b'~' => collection(Shape::Array, body, 1)?,
            b'%' => collection(Shape::Map, body, 2)?,
            b'>' => collection(Shape::Push, body, 1)?,
            b'|' => collection(Shape::Attribute, body, 2)?,
            _ => Token::Leaf(scalar(mark, body)?),
        };
        self.bytes += next - self.at;
        if self.bytes > MAX_REPLY {
            return Err(too_much());
        }
        self.advance(next);
        Ok(token)
    }

    /// The place of the `\r\n` that ends the line at `at`.
    fn line_end(&mut self) -> Result<Option<usize>> {
        let from = self.searched.max(self.at);
        let data = self.data();
        match memchr::memchr(b'\n', data.get(from..).unwrap_or_default()) {
            Some(found) if from + found > self.at && data.get(from + found - 1) == Some(&b'\r') => {
                Ok(Some(from + found - 1))
            }
            Some(_) => Err(garbage("a line ends without a carriage return")),
            None if data.len() - self.at > MAX_LINE => Err(garbage("a line is too long")),
            None => {
                self.searched = data.len();
                Ok(None)
            }
        }
    }

    fn advance(&mut self, to: usize) {
        self.at = to;
        self.searched = to;
    }

    /// A bulk reply whose bytes begin at `start`.
    fn bulk(&mut self, mark: u8, start: usize) -> Result<Token> {
        let line = self.data().get(self.at + 1..start - 2).unwrap_or_default();
        if line == b"-1" && mark == b'$' {
            self.advance(start);
            return Ok(Token::Leaf(Frame::Null));
        }
        let length = size(line).ok_or_else(|| garbage("a length is not a number"))?;
        if length > MAX_BULK {
            return Err(Error::new(Kind::TooBig, format!("the server announces a value of {length} bytes")));
        }
        if self.bytes + length > MAX_REPLY {
            return Err(too_much());
        }
        let there = self.data().get(start..).unwrap_or_default();
        if let Some((_, b"\r\n")) = there.get(..length + 2).and_then(<[u8]>::split_last_chunk) {
            let frame = text(mark, self.part(start, length))?;
            self.bytes += length;
            self.advance(start + length + 2);
            return Ok(Token::Leaf(frame));
        }
        if there.len() >= length + 2 {
            return Err(garbage("a value does not end where it should"));
        }
        if length > LARGE {
            self.begin_large(mark, start, length)?;
        }
        Ok(Token::More)
    }

    fn begin_large(&mut self, mark: u8, start: usize, length: usize) -> Result<()> {
        let mut data = Vec::new();
        data.try_reserve_exact((length + 2).min(BELIEVED)).map_err(|_| no_memory(length))?;
        data.extend_from_slice(self.data().get(start..).unwrap_or_default());
        self.discard();
        self.large = Some(Large { mark, data, length });
        Ok(())
    }

    fn finish_large(&mut self) -> Result<Token> {
        let Some(mut large) = self.large.take_if(|large| large.data.len() >= large.length + 2) else {
            return Ok(Token::More);
        };
        // A buffer can have come out larger than asked for, and the next reply's beginning can be in it.
        self.input.extend_from_slice(large.data.get(large.length + 2..).unwrap_or_default());
        if large.data.get(large.length..large.length + 2) != Some(b"\r\n") {
            return Err(garbage("a value does not end where it should"));
        }
        large.data.truncate(large.length);
        self.bytes += large.length;
        Ok(Token::Leaf(text(large.mark, Bytes::from(large.data))?))
    }
}

fn too_much() -> Error {
    Error::new(Kind::TooBig, "the server sends too much in one reply")
}

fn text(mark: u8, data: Bytes) -> Result<Frame> {
    match mark {
        b'!' => Ok(Frame::Error(data)),
        // A verbatim text begins with three letters that name its format, and a colon.
        b'=' if data.get(3) == Some(&b':') => Ok(Frame::Bulk(data.slice(4..))),
        b'=' => Err(garbage("a verbatim text has no format")),
        _ => Ok(Frame::Bulk(data)),
    }
}

fn collection(shape: Shape, count: &[u8], each: usize) -> Result<Token> {
    if count == b"-1" && shape == Shape::Array {
        return Ok(Token::Leaf(Frame::Null));
    }
    let count = size(count).ok_or_else(|| garbage("a count is not a number"))?.saturating_mul(each);
    Ok(match (count, shape) {
        (0, Shape::Array) => Token::Leaf(Frame::Array(Vec::new())),
        (0, Shape::Map) => Token::Leaf(Frame::Map(Vec::new())),
        (0, _) => return Err(garbage("an empty message")),
        _ => Token::Open(shape, count),
    })
}

fn scalar(mark: u8, body: &[u8]) -> Result<Frame> {
    match mark {
        b'+' if body == b"OK" => Ok(Frame::Simple(Bytes::from_static(b"OK"))),
        b'+' => Ok(Frame::Simple(Bytes::copy_from_slice(body))),
        b'-' => Ok(Frame::Error(Bytes::copy_from_slice(body))),
        b':' => integer(body).map(Frame::Int).ok_or_else(|| garbage("a number is not a number")),
        b'_' if body.is_empty() => Ok(Frame::Null),
        b'#' if body == b"t" => Ok(Frame::Bool(true)),
        b'#' if body == b"f" => Ok(Frame::Bool(false)),
        b',' => double(body).map(Frame::Double).ok_or_else(|| garbage("a number is not a number")),
        b'(' if is_number(body) => Ok(Frame::BigNumber(Bytes::copy_from_slice(body))),
        _ => Err(garbage("a reply begins with no known mark")),
    }
}

fn is_number(body: &[u8]) -> bool {
    let digits = body.strip_prefix(b"-").or_else(|| body.strip_prefix(b"+")).unwrap_or(body);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn integer(body: &[u8]) -> Option<i64> {
    if is_number(body) { std::str::from_utf8(body).ok()?.parse().ok() } else { None }
}

fn double(body: &[u8]) -> Option<f64> {
    std::str::from_utf8(body).ok()?.parse().ok()
}

/// A length: digits only, and few.
fn size(body: &[u8]) -> Option<usize> {
    if body.is_empty() || body.len() > 18 {
        return None;
    }
    body.iter().try_fold(0_usize, |sum, &digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}

fn garbage(what: &str) -> Error {
    Error::new(Kind::Connection, format!("what answers does not speak the Redis protocol: {what}")).retriable_if(false)
}

fn no_memory(bytes: usize) -> Error {
    Error::new(Kind::Memory, format!("no memory for a reply of {bytes} bytes"))
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "decoder_oracle.rs"]
mod oracle;
