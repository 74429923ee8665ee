//! Several servers: the first is written to, the others are read from (R-2, DR-5).
//!
//! What the first has may not have come to the others yet: a read after a write can miss it. Operations on one key that
//! are begun asynchronously keep their order among writes, and among reads from one server, but not between the two.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Redis, on_one};
use crate::backend::{
    Answer, Backend, Capability, Counted, Entry, Habits, Health, Job, Keys, LockAction, Page, Reply, Request, Sink,
    Spawner, Stored, StoredRef, Ticket, Touched, When, Written,
};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::lock::Mutex;
use crate::log::Log;
use crate::timeout::{Budget, Ttl};

/// A server's cursor is at most that long; the high byte of ours tells whose it is. Redis' are shorter than the number of
/// its keys.
const CURSOR_BITS: u32 = 56;
/// So many replicas have a number that fits in front of a cursor.
const LISTED: usize = 255;

/// The cache of a configuration, on one server or on several. It connects when it is first used. `spawner` runs the
/// asynchronous operations; `log` hears of servers that come and go.
#[allow(clippy::needless_pass_by_value, reason = "it keeps them")]
pub fn open(mut config: config::Redis, spawner: Arc<dyn Spawner>, log: Arc<dyn Log>) -> Arc<dyn Backend> {
    let replicas = std::mem::take(&mut config.replicas);
    let on = |config: config::Redis| on_one(config, spawner.clone(), log.clone());
    if replicas.is_empty() {
        return Arc::new(on(config));
    }
    Arc::new(Replicated {
        replicas: replicas.into_iter().map(|server| on(config::Redis { server, ..config.clone() })).collect(),
        writer: on(config),
        dice: AtomicU64::new(RandomState::new().hash_one(0)),
    })
}

/// A cache on a server that is written to, and one replica at least.
struct Replicated {
    writer: Redis,
    replicas: Vec<Redis>,
    dice: AtomicU64,
}

impl Replicated {
    /// Any replica, each as likely. One whose breaker is open is passed over for another, and for the writer where all
    /// are.
    fn reader(&self) -> &Redis {
        self.numbered(self.choose()).unwrap_or(&self.writer)
    }

    /// The number of the server for a read: 0 is the writer.
    fn choose(&self) -> usize {
        let first = self.roll(self.replicas.len());
        let usable = |index: &usize| self.replicas.get(*index).is_some_and(|server| !server.rests());
        if usable(&first) {
            return first + 1;
        }
        // Among those that are left each is as likely again.
        let left: Vec<_> = (0..self.replicas.len()).filter(usable).collect();
        left.get(self.roll(left.len())).map_or(0, |index| index + 1)
    }

    fn numbered(&self, number: usize) -> Option<&Redis> {
        number.checked_sub(1).map_or(Some(&self.writer), |index| self.replicas.get(index))
    }

    /// A random number below `sides`: SplitMix64 over a counter, which threads share without waiting.
    fn roll(&self, sides: usize) -> usize {
        let mut mixed = self.dice.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let share = (u128::from(mixed) * sides as u128) >> 64; // below `sides`
        usize::try_from(share).unwrap_or(0)
    }

    /// The server for the page of a listing that begins `at`, its number, and where that is for the server. All pages of
    /// a listing come from one.
    fn lister(&self, at: u64) -> Result<(&Redis, usize, u64)> {
        let (number, at) = match usize::try_from(at >> CURSOR_BITS) {
            _ if at == 0 => (Some(self.choose()).filter(|number| *number <= LISTED).unwrap_or(0), 0),
            Ok(number) => (number, at & ((1 << CURSOR_BITS) - 1)),
            Err(_) => (usize::MAX, at),
        };
        let server = self.numbered(number);
        let server = server.ok_or_else(|| Error::new(Kind::Invalid, "no listing of this cache goes on there"))?;
        Ok((server, number, at))
    }
}

/// Where the next page of a listing from a server begins.
fn numbered_cursor(number: usize, next: u64) -> Result<u64> {
    match u64::try_from(number) {
        Ok(number) if next >> CURSOR_BITS == 0 => Ok(number << CURSOR_BITS | next),
        _ => {
            let reason = "the server's cursors are too large for a listing from one of several servers";
            Err(Error::new(Kind::Unsupported, reason))
        }
    }
}

/// Numbers the cursor in the answer to an asynchronous listing, on its way to the real ticket.
struct Numbering {
    number: usize,
    ticket: Mutex<Option<Ticket>>,
}

fn numbering(ticket: Ticket, number: usize) -> Ticket {
    Ticket::new(Arc::new(Numbering { number, ticket: Mutex::new(Some(ticket)) }), 0)
}

impl Sink for Numbering {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        for (_, answer) in answers.drain(..) {
            let ticket = self.ticket.lock().take();
            let answer = answer.and_then(|reply| match reply {
                Reply::Page(Page { keys, next: Some(next) }) => {
                    numbered_cursor(self.number, next).map(|next| Reply::Page(Page { keys, next: Some(next) }))
                }
                other => Ok(other),
            });
            if let Some(ticket) = ticket {
                ticket.answer(answer);
            }
        }
    }
}

impl Backend for Replicated {
    fn supports(&self, capability: Capability) -> bool {
        self.writer.supports(capability)
    }

    fn habits(&self) -> Habits {
        self.writer.habits()
    }

    fn get(&self, key: &MadeKey, budget: Budget) -> Result<Option<Stored>> {
        self.reader().get(key, budget)
    }

    fn set(&self, key: &MadeKey, value: StoredRef<'_>, ttl: Ttl, when: When, budget: Budget) -> Result<Written> {
        self.writer.set(key, value, ttl, when, budget)
    }

    fn touch(&self, key: &MadeKey, ttl: Ttl, budget: Budget) -> Result<Touched> {
        self.writer.touch(key, ttl, budget)
    }

    fn delete(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        self.writer.delete(key, budget)
    }

    fn has(&self, key: &MadeKey, budget: Budget) -> Result<bool> {
        self.reader().has(key, budget)
    }

    fn get_many(&self, keys: &[MadeKey], budget: Budget) -> Result<Vec<Option<Stored>>> {
        self.reader().get_many(keys, budget)
    }

    fn set_many(&self, entries: &[Entry], ttl: Ttl, budget: Budget) -> Result<Vec<Option<Error>>> {
        self.writer.set_many(entries, ttl, budget)
    }

    fn delete_many(&self, keys: &[MadeKey], budget: Budget) -> Result<u64> {
        self.writer.delete_many(keys, budget)
    }

    fn ttl(&self, key: &MadeKey, budget: Budget) -> Result<Option<Ttl>> {
        self.reader().ttl(key, budget)
    }

    fn persist(&self, key: &MadeKey, budget: Budget) -> Result<Touched> {
        self.writer.persist(key, budget)
    }

    fn incr(&self, key: &MadeKey, delta: i64, budget: Budget) -> Result<Counted> {
        self.writer.incr(key, delta, budget)
    }

    fn expire_at(&self, key: &MadeKey, at_ms: i64, budget: Budget) -> Result<Touched> {
        self.writer.expire_at(key, at_ms, budget)
    }

    fn lock(&self, key: &MadeKey, token: &[u8], action: LockAction, budget: Budget) -> Result<bool> {
        self.writer.lock(key, token, action, budget)
    }

    fn delete_pattern(&self, pattern: &[u8], budget: Budget) -> Result<u64> {
        self.writer.delete_pattern(pattern, budget) // replicas may not know of all keys yet
    }

    fn scan(&self, pattern: &[u8], at: u64, budget: Budget) -> Result<Page> {
        let (server, number, at) = self.lister(at)?;
        let mut page = server.scan(pattern, at, budget)?;
        page.next = page.next.map(|next| numbered_cursor(number, next)).transpose()?;
        Ok(page)
    }

    fn clear(&self, prefix: Option<&[u8]>, budget: Budget) -> Result<()> {
        self.writer.clear(prefix, budget)
    }

    fn ping(&self, budget: Budget) -> Result<()> {
        self.writer.ping(budget)
    }

    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        match request {
            Request::Get(_) | Request::Has(_) | Request::GetMany(_) | Request::Ttl(_) => {
                self.reader().start(request, budget, ticket);
            }
            Request::Scan(pattern, at) => match self.lister(at) {
                Ok((server, number, at)) => server.start(Request::Scan(pattern, at), budget, numbering(ticket, number)),
                Err(error) => ticket.answer(Err(error)),
            },
            _ => self.writer.start(request, budget, ticket),
        }
    }

    fn begin_batch(&self) {
        self.writer.begin_batch();
        self.replicas.iter().for_each(Backend::begin_batch);
    }

    fn end_batch(&self) {
        self.writer.end_batch();
        self.replicas.iter().for_each(Backend::end_batch);
    }

    fn start_job(&self, keys: Keys<'_>, budget: Budget, job: Job) {
        self.writer.start_job(keys, budget, job);
    }

    fn health(&self) -> Vec<Health> {
        std::iter::once(&self.writer).chain(&self.replicas).flat_map(Redis::health).collect()
    }

    fn latest(&self) -> Option<&dyn Backend> {
        Some(&self.writer)
    }
}
