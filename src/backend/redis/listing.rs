//! Cursors of listings over several servers: the number of a server, and where its own listing is.

use crate::backend::{Answer, Page, Reply, Sink, Ticket};
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;

/// A server's cursor is at most that long; the high byte of ours tells whose it is. Redis' are shorter than the number of
/// its keys.
const CURSOR_BITS: u32 = 56;
/// The highest number that fits in front of a cursor.
pub(super) const LAST: usize = 255;

/// Takes a cursor apart: the server's number, and where that is for the server.
pub(super) fn parts(at: u64) -> (usize, u64) {
    (usize::try_from(at >> CURSOR_BITS).unwrap_or(usize::MAX), at & ((1 << CURSOR_BITS) - 1))
}

/// Puts one together.
pub(super) fn cursor(number: usize, next: u64) -> Result<u64> {
    match u64::try_from(number) {
        Ok(number) if next >> CURSOR_BITS == 0 && number <= LAST as u64 => Ok(number << CURSOR_BITS | next),
        _ => {
            let reason = "the server's cursors are too large for a listing from one of several servers";
            Err(Error::new(Kind::Unsupported, reason))
        }
    }
}

/// A cursor that is none of ours.
pub(super) fn nowhere() -> Error {
    Error::new(Kind::Invalid, "no listing of this cache goes on there")
}

/// A ticket for a page that is to be changed on its way to `ticket`.
pub(super) fn changing(ticket: Ticket, change: impl Fn(Page) -> Result<Page> + Send + Sync + 'static) -> Ticket {
    Ticket::new(std::sync::Arc::new(Changing { change, ticket: Mutex::new(Some(ticket)) }), 0)
}

struct Changing<F> {
    change: F,
    ticket: Mutex<Option<Ticket>>,
}

impl<F: Fn(Page) -> Result<Page> + Send + Sync> Sink for Changing<F> {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        for (_, answer) in answers.drain(..) {
            let ticket = self.ticket.lock().take();
            let answer = answer.and_then(|reply| match reply {
                Reply::Page(page) => (self.change)(page).map(Reply::Page),
                other => Ok(other),
            });
            if let Some(ticket) = ticket {
                ticket.answer(answer);
            }
        }
    }
}
