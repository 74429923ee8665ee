//! A Redis service of a test's own: a primary, replicas, and Sentinels that watch them. Loopback only, in a private folder
//! each, and exactly what was started is ended.

use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::daemon;
use super::redis::{RedisClient, free_port};

/// After so long without an answer a Sentinel takes a server for dead.
pub const DOWN_AFTER: Duration = Duration::from_millis(700);
/// The Sentinels' own failover takes that long at most, on a busy machine: noticing, voting, and further votes where the
/// first fails. Mostly it takes two seconds.
pub const FAILOVER: Duration = Duration::from_secs(25);

/// Where all listen.
const IP: &str = "127.0.0.1";

/// A redis-server, as a data server or as a Sentinel.
pub struct Server {
    process: Option<Child>,
    pub port: u16,
    folder: PathBuf,
}

impl Server {
    fn start(port: u16, arguments: &[&str], config: Option<&str>) -> Self {
        let folder = private_folder();
        let mut command = Command::new("redis-server");
        if let Some(config) = config {
            let file = folder.join("sentinel.conf");
            std::fs::write(&file, config).unwrap();
            command.arg(&file);
        }
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]).arg(&folder).args(arguments);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.unwrap_or_else(|error| panic!("this test needs the program redis-server: {error}"));
        let mut server = Self { process: Some(process), port, folder };
        let end = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let status = server.process.as_mut().unwrap().try_wait().unwrap();
            assert!(status.is_none(), "redis-server ended at once: {status:?}");
            assert!(Instant::now() < end, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// A data server; a replica of another one, if there is one.
    pub fn data(port: u16, primary: Option<u16>) -> Self {
        Self::data_at(IP, port, primary)
    }

    /// The same, that goes by this name.
    fn data_at(host: &str, port: u16, primary: Option<u16>) -> Self {
        let mut arguments =
            vec!["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0", "--databases", "200"];
        if host != IP {
            // the name can have both addresses, in either order
            arguments.extend(["--bind", IP, "-::1", "--replica-announce-ip", host]);
        }
        let primary = primary.map(|port| port.to_string());
        if let Some(primary) = &primary {
            arguments.extend(["--replicaof", host, primary]);
        }
        Self::start(port, &arguments, None)
    }

    fn sentinel(service: &str, (host, primary): (&str, u16), quorum: usize, password: Option<&str>) -> Self {
        let names = "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n";
        let mut config = format!(
            "{}sentinel monitor {service} {host} {primary} {quorum}\n\
             sentinel down-after-milliseconds {service} {}\n\
             sentinel failover-timeout {service} 3000\n\
             sentinel parallel-syncs {service} 2\n",
            if host == IP { "" } else { names },
            DOWN_AFTER.as_millis()
        );
        if let Some(password) = password {
            config.extend(["requirepass ", password, "\n"]);
        }
        Self::start(free_port(), &["--sentinel"], Some(&config))
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Lets it stand still, or go on.
    pub fn pause(&self, pause: bool) {
        daemon::pause(self.process.as_ref().unwrap().id(), pause);
    }

    /// Sends one command; nothing is answered where Sentinels have the server hang up in that moment.
    pub fn command(&self, arguments: &[&[u8]]) -> String {
        let answer = RedisClient::connect(self.port).try_command(arguments).unwrap_or_default();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Server {
    /// Empties a database.
    pub fn flush(&self, database: u32) {
        let mut client = RedisClient::connect(self.port);
        client.command(&[b"SELECT", database.to_string().as_bytes()]);
        client.command(&[b"FLUSHDB"]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn private_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("larder-sentinel-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder: &Path = &std::env::temp_dir().join(name);
    std::fs::DirBuilder::new().mode(0o700).create(folder).unwrap();
    folder.to_owned()
}

/// A primary and its replicas, which have followed.
fn with_replicas(host: &str, replicas: usize) -> Vec<Server> {
    let mut servers = vec![Server::data_at(host, free_port(), None)];
    let port = servers[0].port;
    servers.extend((0..replicas).map(|_| Server::data_at(host, free_port(), Some(port))));
    wait("the replicas are there", || {
        servers[1..].iter().all(|server| server.command(&[b"INFO", b"replication"]).contains("link_status:up"))
    });
    servers
}

/// A service with its Sentinels.
pub struct Service {
    pub name: String,
    /// The first is the primary at the beginning.
    pub servers: Vec<Server>,
    pub sentinels: Vec<Server>,
    pub password: Option<String>,
}

impl Service {
    /// A primary, so many replicas, and so many Sentinels that want a password, where there is one. All know of all.
    pub fn start(name: &str, replicas: usize, sentinels: usize, password: Option<&str>) -> Self {
        Self::start_at(IP, name, replicas, sentinels, password)
    }

    /// The same, whose servers go by the name of a host, which is what the Sentinels tell of them.
    pub fn start_at(host: &str, name: &str, replicas: usize, sentinels: usize, password: Option<&str>) -> Self {
        let servers = with_replicas(host, replicas);
        let (port, quorum) = (servers[0].port, sentinels / 2 + 1);
        let sentinel = |_| Server::sentinel(name, (host, port), quorum, password);
        let sentinels: Vec<Server> = (0..sentinels).map(sentinel).collect();
        let service = Self { name: name.to_owned(), servers, sentinels, password: password.map(str::to_owned) };
        service.wait_until_all_know_all(replicas);
        service
    }

    /// Another service, which the same Sentinels watch: its servers, the primary first.
    pub fn another(&self, name: &str, replicas: usize) -> Vec<Server> {
        let servers = with_replicas(IP, replicas);
        let (port, quorum) = (servers[0].port.to_string(), (self.sentinels.len() / 2 + 1).to_string());
        for sentinel in &self.sentinels {
            let down_after = DOWN_AFTER.as_millis().to_string();
            for words in [
                &["MONITOR", name, IP, &port, &quorum][..],
                &["SET", name, "down-after-milliseconds", &down_after, "failover-timeout", "3000"],
            ] {
                let words: Vec<&[u8]> =
                    std::iter::once("SENTINEL").chain(words.iter().copied()).map(str::as_bytes).collect();
                assert_eq!(self.ask(sentinel, &words), "OK");
            }
            wait("the Sentinel knows the replicas", || {
                let said = self.ask(sentinel, &[b"SENTINEL", b"MASTER", name.as_bytes()]);
                said.contains(&format!("num-slaves {replicas} "))
            });
        }
        servers
    }

    fn wait_until_all_know_all(&self, replicas: usize) {
        let others = (self.sentinels.len() - 1).to_string();
        let replicas = replicas.to_string();
        for sentinel in &self.sentinels {
            wait("the Sentinels know everything", || {
                let said = self.ask(sentinel, &[b"SENTINEL", b"MASTER", self.name.as_bytes()]);
                let has = |name: &str, value: &str| said.contains(&format!("{name} {value} "));
                has("num-slaves", &replicas) && has("num-other-sentinels", &others)
            });
        }
    }

    /// Asks a Sentinel.
    pub fn ask(&self, sentinel: &Server, arguments: &[&[u8]]) -> String {
        let mut client = RedisClient::connect(sentinel.port);
        if let Some(password) = &self.password {
            client.command(&[b"AUTH", password.as_bytes()]);
        }
        String::from_utf8_lossy(&client.command(arguments)).into_owned()
    }

    /// The port of the primary, by the first Sentinel.
    pub fn primary(&self) -> u16 {
        let said = self.ask(&self.sentinels[0], &[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self.name.as_bytes()]);
        said.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// The data server at a port.
    pub fn at(&self, port: u16) -> &Server {
        self.servers.iter().find(|server| server.port == port).unwrap()
    }

    /// The option SENTINELS.
    pub fn sentinels(&self) -> Value {
        self.sentinels.iter().map(|sentinel| json!(["127.0.0.1", sentinel.port])).collect()
    }

    /// An alias of django-redis' SentinelClient, with further options.
    pub fn entry(&self, more: &Value) -> Value {
        let mut options = json!({
            "CLIENT_CLASS": "django_redis.client.SentinelClient",
            "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
            "SENTINELS": self.sentinels(),
        });
        if let Some(password) = &self.password {
            options["SENTINEL_KWARGS"] = json!({"password": password});
        }
        for (name, value) in more.as_object().into_iter().flatten() {
            options[name] = value.clone();
        }
        json!({
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": format!("redis://{}/0", self.name),
            "OPTIONS": options,
        })
    }
}

/// Waits until something is so.
pub fn wait(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !is() {
        assert!(Instant::now() < end, "not after a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
