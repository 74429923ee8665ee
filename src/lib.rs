//! larder: Django's cache framework for every language.
//!
//! The C API (`include/larder.h`) is the product; the Rust modules are public so that tests and benchmarks can reach
//! every layer. Arrows point downward: `capi → runtime → store → codec, backend → config → words`.

// On data from outside; tests may say plainly what must not happen.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub(crate) mod dice;
pub mod error;
pub mod float;
pub mod key;
pub mod lock;
pub mod log;
pub mod stored;
pub mod sys;
pub mod text;
pub mod timeout;
#[cfg(any(feature = "file", feature = "memcached", feature = "compressors"))]
pub mod unpack;
pub mod value;
#[cfg(any(feature = "file", feature = "memcached", feature = "compressors"))]
pub mod zlib;

pub mod config;

pub mod backend;
pub mod codec;

pub mod store;

pub mod pyot;

pub mod runtime;

pub mod capi;
