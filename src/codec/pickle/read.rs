//! The pickle machine: a stack, marks, a memo, and one loop over opcodes. It makes data and nothing else.

use bytes::Bytes;

use super::machine::{Machine, bad, cut_short};
use super::memo::Memo;
use super::opcode as op;
use super::text;
use crate::codec::raw::{self, Int};
use crate::error::Result;
use crate::value::arena::{GroupKind, Node, Span, Tables};
use crate::value::{Limits, Tree, keys, wtf8};

/// Reads a pickle of any protocol from 0 to 5. Bytes after STOP are left alone, as Python does.
///
/// # Errors
///
/// [`Kind::Undecodable`] for what Python refuses too, [`Kind::TooBig`] for what exceeds the limits.
pub fn read(stored: &Bytes, limits: &Limits) -> Result<Tree> {
    let tables = Tables::new(stored.clone(), limits)?;
    let mut machine = Machine {
        data: stored,
        at: 0,
        stack: Vec::with_capacity(64),
        marks: Vec::new(),
        fence: 0,
        memo: Memo::new(),
        tables,
        limit: limits.nodes,
    };
    let root = machine.run()?;
    let mut tables = machine.tables;
    keys::settle(&mut tables)?;
    Ok(Tree { tables, root })
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Node> {
        loop {
            let code = self.byte()?;
            match code {
                op::SHORT_BINUNICODE => {
                    let len = usize::from(self.byte()?);
                    self.unicode(len)?;
                }
                op::BINUNICODE => {
                    let len = self.length4()?;
                    self.unicode(len)?;
                }
                op::MEMOIZE => {
                    let number = self.memo.len();
                    self.put(number)?;
                }
                op::BINGET => {
                    let number = usize::from(self.byte()?);
                    self.get(number)?;
                }
                op::LONG_BINGET => {
                    let number = self.length4()?;
                    self.get(number)?;
                }
                op::BININT1 => {
                    let value = self.byte()?;
                    self.push(Node::Int(i64::from(value)))?;
                }
                op::BININT2 => {
                    let value = u16::from_le_bytes(self.array()?);
                    self.push(Node::Int(i64::from(value)))?;
                }
                op::BININT => {
                    let value = i32::from_le_bytes(self.array()?);
                    self.push(Node::Int(i64::from(value)))?;
                }
                op::BINFLOAT => {
                    let value = f64::from_be_bytes(self.array()?);
                    self.push(Node::Float(value))?;
                }
                op::NONE => self.push(Node::None)?,
                op::NEWTRUE => self.push(Node::Bool(true))?,
                op::NEWFALSE => self.push(Node::Bool(false))?,
                op::MARK => self.mark()?,
                op::EMPTY_LIST => self.group(GroupKind::List)?,
                op::EMPTY_DICT => self.group(GroupKind::Dict)?,
                op::EMPTY_TUPLE => self.group(GroupKind::Tuple)?,
                op::EMPTY_SET => self.group(GroupKind::Set)?,
                op::APPENDS => self.append(true)?,
                op::APPEND => self.append(false)?,
                op::SETITEMS => self.set_items(true)?,
                op::SETITEM => self.set_items(false)?,
                op::ADDITEMS => self.add_items()?,
                op::TUPLE1 => self.short_tuple(1)?,
                op::TUPLE2 => self.short_tuple(2)?,
                op::TUPLE3 => self.short_tuple(3)?,
                op::TUPLE => self.gather_marked(GroupKind::Tuple)?,
                op::LIST => self.gather_marked(GroupKind::List)?,
                op::DICT => self.gather_marked(GroupKind::Dict)?,
                op::FROZENSET => self.gather_marked(GroupKind::FrozenSet)?,
                op::STOP => return self.pop(),
                other => self.rare(other)?,
            }
        }
    }

    /// The opcodes that are not in every pickle.
    fn rare(&mut self, code: u8) -> Result<()> {
        match code {
            op::PROTO => self.protocol(),
            op::FRAME => {
                let len = self.length8()?;
                // Python wants the whole frame to be there; other than that it means nothing (pitfall 6).
                if len > self.data.len() - self.at { Err(cut_short()) } else { Ok(()) }
            }
            op::LONG1 => {
                let len = usize::from(self.byte()?);
                self.long(len)
            }
            op::LONG4 => {
                let len = self.signed_length()?;
                self.long(len)
            }
            op::BINUNICODE8 => {
                let len = self.length8()?;
                self.unicode(len)
            }
            op::SHORT_BINBYTES | op::SHORT_BINSTRING => {
                let len = usize::from(self.byte()?);
                self.bytes(code, len)
            }
            op::BINBYTES => {
                let len = self.length4()?;
                self.bytes(code, len)
            }
            op::BINSTRING => {
                let len = self.signed_length()?;
                self.bytes(code, len)
            }
            op::BINBYTES8 | op::BYTEARRAY8 => {
                let len = self.length8()?;
                self.bytes(code, len)
            }
            op::BINPUT => {
                let number = usize::from(self.byte()?);
                self.put(number)
            }
            op::LONG_BINPUT => {
                let number = self.length4()?;
                self.put(number)
            }
            op::POP => self.discard(),
            op::POP_MARK => {
                let start = self.take_mark()?;
                self.stack.truncate(start);
                Ok(())
            }
            op::DUP => {
                let top = self.top()?;
                self.push(top)
            }
            op::GLOBAL | op::INST | op::STACK_GLOBAL => self.global(code),
            op::REDUCE | op::NEWOBJ | op::NEWOBJ_EX | op::OBJ | op::BUILD => self.call(code),
            op::READONLY_BUFFER => match self.top()? {
                Node::Bytes(_) | Node::ByteArray(_) => Ok(()),
                _ => Err(bad("a buffer is expected")),
            },
            op::INT | op::LONG | op::FLOAT | op::STRING | op::UNICODE | op::GET | op::PUT => self.line_opcode(code),
            // PERSID, BINPERSID, EXT1 to EXT4 and NEXT_BUFFER refer to things outside the pickle: Python, too, has
            // nothing for them unless the program registered something.
            b'P' | b'Q' | 0x82..=0x84 | 0x97 => Err(bad("it refers to something outside of itself")),
            _ => Err(bad("unknown opcode")),
        }
    }

    // Scalars.

    #[inline]
    fn unicode(&mut self, len: usize) -> Result<()> {
        let bytes = self.take(len)?;
        if !bytes.is_ascii() && !wtf8::is_valid(bytes) {
            return Err(bad("text is not UTF-8"));
        }
        let span = self.span(len)?;
        self.push(Node::Text { share: 0, span })
    }

    fn bytes(&mut self, code: u8, len: usize) -> Result<()> {
        let bytes = self.take(len)?;
        let span = self.span(len)?;
        self.push(match code {
            op::BINSTRING | op::SHORT_BINSTRING => {
                if !bytes.is_ascii() {
                    return Err(bad("a Python 2 str is not ASCII"));
                }
                Node::Text { share: 0, span }
            }
            op::BYTEARRAY8 => Node::ByteArray(span),
            _ => Node::Bytes(span),
        })
    }

    fn long(&mut self, len: usize) -> Result<()> {
        let bytes = self.take(len)?;
        let start = self.span(len)?.start;
        let bytes = keys::shortest(bytes);
        self.push(match small(bytes) {
            Some(value) => Node::Int(value),
            None => Node::Big(Span { start, len: u32::try_from(bytes.len()).map_err(|_| cut_short())? }),
        })
    }

    fn int(&mut self, value: Option<Int>) -> Result<()> {
        let node = match value.ok_or_else(|| bad("a number is none"))? {
            Int::Small(value) => Node::Int(value),
            Int::Big(value) => Node::Big(self.tables.keep(&value.to_signed_bytes_le())?),
        };
        self.push(node)
    }

    /// The opcodes of protocol 0 that end with their line.
    fn line_opcode(&mut self, code: u8) -> Result<()> {
        let whole = self.line()?;
        // Python hands these lines to C functions that stop at a NUL.
        let line = match whole.iter().position(|byte| *byte == 0) {
            Some(end) if !matches!(code, op::STRING | op::UNICODE) => whole.get(..end).unwrap_or_default(),
            _ => whole,
        };
        match code {
            op::INT => match (raw::int_with_prefix(line), whole.len()) {
                // C's strtol takes nothing for zero.
                _ if line.is_empty() && !whole.is_empty() => self.push(Node::Int(0)),
                // `I00` and `I01`, and whatever else reads as 0 or 1 and takes two characters.
                (Some(Int::Small(value @ (0 | 1))), 2) if !line.ends_with(b" ") => self.push(Node::Bool(value == 1)),
                (value, _) => self.int(value),
            },
            op::LONG => self.int(raw::int_literal(line.strip_suffix(b"L").unwrap_or(line))),
            op::FLOAT => {
                let text = std::str::from_utf8(line).unwrap_or_default();
                let value: f64 = text.parse().map_err(|_| bad("a number is none"))?;
                if value.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) {
                    return Err(bad("a float is too large"));
                }
                self.push(Node::Float(value))
            }
            op::STRING | op::UNICODE => {
                let text = if code == op::STRING { text::quoted(line) } else { text::raw_unicode_escape(line) };
                let text = text.ok_or_else(|| bad("an escape in a text is broken"))?;
                let span = self.tables.keep(&text)?;
                self.push(Node::Text { share: 0, span })
            }
            _ => {
                let number = match raw::int(line) {
                    Some(Int::Small(number)) => usize::try_from(number).ok(),
                    _ => None,
                };
                let number = number.ok_or_else(|| bad("a memo number is none"))?;
                if code == op::PUT { self.put(number) } else { self.get(number) }
            }
        }
    }
}

/// A little-endian two's complement number of at most 64 bits.
pub(in crate::codec) fn small(bytes: &[u8]) -> Option<i64> {
    if bytes.len() > 8 {
        return None;
    }
    let sign = if bytes.last().is_some_and(|byte| *byte >= 0x80) { 0xFF } else { 0 };
    let mut full = [sign; 8];
    for (to, from) in full.iter_mut().zip(bytes) {
        *to = *from;
    }
    Some(i64::from_le_bytes(full))
}
