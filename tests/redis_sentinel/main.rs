//! Redis servers that Sentinels are asked for: where they are, who is read, and what a failover costs (DR-31 to DR-37).
//! Both faces, with real Sentinels and with strange ones.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod client;
mod django;
mod failover;
mod finding;
mod strange;
#[cfg(feature = "tls")]
mod tls;
