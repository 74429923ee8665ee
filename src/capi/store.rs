//! `larder_store`: an open alias.

use std::ffi::c_char;
use std::sync::Arc;

use super::argument::{invalid, name, out};
use super::context::{self, larder_context};
use super::error::larder_error;
use super::guard::{guard, quietly};
use super::handle::{self, Registry};
use super::home::{Context, Home};
use super::request::{
    LARDER_OP_CLEAR_PREFIX, LARDER_OP_CREATE_TABLE, LARDER_OP_DELETE_PATTERN, LARDER_OP_EXPIRE_AT, LARDER_OP_GET,
    LARDER_OP_GET_OR_LOAD, LARDER_OP_INCR, LARDER_OP_KEEP, LARDER_OP_KEYS, LARDER_OP_LOCK, LARDER_OP_LOCK_EXTEND,
    LARDER_OP_PERSIST, LARDER_OP_SESSION, LARDER_OP_TTL, LARDER_OP_UNLOCK,
};
use super::status::{LARDER_EHANDLE, LARDER_EINVAL, LARDER_EPANIC, LARDER_EUNSUPPORTED, LARDER_OK, larder_status, of};
use crate::backend::Capability;
use crate::config::nearest;
use crate::error::{Error, Kind, Result};
use crate::store::{Samples, Store};
use crate::sys::PerProcess;

/// An open alias. A checked handle: never read through it.
pub struct larder_store {
    _private: [u8; 0],
}

/// A store behind its handle: which alias of which configuration, and this process's store of it.
pub(crate) struct OpenAlias {
    home: Arc<Home>,
    alias: usize,
    open: PerProcess<OpenStore>,
}

/// A store in this process.
pub(crate) struct OpenStore {
    pub store: Arc<Store>,
    pub context: Arc<Context>,
}

pub(crate) static STORES: Registry<OpenAlias> = Registry::new(0x4C53); // "LS"

/// A store that cannot go away meanwhile.
pub(crate) struct Borrowed(handle::Borrowed<'static, OpenAlias>);

impl std::ops::Deref for Borrowed {
    type Target = OpenStore;

    #[inline]
    fn deref(&self) -> &OpenStore {
        self.0.open.inherited() // `find` saw to it that it is this process's
    }
}

/// The store of a handle, open or of a context that is shut down. A forked child opens its own when it first asks.
#[inline]
pub(crate) fn find(handle: u64) -> Result<Borrowed> {
    let store =
        STORES.borrow(handle).ok_or_else(|| Error::new(Kind::Handle, "the store is NULL, closed, or no store"))?;
    if store.open.get().is_none() {
        store.open_again()?;
    }
    Ok(Borrowed(store))
}

/// The store of a handle, ready for an operation.
#[inline]
pub(crate) fn borrow(handle: *const larder_store) -> Result<Borrowed> {
    let store = find(handle as u64)?;
    if store.context.is_shut_down() {
        return Err(Error::new(Kind::Shutdown, "the context is shut down").on_alias(store.store.name()));
    }
    Ok(store)
}

/// What a handle or an operation of the parent process answers in its child.
pub(crate) fn forked() -> Error {
    Error::new(Kind::Forked, "it belongs to the parent process; open another one in the child")
}

impl OpenAlias {
    fn new(home: Arc<Home>, alias: usize) -> Result<Self> {
        let open = PerProcess::new(OpenStore::new(&home, alias)?);
        Ok(Self { home, alias, open })
    }

    #[cold]
    fn open_again(&self) -> Result<()> {
        self.open.get_or_make(|_| OpenStore::new(&self.home, self.alias)).map(drop)
    }
}

impl OpenStore {
    fn new(home: &Home, alias: usize) -> Result<Self> {
        let context = home.context()?.clone();
        let alias = context.config.aliases.get(alias).ok_or_else(|| Error::new(Kind::Handle, "no such alias"))?;
        let store = Arc::new(Store::open(alias.clone(), context.around.clone())?);
        let source: Arc<dyn Samples> = store.clone();
        context.sources.add(&source);
        Ok(Self { store, context })
    }
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
        let home = context::find(context)?;
        if home.context()?.is_shut_down() {
            return Err(Error::new(Kind::Shutdown, "the context is shut down").during("store_open"));
        }
        // SAFETY: the host passes NULL or a NUL-terminated name.
        let alias = unsafe { name(alias, "alias") }.map_err(|error| error.during("store_open"))?;
        let alias = index(&home, alias).map_err(|error| error.during("store_open"))?;
        let opened = OpenAlias::new(home, alias).map_err(|error| error.during("store_open"))?;
        let handle = STORES.insert(opened).ok_or_else(|| Error::new(Kind::Memory, "too many stores"))?;
        *place = handle as *mut larder_store;
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

fn index(home: &Home, alias: &str) -> Result<usize> {
    let aliases = &home.config.aliases;
    if alias.is_empty() {
        return Err(invalid("no alias is named; larder does not guess which cache is meant"));
    }
    if let Some(found) = aliases.iter().position(|known| &*known.name == alias) {
        return Ok(found);
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

/// Whether a store has an operation: LARDER_OP_KEYS, _DELETE_PATTERN, _CLEAR_PREFIX, _TTL, _PERSIST, _LOCK, _UNLOCK,
/// _LOCK_EXTEND and _CREATE_TABLE not every backend has, and LARDER_OP_INCR not HerdClient; the others all have.
///
/// @param store the store
/// @param operation LARDER_OP_…
/// @return LARDER_OK if it has; LARDER_EUNSUPPORTED if not; LARDER_EINVAL for an unknown number; LARDER_EHANDLE
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
            LARDER_OP_KEYS | LARDER_OP_DELETE_PATTERN => Capability::Scan,
            LARDER_OP_CLEAR_PREFIX => Capability::ClearPrefix,
            LARDER_OP_TTL => Capability::Ttl,
            LARDER_OP_PERSIST => Capability::Persist,
            LARDER_OP_KEEP => Capability::Keeps,
            LARDER_OP_LOCK | LARDER_OP_UNLOCK | LARDER_OP_LOCK_EXTEND => Capability::Lock,
            LARDER_OP_CREATE_TABLE => {
                return if store.store.table_sql().is_ok() { LARDER_OK } else { LARDER_EUNSUPPORTED };
            }
            LARDER_OP_INCR if !store.store.has_incr() => return LARDER_EUNSUPPORTED,
            LARDER_OP_GET..=LARDER_OP_SESSION | LARDER_OP_EXPIRE_AT | LARDER_OP_GET_OR_LOAD => return LARDER_OK,
            _ => return LARDER_EINVAL,
        };
        if store.store.supports(operation) { LARDER_OK } else { LARDER_EUNSUPPORTED }
    });
    answer.unwrap_or(LARDER_EPANIC)
}
