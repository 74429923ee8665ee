//! Any operation on a store, begun now and concluded when its answer has come: what the asynchronous faces use.
//!
//! [`Store::prepare`] finds what is wrong with the arguments, [`Store::begin`] hands the work to the backend, and
//! [`Store::conclude`] reads the answer, whenever and on whatever thread it comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lock;
use super::session::{self, is_session_key};
use super::{Call, Head, Packed, Scope, Store, Value};
use crate::backend::{
    Capability, Counted, Entry, IncrBy, Job, Keys, LockAction, Order, Page, Reply, Request, Stored, Ticket, Touched,
    When, Written, left_until,
};
use crate::codec::Input;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::timeout::{Budget, Ttl, TtlChoice};
use crate::value::Number;

/// From this size on a value may share memory with what was read together with it.
const SHARED_FROM: usize = 8 << 10;

/// An operation, as a caller asks for it.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields are the parameters of the method of the same name")]
pub enum Operation<'a> {
    /// [`Store::get`].
    Get { key: &'a str },
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

/// What was asked, for who reads the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the operations' names")]
pub enum Asked {
    Get,
    Set,
    Add,
    Expire,
    Persist,
    Ttl,
    Delete,
    Has,
    Incr,
    IncrVersion,
    GetMany,
    SetMany {
        spent: bool,
    },
    DeleteMany,
    /// What stands before the user's keys.
    Keys {
        head: Head,
    },
    Clear {
        everything: bool,
    },
    PurgeExpired,
    Ping,
    Session,
    CreateTable,
    ExpireAt,
    Lock,
    Unlock,
    ExtendLock,
    DeletePattern,
}

/// How an operation ended.
pub enum Outcome {
    /// A get or session.
    Value(Option<Value>),
    /// A set.
    Written(Written),
    /// A lock: its token.
    Locked(Option<Value>),
    /// An expire, expire_at or persist.
    Touched(Touched),
    /// A ttl.
    Left(Option<Ttl>),
    /// A delete, has, unlock or lock_extend.
    Found(bool),
    /// An incr: the new number.
    Sum(Option<Value>),
    /// An incr_version: the new version.
    Version(Option<i64>),
    /// A get_many.
    Values(Vec<Option<Value>>),
    /// A set_many: the failures, and whether what was stored is dead at once.
    Failures(Vec<Option<Error>>, bool),
    /// A delete_many, delete_pattern or purge_expired.
    Removed(u64),
    /// A keys: user keys, unless they were to be final.
    Page(Page),
    /// A clear, ping or create_table.
    Done,
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

impl Asked {
    /// The operation's name, as messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Add => "add",
            Self::Expire => "expire",
            Self::Persist => "persist",
            Self::Ttl => "ttl",
            Self::Delete => "delete",
            Self::Has => "has",
            Self::Incr => "incr",
            Self::IncrVersion => "incr_version",
            Self::GetMany => "get_many",
            Self::SetMany { .. } => "set_many",
            Self::DeleteMany => "delete_many",
            Self::Keys { .. } => "keys",
            Self::Clear { .. } => "clear",
            Self::PurgeExpired => "purge_expired",
            Self::Ping => "ping",
            Self::Session => "session",
            Self::CreateTable => "create_table",
            Self::ExpireAt => "expire_at",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::ExtendLock => "lock_extend",
            Self::DeletePattern => "delete_pattern",
        }
    }

    /// Whether it changes nothing.
    fn only_reads(self) -> bool {
        matches!(
            self,
            Self::Get | Self::Ttl | Self::Has | Self::GetMany | Self::Keys { .. } | Self::Ping | Self::Session
        )
    }

    /// Whether IGNORE_EXCEPTIONS and ignore_exc hide its failures (DR-16).
    fn can_be_ignored(self) -> bool {
        !matches!(
            self,
            Self::Expire
                | Self::ExpireAt
                | Self::Persist
                | Self::Ttl
                | Self::PurgeExpired
                | Self::Ping
                | Self::CreateTable
                | Self::Lock
                | Self::Unlock
                | Self::ExtendLock
        )
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
            kept = packed.ttl;
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
                Ok(made) => self.backend.start(one.request(&made), budget, ticket),
                Err(error) => ticket.answer(Err(error)),
            },
            Work::Order(order) => self.backend.start(order.request(), budget, ticket),
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
            let moved = store.incr_version(&key, delta, &call)?;
            Ok(Reply::Counted(moved.map_or(Counted::Missing, Counted::Now)))
        });
        self.backend.start_job(Keys::These(&keys), budget, job);
    }

    /// A value for a host to keep as long as it likes. A small one gets memory of its own: as a part of what a connection
    /// has read it would keep all of that alive.
    #[inline]
    fn delivered(&self, operation: &'static str, stored: Stored) -> Result<Value> {
        if stored.bytes.len() >= SHARED_FROM {
            return self.fetched(operation, stored);
        }
        self.check_size(operation, stored.bytes.len())?;
        Ok(Value::small(stored.as_ref(), self.facts.clone()))
    }

    /// How an operation ended, from its answer.
    pub fn conclude(&self, asked: Asked, answer: Result<Reply>) -> Result<Outcome> {
        let name = asked.name();
        let answer = answer.map_err(|error| if asked.only_reads() { error.never_done() } else { error });
        let reply = match answer {
            Ok(reply) => reply,
            Err(error) if asked.can_be_ignored() => return self.checked(name, Err(error)),
            Err(error) if matches!(asked, Asked::Expire | Asked::ExpireAt | Asked::Persist | Asked::Ttl) => {
                return self.checked_touch(name, Err(error));
            }
            Err(error) => return self.told(name, Err(error)),
        };
        match &reply {
            _ if self.herd.is_some() => {} // they are counted when it is known whether they will do
            Reply::Value(stored) if matches!(asked, Asked::Get | Asked::Session) => self.count_read(stored.is_some()),
            Reply::Values(stored) => self.count_reads(stored),
            _ => {}
        }
        let value = |stored: Option<Stored>| stored.map(|stored| self.delivered(name, stored)).transpose();
        let read = |stored: Option<Stored>| {
            let value = value(stored)?;
            Ok(if self.herd.is_some() { self.herded(value) } else { value })
        };
        Ok(match (asked, reply) {
            (Asked::Get, Reply::Value(stored)) => Outcome::Value(read(stored)?),
            (Asked::Session, Reply::Value(stored)) => Outcome::Value(read(stored)?.filter(session::is_a_session)),
            (Asked::Set | Asked::Add, Reply::Written(written)) => Outcome::Written(written),
            (Asked::Lock, Reply::Value(token)) => Outcome::Locked(token.map(|token| self.value(token))),
            (Asked::Expire | Asked::ExpireAt | Asked::Persist, Reply::Touched(touched)) => Outcome::Touched(touched),
            (Asked::Ttl, Reply::Left(left)) => Outcome::Left(left),
            (Asked::Delete | Asked::Has | Asked::Unlock | Asked::ExtendLock, Reply::Found(found)) => {
                Outcome::Found(found)
            }
            (Asked::Incr, Reply::Counted(Counted::Now(sum))) => {
                Outcome::Sum(Some(self.value_of(&Number::Int(sum.into()))?))
            }
            (Asked::Incr, Reply::Counted(Counted::Beyond(sum))) => {
                Outcome::Sum(Some(self.value_of(&Number::Int(sum.into()))?))
            }
            (Asked::Incr, Reply::Counted(Counted::Missing)) => Outcome::Sum(None),
            (Asked::Incr, Reply::Value(stored)) => Outcome::Sum(stored.map(|stored| self.value(stored))),
            (Asked::IncrVersion, Reply::Counted(Counted::Now(version))) => Outcome::Version(Some(version)),
            (Asked::IncrVersion, Reply::Counted(Counted::Missing)) => Outcome::Version(None),
            (Asked::GetMany, Reply::Values(stored)) => {
                let values = stored.into_iter().map(value).collect::<Result<_>>()?;
                Outcome::Values(if self.herd.is_some() { self.herded_many(values)? } else { values })
            }
            (Asked::SetMany { spent }, Reply::Failures(failures)) => {
                let failure = |error: Option<Error>| error.and_then(|error| self.checked::<()>(name, Err(error)).err());
                Outcome::Failures(failures.into_iter().map(failure).collect(), spent)
            }
            (Asked::DeleteMany | Asked::DeletePattern | Asked::PurgeExpired, Reply::Removed(count)) => {
                Outcome::Removed(count)
            }
            (Asked::Keys { head }, Reply::Page(Page { keys, next })) => {
                Outcome::Page(Page { keys: self.user_keys(keys, head)?, next })
            }
            (Asked::Clear { .. } | Asked::Ping | Asked::CreateTable, Reply::Done) => Outcome::Done,
            (_, reply) => {
                return Err(self.named(name, Error::new(Kind::Panic, format!("the backend answered with {reply:?}"))));
            }
        })
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
        Order::SetMany(entries, _) if entries.is_empty() => Reply::Failures(Vec::new()),
        Order::DeleteMany(keys) if keys.is_empty() => Reply::Removed(0),
        _ => return None,
    };
    Some(Work::Nothing(Box::new(reply)))
}
