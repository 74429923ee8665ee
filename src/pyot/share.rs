//! One load for all who miss one token: who leads, who waits, and what they are told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::access::Access;
use super::ask::{Found, OwnedInput};
use super::flight::{Flight, Landing, Name, Role};
use super::load::is_inside;
use super::pipeline::Pipeline;
use super::policy::Quest;
use super::trip::Trip;
use super::walk::unexpected;
use crate::backend::Leveled;
use crate::error::{Error, Kind, Result};

impl Pipeline {
    /// What no store has: by a load of one's own, or somebody else's.
    pub(super) async fn load<A: Access>(
        self: &Arc<Self>,
        access: &A,
        quest: &Quest<'_>,
        moment: u64,
    ) -> Result<Option<Found>> {
        let landing = match self.begin_load(access, quest, moment).await? {
            Ok(landing) => landing,
            Err(flight) => self.landing_after(access, quest, moment, flight).await?,
        };
        self.landed(landing)
    }

    /// Waits for a flight, or where its leader went before the load began leads the next.
    pub(super) async fn landing_after<A: Access>(
        self: &Arc<Self>,
        access: &A,
        quest: &Quest<'_>,
        moment: u64,
        mut flight: Arc<Flight>,
    ) -> Result<Landing> {
        loop {
            match self.landing_of(access, quest, &flight).await? {
                Landing::Abandoned => match self.begin_load(access, quest, moment).await? {
                    Ok(landing) => return Ok(landing),
                    Err(other) => flight = other,
                },
                landing => return Ok(landing),
            }
        }
    }

    /// A single store counts its loads itself.
    pub(super) fn count_load(&self, is_shared: bool) {
        if let [only] = &*self.levels
            && only.expirations.is_none()
        {
            only.store.count_load(is_shared);
        }
    }

    /// Leads a load, or finds the flight to wait for. A load that somebody else leads, or a task, is not waited for.
    pub(super) async fn begin_load<A: Access>(
        self: &Arc<Self>,
        access: &A,
        quest: &Quest<'_>,
        moment: u64,
    ) -> Result<Result<Landing, Arc<Flight>>> {
        let Some(loader) = quest.loader else { return Ok(Ok(Landing::NotFound)) };
        let flying = match self.flights.join(self.name_of(quest)?, moment, self.times.rules.timeout) {
            Role::Lead(flying) => flying,
            Role::Wait(flight) => {
                if !A::LATER && is_inside(flight.number()) {
                    let reason =
                        "the value is being loaded by this very call's thread; a loader cannot wait for its own load";
                    return Err(Error::new(Kind::Deadlock, reason));
                }
                self.counts.all.shared_loads.one();
                self.count_load(true);
                return Ok(Err(flight));
            }
        };
        let trip = Trip::new(self, quest, loader, flying);
        if A::LATER {
            let flight = trip.flight().clone();
            trip.leave();
            return Ok(Err(flight));
        }
        match trip.go(access, Some(quest.deadline.end())).await {
            Ok(landing) => Ok(Ok(landing)),
            Err(trip) if !trip.is_left() => {
                trip.abandon(access, quest.deadline.end()).await;
                Err(self.load_is_late())
            }
            Err(trip) => {
                let flight = trip.flight().clone();
                trip.leave();
                Ok(Err(flight))
            }
        }
    }

    /// Waits for a flight, at most until the deadline.
    async fn landing_of<A: Access>(&self, access: &A, quest: &Quest<'_>, flight: &Arc<Flight>) -> Result<Landing> {
        loop {
            let end = flight.end();
            if let Some(landing) = access.arrival(flight.landing(), end.min(quest.deadline.end())).await {
                return Ok(landing);
            }
            if quest.deadline.left().is_none() {
                return flight.loaded().get().ok_or_else(|| self.load_is_late());
            }
            if flight.end() <= Instant::now() {
                self.flights.give_up(&self.name_of(quest)?, flight);
            }
        }
    }

    /// Loads a value anew while its old one is served, unless somebody does. On a caller's thread a loader of that call only
    /// is not left to a task: the caller gets the new value, if it comes in time.
    pub(super) async fn refresh<A: Access>(
        self: &Arc<Self>,
        access: &A,
        quest: &Quest<'_>,
        moment: u64,
        longer: i64,
    ) -> Option<Found> {
        let (loader, name) = quest.loader.zip(self.name_of(quest).ok())?;
        let Role::Lead(flying) = self.flights.join(name, moment, self.times.rules.timeout) else { return None };
        let trip = Trip::new(self, quest, loader, flying).refreshing(longer);
        let goes_on = |trip: Trip| {
            if let Some(begun) = quest.refreshes {
                begun.store(true, Ordering::Relaxed);
            }
            trip.leave();
        };
        if A::LATER || trip.is_left() {
            goes_on(trip);
            return None;
        }
        match trip.go(access, Some(quest.deadline.end())).await {
            Ok(Landing::Value(leveled)) => self.shown(leveled).ok(),
            Ok(_) => None, // the old value is better than that
            Err(trip) if trip.is_left() => {
                goes_on(*trip);
                None
            }
            Err(trip) => {
                trip.abandon(access, quest.deadline.end()).await;
                None
            }
        }
    }

    /// What a flight brought, for a caller.
    pub(super) fn landed(&self, landing: Landing) -> Result<Option<Found>> {
        match landing {
            Landing::Value(leveled) => self.shown(leveled).map(Some),
            Landing::NotFound => {
                self.counts.all.misses.one();
                Ok(None)
            }
            Landing::Failed(error) => Err(error),
            Landing::Abandoned => Err(self.load_is_late()),
        }
    }

    /// A loaded value in the stored form of the first store that can write it.
    pub(super) fn landing(&self, input: &OwnedInput) -> Landing {
        let mut failure = None;
        for (form_of, level) in self.levels.iter().enumerate() {
            match level.store.encoded(input.as_input()) {
                Ok(stored) => {
                    return Landing::Value(Leveled { stored, form_of, level: None, stale: false, refreshing: false });
                }
                Err(error) => failure = failure.or(Some(error)),
            }
            if matches!(input, OwnedInput::Stored(_) | OwnedInput::Ready(_)) {
                break; // it is in the form of the first
            }
        }
        Landing::Failed(failure.unwrap_or_else(unexpected))
    }

    /// A value of an answer.
    pub(super) fn shown(&self, leveled: Leveled) -> Result<Found> {
        let Leveled { stored, form_of, level, stale, refreshing } = leveled;
        let store = self.levels.get(form_of).map(|level| &level.store).ok_or_else(unexpected)?;
        Ok(Found { value: store.shown(stored)?, level, stale, refreshing, form_of })
    }

    fn name_of(&self, quest: &Quest<'_>) -> Result<Name> {
        let first = self.levels.first().ok_or_else(unexpected)?;
        Ok(Name {
            made: first.store.made_key(quest.token.text(), &quest.call(quest.deadline.budget()))?.into(),
            token: quest.token.text().into(),
            version: quest.version.map(Into::into),
            final_key: quest.final_key,
        })
    }

    fn load_is_late(&self) -> Error {
        let reason = format!("the time of the call was over before the value of {} was loaded", self.title);
        Error::new(Kind::Timeout, reason).during("load")
    }
}
