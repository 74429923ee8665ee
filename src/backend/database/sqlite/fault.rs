//! What SQLite's errors mean here.

use rusqlite::ErrorCode;

use super::super::dialect::Dialect;
use crate::error::{Error, Kind};
use crate::timeout::Deadline;

/// What another connection's lock, or the end of the call's time, makes of an operation; `None` for other failures.
pub fn late(error: &rusqlite::Error, deadline: &Deadline) -> Option<Error> {
    let total = deadline.total().as_millis();
    let reason = match error.sqlite_error_code()? {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => format!(
            "the database stayed locked by another connection (the call has {total} ms; see `timeout` in OPTIONS)"
        ),
        ErrorCode::OperationInterrupted => format!("the deadline of {total} ms passed"),
        _ => return None,
    };
    Some(Error::new(Kind::Timeout, reason))
}

/// What went wrong in an operation on a table. A statement or transaction that fails leaves all as it was, unless the disk
/// failed in the midst of it.
pub fn of(error: &rusqlite::Error, dialect: &Dialect, deadline: &Deadline) -> Error {
    if let Some(late) = late(error, deadline) {
        return late;
    }
    let code = error.sqlite_error_code();
    let text = error.to_string(); // names and statements; values are not in them
    let (kind, reason) = match code {
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
        _ if text.starts_with("no such table") => (Kind::Server, dialect.no_table()),
        Some(_) => (Kind::Server, text),
        None => (
            Kind::Undecodable,
            format!("the table {} holds something else than Django writes: {error}", dialect.table()),
        ),
    };
    Error::new(kind, reason)
}
