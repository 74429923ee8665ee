//! Failures of a backend: named, counted, and hidden where the alias says so.

use super::Store;
use crate::error::{Error, Kind, Result};
use crate::log::Level;

/// Which failures a server's alias takes for an empty cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ignores {
    Nothing,
    /// django-redis's IGNORE_EXCEPTIONS (DR-15, DR-16).
    AllButTouch,
    /// django-valkey's IGNORE_EXCEPTIONS: those of every operation (1.16).
    EveryCall,
    /// pymemcache's ignore_exc: those of every operation, and what is too big.
    All,
}

impl Ignores {
    /// `all`, or nothing.
    pub(super) fn all_if(on: bool, all: Self) -> Self {
        if on { all } else { Self::Nothing }
    }
}

impl Store {
    /// Names the operation and the alias in a backend's failure, and counts it.
    pub(super) fn told<T>(&self, operation: &'static str, result: Result<T>) -> Result<T> {
        result.map_err(|error| self.failed(operation, error, false))
    }

    /// As [`Store::told`], and marks it as hidden where IGNORE_EXCEPTIONS says so: it still is a failure for the log.
    pub(super) fn checked<T>(&self, operation: &'static str, result: Result<T>) -> Result<T> {
        result.map_err(|error| {
            let hidden = match (self.ignores, error.kind()) {
                (Ignores::Nothing, _) => false,
                (_, Kind::Connection | Kind::Timeout | Kind::Server | Kind::Type) => true, // DR-15
                (all, kind) => all == Ignores::All && kind == Kind::TooBig,
            };
            self.failed(operation, error, hidden)
        })
    }

    /// As [`Store::checked`] for what django-redis never ignores (DR-16).
    pub(super) fn checked_touch<T>(&self, operation: &'static str, result: Result<T>) -> Result<T> {
        match self.ignores {
            Ignores::All | Ignores::EveryCall => self.checked(operation, result),
            Ignores::Nothing | Ignores::AllButTouch => self.told(operation, result),
        }
    }

    pub(super) fn failed(&self, operation: &'static str, error: Error, hidden: bool) -> Error {
        if error.has_alias() {
            return error; // a step of this operation has been looked at already
        }
        let error = self.named(operation, error);
        self.counters.failed(&error, hidden);
        if !hidden {
            return error;
        }
        let option = if self.ignores == Ignores::All { "ignore_exc" } else { "IGNORE_EXCEPTIONS" };
        self.log.record(Level::Warning, &format_args!("ignored by {option}: {error}"));
        error.hidden()
    }
}
