//! The table in a SQLite database: on the caller's own thread, through prepared statements.
//!
//! The file is shared with Python processes and other programs by SQLite's own locks; no setting that the file keeps is
//! changed (its journal mode, for one), and no file is made unless [`Backend::create_table`] is asked for. Each operation
//! is one statement or one transaction. One that meets somebody else's lock waits until `timeout` (OPTIONS) or its
//! deadline, whichever is sooner; one that fails has changed nothing.
//!
//! What [`Backend::start`] begins runs in a lane, in order, off the caller's thread.

mod fault;
mod link;
mod pool;
mod table;

use std::sync::Arc;

use self::table::Table;
use super::Bounds;
use crate::backend::lane::Lane;
use crate::backend::{
    Backend, Capability, Entry, Fetched, Habits, Job, Keys, Page, Request, Spawner, Stored, StoredRef, Ticket, Touched,
    When, Written, glob,
};
use crate::config;
use crate::error::{Error, Result};
use crate::key::MadeKey;
use crate::timeout::{Budget, Ttl};

/// A cache in a table of a SQLite database.
///
/// MAX_ENTRIES is kept as Django keeps it by a single writer, which culls before a write that finds more rows. With `k`
/// writers (processes, or stores of one process) there can be `k × max(1, MAX_ENTRIES / 16)` rows more, and one for each
/// write that is under way.
#[derive(Clone)]
pub struct Sqlite {
    table: Arc<Table>,
    lane: Arc<Lane>,
}

impl Sqlite {
    /// The cache in LOCATION `table` of a database.
    pub fn open(
        database: config::Sqlite,
        table: &str,
        times: &config::Times,
        connections: usize,
        bounds: Bounds,
        spawner: Arc<dyn Spawner>,
    ) -> Result<Self> {
        let table = Table::new(database, table, times, connections, bounds)?;
        Ok(Self { table: Arc::new(table), lane: Arc::new(Lane::new(spawner)) })
    }
}

impl Backend for Sqlite {
    fn supports(&self, capability: Capability) -> bool {
        !matches!(capability, Capability::Lock | Capability::ExpireAt)
    }

    fn habits(&self) -> Habits {
        super::HABITS
    }

    fn get(&self, key: &MadeKey, budget: Budget) -> Result<Option<Stored>> {
        Ok(self.fetch(key, budget)?.map(|fetched| fetched.value))
    }

    fn fetch(&self, key: &MadeKey, budget: Budget) -> Result<Option<Fetched>> {
        self.table.fetch(key, budget)
    }

    fn set(&self, key: &MadeKey, value: StoredRef<'_>, ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        self.table.set(key, value.bytes, ttl, when, budget)
    }

    fn touch(&self, key: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched> {
        self.table.touch(key, ttl, budget)
    }

    fn delete(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        self.table.delete(key, budget)
    }

    fn has(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        self.table.has(key, budget)
    }

    fn get_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Stored>>> {
        let fetched = self.table.fetch_many(keys, budget)?;
        Ok(fetched.into_iter().map(|one| one.map(|fetched| fetched.value)).collect())
    }

    fn fetch_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Fetched>>> {
        self.table.fetch_many(keys, budget)
    }

    fn set_many(&self, entries: &[Entry], ttl: Ttl, budget: Budget) -> Result<Vec<Option<Error>>> {
        self.table.set_many(entries, ttl, budget)?;
        Ok(vec![None; entries.len()])
    }

    fn delete_many(&self, keys: &[MadeKey], budget: Budget) -> Result<u64> {
        self.table.delete_many(keys, budget)
    }

    fn ttl(&self, key: &MadeKey, budget: Budget) -> Result<Option<Ttl>> {
        self.table.ttl(key, budget)
    }

    fn persist(&self, key: &MadeKey, budget: Budget) -> Result<Touched> {
        self.table.persist(key, budget)
    }

    fn scan(&self, pattern: &[u8], at: u64, budget: Budget) -> Result<Page> {
        self.table.keys(&|key| glob::matches(pattern, key), at, budget)
    }

    fn clear(&self, prefix: Option<&[u8]>, budget: Budget) -> Result<()> {
        self.table.clear(prefix, budget)
    }

    fn purge_expired(&self, budget: Budget) -> Result<u64> {
        self.table.purge(budget)
    }

    fn create_table(&self, budget: Budget) -> Result<()> {
        self.table.create(budget)
    }

    fn table_sql(&self) -> Result<String> {
        Ok(self.table.sql())
    }

    fn ping(&self, budget: Budget) -> Result<()> {
        self.table.check(budget)
    }

    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        self.lane.start(self, &request, budget, ticket);
    }

    fn start_job(&self, _keys: Keys<'_>, budget: Budget, job: Job) {
        self.lane.start_job(budget, job);
    }
}
