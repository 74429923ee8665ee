//! How an operation ended: what was asked, and what the backend's answer means for the caller.

use super::fetch::WithLeft;
use super::session;
use super::{Head, Store, Value};
use crate::backend::{Counted, Page, Reply, Stored, Touched, Written};
use crate::error::{Error, Kind, Result};
use crate::timeout::Ttl;
use crate::value::Number;

/// From this size on a value may share memory with what was read together with it.
const SHARED_FROM: usize = 8 << 10;

/// What was asked, for who reads the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the operations' names")]
pub enum Asked {
    Get,
    Fetch,
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
    FetchMany,
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
    /// A fetch.
    Fetched(Option<WithLeft>),
    /// A fetch_many.
    FetchedMany(Vec<Option<WithLeft>>),
    /// A set_many: the failures, and whether what was stored is dead at once.
    Failures(Vec<Option<Error>>, bool),
    /// A delete_many, delete_pattern or purge_expired.
    Removed(u64),
    /// A keys: user keys, unless they were to be final.
    Page(Page),
    /// A clear, ping or create_table.
    Done,
}

impl Asked {
    /// The operation's name, as messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get | Self::Fetch => "get",
            Self::Set => "set",
            Self::Add => "add",
            Self::Expire => "expire",
            Self::Persist => "persist",
            Self::Ttl => "ttl",
            Self::Delete => "delete",
            Self::Has => "has",
            Self::Incr => "incr",
            Self::IncrVersion => "incr_version",
            Self::GetMany | Self::FetchMany => "get_many",
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
            Self::Get
                | Self::Fetch
                | Self::Ttl
                | Self::Has
                | Self::GetMany
                | Self::FetchMany
                | Self::Keys { .. }
                | Self::Ping
                | Self::Session
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
    /// A value for a host to keep as long as it likes. A small one gets memory of its own: as a part of what a connection
    /// has read it would keep all of that alive.
    #[inline]
    pub(super) fn delivered(&self, operation: &'static str, stored: Stored) -> Result<Value> {
        if stored.bytes.len() >= SHARED_FROM {
            return self.fetched(operation, stored);
        }
        self.check_size(operation, stored.bytes.len())?;
        Ok(Value::small(stored.as_ref(), self.facts.clone()))
    }

    /// Counts what an answer tells.
    fn count(&self, asked: Asked, reply: &Reply) {
        match (asked, reply) {
            (Asked::Get | Asked::Session, Reply::Value(stored)) => {
                let here = self.counters.here();
                here.bytes_read(stored.as_ref().map_or(0, |stored| stored.bytes.len()));
                if !self.sifts() {
                    here.reads(u64::from(stored.is_some()), u64::from(stored.is_none()));
                } // else it is counted when it is known whether it will do
            }
            (Asked::GetMany, Reply::Values(stored)) => self.count_many(stored, !self.sifts()),
            (Asked::Set | Asked::Add, Reply::Written(written)) => {
                self.counters.here().sets(u64::from(*written != Written::NotStored));
            }
            (Asked::SetMany { .. }, Reply::Failures(failures)) => {
                self.counters.here().sets(failures.iter().filter(|failure| failure.is_none()).count() as u64);
            }
            (Asked::Delete, Reply::Found(found)) => self.counters.here().deletes(u64::from(*found)),
            (Asked::DeleteMany | Asked::DeletePattern, Reply::Removed(count)) => self.counters.here().deletes(*count),
            _ => {}
        }
    }

    /// How an operation ended, from its answer.
    pub fn conclude(&self, asked: Asked, answer: Result<Reply>) -> Result<Outcome> {
        if matches!(asked, Asked::Fetch | Asked::FetchMany) {
            return self.conclude_fetch(asked, answer);
        }
        let name = asked.name();
        let answer = answer.map_err(|error| if asked.only_reads() { error.never_done() } else { error });
        let answer = match answer {
            Err(error) if matches!(asked, Asked::Get | Asked::Session) && self.forgives(name, &error) => {
                Ok(Reply::Value(None))
            }
            answer => answer,
        };
        let reply = match answer {
            Ok(reply) => reply,
            Err(error) if asked.can_be_ignored() => return self.checked(name, Err(error)),
            Err(error) if matches!(asked, Asked::Expire | Asked::ExpireAt | Asked::Persist | Asked::Ttl) => {
                return self.checked_touch(name, Err(error));
            }
            Err(error) => return self.told(name, Err(error)),
        };
        self.count(asked, &reply);
        let value =
            |stored: Option<Stored>| self.forgiven(name, stored.map(|stored| self.delivered(name, stored)).transpose());
        let read = |stored: Option<Stored>| {
            let value = value(stored)?;
            Ok(if self.sifts() { self.sifted(value) } else { value })
        };
        Ok(match (asked, reply) {
            (Asked::Get, Reply::Value(stored)) => Outcome::Value(read(stored)?),
            (Asked::Session, Reply::Value(stored)) => Outcome::Value(read(stored)?.filter(session::is_a_session)),
            (Asked::Set | Asked::Add, Reply::Written(written)) => Outcome::Written(written),
            (Asked::Lock, Reply::Value(token)) => {
                Outcome::Locked(token.map(|token| Value::of_told(token, &self.alias.name)))
            }
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
            (Asked::Incr, Reply::Value(sum)) => Outcome::Sum(sum.map(|sum| Value::of_sum(sum, &self.facts))),
            (Asked::IncrVersion, Reply::Counted(Counted::Now(version))) => Outcome::Version(Some(version)),
            (Asked::IncrVersion, Reply::Counted(Counted::Missing)) => Outcome::Version(None),
            (Asked::GetMany, Reply::Values(stored)) => {
                let values = stored.into_iter().map(value).collect::<Result<_>>()?;
                Outcome::Values(if self.sifts() { self.sifted_many(values)? } else { values })
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
