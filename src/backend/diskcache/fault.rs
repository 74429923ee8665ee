//! What can go wrong inside SQLite, until it is known where.

use std::path::Path;

use rusqlite::ffi::ErrorCode;

use crate::error::{Error, Kind};
use crate::timeout::Deadline;

/// A failure on its way out.
pub enum Fault {
    /// SQLite's.
    Sqlite(rusqlite::Error),
    /// Said already.
    Told(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl Fault {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Told(_) => None,
        }
    }

    /// Whether others hold a lock: the same may work in a moment.
    pub fn is_busy(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed)
        )
    }

    /// Whether the connection is as good as before: it was only told to wait, or the trouble is not SQLite's.
    pub fn is_harmless(&self) -> bool {
        self.is_busy() || matches!(self, Self::Told(_))
    }

    /// The failure for a caller: in which folder, and why.
    pub fn told(self, folder: &Path, deadline: &Deadline) -> Error {
        let code = self.code();
        let error = match self {
            Self::Told(error) => return error,
            Self::Sqlite(error) => error,
        };
        let (folder, total) = (folder.display(), deadline.total().as_millis());
        let (kind, what) = match code {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
                let reason =
                    format!("the database in '{folder}' was locked by others until the deadline of {total} ms");
                return Error::new(Kind::Timeout, reason);
            }
            Some(ErrorCode::OperationInterrupted) => {
                let reason = format!("the deadline of {total} ms passed while SQLite worked in '{folder}'");
                return Error::new(Kind::Timeout, reason);
            }
            Some(ErrorCode::OutOfMemory) => (Kind::Memory, "has not enough memory"),
            Some(ErrorCode::TooBig) => (Kind::TooBig, "refuses a value of this size"),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (Kind::Io, "is damaged"),
            Some(ErrorCode::DiskFull) => (Kind::Io, "cannot grow"),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (Kind::Io, "cannot be written"),
            Some(ErrorCode::CannotOpen) => (Kind::Io, "cannot be opened"),
            _ => (Kind::Io, "cannot be used"),
        };
        Error::new(kind, format!("the database in '{folder}' {what}: {error}"))
    }
}
