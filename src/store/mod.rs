//! One alias: keys, versions, times to live and values over any backend.

mod carry;
mod count;
mod exposition;
mod failure;
mod fetch;
mod forgive;
mod herd;
mod latency;
mod level;
mod lock;
mod many;
mod open;
mod operation;
mod outcome;
mod pattern;
mod plugins;
mod reversed;
mod samples;
mod session;
mod spare;
mod stats;
mod value;

use std::sync::Arc;

pub use self::exposition::{Exposition, Samples, Sources};
use self::failure::Ignores;
pub use self::fetch::WithLeft;
use self::herd::{Herd, Packed};
pub use self::latency::{Latencies, Latency};
pub use self::operation::{Operation, Prepared};
pub use self::outcome::{Asked, Outcome};
use self::plugins::KeyFunctions;
pub use self::plugins::Plugins;
pub use self::reversed::Head;
pub use self::session::is_session_key;
use self::stats::{Counters, Watch};
pub use self::stats::{SAMPLE, Stats};
pub use self::value::{Facts, Shown, Value};
use crate::backend::{Backend, Capability, Habits, Page, Spawner, Stored, StoredRef, Touched, When, Written};
use crate::codec::{Codec, Glance, Input};
use crate::config::{Alias, Family};
use crate::error::{Error, Kind, Result};
use crate::key::{KeyFunction, MadeKey, key_warnings};
use crate::log::Log;
use crate::timeout::{Budget, Ttl, TtlChoice};

/// What one call asks for besides its arguments; the default is the alias's own settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    /// Another version than the alias's (K-3).
    pub version: Option<&'a str>,
    /// Another total time than the alias's.
    pub budget: Option<Budget>,
    /// The key is final: no prefix, no version.
    pub final_key: bool,
}

/// What a store is made from besides its alias.
#[derive(Clone)]
pub struct Surroundings {
    /// The in-memory tables of the process (L-1).
    #[cfg(feature = "memory")]
    pub tables: Arc<crate::backend::memory::Tables>,
    /// What the program has plugged in.
    pub plugins: Arc<Plugins>,
    /// Threads and tasks.
    pub spawner: Arc<dyn Spawner>,
    /// Where failures are logged.
    pub log: Arc<dyn Log>,
}

/// An open alias. All methods may be called from any thread.
pub struct Store {
    alias: Alias,
    /// What the keys of the alias's own version begin with.
    head: Vec<u8>,
    /// What makes them where that is plugged in.
    key_functions: KeyFunctions,
    backend: Arc<dyn Backend>,
    habits: Habits,
    codec: Codec,
    /// Shared with the values that it hands out.
    facts: Arc<Facts>,
    spawner: Arc<dyn Spawner>,
    log: Arc<dyn Log>,
    ignores: Ignores,
    /// Where the client is HerdClient.
    herd: Option<Herd>,
    /// They stay after the store: see [`Samples::remains`].
    counters: Arc<Counters>,
}

/// What keys a clear removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The keys under the alias's prefix and the call's version.
    Prefix,
    /// Everything that the backend holds, as Django's `clear()` does.
    Everything,
}

impl Store {
    /// The alias's name.
    pub fn name(&self) -> &Arc<str> {
        &self.alias.name
    }

    /// Whether the backend has an operation that not all have.
    pub fn supports(&self, capability: Capability) -> bool {
        let has_prefix = self.alias.keys.function == KeyFunction::Default;
        self.backend.supports(capability) && (has_prefix || capability != Capability::ClearPrefix)
    }

    /// Whether it has [`Store::incr`]: with HerdClient there is none (DR-43).
    pub fn has_incr(&self) -> bool {
        self.herd.is_none()
    }

    /// The value of a key; `None` on a miss.
    pub fn get(&self, key: &str, call: &Call<'_>) -> Result<Option<Value>> {
        let watch = self.watch();
        let stored = self.backend.get(&self.make("get", key, call)?, self.budget(call));
        self.was_read(&watch, stored)
    }

    #[inline]
    fn was_read(&self, watch: &Watch<'_>, stored: Result<Option<Stored>>) -> Result<Option<Value>> {
        let stored = self.checked("get", self.forgiven("get", stored))?;
        let size = stored.as_ref().map_or(0, |stored| stored.bytes.len());
        if self.sifts() {
            watch.here.bytes_read(size);
            let value = stored.map(|stored| self.fetched("get", stored)).transpose();
            return Ok(self.sifted(self.forgiven("get", value)?));
        }
        watch.here.read(stored.is_some(), size);
        stored.map(|stored| self.fetched("get", stored)).transpose()
    }

    /// Shows a value's bytes or text to `take` without allocating where the stored form allows; `false` on a miss.
    pub fn read(&self, key: &str, call: &Call<'_>, take: &mut dyn FnMut(Shown<&[u8]>)) -> Result<bool> {
        let watch = self.watch();
        let (made, budget) = (self.make("get", key, call)?, self.budget(call));
        let (mut other, mut size) = (None, 0);
        let codec = &self.codec;
        let found = self.backend.look(&made, budget, &mut |stored| {
            size = stored.bytes.len();
            match codec.glance(stored) {
                Some(Glance::Bytes(bytes)) => take(Shown::exactly(bytes)),
                Some(Glance::Text(text)) => take(Shown::exactly(text.as_bytes())),
                _ => other = Some(copied(stored)),
            }
        });
        let found = self.checked("get", self.forgiven("get", found))?;
        let Some(stored) = other else {
            watch.here.read(found, size);
            return Ok(found);
        };
        watch.here.bytes_read(size);
        let value = self.fetched("get", stored.map_err(|error| self.named("get", error))?).map(Some);
        let Some(value) = self.sifted(self.forgiven("get", value)?) else { return Ok(false) };
        take(value.text_or_bytes().map_err(|error| self.named("get", error))?);
        Ok(true)
    }

    /// Writes a value; `when` decides where there is one already, or none.
    pub fn set(&self, key: &str, value: Input<'_>, ttl: TtlChoice, when: When, call: &Call<'_>) -> Result<Written> {
        let name = if when == When::Missing { "add" } else { "set" };
        let watch = self.watch();
        let packed = self.pack(name, value, ttl.or(self.alias.ttl), when)?;
        watch.here.bytes_written(packed.value.bytes.len());
        let written = self.backend.set(
            &self.make(name, key, call)?,
            packed.value.as_ref(),
            packed.ttl,
            packed.when,
            self.budget(call),
        );
        let written = self.checked(name, written)?;
        watch.here.sets(u64::from(written != Written::NotStored));
        Ok(written)
    }

    /// Gives a key another time to live (Django's `touch`).
    pub fn touch(&self, key: &str, ttl: TtlChoice, call: &Call<'_>) -> Result<Touched> {
        let _watch = self.watch();
        let (made, ttl, budget) = (self.make("expire", key, call)?, ttl.or(self.alias.ttl), self.budget(call));
        if self.herd.is_some() {
            return self.touch_herd(&made, ttl, budget.fixed());
        }
        let touched = self.backend.touch(&made, ttl, budget);
        self.checked_touch("expire", touched)
    }

    /// Removes a key's expiry.
    pub fn persist(&self, key: &str, call: &Call<'_>) -> Result<Touched> {
        let _watch = self.watch();
        let touched = self.backend.persist(&self.make("persist", key, call)?, self.budget(call));
        self.checked_touch("persist", touched)
    }

    /// What is left of a key's time to live; `None` on a miss.
    pub fn ttl(&self, key: &str, call: &Call<'_>) -> Result<Option<Ttl>> {
        let _watch = self.watch();
        let left = self.backend.ttl(&self.make("ttl", key, call)?, self.budget(call));
        self.checked_touch("ttl", left)
    }

    /// Removes a key; whether there was one.
    pub fn delete(&self, key: &str, call: &Call<'_>) -> Result<bool> {
        let watch = self.watch();
        let removed =
            self.checked("delete", self.backend.delete(&self.make("delete", key, call)?, self.budget(call)))?;
        watch.here.deletes(u64::from(removed));
        Ok(removed)
    }

    /// Whether a key is there.
    pub fn has(&self, key: &str, call: &Call<'_>) -> Result<bool> {
        let _watch = self.watch();
        self.checked("has", self.backend.has(&self.make("has", key, call)?, self.budget(call)))
    }

    /// One page of the user keys that match a glob pattern, from `at` (0 at the beginning). With final keys the
    /// pattern is used and keys are told as the server has them.
    pub fn keys(&self, pattern: &str, at: u64, call: &Call<'_>) -> Result<Page> {
        self.check_way_back(call)?;
        let made = self.made_pattern("keys", pattern, call)?;
        let mut page = self.checked("keys", self.backend.scan(&made, at, self.budget(call)))?;
        page.keys = self.user_keys(page.keys, self.head_of_keys(call))?;
        Ok(page)
    }

    /// Removes the keys of a scope.
    pub fn clear(&self, scope: Scope, call: &Call<'_>) -> Result<()> {
        let prefix = self.prefix_to_clear(scope, call)?;
        self.checked("clear", self.backend.clear(prefix.as_deref(), self.budget(call)))
    }

    fn prefix_to_clear(&self, scope: Scope, call: &Call<'_>) -> Result<Option<Vec<u8>>> {
        match scope {
            Scope::Everything => Ok(None),
            Scope::Prefix => match &self.alias.keys.function {
                KeyFunction::Default => Ok(Some(self.alias.keys.head(call.version))),
                // nobody else has keys there
                KeyFunction::AsIs if matches!(self.alias.family, Family::Private { .. }) => Ok(None),
                KeyFunction::AsIs => no_prefix("keys that are used as they are have no prefix"),
                KeyFunction::Own(name) => {
                    no_prefix(&format!("only the key function {name:?} knows what its keys begin with"))
                }
            }
            .map_err(|error| self.named("clear", error)),
        }
    }

    /// Removes expired entries and what crashed writers left behind; how many.
    pub fn purge_expired(&self, call: &Call<'_>) -> Result<u64> {
        self.told("purge_expired", self.backend.purge_expired(self.budget(call)))
    }

    /// Whether the backend can be used now.
    pub fn ping(&self, call: &Call<'_>) -> Result<()> {
        self.told("ping", self.backend.ping(self.budget(call)))
    }

    /// Makes the table of a database cache, and its index, where they are not there (DB-3).
    pub fn create_table(&self, call: &Call<'_>) -> Result<()> {
        self.told("create_table", self.backend.create_table(self.budget(call)))
    }

    /// The statements with which [`Store::create_table`] makes the table.
    pub fn table_sql(&self) -> Result<String> {
        self.backend.table_sql().map_err(|error| self.named("table_sql", error))
    }

    /// What Django would warn about a key on this backend (K-5, K-6, K-9).
    pub fn check_key(&self, key: &str, call: &Call<'_>) -> Vec<String> {
        if !self.habits.warns_about_keys {
            return Vec::new(); // K-9
        }
        let Ok(made) = self.make("check_key", key, call) else { return Vec::new() };
        key_warnings(&String::from_utf8_lossy(made.as_bytes()))
    }

    /// Whether a value with this time to live is dead at once, as this store's backend counts (T).
    pub fn is_spent(&self, ttl: TtlChoice) -> bool {
        let ttl = ttl.or(self.alias.ttl);
        ttl.is_spent() || (self.habits.counts_seconds && ttl.whole_seconds() == Some(0))
    }

    /// A number as this store would hand it out.
    pub fn value_of(&self, number: &crate::value::Number) -> Result<Value> {
        Ok(Value::of_sum(self.encode("incr", Input::Number(number))?, &self.facts))
    }

    /// A key of a listing, as a value.
    pub fn value_of_key(&self, key: &[u8]) -> Result<Value> {
        let input = std::str::from_utf8(key).map_or(Input::Bytes(key), Input::Text);
        let stored = value::told(input).map_err(|error| self.named("keys", error))?;
        Ok(Value::of_told(stored, &self.alias.name))
    }

    #[inline]
    fn make(&self, operation: &'static str, key: &str, call: &Call<'_>) -> Result<MadeKey> {
        match (call.version, &self.key_functions.make) {
            _ if call.final_key => Ok(MadeKey::as_is(key)),
            (None, None) if !key.is_empty() => Ok(MadeKey::joined(&self.head, key)),
            (version, None) => Ok(self.alias.keys.make(key, version)),
            (version, Some(own)) => {
                let rules = &self.alias.keys;
                let made = own.make(key, &rules.prefix, rules.version(version));
                made.map(|made| MadeKey::of_bytes(&made)).map_err(|error| self.named(operation, error))
            }
        }
    }

    /// The time that a call may take.
    pub fn budget(&self, call: &Call<'_>) -> Budget {
        call.budget.unwrap_or_else(|| Budget::new(self.alias.settings.budget))
    }

    fn value(&self, stored: Stored) -> Value {
        Value::new(stored, self.facts.clone())
    }

    /// A value from the backend: not larger than the alias's limit.
    fn fetched(&self, operation: &'static str, stored: Stored) -> Result<Value> {
        self.check_size(operation, stored.bytes.len())?;
        Ok(self.value(stored))
    }

    #[inline]
    fn check_size(&self, operation: &'static str, size: usize) -> Result<()> {
        let limit = self.codec.limits.bytes;
        if size <= limit {
            return Ok(());
        }
        let reason = format!("the stored value has {size} bytes; MAX_VALUE_BYTES is {limit}");
        let error = Error::new(Kind::TooBig, reason);
        let is_miss = self.alias.settings.undecodable_is_miss;
        Err(if is_miss { self.named(operation, error) } else { self.failed(operation, error, false) })
    }

    fn encode(&self, operation: &'static str, value: Input<'_>) -> Result<Stored> {
        self.codec.encode(value).map_err(|error| self.named(operation, error))
    }

    fn named(&self, operation: &'static str, error: Error) -> Error {
        error.during(operation).on_alias(&self.alias.name)
    }
}

fn no_prefix<T>(why: &str) -> Result<T> {
    let reason = format!("{why}; clear everything, delete a pattern, or delete keys by name");
    Err(Error::new(Kind::Unsupported, reason))
}

/// A copy of stored bytes, whose size comes from outside.
fn copied(stored: StoredRef<'_>) -> Result<Stored> {
    let mut copy = Vec::new();
    let no_memory = |_| Error::new(Kind::Memory, format!("no memory for a value of {} bytes", stored.bytes.len()));
    copy.try_reserve_exact(stored.bytes.len()).map_err(no_memory)?;
    copy.extend_from_slice(stored.bytes);
    Ok(Stored { bytes: copy.into(), flags: stored.flags })
}
