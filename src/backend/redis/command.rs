//! The operations: which commands they are, and what the replies mean. No sockets: both transports use this.
//!
//! A function writes the first commands to a buffer and returns a [`Reading`], which takes the replies one by one.

use super::fault::{answered, contains, too_long};
use super::resp::{Digits, Frame, argument, command, header};
use crate::backend::net::{Next, Reading, unexpected};
use crate::backend::{Counted, Page, Stored, Touched, When, Written};
use crate::config::Flavor;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::timeout::Ttl;

/// An operation of one command and one reply.
pub(super) struct One<A>(fn(Frame) -> Understood<A>);

/// An answer, or the frame that is none.
pub(super) type Understood<A> = std::result::Result<A, Frame>;

impl<A> Reading for One<A> {
    type Frame = Frame;
    type Answer = A;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match frame {
            Frame::Error(text) => Next::Done(Err(answered(&text))),
            frame => (self.0)(frame).map_or_else(|_| Next::Broken(unexpected()), |answer| Next::Done(Ok(answer))),
        }
    }
}

// ---- one command, one reply ----

/// GET.
pub(super) fn get(out: &mut Vec<u8>, key: &MadeKey) -> One<Option<Stored>> {
    command(out, &[b"GET", key.as_bytes()]);
    One(value)
}

/// DEL of one or several keys: how many there were.
pub(super) fn delete(out: &mut Vec<u8>, keys: &[MadeKey]) -> One<u64> {
    listed(out, b"DEL", keys.iter().map(MadeKey::as_bytes));
    One(count)
}

/// UNLINK: DEL that frees memory later.
pub(super) fn unlink(out: &mut Vec<u8>, keys: &[Vec<u8>]) -> One<u64> {
    listed(out, b"UNLINK", keys.iter().map(Vec::as_slice));
    One(count)
}

/// EXISTS.
pub(super) fn exists(out: &mut Vec<u8>, key: &MadeKey) -> One<u64> {
    command(out, &[b"EXISTS", key.as_bytes()]);
    One(count)
}

/// MGET.
pub(super) fn get_many(out: &mut Vec<u8>, keys: &[MadeKey]) -> GettingMany {
    listed(out, b"MGET", keys.iter().map(MadeKey::as_bytes));
    GettingMany(keys.len())
}

/// Waits for that many values.
pub(super) struct GettingMany(usize);

impl Reading for GettingMany {
    type Frame = Frame;
    type Answer = Vec<Option<Stored>>;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match frame {
            Frame::Error(text) => Next::Done(Err(answered(&text))),
            Frame::Array(items) if items.len() == self.0 => items
                .into_iter()
                .map(value)
                .collect::<Understood<_>>()
                .map_or_else(|_| Next::Broken(unexpected()), |values| Next::Done(Ok(values))),
            _ => Next::Broken(unexpected()),
        }
    }
}

/// PTTL.
pub(super) fn ttl(out: &mut Vec<u8>, key: &MadeKey) -> One<Option<Ttl>> {
    command(out, &[b"PTTL", key.as_bytes()]);
    One(left)
}

/// What is left of a time to live, as PTTL tells it.
pub(super) fn left(frame: Frame) -> Understood<Option<Ttl>> {
    match frame {
        Frame::Int(-2) => Ok(None),
        Frame::Int(-1) => Ok(Some(Ttl::Forever)),
        Frame::Int(left) => Ok(Some(Ttl::Millis(left))),
        other => Err(other),
    }
}

/// SCAN with a pattern.
pub(super) fn scan(out: &mut Vec<u8>, pattern: &[u8], at: u64) -> One<Page> {
    command(out, &[b"SCAN", at.to_string().as_bytes(), b"MATCH", pattern, b"COUNT", b"1000"]);
    One(page)
}

/// FLUSHDB.
pub(super) fn flush(out: &mut Vec<u8>) -> One<()> {
    command(out, &[b"FLUSHDB"]);
    One(status)
}

/// PING.
pub(super) fn ping(out: &mut Vec<u8>) -> One<()> {
    command(out, &[b"PING"]);
    One(status)
}

pub(super) fn listed<'a>(out: &mut Vec<u8>, name: &[u8], arguments: impl ExactSizeIterator<Item = &'a [u8]>) {
    header(out, arguments.len() + 1);
    argument(out, name);
    for one in arguments {
        argument(out, one);
    }
}

pub(super) fn value(frame: Frame) -> Understood<Option<Stored>> {
    match frame {
        Frame::Null => Ok(None),
        Frame::Bulk(data) => Ok(Some(data.into())),
        other => Err(other),
    }
}

fn count(frame: Frame) -> Understood<u64> {
    match frame {
        Frame::Int(number) => u64::try_from(number).map_err(|_| frame),
        other => Err(other),
    }
}

fn status(frame: Frame) -> Understood<()> {
    match frame {
        Frame::Simple(_) => Ok(()),
        other => Err(other),
    }
}

fn page(frame: Frame) -> Understood<Page> {
    parts_of_page(&frame).ok_or(frame)
}

fn parts_of_page(frame: &Frame) -> Option<Page> {
    let Frame::Array(parts) = frame else { return None };
    let [Frame::Bulk(cursor), Frame::Array(keys)] = parts.as_slice() else { return None };
    let cursor: u64 = std::str::from_utf8(cursor).ok()?.parse().ok()?;
    let keys = keys.iter().map(|key| match key {
        Frame::Bulk(key) => Some(key.to_vec()),
        _ => None,
    });
    Some(Page { keys: keys.collect::<Option<_>>()?, next: (cursor != 0).then_some(cursor) })
}

// ---- incr ----

/// Adds only where there is a key, in one step: django-redis has a script like this (DR-20); core redis takes two
/// commands and has a race, which 1.19 wants closed.
const ADD_TO_EXISTING: &str =
    "if redis.call('EXISTS', KEYS[1]) == 0 then return false end return redis.call('INCRBY', KEYS[1], ARGV[1])";

/// Adds to a number in the server.
pub(super) struct Adding(Flavor);

/// EVAL of EXISTS and INCRBY.
pub(super) fn incr(out: &mut Vec<u8>, flavor: Flavor, key: &MadeKey, delta: i64) -> Adding {
    let delta = Digits::of(delta);
    command(out, &[b"EVAL", ADD_TO_EXISTING.as_bytes(), b"1", key.as_bytes(), delta.as_bytes()]);
    Adding(flavor)
}

impl Reading for Adding {
    type Frame = Frame;
    type Answer = Counted;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        Next::Done(match frame {
            Frame::Int(now) => Ok(Counted::Now(now)),
            Frame::Null => Ok(Counted::Missing),
            Frame::Error(text) => self.refused(&text),
            _ => return Next::Broken(unexpected()),
        })
    }
}

impl Adding {
    fn refused(&self, text: &[u8]) -> Result<Counted> {
        if contains(text, b"WRONGTYPE") {
            return Err(answered(b"WRONGTYPE"));
        }
        let overflows = contains(text, b"would overflow");
        if !overflows && !contains(text, b"not an integer") {
            return Err(answered(text));
        }
        match self.0 {
            Flavor::DjangoRedis | Flavor::DjangoValkey => Ok(Counted::ByStore), // DR-20
            Flavor::Core if overflows => Err(Error::new(Kind::Type, "the result is beyond what the server can count")),
            Flavor::Core => Err(Error::new(Kind::Type, "the value is not a 64-bit integer")), // O-7
        }
    }
}

// ---- set ----

/// Waits for the replies to a set.
pub(super) enum Setting {
    /// SET.
    Plain,
    /// SET NX of a value that is to go again at once; the key is for the DEL that may follow (core redis: R-6).
    ThenDelete(Box<MadeKey>),
    /// The DEL after it.
    Deleted,
    /// DEL in place of a set with a spent time to live: what a key that was not there means.
    Instead(Written),
    /// EXISTS in place of a set NX with a spent time to live (DR-19).
    Probed,
}

/// SET and what stands for it where the time to live rounds to nothing (T, R-6, DR-19).
pub(super) fn set(
    out: &mut Vec<u8>,
    flavor: Flavor,
    key: &MadeKey,
    value: &[u8],
    ttl: Ttl,
    when: When,
) -> Result<Setting> {
    let life = Life::of(flavor, ttl)?;
    if !matches!(life, Life::Spent(_)) {
        write_set(out, key.as_bytes(), value, when, &life);
        return Ok(Setting::Plain);
    }
    Ok(write_spent(out, flavor, key, value, when))
}

/// As [`set`], in one command whatever the time to live: nothing else can come in between. What a SET NX and a DEL
/// behind it leave is what EXISTS alone leaves.
pub(super) fn set_at_once(
    out: &mut Vec<u8>,
    flavor: Flavor,
    key: &MadeKey,
    value: &[u8],
    ttl: Ttl,
    when: When,
) -> Result<Setting> {
    if when == When::Missing && matches!(Life::of(flavor, ttl)?, Life::Spent(_)) {
        command(out, &[b"EXISTS", key.as_bytes()]);
        return Ok(Setting::Probed);
    }
    set(out, flavor, key, value, ttl, when)
}

fn write_spent(out: &mut Vec<u8>, flavor: Flavor, key: &MadeKey, value: &[u8], when: When) -> Setting {
    let name = key.as_bytes();
    match (flavor, when) {
        (Flavor::Core, When::Missing) => {
            write_set(out, name, value, when, &Life::Forever);
            Setting::ThenDelete(Box::new(key.clone()))
        }
        (Flavor::DjangoRedis | Flavor::DjangoValkey, When::Missing) => {
            command(out, &[b"EXISTS", name]);
            Setting::Probed
        }
        (Flavor::Core, When::Always) => {
            command(out, &[b"DEL", name]);
            Setting::Instead(Written::NotKept)
        }
        (Flavor::DjangoRedis | Flavor::DjangoValkey, _) | (_, When::Present) => {
            command(out, &[b"DEL", name]);
            Setting::Instead(Written::NotStored)
        }
    }
}

impl Reading for Setting {
    type Frame = Frame;
    type Answer = Written;

    fn read(self, frame: Frame, out: &mut Vec<u8>) -> Next<Self> {
        let written = match (self, frame) {
            (_, Frame::Error(text)) => return Next::Done(Err(answered(&text))),
            (Self::Plain, Frame::Simple(_)) => Written::Stored,
            (Self::Plain | Self::ThenDelete(_), Frame::Null) | (Self::Probed, Frame::Int(1..)) => Written::NotStored,
            (Self::ThenDelete(key), Frame::Simple(_)) => {
                command(out, &[b"DEL", key.as_bytes()]);
                return Next::More(Self::Deleted);
            }
            (Self::Instead(absent), Frame::Int(0)) => absent,
            (Self::Deleted | Self::Instead(_), Frame::Int(_)) | (Self::Probed, Frame::Int(0)) => Written::NotKept,
            _ => return Next::Broken(unexpected()),
        };
        Next::Done(Ok(written))
    }
}

/// A time to live as one flavour counts it.
pub(super) enum Life {
    /// No expiry.
    Forever,
    /// EX or PX, and its number.
    Limited(&'static [u8], Digits),
    /// Rounds to nothing; the number for EXPIRE or PEXPIRE.
    Spent(Digits),
}

/// Beyond this Redis can overflow when it adds the time of day.
const LONGEST: i64 = i64::MAX / 2;

impl Life {
    /// Counts `ttl` as `flavor` does.
    pub(super) fn of(flavor: Flavor, ttl: Ttl) -> Result<Self> {
        let Ttl::Millis(millis) = ttl else { return Ok(Self::Forever) };
        if millis > LONGEST {
            return Err(too_long());
        }
        let (unit, number): (&'static [u8], i64) = match flavor {
            Flavor::Core => (b"EX", ttl.whole_seconds().unwrap_or_default()), // T-3
            Flavor::DjangoRedis | Flavor::DjangoValkey => (b"PX", millis.max(-LONGEST)), // T-5
        };
        let digits = Digits::of(number);
        Ok(if number <= 0 { Self::Spent(digits) } else { Self::Limited(unit, digits) })
    }
}

/// SET with what belongs to it.
pub(super) fn write_set(out: &mut Vec<u8>, key: &[u8], value: &[u8], when: When, life: &Life) {
    let condition: &[&[u8]] = match when {
        When::Always => &[],
        When::Missing => &[b"NX"],
        When::Present => &[b"XX"],
    };
    let limited = matches!(life, Life::Limited(..));
    header(out, 3 + condition.len() + if limited { 2 } else { 0 });
    for one in [b"SET", key, value] {
        argument(out, one);
    }
    for one in condition {
        argument(out, one);
    }
    if let Life::Limited(unit, number) = life {
        argument(out, unit);
        argument(out, number.as_bytes());
    }
}

// ---- touch ----

/// Waits for the reply to a touch.
pub(super) struct Touching {
    spent: bool,
}

/// EXPIRE, PEXPIRE or PERSIST (R-6, R-7, DR-24).
pub(super) fn touch(out: &mut Vec<u8>, flavor: Flavor, key: &MadeKey, ttl: Ttl) -> Result<Touching> {
    let life = Life::of(flavor, ttl)?;
    write_expire(out, flavor, key, &life);
    Ok(Touching { spent: matches!(life, Life::Spent(_)) })
}

/// EXPIRE, PEXPIRE or PERSIST.
pub(super) fn write_expire(out: &mut Vec<u8>, flavor: Flavor, key: &MadeKey, life: &Life) {
    let name: &[u8] = match flavor {
        Flavor::Core => b"EXPIRE",
        Flavor::DjangoRedis | Flavor::DjangoValkey => b"PEXPIRE",
    };
    match life {
        Life::Forever => command(out, &[b"PERSIST", key.as_bytes()]),
        Life::Limited(_, number) | Life::Spent(number) => command(out, &[name, key.as_bytes(), number.as_bytes()]),
    }
}

impl Reading for Touching {
    type Frame = Frame;
    type Answer = Touched;

    fn read(self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        Next::Done(match frame {
            Frame::Error(text) => Err(answered(&text)),
            Frame::Int(0) => Ok(Touched::Missing),
            Frame::Int(1) if self.spent => Ok(Touched::NotKept),
            Frame::Int(1) => Ok(Touched::Changed),
            _ => return Next::Broken(unexpected()),
        })
    }
}
