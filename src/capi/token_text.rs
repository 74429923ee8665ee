//! What a token shows.

use std::ffi::c_char;

use super::argument::{self, out};
use super::error::larder_error;
use super::guard::guard;
use super::status::{LARDER_MISS, LARDER_OK, larder_status};
use super::token::{borrow, larder_token};
use crate::error::Result;
use crate::pyot::token::{Dict, Token};

/// Shows a text of a token; LARDER_MISS where there is none.
unsafe fn show(
    token: *const larder_token,
    (text, len): (*mut *const c_char, *mut usize),
    err: *mut *mut larder_error,
    find: impl FnOnce(&Token) -> Result<Option<&str>>,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes places that are NULL or can be written.
        let (text, len) = unsafe { (out(text, "the place for the pointer")?, out(len, "the place for the length")?) };
        (*text, *len) = (std::ptr::null(), 0);
        // SAFETY: the host passes NULL or a token that it holds or borrows.
        let Some(found) = find(unsafe { borrow(token) }?)? else { return Ok(LARDER_MISS) };
        (*text, *len) = (found.as_ptr().cast(), found.len());
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// The token's text, which is the key: in the form that it was made with, else that of Pyot 3.
///
/// @param token borrowed; finished from now on
/// @param text receives a pointer that lives as long as the token; there is no terminator
/// @param len receives the length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; what failed while the token was built;
///         LARDER_EINVAL; LARDER_ETOOBIG; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_text(
    token: *const larder_token,
    text: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { show(token, (text, len), err, |token| Ok(Some(token.text()))) }
}

/// The model of a token, in lower case.
///
/// @param token borrowed; finished from now on
/// @param text receives a pointer that lives as long as the token; there is no terminator
/// @param len receives the length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS for a ready-made token; what failed while the token was built;
///         LARDER_EINVAL; LARDER_ETOOBIG; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_model(
    token: *const larder_token,
    text: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { show(token, (text, len), err, |token| Ok(token.model())) }
}

/// The server of a token, in lower case; empty where it has none.
///
/// @param token borrowed; finished from now on
/// @param text receives a pointer that lives as long as the token; there is no terminator
/// @param len receives the length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS for a ready-made token; what failed while the token was built;
///         LARDER_EINVAL; LARDER_ETOOBIG; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_server(
    token: *const larder_token,
    text: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { show(token, (text, len), err, |token| Ok(token.server())) }
}

/// The method of a token.
///
/// @param token borrowed; finished from now on
/// @param text receives a pointer that lives as long as the token; there is no terminator
/// @param len receives the length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS for a ready-made token; what failed while the token was built;
///         LARDER_EINVAL; LARDER_ETOOBIG; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_method(
    token: *const larder_token,
    text: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { show(token, (text, len), err, |token| Ok(token.method())) }
}

/// The value of a parameter as Python's `str()` shows it, for a loader that puts a request together: `Hide on bush`,
/// `420`, `True`, `[420, 440]`. Lone surrogates are U+FFFD.
///
/// @param token borrowed; finished from now on
/// @param name NUL-terminated UTF-8 text
/// @param text receives a pointer that lives as long as the token; there is no terminator; NULL on a miss
/// @param len receives the length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS where there is none of this name, or the token is ready-made; what failed while the
///         token was built; LARDER_EINVAL; LARDER_ETOOBIG; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_param(
    token: *const larder_token,
    name: *const c_char,
    text: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { show(token, (text, len), err, |token| Ok(token.item(Dict::Params, argument::name(name, "name")?))) }
}

/// The value of a query as Python's `str()` shows it, for a loader that puts a request together: `Hide on bush`,
/// `420`, `True`, `[420, 440]`. Lone surrogates are U+FFFD.
///
/// @param token borrowed; finished from now on
/// @param name NUL-terminated UTF-8 text
/// @param text receives a pointer that lives as long as the token; there is no terminator; NULL on a miss
/// @param len receives the length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS where there is none of this name, or the token is ready-made; what failed while the
///         token was built; LARDER_EINVAL; LARDER_ETOOBIG; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_query(
    token: *const larder_token,
    name: *const c_char,
    text: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { show(token, (text, len), err, |token| Ok(token.item(Dict::Queries, argument::name(name, "name")?))) }
}
