//! Pipelines in both faces, by the rules of the contract (pyot.md: PY-S, PY-P, PY-L) and of the issue.
#![cfg(all(feature = "memory", feature = "file", feature = "redis"))]
#![allow(unsafe_code)] // fork
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;

mod away;
mod bed;
mod changes;
mod counted;
mod fork;
mod levels;
mod loads;
mod locks;
mod many;
mod refreshes;
mod together;
