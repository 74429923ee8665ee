//! A shard: a folder with a database and the files of large values. How its connections are kept and its locks are
//! waited for.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::fault::Fault;
use super::files::{Folder, Name};
use super::session::{Session, Transaction};
use super::settings::Wanted;
use crate::backend::sqlite::Pool;
use crate::error::Result;
use crate::timeout::{self, Budget, Deadline};

/// Connections that are kept for the next operation. Each has descriptors and a cache of pages (`sqlite_cache_size`).
const KEPT: usize = 4;

/// Connections at the same time.
const MOST: usize = 64;

/// A shard of a cache.
pub struct Shard {
    /// Where it is.
    pub folder: Folder,
    /// The largest value that is read.
    pub limit: usize,
    wanted: Arc<Wanted>,
    sessions: Pool<Session>,
    /// Whether the alias's settings are in the database.
    settled: AtomicBool,
}

/// The names of files that no row will refer to once a transaction is done.
pub type Leavings = Vec<Name>;

impl Shard {
    /// The shard in a folder; nothing is opened yet.
    pub fn new(folder: PathBuf, wanted: Arc<Wanted>, limit: usize) -> Self {
        Self {
            folder: Folder::new(folder),
            limit,
            wanted,
            sessions: Pool::new(MOST, KEPT),
            settled: AtomicBool::new(false),
        }
    }

    /// Runs `work` on a connection; again while others hold a lock that it needs, until the deadline.
    pub fn read<T>(&self, budget: Budget, mut work: impl FnMut(&Session) -> Result<T, Fault>) -> Result<T> {
        let deadline = budget.start();
        let mut pause = Duration::from_micros(200);
        loop {
            let fault = match self.attempt(&deadline, &mut work) {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            match deadline.left() {
                Some(left) if fault.is_busy() => timeout::pause(pause.min(left)),
                _ => return Err(fault.told(self.folder.path(), &deadline)),
            }
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }

    /// Runs `work` in a transaction that holds the lock for writing, and removes what it left over when that is done.
    pub fn write<T>(
        &self,
        budget: Budget,
        mut work: impl FnMut(&Session, &mut Leavings) -> Result<T, Fault>,
    ) -> Result<T> {
        let (done, leavings) = self.read(budget, |session| {
            let transaction = Transaction::begin(&session.connection)?;
            let mut leavings = Leavings::new();
            let done = work(session, &mut leavings)?;
            transaction.commit()?;
            Ok((done, leavings))
        })?;
        for name in &leavings {
            self.folder.remove(name);
        }
        Ok(done)
    }

    /// One try. A connection on which something failed is not used again.
    fn attempt<T>(&self, deadline: &Deadline, work: &mut impl FnMut(&Session) -> Result<T, Fault>) -> Result<T, Fault> {
        let fit = |session: &mut Session| {
            let current = session.is_current(self.folder.path());
            if !current {
                // Somebody removed the whole cache: what is made anew has none of the alias's settings.
                self.settled.store(false, Ordering::Release);
            }
            current
        };
        let lent = self.sessions.lend(deadline, || self.open(deadline), fit)?;
        let session = lent.link()?;
        session.start_clock(deadline);
        let done = work(session);
        if done.as_ref().err().is_some_and(|fault| !fault.is_harmless()) {
            lent.discard();
        }
        done
    }

    fn open(&self, deadline: &Deadline) -> Result<Session, Fault> {
        let folder = self.folder.path();
        let settled = self.settled.load(Ordering::Acquire) && folder.join("cache.db").exists();
        let wanted = if settled { None } else { Some(&*self.wanted) };
        let session = Session::open(folder, wanted, deadline)?;
        self.settled.store(true, Ordering::Release);
        Ok(session)
    }
}
