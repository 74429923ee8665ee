//! `larder_store`: an open alias.

use std::ffi::c_char;
use std::sync::Arc;

use super::argument::{invalid, name, out};
use super::context::{self, Context, forked, larder_context};
use super::error::larder_error;
use super::guard::{guard, quietly};
use super::handle::{self, Registry};
use super::status::{LARDER_EHANDLE, LARDER_EINVAL, LARDER_EPANIC, LARDER_EUNSUPPORTED, LARDER_OK, larder_status, of};
use crate::backend::Capability;
use crate::config::nearest;
use crate::error::{Error, Kind, Result};
use crate::store::Store;
use crate::sys::Ours;

/// An open alias. A checked handle: never read through it.
pub struct larder_store {
    _private: [u8; 0],
}

/// `operation` of larder_store_supports: larder_keys.
pub const LARDER_OP_KEYS: i32 = 1;
/// `operation` of larder_store_supports: larder_clear with LARDER_CLEAR_PREFIX.
pub const LARDER_OP_CLEAR_PREFIX: i32 = 2;
/// `operation` of larder_store_supports: larder_ttl.
pub const LARDER_OP_TTL: i32 = 3;
/// `operation` of larder_store_supports: larder_persist.
pub const LARDER_OP_PERSIST: i32 = 4;
/// `operation` of larder_store_supports: keeping values at all, which the dummy does not.
pub const LARDER_OP_KEEP: i32 = 5;

/// A store behind its handle.
pub(crate) struct OpenStore {
    pub store: Arc<Store>,
    pub context: Arc<Context>,
}

pub(crate) static STORES: Registry<Ours<OpenStore>> = Registry::new(0x4C53); // "LS"

/// A store that cannot go away meanwhile.
pub(crate) struct Borrowed(handle::Borrowed<'static, Ours<OpenStore>>);

impl std::ops::Deref for Borrowed {
    type Target = OpenStore;

    fn deref(&self) -> &OpenStore {
        // `borrow` looked, and a process does not become another one meanwhile
        self.0.get().unwrap_or_else(|| unreachable!("a borrowed store is this process's"))
    }
}

/// The store of a handle, open or of a context that is shut down.
pub(crate) fn find(handle: u64) -> Result<Borrowed> {
    let store =
        STORES.borrow(handle).ok_or_else(|| Error::new(Kind::Handle, "the store is NULL, closed, or no store"))?;
    if store.get().is_none() {
        return Err(forked());
    }
    Ok(Borrowed(store))
}

/// The store of a handle, ready for an operation.
pub(crate) fn borrow(handle: *const larder_store) -> Result<Borrowed> {
    let store = find(handle as u64)?;
    if store.context.is_shut_down() {
        return Err(Error::new(Kind::Shutdown, "the context is shut down").on_alias(store.store.name()));
    }
    Ok(store)
}

/// Opens an alias. Never connects: a server that is down shows with the first operation. The directory of a file alias is
/// made, for this user alone, as Django makes it; where that fails the first operation says so.
///
/// @param context the context
/// @param alias its name in CACHES, NUL-terminated UTF-8; there is no default: NULL and "" are errors
/// @param store receives a handle, to be given to larder_store_close; NULL on failure
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_ECONFIG for an unknown alias or a backend that is not built in; LARDER_EINVAL;
///         LARDER_EHANDLE; LARDER_ESHUTDOWN
///
/// Blocks: while a directory is made. Threads: any. Owns: the caller owns the store. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_store_open(
    context: *const larder_context,
    alias: *const c_char,
    store: *mut *mut larder_store,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written.
        let place = unsafe { out(store, "store") }?;
        *place = std::ptr::null_mut();
        let context = context::borrow(context)?;
        if context.is_shut_down() {
            return Err(Error::new(Kind::Shutdown, "the context is shut down").during("store_open"));
        }
        // SAFETY: the host passes NULL or a NUL-terminated name.
        let alias = unsafe { name(alias, "alias") }.map_err(|error| error.during("store_open"))?;
        let opened = open(&context, alias).map_err(|error| error.during("store_open"))?;
        let opened = OpenStore { store: Arc::new(opened), context };
        let handle = STORES.insert(Ours::new(opened)).ok_or_else(|| Error::new(Kind::Memory, "too many stores"))?;
        *place = handle as *mut larder_store;
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

fn open(context: &Context, alias: &str) -> Result<Store> {
    let aliases = &context.config.aliases;
    if alias.is_empty() {
        return Err(invalid("no alias is named; larder does not guess which cache is meant"));
    }
    if let Some(found) = aliases.iter().find(|known| &*known.name == alias) {
        return Store::open(found.clone(), context.around.clone());
    }
    let names: Vec<&str> = aliases.iter().map(|known| &*known.name).collect();
    let hint = match nearest(alias, names.iter().copied()) {
        Some(near) => format!("; did you mean {near:?}?"),
        None => format!("; it has {}", names.join(", ")),
    };
    Err(Error::new(Kind::Config, format!("CACHES has no alias {alias:?}{hint}")))
}

/// Closes a store. Operations that still run end by themselves.
///
/// @param store taken; NULL is harmless, and so is a store that is closed already
/// @return LARDER_OK; LARDER_EHANDLE when there was nothing to close
///
/// Blocks: never. Threads: any. Owns: takes the store. Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn larder_store_close(store: *mut larder_store) -> larder_status {
    match quietly(|| STORES.close(store as u64)) {
        Ok(true) => LARDER_OK,
        Ok(false) => LARDER_EHANDLE,
        Err(_) => LARDER_EPANIC,
    }
}

/// Whether the backend of a store has an operation that not all have. What is not named by a LARDER_OP_ number every
/// backend has.
///
/// @param store the store
/// @param operation LARDER_OP_…
/// @return LARDER_OK if it has; LARDER_EUNSUPPORTED if not; LARDER_EINVAL for an unknown number; LARDER_EHANDLE;
///         LARDER_EFORKED
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn larder_store_supports(store: *const larder_store, operation: i32) -> larder_status {
    let answer = quietly(|| {
        let store = match find(store as u64) {
            Ok(store) => store,
            Err(error) => return of(error.kind()),
        };
        let operation = match operation {
            LARDER_OP_KEYS => Capability::Scan,
            LARDER_OP_CLEAR_PREFIX => Capability::ClearPrefix,
            LARDER_OP_TTL => Capability::Ttl,
            LARDER_OP_PERSIST => Capability::Persist,
            LARDER_OP_KEEP => Capability::Keeps,
            _ => return LARDER_EINVAL,
        };
        if store.store.supports(operation) { LARDER_OK } else { LARDER_EUNSUPPORTED }
    });
    answer.unwrap_or(LARDER_EPANIC)
}
