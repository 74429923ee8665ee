//! The asynchronous transport, inside: the one task of a connection. It sends what gathered, reads, answers in order,
//! and lets nobody wait longer than his deadline.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

use super::command::{Next, Reading};
use super::connect;
use super::dial::connect_for;
use super::fault::{lost, placed, reason, unexpected};
use super::pipe::{FAR, Running, SWEEP_PAUSE, Shared, Waiting, sweep};
use super::request::Expect;
use super::resp::{Decoder, Frame, LARGE_READS};
use super::stream::Stream;
use crate::backend::Spawner;
use crate::error::{Kind, Result};
use crate::timeout::{Budget, Deadline};

/// What connecting may take where the configuration does not say.
const CONNECT: Duration = Duration::from_secs(5);
/// How often deadlines are looked at while the server takes nothing.
const BLOCKED_PAUSE: Duration = Duration::from_millis(50);
/// A silent server is given at least this long, since others may have more time than the request that it owes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Rounds without a rest before other tasks get their turn.
const ROUNDS: u32 = 64;
/// Serves the queue: until the connection is lost and nothing waits, or the store is closed.
pub(super) async fn run(mut task: Running, spawner: Arc<dyn Spawner>) {
    loop {
        let deadline = Budget::new(task.shared.config.connect.unwrap_or(CONNECT)).start();
        let stream = match connect_for(&task, &spawner, &deadline).await {
            Ok(stream) => stream,
            Err(error) => return task.end(&error),
        };
        let mut session = Session::new(stream, &task.shared, deadline);
        let Err(mut error) = session.serve(&task).await else { return };
        let gone = session.places.iter().filter(|place| place.expect.is_request()).count() + session.answered;
        if matches!(error.kind(), Kind::TooBig | Kind::Memory) {
            // One reply was too much; those behind it only lost their connection.
            task.fail(session.places.pop_front(), &error, true);
            error = lost("a reply before this one could not be taken");
        }
        task.fail(session.places.drain(..), &error, true);
        if task.end_if_idle(gone) {
            return;
        }
    }
}

/// One connection.
struct Session {
    stream: Stream,
    decoder: Decoder,
    /// Commands on their way, and how much of them is sent.
    sending: Vec<u8>,
    sent: usize,
    /// Whom the replies to what is sent or in `sending` are for, in order.
    places: VecDeque<Waiting>,
    /// Replies that came since the queue was told.
    answered: usize,
    /// When something was last received.
    heard: Instant,
    /// When deadlines are to be looked at next.
    due: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Session {
    fn new(stream: Stream, shared: &Shared, deadline: Deadline) -> Self {
        let now = Instant::now();
        let mut sending = Vec::new();
        let greeting = connect::greet(&mut sending, &shared.config.server);
        let greeting = greeting.map(|greeting| Waiting { ticket: None, expect: Expect::Greeting(greeting), deadline });
        Self {
            stream,
            decoder: Decoder::new(LARGE_READS),
            sending,
            sent: 0,
            places: greeting.into_iter().collect(),
            answered: 0,
            heard: now,
            due: now,
            timer: Box::pin(sleep_until((now + FAR).into())),
        }
    }

    /// Works until the store is closed. An error means that the connection is of no use any more.
    async fn serve(&mut self, task: &Running) -> Result<()> {
        let mut rounds = 0;
        loop {
            let moved = self.step(task)?;
            let now = Instant::now();
            if moved.received {
                self.heard = now;
            }
            if now >= self.due {
                self.look_at_deadlines(task, now)?;
            }
            if moved.received || moved.sent {
                rounds += 1;
                if rounds % ROUNDS == 0 {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            if self.places.is_empty() && task.is_over() {
                return Ok(());
            }
            let unsent = self.sent < self.sending.len();
            if unsent {
                // What is queued meanwhile is not taken: nobody tells when it is due.
                self.due = self.due.min(now + BLOCKED_PAUSE);
            }
            if unsent || task.sleep() {
                self.rest(task, unsent).await?;
            }
        }
    }

    fn step(&mut self, task: &Running) -> Result<Moved> {
        if self.sent == self.sending.len() {
            self.sending.clear();
            self.sent = 0;
            let known = self.places.len();
            task.take(&mut self.sending, &mut self.places, std::mem::take(&mut self.answered));
            for place in self.places.iter().skip(known) {
                self.due = self.due.min(place.deadline.end());
            }
        }
        Ok(Moved { sent: self.send()?, received: self.receive(task)? })
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
    fn receive(&mut self, task: &Running) -> Result<bool> {
        match self.stream.receive(self.decoder.room()?) {
            Ok(0) => return Err(lost("the server closed it")),
            Ok(_) => {}
            Err(error) if is_passing(&error) => return Ok(false),
            Err(error) => return Err(lost(&reason(&error))),
        }
        while let Some(frame) = self.decoder.next()? {
            if !matches!(frame, Frame::Push(_)) {
                self.answer(task, frame)?;
            }
        }
        Ok(true)
    }

    fn answer(&mut self, task: &Running, frame: Frame) -> Result<()> {
        let Some(Waiting { ticket, expect, deadline }) = self.places.pop_front() else { return Err(unexpected()) };
        let shown = &task.shared.config.server.shown;
        let (before, writes) = (self.sending.len(), expect.writes());
        let counts = usize::from(expect.is_request());
        match expect.read(frame, &mut self.sending) {
            Next::Done(answer) => {
                self.answered += counts;
                match (ticket, answer) {
                    (Some(ticket), Ok(Some(reply))) => ticket.answer(Ok(reply)),
                    (Some(ticket), Err(error)) => ticket.answer(Err(placed(error, shown, false))),
                    _ => {} // nobody waits any more
                }
            }
            Next::More(expect) => {
                let place = Waiting { ticket, expect, deadline };
                // A further command stands behind all others, and so does its reply.
                if self.sending.len() > before { self.places.push_back(place) } else { self.places.push_front(place) }
            }
            Next::Broken(error) => {
                self.answered += counts;
                if let Some(ticket) = ticket {
                    ticket.answer(Err(placed(error.clone(), shown, writes)));
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Answers who waited long enough: his place stays, for the reply that may still come. A server that owes a reply
    /// whose deadline has passed, and says nothing for twice that time more, is taken for dead.
    fn look_at_deadlines(&mut self, task: &Running, now: Instant) -> Result<()> {
        let mut overdue = Vec::new();
        let mut next = sweep(&mut self.places, now, &mut overdue).unwrap_or(now + FAR);
        task.answer_late(overdue, "waiting for the reply");
        if let Some(queued) = task.sweep(now) {
            next = next.min(queued);
        }
        if let Some(oldest) = self.places.front().filter(|place| place.deadline.end() <= now) {
            let patience = oldest.deadline.total().saturating_mul(2).clamp(PATIENCE, FAR);
            let since = self.heard.max(oldest.deadline.end());
            if now.saturating_duration_since(since) >= patience {
                return Err(lost("the server has not answered for a long time"));
            }
            next = next.min(now + (patience / 4).max(SWEEP_PAUSE));
        }
        self.due = next.max(now + SWEEP_PAUSE);
        Ok(())
    }

    /// Sleeps until something can be done.
    async fn rest(&mut self, task: &Running, unsent: bool) -> Result<()> {
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
}

/// What one round did.
struct Moved {
    sent: bool,
    received: bool,
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
