//! Who wants to know before this process forks, and after: for what a child must not inherit open, such as SQLite's
//! connections (their locks are kept in memory that the child would take for the truth).
//!
//! Several threads can fork at the same time, and the system lets their handlers run side by side. Here one comes after
//! the other, as far as that takes no long wait; and nothing is taken up again before the last one is done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{GENERATIONS, PerGeneration, generation};
use crate::lock::{Condvar, Mutex};
use crate::timeout::{Budget, Deadline};

/// How long all listeners together may hold a fork up.
const BEFORE_FORK: Budget = Budget::new(Duration::from_secs(1));

/// How long a fork waits for another thread's.
const TURN: Budget = Budget::new(Duration::from_secs(2));

/// What a fork passes by. Both are called in the forking thread, in the parent.
pub trait Forking: Send + Sync {
    /// Puts down what the child must not have, at the latest at `deadline`; nothing may be taken up until
    /// [`Forking::after`]. It comes again where several threads fork.
    fn before(&self, deadline: &Deadline);

    /// The fork is done, and no other is under way. Must not wait.
    fn after(&self);
}

struct Forks {
    state: Mutex<State>,
    done: Condvar,
}

struct State {
    /// Whose this is: what a far descendant finds here was copied in the midst of a fork.
    generation: u32,
    listeners: Vec<Weak<dyn Forking>>,
    /// Forks under way.
    under_way: u32,
}

impl Forks {
    const fn new() -> Self {
        Self { state: Mutex::new(State { generation: 0, listeners: Vec::new(), under_way: 0 }), done: Condvar::new() }
    }
}

impl State {
    fn make_ours(&mut self) {
        if self.generation != generation() {
            *self = Self { generation: generation(), listeners: Vec::new(), under_way: 0 };
        }
    }

    fn alive(&self) -> Vec<Arc<dyn Forking>> {
        self.listeners.iter().filter_map(Weak::upgrade).collect()
    }
}

static FORKS: PerGeneration<Forks> = PerGeneration::new([const { Forks::new() }; GENERATIONS]);

/// Tells `listener` of each fork from now on, as long as it lives; at once where one is under way.
pub fn around_forks(listener: &Arc<dyn Forking>) {
    super::watch_forks();
    let mut state = FORKS.get().state.lock();
    state.make_ours();
    state.listeners.retain(|listener| listener.strong_count() > 0);
    state.listeners.push(Arc::downgrade(listener));
    if state.under_way > 0 {
        listener.before(&BEFORE_FORK.start()); // it has nothing yet to put down
    }
}

fn each(listeners: &[Arc<dyn Forking>], tell: impl Fn(&dyn Forking)) {
    for listener in listeners {
        // nothing may unwind out of the handler
        let _ = catch_unwind(AssertUnwindSafe(|| tell(&**listener)));
    }
}

pub(super) extern "C" fn before() {
    let forks = FORKS.get();
    let mut state = forks.state.lock();
    state.make_ours();
    let turn = TURN.start();
    while state.under_way > 0
        && let Some(left) = turn.left()
    {
        state = forks.done.wait_for(state, left);
    }
    state.under_way += 1;
    let listeners = state.alive();
    drop(state);
    let deadline = BEFORE_FORK.start();
    each(&listeners, |listener| listener.before(&deadline));
}

pub(super) extern "C" fn after() {
    let forks = FORKS.get();
    let mut state = forks.state.lock();
    let listeners = state.alive();
    state.under_way = state.under_way.saturating_sub(1);
    if state.under_way == 0 {
        // under the lock, so that the next fork and new listeners come before or behind
        each(&listeners, |listener| listener.after());
    }
    drop(state);
    forks.done.notify_one();
}
