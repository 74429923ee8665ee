//! The sharded table: one lock per shard, exact least-recently-used culling over all of them (L-3, L-4).

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use super::cull::{self, Victims};
use super::entry::{Entry, Record, no_memory};
use crate::backend::clock::{self, Nanos};
use crate::backend::{Change, When};
use crate::config::Culling;
use crate::error::Result;
use crate::lock::{Mutex, MutexGuard};

const SHARDS: usize = 64;

/// A shard's entries, on cache lines of its own.
#[repr(align(64))]
#[derive(Default)]
struct Shard(Mutex<HashTable<Entry>>);

/// All shards, locked in their order.
pub(super) type Locked<'a> = SmallVec<[MutexGuard<'a, HashTable<Entry>>; SHARDS]>;

/// What a write took out of the table. It is dropped after the locks, since freeing many values takes long.
#[derive(Default)]
pub(super) struct Removed {
    pub entries: Vec<Entry>,
    pub shards: Vec<HashTable<Entry>>,
}

/// One named table.
pub struct Table {
    hasher: DefaultHashBuilder,
    shards: Box<[Shard]>,
    /// The number of entries, expired ones included. Changed only under a shard's lock.
    pub(super) len: AtomicUsize,
    ticks: AtomicU64,
    victims: Mutex<Victims>,
}

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            shards: std::iter::repeat_with(Shard::default).take(SHARDS).collect(),
            len: AtomicUsize::new(0),
            ticks: AtomicU64::new(0),
            victims: Mutex::default(),
        }
    }

    /// Shows a live entry and counts that as a use (L-3). An expired one goes (L-5).
    pub fn use_entry<T>(&self, key: &[u8], show: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.visit(key, |entry| {
            entry.stamp = self.tick();
            show(entry)
        })
    }

    /// Whether a live entry is there; not a use (L-3). An expired one goes (L-5).
    pub fn has(&self, key: &[u8]) -> bool {
        self.visit(key, |_| ()).is_some()
    }

    /// Replaces a value by what `change` makes of it, keeping its deadline; a use (L-3). An expired entry goes (L-5).
    pub fn update(&self, key: &[u8], change: Change<'_>) -> Result<bool> {
        // The old record leaves the closure, and so the lock, before it is dropped.
        let changed = self.visit(key, |entry| {
            let record = Record::new(key, &change(entry.record.value().into())?.bytes)?;
            entry.stamp = self.tick();
            Ok(std::mem::replace(&mut entry.record, record))
        });
        changed.transpose().map(|old| old.is_some())
    }

    /// Gives a live entry another deadline; not a use (L-3), and an expired entry stays until something else meets it.
    pub fn touch(&self, key: &[u8], deadline: Nanos) -> bool {
        let hash = self.hash(key);
        let mut shard = self.shard(hash).lock();
        match shard.find_mut(hash, |entry| entry.record.key() == key) {
            Some(entry) if !clock::has_passed(entry.deadline) => {
                entry.deadline = deadline;
                true
            }
            _ => false,
        }
    }

    /// The deadline of an entry, passed or not.
    pub fn deadline(&self, key: &[u8]) -> Option<Nanos> {
        let hash = self.hash(key);
        self.shard(hash).lock().find(hash, |entry| entry.record.key() == key).map(|entry| entry.deadline)
    }

    /// Removes an entry; true also for an expired one.
    pub fn delete(&self, key: &[u8]) -> bool {
        let hash = self.hash(key);
        let mut shard = self.shard(hash).lock();
        let removed = self.take(&mut shard, hash, key);
        drop(shard);
        removed.is_some()
    }

    /// Writes a record if `when` allows; whether it did. Culls before it where the table is full, also when it
    /// overwrites (L-4).
    pub fn write(&self, record: Record, deadline: Nanos, when: When, culling: Culling) -> Result<bool> {
        let hash = self.hash(record.key());
        let limit = usize::try_from(culling.max_entries).unwrap_or(0);
        let mut shard = self.shard(hash).lock();
        if !Self::allows(&shard, hash, record.key(), when) {
            return Ok(false);
        }
        // A place is taken before it is filled, so that writers in other shards cannot take the same last one.
        if self.len.fetch_add(1, Ordering::Relaxed) < limit {
            let placed = self.place(&mut shard, hash, record, deadline);
            if !matches!(placed, Ok(None)) {
                self.len.fetch_sub(1, Ordering::Relaxed);
            }
            drop(shard);
            return placed.map(|_| true);
        }
        self.len.fetch_sub(1, Ordering::Relaxed);
        drop(shard);
        self.write_into_full(hash, record, deadline, when, culling)
    }

    /// The slow way of [`Table::write`]: with all shards locked, so that the limit is kept exactly.
    fn write_into_full(
        &self,
        hash: u64,
        record: Record,
        deadline: Nanos,
        when: When,
        culling: Culling,
    ) -> Result<bool> {
        let mut removed = Removed::default();
        let mut all = self.lock_all();
        if !Self::allows(nth(&mut all, hash), hash, record.key(), when) {
            return Ok(false);
        }
        if self.len.load(Ordering::Relaxed) >= usize::try_from(culling.max_entries).unwrap_or(0) {
            cull::cull(self, &mut all, &mut self.victims.lock(), culling.frequency, &mut removed)?;
        }
        let old = self.place(nth(&mut all, hash), hash, record, deadline)?;
        if old.is_none() {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
        drop(all);
        drop((old, removed));
        Ok(true)
    }

    /// Every live key for which `wanted` holds.
    pub fn keys(&self, mut wanted: impl FnMut(&[u8]) -> bool) -> Result<Vec<Vec<u8>>> {
        let now = clock::now();
        let mut keys = Vec::new();
        for shard in &self.shards {
            for entry in shard.0.lock().iter() {
                let key = entry.record.key();
                if entry.deadline > now && wanted(key) {
                    let mut copy = Vec::new();
                    copy.try_reserve_exact(key.len()).map_err(|_| no_memory())?;
                    copy.extend_from_slice(key);
                    keys.try_reserve(1).map_err(|_| no_memory())?;
                    keys.push(copy);
                }
            }
        }
        Ok(keys)
    }

    /// Removes the entries for which `unwanted` holds; how many.
    pub fn remove_where(&self, mut unwanted: impl FnMut(&Entry) -> bool) -> u64 {
        let mut count = 0;
        for shard in &self.shards {
            let mut shard = shard.0.lock();
            let removed: Vec<Entry> = shard.extract_if(|entry| unwanted(entry)).collect();
            self.len.fetch_sub(removed.len(), Ordering::Relaxed);
            drop(shard);
            count += u64::try_from(removed.len()).unwrap_or(u64::MAX);
        }
        count
    }

    /// Removes everything, at one moment.
    pub fn clear(&self) {
        let mut removed = Removed::default();
        let mut all = self.lock_all();
        self.empty(&mut all, &mut removed);
        drop(all);
        drop(removed);
    }

    pub(super) fn empty(&self, all: &mut Locked<'_>, removed: &mut Removed) {
        removed.shards.extend(all.iter_mut().map(|shard| std::mem::take(&mut **shard)));
        self.len.store(0, Ordering::Relaxed);
    }

    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Runs `visit` on a live entry, under its lock. An expired one is removed.
    fn visit<T>(&self, key: &[u8], visit: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let hash = self.hash(key);
        let mut shard = self.shard(hash).lock();
        let entry = shard.find_mut(hash, |entry| entry.record.key() == key)?;
        if !clock::has_passed(entry.deadline) {
            return Some(visit(entry));
        }
        let removed = self.take(&mut shard, hash, key);
        drop(shard);
        drop(removed);
        None
    }

    fn allows(shard: &HashTable<Entry>, hash: u64, key: &[u8], when: When) -> bool {
        if when == When::Always {
            return true;
        }
        let stored = shard.find(hash, |entry| entry.record.key() == key);
        let live = stored.is_some_and(|entry| !clock::has_passed(entry.deadline));
        live == (when == When::Present)
    }

    /// Puts a record in its place, as the most recently used; gives back what was there. Does not count.
    fn place(&self, shard: &mut HashTable<Entry>, hash: u64, record: Record, deadline: Nanos) -> Result<Option<Entry>> {
        let stamp = self.tick();
        if let Some(entry) = shard.find_mut(hash, |entry| entry.record.key() == record.key()) {
            return Ok(Some(std::mem::replace(entry, Entry { record, deadline, stamp })));
        }
        let hasher = |entry: &Entry| self.hash(entry.record.key());
        shard.try_reserve(1, hasher).map_err(|_| no_memory())?;
        shard.insert_unique(hash, Entry { record, deadline, stamp }, hasher);
        Ok(None)
    }

    fn take(&self, shard: &mut HashTable<Entry>, hash: u64, key: &[u8]) -> Option<Entry> {
        let found = shard.find_entry(hash, |entry| entry.record.key() == key).ok()?;
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(found.remove().0)
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }

    fn lock_all(&self) -> Locked<'_> {
        self.shards.iter().map(|shard| shard.0.lock()).collect()
    }

    #[allow(clippy::indexing_slicing)] // there are SHARDS shards, and the position is below that
    fn shard(&self, hash: u64) -> &Mutex<HashTable<Entry>> {
        &self.shards[position(hash)].0
    }
}

/// The shard of a hash among the locked ones.
#[allow(clippy::indexing_slicing)] // as above
pub(super) fn nth<'a>(all: &'a mut Locked<'_>, hash: u64) -> &'a mut HashTable<Entry> {
    &mut all[position(hash)]
}

/// Where a hash belongs. The middle bits: the table within a shard uses the others.
fn position(hash: u64) -> usize {
    let [_, _, _, _, middle, ..] = hash.to_le_bytes();
    usize::from(middle) % SHARDS
}
