//! Tests that fork run in a process of their own: what other tests' threads do at that moment would be copied too.

use std::process::Command;

const ALONE: &str = "LARDER_TEST_ALONE";

/// Whether this process runs the test `name` (its path within the program) and no other. If not, one is started that
/// does, and has to succeed.
pub fn alone(name: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{name}: {}\n{said}", output.status);
    false
}
