//! The asynchronous operations under way, in order per key.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::backend::fence::{Fence, Scope};
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;

/// Operations that were begun and have not ended.
const MAX_WAITING: usize = 1 << 14;
/// Bytes of values that they hold.
const MAX_BYTES: usize = 64 << 20;

/// Everything that is under way.
#[derive(Default)]
pub struct Line(Mutex<State>);

#[derive(Default)]
struct State {
    /// How each is told that its turn has come.
    fence: Fence<Option<oneshot::Sender<()>>>,
    bytes: usize,
}

/// An operation's place. Those behind it on its keys begin when it is dropped.
pub struct Place {
    line: Arc<Line>,
    number: u64,
    bytes: usize,
}

/// Comes when all that was begun before on the same keys has ended.
pub type Turn = oneshot::Receiver<()>;

impl Line {
    /// Puts an operation at the end.
    pub fn enter(self: &Arc<Self>, scope: Scope, bytes: usize) -> Result<(Place, Turn)> {
        let (tell, turn) = oneshot::channel();
        let mut state = self.0.lock();
        let is_full = state.fence.len() >= MAX_WAITING
            || (state.bytes > 0 && bytes > 0 && state.bytes.saturating_add(bytes) > MAX_BYTES);
        if is_full {
            drop(state);
            return Err(Error::new(Kind::Busy, "too many operations are under way already; let some end first"));
        }
        state.bytes += bytes;
        let number = state.fence.push(scope, Some(tell));
        let ready = state.take_ready();
        drop(state);
        call(ready);
        Ok((Place { line: self.clone(), number, bytes }, turn))
    }
}

impl State {
    fn take_ready(&mut self) -> SmallVec<[oneshot::Sender<()>; 4]> {
        let mut ready = SmallVec::new();
        while let Some(number) = self.fence.next_ready() {
            ready.extend(self.fence.get(number).and_then(|(_, tell)| tell.take()));
        }
        ready
    }
}

fn call(ready: SmallVec<[oneshot::Sender<()>; 4]>) {
    for tell in ready {
        let _ = tell.send(()); // one that gave up is removed by its own place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.line.0.lock();
        state.fence.remove(self.number);
        state.bytes -= self.bytes;
        let ready = state.take_ready();
        drop(state);
        call(ready);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_when_those_before_have_ended() {
        let line = Arc::new(Line::default());
        let (first, mut turn) = line.enter(Scope::of([1]), 10).unwrap();
        assert_eq!(turn.try_recv(), Ok(()));
        let (second, mut second_turn) = line.enter(Scope::of([1]), 0).unwrap();
        let (third, mut third_turn) = line.enter(Scope::Everything, 0).unwrap();
        let (_other, mut other_turn) = line.enter(Scope::of([2]), 0).unwrap();
        assert!(second_turn.try_recv().is_err());
        drop(second); // it gave up
        drop(first);
        assert_eq!(third_turn.try_recv(), Ok(()));
        assert!(other_turn.try_recv().is_err());
        drop(third);
        assert_eq!(other_turn.try_recv(), Ok(()));
    }

    #[test]
    fn what_waits_is_bounded() {
        let line = Arc::new(Line::default());
        let alone = line.enter(Scope::Nothing, MAX_BYTES + 1).unwrap();
        assert_eq!(line.enter(Scope::Nothing, 1).err().unwrap().kind(), Kind::Busy);
        let mut places: Vec<_> = (1..MAX_WAITING).map(|_| line.enter(Scope::Nothing, 0).unwrap()).collect();
        drop(alone);
        places.push(line.enter(Scope::Nothing, 1).unwrap());
        assert_eq!(line.enter(Scope::Nothing, 0).err().unwrap().kind(), Kind::Busy);
    }
}
