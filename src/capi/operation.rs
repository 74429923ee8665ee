//! Operations on one key, synchronous. Each function here is literal, since cbindgen does not see through macros, and
//! short: check, borrow, call the store, hand out.

use std::ffi::{c_char, c_void};

use num_traits::ToPrimitive;

use super::argument::{self, Buffer, larder_call, out};
use super::error::larder_error;
use super::guard::guard;
use super::status::{
    LARDER_LOSSY, LARDER_MISS, LARDER_NOT_KEPT, LARDER_NOT_STORED, LARDER_OK, LARDER_TRUNCATED, larder_status,
};
use super::store::{OpenStore, borrow, larder_store};
use super::value::larder_value;
use crate::backend::{Touched, When, Written};
use crate::error::Result;
use crate::store::Call;
use crate::timeout::Ttl;
use crate::value::Number;

/// What the host asks: its store, key and call, checked.
pub(crate) unsafe fn asked<'a, T>(
    (store, key, key_len, call): (*const larder_store, *const c_char, usize, *const larder_call),
    answer: impl FnOnce(&OpenStore, &'a str, &Call<'a>, When) -> Result<T>,
) -> Result<T> {
    let store = borrow(store)?;
    // SAFETY: the host passes a key of its length, and NULL or a call.
    let (key, (call, when)) = unsafe { (argument::key(key, key_len, "key")?, argument::call(call)?) };
    answer(&store, key, &call, when)
}

/// The status of a write.
pub fn written(written: Written) -> larder_status {
    match written {
        Written::Stored => LARDER_OK,
        Written::NotStored => LARDER_NOT_STORED,
        Written::NotKept => LARDER_NOT_KEPT,
    }
}

/// The status of a change of the time to live.
pub fn touched(touched: Touched) -> larder_status {
    match touched {
        Touched::Changed => LARDER_OK,
        Touched::Missing => LARDER_MISS,
        Touched::NotKept => LARDER_NOT_KEPT,
    }
}

/// The status of a look for a key.
pub fn found(found: bool) -> larder_status {
    if found { LARDER_OK } else { LARDER_MISS }
}

/// Gets a value.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param value receives the value, to be released; NULL on a miss and on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS; LARDER_IGNORED; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO;
///         LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY; LARDER_ETOOBIG; LARDER_EUNDECODABLE
///         for a broken file or row
///
/// Blocks: up to the call's deadline. Threads: any. Owns: the caller owns the value. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_get(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    call: *const larder_call,
    value: *mut *mut larder_value,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let place = out(value, "value")?;
            *place = std::ptr::null_mut();
            let got = asked((store, key, key_len, call), |open, key, call, _| open.store.get(key, call))?;
            Ok(match got {
                Some(value) => {
                    *place = larder_value::into_raw(value);
                    LARDER_OK
                }
                None => LARDER_MISS,
            })
        })
    }
}

/// Copies the bytes of a `bytes` value, or the UTF-8 text of a `str`, into a buffer of the caller's: the fastest way to
/// read a small value.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param buffer receives the bytes, without a terminator; NULL only with a capacity of 0
/// @param capacity its size in bytes
/// @param needed NULL, or receives the length of the value in bytes; 0 on a miss
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS; LARDER_LOSSY as larder_value_bytes and larder_value_text; LARDER_TRUNCATED when
///         the buffer is too small, with nothing written to it; LARDER_IGNORED; LARDER_ETYPE for other kinds of
///         values; LARDER_EUNDECODABLE; LARDER_ETOOBIG; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO;
///         LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_get_into(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    call: *const larder_call,
    buffer: *mut c_void,
    capacity: usize,
    needed: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let mut buffer = Buffer::new(buffer, capacity, needed)?;
            let mut status = LARDER_MISS;
            asked((store, key, key_len, call), |open, key, call, _| {
                open.store.read(key, call, &mut |bytes| {
                    status = match buffer.fill(bytes.shown) {
                        false => LARDER_TRUNCATED,
                        true if bytes.lossy => LARDER_LOSSY,
                        true => LARDER_OK,
                    };
                })
            })?;
            Ok(status)
        })
    }
}

/// Sets a value. Where it fails the old value stays, unless the server carried it out without telling; memcached also
/// removes the old value where the new one is larger than it takes (LARDER_ETOOBIG).
///
/// The flags LARDER_CALL_NX and LARDER_CALL_XX make it conditional.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param value the value's bytes, by `format`; only read during the call
/// @param value_len their length
/// @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED
/// @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
/// @param call NULL, or version, deadline and flags of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_NOT_STORED; LARDER_NOT_KEPT; LARDER_IGNORED; LARDER_ETOOBIG; LARDER_EINVAL;
///         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER;
///         LARDER_EMEMORY; LARDER_EUNDECODABLE for a broken file or row
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_set(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    format: i32,
    ttl_ms: i64,
    call: *const larder_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let (input, ttl) = (argument::input(value, value_len, format)?, argument::ttl(ttl_ms));
            asked((store, key, key_len, call), |open, key, call, when| open.store.set(key, input, ttl, when, call))
                .map(written)
        })
    }
}

/// Sets a value where there is none: one of several callers wins.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param value the value's bytes, by `format`; only read during the call
/// @param value_len their length
/// @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED
/// @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
/// @param call NULL, or version, deadline and flags of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_NOT_STORED; LARDER_NOT_KEPT; LARDER_IGNORED; LARDER_ETOOBIG; LARDER_EINVAL;
///         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER;
///         LARDER_EMEMORY; LARDER_EUNDECODABLE for a broken file or row
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_add(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    format: i32,
    ttl_ms: i64,
    call: *const larder_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let (input, ttl) = (argument::input(value, value_len, format)?, argument::ttl(ttl_ms));
            asked((store, key, key_len, call), |open, key, call, when| {
                open.store.set(key, input, ttl, argument::when_of_add(when)?, call)
            })
            .map(written)
        })
    }
}

/// Gives a key another time to live, counted from now (Django's touch).
///
/// As in Django: on Redis LARDER_TTL_FOREVER answers LARDER_MISS for a key that already never expires, and a database
/// cache revives a row that is over and has not been removed yet.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
/// @param call NULL, or version, deadline and flags of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS; LARDER_NOT_KEPT when the key was there and is gone; LARDER_EINVAL;
///         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER;
///         LARDER_EMEMORY; LARDER_EUNDECODABLE for a broken file or row
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_expire(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    ttl_ms: i64,
    call: *const larder_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let ttl = argument::ttl(ttl_ms);
            asked((store, key, key_len, call), |open, key, call, _| open.store.touch(key, ttl, call)).map(touched)
        })
    }
}

/// Makes a key never expire.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS, on Redis also when the key already never expires; LARDER_EUNSUPPORTED;
///         LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT;
///         LARDER_ESERVER; LARDER_EMEMORY; LARDER_EUNDECODABLE for a broken file or row
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_persist(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    call: *const larder_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            asked((store, key, key_len, call), |open, key, call, _| open.store.persist(key, call)).map(touched)
        })
    }
}

/// Tells what is left of a key's time to live.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param ttl_ms receives it in ms, LARDER_TTL_FOREVER for a key that never expires, 0 on a miss
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS; LARDER_EUNSUPPORTED; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO;
///         LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY; LARDER_EUNDECODABLE for a broken
///         file or row
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_ttl(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    call: *const larder_call,
    ttl_ms: *mut i64,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let place = out(ttl_ms, "ttl_ms")?;
            *place = 0;
            let left = asked((store, key, key_len, call), |open, key, call, _| open.store.ttl(key, call))?;
            let Some(left) = left else { return Ok(LARDER_MISS) };
            *place = self::ttl_ms(left);
            Ok(LARDER_OK)
        })
    }
}

/// Removes a key. As in Django, the in-memory, the file and the database backend count an expired entry that is still
/// lying there.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS; LARDER_IGNORED; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO;
///         LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_delete(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    call: *const larder_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || asked((store, key, key_len, call), |open, key, call, _| open.store.delete(key, call)).map(found))
    }
}

/// Whether a key is there.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS; LARDER_IGNORED; LARDER_EUNDECODABLE for a broken file or row; LARDER_EINVAL;
///         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER;
///         LARDER_EMEMORY
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_has(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    call: *const larder_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || asked((store, key, key_len, call), |open, key, call, _| open.store.has(key, call)).map(found))
    }
}

/// Adds to a number; a negative delta subtracts.
///
/// Redis and memcached add in the server and keep the time to live; so do the in-memory backend and diskcache, atomically.
/// The file and the database backend read, add and set with the alias's TIMEOUT, as Django does: not atomic. Where Python
/// adds, the number may be a float or larger than 64 bits. memcached only knows 0 to 2**64 - 1: below 0 it stops at 0,
/// beyond the end it begins anew.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param delta what to add
/// @param call NULL, or version, deadline and flags of this call
/// @param result NULL, or receives the new number; 0 unless there is one
/// @param value NULL, or receives the new number as a value, to be released: whole, whatever its size
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS; LARDER_LOSSY when `result` cannot hold the new number (a float, or more than 64
///         bits): it then has the nearest; LARDER_IGNORED; LARDER_ETYPE when the stored value is no number (core
///         redis: no whole number of 64 bits; memcached: no digits); LARDER_EINVAL; LARDER_EHANDLE;
///         LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY;
///         LARDER_EUNDECODABLE for a broken file or row
///
/// Blocks: up to the call's deadline. Threads: any. Owns: the caller owns the value. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_incr(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    delta: i64,
    call: *const larder_call,
    result: *mut i64,
    value: *mut *mut larder_value,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            if let Some(place) = value.as_mut() {
                *place = std::ptr::null_mut();
            }
            if let Some(place) = result.as_mut() {
                *place = 0;
            }
            let delta = Number::Int(delta.into());
            let sum = asked((store, key, key_len, call), |open, key, call, _| {
                let Some(sum) = open.store.incr(key, &delta, call)? else { return Ok(None) };
                let shown = if value.is_null() { None } else { Some(open.store.value_of(&sum)?) };
                Ok(Some((sum, shown)))
            })?;
            let Some((sum, shown)) = sum else { return Ok(LARDER_MISS) };
            if let (Some(place), Some(shown)) = (value.as_mut(), shown) {
                *place = larder_value::into_raw(shown);
            }
            let Some(place) = result.as_mut() else { return Ok(LARDER_OK) };
            let (number, exact) = nearest(&sum);
            *place = number;
            Ok(if exact { LARDER_OK } else { LARDER_LOSSY })
        })
    }
}

/// Moves a value to another version: `delta` further than the call's version, or the alias's. The old key stays until
/// the new one is written. django-redis keeps the time to live, the others set the alias's TIMEOUT anew, as in Django.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param delta what to add to the version; negative goes back
/// @param call NULL, or version, deadline and flags of this call
/// @param version NULL, or receives the new version; 0 unless there is one
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS; LARDER_IGNORED; LARDER_EINVAL when the version is no number, or the key the same;
///         LARDER_EHANDLE; LARDER_EUNDECODABLE;
///         LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_incr_version(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    delta: i64,
    call: *const larder_call,
    version: *mut i64,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            if let Some(place) = version.as_mut() {
                *place = 0;
            }
            let moved =
                asked((store, key, key_len, call), |open, key, call, _| open.store.incr_version(key, delta, call))?;
            let Some(next) = moved else { return Ok(LARDER_MISS) };
            if let Some(place) = version.as_mut() {
                *place = next;
            }
            Ok(LARDER_OK)
        })
    }
}

/// A time to live in ms, as it is handed out.
pub fn ttl_ms(left: Ttl) -> i64 {
    match left {
        Ttl::Forever => argument::LARDER_TTL_FOREVER,
        Ttl::Millis(ms) => ms.min(argument::LARDER_TTL_FOREVER - 1),
    }
}

/// The whole number that comes nearest, and whether it is the same.
pub fn nearest(number: &Number) -> (i64, bool) {
    match number {
        Number::Int(number) => match number.to_i64() {
            Some(exact) => (exact, true),
            None if number.sign() == num_bigint::Sign::Minus => (i64::MIN, false),
            None => (i64::MAX, false),
        },
        #[allow(clippy::cast_possible_truncation, reason = "saturates, which is what is wanted")]
        Number::Float(number) => (number.round() as i64, false),
    }
}
