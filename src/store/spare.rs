//! Memory for small values, used again by the thread that let one go: hosts take and clear events by the hundred, and the
//! system's allocator gives memory of that amount back and asks for it again each time.

use std::cell::RefCell;

/// Sizes are rounded up to a multiple of this, so that what is let go fits what comes.
const STEP: usize = 128;
/// What one thread keeps at the most, in bytes.
const KEPT: usize = 512 << 10;
/// Debug builds give everything back, so that checking tools see who uses a value that is gone.
const KEEPS: bool = cfg!(any(test, not(debug_assertions)));

#[derive(Default)]
struct Spare {
    /// By size.
    places: Vec<Vec<Vec<u8>>>,
    bytes: usize,
}

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { places: Vec::new(), bytes: 0 }) };
}

/// A copy of `bytes`, in memory of its own. The caller bounds the size.
pub(super) fn copy(bytes: &[u8]) -> Vec<u8> {
    let (class, size) = class_of(bytes.len());
    let mut place = take(class, size).unwrap_or_else(|| Vec::with_capacity(size));
    place.extend_from_slice(bytes);
    place
}

/// Takes memory back that [`copy`] handed out.
pub(super) fn give(mut place: Vec<u8>) {
    let (class, size) = class_of(place.capacity());
    if !KEEPS || size != place.capacity() {
        return; // or the allocator was generous
    }
    place.clear();
    // a thread that ends has no spare memory any more
    let _ = SPARE.try_with(|spare| {
        let Ok(mut spare) = spare.try_borrow_mut() else { return };
        if spare.bytes + size > KEPT {
            return;
        }
        if spare.places.len() <= class {
            spare.places.resize_with(class + 1, Vec::new);
        }
        if let Some(places) = spare.places.get_mut(class) {
            places.push(place);
            spare.bytes += size;
        }
    });
}

fn take(class: usize, size: usize) -> Option<Vec<u8>> {
    let take = |spare: &RefCell<Spare>| {
        let mut spare = spare.try_borrow_mut().ok()?;
        let place = spare.places.get_mut(class)?.pop()?;
        spare.bytes -= size;
        Some(place)
    };
    SPARE.try_with(take).ok().flatten()
}

/// The number of a size, and the size itself: not less than `len`.
fn class_of(len: usize) -> (usize, usize) {
    let class = len.saturating_sub(1) / STEP;
    (class, (class + 1) * STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fit() {
        assert_eq!([0, 1, STEP, STEP + 1, 2 * STEP].map(|len| class_of(len).1), [128, 128, 128, 256, 256]);
        assert_eq!([128, 256, 8192].map(class_of), [(0, 128), (1, 256), (63, 8192)]);
    }

    #[test]
    fn what_is_let_go_is_used_again_up_to_a_bound() {
        let first = copy(&[7; 1000]);
        let place = first.as_ptr();
        give(first);
        let again = copy(&[8; 1020]);
        assert_eq!((again.as_ptr(), again.as_slice()), (place, [8; 1020].as_slice()));
        let many: Vec<_> = (0..2 * KEPT / 1024).map(|_| copy(&[9; 1000])).collect();
        many.into_iter().for_each(give);
        SPARE.with_borrow(|spare| assert!(spare.bytes <= KEPT && spare.bytes > KEPT / 2));
    }
}
