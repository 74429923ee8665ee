//! The Redis caches: Django's own and django-redis, over TCP and unix sockets (contract: R and DR rules).
//!
//! `resp` is the wire format, `command` the operations, `fault` the errors, `connect` the way to a socket. Two
//! transports stand on them: `pool` with `blocking` for synchronous calls, `pipe` with `session` for the others.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Backend, Budget, Capability, Counted, Entry, Habits, IncrBy, MadeKey, Page, Request, Spawner, Ticket, Touched, Ttl,
    When, Written,
};
use crate::config::{self, Flavor};
use crate::error::{Error, Result};
use crate::timeout::Deadline;

mod blocking;
mod command;
mod connect;
mod dial;
mod fault;
mod pattern;
mod pipe;
mod pool;
mod request;
mod resp;
mod session;
mod stream;
mod transaction;

use command::Reading;
use connect::Resolver;
use pipe::Pipe;
use pool::{Nature, Pool};

/// The most keys in one command; more are sent in several.
const KEYS_AT_ONCE: usize = 10_000;
/// The most entries in one transaction; more are sent in several.
const ENTRIES_AT_ONCE: usize = 50_000;

/// A cache on one Redis server.
pub struct Redis {
    flavor: Flavor,
    pool: Pool,
    pipe: Pipe,
}

impl Redis {
    /// A cache that connects when it is first used, and again when a connection was lost. `spawner` runs the
    /// asynchronous operations.
    pub fn open(config: config::Redis, spawner: Arc<dyn Spawner>) -> Self {
        let resolver = Arc::new(Resolver::default());
        Self {
            flavor: config.flavor,
            pipe: Pipe::new(config.clone(), resolver.clone(), spawner),
            pool: Pool::new(config, resolver),
        }
    }

    fn read<R: Reading>(&self, budget: Budget, write: impl Fn(&mut Vec<u8>) -> R) -> Result<R::Answer> {
        self.pool.run(Nature::Reads, &budget.start(), |out| Ok(write(out)))
    }

    fn write_once<R: Reading>(&self, budget: Budget, write: impl Fn(&mut Vec<u8>) -> Result<R>) -> Result<R::Answer> {
        self.pool.run(Nature::WritesOnce, &budget.start(), write)
    }

    fn page(&self, pattern: &[u8], at: u64, deadline: &Deadline) -> Result<Page> {
        self.pool.run(Nature::Reads, deadline, |out| Ok(command::scan(out, pattern, at)))
    }

    /// Removes what begins with `prefix`. SCAN shows every key that is there all the time.
    fn clear_prefix(&self, prefix: &[u8], deadline: &Deadline) -> Result<()> {
        let pattern = pattern::starting_with(prefix);
        let mut at = 0;
        loop {
            let page = self.page(&pattern, at, deadline)?;
            // The pattern already says it; but what is deleted here must be ours whatever the server answers.
            let keys: Vec<_> = page.keys.into_iter().filter(|key| key.starts_with(prefix)).collect();
            for some in keys.chunks(KEYS_AT_ONCE) {
                self.pool.run(Nature::WritesAgain, deadline, |out| Ok(command::unlink(out, some)))?;
            }
            match page.next {
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
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

impl Backend for Redis {
    fn supports(&self, capability: Capability) -> bool {
        match capability {
            Capability::Scan | Capability::ClearPrefix | Capability::Ttl | Capability::Persist | Capability::Keeps => {
                true
            }
        }
    }

    fn habits(&self) -> Habits {
        let django_redis = self.flavor == Flavor::DjangoRedis;
        Habits {
            incr: if django_redis { IncrBy::ServerElseStore } else { IncrBy::Server }, // DR-20, O-7
            incr_version_keeps_ttl: django_redis,                                      // DR-22
            none_has_no_version: django_redis,                                         // DR-22
            counts_seconds: !django_redis,                                             // T-3, T-5
            warns_about_keys: !django_redis,                                           // K-6, K-9
        }
    }

    fn get(&self, key: &MadeKey, budget: Budget) -> Result<Option<Bytes>> {
        self.read(budget, |out| command::get(out, key))
    }

    fn set(&self, key: &MadeKey, value: &[u8], ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        let write = |out: &mut Vec<u8>| command::set(out, self.flavor, key, value, ttl, when);
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

    fn get_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Bytes>>> {
        let deadline = budget.start();
        let mut values = Vec::with_capacity(keys.len());
        for some in keys.chunks(KEYS_AT_ONCE) {
            values.extend(self.pool.run(Nature::Reads, &deadline, |out| Ok(command::get_many(out, some)))?);
        }
        Ok(values)
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
            Ok(count + self.pool.run(Nature::WritesOnce, &deadline, |out| Ok(command::delete(out, some)))?)
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

    fn clear(&self, prefix: Option<&[u8]>, budget: Budget) -> Result<()> {
        let deadline = budget.start();
        match prefix {
            Some(prefix) => self.clear_prefix(prefix, &deadline),
            None => self.pool.run(Nature::WritesAgain, &deadline, |out| Ok(command::flush(out))),
        }
    }

    fn ping(&self, budget: Budget) -> Result<()> {
        self.read(budget, command::ping)
    }

    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        self.pipe.submit(&request, budget.start(), ticket);
    }
}
