//! How many cache files there are, without listing the directory on each set; and culling (FB-8).
//!
//! Django lists the directory before every write. Here the number is kept and corrected: it counts this object's own
//! writes, and is replaced by a listing when it reaches the limit and after every sixteenth of the limit (at least each
//! one) that was written, so that other writers' files count too. Since the last listing by anybody, each of `k` writers
//! can have added at most that step without looking: there are never more than `MAX_ENTRIES + k × max(1,
//! MAX_ENTRIES / 16)` files (and one per write that is under way). A writer alone keeps the limit exactly.

use super::directory::Directory;
use super::entry::Entry;
use crate::config::Culling;
use crate::error::Result;
use crate::lock::Mutex;
use crate::sys;

/// The number of cache files, and when there are too many.
pub struct Census {
    limit: u64,
    frequency: i64,
    /// Own writes from one listing to the next.
    step: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// At least as many as there were at the last listing plus those that this object added.
    count: u64,
    /// Files (perhaps) added since the last listing; `None` before the first.
    added: Option<u64>,
}

impl Census {
    /// A census that has not counted yet.
    pub fn new(culling: Culling) -> Self {
        let limit = u64::try_from(culling.max_entries).unwrap_or(0);
        Self { limit, frequency: culling.frequency, step: (limit / 16).max(1), state: Mutex::default() }
    }

    /// Culls if there are too many files; to be called before every write, also one that overwrites (FB-8). Answers
    /// whether [`Census::added`] needs to be exact: far from the limit, overwriting may count as adding, which saves
    /// looking for an old file.
    pub fn make_room(&self, directory: &Directory, target: &[u8]) -> Result<bool> {
        let mut state = self.state.lock();
        if state.count >= self.limit || state.added.is_none_or(|added| added >= self.step) {
            let mut count = 0;
            directory.list(|name| count += u64::from(super::directory::is_cache_file(name)))?;
            *state = State { count, added: Some(0) };
            if count >= self.limit {
                state.count -= self.cull(directory, target)?.min(count);
            }
        }
        Ok(state.count.saturating_add(self.step) >= self.limit)
    }

    /// Counts a file that was (or may have been) added.
    pub fn added(&self) {
        let mut state = self.state.lock();
        state.count += 1;
        state.added = state.added.map(|added| added + 1);
    }

    /// Counts a file that was removed.
    pub fn removed(&self) {
        let mut state = self.state.lock();
        state.count = state.count.saturating_sub(1);
    }

    /// Forgets the number: the next write lists.
    pub fn forget(&self) {
        *self.state.lock() = State::default();
    }

    /// Removes `n / frequency` files, or all; how many. The file that is about to be replaced counts as the first of
    /// them without being removed: its value stays until the new one is there, and if that fails it stays altogether.
    fn cull(&self, directory: &Directory, target: &[u8]) -> Result<u64> {
        let mut paths: Vec<_> = directory.cache_files()?.iter().map(|name| directory.path(name)).collect();
        let count = match usize::try_from(self.frequency) {
            Ok(0) => paths.len(),
            Ok(frequency) => paths.len() / frequency,
            Err(_) => 0, // a negative number removes nothing
        };
        let before = paths.len();
        paths.retain(|path| path.as_slice() != target);
        let count = count - usize::from(count > 0 && paths.len() < before);
        if count < paths.len() {
            choose(&mut paths, count);
        }
        // What cannot be removed (another user's) is left, as the new value matters more.
        let removed = paths.iter().take(count).filter(|path| rustix::fs::unlink(path.as_slice()).is_ok()).count();
        Ok(u64::try_from(removed).unwrap_or(u64::MAX))
    }
}

/// Brings the `count` files that should go to the front: expired ones, then the oldest. Only so many are looked at that
/// a cull costs a bounded multiple of what it removes; Django chooses at random, so any choice will do.
fn choose(paths: &mut [super::directory::PathBytes], count: usize) {
    let looked_at = paths.len().min(count.saturating_mul(4).max(64));
    let Some(paths) = paths.get_mut(..looked_at) else { return };
    let now = sys::wall_clock();
    paths.sort_by_cached_key(|path| match Entry::open(path) {
        Ok(Some(entry)) => (!entry.is_over(now), entry.age()),
        _ => (true, (i64::MAX, 0)),
    });
}
