//! The keys of a cache, a page at a time.

use rusqlite::params;
use rusqlite::types::ValueRef;

use super::shard::Shard;
use crate::backend::{Page, glob};
use crate::error::Result;
use crate::sys;
use crate::timeout::Budget;

/// Rows that one page looks at.
const ROWS: u32 = 1000;

/// A place is the number of a shard, above the number of the last row that was looked at. Rows with greater numbers, which
/// only a hostile database has, are not listed.
const ROW_BITS: u32 = 48;
const LAST_ROW: i64 = (1 << ROW_BITS) - 1;

/// The live keys that match, after the place `at`. Keys that are no texts are none of Django's.
pub fn page(shards: &[Shard], pattern: &[u8], at: u64, budget: Budget) -> Result<Page> {
    let number = usize::try_from(at >> ROW_BITS).unwrap_or(usize::MAX);
    let row = i64::try_from(at & LAST_ROW.unsigned_abs()).unwrap_or(LAST_ROW);
    let Some(shard) = shards.get(number) else { return Ok(Page::default()) };
    let (keys, last) = shard.read(budget, |session| {
        let find = "SELECT rowid, key, raw = 1 AND (expire_time IS NULL OR expire_time > ?3) FROM Cache \
                    WHERE rowid > ?1 AND rowid <= ?2 ORDER BY rowid LIMIT ?4";
        let mut find = session.connection.prepare_cached(find)?;
        let mut rows = find.query(params![row, LAST_ROW, sys::wall_clock(), ROWS])?;
        let (mut keys, mut last, mut count) = (Vec::new(), row, 0);
        while let Some(row) = rows.next()? {
            (last, count) = (row.get(0)?, count + 1);
            if let (ValueRef::Text(key), ValueRef::Integer(1)) = (row.get_ref(1)?, row.get_ref(2)?)
                && glob::matches(pattern, key)
            {
                keys.push(key.to_vec());
            }
        }
        Ok((keys, (count == ROWS).then_some(last)))
    })?;
    let next = match last {
        Some(row) => Some(((number as u64) << ROW_BITS) | row.unsigned_abs()),
        None if number + 1 < shards.len() => Some((number as u64 + 1) << ROW_BITS),
        None => None,
    };
    Ok(Page { keys, next })
}
