//! Counts of what is open, since leak checkers cannot see handles.

use super::argument::invalid;
use super::status::of;
use super::{context, cursor, error, pipeline, queue, store, token, value};

/// What larder_live counts: open contexts.
pub const LARDER_LIVE_CONTEXTS: i32 = 1;
/// What larder_live counts: open stores.
pub const LARDER_LIVE_STORES: i32 = 2;
/// What larder_live counts: open cursors.
pub const LARDER_LIVE_CURSORS: i32 = 3;
/// What larder_live counts: values that are not released.
pub const LARDER_LIVE_VALUES: i32 = 4;
/// What larder_live counts: errors that are not released.
pub const LARDER_LIVE_ERRORS: i32 = 5;
/// What larder_live counts: open completion queues.
pub const LARDER_LIVE_QUEUES: i32 = 6;
/// What larder_live counts: tokens that are not released.
pub const LARDER_LIVE_TOKENS: i32 = 7;
/// What larder_live counts: open pipelines.
pub const LARDER_LIVE_PIPELINES: i32 = 8;

/// How many objects of a kind are open in this process, for tests: leak checkers cannot see handles.
///
/// @param kind LARDER_LIVE_…
/// @return the count; LARDER_EINVAL for an unknown kind
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn larder_live(kind: i32) -> i64 {
    let count = match kind {
        LARDER_LIVE_CONTEXTS => context::CONTEXTS.live(),
        LARDER_LIVE_STORES => store::STORES.live(),
        LARDER_LIVE_CURSORS => cursor::CURSORS.live(),
        LARDER_LIVE_VALUES => value::live(),
        LARDER_LIVE_ERRORS => error::live(),
        LARDER_LIVE_QUEUES => queue::QUEUES.live(),
        LARDER_LIVE_TOKENS => token::live(),
        LARDER_LIVE_PIPELINES => pipeline::PIPELINES.live(),
        other => return i64::from(of(invalid(format!("{other} is no kind")).kind())),
    };
    i64::try_from(count).unwrap_or(i64::MAX)
}
