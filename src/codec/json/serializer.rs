//! The JSON serializer of django-redis: `json.dumps` with Django's encoder, and `json.loads` (DR-13).
//!
//! Unlike what [`super::write`] shows this is never lossy without Python being so: what Python raises on is an error.

use bytes::Bytes;
use serde_json::ser::{CompactFormatter, Formatter};

use super::{escape, read};
use crate::codec::{Glance, Input};
use crate::error::{Error, Kind, Result};
use crate::float;
use crate::stored::StoredRef;
use crate::value::arena::{Cursor, GroupKind, Node, Tables};
use crate::value::global::Known;
use crate::value::{self, Limits, Number, Tree, dates};

/// `json.dumps(value, cls=DjangoJSONEncoder).encode()`.
///
/// # Errors
///
/// [`Kind::Type`] for what JSON lacks, [`Kind::TooBig`] beyond the limits and for ints of more than 4300 digits,
/// [`Kind::Invalid`] for a text that is not JSON.
pub fn serialise(input: Input<'_>, limits: &Limits) -> Result<Vec<u8>> {
    let mut writer = Writer::new(limits);
    match input {
        Input::Json(text) => return serialise_tree(&read(text, limits)?, limits),
        Input::Text(text) => writer.text(text.as_bytes())?,
        Input::Number(Number::Float(value)) => float::push(&mut writer.out, *value, float::JSON),
        Input::Number(Number::Int(value)) => writer.long(&value.to_signed_bytes_le())?,
        Input::Stored(bytes) | Input::Ready(StoredRef { bytes, .. }) => writer.push(bytes)?,
        Input::Bytes(_) => return Err(no_bytes()),
    }
    writer.finish()
}

/// The same for a tree.
///
/// # Errors
///
/// As [`serialise`] has them.
pub fn serialise_tree(tree: &Tree, limits: &Limits) -> Result<Vec<u8>> {
    let mut writer = Writer::new(limits);
    writer.tree(&tree.tables, tree.root)?;
    writer.finish()
}

/// `json.loads(serialised.decode())`.
///
/// # Errors
///
/// [`Kind::Undecodable`] where Python raises, [`Kind::TooBig`] beyond the limits.
pub fn deserialise(serialised: &Bytes, limits: &Limits) -> Result<Tree> {
    super::read::read_shared(serialised, limits, Kind::Undecodable).map_err(|error| match error.kind() {
        Kind::Invalid => Error::new(Kind::Undecodable, error.reason().to_owned()),
        _ => error,
    })
}

/// A text without escapes, `true`, `false` or `null`, in place.
pub fn glance<'a>(stored: &'a [u8], limits: &Limits) -> Option<Glance<'a>> {
    match stored {
        _ if stored.len() > limits.bytes => None,
        [b'"', text @ .., b'"'] if !text.iter().any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F)) => {
            std::str::from_utf8(text).ok().map(Glance::Text)
        }
        b"true" => Some(Glance::Bool(true)),
        b"false" => Some(Glance::Bool(false)),
        b"null" => Some(Glance::Null),
        _ => None,
    }
}

/// A list or dict that is being written.
struct Open {
    cursor: Cursor,
    pairs: bool,
    first: bool,
}

struct Writer<'a> {
    out: Vec<u8>,
    limits: &'a Limits,
    nodes_left: usize,
}

impl<'a> Writer<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self { out: Vec::new(), limits, nodes_left: limits.nodes }
    }

    fn finish(self) -> Result<Vec<u8>> {
        self.check(0)?;
        Ok(self.out)
    }

    /// Refuses to grow by `more` beyond the limit.
    fn check(&self, more: usize) -> Result<()> {
        let limit = self.limits.bytes;
        if more > limit.saturating_sub(self.out.len()) {
            return Err(Error::new(Kind::TooBig, format!("the JSON is larger than the limit of {limit} bytes")));
        }
        Ok(())
    }

    fn push(&mut self, text: &[u8]) -> Result<()> {
        self.check(text.len())?;
        self.out.extend_from_slice(text);
        Ok(())
    }

    fn tree(&mut self, tables: &Tables, root: Node) -> Result<()> {
        let mut open: Vec<Open> = Vec::new();
        open.extend(self.begin(tables, root)?);
        while let Some(top) = open.last_mut() {
            let Some(mut node) = tables.next(&mut top.cursor) else {
                self.push(if top.pairs { b"}" } else { b"]" })?;
                open.pop();
                continue;
            };
            if !std::mem::take(&mut top.first) {
                self.push(b", ")?;
            }
            if top.pairs {
                self.key(tables, node)?;
                let Some(value) = tables.next(&mut top.cursor) else { continue };
                node = value;
            }
            if let Some(inner) = self.begin(tables, node)? {
                // A value that holds itself, on which Python raises, ends here too.
                if open.len() >= self.limits.depth {
                    let reason = format!("the value nests deeper than {} levels", self.limits.depth);
                    return Err(Error::new(Kind::TooBig, reason));
                }
                open.push(inner);
            }
        }
        Ok(())
    }

    /// Writes a scalar, or the beginning of a container.
    fn begin(&mut self, tables: &Tables, node: Node) -> Result<Option<Open>> {
        self.spend()?;
        match node {
            Node::Bytes(_) | Node::ByteArray(_) => return Err(no_bytes()),
            Node::Global(_) => return Err(no_type()),
            Node::Object(id) => {
                let text = object(tables, id)?;
                self.text(text.as_bytes())?;
            }
            Node::Group(id) => {
                let kind = tables.group_kind(id);
                let pairs = kind.holds_pairs();
                if !pairs && !matches!(kind, GroupKind::List | GroupKind::Tuple) {
                    return Err(no_type());
                }
                self.push(if pairs { b"{" } else { b"[" })?;
                return Ok(Some(Open { cursor: tables.cursor(id), pairs, first: true }));
            }
            scalar => self.scalar(tables, scalar)?,
        }
        Ok(None)
    }

    fn scalar(&mut self, tables: &Tables, node: Node) -> Result<()> {
        match node {
            Node::Bool(value) => self.push(if value { b"true" } else { b"false" }),
            // Writing to a Vec cannot fail.
            Node::Int(value) => {
                let _ = CompactFormatter.write_i64(&mut self.out, value);
                self.check(0)
            }
            Node::Big(span) => self.long(tables.slice(span)),
            Node::Float(value) => {
                float::push(&mut self.out, value, float::JSON);
                self.check(0)
            }
            Node::Text { span, .. } | Node::Safe(span) => self.text(tables.slice(span)),
            _ => self.push(b"null"),
        }
    }

    /// A key and its colon; numbers, bools and None are their JSON in quotes.
    fn key(&mut self, tables: &Tables, node: Node) -> Result<()> {
        self.spend()?;
        match node {
            Node::Text { .. } | Node::Safe(_) => self.scalar(tables, node)?,
            Node::None | Node::Bool(_) | Node::Int(_) | Node::Big(_) | Node::Float(_) => {
                self.push(b"\"")?;
                self.scalar(tables, node)?;
                self.push(b"\"")?;
            }
            _ => {
                return Err(Error::new(
                    Kind::Type,
                    "a dict has a key that JSON cannot hold; the pickle serializer can",
                ));
            }
        }
        self.push(b": ")
    }

    fn text(&mut self, text: &[u8]) -> Result<()> {
        // An escape takes six bytes; look closer only where that could be too much.
        let room = self.limits.bytes.saturating_sub(self.out.len());
        if text.len().saturating_mul(6).saturating_add(2) > room {
            self.check(escape::string_len(text))?;
        }
        escape::push_string(&mut self.out, text);
        Ok(())
    }

    /// An int of any size: two's complement, little endian.
    fn long(&mut self, bytes: &[u8]) -> Result<()> {
        self.push(value::decimal(bytes)?.as_bytes())
    }

    fn spend(&mut self) -> Result<()> {
        let left = self.nodes_left.checked_sub(1);
        self.nodes_left =
            left.ok_or_else(|| Error::new(Kind::TooBig, "the value has more parts than the limit allows"))?;
        Ok(())
    }
}

/// What `DjangoJSONEncoder.default` makes of an object.
fn object(tables: &Tables, id: u32) -> Result<String> {
    let known = tables.known_object(Node::Object(id)).map_or(Known::Unknown, |(_, known)| known);
    let Some(text) = dates::text(tables, id) else { return Err(no_type()) };
    match known {
        Known::DateTime => datetime(text),
        Known::Time => time(text),
        _ => Ok(text),
    }
}

/// The length of `YYYY-MM-DDTHH:MM:SS`, and that of `HH:MM:SS`.
const DATETIME: usize = 19;
const TIME: usize = 8;
/// The length of a point with six digits, and where only three are kept.
const MICROSECONDS: usize = 7;
const MILLISECONDS: usize = 4;

/// Microseconds are cut to milliseconds, and `+00:00` is `Z` (pitfall 10).
fn datetime(mut text: String) -> Result<String> {
    if text.as_bytes().get(DATETIME) == Some(&b'.') {
        text.replace_range(DATETIME + MILLISECONDS..DATETIME + MICROSECONDS, "");
    }
    if let Some(local) = text.strip_suffix("+00:00").or_else(|| text.strip_suffix("[UTC]")) {
        return Ok(format!("{local}Z"));
    }
    if text.ends_with(']') {
        let reason =
            "the offset of a datetime is known only by the rules of its time zone; the pickle serializer keeps it";
        return Err(Error::new(Kind::Type, reason));
    }
    Ok(text)
}

fn time(mut text: String) -> Result<String> {
    match text.as_bytes().get(TIME..) {
        Some([]) => {}
        Some([b'.', rest @ ..]) if rest.len() == MICROSECONDS - 1 => text.truncate(TIME + MILLISECONDS),
        _ => return Err(Error::new(Kind::Type, "JSON cannot represent a time of day with a time zone")),
    }
    Ok(text)
}

fn no_bytes() -> Error {
    Error::new(Kind::Type, "JSON has no bytes; the pickle and the msgpack serializer have")
}

fn no_type() -> Error {
    Error::new(Kind::Type, "JSON has no type for something in the value; the pickle serializer writes it")
}
