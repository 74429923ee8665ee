//! A connection to a shard's database, and transactions on it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;
use super::settings::{self, Settings, Wanted};
use crate::backend::sqlite::Connected;
use crate::error::{Error, Kind, Result};
use crate::timeout::Deadline;

/// So many steps of SQLite's machine lie between two looks at the clock.
const STEPS: i32 = 10_000;

/// Prepared statements that are kept.
const STATEMENTS: usize = 48;

/// A connection and what is known of its database.
pub struct Session {
    /// SQLite's.
    pub connection: Connection,
    /// The settings, as they were when it was opened.
    pub settings: Settings,
    clock: Arc<Clock>,
    file: Identity,
}

/// Which file a name stood for.
type Identity = (u64, u64);

/// When SQLite should give up, in milliseconds since the clock was made.
struct Clock {
    begin: Instant,
    end: AtomicU64,
}

impl Clock {
    fn set(&self, deadline: &Deadline) {
        let end = deadline.end().saturating_duration_since(self.begin).as_millis();
        self.end.store(u64::try_from(end).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.begin.elapsed().as_millis() > u128::from(self.end.load(Ordering::Relaxed))
    }
}

impl Session {
    /// Opens the database in a folder, which is made if need be, and makes what is missing in it. With `wanted`, its
    /// settings are replaced by those.
    pub fn open(folder: &Path, wanted: Option<&Wanted>, deadline: &Deadline) -> Result<Self, Fault> {
        make_folder(folder)?;
        let path = folder.join("cache.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)?;
        let clock = Arc::new(Clock { begin: Instant::now(), end: AtomicU64::new(0) });
        clock.set(deadline);
        let watched = clock.clone();
        connection.progress_handler(STEPS, Some(move || watched.is_over()))?;
        connection.busy_timeout(Duration::ZERO)?; // waiting is done outside of SQLite: a fork waits for who is inside
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // What the schema of a database from elsewhere says is not to be trusted.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        let settings = settings::prepare(&connection, wanted)?;
        let file = identity(&path).ok_or_else(|| gone(folder))?;
        Ok(Self { connection, settings, clock, file })
    }

    /// Whether the name still stands for the file that is open: somebody may have removed the whole cache.
    pub fn is_current(&self, folder: &Path) -> bool {
        identity(&folder.join("cache.db")) == Some(self.file)
    }

    /// Makes the deadline known to SQLite.
    pub fn start_clock(&self, deadline: &Deadline) {
        self.clock.set(deadline);
    }
}

impl Connected for Session {
    fn is_at_rest(&self) -> bool {
        self.connection.is_autocommit()
    }
}

/// A transaction that holds the lock for writing from the beginning. Dropped, it is undone.
pub struct Transaction<'a> {
    connection: &'a Connection,
}

impl<'a> Transaction<'a> {
    /// Begins one.
    pub fn begin(connection: &'a Connection) -> Result<Self, Fault> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self { connection })
    }

    /// Ends it. Where that fails, nothing is changed; or (a disk that fails in the midst of it) nobody knows.
    pub fn commit(self) -> Result<(), Fault> {
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|there| (there.dev(), there.ino()))
}

fn gone(folder: &Path) -> Error {
    Error::new(Kind::Io, format!("the database in '{}' was removed while it was opened", folder.display()))
}

fn make_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(|error| {
        Error::new(Kind::Io, format!("the cache directory '{}' cannot be made: {error}", folder.display()))
    })
}
