//! A PostgreSQL server of a test's own, on 127.0.0.1.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::daemon::{Daemon, Home};
use super::redis::free_port;

/// The role that the tests use, and its password.
pub const USER: &str = "larder_test";
pub const PASSWORD: &str = "pea soup";

/// A running server with a database `shop`.
pub struct PostgresServer {
    daemon: Mutex<Option<Daemon>>,
    home: Home,
    port: u16,
    tls: bool,
}

impl PostgresServer {
    /// The server that the tests which run now share. Each uses tables of its own.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// Starts a server and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts one that speaks TLS too, with a certificate and its key (PEM).
    pub fn start_with(tls: Option<[&str; 2]>) -> Self {
        let home = Home::make("postgres", "postgres");
        let secret = home.write("secret", PASSWORD);
        let mut init = home.command(&program("initdb"));
        init.args(["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]);
        init.args(["-U", USER]).arg("--pwfile").arg(secret).arg("-D").arg(home.folder.join("data"));
        home.run(&mut init);
        for (name, pem) in ["server.pem", "server.key"].iter().zip(tls.iter().flatten()) {
            home.write(name, pem);
        }
        let server = Self { daemon: Mutex::new(None), home, port: free_port(), tls: tls.is_some() };
        server.revive();
        server.query("postgres", "CREATE DATABASE shop");
        server
    }

    /// Starts the server again where it was, after [`Self::kill`].
    pub fn revive(&self) {
        let mut command = self.home.command(&program("postgres"));
        command.arg("-D").arg(self.home.folder.join("data"));
        let folder = format!("unix_socket_directories={}", self.home.folder.display());
        let settings = [
            "listen_addresses=127.0.0.1",
            &format!("port={}", self.port),
            &folder,
            "fsync=off", // what was committed survives the end of the server, though not of the machine
            "shared_buffers=16MB",
            "max_connections=60",
            "autovacuum=off",
            "jit=off",
        ];
        let papers = ["ssl=on", "ssl_cert_file=../server.pem", "ssl_key_file=../server.key"];
        for setting in settings.iter().chain(if self.tls { &papers[..] } else { &[] }) {
            command.args(["-c", setting]);
        }
        let mut daemon = Daemon::start(&self.home, command, "-QUIT");
        daemon.wait_for(&self.home, self.port, || self.try_query("postgres", "SELECT 1").is_ok());
        *self.daemon.lock().unwrap() = Some(daemon);
    }

    /// Ends the server at once.
    pub fn kill(&self) {
        if let Some(mut daemon) = self.daemon.lock().unwrap().take() {
            daemon.kill();
        }
    }

    /// Lets the server stand still, or go on.
    pub fn pause(&self, pause: bool) {
        self.daemon.lock().unwrap().as_ref().unwrap().pause(pause);
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder in which its socket is.
    pub fn socket_folder(&self) -> &Path {
        &self.home.folder
    }

    /// Runs a statement with the server's own client: rows as lines, columns with `|` between them.
    pub fn query(&self, database: &str, sql: &str) -> String {
        self.try_query(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The server's own client, which runs what it reads.
    pub fn client(&self, database: &str) -> Command {
        let mut command = Command::new(program("psql"));
        command.env("PGPASSWORD", PASSWORD).env("PGTZ", "UTC").env("PGCLIENTENCODING", "UTF8");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER, "-d", database, "-XAtq"]);
        command
    }

    fn try_query(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = self.client(database).args(["-c", sql]).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("this test needs psql: {error}"));
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian keeps the programs of each version apart.
fn program(name: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}
