//! An operation as a value, its answer, and the one way from the first to the second on the caller's thread.

use super::{Backend, Counted, Entry, Page, Stored, StoredRef, Touched, When, Written};
use crate::error::{Error, Result};
use crate::key::MadeKey;
use crate::timeout::{Budget, Ttl};

/// An operation for [`Backend::start`].
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// [`Backend::get`].
    Get(&'a MadeKey),
    /// [`Backend::set`].
    Set {
        /// The made key.
        key: &'a MadeKey,
        /// The serialised value.
        value: StoredRef<'a>,
        /// The time to live.
        ttl: Ttl,
        /// The condition.
        when: When,
    },
    /// [`Backend::touch`].
    Touch(&'a MadeKey, Ttl),
    /// [`Backend::persist`].
    Persist(&'a MadeKey),
    /// [`Backend::ttl`].
    Ttl(&'a MadeKey),
    /// [`Backend::delete`].
    Delete(&'a MadeKey),
    /// [`Backend::has`].
    Has(&'a MadeKey),
    /// [`Backend::incr`].
    Incr(&'a MadeKey, i64),
    /// [`Backend::get_many`].
    GetMany(&'a [MadeKey]),
    /// [`Backend::set_many`].
    SetMany(&'a [Entry], Ttl),
    /// [`Backend::delete_many`].
    DeleteMany(&'a [MadeKey]),
    /// [`Backend::scan`]: the pattern, and where to begin.
    Scan(&'a [u8], u64),
    /// [`Backend::clear`].
    Clear(Option<&'a [u8]>),
    /// [`Backend::purge_expired`].
    PurgeExpired,
    /// [`Backend::ping`].
    Ping,
}

impl Request<'_> {
    /// The bytes of the values that it carries.
    pub fn value_bytes(&self) -> usize {
        match self {
            Request::Set { value, .. } => value.bytes.len(),
            Request::SetMany(entries, _) => entries.iter().map(|entry| entry.value.bytes.len()).sum(),
            _ => 0,
        }
    }
}

/// The answer to a [`Request`].
#[derive(Clone, Debug)]
pub enum Reply {
    /// To `Get`.
    Value(Option<Stored>),
    /// To `Set`.
    Written(Written),
    /// To `Touch` and `Persist`.
    Touched(Touched),
    /// To `Ttl`.
    Left(Option<Ttl>),
    /// To `Delete` and `Has`.
    Found(bool),
    /// To `Incr`.
    Counted(Counted),
    /// To `GetMany`.
    Values(Vec<Option<Stored>>),
    /// To `SetMany`.
    Failures(Vec<Option<Error>>),
    /// To `DeleteMany` and `PurgeExpired`.
    Removed(u64),
    /// To `Scan`.
    Page(Page),
    /// To `Clear` and `Ping`.
    Done,
}

/// Carries a request out on this thread.
pub fn perform<B: Backend + ?Sized>(backend: &B, request: &Request<'_>, budget: Budget) -> Result<Reply> {
    match *request {
        Request::Get(key) => backend.get(key, budget).map(Reply::Value),
        Request::Set { key, value, ttl, when } => backend.set(key, value, ttl, when, budget).map(Reply::Written),
        Request::Touch(key, ttl) => backend.touch(key, ttl, budget).map(Reply::Touched),
        Request::Persist(key) => backend.persist(key, budget).map(Reply::Touched),
        Request::Ttl(key) => backend.ttl(key, budget).map(Reply::Left),
        Request::Delete(key) => backend.delete(key, budget).map(Reply::Found),
        Request::Has(key) => backend.has(key, budget).map(Reply::Found),
        Request::Incr(key, delta) => backend.incr(key, delta, budget).map(Reply::Counted),
        Request::GetMany(keys) => backend.get_many(keys, budget).map(Reply::Values),
        Request::SetMany(entries, ttl) => backend.set_many(entries, ttl, budget).map(Reply::Failures),
        Request::DeleteMany(keys) => backend.delete_many(keys, budget).map(Reply::Removed),
        Request::Scan(pattern, at) => backend.scan(pattern, at, budget).map(Reply::Page),
        Request::Clear(prefix) => backend.clear(prefix, budget).map(|()| Reply::Done),
        Request::PurgeExpired => backend.purge_expired(budget).map(Reply::Removed),
        Request::Ping => backend.ping(budget).map(|()| Reply::Done),
    }
}
