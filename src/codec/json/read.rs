//! The JSON reader: takes what Python's `json.loads` takes, and makes the tree that the pickle writer needs.

use bytes::Bytes;
use num_bigint::BigInt;
use num_traits::Num;

use super::keys::Keys;
use crate::error::{Error, Kind, Result};
use crate::value::arena::{GroupKind, Node, Span, Tables};
use crate::value::{Limits, MAX_DIGITS, Tree, wtf8};

/// Reads a JSON text in UTF-8.
///
/// # Errors
///
/// [`Kind::Invalid`] for text that Python's `json.loads` refuses, with the place in bytes; [`Kind::TooBig`] beyond
/// the limits of bytes, nodes and depth.
pub fn read(text: &[u8], limits: &Limits) -> Result<Tree> {
    within(text, limits)?;
    read_shared(&Bytes::copy_from_slice(text), limits, Kind::TooBig)
}

/// The same, where the tree can keep the text; an int of more than 4300 digits is an error of this kind.
pub fn read_shared(text: &Bytes, limits: &Limits, many_digits: Kind) -> Result<Tree> {
    within(text, limits)?;
    let tables = Tables::new(text.clone(), limits)?;
    let mut reader =
        Reader { text, at: 0, tables, values: Vec::new(), open: Vec::new(), limits, keys: Keys::new(), many_digits };
    let root = reader.document()?;
    Ok(Tree { tables: reader.tables, root })
}

fn within(text: &[u8], limits: &Limits) -> Result<()> {
    if text.len() > limits.bytes {
        let reason = format!("the JSON text is larger than the limit of {} bytes", limits.bytes);
        return Err(Error::new(Kind::TooBig, reason));
    }
    Ok(())
}

/// An array or object that has not ended.
struct Open {
    /// Where its items begin in `values`.
    start: usize,
    object: bool,
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    tables: Tables,
    /// The items of all open containers.
    values: Vec<Node>,
    open: Vec<Open>,
    limits: &'a Limits,
    keys: Keys,
    /// What an int of more than 4300 digits is.
    many_digits: Kind,
}

impl Reader<'_> {
    fn bad(&self, what: &str) -> Error {
        Error::new(Kind::Invalid, format!("not JSON: {what} at byte {}", self.at))
    }

    fn document(&mut self) -> Result<Node> {
        loop {
            self.skip_space();
            // A value, or the beginning of a container that is not empty.
            let Some(value) = self.value()? else { continue };
            let mut value = value;
            // What may follow a value: more of the container, its end (which makes it a value), the end of all.
            loop {
                self.skip_space();
                let Some(container) = self.open.last() else {
                    if self.at < self.text.len() {
                        return Err(self.bad("something follows the value"));
                    }
                    return Ok(value);
                };
                let object = container.object;
                self.add(value)?;
                match (self.peek(), object) {
                    (Some(b','), false) => self.at += 1,
                    (Some(b','), true) => {
                        self.at += 1;
                        self.skip_space();
                        self.key()?;
                    }
                    (Some(b']'), false) | (Some(b'}'), true) => {
                        self.at += 1;
                        value = self.end()?;
                        continue;
                    }
                    (_, false) => return Err(self.bad("',' or ']' is expected")),
                    (_, true) => return Err(self.bad("',' or '}' is expected")),
                }
                break;
            }
        }
    }

    /// A whole value; `None` after the beginning of a container, where its first item is next.
    fn value(&mut self) -> Result<Option<Node>> {
        Ok(Some(match self.peek() {
            Some(b'"') => {
                self.at += 1;
                let span = self.string()?;
                Node::Text { share: 0, span }
            }
            Some(b'[') => return self.begin(false),
            Some(b'{') => return self.begin(true),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        }))
    }

    fn word(&mut self) -> Result<Node> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let words = [
            (&b"null"[..], Node::None),
            (b"true", Node::Bool(true)),
            (b"false", Node::Bool(false)),
            (b"NaN", Node::Float(f64::NAN)),
            (b"Infinity", Node::Float(f64::INFINITY)),
        ];
        for (word, node) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(node);
            }
        }
        Err(self.bad("a value is expected"))
    }

    fn begin(&mut self, object: bool) -> Result<Option<Node>> {
        if self.open.len() >= self.limits.depth {
            return Err(Error::new(Kind::TooBig, format!("JSON nests deeper than {} levels", self.limits.depth)));
        }
        self.at += 1;
        self.open.push(Open { start: self.values.len(), object });
        self.skip_space();
        match (self.peek(), object) {
            (Some(b']'), false) | (Some(b'}'), true) => {
                self.at += 1;
                return self.end().map(Some);
            }
            (_, true) => self.key()?,
            (_, false) => {}
        }
        Ok(None)
    }

    fn end(&mut self) -> Result<Node> {
        let Some(Open { start, object }) = self.open.pop() else { return Err(self.bad("a value is expected")) };
        if object {
            self.keys.merge(&mut self.values, start);
        }
        let kind = if object { GroupKind::Dict } else { GroupKind::List };
        let id = self.tables.add_group_of(kind, self.values.get(start..).unwrap_or_default())?;
        self.values.truncate(start);
        Ok(Node::Group(id))
    }

    fn add(&mut self, node: Node) -> Result<()> {
        if self.values.len() >= self.limits.nodes {
            return Err(Error::new(Kind::TooBig, "the value has more parts than the limit allows"));
        }
        self.values.push(node);
        Ok(())
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<()> {
        if self.peek() != Some(b'"') {
            return Err(self.bad("a key in double quotes is expected"));
        }
        self.at += 1;
        let span = self.string()?;
        let node = self.keys.shared(&self.tables, span);
        self.add(node)?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.bad("':' is expected"));
        }
        self.at += 1;
        Ok(())
    }

    /// The text after an opening quote.
    fn string(&mut self) -> Result<Span> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F)).unwrap_or(rest.len());
        let (text, after) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
        if after.first() != Some(&b'"') {
            return self.string_with_escapes();
        }
        if !text.is_ascii() && std::str::from_utf8(text).is_err() {
            return Err(self.bad("a text that is not UTF-8"));
        }
        let number = |n: usize| u32::try_from(n).map_err(|_| Error::new(Kind::TooBig, "the JSON text is too large"));
        let span = Span { start: number(self.at)?, len: number(plain)? };
        self.at += plain + 1;
        Ok(span)
    }

    fn string_with_escapes(&mut self) -> Result<Span> {
        let mut out = Vec::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F)).unwrap_or(rest.len());
            let (text, after) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
            if std::str::from_utf8(text).is_err() {
                return Err(self.bad("a text that is not UTF-8"));
            }
            out.extend_from_slice(text);
            self.at += plain;
            match after {
                [b'"', ..] => {
                    self.at += 1;
                    return self.tables.keep(&out);
                }
                [b'\\', b'u', ..] => self.unicode_escape(&mut out)?,
                [b'\\', escape, ..] => {
                    out.push(match escape {
                        b'"' | b'\\' | b'/' => *escape,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        _ => return Err(self.bad("an unknown escape")),
                    });
                    self.at += 2;
                }
                [0..=0x1F, ..] => return Err(self.bad("a control character in a text")),
                _ => return Err(self.bad("a text without an end")),
            }
        }
    }

    /// `\uXXXX`, or two that are the halves of one character; a lone half is kept as it is.
    fn unicode_escape(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let Some(unit) = self.unit_at(self.at) else { return Err(self.bad("a broken \\u escape")) };
        self.at += 6;
        if (0xD800..=0xDBFF).contains(&unit)
            && let Some(low @ 0xDC00..=0xDFFF) = self.unit_at(self.at)
        {
            self.at += 6;
            wtf8::push(out, 0x1_0000 + ((u32::from(unit) & 0x3FF) << 10 | u32::from(low) & 0x3FF));
        } else {
            wtf8::push(out, u32::from(unit));
        }
        Ok(())
    }

    /// The code unit of an escape that begins at a place.
    fn unit_at(&self, at: usize) -> Option<u16> {
        let [b'\\', b'u', digits @ ..] = self.text.get(at..at + 6)? else { return None };
        digits
            .iter()
            .try_fold(0_u16, |unit, digit| Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?))
    }

    fn number(&mut self) -> Result<Node> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let digits = match self.peek() {
            Some(b'0') => 1,
            Some(b'1'..=b'9') => self.digits(),
            Some(b'I') if negative && self.text.get(self.at..).unwrap_or_default().starts_with(b"Infinity") => {
                self.at += 8;
                return Ok(Node::Float(f64::NEG_INFINITY));
            }
            _ => return Err(self.bad("a number is expected")),
        };
        self.at += digits;
        let mut float = false;
        if self.peek() == Some(b'.') {
            self.at += 1;
            let fraction = self.digits();
            // As in Python, "1." is the int 1 with something behind it.
            self.at = if fraction > 0 { self.at + fraction } else { self.at - 1 };
            float |= fraction > 0;
        }
        if let Some(b'e' | b'E') = self.peek() {
            let before = self.at;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            let exponent = self.digits();
            self.at = if exponent > 0 { self.at + exponent } else { before };
            float |= exponent > 0;
        }
        let text = self.text.get(start..self.at).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
        if float {
            return text.parse().map(Node::Float).map_err(|_| self.bad("a number is expected"));
        }
        if let Ok(value) = text.parse() {
            return Ok(Node::Int(value));
        }
        if digits > MAX_DIGITS {
            return Err(Error::new(self.many_digits, "an int has more than 4300 digits"));
        }
        let value = BigInt::from_str_radix(text, 10).map_err(|_| self.bad("a number is expected"))?;
        Ok(Node::Big(self.tables.keep(&value.to_signed_bytes_le())?))
    }

    /// How many digits come next.
    fn digits(&self) -> usize {
        self.text.get(self.at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }
}
