//! What the OPTIONS of all engines have in common.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::alias::Named;
use super::super::names::nearest;
use super::super::place::{Report, Setting, working_directory};
use super::super::python::{float_of, int};
use crate::error::{Error, Result};

/// Times are never longer.
const LONGEST: f64 = 365.0 * 24.0 * 3600.0;

/// Whether messages must not show the value of an option.
pub(super) fn is_secret(name: &str) -> bool {
    name.to_ascii_lowercase().contains("passw")
}

/// Seconds, greater than 0 or 0: psycopg and mysqlclient take whole numbers and texts of them, SQLite any.
pub(super) fn seconds(setting: &Setting<'_>, report: &Report) -> Result<Duration> {
    let number = match setting.value {
        serde_json::Value::String(text) => float_of(text),
        serde_json::Value::Number(number) => number.as_f64(),
        _ => None,
    };
    let number = number.filter(|seconds| *seconds >= 0.0);
    let seconds = number.ok_or_else(|| setting.must_be("a number of seconds", report))?;
    Ok(Duration::try_from_secs_f64(seconds.min(LONGEST)).unwrap_or_default())
}

/// A whole number greater than 0.
pub(super) fn count(setting: &Setting<'_>, report: &Report) -> Result<usize> {
    let number = int(setting.value).and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0);
    number.ok_or_else(|| setting.must_be("a whole number greater than 0", report))
}

/// A text without NUL.
pub(super) fn text(setting: &Setting<'_>, report: &Report) -> Result<String> {
    let text = setting.text(report)?;
    if text.contains('\0') {
        return Err(setting.place.error("has a NUL character"));
    }
    Ok(text.to_owned())
}

/// A file, absolute.
pub(super) fn file(setting: &Setting<'_>, report: &mut Report) -> Result<Named<PathBuf>> {
    let text = text(setting, report)?;
    let mut path = PathBuf::new();
    if !Path::new(&text).is_absolute() {
        path = working_directory(&setting.place, "", report)?;
    }
    path.push(text);
    Ok(Named { place: setting.place.to_string().into(), value: path })
}

/// What Python's driver does with a name that it does not know: it raises an error.
pub(super) fn unknown(setting: &Setting<'_>, name: &str, known: &[&str], driver: &str) -> Error {
    let hint = match nearest(name, known.iter().copied()) {
        Some(found) => format!("; did you mean {found}?"),
        None => String::new(),
    };
    setting.place.error(format_args!("{driver} has no such option{hint}"))
}

/// The reason why an alias with this option cannot be opened.
pub(super) fn lacks(setting: &Setting<'_>) -> String {
    format!("{}: is not in this version of larder", setting.place)
}
