//! An operation as a value, its answer, and the one way from the first to the second on the caller's thread.

use super::{Backend, Counted, Entry, Fetched, LockAction, Page, Stored, StoredRef, Touched, When, Written};
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
    /// [`Backend::expire_at`].
    ExpireAt(&'a MadeKey, i64),
    /// [`Backend::lock`].
    Lock {
        /// The made key.
        key: &'a MadeKey,
        /// The owner's token.
        token: &'a [u8],
        /// What is to be done.
        action: LockAction,
    },
    /// [`Backend::get_many`].
    GetMany(&'a [MadeKey]),
    /// [`Backend::fetch`].
    Fetch(&'a MadeKey),
    /// [`Backend::fetch_many`].
    FetchMany(&'a [MadeKey]),
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

impl<'a> Request<'a> {
    /// Its key, if it is about one.
    pub fn key(&self) -> Option<&'a MadeKey> {
        match *self {
            Self::Get(key)
            | Self::Fetch(key)
            | Self::Set { key, .. }
            | Self::Touch(key, _)
            | Self::Persist(key)
            | Self::Ttl(key)
            | Self::Delete(key)
            | Self::Has(key)
            | Self::Incr(key, _)
            | Self::ExpireAt(key, _)
            | Self::Lock { key, .. } => Some(key),
            _ => None,
        }
    }

    /// The same about another key, where it is about one.
    pub fn on<'b>(&self, key: &'b MadeKey) -> Request<'b>
    where
        'a: 'b,
    {
        match *self {
            Self::Get(_) => Request::Get(key),
            Self::Fetch(_) => Request::Fetch(key),
            Self::Set { value, ttl, when, .. } => Request::Set { key, value, ttl, when },
            Self::Touch(_, ttl) => Request::Touch(key, ttl),
            Self::Persist(_) => Request::Persist(key),
            Self::Ttl(_) => Request::Ttl(key),
            Self::Delete(_) => Request::Delete(key),
            Self::Has(_) => Request::Has(key),
            Self::Incr(_, delta) => Request::Incr(key, delta),
            Self::ExpireAt(_, at) => Request::ExpireAt(key, at),
            Self::Lock { token, action, .. } => Request::Lock { key, token, action },
            other => other,
        }
    }

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
    /// To `Touch`, `Persist` and `ExpireAt`.
    Touched(Touched),
    /// To `Ttl`.
    Left(Option<Ttl>),
    /// To `Delete`, `Has` and `Lock`.
    Found(bool),
    /// To `Incr`.
    Counted(Counted),
    /// To `GetMany`.
    Values(Vec<Option<Stored>>),
    /// To `Fetch`.
    Fetched(Option<Fetched>),
    /// To `FetchMany`.
    FetchedMany(Vec<Option<Fetched>>),
    /// To `SetMany`.
    Failures(Vec<Option<Error>>),
    /// To `DeleteMany` and `PurgeExpired`.
    Removed(u64),
    /// To `Scan`.
    Page(Page),
    /// To `Clear` and `Ping`.
    Done,
    /// From several stores in order: for each key the value, and which store had it.
    Levels(Vec<Option<Leveled>>),
}

/// A serialised value that one of several stores had.
#[derive(Clone, Debug)]
pub struct Leveled {
    /// The value.
    pub stored: Stored,
    /// In whose form it is.
    pub form_of: usize,
    /// Which store had it; `None`: it was loaded.
    pub level: Option<usize>,
    /// It is over, and is being loaded anew.
    pub stale: bool,
    /// Whoever got it has begun to have it loaded anew, and has not waited for that.
    pub refreshing: bool,
}

/// An answer to another request.
#[cfg(feature = "net")]
pub(crate) fn unexpected() -> Error {
    Error::new(crate::error::Kind::Panic, "the backend answered something that does not belong to the request")
}

/// The synchronous operations of a [`Backend`] that has them all behind one method of its own,
/// `fn call(&self, &Request, Budget) -> Result<Reply>`.
#[cfg(feature = "net")]
macro_rules! by_call {
    () => {
        $crate::backend::request::by_call! {
            fn get(key: &MadeKey) -> Option<Stored> { Request::Get(key) => Reply::Value }
            fn set(key: &MadeKey, value: StoredRef<'_>, ttl: Ttl, when: When) -> Written {
                Request::Set { key, value, ttl, when } => Reply::Written
            }
            fn touch(key: &MadeKey, ttl: Ttl) -> Touched { Request::Touch(key, ttl) => Reply::Touched }
            fn persist(key: &MadeKey) -> Touched { Request::Persist(key) => Reply::Touched }
            fn ttl(key: &MadeKey) -> Option<Ttl> { Request::Ttl(key) => Reply::Left }
            fn delete(key: &MadeKey) -> bool { Request::Delete(key) => Reply::Found }
            fn has(key: &MadeKey) -> bool { Request::Has(key) => Reply::Found }
            fn incr(key: &MadeKey, delta: i64) -> Counted { Request::Incr(key, delta) => Reply::Counted }
            fn expire_at(key: &MadeKey, at_ms: i64) -> Touched { Request::ExpireAt(key, at_ms) => Reply::Touched }
            fn lock(key: &MadeKey, token: &[u8], action: $crate::backend::LockAction) -> bool {
                Request::Lock { key, token, action } => Reply::Found
            }
            fn get_many(keys: &[MadeKey]) -> Vec<Option<Stored>> { Request::GetMany(keys) => Reply::Values }
            fn fetch(key: &MadeKey) -> Option<$crate::backend::Fetched> { Request::Fetch(key) => Reply::Fetched }
            fn fetch_many(keys: &[MadeKey]) -> Vec<Option<$crate::backend::Fetched>> {
                Request::FetchMany(keys) => Reply::FetchedMany
            }
            fn set_many(entries: &[Entry], ttl: Ttl) -> Vec<Option<Error>> {
                Request::SetMany(entries, ttl) => Reply::Failures
            }
            fn delete_many(keys: &[MadeKey]) -> u64 { Request::DeleteMany(keys) => Reply::Removed }
            fn scan(pattern: &[u8], at: u64) -> Page { Request::Scan(pattern, at) => Reply::Page }
            fn purge_expired() -> u64 { Request::PurgeExpired => Reply::Removed }
        }

        fn clear(&self, prefix: Option<&[u8]>, budget: Budget) -> Result<()> {
            self.call(&Request::Clear(prefix), budget).map(drop)
        }

        fn ping(&self, budget: Budget) -> Result<()> {
            self.call(&Request::Ping, budget).map(drop)
        }
    };
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty { $request:expr => $reply:path })*) => {$(
        fn $name(&self, $($argument: $type,)* budget: Budget) -> Result<$answer> {
            match self.call(&$request, budget)? {
                $reply(answer) => Ok(answer),
                _ => Err($crate::backend::request::unexpected()),
            }
        }
    )*};
}
#[cfg(feature = "net")]
pub(crate) use by_call;

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
        Request::ExpireAt(key, at) => backend.expire_at(key, at, budget).map(Reply::Touched),
        Request::Lock { key, token, action } => backend.lock(key, token, action, budget).map(Reply::Found),
        Request::GetMany(keys) => backend.get_many(keys, budget).map(Reply::Values),
        Request::Fetch(key) => backend.fetch(key, budget).map(Reply::Fetched),
        Request::FetchMany(keys) => backend.fetch_many(keys, budget).map(Reply::FetchedMany),
        Request::SetMany(entries, ttl) => backend.set_many(entries, ttl, budget).map(Reply::Failures),
        Request::DeleteMany(keys) => backend.delete_many(keys, budget).map(Reply::Removed),
        Request::Scan(pattern, at) => backend.scan(pattern, at, budget).map(Reply::Page),
        Request::Clear(prefix) => backend.clear(prefix, budget).map(|()| Reply::Done),
        Request::PurgeExpired => backend.purge_expired(budget).map(Reply::Removed),
        Request::Ping => backend.ping(budget).map(|()| Reply::Done),
    }
}
