//! Random numbers for choices that nobody gains from guessing: a replica, a moment.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random numbers, begun anew with every process's own secret. Threads share it without waiting.
pub(crate) struct Dice(AtomicU64);

impl Dice {
    /// One that begins anywhere.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(RandomState::new().hash_one(0)))
    }

    /// A random number below `sides`; 0 where that is 0. It is SplitMix64 over a counter.
    pub(crate) fn roll(&self, sides: u64) -> u64 {
        let mut mixed = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        u64::try_from((u128::from(mixed) * u128::from(sides)) >> 64).unwrap_or(0) // below `sides`
    }

    /// The same for a place among `count`.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    pub(crate) fn pick(&self, count: usize) -> usize {
        usize::try_from(self.roll(count as u64)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn all_sides_come_about_as_often() {
        let dice = Dice::new();
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[dice.pick(6)] += 1;
        }
        assert!(seen.iter().all(|count| (9_000..11_000).contains(count)), "{seen:?}");
        assert_eq!((dice.roll(0), dice.roll(1)), (0, 0));
        let first = |_| Dice::new().roll(u64::MAX);
        assert_ne!(first(0), first(1), "each begins elsewhere");
    }
}
