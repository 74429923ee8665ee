//! Pyot's store and pipeline: tokens, times to live by endpoint, several stores in order, one load instead of many.
//!
//! The contract is PY-*. Everything here stands on [`crate::store`].

pub mod token;
