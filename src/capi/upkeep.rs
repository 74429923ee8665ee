//! Operations on a store as a whole, and the check of a key.

use std::ffi::c_char;

use super::argument::{self, Buffer, larder_call};
use super::error::larder_error;
use super::guard::guard;
use super::operation::asked;
use super::status::{LARDER_EMPTY, LARDER_OK, LARDER_TRUNCATED, larder_status};
use super::store::larder_store;
use crate::error::Result;
use crate::store::Scope;

/// `scope` of larder_clear: the keys under this alias's KEY_PREFIX and the call's version.
pub const LARDER_CLEAR_PREFIX: i32 = 1;
/// `scope` of larder_clear: everything that the backend holds, whoever wrote it (a whole Redis database, a whole
/// directory or table, all of the memcached servers), as Django's clear() does.
pub const LARDER_CLEAR_EVERYTHING: i32 = 2;

/// Tells what Django would warn about a key, without touching the cache: that memcached would refuse it. One warning a
/// line. django-redis and diskcache never check keys, so there is nothing to warn about; memcached aliases do not
/// warn either, they refuse such keys with LARDER_EINVAL.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param buffer receives UTF-8 text without a terminator; NULL only with a capacity of 0
/// @param capacity its size in bytes
/// @param needed NULL, or receives the length of the text in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK with a text; LARDER_EMPTY when there is nothing to warn about; LARDER_TRUNCATED; LARDER_EINVAL;
///         LARDER_EHANDLE; LARDER_ESHUTDOWN
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_check_key(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    call: *const larder_call,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let mut buffer = Buffer::new(buffer.cast(), capacity, needed)?;
            let warnings =
                asked((store, key, key_len, call), |open, key, call, _| Ok(open.store.check_key(key, call)))?;
            if !buffer.fill(warnings.join("\n").as_bytes()) {
                return Ok(LARDER_TRUNCATED);
            }
            Ok(if warnings.is_empty() { LARDER_EMPTY } else { LARDER_OK })
        })
    }
}

/// Removes keys, by an explicit scope.
///
/// @param store the store
/// @param scope LARDER_CLEAR_PREFIX or LARDER_CLEAR_EVERYTHING
/// @param call NULL, or version, deadline and flags of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_IGNORED; LARDER_EUNSUPPORTED when the backend cannot tell its keys apart (files, whose
///         names are hashes, and memcached); LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO;
///         LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_clear(
    store: *const larder_store,
    scope: i32,
    call: *const larder_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let scope = self::scope(scope)?;
            asked((store, std::ptr::null(), 0, call), |open, _, call, _| open.store.clear(scope, call))?;
            Ok(LARDER_OK)
        })
    }
}

/// The scope of a clear.
pub(crate) fn scope(scope: i32) -> Result<Scope> {
    match scope {
        LARDER_CLEAR_PREFIX => Ok(Scope::Prefix),
        LARDER_CLEAR_EVERYTHING => Ok(Scope::Everything),
        other => Err(argument::invalid(format!("{other} is no scope"))),
    }
}

/// Removes expired entries, and what crashed writers left behind. Redis and memcached expire by themselves: there it does
/// nothing.
///
/// @param store the store
/// @param call NULL, or version, deadline and flags of this call
/// @param removed NULL, or receives how many were removed
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION;
///         LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_purge_expired(
    store: *const larder_store,
    call: *const larder_call,
    removed: *mut u64,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            if let Some(place) = removed.as_mut() {
                *place = 0;
            }
            let count = asked((store, std::ptr::null(), 0, call), |open, _, call, _| open.store.purge_expired(call))?;
            if let Some(place) = removed.as_mut() {
                *place = count;
            }
            Ok(LARDER_OK)
        })
    }
}

/// Whether the backend can be used now: one round trip to a server, a look at a directory.
///
/// @param store the store
/// @param call NULL, or version, deadline and flags of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION;
///         LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_store_ping(
    store: *const larder_store,
    call: *const larder_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            asked((store, std::ptr::null(), 0, call), |open, _, call, _| open.store.ping(call))?;
            Ok(LARDER_OK)
        })
    }
}
