//! The named tables of the process (L-1): aliases with the same LOCATION share one.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::table::Table;
use crate::lock::Mutex;
use crate::sys::{self, GENERATIONS, PerGeneration};

/// All tables.
#[derive(Default)]
pub struct Tables {
    /// By name. They live as long as someone holds this.
    named: Mutex<HashMap<String, Arc<Table>>>,
    /// By number. They live as long as someone uses them.
    private: Mutex<HashMap<u64, Weak<Table>>>,
}

/// The registry as one generation of the process sees it.
struct Slot {
    generation: u32,
    tables: Weak<Tables>,
}

static SLOTS: PerGeneration<Mutex<Slot>> =
    PerGeneration::new([const { Mutex::new(Slot { generation: 0, tables: Weak::new() }) }; GENERATIONS]);

impl Tables {
    /// The registry of this process, shared by all contexts; a new one when nobody holds it. A forked child begins
    /// with empty tables, and its parent's stay as they are, never touched.
    pub fn shared() -> Arc<Self> {
        sys::watch_forks();
        let generation = sys::generation();
        let mut slot = SLOTS.get().lock();
        if slot.generation != generation {
            std::mem::forget(std::mem::take(&mut slot.tables));
            slot.generation = generation;
        }
        slot.tables.upgrade().unwrap_or_else(|| {
            let tables = Arc::new(Self::default());
            slot.tables = Arc::downgrade(&tables);
            tables
        })
    }

    /// Removes all data. Called when the last context goes while stores are still open.
    pub fn clear(&self) {
        let mut tables: Vec<Arc<Table>> = self.named.lock().values().cloned().collect();
        tables.extend(self.private.lock().values().filter_map(Weak::upgrade));
        for table in tables {
            table.clear();
        }
    }

    /// The table with this name, made when it is new.
    pub(super) fn named(&self, name: &str) -> Arc<Table> {
        let mut tables = self.named.lock();
        if let Some(table) = tables.get(name) {
            return table.clone();
        }
        let table = Arc::new(Table::new());
        tables.insert(name.to_owned(), table.clone());
        table
    }

    /// The table with this number, made where nobody uses it.
    pub(super) fn private(&self, id: u64) -> Arc<Table> {
        let mut tables = self.private.lock();
        if let Some(table) = tables.get(&id).and_then(Weak::upgrade) {
            return table;
        }
        tables.retain(|_, table| table.strong_count() > 0);
        let table = Arc::new(Table::new());
        tables.insert(id, Arc::downgrade(&table));
        table
    }
}
