//! Several keys in one call (O table).

use super::herd::longer;
use super::{Call, Packed, Store, Value};
use crate::backend::{Entry, Stored, When};
use crate::codec::Input;
use crate::error::{Error, Result};
use crate::key::MadeKey;
use crate::timeout::TtlChoice;

impl Store {
    /// The values of several keys, in their order; `None` where there is none.
    pub fn get_many(&self, keys: &[&str], call: &Call<'_>) -> Result<Vec<Option<Value>>> {
        let made: Vec<MadeKey> = keys.iter().map(|key| self.make("get_many", key, call)).collect::<Result<_>>()?;
        if made.is_empty() {
            return Ok(Vec::new()); // O-6
        }
        let _watch = self.watch();
        self.were_read(self.backend.get_many(&made, self.budget(call)))
    }

    pub(super) fn were_read(&self, stored: Result<Vec<Option<Stored>>>) -> Result<Vec<Option<Value>>> {
        let stored = self.checked("get_many", stored)?;
        self.count_many(&stored, !self.sifts());
        if self.sifts() {
            let values = stored
                .into_iter()
                .map(|stored| self.forgiven("get_many", stored.map(|one| self.fetched("get_many", one)).transpose()));
            return self.sifted_many(values.collect::<Result<_>>()?);
        }
        stored.into_iter().map(|stored| stored.map(|stored| self.fetched("get_many", stored)).transpose()).collect()
    }

    /// Writes several values; for each its failure, if it failed. An `Err` means that none is known to be written.
    pub fn set_many(
        &self,
        values: &[(&str, Input<'_>)],
        ttl: TtlChoice,
        call: &Call<'_>,
    ) -> Result<Vec<Option<Error>>> {
        let mut failed: Vec<Option<Error>> = vec![None; values.len()];
        let mut entries = Vec::with_capacity(values.len());
        let mut places = Vec::with_capacity(values.len());
        let ttl = ttl.or(self.alias.ttl);
        let mut kept = ttl;
        for ((key, value), (place, failure)) in values.iter().zip(failed.iter_mut().enumerate()) {
            match self.pack("set_many", *value, ttl, When::Always) {
                Ok(Packed { value, ttl, .. }) => {
                    kept = longer(kept, ttl);
                    entries.push(Entry { key: self.make("set_many", key, call)?, value });
                    places.push(place);
                }
                Err(error) => *failure = Some(error),
            }
        }
        if entries.is_empty() {
            return Ok(failed);
        }
        let watch = self.watch();
        watch.here.bytes_written(entries.iter().map(|entry| entry.value.bytes.len()).sum());
        let results = self.checked("set_many", self.backend.set_many(&entries, kept, self.budget(call)))?;
        watch.here.sets(results.iter().filter(|failure| failure.is_none()).count() as u64);
        for (place, error) in places.into_iter().zip(results) {
            if let (Some(failure), Some(error)) = (failed.get_mut(place), error) {
                *failure = self.checked::<()>("set_many", Err(error)).err();
            }
        }
        Ok(failed)
    }

    /// Removes several keys; how many there were.
    pub fn delete_many(&self, keys: &[&str], call: &Call<'_>) -> Result<u64> {
        let made: Vec<MadeKey> = keys.iter().map(|key| self.make("delete_many", key, call)).collect::<Result<_>>()?;
        if made.is_empty() {
            return Ok(0);
        }
        let watch = self.watch();
        let removed = self.checked("delete_many", self.backend.delete_many(&made, self.budget(call)))?;
        watch.here.deletes(removed);
        Ok(removed)
    }
}
