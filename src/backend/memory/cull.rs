//! Culling (L-4): the `len // frequency` least recently used entries go, over all shards.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use super::entry::no_memory;
use super::table::{Locked, Removed, Table, nth};
use crate::error::Result;

/// An entry that was among the oldest when it was noted. If its stamp is still the same it still is.
pub struct Victim {
    stamp: u64,
    hash: u64,
}

/// The oldest entries, oldest first: every entry outside has a larger stamp, since stamps only grow. So a cull of few
/// entries does not have to look through the whole table each time.
pub type Victims = VecDeque<Victim>;

/// Culls a full table: frequency 0 removes everything. What is removed goes to `removed`.
pub fn cull(
    table: &Table,
    all: &mut Locked<'_>,
    victims: &mut Victims,
    frequency: i64,
    removed: &mut Removed,
) -> Result<()> {
    if frequency == 0 {
        table.empty(all, removed);
        return Ok(());
    }
    let len = table.len.load(Ordering::Relaxed);
    let count = usize::try_from(frequency).map_or(0, |frequency| len / frequency);
    removed.entries.try_reserve_exact(count).map_err(|_| no_memory())?;
    while removed.entries.len() < count {
        let Some(victim) = victims.pop_front() else {
            note_oldest(table, all, victims, (count - removed.entries.len()).max(len / 4))?;
            if victims.is_empty() {
                break;
            }
            continue;
        };
        if let Ok(found) = nth(all, victim.hash).find_entry(victim.hash, |entry| entry.stamp == victim.stamp) {
            removed.entries.push(found.remove().0);
            table.len.fetch_sub(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Notes the `count` entries with the smallest stamps (or all, if there are fewer).
fn note_oldest(table: &Table, all: &Locked<'_>, victims: &mut Victims, count: usize) -> Result<()> {
    let entries = || all.iter().flat_map(|shard| shard.iter());
    let len = all.iter().map(|shard| shard.len()).sum();
    let count = count.clamp(1, usize::max(len, 1));
    let mut stamps = Vec::new();
    stamps.try_reserve_exact(len).map_err(|_| no_memory())?;
    stamps.extend(entries().map(|entry| entry.stamp));
    let Some(last) = stamps.len().checked_sub(1) else { return Ok(()) };
    let (_, newest_victim, _) = stamps.select_nth_unstable(last.min(count - 1));
    let newest_victim = *newest_victim;
    victims.try_reserve(count).map_err(|_| no_memory())?;
    victims.extend(
        entries()
            .filter(|entry| entry.stamp <= newest_victim)
            .map(|entry| Victim { stamp: entry.stamp, hash: table.hash(entry.record.key()) }),
    );
    victims.make_contiguous().sort_unstable_by_key(|victim| victim.stamp);
    Ok(())
}
