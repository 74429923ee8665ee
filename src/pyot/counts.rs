//! What a pipeline has seen, counted from when it was opened.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use super::ask::{Operation, Outcome};
use super::pipeline::Pipeline;
use crate::backend::Written;
use crate::error::{Kind, Result};
use crate::store::{Exposition, Latencies, Latency, SAMPLE, Samples};

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
    /// Sets that a store has taken.
    sets,
    /// Deletes of what a store had.
    deletes,
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
    name: Arc<str>,
    aliases: Box<[Arc<str>]>,
    pub levels: Box<[LevelCounters]>,
    pub all: PipelineCounters,
    errors: [AtomicU64; Kind::ALL.len()],
    latency: Latency,
    /// Whether every operation's time is measured, or a sample.
    measures_all: bool,
}

/// What a pipeline has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Of each store, in order.
    pub levels: Vec<LevelNumbers>,
    /// Of all together.
    pub all: PipelineNumbers,
    /// Operations that failed, by kind, in the order of [`Kind::ALL`]. What a store failed with is here only where it was not
    /// passed over.
    pub errors: [u64; Kind::ALL.len()],
    /// How long operations on named tokens took, loads included, as far as they were measured.
    pub latencies: Latencies,
}

impl Counts {
    pub fn new<'a>(name: &Arc<str>, aliases: impl Iterator<Item = &'a Arc<str>>, measures_all: bool) -> Self {
        let aliases: Box<[_]> = aliases.cloned().collect();
        Self {
            name: name.clone(),
            levels: aliases.iter().map(|_| LevelCounters::default()).collect(),
            aliases,
            all: PipelineCounters::default(),
            errors: [const { AtomicU64::new(0) }; Kind::ALL.len()],
            latency: Latency::default(),
            measures_all,
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            levels: self.levels.iter().map(LevelCounters::sum).collect(),
            all: self.all.sum(),
            errors: std::array::from_fn(|kind| self.errors.get(kind).map_or(0, |count| count.load(Ordering::Relaxed))),
            latencies: self.latency.snapshot(),
        }
    }

    /// Counts an operation that has ended.
    pub fn ended(&self, operation: &Operation<'_>, outcome: &Result<Outcome>, began: Instant) {
        match (operation, outcome) {
            (_, Ok(Outcome::Written(Written::Stored))) => self.all.sets.one(),
            (Operation::Delete { .. }, Ok(Outcome::Found(true))) => self.all.deletes.one(),
            (_, Err(error)) => {
                if let Some(count) = self.errors.get(error.kind().index()) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ => {}
        }
        // as of stores: what goes over all keys would only hide how the others are
        let is_named = !matches!(operation, Operation::Clear { .. } | Operation::Expire);
        if is_named && (self.measures_all || is_sample()) {
            self.latency.add(began.elapsed());
        }
    }
}

/// Whether this thread's operation is one of the sample; its first one is.
fn is_sample() -> bool {
    thread_local! {
        static LEFT: Cell<u64> = const { Cell::new(0) };
    }
    let next = |left: &Cell<u64>| {
        let now = left.get();
        left.set(now.checked_sub(1).unwrap_or(SAMPLE - 1));
        now == 0
    };
    LEFT.try_with(next).unwrap_or(false)
}

impl Samples for Counts {
    fn samples(&self, into: &mut Exposition) {
        let all = self.all.sum();
        let labels = [("pipeline", &*self.name)];
        let counters: [(&'static str, &'static str, u64); 9] = [
            ("larder_pipeline_misses_total", "Values that no store had, nor the loader.", all.misses),
            ("larder_pipeline_sets_total", "Sets that a store has taken.", all.sets),
            ("larder_pipeline_deletes_total", "Deletes of what a store had.", all.deletes),
            ("larder_pipeline_stale_total", "Values that were served after their moment.", all.stale),
            ("larder_pipeline_loads_total", "Loads that were begun.", all.loads),
            ("larder_pipeline_shared_loads_total", "Calls that shared the load of another.", all.shared_loads),
            ("larder_pipeline_load_failures_total", "Loads that failed, or took too long.", all.load_failures),
            ("larder_pipeline_not_found_total", "Loads that found that there is no value.", all.not_found),
            ("larder_pipeline_refreshes_total", "Loads of values that were served meanwhile.", all.refreshes),
        ];
        for (name, help, count) in counters {
            into.counter(name, help, &labels, count);
        }
        for (kind, count) in Kind::ALL.iter().zip(&self.errors) {
            let labels = [("pipeline", &*self.name), ("kind", kind.name())];
            let help = "Operations of a pipeline that failed, by kind.";
            into.counter("larder_pipeline_errors_total", help, &labels, count.load(Ordering::Relaxed));
        }
        let help = "How long operations of a pipeline took, loads included; a sample of one in 251 where its first store \
                    never waits.";
        into.times("larder_pipeline_operation_seconds", help, &labels, &self.latency.snapshot());
        for (level, alias) in self.levels.iter().zip(&self.aliases) {
            let seen = level.sum();
            let labels = [("pipeline", &*self.name), ("alias", &**alias)];
            let counters: [(&'static str, &'static str, u64); 4] = [
                ("larder_pipeline_hits_total", "Values that a store of a pipeline had.", seen.hits),
                ("larder_pipeline_skipped_total", "Times that policy left a store out.", seen.skipped),
                ("larder_pipeline_written_back_total", "Values that were written back to a store.", seen.written_back),
                (
                    "larder_pipeline_errors_skipped_total",
                    "Failures of a store that were passed over.",
                    seen.errors_skipped,
                ),
            ];
            for (name, help, count) in counters {
                into.counter(name, help, &labels, count);
            }
        }
    }
}

impl Samples for Pipeline {
    fn samples(&self, into: &mut Exposition) {
        self.counts.samples(into);
        into.gauge("larder_pipelines", "Pipelines that are open.", &[("pipeline", &**self.name())], 1);
    }

    fn remains(&self) -> Option<Arc<dyn Samples>> {
        Some(self.counts.clone())
    }
}
