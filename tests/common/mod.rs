//! What tests share. Each test program uses its own part.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::path::PathBuf;

pub mod alone;
pub mod client;
pub mod daemon;
pub mod database;
pub mod flight;
pub mod golden;
pub mod locks;
pub mod mariadb;
pub mod memcached;
pub mod postgres;
pub mod proxy;
pub mod python;
pub mod random;
pub mod redis;
pub mod sentinels;
pub mod valkey;
pub mod value;

/// The folder with contract and golden data: `$LARDER_SHARED`, else `../shared` beside the project.
pub fn shared() -> PathBuf {
    match std::env::var_os("LARDER_SHARED") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
    }
}

/// The path of a golden data file.
pub fn golden_path(name: &str) -> PathBuf {
    shared().join("golden").join(name)
}

/// A golden data file, as text.
pub fn golden(name: &str) -> String {
    let path = golden_path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}
