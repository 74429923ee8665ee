//! Random operations on a few keys, with jobs in between.

use std::sync::Arc;

use larder::backend::{Backend, Entry, Keys, Reply, Request, Ticket, When, perform};
use larder::error::Result;
use larder::key::MadeKey;
use larder::timeout::Ttl;

use super::super::common::flight::LONG;
use super::super::common::random::Random;

const LIFE: Ttl = Ttl::Millis(900_000);

/// One step of the mix.
#[derive(Clone)]
pub enum Step {
    Get(MadeKey),
    Set(MadeKey, Vec<u8>, When),
    Touch(MadeKey),
    Delete(MadeKey),
    GetMany(Vec<MadeKey>),
    SetMany(Vec<Entry>),
    DeleteMany(Vec<MadeKey>),
    Incr(MadeKey, i64),
    Clear(Option<&'static [u8]>),
    /// A job that reads a value and writes it back with something added.
    Append(MadeKey),
    /// A job that takes a value from one key to another, which can be on another server.
    Move([MadeKey; 2]),
    /// A job on everything: keys that begin with `b` or `c` are removed.
    Sweep,
}

impl Step {
    pub fn roll(dice: &mut Random, keys: &[MadeKey], number: usize) -> Self {
        let one = keys[dice.below(keys.len())].clone();
        let size = if dice.below(4) == 0 { 100_000 } else { 5 };
        let value: Vec<u8> = format!("{number}-").into_bytes().into_iter().cycle().take(size).collect();
        let other = keys[dice.below(keys.len())].clone();
        match dice.below(28) {
            0..6 => Self::Get(one),
            6..10 => Self::Set(one, value, [When::Always, When::Missing, When::Present][dice.below(3)]),
            10 => Self::Touch(one),
            11 => Self::Delete(one),
            12 | 13 => Self::GetMany(keys[dice.below(4)..].to_vec()),
            14 => {
                Self::SetMany(keys.iter().map(|key| Entry { key: key.clone(), value: value.clone().into() }).collect())
            }
            15 => Self::DeleteMany(vec![one, keys[0].clone()]),
            16 => Self::Set(one, b"40".to_vec(), When::Always),
            17 | 18 => Self::Incr(one, 2),
            19 if dice.below(3) == 0 => Self::Clear([None, Some(b"a".as_slice())][dice.below(2)]),
            20..24 if other != one => Self::Move([one, other]),
            24 => Self::Sweep,
            _ => Self::Append(one),
        }
    }

    pub fn request(&self) -> Option<Request<'_>> {
        Some(match self {
            Self::Get(key) => Request::Get(key),
            Self::Set(key, value, when) => Request::Set { key, value: value.into(), ttl: LIFE, when: *when },
            Self::Touch(key) => Request::Touch(key, LIFE),
            Self::Delete(key) => Request::Delete(key),
            Self::GetMany(keys) => Request::GetMany(keys),
            Self::SetMany(entries) => Request::SetMany(entries, LIFE),
            Self::DeleteMany(keys) => Request::DeleteMany(keys),
            Self::Incr(key, delta) => Request::Incr(key, *delta),
            Self::Clear(prefix) => Request::Clear(*prefix),
            Self::Append(_) | Self::Move(_) | Self::Sweep => return None,
        })
    }

    /// Begins it.
    pub fn begin(&self, cache: &Arc<dyn Backend>, ticket: Ticket) {
        let keys = match self {
            Self::Append(key) => Keys::These(std::slice::from_ref(key)),
            Self::Move(keys) => Keys::These(keys),
            Self::Sweep => Keys::All,
            _ => return cache.start(self.request().unwrap(), LONG, ticket),
        };
        let (step, worker) = (self.clone(), cache.clone());
        let job = move |may: Result<()>| ticket.answer(may.and_then(|()| step.carry_out(&worker)));
        cache.start_job(keys, LONG, Box::new(job));
    }

    /// Carries it out.
    pub fn carry_out(&self, cache: &Arc<dyn Backend>) -> Result<Reply> {
        match self {
            Self::Append(key) => append(cache, key),
            Self::Move([from, to]) => {
                let Some(value) = cache.get(from, LONG)? else { return Ok(Reply::Found(false)) };
                cache.set(to, value.as_ref(), LIFE, When::Always, LONG)?;
                cache.delete(from, LONG).map(Reply::Found)
            }
            Self::Sweep => cache.delete_pattern(b"[bc]*", LONG).map(Reply::Removed),
            _ => perform(&**cache, &self.request().unwrap(), LONG),
        }
    }
}

/// Reads a value and writes it back with something added.
fn append(cache: &Arc<dyn Backend>, key: &MadeKey) -> Result<Reply> {
    let mut value = cache.get(key, LONG)?.unwrap_or_default().bytes.to_vec();
    value.push(b'!');
    cache.set(key, (&value).into(), LIFE, When::Always, LONG).map(Reply::Written)
}
