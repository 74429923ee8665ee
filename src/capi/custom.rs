//! BACKEND: a cache of the program's own, as a table of functions.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::argument::{invalid, sized};
use super::call_out::{CallOut, pointer};
use super::custom_backend::{Custom, Instance};
use super::error::larder_error;
use super::plugin::{Plugin, register};
use super::sink::larder_sink;
use super::status::{LARDER_OK, larder_status};
use crate::backend::{Backend, OpenBackend, Spawner};
use crate::config::Alias;
use crate::error::{Kind, Result};

/// `action` of a backend's `lock`: take it for `ttl_ms`, also where this token holds it already.
pub const LARDER_LOCK_TAKE: i32 = 1;
/// `action` of a backend's `lock`: let go of it, where this token holds it.
pub const LARDER_LOCK_RELEASE: i32 = 2;
/// `action` of a backend's `lock`: `ttl_ms` more than what is left, where this token holds it and it expires at all.
pub const LARDER_LOCK_EXTEND: i32 = 3;
/// `action` of a backend's `lock`: `ttl_ms` from now on, where this token holds it.
pub const LARDER_LOCK_RENEW: i32 = 4;

/// A backend, for BACKEND. Start from `LARDER_BACKEND_TABLE_INIT`. What is NULL the backend has not: larder does it with the
/// others, or answers LARDER_EUNSUPPORTED; `open`, `get`, `set`, `touch` and `delete_key` are needed.
///
/// A backend knows made keys, in UTF-8, and stored bytes, and nothing of what they mean. A key whose time to live is over
/// is not there.
///
/// Threads: a synchronous call of larder's is one, or a few, of these functions on the caller's own thread. Asynchronous
/// ones (callbacks and completion queues) are made on a thread of larder's that may wait, one at a time for each store, in
/// the order in which they were submitted; never on the callback thread. So the functions are called from several threads
/// at once, also for one instance, and have to see to their own locks; never under a lock of larder's. `open` and `close` are
/// called once for each store, on the thread that opens it and on the one that lets go of it last.
///
/// They may call larder, also the stores of others, but what would call the same instance again on that thread answers
/// LARDER_EDEADLOCK, and so does larder_shutdown. They must return: longjmp and exceptions through them are undefined.
///
/// `left_ms` is what is left of the time that the whole call may take, 1 at least. larder cannot end a function that takes
/// longer: its answer counts when it comes, and larder_shutdown answers LARDER_ETIMEOUT where it has to wait too long. A
/// function that gives up answers LARDER_ETIMEOUT.
///
/// Fork: a child opens its own instance, by `open` with the child's copy of `user_data`, when it first uses the store. The
/// parent's is never used nor closed there. If `open` needs a lock that a thread of the parent may hold, the program has to
/// see to that (pthread_atfork).
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(clippy::type_complexity)]
pub struct larder_backend_table {
    /// `sizeof(larder_backend_table)`; the struct only grows at its end.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// NULL, or frees `user_data`: called exactly once, when the name is registered no more (or anew) and no context or store
    /// uses it any more, behind the last `close`; on whatever thread lets go of it last. In a forked child what the parent's
    /// contexts used is kept for ever.
    pub free_user_data: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Opens an alias. `entry_json` is its entry of CACHES, as JSON, with the environment's texts filled in: it may hold a
    /// password. `instance` receives what the other functions are given. Should not connect. Answers LARDER_OK or a failure.
    pub open: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            alias: *const c_char,
            alias_len: usize,
            entry_json: *const c_char,
            entry_json_len: usize,
            instance: *mut *mut c_void,
        ) -> larder_status,
    >,
    /// NULL, or ends an instance: called once for each that was opened, when its store is closed and nothing of it runs any
    /// more.
    pub close: Option<unsafe extern "C" fn(instance: *mut c_void)>,
    /// Writes the bytes of a key. Answers LARDER_OK, LARDER_MISS or a failure.
    pub get: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            key: *const c_char,
            key_len: usize,
            left_ms: i64,
            sink: *mut larder_sink,
        ) -> larder_status,
    >,
    /// Stores the bytes of a key. `ttl_ms` is more than 0, or LARDER_TTL_FOREVER; adding it to a clock in ms or us overflows
    /// nothing. With LARDER_CALL_NX in `flags` only where there is no such key, with LARDER_CALL_XX only over one; unknown
    /// bits are to be refused (LARDER_EUNSUPPORTED). Answers LARDER_OK; LARDER_NOT_STORED where the condition did not hold;
    /// LARDER_NOT_KEPT where the time to live rounds to nothing, and the key is gone; or a failure: then the old bytes stay.
    pub set: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            key: *const c_char,
            key_len: usize,
            value: *const c_void,
            value_len: usize,
            ttl_ms: i64,
            flags: u32,
            left_ms: i64,
        ) -> larder_status,
    >,
    /// Gives a key another time to live, as for `set`. Answers LARDER_OK, LARDER_MISS, LARDER_NOT_KEPT or a failure.
    pub touch: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            key: *const c_char,
            key_len: usize,
            ttl_ms: i64,
            left_ms: i64,
        ) -> larder_status,
    >,
    /// Removes a key. Answers LARDER_OK, LARDER_MISS or a failure.
    pub delete_key: Option<
        unsafe extern "C" fn(instance: *mut c_void, key: *const c_char, key_len: usize, left_ms: i64) -> larder_status,
    >,
    /// Whether a key is there. Answers LARDER_OK, LARDER_MISS or a failure. NULL: `get`.
    pub has: Option<
        unsafe extern "C" fn(instance: *mut c_void, key: *const c_char, key_len: usize, left_ms: i64) -> larder_status,
    >,
    /// Writes the bytes of several keys, each to the sink in its place, and LARDER_OK to the place in `statuses`, which are
    /// LARDER_MISS before the call. Answers LARDER_OK or a failure. NULL: one `get` after the other.
    pub get_many: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            keys: *const *const c_char,
            key_lens: *const usize,
            n: usize,
            left_ms: i64,
            sinks: *const *mut larder_sink,
            statuses: *mut larder_status,
        ) -> larder_status,
    >,
    /// Stores the bytes of several keys; a failure of one, or LARDER_NOT_KEPT, goes to its place in `statuses`, which are
    /// LARDER_OK before the call. Answers LARDER_OK, or a failure where none is known to be stored. NULL: one `set` after the
    /// other.
    pub set_many: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            keys: *const *const c_char,
            key_lens: *const usize,
            values: *const *const c_void,
            value_lens: *const usize,
            n: usize,
            ttl_ms: i64,
            left_ms: i64,
            statuses: *mut larder_status,
        ) -> larder_status,
    >,
    /// Removes several keys; `removed` receives how many there were. Answers LARDER_OK or a failure. NULL: one `delete_key`
    /// after the other.
    pub delete_many: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            keys: *const *const c_char,
            key_lens: *const usize,
            n: usize,
            left_ms: i64,
            removed: *mut u64,
        ) -> larder_status,
    >,
    /// Tells what is left of a key's time to live: milliseconds or LARDER_TTL_FOREVER. Answers LARDER_OK, LARDER_MISS or a
    /// failure. NULL: larder_ttl answers LARDER_EUNSUPPORTED.
    pub ttl: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            key: *const c_char,
            key_len: usize,
            left_ms: i64,
            ttl_ms: *mut i64,
        ) -> larder_status,
    >,
    /// Removes a key's expiry. Answers LARDER_OK, LARDER_MISS or a failure. NULL: `touch` with LARDER_TTL_FOREVER.
    pub persist: Option<
        unsafe extern "C" fn(instance: *mut c_void, key: *const c_char, key_len: usize, left_ms: i64) -> larder_status,
    >,
    /// Adds to the decimal digits that a key holds, in one step, keeping its expiry; `sum` receives the new number. With this
    /// function whole numbers are stored as their digits, as on Redis (DR-10); without it they are serialised like other
    /// values. Answers LARDER_OK; LARDER_MISS; LARDER_SKIPPED where the bytes are no whole number, or the sum is beyond 64
    /// bits: then larder reads, adds and writes (DR-20), for which it needs `ttl`, or answers LARDER_ETYPE; or a failure.
    /// NULL: larder reads, adds, and writes with the alias's TIMEOUT, as Django does (O-3).
    pub incr: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            key: *const c_char,
            key_len: usize,
            delta: i64,
            left_ms: i64,
            sum: *mut i64,
        ) -> larder_status,
    >,
    /// Tells one page of keys, each with larder_sink_write_key, from `at`, which is 0 at the beginning; `next` receives where
    /// the following page begins, and stays 0 where there is none. `pattern` is a glob pattern as Redis has it, to save work:
    /// larder leaves out what does not match. Every key that is there all the time has to come, once at least. Answers
    /// LARDER_OK or a failure. NULL: no listing, and no clearing by prefix without `clear_prefix`.
    pub scan: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            pattern: *const c_char,
            pattern_len: usize,
            at: u64,
            left_ms: i64,
            sink: *mut larder_sink,
            next: *mut u64,
        ) -> larder_status,
    >,
    /// Removes everything. Answers LARDER_OK or a failure. NULL: what `scan` finds is deleted.
    pub clear: Option<unsafe extern "C" fn(instance: *mut c_void, left_ms: i64) -> larder_status>,
    /// Removes the keys that begin with `prefix`. Answers LARDER_OK or a failure. NULL: what `scan` finds is deleted.
    pub clear_prefix: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            prefix: *const c_char,
            prefix_len: usize,
            left_ms: i64,
        ) -> larder_status,
    >,
    /// Removes what has expired; `removed` receives how many. Answers LARDER_OK or a failure. NULL: there is nothing to do.
    pub purge_expired:
        Option<unsafe extern "C" fn(instance: *mut c_void, left_ms: i64, removed: *mut u64) -> larder_status>,
    /// Does `action` with a lock, in one step. A lock is a key that holds its owner's token, as `set` would have stored it.
    /// Answers LARDER_OK; LARDER_NOT_STORED where it could not be done: another token holds the key, or none; or a failure.
    /// NULL: larder_lock answers LARDER_EUNSUPPORTED.
    pub lock: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            key: *const c_char,
            key_len: usize,
            token: *const c_char,
            token_len: usize,
            action: i32,
            ttl_ms: i64,
            left_ms: i64,
        ) -> larder_status,
    >,
    /// Answers LARDER_OK where the backend can be used now, or a failure. NULL: always.
    pub ping: Option<unsafe extern "C" fn(instance: *mut c_void, left_ms: i64) -> larder_status>,
}

/// The size of the table in larder 0.1.
const FIRST_SIZE: usize = 168;
const _: () = assert!(size_of::<larder_backend_table>() >= FIRST_SIZE);

/// Registers a backend under a dotted name, for BACKEND in contexts that are opened later. What was registered under that
/// name is replaced; contexts that are open keep it.
///
/// In such an alias's entry LOCATION and what larder does not know in OPTIONS is the backend's own. OPTIONS may have
/// SERIALIZER, COMPRESSOR and PICKLE_VERSION, as with django-redis; without them values are pickled as Django does it.
///
/// @param name a dotted name of your own, such as "shop.Backend", NUL-terminated UTF-8
/// @param table the functions; copied
/// @param user_data handed to `open`; taken by LARDER_OK, and given back to `free_user_data`
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL for a name without a dot or of larder's own, and for a table that lacks a function
///
/// Blocks: never. Threads: any. Owns: takes `user_data` where there is a `free_user_data`. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_register_backend(
    name: *const c_char,
    table: *const larder_backend_table,
    user_data: *mut c_void,
    err: *mut *mut larder_error,
) -> larder_status {
    let read = || {
        // SAFETY: the host passes NULL or a table of the size that it tells; all NULL are a table.
        let table = unsafe { sized(table, FIRST_SIZE, "table")? }.ok_or_else(|| invalid("table is NULL"))?;
        let needed = [
            ("open", table.open.is_some()),
            ("get", table.get.is_some()),
            ("set", table.set.is_some()),
            ("touch", table.touch.is_some()),
            ("delete_key", table.delete_key.is_some()),
        ];
        if let Some((lacking, _)) = needed.iter().find(|(_, is_there)| !is_there) {
            return Err(invalid(format!("a backend needs {lacking}")));
        }
        Ok((table.free_user_data, table))
    };
    // SAFETY: the host passes NULL or a NUL-terminated name, and a place that is NULL or can be written.
    unsafe {
        register(("backend", name, user_data), err, read, |plugins, name, plugin, table| {
            plugins.backends.insert(name, Arc::new(Plugged(Arc::new(Table { plugin, functions: table }))));
        })
    }
}

/// A registered table.
pub(super) struct Table {
    pub plugin: Plugin,
    pub functions: larder_backend_table,
}

struct Plugged(Arc<Table>);

impl OpenBackend for Plugged {
    fn counts(&self) -> bool {
        self.0.functions.incr.is_some()
    }

    fn open(&self, alias: &Alias, entry: &str, spawner: &Arc<dyn Spawner>) -> Result<Arc<dyn Backend>> {
        let Table { plugin, functions } = &*self.0;
        let Some(open) = functions.open else { return Err(invalid("a backend needs open")) };
        let call = CallOut::begin(plugin, (&raw const *self.0).addr(), Vec::new())?;
        let (name, mut instance) = (alias.name.as_bytes(), std::ptr::null_mut());
        // SAFETY: the host's own function, with texts of their lengths that live during the call, and a local to write to.
        let status = unsafe {
            open(plugin.user_data, pointer(name), name.len(), pointer(entry.as_bytes()), entry.len(), &raw mut instance)
        };
        match call.end(status, Kind::Config)? {
            (LARDER_OK, _) => {
                let instance = Instance::new(self.0.clone(), instance, alias.settings.limits);
                Ok(Arc::new(Custom::new(instance, spawner.clone())))
            }
            (other, _) => Err(CallOut::strange(plugin, "open", other)),
        }
    }
}
