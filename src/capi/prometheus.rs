//! `larder_prometheus`: the numbers of a context, as Prometheus reads them.

use std::ffi::c_char;

use super::argument::Buffer;
use super::context::{self, larder_context};
use super::error::larder_error;
use super::guard::guard;
use super::status::{LARDER_OK, LARDER_TRUNCATED, larder_status};

/// Tells what the stores and pipelines of a context have seen in this process, as text for Prometheus: the text format 0.0.4,
/// whose content type is `text/plain; version=0.0.4; charset=utf-8`.
///
/// Stores of the same alias are added up, and what a store has counted is told on when it is closed, so that no counter
/// goes back; the same with pipelines. Labels are aliases, pipelines, servers (never with credentials) and kinds of errors.
/// docs/statistics.md lists the metrics.
///
/// @param context the context
/// @param buffer receives UTF-8 text without a terminator; NULL only with a capacity of 0
/// @param capacity its size in bytes
/// @param needed NULL, or receives the length of the text in bytes; the next text can be some bytes longer
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_TRUNCATED when the buffer is too small, with nothing written to it; LARDER_EINVAL;
///         LARDER_EHANDLE; LARDER_ESHUTDOWN in a child of a process that had shut the context down
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_prometheus(
    context: *const larder_context,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes a buffer of its capacity.
        let mut buffer = unsafe { Buffer::new(buffer.cast(), capacity, needed) }?;
        let text = context::borrow(context)?.sources.expose().text();
        Ok(if buffer.fill(text.as_bytes()) { LARDER_OK } else { LARDER_TRUNCATED })
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}
