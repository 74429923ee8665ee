//! Expiry at a moment.

use std::ffi::{c_char, c_void};

use super::argument::{self, larder_call};
use super::callback::{begin, larder_completion_fn, larder_op};
use super::error::larder_error;
use super::event::To;
use super::guard::guard;
use super::operation::{asked, touched};
use super::status::larder_status;
use super::store::larder_store;
use crate::store::Operation;

/// Makes a key expire at a moment, as expire_at() and pexpire_at() of django-redis. On Redis the server's clock decides, to
/// the millisecond in both flavours; elsewhere it is larder_expire with the time that is left by this machine's clock.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param at_ms the moment in ms since 1970 (Unix time, which has no time zone): `LARDER_SECONDS(time(NULL)) + 500`
/// @param call NULL, or version, deadline and flags of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS when there is no such key; LARDER_NOT_KEPT when the moment is past and the key gone;
///         otherwise as larder_expire
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_expire_at(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    at_ms: i64,
    call: *const larder_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let done = asked((store, key, key_len, call), |open, key, call, _| open.store.expire_at(key, at_ms, call));
            done.map(touched)
        })
    }
}

/// Makes a key expire at a moment, later. See larder_expire_at.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param at_ms the moment in ms since 1970
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK, LARDER_MISS, LARDER_NOT_KEPT, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_expire_at_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    at_ms: i64,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            Ok(Operation::ExpireAt { key: argument::key(key, key_len, "key")?, at_ms })
        })
    }
}
