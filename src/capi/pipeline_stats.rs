//! `larder_pipeline_stats` and its kin: what a pipeline has seen, and each of its stores.

use super::argument::out;
use super::error::larder_error;
use super::guard::guard;
use super::pipeline::{find, larder_pipeline};
use super::stats::{failure, hand_out, hand_out_store, larder_store_stats};
use super::status::{LARDER_EMPTY, LARDER_OK, larder_status};
use crate::error::Kind;
use crate::pyot::counts::{LevelNumbers, Snapshot};

/// What a pipeline has seen since its handle was opened. Start from `LARDER_PIPELINE_NUMBERS_INIT`; the struct only grows at
/// its end. What its stores have seen is told by larder_pipeline_level_stats.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct larder_pipeline_numbers {
    /// `sizeof(larder_pipeline_numbers)`.
    pub struct_size: u32,
    /// How many stores it has.
    pub levels: u32,
    /// Values that a store had, stale ones included.
    pub hits: u64,
    /// Values that no store had, nor the loader.
    pub misses: u64,
    /// Values that were handed out after their time, while they were loaded anew; each is a hit too.
    pub stale: u64,
    /// Times that a store was not asked, or not written to, since its EXPIRATIONS are 0 for the endpoint.
    pub skipped: u64,
    /// Values that were written back to a store before the one that had them.
    pub written_back: u64,
    /// Sets that a store has taken.
    pub sets: u64,
    /// Deletes of what a store had.
    pub deletes: u64,
    /// Operations that failed.
    pub failures: u64,
    /// Those whose time was over.
    pub timeouts: u64,
    /// Failures of stores that were passed over (ON_STORE_ERROR).
    pub errors_skipped: u64,
    /// Loads that were begun.
    pub loads: u64,
    /// Calls that shared the load of another.
    pub shared_loads: u64,
    /// Loads that failed, or took too long.
    pub load_failures: u64,
    /// Loads that found that there is none.
    pub not_found: u64,
    /// Loads of values that were handed out meanwhile (GRACE_MS, EARLY).
    pub refreshes: u64,
    /// Operations on named tokens whose time was measured: all; where the first store is in memory one in 251.
    pub latency_count: u64,
    /// Half of those took at most so many ns, loads included, off by at most 6.25 %.
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

/// The size of `larder_pipeline_numbers` in larder 0.1.
const FIRST_SIZE: usize = 176;

fn told(seen: &Snapshot, size: u32) -> larder_pipeline_numbers {
    let sum = |count: fn(&LevelNumbers) -> u64| seen.levels.iter().map(count).sum();
    let (all, times) = (&seen.all, &seen.latencies);
    larder_pipeline_numbers {
        struct_size: size,
        levels: u32::try_from(seen.levels.len()).unwrap_or(u32::MAX),
        hits: sum(|level| level.hits),
        misses: all.misses,
        stale: all.stale,
        skipped: sum(|level| level.skipped),
        written_back: sum(|level| level.written_back),
        sets: all.sets,
        deletes: all.deletes,
        failures: seen.errors.iter().sum(),
        timeouts: seen.errors.get(Kind::Timeout.index()).copied().unwrap_or(0),
        errors_skipped: sum(|level| level.errors_skipped),
        loads: all.loads,
        shared_loads: all.shared_loads,
        load_failures: all.load_failures,
        not_found: all.not_found,
        refreshes: all.refreshes,
        latency_count: times.count(),
        latency_p50_ns: times.quantile(500),
        latency_p90_ns: times.quantile(900),
        latency_p99_ns: times.quantile(990),
        latency_p999_ns: times.quantile(999),
        latency_max_ns: times.max(),
    }
}

/// Tells what a pipeline has seen in this process, by this handle.
///
/// @param pipeline the pipeline
/// @param stats begins with its size; receives the rest
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_stats(
    pipeline: *const larder_pipeline,
    stats: *mut larder_pipeline_numbers,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        let seen = find(pipeline)?.pipeline.counts();
        // SAFETY: the host passes NULL, or a struct that begins with its size.
        unsafe { hand_out(stats, FIRST_SIZE, "LARDER_PIPELINE_NUMBERS_INIT", |size| told(&seen, size)) }?;
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Tells how often operations of a pipeline failed with a status. What a store failed with and was passed over
/// (ON_STORE_ERROR) counts at the store.
///
/// @param pipeline the pipeline
/// @param status a failure, such as LARDER_ETIMEOUT
/// @param count receives how often
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EINVAL, also for a status that is no failure of this version; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_stats_errors(
    pipeline: *const larder_pipeline,
    status: larder_status,
    count: *mut u64,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written.
        let place = unsafe { out(count, "count") }?;
        *place = 0;
        let kind = failure(status)?;
        *place = find(pipeline)?.pipeline.counts().errors.get(kind.index()).copied().unwrap_or(0);
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Tells what a store of a pipeline has seen by it, and how its servers are: what larder_stats tells of a store that the
/// program opened itself.
///
/// @param pipeline the pipeline
/// @param level the store, 0 for the first
/// @param stats begins with its size; receives the rest
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EMPTY when it has no such store; LARDER_EINVAL; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_level_stats(
    pipeline: *const larder_pipeline,
    level: i32,
    stats: *mut larder_store_stats,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        let open = find(pipeline)?;
        let store = usize::try_from(level).ok().and_then(|level| open.pipeline.store(level));
        let Some(store) = store else { return Ok(LARDER_EMPTY) };
        // SAFETY: the host passes NULL, or a struct that begins with its size.
        unsafe { hand_out_store(stats, store) }?;
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}
