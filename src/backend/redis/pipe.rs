//! The asynchronous transport, outside: submitters write their commands into one shared buffer and leave. One task
//! (`session`) sends what gathered there, and answers in the same order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::connect::Resolver;
use super::fault::{late, placed};
use super::request::{self, Expect};
use super::session;
use crate::backend::{Request, Spawner, Ticket};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;
use crate::sys;
use crate::timeout::Deadline;

/// Requests that were accepted and whose replies have not come.
const MAX_HELD: usize = 1 << 16;
/// Bytes that wait to be sent.
const MAX_QUEUED: usize = 64 << 20;
/// A buffer that grew beyond this is given back when it is empty.
const KEPT_BUFFER: usize = 1 << 20;

/// The shortest time between two looks at all deadlines.
pub(super) const SWEEP_PAUSE: Duration = Duration::from_millis(1);
/// When nothing is due.
pub(super) const FAR: Duration = Duration::from_secs(3600);

/// Submits requests.
pub(super) struct Pipe {
    shared: Arc<Shared>,
    spawner: Arc<dyn Spawner>,
    generation: u32,
}

/// What submitters and the task share.
pub(super) struct Shared {
    pub(super) config: config::Redis,
    pub(super) resolver: Arc<Resolver>,
    /// Wakes the task.
    pub(super) wake: Notify,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Commands to send, and whom their replies are for, in the same order.
    out: Vec<u8>,
    waiting: Vec<Waiting>,
    /// Requests that were accepted and whose replies have not come.
    held: usize,
    /// There is a task, or one is being started.
    running: bool,
    /// The task sleeps and wants to be woken.
    asleep: bool,
    /// The store was closed: what is under way may end, then the task does.
    closed: bool,
}

/// A place in the order of replies.
pub(super) struct Waiting {
    /// Who gets the answer; `None` once the deadline has passed.
    pub(super) ticket: Option<Ticket>,
    pub(super) expect: Expect,
    pub(super) deadline: Deadline,
}

impl Pipe {
    /// A pipe that connects when it is first used.
    pub(super) fn new(config: config::Redis, resolver: Arc<Resolver>, spawner: Arc<dyn Spawner>) -> Self {
        let shared = Shared { config, resolver, wake: Notify::new(), queue: Mutex::default() };
        Self { shared: Arc::new(shared), spawner, generation: sys::generation() }
    }

    /// Begins a request.
    pub(super) fn submit(&self, request: &Request<'_>, deadline: Deadline, ticket: Ticket) {
        if self.generation != sys::generation() {
            let reason = "the asynchronous connection belongs to the parent process; open the store anew";
            return ticket.answer(Err(Error::new(Kind::Forked, reason)));
        }
        let mut queue = self.shared.queue.lock();
        let expect = match queue.write(&self.shared.config, request) {
            Ok(expect) => expect,
            Err(error) => {
                drop(queue);
                return ticket.answer(Err(placed(error, &self.shared.config.server.shown, false)));
            }
        };
        queue.waiting.push(Waiting { ticket: Some(ticket), expect, deadline });
        queue.held += 1;
        let start = !std::mem::replace(&mut queue.running, true);
        let wake = std::mem::take(&mut queue.asleep);
        drop(queue);
        if wake {
            self.shared.wake.notify_one();
        }
        if start {
            let task = Running { shared: self.shared.clone(), ended: false };
            if let Err(error) = self.spawner.prepare() {
                return task.end(&error);
            }
            // Where it cannot be started, the task and with it every ticket is dropped, which is an answer.
            let _ = self.spawner.spawn(Box::pin(session::run(task, self.spawner.clone())));
        }
    }
}

impl Queue {
    fn write(&mut self, config: &config::Redis, request: &Request<'_>) -> Result<Expect> {
        let size = request::size(request);
        if self.held >= MAX_HELD {
            return Err(Error::new(Kind::Busy, format!("{MAX_HELD} requests wait for replies already")));
        }
        if !self.out.is_empty() && self.out.len() + size > MAX_QUEUED {
            return Err(Error::new(Kind::Busy, format!("{} bytes wait to be sent already", self.out.len())));
        }
        self.out.try_reserve(size).map_err(|_| Error::new(Kind::Memory, "no memory to queue the request"))?;
        request::write(&mut self.out, config.flavor, request)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // In a forked child the task is gone, and its runtime must not be touched.
        if self.generation == sys::generation() {
            self.shared.queue.lock().closed = true;
            self.shared.wake.notify_one();
        }
    }
}

/// The task's side of the queue. While it lives, the queue's requests have somebody.
pub(super) struct Running {
    pub(super) shared: Arc<Shared>,
    ended: bool,
}

impl Running {
    /// Takes what gathered: commands to the end of `out`, their places to `places`. `answered` replies have come since
    /// the last time.
    pub(super) fn take(&self, out: &mut Vec<u8>, places: &mut impl Extend<Waiting>, answered: usize) {
        let mut queue = self.shared.queue.lock();
        queue.held = queue.held.saturating_sub(answered);
        if out.is_empty() {
            if out.capacity() > KEPT_BUFFER {
                *out = Vec::new();
            }
            std::mem::swap(out, &mut queue.out);
        } else {
            out.append(&mut queue.out);
        }
        places.extend(queue.waiting.drain(..));
    }

    /// Asks to be woken by the next submitter; `false` if there is something to take already.
    pub(super) fn sleep(&self) -> bool {
        let mut queue = self.shared.queue.lock();
        queue.asleep = queue.waiting.is_empty();
        queue.asleep
    }

    /// Asks to be woken by the next submitter, whatever there is.
    pub(super) fn listen(&self) {
        self.shared.queue.lock().asleep = true;
    }

    /// Whether the store was closed and nothing is queued.
    pub(super) fn is_over(&self) -> bool {
        let queue = self.shared.queue.lock();
        queue.closed && queue.waiting.is_empty()
    }

    /// Answers queued requests whose deadline has passed, and tells when the next one does.
    pub(super) fn sweep(&self, now: Instant) -> Option<Instant> {
        let mut overdue = Vec::new();
        let mut queue = self.shared.queue.lock();
        let next = sweep(&mut queue.waiting, now, &mut overdue);
        drop(queue);
        self.answer_late(overdue, "waiting to be sent");
        next
    }

    /// Answers requests whose deadline has passed.
    pub(super) fn answer_late(&self, overdue: Vec<(Ticket, Deadline, bool)>, doing: &str) {
        for (ticket, deadline, writes) in overdue {
            ticket.answer(Err(placed(late(doing, &deadline), &self.shared.config.server.shown, writes)));
        }
    }

    /// Answers all of `places` with one error; `sent` says that the server may have them.
    pub(super) fn fail(&self, places: impl IntoIterator<Item = Waiting>, error: &Error, sent: bool) {
        for Waiting { ticket, expect, .. } in places {
            if let Some(ticket) = ticket {
                let writes = sent && expect.writes();
                ticket.answer(Err(placed(error.clone(), &self.shared.config.server.shown, writes)));
            }
        }
    }

    /// Ends the task unless something is queued; a later submitter starts a new one. `gone` replies will never come.
    pub(super) fn end_if_idle(&mut self, gone: usize) -> bool {
        let mut queue = self.shared.queue.lock();
        queue.held = queue.held.saturating_sub(gone);
        if queue.waiting.is_empty() {
            queue.running = false;
            self.ended = true;
        }
        self.ended
    }

    /// Ends the task and answers what is queued with `error`.
    pub(super) fn end(mut self, error: &Error) {
        let places = self.close();
        self.fail(places, error, false);
    }

    fn close(&mut self) -> Vec<Waiting> {
        let mut queue = self.shared.queue.lock();
        queue.running = false;
        queue.held = 0;
        queue.out = Vec::new();
        self.ended = true;
        std::mem::take(&mut queue.waiting)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // The runtime dropped the task. Each ticket answers as it is dropped, outside the lock.
            drop(self.close());
        }
    }
}

/// Takes the tickets of places whose deadline has passed; tells when the next one does.
pub(super) fn sweep<'a>(
    places: impl IntoIterator<Item = &'a mut Waiting>,
    now: Instant,
    overdue: &mut Vec<(Ticket, Deadline, bool)>,
) -> Option<Instant> {
    let mut next: Option<Instant> = None;
    for place in places.into_iter().filter(|place| place.ticket.is_some()) {
        let end = place.deadline.end();
        if end > now {
            next = Some(next.map_or(end, |next| next.min(end)));
        } else if let Some(ticket) = place.ticket.take() {
            overdue.push((ticket, place.deadline, place.expect.writes()));
        }
    }
    next
}
