//! A cache on one server, behind the face of all backends: who waits uses the pool, and what is begun goes through the
//! lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::breaker::Breaker;
use super::counts::Counts;
use super::fault::{late, placed, unexpected};
use super::lanes::Front;
use super::pipe::Tools;
use super::pool::{Begun, Pool};
use super::protocol::{Endpoint, Nature, Protocol, Way};
use super::request;
use super::waiting::{Task, Turn};
use crate::backend::fence::{Scope, number};
use crate::backend::request::by_call;
use crate::backend::{
    Backend, Capability, Counted, Entry, Habits, Health, Job, Keys, Order, Page, Reply, Request, Spawner, Stored,
    StoredRef, Ticket, Touched, When, Written, perform, waiter,
};
use crate::config::Address;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::log::Log;
use crate::sys;
use crate::timeout::{Budget, Deadline, Ttl};

/// A cache on one server.
pub(crate) struct Server<P: Protocol> {
    protocol: P,
    pool: Arc<Pool<P>>,
    calls: P::Calls,
    front: Arc<Front<P>>,
    shown: Arc<str>,
    breaker: Arc<Breaker>,
    counts: Arc<Counts>,
    /// Synchronous calls that are under way.
    callers: AtomicUsize,
    /// Whether the server can move.
    moves: bool,
    generation: u32,
}

/// So many callers at the same time get a connection each. More share one: its task sends and receives for several at
/// once, which costs the server and this process less.
const CALLERS_APART: usize = 8;
/// A value up to this size is copied out of what was read together with others, so that it does not keep that.
const COPIED_OUT: usize = 16 << 10;

impl<P: Protocol> Server<P> {
    /// A cache that connects when it is first used, and again when a connection was lost. `spawner` runs the
    /// asynchronous operations; `log` hears of connections that come and go.
    pub(crate) fn open(endpoint: Endpoint, protocol: P, spawner: Arc<dyn Spawner>, log: Arc<dyn Log>) -> Self {
        let speaks_tls = match &endpoint.address {
            Address::Tls(..) => true,
            Address::Service(service) => service.speaks_tls(),
            Address::Tcp(..) | Address::Unix(_) => false,
        };
        if speaks_tls {
            super::tls::warm_up();
        }
        let shown = endpoint.shown.clone();
        let tools = Tools::new(endpoint, protocol.clone(), log);
        let pool = Arc::new(Pool::new(&tools));
        Self {
            calls: protocol.calls(pool.clone()),
            pool,
            shown,
            breaker: tools.breaker.clone(),
            counts: tools.counts.clone(),
            moves: tools.whereabouts.is_some(),
            front: Front::new(tools, spawner),
            protocol,
            callers: AtomicUsize::new(0),
            generation: sys::generation(),
        }
    }

    /// Whether calls fail at once now.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    pub(crate) fn rests(&self) -> bool {
        self.breaker.rests()
    }

    /// Whether the runtime behind the asynchronous connections is this process's.
    fn is_ours(&self) -> bool {
        self.generation == sys::generation()
    }

    /// Carries a request out and waits for it: over a connection of its own while there are few callers.
    fn call(&self, request: &Request<'_>, budget: Budget) -> Result<Reply> {
        let crowd = Crowd::join(&self.callers);
        if crowd.size <= CALLERS_APART || !self.may_share(request) {
            let answer = perform(&self.calls, request, budget);
            if crowd.size > CALLERS_APART && answer.is_ok() && self.is_ours() && !self.front.is_well() {
                self.front.get_well();
            }
            return answer;
        }
        let budget = budget.fixed();
        let deadline = budget.start();
        let nature = self.protocol.nature(request);
        let answer =
            waiter::wait(&deadline, Duration::ZERO, |ticket| self.front.start_unordered(request, deadline, ticket));
        let error = match answer {
            Some(Ok(Reply::Value(Some(value)))) if value.bytes.len() <= COPIED_OUT => {
                return Ok(Reply::Value(Some(Bytes::copy_from_slice(&value.bytes).into())));
            }
            Some(Ok(Reply::Fetched(Some(mut fetched)))) if fetched.value.bytes.len() <= COPIED_OUT => {
                fetched.value.bytes = Bytes::copy_from_slice(&fetched.value.bytes);
                return Ok(Reply::Fetched(Some(fetched)));
            }
            Some(Ok(reply)) => return Ok(reply),
            Some(Err(error)) => error,
            None => {
                let error = late("waiting for the reply", &deadline);
                return Err(placed(error, self.front.shown(), nature != Nature::Reads));
            }
        };
        let lost = match error.kind() {
            Kind::Connection | Kind::Busy => error.is_retriable(),
            kind => kind == Kind::Shutdown || (self.moves && error.was_turned_away()),
        };
        if !lost || (error.may_have_happened() && nature == Nature::WritesOnce) {
            return Err(error);
        }
        let again = perform(&self.calls, request, budget);
        again.map_err(|second| if error.may_have_happened() { second.maybe_done() } else { second })
    }

    /// Sends a request, and leaves the answer for [`Sent::answer`]: for who asks several servers at once.
    pub(crate) fn send<'a>(&'a self, request: Request<'a>, deadline: Deadline) -> Sent<'a, P> {
        let crowd = Crowd::join(&self.callers);
        // One that shares a connection, needs several rounds or may have to be repeated is carried out as a whole when its
        // turn comes.
        let apart = !self.moves && (crowd.size <= CALLERS_APART || !self.may_share(&request));
        let begun = (apart && matches!(self.protocol.way(&request), Way::Exchange)).then(|| {
            let number = request::scope(&request).first();
            let write = |out: &mut Vec<u8>| self.protocol.write(out, &request, number);
            self.pool.begin(self.protocol.nature(&request), &deadline, write)
        });
        Sent { server: self, request, deadline, begun, _crowd: crowd }
    }

    /// Puts somebody in line as a job on some keys, or on all. Calls nobody: [`Server::progress`] has to follow.
    pub(super) fn push_turn(
        &self,
        keys: Keys<'_>,
        budget: Budget,
        turn: Turn,
    ) -> std::result::Result<(), (Task, Error)> {
        if !self.is_ours() {
            return Err((Task::Turn(turn), forked()));
        }
        self.front.push_turn(scope_of(keys), budget.start(), turn)
    }

    /// Lets what is in line go on.
    pub(super) fn progress(&self) {
        if self.is_ours() {
            self.front.progress();
        }
    }

    /// Whether the shared connection will do: for small things, while the server is there.
    fn may_share(&self, request: &Request<'_>) -> bool {
        self.is_ours()
            && matches!(self.protocol.way(request), Way::Exchange)
            // a log function on the runtime's one worker would wait for itself
            && tokio::runtime::Handle::try_current().is_err()
            && self.front.is_well()
            && !self.front.is_large(request)
    }

    /// Begins what takes several exchanges: a job does that, with the synchronous operations.
    fn start_rounds(&self, request: &Request<'_>, budget: Budget, ticket: Ticket) {
        let order = match Order::copy(request) {
            Ok(order) => order,
            Err(error) => return ticket.answer(Err(error)),
        };
        let calls = self.calls.clone();
        let job = move |may: Result<()>| ticket.answer(may.and_then(|()| perform(&calls, &order.request(), budget)));
        self.front.start_job(request::scope(request), budget.start(), Box::new(job), request::size(request));
    }
}

/// A request that was sent.
pub(crate) struct Sent<'a, P: Protocol> {
    server: &'a Server<P>,
    request: Request<'a>,
    deadline: Deadline,
    begun: Option<Result<Begun<'a, P, P::Expect>>>,
    _crowd: Crowd<'a>,
}

impl<P: Protocol> Sent<'_, P> {
    /// Waits for the answer.
    pub(crate) fn answer(self) -> Result<Reply> {
        let Some(begun) = self.begun else {
            return self.server.call(&self.request, self.deadline.budget());
        };
        let protocol = &self.server.protocol;
        let number = request::scope(&self.request).first();
        let reply = begun?.end(&self.deadline, |out| protocol.write(out, &self.request, number))?;
        reply.ok_or_else(unexpected)
    }
}

impl<P: Protocol> Drop for Server<P> {
    fn drop(&mut self) {
        if self.is_ours() {
            self.front.close();
        }
    }
}

impl<P: Protocol> Backend for Server<P> {
    fn supports(&self, capability: Capability) -> bool {
        self.calls.supports(capability)
    }

    fn habits(&self) -> Habits {
        self.calls.habits()
    }

    by_call!();

    fn delete_pattern(&self, pattern: &[u8], budget: Budget) -> Result<u64> {
        self.calls.delete_pattern(pattern, budget)
    }

    fn health(&self) -> Vec<Health> {
        vec![Health {
            server: self.shown.clone(),
            breaker_open: self.breaker.is_open(),
            breaker_opened: self.breaker.opened(),
            refused: self.breaker.refused(),
            connections: self.counts.connections.load(Ordering::Relaxed),
            connected: self.counts.connected.load(Ordering::Relaxed),
            connect_failures: self.counts.connect_failures.load(Ordering::Relaxed),
        }]
    }

    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        if !self.is_ours() {
            return ticket.answer(Err(forked()));
        }
        match self.protocol.way(&request) {
            Way::Exchange => self.front.start(&request, budget.start(), ticket),
            Way::Answer(reply) => ticket.answer(reply),
            Way::Rounds => self.start_rounds(&request, budget.fixed(), ticket),
        }
    }

    fn start_job(&self, keys: Keys<'_>, budget: Budget, job: Job) {
        if !self.is_ours() {
            return job(Err(forked()));
        }
        self.front.start_job(scope_of(keys), budget.start(), job, 0);
    }

    fn begin_batch(&self) {
        if self.is_ours() {
            self.front.begin_batch();
        }
    }

    fn end_batch(&self) {
        if self.is_ours() {
            self.front.end_batch();
        }
    }
}

/// One of the callers that are there at the same time.
struct Crowd<'a> {
    callers: &'a AtomicUsize,
    /// How many there are, this one included.
    size: usize,
}

impl<'a> Crowd<'a> {
    fn join(callers: &'a AtomicUsize) -> Self {
        let size = callers.fetch_add(1, Ordering::Relaxed) + 1;
        Self { callers, size }
    }
}

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        self.callers.fetch_sub(1, Ordering::Relaxed);
    }
}

fn scope_of(keys: Keys<'_>) -> Scope {
    match keys {
        Keys::These(keys) => Scope::of(keys.iter().map(|key| number(key.as_bytes()))),
        Keys::All => Scope::Everything,
    }
}

fn forked() -> Error {
    let reason = "the asynchronous connections belong to the parent process; open the store anew";
    Error::new(Kind::Forked, reason)
}
