//! The life of one operation: its turn, its statements, its deadline, its one answer.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::fault::late;
use super::line::{Place, Turn};
use crate::backend::{Reply, Ticket};
use crate::error::{Error, Kind, Result};
use crate::timeout::Deadline;

/// How long a write whose deadline passed is waited for, with its place in the line: what comes after it on its keys
/// should not overtake it. After that its connection is dropped.
const GRACE: Duration = Duration::from_secs(10);

/// How far an operation has got.
#[derive(Debug, Default)]
pub struct Progress {
    /// It has a connection.
    connected: AtomicBool,
    /// Something that changes rows was sent, and the server may carry it out.
    sent: AtomicBool,
    /// The caller has its answer: nothing more is to be sent.
    over: AtomicBool,
}

impl Progress {
    /// There is a connection.
    pub fn connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }

    /// Says that a statement that changes rows is sent now; `false`: too late, it must not be.
    pub fn send(&self) -> bool {
        self.sent.store(true, Ordering::Relaxed);
        !self.over.load(Ordering::Relaxed)
    }

    /// Whether the server may have carried out something, or still may.
    pub fn is_open(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    /// The server undid, or refused, what was sent.
    pub fn undone(&self) {
        self.sent.store(false, Ordering::Relaxed);
    }

    fn end(&self, deadline: &Deadline) -> Error {
        self.over.store(true, Ordering::Relaxed);
        let connected = self.connected.load(Ordering::Relaxed);
        let doing = if connected { "waiting for the server's answer" } else { "waiting for a connection" };
        let error = late(doing, deadline);
        if self.is_open() { error.maybe_done() } else { error }
    }
}

/// An operation's ticket. Dropped with its task, because the runtime ends, it says what may have happened.
pub struct Answering {
    ticket: Option<Ticket>,
    progress: Arc<Progress>,
}

impl Answering {
    /// Of an operation that has not begun.
    pub fn new(ticket: Ticket) -> Self {
        Self { ticket: Some(ticket), progress: Arc::default() }
    }

    fn answer(&mut self, answer: Result<Reply>) {
        if let Some(ticket) = self.ticket.take() {
            ticket.answer(answer);
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // the ticket says so
        }
        let error = Error::new(Kind::Shutdown, "the context was shut down before the operation ended");
        self.answer(Err(if self.progress.is_open() { error.maybe_done() } else { error }));
    }
}

/// Carries out an operation in its turn and answers it, at the latest at its deadline.
pub async fn carry<W: Future<Output = Result<Reply>> + Send>(
    place: Option<(Place, Turn)>,
    deadline: Deadline,
    mut answering: Answering,
    shown: Arc<str>,
    work: impl FnOnce(Arc<Progress>) -> W + Send,
) {
    let progress = answering.progress.clone();
    let end = Instant::from_std(deadline.end());
    let place = match place {
        Some((place, turn)) => {
            if timeout_at(end, turn).await.is_err() {
                return answering.answer(Err(late("waiting for others on its keys", &deadline).at_server(&shown)));
            }
            Some(place)
        }
        None => None,
    };
    let mut work = pin!(work(progress.clone()));
    let Ok(answer) = timeout_at(end, &mut work).await else {
        answering.answer(Err(progress.end(&deadline).at_server(&shown)));
        if progress.is_open() {
            let _ = timeout(GRACE, work).await; // for the order only
        }
        return drop(place);
    };
    drop(place); // so that what the caller begins next need not wait
    answering.answer(answer.map_err(|error| error.at_server(&shown)));
}
