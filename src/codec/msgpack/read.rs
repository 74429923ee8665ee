//! What `msgpack.loads` reads.

use bytes::Bytes;
use num_bigint::BigInt;
use rmp::Marker;

use super::{DEEPEST, EXTENSION, MODULE, TIMESTAMP};
use crate::codec::Glance;
use crate::error::{Error, Kind, Result};
use crate::value::arena::{GroupKind, Node, Span, Tables};
use crate::value::{Limits, Tree, keys};

/// Reads a value as `msgpack.loads(serialised, raw=False)` does.
///
/// # Errors
///
/// [`Kind::Undecodable`] where Python raises, [`Kind::TooBig`] beyond the limits.
pub fn read(serialised: &Bytes, limits: &Limits) -> Result<Tree> {
    let tables = Tables::new(serialised.clone(), limits)?;
    let mut reader = Reader {
        input: Input { data: serialised, at: 0 },
        tables,
        values: Vec::new(),
        open: Vec::new(),
        limits,
        classes: [None; 2],
    };
    let root = reader.document()?;
    let mut tables = reader.tables;
    keys::settle(&mut tables)?;
    Ok(Tree { tables, root })
}

/// A scalar that is all there is, in place.
pub fn glance<'a>(stored: &'a [u8], limits: &Limits) -> Option<Glance<'a>> {
    if stored.len() > limits.bytes || limits.nodes < 2 {
        return None;
    }
    let mut input = Input { data: stored, at: 0 };
    let found = match input.item().ok()? {
        Item::Scalar(Node::None) => Glance::Null,
        Item::Scalar(Node::Bool(value)) => Glance::Bool(value),
        Item::Scalar(Node::Int(value)) => Glance::Int(value),
        Item::Scalar(Node::Float(value)) => Glance::Float(value),
        Item::Text(bytes) => Glance::Text(std::str::from_utf8(bytes).ok()?),
        Item::Bytes(bytes) => Glance::Bytes(bytes),
        _ => return None,
    };
    (input.at == stored.len()).then_some(found)
}

/// What stands at one marker.
enum Item<'a> {
    Scalar(Node),
    /// An int above `i64`.
    Large(u64),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    Extension(i8, &'a [u8]),
    /// So many items follow.
    Array(usize),
    /// So many pairs follow.
    Map(usize),
}

struct Input<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn item(&mut self) -> Result<Item<'a>> {
        Ok(match Marker::from_u8(u8::from_be_bytes(self.array()?)) {
            Marker::Null => Item::Scalar(Node::None),
            Marker::False => Item::Scalar(Node::Bool(false)),
            Marker::True => Item::Scalar(Node::Bool(true)),
            Marker::FixPos(value) => int(value),
            Marker::FixNeg(value) => int(value),
            Marker::U8 => int(u8::from_be_bytes(self.array()?)),
            Marker::U16 => int(u16::from_be_bytes(self.array()?)),
            Marker::U32 => int(u32::from_be_bytes(self.array()?)),
            Marker::U64 => {
                let value = u64::from_be_bytes(self.array()?);
                i64::try_from(value).map_or(Item::Large(value), int)
            }
            Marker::I8 => int(i8::from_be_bytes(self.array()?)),
            Marker::I16 => int(i16::from_be_bytes(self.array()?)),
            Marker::I32 => int(i32::from_be_bytes(self.array()?)),
            Marker::I64 => int(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Item::Scalar(Node::Float(f64::from(f32::from_be_bytes(self.array()?)))),
            Marker::F64 => Item::Scalar(Node::Float(f64::from_be_bytes(self.array()?))),
            Marker::FixStr(len) => Item::Text(self.take(usize::from(len))?),
            Marker::Str8 => self.run8().map(Item::Text)?,
            Marker::Str16 => self.run16().map(Item::Text)?,
            Marker::Str32 => self.run32().map(Item::Text)?,
            Marker::Bin8 => self.run8().map(Item::Bytes)?,
            Marker::Bin16 => self.run16().map(Item::Bytes)?,
            Marker::Bin32 => self.run32().map(Item::Bytes)?,
            Marker::FixArray(len) => Item::Array(usize::from(len)),
            Marker::Array16 => Item::Array(self.length16()?),
            Marker::Array32 => Item::Array(self.length32()?),
            Marker::FixMap(len) => Item::Map(usize::from(len)),
            Marker::Map16 => Item::Map(self.length16()?),
            Marker::Map32 => Item::Map(self.length32()?),
            Marker::FixExt1 => self.extension(1)?,
            Marker::FixExt2 => self.extension(2)?,
            Marker::FixExt4 => self.extension(4)?,
            Marker::FixExt8 => self.extension(8)?,
            Marker::FixExt16 => self.extension(16)?,
            Marker::Ext8 => {
                let len = self.length8()?;
                self.extension(len)?
            }
            Marker::Ext16 => {
                let len = self.length16()?;
                self.extension(len)?
            }
            Marker::Ext32 => {
                let len = self.length32()?;
                self.extension(len)?
            }
            Marker::Reserved => return Err(bad("a byte that stands for nothing")),
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let array = *rest.first_chunk().ok_or_else(cut_short)?;
        self.at += N;
        Ok(array)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len).ok_or_else(cut_short)?;
        let bytes = self.data.get(self.at..end).ok_or_else(cut_short)?;
        self.at = end;
        Ok(bytes)
    }

    fn length8(&mut self) -> Result<usize> {
        Ok(usize::from(u8::from_be_bytes(self.array()?)))
    }

    fn length16(&mut self) -> Result<usize> {
        Ok(usize::from(u16::from_be_bytes(self.array()?)))
    }

    fn length32(&mut self) -> Result<usize> {
        usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| cut_short())
    }

    fn run8(&mut self) -> Result<&'a [u8]> {
        let len = self.length8()?;
        self.take(len)
    }

    fn run16(&mut self) -> Result<&'a [u8]> {
        let len = self.length16()?;
        self.take(len)
    }

    fn run32(&mut self) -> Result<&'a [u8]> {
        let len = self.length32()?;
        self.take(len)
    }

    fn extension(&mut self, len: usize) -> Result<Item<'a>> {
        let code = i8::from_be_bytes(self.array()?);
        Ok(Item::Extension(code, self.take(len)?))
    }
}

fn int<'a>(value: impl Into<i64>) -> Item<'a> {
    Item::Scalar(Node::Int(value.into()))
}

/// An array or map that has not ended.
struct Open {
    /// Where its items begin in `values`.
    start: usize,
    /// Items that are still to come; for a map, keys and values.
    left: usize,
    map: bool,
}

struct Reader<'a> {
    input: Input<'a>,
    tables: Tables,
    /// The items of all open containers.
    values: Vec<Node>,
    open: Vec<Open>,
    limits: &'a Limits,
    /// The classes of extension types, once they are there.
    classes: [Option<Node>; 2],
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Node> {
        loop {
            let Some(mut value) = self.value()? else { continue };
            // The last item of a container makes that a value.
            while let Some(top) = self.open.last_mut() {
                if top.map && top.left.is_multiple_of(2) && !matches!(value, Node::Text { .. } | Node::Bytes(_)) {
                    return Err(bad("a key that is neither str nor bytes")); // pitfall 10
                }
                top.left -= 1;
                let ended = top.left == 0;
                if self.values.len() >= self.limits.nodes {
                    return Err(Error::new(Kind::TooBig, "the value has more parts than the limit allows"));
                }
                self.values.push(value);
                if !ended {
                    break;
                }
                value = self.end()?;
            }
            if self.open.is_empty() {
                if self.input.at < self.input.data.len() {
                    return Err(bad("something follows the value"));
                }
                return Ok(value);
            }
        }
    }

    /// A whole value; `None` after the beginning of a container, where its first item is next.
    fn value(&mut self) -> Result<Option<Node>> {
        Ok(Some(match self.input.item()? {
            Item::Scalar(node) => node,
            Item::Large(value) => Node::Big(self.tables.keep(&BigInt::from(value).to_signed_bytes_le())?),
            Item::Text(bytes) => {
                if std::str::from_utf8(bytes).is_err() {
                    return Err(bad("text is not UTF-8"));
                }
                Node::Text { share: 0, span: self.span(bytes)? }
            }
            Item::Bytes(bytes) => Node::Bytes(self.span(bytes)?),
            Item::Extension(code, data) => self.extension(code, data)?,
            Item::Array(len) => return self.begin(len, len, false),
            Item::Map(len) => return self.begin(len, len.saturating_mul(2), true),
        }))
    }

    /// The span of what was read last.
    fn span(&self, bytes: &[u8]) -> Result<Span> {
        let number = |n: usize| u32::try_from(n).map_err(|_| cut_short());
        Ok(Span { start: number(self.input.at - bytes.len())?, len: number(bytes.len())? })
    }

    fn begin(&mut self, len: usize, left: usize, map: bool) -> Result<Option<Node>> {
        // Each item takes at least a byte; nothing is made for what is only said to be there.
        if left > self.input.data.len() - self.input.at {
            return Err(cut_short());
        }
        if self.open.len() >= self.limits.depth.min(DEEPEST) {
            return Err(Error::new(Kind::TooBig, "msgpack nests deeper than Python and the limits allow"));
        }
        self.open.push(Open { start: self.values.len(), left, map });
        if len == 0 { self.end().map(Some) } else { Ok(None) }
    }

    fn end(&mut self) -> Result<Node> {
        let Some(Open { start, map, .. }) = self.open.pop() else { return Err(cut_short()) };
        let kind = if map { GroupKind::Dict } else { GroupKind::List };
        let id = self.tables.add_group_of(kind, self.values.get(start..).unwrap_or_default())?;
        self.values.truncate(start);
        Ok(Node::Group(id))
    }

    fn extension(&mut self, code: i8, data: &[u8]) -> Result<Node> {
        let span = self.span(data)?;
        let (number, name, args) = match code {
            -1 => (0, TIMESTAMP, timestamp(data)?),
            0.. => (1, EXTENSION, [Node::Int(i64::from(code)), Node::Bytes(span)]),
            _ => return Err(bad("an extension type that Python does not know")),
        };
        let class = match self.classes.get(number).copied().flatten() {
            Some(class) => class,
            None => self.class(number, name)?,
        };
        let args = self.tables.add_group_of(GroupKind::Tuple, &args)?;
        Ok(Node::Object(self.tables.add_object(class, args)?))
    }

    fn class(&mut self, number: usize, name: &[u8]) -> Result<Node> {
        let (module, name) = (self.tables.keep(MODULE)?, self.tables.keep(name)?);
        let class = Node::Global(self.tables.add_global(module, name)?);
        if let Some(slot) = self.classes.get_mut(number) {
            *slot = Some(class);
        }
        Ok(class)
    }
}

/// The seconds and nanoseconds of a timestamp.
fn timestamp(data: &[u8]) -> Result<[Node; 2]> {
    let (seconds, nanoseconds) = if let Ok(four) = <[u8; 4]>::try_from(data) {
        (i64::from(u32::from_be_bytes(four)), 0)
    } else if let Ok(eight) = <[u8; 8]>::try_from(data) {
        let both = u64::from_be_bytes(eight);
        (i64::try_from(both & 0x3_FFFF_FFFF).unwrap_or_default(), i64::try_from(both >> 34).unwrap_or_default())
    } else if let Some((four, eight)) = data.split_first_chunk::<4>()
        && let Ok(eight) = <[u8; 8]>::try_from(eight)
    {
        (i64::from_be_bytes(eight), i64::from(u32::from_be_bytes(*four)))
    } else {
        return Err(bad("a timestamp is of no known length"));
    };
    if nanoseconds > 999_999_999 {
        return Err(bad("a timestamp has a second and more of nanoseconds"));
    }
    Ok([Node::Int(seconds), Node::Int(nanoseconds)])
}

fn bad(reason: &str) -> Error {
    Error::new(Kind::Undecodable, format!("not readable msgpack: {reason}"))
}

fn cut_short() -> Error {
    bad("it is cut short")
}
