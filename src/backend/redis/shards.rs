//! Several servers that have their shares of the keys: django-redis' ShardClient (DR-50 to DR-52).
//!
//! Operations on one key keep their order, since a key has one server; what works on several waits for its turn on each.
//!
//! What django-redis does in a loop over the keys is one round trip to each server here; a server that is away fails a
//! read of several keys as a whole, and of a write only its own keys. Listings, which ShardClient has as `keys` only,
//! go through all servers, one after the other.

use std::sync::Arc;

use super::ring::Ring;
use super::{Redis, listing};
use crate::backend::net::{Spread, Turns, Whole, divide};
use crate::backend::request::by_call;
use crate::backend::{
    Backend, Capability, Counted, Entry, Habits, Health, Job, Keys, Order, Page, Reply, Request, Spawner, Stored,
    StoredRef, Ticket, Touched, When, Written, perform,
};
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::timeout::{Budget, Ttl};

/// The servers of a ring, one at least.
pub(super) struct Sharded {
    ring: Ring,
    first: Arc<Redis>,
    servers: Arc<[Arc<Redis>]>,
    turns: Turns,
    spawner: Arc<dyn Spawner>,
}

impl Sharded {
    /// Over these servers, whose URLs are written like this. One that is written twice is one, as in Python.
    pub(super) fn new(
        first: (Redis, String),
        others: impl Iterator<Item = (Redis, String)>,
        spawner: Arc<dyn Spawner>,
    ) -> Self {
        let (first, url) = (Arc::new(first.0), first.1);
        let (mut servers, mut urls) = (vec![first.clone()], vec![url]);
        for (server, url) in others {
            if !urls.contains(&url) {
                servers.push(Arc::new(server));
                urls.push(url);
            }
        }
        let ring = Ring::new(urls.iter().map(String::as_str));
        Self { ring, first, servers: servers.into(), turns: Turns::default(), spawner }
    }

    /// The server of a key.
    fn of(&self, key: &MadeKey) -> &Arc<Redis> {
        self.servers.get(self.ring.server_of(key.as_bytes())).unwrap_or(&self.first)
    }

    /// What becomes of a request that is neither about one key nor a listing.
    fn spread(&self, request: &Request<'_>) -> Result<Spread<Redis>> {
        let locate = |key: &MadeKey| Ok((self.of(key), key.clone()));
        Ok(match *request {
            Request::GetMany(keys) => {
                let whole = |places| Whole::of_values(keys.len(), places, false);
                Spread::of(divide(keys, locate)?, Order::GetMany, whole)
            }
            Request::FetchMany(keys) => {
                let whole = |places| Whole::of_fetched(keys.len(), places);
                Spread::of(divide(keys, locate)?, Order::FetchMany, whole)
            }
            Request::SetMany(entries, ttl) => {
                let parts = divide(entries, |entry: &Entry| Ok((self.of(&entry.key), entry.clone())))?;
                let whole = |places| Whole::of_writes(entries.len(), places);
                Spread::of(parts, |entries| Order::SetMany(entries, ttl), whole)
            }
            Request::DeleteMany(keys) => {
                let whole = |places: Vec<_>| Whole::of_removals(places.len(), false);
                Spread::of(divide(keys, locate)?, Order::DeleteMany, whole)
            }
            Request::PurgeExpired => Spread::of_nothing(),
            _ => Spread::to_all(&self.servers, &Order::copy(request)?),
        })
    }

    /// The server for the page of a listing that begins `at`, its number, and where that is for the server.
    fn lister(&self, at: u64) -> Result<(&Arc<Redis>, usize, u64)> {
        if self.servers.len() > listing::LAST + 1 {
            return Err(Error::new(Kind::Unsupported, "there are too many servers for one listing"));
        }
        let (number, at) = listing::parts(at);
        Ok((self.servers.get(number).ok_or_else(listing::nowhere)?, number, at))
    }

    fn call(&self, request: &Request<'_>, budget: Budget) -> Result<Reply> {
        if let Some(key) = request.key() {
            return perform(&**self.of(key), request, budget);
        }
        if let Request::Scan(pattern, at) = *request {
            let (server, number, at) = self.lister(at)?;
            return onwards(server.scan(pattern, at, budget)?, number, self.servers.len()).map(Reply::Page);
        }
        self.spread(request)?.ask(|server| server, budget)
    }
}

/// A page of one server's listing as one of all: behind its end comes the next server.
fn onwards(page: Page, number: usize, servers: usize) -> Result<Page> {
    let next = match page.next {
        Some(next) => Some(listing::cursor(number, next)?),
        None if number + 1 < servers => Some(listing::cursor(number + 1, 0)?),
        None => None,
    };
    Ok(Page { keys: page.keys, next })
}

impl Backend for Sharded {
    fn supports(&self, capability: Capability) -> bool {
        self.first.supports(capability)
    }

    fn habits(&self) -> Habits {
        self.first.habits()
    }

    by_call!();

    /// On every server whatever it has, as in DR-52: also what is not where the ring would have it.
    fn delete_pattern(&self, pattern: &[u8], budget: Budget) -> Result<u64> {
        let budget = budget.fixed();
        self.servers.iter().try_fold(0, |removed, server| {
            let more = server.delete_pattern(pattern, budget).map_err(|error| {
                let reason = format!("{}; on other servers {removed} were removed", error.reason());
                if removed == 0 { error } else { error.with_reason(reason) }
            })?;
            Ok(removed + more)
        })
    }

    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        if let Some(key) = request.key() {
            return self.of(key).start(request, budget, ticket);
        }
        if let Request::Scan(pattern, at) = request {
            let (server, number, at) = match self.lister(at) {
                Ok(place) => place,
                Err(error) => return ticket.answer(Err(error)),
            };
            let servers = self.servers.len();
            let ticket = listing::changing(ticket, move |page| onwards(page, number, servers));
            return server.start(Request::Scan(pattern, at), budget, ticket);
        }
        match self.spread(&request) {
            Ok(spread) => spread.begin(|server| server, budget, ticket),
            Err(error) => ticket.answer(Err(error)),
        }
    }

    fn start_job(&self, keys: Keys<'_>, budget: Budget, job: Job) {
        let parts = match keys {
            Keys::All => Turns::on_all(&self.servers),
            Keys::These(keys) => Turns::on(keys.iter().map(|key| (self.of(key), key.clone()))),
        };
        self.turns.start(&parts, |server| server, budget, &self.spawner, job);
    }

    fn begin_batch(&self) {
        self.servers.iter().for_each(|server| server.begin_batch());
    }

    fn end_batch(&self) {
        self.servers.iter().for_each(|server| server.end_batch());
    }

    fn health(&self) -> Vec<Health> {
        self.servers.iter().flat_map(|server| server.health()).collect()
    }
}
