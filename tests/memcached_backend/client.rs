//! A memcached cache under test, and servers that say what a test wants.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::backend::memcached::{self, Chooser};
use larder::backend::{Backend, Reply, Request, Spawner, Stored, When, Written};
use larder::config;
use larder::error::Result;
use larder::key::MadeKey;
use larder::log::{Log, Silent};
use larder::timeout::Ttl;
use serde_json::{Value, json};

use super::common::flight::{Face, LONG, Runtime, ask, memcached_of};

pub const PYMEMCACHE: &str = "django.core.cache.backends.memcached.PyMemcacheCache";
pub const PYLIBMC: &str = "django.core.cache.backends.memcached.PyLibMCCache";
pub const LIFE: Ttl = Ttl::Millis(900_000);

pub fn key(text: &str) -> MadeKey {
    MadeKey::as_is(text)
}

/// A cache and its runtime.
pub struct Client {
    pub cache: Arc<dyn Backend>,
    pub config: config::Memcached,
    _runtime: Arc<Runtime>,
}

impl Client {
    pub fn open(config: config::Memcached) -> Self {
        let runtime = Runtime::start();
        let spawner: Arc<dyn Spawner> = runtime.clone();
        let log: Arc<dyn Log> = Arc::new(Silent);
        Self { cache: memcached::open(config.clone(), &spawner, &log), config, _runtime: runtime }
    }

    pub fn of(backend: &str, location: &[String], options: &Value) -> Self {
        let own = json!({"BREAKER": false});
        let entry = json!({"BACKEND": backend, "LOCATION": location, "OPTIONS": options, "LARDER": own});
        Self::open(memcached_of(&entry))
    }

    pub fn ask(&self, face: Face, request: &Request<'_>) -> Result<Reply> {
        ask(&*self.cache, face, request, LONG)
    }

    pub fn set(&self, face: Face, name: &str, value: &str) -> Result<Reply> {
        let (key, value) = (key(name), value.as_bytes().into());
        self.ask(face, &Request::Set { key: &key, value, ttl: LIFE, when: When::Always })
    }

    pub fn get(&self, face: Face, name: &str) -> Result<Option<Stored>> {
        match self.ask(face, &Request::Get(&key(name)))? {
            Reply::Value(value) => Ok(value),
            other => panic!("{other:?}"),
        }
    }

    pub fn server_of(&self, name: &str) -> usize {
        Chooser::new(&self.config).server_of(&key(name)).unwrap().unwrap()
    }

    /// Names of keys that a server has.
    pub fn keys_of(&self, server: usize, count: usize) -> Vec<String> {
        let chooser = Chooser::new(&self.config);
        let names = (0..).map(|number| format!(":1:key {number}").replace(' ', "-"));
        names.filter(|name| chooser.server_of(&key(name)).unwrap() == Some(server)).take(count).collect()
    }
}

pub fn value(text: &str) -> Stored {
    text.as_bytes().to_vec().into()
}

#[allow(clippy::needless_pass_by_value, reason = "what a call answers")]
pub fn stored(answer: Result<Reply>) -> bool {
    matches!(answer, Ok(Reply::Written(Written::Stored)))
}

/// Asks until it answers as wished.
pub fn until(mut wished: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while !wished() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// A server that does what a test says: `serve` gets each line and may write.
pub fn fake(serve: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, serve) = (stream.unwrap(), serve.clone());
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while lines.read_line(&mut line).is_ok_and(|size| size > 0) {
                    if line.starts_with("set ") || line.starts_with("add ") {
                        let size: usize = line.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
                        lines.read_exact(&mut vec![0; size + 2]).unwrap();
                    }
                    serve(line.trim_end(), &mut stream);
                    line.clear();
                }
            });
        }
    });
    port
}
