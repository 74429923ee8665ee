//! Times to live and deadlines (contract: T rules).

use std::time::{Duration, Instant};

use crate::lock::{Condvar, Mutex};

/// How long an entry lives, as a backend is told it.
///
/// Each backend rounds by its own rule (table T): seconds on core redis, milliseconds on django-redis and in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Never expires (Python's `None`).
    Forever,
    /// Expires this many milliseconds from now; zero and less mean: already expired.
    Millis(i64),
}

impl Ttl {
    /// The whole seconds of a time to live, truncated as core redis does and never below zero (T-3).
    pub fn whole_seconds(self) -> Option<i64> {
        match self {
            Self::Forever => None,
            Self::Millis(ms) => Some((ms / 1000).max(0)),
        }
    }

    /// Whether an entry with this time to live is dead at once.
    pub fn is_spent(self) -> bool {
        matches!(self, Self::Millis(ms) if ms <= 0)
    }
}

/// What a caller asks for: the alias's own time to live or another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlChoice {
    /// The alias's `TIMEOUT`.
    Default,
    /// This one.
    Of(Ttl),
}

impl TtlChoice {
    /// The time to live to use on an alias whose default is `default`.
    pub fn or(self, default: Ttl) -> Ttl {
        match self {
            Self::Default => default,
            Self::Of(ttl) => ttl,
        }
    }
}

/// The total time that one call may take. The clock starts when a backend that has to wait calls [`Budget::start`];
/// local backends never look at it. A call of several steps fixes its end first, so that they share the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    total: Duration,
    end: Option<Instant>,
}

/// As good as for ever, and small enough to be added to any clock.
const LONGEST: Duration = Duration::from_hours(365 * 24);

impl Budget {
    /// That much time, from when it is needed.
    pub const fn new(total: Duration) -> Self {
        Self { total, end: None }
    }

    /// The time that the whole call was given.
    pub fn total(self) -> Duration {
        self.total
    }

    /// The same, with the clock running.
    #[must_use]
    pub fn fixed(self) -> Self {
        Self { total: self.total, end: Some(self.start().end) }
    }

    /// The same, with the clock running since `now`, unless it is fixed already.
    #[must_use]
    pub fn fixed_since(self, now: Instant) -> Self {
        Self { total: self.total, end: Some(self.end.unwrap_or_else(|| now + self.total.min(LONGEST))) }
    }

    /// The end of the call: that much time from now, unless it is fixed already.
    pub fn start(self) -> Deadline {
        let end = self.end.unwrap_or_else(|| Instant::now() + self.total.min(LONGEST));
        Deadline { end, total: self.total }
    }
}

/// The moment at which a call has to have ended.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    end: Instant,
    total: Duration,
}

impl Deadline {
    /// The moment itself.
    pub fn end(&self) -> Instant {
        self.end
    }

    /// The time that the whole call was given.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// A budget that ends then.
    pub fn budget(&self) -> Budget {
        Budget { total: self.total, end: Some(self.end) }
    }

    /// What is left, or `None` when the time is over.
    pub fn left(&self) -> Option<Duration> {
        self.end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// This deadline, or one `limit` from now if that is sooner.
    #[must_use]
    pub fn at_most(&self, limit: Duration) -> Self {
        Self { end: self.end.min(Instant::now() + limit), total: self.total }
    }
}

/// Lets that much time pass on this thread, whatever signals come.
///
/// `std::thread::sleep` would not do: interrupted, it sleeps for what is left, which Linux gives a little too high (by the
/// thread's timer slack, 50 us). A host that sends signals faster than that, as Ruby does to a thread that it wants back,
/// makes that sleep grow without end.
pub fn pause(time: Duration) {
    let (mutex, never) = (Mutex::new(()), Condvar::new());
    let end = Instant::now() + time.min(LONGEST);
    let mut guard = mutex.lock();
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        guard = never.wait_for(guard, left);
    }
}
