//! What a store has seen: each number after known operations on memory, files and Redis, by both faces; from many threads;
//! and as Prometheus reads it.
#![cfg(all(feature = "redis", feature = "file", feature = "memory"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;
#[path = "redis_clients/store.rs"]
#[allow(dead_code, reason = "this test program takes what it needs")]
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::client::{Call as CCall, Context, Input as CInput, Store as CStore, Ttl as CTtl, alone};
use common::flight::{FACES, Face};
use common::python::Partner;
use common::redis::RedisServer;
use larder::backend::When;
use larder::capi::status::{LARDER_ECONNECTION, LARDER_EINVAL, LARDER_ETIMEOUT, LARDER_MISS, LARDER_OK};
use larder::codec::Input;
use larder::error::Kind;
use larder::store::{Asked, Call, Stats};
use larder::timeout::{Ttl, TtlChoice};
use serde_json::{Value as Json, json};
use store::{Client, millis};

const ALIASES: [&str; 3] = ["memory", "file", "redis"];
const FOREVER: TtlChoice = TtlChoice::Of(Ttl::Forever);

/// A folder of a test's own, removed when dropped.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("larder-statistics-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn document(folder: &Folder, url: &str) -> String {
    json!({"CACHES": {
        "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": folder.0,
                   "OPTIONS": {"MAX_ENTRIES": 1_000_000}},
        "file": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": folder.0,
                 "OPTIONS": {"MAX_ENTRIES": 1_000_000}},
        "redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url},
        "down": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://:secret@127.0.0.1:1/0",
                 "OPTIONS": {"IGNORE_EXCEPTIONS": true}},
    }})
    .to_string()
}

/// What has changed, without what did not fail.
fn difference(after: Stats, before: Stats) -> Stats {
    Stats {
        hits: after.hits - before.hits,
        misses: after.misses - before.misses,
        failures: after.failures - before.failures,
        timeouts: after.timeouts - before.timeouts,
        ignored: after.ignored - before.ignored,
        sets: after.sets - before.sets,
        deletes: after.deletes - before.deletes,
        stale: after.stale - before.stale,
        skipped: after.skipped - before.skipped,
        bytes_read: after.bytes_read - before.bytes_read,
        bytes_written: after.bytes_written - before.bytes_written,
        near_hits: after.near_hits - before.near_hits,
        loads: after.loads - before.loads,
        shared_loads: after.shared_loads - before.shared_loads,
        errors: std::array::from_fn(|kind| after.errors[kind] - before.errors[kind]),
    }
}

/// The client, and what it has seen up to now.
struct Seen<'a>(&'a Client, Stats, &'a str);

impl Seen<'_> {
    #[track_caller]
    fn has(&mut self, what: &str, wanted: Stats) {
        let now = self.0.store.stats();
        assert_eq!(difference(now, self.1), wanted, "{what} on {}", self.2);
        self.1 = now;
    }
}

#[test]
fn known_operations() {
    let (server, folder) = (RedisServer::start(), Folder::new());
    let document = document(&folder, &server.url(0));
    for (alias, face) in ALIASES.iter().flat_map(|alias| FACES.map(|face| (*alias, face))) {
        let client = Client::of(&document, alias, face);
        client.store.clear(larder::store::Scope::Everything, &Call::default()).unwrap();
        let mut seen = Seen(&client, client.store.stats(), alias);
        let none = Stats::default();
        // a pickled text of 100 characters, and what is around it
        let value = Input::Bytes(&[7; 100]);
        client.write("a", value, FOREVER, When::Always).unwrap();
        let size = seen.0.store.get("a", &Call::default()).unwrap().unwrap().stored().bytes.len() as u64;
        assert!((100..130).contains(&size));
        seen.has("set and get", Stats { sets: 1, hits: 1, bytes_written: size, bytes_read: size, ..none });
        client.write("a", value, FOREVER, When::Missing).unwrap();
        seen.has("add over a value", Stats { bytes_written: size, ..none });
        client.write("b", value, FOREVER, When::Missing).unwrap();
        seen.has("add", Stats { sets: 1, bytes_written: size, ..none });
        assert!(client.get("b").unwrap().is_some() && client.get("none").unwrap().is_none());
        seen.has("get twice", Stats { hits: 1, misses: 1, bytes_read: size, ..none });
        let many = client.store.get_many(&["a", "none", "b"], &Call::default()).unwrap();
        assert_eq!(many.iter().flatten().count(), 2);
        seen.has("get_many", Stats { hits: 2, misses: 1, bytes_read: 2 * size, ..none });
        client.store.set_many(&[("c", value), ("d", value)], FOREVER, &Call::default()).unwrap();
        seen.has("set_many", Stats { sets: 2, bytes_written: 2 * size, ..none });
        let mut taken = 0;
        assert!(client.store.read("c", &Call::default(), &mut |shown| taken = shown.shown.len()).unwrap());
        assert_eq!(taken, 100);
        seen.has("read", Stats { hits: 1, bytes_read: size, ..none });
        assert!(client.delete("a").unwrap() && !client.delete("a").unwrap());
        assert_eq!(client.store.delete_many(&["b", "none", "c"], &Call::default()).unwrap(), 2);
        seen.has("delete and delete_many", Stats { deletes: 3, ..none });
        client.touch("d", millis(60_000)).unwrap();
        client.has("d").unwrap();
        client.persist("d").unwrap();
        seen.has("what counts nothing", none);
        assert!(client.incr("d", 1).is_err());
        let errors = seen.0.store.stats().errors;
        assert_eq!(errors.iter().sum::<u64>(), 1, "{alias}: {errors:?}");
        client.store.count_skipped();
        client.store.count_load(false);
        client.store.count_load(true);
        client.store.count_load(true);
        client.store.count_stale(2);
        let after = difference(client.store.stats(), seen.1);
        assert_eq!((after.skipped, after.loads, after.shared_loads), (1, 1, 2));
        assert_eq!((after.near_hits, after.hits, after.stale), (0, 0, 2));
        let times = client.store.latencies();
        let all = 13; // the asynchronous half of these is timed by who begins them
        let wanted = if *alias == *"memory" { 1..=3 } else { all..=20 };
        assert!(face == Face::Asynchronous || wanted.contains(&times.count()), "{alias}: {}", times.count());
        assert!(times.quantile(500) > 0 && times.quantile(500) <= times.quantile(999));
        assert!(times.quantile(999) <= times.max() && times.max() <= times.sum());
    }
}

#[test]
fn hidden_failures_count_by_kind() {
    let folder = Folder::new();
    alone(|| {
        let context = Context::open(&document(&folder, "redis://127.0.0.1:1/0")).unwrap();
        let store = context.store("down").unwrap();
        for _ in 0..3 {
            store.get_status("k", CCall::default()).unwrap();
        }
        let refused = store.expire("k", CTtl::Millis(1), CCall::default()).unwrap_err();
        assert_eq!(refused.status, LARDER_ECONNECTION);
        let stats = store.stats();
        assert_eq!((stats.failures, stats.ignored, stats.timeouts, stats.misses, stats.hits), (4, 3, 0, 0, 0));
        assert_eq!((store.errors(LARDER_ECONNECTION), store.errors(LARDER_ETIMEOUT)), (Ok(4), Ok(0)));
        assert!(stats.latency_count == 4 && stats.latency_max_ns > 0 && stats.connect_failures > 0);
        for status in [LARDER_OK, LARDER_MISS, -19, i32::MIN, i32::MAX] {
            assert_eq!(store.errors(status).unwrap_err().status, LARDER_EINVAL);
        }
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), place, "{}", kind.name());
            assert!(store.errors(larder::capi::status::of(kind)).is_ok());
        }
        let text = context.prometheus();
        assert!(text.contains("\nlarder_errors_total{alias=\"down\",kind=\"connection\"} 4\n"), "{text}");
        assert!(text.contains("\nlarder_ignored_failures_total{alias=\"down\"} 3\n"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    });
}

#[test]
fn a_broken_file_is_an_error_of_its_kind() {
    let folder = Folder::new();
    let client = Client::of(&document(&folder, "redis://127.0.0.1:1/0"), "file", Face::Synchronous);
    client.write("k", Input::Text("x"), FOREVER, When::Always).unwrap();
    let name = std::fs::read_dir(&folder.0).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(&name).unwrap();
    std::fs::create_dir(&name).unwrap(); // nothing that could be read
    let error = client.get("k").err().expect("a folder is no file");
    let stats = client.store.stats();
    assert_eq!((stats.errors[error.kind().index()], stats.failures, stats.misses), (1, 1, 0));
}

#[test]
fn times_are_measured_where_something_waits() {
    let (server, folder) = (RedisServer::start(), Folder::new());
    let document = document(&folder, &server.url(0));
    for (alias, wanted) in [("memory", 8), ("file", 2000), ("redis", 2000)] {
        let client = Client::of(&document, alias, Face::Synchronous);
        // on a thread of its own, which begins with the first of a sample
        std::thread::scope(|scope| {
            scope.spawn(|| (0..2000).for_each(|_| assert!(client.get("none").unwrap().is_none())));
        });
        assert_eq!(client.store.latencies().count(), wanted, "{alias}");
        assert!(client.store.latencies().max() < 60_000_000_000);
        let measured = client.store.begins(Asked::Get, None).is_some();
        assert!(measured || alias == "memory");
        assert!(client.store.begins(Asked::Lock, None).is_none());
    }
    let client = Client::of(&document, "redis", Face::Synchronous);
    client.store.took(Duration::from_secs(2));
    let times = client.store.latencies();
    assert_eq!((times.count(), times.max(), times.sum()), (1, 2_000_000_000, 2_000_000_000));
    assert!(times.quantile(500).abs_diff(2_000_000_000) <= 125_000_000);
}

/// Threads that read, write and remove; every one of them is in the sums at the end, and each sum on the way is between.
#[test]
fn many_threads() {
    const THREADS: u64 = 40;
    const ROUNDS: u64 = 2000;
    let folder = Folder::new();
    alone(|| {
        let context = Context::open(&document(&folder, "redis://127.0.0.1:1/0")).unwrap();
        let store = context.store("memory").unwrap();
        let work = |thread: u64| {
            let key = format!("key {thread}");
            let value = CInput::Bytes(&[1; 10]);
            for _ in 0..ROUNDS {
                store.set(&key, value, CTtl::Forever, CCall::default()).unwrap();
                assert!(store.get(&key, CCall::default()).unwrap().is_some());
                store.delete(&key, CCall::default()).unwrap();
                assert!(store.get(&key, CCall::default()).unwrap().is_none());
            }
        };
        std::thread::scope(|scope| {
            (0..THREADS).for_each(|thread| drop(scope.spawn(move || work(thread))));
            let mut last = 0;
            for _ in 0..100 {
                let stats = store.stats();
                assert!(stats.hits >= last && stats.hits <= THREADS * ROUNDS);
                last = stats.hits;
            }
        });
        let (stats, all) = (store.stats(), THREADS * ROUNDS);
        assert_eq!((stats.hits, stats.misses, stats.sets, stats.deletes, stats.failures), (all, all, all, all, 0));
        assert!(stats.bytes_read == stats.bytes_written && stats.bytes_read % all == 0 && stats.bytes_read > 10 * all);
        assert!(stats.latency_count > 0 && stats.latency_count < all / 10);
    });
}

/// A text for Prometheus, taken apart as strictly as its documentation asks for.
struct Told {
    types: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Told {
    fn read(text: &str) -> Self {
        let mut told = Self { types: BTreeMap::new(), samples: BTreeMap::new() };
        assert!(text.ends_with('\n') && !text.contains("\n\n") && !text.contains('\r'));
        let (mut current, mut helps) = (String::new(), BTreeSet::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(helps.insert(name) && !help.is_empty(), "{line}");
                name.clone_into(&mut current);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, current, "TYPE comes behind HELP");
                assert!(told.types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else {
                told.sample(line, &current);
            }
        }
        told
    }

    fn sample(&mut self, line: &str, current: &str) {
        let (series, number) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && name.starts_with("larder_"));
        let kind = self.types[current].as_str();
        let end = name.strip_prefix(current).expect("the samples of a metric stand together");
        match kind {
            "counter" => assert!(end.is_empty() && name.ends_with("_total"), "{line}"),
            "gauge" => assert!(end.is_empty() && !name.ends_with("_total"), "{line}"),
            "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&end), "{line}"),
            other => panic!("{other}"),
        }
        if let Some(labels) = series.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            let inside = labels.strip_prefix('{').and_then(|labels| labels.strip_suffix("\"}")).unwrap();
            assert!(inside.split("\",").all(|label| label.contains("=\"")), "{line}");
        }
        assert!(self.samples.insert(series.to_owned(), number.parse().unwrap()).is_none(), "{line} comes twice");
    }

    fn number(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("{series} is not told"))
    }
}

/// What the histogram of an alias tells.
fn is_a_histogram(told: &Told, alias: &str) {
    let buckets = told.samples.iter().filter_map(|(series, number)| {
        let labels = series.strip_prefix("larder_operation_seconds_bucket{")?;
        let bound = labels.strip_prefix(&format!("alias=\"{alias}\",le=\""))?.strip_suffix("\"}")?;
        Some((if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() }, *number))
    });
    let mut buckets: Vec<(f64, f64)> = buckets.collect();
    buckets.sort_by(|one, other| one.partial_cmp(other).unwrap());
    assert_eq!(buckets.len(), 16);
    assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{buckets:?}");
    let count = told.number(&format!("larder_operation_seconds_count{{alias=\"{alias}\"}}"));
    assert!(same(buckets.last().unwrap().1, count) && count > 0.0);
    assert!(told.number(&format!("larder_operation_seconds_sum{{alias=\"{alias}\"}}")) > 0.0);
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < 0.5
}

#[test]
fn prometheus_reads_it() {
    const ODD: &str = "odd \"alias\" \\ with\nall é";
    let (server, folder) = (RedisServer::with_password("secret"), Folder::new());
    let mut document: Json = serde_json::from_str(&document(&folder, &server.url(0))).unwrap();
    document["CACHES"][ODD] = json!({"BACKEND": "django.core.cache.backends.dummy.DummyCache"});
    alone(|| {
        let context = Context::open(&document.to_string()).unwrap();
        assert_eq!(context.prometheus(), "");
        let open = |alias: &str| context.store(alias).unwrap();
        let stores: Vec<CStore> = ALIASES.iter().map(|alias| open(alias)).collect();
        let (twin, odd) = (open("redis"), open(ODD));
        for store in stores.iter().chain([&twin]) {
            store.set("k", CInput::Text("v"), CTtl::Default, CCall::default()).unwrap();
            assert!(store.get("k", CCall::default()).unwrap().is_some());
        }
        assert!(odd.get("k", CCall::default()).unwrap().is_none());
        let text = context.prometheus();
        assert!(!text.contains("secret"), "{text}");
        let told = Told::read(&text);
        assert!(same(told.number("larder_hits_total{alias=\"memory\"}"), 1.0));
        assert!(same(told.number("larder_hits_total{alias=\"redis\"}"), 2.0), "two stores of one alias are added up");
        assert!(same(told.number("larder_misses_total{alias=\"odd \\\"alias\\\" \\\\ with\\nall é\"}"), 1.0));
        let server = format!("{{alias=\"redis\",server=\"redis://127.0.0.1:{}/0\"}}", server.port());
        assert!(same(told.number(&format!("larder_connections{server}")), 2.0));
        assert!(same(told.number(&format!("larder_breaker_open{server}")), 0.0));
        for alias in ALIASES {
            is_a_histogram(&told, alias);
        }
        // what a store has counted stays when it is closed
        drop(twin);
        let after = Told::read(&context.prometheus());
        assert!(same(after.number("larder_hits_total{alias=\"redis\"}"), 2.0));
        assert!(same(after.number("larder_stores{alias=\"redis\"}"), 1.0));
        assert!(same(after.number(&format!("larder_connections{server}")), 1.0));
        is_read_by_its_own_parser(&text, &told);
        drop((stores, odd));
        assert!(same(Told::read(&context.prometheus()).number("larder_hits_total{alias=\"redis\"}"), 2.0));
    });
}

/// The parser of Prometheus's Python client reads the same from it.
fn is_read_by_its_own_parser(text: &str, told: &Told) {
    let mut python = Partner::start("statistics.py");
    let families = python.must("read", json!({"text": text}));
    let families = families.as_array().unwrap();
    assert_eq!(families.len(), told.types.len());
    let mut count = 0;
    for family in families {
        let (name, kind) = (family[0].as_str().unwrap(), family[1].as_str().unwrap());
        let full = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert_eq!(told.types[&full], kind);
        count += family[3].as_array().unwrap().len();
    }
    assert_eq!(count, told.samples.len());
    let odd = families.iter().flat_map(|family| family[3].as_array().unwrap());
    assert!(odd.clone().any(|sample| sample[1]["alias"] == "odd \"alias\" \\ with\nall é"));
}
