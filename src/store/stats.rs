//! What a store has seen, counted from when it was opened.
//!
//! A hit in memory takes some 60 ns in all, so what it counts has to cost next to nothing. Each of the first threads has a
//! place of its own in every store, one cache line, to which nobody else writes: it adds without the locked instructions
//! that several writers need. Further threads share a few places, and add with those.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::latency::{Latencies, Latency};
use crate::error::{Error, Kind};

/// Places with one thread each.
const OWN: usize = 24;
/// Places that all other threads share.
const SHARED: usize = 8;

/// Where nobody waits for a server or a disk, one operation in so many is measured: looking at the clock twice would cost as
/// much as a hit. A prime, so that it does not fall into step with what a program does again and again.
pub const SAMPLE: u64 = 251;

/// The counters of a store.
pub(super) struct Counters {
    /// Of which alias.
    pub(super) alias: Arc<str>,
    /// Whether every operation's time is measured, or a sample.
    measures_all: bool,
    places: [Place; OWN + SHARED],
    ignored: AtomicU64,
    errors: [AtomicU64; Kind::ALL.len()],
    stale: AtomicU64,
    skipped: AtomicU64,
    loads: AtomicU64,
    shared_loads: AtomicU64,
    latency: Latency,
}

/// What is counted all the time: one thread's share, or that of some, on a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Place {
    hits: AtomicU64,
    misses: AtomicU64,
    bytes_read: AtomicU64,
    sets: AtomicU64,
    bytes_written: AtomicU64,
    deletes: AtomicU64,
    /// Operations until the next one of the sample.
    until_sample: AtomicU64,
}

/// What a store has seen. docs/statistics.md says when each of them counts.
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
    /// Values that were stored.
    pub sets: u64,
    /// Keys that were removed by name or pattern.
    pub deletes: u64,
    /// Values that were found after their soft deadline; each is a hit or a miss too.
    pub stale: u64,
    /// Operations that policy left out (Pyot's time to live of 0).
    pub skipped: u64,
    /// Serialised bytes of the values that were found.
    pub bytes_read: u64,
    /// Serialised bytes of the values that were handed over to be stored.
    pub bytes_written: u64,
    /// Hits that the near cache answered; they are hits too.
    pub near_hits: u64,
    /// Loads that were begun on a miss.
    pub loads: u64,
    /// Callers who shared the load of another.
    pub shared_loads: u64,
    /// Failures by kind, in the order of [`Kind::ALL`].
    pub errors: [u64; Kind::ALL.len()],
}

impl Counters {
    /// Of an alias; whether every operation's time is measured.
    pub(super) fn new(alias: Arc<str>, measures_all: bool) -> Self {
        Self {
            alias,
            measures_all,
            places: std::array::from_fn(|_| Place::default()),
            ignored: AtomicU64::new(0),
            errors: [const { AtomicU64::new(0) }; Kind::ALL.len()],
            stale: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            shared_loads: AtomicU64::new(0),
            latency: Latency::default(),
        }
    }

    /// This thread's place.
    #[inline]
    pub(super) fn here(&self) -> Here<'_> {
        let number = SEAT.try_with(|seat| seat.0).unwrap_or(OWN); // a thread that ends has given its own back
        let place = self.places.get(number % (OWN + SHARED)).unwrap_or(&self.places[OWN]); // no branch remains of this
        Here { place, is_own: number < OWN, thread: PhantomData }
    }

    /// Begins an operation on this thread. Its time is measured until what is returned is dropped, if it is at all.
    #[inline]
    pub(super) fn watch(&self) -> Watch<'_> {
        let here = self.here();
        let began = (self.measures_all || here.is_sample()).then(Instant::now);
        Watch { counters: self, here, began }
    }

    /// Whether every operation's time is measured, or a sample.
    pub(super) fn measures_all(&self) -> bool {
        self.measures_all
    }

    /// Begins an operation that ends elsewhere: when it began, if its time is measured. `now` spares a look at the clock.
    pub(super) fn begins(&self, now: Option<Instant>) -> Option<Instant> {
        (self.measures_all || self.here().is_sample()).then(|| now.unwrap_or_else(Instant::now))
    }

    /// Takes the time of an operation.
    pub(super) fn took(&self, time: Duration) {
        self.latency.add(time);
    }

    /// Counts a failure.
    pub(super) fn failed(&self, error: &Error, ignored: bool) {
        if let Some(count) = self.errors.get(error.kind().index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if ignored {
            self.ignored.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts values that were over their moment.
    pub(super) fn stale(&self, count: u64) {
        if count > 0 {
            self.stale.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Counts an operation that policy left out.
    pub(super) fn skipped(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a load, or a caller who shared one.
    pub(super) fn load(&self, is_shared: bool) {
        let count = if is_shared { &self.shared_loads } else { &self.loads };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// All together.
    pub(super) fn sum(&self) -> Stats {
        let sum = |count: fn(&Place) -> &AtomicU64| {
            self.places.iter().map(|place| count(place).load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
        };
        let errors: [u64; Kind::ALL.len()] =
            std::array::from_fn(|kind| self.errors.get(kind).map_or(0, |count| count.load(Ordering::Relaxed)));
        Stats {
            hits: sum(|place| &place.hits),
            misses: sum(|place| &place.misses),
            failures: errors.iter().sum(),
            timeouts: errors.get(Kind::Timeout.index()).copied().unwrap_or(0),
            ignored: self.ignored.load(Ordering::Relaxed),
            sets: sum(|place| &place.sets),
            deletes: sum(|place| &place.deletes),
            stale: self.stale.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            bytes_read: sum(|place| &place.bytes_read),
            bytes_written: sum(|place| &place.bytes_written),
            near_hits: 0, // the backend counts them
            loads: self.loads.load(Ordering::Relaxed),
            shared_loads: self.shared_loads.load(Ordering::Relaxed),
            errors,
        }
    }

    /// How long operations took.
    pub(super) fn latencies(&self) -> Latencies {
        self.latency.snapshot()
    }
}

/// A thread's place in a store. It stays on its thread.
pub(super) struct Here<'a> {
    place: &'a Place,
    /// Whether no other thread writes there.
    is_own: bool,
    thread: PhantomData<*const ()>,
}

impl Here<'_> {
    #[inline]
    fn add(&self, counter: &AtomicU64, count: u64) {
        if self.is_own {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
        } else if count > 0 {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Counts one value that was asked for, and its bytes; of one that was not found there are none.
    #[inline]
    pub(super) fn read(&self, found: bool, bytes: usize) {
        let place = self.place;
        let counter = if found { &place.hits } else { &place.misses };
        if self.is_own {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            let read = place.bytes_read.load(Ordering::Relaxed).wrapping_add(bytes as u64);
            place.bytes_read.store(read, Ordering::Relaxed);
        } else {
            counter.fetch_add(1, Ordering::Relaxed);
            place.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// Counts values that were asked for.
    #[inline]
    pub(super) fn reads(&self, found: u64, missed: u64) {
        if found > 0 {
            self.add(&self.place.hits, found);
        }
        if missed > 0 {
            self.add(&self.place.misses, missed);
        }
    }

    /// Counts bytes that were read.
    #[inline]
    pub(super) fn bytes_read(&self, bytes: usize) {
        self.add(&self.place.bytes_read, bytes as u64);
    }

    /// Counts bytes that are about to be written.
    #[inline]
    pub(super) fn bytes_written(&self, bytes: usize) {
        self.add(&self.place.bytes_written, bytes as u64);
    }

    /// Counts values that were stored.
    #[inline]
    pub(super) fn sets(&self, count: u64) {
        self.add(&self.place.sets, count);
    }

    /// Counts keys that were removed.
    #[inline]
    pub(super) fn deletes(&self, count: u64) {
        self.add(&self.place.deletes, count);
    }

    /// Whether this operation is one of the sample; the first one is.
    #[inline]
    fn is_sample(&self) -> bool {
        // several threads may take the same number here: all the same
        let left = self.place.until_sample.load(Ordering::Relaxed);
        self.place.until_sample.store(if left == 0 { SAMPLE - 1 } else { left - 1 }, Ordering::Relaxed);
        left == 0
    }
}

/// An operation on this thread.
pub(super) struct Watch<'a> {
    counters: &'a Counters,
    pub(super) here: Here<'a>,
    began: Option<Instant>,
}

impl Drop for Watch<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(began) = self.began {
            ended(self.counters, began);
        }
    }
}

/// Apart from the rest, so that what is not measured only looks whether it is.
#[cold]
#[inline(never)]
fn ended(counters: &Counters, began: Instant) {
    counters.took(began.elapsed());
}

/// The number of a thread's place in every store.
struct Seat(usize);

/// A bit for each place of [`OWN`] that a thread has.
static TAKEN: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static SEAT: Seat = Seat::take();
}

impl Seat {
    /// One of its own where there is one left. In a forked child those of the parent's other threads stay taken.
    fn take() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut taken = TAKEN.load(Ordering::Relaxed);
        while taken.trailing_ones() < u32::try_from(OWN).unwrap_or(0) {
            let free = taken.trailing_ones();
            // the thread that had it before counted there, which this one has to see
            match TAKEN.compare_exchange_weak(taken, taken | 1 << free, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Self(free as usize),
                Err(now) => taken = now,
            }
        }
        Self(OWN + NEXT.fetch_add(1, Ordering::Relaxed) % SHARED)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.0 < OWN {
            TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_cache_line() {
        assert_eq!((size_of::<Place>(), align_of::<Place>()), (64, 64));
    }

    #[test]
    fn nothing_is_lost_by_more_threads_than_places() {
        let counters = Counters::new("default".into(), false);
        for round in 1..=3 {
            std::thread::scope(|scope| {
                for _ in 0..2 * (OWN + SHARED) {
                    scope.spawn(|| {
                        for _ in 0..1000 {
                            let watch = counters.watch();
                            watch.here.reads(1, 2);
                            watch.here.bytes_read(3);
                            watch.here.bytes_written(4);
                            watch.here.sets(1);
                            watch.here.deletes(5);
                        }
                        counters.failed(&Error::new(Kind::Timeout, "too late"), true);
                        counters.failed(&Error::new(Kind::Io, "broken"), false);
                    });
                }
            });
            let (seen, n) = (counters.sum(), 64_000 * round);
            assert_eq!((seen.hits, seen.misses), (n, 2 * n));
            assert_eq!((seen.bytes_read, seen.bytes_written, seen.sets, seen.deletes), (3 * n, 4 * n, n, 5 * n));
            assert_eq!((seen.failures, seen.timeouts, seen.ignored), (128 * round, 64 * round, 64 * round));
        }
    }

    #[test]
    fn a_sample_is_measured() {
        let counters = Counters::new("default".into(), false);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..10 * SAMPLE).for_each(|_| drop(counters.watch())));
        });
        assert_eq!(counters.latencies().count(), 10);
        let all = Counters::new("default".into(), true);
        (0..100).for_each(|_| drop(all.watch()));
        assert_eq!(all.latencies().count(), 100);
    }
}
