//! What one thread begins on one key of a database cache takes effect in that order, with jobs in between.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "redis"))] // the helpers are the Redis tests' too
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::database::Site;
use common::flight::{LONG, Ledger, Runtime, said};
use common::random::Random;
use larder::backend::{Backend, Entry, Job, Keys, Reply, Request, Spawner, Ticket, When, perform};
use larder::error::{Kind, Result};
use larder::key::MadeKey;
use larder::timeout::{Budget, Ttl};
use serde_json::json;

const LIFE: Ttl = Ttl::Millis(900_000);

fn key(text: &str) -> MadeKey {
    MadeKey::as_is(text)
}

/// One step of the mix.
enum Step {
    Get(MadeKey),
    Set(MadeKey, Vec<u8>, Ttl, When),
    Touch(MadeKey, Ttl),
    Persist(MadeKey),
    Ttl(MadeKey),
    Delete(MadeKey),
    Has(MadeKey),
    GetMany(Vec<MadeKey>),
    SetMany(Vec<Entry>),
    DeleteMany(Vec<MadeKey>),
    Clear(Option<&'static [u8]>),
    /// A job that reads a value and writes it back with something added.
    Append(MadeKey, u8),
}

impl Step {
    fn roll(dice: &mut Random, number: usize) -> Self {
        let keys: Vec<MadeKey> = ["a", "b", "ab", "c"].map(key).into();
        let one = keys[dice.below(keys.len())].clone();
        let value = format!("{number}").into_bytes();
        let life = if dice.below(6) == 0 { Ttl::Millis(-5000) } else { LIFE };
        match dice.below(24) {
            0..5 => Self::Get(one),
            5..11 => Self::Set(one, value, life, [When::Always, When::Missing, When::Present][dice.below(3)]),
            11 => Self::Touch(one, life),
            12 => Self::Persist(one),
            13 => Self::Ttl(one),
            14 => Self::Delete(one),
            15 => Self::Has(one),
            16 => Self::GetMany(keys[dice.below(3)..].to_vec()),
            17 => {
                let first = Entry { key: one, value: value.into() };
                Self::SetMany(vec![first, Entry { key: key("b"), value: b"many".to_vec().into() }])
            }
            18 => Self::DeleteMany(vec![one, key("c")]),
            19 if dice.below(2) == 0 => Self::Clear([None, Some(b"a".as_slice())][dice.below(2)]),
            _ => Self::Append(one, b'a' + u8::try_from(number % 26).unwrap()),
        }
    }

    fn request(&self) -> Option<Request<'_>> {
        Some(match self {
            Self::Get(key) => Request::Get(key),
            Self::Set(key, value, ttl, when) => {
                Request::Set { key, value: value.as_slice().into(), ttl: *ttl, when: *when }
            }
            Self::Touch(key, ttl) => Request::Touch(key, *ttl),
            Self::Persist(key) => Request::Persist(key),
            Self::Ttl(key) => Request::Ttl(key),
            Self::Delete(key) => Request::Delete(key),
            Self::Has(key) => Request::Has(key),
            Self::GetMany(keys) => Request::GetMany(keys),
            Self::SetMany(entries) => Request::SetMany(entries, LIFE),
            Self::DeleteMany(keys) => Request::DeleteMany(keys),
            Self::Clear(prefix) => Request::Clear(*prefix),
            Self::Append(..) => return None,
        })
    }
}

fn append(cache: &dyn Backend, key: &MadeKey, byte: u8) -> Result<Reply> {
    let mut value = cache.get(key, LONG)?.unwrap_or_default().bytes.to_vec();
    value.push(byte);
    cache.set(key, value.as_slice().into(), LIFE, When::Always, LONG).map(Reply::Written)
}

/// A job that answers a ticket with what it does.
fn job(cache: &Arc<dyn Backend>, key: MadeKey, byte: u8, ticket: Ticket) -> Job {
    let cache = cache.clone();
    Box::new(move |may_run| ticket.answer(may_run.and_then(|()| append(&*cache, &key, byte))))
}

// c-api.md, Order: each answer is foreseen by the same steps, one after the other, on a table of their own.
#[test]
fn a_mix_answers_as_if_one_came_after_the_other() {
    let runtime = Runtime::start();
    for site in Site::both() {
        for seed in 0..3 {
            let (cache, _) = site.open_new(&json!({}), runtime.clone());
            let (model, _) = site.open_new(&json!({}), runtime.clone());
            let mut dice = Random(seed);
            let steps: Vec<Step> = (0..400).map(|number| Step::roll(&mut dice, number)).collect();
            let ledger = Ledger::new(steps.len());
            for (tag, step) in steps.iter().enumerate() {
                match (step, step.request()) {
                    (_, Some(request)) => cache.start(request, LONG, ledger.ticket(tag)),
                    (Step::Append(key, byte), _) => {
                        let keys = [key.clone()];
                        cache.start_job(Keys::These(&keys), LONG, job(&cache, key.clone(), *byte, ledger.ticket(tag)));
                    }
                    _ => unreachable!(),
                }
            }
            let mut answers = ledger.settle();
            answers.sort_by_key(|(tag, _)| *tag);
            for ((tag, answer), step) in answers.iter().zip(&steps) {
                let expected = match (step, step.request()) {
                    (_, Some(request)) => perform(&*model, &request, LONG),
                    (Step::Append(key, byte), _) => append(&*model, key, *byte),
                    _ => unreachable!(),
                };
                let (said, expected) = (said(answer), said(&expected));
                assert_eq!(said, expected, "{}, seed {seed}, step {tag}", site.name());
            }
        }
    }
}

#[test]
fn jobs_that_cannot_run_in_time_are_told_so() {
    let runtime = Runtime::start();
    let [site, _] = Site::both();
    let (cache, _) = site.open_new(&json!({}), runtime.clone());
    let (go, going) = mpsc::channel::<()>();
    let (told, answers) = mpsc::channel();
    let keys = [key("k")];
    let first = told.clone();
    cache.start_job(
        Keys::These(&keys),
        LONG,
        Box::new(move |may_run| {
            may_run.unwrap();
            going.recv().unwrap();
            first.send(("first", None)).unwrap();
        }),
    );
    let short = Budget::new(Duration::from_millis(100));
    for (name, keys) in [("second", Keys::These(&keys)), ("third", Keys::All)] {
        let told = told.clone();
        let job = move |may_run: Result<()>| told.send((name, may_run.err().map(|error| error.kind()))).unwrap();
        cache.start_job(keys, short, Box::new(job));
    }
    let mut early = [answers.recv().unwrap(), answers.recv().unwrap()];
    early.sort_unstable_by_key(|(name, _)| *name);
    assert_eq!(early, [("second", Some(Kind::Timeout)), ("third", Some(Kind::Timeout))]);
    go.send(()).unwrap();
    assert_eq!(answers.recv().unwrap(), ("first", None));
    // a job that panics lets the next one run
    cache.start_job(Keys::These(&keys), LONG, Box::new(|_| std::panic::resume_unwind(Box::new(()))));
    cache.start_job(
        Keys::These(&keys),
        LONG,
        Box::new(move |may_run| told.send(("last", may_run.err().map(|error| error.kind()))).unwrap()),
    );
    assert_eq!(answers.recv().unwrap(), ("last", None));
}

#[test]
fn a_shutdown_tells_jobs_that_wait() {
    let runtime = Runtime::start();
    let [site, _] = Site::both();
    let (cache, _) = site.open_new(&json!({}), runtime.clone());
    let (ran, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begun, is_begun) = mpsc::channel();
    let (go, going) = mpsc::channel::<()>();
    cache.start_job(
        Keys::All,
        LONG,
        Box::new(move |may_run| {
            may_run.unwrap();
            begun.send(()).unwrap();
            going.recv().unwrap();
        }),
    );
    is_begun.recv().unwrap();
    for _ in 0..5 {
        let (ran, refused) = (ran.clone(), refused.clone());
        let count = move |may_run: Result<()>| {
            let place = if may_run.is_ok() { ran } else { refused };
            place.fetch_add(1, Ordering::SeqCst);
        };
        cache.start_job(Keys::All, LONG, Box::new(count));
    }
    let ending = runtime.clone();
    let end = std::thread::spawn(move || ending.end());
    common::database::wait_until("the jobs are told", || refused.load(Ordering::SeqCst) == 5);
    go.send(()).unwrap();
    end.join().unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    assert!(runtime.spawn_blocking(Box::new(|| ())).is_err());
}
