//! Several servers: the first is written to, the others are read from (R-2, DR-5).
//!
//! What the first has may not have come to the others yet: a read after a write can miss it. Operations on one key that
//! are begun asynchronously keep their order among writes, and among reads from one server, but not between the two; nor
//! does a write that is tried on other servers ([`fail_over`]) keep it.

use std::sync::Arc;

use super::fail_over::{self, Numbered};
use super::{Redis, listing};
use crate::backend::{
    Backend, Capability, Counted, Entry, Habits, Health, Job, Keys, LockAction, Page, Reply, Request, Spawner, Stored,
    StoredRef, Ticket, Touched, When, Written,
};
use crate::dice::Dice;
use crate::error::{Error, Result};
use crate::key::MadeKey;
use crate::timeout::{Budget, Ttl};

/// A cache on a server that is written to, and one replica at least.
pub(super) struct Replicated {
    servers: Arc<Servers>,
    /// Whether a write that the first server does not take is tried on the others.
    fail_over: bool,
    spawner: Arc<dyn Spawner>,
}

/// The servers.
struct Servers {
    writer: Redis,
    replicas: Vec<Redis>,
    dice: Dice,
}

impl Replicated {
    /// Over these servers.
    pub(super) fn new(writer: Redis, replicas: Vec<Redis>, fail_over: bool, spawner: Arc<dyn Spawner>) -> Self {
        Self { servers: Arc::new(Servers { writer, replicas, dice: Dice::new() }), fail_over, spawner }
    }

    fn writer(&self) -> &Redis {
        &self.servers.writer
    }

    fn reader(&self) -> &Redis {
        self.servers.reader()
    }
}

impl Numbered for Servers {
    fn server(&self, number: usize) -> Option<&dyn Backend> {
        self.numbered(number).map(|server| server as &dyn Backend)
    }

    fn count(&self) -> usize {
        1 + self.replicas.len()
    }

    fn roll(&self, sides: usize) -> usize {
        self.dice.pick(sides)
    }
}

impl Servers {
    /// Any replica, each as likely. One whose breaker is open is passed over for another, and for the writer where all
    /// are.
    fn reader(&self) -> &Redis {
        self.numbered(self.choose()).unwrap_or(&self.writer)
    }

    /// The number of the server for a read: 0 is the writer.
    fn choose(&self) -> usize {
        let first = self.dice.pick(self.replicas.len());
        let usable = |index: &usize| self.replicas.get(*index).is_some_and(|server| !server.rests());
        if usable(&first) {
            return first + 1;
        }
        // Among those that are left each is as likely again.
        let left: Vec<_> = (0..self.replicas.len()).filter(usable).collect();
        left.get(self.dice.pick(left.len())).map_or(0, |index| index + 1)
    }

    fn numbered(&self, number: usize) -> Option<&Redis> {
        number.checked_sub(1).map_or(Some(&self.writer), |index| self.replicas.get(index))
    }

    /// The server for the page of a listing that begins `at`, its number, and where that is for the server. All pages of
    /// a listing come from one.
    fn lister(&self, at: u64) -> Result<(&Redis, usize, u64)> {
        let (number, at) = match at {
            0 => (Some(self.choose()).filter(|number| *number <= listing::LAST).unwrap_or(0), 0),
            at => listing::parts(at),
        };
        Ok((self.numbered(number).ok_or_else(listing::nowhere)?, number, at))
    }
}

/// A page of a server's listing, with the server's number in front of where the next one begins.
fn numbered(page: Page, number: usize) -> Result<Page> {
    let next = page.next.map(|next| listing::cursor(number, next)).transpose()?;
    Ok(Page { keys: page.keys, next })
}

impl Backend for Replicated {
    fn supports(&self, capability: Capability) -> bool {
        self.writer().supports(capability)
    }

    fn habits(&self) -> Habits {
        self.writer().habits()
    }

    fn get(&self, key: &MadeKey, budget: Budget) -> Result<Option<Stored>> {
        self.reader().get(key, budget)
    }

    fn set(&self, key: &MadeKey, value: StoredRef<'_>, ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        let request = Request::Set { key, value, ttl, when };
        if !self.fail_over || !fail_over::is_tried_again(&request) {
            return self.writer().set(key, value, ttl, when, budget);
        }
        match fail_over::call(&*self.servers, &request, budget)? {
            Reply::Written(written) => Ok(written),
            _ => Err(crate::backend::request::unexpected()),
        }
    }

    fn touch(&self, key: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched> {
        self.writer().touch(key, ttl, budget)
    }

    fn delete(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        self.writer().delete(key, budget)
    }

    fn has(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        self.reader().has(key, budget)
    }

    fn get_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Stored>>> {
        self.reader().get_many(keys, budget)
    }

    fn set_many(&self, entries: &[Entry], ttl: Ttl, budget: Budget) -> Result<Vec<Option<Error>>> {
        self.writer().set_many(entries, ttl, budget)
    }

    fn delete_many(&self, keys: &[MadeKey], budget: Budget) -> Result<u64> {
        self.writer().delete_many(keys, budget)
    }

    fn ttl(&self, key: &MadeKey, budget: Budget) -> Result<Option<Ttl>> {
        self.reader().ttl(key, budget)
    }

    fn persist(&self, key: &MadeKey, budget: Budget) -> Result<Touched> {
        self.writer().persist(key, budget)
    }

    fn incr(&self, key: &MadeKey, delta: i64, budget: Budget) -> Result<Counted> {
        self.writer().incr(key, delta, budget)
    }

    fn expire_at(&self, key: &MadeKey, at_ms: i64, budget: Budget) -> Result<Touched> {
        self.writer().expire_at(key, at_ms, budget)
    }

    fn lock(&self, key: &MadeKey, token: &[u8], action: LockAction, budget: Budget) -> Result<bool> {
        self.writer().lock(key, token, action, budget)
    }

    fn delete_pattern(&self, pattern: &[u8], budget: Budget) -> Result<u64> {
        self.writer().delete_pattern(pattern, budget) // replicas may not know of all keys yet
    }

    fn scan(&self, pattern: &[u8], at: u64, budget: Budget) -> Result<Page> {
        let (server, number, at) = self.servers.lister(at)?;
        numbered(server.scan(pattern, at, budget)?, number)
    }

    fn clear(&self, prefix: Option<&[u8]>, budget: Budget) -> Result<()> {
        self.writer().clear(prefix, budget)
    }

    fn ping(&self, budget: Budget) -> Result<()> {
        self.writer().ping(budget)
    }

    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        match request {
            Request::Get(_)
            | Request::Has(_)
            | Request::GetMany(_)
            | Request::Ttl(_)
            | Request::Fetch(_)
            | Request::FetchMany(_) => {
                self.reader().start(request, budget, ticket);
            }
            Request::Scan(pattern, at) => match self.servers.lister(at) {
                Ok((server, number, at)) => {
                    let ticket = listing::changing(ticket, move |page| numbered(page, number));
                    server.start(Request::Scan(pattern, at), budget, ticket);
                }
                Err(error) => ticket.answer(Err(error)),
            },
            _ if self.fail_over && fail_over::is_tried_again(&request) => {
                fail_over::start(self.servers.clone(), &self.spawner, &request, budget, ticket);
            }
            _ => self.writer().start(request, budget, ticket),
        }
    }

    fn begin_batch(&self) {
        self.writer().begin_batch();
        self.servers.replicas.iter().for_each(Backend::begin_batch);
    }

    fn end_batch(&self) {
        self.writer().end_batch();
        self.servers.replicas.iter().for_each(Backend::end_batch);
    }

    fn start_job(&self, keys: Keys<'_>, budget: Budget, job: Job) {
        self.writer().start_job(keys, budget, job);
    }

    fn health(&self) -> Vec<Health> {
        std::iter::once(self.writer()).chain(&self.servers.replicas).flat_map(Redis::health).collect()
    }

    fn latest(&self) -> Option<&dyn Backend> {
        Some(self.writer())
    }
}
