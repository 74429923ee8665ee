//! Something that arrives once, for threads and tasks that wait for it.

use std::time::Instant;

use tokio::sync::oneshot;

use crate::lock::{Condvar, Mutex};
use crate::sys;

/// A place for something that arrives once. Everybody gets a copy.
pub struct Arrival<T> {
    state: Mutex<State<T>>,
    came: Condvar,
    /// A forked child leaves its parent's alone: what a thread had locked stays locked there.
    generation: u32,
}

struct State<T> {
    value: Option<T>,
    /// Of tasks that wait.
    calls: Vec<oneshot::Sender<()>>,
}

impl<T> Default for Arrival<T> {
    fn default() -> Self {
        let state = State { value: None, calls: Vec::new() };
        Self { state: Mutex::new(state), came: Condvar::new(), generation: sys::generation() }
    }
}

impl<T: Clone> Arrival<T> {
    /// Puts it there; `false` where something is there already.
    pub fn put(&self, value: T) -> bool {
        if !self.is_ours() {
            return false;
        }
        let mut state = self.state.lock();
        if state.value.is_some() {
            drop(state);
            return false; // `value` is dropped outside of the lock
        }
        state.value = Some(value);
        let calls = std::mem::take(&mut state.calls);
        drop(state);
        self.came.notify_all();
        for call in calls {
            let _ = call.send(()); // the task may be gone
        }
        true
    }

    /// What has arrived.
    pub fn get(&self) -> Option<T> {
        self.is_ours().then(|| self.state.lock().value.clone()).flatten()
    }

    /// Waits for it on this thread; `None` where it has not come until then.
    pub fn wait(&self, until: Instant) -> Option<T> {
        if !self.is_ours() {
            return None;
        }
        let mut state = self.state.lock();
        loop {
            if let Some(value) = &state.value {
                return Some(value.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.came.wait_for(state, left);
        }
    }

    /// What has arrived, or a call for when it does.
    pub fn listen(&self) -> Result<T, oneshot::Receiver<()>> {
        let (sender, receiver) = oneshot::channel();
        if !self.is_ours() {
            return Err(receiver);
        }
        let mut state = self.state.lock();
        if let Some(value) = &state.value {
            return Ok(value.clone());
        }
        if state.calls.len() == state.calls.capacity() {
            state.calls.retain(|call| !call.is_closed()); // whose time was over
        }
        state.calls.push(sender);
        Err(receiver)
    }

    /// Whether it is this process's. Nothing arrives in a forked child at its parent's.
    pub fn is_ours(&self) -> bool {
        self.generation == sys::generation()
    }
}
