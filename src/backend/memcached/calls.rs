//! The synchronous operations of one server, over the pool.

use std::sync::Arc;

use super::decoder::Frame;
use super::protocol::Text;
use super::request::nature;
use super::{ENTRIES_AT_ONCE, KEYS_AT_ONCE, command, many};
use crate::backend::fence::number;
use crate::backend::net::{Pool, Reading};
use crate::backend::unsupported;
use crate::backend::{
    Backend, Capability, Counted, Entry, Habits, IncrBy, Request, Stored, StoredRef, Touched, When, Written,
};
use crate::config::Client;
use crate::error::{Error, Result};
use crate::key::MadeKey;
use crate::timeout::{Budget, Deadline, Ttl};

/// The operations of one server, for callers that wait. Jobs share it.
#[derive(Clone)]
pub(super) struct Calls {
    /// Whose rules.
    pub(super) client: Client,
    /// The connections.
    pub(super) pool: Arc<Pool<Text>>,
}

impl Calls {
    fn run<R: Reading<Frame = Frame>>(
        &self,
        request: &Request<'_>,
        deadline: &Deadline,
        write: impl Fn(&mut Vec<u8>) -> Result<R>,
    ) -> Result<R::Answer> {
        self.pool.run(nature(request), deadline, write)
    }
}

/// What every memcached cache does and does not, one server or several.
pub(super) fn habits() -> Habits {
    Habits {
        incr: IncrBy::Server, // O-8
        incr_version_keeps_ttl: false,
        none_has_no_version: false,
        counts_seconds: true,    // T-4
        warns_about_keys: false, // K-7: they are refused
    }
}

/// Likewise.
pub(super) fn supports(capability: Capability) -> bool {
    matches!(capability, Capability::Persist | Capability::Keeps)
}

impl Backend for Calls {
    fn supports(&self, capability: Capability) -> bool {
        supports(capability)
    }

    fn habits(&self) -> Habits {
        habits()
    }

    fn get(&self, key: &MadeKey, budget: Budget) -> Result<Option<Stored>> {
        let number = number(key.as_bytes());
        self.run(&Request::Get(key), &budget.start(), |out| Ok(command::get(out, key, number)))
    }

    fn set(&self, key: &MadeKey, value: StoredRef<'_>, ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        let write = |out: &mut Vec<u8>| command::set(out, self.client, key, value, ttl, when);
        self.run(&Request::Set { key, value, ttl, when }, &budget.start(), write)
    }

    fn touch(&self, key: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched> {
        let write = |out: &mut Vec<u8>| command::touch(out, self.client, key, ttl);
        self.run(&Request::Touch(key, ttl), &budget.start(), write)
    }

    fn delete(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        self.run(&Request::Delete(key), &budget.start(), |out| Ok(command::delete(out, key)))
    }

    fn has(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        let number = number(key.as_bytes());
        self.run(&Request::Has(key), &budget.start(), |out| Ok(command::has(out, key, number)))
    }

    fn get_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Stored>>> {
        let deadline = budget.start();
        let mut values = Vec::with_capacity(keys.len());
        for some in keys.chunks(KEYS_AT_ONCE) {
            let request = Request::GetMany(some);
            values.extend(self.run(&request, &deadline, |out| Ok(many::get_many(out, some)))?);
        }
        Ok(values)
    }

    fn set_many(&self, entries: &[Entry], ttl: Ttl, budget: Budget) -> Result<Vec<Option<Error>>> {
        let deadline = budget.start();
        let mut failures = Vec::with_capacity(entries.len());
        for some in entries.chunks(ENTRIES_AT_ONCE) {
            let write = |out: &mut Vec<u8>| many::set_many(out, self.client, some, ttl);
            match self.run(&Request::SetMany(some, ttl), &deadline, write) {
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
            let request = Request::DeleteMany(some);
            Ok(count + self.run(&request, &deadline, |out| Ok(many::delete_many(out, some)))?)
        })
    }

    fn incr(&self, key: &MadeKey, delta: i64, budget: Budget) -> Result<Counted> {
        self.run(&Request::Incr(key, delta), &budget.start(), |out| Ok(command::incr(out, key, delta)))
    }

    fn clear(&self, prefix: Option<&[u8]>, budget: Budget) -> Result<()> {
        if prefix.is_some() {
            return Err(unsupported("listing keys"));
        }
        self.run(&Request::Clear(None), &budget.start(), |out| Ok(command::flush(out, self.client)))
    }

    fn ping(&self, budget: Budget) -> Result<()> {
        self.run(&Request::Ping, &budget.start(), |out| Ok(command::ping(out)))
    }
}
