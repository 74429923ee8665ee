//! larder's own settings: the object `"LARDER"` of an alias.

use std::time::Duration;

use super::alias::{BreakerRule, Named, NearCache};
use super::entry::Entry;
use super::names::nearest;
use super::near;
use super::place::{Place, Report, Setting};
use super::python::int;
use crate::error::Result;
use crate::value::Limits;

/// Calls never take longer.
pub(super) const LONGEST_CALL: Duration = Duration::from_hours(365 * 24);

const KNOWN: [&str; 9] = [
    "TIMEOUT_MS",
    "MAX_VALUE_BYTES",
    "MAX_VALUE_NODES",
    "MAX_VALUE_DEPTH",
    "MAX_CONNECTIONS",
    "BREAKER",
    "DATABASE",
    "UNDECODABLE",
    "NEAR_CACHE",
];

/// What `BREAKER` has in it.
const BREAKER: [&str; 2] = ["FAILURES", "PAUSE_MS"];

/// What `"LARDER"` says.
pub(super) struct Own {
    /// TIMEOUT_MS.
    pub timeout: Option<Duration>,
    /// MAX_CONNECTIONS.
    pub max_connections: Option<usize>,
    /// The MAX_VALUE_ settings.
    pub limits: Limits,
    /// UNDECODABLE: whether what cannot be decoded is a miss (PK-8).
    pub undecodable_is_miss: bool,
    /// BREAKER.
    pub breaker: Option<BreakerRule>,
    /// DATABASE: which of DATABASES (DB-2).
    pub database: Option<Named<String>>,
    /// NEAR_CACHE, and where it stands.
    pub near: Option<(Place, NearCache)>,
}

impl Own {
    /// Reads the object, where there is one.
    pub fn read(entry: &Entry<'_>, is_remote: bool, report: &mut Report) -> Result<Self> {
        Self::of(entry.top("LARDER"), is_remote, report)
    }

    /// Reads this object.
    pub fn of(object: Option<Setting<'_>>, is_remote: bool, report: &mut Report) -> Result<Self> {
        let mut own = Self {
            timeout: None,
            max_connections: None,
            limits: Limits::default(),
            undecodable_is_miss: false,
            breaker: Some(BreakerRule::default()),
            database: None,
            near: None,
        };
        let Some(object) = object else { return Ok(own) };
        for (name, value) in object.object(report)? {
            let setting = Setting { place: object.place.at(name), value, secret: false };
            match name.as_str() {
                "TIMEOUT_MS" => {
                    let wait = Duration::from_millis(positive(&setting, report)?);
                    own.timeout = Some(wait.min(LONGEST_CALL));
                }
                "MAX_VALUE_BYTES" => own.limits.bytes = size(&setting, report)?,
                "MAX_VALUE_NODES" => own.limits.nodes = size(&setting, report)?,
                "MAX_VALUE_DEPTH" => own.limits.depth = size(&setting, report)?,
                "MAX_CONNECTIONS" => own.max_connections = Some(size(&setting, report)?),
                "BREAKER" => own.breaker = breaker(&setting, report)?,
                "UNDECODABLE" => {
                    own.undecodable_is_miss = match value.as_str() {
                        Some("error") => false,
                        Some("miss") => true,
                        _ => return Err(setting.must_be("\"error\" or \"miss\"", report)),
                    }
                }
                "NEAR_CACHE" => own.near = near::read(&setting, report)?.map(|near| (setting.place.clone(), near)),
                "DATABASE" => {
                    let value = setting.text(report)?.to_owned();
                    own.database = Some(Named { place: setting.place.to_string().into(), value });
                }
                _ => {
                    let hint = hint(name, &KNOWN);
                    return Err(setting.place.error(format_args!("larder has no such setting{hint}")));
                }
            }
            if !is_remote && matches!(name.as_str(), "MAX_CONNECTIONS" | "BREAKER") {
                report.warn(&setting.place, "has no effect with this backend");
            }
        }
        Ok(own)
    }
}

/// A rule for the breakers of servers, or whether there are any.
fn breaker(setting: &Setting<'_>, report: &Report) -> Result<Option<BreakerRule>> {
    let mut rule = BreakerRule::default();
    let Some(object) = setting.value.as_object() else {
        let wanted = "true, false, or an object with FAILURES and PAUSE_MS";
        let on = setting.value.as_bool().ok_or_else(|| setting.must_be(wanted, report))?;
        return Ok(on.then_some(rule));
    };
    for (name, value) in object {
        let inside = Setting { place: setting.place.at(name), value, secret: false };
        match name.as_str() {
            "FAILURES" => rule.failures = u32::try_from(positive(&inside, report)?).unwrap_or(u32::MAX),
            "PAUSE_MS" => rule.pause = Duration::from_millis(positive(&inside, report)?).min(LONGEST_CALL),
            _ => {
                let hint = hint(name, &BREAKER);
                return Err(inside.place.error(format_args!("a breaker has no such setting{hint}")));
            }
        }
    }
    Ok(Some(rule))
}

/// The known name that is near, else all of them.
pub(super) fn hint(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(found) => format!("; did you mean {found}?"),
        None => format!("; there are {}", known.join(", ")),
    }
}

/// A whole number greater than 0; a text of one too, since `${NAME}` makes texts.
pub(super) fn positive(setting: &Setting<'_>, report: &Report) -> Result<u64> {
    let value = setting.value;
    let whole = value.is_u64() || value.is_i64() || value.is_string();
    let number = int(value).filter(|_| whole).and_then(|number| u64::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| setting.must_be("a whole number greater than 0", report))
}

pub(super) fn size(setting: &Setting<'_>, report: &Report) -> Result<usize> {
    positive(setting, report).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}
