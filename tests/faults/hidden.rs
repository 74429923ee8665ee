//! IGNORE_EXCEPTIONS while the network is down: failures are hidden (DR-15), where django-redis hides them (DR-16), and
//! still logged.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::backend::{Answer, Reply, Sink, Spawner, Ticket, When};
use larder::codec::Input;
use larder::error::{Error, Kind, Result};
use larder::log::{Level, Log};
use larder::store::{Call, Operation, Scope, Store, Surroundings};
use larder::timeout::TtlChoice;

use super::client::{Runtime, until};
use super::common::proxy::{Fault, Proxy};
use super::common::redis::RedisServer;
use super::scenario::WELL_WITHIN;

/// Keeps what is logged.
#[derive(Default)]
struct Kept(Mutex<Vec<(Level, String)>>);

impl Log for Kept {
    fn record(&self, level: Level, text: &fmt::Arguments<'_>) {
        self.0.lock().unwrap().push((level, text.to_string()));
    }
}

impl Kept {
    /// How many failures were hidden since the last time.
    fn hidden(&self) -> usize {
        let records = std::mem::take(&mut *self.0.lock().unwrap());
        for (_, text) in &records {
            assert!(!text.contains("s3cret") && !text.contains("the value"), "{text}");
        }
        let hidden = records.iter().filter(|(_, text)| text.contains("IGNORE_EXCEPTIONS"));
        hidden.inspect(|(level, text)| assert!(*level >= Level::Warning && text.contains("default"), "{text}")).count()
    }
}

fn open(port: u16, log: Arc<Kept>, runtime: Arc<dyn Spawner>) -> Store {
    let text = format!(
        r#"{{"CACHES": {{"default": {{"BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://:s3cret@127.0.0.1:{port}/1", "OPTIONS": {{"IGNORE_EXCEPTIONS": true}},
            "LARDER": {{"TIMEOUT_MS": 200}}}}}}}}"#
    );
    let config = larder::config::read(text.as_bytes(), &|_| None).unwrap();
    let around = Surroundings {
        plugins: std::sync::Arc::default(),
        tables: larder::backend::memory::Tables::shared(),
        spawner: runtime,
        log,
    };
    Store::open(config.aliases.into_iter().next().unwrap(), around).unwrap()
}

type Named = (&'static str, fn(&Store) -> Option<Error>);

fn call() -> Call<'static> {
    Call::default()
}

/// What django-redis hides the failure of.
const HIDDEN: [Named; 9] = [
    ("set", |store| store.set("k", INPUT, TtlChoice::Default, When::Always, &call()).err()),
    ("add", |store| store.set("k", INPUT, TtlChoice::Default, When::Missing, &call()).err()),
    ("get", |store| store.get("k", &call()).err()),
    ("delete", |store| store.delete("k", &call()).err()),
    ("has", |store| store.has("k", &call()).err()),
    ("get_many", |store| store.get_many(&["k", "l"], &call()).err()),
    ("incr", |store| store.incr("n", &larder::value::Number::Int(1.into()), &call()).err()),
    ("keys", |store| store.keys("*", 0, &call()).err()),
    ("clear", |store| store.clear(Scope::Prefix, &call()).err()),
];

/// What it does not (DR-16).
const SHOWN: [Named; 3] = [
    ("touch", |store| store.touch("k", TtlChoice::Default, &call()).err()),
    ("persist", |store| store.persist("k", &call()).err()),
    ("ttl", |store| store.ttl("k", &call()).err()),
];

const INPUT: Input<'_> = Input::Text("the value");

/// Where one answer arrives.
struct Arrived(std::sync::mpsc::Sender<Result<Reply>>);

impl Sink for Arrived {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        answers.drain(..).for_each(|(_, answer)| drop(self.0.send(answer)));
    }
}

/// The same on the asynchronous face.
fn later(store: &Arc<Store>, operation: &Operation<'_>) -> Option<Error> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let prepared = store.prepare(operation, &call()).unwrap();
    store.begin(&prepared, Ticket::new(Arc::new(Arrived(sender)), 1));
    let answer = receiver.recv_timeout(Duration::from_secs(30)).expect("no answer");
    store.conclude(prepared.asked, answer).err()
}

const LATER_HIDDEN: [Operation<'_>; 9] = [
    Operation::Set { key: "k", value: INPUT, ttl: TtlChoice::Default, when: When::Always },
    Operation::Set { key: "k", value: INPUT, ttl: TtlChoice::Default, when: When::Missing },
    Operation::Get { key: "k" },
    Operation::Delete { key: "k" },
    Operation::Has { key: "k" },
    Operation::GetMany { keys: &["k", "l"] },
    Operation::Incr { key: "n", delta: 1 },
    Operation::Keys { pattern: "*", at: 0 },
    Operation::Clear { scope: Scope::Prefix },
];
const LATER_SHOWN: [Operation<'_>; 3] = [
    Operation::Expire { key: "k", ttl: TtlChoice::Default },
    Operation::Persist { key: "k" },
    Operation::Ttl { key: "k" },
];

#[test]
fn ignored_exceptions_are_hidden_and_logged() {
    let server = RedisServer::with_password("s3cret");
    let proxy = Proxy::start(server.port());
    let (log, runtime) = (Arc::new(Kept::default()), Runtime::start());
    let store = Arc::new(open(proxy.port(), log.clone(), runtime.clone()));
    let get = Operation::Get { key: "k" };
    assert!(store.set("k", INPUT, TtlChoice::Default, When::Always, &call()).is_ok());
    assert!(later(&store, &get).is_none());
    for fault in [Fault::Reset, Fault::Refuse, Fault::BlackHole] {
        proxy.set(fault);
        // The first calls can still find a connection that is not cut yet.
        let felt = until(WELL_WITHIN, || store.get("k", &call()).is_err() && later(&store, &get).is_some());
        assert!(felt.is_some(), "{fault:?} is not felt");
        log.hidden();
        let check = |name: &str, error: Option<Error>, hidden: bool| {
            let error = error.expect("it fails");
            assert_eq!(error.is_hidden(), hidden, "{fault:?}: {name}: {error:?}");
            assert!(matches!(error.kind(), Kind::Connection | Kind::Timeout), "{fault:?}: {name}: {error:?}");
            assert_eq!(log.hidden(), usize::from(hidden), "{fault:?}: {name} is logged once if it is hidden");
        };
        for (operations, hidden) in [(HIDDEN.as_slice(), true), (SHOWN.as_slice(), false)] {
            for (name, operation) in operations {
                check(name, operation(&store), hidden);
            }
        }
        for (operations, hidden) in [(LATER_HIDDEN.as_slice(), true), (LATER_SHOWN.as_slice(), false)] {
            for operation in operations {
                check(&format!("{operation:?}, later"), later(&store, operation), hidden);
            }
        }
        proxy.set(Fault::None);
        let well = until(WELL_WITHIN, || store.get("k", &call()).is_ok() && later(&store, &get).is_none());
        assert!(well.is_some(), "{fault:?}: not well again: {:?}", later(&store, &get));
        log.hidden();
    }
    drop(store);
    runtime.end_at_once();
}
