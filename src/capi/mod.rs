//! The C API: the only folder with `extern "C"`. One file per C object; each function checks, borrows, calls the store
//! and hands out. No cache logic.
#![allow(unsafe_code, non_camel_case_types, clippy::missing_safety_doc)]

pub mod argument;
mod call_out;
pub mod callback;
pub mod callback_many;
pub mod compressor;
pub mod context;
pub mod cursor;
pub mod custom;
mod custom_backend;
mod custom_many;
pub mod error;
pub mod event;
pub mod expiry;
pub mod guard;
mod handle;
mod home;
pub mod key_function;
pub mod live;
pub mod lock;
pub mod log;
pub mod many;
pub mod operation;
pub mod pattern;
pub mod plugin;
pub mod prometheus;
pub mod queue;
pub mod request;
pub mod serializer;
pub mod session;
pub mod sink;
pub mod stats;
pub mod status;
pub mod store;
pub mod table;
pub mod token;
pub mod token_field;
pub mod token_text;
pub mod upkeep;
pub mod value;
