//! `larder_value`: a Python value. A reference-counted object behind a real pointer; decoded when first asked.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::argument::{self, out};
use super::error::larder_error;
use super::guard::{guard, quietly};
use super::status::{LARDER_EHANDLE, LARDER_EPANIC, LARDER_LOSSY, LARDER_MISS, LARDER_OK, larder_status, of};
use crate::error::{Error, Kind, Result};
use crate::store::{Shown, Value};
use crate::value::{Number, ValueKind};

/// A Python value as a cache holds it. Read by any thread; shared by retain and release.
pub struct larder_value {
    value: Value,
}

/// Kind of a value: Python's `None`.
pub const LARDER_KIND_NULL: i32 = 1;
/// Kind of a value: `bool`.
pub const LARDER_KIND_BOOL: i32 = 2;
/// Kind of a value: `int` of any size (as JSON up to 4300 digits, Python's own limit).
pub const LARDER_KIND_INT: i32 = 3;
/// Kind of a value: `float`.
pub const LARDER_KIND_FLOAT: i32 = 4;
/// Kind of a value: `str`, and Django's `SafeString`.
pub const LARDER_KIND_TEXT: i32 = 5;
/// Kind of a value: `bytes` and `bytearray`.
pub const LARDER_KIND_BYTES: i32 = 6;
/// Kind of a value: `list`, `tuple`, `set`, `frozenset`, `deque`.
pub const LARDER_KIND_LIST: i32 = 7;
/// Kind of a value: `dict`, `OrderedDict`, `defaultdict`, `Counter`.
pub const LARDER_KIND_DICT: i32 = 8;
/// Kind of a value: anything else, such as dates, decimals, UUIDs, instances of classes. Shown as data, never made.
pub const LARDER_KIND_OTHER: i32 = 9;

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// How many values are held by hosts.
pub(crate) fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

impl larder_value {
    /// The object for a value, as a pointer that the host owns.
    pub fn into_raw(value: Value) -> *mut Self {
        Arc::into_raw(Self::new(value)).cast_mut()
    }

    /// The object for a value.
    pub fn new(value: Value) -> Arc<Self> {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { value })
    }
}

impl Drop for larder_value {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

unsafe fn borrow<'a>(value: *const larder_value) -> Result<&'a Value> {
    // SAFETY: the host passes NULL or a value that it holds or borrows.
    let value = unsafe { value.as_ref() }.ok_or_else(|| Error::new(Kind::Handle, "the value is NULL"))?;
    Ok(&value.value)
}

/// Shows what `shown` finds in a value; nothing where it fails.
unsafe fn show<'a, T>(
    value: *const larder_value,
    (data, len): (*mut *const T, *mut usize),
    shown: impl FnOnce(&'a Value) -> Result<Shown<&'a [u8]>>,
) -> Result<larder_status> {
    // SAFETY: the host passes places that are NULL or can be written.
    let (data, len) = unsafe { (out(data, "the place for the pointer")?, out(len, "the place for the length")?) };
    (*data, *len) = (std::ptr::null(), 0);
    // SAFETY: the host passes NULL or a value that it holds or borrows.
    let shown = shown(unsafe { borrow(value) }?)?;
    (*data, *len) = (shown.shown.as_ptr().cast(), shown.shown.len());
    Ok(if shown.lossy { LARDER_LOSSY } else { LARDER_OK })
}

fn as_bytes(text: Shown<&str>) -> Shown<&[u8]> {
    Shown { shown: text.shown.as_bytes(), lossy: text.lossy }
}

/// What a value is.
///
/// @param value borrowed
/// @return LARDER_KIND_…; LARDER_EUNDECODABLE; LARDER_ETOOBIG; LARDER_EHANDLE for NULL
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_value_kind(value: *const larder_value) -> i32 {
    // SAFETY: the host passes NULL or a value that it holds or borrows.
    let kind = quietly(|| match unsafe { borrow(value) } {
        Ok(value) => value.kind().map_err(|error| of(error.kind())),
        Err(_) => Err(LARDER_EHANDLE),
    });
    match kind {
        Ok(Ok(kind)) => match kind {
            ValueKind::Null => LARDER_KIND_NULL,
            ValueKind::Bool => LARDER_KIND_BOOL,
            ValueKind::Int => LARDER_KIND_INT,
            ValueKind::Float => LARDER_KIND_FLOAT,
            ValueKind::Text => LARDER_KIND_TEXT,
            ValueKind::Bytes => LARDER_KIND_BYTES,
            ValueKind::List => LARDER_KIND_LIST,
            ValueKind::Dict => LARDER_KIND_DICT,
            ValueKind::Other => LARDER_KIND_OTHER,
        },
        Ok(Err(status)) => status,
        Err(_) => LARDER_EPANIC,
    }
}

/// The content of `bytes` or `bytearray` (lossy), without a copy.
///
/// @param value borrowed
/// @param bytes receives a pointer that lives as long as the value
/// @param len receives the length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_LOSSY; LARDER_ETYPE for other kinds; LARDER_EUNDECODABLE; LARDER_ETOOBIG; LARDER_EINVAL;
///         LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_value_bytes(
    value: *const larder_value,
    bytes: *mut *const c_void,
    len: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes a value that it holds, and places that are NULL or can be written.
    unsafe { guard(err, || show(value, (bytes, len), Value::bytes)) }
}

/// A text as UTF-8, without a copy where the stored form allows; dates, decimals and UUIDs as text too (lossy).
///
/// @param value borrowed
/// @param text receives a pointer that lives as long as the value; there is no terminator
/// @param len receives the length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return as larder_value_bytes
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_value_text(
    value: *const larder_value,
    text: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes a value that it holds, and places that are NULL or can be written.
    unsafe { guard(err, || show(value, (text, len), |value| value.text().map(as_bytes))) }
}

/// A whole number; a bool counts as 0 or 1 (lossy).
///
/// @param value borrowed
/// @param number receives it
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_LOSSY; LARDER_ETOOBIG beyond 64 bits (larder_value_json has all digits); LARDER_ETYPE for
///         other kinds; LARDER_EUNDECODABLE; LARDER_EINVAL; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_value_int64(
    value: *const larder_value,
    number: *mut i64,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes a value that it holds, and a place that is NULL or can be written.
        let place = unsafe { out(number, "number")? };
        *place = 0;
        // SAFETY: as above.
        let value = unsafe { borrow(value) }?;
        match value.number()? {
            Some(Number::Int(number)) => {
                *place = i64::try_from(&number).map_err(|_| {
                    Error::new(Kind::TooBig, "the number has more than 64 bits; larder_value_json has all digits")
                })?;
                Ok(if value.kind()? == ValueKind::Bool { LARDER_LOSSY } else { LARDER_OK })
            }
            Some(Number::Float(_)) => Err(Error::new(Kind::Type, "the value is a float; use larder_value_double")),
            None => Err(Error::new(Kind::Type, "the value is no number")),
        }
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// A number as a double; an int that a double cannot hold exactly is rounded (lossy), and so are ints in kind (lossy).
///
/// @param value borrowed
/// @param number receives it
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_LOSSY; LARDER_ETYPE for other kinds; LARDER_EUNDECODABLE; LARDER_EINVAL; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_value_double(
    value: *const larder_value,
    number: *mut f64,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes a value that it holds, and a place that is NULL or can be written.
        let place = unsafe { out(number, "number")? };
        *place = 0.0;
        // SAFETY: as above.
        let value = unsafe { borrow(value) }?;
        let found = value.number()?.ok_or_else(|| Error::new(Kind::Type, "the value is no number"))?;
        *place = found.to_f64();
        Ok(if matches!(found, Number::Float(_)) { LARDER_OK } else { LARDER_LOSSY })
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Any value as JSON text, in the form of Python's `json.dumps`; the table above says what becomes of types that JSON
/// lacks.
///
/// @param value borrowed
/// @param json receives a pointer that lives as long as the value; there is no terminator
/// @param len receives the length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK when setting this text as LARDER_JSON would store an equal value; LARDER_LOSSY otherwise;
///         LARDER_EUNDECODABLE; LARDER_ETOOBIG; LARDER_EINVAL; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_value_json(
    value: *const larder_value,
    json: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes a value that it holds, and places that are NULL or can be written.
    unsafe { guard(err, || show(value, (json, len), |value| value.json().map(as_bytes))) }
}

/// The serialised bytes of a value as the backend has them (from a file: without its header and compression). Setting
/// them again as LARDER_STORED on a store with the same serializer stores the same value. On memcached and diskcache only
/// where larder_value_flags says that they are a pickle: texts, bytes and numbers are kept there as they are.
///
/// @param value borrowed
/// @param bytes receives a pointer that lives as long as the value
/// @param len receives the length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_value_stored(
    value: *const larder_value,
    bytes: *mut *const c_void,
    len: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes a value that it holds, and places that are NULL or can be written.
    unsafe { guard(err, || show(value, (bytes, len), |value| Ok(Shown { shown: value.stored().bytes, lossy: false }))) }
}

/// What is kept beside the serialised bytes to say what they are. On memcached the flags of its Python clients: 0 bytes,
/// 1 a pickle, 2 or 4 digits (2 also a bool of pylibmc's), 16 a text, and 8 more for zlib. On diskcache larder's own numbers: 0 a pickle, 1 an int and 2 a
/// float as digits, 3 a text, 4 bytes, 5 nothing. 0 on other backends, which keep no such thing.
///
/// @param value borrowed
/// @param flags receives them
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_value_flags(
    value: *const larder_value,
    flags: *mut u32,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes a place that is NULL or can be written.
        let place = unsafe { out(flags, "flags")? };
        *place = 0;
        // SAFETY: the host passes NULL or a value that it holds or borrows.
        *place = unsafe { borrow(value) }?.stored().flags;
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// The text under a name of a dict, without a copy: `_auth_user_id` of a session. As in Python the last of equal names
/// counts.
///
/// @param value borrowed
/// @param name UTF-8 text
/// @param name_len its length in bytes
/// @param text receives a pointer that lives as long as the value; there is no terminator; NULL on a miss
/// @param len receives the length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_LOSSY for a SafeString; LARDER_MISS when the dict has no such name; LARDER_ETYPE when the
///         value is no dict, or what is there is no text of UTF-8; LARDER_EUNDECODABLE; LARDER_ETOOBIG; LARDER_EINVAL;
///         LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_value_item_text(
    value: *const larder_value,
    name: *const c_char,
    name_len: usize,
    text: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes places that are NULL or can be written.
        let (place, len) = unsafe { (out(text, "the place for the pointer")?, out(len, "the place for the length")?) };
        (*place, *len) = (std::ptr::null(), 0);
        // SAFETY: the host passes a name of its length, and NULL or a value that it holds or borrows.
        let (name, value) = unsafe { (argument::key(name, name_len, "name")?, borrow(value)?) };
        let Some(found) = value.item_text(name)? else { return Ok(LARDER_MISS) };
        (*place, *len) = (found.shown.as_ptr().cast(), found.shown.len());
        Ok(if found.lossy { LARDER_LOSSY } else { LARDER_OK })
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Shares a value: one more release is needed. For callbacks, which only borrow theirs, and for other threads.
///
/// @param value borrowed; NULL is harmless
/// @return the same value, to be released by the caller; NULL for NULL
///
/// Blocks: never. Threads: any. Owns: the caller owns what is returned. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_value_retain(value: *const larder_value) -> *mut larder_value {
    if !value.is_null() {
        // SAFETY: the host passes a value that it holds or borrows, so its count is at least one.
        unsafe { Arc::increment_strong_count(value) };
    }
    value.cast_mut()
}

/// Releases a value; with the last release it and all that it showed is gone.
///
/// @param value taken; NULL is harmless
///
/// Blocks: never. Threads: any. Owns: takes the caller's share. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_value_release(value: *mut larder_value) {
    if !value.is_null() {
        // SAFETY: the host gives back a share that it was given by a get or by retain.
        let _ = quietly(|| unsafe { Arc::decrement_strong_count(value.cast_const()) });
    }
}
