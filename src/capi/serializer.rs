//! SERIALIZER: what makes bytes of values, and values of bytes.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use bytes::Bytes;

use super::argument::{LARDER_BYTES, LARDER_JSON, LARDER_TEXT, invalid, sized};
use super::call_out::{CallOut, Output, pointer};
use super::error::larder_error;
use super::plugin::{Plugin, register};
use super::sink::larder_sink;
use super::status::{LARDER_OK, larder_status};
use crate::codec::Input;
use crate::codec::own::{self, Given};
use crate::error::{Error, Kind, Result};
use crate::stored::StoredRef;
use crate::value::{Limits, Tree};

/// A serializer, for SERIALIZER in OPTIONS. Start from `LARDER_SERIALIZER_TABLE_INIT`.
///
/// Threads: `dumps` is called on the thread that submits a write (after an incr also on a thread of larder's that may wait),
/// `loads` on the thread that first looks into a value: the caller's, the one that polls a queue, or the callback thread.
/// From several threads at once, never under a lock of larder's. They may call larder, but what would call the same
/// serializer again on that thread answers LARDER_EDEADLOCK, and so does larder_shutdown. They must return: longjmp and
/// exceptions through them are undefined.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_serializer_table {
    /// `sizeof(larder_serializer_table)`; the struct only grows at its end.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// NULL, or frees `user_data`: called exactly once, when the name is registered no more (or anew) and no context, store
    /// or value uses it any more; on whatever thread lets go of it last. In a forked child what the parent's contexts used
    /// is kept for ever.
    pub free_user_data: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Writes the bytes that are stored for a value. `format` says what the value is: LARDER_BYTES, LARDER_TEXT (UTF-8) or
    /// LARDER_JSON (as Python's `json.dumps` writes it; numbers come so, too). On Redis whole numbers are stored as bare
    /// digits and never come here (DR-10). Answers LARDER_OK or a failure (LARDER_ETYPE where none is better).
    pub dumps: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            format: i32,
            data: *const c_void,
            len: usize,
            sink: *mut larder_sink,
        ) -> larder_status,
    >,
    /// Writes the value of stored bytes, and says in `format` what it has written: LARDER_BYTES, LARDER_TEXT (UTF-8) or
    /// LARDER_JSON. `format` is LARDER_BYTES before the call. The bytes may be anybody's: trust nothing in them. Answers
    /// LARDER_OK or a failure (LARDER_EUNDECODABLE where none is better).
    pub loads: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            stored: *const c_void,
            len: usize,
            sink: *mut larder_sink,
            format: *mut i32,
        ) -> larder_status,
    >,
}

/// The size of the table in larder 0.1.
const FIRST_SIZE: usize = 32;
const _: () = assert!(size_of::<larder_serializer_table>() >= FIRST_SIZE);

/// Registers a serializer under a dotted name, for SERIALIZER in contexts that are opened later. What was registered under
/// that name is replaced; contexts that are open keep it.
///
/// @param name a dotted name of your own, such as "shop.Serializer", NUL-terminated UTF-8
/// @param table the functions; copied
/// @param user_data handed to them; taken by LARDER_OK, and given back to `free_user_data`
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL for a name without a dot or of larder's own, and for a table that lacks a function
///
/// Blocks: never. Threads: any. Owns: takes `user_data` where there is a `free_user_data`. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_register_serializer(
    name: *const c_char,
    table: *const larder_serializer_table,
    user_data: *mut c_void,
    err: *mut *mut larder_error,
) -> larder_status {
    let read = || {
        // SAFETY: the host passes NULL or a table of the size that it tells; all NULL are a table.
        let table = unsafe { sized(table, FIRST_SIZE, "table")? }.ok_or_else(|| invalid("table is NULL"))?;
        if table.dumps.is_none() || table.loads.is_none() {
            return Err(invalid("a serializer needs dumps and loads"));
        }
        Ok((table.free_user_data, table))
    };
    // SAFETY: the host passes NULL or a NUL-terminated name, and a place that is NULL or can be written.
    unsafe {
        register(("serializer", name, user_data), err, read, |plugins, name, plugin, table| {
            plugins.serializers.insert(name, Arc::new(Plugged { plugin, table }));
        })
    }
}

struct Plugged {
    plugin: Plugin,
    table: larder_serializer_table,
}

impl Plugged {
    fn begin(&self, limits: &Limits) -> Result<CallOut<'_>> {
        CallOut::begin(&self.plugin, (&raw const *self).addr(), vec![Output::bytes(limits.bytes)])
    }
}

fn written(outputs: Vec<Output>) -> Vec<u8> {
    outputs.into_iter().next().map(|output| output.bytes).unwrap_or_default()
}

impl own::Serialize for Plugged {
    fn dumps(&self, input: Input<'_>, limits: &Limits) -> Result<Vec<u8>> {
        let Some(dumps) = self.table.dumps else { return Err(invalid("a serializer needs dumps")) };
        let number;
        let (format, data) = match input {
            Input::Bytes(bytes) => (LARDER_BYTES, bytes),
            Input::Text(text) => (LARDER_TEXT, text.as_bytes()),
            Input::Json(text) => (LARDER_JSON, text),
            Input::Number(value) => {
                number = own::number_as_json(value)?;
                (LARDER_JSON, number.as_slice())
            }
            Input::Stored(bytes) | Input::Ready(StoredRef { bytes, .. }) => return Ok(bytes.to_vec()),
        };
        let call = self.begin(limits)?;
        // SAFETY: the host's own function, with bytes of their length that live during the call.
        let status = unsafe { dumps(self.plugin.user_data, format, pointer(data), data.len(), call.sink(0)) };
        match call.end(status, Kind::Type)? {
            (LARDER_OK, outputs) => Ok(written(outputs)),
            (other, _) => Err(CallOut::strange(&self.plugin, "dumps", other)),
        }
    }

    fn loads(&self, serialised: &Bytes, limits: &Limits) -> Result<Tree> {
        let Some(loads) = self.table.loads else { return Err(invalid("a serializer needs loads")) };
        let call = self.begin(limits)?;
        let (mut format, data) = (LARDER_BYTES, self.plugin.user_data);
        // SAFETY: as above; `format` is a local that can be written.
        let status = unsafe { loads(data, pointer(serialised), serialised.len(), call.sink(0), &raw mut format) };
        let written = match call.end(status, Kind::Undecodable)? {
            (LARDER_OK, outputs) => written(outputs),
            (other, _) => return Err(CallOut::strange(&self.plugin, "loads", other)),
        };
        let who = format_args!("the serializer \"{}\"", self.plugin.name);
        let given = match format {
            LARDER_BYTES => Given::Bytes(written),
            LARDER_TEXT => Given::Text(written),
            LARDER_JSON => Given::Json(written),
            other => return Err(Error::new(Kind::Undecodable, format!("{who} says format {other}, which is none"))),
        };
        given.tree(limits).map_err(|error| {
            let kind = if error.kind() == Kind::TooBig { Kind::TooBig } else { Kind::Undecodable };
            Error::new(kind, format!("{who} gives what it does not say it is: {}", error.reason()))
        })
    }
}
