//! Keys by a number, and which of them were seen to have large values.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::fence::place;
use crate::lock::OnceLock;

/// Values above this size have a connection of their own.
pub(super) const LARGE_VALUE: usize = 64 << 10;

/// So many keys are remembered at most.
const SLOTS: usize = 1024;

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
    use crate::backend::fence::number;

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
}
