//! The operations that change what the stores have, and contains.

use super::access::Access;
use super::pipeline::Pipeline;
use super::policy::{Keeps, Quest};
use super::walk::unexpected;
use crate::backend::{Capability, Written};
use crate::codec::Input;
use crate::error::{Error, Kind, Result};
use crate::store::{self, Call, Scope};
use crate::timeout::Ttl;

impl Pipeline {
    /// Writes to all stores (PY-P2). Where failures are passed over it is enough that one store has it.
    pub(super) async fn set<A: Access>(&self, access: &A, quest: &Quest<'_>, value: Input<'_>) -> Result<Written> {
        let wrote = self.write_all(access, quest, value, Ttl::Forever).await?;
        match wrote.failure {
            Some(error) if wrote.stored == 0 => Err(error),
            _ if wrote.stored > 0 => Ok(Written::Stored),
            // its own settings hide why (DR-15)
            _ if self.levels.iter().any(|level| matches!(level.keeps(quest), Keeps::For(_))) => Ok(Written::NotStored),
            _ => Ok(Written::NotKept),
        }
    }

    /// Removes from all stores (PY-P3, PY-S6); whether any had it. All are asked, and then the first failure is told, since
    /// a store that failed may have it still.
    pub(super) async fn delete<A: Access>(&self, access: &A, quest: &Quest<'_>) -> Result<bool> {
        let (mut had, mut failure) = (false, None);
        let last = self.levels.len().saturating_sub(1);
        for (index, level) in self.levels.iter().enumerate() {
            let Some(budget) = quest.budget(level, index == 0, index == last) else {
                return Err(failure.unwrap_or_else(|| self.too_late().maybe_done()));
            };
            let delete = store::Operation::Delete { key: quest.token.text() };
            match access.ask(&level.store, delete, quest.call(budget)).await {
                Ok(store::Outcome::Found(found)) => {
                    had |= found;
                    self.record(index, "DELETE", quest.token);
                }
                Ok(_) => return Err(unexpected()),
                Err(error) if error.is_hidden() => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(had), Err)
    }

    /// Whether a store has it: the first that does wins (PY-P3). Times to live by endpoint do not matter (PY-S7).
    pub(super) async fn contains<A: Access>(&self, access: &A, quest: &Quest<'_>) -> Result<bool> {
        let (mut failure, mut missed) = (None, false);
        let last = self.levels.len().saturating_sub(1);
        for (index, level) in self.levels.iter().enumerate() {
            let Some(budget) = quest.budget(level, index == 0, index == last) else {
                return Err(failure.unwrap_or_else(|| self.too_late()));
            };
            let get = store::Operation::Get { key: quest.token.text() };
            match access.ask(&level.store, get, quest.call(budget)).await {
                Ok(store::Outcome::Value(Some(value))) if !self.is_nothing(&value) => return Ok(true),
                Ok(store::Outcome::Value(_)) => missed = true,
                Ok(_) => return Err(unexpected()),
                Err(error) => {
                    self.pass_over(index, &error)?;
                    if error.is_hidden() {
                        missed = true; // IGNORE_EXCEPTIONS takes it for a miss
                    } else {
                        failure = Some(error);
                    }
                }
            }
        }
        match failure {
            Some(error) if !missed => Err(error),
            _ => Ok(false),
        }
    }

    /// An error where a store cannot be cleared within a scope: before any is.
    pub(super) fn check_clear(&self, scope: Scope, call: &Call<'_>) -> Result<()> {
        for level in &self.levels {
            level.store.prepare_order(&store::Operation::Clear { scope }, call)?;
            if scope == Scope::Prefix && !level.store.supports(Capability::ClearPrefix) {
                let reason = "this backend cannot remove only the keys with a prefix; clear everything";
                return Err(Error::new(Kind::Unsupported, reason).during("clear").on_alias(level.store.name()));
            }
        }
        Ok(())
    }

    /// Clears all stores. All are asked, and then the first failure is told.
    pub(super) async fn clear<A: Access>(&self, access: &A, quest: &Quest<'_>, scope: Scope) -> Result<()> {
        self.check_clear(scope, &quest.call(quest.deadline.budget()))?;
        let mut failure = None;
        let last = self.levels.len().saturating_sub(1);
        for (index, level) in self.levels.iter().enumerate() {
            let Some(budget) = quest.budget(level, index == 0, index == last) else {
                return Err(failure.unwrap_or_else(|| self.too_late().maybe_done()));
            };
            match access.ask(&level.store, store::Operation::Clear { scope }, quest.call(budget)).await {
                Ok(_) => self.record_clear(index),
                Err(error) if error.is_hidden() => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Removes what has expired from stores that do not do it themselves; how much.
    pub(super) async fn expire<A: Access>(&self, access: &A, quest: &Quest<'_>) -> Result<u64> {
        let (mut removed, mut failure, mut done) = (0, None, false);
        let last = self.levels.len().saturating_sub(1);
        for (index, level) in self.levels.iter().enumerate() {
            let Some(budget) = quest.budget(level, index == 0, index == last) else {
                return Err(failure.unwrap_or_else(|| self.too_late().maybe_done()));
            };
            match access.ask(&level.store, store::Operation::PurgeExpired, quest.call(budget)).await {
                Ok(store::Outcome::Removed(count)) => {
                    removed += count;
                    done = true;
                }
                Ok(_) => return Err(unexpected()),
                Err(error) => {
                    self.pass_over(index, &error)?;
                    failure = Some(error);
                }
            }
        }
        match failure {
            Some(error) if !done => Err(error),
            _ => Ok(removed),
        }
    }
}
