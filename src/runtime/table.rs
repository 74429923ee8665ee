//! Operations that are under way, found by their id without a search.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Kind, Result};

/// Operation ids are never reused, in no context of the process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The id that the next operation will have at the least.
pub fn next_operation() -> u64 {
    NEXT.load(Ordering::Relaxed)
}

/// What is kept with operations. The low bits of an id are its place, so an id whose place is taken is passed over.
pub struct Table<T> {
    places: Vec<Option<(u64, T)>>,
    used: usize,
    /// Ids that were set aside for this table.
    ids: std::ops::Range<u64>,
}

/// Places to begin with.
const FIRST: usize = 64;

/// So many ids are set aside at once.
const BLOCK: u64 = 64;

impl<T> Table<T> {
    /// An empty table.
    pub const fn new() -> Self {
        Self { places: Vec::new(), used: 0, ids: 0..0 }
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Keeps something under a new id.
    pub fn insert(&mut self, kept: T) -> Result<u64> {
        if self.used >= self.places.len() / 2 {
            self.grow()?;
        }
        loop {
            let id = self.next_id();
            let place = self.place(id);
            if let Some(place @ None) = self.places.get_mut(place) {
                *place = Some((id, kept));
                self.used += 1;
                return Ok(id);
            }
        }
    }

    fn next_id(&mut self) -> u64 {
        if let Some(id) = self.ids.next() {
            return id;
        }
        let first = NEXT.fetch_add(BLOCK, Ordering::Relaxed);
        self.ids = first + 1..first + BLOCK;
        first
    }

    /// Whether anything is kept under an id.
    pub fn contains(&self, id: u64) -> bool {
        self.places.get(self.place(id)).is_some_and(|kept| kept.as_ref().is_some_and(|(found, _)| *found == id))
    }

    /// Takes out what is kept under an id.
    pub fn remove(&mut self, id: u64) -> Option<T> {
        let place = self.place(id);
        let (_, kept) = self.places.get_mut(place)?.take_if(|(found, _)| *found == id)?;
        self.used -= 1;
        Some(kept)
    }

    /// Takes out everything.
    pub fn clear(&mut self) -> Vec<Option<(u64, T)>> {
        self.used = 0;
        std::mem::take(&mut self.places)
    }

    fn place(&self, id: u64) -> usize {
        let mask = self.places.len().wrapping_sub(1); // the length is a power of two
        usize::try_from(id & mask as u64).unwrap_or_default()
    }

    /// Doubles the places: ids that had different ones still have.
    fn grow(&mut self) -> Result<()> {
        let len = (self.places.len() * 2).max(FIRST);
        let mut places = Vec::new();
        places
            .try_reserve_exact(len)
            .map_err(|_| Error::new(Kind::Memory, "no memory for one more operation").retriable_if(true))?;
        places.resize_with(len, || None);
        let old = std::mem::replace(&mut self.places, places);
        for kept in old.into_iter().flatten() {
            let place = self.place(kept.0);
            if let Some(place) = self.places.get_mut(place) {
                *place = Some(kept);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_kept_and_nothing_else() {
        let mut table = Table::new();
        let mut ids: Vec<(u64, u32)> = (0..1000).map(|number| (table.insert(number).unwrap(), number)).collect();
        assert!(ids.windows(2).all(|pair| pair[0].0 < pair[1].0), "never reused");
        assert_eq!(table.len(), 1000);
        for round in 0..5000 {
            let (id, number) = ids.swap_remove(round * 7919 % ids.len());
            assert_eq!(table.remove(id), Some(number));
            assert_eq!(table.remove(id), None);
            ids.push((table.insert(number).unwrap(), number));
        }
        assert!(table.places.len() <= 4096, "it grows with what is under way, not with what was");
        assert_eq!(table.remove(u64::MAX), None);
        assert_eq!(table.clear().into_iter().flatten().count(), 1000);
        assert_eq!((table.len(), table.remove(ids[0].0)), (0, None));
    }
}
