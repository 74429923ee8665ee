//! What one thread begins on one key takes effect in that order, over one memcached server and over several, with jobs
//! in between.
#![cfg(all(feature = "redis", feature = "memcached"))] // the tests' common parts know both
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use common::flight::{LONG, Ledger, Runtime, memcached_of, said};
use common::memcached::{MemcachedServer, locations};
use common::random::Random;
use larder::backend::memcached;
use larder::backend::{Backend, Entry, Keys, Reply, Request, Spawner, Stored, When, perform};
use larder::key::MadeKey;
use larder::log::{Log, Silent};
use larder::timeout::Ttl;
use serde_json::json;

const LARGE: usize = 100_000;
const LIFE: Ttl = Ttl::Millis(900_000);
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn key(text: &str) -> MadeKey {
    MadeKey::as_is(text)
}

fn open(class: &str, servers: &[MemcachedServer], runtime: &Arc<Runtime>) -> Arc<dyn Backend> {
    let backend = format!("django.core.cache.backends.memcached.{class}");
    let config = memcached_of(&json!({"BACKEND": backend, "LOCATION": locations(servers)}));
    let spawner: Arc<dyn Spawner> = runtime.clone();
    memcached::open(config, &spawner, &(Arc::new(Silent) as Arc<dyn Log>))
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
    Incr(MadeKey, i64),
    Clear,
    /// A job that reads a value and writes it back with something added.
    Append(MadeKey, u8),
}

impl Step {
    fn roll(dice: &mut Random, number: usize) -> Self {
        let keys: Vec<MadeKey> = NAMES.map(key).into();
        let one = keys[dice.below(keys.len())].clone();
        let mut value = || {
            let size = if dice.below(3) == 0 { LARGE + dice.below(9) } else { 1 + dice.below(9) };
            format!("{number}-").into_bytes().into_iter().cycle().take(size).collect::<Vec<u8>>()
        };
        let (value, other) = (value(), value());
        match dice.below(26) {
            0..7 => Self::Get(one),
            7..12 => Self::Set(one, value, [When::Always, When::Missing, When::Present][dice.below(3)]),
            12 => Self::Touch(one),
            13 => Self::Delete(one),
            14 => Self::Has(one),
            15 | 16 => Self::GetMany(keys[dice.below(4)..].to_vec()),
            17 => {
                let first = Entry { key: one, value: value.into() };
                Self::SetMany(vec![first, Entry { key: key("b"), value: other.into() }])
            }
            18 => Self::DeleteMany(vec![one, key("c"), key("e")]),
            19 if dice.below(3) == 0 => Self::Clear,
            20 => Self::Set(one, dice.below(1000).to_string().into_bytes(), When::Always),
            21 | 22 => Self::Incr(one, [1, -3, 500][dice.below(3)]),
            _ => Self::Append(one, b'!' + u8::try_from(number % 90).unwrap()),
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
            Self::Incr(key, delta) => Request::Incr(key, *delta),
            Self::Clear => Request::Clear(None),
            Self::Append(..) => return None,
        })
    }
}

fn append(cache: &Arc<dyn Backend>, key: &MadeKey, byte: u8) -> larder::error::Result<Reply> {
    let mut value = cache.get(key, LONG)?.map(|value| unpadded(&value).bytes.to_vec()).unwrap_or_default();
    value.push(byte);
    cache.set(key, (&value).into(), LIFE, When::Always, LONG).map(Reply::Written)
}

/// Without the blanks behind a number that became shorter: memcached leaves them only where nobody reads the item at the
/// same moment.
fn unpadded(value: &Stored) -> Stored {
    Stored { bytes: value.bytes.slice(..value.bytes.trim_ascii_end().len()), flags: value.flags }
}

/// A value that can be compared by its Debug: of a long one its length and a hash.
fn shown(value: &Stored) -> String {
    let value = unpadded(value);
    if value.bytes.len() < 1000 {
        return format!("{value:?}");
    }
    let mut hash = DefaultHasher::new();
    value.bytes.hash(&mut hash);
    format!("{} bytes, {:x}, flags {}", value.bytes.len(), hash.finish(), value.flags)
}

/// An answer without the name of a server.
fn same(answer: larder::error::Result<Reply>) -> String {
    match answer {
        Err(error) => format!("{:?}: {}", error.kind(), error.reason()),
        Ok(Reply::Value(value)) => format!("{:?}", value.as_ref().map(shown)),
        Ok(Reply::Values(values)) => {
            format!("{:?}", values.iter().map(|value| value.as_ref().map(shown)).collect::<Vec<_>>())
        }
        answer => said(&answer),
    }
}

// c-api.md, Order. What each operation answers shows what the ones before it did.
#[test]
fn a_mix_answers_as_if_one_came_after_the_other() {
    for (class, count) in [("PyMemcacheCache", 1), ("PyMemcacheCache", 3), ("PyLibMCCache", 2)] {
        let (servers, models) = (MemcachedServer::several(count, &[]), MemcachedServer::several(1, &[]));
        for seed in 0..4 {
            let runtime = Runtime::start();
            let (cache, sequential) = (open(class, &servers, &runtime), open(class, &models, &runtime));
            servers.iter().chain(&models).for_each(|server| server.client().flush());
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
            for (step, (tag, answer)) in steps.iter().zip(answers) {
                let expected = match step {
                    Step::Append(key, byte) => append(&sequential, key, *byte),
                    _ => perform(&*sequential, &step.request().unwrap(), LONG),
                };
                let (answer, expected) = (same(answer), same(expected));
                assert_eq!(answer, expected, "{class} × {count}, seed {seed}, step {tag}");
            }
            runtime.end_at_once();
        }
    }
}

#[test]
fn jobs_and_writes_on_one_key_take_turns() {
    let servers = MemcachedServer::several(3, &[]);
    let runtime = Runtime::start();
    let cache = open("PyMemcacheCache", &servers, &runtime);
    let (count, one) = (300, key("n"));
    let ledger = Ledger::new(count);
    for tag in 0..count {
        let (worker, name, ticket) = (cache.clone(), one.clone(), ledger.ticket(tag));
        if tag % 3 == 0 {
            let job = move |may: larder::error::Result<()>| {
                ticket.answer(may.and_then(|()| append(&worker, &name, b'x')));
            };
            cache.start_job(Keys::These(std::slice::from_ref(&one)), LONG, Box::new(job));
        } else if tag % 3 == 1 {
            cache.start(Request::Get(&one), LONG, ticket);
        } else {
            let text = "y".repeat(tag / 3 + 1);
            let set = Request::Set { key: &one, value: text.as_bytes().into(), ttl: LIFE, when: When::Always };
            cache.start(set, LONG, ticket);
        }
    }
    for (tag, answer) in ledger.settle() {
        if tag % 3 == 1 {
            let Reply::Value(Some(value)) = answer.unwrap() else { panic!("no value") };
            let expected = "y".repeat(usize::try_from(tag / 3).unwrap()) + "x";
            assert_eq!(value.bytes, expected, "after {tag} steps");
        } else {
            answer.unwrap();
        }
    }
    runtime.end_at_once();
}
