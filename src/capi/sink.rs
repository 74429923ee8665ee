//! `larder_sink`: where the functions of a plug-in write.

use std::ffi::{c_char, c_void};

use super::argument::{bytes, invalid, text};
use super::call_out::{explain, write};
use super::guard::guard;
use super::status::{LARDER_OK, larder_status};
use crate::error::{Error, Kind, Result};

/// Where a function of a plug-in writes. It belongs to that one call, on the thread on which the call is made: a sink of a
/// call that has returned is recognised. Never read through it.
pub struct larder_sink {
    _private: [u8; 0],
}

/// The longest reason, in bytes; the rest is cut off.
const LONGEST_REASON: usize = 1000;

/// Adds bytes to what a function of a plug-in writes.
///
/// A write that fails makes the call fail whatever the function answers, so its status needs a look only where it saves
/// work.
///
/// @param sink what the function was given
/// @param data the bytes; copied. NULL only with a length of 0
/// @param len their number
/// @return LARDER_OK; LARDER_ETOOBIG beyond the alias's MAX_VALUE_BYTES (for keys 16 MiB); LARDER_EMEMORY; LARDER_EINVAL, also
///         where keys are wanted; LARDER_EHANDLE for NULL, another thread's sink, and one of a call that has returned
///
/// Blocks: never. Threads: the one on which the function was called. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_sink_write(sink: *mut larder_sink, data: *const c_void, len: usize) -> larder_status {
    // SAFETY: the host passes bytes of their length.
    unsafe { add(sink, data, len, false) }
}

/// Tells one key: what the `scan` of a backend writes.
///
/// @param sink what the function was given
/// @param key the made key, in UTF-8; copied
/// @param key_len its length in bytes
/// @return as larder_sink_write; LARDER_EINVAL where bytes are wanted
///
/// Blocks: never. Threads: the one on which the function was called. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_sink_write_key(
    sink: *mut larder_sink,
    key: *const c_char,
    key_len: usize,
) -> larder_status {
    // SAFETY: the host passes a key of its length.
    unsafe { add(sink, key.cast(), key_len, true) }
}

unsafe fn add(sink: *mut larder_sink, data: *const c_void, len: usize, is_key: bool) -> larder_status {
    let body = || {
        // SAFETY: by this function's own contract.
        write(sink as u64, unsafe { bytes(data, len, "data") }, is_key)?;
        Ok(LARDER_OK)
    };
    // SAFETY: there is no place for an error.
    unsafe { guard(std::ptr::null_mut(), body) }
}

/// Says why the function of a plug-in that is running on this thread is going to fail: the error that larder's caller gets
/// then has these words in it. Never put a password, a key or a value into it.
///
/// @param reason UTF-8 text, best without a capital letter and a full stop; copied, and cut after 1000 bytes
/// @param reason_len its length in bytes
/// @return LARDER_OK; LARDER_EINVAL for what is not UTF-8; LARDER_EHANDLE outside of a plug-in's function
///
/// Blocks: never. Threads: the one on which the function was called. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_plugin_reason(reason: *const c_char, reason_len: usize) -> larder_status {
    let body = || {
        // SAFETY: the host passes a text of its length.
        let text = unsafe { text(reason, reason_len, "reason") }?;
        let told = explain(&one_line(text)?);
        let outside = || Error::new(Kind::Handle, "no function of a plug-in is running on this thread");
        told.then_some(LARDER_OK).ok_or_else(outside)
    };
    // SAFETY: there is no place for an error.
    unsafe { guard(std::ptr::null_mut(), body) }
}

/// A reason that messages can have in them.
pub(super) fn one_line(text: &str) -> Result<String> {
    let cut = text.get(..text.floor_char_boundary(LONGEST_REASON)).unwrap_or(text);
    let line: String = cut.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.trim().is_empty() { Err(invalid("the reason says nothing")) } else { Ok(line) }
}
