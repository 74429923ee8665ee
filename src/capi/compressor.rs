//! COMPRESSOR: what makes stored bytes fewer.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::argument::{invalid, sized};
use super::call_out::{CallOut, Output, pointer};
use super::error::larder_error;
use super::plugin::{Plugin, register};
use super::sink::larder_sink;
use super::status::{LARDER_MISS, LARDER_OK, larder_status};
use crate::codec::own;
use crate::error::{Kind, Result};

/// A compressor, for COMPRESSOR in OPTIONS. Start from `LARDER_COMPRESSOR_TABLE_INIT`.
///
/// Threads: `compress` is called on the thread that submits a write (after an incr also on a thread of larder's that may
/// wait), `decompress` on the thread that first looks into a value: the caller's, the one that polls a queue, or the
/// callback thread. From several threads at once, never under a lock of larder's. They may call larder, but what would call
/// the same compressor again on that thread answers LARDER_EDEADLOCK, and so does larder_shutdown. They must return: longjmp
/// and exceptions through them are undefined.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_compressor_table {
    /// `sizeof(larder_compressor_table)`; the struct only grows at its end.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// NULL, or frees `user_data`: called exactly once, when the name is registered no more (or anew) and no context, store
    /// or value uses it any more; on whatever thread lets go of it last. In a forked child what the parent's contexts used
    /// is kept for ever.
    pub free_user_data: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Only what is longer, in bytes, is compressed. django-redis's compressors have 15 here.
    pub min_length: usize,
    /// Writes the compressed bytes. Answers LARDER_OK or a failure.
    pub compress: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            data: *const c_void,
            len: usize,
            sink: *mut larder_sink,
        ) -> larder_status,
    >,
    /// Writes the bytes that were compressed: at most `limit`, beyond which the sink refuses them. The bytes may be anybody's:
    /// trust nothing in them. Answers LARDER_OK; LARDER_MISS when these were not compressed, and are taken as they are
    /// (DR-11: values that are shorter than `min_length`, or were written before there was a compressor); or a failure.
    pub decompress: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            data: *const c_void,
            len: usize,
            limit: usize,
            sink: *mut larder_sink,
        ) -> larder_status,
    >,
}

/// The size of the table in larder 0.1.
const FIRST_SIZE: usize = 40;
const _: () = assert!(size_of::<larder_compressor_table>() >= FIRST_SIZE);

/// Registers a compressor under a dotted name, for COMPRESSOR in contexts that are opened later. What was registered under
/// that name is replaced; contexts that are open keep it.
///
/// @param name a dotted name of your own, such as "shop.Compressor", NUL-terminated UTF-8
/// @param table the functions; copied
/// @param user_data handed to them; taken by LARDER_OK, and given back to `free_user_data`
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL for a name without a dot or of larder's own, and for a table that lacks a function
///
/// Blocks: never. Threads: any. Owns: takes `user_data` where there is a `free_user_data`. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_register_compressor(
    name: *const c_char,
    table: *const larder_compressor_table,
    user_data: *mut c_void,
    err: *mut *mut larder_error,
) -> larder_status {
    let read = || {
        // SAFETY: the host passes NULL or a table of the size that it tells; all NULL are a table.
        let table = unsafe { sized(table, FIRST_SIZE, "table")? }.ok_or_else(|| invalid("table is NULL"))?;
        if table.compress.is_none() || table.decompress.is_none() {
            return Err(invalid("a compressor needs compress and decompress"));
        }
        Ok((table.free_user_data, table))
    };
    // SAFETY: the host passes NULL or a NUL-terminated name, and a place that is NULL or can be written.
    unsafe {
        register(("compressor", name, user_data), err, read, |plugins, name, plugin, table| {
            plugins.compressors.insert(name, Arc::new(Plugged { plugin, table }));
        })
    }
}

struct Plugged {
    plugin: Plugin,
    table: larder_compressor_table,
}

impl Plugged {
    fn begin(&self, limit: usize) -> Result<CallOut<'_>> {
        CallOut::begin(&self.plugin, (&raw const *self).addr(), vec![Output::bytes(limit)])
    }
}

fn written(outputs: Vec<Output>) -> Vec<u8> {
    outputs.into_iter().next().map(|output| output.bytes).unwrap_or_default()
}

impl own::Compress for Plugged {
    fn min_length(&self) -> usize {
        self.table.min_length
    }

    fn compress(&self, serialised: &[u8], limit: usize) -> Result<Vec<u8>> {
        let Some(compress) = self.table.compress else { return Err(invalid("a compressor needs compress")) };
        let call = self.begin(limit)?;
        // SAFETY: the host's own function, with bytes of their length that live during the call.
        let status = unsafe { compress(self.plugin.user_data, pointer(serialised), serialised.len(), call.sink(0)) };
        match call.end(status, Kind::Server)? {
            (LARDER_OK, outputs) => Ok(written(outputs)),
            (other, _) => Err(CallOut::strange(&self.plugin, "compress", other)),
        }
    }

    fn decompress(&self, stored: &[u8], limit: usize) -> Result<Option<Vec<u8>>> {
        let Some(decompress) = self.table.decompress else { return Err(invalid("a compressor needs decompress")) };
        let call = self.begin(limit)?;
        // SAFETY: as above.
        let status = unsafe { decompress(self.plugin.user_data, pointer(stored), stored.len(), limit, call.sink(0)) };
        match call.end(status, Kind::Undecodable)? {
            (LARDER_OK, outputs) => Ok(Some(written(outputs))),
            (LARDER_MISS, _) => Ok(None), // DR-11
            (other, _) => Err(CallOut::strange(&self.plugin, "decompress", other)),
        }
    }
}
