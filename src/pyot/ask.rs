//! What a caller asks of a pipeline, and what it is told.

use std::fmt;
use std::sync::Arc;

use super::load::Loader;
use super::token::{Token, method_of};
use crate::backend::{Leveled, Written};
use crate::codec::Input;
use crate::error::{Error, Kind, Result};
use crate::store::{Scope, Value};
use crate::timeout::{Budget, TtlChoice};
use crate::value::Number;

/// What one call asks for besides its arguments.
#[derive(Clone, Default)]
pub struct Ask {
    /// Another total time than the usual one: that is the times of all stores' aliases together, and where something may
    /// be loaded also the time for a load.
    pub budget: Option<Budget>,
    /// Another last source than the pipeline's.
    pub loader: Option<Arc<dyn Loader>>,
    /// Only the stores are asked.
    pub no_load: bool,
    /// Another version of the keys than the aliases' (K-3).
    pub version: Option<Arc<str>>,
    /// The tokens are made keys already.
    pub final_key: bool,
}

/// An operation on a pipeline, as a caller asks for it.
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "the fields are what the operations are about")]
pub enum Operation<'a> {
    /// The value of a token: the stores in order, then the loader (PY-P1).
    Get { token: TokenRef<'a> },
    /// The values of several tokens: one batch to each store.
    GetMany { tokens: &'a [TokenRef<'a>] },
    /// Writes to all stores, each with its own time to live (PY-P2).
    Set { token: TokenRef<'a>, value: Input<'a> },
    /// Removes from all stores (PY-P3); whether any had it.
    Delete { token: TokenRef<'a> },
    /// Whether a store has it (PY-P3).
    Contains { token: TokenRef<'a> },
    /// Clears all stores, within a scope.
    Clear { scope: Scope },
    /// Removes what has expired from stores that do not do it themselves; how much.
    Expire,
    /// `larder_get_or_load`: a value under its own time to live.
    GetOrLoad { key: &'a str, ttl: TtlChoice },
}

/// A token: its text, as the pipeline's style has it, and where it is known what it was made of.
#[derive(Clone, Copy)]
pub struct TokenRef<'a> {
    text: &'a str,
    token: Option<&'a Arc<Token>>,
}

impl<'a> From<&'a str> for TokenRef<'a> {
    /// A ready-made token.
    fn from(text: &'a str) -> Self {
        Self { text, token: None }
    }
}

impl<'a> TokenRef<'a> {
    /// A token, and its text in the style of the pipeline: [`Token::text_in`] with `Pipeline::style`.
    pub fn of(token: &'a Arc<Token>, text: &'a str) -> Self {
        Self { text, token: Some(token) }
    }

    /// The text: what it is stored under.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Which of the known endpoints it calls.
    pub(super) fn method<'b>(&self, model: &str, known: impl Iterator<Item = &'b str>) -> Option<&'b str> {
        match self.token {
            Some(token) => token.method_in(model, known),
            None => method_of(self.text, model, known),
        }
    }

    /// Whether its text is of version 6, which has slashes (or may be).
    pub(super) fn is_path(&self, model: &str) -> bool {
        self.token.is_some() || self.text.as_bytes().get(model.len()) == Some(&b'/')
    }

    /// What stands before the parameters in version 3.
    pub(super) fn before_brace(&self) -> &'a [u8] {
        let text = self.text.as_bytes();
        memchr::memchr(b'{', text).and_then(|end| text.get(..end)).unwrap_or_default()
    }

    /// What records say of it (PY-L): `<NA1 summoner_v4_by_name: Hide on bush>`, of a ready-made one `<`its text`>`.
    pub(super) fn show(&self, f: &mut impl fmt::Write) -> fmt::Result {
        match self.token {
            Some(token) => f.write_str(&token.record()),
            None => write!(f, "<{}>", self.text),
        }
    }

    pub(super) fn keep(self) -> OwnedToken {
        OwnedToken { text: self.text.into(), token: self.token.cloned() }
    }
}

/// The same, kept.
#[derive(Clone)]
pub(super) struct OwnedToken {
    pub text: Arc<str>,
    token: Option<Arc<Token>>,
}

impl OwnedToken {
    /// What it was made of, where that is known.
    pub fn made(&self) -> Option<Arc<Token>> {
        self.token.clone()
    }

    pub fn as_ref(&self) -> TokenRef<'_> {
        TokenRef { text: &self.text, token: self.token.as_ref() }
    }
}

/// Which operation it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the operations' names")]
pub enum Asked {
    Get,
    GetMany,
    Set,
    Delete,
    Contains,
    Clear,
    Expire,
    GetOrLoad,
}

impl Asked {
    /// The operation's name, as messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::GetMany => "get_many",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::Contains => "contains",
            Self::Clear => "clear",
            Self::Expire => "expire",
            Self::GetOrLoad => "get_or_load",
        }
    }
}

/// A value and where it was.
pub struct Found {
    /// The value.
    pub value: Value,
    /// Which store had it, from 0; `None`: the loader.
    pub level: Option<usize>,
    /// It is over, and is being loaded anew (grace).
    pub stale: bool,
    /// This call has begun to have it loaded anew, and has not waited for that (grace, early).
    pub refreshing: bool,
    /// Which store's form it is in: that of the store that had it, or where it was loaded of one that could write it.
    pub form_of: usize,
}

impl Found {
    /// The same, for an answer.
    pub(super) fn leveled(&self) -> Leveled {
        let Self { form_of, level, stale, refreshing, .. } = *self;
        Leveled { stored: self.value.kept(), form_of, level, stale, refreshing }
    }
}

/// How an operation ended.
pub enum Outcome {
    /// A get or get_or_load.
    Value(Option<Found>),
    /// A get_many.
    Values(Vec<Option<Found>>),
    /// A set. `NotKept`: no store of the pipeline keeps this endpoint (PY-S4).
    Written(Written),
    /// A delete or contains.
    Found(bool),
    /// An expire.
    Removed(u64),
    /// A clear.
    Done,
}

/// What became of a load.
#[derive(Clone)]
pub enum Loaded {
    /// A value, in a form of [`Input`], and where the loader gives one a time to live of its own: for a pipeline's stores
    /// one that their own for the endpoint bound, for `get_or_load` one instead of the caller's.
    Value(Arc<OwnedInput>, Option<TtlChoice>),
    /// There is none, which is final (PY-P1).
    NotFound,
    /// It failed.
    Failed(Error),
}

/// An [`Input`] that owns its bytes.
pub enum OwnedInput {
    /// Python `bytes`.
    Bytes(Vec<u8>),
    /// Python `str`.
    Text(String),
    /// JSON text.
    Json(Vec<u8>),
    /// A number.
    Number(Number),
    /// Serialised already, as the first store has it.
    Stored(Vec<u8>),
    /// In the first store's stored form, with its flags.
    Ready(crate::backend::Stored),
}

impl OwnedInput {
    /// A copy.
    ///
    /// # Errors
    ///
    /// [`Kind::Memory`] where there is none for it.
    pub fn keep(input: Input<'_>) -> Result<Self> {
        Ok(match input {
            Input::Bytes(bytes) => Self::Bytes(copied(bytes)?),
            Input::Text(text) => {
                let mut kept = String::new();
                kept.try_reserve_exact(text.len()).map_err(|_| no_memory(text.len()))?;
                kept.push_str(text);
                Self::Text(kept)
            }
            Input::Json(text) => Self::Json(copied(text)?),
            Input::Number(number) => Self::Number(number.clone()),
            Input::Stored(bytes) => Self::Stored(copied(bytes)?),
            Input::Ready(stored) => {
                Self::Ready(crate::backend::Stored { bytes: copied(stored.bytes)?.into(), flags: stored.flags })
            }
        })
    }

    /// The same, borrowed.
    pub fn as_input(&self) -> Input<'_> {
        match self {
            Self::Bytes(bytes) => Input::Bytes(bytes),
            Self::Text(text) => Input::Text(text),
            Self::Json(text) => Input::Json(text),
            Self::Number(number) => Input::Number(number),
            Self::Stored(bytes) => Input::Stored(bytes),
            Self::Ready(stored) => Input::Ready(stored.as_ref()),
        }
    }
}

fn copied(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut kept = Vec::new();
    kept.try_reserve_exact(bytes.len()).map_err(|_| no_memory(bytes.len()))?;
    kept.extend_from_slice(bytes);
    Ok(kept)
}

fn no_memory(size: usize) -> Error {
    Error::new(Kind::Memory, format!("no memory for a value of {size} bytes"))
}
