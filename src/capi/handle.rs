//! Checked handles: slot and generation in pointer clothing.
//!
//! A long-lived object is reached through a number that only looks like a pointer. Its top 16 bits are a tag that makes
//! it a non-canonical address, so that nobody (a garbage collector, a careless cast) takes it for memory. Look-up takes
//! no lock: it counts a borrower into the slot's own state word, which fails once the object is closed. The object goes
//! when it is closed and the last borrower has left.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use crate::lock::Mutex;
use crate::sys::{GENERATIONS, PerGeneration};

/// Slots of the first chunk; each further chunk doubles them.
const FIRST_CHUNK: usize = 64;
/// 64 × (2^15 − 1) slots, about two million.
const CHUNKS: usize = 15;
const SLOT_BITS: u32 = 24;
const GENERATION_BITS: u32 = 24;
const GENERATION_MAX: u64 = (1 << GENERATION_BITS) - 1;

// A slot's state word: generation in the upper half, then the two flags, then the number of borrowers.
const OPEN: u64 = 1 << 31;
const CLOSING: u64 = 1 << 30;
const BORROWERS: u64 = CLOSING - 1;

struct Slot<T> {
    state: AtomicU64,
    object: UnsafeCell<Option<T>>,
}

/// All objects of one kind in the process.
pub struct Registry<T> {
    tag: u16,
    chunks: [AtomicPtr<Slot<T>>; CHUNKS],
    /// Slots that can be used again.
    free: PerGeneration<Mutex<Vec<usize>>>,
    /// How many slots were ever used.
    used: AtomicUsize,
    live: AtomicUsize,
    objects: PhantomData<T>,
}

// SAFETY: an object is written only while its slot is not open and has no borrower (`insert`, `release`), and is only
// shared (&T) while it is open or borrowed; the state word orders the two (Acquire/Release).
unsafe impl<T: Send + Sync> Sync for Registry<T> {}

/// An object that cannot go away meanwhile.
pub struct Borrowed<'a, T> {
    registry: &'a Registry<T>,
    slot: &'a Slot<T>,
    index: usize,
}

impl<T> Registry<T> {
    /// An empty registry whose handles carry `tag` (non-zero in its upper bits, so that they are no addresses).
    pub const fn new(tag: u16) -> Self {
        Self {
            tag,
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            free: PerGeneration::new([const { Mutex::new(Vec::new()) }; GENERATIONS]),
            used: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            objects: PhantomData,
        }
    }

    /// Keeps an object; its handle, or `None` when there are too many.
    pub fn insert(&self, object: T) -> Option<u64> {
        let index = self.take_slot()?;
        let slot = self.slot(index)?;
        let generation = slot.state.load(Ordering::Acquire) >> 32;
        // SAFETY: a slot that was just taken from the free list is not open and has no borrower; only we write it.
        unsafe { *slot.object.get() = Some(object) };
        slot.state.store(generation << 32 | OPEN, Ordering::Release);
        self.live.fetch_add(1, Ordering::Relaxed);
        Some(u64::from(self.tag) << (SLOT_BITS + GENERATION_BITS) | generation << SLOT_BITS | index as u64)
    }

    /// The object of a handle; `None` when it is of another kind, closed or stale.
    pub fn borrow(&self, handle: u64) -> Option<Borrowed<'_, T>> {
        let (slot, index, generation) = self.find(handle)?;
        let mut state = slot.state.load(Ordering::Relaxed);
        loop {
            let usable = state >> 32 == generation && state & OPEN != 0 && state & CLOSING == 0;
            if !usable || state & BORROWERS == BORROWERS {
                return None;
            }
            match slot.state.compare_exchange_weak(state, state + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Borrowed { registry: self, slot, index }),
                Err(now) => state = now,
            }
        }
    }

    /// Closes a handle: nobody can borrow the object any more, and it goes with its last borrower. `false` when it is of
    /// another kind, closed or stale.
    pub fn close(&self, handle: u64) -> bool {
        let Some((slot, index, generation)) = self.find(handle) else { return false };
        let mut state = slot.state.load(Ordering::Relaxed);
        loop {
            if state >> 32 != generation || state & OPEN == 0 || state & CLOSING != 0 {
                return false;
            }
            match slot.state.compare_exchange_weak(state, state | CLOSING, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        self.live.fetch_sub(1, Ordering::Relaxed);
        if state & BORROWERS == 0 {
            self.release(slot, index);
        }
        true
    }

    /// How many handles are open.
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    fn find(&self, handle: u64) -> Option<(&Slot<T>, usize, u64)> {
        if handle >> (SLOT_BITS + GENERATION_BITS) != u64::from(self.tag) {
            return None;
        }
        let index = usize::try_from(handle & ((1 << SLOT_BITS) - 1)).ok()?;
        Some((self.slot(index)?, index, handle >> SLOT_BITS & GENERATION_MAX))
    }

    fn slot(&self, index: usize) -> Option<&Slot<T>> {
        let (chunk, offset) = place(index);
        let chunk = self.chunks.get(chunk)?.load(Ordering::Acquire);
        if chunk.is_null() {
            return None;
        }
        // SAFETY: a chunk that is set has FIRST_CHUNK << chunk slots, is never freed, and `place` keeps within it.
        Some(unsafe { &*chunk.add(offset) })
    }

    fn take_slot(&self) -> Option<usize> {
        if let Some(index) = self.free.get().lock().pop() {
            return Some(index);
        }
        let index = self.used.fetch_add(1, Ordering::Relaxed);
        let home = self.chunks.get(place(index).0)?;
        if home.load(Ordering::Acquire).is_null() {
            Self::make_chunk(place(index).0, home);
        }
        Some(index)
    }

    /// Sets a chunk, unless another thread is faster. It is kept: handles may be looked up for ever.
    fn make_chunk(chunk: usize, home: &AtomicPtr<Slot<T>>) {
        let slots = (0..FIRST_CHUNK << chunk)
            .map(|_| Slot { state: AtomicU64::new(0), object: UnsafeCell::new(None) })
            .collect::<Box<[Slot<T>]>>();
        let (made, len) = (Box::into_raw(slots).cast::<Slot<T>>(), FIRST_CHUNK << chunk);
        if home.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: nobody else has seen these slots; they were a box of that many a moment ago.
            drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(made, len)) });
        }
    }

    fn release(&self, slot: &Slot<T>, index: usize) {
        // SAFETY: the slot is closing and its last borrower has left: nobody else can reach the object.
        let object = unsafe { (*slot.object.get()).take() };
        let generation = (slot.state.load(Ordering::Relaxed) >> 32) + 1;
        slot.state.store(generation << 32, Ordering::Release);
        if generation < GENERATION_MAX {
            self.free.get().lock().push(index);
        } // else the slot retires, so that an old handle never fits again
        drop(object);
    }
}

/// The chunk of a slot, and its place there.
fn place(index: usize) -> (usize, usize) {
    let chunk = (index / FIRST_CHUNK + 1).ilog2() as usize;
    (chunk, index - FIRST_CHUNK * ((1 << chunk) - 1))
}

impl<T> Deref for Borrowed<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the slot counts us as a borrower, so the object is there and not written.
        match unsafe { &*self.slot.object.get() } {
            Some(object) => object,
            None => unreachable!("a borrowed slot has its object"),
        }
    }
}

impl<T> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        let before = self.slot.state.fetch_sub(1, Ordering::AcqRel);
        if before & BORROWERS == 1 && before & CLOSING != 0 {
            self.registry.release(self.slot, self.index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn handles_are_checked() {
        let registry = Registry::new(0x4C01);
        let handle = registry.insert(7).unwrap();
        assert!(handle >> 47 != 0, "no address of a process");
        assert_eq!(*registry.borrow(handle).unwrap(), 7);
        assert_eq!(registry.live(), 1);
        for wrong in [0, 1, handle + 1, handle ^ 1 << 60, handle + (1 << SLOT_BITS), u64::MAX] {
            assert!(registry.borrow(wrong).is_none(), "{wrong:x}");
        }
        assert!(registry.close(handle));
        assert!(!registry.close(handle));
        assert!(registry.borrow(handle).is_none());
        let again = registry.insert(8).unwrap();
        assert_ne!(again, handle, "the slot is used again, the handle is not");
        assert!(registry.borrow(handle).is_none());
    }

    #[test]
    fn an_object_goes_with_its_last_borrower() {
        let registry = Registry::new(0x4C02);
        let object = Arc::new(());
        let handle = registry.insert(object.clone()).unwrap();
        let borrowed = registry.borrow(handle).unwrap();
        assert!(registry.close(handle));
        assert_eq!(Arc::strong_count(&object), 2);
        drop(borrowed);
        assert_eq!(Arc::strong_count(&object), 1);
    }

    #[test]
    fn many_handles_from_many_threads() {
        let registry = Registry::new(0x4C03);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let registry = &registry;
                scope.spawn(move || {
                    for round in 0..2000 {
                        let handle = registry.insert((thread, round)).unwrap();
                        assert_eq!(*registry.borrow(handle).unwrap(), (thread, round));
                        assert!(registry.close(handle));
                    }
                });
            }
        });
        let handles: Vec<u64> = (0..1000).map(|n| registry.insert((n, n)).unwrap()).collect();
        for (n, handle) in handles.iter().enumerate() {
            assert_eq!(registry.borrow(*handle).unwrap().0, n);
        }
    }
}
