//! Configurations, commands and the server's content, as the golden data and the server have them.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;

use super::common::golden;
use super::common::redis::{RedisClient, RedisServer};

/// One of the two ways in which Python uses Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flavor {
    pub name: &'static str,
    pub backend: &'static str,
}

/// Core redis and django-redis.
pub fn flavors() -> [Flavor; 2] {
    [
        Flavor { name: "django", backend: "django.core.cache.backends.redis.RedisCache" },
        Flavor { name: "django_redis", backend: "django_redis.cache.RedisCache" },
    ]
}

pub fn flavor(name: &str) -> Flavor {
    flavors().into_iter().find(|flavor| flavor.name == name).unwrap_or_else(|| panic!("no flavor {name}"))
}

impl Flavor {
    /// A configuration with nothing special, or with a TIMEOUT.
    pub fn config(&self, server: &RedisServer, timeout: Option<&str>) -> String {
        let timeout = timeout.map_or_else(String::new, |timeout| format!(r#", "TIMEOUT": {timeout}"#));
        format!(r#"{{"default": {{"BACKEND": "{}", "LOCATION": "{}"{timeout}}}}}"#, self.backend, server.url(0))
    }
}

/// A configuration of the golden data.
pub fn config(data: &Value, name: &str, server: &RedisServer) -> String {
    let mut entry = golden::object(&data["configs"][name]).clone();
    entry.insert("LOCATION".into(), server.url(0).into());
    golden::write(&serde_json::json!({"CACHES": {"default": entry}}))
}

/// Commands of the golden data.
pub fn commands(data: &Value) -> Vec<Vec<Vec<u8>>> {
    let argument = |argument: &Value| match argument.get("b64") {
        Some(bytes) => golden::bytes(bytes),
        None => golden::text(argument).as_bytes().to_vec(),
    };
    golden::list(data).iter().map(|command| golden::list(command).iter().map(argument).collect()).collect()
}

/// What is left of a key's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pttl {
    Missing,
    Persistent,
    Expiring(i64),
}

impl Pttl {
    /// Its name in the golden data.
    pub fn class(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Persistent => "persistent",
            Self::Expiring(_) => "expiring",
        }
    }
}

/// Asks the server.
pub fn pttl(server: &RedisServer, key: &str) -> Pttl {
    let left = server.command(0, &[b"PTTL", key.as_bytes()]);
    match std::str::from_utf8(&left).unwrap().parse().unwrap() {
        -2 => Pttl::Missing,
        -1 => Pttl::Persistent,
        left => Pttl::Expiring(left),
    }
}

/// Keys and bytes of the golden data.
pub fn keys(data: &Value) -> BTreeMap<String, Vec<u8>> {
    golden::object(data).iter().map(|(key, raw)| (key.clone(), golden::bytes(raw))).collect()
}

/// All keys of the server (none has a space in it) and their bytes.
pub fn content(server: &RedisServer) -> BTreeMap<String, Vec<u8>> {
    let mut client = RedisClient::connect(server.port());
    let keys = String::from_utf8(client.command(&[b"KEYS", b"*"])).unwrap();
    keys.split_whitespace().map(|key| (key.to_owned(), client.command(&[b"GET", key.as_bytes()]))).collect()
}

/// A described value's JSON text, where JSON holds it exactly.
pub fn exact(described: &Value) -> Option<String> {
    if let Some(zipped) = described.get("json_zlib") {
        let mut json = String::new();
        flate2::read::ZlibDecoder::new(golden::bytes(zipped).as_slice()).read_to_string(&mut json).unwrap();
        return Some(json);
    }
    described["json"].as_str().map(str::to_owned)
}
