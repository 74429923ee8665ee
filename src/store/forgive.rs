//! What cannot be decoded, taken for a miss where LARDER.UNDECODABLE says so (PK-8). Python raises an error for it.

use super::{Store, Value};
use crate::error::{Error, Kind, Result};
use crate::log::Level;

impl Store {
    /// Whether a value that was read can be handed out: it can be decoded, or says itself that it cannot.
    pub(super) fn is_whole(&self, value: &Value) -> bool {
        if !self.alias.settings.undecodable_is_miss {
            return true;
        }
        match value.undecodable() {
            Some(error) => !self.forgives("get", &error),
            None => true,
        }
    }

    /// What a backend read; a miss where its own wrapping (a file's zlib, a row's Base64) is broken.
    pub(super) fn forgiven<T: Default>(&self, operation: &'static str, read: Result<T>) -> Result<T> {
        match read {
            Err(error) if self.forgives(operation, &error) => Ok(T::default()),
            read => read,
        }
    }

    /// Whether this failure is a miss. The log is told.
    pub(super) fn forgives(&self, operation: &'static str, error: &Error) -> bool {
        let forgives =
            self.alias.settings.undecodable_is_miss && matches!(error.kind(), Kind::Undecodable | Kind::TooBig);
        if forgives {
            let error = error.clone();
            let error = if error.has_alias() { error } else { self.named(operation, error) };
            self.log.record(Level::Warning, &format_args!("taken for a miss by UNDECODABLE: {error}"));
        }
        forgives
    }
}
