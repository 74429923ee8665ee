//! Writing to the stores: what a later one had to those before it (PY-P1, PY-P2), and what is set or loaded to all.

use super::access::Access;
use super::pipeline::Pipeline;
use super::policy::{Keeps, Quest, shorter};
use super::walk::{Seen, unexpected};
use crate::backend::{Stored, When, Written};
use crate::codec::Input;
use crate::config::WriteBack;
use crate::error::{Error, Kind, Result};
use crate::store::{Operation, Outcome};
use crate::timeout::{Ttl, TtlChoice};

/// What became of a write to all stores.
#[derive(Default)]
pub(super) struct WroteAll {
    /// Stores that have it now.
    pub stored: usize,
    /// The last failure that was passed over.
    pub failure: Option<Error>,
}

impl Pipeline {
    /// Writes what a store had to those before it that have not, as long as there is time. Never fails where failures are
    /// passed over.
    pub(super) async fn write_back<A: Access>(
        &self,
        access: &A,
        quest: &Quest<'_>,
        seen: &Seen,
        missed: u64,
    ) -> Result<()> {
        let before = missed & ((1_u64 << seen.level) - 1);
        if before == 0 {
            return Ok(());
        }
        for index in (0..seen.level).filter(|index| before & (1 << index) != 0) {
            if quest.deadline.left().is_none() {
                break;
            }
            match self.write_one(access, quest, index, seen).await {
                Ok(true) => self.wrote_back(index, quest),
                Ok(false) => {}
                Err(_) if quest.deadline.left().is_none() => break,
                Err(error) => self.pass_over(index, &error)?,
            }
        }
        Ok(())
    }

    /// What bounds the time to live of a value in other stores; `None` where it is over by now.
    fn bound(&self, seen: &Seen) -> Option<Ttl> {
        let knows = self.levels.get(seen.level).is_some_and(|level| level.knows_ttl);
        if self.write_back == WriteBack::Full || !knows {
            return Some(Ttl::Forever);
        }
        seen.left.map(|left| self.times.fresh(left)).filter(|left| !left.is_spent())
    }

    /// A value of one store as another stores it, and for how long; `None` if that would not keep it.
    pub(super) fn carried(&self, quest: &Quest<'_>, index: usize, seen: &Seen) -> Result<Option<(Ttl, Stored)>> {
        let (Some(level), Some(from)) = (self.levels.get(index), self.levels.get(seen.level)) else { return Ok(None) };
        let (Keeps::For(full), Some(bound)) = (level.keeps(quest), self.bound(seen)) else { return Ok(None) };
        let Some(ttl) = self.times.written(level, shorter(full, bound)) else { return Ok(None) };
        Ok(Some((ttl, level.store.carry(&from.store, &seen.value)?)))
    }

    /// Writes a value of one store to another; whether it is there now.
    async fn write_one<A: Access>(&self, access: &A, quest: &Quest<'_>, index: usize, seen: &Seen) -> Result<bool> {
        let Some((ttl, stored)) = self.carried(quest, index, seen)? else { return Ok(false) };
        let Some(level) = self.levels.get(index) else { return Ok(false) };
        let Some(budget) = quest.budget(level, false, true) else { return Err(self.too_late()) };
        let set = Operation::Set {
            key: quest.token.text(),
            value: Input::Ready(stored.as_ref()),
            ttl: TtlChoice::Of(ttl),
            when: When::Always,
        };
        was_stored(access.ask(&level.store, set, quest.call(budget)).await)
    }

    /// Counts and records what was written back.
    pub(super) fn wrote_back(&self, level: usize, quest: &Quest<'_>) {
        if let Some(counts) = self.counts.levels.get(level) {
            counts.written_back.one();
        }
        self.record(level, "SET", quest.token);
    }

    /// Writes to all stores, each with its own time to live (PY-S4). `bound` is a time to live that the value has besides.
    pub(super) async fn write_all<A: Access>(
        &self,
        access: &A,
        quest: &Quest<'_>,
        value: Input<'_>,
        bound: Ttl,
    ) -> Result<WroteAll> {
        let mut wrote = WroteAll::default();
        let last = self.levels.len().saturating_sub(1);
        for (index, level) in self.levels.iter().enumerate() {
            let full = match level.keeps(quest) {
                Keeps::For(full) => full,
                other => {
                    self.skip(index, other);
                    continue;
                }
            };
            let Some(ttl) = self.times.written(level, shorter(full, bound)) else { continue };
            let Some(budget) = quest.budget(level, index == 0, index == last) else {
                let error = self.too_late().maybe_done();
                self.pass_over(index, &error)?;
                wrote.failure = Some(error);
                continue;
            };
            match self.write_value(access, quest, index, (value, ttl), budget).await {
                Ok(true) => {
                    wrote.stored += 1;
                    self.record(index, "SET", quest.token);
                }
                Ok(false) => {}
                Err(error) => {
                    if error.kind() == Kind::Invalid {
                        self.check_value(value)?;
                    }
                    self.pass_over(index, &error)?;
                    wrote.failure = Some(error).filter(|error| !error.is_hidden()).or(wrote.failure);
                }
            }
        }
        Ok(wrote)
    }

    /// What is no value at all (JSON that is none) is the caller's fault, not a store's. What a store cannot write for
    /// another reason the next one perhaps can.
    pub(super) fn check_value(&self, value: Input<'_>) -> Result<()> {
        match (self.levels.first(), value) {
            (Some(first), Input::Json(_)) => match first.store.encoded(value) {
                Err(error) if error.kind() == Kind::Invalid => Err(error),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Writes a caller's value to a store. What is serialised already is in the first one's form.
    async fn write_value<A: Access>(
        &self,
        access: &A,
        quest: &Quest<'_>,
        index: usize,
        (value, ttl): (Input<'_>, Ttl),
        budget: crate::timeout::Budget,
    ) -> Result<bool> {
        let (Some(level), Some(first)) = (self.levels.get(index), self.levels.first()) else { return Ok(false) };
        let set =
            |value| Operation::Set { key: quest.token.text(), value, ttl: TtlChoice::Of(ttl), when: When::Always };
        if index == 0 || !matches!(value, Input::Stored(_) | Input::Ready(_)) {
            return was_stored(access.ask(&level.store, set(value), quest.call(budget)).await);
        }
        let stored = level.store.carry(&first.store, &first.store.shown(first.store.encoded(value)?)?)?;
        let set = set(Input::Ready(stored.as_ref()));
        was_stored(access.ask(&level.store, set, quest.call(budget)).await)
    }
}

fn was_stored(outcome: Result<Outcome>) -> Result<bool> {
    match outcome? {
        Outcome::Written(written) => Ok(written == Written::Stored),
        _ => Err(unexpected()),
    }
}
