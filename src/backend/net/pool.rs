//! The blocking connections of a store: as many as there are callers at the same time, up to a limit.

use std::time::{Duration, Instant};

use super::blocking::{Connection, Failure};
use super::fault::{late, placed};
use super::pipe::Tools;
use super::protocol::{FrameOf, Nature, Protocol, Reading};
use super::repeat::Repeats;
use crate::error::{Error, Kind, Result};
use crate::lock::{Condvar, Mutex};
use crate::timeout::Deadline;

/// A connection that rested longer is looked at before it is used: servers and routers close idle ones.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// A connection that rested for long gets this part of a call's time to answer a ping.
const PING_SHARE: u32 = 8;

/// The connections and what is needed to make them.
pub(crate) struct Pool<P: Protocol> {
    tools: Tools<P>,
    state: Mutex<State<P>>,
    freed: Condvar,
}

struct State<P: Protocol> {
    idle: Vec<Idle<P>>,
    /// Connections that exist or are being made, the idle ones included.
    open: usize,
    /// Callers that wait for one.
    waiting: usize,
}

struct Idle<P: Protocol> {
    connection: Connection<P>,
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

impl<P: Protocol> Idle<P> {
    /// Looks at the connection before it is used again. One that rested for long is asked.
    fn look(&mut self, nature: Nature, protocol: &P, check: Option<Duration>, deadline: &Deadline) -> Found {
        // One that came through fork is shared with the parent: nothing is said over it.
        if !self.connection.is_ours() || !self.connection.is_current() {
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
        if share.is_some_and(|share| self.connection.answers(protocol, &share)) { Found::Usable } else { Found::Silent }
    }
}

/// The right to have one connection open; given back when dropped.
struct Place<'a, P: Protocol> {
    pool: &'a Pool<P>,
    /// Whether somebody else had to give it back first.
    waited: bool,
}

/// A place, and a connection that rested there if there is one.
type Turn<'a, P> = (Place<'a, P>, Option<Connection<P>>);

impl<P: Protocol> Pool<P> {
    /// A pool without connections.
    pub(super) fn new(tools: &Tools<P>) -> Self {
        Self {
            tools: tools.clone(),
            state: Mutex::new(State { idle: Vec::new(), open: 0, waiting: 0 }),
            freed: Condvar::new(),
        }
    }

    /// Carries one operation out: `write` writes its first commands.
    pub(crate) fn run<R: Reading<Frame = FrameOf<P>>>(
        &self,
        nature: Nature,
        deadline: &Deadline,
        write: impl Fn(&mut Vec<u8>) -> Result<R>,
    ) -> Result<R::Answer> {
        self.admit(deadline)?;
        let mut repeats = Repeats::default();
        loop {
            let turn = self.turn(nature, deadline).map_err(|error| repeats.told(error))?;
            let answer = self.send(turn, nature, deadline, &write).and_then(|begun| begun.end(deadline, &write));
            let (Err(error), Some(whereabouts)) = (&answer, &self.tools.whereabouts) else { return answer };
            repeats.failed(error.clone(), nature, whereabouts, deadline).inspect_err(|error| {
                self.tools.breaker.failed(error, deadline);
            })?;
        }
    }

    /// Whether calls fail at once now.
    fn admit(&self, deadline: &Deadline) -> Result<()> {
        self.tools.breaker.admit_for(deadline).map_err(|error| placed(error, &self.tools.endpoint.shown, false))
    }

    /// Sends what begins an operation. Whoever asks several servers sends to all before the first answer is read.
    pub(super) fn begin<R: Reading<Frame = FrameOf<P>>>(
        &self,
        nature: Nature,
        deadline: &Deadline,
        write: impl Fn(&mut Vec<u8>) -> Result<R>,
    ) -> Result<Begun<'_, P, R>> {
        self.admit(deadline)?;
        self.send(self.turn(nature, deadline)?, nature, deadline, write)
    }

    /// See [`Pool::check_out`].
    fn turn(&self, nature: Nature, deadline: &Deadline) -> Result<Turn<'_, P>> {
        self.check_out(nature, deadline).map_err(|error| {
            self.tools.breaker.abstained();
            placed(error, &self.tools.endpoint.shown, false)
        })
    }

    fn send<'a, R: Reading<Frame = FrameOf<P>>>(
        &'a self,
        (place, rested): Turn<'a, P>,
        nature: Nature,
        deadline: &Deadline,
        write: impl Fn(&mut Vec<u8>) -> Result<R>,
    ) -> Result<Begun<'a, P, R>> {
        let unsent = |error| placed(error, &self.tools.endpoint.shown, false);
        let reused = rested.is_some();
        let mut connection = match rested {
            Some(connection) => connection,
            None => self.connect(deadline).inspect_err(|error| place.failed(error, deadline)).map_err(unsent)?,
        };
        connection.out.clear();
        let reading = match write(&mut connection.out) {
            Ok(reading) => reading,
            Err(error) => {
                self.tools.breaker.abstained();
                place.give_back(connection, deadline);
                return Err(unsent(error));
            }
        };
        let failure = connection.begin(deadline).err();
        Ok(Begun { place, connection, reading, reused, nature, failure })
    }

    fn connect(&self, deadline: &Deadline) -> Result<Connection<P>> {
        Connection::open(&self.tools, deadline)
    }

    /// A place, and a connection that rested there if there is one; at the limit the next that is given back.
    fn check_out(&self, nature: Nature, deadline: &Deadline) -> Result<Turn<'_, P>> {
        let mut waited = false;
        let mut state = self.state.lock();
        loop {
            if let Some(mut idle) = state.idle.pop() {
                let place = Place { pool: self, waited };
                drop(state);
                match idle.look(nature, &self.tools.protocol, self.tools.endpoint.resting.check, deadline) {
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
            if state.open < self.tools.endpoint.max_connections.max(1) {
                state.open += 1;
                return Ok((Place { pool: self, waited }, None));
            }
            let Some(left) = deadline.left() else {
                let doing = format!(
                    "waiting for one of {} connections, see {}",
                    state.open, self.tools.endpoint.connections_setting
                );
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

/// An operation whose first commands were sent, or could not be.
pub(super) struct Begun<'a, P: Protocol, R> {
    place: Place<'a, P>,
    connection: Connection<P>,
    reading: R,
    /// The connection is not a new one.
    reused: bool,
    nature: Nature,
    failure: Option<Failure>,
}

impl<P: Protocol, R: Reading<Frame = FrameOf<P>>> Begun<'_, P, R> {
    /// Reads what ends it; `write` writes the first commands again where a connection had died while it rested.
    pub(super) fn end(self, deadline: &Deadline, write: impl Fn(&mut Vec<u8>) -> Result<R>) -> Result<R::Answer> {
        let Self { place, mut connection, reading, reused, nature, failure } = self;
        let pool = place.pool;
        let sent = |error| placed(error, &pool.tools.endpoint.shown, nature != Nature::Reads);
        let outcome = failure.map_or_else(|| connection.end(reading, deadline), Err);
        let outcome = match outcome {
            Err(failure) if failure.dead && reused && nature != Nature::WritesOnce => {
                // The server closed it while it rested; it did the same to the others.
                pool.drop_idle();
                // The first time it may have got there all the same.
                connection = pool.connect(deadline).inspect_err(|error| place.failed(error, deadline)).map_err(sent)?;
                let reading = write(&mut connection.out).map_err(sent)?;
                connection.exchange(reading, deadline)
            }
            outcome => outcome,
        };
        let answer = outcome.map_err(|Failure { error, .. }| {
            place.failed(&error, deadline);
            sent(connection.blamed(error))
        })?;
        pool.tools.breaker.worked();
        let answer = answer.map_err(|error| placed(connection.blamed(error), &pool.tools.endpoint.shown, false));
        place.give_back(connection, deadline);
        answer
    }
}

impl<P: Protocol> Place<'_, P> {
    /// What was tried here failed.
    fn failed(&self, error: &Error, deadline: &Deadline) {
        if self.pool.tools.whereabouts.is_some() {
            return; // it counts when the call gives up
        }
        // Who waited for a turn had less time: that says nothing about the server.
        if self.waited && error.kind() == Kind::Timeout {
            self.pool.tools.breaker.abstained();
        } else {
            self.pool.tools.breaker.failed(error, deadline);
        }
    }

    fn give_back(self, connection: Connection<P>, deadline: &Deadline) {
        if !connection.is_reusable() || !connection.is_current() {
            return; // something came that nobody asked for, or it leads to the wrong place
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

impl<P: Protocol> Drop for Place<'_, P> {
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
