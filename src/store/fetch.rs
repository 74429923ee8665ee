//! Values with what is left of their times to live, in one question to the backend: what a pipeline has to know.

use super::outcome::{Asked, Outcome};
use super::{Call, Store, Value};
use crate::backend::{Fetched, Reply, Stored};
use crate::error::Result;
use crate::key::MadeKey;
use crate::timeout::Ttl;

/// A value, and what is left of its time to live; `None` where the backend had removed it by then.
pub type WithLeft = (Value, Option<Ttl>);

impl Store {
    /// As [`Store::get`], with what is left. Only where the backend tells times to live.
    pub fn fetch(&self, key: &str, call: &Call<'_>) -> Result<Option<WithLeft>> {
        let watch = self.watch();
        let fetched = self.backend.fetch(&self.make("get", key, call)?, self.budget(call));
        let mut left = None;
        let stored = fetched.map(|fetched| stored(fetched, &mut left));
        Ok(self.was_read(&watch, stored)?.map(|value| (value, left)))
    }

    /// As [`Store::get_many`], with what is left of each. Only where the backend tells times to live.
    pub fn fetch_many(&self, keys: &[&str], call: &Call<'_>) -> Result<Vec<Option<WithLeft>>> {
        let made: Vec<MadeKey> = keys.iter().map(|key| self.make("get_many", key, call)).collect::<Result<_>>()?;
        if made.is_empty() {
            return Ok(Vec::new()); // O-6
        }
        let _watch = self.watch();
        let mut lefts = Vec::new();
        let fetched = self.backend.fetch_many(&made, self.budget(call));
        let values = self.were_read(fetched.map(|fetched| all_stored(fetched, &mut lefts)))?;
        Ok(with_lefts(values, lefts))
    }

    /// [`Store::conclude`] for [`Asked::Fetch`] and [`Asked::FetchMany`]: a get's answer, with what is left beside it.
    pub(super) fn conclude_fetch(&self, asked: Asked, answer: Result<Reply>) -> Result<Outcome> {
        let (mut left, mut lefts) = (None, Vec::new());
        let answer = answer.map(|reply| match reply {
            Reply::Fetched(fetched) => Reply::Value(stored(fetched, &mut left)),
            Reply::FetchedMany(fetched) => Reply::Values(all_stored(fetched, &mut lefts)),
            other => other,
        });
        let as_get = if asked == Asked::Fetch { Asked::Get } else { Asked::GetMany };
        Ok(match self.conclude(as_get, answer)? {
            Outcome::Value(value) => Outcome::Fetched(value.map(|value| (value, left))),
            Outcome::Values(values) => Outcome::FetchedMany(with_lefts(values, lefts)),
            other => other,
        })
    }
}

fn stored(fetched: Option<Fetched>, left: &mut Option<Ttl>) -> Option<Stored> {
    let fetched = fetched?;
    *left = fetched.left;
    Some(fetched.value)
}

fn all_stored(fetched: Vec<Option<Fetched>>, lefts: &mut Vec<Option<Ttl>>) -> Vec<Option<Stored>> {
    let part = |one| {
        let mut left = None;
        let value = stored(one, &mut left);
        lefts.push(left);
        value
    };
    fetched.into_iter().map(part).collect()
}

fn with_lefts(values: Vec<Option<Value>>, lefts: Vec<Option<Ttl>>) -> Vec<Option<WithLeft>> {
    values.into_iter().zip(lefts).map(|(value, left)| value.map(|value| (value, left))).collect()
}
