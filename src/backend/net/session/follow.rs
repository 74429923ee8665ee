//! What a connection to a server that can move does besides: it sends nothing before it knows that it leads to the right
//! place, sees when it does no longer, and leaves what can be done again to the next connection, in order.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::tend::not_connected;
use super::{CONNECT, Session};
use crate::backend::fence::Scope;
use crate::backend::net::fault::{lost, placed};
use crate::backend::net::protocol::{Nature, Protocol};
use crate::backend::net::queue::Waiting;
use crate::backend::net::repeat::Again;
use crate::backend::net::request;
use crate::backend::net::running::Running;
use crate::backend::net::whereabouts::{SILENCE, moved};
use crate::backend::{Answers, Reply, Ticket};
use crate::error::{Error, Kind, Result};
use crate::log::Level;
use crate::timeout::{Budget, Deadline};

/// How long a connection that is given up may go on answering.
const GRACE: Duration = Duration::from_millis(250);

/// An answer, and whom it is for.
type Answered = (Result<Option<Reply>>, Option<Ticket>);

/// What stands behind a request that was sent.
#[derive(Default)]
struct Written {
    keys: HashSet<u64>,
    all: bool,
}

impl Written {
    fn add(&mut self, scope: &Scope) {
        match scope {
            Scope::Nothing => {}
            Scope::Keys(keys) => self.keys.extend(keys),
            Scope::Everything => self.all = true,
        }
    }

    fn touches(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Nothing => false,
            Scope::Keys(keys) => self.all || keys.iter().any(|key| self.keys.contains(key)),
            Scope::Everything => self.all || !self.keys.is_empty(),
        }
    }
}

impl<P: Protocol> Session<P> {
    /// Whether nothing more is to be sent: what it leads to is not known yet, or it is given up.
    pub(super) fn holds(&self) -> bool {
        self.followed.is_some() && (self.leaving.is_some() || self.places.front().is_some_and(|place| place.greets))
    }

    /// Sees whether it still leads to the right place, and has that asked when the server is silent.
    pub(super) fn follow(&mut self, now: Instant) -> Result<()> {
        let Some(followed) = &self.followed else { return Ok(()) };
        let silent = now.saturating_duration_since(self.heard.max(self.asked));
        if self.leaving.is_none() && !followed.is_current() {
            let grace = if silent < SILENCE { GRACE } else { Duration::ZERO };
            self.leaving = Some((moved(), now + grace));
        }
        if let Some((error, end)) = &self.leaving {
            if self.places.is_empty() || now >= *end {
                return Err(error.clone());
            }
            self.due = self.due.min(*end);
        } else if !self.places.is_empty() {
            if silent >= SILENCE {
                followed.doubt();
            }
            self.due = self.due.min(now + SILENCE.saturating_sub(silent).max(SILENCE / 4));
        }
        Ok(())
    }

    /// Keeps a request for the next connection that this server turned away; and a read behind one, since it must not see
    /// less than what was asked before it.
    pub(super) fn spare(
        &mut self,
        answered: Answered,
        deadline: Deadline,
        repeat: Option<Box<Again>>,
        writes: bool,
    ) -> Option<Answered> {
        let Some(followed) = &self.followed else { return Some(answered) };
        let turned_away = match &answered.0 {
            Err(error) if error.was_turned_away() => {
                if self.leaving.is_none() {
                    followed.wrong();
                    self.leaving = Some((error.clone(), Instant::now() + GRACE));
                }
                true
            }
            _ => false,
        };
        let again = turned_away || (!writes && !self.spared.is_empty());
        if !again || answered.1.is_none() || repeat.is_none() || deadline.left().is_none() {
            return Some(answered);
        }
        self.spared.push(Waiting { ticket: answered.1, repeat, ..Waiting::empty(deadline) });
        None
    }

    /// Counts a request that has ended: in the order in which they began.
    pub(super) fn count(&mut self, count: u64, deadline: Deadline) {
        if count > 0 && !self.spared.is_empty() {
            self.spared.push(Waiting::empty(deadline));
        } else {
            self.completed += count;
        }
    }

    /// Leaves what can be done again to the next connection, and answers the others. An error is for everybody who waits:
    /// there is no use in another connection.
    pub(super) fn leave(mut self, task: &Running<P>, error: Error) -> Option<Error> {
        let shared = &*task.shared;
        let (followed, whereabouts) = self.followed.as_ref().zip(shared.tools.whereabouts.as_ref())?;
        if error.was_turned_away() && self.leaving.is_none() {
            followed.wrong();
        }
        let shown = followed.shown().clone();
        let hopeless = !self.worked && self.spared.is_empty() && !whereabouts.is_worth_waiting(&error);
        let deadline = self.places.front().map_or_else(|| Budget::new(CONNECT).start(), |place| place.deadline);
        let mut others = error.clone();
        if matches!(error.kind(), Kind::TooBig | Kind::Memory) {
            // One reply was too much; those behind it only lost their connection.
            task.fail(self.places.pop_front(), &error.clone().at_server(&shown), true);
            self.spared.push(Waiting::empty(deadline));
            others = lost("a reply before this one could not be taken");
        }
        let mut left = self.left(&shared.tools.protocol);
        let gone = left.failed.len();
        let mut answers = Answers::default();
        for (ticket, maybe_done) in std::mem::take(&mut left.failed) {
            answers.push(ticket, Err(placed(others.clone(), &shown, maybe_done)));
        }
        drop(answers);
        task.put_back(left.out, left.places);
        task.complete(left.ended);
        shared.ill.store(true, Ordering::Relaxed);
        if !self.worked {
            let error = error.at_server(&shown);
            not_connected(shared, &error, &deadline, !hopeless);
            return hopeless.then_some(error);
        }
        if gone > 0 {
            shared.tools.breaker.failed(&error, &deadline);
        }
        let mut healing = shared.healing.lock();
        if error.was_turned_away() {
            healing.failed(Instant::now(), true); // it is not worth asking the same one at once
        } else {
            healing.lost(Instant::now());
        }
        drop(healing);
        let text = format_args!("{shown}: {}; {gone} requests were lost with it, connecting again", error.reason());
        shared.tools.log.record(if gone > 0 { Level::Warning } else { Level::Info }, &text);
        None
    }

    /// What becomes of everything that waits for this connection.
    fn left(&mut self, protocol: &P) -> Left<P> {
        let mut again = Vec::with_capacity(self.spared.len() + self.places.len());
        let mut written = Written::default();
        // TLS takes more at once than the socket, and the first records of that may be at the server
        let (mut at, all_sent) = (self.sending.len(), self.sent + self.stream.under_way());
        while let Some(mut place) = self.places.pop_back() {
            if place.greets {
                continue;
            }
            // only the last commands are still there: what stands before them was sent
            let begin = at.checked_sub(place.size);
            at = begin.unwrap_or(0);
            let sent = begin.is_none_or(|begin| begin < all_sent);
            let safe = place.repeat.as_mut().is_some_and(|repeat| {
                let request = repeat.request();
                let (nature, scope) = (protocol.nature(&request), request::scope(&request));
                let safe = match nature {
                    Nature::Reads => !written.touches(&scope), // it must not see what was asked after it
                    Nature::WritesAgain => true,
                    Nature::WritesOnce => false,
                };
                if sent && nature != Nature::Reads {
                    written.add(&scope);
                }
                !sent || (safe && repeat.was_sent())
            });
            let maybe_done = place.maybe_done(sent);
            again.push((place, safe, maybe_done));
        }
        let mut left = Left::<P> { out: Vec::new(), places: Vec::new(), failed: Vec::new(), ended: 0 };
        for place in std::mem::take(&mut self.spared) {
            let maybe_done = place.maybe_done(false);
            left.add(place, true, maybe_done, protocol);
        }
        for (place, safe, maybe_done) in again.into_iter().rev() {
            left.add(place, safe, maybe_done, protocol);
        }
        left
    }
}

/// What is left when a connection is given up.
struct Left<P: Protocol> {
    /// Commands to send over the next one, and whom their replies are for.
    out: Vec<u8>,
    places: Vec<Waiting<P::Expect>>,
    /// Who is told that it was lost, and whether it may have been done.
    failed: Vec<(Ticket, bool)>,
    /// How many of the first have ended.
    ended: u64,
}

impl<P: Protocol> Left<P> {
    fn add(&mut self, place: Waiting<P::Expect>, safe: bool, maybe_done: bool, protocol: &P) {
        let Waiting { ticket, deadline, repeat, .. } = place;
        let Some(ticket) = ticket else { return self.end(deadline) };
        let before = self.out.len();
        let expect = repeat.as_ref().filter(|_| safe).and_then(|repeat| {
            let request = repeat.request();
            self.out.try_reserve(request::size(&request)).ok()?;
            protocol.write(&mut self.out, &request, request::scope(&request).first()).ok()
        });
        if expect.is_none() {
            self.failed.push((ticket, maybe_done));
            return self.end(deadline);
        }
        let size = self.out.len() - before;
        let ticket = Some(ticket);
        self.places.push(Waiting { ticket, expect, deadline, size, again: false, greets: false, repeat });
    }

    /// One has ended; its place stays where others before it have not.
    fn end(&mut self, deadline: Deadline) {
        if self.places.is_empty() { self.ended += 1 } else { self.places.push(Waiting::empty(deadline)) }
    }
}
