//! `larder_context`: a read configuration, and the runtime of its stores.

use std::ffi::c_char;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use super::argument::{Buffer, name, out, text};
use super::error::larder_error;
use super::guard::guard;
use super::handle::Registry;
use super::home::{Context, Home};
use super::log::{LogTarget, larder_options};
use super::status::{LARDER_EMPTY, LARDER_OK, LARDER_TRUNCATED, larder_status};
use crate::config;
use crate::error::{Error, Kind, Result};

/// A read configuration and what its stores share. A checked handle: never read through it.
pub struct larder_context {
    _private: [u8; 0],
}

pub(crate) static CONTEXTS: Registry<Arc<Home>> = Registry::new(0x4C43); // "LC"

/// What stands behind a handle.
pub(crate) fn find(handle: *const larder_context) -> Result<Arc<Home>> {
    let home = CONTEXTS.borrow(handle as u64);
    Ok(home.ok_or_else(|| Error::new(Kind::Handle, "the context is NULL, shut down, or no context"))?.clone())
}

/// The context of a handle, in this process.
pub(crate) fn borrow(handle: *const larder_context) -> Result<Arc<Context>> {
    find(handle)?.context().cloned()
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
    let log = unsafe { LogTarget::of(options) }?;
    let opened = Home::open(text, log).map_err(|error| error.during("open"))?;
    let handle = CONTEXTS.insert(Arc::new(opened)).ok_or_else(|| Error::new(Kind::Memory, "too many contexts"))?;
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
///         LARDER_EINVAL; LARDER_EHANDLE
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
        let home = find(context)?;
        let Some(warning) = home.config.warnings.get(index) else { return Ok(LARDER_EMPTY) };
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
/// shutdown of the process frees the in-memory data. `exit()` without it is harmless. In completion queues what was
/// accepted can still be polled until they are closed. In a forked child it ends what the child has used, and leaves
/// the parent's alone.
///
/// @param context the context; closed by LARDER_OK
/// @param timeout_ms the time that this may take; negative counts as 0
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_ETIMEOUT when something still ran at the end: callbacks that have not begun never run (so
///         free their data yourself), and shutting down can be tried again; LARDER_EBUSY while another thread shuts it
///         down; LARDER_EDEADLOCK inside a callback, a log function or a plug-in's, with nothing done; LARDER_EHANDLE
///
/// Blocks: up to `timeout_ms`. Threads: any but the callback thread. Owns: takes the context. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_shutdown(
    context: *mut larder_context,
    timeout_ms: i64,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // a child that has not used it yet gets one of its own to end, so that its stores see that too
        if let Ok(context) = find(context)?.context() {
            context.shut_down(Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0)))?;
        } // else the parent had ended it before it forked: it is left alone, and the handle goes
        CONTEXTS.close(context as u64);
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}
