//! Made keys: prefix, version and key become the key of the server (contract: K rules).

use std::sync::Arc;

use crate::error::Result;
use crate::text;

/// The longest key that memcached takes (Django's MEMCACHE_MAX_KEY_LENGTH), in code points where Django counts.
const LONGEST_FOR_MEMCACHED: usize = 250;

/// The function that makes keys.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum KeyFunction {
    /// Django's own, `prefix:version:key` (K-1).
    #[default]
    Default,
    /// The key as it is (K-4).
    AsIs,
    /// What a program has plugged in under this name (P-6).
    Own(Arc<str>),
}

/// The function that finds the user's key in a made one (DR-2).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum ReverseKey {
    /// What was put before it is taken off.
    #[default]
    Exact,
    /// django-redis's own: what is behind the second colon.
    SecondColon,
    /// That of the key function which a program has plugged in under this name.
    Own(Arc<str>),
}

/// A key function that a program has plugged in. Called on the thread that begins an operation.
pub trait MakeKey: Send + Sync {
    /// The made key, in UTF-8.
    fn make(&self, key: &str, prefix: &str, version: &str) -> Result<Vec<u8>>;

    /// Whether there is a way back.
    fn has_reverse(&self) -> bool;

    /// The user's key in a made one; `None` for one that this function has not made.
    fn reverse(&self, made: &[u8]) -> Result<Option<Vec<u8>>>;
}

/// How an alias makes its keys.
#[derive(Clone, Debug, Default)]
pub struct KeyRules {
    /// KEY_PREFIX.
    pub prefix: String,
    /// VERSION, as text (P-5).
    pub version: String,
    /// KEY_FUNCTION.
    pub function: KeyFunction,
    /// REVERSE_KEY_FUNCTION.
    pub reverse: ReverseKey,
    /// Whether nothing is taken for not given: version 0 is the alias's own, and the empty key is no key to be made
    /// (django-valkey: K-3).
    pub nothing_is_default: bool,
}

/// A made key. Short ones (nearly all) live on the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeKey(Form);

/// The longest key that needs no allocation; with its length it fills one and a half cache lines.
const SHORT: usize = 95;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// The length, and that many bytes; the rest is zero.
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

impl MadeKey {
    /// A key that is final already.
    pub fn as_is(key: &str) -> Self {
        Self::joined(b"", key)
    }

    /// A key of these bytes.
    pub fn of_bytes(key: &[u8]) -> Self {
        Self::of(b"", key)
    }

    /// `head`, which ends with the colon behind the version, and a user's key.
    pub fn joined(head: &[u8], key: &str) -> Self {
        Self::of(head, key.as_bytes())
    }

    /// The same key behind a prefix.
    #[must_use]
    pub fn behind(&self, prefix: &[u8]) -> Self {
        Self::of(prefix, self.as_bytes())
    }

    fn of(head: &[u8], key: &[u8]) -> Self {
        let len = head.len() + key.len();
        let mut short = [0; SHORT];
        if let (Ok(short_len), Some((start, rest))) = (u8::try_from(len), short.split_at_mut_checked(head.len()))
            && let Some(place) = rest.get_mut(..key.len())
        {
            start.copy_from_slice(head);
            place.copy_from_slice(key);
            return Self(Form::Short(short_len, short));
        }
        Self(Form::Long([head, key].concat().into()))
    }

    /// The key's UTF-8 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Form::Long(bytes) => bytes,
        }
    }
}

impl KeyRules {
    /// Makes the key of a server from a user's key (K-1, K-3): `version` replaces the alias's own.
    pub fn make(&self, key: &str, version: Option<&str>) -> MadeKey {
        if self.nothing_is_default && key.is_empty() {
            return MadeKey::as_is(key);
        }
        MadeKey::joined(&self.head(version), key)
    }

    /// The version of a call's keys: the alias's own where the call names none (K-3).
    pub fn version<'a>(&'a self, version: Option<&'a str>) -> &'a str {
        let named = version.filter(|version| !(self.nothing_is_default && matches!(*version, "0" | "")));
        named.unwrap_or(&self.version)
    }

    /// What every key made under `version` begins with; empty where keys are used as they are, or made by a function
    /// that is plugged in.
    pub fn head(&self, version: Option<&str>) -> Vec<u8> {
        match self.function {
            KeyFunction::Default => format!("{}:{}:", self.prefix, self.version(version)).into_bytes(),
            KeyFunction::AsIs | KeyFunction::Own(_) => Vec::new(),
        }
    }

    /// The user's key inside a made key: exactly what [`Self::make`] put before it under `version` is taken off. `None`
    /// where the made key does not begin with that, so it is another alias's or another version's.
    ///
    /// [`ReverseKey::SecondColon`] counts colons instead, and so gives wrong keys where KEY_PREFIX has one (DR-2); this
    /// does not.
    pub fn user_key<'a>(&self, made: &'a [u8], version: Option<&str>) -> Option<&'a [u8]> {
        made.strip_prefix(self.head(version).as_slice())
    }

    /// What django-redis's `default_reverse_key` finds in a made key: what is behind the second colon. `None` where
    /// there is none, where Python raises an `IndexError`.
    pub fn reversed<'a>(&self, made: &'a [u8]) -> Option<&'a [u8]> {
        made.splitn(3, |byte| *byte == b':').nth(2)
    }

    /// The glob pattern of a server for a pattern over user keys: wild cards in prefix and version are taken literally,
    /// those of the user's pattern stay (DR-26).
    pub fn pattern(&self, pattern: &str, version: Option<&str>) -> Vec<u8> {
        match self.function {
            KeyFunction::Default => {
                format!("{}:{}:{pattern}", escaped(&self.prefix), escaped(self.version(version))).into_bytes()
            }
            KeyFunction::AsIs | KeyFunction::Own(_) => pattern.as_bytes().to_vec(),
        }
    }
}

/// A text whose wild cards stand for themselves in a pattern (DR-26).
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '*' | '?' | '[' => escaped.extend(['[', character, ']']),
            '\\' => escaped.push_str(r"\\"), // django-redis lets it escape what follows
            _ => escaped.push(character),
        }
    }
    escaped
}

/// What Django warns about a made key: nothing, or one or both of its two texts (K-5). Memcached would refuse such a
/// key; the other backends take it (K-6).
///
/// Lengths count code points, as Python does. The key stands in the texts as Python's `repr` shows it ([`text::repr`]
/// says for which version of Unicode).
pub fn key_warnings(made_key: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    if made_key.chars().nth(LONGEST_FOR_MEMCACHED).is_some() {
        warnings.push(format!(
            "Cache key will cause errors if used with memcached: {} (longer than {LONGEST_FOR_MEMCACHED})",
            text::repr(made_key)
        ));
    }
    if made_key.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        warnings.push(format!(
            "Cache key contains characters that will cause errors if used with memcached: {}",
            text::repr(made_key)
        ));
    }
    warnings
}
