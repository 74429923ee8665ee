//! A load on its way: from the miss to the landing.
//!
//! A trip is a small machine, so that a caller whose time is over can leave it to a task.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::access::{Access, Later};
use super::arrival::Arrival;
use super::ask::{Found, Loaded, OwnedInput, OwnedToken};
use super::flight::{Flight, Flying, Landing, Name};
use super::load::{Load, Loader};
use super::pipeline::Pipeline;
use super::policy::Quest;
use super::walk::{Accept, unexpected};
use crate::error::{Error, Kind, Result};
use crate::log;
use crate::store::{Call, Operation, Outcome, Store};
use crate::timeout::{Budget, Ttl, TtlChoice};

/// A load that is led.
pub(super) struct Trip {
    pipeline: Arc<Pipeline>,
    token: OwnedToken,
    endpoint: Option<usize>,
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
    /// To wait for it in a task: the caller's time does not suffice.
    LockLater,
    /// To begin the load.
    Load,
    /// To wait for the load's answer.
    Answer(Arc<Arrival<Loaded>>, Instant),
    /// To write what was loaded.
    Write(Arc<OwnedInput>, Option<TtlChoice>, Landing),
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
            endpoint: quest.endpoint,
            ttl: quest.ttl,
            loader: loader.clone(),
            flying,
            longer: None,
            held: None,
            stage,
        }
    }

    /// A load of what will soon be over, or just was.
    pub fn refreshing(mut self, longer: i64) -> Self {
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
                Stage::LockLater if until.is_some() && !self.is_left() => Stage::Lock { waits: true },
                Stage::LockLater if until.is_some() => {
                    self.stage = Stage::Lock { waits: true };
                    return Err(Box::new(self));
                }
                Stage::LockLater => Stage::Lock { waits: true },
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
                // nobody waits for it, and somebody else may be loading by now
                Stage::Load if self.flying.is_given_up() => Stage::Land(Landing::Failed(self.flight().took_too_long())),
                Stage::Load => self.load(access),
                Stage::Answer(arrival, began) => {
                    let end = self.flight().end();
                    let answer = access.arrival(&arrival, until.map_or(end, |until| until.min(end))).await;
                    self.answered(answer, arrival, began)
                }
                Stage::Write(input, ttl, landing) => {
                    Stage::Land(self.write(access, until, (&input, ttl), landing).await)
                }
            };
        }
    }

    /// Whether a caller may leave what is still to be done to a task. A loader of one call only is not begun after that: its
    /// user data need not live any longer.
    pub fn is_left(&self) -> bool {
        let is_begun = matches!(self.stage, Stage::Answer(..) | Stage::Write(..) | Stage::Land(_));
        is_begun || self.pipeline.loader.as_ref().is_some_and(|own| Arc::ptr_eq(own, &self.loader))
    }

    fn quest(&self, time: Duration, until: Option<Instant>) -> Quest<'_> {
        let began = Instant::now();
        let time = until.map_or(time, |until| time.min(until.saturating_duration_since(began)));
        let name = self.flying.name();
        Quest {
            token: self.token.as_ref(),
            endpoint: self.endpoint,
            version: name.version.as_deref(),
            final_key: name.final_key,
            ttl: self.ttl,
            loader: Some(&self.loader),
            deadline: Budget::new(time).fixed_since(began).start(),
            began,
            refreshes: None,
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
            Ok(Outcome::Locked(None)) if waits => Ok(Stage::LockLater),
            Ok(Outcome::Locked(None)) => Ok(Stage::Lock { waits: true }),
            Ok(_) => Err(unexpected()),
            Err(error) if matches!(error.kind(), Kind::Shutdown | Kind::Forked) => Err(error),
            Err(error) if error.kind() == Kind::Timeout && until.is_some() && total < own => Ok(Stage::LockLater),
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
        if self.longer.is_some() {
            self.pipeline.counts.all.refreshes.one();
        }
        self.pipeline.count_load(false);
        self.flying.prolong(limit);
        let arrival = Arc::new(Arrival::default());
        let answer = {
            let arrival = arrival.clone();
            move |loaded| {
                arrival.put(loaded);
            }
        };
        let began = Instant::now();
        let load =
            Load::new(self.token.text.clone(), limit, self.flight().number(), Box::new(answer)).of(self.token.made());
        access.load(&self.loader, load);
        Stage::Answer(arrival, began)
    }

    /// What follows the waiting for the load's answer.
    fn answered(&self, answer: Option<Loaded>, arrival: Arc<Arrival<Loaded>>, began: Instant) -> Stage {
        let all = &self.pipeline.counts.all;
        if !arrival.is_ours() {
            return Stage::Land(Landing::Failed(forked_inside())); // however long that took
        }
        if self.flight().end() <= Instant::now() {
            all.load_failures.one();
            return Stage::Land(Landing::Failed(self.flight().took_too_long())); // what came too late is not looked at
        }
        match answer {
            None => Stage::Answer(arrival, began),
            Some(Loaded::Value(input, ttl)) => {
                self.pipeline.times.took(began.elapsed());
                self.flying.prolong(ASIDE + self.pipeline.usual);
                match self.pipeline.landing(&input) {
                    Landing::Failed(error) => Stage::Land(Landing::Failed(error)),
                    landing => {
                        self.flight().loaded().put(landing.clone());
                        Stage::Write(input, ttl, landing)
                    }
                }
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
        (input, ttl): (&OwnedInput, Option<TtlChoice>),
        landing: Landing,
    ) -> Landing {
        let mut quest = self.quest(self.pipeline.usual, until);
        let bound = match (self.ttl, ttl) {
            (Some(_), Some(own)) => {
                quest.ttl = Some(own);
                Ttl::Forever
            }
            (None, Some(TtlChoice::Of(bound))) => bound,
            _ => Ttl::Forever,
        };
        match self.pipeline.write_all(access, &quest, input.as_input(), bound).await {
            Ok(_) => landing,
            Err(_) if quest.deadline.left().is_none() => landing,
            Err(error) => Landing::Failed(error), // PY-P2
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

    /// Goes before the load begins, whatever waits for it.
    pub async fn abandon<A: Access>(self, access: &A, until: Instant) {
        Self::land(self.pipeline, self.flying, self.held, Landing::Abandoned, access, Some(until)).await;
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

/// A loader forked, and returned in the child: what it answers there is nobody's.
fn forked_inside() -> Error {
    Error::new(Kind::Forked, "the loader forked; the load that it is inside of is the parent process's")
}
