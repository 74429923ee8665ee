//! The blocking connections of a store: as many as there are callers at the same time, up to a limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::blocking::Connection;
use super::command::Reading;
use super::connect::Resolver;
use super::fault::{late, placed};
use crate::config;
use crate::error::Result;
use crate::lock::{Condvar, Mutex};
use crate::timeout::Deadline;

/// A connection that rested longer is looked at before it is used: servers and routers close idle ones.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// What an operation may do when its connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Reads: can be repeated.
    Reads,
    /// Writes, but once more does no harm and answers the same.
    WritesAgain,
    /// Writes, and a second time would answer or do something else.
    WritesOnce,
}

/// The connections and what is needed to make them.
pub(super) struct Pool {
    config: config::Redis,
    resolver: Arc<Resolver>,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    /// Connections that exist or are being made, the idle ones included.
    open: usize,
    /// Callers that wait for one.
    waiting: usize,
}

struct Idle {
    connection: Connection,
    /// When the last call over it began.
    used: Instant,
}

impl Idle {
    fn is_usable(&self, nature: Nature, deadline: &Deadline) -> bool {
        // One that came through fork is shared with the parent: it is closed here, and nothing is said over it.
        if !self.connection.is_ours() {
            return false;
        }
        let rested = began(deadline).saturating_duration_since(self.used);
        let trusted = rested < TRUSTED_FOR && nature != Nature::WritesOnce;
        trusted || self.connection.is_quiet()
    }
}

/// The right to have one connection open; given back when dropped.
struct Place<'a>(&'a Pool);

impl Pool {
    /// A pool without connections.
    pub(super) fn new(config: config::Redis, resolver: Arc<Resolver>) -> Self {
        Self { config, resolver, state: Mutex::default(), freed: Condvar::new() }
    }

    /// Carries one operation out: `write` writes its first commands.
    pub(super) fn run<R: Reading>(
        &self,
        nature: Nature,
        deadline: &Deadline,
        write: impl Fn(&mut Vec<u8>) -> Result<R>,
    ) -> Result<R::Answer> {
        let shown = &self.config.server.shown;
        let unsent = |error| placed(error, shown, false);
        let sent = |error| placed(error, shown, nature != Nature::Reads);
        let (place, rested) = self.check_out(nature, deadline).map_err(unsent)?;
        let reused = rested.is_some();
        let mut connection = match rested {
            Some(connection) => connection,
            None => Connection::open(&self.config, &self.resolver, deadline).map_err(unsent)?,
        };
        connection.out.clear();
        let reading = match write(&mut connection.out) {
            Ok(reading) => reading,
            Err(error) => {
                place.give_back(connection, deadline);
                return Err(unsent(error));
            }
        };
        let outcome = match connection.exchange(reading, deadline) {
            Err(failure) if failure.dead && reused && nature != Nature::WritesOnce => {
                // The server closed it while it rested; it did the same to the others.
                self.drop_idle();
                // The first time it may have got there all the same.
                connection = Connection::open(&self.config, &self.resolver, deadline).map_err(sent)?;
                let reading = write(&mut connection.out)?;
                connection.exchange(reading, deadline)
            }
            outcome => outcome,
        };
        let answer = outcome.map_err(|failure| sent(failure.error))?;
        place.give_back(connection, deadline);
        answer.map_err(unsent)
    }

    /// A place, and a connection that rested there if there is one; at the limit the next that is given back.
    fn check_out(&self, nature: Nature, deadline: &Deadline) -> Result<(Place<'_>, Option<Connection>)> {
        let mut state = self.state.lock();
        loop {
            if let Some(idle) = state.idle.pop() {
                let place = Place(self);
                drop(state);
                if idle.is_usable(nature, deadline) {
                    return Ok((place, Some(idle.connection)));
                }
                drop((idle, place));
                state = self.state.lock();
                continue;
            }
            if state.open < self.config.max_connections.max(1) {
                state.open += 1;
                return Ok((Place(self), None));
            }
            let Some(left) = deadline.left() else {
                let doing = format!("waiting for one of {} connections, see max_connections", state.open);
                return Err(late(&doing, deadline));
            };
            state.waiting += 1;
            state = self.freed.wait_for(state, left);
            state.waiting -= 1;
        }
    }

    fn drop_idle(&self) {
        let idle = {
            let mut state = self.state.lock();
            state.open -= state.idle.len();
            std::mem::take(&mut state.idle)
        };
        drop(idle); // closing takes a while: not under the lock
        self.freed.notify_all();
    }
}

impl Place<'_> {
    fn give_back(self, connection: Connection, deadline: &Deadline) {
        if !connection.is_reusable() {
            return; // something came that nobody asked for
        }
        let pool = self.0;
        std::mem::forget(self);
        let waiting = {
            let mut state = pool.state.lock();
            state.idle.push(Idle { connection, used: began(deadline) });
            state.waiting > 0
        };
        if waiting {
            pool.freed.notify_one();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.0.state.lock();
            state.open -= 1;
            state.waiting > 0
        };
        if waiting {
            self.0.freed.notify_one();
        }
    }
}

/// When a call began, without asking the clock again.
fn began(deadline: &Deadline) -> Instant {
    deadline.end().checked_sub(deadline.total()).unwrap_or_else(|| deadline.end())
}
