//! How a pipeline reaches its stores: at once on the caller's thread, or later on the runtime.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::sync::oneshot;

use super::arrival::Arrival;
use super::load::{Load, Loader, run_here};
use crate::backend::{Answer, Reply, Sink, Spawner, Ticket};
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;
use crate::store::{Call, Operation, Outcome, Store};

/// A way to do what takes time.
pub trait Access: Clone + Send + Sync + 'static {
    /// Whether nobody's thread waits.
    const LATER: bool;

    /// Does an operation on a store.
    fn ask<'a>(
        &'a self,
        store: &'a Arc<Store>,
        operation: Operation<'a>,
        call: Call<'a>,
    ) -> impl Future<Output = Result<Outcome>> + Send + 'a;

    /// Waits for something to arrive; `None` where it has not until then.
    fn arrival<'a, T: Clone + Send>(
        &'a self,
        arrival: &'a Arrival<T>,
        until: Instant,
    ) -> impl Future<Output = Option<T>> + Send + 'a;

    /// Has a loader begin a load.
    fn load(&self, loader: &Arc<dyn Loader>, load: Load);
}

/// On the caller's own thread: every future is ready when it is first polled.
#[derive(Clone, Copy)]
pub struct Now;

/// As a task: every wait is a task's.
#[derive(Clone)]
pub struct Later {
    spawner: Arc<dyn Spawner>,
    /// Whether it is the runtime that polls: timers are there only.
    on_runtime: Arc<AtomicBool>,
}

impl Access for Now {
    const LATER: bool = false;

    fn ask<'a>(
        &'a self,
        store: &'a Arc<Store>,
        operation: Operation<'a>,
        call: Call<'a>,
    ) -> impl Future<Output = Result<Outcome>> + Send + 'a {
        std::future::ready(perform(store, &operation, &call))
    }

    fn arrival<'a, T: Clone + Send>(
        &'a self,
        arrival: &'a Arrival<T>,
        until: Instant,
    ) -> impl Future<Output = Option<T>> + Send + 'a {
        std::future::ready(arrival.wait(until))
    }

    fn load(&self, loader: &Arc<dyn Loader>, load: Load) {
        run_here(&**loader, load);
    }
}

/// Those operations of a store that a pipeline needs, on this thread.
fn perform(store: &Store, operation: &Operation<'_>, call: &Call<'_>) -> Result<Outcome> {
    match *operation {
        Operation::Get { key } => store.get(key, call).map(Outcome::Value),
        Operation::Fetch { key } => store.fetch(key, call).map(Outcome::Fetched),
        Operation::GetMany { keys } => store.get_many(keys, call).map(Outcome::Values),
        Operation::FetchMany { keys } => store.fetch_many(keys, call).map(Outcome::FetchedMany),
        Operation::Set { key, value, ttl, when } => store.set(key, value, ttl, when, call).map(Outcome::Written),
        Operation::SetMany { values, ttl } => {
            store.set_many(values, ttl, call).map(|failures| Outcome::Failures(failures, false))
        }
        Operation::Delete { key } => store.delete(key, call).map(Outcome::Found),
        Operation::Clear { scope } => store.clear(scope, call).map(|()| Outcome::Done),
        Operation::PurgeExpired => store.purge_expired(call).map(Outcome::Removed),
        Operation::Lock { key, ttl, wait } => store.lock(key, ttl, wait, call, || true).map(Outcome::Locked),
        Operation::Unlock { key, token } => store.unlock(key, token, call).map(Outcome::Found),
        _ => Err(Error::new(Kind::Panic, "a pipeline asked a store for what it never needs")),
    }
}

/// What a future of [`Now`] comes to.
pub fn now<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::new(Kind::Panic, "a call on the caller's thread did not end there")),
    }
}

impl Later {
    /// For a task that `spawner` has, or gets.
    pub fn new(spawner: Arc<dyn Spawner>) -> Self {
        Self { spawner, on_runtime: Arc::default() }
    }

    /// Runs a task as far as it comes without waiting, on this thread, and the rest on the runtime. Where that takes no
    /// tasks any more it is dropped.
    pub fn begin(self, task: impl FnOnce(Self) -> Pin<Box<dyn Future<Output = ()> + Send>>) {
        let (spawner, on_runtime) = (self.spawner.clone(), self.on_runtime.clone());
        let mut task = task(self);
        if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            let rest = async move {
                on_runtime.store(true, Ordering::Relaxed);
                task.await;
            };
            let _ = spawner.spawn(Box::pin(rest)); // what is refused is dropped, which answers it
        }
    }

    /// Runs a task on the runtime; where that takes none any more it is dropped.
    pub fn spawn(self, task: impl FnOnce(Self) -> Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.on_runtime.store(true, Ordering::Relaxed);
        let spawner = self.spawner.clone();
        let _ = spawner.spawn(task(self));
    }

    /// Ends where there are timers.
    async fn on_runtime(&self) {
        let arrived = |_: &mut Context<'_>| {
            if self.on_runtime.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        };
        std::future::poll_fn(arrived).await;
    }
}

impl Access for Later {
    const LATER: bool = true;

    async fn ask<'a>(&'a self, store: &'a Arc<Store>, operation: Operation<'a>, call: Call<'a>) -> Result<Outcome> {
        let (asked, receiver, began) = {
            let prepared = store.prepare(&operation, &call)?;
            let (sender, receiver) = oneshot::channel();
            let asked = prepared.asked;
            let began = store.begins(asked, None);
            store.begin(&prepared, Ticket::new(Arc::new(Answered(Mutex::new(Some(sender)))), 0));
            (asked, receiver, began)
        };
        let answer = receiver.await.unwrap_or_else(|_| Err(shut_down()));
        if let Some(began) = began {
            store.took(began.elapsed());
        }
        store.conclude(asked, answer)
    }

    async fn arrival<'a, T: Clone + Send>(&'a self, arrival: &'a Arrival<T>, until: Instant) -> Option<T> {
        loop {
            let called = match arrival.listen() {
                Ok(value) => return Some(value),
                Err(called) => called,
            };
            self.on_runtime().await;
            if !matches!(tokio::time::timeout_at(until.into(), called).await, Ok(Ok(()))) {
                return arrival.get();
            }
        }
    }

    fn load(&self, loader: &Arc<dyn Loader>, load: Load) {
        if !loader.blocks() {
            return run_here(&**loader, load);
        }
        let load = Arc::new(Mutex::new(Some(load)));
        let job = {
            let (loader, load) = (loader.clone(), load.clone());
            move || {
                let load = load.lock().take();
                match load {
                    Some(load) if load.left().is_zero() => load.done(super::ask::Loaded::Failed(no_turn())),
                    Some(load) => run_here(&*loader, load),
                    None => {}
                }
            }
        };
        if let Err(error) = self.spawner.spawn_loader(Box::new(job)) {
            let load = load.lock().take();
            if let Some(load) = load {
                load.done(super::ask::Loaded::Failed(error));
            }
        }
    }
}

/// Where the answer for a task goes.
struct Answered(Mutex<Option<oneshot::Sender<Result<Reply>>>>);

impl Sink for Answered {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        for (_, answer) in answers.drain(..) {
            let sender = self.0.lock().take();
            if let Some(sender) = sender {
                let _ = sender.send(answer); // the task may be gone
            }
        }
    }
}

/// Of a load whose time was over before a thread was free for it: nobody waits for it, and those behind it do.
fn no_turn() -> Error {
    Error::new(Kind::Timeout, "all threads for loaders were inside of others until the time of the load was over")
}

fn shut_down() -> Error {
    Error::new(Kind::Shutdown, "the context was shut down before the operation ended").maybe_done()
}
