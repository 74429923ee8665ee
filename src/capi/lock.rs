//! Locks on a Redis server, shared with redis-py's `Lock` and django-redis' `cache.lock` (DR-27).

use std::ffi::{c_char, c_void};
use std::time::Duration;

use super::argument::{self, invalid, larder_call, out};
use super::callback::{begin, larder_completion_fn, larder_op};
use super::error::larder_error;
use super::event::To;
use super::guard::guard;
use super::operation::{asked, found};
use super::status::{LARDER_NOT_STORED, LARDER_OK, larder_status};
use super::store::larder_store;
use super::value::larder_value;
use crate::error::Result;
use crate::store::Operation;

/// `how` of larder_lock_extend: so much longer than what is left.
pub const LARDER_EXTEND_ADD: i32 = 0;
/// `how` of larder_lock_extend: so long from now on.
pub const LARDER_EXTEND_REPLACE: i32 = 1;

/// How long a lock is waited for; `None`: as long as the call may take.
pub(crate) fn wait(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

/// Whether a time replaces what is left.
pub(crate) fn replaces(how: i64) -> Result<bool> {
    match how {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(invalid(format!("{other} is no way to extend; LARDER_EXTEND_ADD and LARDER_EXTEND_REPLACE are"))),
    }
}

/// A host's token.
///
/// # Safety
/// As [`argument::bytes`].
unsafe fn token<'a>(data: *const c_char, len: usize) -> Result<&'a [u8]> {
    // SAFETY: by this function's own contract.
    unsafe { argument::bytes(data.cast(), len, "token") }
}

/// Takes a lock: the same that cache.lock(...) of django-redis and Lock of redis-py take, so that their processes and
/// these keep each other out. The key is made like any other. Only Redis has locks, and a plug-in's backend that brings
/// its own.
///
/// The token is what makes the lock the caller's: larder_unlock and larder_lock_extend want it. Whoever has it may use
/// it, in any thread or process.
///
/// A lock keeps others out until it is unlocked or its time is over. Give it a time: one that never expires stays for ever
/// when its owner dies. Whoever works longer than that has to extend it, or has lost it. And a server that loses data, as
/// when a replica takes over, loses locks too.
///
/// When a call fails although the server may have taken the lock for it, larder lets go of it again, if need be
/// after the call has ended.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param ttl_ms for how long, in ms, more than 0; LARDER_TTL_FOREVER: until it is unlocked. There is no default:
///        LARDER_TTL_DEFAULT is LARDER_EINVAL
/// @param wait_ms how long to wait while somebody else holds it, trying again every 100 ms at the latest; 0: one attempt;
///        negative: as long as the call may take, which is the limit in any case. The deadline of the alias is
///        mostly too short for that: give the call one of its own
/// @param call NULL, or version, deadline and flags of this call
/// @param token receives the token, a text of 32 hexadecimal digits, to be released; NULL when it is not held
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_NOT_STORED while somebody else holds it; LARDER_EUNSUPPORTED; LARDER_EINVAL;
///         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY;
///         never LARDER_IGNORED
///
/// Blocks: up to the call's deadline. Threads: any. Owns: the caller owns the token. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_lock(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    ttl_ms: i64,
    wait_ms: i64,
    call: *const larder_call,
    token: *mut *mut larder_value,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let place = out(token, "token")?;
            *place = std::ptr::null_mut();
            let held = asked((store, key, key_len, call), |open, key, call, _| {
                let goes_on = || !open.context.is_shut_down();
                open.store.lock(key, argument::ttl(ttl_ms), wait(wait_ms), call, goes_on)
            })?;
            Ok(match held {
                Some(value) => {
                    *place = larder_value::into_raw(value);
                    LARDER_OK
                }
                None => LARDER_NOT_STORED,
            })
        })
    }
}

/// Lets go of a lock.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param token the token of larder_lock, or of a Python process; any bytes
/// @param token_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS when this token does not hold the lock (any more): its time was over, and
///         perhaps somebody else has it, who keeps it; LARDER_EUNSUPPORTED; LARDER_EINVAL; LARDER_EHANDLE;
///         LARDER_ESHUTDOWN; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY; never LARDER_IGNORED
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_unlock(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    token: *const c_char,
    token_len: usize,
    call: *const larder_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let token = self::token(token, token_len)?;
            asked((store, key, key_len, call), |open, key, call, _| open.store.unlock(key, token, call)).map(found)
        })
    }
}

/// Gives a lock that is held more time.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param token the token of larder_lock, or of a Python process; any bytes
/// @param token_len its length in bytes
/// @param ttl_ms the time in ms, more than 0
/// @param how LARDER_EXTEND_ADD: so much longer than what is left, as redis-py's extend(); LARDER_EXTEND_REPLACE: so long
///        from now on, as reacquire()
/// @param call NULL, or version, deadline and flags of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS when this token does not hold the lock (any more), and for LARDER_EXTEND_ADD when the
///         lock never expires, as in redis-py; otherwise as larder_unlock
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_lock_extend(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    token: *const c_char,
    token_len: usize,
    ttl_ms: i64,
    how: i32,
    call: *const larder_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let (token, replace) = (self::token(token, token_len)?, replaces(how.into())?);
            let extended = asked((store, key, key_len, call), |open, key, call, _| {
                open.store.extend_lock(key, token, argument::ttl(ttl_ms), replace, call)
            });
            extended.map(found)
        })
    }
}

/// Takes a lock later. Waiting for it costs no thread, and holds up no other operation on the key; larder_cancel and
/// larder_shutdown end it. A lock that is taken although nobody waits for it any more is let go of again. See larder_lock.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param ttl_ms for how long, in ms, more than 0; LARDER_TTL_FOREVER: until it is unlocked
/// @param wait_ms how long to wait while somebody else holds it; 0: one attempt; negative: as long as the call may take
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK with the token as a value, LARDER_NOT_STORED, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb; LARDER_EUNSUPPORTED
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_lock_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    ttl_ms: i64,
    wait_ms: i64,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            let key = argument::key(key, key_len, "key")?;
            Ok(Operation::Lock { key, ttl: argument::ttl(ttl_ms), wait: wait(wait_ms) })
        })
    }
}

/// Lets go of a lock later. See larder_unlock.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param token the token; only read during this call
/// @param token_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK, LARDER_MISS, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb; LARDER_EUNSUPPORTED
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_unlock_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    token: *const c_char,
    token_len: usize,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            let token = self::token(token, token_len)?;
            Ok(Operation::Unlock { key: argument::key(key, key_len, "key")?, token })
        })
    }
}

/// Gives a lock that is held more time, later. See larder_lock_extend.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param token the token; only read during this call
/// @param token_len its length in bytes
/// @param ttl_ms the time in ms, more than 0
/// @param how LARDER_EXTEND_ADD or LARDER_EXTEND_REPLACE
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK, LARDER_MISS, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb; LARDER_EUNSUPPORTED
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_lock_extend_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    token: *const c_char,
    token_len: usize,
    ttl_ms: i64,
    how: i32,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            let (key, token) = (argument::key(key, key_len, "key")?, self::token(token, token_len)?);
            let replace = replaces(how.into())?;
            Ok(Operation::ExtendLock { key, token, ttl: argument::ttl(ttl_ms), replace })
        })
    }
}
