//! redis-rs with `cache-aio`, as a host without an event loop would use it: block_on of one multiplexed connection.

use std::ffi::{CStr, c_char};

use redis::aio::MultiplexedConnection;
use redis::caching::CacheConfig;
use redis::{AsyncConnectionConfig, Client, cmd};
use tokio::runtime::Runtime;

pub struct CacheAio {
    runtime: Runtime,
    connection: MultiplexedConnection,
}

/// Connects; NULL where that fails.
///
/// # Safety
/// `url` is NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cache_aio_open(url: *const c_char) -> *mut CacheAio {
    let Ok(url) = unsafe { CStr::from_ptr(url) }.to_str() else { return std::ptr::null_mut() };
    let open = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().ok()?;
        let client = Client::open(url).ok()?;
        let config = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
        let connection = runtime.block_on(client.get_multiplexed_async_connection_with_config(&config)).ok()?;
        Some(CacheAio { runtime, connection })
    };
    open().map_or(std::ptr::null_mut(), |peer| Box::into_raw(Box::new(peer)))
}

/// Sets a value; whether it could.
///
/// # Safety
/// `peer` is open, and the others are that long.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cache_aio_set(
    peer: *const CacheAio,
    key: *const u8,
    key_size: usize,
    value: *const u8,
    size: usize,
) -> bool {
    let (peer, key, value) =
        unsafe { (&*peer, std::slice::from_raw_parts(key, key_size), std::slice::from_raw_parts(value, size)) };
    let mut connection = peer.connection.clone();
    let set = cmd("SET").arg(key).arg(value).arg("PX").arg(3_600_000).to_owned();
    peer.runtime.block_on(set.exec_async(&mut connection)).is_ok()
}

/// Copies a value out; whether it was there in full.
///
/// # Safety
/// `peer` is open, `key` is that long, and `copy` has that much room.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cache_aio_get(
    peer: *const CacheAio,
    key: *const u8,
    key_size: usize,
    copy: *mut u8,
    size: usize,
) -> bool {
    let (peer, key) = unsafe { (&*peer, std::slice::from_raw_parts(key, key_size)) };
    let mut connection = peer.connection.clone();
    let get = cmd("GET").arg(key).to_owned();
    let value: Option<Vec<u8>> = peer.runtime.block_on(get.query_async(&mut connection)).ok().flatten();
    let Some(value) = value.filter(|value| value.len() == size) else { return false };
    unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), copy, size) };
    true
}

/// Ends it.
///
/// # Safety
/// `peer` came from `cache_aio_open`, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cache_aio_close(peer: *mut CacheAio) {
    drop(unsafe { Box::from_raw(peer) });
}
