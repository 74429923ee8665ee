//! What a cache under test runs on: a Redis server, a memcached server, or several of these.

use std::sync::Mutex;

use larder::backend::memcached::Chooser;
use larder::config::{self, BreakerRule};
use larder::key::MadeKey;

use super::client::Client;
use super::common::flight::memcached_on;
use super::common::memcached::{MemcachedClient, MemcachedServer};
use super::common::redis::{RedisServer, free_port};

/// Servers that run while a test does.
pub enum Servers {
    /// Its port, which it keeps.
    Redis(u16, Mutex<Option<RedisServer>>),
    /// One or several; with several the fault is on the first one's network.
    Memcached(Vec<Mutex<MemcachedServer>>),
}

impl Servers {
    pub fn redis() -> Self {
        let server = RedisServer::start_on(free_port(), None);
        Self::Redis(server.port(), Mutex::new(Some(server)))
    }

    pub fn memcached(count: usize) -> Self {
        Self::Memcached(MemcachedServer::several(count, &[]).into_iter().map(Mutex::new).collect())
    }

    /// A name for tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Redis(..) => "redis",
            Self::Memcached(servers) if servers.len() == 1 => "memcached",
            Self::Memcached(_) => "one memcached of several",
        }
    }

    /// The ports on 127.0.0.1.
    pub fn ports(&self) -> Vec<u16> {
        match self {
            Self::Redis(port, _) => vec![*port],
            Self::Memcached(servers) => servers.iter().map(|server| server.lock().unwrap().port()).collect(),
        }
    }

    /// All kinds.
    pub fn all() -> [Self; 3] {
        [Self::redis(), Self::memcached(1), Self::memcached(3)]
    }

    /// Ends the first server at once.
    pub fn kill(&self) {
        match self {
            Self::Redis(_, server) => drop(server.lock().unwrap().take()),
            Self::Memcached(servers) => servers[0].lock().unwrap().kill(),
        }
    }

    /// Starts it again where it was.
    pub fn revive(&self) {
        match self {
            Self::Redis(port, server) => *server.lock().unwrap() = Some(RedisServer::start_on(*port, None)),
            Self::Memcached(servers) => servers[0].lock().unwrap().revive(),
        }
    }

    /// Lets it stand still, or go on.
    pub fn pause(&self, pause: bool) {
        match self {
            Self::Redis(_, server) => server.lock().unwrap().as_ref().unwrap().pause(pause),
            Self::Memcached(servers) => servers[0].lock().unwrap().pause(pause),
        }
    }

    /// Plain clients of those that are well all the time: all but the first.
    pub fn clients_of_others(&self) -> Vec<MemcachedClient> {
        match self {
            Self::Redis(..) => Vec::new(),
            Self::Memcached(servers) => servers[1..].iter().map(|server| server.lock().unwrap().client()).collect(),
        }
    }

    /// A cache over these servers, of which the first is reached at another port.
    pub fn open(&self, first: u16, breaker: Option<BreakerRule>) -> Client {
        match self {
            Self::Redis(..) => Client::open(first, breaker),
            Self::Memcached(_) => Client::on_memcached(self.config(first, breaker)),
        }
    }

    fn config(&self, first: u16, breaker: Option<BreakerRule>) -> config::Memcached {
        let mut ports = self.ports();
        ports[0] = first;
        let mut config = memcached_on(&ports);
        config.max_connections = 8;
        config.breaker = breaker;
        config
    }

    /// Which server has a key, where the first is reached at another port.
    pub fn server_of(&self, first: u16, key: &str) -> usize {
        match self {
            Self::Redis(..) => 0,
            Self::Memcached(_) => {
                let config = self.config(first, None);
                Chooser::new(&config).server_of(&MadeKey::as_is(key)).unwrap().unwrap()
            }
        }
    }

    /// A key on the first server, with such a name.
    pub fn key_on_first(&self, first: u16, name: &str) -> String {
        let mut key = name.to_owned();
        while self.server_of(first, &key) != 0 {
            key.push('+');
        }
        key
    }

    /// Puts bytes into the server that has the key.
    pub fn put(&self, first: u16, key: &str, bytes: &[u8]) {
        match self {
            Self::Redis(_, server) => {
                server.lock().unwrap().as_ref().unwrap().command(1, &[b"SET", key.as_bytes(), bytes]);
            }
            Self::Memcached(servers) => {
                let server = servers[self.server_of(first, key)].lock().unwrap();
                server.client().put(key.as_bytes(), 0, 0, bytes);
            }
        }
    }

    /// What the server that has the key holds.
    pub fn stored(&self, first: u16, key: &str) -> Vec<u8> {
        match self {
            Self::Redis(_, server) => server.lock().unwrap().as_ref().unwrap().command(1, &[b"GET", key.as_bytes()]),
            Self::Memcached(servers) => {
                let server = servers[self.server_of(first, key)].lock().unwrap();
                server.client().item(key.as_bytes()).map(|item| item.bytes).unwrap_or_default()
            }
        }
    }
}
