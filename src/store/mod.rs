//! One alias: keys, versions, times to live and values over any backend.

mod count;
mod many;
mod value;

use std::sync::Arc;

use bytes::Bytes;

pub use self::value::{Shown, Value};
use crate::backend::{
    Backend, Capability, Habits, Page, Reply, Request, Spawner, Ticket, Touched, When, Written, dummy,
};
use crate::codec::{Codec, Glance, Input};
use crate::config::{Alias, Family};
use crate::error::{Error, Kind, Result};
use crate::key::{KeyFunction, MadeKey, key_warnings};
use crate::log::{Level, Log};
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
    backend: Arc<dyn Backend>,
    habits: Habits,
    codec: Codec,
    log: Arc<dyn Log>,
    ignores_failures: bool,
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
    /// Opens an alias; never connects.
    pub fn open(alias: Alias, around: Surroundings) -> Result<Self> {
        let backend = open_backend(&alias, &around).map_err(|error| error.during("open").on_alias(&alias.name))?;
        let (raw_integers, ignores_failures) = match &alias.family {
            Family::Redis(redis) => (true, redis.ignore_exceptions),
            _ => (false, false),
        };
        let codec = Codec { protocol: alias.protocol, raw_integers, limits: alias.settings.limits };
        let head = alias.keys.head(None);
        Ok(Self { habits: backend.habits(), alias, head, backend, codec, log: around.log, ignores_failures })
    }

    /// The alias's name.
    pub fn name(&self) -> &Arc<str> {
        &self.alias.name
    }

    /// Whether the backend has an operation that not all have.
    pub fn supports(&self, capability: Capability) -> bool {
        let has_prefix = self.alias.keys.function != KeyFunction::AsIs;
        self.backend.supports(capability) && (has_prefix || capability != Capability::ClearPrefix)
    }

    /// The value of a key; `None` on a miss.
    pub fn get(&self, key: &str, call: &Call<'_>) -> Result<Option<Value>> {
        let stored = self.checked("get", self.backend.get(&self.make(key, call), self.budget(call)))?;
        stored.map(|stored| self.fetched("get", stored)).transpose()
    }

    /// Shows a value's bytes or text to `take` without allocating where the stored form allows; `false` on a miss.
    pub fn read(&self, key: &str, call: &Call<'_>, take: &mut dyn FnMut(Shown<&[u8]>)) -> Result<bool> {
        let (made, budget) = (self.make(key, call), self.budget(call));
        let mut other = None;
        let codec = &self.codec;
        let found = self.backend.look(&made, budget, &mut |stored| match codec.glance(stored) {
            Some(Glance::Bytes(bytes)) => take(Shown::exactly(bytes)),
            Some(Glance::Text(text)) => take(Shown::exactly(text.as_bytes())),
            _ => other = Some(copied(stored)),
        });
        let found = self.checked("get", found)?;
        if let Some(stored) = other {
            let value = self.fetched("get", stored.map_err(|error| self.named("get", error))?)?;
            take(value.text_or_bytes().map_err(|error| self.named("get", error))?);
        }
        Ok(found)
    }

    /// Writes a value; `when` decides where there is one already, or none.
    pub fn set(&self, key: &str, value: Input<'_>, ttl: TtlChoice, when: When, call: &Call<'_>) -> Result<Written> {
        let stored = self.encode("set", value)?;
        let written = self.backend.set(&self.make(key, call), &stored, ttl.or(self.alias.ttl), when, self.budget(call));
        self.checked(if when == When::Missing { "add" } else { "set" }, written)
    }

    /// Gives a key another time to live (Django's `touch`).
    pub fn touch(&self, key: &str, ttl: TtlChoice, call: &Call<'_>) -> Result<Touched> {
        let touched = self.backend.touch(&self.make(key, call), ttl.or(self.alias.ttl), self.budget(call));
        touched.map_err(|error| self.named("expire", error)) // DR-16: never ignored
    }

    /// Removes a key's expiry.
    pub fn persist(&self, key: &str, call: &Call<'_>) -> Result<Touched> {
        let touched = self.backend.persist(&self.make(key, call), self.budget(call));
        touched.map_err(|error| self.named("persist", error)) // DR-16: never ignored
    }

    /// What is left of a key's time to live; `None` on a miss.
    pub fn ttl(&self, key: &str, call: &Call<'_>) -> Result<Option<Ttl>> {
        let left = self.backend.ttl(&self.make(key, call), self.budget(call));
        left.map_err(|error| self.named("ttl", error)) // DR-16: never ignored
    }

    /// Removes a key; whether there was one.
    pub fn delete(&self, key: &str, call: &Call<'_>) -> Result<bool> {
        self.checked("delete", self.backend.delete(&self.make(key, call), self.budget(call)))
    }

    /// Whether a key is there.
    pub fn has(&self, key: &str, call: &Call<'_>) -> Result<bool> {
        self.checked("has", self.backend.has(&self.make(key, call), self.budget(call)))
    }

    /// One page of the user keys that match a glob pattern, from `at` (0 at the beginning). With final keys the
    /// pattern is used and keys are told as the server has them.
    pub fn keys(&self, pattern: &str, at: u64, call: &Call<'_>) -> Result<Page> {
        let made = if call.final_key {
            pattern.as_bytes().to_vec()
        } else {
            self.alias.keys.pattern(pattern, call.version) // DR-26
        };
        let mut page = self.checked("keys", self.backend.scan(&made, at, self.budget(call)))?;
        if !call.final_key {
            let rules = &self.alias.keys;
            page.keys = page.keys.iter().filter_map(|key| Some(rules.user_key(key, call.version)?.to_vec())).collect();
        }
        Ok(page)
    }

    /// Removes the keys of a scope.
    pub fn clear(&self, scope: Scope, call: &Call<'_>) -> Result<()> {
        let prefix = self.alias.keys.head(call.version);
        let prefix = match scope {
            Scope::Everything => None,
            Scope::Prefix if self.alias.keys.function == KeyFunction::AsIs => {
                let reason = "keys that are used as they are have no prefix; clear everything, or delete keys by name";
                return Err(self.named("clear", Error::new(Kind::Unsupported, reason)));
            }
            Scope::Prefix => Some(prefix.as_slice()),
        };
        self.checked("clear", self.backend.clear(prefix, self.budget(call)))
    }

    /// Removes expired entries and what crashed writers left behind; how many.
    pub fn purge_expired(&self, call: &Call<'_>) -> Result<u64> {
        self.backend.purge_expired(self.budget(call)).map_err(|error| self.named("purge_expired", error))
    }

    /// Whether the backend can be used now.
    pub fn ping(&self, call: &Call<'_>) -> Result<()> {
        self.backend.ping(self.budget(call)).map_err(|error| self.named("ping", error))
    }

    /// What Django would warn about a key on this backend (K-5, K-6, K-9).
    pub fn check_key(&self, key: &str, call: &Call<'_>) -> Vec<String> {
        if !self.habits.warns_about_keys {
            return Vec::new(); // K-9
        }
        let made = self.make(key, call);
        key_warnings(&String::from_utf8_lossy(made.as_bytes()))
    }

    /// Begins a get; [`Store::answer_get`] reads its answer.
    pub fn start_get(&self, key: &str, call: &Call<'_>, ticket: Ticket) {
        self.backend.start(Request::Get(&self.make(key, call)), self.budget(call), ticket);
    }

    /// A value as [`Store::start_set`] takes it.
    pub fn encode_set(&self, value: Input<'_>) -> Result<Bytes> {
        self.encode("set", value)
    }

    /// Begins a set of an encoded value; [`Store::answer_set`] reads its answer.
    pub fn start_set(&self, key: &str, value: &[u8], ttl: TtlChoice, when: When, call: &Call<'_>, ticket: Ticket) {
        let (key, ttl) = (&self.make(key, call), ttl.or(self.alias.ttl));
        self.backend.start(Request::Set { key, value, ttl, when }, self.budget(call), ticket);
    }

    /// Begins a touch; [`Store::answer_touch`] reads its answer.
    pub fn start_touch(&self, key: &str, ttl: TtlChoice, call: &Call<'_>, ticket: Ticket) {
        self.backend.start(Request::Touch(&self.make(key, call), ttl.or(self.alias.ttl)), self.budget(call), ticket);
    }

    /// The outcome of [`Store::start_get`].
    pub fn answer_get(&self, answer: Result<Reply>) -> Result<Option<Value>> {
        match self.checked("get", answer)? {
            Reply::Value(stored) => stored.map(|stored| self.fetched("get", stored)).transpose(),
            other => Err(self.unexpected("get", &other)),
        }
    }

    /// The outcome of [`Store::start_set`].
    pub fn answer_set(&self, answer: Result<Reply>) -> Result<Written> {
        match self.checked("set", answer)? {
            Reply::Written(written) => Ok(written),
            other => Err(self.unexpected("set", &other)),
        }
    }

    /// The outcome of [`Store::start_touch`].
    pub fn answer_touch(&self, answer: Result<Reply>) -> Result<Touched> {
        match answer.map_err(|error| self.named("expire", error))? {
            Reply::Touched(touched) => Ok(touched),
            other => Err(self.unexpected("expire", &other)),
        }
    }

    /// Whether a value with this time to live is dead at once, as this store's backend counts (T).
    pub fn is_spent(&self, ttl: TtlChoice) -> bool {
        let ttl = ttl.or(self.alias.ttl);
        ttl.is_spent() || (self.habits.counts_seconds && ttl.whole_seconds() == Some(0))
    }

    /// A number as this store would hand it out.
    pub fn value_of(&self, number: &crate::value::Number) -> Result<Value> {
        Ok(self.value(self.encode("incr", Input::Number(number))?))
    }

    #[inline]
    fn make(&self, key: &str, call: &Call<'_>) -> MadeKey {
        match call.version {
            _ if call.final_key => MadeKey::as_is(key),
            None => MadeKey::joined(&self.head, key),
            version => self.alias.keys.make(key, version),
        }
    }

    /// The time that a call may take.
    pub fn budget(&self, call: &Call<'_>) -> Budget {
        call.budget.unwrap_or_else(|| Budget::new(self.alias.settings.budget))
    }

    fn value(&self, stored: Bytes) -> Value {
        Value::new(stored, self.codec, self.alias.name.clone())
    }

    /// A value from the backend: not larger than the alias's limit.
    fn fetched(&self, operation: &'static str, stored: Bytes) -> Result<Value> {
        let limit = self.codec.limits.bytes;
        if stored.len() > limit {
            let reason = format!("the stored value has {} bytes; MAX_VALUE_BYTES is {limit}", stored.len());
            return Err(self.named(operation, Error::new(Kind::TooBig, reason)));
        }
        Ok(self.value(stored))
    }

    fn encode(&self, operation: &'static str, value: Input<'_>) -> Result<Bytes> {
        self.codec.encode(value).map_err(|error| self.named(operation, error))
    }

    fn named(&self, operation: &'static str, error: Error) -> Error {
        error.during(operation).on_alias(&self.alias.name)
    }

    fn unexpected(&self, operation: &'static str, reply: &Reply) -> Error {
        let name = match reply {
            Reply::Value(_) => "a get",
            Reply::Written(_) => "a set",
            Reply::Touched(_) => "a touch",
        };
        self.named(operation, Error::new(Kind::Panic, format!("the backend answered as to {name}")))
    }

    /// Names the operation and the alias in a backend's failure, and marks it as hidden where IGNORE_EXCEPTIONS says
    /// so: it still is a failure for the log.
    fn checked<T>(&self, operation: &'static str, result: Result<T>) -> Result<T> {
        result.map_err(|error| {
            let hidden = self.ignores_failures // DR-15
                && matches!(error.kind(), Kind::Connection | Kind::Timeout | Kind::Server | Kind::Type);
            let error = self.named(operation, error);
            if hidden {
                self.log.record(Level::Warning, &format_args!("ignored by IGNORE_EXCEPTIONS: {error}"));
                error.hidden()
            } else {
                error
            }
        })
    }
}

#[cfg_attr(not(any(feature = "memory", feature = "file", feature = "redis")), allow(unused_variables))]
fn open_backend(alias: &Alias, around: &Surroundings) -> Result<Arc<dyn Backend>> {
    Ok(match &alias.family {
        Family::Dummy => Arc::new(dummy::Dummy),
        #[cfg(feature = "memory")]
        Family::Memory { name } => Arc::new(crate::backend::memory::Memory::open(&around.tables, name, alias.culling)),
        #[cfg(feature = "file")]
        Family::File { directory } => Arc::new(crate::backend::file::File::open(
            directory.clone(),
            alias.culling,
            alias.settings.limits,
            around.spawner.clone(),
        )),
        #[cfg(feature = "redis")]
        Family::Redis(redis) => Arc::new(crate::backend::redis::Redis::open(redis.clone(), around.spawner.clone())),
        Family::NotBuiltIn { reason } => return Err(Error::new(Kind::Config, reason.clone())),
        #[allow(unreachable_patterns)]
        _ => return Err(Error::new(Kind::Config, "this backend is not built in: larder was compiled without it")),
    })
}

/// A copy of stored bytes, whose size comes from outside.
fn copied(stored: &[u8]) -> Result<Bytes> {
    let mut copy = Vec::new();
    let no_memory = |_| Error::new(Kind::Memory, format!("no memory for a value of {} bytes", stored.len()));
    copy.try_reserve_exact(stored.len()).map_err(no_memory)?;
    copy.extend_from_slice(stored);
    Ok(copy.into())
}
