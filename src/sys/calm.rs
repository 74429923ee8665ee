//! Libraries that do not survive a fork in their middle: fork waits until no thread is inside of one.
//!
//! SQLite has locks of its own, and a table of the locks that this process has on files. A child that is forked while a
//! thread is inside finds them as they were at that moment, for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::generation;

/// Threads that are inside.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// Threads that fork.
static FORKING: AtomicUsize = AtomicUsize::new(0);

/// fork waits no longer: a thread that forks inside of a signal handler may have interrupted itself in there.
const LONGEST: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_micros(50);

/// While this lives, this thread is inside such a library. It must not wait for anything else meanwhile, and not fork.
#[derive(Debug)]
pub struct Inside(u32);

impl Inside {
    /// Goes inside, as soon as nobody forks.
    pub fn enter() -> Self {
        loop {
            INSIDE.fetch_add(1, Ordering::SeqCst);
            if FORKING.load(Ordering::SeqCst) == 0 {
                return Self(generation());
            }
            INSIDE.fetch_sub(1, Ordering::SeqCst);
            std::thread::sleep(STEP);
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.0 == generation() {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Before a fork, in the thread that forks. No memory, no locks.
pub(super) extern "C" fn before_fork() {
    FORKING.fetch_add(1, Ordering::SeqCst);
    let begin = Instant::now();
    while INSIDE.load(Ordering::SeqCst) > 0 && begin.elapsed() < LONGEST {
        std::thread::sleep(STEP);
    }
}

/// After a fork, in the parent.
pub(super) extern "C" fn after_fork() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
}

/// After a fork, in the child: whoever was inside is not in here.
pub(super) fn in_child() {
    INSIDE.store(0, Ordering::SeqCst);
    FORKING.store(0, Ordering::SeqCst);
}
