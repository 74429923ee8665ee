//! The callback face: operations on several keys, and on a store as a whole.

use std::ffi::{c_char, c_void};

use super::argument::{self, larder_call};
use super::callback::{begin, larder_completion_fn, larder_event_fn, larder_op};
use super::error::larder_error;
use super::event::To;
use super::status::larder_status;
use super::store::larder_store;
use crate::store::Operation;

/// Gets several values later. See larder_get_many.
///
/// @param store the store
/// @param keys `n` pointers to UTF-8 texts; only read during the call
/// @param key_lens their lengths in bytes
/// @param n how many
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: an event with the values
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_get_many_cb(
    store: *const larder_store,
    keys: *const *const c_char,
    key_lens: *const usize,
    n: usize,
    call: *const larder_call,
    callback: larder_event_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        let mut texts = Vec::new();
        begin((store, call, op, err), To::Event(callback, user_data), |_| {
            texts = argument::texts(keys, key_lens, n)?;
            Ok(Operation::GetMany { keys: &texts })
        })
    }
}

/// Sets several values later, with one time to live. Unlike larder_set_many it refuses all of them when one cannot be
/// encoded. See larder_set_many.
///
/// @param store the store
/// @param keys `n` pointers to UTF-8 texts; only read during the call
/// @param key_lens their lengths in bytes
/// @param values `n` pointers to the values' bytes, by `format`; only read during the call
/// @param value_lens their lengths
/// @param n how many
/// @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED, for all of them
/// @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: an event that says which ones failed
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_set_many_cb(
    store: *const larder_store,
    keys: *const *const c_char,
    key_lens: *const usize,
    values: *const *const c_void,
    value_lens: *const usize,
    n: usize,
    format: i32,
    ttl_ms: i64,
    call: *const larder_call,
    callback: larder_event_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        let mut inputs = Vec::new();
        begin((store, call, op, err), To::Event(callback, user_data), |_| {
            inputs = super::many::inputs((keys, key_lens), (values, value_lens), n, format)?;
            Ok(Operation::SetMany { values: &inputs, ttl: argument::ttl(ttl_ms) })
        })
    }
}

/// Removes several keys later. See larder_delete_many.
///
/// @param store the store
/// @param keys `n` pointers to UTF-8 texts; only read during the call
/// @param key_lens their lengths in bytes
/// @param n how many
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK with how many there were as a value, LARDER_IGNORED, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_delete_many_cb(
    store: *const larder_store,
    keys: *const *const c_char,
    key_lens: *const usize,
    n: usize,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        let mut texts = Vec::new();
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            texts = argument::texts(keys, key_lens, n)?;
            Ok(Operation::DeleteMany { keys: &texts })
        })
    }
}

/// Lists the keys that match a pattern later, one page. See larder_keys.
///
/// @param store the store
/// @param pattern UTF-8 text, as of larder_keys; only read during the call
/// @param pattern_len its length in bytes
/// @param at where to begin: 0, or the `number` of the page before
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: an event with the keys of this page, which can be none, and where the next one
///         begins (0: this was the last)
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_keys_cb(
    store: *const larder_store,
    pattern: *const c_char,
    pattern_len: usize,
    at: i64,
    call: *const larder_call,
    callback: larder_event_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Event(callback, user_data), |_| {
            let pattern = argument::key(pattern, pattern_len, "pattern")?;
            Ok(Operation::Keys { pattern, at: at.cast_unsigned() })
        })
    }
}

/// Removes the keys of a scope later. See larder_clear.
///
/// @param store the store
/// @param scope LARDER_CLEAR_PREFIX or LARDER_CLEAR_EVERYTHING
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK, LARDER_IGNORED, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_clear_cb(
    store: *const larder_store,
    scope: i32,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            Ok(Operation::Clear { scope: super::upkeep::scope(scope)? })
        })
    }
}

/// Removes expired entries later. See larder_purge_expired.
///
/// @param store the store
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK with how many were removed as a value, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_purge_expired_cb(
    store: *const larder_store,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { begin((store, call, op, err), To::Completion(callback, user_data), |_| Ok(Operation::PurgeExpired)) }
}

/// Tells later whether the backend can be used. See larder_store_ping.
///
/// @param store the store
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_store_ping_cb(
    store: *const larder_store,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { begin((store, call, op, err), To::Completion(callback, user_data), |_| Ok(Operation::Ping)) }
}
