//! One connection to a SQLite database.

use std::cell::Cell;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::hooks::Action;
use rusqlite::{Connection, OpenFlags};

use super::fault;
use crate::config::{Sqlite, SqliteFile};
use crate::error::{Error, Kind, Result};
use crate::timeout::{self, Deadline};

/// After so many steps of its machine SQLite asks whether to go on: well below a millisecond.
const STEPS: i32 = 2000;

/// Statements that are kept prepared; there are about as many.
const STATEMENTS: usize = 24;

/// How often an idle connection's file is compared with the one of its name.
const LOOK: Duration = Duration::from_secs(1);

/// The longest pause before a lock of another connection is tried again. SQLite's own pauses grow to 100 ms, in which a
/// process that writes all the time takes the lock again and again.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

thread_local! {
    /// Until when the operation of this thread waits for other connections' locks.
    static PATIENT_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Called by SQLite, on the thread of the operation, where it meets a lock; whether it should try again.
fn wait_a_little(tries: i32) -> bool {
    let left = PATIENT_UNTIL.get().and_then(|until| until.checked_duration_since(Instant::now()));
    let Some(left) = left.filter(|left| !left.is_zero()) else { return false };
    let pause = Duration::from_micros(200).saturating_mul(tries.unsigned_abs().saturating_add(1));
    timeout::pause(pause.min(LONGEST_PAUSE).min(left));
    true
}

/// A connection, which is used by one operation at a time.
pub struct Link {
    /// The connection itself.
    pub connection: Connection,
    born: Instant,
    /// When the operation has to end, in nanoseconds since `born`.
    end: Arc<AtomicU64>,
    inserted: Arc<AtomicBool>,
    /// How long to wait for other connections' locks (OPTIONS `timeout`).
    patience: Duration,
    file: Option<File>,
}

/// Which file is open, to notice when another one takes its name.
struct File {
    path: PathBuf,
    identity: (u64, u64),
    looked: Instant,
}

impl Link {
    /// Opens the database until `deadline`. What is not there is made only where `create` says so.
    pub fn open(config: &Sqlite, create: bool, deadline: &Deadline) -> Result<Self> {
        let mut flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
        let opened = match &config.file {
            SqliteFile::Path(path) => Connection::open_with_flags(path, flags),
            SqliteFile::Uri(uri) => Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI),
        };
        let connection = opened.map_err(|error| cannot_open(config, &error))?;
        let link = Self {
            connection,
            born: Instant::now(),
            end: Arc::new(AtomicU64::new(u64::MAX)),
            inserted: Arc::default(),
            patience: config.timeout,
            file: File::of(config),
        };
        link.begin(deadline)?; // the first statements can meet locks too, and SQLite's own patience is 5 s
        let prepared = link.prepare(config);
        prepared.map_err(|error| fault::late(&error, deadline).unwrap_or_else(|| cannot_open(config, &error)))?;
        Ok(link)
    }

    fn prepare(&self, config: &Sqlite) -> rusqlite::Result<()> {
        let connection = &self.connection;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let (born, end) = (self.born, self.end.clone());
        let is_late =
            move || u64::try_from(born.elapsed().as_nanos()).is_ok_and(|now| now >= end.load(Ordering::Relaxed));
        connection.progress_handler(STEPS, Some(is_late))?;
        let inserted = self.inserted.clone();
        let note = move |action, _: &str, _: &str, _| {
            if action == Action::SQLITE_INSERT {
                inserted.store(true, Ordering::Relaxed);
            }
        };
        connection.update_hook(Some(note))?;
        connection.busy_handler(Some(wait_a_little))?;
        for statement in &config.init {
            connection.execute_batch(statement)?;
        }
        Ok(())
    }

    /// Begins an operation: from now on SQLite stops by itself at `deadline`.
    pub fn begin(&self, deadline: &Deadline) -> Result<()> {
        let Some(left) = deadline.left() else { return Err(late(deadline)) };
        let end = deadline.end().saturating_duration_since(self.born).as_nanos();
        self.end.store(u64::try_from(end).unwrap_or(u64::MAX), Ordering::Relaxed);
        let until = deadline.end().checked_sub(left.saturating_sub(self.patience)).unwrap_or_else(|| deadline.end());
        PATIENT_UNTIL.set(Some(until));
        self.inserted.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a row was inserted since this was asked, or the operation began.
    pub fn has_inserted(&self) -> bool {
        self.inserted.swap(false, Ordering::Relaxed)
    }

    /// Whether it may be used again: nothing is left open, and the file still has its name (somebody may have put
    /// another one in its place, and would wonder where what is written goes).
    pub fn is_fit(&mut self) -> bool {
        self.connection.is_autocommit() && self.file.as_mut().is_none_or(File::is_there)
    }
}

impl File {
    fn of(config: &Sqlite) -> Option<Self> {
        let SqliteFile::Path(path) = &config.file else { return None };
        let identity = identity(path)?;
        Some(Self { path: path.clone(), identity, looked: Instant::now() })
    }

    fn is_there(&mut self) -> bool {
        if self.looked.elapsed() < LOOK {
            return true;
        }
        self.looked = Instant::now();
        identity(&self.path) == Some(self.identity)
    }
}

fn identity(path: &PathBuf) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|data| (data.dev(), data.ino()))
}

/// The time is over before anything was done.
pub fn late(deadline: &Deadline) -> Error {
    let reason = format!("the deadline of {} ms passed before the database was asked", deadline.total().as_millis());
    Error::new(Kind::Timeout, reason)
}

fn cannot_open(config: &Sqlite, error: &rusqlite::Error) -> Error {
    let SqliteFile::Path(path) = &config.file else {
        return Error::new(Kind::Io, format!("the database of the URI in NAME cannot be opened: {error}"));
    };
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => {
            let reason = format!(
                "there is no database {shown}; larder does not make one unless it is asked to make the table \
                 (larder_create_table), or manage.py migrate does"
            );
            Error::new(Kind::Io, reason)
        }
        Ok(data) if data.is_dir() => Error::new(Kind::Io, format!("the database {shown} is a directory")),
        _ => Error::new(Kind::Io, format!("the database {shown} cannot be opened: {error}")),
    }
}
