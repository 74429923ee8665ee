//! The callback thread: takes events from the private queue and hands each to the host, one after the other.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Event, Queue};
use crate::error::{Error, Kind, Result};
use crate::lock::{Condvar, Mutex};
use crate::sys;

/// Events that are taken at once: they count as under way until all of them are dealt with.
const BATCH: usize = 64;

/// The one thread of a context on which callbacks run; started with the first operation that needs it.
pub struct CallbackThread<T> {
    queue: Arc<Queue<T>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// It was started: nothing more has to be looked at.
    started: AtomicBool,
    ended: Arc<Ended>,
    call: fn(Event<T>),
}

#[derive(Default)]
struct Ended {
    flag: Mutex<bool>,
    changed: Condvar,
}

thread_local! {
    /// On a callback thread: the flag of the context that it serves.
    static SERVES: Cell<*const Ended> = const { Cell::new(std::ptr::null()) };
}

impl<T: Send + 'static> CallbackThread<T> {
    /// A callback thread that has not started; it will hand each event of `queue` to `call`.
    pub fn new(queue: Arc<Queue<T>>, call: fn(Event<T>)) -> Self {
        Self { queue, thread: Mutex::new(None), started: AtomicBool::new(false), ended: Arc::default(), call }
    }

    /// Starts the thread, if it does not run yet and the queue is open.
    pub fn start(&self) -> Result<()> {
        if self.started.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut thread = self.thread.lock();
        if thread.is_none() && self.queue.is_open() {
            let (queue, ended, call) = (self.queue.clone(), self.ended.clone(), self.call);
            let started = sys::start_thread("larder-callback", move || run(&queue, &ended, call));
            *thread = Some(started.map_err(|error| {
                Error::new(Kind::Memory, format!("cannot start the callback thread: {error}")).retriable_if(true)
            })?);
            self.started.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Whether this is that thread: there nobody can wait for callbacks to end.
    pub fn is_current(&self) -> bool {
        // not `std::thread::current`, which leaves an allocation behind on every main thread that asks
        SERVES.get() == Arc::as_ptr(&self.ended)
    }

    /// Waits until the thread has ended, at most until `end`; whether it has. The queue has to be closed before.
    /// After a `false` a callback may still be running, but no new one starts.
    pub fn join(&self, end: Instant) -> bool {
        let Some(thread) = self.thread.lock().take() else { return true };
        let mut ended = self.ended.flag.lock();
        while !*ended {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(ended);
                *self.thread.lock() = Some(thread);
                return false;
            }
            ended = self.ended.changed.wait_for(ended, left.max(Duration::from_millis(1)));
        }
        drop(ended);
        let _ = thread.join(); // it has left its loop: this only collects it
        true
    }
}

fn run<T: Send + 'static>(queue: &Queue<T>, ended: &Arc<Ended>, call: fn(Event<T>)) {
    SERVES.set(Arc::as_ptr(ended));
    let (mut events, generation) = (Vec::new(), sys::generation());
    while queue.take(BATCH, &mut events) {
        let count = events.len();
        events.reverse();
        while let Some(event) = events.pop() {
            if queue.is_closed() {
                break; // no new callback starts after a shutdown that ran out of time
            }
            // a callback is C and cannot panic; the conversion around it is ours and must not end the thread
            let _ = catch_unwind(AssertUnwindSafe(|| call(event)));
            if sys::generation() != generation {
                break; // a child that comes back from where it was forked: all this is its parent's
            }
        }
        if sys::generation() != generation {
            std::mem::forget(events);
            return;
        }
        queue.done(count);
    }
    *ended.flag.lock() = true;
    ended.changed.notify_all();
}
