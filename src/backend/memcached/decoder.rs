//! The one incremental decoder of the text protocol's replies, which trusts nothing: one frame for each command.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::backend::fence::number;
use crate::backend::net::{Decoding, Found, Input, garbage};
use crate::error::{Error, Kind, Result};
use crate::stored::Stored;

/// The largest value. Servers have 1 MiB unless told otherwise, and 1 GiB at most.
const MAX_VALUE: usize = 512 << 20;
/// The most bytes that one reply may have.
const MAX_REPLY: usize = 4 * MAX_VALUE;
/// The most values that one reply may have.
const MAX_ITEMS: usize = 4 << 20;

/// The reply to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// `VALUE …`, any number of times, and `END`.
    Values(Items),
    /// A number alone.
    Number(u64),
    /// A word alone.
    Word(Word),
    /// `ERROR`, `CLIENT_ERROR …` or `SERVER_ERROR …`, and what it says.
    Error(Complaint, Bytes),
}

/// The values of a reply, in the order in which they came: mostly one, or none.
pub(super) type Items = SmallVec<[Item; 1]>;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The number of its key.
    pub(super) key: u64,
    /// The value and its flags.
    pub(super) value: Stored,
}

/// What a server says in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The value is stored.
    Stored,
    /// It is not.
    NotStored,
    /// Somebody else changed it meanwhile.
    Exists,
    /// There is no such key.
    NotFound,
    /// The key is gone.
    Deleted,
    /// The key has another time to live.
    Touched,
    /// It is done.
    Ok,
    /// The server's version, whatever that is.
    Version,
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// `ERROR`: the server does not know the command.
    Unknown,
    /// `CLIENT_ERROR`: it does not understand it.
    Client,
    /// `SERVER_ERROR`: it cannot do it.
    Server,
}

/// Turns what a server sent, in pieces of any size, into [`Frame`]s. After an error it must not be used again.
#[derive(Debug)]
pub(super) struct Decoder {
    input: Input,
    /// The values of the reply that is being read, if it has any.
    items: Option<Items>,
    /// What the `VALUE` line of the value says that has a buffer of its own.
    large: Head,
    /// Bytes of the reply that is being read.
    bytes: usize,
}

/// What a `VALUE` line says.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    key: u64,
    flags: u32,
    length: usize,
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
        self.items.is_none() && self.input.is_empty()
    }

    fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            self.input.settle();
            if self.input.has_large() {
                let Found::Value(value) = self.input.large()? else { return Ok(None) };
                self.add(self.large, value)?;
                continue;
            }
            let Some((line, next)) = self.input.line()? else { return Ok(None) };
            if let Some(head) = line.strip_prefix(b"VALUE ") {
                let head = Head::parse(head)?;
                self.check(head)?;
                match self.input.value(next, head.length)? {
                    Found::Value(value) => self.add(head, value)?,
                    Found::More => {
                        self.large = head;
                        return Ok(None);
                    }
                }
                continue;
            }
            let frame = match (line, self.items.take()) {
                (b"END", items) => Frame::Values(items.unwrap_or_default()),
                // an error can come in the midst of values
                (line, items) => match (error(line), items) {
                    (Some(error), _) => error,
                    (None, Some(_)) => return Err(garbage("values do not end with END")),
                    (None, None) => alone(line)?,
                },
            };
            self.input.advance(next);
            self.bytes = 0;
            return Ok(Some(frame));
        }
    }
}

impl Decoder {
    fn over(input: Input) -> Self {
        Self { input, items: None, large: Head::default(), bytes: 0 }
    }

    /// Whether a value that is announced may come.
    fn check(&self, head: Head) -> Result<()> {
        if head.length > MAX_VALUE {
            return Err(Error::new(Kind::TooBig, format!("the server announces a value of {} bytes", head.length)));
        }
        let items = self.items.as_ref().map_or(0, SmallVec::len);
        if items >= MAX_ITEMS || self.bytes + head.length > MAX_REPLY {
            return Err(Error::new(Kind::TooBig, "the server sends too much in one reply"));
        }
        Ok(())
    }

    fn add(&mut self, head: Head, bytes: Bytes) -> Result<()> {
        self.bytes += head.length;
        let items = self.items.get_or_insert_default();
        items.try_reserve(1).map_err(|_| Error::new(Kind::Memory, "no memory for the values of a reply"))?;
        items.push(Item { key: head.key, value: Stored { bytes, flags: head.flags } });
        Ok(())
    }
}

impl Head {
    /// `key flags length`, and maybe a fourth part.
    fn parse(text: &[u8]) -> Result<Self> {
        Self::parts(text).ok_or_else(|| garbage("a value's line is none"))
    }

    fn parts(text: &[u8]) -> Option<Self> {
        let mut parts = text.split(|byte| *byte == b' ');
        let key = parts.next().filter(|key| !key.is_empty())?;
        let flags = u32::try_from(digits(parts.next()?)?).ok()?;
        let length = usize::try_from(digits(parts.next()?)?).ok()?;
        // what is only for cas
        let rest = parts.next().map(digits);
        if rest == Some(None) || parts.next().is_some() {
            return None;
        }
        Some(Self { key: number(key), flags, length })
    }
}

fn error(line: &[u8]) -> Option<Frame> {
    let (complaint, text) = match line.split_first_chunk() {
        Some((b"ERROR", text)) => (Complaint::Unknown, text),
        _ => match line.strip_prefix(b"CLIENT_ERROR") {
            Some(text) => (Complaint::Client, text),
            None => (Complaint::Server, line.strip_prefix(b"SERVER_ERROR")?),
        },
    };
    let is_whole = text.first().is_none_or(|byte| *byte == b' ');
    is_whole.then(|| Frame::Error(complaint, Bytes::copy_from_slice(text.trim_ascii())))
}

/// A reply of one line that is no error.
fn alone(line: &[u8]) -> Result<Frame> {
    Ok(Frame::Word(match line {
        b"STORED" => Word::Stored,
        b"NOT_STORED" => Word::NotStored,
        b"EXISTS" => Word::Exists,
        b"NOT_FOUND" => Word::NotFound,
        b"DELETED" => Word::Deleted,
        b"TOUCHED" => Word::Touched,
        b"OK" => Word::Ok,
        _ if line == b"VERSION" || line.starts_with(b"VERSION ") => Word::Version,
        // old servers leave blanks behind a number that became shorter
        _ => match digits(line.trim_ascii_end()) {
            Some(number) => return Ok(Frame::Number(number)),
            None => return Err(garbage("a reply is none that memcached has")),
        },
    }))
}

/// A number of digits, and nothing else.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, &digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
