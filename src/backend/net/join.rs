//! One answer out of several servers' answers.

use std::sync::Arc;

use super::fault::unexpected;
use crate::backend::{Answer, Reply, Sink, Ticket};
use crate::error::{Error, Result};
use crate::lock::Mutex;

/// The answers so far. `places` of a part are where its keys stand in the whole.
pub(crate) struct Whole {
    reply: Reply,
    parts: Vec<Vec<usize>>,
    failure: Option<Error>,
    /// Parts that failed.
    failed: usize,
    /// A server that is away is an empty one (`ignore_exc`).
    lenient: bool,
    /// What has no answer changes something.
    writes: bool,
}

impl Whole {
    /// Of `count` values, from parts with these places.
    pub(crate) fn of_values(count: usize, parts: Vec<Vec<usize>>, lenient: bool) -> Self {
        Self::new(Reply::Values(vec![None; count]), parts, lenient)
    }

    /// As [`Whole::of_values`], with times to live.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    pub(crate) fn of_fetched(count: usize, parts: Vec<Vec<usize>>) -> Self {
        Self::new(Reply::FetchedMany(vec![None; count]), parts, false)
    }

    /// Of `count` writes.
    pub(crate) fn of_writes(count: usize, parts: Vec<Vec<usize>>) -> Self {
        Self::new(Reply::Failures(vec![None; count]), parts, false)
    }

    /// Of removals, which are counted.
    pub(crate) fn of_removals(parts: usize, lenient: bool) -> Self {
        Self::new(Reply::Removed(0), vec![Vec::new(); parts], lenient)
    }

    /// Of what has no answer but that it was done; whether it `writes`.
    pub(crate) fn of_deeds(parts: usize, writes: bool) -> Self {
        Self { writes, ..Self::new(Reply::Done, vec![Vec::new(); parts], false) }
    }

    fn new(reply: Reply, parts: Vec<Vec<usize>>, lenient: bool) -> Self {
        Self { reply, parts, failure: None, failed: 0, lenient, writes: false }
    }

    /// Takes the answer of one part.
    pub(crate) fn take(&mut self, part: usize, answer: Result<Reply>) {
        let places = self.parts.get(part).map(Vec::as_slice).unwrap_or_default();
        let outcome = match (&mut self.reply, answer) {
            (Reply::Values(all), Ok(Reply::Values(some))) if some.len() == places.len() => put(all, places, some),
            (Reply::FetchedMany(all), Ok(Reply::FetchedMany(some))) if some.len() == places.len() => {
                put(all, places, some)
            }
            (Reply::Failures(all), Ok(Reply::Failures(some))) if some.len() == places.len() => put(all, places, some),
            (Reply::Removed(sum), Ok(Reply::Removed(count))) => {
                *sum += count;
                Ok(())
            }
            (Reply::Done, Ok(Reply::Done)) => Ok(()),
            (Reply::Failures(all), Err(error)) => {
                let failures = vec![Some(error.clone()); places.len()];
                put(all, places, failures).and(Err(error))
            }
            (_, Err(error)) => Err(error),
            (_, Ok(_)) => Err(unexpected()),
        };
        if let Err(error) = outcome {
            self.failed += 1;
            // One that may have been carried out says more.
            if self.failure.as_ref().is_none_or(|known| error.may_have_happened() && !known.may_have_happened()) {
                self.failure = Some(error);
            }
        }
    }

    /// The answer, once every part was taken. Writes of which some were made tell which were not, or at least that some
    /// may have been.
    pub(crate) fn answer(self) -> Result<Reply> {
        let all_failed = self.failed == self.parts.len();
        let partial = self.lenient || matches!(self.reply, Reply::Failures(_));
        let some_done = match self.reply {
            Reply::Removed(sum) => sum > 0,
            Reply::Done => self.writes && !all_failed,
            _ => false,
        };
        match self.failure {
            Some(error) if some_done && !partial => Err(error.maybe_done()),
            Some(error) if all_failed || !partial => Err(error),
            _ => Ok(self.reply),
        }
    }
}

/// Puts the values of a part where they belong.
fn put<T>(all: &mut [Option<T>], places: &[usize], some: Vec<Option<T>>) -> Result<()> {
    for (place, one) in places.iter().zip(some) {
        *all.get_mut(*place).ok_or_else(unexpected)? = one;
    }
    Ok(())
}

/// Where the answers of asynchronous parts come together; the last one answers the whole.
pub(crate) struct Join(Mutex<Option<(Whole, Ticket, usize)>>);

impl Join {
    /// Tickets for every part, in their order.
    pub(crate) fn tickets(whole: Whole, ticket: Ticket) -> Vec<Ticket> {
        let count = whole.parts.len();
        let join: Arc<dyn Sink> = Arc::new(Self(Mutex::new(Some((whole, ticket, count)))));
        (0..).take(count).map(|part| Ticket::new(join.clone(), part)).collect()
    }
}

impl Sink for Join {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        let mut state = self.0.lock();
        for (part, answer) in answers.drain(..) {
            if let Some((whole, _, left)) = &mut *state {
                whole.take(usize::try_from(part).unwrap_or(usize::MAX), answer);
                *left -= 1;
            }
        }
        if let Some((whole, ticket, _)) = state.take_if(|(.., left)| *left == 0) {
            drop(state);
            ticket.answer(whole.answer());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Stored;
    use crate::error::Kind;

    #[allow(clippy::unnecessary_wraps, reason = "as answers have it")]
    fn value(text: &'static str) -> Option<Stored> {
        Some(text.as_bytes().into())
    }

    fn away() -> Error {
        Error::new(Kind::Connection, "the server is away")
    }

    fn parts() -> Vec<Vec<usize>> {
        vec![vec![2, 0], vec![1]]
    }

    #[test]
    fn values_come_to_their_places() {
        let mut whole = Whole::of_values(3, parts(), false);
        whole.take(1, Ok(Reply::Values(vec![value("b")])));
        whole.take(0, Ok(Reply::Values(vec![value("c"), None])));
        let Reply::Values(all) = whole.answer().unwrap() else { panic!("values") };
        assert_eq!(all, [None, value("b"), value("c")]);
    }

    #[test]
    fn a_server_that_is_away_fails_a_read_unless_it_is_to_be_ignored() {
        for lenient in [false, true] {
            let mut whole = Whole::of_values(3, parts(), lenient);
            whole.take(0, Err(away()));
            whole.take(1, Ok(Reply::Values(vec![value("b")])));
            match whole.answer() {
                Ok(Reply::Values(all)) => assert!(lenient && all == [None, value("b"), None]),
                other => assert!(!lenient && other.unwrap_err().kind() == Kind::Connection),
            }
        }
        let mut all_away = Whole::of_values(3, parts(), true);
        all_away.take(0, Err(away()));
        all_away.take(1, Err(away()));
        assert!(all_away.answer().is_err());
    }

    #[test]
    fn writes_tell_which_were_not_made() {
        let mut whole = Whole::of_writes(3, parts());
        whole.take(0, Err(away()));
        whole.take(1, Ok(Reply::Failures(vec![None])));
        let Reply::Failures(failures) = whole.answer().unwrap() else { panic!("failures") };
        assert_eq!(failures.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
        let mut none = Whole::of_writes(3, parts());
        none.take(0, Err(away()));
        none.take(1, Err(away().maybe_done()));
        assert!(none.answer().unwrap_err().may_have_happened());
    }

    #[test]
    fn what_was_done_on_one_server_may_have_been_done() {
        for (whole, done, writes) in [
            (Whole::of_removals(2, false), Reply::Removed(3), true),
            (Whole::of_removals(2, false), Reply::Removed(0), false),
            (Whole::of_deeds(2, true), Reply::Done, true),
            (Whole::of_deeds(2, false), Reply::Done, false),
        ] {
            let mut whole = whole;
            whole.take(0, Ok(done));
            whole.take(1, Err(away()));
            assert_eq!(whole.answer().unwrap_err().may_have_happened(), writes);
        }
        let mut none = Whole::of_deeds(1, true);
        none.take(0, Err(away()));
        assert!(!none.answer().unwrap_err().may_have_happened());
    }

    #[test]
    fn an_answer_of_another_kind_is_an_error() {
        let mut whole = Whole::of_values(3, parts(), false);
        whole.take(0, Ok(Reply::Values(vec![None])));
        whole.take(1, Ok(Reply::Values(vec![None])));
        assert!(whole.answer().is_err());
    }
}
