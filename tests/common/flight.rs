//! What tests of both faces share: a runtime that can be ended, one request by either face, and a ledger of answers.
#![cfg(feature = "redis")]

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use larder::backend::{Answer, Backend, Reply, Request, Sink, Spawner, Ticket, perform};
use larder::config::{self, Address, Flavor, Server};
use larder::error::{Error, Kind, Result};
use larder::lock::Mutex;
use larder::timeout::{Budget, Ttl};

/// Time enough.
pub const LONG: Budget = Budget::new(Duration::from_mins(1));

/// A runtime that can be ended, as at shutdown.
pub struct Runtime(Mutex<Option<tokio::runtime::Runtime>>);

impl Runtime {
    /// One worker.
    pub fn start() -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Arc::new(Self(Mutex::new(Some(runtime))))
    }

    /// Drops every task, and waits for jobs.
    pub fn end(&self) {
        let runtime = self.0.lock().take();
        runtime.unwrap().shutdown_timeout(Duration::from_secs(10));
    }
}

impl Runtime {
    /// Drops every task, and waits for nothing.
    pub fn end_at_once(&self) {
        if let Some(runtime) = self.0.lock().take() {
            runtime.shutdown_background();
        }
    }

    fn with(&self, begin: impl FnOnce(&tokio::runtime::Runtime)) -> Result<()> {
        let runtime = self.0.lock();
        begin(runtime.as_ref().ok_or_else(|| Error::new(Kind::Shutdown, "ended"))?);
        Ok(())
    }
}

impl Spawner for Runtime {
    fn spawn(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()> {
        self.with(|runtime| drop(runtime.spawn(task)))
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> Result<()> {
        self.with(|runtime| drop(runtime.spawn_blocking(job)))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.end_at_once(); // a task may be the last to hold it: then there is nothing to wait for
    }
}

/// Runs nothing: synchronous calls of few callers need no runtime.
pub struct NoRuntime;

impl Spawner for NoRuntime {
    fn spawn(&self, _: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()> {
        panic!("a synchronous call entered the runtime")
    }

    fn spawn_blocking(&self, _: Box<dyn FnOnce() + Send>) -> Result<()> {
        panic!("a synchronous call entered the runtime")
    }
}

/// How requests are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Face {
    /// A thread that makes one waits for its answer.
    Synchronous,
    /// It is begun, and answered later.
    Asynchronous,
}

/// Both.
pub const FACES: [Face; 2] = [Face::Synchronous, Face::Asynchronous];

/// How much later than its deadline a call may end, on a machine that does much else.
pub const SLACK: Duration = Duration::from_secs(10);

struct Answers(mpsc::Sender<Answer>);

impl Sink for Answers {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        for answer in answers.drain(..) {
            let _ = self.0.send(answer);
        }
    }
}

/// Carries a request out by a face, and fails the test where it is not answered once, and in time.
pub fn ask(cache: &dyn Backend, face: Face, request: &Request<'_>, budget: Budget) -> Result<Reply> {
    if face == Face::Synchronous {
        return perform(cache, request, budget);
    }
    let (sender, receiver) = mpsc::channel();
    cache.start(*request, budget, Ticket::new(Arc::new(Answers(sender)), 7));
    let (tag, answer) = receiver.recv_timeout(budget.total().saturating_add(SLACK)).expect("no answer");
    assert_eq!(tag, 7);
    assert!(receiver.recv_timeout(Duration::from_millis(1)).is_err(), "two answers");
    answer
}

/// Counts how often each tag was answered, and keeps the answers.
pub struct Ledger {
    counts: Vec<AtomicU32>,
    pub arrived: AtomicUsize,
    answers: Mutex<Vec<(u64, Result<Reply>)>>,
}

impl Ledger {
    /// For so many operations.
    pub fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            counts: (0..size).map(|_| AtomicU32::new(0)).collect(),
            arrived: AtomicUsize::new(0),
            answers: Mutex::default(),
        })
    }

    /// A ticket for one of them.
    pub fn ticket(self: &Arc<Self>, tag: usize) -> Ticket {
        Ticket::new(self.clone(), tag as u64)
    }

    /// Waits until all have been answered, and shows that none was twice.
    pub fn settle(&self) -> Vec<(u64, Result<Reply>)> {
        let end = Instant::now() + Duration::from_secs(100);
        while self.arrived.load(Ordering::SeqCst) < self.counts.len() {
            assert!(Instant::now() < end, "{} of {} answered", self.arrived.load(Ordering::SeqCst), self.counts.len());
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(20));
        assert!(self.counts.iter().all(|count| count.load(Ordering::SeqCst) == 1), "not exactly once");
        std::mem::take(&mut *self.answers.lock())
    }
}

impl Sink for Ledger {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        for (tag, answer) in answers.drain(..) {
            self.counts[usize::try_from(tag).unwrap()].fetch_add(1, Ordering::SeqCst);
            self.answers.lock().push((tag, answer));
            self.arrived.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A cache on one server.
pub fn config_for(address: Address, flavor: Flavor) -> config::Redis {
    let server = Server {
        address,
        username: None,
        password: None,
        database: 2,
        client_name: None,
        shown: "redis://test".into(),
    };
    config::Redis {
        layout: config::Layout::Replicas { fail_over: false },
        herd: None,
        flavor,
        server,
        connect: None,
        max_connections: 4,
        ignore_exceptions: false,
        near: None,
        replicas: Vec::new(),
        breaker: None,
        resting: config::Resting::default(),
    }
}

/// A cache on several servers of this machine, as pylibmc spreads keys: a server's keys stay its own.
#[cfg(feature = "memcached")]
pub fn memcached_on(ports: &[u16]) -> config::Memcached {
    let entry = serde_json::json!({
        "BACKEND": "django.core.cache.backends.memcached.PyLibMCCache",
        "LOCATION": ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>(),
    });
    memcached_of(&entry)
}

/// The settings of a memcached alias.
#[cfg(feature = "memcached")]
pub fn memcached_of(entry: &serde_json::Value) -> config::Memcached {
    let document = serde_json::json!({"CACHES": {"default": entry}}).to_string();
    match config::read(document.as_bytes(), &|_| None).unwrap().aliases.remove(0).family {
        config::Family::Memcached(memcached) => memcached,
        other => panic!("{other:?}"),
    }
}

/// A port on this machine.
pub fn tcp(port: u16) -> Address {
    Address::Tcp("127.0.0.1".into(), port)
}

/// What an answer says, without what differs from run to run.
pub fn said(answer: &Result<Reply>) -> String {
    match answer {
        // two that are compared were not asked at the same moment
        Ok(Reply::Left(Some(Ttl::Millis(left @ 60_000..)))) => format!("left about {}0 s", (left + 5_000) / 10_000),
        Ok(Reply::Left(Some(Ttl::Millis(left)))) => format!("left about {} s", (left + 999) / 1000),
        Ok(Reply::Page(page)) => {
            let mut keys = page.keys.clone();
            keys.sort();
            format!("{keys:?} {:?}", page.next)
        }
        Ok(reply) => format!("{reply:?}"),
        Err(error) => format!("{error:?}"),
    }
}
