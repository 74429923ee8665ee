//! What one thread begins on one key takes effect in that order, whatever works on several servers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use larder::backend::redis::Chooser;
use larder::backend::{Keys, Reply, Request, Spawner, Stored, When, Written};
use larder::error::{Kind, Result};
use larder::key::MadeKey;
use larder::lock::Mutex;
use larder::timeout::{Budget, Ttl};

use super::common::flight::{LONG, Ledger, Runtime, said};
use super::common::random::Random;
use super::common::redis::RedisServer;
use super::{backend, over, urls};

#[path = "../redis_clients/mix.rs"]
mod mix;

use mix::Step;

// c-api.md, Order. What each operation answers shows what the ones before it did.
#[test]
fn a_mix_answers_as_if_one_came_after_the_other() {
    let (servers, model) = ([RedisServer::start(), RedisServer::start(), RedisServer::start()], RedisServer::start());
    let names: Vec<MadeKey> = ["a", "b", "c", "d", "e", "f"].map(MadeKey::as_is).into();
    for seed in 0..3 {
        let runtime = Runtime::start();
        let cache = backend(&urls(&servers), &runtime);
        let sequential = backend(&[model.url(0)], &runtime);
        servers.iter().chain([&model]).for_each(|server| drop(server.command(0, &[b"FLUSHALL"])));
        let mut dice = Random(seed);
        let steps: Vec<Step> = (0..500).map(|number| Step::roll(&mut dice, &names, number)).collect();
        let ledger = Ledger::new(steps.len());
        for (tag, step) in steps.iter().enumerate() {
            if tag % 7 == 0 {
                cache.begin_batch();
            }
            step.begin(&cache, ledger.ticket(tag));
            if tag % 7 == 0 {
                cache.end_batch();
            }
        }
        let mut answers = ledger.settle();
        answers.sort_by_key(|(tag, _)| *tag);
        for (step, (tag, answer)) in steps.iter().zip(answers) {
            let expected = step.carry_out(&sequential);
            assert_eq!(said(&answer), said(&expected), "seed {seed}, step {tag}");
        }
        runtime.end_at_once();
    }
}

#[test]
fn jobs_over_several_servers_never_wait_for_each_other() {
    let servers = [RedisServer::start(), RedisServer::start(), RedisServer::start()];
    let runtime = Runtime::start();
    let cache = backend(&urls(&servers), &runtime);
    let names: Vec<MadeKey> = (0..6).map(|number| MadeKey::as_is(&format!("n{number}"))).collect();
    let (threads, each) = (6, 1500);
    let ledger = Ledger::new(threads * each);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (cache, ledger, names) = (&cache, &ledger, &names);
            scope.spawn(move || {
                let mut dice = Random(thread as u64);
                for number in 0..each {
                    // in any order: what one holds another waits for
                    let keys: Vec<MadeKey> = (0..3).map(|_| names[dice.below(names.len())].clone()).collect();
                    let (worker, mine) = (cache.clone(), keys.clone());
                    let ticket = ledger.ticket(thread * each + number);
                    let job = move |may: Result<()>| {
                        let count = |key: &MadeKey| {
                            let stored = worker.get(key, LONG).unwrap().map(|stored| stored.bytes).unwrap_or_default();
                            let now: u32 = std::str::from_utf8(&stored).unwrap().parse().unwrap_or(0);
                            worker.set(key, (now + 1).to_string().as_bytes().into(), Ttl::Forever, When::Always, LONG)
                        };
                        for key in &mine {
                            assert_eq!(count(key).unwrap(), Written::Stored);
                        }
                        ticket.answer(may.map(|()| Reply::Done));
                    };
                    cache.start_job(Keys::These(&keys), LONG, Box::new(job));
                }
            });
        }
    });
    assert!(ledger.settle().into_iter().all(|(_, answer)| answer.is_ok()));
    let values = cache.get_many(&names, LONG).unwrap();
    let count =
        |value: Option<Stored>| String::from_utf8(value.unwrap().bytes.to_vec()).unwrap().parse::<usize>().unwrap();
    assert_eq!(values.into_iter().map(count).sum::<usize>(), 3 * threads * each);
}

#[test]
fn a_job_that_waits_for_one_server_too_long_lets_the_others_go_on() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let urls = urls(&servers);
    let runtime = Runtime::start();
    let cache = backend(&urls, &runtime);
    let chooser = Chooser::new(urls.iter().map(String::as_str));
    let on = |server: usize| {
        let keys = (0..).map(|number| MadeKey::as_is(&format!("k{number}")));
        keys.into_iter().find(|key| chooser.server_of(key) == server).unwrap()
    };
    let keys = [on(0), on(1)];
    cache.ping(LONG).unwrap();
    servers[1].pause(true);
    let ledger = Ledger::new(4);
    let set = |key, budget, tag| {
        let request = Request::Set { key, value: b"v".as_slice().into(), ttl: Ttl::Forever, when: When::Always };
        cache.start(request, budget, ledger.ticket(tag));
    };
    set(&keys[1], LONG, 0); // stays under way
    let ticket = ledger.ticket(1);
    let job = move |may: Result<()>| ticket.answer(may.map(|()| Reply::Done));
    cache.start_job(Keys::These(&keys), Budget::new(Duration::from_millis(300)), Box::new(job));
    set(&keys[0], LONG, 2); // behind the job
    let end = Instant::now() + Duration::from_secs(30);
    while ledger.arrived.load(Ordering::SeqCst) < 2 {
        assert!(Instant::now() < end, "the other server's key is not free again");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(cache.get(&keys[0], LONG).unwrap().unwrap().bytes, "v");
    servers[1].pause(false);
    // and the next one runs
    let ticket = ledger.ticket(3);
    let job = move |may: Result<()>| ticket.answer(may.map(|()| Reply::Done));
    cache.start_job(Keys::These(&keys), LONG, Box::new(job));
    let mut answers = ledger.settle();
    answers.sort_by_key(|(tag, _)| *tag);
    let kinds: Vec<_> =
        answers.iter().map(|(_, answer)| answer.as_ref().err().map(larder::error::Error::kind)).collect();
    assert_eq!(kinds, [None, Some(Kind::Timeout), None, None]);
    runtime.end();
    let told = Ledger::new(1);
    let ticket = told.ticket(0);
    cache.start_job(Keys::These(&keys), LONG, Box::new(move |may| ticket.answer(may.map(|()| Reply::Done))));
    assert_eq!(told.settle().pop().unwrap().1.unwrap_err().kind(), Kind::Shutdown);
}

/// A runtime all of whose threads for jobs are busy with something else.
struct Busy(Arc<Runtime>, Mutex<Vec<Box<dyn FnOnce() + Send>>>);

impl Spawner for Busy {
    fn spawn(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()> {
        self.0.spawn(task)
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> Result<()> {
        self.1.lock().push(job);
        Ok(())
    }
}

#[test]
fn a_job_that_waits_for_a_thread_keeps_its_deadline_too() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let runtime = Runtime::start();
    let busy = Arc::new(Busy(runtime.clone(), Mutex::default()));
    let cache = over(&urls(&servers), busy.clone());
    let ledger = Ledger::new(2);
    let ticket = ledger.ticket(0);
    let job = Box::new(move |may: Result<()>| ticket.answer(may.map(|()| Reply::Done)));
    cache.start_job(Keys::All, Budget::new(Duration::from_millis(100)), job);
    cache.start(Request::Get(&MadeKey::as_is("k")), LONG, ledger.ticket(1));
    let mut answers = ledger.settle();
    answers.sort_by_key(|(tag, _)| *tag);
    assert_eq!(answers[0].1.as_ref().unwrap_err().kind(), Kind::Timeout);
    assert!(matches!(answers[1].1, Ok(Reply::Value(None))), "what came behind it goes on");
    let jobs = std::mem::take(&mut *busy.1.lock());
    assert_eq!(jobs.len(), 1);
    for job in jobs {
        job(); // too late: nothing is done, and nobody is answered again
    }
    runtime.end();
}

#[test]
fn a_job_that_panics_lets_the_others_go_on() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let runtime = Runtime::start();
    let cache = backend(&urls(&servers), &runtime);
    let ledger = Ledger::new(2);
    let ticket = ledger.ticket(0);
    let broken = move |_: Result<()>| {
        let _held = ticket;
        panic!("as a broken codec would");
    };
    cache.start_job(Keys::All, LONG, Box::new(broken));
    cache.start(Request::Clear(None), LONG, ledger.ticket(1));
    let mut answers = ledger.settle();
    answers.sort_by_key(|(tag, _)| *tag);
    assert_eq!(answers[0].1.as_ref().unwrap_err().kind(), Kind::Panic);
    assert!(answers[1].1.is_ok());
    runtime.end();
}
