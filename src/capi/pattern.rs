//! Removing keys by a pattern.

use std::ffi::{c_char, c_void};

use super::argument::{self, larder_call};
use super::callback::{begin, larder_completion_fn, larder_op};
use super::error::larder_error;
use super::event::To;
use super::guard::guard;
use super::operation::asked;
use super::status::{LARDER_OK, larder_status};
use super::store::larder_store;
use crate::store::Operation;

/// Removes the keys of this alias's prefix and the call's version that match a pattern, as larder_keys would list them.
/// A Redis server is never blocked: it is asked for about 1000 keys at a time, and those that match are unlinked, while
/// others' commands come in between. What is written meanwhile may stay or go.
///
/// A large key space takes longer than the alias's deadline mostly allows: give the call one of its own. What was removed
/// before a failure stays removed, and the same call again removes the others.
///
/// @param store the store
/// @param pattern UTF-8 text, as larder_keys takes it; with LARDER_CALL_FINAL_KEY over the keys as the server has them
/// @param pattern_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param deleted NULL, or receives how many keys were removed, 0 on failure (django-redis tells how many were listed,
///        which can be more). A connection that breaks meanwhile can make it less than it was
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK, also when nothing matched; LARDER_IGNORED; LARDER_EUNSUPPORTED when the backend cannot list keys;
///         LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT;
///         LARDER_ESERVER; LARDER_EMEMORY
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_delete_pattern(
    store: *const larder_store,
    pattern: *const c_char,
    pattern_len: usize,
    call: *const larder_call,
    deleted: *mut u64,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            if let Some(place) = deleted.as_mut() {
                *place = 0;
            }
            let pattern = argument::key(pattern, pattern_len, "pattern")?;
            let count =
                asked((store, std::ptr::null(), 0, call), |open, _, call, _| open.store.delete_pattern(pattern, call))?;
            if let Some(place) = deleted.as_mut() {
                *place = count;
            }
            Ok(LARDER_OK)
        })
    }
}

/// Removes the keys that match a pattern, later. See larder_delete_pattern.
///
/// @param store the store
/// @param pattern a Redis glob pattern; only read during this call
/// @param pattern_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK with how many were removed as a value, LARDER_IGNORED, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_delete_pattern_cb(
    store: *const larder_store,
    pattern: *const c_char,
    pattern_len: usize,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            Ok(Operation::DeletePattern { pattern: argument::key(pattern, pattern_len, "pattern")? })
        })
    }
}
