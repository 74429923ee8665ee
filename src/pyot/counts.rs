//! What a pipeline has seen, counted from when it was opened.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A counter that many threads add to at once has several places, so that they don't wait for each other.
const PLACES: usize = 8;

/// A counter.
#[derive(Default)]
pub struct Counter([Place; PLACES]);

/// One thread's share, on a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Place(AtomicU64);

impl Counter {
    /// Counts so many.
    pub fn add(&self, count: u64) {
        if let Some(place) = self.0.get(mine()).filter(|_| count > 0) {
            place.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Counts one.
    pub fn one(&self) {
        self.add(1);
    }

    /// All together.
    pub fn sum(&self) -> u64 {
        self.0.iter().map(|place| place.0.load(Ordering::Relaxed)).sum()
    }
}

/// This thread's place.
fn mine() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PLACES;
    }
    MINE.try_with(|mine| *mine).unwrap_or(0)
}

macro_rules! counted {
    ($counters:ident, $numbers:ident: $($(#[$doc:meta])+ $name:ident,)+) => {
        #[derive(Default)]
        pub(super) struct $counters {
            $(pub $name: Counter,)+
        }

        /// The counters, as they were.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $numbers {
            $($(#[$doc])+ pub $name: u64,)+
        }

        impl $counters {
            pub fn sum(&self) -> $numbers {
                $numbers { $($name: self.$name.sum(),)+ }
            }
        }
    };
}

counted! { LevelCounters, LevelNumbers:
    /// Values that it had, stale ones included.
    hits,
    /// Times that it was not asked, or not written to, since it does not keep the endpoint (PY-S4, PY-S5).
    skipped,
    /// Values that were written back to it.
    written_back,
    /// Its failures that were passed over.
    errors_skipped,
}

counted! { PipelineCounters, PipelineNumbers:
    /// Values that no store had, nor the loader.
    misses,
    /// Stale values that were served.
    stale,
    /// Loads that were begun.
    loads,
    /// Calls that got what another call's load brought.
    shared_loads,
    /// Loads that failed, or took too long.
    load_failures,
    /// Loads that found that there is none.
    not_found,
    /// Loads that were begun before the value was over, or since it just was.
    refreshes,
}

/// The counters of a pipeline.
pub(super) struct Counts {
    pub levels: Box<[LevelCounters]>,
    pub all: PipelineCounters,
}

/// What a pipeline has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Of each store, in order.
    pub levels: Vec<LevelNumbers>,
    /// Of all together.
    pub all: PipelineNumbers,
}

impl Counts {
    pub fn new(levels: usize) -> Self {
        Self { levels: (0..levels).map(|_| LevelCounters::default()).collect(), all: PipelineCounters::default() }
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot { levels: self.levels.iter().map(LevelCounters::sum).collect(), all: self.all.sum() }
    }
}
