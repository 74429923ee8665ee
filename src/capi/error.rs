//! `larder_error`: why a call failed. A reference-counted object behind a real pointer.

use std::ffi::{CStr, CString, c_char};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::status::{LARDER_EHANDLE, larder_status, of};
use crate::error::Error;

/// Why a call failed. Read by any thread; shared by retain and release.
pub struct larder_error {
    status: larder_status,
    message: CString,
    retriable: bool,
}

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// How many errors are held by hosts.
pub(crate) fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

impl larder_error {
    /// The object for a failure.
    pub fn new(error: &Error) -> Arc<Self> {
        let message: Vec<u8> = error.to_string().into_bytes().into_iter().filter(|byte| *byte != 0).collect();
        LIVE.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            status: of(error.kind()),
            message: CString::new(message).unwrap_or_default(),
            retriable: error.is_retriable(),
        })
    }

    /// Hands a failure out through `err`, if the host wants it.
    ///
    /// # Safety
    /// `err` is NULL or can be written.
    pub unsafe fn hand_out(error: &Error, err: *mut *mut Self) {
        if !err.is_null() {
            // SAFETY: by this function's own contract.
            unsafe { *err = Arc::into_raw(Self::new(error)).cast_mut() };
        }
    }
}

impl Drop for larder_error {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The status of a failure: the same number that the failing call answered.
///
/// @param error borrowed; NULL gives LARDER_EHANDLE
/// @return a negative status
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_error_status(error: *const larder_error) -> larder_status {
    // SAFETY: the host passes NULL or an error that it holds.
    unsafe { error.as_ref() }.map_or(LARDER_EHANDLE, |error| error.status)
}

/// What was being done, to which alias and server, why it failed, whether a retry can help: one line for people.
/// It never holds a password or a value.
///
/// @param error borrowed; NULL gives an empty text
/// @return a text that lives as long as the error
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_error_message(error: *const larder_error) -> *const c_char {
    const NOTHING: &CStr = c"";
    // SAFETY: the host passes NULL or an error that it holds.
    unsafe { error.as_ref() }.map_or(NOTHING.as_ptr(), |error| error.message.as_ptr())
}

/// Whether trying the same again can help.
///
/// @param error borrowed; NULL gives 0
/// @return 1 or 0
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_error_retriable(error: *const larder_error) -> i32 {
    // SAFETY: the host passes NULL or an error that it holds.
    unsafe { error.as_ref() }.map_or(0, |error| i32::from(error.retriable))
}

/// Shares an error: one more release is needed. For callbacks, which only borrow theirs.
///
/// @param error borrowed; NULL is harmless
/// @return the same error, to be released by the caller; NULL for NULL
///
/// Blocks: never. Threads: any. Owns: the caller owns what is returned. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_error_retain(error: *const larder_error) -> *mut larder_error {
    if !error.is_null() {
        // SAFETY: the host passes an error that it holds or borrows, so its count is at least one.
        unsafe { Arc::increment_strong_count(error) };
    }
    error.cast_mut()
}

/// Releases an error; with the last release it is gone.
///
/// @param error taken; NULL is harmless
///
/// Blocks: never. Threads: any. Owns: takes the caller's share. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_error_release(error: *mut larder_error) {
    if !error.is_null() {
        // SAFETY: the host gives back a share that it was given by `hand_out` or retain.
        unsafe { Arc::decrement_strong_count(error.cast_const()) };
    }
}
