//! Operations on several keys, synchronous.

use std::ffi::{c_char, c_void};

use super::argument::{self, array, array_mut, larder_call, texts};
use super::error::larder_error;
use super::guard::guard;
use super::status::{LARDER_NOT_KEPT, LARDER_OK, larder_status};
use super::store::{borrow, larder_store};
use super::value::larder_value;
use crate::codec::Input;
use crate::error::Result;
use crate::store::Call;

unsafe fn plain_call<'a>(call: *const larder_call) -> Result<Call<'a>> {
    // SAFETY: the host passes NULL or a call.
    Ok(unsafe { argument::call(call) }?.0)
}

/// Keys and their values to store.
///
/// # Safety
/// Each array has `n` elements, and each pointer what its length says, as long as the borrow lasts.
pub(crate) unsafe fn inputs<'a>(
    (keys, key_lens): (*const *const c_char, *const usize),
    (values, value_lens): (*const *const c_void, *const usize),
    n: usize,
    format: i32,
) -> Result<Vec<(&'a str, Input<'a>)>> {
    // SAFETY: by this function's own contract.
    unsafe {
        let keys = texts(keys, key_lens, n)?;
        let (values, lens) = (array(values, n, "values")?, array(value_lens, n, "value_lens")?);
        let pairs = keys.iter().zip(values.iter().zip(lens));
        pairs.map(|(key, (value, len))| Ok((*key, argument::input(*value, *len, format)?))).collect()
    }
}

/// Gets several values, in one round trip to each server.
///
/// @param store the store
/// @param keys `n` pointers to UTF-8 texts
/// @param key_lens their lengths in bytes
/// @param n how many
/// @param call NULL, or version, deadline and flags of this call
/// @param values `n` places; each receives a value, to be released, or NULL on a miss; all NULL on failure
/// @param found NULL, or receives how many there were
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK, however many there were; LARDER_IGNORED; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN;
///         LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY; LARDER_EUNDECODABLE for
///         a broken file or row
///
/// Blocks: up to the call's deadline. Threads: any. Owns: the caller owns the values. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_get_many(
    store: *const larder_store,
    keys: *const *const c_char,
    key_lens: *const usize,
    n: usize,
    call: *const larder_call,
    values: *mut *mut larder_value,
    found: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            if let Some(found) = found.as_mut() {
                *found = 0;
            }
            let places = array_mut(values, n, "values")?;
            places.fill(std::ptr::null_mut());
            let open = borrow(store)?;
            let got = open.store.get_many(&texts(keys, key_lens, n)?, &plain_call(call)?)?;
            let mut count = 0;
            for (place, value) in places.iter_mut().zip(got) {
                if let Some(value) = value {
                    *place = larder_value::into_raw(value);
                    count += 1;
                }
            }
            if let Some(found) = found.as_mut() {
                *found = count;
            }
            Ok(LARDER_OK)
        })
    }
}

/// Sets several values with one time to live, in one round trip to each server (to a database in few).
///
/// @param store the store
/// @param keys `n` pointers to UTF-8 texts
/// @param key_lens their lengths in bytes
/// @param values `n` pointers to the values' bytes, by `format`; only read during the call
/// @param value_lens their lengths
/// @param n how many
/// @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED, for all of them
/// @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
/// @param call NULL, or version, deadline and flags of this call; NX and XX are refused
/// @param failed NULL, or `n` places; each receives 1 when that value is not known to be stored, else 0
/// @param err NULL, or receives the first failure, to be released
/// @return LARDER_OK when all are stored; LARDER_NOT_KEPT for a time to live of 0 or less; LARDER_IGNORED; otherwise
///         the status of the first failure, while the values that are not marked in `failed` are stored
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_set_many(
    store: *const larder_store,
    keys: *const *const c_char,
    key_lens: *const usize,
    values: *const *const c_void,
    value_lens: *const usize,
    n: usize,
    format: i32,
    ttl_ms: i64,
    call: *const larder_call,
    failed: *mut u8,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let marks = if failed.is_null() { &mut [][..] } else { array_mut(failed, n, "failed")? };
            marks.fill(1);
            let open = borrow(store)?;
            let (call, when) = argument::call(call)?;
            if when != crate::backend::When::Always {
                return Err(argument::invalid("several values cannot be set with NX or XX"));
            }
            let inputs = inputs((keys, key_lens), (values, value_lens), n, format)?;
            let ttl = argument::ttl(ttl_ms);
            let failures = open.store.set_many(&inputs, ttl, &call)?;
            for (mark, failure) in marks.iter_mut().zip(&failures) {
                *mark = u8::from(failure.is_some());
            }
            match failures.into_iter().flatten().next() {
                Some(first) => Err(first),
                None if n > 0 && open.store.is_spent(ttl) => Ok(LARDER_NOT_KEPT),
                None => Ok(LARDER_OK),
            }
        })
    }
}

/// Removes several keys, in one round trip to each server.
///
/// @param store the store
/// @param keys `n` pointers to UTF-8 texts
/// @param key_lens their lengths in bytes
/// @param n how many
/// @param call NULL, or version, deadline and flags of this call
/// @param removed NULL, or receives how many there were
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK, however many there were; LARDER_IGNORED; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN;
///         LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER; LARDER_EMEMORY
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_delete_many(
    store: *const larder_store,
    keys: *const *const c_char,
    key_lens: *const usize,
    n: usize,
    call: *const larder_call,
    removed: *mut u64,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            if let Some(removed) = removed.as_mut() {
                *removed = 0;
            }
            let open = borrow(store)?;
            let count = open.store.delete_many(&texts(keys, key_lens, n)?, &plain_call(call)?)?;
            if let Some(removed) = removed.as_mut() {
                *removed = count;
            }
            Ok(LARDER_OK)
        })
    }
}
