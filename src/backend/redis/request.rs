//! Asynchronous requests: the operations of `command` behind one type, so that they can stand in one queue.
//!
//! A further operation is one variant of [`Expect`] and one arm in each of its functions.

use bytes::Bytes;

use super::command::{self, Next, One, Reading, Setting, Touching};
use super::connect::Greeting;
use super::resp::Frame;
use crate::backend::{Reply, Request};
use crate::config::Flavor;
use crate::error::Result;

/// What a place in the queue waits for.
pub(super) enum Expect {
    /// The replies to a connection's first commands.
    Greeting(Greeting),
    /// The reply to a get.
    Value(One<Option<Bytes>>),
    /// The replies to a set.
    Written(Setting),
    /// The reply to a touch.
    Touched(Touching),
}

/// Writes a request to the end of `out`; where that fails nothing is written.
pub(super) fn write(out: &mut Vec<u8>, flavor: Flavor, request: &Request<'_>) -> Result<Expect> {
    Ok(match *request {
        Request::Get(key) => Expect::Value(command::get(out, key)),
        Request::Set { key, value, ttl, when } => Expect::Written(command::set(out, flavor, key, value, ttl, when)?),
        Request::Touch(key, ttl) => Expect::Touched(command::touch(out, flavor, key, ttl)?),
    })
}

/// About how many bytes a request takes on the wire.
pub(super) fn size(request: &Request<'_>) -> usize {
    match *request {
        Request::Get(key) | Request::Touch(key, _) => key.as_bytes().len() + 64,
        Request::Set { key, value, .. } => key.as_bytes().len() + value.len() + 128,
    }
}

impl Expect {
    /// Whether a caller asked for it.
    pub(super) fn is_request(&self) -> bool {
        !matches!(self, Self::Greeting(_))
    }

    /// Whether the server may have changed something when no answer comes.
    pub(super) fn writes(&self) -> bool {
        matches!(self, Self::Written(_) | Self::Touched(_))
    }
}

impl Reading for Expect {
    /// `None` for what no caller waits for.
    type Answer = Option<Reply>;

    fn read(self, frame: Frame, out: &mut Vec<u8>) -> Next<Self> {
        match self {
            Self::Greeting(reading) => step(reading.read(frame, out), Self::Greeting, |()| None),
            Self::Value(reading) => step(reading.read(frame, out), Self::Value, |value| Some(Reply::Value(value))),
            Self::Written(reading) => step(reading.read(frame, out), Self::Written, |done| Some(Reply::Written(done))),
            Self::Touched(reading) => step(reading.read(frame, out), Self::Touched, |done| Some(Reply::Touched(done))),
        }
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
