//! The pickle writer, protocols 0 to 5: byte for byte what CPython's C pickler makes of the same value.
//!
//! CPython's memo goes by identity, so what is one object in memory counts (PK-2): after `json.loads` these are equal
//! dict keys, the empty text, and texts of one Latin-1 character.

use super::frame::Frames;
use super::opcode as op;
use crate::error::{Error, Kind, Result};
use crate::value::arena::{Cursor, GroupKind, NIL, Node, Tables};
use crate::value::{Limits, Number, Tree};

mod classic;
mod memo;
mod scalar;

/// How many items stand between a MARK and its APPENDS or SETITEMS (pitfall 4).
const BATCH: usize = 1000;

/// What can be written.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A tree that was read from JSON.
    Tree(&'a Tree),
    /// A Python `str`.
    Text(&'a str),
    /// Python `bytes`.
    Bytes(&'a [u8]),
    /// An int or a float.
    Number(&'a Number),
}

impl Value<'_> {
    /// The room that the pickle needs, about.
    fn room(&self) -> usize {
        match self {
            Self::Tree(_) => 256,
            Self::Text(text) => text.len() + 32,
            Self::Bytes(bytes) => bytes.len() + 32,
            Self::Number(_) => 32,
        }
    }
}

/// The pickle of a value.
///
/// # Errors
///
/// [`Kind::TooBig`] beyond the limit of bytes, and in protocols 0 and 1 for ints of more than 4300 digits;
/// [`Kind::Unsupported`] for a tree that holds what JSON cannot say.
pub fn pickle(value: Value<'_>, protocol: u8, limits: &Limits) -> Result<Vec<u8>> {
    let mut writer = Writer::new(protocol, limits, value.room());
    writer.value(value)?;
    writer.finish()
}

/// The pickle of `(instance, value, number)`, where the instance is one of a class that has no state.
///
/// # Errors
///
/// As [`pickle`] has them.
pub fn tagged(class: Class, value: Value<'_>, number: i64, protocol: u8, limits: &Limits) -> Result<Vec<u8>> {
    let mut writer = Writer::new(protocol, limits, value.room() + 128);
    writer.open_tuple();
    writer.instance(class)?;
    writer.out.boundary();
    writer.value(value)?;
    writer.out.boundary();
    writer.int(number)?;
    writer.close_tuple(op::TUPLE3);
    writer.finish()
}

/// A class by name.
#[derive(Clone, Copy)]
pub struct Class {
    /// Its module.
    pub module: &'static str,
    /// Its name in there.
    pub name: &'static str,
}

/// A list or dict that is being written.
struct Open {
    cursor: Cursor,
    /// Items that are still to come; for a dict, pairs.
    left: usize,
    run: Run,
    dict: bool,
}

/// How items get into their container.
enum Run {
    /// A container of one has no MARK.
    One,
    /// So many items since the last MARK.
    Marked(usize),
    /// Protocol 0: each item on its own; whether there was one.
    Each(bool),
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

    fn value(&mut self, value: Value<'_>) -> Result<()> {
        match value {
            Value::Tree(tree) => self.tree(&tree.tables, tree.root),
            Value::Text(text) => self.text(0, text.as_bytes()),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::Number(number) => self.number(number),
        }
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
        match &mut top.run {
            Run::One if top.left == 0 => {
                self.out.write(&[one]);
                return true;
            }
            Run::One => {}
            Run::Marked(batch) => {
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
            Run::Each(begun) => {
                if *begun {
                    self.out.write(&[one]);
                }
                if top.left == 0 {
                    return true;
                }
                *begun = true;
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
            Node::Bool(value) => self.bool(value),
            Node::Int(value) => self.int(value)?,
            Node::Big(span) => self.long(tables.slice(span))?,
            Node::Float(value) => self.float(value),
            Node::Text { share, span } => self.text(share, tables.slice(span))?,
            Node::Bytes(span) => self.bytes(tables.slice(span))?, // msgpack has them, JSON has none
            Node::Group(id) => return self.container(tables, id),
            Node::Safe(_) | Node::ByteArray(_) | Node::Object(_) | Node::Global(_) => return Err(unwritable()),
        }
        Ok(None)
    }

    fn container(&mut self, tables: &Tables, id: u32) -> Result<Option<Open>> {
        let dict = match tables.group_kind(id) {
            GroupKind::List => false,
            GroupKind::Dict => true,
            _ => return Err(unwritable()),
        };
        match (self.protocol, dict) {
            (0, true) => self.out.write(&[op::MARK, op::DICT]),
            (0, false) => self.out.write(&[op::MARK, op::LIST]),
            (_, true) => self.out.write(&[op::EMPTY_DICT]),
            (_, false) => self.out.write(&[op::EMPTY_LIST]),
        }
        self.memoize();
        let left = tables.group_len(id) / if dict { 2 } else { 1 };
        let run = match left {
            0 => return Ok(None),
            _ if self.protocol == 0 => Run::Each(false),
            1 => Run::One,
            _ => {
                self.out.write(&[op::MARK]);
                Run::Marked(0)
            }
        };
        Ok(Some(Open { cursor: tables.cursor(id), left, run, dict }))
    }
}

fn unwritable() -> Error {
    Error::new(Kind::Unsupported, "only what JSON can say, and bytes, can be pickled again")
}

fn too_big(limit: usize) -> Error {
    Error::new(Kind::TooBig, format!("the pickled value is larger than the limit of {limit} bytes"))
}
