//! Keys by a number, and which of them were seen to have large values.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Values above this size have a connection of their own.
pub(super) const LARGE_VALUE: usize = 64 << 10;

/// So many keys are remembered at most.
const SLOTS: usize = 1024;

/// A number for a key, never 0. Two keys with one number only cost some speed.
pub(super) fn number(key: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let mut chunks = key.chunks_exact(8);
    let mut sum =
        chunks.by_ref().fold(key.len() as u64, |sum, chunk| mix(sum, chunk.try_into().map_or(0, u64::from_le_bytes)));
    for byte in chunks.remainder() {
        sum = mix(sum, u64::from(*byte));
    }
    sum = sum.wrapping_mul(FACTOR);
    (sum ^ (sum >> 32)).max(1)
}

/// Which of `places` places a key has in a table.
#[allow(clippy::cast_possible_truncation, reason = "any part of the number does")]
pub(super) fn place(number: u64, places: usize) -> usize {
    number as usize % places
}

/// Keys whose values were large when last seen. Bounded: a key takes the place of another.
#[derive(Default)]
pub(super) struct Recent(OnceLock<Box<[AtomicU64]>>);

impl Recent {
    /// Whether a key is known to be large.
    pub(super) fn is_large(&self, key: u64) -> bool {
        self.slot(key).is_some_and(|slot| slot.load(Ordering::Relaxed) == key)
    }

    /// Takes note of a value's size.
    pub(super) fn saw(&self, key: u64, size: usize) {
        if size > LARGE_VALUE {
            let slots = self.0.get_or_init(|| (0..SLOTS).map(|_| AtomicU64::new(0)).collect());
            if let Some(slot) = slots.get(place(key, SLOTS)) {
                slot.store(key, Ordering::Relaxed);
            }
        } else if let Some(slot) = self.slot(key)
            && slot.load(Ordering::Relaxed) == key
        {
            slot.store(0, Ordering::Relaxed);
        }
    }

    fn slot(&self, key: u64) -> Option<&AtomicU64> {
        self.0.get()?.get(place(key, SLOTS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_what_was_large_and_forgets_what_no_longer_is() {
        let recent = Recent::default();
        let (one, other) = (number(b":1:one"), number(b":1:other"));
        assert!(!recent.is_large(one));
        recent.saw(other, 10);
        recent.saw(one, LARGE_VALUE + 1);
        assert!(recent.is_large(one) && !recent.is_large(other));
        recent.saw(one, LARGE_VALUE);
        assert!(!recent.is_large(one));
    }

    #[test]
    fn keys_have_numbers_of_their_own() {
        let numbers: std::collections::HashSet<u64> =
            (0..100_000).map(|number_| number(format!(":1:k{number_}").as_bytes())).collect();
        assert!(numbers.len() > 99_990, "{}", numbers.len());
        let places: std::collections::HashSet<usize> = numbers.iter().map(|one| place(*one, SLOTS)).collect();
        assert_eq!(places.len(), SLOTS);
        assert_ne!(number(b""), 0);
    }
}
