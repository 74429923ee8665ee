//! When to try a server again: at once after a connection that worked, then after pauses that grow up to a limit and
//! differ from client to client, so that those of a restarted server do not all come at the same moment.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Error;

/// The first pause, which is doubled with each failure.
const SHORTEST: Duration = Duration::from_millis(10);
/// The longest pause, before it is varied.
const LONGEST: Duration = Duration::from_secs(1);
/// The longest one where the server can move: it may be found elsewhere at any moment.
const LONGEST_SEARCH: Duration = Duration::from_millis(160);
/// A server that was there so short a time ago is perhaps only being restarted: what is queued waits for it.
const GRACE: Duration = Duration::from_millis(500);

/// How it went lately.
#[derive(Debug, Default)]
pub(crate) struct Healing {
    /// Failures in a row.
    failures: u32,
    /// Not to be tried before.
    not_before: Option<Instant>,
    /// When a connection was lost that had worked.
    lost: Option<Instant>,
    /// Why there is none, by the last try.
    why: Option<Arc<str>>,
}

impl Healing {
    /// The server answered.
    pub(crate) fn worked(&mut self) {
        *self = Self::default();
    }

    /// A connection that had worked was lost.
    pub(crate) fn lost(&mut self, now: Instant) {
        *self = Self { lost: Some(now), ..Self::default() };
    }

    /// There was no connection, or it was lost before it worked. How long to wait now; not as long where the server
    /// `moves`.
    pub(crate) fn failed(&mut self, now: Instant, moves: bool) -> Duration {
        let pause = pause(self.failures, if moves { LONGEST_SEARCH } else { LONGEST });
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + pause);
        pause
    }

    /// Whether the failures in a row have doubled since this last was so.
    pub(super) fn is_milestone(&self) -> bool {
        self.failures.is_power_of_two()
    }

    /// Remembers what the last try came to, for those whose deadline passes while they wait. One that moves names where
    /// the server was looked for.
    pub(super) fn note(&mut self, error: &Error) {
        let place = error.server().map(|server| format!("{server}: ")).unwrap_or_default();
        self.why = Some(format!("; the last try: {place}{}", error.reason()).into());
    }

    /// What there is to be said besides what a call waited for; empty where nothing has failed.
    pub(super) fn why(&self) -> Arc<str> {
        self.why.clone().unwrap_or_default()
    }

    /// Until when to wait.
    pub(super) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Whether the server was there a moment ago.
    pub(super) fn was_there(&self, now: Instant) -> bool {
        self.lost.is_some_and(|lost| now.saturating_duration_since(lost) < GRACE)
    }
}

/// The pause after so many failures in a row, where the server can move.
pub(super) fn short_pause(failures: u32) -> Duration {
    pause(failures, LONGEST_SEARCH)
}

fn pause(failures: u32, longest: Duration) -> Duration {
    varied(SHORTEST.saturating_mul(1 << failures.min(16)).min(longest))
}

/// Between half and one and a half times a pause.
fn varied(pause: Duration) -> Duration {
    let dice = RandomState::new().hash_one(0) % 1001; // seeded by the system
    pause / 2 + pause.mul_f64(f64::from(u32::try_from(dice).unwrap_or(0)) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let (mut healing, now) = (Healing::default(), Instant::now());
        assert_eq!(healing.not_before(), None);
        for failure in 0..100 {
            let plain = SHORTEST.saturating_mul(1 << failure.min(16)).min(LONGEST);
            let pause = healing.failed(now, false);
            assert!(pause >= plain / 2 && pause <= plain * 3 / 2, "{pause:?} after {failure}");
            assert_eq!(healing.not_before(), Some(now + pause));
        }
        healing.lost(now);
        assert!(healing.not_before().is_none() && healing.was_there(now) && !healing.was_there(now + GRACE));
        assert!(healing.failed(now, false) <= SHORTEST * 3 / 2);
        healing.worked();
        assert!(!healing.was_there(now));
        let pauses: std::collections::HashSet<_> = (0..50).map(|_| varied(LONGEST)).collect();
        assert!(pauses.len() > 10, "all clients would come at once");
    }
}
