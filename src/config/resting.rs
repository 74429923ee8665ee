//! Connections that rest: redis-py's `socket_keepalive`, `socket_keepalive_options` and `health_check_interval`.

use std::time::Duration;

use serde_json::Value;

use super::alias::{Keepalive, Resting};
use super::place::{Report, Setting};
use super::python::{int, is_true};
use crate::error::Result;

/// Intervals are never longer than this.
const LONGEST: i64 = 365 * 24 * 3600;

/// Takes over one argument.
pub(super) fn take(resting: &mut Resting, name: &str, setting: &Setting<'_>, report: &mut Report) -> Result<()> {
    match name {
        "socket_keepalive" => {
            let on = is_true(setting.value);
            resting.keepalive = on.then(|| resting.keepalive.unwrap_or_default());
        }
        "health_check_interval" => resting.check = interval(setting, report)?,
        _ => {
            let given = keepalive(setting, report)?;
            resting.keepalive = resting.keepalive.map(|_| given);
        }
    }
    Ok(())
}

/// Seconds; 0 is never.
fn interval(setting: &Setting<'_>, report: &Report) -> Result<Option<Duration>> {
    let number = match setting.value {
        Value::Number(number) => number.as_f64().filter(|seconds| *seconds >= 0.0),
        _ => None,
    };
    let seconds = number.ok_or_else(|| setting.must_be("a number of seconds, 0 for never", report))?;
    let interval = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    Ok(Some(interval.min(Duration::from_secs(LONGEST.unsigned_abs()))).filter(|interval| !interval.is_zero()))
}

/// Python's numbers are those of the system; as JSON has them they are texts. What is not given is the system's.
fn keepalive(setting: &Setting<'_>, report: &mut Report) -> Result<Keepalive> {
    let mut keepalive = Keepalive { idle: None, interval: None, count: None };
    if setting.value.is_null() {
        return Ok(keepalive);
    }
    for (name, value) in setting.object(report)? {
        let inside = Setting { place: setting.place.at(name), value, secret: false };
        let option = match name.trim_start_matches("socket.") {
            "4" | "TCP_KEEPIDLE" => &mut keepalive.idle,
            "5" | "TCP_KEEPINTVL" => &mut keepalive.interval,
            "6" | "TCP_KEEPCNT" => &mut keepalive.count,
            _ => {
                let known = "TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT (4, 5, 6)";
                report.warn(&inside.place, format_args!("has no effect: larder knows {known}"));
                continue;
            }
        };
        // Linux has no room for more.
        let number =
            int(value).filter(|number| (1..=32_767).contains(number)).and_then(|number| number.try_into().ok());
        *option = Some(number.ok_or_else(|| inside.must_be("a whole number from 1 to 32767", report))?);
    }
    Ok(keepalive)
}
