//! A server that failed again and again is left alone for a short while: calls fail at once, then one is let through.
//!
//! While all is well a call pays for one relaxed load. What races can do is harmless: a probe more or less.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::config::BreakerRule;
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;
use crate::log::{Level, Log};
use crate::timeout::Deadline;

/// A call that was given less says nothing about the server when its time is over.
const FAIR: Duration = Duration::from_millis(100);
/// A probe of which nothing is heard for so long makes room for another.
const PROBE: Duration = Duration::from_secs(2);
/// So long after a pause with no call at all it is as if only one failure more were missing.
const QUIET: Duration = Duration::from_secs(1);
/// How often the pause is doubled while probes fail.
const DOUBLINGS: u32 = 3;

/// Below this the state counts failures in a row.
const OPEN: u32 = 1 << 30;
/// Open, and a call is on its way to try the server.
const PROBING: u32 = OPEN + 1;

/// The breaker of one server, shared by its transports.
pub(super) struct Breaker {
    rule: Option<BreakerRule>,
    shown: Arc<str>,
    log: Arc<dyn Log>,
    made: Instant,
    state: AtomicU32,
    /// While open: when a call is let through next, in nanoseconds since `made`.
    until: AtomicU64,
    /// Openings since the server last answered.
    in_a_row: AtomicU32,
    opened: AtomicU64,
    refused: AtomicU64,
    /// The last failure, for messages.
    why: Mutex<Option<Error>>,
    /// Hears the same, for who decides about using the server at all.
    watch: Option<Arc<dyn Watch>>,
    /// Pauses do not grow.
    eager: bool,
}

/// Hears how a server does. Called on the way of every operation: must be quick.
pub(crate) trait Watch: Send + Sync {
    /// It could not be reached, or did not answer.
    fn failed(&self);

    /// It answered.
    fn worked(&self);
}

/// What the outcome of a call says about the server.
enum Verdict {
    Well,
    Ill,
    Nothing,
}

impl Breaker {
    /// The breaker of the server `shown`; without a rule it never opens.
    pub(super) fn new(rule: Option<BreakerRule>, shown: Arc<str>, log: Arc<dyn Log>) -> Self {
        Self {
            rule,
            shown,
            log,
            made: Instant::now(),
            state: AtomicU32::new(0),
            until: AtomicU64::new(0),
            in_a_row: AtomicU32::new(0),
            opened: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            why: Mutex::default(),
            watch: None,
            eager: false,
        }
    }

    /// The same, with pauses that do not grow: for a server whose place another one can take at any moment.
    pub(super) fn eager(self, eager: bool) -> Self {
        Self { eager, ..self }
    }

    /// The same, with somebody who hears of it.
    pub(super) fn watched(self, watch: Option<Arc<dyn Watch>>) -> Self {
        Self { watch, ..self }
    }

    /// Whether a call with this deadline may go to the server now. Should it be the probe and never be heard of again,
    /// another one is let through when its time is over.
    pub(super) fn admit_for(&self, deadline: &Deadline) -> Result<()> {
        if self.state.load(Ordering::Relaxed) < OPEN { Ok(()) } else { self.admit_probe(deadline.total()) }
    }

    /// The server answered.
    pub(super) fn worked(&self) {
        if let Some(watch) = &self.watch {
            watch.worked();
        }
        if self.state.load(Ordering::Relaxed) == 0 {
            return;
        }
        let before = self.state.swap(0, Ordering::AcqRel);
        self.in_a_row.store(0, Ordering::Relaxed);
        if before >= OPEN {
            self.log.record(Level::Info, &format_args!("{}: the server answers again", self.shown));
        }
    }

    /// A call that was admitted failed with `error`; counts only what says that the server is not well.
    pub(super) fn failed(&self, error: &Error, deadline: &Deadline) {
        match verdict(error, deadline) {
            Verdict::Well => self.worked(),
            Verdict::Ill => {
                if let Some(watch) = &self.watch {
                    watch.failed();
                }
                if let Some(rule) = &self.rule {
                    self.count(rule, error);
                }
            }
            Verdict::Nothing => self.abstained(),
        }
    }

    /// A call that was admitted ended without having asked the server: if it was the probe, the next one is.
    pub(super) fn abstained(&self) {
        if self.state.load(Ordering::Relaxed) == PROBING
            && self.state.compare_exchange(PROBING, OPEN, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            self.until.store(self.now(), Ordering::Release);
        }
    }

    /// Whether calls fail at once now: for those who can go elsewhere.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    pub(super) fn rests(&self) -> bool {
        self.is_open() && self.now() < self.until.load(Ordering::Acquire)
    }

    /// Whether the server failed too often, and has not answered since.
    pub(super) fn is_open(&self) -> bool {
        self.state.load(Ordering::Relaxed) >= OPEN
    }

    /// How often it opened.
    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Calls that failed at once.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn admit_probe(&self, patience: Duration) -> Result<()> {
        let (now, until) = (self.now(), self.until.load(Ordering::Acquire));
        if now >= until.saturating_add(nanos(QUIET)) && self.state.load(Ordering::Relaxed) == OPEN {
            // Nobody asked for so long: a burst that finds the server well again is not to be refused for its first call.
            // The next failure opens it at once.
            let limit = self.rule.as_ref().map_or(1, |rule| rule.failures.clamp(1, OPEN - 1));
            let _ = self.state.compare_exchange(OPEN, limit - 1, Ordering::AcqRel, Ordering::Relaxed);
            return Ok(());
        }
        let next = now.saturating_add(nanos(patience.min(PROBE)));
        if now >= until && self.until.compare_exchange(until, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            // It is PROBING already where a probe was lost.
            let _ = self.state.compare_exchange(OPEN, PROBING, Ordering::AcqRel, Ordering::Relaxed);
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let last = self.why.lock().clone();
        // No numbers that change with each call: whoever gathers messages wants few different ones.
        let reason = format!(
            "the server failed again and again, and calls fail at once until it answers a try; the last failure: {}",
            last.as_ref().map_or("unknown", Error::reason)
        );
        Err(Error::new(Kind::Connection, reason).retriable_if(last.is_none_or(|last| last.is_retriable())))
    }

    fn count(&self, rule: &BreakerRule, error: &Error) {
        let limit = rule.failures.clamp(1, OPEN - 1);
        let next = |state: u32| match state {
            OPEN => None, // a call from before: nothing new
            PROBING => Some(OPEN),
            failures if failures + 1 >= limit => Some(OPEN),
            failures => Some(failures + 1),
        };
        let mut state = self.state.load(Ordering::Relaxed);
        while let Some(wanted) = next(state) {
            // Before the state says that it counts.
            let pause = (wanted == OPEN).then(|| self.rest(rule));
            match self.state.compare_exchange(state, wanted, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return pause.into_iter().for_each(|pause| self.tell_opened(pause, error)),
                Err(other) => state = other,
            }
        }
    }

    /// Fixes when a call is let through next: each time in a row twice as late, up to eight times, and not all
    /// processes at once.
    fn rest(&self, rule: &BreakerRule) -> Duration {
        let doublings = if self.eager { 0 } else { self.in_a_row.load(Ordering::Relaxed).min(DOUBLINGS) };
        let pause = rule.pause.saturating_mul(1 << doublings);
        let jitter = u32::from(RandomState::new().hash_one(self.now()).to_le_bytes()[0]); // of 255
        let pause = pause.saturating_add(pause / 8 * jitter / 255);
        self.until.store(self.now().saturating_add(nanos(pause)), Ordering::Release);
        pause
    }

    fn tell_opened(&self, pause: Duration, error: &Error) {
        self.in_a_row.fetch_add(1, Ordering::Relaxed);
        self.opened.fetch_add(1, Ordering::Relaxed);
        *self.why.lock() = Some(error.clone());
        let (shown, failures, pause, why) = (&self.shown, self.failures(), pause.as_millis(), error.reason());
        self.log.record(
            Level::Warning,
            &format_args!("{shown}: failed {failures} times in a row; calls fail at once for {pause} ms: {why}"),
        );
    }

    /// Failures in a row, as far as they were counted.
    fn failures(&self) -> u32 {
        let limit = self.rule.as_ref().map_or(0, |rule| rule.failures.max(1));
        limit.saturating_add(self.in_a_row.load(Ordering::Relaxed).saturating_sub(1))
    }

    fn now(&self) -> u64 {
        nanos(self.made.elapsed())
    }
}

fn verdict(error: &Error, deadline: &Deadline) -> Verdict {
    match error.kind() {
        Kind::Connection => Verdict::Ill,
        Kind::Timeout if deadline.total() >= FAIR => Verdict::Ill,
        Kind::Server | Kind::Type => Verdict::Well, // it answered
        _ => Verdict::Nothing,
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;
    use crate::timeout::Budget;

    #[derive(Default)]
    struct Records(Mutex<Vec<(Level, String)>>);

    impl Log for Records {
        fn record(&self, level: Level, text: &fmt::Arguments<'_>) {
            self.0.lock().push((level, text.to_string()));
        }
    }

    const PAUSE: Duration = Duration::from_millis(40);

    impl Breaker {
        fn admit(&self) -> Result<()> {
            self.admit_for(&within(5000))
        }
    }

    fn breaker(failures: u32) -> (Breaker, Arc<Records>) {
        let records = Arc::new(Records::default());
        let rule = BreakerRule { failures, pause: PAUSE };
        (Breaker::new(Some(rule), "redis://h".into(), records.clone()), records)
    }

    fn refused() -> Error {
        Error::new(Kind::Connection, "cannot connect")
    }

    fn within(millis: u64) -> Deadline {
        Budget::new(Duration::from_millis(millis)).start()
    }

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.admit().unwrap();
            breaker.failed(&refused(), &within(1000));
        }
    }

    #[test]
    fn opens_after_failures_in_a_row_and_says_so() {
        let (breaker, records) = breaker(3);
        fail(&breaker, 2);
        breaker.worked();
        fail(&breaker, 2);
        assert!(records.0.lock().is_empty() && !breaker.is_open());
        fail(&breaker, 1);
        let error = breaker.admit().unwrap_err();
        assert_eq!((error.kind(), error.is_retriable()), (Kind::Connection, true));
        let reason = error.reason();
        assert!(
            reason.starts_with("the server failed again and again, and calls fail at once until it answers a try; ")
        );
        assert!(reason.ends_with("; the last failure: cannot connect"), "{reason}");
        assert!(breaker.is_open() && breaker.rests());
        assert_eq!((breaker.opened(), breaker.refused()), (1, 1));
        let records = records.0.lock();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].0, Level::Warning);
        assert!(records[0].1.starts_with("redis://h: failed 3 times in a row; calls fail at once for "), "{records:?}");
    }

    #[test]
    fn lets_exactly_one_through() {
        let (breaker, records) = breaker(1);
        fail(&breaker, 1);
        for round in 0..2 {
            std::thread::sleep(PAUSE * (3 << round));
            assert!(!breaker.rests());
            let admitted = std::thread::scope(|scope| {
                let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| breaker.admit().is_ok())).collect();
                calls.into_iter().filter_map(|call| call.join().ok()).filter(|admitted| *admitted).count()
            });
            assert_eq!(admitted, 1);
            assert!(breaker.admit().is_err());
            if round == 0 {
                breaker.failed(&refused(), &within(1000));
                assert!(breaker.admit().is_err());
            }
        }
        breaker.worked();
        assert!(breaker.admit().is_ok() && breaker.admit().is_ok() && !breaker.is_open());
        assert_eq!(breaker.opened(), 2);
        assert_eq!(records.0.lock().last().unwrap().0, Level::Info);
    }

    #[test]
    fn a_burst_after_a_quiet_while_is_let_through_until_the_next_failure() {
        let (breaker, _) = breaker(3);
        fail(&breaker, 3);
        std::thread::sleep(PAUSE * 2 + QUIET);
        assert!((0..8).all(|_| breaker.admit().is_ok()));
        breaker.failed(&refused(), &within(1000));
        assert!(breaker.admit().is_err());
        assert_eq!(breaker.opened(), 2);
    }

    #[test]
    fn a_refusal_advises_as_the_failure_before_it() {
        let (breaker, _) = breaker(1);
        breaker.failed(&refused().retriable_if(false), &within(1000));
        assert!(!breaker.admit().unwrap_err().is_retriable());
    }

    #[test]
    fn the_pause_grows_up_to_eight_times() {
        let (breaker, _) = breaker(1);
        let rule = BreakerRule { failures: 1, pause: PAUSE };
        for factor in [1, 2, 4, 8, 8, 8] {
            let pause = breaker.rest(&rule);
            assert!(pause >= PAUSE * factor && pause <= PAUSE * factor * 9 / 8, "{pause:?}");
            breaker.tell_opened(pause, &refused());
        }
    }

    #[test]
    fn a_probe_that_is_not_heard_of_makes_room() {
        let (breaker, _) = breaker(1);
        fail(&breaker, 1);
        std::thread::sleep(PAUSE * 2);
        breaker.admit_for(&within(30)).unwrap();
        assert!(breaker.admit().is_err());
        std::thread::sleep(Duration::from_millis(60));
        breaker.admit().unwrap();
        // One that never asked makes room at once.
        breaker.abstained();
        breaker.admit().unwrap();
        assert!(breaker.admit().is_err());
    }

    #[test]
    fn only_what_says_something_counts() {
        let (breaker, _) = breaker(1);
        let late = || Error::new(Kind::Timeout, "late");
        breaker.failed(&late(), &within(99));
        breaker.failed(&Error::new(Kind::Memory, "no memory"), &within(1000));
        breaker.failed(&Error::new(Kind::Server, "the server answered: LOADING"), &within(1000));
        assert!(!breaker.is_open());
        breaker.failed(&late(), &within(100));
        assert!(breaker.is_open());
        breaker.failed(&Error::new(Kind::Type, "a list"), &within(1000));
        assert!(!breaker.is_open());
        let off = Breaker::new(None, "redis://h".into(), Arc::new(crate::log::Silent));
        fail(&off, 100);
        assert!(!off.is_open());
    }
}
