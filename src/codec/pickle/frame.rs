//! The bytes that the writer makes, cut into frames as CPython's C pickler cuts them (PK-3, pitfall 2).

use super::opcode as op;

/// A frame ends at the first opcode boundary at or past this many bytes; larger strings stand outside.
pub const FRAME_TARGET: usize = 64 * 1024;
/// Less than this is not framed.
const FRAME_LEAST: usize = 4;
/// The FRAME opcode and its length.
const HEADER: usize = 9;

pub struct Frames {
    out: Vec<u8>,
    framing: bool,
    /// Where the open frame's header stands.
    open: Option<usize>,
}

impl Frames {
    /// The beginning of a pickle: its PROTO opcode, which protocols 0 and 1 do not have.
    pub fn new(protocol: u8, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        if protocol >= 2 {
            out.extend_from_slice(&[op::PROTO, protocol]);
        }
        Self { out, framing: protocol >= 4, open: None }
    }

    /// How many bytes there are so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Adds bytes to the open frame, or to a new one.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) {
        if self.framing && self.open.is_none() {
            self.open = Some(self.out.len());
            self.out.extend_from_slice(&[0; HEADER]);
        }
        self.out.extend_from_slice(bytes);
    }

    /// Adds a string's opcode with its length, and the string.
    pub fn write_string(&mut self, head: &[u8], string: &[u8]) {
        if string.len() < FRAME_TARGET {
            self.write(head);
            self.write(string);
            return;
        }
        self.close();
        self.out.reserve(head.len() + string.len());
        self.out.extend_from_slice(head);
        self.out.extend_from_slice(string);
    }

    /// To be called before each object: ends a frame that is long enough.
    #[inline]
    pub fn boundary(&mut self) {
        if let Some(start) = self.open
            && self.out.len() - start - HEADER >= FRAME_TARGET
        {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some(start) = self.open.take() else { return };
        let len = self.out.len().saturating_sub(start + HEADER);
        if len < FRAME_LEAST {
            self.out.drain(start..start + HEADER);
            return;
        }
        if let Some([opcode, length @ ..]) = self.out.get_mut(start..start + HEADER) {
            *opcode = op::FRAME;
            length.copy_from_slice(&(len as u64).to_le_bytes());
        }
    }

    /// The finished pickle.
    pub fn finish(mut self) -> Vec<u8> {
        self.write(&[op::STOP]);
        self.close();
        self.out
    }
}
