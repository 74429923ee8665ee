//! The steps of operations on several keys: few statements for many rows.

use std::collections::HashMap;

use super::super::dialect::Engine;
use super::super::row;
use super::asked::Fresh;
use super::link::{Arg, Link};
use super::session::{Session, Step};
use super::table::Table;
use crate::backend::Fetched;
use crate::timeout::Ttl;

/// Keys in one statement at most.
const KEYS: usize = 512;
/// Rows in one statement at most.
const ROWS: usize = 128;
/// Bytes of values in one statement at most, unless one alone has more.
const BYTES: usize = 1 << 20;

impl Table {
    /// The values of several keys, and what is left of their times (DB-7).
    pub async fn fetch_many<L: Link>(
        &self,
        session: &mut Session<'_, L>,
        keys: &[String],
    ) -> Step<Vec<Option<Fetched>>> {
        let mut found: HashMap<String, Fetched> = HashMap::new();
        let mut over = Vec::new();
        let now = self.calendar.now();
        for chunk in keys.chunks(KEYS) {
            let args = padded(chunk);
            for row in session.rows(&self.dialect.get_many(args.len()), &args).await? {
                let Ok([key, value, expires]) = <[String; 3]>::try_from(row) else { continue };
                let point = self.point(&expires)?;
                if point.is_over(now.point) {
                    over.push(key);
                } else {
                    let value = row::decode(value.as_bytes(), self.limit)?.into();
                    found.insert(key, Fetched { value, left: Some(point.left(now.point)) });
                }
            }
        }
        let now = self.calendar.now_text(now);
        for chunk in over.chunks(KEYS) {
            let (count, mut args) = self.keys_to_remove(chunk);
            args.push(Arg::Text(&now));
            let gone = session.tidy(&self.dialect.delete_over_many(count), &args).await;
            self.census.removed(gone);
        }
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    /// Writes several rows: all of them or none. Culls between them where Django, which writes one after the other, does.
    pub async fn set_many<L: Link>(&self, session: &mut Session<'_, L>, rows: &[Fresh], ttl: Ttl) -> Step<()> {
        let (expires, _) = self.calendar.expires(ttl, self.calendar.now());
        let done = self.set_all(session, rows, &expires).await;
        if done.is_err() {
            self.census.forget(); // what was counted is not there
        }
        done
    }

    async fn set_all<L: Link>(&self, session: &mut Session<'_, L>, rows: &[Fresh], expires: &str) -> Step<()> {
        let mut rest = rows;
        while !rest.is_empty() {
            self.cull(session).await?;
            let (chunk, others) = rest.split_at(first_chunk(rest, self.census.room()));
            if !others.is_empty() {
                session.begin().await?;
            }
            let mut args = Vec::with_capacity(chunk.len() * 3);
            for row in chunk {
                args.extend([Arg::Text(&row.key), Arg::Text(&row.text), Arg::Text(expires)]);
            }
            let statement = self.dialect.set_many(chunk.len());
            let added = if self.dialect.engine() == Engine::Postgres {
                let rows = session.change_rows(&statement, &args).await?;
                rows.iter().filter(|row| row.first().is_some_and(|is_new| is_new == "true")).count()
            } else {
                // 1 for a new row, 2 for one that was replaced
                let changed = usize::try_from(session.change(&statement, &args).await?).unwrap_or(usize::MAX);
                (chunk.len() * 2).saturating_sub(changed)
            };
            for _ in 0..added {
                self.census.added();
            }
            rest = others;
        }
        session.commit().await
    }

    /// Removes several rows; how many there were.
    pub async fn delete_many<L: Link>(&self, session: &mut Session<'_, L>, keys: &[String]) -> Step<u64> {
        let mut keys: Vec<&String> = keys.iter().collect();
        keys.sort_unstable(); // two who remove the same rows don't wait for each other
        keys.dedup();
        if keys.len() > KEYS {
            session.begin().await?;
        }
        let mut gone = 0;
        for chunk in keys.chunks(KEYS) {
            let (count, args) = self.keys_to_remove(chunk);
            gone += session.change(&self.dialect.delete_many(count), &args).await?;
        }
        session.commit().await?;
        self.census.removed(gone);
        Ok(gone)
    }

    /// How many keys a statement that removes these has, and its parameters.
    fn keys_to_remove<'k, K: AsRef<str>>(&self, keys: &'k [K]) -> (usize, Vec<Arg<'k>>) {
        let mut args = padded(keys);
        let count = args.len();
        if self.dialect.engine() == Engine::MySql {
            args.extend_from_within(..); // once more, for their bytes
        }
        (count, args)
    }
}

/// The keys as parameters: as many as a power of two, the last one again and again, so that a connection knows few
/// statements.
fn padded<K: AsRef<str>>(keys: &[K]) -> Vec<Arg<'_>> {
    let mut args: Vec<Arg<'_>> = keys.iter().map(|key| Arg::Text(key.as_ref())).collect();
    if let Some(last) = args.last().copied() {
        args.resize(args.len().next_power_of_two(), last);
    }
    args
}

/// How many of the rows one statement takes: one or more, if there are any.
fn first_chunk(rows: &[Fresh], room: u64) -> usize {
    let most = usize::try_from(room).unwrap_or(usize::MAX).min(ROWS);
    let mut bytes = 0_usize;
    let fits = |row: &&Fresh| {
        bytes = bytes.saturating_add(row.text.len());
        bytes <= BYTES
    };
    rows.iter().take(most).take_while(fits).count().max(1).min(rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_bounded() {
        let row = |size: usize| Fresh { key: String::new(), text: "x".repeat(size) };
        let sizes = |rows: Vec<Fresh>, room: u64| {
            let (mut rest, mut sizes) = (&rows[..], Vec::new());
            while !rest.is_empty() {
                let (chunk, others) = rest.split_at(first_chunk(rest, room));
                sizes.push(chunk.len());
                rest = others;
            }
            sizes
        };
        let rows = |count: usize| (0..count).map(|_| row(1)).collect();
        assert_eq!(sizes(vec![], 9), [0; 0]);
        assert_eq!(sizes(rows(300), u64::MAX), [128, 128, 44]);
        assert_eq!(sizes(rows(20), 9), [9, 9, 2]);
        assert_eq!(sizes(rows(2), 0), [1, 1]);
        assert_eq!(sizes(vec![row(BYTES * 2), row(1), row(BYTES - 1), row(1)], u64::MAX), [1, 2, 1]);
    }

    #[test]
    fn few_lengths_are_used() {
        let lengths: Vec<usize> = (1..10).map(|count| padded(&vec!["k"; count]).len()).collect();
        assert_eq!(lengths, [1, 2, 4, 4, 8, 8, 8, 8, 16]);
        assert!(padded::<&str>(&[]).is_empty());
    }
}
