//! A thread that waits for the answer to one operation at a time.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::{Answer, Reply, Sink, Ticket};
use crate::error::Result;
use crate::lock::{Condvar, Mutex};
use crate::sys;
use crate::timeout::Deadline;

thread_local! {
    /// Used again for every call of a thread.
    static WAITER: RefCell<(u32, Arc<Waiter>)> = RefCell::default();
}

/// Where the answer comes. An operation that nobody waits for any more has another number.
#[derive(Default)]
struct Waiter {
    slot: Mutex<Slot>,
    came: Condvar,
}

#[derive(Default)]
struct Slot {
    number: u64,
    answer: Option<Result<Reply>>,
}

/// Begins an operation and waits for its answer; `None` when that has not come so long after the deadline. What is
/// answered later is dropped.
pub(crate) fn wait(deadline: &Deadline, patience: Duration, begin: impl FnOnce(Ticket)) -> Option<Result<Reply>> {
    let waiter = mine();
    let number = {
        let mut slot = waiter.slot.lock();
        slot.number += 1;
        slot.answer = None; // of an operation that panicked as it was begun
        slot.number
    };
    begin(Ticket::new(waiter.clone(), number));
    let mut slot = waiter.slot.lock();
    loop {
        if let Some(answer) = slot.answer.take() {
            return Some(answer);
        }
        let left = (deadline.end() + patience).saturating_duration_since(Instant::now());
        if left.is_zero() {
            slot.number += 1;
            return None;
        }
        slot = waiter.came.wait_for(slot, left);
    }
}

/// This thread's, in this process: a thread of the parent may have had the lock of the inherited one.
fn mine() -> Arc<Waiter> {
    let known = WAITER.try_with(|waiter| {
        let mut waiter = waiter.try_borrow_mut().ok()?;
        if waiter.0 != sys::generation() {
            std::mem::forget(std::mem::replace(&mut *waiter, (sys::generation(), Arc::default())));
        }
        Some(waiter.1.clone())
    });
    known.ok().flatten().unwrap_or_default() // a thread that is ending has no such thing any more
}

impl Sink for Waiter {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        let mut slot = self.slot.lock();
        let wanted = slot.number;
        if let Some((_, answer)) = answers.drain(..).find(|(number, _)| *number == wanted) {
            slot.answer = Some(answer);
            drop(slot);
            self.came.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};
    use crate::timeout::Budget;

    #[test]
    fn a_late_answer_is_not_the_next_ones() {
        let now = || Budget::new(Duration::ZERO).start();
        let long = Budget::new(Duration::from_mins(1));
        let mut late = None;
        assert!(wait(&now(), Duration::ZERO, |ticket| late = Some(ticket)).is_none());
        let answer = wait(&long.start(), Duration::ZERO, |ticket| {
            late.take().unwrap().answer(Ok(Reply::Removed(1)));
            std::thread::spawn(move || ticket.answer(Ok(Reply::Removed(2))));
        });
        assert!(matches!(answer, Some(Ok(Reply::Removed(2)))));
        let kept = wait(&long.start(), Duration::ZERO, |ticket| ticket.answer(Err(Error::new(Kind::Busy, "full"))));
        assert_eq!(kept.unwrap().unwrap_err().kind(), Kind::Busy);
        // an answer that came just before nobody waited any more
        assert!(wait(&now(), Duration::ZERO, drop).is_some());
    }

    #[test]
    fn an_operation_that_panicked_leaves_no_answer_behind() {
        let long = Budget::new(Duration::from_mins(1));
        let begun = std::panic::catch_unwind(|| {
            wait(&long.start(), Duration::ZERO, |ticket| {
                ticket.answer(Ok(Reply::Removed(1)));
                std::panic::resume_unwind(Box::new(()));
            })
        });
        assert!(begun.is_err());
        let answer = wait(&long.start(), Duration::ZERO, |ticket| ticket.answer(Ok(Reply::Removed(2))));
        assert!(matches!(answer, Some(Ok(Reply::Removed(2)))));
    }
}
