//! Which server a key belongs to: the real Python clients and larder agree on 10,000 keys over 1, 2, 3 and 7 servers
//! (M-4, M-5), with every choice that `behaviors` can ask for.
#![cfg(feature = "memcached")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::python;
use common::random::Random;
use larder::backend::memcached::Chooser;
use larder::config::{self, Family, Memcached};
use larder::key::MadeKey;
use serde_json::{Value, json};

const KEYS: usize = 10_000;

/// Both clients.
struct Clients(Child);

impl Clients {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server_choice/choose.py");
        let mut command = Command::new(python::interpreter());
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.env("PYTHONUTF8", "1").spawn().unwrap())
    }

    fn choose(&mut self, client: &str, servers: &[String], options: &Value, keys: &[String]) -> Vec<usize> {
        let request = json!({"client": client, "servers": servers, "options": options, "keys": keys});
        writeln!(self.0.stdin.as_mut().unwrap(), "{request}").unwrap();
        let mut line = String::new();
        let mut answers = BufReader::new(self.0.stdout.as_mut().unwrap());
        answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{client} {servers:?} {options}: Python needs pymemcache and pylibmc"))
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        drop(self.0.stdin.take()); // the script ends when nothing more can come
        let _ = self.0.wait();
    }
}

fn settings(client: &str, servers: &[String], options: &Value) -> Memcached {
    let class = if client == "pymemcache" { "PyMemcacheCache" } else { "PyLibMCCache" };
    let backend = format!("django.core.cache.backends.memcached.{class}");
    let document = json!({"CACHES": {"default": {"BACKEND": backend, "LOCATION": servers, "OPTIONS": options}}});
    match config::read(document.to_string().as_bytes(), &|_| None).unwrap().aliases.remove(0).family {
        Family::Memcached(memcached) => memcached,
        other => panic!("{document}: {other:?}"),
    }
}

/// Keys as applications have them: short and long, with letters from everywhere.
fn keys() -> Vec<String> {
    let mut random = Random(20_260_101);
    let letters: Vec<char> =
        "abcdefghijklmnopqrstuvwxyz0123456789:._-%/äßéñçøłжщ日本語中文한글😀🫠\u{a0}".chars().collect();
    (0..KEYS)
        .map(|number| {
            let length = if number % 50 == 0 { 60 } else { random.below(24) };
            let only_ascii = number % 3 != 0;
            let usable = if only_ascii { 42 } else { letters.len() };
            let tail: String = (0..length).map(|_| letters[random.below(usable)]).collect();
            format!(":{}:{number}{tail}", 1 + number % 3)
        })
        .collect()
}

fn agree(clients: &mut Clients, client: &str, servers: &[String], options: &Value, keys: &[String]) -> Vec<usize> {
    let theirs = clients.choose(client, servers, options, keys);
    let config = settings(client, servers, options);
    let chooser = Chooser::new(&config);
    let mut counts = vec![0; servers.len()];
    for (key, theirs) in keys.iter().zip(&theirs) {
        let made = MadeKey::as_is(key);
        let ours = chooser.server_of(&made).unwrap();
        assert_eq!(ours, Some(*theirs), "{client} {options} {servers:?}: {key}");
        counts[*theirs] += 1;
    }
    assert_eq!(theirs.len(), keys.len());
    counts
}

fn servers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("10.1.0.{number}:{}", 11_211 + number % 2)).collect()
}

#[test]
fn both_clients_and_larder_choose_the_same_servers() {
    let (mut clients, keys) = (Clients::start(), keys());
    for client in ["pymemcache", "pylibmc"] {
        for count in [1, 2, 3, 7] {
            let counts = agree(&mut clients, client, &servers(count), &json!({}), &keys);
            assert!(counts.iter().all(|keys| *keys > KEYS / count / 2), "{counts:?}");
        }
    }
}

#[test]
fn names_count_as_they_are_written() {
    let (mut clients, keys) = (Clients::start(), keys());
    let names = |all: &[&str]| -> Vec<String> { all.iter().map(|name| (*name).to_owned()).collect() };
    let keys = &keys[..2000];
    for location in [
        names(&["cache-a", "cache-b:11211", "cache-b:11212"]),
        names(&["[::1]:11211", "[fe80::1]:5", "127.0.0.1"]),
        names(&["unix:/run/one.sock", "/run/two.sock"]),
        names(&["b:1", "a:1", "a:1", "c:1"]),
    ] {
        agree(&mut clients, "pymemcache", &location, &json!({}), keys);
        agree(&mut clients, "pylibmc", &location, &json!({}), keys);
        agree(&mut clients, "pylibmc", &location, &json!({"behaviors": {"ketama": 1}}), keys);
        agree(&mut clients, "pylibmc", &location, &json!({"behaviors": {"ketama_weighted": 1}}), keys);
    }
    agree(&mut clients, "pymemcache", &servers(3), &json!({"key_prefix": "app:"}), keys);
}

#[test]
fn every_behavior_that_chooses_is_libmemcached_s() {
    let (mut clients, keys) = (Clients::start(), keys());
    let keys = &keys[..3000];
    for behaviors in [
        json!({"ketama": true}),
        json!({"ketama": 1, "hash": "md5"}),
        json!({"ketama_weighted": 1}),
        json!({"ketama_weighted": 0}),
        json!({"ketama_weighted": 1, "hash": "crc"}),
        json!({"ketama_hash": "crc", "ketama": 1}),
        json!({"distribution": "consistent"}),
        json!({"distribution": "consistent ketama", "hash": "fnv1a_32"}),
        json!({"distribution": "consistent weighted"}),
        json!({"distribution": "consistent ketama spy"}),
        json!({"distribution": "consistent ketama spy", "ketama_weighted": 1}),
        json!({"distribution": "consistent", "ketama_weighted": 1}),
        json!({"distribution": "modula", "hash": "md5"}),
        json!({"hash": "crc"}),
        json!({"hash": "fnv1_32"}),
        json!({"hash": "fnv1a_32"}),
        json!({"hash": "fnv1_64"}),
        json!({"hash": "fnv1a_64"}),
        json!({"namespace": "app:"}),
        json!({"namespace": "app:", "_hash_with_prefix_key": 1}),
    ] {
        let options = json!({"behaviors": behaviors});
        for count in [1, 2, 3, 7] {
            agree(&mut clients, "pylibmc", &servers(count), &options, keys);
        }
        let weights = ["10.0.0.1:11211:3", "10.0.0.2:5:1", "10.0.0.3:11211:10", "10.0.0.4:11212:2"].map(str::to_owned);
        agree(&mut clients, "pylibmc", &weights, &options, keys);
    }
}
