//! What SQLite's errors mean here.

use rusqlite::ErrorCode;

use crate::error::{Error, Kind};
use crate::timeout::Deadline;

/// What went wrong in an operation on `table`. Nothing was written: a statement or transaction that fails leaves all as
/// it was.
pub fn of(error: &rusqlite::Error, table: &str, deadline: &Deadline) -> Error {
    let (code, text) = match error {
        rusqlite::Error::SqliteFailure(failure, text) => (Some(failure.code), text.as_deref().unwrap_or_default()),
        #[cfg(feature = "sqlite")] // an older SQLite does not tell where the error is
        rusqlite::Error::SqlInputError { error, msg, .. } => (Some(error.code), msg.as_str()),
        _ => (None, ""),
    };
    let total = deadline.total().as_millis();
    let (kind, reason) = match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Kind::Timeout,
            format!(
                "the database stayed locked by another connection (the call has {total} ms; see `timeout` in OPTIONS)"
            ),
        ),
        Some(ErrorCode::OperationInterrupted) => (Kind::Timeout, format!("the deadline of {total} ms passed")),
        Some(ErrorCode::ReadOnly) => {
            (Kind::Io, "the database cannot be written: the file, its folder or the connection is read-only".to_owned())
        }
        Some(ErrorCode::CannotOpen) => (Kind::Io, "the database file cannot be opened".to_owned()),
        Some(ErrorCode::NotADatabase) => (Kind::Io, "the file is not a SQLite database".to_owned()),
        Some(ErrorCode::DatabaseCorrupt) => (Kind::Io, "the database file is damaged".to_owned()),
        Some(ErrorCode::DiskFull) => (Kind::Io, "the disk or the database is full".to_owned()),
        Some(ErrorCode::SystemIoFailure) => (Kind::Io, format!("reading or writing the database file failed: {text}")),
        Some(ErrorCode::PermissionDenied) => (Kind::Io, format!("the database does not permit it: {text}")),
        Some(ErrorCode::OutOfMemory) => (Kind::Memory, "SQLite had no memory".to_owned()),
        Some(ErrorCode::TooBig) => (Kind::TooBig, "the key or value is larger than the database takes".to_owned()),
        _ if text.starts_with("no such table") => (Kind::Server, no_table(table)),
        Some(_) => (Kind::Server, text.to_owned()),
        None => (Kind::Undecodable, format!("the table {table} holds something else than Django writes: {error}")),
    };
    Error::new(kind, reason)
}

/// What to do where there is no table; the same words for every engine.
pub fn no_table(table: &str) -> String {
    format!("the table {table} is not there; make it with larder_create_table, or with manage.py createcachetable")
}
