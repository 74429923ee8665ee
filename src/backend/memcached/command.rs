//! The operations: which lines they are, and what the replies mean. No sockets: both transports use this.
//!
//! A function writes the commands to a buffer and returns a [`Reading`], which takes the replies one by one. Keys are as
//! they are sent: whoever calls has looked at them, since a blank in one would make another command of it.

use super::decoder::{Complaint, Frame, Word};
use super::fault::{answered, is_full};
use crate::backend::net::{Next, Reading, unexpected};
use crate::backend::{Counted, Stored, StoredRef, Touched, When, Written};
use crate::config::Client;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::timeout::Ttl;

/// The server's length of a value is a 32-bit number; it takes what is beyond for commands.
const LONGEST: usize = i32::MAX as usize - 2;

// ---- get ----

/// Waits for the reply to a get of one key.
pub(super) struct Getting(u64);

/// `get`; `number` is the key's.
pub(super) fn get(out: &mut Vec<u8>, key: &MadeKey, number: u64) -> Getting {
    line(out, b"get", key.as_bytes(), &[]);
    Getting(number)
}

impl Getting {
    /// The number of the key.
    pub(super) fn key(&self) -> u64 {
        self.0
    }
}

impl Reading for Getting {
    type Frame = Frame;
    type Answer = Option<Stored>;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match frame {
            Frame::Values(mut items) => match (items.pop(), items.is_empty()) {
                (None, _) => Next::Done(Ok(None)),
                (Some(item), true) if item.key == self.0 => Next::Done(Ok(Some(item.value))),
                _ => Next::Broken(unasked()),
            },
            other => refused(other),
        }
    }
}

/// Waits for the reply to a get of which only the key counts: memcached has no other question (O table).
pub(super) struct Having(Getting);

/// `get`, to see whether there is something.
pub(super) fn has(out: &mut Vec<u8>, key: &MadeKey, number: u64) -> Having {
    Having(get(out, key, number))
}

impl Reading for Having {
    type Frame = Frame;
    type Answer = bool;

    fn read(self, frame: Frame, out: &mut Vec<u8>) -> Next<Self> {
        match self.0.read(frame, out) {
            Next::Done(answer) => Next::Done(answer.map(|value| value.is_some())),
            Next::More(rest) => Next::More(Self(rest)),
            Next::Broken(error) => Next::Broken(error),
        }
    }
}

// ---- set ----

/// Waits for the reply to a write.
pub(super) struct Setting {
    spent: bool,
}

/// `set`, `add` or `replace`.
pub(super) fn set(
    out: &mut Vec<u8>,
    client: Client,
    key: &MadeKey,
    value: StoredRef<'_>,
    ttl: Ttl,
    when: When,
) -> Result<Setting> {
    check(value)?;
    let name: &[u8] = match when {
        When::Always => b"set",
        When::Missing => b"add",
        When::Present => b"replace",
    };
    write_set(out, name, key, value, &stored_until(client, ttl));
    Ok(Setting { spent: exptime(ttl, now) < 0 })
}

/// What the server could not even read past.
pub(super) fn check(value: StoredRef<'_>) -> Result<()> {
    if value.bytes.len() > LONGEST {
        return Err(Error::new(Kind::TooBig, "memcached takes no values of 2 GiB or more"));
    }
    Ok(())
}

pub(super) fn write_set(out: &mut Vec<u8>, name: &[u8], key: &MadeKey, value: StoredRef<'_>, until: &str) {
    out.reserve(key.as_bytes().len() + value.bytes.len() + 64);
    let (flags, length) = (value.flags.to_string(), value.bytes.len().to_string());
    line(out, name, key.as_bytes(), &[flags.as_bytes(), until.as_bytes(), length.as_bytes()]);
    out.extend_from_slice(value.bytes);
    out.extend_from_slice(b"\r\n");
}

impl Reading for Setting {
    type Frame = Frame;
    type Answer = Written;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match frame {
            Frame::Word(Word::Stored) if self.spent => Next::Done(Ok(Written::NotKept)),
            Frame::Word(Word::Stored) => Next::Done(Ok(Written::Stored)),
            Frame::Word(Word::NotStored) => Next::Done(Ok(Written::NotStored)),
            other => not_written(other),
        }
    }
}

// ---- touch ----

/// Waits for the reply to a touch.
pub(super) struct Touching {
    spent: bool,
}

/// `touch`, or what stands for it where the time to live is over.
pub(super) fn touch(out: &mut Vec<u8>, client: Client, key: &MadeKey, ttl: Ttl) -> Result<Touching> {
    if client == Client::PyLibMc && ttl == Ttl::Millis(0) {
        line(out, b"delete", key.as_bytes(), &[]); // M-11
        return Ok(Touching { spent: true });
    }
    let until = exptime(ttl, now);
    if client == Client::PyLibMc && until < 0 {
        // pitfall 18: libmemcached cannot, and Python raises
        let reason =
            "libmemcached cannot give a key a time to live of less than a second; 0 removes it, and so does delete";
        return Err(Error::new(Kind::Invalid, reason));
    }
    line(out, b"touch", key.as_bytes(), &[until.to_string().as_bytes()]);
    Ok(Touching { spent: until < 0 })
}

impl Reading for Touching {
    type Frame = Frame;
    type Answer = Touched;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match frame {
            Frame::Word(Word::Touched | Word::Deleted) if self.spent => Next::Done(Ok(Touched::NotKept)),
            Frame::Word(Word::Touched) => Next::Done(Ok(Touched::Changed)),
            Frame::Word(Word::NotFound) => Next::Done(Ok(Touched::Missing)),
            other => refused(other),
        }
    }
}

// ---- delete ----

/// Waits for the reply to a delete of one key.
pub(super) struct Deleting;

/// `delete`.
pub(super) fn delete(out: &mut Vec<u8>, key: &MadeKey) -> Deleting {
    line(out, b"delete", key.as_bytes(), &[]);
    Deleting
}

impl Reading for Deleting {
    type Frame = Frame;
    type Answer = bool;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match frame {
            Frame::Word(Word::Deleted) => Next::Done(Ok(true)),
            Frame::Word(Word::NotFound) => Next::Done(Ok(false)),
            other => refused(other),
        }
    }
}

// ---- incr ----

/// Waits for the reply to an increment.
pub(super) struct Counting;

/// `incr`, or `decr` for a negative number (O-8).
pub(super) fn incr(out: &mut Vec<u8>, key: &MadeKey, delta: i64) -> Counting {
    let name: &[u8] = if delta < 0 { b"decr" } else { b"incr" };
    line(out, name, key.as_bytes(), &[delta.unsigned_abs().to_string().as_bytes()]);
    Counting
}

impl Reading for Counting {
    type Frame = Frame;
    type Answer = Counted;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match frame {
            Frame::Number(sum) => Next::Done(Ok(i64::try_from(sum).map_or(Counted::Beyond(sum), Counted::Now))),
            Frame::Word(Word::NotFound) => Next::Done(Ok(Counted::Missing)),
            other => refused(other),
        }
    }
}

// ---- the whole server ----

/// Waits for the reply to a flush.
pub(super) struct Flushing;

/// `flush_all`, as each client writes it.
pub(super) fn flush(out: &mut Vec<u8>, client: Client) -> Flushing {
    out.extend_from_slice(match client {
        Client::PyMemcache => b"flush_all 0\r\n",
        Client::PyLibMc => b"flush_all \r\n",
    });
    Flushing
}

impl Reading for Flushing {
    type Frame = Frame;
    type Answer = ();

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match frame {
            Frame::Word(Word::Ok) => Next::Done(Ok(())),
            other => refused(other),
        }
    }
}

/// Waits for the reply to a question that is only to be answered.
pub(super) struct Asking;

/// `version`.
pub(super) fn ping(out: &mut Vec<u8>) -> Asking {
    out.extend_from_slice(b"version\r\n");
    Asking
}

impl Reading for Asking {
    type Frame = Frame;
    type Answer = ();

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match frame {
            Frame::Word(Word::Version) => Next::Done(Ok(())),
            other => refused(other),
        }
    }
}

// ---- what they share ----

pub(super) fn line(out: &mut Vec<u8>, name: &[u8], key: &[u8], arguments: &[&[u8]]) {
    out.extend_from_slice(name);
    out.push(b' ');
    out.extend_from_slice(key);
    for argument in arguments {
        out.push(b' ');
        out.extend_from_slice(argument);
    }
    out.extend_from_slice(b"\r\n");
}

/// What is not the reply that was hoped for.
pub(super) fn refused<R: Reading>(frame: Frame) -> Next<R> {
    match frame {
        Frame::Error(complaint, text) if is_full(&text) => Next::Broken(answered(complaint, &text)),
        Frame::Error(complaint, text) => Next::Done(Err(answered(complaint, &text))),
        _ => Next::Broken(unexpected()),
    }
}

/// The same to a command with a value. A server that did not understand its line may take the value for commands.
pub(super) fn not_written<R: Reading>(frame: Frame) -> Next<R> {
    match frame {
        Frame::Error(complaint @ (Complaint::Unknown | Complaint::Client), text) => {
            Next::Broken(answered(complaint, &text))
        }
        other => refused(other),
    }
}

/// A value that nobody asked for.
pub(super) fn unasked() -> Error {
    Error::new(Kind::Connection, "the server answered with another key's value")
}

/// Up to so many seconds are counted from now, more are a time of day (T-4).
const RELATIVE: i64 = 30 * 24 * 3600;

/// T-4: seconds from now, truncated, and the time of day beyond 30 days; 0 is for ever, below it nothing is kept.
fn exptime(ttl: Ttl, now: impl Fn() -> i64) -> i64 {
    let Ttl::Millis(millis) = ttl else { return 0 };
    match millis / 1000 {
        0 => -1,
        seconds if millis > RELATIVE * 1000 => seconds.saturating_add(now()),
        seconds => seconds,
    }
}

/// The time of a set. libmemcached has an unsigned number of 32 bits there.
pub(super) fn stored_until(client: Client, ttl: Ttl) -> String {
    let until = exptime(ttl, now);
    match client {
        Client::PyMemcache => until.to_string(),
        Client::PyLibMc => until.rem_euclid(1 << 32).to_string(),
    }
}

/// The time of day, in seconds.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
