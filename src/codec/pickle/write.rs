//! The pickle writer, protocols 2 to 5: byte for byte what CPython's C pickler makes of the same value.
//!
//! CPython's memo goes by identity, so what is one object in memory counts (PK-2): after `json.loads` these are equal
//! dict keys, the empty text, and texts of one Latin-1 character.

use num_bigint::BigInt;

use super::frame::Frames;
use super::opcode as op;
use crate::error::{Error, Kind, Result};
use crate::value::arena::{Cursor, GroupKind, NIL, Node, Tables};
use crate::value::{Limits, Number, Tree, wtf8};

/// How many items stand between a MARK and its APPENDS or SETITEMS (pitfall 4).
const BATCH: usize = 1000;

/// A tree that was read from JSON.
///
/// # Errors
///
/// [`Kind::TooBig`] beyond the limit of bytes.
pub fn tree(tree: &Tree, protocol: u8, limits: &Limits) -> Result<Vec<u8>> {
    let mut writer = Writer::new(protocol, limits, 256);
    writer.tree(&tree.tables, tree.root)?;
    writer.finish()
}

/// A Python `str`.
pub fn text(text: &str, protocol: u8, limits: &Limits) -> Result<Vec<u8>> {
    let mut writer = Writer::new(protocol, limits, text.len() + 32);
    writer.text_opcode(text.as_bytes())?;
    writer.memoize();
    writer.finish()
}

/// Python `bytes`.
pub fn bytes(bytes: &[u8], protocol: u8, limits: &Limits) -> Result<Vec<u8>> {
    let mut writer = Writer::new(protocol, limits, bytes.len() + 32);
    if protocol < 3 {
        writer.bytes_as_call(bytes)?;
    } else {
        writer.check(bytes.len())?;
        match u8::try_from(bytes.len()) {
            Ok(len) => writer.out.write_string(&[op::SHORT_BINBYTES, len], bytes),
            Err(_) => writer.string(op::BINBYTES, op::BINBYTES8, bytes)?,
        }
        writer.memoize();
    }
    writer.finish()
}

/// An int or a float.
pub fn number(number: &Number, protocol: u8, limits: &Limits) -> Result<Vec<u8>> {
    let mut writer = Writer::new(protocol, limits, 32);
    match number {
        Number::Float(value) => writer.float(*value),
        Number::Int(value) => match i64::try_from(value) {
            Ok(value) => writer.int(value)?,
            Err(_) => writer.big(value)?,
        },
    }
    writer.finish()
}

/// A list or dict that is being written.
struct Open {
    cursor: Cursor,
    /// Items that are still to come; for a dict, pairs.
    left: usize,
    /// Items since the last MARK; `None` for a container of one, which has no MARK.
    batch: Option<usize>,
    dict: bool,
}

struct Writer {
    out: Frames,
    protocol: u8,
    limit: usize,
    /// The number of the next memo entry.
    memo: u32,
    /// Memo numbers of shared texts, by their `share`.
    shared: Vec<u32>,
    /// Memo numbers of the empty text and of texts of one Latin-1 character, which Python has only once.
    single: Box<[u32; 257]>,
}

impl Writer {
    fn new(protocol: u8, limits: &Limits, capacity: usize) -> Self {
        Self {
            out: Frames::new(protocol, capacity.min(limits.bytes.saturating_add(64))),
            protocol,
            limit: limits.bytes,
            memo: 0,
            shared: Vec::new(),
            single: Box::new([NIL; 257]),
        }
    }

    fn finish(self) -> Result<Vec<u8>> {
        self.check(0)?;
        let limit = self.limit;
        let bytes = self.out.finish();
        if bytes.len() > limit { Err(too_big(limit)) } else { Ok(bytes) }
    }

    /// Refuses to grow by `more` beyond the limit.
    fn check(&self, more: usize) -> Result<()> {
        if more > self.limit.saturating_sub(self.out.len()) { Err(too_big(self.limit)) } else { Ok(()) }
    }

    fn tree(&mut self, tables: &Tables, root: Node) -> Result<()> {
        let mut open: Vec<Open> = Vec::new();
        open.extend(self.begin(tables, root)?);
        while let Some(top) = open.last_mut() {
            if self.pause(top) {
                open.pop();
                continue;
            }
            if top.dict
                && let Some(key) = tables.next(&mut top.cursor)
            {
                self.begin(tables, key)?;
            }
            if let Some(item) = tables.next(&mut top.cursor) {
                open.extend(self.begin(tables, item)?);
            }
        }
        Ok(())
    }

    /// What stands between items: the ends and beginnings of batches. True at the end of the container.
    fn pause(&mut self, top: &mut Open) -> bool {
        let (one, many) = if top.dict { (op::SETITEM, op::SETITEMS) } else { (op::APPEND, op::APPENDS) };
        match &mut top.batch {
            None if top.left == 0 => {
                self.out.write(&[one]);
                return true;
            }
            None => {}
            Some(batch) => {
                if *batch == BATCH {
                    self.out.write(&[many]);
                    // A dict begins another batch even where nothing is left; a list does not (PK-3).
                    if top.left == 0 && !top.dict {
                        return true;
                    }
                    self.out.write(&[op::MARK]);
                    *batch = 0;
                }
                if top.left == 0 {
                    self.out.write(&[many]);
                    return true;
                }
                *batch += 1;
            }
        }
        top.left -= 1;
        false
    }

    /// Writes a scalar, or the beginning of a container with items.
    fn begin(&mut self, tables: &Tables, node: Node) -> Result<Option<Open>> {
        self.out.boundary();
        self.check(0)?;
        match node {
            Node::None => self.out.write(&[op::NONE]),
            Node::Bool(true) => self.out.write(&[op::NEWTRUE]),
            Node::Bool(false) => self.out.write(&[op::NEWFALSE]),
            Node::Int(value) => self.int(value)?,
            Node::Big(span) => self.long(tables.slice(span))?,
            Node::Float(value) => self.float(value),
            Node::Text { share, span } => self.text(share, tables.slice(span))?,
            Node::Group(id) => return self.container(tables, id),
            // JSON has none of these.
            Node::Safe(_) | Node::Bytes(_) | Node::ByteArray(_) | Node::Object(_) | Node::Global(_) => {
                return Err(Error::new(Kind::Unsupported, "only what JSON can say can be written again"));
            }
        }
        Ok(None)
    }

    fn container(&mut self, tables: &Tables, id: u32) -> Result<Option<Open>> {
        let dict = match tables.group_kind(id) {
            GroupKind::List => false,
            GroupKind::Dict => true,
            _ => return Err(Error::new(Kind::Unsupported, "only what JSON can say can be written again")),
        };
        self.out.write(&[if dict { op::EMPTY_DICT } else { op::EMPTY_LIST }]);
        self.memoize();
        let left = tables.group_len(id) / if dict { 2 } else { 1 };
        let batch = match left {
            0 => return Ok(None),
            1 => None,
            _ => {
                self.out.write(&[op::MARK]);
                Some(0)
            }
        };
        Ok(Some(Open { cursor: tables.cursor(id), left, batch, dict }))
    }

    fn text(&mut self, share: u32, bytes: &[u8]) -> Result<()> {
        let next = self.memo;
        let slot = match wtf8::first(bytes) {
            None => self.single.get_mut(256),
            Some((code, len)) if len == bytes.len() && code < 256 => self.single.get_mut(code as usize),
            _ if share == 0 => None,
            _ => {
                let place = share as usize;
                if self.shared.len() <= place {
                    self.shared.resize(place + 1, NIL);
                }
                self.shared.get_mut(place)
            }
        };
        if let Some(slot) = slot {
            if *slot != NIL {
                let number = *slot;
                self.memo_get(number);
                return Ok(());
            }
            *slot = next;
        }
        self.text_opcode(bytes)?;
        self.memoize();
        Ok(())
    }

    fn text_opcode(&mut self, bytes: &[u8]) -> Result<()> {
        self.check(bytes.len())?;
        match u8::try_from(bytes.len()) {
            Ok(len) if self.protocol >= 4 => self.out.write_string(&[op::SHORT_BINUNICODE, len], bytes),
            _ => self.string(op::BINUNICODE, op::BINUNICODE8, bytes)?,
        }
        Ok(())
    }

    /// A string behind a length of four bytes, or of eight where the protocol has that.
    fn string(&mut self, four: u8, eight: u8, bytes: &[u8]) -> Result<()> {
        match u32::try_from(bytes.len()) {
            Ok(len) => self.out.write_string(&[&[four], &len.to_le_bytes()[..]].concat(), bytes),
            Err(_) if self.protocol >= 4 => {
                let len = bytes.len() as u64;
                self.out.write_string(&[&[eight], &len.to_le_bytes()[..]].concat(), bytes);
            }
            Err(_) => return Err(Error::new(Kind::TooBig, "protocols below 4 hold strings up to 4 GiB")),
        }
        Ok(())
    }

    fn int(&mut self, value: i64) -> Result<()> {
        if let Ok(byte) = u8::try_from(value) {
            self.out.write(&[op::BININT1, byte]);
        } else if let Ok(short) = u16::try_from(value) {
            let [low, high] = short.to_le_bytes();
            self.out.write(&[op::BININT2, low, high]);
        } else if let Ok(int) = i32::try_from(value) {
            let [a, b, c, d] = int.to_le_bytes();
            self.out.write(&[op::BININT, a, b, c, d]);
        } else {
            return self.long(crate::value::keys::shortest(&value.to_le_bytes()));
        }
        Ok(())
    }

    fn big(&mut self, value: &BigInt) -> Result<()> {
        self.long(&value.to_signed_bytes_le())
    }

    /// LONG1 or LONG4 with the shortest two's complement.
    fn long(&mut self, bytes: &[u8]) -> Result<()> {
        self.check(bytes.len())?;
        match (u8::try_from(bytes.len()), i32::try_from(bytes.len())) {
            (Ok(len), _) => self.out.write(&[op::LONG1, len]),
            (_, Ok(len)) => {
                let [a, b, c, d] = len.to_le_bytes();
                self.out.write(&[op::LONG4, a, b, c, d]);
            }
            _ => return Err(too_big(self.limit)),
        }
        self.out.write(bytes);
        Ok(())
    }

    fn float(&mut self, value: f64) {
        self.out.write(&[op::BINFLOAT]);
        self.out.write(&value.to_be_bytes());
    }

    /// Protocol 2 has no bytes: `_codecs.encode(text, 'latin1')`, or `bytes()` for none (pitfall 5).
    fn bytes_as_call(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            self.out.write(b"c__builtin__\nbytes\n");
            self.memoize();
            self.out.write(&[op::EMPTY_TUPLE, op::REDUCE]);
        } else {
            self.out.write(b"c_codecs\nencode\n");
            self.memoize();
            self.text(0, &wtf8::from_latin1(bytes))?;
            self.text(0, b"latin1")?;
            self.out.write(&[op::TUPLE2]);
            self.memoize();
            self.out.write(&[op::REDUCE]);
        }
        self.memoize();
        Ok(())
    }

    #[inline]
    fn memoize(&mut self) {
        if self.protocol >= 4 {
            self.out.write(&[op::MEMOIZE]);
        } else {
            self.memo_number(op::BINPUT, op::LONG_BINPUT, self.memo);
        }
        self.memo += 1;
    }

    fn memo_get(&mut self, number: u32) {
        self.memo_number(op::BINGET, op::LONG_BINGET, number);
    }

    fn memo_number(&mut self, short: u8, long: u8, number: u32) {
        let [a, b, c, d] = number.to_le_bytes();
        if number < 256 {
            self.out.write(&[short, a]);
        } else {
            self.out.write(&[long, a, b, c, d]);
        }
    }
}

fn too_big(limit: usize) -> Error {
    Error::new(Kind::TooBig, format!("the pickled value is larger than the limit of {limit} bytes"))
}
