//! A server program of a test's own: in a private folder, never as root, ended when dropped.

use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The folder of a server, and the user whom it belongs to: the database servers refuse to run as root.
pub struct Home {
    pub folder: PathBuf,
    user: Option<String>,
}

impl Home {
    /// Makes a folder for a server; where the tests run as root it belongs to `user`.
    pub fn make(name: &str, user: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("larder-{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let home = Self { folder, user: is_root.then(|| user.to_owned()) };
        if is_root {
            home.give(&home.folder);
        }
        home
    }

    /// Writes a file that only the server can read.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        if self.user.is_some() {
            self.give(&path);
        }
        path
    }

    fn give(&self, path: &Path) {
        let user = self.user.as_deref().unwrap_or_default();
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let line = users.lines().find(|line| line.split(':').next() == Some(user));
        let line =
            line.unwrap_or_else(|| panic!("this test runs as root and needs the user {user}, to run a server as"));
        let numbers: Vec<u32> = line.split(':').skip(2).take(2).map(|number| number.parse().unwrap()).collect();
        chown(path, Some(numbers[0]), Some(numbers[1])).unwrap();
    }

    /// A program, to be run as the server's user.
    pub fn command(&self, program: &Path) -> Command {
        let Some(user) = &self.user else { return Command::new(program) };
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups", "--"]);
        command.arg(program);
        command
    }

    /// Runs a program that ends by itself.
    pub fn run(&self, command: &mut Command) {
        let output = command.current_dir(&self.folder).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("this test needs the program of {command:?}: {error}"));
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A running server.
pub struct Daemon {
    process: Child,
    /// The signal that ends it at once, with all its processes.
    end: &'static str,
}

impl Daemon {
    /// Starts a server; what it says goes to the file `log` of its folder.
    pub fn start(home: &Home, mut command: Command, end: &'static str) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(home.folder.join("log")).unwrap();
        command.current_dir(&home.folder).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap_or_else(|error| panic!("this test needs a program: {command:?}: {error}"));
        Self { process, end }
    }

    /// Waits until somebody listens on a port and `answers`.
    pub fn wait_for(&mut self, home: &Home, port: u16, answers: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() || !answers() {
            let ended = self.process.try_wait().unwrap();
            if ended.is_some() || Instant::now() > end {
                let log = std::fs::read_to_string(home.folder.join("log")).unwrap_or_default();
                panic!("the server does not answer ({ended:?}): {log}");
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// Lets the server and the processes that it started stand still, or go on.
    pub fn pause(&self, pause: bool) {
        let processes = self.signal_all(if pause { "-STOP" } else { "-CONT" });
        if pause {
            wait_until_stopped(&processes);
        }
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.signal_all("-CONT");
        signal(self.end, &[self.process.id()]);
        let end = Instant::now() + Duration::from_secs(20);
        while self.process.try_wait().ok().flatten().is_none() {
            if Instant::now() > end {
                let _ = self.process.kill();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn signal_all(&self, name: &str) -> Vec<u32> {
        let own = self.process.id();
        let mut processes = vec![own];
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            // "number (name) state parent …"; the name can have anything in it
            let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
            if parent == Some(own) {
                processes.extend(entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
            }
        }
        signal(name, &processes);
        processes
    }
}

/// Lets one process stand still, or go on. `kill` comes back before it stands: a thread of it that is not told yet would
/// still answer what it is sent now.
pub fn pause(process: u32, pause: bool) {
    let mut command = Command::new("kill");
    command.args([if pause { "-STOP" } else { "-CONT" }, &process.to_string()]);
    assert!(command.status().unwrap().success());
    if pause {
        wait_until_stopped(&[process]);
    }
}

fn wait_until_stopped(processes: &[u32]) {
    while !processes.iter().all(|process| has_stopped(*process)) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether every thread of a process has stopped; also one that has ended.
fn has_stopped(process: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return true };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| matches!(rest.trim_start().as_bytes(), [b'T' | b'Z', ..]))
    })
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.process.try_wait().ok().flatten().is_none() {
            self.kill();
        }
    }
}

fn signal(name: &str, processes: &[u32]) {
    let mut command = Command::new("kill");
    command.arg(name).args(processes.iter().map(u32::to_string));
    let _ = command.stderr(Stdio::null()).status(); // one may have ended by itself just now
}
