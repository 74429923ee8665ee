//! How asynchronous operations are answered: exactly once, to whom they were begun for.

use std::sync::Arc;

use super::Reply;
use crate::error::{Error, Kind, Result};

/// An answer and the tag of its operation.
pub type Answer = (u64, Result<Reply>);

/// Where answers go: the completion queue of the runtime, or a thread that waits.
pub trait Sink: Send + Sync {
    /// Takes the one answer to each of some operations, and leaves `answers` empty. Must not block and must not call
    /// back into a backend.
    fn deliver(&self, answers: &mut Vec<Answer>);

    /// Whether anybody still waits for an operation's answer, as far as is known: not once it was cancelled.
    fn is_wanted(&self, _tag: u64) -> bool {
        true
    }

    /// As [`Sink::deliver`], of one; whether anybody took it.
    fn offer(&self, answer: Answer) -> bool {
        self.deliver(&mut vec![answer]);
        true
    }
}

/// The right and the duty to answer one operation: exactly once by construction, since dropping it is an answer too.
pub struct Ticket {
    sink: Option<Arc<dyn Sink>>,
    tag: u64,
}

impl Ticket {
    /// A ticket for the operation `tag`.
    pub fn new(sink: Arc<dyn Sink>, tag: u64) -> Self {
        Self { sink: Some(sink), tag }
    }

    /// Answers.
    pub fn answer(mut self, answer: Result<Reply>) {
        self.deliver(answer);
    }

    /// Whether it is worth while to go on: nobody has cancelled the operation, and it is not to end.
    pub fn is_wanted(&self) -> bool {
        self.sink.as_ref().is_some_and(|sink| sink.is_wanted(self.tag))
    }

    /// Answers; whether anybody took it. For what has to be undone if not.
    pub fn offer(mut self, answer: Result<Reply>) -> bool {
        self.sink.take().is_some_and(|sink| sink.offer((self.tag, answer)))
    }

    fn deliver(&mut self, answer: Result<Reply>) {
        if let Some(sink) = self.sink.take() {
            sink.deliver(&mut vec![(self.tag, answer)]);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.sink.is_none() {
            return;
        }
        self.deliver(Err(if std::thread::panicking() {
            Error::new(Kind::Panic, "a panic was caught inside larder")
        } else {
            Error::new(Kind::Shutdown, "the context was shut down before the operation ended").maybe_done()
        }));
    }
}

/// Answers that go out together: those for one sink cost it one delivery. What is gathered goes out with
/// [`Answers::flush`], at the latest when this is dropped.
#[derive(Default)]
pub struct Answers {
    sink: Option<Arc<dyn Sink>>,
    gathered: Vec<Answer>,
}

impl Answers {
    /// Adds the answer to a ticket's operation.
    pub fn push(&mut self, mut ticket: Ticket, answer: Result<Reply>) {
        let Some(sink) = ticket.sink.take() else { return };
        match &self.sink {
            Some(same) if Arc::ptr_eq(same, &sink) => {}
            _ => {
                self.flush();
                self.sink = Some(sink);
            }
        }
        self.gathered.push((ticket.tag, answer));
    }

    /// Hands out what was gathered.
    pub fn flush(&mut self) {
        if let Some(sink) = self.sink.take() {
            sink.deliver(&mut self.gathered);
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.flush();
    }
}
