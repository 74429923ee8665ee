//! The completion queue: every accepted operation leaves it exactly once.
//!
//! An operation is accepted under an id, with what its submitter leaves here, and a [`Ticket`] goes to the backend. The
//! first of these makes its event: the ticket's answer (also when it is dropped), or a cancel. Later ones find nothing.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::table::Table;
use crate::backend::{Answer, Reply, Sink, Ticket};
use crate::error::{Error, Kind, Result};
use crate::lock::{Condvar, Mutex, MutexGuard};
use crate::log::Level;
use crate::sys::Bell;

/// A place for events that is larger than this is given back to the system when it is empty.
const KEPT_EVENTS: usize = 4096;

/// Log records that wait at the most; more are counted and dropped.
const MAX_RECORDS: usize = 1024;

/// An operation that has been answered, or a note.
pub struct Event<T> {
    /// Its id; 0 for a note.
    pub operation: u64,
    /// What the submitter left with it.
    pub payload: T,
    /// The answer.
    pub answer: Result<Reply>,
}

/// What comes out of a queue at once.
pub struct Taken<T> {
    /// Log records.
    pub records: Vec<(Level, String)>,
    /// Operations that have been answered.
    pub events: VecDeque<Event<T>>,
}

/// How a poll ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// With something.
    Some,
    /// With nothing: the time was over, or somebody asked to be let go.
    Nothing,
    /// Nothing will come any more.
    Over,
}

/// A queue of answers; `T` is what a submitter leaves with an operation.
pub struct Queue<T> {
    inner: Mutex<Inner<T>>,
    /// Something can be taken.
    filled: Condvar,
    /// Something has been dealt with, while the queue is closing.
    settled: Condvar,
    capacity: usize,
    /// Is told at once when an operation has been answered, perhaps long before anybody takes its event, and shares one
    /// look at the clock with others that were answered with it. It must be short: it runs under the queue's lock.
    answered: fn(&T, &mut Option<Instant>),
    closed: AtomicBool,
}

struct Inner<T> {
    /// Accepted, not yet answered.
    waiting: Table<T>,
    /// Answered, not yet taken.
    ready: VecDeque<Event<T>>,
    /// An empty place, for what is ready next while the last is dealt with.
    spare: VecDeque<Event<T>>,
    records: VecDeque<(Level, String)>,
    lost_records: usize,
    /// Accepted operations whose event has not been dealt with, bounded by the capacity, and notes.
    outstanding: usize,
    /// Notes among them.
    notes: usize,
    state: State,
    /// Threads that wait for something to take.
    takers: usize,
    /// A poll is to be let go.
    woken: bool,
    bell: Option<Bell>,
    rings: bool,
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
        Self::telling(capacity, |_, _| ())
    }

    /// The same; `answered` is told when an operation has been answered by its backend.
    pub fn telling(capacity: usize, answered: fn(&T, &mut Option<Instant>)) -> Arc<Self> {
        let inner = Inner {
            waiting: Table::new(),
            ready: VecDeque::new(),
            spare: VecDeque::new(),
            records: VecDeque::new(),
            lost_records: 0,
            outstanding: 0,
            notes: 0,
            state: State::Open,
            takers: 0,
            woken: false,
            bell: None,
            rings: false,
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            filled: Condvar::new(),
            settled: Condvar::new(),
            capacity,
            answered,
            closed: AtomicBool::new(false),
        })
    }

    /// Accepts an operation: its event will come out exactly once. An `Err` is a refusal.
    pub fn accept(self: &Arc<Self>, payload: T) -> Result<(u64, Ticket)> {
        let mut accepted = None;
        self.accept_all(std::iter::once(payload), |operation, ticket| accepted = Some((operation, ticket)))?;
        accepted.ok_or_else(|| Error::new(Kind::Panic, "the queue accepted nothing"))
    }

    /// Accepts operations in their order, and hands the id and the ticket of each to `accepted`, until one has to be
    /// refused.
    pub fn accept_all(
        self: &Arc<Self>,
        payloads: impl Iterator<Item = T>,
        mut accepted: impl FnMut(u64, Ticket),
    ) -> Result<()> {
        let mut inner = self.inner.lock();
        for payload in payloads {
            if inner.state != State::Open {
                return Err(Error::new(Kind::Shutdown, "the context is shutting down"));
            }
            if inner.outstanding - inner.notes >= self.capacity {
                let reason = format!("{} operations are under way already; let some end first", self.capacity);
                return Err(Error::new(Kind::Busy, reason));
            }
            let operation = inner.waiting.insert(payload)?;
            inner.outstanding += 1;
            accepted(operation, Ticket::new(self.clone(), operation));
        }
        Ok(())
    }

    /// Hands out something that belongs to operations under way, beside their answers and the capacity. It comes back when
    /// nothing is handed out any more.
    pub fn note(&self, payload: T) -> std::result::Result<(), T> {
        let mut inner = self.inner.lock();
        if inner.state == State::Closed {
            return Err(payload);
        }
        inner.outstanding += 1;
        inner.notes += 1;
        inner.ready.push_back(Event { operation: 0, payload, answer: Ok(Reply::Done) });
        self.tell(inner);
        Ok(())
    }

    /// Whether operations are accepted.
    pub fn is_open(&self) -> bool {
        self.inner.lock().state == State::Open
    }

    /// Whether nothing is handed out any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Answers an operation with "cancelled", unless it has been answered; whether it did. The backend may carry it out
    /// all the same.
    pub fn cancel(&self, operation: u64) -> bool {
        let mut inner = self.inner.lock();
        let Some(payload) = inner.waiting.remove(operation) else { return false };
        let error = Error::new(Kind::Cancelled, "the operation was cancelled").maybe_done();
        inner.ready.push_back(Event { operation, payload, answer: Err(error) });
        self.tell(inner);
        true
    }

    /// Waits for events and takes some, at most `max`, without dealing with them: that is said by [`Queue::done`].
    /// `false` when the queue is closed, or closing with nothing left to come.
    pub fn take(&self, max: usize, events: &mut Vec<Event<T>>) -> bool {
        let mut inner = self.inner.lock();
        loop {
            if inner.state == State::Closed {
                return false;
            }
            if !inner.ready.is_empty() {
                let count = inner.ready.len().min(max);
                events.extend(inner.ready.drain(..count));
                return true;
            }
            if inner.state == State::Closing && inner.outstanding == 0 {
                return false;
            }
            inner = self.wait(inner, None);
        }
    }

    /// Says that so many events have been dealt with.
    pub fn done(&self, count: usize) {
        let mut inner = self.inner.lock();
        inner.outstanding -= count.min(inner.outstanding);
        self.settle(inner);
    }

    /// Takes log records and events, at most `max` together, and has dealt with them. Waits for the first until `end`
    /// (`None`: as long as it takes), unless [`Queue::wake`] was or is called. [`Queue::recycle`] takes the place back.
    pub fn poll(&self, max: usize, end: Option<Instant>, taken: &mut Taken<T>) -> Polled {
        let mut inner = self.inner.lock();
        loop {
            if inner.state == State::Closed {
                return Polled::Over;
            }
            let woken = std::mem::take(&mut inner.woken);
            if !inner.is_empty() || woken || max == 0 {
                break;
            }
            if inner.state == State::Closing && inner.outstanding == 0 {
                return Polled::Over;
            }
            if end.is_some_and(|end| end <= Instant::now()) {
                break;
            }
            inner = self.wait(inner, end);
        }
        inner.take_some(max, taken);
        if inner.rings && inner.is_empty() && !inner.is_over() {
            inner.rings = false;
            if let Some(bell) = &inner.bell {
                bell.hush();
            }
        }
        self.settle(inner);
        if taken.is_empty() { Polled::Nothing } else { Polled::Some }
    }

    /// Takes the place of events back that have been dealt with, for others.
    pub fn recycle(&self, mut place: VecDeque<Event<T>>) {
        place.clear();
        if (1..=KEPT_EVENTS).contains(&place.capacity()) {
            self.inner.lock().spare = place;
        }
    }

    /// Lets one poll go, or the next, with whatever there is.
    pub fn wake(&self) {
        let mut inner = self.inner.lock();
        inner.woken = true;
        self.tell(inner);
    }

    /// The number of a descriptor that is readable while there is something to poll for.
    pub fn bell(&self) -> io::Result<i32> {
        let mut inner = self.inner.lock();
        let number = match &inner.bell {
            Some(bell) => bell.number(),
            None => inner.bell.insert(Bell::new()?).number(),
        };
        if !inner.is_empty() || inner.woken || inner.is_over() {
            inner.ring();
        }
        Ok(number)
    }

    /// Takes a log record; when too many wait already, it is only counted.
    pub fn record(&self, level: Level, text: &str) {
        let mut inner = self.inner.lock();
        if inner.state == State::Closed {
            return;
        }
        if inner.records.len() >= MAX_RECORDS {
            inner.lost_records += 1;
            return;
        }
        inner.records.push_back((level, text.to_owned()));
        self.tell(inner);
    }

    /// Accepts nothing any more.
    pub fn close_entrance(&self) {
        let mut inner = self.inner.lock();
        if inner.state == State::Open {
            inner.state = State::Closing;
        }
        inner.ring(); // whoever polls is told that nothing more comes, or takes what is left
        drop(inner);
        self.filled.notify_all();
    }

    /// Waits until every accepted operation has been dealt with, at most until `end`; whether that came.
    pub fn drain(&self, end: Instant) -> bool {
        self.wait_until(end, |inner| inner.outstanding == 0)
    }

    /// Waits until every accepted operation has been answered, at most until `end`; whether that came.
    pub fn wait_for_answers(&self, end: Instant) -> bool {
        self.wait_until(end, |inner| inner.waiting.len() == 0)
    }

    /// Hands out nothing any more; events that nobody took are dropped.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let mut inner = self.inner.lock();
        inner.state = State::Closed;
        let left = (std::mem::take(&mut inner.ready), inner.waiting.clear(), std::mem::take(&mut inner.records));
        let count = left.0.len() + left.1.iter().flatten().count();
        inner.outstanding -= count.min(inner.outstanding);
        inner.notes = 0;
        inner.ring();
        drop(inner);
        self.filled.notify_all();
        self.settled.notify_all();
        drop(left);
    }

    fn wait<'a>(&self, mut inner: MutexGuard<'a, Inner<T>>, end: Option<Instant>) -> MutexGuard<'a, Inner<T>> {
        inner.takers += 1;
        let mut inner = match end {
            None => self.filled.wait(inner),
            Some(end) => self.filled.wait_for(inner, end.saturating_duration_since(Instant::now())),
        };
        inner.takers -= 1;
        inner
    }

    fn wait_until(&self, end: Instant, is_there: impl Fn(&Inner<T>) -> bool) -> bool {
        let mut inner = self.inner.lock();
        while !is_there(&inner) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            inner = self.settled.wait_for(inner, left.max(Duration::from_millis(1)));
        }
        true
    }

    /// Lets the lock go, and tells those who wait for something to take.
    fn tell(&self, mut inner: MutexGuard<'_, Inner<T>>) {
        inner.ring();
        let (takers, open) = (inner.takers, inner.state == State::Open);
        drop(inner);
        if takers > 0 {
            self.filled.notify_all();
        }
        if !open {
            self.settled.notify_all();
        }
    }

    /// Lets the lock go, and tells those who wait for the queue to end.
    fn settle(&self, mut inner: MutexGuard<'_, Inner<T>>) {
        if inner.state == State::Open {
            return;
        }
        let is_over = inner.outstanding == 0;
        if is_over {
            inner.ring();
        }
        drop(inner);
        self.settled.notify_all();
        if is_over {
            self.filled.notify_all();
        }
    }
}

impl<T> Inner<T> {
    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.records.is_empty()
    }

    /// Nothing will come any more: pollers are to see that.
    fn is_over(&self) -> bool {
        self.state != State::Open && self.outstanding == 0
    }

    fn ring(&mut self) {
        if let Some(bell) = self.bell.as_ref().filter(|_| !self.rings) {
            bell.ring();
            self.rings = true;
        }
    }

    fn take_some(&mut self, max: usize, taken: &mut Taken<T>) {
        if !self.records.is_empty() || self.lost_records > 0 {
            self.take_records(max, taken);
        }
        let room = max - taken.records.len();
        if self.ready.len() <= room {
            taken.events = std::mem::replace(&mut self.ready, std::mem::take(&mut self.spare));
        } else {
            taken.events.extend(self.ready.drain(..room));
        }
        self.outstanding -= taken.events.len().min(self.outstanding);
        if self.notes > 0 {
            self.notes -= taken.events.iter().filter(|event| event.operation == 0).count().min(self.notes);
        }
    }

    fn take_records(&mut self, max: usize, taken: &mut Taken<T>) {
        let records = self.records.len().min(max);
        taken.records.extend(self.records.drain(..records));
        if self.lost_records > 0 && records < max {
            let text = format!("{} log records are lost: they came faster than they were polled", self.lost_records);
            taken.records.push((Level::Warning, text));
            self.lost_records = 0;
        }
    }
}

impl<T> Taken<T> {
    /// How many records and events there are.
    pub fn len(&self) -> usize {
        self.records.len() + self.events.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for Taken<T> {
    fn default() -> Self {
        Self { records: Vec::new(), events: VecDeque::new() }
    }
}

impl<T: Send + 'static> Sink for Queue<T> {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        let mut inner = self.inner.lock();
        let mut now = None;
        for (operation, answer) in answers.drain(..) {
            // absent when it was cancelled, and after `close`
            if let Some(payload) = inner.waiting.remove(operation) {
                (self.answered)(&payload, &mut now);
                inner.ready.push_back(Event { operation, payload, answer });
            }
        }
        if inner.is_empty() {
            return;
        }
        self.tell(inner);
    }

    fn is_wanted(&self, operation: u64) -> bool {
        let inner = self.inner.lock();
        inner.state == State::Open && inner.waiting.contains(operation)
    }

    fn offer(&self, (operation, answer): Answer) -> bool {
        let mut inner = self.inner.lock();
        let Some(payload) = inner.waiting.remove(operation) else { return false };
        (self.answered)(&payload, &mut None);
        inner.ready.push_back(Event { operation, payload, answer });
        self.tell(inner);
        true
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
