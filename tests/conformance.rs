//! The scenarios of golden/behaviour.json: every backend of this library answers every call as the Python backend does
//! (contract: O, T, L, FB, R, DR rules; the golden data was recorded from the Python packages).
#![cfg(all(feature = "memory", feature = "file", feature = "redis"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "conformance/backends.rs"]
mod backends;
mod common;
#[path = "conformance/departures.rs"]
mod departures;
#[path = "conformance/perform.rs"]
mod perform;
#[path = "conformance/scenario.rs"]
mod scenario;

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backends::{BACKENDS, Backend, Places};
use common::client;
use departures::{DEPARTURES, Departure};
use perform::Performer;
use scenario::{Outcome, Scenario};

/// A scenario with times to live says nothing about the library when the machine needed this long for the calls.
const TOO_SLOW: Duration = Duration::from_millis(150);

/// How often a scenario that was too slow may begin again.
const ATTEMPTS: u32 = 10;

#[test]
fn every_backend_answers_as_its_python_twin() {
    let scenarios = Scenario::all();
    assert!(scenarios.len() > 50, "the golden data has fewer scenarios than it had");
    let places = Places::new(&scenarios);
    let seen = Mutex::new((Vec::new(), Vec::new()));
    thread::scope(|threads| {
        for (turn, backend) in (0..).zip(&BACKENDS) {
            for (number, scenario) in scenarios.iter().enumerate().filter(|(_, one)| one.concerns(backend)) {
                let (places, seen) = (&places, &seen);
                threads.spawn(move || {
                    let (unlike, departed) = judge(scenario, backend, places, number, turn);
                    let mut seen = seen.lock().unwrap();
                    seen.0.extend(unlike);
                    seen.1.extend(departed);
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

/// What was unlike the golden data, and which documented departures were seen.
fn judge(
    scenario: &Scenario,
    backend: &Backend,
    places: &Places,
    number: usize,
    turn: u32,
) -> (Vec<String>, Vec<&'static Departure>) {
    for _ in 0..ATTEMPTS {
        let performer = Performer::new(places.config(backend, number, scenario), backend);
        if scenario.start_at_full_second {
            wait_for_a_full_second(turn);
        }
        let (outcomes, busy) = run(scenario, &performer);
        let found = compare(scenario, backend, &outcomes);
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
        let begin = std::time::Instant::now();
        let outcome = performer.perform(step);
        busy += begin.elapsed();
        Some(outcome)
    });
    (outcomes.collect(), busy)
}

fn compare(
    scenario: &Scenario,
    backend: &Backend,
    outcomes: &[Option<Outcome>],
) -> (Vec<String>, Vec<&'static Departure>) {
    let (mut unlike, mut departed) = (Vec::new(), Vec::new());
    for (number, outcome) in outcomes.iter().enumerate() {
        let Some(outcome) = outcome else { continue };
        let golden = scenario.golden(backend, number);
        if let Some(departure) = Departure::find(&scenario.name, backend, number) {
            assert_eq!(golden, departure.python.outcome(), "the table does not say what Python does: {departure:?}");
            if *outcome == departure.larder.outcome() {
                departed.push(departure);
                continue;
            }
        }
        if *outcome != golden {
            let step = &scenario.steps[number];
            unlike.push(format!(
                "  {}, {:?}, step {number}, {step}: {outcome}, but Python: {golden}",
                backend.name, scenario.name
            ));
        }
    }
    (unlike, departed)
}

/// Waits for the beginning of a clock second; backends take different ones, so as not to be in each other's way.
fn wait_for_a_full_second(turn: u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let period = u32::try_from(BACKENDS.len()).unwrap();
    let to_next = Duration::from_nanos(u64::from(1_000_000_000 - since.subsec_nanos()));
    let next = since.as_secs() + 1;
    let more = (u64::from(turn) + u64::from(period) - next % u64::from(period)) % u64::from(period);
    thread::sleep(to_next + Duration::from_secs(more));
}
