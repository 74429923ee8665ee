//! What a pipeline tells the log: Pyot's records (PY-L), and what it passes over.

use std::fmt::{self, Write};

use super::ask::TokenRef;
use super::pipeline::Pipeline;
use crate::config::OnStoreError;
use crate::error::{Error, Kind, Result};
use crate::log::Level;

/// What an operation was about (PY-L), written only for who listens.
struct Inner<'a>(TokenRef<'a>);

impl fmt::Display for Inner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.show(&mut OneLine(f))
    }
}

/// What players call themselves is in tokens: it must not look like another record, nor steer a terminal.
struct OneLine<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| breaks(*c)) {
            let (before, behind) = rest.split_at(at);
            write!(self.0, "{before}{}", c.escape_default())?;
            rest = behind.get(c.len_utf8()..).unwrap_or_default();
        }
        self.0.write_str(rest)
    }
}

/// A level of Python's as one of the log's: the next that is not higher.
pub(super) fn level_of(number: i32) -> Level {
    match number {
        ..20 => Level::Debug,
        20..30 => Level::Info,
        30..40 => Level::Warning,
        40.. => Level::Error,
    }
}

impl Pipeline {
    /// `GET`, `SET` or `DELETE`, after it went well.
    pub(super) fn record(&self, level: usize, operation: &str, token: TokenRef<'_>) {
        self.say(level, &format_args!("{operation}: {}", Inner(token)));
    }

    /// After a store was cleared.
    pub(super) fn record_clear(&self, level: usize) {
        self.say(level, &format_args!("CLEAR: Store has been cleared successfully"));
    }

    fn say(&self, level: usize, what: &fmt::Arguments<'_>) {
        let Some(level) = self.levels.get(level) else { return };
        if let Some(title) = &level.title {
            self.log.record(level.records_at, &format_args!("[Trace: {} > {title}] {what}", self.game));
        }
    }

    /// PY-E5.
    pub(super) fn record_unknown(&self) {
        let text = "[Trace: Pyot Pipeline] WARNING: A non defined expiration token was passed, returned 0 by default";
        self.log.record(Level::Warning, &format_args!("{text}"));
    }

    /// Passes a store's failure over, or does not. What says nothing about the store is never passed over; what its own
    /// settings hide always is.
    pub(super) fn pass_over(&self, level: usize, error: &Error) -> Result<()> {
        let is_ours =
            matches!(error.kind(), Kind::Shutdown | Kind::Forked | Kind::Cancelled | Kind::Deadlock | Kind::Panic);
        if is_ours || (self.on_error == OnStoreError::Fail && !error.is_hidden()) {
            return Err(error.clone());
        }
        if let Some(counts) = self.counts.levels.get(level) {
            counts.errors_skipped.one();
        }
        if !error.is_hidden() {
            self.log.record(Level::Warning, &format_args!("{} goes on without a store: {error}", self.title));
        }
        Ok(())
    }
}
