//! Something that each process makes for itself.

use std::sync::atomic::{AtomicPtr, Ordering};

use super::generation;

/// A `T` of this process. A forked child makes its own from what never changes in its parent's, when it first asks; the
/// parent's is never used or dropped there, so that the parent notices nothing. No locks: what a thread of the parent
/// had locked stays locked in the child.
pub struct PerProcess<T>(AtomicPtr<Made<T>>);

struct Made<T> {
    generation: u32,
    value: T,
}

// SAFETY: it owns the `T` and hands out shared references to it, as a Box would.
unsafe impl<T: Send + Sync> Sync for PerProcess<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for PerProcess<T> {}

impl<T> Made<T> {
    fn new(value: T) -> *mut Self {
        Box::into_raw(Box::new(Self { generation: generation(), value }))
    }
}

impl<T> PerProcess<T> {
    /// Marks `value` as this process's.
    pub fn new(value: T) -> Self {
        Self(AtomicPtr::new(Made::new(value)))
    }

    /// The value, unless this is a forked child that has not made its own.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        let made = self.made();
        (made.generation == generation()).then_some(&made.value)
    }

    /// The value; in a forked child one that `make` makes. That is shown the parent's, of which it may use only what
    /// never changes and needs no lock.
    pub fn get_or_make<E>(&self, make: impl Fn(&T) -> Result<T, E>) -> Result<&T, E> {
        loop {
            if let Some(value) = self.get() {
                return Ok(value);
            }
            let old = self.0.load(Ordering::Acquire);
            // SAFETY: as in `made`.
            let fresh = Made::new(make(unsafe { &(*old).value })?);
            if self.0.compare_exchange(old, fresh, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: another thread was faster; nobody else has seen ours.
                drop(unsafe { Box::from_raw(fresh) });
            } else {
                keep(old.cast());
            }
        }
    }

    /// The value of whichever process made it last: only what never changes and needs no lock may be used.
    pub fn inherited(&self) -> &T {
        &self.made().value
    }

    fn made(&self) -> &Made<T> {
        // SAFETY: always set, and what was set in this process is freed only by drop; what a child replaces is leaked.
        unsafe { &*self.0.load(Ordering::Acquire) }
    }
}

/// What a child has replaced and never uses nor frees. Listed only so that leak checkers find it: it is kept on purpose.
static KEPT: AtomicPtr<Kept> = AtomicPtr::new(std::ptr::null_mut());

struct Kept {
    #[allow(dead_code, reason = "read by leak checkers")]
    what: *mut (),
    next: *mut Kept,
}

pub(super) fn keep(what: *mut ()) {
    let fresh = Box::into_raw(Box::new(Kept { what, next: std::ptr::null_mut() }));
    let link = |first| {
        // SAFETY: nobody else has seen it yet.
        unsafe { (*fresh).next = first };
        Some(fresh)
    };
    let _ = KEPT.fetch_update(Ordering::AcqRel, Ordering::Acquire, link);
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let made = *self.0.get_mut();
        // SAFETY: nobody can borrow from it any more.
        if unsafe { (*made).generation } == generation() {
            // SAFETY: as above; it came from a box.
            drop(unsafe { Box::from_raw(made) });
        } else {
            keep(made.cast());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys;

    #[test]
    fn a_child_makes_its_own_and_leaves_the_parent_s() {
        sys::watch_forks();
        let mine = PerProcess::new(vec![1]);
        assert_eq!(mine.get(), Some(&vec![1]));
        // SAFETY: the child only uses what needs no lock, and leaves at once.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let made = mine.get().is_none()
                && mine.get_or_make(|old| Ok::<_, ()>(vec![old.len() + 1])) == Ok(&vec![2])
                && mine.get() == Some(&vec![2]);
            // SAFETY: ends the child without running anything of the test harness.
            unsafe { libc::_exit(i32::from(!made)) };
        }
        let mut status = 0;
        // SAFETY: the child is ours, and the place can be written.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        assert_eq!(mine.get(), Some(&vec![1]));
    }
}
