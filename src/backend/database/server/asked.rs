//! What is asked of a server, ready to be sent: keys as text, values in Base64 (DB-4).

use super::super::row;
use crate::backend::fence::{self, Scope};
use crate::backend::{Entry, Request, StoredRef, When, left_until, unsupported};
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::timeout::Ttl;

/// The longest key that the column takes, in characters (K-12).
const LONGEST_KEY: usize = 255;

/// An operation of one's own.
#[derive(Debug)]
pub enum Asked {
    /// The value of a key.
    Get(String),
    /// With what is left of its time to live.
    Fetch(String),
    /// A write.
    Set(Fresh, Ttl, When),
    /// Another time to live.
    Touch(String, Ttl),
    /// No end any more.
    Persist(String),
    /// What is left of a time to live.
    Ttl(String),
    /// A removal.
    Delete(String),
    /// Whether a key is there.
    Has(String),
    /// The values of several keys.
    GetMany(Vec<String>),
    /// With what is left of their times to live.
    FetchMany(Vec<String>),
    /// Several writes, and what is wrong with those that are left out.
    SetMany(Vec<Fresh>, Ttl, Vec<Option<Error>>),
    /// Several removals.
    DeleteMany(Vec<String>),
    /// A page of the keys that match a pattern.
    Scan(Vec<u8>, u64),
    /// A removal of all that begins so, or of everything.
    Clear(Option<String>),
    /// A removal of what expired.
    PurgeExpired,
    /// Whether the server is there.
    Ping,
    /// The table and its index.
    CreateTable,
}

/// A row to be written.
#[derive(Debug, PartialEq, Eq)]
pub struct Fresh {
    /// The key.
    pub key: String,
    /// The value, as the column has it.
    pub text: String,
}

impl Asked {
    /// Copies a request.
    pub fn copy(request: &Request<'_>) -> Result<Self> {
        Ok(match *request {
            Request::Get(key) => Self::Get(text(key)?),
            Request::Set { key, value, ttl, when } => Self::Set(fresh(key, value)?, ttl, when),
            Request::Touch(key, ttl) => Self::Touch(text(key)?, ttl),
            Request::Persist(key) => Self::Persist(text(key)?),
            Request::Ttl(key) => Self::Ttl(text(key)?),
            Request::Delete(key) => Self::Delete(text(key)?),
            Request::Has(key) => Self::Has(text(key)?),
            Request::Incr(..) => {
                return Err(Error::new(Kind::Unsupported, "a database cache does not count in the server"));
            }
            Request::ExpireAt(key, at) => Self::Touch(text(key)?, left_until(at)),
            Request::Lock { .. } => return Err(unsupported("holding locks")),
            Request::GetMany(keys) => Self::GetMany(texts(keys)?),
            Request::Fetch(key) => Self::Fetch(text(key)?),
            Request::FetchMany(keys) => Self::FetchMany(texts(keys)?),
            Request::SetMany(entries, ttl) => {
                let (rows, failures) = rows(entries)?;
                Self::SetMany(rows, ttl, failures)
            }
            Request::DeleteMany(keys) => Self::DeleteMany(texts(keys)?),
            Request::Scan(pattern, at) => Self::Scan(pattern.to_vec(), at),
            Request::Clear(None) => Self::Clear(None),
            Request::Clear(Some(prefix)) => Self::Clear(Some(utf8(prefix)?)),
            Request::PurgeExpired => Self::PurgeExpired,
            Request::Ping => Self::Ping,
        })
    }

    /// Whether it changes rows.
    pub fn writes(&self) -> bool {
        !matches!(
            self,
            Self::Get(_)
                | Self::Fetch(_)
                | Self::Ttl(_)
                | Self::Has(_)
                | Self::GetMany(_)
                | Self::FetchMany(_)
                | Self::Scan(..)
                | Self::Ping
        )
    }

    /// The bytes of the values that it carries.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Set(row, ..) => row.text.len(),
            Self::SetMany(rows, ..) => rows.iter().map(|row| row.text.len()).sum(),
            _ => 0,
        }
    }

    /// What it touches.
    pub fn scope(&self) -> Scope {
        let number = |key: &String| fence::number(key.as_bytes());
        match self {
            Self::Get(key)
            | Self::Fetch(key)
            | Self::Touch(key, _)
            | Self::Persist(key)
            | Self::Ttl(key)
            | Self::Delete(key)
            | Self::Has(key) => Scope::of([number(key)]),
            Self::Set(row, ..) => Scope::of([number(&row.key)]),
            Self::GetMany(keys) | Self::FetchMany(keys) | Self::DeleteMany(keys) => Scope::of(keys.iter().map(number)),
            Self::SetMany(rows, ..) => Scope::of(rows.iter().map(|row| number(&row.key))),
            Self::Clear(_) => Scope::Everything,
            Self::Scan(..) | Self::PurgeExpired | Self::Ping | Self::CreateTable => Scope::Nothing,
        }
    }
}

fn text(key: &MadeKey) -> Result<String> {
    utf8(key.as_bytes())
}

fn texts(keys: &[MadeKey]) -> Result<Vec<String>> {
    keys.iter().map(text).collect()
}

fn utf8(bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned).map_err(|_| Error::new(Kind::Invalid, "a database takes only keys that are UTF-8"))
}

fn fresh(key: &MadeKey, value: StoredRef<'_>) -> Result<Fresh> {
    let key = text(key)?;
    if key.chars().nth(LONGEST_KEY).is_some() {
        return Err(Error::new(Kind::TooBig, super::LONG_KEY)); // K-12: said, not swallowed (DB-9)
    }
    Ok(Fresh { key, text: row::encode(value.bytes)? })
}

/// The rows to write: of a key that comes twice the last, in the order of the keys, so that two who write the same rows
/// don't wait for each other.
fn rows(entries: &[Entry]) -> Result<(Vec<Fresh>, Vec<Option<Error>>)> {
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for entry in entries {
        match fresh(&entry.key, entry.value.as_ref()) {
            Ok(row) => {
                rows.push(row);
                failures.push(None);
            }
            Err(error) if error.kind() == Kind::TooBig => failures.push(Some(error)),
            Err(error) => return Err(error),
        }
    }
    rows.sort_by(|one, other| one.key.cmp(&other.key)); // stable: of equal ones the last is last
    rows.reverse();
    rows.dedup_by(|one, kept| one.key == kept.key);
    rows.reverse();
    Ok((rows, failures))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str) -> Entry {
        Entry { key: MadeKey::as_is(key), value: value.as_bytes().to_vec().into() }
    }

    #[test]
    fn of_a_key_that_comes_twice_the_last_value_is_written() {
        let long = "é".repeat(256);
        let entries = [entry("b", "1"), entry("a", "2"), entry(&long, "3"), entry("b", "4"), entry("c", "5")];
        let (rows, failures) = rows(&entries).unwrap();
        let rows: Vec<_> = rows.iter().map(|row| (row.key.as_str(), row.text.as_str())).collect();
        assert_eq!(rows, [("a", "Mg=="), ("b", "NA=="), ("c", "NQ==")]);
        let failed: Vec<_> = failures.iter().map(Option::is_some).collect();
        assert_eq!(failed, [false, false, true, false, false]); // K-12
        assert!(fresh(&MadeKey::as_is(&"é".repeat(255)), b"x".into()).is_ok());
    }
}
