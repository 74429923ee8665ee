//! What can be done with one key of a shard; each operation as diskcache's Cache does it.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, params};

use super::cull::cull;
use super::fault::Fault;
use super::files::{Name, NewFile};
use super::row::{Cell, Columns, Held, file_of, needs_file, read};
use super::session::Session;
use super::settings::Policy;
use super::shard::{Leavings, Shard};
use crate::backend::{Change, Stored, StoredRef, Touched, When, Written};
use crate::error::{Error, Kind, Result};
use crate::stored::kind::{FLOAT, INT};
use crate::sys;
use crate::timeout::{Budget, Ttl};

/// A live row: expiry and now are compared as diskcache's `get` does it.
const FIND: &str = "SELECT rowid, mode, filename, value FROM Cache \
                    WHERE key = ?1 AND raw = 1 AND (expire_time IS NULL OR expire_time > ?2)";
const FIND_ANY: &str = "SELECT rowid, filename, expire_time FROM Cache WHERE key = ?1 AND raw = 1";
const FIND_EXPIRY: &str =
    "SELECT rowid, expire_time FROM Cache WHERE key = ?1 AND raw = 1 AND (expire_time IS NULL OR expire_time > ?2)";
const FIND_NUMBER: &str = "SELECT rowid, mode, filename, value FROM Cache \
                           WHERE key = ?1 AND raw = 1 AND (expire_time IS NULL OR expire_time >= ?2)";
const INSERT: &str = "INSERT INTO Cache(key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, \
                      filename, value) VALUES (?1, 1, ?2, ?3, ?2, 0, NULL, ?4, ?5, ?6, ?7)";
const UPDATE: &str = "UPDATE Cache SET store_time = ?2, expire_time = ?3, access_time = ?2, access_count = 0, tag = NULL, \
                      size = ?4, mode = ?5, filename = ?6, value = ?7 WHERE rowid = ?1";

/// A file can be replaced between looking at its row and opening it, so often in a row.
const TRIES: usize = 20;

impl Shard {
    /// A value. What has expired is a miss, and stays for a write to remove.
    pub fn get(&self, key: &str, budget: Budget) -> Result<Option<Stored>> {
        let budget = budget.fixed();
        let mut missing: Option<Name> = None;
        for _ in 0..TRIES {
            let found = self.read(budget, |session| {
                if session.settings.statistics || touches_rows(session.settings.policy) {
                    return Ok(None);
                }
                Ok(Some(find(session, key, self.limit)?))
            })?;
            let Some(found) = found else { return self.get_and_note(key, budget) };
            match found {
                None => return Ok(None),
                Some((_, Held::Here(stored))) => return Ok(Some(stored)),
                Some((_, Held::File(name, flags))) => {
                    if let Some(content) = self.folder.read(&name, self.limit)? {
                        return Ok(Some(Stored { bytes: content.into(), flags }));
                    }
                    if missing.as_ref() == Some(&name) {
                        return Ok(None); // it is gone for good, as in diskcache
                    }
                    missing = Some(name); // a new value has come: look again
                }
            }
        }
        Ok(None)
    }

    /// [`Shard::get`] where reading is noted in the row, or hits and misses are counted.
    fn get_and_note(&self, key: &str, budget: Budget) -> Result<Option<Stored>> {
        self.write(budget, |session, _| {
            let found = match find(session, key, self.limit)? {
                None => None,
                Some((rowid, Held::Here(stored))) => Some((rowid, stored)),
                // nobody can replace it meanwhile
                Some((rowid, Held::File(name, flags))) => {
                    self.folder.read(&name, self.limit)?.map(|content| (rowid, Stored { bytes: content.into(), flags }))
                }
            };
            if session.settings.statistics {
                let name = if found.is_some() { "hits" } else { "misses" };
                let count = "UPDATE Settings SET value = value + 1 WHERE key = ?1";
                session.connection.prepare_cached(count)?.execute([name])?;
            }
            if let Some((rowid, _)) = &found {
                note_reading(session, *rowid)?;
            }
            Ok(found.map(|(_, stored)| stored))
        })
    }

    /// Writes a value; one whose time is spent is written too, and culled at once.
    pub fn set(&self, key: &str, value: StoredRef<'_>, ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        let budget = budget.fixed();
        let min_file_size = self.read(budget, |session| Ok(session.settings.min_file_size))?;
        // before the row, so that nobody finds a row without its file
        let file = if needs_file(value, min_file_size) { Some(self.folder.write(value.bytes)?) } else { None };
        let columns = Columns::of(value, file.as_ref().map(NewFile::name))?;
        let done = self.write(budget, |session, leavings| put(session, key, &columns, ttl, when, leavings));
        match done {
            Ok(true) => {
                file.into_iter().for_each(NewFile::keep);
                Ok(if ttl.is_spent() { Written::NotKept } else { Written::Stored })
            }
            Ok(false) => Ok(Written::NotStored), // the file goes
            Err(error) => Err(match file {
                Some(file) => self.settle(key, file, error),
                None => error,
            }),
        }
    }

    /// A write failed. Nearly always nothing has changed, and the file goes; where the disk failed in the midst of it,
    /// only the database knows.
    fn settle(&self, key: &str, file: NewFile<'_>, error: Error) -> Error {
        if error.kind() != Kind::Io {
            return error;
        }
        let name = file.name().as_str();
        let named = self.read(Budget::new(std::time::Duration::from_millis(100)), |session| {
            let find = "SELECT 1 FROM Cache WHERE key = ?1 AND raw = 1 AND filename = ?2";
            Ok(session.connection.prepare_cached(find)?.query_row([key, name], |_| Ok(())).optional()?.is_some())
        });
        if let Ok(false) = named {
            return error;
        }
        file.keep();
        error.maybe_done()
    }

    /// Gives a key another expiry.
    pub fn touch(&self, key: &str, ttl: Ttl, budget: Budget) -> Result<Touched> {
        self.write(budget, |session, _| {
            let now = sys::wall_clock();
            let connection = &session.connection;
            let found =
                connection.prepare_cached(FIND_EXPIRY)?.query_row(params![key, now], |row| row.get::<_, i64>(0));
            let Some(rowid) = found.optional()? else { return Ok(Touched::Missing) };
            let set = "UPDATE Cache SET expire_time = ?2 WHERE rowid = ?1";
            connection.prepare_cached(set)?.execute(params![rowid, expiry(ttl, now)])?;
            Ok(if ttl.is_spent() { Touched::NotKept } else { Touched::Changed })
        })
    }

    /// Removes a key; false for an expired one.
    pub fn delete(&self, key: &str, budget: Budget) -> Result<bool> {
        self.write(budget, |session, leavings| {
            let connection = &session.connection;
            let mut find = connection.prepare_cached(FIND)?;
            let mut rows = find.query(params![key, sys::wall_clock()])?;
            let Some(row) = rows.next()? else { return Ok(false) };
            let (rowid, file) = (row.get::<_, i64>(0)?, file_of(row, 2)?);
            drop(rows);
            connection.prepare_cached("DELETE FROM Cache WHERE rowid = ?1")?.execute([rowid])?;
            leavings.extend(file);
            Ok(true)
        })
    }

    /// When a live key expires: no key; never; then.
    #[allow(clippy::option_option)] // as said
    pub fn expiry(&self, key: &str, budget: Budget) -> Result<Option<Option<f64>>> {
        self.read(budget, |session| {
            let mut find = session.connection.prepare_cached(FIND_EXPIRY)?;
            let found = find.query_row(params![key, sys::wall_clock()], |row| Ok(number(row.get_ref(1)?)));
            Ok(found.optional()?)
        })
    }

    /// Replaces a number by what `change` makes of it, keeping its expiry and tag. Only what diskcache itself can add to:
    /// ints of 64 bits and floats.
    pub fn update(&self, key: &str, change: Change<'_>, budget: Budget) -> Result<bool> {
        self.write(budget, |session, _| {
            let now = sys::wall_clock();
            let connection = &session.connection;
            let mut find = connection.prepare_cached(FIND_NUMBER)?;
            let mut rows = find.query(params![key, now])?;
            let Some(row) = rows.next()? else { return Ok(false) };
            let rowid: i64 = row.get(0)?;
            let old = match read(row, 1, self.limit)? {
                Held::Here(stored) if matches!(stored.flags, INT | FLOAT) => stored,
                _ => {
                    return Err(not_a_number(
                        "the value is not an int of 64 bits or a float, to which alone diskcache adds",
                    ));
                }
            };
            drop(rows);
            let new = change(old.as_ref())?;
            let columns = Columns::of(new.as_ref(), None)?;
            if !matches!(columns.value, Cell::Int(_) | Cell::Float(_)) {
                return Err(not_a_number("the sum is beyond the 64 bits to which diskcache adds"));
            }
            let set = "UPDATE Cache SET store_time = ?2, value = ?3 WHERE rowid = ?1";
            connection.prepare_cached(set)?.execute(params![rowid, now, columns.value])?;
            note_reading(session, rowid)?;
            Ok(true)
        })
    }
}

fn not_a_number(reason: &str) -> Fault {
    Error::new(Kind::Type, reason).into()
}

/// The live row of a key.
fn find(session: &Session, key: &str, limit: usize) -> Result<Option<(i64, Held)>, Fault> {
    let mut find = session.connection.prepare_cached(FIND)?;
    let mut rows = find.query(params![key, sys::wall_clock()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((row.get(0)?, read(row, 1, limit)?)))
}

/// Puts a value into its row if the condition holds; whether it did.
fn put(
    session: &Session,
    key: &str,
    columns: &Columns<'_>,
    ttl: Ttl,
    when: When,
    leavings: &mut Leavings,
) -> Result<bool, Fault> {
    let (now, connection) = (sys::wall_clock(), &session.connection);
    let expiry = expiry(ttl, now);
    let mut find = connection.prepare_cached(FIND_ANY)?;
    let mut rows = find.query([key])?;
    let old = match rows.next()? {
        Some(row) => {
            let is_live = number(row.get_ref(2)?).is_none_or(|expiry| expiry > now);
            Some((row.get::<_, i64>(0)?, file_of(row, 1)?, is_live))
        }
        None => None,
    };
    drop(rows);
    let is_live = old.as_ref().is_some_and(|(_, _, is_live)| *is_live);
    if (when == When::Missing && is_live) || (when == When::Present && !is_live) {
        return Ok(false);
    }
    let Columns { size, mode, filename, value } = columns;
    if let Some((rowid, file, _)) = old {
        let row = params![rowid, now, expiry, size, mode, filename, value];
        connection.prepare_cached(UPDATE)?.execute(row)?;
        leavings.extend(file);
    } else {
        let row = params![key, now, expiry, size, mode, filename, value];
        connection.prepare_cached(INSERT)?.execute(row)?;
    }
    cull(session, now, leavings)?;
    Ok(true)
}

/// An expiry as SQLite compares it: what is no number never ends.
fn number(value: ValueRef<'_>) -> Option<f64> {
    #[allow(clippy::cast_precision_loss, reason = "seconds")]
    match value {
        ValueRef::Integer(seconds) => Some(seconds as f64),
        ValueRef::Real(seconds) => Some(seconds),
        ValueRef::Null | ValueRef::Text(_) | ValueRef::Blob(_) => None,
    }
}

/// Whether reading changes rows.
fn touches_rows(policy: Policy) -> bool {
    matches!(policy, Policy::LeastRecentlyUsed | Policy::LeastFrequentlyUsed)
}

/// Notes that a row was read, where the policy asks for it.
fn note_reading(session: &Session, rowid: i64) -> Result<(), Fault> {
    let connection = &session.connection;
    match session.settings.policy {
        Policy::LeastRecentlyUsed => {
            let note = "UPDATE Cache SET access_time = ?2 WHERE rowid = ?1";
            connection.prepare_cached(note)?.execute(params![rowid, sys::wall_clock()])?;
        }
        Policy::LeastFrequentlyUsed => {
            let note = "UPDATE Cache SET access_count = access_count + 1 WHERE rowid = ?1";
            connection.prepare_cached(note)?.execute([rowid])?;
        }
        Policy::None | Policy::LeastRecentlyStored => {}
    }
    Ok(())
}

/// `now + t`, as a float of seconds.
#[allow(clippy::cast_precision_loss)] // beyond 2^53 ms nobody counts
fn expiry(ttl: Ttl, now: f64) -> Option<f64> {
    match ttl {
        Ttl::Forever => None,
        Ttl::Millis(0) => Some(now - 1.0), // T-1
        Ttl::Millis(ms) => Some(now + ms as f64 / 1000.0),
    }
}
