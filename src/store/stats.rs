//! What a store has seen, counted from when it was opened.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::error::{Error, Kind};

/// Counters that many threads add to at once have several places, so that they don't wait for each other.
const SHARDS: usize = 8;

/// The counters of a store.
#[derive(Default)]
pub(super) struct Counters {
    reads: [Reads; SHARDS],
    failures: AtomicU64,
    timeouts: AtomicU64,
    ignored: AtomicU64,
}

/// One thread's share, on a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Reads {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What a store has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Values that were found.
    pub hits: u64,
    /// Values that were asked for and not found.
    pub misses: u64,
    /// Operations that failed, the next two included.
    pub failures: u64,
    /// Those whose deadline passed.
    pub timeouts: u64,
    /// Those that IGNORE_EXCEPTIONS hid (DR-15).
    pub ignored: u64,
}

impl Counters {
    /// Counts values that were asked for.
    #[inline]
    pub(super) fn read(&self, found: u64, missed: u64) {
        let Some(reads) = self.reads.get(shard()) else { return };
        if found > 0 {
            reads.hits.fetch_add(found, Ordering::Relaxed);
        }
        if missed > 0 {
            reads.misses.fetch_add(missed, Ordering::Relaxed);
        }
    }

    /// Counts a failure.
    pub(super) fn failed(&self, error: &Error, ignored: bool) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        if error.kind() == Kind::Timeout {
            self.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        if ignored {
            self.ignored.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All together.
    pub(super) fn sum(&self) -> Stats {
        let sum =
            |count: fn(&Reads) -> &AtomicU64| self.reads.iter().map(|reads| count(reads).load(Ordering::Relaxed)).sum();
        Stats {
            hits: sum(|reads| &reads.hits),
            misses: sum(|reads| &reads.misses),
            failures: self.failures.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
            ignored: self.ignored.load(Ordering::Relaxed),
        }
    }
}

/// This thread's place.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    MINE.try_with(|mine| *mine).unwrap_or(0)
}
