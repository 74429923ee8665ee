//! The asynchronous operations of a store, in order: small ones and large ones over a connection each, and jobs.
//!
//! Operations on one key take effect in the order in which one thread began them. Over one connection that comes by
//! itself, and then none of this costs more than a look at a flag. What changes its connection, and every job, has to
//! wait for what is under way on its keys, and stands in the [`fence`](crate::backend::fence) meanwhile, with what came after it
//! on those keys.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

use super::fault::{late, placed};
use super::pipe::{Kick, Pipe, SWEEP_PAUSE, Tools};
use super::protocol::Protocol;
use super::request;
use super::waiting::{Held, State, Task, Turn, Work};
use crate::backend::fence::Scope;
use crate::backend::{Job, Request, Spawner, Ticket};
use crate::error::{Error, Kind};
use crate::lock::Mutex;
use crate::timeout::Deadline;

/// The connection for what is small, which is nearly everything.
const SMALL: usize = 0;
/// The connection for large values.
const LARGE: usize = 1;

/// The entrance for everything asynchronous.
pub(super) struct Front<P: Protocol> {
    lanes: [Pipe<P>; 2],
    tools: Tools<P>,
    spawner: Arc<dyn Spawner>,
    /// Something is in the fence, or may be under way on the large lane: order has to be looked after.
    strict: AtomicBool,
    state: Mutex<State>,
    /// Wakes the task that looks at the deadlines of what waits.
    tick: Notify,
}

/// What is to be done once the lock is released.
#[derive(Default)]
struct Todo {
    kicks: [Kick; 2],
    jobs: Vec<(u64, Arc<Mutex<Option<Task>>>)>,
    refused: Vec<(Ticket, Error)>,
    clock: bool,
    any: bool,
}

impl<P: Protocol> Front<P> {
    /// An entrance whose connections are made when they are first used.
    pub(super) fn new(tools: Tools<P>, spawner: Arc<dyn Spawner>) -> Arc<Self> {
        Arc::new(Self {
            lanes: [Pipe::new(tools.clone()), Pipe::new(tools.clone())],
            tools,
            spawner,
            strict: AtomicBool::new(false),
            state: Mutex::default(),
            tick: Notify::new(),
        })
    }

    /// Begins a request.
    pub(super) fn start(self: &Arc<Self>, request: &Request<'_>, deadline: Deadline, ticket: Ticket) {
        if let Err(error) = self.tools.breaker.admit_for(&deadline) {
            return ticket.answer(Err(placed(error, self.shown(), false)));
        }
        let scope = request::scope(request);
        let large = request::is_large(request, &scope, &self.tools.recent);
        if large || self.strict.load(Ordering::Acquire) {
            return self.start_in_order(request, scope, large, deadline, ticket);
        }
        match self.lane(SMALL).enqueue(request, &scope, deadline, ticket, false) {
            Ok(kick) => self.lane(SMALL).kick(kick, self, &self.spawner),
            Err((ticket, error)) => self.refuse(ticket, error),
        }
    }

    /// Begins a small request without regard to what is under way: for callers that wait for each answer.
    pub(super) fn start_unordered(self: &Arc<Self>, request: &Request<'_>, deadline: Deadline, ticket: Ticket) {
        if let Err(error) = self.tools.breaker.admit_for(&deadline) {
            return ticket.answer(Err(placed(error, self.shown(), false)));
        }
        let lane = self.lane(SMALL);
        match lane.enqueue(request, &request::scope(request), deadline, ticket, false) {
            Ok(kick) => lane.kick(kick, self, &self.spawner),
            Err((ticket, error)) => self.refuse(ticket, error),
        }
    }

    /// Begins a job: after what is under way on its keys, before what comes later on them.
    /// It holds values of `bytes`.
    pub(super) fn start_job(self: &Arc<Self>, scope: Scope, deadline: Deadline, job: Job, bytes: usize) {
        let mut state = self.state.lock();
        if let Err((job, error)) = state.push_job(scope, deadline, Task::Job(job), bytes) {
            drop(state);
            return job.refuse(error);
        }
        self.note(&mut state);
        drop(state);
        self.progress();
    }

    /// Puts somebody in line as a job, or hands it back. Calls nobody: [`Front::progress`] has to follow.
    pub(super) fn push_turn(
        &self,
        scope: Scope,
        deadline: Deadline,
        turn: Turn,
    ) -> std::result::Result<(), (Task, Error)> {
        let mut state = self.state.lock();
        let pushed = state.push_job(scope, deadline, Task::Turn(turn), 0);
        self.note(&mut state);
        pushed
    }

    fn start_in_order(
        self: &Arc<Self>,
        request: &Request<'_>,
        scope: Scope,
        large: bool,
        deadline: Deadline,
        ticket: Ticket,
    ) {
        let mut state = self.state.lock();
        if !state.fence.holds_back(&scope) {
            let (lane, after) = self.route(&scope, large);
            if after == [0; 2] {
                let outcome = self.lane(lane).enqueue(request, &scope, deadline, ticket, false);
                self.note(&mut state);
                drop(state);
                return match outcome {
                    Ok(kick) => self.lane(lane).kick(kick, self, &self.spawner),
                    Err((ticket, error)) => self.refuse(ticket, error),
                };
            }
        }
        let refused = state.defer(request, scope, deadline, ticket).err();
        self.note(&mut state);
        drop(state);
        if let Some((ticket, error)) = refused {
            return self.refuse(ticket, placed(error, self.shown(), false));
        }
        self.progress();
    }

    /// Answers a request that the server will not hear of. Were it the breaker's probe, another call is it now.
    fn refuse(&self, ticket: Ticket, error: Error) {
        self.tools.breaker.abstained();
        ticket.answer(Err(error));
    }

    /// The lane for a request, and how many requests of each lane have to be completed before.
    fn route(&self, scope: &Scope, large: bool) -> (usize, [u64; 2]) {
        let [small_lane, large_lane] = &self.lanes;
        let on_large = large_lane.under_way(scope);
        match scope {
            Scope::Everything => (SMALL, [0, on_large.unwrap_or(0)]),
            // what is small waits behind its own key's large value on the same lane
            Scope::Keys(_) if large || on_large.is_some() => (LARGE, [small_lane.under_way(scope).unwrap_or(0), 0]),
            Scope::Keys(_) | Scope::Nothing => (SMALL, [0; 2]),
        }
    }

    /// Lets everything that can go on do so. Called when requests were completed that somebody waited for, and when
    /// something came into the fence or left it; from any thread, with no lock held.
    pub(super) fn progress(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.driven, true) {
            state.again = true; // perhaps further up on this very stack
            return;
        }
        loop {
            state.again = false;
            let todo = self.move_on(&mut state);
            self.note(&mut state);
            if !todo.any && !state.again {
                state.driven = false;
                return;
            }
            drop(state);
            // whatever a sink or a spawner does, others have to be able to go on
            drop(catch_unwind(AssertUnwindSafe(|| self.perform(todo))));
            state = self.state.lock();
        }
    }

    fn move_on(&self, state: &mut State) -> Todo {
        let mut todo = Todo::default();
        let mut open = std::mem::take(&mut state.open);
        loop {
            while let Some(number) = state.fence.next_ready() {
                open.push(number);
            }
            if open.is_empty() {
                break;
            }
            for number in open.drain(..) {
                if !self.try_one(state, number, &mut todo) {
                    state.open.push(number);
                }
            }
        }
        todo.clock = state.clock.is_none() && !state.clockless && state.next_deadline().is_some();
        if todo.clock {
            state.clock = Some(Instant::now());
        }
        todo.any |= todo.clock;
        todo
    }

    /// Moves work on that is first in its lines; `false` if it has to wait for what is under way.
    fn try_one(&self, state: &mut State, number: u64, todo: &mut Todo) -> bool {
        let Some((scope, held)) = state.fence.get(number) else { return true };
        let (lane, after) = match (held.after, &held.work) {
            (_, Work::Given(_)) => return true,
            (Some(after), _) => after,
            (None, Work::Request(order, _)) => {
                let request = order.request();
                self.route(scope, request::is_large(&request, scope, &self.tools.recent))
            }
            (None, Work::Job(_)) => (SMALL, [SMALL, LARGE].map(|lane| self.lane(lane).under_way(scope).unwrap_or(0))),
        };
        held.after = Some((lane, after));
        for (lane, count) in self.lanes.iter().zip(after) {
            if lane.watch(count) {
                return false;
            }
        }
        todo.any = true;
        if matches!(held.work, Work::Job(_)) {
            let given = Arc::default();
            if let Work::Job(job) = std::mem::replace(&mut held.work, Work::Given(Arc::clone(&given))) {
                *given.lock() = Some(job);
                todo.jobs.push((number, given));
            }
            return true;
        }
        let scope = scope.clone();
        let Some(Held { work: Work::Request(order, ticket), deadline, .. }) = state.take(number) else { return true };
        let (Some(pipe), Some(kick)) = (self.lanes.get(lane), todo.kicks.get_mut(lane)) else { return true };
        match pipe.enqueue(&order.request(), &scope, deadline, ticket, true) {
            Ok(more) => *kick = kick.and(more),
            Err(refused) => todo.refused.push(refused),
        }
        true
    }

    fn perform(self: &Arc<Self>, todo: Todo) {
        for (lane, kick) in self.lanes.iter().zip(todo.kicks) {
            lane.kick(kick, self, &self.spawner);
        }
        for (number, job) in todo.jobs {
            let is_turn = matches!(&*job.lock(), Some(Task::Turn(_)));
            let run = Run { front: self.clone(), number, job };
            if is_turn {
                run.run();
                continue;
            }
            // Where it cannot run it is dropped, and the job told so.
            let _ = self.spawner.spawn_blocking(Box::new(move || run.run()));
        }
        for (ticket, error) in todo.refused {
            self.refuse(ticket, error);
        }
        if todo.clock {
            let clock = Clock { front: self.clone(), told: false };
            let started = self.spawner.spawn(Box::pin(async move { clock.run().await }));
            // after a shutdown there is none to be had; all that waits is answered without it then
            self.state.lock().clockless = started.is_err();
        }
    }

    /// Answers what waited too long; when to look again, if anything waits.
    fn sweep(self: &Arc<Self>) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.state.lock();
        let due: Vec<u64> = state.fence.iter().filter(|(_, held)| held.is_due(now)).map(|(number, _)| number).collect();
        let due: Vec<Held> = due.into_iter().filter_map(|number| state.take_due(number)).collect();
        state.clock = state.next_deadline();
        let next = state.clock;
        drop(state);
        let any = !due.is_empty();
        for Held { work, deadline, .. } in due {
            let error = late("waiting for operations on the same key", &deadline);
            let error = placed(error, self.shown(), false);
            match work {
                Work::Request(_, ticket) => self.refuse(ticket, error),
                Work::Job(job) => drop(catch_unwind(AssertUnwindSafe(|| job.refuse(error)))),
                Work::Given(_) => {} // `take_due` makes jobs of these
            }
        }
        if any {
            self.progress();
        }
        next
    }

    /// After every change: whether order has to be looked after.
    fn note(&self, state: &mut State) {
        let strict = !state.fence.is_empty() || !self.lane(LARGE).is_idle();
        self.strict.store(strict, Ordering::Release);
        state.clockless &= !state.fence.is_empty();
        if let (Some(clock), Some(next)) = (state.clock, state.newest_deadline())
            && next < clock
        {
            state.clock = Some(next);
            self.tick.notify_one();
        }
    }

    fn lane(&self, lane: usize) -> &Pipe<P> {
        let [small, large] = &self.lanes;
        if lane == LARGE { large } else { small }
    }

    /// Whether a request is about a large value, as far as is known.
    pub(super) fn is_large(&self, request: &Request<'_>) -> bool {
        request::is_large(request, &request::scope(request), &self.tools.recent)
    }

    /// Whether the connection for what is small works, as far as is known.
    pub(super) fn is_well(&self) -> bool {
        self.lane(SMALL).is_well()
    }

    /// The server has answered elsewhere: a connection is worth a try.
    pub(super) fn get_well(&self) {
        self.lane(SMALL).get_well();
    }

    /// The server, as it is shown.
    pub(super) fn shown(&self) -> &Arc<str> {
        &self.tools.endpoint.shown
    }

    /// Leaves sleeping connections alone until the batch ends.
    pub(super) fn begin_batch(&self) {
        self.lanes.iter().for_each(Pipe::begin_batch);
    }

    /// Ends a batch.
    pub(super) fn end_batch(&self) {
        self.lanes.iter().for_each(Pipe::end_batch);
    }

    /// Lets what was begun end, and then the connections.
    pub(super) fn close(&self) {
        self.lanes.iter().for_each(Pipe::close);
    }
}

/// A job that runs, or will never: the fence is told in any case.
struct Run<P: Protocol> {
    front: Arc<Front<P>>,
    number: u64,
    /// Empty once its time was over.
    job: Arc<Mutex<Option<Task>>>,
}

impl<P: Protocol> Run<P> {
    fn run(self) {
        let job = self.job.lock().take();
        match job {
            // A panic answers the ticket that the job holds, by dropping it.
            Some(Task::Job(job)) => drop(catch_unwind(AssertUnwindSafe(|| job(Ok(()))))),
            Some(Task::Turn(turn)) => turn(Ok(Box::new(self))),
            None => {}
        }
    }
}

impl<P: Protocol> Drop for Run<P> {
    fn drop(&mut self) {
        let job = self.job.lock().take();
        if let Some(job) = job {
            let gone = Error::new(Kind::Shutdown, "the context was shut down before the operation began");
            drop(catch_unwind(AssertUnwindSafe(|| job.refuse(gone))));
        }
        let held = self.front.state.lock().take(self.number);
        drop(held);
        self.front.progress();
    }
}

/// The task that looks at the deadlines of what waits.
struct Clock<P: Protocol> {
    front: Arc<Front<P>>,
    /// It ended because nothing waits, which is noted already.
    told: bool,
}

impl<P: Protocol> Clock<P> {
    async fn run(mut self) {
        while let Some(next) = self.front.sweep() {
            let soonest = Instant::now() + SWEEP_PAUSE;
            // woken for an earlier deadline, or it is time: both are the same
            let _ = tokio::time::timeout_at(next.max(soonest).into(), self.front.tick.notified()).await;
        }
        self.told = true;
    }
}

impl<P: Protocol> Drop for Clock<P> {
    fn drop(&mut self) {
        if !self.told {
            self.front.state.lock().clock = None;
        }
    }
}
