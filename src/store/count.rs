//! `incr` and `incr_version` (O-2 to O-4, R-6, DR-20, DR-22).

use num_bigint::BigInt;

use super::{Call, Store, copied};
use crate::backend::{Backend, Counted, IncrBy, StoredRef, When, Written};
use crate::codec::Input;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::timeout::{Budget, Ttl};
use crate::value::Number;

/// A number of 4300 digits is pickled in less than half of that.
const LONGEST_NUMBER: usize = 4096;

impl Store {
    /// Adds to a number; `None` on a miss. Where Django adds in Python the number may be of any size, or a float.
    pub fn incr(&self, key: &str, delta: &Number, call: &Call<'_>) -> Result<Option<Number>> {
        self.check_incr()?;
        let _watch = self.watch();
        self.incr_made(&self.make("incr", key, call)?, delta, self.budget(call).fixed())
    }

    /// [`Store::incr`] of a made key.
    pub(super) fn incr_made(&self, made: &MadeKey, delta: &Number, budget: Budget) -> Result<Option<Number>> {
        match self.habits.incr {
            IncrBy::Server | IncrBy::ServerElseStore => self.incr_in_server(made, delta, budget),
            IncrBy::Update => self.incr_in_place(made, delta, budget),
            IncrBy::GetThenSet => self.incr_by_set(made, delta, self.alias.ttl, budget), // O-3
        }
    }

    /// Moves a value to the version `delta` further; the new version, or `None` on a miss. The old value stays until
    /// the new one is written.
    pub fn incr_version(&self, key: &str, delta: i64, call: &Call<'_>) -> Result<Option<i64>> {
        let _watch = self.watch();
        self.move_version(key, delta, call)
    }

    pub(super) fn move_version(&self, key: &str, delta: i64, call: &Call<'_>) -> Result<Option<i64>> {
        let (next, version) = self.next_version(delta, call).map_err(|error| self.named("incr_version", error))?;
        let budget = self.budget(call).fixed();
        let old = self.make("incr_version", key, call)?;
        let Some(stored) = self.checked("incr_version", self.latest().get(&old, budget))? else { return Ok(None) };
        let value = self.value(stored);
        if !self.is_fresh(&value) || (self.habits.none_has_no_version && value.is_none()) {
            return Ok(None); // DR-22, DR-42
        }
        let ttl = if self.habits.incr_version_keeps_ttl {
            // DR-22, in milliseconds: whole seconds would lose a value in its last second
            match self.checked("incr_version", self.latest().ttl(&old, budget))? {
                Some(ttl) => ttl,
                None => return Ok(None),
            }
        } else {
            self.alias.ttl // O-4
        };
        let new = self.make("incr_version", key, &Call { version: Some(&version), ..*call })?;
        if new == old {
            let reason = "the new version has the same key: nothing is moved";
            return Err(self.named("incr_version", Error::new(Kind::Invalid, reason)));
        }
        let written = if self.herd.is_some() {
            let packed = self.repack("incr_version", &value, ttl)?;
            self.latest().set(&new, packed.value.as_ref(), packed.ttl, When::Always, budget)
        } else {
            self.latest().set(&new, value.stored(), ttl, When::Always, budget)
        };
        self.checked("incr_version", written)?;
        self.checked("incr_version", self.backend.delete(&old, budget))?;
        Ok(Some(next))
    }

    /// Where what is read is what will be changed, and no write is tried elsewhere (DR-6, DR-20, DR-22).
    pub(super) fn latest(&self) -> &dyn Backend {
        self.backend.latest().unwrap_or(&*self.backend)
    }

    pub(super) fn next_version(&self, delta: i64, call: &Call<'_>) -> Result<(i64, String)> {
        if call.final_key {
            return Err(Error::new(Kind::Invalid, "a final key has no version"));
        }
        let version = call.version.unwrap_or(&self.alias.keys.version);
        let next = version.parse::<i64>().ok().and_then(|version| version.checked_add(delta));
        let next = next.ok_or_else(|| {
            Error::new(Kind::Invalid, format!("version {version:?} is not a number to which {delta} can be added"))
        })?;
        Ok((next, next.to_string()))
    }

    fn incr_in_server(&self, key: &MadeKey, delta: &Number, budget: Budget) -> Result<Option<Number>> {
        let counted = match delta {
            Number::Int(delta) => match i64::try_from(delta) {
                Ok(delta) => self.checked("incr", self.backend.incr(key, delta, budget))?,
                Err(_) => Counted::ByStore,
            },
            Number::Float(_) => Counted::ByStore,
        };
        match counted {
            Counted::Now(number) => Ok(Some(Number::Int(BigInt::from(number)))),
            Counted::Beyond(number) => Ok(Some(Number::Int(BigInt::from(number)))),
            Counted::Missing => Ok(None),
            Counted::ByStore if self.habits.incr == IncrBy::Server => {
                if !self.checked("incr", self.latest().has(key, budget))? {
                    return Ok(None); // O-2 comes before O-7
                }
                self.told("incr", Err(Error::new(Kind::Type, "the server adds only whole numbers of at most 64 bits")))
            }
            Counted::ByStore => match self.checked("incr", self.latest().ttl(key, budget))? {
                Some(ttl) => self.incr_by_set(key, delta, ttl, budget), // DR-20
                None => Ok(None),
            },
        }
    }

    fn incr_in_place(&self, key: &MadeKey, delta: &Number, budget: Budget) -> Result<Option<Number>> {
        let mut sum = None;
        let found = self.backend.update(
            key,
            &mut |stored: StoredRef<'_>| {
                let added = self.add(stored, delta)?;
                let stored = self.codec.encode(Input::Number(&added))?;
                sum = Some(added);
                Ok(stored)
            },
            budget,
        );
        let found = self.told("incr", found)?;
        Ok(if found { sum } else { None })
    }

    fn incr_by_set(&self, key: &MadeKey, delta: &Number, ttl: Ttl, budget: Budget) -> Result<Option<Number>> {
        let Some(stored) = self.checked("incr", self.latest().get(key, budget))? else { return Ok(None) };
        let sum = self.told("incr", self.add(stored.as_ref(), delta))?;
        let value = self.encode("incr", Input::Number(&sum))?;
        let written = self.checked("incr", self.latest().set(key, value.as_ref(), ttl, When::Always, budget))?;
        // django-redis, in the last millisecond of the key's life: it is gone meanwhile (DR-19)
        Ok((written != Written::NotStored).then_some(sum))
    }

    fn add(&self, stored: StoredRef<'_>, delta: &Number) -> Result<Number> {
        // the in-memory backend holds a lock meanwhile: nothing large is decoded just to find that it is no number
        if stored.bytes.len() > LONGEST_NUMBER {
            return Err(Error::new(Kind::Type, "the value is too large to be a number"));
        }
        let value = self.value(copied(stored)?);
        let number = value.number()?.ok_or_else(|| value.wrong_kind("a number"))?;
        number.plus(delta)
    }
}
