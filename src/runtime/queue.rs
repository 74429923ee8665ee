//! The completion queue: every accepted operation leaves it exactly once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::backend::{Reply, Sink, Ticket};
use crate::error::{Error, Kind, Result};
use crate::lock::{Condvar, Mutex};

/// Operation ids are never reused, in no context of the process.
static NEXT_OPERATION: AtomicU64 = AtomicU64::new(1);

/// An operation that has been answered.
pub struct Event<T> {
    /// Its id.
    pub operation: u64,
    /// What the submitter left with it.
    pub payload: T,
    /// The answer.
    pub answer: Result<Reply>,
}

/// A queue of answers; `T` is what a submitter leaves with an operation.
pub struct Queue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
    capacity: usize,
}

struct Inner<T> {
    /// Accepted, not yet answered.
    waiting: HashMap<u64, T>,
    /// Answered, not yet taken.
    ready: VecDeque<Event<T>>,
    /// Accepted operations whose event has not been dealt with; bounded by the capacity.
    outstanding: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing is accepted any more; what was accepted is still handed out.
    Closing,
    /// Nothing is handed out any more.
    Closed,
}

impl<T: Send + 'static> Queue<T> {
    /// A queue for at most `capacity` operations that are accepted and not yet dealt with.
    pub fn new(capacity: usize) -> Arc<Self> {
        let inner = Inner { waiting: HashMap::new(), ready: VecDeque::new(), outstanding: 0, state: State::Open };
        Arc::new(Self { inner: Mutex::new(inner), changed: Condvar::new(), capacity })
    }

    /// Accepts an operation: its event will come out of [`Queue::take`] exactly once. An `Err` is a refusal.
    pub fn accept(self: &Arc<Self>, payload: T) -> Result<(u64, Ticket)> {
        let operation = NEXT_OPERATION.fetch_add(1, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        if inner.state != State::Open {
            return Err(Error::new(Kind::Shutdown, "the context is shutting down"));
        }
        if inner.outstanding >= self.capacity {
            let reason = format!("{} operations are under way already; let some end first", self.capacity);
            return Err(Error::new(Kind::Busy, reason));
        }
        inner.outstanding += 1;
        inner.waiting.insert(operation, payload);
        drop(inner);
        Ok((operation, Ticket::new(self.clone(), operation)))
    }

    /// Whether operations are accepted.
    pub fn is_open(&self) -> bool {
        self.inner.lock().state == State::Open
    }

    /// Waits for the next event. `None` when the queue is closed, or closing with nothing left to come.
    pub fn take(&self) -> Option<Event<T>> {
        let mut inner = self.inner.lock();
        loop {
            if inner.state == State::Closed {
                return None;
            }
            if let Some(event) = inner.ready.pop_front() {
                return Some(event);
            }
            if inner.state == State::Closing && inner.outstanding == 0 {
                return None;
            }
            inner = self.changed.wait(inner);
        }
    }

    /// Says that an event has been dealt with.
    pub fn done(&self) {
        let mut inner = self.inner.lock();
        inner.outstanding -= 1;
        if inner.outstanding == 0 {
            drop(inner);
            self.changed.notify_all();
        }
    }

    /// Accepts nothing any more.
    pub fn close_entrance(&self) {
        let mut inner = self.inner.lock();
        if inner.state == State::Open {
            inner.state = State::Closing;
        }
        drop(inner);
        self.changed.notify_all();
    }

    /// Waits until every accepted operation has been dealt with, at most until `end`; whether that came.
    pub fn drain(&self, end: Instant) -> bool {
        let mut inner = self.inner.lock();
        while inner.outstanding > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            inner = self.changed.wait_for(inner, left.max(Duration::from_millis(1)));
        }
        true
    }

    /// Hands out nothing any more; events that nobody took are dropped.
    pub fn close(&self) {
        let mut inner = self.inner.lock();
        inner.state = State::Closed;
        let left = std::mem::take(&mut inner.ready);
        let waiting = std::mem::take(&mut inner.waiting);
        inner.outstanding -= left.len() + waiting.len();
        drop(inner);
        self.changed.notify_all();
        drop((left, waiting));
    }
}

impl<T: Send> Sink for Queue<T> {
    fn deliver(&self, operation: u64, answer: Result<Reply>) {
        let mut inner = self.inner.lock();
        // absent only after `close`, which nobody listens behind
        let Some(payload) = inner.waiting.remove(&operation) else { return };
        inner.ready.push_back(Event { operation, payload, answer });
        drop(inner);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_ticket_is_an_answer() {
        let queue = Queue::new(4);
        let (operation, ticket) = queue.accept("payload").unwrap();
        drop(ticket);
        let event = queue.take().unwrap();
        assert_eq!((event.operation, event.payload), (operation, "payload"));
        assert_eq!(event.answer.unwrap_err().kind(), Kind::Shutdown);
    }

    #[test]
    fn a_panic_that_drops_a_ticket_is_told_as_such() {
        let queue = Queue::new(4);
        let (_, ticket) = queue.accept(()).unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = ticket;
            panic!("as a broken backend would");
        }));
        assert!(panicked.is_err());
        assert_eq!(queue.take().unwrap().answer.unwrap_err().kind(), Kind::Panic);
    }

    #[test]
    fn a_full_queue_refuses_until_an_event_is_dealt_with() {
        let queue = Queue::new(1);
        let (_, ticket) = queue.accept(()).unwrap();
        assert_eq!(queue.accept(()).err().unwrap().kind(), Kind::Busy);
        ticket.answer(Ok(Reply::Value(None)));
        assert!(queue.take().unwrap().answer.is_ok());
        assert_eq!(queue.accept(()).err().unwrap().kind(), Kind::Busy, "taken, not yet dealt with");
        queue.done();
        assert!(queue.accept(()).is_ok());
    }

    #[test]
    fn a_closing_queue_hands_out_what_was_accepted_and_nothing_more() {
        let queue = Queue::new(4);
        let (_, ticket) = queue.accept(1).unwrap();
        queue.close_entrance();
        assert_eq!(queue.accept(2).err().unwrap().kind(), Kind::Shutdown);
        ticket.answer(Ok(Reply::Value(None)));
        assert_eq!(queue.take().unwrap().payload, 1);
        assert!(!queue.drain(Instant::now()), "not dealt with yet");
        queue.done();
        assert!(queue.drain(Instant::now()));
        assert!(queue.take().is_none());
    }
}
