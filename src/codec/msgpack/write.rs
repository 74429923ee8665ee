//! What `msgpack.dumps` writes.

use std::convert::Infallible;

use num_bigint::BigInt;
use num_traits::ToPrimitive;
use rmp::encode::{self, ByteBuf, ValueWriteError};

use super::{DEEPEST, EXTENSION, MODULE, TIMESTAMP};
use crate::codec::{Input, json};
use crate::error::{Error, Kind, Result};
use crate::stored::StoredRef;
use crate::value::arena::{Cursor, GroupKind, NIL, Node, Span, Tables};
use crate::value::{Limits, Number, Tree};

/// The most bytes that stand before the content of a string, an array or a map.
const HEADER: usize = 6;

/// `msgpack.dumps` of a value.
///
/// # Errors
///
/// [`Kind::Type`] for what Python's packer refuses: ints beyond 64 bits, lone surrogates; [`Kind::TooBig`] beyond the
/// limits; [`Kind::Invalid`] for a text that is not JSON.
pub fn serialise(input: Input<'_>, limits: &Limits) -> Result<Vec<u8>> {
    let mut writer = Writer::new(limits);
    match input {
        Input::Json(text) => return write(&json::read(text, limits)?, limits),
        Input::Bytes(bytes) => writer.bytes(bytes)?,
        Input::Text(text) => writer.text(text.as_bytes())?,
        Input::Number(Number::Float(value)) => written(encode::write_f64(&mut writer.out, *value)),
        Input::Number(Number::Int(value)) => writer.int(value)?,
        Input::Stored(bytes) | Input::Ready(StoredRef { bytes, .. }) => {
            writer.check(bytes.len())?;
            return Ok(bytes.to_vec());
        }
    }
    writer.finish()
}

/// The same for a tree.
///
/// # Errors
///
/// As [`serialise`] has them; [`Kind::Type`] also for types that msgpack has not.
pub fn write(tree: &Tree, limits: &Limits) -> Result<Vec<u8>> {
    let mut writer = Writer::new(limits);
    writer.tree(&tree.tables, tree.root)?;
    writer.finish()
}

/// A buffer takes everything.
#[allow(clippy::needless_pass_by_value, reason = "there is nothing in it but that it went well")]
fn written<T>(result: std::result::Result<T, ValueWriteError<Infallible>>) {
    let Ok(_) = result;
}

struct Writer<'a> {
    out: ByteBuf,
    limits: &'a Limits,
    nodes_left: usize,
}

impl<'a> Writer<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self { out: ByteBuf::new(), limits, nodes_left: limits.nodes }
    }

    fn finish(self) -> Result<Vec<u8>> {
        self.check(0)?;
        Ok(self.out.into_vec())
    }

    /// Refuses to grow by `more` beyond the limit.
    fn check(&self, more: usize) -> Result<()> {
        let limit = self.limits.bytes;
        if more > limit.saturating_sub(self.out.as_slice().len()) {
            return Err(Error::new(Kind::TooBig, format!("the msgpack is larger than the limit of {limit} bytes")));
        }
        Ok(())
    }

    fn tree(&mut self, tables: &Tables, root: Node) -> Result<()> {
        let mut open: Vec<Cursor> = Vec::new();
        open.extend(self.begin(tables, root)?);
        while let Some(top) = open.last_mut() {
            let Some(node) = tables.next(top) else {
                open.pop();
                continue;
            };
            if let Some(inner) = self.begin(tables, node)? {
                // A value that holds itself ends here, too.
                if open.len() >= self.limits.depth.min(DEEPEST) {
                    let reason = "the value nests deeper than msgpack and the limits allow";
                    return Err(Error::new(Kind::TooBig, reason));
                }
                open.push(inner);
            }
        }
        Ok(())
    }

    /// Writes a scalar, or the beginning of a container with items.
    fn begin(&mut self, tables: &Tables, node: Node) -> Result<Option<Cursor>> {
        self.check(0)?;
        self.nodes_left = self
            .nodes_left
            .checked_sub(1)
            .ok_or_else(|| Error::new(Kind::TooBig, "the value has more parts than the limit allows"))?;
        match node {
            Node::None => {
                let _: std::result::Result<(), Infallible> = encode::write_nil(&mut self.out);
            }
            Node::Bool(value) => {
                let _: std::result::Result<(), Infallible> = encode::write_bool(&mut self.out, value);
            }
            Node::Int(value) => written(encode::write_sint(&mut self.out, value)),
            Node::Big(span) => self.int(&BigInt::from_signed_bytes_le(tables.slice(span)))?,
            Node::Float(value) => written(encode::write_f64(&mut self.out, value)),
            Node::Text { span, .. } | Node::Safe(span) => self.text(tables.slice(span))?,
            Node::Bytes(span) | Node::ByteArray(span) => self.bytes(tables.slice(span))?,
            Node::Group(id) => return self.group(tables, id),
            Node::Object(id) => self.extension(tables, id)?,
            Node::Global(_) => return Err(no_type()),
        }
        Ok(None)
    }

    fn group(&mut self, tables: &Tables, id: u32) -> Result<Option<Cursor>> {
        let len = |items: usize| {
            u32::try_from(items).map_err(|_| Error::new(Kind::TooBig, "the value has more items than msgpack allows"))
        };
        let items = tables.group_len(id);
        match tables.group_kind(id) {
            GroupKind::List | GroupKind::Tuple => written(encode::write_array_len(&mut self.out, len(items)?)),
            kind if kind.holds_pairs() => written(encode::write_map_len(&mut self.out, len(items / 2)?)),
            _ => return Err(no_type()),
        }
        Ok((items > 0).then(|| tables.cursor(id)))
    }

    fn int(&mut self, value: &BigInt) -> Result<()> {
        match (value.to_u64(), value.to_i64()) {
            (Some(value), _) => written(encode::write_uint(&mut self.out, value)),
            (None, Some(value)) => written(encode::write_sint(&mut self.out, value)),
            (None, None) => {
                let reason = "msgpack has no ints beyond 64 bits; the pickle and the JSON serializer have";
                return Err(Error::new(Kind::Type, reason));
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &[u8]) -> Result<()> {
        if std::str::from_utf8(text).is_err() {
            let reason = "the text has a lone surrogate, which msgpack's UTF-8 cannot hold";
            return Err(Error::new(Kind::Type, reason));
        }
        let len = self.length(text)?;
        written(encode::write_str_len(&mut self.out, len));
        self.out.as_mut_vec().extend_from_slice(text);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let len = self.length(bytes)?;
        written(encode::write_bin_len(&mut self.out, len));
        self.out.as_mut_vec().extend_from_slice(bytes);
        Ok(())
    }

    /// The length of a string, for which there is room now.
    fn length(&mut self, string: &[u8]) -> Result<u32> {
        self.check(string.len())?;
        self.out.as_mut_vec().reserve(string.len() + HEADER);
        u32::try_from(string.len()).map_err(|_| Error::new(Kind::TooBig, "msgpack holds strings up to 4 GiB"))
    }

    /// The two classes of Python's `msgpack` itself; nothing else becomes an extension type.
    fn extension(&mut self, tables: &Tables, id: u32) -> Result<()> {
        let (code, data) = extension(tables, id).ok_or_else(no_type)?;
        let data = match &data {
            Data::Made(data) => &data[..],
            Data::Held(span) => tables.slice(*span),
        };
        let len = self.length(data)?;
        written(encode::write_ext_meta(&mut self.out, len, code));
        self.out.as_mut_vec().extend_from_slice(data);
        Ok(())
    }
}

enum Data {
    Made(Vec<u8>),
    Held(Span),
}

/// The code and the data of an extension type.
fn extension(tables: &Tables, id: u32) -> Option<(i8, Data)> {
    let object = tables.object(id)?;
    let Node::Global(class) = object.class else { return None };
    let class = tables.global(class)?;
    let plain = object.kwargs.is_none() && object.state.is_none() && object.items == NIL && object.pairs == NIL;
    if !plain || tables.slice(class.module) != MODULE {
        return None;
    }
    match (tables.slice(class.name), tables.as_slice(object.args)?) {
        (TIMESTAMP, &[Node::Int(seconds), Node::Int(nanoseconds)]) => {
            Some((-1, Data::Made(timestamp(seconds, u32::try_from(nanoseconds).ok()?)?)))
        }
        (EXTENSION, &[Node::Int(code @ 0..=127), Node::Bytes(data)]) => {
            Some((i8::try_from(code).ok()?, Data::Held(data)))
        }
        _ => None,
    }
}

/// The shortest of the three forms of a timestamp.
fn timestamp(seconds: i64, nanoseconds: u32) -> Option<Vec<u8>> {
    if nanoseconds >= 1_000_000_000 {
        return None;
    }
    Some(match (u64::try_from(seconds), u32::try_from(seconds)) {
        (_, Ok(seconds)) if nanoseconds == 0 => seconds.to_be_bytes().to_vec(),
        (Ok(seconds @ ..0x4_0000_0000), _) => (u64::from(nanoseconds) << 34 | seconds).to_be_bytes().to_vec(),
        _ => [&nanoseconds.to_be_bytes()[..], &seconds.to_be_bytes()].concat(),
    })
}

fn no_type() -> Error {
    let reason = "msgpack has no type for something in the value; the pickle serializer writes it";
    Error::new(Kind::Type, reason)
}
