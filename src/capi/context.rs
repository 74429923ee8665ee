//! `larder_context`: a read configuration, and the runtime of its stores.

use std::ffi::c_char;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::argument::{Buffer, name, out, text};
use super::callback::{Waiting, deliver};
use super::error::larder_error;
use super::guard::{be_silent, guard};
use super::handle::Registry;
use super::log::{HostLog, larder_options};
use super::status::{LARDER_EMPTY, LARDER_OK, LARDER_TRUNCATED, larder_status};
use crate::config::{self, Config};
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;
use crate::log::{Level, Log};
use crate::runtime::{CallbackThread, Queue, Runtime};
use crate::store::Surroundings;
use crate::sys::{self, GENERATIONS, Ours, PerGeneration};

/// A read configuration and what its stores share. A checked handle: never read through it.
pub struct larder_context {
    _private: [u8; 0],
}

/// Operations that a context accepts for callbacks before it refuses more with LARDER_EBUSY.
const CALLBACK_CAPACITY: usize = 65_536;

/// The share of a shutdown's time in which operations may end by themselves.
const GRACE: (u32, u32) = (3, 4);

/// A context behind its handle, shared by its stores.
pub(crate) struct Context {
    pub config: Config,
    pub around: Surroundings,
    pub queue: Arc<Queue<Waiting>>,
    pub callbacks: CallbackThread<Waiting>,
    runtime: Arc<Runtime>,
    log: Arc<HostLog>,
    shut_down: AtomicBool,
    /// A thread is shutting down.
    shutting: AtomicBool,
    /// Counts this context among those that keep the in-memory data alive, until it is shut down.
    keeps_data: AtomicBool,
}

/// Contexts that are not shut down. The last one to go takes the in-memory data with it, open stores or not.
static KEEPERS: PerGeneration<Mutex<usize>> = PerGeneration::new([const { Mutex::new(0) }; GENERATIONS]);

pub(crate) static CONTEXTS: Registry<Ours<Arc<Context>>> = Registry::new(0x4C43); // "LC"

/// The context of a handle.
pub(crate) fn borrow(handle: *const larder_context) -> Result<Arc<Context>> {
    let context = CONTEXTS
        .borrow(handle as u64)
        .ok_or_else(|| Error::new(Kind::Handle, "the context is NULL, shut down, or no context"))?;
    context.get().cloned().ok_or_else(forked)
}

/// What a handle of the parent process answers in its child.
pub(crate) fn forked() -> Error {
    Error::new(Kind::Forked, "the handle belongs to the parent process; open the configuration anew in the child")
}

impl Context {
    fn open(text: &[u8], log: Arc<HostLog>) -> Result<Self> {
        be_silent();
        sys::watch_forks();
        let config = config::read(text, &|name| std::env::var(name).ok())?;
        for warning in &config.warnings {
            log.record(Level::Warning, &format_args!("{warning}"));
        }
        let runtime = Runtime::new();
        let queue = Queue::new(CALLBACK_CAPACITY);
        let around = Surroundings {
            #[cfg(feature = "memory")]
            tables: crate::backend::memory::Tables::shared(),
            spawner: runtime.clone(),
            log: log.clone(),
        };
        let callbacks = CallbackThread::new(queue.clone(), deliver);
        *KEEPERS.get().lock() += 1;
        let (shut_down, shutting) = (AtomicBool::new(false), AtomicBool::new(false));
        let keeps_data = AtomicBool::new(true);
        Ok(Self { config, around, queue, callbacks, runtime, log, shut_down, shutting, keeps_data })
    }

    /// Lets go of the in-memory data; the last context to do so frees it.
    fn let_go_of_data(&self) {
        if !self.keeps_data.swap(false, Ordering::SeqCst) {
            return;
        }
        let is_last = {
            let mut keepers = KEEPERS.get().lock();
            *keepers -= 1;
            *keepers == 0
        };
        #[cfg(feature = "memory")]
        if is_last {
            self.around.tables.clear();
        }
        #[cfg(not(feature = "memory"))]
        let _ = is_last;
    }

    /// Whether shutting down has begun; its stores answer LARDER_ESHUTDOWN then.
    pub fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::Relaxed)
    }

    /// Ends all that runs. See [`larder_shutdown`].
    fn shut_down(&self, limit: Duration) -> Result<()> {
        let refuse = |kind, reason: &str| Err(Error::new(kind, reason).during("shutdown"));
        if self.callbacks.is_current() || HostLog::is_inside() {
            return refuse(Kind::Deadlock, "a callback cannot wait for callbacks to end; shut down from elsewhere");
        }
        if self.shutting.swap(true, Ordering::SeqCst) {
            return refuse(Kind::Busy, "another thread is shutting the context down");
        }
        let ended = self.end_all(limit);
        self.shutting.store(false, Ordering::SeqCst);
        if ended {
            self.let_go_of_data();
            return Ok(());
        }
        refuse(Kind::Timeout, "something was still running at the end of the time; no new callback starts")
    }

    fn end_all(&self, limit: Duration) -> bool {
        let now = Instant::now();
        let end = now.checked_add(limit).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 3600));
        self.shut_down.store(true, Ordering::SeqCst);
        self.queue.close_entrance();
        self.queue.drain(now + (end - now) * GRACE.0 / GRACE.1);
        // what has not ended by itself is dropped, which answers it
        let stopped = self.runtime.stop(end);
        let drained = self.queue.drain(end);
        self.queue.close();
        let joined = self.callbacks.join(end);
        let silent = self.log.close(end);
        stopped && drained && joined && silent
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.let_go_of_data();
    }
}

unsafe fn open(
    text: &[u8],
    options: *const larder_options,
    context: *mut *mut larder_context,
) -> Result<larder_status> {
    // SAFETY: the host passes NULL or a place that can be written.
    let place = unsafe { out(context, "context") }?;
    *place = std::ptr::null_mut();
    // SAFETY: as the caller promises.
    let log = unsafe { HostLog::of(options) }?;
    let opened = Context::open(text, Arc::new(log)).map_err(|error| error.during("open"))?;
    let handle =
        CONTEXTS.insert(Ours::new(Arc::new(opened))).ok_or_else(|| Error::new(Kind::Memory, "too many contexts"))?;
    *place = handle as *mut larder_context;
    Ok(LARDER_OK)
}

/// Reads a configuration: `{"CACHES": {...}}` with optional siblings, or the bare map of aliases. Never connects.
///
/// Strings may hold `${NAME}`, replaced from the environment; `$${` is a literal `${`. larder's own settings live in an
/// alias's "LARDER" object. As everything that reads the environment it must not run beside setenv.
///
/// @param text JSON, `text_len` bytes of UTF-8; only read during the call
/// @param text_len its length in bytes
/// @param options NULL, or who takes log records
/// @param context receives a handle, to be given to larder_shutdown; NULL on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_ECONFIG with the JSON path in the message; LARDER_EINVAL; LARDER_EMEMORY
///
/// Blocks: never. Threads: any. Owns: the caller owns the context. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_open(
    text: *const c_char,
    text_len: usize,
    options: *const larder_options,
    context: *mut *mut larder_context,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes a place that is NULL or can be written, and text of its length.
        let text = unsafe {
            *out(context, "context")? = std::ptr::null_mut();
            self::text(text, text_len, "the configuration")?
        };
        // SAFETY: the host passes places that are NULL or can be written.
        unsafe { open(text.as_bytes(), options, context) }
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Reads a configuration from a file. As larder_open.
///
/// @param path NUL-terminated UTF-8
/// @param options NULL, or who takes log records
/// @param context receives a handle, to be given to larder_shutdown; NULL on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return as larder_open; LARDER_EIO when the file cannot be read
///
/// Blocks: while the file is read. Threads: any. Owns: the caller owns the context. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_open_file(
    path: *const c_char,
    options: *const larder_options,
    context: *mut *mut larder_context,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written, and NULL or a NUL-terminated path.
        let path = unsafe {
            *out(context, "context")? = std::ptr::null_mut();
            name(path, "path")?
        };
        let mut text = Vec::new();
        let read = std::fs::File::open(path)
            // one byte more than is allowed, so that what is too long is refused as such
            .and_then(|file| file.take(config::LONGEST_DOCUMENT as u64 + 1).read_to_end(&mut text));
        read.map_err(|error| Error::new(Kind::Io, format!("cannot read {path:?}: {error}")).during("open"))?;
        // SAFETY: the host passes places that are NULL or can be written.
        unsafe { open(&text, options, context) }
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Tells a warning about the configuration: what Django would silently ignore or misread.
///
/// @param context the context
/// @param index 0 for the first
/// @param buffer receives UTF-8 text without a terminator; NULL only with a capacity of 0
/// @param capacity its size in bytes
/// @param needed NULL, or receives the length of the text in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EMPTY when there are no more; LARDER_TRUNCATED when the buffer is too small;
///         LARDER_EINVAL; LARDER_EHANDLE; LARDER_EFORKED
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_warning(
    context: *const larder_context,
    index: usize,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes a buffer of its capacity.
        let mut buffer = unsafe { Buffer::new(buffer.cast(), capacity, needed) }?;
        let context = borrow(context)?;
        let Some(warning) = context.config.warnings.get(index) else { return Ok(LARDER_EMPTY) };
        Ok(if buffer.fill(warning.as_bytes()) { LARDER_OK } else { LARDER_TRUNCATED })
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Ends a context: nothing is accepted any more, what runs may end within three quarters of the time, the rest is
/// answered with LARDER_ESHUTDOWN. After LARDER_OK no callback and no log function runs ever again, and no thread of the
/// context is left (but for name look-ups that the system does not end; they touch nothing of the context).
///
/// Stores of the context answer LARDER_ESHUTDOWN from then on; closing them is harmless, before or after. The last
/// shutdown of the process frees the in-memory data. `exit()` without it is harmless. In a forked child it only gives
/// the handle back.
///
/// @param context the context; closed by LARDER_OK
/// @param timeout_ms the time that this may take; negative counts as 0
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_ETIMEOUT when something still ran at the end: callbacks that have not begun never run (so
///         free their data yourself), and shutting down can be tried again; LARDER_EBUSY while another thread shuts it
///         down; LARDER_EDEADLOCK inside a callback or a log function, with nothing done; LARDER_EHANDLE
///
/// Blocks: up to `timeout_ms`. Threads: any but the callback thread. Owns: takes the context. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_shutdown(
    context: *mut larder_context,
    timeout_ms: i64,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        match borrow(context) {
            Ok(context) => context.shut_down(Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0)))?,
            Err(error) if error.kind() == Kind::Forked => {} // the parent's: left alone, only the handle goes
            Err(error) => return Err(error),
        }
        CONTEXTS.close(context as u64);
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}
