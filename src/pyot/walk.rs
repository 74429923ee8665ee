//! The stores in order (PY-P1).

use std::sync::Arc;

use super::access::Access;
use super::ask::Found;
use super::pipeline::Pipeline;
use super::policy::{Keeps, Level, Quest};
use crate::config::WriteBack;
use crate::error::{Error, Kind, Result};
use crate::store::{Operation, Outcome, Value};
use crate::timeout::Ttl;

/// What a look through the stores brought.
#[derive(Default)]
pub(super) struct Looked {
    /// The first value that will do.
    pub seen: Option<Seen>,
    /// A bit for each store that does not have it.
    pub missed: u64,
    /// The last failure that was passed over.
    pub failure: Option<Error>,
    /// A store failed whose alias takes failures for misses. What another one has is not written back to it.
    pub ignored: bool,
}

/// A value that a store had.
pub(super) struct Seen {
    pub value: Value,
    pub level: usize,
    /// What is left until its store forgets it, where that was asked for and it still has it.
    pub left: Option<Ttl>,
    /// It is over.
    pub stale: bool,
    /// It is to be loaded anew: what is left has to be more than this many milliseconds.
    pub refresh: Option<i64>,
}

/// Which values will do.
#[derive(Clone, Copy)]
pub(super) enum Accept {
    /// Fresh ones, and for who can load them anew stale ones.
    Usual,
    /// Those that are kept for more than so many milliseconds.
    Longer(i64),
}

impl Seen {
    pub fn found(self) -> Found {
        Found { value: self.value, level: Some(self.level), stale: self.stale, refreshing: false, form_of: self.level }
    }
}

impl Pipeline {
    /// Asks the stores in order, until one has it.
    pub(super) async fn look<A: Access>(&self, access: &A, quest: &Quest<'_>, accept: Accept) -> Result<Looked> {
        let mut looked = Looked::default();
        let last = self.levels.len().saturating_sub(1);
        for (index, level) in self.levels.iter().enumerate() {
            match level.keeps(quest) {
                Keeps::For(_) => {}
                other => {
                    self.skip(index, other);
                    continue;
                }
            }
            let is_last = index == last && quest.loader.is_none();
            let Some(budget) = quest.budget(level, index == 0, is_last) else {
                return Err(looked.failure.unwrap_or_else(|| self.too_late()));
            };
            let is_bound = level.knows_ttl && matches!(accept, Accept::Longer(0..));
            let asks_left = is_bound || self.asks_left(level, quest, looked.missed != 0);
            let key = quest.token.text();
            let get = if asks_left { Operation::Fetch { key } } else { Operation::Get { key } };
            let (value, left) = match access.ask(&level.store, get, quest.call(budget)).await {
                Ok(Outcome::Value(value)) => (value, None),
                Ok(Outcome::Fetched(fetched)) => fetched.map_or((None, None), |(value, left)| (Some(value), left)),
                Ok(_) => return Err(unexpected()),
                Err(error) => {
                    self.pass_over(index, &error)?;
                    if error.is_hidden() {
                        looked.ignored = true;
                    } else {
                        looked.failure = Some(error);
                    }
                    continue;
                }
            };
            let value = value.filter(|_| !is_bound || left.is_some()); // else it is gone already
            let seen = value.and_then(|value| self.judged(quest, accept, (index, value, left)));
            if seen.is_some() {
                looked.seen = seen;
                return Ok(looked);
            }
            looked.missed |= 1 << index;
        }
        Ok(looked)
    }

    /// Whether a value is none for a pipeline: PY-S5.
    pub(super) fn is_nothing(&self, value: &Value) -> bool {
        self.takes_none_for_missing && value.is_plain_none()
    }

    /// Counts a store that is not asked.
    pub(super) fn skip(&self, level: usize, keeps: Keeps) {
        if let Some((counts, level)) = self.counts.levels.get(level).zip(self.levels.get(level)) {
            counts.skipped.one();
            level.store.count_skipped();
        }
        if keeps == Keeps::Unknown {
            self.record_unknown();
        }
    }

    /// Whether a store is to tell with a value what is left of it: to judge it, or to write it back for so long.
    pub(super) fn asks_left(&self, level: &Level, quest: &Quest<'_>, writes_back: bool) -> bool {
        let is_bound = writes_back && self.write_back == WriteBack::Remaining;
        level.knows_ttl && (is_bound || self.times.watches(quest.loader.is_some()))
    }

    /// A store's value with what is left of it, if it will do.
    pub(super) fn judged(
        &self,
        quest: &Quest<'_>,
        accept: Accept,
        (level, value, left): (usize, Value, Option<Ttl>),
    ) -> Option<Seen> {
        if self.is_nothing(&value) {
            return None;
        }
        let mut seen = Seen { value, level, left, stale: false, refresh: None };
        let Some(Ttl::Millis(kept)) = seen.left else { return Some(seen) }; // for ever, or nobody knows
        if let Accept::Longer(least) = accept {
            return (kept > least).then_some(seen);
        }
        let Ttl::Millis(fresh) = self.times.fresh(Ttl::Millis(kept)) else { return Some(seen) };
        let may_load = quest.loader.is_some();
        if fresh <= 0 && self.times.has_grace() {
            seen.stale = true;
            seen.refresh = Some(kept);
            return may_load.then_some(seen);
        }
        if may_load && self.times.is_early(fresh) {
            seen.refresh = Some(kept);
        }
        Some(seen)
    }

    /// The value of a token (PY-P1).
    pub(super) async fn get<A: Access>(self: &Arc<Self>, access: &A, quest: &Quest<'_>) -> Result<Option<Found>> {
        let moment = quest.loader.map(|_| self.flights.moment(quest.token.text())).unwrap_or_default();
        let looked = self.look(access, quest, Accept::Usual).await?;
        if let Some(seen) = looked.seen {
            self.hit(&seen, quest);
            if !seen.stale {
                self.write_back(access, quest, &seen, looked.missed).await?;
            }
            if let Some(least) = seen.refresh
                && let Some(fresh) = self.refresh(access, quest, moment, least).await
            {
                return Ok(Some(fresh));
            }
            return Ok(Some(seen.found()));
        }
        if quest.loader.is_some() {
            return self.load(access, quest, moment).await;
        }
        match looked.failure {
            // nobody can tell whether there is one
            Some(error) if looked.missed == 0 && !looked.ignored => Err(error),
            _ => {
                self.counts.all.misses.one();
                Ok(None)
            }
        }
    }

    /// Counts and records a value that is handed out.
    pub(super) fn hit(&self, seen: &Seen, quest: &Quest<'_>) {
        if let Some(counts) = self.counts.levels.get(seen.level) {
            counts.hits.one();
        }
        if let Some(level) = self.levels.get(seen.level).filter(|_| seen.stale) {
            self.counts.all.stale.one();
            level.store.count_stale(1);
        }
        self.record(seen.level, "GET", quest.token);
    }

    pub(super) fn too_late(&self) -> Error {
        let reason = format!("the time of the call was over before all stores of {} had answered", self.title);
        Error::new(Kind::Timeout, reason)
    }
}

pub(super) fn unexpected() -> Error {
    Error::new(Kind::Panic, "a store answered something that does not belong to the question")
}
