//! Deadlines of entries in memory, and a clock that is cheap to ask on every hit.

use rustix::time::{ClockId, clock_gettime};

use crate::timeout::Ttl;

/// A moment, in nanoseconds of the monotonic clock.
pub type Nanos = u64;

/// The deadline of an entry that never expires.
pub const NEVER: Nanos = Nanos::MAX;

/// The coarse clock is a tick late (at most 10 ms), and more where a virtual processor is held up; it never runs ahead.
/// A deadline that is further away than this has certainly not passed.
const COARSE_DOUBT: Nanos = 1_000_000_000;

/// Now, exactly.
pub fn now() -> Nanos {
    read(ClockId::Monotonic)
}

/// The deadline of an entry written now. One whose time is spent already passed (T-1).
pub fn deadline(ttl: Ttl) -> Nanos {
    match ttl {
        Ttl::Forever => NEVER,
        // Already expired: `deadline <= now` holds from this very moment on (T-2).
        Ttl::Millis(ms) if ms <= 0 => now(),
        Ttl::Millis(ms) => now().saturating_add(ms.unsigned_abs().saturating_mul(1_000_000)).min(NEVER - 1),
    }
}

/// Whether a deadline has passed: `deadline <= now` (T-2). Asks the exact clock only when it matters.
pub fn has_passed(deadline: Nanos) -> bool {
    deadline != NEVER && deadline <= read(ClockId::MonotonicCoarse).saturating_add(COARSE_DOUBT) && deadline <= now()
}

/// What is left until a deadline, in whole milliseconds rounded up; `None` when it has passed.
pub fn left(deadline: Nanos) -> Option<Ttl> {
    if deadline == NEVER {
        return Some(Ttl::Forever);
    }
    let left = deadline.checked_sub(now()).filter(|left| *left > 0)?;
    Some(Ttl::Millis(i64::try_from(left.div_ceil(1_000_000)).unwrap_or(i64::MAX)))
}

fn read(clock: ClockId) -> Nanos {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_on_the_millisecond() {
        let deadline = deadline(Ttl::Millis(5));
        while now() < deadline {
            assert!(!has_passed(deadline) || now() >= deadline);
        }
        assert!(has_passed(deadline)); // T-2: `<=`
        assert_eq!(left(deadline), None);
    }

    #[test]
    fn the_ends_of_the_range() {
        assert!(has_passed(deadline(Ttl::Millis(0))));
        assert!(has_passed(deadline(Ttl::Millis(i64::MIN))));
        assert!(!has_passed(deadline(Ttl::Millis(i64::MAX))));
        assert_ne!(deadline(Ttl::Millis(i64::MAX)), NEVER);
        assert_eq!(left(NEVER), Some(Ttl::Forever));
        assert_eq!(left(deadline(Ttl::Millis(60_000))), Some(Ttl::Millis(60_000)));
    }

    #[test]
    fn the_coarse_clock_is_never_ahead() {
        for _ in 0..1000 {
            let coarse = read(ClockId::MonotonicCoarse);
            assert!(coarse <= now());
        }
    }
}
