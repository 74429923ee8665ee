//! diskcache's DjangoCache (contract 1.17): larder beside real Python processes on one directory.
#![cfg(all(feature = "diskcache", feature = "memory"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // helpers of tests may say plainly what must not happen

#[path = "../common/mod.rs"]
mod common;
mod fork;
mod hostile;
mod layout;
mod together;
mod values;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::python::Partner;
use larder::backend::Spawner;
use larder::backend::memory::Tables;
use larder::codec::Input;
use larder::error::{Error, Kind, Result};
use larder::log::Silent;
use larder::store::{Call, Store, Surroundings};
use larder::timeout::{Ttl, TtlChoice};
use serde_json::{Value, json};

const FOREVER: TtlChoice = TtlChoice::Of(Ttl::Forever);
const LONG: TtlChoice = TtlChoice::Of(Ttl::Millis(300_000));

/// Threads for what is begun.
struct Threads;

impl Spawner for Threads {
    fn spawn(&self, _task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()> {
        Err(Error::new(Kind::Shutdown, "no tasks here"))
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> Result<()> {
        std::thread::spawn(job);
        Ok(())
    }
}

/// A private folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("larder-diskcache-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn cache(&self) -> String {
        self.0.join("cache").to_str().unwrap().to_owned()
    }

    /// The alias over the cache here, with more settings.
    fn store(&self, more: &Value) -> Store {
        let mut entry = json!({"BACKEND": "diskcache.DjangoCache", "LOCATION": self.cache()});
        for (name, value) in more.as_object().unwrap() {
            entry[name] = value.clone();
        }
        let config = larder::config::read(json!({"default": entry}).to_string().as_bytes(), &|_| None).unwrap();
        let around = Surroundings {
            plugins: Arc::default(),
            tables: Arc::new(Tables::default()),
            spawner: Arc::new(Threads),
            log: Arc::new(Silent),
        };
        Store::open(config.aliases.into_iter().next().unwrap(), around).unwrap()
    }

    /// Python, with the same cache open.
    fn python(&self, params: &Value) -> Python {
        let mut partner = Partner::start("diskcache_backend/partner.py");
        partner.must("open_cache", json!({"directory": self.cache(), "params": params}));
        Python { partner, directory: self.cache() }
    }

    /// The files of large values.
    fn value_files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "val") {
                    found.push(path);
                }
            }
        }
        found
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A Python process and the directory of its cache.
struct Python {
    partner: Partner,
    directory: String,
}

impl Python {
    fn must(&mut self, function: &str, mut arguments: Value) -> Value {
        arguments["directory"] = self.directory.clone().into();
        self.partner.must(function, arguments)
    }

    fn call(&mut self, method: &str, arguments: &Value) -> Value {
        self.must("call", json!({"method": method, "arguments": arguments}))
    }

    fn get(&mut self, key: &str) -> Value {
        self.must("get", json!({"key": key}))
    }

    fn set(&mut self, key: &str, value: &str) {
        assert_eq!(self.must("set", json!({"key": key, "value": value})), true);
    }

    fn row(&mut self, key: &str) -> Value {
        self.must("row", json!({"key": format!(":1:{key}")}))
    }

    fn no_faults(&mut self) {
        assert_eq!(self.must("check", json!({})), json!([]));
    }
}

fn call() -> Call<'static> {
    Call::default()
}

fn set(store: &Store, key: &str, value: Input<'_>) {
    store.set(key, value, LONG, larder::backend::When::Always, &call()).unwrap();
}

fn json_of(store: &Store, key: &str) -> Option<String> {
    store.get(key, &call()).unwrap().map(|value| value.json().unwrap().shown.to_owned())
}
