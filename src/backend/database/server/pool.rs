//! The connections to one server: made when needed, at most so many, used again while they are sound.
//!
//! sqlx has a pool too; this one runs no tasks of its own, drops a connection whose state is unknown without a word, and
//! can be left alone in a forked child.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::fault::Fault;
use super::link::{Done, Link};
use crate::backend::Health;
use crate::error::Kind;
use crate::lock::Mutex;

/// A connection that rested longer is asked whether it is still there before it is used: servers and routers close idle
/// ones, and a write on such a one would fail without anybody knowing whether it was carried out.
const CHECK_AFTER: Duration = Duration::from_secs(5);

/// A connection that rested longer is closed.
const KEEP: Duration = Duration::from_mins(5);

/// Connections, idle and lent.
pub struct Pool<L: Link> {
    plan: L::Plan,
    /// What connecting may take; `None`: what is left of the call's time.
    patience: Option<Duration>,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Idle<L>>>,
    /// How often a connection broke: the others of that time are to be looked at before they are used.
    breaks: AtomicU64,
    open: AtomicU64,
    connected: AtomicU64,
    failed: AtomicU64,
}

struct Idle<L> {
    link: L,
    since: Instant,
    breaks: u64,
}

/// A connection that is lent. Dropped without [`Lease::give_back`] it is closed: nobody knows what state it is in.
pub struct Lease<L: Link> {
    link: Option<L>,
    /// It was used before, so the server may have closed it meanwhile.
    pub used: bool,
    pool: Arc<Pool<L>>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl<L: Link> Pool<L> {
    /// A pool of at most `most` connections; makes none.
    pub fn new(plan: L::Plan, most: usize, patience: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            plan,
            patience,
            slots: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))),
            idle: Mutex::default(),
            breaks: AtomicU64::new(0),
            open: AtomicU64::new(0),
            connected: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// Lends a connection; waits until one is free. Where `fresh`, one that was not used before.
    pub async fn lend(self: &Arc<Self>, fresh: bool) -> Result<Lease<L>, Fault> {
        let slot = self.slots.clone().acquire_owned().await.ok(); // never closed
        let mut lease = Lease { link: None, used: false, pool: self.clone(), _slot: slot };
        while !fresh && let Some(idle) = self.take_idle() {
            let suspect = idle.since.elapsed() > CHECK_AFTER || idle.breaks != self.breaks.load(Ordering::Relaxed);
            lease.used = true;
            let link = lease.link.insert(idle.link);
            if !suspect || link.ping().await.is_ok() {
                return Ok(lease);
            }
            lease.lose();
            self.broke();
        }
        lease.used = false;
        match self.connect().await {
            Ok(link) => {
                self.connected.fetch_add(1, Ordering::Relaxed);
                self.open.fetch_add(1, Ordering::Relaxed);
                lease.link = Some(link);
                Ok(lease)
            }
            Err(fault) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                Err(fault.while_connecting())
            }
        }
    }

    async fn connect(&self) -> Result<L, Fault> {
        let connected = match self.patience {
            None => Ok(L::connect(&self.plan).await),
            Some(patience) => timeout(patience, L::connect(&self.plan)).await,
        };
        match connected {
            Ok(connected) => connected.map_err(|error| L::fault(&error)),
            Err(_) => Err(Fault::refused(Kind::Timeout, "connecting took longer than connect_timeout allows")),
        }
    }

    /// A connection broke: perhaps the server is gone, and all others are broken too.
    pub fn broke(&self) {
        self.breaks.fetch_add(1, Ordering::Relaxed);
    }

    /// The one that rested least.
    fn take_idle(&self) -> Option<Idle<L>> {
        self.idle.lock().pop()
    }

    /// Takes out what rests, to be closed.
    pub fn take_all(&self) -> Vec<L> {
        let all = std::mem::take(&mut *self.idle.lock());
        self.open.fetch_sub(all.len() as u64, Ordering::Relaxed);
        all.into_iter().map(|idle| idle.link).collect()
    }

    /// How the server is.
    pub fn health(&self, server: &Arc<str>) -> Health {
        Health {
            server: server.clone(),
            breaker_open: false,
            breaker_opened: 0,
            refused: 0,
            connections: self.open.load(Ordering::Relaxed),
            connected: self.connected.load(Ordering::Relaxed),
            connect_failures: self.failed.load(Ordering::Relaxed),
        }
    }
}

impl<L: Link> Lease<L> {
    /// The connection.
    pub fn link(&mut self) -> Done<&mut L> {
        self.link.as_mut().ok_or(sqlx::Error::PoolClosed) // only after `lose`
    }

    /// Closes it without a word.
    fn lose(&mut self) {
        if self.link.take().is_some() {
            self.pool.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Puts a connection that can be used again back, and hands out those that rested too long.
    pub fn give_back(mut self) -> Vec<L> {
        let Some(link) = self.link.take() else { return Vec::new() };
        let now = Instant::now();
        let breaks = self.pool.breaks.load(Ordering::Relaxed);
        let mut idle = self.pool.idle.lock();
        idle.push(Idle { link, since: now, breaks });
        let old = idle.iter().take_while(|one| now.duration_since(one.since) > KEEP).count();
        let old: Vec<L> = idle.drain(..old).map(|one| one.link).collect();
        drop(idle);
        self.pool.open.fetch_sub(old.len() as u64, Ordering::Relaxed);
        old
    }
}

impl<L: Link> Drop for Lease<L> {
    fn drop(&mut self) {
        self.lose();
    }
}
