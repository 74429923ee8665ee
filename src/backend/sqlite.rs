//! Connections to a SQLite database, each used by one caller at a time, and what a fork does to them.
//!
//! Before a fork the connections are closed: SQLite notes in the memory of a process which locks it holds on a file, and
//! a child that found such a note would not lock the file itself; in WAL mode its writes would be lost when its parent
//! closes. A fork waits a while for callers that are at work. Where one still is then, SQLite's own locks may be taken
//! for ever in the child, which therefore refuses to use it at all.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::lock::{Condvar, Mutex, MutexGuard};
use crate::sys::{Forking, PerProcess, around_forks, generation};
use crate::timeout::Deadline;

/// The first generation of processes that were forked while a thread was inside SQLite; 0: there is none.
static CUT_OFF: AtomicU32 = AtomicU32::new(0);

/// A connection, and what is known of its database.
pub(super) trait Connected: Send + 'static {
    /// Whether nothing is left open on it, so that another caller may have it.
    fn is_at_rest(&self) -> bool;
}

/// The connections of a store to one database.
pub(super) struct Pool<C: Connected> {
    most: usize,
    kept: usize,
    here: PerProcess<Arc<Here<C>>>,
}

/// Those of this process.
struct Here<C> {
    links: Mutex<Links<C>>,
    freed: Condvar,
    writing: Mutex<Writing>,
    written: Condvar,
}

/// Whose turn it is to write.
#[derive(Default)]
struct Writing {
    taken: bool,
    waiting: usize,
}

struct Links<C> {
    idle: Vec<C>,
    /// Idle, lent, being opened or being closed.
    open: usize,
    /// This process is forking: none may be lent.
    forking: bool,
    /// Threads that wait for one of them, or fork.
    waiting: usize,
}

impl<C: Connected> Pool<C> {
    /// At most `most` connections at the same time, of which `kept` may be idle.
    pub(super) fn new(most: usize, kept: usize) -> Self {
        Self { most, kept, here: PerProcess::new(Here::new()) }
    }

    fn here(&self) -> &Here<C> {
        match self.here.get_or_make(|_| Ok::<_, Infallible>(Here::new())) {
            Ok(here) => here,
            Err(never) => match never {},
        }
    }

    /// A connection that rests and is `fit`, or one that `open` makes.
    pub(super) fn lend<E: From<Error>>(
        &self,
        deadline: &Deadline,
        open: impl FnOnce() -> Result<C, E>,
        fit: impl Fn(&mut C) -> bool,
    ) -> Result<Lent<'_, C>, E> {
        let home = self.here();
        let mut links = home.links.lock();
        loop {
            is_whole()?;
            if links.forking {
                links = self.wait(links, deadline)?;
            } else if let Some(mut link) = links.idle.pop() {
                drop(links);
                if fit(&mut link) {
                    return Ok(self.lent(home, Some(link)));
                }
                drop(link);
                links = home.links.lock();
                links.open -= 1;
            } else if links.open < self.most {
                links.open += 1;
                drop(links);
                // counts as lent while it is opened, whatever comes of it
                let mut lent = self.lent(home, None);
                lent.link = Some(open()?);
                return Ok(lent);
            } else {
                links = self.wait(links, deadline)?;
            }
        }
    }

    /// A new connection, whatever the number of those that are there.
    pub(super) fn open<E: From<Error>>(
        &self,
        deadline: &Deadline,
        open: impl FnOnce() -> Result<C, E>,
    ) -> Result<Lent<'_, C>, E> {
        is_whole()?;
        let home = self.here();
        let mut links = home.links.lock();
        while links.forking {
            links = self.wait(links, deadline)?;
        }
        links.open += 1;
        drop(links);
        let mut lent = self.lent(home, None);
        lent.link = Some(open()?);
        Ok(lent)
    }

    /// The one turn of this store in this process to write: its threads do not find the file locked by each other.
    pub(super) fn turn(&self, deadline: &Deadline) -> Result<Turn<'_, C>> {
        let home = self.here();
        let mut writing = home.writing.lock();
        while writing.taken {
            let Some(left) = deadline.left() else {
                let total = deadline.total().as_millis();
                let reason = format!("the deadline of {total} ms passed while other threads of this process wrote");
                return Err(Error::new(Kind::Timeout, reason));
            };
            writing.waiting += 1;
            writing = home.written.wait_for(writing, left);
            writing.waiting -= 1;
        }
        writing.taken = true;
        Ok(Turn(home))
    }

    fn lent<'a>(&self, home: &'a Here<C>, link: Option<C>) -> Lent<'a, C> {
        Lent { link, home, kept: self.kept }
    }

    fn wait<'a>(&'a self, links: MutexGuard<'a, Links<C>>, deadline: &Deadline) -> Result<MutexGuard<'a, Links<C>>> {
        let Some(left) = deadline.left() else {
            let reason = if links.forking {
                "the deadline passed while the process was forked".to_owned()
            } else {
                format!("all {} connections to the database are in use (MAX_CONNECTIONS)", self.most)
            };
            return Err(Error::new(Kind::Timeout, reason));
        };
        Ok(self.here().wait(links, left))
    }
}

impl<C: Connected> Drop for Pool<C> {
    fn drop(&mut self) {
        // here a fork still waits for it
        if let Some(here) = self.here.get() {
            drop(here.close_idle(here.links.lock()));
        }
    }
}

impl<C: Connected> Here<C> {
    fn new() -> Arc<Self> {
        let here = Arc::new(Self {
            links: Mutex::new(Links { idle: Vec::new(), open: 0, forking: false, waiting: 0 }),
            freed: Condvar::new(),
            writing: Mutex::new(Writing::default()),
            written: Condvar::new(),
        });
        let listener: Arc<dyn Forking> = here.clone();
        around_forks(&listener);
        here
    }

    fn wait<'a>(&'a self, mut links: MutexGuard<'a, Links<C>>, limit: Duration) -> MutexGuard<'a, Links<C>> {
        links.waiting += 1;
        links = self.freed.wait_for(links, limit);
        links.waiting -= 1;
        links
    }

    /// Closes what rests, which can take a while: not under the lock.
    fn close_idle<'a>(&'a self, mut links: MutexGuard<'a, Links<C>>) -> MutexGuard<'a, Links<C>> {
        let idle = std::mem::take(&mut links.idle);
        let count = idle.len();
        drop(links);
        drop(idle);
        let mut links = self.links.lock();
        links.open -= count;
        links
    }
}

impl<C: Connected> Forking for Here<C> {
    fn before(&self, deadline: &Deadline) {
        let mut links = self.links.lock();
        links.forking = true;
        loop {
            links = self.close_idle(links);
            if links.open == 0 {
                return;
            }
            let Some(left) = deadline.left() else {
                let next = generation().saturating_add(1);
                // one that is set already is that of this process's own ancestors, or of another fork of this moment
                let _ = CUT_OFF.compare_exchange(0, next, Ordering::AcqRel, Ordering::Relaxed);
                return;
            };
            links = self.wait(links, left);
        }
    }

    fn after(&self) {
        // a process that was cut off itself stays so, and so do its children
        let next = generation().saturating_add(1);
        let _ = CUT_OFF.compare_exchange(next, 0, Ordering::AcqRel, Ordering::Relaxed);
        self.links.lock().forking = false;
        self.freed.notify_all();
    }
}

/// Whether SQLite is whole in this process.
fn is_whole() -> Result<()> {
    let cut_off = CUT_OFF.load(Ordering::Acquire);
    if cut_off == 0 || generation() < cut_off {
        return Ok(());
    }
    let reason = "this process was forked while another thread was at work in a SQLite database; use it in a process that \
                  is started anew, or fork at another moment";
    Err(Error::new(Kind::Forked, reason))
}

/// A connection that is lent out; it goes back when this is dropped.
pub(super) struct Lent<'a, C: Connected> {
    link: Option<C>,
    home: &'a Here<C>,
    kept: usize,
}

impl<C: Connected> Lent<'_, C> {
    /// The connection.
    pub(super) fn link(&self) -> Result<&C> {
        self.link.as_ref().ok_or_else(|| Error::new(Kind::Io, "there is no connection"))
    }

    /// Closes it: something went wrong on it.
    pub(super) fn discard(mut self) {
        self.link = None;
    }
}

impl<C: Connected> Drop for Lent<'_, C> {
    fn drop(&mut self) {
        let link = self.link.take().filter(Connected::is_at_rest);
        let mut links = self.home.links.lock();
        match link {
            Some(link) if links.idle.len() < self.kept && !links.forking => links.idle.push(link),
            other => {
                drop(links);
                drop(other); // closing can take a while
                links = self.home.links.lock();
                links.open -= 1;
            }
        }
        let (waiting, forking) = (links.waiting, links.forking);
        drop(links);
        match waiting {
            0 => {}                                       // the system would be asked in vain
            _ if forking => self.home.freed.notify_all(), // one of those who wait is the fork
            _ => self.home.freed.notify_one(),
        }
    }
}

/// The one turn of this store in this process to write.
pub(super) struct Turn<'a, C>(&'a Here<C>);

impl<C> Drop for Turn<'_, C> {
    fn drop(&mut self) {
        let mut writing = self.0.writing.lock();
        writing.taken = false;
        let wanted = writing.waiting > 0;
        drop(writing);
        if wanted {
            self.0.written.notify_one(); // which the system is asked to do, whether somebody waits or not
        }
    }
}
