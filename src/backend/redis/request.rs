//! Asynchronous requests: the operations of `command` behind one type, so that they can stand in one queue.
//!
//! A further operation is one variant of [`Expect`] and one arm in each of its functions.

use super::command::{self, Adding, GettingMany, One, Setting, Touching};
use super::expiry::{self, Expiring};
use super::fetch::{self, Fetching, FetchingMany};
use super::greeting::Greeting;
use super::lock::{self, Acting};
use super::resp::Frame;
use super::transaction::{self, SettingMany};
use super::{ENTRIES_AT_ONCE, KEYS_AT_ONCE};
use crate::backend::net::{Expecting, Next, Reading, Way, unexpected};
use crate::backend::{Page, Reply, Request, Stored};
use crate::config::Flavor;
use crate::error::Result;
use crate::timeout::Ttl;

/// What a place in the queue waits for. Small, since thousands stand in line: what is large and rare has a box.
pub(super) enum Expect {
    /// The replies to a connection's first commands.
    Greeting(Box<Greeting>),
    /// The reply to a get, and the key's number.
    Value(One<Option<Stored>>, u64),
    /// The replies to a set.
    Written(Setting),
    /// The reply to a touch or a persist.
    Touched(Touching),
    /// The reply to a delete of one key.
    Deleted(One<u64>),
    /// The reply to an EXISTS.
    Found(One<u64>),
    /// The reply to a question for the time to live.
    Left(One<Option<Ttl>>),
    /// The reply to an increment.
    Counted(Adding),
    /// The replies to an expiry at a moment.
    Expiring(Expiring),
    /// The reply to an action on a lock.
    Acted(Acting),
    /// The reply to a get of several.
    Values(GettingMany),
    /// The replies to a get with the time to live, and the key's number.
    Fetched(Fetching, u64),
    /// The replies to the same of several.
    FetchedMany(FetchingMany),
    /// The replies to a set of several.
    Failures(Box<SettingMany>),
    /// The reply to a delete of several.
    Removed(One<u64>),
    /// The reply to a listing.
    Page(One<Page>),
    /// The reply to a FLUSHDB.
    Cleared(One<()>),
    /// The reply to a PING.
    Alive(One<()>),
}

/// How a request is carried out.
pub(super) fn way(request: &Request<'_>) -> Way {
    match *request {
        Request::GetMany([]) => Way::Answer(Ok(Reply::Values(Vec::new()))),
        Request::FetchMany([]) => Way::Answer(Ok(Reply::FetchedMany(Vec::new()))),
        Request::SetMany([], _) => Way::Answer(Ok(Reply::Failures(Vec::new()))),
        Request::DeleteMany([]) | Request::PurgeExpired => Way::Answer(Ok(Reply::Removed(0))),
        Request::GetMany(keys) | Request::FetchMany(keys) | Request::DeleteMany(keys) if keys.len() > KEYS_AT_ONCE => {
            Way::Rounds
        }
        Request::SetMany(entries, _) if entries.len() > ENTRIES_AT_ONCE => Way::Rounds,
        Request::Clear(Some(_)) => Way::Rounds,
        _ => Way::Exchange,
    }
}

/// Writes a request to the end of `out`; where that fails nothing is written.
pub(super) fn write(out: &mut Vec<u8>, flavor: Flavor, request: &Request<'_>, number: u64) -> Result<Expect> {
    Ok(match *request {
        Request::Get(key) => Expect::Value(command::get(out, key), number),
        Request::Set { key, value, ttl, when } => {
            Expect::Written(command::set_at_once(out, flavor, key, value.bytes, ttl, when)?)
        }
        Request::Touch(key, ttl) => Expect::Touched(command::touch(out, flavor, key, ttl)?),
        Request::Persist(key) => Expect::Touched(command::touch(out, flavor, key, Ttl::Forever)?),
        Request::Ttl(key) => Expect::Left(command::ttl(out, key)),
        Request::Delete(key) => Expect::Deleted(command::delete(out, std::slice::from_ref(key))),
        Request::Has(key) => Expect::Found(command::exists(out, key)),
        Request::Incr(key, delta) => Expect::Counted(command::incr(out, flavor, key, delta)),
        Request::ExpireAt(key, at) => Expect::Expiring(expiry::expire_at(out, key, at)?),
        Request::Lock { key, token, action } => Expect::Acted(lock::act(out, key, token, action)?),
        Request::GetMany(keys) => Expect::Values(command::get_many(out, keys)),
        Request::Fetch(key) => Expect::Fetched(fetch::fetch(out, key), number),
        Request::FetchMany(keys) => Expect::FetchedMany(fetch::fetch_many(out, keys)),
        Request::SetMany(entries, ttl) => Expect::Failures(Box::new(transaction::set_many(out, flavor, entries, ttl)?)),
        Request::DeleteMany(keys) => Expect::Removed(command::delete(out, keys)),
        Request::Scan(pattern, at) => Expect::Page(command::scan(out, pattern, at)),
        Request::Clear(None) => Expect::Cleared(command::flush(out)),
        Request::Ping => Expect::Alive(command::ping(out)),
        Request::Clear(Some(_)) | Request::PurgeExpired => return Err(unexpected()), // see `way`
    })
}

impl Expecting for Expect {
    fn key(&self) -> Option<u64> {
        match self {
            Self::Value(_, key) | Self::Fetched(_, key) => Some(*key),
            _ => None,
        }
    }

    fn writes(&self) -> bool {
        match self {
            Self::Written(_)
            | Self::Touched(_)
            | Self::Deleted(_)
            | Self::Counted(_)
            | Self::Expiring(_)
            | Self::Acted(_)
            | Self::Failures(_)
            | Self::Removed(_)
            | Self::Cleared(_) => true,
            Self::Greeting(_)
            | Self::Value(..)
            | Self::Found(_)
            | Self::Left(_)
            | Self::Values(_)
            | Self::Fetched(..)
            | Self::FetchedMany(_)
            | Self::Page(_)
            | Self::Alive(_) => false,
        }
    }
}

impl Reading for Expect {
    type Frame = Frame;
    /// `None` for what no caller waits for.
    type Answer = Option<Reply>;

    fn read(self, frame: Frame, out: &mut Vec<u8>) -> Next<Self> {
        match self {
            Self::Greeting(reading) => step(reading.read(frame, out), |rest| Self::Greeting(Box::new(rest)), |()| None),
            Self::Value(reading, key) => {
                let more = |rest| Self::Value(rest, key);
                step(reading.read(frame, out), more, |value| Some(Reply::Value(value)))
            }
            Self::Written(reading) => step(reading.read(frame, out), Self::Written, |done| Some(Reply::Written(done))),
            Self::Touched(reading) => step(reading.read(frame, out), Self::Touched, |done| Some(Reply::Touched(done))),
            Self::Deleted(reading) => step(reading.read(frame, out), Self::Deleted, found),
            Self::Found(reading) => step(reading.read(frame, out), Self::Found, found),
            Self::Left(reading) => step(reading.read(frame, out), Self::Left, |left| Some(Reply::Left(left))),
            Self::Counted(reading) => step(reading.read(frame, out), Self::Counted, |now| Some(Reply::Counted(now))),
            Self::Expiring(reading) => {
                step(reading.read(frame, out), Self::Expiring, |done| Some(Reply::Touched(done)))
            }
            Self::Acted(reading) => step(reading.read(frame, out), Self::Acted, |done| Some(Reply::Found(done))),
            Self::Values(reading) => step(reading.read(frame, out), Self::Values, |all| Some(Reply::Values(all))),
            Self::Fetched(reading, key) => {
                let more = |rest| Self::Fetched(rest, key);
                step(reading.read(frame, out), more, |fetched| Some(Reply::Fetched(fetched)))
            }
            Self::FetchedMany(reading) => {
                step(reading.read(frame, out), Self::FetchedMany, |all| Some(Reply::FetchedMany(all)))
            }
            Self::Failures(reading) => several(reading, frame, out),
            Self::Removed(reading) => {
                step(reading.read(frame, out), Self::Removed, |count| Some(Reply::Removed(count)))
            }
            Self::Page(reading) => step(reading.read(frame, out), Self::Page, |page| Some(Reply::Page(page))),
            Self::Cleared(reading) => step(reading.read(frame, out), Self::Cleared, |()| Some(Reply::Done)),
            Self::Alive(reading) => step(reading.read(frame, out), Self::Alive, |()| Some(Reply::Done)),
        }
    }
}

#[allow(clippy::unnecessary_wraps, reason = "as the other conversions")]
fn found(count: u64) -> Option<Reply> {
    Some(Reply::Found(count > 0))
}

/// A transaction has a reply for each command: the box is used again.
fn several(mut reading: Box<SettingMany>, frame: Frame, out: &mut Vec<u8>) -> Next<Expect> {
    if reading.is_last() {
        let expect = |rest| Expect::Failures(Box::new(rest));
        return step(reading.read(frame, out), expect, |all| Some(Reply::Failures(all)));
    }
    match reading.queued(&frame) {
        Ok(()) => Next::More(Expect::Failures(reading)),
        Err(error) => Next::Broken(error),
    }
}

fn step<R: Reading>(
    next: Next<R>,
    more: impl FnOnce(R) -> Expect,
    done: impl FnOnce(R::Answer) -> Option<Reply>,
) -> Next<Expect> {
    match next {
        Next::Done(answer) => Next::Done(answer.map(done)),
        Next::More(rest) => Next::More(more(rest)),
        Next::Broken(error) => Next::Broken(error),
    }
}
