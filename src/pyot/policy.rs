//! For how long a store keeps what, and when a value is over (PY-E, PY-S4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::ask::TokenRef;
use super::endpoints::Table;
use super::flight::Flights;
use super::load::Loader;
use crate::config;
use crate::dice::Dice;
use crate::log;
use crate::store::{Call, Store};
use crate::timeout::{Budget, Deadline, Ttl, TtlChoice};

/// One store of a pipeline.
pub(super) struct Level {
    pub store: Arc<Store>,
    /// By endpoint; `None` where each call brings its time to live.
    pub expirations: Option<Table>,
    /// How records name it (PY-L); `None`: there are none.
    pub title: Option<String>,
    /// The level of its records.
    pub records_at: log::Level,
    /// What it may take of a call's time.
    pub budget: Duration,
    /// Whether it tells what is left of a time to live.
    pub knows_ttl: bool,
}

/// What one call is about.
#[derive(Clone, Copy)]
pub(super) struct Quest<'a> {
    pub token: TokenRef<'a>,
    /// The number of the token's endpoint, where it is one that a store knows.
    pub endpoint: Option<usize>,
    pub version: Option<&'a str>,
    pub final_key: bool,
    /// The caller's own time to live.
    pub ttl: Option<TtlChoice>,
    /// The last source, if it may be asked.
    pub loader: Option<&'a Arc<dyn Loader>>,
    pub deadline: Deadline,
    /// When the call began.
    pub began: Instant,
    /// To be set where a value is loaded anew that the call does not wait for.
    pub refreshes: Option<&'a AtomicBool>,
}

/// Whether a store keeps an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// For this time.
    For(Ttl),
    /// 0: it is neither asked nor written to.
    Never,
    /// The endpoint is not in its table, which is taken for 0 (PY-E5).
    Unknown,
}

impl<'a> Quest<'a> {
    /// For an operation on a store.
    pub fn call(&self, budget: Budget) -> Call<'a> {
        Call { version: self.version, budget: Some(budget), final_key: self.final_key }
    }

    /// What a store may take: its own time, and no more than three quarters of what is left if others come after it, so
    /// that one which hangs leaves them some. `None` when the time is over.
    pub fn budget(&self, level: &Level, is_first: bool, is_last: bool) -> Option<Budget> {
        let now = if is_first { self.began } else { Instant::now() };
        let left = self.deadline.end().checked_duration_since(now).filter(|left| !left.is_zero())?;
        let share = if is_last { left } else { left / 4 * 3 };
        Some(Budget::new(level.budget.min(share)).fixed_since(now))
    }
}

impl Level {
    /// Whether, and for how long, it keeps what a call is about.
    pub fn keeps(&self, quest: &Quest<'_>) -> Keeps {
        match &self.expirations {
            Some(table) => table.of(quest.endpoint),
            None => Keeps::For(self.store.life(quest.ttl.unwrap_or(TtlChoice::Default))),
        }
    }
}

/// How what no store has is loaded.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What a loader may take.
    pub timeout: Duration,
    /// How long the lock that all processes take before they load is held at most; `None`: there is no such lock.
    pub lock: Option<Duration>,
    /// How long what has expired is still served while one caller loads it anew.
    pub grace: Duration,
    /// How eager callers are to load before the end (XFetch's beta); 0: not at all.
    pub early: f64,
    /// The part of a time to live by which expiries are spread.
    pub jitter: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self::from(&config::Loading::default())
    }
}

impl From<&config::Loading> for Rules {
    fn from(loading: &config::Loading) -> Self {
        let config::Loading { timeout, lock, grace, early, jitter } = loading;
        let lock = lock.as_ref().map(|lock| lock.ttl);
        Self { timeout: *timeout, lock, grace: *grace, early: *early, jitter: *jitter }
    }
}

/// What decides about times.
pub(super) struct Times {
    pub rules: Rules,
    grace_ms: i64,
    dice: Dice,
    flights: Arc<Flights>,
}

impl Times {
    pub fn new(rules: Rules, flights: Arc<Flights>) -> Self {
        let grace_ms = i64::try_from(rules.grace.as_millis()).unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
        Self { rules, grace_ms, dice: Dice::new(), flights }
    }

    /// Whether what is left of a value that was found has to be known.
    pub fn watches(&self, may_load: bool) -> bool {
        self.grace_ms > 0 || (self.rules.early > 0.0 && may_load)
    }

    /// A value that is kept for more than so many milliseconds is fresh; -1: any is.
    pub fn least(&self) -> i64 {
        if self.grace_ms > 0 { self.grace_ms } else { -1 }
    }

    /// Whether what is over is served for a while.
    pub fn has_grace(&self) -> bool {
        self.grace_ms > 0
    }

    /// What a value is written with that is to live so long. `None` if a store would not keep it at all.
    pub fn written(&self, level: &Level, ttl: Ttl) -> Option<Ttl> {
        let Ttl::Millis(millis @ 1..) = ttl else { return Some(ttl).filter(|ttl| *ttl == Ttl::Forever) };
        let grace = if level.knows_ttl { self.grace_ms } else { 0 };
        let spread = Ttl::Millis(self.spread(millis).saturating_add(grace));
        let is_kept = |ttl: &Ttl| !level.store.is_spent(TtlChoice::Of(*ttl));
        // the spreading alone does not end a life
        [spread, Ttl::Millis(millis.saturating_add(grace))].into_iter().find(is_kept)
    }

    /// A time to live times something between 1 - jitter and 1 + jitter.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a time, and it saturates")]
    fn spread(&self, millis: i64) -> i64 {
        if self.rules.jitter <= 0.0 {
            return millis;
        }
        let factor = 1.0 + (self.random() * 2.0 - 1.0) * self.rules.jitter;
        (millis as f64 * factor) as i64
    }

    /// What is left of a value until it is over, of what is left until its store forgets it.
    pub fn fresh(&self, left: Ttl) -> Ttl {
        match left {
            Ttl::Millis(millis) => Ttl::Millis(millis.saturating_sub(self.grace_ms)),
            Ttl::Forever => Ttl::Forever,
        }
    }

    /// Whether somebody who finds a value that is fresh for `left` ms is to load it anew: XFetch, whose chance grows towards
    /// the end, and with the time that loads take.
    #[allow(clippy::cast_precision_loss, reason = "times")]
    pub fn is_early(&self, left: i64) -> bool {
        if self.rules.early <= 0.0 {
            return false;
        }
        let load = self.flights.usual_load.load(Ordering::Relaxed) as f64 / 1000.0;
        load * self.rules.early * -self.random().ln() >= left as f64
    }

    /// Notes how long a load took.
    pub fn took(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        let smoothed = |old: u64| if old == 0 { time } else { old - old / 4 + time / 4 };
        let (usual, relaxed) = (&self.flights.usual_load, Ordering::Relaxed);
        let _ = usual.fetch_update(relaxed, relaxed, |old| Some(smoothed(old)));
    }

    /// More than 0, and 1 at most.
    fn random(&self) -> f64 {
        let rolled = u32::try_from(self.dice.roll(1 << 32)).unwrap_or(u32::MAX);
        (f64::from(rolled) + 1.0) / 4_294_967_296.0
    }
}

/// The shorter of two times to live.
pub(super) fn shorter(one: Ttl, other: Ttl) -> Ttl {
    match (one, other) {
        (Ttl::Millis(one), Ttl::Millis(other)) => Ttl::Millis(one.min(other)),
        (Ttl::Forever, ttl) | (ttl, Ttl::Forever) => ttl,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(rules: Rules) -> Times {
        Times::new(rules, Arc::default())
    }

    #[test]
    fn early_loads_are_likelier_towards_the_end_and_for_slow_loads() {
        let times = times(Rules { early: 1.0, ..Rules::default() });
        assert!(!times.is_early(1), "nobody knows how long a load takes");
        times.took(Duration::from_millis(100));
        let often = |left| (0..2000).filter(|_| times.is_early(left)).count();
        // the chance is exp(-left / load)
        let (near, far) = (often(50), often(300));
        assert!((1000..1430).contains(&near) && (40..180).contains(&far), "{near} {far}");
        assert_eq!((often(0), often(100_000)), (2000, 0));
        for _ in 0..50 {
            times.took(Duration::from_millis(400)); // it follows
        }
        assert!((1600..1900).contains(&often(60)));
        let never = super::Times::new(Rules::default(), times.flights.clone());
        assert!(!never.is_early(0));
    }

    #[test]
    fn times_are_spread_within_their_bounds() {
        let spread = times(Rules { jitter: 0.25, ..Rules::default() });
        let all: Vec<i64> = (0..1000).map(|_| spread.spread(1000)).collect();
        assert!(all.iter().all(|one| (749..=1250).contains(one)));
        assert!(all.iter().any(|one| *one < 800) && all.iter().any(|one| *one > 1200));
        assert_eq!(times(Rules::default()).spread(1000), 1000);
        assert!(spread.spread(i64::MAX) > 0);
    }

    #[test]
    fn the_shorter_time_counts() {
        let (one, other) = (Ttl::Millis(1), Ttl::Millis(2));
        assert_eq!((shorter(one, other), shorter(Ttl::Forever, one), shorter(one, Ttl::Forever)), (one, one, one));
        assert_eq!(shorter(Ttl::Forever, Ttl::Forever), Ttl::Forever);
    }
}
