//! Any operation on a store, begun now and concluded when its answer has come: what the asynchronous faces use.
//!
//! [`Store::prepare`] finds what is wrong with the arguments, [`Store::begin`] hands the work to the backend, and
//! [`Store::conclude`] reads the answer, whenever and on whatever thread it comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::herd::longer;
use super::lock;
use super::outcome::Asked;
use super::session::{self, is_session_key};
use super::{Call, Packed, Scope, Store};
use crate::backend::{
    Capability, Counted, Entry, IncrBy, Job, Keys, LockAction, Order, Reply, Request, Stored, Ticket, When, left_until,
};
use crate::codec::Input;
use crate::error::Result;
use crate::key::MadeKey;
use crate::timeout::{Budget, Ttl, TtlChoice};
use crate::value::Number;

/// An operation, as a caller asks for it.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields are the parameters of the method of the same name")]
pub enum Operation<'a> {
    /// [`Store::get`].
    Get { key: &'a str },
    /// [`Store::fetch`].
    Fetch { key: &'a str },
    /// [`Store::set`].
    Set { key: &'a str, value: Input<'a>, ttl: TtlChoice, when: When },
    /// [`Store::touch`].
    Expire { key: &'a str, ttl: TtlChoice },
    /// [`Store::persist`].
    Persist { key: &'a str },
    /// [`Store::ttl`].
    Ttl { key: &'a str },
    /// [`Store::delete`].
    Delete { key: &'a str },
    /// [`Store::has`].
    Has { key: &'a str },
    /// [`Store::incr`].
    Incr { key: &'a str, delta: i64 },
    /// [`Store::incr_version`].
    IncrVersion { key: &'a str, delta: i64 },
    /// [`Store::expire_at`].
    ExpireAt { key: &'a str, at_ms: i64 },
    /// [`Store::lock`].
    Lock { key: &'a str, ttl: TtlChoice, wait: Option<Duration> },
    /// [`Store::unlock`].
    Unlock { key: &'a str, token: &'a [u8] },
    /// [`Store::extend_lock`].
    ExtendLock { key: &'a str, token: &'a [u8], ttl: TtlChoice, replace: bool },
    /// [`Store::delete_pattern`].
    DeletePattern { pattern: &'a str },
    /// [`Store::get_many`].
    GetMany { keys: &'a [&'a str] },
    /// [`Store::fetch_many`].
    FetchMany { keys: &'a [&'a str] },
    /// [`Store::set_many`].
    SetMany { values: &'a [(&'a str, Input<'a>)], ttl: TtlChoice },
    /// [`Store::delete_many`].
    DeleteMany { keys: &'a [&'a str] },
    /// [`Store::keys`].
    Keys { pattern: &'a str, at: u64 },
    /// [`Store::clear`].
    Clear { scope: Scope },
    /// [`Store::purge_expired`].
    PurgeExpired,
    /// [`Store::ping`].
    Ping,
    /// [`Store::session`].
    Session { key: &'a str },
    /// [`Store::create_table`].
    CreateTable,
}

/// An operation whose arguments are fine. It borrows the key, which is made when it is begun.
pub struct Prepared<'a> {
    /// What was asked.
    pub asked: Asked,
    work: Work<'a>,
    budget: Budget,
}

enum Work<'a> {
    /// Something with one key.
    One(UserKey<'a>, One),
    /// Any other that is the backend's own.
    Order(Box<Order>),
    /// There is nothing to do.
    Nothing(Box<Reply>),
    /// Several steps of the store's.
    TouchHerd(UserKey<'a>, Ttl),
    Incr(UserKey<'a>, i64),
    IncrVersion(&'a str, i64, Option<&'a str>),
    /// Attempts, and waiting between them.
    Lock(UserKey<'a>, TtlChoice, Option<Duration>),
    /// Something for a thread that may wait.
    CreateTable,
    /// As well; the pattern over made keys.
    DeletePattern(Vec<u8>),
}

/// What a made key is made from.
#[derive(Clone, Copy)]
pub(super) struct UserKey<'a> {
    /// Whether it is a session key.
    pub(super) is_session: bool,
    /// As the caller has it.
    pub(super) key: &'a str,
    /// The call's.
    pub(super) version: Option<&'a str>,
    /// Whether it is a made key already.
    pub(super) is_final: bool,
}

enum One {
    Get,
    Fetch,
    Set { value: Stored, ttl: Ttl, when: When },
    Touch(Ttl),
    Persist,
    Ttl,
    Delete,
    Has,
    Incr(i64),
    ExpireAt(i64),
    Lock { token: Box<[u8]>, action: LockAction },
}

impl One {
    fn request<'a>(&'a self, key: &'a MadeKey) -> Request<'a> {
        match self {
            Self::Get => Request::Get(key),
            Self::Fetch => Request::Fetch(key),
            Self::Set { value, ttl, when } => Request::Set { key, value: value.as_ref(), ttl: *ttl, when: *when },
            Self::Touch(ttl) => Request::Touch(key, *ttl),
            Self::Persist => Request::Persist(key),
            Self::Ttl => Request::Ttl(key),
            Self::Delete => Request::Delete(key),
            Self::Has => Request::Has(key),
            Self::Incr(delta) => Request::Incr(key, *delta),
            Self::ExpireAt(at) => Request::ExpireAt(key, *at),
            Self::Lock { token, action } => Request::Lock { key, token, action: *action },
        }
    }
}

impl Prepared<'_> {
    /// Makes the clock of the operation run since `now`.
    pub fn start_clock(&mut self, now: Instant) {
        self.budget = self.budget.fixed_since(now);
    }
}

impl Store {
    /// Says that several operations are about to be begun: until [`Store::end_batch`], which has to follow soon, the
    /// backend may hold them back to send them at once.
    pub fn begin_batch(&self) {
        self.backend.begin_batch();
    }

    /// Ends what [`Store::begin_batch`] began.
    pub fn end_batch(&self) {
        self.backend.end_batch();
    }

    /// Looks at an operation's arguments and encodes its values.
    pub fn prepare<'a>(&self, operation: &Operation<'a>, call: &Call<'a>) -> Result<Prepared<'a>> {
        let (asked, work) = self.work(operation, call)?;
        Ok(Prepared { asked, work, budget: self.budget(call) })
    }

    fn work<'a>(&self, operation: &Operation<'a>, call: &Call<'a>) -> Result<(Asked, Work<'a>)> {
        if let Operation::Incr { .. } = operation {
            self.check_incr()?;
        }
        let user = |key| UserKey { is_session: false, key, version: call.version, is_final: call.final_key };
        let one = |asked, key, one| Ok((asked, Work::One(user(key), one)));
        match *operation {
            Operation::Get { key } => one(Asked::Get, key, One::Get),
            Operation::Fetch { key } => one(Asked::Fetch, key, One::Fetch),
            Operation::Set { key, value, ttl, when } => {
                let asked = if when == When::Missing { Asked::Add } else { Asked::Set };
                let Packed { value, ttl, when } = self.pack(asked.name(), value, ttl.or(self.alias.ttl), when)?;
                one(asked, key, One::Set { value, ttl, when })
            }
            Operation::Expire { key, ttl } if self.herd.is_some() => {
                Ok((Asked::Expire, Work::TouchHerd(user(key), ttl.or(self.alias.ttl))))
            }
            Operation::Expire { key, ttl } => one(Asked::Expire, key, One::Touch(ttl.or(self.alias.ttl))),
            Operation::Persist { key } => one(Asked::Persist, key, One::Persist),
            Operation::Ttl { key } => one(Asked::Ttl, key, One::Ttl),
            Operation::Delete { key } => one(Asked::Delete, key, One::Delete),
            Operation::Has { key } => one(Asked::Has, key, One::Has),
            Operation::Incr { key, delta } if self.habits.incr == IncrBy::Server => {
                one(Asked::Incr, key, One::Incr(delta))
            }
            Operation::Incr { key, delta } => Ok((Asked::Incr, Work::Incr(user(key), delta))),
            Operation::IncrVersion { key, delta } => {
                self.next_version(delta, call).map_err(|error| self.named("incr_version", error))?;
                Ok((Asked::IncrVersion, Work::IncrVersion(key, delta, call.version)))
            }
            Operation::Session { key } if !is_session_key(key) => {
                Ok((Asked::Session, Work::Nothing(Box::new(Reply::Value(None)))))
            }
            Operation::Session { key } => {
                Ok((Asked::Session, Work::One(UserKey { is_session: true, ..user(key) }, One::Get)))
            }
            Operation::CreateTable => Ok((Asked::CreateTable, Work::CreateTable)),
            Operation::ExpireAt { key, at_ms } => {
                let native = self.backend.supports(Capability::ExpireAt);
                one(Asked::ExpireAt, key, if native { One::ExpireAt(at_ms) } else { One::Touch(left_until(at_ms)) })
            }
            Operation::DeletePattern { pattern } => {
                Ok((Asked::DeletePattern, Work::DeletePattern(self.made_pattern("delete_pattern", pattern, call)?)))
            }
            Operation::Lock { key, ttl, wait } => {
                self.has_locks("lock")?;
                lock::life(ttl).map_err(|error| self.named("lock", error))?;
                Ok((Asked::Lock, Work::Lock(user(key), ttl, wait)))
            }
            Operation::Unlock { key, token } => {
                self.has_locks("unlock")?;
                one(Asked::Unlock, key, One::Lock { token: token.into(), action: LockAction::Release })
            }
            Operation::ExtendLock { key, token, ttl, replace } => {
                let action = lock::extension(ttl, replace).map_err(|error| self.named("lock_extend", error))?;
                self.has_locks("lock_extend")?;
                one(Asked::ExtendLock, key, One::Lock { token: token.into(), action })
            }
            _ => self.order(operation, call),
        }
    }

    /// As [`Store::prepare`] for operations that are not on one key, of which nothing is borrowed.
    pub fn prepare_order(&self, operation: &Operation<'_>, call: &Call<'_>) -> Result<Prepared<'static>> {
        let (asked, work) = self.order(operation, call)?;
        Ok(Prepared { asked, work, budget: self.budget(call) })
    }

    fn order(&self, operation: &Operation<'_>, call: &Call<'_>) -> Result<(Asked, Work<'static>)> {
        let all = |operation, keys: &[&str]| {
            keys.iter().map(|key| self.make(operation, key, call)).collect::<Result<Vec<_>>>()
        };
        let (asked, order) = match *operation {
            Operation::GetMany { keys } => (Asked::GetMany, Order::GetMany(all("get_many", keys)?)),
            Operation::FetchMany { keys } => (Asked::FetchMany, Order::FetchMany(all("get_many", keys)?)),
            Operation::SetMany { values, ttl } => (
                Asked::SetMany { spent: self.is_spent(ttl) && !values.is_empty() },
                self.order_set_many(values, ttl, call)?,
            ),
            Operation::DeleteMany { keys } => (Asked::DeleteMany, Order::DeleteMany(all("delete_many", keys)?)),
            Operation::Keys { pattern, at } => {
                self.check_way_back(call)?;
                let made = self.made_pattern("keys", pattern, call)?;
                (Asked::Keys { head: self.head_of_keys(call) }, Order::Scan(made, at))
            }
            Operation::Clear { scope } => (
                Asked::Clear { everything: scope == Scope::Everything },
                Order::Clear(self.prefix_to_clear(scope, call)?),
            ),
            Operation::PurgeExpired => (Asked::PurgeExpired, Order::PurgeExpired),
            _ => (Asked::Ping, Order::Ping),
        };
        Ok((asked, nothing_to_do(&order).unwrap_or_else(|| Work::Order(Box::new(order)))))
    }

    pub(super) fn made(&self, operation: &'static str, user: &UserKey<'_>) -> Result<MadeKey> {
        let call = Call { version: user.version, budget: None, final_key: user.is_final };
        if user.is_session {
            return self.make(operation, &session::cache_key(user.key), &call);
        }
        self.make(operation, user.key, &call)
    }

    /// All values or none: what cannot be encoded is refused before anything is written.
    fn order_set_many(&self, values: &[(&str, Input<'_>)], ttl: TtlChoice, call: &Call<'_>) -> Result<Order> {
        let ttl = ttl.or(self.alias.ttl);
        let mut kept = ttl;
        let entries = values.iter().map(|(key, value)| {
            let packed = self.pack("set_many", *value, ttl, When::Always)?;
            kept = longer(kept, packed.ttl);
            Ok(Entry { key: self.make("set_many", key, call)?, value: packed.value })
        });
        let entries = entries.collect::<Result<_>>()?;
        Ok(Order::SetMany(entries, kept))
    }

    /// Hands the work to the backend; the ticket is answered, from any thread.
    pub fn begin(self: &Arc<Self>, prepared: &Prepared<'_>, ticket: Ticket) {
        let budget = prepared.budget;
        match &prepared.work {
            Work::One(user, one) => match self.made(prepared.asked.name(), user) {
                Ok(made) => {
                    let request = one.request(&made);
                    if let Request::Set { value, .. } = request {
                        self.counters.here().bytes_written(value.bytes.len());
                    }
                    self.backend.start(request, budget, ticket);
                }
                Err(error) => ticket.answer(Err(error)),
            },
            Work::Order(order) => {
                let request = order.request();
                self.counters.here().bytes_written(request.value_bytes());
                self.backend.start(request, budget, ticket);
            }
            Work::Nothing(reply) => ticket.answer(Ok((**reply).clone())),
            Work::Incr(user, delta) => {
                let made = match self.made("incr", user) {
                    Ok(made) => made,
                    Err(error) => return ticket.answer(Err(error)),
                };
                let (store, delta, budget) = (self.clone(), Number::Int((*delta).into()), budget.fixed());
                let key = made.clone();
                let job = answering(ticket, move || {
                    let sum = store.incr_made(&made, &delta, budget)?;
                    sum.map(|sum| store.encode("incr", Input::Number(&sum))).transpose().map(Reply::Value)
                });
                self.backend.start_job(Keys::These(&[key]), budget, job);
            }
            Work::TouchHerd(user, ttl) => match self.made("expire", user) {
                Ok(made) => self.begin_touch_herd(made, *ttl, budget, ticket),
                Err(error) => ticket.answer(Err(error)),
            },
            Work::CreateTable => {
                let (store, budget) = (self.clone(), budget.fixed());
                let job = answering(ticket, move || store.backend.create_table(budget).map(|()| Reply::Done));
                self.backend.start_job(Keys::All, budget, job);
            }
            Work::DeletePattern(pattern) => {
                let (store, pattern, budget) = (self.clone(), pattern.clone(), budget.fixed());
                let work = move || store.backend.delete_pattern(&pattern, budget).map(Reply::Removed);
                self.backend.start_job(Keys::All, budget, answering(ticket, work));
            }
            Work::Lock(user, ttl, wait) => self.begin_lock(user, *ttl, *wait, budget, ticket),
            Work::IncrVersion(key, delta, version) => self.begin_incr_version(key, *delta, *version, budget, ticket),
        }
    }

    fn begin_incr_version(
        self: &Arc<Self>,
        key: &str,
        delta: i64,
        version: Option<&str>,
        budget: Budget,
        ticket: Ticket,
    ) {
        let budget = budget.fixed();
        let call = Call { version, budget: Some(budget), final_key: false };
        let next = self.next_version(delta, &call).map(|(_, next)| next).unwrap_or_default();
        let under = |version| self.make("incr_version", key, &Call { version, ..call });
        let keys = match (under(version), under(Some(&next))) {
            (Ok(old), Ok(new)) => [old, new],
            (Err(error), _) | (_, Err(error)) => return ticket.answer(Err(error)),
        };
        let (store, key, version) = (self.clone(), key.to_owned(), version.map(ToOwned::to_owned));
        let job = answering(ticket, move || {
            let call = Call { version: version.as_deref(), budget: Some(budget), final_key: false };
            let moved = store.move_version(&key, delta, &call)?;
            Ok(Reply::Counted(moved.map_or(Counted::Missing, Counted::Now)))
        });
        self.backend.start_job(Keys::These(&keys), budget, job);
    }
}

/// A job that answers with what `work` answers, if it may run.
pub(super) fn answering(ticket: Ticket, work: impl FnOnce() -> Result<Reply> + Send + 'static) -> Job {
    Box::new(move |may_run| ticket.answer(may_run.and_then(|()| work())))
}

/// The answer to an order of nothing (O-6).
fn nothing_to_do(order: &Order) -> Option<Work<'static>> {
    let reply = match order {
        Order::GetMany(keys) if keys.is_empty() => Reply::Values(Vec::new()),
        Order::FetchMany(keys) if keys.is_empty() => Reply::FetchedMany(Vec::new()),
        Order::SetMany(entries, _) if entries.is_empty() => Reply::Failures(Vec::new()),
        Order::DeleteMany(keys) if keys.is_empty() => Reply::Removed(0),
        _ => return None,
    };
    Some(Work::Nothing(Box::new(reply)))
}
