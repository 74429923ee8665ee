//! Pyot's store and pipeline: tokens, times to live by endpoint, several stores in order, one load instead of many.
//!
//! The contract is PY-*. Everything here stands on [`crate::store`]. The operations are written once, as `async` functions
//! over an [`access::Access`]: on the caller's own thread ([`access::Now`]) or as a task of the runtime ([`access::Later`]).

pub mod access;
mod arrival;
pub mod ask;
mod batch;
mod change;
pub mod counts;
mod endpoints;
pub mod flight;
pub mod load;
pub mod pipeline;
mod policy;
mod record;
mod share;
pub mod token;
mod trip;
mod walk;
mod write_back;
