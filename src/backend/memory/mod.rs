//! Django's LocMemCache (contract 1.6): values in this process, shared by name.
//!
//! Every operation runs on the caller's thread and takes one short lock; a cull takes all shards of the table. Values
//! are kept serialised (L-2), so that callers never share objects.

mod cull;
mod entry;
mod table;
mod tables;

use std::sync::Arc;

use self::entry::Record;
use self::table::Table;
pub use self::tables::Tables;
use super::{
    Backend, Capability, Change, Fetched, Habits, IncrBy, Page, Stored, StoredRef, Touched, When, Written, clock, glob,
};
use crate::config::Culling;
use crate::error::Result;
use crate::key::MadeKey;
use crate::timeout::{Budget, Ttl};

/// A cache in this process's memory. The limit belongs to the alias that writes: another alias may use the same table
/// with another one.
pub struct Memory {
    table: Arc<Table>,
    culling: Culling,
    _tables: Arc<Tables>,
}

impl Memory {
    /// The table `name` of the process (L-1). Its data lives as long as any holder of `tables`.
    pub fn open(tables: &Arc<Tables>, name: &str, culling: Culling) -> Self {
        Self { table: tables.named(name), culling, _tables: tables.clone() }
    }

    /// The table with this number, which only those have who know it. Its data lives as long as one of them.
    pub fn private(tables: &Arc<Tables>, id: u64, culling: Culling) -> Self {
        Self { table: tables.private(id), culling, _tables: tables.clone() }
    }
}

impl Backend for Memory {
    fn supports(&self, capability: Capability) -> bool {
        !matches!(capability, Capability::Lock | Capability::ExpireAt)
    }

    fn habits(&self) -> Habits {
        Habits {
            incr: IncrBy::Update, // L-3: in one step, the expiry stays
            incr_version_keeps_ttl: false,
            none_has_no_version: false,
            counts_seconds: false,
            warns_about_keys: true, // K-6
        }
    }

    fn get(&self, key: &MadeKey, _budget: Budget) -> Result<Option<Stored>> {
        Ok(self.table.use_entry(key.as_bytes(), |entry| entry.record.share_value()).map(Stored::from))
    }

    fn look(&self, key: &MadeKey, _budget: Budget, look: &mut dyn FnMut(StoredRef<'_>)) -> Result<bool> {
        Ok(self.table.use_entry(key.as_bytes(), |entry| look(entry.record.value().into())).is_some())
    }

    fn fetch(&self, key: &MadeKey, _budget: Budget) -> Result<Option<Fetched>> {
        let found = self.table.use_entry(key.as_bytes(), |entry| (entry.record.share_value(), entry.deadline));
        Ok(found.map(|(value, deadline)| Fetched { value: value.into(), left: clock::left(deadline) }))
    }

    fn set(&self, key: &MadeKey, value: StoredRef<'_>, ttl: Ttl, when: When, _budget: Budget) -> Result<Written> {
        let record = Record::new(key.as_bytes(), value.bytes)?;
        let written = self.table.write(record, clock::deadline(ttl), when, self.culling)?;
        Ok(match written {
            false => Written::NotStored,
            true if ttl.is_spent() => Written::NotKept, // T: the entry is there, expired, and counts for culling
            true => Written::Stored,
        })
    }

    fn touch(&self, key: &MadeKey, ttl: Ttl, _budget: Budget) -> Result<Touched> {
        Ok(match self.table.touch(key.as_bytes(), clock::deadline(ttl)) {
            false => Touched::Missing,
            true if ttl.is_spent() => Touched::NotKept,
            true => Touched::Changed,
        })
    }

    fn delete(&self, key: &MadeKey, _budget: Budget) -> Result<bool> {
        Ok(self.table.delete(key.as_bytes()))
    }

    fn has(&self, key: &MadeKey, _budget: Budget) -> Result<bool> {
        Ok(self.table.has(key.as_bytes()))
    }

    fn ttl(&self, key: &MadeKey, _budget: Budget) -> Result<Option<Ttl>> {
        Ok(self.table.deadline(key.as_bytes()).and_then(clock::left))
    }

    fn update(&self, key: &MadeKey, change: Change<'_>, _budget: Budget) -> Result<bool> {
        self.table.update(key.as_bytes(), change)
    }

    fn scan(&self, pattern: &[u8], _at: u64, _budget: Budget) -> Result<Page> {
        Ok(Page { keys: self.table.keys(|key| glob::matches(pattern, key))?, next: None })
    }

    fn clear(&self, prefix: Option<&[u8]>, _budget: Budget) -> Result<()> {
        match prefix {
            None => self.table.clear(),
            Some(prefix) => {
                self.table.remove_where(|entry| entry.record.key().starts_with(prefix));
            }
        }
        Ok(())
    }

    fn purge_expired(&self, _budget: Budget) -> Result<u64> {
        let now = clock::now();
        Ok(self.table.remove_where(|entry| entry.deadline <= now))
    }

    fn ping(&self, _budget: Budget) -> Result<()> {
        Ok(())
    }
}
