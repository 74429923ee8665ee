//! What is done once more where a server can move: it was lost, or turned the request away, and another one, or the same
//! one a moment later, can do it within the call's own time.
//!
//! Repeated is what certainly was not done, whatever it is; what may have been done only where that does no harm and
//! answers the same ([`Nature`]).

use super::heal;
use super::protocol::Nature;
use super::whereabouts::Whereabouts;
use crate::backend::{Order, Request};
use crate::error::{Error, Result};
use crate::timeout::{self, Deadline};

/// What may have been done so often is not sent again: perhaps it is what breaks connections.
const MOST: u8 = 4;

/// The tries of one call that waits.
#[derive(Default)]
pub(super) struct Repeats {
    /// Those that failed.
    failed: u32,
    /// Those that may have done it all the same.
    open: u8,
    /// Why: the last one that had time enough. Others only say how little there was left.
    why: Option<Error>,
}

impl Repeats {
    /// A try failed. Waits a little where there is to be another; hands the error back where there is none.
    pub(super) fn failed(
        &mut self,
        error: Error,
        nature: Nature,
        whereabouts: &Whereabouts,
        deadline: &Deadline,
    ) -> Result<()> {
        let may_have_happened = error.may_have_happened();
        let left = deadline.left().unwrap_or_default();
        if self.why.is_none() || left >= deadline.total() / 4 {
            self.why = Some(error.clone());
        }
        self.open += u8::from(may_have_happened);
        let pause = heal::short_pause(self.failed);
        self.failed = self.failed.saturating_add(1);
        let safe = !may_have_happened || (nature != Nature::WritesOnce && self.open < MOST);
        if safe && whereabouts.is_worth_waiting(&error) && left > pause {
            timeout::pause(pause);
            return Ok(());
        }
        let passes = error.is_retriable() || error.was_turned_away();
        let error = self.why.take().filter(|_| passes).unwrap_or(error);
        Err(self.told(error))
    }

    /// The error of the whole call.
    pub(super) fn told(&self, error: Error) -> Error {
        // a failover passes
        let error = if error.was_turned_away() { error.retriable_if(true) } else { error };
        if self.open > 0 { error.maybe_done() } else { error }
    }
}

/// What is needed to send a request once more that stands in a queue.
pub(super) struct Again {
    order: Order,
    /// How often it may have been done.
    open: u8,
}

impl Again {
    /// For a request; none where there is no memory for a copy.
    pub(super) fn of(request: &Request<'_>) -> Option<Box<Self>> {
        let order = Order::copy(request).ok()?;
        Some(Box::new(Self { order, open: 0 }))
    }

    /// The request.
    pub(super) fn request(&self) -> Request<'_> {
        self.order.request()
    }

    /// It was sent, and no answer came. Whether it may be sent again, where that does no harm.
    pub(super) fn was_sent(&mut self) -> bool {
        self.open = self.open.saturating_add(1);
        self.open < MOST
    }

    /// Whether it may have been done already.
    pub(super) fn is_open(&self) -> bool {
        self.open > 0
    }
}
