//! The servers of database caches, as tests use either kind.
#![cfg(all(feature = "postgres", feature = "mysql"))]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use larder::backend::database::{self, Bounds};
use larder::backend::{Backend, Spawner};
use larder::config::{self, Family};
use larder::log::{Log, Silent};
use serde_json::{Value, json};

use super::flight::LONG;
use super::mariadb::{self, MariaDbServer};
use super::postgres::{self, PostgresServer};

/// A server of either kind.
#[derive(Clone)]
pub enum Site {
    Postgres(Arc<PostgresServer>),
    MariaDb(Arc<MariaDbServer>),
}

impl Site {
    /// One of each, shared by the tests that run now.
    pub fn both() -> [Self; 2] {
        [Self::Postgres(PostgresServer::shared()), Self::MariaDb(MariaDbServer::shared())]
    }

    /// One of each for a test alone, which may end it or let it stand still.
    pub fn both_alone() -> [Self; 2] {
        [Self::Postgres(Arc::new(PostgresServer::start())), Self::MariaDb(Arc::new(MariaDbServer::start()))]
    }

    /// For messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "PostgreSQL",
            Self::MariaDb(_) => "MariaDB",
        }
    }

    pub fn is_mariadb(&self) -> bool {
        matches!(self, Self::MariaDb(_))
    }

    pub fn port(&self) -> u16 {
        match self {
            Self::Postgres(server) => server.port(),
            Self::MariaDb(server) => server.port(),
        }
    }

    /// Runs a statement of the tests' own. `"` stands for the server's own quotes of names.
    pub fn query(&self, sql: &str) -> String {
        match self {
            Self::Postgres(server) => server.query("shop", sql),
            Self::MariaDb(server) => server.query("shop", &sql.replace('"', "`")).replace('\t', "|"),
        }
    }

    /// A transaction of the tests' own, in which a statement was run. `"` stands for the server's own quotes of names.
    pub fn begin(&self, sql: &str) -> Transaction {
        let mut command = match self {
            Self::Postgres(server) => server.client("shop"),
            Self::MariaDb(server) => server.client("shop"),
        };
        let sql = if self.is_mariadb() { sql.replace('"', "`") } else { sql.to_owned() };
        let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        writeln!(client.stdin.as_mut().unwrap(), "BEGIN; {sql}; SELECT 'it is done';").unwrap();
        let mut answer = String::new();
        BufReader::new(client.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();
        assert_eq!(answer, "it is done\n", "{sql}");
        Transaction(client)
    }

    pub fn pause(&self, pause: bool) {
        match self {
            Self::Postgres(server) => server.pause(pause),
            Self::MariaDb(server) => server.pause(pause),
        }
    }

    pub fn kill(&self) {
        match self {
            Self::Postgres(server) => server.kill(),
            Self::MariaDb(server) => server.kill(),
        }
    }

    pub fn revive(&self) {
        match self {
            Self::Postgres(server) => server.revive(),
            Self::MariaDb(server) => server.revive(),
        }
    }

    /// The entry of DATABASES.
    pub fn database(&self) -> Value {
        let (engine, user, password) = match self {
            Self::Postgres(_) => ("postgresql", postgres::USER, postgres::PASSWORD),
            Self::MariaDb(_) => ("mysql", mariadb::USER, mariadb::PASSWORD),
        };
        json!({
            "ENGINE": format!("django.db.backends.{engine}"), "NAME": "shop", "USER": user, "PASSWORD": password,
            "HOST": "127.0.0.1", "PORT": self.port(),
        })
    }

    /// A whole configuration with the alias `default` on a table; `more` replaces or adds top-level entries, of which
    /// `CACHE` and `DATABASE` are merged into the alias and the database.
    pub fn config(&self, table: &str, more: &Value) -> Value {
        let mut config = json!({
            "CACHES": {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": table}},
            "DATABASES": {"default": self.database()},
            "USE_TZ": true, "TIME_ZONE": "UTC",
        });
        for (name, value) in more.as_object().unwrap() {
            let place = match name.as_str() {
                "CACHE" => &mut config["CACHES"]["default"],
                "DATABASE" => &mut config["DATABASES"]["default"],
                _ => {
                    config[name] = value.clone();
                    continue;
                }
            };
            for (name, value) in value.as_object().unwrap() {
                place[name] = value.clone();
            }
        }
        config
    }

    /// The backend of such a configuration.
    pub fn open(&self, table: &str, more: &Value, spawner: Arc<impl Spawner + 'static>) -> Arc<dyn Backend> {
        let config = config::read(self.config(table, more).to_string().as_bytes(), &|_| None).unwrap();
        let alias = &config.aliases[0];
        let Family::Database(database) = &alias.family else { panic!("{:?}", alias.family) };
        let bounds = Bounds { culling: alias.culling, limits: alias.settings.limits };
        let (spawner, log): (Arc<dyn Spawner>, Arc<dyn Log>) = (spawner, Arc::new(Silent));
        database::open(database.clone(), bounds, &spawner, &log).unwrap()
    }

    /// The backend of a new table of a test's own; its name.
    pub fn open_new(&self, more: &Value, spawner: Arc<impl Spawner + 'static>) -> (Arc<dyn Backend>, String) {
        let table = new_name();
        let cache = self.open(&table, more, spawner);
        cache.create_table(LONG).unwrap();
        (cache, table)
    }

    /// The rows of a table: key, value, expiry, in the order of the keys' bytes.
    pub fn rows(&self, table: &str) -> Vec<[String; 3]> {
        let expires = if self.is_mariadb() { "CAST(expires AS CHAR)" } else { "expires::text" };
        let order = if self.is_mariadb() { "CAST(cache_key AS BINARY)" } else { "cache_key COLLATE \"C\"" };
        let rows = match self {
            Self::Postgres(server) => {
                server.query("shop", &format!("SELECT cache_key, value, {expires} FROM \"{table}\" ORDER BY {order}"))
            }
            Self::MariaDb(_) => {
                self.query(&format!("SELECT cache_key, value, {expires} FROM \"{table}\" ORDER BY {order}"))
            }
        };
        let row = |line: &str| -> [String; 3] {
            let columns: Vec<String> = line.rsplitn(3, '|').map(str::to_owned).collect();
            let mut columns: [String; 3] = columns.try_into().unwrap();
            columns.reverse();
            columns
        };
        rows.lines().map(row).collect()
    }

    /// The numbers of the sessions that clients have open, other than the tests' own.
    pub fn sessions(&self) -> Vec<u64> {
        let sql = if self.is_mariadb() {
            "SELECT id FROM information_schema.processlist WHERE user = 'larder_test'"
        } else {
            "SELECT pid FROM pg_stat_activity WHERE datname = 'shop' AND backend_type = 'client backend' AND \
             application_name <> 'psql'"
        };
        self.query(sql).lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Ends a session, and waits until it has ended.
    pub fn end_session(&self, number: u64) {
        if self.is_mariadb() {
            self.query(&format!("KILL {number}"));
        } else {
            self.query(&format!("SELECT pg_terminate_backend({number})"));
        }
        wait_until("the session has ended", || !self.sessions().contains(&number));
    }
}

/// A transaction of the tests' own, committed when it is dropped.
pub struct Transaction(Child);

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(mut statements) = self.0.stdin.take() {
            let _ = writeln!(statements, "COMMIT;"); // the client leaves when nothing more can come
        }
        let _ = self.0.wait();
    }
}

/// A name for a table of a test's own.
pub fn new_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("cache {}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Waits for something that comes soon.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
