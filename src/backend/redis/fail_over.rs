//! Other servers for a write that the first did not take: REPLICA_READ_ONLY false (DR-6).
//!
//! Only `set` and `add` are tried elsewhere, and only with a time to live that is not spent, as in django-redis; whatever
//! the connection or the server did counts, as there. Each server is asked once; what is left of the call's time is shared
//! out among those that were not asked yet, so that one that says nothing leaves time for the others.
//!
//! A write that timed out may have been carried out all the same. django-redis makes it again elsewhere, and so does
//! this: then both servers have the value, and an `add` can be true although, or false because, the first has it. A
//! failure tells if any server may have carried the write out.

use std::sync::Arc;

use crate::backend::{Answer, Backend, Order, Reply, Request, Sink, Spawner, Ticket};
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;
use crate::timeout::{Budget, Deadline};

/// The servers of a cache, by number; 0 is the first.
pub(super) trait Numbered: Send + Sync {
    /// One of them.
    fn server(&self, number: usize) -> Option<&dyn Backend>;

    /// How many there are.
    fn count(&self) -> usize;

    /// A random number below `sides`.
    fn roll(&self, sides: usize) -> usize;
}

/// Whether a request is tried elsewhere.
pub(super) fn is_tried_again(request: &Request<'_>) -> bool {
    matches!(request, Request::Set { ttl, .. } if !ttl.is_spent())
}

/// Which servers are left for a write.
struct Tries {
    deadline: Deadline,
    /// The server that is asked now.
    now: usize,
    /// Those that were not asked yet.
    left: Vec<usize>,
    /// What the first one said.
    failure: Option<Error>,
}

impl Tries {
    fn new(servers: &dyn Numbered, deadline: Deadline) -> Self {
        Self { deadline, now: 0, left: (1..servers.count()).collect(), failure: None }
    }

    /// What the server that is asked now may take of the time.
    fn budget(&self) -> Budget {
        let sharers = u32::try_from(self.left.len() + 1).unwrap_or(u32::MAX);
        let share = self.deadline.left().map(|left| self.deadline.at_most(left / sharers));
        share.unwrap_or(self.deadline).budget()
    }

    /// Takes a failure, and goes on to the next server; or says what came of it all.
    fn failed(&mut self, error: Error, servers: &dyn Numbered) -> Result<()> {
        let of_server = matches!(error.kind(), Kind::Connection | Kind::Timeout | Kind::Server | Kind::Type);
        let may_have_happened = error.may_have_happened();
        // The first one is who should have been there: the others may be replicas that take no writes at all.
        let first = self.failure.take().unwrap_or(error);
        let failure = if may_have_happened { first.maybe_done() } else { first };
        if !of_server || self.left.is_empty() || self.deadline.left().is_none() {
            return Err(failure);
        }
        self.now = self.left.swap_remove(servers.roll(self.left.len()).min(self.left.len() - 1));
        self.failure = Some(failure);
        Ok(())
    }
}

/// Carries a write out on the first server that takes it.
pub(super) fn call(servers: &dyn Numbered, request: &Request<'_>, budget: Budget) -> Result<Reply> {
    let mut tries = Tries::new(servers, budget.start());
    loop {
        let server = servers.server(tries.now).ok_or_else(nobody)?;
        match crate::backend::perform(server, request, tries.budget()) {
            Ok(reply) => return Ok(reply),
            Err(error) => tries.failed(error, servers)?,
        }
    }
}

/// Begins a write on the first server, and on another where that does not take it.
pub(super) fn start(
    servers: Arc<dyn Numbered>,
    spawner: &Arc<dyn Spawner>,
    request: &Request<'_>,
    budget: Budget,
    ticket: Ticket,
) {
    let order = match Order::copy(request) {
        Ok(order) => order,
        Err(error) => return ticket.answer(Err(error)),
    };
    let tries = Tries::new(&*servers, budget.start());
    begin(Attempt { servers, spawner: spawner.clone(), order, tries, ticket });
}

/// A write that is under way on one of the servers.
struct Attempt {
    servers: Arc<dyn Numbered>,
    spawner: Arc<dyn Spawner>,
    order: Order,
    tries: Tries,
    ticket: Ticket,
}

fn begin(attempt: Attempt) {
    let (servers, order) = (attempt.servers.clone(), attempt.order.clone()); // the value is shared
    let Some(server) = servers.server(attempt.tries.now) else { return attempt.ticket.answer(Err(nobody())) };
    let budget = attempt.tries.budget();
    let ticket = Ticket::new(Arc::new(Waiting(Mutex::new(Some(attempt)))), 0);
    server.start(order.request(), budget, ticket);
}

/// Where the answer comes.
struct Waiting(Mutex<Option<Attempt>>);

impl Sink for Waiting {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        let Some((_, answer)) = answers.pop() else { return };
        let Some(mut attempt) = self.0.lock().take() else { return };
        let error = match answer {
            Ok(reply) => return attempt.ticket.answer(Ok(reply)),
            Err(error) => error,
        };
        if let Err(error) = attempt.tries.failed(error, &*attempt.servers) {
            return attempt.ticket.answer(Err(error));
        }
        // A sink must not call back. Where it cannot be begun any more the ticket is dropped, which is an answer.
        let _ = attempt.spawner.clone().spawn(Box::pin(async move { begin(attempt) }));
    }
}

fn nobody() -> Error {
    Error::new(Kind::Panic, "no server was chosen")
}
