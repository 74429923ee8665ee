//! The table of a database cache.

use std::ffi::{c_char, c_void};

use super::argument::{Buffer, larder_call};
use super::callback::{begin, larder_completion_fn, larder_op};
use super::error::larder_error;
use super::event::To;
use super::guard::guard;
use super::operation::asked;
use super::status::{LARDER_OK, LARDER_TRUNCATED, larder_status};
use super::store::larder_store;
use crate::store::Operation;

/// Makes the table of a database cache, and its index, as Django's `createcachetable` does, where they are not there.
/// Nothing else ever makes them: without the table every operation fails and says so.
///
/// @param store the store
/// @param call NULL, or version, deadline and flags of this call
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK: they are there now; LARDER_EUNSUPPORTED when this is no database cache; LARDER_EINVAL;
///         LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EIO; LARDER_ECONNECTION; LARDER_ETIMEOUT; LARDER_ESERVER;
///         LARDER_EMEMORY
///
/// Blocks: up to the call's deadline. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_create_table(
    store: *const larder_store,
    call: *const larder_call,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            asked((store, std::ptr::null(), 0, call), |open, _, call, _| open.store.create_table(call))?;
            Ok(LARDER_OK)
        })
    }
}

/// Makes the table of a database cache later. See larder_create_table.
///
/// @param store the store
/// @param call NULL, or version, deadline and flags of this call
/// @param callback takes the answer: LARDER_OK, or a failure
/// @param user_data handed to the callback
/// @param op NULL, or receives the operation's id, before the callback can run; 0 on refusal
/// @param err NULL, or receives an error on refusal, to be released
/// @return as larder_get_cb
///
/// Blocks: never. Threads: any, callbacks included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_create_table_cb(
    store: *const larder_store,
    call: *const larder_call,
    callback: larder_completion_fn,
    user_data: *mut c_void,
    op: *mut larder_op,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe { begin((store, call, op, err), To::Completion(callback, user_data), |_| Ok(Operation::CreateTable)) }
}

/// The SQL with which larder_create_table makes the table, as `createcachetable --dry-run` prints it: for who wants to
/// look at it, or hand it to an administrator. It does not ask the database.
///
/// @param store the store
/// @param buffer receives UTF-8 text without a terminator: statements that end with a semicolon and a line break each;
///        NULL only with a capacity of 0
/// @param capacity its size in bytes
/// @param needed NULL, or receives the length of the text in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_TRUNCATED when the buffer is too small, with nothing written to it; LARDER_EUNSUPPORTED when
///         this is no database cache; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_table_sql(
    store: *const larder_store,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    // SAFETY: the host passes what the documentation asks for; NULL is checked.
    unsafe {
        guard(err, || {
            let mut buffer = Buffer::new(buffer.cast(), capacity, needed)?;
            let sql = asked((store, std::ptr::null(), 0, std::ptr::null()), |open, _, _, _| open.store.table_sql())?;
            Ok(if buffer.fill(sql.as_bytes()) { LARDER_OK } else { LARDER_TRUNCATED })
        })
    }
}
