//! `larder_token`: the name of a call to a service. A reference-counted object behind a real pointer; finished when it is
//! first used.

use std::ffi::c_char;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::argument::{self, invalid, out, sized};
use super::error::larder_error;
use super::guard::{guard, quietly};
use super::status::{LARDER_OK, larder_status};
use crate::error::{Error, Kind, Result};
use crate::lock::{Mutex, OnceLock};
use crate::pyot::token::{Builder, Dict, Item, LONGEST, Token, TokenForm, Unicode, Wish};

/// `form` of `larder_token_options`: as Pyot 3 writes tokens, `lolna1summoner_v4_by_name{'name':_'Hide_on_bush'}{}`.
pub const LARDER_PYOT_3: i32 = 3;
/// `form` of `larder_token_options`: as Pyot 6 writes tokens, `lol/na1/summoner_v4_by_name/Hide on bush`.
pub const LARDER_PYOT_6: i32 = 6;

/// The name of a call to a service, by which pipelines keep its answer: what Pyot makes of model, server, method,
/// parameters and queries, so that it finds what we stored, and we what it stored.
///
/// ```c
/// larder_token *token = NULL;
/// larder_token_begin("lol", "na1", "summoner_v4_by_name", NULL, &token, NULL);
/// larder_token_param_text(token, "name", LARDER_LIT("Hide on bush"), NULL);
/// larder_token_text(token, &text, &len, &error); // lolna1summoner_v4_by_name{'name':_'Hide_on_bush'}{}
/// larder_token_release(token);
/// ```
///
/// The order of parameters is part of the name. A begun token is finished by its first use; nothing can be added from
/// then on, and any number of threads may read it. What goes wrong while it is built stays with it: whoever looks only at
/// the status of the first use is told of the first failure.
pub struct larder_token {
    building: Mutex<Building>,
    done: OnceLock<Arc<Token>>,
}

/// What a token is before its first use.
enum Building {
    Open(Builder),
    Failed(Error),
    Done,
}

/// How a token is written. Start from `LARDER_TOKEN_OPTIONS_INIT`; NULL in place of options leaves all of it to the
/// pipeline that the token is used with, and without one to the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_token_options {
    /// `sizeof(larder_token_options)`; the struct only grows at its end.
    pub struct_size: u32,
    /// `LARDER_PYOT_…`; 0: the pipeline's, else LARDER_PYOT_3.
    pub form: i32,
    /// The version of Unicode that decides which characters of texts are escaped, as a NUL-terminated text: that of the
    /// Python that shares the cache, which `unicodedata.unidata_version` tells. "13.0", "14.0" (Python 3.11), "15.0" (3.12),
    /// "15.1" (3.13), "16.0" (3.14) or "17.0" (3.15). NULL: the pipeline's, else "16.0".
    pub unicode: *const c_char,
}

/// The size of `larder_token_options` in larder 0.1.
const FIRST_SIZE: usize = 16;

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// How many tokens are held by hosts.
pub(crate) fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

impl larder_token {
    /// The object for a token, as a pointer that the host owns.
    pub fn into_raw(token: Arc<Token>) -> *mut Self {
        let done = OnceLock::from(token);
        Self::raw(Self { building: Mutex::new(Building::Done), done })
    }

    fn begin(builder: Builder) -> *mut Self {
        Self::raw(Self { building: Mutex::new(Building::Open(builder)), done: OnceLock::new() })
    }

    fn raw(token: Self) -> *mut Self {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Arc::into_raw(Arc::new(token)).cast_mut()
    }

    /// The token, which is finished now.
    fn token(&self) -> Result<&Arc<Token>> {
        if let Some(token) = self.done.get() {
            return Ok(token);
        }
        let mut building = self.building.lock();
        match &*building {
            Building::Open(builder) => match builder.finish() {
                Ok(token) => {
                    let token = self.done.get_or_init(|| Arc::new(token));
                    *building = Building::Done;
                    Ok(token)
                }
                Err(error) => {
                    *building = Building::Failed(error.clone());
                    Err(error)
                }
            },
            Building::Failed(error) => Err(error.clone()),
            Building::Done => self.done.get().ok_or_else(|| invalid("the token is not finished")),
        }
    }

    /// Adds to a token that is not finished; a failure stays with it.
    pub(super) fn put<'a>(
        &self,
        dict: Dict,
        field: impl FnOnce() -> Result<(&'a str, Item<'a>)>,
    ) -> Result<larder_status> {
        let mut building = self.building.lock();
        let done = match &mut *building {
            Building::Open(builder) => field().and_then(|(name, item)| builder.put(dict, name, item)),
            Building::Failed(error) => return Err(error.clone()),
            Building::Done => return Err(invalid("the token is finished: nothing can be added once it was used")),
        };
        if let Err(error) = &done {
            *building = Building::Failed(error.clone());
        }
        done.map(|()| LARDER_OK)
    }
}

impl Drop for larder_token {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A host's token as it is.
///
/// # Safety
/// `token` is NULL or a token that the host holds or borrows.
pub(super) unsafe fn held<'a>(token: *const larder_token) -> Result<&'a larder_token> {
    // SAFETY: the host passes NULL or a token that it holds or borrows.
    unsafe { token.as_ref() }.ok_or_else(|| Error::new(Kind::Handle, "the token is NULL"))
}

/// The token behind a host's pointer; it is finished from now on.
///
/// # Safety
/// `token` is NULL or a token that the host holds or borrows.
pub(crate) unsafe fn borrow<'a>(token: *const larder_token) -> Result<&'a Arc<Token>> {
    // SAFETY: by this function's own contract.
    unsafe { held(token) }?.token()
}

unsafe fn wish(options: *const larder_token_options) -> Result<Wish> {
    // SAFETY: the host passes NULL or options of the size that they tell; all zero are valid ones.
    let Some(options) = (unsafe { sized(options, FIRST_SIZE, "options")? }) else { return Ok(Wish::default()) };
    let form = match options.form {
        0 => None,
        LARDER_PYOT_3 => Some(TokenForm::V3),
        LARDER_PYOT_6 => Some(TokenForm::V6),
        other => return Err(invalid(format!("{other} is no form of tokens; LARDER_PYOT_3 and LARDER_PYOT_6 are"))),
    };
    let unicode = if options.unicode.is_null() {
        None
    } else {
        // SAFETY: the host passes a NUL-terminated text.
        Some(Unicode::read(unsafe { argument::name(options.unicode, "unicode") }?)?)
    };
    Ok(Wish { form, unicode })
}

/// Model, server and method; no server is an empty one.
unsafe fn names<'a>(names: [*const c_char; 3]) -> Result<[&'a str; 3]> {
    let [model, server, method] = names;
    let name = |data, what| {
        // SAFETY: the host passes NUL-terminated texts.
        let name = unsafe { argument::name(data, what) }?;
        if name.len() > LONGEST {
            return Err(Error::new(Kind::TooBig, format!("{what} is longer than {LONGEST} bytes")));
        }
        Ok(name)
    };
    let server = if server.is_null() { "" } else { name(server, "server")? };
    Ok([name(model, "model")?, server, name(method, "method")?])
}

/// JSON of a host; no text at all is an empty object.
///
/// # Safety
/// As of [`argument::bytes`].
pub(super) unsafe fn json<'a>(data: *const c_char, len: usize, what: &str) -> Result<&'a [u8]> {
    if len > LONGEST && isize::try_from(len).is_ok() {
        return Err(Error::new(Kind::TooBig, format!("{what} has {len} bytes; {LONGEST} are the most")));
    }
    // SAFETY: the host passes NULL with 0, or a text of its length.
    unsafe { argument::bytes(data.cast(), len, what) }
}

/// Makes a token of JSON.
///
/// Both objects are JSON as Python's `json.loads` takes it, `NaN` and a lone `\ud800` included; numbers with a point or an
/// exponent are floats, others ints of up to 4300 digits; of equal names the last value counts, at the place of the first.
/// Order matters. Pyot leaves out queries whose value is None.
///
/// @param model the game, such as "lol"; taken in lower case
/// @param server platform, region or locale, such as "na1"; taken in lower case; NULL or "" where there is none
/// @param method the endpoint's name, such as "summoner_v4_by_name"; it decides on the time to live
/// @param params_json a JSON object, the endpoint's parameters; NULL with 0: none
/// @param params_len its length in bytes
/// @param queries_json a JSON object, what stands behind the question mark; NULL with 0: none
/// @param queries_len its length in bytes
/// @param options NULL, or how it is written
/// @param token receives the token, to be released; NULL on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL for what is no JSON object, an unknown form or version, or a lone surrogate that a
///         token of Pyot 6 would have to hold; LARDER_ETOOBIG beyond 16 MiB, 1000 levels or 4300 digits
///
/// Blocks: never. Threads: any. Owns: the caller owns the token. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_new(
    model: *const c_char,
    server: *const c_char,
    method: *const c_char,
    params_json: *const c_char,
    params_len: usize,
    queries_json: *const c_char,
    queries_len: usize,
    options: *const larder_token_options,
    token: *mut *mut larder_token,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes places that are NULL or can be written, texts that end with NUL or have their length,
        // and NULL or options of their size.
        unsafe {
            let place = out(token, "token")?;
            *place = std::ptr::null_mut();
            let [model, server, method] = names([model, server, method])?;
            let params = json(params_json, params_len, "params")?;
            let queries = json(queries_json, queries_len, "queries")?;
            let made = Token::new(wish(options)?, model, server, method, params, queries)?;
            *place = larder_token::into_raw(Arc::new(made));
        }
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Takes a token that somebody else has made: its text is the key, as it is, whatever form the pipeline has. The method,
/// and so the time to live, is found in the text, where it must stand in a token of Pyot's.
///
/// @param text UTF-8 text
/// @param len its length in bytes
/// @param token receives the token, to be released; NULL on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL when it is empty or not UTF-8; LARDER_ETOOBIG beyond 16 MiB
///
/// Blocks: never. Threads: any. Owns: the caller owns the token. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_ready(
    text: *const c_char,
    len: usize,
    token: *mut *mut larder_token,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes a place that is NULL or can be written, and a text of its length.
        unsafe {
            let place = out(token, "token")?;
            *place = std::ptr::null_mut();
            *place = larder_token::into_raw(Arc::new(Token::ready(argument::key(text, len, "token")?)?));
        }
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Begins a token, to which parameters are then added one by one, in their order. Its first use finishes it.
///
/// @param model the game, such as "lol"; taken in lower case
/// @param server platform, region or locale, such as "na1"; taken in lower case; NULL or "" where there is none
/// @param method the endpoint's name, such as "summoner_v4_by_name"; it decides on the time to live
/// @param options NULL, or how it is written
/// @param token receives the token, to be released; NULL on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL for an unknown form or version, or names that are not UTF-8; LARDER_ETOOBIG
///
/// Blocks: never. Threads: any. Owns: the caller owns the token. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_begin(
    model: *const c_char,
    server: *const c_char,
    method: *const c_char,
    options: *const larder_token_options,
    token: *mut *mut larder_token,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes a place that is NULL or can be written, NUL-terminated texts, and NULL or options of
        // their size.
        unsafe {
            let place = out(token, "token")?;
            *place = std::ptr::null_mut();
            let [model, server, method] = names([model, server, method])?;
            *place = larder_token::begin(Builder::new(wish(options)?, model, server, method));
        }
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Shares a token: one more release is needed.
///
/// @param token borrowed; NULL is harmless
/// @return the same token, to be released by the caller; NULL for NULL
///
/// Blocks: never. Threads: any. Owns: the caller owns what is returned. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_retain(token: *const larder_token) -> *mut larder_token {
    if !token.is_null() {
        // SAFETY: the host passes a token that it holds or borrows, so its count is at least one.
        unsafe { Arc::increment_strong_count(token) };
    }
    token.cast_mut()
}

/// Releases a token; with the last release it and all that it showed is gone.
///
/// @param token taken; NULL is harmless
///
/// Blocks: never. Threads: any. Owns: takes the caller's share. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_token_release(token: *mut larder_token) {
    if !token.is_null() {
        // SAFETY: the host gives back a share that it was given by new, ready, begin or retain.
        let _ = quietly(|| unsafe { Arc::decrement_strong_count(token.cast_const()) });
    }
}
