//! The host's log function, and the options of a context that name it.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::argument::sized;
use super::event::Pending;
use crate::error::Result;
use crate::lock::{Condvar, Mutex};
use crate::log::{Level, Log};
use crate::runtime::Queue;

/// `level` of a log record: for people who look for a fault. The numbers are those of Python's `logging`.
pub const LARDER_LOG_DEBUG: i32 = 10;
/// `level` of a log record: for the record.
pub const LARDER_LOG_INFO: i32 = 20;
/// `level` of a log record: something is not as it was probably meant.
pub const LARDER_LOG_WARNING: i32 = 30;
/// `level` of a log record: something failed.
pub const LARDER_LOG_ERROR: i32 = 40;

/// Takes one log record. `message` is a NUL-terminated UTF-8 line that lives during the call only, and never holds a
/// password or a stored value. Records of pipelines name the parameters of tokens, which can be names of players, as
/// Pyot's records do (LOG_LEVEL). Called on any thread that uses larder and on larder's own, sometimes on several at
/// once, never under a lock, and not any more once larder_shutdown has answered LARDER_OK. It may call larder, but not
/// shut the context down; what would be recorded during such a call is not told to it. It must return: longjmp and
/// exceptions through it are undefined.
pub type larder_log_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, level: i32, message: *const c_char)>;

/// Options of a context. Start from `LARDER_OPTIONS_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_options {
    /// `sizeof(larder_options)`; the struct only grows at its end.
    pub struct_size: u32,
    /// The least level that is told, `LARDER_LOG_…`; 0 tells everything.
    pub log_level: i32,
    /// Who takes log records; NULL: nobody.
    pub log: larder_log_fn,
    /// Handed to `log`.
    pub log_user_data: *mut c_void,
}

/// The size of `larder_options` in larder 0.1: programs that were built then still bring it.
const FIRST_SIZE: usize = 24;

/// The host's log function, and what it wants to hear.
#[derive(Clone, Copy)]
pub(crate) struct LogTarget {
    log: larder_log_fn,
    user_data: *mut c_void,
    least: i32,
}

/// The log of a context: the host's function, behind a gate that its shutdown closes, and the completion queues that
/// want records.
pub(crate) struct HostLog {
    target: LogTarget,
    gate: Mutex<Gate>,
    left: Condvar,
    queues: Mutex<Vec<(i32, Weak<Queue<Pending>>)>>,
}

#[derive(Default)]
struct Gate {
    closed: bool,
    inside: usize,
}

thread_local! {
    /// Log functions that this thread is inside of.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: the host promises in `larder_log_fn`'s contract that the function may be called on any thread.
unsafe impl Send for LogTarget {}
// SAFETY: as above, and on several threads at once.
unsafe impl Sync for LogTarget {}

impl LogTarget {
    /// What options name.
    ///
    /// # Safety
    /// `options` is NULL or has the size that it tells.
    pub(crate) unsafe fn of(options: *const larder_options) -> Result<Self> {
        // SAFETY: by this function's own contract; all zero are valid options.
        let options = unsafe { sized(options, FIRST_SIZE, "options")? };
        let (log, user_data, least) = match options {
            Some(options) => (options.log, options.log_user_data, options.log_level),
            None => (None, std::ptr::null_mut(), 0),
        };
        Ok(Self { log, user_data, least })
    }
}

impl HostLog {
    /// A log that goes to `target`.
    pub(crate) fn new(target: LogTarget) -> Self {
        Self { target, gate: Mutex::default(), left: Condvar::new(), queues: Mutex::default() }
    }

    /// Records of `least` and more go to `queue` too.
    pub(crate) fn add_queue(&self, least: i32, queue: &Arc<Queue<Pending>>) {
        let mut queues = self.queues.lock();
        queues.retain(|(_, known)| known.strong_count() > 0);
        queues.push((least, Arc::downgrade(queue)));
    }

    fn queues_for(&self, level: i32) -> Vec<Arc<Queue<Pending>>> {
        let queues = self.queues.lock();
        queues.iter().filter(|(least, _)| level >= *least).filter_map(|(_, queue)| queue.upgrade()).collect()
    }

    /// Whether this thread is inside a log function: it cannot wait for log functions to end.
    pub(crate) fn is_inside() -> bool {
        INSIDE.get() > 0
    }

    /// Calls the host no more, and waits until it has returned everywhere, at most until `end`; whether it has.
    pub(crate) fn close(&self, end: Instant) -> bool {
        let mut gate = self.gate.lock();
        gate.closed = true;
        while gate.inside > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            gate = self.left.wait_for(gate, left.max(Duration::from_millis(1)));
        }
        true
    }

    fn enter(&self) -> bool {
        let mut gate = self.gate.lock();
        if !gate.closed {
            gate.inside += 1;
        }
        !gate.closed
    }

    fn leave(&self) {
        self.gate.lock().inside -= 1;
        self.left.notify_all();
    }
}

impl Log for HostLog {
    fn record(&self, level: Level, text: &fmt::Arguments<'_>) {
        let (number, queues) = (level as i32, self.queues_for(level as i32));
        if !queues.is_empty() {
            let text = text.to_string();
            for queue in queues {
                queue.record(level, &text);
            }
        }
        if Self::is_inside() {
            return; // a log function that writes its records to a cache that fails would never end
        }
        let Some(log) = self.target.log.filter(|_| number >= self.target.least) else { return };
        let line: Vec<u8> = text.to_string().into_bytes().into_iter().filter(|byte| *byte != 0).collect();
        let line = CString::new(line).unwrap_or_default();
        if self.enter() {
            INSIDE.set(INSIDE.get() + 1);
            // SAFETY: the function and its data are the host's until the gate is closed.
            unsafe { log(self.target.user_data, number, line.as_ptr()) };
            INSIDE.set(INSIDE.get() - 1);
            self.leave();
        }
    }
}
