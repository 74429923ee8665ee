//! Locks that are waited for without a thread: order, cancelling and shutting down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::backend::{Answer, Reply, Sink, When};
use larder::codec::Input as Stored;
use larder::error::{Kind, Result};
use larder::lock::Mutex;
use larder::runtime::{Polled, Queue, Runtime, Taken};
use larder::store::{Asked, Call as StoreCall, Operation, Outcome, Store, Surroundings};
use larder::timeout::{Budget, Ttl, TtlChoice};
use serde_json::json;

use super::common::redis::RedisServer;

const MINUTE: TtlChoice = TtlChoice::Of(Ttl::Millis(60_000));
const PATIENCE: Duration = Duration::from_secs(30);

struct Silence;

impl larder::log::Log for Silence {
    fn record(&self, _: larder::log::Level, _: &std::fmt::Arguments<'_>) {}
}

/// A store, and the queue where its answers come.
pub struct Later {
    store: Arc<Store>,
    runtime: Arc<Runtime>,
    queue: Arc<Queue<Asked>>,
    ended: Mutex<Vec<(u64, Asked, Result<Reply>)>>,
}

impl Later {
    /// On the server behind this port.
    pub fn open(port: u16) -> Self {
        let config = json!({"default": {
            "BACKEND": "django_redis.cache.RedisCache", "LOCATION": format!("redis://127.0.0.1:{port}/0"),
            "LARDER": {"BREAKER": false}}});
        let config = larder::config::read(config.to_string().as_bytes(), &|_| None).unwrap();
        let runtime = Runtime::new();
        let around = Surroundings {
            plugins: Arc::default(),
            tables: larder::backend::memory::Tables::shared(),
            spawner: runtime.clone(),
            log: Arc::new(Silence),
        };
        let store = Arc::new(Store::open(config.aliases.into_iter().next().unwrap(), around).unwrap());
        Self { store, runtime, queue: Queue::new(100), ended: Mutex::default() }
    }

    /// Begins an operation; its id.
    pub fn begin(&self, operation: &Operation<'_>, budget: Duration) -> u64 {
        let call = StoreCall { budget: Some(Budget::new(budget)), ..StoreCall::default() };
        let prepared = self.store.prepare(operation, &call).unwrap();
        let (id, ticket) = self.queue.accept(prepared.asked).unwrap();
        self.store.begin(&prepared, ticket);
        id
    }

    /// Begins to take a lock.
    pub fn lock(&self, key: &str, wait: Duration, budget: Duration) -> u64 {
        self.begin(&Operation::Lock { key, ttl: MINUTE, wait: Some(wait) }, budget)
    }

    /// Waits for an operation's end, whatever ends before it.
    pub fn end(&self, id: u64) -> Result<Outcome> {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut ended = self.ended.lock();
            if let Some(place) = ended.iter().position(|(one, ..)| *one == id) {
                let (_, asked, answer) = ended.remove(place);
                return self.store.conclude(asked, answer);
            }
            assert!(Instant::now() < end, "no answer");
            let mut taken = Taken::default();
            if self.queue.poll(10, Some(end), &mut taken) == Polled::Some {
                ended.extend(taken.events.into_iter().map(|event| (event.operation, event.payload, event.answer)));
            }
        }
    }

    /// The token of a lock that was begun; `None` while somebody else holds it.
    pub fn token(&self, id: u64) -> Result<Option<String>> {
        match self.end(id)? {
            Outcome::Locked(token) => Ok(token.map(|token| {
                let shown = token.text_or_bytes().unwrap();
                String::from_utf8(shown.shown.to_vec()).unwrap()
            })),
            _ => panic!("no lock"),
        }
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.runtime.stop(Instant::now() + PATIENCE);
    }
}

/// Waits until a key of the server is gone.
pub fn wait_until_free(server: &RedisServer, key: &str) {
    let end = Instant::now() + PATIENCE;
    while server.command(0, &[b"EXISTS", key.as_bytes()]) != b"0" {
        assert!(Instant::now() < end, "{key} is held by nobody");
        std::thread::sleep(Duration::from_millis(10));
    }
}

// More than the runtime has threads, and none of them keeps other operations on the key waiting.
#[test]
fn waiting_holds_nothing_up() {
    let server = RedisServer::start();
    let later = Later::open(server.port());
    let first = later.token(later.lock("one", Duration::ZERO, PATIENCE)).unwrap().unwrap();
    let waiting: Vec<u64> = (0..20).map(|_| later.lock("one", PATIENCE, PATIENCE)).collect();
    let has = later.begin(&Operation::Has { key: "one" }, PATIENCE);
    assert!(matches!(later.end(has), Ok(Outcome::Found(true))));
    assert!(later.ended.lock().is_empty(), "somebody has ended");
    let mut token = first;
    for _ in 0..waiting.len() {
        let unlock = later.begin(&Operation::Unlock { key: "one", token: token.as_bytes() }, PATIENCE);
        assert!(matches!(later.end(unlock), Ok(Outcome::Found(true))));
        let held = server.command(0, &[b"GET", b":1:one"]);
        if held.is_empty() {
            let end = Instant::now() + PATIENCE;
            while server.command(0, &[b"EXISTS", b":1:one"]) == b"0" {
                assert!(Instant::now() < end, "nobody takes it");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        token = String::from_utf8(server.command(0, &[b"GET", b":1:one"])).unwrap();
    }
    let mut tokens: Vec<_> = waiting.into_iter().map(|id| later.token(id).unwrap().unwrap()).collect();
    assert!(tokens.contains(&token));
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 20);
}

// The first attempt is in order with what was begun on the key before and behind it.
#[test]
fn a_lock_is_begun_in_order() {
    let server = RedisServer::start();
    let later = Later::open(server.port());
    for _ in 0..50 {
        let ttl = MINUTE;
        let set = Operation::Set { key: "one", value: Stored::Text("x"), ttl, when: When::Always };
        let ids = [later.begin(&set, PATIENCE), later.begin(&Operation::Delete { key: "one" }, PATIENCE)];
        let lock = later.lock("one", Duration::ZERO, PATIENCE);
        let delete = later.begin(&Operation::Delete { key: "one" }, PATIENCE);
        assert!(ids.into_iter().all(|id| later.end(id).is_ok()));
        assert!(later.token(lock).unwrap().is_some());
        assert!(matches!(later.end(delete), Ok(Outcome::Found(true))));
    }
}

#[test]
fn time_ends_the_waiting() {
    let server = RedisServer::start();
    let later = Later::open(server.port());
    later.token(later.lock("one", Duration::ZERO, PATIENCE)).unwrap().unwrap();
    let begin = Instant::now();
    assert_eq!(later.token(later.lock("one", Duration::from_millis(250), PATIENCE)).unwrap(), None);
    assert!(begin.elapsed() >= Duration::from_millis(250));
    assert_eq!(later.token(later.lock("one", PATIENCE, Duration::from_millis(300))).unwrap(), None, "the deadline");
}

// Nobody has the token of a lock that comes after a cancel: it must not stay.
#[test]
fn a_cancelled_lock_is_not_kept() {
    let server = RedisServer::start();
    let later = Later::open(server.port());
    let token = later.token(later.lock("one", Duration::ZERO, PATIENCE)).unwrap().unwrap();
    let waiting = later.lock("one", PATIENCE, PATIENCE);
    assert!(later.queue.cancel(waiting));
    assert_eq!(later.end(waiting).err().unwrap().kind(), Kind::Cancelled);
    let unlock = later.begin(&Operation::Unlock { key: "one", token: token.as_bytes() }, PATIENCE);
    assert!(matches!(later.end(unlock), Ok(Outcome::Found(true))));
    let free = later.token(later.lock("one", PATIENCE, PATIENCE)).unwrap().unwrap();
    let unlock = later.begin(&Operation::Unlock { key: "one", token: free.as_bytes() }, PATIENCE);
    assert!(matches!(later.end(unlock), Ok(Outcome::Found(true))));
    // and one that is cancelled while its attempt is under way
    let (mut cancelled, mut held) = (0, Vec::new());
    for number in 0..200 {
        let key = format!("k{number}");
        let id = later.lock(&key, PATIENCE, PATIENCE);
        if number % 3 == 0 {
            std::thread::sleep(Duration::from_micros(50 * number));
        }
        if later.queue.cancel(id) {
            cancelled += 1;
            assert_eq!(later.end(id).err().unwrap().kind(), Kind::Cancelled);
            wait_until_free(&server, &format!(":1:{key}"));
        } else {
            held.push((key, later.token(id).unwrap().unwrap()));
        }
    }
    assert!(cancelled > 0, "nothing was cancelled in time");
    for (key, token) in held {
        assert_eq!(server.command(0, &[b"GET", format!(":1:{key}").as_bytes()]), token.as_bytes());
    }
}

#[test]
fn shutting_down_ends_the_waiting() {
    let server = RedisServer::start();
    let later = Later::open(server.port());
    later.token(later.lock("one", Duration::ZERO, PATIENCE)).unwrap().unwrap();
    let waiting = later.lock("one", PATIENCE, PATIENCE);
    std::thread::sleep(Duration::from_millis(50));
    later.queue.close_entrance();
    assert!(later.queue.wait_for_answers(Instant::now() + Duration::from_secs(10)), "it goes on waiting");
    assert_eq!(later.token(waiting).unwrap_err().kind(), Kind::Shutdown);
}

// One that says that nobody takes answers, as a queue whose host is gone.
struct Nobody;

impl Sink for Nobody {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        answers.clear();
    }

    fn offer(&self, _: Answer) -> bool {
        false
    }
}

#[test]
fn a_lock_that_nobody_takes_is_not_kept() {
    let server = RedisServer::start();
    let later = Later::open(server.port());
    let operation = Operation::Lock { key: "one", ttl: TtlChoice::Of(Ttl::Forever), wait: None };
    let prepared = later.store.prepare(&operation, &StoreCall::default()).unwrap();
    server.command(0, &[b"CONFIG", b"RESETSTAT"]);
    later.store.begin(&prepared, larder::backend::Ticket::new(Arc::new(Nobody), 1));
    let end = Instant::now() + PATIENCE;
    let taken = || String::from_utf8(server.command(0, &[b"INFO", b"commandstats"])).unwrap().contains("cmdstat_del");
    while !taken() {
        assert!(Instant::now() < end, "it was not let go of");
        std::thread::sleep(Duration::from_millis(5));
    }
    wait_until_free(&server, ":1:one");
}
