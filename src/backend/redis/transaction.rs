//! set_many: several values in one transaction and one round trip.

use super::command::{Life, write_expire, write_set};
use super::fault::answered;
use super::resp::{Frame, argument, command, header};
use crate::backend::net::{Next, Reading, unexpected};
use crate::backend::{Entry, When};
use crate::config::Flavor;
use crate::error::{Error, Kind, Result};
use crate::timeout::Ttl;

/// Waits for the replies to a transaction that sets several values.
pub(super) struct SettingMany {
    entries: usize,
    /// Core redis: the values are written by one command, the times to live by one each.
    one_write: bool,
    /// Replies that are still to come, EXEC's included.
    left: usize,
    /// What was wrong with a command before EXEC.
    refused: Option<Error>,
}

/// MULTI … EXEC of all entries, which must not be none.
pub(super) fn set_many(out: &mut Vec<u8>, flavor: Flavor, entries: &[Entry], ttl: Ttl) -> Result<SettingMany> {
    let life = Life::of(flavor, ttl)?;
    command(out, &[b"MULTI"]);
    let mut commands = entries.len();
    let one_write = flavor == Flavor::Core;
    if one_write {
        header(out, 1 + 2 * entries.len());
        argument(out, b"MSET");
        for entry in entries {
            argument(out, entry.key.as_bytes());
            argument(out, &entry.value.bytes);
        }
        if matches!(life, Life::Forever) {
            commands = 1;
        } else {
            commands += 1;
            for entry in entries {
                write_expire(out, flavor, &entry.key, &life);
            }
        }
    } else {
        for entry in entries {
            match life {
                Life::Spent(_) => command(out, &[b"DEL", entry.key.as_bytes()]),
                _ => write_set(out, entry.key.as_bytes(), &entry.value.bytes, When::Always, &life),
            }
        }
    }
    command(out, &[b"EXEC"]);
    Ok(SettingMany { entries: entries.len(), one_write, left: commands + 2, refused: None })
}

impl Reading for SettingMany {
    type Frame = Frame;
    type Answer = Vec<Option<Error>>;

    fn read(mut self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        if !self.is_last() {
            return match self.queued(&frame) {
                Ok(()) => Next::More(self),
                Err(error) => Next::Broken(error),
            };
        }
        match frame {
            Frame::Error(text) => Next::Done(Err(self.refused.unwrap_or_else(|| answered(&text)))),
            Frame::Null => Next::Done(Err(given_up())),
            Frame::Array(results) => self.finish(results),
            _ => Next::Broken(unexpected()),
        }
    }
}

fn given_up() -> Error {
    Error::new(Kind::Server, "the server gave the transaction up").retriable_if(true)
}

impl SettingMany {
    /// Whether the next reply is EXEC's.
    pub(super) fn is_last(&self) -> bool {
        self.left <= 1
    }

    /// Takes a reply before EXEC's: the command was queued, or refused. An error breaks the connection.
    pub(super) fn queued(&mut self, frame: &Frame) -> Result<()> {
        self.left -= 1;
        match frame {
            Frame::Error(text) => drop(self.refused.get_or_insert_with(|| answered(text))),
            Frame::Simple(_) => {}
            _ => return Err(unexpected()),
        }
        Ok(())
    }

    fn finish(self, results: Vec<Frame>) -> Next<Self> {
        let mut results = results.into_iter().map(|one| match one {
            Frame::Error(text) => Some(answered(&text)),
            _ => None,
        });
        if !self.one_write {
            let failures: Vec<_> = results.collect();
            return if failures.len() == self.entries { Next::Done(Ok(failures)) } else { Next::Broken(unexpected()) };
        }
        match results.next() {
            Some(None) => {
                let mut failures: Vec<_> = results.collect();
                failures.resize_with(self.entries, || None);
                Next::Done(Ok(failures))
            }
            Some(Some(error)) => Next::Done(Err(error)),
            None => Next::Broken(unexpected()),
        }
    }
}
