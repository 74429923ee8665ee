//! `diskcache.DjangoCache` (contract 1.17).

use std::path::PathBuf;

use serde_json::Value;

use super::alias::{Family, Serializer};
use super::class::Classes;
use super::entry::{Built, Entry};
use super::names::did_you_mean;
use super::place::{Place, Report, Setting, working_directory};
use super::python::int;
use crate::error::Result;

/// Names at the top level that only this backend has.
pub(super) const TOP: [&str; 2] = ["SHARDS", "DATABASE_TIMEOUT"];

/// The settings of a diskcache alias.
#[derive(Clone, Debug)]
pub struct DiskCache {
    /// LOCATION, absolute.
    pub directory: PathBuf,
    /// SHARDS: the cache is spread over so many databases, 1 to [`MOST_SHARDS`].
    pub shards: u16,
    /// What OPTIONS says of diskcache's settings, by their names there, in order. Each replaces what a shard's Settings
    /// table has. `size_limit` is that of the whole cache.
    pub settings: Vec<(String, Scalar)>,
}

/// diskcache has no bound; a folder and a database each are much already.
pub const MOST_SHARDS: u16 = 1000;

/// A setting, as SQLite keeps it.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// NULL.
    Null,
    /// INTEGER; truth values too.
    Int(i64),
    /// REAL.
    Float(f64),
    /// TEXT.
    Text(String),
}

/// diskcache's own settings.
const SETTINGS: [&str; 12] = [
    "size_limit",
    "cull_limit",
    "eviction_policy",
    "statistics",
    "tag_index",
    "disk_min_file_size",
    "disk_pickle_protocol",
    "sqlite_auto_vacuum",
    "sqlite_cache_size",
    "sqlite_journal_mode",
    "sqlite_mmap_size",
    "sqlite_synchronous",
];

/// diskcache's policies of eviction.
const POLICIES: [&str; 4] = ["none", "least-recently-stored", "least-recently-used", "least-frequently-used"];

const DISKS: Classes<()> = Classes {
    noun: "disk",
    known: &[("diskcache.Disk", ()), ("diskcache.core.Disk", ())],
    later: &["diskcache.JSONDisk", "diskcache.core.JSONDisk"],
    home: "diskcache.",
    register: "",
};

/// Reads what is this backend's own.
pub(super) fn read(entry: &Entry<'_>, report: &mut Report) -> Result<Built> {
    let directory = directory(entry.top("LOCATION").as_ref(), &entry.place.at("LOCATION"), report)?;
    let shards = shards(entry.top("SHARDS").as_ref(), report)?;
    check_timeout(entry.top("DATABASE_TIMEOUT").as_ref(), report)?;
    build(directory, shards, entry.options(), report)
}

/// diskcache's `timeout`: seconds that it waits for a lock, which has no effect here.
pub(super) fn check_timeout(timeout: Option<&Setting<'_>>, report: &Report) -> Result<()> {
    match timeout.filter(|timeout| !timeout.value.is_number()) {
        Some(timeout) => Err(timeout.must_be("a number of seconds", report)),
        None => Ok(()),
    }
}

/// The backend with these of diskcache's settings.
pub(super) fn build<'a>(
    directory: PathBuf,
    shards: u16,
    options: impl Iterator<Item = (&'a str, Setting<'a>)>,
    report: &mut Report,
) -> Result<Built> {
    let (mut settings, mut protocol, mut lacking) = (Vec::new(), 5, None);
    for (name, setting) in options {
        match name {
            "disk" => lacking = lacking.or(DISKS.lacking(&setting, report)?),
            "directory" | "shards" | "timeout" => {
                let instead = match name {
                    "directory" => "LOCATION",
                    "shards" => "SHARDS",
                    _ => "DATABASE_TIMEOUT",
                };
                return Err(setting.place.error(format_args!("diskcache refuses it here; {instead} is its place")));
            }
            "count" | "size" | "hits" | "misses" => {
                report.warn(&setting.place, "is ignored, as in diskcache, which counts it itself");
            }
            "disk_pickle_protocol" => {
                protocol = self::protocol(&setting, report)?;
                settings.push((name.to_owned(), scalar(&setting, report)?));
            }
            _ => settings.push((name.to_owned(), checked(name, &setting, report)?)),
        }
    }
    if let Some(reason) = lacking {
        return Ok(Built::plain(Family::NotBuiltIn { reason }));
    }
    let family = Family::DiskCache(DiskCache { directory, shards, settings });
    Ok(Built { serializer: Serializer::Pickle(protocol), ..Built::plain(family) })
}

/// LOCATION, or what stands for it, with `~` and `$NAME` replaced as diskcache does it.
pub(super) fn directory(location: Option<&Setting<'_>>, place: &Place, report: &mut Report) -> Result<PathBuf> {
    let location = match location {
        Some(location) => location.text(report)?,
        None => "",
    };
    if location.contains('\0') {
        return Err(place.error("has a NUL character, which no directory's name can have"));
    }
    if location.contains("://") {
        // it may hold a password, which a directory's name in a message would show
        return Err(place.error("is a URL; this backend takes a directory"));
    }
    let variable = |name: &str| std::env::var(name).ok();
    let location = match location.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => match variable("HOME") {
            Some(home) => home + rest,
            None => return Err(place.error("begins with ~, and HOME is not set")),
        },
        Some(_) => return Err(place.error("begins with another user's ~; write the directory out")),
        None => location.to_owned(),
    };
    let location = with_variables(&location, &variable);
    if location.starts_with('/') {
        return Ok(location.into());
    }
    Ok(working_directory(place, "", report)?.join(location))
}

/// `os.path.expandvars`: `$NAME` and `${NAME}` where there is such a variable; the rest stays.
fn with_variables(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        made.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let is_other = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
        let (name, behind) = braced.unwrap_or_else(|| after.split_at(after.find(is_other).unwrap_or(after.len())));
        if let Some(value) = variable(name).filter(|_| !name.is_empty()) {
            made.push_str(&value);
            rest = behind;
        } else {
            made.push('$');
            rest = after;
        }
    }
    made + rest
}

/// SHARDS.
pub(super) fn shards(setting: Option<&Setting<'_>>, report: &Report) -> Result<u16> {
    let Some(setting) = setting else { return Ok(8) };
    let whole = setting.value.is_u64() || setting.value.is_string();
    let number = int(setting.value).filter(|_| whole).and_then(|number| u16::try_from(number).ok());
    number
        .filter(|number| (1..=MOST_SHARDS).contains(number))
        .ok_or_else(|| setting.must_be(&format!("a whole number from 1 to {MOST_SHARDS}"), report))
}

/// The pickle protocol to write.
fn protocol(setting: &Setting<'_>, report: &Report) -> Result<u8> {
    match setting.value.as_i64() {
        Some(number @ ..=5) => Ok(u8::try_from(number).unwrap_or(5)),
        _ => Err(setting.must_be("a pickle protocol: 0 to 5, or negative for the highest", report)),
    }
}

/// A setting that diskcache would take.
fn checked(name: &str, setting: &Setting<'_>, report: &mut Report) -> Result<Scalar> {
    let number = || setting.value.is_number() || setting.value.is_boolean();
    match name {
        "size_limit" | "disk_min_file_size" | "cull_limit" if !number() => {
            return Err(setting.must_be("a number", report));
        }
        "cull_limit" if setting.value.is_f64() => return Err(setting.must_be("a whole number", report)),
        "eviction_policy" if !setting.value.as_str().is_some_and(|policy| POLICIES.contains(&policy)) => {
            return Err(setting.must_be(&format!("one of {}", POLICIES.join(", ")), report));
        }
        _ if SETTINGS.contains(&name) => {}
        _ if name.starts_with("disk_") => {
            let hint = did_you_mean(name, &SETTINGS);
            return Err(setting.place.error(format_args!("diskcache.Disk has no such setting{hint}")));
        }
        _ => {
            let hint = did_you_mean(name, &SETTINGS);
            let what = if name.starts_with("sqlite_") {
                "is stored as a setting, and larder does not carry this PRAGMA out"
            } else {
                "is only stored as a setting, as in diskcache: unknown name"
            };
            report.warn(&setting.place, format_args!("{what}{hint}"));
        }
    }
    if name.starts_with("sqlite_") && !is_plain(setting.value) {
        return Err(setting.must_be("a number or a word", report));
    }
    scalar(setting, report)
}

/// Whether a PRAGMA can be set to this.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::String(word) => {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        }
        Value::Number(number) => !number.is_f64(),
        Value::Bool(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn scalar(setting: &Setting<'_>, report: &Report) -> Result<Scalar> {
    let scalar = match setting.value {
        Value::Null => Some(Scalar::Null),
        Value::Bool(truth) => Some(Scalar::Int(i64::from(*truth))),
        Value::String(text) => Some(Scalar::Text(text.clone())),
        Value::Number(number) if number.is_f64() => number.as_f64().map(Scalar::Float),
        Value::Number(number) => number.as_i64().map(Scalar::Int),
        Value::Array(_) | Value::Object(_) => None,
    };
    scalar.ok_or_else(|| setting.must_be("a text, a number of at most 64 bits, true, false or null", report))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_python_does_it() {
        let variable = |name: &str| (name == "A_1").then(|| "a/$B".to_owned());
        for (text, made) in [
            ("/x", "/x"),
            ("/$A_1/y", "/a/$B/y"),
            ("${A_1}y", "a/$By"),
            ("$A_1y $ ${} ${A_1", "$A_1y $ ${} ${A_1"),
            ("$", "$"),
        ] {
            assert_eq!(with_variables(text, &variable), made);
        }
    }
}
