//! diskcache's DjangoCache (contract 1.17): a folder of shards, each an SQLite database and files for large values, shared
//! with Python processes.
//!
//! Synchronous operations run on the caller's thread. Where another process holds a database's lock they wait until their
//! deadline and then fail with [`Kind::Timeout`]; diskcache waits DATABASE_TIMEOUT and then tries again for ever where it
//! writes, and answers "no such key" where it reads. What [`Backend::start`] begins runs in a lane, in order.
//!
//! Each operation on a key is one transaction, also between processes. `set` gives the key a new expiry and no tag; `incr`
//! and `touch` keep the tag.
//!
//! Large texts: diskcache reads them back through Python's universal newlines, so that there `\r\n` and `\r` become `\n`.
//! Here they come back as they were written.

mod cull;
mod fault;
mod files;
mod operations;
mod row;
mod scan;
mod session;
mod settings;
mod shard;

use std::sync::Arc;

use self::settings::Wanted;
use self::shard::Shard;
use super::lane::Lane;
use super::{
    Backend, Capability, Change, Habits, IncrBy, Job, Keys, Page, Request, Spawner, Stored, StoredRef, Ticket, Touched,
    When, Written,
};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::sys;
use crate::timeout::{Budget, Ttl};
use crate::value::Limits;

/// A cache in a directory of shards.
#[derive(Clone)]
pub struct DiskCache {
    shards: Arc<[Shard]>,
    lane: Arc<Lane>,
}

/// The cache of an alias. Nothing is made or opened before the first use of a shard.
pub fn open(config: config::DiskCache, limits: Limits, spawner: &Arc<dyn Spawner>) -> Result<Arc<dyn Backend>> {
    sys::watch_forks();
    if config.shards == 0 {
        return Err(Error::new(Kind::Config, "a cache has at least one shard"));
    }
    let wanted = Arc::new(Wanted::new(config.shards, config.settings));
    let shard = |number| Shard::new(config.directory.join(format!("{number:03}")), wanted.clone(), limits.bytes);
    let shards = (0..config.shards).map(shard).collect();
    Ok(Arc::new(DiskCache { shards, lane: Arc::new(Lane::new(spawner.clone())) }))
}

impl DiskCache {
    /// The shard of a key, and the key as a text.
    fn at<'a>(&self, key: &'a MadeKey) -> Result<(&Shard, &'a str)> {
        let text = std::str::from_utf8(key.as_bytes())
            .map_err(|_| Error::new(Kind::Invalid, "diskcache takes only texts as keys"))?;
        let number = adler32(key.as_bytes()) as usize % self.shards.len();
        match self.shards.get(number) {
            Some(shard) => Ok((shard, text)),
            None => Err(Error::new(Kind::Config, "a cache has at least one shard")),
        }
    }
}

/// What `Disk.hash` makes of a text.
fn adler32(bytes: &[u8]) -> u32 {
    const PRIME: u32 = 65_521;
    let (mut low, mut high) = (1, 0);
    for chunk in bytes.chunks(5552) {
        // so many bytes can be added up before the sums have to be made small
        for byte in chunk {
            low += u32::from(*byte);
            high += low;
        }
        (low, high) = (low % PRIME, high % PRIME);
    }
    (high << 16) | low
}

impl Backend for DiskCache {
    fn supports(&self, capability: Capability) -> bool {
        matches!(
            capability,
            Capability::Scan | Capability::ClearPrefix | Capability::Ttl | Capability::Persist | Capability::Keeps
        )
    }

    fn habits(&self) -> Habits {
        Habits {
            incr: IncrBy::Update,          // diskcache's own, which keeps the expiry
            incr_version_keeps_ttl: false, // O-4
            none_has_no_version: false,
            counts_seconds: false,
            warns_about_keys: false, // DjangoCache makes keys without a look at them
        }
    }

    fn get(&self, key: &MadeKey, budget: Budget) -> Result<Option<Stored>> {
        let (shard, key) = self.at(key)?;
        shard.get(key, budget)
    }

    fn set(&self, key: &MadeKey, value: StoredRef<'_>, ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        let (shard, key) = self.at(key)?;
        shard.set(key, value, ttl, when, budget)
    }

    fn touch(&self, key: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched> {
        let (shard, key) = self.at(key)?;
        shard.touch(key, ttl, budget)
    }

    fn delete(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        let (shard, key) = self.at(key)?;
        shard.delete(key, budget)
    }

    fn has(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        let (shard, key) = self.at(key)?;
        Ok(shard.expiry(key, budget)?.is_some())
    }

    fn ttl(&self, key: &MadeKey, budget: Budget) -> Result<Option<Ttl>> {
        let (shard, key) = self.at(key)?;
        let now = sys::wall_clock();
        Ok(shard.expiry(key, budget)?.map(|expiry| match expiry.filter(|expiry| expiry.is_finite()) {
            None => Ttl::Forever,
            Some(expiry) => Ttl::Millis(whole_millis(expiry - now)),
        }))
    }

    fn update(&self, key: &MadeKey, change: Change<'_>, budget: Budget) -> Result<bool> {
        let (shard, key) = self.at(key)?;
        shard.update(key, change, budget)
    }

    fn scan(&self, pattern: &[u8], at: u64, budget: Budget) -> Result<Page> {
        scan::page(&self.shards, pattern, at, budget)
    }

    fn clear(&self, prefix: Option<&[u8]>, budget: Budget) -> Result<()> {
        let budget = budget.fixed();
        let prefix = match prefix.filter(|prefix| !prefix.is_empty()).map(std::str::from_utf8) {
            Some(Err(_)) => return Ok(()), // no key begins so
            Some(Ok(prefix)) => Some(prefix),
            None => None,
        };
        self.shards.iter().try_for_each(|shard| shard.clear(prefix, budget))
    }

    fn purge_expired(&self, budget: Budget) -> Result<u64> {
        let budget = budget.fixed();
        self.shards.iter().try_fold(0, |count, shard| Ok(count + shard.purge(budget)?))
    }

    fn ping(&self, budget: Budget) -> Result<()> {
        let budget = budget.fixed();
        // as somebody who writes: a full or read-only disk is told now
        self.shards.iter().try_for_each(|shard| shard.write(budget, |_, _| Ok(())))
    }

    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        self.lane.start(self, &request, budget, ticket);
    }

    fn start_job(&self, _keys: Keys<'_>, budget: Budget, job: Job) {
        self.lane.start_job(budget, job);
    }
}

/// Seconds as whole milliseconds, rounded up; at least one, as the entry is live.
#[allow(clippy::cast_possible_truncation)] // `as` saturates
fn whole_millis(seconds: f64) -> i64 {
    ((seconds * 1000.0).ceil() as i64).max(1)
}

#[cfg(test)]
mod tests {
    use super::adler32;

    #[test]
    fn sums_are_zlib_s() {
        // zlib.adler32 in Python
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b":1:k"), 0x025e_0111);
        assert_eq!(adler32(&vec![0xff; 20_000]), 0x9f51_d664);
    }
}
