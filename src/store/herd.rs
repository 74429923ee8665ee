//! HerdClient: values with a soft deadline, after which one reader after the other is sent to compute them anew while the
//! others still read the old ones (DR-40 to DR-44).
//!
//! As in django-redis: a value with a time to live is kept for CACHE_HERD_TIMEOUT longer, which `ttl` shows; "only over
//! one" (XX) is not looked at when it is set (django-valkey does); `touch` and `incr_version` read it and write it again, which keeps nobody
//! from writing between the two; `persist` leaves its soft deadline; there is no `incr`. Other than there, a touch does
//! not bring back what was removed meanwhile.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::operation::answering;
use super::{Store, Value};
use crate::backend::{Keys, Reply, Ticket, Touched, When, Written};
use crate::codec::{Form, Input};
use crate::dice::Dice;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::stored::Stored;
use crate::timeout::{Budget, Ttl};
use crate::value::ValueKind;

/// A deadline that never comes: the end of the year 9999.
const NEVER: i64 = 253_402_300_799;

/// Of the values that are decoded for their deadlines, a read of several keeps about so many bytes; what is beyond is
/// decoded again when it is looked into, one after the other. Small stored values can be large ones.
const KEPT: usize = 16 << 20;

/// How an alias with HerdClient counts.
pub(super) struct Herd {
    /// CACHE_HERD_TIMEOUT, in seconds.
    time: u32,
    dice: Dice,
}

/// How old a value is that was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    /// Before its soft deadline, or without one.
    Fresh,
    /// After it, and good enough for this reader.
    Late,
    /// After it: this reader is sent to compute it anew.
    Over,
}

/// What is handed to the backend for a value.
pub(super) struct Packed {
    /// Its bytes.
    pub value: Stored,
    /// How long it is kept.
    pub ttl: Ttl,
    /// The condition.
    pub when: When,
}

impl Herd {
    /// With this CACHE_HERD_TIMEOUT.
    pub(super) fn new(time: Duration) -> Self {
        Self { time: u32::try_from(time.as_secs()).unwrap_or(u32::MAX), dice: Dice::new() }
    }

    /// How a value with this soft deadline is to be taken.
    fn age(&self, deadline: i64) -> Age {
        let now = now();
        match is_over(deadline, now, self.time, |sides| self.dice.roll(sides)) {
            true => Age::Over,
            false if now > deadline => Age::Late,
            false => Age::Fresh,
        }
    }

    /// When a value that is written now is to be computed anew; and how long it is kept.
    fn times(&self, ttl_ms: i64) -> (i64, Ttl) {
        let kept = ttl_ms.saturating_add(i64::from(self.time) * 1000);
        (now().saturating_add(ttl_ms / 1000), Ttl::Millis(kept))
    }
}

/// The time for a write of several values at once, which all have the same: the longer one. Values with a soft deadline are
/// kept longer than serialised bytes beside them were asked for.
pub(super) fn longer(one: Ttl, other: Ttl) -> Ttl {
    match (one, other) {
        (Ttl::Millis(one), Ttl::Millis(other)) => Ttl::Millis(one.max(other)),
        _ => Ttl::Forever,
    }
}

/// DR-42: the longer after the deadline, the likelier; never before, surely `time` seconds after it. `roll` gives a random
/// number below its argument.
fn is_over(deadline: i64, now: i64, time: u32, roll: impl FnOnce(u64) -> u64) -> bool {
    let late = now.saturating_sub(deadline);
    let time = i64::from(time);
    if late <= 0 || late >= time {
        return late > 0;
    }
    let drawn = 1 + i64::try_from(roll(time.unsigned_abs())).unwrap_or(0); // randint(1, time)
    late + drawn >= time
}

/// Whole seconds since 1970, as Python's `int(time.time())`.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl Store {
    /// What is written for a value: the value itself, or with HerdClient the value and its soft deadline (DR-40).
    /// Serialised bytes are written as they are, for exactly the time that was asked for (but see [`longer`]).
    #[inline]
    pub(super) fn pack(&self, operation: &'static str, value: Input<'_>, ttl: Ttl, when: When) -> Result<Packed> {
        let Some(herd) = &self.herd else { return Ok(Packed { value: self.encode(operation, value)?, ttl, when }) };
        let (Ttl::Millis(ms @ 1..), false) = (ttl, matches!(value, Input::Stored(_) | Input::Ready(_))) else {
            return Ok(Packed { value: self.encode(operation, value)?, ttl, when });
        };
        let (deadline, ttl) = herd.times(ms);
        let value = self.codec.encode_herd(value, deadline).map_err(|error| self.named(operation, error))?;
        let keeps_xx = self.codec.form == Form::ValkeyNumbers; // 1.16
        let when = if when == When::Present && !keeps_xx { When::Always } else { when }; // DR-40
        Ok(Packed { value, ttl, when })
    }

    /// A value that was read for a caller, and counted; nothing where the caller is to compute it anew (DR-42), and where it
    /// cannot be decoded and that is a miss (PK-8).
    pub(super) fn sifted(&self, value: Option<Value>) -> Option<Value> {
        let value = value.filter(|value| self.is_whole(value));
        let age = value.as_ref().map_or(Age::Fresh, |value| self.age(value));
        let value = value.filter(|_| age != Age::Over);
        self.counters.stale(u64::from(age != Age::Fresh));
        self.count_read(value.is_some());
        value
    }

    /// The same for several: `None` takes the place of what is to be computed anew (DR-43).
    pub(super) fn sifted_many(&self, mut values: Vec<Option<Value>>) -> Result<Vec<Option<Value>>> {
        let (mut hits, mut misses, mut stale, mut kept) = (0, 0, 0, 0_usize);
        for place in &mut values {
            match place {
                Some(value) if !self.is_whole(value) => {
                    *place = None;
                    misses += 1;
                }
                Some(value) => {
                    let age = self.age(value);
                    stale += u64::from(age != Age::Fresh);
                    if age == Age::Over {
                        *value = self.value(self.encode("get_many", Input::Json(b"null"))?);
                        misses += 1;
                        continue;
                    }
                    hits += 1;
                    kept = kept.saturating_add(value.decoded_size());
                    if kept > KEPT {
                        kept = kept.saturating_sub(value.forget());
                    }
                }
                None => misses += 1,
            }
        }
        self.counters.here().reads(hits, misses);
        self.counters.stale(stale);
        Ok(values)
    }

    /// Whether what was read has to be looked at before it is handed out.
    #[inline]
    pub(super) fn sifts(&self) -> bool {
        self.herd.is_some() || self.alias.settings.undecodable_is_miss
    }

    /// Whether a value is to be handed out. So is what cannot be decoded: it says so when it is looked at.
    pub(super) fn is_fresh(&self, value: &Value) -> bool {
        self.age(value) != Age::Over
    }

    fn age(&self, value: &Value) -> Age {
        let Some(herd) = &self.herd else { return Age::Fresh };
        value.soft_deadline().map_or(Age::Fresh, |deadline| herd.age(deadline))
    }

    /// DR-43: get and set.
    pub(super) fn touch_herd(&self, made: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched> {
        let latest = self.latest();
        let stored = self.checked("expire", latest.get(made, budget))?;
        let value = stored.map(|stored| self.fetched("expire", stored)).transpose()?;
        let Some(value) = value.filter(|value| self.is_fresh(value)) else { return Ok(Touched::Missing) };
        if value.kind()? == ValueKind::Null {
            return Ok(Touched::Missing);
        }
        if ttl.is_spent() {
            let deleted = self.checked("expire", latest.delete(made, budget))?;
            return Ok(if deleted { Touched::NotKept } else { Touched::Missing });
        }
        let Packed { value, ttl, .. } = self.repack("expire", &value, ttl)?;
        let written = latest.set(made, value.as_ref(), ttl, When::Present, budget);
        Ok(match self.checked("expire", written)? {
            Written::Stored => Touched::Changed,
            Written::NotStored => Touched::Missing,
            Written::NotKept => Touched::NotKept,
        })
    }

    /// [`Store::touch_herd`] as a job, after what was begun on the key before and before what is begun later.
    pub(super) fn begin_touch_herd(self: &Arc<Self>, made: MadeKey, ttl: Ttl, budget: Budget, ticket: Ticket) {
        let (store, key, budget) = (self.clone(), made.clone(), budget.fixed());
        let job = answering(ticket, move || store.touch_herd(&made, ttl, budget).map(Reply::Touched));
        self.backend.start_job(Keys::These(&[key]), budget, job);
    }

    /// What is written for a value that was read. One that larder cannot write (an instance of a class, say) keeps its
    /// bytes: with another deadline where it has one, without one where it has none.
    pub(super) fn repack(&self, operation: &'static str, value: &Value, ttl: Ttl) -> Result<Packed> {
        if let Some(packed) = value.written_again(|input| self.pack(operation, input, ttl, When::Always)) {
            return packed;
        }
        let (deadline, kept) = match (&self.herd, ttl) {
            (Some(herd), Ttl::Millis(ms)) => herd.times(ms),
            _ => (NEVER, ttl),
        };
        let stored = Stored { bytes: value.stored().bytes.to_vec().into(), flags: 0 };
        let Some(old) = value.soft_deadline() else { return Ok(Packed { value: stored, ttl, when: When::Always }) };
        let changed = self.codec.with_deadline(&stored, old, deadline).map_err(|error| self.named(operation, error))?;
        let reason = "the value's soft deadline is written in a way that cannot be changed";
        let value = changed.ok_or_else(|| self.named(operation, Error::new(Kind::Unsupported, reason)))?;
        Ok(Packed { value, ttl: kept, when: When::Always })
    }

    /// DR-43: where there is no `incr`.
    #[inline]
    pub(super) fn check_incr(&self) -> Result<()> {
        if self.has_incr() {
            return Ok(());
        }
        Err(self
            .named("incr", Error::new(Kind::Unsupported, "HerdClient has no incr: get the number, and set the sum")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chance_grows_with_the_time_after_the_deadline() {
        let never = |_: u64| -> u64 { panic!("nothing to roll for") };
        for deadline in [1000, 1001, i64::MAX] {
            assert!(!is_over(deadline, 1000, 60, never));
        }
        assert!(is_over(940, 1000, 60, never) && is_over(i64::MIN, 1000, 60, never) && is_over(999, 1000, 0, never));
        for late in 1..60 {
            // randint(1, 60) is one of sixty numbers; late + it >= 60 for late + 1 of them
            let over = (0..60).filter(|rolled| {
                is_over(1000 - late, 1000, 60, |sides| {
                    assert_eq!(sides, 60);
                    *rolled
                })
            });
            assert_eq!(over.count(), usize::try_from(late).unwrap() + 1, "{late} s after");
        }
        assert!(is_over(999, 1000, 2, |_| 0) && is_over(999, 1000, 2, |_| 1)); // 1 + 1 >= 2
    }

    #[test]
    fn values_are_kept_longer() {
        let herd = Herd::new(Duration::from_mins(1));
        let begin = now();
        for (ms, seconds) in [(1, 0), (999, 0), (1000, 1), (300_000, 300)] {
            let (deadline, ttl) = herd.times(ms);
            assert!((begin + seconds..=now() + seconds).contains(&deadline));
            assert_eq!(ttl, Ttl::Millis(ms + 60_000));
        }
        assert_eq!(herd.times(i64::MAX).1, Ttl::Millis(i64::MAX));
    }
}
