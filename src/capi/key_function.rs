//! KEY_FUNCTION: what makes keys.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::argument::{LONGEST_KEY, invalid, sized};
use super::call_out::{CallOut, Output, pointer};
use super::error::larder_error;
use super::plugin::{Plugin, register};
use super::sink::larder_sink;
use super::status::{LARDER_MISS, LARDER_OK, larder_status};
use crate::error::{Error, Kind, Result};
use crate::key::MakeKey;

/// A key function, for KEY_FUNCTION (K-4) and REVERSE_KEY_FUNCTION. Start from `LARDER_KEY_FUNCTION_TABLE_INIT`.
///
/// Threads: `make` is called on the thread that begins an operation (with incr_version also on a thread of larder's that
/// may wait), `reverse` on the thread that reads the answer of a listing: the caller's, the one that polls a queue, or the
/// callback thread. From several threads at once, never under a lock of larder's. They must be quick and always give the
/// same answer to the same question. They may call larder, but what would call the same key function again on that thread
/// answers LARDER_EDEADLOCK, and so does larder_shutdown. They must return: longjmp and exceptions through them are
/// undefined.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_key_function_table {
    /// `sizeof(larder_key_function_table)`; the struct only grows at its end.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// NULL, or frees `user_data`: called exactly once, when the name is registered no more (or anew) and no context, store
    /// or value uses it any more; on whatever thread lets go of it last. In a forked child what the parent's contexts used
    /// is kept for ever.
    pub free_user_data: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Writes the made key, in UTF-8, of a user's key, KEY_PREFIX and a version. For a listing it is given the pattern for
    /// the key, and prefix and version with their wild cards escaped (DR-26): what it makes of these has to match what it
    /// makes of the keys. Answers LARDER_OK or a failure.
    pub make: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            key: *const c_char,
            key_len: usize,
            prefix: *const c_char,
            prefix_len: usize,
            version: *const c_char,
            version_len: usize,
            sink: *mut larder_sink,
        ) -> larder_status,
    >,
    /// Writes the user's key of a made one. Answers LARDER_OK, LARDER_MISS for a key that it has not made, which is left out
    /// of the listing, or a failure. NULL: there is no way back, and larder_keys tells only final keys.
    pub reverse: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            made: *const c_char,
            made_len: usize,
            sink: *mut larder_sink,
        ) -> larder_status,
    >,
}

/// The size of the table in larder 0.1.
const FIRST_SIZE: usize = 32;
const _: () = assert!(size_of::<larder_key_function_table>() >= FIRST_SIZE);

/// Registers a key function under a dotted name, for KEY_FUNCTION and REVERSE_KEY_FUNCTION in contexts that are opened later.
/// What was registered under that name is replaced; contexts that are open keep it.
///
/// @param name a dotted name of your own, such as "shop.keys", NUL-terminated UTF-8
/// @param table the functions; copied
/// @param user_data handed to them; taken by LARDER_OK, and given back to `free_user_data`
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL for a name without a dot or of larder's own, and for a table without `make`
///
/// Blocks: never. Threads: any. Owns: takes `user_data` where there is a `free_user_data`. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_register_key_function(
    name: *const c_char,
    table: *const larder_key_function_table,
    user_data: *mut c_void,
    err: *mut *mut larder_error,
) -> larder_status {
    let read = || {
        // SAFETY: the host passes NULL or a table of the size that it tells; all NULL are a table.
        let table = unsafe { sized(table, FIRST_SIZE, "table")? }.ok_or_else(|| invalid("table is NULL"))?;
        if table.make.is_none() {
            return Err(invalid("a key function needs make"));
        }
        Ok((table.free_user_data, table))
    };
    // SAFETY: the host passes NULL or a NUL-terminated name, and a place that is NULL or can be written.
    unsafe {
        register(("key function", name, user_data), err, read, |plugins, name, plugin, table| {
            plugins.key_functions.insert(name, Arc::new(Plugged { plugin, table }));
        })
    }
}

struct Plugged {
    plugin: Plugin,
    table: larder_key_function_table,
}

impl Plugged {
    fn begin(&self) -> Result<CallOut<'_>> {
        CallOut::begin(&self.plugin, (&raw const *self).addr(), vec![Output::bytes(LONGEST_KEY)])
    }

    fn written(&self, outputs: Vec<Output>) -> Result<Vec<u8>> {
        let bytes = outputs.into_iter().next().map(|output| output.bytes).unwrap_or_default();
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => {
                let reason =
                    format!("the key function \"{}\" makes a key that is not UTF-8: {error}", self.plugin.name);
                Err(Error::new(Kind::Invalid, reason))
            }
        }
    }
}

impl MakeKey for Plugged {
    fn make(&self, key: &str, prefix: &str, version: &str) -> Result<Vec<u8>> {
        let Some(make) = self.table.make else { return Err(invalid("a key function needs make")) };
        let (call, data) = (self.begin()?, self.plugin.user_data);
        let [key, prefix, version] = [key, prefix, version].map(str::as_bytes);
        // SAFETY: the host's own function, with texts of their lengths that live during the call.
        let status = unsafe {
            make(
                data,
                pointer(key),
                key.len(),
                pointer(prefix),
                prefix.len(),
                pointer(version),
                version.len(),
                call.sink(0),
            )
        };
        match call.end(status, Kind::Invalid)? {
            (LARDER_OK, outputs) => self.written(outputs),
            (other, _) => Err(CallOut::strange(&self.plugin, "make", other)),
        }
    }

    fn has_reverse(&self) -> bool {
        self.table.reverse.is_some()
    }

    fn reverse(&self, made: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(reverse) = self.table.reverse else { return Ok(None) };
        let call = self.begin()?;
        // SAFETY: as above.
        let status = unsafe { reverse(self.plugin.user_data, pointer(made), made.len(), call.sink(0)) };
        match call.end(status, Kind::Invalid)? {
            (LARDER_OK, outputs) => self.written(outputs).map(Some),
            (LARDER_MISS, _) => Ok(None),
            (other, _) => Err(CallOut::strange(&self.plugin, "reverse", other)),
        }
    }
}
