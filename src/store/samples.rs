//! What a store tells about itself: counters, times, and how its servers are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Store;
use super::exposition::{Exposition, Samples};
use super::latency::Latencies;
use super::outcome::Asked;
use super::stats::{Counters, Stats, Watch};
use crate::backend::{Health, NearStats, Stored};
use crate::error::Kind;

impl Store {
    /// What this store has seen.
    pub fn stats(&self) -> Stats {
        Stats { near_hits: self.near().map_or(0, |near| near.hits), ..self.counters.sum() }
    }

    /// How its near cache does, where it has one.
    pub fn near(&self) -> Option<NearStats> {
        self.backend.near()
    }

    /// How long its operations took, as far as they were measured.
    pub fn latencies(&self) -> Latencies {
        self.counters.latencies()
    }

    /// How the servers of this store are; empty where there are none.
    pub fn health(&self) -> Vec<Health> {
        self.backend.health()
    }

    /// Counts an operation that policy left out (Pyot: a time to live of 0 for the endpoint).
    pub fn count_skipped(&self) {
        self.counters.skipped();
    }

    /// Counts values that were found after their moment, beside the hits or misses that they are.
    pub fn count_stale(&self, count: u64) {
        self.counters.stale(count);
    }

    /// Counts a load that was begun on a miss; `is_shared`: a caller who waited for another's instead.
    pub fn count_load(&self, is_shared: bool) {
        self.counters.load(is_shared);
    }

    /// Begins the clock of an operation that is begun now and answered elsewhere; `None` where its time is not measured.
    /// `now` spares a look at the clock. [`Store::took`] is to be told when the answer is there.
    #[inline]
    pub fn begins(&self, asked: Asked, now: Option<Instant>) -> Option<Instant> {
        if asked.is_measured() { self.counters.begins(now) } else { None }
    }

    /// Takes the time from [`Store::begins`] to the answer.
    pub fn took(&self, time: Duration) {
        self.counters.took(time);
    }

    #[inline]
    pub(super) fn watch(&self) -> Watch<'_> {
        self.counters.watch()
    }

    #[inline]
    pub(super) fn count_read(&self, found: bool) {
        self.counters.here().reads(u64::from(found), u64::from(!found));
    }

    /// Counts what was read of several keys: their bytes, and where it is known already whether they will do, the hits and
    /// misses.
    pub(super) fn count_many(&self, values: &[Option<Stored>], is_known: bool) {
        let here = self.counters.here();
        here.bytes_read(values.iter().flatten().map(|stored| stored.bytes.len()).sum());
        if is_known {
            let found = values.iter().flatten().count() as u64;
            here.reads(found, values.len() as u64 - found);
        }
    }
}

impl Asked {
    /// Whether its time is measured: that of operations on keys that are named. Those that go over all keys, and locks, which
    /// wait for others, would only hide how the backend is.
    fn is_measured(self) -> bool {
        !matches!(
            self,
            Self::Keys { .. }
                | Self::Clear { .. }
                | Self::PurgeExpired
                | Self::Ping
                | Self::CreateTable
                | Self::Lock
                | Self::Unlock
                | Self::ExtendLock
                | Self::DeletePattern
        )
    }
}

impl Samples for Counters {
    fn samples(&self, into: &mut Exposition) {
        let seen = self.sum();
        let labels = [("alias", &*self.alias)];
        let counters: [(&'static str, &'static str, u64); 12] = [
            ("larder_hits_total", "Values that were found.", seen.hits),
            ("larder_misses_total", "Values that were asked for and not found.", seen.misses),
            ("larder_stale_total", "Values that were found after their soft deadline.", seen.stale),
            ("larder_skipped_total", "Operations that policy left out.", seen.skipped),
            ("larder_sets_total", "Values that were stored.", seen.sets),
            ("larder_deletes_total", "Keys that were removed by name or pattern.", seen.deletes),
            ("larder_read_bytes_total", "Serialised bytes of the values that were found.", seen.bytes_read),
            ("larder_written_bytes_total", "Serialised bytes that were handed over to be stored.", seen.bytes_written),
            ("larder_loads_total", "Loads that were begun on a miss.", seen.loads),
            ("larder_shared_loads_total", "Callers who shared the load of another.", seen.shared_loads),
            ("larder_failures_total", "Operations that failed, hidden ones included.", seen.failures),
            ("larder_ignored_failures_total", "Failures that the configuration hides.", seen.ignored),
        ];
        for (name, help, count) in counters {
            into.counter(name, help, &labels, count);
        }
        for (kind, count) in Kind::ALL.iter().zip(seen.errors) {
            let labels = [("alias", &*self.alias), ("kind", kind.name())];
            into.counter("larder_errors_total", "Operations that failed, by kind.", &labels, count);
        }
        let help = "How long operations took; a sample of one in 251 where they never wait.";
        into.times("larder_operation_seconds", help, &labels, &self.latencies());
    }
}

impl Samples for Store {
    fn samples(&self, into: &mut Exposition) {
        self.counters.samples(into);
        let alias = &*self.alias.name;
        into.gauge("larder_stores", "Stores that are open.", &[("alias", alias)], 1);
        if let Some(near) = self.near() {
            let labels = [("alias", alias)];
            into.counter("larder_near_hits_total", "Hits that the near cache answered.", &labels, near.hits);
            into.gauge("larder_near_entries", "Values in the near cache.", &labels, near.entries);
            into.gauge("larder_near_bytes", "About how many bytes the near cache takes.", &labels, near.bytes);
        }
        for health in self.health() {
            let labels = [("alias", alias), ("server", &*health.server)];
            into.gauge("larder_connections", "Connections that are open.", &labels, health.connections);
            into.counter("larder_connected_total", "Connections that were made.", &labels, health.connected);
            let help = "Attempts to connect that failed.";
            into.counter("larder_connect_failures_total", help, &labels, health.connect_failures);
            let help = "Whether calls to the server fail at once, because it failed again and again.";
            into.flag("larder_breaker_open", help, &labels, health.breaker_open);
            into.counter(
                "larder_breaker_opened_total",
                "How often the breaker opened.",
                &labels,
                health.breaker_opened,
            );
            into.counter("larder_breaker_refused_total", "Calls that failed at once for it.", &labels, health.refused);
        }
    }

    fn remains(&self) -> Option<Arc<dyn Samples>> {
        Some(self.counters.clone())
    }
}
