//! What a near cache holds: a sharded table with a limit of entries and of bytes, which knows what must not get in.
//!
//! Each shard has one short lock. Under it lie the entries, the counters of hits, and for each of 64 stripes of keys an
//! epoch, which changes whenever one of them was said to have changed, and the number of writes that are under way. Who
//! is about to read from the server takes a [`Token`] with the epochs; what was read gets in only if they are still the
//! same. So a change that is told while a read is under way wins, and nothing is noted for each reader.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::backend::NearStats;
use crate::backend::clock::{self, Nanos};
use crate::lock::Mutex;
use crate::timeout::Ttl;

const SHARDS: usize = 64;
/// The stripes of each shard. Keys of one stripe share an epoch: a change of one keeps a read of another out, which
/// costs that read's value its place until it is read again.
const STRIPES: usize = 64;
/// What an entry takes beside its key and its value.
const AROUND: usize = 120;
/// A value may take at most this part of all bytes.
const LARGEST_PART: usize = 8;

/// The most that it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Entries.
    pub(super) entries: usize,
    /// Bytes.
    pub(super) bytes: usize,
}

/// Values by key, and which server each is from.
pub(super) struct Table {
    hasher: DefaultHashBuilder,
    shards: Box<[Shard]>,
    limits: Limits,
    entries: AtomicUsize,
    bytes: AtomicUsize,
    /// The shard that gives something up next.
    hand: AtomicUsize,
    evicted: AtomicU64,
}

/// A shard, on cache lines of its own.
#[repr(align(64))]
struct Shard(Mutex<Inside>);

struct Inside {
    entries: HashTable<Entry>,
    hits: u64,
    misses: u64,
    stripes: [Stripe; STRIPES],
    /// Changes when everything in it goes.
    epoch: u64,
    /// Writes of who knows what that are under way.
    writing: u32,
    /// The bucket that is looked at next for something to give up.
    hand: usize,
}

#[derive(Clone, Copy, Default)]
struct Stripe {
    epoch: u64,
    writing: u32,
}

/// A value, and how long it may be used.
pub(super) struct Entry {
    /// The key, and the value behind it.
    record: Bytes,
    key_size: usize,
    /// From then on it is not used here.
    deadline: Nanos,
    /// From then on its server does not have it.
    ends: Nanos,
    server: usize,
    /// Since it was last passed over for eviction.
    used: bool,
}

/// The right to put in what is read from now on, if nothing changes meanwhile.
pub(super) struct Token {
    hash: u64,
    epoch: u64,
    stripe: u64,
    server: usize,
    /// When the read began.
    began: Nanos,
}

impl Token {
    /// When the read began.
    pub(super) fn began(&self) -> Nanos {
        self.began
    }
}

impl Entry {
    fn key(&self) -> &[u8] {
        self.record.get(..self.key_size).unwrap_or_default()
    }

    /// The value.
    pub(super) fn value(&self) -> &[u8] {
        self.record.get(self.key_size..).unwrap_or_default()
    }

    /// The value, shared.
    pub(super) fn share_value(&self) -> Bytes {
        self.record.slice(self.key_size..)
    }

    /// What is left until its server does not have it any more; `None` where that has passed.
    pub(super) fn left(&self) -> Option<Ttl> {
        clock::left(self.ends)
    }

    fn size(&self) -> usize {
        self.record.len() + AROUND
    }
}

impl Inside {
    fn find(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        self.entries.find_mut(hash, |entry| entry.key() == key)
    }

    fn take(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        self.entries.find_entry(hash, |entry| entry.key() == key).ok().map(|found| found.remove().0)
    }

    /// One to give up: the first that was not used since the hand last came by, or whose time has passed.
    fn victim(&mut self) -> Option<Entry> {
        let buckets = self.entries.num_buckets();
        for _ in 0..buckets.saturating_mul(2) {
            let at = self.hand % buckets;
            self.hand = at + 1;
            let Some(entry) = self.entries.get_bucket_mut(at) else { continue };
            if std::mem::take(&mut entry.used) && !clock::has_passed(entry.deadline) {
                continue;
            }
            return self.entries.get_bucket_entry(at).ok().map(|found| found.remove().0);
        }
        None
    }
}

impl Table {
    /// An empty one.
    pub(super) fn new(limits: Limits) -> Self {
        let inside = || Inside {
            entries: HashTable::new(),
            hits: 0,
            misses: 0,
            stripes: [Stripe::default(); STRIPES],
            epoch: 0,
            writing: 0,
            hand: 0,
        };
        Self {
            hasher: DefaultHashBuilder::default(),
            shards: std::iter::repeat_with(|| Shard(Mutex::new(inside()))).take(SHARDS).collect(),
            limits,
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    /// What stands for a key in the other methods.
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Shows the key's entry, if it is there and its time has not passed, nor the moment up to which `until` says that the
    /// entries of its server may be used.
    pub(super) fn look<T>(
        &self,
        key: &[u8],
        until: impl FnOnce(usize) -> Nanos,
        show: impl FnOnce(&Entry) -> T,
    ) -> Option<T> {
        let hash = self.hash(key);
        let mut shard = self.shard(hash).lock();
        let entry = shard.find(hash, key)?;
        if clock::has_passed(entry.deadline.min(until(entry.server))) {
            return None; // it stays for the case that its server answers again; a new one takes its place
        }
        entry.used = true;
        let shown = show(entry);
        shard.hits += 1;
        Some(shown)
    }

    /// To be called before a key that is not there is read from its server; `None` while it is being written.
    pub(super) fn begin(&self, key: &[u8], server: usize) -> Option<Token> {
        let hash = self.hash(key);
        let began = clock::now();
        let mut shard = self.shard(hash).lock();
        shard.misses += 1;
        let stripe = shard.stripes.get(stripe(hash)).copied()?;
        let free = shard.writing == 0 && stripe.writing == 0;
        free.then(|| Token { hash, epoch: shard.epoch, stripe: stripe.epoch, server, began })
    }

    /// Puts in what was read with a token, unless something has changed since; the server has it until `ends`, and it is used
    /// until `deadline`. Where there is no memory it stays out.
    pub(super) fn put(&self, token: &Token, key: &[u8], value: &[u8], deadline: Nanos, ends: Nanos) {
        let size = key.len().saturating_add(value.len()).saturating_add(AROUND);
        if size > self.limits.bytes / LARGEST_PART || clock::has_passed(deadline) {
            return;
        }
        let Some(record) = record(key, value) else { return };
        let entry = Entry { record, key_size: key.len(), deadline, ends, server: token.server, used: false };
        let mut shard = self.shard(token.hash).lock();
        let stripe = shard.stripes.get(stripe(token.hash)).copied().unwrap_or_default();
        let changed = shard.epoch != token.epoch || stripe.epoch != token.stripe;
        if changed || shard.entries.try_reserve(1, |entry| self.hash(entry.key())).is_err() {
            return;
        }
        let old = shard.take(token.hash, key);
        // before anybody can take it away again
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
        self.count_out(old.as_ref());
        // its own shard makes room first, so that shards stay about as large as each other
        let mut given_up = Vec::new();
        while self.is_full()
            && let Some(victim) = shard.victim()
        {
            self.evicted.fetch_add(1, Ordering::Relaxed);
            self.count_out(Some(&victim));
            given_up.push(victim);
        }
        shard.entries.insert_unique(token.hash, entry, |entry| self.hash(entry.key()));
        drop(shard);
        drop((old, given_up));
        self.make_room();
    }

    /// A key has changed.
    pub(super) fn forget(&self, key: &[u8]) {
        let hash = self.hash(key);
        let mut shard = self.shard(hash).lock();
        if let Some(stripe) = shard.stripes.get_mut(stripe(hash)) {
            stripe.epoch += 1;
        }
        let old = shard.take(hash, key);
        drop(shard);
        self.count_out(&old);
    }

    /// Everything has changed, or everything of one server.
    pub(super) fn forget_all(&self, server: Option<usize>) {
        for shard in &self.shards {
            let mut shard = shard.0.lock();
            shard.epoch += 1;
            let old = match server {
                None => std::mem::take(&mut shard.entries).into_iter().collect(),
                Some(server) => shard.entries.extract_if(|entry| entry.server == server).collect::<Vec<_>>(),
            };
            drop(shard);
            self.count_out(&old);
        }
    }

    /// A write of a key begins: nothing of it is there, and nothing gets in, until as many have ended.
    pub(super) fn begin_write(&self, hash: u64, key: &[u8]) {
        let mut shard = self.shard(hash).lock();
        if let Some(stripe) = shard.stripes.get_mut(stripe(hash)) {
            stripe.epoch += 1;
            stripe.writing += 1;
        }
        let old = shard.take(hash, key);
        drop(shard);
        self.count_out(&old);
    }

    /// A write of a key has ended.
    pub(super) fn end_write(&self, hash: u64) {
        if let Some(stripe) = self.shard(hash).lock().stripes.get_mut(stripe(hash)) {
            stripe.writing = stripe.writing.saturating_sub(1);
        }
    }

    /// A write of who knows what begins.
    pub(super) fn begin_write_all(&self) {
        self.shards.iter().for_each(|shard| shard.0.lock().writing += 1);
        self.forget_all(None);
    }

    /// Such a write has ended.
    pub(super) fn end_write_all(&self) {
        for shard in &self.shards {
            let mut shard = shard.0.lock();
            shard.writing = shard.writing.saturating_sub(1);
        }
    }

    /// What it has seen.
    pub(super) fn stats(&self) -> NearStats {
        let number = |count: &AtomicUsize| u64::try_from(count.load(Ordering::Relaxed)).unwrap_or(u64::MAX);
        let mut stats = NearStats {
            entries: number(&self.entries),
            bytes: number(&self.bytes),
            evicted: self.evicted.load(Ordering::Relaxed),
            ..NearStats::default()
        };
        for shard in &self.shards {
            let shard = shard.0.lock();
            stats.hits += shard.hits;
            stats.misses += shard.misses;
        }
        stats
    }

    /// Whether there is more than there may be.
    fn is_full(&self) -> bool {
        self.entries.load(Ordering::Relaxed) > self.limits.entries
            || self.bytes.load(Ordering::Relaxed) > self.limits.bytes
    }

    /// Gives up what is still too much. One shard after the other, so that no two locks are held.
    fn make_room(&self) {
        let mut empty = 0;
        while self.is_full() && empty < SHARDS {
            let next = self.hand.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let victim = self.shards.get(next).and_then(|shard| shard.0.lock().victim());
            empty = if victim.is_some() { 0 } else { empty + 1 };
            self.evicted.fetch_add(u64::from(victim.is_some()), Ordering::Relaxed);
            self.count_out(victim.as_ref());
        }
    }

    /// Counts what has left its shard. It is dropped without a lock: freeing values takes long.
    fn count_out<'e>(&self, entries: impl IntoIterator<Item = &'e Entry>) {
        for entry in entries {
            self.entries.fetch_sub(1, Ordering::Relaxed);
            self.bytes.fetch_sub(entry.size(), Ordering::Relaxed);
        }
    }

    #[allow(clippy::indexing_slicing)] // there are SHARDS shards, and the position is below that
    fn shard(&self, hash: u64) -> &Mutex<Inside> {
        let [_, _, _, _, byte, ..] = hash.to_le_bytes();
        &self.shards[usize::from(byte) % SHARDS].0
    }
}

/// The stripe of a hash within its shard: by other bits than the shard, and than the table in it.
fn stripe(hash: u64) -> usize {
    let [_, _, _, _, _, byte, ..] = hash.to_le_bytes();
    usize::from(byte) % STRIPES
}

/// Key and value in one allocation.
fn record(key: &[u8], value: &[u8]) -> Option<Bytes> {
    let mut record = Vec::new();
    record.try_reserve_exact(key.len() + value.len()).ok()?;
    record.extend_from_slice(key);
    record.extend_from_slice(value);
    Some(record.into())
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
