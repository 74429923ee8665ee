//! `larder_request` and its packed form: one operation of many that are submitted at once.

use std::ffi::{c_char, c_void};

use super::argument::{self, array, invalid};
use super::callback::larder_op;
use super::load::{larder_load_fn, larder_load_options};
use super::pipeline::larder_pipeline;
use super::pipeline_request::Loading;
use super::store::larder_store;
use super::token::larder_token;
use super::{lock, session};
use crate::backend::When;
use crate::codec::Input;
use crate::error::Result;
use crate::store::{Asked, Call, Operation, Prepared, Scope, Store};
use crate::timeout::Budget;

/// An operation: larder_keys, one page at a time. `larder_store_supports` tells whether a store has it.
pub const LARDER_OP_KEYS: i32 = 1;
/// An operation: larder_clear with LARDER_CLEAR_PREFIX. `larder_store_supports` tells whether a store has it.
pub const LARDER_OP_CLEAR_PREFIX: i32 = 2;
/// An operation: larder_ttl. `larder_store_supports` tells whether a store has it.
pub const LARDER_OP_TTL: i32 = 3;
/// An operation: larder_persist. `larder_store_supports` tells whether a store has it.
pub const LARDER_OP_PERSIST: i32 = 4;
/// For `larder_store_supports` alone: keeping values at all, which the dummy does not.
pub const LARDER_OP_KEEP: i32 = 5;
/// An operation: larder_get.
pub const LARDER_OP_GET: i32 = 16;
/// An operation: larder_set.
pub const LARDER_OP_SET: i32 = 17;
/// An operation: larder_add.
pub const LARDER_OP_ADD: i32 = 18;
/// An operation: larder_expire.
pub const LARDER_OP_EXPIRE: i32 = 19;
/// An operation: larder_delete.
pub const LARDER_OP_DELETE: i32 = 20;
/// An operation: larder_has.
pub const LARDER_OP_HAS: i32 = 21;
/// An operation: larder_incr.
pub const LARDER_OP_INCR: i32 = 22;
/// An operation: larder_incr_version.
pub const LARDER_OP_INCR_VERSION: i32 = 23;
/// An operation: larder_get_many.
pub const LARDER_OP_GET_MANY: i32 = 24;
/// An operation: larder_set_many.
pub const LARDER_OP_SET_MANY: i32 = 25;
/// An operation: larder_delete_many.
pub const LARDER_OP_DELETE_MANY: i32 = 26;
/// An operation: larder_clear with LARDER_CLEAR_EVERYTHING.
pub const LARDER_OP_CLEAR_EVERYTHING: i32 = 27;
/// An operation: larder_purge_expired.
pub const LARDER_OP_PURGE_EXPIRED: i32 = 28;
/// An operation: larder_store_ping.
pub const LARDER_OP_PING: i32 = 29;

/// An operation: larder_session.
pub const LARDER_OP_SESSION: i32 = 30;
/// An operation: larder_create_table. `larder_store_supports` tells whether a store has it.
pub const LARDER_OP_CREATE_TABLE: i32 = 31;
/// An operation: larder_expire_at.
pub const LARDER_OP_EXPIRE_AT: i32 = 32;
/// An operation: larder_lock. `larder_store_supports` tells whether a store has it.
pub const LARDER_OP_LOCK: i32 = 33;
/// An operation: larder_unlock. `larder_store_supports` tells whether a store has it.
pub const LARDER_OP_UNLOCK: i32 = 34;
/// An operation: larder_lock_extend. `larder_store_supports` tells whether a store has it.
pub const LARDER_OP_LOCK_EXTEND: i32 = 35;
/// An operation: larder_delete_pattern. `larder_store_supports` tells whether a store has it.
pub const LARDER_OP_DELETE_PATTERN: i32 = 36;
/// An operation: larder_pipeline_get.
pub const LARDER_OP_PIPELINE_GET: i32 = 48;
/// An operation: larder_pipeline_get_many.
pub const LARDER_OP_PIPELINE_GET_MANY: i32 = 49;
/// An operation: larder_pipeline_set.
pub const LARDER_OP_PIPELINE_SET: i32 = 50;
/// An operation: larder_pipeline_delete.
pub const LARDER_OP_PIPELINE_DELETE: i32 = 51;
/// An operation: larder_pipeline_contains.
pub const LARDER_OP_PIPELINE_CONTAINS: i32 = 52;
/// An operation: larder_pipeline_clear with LARDER_CLEAR_PREFIX.
pub const LARDER_OP_PIPELINE_CLEAR_PREFIX: i32 = 53;
/// An operation: larder_pipeline_clear with LARDER_CLEAR_EVERYTHING.
pub const LARDER_OP_PIPELINE_CLEAR_EVERYTHING: i32 = 54;
/// An operation: larder_pipeline_expire.
pub const LARDER_OP_PIPELINE_EXPIRE: i32 = 55;
/// An operation: larder_get_or_load, on a store.
pub const LARDER_OP_GET_OR_LOAD: i32 = 56;

/// One operation for larder_submit. Start from `LARDER_REQUEST_INIT`, or from all zero bytes: then `ttl_ms` has to be set
/// where a time to live is needed, since 0 means expired at once. The struct only grows at its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_request {
    /// `LARDER_OP_…`.
    pub operation: i32,
    /// LARDER_OP_SET, _ADD, _SET_MANY, _PIPELINE_SET: LARDER_BYTES, LARDER_TEXT, LARDER_JSON or LARDER_STORED.
    pub format: i32,
    /// The store, of the queue's own context; of an operation on a pipeline NULL.
    pub store: *const larder_store,
    /// Comes back in the event.
    pub tag: u64,
    /// The key, UTF-8 text; LARDER_OP_KEYS, _DELETE_PATTERN: the pattern; LARDER_OP_SESSION: the session key; of an
    /// operation on a pipeline the token's text.
    pub key: *const c_char,
    /// Its length in bytes.
    pub key_len: usize,
    /// LARDER_OP_SET, _ADD, _PIPELINE_SET: the value's bytes, by `format`. LARDER_OP_UNLOCK, _LOCK_EXTEND: the token.
    pub value: *const c_void,
    /// Their length.
    pub value_len: usize,
    /// LARDER_OP_SET, _ADD, _EXPIRE, _SET_MANY, _GET_OR_LOAD: the time to live in ms, LARDER_TTL_DEFAULT or
    /// LARDER_TTL_FOREVER; 0 or less: expired at once. LARDER_OP_LOCK, _LOCK_EXTEND: the time in ms, more than 0;
    /// LARDER_OP_LOCK also LARDER_TTL_FOREVER.
    pub ttl_ms: i64,
    /// LARDER_OP_INCR, _INCR_VERSION: what to add. LARDER_OP_KEYS: where to begin, 0 or the `number` of the event before.
    /// LARDER_OP_EXPIRE_AT: the moment in ms since 1970. LARDER_OP_LOCK: how long to wait in ms (`wait_ms`).
    /// LARDER_OP_LOCK_EXTEND: LARDER_EXTEND_ADD or LARDER_EXTEND_REPLACE.
    pub delta: i64,
    /// The total time that the operation may take, in ms, as in `larder_call`; 0: the alias's own.
    pub timeout_ms: i64,
    /// `LARDER_CALL_…`, as in `larder_call`; for what loads LARDER_CALL_NO_LOAD and LARDER_CALL_LOAD_EVENT.
    pub flags: u32,
    /// LARDER_OP_GET_MANY, _SET_MANY, _DELETE_MANY, _PIPELINE_GET_MANY: how many keys or tokens.
    pub n: u32,
    /// The version of the key as UTF-8 text; NULL: the alias's own.
    pub version: *const c_char,
    /// The length of `version` in bytes.
    pub version_len: usize,
    /// `n` keys, where there are several.
    pub keys: *const *const c_char,
    /// Their lengths in bytes.
    pub key_lens: *const usize,
    /// LARDER_OP_SET_MANY: `n` values.
    pub values: *const *const c_void,
    /// Their lengths.
    pub value_lens: *const usize,
    /// NULL, or receives the operation's id, for larder_cancel, before there can be an answer; untouched on refusal.
    pub op: *mut larder_op,
    /// LARDER_OP_PIPELINE_…: the pipeline, of the queue's own context.
    pub pipeline: *const larder_pipeline,
    /// LARDER_OP_PIPELINE_GET, _PIPELINE_GET_MANY, _GET_OR_LOAD: NULL, or a loader for this request; the last needs one,
    /// or LARDER_CALL_LOAD_EVENT.
    pub load: larder_load_fn,
    /// Handed to `load`.
    pub load_user_data: *mut c_void,
    /// LARDER_OP_GET_OR_LOAD: NULL, or how it is loaded.
    pub load_options: *const larder_load_options,
    /// LARDER_OP_PIPELINE_…: NULL, or the token itself in place of `key`, of LARDER_OP_PIPELINE_GET_MANY `n` of them in place of
    /// `keys`. See larder_pipeline_call.
    pub tokens: *const *const larder_token,
}

/// The size of `larder_request` in larder 0.1: programs that were built then still bring it.
pub(crate) const FIRST_SIZE: usize = 144;

/// One operation for larder_submit_packed: as `larder_request`, with offsets from the beginning of the buffer in place of
/// pointers. A text or value of length 0 may have any offset. The struct only grows at its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_packed {
    /// `LARDER_OP_…`.
    pub operation: i32,
    /// As in `larder_request`.
    pub format: i32,
    /// The store's handle as a number; of an operation on a pipeline 0.
    pub store: u64,
    /// Comes back in the event.
    pub tag: u64,
    /// Where the key begins; what it is as in `larder_request`; of several keys: a
    /// table of `n` pairs of 64-bit numbers, offset and length of each key.
    pub key: u64,
    /// The key's length in bytes; of several keys 0.
    pub key_len: u64,
    /// Where the value begins; LARDER_OP_SET_MANY: such a table of `n` values.
    pub value: u64,
    /// The value's length in bytes; of several values 0.
    pub value_len: u64,
    /// As in `larder_request`.
    pub ttl_ms: i64,
    /// As in `larder_request`.
    pub delta: i64,
    /// As in `larder_request`.
    pub timeout_ms: i64,
    /// As in `larder_request`.
    pub flags: u32,
    /// As in `larder_request`.
    pub n: u32,
    /// Where the version begins.
    pub version: u64,
    /// Its length in bytes; 0: the alias's own.
    pub version_len: u64,
    /// The pipeline's handle as a number.
    pub pipeline: u64,
    /// Where a `larder_load_options` stands for LARDER_OP_GET_OR_LOAD; 0: there is none.
    pub load_options: u64,
}

/// The size of `larder_packed` in larder 0.1.
pub(crate) const FIRST_PACKED_SIZE: usize = 104;

/// The number of an operation.
pub(crate) fn number_of(asked: Asked) -> i32 {
    match asked {
        Asked::Get | Asked::Fetch => LARDER_OP_GET,
        Asked::Set => LARDER_OP_SET,
        Asked::Add => LARDER_OP_ADD,
        Asked::Expire => LARDER_OP_EXPIRE,
        Asked::Persist => LARDER_OP_PERSIST,
        Asked::Ttl => LARDER_OP_TTL,
        Asked::Delete => LARDER_OP_DELETE,
        Asked::Has => LARDER_OP_HAS,
        Asked::Incr => LARDER_OP_INCR,
        Asked::IncrVersion => LARDER_OP_INCR_VERSION,
        Asked::GetMany | Asked::FetchMany => LARDER_OP_GET_MANY,
        Asked::SetMany { .. } => LARDER_OP_SET_MANY,
        Asked::DeleteMany => LARDER_OP_DELETE_MANY,
        Asked::Keys { .. } => LARDER_OP_KEYS,
        Asked::Clear { everything: false } => LARDER_OP_CLEAR_PREFIX,
        Asked::Clear { everything: true } => LARDER_OP_CLEAR_EVERYTHING,
        Asked::PurgeExpired => LARDER_OP_PURGE_EXPIRED,
        Asked::Ping => LARDER_OP_PING,
        Asked::Session => LARDER_OP_SESSION,
        Asked::CreateTable => LARDER_OP_CREATE_TABLE,
        Asked::ExpireAt => LARDER_OP_EXPIRE_AT,
        Asked::Lock => LARDER_OP_LOCK,
        Asked::Unlock => LARDER_OP_UNLOCK,
        Asked::ExtendLock => LARDER_OP_LOCK_EXTEND,
        Asked::DeletePattern => LARDER_OP_DELETE_PATTERN,
    }
}

/// A request with its texts and values borrowed from the host.
pub(crate) struct Borrowed<'a> {
    pub store: u64,
    pub tag: u64,
    pub call: Call<'a>,
    /// NULL, or where the host wants the id.
    pub op: *mut larder_op,
    pub(super) when: When,
    pub(super) operation: i32,
    pub(super) format: i32,
    pub(super) ttl_ms: i64,
    delta: i64,
    pub(super) key: &'a str,
    pub(super) value: &'a [u8],
    /// Where there are several keys.
    pub(super) several: Option<Box<Several<'a>>>,
    /// Of an operation on a pipeline, or one that loads.
    pub loading: Option<Box<Loading>>,
}

pub(super) struct Several<'a> {
    pub keys: Vec<&'a str>,
    values: Vec<&'a [u8]>,
}

impl<'a> Borrowed<'a> {
    /// Borrows what a request points to.
    ///
    /// # Safety
    /// Its pointers are NULL or have what their lengths say, as long as the borrow lasts.
    pub unsafe fn of(request: &larder_request) -> Result<Self> {
        // SAFETY: by this function's own contract.
        unsafe {
            let version = if request.version.is_null() {
                None
            } else {
                Some(argument::key(request.version, request.version_len, "version")?)
            };
            let n = request.n as usize;
            let several = if takes_several(request.operation) && request.tokens.is_null() {
                let (values, lens) = match request.operation {
                    LARDER_OP_SET_MANY => {
                        (array(request.values, n, "values")?, array(request.value_lens, n, "value_lens")?)
                    }
                    _ => (&[][..], &[][..]),
                };
                let values = values.iter().zip(lens).map(|(value, len)| argument::bytes(*value, *len, "a value"));
                let keys = argument::texts(request.keys, request.key_lens, n)?;
                Some(Box::new(Several { keys, values: values.collect::<Result<_>>()? }))
            } else {
                None
            };
            let loading = Loading::of(request)?;
            let flags = loading.as_ref().map_or(request.flags, |loading| loading.other_flags);
            let (call, when) = call(flags, request.timeout_ms, version)?;
            Ok(Self {
                store: request.store as u64,
                tag: request.tag,
                call,
                op: request.op,
                when,
                operation: request.operation,
                format: request.format,
                ttl_ms: request.ttl_ms,
                delta: request.delta,
                key: match request.operation {
                    LARDER_OP_SESSION => session::key(request.key, request.key_len)?,
                    _ => argument::key(request.key, request.key_len, "key")?,
                },
                value: argument::bytes(request.value, request.value_len, "value")?,
                several,
                loading,
            })
        }
    }

    /// Borrows what a packed request points to inside `buffer`.
    pub fn of_packed(request: &larder_packed, buffer: &'a [u8], op: *mut larder_op) -> Result<Self> {
        let version = match request.version_len {
            0 => None,
            len => Some(text(buffer, request.version, len, "version")?),
        };
        let (mut key, mut value) = ("", &[][..]);
        let mut several = None;
        if takes_several(request.operation) {
            let table = part_table(buffer, request.key, request.n, "the table of keys")?;
            let keys = table.into_iter().map(|(at, len)| text(buffer, at, len, "a key")).collect::<Result<_>>()?;
            let mut values = Vec::new();
            if request.operation == LARDER_OP_SET_MANY {
                let table = part_table(buffer, request.value, request.n, "the table of values")?;
                values = table.into_iter().map(|(at, len)| part(buffer, at, len, "a value")).collect::<Result<_>>()?;
            }
            several = Some(Box::new(Several { keys, values }));
        } else {
            let bytes = part(buffer, request.key, request.key_len, "key")?;
            // SAFETY: these are bytes of a slice, with its length.
            key = unsafe {
                match request.operation {
                    LARDER_OP_SESSION => session::key(bytes.as_ptr().cast(), bytes.len())?,
                    _ => argument::key(bytes.as_ptr().cast(), bytes.len(), "key")?,
                }
            };
            value = part(buffer, request.value, request.value_len, "value")?;
        }
        let loading = Loading::of_packed(request, buffer)?;
        let flags = loading.as_ref().map_or(request.flags, |loading| loading.other_flags);
        let (call, when) = call(flags, request.timeout_ms, version)?;
        let larder_packed { operation, format, store, tag, ttl_ms, delta, .. } = *request;
        Ok(Self { store, tag, call, op, when, operation, format, ttl_ms, delta, key, value, several, loading })
    }

    /// Looks at the operation's arguments and encodes its values.
    pub fn prepare(&self, store: &Store) -> Result<Prepared<'a>> {
        let (key, delta, ttl, when) = (self.key, self.delta, argument::ttl(self.ttl_ms), self.when);
        if when != When::Always && !matches!(self.operation, LARDER_OP_SET | LARDER_OP_ADD) {
            return Err(invalid("NX and XX are for LARDER_OP_SET"));
        }
        if let Some(several) = &self.several {
            return self.prepare_several(several, store);
        }
        let operation = match self.operation {
            LARDER_OP_GET => Operation::Get { key },
            LARDER_OP_SET => Operation::Set { key, value: argument::input_of(self.value, self.format)?, ttl, when },
            LARDER_OP_ADD => {
                let when = argument::when_of_add(when)?;
                Operation::Set { key, value: argument::input_of(self.value, self.format)?, ttl, when }
            }
            LARDER_OP_EXPIRE => Operation::Expire { key, ttl },
            LARDER_OP_PERSIST => Operation::Persist { key },
            LARDER_OP_TTL => Operation::Ttl { key },
            LARDER_OP_DELETE => Operation::Delete { key },
            LARDER_OP_HAS => Operation::Has { key },
            LARDER_OP_INCR => Operation::Incr { key, delta },
            LARDER_OP_INCR_VERSION => Operation::IncrVersion { key, delta },
            LARDER_OP_KEYS => Operation::Keys { pattern: key, at: delta.cast_unsigned() },
            LARDER_OP_CLEAR_PREFIX => Operation::Clear { scope: Scope::Prefix },
            LARDER_OP_CLEAR_EVERYTHING => Operation::Clear { scope: Scope::Everything },
            LARDER_OP_PURGE_EXPIRED => Operation::PurgeExpired,
            LARDER_OP_PING => Operation::Ping,
            LARDER_OP_SESSION => Operation::Session { key },
            LARDER_OP_CREATE_TABLE => Operation::CreateTable,
            LARDER_OP_EXPIRE_AT => Operation::ExpireAt { key, at_ms: delta },
            LARDER_OP_LOCK => Operation::Lock { key, ttl, wait: lock::wait(delta) },
            LARDER_OP_UNLOCK => Operation::Unlock { key, token: self.value },
            LARDER_OP_LOCK_EXTEND => {
                Operation::ExtendLock { key, token: self.value, ttl, replace: lock::replaces(delta)? }
            }
            LARDER_OP_DELETE_PATTERN => Operation::DeletePattern { pattern: key },
            other => return Err(invalid(format!("{other} is no operation"))),
        };
        store.prepare(&operation, &self.call)
    }

    fn prepare_several(&self, several: &Several<'a>, store: &Store) -> Result<Prepared<'static>> {
        let Several { keys, values } = several;
        match self.operation {
            LARDER_OP_GET_MANY => store.prepare_order(&Operation::GetMany { keys }, &self.call),
            LARDER_OP_DELETE_MANY => store.prepare_order(&Operation::DeleteMany { keys }, &self.call),
            _ => {
                let input = |(key, value): (&&'a str, &&'a [u8])| Ok((*key, argument::input_of(value, self.format)?));
                let inputs = keys.iter().zip(values).map(input).collect::<Result<Vec<(&str, Input<'_>)>>>()?;
                let ttl = argument::ttl(self.ttl_ms);
                store.prepare_order(&Operation::SetMany { values: &inputs, ttl }, &self.call)
            }
        }
    }
}

fn takes_several(operation: i32) -> bool {
    matches!(operation, LARDER_OP_GET_MANY | LARDER_OP_SET_MANY | LARDER_OP_DELETE_MANY | LARDER_OP_PIPELINE_GET_MANY)
}

fn call(flags: u32, timeout_ms: i64, version: Option<&str>) -> Result<(Call<'_>, When)> {
    let (budget, when) = argument::wishes(flags, timeout_ms)?;
    Ok((
        Call { version, budget: budget.map(Budget::new), final_key: flags & argument::LARDER_CALL_FINAL_KEY != 0 },
        when,
    ))
}

fn part<'a>(buffer: &'a [u8], at: u64, len: u64, what: &str) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    let range = usize::try_from(at).ok().zip(usize::try_from(len).ok());
    let found = range.and_then(|(at, len)| buffer.get(at..at.checked_add(len)?));
    found.ok_or_else(|| invalid(format!("{what} (offset {at}, length {len}) is not inside the buffer")))
}

fn text<'a>(buffer: &'a [u8], at: u64, len: u64, what: &str) -> Result<&'a str> {
    let bytes = part(buffer, at, len, what)?;
    // SAFETY: these are bytes of a slice, with its length.
    unsafe { argument::key(bytes.as_ptr().cast(), bytes.len(), what) }
}

fn part_table(buffer: &[u8], at: u64, n: u32, what: &str) -> Result<Vec<(u64, u64)>> {
    let table = part(buffer, at, u64::from(n) * 16, what)?;
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
    Ok(table.chunks_exact(16).map(|pair| (number(pair), number(pair.get(8..).unwrap_or_default()))).collect())
}

/// Whether the answer of an operation is a number that the simple callback is shown as a value.
pub(crate) fn has_number(operation: i32) -> bool {
    matches!(
        operation,
        LARDER_OP_TTL
            | LARDER_OP_INCR_VERSION
            | LARDER_OP_DELETE_MANY
            | LARDER_OP_DELETE_PATTERN
            | LARDER_OP_PURGE_EXPIRED
    )
}
