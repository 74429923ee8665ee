//! A load on its way: from the miss to the landing.
//!
//! A trip is a small machine, so that a caller whose time is over can leave it to a task.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::access::{Access, Later};
use super::arrival::Arrival;
use super::ask::{Found, Loaded, OwnedInput, OwnedToken};
use super::flight::{Flight, Flying, Landing, Name, Role};
use super::load::{Load, Loader, is_inside};
use super::pipeline::Pipeline;
use super::policy::Quest;
use super::walk::{Accept, unexpected};
use crate::backend::Leveled;
use crate::error::{Error, Kind, Result};
use crate::log;
use crate::store::{Call, Operation, Outcome, Store};
use crate::timeout::{Budget, Ttl, TtlChoice};

/// A load that is led.
pub(super) struct Trip {
    pipeline: Arc<Pipeline>,
    token: OwnedToken,
    method: Option<Box<str>>,
    ttl: Option<TtlChoice>,
    loader: Arc<dyn Loader>,
    flying: Flying,
    /// Values that are kept for longer than this need no load: it is a refresh.
    longer: Option<i64>,
    /// The token of the lock of all processes.
    held: Option<Vec<u8>>,
    stage: Stage,
}

/// What comes next.
enum Stage {
    /// To ask the stores again.
    Look,
    /// To take the lock of all processes; whether it was waited for.
    Lock { waits: bool },
    /// To begin the load.
    Load,
    /// To wait for the load's answer.
    Answer(Arc<Arrival<Loaded>>, Instant),
    /// To write what was loaded.
    Write(Arc<OwnedInput>, Option<TtlChoice>),
    /// To land.
    Land(Landing),
}

impl Stage {
    /// Whether the next stage is known without waiting.
    fn is_answered(&self) -> bool {
        matches!(self, Self::Answer(arrival, _) if arrival.get().is_some())
    }
}

/// How long a write to the stores, or a lock, may hold a flight up beside the load.
const ASIDE: Duration = Duration::from_secs(10);

impl Trip {
    pub fn new(pipeline: &Arc<Pipeline>, quest: &Quest<'_>, loader: &Arc<dyn Loader>, flying: Flying) -> Self {
        let has_lock = pipeline.lock.is_some();
        let stage = match flying.looks_again {
            true => Stage::Look,
            false if has_lock => Stage::Lock { waits: false },
            false => Stage::Load,
        };
        Self {
            pipeline: pipeline.clone(),
            token: quest.token.keep(),
            method: quest.method.map(Into::into),
            ttl: quest.ttl,
            loader: loader.clone(),
            flying,
            longer: None,
            held: None,
            stage,
        }
    }

    /// A load of what will soon be over, or just was.
    fn refreshing(mut self, longer: i64) -> Self {
        self.longer = Some(longer);
        self.stage = Stage::Look;
        self
    }

    pub fn flight(&self) -> &Arc<Flight> {
        self.flying.flight()
    }

    /// Goes on until it has landed, or until then; the rest is for somebody else.
    pub async fn go<A: Access>(mut self, access: &A, until: Option<Instant>) -> Result<Landing, Box<Self>> {
        loop {
            let is_over = until.is_some_and(|until| until <= Instant::now());
            self.stage = match std::mem::replace(&mut self.stage, Stage::Look) {
                Stage::Land(landing) => {
                    return Ok(Self::land(self.pipeline, self.flying, self.held, landing, access, until).await);
                }
                stage if is_over && !stage.is_answered() => {
                    self.stage = stage;
                    return Err(Box::new(self));
                }
                Stage::Look => match self.look(access, until).await {
                    Ok(Some(found)) => Stage::Land(Landing::Value(found.leveled())),
                    Ok(None) if self.pipeline.lock.is_some() && self.held.is_none() => Stage::Lock { waits: false },
                    Ok(None) => Stage::Load,
                    Err(error) => Stage::Land(Landing::Failed(error)),
                },
                Stage::Lock { waits } => match self.lock(access, waits, until).await {
                    Ok(stage) => stage,
                    Err(error) => Stage::Land(Landing::Failed(error)),
                },
                Stage::Load => self.load(access),
                Stage::Answer(arrival, began) => {
                    let end = self.flight().end();
                    let answer = access.arrival(&arrival, until.map_or(end, |until| until.min(end))).await;
                    self.answered(answer, arrival, began)
                }
                Stage::Write(input, ttl) => self.write(access, until, &input, ttl).await,
            };
        }
    }

    /// What a caller can be given whose time is over before it was written.
    pub fn in_hand(&self) -> Option<Landing> {
        match &self.stage {
            Stage::Write(input, _) => Some(self.pipeline.landing(input)),
            _ => None,
        }
    }

    fn quest(&self, time: Duration, until: Option<Instant>) -> Quest<'_> {
        let began = Instant::now();
        let time = until.map_or(time, |until| time.min(until.saturating_duration_since(began)));
        let name = self.flying.name();
        Quest {
            token: self.token.as_ref(),
            method: self.method.as_deref(),
            version: name.version.as_deref(),
            final_key: name.final_key,
            ttl: self.ttl,
            loader: Some(&self.loader),
            deadline: Budget::new(time).fixed_since(began).start(),
            began,
        }
    }

    /// Asks the stores again.
    async fn look<A: Access>(&self, access: &A, until: Option<Instant>) -> Result<Option<Found>> {
        let quest = self.quest(self.pipeline.usual, until);
        let longer = self.longer.unwrap_or_else(|| self.pipeline.times.least());
        let looked = self.pipeline.look(access, &quest, Accept::Longer(longer)).await?;
        let Some(seen) = looked.seen else { return Ok(None) };
        self.pipeline.hit(&seen, &quest);
        self.pipeline.write_back(access, &quest, &seen, looked.missed).await?;
        Ok(Some(seen.found()))
    }

    /// Takes the lock of all processes, first without waiting.
    async fn lock<A: Access>(&mut self, access: &A, waits: bool, until: Option<Instant>) -> Result<Stage> {
        let Some((store, ttl)) = self.pipeline.lock.clone() else { return Ok(Stage::Load) };
        let own = store.budget(&Call::default()).total();
        let left = self.flight().end().saturating_duration_since(Instant::now());
        let left = until.map_or(left, |until| left.min(until.saturating_duration_since(Instant::now())));
        let wait = if waits { left } else { Duration::ZERO };
        let total = match (waits, until) {
            (false, _) => own.min(left),
            (true, None) => left.saturating_add(own),
            (true, Some(_)) => left, // of a caller's time nothing more can be had
        };
        let name = self.flying.name();
        let key = format!("lock:{}", name.token);
        let call =
            Call { version: name.version.as_deref(), budget: Some(Budget::new(total)), final_key: name.final_key };
        let ttl = TtlChoice::Of(Ttl::Millis(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)));
        match access.ask(&store, Operation::Lock { key: &key, ttl, wait: Some(wait) }, call).await {
            Ok(Outcome::Locked(Some(token))) => {
                self.held = Some(token.text_or_bytes()?.shown.to_vec());
                self.flying.prolong(self.pipeline.times.rules.timeout);
                Ok(if waits { Stage::Look } else { Stage::Load })
            }
            Ok(Outcome::Locked(None)) if self.flight().end() <= Instant::now() => {
                let reason = "another process holds the lock of this load for longer than a load may take";
                Err(Error::new(Kind::Timeout, reason).during("load").on_alias(store.name()))
            }
            Ok(Outcome::Locked(None)) => Ok(Stage::Lock { waits: true }),
            Ok(_) => Err(unexpected()),
            Err(error) if matches!(error.kind(), Kind::Shutdown | Kind::Forked) => Err(error),
            Err(_) if until.is_some_and(|until| until <= Instant::now()) => Ok(Stage::Lock { waits }), // for a task
            Err(error) => {
                let title = &self.pipeline.title;
                let text = format_args!("{title} loads without the lock of all processes: {error}");
                self.pipeline.log.record(log::Level::Warning, &text);
                self.flying.prolong(self.pipeline.times.rules.timeout);
                Ok(Stage::Load)
            }
        }
    }

    /// Begins the load.
    fn load<A: Access>(&self, access: &A) -> Stage {
        let limit = self.pipeline.times.rules.timeout;
        self.pipeline.counts.all.loads.one();
        self.flying.prolong(limit);
        let arrival = Arc::new(Arrival::default());
        let answer = {
            let arrival = arrival.clone();
            move |loaded| {
                arrival.put(loaded);
            }
        };
        let began = Instant::now();
        let load = Load::new(self.token.text.clone(), limit, self.flight().number(), Box::new(answer));
        access.load(&self.loader, load);
        Stage::Answer(arrival, began)
    }

    /// What follows the waiting for the load's answer.
    fn answered(&self, answer: Option<Loaded>, arrival: Arc<Arrival<Loaded>>, began: Instant) -> Stage {
        let all = &self.pipeline.counts.all;
        if self.flight().end() <= Instant::now() {
            all.load_failures.one();
            return Stage::Land(Landing::Failed(self.flight().took_too_long())); // what came too late is not looked at
        }
        match answer {
            None => Stage::Answer(arrival, began),
            Some(Loaded::Value(input, ttl)) => {
                self.pipeline.times.took(began.elapsed());
                self.flying.prolong(ASIDE + self.pipeline.usual);
                Stage::Write(input, ttl)
            }
            Some(Loaded::NotFound) => {
                self.pipeline.times.took(began.elapsed());
                all.not_found.one();
                Stage::Land(Landing::NotFound)
            }
            Some(Loaded::Failed(error)) => {
                all.load_failures.one();
                Stage::Land(Landing::Failed(error.during("load")))
            }
        }
    }

    async fn write<A: Access>(
        &self,
        access: &A,
        until: Option<Instant>,
        input: &OwnedInput,
        ttl: Option<TtlChoice>,
    ) -> Stage {
        let mut quest = self.quest(self.pipeline.usual, until);
        let bound = match (self.ttl, ttl) {
            (Some(_), Some(own)) => {
                quest.ttl = Some(own);
                Ttl::Forever
            }
            (None, Some(TtlChoice::Of(bound))) => bound,
            _ => Ttl::Forever,
        };
        let landing = self.pipeline.landing(input);
        if matches!(landing, Landing::Failed(_)) {
            return Stage::Land(landing);
        }
        match self.pipeline.write_all(access, &quest, input.as_input(), bound).await {
            Ok(_) => Stage::Land(landing),
            Err(_) if quest.deadline.left().is_none() => Stage::Land(landing),
            Err(error) => Stage::Land(Landing::Failed(error)), // PY-P2
        }
    }

    async fn land<A: Access>(
        pipeline: Arc<Pipeline>,
        flying: Flying,
        held: Option<Vec<u8>>,
        landing: Landing,
        access: &A,
        until: Option<Instant>,
    ) -> Landing {
        let name = flying.name().clone();
        let landing = flying.land(landing);
        let Some(((store, _), token)) = pipeline.lock.clone().zip(held) else { return landing };
        if until.is_some_and(|until| until <= Instant::now()) {
            let later = Later::new(pipeline.spawner.clone());
            later.spawn(|later| Box::pin(async move { unlock(&later, &pipeline, &store, &name, &token).await }));
        } else {
            unlock(access, &pipeline, &store, &name, &token).await;
        }
        landing
    }

    /// Leaves it to a task.
    pub fn leave(self) {
        let later = Later::new(self.pipeline.spawner.clone());
        later.spawn(|later| {
            Box::pin(async move {
                let _ = self.go(&later, None).await; // it is never over for a task
            })
        });
    }
}

/// Lets go of the lock of all processes. Where that fails it expires.
async fn unlock<A: Access>(access: &A, pipeline: &Pipeline, store: &Arc<Store>, name: &Name, token: &[u8]) {
    let key = format!("lock:{}", name.token);
    let call = Call { version: name.version.as_deref(), budget: None, final_key: name.final_key };
    if let Err(error) = access.ask(store, Operation::Unlock { key: &key, token }, call).await {
        let text = format_args!("{} could not let go of the lock of a load: {error}", pipeline.title);
        pipeline.log.record(log::Level::Warning, &text);
    }
}

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
            Err(flight) => self.landing_of(access, quest, &flight).await?,
        };
        self.landed(landing)
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
            Err(trip) => {
                let in_hand = trip.in_hand();
                trip.leave();
                in_hand.map(Ok).ok_or_else(|| self.load_is_late())
            }
        }
    }

    /// Waits for a flight, at most until the deadline.
    pub(super) async fn landing_of<A: Access>(
        &self,
        access: &A,
        quest: &Quest<'_>,
        flight: &Arc<Flight>,
    ) -> Result<Landing> {
        loop {
            let end = flight.end();
            if let Some(landing) = access.arrival(flight.landing(), end.min(quest.deadline.end())).await {
                return Ok(landing);
            }
            if quest.deadline.left().is_none() {
                return Err(self.load_is_late());
            }
            if flight.end() <= Instant::now() {
                self.flights.give_up(&self.name_of(quest)?, flight);
            }
        }
    }

    /// Loads a value anew while its old one is served, unless somebody does.
    pub(super) fn refresh(self: &Arc<Self>, quest: &Quest<'_>, moment: u64, longer: i64) {
        let Some((loader, name)) = quest.loader.zip(self.name_of(quest).ok()) else { return };
        if let Role::Lead(flying) = self.flights.join(name, moment, self.times.rules.timeout) {
            self.counts.all.refreshes.one();
            Trip::new(self, quest, loader, flying).refreshing(longer).leave();
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
        }
    }

    /// A loaded value in the stored form of the first store that can write it.
    fn landing(&self, input: &OwnedInput) -> Landing {
        let mut failure = None;
        for (form_of, level) in self.levels.iter().enumerate() {
            match level.store.encoded(input.as_input()) {
                Ok(stored) => return Landing::Value(Leveled { stored, form_of, level: None, stale: false }),
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
        let Leveled { stored, form_of, level, stale } = leveled;
        let store = self.levels.get(form_of).map(|level| &level.store).ok_or_else(unexpected)?;
        Ok(Found { value: store.shown(stored)?, level, stale, form_of })
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
