//! The synchronous operations, over the pool.

use std::sync::Arc;

use super::resp::Frame;
use super::{ENTRIES_AT_ONCE, KEYS_AT_ONCE, REMOVED_AT_ONCE, Resp, command, expiry, fetch, lock, pattern, transaction};
use crate::backend::net::{Nature, Pool, Reading};
use crate::backend::sweep::partly;
use crate::backend::{
    Backend, Capability, Counted, Entry, Fetched, Habits, IncrBy, LockAction, Page, Request, Stored, StoredRef,
    Touched, When, Written,
};
use crate::config::Flavor;
use crate::error::{Error, Result};
use crate::key::MadeKey;
use crate::timeout::{Budget, Deadline, Ttl};

/// The operations of one cache, for callers that wait. Jobs share it.
#[derive(Clone)]
pub(super) struct Calls {
    /// Whose rules.
    pub(super) flavor: Flavor,
    /// The connections.
    pub(super) pool: Arc<Pool<Resp>>,
}

impl Calls {
    fn read<R: Reading<Frame = Frame>>(&self, budget: Budget, write: impl Fn(&mut Vec<u8>) -> R) -> Result<R::Answer> {
        self.pool.run(Nature::Reads, &budget.start(), |out| Ok(write(out)))
    }

    fn write_once<R: Reading<Frame = Frame>>(
        &self,
        budget: Budget,
        write: impl Fn(&mut Vec<u8>) -> Result<R>,
    ) -> Result<R::Answer> {
        self.pool.run(Nature::WritesOnce, &budget.start(), write)
    }

    fn page(&self, pattern: &[u8], at: u64, deadline: &Deadline) -> Result<Page> {
        self.pool.run(Nature::Reads, deadline, |out| Ok(command::scan(out, pattern, at)))
    }

    /// Removes the keys that match a pattern and begin with `prefix`; how many were removed. SCAN shows every key that is
    /// there all the time; it and UNLINK take short steps, so that others' commands come in between.
    fn sweep(&self, pattern: &[u8], prefix: &[u8], deadline: &Deadline) -> Result<u64> {
        let (mut at, mut removed) = (0, 0);
        loop {
            let page = self.page(pattern, at, deadline).map_err(|error| partly(error, removed))?;
            // The pattern already says it; but what is deleted here must be ours whatever the server answers.
            let keys: Vec<_> = page.keys.into_iter().filter(|key| key.starts_with(prefix)).collect();
            for some in keys.chunks(REMOVED_AT_ONCE) {
                let gone = self.pool.run(Nature::WritesAgain, deadline, |out| Ok(command::unlink(out, some)));
                removed += gone.map_err(|error| partly(error, removed))?;
            }
            match page.next {
                Some(next) => at = next,
                None => return Ok(removed),
            }
        }
    }
}

/// What may be done with a request when its connection breaks.
pub(super) fn nature(request: &Request<'_>) -> Nature {
    match *request {
        Request::Get(_)
        | Request::Ttl(_)
        | Request::Has(_)
        | Request::GetMany(_)
        | Request::Fetch(_)
        | Request::FetchMany(_)
        | Request::Scan(..)
        | Request::PurgeExpired
        | Request::Ping => Nature::Reads,
        Request::Set { ttl, when, .. } => set_nature(ttl, when),
        Request::Touch(_, ttl) => touch_nature(ttl),
        Request::SetMany(..) | Request::Clear(_) => Nature::WritesAgain,
        Request::Lock { action, .. } => lock_nature(action),
        Request::ExpireAt(..)
        | Request::Persist(_)
        | Request::Delete(_)
        | Request::Incr(..)
        | Request::DeleteMany(_) => Nature::WritesOnce,
    }
}

/// Whether a set answers the same when it is done twice.
fn set_nature(ttl: Ttl, when: When) -> Nature {
    let plain = when == When::Always && !matches!(ttl, Ttl::Millis(millis) if millis < 1000);
    if plain { Nature::WritesAgain } else { Nature::WritesOnce }
}

/// Whether a touch answers the same when it is done twice.
fn touch_nature(ttl: Ttl) -> Nature {
    if matches!(ttl, Ttl::Millis(millis) if millis >= 1000) { Nature::WritesAgain } else { Nature::WritesOnce }
}

/// Whether an action on a lock answers the same when it is done twice.
fn lock_nature(action: LockAction) -> Nature {
    match action {
        LockAction::Take(_) | LockAction::Extend { replace: true, .. } => Nature::WritesAgain,
        LockAction::Release | LockAction::Extend { .. } => Nature::WritesOnce,
    }
}

impl Backend for Calls {
    fn supports(&self, capability: Capability) -> bool {
        match capability {
            Capability::Scan
            | Capability::ClearPrefix
            | Capability::Ttl
            | Capability::Persist
            | Capability::Keeps
            | Capability::Lock
            | Capability::ExpireAt => true,
        }
    }

    fn habits(&self) -> Habits {
        let django_redis = self.flavor.is_django_redis();
        Habits {
            incr: if django_redis { IncrBy::ServerElseStore } else { IncrBy::Server }, // DR-20, O-7
            incr_version_keeps_ttl: django_redis,                                      // DR-22
            none_has_no_version: django_redis,                                         // DR-22
            counts_seconds: !django_redis,                                             // T-3, T-5
            warns_about_keys: !django_redis,                                           // K-6, K-9
        }
    }

    fn get(&self, key: &MadeKey, budget: Budget) -> Result<Option<Stored>> {
        self.read(budget, |out| command::get(out, key))
    }

    fn set(&self, key: &MadeKey, value: StoredRef<'_>, ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        let write = |out: &mut Vec<u8>| command::set(out, self.flavor, key, value.bytes, ttl, when);
        self.pool.run(set_nature(ttl, when), &budget.start(), write)
    }

    fn touch(&self, key: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched> {
        let write = |out: &mut Vec<u8>| command::touch(out, self.flavor, key, ttl);
        self.pool.run(touch_nature(ttl), &budget.start(), write)
    }

    fn delete(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        Ok(self.delete_many(std::slice::from_ref(key), budget)? > 0)
    }

    fn has(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        Ok(self.read(budget, |out| command::exists(out, key))? > 0)
    }

    fn expire_at(&self, key: &MadeKey, at_ms: i64, budget: Budget) -> Result<Touched> {
        self.write_once(budget, |out| expiry::expire_at(out, key, at_ms))
    }

    fn lock(&self, key: &MadeKey, token: &[u8], action: LockAction, budget: Budget) -> Result<bool> {
        self.pool.run(lock_nature(action), &budget.start(), |out| lock::act(out, key, token, action))
    }

    fn get_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Stored>>> {
        let deadline = budget.start();
        let mut values = Vec::with_capacity(keys.len());
        for some in keys.chunks(KEYS_AT_ONCE) {
            values.extend(self.pool.run(Nature::Reads, &deadline, |out| Ok(command::get_many(out, some)))?);
        }
        Ok(values)
    }

    fn fetch(&self, key: &MadeKey, budget: Budget) -> Result<Option<Fetched>> {
        self.read(budget, |out| fetch::fetch(out, key))
    }

    fn fetch_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Fetched>>> {
        let deadline = budget.start();
        let mut fetched = Vec::with_capacity(keys.len());
        for some in keys.chunks(KEYS_AT_ONCE) {
            fetched.extend(self.pool.run(Nature::Reads, &deadline, |out| Ok(fetch::fetch_many(out, some)))?);
        }
        Ok(fetched)
    }

    fn set_many(&self, entries: &[Entry], ttl: Ttl, budget: Budget) -> Result<Vec<Option<Error>>> {
        let deadline = budget.start();
        let mut failures = Vec::with_capacity(entries.len());
        for some in entries.chunks(ENTRIES_AT_ONCE) {
            let write = |out: &mut Vec<u8>| transaction::set_many(out, self.flavor, some, ttl);
            match self.pool.run(Nature::WritesAgain, &deadline, write) {
                Ok(outcome) => failures.extend(outcome),
                Err(error) if failures.is_empty() => return Err(error),
                Err(error) => failures.resize_with(entries.len(), || Some(error.clone())),
            }
            if failures.len() == entries.len() {
                break;
            }
        }
        Ok(failures)
    }

    fn delete_many(&self, keys: &[MadeKey], budget: Budget) -> Result<u64> {
        let deadline = budget.start();
        keys.chunks(KEYS_AT_ONCE).try_fold(0, |count, some| {
            let gone = self.pool.run(Nature::WritesOnce, &deadline, |out| Ok(command::delete(out, some)));
            Ok(count + gone.map_err(|error| if count > 0 { error.maybe_done() } else { error })?)
        })
    }

    fn ttl(&self, key: &MadeKey, budget: Budget) -> Result<Option<Ttl>> {
        self.read(budget, |out| command::ttl(out, key))
    }

    fn incr(&self, key: &MadeKey, delta: i64, budget: Budget) -> Result<Counted> {
        self.write_once(budget, |out| Ok(command::incr(out, self.flavor, key, delta)))
    }

    fn scan(&self, pattern: &[u8], at: u64, budget: Budget) -> Result<Page> {
        self.page(pattern, at, &budget.start())
    }

    fn delete_pattern(&self, pattern: &[u8], budget: Budget) -> Result<u64> {
        self.sweep(pattern, b"", &budget.start())
    }

    fn clear(&self, prefix: Option<&[u8]>, budget: Budget) -> Result<()> {
        let deadline = budget.start();
        match prefix {
            Some(prefix) => self.sweep(&pattern::starting_with(prefix), prefix, &deadline).map(drop),
            None => self.pool.run(Nature::WritesAgain, &deadline, |out| Ok(command::flush(out))),
        }
    }

    fn ping(&self, budget: Budget) -> Result<()> {
        self.read(budget, command::ping)
    }
}
