//! HerdClient: values with a soft deadline, as django-redis writes and reads them (DR-40 to DR-44).
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;
#[path = "redis_clients/store.rs"]
#[allow(dead_code)] // each test program uses its own part
mod store;

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use common::flight::{FACES, Face};
use common::python::Partner;
use common::redis::RedisServer;
use larder::backend::{Touched, When, Written};
use larder::codec::Input;
use larder::error::Kind;
use larder::store::Call;
use larder::timeout::{Ttl, TtlChoice};
use larder::value::Number;
use serde_json::{Value, json};
use store::{Client, millis};

/// CACHE_HERD_TIMEOUT.
const HERD: i64 = 60;
const FOREVER: TtlChoice = TtlChoice::Of(Ttl::Forever);
/// For PICKLE_VERSION.
const PROTOCOLS: [i64; 7] = [-1, 0, 1, 2, 3, 4, 5];
/// Values of partner.py that larder cannot write.
const ODD: [&str; 4] = ["date", "tuple", "class", "text in a list"];

/// A server, and both sides' clients of it.
struct World {
    python: Partner,
    document: String,
    /// The one that is called.
    alias: String,
    client: Client,
    server: RedisServer,
}

impl World {
    /// The alias `default`, and one for each protocol of pickles.
    fn new(options: &Value, herd: Option<i64>) -> Self {
        let server = RedisServer::start();
        let url = server.url(0);
        let alias = |more: &Value| {
            let mut all = json!({"CLIENT_CLASS": "django_redis.client.HerdClient"});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, "OPTIONS": all})
        };
        let mut caches = json!({"default": alias(options)});
        for protocol in PROTOCOLS {
            caches[format!("p{protocol}")] = alias(&json!({"PICKLE_VERSION": protocol}));
        }
        caches["pressed"] = alias(&json!({"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"}));
        let mut python = Partner::start("redis_clients/partner.py");
        python.must("setup", json!({"caches": caches, "herd_timeout": herd}));
        let mut document = json!({"CACHES": caches});
        if let Some(herd) = herd {
            document["CACHE_HERD_TIMEOUT"] = herd.into();
        }
        let document = document.to_string();
        let client = Client::open(&document, FACES[0]);
        Self { python, document, alias: "default".into(), client, server }
    }

    fn usual() -> Self {
        Self::new(&json!({}), None)
    }

    /// Goes on with another face, and with nothing in the server.
    fn begin(&mut self, face: Face) {
        self.begin_with("default", face);
    }

    /// The same with an alias.
    fn begin_with(&mut self, alias: &str, face: Face) {
        self.server.command(0, &[b"FLUSHALL"]);
        self.alias = alias.into();
        self.client = Client::of(&self.document, alias, face);
    }

    fn raw(&mut self, key: &str) -> Vec<u8> {
        let text = self.python.must("raw", json!({"alias": self.alias, "key": key}));
        base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap()
    }

    fn python(&mut self, method: &str, arguments: &Value) -> Value {
        self.python.call(&self.alias, method, arguments)
    }

    /// Calls a method while Python's clock stands still.
    fn frozen(&mut self, method: &str, arguments: &Value, now: i64) -> Value {
        let arguments = json!({"alias": self.alias, "method": method, "arguments": arguments, "now": now});
        self.python.must("frozen", arguments)
    }

    fn deadline(&mut self, key: &str) -> Option<i64> {
        self.python.must("deadline", json!({"alias": self.alias, "key": key})).as_i64()
    }

    /// Stores a value whose soft deadline was so many seconds ago.
    fn late(&mut self, key: &str, value: &Value, seconds: i64) {
        let deadline = now() - seconds;
        self.python.must("until", json!({"alias": self.alias, "key": key, "value": value, "deadline": deadline}));
    }

    fn odd(&mut self, key: &str, name: &str, timeout: Option<i64>) {
        let arguments = json!({"alias": self.alias, "key": key, "name": name, "timeout": timeout, "now": now()});
        self.python.must("odd", arguments);
    }

    fn is_odd(&mut self, key: &str, name: &str) -> bool {
        self.python.must("is_odd", json!({"alias": self.alias, "key": key, "name": name})).as_bool().unwrap()
    }

    /// What is left of a key in the server, in seconds; -1: for ever.
    fn left(&self, key: &str) -> i64 {
        let left = self.server.command(0, &[b"PTTL", format!(":1:{key}").as_bytes()]);
        let left: i64 = String::from_utf8(left).unwrap().parse().unwrap();
        if left < 0 { left } else { (left + 999) / 1000 }
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// Whether a time is what it was meant to be, on a machine that does much else.
fn about(seconds: i64, expected: i64) -> bool {
    (expected - 20..=expected).contains(&seconds)
}

const VALUES: [&str; 9] = [
    "\"v\"",
    "null",
    "true",
    "5",
    "1267650600228229401496703205376",
    "2.5",
    "[]",
    r#"{"a": [1, "a", {"b": null}]}"#,
    r#""\u65e5\u672c""#,
];

#[test]
fn what_is_written_is_what_python_writes() {
    let mut world = World::usual();
    for face in FACES {
        for protocol in PROTOCOLS {
            world.begin_with(&format!("p{protocol}"), face);
            for (number, text) in VALUES.iter().enumerate() {
                let value: Value = serde_json::from_str(text).unwrap();
                let key = format!("k{number}");
                match number % 3 {
                    0 => world.client.set(&key, text, millis(300_000)),
                    1 => {
                        let input = Input::Json(text.as_bytes());
                        let added = world.client.write(&key, input, millis(300_000), When::Missing).unwrap();
                        assert_eq!(added, Written::Stored);
                        let again = world.client.write(&key, input, millis(300_000), When::Missing).unwrap();
                        assert_eq!(again, Written::NotStored);
                    }
                    _ => {
                        let failures = world.client.set_many(&[(&key, text)], millis(300_000)).unwrap();
                        assert!(failures.iter().all(Option::is_none));
                    }
                }
                let deadline = world.deadline(&key).expect("a soft deadline");
                assert!(about(deadline - now(), 300), "{deadline}");
                assert!(about(world.left(&key), 300 + HERD), "{}", world.left(&key));
                if number != 4 {
                    // JSON numbers of that size are no ints for serde_json
                    world.frozen("set", &json!(["python", value, 300]), deadline - 300);
                    assert_eq!(world.raw(&key), world.raw("python"), "protocol {protocol}: {text}");
                }
                assert_eq!(world.client.json(&key).as_deref(), Some(*text));
                if number != 4 {
                    assert_eq!(world.python("get", &json!([key])), value);
                }
            }
            // LARDER_STORED and larder_value_stored: the bytes as they are
            let raw = world.raw("k0");
            assert_eq!(world.client.get("k0").unwrap().unwrap().stored().bytes, raw);
            let stored = world.client.write("copy", Input::Stored(&raw), millis(9_000), When::Always);
            assert_eq!((stored.unwrap(), world.raw("copy")), (Written::Stored, raw));
            assert!(about(world.left("copy"), 9));
        }
    }
}

#[test]
fn what_python_wrote_is_read() {
    let mut world = World::usual();
    for face in FACES {
        world.begin(face);
        for (number, text) in VALUES.iter().enumerate().filter(|(number, _)| *number != 4) {
            let value: Value = serde_json::from_str(text).unwrap();
            for (suffix, timeout) in [("t", json!(300)), ("f", json!(0.5)), ("n", Value::Null)] {
                let key = format!("{suffix}{number}");
                world.python("set", &json!([key, value, timeout]));
                assert_eq!(world.client.json(&key).as_deref(), Some(*text), "{timeout}");
            }
        }
        for name in ODD {
            world.odd(name, name, Some(300));
            assert!(world.client.get(name).unwrap().unwrap().json().is_ok());
        }
        world.python("set", &json!(["text", "é"]));
        let mut shown = Vec::new();
        assert!(world.client.store.read("text", &Call::default(), &mut |text| shown = text.shown.to_vec()).unwrap());
        assert_eq!(shown, "é".as_bytes());
        assert_eq!(world.client.get("text").unwrap().unwrap().text().unwrap().shown, "é");
        world.python("set", &json!(["django.contrib.sessions.cacheabcdefgh", {"u": "1"}]));
        let session = world.client.session("abcdefgh").unwrap().unwrap();
        assert_eq!(session.item_text("u").unwrap().unwrap().shown, "1");
        world.python("set", &json!(["django.contrib.sessions.cachenonenone", null]));
        assert!(world.client.session("nonenone").unwrap().is_none());
    }
}

#[test]
fn times_that_have_no_end_or_are_over_are_as_without_a_herd() {
    let mut world = World::usual();
    for face in FACES {
        world.begin(face);
        let write =
            |world: &World, text: &str, ttl, when| world.client.write("k", Input::Text(text), ttl, when).unwrap();
        assert_eq!(write(&world, "v", FOREVER, When::Always), Written::Stored);
        assert_eq!((world.deadline("k"), world.left("k")), (None, -1));
        world.python("set", &json!(["python", "v", null]));
        assert_eq!(world.raw("k"), world.raw("python"));
        // the conditions count here …
        assert_eq!(world.client.write("none", Input::Text("v"), FOREVER, When::Present).unwrap(), Written::NotStored);
        assert_eq!(write(&world, "w", FOREVER, When::Missing), Written::NotStored);
        assert_eq!(world.client.ttl("k").unwrap(), Some(Ttl::Forever));
        world.client.write("k", Input::Text("v"), millis(0), When::Always).unwrap();
        assert!(!world.client.has("k").unwrap());
        // … and XX does not, where there is a soft deadline
        assert_eq!(write(&world, "x", millis(300_000), When::Present), Written::Stored);
        assert_eq!(world.client.json("k").as_deref(), Some("\"x\""));
        let left = world.client.ttl("k").unwrap();
        assert!(matches!(left, Some(Ttl::Millis(340_000..=360_000))), "{left:?}"); // as in Python, with the herd's time
        assert_eq!(world.python("ttl", &json!(["k"])).as_i64().map(|left| about(left, 360)), Some(true));
        assert_eq!(world.client.persist("k").unwrap(), Touched::Changed);
        assert!(world.deadline("k").is_some_and(|deadline| about(deadline - now(), 300)));
        assert!(world.client.delete("k").unwrap());
        // less than a second: Python has a deadline between two seconds, which passes at the same moment
        assert_eq!(write(&world, "v", millis(1_500), When::Always), Written::Stored);
        assert!(world.deadline("k").is_some_and(|deadline| (deadline - now()).abs() <= 1));
    }
}

#[test]
fn what_is_written_at_once_is_kept_as_long_as_the_longest() {
    let mut world = World::usual();
    for face in FACES {
        world.begin(face);
        for order in [["plain", "stored"], ["stored", "plain"]] {
            let stored = world.client.store.value_of(&Number::Int(7.into())).unwrap();
            let value = |key| if key == "plain" { Input::Text("v") } else { Input::Stored(stored.stored().bytes) };
            let failures = world.client.set_all(&order.map(|key| (key, value(key))), millis(300_000)).unwrap();
            assert!(failures.iter().all(Option::is_none));
            for key in order {
                let Some(Ttl::Millis(left)) = world.client.ttl(key).unwrap() else { panic!("{key}") };
                assert!(left > 300_000, "{order:?}: {key} has {left} ms");
            }
        }
        assert!(!world.client.store.has_incr());
    }
}

#[test]
fn late_readers_are_sent_away_by_chance() {
    const ROUNDS: u32 = 400;
    let mut world = World::usual();
    for face in FACES {
        world.begin(face);
        for late in [0, 15, 30, 45] {
            world.late("k", &json!("old"), late);
            let begin = now();
            let before = world.client.store.stats();
            let sent = (0..ROUNDS).filter(|_| world.client.json("k").is_none()).count();
            let after = world.client.store.stats();
            let away = u64::try_from(sent).unwrap();
            assert_eq!((after.misses - before.misses, after.hits - before.hits), (away, u64::from(ROUNDS) - away));
            // each of them is stale too, whoever took it
            assert!(late == 0 || after.stale - before.stale == u64::from(ROUNDS), "{late}: {}", after.stale);
            let sent = f64::from(u32::try_from(sent).unwrap());
            // (late + 1) of 60; further than six deviations comes once in 10^9 runs
            let took = f64::from(u32::try_from(now() - begin).unwrap()) + 1.0;
            let share = |late: f64| if late < 1.0 { 0.0 } else { ((late + 1.0) / 60.0).min(1.0) };
            let late = f64::from(i32::try_from(late).unwrap());
            let (least, most) = (share(late), share(late + took));
            let deviation = |share: f64| 6.0 * (f64::from(ROUNDS) * share * (1.0 - share)).sqrt();
            let range = f64::from(ROUNDS) * least - deviation(least)..=f64::from(ROUNDS) * most + deviation(most);
            assert!(range.contains(&sent), "{late} s late: {sent} not in {range:?}");
        }
        for late in [HERD, HERD + 1, 1_000_000] {
            world.late("k", &json!("old"), late);
            for _ in 0..20 {
                assert_eq!(world.client.json("k"), None);
                assert!(!world.client.store.read("k", &Call::default(), &mut |_| panic!("shown")).unwrap());
            }
            assert!(world.client.has("k").unwrap()); // as in Python
        }
        // present, and None (DR-43)
        world.python("set", &json!(["fresh", "new"]));
        let expected = [Some("null".to_owned()), None, Some("\"new\"".to_owned()), Some("null".to_owned())];
        assert_eq!(world.client.get_many(&["k", "none", "fresh", "k"]).unwrap(), expected);
        assert_eq!(world.python("get_many", &json!([["k", "none", "fresh"]])), json!({"k": null, "fresh": "new"}));
        world.late("django.contrib.sessions.cacheabcdefgh", &json!({}), HERD);
        assert!(world.client.session("abcdefgh").unwrap().is_none());
    }
    // without a time for the herd whoever comes late is sent
    let mut world = World::new(&json!({}), Some(0));
    world.late("k", &json!("old"), 1);
    assert_eq!(world.client.json("k"), None);
    world.client.set("k", "1", millis(300_000));
    assert!(about(world.left("k"), 300));
}

#[test]
fn a_touch_reads_and_writes() {
    let mut world = World::usual();
    for face in FACES {
        world.begin(face);
        for (number, text) in VALUES.iter().enumerate() {
            let key = format!("k{number}");
            for first in [millis(300_000), FOREVER] {
                world.client.set(&key, text, first);
                let touched = world.client.touch(&key, millis(900_000)).unwrap();
                if *text == "null" {
                    assert_eq!(touched, Touched::Missing); // as in Python
                    continue;
                }
                assert_eq!(touched, Touched::Changed);
                let deadline = world.deadline(&key).expect("a soft deadline");
                assert!(about(deadline - now(), 900) && about(world.left(&key), 900 + HERD));
                assert_eq!(world.client.json(&key).as_deref(), Some(*text));
                if number != 4 {
                    let value: Value = serde_json::from_str(text).unwrap();
                    world.frozen("set", &json!(["python", value, 900]), deadline - 900);
                    assert_eq!(world.raw(&key), world.raw("python"), "{text}");
                }
                assert_eq!(world.client.touch(&key, FOREVER).unwrap(), Touched::Changed);
                assert_eq!((world.deadline(&key), world.left(&key)), (None, -1));
                assert_eq!(world.client.json(&key).as_deref(), Some(*text));
                assert_eq!(world.client.touch(&key, millis(0)).unwrap(), Touched::NotKept);
                assert!(!world.client.has(&key).unwrap());
            }
        }
        assert_eq!(world.client.touch("none", millis(900_000)).unwrap(), Touched::Missing);
        world.late("k", &json!("old"), HERD);
        let (before, left) = (world.raw("k"), world.left("k"));
        assert_eq!(world.client.touch("k", millis(900_000)).unwrap(), Touched::Missing);
        assert_eq!(world.python("touch", &json!(["k", 900])), json!(false));
        assert_eq!((world.raw("k"), about(world.left("k"), left)), (before, true));
        // what cannot be decoded says so
        world.server.command(0, &[b"SET", b":1:broken", b"\x80\x04nonsense"]);
        assert_eq!(world.client.touch("broken", millis(900_000)).unwrap_err().kind(), Kind::Undecodable);
    }
}

#[test]
fn what_larder_cannot_write_keeps_its_bytes() {
    let mut world = World::usual();
    for face in FACES {
        for alias in PROTOCOLS.map(|protocol| format!("p{protocol}")).into_iter().chain(["pressed".to_owned()]) {
            world.begin_with(&alias, face);
            for name in ODD {
                world.odd(name, name, Some(300));
                assert_eq!(world.client.touch(name, millis(900_000)).unwrap(), Touched::Changed);
                assert!(world.deadline(name).is_some_and(|deadline| about(deadline - now(), 900)), "{name}");
                assert!(about(world.left(name), 900 + HERD) && world.is_odd(name, name));
                assert_eq!(world.client.touch(name, FOREVER).unwrap(), Touched::Changed);
                assert!(world.left(name) == -1 && world.is_odd(name, name), "{alias}: {name}");
                assert_eq!(world.client.touch(name, millis(900_000)).unwrap(), Touched::Changed);
                assert!(world.deadline(name).is_some_and(|deadline| about(deadline - now(), 900)), "{name}");
                // one without a deadline stays without
                world.odd(name, name, None);
                assert_eq!(world.client.touch(name, millis(900_000)).unwrap(), Touched::Changed);
                assert!(world.deadline(name).is_none() && about(world.left(name), 900) && world.is_odd(name, name));
                world.odd(name, name, Some(300));
                assert_eq!(world.client.incr_version(name, 1).unwrap(), Some(2));
                assert!(!world.client.has(name).unwrap());
                assert_eq!(world.python("decr_version", &json!([name, 1, 2])), json!(1));
                assert!(world.is_odd(name, name));
            }
        }
    }
}

#[test]
fn a_version_moves_as_in_python() {
    let mut world = World::usual();
    for face in FACES {
        world.begin(face);
        for (name, ttl) in [("k", Some(300)), ("f", None)] {
            let choice = ttl.map_or(FOREVER, |seconds: i64| millis(seconds * 1000));
            world.client.set(name, "[1]", choice);
            world.python("set", &json!([format!("python {name}"), [1], ttl]));
            assert_eq!(world.client.incr_version(name, 1).unwrap(), Some(2));
            assert_eq!(world.python("incr_version", &json!([format!("python {name}")])), json!(2));
            assert_eq!(
                (world.client.json(name), world.client.json_of_version(name, "2").as_deref()),
                (None, Some("[1]"))
            );
            let left = |key: &str| world.server.command(0, &[b"TTL", format!(":2:{key}").as_bytes()]);
            let number = |text: Vec<u8>| String::from_utf8(text).unwrap().parse::<i64>().unwrap();
            let (ours, theirs) = (number(left(name)), number(left(&format!("python {name}"))));
            assert!((ours - theirs).abs() <= 20 && (ours == -1) == (theirs == -1), "{ours} {theirs}");
        }
        world.client.set("none", "null", millis(300_000));
        world.late("late", &json!("old"), HERD);
        for key in ["none", "late", "nothing"] {
            assert_eq!(world.client.incr_version(key, 1).unwrap(), None, "{key}");
        }
        assert!(world.client.has("late").unwrap());
        world.client.set("n", "5", millis(300_000));
        let error = world.client.incr("n", 1).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains("HerdClient has no incr"), "{error}");
        let raised = world.python.ask("call", json!({"alias": "default", "method": "incr", "arguments": ["n"]}));
        assert!(raised.unwrap_err().starts_with("NotImplementedError"));
    }
}

/// Their soft deadlines are looked at, but not all are kept in memory as they are when they are unpacked.
#[test]
fn many_values_that_are_pressed_together_stay_so() {
    if !common::alone::alone("many_values_that_are_pressed_together_stay_so") {
        return;
    }
    let mut world = World::usual();
    world.begin_with("pressed", FACES[0]);
    let text = "x".repeat(8 << 20);
    world.client.write("k", Input::Text(&text), millis(300_000), When::Always).unwrap();
    let memory = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() >> 10
    };
    let before = memory();
    let values = world.client.values(&["k"; 32]);
    assert!(memory() < before + 64, "{} MiB more", memory() - before);
    for value in values {
        assert_eq!(value.unwrap().text().unwrap().shown, text);
    }
}

#[test]
fn a_removed_value_is_not_touched_back() {
    let world = World::usual();
    let key = "k";
    for _ in 0..300 {
        world.client.set(key, "[1]", millis(300_000));
        let removed = std::thread::scope(|threads| {
            let touch = threads.spawn(|| world.client.touch(key, millis(900_000)).unwrap());
            let removed = world.client.delete(key).unwrap();
            touch.join().unwrap();
            removed
        });
        assert!(removed && !world.client.has(key).unwrap()); // in Python the touch can write it again
    }
}

#[test]
fn a_server_that_is_away_is_told_or_ignored() {
    for ignored in [false, true] {
        let World { document, server, .. } = World::new(&json!({"IGNORE_EXCEPTIONS": ignored}), None);
        drop(server);
        for face in FACES {
            let client = Client::open(&document, face);
            for error in [
                client.get("k").err().unwrap(),
                client.touch("k", millis(300_000)).unwrap_err(), // not as other clients' (DR-16): its get is wrapped
                client.write("k", Input::Text("v"), millis(300_000), When::Always).unwrap_err(),
                client.get_many(&["k"]).unwrap_err(),
            ] {
                assert_eq!((error.kind(), error.is_hidden()), (Kind::Connection, ignored), "{error}");
            }
        }
    }
}
