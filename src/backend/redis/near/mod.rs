//! A near cache: what is read from Redis is kept in the process, as long as the servers tell what changes there.
//!
//! [`Near`] stands in front of the alias's backend, whatever that is: one server, or several with their shares of the
//! keys. `table` holds the values, `tracked` knows which of them may be used, `tracking` is the task that hears of
//! changes, over a connection of its own to each server, and `messages` is what is said there. `begun` is what happens to
//! asynchronous answers.
//!
//! Three rules make it coherent. What was read gets in only if nothing of it has changed since before the read began. What
//! this store writes is out before the write begins, and stays out until it has ended. And nothing is used once the server
//! has not confirmed for a few seconds that all changes were told; a connection that is lost takes all with it.

mod begun;
mod messages;
mod table;
mod tracked;
mod tracking;

use std::sync::Arc;
use std::time::Duration;

use self::begun::Wanted;
use self::tracked::{Tracked, Way};
use super::ring::Ring;
use crate::backend::net::Dialler;
use crate::backend::request::by_call;
use crate::backend::{
    Backend, Capability, Counted, Entry, Fetched, Habits, Health, Job, Keys, NearStats, Page, Reply, Request, Spawner,
    Stored, StoredRef, Ticket, Touched, When, Written, perform,
};
use crate::config::{self, Layout};
use crate::error::{Error, Result};
use crate::key::MadeKey;
use crate::log::Log;
use crate::sys;
use crate::timeout::{Budget, Ttl};

/// What connecting may take where the configuration does not say.
const CONNECT: Duration = Duration::from_secs(5);

/// A cache of which this process keeps what it reads.
pub(super) struct Near {
    straight: Straight,
    generation: u32,
}

/// The same without what is kept, for those who read in order to write. What they write is out of it all the same.
struct Straight {
    inner: Arc<dyn Backend>,
    tracked: Arc<Tracked>,
}

/// How a near cache is made, taken out of a configuration before that is used up.
pub(super) struct Plan {
    config: config::NearCache,
    ways: Vec<Way>,
    ring: Option<Ring>,
}

impl Plan {
    /// For an alias that is to have one.
    pub(super) fn of(redis: &mut config::Redis, log: &Arc<dyn Log>) -> Option<Self> {
        let config = redis.near.take()?;
        let mut servers = vec![&redis.server];
        let mut ring = None;
        if let Layout::Ring(urls) = &redis.layout
            && !redis.replicas.is_empty()
        {
            // one that is written twice is one, as in `Sharded::new`
            let mut known: Vec<&str> = urls.iter().take(1).map(String::as_str).collect();
            for (server, url) in redis.replicas.iter().zip(urls.iter().skip(1)) {
                if !known.contains(&url.as_str()) {
                    servers.push(server);
                    known.push(url);
                }
            }
            ring = Some(Ring::new(known));
        }
        let way = |server: &config::Server| Way {
            dialler: Dialler::new(server.address.clone(), redis.resting.clone()),
            server: Arc::new(server.clone()),
            connect: redis.connect.unwrap_or(CONNECT),
            log: log.clone(),
        };
        Some(Self { config, ways: servers.into_iter().map(way).collect(), ring })
    }

    /// In front of the alias's backend.
    pub(super) fn before(self, inner: Arc<dyn Backend>, spawner: Arc<dyn Spawner>) -> Near {
        let tracked = Tracked::new(self.config, self.ways, self.ring, spawner);
        Near { straight: Straight { inner, tracked }, generation: sys::generation() }
    }
}

impl Near {
    /// What is kept, in the process that keeps it: a forked child does not touch its parent's.
    #[inline]
    fn tracked(&self) -> Option<&Arc<Tracked>> {
        (self.generation == sys::generation()).then_some(&self.straight.tracked)
    }

    fn inner(&self) -> &dyn Backend {
        &*self.straight.inner
    }

    fn call(&self, request: &Request<'_>, budget: Budget) -> Result<Reply> {
        let _writing = self.tracked().and_then(|tracked| tracked.writing(request));
        perform(self.inner(), request, budget)
    }

    /// Reads a value that is not there, and keeps it.
    #[cold]
    fn read(&self, key: &MadeKey, budget: Budget) -> Result<Option<Stored>> {
        let Some((tracked, token)) = self.tracked().and_then(|tracked| Some((tracked, tracked.begin(key)?))) else {
            return self.inner().get(key, budget);
        };
        let fetched = self.inner().fetch(key, budget)?;
        tracked.keep(Some(&token), key, fetched.as_ref());
        Ok(fetched.map(|fetched| fetched.value))
    }

    /// Begins to read one that is not there.
    fn start_read(&self, key: &MadeKey, tracked: &Arc<Tracked>, budget: Budget, ticket: Ticket) {
        match tracked.begin(key) {
            Some(token) => {
                let ticket = begun::keeping(tracked.clone(), Some(token), key.clone(), begun::value, ticket);
                self.inner().start(Request::Fetch(key), budget, ticket);
            }
            None => self.inner().start(Request::Get(key), budget, ticket),
        }
    }

    /// Reads those that are not there, and keeps them.
    fn fetch_wanted(&self, wanted: Wanted, tracked: &Tracked, budget: Budget) -> Result<Vec<Option<Fetched>>> {
        if wanted.keys().is_empty() {
            return Ok(wanted.fill(Vec::new()));
        }
        let fetched = self.inner().fetch_many(wanted.keys(), budget)?;
        Ok(wanted.keep(tracked, fetched))
    }

    fn start_fetch(&self, key: &MadeKey, tracked: &Arc<Tracked>, budget: Budget, ticket: Ticket) {
        let token = tracked.begin(key);
        let ticket = begun::keeping(tracked.clone(), token, key.clone(), Reply::Fetched, ticket);
        self.inner().start(Request::Fetch(key), budget, ticket);
    }

    fn start_read_many(&self, keys: &[MadeKey], tracked: &Arc<Tracked>, budget: Budget, ticket: Ticket) {
        let wanted = Wanted::of(tracked, keys);
        if !wanted.keeps() && wanted.keys().len() == keys.len() {
            return self.inner().start(Request::GetMany(keys), budget, ticket);
        }
        self.start_fetch_many(wanted, tracked, begun::values, budget, ticket);
    }

    /// Begins to read those that are not there, and keeps them.
    fn start_fetch_many(
        &self,
        wanted: Wanted,
        tracked: &Arc<Tracked>,
        shape: fn(Vec<Option<Fetched>>) -> Reply,
        budget: Budget,
        ticket: Ticket,
    ) {
        if wanted.keys().is_empty() {
            return ticket.answer(Ok(shape(wanted.fill(Vec::new()))));
        }
        let keys = wanted.keys().to_vec();
        let ticket = begun::keeping_many(tracked.clone(), wanted, shape, ticket);
        self.inner().start(Request::FetchMany(&keys), budget, ticket);
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        if let Some(tracked) = self.tracked() {
            tracked.close();
        }
    }
}

impl Backend for Near {
    fn supports(&self, capability: Capability) -> bool {
        self.inner().supports(capability)
    }

    fn habits(&self) -> Habits {
        self.inner().habits()
    }

    #[inline]
    fn get(&self, key: &MadeKey, budget: Budget) -> Result<Option<Stored>> {
        match self.tracked().and_then(|tracked| tracked.value(key)) {
            Some(value) => Ok(Some(value)),
            None => self.read(key, budget),
        }
    }

    fn look(&self, key: &MadeKey, budget: Budget, look: &mut dyn FnMut(StoredRef<'_>)) -> Result<bool> {
        let near = self.tracked().and_then(|tracked| tracked.look(key, |entry| look(entry.value().into())));
        if near.is_some() {
            return Ok(true);
        }
        Ok(self.read(key, budget)?.is_some_and(|value| {
            look(value.as_ref());
            true
        }))
    }

    fn get_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Stored>>> {
        let Some(tracked) = self.tracked() else { return self.inner().get_many(keys, budget) };
        let wanted = Wanted::of(tracked, keys);
        if !wanted.keeps() && wanted.keys().len() == keys.len() {
            return self.inner().get_many(keys, budget);
        }
        self.fetch_wanted(wanted, tracked, budget).map(begun::only_values)
    }

    fn fetch(&self, key: &MadeKey, budget: Budget) -> Result<Option<Fetched>> {
        let Some(tracked) = self.tracked() else { return self.inner().fetch(key, budget) };
        if let Some(fetched) = tracked.fetched(key) {
            return Ok(Some(fetched));
        }
        let token = tracked.begin(key);
        let fetched = self.inner().fetch(key, budget)?;
        tracked.keep(token.as_ref(), key, fetched.as_ref());
        Ok(fetched)
    }

    fn fetch_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Fetched>>> {
        let Some(tracked) = self.tracked() else { return self.inner().fetch_many(keys, budget) };
        self.fetch_wanted(Wanted::of(tracked, keys), tracked, budget)
    }

    by_call! {
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
        fn lock(key: &MadeKey, token: &[u8], action: crate::backend::LockAction) -> bool {
            Request::Lock { key, token, action } => Reply::Found
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
        self.inner().ping(budget)
    }

    fn delete_pattern(&self, pattern: &[u8], budget: Budget) -> Result<u64> {
        let _writing = self.tracked().map(Tracked::writing_all);
        self.inner().delete_pattern(pattern, budget)
    }

    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        let Some(tracked) = self.tracked() else { return self.inner().start(request, budget, ticket) };
        match request {
            Request::Get(key) => match tracked.value(key) {
                Some(value) => ticket.answer(Ok(Reply::Value(Some(value)))),
                None => self.start_read(key, tracked, budget, ticket),
            },
            Request::GetMany(keys) => self.start_read_many(keys, tracked, budget, ticket),
            Request::Fetch(key) => match tracked.fetched(key) {
                Some(fetched) => ticket.answer(Ok(Reply::Fetched(Some(fetched)))),
                None => self.start_fetch(key, tracked, budget, ticket),
            },
            Request::FetchMany(keys) => {
                self.start_fetch_many(Wanted::of(tracked, keys), tracked, Reply::FetchedMany, budget, ticket);
            }
            request => {
                let ticket = match tracked.writing(&request) {
                    Some(writing) => begun::ending(writing, ticket),
                    None => ticket,
                };
                self.inner().start(request, budget, ticket);
            }
        }
    }

    /// Whoever begins a read of these keys behind the job sees what it writes.
    fn start_job(&self, keys: Keys<'_>, budget: Budget, job: Job) {
        let writing = self.tracked().map(|tracked| tracked.writing_in_job(keys));
        let job = move |may_run: Result<()>| {
            let _writing = writing;
            job(may_run);
        };
        self.inner().start_job(keys, budget, Box::new(job));
    }

    fn begin_batch(&self) {
        self.inner().begin_batch();
    }

    fn end_batch(&self) {
        self.inner().end_batch();
    }

    fn latest(&self) -> Option<&dyn Backend> {
        match self.tracked() {
            Some(_) => Some(&self.straight),
            None => Some(self.inner()),
        }
    }

    fn near(&self) -> Option<NearStats> {
        self.tracked().map(|tracked| tracked.stats())
    }

    fn health(&self) -> Vec<Health> {
        self.inner().health()
    }
}

impl Straight {
    fn call(&self, request: &Request<'_>, budget: Budget) -> Result<Reply> {
        let _writing = self.tracked.writing(request);
        perform(&*self.inner, request, budget)
    }
}

impl Backend for Straight {
    fn supports(&self, capability: Capability) -> bool {
        self.inner.supports(capability)
    }

    fn habits(&self) -> Habits {
        self.inner.habits()
    }

    by_call!();

    fn delete_pattern(&self, pattern: &[u8], budget: Budget) -> Result<u64> {
        let _writing = self.tracked.writing_all();
        self.inner.delete_pattern(pattern, budget)
    }
}
