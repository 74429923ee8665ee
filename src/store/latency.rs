//! How long operations take: a histogram of fixed size, to which any thread adds without waiting.
//!
//! Eight buckets for each power of two, from 16 ns to 68.7 s. A quantile is told as the middle of its bucket, so it is off
//! by at most 6.25 %; below 16 ns all are one. That takes 2 KiB: much of it is for the in-memory table, whose hits take some
//! 60 ns, and for what waits for many seconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Up to 2 to this power, in ns, everything is in the first bucket.
const LEAST: u32 = 4;
/// Beyond 2 to this power, in ns, everything is in the last bucket.
const MOST: u32 = 36;
/// Buckets for each power of two: 2 to this power.
const FINENESS: u32 = 3;
const BUCKETS: usize = 2 + (((MOST - LEAST) as usize) << FINENESS);

/// The upper bounds that Prometheus is told: powers of two of ns, where buckets end exactly.
pub(super) const BOUNDS: [u32; 15] = [8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36];

/// The histogram.
pub struct Latency {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
    max: AtomicU64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum: AtomicU64::new(0), max: AtomicU64::new(0) }
    }
}

impl Latency {
    /// Adds one operation's time.
    pub fn add(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(ns)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(ns, Ordering::Relaxed);
        if ns > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(ns, Ordering::Relaxed);
        }
    }

    /// What there is now.
    pub fn snapshot(&self) -> Latencies {
        Latencies {
            counts: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
            max: self.max.load(Ordering::Relaxed),
        }
    }
}

/// The bucket of a time in ns. Each takes its upper bound too.
fn bucket_of(ns: u64) -> usize {
    let ns = ns.saturating_sub(1);
    let power = ns.checked_ilog2().unwrap_or(0);
    if power < LEAST {
        return 0;
    }
    if power >= MOST {
        return BUCKETS - 1;
    }
    let part = (ns >> (power - FINENESS)) & ((1 << FINENESS) - 1);
    1 + (((power - LEAST) as usize) << FINENESS) + usize::try_from(part).unwrap_or(0)
}

/// The middle of a bucket in ns; `None` for the last, which has no end.
fn middle_of(bucket: usize) -> Option<u64> {
    let Some(above) = bucket.checked_sub(1) else { return Some(1 << (LEAST - 1)) };
    let (power, part) = (above >> FINENESS, above & ((1 << FINENESS) - 1));
    let power = LEAST + u32::try_from(power).unwrap_or(u32::MAX);
    // from 8 + part to 9 + part eighths
    (power < MOST).then(|| (17 + 2 * part as u64) << (power - FINENESS - 1))
}

/// How long operations took. Times are in ns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// By bucket; empty where nothing was measured.
    counts: Vec<u64>,
    sum: u64,
    max: u64,
}

impl Latencies {
    /// How many operations were measured.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The longest time, exactly.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// All times together.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The time within which so many of a thousand operations ended; 0 where none was measured. It is off by at most
    /// 6.25 %.
    pub fn quantile(&self, of_a_thousand: u32) -> u64 {
        let rank = (u128::from(self.count()) * u128::from(of_a_thousand)).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank {
                return middle_of(bucket).map_or(self.max, |middle| middle.min(self.max));
            }
        }
        0
    }

    /// How many took at most 2 to this power, in ns.
    pub(super) fn within(&self, power: u32) -> u64 {
        let end = 1 + ((power.saturating_sub(LEAST) as usize) << FINENESS);
        self.counts.iter().take(end).sum()
    }

    /// Adds another's.
    pub(super) fn add(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.sum = self.sum.wrapping_add(other.sum);
        self.max = self.max.max(other.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut last = 0;
        for ns in (0..70_000).chain((17..40).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1])) {
            let bucket = bucket_of(ns);
            assert!(bucket == last || bucket == last + 1 || ns >= 70_000, "{ns}");
            assert!(bucket >= last && bucket < BUCKETS, "{ns}");
            last = bucket;
        }
        assert_eq!((bucket_of(16), bucket_of(17), bucket_of(18), bucket_of(19)), (0, 1, 1, 2));
        assert_eq!((bucket_of(1 << 36), bucket_of((1 << 36) + 1), bucket_of(u64::MAX)), (256, 257, 257));
    }

    #[test]
    fn a_quantile_is_off_by_a_sixteenth_at_the_most() {
        for ns in
            (17..5000).chain((12..36).flat_map(|power| (0..1000).map(move |n| (1 << power) + (n << power) / 1000)))
        {
            let middle = middle_of(bucket_of(ns)).unwrap();
            assert!(middle.abs_diff(ns) * 16 <= ns, "{ns} is told as {middle}");
        }
        assert_eq!(middle_of(BUCKETS - 1), None);
    }

    #[test]
    fn quantiles_of_known_times() {
        let latency = Latency::default();
        assert_eq!((latency.snapshot().quantile(500), latency.snapshot().count()), (0, 0));
        for us in 1..=1000 {
            latency.add(Duration::from_micros(us));
        }
        let seen = latency.snapshot();
        assert_eq!((seen.count(), seen.max(), seen.sum()), (1000, 1_000_000, 500_500_000));
        for (of_a_thousand, wanted) in [(0, 1000), (500, 500_000), (900, 900_000), (990, 990_000), (999, 999_000)] {
            let told = seen.quantile(of_a_thousand);
            assert!(told.abs_diff(wanted) * 16 <= wanted, "{of_a_thousand}: {told}");
        }
        assert!(seen.quantile(1000) <= seen.max());
        latency.add(Duration::from_mins(5)); // beyond the last bound
        assert_eq!(latency.snapshot().quantile(1000), 300_000_000_000);
    }

    #[test]
    fn bounds_are_exact() {
        let latency = Latency::default();
        for power in BOUNDS {
            latency.add(Duration::from_nanos(1 << power));
            latency.add(Duration::from_nanos((1 << power) + 1));
        }
        let mut seen = latency.snapshot();
        for (index, power) in (0..).zip(BOUNDS) {
            assert_eq!(seen.within(power), 2 * index + 1);
        }
        seen.add(&latency.snapshot());
        assert_eq!((seen.count(), seen.within(8)), (60, 2));
        let mut none = Latencies::default();
        assert_eq!((none.within(36), none.quantile(500)), (0, 0));
        none.add(&seen);
        assert_eq!(none, seen);
    }
}
