//! Which servers keys may be given to: one that cannot be reached loses them for a while, as its client's rules say (M-6).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::backend::net::Watch;
use crate::config::Failover;
use crate::lock::Mutex;
use crate::log::{Level, Log};

/// How one server stands.
pub(super) struct Standing {
    rule: Failover,
    shown: Arc<str>,
    log: Arc<dyn Log>,
    made: Instant,
    /// Until when it has no keys, in ms since `made`; 0: it has them.
    out_until: AtomicU64,
    /// It failed, and has not answered since.
    ill: AtomicBool,
    failures: Mutex<Failures>,
}

/// Failures that count, since the server last answered.
#[derive(Default)]
struct Failures {
    count: u32,
    last: Option<Instant>,
}

impl Standing {
    /// Of a server that has not been used yet.
    pub(super) fn new(rule: Failover, shown: Arc<str>, log: Arc<dyn Log>) -> Self {
        Self {
            rule,
            shown,
            log,
            made: Instant::now(),
            out_until: AtomicU64::new(0),
            ill: AtomicBool::new(false),
            failures: Mutex::default(),
        }
    }

    /// Whether keys may be given to it.
    pub(super) fn is_usable(&self) -> bool {
        self.out_until.load(Ordering::Acquire) == 0 || self.is_usable_at(Instant::now())
    }

    fn is_usable_at(&self, now: Instant) -> bool {
        let until = self.out_until.load(Ordering::Acquire);
        if until == 0 {
            return true;
        }
        let over = millis(now.saturating_duration_since(self.made)) >= until;
        if over && self.out_until.compare_exchange(until, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.log.record(Level::Info, &format_args!("{}: gets its keys back", self.shown));
        }
        over
    }

    /// Gives it its keys back, since there is nobody else to have them.
    pub(super) fn readmit(&self) {
        self.out_until.store(0, Ordering::Release);
    }

    /// Counts a failure; how long the server is to be out, if it was the one too many.
    fn count(&self, now: Instant) -> Option<Duration> {
        let mut failures = self.failures.lock();
        let (limit, apart, out) = match self.rule {
            Failover::None => return None,
            Failover::Rotate { attempts, retry, dead } => (attempts.saturating_add(1), retry, dead),
            Failover::Eject { failures, pause } => (failures.max(1), Duration::ZERO, pause),
        };
        if failures.last.is_some_and(|last| now.saturating_duration_since(last) < apart) {
            return None; // many calls fail at the same time
        }
        failures.count += 1;
        failures.last = Some(now);
        if failures.count < limit {
            return None;
        }
        *failures = Failures::default();
        Some(out)
    }

    fn failed_at(&self, now: Instant) {
        if self.out_until.load(Ordering::Acquire) != 0 {
            return; // what was under way
        }
        self.ill.store(true, Ordering::Relaxed);
        let Some(out) = self.count(now) else { return };
        let until = millis(now.saturating_duration_since(self.made).saturating_add(out));
        self.out_until.store(until.max(1), Ordering::Release);
        let seconds = out.as_secs_f64();
        let text = format_args!("{}: cannot be reached; its keys go to the other servers for {seconds} s", self.shown);
        self.log.record(Level::Warning, &text);
    }
}

impl Watch for Standing {
    fn failed(&self) {
        self.failed_at(Instant::now());
    }

    fn worked(&self) {
        if self.ill.load(Ordering::Relaxed) {
            self.ill.store(false, Ordering::Relaxed);
            *self.failures.lock() = Failures::default();
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl Log for Silent {
        fn record(&self, _: Level, _: &std::fmt::Arguments<'_>) {}
    }

    fn standing(rule: Failover) -> Standing {
        Standing::new(rule, "m:1".into(), Arc::new(Silent))
    }

    const MOMENT: Duration = Duration::from_secs(1);

    // M-6: pymemcache's retry_attempts more failures, retry_timeout apart, and the server is out for dead_timeout.
    #[test]
    fn a_server_that_failed_again_and_again_is_out_for_a_while() {
        let one = standing(Failover::Rotate { attempts: 2, retry: MOMENT, dead: MOMENT * 2 });
        let mut now = one.made;
        for _ in 0..100 {
            one.failed_at(now); // at the same time: one
        }
        assert!(one.is_usable_at(now));
        for out in [false, true] {
            now += MOMENT;
            one.failed_at(now);
            assert_eq!(!one.is_usable_at(now), out);
        }
        now += MOMENT;
        assert!(!one.is_usable_at(now));
        now += MOMENT;
        assert!(one.is_usable_at(now));
        one.failed_at(now);
        assert!(one.is_usable_at(now), "it begins anew");
    }

    #[test]
    fn an_answer_is_a_new_beginning() {
        let one = standing(Failover::Rotate { attempts: 1, retry: Duration::ZERO, dead: Duration::from_mins(1) });
        for _ in 0..5 {
            one.failed();
            one.worked();
        }
        assert!(one.is_usable());
        one.failed();
        one.failed();
        assert!(!one.is_usable());
    }

    #[test]
    fn without_retries_the_first_failure_counts_and_without_a_rule_none() {
        let one = standing(Failover::Rotate { attempts: 0, retry: MOMENT, dead: Duration::from_mins(1) });
        one.failed();
        assert!(!one.is_usable());
        let never = standing(Failover::None);
        (0..100).for_each(|_| never.failed());
        assert!(never.is_usable());
        let eject = standing(Failover::Eject { failures: 3, pause: Duration::from_mins(1) });
        for left in [true, true, false] {
            eject.failed();
            assert_eq!(eject.is_usable(), left);
        }
    }
}
