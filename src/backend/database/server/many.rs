//! The steps of operations on several keys: few statements for many rows.

use std::collections::HashMap;

use super::super::dialect::Engine;
use super::super::row;
use super::asked::Fresh;
use super::link::{Arg, Link};
use super::session::{Session, Step};
use super::table::Table;
use crate::backend::Stored;
use crate::timeout::Ttl;

/// Keys in one statement at most.
const KEYS: usize = 512;
/// Rows in one statement at most.
const ROWS: usize = 128;
/// Bytes of values in one statement at most, unless one alone has more.
const BYTES: usize = 1 << 20;

impl Table {
    /// The values of several keys (DB-7).
    pub async fn get_many<L: Link>(&self, session: &mut Session<'_, L>, keys: &[String]) -> Step<Vec<Option<Stored>>> {
        let mut found: HashMap<String, Stored> = HashMap::new();
        let mut over = Vec::new();
        let now = self.calendar.now();
        for chunk in keys.chunks(KEYS) {
            let args = padded(chunk);
            for row in session.rows(&self.dialect.get_many(args.len()), &args).await? {
                let Ok([key, value, expires]) = <[String; 3]>::try_from(row) else { continue };
                if self.point(&expires)?.is_over(now.point) {
                    over.push(key);
                } else {
                    found.insert(key, row::decode(value.as_bytes(), self.limit)?.into());
                }
            }
        }
        let now = self.calendar.now_text(now);
        for chunk in over.chunks(KEYS) {
            let (statement, mut args) = self.removal(chunk);
            let statement = format!("{statement} AND {}", self.is_over(args.len() + 1));
            args.push(Arg::Text(&now));
            let gone = session.tidy(&statement, &args).await;
            self.census.removed(gone);
        }
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    /// Writes several rows: all of them or none.
    pub async fn set_many<L: Link>(&self, session: &mut Session<'_, L>, rows: &[Fresh], ttl: Ttl) -> Step<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.cull(session).await?;
        let (expires, _) = self.calendar.expires(ttl, self.calendar.now());
        let chunks = chunks(rows);
        if chunks.len() > 1 {
            session.begin().await?;
        }
        let mut added = 0;
        for chunk in chunks {
            let mut args = Vec::with_capacity(chunk.len() * 3);
            for row in chunk {
                args.extend([Arg::Text(&row.key), Arg::Text(&row.text), Arg::Text(&expires)]);
            }
            let statement = self.write_of(chunk.len());
            if self.dialect.engine() == Engine::Postgres {
                let rows = session.change_rows(&statement, &args).await?;
                added += rows.iter().filter(|row| row.first().is_some_and(|is_new| is_new == "true")).count();
            } else {
                // 1 for a new row, 2 for one that was replaced
                let changed = usize::try_from(session.change(&statement, &args).await?).unwrap_or(usize::MAX);
                added += (chunk.len() * 2).saturating_sub(changed);
            }
        }
        session.commit().await?;
        for _ in 0..added {
            self.census.added();
        }
        Ok(())
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
            let (statement, args) = self.removal(chunk);
            gone += session.change(&statement, &args).await?;
        }
        session.commit().await?;
        self.census.removed(gone);
        Ok(gone)
    }

    /// The statement that removes these keys, and its parameters.
    fn removal<'k, K: AsRef<str>>(&self, keys: &'k [K]) -> (String, Vec<Arg<'k>>) {
        let mut args = padded(keys);
        let statement = self.dialect.delete_many(args.len());
        if self.dialect.engine() == Engine::MySql {
            args.extend_from_within(..); // once more, for their bytes
        }
        (statement, args)
    }

    /// The condition that a row is over at the parameter of this number.
    fn is_over(&self, number: usize) -> String {
        match self.dialect.engine() {
            Engine::Postgres => format!("\"expires\" <= CAST(${number} AS timestamp with time zone)"),
            _ => "`expires` <= ?".to_owned(),
        }
    }

    /// [`Dialect::set`](super::super::dialect::Dialect::set) of several rows.
    fn write_of(&self, count: usize) -> String {
        let set = &self.dialect.set;
        let (values, one) = match self.dialect.engine() {
            Engine::Postgres => ("VALUES ", "($1, $2, CAST($3 AS timestamp with time zone))"),
            _ => ("VALUES ", "(?, ?, ?)"),
        };
        let row = |at: usize| match self.dialect.engine() {
            Engine::Postgres => {
                let first = at * 3;
                format!("(${}, ${}, CAST(${} AS timestamp with time zone))", first + 1, first + 2, first + 3)
            }
            _ => one.to_owned(),
        };
        let rows: Vec<String> = (0..count).map(row).collect();
        set.replacen(&format!("{values}{one}"), &format!("{values}{}", rows.join(", ")), 1)
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

/// The rows of one statement each.
fn chunks(rows: &[Fresh]) -> Vec<&[Fresh]> {
    let mut chunks = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let mut bytes = 0_usize;
        let fits = |row: &&Fresh| {
            bytes = bytes.saturating_add(row.text.len());
            bytes <= BYTES
        };
        let count = rest.iter().take(ROWS).take_while(fits).count().max(1);
        let (chunk, others) = rest.split_at(count.min(rest.len()));
        chunks.push(chunk);
        rest = others;
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_bounded() {
        let row = |size: usize| Fresh { key: String::new(), text: "x".repeat(size) };
        let sizes = |rows: Vec<Fresh>| chunks(&rows).iter().map(|chunk| chunk.len()).collect::<Vec<_>>();
        assert_eq!(sizes(vec![]), [0; 0]);
        assert_eq!(sizes((0..300).map(|_| row(1)).collect()), [128, 128, 44]);
        assert_eq!(sizes(vec![row(BYTES * 2), row(1), row(BYTES - 1), row(1)]), [1, 2, 1]);
    }

    #[test]
    fn few_lengths_are_used() {
        let lengths: Vec<usize> = (1..10).map(|count| padded(&vec!["k"; count]).len()).collect();
        assert_eq!(lengths, [1, 2, 4, 4, 8, 8, 8, 8, 16]);
        assert!(padded::<&str>(&[]).is_empty());
    }
}
