//! Load on a cache while something goes wrong, and the judgement of all its calls.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use larder::backend::{Answer, Sink, Ticket};
use larder::error::Kind;
use larder::timeout::Budget;

use super::client::{Ask, Client, Face, Outcome};
use super::common::random::Random;
use super::servers::Servers;
use super::witness::Witness;

/// How much later than its deadline a call may end: the gate of the issue.
pub const GATE: Duration = Duration::from_secs(1);
/// Threads of the synchronous face.
const THREADS: usize = 4;
/// Operations of the asynchronous face that are under way at the same time.
const IN_FLIGHT: usize = 32;
/// Keys of one thread, next to its counter.
const KEYS: usize = 8;
/// A rest after each call, so that calls which fail at once don't fill the memory with records.
const REST: Duration = Duration::from_micros(500);

/// One call.
pub struct Record {
    /// What was asked.
    pub ask: Ask,
    /// When.
    pub begun: Instant,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub outcome: Outcome,
}

/// The load on one cache.
pub struct Load<'a> {
    client: &'a Client,
    face: Face,
    name: String,
    budget: Budget,
    servers: &'a Servers,
    /// Where the first of them is reached.
    port: u16,
    over: AtomicBool,
    witness: Mutex<Witness>,
}

/// Sets what it has when it is dropped.
struct Set<'a>(&'a AtomicBool);

impl Drop for Set<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A name as all servers take it in a key.
pub fn plain(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '-' }).collect()
}

impl<'a> Load<'a> {
    /// Prepares the keys of a load, whose names begin with `name`. The servers have to be well; the first is reached at
    /// `port`.
    pub fn new(client: &'a Client, face: Face, name: &str, budget: Budget, servers: &'a Servers, port: u16) -> Self {
        let (over, witness) = (AtomicBool::new(false), Mutex::default());
        let mut load = Self { client, face, name: plain(name), budget, servers, port, over, witness };
        // each thread has keys on the server that the fault is about
        while (0..load.threads()).any(|thread| load.keys_on_first(thread) < 2) {
            load.name.push('+');
        }
        for thread in 0..load.threads() {
            servers.put(port, &load.counter(thread), b"0");
            for key in 0..KEYS {
                let ask = Ask::Set(load.key(thread, key), 0);
                let outcome = client.ask(face, &ask, Budget::new(Duration::from_secs(20)));
                assert!(outcome.is_ok(), "{name}: cannot begin: {outcome:?}");
            }
        }
        load
    }

    fn threads(&self) -> usize {
        if self.face == Face::Synchronous { THREADS } else { 1 }
    }

    fn keys_on_first(&self, thread: usize) -> usize {
        (0..KEYS).filter(|key| self.servers.server_of(self.port, &self.key(thread, *key)) == 0).count()
    }

    fn key(&self, thread: usize, key: usize) -> String {
        format!("{}:{thread}:{key}", self.name)
    }

    fn counter(&self, thread: usize) -> String {
        format!("{}:{thread}:counter", self.name)
    }

    /// Calls while `act` runs; all calls, after the last was answered.
    pub fn run(&self, act: impl FnOnce()) -> Vec<Record> {
        let all_answered = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _at_the_latest = [Set(&self.over), Set(&all_answered)]; // an `act` that panics leaves nobody at work
            let witness = scope.spawn(|| Witness::watch(self.servers, &all_answered));
            let threads: Vec<_> = (0..self.threads())
                .map(|thread| {
                    scope.spawn(move || match self.face {
                        Face::Synchronous => self.call_and_wait(thread),
                        Face::Asynchronous => self.keep_in_flight(thread),
                    })
                })
                .collect();
            act();
            self.over.store(true, Ordering::SeqCst);
            let records = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>();
            all_answered.store(true, Ordering::SeqCst);
            *self.witness.lock().unwrap() = witness.join().unwrap();
            records.into_iter().flat_map(|records| records.unwrap()).collect()
        })
    }

    fn call_and_wait(&self, thread: usize) -> Vec<Record> {
        let mut records = Vec::new();
        for ask in self.asks(thread) {
            let begun = Instant::now();
            let outcome = self.client.ask(Face::Synchronous, &ask, self.budget);
            records.push(Record { ask, begun, took: begun.elapsed(), outcome });
            std::thread::sleep(REST);
        }
        records
    }

    fn keep_in_flight(&self, thread: usize) -> Vec<Record> {
        let flight = Arc::new(Flight::default());
        for ask in self.asks(thread) {
            let (tag, ticket) = flight.begin(ask.clone());
            ask.with_request(|request| self.client.cache().start(*request, self.budget, Ticket::new(ticket, tag)));
            std::thread::sleep(REST);
        }
        flight.settle(self.budget.total() + Duration::from_secs(30))
    }

    /// What a thread asks for, until the load is over. Every other thread only writes, so that there is always a write
    /// among the calls that a fault surprises.
    fn asks(&self, thread: usize) -> impl Iterator<Item = Ask> {
        let mut random = Random(thread as u64);
        let mut written = [0_u64; KEYS];
        std::iter::from_fn(move || {
            let key = random.below(KEYS);
            let ask = match if thread % 2 == 1 { 9 + random.below(7) } else { random.below(16) } {
                0..7 => Ask::Get(self.key(thread, key)),
                7 => Ask::GetMissing(format!("{}:missing:{key}", self.name)),
                8 => Ask::GetMany((0..5).map(|step| self.key(thread, (key + step) % KEYS)).collect()),
                9..14 => {
                    written[key] += 1;
                    Ask::Set(self.key(thread, key), written[key])
                }
                _ => Ask::Incr(self.counter(thread)),
            };
            (!self.over.load(Ordering::SeqCst)).then_some(ask)
        })
    }

    /// Judges the state of the server against the calls: what was acknowledged is there, and nothing that was said not
    /// to have happened.
    pub fn judge_server(&self, records: &[Record]) -> Vec<String> {
        let mut problems = Vec::new();
        for thread in 0..self.threads() {
            for key in 0..KEYS {
                let key = self.key(thread, key);
                let stored = self.servers.stored(self.port, &key);
                match super::client::number_of(&key, &stored) {
                    Ok(number) if possible_values(&key, records).contains(&number) => {}
                    other => problems.push(format!("{key} has {other:?} in the server")),
                }
            }
            let counter = self.counter(thread);
            let sum = String::from_utf8(self.servers.stored(self.port, &counter)).unwrap();
            let sum: usize = sum.trim_end().parse().unwrap();
            let of_it = || records.iter().filter(|one| one.ask == Ask::Incr(counter.clone()));
            let done = of_it().filter(|one| one.outcome.is_ok()).count();
            let maybe = of_it().filter(|one| may_have_happened(&one.outcome)).count();
            if !(done..=done + maybe).contains(&sum) {
                problems.push(format!("{counter} is {sum}; {done} were added, {maybe} perhaps"));
            }
        }
        problems
    }
}

impl Load<'_> {
    /// What went wrong with the keys of servers that were well all the time, but for what was late on a machine that held
    /// plain clients of these servers up in that moment.
    pub fn judge_others(&self, records: &[Record]) -> Vec<String> {
        let of_others = |one: &&Record| match &one.ask {
            Ask::GetMany(_) => false,
            ask => self.servers.server_of(self.port, keys_of(ask)[0]) != 0,
        };
        let others: Vec<_> = records.iter().filter(of_others).collect();
        let witness = self.witness.lock().unwrap();
        let failed: Vec<_> = others.iter().filter(|one| !one.outcome.is_ok() && !witness.excuses(one)).collect();
        if failed.is_empty() {
            return Vec::new();
        }
        let shown: Vec<_> = failed.iter().take(3).map(|one| format!("{:?}: {:?}", one.ask, one.outcome)).collect();
        vec![format!(
            "{} of {} calls to servers that were well failed: {}",
            failed.len(),
            others.len(),
            shown.join("; ")
        )]
    }
}

/// Numbers of the values that a key can have in the end. A write that perhaps happened can have overtaken a later one,
/// on a connection that was given up.
fn possible_values(key: &str, records: &[Record]) -> HashSet<u64> {
    let mut possible = HashSet::new();
    let mut last = (None, 0);
    for record in records {
        match &record.ask {
            Ask::Set(name, number) if name == key => {
                if may_have_happened(&record.outcome) {
                    possible.insert(*number);
                } else if record.outcome.is_ok() && last.0.is_none_or(|begun| begun <= record.begun) {
                    last = (Some(record.begun), *number);
                }
            }
            _ => {}
        }
    }
    possible.insert(last.1);
    possible
}

/// Whether it failed and may have happened all the same.
pub fn may_have_happened(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(error) if error.may_have_happened())
}

/// What is under way on the asynchronous face.
#[derive(Default)]
struct Flight {
    state: Mutex<State>,
    landed: Condvar,
}

#[derive(Default)]
struct State {
    begun: Vec<(Ask, Instant)>,
    answered: HashSet<u64>,
    records: Vec<Record>,
}

impl Flight {
    /// Waits for room, and notes that an operation begins.
    fn begin(self: &Arc<Self>, ask: Ask) -> (u64, Arc<dyn Sink>) {
        let state = self.state.lock().unwrap();
        let full = |state: &mut State| state.begun.len() - state.answered.len() >= IN_FLIGHT;
        let mut state = self.landed.wait_while(state, full).unwrap();
        let tag = state.begun.len() as u64;
        state.begun.push((ask, Instant::now()));
        (tag, self.clone())
    }

    fn settle(&self, patience: Duration) -> Vec<Record> {
        let state = self.state.lock().unwrap();
        let busy = |state: &mut State| state.answered.len() < state.begun.len();
        let (mut state, waited) = self.landed.wait_timeout_while(state, patience, busy).unwrap();
        assert!(!waited.timed_out(), "{} of {} operations were answered", state.answered.len(), state.begun.len());
        std::mem::take(&mut state.records)
    }
}

impl Sink for Flight {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        let mut state = self.state.lock().unwrap();
        for (tag, answer) in answers.drain(..) {
            assert!(state.answered.insert(tag), "operation {tag} was answered twice");
            let (ask, begun) = state.begun[usize::try_from(tag).unwrap()].clone();
            let outcome = ask.judge(answer);
            state.records.push(Record { ask, begun, took: begun.elapsed(), outcome });
        }
        self.landed.notify_all();
    }
}

/// What calls may answer.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The deadline that each had.
    pub budget: Budget,
    /// The server's answers were garbage: a retry is not known to help, and other kinds of errors can come.
    pub garbage: bool,
    /// The server lost what it had.
    pub forgets: bool,
}

impl Rules {
    /// What is wrong with these calls, in words.
    pub fn judge(&self, records: &[Record]) -> Vec<String> {
        let mut problems = Problems::default();
        let mut sums = HashSet::new();
        let never = never_written(records);
        for Record { ask, took, outcome, .. } in records {
            if *took > self.budget.total() + GATE {
                problems.add("late", format!("{took:?} for {ask:?}: {outcome:?}"));
            }
            match outcome {
                Outcome::Gone if !self.forgets => problems.add("gone", format!("{ask:?} found nothing")),
                Outcome::Wrong(what) => problems.add("wrong", what.clone()),
                Outcome::Failed(error) => {
                    let expected = matches!(error.kind(), Kind::Connection | Kind::Timeout)
                        || (self.garbage && matches!(error.kind(), Kind::TooBig | Kind::Server));
                    if !expected || !(error.is_retriable() || self.garbage) {
                        problems.add("status", format!("{ask:?}: {error:?}"));
                    }
                    if error.may_have_happened() && !ask.writes() {
                        problems.add("status", format!("a read may have happened: {error:?}"));
                    }
                }
                Outcome::Sum(sum) if !self.forgets => {
                    if let Ask::Incr(key) = ask
                        && !sums.insert((key, *sum))
                    {
                        problems.add("sum", format!("{key} was {sum} for two callers"));
                    }
                }
                Outcome::Found(numbers) => {
                    for (key, number) in keys_of(ask).into_iter().zip(numbers) {
                        if never.contains(&(key, *number)) {
                            problems.add("ghost", format!("{key} had {number}, which was said not to have happened"));
                        }
                    }
                }
                Outcome::Missing | Outcome::Gone | Outcome::Stored | Outcome::Sum(_) => {}
            }
        }
        problems.told()
    }
}

fn keys_of(ask: &Ask) -> Vec<&str> {
    match ask {
        Ask::Get(key) | Ask::GetMissing(key) | Ask::Set(key, _) | Ask::Incr(key) => vec![key],
        Ask::GetMany(keys) => keys.iter().map(String::as_str).collect(),
    }
}

/// Writes that failed and are said not to have happened.
fn never_written(records: &[Record]) -> HashSet<(&str, u64)> {
    let unsent = |record: &&Record| !record.outcome.is_ok() && !may_have_happened(&record.outcome);
    let named = |record| match record {
        &Record { ask: Ask::Set(ref key, number), .. } => Some((key.as_str(), number)),
        _ => None,
    };
    records.iter().filter(unsent).filter_map(named).collect()
}

/// Problems by sort, a few of each.
#[derive(Default)]
struct Problems(HashMap<&'static str, (usize, Vec<String>)>);

impl Problems {
    fn add(&mut self, sort: &'static str, text: String) {
        let (count, shown) = self.0.entry(sort).or_default();
        *count += 1;
        if shown.len() < 3 {
            shown.push(text);
        }
    }

    fn told(self) -> Vec<String> {
        let mut told: Vec<_> = self.0.into_iter().collect();
        told.sort();
        told.into_iter().map(|(sort, (count, shown))| format!("{count} × {sort}: {}", shown.join("; "))).collect()
    }
}

/// The times and the outcomes of some calls.
pub struct Summary {
    /// How many there were.
    pub calls: usize,
    /// How many succeeded.
    pub ok: usize,
    /// How many failed by time.
    pub timeouts: usize,
    /// How many writes failed and may have happened.
    pub maybe: usize,
    times: Vec<Duration>,
}

impl Summary {
    /// The calls that were under way between two moments.
    pub fn between(records: &[Record], from: Instant, to: Instant) -> Self {
        let met: Vec<_> = records.iter().filter(|one| one.begun < to && one.begun + one.took > from).collect();
        let failed = |one: &&&Record, kind| matches!(&one.outcome, Outcome::Failed(error) if error.kind() == kind);
        let mut times: Vec<_> = met.iter().map(|one| one.took).collect();
        times.sort();
        Self {
            calls: met.len(),
            ok: met.iter().filter(|one| one.outcome.is_ok()).count(),
            timeouts: met.iter().filter(|one| failed(one, Kind::Timeout)).count(),
            maybe: met.iter().filter(|one| may_have_happened(&one.outcome)).count(),
            times,
        }
    }

    /// The time that so many of a hundred calls did not need.
    pub fn percentile(&self, percent: usize) -> Duration {
        let at = (self.times.len() * percent).div_ceil(100).saturating_sub(1);
        self.times.get(at).copied().unwrap_or_default()
    }
}

/// The head of the table that [`row`] writes the rows of.
pub fn head() -> String {
    let mut head = String::from("\n");
    let _ = write!(head, "{:<34} {:<5} {:>6} {:>6} {:>6} {:>6}", "fault", "face", "calls", "ok", "failed", "late");
    let _ = write!(head, " {:>8} {:>8} {:>8} {:>8} {:>8}", "50 %", "99 %", "max", "deadline", "well in");
    head
}

/// One row, in ms. `late` counts time-outs; `well` is how long after the fault everything worked again.
pub fn row(name: &str, face: Face, summary: &Summary, budget: Budget, well: Option<Duration>) -> String {
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
    let face = if face == Face::Synchronous { "sync" } else { "async" };
    let Summary { calls, ok, timeouts, .. } = summary;
    let mut row = format!("{name:<34} {face:<5} {calls:>6} {ok:>6} {:>6} {timeouts:>6}", calls - ok);
    for time in [summary.percentile(50), summary.percentile(99), summary.percentile(100), budget.total()] {
        let _ = write!(row, " {:>8}", ms(time));
    }
    let _ = write!(row, " {:>8}", well.map_or_else(|| "never".into(), ms));
    row
}
