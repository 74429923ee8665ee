//! Python values as data: an arena that pickles and JSON are read into and written from.
//!
//! Nothing in here follows a value's nesting by recursion, so that neither reading nor dropping a hostile value can
//! exhaust the stack.

use std::borrow::Cow;
use std::fmt;

use num_bigint::BigInt;

use crate::error::{Error, Kind, Result};

pub(crate) mod arena;
pub(crate) mod dates;
pub(crate) mod global;
mod item;
pub(crate) mod keys;
mod number;
pub(crate) mod wtf8;

use arena::{GroupKind, Node, Tables};

/// What a value is, for a C program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// `None`.
    Null,
    /// `bool`.
    Bool,
    /// `int` of any size.
    Int,
    /// `float`.
    Float,
    /// `str`, and `SafeString`.
    Text,
    /// `bytes` and `bytearray`.
    Bytes,
    /// `list`, `tuple`, `set`, `frozenset`, `deque`.
    List,
    /// `dict`, `OrderedDict`, `defaultdict`, `Counter`.
    Dict,
    /// Anything else: dates, decimals, UUIDs, instances of classes.
    Other,
}

/// A Python number; what `incr` works on.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// `int` (and `bool`, which counts as 0 and 1).
    Int(BigInt),
    /// `float`.
    Float(f64),
}

/// Bounds for reading and showing values that come from outside.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Stored and shown sizes, in bytes.
    pub bytes: usize,
    /// Nodes of one value.
    pub nodes: usize,
    /// Nesting.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 512 << 20, nodes: 16 << 20, depth: 1000 }
    }
}

/// Whether showing a value in another form loses something: setting the shown form again would store another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The shown form is the value.
    Exact,
    /// Something is lost: a type, a sharing, a character.
    Lossy,
}

impl Loss {
    /// True for [`Loss::Lossy`].
    pub fn is_lossy(self) -> bool {
        self == Self::Lossy
    }
}

/// The most decimal digits that an int is shown or read with, as Python's own limit (rule I).
pub const MAX_DIGITS: usize = 4300;

/// A decoded value. Immutable; can be read from any thread.
///
/// Strings are spans of the stored bytes where these hold them in their final form.
pub struct Tree {
    pub(crate) tables: Tables,
    pub(crate) root: Node,
}

impl Tree {
    /// What the value is.
    pub fn kind(&self) -> ValueKind {
        match self.root {
            Node::None => ValueKind::Null,
            Node::Bool(_) => ValueKind::Bool,
            Node::Int(_) | Node::Big(_) => ValueKind::Int,
            Node::Float(_) => ValueKind::Float,
            Node::Text { .. } | Node::Safe(_) => ValueKind::Text,
            Node::Bytes(_) | Node::ByteArray(_) => ValueKind::Bytes,
            Node::Group(id) => match self.tables.group_kind(id) {
                kind if kind.holds_pairs() => ValueKind::Dict,
                _ => ValueKind::List,
            },
            Node::Object(_) | Node::Global(_) => ValueKind::Other,
        }
    }

    /// True for `None`.
    pub fn is_none(&self) -> bool {
        matches!(self.root, Node::None)
    }

    /// The value of a `bool`.
    pub fn boolean(&self) -> Option<bool> {
        match self.root {
            Node::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The value of an `int` (not `bool`) that fits into 64 bits.
    pub fn int64(&self) -> Option<i64> {
        match self.root {
            Node::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a `float`.
    pub fn float(&self) -> Option<f64> {
        match self.root {
            Node::Float(value) => Some(value),
            _ => None,
        }
    }

    /// An `int` of any size (not `bool`) in decimal; `None` for other kinds, [`Kind::TooBig`] beyond
    /// [`MAX_DIGITS`] digits.
    pub fn int_text(&self) -> Option<Result<String>> {
        match self.root {
            Node::Int(value) => Some(Ok(value.to_string())),
            Node::Big(span) => Some(decimal(self.tables.slice(span))),
            _ => None,
        }
    }

    /// The value as a number, if it is a bool, an int or a float.
    pub fn number(&self) -> Option<Number> {
        match self.root {
            Node::Bool(value) => Some(Number::Int(BigInt::from(u8::from(value)))),
            Node::Int(value) => Some(Number::Int(BigInt::from(value))),
            Node::Big(span) => Some(Number::Int(BigInt::from_signed_bytes_le(self.tables.slice(span)))),
            Node::Float(value) => Some(Number::Float(value)),
            _ => None,
        }
    }

    /// The value as text, borrowed where possible.
    ///
    /// * `str`: itself, exact; lone surrogates, which UTF-8 cannot hold, become U+FFFD (lossy).
    /// * `SafeString`: its text (lossy: a plain `str` would be stored).
    /// * `datetime`, `date`, `time`: as Python's `isoformat()` (lossy); a datetime of a `ZoneInfo` has the zone's
    ///   name in brackets instead of the offset, which would need the zone's rules: `2022-07-01T08:00:00[Europe/Berlin]`.
    /// * `timedelta`: `P1DT02H00M00S`, `Decimal`, `UUID`: their text (lossy).
    /// * `None` for everything else.
    pub fn text(&self) -> Option<(Cow<'_, str>, Loss)> {
        match self.root {
            Node::Text { span, .. } => {
                let bytes = self.tables.slice(span);
                Some(match std::str::from_utf8(bytes) {
                    Ok(text) => (Cow::Borrowed(text), Loss::Exact),
                    Err(_) => (Cow::Owned(wtf8::replaced(bytes)), Loss::Lossy),
                })
            }
            Node::Safe(span) => Some((wtf8::shown(self.tables.slice(span)), Loss::Lossy)),
            Node::Object(id) => dates::text(&self.tables, id).map(|text| (Cow::Owned(text), Loss::Lossy)),
            _ => None,
        }
    }

    /// The bytes of a `bytes`, or of a `bytearray` (lossy); `None` for everything else.
    pub fn bytes(&self) -> Option<(&[u8], Loss)> {
        match self.root {
            Node::Bytes(span) => Some((self.tables.slice(span), Loss::Exact)),
            Node::ByteArray(span) => Some((self.tables.slice(span), Loss::Lossy)),
            _ => None,
        }
    }

    /// The number of items of a list kind, or of pairs of a dict kind.
    pub fn len(&self) -> Option<usize> {
        let Node::Group(id) = self.root else { return None };
        let items = self.tables.group_len(id);
        Some(if self.tables.group_kind(id).holds_pairs() { items / 2 } else { items })
    }

    /// True for a list kind or dict kind that holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The name of the value's Python type: `int`, `dict`, `datetime.datetime`, `shop.models.Basket`.
    pub fn type_name(&self) -> Cow<'_, str> {
        let name = match self.root {
            Node::None => "NoneType",
            Node::Bool(_) => "bool",
            Node::Int(_) | Node::Big(_) => "int",
            Node::Float(_) => "float",
            Node::Text { .. } => "str",
            Node::Safe(_) => "django.utils.safestring.SafeString",
            Node::Bytes(_) => "bytes",
            Node::ByteArray(_) => "bytearray",
            Node::Group(id) => self.tables.group_kind(id).name(),
            Node::Global(_) => "type",
            Node::Object(id) => return self.tables.class_name(id).map_or(Cow::Borrowed("object"), Cow::Owned),
        };
        Cow::Borrowed(name)
    }
}

impl fmt::Debug for Tree {
    /// Says what kind the value is and never what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree({:?})", self.kind())
    }
}

/// A little-endian two's complement number in decimal.
pub(crate) fn decimal(bytes: &[u8]) -> Result<String> {
    let value = BigInt::from_signed_bytes_le(bytes);
    // 4300 digits need at most 14285 bits; the conversion takes quadratic time, so look before.
    if value.bits() <= 14_285 {
        let text = value.to_string();
        if text.trim_start_matches('-').len() <= MAX_DIGITS {
            return Ok(text);
        }
    }
    Err(Error::new(Kind::TooBig, "an int has more than 4300 digits"))
}

impl GroupKind {
    /// The Python type's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Tuple => "tuple",
            Self::Set => "set",
            Self::FrozenSet => "frozenset",
            Self::Deque => "collections.deque",
            Self::Dict => "dict",
            Self::OrderedDict => "collections.OrderedDict",
            Self::DefaultDict => "collections.defaultdict",
            Self::Counter => "collections.Counter",
        }
    }
}
