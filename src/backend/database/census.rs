//! How many rows there are, without a COUNT for each write; and when to cull (DB-8, DB-11, DB-12).
//!
//! Django counts before every write, and culls where there are more than MAX_ENTRIES rows. Here the number is kept: it
//! counts this object's own rows, and is replaced by a COUNT when it goes beyond the limit and after every sixteenth of
//! the limit (at least each one) that was added, so that other writers' rows count too. Between two COUNTs each of `k`
//! writers adds at most that step: there are never more than `MAX_ENTRIES + 1 + k × max(1, MAX_ENTRIES / 16)` rows (and
//! one for each write that is under way, or the rows of one of its statements), as long as CULL_FREQUENCY lets a cull
//! remove any. A writer alone culls exactly when Django does.
//!
//! Only the arithmetic is here; it asks for what it wants to know.

use crate::config::Culling;
use crate::lock::Mutex;

/// The number of rows of one table, as one store knows it.
#[derive(Debug)]
pub struct Census {
    limit: u64,
    frequency: i64,
    step: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    /// Rows added since the last COUNT; `None` before the first.
    added: Option<u64>,
    /// The last cull could remove nothing (CULL_FREQUENCY is too large).
    in_vain: bool,
}

/// What to do about too many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cull {
    /// Nothing: there are not too many.
    No,
    /// CULL_FREQUENCY is 0: remove all.
    All,
    /// Remove those that are over; then ask [`Census::to_cull`].
    Some,
}

impl Census {
    /// A census that has not counted yet.
    pub fn new(culling: Culling) -> Self {
        let limit = u64::try_from(culling.max_entries).unwrap_or(0);
        Self { limit, frequency: culling.frequency, step: (limit / 16).max(1), state: Mutex::default() }
    }

    /// Whether a COUNT is due: to be asked before each set, add and touch. Where it is, tell [`Census::counted`].
    pub fn is_due(&self) -> bool {
        let state = self.state.lock();
        let Some(added) = state.added else { return true };
        added >= self.step || (state.count > self.limit && !state.in_vain)
    }

    /// How many rows a statement may add before [`Census::is_due`] is to be asked again, at least one: as many as there
    /// are until Django would cull.
    #[cfg_attr(not(any(feature = "postgres", feature = "mysql")), allow(dead_code))]
    pub fn room(&self) -> u64 {
        let state = self.state.lock();
        let room = match state.count {
            count if count > self.limit => self.step.saturating_sub(state.added.unwrap_or_default()), // in vain
            count => self.limit - count + 1,
        };
        room.max(1)
    }

    /// Takes a COUNT; what to do about it.
    pub fn counted(&self, count: u64) -> Cull {
        *self.state.lock() = State { count, added: Some(0), in_vain: false };
        match self.frequency {
            _ if count <= self.limit => Cull::No,
            0 => Cull::All,
            _ => Cull::Some,
        }
    }

    /// How many of the rows that are left (those that were over are gone) go, by the alphabet (DB-11): the number of
    /// keys before the first one that stays. 0: none.
    pub fn to_cull(&self, left: u64) -> u64 {
        if left <= self.limit {
            return 0;
        }
        u64::try_from(self.frequency).ok().and_then(|frequency| left.checked_div(frequency)).unwrap_or(0)
    }

    /// Takes note of a cull that removed so many rows.
    pub fn culled(&self, removed: u64) {
        let mut state = self.state.lock();
        state.count = state.count.saturating_sub(removed);
        state.in_vain = removed == 0;
    }

    /// Counts a row that was (or may have been) added.
    pub fn added(&self) {
        let mut state = self.state.lock();
        state.count += 1;
        state.added = state.added.map(|added| added + 1);
    }

    /// Counts rows that were removed.
    pub fn removed(&self, rows: u64) {
        let mut state = self.state.lock();
        state.count = state.count.saturating_sub(rows);
    }

    /// Forgets the number: the next write counts.
    pub fn forget(&self) {
        *self.state.lock() = State::default();
    }
}
