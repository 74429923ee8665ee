//! A value as a store hands it out: the stored bytes, decoded when first asked.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::spare;
use crate::codec::{Codec, Form, Glance, Input, json, raw};
use crate::error::{Error, Kind, Result};
use crate::lock::OnceLock;
use crate::stored::{Stored, StoredRef};
use crate::value::{Limits, Number, Tree, ValueKind};

/// No `None` takes more bytes, however it is serialised and compressed.
const LONGEST_NONE: usize = 128;

/// Something shown, and whether the showing lost something of the Python value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<T> {
    /// What is shown.
    pub shown: T,
    /// Whether setting this again would store another value.
    pub lossy: bool,
}

impl<T> Shown<T> {
    pub(super) fn exactly(shown: T) -> Self {
        Self { shown, lossy: false }
    }
}

/// What the values of a store have in common.
pub struct Facts {
    /// How they are serialised.
    pub codec: Codec,
    /// The store's alias.
    pub alias: Arc<str>,
    /// Whether values may have a soft deadline beside them (DR-40).
    pub herded: bool,
}

/// How larder writes what it tells itself, such as keys of listings and tokens of locks: no serializer of the alias's is
/// needed for that, and its bounds for values say nothing of it.
const TOLD: Codec = Codec::pickling(5, Form::Pickle, Limits { bytes: usize::MAX, nodes: 16, depth: 2 });

/// The bytes under which larder tells a text itself.
pub(super) fn told(input: Input<'_>) -> Result<Stored> {
    TOLD.encode(input)
}

/// A stored value. Accessors may be called from any thread at once; what they show lives as long as the value.
pub struct Value {
    stored: Kept,
    facts: Arc<Facts>,
    /// Most values are read in place: a value is small until it is decoded.
    decoded: OnceLock<Box<Decoded>>,
}

enum Kept {
    Shared(Stored),
    /// From [`spare`], and back there; and its flags.
    Small(Vec<u8>, u32),
}

#[derive(Default)]
struct Decoded {
    /// With the soft deadline that was beside it.
    tree: OnceLock<Result<(Tree, Option<i64>)>>,
    text: OnceLock<Shown<String>>,
    json: OnceLock<Result<Shown<String>>>,
}

impl Value {
    /// A value over stored bytes.
    pub fn new(stored: Stored, facts: Arc<Facts>) -> Self {
        Self { stored: Kept::Shared(stored), facts, decoded: OnceLock::new() }
    }

    /// A value over a copy of a few stored bytes.
    pub(super) fn small(stored: StoredRef<'_>, facts: Arc<Facts>) -> Self {
        Self { stored: Kept::Small(spare::copy(stored.bytes), stored.flags), facts, decoded: OnceLock::new() }
    }

    /// A value over bytes that [`told`] has made.
    pub(super) fn of_told(stored: Stored, alias: &Arc<str>) -> Self {
        Self::new(stored, Arc::new(Facts { codec: TOLD, alias: alias.clone(), herded: false }))
    }

    /// A value over a number that was just encoded, as `incr` answers it: an int is one in all caches, where django-valkey
    /// reads back one below zero as a float (1.16).
    pub(super) fn of_sum(stored: Stored, facts: &Arc<Facts>) -> Self {
        if facts.codec.form != Form::ValkeyNumbers || raw::int(&stored.bytes).is_none() {
            return Self::new(stored, facts.clone());
        }
        let codec = Codec { form: Form::RedisIntegers, ..facts.codec.clone() };
        Self::new(stored, Arc::new(Facts { codec, alias: facts.alias.clone(), herded: facts.herded }))
    }

    /// The serialised bytes as the backend has them.
    pub fn stored(&self) -> StoredRef<'_> {
        match &self.stored {
            Kept::Shared(stored) => stored.as_ref(),
            Kept::Small(bytes, flags) => StoredRef { bytes, flags: *flags },
        }
    }

    /// The same, to keep.
    pub fn kept(&self) -> Stored {
        match &self.stored {
            Kept::Shared(stored) => stored.clone(),
            Kept::Small(bytes, flags) => Stored { bytes: Bytes::copy_from_slice(bytes), flags: *flags },
        }
    }

    /// What the value is.
    pub fn kind(&self) -> Result<ValueKind> {
        Ok(match self.glance() {
            Some(Glance::Null) => ValueKind::Null,
            Some(Glance::Bool(_)) => ValueKind::Bool,
            Some(Glance::Int(_)) => ValueKind::Int,
            Some(Glance::Float(_)) => ValueKind::Float,
            Some(Glance::Text(_)) => ValueKind::Text,
            Some(Glance::Bytes(_)) => ValueKind::Bytes,
            None => self.tree()?.kind(),
        })
    }

    /// Whether the value is Python's `None`; `false` where it cannot be decoded.
    pub fn is_none(&self) -> bool {
        self.kind().is_ok_and(|kind| kind == ValueKind::Null)
    }

    /// Why the value cannot be decoded, where it cannot.
    pub(super) fn undecodable(&self) -> Option<Error> {
        if self.glance().is_some() { None } else { self.opened().err() }
    }

    /// [`Value::is_none`], without decoding what is too large for that; with HerdClient all was decoded already.
    pub fn is_plain_none(&self) -> bool {
        let may_be = self.facts.herded || self.stored().bytes.len() <= LONGEST_NONE;
        may_be && self.is_none()
    }

    /// The text of a dict's item; `None` where there is no such item.
    pub fn item_text(&self, name: &str) -> Result<Option<Shown<&str>>> {
        let found = self.tree()?.item_text(name).map_err(|error| self.named(error))?;
        Ok(found.map(|(shown, loss)| Shown { shown, lossy: loss.is_lossy() }))
    }

    /// The value as a number, if it is a bool, an int or a float.
    pub fn number(&self) -> Result<Option<Number>> {
        Ok(match self.glance() {
            Some(Glance::Int(number)) => Some(Number::Int(number.into())),
            Some(Glance::Bool(truth)) => Some(Number::Int(i32::from(truth).into())),
            Some(Glance::Float(number)) => Some(Number::Float(number)),
            Some(_) => None,
            None => self.tree()?.number(),
        })
    }

    /// The content of `bytes` or `bytearray`.
    pub fn bytes(&self) -> Result<Shown<&[u8]>> {
        if let Some(Glance::Bytes(bytes)) = self.glance() {
            return Ok(Shown::exactly(bytes));
        }
        match self.tree()?.bytes() {
            Some((shown, loss)) => Ok(Shown { shown, lossy: loss.is_lossy() }),
            None => Err(self.not("bytes")),
        }
    }

    /// A text; dates, decimals and UUIDs as text too (lossy).
    pub fn text(&self) -> Result<Shown<&str>> {
        if let Some(Glance::Text(text)) = self.glance() {
            return Ok(Shown::exactly(text));
        }
        let decoded = self.decoded();
        if let Some(made) = decoded.text.get() {
            return Ok(borrowed(made));
        }
        match self.tree()?.text() {
            Some((Cow::Borrowed(shown), loss)) => Ok(Shown { shown, lossy: loss.is_lossy() }),
            Some((Cow::Owned(shown), loss)) => {
                Ok(borrowed(decoded.text.get_or_init(|| Shown { shown, lossy: loss.is_lossy() })))
            }
            None => Err(self.not("text")),
        }
    }

    /// The value as JSON text, by the table in [`crate::codec::json`].
    pub fn json(&self) -> Result<Shown<&str>> {
        let made = once(&self.decoded().json, || {
            let (shown, loss) =
                json::write(self.tree()?, &self.facts.codec.limits).map_err(|error| self.named(error))?;
            Ok(Shown { shown, lossy: loss.is_lossy() })
        });
        made.map(borrowed)
    }

    /// The bytes of a text or of bytes.
    pub fn text_or_bytes(&self) -> Result<Shown<&[u8]>> {
        match self.kind()? {
            ValueKind::Text => self.text().map(|text| Shown { shown: text.shown.as_bytes(), lossy: text.lossy }),
            ValueKind::Bytes => self.bytes(),
            _ => Err(self.not("bytes or text")),
        }
    }

    fn glance(&self) -> Option<Glance<'_>> {
        self.facts.codec.glance(self.stored())
    }

    fn decoded(&self) -> &Decoded {
        self.decoded.get_or_init(Box::default)
    }

    /// About how many bytes of memory it takes beside the stored ones, since it was decoded.
    pub(super) fn decoded_size(&self) -> usize {
        let tree = self.decoded.get().and_then(|decoded| decoded.tree.get()?.as_ref().ok());
        tree.map_or(0, |(tree, _)| tree.tables.size())
    }

    /// Gives that memory back, and tells how much it was; it is decoded again when it is looked into.
    pub(super) fn forget(&mut self) -> usize {
        let size = self.decoded_size();
        self.decoded = OnceLock::new();
        size
    }

    /// The soft deadline beside the value, in seconds since 1970; `None` also where it cannot be decoded.
    pub(super) fn soft_deadline(&self) -> Option<i64> {
        if !self.facts.herded || self.glance().is_some() {
            return None;
        }
        self.opened().ok().and_then(|(_, deadline)| *deadline)
    }

    /// Hands the value to `write` in a form from which the same value is written; `None` where there is none.
    pub(super) fn written_again<T>(&self, write: impl FnOnce(Input<'_>) -> T) -> Option<T> {
        let exact = |lossy: bool| (!lossy).then_some(());
        match self.kind().ok()? {
            ValueKind::Int | ValueKind::Float => Some(write(Input::Number(&self.number().ok()??))),
            ValueKind::Text => {
                let text = self.text().ok()?;
                exact(text.lossy).map(|()| write(Input::Text(text.shown)))
            }
            ValueKind::Bytes => {
                let bytes = self.bytes().ok()?;
                exact(bytes.lossy).map(|()| write(Input::Bytes(bytes.shown)))
            }
            _ => {
                let json = self.json().ok()?;
                exact(json.lossy).map(|()| write(Input::Json(json.shown.as_bytes())))
            }
        }
    }

    fn tree(&self) -> Result<&Tree> {
        self.opened().map(|(tree, _)| tree)
    }

    fn opened(&self) -> Result<&(Tree, Option<i64>)> {
        once(&self.decoded().tree, || {
            let opened = (self.facts.codec)
                .decode(&self.kept())
                .and_then(|tree| if self.facts.herded { self.facts.codec.unpack_herd(tree) } else { Ok((tree, None)) });
            opened.map_err(|error| self.named(error))
        })
    }

    fn named(&self, error: Error) -> Error {
        error.during("decode").on_alias(&self.facts.alias)
    }

    /// The error of a value that is of another kind than `wanted`.
    pub(super) fn wrong_kind(&self, wanted: &str) -> Error {
        let kind = self.kind().map_or_else(|_| "unknown".into(), |kind| format!("{kind:?}").to_lowercase());
        Error::new(Kind::Type, format!("the value is of kind {kind}, not {wanted}; its JSON shows it"))
    }

    fn not(&self, wanted: &str) -> Error {
        self.named(self.wrong_kind(wanted))
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if let Kept::Small(bytes, _) = &mut self.stored {
            spare::give(std::mem::take(bytes));
        }
    }
}

/// What is made when it is first wanted, and kept.
///
/// It is made outside of the place's own lock: the program's plug-ins may run meanwhile, which may look at the same value,
/// wait for another thread that does, or be in the midst of it while another thread forks. So threads that look at the same
/// time may each make it, and the first is kept.
fn once<T>(place: &OnceLock<Result<T>>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    let result = match place.get() {
        Some(kept) => kept,
        None => match make() {
            // this is about the thread that asks, and says nothing about the value
            Err(error) if matches!(error.kind(), Kind::Deadlock | Kind::Shutdown) => return Err(error),
            fresh => place.get_or_init(|| fresh),
        },
    };
    result.as_ref().map_err(Clone::clone)
}

fn borrowed(shown: &Shown<String>) -> Shown<&str> {
    Shown { shown: &shown.shown, lossy: shown.lossy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::compress::{Compressor, Method};
    use crate::codec::{Form, Serializer};
    use crate::value::Limits;

    #[test]
    fn a_none_is_seen_behind_every_serializer_and_compressor() {
        let pickle = || Serializer::Pickle(4);
        let mut kinds = vec![(pickle(), Method::Identity), (Serializer::Json, Method::Identity)];
        if cfg!(feature = "compressors") {
            kinds.extend([(pickle(), Method::Zlib), (pickle(), Method::Lzma), (Serializer::Json, Method::Gzip)]);
        }
        for (serializer, method) in kinds {
            for min_length in [0, 15] {
                let compressor = Compressor { method: method.clone(), min_length, forgives: false };
                let (serializer, limits) = (serializer.clone(), Limits::default());
                let codec = Codec { form: Form::RedisIntegers, serializer, compressor, limits };
                let facts = Arc::new(Facts { codec, alias: "default".into(), herded: false });
                let is_none = |json: &str| {
                    let stored = facts.codec.encode(Input::Json(json.as_bytes())).unwrap();
                    Value::new(stored, facts.clone()).is_plain_none()
                };
                assert!(is_none("null") && !is_none("{}") && !is_none(&format!("[{:?}]", "x".repeat(LONGEST_NONE))));
            }
        }
    }
}
