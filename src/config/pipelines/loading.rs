//! LOAD: how what no store has is loaded.

use std::time::Duration;

use serde_json::Value;

use super::arguments::Arguments;
use super::level::alias_of;
use crate::config::own::{LONGEST_CALL, positive};
use crate::config::place::{Place, Report, Setting};
use crate::config::python::{float_of, int};
use crate::config::{Alias, Family};
use crate::error::Result;

/// Where nothing is said: of a load, and of its lock.
const USUAL: Duration = Duration::from_secs(30);

/// More is loading all the time.
const MOST_EARLY: f64 = 100.0;

/// How what no store has is loaded.
#[derive(Clone, Debug)]
pub struct Loading {
    /// `TIMEOUT_MS`: what a loader may take.
    pub timeout: Duration,
    /// `LOCK`: the lock that all processes take before they load; `None`: none.
    pub lock: Option<LoadLock>,
    /// `GRACE_MS`: how long what has expired is still served while one caller loads it anew; 0: not at all.
    pub grace: Duration,
    /// `EARLY`: how eager callers are to load before the end (XFetch's beta: 1 is usual, more is earlier), 0 to 100; 0:
    /// not at all.
    pub early: f64,
    /// `JITTER`: the part of a time to live by which expiries are spread, 0 to 0.5.
    pub jitter: f64,
}

impl Default for Loading {
    fn default() -> Self {
        Self { timeout: USUAL, lock: None, grace: Duration::ZERO, early: 0.0, jitter: 0.0 }
    }
}

/// redis-py's lock around a load.
#[derive(Clone, Debug)]
pub struct LoadLock {
    /// `ALIAS`: where the lock lives: an alias of a Redis family or of a plugged backend (which may have no locks; only
    /// opening it tells).
    pub alias: Alias,
    /// `TTL_MS`: how long it is held at most.
    pub ttl: Duration,
}

impl Loading {
    /// Reads the object LOAD.
    pub(super) fn read(setting: &Setting<'_>, aliases: &[Alias], report: &Report) -> Result<Self> {
        let mut names = Arguments::read(setting.object(report)?, setting.place.clone())?;
        let mut loading = Self::default();
        if let Some(timeout) = names.take("timeout_ms") {
            loading.timeout = millis(&timeout, report)?;
        }
        if let Some(lock) = names.take("lock") {
            loading.lock = read_lock(&lock, aliases, report)?;
        }
        if let Some(grace) = names.take("grace_ms") {
            loading.grace = if is_zero(grace.value) { Duration::ZERO } else { millis(&grace, report)? };
        }
        if let Some(early) = names.take("early") {
            loading.early = fraction(&early, MOST_EARLY, report)?;
        }
        if let Some(jitter) = names.take("jitter") {
            loading.jitter = fraction(&jitter, 0.5, report)?;
        }
        names.finish("there is no such setting")?;
        Ok(loading)
    }
}

fn read_lock(setting: &Setting<'_>, aliases: &[Alias], report: &Report) -> Result<Option<LoadLock>> {
    let lock = match setting.value {
        Value::Null | Value::Bool(false) => return Ok(None),
        Value::String(_) => LoadLock { alias: lockable(setting, aliases, report)?, ttl: USUAL },
        Value::Object(map) => {
            let mut names = Arguments::read(map, setting.place.clone())?;
            let alias =
                names.take("alias").ok_or_else(|| names.missing("alias", "; a lock lives in an alias of CACHES"))?;
            let alias = lockable(&alias, aliases, report)?;
            let ttl = match names.take("ttl_ms") {
                Some(ttl) => millis(&ttl, report)?,
                None => USUAL,
            };
            names.finish("a lock has no such setting")?;
            LoadLock { alias, ttl }
        }
        _ => return Err(setting.must_be("the name of an alias, or an object with ALIAS and TTL_MS", report)),
    };
    Ok(Some(lock))
}

/// An alias that can have locks.
fn lockable(setting: &Setting<'_>, aliases: &[Alias], report: &Report) -> Result<Alias> {
    let alias = alias_of(setting, aliases, report)?;
    match alias.family {
        Family::Redis(_) | Family::Plugged(_) | Family::NotBuiltIn { .. } => Ok(alias),
        _ => Err(no_locks(&setting.place)),
    }
}

fn no_locks(place: &Place) -> crate::error::Error {
    place.error("has no locks: of the backends only those of Redis and Valkey have, and plugged ones that say so")
}

fn millis(setting: &Setting<'_>, report: &Report) -> Result<Duration> {
    Ok(Duration::from_millis(positive(setting, report)?).min(LONGEST_CALL))
}

fn is_zero(value: &Value) -> bool {
    !value.is_boolean() && !value.is_f64() && int(value) == Some(0)
}

/// A number from 0 to `most`; a text of one too, since `${NAME}` makes texts.
fn fraction(setting: &Setting<'_>, most: f64, report: &Report) -> Result<f64> {
    let number = match setting.value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => float_of(text),
        _ => None,
    };
    let number = number.filter(|number| (0.0..=most).contains(number));
    number.map(|number| number + 0.0).ok_or_else(|| setting.must_be(&format!("a number from 0 to {most}"), report))
}
