//! The asynchronous transport, inside: the one task of a connection. It connects, sends what gathered, reads, answers
//! in order, lets nobody wait longer than their deadline, and connects again when the connection is lost. `follow` is
//! for servers that move.

mod follow;
mod tend;

use tend::not_connected;
pub(super) use tend::run;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

use super::counts::Open;
use super::fault::{is_passing, late, lost, placed, reason, unexpected};
use super::input::LARGE_READS;
use super::pipe::{FAR, SWEEP_PAUSE, Shared};
use super::protocol::{Decoding, Expecting, FrameOf, Next, Protocol, Reading};
use super::queue::Waiting;
use super::running::{Running, sweep};
use super::stream::Stream;
use super::whereabouts::Followed;
use crate::backend::{Answers, Reply};
use crate::error::{Error, Kind, Result};
use crate::log::Level;
use crate::timeout::{Budget, Deadline};

/// What connecting may take where the configuration does not say.
const CONNECT: Duration = Duration::from_secs(5);
/// How often deadlines are looked at while the server takes nothing.
const BLOCKED_PAUSE: Duration = Duration::from_millis(50);
/// A server that owes a reply whose deadline has passed may be silent that long at least, since others may have more
/// time than who asked for that reply.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many times longer may it send without ever ending a reply.
const DRIPPING: u32 = 4;
/// Rounds without a rest before other tasks get their turn.
const ROUNDS: u32 = 64;

/// One connection.
struct Session<P: Protocol> {
    stream: Stream,
    decoder: P::Decoder,
    /// The last commands that were taken, and how much of them is sent.
    sending: Vec<u8>,
    sent: usize,
    /// Whom the replies to what is sent or in `sending` are for, in order.
    places: VecDeque<Waiting<P::Expect>>,
    /// Answers of this round.
    answers: Answers,
    /// Requests that were completed in this round.
    completed: u64,
    /// Whether a reply has come, the greeting's apart.
    worked: bool,
    /// Whether the task slept since it last sent something.
    rested: bool,
    /// When something was last received, and when a reply last ended.
    heard: Instant,
    answered: Instant,
    /// When deadlines are to be looked at next.
    due: Instant,
    timer: Pin<Box<Sleep>>,
    /// Where it leads, where the server can move.
    followed: Option<Followed>,
    /// It is given up: why, and until when it may go on answering.
    leaving: Option<(Error, Instant)>,
    /// What the next connection is to do, in order.
    spared: Vec<Waiting<P::Expect>>,
    /// When something was last sent while no reply was owed.
    asked: Instant,
    _open: Open,
}

impl<P: Protocol> Session<P> {
    fn new(stream: Stream, followed: Option<Followed>, shared: &Shared<P>, deadline: Deadline) -> Self {
        let now = Instant::now();
        let mut sending = Vec::new();
        let greeting = shared.tools.protocol.greet(&mut sending).map(|greeting| Waiting {
            ticket: None,
            expect: Some(greeting),
            deadline,
            size: 0,
            again: true,
            greets: true,
            repeat: None,
        });
        if greeting.is_none() {
            shared.tools.log.record(Level::Info, &format_args!("{}: connected", shared.tools.endpoint.shown));
        }
        Self {
            stream,
            decoder: P::Decoder::sharing(LARGE_READS),
            sending,
            sent: 0,
            places: greeting.into_iter().collect(),
            answers: Answers::default(),
            completed: 0,
            worked: false,
            rested: false,
            heard: now,
            answered: now,
            due: now,
            timer: Box::pin(sleep_until((now + FAR).into())),
            followed,
            leaving: None,
            spared: Vec::new(),
            asked: now,
            _open: shared.tools.counts.opened(),
        }
    }

    /// Works until the store is closed; the task has ended then. An error means that the connection is of no use any
    /// more.
    async fn serve(&mut self, task: &mut Running<P>) -> Result<()> {
        let mut rounds = 0;
        loop {
            let outcome = self.step(task);
            self.answers.flush();
            task.complete(std::mem::take(&mut self.completed));
            let moved = outcome?;
            let now = Instant::now();
            if moved.received {
                self.heard = now;
            }
            if moved.answered {
                self.answered = now;
            }
            if now >= self.due {
                self.look_at_deadlines(task, now)?;
            }
            self.follow(now)?;
            if moved.received || moved.sent {
                rounds += 1;
                if rounds % ROUNDS == 0 {
                    if self.places.is_empty() && task.end_if_over() {
                        return Ok(()); // a server that never stops talking does not keep a closed store's connection
                    }
                    tokio::task::yield_now().await;
                }
                continue;
            }
            if self.places.is_empty() && task.end_if_over() {
                return Ok(());
            }
            let unsent = self.sent < self.sending.len();
            let held = self.holds();
            if unsent || held {
                // What is queued meanwhile is not taken: nobody tells when it is due.
                self.due = self.due.min(now + BLOCKED_PAUSE);
            }
            if unsent || held || task.sleep() {
                self.rest(task, unsent).await?;
                self.rested = true;
            }
        }
    }

    fn step(&mut self, task: &Running<P>) -> Result<Moved> {
        if self.sent == self.sending.len() && !self.holds() {
            if std::mem::take(&mut self.rested) && self.places.is_empty() {
                // What gathered meanwhile must not be sent to nobody: then it would be lost, or have to be sent again.
                self.stream.is_open().map_err(|error| lost(&reason(&error)))?;
            }
            let known = self.places.len();
            if task.take(&mut self.sending, &mut self.places) {
                self.sent = 0;
                if known == 0 {
                    self.asked = Instant::now();
                }
            }
            self.sent = self.sent.min(self.sending.len()); // a large buffer was given back
            for place in self.places.iter().skip(known) {
                self.due = self.due.min(place.deadline.end());
            }
            self.pass_over();
        }
        let sent = self.send()?;
        let count = self.places.len();
        let received = self.receive(task)?;
        Ok(Moved { sent, received, answered: self.places.len() < count })
    }

    /// Takes away places in front to which no reply comes.
    fn pass_over(&mut self) {
        while let Some(place) = self.places.pop_front_if(|place| place.expect.is_none()) {
            self.count(1, place.deadline);
        }
    }

    /// Sends once.
    fn send(&mut self) -> Result<bool> {
        let Some(rest) = self.sending.get(self.sent..).filter(|rest| !rest.is_empty()) else { return Ok(false) };
        match self.stream.send(rest) {
            Ok(sent) => {
                self.sent += sent;
                Ok(true)
            }
            Err(error) if is_passing(&error) => Ok(false),
            Err(error) => Err(lost(&reason(&error))),
        }
    }

    /// Receives once, and answers whom that is for.
    fn receive(&mut self, task: &Running<P>) -> Result<bool> {
        match self.stream.receive(self.decoder.room()?) {
            Ok(0) => return Err(lost("the server closed it")),
            Ok(_) => {}
            Err(error) if is_passing(&error) => return Ok(false),
            Err(error) => return Err(lost(&reason(&error))),
        }
        let before = self.completed;
        while let Some(frame) = self.decoder.next()? {
            self.answer(task, frame)?;
            self.pass_over();
        }
        if self.completed > before {
            task.shared.tools.breaker.worked();
            if !std::mem::replace(&mut self.worked, true) {
                task.shared.healing.lock().worked();
                task.shared.ill.store(false, Ordering::Relaxed);
            }
        }
        Ok(true)
    }

    fn answer(&mut self, task: &Running<P>, frame: FrameOf<P>) -> Result<()> {
        let Some(Waiting { ticket, expect: Some(expect), deadline, size, again, greets, repeat }) =
            self.places.pop_front()
        else {
            return Err(unexpected());
        };
        let shared = &*task.shared;
        let shown = self.followed.as_ref().map_or(&shared.tools.endpoint.shown, Followed::shown).clone();
        let (before, writes) = (self.sending.len(), expect.writes());
        let counts = u64::from(!greets);
        let key = expect.key();
        match expect.read(frame, &mut self.sending) {
            Next::Done(answer) => {
                let Some((answer, ticket)) = self.spare((answer, ticket), deadline, repeat, writes) else {
                    return Ok(());
                };
                self.count(counts, deadline);
                let value = match &answer {
                    Ok(Some(Reply::Value(Some(value)))) => Some(value),
                    Ok(Some(Reply::Fetched(Some(fetched)))) => Some(&fetched.value),
                    _ => None,
                };
                if let (Some(key), Some(value)) = (key, value) {
                    shared.tools.recent.saw(key, value.bytes.len());
                }
                match (ticket, answer) {
                    (Some(ticket), Ok(Some(reply))) => self.answers.push(ticket, Ok(reply)),
                    (Some(ticket), Err(error)) => self.answers.push(ticket, Err(placed(error, &shown, false))),
                    _ if greets => shared.tools.log.record(Level::Info, &format_args!("{shown}: connected")),
                    _ => {} // nobody waits any more
                }
            }
            Next::More(expect) => {
                // A further command stands behind all others, and so does its reply; `keep` goes by its bytes.
                let further = self.sending.len() - before;
                let size = if further > 0 { further } else { size };
                let place = Waiting { ticket, expect: Some(expect), deadline, size, again, greets, repeat };
                if further > 0 { self.places.push_back(place) } else { self.places.push_front(place) }
            }
            Next::Broken(error) => {
                self.count(counts, deadline);
                if let Some(ticket) = ticket {
                    self.answers.push(ticket, Err(placed(error.clone(), &shown, writes)));
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Answers those who waited long enough: their places stay, for replies that may still come. A server that owes such a
    /// reply and is silent for as long again, or sends for much longer without ending one, is taken for dead.
    fn look_at_deadlines(&mut self, task: &Running<P>, now: Instant) -> Result<()> {
        let mut overdue = Vec::new();
        let mut next = sweep(&mut self.places, now, &mut overdue, true).unwrap_or(now + FAR);
        task.answer_late(overdue, "waiting for the reply");
        if let Some(queued) = task.sweep(now, "waiting to be sent") {
            next = next.min(queued);
        }
        match self.places.front().map(|place| (place, place.deadline.end())) {
            Some((place, end)) if end <= now => {
                if place.greets {
                    return Err(late("waiting for the replies to a connection's first commands", &place.deadline));
                }
                let patience = place.deadline.total().clamp(PATIENCE, FAR);
                let since = |last: Instant| now.saturating_duration_since(last.max(end));
                if since(self.heard) >= patience || since(self.answered) >= patience * DRIPPING {
                    return Err(lost("the server has not answered for a long time"));
                }
                next = next.min(now + (patience / 8).max(SWEEP_PAUSE));
            }
            Some((place, end)) if place.greets => next = next.min(end),
            _ => {}
        }
        self.due = next.max(now + SWEEP_PAUSE);
        Ok(())
    }

    /// Sleeps until something can be done.
    async fn rest(&mut self, task: &Running<P>, unsent: bool) -> Result<()> {
        // An early timer only costs a round: it is moved forward when it is too late, or has run out.
        let due = tokio::time::Instant::from_std(self.due);
        if self.timer.deadline() > due || self.timer.is_elapsed() {
            self.timer.as_mut().reset(due);
        }
        let mut woken = pin!(task.shared.wake.notified());
        let (stream, timer) = (&self.stream, &mut self.timer);
        let ready = poll_fn(|context| {
            if woken.as_mut().poll(context).is_ready() || timer.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            if unsent && let Poll::Ready(outcome) = stream.poll_write_ready(context) {
                return Poll::Ready(outcome);
            }
            stream.poll_read_ready(context)
        });
        ready.await.map_err(|error| lost(&reason(&error)))
    }

    /// Answers everybody, since the connection broke. There is never an error for those who are queued.
    fn end(mut self, task: &Running<P>, error: Error) -> Option<Error> {
        let shared = &*task.shared;
        let gone = self.places.iter().filter(|place| !place.greets).count();
        let oldest = self.places.front().map(|place| place.deadline);
        let mut error = error;
        let why = error.clone();
        if matches!(error.kind(), Kind::TooBig | Kind::Memory) {
            // One reply was too much; those behind it only lost their connection.
            task.fail(self.places.pop_front(), &error, true);
            error = lost("a reply before this one could not be taken");
        }
        let kept = if self.worked { self.keep() } else { (Vec::new(), Vec::new()) };
        let gone = gone - kept.1.len();
        task.fail(self.places.drain(..), &error, true);
        task.put_back(kept.0, kept.1);
        if self.worked {
            shared.healing.lock().lost(Instant::now());
            shared.ill.store(true, Ordering::Relaxed);
            if let Some(deadline) = oldest.filter(|_| gone > 0) {
                shared.tools.breaker.failed(&why, &deadline);
            }
            // Idle connections are closed by servers and routers: nobody is hurt.
            let level = if gone > 0 { Level::Warning } else { Level::Info };
            let shown = &shared.tools.endpoint.shown;
            let text = format_args!("{shown}: {}; {gone} requests were under way, connecting again", why.reason());
            shared.tools.log.record(level, &text);
        } else {
            not_connected(shared, &why, &oldest.unwrap_or_else(|| Budget::new(CONNECT).start()), false);
        }
        task.complete(u64::try_from(gone).unwrap_or(u64::MAX));
        None
    }

    /// Takes out what may be sent once more over another connection: what was not sent at all, and reads that no sent
    /// write stands behind, since they must not see what it did. Idle connections are closed by servers and routers: a
    /// read that finds one closed is not to fail for that. Only the last commands are still there to be sent again.
    fn keep(&mut self) -> (Vec<u8>, Vec<Waiting<P::Expect>>) {
        let (mut at, mut first) = (self.sending.len(), self.places.len());
        // TLS takes more at once than the socket, and the first records of that may be at the server
        let all_sent = self.sent + self.stream.under_way();
        for (index, place) in self.places.iter().enumerate().rev() {
            let Some(begin) = at.checked_sub(place.size) else { break };
            let sent = begin < all_sent;
            if place.greets || (sent && (place.again || place.writes())) {
                break;
            }
            (at, first) = (begin, index);
        }
        let mut kept: Vec<Waiting<P::Expect>> = self.places.drain(first..).collect();
        for place in &mut kept {
            place.again = true;
        }
        (self.sending.split_off(at), kept)
    }
}

/// What one round did.
struct Moved {
    sent: bool,
    received: bool,
    answered: bool,
}
