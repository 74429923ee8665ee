//! One load for all who miss one token at the same time.
//!
//! The first who misses it leads: it has the duty to land the flight, on every way out. The others wait, each until its own
//! deadline. A flight that is over its time is landed as failed by whoever notices first, so that nobody hangs on a loader
//! that does.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::arrival::Arrival;
use super::counts::Counts;
use crate::backend::Leveled;
use crate::error::{Error, Kind};
use crate::lock::{Mutex, OnceLock};
use crate::store::Store;
use crate::sys::PerProcess;

/// Landings are counted in so many places, by token.
const PLACES: usize = 64;

/// The loads that are under way, by token. Shared by all pipelines (or stores) of one name in one context.
pub struct Flights {
    table: PerProcess<Table>,
    /// How many have landed.
    landed: [AtomicU64; PLACES],
    /// How long loads take, in microseconds: each new one counts for a quarter. 0: none has been.
    pub(super) usual_load: AtomicU64,
    counts: OnceLock<Arc<Counts>>,
}

/// By what the first store calls it.
type Table = Mutex<HashMap<Arc<[u8]>, Arc<Flight>>>;

/// What is loaded.
#[derive(Clone, Debug)]
pub struct Name {
    /// As the first store calls it: its made key.
    pub made: Arc<[u8]>,
    /// The token, or key.
    pub token: Arc<str>,
    /// Another version than the aliases'.
    pub version: Option<Arc<str>>,
    /// The key is final.
    pub final_key: bool,
}

/// What a flight brought.
#[derive(Clone)]
pub enum Landing {
    /// A value.
    Value(Leveled),
    /// There is none.
    NotFound,
    /// It failed.
    Failed(Error),
    /// Who led it went before the load began: whoever still waits leads another.
    Abandoned,
}

/// A load that is under way.
pub struct Flight {
    number: u64,
    landing: Arrival<Landing>,
    /// What was loaded, while it is written to the stores.
    loaded: Arrival<Landing>,
    limit: Duration,
    began: Instant,
    /// How long after that it is over its time, in microseconds. No lock, which could stay locked in a forked child.
    time: AtomicU64,
}

/// Who found no flight leads one; others wait.
pub enum Role {
    /// To lead.
    Lead(Flying),
    /// To wait.
    Wait(Arc<Flight>),
}

/// The right and the duty to land a flight: exactly once by construction, since dropping it lands it too.
pub struct Flying {
    flights: Arc<Flights>,
    name: Name,
    flight: Arc<Flight>,
    /// Somebody else's flight has landed since the stores were asked: they may have the value now.
    pub looks_again: bool,
    has_landed: bool,
}

impl Default for Flights {
    fn default() -> Self {
        Self {
            table: PerProcess::new(Table::default()),
            landed: [const { AtomicU64::new(0) }; PLACES],
            usual_load: AtomicU64::new(0),
            counts: OnceLock::new(),
        }
    }
}

impl Flights {
    /// A moment, before the stores are asked, for [`Flights::join`].
    pub fn moment(&self, token: &str) -> u64 {
        self.place(token).load(Ordering::Acquire)
    }

    /// Joins the flight of that name, or begins one that may take `limit`.
    pub fn join(self: &Arc<Self>, name: Name, moment: u64, limit: Duration) -> Role {
        let now = Instant::now();
        let fresh = || {
            static NEXT: AtomicU64 = AtomicU64::new(1);
            Arc::new(Flight {
                number: NEXT.fetch_add(1, Ordering::Relaxed),
                landing: Arrival::default(),
                loaded: Arrival::default(),
                limit,
                began: now,
                time: AtomicU64::new(micros(limit)),
            })
        };
        let (flight, late) = {
            let mut table = self.table().lock();
            match table.entry(name.made.clone()) {
                Entry::Vacant(place) => (place.insert(fresh()).clone(), None),
                Entry::Occupied(place) if !place.get().is_late(now) => return Role::Wait(place.get().clone()),
                Entry::Occupied(mut place) => {
                    let late = place.insert(fresh());
                    (place.get().clone(), Some(late))
                }
            }
        };
        if let Some(late) = late {
            late.landing.put(Landing::Failed(late.took_too_long()));
        }
        let looks_again = self.moment(&name.token) != moment;
        Role::Lead(Flying { flights: self.clone(), name, flight, looks_again, has_landed: false })
    }

    /// Lands a flight as failed that is over its time.
    pub fn give_up(&self, name: &Name, flight: &Arc<Flight>) {
        self.take_off(name, flight);
        flight.landing.put(Landing::Failed(flight.took_too_long()));
    }

    /// The counters of all calls that load for one store: their pipelines do not live long.
    pub(super) fn counts(&self, store: &Store) -> Arc<Counts> {
        let name = store.name();
        let counts = || Arc::new(Counts::new(name, std::iter::once(name), store.measures_all()));
        self.counts.get_or_init(counts).clone()
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.table().lock().len()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a flight off the table: the next who misses begins another.
    fn take_off(&self, name: &Name, flight: &Arc<Flight>) {
        let mut table = self.table().lock();
        let taken = match table.get(&name.made) {
            Some(listed) if Arc::ptr_eq(listed, flight) => table.remove_entry(&name.made),
            _ => None,
        };
        if taken.is_some() {
            self.place(&name.token).fetch_add(1, Ordering::AcqRel);
        }
        drop(table);
        drop(taken);
    }

    /// This process's: a child has none of its parent's flights.
    fn table(&self) -> &Table {
        match self.table.get_or_make(|_| Ok::<_, Infallible>(Table::default())) {
            Ok(table) => table,
            Err(never) => match never {},
        }
    }

    fn place(&self, token: &str) -> &AtomicU64 {
        let mut mixed = token.len() as u64;
        for part in token.as_bytes().chunks(8) {
            let number = part.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
            mixed = (mixed.rotate_left(5) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        let [first, ..] = &self.landed;
        let place = usize::try_from(mixed >> 58).unwrap_or(0);
        self.landed.get(place).unwrap_or(first)
    }
}

impl Flight {
    /// Tells flights apart.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Where what it brings arrives.
    pub fn landing(&self) -> &Arrival<Landing> {
        &self.landing
    }

    /// What was loaded and is not yet written: for who cannot wait for that.
    pub fn loaded(&self) -> &Arrival<Landing> {
        &self.loaded
    }

    /// When it is over its time; that can still change.
    pub fn end(&self) -> Instant {
        self.began + Duration::from_micros(self.time.load(Ordering::Acquire))
    }

    fn is_late(&self, now: Instant) -> bool {
        self.end() <= now
    }

    /// The error of a load that did not end in time.
    pub fn took_too_long(&self) -> Error {
        let reason = format!("the value was not loaded within {} ms", self.limit.as_millis());
        Error::new(Kind::Timeout, reason).during("load")
    }
}

impl Flying {
    /// The flight.
    pub fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// What is loaded.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether it is landed, since it was over its time.
    pub fn is_given_up(&self) -> bool {
        self.flight.landing.get().is_some()
    }

    /// Gives it that much time from now on.
    pub fn prolong(&self, time: Duration) {
        let time = micros(self.flight.began.elapsed().saturating_add(time));
        self.flight.time.store(time, Ordering::Release);
    }

    /// Lands it; what all who waited are told.
    pub fn land(mut self, landing: Landing) -> Landing {
        self.has_landed = true;
        self.put(landing)
    }

    fn put(&self, landing: Landing) -> Landing {
        self.flights.take_off(&self.name, &self.flight);
        if self.flight.landing.put(landing.clone()) { landing } else { self.flight.landing.get().unwrap_or(landing) }
    }
}

/// At most a year: that can be added to any clock.
fn micros(time: Duration) -> u64 {
    const LONGEST: u64 = 365 * 24 * 3600 * 1_000_000;
    u64::try_from(time.as_micros()).map_or(LONGEST, |micros| micros.min(LONGEST))
}

impl Drop for Flying {
    fn drop(&mut self) {
        if self.has_landed {
            return;
        }
        self.put(Landing::Failed(if std::thread::panicking() {
            Error::new(Kind::Panic, "a panic was caught while the value was loaded")
        } else {
            Error::new(Kind::Shutdown, "the context was shut down before the value was loaded")
        }));
    }
}
