//! A MariaDB server of a test's own, on 127.0.0.1.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::daemon::{Daemon, Home};
use super::redis::free_port;

/// The user whom the tests use, and the password.
pub const USER: &str = "larder_test";
pub const PASSWORD: &str = "pea soup";

/// A running server with a database `shop`.
pub struct MariaDbServer {
    daemon: Mutex<Option<Daemon>>,
    home: Home,
    port: u16,
    tls: bool,
}

impl MariaDbServer {
    /// The server that the tests which run now share. Each uses tables of its own.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<MariaDbServer>> = Mutex::new(Weak::new());
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
        let home = Home::make("mariadb", "mysql");
        let mut init = home.command(Path::new("mariadb-install-db"));
        init.env("TMPDIR", &home.folder); // a server that starts removes the temporary tables that it finds, also others'
        init.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
        init.args(["--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0"]);
        init.arg(format!("--datadir={}", home.folder.join("data").display()));
        home.run(&mut init);
        home.write(
            "first.sql",
            &format!(
                "CREATE DATABASE IF NOT EXISTS shop;\n\
                 CREATE OR REPLACE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
                 CREATE OR REPLACE USER {USER}@localhost IDENTIFIED BY '{PASSWORD}';\n\
                 GRANT ALL ON *.* TO {USER}@'127.0.0.1';\n\
                 GRANT ALL ON *.* TO {USER}@localhost;\n"
            ),
        );
        for (name, pem) in ["server.pem", "server.key"].iter().zip(tls.iter().flatten()) {
            home.write(name, pem);
        }
        let server = Self { daemon: Mutex::new(None), home, port: free_port(), tls: tls.is_some() };
        server.revive();
        server
    }

    /// Starts the server again where it was, after [`Self::kill`].
    pub fn revive(&self) {
        let folder = &self.home.folder;
        let mut command = self.home.command(&program());
        command.env("TMPDIR", folder);
        command.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"]);
        command.arg(format!("--port={}", self.port));
        command.arg(format!("--datadir={}", folder.join("data").display()));
        command.arg(format!("--socket={}", self.socket_path().display()));
        command.arg(format!("--pid-file={}", folder.join("pid").display()));
        command.arg(format!("--init-file={}", folder.join("first.sql").display()));
        command.args(["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"]);
        // What was written survives the end of the server, though not of the machine; half a page is mended at its start.
        command.args(["--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync", "--innodb-doublewrite=1"]);
        command.args(["--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--max-connections=80"]);
        if self.tls {
            command.arg(format!("--ssl-cert={}", folder.join("server.pem").display()));
            command.arg(format!("--ssl-key={}", folder.join("server.key").display()));
        }
        let mut daemon = Daemon::start(&self.home, command, "-KILL");
        daemon.wait_for(&self.home, self.port, || self.try_query("shop", "SELECT 1").is_ok());
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

    /// The path of the unix socket.
    pub fn socket_path(&self) -> PathBuf {
        self.home.folder.join("sock")
    }

    /// Runs a statement with the server's own client: rows as lines, columns with a tab between them.
    pub fn query(&self, database: &str, sql: &str) -> String {
        self.try_query(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The server's own client, which runs what it reads, and tells at once.
    pub fn client(&self, database: &str) -> Command {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "-h", "127.0.0.1", "-P", &self.port.to_string(), "-u", "root", "-D", database]);
        command.args(["--skip-ssl", "--default-character-set=utf8mb4", "-BNrn"]);
        command
    }

    fn try_query(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = self.client(database).args(["-e", sql]).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("this test needs the program mariadb: {error}"));
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Drop for MariaDbServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian keeps it where only root's PATH looks.
fn program() -> PathBuf {
    let debian = Path::new("/usr/sbin/mariadbd");
    if debian.exists() { debian.to_owned() } else { PathBuf::from("mariadbd") }
}
