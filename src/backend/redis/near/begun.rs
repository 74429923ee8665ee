//! Asynchronous operations on their way back: what was read is kept, and what was written is free again.

use std::sync::Arc;

use super::table::Token;
use super::tracked::{Tracked, Writing};
use crate::backend::request::unexpected;
use crate::backend::{Answer, Fetched, Reply, Sink, Stored, Ticket};
use crate::error::Result;
use crate::key::MadeKey;
use crate::lock::Mutex;

/// A ticket for something that is to be done with the answer on its way to `ticket`, once.
fn through(ticket: Ticket, change: impl FnOnce(Result<Reply>) -> Result<Reply> + Send + 'static) -> Ticket {
    Ticket::new(Arc::new(Through(Mutex::new(Some((ticket, change))))), 0)
}

struct Through<F>(Mutex<Option<(Ticket, F)>>);

impl<F: FnOnce(Result<Reply>) -> Result<Reply> + Send> Sink for Through<F> {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        for (_, answer) in answers.drain(..) {
            let waiting = self.0.lock().take();
            if let Some((ticket, change)) = waiting {
                ticket.answer(change(answer));
            }
        }
    }

    fn is_wanted(&self, _tag: u64) -> bool {
        self.0.lock().as_ref().is_some_and(|(ticket, _)| ticket.is_wanted())
    }
}

/// For the answer to a fetch of one key, which is kept, and handed on as `shape` makes it.
pub(super) fn keeping(
    tracked: Arc<Tracked>,
    token: Option<Token>,
    key: MadeKey,
    shape: fn(Option<Fetched>) -> Reply,
    ticket: Ticket,
) -> Ticket {
    through(ticket, move |answer| match answer? {
        Reply::Fetched(fetched) => {
            tracked.keep(token.as_ref(), &key, fetched.as_ref());
            Ok(shape(fetched))
        }
        _ => Err(unexpected()),
    })
}

/// For the answer to a fetch of several keys, which are kept, and come to their places among what is known.
pub(super) fn keeping_many(
    tracked: Arc<Tracked>,
    wanted: Wanted,
    shape: fn(Vec<Option<Fetched>>) -> Reply,
    ticket: Ticket,
) -> Ticket {
    through(ticket, move |answer| match answer? {
        Reply::FetchedMany(fetched) => Ok(shape(wanted.keep(&tracked, fetched))),
        _ => Err(unexpected()),
    })
}

/// The answer to a get.
pub(super) fn value(fetched: Option<Fetched>) -> Reply {
    Reply::Value(fetched.map(|fetched| fetched.value))
}

/// The answer to a get of several keys.
pub(super) fn values(fetched: Vec<Option<Fetched>>) -> Reply {
    Reply::Values(only_values(fetched))
}

/// Without what is left of their times.
pub(super) fn only_values(fetched: Vec<Option<Fetched>>) -> Vec<Option<Stored>> {
    fetched.into_iter().map(|one| one.map(|fetched| fetched.value)).collect()
}

/// For the answer to a write, which ends with it.
pub(super) fn ending(writing: Writing, ticket: Ticket) -> Ticket {
    through(ticket, move |answer| {
        drop(writing);
        answer
    })
}

/// Several keys, of which some are not there and have to be read.
pub(super) struct Wanted {
    /// What was there, in the places of the keys.
    known: Vec<Option<Fetched>>,
    /// Those that were not, and their places.
    keys: Vec<MadeKey>,
    missing: Vec<(usize, Option<Token>)>,
}

impl Wanted {
    /// Looks which are there.
    pub(super) fn of(tracked: &Arc<Tracked>, keys: &[MadeKey]) -> Self {
        let mut wanted = Self { known: Vec::with_capacity(keys.len()), keys: Vec::new(), missing: Vec::new() };
        for (place, key) in keys.iter().enumerate() {
            let known = tracked.fetched(key);
            if known.is_none() {
                wanted.missing.push((place, tracked.begin(key)));
                wanted.keys.push(key.clone());
            }
            wanted.known.push(known);
        }
        wanted
    }

    /// What has to be read.
    pub(super) fn keys(&self) -> &[MadeKey] {
        &self.keys
    }

    /// Whether any of it is to be kept.
    pub(super) fn keeps(&self) -> bool {
        self.missing.iter().any(|(_, token)| token.is_some())
    }

    /// Puts what was read in its places.
    pub(super) fn fill(mut self, fetched: Vec<Option<Fetched>>) -> Vec<Option<Fetched>> {
        for ((place, _), fetched) in self.missing.iter().zip(fetched) {
            if let Some(known) = self.known.get_mut(*place) {
                *known = fetched;
            }
        }
        self.known
    }

    /// The same, and keeps it.
    pub(super) fn keep(self, tracked: &Tracked, fetched: Vec<Option<Fetched>>) -> Vec<Option<Fetched>> {
        for (((_, token), key), fetched) in self.missing.iter().zip(&self.keys).zip(&fetched) {
            tracked.keep(token.as_ref(), key, fetched.as_ref());
        }
        self.fill(fetched)
    }
}
