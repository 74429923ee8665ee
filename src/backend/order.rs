//! A request that owns what it needs, to outlive the call that made it.

use super::{Entry, LockAction, Request, Stored, When};
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::timeout::Ttl;

/// A [`Request`] of one's own.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "as in Request")]
pub enum Order {
    Get(MadeKey),
    Set { key: MadeKey, value: Stored, ttl: Ttl, when: When },
    Touch(MadeKey, Ttl),
    Persist(MadeKey),
    Ttl(MadeKey),
    Delete(MadeKey),
    Has(MadeKey),
    Incr(MadeKey, i64),
    ExpireAt(MadeKey, i64),
    Lock { key: MadeKey, token: Box<[u8]>, action: LockAction },
    GetMany(Vec<MadeKey>),
    Fetch(MadeKey),
    FetchMany(Vec<MadeKey>),
    SetMany(Vec<Entry>, Ttl),
    DeleteMany(Vec<MadeKey>),
    Scan(Vec<u8>, u64),
    Clear(Option<Vec<u8>>),
    PurgeExpired,
    Ping,
}

impl Order {
    /// Copies a request; a value's size comes from outside.
    pub fn copy(request: &Request<'_>) -> Result<Self> {
        Ok(match *request {
            Request::Get(key) => Self::Get(key.clone()),
            Request::Set { key, value, ttl, when } => {
                let mut copy = Vec::new();
                let reserved = copy.try_reserve_exact(value.bytes.len());
                reserved.map_err(|_| Error::new(Kind::Memory, "not enough memory for the value"))?;
                copy.extend_from_slice(value.bytes);
                Self::Set { key: key.clone(), value: Stored { bytes: copy.into(), flags: value.flags }, ttl, when }
            }
            Request::Touch(key, ttl) => Self::Touch(key.clone(), ttl),
            Request::Persist(key) => Self::Persist(key.clone()),
            Request::Ttl(key) => Self::Ttl(key.clone()),
            Request::Delete(key) => Self::Delete(key.clone()),
            Request::Has(key) => Self::Has(key.clone()),
            Request::Incr(key, delta) => Self::Incr(key.clone(), delta),
            Request::ExpireAt(key, at) => Self::ExpireAt(key.clone(), at),
            Request::Lock { key, token, action } => Self::Lock { key: key.clone(), token: token.into(), action },
            Request::GetMany(keys) => Self::GetMany(keys.to_vec()),
            Request::Fetch(key) => Self::Fetch(key.clone()),
            Request::FetchMany(keys) => Self::FetchMany(keys.to_vec()),
            Request::SetMany(entries, ttl) => Self::SetMany(entries.to_vec(), ttl),
            Request::DeleteMany(keys) => Self::DeleteMany(keys.to_vec()),
            Request::Scan(pattern, at) => Self::Scan(pattern.to_vec(), at),
            Request::Clear(prefix) => Self::Clear(prefix.map(<[u8]>::to_vec)),
            Request::PurgeExpired => Self::PurgeExpired,
            Request::Ping => Self::Ping,
        })
    }

    /// The request again.
    pub fn request(&self) -> Request<'_> {
        match self {
            Self::Get(key) => Request::Get(key),
            Self::Set { key, value, ttl, when } => Request::Set { key, value: value.as_ref(), ttl: *ttl, when: *when },
            Self::Touch(key, ttl) => Request::Touch(key, *ttl),
            Self::Persist(key) => Request::Persist(key),
            Self::Ttl(key) => Request::Ttl(key),
            Self::Delete(key) => Request::Delete(key),
            Self::Has(key) => Request::Has(key),
            Self::Incr(key, delta) => Request::Incr(key, *delta),
            Self::ExpireAt(key, at) => Request::ExpireAt(key, *at),
            Self::Lock { key, token, action } => Request::Lock { key, token, action: *action },
            Self::GetMany(keys) => Request::GetMany(keys),
            Self::Fetch(key) => Request::Fetch(key),
            Self::FetchMany(keys) => Request::FetchMany(keys),
            Self::SetMany(entries, ttl) => Request::SetMany(entries, *ttl),
            Self::DeleteMany(keys) => Request::DeleteMany(keys),
            Self::Scan(pattern, at) => Request::Scan(pattern, *at),
            Self::Clear(prefix) => Request::Clear(prefix.as_deref()),
            Self::PurgeExpired => Request::PurgeExpired,
            Self::Ping => Request::Ping,
        }
    }
}
