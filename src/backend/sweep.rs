//! Removing all keys that match a pattern, for any backend that lists keys.

use super::Backend;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::timeout::Budget;

/// Lists and removes, page by page; how many keys were removed. A key that is there all the time is found: a listing
/// shows every such key, whatever is removed meanwhile.
pub(super) fn page_by_page<B: Backend + ?Sized>(backend: &B, pattern: &[u8], budget: Budget) -> Result<u64> {
    let budget = budget.fixed();
    let (mut at, mut removed) = (0, 0);
    loop {
        let page = backend.scan(pattern, at, budget).map_err(|error| partly(error, removed))?;
        let keys: Vec<_> = page.keys.iter().map(|key| MadeKey::of_bytes(key)).collect();
        if !keys.is_empty() {
            removed += backend.delete_many(&keys, budget).map_err(|error| partly(error, removed))?;
        }
        match page.next {
            Some(next) => at = next,
            None => return Ok(removed),
        }
    }
}

/// A failure in the midst of a removal: what is left can be removed by doing it again.
pub(super) fn partly(error: Error, removed: u64) -> Error {
    if error.kind() == Kind::Unsupported {
        return error;
    }
    let reason = format!("{}; {removed} keys were removed until then, do it again for the others", error.reason());
    error.with_reason(reason)
}
