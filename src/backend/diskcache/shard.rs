//! A shard: a folder with a database and the files of large values. How its connections are kept and its locks are
//! waited for.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::fault::Fault;
use super::files::{Folder, Name};
use super::session::{Session, Transaction, inherit_locks};
use super::settings::Wanted;
use crate::error::{Error, Result};
use crate::lock::Mutex;
use crate::sys::{Inside, PerProcess};
use crate::timeout::{Budget, Deadline};

/// Connections that are kept for the next operation. Each has descriptors and a cache of pages (`sqlite_cache_size`).
const KEPT: usize = 4;

/// A shard of a cache.
pub struct Shard {
    /// Where it is.
    pub folder: Folder,
    /// The largest value that is read.
    pub limit: usize,
    wanted: Arc<Wanted>,
    idle: PerProcess<Idle>,
}

/// Connections that nobody uses now.
struct Idle {
    sessions: Mutex<Vec<Session>>,
    /// Whether the alias's settings are in the database.
    settled: AtomicBool,
    /// Whether this process was forked by one that used the shard, and has not its locks yet.
    lacks_locks: AtomicBool,
}

impl Idle {
    fn new(lacks_locks: bool) -> Self {
        Self { sessions: Mutex::default(), settled: AtomicBool::new(false), lacks_locks: AtomicBool::new(lacks_locks) }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let sessions = std::mem::take(&mut *self.sessions.lock());
        let _inside = Inside::enter();
        drop(sessions);
    }
}

/// The names of files that no row will refer to once a transaction is done.
pub type Leavings = Vec<Name>;

impl Shard {
    /// The shard in a folder; nothing is opened yet.
    pub fn new(folder: PathBuf, wanted: Arc<Wanted>, limit: usize) -> Self {
        Self { folder: Folder::new(folder), limit, wanted, idle: PerProcess::new(Idle::new(false)) }
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
                Some(left) if fault.is_busy() => std::thread::sleep(pause.min(left)),
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
        let idle = self.idle.get_or_make(|parent| {
            // a child that was forked before its parent's child had them: it has to get them as well
            Ok::<_, Error>(Idle::new(
                parent.settled.load(Ordering::Acquire) || parent.lacks_locks.load(Ordering::Acquire),
            ))
        })?;
        let _inside = Inside::enter();
        let mut session = idle.sessions.lock().pop();
        if session.as_ref().is_some_and(|session| !session.is_current(self.folder.path())) {
            // Somebody removed the whole cache: what is made anew has none of the alias's settings.
            let stale = std::mem::take(&mut *idle.sessions.lock());
            drop((session.take(), stale));
            idle.settled.store(false, Ordering::Release);
        }
        let session = match session {
            Some(session) => session,
            None => self.open(idle, deadline)?,
        };
        session.start_clock(deadline);
        let done = work(&session);
        if done.as_ref().err().is_none_or(Fault::is_harmless) && session.connection.is_autocommit() {
            let mut sessions = idle.sessions.lock();
            if sessions.len() < KEPT {
                sessions.push(session);
            }
        }
        done
    }

    fn open(&self, idle: &Idle, deadline: &Deadline) -> Result<Session, Fault> {
        let folder = self.folder.path();
        if idle.lacks_locks.load(Ordering::Acquire) {
            inherit_locks(folder)?;
            idle.lacks_locks.store(false, Ordering::Release);
        }
        let settled = idle.settled.load(Ordering::Acquire) && folder.join("cache.db").exists();
        let wanted = if settled { None } else { Some(&*self.wanted) };
        let session = Session::open(folder, wanted, deadline)?;
        idle.settled.store(true, Ordering::Release);
        Ok(session)
    }
}
