//! The scenarios of golden/behaviour.json: every backend of this library answers every call as the Python backend does
//! (contract: O, T, L, FB, DB, R, M, DR rules, 1.17; the golden data was recorded from the Python packages, and where it
//! has no answers, Python gives them now).
#![cfg(all(
    feature = "memory",
    feature = "file",
    feature = "redis",
    feature = "memcached",
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql",
    feature = "diskcache"
))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "conformance/backends.rs"]
mod backends;
mod common;
#[path = "conformance/departures.rs"]
mod departures;
#[path = "conformance/perform.rs"]
mod perform;
#[path = "conformance/places.rs"]
mod places;
#[path = "conformance/plugged.rs"]
mod plugged;
#[path = "conformance/scenario.rs"]
mod scenario;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use backends::{BACKENDS, Backend};
use common::{client, golden};
use departures::{DEPARTURES, Departure};
use perform::Performer;
use places::Places;
use scenario::{Outcome, Scenario, Step};

/// A scenario with times to live says nothing about the library when the machine needed this long for the calls.
const TOO_SLOW: Duration = Duration::from_millis(150);

/// Seconds in which the backends begin one after the other.
const TURNS: u64 = 4;

/// For so long a scenario that was too slow may begin again: what the others cost is over by then.
const PATIENCE: Duration = Duration::from_mins(3);

#[test]
fn every_backend_answers_as_its_python_twin() {
    let _plugged_in = plugged::Registered::new();
    let scenarios = Scenario::all();
    assert!(scenarios.len() > 50, "the golden data has fewer scenarios than it had");
    let places = Places::new(&scenarios);
    let standards = standards(&scenarios, &places);
    let seen = Mutex::new((Vec::new(), Vec::new()));
    thread::scope(|threads| {
        for (turn, backend) in (0..).zip(&BACKENDS) {
            let left = Mutex::new(standards.iter().filter(move |standard| standard.backend.name == backend.name));
            let left = Arc::new(left);
            for _ in 0..backend.at_once().min(scenarios.len()) {
                let (left, places, seen) = (Arc::clone(&left), &places, &seen);
                threads.spawn(move || {
                    let next = || left.lock().unwrap().next();
                    while let Some(standard) = next() {
                        let (unlike, departed) = judge(standard, places, turn);
                        let mut seen = seen.lock().unwrap();
                        seen.0.extend(unlike);
                        seen.1.extend(departed);
                    }
                });
            }
        }
    });
    let (unlike, departed) = seen.into_inner().unwrap();
    assert!(unlike.is_empty(), "{} answers are not those of Python:\n{}", unlike.len(), unlike.join("\n"));
    for departure in &DEPARTURES {
        assert!(
            departed.contains(&departure),
            "larder does not depart any more, take it from the table: {departure:?}"
        );
    }
    client::assert_nothing_is_left();
}

/// What a backend has to answer to a scenario.
struct Standard<'a> {
    scenario: &'a Scenario,
    number: usize,
    backend: &'static Backend,
    /// To each step; nothing to a `sleep`.
    answers: Vec<Option<Outcome>>,
}

/// All standards: from the golden data, and from Python where that has none.
fn standards<'a>(scenarios: &'a [Scenario], places: &Places) -> Vec<Standard<'a>> {
    let mut standards: Vec<_> = BACKENDS
        .iter()
        .flat_map(|backend| {
            let concerned = scenarios.iter().enumerate().filter(|(_, scenario)| scenario.concerns(backend));
            concerned.map(move |(number, scenario)| {
                let answer =
                    |(number, step): (usize, &Step)| step.sleep().is_none().then(|| scenario.golden(backend, number));
                let answers = scenario.steps.iter().enumerate().map(answer).collect();
                Standard { scenario, number, backend, answers }
            })
        })
        .collect();
    let mut judged: Vec<_> = standards.iter_mut().filter(|standard| standard.backend.has_twin).collect();
    let runs: Vec<_> = judged.iter().map(|standard| (standard.number, standard.backend)).collect();
    for (standard, told) in judged.iter_mut().zip(places.ask_python(&runs)) {
        let told = golden::list(&told).iter().map(|answer| (!answer.is_null()).then(|| Outcome::told(answer)));
        standard.answers = told.collect();
    }
    standards
}

/// What was unlike the standard, and which documented departures were seen.
fn judge(standard: &Standard<'_>, places: &Places, turn: u32) -> (Vec<String>, Vec<&'static Departure>) {
    let (scenario, backend) = (standard.scenario, standard.backend);
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let config = places.config(backend, standard.number, scenario);
        let performer = match Performer::new(config, backend) {
            Ok(performer) => performer,
            Err(failure) => return (vec![format!("{}, {:?}: {failure:?}", backend.name, scenario.name)], Vec::new()),
        };
        if scenario.start_at_full_second {
            wait_for_a_full_second(turn);
        }
        let (outcomes, busy) = run(scenario, &performer);
        let found = compare(standard, &outcomes);
        if found.0.is_empty() || !scenario.has_times || busy < TOO_SLOW {
            return found;
        }
    }
    (vec![format!("{}, {:?}: the machine is too slow for this test", backend.name, scenario.name)], Vec::new())
}

/// The outcome of each step, and how long the calls took, without the waiting that the scenario asks for.
fn run(scenario: &Scenario, performer: &Performer) -> (Vec<Option<Outcome>>, Duration) {
    let mut busy = Duration::ZERO;
    let outcomes = scenario.steps.iter().map(|step| {
        if let Some(seconds) = step.sleep() {
            thread::sleep(seconds);
            return None;
        }
        let begin = Instant::now();
        let outcome = performer.perform(step);
        busy += begin.elapsed();
        Some(outcome)
    });
    (outcomes.collect(), busy)
}

fn compare(standard: &Standard<'_>, outcomes: &[Option<Outcome>]) -> (Vec<String>, Vec<&'static Departure>) {
    let (scenario, backend) = (standard.scenario, standard.backend);
    let (mut unlike, mut departed) = (Vec::new(), Vec::new());
    for (number, outcome) in outcomes.iter().enumerate() {
        let Some(outcome) = outcome else { continue };
        let golden = standard.answers[number].as_ref().unwrap();
        if let Some(departure) = Departure::find(&scenario.name, backend, number) {
            assert_eq!(*golden, departure.python.outcome(), "the table does not say what Python does: {departure:?}");
            if *outcome == departure.larder.outcome() {
                departed.push(departure);
                continue;
            }
        }
        if outcome != golden {
            let step = &scenario.steps[number];
            unlike.push(format!(
                "  {}, {:?}, step {number}, {step}: {outcome}, but Python: {golden}",
                backend.name, scenario.name
            ));
        }
    }
    (unlike, departed)
}

/// Waits for the beginning of a clock second; the backends take turns, so as not to be in each other's way.
fn wait_for_a_full_second(turn: u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let to_next = Duration::from_nanos(u64::from(1_000_000_000 - since.subsec_nanos()));
    let next = since.as_secs() + 1;
    let more = (u64::from(turn) % TURNS + TURNS - next % TURNS) % TURNS;
    thread::sleep(to_next + Duration::from_secs(more));
}
