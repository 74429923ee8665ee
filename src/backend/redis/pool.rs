//! The blocking connections of a store: as many as there are callers at the same time, up to a limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::blocking::{Connection, Failure};
use super::breaker::Breaker;
use super::command::Reading;
use super::connect::Resolver;
use super::counts::Counts;
use super::fault::{late, placed};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::lock::{Condvar, Mutex};
use crate::timeout::Deadline;

/// A connection that rested longer is looked at before it is used: servers and routers close idle ones.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// A connection that rested for long gets this part of a call's time to answer a ping.
const PING_SHARE: u32 = 8;

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
    breaker: Arc<Breaker>,
    counts: Arc<Counts>,
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

/// What one finds of a connection that rested.
enum Found {
    Usable,
    /// It is closed, or not to be used for another reason.
    Gone,
    /// It says nothing any more.
    Silent,
}

impl Idle {
    /// Looks at the connection before it is used again. One that rested for long is asked.
    fn look(&mut self, nature: Nature, check: Option<Duration>, deadline: &Deadline) -> Found {
        // One that came through fork is shared with the parent: nothing is said over it.
        if !self.connection.is_ours() {
            return Found::Gone;
        }
        let rested = began(deadline).saturating_duration_since(self.used);
        if rested < TRUSTED_FOR && nature != Nature::WritesOnce {
            return Found::Usable;
        }
        if !self.connection.is_quiet() {
            return Found::Gone;
        }
        if check.is_none_or(|check| rested < check) {
            return Found::Usable;
        }
        let share = deadline.left().map(|left| deadline.at_most(left / PING_SHARE));
        if share.is_some_and(|share| self.connection.answers(&share)) { Found::Usable } else { Found::Silent }
    }
}

/// The right to have one connection open; given back when dropped.
struct Place<'a> {
    pool: &'a Pool,
    /// Whether somebody else had to give it back first.
    waited: bool,
}

impl Pool {
    /// A pool without connections.
    pub(super) fn new(
        config: config::Redis,
        resolver: Arc<Resolver>,
        breaker: Arc<Breaker>,
        counts: Arc<Counts>,
    ) -> Self {
        Self { config, resolver, breaker, counts, state: Mutex::default(), freed: Condvar::new() }
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
        self.breaker.admit_for(deadline).map_err(unsent)?;
        let place = self.check_out(nature, deadline).inspect_err(|_| self.breaker.abstained());
        let (place, rested) = place.map_err(unsent)?;
        let failed = |error: &Error| {
            // Who waited for a turn had less time: that says nothing about the server.
            if place.waited && error.kind() == Kind::Timeout {
                self.breaker.abstained();
            } else {
                self.breaker.failed(error, deadline);
            }
        };
        let reused = rested.is_some();
        let mut connection = match rested {
            Some(connection) => connection,
            None => self.connect(deadline).inspect_err(failed).map_err(unsent)?,
        };
        connection.out.clear();
        let reading = match write(&mut connection.out) {
            Ok(reading) => reading,
            Err(error) => {
                self.breaker.abstained();
                place.give_back(connection, deadline);
                return Err(unsent(error));
            }
        };
        let outcome = match connection.exchange(reading, deadline) {
            Err(failure) if failure.dead && reused && nature != Nature::WritesOnce => {
                // The server closed it while it rested; it did the same to the others.
                self.drop_idle();
                // The first time it may have got there all the same.
                connection = self.connect(deadline).inspect_err(failed).map_err(sent)?;
                let reading = write(&mut connection.out).map_err(sent)?;
                connection.exchange(reading, deadline)
            }
            outcome => outcome,
        };
        let answer = outcome.map_err(|Failure { error, .. }| {
            failed(&error);
            sent(error)
        })?;
        self.breaker.worked();
        place.give_back(connection, deadline);
        answer.map_err(unsent)
    }

    fn connect(&self, deadline: &Deadline) -> Result<Connection> {
        Connection::open(&self.config, &self.resolver, &self.counts, deadline)
    }

    /// A place, and a connection that rested there if there is one; at the limit the next that is given back.
    fn check_out(&self, nature: Nature, deadline: &Deadline) -> Result<(Place<'_>, Option<Connection>)> {
        let mut waited = false;
        let mut state = self.state.lock();
        loop {
            if let Some(mut idle) = state.idle.pop() {
                let place = Place { pool: self, waited };
                drop(state);
                match idle.look(nature, self.config.resting.check, deadline) {
                    Found::Usable => return Ok((place, Some(idle.connection))),
                    Found::Gone => drop((idle, place)),
                    Found::Silent => {
                        drop((idle, place));
                        self.drop_idle(); // the others rested longer: asking each would take too long
                    }
                }
                state = self.state.lock();
                continue;
            }
            if state.open < self.config.max_connections.max(1) {
                state.open += 1;
                return Ok((Place { pool: self, waited }, None));
            }
            let Some(left) = deadline.left() else {
                let doing = format!("waiting for one of {} connections, see max_connections", state.open);
                return Err(late(&doing, deadline));
            };
            waited = true;
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
        let pool = self.pool;
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
            let mut state = self.pool.state.lock();
            state.open -= 1;
            state.waiting > 0
        };
        if waiting {
            self.pool.freed.notify_one();
        }
    }
}

/// When a call began, without asking the clock again.
fn began(deadline: &Deadline) -> Instant {
    deadline.end().checked_sub(deadline.total()).unwrap_or_else(|| deadline.end())
}
