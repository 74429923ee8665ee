//! The callback face: operations that are answered later on the context's callback thread. Those on one key are here,
//! the others in `callback_many`.

use std::ffi::{c_char, c_void};

use super::argument::{self, larder_call};
use super::error::larder_error;
use super::event::{Pending, To, What, larder_event};
use super::guard::{guard, quietly};
use super::request as op;
use super::status::{LARDER_OK, larder_status};
use super::store::{borrow, larder_store};
use super::value::larder_value;
use crate::backend::When;
use crate::error::Result;
use crate::runtime::Event;
use crate::store::{Call, Operation};
use crate::value::Number;

/// The id of an asynchronous operation; never reused in a process, nothing to free.
pub type larder_op = u64;

/// Takes the answer to an operation: exactly once, later, on the context's one callback thread, never inside the call
/// that began it. `value` (of a get that found something; of an operation that answers a number, the number) and `error`
/// (for a negative status) are borrowed: they live during the call only, unless they are retained. It may use larder
/// synchronously and begin further operations, but not shut the context down. It must return: longjmp and exceptions
/// through it are undefined. All signals are blocked on its thread, which a process that is started there inherits. A
/// child that is forked there ends its thread, and with it itself, when it returns: what is left is its parent's. The
/// one exception to "exactly once" is a larder_shutdown that answers LARDER_ETIMEOUT: callbacks that have not begun by
/// then never run.
pub type larder_completion_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        op: larder_op,
        status: larder_status,
        value: *const larder_value,
        error: *const larder_error,
    ),
>;

/// Takes the answer to an operation on several keys, as an event of a completion queue has it (its tag is 0). Otherwise
/// as larder_completion_fn: all that the event holds is borrowed.
pub type larder_event_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, event: *const larder_event)>;

/// Hands an answered operation to its host. Runs on the callback thread.
pub(crate) fn deliver(event: Event<Pending>) {
    let Pending { what, to, .. } = event.payload;
    if matches!(to, To::Tag(_)) {
        return; // completion queues have their own way out
    }
    let mut event = larder_event::concluded(&what, event.operation, 0, event.answer);
    if let What::Store(store, _) = &what
        && event.value.is_null()
        && event.status == LARDER_OK
        && matches!(to, To::Completion(..))
        && op::has_number(event.operation)
    {
        let number = quietly(|| store.value_of(&Number::Int(event.number.into())));
        event.value = number.ok().and_then(Result::ok).map_or(std::ptr::null_mut(), larder_value::into_raw);
    }
    drop(what); // the callback may outlive a store that is closed meanwhile
    // SAFETY: the callback and its data are the host's; the event lives until it returns, and is cleared once.
    unsafe {
        match to {
            To::Completion(Some(callback), user_data) => {
                callback(user_data, event.op, event.status, event.value, event.error);
            }
            To::Event(Some(callback), user_data) => callback(user_data, &raw const event),
            _ => {}
        }
        event.clear();
    }
}

/// Accepts an operation and begins it: from its acceptance on its callback runs exactly once, since the ticket answers
/// even when it is dropped.
///
/// # Safety
/// As the exported functions ask for.
pub(crate) unsafe fn begin<'a>(
    (store, call, op, err): (*const larder_store, *const larder_call, *mut larder_op, *mut *mut larder_error),
    to: To,
    operation: impl FnOnce(When) -> Result<Operation<'a>>,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written.
        let mut place = unsafe { op.as_mut() };
        if let Some(place) = &mut place {
            **place = 0;
        }
        let open = borrow(store)?;
        // SAFETY: the host passes NULL or a call.
        let (call, when): (Call<'_>, When) = unsafe { argument::call(call)? };
        if matches!(to, To::Completion(None, _) | To::Event(None, _)) {
            return Err(argument::invalid("the callback is NULL"));
        }
        let operation = operation(when)?;
        if when != When::Always && !matches!(operation, Operation::Set { .. }) {
            return Err(argument::invalid("NX and XX are for larder_set"));
        }
        let mut prepared = open.store.prepare(&operation, &call)?;
        open.context.callbacks.start()?;
        let began = open.store.begins(prepared.asked, None);
        if let Some(began) = began {
            prepared.start_clock(began); // saves another look
        }
        let pending = Pending { what: What::Store(open.store.clone(), prepared.asked), to, began };
        let (operation, ticket) = open.context.queue.accept(pending)?;
        if let Some(place) = place {
            *place = operation;
        }
        // nothing can refuse it any more: a dropped ticket is its answer
        let _ = quietly(|| open.store.begin(&prepared, ticket));
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
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
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            Ok(Operation::Get { key: argument::key(key, key_len, "key")? })
        })
    }
}

/// Sets a value later. See larder_set.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param value the value's bytes, by `format`; only read during the call
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
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |when| {
            let (key, value) = (argument::key(key, key_len, "key")?, argument::input(value, value_len, format)?);
            Ok(Operation::Set { key, value, ttl: argument::ttl(ttl_ms), when })
        })
    }
}

/// Sets a value later, where there is none. See larder_add.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param value the value's bytes, by `format`; only read during the call
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
pub unsafe extern "C" fn larder_add_cb(
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
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |when| {
            let (key, value) = (argument::key(key, key_len, "key")?, argument::input(value, value_len, format)?);
            Ok(Operation::Set { key, value, ttl: argument::ttl(ttl_ms), when: argument::when_of_add(when)? })
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
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            Ok(Operation::Expire { key: argument::key(key, key_len, "key")?, ttl: argument::ttl(ttl_ms) })
        })
    }
}

/// Makes a key never expire, later. See larder_persist.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK, LARDER_MISS, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_persist_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            Ok(Operation::Persist { key: argument::key(key, key_len, "key")? })
        })
    }
}

/// Tells later what is left of a key's time to live. See larder_ttl.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK with the time in ms as a value (LARDER_TTL_FOREVER for a key that never
///         expires), LARDER_MISS, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_ttl_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            Ok(Operation::Ttl { key: argument::key(key, key_len, "key")? })
        })
    }
}

/// Removes a key later. See larder_delete.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK, LARDER_MISS, LARDER_IGNORED, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_delete_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            Ok(Operation::Delete { key: argument::key(key, key_len, "key")? })
        })
    }
}

/// Whether a key is there, told later. See larder_has.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK, LARDER_MISS, LARDER_IGNORED, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_has_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            Ok(Operation::Has { key: argument::key(key, key_len, "key")? })
        })
    }
}

/// Adds to a number later. See larder_incr.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param delta what to add
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK with the new number as a value, LARDER_LOSSY with it when it has more
///         than 64 bits or is a float, LARDER_MISS, LARDER_IGNORED, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_incr_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    delta: i64,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            Ok(Operation::Incr { key: argument::key(key, key_len, "key")?, delta })
        })
    }
}

/// Moves a value to another version later. See larder_incr_version.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param delta what to add to the version
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK with the new version as a value, LARDER_MISS, LARDER_IGNORED, or a
///         failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_incr_version_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    delta: i64,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        begin((store, call, op, err), To::Completion(callback, user_data), |_| {
            Ok(Operation::IncrVersion { key: argument::key(key, key_len, "key")?, delta })
        })
    }
}
