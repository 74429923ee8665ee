//! What waits for other operations on its keys, and how much of it there may be.

use std::sync::Arc;
use std::time::Instant;

use super::request;
use crate::backend::fence::{Fence, Scope};
use crate::backend::order::Order;
use crate::backend::{Job, Request, Ticket};
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;
use crate::timeout::Deadline;

/// Requests and jobs that wait for others.
const MAX_WAITING: usize = 1 << 14;
/// Bytes of values that they hold.
const MAX_BYTES: usize = 64 << 20;

/// Everything that waits, and those who see to it.
#[derive(Default)]
pub(super) struct State {
    pub(super) fence: Fence<Held>,
    bytes: usize,
    /// What is first in all its lines, but waits for requests that are under way.
    pub(super) open: Vec<u64>,
    /// When the task that looks at deadlines does so next, if there is one.
    pub(super) clock: Option<Instant>,
    /// There cannot be such a task.
    pub(super) clockless: bool,
    /// Somebody moves things on, and has to look again.
    pub(super) driven: bool,
    pub(super) again: bool,
}

/// What stands in the fence.
pub(super) struct Held {
    pub(super) work: Work,
    pub(super) deadline: Deadline,
    bytes: usize,
    /// The lane of a request, and how many requests of each lane have to be completed before.
    pub(super) after: Option<(usize, [u64; 2])>,
}

/// What it is.
pub(super) enum Work {
    /// A request.
    Request(Order, Ticket),
    /// A job that waits for others.
    Job(Task),
    /// A job that waits for a thread: whoever takes it first runs it, or says that its time is over.
    Given(Arc<Mutex<Option<Task>>>),
}

/// What is done when it is its turn.
pub(super) enum Task {
    /// Carried out on a thread that may wait; its turn ends with it.
    Job(Job),
    /// Told at once; its turn ends when what it is given is dropped.
    Turn(Turn),
}

/// Who is told that it is its turn, or why it will not be.
pub(crate) type Turn = Box<dyn FnOnce(Result<Hold>) + Send>;
/// A turn, until it is dropped.
pub(crate) type Hold = Box<dyn Send>;

impl Task {
    /// Says why its turn will not come.
    pub(super) fn refuse(self, error: Error) {
        match self {
            Self::Job(job) => job(Err(error)),
            Self::Turn(turn) => turn(Err(error)),
        }
    }
}

impl State {
    /// Puts a job behind what it has to wait for, or hands it back.
    pub(super) fn push_job(
        &mut self,
        scope: Scope,
        deadline: Deadline,
        job: Task,
        bytes: usize,
    ) -> std::result::Result<(), (Task, Error)> {
        if self.is_full(bytes) {
            return Err((job, full()));
        }
        self.bytes += bytes;
        self.fence.push(scope, Held { work: Work::Job(job), deadline, bytes, after: None });
        Ok(())
    }

    /// Puts a request behind what it has to wait for, or hands its ticket back.
    pub(super) fn defer(
        &mut self,
        request: &Request<'_>,
        scope: Scope,
        deadline: Deadline,
        ticket: Ticket,
    ) -> std::result::Result<(), (Ticket, Error)> {
        let bytes = request::size(request);
        if self.is_full(bytes) {
            return Err((ticket, full()));
        }
        let order = match Order::copy(request) {
            Ok(order) => order,
            Err(error) => return Err((ticket, error)),
        };
        self.bytes += bytes;
        self.fence.push(scope, Held { work: Work::Request(order, ticket), deadline, bytes, after: None });
        Ok(())
    }

    fn is_full(&self, bytes: usize) -> bool {
        self.fence.len() >= MAX_WAITING || (self.bytes > 0 && self.bytes.saturating_add(bytes) > MAX_BYTES)
    }

    /// Takes something out.
    pub(super) fn take(&mut self, number: u64) -> Option<Held> {
        let held = self.fence.remove(number)?;
        self.bytes -= held.bytes;
        Some(held)
    }

    /// Takes something out whose time is over, unless it is a job that began in this moment.
    pub(super) fn take_due(&mut self, number: u64) -> Option<Held> {
        let (_, held) = self.fence.get(number)?;
        if let Work::Given(given) = &held.work {
            let job = given.lock().take()?;
            held.work = Work::Job(job);
        }
        self.take(number)
    }

    /// When something that waits is due next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.fence.iter().filter(|(_, held)| held.waits()).map(|(_, held)| held.deadline.end()).min()
    }

    /// When what came last is due, if it waits.
    pub(super) fn newest_deadline(&self) -> Option<Instant> {
        self.fence.last().filter(|held| held.waits()).map(|held| held.deadline.end())
    }
}

impl Held {
    /// Whether it waits: all but a job that runs.
    pub(super) fn waits(&self) -> bool {
        match &self.work {
            Work::Request(..) | Work::Job(_) => true,
            Work::Given(job) => job.lock().is_some(),
        }
    }

    /// Whether it waited long enough.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.waits() && self.deadline.end() <= now
    }
}

fn full() -> Error {
    Error::new(Kind::Busy, "too many operations wait for others on their keys already; let some end first")
}
