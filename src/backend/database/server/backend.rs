//! What a cache can do, on a server.

use std::sync::Arc;

use super::super::HABITS;
use super::Server;
use super::asked::Asked;
use super::job::{self, Given};
use super::link::Link;
use crate::backend::fence::{self, Scope};
use crate::backend::{
    Backend, Capability, Counted, Entry, Fetched, Habits, Health, Job, Keys, Page, Reply, Request, Stored, StoredRef,
    Ticket, Touched, When, Written,
};
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::timeout::{Budget, Ttl};

impl<L: Link> Backend for Server<L> {
    fn supports(&self, capability: Capability) -> bool {
        !matches!(capability, Capability::Lock | Capability::ExpireAt)
    }

    fn habits(&self) -> Habits {
        HABITS
    }

    fn get(&self, key: &MadeKey, budget: Budget) -> Result<Option<Stored>> {
        match self.ask(&Request::Get(key), budget)? {
            Reply::Value(value) => Ok(value),
            _ => Err(odd()),
        }
    }

    fn fetch(&self, key: &MadeKey, budget: Budget) -> Result<Option<Fetched>> {
        match self.ask(&Request::Fetch(key), budget)? {
            Reply::Fetched(fetched) => Ok(fetched),
            _ => Err(odd()),
        }
    }

    fn set(&self, key: &MadeKey, value: StoredRef<'_>, ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        match self.ask(&Request::Set { key, value, ttl, when }, budget)? {
            Reply::Written(written) => Ok(written),
            _ => Err(odd()),
        }
    }

    fn touch(&self, key: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched> {
        self.touched(&Request::Touch(key, ttl), budget)
    }

    fn delete(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        self.found(&Request::Delete(key), budget)
    }

    fn has(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        self.found(&Request::Has(key), budget)
    }

    fn get_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Stored>>> {
        match self.ask(&Request::GetMany(keys), budget)? {
            Reply::Values(values) => Ok(values),
            _ => Err(odd()),
        }
    }

    fn fetch_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Fetched>>> {
        match self.ask(&Request::FetchMany(keys), budget)? {
            Reply::FetchedMany(fetched) => Ok(fetched),
            _ => Err(odd()),
        }
    }

    fn set_many(&self, entries: &[Entry], ttl: Ttl, budget: Budget) -> Result<Vec<Option<Error>>> {
        match self.ask(&Request::SetMany(entries, ttl), budget)? {
            Reply::Failures(failures) => Ok(failures),
            _ => Err(odd()),
        }
    }

    fn delete_many(&self, keys: &[MadeKey], budget: Budget) -> Result<u64> {
        self.removed(&Request::DeleteMany(keys), budget)
    }

    fn ttl(&self, key: &MadeKey, budget: Budget) -> Result<Option<Ttl>> {
        match self.ask(&Request::Ttl(key), budget)? {
            Reply::Left(left) => Ok(left),
            _ => Err(odd()),
        }
    }

    fn persist(&self, key: &MadeKey, budget: Budget) -> Result<Touched> {
        self.touched(&Request::Persist(key), budget)
    }

    fn scan(&self, pattern: &[u8], at: u64, budget: Budget) -> Result<Page> {
        match self.ask(&Request::Scan(pattern, at), budget)? {
            Reply::Page(page) => Ok(page),
            _ => Err(odd()),
        }
    }

    fn clear(&self, prefix: Option<&[u8]>, budget: Budget) -> Result<()> {
        self.ask(&Request::Clear(prefix), budget).map(drop)
    }

    fn purge_expired(&self, budget: Budget) -> Result<u64> {
        self.removed(&Request::PurgeExpired, budget)
    }

    fn create_table(&self, budget: Budget) -> Result<()> {
        self.call(Asked::CreateTable, budget).map(drop)
    }

    fn table_sql(&self) -> Result<String> {
        Ok(self.shared()?.table.dialect.create_text.clone())
    }

    fn ping(&self, budget: Budget) -> Result<()> {
        self.ask(&Request::Ping, budget).map(drop)
    }

    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        if let Request::Incr(..) = request {
            return ticket.answer(Ok(Reply::Counted(Counted::ByStore))); // O-3
        }
        let begun = self.shared().and_then(|shared| {
            let asked = Asked::copy(&request)?;
            let place = shared.line.enter(asked.scope(), asked.bytes())?;
            Ok((shared, asked, place))
        });
        match begun {
            Ok((shared, asked, place)) => shared.spawn(Some(place), asked, budget.start(), ticket),
            Err(error) => ticket.answer(Err(error)),
        }
    }

    fn start_job(&self, keys: Keys<'_>, budget: Budget, job: Job) {
        let scope = match keys {
            Keys::These(keys) => Scope::of(keys.iter().map(|key| fence::number(key.as_bytes()))),
            Keys::All => Scope::Everything,
        };
        let begun = self.shared().and_then(|shared| {
            shared.spawner.prepare()?;
            Ok((shared, shared.line.enter(scope, 0)?))
        });
        match begun {
            Ok((shared, (place, turn))) => {
                let task = job::run(shared.spawner.clone(), place, turn, budget.start(), Given::new(job));
                let _ = shared.spawner.spawn(Box::pin(task)); // a task that is dropped refuses its job
            }
            Err(error) => job(Err(error)),
        }
    }

    fn health(&self) -> Vec<Health> {
        self.shared().map(|shared| vec![shared.pool.health(&shared.shown)]).unwrap_or_default()
    }
}

impl<L: Link> Server<L> {
    fn found(&self, request: &Request<'_>, budget: Budget) -> Result<bool> {
        match self.ask(request, budget)? {
            Reply::Found(found) => Ok(found),
            _ => Err(odd()),
        }
    }

    fn touched(&self, request: &Request<'_>, budget: Budget) -> Result<Touched> {
        match self.ask(request, budget)? {
            Reply::Touched(touched) => Ok(touched),
            _ => Err(odd()),
        }
    }

    fn removed(&self, request: &Request<'_>, budget: Budget) -> Result<u64> {
        match self.ask(request, budget)? {
            Reply::Removed(count) => Ok(count),
            _ => Err(odd()),
        }
    }
}

impl<L: Link> Drop for Server<L> {
    /// Says good-bye over the connections that rest, as far as the runtime still runs; in a forked child nothing.
    fn drop(&mut self) {
        let Ok(shared) = self.shared() else { return };
        let idle = shared.pool.take_all();
        if idle.is_empty() {
            return;
        }
        let close = async move {
            for link in idle {
                link.close().await;
            }
        };
        let _ = Arc::clone(&shared.spawner).spawn(Box::pin(close));
    }
}

/// A reply to something else.
fn odd() -> Error {
    Error::new(Kind::Panic, "an operation was given the answer to another one")
}
