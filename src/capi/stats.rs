//! `larder_stats` and `larder_stats_errors`: what a store has seen, and how its servers are.

use super::argument::{LARGEST_STRUCT, invalid, out};
use super::error::larder_error;
use super::guard::guard;
use super::status::{LARDER_OK, larder_status, name, of};
use super::store::{find, larder_store};
use crate::backend::Health;
use crate::error::{Kind, Result};
use crate::store::Store;

/// What a store has seen since it was opened, and how its servers are. Start from `LARDER_STATS_INIT`; the struct only
/// grows at its end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct larder_store_stats {
    /// `sizeof(larder_store_stats)`.
    pub struct_size: u32,
    /// How many servers the store has; 0 where there are none.
    pub servers: u32,
    /// Servers to which calls fail at once now, because they failed again and again.
    pub breakers_open: u32,
    /// Always 0.
    pub reserved: u32,
    /// Values that were found.
    pub hits: u64,
    /// Values that were asked for and not found.
    pub misses: u64,
    /// Operations that failed, the next two included.
    pub failures: u64,
    /// Those whose deadline passed.
    pub timeouts: u64,
    /// Those that IGNORE_EXCEPTIONS or ignore_exc hid.
    pub ignored: u64,
    /// How often a server's breaker opened.
    pub breaker_opened: u64,
    /// Calls that failed at once for it.
    pub breaker_refused: u64,
    /// Connections that are open now.
    pub connections: u64,
    /// Connections that were made.
    pub connected: u64,
    /// Attempts to connect that failed.
    pub connect_failures: u64,
    /// Values that were stored.
    pub sets: u64,
    /// Keys that were removed, by name or by a pattern.
    pub deletes: u64,
    /// Values that were found after their soft deadline. Each is a hit or a miss too, by what its reader got.
    pub stale: u64,
    /// Operations that policy left out.
    pub skipped: u64,
    /// Serialised bytes of the values that were found.
    pub bytes_read: u64,
    /// Serialised bytes of the values that were handed over to be stored, whatever became of that.
    pub bytes_written: u64,
    /// Hits that the near cache answered. They are hits too.
    pub near_hits: u64,
    /// Loads that were begun on a miss.
    pub loads: u64,
    /// Callers who shared the load of another.
    pub shared_loads: u64,
    /// Operations whose time was measured: all on keys that are named; of stores in memory one in 251.
    pub latency_count: u64,
    /// Half of those took at most so many ns, off by at most 6.25 %. Asynchronous ones: until the answer came.
    pub latency_p50_ns: u64,
    /// The same for nine of ten.
    pub latency_p90_ns: u64,
    /// The same for 99 of 100.
    pub latency_p99_ns: u64,
    /// The same for 999 of 1,000.
    pub latency_p999_ns: u64,
    /// The longest, exactly, in ns.
    pub latency_max_ns: u64,
}

/// The size of `larder_store_stats` in larder 0.1: programs that were built then still bring it.
const FIRST_SIZE: usize = 96;

/// What a store has seen, for a host's struct of that size.
fn told(store: &Store, size: u32) -> larder_store_stats {
    let (seen, times, health) = (store.stats(), store.latencies(), store.health());
    let sum = |count: fn(&Health) -> u64| health.iter().map(count).sum();
    larder_store_stats {
        struct_size: size,
        servers: u32::try_from(health.len()).unwrap_or(u32::MAX),
        breakers_open: u32::try_from(health.iter().filter(|server| server.breaker_open).count()).unwrap_or(u32::MAX),
        reserved: 0,
        hits: seen.hits,
        misses: seen.misses,
        failures: seen.failures,
        timeouts: seen.timeouts,
        ignored: seen.ignored,
        breaker_opened: sum(|server| server.breaker_opened),
        breaker_refused: sum(|server| server.refused),
        connections: sum(|server| server.connections),
        connected: sum(|server| server.connected),
        connect_failures: sum(|server| server.connect_failures),
        sets: seen.sets,
        deletes: seen.deletes,
        stale: seen.stale,
        skipped: seen.skipped,
        bytes_read: seen.bytes_read,
        bytes_written: seen.bytes_written,
        near_hits: seen.near_hits,
        loads: seen.loads,
        shared_loads: seen.shared_loads,
        latency_count: times.count(),
        latency_p50_ns: times.quantile(500),
        latency_p90_ns: times.quantile(900),
        latency_p99_ns: times.quantile(990),
        latency_p999_ns: times.quantile(999),
        latency_max_ns: times.max(),
    }
}

/// Writes what `tell` says to a host's struct, as much of it as the host knows; what is not known here becomes 0.
///
/// # Safety
/// `place` is NULL, or leads to a struct that begins with its size, and `T` has no padding.
pub(super) unsafe fn hand_out<T>(
    place: *mut T,
    first_size: usize,
    init: &str,
    tell: impl FnOnce(u32) -> T,
) -> Result<()> {
    if place.is_null() {
        return Err(invalid("stats is NULL"));
    }
    // SAFETY: by this function's own contract.
    let size = unsafe { place.cast::<u32>().read() };
    if !(first_size..=LARGEST_STRUCT).contains(&(size as usize)) {
        return Err(invalid(format!("struct_size of the stats is {size}; start from {init}")));
    }
    let told = tell(size);
    // SAFETY: the host's struct has `size` bytes.
    unsafe {
        let known = (size as usize).min(size_of::<T>());
        std::ptr::copy_nonoverlapping((&raw const told).cast::<u8>(), place.cast(), known);
        std::ptr::write_bytes(place.cast::<u8>().add(known), 0, size as usize - known);
    }
    Ok(())
}

/// Writes what a store has seen to a host's struct.
///
/// # Safety
/// `stats` is NULL, or leads to a struct that begins with its size.
pub(super) unsafe fn hand_out_store(stats: *mut larder_store_stats, store: &Store) -> Result<()> {
    // SAFETY: by this function's own contract.
    unsafe { hand_out(stats, FIRST_SIZE, "LARDER_STATS_INIT", |size| told(store, size)) }
}

/// The failure that a host's status is.
pub(super) fn failure(status: larder_status) -> Result<Kind> {
    let kind = Kind::ALL.into_iter().find(|kind| of(*kind) == status);
    kind.ok_or_else(|| invalid(format!("{status} ({}) is no failure", name(status).to_string_lossy())))
}

/// Tells what a store has seen in this process, and how its servers are.
///
/// @param store the store
/// @param stats begins with its size; receives the rest
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_stats(
    store: *const larder_store,
    stats: *mut larder_store_stats,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL, or a struct that begins with its size.
        unsafe { hand_out_store(stats, &find(store as u64)?.store) }?;
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Tells how often operations of a store failed with a status. All failures together are `failures` of larder_stats; those
/// that IGNORE_EXCEPTIONS or ignore_exc hid count under what they were.
///
/// @param store the store
/// @param status a failure, such as LARDER_ETIMEOUT
/// @param count receives how often
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL, also for a status that is no failure of this version; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_stats_errors(
    store: *const larder_store,
    status: larder_status,
    count: *mut u64,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written.
        let place = unsafe { out(count, "count") }?;
        *place = 0;
        let kind = failure(status)?;
        let store = &find(store as u64)?.store;
        *place = store.stats().errors.get(kind.index()).copied().unwrap_or(0);
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}
