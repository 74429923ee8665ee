//! What goes out of a shard: a few rows with each write, everything, and what crashed writers left.

use std::collections::HashSet;

use rusqlite::types::ValueRef;
use rusqlite::{Params, params};

use super::fault::Fault;
use super::files::Name;
use super::row::file_of;
use super::session::Session;
use super::settings::Policy;
use super::shard::{Leavings, Shard};
use crate::error::{Error, Kind, Result};
use crate::sys;
use crate::timeout::Budget;

/// Rows that one transaction removes: the lock is held meanwhile.
const BATCH: i64 = 100;

const EXPIRED: &str = "SELECT rowid, filename FROM Cache WHERE expire_time IS NOT NULL AND expire_time < ?1 \
                       ORDER BY expire_time LIMIT ?2";
const ANY: &str = "SELECT rowid, filename FROM Cache LIMIT ?1";
const PREFIXED: &str = "SELECT rowid, filename FROM Cache WHERE key >= ?1 AND key < ?2 AND raw = 1 LIMIT ?3";

/// After this many seconds a file that no row names has lost its writer.
const ORPHANED_AFTER: i64 = 3600;
/// So many of those are looked at in one go.
const ORPHANS: usize = 10_000;

/// What each write does at its end: removes a few rows that have expired; then, where the shard is too large, those that
/// the policy gives up first.
pub fn cull(session: &Session, now: f64, leavings: &mut Leavings) -> Result<(), Fault> {
    let limit = session.settings.cull_limit;
    if limit == 0 {
        return Ok(());
    }
    let left = limit - remove(session, EXPIRED, params![now, limit], leavings)?;
    let first = match session.settings.policy {
        Policy::None => return Ok(()),
        Policy::LeastRecentlyStored => "SELECT rowid, filename FROM Cache ORDER BY store_time LIMIT ?1",
        Policy::LeastRecentlyUsed => "SELECT rowid, filename FROM Cache ORDER BY access_time LIMIT ?1",
        Policy::LeastFrequentlyUsed => "SELECT rowid, filename FROM Cache ORDER BY access_count LIMIT ?1",
    };
    if left != 0 && volume(session)? >= session.settings.size_limit {
        remove(session, first, params![left], leavings)?;
    }
    Ok(())
}

/// What the shard takes on the disk, as diskcache estimates it: the database's pages and the files.
fn volume(session: &Session) -> Result<f64, Fault> {
    let connection = &session.connection;
    let pages: i64 = connection.prepare_cached("PRAGMA page_count")?.query_row([], |row| row.get(0))?;
    let mut find = connection.prepare_cached("SELECT value FROM Settings WHERE key = 'size'")?;
    let mut rows = find.query([])?;
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    let files = match rows.next()? {
        Some(row) => match row.get_ref(0)? {
            ValueRef::Integer(size) => size as f64,
            ValueRef::Real(size) => size,
            _ => 0.0,
        },
        None => 0.0,
    };
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    Ok(pages as f64 * session.settings.page_size as f64 + files)
}

/// Removes the rows that a statement finds, by their number and file; how many.
fn remove(session: &Session, find: &str, parameters: impl Params, leavings: &mut Leavings) -> Result<i64, Fault> {
    let mut rowids = Vec::new();
    let mut statement = session.connection.prepare_cached(find)?;
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        rowids.push(row.get::<_, i64>(0)?);
        leavings.extend(file_of(row, 1)?);
    }
    drop(rows);
    let mut delete = session.connection.prepare_cached("DELETE FROM Cache WHERE rowid = ?1")?;
    for rowid in &rowids {
        delete.execute([rowid])?;
    }
    Ok(i64::try_from(rowids.len()).unwrap_or(i64::MAX))
}

impl Shard {
    /// Removes all rows, or those whose key begins with `prefix`, some at a time.
    pub fn clear(&self, prefix: Option<&str>, budget: Budget) -> Result<()> {
        let end = match prefix.map(after) {
            Some(None) => return Ok(()), // no text begins so
            Some(end) => end,
            None => None,
        };
        let bounds = prefix.zip(end.as_deref());
        self.in_batches(budget, |session, leavings| match bounds {
            Some((prefix, end)) => remove(session, PREFIXED, params![prefix, end, BATCH], leavings),
            None => remove(session, ANY, [BATCH], leavings),
        })?;
        Ok(())
    }

    /// Removes what has expired, and files whose writers must have died; how many.
    pub fn purge(&self, budget: Budget) -> Result<u64> {
        let budget = budget.fixed();
        let now = sys::wall_clock();
        let expired =
            self.in_batches(budget, |session, leavings| remove(session, EXPIRED, params![now, BATCH], leavings))?;
        Ok(expired + self.remove_orphans(budget)?)
    }

    fn in_batches(
        &self,
        budget: Budget,
        mut batch: impl FnMut(&Session, &mut Leavings) -> Result<i64, Fault>,
    ) -> Result<u64> {
        let budget = budget.fixed();
        let mut count = 0;
        loop {
            let removed = self.write(budget, &mut batch)?;
            count += u64::try_from(removed).unwrap_or(0);
            if removed < BATCH {
                return Ok(count);
            }
            if budget.start().left().is_none() {
                let total = budget.total().as_millis();
                let reason = format!("the deadline of {total} ms passed; {count} rows of a shard are removed");
                return Err(Error::new(Kind::Timeout, reason).maybe_done());
            }
        }
    }

    /// Removes files that no row names, and that are older than any write takes.
    fn remove_orphans(&self, budget: Budget) -> Result<u64> {
        #[allow(clippy::cast_possible_truncation)] // whole seconds since 1970
        let now = sys::wall_clock() as i64;
        let old = self.folder.old_files(ORPHANED_AFTER, now, ORPHANS, &budget.start());
        if old.is_empty() {
            return Ok(0);
        }
        let named = self.read(budget, |session| {
            let mut named = HashSet::new();
            let mut find =
                session.connection.prepare_cached("SELECT filename FROM Cache WHERE filename IS NOT NULL")?;
            let mut rows = find.query([])?;
            let old: HashSet<&Name> = old.iter().collect();
            while let Some(row) = rows.next()? {
                named.extend(file_of(row, 0)?.filter(|name| old.contains(name)));
            }
            Ok(named)
        })?;
        let mut count = 0;
        for name in old.iter().filter(|name| !named.contains(name)) {
            self.folder.remove(name);
            count += 1;
        }
        Ok(count)
    }
}

/// The first text, in SQLite's order, after all that begin with `prefix`; `None` where there is none.
fn after(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        // no text has the code points of surrogates
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn the_end_of_a_prefix() {
        for (prefix, end) in [
            (":1:", Some(":1;")),
            ("é", Some("ê")),
            ("a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
            ("", None),
        ] {
            assert_eq!(after(prefix).as_deref(), end, "{prefix:?}");
        }
    }
}
