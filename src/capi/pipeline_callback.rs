//! The callback face of pipelines. Every answer is an event, which tells the store too.

use std::ffi::{c_char, c_void};

use super::argument::{self, invalid};
use super::callback::{larder_event_fn, larder_op};
use super::error::larder_error;
use super::event::{Pending, To, What};
use super::guard::{guard, quietly};
use super::pipeline::{borrow, larder_pipeline, larder_pipeline_call};
use super::pipeline_token::Given;
use super::request::{
    LARDER_OP_PIPELINE_CLEAR_EVERYTHING, LARDER_OP_PIPELINE_CLEAR_PREFIX, LARDER_OP_PIPELINE_CONTAINS,
    LARDER_OP_PIPELINE_DELETE, LARDER_OP_PIPELINE_EXPIRE, LARDER_OP_PIPELINE_GET, LARDER_OP_PIPELINE_GET_MANY,
    LARDER_OP_PIPELINE_SET,
};
use super::status::{LARDER_OK, larder_status};
use super::token::larder_token;
use super::upkeep::{self, LARDER_CLEAR_EVERYTHING};
use crate::error::Result;
use crate::pyot::ask::{Ask, Operation, TokenRef};
use crate::pyot::pipeline::{Pipeline, Prepared};

/// Accepts an operation on a pipeline and begins it, as [`super::callback::begin`] does on a store.
///
/// # Safety
/// As the exported functions ask for.
unsafe fn begin(
    (pipeline, call, op, err): (
        *const larder_pipeline,
        *const larder_pipeline_call,
        *mut larder_op,
        *mut *mut larder_error,
    ),
    (callback, user_data): (larder_event_fn, *mut c_void),
    number: i32,
    prepare: impl FnOnce(&Pipeline, &Ask, *const *const larder_token) -> Result<Prepared>,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written.
        let mut place = unsafe { op.as_mut() };
        if let Some(place) = &mut place {
            **place = 0;
        }
        let open = borrow(pipeline)?;
        // SAFETY: the host passes NULL or a call.
        let (ask, tokens) = unsafe { open.ask(call) }?;
        if callback.is_none() {
            return Err(invalid("the callback is NULL"));
        }
        let prepared = prepare(&open.pipeline, &ask, tokens)?;
        open.context.callbacks.start()?;
        let what = What::Pipeline(open.pipeline.clone(), prepared.asked, number);
        let (operation, ticket) =
            open.context.queue.accept(Pending { what, to: To::Event(callback, user_data), began: None })?;
        if let Some(place) = place {
            *place = operation;
        }
        // nothing can refuse it any more: a dropped ticket is its answer
        let _ = quietly(|| open.pipeline.begin(prepared, ticket));
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// The same with one token.
///
/// # Safety
/// As of [`begin`], and `token` has its length.
unsafe fn begin_on_token(
    parts: (*const larder_pipeline, *const larder_pipeline_call, *mut larder_op, *mut *mut larder_error),
    callback: (larder_event_fn, *mut c_void),
    number: i32,
    token: (*const c_char, usize),
    operation: impl for<'t> FnOnce(TokenRef<'t>) -> Result<Operation<'t>>,
) -> larder_status {
    // SAFETY: by this function's own contract.
    unsafe {
        begin(parts, callback, number, |pipeline, ask, made| {
            let token = Given::one(pipeline, token, made)?;
            pipeline.prepare(&operation(token.as_ref())?, ask)
        })
    }
}

/// Gets the value of a token later. The loader runs on a thread of larder's that may wait. See larder_pipeline_get.
///
/// @param pipeline the pipeline
/// @param token the token's text; only read during this call
/// @param token_len its length in bytes
/// @param call NULL, or what this call asks for
/// @param callback takes the answer: an event with the value and the `level`: LARDER_OK, LARDER_STALE, LARDER_MISS, or a failure of
///        larder_pipeline_get
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as LARDER_OK: accepted, the callback runs exactly once. Negative: refused, it never runs: LARDER_EINVAL;
///         LARDER_EHANDLE; LARDER_EBUSY; LARDER_ESHUTDOWN; LARDER_ETOOBIG; LARDER_EMEMORY
///
/// Blocks: never. Threads: any, callbacks and loaders included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_get_cb(
    pipeline: *const larder_pipeline,
    token: *const c_char,
    token_len: usize,
    call: *const larder_pipeline_call,
    callback: larder_event_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin_on_token(
            (pipeline, call, op, err),
            (callback, user_data),
            LARDER_OP_PIPELINE_GET,
            (token, token_len),
            |token| Ok(Operation::Get { token }),
        )
    }
}

/// Gets the values of several tokens later. See larder_pipeline_get_many.
///
/// @param pipeline the pipeline
/// @param tokens `n` pointers to the tokens' texts; only read during this call
/// @param token_lens their lengths in bytes
/// @param n how many
/// @param call NULL, or what this call asks for
/// @param callback takes the answer: an event with the `values` and `levels`
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_pipeline_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_get_many_cb(
    pipeline: *const larder_pipeline,
    tokens: *const *const c_char,
    token_lens: *const usize,
    n: usize,
    call: *const larder_pipeline_call,
    callback: larder_event_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((pipeline, call, op, err), (callback, user_data), LARDER_OP_PIPELINE_GET_MANY, |pipeline, ask, made| {
            let given = Given::several(pipeline, (tokens, token_lens), n, made)?;
            let tokens: Vec<_> = given.iter().map(Given::as_ref).collect();
            pipeline.prepare(&Operation::GetMany { tokens: &tokens }, ask)
        })
    }
}

/// Sets the value of a token later. See larder_pipeline_set.
///
/// @param pipeline the pipeline
/// @param token the token's text; only read during this call
/// @param token_len its length in bytes
/// @param value the value's bytes, by `format`; only read during this call
/// @param value_len their length
/// @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED
/// @param call NULL, or what this call asks for
/// @param callback takes the answer: an event with the status: LARDER_OK, LARDER_SKIPPED, LARDER_NOT_STORED, or a
///        failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_pipeline_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_set_cb(
    pipeline: *const larder_pipeline,
    token: *const c_char,
    token_len: usize,
    value: *const c_void,
    value_len: usize,
    format: i32,
    call: *const larder_pipeline_call,
    callback: larder_event_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin_on_token(
            (pipeline, call, op, err),
            (callback, user_data),
            LARDER_OP_PIPELINE_SET,
            (token, token_len),
            |token| Ok(Operation::Set { token, value: argument::input(value, value_len, format)? }),
        )
    }
}

/// Removes a token later. See larder_pipeline_delete.
///
/// @param pipeline the pipeline
/// @param token the token's text; only read during this call
/// @param token_len its length in bytes
/// @param call NULL, or what this call asks for
/// @param callback takes the answer: an event with the status: LARDER_OK, LARDER_MISS, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_pipeline_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_delete_cb(
    pipeline: *const larder_pipeline,
    token: *const c_char,
    token_len: usize,
    call: *const larder_pipeline_call,
    callback: larder_event_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin_on_token(
            (pipeline, call, op, err),
            (callback, user_data),
            LARDER_OP_PIPELINE_DELETE,
            (token, token_len),
            |token| Ok(Operation::Delete { token }),
        )
    }
}

/// Tells later whether a store has a token. See larder_pipeline_contains.
///
/// @param pipeline the pipeline
/// @param token the token's text; only read during this call
/// @param token_len its length in bytes
/// @param call NULL, or what this call asks for
/// @param callback takes the answer: an event with the status: LARDER_OK, LARDER_MISS, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_pipeline_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_contains_cb(
    pipeline: *const larder_pipeline,
    token: *const c_char,
    token_len: usize,
    call: *const larder_pipeline_call,
    callback: larder_event_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin_on_token(
            (pipeline, call, op, err),
            (callback, user_data),
            LARDER_OP_PIPELINE_CONTAINS,
            (token, token_len),
            |token| Ok(Operation::Contains { token }),
        )
    }
}

/// Removes the keys of a scope later. See larder_pipeline_clear.
///
/// @param pipeline the pipeline
/// @param scope LARDER_CLEAR_PREFIX or LARDER_CLEAR_EVERYTHING
/// @param call NULL, or what this call asks for
/// @param callback takes the answer: an event with the status: LARDER_OK, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_pipeline_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_clear_cb(
    pipeline: *const larder_pipeline,
    scope: i32,
    call: *const larder_pipeline_call,
    callback: larder_event_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        let everything = scope == LARDER_CLEAR_EVERYTHING;
        let number = if everything { LARDER_OP_PIPELINE_CLEAR_EVERYTHING } else { LARDER_OP_PIPELINE_CLEAR_PREFIX };
        begin((pipeline, call, op, err), (callback, user_data), number, |pipeline, ask, _| {
            pipeline.prepare(&Operation::Clear { scope: upkeep::scope(scope)? }, ask)
        })
    }
}

/// Removes what has expired later. See larder_pipeline_expire.
///
/// @param pipeline the pipeline
/// @param call NULL, or what this call asks for
/// @param callback takes the answer: an event with how many there were as its `number`, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_pipeline_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_expire_cb(
    pipeline: *const larder_pipeline,
    call: *const larder_pipeline_call,
    callback: larder_event_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((pipeline, call, op, err), (callback, user_data), LARDER_OP_PIPELINE_EXPIRE, |pipeline, ask, _| {
            pipeline.prepare(&Operation::Expire, ask)
        })
    }
}
