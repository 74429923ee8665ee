//! What one thread begins on one key takes effect in that order: over two connections, with jobs in between, through
//! time-outs, shutdown and panics.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::flight::{LONG, Ledger, Runtime, config_for, said, tcp};
use common::random::Random;
use common::redis::RedisServer;
use larder::backend::redis;
use larder::backend::{Backend, Entry, Keys, Reply, Request, Spawner, When, perform};
use larder::config::Flavor;
use larder::error::Kind;
use larder::key::MadeKey;
use larder::lock::Mutex;
use larder::log::Silent;
use larder::timeout::{Budget, Ttl};

const LARGE: usize = 100_000;
const LIFE: Ttl = Ttl::Millis(900_000);

fn key(text: &str) -> MadeKey {
    MadeKey::as_is(text)
}

fn open(server: &RedisServer, runtime: &Arc<Runtime>) -> Arc<dyn Backend> {
    let config = config_for(tcp(server.port()), Flavor::DjangoRedis);
    redis::open(config, runtime.clone(), Arc::new(Silent))
}

/// One step of the mix.
enum Step {
    Get(MadeKey),
    Set(MadeKey, Vec<u8>, When),
    Touch(MadeKey),
    Delete(MadeKey),
    Has(MadeKey),
    GetMany(Vec<MadeKey>),
    SetMany(Vec<Entry>),
    DeleteMany(Vec<MadeKey>),
    Clear(Option<&'static [u8]>),
    Scan,
    /// A job that reads a value and writes it back with something added.
    Append(MadeKey, u8),
}

impl Step {
    fn roll(dice: &mut Random, number: usize) -> Self {
        let keys: Vec<MadeKey> = ["a", "b", "c", "d"].map(key).into();
        let one = keys[dice.below(keys.len())].clone();
        let mut value = || {
            let size = if dice.below(3) == 0 { LARGE + dice.below(9) } else { 1 + dice.below(9) };
            format!("{number} ").into_bytes().into_iter().cycle().take(size).collect::<Vec<u8>>()
        };
        let (value, other) = (value(), value());
        match dice.below(24) {
            0..7 => Self::Get(one),
            7..12 => Self::Set(one, value, [When::Always, When::Missing, When::Present][dice.below(3)]),
            12 => Self::Touch(one),
            13 => Self::Delete(one),
            14 => Self::Has(one),
            15 | 16 => Self::GetMany(keys[dice.below(3)..].to_vec()),
            17 => {
                let first = Entry { key: one, value: value.into() };
                Self::SetMany(vec![first, Entry { key: key("b"), value: other.into() }])
            }
            18 => Self::DeleteMany(vec![one, key("c")]),
            19 if dice.below(3) == 0 => Self::Clear([None, Some(b"a".as_slice())][dice.below(2)]),
            19 => Self::Scan,
            _ => Self::Append(one, u8::try_from(number % 250).unwrap()),
        }
    }

    fn request(&self) -> Option<Request<'_>> {
        Some(match self {
            Self::Get(key) => Request::Get(key),
            Self::Set(key, value, when) => Request::Set { key, value: value.into(), ttl: LIFE, when: *when },
            Self::Touch(key) => Request::Touch(key, LIFE),
            Self::Delete(key) => Request::Delete(key),
            Self::Has(key) => Request::Has(key),
            Self::GetMany(keys) => Request::GetMany(keys),
            Self::SetMany(entries) => Request::SetMany(entries, LIFE),
            Self::DeleteMany(keys) => Request::DeleteMany(keys),
            Self::Clear(prefix) => Request::Clear(*prefix),
            Self::Scan => Request::Scan(b"*", 0),
            Self::Append(..) => return None,
        })
    }
}

fn append(cache: &Arc<dyn Backend>, key: &MadeKey, byte: u8) -> larder::error::Result<Reply> {
    let mut value = cache.get(key, LONG)?.unwrap_or_default().bytes.to_vec();
    value.push(byte);
    cache.set(key, (&value).into(), LIFE, When::Always, LONG).map(Reply::Written)
}

/// Long values by their length and their ends.
fn short(text: &str) -> String {
    if text.len() < 200 {
        return text.into();
    }
    let cut = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    format!("{} … {} ({})", cut(0..80), cut(text.len() - 80..text.len()), text.len())
}

// c-api.md, Order. What each operation answers shows what the ones before it did.
#[test]
fn a_mix_answers_as_if_one_came_after_the_other() {
    let (server, model) = (RedisServer::start(), RedisServer::start());
    for seed in 0..4 {
        let runtime = Runtime::start();
        let (cache, sequential) = (open(&server, &runtime), open(&model, &runtime));
        for server in [&server, &model] {
            server.command(0, &[b"FLUSHALL"]);
        }
        let mut dice = Random(seed);
        let steps: Vec<Step> = (0..600).map(|number| Step::roll(&mut dice, number)).collect();
        let ledger = Ledger::new(steps.len());
        for (tag, step) in steps.iter().enumerate() {
            if seed % 2 == 1 && tag % 20 == 0 {
                std::thread::sleep(Duration::from_millis(1)); // some come when others have ended
            }
            let ticket = ledger.ticket(tag);
            match step {
                Step::Append(key, byte) => {
                    let (worker, name, byte) = (cache.clone(), key.clone(), *byte);
                    let job = move |may: larder::error::Result<()>| {
                        ticket.answer(may.and_then(|()| append(&worker, &name, byte)));
                    };
                    cache.start_job(Keys::These(std::slice::from_ref(key)), LONG, Box::new(job));
                }
                _ => cache.start(step.request().unwrap(), LONG, ticket),
            }
        }
        let mut answers = ledger.settle();
        answers.sort_by_key(|(tag, _)| *tag);
        for ((tag, answer), step) in answers.iter().zip(&steps) {
            let wanted = match step {
                Step::Append(key, byte) => append(&sequential, key, *byte),
                _ => perform(&*sequential, &step.request().unwrap(), LONG),
            };
            let (got, wanted) = (said(answer), said(&wanted));
            assert!(got == wanted, "seed {seed}, step {tag}: {} instead of {}", short(&got), short(&wanted));
        }
        drop((cache, sequential));
        runtime.end();
    }
}

/// Begins a job that holds these keys until it is let go.
fn hold(cache: &Arc<dyn Backend>, keys: Keys<'_>) -> mpsc::Sender<()> {
    let (let_go, wait) = mpsc::channel::<()>();
    let (starts, started) = mpsc::channel();
    cache.start_job(
        keys,
        LONG,
        Box::new(move |may| {
            may.unwrap();
            starts.send(()).unwrap();
            let _ = wait.recv_timeout(Duration::from_mins(1));
        }),
    );
    started.recv_timeout(Duration::from_mins(1)).expect("the job did not begin");
    let_go
}

#[test]
fn what_waits_for_a_job_keeps_its_deadline() {
    let (server, runtime) = (RedisServer::start(), Runtime::start());
    let cache = open(&server, &runtime);
    let let_go = hold(&cache, Keys::These(&[key("k")]));
    let (late, free, patient) = (Ledger::new(2), Ledger::new(1), Ledger::new(1));
    let soon = Budget::new(Duration::from_millis(100));
    let set = Request::Set { key: &key("k"), value: b"never".into(), ttl: LIFE, when: When::Always };
    cache.start(set, soon, late.ticket(0));
    let ticket = late.ticket(1);
    cache.start_job(Keys::All, soon, Box::new(move |may| ticket.answer(may.map(|()| Reply::Done))));
    cache.start(Request::Get(&key("k")), LONG, patient.ticket(0));
    for (_, answer) in late.settle() {
        let error = answer.unwrap_err();
        assert!(error.kind() == Kind::Timeout && !error.may_have_happened(), "{error}");
    }
    cache.start(Request::Get(&key("other")), LONG, free.ticket(0));
    assert_eq!(said(&free.settle()[0].1), "Value(None)", "other keys do not wait");
    assert_eq!(patient.arrived.load(Ordering::SeqCst), 0);
    let_go.send(()).unwrap();
    assert_eq!(said(&patient.settle()[0].1), "Value(None)", "what was answered late was not done");
    runtime.end();
}

/// A runtime all of whose threads for jobs are busy with something else.
struct Busy(Arc<Runtime>, Mutex<Vec<Box<dyn FnOnce() + Send>>>);

impl Spawner for Busy {
    fn spawn(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> larder::error::Result<()> {
        self.0.spawn(task)
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> larder::error::Result<()> {
        self.1.lock().push(job);
        Ok(())
    }
}

#[test]
fn a_job_that_waits_for_a_thread_keeps_its_deadline_too() {
    let (server, runtime) = (RedisServer::start(), Runtime::start());
    let busy = Arc::new(Busy(runtime.clone(), Mutex::default()));
    let cache = redis::open(config_for(tcp(server.port()), Flavor::DjangoRedis), busy.clone(), Arc::new(Silent));
    let ledger = Ledger::new(2);
    let ticket = ledger.ticket(0);
    let job = Box::new(move |may: larder::error::Result<()>| ticket.answer(may.map(|()| Reply::Done)));
    cache.start_job(Keys::These(&[key("k")]), Budget::new(Duration::from_millis(100)), job);
    cache.start(Request::Get(&key("k")), LONG, ledger.ticket(1));
    for (tag, answer) in ledger.settle() {
        match tag {
            0 => assert_eq!(answer.unwrap_err().kind(), Kind::Timeout),
            _ => assert_eq!(said(&answer), "Value(None)", "what came behind it goes on"),
        }
    }
    let jobs = std::mem::take(&mut *busy.1.lock());
    assert_eq!(jobs.len(), 1);
    for job in jobs {
        job(); // too late: nothing is done, and nobody is answered again
    }
    drop(cache);
    runtime.end();
}

#[test]
fn a_job_that_panics_lets_the_others_go_on() {
    let (server, runtime) = (RedisServer::start(), Runtime::start());
    let cache = open(&server, &runtime);
    let ledger = Ledger::new(3);
    let ticket = ledger.ticket(0);
    let broken = move |_: larder::error::Result<()>| {
        let _held = ticket;
        panic!("as a broken codec would");
    };
    cache.start_job(Keys::All, LONG, Box::new(broken));
    cache.start(Request::Get(&key("k")), LONG, ledger.ticket(1));
    cache.start(Request::Clear(None), LONG, ledger.ticket(2));
    let mut answers = ledger.settle();
    answers.sort_by_key(|(tag, _)| *tag);
    assert_eq!(answers[0].1.as_ref().unwrap_err().kind(), Kind::Panic);
    assert!(answers[1..].iter().all(|(_, answer)| answer.is_ok()));
    runtime.end();
}

#[test]
fn what_waits_is_bounded_and_loses_nothing() {
    const COUNT: usize = 40_000;
    let (server, runtime) = (RedisServer::start(), Runtime::start());
    let cache = open(&server, &runtime);
    let let_go = hold(&cache, Keys::All);
    let ledger = Ledger::new(COUNT);
    for number in 0..COUNT {
        cache.start(Request::Get(&key("k")), LONG, ledger.ticket(number));
    }
    let refused = ledger.arrived.load(Ordering::SeqCst);
    assert!(refused > 0 && refused < COUNT, "{refused} were refused");
    let large = vec![0; 10 << 20];
    let heavy = Ledger::new(10);
    for number in 0..10 {
        let set = Request::Set { key: &key("large"), value: (&large).into(), ttl: LIFE, when: When::Always };
        cache.start(set, LONG, heavy.ticket(number));
    }
    let_go.send(()).unwrap();
    let answers = ledger.settle();
    for (_, answer) in answers.iter().chain(&heavy.settle()) {
        assert!(answer.as_ref().err().is_none_or(|error| error.kind() == Kind::Busy && error.is_retriable()));
    }
    assert_eq!(answers.iter().filter(|(_, answer)| answer.is_err()).count(), refused);
    runtime.end();
}

#[test]
fn shutdown_answers_jobs_and_what_waits_for_them() {
    let server = RedisServer::start();
    for round in 0..6 {
        let runtime = Runtime::start();
        let cache = open(&server, &runtime);
        let first = Ledger::new(1);
        cache.start(Request::Get(&key("k")), LONG, first.ticket(0));
        first.settle();
        if round % 2 == 0 {
            server.pause(true);
        }
        let ledger = Ledger::new(300);
        let large = vec![b'x'; LARGE];
        for number in 0..300 {
            let (name, ticket) = (key(["a", "b"][number % 2]), ledger.ticket(number));
            match number % 3 {
                0 => cache.start(Request::Get(&name), LONG, ticket),
                1 => {
                    cache.start(
                        Request::Set { key: &name, value: (&large).into(), ttl: LIFE, when: When::Always },
                        LONG,
                        ticket,
                    );
                }
                _ => {
                    let job = Box::new(move |may: larder::error::Result<()>| ticket.answer(may.map(|()| Reply::Done)));
                    cache.start_job(Keys::These(&[name]), LONG, job);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(round));
        let after = Ledger::new(3);
        if round == 5 {
            drop(cache);
            runtime.end();
            (0..3).for_each(|tag| drop(after.ticket(tag)));
        } else {
            runtime.end();
            let (ticket, name) = (after.ticket(1), key("a"));
            let set = Request::Set { key: &name, value: (&large).into(), ttl: LIFE, when: When::Always };
            cache.start(set, LONG, after.ticket(0));
            cache.start_job(Keys::All, LONG, Box::new(move |may| ticket.answer(may.map(|()| Reply::Done))));
            cache.start(Request::Get(&name), LONG, after.ticket(2));
        }
        server.pause(false);
        for (_, answer) in after.settle() {
            assert_eq!(answer.unwrap_err().kind(), Kind::Shutdown);
        }
        for (_, answer) in ledger.settle() {
            assert!(answer.as_ref().err().is_none_or(|error| error.kind() == Kind::Shutdown), "{answer:?}");
        }
    }
}

#[test]
fn closing_a_store_lets_what_waits_end() {
    let (server, runtime) = (RedisServer::start(), Runtime::start());
    let cache = open(&server, &runtime);
    let let_go = hold(&cache, Keys::All);
    let ledger = Ledger::new(100);
    for number in 0..100 {
        cache.start(Request::Get(&key("k")), LONG, ledger.ticket(number));
    }
    drop(cache);
    std::thread::sleep(Duration::from_millis(20));
    let_go.send(()).unwrap();
    assert!(ledger.settle().iter().all(|(_, answer)| answer.is_ok()));
    runtime.end();
}

#[test]
fn batches_are_sent_when_they_end() {
    let (server, runtime) = (RedisServer::start(), Runtime::start());
    let cache = open(&server, &runtime);
    for size in [1, 300, 3000] {
        let ledger = Ledger::new(size);
        cache.begin_batch();
        for number in 0..size {
            cache.start(Request::Get(&key("k")), LONG, ledger.ticket(number));
        }
        cache.end_batch();
        assert!(ledger.settle().iter().all(|(_, answer)| answer.is_ok()));
    }
    runtime.end();
}
