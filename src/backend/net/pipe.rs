//! The asynchronous transport, outside: submitters write their commands into one shared buffer and leave. One task
//! (`session`) sends what gathered there, and answers in the same order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::breaker::Breaker;
use super::connect::Resolver;
use super::counts::Counts;
use super::fault::placed;
use super::heal::Healing;
use super::lanes::Front;
use super::protocol::{Endpoint, Protocol};
use super::queue::{Queue, Waiting};
use super::recent::Recent;
use super::repeat::Again;
use super::running::Running;
use super::session;
use super::whereabouts::Whereabouts;
use crate::backend::fence::Scope;
use crate::backend::{Request, Spawner, Ticket};
use crate::error::Error;
use crate::lock::Mutex;
use crate::log::Log;
use crate::timeout::Deadline;

/// When that much waits, a batch is begun to be sent before it ends.
const PATIENT_BYTES: usize = 32 << 10;
/// The shortest time between two looks at all deadlines.
pub(super) const SWEEP_PAUSE: Duration = Duration::from_millis(1);
/// When nothing is due.
pub(super) const FAR: Duration = Duration::from_hours(1);

/// One pipelined connection, as submitters see it.
pub(super) struct Pipe<P: Protocol> {
    shared: Arc<Shared<P>>,
}

/// What the pipes of a server have in common.
#[derive(Clone)]
pub(super) struct Tools<P> {
    /// The server.
    pub(super) endpoint: Arc<Endpoint>,
    /// What it speaks.
    pub(super) protocol: P,
    /// Finds addresses.
    pub(super) resolver: Arc<Resolver>,
    /// Knows where the server is, where it moves.
    pub(super) whereabouts: Option<Arc<Whereabouts>>,
    /// Whether the server is left alone.
    pub(super) breaker: Arc<Breaker>,
    /// What its health is told by.
    pub(super) counts: Arc<Counts>,
    /// The most bytes that are taken of the answers of one blocking exchange.
    pub(super) most: usize,
    /// Hears of connections.
    pub(super) log: Arc<dyn Log>,
    /// Keys with large values.
    pub(super) recent: Arc<Recent>,
}

/// What submitters and the task share.
pub(super) struct Shared<P: Protocol> {
    /// The server's.
    pub(super) tools: Tools<P>,
    /// Wakes the task.
    pub(super) wake: Notify,
    /// When to connect again.
    pub(super) healing: Mutex<Healing>,
    /// The connection was lost, or could not be made, and none has worked since.
    pub(super) ill: AtomicBool,
    /// Batches that are being submitted.
    batches: AtomicUsize,
    pub(super) queue: Mutex<Queue<P::Expect>>,
}

/// What has to be done for the task once no lock is held.
#[derive(Clone, Copy, Default)]
pub(super) struct Kick {
    wake: bool,
    start: bool,
}

impl Kick {
    /// Both.
    pub(super) fn and(self, other: Self) -> Self {
        Self { wake: self.wake || other.wake, start: self.start || other.start }
    }
}

impl<P: Protocol> Tools<P> {
    /// For a server that nothing is known of yet.
    pub(super) fn new(endpoint: Endpoint, protocol: P, log: Arc<dyn Log>) -> Self {
        let breaker = Breaker::new(endpoint.breaker, endpoint.shown.clone(), log.clone());
        Self {
            resolver: Arc::default(),
            whereabouts: endpoint.finder.clone().map(|finder| Arc::new(Whereabouts::new(finder))),
            breaker: Arc::new(breaker.watched(endpoint.watch.clone()).eager(endpoint.finder.is_some())),
            counts: Arc::default(),
            most: usize::MAX,
            endpoint: Arc::new(endpoint),
            protocol,
            log,
            recent: Arc::default(),
        }
    }
}

impl<P: Protocol> Pipe<P> {
    /// A pipe that connects when it is first used.
    pub(super) fn new(tools: Tools<P>) -> Self {
        let shared = Shared {
            tools,
            wake: Notify::new(),
            healing: Mutex::default(),
            ill: AtomicBool::new(false),
            batches: AtomicUsize::new(0),
            queue: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Puts a request in the queue, or hands its ticket back. One that was `promised` a place has one. The caller has to
    /// call [`Pipe::kick`] when it holds no lock.
    pub(super) fn enqueue(
        &self,
        request: &Request<'_>,
        scope: &Scope,
        deadline: Deadline,
        ticket: Ticket,
        promised: bool,
    ) -> std::result::Result<Kick, (Ticket, Error)> {
        let shared = &*self.shared;
        let repeat = shared.tools.whereabouts.as_ref().and_then(|_| Again::of(request));
        let mut queue = shared.queue.lock();
        let before = queue.out.len();
        let expect = match queue.write(&shared.tools.protocol, request, scope, promised) {
            Ok(expect) => expect,
            Err(error) => {
                drop(queue);
                return Err((ticket, placed(error, &shared.tools.endpoint.shown, false)));
            }
        };
        let size = queue.out.len() - before;
        queue.waiting.push(Waiting {
            ticket: Some(ticket),
            expect: Some(expect),
            deadline,
            size,
            again: false,
            greets: false,
            repeat,
        });
        queue.submitted += 1;
        queue.note(scope);
        let start = !std::mem::replace(&mut queue.running, true);
        let patient = shared.batches.load(Ordering::Relaxed) > 0 && queue.out.len() < PATIENT_BYTES;
        let wake = !patient && std::mem::take(&mut queue.asleep);
        Ok(Kick { wake, start })
    }

    /// Wakes or starts the task. No lock may be held: tickets can be answered here.
    pub(super) fn kick(&self, kick: Kick, front: &Arc<Front<P>>, spawner: &Arc<dyn Spawner>) {
        if kick.wake {
            self.shared.wake.notify_one();
        }
        if kick.start {
            let task = Running { shared: self.shared.clone(), front: front.clone(), ended: false };
            if let Err(error) = spawner.prepare() {
                return task.end(&error);
            }
            // Where it cannot be started, the task and with it every ticket is dropped, which is an answer.
            let _ = spawner.spawn(Box::pin(session::run(task, spawner.clone())));
        }
    }

    /// Leaves a sleeping task alone until the batch ends, or much has gathered.
    pub(super) fn begin_batch(&self) {
        self.shared.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends a batch.
    pub(super) fn end_batch(&self) {
        self.shared.batches.fetch_sub(1, Ordering::Relaxed);
        let mut queue = self.shared.queue.lock();
        let wake = !queue.waiting.is_empty() && std::mem::take(&mut queue.asleep);
        drop(queue);
        if wake {
            self.shared.wake.notify_one();
        }
    }

    /// Whether the connection works, as far as is known: callers that wait do not wait for another to be made.
    pub(super) fn is_well(&self) -> bool {
        !self.shared.ill.load(Ordering::Relaxed)
    }

    /// The server has answered elsewhere: a connection is worth a try.
    pub(super) fn get_well(&self) {
        self.shared.ill.store(false, Ordering::Relaxed);
    }

    /// Whether the server owes no reply.
    pub(super) fn is_idle(&self) -> bool {
        let queue = self.shared.queue.lock();
        queue.submitted == queue.completed
    }

    /// How many requests have to be completed before nothing that touches `scope` is under way; `None` if that is now.
    pub(super) fn under_way(&self, scope: &Scope) -> Option<u64> {
        let queue = self.shared.queue.lock();
        Some(queue.last_on(scope)).filter(|last| *last > queue.completed)
    }

    /// Makes the task tell the front when that many requests are completed; `false` if they are.
    pub(super) fn watch(&self, count: u64) -> bool {
        let mut queue = self.shared.queue.lock();
        if queue.completed >= count {
            return false;
        }
        queue.watched = Some(queue.watched.map_or(count, |watched| watched.min(count)));
        true
    }

    /// Lets what is under way end, and then the connection.
    pub(super) fn close(&self) {
        self.shared.queue.lock().closed = true;
        self.shared.wake.notify_one();
    }
}
