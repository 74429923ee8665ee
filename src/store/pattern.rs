//! Removing keys by a pattern, and expiry at a moment.

use super::{Call, Store};
use crate::backend::{Capability, Touched, left_until};
use crate::error::Result;

impl Store {
    /// Removes the keys that match a glob pattern, as in [`Store::keys`]; how many were removed. DR-25 counts what was
    /// listed, perhaps twice: that is of no use to anybody.
    pub fn delete_pattern(&self, pattern: &str, call: &Call<'_>) -> Result<u64> {
        let made = self.made_pattern("delete_pattern", pattern, call)?;
        let removed = self.checked("delete_pattern", self.backend.delete_pattern(&made, self.budget(call)))?;
        self.counters.here().deletes(removed);
        Ok(removed)
    }

    /// Makes a key expire at a moment, in milliseconds since 1970 (DR-23): by the server's clock where that can, else by
    /// this process's.
    pub fn expire_at(&self, key: &str, at_ms: i64, call: &Call<'_>) -> Result<Touched> {
        let _watch = self.watch();
        let (made, budget) = (self.make("expire_at", key, call)?, self.budget(call));
        let touched = if self.backend.supports(Capability::ExpireAt) {
            self.backend.expire_at(&made, at_ms, budget)
        } else {
            self.backend.touch(&made, left_until(at_ms), budget)
        };
        self.checked_touch("expire_at", touched) // DR-16
    }
}
