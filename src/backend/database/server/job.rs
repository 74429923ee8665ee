//! Jobs that use the synchronous operations: in the line, on a thread that may wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::fault::late;
use super::line::{Place, Turn};
use crate::backend::{Job, Spawner};
use crate::error::{Error, Kind};
use crate::lock::Mutex;
use crate::timeout::Deadline;

/// A job that waits: whoever takes it first runs it, or tells it why it may not run. Dropped with its task or its
/// thread, because the runtime ends, it is told that.
#[derive(Clone)]
pub struct Given(Arc<Mutex<Option<Job>>>);

impl Given {
    /// Of a job.
    pub fn new(job: Job) -> Self {
        Self(Arc::new(Mutex::new(Some(job))))
    }

    /// Tells the job why it may not run, unless it ran.
    pub fn refuse(&self, error: Error) {
        self.run(Err(error));
    }

    fn run(&self, may_run: crate::error::Result<()>) {
        let job = self.0.lock().take();
        if let Some(job) = job {
            // a panic answers what the job holds, by dropping it
            let _ = catch_unwind(AssertUnwindSafe(|| job(may_run)));
        }
    }
}

/// Refuses the job when it is dropped, unless it ran.
struct Last(Given);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.refuse(Error::new(Kind::Shutdown, "the context was shut down before the operation began"));
    }
}

/// Runs a job in its turn, or refuses it at its deadline; and where the runtime drops this, even before it began.
pub fn run(
    spawner: Arc<dyn Spawner>,
    place: Place,
    turn: Turn,
    deadline: Deadline,
    given: Given,
) -> impl Future<Output = ()> + Send {
    let last = Last(given.clone());
    let end = Instant::from_std(deadline.end());
    async move {
        if timeout_at(end, turn).await.is_err() {
            return given.refuse(late("waiting for others on its keys", &deadline));
        }
        let (began, begins) = oneshot::channel::<()>();
        let work = move || {
            let last = last;
            drop(began);
            last.0.run(Ok(()));
            drop(place);
        };
        if let Err(error) = spawner.spawn_blocking(Box::new(work)) {
            return given.refuse(error);
        }
        if timeout_at(end, begins).await.is_err() {
            given.refuse(late("waiting for a thread", &deadline));
        }
    }
}
