//! Operations on a pipeline, synchronous.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::argument::{self, array_mut, out};
use super::error::larder_error;
use super::guard::guard;
use super::load::LARDER_LEVEL_NONE;
use super::operation::found;
use super::pipeline::{borrow, larder_pipeline, larder_pipeline_call, level_among, level_of, set_status, status_of};
use super::pipeline_token::Given;
use super::status::{LARDER_OK, larder_status};
use super::token::larder_token;
use super::upkeep::scope;
use super::value::larder_value;
use crate::error::{Error, Kind, Result};
use crate::pyot::ask::{Ask, Operation, Outcome, TokenRef};
use crate::pyot::pipeline::Pipeline;

/// Does something with a pipeline on this thread.
///
/// # Safety
/// `call` is NULL or has the size that it tells.
unsafe fn perform(
    pipeline: *const larder_pipeline,
    call: *const larder_pipeline_call,
    go: impl FnOnce(&Arc<Pipeline>, &Ask, *const *const larder_token) -> Result<Outcome>,
) -> Result<Outcome> {
    let open = borrow(pipeline)?;
    // SAFETY: by this function's own contract.
    let (ask, tokens) = unsafe { open.ask(call) }?;
    let pipeline = open.pipeline.clone();
    drop(open); // a loader may close the handle
    go(&pipeline, &ask, tokens)
}

/// The same with one token.
///
/// # Safety
/// As of [`perform`], and `token` has its length.
unsafe fn on_token(
    pipeline: *const larder_pipeline,
    token: (*const c_char, usize),
    call: *const larder_pipeline_call,
    operation: impl for<'t> FnOnce(TokenRef<'t>) -> Result<Operation<'t>>,
) -> Result<Outcome> {
    // SAFETY: by this function's own contract.
    unsafe {
        perform(pipeline, call, |pipeline, ask, made| {
            let token = Given::one(pipeline, token, made)?;
            pipeline.perform(&operation(token.as_ref())?, ask)
        })
    }
}

/// An answer that does not belong to the question.
fn strange() -> Error {
    Error::new(Kind::Panic, "the pipeline answered something that does not belong to the call")
}

/// Gets the value of a token: the stores are asked in order, then the loader. A value that a later store or the loader has
/// is written to the stores before it, for as long as each one's EXPIRATIONS say, and (WRITE_BACK_TTL) no longer than it
/// lives where it was. A store whose EXPIRATIONS are 0 for this endpoint is not asked. A store that fails is
/// skipped (ON_STORE_ERROR), and the log says so.
///
/// Threads that get one token at the same time share one load; each waits for it no longer than its own call may take.
///
/// @param pipeline the pipeline
/// @param token the token's text, ready-made or of larder_token_text; NULL where the call has the token itself
/// @param token_len its length in bytes
/// @param call NULL, or deadline, flags and loader of this call
/// @param value receives the value, to be released; NULL on a miss and on failure
/// @param level NULL, or receives which store had it, from 0; LARDER_LEVEL_LOADED; LARDER_LEVEL_NONE on a miss and on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_STALE: it is over, and being loaded anew; LARDER_MISS: no store has it, and the loader says that there
///         is none, or there is no loader; LARDER_EDEADLOCK inside the loader of the same token; what the loader failed
///         with; LARDER_ETIMEOUT; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EMEMORY; LARDER_ETOOBIG; with
///         ON_STORE_ERROR "fail", and when all stores fail and there is no loader, what a store failed with
///
/// Blocks: up to the call's deadline, and as long as the loader takes where it runs on this thread. Threads: any.
/// Owns: the caller owns the value. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_get(
    pipeline: *const larder_pipeline,
    token: *const c_char,
    token_len: usize,
    call: *const larder_pipeline_call,
    value: *mut *mut larder_value,
    level: *mut i32,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let place = out(value, "value")?;
            *place = std::ptr::null_mut();
            if let Some(level) = level.as_mut() {
                *level = LARDER_LEVEL_NONE;
            }
            let outcome = on_token(pipeline, (token, token_len), call, |token| Ok(Operation::Get { token }))?;
            let Outcome::Value(got) = outcome else { return Err(strange()) };
            if let Some(level) = level.as_mut() {
                *level = level_of(got.as_ref());
            }
            let status = status_of(got.as_ref());
            if let Some(got) = got {
                *place = larder_value::into_raw(got.value);
            }
            Ok(status)
        })
    }
}

/// Gets the values of several tokens: one batch to each store for what is still missing, then the loader for each token that
/// no store has. See larder_pipeline_get.
///
/// @param pipeline the pipeline
/// @param tokens `n` pointers to the tokens' texts
/// @param token_lens their lengths in bytes
/// @param n how many
/// @param call NULL, or deadline, flags and loader of this call
/// @param values `n` places; each receives a value, to be released, or NULL on a miss; all NULL on failure
/// @param levels NULL, or `n` places; each receives which store had the value, from 0; LARDER_LEVEL_LOADED;
///        LARDER_LEVEL_STALE: it is over, and being loaded anew; LARDER_LEVEL_NONE on a miss and on failure
/// @param found NULL, or receives how many there were
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK, however many there were; failures as larder_pipeline_get
///
/// Blocks: up to the call's deadline, and as long as the loader takes where it runs on this thread. Threads: any.
/// Owns: the caller owns the values. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_get_many(
    pipeline: *const larder_pipeline,
    tokens: *const *const c_char,
    token_lens: *const usize,
    n: usize,
    call: *const larder_pipeline_call,
    values: *mut *mut larder_value,
    levels: *mut i32,
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
            let levels = if levels.is_null() { &mut [][..] } else { array_mut(levels, n, "levels")? };
            levels.fill(LARDER_LEVEL_NONE);
            let outcome = perform(pipeline, call, |pipeline, ask, made| {
                let given = Given::several(pipeline, (tokens, token_lens), n, made)?;
                let tokens: Vec<_> = given.iter().map(Given::as_ref).collect();
                pipeline.perform(&Operation::GetMany { tokens: &tokens }, ask)
            })?;
            let Outcome::Values(got) = outcome else { return Err(strange()) };
            for (place, got) in levels.iter_mut().zip(&got) {
                *place = level_among(got.as_ref());
            }
            let mut count = 0;
            for (place, got) in places.iter_mut().zip(got) {
                if let Some(got) = got {
                    *place = larder_value::into_raw(got.value);
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

/// Sets the value of a token in all stores, each for as long as its EXPIRATIONS say.
///
/// @param pipeline the pipeline
/// @param token the token's text
/// @param token_len its length in bytes
/// @param value the value's bytes, by `format`; only read during the call
/// @param value_len their length
/// @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON, or LARDER_STORED: serialised already, as the first store has it
/// @param call NULL, or the deadline of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_SKIPPED when no store keeps this endpoint; LARDER_NOT_STORED when no store has taken it
///         and the aliases say that why is ignored (IGNORE_EXCEPTIONS); LARDER_EINVAL; LARDER_EHANDLE; LARDER_ETOOBIG;
///         LARDER_ETIMEOUT; LARDER_ESHUTDOWN; LARDER_EMEMORY; what a store failed with where no store has taken it, or
///         with ON_STORE_ERROR "fail" the first one
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_set(
    pipeline: *const larder_pipeline,
    token: *const c_char,
    token_len: usize,
    value: *const c_void,
    value_len: usize,
    format: i32,
    call: *const larder_pipeline_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let outcome = on_token(pipeline, (token, token_len), call, |token| {
                Ok(Operation::Set { token, value: argument::input(value, value_len, format)? })
            })?;
            let Outcome::Written(done) = outcome else { return Err(strange()) };
            Ok(set_status(done))
        })
    }
}

/// Removes a token from all stores, whatever their EXPIRATIONS say.
///
/// @param pipeline the pipeline
/// @param token the token's text
/// @param token_len its length in bytes
/// @param call NULL, or the deadline of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS when no store had it; failures as larder_pipeline_set
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_delete(
    pipeline: *const larder_pipeline,
    token: *const c_char,
    token_len: usize,
    call: *const larder_pipeline_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let outcome = on_token(pipeline, (token, token_len), call, |token| Ok(Operation::Delete { token }))?;
            let Outcome::Found(was_there) = outcome else { return Err(strange()) };
            Ok(found(was_there))
        })
    }
}

/// Whether a store has a token, whatever its EXPIRATIONS say: so it can be there, and a get not see it. Nothing is loaded.
///
/// @param pipeline the pipeline
/// @param token the token's text
/// @param token_len its length in bytes
/// @param call NULL, or the deadline of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_MISS; failures as larder_pipeline_set
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_contains(
    pipeline: *const larder_pipeline,
    token: *const c_char,
    token_len: usize,
    call: *const larder_pipeline_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let outcome = on_token(pipeline, (token, token_len), call, |token| Ok(Operation::Contains { token }))?;
            let Outcome::Found(is_there) = outcome else { return Err(strange()) };
            Ok(found(is_there))
        })
    }
}

/// Removes the keys of a scope from all stores. larder never sends FLUSHALL, as Pyot's RedisCache does.
///
/// @param pipeline the pipeline
/// @param scope LARDER_CLEAR_PREFIX: what each alias's KEY_PREFIX and version begin, which stores with raw keys cannot tell
///        apart (LARDER_EUNSUPPORTED); LARDER_CLEAR_EVERYTHING: all that each backend holds, whoever wrote it
/// @param call NULL, or the deadline of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EUNSUPPORTED; otherwise as larder_pipeline_set
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_clear(
    pipeline: *const larder_pipeline,
    scope: i32,
    call: *const larder_pipeline_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            perform(pipeline, call, |pipeline, ask, _| {
                pipeline.perform(&Operation::Clear { scope: self::scope(scope)? }, ask)
            })?;
            Ok(LARDER_OK)
        })
    }
}

/// Removes what has expired from the stores that do not do that by themselves.
///
/// @param pipeline the pipeline
/// @param call NULL, or the deadline of this call
/// @param removed NULL, or receives how many there were
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; failures as larder_pipeline_set
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_expire(
    pipeline: *const larder_pipeline,
    call: *const larder_pipeline_call,
    removed: *mut u64,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            if let Some(removed) = removed.as_mut() {
                *removed = 0;
            }
            let outcome = perform(pipeline, call, |pipeline, ask, _| pipeline.perform(&Operation::Expire, ask))?;
            let Outcome::Removed(count) = outcome else { return Err(strange()) };
            if let Some(removed) = removed.as_mut() {
                *removed = count;
            }
            Ok(LARDER_OK)
        })
    }
}
