//! What is added to a token that was begun.

use std::ffi::c_char;

use super::argument;
use super::error::larder_error;
use super::guard::guard;
use super::status::larder_status;
use super::token::{held, json, larder_token};
use crate::pyot::token::{Dict, Item};

/// Adds a field whose value needs nothing of the host's memory but its name.
unsafe fn put(
    token: *mut larder_token,
    dict: Dict,
    name: *const c_char,
    item: Item<'_>,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes a token that it holds, a NUL-terminated name, and a place that is NULL or can be written.
    unsafe { guard(err, || held(token)?.put(dict, || Ok((argument::name(name, "name")?, item)))) }
}

unsafe fn put_text(
    token: *mut larder_token,
    dict: Dict,
    name: *const c_char,
    (text, len): (*const c_char, usize),
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: as of `put`, and a text of its length.
    let field = || unsafe { Ok((argument::name(name, "name")?, Item::Text(argument::key(text, len, "text")?))) };
    // SAFETY: as of `put`.
    unsafe { guard(err, || held(token)?.put(dict, field)) }
}

unsafe fn put_json(
    token: *mut larder_token,
    dict: Dict,
    name: *const c_char,
    (text, len): (*const c_char, usize),
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: as of `put`, and a text of its length.
    let field = || unsafe { Ok((argument::name(name, "name")?, Item::Json(json(text, len, "json")?))) };
    // SAFETY: as of `put`.
    unsafe { guard(err, || held(token)?.put(dict, field)) }
}

/// Adds a parameter to a token that was begun: a text, Python's `str`. One of the same name gets the new value, at its place.
///
/// @param token borrowed; not used yet
/// @param name NUL-terminated UTF-8 text
/// @param text UTF-8 text
/// @param len its length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
///         LARDER_EINVAL also for a text that is not UTF-8;
///         LARDER_ETOOBIG; what failed before with this token
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_param_text(
    token: *mut larder_token,
    name: *const c_char,
    text: *const c_char,
    len: usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { put_text(token, Dict::Params, name, (text, len), err) }
}

/// Adds a parameter to a token that was begun: a whole number. See larder_token_param_text.
///
/// @param token borrowed; not used yet
/// @param name NUL-terminated UTF-8 text
/// @param value the number
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
///         LARDER_ETOOBIG; what failed before with this token
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_param_int(
    token: *mut larder_token,
    name: *const c_char,
    value: i64,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { put(token, Dict::Params, name, Item::Int(value), err) }
}

/// Adds a parameter to a token that was begun: a float; a whole one shows as `1.0`. See larder_token_param_text.
///
/// @param token borrowed; not used yet
/// @param name NUL-terminated UTF-8 text
/// @param value the number; NaN and infinities are allowed
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
///         LARDER_ETOOBIG; what failed before with this token
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_param_float(
    token: *mut larder_token,
    name: *const c_char,
    value: f64,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { put(token, Dict::Params, name, Item::Float(value), err) }
}

/// Adds a parameter to a token that was begun: a bool. See larder_token_param_text.
///
/// @param token borrowed; not used yet
/// @param name NUL-terminated UTF-8 text
/// @param value 0 is False, anything else True
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
///         LARDER_ETOOBIG; what failed before with this token
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_param_bool(
    token: *mut larder_token,
    name: *const c_char,
    value: i32,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { put(token, Dict::Params, name, Item::Bool(value != 0), err) }
}

/// Adds a parameter to a token that was begun: Python's `None`. See larder_token_param_text.
///
/// @param token borrowed; not used yet
/// @param name NUL-terminated UTF-8 text
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
///         LARDER_ETOOBIG; what failed before with this token
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_param_null(
    token: *mut larder_token,
    name: *const c_char,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { put(token, Dict::Params, name, Item::Null, err) }
}

/// Adds a parameter to a token that was begun: anything that JSON has, such as a list: `[420, 440]`. See larder_token_param_text.
///
/// @param token borrowed; not used yet
/// @param name NUL-terminated UTF-8 text
/// @param json JSON, as Python's `json.loads` takes it
/// @param len its length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
///         LARDER_EINVAL also for what is no JSON;
///         LARDER_ETOOBIG; what failed before with this token
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_param_json(
    token: *mut larder_token,
    name: *const c_char,
    json: *const c_char,
    len: usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { put_json(token, Dict::Params, name, (json, len), err) }
}

/// Adds a query to a token that was begun: a text, Python's `str`. See larder_token_param_text.
///
/// @param token borrowed; not used yet
/// @param name NUL-terminated UTF-8 text
/// @param text UTF-8 text
/// @param len its length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
///         LARDER_EINVAL also for a text that is not UTF-8;
///         LARDER_ETOOBIG; what failed before with this token
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_query_text(
    token: *mut larder_token,
    name: *const c_char,
    text: *const c_char,
    len: usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { put_text(token, Dict::Queries, name, (text, len), err) }
}

/// Adds a query to a token that was begun: a whole number. See larder_token_param_text.
///
/// @param token borrowed; not used yet
/// @param name NUL-terminated UTF-8 text
/// @param value the number
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
///         LARDER_ETOOBIG; what failed before with this token
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_query_int(
    token: *mut larder_token,
    name: *const c_char,
    value: i64,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { put(token, Dict::Queries, name, Item::Int(value), err) }
}

/// Adds a query to a token that was begun: a float; a whole one shows as `1.0`. See larder_token_param_text.
///
/// @param token borrowed; not used yet
/// @param name NUL-terminated UTF-8 text
/// @param value the number; NaN and infinities are allowed
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
///         LARDER_ETOOBIG; what failed before with this token
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_query_float(
    token: *mut larder_token,
    name: *const c_char,
    value: f64,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { put(token, Dict::Queries, name, Item::Float(value), err) }
}

/// Adds a query to a token that was begun: a bool. See larder_token_param_text.
///
/// @param token borrowed; not used yet
/// @param name NUL-terminated UTF-8 text
/// @param value 0 is False, anything else True
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
///         LARDER_ETOOBIG; what failed before with this token
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_query_bool(
    token: *mut larder_token,
    name: *const c_char,
    value: i32,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { put(token, Dict::Queries, name, Item::Bool(value != 0), err) }
}

/// Adds a query to a token that was begun: Python's `None`. See larder_token_param_text.
///
/// @param token borrowed; not used yet
/// @param name NUL-terminated UTF-8 text
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
///         LARDER_ETOOBIG; what failed before with this token
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_query_null(
    token: *mut larder_token,
    name: *const c_char,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { put(token, Dict::Queries, name, Item::Null, err) }
}

/// Adds a query to a token that was begun: anything that JSON has, such as a list: `[420, 440]`. See larder_token_param_text.
///
/// @param token borrowed; not used yet
/// @param name NUL-terminated UTF-8 text
/// @param json JSON, as Python's `json.loads` takes it
/// @param len its length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE for NULL; LARDER_EINVAL once the token was used, or for a name that is not UTF-8;
///         LARDER_EINVAL also for what is no JSON;
///         LARDER_ETOOBIG; what failed before with this token
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_query_json(
    token: *mut larder_token,
    name: *const c_char,
    json: *const c_char,
    len: usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { put_json(token, Dict::Queries, name, (json, len), err) }
}
