//! What a cache can do, in bytes: made keys, serialised values, times to live. No Python values, no aliases, no C.
//!
//! [`Backend`] is small: what every cache can do. The rest is a capability; a backend that lacks one answers
//! `Kind::Unsupported`, and says so beforehand in [`Backend::supports`].

use std::sync::Arc;

pub(crate) use self::lane::Lane;
pub use self::order::Order;
pub use self::request::{Leveled, Reply, Request, perform};
pub use self::ticket::{Answer, Answers, Sink, Ticket};
use crate::config::Alias;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
pub use crate::stored::{Stored, StoredRef};
use crate::timeout::{Budget, Ttl};

#[cfg(any(feature = "memory", feature = "redis"))]
#[cfg_attr(not(feature = "memory"), allow(dead_code))]
mod clock;
#[cfg(any(feature = "sqlite-system", feature = "postgres", feature = "mysql"))]
pub mod database;
#[cfg(feature = "diskcache")]
pub mod diskcache;
pub mod dummy;
#[cfg(any(feature = "net", feature = "postgres", feature = "mysql"))]
mod fence;
#[cfg(feature = "file")]
pub mod file;
pub(crate) mod glob;
mod lane;
#[cfg(feature = "memcached")]
pub mod memcached;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "net")]
// what only one of its users needs is not used without it
#[cfg_attr(not(all(feature = "redis", feature = "memcached", feature = "tls")), allow(dead_code, unused_imports))]
mod net;
mod order;
#[cfg(feature = "redis")]
pub mod redis;
mod request;
#[cfg(any(feature = "sqlite-system", feature = "diskcache"))]
#[cfg_attr(not(all(feature = "sqlite-system", feature = "diskcache")), allow(dead_code))]
mod sqlite;
mod sweep;
mod ticket;
#[cfg(any(feature = "net", feature = "postgres", feature = "mysql"))]
mod waiter;

/// When a value may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// Only where there is none (add, NX).
    Missing,
    /// Only over one (XX).
    Present,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The value is stored.
    Stored,
    /// The condition did not hold; on django-redis also: a spent time to live over a key that was not there (DR-19).
    NotStored,
    /// The condition held, but the time to live rounds to nothing here: the key is gone (T).
    NotKept,
}

/// What became of a change of the time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// Changed.
    Changed,
    /// There was nothing to change: no such key, or (PERSIST on Redis: R-7, DR-24) no expiry to remove.
    Missing,
    /// The key was there, but the time to live rounds to nothing: it is gone.
    NotKept,
}

/// What a native increment answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The new number.
    Now(i64),
    /// The new number, beyond what [`Counted::Now`] holds: memcached counts up to 2**64 - 1 (O-8).
    Beyond(u64),
    /// No such key.
    Missing,
    /// Not for the server to count: the store has to read, add and write (DR-20).
    ByStore,
}

/// What is to be done with a lock, in one step on the server. A lock is a key that holds its owner's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockAction {
    /// Take it where nobody holds it; `true` too where this token holds it already, so that it can be tried again when an
    /// answer was lost. The time to live is not spent.
    Take(Ttl),
    /// Let go of it.
    Release,
    /// Give it another time to live, or more of it.
    Extend {
        /// The time in milliseconds, more than 0.
        millis: i64,
        /// From now on, rather than more than what is left. Otherwise one without an expiry cannot be extended.
        replace: bool,
    },
}

/// A value, and how long it lives still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The serialised value.
    pub value: Stored,
    /// What was left of its time to live when it was read, or a moment later; `None` where the key was gone by then.
    pub left: Option<Ttl>,
}

/// A write of one of several values.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The made key.
    pub key: MadeKey,
    /// The serialised value.
    pub value: Stored,
}

/// One page of a key listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Made keys; a key can come twice (SCAN).
    pub keys: Vec<Vec<u8>>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<u64>,
}

/// Operations that only some backends have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Key listing.
    Scan,
    /// Removing only the keys with a prefix.
    ClearPrefix,
    /// Telling the time that is left.
    Ttl,
    /// Removing an expiry.
    Persist,
    /// Keeping anything at all (all but the dummy).
    Keeps,
    /// Locks ([`Backend::lock`]).
    Lock,
    /// Expiring keys at a moment by the server's own clock ([`Backend::expire_at`]).
    ExpireAt,
}

/// Where Django's backends differ in what the code around them does (O table).
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each names one difference of the O table")]
pub struct Habits {
    /// Who adds up in `incr`.
    pub incr: IncrBy,
    /// `incr_version` keeps the time to live (DR-22); elsewhere the default is set anew (O-4).
    pub incr_version_keeps_ttl: bool,
    /// `incr_version` takes a stored `None` for missing (DR-22).
    pub none_has_no_version: bool,
    /// Times to live are whole seconds, truncated (T-3).
    pub counts_seconds: bool,
    /// Django warns about keys that memcached would refuse (K-6; not django-redis: K-9).
    pub warns_about_keys: bool,
}

/// Who adds up in `incr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncrBy {
    /// The server ([`Backend::incr`]), or nobody (R-6, O-7).
    Server,
    /// The server; where it cannot, read, add and write with the time that was left (DR-20).
    ServerElseStore,
    /// [`Backend::update`]: read, add, write in one step; the expiry stays (L-3).
    Update,
    /// Read, add, set with the default time to live, not atomic (O-3).
    GetThenSet,
}

/// A cache, in bytes. All methods may be called from any thread at once.
pub trait Backend: Send + Sync {
    /// Whether this backend has a capability.
    fn supports(&self, capability: Capability) -> bool;

    /// What the store has to do around this backend.
    fn habits(&self) -> Habits;

    /// The serialised value of a key; `None` where there is none or it has expired.
    fn get(&self, key: &MadeKey, budget: Budget) -> Result<Option<Stored>>;

    /// Shows the serialised value to `look`, without handing out a copy; `false` where there is none. `look` must be
    /// short and must not call the backend.
    fn look(&self, key: &MadeKey, budget: Budget, look: &mut dyn FnMut(StoredRef<'_>)) -> Result<bool> {
        Ok(self.get(key, budget)?.is_some_and(|stored| {
            look(stored.as_ref());
            true
        }))
    }

    /// Writes a value. Where it fails the old value stays.
    fn set(&self, key: &MadeKey, value: StoredRef<'_>, ttl: Ttl, when: When, budget: Budget) -> Result<Written>;

    /// Gives a key another time to live (Django's touch).
    fn touch(&self, key: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched>;

    /// Removes a key; whether there was one.
    fn delete(&self, key: &MadeKey, budget: Budget) -> Result<bool>;

    /// Whether a key is there.
    fn has(&self, key: &MadeKey, budget: Budget) -> Result<bool>;

    /// The values of several keys, in their order.
    fn get_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Stored>>> {
        keys.iter().map(|key| self.get(key, budget)).collect()
    }

    /// The value of a key with what is left of its time to live, for those who keep it; only with [`Capability::Ttl`].
    /// Another write can come in between where it takes two steps: then the time can be another value's.
    fn fetch(&self, key: &MadeKey, budget: Budget) -> Result<Option<Fetched>> {
        let budget = budget.fixed();
        let Some(value) = self.get(key, budget)? else { return Ok(None) };
        Ok(Some(Fetched { value, left: self.ttl(key, budget)? }))
    }

    /// As [`Backend::fetch`], of several keys, in their order.
    fn fetch_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Fetched>>> {
        let budget = budget.fixed();
        let left = |(value, key): (Option<Stored>, _)| {
            value.map(|value| Ok(Fetched { value, left: self.ttl(key, budget)? })).transpose()
        };
        self.get_many(keys, budget)?.into_iter().zip(keys).map(left).collect()
    }

    /// Writes several values; for each whether it failed. An `Err` means that none is known to be written.
    fn set_many(&self, entries: &[Entry], ttl: Ttl, budget: Budget) -> Result<Vec<Option<Error>>> {
        Ok(entries
            .iter()
            .map(|entry| self.set(&entry.key, entry.value.as_ref(), ttl, When::Always, budget).err())
            .collect())
    }

    /// Removes several keys; how many there were.
    fn delete_many(&self, keys: &[MadeKey], budget: Budget) -> Result<u64> {
        keys.iter().try_fold(0, |count, key| Ok(count + u64::from(self.delete(key, budget)?)))
    }

    /// What is left of a key's time to live; `None` where there is no such key.
    fn ttl(&self, _key: &MadeKey, _budget: Budget) -> Result<Option<Ttl>> {
        Err(unsupported("telling the time to live"))
    }

    /// Removes a key's expiry.
    fn persist(&self, key: &MadeKey, budget: Budget) -> Result<Touched> {
        self.touch(key, Ttl::Forever, budget)
    }

    /// Adds to a number in the server; only where [`Habits::incr`] says so.
    fn incr(&self, _key: &MadeKey, _delta: i64, _budget: Budget) -> Result<Counted> {
        Ok(Counted::ByStore)
    }

    /// Replaces a value by what `change` makes of it, in one step, keeping its expiry; `false` where there is none.
    /// Only where [`Habits::incr`] says so. `change` must be short and must not call the backend.
    fn update(&self, _key: &MadeKey, _change: Change<'_>, _budget: Budget) -> Result<bool> {
        Err(unsupported("changing a value in one step"))
    }

    /// One page of the keys that match a Redis glob pattern over made keys, from `at` (0 at the beginning).
    fn scan(&self, _pattern: &[u8], _at: u64, _budget: Budget) -> Result<Page> {
        Err(unsupported("listing keys"))
    }

    /// Makes a key expire at a moment, in milliseconds since 1970. The default is for backends without
    /// [`Capability::ExpireAt`]: what is left by this process's clock. The store begins it only with the capability.
    fn expire_at(&self, key: &MadeKey, at_ms: i64, budget: Budget) -> Result<Touched> {
        self.touch(key, left_until(at_ms), budget)
    }

    /// Does something with a lock as the owner of `token`; whether it could be done: otherwise another token, or none,
    /// holds it. Only with [`Capability::Lock`].
    fn lock(&self, _key: &MadeKey, _token: &[u8], _action: LockAction, _budget: Budget) -> Result<bool> {
        Err(unsupported("holding locks"))
    }

    /// Removes the keys that match a pattern as in [`Backend::scan`]; how many were removed. What was removed stays so
    /// when it fails. The default lists and removes, page by page.
    fn delete_pattern(&self, pattern: &[u8], budget: Budget) -> Result<u64> {
        sweep::page_by_page(self, pattern, budget)
    }

    /// Removes every key that begins with `prefix`; `None` removes everything the backend holds.
    fn clear(&self, prefix: Option<&[u8]>, budget: Budget) -> Result<()>;

    /// Removes expired entries and what crashed writers left behind; how many.
    fn purge_expired(&self, _budget: Budget) -> Result<u64> {
        Ok(0) // servers expire by themselves
    }

    /// Makes the table of a database cache, and its index, where they are not there (DB-3).
    fn create_table(&self, _budget: Budget) -> Result<()> {
        Err(unsupported("making a table"))
    }

    /// The statements with which [`Backend::create_table`] makes the table, as `createcachetable --dry-run` prints them.
    fn table_sql(&self) -> Result<String> {
        Err(unsupported("making a table"))
    }

    /// Whether the backend can be used now.
    fn ping(&self, budget: Budget) -> Result<()>;

    /// Begins an operation whose answer goes to `ticket`, from any thread, before or after this returns. Operations that
    /// one thread begins take effect on one key in that order. The default is for backends that never wait: it answers
    /// at once.
    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        ticket.answer(perform(self, &request, budget));
    }

    /// Runs a job that uses the synchronous operations, off the caller's thread where those wait: after what was begun
    /// on `keys` before, and before what is begun on them later. A job that may not run is told why, and has to answer.
    /// The default is for backends that never wait: it runs at once.
    fn start_job(&self, _keys: Keys<'_>, _budget: Budget, job: Job) {
        job(Ok(()));
    }

    /// Says that this thread is about to begin several operations. They may be held back until [`Backend::end_batch`],
    /// which has to follow soon, on every way out: for backends that can send them together.
    fn begin_batch(&self) {}

    /// Ends what [`Backend::begin_batch`] began.
    fn end_batch(&self) {}

    /// Where reads are sure to see what was written before, if not here: replicas lag behind. For what reads in order to
    /// write.
    fn latest(&self) -> Option<&dyn Backend> {
        None
    }

    /// How its near cache does, where it has one.
    fn near(&self) -> Option<NearStats> {
        None
    }

    /// How the servers of this backend are; empty where there are none.
    fn health(&self) -> Vec<Health> {
        Vec::new()
    }
}

/// What [`Backend::update`] makes of a value.
pub type Change<'a> = &'a mut dyn FnMut(StoredRef<'_>) -> Result<Stored>;

/// A job for [`Backend::start_job`].
pub type Job = Box<dyn FnOnce(Result<()>) + Send>;

/// What a job works on.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'a> {
    /// These.
    These(&'a [MadeKey]),
    /// Any.
    All,
}

/// How a server is, for people who look after it. The counters began with the store.
#[derive(Clone, Debug)]
pub struct Health {
    /// The server (never with credentials).
    pub server: Arc<str>,
    /// Whether calls fail at once, because the server failed again and again.
    pub breaker_open: bool,
    /// How often the breaker opened.
    pub breaker_opened: u64,
    /// Calls that failed at once for it.
    pub refused: u64,
    /// Connections that are open now.
    pub connections: u64,
    /// Connections that were made.
    pub connected: u64,
    /// Attempts to connect that failed.
    pub connect_failures: u64,
}

/// How a near cache does. The counters began with the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NearStats {
    /// Values that came from this process's memory.
    pub hits: u64,
    /// Values that were asked for while it stood, and were not in it.
    pub misses: u64,
    /// Values that are in it now.
    pub entries: u64,
    /// About how many bytes they take.
    pub bytes: u64,
    /// Values that went to make room.
    pub evicted: u64,
    /// Keys that the servers said to have changed, whether they were in it or not.
    pub invalidated: u64,
    /// How often it, or a server's share of it, was emptied: by a server, or because the connection was lost.
    pub emptied: u64,
    /// Servers whose changes are heard of now; from the others nothing is kept.
    pub tracked: u64,
}

/// A kind of backend that a program has plugged in.
pub trait OpenBackend: Send + Sync {
    /// Whether it counts by itself, in digits: whole numbers are to be stored so.
    fn counts(&self) -> bool;

    /// Opens an alias of it. `entry` is the alias's entry of CACHES, as JSON.
    fn open(&self, alias: &Alias, entry: &str, spawner: &Arc<dyn Spawner>) -> Result<Arc<dyn Backend>>;
}

/// What backends that need threads or tasks are given.
pub trait Spawner: Send + Sync {
    /// Makes what tasks need, so that a failure can be told before there is one to drop.
    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// Runs a task on the runtime. Fails after shutdown; the task is dropped then.
    fn spawn(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()>;

    /// Runs a blocking job on a thread that may wait. Fails after shutdown; the job is dropped then.
    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> Result<()>;

    /// The same for a program's loader, which may wait for long: it keeps no other job from running.
    fn spawn_loader(&self, job: Box<dyn FnOnce() + Send>) -> Result<()> {
        self.spawn_blocking(job)
    }
}

/// What is left until a moment in milliseconds since 1970, by this process's clock.
pub fn left_until(at_ms: i64) -> Ttl {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ttl::Millis(at_ms.saturating_sub(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

/// What a backend has no way of doing.
pub(crate) fn unsupported(what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("this backend has no way of {what}"))
}
