//! Who wants to know before this process forks, and after: for what a child must not inherit open, such as SQLite's
//! connections (their locks are kept in memory that the child would take for the truth).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use super::{GENERATIONS, PerGeneration};
use crate::lock::Mutex;

/// What a fork passes by. Both are called in the forking thread, in the parent; neither may wait long.
pub trait Forking: Send + Sync {
    /// Puts down what the child must not have; nothing may be taken up until [`Forking::after`].
    fn before(&self);

    /// The fork is done.
    fn after(&self);
}

type Listeners = Mutex<Vec<Weak<dyn Forking>>>;

static LISTENERS: PerGeneration<Listeners> = PerGeneration::new([const { Mutex::new(Vec::new()) }; GENERATIONS]);

/// Tells `listener` of each fork from now on, as long as it lives.
pub fn around_forks(listener: &Arc<dyn Forking>) {
    super::watch_forks();
    let mut listeners = LISTENERS.get().lock();
    listeners.retain(|listener| listener.strong_count() > 0);
    listeners.push(Arc::downgrade(listener));
}

fn each(tell: fn(&dyn Forking)) {
    let listeners: Vec<_> = LISTENERS.get().lock().iter().filter_map(Weak::upgrade).collect();
    for listener in listeners {
        // nothing may unwind out of the handler
        let _ = catch_unwind(AssertUnwindSafe(|| tell(&*listener)));
    }
}

pub(super) extern "C" fn before() {
    each(|listener| listener.before());
}

pub(super) extern "C" fn after() {
    each(|listener| listener.after());
}
