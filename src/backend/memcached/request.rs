//! Asynchronous requests: the operations of `command` behind one type, so that they can stand in one queue.

use super::command::{self, Asking, Counting, Deleting, Flushing, Getting, Having, Setting, Touching};
use super::decoder::Frame;
use super::many::{self, DeletingMany, GettingMany, SettingMany};
use super::{ENTRIES_AT_ONCE, KEYS_AT_ONCE};
use crate::backend::net::{Expecting, Nature, Next, Reading, Way, unexpected};
use crate::backend::{Reply, Request, When, left_until, unsupported};
use crate::config::Client;
use crate::error::Result;
use crate::timeout::Ttl;

/// What a place in the queue waits for. Small, since thousands stand in line: what is large and rare has a box.
pub(super) enum Expect {
    /// The reply to a get.
    Value(Getting),
    /// The reply to a get of several.
    Values(GettingMany),
    /// The reply to a get of which only the key counts.
    Found(Having),
    /// The reply to a set.
    Written(Setting),
    /// The replies to a set of several.
    Failures(Box<SettingMany>),
    /// The reply to a touch.
    Touched(Touching),
    /// The reply to a delete of one key.
    Deleted(Deleting),
    /// The replies to a delete of several.
    Removed(Box<DeletingMany>),
    /// The reply to an increment.
    Counted(Counting),
    /// The reply to a flush.
    Cleared(Flushing),
    /// The reply to a question for the version.
    Alive(Asking),
}

/// How a request is carried out.
pub(super) fn way(request: &Request<'_>) -> Way {
    match *request {
        Request::GetMany([]) => Way::Answer(Ok(Reply::Values(Vec::new()))),
        Request::SetMany([], _) => Way::Answer(Ok(Reply::Failures(Vec::new()))),
        Request::DeleteMany([]) | Request::PurgeExpired => Way::Answer(Ok(Reply::Removed(0))),
        Request::GetMany(keys) | Request::DeleteMany(keys) if keys.len() > KEYS_AT_ONCE => Way::Rounds,
        Request::SetMany(entries, _) if entries.len() > ENTRIES_AT_ONCE => Way::Rounds,
        Request::Ttl(_) | Request::Fetch(_) | Request::FetchMany(_) => {
            Way::Answer(Err(unsupported("telling the time to live")))
        }
        Request::Lock { .. } => Way::Answer(Err(unsupported("holding locks"))),
        Request::Scan(..) | Request::Clear(Some(_)) => Way::Answer(Err(unsupported("listing keys"))),
        _ => Way::Exchange,
    }
}

/// What may be done with a request when its connection breaks.
pub(super) fn nature(request: &Request<'_>) -> Nature {
    match *request {
        Request::Get(_)
        | Request::Ttl(_)
        | Request::Has(_)
        | Request::GetMany(_)
        | Request::Fetch(_)
        | Request::FetchMany(_)
        | Request::Scan(..)
        | Request::PurgeExpired
        | Request::Ping => Nature::Reads,
        Request::Set { when: When::Always, .. } | Request::SetMany(..) | Request::Clear(_) | Request::Persist(_) => {
            Nature::WritesAgain
        }
        // one that is over removes the key, which the second time would not find
        Request::Touch(_, ttl) if !matches!(ttl, Ttl::Millis(..1000)) => Nature::WritesAgain,
        Request::Set { .. }
        | Request::Touch(..)
        | Request::ExpireAt(..)
        | Request::Lock { .. }
        | Request::Delete(_)
        | Request::Incr(..)
        | Request::DeleteMany(_) => Nature::WritesOnce,
    }
}

/// Writes a request to the end of `out`; where that fails nothing is written.
pub(super) fn write(out: &mut Vec<u8>, client: Client, request: &Request<'_>, number: u64) -> Result<Expect> {
    Ok(match *request {
        Request::Get(key) => Expect::Value(command::get(out, key, number)),
        Request::GetMany(keys) => Expect::Values(many::get_many(out, keys)),
        Request::Has(key) => Expect::Found(command::has(out, key, number)),
        Request::Set { key, value, ttl, when } => Expect::Written(command::set(out, client, key, value, ttl, when)?),
        Request::SetMany(entries, ttl) => Expect::Failures(Box::new(many::set_many(out, client, entries, ttl)?)),
        Request::Touch(key, ttl) => Expect::Touched(command::touch(out, client, key, ttl)?),
        Request::ExpireAt(key, at) => Expect::Touched(command::touch(out, client, key, left_until(at))?),
        Request::Persist(key) => Expect::Touched(command::touch(out, client, key, Ttl::Forever)?),
        Request::Delete(key) => Expect::Deleted(command::delete(out, key)),
        Request::DeleteMany(keys) => Expect::Removed(Box::new(many::delete_many(out, keys))),
        Request::Incr(key, delta) => Expect::Counted(command::incr(out, key, delta)),
        Request::Clear(None) => Expect::Cleared(command::flush(out, client)),
        Request::Ping => Expect::Alive(command::ping(out)),
        Request::Clear(Some(_))
        | Request::Ttl(_)
        | Request::Fetch(_)
        | Request::FetchMany(_)
        | Request::Scan(..)
        | Request::Lock { .. }
        | Request::PurgeExpired => return Err(unexpected()), // see `way`
    })
}

impl Expecting for Expect {
    fn key(&self) -> Option<u64> {
        match self {
            Self::Value(reading) => Some(reading.key()),
            _ => None,
        }
    }

    fn writes(&self) -> bool {
        match self {
            Self::Written(_)
            | Self::Failures(_)
            | Self::Touched(_)
            | Self::Deleted(_)
            | Self::Removed(_)
            | Self::Counted(_)
            | Self::Cleared(_) => true,
            Self::Value(_) | Self::Values(_) | Self::Found(_) | Self::Alive(_) => false,
        }
    }
}

impl Reading for Expect {
    type Frame = Frame;
    /// Every place has a caller.
    type Answer = Option<Reply>;

    fn read(self, frame: Frame, out: &mut Vec<u8>) -> Next<Self> {
        match self {
            Self::Value(reading) => step(reading.read(frame, out), Self::Value, Reply::Value),
            Self::Values(reading) => step(reading.read(frame, out), Self::Values, Reply::Values),
            Self::Found(reading) => step(reading.read(frame, out), Self::Found, Reply::Found),
            Self::Written(reading) => step(reading.read(frame, out), Self::Written, Reply::Written),
            Self::Failures(mut reading) => match reading.take(frame) {
                Err(error) => Next::Broken(error),
                Ok(()) => match reading.outcome() {
                    Some(outcome) => Next::Done(Ok(Some(Reply::Failures(outcome)))),
                    None => Next::More(Self::Failures(reading)), // the box is used again
                },
            },
            Self::Touched(reading) => step(reading.read(frame, out), Self::Touched, Reply::Touched),
            Self::Deleted(reading) => step(reading.read(frame, out), Self::Deleted, Reply::Found),
            Self::Removed(mut reading) => match reading.take(frame) {
                Err(error) => Next::Broken(error),
                Ok(()) => match reading.outcome() {
                    Some(outcome) => Next::Done(outcome.map(|count| Some(Reply::Removed(count)))),
                    None => Next::More(Self::Removed(reading)),
                },
            },
            Self::Counted(reading) => step(reading.read(frame, out), Self::Counted, Reply::Counted),
            Self::Cleared(reading) => step(reading.read(frame, out), Self::Cleared, |()| Reply::Done),
            Self::Alive(reading) => step(reading.read(frame, out), Self::Alive, |()| Reply::Done),
        }
    }
}

fn step<R: Reading>(
    next: Next<R>,
    more: impl FnOnce(R) -> Expect,
    done: impl FnOnce(R::Answer) -> Reply,
) -> Next<Expect> {
    match next {
        Next::Done(answer) => Next::Done(answer.map(|answer| Some(done(answer)))),
        Next::More(rest) => Next::More(more(rest)),
        Next::Broken(error) => Next::Broken(error),
    }
}
