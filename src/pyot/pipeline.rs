//! Several stores in order, and a loader behind them (PY-P).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::access::{Access, Later, Now, now};
use super::ask::{Ask, Asked, Found, Operation, Outcome, OwnedInput, OwnedToken, TokenRef};
use super::counts::{Counts, Snapshot};
use super::endpoints::Endpoints;
use super::flight::Flights;
use super::load::Loader;
pub use super::policy::Rules;
use super::policy::{Level, Quest, Times};
use super::record::level_of;
use super::token::{Style, Unicode};
use super::walk::unexpected;
use crate::backend::{Capability, Reply, Spawner, Ticket};
use crate::config::{self, OnStoreError, WriteBack};
use crate::error::{Error, Kind, Result};
use crate::log::Log;
use crate::store::{Call, Scope, Store, Surroundings};
use crate::timeout::{Budget, TtlChoice};

/// More stores do not fit into the bits of a look ([`super::walk::Looked`]); the configuration stops before.
pub const MAX_LEVELS: usize = 64;

/// An open pipeline, or one store with a loader. All methods may be called from any thread.
pub struct Pipeline {
    name: Arc<str>,
    /// What tokens begin with.
    pub(super) model: Box<str>,
    /// The same in records (PY-L).
    pub(super) game: String,
    /// The same in messages.
    pub(super) title: String,
    pub(super) levels: Vec<Level>,
    style: Style,
    endpoints: Endpoints,
    pub(super) write_back: WriteBack,
    pub(super) on_error: OnStoreError,
    pub(super) times: Times,
    /// Where the lock of all processes lives, and for how long it is held.
    pub(super) lock: Option<(Arc<Store>, Duration)>,
    pub(super) loader: Option<Arc<dyn Loader>>,
    pub(super) flights: Arc<Flights>,
    pub(super) counts: Arc<Counts>,
    pub(super) spawner: Arc<dyn Spawner>,
    pub(super) log: Arc<dyn Log>,
    /// What the stores may take together.
    pub(super) usual: Duration,
    /// A `None` that a store has is a miss (PY-S5).
    pub(super) takes_none_for_missing: bool,
}

/// An operation that was found to be fine, with what it needs of its own.
pub struct Prepared {
    /// Which.
    pub asked: Asked,
    work: Work,
    ask: Ask,
}

enum Work {
    Get(OwnedToken),
    GetMany(Vec<OwnedToken>),
    Set(OwnedToken, OwnedInput),
    Delete(OwnedToken),
    Contains(OwnedToken),
    Clear(Scope),
    Expire,
    GetOrLoad(OwnedToken, TtlChoice),
}

impl Prepared {
    /// Makes the clock of the operation run since `now`. Otherwise it begins with it.
    pub fn start_clock(&mut self, now: Instant) {
        self.ask.budget = self.ask.budget.map(|budget| budget.fixed_since(now));
    }
}

impl Pipeline {
    /// Opens a pipeline; never connects.
    ///
    /// # Errors
    ///
    /// Those of [`Store::open`]; [`Kind::Config`] for more than [`MAX_LEVELS`] stores; [`Kind::Unsupported`] for LOAD.LOCK on
    /// an alias whose backend has no locks.
    pub fn open(
        config: &config::Pipeline,
        around: &Surroundings,
        flights: Arc<Flights>,
        loader: Option<Arc<dyn Loader>>,
    ) -> Result<Self> {
        if config.levels.len() > MAX_LEVELS {
            let reason = format!("a pipeline has at most {MAX_LEVELS} stores, {:?} has more", config.name);
            return Err(Error::new(Kind::Config, reason));
        }
        let endpoints = Endpoints::of(config.levels.iter().map(|level| &level.expirations));
        let level = |level: &config::Level| {
            let store = Arc::new(Store::open(level.alias.clone(), around.clone())?);
            let expirations = Some(endpoints.table(&level.expirations));
            Ok(Level { title: Some(level.title()), records_at: level_of(level.log_level), expirations, ..bare(store) })
        };
        let levels: Vec<_> = config.levels.iter().map(level).collect::<Result<_>>()?;
        let lock = config.loading.lock.as_ref().map(|lock| {
            let store = Arc::new(Store::open(lock.alias.clone(), around.clone())?);
            store.has_locks("pipeline_open")?; // a plugged backend need not have any
            Ok::<_, Error>((store, lock.ttl))
        });
        Ok(Self {
            name: config.name.clone(),
            model: config.model.clone(),
            style: Style {
                form: config.form,
                unicode: config.unicode.as_deref().map(Unicode::read).transpose()?.unwrap_or_default(),
            },
            game: config.model.to_uppercase(),
            title: format!("the pipeline {:?}", config.name),
            usual: levels.iter().map(|level| level.budget).sum(),
            counts: Arc::new(Counts::new(
                &config.name,
                config.levels.iter().map(|level| &level.alias.name),
                levels.first().is_none_or(|first| first.store.measures_all()),
            )),
            levels,
            endpoints,
            write_back: config.write_back,
            on_error: config.on_error,
            times: Times::new(Rules::from(&config.loading), flights.clone()),
            lock: lock.transpose()?,
            loader,
            flights,
            spawner: around.spawner.clone(),
            log: around.log.clone(),
            takes_none_for_missing: true,
        })
    }

    /// One store with a loader, for `larder_get_or_load`. The lock of all processes, if there is one, is this store's.
    pub fn around(store: Arc<Store>, rules: Rules, flights: Arc<Flights>) -> Self {
        let (spawner, log) = (store.spawner().clone(), store.log().clone());
        let level = bare(store.clone());
        Self {
            name: store.name().clone(),
            model: Box::default(),
            style: Style::default(),
            game: String::new(),
            title: format!("alias '{}'", store.name()),
            usual: level.budget,
            counts: flights.counts(&store),
            levels: vec![level],
            endpoints: Endpoints::default(),
            write_back: WriteBack::Remaining,
            on_error: OnStoreError::Skip,
            lock: rules.lock.map(|ttl| (store, ttl)),
            times: Times::new(rules, flights.clone()),
            loader: None,
            flights,
            spawner,
            log,
            takes_none_for_missing: false,
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How its tokens are written.
    pub fn style(&self) -> Style {
        self.style
    }

    /// Its stores, in order, and behind them that of the lock of all processes, if it has one.
    pub fn stores(&self) -> impl Iterator<Item = &Arc<Store>> {
        self.levels.iter().map(|level| &level.store).chain(self.lock.iter().map(|(store, _)| store))
    }

    /// One of its stores, from 0.
    pub fn store(&self, level: usize) -> Option<&Arc<Store>> {
        self.levels.get(level).map(|level| &level.store)
    }

    /// What it has seen.
    pub fn counts(&self) -> Snapshot {
        self.counts.snapshot()
    }

    /// Does something on the caller's thread, the loader included.
    pub fn perform(self: &Arc<Self>, operation: &Operation<'_>, ask: &Ask) -> Result<Outcome> {
        self.check(operation, ask)?;
        now(self.run(&Now, *operation, ask))
    }

    /// Looks at an operation's arguments and keeps them.
    pub fn prepare(&self, operation: &Operation<'_>, ask: &Ask) -> Result<Prepared> {
        self.check(operation, ask)?;
        let (asked, work) = match *operation {
            Operation::Get { token } => (Asked::Get, Work::Get(token.keep())),
            Operation::GetMany { tokens } => {
                (Asked::GetMany, Work::GetMany(tokens.iter().map(|token| token.keep()).collect()))
            }
            Operation::Set { token, value } => {
                self.check_value(value)?; // before anything is begun
                (Asked::Set, Work::Set(token.keep(), OwnedInput::keep(value)?))
            }
            Operation::Delete { token } => (Asked::Delete, Work::Delete(token.keep())),
            Operation::Contains { token } => (Asked::Contains, Work::Contains(token.keep())),
            Operation::Clear { scope } => (Asked::Clear, Work::Clear(scope)),
            Operation::Expire => (Asked::Expire, Work::Expire),
            Operation::GetOrLoad { key, ttl } => (Asked::GetOrLoad, Work::GetOrLoad(TokenRef::from(key).keep(), ttl)),
        };
        let mut ask = ask.clone();
        ask.budget = Some(self.budget(operation, &ask));
        Ok(Prepared { asked, work, ask })
    }

    /// Begins what was prepared; the ticket is answered, from any thread. What can be answered at once by local stores is.
    pub fn begin(self: &Arc<Self>, prepared: Prepared, ticket: Ticket) {
        let pipeline = self.clone();
        Later::new(self.spawner.clone()).begin(move |later| {
            Box::pin(async move {
                let answer = pipeline.run_prepared(&later, &prepared).await;
                ticket.answer(answer.map(reply));
            })
        });
    }

    /// How an operation ended, from its answer ([`Reply::Levels`] where there are values).
    pub fn conclude(&self, asked: Asked, answer: Result<Reply>) -> Result<Outcome> {
        let one = |mut found: Vec<Option<_>>| found.pop().flatten().map(|leveled| self.shown(leveled)).transpose();
        Ok(match (asked, answer?) {
            (Asked::Get | Asked::GetOrLoad, Reply::Levels(found)) => Outcome::Value(one(found)?),
            (Asked::GetMany, Reply::Levels(found)) => {
                let shown = found.into_iter().map(|found| found.map(|leveled| self.shown(leveled)).transpose());
                Outcome::Values(shown.collect::<Result<_>>()?)
            }
            (Asked::Set, Reply::Written(written)) => Outcome::Written(written),
            (Asked::Delete | Asked::Contains, Reply::Found(found)) => Outcome::Found(found),
            (Asked::Expire, Reply::Removed(count)) => Outcome::Removed(count),
            (Asked::Clear, Reply::Done) => Outcome::Done,
            _ => return Err(unexpected()),
        })
    }

    async fn run_prepared<A: Access>(self: &Arc<Self>, access: &A, prepared: &Prepared) -> Result<Outcome> {
        let tokens: Vec<TokenRef<'_>>;
        let operation = match &prepared.work {
            Work::Get(token) => Operation::Get { token: token.as_ref() },
            Work::GetMany(all) => {
                tokens = all.iter().map(OwnedToken::as_ref).collect();
                Operation::GetMany { tokens: &tokens }
            }
            Work::Set(token, value) => Operation::Set { token: token.as_ref(), value: value.as_input() },
            Work::Delete(token) => Operation::Delete { token: token.as_ref() },
            Work::Contains(token) => Operation::Contains { token: token.as_ref() },
            Work::Clear(scope) => Operation::Clear { scope: *scope },
            Work::Expire => Operation::Expire,
            Work::GetOrLoad(key, ttl) => Operation::GetOrLoad { key: &key.text, ttl: *ttl },
        };
        self.run(access, operation, &prepared.ask).await
    }

    async fn run<A: Access>(self: &Arc<Self>, access: &A, operation: Operation<'_>, ask: &Ask) -> Result<Outcome> {
        let began = Instant::now();
        let outcome = self.run_since(began, access, operation, ask).await;
        self.counts.ended(&operation, &outcome, began);
        outcome
    }

    async fn run_since<A: Access>(
        self: &Arc<Self>,
        began: Instant,
        access: &A,
        operation: Operation<'_>,
        ask: &Ask,
    ) -> Result<Outcome> {
        let deadline = self.budget(&operation, ask).fixed_since(began).start();
        let refreshes = AtomicBool::new(false);
        let noted =
            |found: Option<Found>| found.map(|found| Found { refreshing: refreshes.load(Ordering::Relaxed), ..found });
        let about = |token| Quest {
            token,
            endpoint: None,
            version: ask.version.as_deref(),
            final_key: ask.final_key,
            ttl: None,
            loader: None,
            deadline,
            began,
            refreshes: Some(&refreshes),
        };
        let loader = self.loader_of(ask);
        let by_endpoint = |token| Quest { endpoint: self.endpoints.find(token, &self.model), loader, ..about(token) };
        Ok(match operation {
            Operation::Get { token } => Outcome::Value(noted(self.get(access, &by_endpoint(token)).await?)),
            Operation::GetMany { tokens } => {
                let quests: Vec<_> = tokens.iter().map(|token| by_endpoint(*token)).collect();
                Outcome::Values(self.get_many(access, &quests).await?)
            }
            Operation::Set { token, value } => {
                let quest = Quest { loader: None, ..by_endpoint(token) };
                Outcome::Written(self.set(access, &quest, value).await?)
            }
            Operation::Delete { token } => Outcome::Found(self.delete(access, &about(token)).await?),
            Operation::Contains { token } => Outcome::Found(self.contains(access, &about(token)).await?),
            Operation::Clear { scope } => {
                self.clear(access, &about(TokenRef::from("")), scope).await?;
                Outcome::Done
            }
            Operation::Expire => Outcome::Removed(self.expire(access, &about(TokenRef::from(""))).await?),
            Operation::GetOrLoad { key, ttl } => {
                let quest = Quest { ttl: Some(ttl), loader, ..about(TokenRef::from(key)) };
                Outcome::Value(noted(self.get(access, &quest).await?))
            }
        })
    }

    /// What can be said about an operation before anything is done.
    fn check(&self, operation: &Operation<'_>, ask: &Ask) -> Result<()> {
        match operation {
            Operation::Get { token }
            | Operation::Set { token, .. }
            | Operation::Delete { token }
            | Operation::Contains { token } => self.check_token(*token),
            Operation::GetMany { tokens } => tokens.iter().try_for_each(|token| self.check_token(*token)),
            Operation::Clear { scope } => {
                self.check_clear(*scope, &Call { version: ask.version.as_deref(), ..Call::default() })
            }
            Operation::Expire => Ok(()),
            Operation::GetOrLoad { .. } => match &self.lock {
                Some((store, _)) => store.has_locks("get_or_load"),
                None => Ok(()),
            },
        }
    }

    fn check_token(&self, token: TokenRef<'_>) -> Result<()> {
        if token.text().is_empty() && self.takes_none_for_missing {
            return Err(Error::new(Kind::Invalid, "the token's text is empty"));
        }
        Ok(())
    }

    fn loader_of<'a>(&'a self, ask: &'a Ask) -> Option<&'a Arc<dyn Loader>> {
        if ask.no_load { None } else { ask.loader.as_ref().or(self.loader.as_ref()) }
    }

    /// The total time of a call: all stores' together, and what a load may take.
    fn budget(&self, operation: &Operation<'_>, ask: &Ask) -> Budget {
        let loads =
            matches!(operation, Operation::Get { .. } | Operation::GetMany { .. } | Operation::GetOrLoad { .. });
        let may_load = loads && self.loader_of(ask).is_some();
        let usual = || if may_load { self.usual.saturating_add(self.times.rules.timeout) } else { self.usual };
        ask.budget.unwrap_or_else(|| Budget::new(usual()))
    }
}

/// A store of a pipeline without settings of its own.
fn bare(store: Arc<Store>) -> Level {
    Level {
        expirations: None,
        title: None,
        records_at: crate::log::Level::Info,
        budget: store.budget(&Call::default()).total(),
        knows_ttl: store.supports(Capability::Ttl),
        store,
    }
}

/// What an operation ended with, as an answer.
fn reply(outcome: Outcome) -> Reply {
    let leveled = |found: Option<Found>| found.map(|found| found.leveled());
    match outcome {
        Outcome::Value(found) => Reply::Levels(vec![leveled(found)]),
        Outcome::Values(found) => Reply::Levels(found.into_iter().map(leveled).collect()),
        Outcome::Written(written) => Reply::Written(written),
        Outcome::Found(found) => Reply::Found(found),
        Outcome::Removed(count) => Reply::Removed(count),
        Outcome::Done => Reply::Done,
    }
}
