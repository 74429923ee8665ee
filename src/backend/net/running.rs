//! The task's side of a queue, and how those in it are answered when no reply comes.

use std::sync::Arc;
use std::time::Instant;

use super::fault::{late, placed};
use super::lanes::Front;
use super::pipe::Shared;
use super::protocol::{Expecting, Protocol};
use super::queue::Waiting;
use crate::backend::{Answers, Ticket};
use crate::error::Error;
use crate::timeout::Deadline;

/// A buffer that grew beyond this is given back when it is empty.
const KEPT_BUFFER: usize = 1 << 20;

/// The task's side of the queue. While it lives, the queue's requests have somebody.
pub(super) struct Running<P: Protocol> {
    /// What submitters see too.
    pub(super) shared: Arc<Shared<P>>,
    /// Hears when requests were completed that it waits for.
    pub(super) front: Arc<Front<P>>,
    /// The queue knows that nobody serves it any more.
    pub(super) ended: bool,
}

impl<P: Protocol> Running<P> {
    /// Takes what gathered, if anything did: commands to `out` in place of what is there, which has been sent, and their
    /// places to `places`.
    pub(super) fn take(&self, out: &mut Vec<u8>, places: &mut impl Extend<Waiting<P::Expect>>) -> bool {
        if out.capacity() > KEPT_BUFFER {
            *out = Vec::new();
        }
        let mut queue = self.shared.queue.lock();
        if queue.waiting.is_empty() {
            return false;
        }
        out.clear();
        std::mem::swap(out, &mut queue.out);
        places.extend(queue.waiting.drain(..));
        true
    }

    /// Puts back what was taken last: in front of what gathered since.
    pub(super) fn put_back(&self, mut out: Vec<u8>, mut places: Vec<Waiting<P::Expect>>) {
        if places.is_empty() {
            return;
        }
        let mut queue = self.shared.queue.lock();
        out.append(&mut queue.out);
        places.append(&mut queue.waiting);
        queue.out = out;
        queue.waiting = places;
    }

    /// Says that so many requests more have their replies, or never will.
    pub(super) fn complete(&self, count: u64) {
        if count == 0 {
            return;
        }
        let watched = self.shared.queue.lock().complete(count);
        if watched {
            self.front.progress();
        }
    }

    /// Asks to be woken by the next submitter; `false` if there is something to take already.
    pub(super) fn sleep(&self) -> bool {
        let mut queue = self.shared.queue.lock();
        queue.asleep = queue.waiting.is_empty();
        queue.asleep
    }

    /// Asks to be woken by the next submitter, whatever there is.
    pub(super) fn listen(&self) {
        self.shared.queue.lock().asleep = true;
    }

    /// Answers queued requests whose deadline has passed while `doing` something, and tells when the next one does.
    pub(super) fn sweep(&self, now: Instant, doing: &str) -> Option<Instant> {
        let mut overdue = Vec::new();
        let mut queue = self.shared.queue.lock();
        let next = sweep(&mut queue.waiting, now, &mut overdue, false); // they were never sent over this connection
        if !overdue.is_empty() {
            queue.forget_late();
        }
        drop(queue);
        self.answer_late(overdue, doing);
        next
    }

    /// Answers requests whose deadline has passed.
    pub(super) fn answer_late(&self, overdue: Vec<(Ticket, Deadline, bool)>, doing: &str) {
        // They wait for the same thing: one failure, told by the most patient.
        if let Some((_, deadline, _)) = overdue.iter().max_by_key(|(_, deadline, _)| deadline.total()) {
            self.shared.tools.breaker.failed(&late(doing, deadline), deadline);
        }
        let mut answers = Answers::default();
        for (ticket, deadline, writes) in overdue {
            let error = late(doing, &deadline);
            answers.push(ticket, Err(placed(error, &self.shared.tools.endpoint.shown, writes)));
        }
    }

    /// Answers all of `places` with one error; `sent` says that the server may have them.
    pub(super) fn fail(&self, places: impl IntoIterator<Item = Waiting<P::Expect>>, error: &Error, sent: bool) {
        let mut answers = Answers::default();
        for place in places {
            let writes = place.maybe_done(sent);
            if let Some(ticket) = place.ticket {
                answers.push(ticket, Err(placed(error.clone(), &self.shared.tools.endpoint.shown, writes)));
            }
        }
    }

    /// Ends the task unless something is queued; a later submitter starts a new one.
    pub(super) fn end_if_idle(&mut self) -> bool {
        let mut queue = self.shared.queue.lock();
        if queue.waiting.is_empty() {
            queue.running = false;
            self.ended = true;
        }
        self.ended
    }

    /// Ends the task if the store was closed and nothing is queued.
    pub(super) fn end_if_over(&mut self) -> bool {
        let closed = self.shared.queue.lock().closed;
        closed && self.end_if_idle()
    }

    /// Ends the task and answers what is queued with `error`.
    pub(super) fn end(mut self, error: &Error) {
        let (places, watched) = self.close();
        self.fail(places, error, false);
        if watched {
            self.front.progress();
        }
    }

    fn close(&mut self) -> (Vec<Waiting<P::Expect>>, bool) {
        let mut queue = self.shared.queue.lock();
        queue.running = false;
        queue.out = Vec::new();
        self.ended = true;
        let all = queue.submitted - queue.completed;
        let watched = queue.complete(all);
        (std::mem::take(&mut queue.waiting), watched)
    }
}

impl<P: Protocol> Drop for Running<P> {
    fn drop(&mut self) {
        if !self.ended {
            // The runtime dropped the task. Each ticket answers as it is dropped, outside the lock.
            let (places, watched) = self.close();
            drop(places);
            if watched {
                self.front.progress();
            }
        }
    }
}

/// Takes the tickets of places whose deadline has passed; tells when the next one does.
pub(super) fn sweep<'a, E: Expecting + 'a>(
    places: impl IntoIterator<Item = &'a mut Waiting<E>>,
    now: Instant,
    overdue: &mut Vec<(Ticket, Deadline, bool)>,
    sent: bool,
) -> Option<Instant> {
    let mut next: Option<Instant> = None;
    for place in places.into_iter().filter(|place| place.ticket.is_some()) {
        let end = place.deadline.end();
        if end > now {
            next = Some(next.map_or(end, |next| next.min(end)));
        } else if let Some(ticket) = place.ticket.take() {
            overdue.push((ticket, place.deadline, place.maybe_done(sent)));
        }
    }
    next
}
