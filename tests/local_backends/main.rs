//! The backends that live on this machine: memory (L), file (FB) and dummy, by the rules of the contract.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // helpers of tests may say plainly what must not happen
#![cfg(all(feature = "memory", feature = "file"))]

mod disk;
mod memory;
mod writers;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::backend::dummy::Dummy;
use larder::backend::file::File;
use larder::backend::memory::{Memory, Tables};
use larder::backend::{
    Answer, Backend, Capability, Counted, Entry, IncrBy, Reply, Request, Sink, Spawner, Ticket, Touched, When, Written,
};
use larder::config::Culling;
use larder::error::{Error, Kind, Result};
use larder::key::MadeKey;
use larder::timeout::{Budget, Ttl};
use larder::value::Limits;

const BUDGET: Budget = Budget::new(Duration::from_secs(5));
const LONG: Ttl = Ttl::Millis(1_000_000);
const SPENT: Ttl = Ttl::Millis(-1000);
const ROOMY: Culling = Culling { max_entries: 1_000_000, frequency: 3 };

/// Threads for the file backend.
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
        let path = std::env::temp_dir().join(format!("larder-local-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// A cache two levels below, which it has to make.
    fn cache(&self, culling: Culling) -> File {
        File::open(self.cache_path(), culling, Limits { bytes: 1 << 20, ..Limits::default() }, Arc::new(Threads))
    }

    fn cache_path(&self) -> PathBuf {
        self.0.join("a/cache")
    }

    fn names(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.cache_path()).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn memory(culling: Culling) -> Memory {
    Memory::open(&Arc::new(Tables::default()), "", culling)
}

fn key(name: &str) -> MadeKey {
    MadeKey::as_is(&format!(":1:{name}"))
}

/// Both backends that keep something.
fn each(mut test: impl FnMut(&dyn Backend)) {
    test(&memory(ROOMY));
    let folder = Folder::new();
    test(&folder.cache(ROOMY));
}

trait Short {
    fn put(&self, name: &str, value: &str, ttl: Ttl) -> Written;
    fn add(&self, name: &str, value: &str, ttl: Ttl) -> Written;
    fn read(&self, name: &str) -> Option<String>;
    fn there(&self, name: &str) -> bool;
    fn drop_key(&self, name: &str) -> bool;
    fn retime(&self, name: &str, ttl: Ttl) -> Touched;
}

impl<B: Backend + ?Sized> Short for B {
    fn put(&self, name: &str, value: &str, ttl: Ttl) -> Written {
        self.set(&key(name), value.as_bytes().into(), ttl, When::Always, BUDGET).unwrap()
    }

    fn add(&self, name: &str, value: &str, ttl: Ttl) -> Written {
        self.set(&key(name), value.as_bytes().into(), ttl, When::Missing, BUDGET).unwrap()
    }

    fn read(&self, name: &str) -> Option<String> {
        self.get(&key(name), BUDGET).unwrap().map(|value| String::from_utf8(value.bytes.to_vec()).unwrap())
    }

    fn there(&self, name: &str) -> bool {
        self.has(&key(name), BUDGET).unwrap()
    }

    fn drop_key(&self, name: &str) -> bool {
        self.delete(&key(name), BUDGET).unwrap()
    }

    fn retime(&self, name: &str, ttl: Ttl) -> Touched {
        self.touch(&key(name), ttl, BUDGET).unwrap()
    }
}

#[test]
fn set_get_add_delete() {
    each(|cache| {
        assert_eq!(cache.read("a"), None);
        assert_eq!(cache.put("a", "1", LONG), Written::Stored);
        assert_eq!(cache.read("a").unwrap(), "1");
        assert_eq!(cache.add("a", "2", LONG), Written::NotStored);
        assert_eq!(cache.put("a", "", Ttl::Forever), Written::Stored);
        assert_eq!(cache.read("a").unwrap(), "");
        assert!(cache.there("a"));
        assert!(cache.drop_key("a"));
        assert!(!cache.drop_key("a"));
        assert!(!cache.there("a"));
        assert_eq!(cache.add("a", "3", LONG), Written::Stored);
        let mut seen = Vec::new();
        assert!(cache.look(&key("a"), BUDGET, &mut |value| seen.extend_from_slice(value.bytes)).unwrap());
        assert_eq!(seen, b"3");
        assert!(!cache.look(&key("b"), BUDGET, &mut |_| panic!("there is none")).unwrap());
    });
}

#[test]
fn only_over_a_value() {
    each(|cache| {
        let set = |ttl| cache.set(&key("a"), b"new".into(), ttl, When::Present, BUDGET).unwrap();
        assert_eq!(set(LONG), Written::NotStored);
        cache.put("a", "old", SPENT);
        assert_eq!(set(LONG), Written::NotStored);
        assert_eq!(cache.read("a"), None);
        cache.put("a", "old", LONG);
        assert_eq!(set(LONG), Written::Stored);
        assert_eq!(cache.read("a").unwrap(), "new");
        assert_eq!(set(SPENT), Written::NotKept);
        assert_eq!(cache.read("a"), None);
    });
}

/// Table T, the columns of locmem and filebased; golden scenarios "timeout 0" and "timeout -1".
#[test]
fn a_spent_time_to_live() {
    each(|cache| {
        assert_eq!(cache.put("a", "v", SPENT), Written::NotKept);
        assert!(!cache.there("a"));
        cache.put("a", "old", LONG);
        assert_eq!(cache.put("a", "new", SPENT), Written::NotKept);
        assert_eq!(cache.read("a"), None);
        assert_eq!(cache.add("b", "v", SPENT), Written::NotKept);
        assert_eq!(cache.read("b"), None);
        cache.put("c", "old", LONG);
        assert_eq!(cache.add("c", "new", SPENT), Written::NotStored);
        assert_eq!(cache.read("c").unwrap(), "old");
        assert_eq!(cache.retime("c", SPENT), Touched::NotKept);
        assert_eq!(cache.read("c"), None);
        assert_eq!(cache.retime("zz", SPENT), Touched::Missing);
    });
}

/// Pitfall 22.
#[test]
fn an_expired_entry() {
    each(|cache| {
        cache.put("a", "v", SPENT);
        assert!(cache.drop_key("a"));
        cache.put("b", "v", SPENT);
        assert_eq!(cache.retime("b", LONG), Touched::Missing);
        assert_eq!(cache.read("b"), None);
        cache.put("c", "v", SPENT);
        assert_eq!(cache.ttl(&key("c"), BUDGET).unwrap(), None);
        assert_eq!(cache.add("c", "w", LONG), Written::Stored);
        assert_eq!(cache.read("c").unwrap(), "w");
    });
}

#[test]
fn times_to_live_in_milliseconds() {
    each(|cache| {
        cache.put("short", "v", Ttl::Millis(500));
        cache.put("touched", "v", LONG);
        cache.put("long", "v", Ttl::Millis(500));
        cache.put("kept", "v", Ttl::Millis(500));
        assert_eq!(cache.retime("touched", Ttl::Millis(500)), Touched::Changed);
        assert_eq!(cache.retime("long", LONG), Touched::Changed);
        assert_eq!(cache.persist(&key("kept"), BUDGET).unwrap(), Touched::Changed);
        assert_eq!(cache.persist(&key("none"), BUDGET).unwrap(), Touched::Missing);
        assert_eq!(cache.ttl(&key("kept"), BUDGET).unwrap(), Some(Ttl::Forever));
        assert_eq!(cache.ttl(&key("none"), BUDGET).unwrap(), None);
        let Some(Ttl::Millis(left)) = cache.ttl(&key("long"), BUDGET).unwrap() else { panic!("it expires") };
        assert!((990_000..=1_000_000).contains(&left), "{left}");
        let keys = ["long", "kept", "none"].map(key);
        let fetched = cache.fetch_many(&keys, BUDGET).unwrap();
        let lefts: Vec<_> = fetched.iter().map(|one| one.as_ref().map(|fetched| fetched.left)).collect();
        assert!(
            matches!(lefts[..], [Some(Some(Ttl::Millis(990_000..=1_000_000))), Some(Some(Ttl::Forever)), None]),
            "{lefts:?}"
        );
        for (key, fetched) in keys.iter().zip(fetched) {
            assert_eq!(fetched.map(|fetched| fetched.value), cache.get(key, BUDGET).unwrap());
        }
        assert!(cache.there("short"));
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(cache.read("short"), None);
        assert!(!cache.there("touched"));
        assert_eq!(cache.read("long").unwrap(), "v");
        assert_eq!(cache.read("kept").unwrap(), "v");
        cache.put("far", "v", Ttl::Millis(i64::MAX));
        assert_eq!(cache.read("far").unwrap(), "v");
        cache.put("gone", "v", Ttl::Millis(i64::MIN));
        assert_eq!(cache.read("gone"), None);
    });
}

#[test]
fn several_keys_at_once() {
    each(|cache| {
        let entries = ["a", "b"].map(|name| Entry { key: key(name), value: name.to_owned().into() });
        assert!(cache.set_many(&entries, LONG, BUDGET).unwrap().iter().all(Option::is_none));
        let found = cache.get_many(&["b", "x", "a"].map(key), BUDGET).unwrap();
        assert_eq!(found, [Some("b".into()), None, Some("a".into())]);
        assert_eq!(cache.delete_many(&["a", "x", "b"].map(key), BUDGET).unwrap(), 2);
        cache.ping(BUDGET).unwrap();
    });
}

/// Rule 1.11; golden answers of `dummy`.
#[test]
fn the_dummy_keeps_nothing() {
    let dummy = Dummy;
    assert_eq!(dummy.put("a", "v", LONG), Written::Stored);
    assert_eq!(dummy.put("a", "v", SPENT), Written::NotKept);
    assert_eq!(dummy.add("a", "v", LONG), Written::Stored);
    assert_eq!(dummy.add("a", "v", LONG), Written::Stored);
    assert_eq!(dummy.set(&key("a"), b"v".into(), LONG, When::Present, BUDGET).unwrap(), Written::NotStored);
    assert_eq!(dummy.read("a"), None);
    assert!(!dummy.there("a") && !dummy.drop_key("a"));
    assert_eq!(dummy.retime("a", LONG), Touched::Missing);
    assert_eq!(dummy.persist(&key("a"), BUDGET).unwrap(), Touched::Missing);
    assert_eq!(dummy.habits().incr, IncrBy::Server);
    assert_eq!(dummy.incr(&key("a"), 1, BUDGET).unwrap(), Counted::Missing);
    assert!(!dummy.update(&key("a"), &mut |_| panic!("there is none"), BUDGET).unwrap());
    assert_eq!(dummy.ttl(&key("a"), BUDGET).unwrap(), None);
    assert!(dummy.scan(b"*", 0, BUDGET).unwrap().keys.is_empty());
    assert!(!dummy.supports(Capability::Keeps) && dummy.supports(Capability::Scan), "lists nothing, but lists");
    dummy.clear(None, BUDGET).unwrap();
    dummy.clear(Some(b":1:"), BUDGET).unwrap();
    dummy.ping(BUDGET).unwrap();
}

struct Answers(Mutex<Sender<Answer>>);

impl Sink for Answers {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        let sender = self.0.lock().unwrap();
        answers.drain(..).for_each(|answer| sender.send(answer).unwrap());
    }
}

fn answers() -> (Arc<Answers>, Receiver<Answer>) {
    let (sender, receiver) = channel();
    (Arc::new(Answers(Mutex::new(sender))), receiver)
}

/// What is started on one alias takes effect, and is answered, in order.
#[test]
fn started_operations_keep_their_order() {
    each(|cache| {
        let (sink, received) = answers();
        let key = key("a");
        for number in 0..100 {
            let value = number.to_string();
            let set = Request::Set { key: &key, value: value.as_bytes().into(), ttl: LONG, when: When::Always };
            cache.start(set, BUDGET, Ticket::new(sink.clone(), number * 3));
            cache.start(Request::Get(&key), BUDGET, Ticket::new(sink.clone(), number * 3 + 1));
            cache.start(Request::Touch(&key, Ttl::Forever), BUDGET, Ticket::new(sink.clone(), number * 3 + 2));
        }
        for expected in 0..300 {
            let (tag, answer) = received.recv_timeout(Duration::from_secs(20)).unwrap();
            assert_eq!(tag, expected);
            match answer.unwrap() {
                Reply::Value(value) => assert_eq!(value.unwrap().bytes, (tag / 3).to_string()),
                Reply::Written(written) => assert_eq!(written, Written::Stored),
                Reply::Touched(touched) => assert_eq!(touched, Touched::Changed),
                other => panic!("{other:?}"),
            }
        }
    });
}

/// Hosts call from small stacks.
#[test]
fn a_stack_of_128_kib_is_enough() {
    let work = || {
        each(|cache| {
            let value = "larder ".repeat(20_000);
            cache.put("a", &value, LONG);
            assert_eq!(cache.read("a").unwrap(), value);
            assert_eq!(cache.retime("a", Ttl::Forever), Touched::Changed);
            assert_eq!(cache.add("a", "w", LONG), Written::NotStored);
            assert!(cache.drop_key("a"));
            cache.purge_expired(BUDGET).unwrap();
            cache.clear(None, BUDGET).unwrap();
        });
        let full = memory(Culling { max_entries: 5, frequency: 2 });
        for name in 0..20 {
            full.put(&name.to_string(), "v", LONG);
        }
    };
    std::thread::Builder::new().stack_size(128 << 10).spawn(work).unwrap().join().unwrap();
}
