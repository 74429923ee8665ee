//! A lane: jobs that may block, run one after the other in the order in which they came, off the caller's thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Backend, Job, Order, Request, Spawner, Ticket, perform};
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;
use crate::timeout::Budget;

/// One queue and at most one thread at a time that works on it.
pub struct Lane {
    spawner: Arc<dyn Spawner>,
    state: Arc<Mutex<State>>,
}

/// Bytes that jobs may hold while they wait.
const MAX_HELD: usize = 64 << 20;

#[derive(Default)]
struct State {
    /// Jobs, and the bytes that each holds.
    jobs: VecDeque<(Job, usize)>,
    held: usize,
    drainer: Drainer,
}

/// Where the job that works on the queue is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Drainer {
    /// Nowhere.
    #[default]
    None,
    /// On its way into the spawner, which has not answered yet.
    Starting,
    /// It was dropped while the spawner had not answered yet.
    Lost,
    /// In the spawner's hands, or at work.
    Started,
}

impl Lane {
    /// A lane that borrows its thread from `spawner`.
    pub fn new(spawner: Arc<dyn Spawner>) -> Self {
        Self { spawner, state: Arc::default() }
    }

    /// Begins an operation of a backend whose operations block, when its turn comes.
    pub fn start<B: Backend + Clone + 'static>(
        &self,
        backend: &B,
        request: &Request<'_>,
        budget: Budget,
        ticket: Ticket,
    ) {
        let order = match Order::copy(request) {
            Ok(order) => order,
            Err(error) => return ticket.answer(Err(error)),
        };
        let (backend, budget) = (backend.clone(), budget.fixed()); // waiting in the lane counts
        let job = move |may_run: Result<()>| {
            let answer = may_run.and_then(|()| began_in_time(budget));
            ticket.answer(answer.and_then(|()| perform(&backend, &order.request(), budget)));
        };
        self.push(request.value_bytes(), Box::new(job));
    }

    /// Begins a job of the store's, when its turn comes.
    pub fn start_job(&self, budget: Budget, job: Job) {
        let budget = budget.fixed();
        self.push(0, Box::new(move |may_run| job(may_run.and_then(|()| began_in_time(budget)))));
    }

    /// Puts a job that holds `size` bytes at the end of the queue. Never waits: a queue that holds too much refuses.
    fn push(&self, size: usize, job: Job) {
        let mut state = self.state.lock();
        if state.held > 0 && state.held.saturating_add(size) > MAX_HELD {
            let reason = format!("values of {} bytes wait to be written already; let some end first", state.held);
            drop(state);
            return job(Err(Error::new(Kind::Busy, reason)));
        }
        state.held += size;
        state.jobs.push_back((job, size));
        if state.drainer != Drainer::None {
            return;
        }
        state.drainer = Drainer::Starting;
        drop(state);
        let drain = Drain(Some(self.state.clone()));
        let refused = self.spawner.spawn_blocking(Box::new(move || drain.run())).err();
        let mut state = self.state.lock();
        match (state.drainer, refused) {
            (_, Some(error)) => {
                drop(state);
                refuse_all(&self.state, &error);
            }
            (Drainer::Lost, None) => {
                drop(state);
                refuse_all(&self.state, &never_began());
            }
            (Drainer::Starting, None) => state.drainer = Drainer::Started,
            (Drainer::None | Drainer::Started, None) => {} // it ran, and may be done
        }
    }
}

/// Works until the queue is empty. Dropped without having run (the runtime is gone), it refuses the jobs.
struct Drain(Option<Arc<Mutex<State>>>);

impl Drain {
    fn run(mut self) {
        let Some(state) = self.0.take() else { return };
        state.lock().drainer = Drainer::Started;
        loop {
            let mut state = state.lock();
            let Some((job, size)) = state.jobs.pop_front() else {
                state.drainer = Drainer::None;
                break;
            };
            state.held -= size;
            drop(state);
            // A panic answers the ticket that the job holds, by dropping it; the lane goes on.
            let _ = catch_unwind(AssertUnwindSafe(|| job(Ok(()))));
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else { return }; // it ran
        let mut state = shared.lock();
        if state.drainer == Drainer::Starting {
            state.drainer = Drainer::Lost;
            return;
        }
        drop(state);
        refuse_all(&shared, &never_began());
    }
}

fn refuse_all(state: &Mutex<State>, error: &Error) {
    let jobs = {
        let mut state = state.lock();
        state.drainer = Drainer::None;
        state.held = 0;
        std::mem::take(&mut state.jobs)
    };
    for (job, _) in jobs {
        let _ = catch_unwind(AssertUnwindSafe(|| job(Err(error.clone()))));
    }
}

/// To be asked when an operation's turn comes: nothing of it has been done yet.
fn began_in_time(budget: Budget) -> Result<()> {
    if budget.start().left().is_some() {
        return Ok(());
    }
    let reason = format!("the deadline of {} ms passed while waiting for its turn", budget.total().as_millis());
    Err(Error::new(Kind::Timeout, reason))
}

fn never_began() -> Error {
    Error::new(Kind::Shutdown, "the context was shut down before the operation began")
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// What becomes of a job that is spawned.
    enum Threads {
        Run,
        Refuse,
        Lose,
        Keep(Mutex<Vec<Box<dyn FnOnce() + Send>>>),
    }

    impl Spawner for Threads {
        fn spawn(&self, _task: Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()> {
            Err(Error::new(Kind::Shutdown, "no tasks here"))
        }

        fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> Result<()> {
            match self {
                Self::Run => drop(std::thread::spawn(job)),
                Self::Refuse => return Err(Error::new(Kind::Busy, "no thread is free")),
                Self::Lose => drop(job),
                Self::Keep(jobs) => jobs.lock().push(job),
            }
            Ok(())
        }
    }

    type Told = (usize, Option<Kind>);

    fn push_all(lane: &Lane, count: usize) -> Receiver<Told> {
        let (told, answers) = channel();
        for number in 0..count {
            let told = told.clone();
            lane.push(
                1,
                Box::new(move |may_run| {
                    told.send((number, may_run.err().map(|error| error.kind()))).unwrap();
                    assert!(number % 7 != 3, "some jobs panic");
                }),
            );
        }
        answers
    }

    #[test]
    fn jobs_run_in_order_and_survive_panics() {
        let lane = Lane::new(Arc::new(Threads::Run));
        let answers: Vec<Told> = push_all(&lane, 500).iter().collect();
        assert_eq!(answers, (0..500).map(|number| (number, None)).collect::<Vec<_>>());
    }

    #[test]
    fn only_one_thread_works_at_a_time() {
        let kept = Arc::new(Threads::Keep(Mutex::default()));
        let lane = Lane::new(kept.clone());
        let answers = push_all(&lane, 3);
        let Threads::Keep(jobs) = &*kept else { unreachable!() };
        let mut drains = std::mem::take(&mut *jobs.lock());
        assert_eq!(drains.len(), 1);
        drains.pop().unwrap()();
        assert_eq!(answers.iter().count(), 3);
        push_all(&lane, 1);
        assert_eq!(jobs.lock().len(), 1); // the next one wakes another
    }

    #[test]
    fn a_refused_thread_answers_every_job() {
        for (threads, kind) in [(Threads::Refuse, Kind::Busy), (Threads::Lose, Kind::Shutdown)] {
            let lane = Lane::new(Arc::new(threads));
            let answers: Vec<Told> = push_all(&lane, 2).iter().collect();
            assert_eq!(answers, [(0, Some(kind)), (1, Some(kind))]);
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let kept = Arc::new(Threads::Keep(Mutex::default()));
        let lane = Lane::new(kept.clone());
        let (told, answers) = channel();
        let push = |number: usize, size| {
            let told = told.clone();
            let job = move |may_run: Result<()>| told.send((number, may_run.err().map(|error| error.kind()))).unwrap();
            lane.push(size, Box::new(job));
        };
        push(0, MAX_HELD + 1); // alone any size is taken
        push(1, 1);
        assert_eq!(answers.recv().unwrap(), (1, Some(Kind::Busy)));
        let Threads::Keep(jobs) = &*kept else { unreachable!() };
        jobs.lock().pop().unwrap()();
        push(2, MAX_HELD);
        jobs.lock().pop().unwrap()();
        assert_eq!([answers.recv().unwrap(), answers.recv().unwrap()], [(0, None), (2, None)]);
    }

    #[test]
    fn a_thread_that_never_comes_answers_every_job() {
        let kept = Arc::new(Threads::Keep(Mutex::default()));
        let lane = Lane::new(kept.clone());
        let answers = push_all(&lane, 2);
        let Threads::Keep(jobs) = &*kept else { unreachable!() };
        jobs.lock().clear(); // the runtime ends
        let answers: Vec<Told> = answers.iter().collect();
        assert_eq!(answers, [(0, Some(Kind::Shutdown)), (1, Some(Kind::Shutdown))]);
    }
}
