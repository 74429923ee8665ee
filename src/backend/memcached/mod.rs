//! The memcached caches of Django: PyMemcacheCache and PyLibMCCache (contract: M rules).
//!
//! `decoder` is the wire format (the text protocol), `command` and `many` the operations, `request` the same for a queue, `calls` for
//! callers that wait, `fault` the errors; the transports are [`net`](super::net)'s. `several` is the cache over all
//! servers of an alias: `choice` tells which one has a key, `standing` which ones are there.

use std::sync::Arc;

use super::{Backend, Spawner};
use crate::config;
use crate::error::Result;
use crate::key::MadeKey;
use crate::log::Log;

mod calls;
mod choice;
mod command;
mod decoder;
mod fault;
mod hash;
mod key;
mod many;
mod protocol;
mod request;
mod several;
mod standing;

/// The most keys in one command; more are sent in several.
const KEYS_AT_ONCE: usize = 10_000;
/// The most values that are sent before the first answer is read; more are sent in several rounds.
const ENTRIES_AT_ONCE: usize = 10_000;

/// Tells which server of an alias has a key, without asking any.
pub struct Chooser<'a> {
    config: &'a config::Memcached,
    choice: choice::Choice,
}

impl<'a> Chooser<'a> {
    /// For an alias with these settings.
    pub fn new(config: &'a config::Memcached) -> Self {
        Self { config, choice: choice::Choice::new(config) }
    }

    /// The index of the server that has a made key while all servers are there.
    ///
    /// # Errors
    ///
    /// `Kind::Invalid` for a key that memcached does not take (K-7, K-8).
    pub fn server_of(&self, key: &MadeKey) -> Result<Option<usize>> {
        key::check(self.config, key)?;
        let sent = key.behind(self.config.key_prefix.as_bytes());
        let by = if self.config.chooses_with_prefix { &sent } else { key };
        Ok(self.choice.pick(by.as_bytes(), &|_| true))
    }
}

/// The cache of an alias. It connects when it is first used.
pub fn open(config: config::Memcached, spawner: &Arc<dyn Spawner>, log: &Arc<dyn Log>) -> Arc<dyn Backend> {
    Arc::new(several::Several::open(config, spawner, log))
}

/// What the fuzz targets call.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    /// Reads what a server sent, at once and in pieces of so many bytes.
    pub fn replies(sent: &[u8], piece: usize) {
        crate::backend::net::fuzz::in_any_pieces::<super::decoder::Decoder>(sent, piece);
    }
}
