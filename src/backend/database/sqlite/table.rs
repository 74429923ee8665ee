//! The operations on a table of a SQLite database, each on the caller's thread.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OptionalExtension as _, Row, ToSql, Transaction, TransactionBehavior};

use super::super::Bounds;
use super::super::census::{Census, Cull};
use super::super::dialect::{Dialect, Engine};
use super::super::expiry::{Calendar, Now, Point};
use super::super::row;
use super::fault;
use super::link::Link;
use super::pool::Pool;
use crate::backend::{Entry, Fetched, Page, Touched, When, Written};
use crate::config::{Sqlite, SqliteFile, Times};
use crate::error::Result;
use crate::key::MadeKey;
use crate::timeout::{Budget, Deadline, Ttl};

/// Keys of one page of a listing, before the pattern.
const PAGE: u32 = 1000;

/// What removing an expired row may take of a read's time.
const TIDYING: Duration = Duration::from_millis(100);

/// A table.
pub struct Table {
    dialect: Dialect,
    calendar: Calendar,
    pool: Pool,
    census: Census,
    /// The file, for messages.
    shown: Option<Arc<str>>,
    /// The largest value that is read.
    limit: usize,
}

/// What a row has.
enum Found {
    Nothing,
    Over,
    Live(Fetched),
}

/// A made key or a text, as a parameter.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

impl<'a> From<&'a MadeKey> for Text<'a> {
    fn from(key: &'a MadeKey) -> Self {
        Self(key.as_bytes())
    }
}

impl Table {
    /// LOCATION `table` of a database.
    pub fn new(config: Sqlite, table: &str, times: &Times, connections: usize, bounds: Bounds) -> Result<Self> {
        let shown = match &config.file {
            SqliteFile::Path(path) => Some(path.display().to_string().into()),
            SqliteFile::Uri(_) => None,
        };
        Ok(Self {
            shown,
            dialect: Dialect::new(Engine::Sqlite, table)?,
            calendar: Calendar::open(times, Engine::Sqlite)?,
            pool: Pool::new(config, connections),
            census: Census::new(bounds.culling),
            limit: bounds.limits.bytes,
        })
    }

    /// A value, and what is left of its time. A row that is over is removed, unless somebody refreshes it meanwhile (DB-7).
    pub fn fetch(&self, key: &MadeKey, budget: Budget) -> Result<Option<Fetched>> {
        let (deadline, now) = (budget.start(), self.calendar.now());
        let lent = self.pool.reader(&deadline)?;
        let found = self.read(lent.link()?, key, now, &deadline)?;
        drop(lent);
        Ok(match found {
            Found::Live(fetched) => Some(fetched),
            Found::Nothing => None,
            Found::Over => {
                self.tidy(&[key], now, &deadline);
                None
            }
        })
    }

    /// The same of several keys, all as they are at one moment.
    pub fn fetch_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Fetched>>> {
        let (deadline, now) = (budget.start(), self.calendar.now());
        let lent = self.pool.reader(&deadline)?;
        let link = lent.link()?;
        let (mut fetched, mut over) = (Vec::with_capacity(keys.len()), Vec::new());
        let reading = self.transaction(link, TransactionBehavior::Deferred, &deadline)?;
        for key in keys {
            fetched.push(match self.read(link, key, now, &deadline)? {
                Found::Live(one) => Some(one),
                Found::Nothing => None,
                Found::Over => {
                    over.push(key);
                    None
                }
            });
        }
        reading.commit().map_err(|error| self.fault(&error, &deadline))?;
        drop(lent);
        self.tidy(&over, now, &deadline);
        Ok(fetched)
    }

    fn read(&self, link: &Link, key: &MadeKey, now: Now, deadline: &Deadline) -> Result<Found> {
        let fault = |error| self.fault(&error, deadline);
        let mut statement = link.connection.prepare_cached(&self.dialect.get).map_err(fault)?;
        let mut rows = statement.query([Text::from(key)]).map_err(fault)?;
        let Some(row) = rows.next().map_err(fault)? else { return Ok(Found::Nothing) };
        let point = self.point(row, 1).map_err(fault)??;
        if point.is_over(now.point) {
            return Ok(Found::Over);
        }
        let ValueRef::Text(text) = row.get_ref(0).map_err(fault)? else {
            return Err(row::undecodable("is not a text"));
        };
        let value = row::decode(text, self.limit)?.into();
        Ok(Found::Live(Fetched { value, left: Some(point.left(now.point)) }))
    }

    /// The column `expires` of a row.
    fn point(&self, row: &Row<'_>, column: usize) -> rusqlite::Result<Result<Point>> {
        let text = match row.get_ref(column)? {
            ValueRef::Text(text) | ValueRef::Blob(text) => std::str::from_utf8(text).ok(),
            _ => None,
        };
        Ok(text.and_then(|text| self.calendar.read(text)).ok_or_else(|| row::undecodable("has no time of expiry")))
    }

    /// Removes rows that are over. A read has answered already: where others are writing, or nobody may, they stay.
    fn tidy(&self, keys: &[&MadeKey], now: Now, deadline: &Deadline) {
        if keys.is_empty() {
            return;
        }
        let deadline = deadline.at_most(TIDYING);
        let now = self.calendar.now_text(now);
        let _ = self.in_transaction(&deadline, |link| {
            for key in keys {
                let removed = self.execute(link, &self.dialect.delete_over, &[&Text::from(*key), &now], &deadline)?;
                self.census.removed(removed);
            }
            Ok(())
        });
    }

    /// The end of a row that is not over.
    fn expiry(&self, key: &MadeKey, now: Now, budget: Budget) -> Result<Option<Point>> {
        let deadline = budget.start();
        let lent = self.pool.reader(&deadline)?;
        let fault = |error| self.fault(&error, &deadline);
        let mut statement = lent.link()?.connection.prepare_cached(&self.dialect.expiry).map_err(fault)?;
        let found = statement.query_row([Text::from(key)], |row| self.point(row, 0)).optional().map_err(fault)?;
        Ok(found.transpose()?.filter(|point| !point.is_over(now.point)))
    }

    /// Whether a row is there that is not over; one that is stays, as in Django.
    pub fn has(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        Ok(self.expiry(key, self.calendar.now(), budget)?.is_some())
    }

    /// What is left of a row's time.
    pub fn ttl(&self, key: &MadeKey, budget: Budget) -> Result<Option<Ttl>> {
        let now = self.calendar.now();
        Ok(self.expiry(key, now, budget)?.map(|point| point.left(now.point)))
    }

    /// Writes a value; one whose time is spent is written too, and is over (T).
    pub fn set(&self, key: &MadeKey, value: &[u8], ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        let text = row::encode(value)?;
        let deadline = budget.start();
        let (lent, _turn) = self.pool.writer(&deadline)?;
        self.put(lent.link()?, key, &text, ttl, when, &deadline)
    }

    /// Writes several values in one transaction: all, or none.
    pub fn set_many(&self, entries: &[Entry], ttl: Ttl, budget: Budget) -> Result<()> {
        let deadline = budget.start();
        let result = self.in_transaction(&deadline, |link| {
            for entry in entries {
                let text = row::encode(&entry.value.bytes)?;
                self.put(link, &entry.key, &text, ttl, When::Always, &deadline)?;
            }
            Ok(())
        });
        if result.is_err() {
            self.census.forget(); // what was counted is not there
        }
        result
    }

    fn put(
        &self,
        link: &Link,
        key: &MadeKey,
        text: &str,
        ttl: Ttl,
        when: When,
        deadline: &Deadline,
    ) -> Result<Written> {
        self.make_room(link, deadline)?;
        let now = self.calendar.now();
        let (expires, is_over) = self.calendar.expires(ttl, now);
        let (key, now) = (Text::from(key), self.calendar.now_text(now));
        let changed = match when {
            When::Always => self.execute(link, &self.dialect.set, &[&key, &text, &expires], deadline),
            When::Missing => self.execute(link, &self.dialect.add, &[&key, &text, &expires, &now], deadline),
            When::Present => self.execute(link, &self.dialect.replace, &[&text, &expires, &key, &now], deadline),
        }?;
        if link.has_inserted() {
            self.census.added();
        }
        Ok(match changed {
            0 => Written::NotStored,
            _ if is_over => Written::NotKept,
            _ => Written::Stored,
        })
    }

    /// Gives a row another end, also one that is over (DB-10).
    pub fn touch(&self, key: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched> {
        let deadline = budget.start();
        let (lent, _turn) = self.pool.writer(&deadline)?;
        let link = lent.link()?;
        self.make_room(link, &deadline)?; // DB-8
        let (expires, is_over) = self.calendar.expires(ttl, self.calendar.now());
        let changed = self.execute(link, &self.dialect.touch, &[&expires, &Text::from(key)], &deadline)?;
        Ok(match changed {
            0 => Touched::Missing,
            _ if is_over => Touched::NotKept,
            _ => Touched::Changed,
        })
    }

    /// Takes the end away from a row that is not over.
    pub fn persist(&self, key: &MadeKey, budget: Budget) -> Result<Touched> {
        let now = self.calendar.now();
        let ((forever, _), now) = (self.calendar.expires(Ttl::Forever, now), self.calendar.now_text(now));
        let changed = self.write(&self.dialect.touch_live, &[&forever, &Text::from(key), &now], budget)?;
        Ok(if changed == 0 { Touched::Missing } else { Touched::Changed })
    }

    /// Removes a row; whether there was one, be it over or not.
    pub fn delete(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        Ok(self.remove(&self.dialect.delete, &[&Text::from(key)], budget)? > 0)
    }

    /// Removes several rows in one transaction; how many there were.
    pub fn delete_many(&self, keys: &[MadeKey], budget: Budget) -> Result<u64> {
        let deadline = budget.start();
        let removed = self.in_transaction(&deadline, |link| {
            keys.iter().try_fold(0, |sum, key| {
                Ok(sum + self.execute(link, &self.dialect.delete, &[&Text::from(key)], &deadline)?)
            })
        })?;
        self.census.removed(removed);
        Ok(removed)
    }

    /// Removes all rows, or those whose keys begin so.
    pub fn clear(&self, prefix: Option<&[u8]>, budget: Budget) -> Result<()> {
        match prefix.filter(|prefix| !prefix.is_empty()) {
            None => self.remove(&self.dialect.clear, &[], budget)?,
            Some(prefix) => {
                let behind = behind(prefix);
                self.remove(&self.dialect.clear_prefix, &[&Text(prefix), &Text(&behind)], budget)?
            }
        };
        Ok(())
    }

    /// Removes the rows that are over; how many.
    pub fn purge(&self, budget: Budget) -> Result<u64> {
        let now = self.calendar.now_text(self.calendar.now());
        self.remove(&self.dialect.purge, &[&now], budget)
    }

    /// A page of the keys, behind the row number `at`.
    pub fn keys(&self, matches: &dyn Fn(&[u8]) -> bool, at: u64, budget: Budget) -> Result<Page> {
        let Ok(at) = i64::try_from(at) else { return Ok(Page::default()) };
        let deadline = budget.start();
        let lent = self.pool.reader(&deadline)?;
        let fault = |error| self.fault(&error, &deadline);
        let now = self.calendar.now_text(self.calendar.now());
        let mut statement = lent.link()?.connection.prepare_cached(&self.dialect.keys).map_err(fault)?;
        let mut rows = statement.query(rusqlite::params![at, now, PAGE]).map_err(fault)?;
        let (mut page, mut seen, mut last) = (Page::default(), 0, 0_i64);
        while let Some(row) = rows.next().map_err(fault)? {
            (seen, last) = (seen + 1, row.get(0).map_err(fault)?);
            if let ValueRef::Text(key) = row.get_ref(1).map_err(fault)?
                && matches(key)
            {
                page.keys.push(key.to_vec());
            }
        }
        page.next = if seen < PAGE { None } else { u64::try_from(last).ok() };
        Ok(page)
    }

    /// Whether the table is there and can be read.
    pub fn check(&self, budget: Budget) -> Result<()> {
        let deadline = budget.start();
        let lent = self.pool.reader(&deadline)?;
        let fault = |error| self.fault(&error, &deadline);
        let mut statement = lent.link()?.connection.prepare_cached(&self.dialect.ping).map_err(fault)?;
        statement.query([]).and_then(|mut rows| rows.next().map(drop)).map_err(fault)
    }

    /// Makes the table and its index where they are not there, and the file (DB-3).
    pub fn create(&self, budget: Budget) -> Result<()> {
        let deadline = budget.start();
        let (lent, _turn) = self.pool.creator(&deadline)?;
        let link = lent.link()?;
        let making = self.transaction(link, TransactionBehavior::Immediate, &deadline)?;
        for statement in &self.dialect.create {
            link.connection.execute(statement, []).map_err(|error| self.fault(&error, &deadline))?;
        }
        making.commit().map_err(|error| self.unsure(&error, &deadline))
    }

    /// What `createcachetable --dry-run` prints.
    pub fn sql(&self) -> String {
        self.dialect.create_text.clone()
    }

    /// Counts and culls where that is due (DB-8, DB-11).
    fn make_room(&self, link: &Link, deadline: &Deadline) -> Result<()> {
        if !self.census.is_due() {
            return Ok(());
        }
        let fault = |error| self.fault(&error, deadline);
        let mut statement = link.connection.prepare_cached(&self.dialect.count).map_err(fault)?;
        let count: i64 = statement.query_row([], |row| row.get(0)).map_err(fault)?;
        let count = count.unsigned_abs();
        let removed = match self.census.counted(count) {
            Cull::No => return Ok(()),
            Cull::All => self.execute(link, &self.dialect.clear, &[], deadline),
            Cull::Some => self.cull(link, count, deadline),
        };
        self.census.culled(*removed.as_ref().unwrap_or(&0));
        removed.map(drop)
    }

    fn cull(&self, link: &Link, count: u64, deadline: &Deadline) -> Result<u64> {
        let now = self.calendar.now_text(self.calendar.now());
        let over = self.execute(link, &self.dialect.purge, &[&now], deadline)?;
        let first_to_stay = self.census.to_cull(count.saturating_sub(over));
        if first_to_stay == 0 {
            return Ok(over);
        }
        let fault = |error| self.fault(&error, deadline);
        let mut statement = link.connection.prepare_cached(&self.dialect.cull_key).map_err(fault)?;
        let offset = i64::try_from(first_to_stay).unwrap_or(i64::MAX);
        let key: Option<rusqlite::types::Value> =
            statement.query_row([offset], |row| row.get(0)).optional().map_err(fault)?;
        match key {
            Some(key) => Ok(over + self.execute(link, &self.dialect.cull, &[&key], deadline)?),
            None => Ok(over),
        }
    }

    /// One statement that removes rows.
    fn remove(&self, statement: &str, parameters: &[&dyn ToSql], budget: Budget) -> Result<u64> {
        let removed = self.write(statement, parameters, budget)?;
        self.census.removed(removed);
        Ok(removed)
    }

    /// One statement that changes rows; how many.
    fn write(&self, statement: &str, parameters: &[&dyn ToSql], budget: Budget) -> Result<u64> {
        let deadline = budget.start();
        let (lent, _turn) = self.pool.writer(&deadline)?;
        self.execute(lent.link()?, statement, parameters, &deadline)
    }

    /// Several steps that take effect together, or not at all.
    fn in_transaction<T>(&self, deadline: &Deadline, steps: impl FnOnce(&Link) -> Result<T>) -> Result<T> {
        let (lent, _turn) = self.pool.writer(deadline)?;
        let link = lent.link()?;
        let writing = self.transaction(link, TransactionBehavior::Immediate, deadline)?;
        let result = steps(link)?;
        writing.commit().map_err(|error| self.unsure(&error, deadline))?;
        Ok(result)
    }

    /// A transaction, which is undone unless it is committed.
    fn transaction<'a>(
        &self,
        link: &'a Link,
        behavior: TransactionBehavior,
        deadline: &Deadline,
    ) -> Result<Transaction<'a>> {
        Transaction::new_unchecked(&link.connection, behavior).map_err(|error| self.fault(&error, deadline))
    }

    fn execute(&self, link: &Link, sql: &str, parameters: &[&dyn ToSql], deadline: &Deadline) -> Result<u64> {
        let statement = link.connection.prepare_cached(sql);
        let changed = statement.and_then(|mut statement| statement.execute(parameters));
        changed.map(|rows| rows as u64).map_err(|error| self.unsure(&error, deadline))
    }

    /// The failure of what writes: where the disk failed in the midst of it, nobody knows what is there.
    fn unsure(&self, error: &rusqlite::Error, deadline: &Deadline) -> crate::error::Error {
        let is_disk = error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
        let error = self.fault(error, deadline);
        if is_disk { error.maybe_done() } else { error }
    }

    fn fault(&self, error: &rusqlite::Error, deadline: &Deadline) -> crate::error::Error {
        let error = fault::of(error, &self.dialect, deadline);
        match &self.shown {
            Some(path) => error.at_server(path),
            None => error,
        }
    }
}

/// The first text behind all that begin with `prefix`, by their bytes. No UTF-8 has the byte 0xff.
fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut behind = prefix.to_vec();
    behind.push(0xff);
    behind
}
