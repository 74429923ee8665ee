//! The last source: what a program loads where no store has it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ask::Loaded;
use super::token::Token;
use crate::error::{Error, Kind};

/// A program's own source (Pyot's "service"). Called on any thread, several at once for different tokens, and never again
/// for one token before it has answered.
pub trait Loader: Send + Sync {
    /// Begins a load, and may answer it at once. A load that is dropped has failed.
    fn load(&self, load: Load);

    /// Whether [`Loader::load`] may block (a callback): then it gets a thread that may wait, unless a caller waits on its
    /// own. Otherwise it only passes the load on (an event of a completion queue).
    fn blocks(&self) -> bool {
        true
    }
}

/// The right and the duty to answer one load: exactly once by construction, since dropping it is an answer too.
pub struct Load {
    token: Arc<str>,
    limit: Duration,
    began: Instant,
    /// Of the flight that waits for it.
    flight: u64,
    /// What the token was made of, where that is known.
    made: Option<Arc<Token>>,
    answer: Option<Box<dyn FnOnce(Loaded) + Send>>,
}

impl Load {
    /// A load for the flight of that number, whose answer goes to `answer`: short, and without locks that others hold for
    /// long.
    pub fn new(token: Arc<str>, limit: Duration, flight: u64, answer: Box<dyn FnOnce(Loaded) + Send>) -> Self {
        Self { token, limit, began: Instant::now(), flight, made: None, answer: Some(answer) }
    }

    /// The same, of a token that is more than its text.
    #[must_use]
    pub fn of(mut self, made: Option<Arc<Token>>) -> Self {
        self.made = made;
        self
    }

    /// What the token was made of; `None` for a ready-made one, and for a key.
    pub fn made(&self) -> Option<&Arc<Token>> {
        self.made.as_ref()
    }

    /// What is to be loaded: the token or key.
    pub fn token(&self) -> &Arc<str> {
        &self.token
    }

    /// The time that it may take. An answer after that is taken no notice of.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// What is left of that; nothing where nobody waits for it any more.
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.began.elapsed())
    }

    /// Answers.
    pub fn done(mut self, loaded: Loaded) {
        if let Some(answer) = self.answer.take() {
            answer(loaded);
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            let reason = if std::thread::panicking() {
                "a panic was caught inside the loader"
            } else {
                "the loader went away without an answer"
            };
            answer(Loaded::Failed(Error::new(Kind::Panic, reason)));
        }
    }
}

thread_local! {
    /// The flights whose loaders this thread is inside of.
    static INSIDE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Whether this thread is inside of the loader of that flight, and so must not wait for it.
pub(super) fn is_inside(flight: u64) -> bool {
    INSIDE.try_with(|inside| inside.try_borrow().is_ok_and(|inside| inside.contains(&flight))).unwrap_or(false)
}

/// Begins a load on this thread. One that panics drops its load, which answers it.
pub(super) fn run_here(loader: &dyn Loader, load: Load) {
    let change = |change: &dyn Fn(&mut Vec<u64>)| {
        let _ = INSIDE.try_with(|inside| inside.try_borrow_mut().map(|mut inside| change(&mut inside)));
    };
    let flight = load.flight;
    change(&|inside| inside.push(flight));
    let _ = catch_unwind(AssertUnwindSafe(|| loader.load(load)));
    change(&|inside| inside.truncate(inside.len().saturating_sub(1)));
}
