//! The connections of one store to its SQLite database: one for each caller that is at work, opened when needed.
//!
//! Writers of one process take turns here, instead of finding the file locked by each other and sleeping. A forked child
//! has a pool of its own. Before a fork the connections are closed: SQLite notes in the memory of a process which locks it
//! holds, and a child that found such a note would not lock the file itself; in WAL mode its writes would be lost when
//! its parent closes. A connection that is still at work then is left alone by the child, neither used nor closed.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Sqlite;
use crate::error::{Error, Kind, Result};
use crate::lock::{Condvar, Mutex, MutexGuard};
use crate::sys::{Forking, PerProcess, around_forks};
use crate::timeout::{Budget, Deadline};

use super::link::Link;

/// How long a fork waits for operations of other threads to end.
const BEFORE_FORK: Budget = Budget::new(Duration::from_secs(1));

/// The connections.
pub struct Pool {
    config: Sqlite,
    most: usize,
    here: PerProcess<Arc<Here>>,
}

/// Those of this process.
#[derive(Default)]
struct Here {
    links: Mutex<Links>,
    freed: Condvar,
    writing: Mutex<bool>,
    written: Condvar,
}

#[derive(Default)]
struct Links {
    idle: Vec<Link>,
    /// Idle, lent, or being opened.
    open: usize,
    /// This process is forking: none may be lent.
    forking: bool,
}

impl Pool {
    /// At most `most` connections.
    pub fn new(config: Sqlite, most: usize) -> Self {
        Self { config, most, here: PerProcess::new(Here::new()) }
    }

    fn here(&self) -> &Here {
        match self.here.get_or_make(|_| Ok::<_, std::convert::Infallible>(Here::new())) {
            Ok(here) => here,
            Err(never) => match never {},
        }
    }

    /// A connection to read by.
    pub fn reader(&self, deadline: &Deadline) -> Result<Lent<'_>> {
        let link = self.here().take(self, deadline)?;
        link.begin(deadline)?;
        Ok(link)
    }

    /// The turn to write, and a connection for it.
    pub fn writer(&self, deadline: &Deadline) -> Result<(Lent<'_>, Turn<'_>)> {
        let turn = self.here().turn(deadline)?;
        Ok((self.reader(deadline)?, turn))
    }

    /// As [`Pool::writer`], on a new connection that makes the file where there is none.
    pub fn creator(&self, deadline: &Deadline) -> Result<(Lent<'_>, Turn<'_>)> {
        let turn = self.here().turn(deadline)?;
        let lent = self.here().open(&self.config, true, deadline)?;
        lent.begin(deadline)?;
        Ok((lent, turn))
    }
}

impl Here {
    fn new() -> Arc<Self> {
        let here = Arc::new(Self::default());
        let listener: Arc<dyn Forking> = here.clone();
        around_forks(&listener);
        here
    }

    fn take<'a>(&'a self, pool: &Pool, deadline: &Deadline) -> Result<Lent<'a>> {
        let mut links = self.links.lock();
        loop {
            if links.forking {
                links = self.wait(links, pool, deadline)?;
            } else if let Some(mut link) = links.idle.pop() {
                drop(links);
                if link.is_fit() {
                    return Ok(Lent { link: Some(link), home: self });
                }
                drop(link);
                links = self.links.lock();
                links.open -= 1;
            } else if links.open < pool.most {
                links.open += 1;
                drop(links);
                // counts as lent while it is opened, whatever comes of it
                let mut lent = Lent { link: None, home: self };
                lent.link = Some(Link::open(&pool.config, false)?);
                return Ok(lent);
            } else {
                links = self.wait(links, pool, deadline)?;
            }
        }
    }

    fn wait<'a>(
        &'a self,
        links: MutexGuard<'a, Links>,
        pool: &Pool,
        deadline: &Deadline,
    ) -> Result<MutexGuard<'a, Links>> {
        let Some(left) = deadline.left() else {
            let reason = format!("all {} connections to the database are in use (MAX_CONNECTIONS)", pool.most);
            return Err(Error::new(Kind::Timeout, reason));
        };
        Ok(self.freed.wait_for(links, left))
    }

    /// One more, whatever their number.
    fn open(&self, config: &Sqlite, create: bool, deadline: &Deadline) -> Result<Lent<'_>> {
        let mut links = self.links.lock();
        while links.forking {
            let Some(left) = deadline.left() else { return Err(super::link::late(deadline)) };
            links = self.freed.wait_for(links, left);
        }
        links.open += 1;
        drop(links);
        // counts as lent while it is opened, whatever comes of it
        let mut lent = Lent { link: None, home: self };
        lent.link = Some(Link::open(config, create)?);
        Ok(lent)
    }

    fn turn(&self, deadline: &Deadline) -> Result<Turn<'_>> {
        let mut writing = self.writing.lock();
        while *writing {
            let Some(left) = deadline.left() else {
                let total = deadline.total().as_millis();
                let reason = format!("the deadline of {total} ms passed while other threads of this process wrote");
                return Err(Error::new(Kind::Timeout, reason));
            };
            writing = self.written.wait_for(writing, left);
        }
        *writing = true;
        Ok(Turn(self))
    }
}

impl Forking for Here {
    fn before(&self) {
        let deadline = BEFORE_FORK.start();
        let mut links = self.links.lock();
        links.forking = true;
        loop {
            let idle = std::mem::take(&mut links.idle);
            links.open = links.open.saturating_sub(idle.len());
            drop(links);
            drop(idle); // closing can take a while
            links = self.links.lock();
            let Some(left) = deadline.left().filter(|_| links.open > 0) else { return };
            links = self.freed.wait_for(links, left);
        }
    }

    fn after(&self) {
        self.links.lock().forking = false;
        self.freed.notify_all();
    }
}

/// A connection that is lent out; it goes back when this is dropped.
pub struct Lent<'a> {
    link: Option<Link>,
    home: &'a Here,
}

impl Lent<'_> {
    /// The connection.
    pub fn link(&self) -> Result<&Link> {
        self.link.as_ref().ok_or_else(|| Error::new(Kind::Io, "there is no connection"))
    }

    fn begin(&self, deadline: &Deadline) -> Result<()> {
        self.link()?.begin(deadline)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let link = self.link.take().filter(|link| link.connection.is_autocommit());
        let mut links = self.home.links.lock();
        match link {
            Some(link) => links.idle.push(link),
            None => links.open = links.open.saturating_sub(1),
        }
        let forking = links.forking;
        drop(links);
        if forking {
            self.home.freed.notify_all(); // one of those who wait is the fork
        } else {
            self.home.freed.notify_one();
        }
    }
}

/// The one turn of this store in this process to write.
pub struct Turn<'a>(&'a Here);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.writing.lock() = false;
        self.0.written.notify_one();
    }
}
