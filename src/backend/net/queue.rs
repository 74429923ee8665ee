//! What gathers for a connection: commands, whom their replies are for, and what is under way on which keys.

use super::protocol::{Expecting, Protocol};
use super::repeat::Again;
use super::request;
use crate::backend::fence::Scope;
use crate::backend::fence::place;
use crate::backend::{Request, Ticket};
use crate::error::{Error, Kind, Result};
use crate::timeout::Deadline;

/// Requests that were accepted and whose replies have not come.
const MAX_HELD: u64 = 1 << 16;
/// Bytes that wait to be sent.
const MAX_QUEUED: usize = 64 << 20;
/// For so many groups of keys it is known when they were last asked for.
const GROUPS: usize = 1024;

/// The queue of one connection.
pub(super) struct Queue<E> {
    /// Commands to send, and whom their replies are for, in the same order.
    pub(super) out: Vec<u8>,
    pub(super) waiting: Vec<Waiting<E>>,
    /// Requests that were accepted, and those of them that have been answered by the server or never will be. They end
    /// in the order in which they began.
    pub(super) submitted: u64,
    pub(super) completed: u64,
    /// For each group of keys, and for all together, which request was the last.
    last: Vec<u64>,
    last_of_all: u64,
    /// Somebody wants to hear when that many are completed.
    pub(super) watched: Option<u64>,
    /// There is a task, or one is being started.
    pub(super) running: bool,
    /// The task sleeps and wants to be woken.
    pub(super) asleep: bool,
    /// The store was closed: what is under way may end, then the task does.
    pub(super) closed: bool,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            out: Vec::new(),
            waiting: Vec::new(),
            submitted: 0,
            completed: 0,
            last: Vec::new(),
            last_of_all: 0,
            watched: None,
            running: false,
            asleep: false,
            closed: false,
        }
    }
}

/// A place in the order of replies.
pub(super) struct Waiting<E> {
    /// Who gets the answer; `None` once the deadline has passed.
    pub(super) ticket: Option<Ticket>,
    /// What its replies are; `None` once it was taken back before it was sent: no reply comes then.
    pub(super) expect: Option<E>,
    pub(super) deadline: Deadline,
    /// How many bytes its commands have in the queue's buffer.
    pub(super) size: usize,
    /// Its commands were sent over a connection that was lost, and are to be sent once more at most.
    pub(super) again: bool,
    /// These are a connection's first commands, which no caller asked for.
    pub(super) greets: bool,
    /// To send it once more, where the server can move.
    pub(super) repeat: Option<Box<Again>>,
}

impl<E> Queue<E> {
    /// Takes what nobody waits for any more out of what is to be sent: a write that was told to have failed must not be
    /// carried out some time later. Its place stays, so that requests end in the order in which they began.
    pub(super) fn forget_late(&mut self) {
        let mut left = Vec::new();
        if left.try_reserve_exact(self.out.len()).is_err() {
            return; // then they are sent, and their replies dropped
        }
        let mut at = 0;
        for place in &mut self.waiting {
            let end = at + std::mem::take(&mut place.size);
            if place.ticket.is_none() {
                place.expect = None;
            } else {
                left.extend_from_slice(self.out.get(at..end).unwrap_or_default());
                place.size = end - at;
            }
            at = end;
        }
        self.out = left;
    }

    /// Writes a request, or says why it has no place; one that was `promised` a place has one.
    pub(super) fn write<P: Protocol<Expect = E>>(
        &mut self,
        protocol: &P,
        request: &Request<'_>,
        scope: &Scope,
        promised: bool,
    ) -> Result<E> {
        let size = request::size(request);
        if !promised && self.submitted - self.completed >= MAX_HELD {
            return Err(Error::new(Kind::Busy, format!("{MAX_HELD} requests wait for replies already")));
        }
        if !promised && !self.out.is_empty() && self.out.len() + size > MAX_QUEUED {
            return Err(Error::new(Kind::Busy, format!("{} bytes wait to be sent already", self.out.len())));
        }
        self.out.try_reserve(size).map_err(|_| Error::new(Kind::Memory, "no memory to queue the request"))?;
        protocol.write(&mut self.out, request, scope.first())
    }

    /// Notes that the last request touches `scope`.
    pub(super) fn note(&mut self, scope: &Scope) {
        if self.last.is_empty() {
            self.last.resize(GROUPS, 0);
        }
        let last = self.submitted;
        match scope {
            Scope::Nothing => {}
            Scope::Everything => self.last_of_all = last,
            Scope::Keys(keys) => {
                for key in keys {
                    if let Some(group) = self.last.get_mut(place(*key, GROUPS)) {
                        *group = last;
                    }
                }
            }
        }
    }

    /// Which request was the last that touches `scope`.
    pub(super) fn last_on(&self, scope: &Scope) -> u64 {
        match scope {
            Scope::Nothing => 0,
            Scope::Everything => self.submitted,
            Scope::Keys(keys) => keys.iter().map(|key| self.last_on_key(*key)).max().unwrap_or(0),
        }
    }

    fn last_on_key(&self, key: u64) -> u64 {
        self.last.get(place(key, GROUPS)).copied().unwrap_or(0).max(self.last_of_all)
    }

    /// Counts what is completed; whether somebody wants to hear of that.
    pub(super) fn complete(&mut self, count: u64) -> bool {
        self.completed = (self.completed + count).min(self.submitted);
        self.watched.take_if(|watched| *watched <= self.completed).is_some()
    }
}

impl<E> Waiting<E> {
    /// A place to which no reply comes.
    pub(super) fn empty(deadline: Deadline) -> Self {
        Self { ticket: None, expect: None, deadline, size: 0, again: false, greets: false, repeat: None }
    }
}

impl<E: Expecting> Waiting<E> {
    /// Whether the server may have changed something when no answer comes; `sent`: over this connection, or at all.
    pub(super) fn maybe_done(&self, sent: bool) -> bool {
        (sent || self.repeat.as_ref().is_some_and(|repeat| repeat.is_open())) && self.writes()
    }

    /// Whether it is a write.
    pub(super) fn writes(&self) -> bool {
        self.expect.as_ref().is_some_and(E::writes)
    }
}
