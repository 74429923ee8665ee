//! A value with what is left of its time to live: GET and PTTL in one exchange, for those who keep it.

use super::command::{Understood, left, listed, value};
use super::fault::answered;
use super::resp::{Frame, command};
use crate::backend::net::{Next, Reading, unexpected};
use crate::backend::{Fetched, Stored};
use crate::error::Result;
use crate::key::MadeKey;

/// Waits for the replies to GET and PTTL.
pub(super) enum Fetching {
    /// For the first one.
    Value,
    /// For the second one; what came first.
    Left(Result<Option<Stored>>),
}

/// GET, and PTTL right behind it. Another write can come in between the two.
pub(super) fn fetch(out: &mut Vec<u8>, key: &MadeKey) -> Fetching {
    command(out, &[b"GET", key.as_bytes()]);
    command(out, &[b"PTTL", key.as_bytes()]);
    Fetching::Value
}

impl Reading for Fetching {
    type Frame = Frame;
    type Answer = Option<Fetched>;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match (self, frame) {
            (Self::Value, Frame::Error(text)) => Next::More(Self::Left(Err(answered(&text)))),
            (Self::Value, frame) => match value(frame) {
                Ok(value) => Next::More(Self::Left(Ok(value))),
                Err(_) => Next::Broken(unexpected()),
            },
            (Self::Left(Err(error)), _) => Next::Done(Err(error)),
            (Self::Left(Ok(_)), Frame::Error(text)) => Next::Done(Err(answered(&text))),
            (Self::Left(Ok(value)), frame) => match left(frame) {
                Ok(left) => Next::Done(Ok(value.map(|value| Fetched { value, left }))),
                Err(_) => Next::Broken(unexpected()),
            },
        }
    }
}

/// Waits for the replies to MGET and a PTTL for each key.
pub(super) struct FetchingMany(Box<Several>);

struct Several {
    count: usize,
    values: Option<Result<std::vec::IntoIter<Option<Stored>>>>,
    fetched: Vec<Option<Fetched>>,
}

/// MGET, and PTTL of each key right behind it.
pub(super) fn fetch_many(out: &mut Vec<u8>, keys: &[MadeKey]) -> FetchingMany {
    listed(out, b"MGET", keys.iter().map(MadeKey::as_bytes));
    for key in keys {
        command(out, &[b"PTTL", key.as_bytes()]);
    }
    FetchingMany(Box::new(Several { count: keys.len(), values: None, fetched: Vec::with_capacity(keys.len()) }))
}

impl Reading for FetchingMany {
    type Frame = Frame;
    type Answer = Vec<Option<Fetched>>;

    fn read(mut self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        let several = &mut *self.0;
        let is_fine = match (&mut several.values, frame) {
            (None, Frame::Error(text)) => {
                several.values = Some(Err(answered(&text)));
                true
            }
            (None, Frame::Array(items)) if items.len() == several.count => {
                let values = items.into_iter().map(value).collect::<Understood<Vec<_>>>();
                values.is_ok_and(|values| {
                    several.values = Some(Ok(values.into_iter()));
                    true
                })
            }
            (None, _) => false,
            (Some(values), Frame::Error(text)) => {
                several.fetched.push(None);
                if values.is_ok() {
                    *values = Err(answered(&text));
                }
                true
            }
            (Some(values), frame) => left(frame).is_ok_and(|left| {
                let value = values.as_mut().ok().and_then(Iterator::next).flatten();
                several.fetched.push(value.map(|value| Fetched { value, left }));
                true
            }),
        };
        match is_fine {
            false => Next::Broken(unexpected()),
            true if several.values.is_none() || several.fetched.len() < several.count => Next::More(self),
            true => Next::Done(match several.values.take() {
                Some(Err(error)) => Err(error),
                _ => Ok(std::mem::take(&mut several.fetched)),
            }),
        }
    }
}
