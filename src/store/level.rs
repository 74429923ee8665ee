//! What a pipeline needs of a store that is one of its levels.

use std::sync::Arc;

use super::{Call, Store, Value};
use crate::backend::{Spawner, Stored};
use crate::codec::Input;
use crate::error::Result;
use crate::log::Log;
use crate::timeout::{Ttl, TtlChoice};

impl Store {
    /// What this store would store for a value.
    pub fn encoded(&self, input: Input<'_>) -> Result<Stored> {
        self.encode("set", input)
    }

    /// Stored bytes of this store's form, as a value to hand out.
    pub fn shown(&self, stored: Stored) -> Result<Value> {
        self.delivered("get", stored)
    }

    /// What a key is called by the backend.
    pub fn made_key(&self, key: &str, call: &Call<'_>) -> Result<Vec<u8>> {
        Ok(self.make("get", key, call)?.as_bytes().to_vec())
    }

    /// A time to live, or the alias's own.
    pub fn life(&self, ttl: TtlChoice) -> Ttl {
        ttl.or(self.alias.ttl)
    }

    /// Whether every operation's time is measured; where nothing ever waits one of [`SAMPLE`](super::SAMPLE) is.
    pub fn measures_all(&self) -> bool {
        self.counters.measures_all()
    }

    /// Threads and tasks.
    pub(crate) fn spawner(&self) -> &Arc<dyn Spawner> {
        &self.spawner
    }

    /// Where failures are logged.
    pub(crate) fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }
}
