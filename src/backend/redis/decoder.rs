//! The one incremental decoder of the wire format, which trusts nothing.
//!
//! It keeps its own stack: nesting costs no thread stack, and is bounded.

use bytes::Bytes;

use super::resp::Frame;
use crate::backend::net::{Decoding, Found, Input, garbage};
use crate::error::{Error, Kind, Result};

/// The largest bulk reply (what Redis itself allows by default).
const MAX_BULK: usize = 512 << 20;
/// The most bytes of values that one reply may have.
const MAX_REPLY: usize = 4 * MAX_BULK;
/// The most items that one reply may have, nested ones included.
const MAX_ITEMS: usize = 4 << 20;
/// The deepest nesting; EXEC of SCAN needs three.
const MAX_DEPTH: usize = 16;

/// Turns what a server sent, in pieces of any size, into [`Frame`]s. After an error it must not be used again.
#[derive(Debug)]
pub(super) struct Decoder {
    input: Input,
    /// The collections that are being filled, outermost first.
    open: Vec<Open>,
    /// The mark of the bulk reply that has a buffer of its own.
    large: u8,
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

/// The next thing in the input.
enum Token {
    Leaf(Frame),
    Open(Shape, usize),
    /// More bytes are needed.
    More,
}

impl Decoding for Decoder {
    type Frame = Frame;

    fn new(chunk: usize) -> Self {
        Self::over(Input::new(chunk))
    }

    fn sharing(chunk: usize) -> Self {
        Self::over(Input::sharing(chunk))
    }

    fn room(&mut self) -> Result<&mut Vec<u8>> {
        self.input.room()
    }

    fn is_empty(&self) -> bool {
        self.input.is_empty() && self.open.is_empty()
    }

    fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            match self.frame()? {
                Some(Frame::Push(_)) => {} // it answers nothing
                other => return Ok(other),
            }
        }
    }
}

impl Decoder {
    fn over(input: Input) -> Self {
        Self { input, open: Vec::new(), large: 0, items: 0, bytes: 0 }
    }

    /// The next whole reply or message, if there is one.
    pub(super) fn frame(&mut self) -> Result<Option<Frame>> {
        loop {
            self.input.settle();
            let token = if self.input.has_large() { self.finish_large()? } else { self.token()? };
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
        let Some((line, next)) = self.input.line()? else { return Ok(Token::More) };
        let Some((&mark, body)) = line.split_first() else { return Err(garbage("an empty line")) };
        let token = match mark {
            b'$' | b'=' | b'!' => {
                let nothing = body == b"-1" && mark == b'$';
                let length = if nothing { None } else { Some(bulk_size(body)?) };
                return self.bulk(mark, length, next);
            }
            b'*' | b'~' => collection(Shape::Array, body, 1)?,
            b'%' => collection(Shape::Map, body, 2)?,
            b'>' => collection(Shape::Push, body, 1)?,
            b'|' => collection(Shape::Attribute, body, 2)?,
            _ => Token::Leaf(scalar(mark, body)?),
        };
        self.bytes += self.input.behind(next);
        if self.bytes > MAX_REPLY {
            return Err(too_much());
        }
        self.input.advance(next);
        Ok(token)
    }

    /// A bulk reply whose bytes begin at `start`.
    fn bulk(&mut self, mark: u8, length: Option<usize>, start: usize) -> Result<Token> {
        let Some(length) = length else {
            self.input.advance(start);
            return Ok(Token::Leaf(Frame::Null));
        };
        if self.bytes + length > MAX_REPLY {
            return Err(too_much());
        }
        match self.input.value(start, length)? {
            Found::Value(value) => self.leaf(mark, value),
            Found::More => {
                self.large = mark;
                Ok(Token::More)
            }
        }
    }

    fn finish_large(&mut self) -> Result<Token> {
        match self.input.large()? {
            Found::Value(value) => self.leaf(self.large, value),
            Found::More => Ok(Token::More),
        }
    }

    fn leaf(&mut self, mark: u8, value: Bytes) -> Result<Token> {
        self.bytes += value.len();
        Ok(Token::Leaf(text(mark, value)?))
    }
}

/// The length of a bulk reply.
fn bulk_size(body: &[u8]) -> Result<usize> {
    let length = size(body).ok_or_else(|| garbage("a length is not a number"))?;
    if length > MAX_BULK {
        return Err(Error::new(Kind::TooBig, format!("the server announces a value of {length} bytes")));
    }
    Ok(length)
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

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "decoder_oracle.rs"]
mod oracle;
