//! larder's own settings: the object `"LARDER"` of an alias.

use std::time::Duration;

use super::entry::Entry;
use super::names::did_you_mean;
use super::place::{Report, Setting};
use super::python::int;
use crate::error::Result;
use crate::value::Limits;

/// Calls never take longer.
const LONGEST_CALL: Duration = Duration::from_secs(365 * 24 * 3600);

const KNOWN: [&str; 5] = ["TIMEOUT_MS", "MAX_VALUE_BYTES", "MAX_VALUE_NODES", "MAX_VALUE_DEPTH", "MAX_CONNECTIONS"];

/// What `"LARDER"` says.
#[derive(Default)]
pub(super) struct Own {
    /// TIMEOUT_MS.
    pub timeout: Option<Duration>,
    /// MAX_CONNECTIONS.
    pub max_connections: Option<usize>,
    /// The MAX_VALUE_ settings.
    pub limits: Limits,
}

impl Own {
    /// Reads the object, where there is one.
    pub fn read(entry: &Entry<'_>, is_remote: bool, report: &mut Report) -> Result<Self> {
        let mut own = Self::default();
        let Some(object) = entry.top("LARDER") else { return Ok(own) };
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
                "MAX_CONNECTIONS" => {
                    own.max_connections = Some(size(&setting, report)?);
                    if !is_remote {
                        report.warn(&setting.place, "has no effect with this backend");
                    }
                }
                _ => {
                    let hint = did_you_mean(name, &KNOWN);
                    return Err(setting.place.error(format_args!("larder has no such setting{hint}")));
                }
            }
        }
        Ok(own)
    }
}

/// A whole number greater than 0; a text of one too, since `${NAME}` makes texts.
fn positive(setting: &Setting<'_>, report: &Report) -> Result<u64> {
    let value = setting.value;
    let whole = value.is_u64() || value.is_i64() || value.is_string();
    let number = int(value).filter(|_| whole).and_then(|number| u64::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| setting.must_be("a whole number greater than 0", report))
}

fn size(setting: &Setting<'_>, report: &Report) -> Result<usize> {
    positive(setting, report).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}
