//! `larder_get_or_load`: one store with a loader behind it.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::argument::{self, invalid, larder_call, out};
use super::callback::{larder_completion_fn, larder_op};
use super::error::larder_error;
use super::event::{Pending, To, What};
use super::guard::{guard, quietly};
use super::home::Of;
use super::load::{Sources, larder_load_fn, larder_load_options};
use super::pipeline::status_of;
use super::request::LARDER_OP_GET_OR_LOAD;
use super::status::{LARDER_OK, larder_status};
use super::store::{Borrowed, borrow, larder_store};
use super::value::larder_value;
use crate::backend::When;
use crate::error::{Error, Kind, Result};
use crate::pyot::ask::{Ask, Operation, Outcome};
use crate::pyot::pipeline::{Pipeline, Rules};
use crate::store::Call;

/// A store with what loads for it.
pub(super) fn around(open: &Borrowed, options: Option<&larder_load_options>) -> Result<Arc<Pipeline>> {
    let rules = options.map_or_else(|| Ok(Rules::default()), larder_load_options::rules)?;
    let flights = open.context.flights(Of::Alias, open.store.name());
    Ok(Arc::new(Pipeline::around(open.store.clone(), rules, flights)))
}

/// What the host asks: its key and call, checked.
///
/// # Safety
/// `key` has its length, `call` is NULL or a call.
unsafe fn asked<'a>(
    (key, key_len, ttl_ms): (*const c_char, usize, i64),
    call: *const larder_call,
    (load, user_data): (larder_load_fn, *mut c_void),
    open: &Borrowed,
) -> Result<(Operation<'a>, Ask)> {
    // SAFETY: by this function's own contract.
    let (key, (call, when)): (_, (Call<'a>, When)) =
        unsafe { (argument::key(key, key_len, "key")?, argument::call(call)?) };
    if when != When::Always {
        return Err(invalid("NX and XX are for larder_set"));
    }
    if load.is_none() {
        return Err(invalid("the loader is NULL; larder_get needs none"));
    }
    let sources = Sources { loads: &open.context.loads, name: open.store.name(), queue: None };
    let (version, final_key) = (call.version.map(Into::into), call.final_key);
    let ask = Ask { budget: call.budget, version, final_key, ..sources.ask(0, 0, load, user_data)? };
    Ok((Operation::GetOrLoad { key, ttl: argument::ttl(ttl_ms) }, ask))
}

/// Gets a value; where there is none it is loaded and set. Whoever wants it meanwhile, in this context, waits for that one load,
/// no longer than his own call may take. A loader that says that there is none, or fails, sets nothing.
///
/// @param store the store
/// @param key UTF-8 text; NULL with length 0 is the empty key
/// @param key_len its length in bytes
/// @param load the loader; it runs on this thread, within the call
/// @param load_user_data handed to the loader. It has to live until that has returned and answered, which can be after the
///        call. See larder_load_fn
/// @param ttl_ms for what is loaded, unless the loader says another: the time to live in ms; LARDER_TTL_DEFAULT;
///        LARDER_TTL_FOREVER; 0 or less: it is not kept
/// @param options NULL, or how it is loaded: under a lock, with grace, early, with jitter
/// @param call NULL, or version, deadline and flags of this call
/// @param value receives the value, to be released; NULL on a miss and on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_STALE: it is over, and being loaded anew; LARDER_MISS: the loader says that there is none;
///         LARDER_EDEADLOCK inside the loader of the same key; what the loader failed with; LARDER_EUNSUPPORTED for a lock on
///         a backend that has none; otherwise as larder_get
///
/// Blocks: up to the call's deadline (the alias's own: its time and that of a load together), and as long as the loader takes
/// where it runs on this thread. Threads: any.
/// Owns: the caller owns the value. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_get_or_load(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    load: larder_load_fn,
    load_user_data: *mut c_void,
    ttl_ms: i64,
    options: *const larder_load_options,
    call: *const larder_call,
    value: *mut *mut larder_value,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let place = out(value, "value")?;
            *place = std::ptr::null_mut();
            let open = borrow(store)?;
            let (operation, ask) = asked((key, key_len, ttl_ms), call, (load, load_user_data), &open)?;
            let pipeline = around(&open, larder_load_options::read(options)?.as_ref())?;
            drop(open); // a loader may close the handle
            let Outcome::Value(got) = pipeline.perform(&operation, &ask)? else {
                return Err(Error::new(Kind::Panic, "the load answered something that does not belong to it"));
            };
            let status = status_of(got.as_ref());
            if let Some(got) = got {
                *place = larder_value::into_raw(got.value);
            }
            Ok(status)
        })
    }
}

/// Gets a value later; where there is none it is loaded, on a thread of larder's that may wait, and set. See
/// larder_get_or_load.
///
/// @param store the store
/// @param key UTF-8 text; only read during this call
/// @param key_len its length in bytes
/// @param load the loader
/// @param load_user_data handed to the loader. It has to live as long as that can be called, and until it has returned and
///        answered: both can be after the operation has ended. See larder_load_fn
/// @param ttl_ms for what is loaded, as of larder_get_or_load
/// @param options NULL, or how it is loaded; only read during this call
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK or LARDER_STALE with a value, LARDER_MISS, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb; LARDER_EUNSUPPORTED
///
/// Blocks: never. Threads: any, callbacks and loaders included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_get_or_load_cb(
    store: *const larder_store,
    key: *const c_char,
    key_len: usize,
    load: larder_load_fn,
    load_user_data: *mut c_void,
    ttl_ms: i64,
    options: *const larder_load_options,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let mut place = op.as_mut();
            if let Some(place) = &mut place {
                **place = 0;
            }
            let open = borrow(store)?;
            if callback.is_none() {
                return Err(invalid("the callback is NULL"));
            }
            let (operation, ask) = asked((key, key_len, ttl_ms), call, (load, load_user_data), &open)?;
            let pipeline = around(&open, larder_load_options::read(options)?.as_ref())?;
            let prepared = pipeline.prepare(&operation, &ask)?;
            open.context.callbacks.start()?;
            let what = What::Pipeline(pipeline.clone(), prepared.asked, LARDER_OP_GET_OR_LOAD);
            let to = To::Completion(callback, user_data);
            let (operation, ticket) = open.context.queue.accept(Pending { what, to, began: None })?;
            if let Some(place) = place {
                *place = operation;
            }
            // nothing can refuse it any more: a dropped ticket is its answer
            let _ = quietly(|| pipeline.begin(prepared, ticket));
            Ok(LARDER_OK)
        })
    }
}
