//! A cache as a configuration has it, and what is asked of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder::backend::redis::open;
use larder::backend::{Backend, Reply, Request, Spawner, When};
use larder::config::{Family, read};
use larder::error::{Error, Result};
use larder::key::MadeKey;
use larder::lock::Mutex;
use larder::log::{Level, Log};
use larder::timeout::{Budget, Ttl};
use serde_json::{Value, json};

use crate::common::flight::{Face, Runtime, ask};

/// Remembers what is said besides answers.
#[derive(Default)]
pub struct Records(pub Mutex<Vec<String>>);

impl Log for Records {
    fn record(&self, level: Level, text: &fmt::Arguments<'_>) {
        self.0.lock().push(format!("{level:?} {text}"));
    }
}

pub struct Client {
    pub cache: Arc<dyn Backend>,
    pub face: Face,
    pub records: Arc<Records>,
    runtime: Arc<dyn Spawner>,
}

impl Client {
    /// Opens an alias.
    pub fn new(entry: &Value, face: Face) -> Self {
        let document = json!({"CACHES": {"default": entry}}).to_string();
        let mut config = read(document.as_bytes(), &|_| None).unwrap();
        let Family::Redis(redis) = config.aliases.remove(0).family else { panic!("{document}") };
        let runtime: Arc<dyn Spawner> = Runtime::start();
        let records = Arc::new(Records::default());
        Self { cache: open(redis, runtime.clone(), records.clone()), face, records, runtime }
    }

    /// The same cache by the other face.
    pub fn by(&self, face: Face) -> Self {
        Self { cache: self.cache.clone(), face, records: self.records.clone(), runtime: self.runtime.clone() }
    }

    pub fn call(&self, request: &Request<'_>, limit: Duration) -> Result<Reply> {
        ask(&*self.cache, self.face, request, Budget::new(limit))
    }

    pub fn get_within(&self, key: &str, limit: Duration) -> Result<Option<Bytes>> {
        self.call(&Request::Get(&MadeKey::as_is(key)), limit).map(|reply| match reply {
            Reply::Value(value) => value.map(|value| value.bytes),
            other => panic!("{other:?}"),
        })
    }

    pub fn set_within(&self, key: &str, value: &str, limit: Duration) -> Result<()> {
        let key = MadeKey::as_is(key);
        let value = value.as_bytes().into();
        self.call(&Request::Set { key: &key, value, ttl: Ttl::Millis(600_000), when: When::Always }, limit).map(drop)
    }

    pub fn get(&self, key: &str) -> Option<String> {
        let found = self.get_within(key, LONG).unwrap_or_else(|error| panic!("{:?}: {error}", self.face));
        found.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub fn set(&self, key: &str, value: &str) {
        self.set_within(key, value, LONG).unwrap_or_else(|error| panic!("{:?}: {error}", self.face));
    }

    /// The error of a read.
    pub fn fails(&self, limit: Duration) -> Error {
        self.get_within("k", limit).unwrap_err()
    }

    /// Waits until a read shows a value: what was written has to come to the replicas first.
    pub fn sees(&self, key: &str, value: &str) {
        crate::common::sentinels::wait(&format!("{key} is {value}"), || self.get(key).as_deref() == Some(value));
    }
}

/// Time enough.
pub const LONG: Duration = Duration::from_secs(20);
