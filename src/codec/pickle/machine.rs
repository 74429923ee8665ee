//! The state of the pickle machine: its input, its stack with marks, its memo.

use super::memo::Memo;
use crate::error::{Error, Kind, Result};
use crate::value::arena::{Node, Span, Tables};

/// The error for a pickle that Python would refuse.
pub fn bad(reason: &str) -> Error {
    Error::new(Kind::Undecodable, format!("not a readable pickle: {reason}"))
}

/// The error for a stack that holds too little.
pub fn underflow() -> Error {
    bad("an opcode finds nothing to work on")
}

/// The error for data that end too early.
pub fn cut_short() -> Error {
    bad("it is cut short")
}

/// A pickle that is being read.
pub struct Machine<'a> {
    pub data: &'a [u8],
    pub at: usize,
    pub stack: Vec<Node>,
    pub marks: Vec<u32>,
    /// Where the newest mark stands: nothing below may be popped.
    pub fence: usize,
    pub memo: Memo,
    pub tables: Tables,
    /// The bound for the stack, the marks and the memo.
    pub limit: usize,
}

impl<'a> Machine<'a> {
    // The input.

    #[inline]
    pub fn byte(&mut self) -> Result<u8> {
        let byte = *self.data.get(self.at).ok_or_else(cut_short)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len).ok_or_else(cut_short)?;
        let bytes = self.data.get(self.at..end).ok_or_else(cut_short)?;
        self.at = end;
        Ok(bytes)
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let array = *rest.first_chunk().ok_or_else(cut_short)?;
        self.at += N;
        Ok(array)
    }

    pub fn length4(&mut self) -> Result<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| cut_short())
    }

    pub fn length8(&mut self) -> Result<usize> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| cut_short())
    }

    pub fn signed_length(&mut self) -> Result<usize> {
        usize::try_from(i32::from_le_bytes(self.array()?)).map_err(|_| bad("a length is negative"))
    }

    /// The text up to the next line feed.
    pub fn line(&mut self) -> Result<&'a [u8]> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let len = memchr::memchr(b'\n', rest).ok_or_else(cut_short)?;
        let line = self.take(len)?;
        self.at += 1;
        Ok(line)
    }

    /// The span of the last `len` bytes that were read.
    pub fn span(&self, len: usize) -> Result<Span> {
        let number = |n: usize| u32::try_from(n).map_err(|_| cut_short());
        Ok(Span { start: number(self.at - len)?, len: number(len)? })
    }

    // The stack, the marks and the memo.

    #[inline]
    pub fn push(&mut self, node: Node) -> Result<()> {
        if self.stack.len() >= self.limit {
            return Err(Error::new(Kind::TooBig, "the value has more parts than the limit allows"));
        }
        self.stack.push(node);
        Ok(())
    }

    #[inline]
    pub fn pop(&mut self) -> Result<Node> {
        if self.stack.len() <= self.fence {
            return Err(underflow());
        }
        self.stack.pop().ok_or_else(underflow)
    }

    pub fn top(&self) -> Result<Node> {
        if self.stack.len() <= self.fence {
            return Err(underflow());
        }
        self.stack.last().copied().ok_or_else(underflow)
    }

    pub fn mark(&mut self) -> Result<()> {
        let place = u32::try_from(self.stack.len()).map_err(|_| underflow())?;
        if self.marks.len() >= self.limit {
            return Err(Error::new(Kind::TooBig, "the value has more parts than the limit allows"));
        }
        self.marks.push(place);
        self.fence = self.stack.len();
        Ok(())
    }

    /// Removes the newest mark: where it stood.
    pub fn take_mark(&mut self) -> Result<usize> {
        let place = self.marks.pop().ok_or_else(|| bad("a mark is missing"))?;
        self.fence = self.marks.last().map_or(0, |mark| *mark as usize);
        Ok(place as usize)
    }

    /// POP: takes a mark off if that is on top.
    pub fn discard(&mut self) -> Result<()> {
        if self.marks.last().is_some_and(|mark| *mark as usize == self.stack.len()) {
            return self.take_mark().map(drop);
        }
        self.pop().map(drop)
    }

    #[inline]
    pub fn put(&mut self, number: usize) -> Result<()> {
        let top = self.top()?;
        if self.memo.len() >= self.limit || !self.memo.put(number, top) {
            return Err(Error::new(Kind::TooBig, "the memo is larger than the limit"));
        }
        Ok(())
    }

    pub fn get(&mut self, number: usize) -> Result<()> {
        let node = self.memo.get(number).ok_or_else(|| bad("the memo has no such number"))?;
        self.push(node)
    }
}
