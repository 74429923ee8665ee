//! Django processes and other stores on the same file.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use larder::backend::{Touched, Written};
use larder::store::{Call, Store};
use larder::timeout::TtlChoice;
use serde_json::{Value, json};

use super::common::python;
use super::common::random::Random;
use super::{LONG, Place, SPENT, Short};

/// Sets up Django; `cache` is the cache of the file. What follows is a test's own.
const SETTINGS: &str = r#"
import json, os, sys, time
import django
from django.conf import settings
document = json.loads(sys.argv[1])
settings.configure(CACHES=document["CACHES"], DATABASES=document["DATABASES"], USE_TZ=document.get("USE_TZ", True),
                   TIME_ZONE=document.get("TIME_ZONE", "UTC"))
# what a settings module does, and settings.configure does not: the process lives in TIME_ZONE
os.environ["TZ"] = settings.TIME_ZONE
time.tzset()
django.setup()
from django.core.cache import cache
"#;

fn python(document: &Value, script: &str) -> Child {
    let mut command = Command::new(python::interpreter());
    command.args(["-c", &format!("{SETTINGS}{script}"), &document.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn answer(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn django_makes_the_table_that_larder_would_make() {
    let (django, larder) = (Place::new(), Place::with_table("delete"));
    let make = "from django.core.management import call_command\ncall_command('createcachetable', verbosity=0)\n";
    answer(python(&django.document(&json!({})), make));
    let schema = |file: &Path| -> Vec<String> {
        let connection = rusqlite::Connection::open(file).unwrap();
        let mut statement =
            connection.prepare("SELECT sql FROM sqlite_master WHERE sql LIKE '%cache%' ORDER BY sql DESC").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(schema(&django.file()), schema(&larder.file())); // DB-3
    assert_eq!(schema(&django.file()).len(), 2);
    django.store().put("k", "v", LONG);
    let read = answer(python(&django.document(&json!({})), "print(cache.get('k'))\n"));
    assert_eq!(read.trim(), "v");
}

/// Neither side's writes are lost, and nobody fails, while both write all the time.
#[test]
fn a_django_process_and_larder_s_threads_write_at_once() {
    for mode in ["delete", "wal"] {
        let place = Place::with_table(mode);
        let mut document = place.document(&json!({"LARDER": {"TIMEOUT_MS": 60_000}}));
        let options = json!({"timeout": 60, "transaction_mode": "IMMEDIATE"});
        document["DATABASES"]["default"]["OPTIONS"] = options;
        let script = "for n in range(150):\n    cache.set(f'django-{n}', n)\n    cache.get(f'larder-0-{n}')\n";
        let writer = python(&document, script);
        let store = super::rust_store(&document.to_string(), "default");
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..100 {
                        store.put(&format!("larder-{thread}-{number}"), "v", LONG);
                        assert_eq!(store.read_text(&format!("larder-{thread}-{number}")).unwrap(), "v");
                    }
                });
            }
        });
        answer(writer);
        assert_eq!(place.count(), 450, "{mode}");
    }
}

/// A reader removes what is over, and never what a writer has just refreshed.
#[test]
fn a_row_that_was_refreshed_meanwhile_stays() {
    let place = Place::with_table("wal");
    let (store, other) = (place.store(), place.store());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                other.get("k", &Call::default()).unwrap();
                other.get_many(&["k", "x"], &Call::default()).unwrap();
            }
        });
        for round in 0..200 {
            store.put("k", "old", SPENT);
            store.put("k", &round.to_string(), LONG);
            assert_eq!(store.read_text("k").as_deref(), Some(round.to_string().as_str()));
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// Answers calls of the cache's methods, one line of JSON each.
const SERVE: &str = r"
for line in sys.stdin:
    method, *arguments = json.loads(line)
    print(json.dumps(getattr(cache, method)(*arguments)), flush=True)
";

/// One of those who use the file.
enum Actor {
    Larder(Box<Store>),
    Django(Child, BufReader<ChildStdout>),
}

/// What a call asks for: seconds to live are 1000, or −5 where it is to be over at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Set,
    Add,
    Touch,
    Delete,
    Has,
    Get,
}

impl Actor {
    fn ask(&mut self, call: &Value) -> Value {
        let Self::Django(child, answers) = self else { panic!("not Django") };
        writeln!(child.stdin.as_mut().unwrap(), "{call}").unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The answer, as Django gives it.
    fn call(&mut self, wish: Wish, key: &str, value: &str, live: bool) -> Value {
        let Self::Larder(store) = self else {
            let seconds = if live { 1000 } else { -5 };
            return self.ask(&match wish {
                Wish::Set => json!(["set", key, value, seconds]),
                Wish::Add => json!(["add", key, value, seconds]),
                Wish::Touch => json!(["touch", key, seconds]),
                Wish::Delete => json!(["delete", key]),
                Wish::Has => json!(["has_key", key]),
                Wish::Get => json!(["get", key]),
            });
        };
        let (ttl, call) = (if live { LONG } else { SPENT }, Call::default());
        match wish {
            Wish::Set => {
                store.put(key, value, ttl);
                Value::Null
            }
            Wish::Add => json!(store.add(key, value, ttl) != Written::NotStored),
            Wish::Touch => json!(store.touch(key, TtlChoice::Of(ttl), &call).unwrap() != Touched::Missing),
            Wish::Delete => json!(store.delete(key, &call).unwrap()),
            Wish::Has => json!(store.there(key)),
            Wish::Get => json!(store.read_text(key)),
        }
    }
}

/// A plain map that says what must come of a call: for each key its value, and whether that is still live.
#[derive(Default)]
struct Model(HashMap<String, (String, bool)>);

impl Model {
    fn call(&mut self, wish: Wish, key: &str, value: &str, live: bool) -> Value {
        let known = self.0.get(key).cloned();
        let is_live = known.as_ref().is_some_and(|(_, live)| *live);
        let mut keep = |value: &str| _ = self.0.insert(key.to_owned(), (value.to_owned(), live));
        match wish {
            Wish::Set => {
                keep(value);
                Value::Null
            }
            Wish::Add => {
                if !is_live {
                    keep(value);
                }
                json!(!is_live)
            }
            Wish::Touch => {
                if let Some((value, _)) = &known {
                    keep(value); // DB-10: also where it was over
                }
                json!(known.is_some())
            }
            Wish::Delete => json!(self.0.remove(key).is_some()),
            Wish::Has => json!(is_live),
            Wish::Get if is_live => json!(known.map(|(value, _)| value)),
            Wish::Get => {
                self.0.remove(key); // DB-7
                Value::Null
            }
        }
    }
}

/// Two larder stores and a Django process do the same things in turn on one file.
#[test]
fn two_stores_and_django_agree() {
    let all = [Wish::Set, Wish::Add, Wish::Touch, Wish::Delete, Wish::Has, Wish::Get];
    for (use_tz, zone, own_zone) in
        [(true, "UTC", None), (false, "America/Chicago", None), (true, "UTC", Some("Asia/Kolkata"))]
    {
        let place = Place::with_table("delete");
        let mut document = place.document(&json!({"KEY_PREFIX": "p"}));
        (document["USE_TZ"], document["TIME_ZONE"]) = (json!(use_tz), json!(zone));
        document["DATABASES"]["default"]["TIME_ZONE"] = json!(own_zone);
        let mut django = python(&document, SERVE);
        let answers = BufReader::new(django.stdout.take().unwrap());
        let store = || Actor::Larder(Box::new(super::rust_store(&document.to_string(), "default")));
        let mut actors = [store(), store(), Actor::Django(django, answers)];
        let (mut random, mut model) = (Random(7), Model::default());
        for round in 0..400 {
            let (actor, wish) = (random.below(3), all[random.below(6)]);
            let (key, value, live) = (format!("k{}", random.below(5)), round.to_string(), random.below(4) > 0);
            if wish == Wish::Has && actor == 2 && own_zone.is_some() {
                continue; // Django compares UTC with the database's own time here, which is its bug
            }
            let (answer, expected) =
                (actors[actor].call(wish, &key, &value, live), model.call(wish, &key, &value, live));
            assert_eq!(answer, expected, "{zone} {own_zone:?} round {round}: {wish:?} {key} by {actor}");
        }
        let [_, _, Actor::Django(mut django, _)] = actors else { panic!("Django is the last") };
        drop(django.stdin.take());
        assert!(django.wait().unwrap().success());
    }
}
