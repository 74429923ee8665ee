//! Jobs on keys of several servers: each waits in line on all of them, and runs when it is the first everywhere.
//!
//! Nobody waits on a thread meanwhile. All servers see these jobs in one order, so that no two wait for each other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::fault::late;
use super::protocol::Protocol;
use super::server::Server;
use super::waiting::Hold;
use crate::backend::{Backend, Job, Keys, Spawner};
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::lock::Mutex;
use crate::timeout::{Budget, Deadline};

/// A server, and the keys of it that a job works on; `None`: all.
type Part<M> = (Arc<M>, Option<Vec<MadeKey>>);

/// What puts the jobs of one cache in order.
#[derive(Default)]
pub(crate) struct Turns(Mutex<()>);

impl Turns {
    /// The parts of a job on these keys, each with its server.
    pub(crate) fn on<'m, M: 'm>(keys: impl IntoIterator<Item = (&'m Arc<M>, MadeKey)>) -> Vec<Part<M>> {
        let mut parts: Vec<Part<M>> = Vec::new();
        for (member, key) in keys {
            match parts.iter_mut().find(|(known, _)| Arc::ptr_eq(known, member)) {
                Some((_, keys)) => keys.get_or_insert_default().push(key),
                None => parts.push((member.clone(), Some(vec![key]))),
            }
        }
        parts
    }

    /// The parts of a job on everything.
    pub(crate) fn on_all<M>(members: &[Arc<M>]) -> Vec<Part<M>> {
        members.iter().map(|member| (member.clone(), None)).collect()
    }

    /// Begins a job: after what was begun on its keys before, and before what is begun on them later.
    pub(crate) fn start<M, P: Protocol>(
        &self,
        parts: &[Part<M>],
        server: impl Fn(&M) -> &Server<P>,
        budget: Budget,
        spawner: &Arc<dyn Spawner>,
        job: Job,
    ) {
        let keys = |keys| Option::<&Vec<MadeKey>>::map_or(keys, Keys::All, |keys| Keys::These(keys));
        if let [(member, some)] = parts {
            return server(member).start_job(keys(some.as_ref()), budget, job);
        }
        let budget = budget.fixed();
        let ready = Ready { job: Some(job), holds: Vec::with_capacity(parts.len()), clock: None };
        let waiting = Waiting { left: parts.len(), ready };
        let gate =
            Arc::new(Gate { waiting: Mutex::new(Some(waiting)), spawner: spawner.clone(), deadline: budget.start() });
        let refused = {
            let _in_one_order = self.0.lock(); // nobody is called under it
            parts.iter().find_map(|(member, some)| {
                let gate = gate.clone();
                let turn = Box::new(move |turn| gate.take(turn));
                server(member).push_turn(keys(some.as_ref()), budget, turn).err()
            })
        };
        if let Some((turn, error)) = refused {
            turn.refuse(error);
        }
        if parts.is_empty() {
            gate.open();
        }
        for (member, _) in parts {
            server(member).progress();
        }
    }
}

/// Where the turns on all servers come together.
struct Gate {
    /// Nothing any more once the job is on its way, or was refused.
    waiting: Mutex<Option<Waiting>>,
    spawner: Arc<dyn Spawner>,
    deadline: Deadline,
}

struct Waiting {
    /// Turns that have not come.
    left: usize,
    ready: Ready,
}

impl Gate {
    /// Takes the turn on one of the servers; what comes when all is over is dropped, which lets others go on there.
    fn take(&self, turn: Result<Hold>) {
        let mut state = self.waiting.lock();
        let Some(waiting) = &mut *state else { return drop(state) };
        match turn {
            Ok(hold) => {
                waiting.ready.holds.push(hold);
                waiting.left -= 1;
                if waiting.left == 0 {
                    drop(state);
                    self.open();
                }
            }
            Err(error) => {
                let waiting = state.take();
                drop(state);
                if let Some(Waiting { ready, .. }) = waiting {
                    ready.run(Err(error));
                }
            }
        }
    }

    fn open(&self) {
        let waiting = self.waiting.lock().take();
        let Some(Waiting { mut ready, .. }) = waiting else { return };
        let (clock, over) = oneshot::channel();
        ready.clock = Some(clock);
        // Whoever takes it first runs it, or says why not.
        let first = Arc::new(Mutex::new(Some(ready)));
        let (job, clock, deadline) = (first.clone(), first.clone(), self.deadline);
        let watch = async move {
            if timeout_at(deadline.end().into(), over).await.is_err() {
                run(&clock, Err(late("waiting for a thread", &deadline)));
            }
        };
        let _ = self.spawner.spawn(Box::pin(watch)); // without it the job sees by itself that it is late
        if let Err(error) = self.spawner.spawn_blocking(Box::new(move || run(&job, Ok(())))) {
            run(&first, Err(error));
        }
    }
}

fn run(first: &Mutex<Option<Ready>>, may: Result<()>) {
    let ready = first.lock().take();
    if let Some(ready) = ready {
        ready.run(may);
    }
}

/// A job whose turn it is on all servers, until it is over.
struct Ready {
    job: Option<Job>,
    holds: Vec<Hold>,
    /// Ends the task that looks at the deadline, when it is dropped.
    #[allow(dead_code, reason = "to be dropped")]
    clock: Option<oneshot::Sender<()>>,
}

impl Ready {
    fn run(mut self, may: Result<()>) {
        if let Some(job) = self.job.take() {
            // A panic answers the ticket that the job holds, by dropping it.
            drop(catch_unwind(AssertUnwindSafe(|| job(may))));
        }
        self.holds.clear();
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            let gone = Error::new(Kind::Shutdown, "the context was shut down before the operation began");
            drop(catch_unwind(AssertUnwindSafe(|| job(Err(gone)))));
        }
    }
}
