//! The runtime of a context: Tokio and the threads that it needs, made when first needed, and the completion queue
//! from which the callback thread hands out answers exactly once.

mod callback;
mod queue;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

pub use self::callback::CallbackThread;
pub use self::queue::{Event, Polled, Queue, Taken};
pub use self::table::next_operation;
use crate::backend::Spawner;
use crate::error::{Error, Kind, Result};
use crate::lock::{Condvar, Mutex};
use crate::sys;

/// Tokio, lazily. A context that is only used synchronously never starts a thread of it.
pub struct Runtime {
    state: Mutex<State>,
    threads: Arc<Threads>,
    /// For threads inside of loaders.
    loaders: Arc<Semaphore>,
}

impl Default for Runtime {
    fn default() -> Self {
        let loaders = Arc::new(Semaphore::new(LOADERS));
        Self { state: Mutex::default(), threads: Arc::default(), loaders }
    }
}

#[derive(Default)]
struct State {
    tokio: Option<tokio::runtime::Runtime>,
    stopped: bool,
}

/// Counts the threads that live.
#[derive(Default)]
struct Threads {
    count: Mutex<usize>,
    changed: Condvar,
}

/// One worker moves a connection's bytes faster than a server answers; more only cost switches.
const WORKERS: usize = 1;

/// Threads that may wait for files at the same time.
const WAITERS: usize = 4;

/// Threads that may be inside of programs' loaders at the same time, besides: these wait for long.
const LOADERS: usize = 16;

impl Runtime {
    /// A runtime that has not started.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Stops Tokio: tasks are dropped, and with them their tickets answered; jobs that block may end until `end`.
    /// Nothing can be spawned any more. Whether no thread is left; if not, this can be called again.
    pub fn stop(&self, end: Instant) -> bool {
        let tokio = {
            let mut state = self.state.lock();
            state.stopped = true;
            state.tokio.take()
        };
        if let Some(tokio) = tokio {
            // joins what ends in time; a thread that is only starting is not in the count yet
            tokio.shutdown_timeout(end.saturating_duration_since(Instant::now()));
        }
        let mut count = self.threads.count.lock();
        while *count > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            count = self.threads.changed.wait_for(count, left.max(Duration::from_millis(1)));
        }
        true
    }

    /// Uses Tokio, which is started for that if it was not yet.
    fn with<T>(&self, begin: impl FnOnce(&tokio::runtime::Handle) -> T) -> Result<T> {
        let handle = {
            let mut state = self.state.lock();
            if state.stopped {
                return Err(Error::new(Kind::Shutdown, "the context is shut down"));
            }
            match &state.tokio {
                Some(tokio) => tokio.handle().clone(),
                None => state.tokio.insert(self.make()?).handle().clone(),
            }
        };
        // Tokio panics where the system refuses a thread; what was to run is dropped then, which answers it
        catch_unwind(AssertUnwindSafe(|| sys::with_signals_blocked(|| begin(&handle)))).map_err(|_| no_threads())
    }

    fn make(&self) -> Result<tokio::runtime::Runtime> {
        let (starting, ending) = (self.threads.clone(), self.threads.clone());
        let make = || {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(WORKERS)
                .max_blocking_threads(WAITERS + LOADERS)
                .thread_name("larder")
                .on_thread_start(move || *starting.count.lock() += 1)
                .on_thread_stop(move || {
                    *ending.count.lock() -= 1;
                    ending.changed.notify_all();
                })
                .enable_all()
                .build()
        };
        match catch_unwind(AssertUnwindSafe(|| sys::with_signals_blocked(make))) {
            Ok(Ok(tokio)) => Ok(tokio),
            Ok(Err(_)) | Err(_) => Err(no_threads()),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop(Instant::now()); // never blocks: only `larder_shutdown` waits
    }
}

impl Spawner for Runtime {
    fn prepare(&self) -> Result<()> {
        self.with(|_| ())
    }

    fn spawn(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()> {
        self.with(|tokio| drop(tokio.spawn(task)))
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> Result<()> {
        self.with(|tokio| drop(tokio.spawn_blocking(job)))
    }

    fn spawn_loader(&self, job: Box<dyn FnOnce() + Send>) -> Result<()> {
        let loaders = self.loaders.clone();
        let turn = async move {
            let Ok(turn) = loaders.acquire_owned().await else { return };
            drop(tokio::task::spawn_blocking(move || {
                job();
                drop(turn);
            }));
        };
        self.with(|tokio| drop(tokio.spawn(turn)))
    }
}

fn no_threads() -> Error {
    Error::new(Kind::Memory, "the system refuses the threads that the runtime needs").retriable_if(true)
}
