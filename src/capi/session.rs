//! Sessions of `django.contrib.sessions`, read by their key.

use std::ffi::{c_char, c_void};

use super::argument::{self, larder_call, out};
use super::callback::{begin, larder_completion_fn, larder_op};
use super::error::larder_error;
use super::event::To;
use super::guard::guard;
use super::operation::asked;
use super::status::{LARDER_MISS, LARDER_OK, larder_status};
use super::store::larder_store;
use super::value::larder_value;
use crate::error::Result;
use crate::store::Operation;

/// A cookie's value, which anybody can have written. What is no UTF-8 is no session key, and neither is the empty text.
///
/// # Safety
/// As [`argument::bytes`].
pub(crate) unsafe fn key<'a>(data: *const c_char, len: usize) -> Result<&'a str> {
    // SAFETY: by this function's own contract.
    let bytes = unsafe { argument::bytes(data.cast(), len, "session_key") }?;
    Ok(std::str::from_utf8(bytes).unwrap_or_default())
}

/// Gets a session of django.contrib.sessions (SESSION_ENGINE django.contrib.sessions.backends.cache) by its session key,
/// which is the value of the browser's `sessionid` cookie. The store is the alias that SESSION_CACHE_ALIAS names, in
/// Django by default "default". Nothing is ever made or prolonged.
///
/// The value is the session's dict. `larder_value_item_text(value, LARDER_LIT("_auth_user_id"), …)` tells whose login it
/// is, LARDER_MISS that nobody is logged in; larder_value_json shows all of it. A session whose time is up is a miss: the
/// cache forgets it, whatever `_session_expiry` in the dict says.
///
/// The session key comes from outside, so nothing in it is an error: what is not 8 to 128 ASCII letters and digits is a
/// miss without a question to the cache. Django makes 32 such characters and itself checks the length alone.
///
/// A session is no proof that its user may still log in. Django also compares `_auth_user_hash` in it with an HMAC of the
/// user's password under SECRET_KEY, which ends a user's sessions when the password changes, and looks whether the user
/// is active. larder knows neither; docs/sessions.md says what a gateway can do.
///
/// @param store the store
/// @param session_key the cookie's value, any bytes; NULL with length 0 is the empty one
/// @param session_key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param value receives the session, to be released; NULL on a miss and on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS: there is no such session; LARDER_IGNORED: not known, treat it as a miss; failures as
///         larder_get
///
/// Blocks: up to the call's deadline. Threads: any. Owns: the caller owns the value. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_session(
    store: *const larder_store,
    session_key: *const c_char,
    session_key_len: usize,
    call: *const larder_call,
    value: *mut *mut larder_value,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let place = out(value, "value")?;
            *place = std::ptr::null_mut();
            let session_key = key(session_key, session_key_len)?;
            let got =
                asked((store, std::ptr::null(), 0, call), |open, _, call, _| open.store.session(session_key, call))?;
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

/// Gets a session later. See larder_session.
///
/// @param store the store
/// @param session_key the cookie's value, any bytes; only read during this call
/// @param session_key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK with the session as a value, LARDER_MISS, LARDER_IGNORED, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_session_cb(
    store: *const larder_store,
    session_key: *const c_char,
    session_key_len: usize,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            Ok(Operation::Session { key: key(session_key, session_key_len)? })
        })
    }
}
