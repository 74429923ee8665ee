//! The operations on several keys: `get` takes them all, the others are a command for each, sent at once.

use super::command::{Deleting, Setting, check, line, not_written, refused, stored_until, unasked, write_set};
use super::decoder::{Frame, Items, Word};
use crate::backend::fence::number;
use crate::backend::net::{Next, Reading};
use crate::backend::{Entry, Stored};
use crate::config::Client;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::timeout::Ttl;

/// Waits for the reply to a get of several keys: their numbers.
pub(super) struct GettingMany(Vec<u64>);

/// `get` of several keys.
pub(super) fn get_many(out: &mut Vec<u8>, keys: &[MadeKey]) -> GettingMany {
    out.extend_from_slice(b"get");
    for key in keys {
        out.push(b' ');
        out.extend_from_slice(key.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    GettingMany(keys.iter().map(|key| number(key.as_bytes())).collect())
}

impl Reading for GettingMany {
    type Frame = Frame;
    type Answer = Vec<Option<Stored>>;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match frame {
            Frame::Values(items) => match self.placed(items) {
                Some(values) => Next::Done(Ok(values)),
                None => Next::Broken(unasked()),
            },
            other => refused(other),
        }
    }
}

impl GettingMany {
    /// Each value at the place of its key; `None` where one was not asked for. Memcached answers in the order of the
    /// keys, proxies need not.
    fn placed(&self, items: Items) -> Option<Vec<Option<Stored>>> {
        let mut values = vec![None; self.0.len()];
        let mut at = 0;
        let mut items = items.into_iter();
        for item in items.by_ref() {
            let rest = self.0.get(at..).unwrap_or_default();
            let Some(skipped) = rest.iter().position(|key| *key == item.key) else {
                self.place_one(&mut values, item.key, item.value)?;
                break;
            };
            at += skipped + 1;
            *values.get_mut(at - 1)? = Some(item.value);
        }
        if items.len() == 0 {
            return Some(values);
        }
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|place| self.0.get(*place));
        for item in items {
            let first = order.partition_point(|place| self.0.get(*place).is_some_and(|key| *key < item.key));
            let same = order.get(first..).unwrap_or_default().iter();
            let mut same = same.take_while(|place| self.0.get(**place) == Some(&item.key));
            let free = *same.find(|place| values.get(**place).is_some_and(Option::is_none))?;
            *values.get_mut(free)? = Some(item.value);
        }
        Some(values)
    }

    fn place_one(&self, values: &mut [Option<Stored>], key: u64, value: Stored) -> Option<()> {
        let places = self.0.iter().zip(values.iter_mut());
        let (_, free) = places.into_iter().find(|(asked, value)| **asked == key && value.is_none())?;
        *free = Some(value);
        Some(())
    }
}

/// Waits for the replies to the writes of several values.
pub(super) struct SettingMany {
    left: usize,
    outcome: Vec<Option<Error>>,
}

/// `set` of several values.
pub(super) fn set_many(out: &mut Vec<u8>, client: Client, entries: &[Entry], ttl: Ttl) -> Result<SettingMany> {
    entries.iter().try_for_each(|entry| check(entry.value.as_ref()))?;
    let until = stored_until(client, ttl);
    for entry in entries {
        write_set(out, b"set", &entry.key, entry.value.as_ref(), &until);
    }
    Ok(SettingMany { left: entries.len(), outcome: Vec::with_capacity(entries.len()) })
}

impl SettingMany {
    /// Takes one more reply; an error where nothing that follows can be trusted.
    pub(super) fn take(&mut self, frame: Frame) -> Result<()> {
        let refused = Error::new(Kind::Server, "the server did not store the value");
        self.outcome.push(match frame {
            Frame::Word(Word::Stored) => None,
            Frame::Word(Word::NotStored) => Some(refused),
            other => match not_written::<Setting>(other) {
                Next::Done(answer) => answer.err(),
                Next::Broken(error) => return Err(error),
                Next::More(_) => Some(refused),
            },
        });
        self.left = self.left.saturating_sub(1);
        Ok(())
    }

    /// The outcome of each, once all replies have come.
    pub(super) fn outcome(&mut self) -> Option<Vec<Option<Error>>> {
        (self.left == 0).then(|| std::mem::take(&mut self.outcome))
    }
}

impl Reading for SettingMany {
    type Frame = Frame;
    type Answer = Vec<Option<Error>>;

    fn read(mut self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match self.take(frame) {
            Err(error) => Next::Broken(error),
            Ok(()) => match self.outcome() {
                Some(outcome) => Next::Done(Ok(outcome)),
                None => Next::More(self),
            },
        }
    }
}

/// Waits for the replies to a delete of several keys.
pub(super) struct DeletingMany {
    left: usize,
    count: u64,
    failure: Option<Error>,
}

/// `delete` of several keys, each in a line of its own.
pub(super) fn delete_many(out: &mut Vec<u8>, keys: &[MadeKey]) -> DeletingMany {
    for key in keys {
        line(out, b"delete", key.as_bytes(), &[]);
    }
    DeletingMany { left: keys.len(), count: 0, failure: None }
}

impl DeletingMany {
    /// Takes one more reply; an error where nothing that follows can be trusted.
    pub(super) fn take(&mut self, frame: Frame) -> Result<()> {
        match Deleting.read(frame, &mut Vec::new()) {
            Next::Done(Ok(found)) => self.count += u64::from(found),
            Next::Done(Err(error)) => {
                self.failure.get_or_insert(error.maybe_done()); // to the others
            }
            Next::More(Deleting) => {}
            Next::Broken(error) => return Err(error),
        }
        self.left = self.left.saturating_sub(1);
        Ok(())
    }

    /// How many there were, once all replies have come.
    pub(super) fn outcome(&mut self) -> Option<Result<u64>> {
        (self.left == 0).then(|| self.failure.take().map_or(Ok(self.count), Err))
    }
}

impl Reading for DeletingMany {
    type Frame = Frame;
    type Answer = u64;

    fn read(mut self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match self.take(frame) {
            Err(error) => Next::Broken(error),
            Ok(()) => match self.outcome() {
                Some(outcome) => Next::Done(outcome),
                None => Next::More(self),
            },
        }
    }
}
