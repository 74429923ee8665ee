//! Several tokens in one call: one batch to each store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::access::Access;
use super::ask::Found;
use super::flight::Landing;
use super::pipeline::Pipeline;
use super::policy::{Keeps, Quest};
use super::walk::{Accept, Seen, unexpected};
use crate::backend::Stored;
use crate::codec::Input;
use crate::error::{Error, Result};
use crate::store::{Operation, Outcome, WithLeft};
use crate::timeout::{Ttl, TtlChoice};

/// What is known of one of the tokens.
#[derive(Default)]
struct Place {
    seen: Option<Seen>,
    /// A bit for each store that does not have it.
    missed: u64,
    /// A store that failed was passed over.
    failed: bool,
    /// One failed whose alias takes failures for misses.
    ignored: bool,
}

impl Place {
    /// Whether nobody can tell if there is one.
    fn is_unknown(&self) -> bool {
        self.seen.is_none() && self.failed && self.missed == 0 && !self.ignored
    }

    /// What is to be written back, and to which stores.
    fn before(&self) -> Option<(&Seen, u64)> {
        let seen = self.seen.as_ref().filter(|seen| !seen.stale)?;
        let before = self.missed & ((1_u64 << seen.level) - 1);
        (before != 0).then_some((seen, before))
    }
}

impl Pipeline {
    /// The values of several tokens, in their order. Where a load fails the call does, with what was loaded stored.
    pub(super) async fn get_many<A: Access>(
        self: &Arc<Self>,
        access: &A,
        quests: &[Quest<'_>],
    ) -> Result<Vec<Option<Found>>> {
        let moments: Vec<u64> = quests.iter().map(|quest| self.flights.moment(quest.token.text())).collect();
        let mut places: Vec<Place> = quests.iter().map(|_| Place::default()).collect();
        let mut failure = None;
        for index in 0..self.levels.len() {
            failure = self.look_many(access, quests, &mut places, index).await?.or(failure);
        }
        self.write_back_many(access, quests, &places).await?;
        for ((place, quest), moment) in places.iter().zip(quests).zip(&moments) {
            let Some(seen) = &place.seen else { continue };
            self.hit(seen, quest);
            if let Some(least) = seen.refresh {
                self.refresh(access, quest, *moment, least).await; // the next get has it
            }
        }
        let missing = |place: &Place| place.seen.is_none();
        if quests.iter().any(|quest| quest.loader.is_some()) && places.iter().any(missing) {
            return self.load_many(access, quests, places, &moments).await;
        }
        match failure {
            Some(error) if places.iter().any(Place::is_unknown) => Err(error),
            _ => {
                self.counts.all.misses.add(places.iter().filter(|place| missing(place)).count() as u64);
                Ok(places.into_iter().map(|place| place.seen.map(Seen::found)).collect())
            }
        }
    }

    /// Asks one store for those that none before it had; its failure, if that was passed over.
    async fn look_many<A: Access>(
        &self,
        access: &A,
        quests: &[Quest<'_>],
        places: &mut [Place],
        index: usize,
    ) -> Result<Option<Error>> {
        let Some(level) = self.levels.get(index) else { return Ok(None) };
        let mut wanted: Vec<(&Quest<'_>, &mut Place)> = Vec::new();
        for (quest, place) in quests.iter().zip(places).filter(|(_, place)| place.seen.is_none()) {
            match level.keeps(quest) {
                Keeps::For(_) => wanted.push((quest, place)),
                other => self.skip(index, other),
            }
        }
        let Some((first, _)) = wanted.first() else { return Ok(None) };
        let is_last = index + 1 == self.levels.len() && first.loader.is_none();
        let Some(budget) = first.budget(level, index == 0, is_last) else { return Err(self.too_late()) };
        let keys: Vec<&str> = wanted.iter().map(|(quest, _)| quest.token.text()).collect();
        let writes_back = wanted.iter().any(|(_, place)| place.missed != 0);
        let get = if self.asks_left(level, first, writes_back) {
            Operation::FetchMany { keys: &keys }
        } else {
            Operation::GetMany { keys: &keys }
        };
        let fetched: Vec<Option<WithLeft>> = match access.ask(&level.store, get, first.call(budget)).await {
            Ok(Outcome::Values(values)) => values.into_iter().map(|value| Some((value?, None))).collect(),
            Ok(Outcome::FetchedMany(fetched)) => fetched,
            Ok(_) => return Err(unexpected()),
            Err(error) => {
                self.pass_over(index, &error)?;
                for (_, place) in &mut wanted {
                    place.failed = true;
                    place.ignored |= error.is_hidden();
                }
                return Ok(Some(error).filter(|error| !error.is_hidden()));
            }
        };
        if fetched.len() != wanted.len() {
            return Err(unexpected());
        }
        for ((quest, place), fetched) in wanted.into_iter().zip(fetched) {
            let seen = fetched.and_then(|(value, left)| self.judged(quest, Accept::Usual, (index, value, left)));
            if seen.is_none() {
                place.missed |= 1 << index;
            }
            place.seen = seen;
        }
        Ok(None)
    }

    /// Writes what stores had to those before them: one batch to each for each time to live, which are whole seconds here.
    async fn write_back_many<A: Access>(&self, access: &A, quests: &[Quest<'_>], places: &[Place]) -> Result<()> {
        let found: Vec<_> =
            quests.iter().zip(places).filter_map(|(quest, place)| Some((quest, place.before()?))).collect();
        for index in 0..self.levels.len() {
            let mut batches: BTreeMap<Option<i64>, Vec<(&Quest<'_>, Stored)>> = BTreeMap::new();
            for (quest, (seen, _)) in found.iter().filter(|(_, (_, before))| before & (1 << index) != 0) {
                match self.carried(quest, index, seen) {
                    Ok(Some((ttl, stored))) => batches.entry(seconds(ttl)).or_default().push((quest, stored)),
                    Ok(None) => {}
                    Err(error) => self.pass_over(index, &error)?,
                }
            }
            for (ttl, batch) in batches {
                self.write_batch(access, index, ttl, &batch).await?;
            }
        }
        Ok(())
    }

    async fn write_batch<A: Access>(
        &self,
        access: &A,
        index: usize,
        ttl: Option<i64>,
        batch: &[(&Quest<'_>, Stored)],
    ) -> Result<()> {
        let (Some(level), Some((first, _))) = (self.levels.get(index), batch.first()) else { return Ok(()) };
        let Some(budget) = first.budget(level, false, true) else { return Ok(()) }; // the values are what counts
        let values: Vec<_> =
            batch.iter().map(|(quest, stored)| (quest.token.text(), Input::Ready(stored.as_ref()))).collect();
        let ttl = TtlChoice::Of(ttl.map_or(Ttl::Forever, Ttl::Millis));
        let set = Operation::SetMany { values: &values, ttl };
        match access.ask(&level.store, set, first.call(budget)).await {
            Ok(Outcome::Failures(failures, _)) => {
                for (failure, (quest, _)) in failures.iter().zip(batch) {
                    match failure {
                        None => self.wrote_back(index, quest),
                        Some(error) => self.pass_over(index, error)?,
                    }
                }
                Ok(())
            }
            Ok(_) => Err(unexpected()),
            Err(_) if first.deadline.left().is_none() => Ok(()),
            Err(error) => self.pass_over(index, &error),
        }
    }

    /// Loads what no store has: one load for each token, all at once, or on the caller's thread one after the other.
    async fn load_many<A: Access>(
        self: &Arc<Self>,
        access: &A,
        quests: &[Quest<'_>],
        places: Vec<Place>,
        moments: &[u64],
    ) -> Result<Vec<Option<Found>>> {
        let mut landings: HashMap<&str, Landing> = HashMap::new();
        let mut waits = HashMap::new();
        for ((quest, place), moment) in quests.iter().zip(&places).zip(moments) {
            let text = quest.token.text();
            if place.seen.is_some() || landings.contains_key(text) || waits.contains_key(text) {
                continue;
            }
            if quest.deadline.left().is_none() {
                return Err(self.too_late());
            }
            match self.begin_load(access, quest, *moment).await? {
                Ok(Landing::Failed(error)) => return Err(error),
                Ok(landing) => drop(landings.insert(text, landing)),
                Err(flight) => drop(waits.insert(text, (quest, *moment, flight))),
            }
        }
        for (text, (quest, moment, flight)) in waits {
            landings.insert(text, self.landing_after(access, quest, moment, flight).await?);
        }
        let found = quests.iter().zip(places).map(|(quest, place)| match place.seen {
            Some(seen) => Ok(Some(seen.found())),
            None => landings.get(quest.token.text()).cloned().map_or(Ok(None), |landing| self.landed(landing)),
        });
        found.collect()
    }
}

/// A time to live in milliseconds, without the part of a second beyond the first.
fn seconds(ttl: Ttl) -> Option<i64> {
    match ttl {
        Ttl::Forever => None,
        Ttl::Millis(millis @ 1000..) => Some(millis - millis % 1000),
        Ttl::Millis(millis) => Some(millis),
    }
}
