//! A near cache's values and the links to the servers that tell of changes: what reads, writes and the links' tasks share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::table::{Entry, Limits, Table, Token};
use super::tracking;
use crate::backend::clock::{self, Nanos};
use crate::backend::net::Dialler;
use crate::backend::redis::ring::Ring;
use crate::backend::{Fetched, Keys, NearStats, Request, Spawner, Stored};
use crate::config::{NearCache, Server};
use crate::key::MadeKey;
use crate::log::Log;
use crate::timeout::Ttl;

/// Where a thread could not be had another try is made after so long.
const RETRY: Nanos = 1_000_000_000;

/// The values, and what keeps them true.
pub(super) struct Tracked {
    table: Table,
    links: Box<[Link]>,
    /// Which server has a key, where there are several.
    ring: Option<Ring>,
    /// What keys begin with that are kept.
    prefix: Vec<u8>,
    /// None is kept longer.
    timeout: Nanos,
    spawner: Arc<dyn Spawner>,
    invalidated: AtomicU64,
    emptied: AtomicU64,
}

/// The way in which one server tells what changes there. Its values may be used until the lease ends, which the server
/// renews by an answer: so nothing stale is used for longer, whatever became of the connection, of the server, or of the
/// thread that listens. A hit reads the lease and writes nothing here.
#[repr(align(64))]
pub(super) struct Link {
    /// Until when; 0: it does not stand.
    lease: AtomicU64,
    /// Whether the server tells what changes.
    stands: AtomicBool,
    /// Whether a read waits for the lease to be renewed, or the connection to be made.
    wanted: AtomicBool,
    closed: AtomicBool,
    started: AtomicBool,
    not_before: AtomicU64,
    wake: Notify,
    way: Way,
}

/// The way to a server.
pub(super) struct Way {
    /// Connects.
    pub(super) dialler: Dialler,
    /// Who we are.
    pub(super) server: Arc<Server>,
    /// What connecting may take.
    pub(super) connect: Duration,
    /// Hears of it.
    pub(super) log: Arc<dyn Log>,
}

impl Tracked {
    /// Nothing yet. Nobody is asked before the first read.
    pub(super) fn new(
        config: NearCache,
        ways: impl IntoIterator<Item = Way>,
        ring: Option<Ring>,
        spawner: Arc<dyn Spawner>,
    ) -> Arc<Self> {
        Arc::new(Self {
            table: Table::new(Limits { entries: config.max_entries, bytes: config.max_bytes }),
            links: ways.into_iter().map(Link::new).collect(),
            ring,
            prefix: config.prefix,
            timeout: Nanos::try_from(config.timeout.as_nanos()).unwrap_or(Nanos::MAX),
            spawner,
            invalidated: AtomicU64::new(0),
            emptied: AtomicU64::new(0),
        })
    }

    /// Shows a key's entry, if it is there.
    #[inline]
    pub(super) fn look<T>(&self, key: &MadeKey, show: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.table.look(key.as_bytes(), |server| self.links.get(server).map_or(0, Link::until), show)
    }

    /// A key's value, if it is there.
    #[inline]
    pub(super) fn value(&self, key: &MadeKey) -> Option<Stored> {
        self.look(key, Entry::share_value).map(Stored::from)
    }

    /// The same, with what is left of its time to live on its server.
    pub(super) fn fetched(&self, key: &MadeKey) -> Option<Fetched> {
        let (value, left) = self.look(key, |entry| (entry.share_value(), entry.left()))?;
        Some(Fetched { value: value.into(), left })
    }

    /// To be called before a key that is not there is read from its server; `None` where what is read is not to be kept.
    pub(super) fn begin(self: &Arc<Self>, key: &MadeKey) -> Option<Token> {
        let key = key.as_bytes();
        if !key.starts_with(&self.prefix) {
            return None; // nobody would tell that it has changed
        }
        let server = self.ring.as_ref().map_or(0, |ring| ring.server_of(key));
        let link = self.links.get(server)?;
        self.want(server, link);
        if link.stands.load(Ordering::Acquire) { self.table.begin(key, server) } else { None }
    }

    /// Keeps what was read with a token.
    pub(super) fn keep(&self, token: Option<&Token>, key: &MadeKey, fetched: Option<&Fetched>) {
        let Some((token, fetched)) = token.zip(fetched) else { return };
        let Some(left) = fetched.left else { return };
        // From the moment when the read began: the server looked at its clock later, so the value is there at least as
        // long.
        let after = |time: Nanos| token.began().saturating_add(time).min(clock::NEVER - 1);
        let ends = match left {
            Ttl::Forever => clock::NEVER,
            Ttl::Millis(left) => after(u64::try_from(left).unwrap_or(0).saturating_mul(1_000_000)),
        };
        self.table.put(token, key.as_bytes(), &fetched.value.bytes, after(self.timeout).min(ends), ends);
    }

    /// A request is about to be carried out. What it writes is not there from now on, and nothing of it gets in until the
    /// guard is dropped.
    pub(super) fn writing(self: &Arc<Self>, request: &Request<'_>) -> Option<Writing> {
        match *request {
            Request::Set { key, .. }
            | Request::Touch(key, _)
            | Request::Persist(key)
            | Request::Delete(key)
            | Request::Incr(key, _)
            | Request::ExpireAt(key, _)
            | Request::Lock { key, .. } => Some(self.writing_keys([key])),
            Request::SetMany(entries, _) => Some(self.writing_keys(entries.iter().map(|entry| &entry.key))),
            Request::DeleteMany(keys) => Some(self.writing_keys(keys)),
            Request::Clear(_) => Some(self.writing_all()),
            Request::Get(_)
            | Request::GetMany(_)
            | Request::Fetch(_)
            | Request::FetchMany(_)
            | Request::Ttl(_)
            | Request::Has(_)
            | Request::Scan(..)
            | Request::PurgeExpired
            | Request::Ping => None,
        }
    }

    /// As [`Tracked::writing`], of a job.
    pub(super) fn writing_in_job(self: &Arc<Self>, keys: Keys<'_>) -> Writing {
        match keys {
            Keys::These(keys) => self.writing_keys(keys),
            Keys::All => self.writing_all(),
        }
    }

    /// As [`Tracked::writing`], of who knows what.
    pub(super) fn writing_all(self: &Arc<Self>) -> Writing {
        self.table.begin_write_all();
        Writing { tracked: self.clone(), hashes: None }
    }

    fn writing_keys<'k>(self: &Arc<Self>, keys: impl IntoIterator<Item = &'k MadeKey>) -> Writing {
        let begin = |key: &MadeKey| {
            let hash = self.table.hash(key.as_bytes());
            self.table.begin_write(hash, key.as_bytes());
            hash
        };
        Writing { hashes: Some(keys.into_iter().map(begin).collect()), tracked: self.clone() }
    }

    /// What it has seen.
    pub(super) fn stats(&self) -> NearStats {
        let tracked = self.links.iter().filter(|link| link.stands.load(Ordering::Relaxed)).count();
        NearStats {
            invalidated: self.invalidated.load(Ordering::Relaxed),
            emptied: self.emptied.load(Ordering::Relaxed),
            tracked: u64::try_from(tracked).unwrap_or(u64::MAX),
            ..self.table.stats()
        }
    }

    /// Ends the tasks of the links.
    pub(super) fn close(&self) {
        for link in &self.links {
            link.closed.store(true, Ordering::Release);
            link.wake.notify_one();
        }
    }

    /// A value of a server is asked for that is not there, or may not be used: its task has something to do.
    fn want(self: &Arc<Self>, server: usize, link: &Link) {
        if !link.started.load(Ordering::Relaxed) {
            self.start(server, link);
        }
        let lapses = || clock::has_passed(link.lease.load(Ordering::Relaxed));
        if !link.wanted.load(Ordering::Relaxed) && lapses() && !link.wanted.swap(true, Ordering::AcqRel) {
            link.wake.notify_one();
        }
    }

    fn start(self: &Arc<Self>, server: usize, link: &Link) {
        let now = clock::now();
        if now < link.not_before.load(Ordering::Relaxed) || link.started.swap(true, Ordering::AcqRel) {
            return;
        }
        link.not_before.store(now.saturating_add(RETRY), Ordering::Relaxed);
        // without a thread, or after a shutdown, reads go to the server; a task that is refused is dropped, which is
        // noted
        let task = tracking::Task::new(self.clone(), server);
        let begun = self.spawner.prepare().and_then(|()| self.spawner.spawn(Box::pin(task.run(self.spawner.clone()))));
        drop(begun);
    }

    // ---- for the tasks ----

    pub(super) fn link(&self, server: usize) -> Option<&Link> {
        self.links.get(server)
    }

    /// How often values were asked for.
    pub(super) fn uses(&self) -> u64 {
        let stats = self.table.stats();
        stats.hits.wrapping_add(stats.misses)
    }

    /// What keys begin with whose changes are to be told.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// A server tells what changes from now on, and its values may be used until then. What was read before is out of
    /// date perhaps, also what is still on its way: it may be of the time in which nobody told.
    pub(super) fn stands(&self, server: usize, until: Nanos) {
        self.table.forget_all(Some(server));
        if let Some(link) = self.links.get(server) {
            link.lease.store(until, Ordering::Release);
            link.stands.store(true, Ordering::Release);
        }
    }

    /// A server does not tell any more; whether it had.
    pub(super) fn falls(&self, server: usize) -> bool {
        let Some(link) = self.links.get(server) else { return false };
        link.lease.store(0, Ordering::Release);
        if !link.stands.swap(false, Ordering::AcqRel) {
            return false;
        }
        self.emptied(server);
        true
    }

    /// All that a server has has changed.
    pub(super) fn emptied(&self, server: usize) {
        self.table.forget_all(Some(server));
        self.emptied.fetch_add(1, Ordering::Relaxed);
    }

    /// These keys have changed.
    pub(super) fn changed(&self, keys: &[Bytes]) {
        for key in keys {
            self.table.forget(key);
        }
        self.invalidated.fetch_add(u64::try_from(keys.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Link {
    fn new(way: Way) -> Self {
        Self {
            lease: AtomicU64::new(0),
            stands: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            started: AtomicBool::new(false),
            not_before: AtomicU64::new(0),
            wake: Notify::new(),
            way,
        }
    }

    #[inline]
    fn until(&self) -> Nanos {
        self.lease.load(Ordering::Acquire)
    }

    /// The way to its server.
    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    /// Told when there is something to do.
    pub(super) fn wake(&self) -> &Notify {
        &self.wake
    }

    /// Whether the store is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether a read waits for it.
    pub(super) fn take_wish(&self) -> bool {
        self.wanted.swap(false, Ordering::AcqRel)
    }

    /// Its server has answered what it was asked.
    pub(super) fn renew(&self, until: Nanos) {
        self.lease.store(until, Ordering::Release);
    }

    /// Its task is gone: another can be begun.
    pub(super) fn stopped(&self) {
        self.started.store(false, Ordering::Release);
    }
}

/// A write that is under way.
pub(super) struct Writing {
    tracked: Arc<Tracked>,
    /// Of these keys; `None`: of any.
    hashes: Option<SmallVec<[u64; 1]>>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        match &self.hashes {
            Some(hashes) => hashes.iter().for_each(|hash| self.tracked.table.end_write(*hash)),
            None => self.tracked.table.end_write_all(),
        }
    }
}

#[cfg(test)]
#[path = "tracked_tests.rs"]
mod tests;
