//! Deadlines through the whole C API: a name that is looked up for 30 s, one that is found late, a server that takes
//! everything and never answers, one that drips. Every call ends by its deadline, and the program can shut down and exit
//! although the look-up still sleeps.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

#[path = "c/driver.rs"]
mod driver;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::proxy::{Fault, Proxy};
use common::redis::RedisServer;
use driver::{Link, build, finish, folder_of_its_own, root};

/// How long a look-up sleeps: the program has ended long before.
const LOOK_UP: Duration = Duration::from_secs(30);

/// Builds what is loaded before the C library.
fn build_slow_resolver(folder: &Path) -> PathBuf {
    let library = folder.join("slow.so");
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC"]);
    command.arg(root().join("tests/c/resolver_slow.c")).arg("-o").arg(&library).arg("-ldl");
    finish(command).expect("");
    library
}

/// Runs the program against a LOCATION; every call has to end as `fate` says.
fn run(location: &str, fate: &str) {
    let folder = folder_of_its_own("resolver");
    let program = build("tests/c/resolver.c", Link::Dynamic);
    let mut command = Command::new(program);
    command.args([folder.to_str().unwrap(), location, fate]).current_dir(&folder);
    command.env_remove("LD_LIBRARY_PATH").env("LD_PRELOAD", build_slow_resolver(&folder));
    let begun = Instant::now();
    let outcome = finish(command);
    println!("{location}: {}", outcome.said.trim());
    outcome.expect("every call ended in time");
    assert!(begun.elapsed() < LOOK_UP, "the program waited for the look-up");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn a_name_that_is_never_found() {
    run("redis://cache.slow.test:6379/1", "late");
}

#[test]
fn a_name_that_is_found_late() {
    let server = RedisServer::start();
    run(&format!("redis://cache.late.test:{}/1", server.port()), "well");
}

#[test]
fn a_server_that_accepts_and_never_answers() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.set(Fault::BlackHole);
    run(&format!("redis://127.0.0.1:{}/1", proxy.port()), "late");
    assert!(proxy.accepted() > 0);
}

#[test]
fn a_server_that_is_not_accepted_by() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.set(Fault::Deaf);
    run(&format!("redis://127.0.0.1:{}/1", proxy.port()), "late");
}

#[test]
fn a_server_that_drips() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.set(Fault::Drip(Duration::from_millis(100)));
    run(&format!("redis://127.0.0.1:{}/1", proxy.port()), "late");
    assert!(proxy.accepted() > 0);
}
