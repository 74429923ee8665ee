//! What larder has to say besides answers: warnings about the configuration, failures that are hidden by request.
//!
//! Nothing is printed and no global logger is taken; records go to the context's own [`Log`].

use std::fmt;

/// How much a record matters. The numbers are those of Python's `logging`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For people who look for a fault.
    Debug = 10,
    /// For the record.
    Info = 20,
    /// Something is not as it was probably meant.
    Warning = 30,
    /// Something failed.
    Error = 40,
}

/// Where records go. Called on any thread of the host's or larder's, never under a lock.
pub trait Log: Send + Sync {
    /// Takes one record; `text` names the alias and the server where there is one, and never a value or a password.
    fn record(&self, level: Level, text: &fmt::Arguments<'_>);
}

/// A log for those who do not want one.
pub struct Silent;

impl Log for Silent {
    fn record(&self, _: Level, _: &fmt::Arguments<'_>) {}
}
