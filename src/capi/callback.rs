//! The callback face: the same operations, answered later on the context's callback thread.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::argument::{self, larder_call};
use super::error::larder_error;
use super::guard::{guard, quietly};
use super::operation::{touched, written};
use super::status::{LARDER_IGNORED, LARDER_MISS, LARDER_OK, larder_status};
use super::store::{OpenStore, borrow, larder_store};
use super::value::larder_value;
use crate::backend::{Reply, Ticket};
use crate::error::{Error, Kind, Result};
use crate::runtime::Event;
use crate::store::Store;

/// The id of an asynchronous operation; never reused in a process, nothing to free.
pub type larder_op = u64;

/// Takes the answer to an operation: exactly once, later, on the context's one callback thread, never inside the call
/// that began it. `value` (for a get that found something) and `error` (for a negative status) are borrowed: they live
/// during the call only, unless they are retained. It may use larder synchronously and begin further operations, but
/// not shut the context down. It must return: longjmp and exceptions through it are undefined. All signals are blocked
/// on its thread, which a process that is started there inherits. The one exception to "exactly once" is a
/// larder_shutdown that answers LARDER_ETIMEOUT: callbacks that have not begun by then never run.
pub type larder_completion_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        op: larder_op,
        status: larder_status,
        value: *const larder_value,
        error: *const larder_error,
    ),
>;

/// What an operation leaves in the queue until its answer comes.
pub(crate) struct Waiting {
    store: Arc<Store>,
    finish: Finish,
    callback: unsafe extern "C" fn(*mut c_void, larder_op, larder_status, *const larder_value, *const larder_error),
    user_data: *mut c_void,
}

// SAFETY: the host promises in `larder_completion_fn`'s contract that the callback runs on another thread, with its data.
unsafe impl Send for Waiting {}

/// Reads the answer to one kind of operation.
type Finish = fn(&Store, Result<Reply>) -> Result<(larder_status, Option<Arc<larder_value>>)>;

/// Hands an answered operation to its host. Runs on the callback thread.
pub(crate) fn deliver(event: Event<Waiting>) {
    let Waiting { store, finish, callback, user_data } = event.payload;
    let outcome = quietly(|| finish(&store, event.answer))
        .unwrap_or_else(|_| Err(Error::new(Kind::Panic, "a panic was caught inside larder; please report it")));
    drop(store); // the callback may outlive a store that is closed meanwhile
    let (status, value, error) = match outcome {
        Ok((status, value)) => (status, value, None),
        Err(error) if error.is_hidden() => (LARDER_IGNORED, None, None), // DR-15
        Err(error) => {
            let error = larder_error::new(&error);
            // SAFETY: the error was just made.
            (unsafe { super::error::larder_error_status(Arc::as_ptr(&error)) }, None, Some(error))
        }
    };
    let value_shown = value.as_ref().map_or(std::ptr::null(), Arc::as_ptr);
    let error_shown = error.as_ref().map_or(std::ptr::null(), Arc::as_ptr);
    // SAFETY: the callback and its data are the host's; the value and the error live until it returns.
    unsafe { callback(user_data, event.operation, status, value_shown, error_shown) };
}

/// Accepts an operation: from here on its callback runs exactly once, since the ticket answers even when dropped.
unsafe fn accept(
    open: &OpenStore,
    finish: Finish,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
) -> Result<Ticket> {
    let callback = callback.ok_or_else(|| argument::invalid("the callback is NULL"))?;
    let context = &open.context;
    context.callbacks.start()?;
    let waiting = Waiting { store: open.store.clone(), finish, callback, user_data };
    let (operation, ticket) = context.queue.accept(waiting)?;
    // SAFETY: the host passes NULL or a place that can be written.
    if let Some(op) = unsafe { op.as_mut() } {
        *op = operation;
    }
    Ok(ticket)
}

/// Begins an accepted operation: nothing can refuse it any more, a dropped ticket is its answer.
#[allow(clippy::unnecessary_wraps, reason = "ends the bodies of fallible functions")]
fn begin(start: impl FnOnce()) -> Result<larder_status> {
    let _ = quietly(start);
    Ok(LARDER_OK)
}

/// Gets a value later. See larder_get.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK with a value, LARDER_MISS, LARDER_IGNORED, or a failure of larder_get
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return LARDER_OK: accepted, the callback runs exactly once. Negative: refused, it never runs: LARDER_EINVAL;
///         LARDER_EHANDLE; LARDER_EBUSY; LARDER_ESHUTDOWN; LARDER_EMEMORY
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_get_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    let finish: Finish = |store, answer| {
        Ok(match store.answer_get(answer)? {
            Some(value) => (LARDER_OK, Some(larder_value::new(value))),
            None => (LARDER_MISS, None),
        })
    };
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            if let Some(op) = op.as_mut() {
                *op = 0;
            }
            let open = borrow(store)?;
            let (key, (call, _)) = (argument::key(key, key_len, "key")?, argument::call(call)?);
            let ticket = accept(&open, finish, callback, user_data, op)?;
            begin(|| open.store.start_get(key, &call, ticket))
        })
    }
}

/// Sets a value later. See larder_set.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param value the value's bytes, by `format`; only read during this call
/// @param value_len their length
/// @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED
/// @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK, LARDER_NOT_STORED, LARDER_NOT_KEPT, LARDER_IGNORED, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb; LARDER_ETOOBIG
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_set_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    format: i32,
    ttl_ms: i64,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    let finish: Finish = |store, answer| Ok((written(store.answer_set(answer)?), None));
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            if let Some(op) = op.as_mut() {
                *op = 0;
            }
            let open = borrow(store)?;
            let (key, (call, when)) = (argument::key(key, key_len, "key")?, argument::call(call)?);
            let stored = open.store.encode_set(argument::input(value, value_len, format)?)?;
            let ticket = accept(&open, finish, callback, user_data, op)?;
            begin(|| open.store.start_set(key, &stored, argument::ttl(ttl_ms), when, &call, ticket))
        })
    }
}

/// Gives a key another time to live later. See larder_expire.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param ttl_ms the time to live in ms; LARDER_TTL_DEFAULT; LARDER_TTL_FOREVER; 0 or less: expired at once
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK, LARDER_MISS, LARDER_NOT_KEPT, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_expire_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    ttl_ms: i64,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    let finish: Finish = |store, answer| Ok((touched(store.answer_touch(answer)?), None));
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            if let Some(op) = op.as_mut() {
                *op = 0;
            }
            let open = borrow(store)?;
            let (key, (call, _)) = (argument::key(key, key_len, "key")?, argument::call(call)?);
            let ticket = accept(&open, finish, callback, user_data, op)?;
            begin(|| open.store.start_touch(key, argument::ttl(ttl_ms), &call, ticket))
        })
    }
}
