//! `django.db.backends.sqlite3`: NAME is a file, OPTIONS are what Python's `sqlite3.connect` takes.

use std::path::PathBuf;
use std::time::Duration;

use super::super::place::{Report, Setting, working_directory};
use super::options::{seconds, text, unknown};
use super::{Engine, Read, Source};
use crate::error::Result;

/// How long Python's sqlite3 waits for a lock where nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A SQLite database.
#[derive(Clone, Debug)]
pub struct Sqlite {
    /// NAME.
    pub file: SqliteFile,
    /// `timeout`: how long a call waits for somebody else's lock, at most; its deadline may come sooner.
    pub timeout: Duration,
    /// The statements of `init_command` that larder runs on each connection: PRAGMAs that leave nothing behind.
    pub init: Vec<String>,
}

/// What NAME names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqliteFile {
    /// A file, absolute.
    Path(PathBuf),
    /// A `file:` URI, as SQLite reads it; never in memory, and `mode` is never `rwc` (larder creates no file unless it
    /// is asked to make the table).
    Uri(String),
}

/// What `sqlite3.connect` and Django take.
const KNOWN: [&str; 10] = [
    "timeout",
    "transaction_mode",
    "init_command",
    "detect_types",
    "isolation_level",
    "check_same_thread",
    "factory",
    "cached_statements",
    "uri",
    "autocommit",
];

/// PRAGMAs that only concern the connection that they are run on.
const PRAGMAS: [&str; 17] = [
    "analysis_limit",
    "automatic_index",
    "busy_timeout",
    "cache_size",
    "cache_spill",
    "case_sensitive_like",
    "cell_size_check",
    "checkpoint_fullfsync",
    "foreign_keys",
    "fullfsync",
    "journal_size_limit",
    "recursive_triggers",
    "secure_delete",
    "synchronous",
    "temp_store",
    "threads",
    "wal_autocheckpoint",
];

pub(super) fn read(source: &Source<'_>, report: &mut Report) -> Result<Read> {
    let name = source.text("NAME", report)?.ok_or_else(|| source.place.at("NAME").error("is missing"))?;
    let mut sqlite = Sqlite { file: file(name, source, report)?, timeout: TIMEOUT, init: Vec::new() };
    for (name, setting) in source.options() {
        match name {
            "timeout" => sqlite.timeout = seconds(&setting, report)?,
            "transaction_mode" => transaction_mode(&setting, report)?,
            "init_command" => sqlite.init = init(&setting, report)?,
            _ if KNOWN.contains(&name) => {} // how Python's connection is made
            "database" => return Err(setting.place.error("is NAME's; write it there")),
            _ => return Err(unknown(&setting, name, &KNOWN, "sqlite3.connect")),
        }
    }
    // Who waits longer for locks than a call may take would never see it.
    let timeout = Some(sqlite.timeout).filter(|timeout| *timeout > TIMEOUT);
    Ok(Read { engine: Engine::Sqlite(sqlite), timeout, max_connections: None, lacking: None })
}

fn file(name: &str, source: &Source<'_>, report: &mut Report) -> Result<SqliteFile> {
    let place = source.place.at("NAME");
    if name.starts_with(":memory:") || name.starts_with("file::memory:") || name.contains("mode=memory") {
        let reason = "is in memory, where nobody else sees it; use locmem.LocMemCache for that";
        return Err(place.error(reason));
    }
    if let Some(rest) = name.strip_prefix("file:") {
        // larder never creates what is not there, and SQLite refuses to be asked for more than that
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let query: Vec<&str> = query.split('&').filter(|part| !part.is_empty() && *part != "mode=rwc").collect();
        let mark = if query.is_empty() { "" } else { "?" };
        return Ok(SqliteFile::Uri(format!("file:{path}{mark}{}", query.join("&"))));
    }
    let mut path = PathBuf::new();
    if !name.starts_with('/') {
        path = working_directory(&place, "", report)?;
    }
    path.push(name);
    Ok(SqliteFile::Path(path))
}

/// larder's transactions are immediate, or single statements: this only has to be right.
fn transaction_mode(setting: &Setting<'_>, report: &Report) -> Result<()> {
    if setting.value.is_null() {
        return Ok(());
    }
    match setting.text(report)?.to_ascii_uppercase().as_str() {
        "DEFERRED" | "IMMEDIATE" | "EXCLUSIVE" => Ok(()),
        _ => Err(setting.must_be("\"DEFERRED\", \"IMMEDIATE\" or \"EXCLUSIVE\"", report)),
    }
}

/// Split as Django splits it. What would change the file, or do anything else, is left to Django.
fn init(setting: &Setting<'_>, report: &mut Report) -> Result<Vec<String>> {
    let mut kept = Vec::new();
    for statement in text(setting, report)?.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        match pragma(statement) {
            Some(name) if PRAGMAS.contains(&name.as_str()) => {
                if name != "busy_timeout" {
                    kept.push(statement.to_owned()); // that is `timeout` and the deadline here
                }
            }
            Some(name) if name == "mmap_size" => {
                // where another process makes a mapped file shorter, a read would end this process
                report.warn(&setting.place, "larder maps no file, whatever mmap_size says");
            }
            Some(name) if name == "journal_mode" => {
                report.warn(&setting.place, "larder leaves the journal mode as it is; Django sets it for both");
            }
            _ => report.warn(&setting.place, "larder runs only PRAGMAs that change nothing but the connection"),
        }
    }
    Ok(kept)
}

/// The name of a `PRAGMA name = value` or `PRAGMA name(value)`.
fn pragma(statement: &str) -> Option<String> {
    let (word, rest) = statement.split_once(char::is_whitespace)?;
    let rest = rest.trim_start().trim_start_matches("main.");
    let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')?;
    (word.eq_ignore_ascii_case("pragma")).then(|| rest.get(..end).unwrap_or_default().to_ascii_lowercase())
}
