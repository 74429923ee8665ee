//! Django's FileBasedCache (contract 1.7): one file per key, shared with Python processes.
//!
//! Synchronous operations run on the caller's thread: a get is open, read, close; a set is open, write, rename. Readers
//! never see half a file that larder wrote; a file that a Python touch is rewriting in place is read again under its
//! lock. What [`Backend::start`] begins runs in a lane, in order, off the caller's thread.
//!
//! Within one object, operations on a key are atomic. Between processes so are add, touch and the removal of expired
//! files, by the lock that Django's touch takes too (FB-7); a plain set by another process is not ordered with them, as
//! in Django.

mod census;
mod directory;
mod entry;
mod format;
mod shelf;

use std::path::PathBuf;
use std::sync::Arc;

use self::shelf::Shelf;
use super::lane::Lane;
use super::{
    Backend, Capability, Fetched, Habits, IncrBy, Job, Keys, Request, Spawner, Stored, StoredRef, Ticket, Touched,
    When, Written,
};
use crate::config::Culling;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::timeout::{Budget, Ttl};
use crate::value::Limits;

/// A cache in a directory of files.
///
/// `MAX_ENTRIES` is kept exactly by a single writer. With `k` writers (processes, or objects of one process) there can
/// be `k × max(1, MAX_ENTRIES / 16)` files more, and one for each write that is under way (FB-8).
#[derive(Clone)]
pub struct File {
    shelf: Arc<Shelf>,
    lane: Arc<Lane>,
}

impl File {
    /// The cache in `directory`, which is made if possible (FB-2); where it is not, the first use reports it.
    pub fn open(directory: PathBuf, culling: Culling, limits: Limits, spawner: Arc<dyn Spawner>) -> Self {
        let shelf = Arc::new(Shelf::new(directory, culling, limits.bytes));
        Self { shelf, lane: Arc::new(Lane::new(spawner)) }
    }
}

impl Backend for File {
    fn supports(&self, capability: Capability) -> bool {
        matches!(capability, Capability::Ttl | Capability::Persist | Capability::Keeps)
    }

    fn habits(&self) -> Habits {
        Habits {
            incr: IncrBy::GetThenSet, // O-3
            incr_version_keeps_ttl: false,
            none_has_no_version: false,
            counts_seconds: false,
            warns_about_keys: true, // K-6
        }
    }

    fn get(&self, key: &MadeKey, budget: Budget) -> Result<Option<Stored>> {
        Ok(self.shelf.fetch(key, budget)?.map(|fetched| fetched.value))
    }

    fn fetch(&self, key: &MadeKey, budget: Budget) -> Result<Option<Fetched>> {
        self.shelf.fetch(key, budget)
    }

    fn set(&self, key: &MadeKey, value: StoredRef<'_>, ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        self.shelf.set(key, value.bytes, ttl, when, budget)
    }

    fn touch(&self, key: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched> {
        self.shelf.touch(key, ttl, budget)
    }

    fn delete(&self, key: &MadeKey, _budget: Budget) -> Result<bool> {
        self.shelf.delete(key)
    }

    fn has(&self, key: &MadeKey, _budget: Budget) -> Result<bool> {
        Ok(self.shelf.expiry(key)?.is_some())
    }

    fn ttl(&self, key: &MadeKey, _budget: Budget) -> Result<Option<Ttl>> {
        self.shelf.ttl(key)
    }

    fn scan(&self, _pattern: &[u8], _at: u64, _budget: Budget) -> Result<super::Page> {
        Err(no_keys("listed"))
    }

    fn clear(&self, prefix: Option<&[u8]>, _budget: Budget) -> Result<()> {
        match prefix {
            None => self.shelf.clear(),
            Some(_) => Err(no_keys("removed by their prefix; clear the whole directory, or use one for each prefix")),
        }
    }

    fn purge_expired(&self, _budget: Budget) -> Result<u64> {
        self.shelf.purge()
    }

    fn ping(&self, _budget: Budget) -> Result<()> {
        self.shelf.check()
    }

    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        self.lane.start(self, &request, budget, ticket);
    }

    fn start_job(&self, _keys: Keys<'_>, budget: Budget, job: Job) {
        self.lane.start_job(budget, job);
    }
}

fn no_keys(done: &str) -> Error {
    let reason = format!("the names of cache files are hashes of the keys, so keys cannot be {done}");
    Error::new(Kind::Unsupported, reason)
}

/// What the fuzz target calls.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    use super::format::{Header, push_header};
    use crate::zlib;

    /// Reads a cache file. What was read is within the limit, and an expiry comes back when it is written again.
    pub fn entry(file: &[u8], limit: usize) {
        let Ok(Header::Expiry(expiry, length)) = Header::read(file) else { return };
        let body = file.get(length..).unwrap_or_default();
        match (zlib::value(body, limit), zlib::length(body, limit)) {
            (Ok(value), Ok(length)) => assert!(value.len() <= limit && length <= body.len()),
            (value, length) => assert!(value.err() == length.err()),
        }
        let mut head = Vec::new();
        push_header(&mut head, expiry);
        match Header::read(&head) {
            Ok(Header::Expiry(again, _)) => assert!(again.map(f64::to_bits) == expiry.map(f64::to_bits)),
            other => panic!("{other:?}"),
        }
    }
}
