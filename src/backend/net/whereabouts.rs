//! Servers that move: whoever connects asks where they are now, and a connection that falls silent has that asked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::connect::{self, Resolver};
use super::fault::{late, reason};
use super::wire::Wire;
use crate::config::{Address, Resting};
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;
use crate::sys;
use crate::timeout::{Budget, Deadline};

/// A connection that owes a reply for so long has it asked whether it still leads to the right place.
pub(super) const SILENCE: Duration = Duration::from_millis(250);
/// That is asked so often at most.
const BETWEEN: Duration = Duration::from_millis(200);
/// How long such a question may take.
const QUESTION: Budget = Budget::new(Duration::from_secs(2));
const LOOKING: &str = "asking where the server is now";

/// Finds a server that moves. Waits: it is called on threads that may.
pub(crate) trait Finder: Send + Sync {
    /// Where the server is now: the places to try, in order, one at least.
    fn find(&self, deadline: &Deadline) -> std::result::Result<Vec<Spot>, Unfound>;

    /// What was found last turned out to be wrong: whoever said so is to be asked after the others.
    fn distrust(&self);
}

/// Where a server is now.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    /// The address: no service.
    pub(crate) address: Address,
    /// The server for messages: no credentials.
    pub(crate) shown: Arc<str>,
}

/// Why there is no such place.
#[derive(Clone, Debug)]
pub(crate) enum Unfound {
    /// There will be one, perhaps in a moment.
    NotNow(Error),
    /// Nobody can say, or there is no such server.
    NotAtAll(Error),
}

/// What is known of a server that moves, for all who use it.
pub(super) struct Whereabouts {
    finder: Arc<dyn Finder>,
    known: Mutex<Known>,
    /// Changes with the places that are known.
    epoch: AtomicU64,
    /// Whether waiting may help, by what was found last.
    may_wait: AtomicBool,
    told: Notify,
}

#[derive(Default)]
struct Known {
    /// Where connections may lead.
    places: Vec<Address>,
    /// In which process a thread is looking, and when the last one began to.
    looking: Option<u32>,
    looked: Option<Instant>,
    /// How often a thread has looked, and what the last one found.
    finished: u64,
    found: Option<Result<Vec<Spot>>>,
}

impl Whereabouts {
    pub(super) fn new(finder: Arc<dyn Finder>) -> Self {
        Self {
            finder,
            known: Mutex::default(),
            epoch: AtomicU64::new(0),
            may_wait: AtomicBool::new(true),
            told: Notify::new(),
        }
    }

    /// The places to try, asked for on this thread.
    fn find(&self, deadline: &Deadline) -> Result<Vec<Spot>> {
        let found = match self.finder.find(deadline) {
            Ok(spots) => {
                self.note(&spots);
                self.may_wait.store(true, Ordering::Relaxed);
                return Ok(spots);
            }
            Err(unfound) => unfound,
        };
        self.may_wait.store(matches!(found, Unfound::NotNow(_)), Ordering::Relaxed);
        match found {
            Unfound::NotNow(error) | Unfound::NotAtAll(error) => Err(error),
        }
    }

    fn note(&self, spots: &[Spot]) {
        let mut known = self.known.lock();
        let same = known.places.len() == spots.len() && spots.iter().all(|spot| known.places.contains(&spot.address));
        if !same {
            known.places = spots.iter().map(|spot| spot.address.clone()).collect();
            self.epoch.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether a call that could not be made is worth another try in a moment.
    pub(super) fn is_worth_waiting(&self, error: &Error) -> bool {
        error.was_turned_away() || (error.is_retriable() && self.may_wait.load(Ordering::Relaxed))
    }

    /// The same for a task: a helper thread asks, one at a time for all.
    pub(super) async fn find_later(self: &Arc<Self>, deadline: &Deadline) -> Result<Vec<Spot>> {
        let before = self.begin(*deadline)?;
        loop {
            let told = self.told.notified(); // from here on nothing is missed
            if let Some(found) = self.found_after(before) {
                return found;
            }
            let late = |_| late(LOOKING, deadline);
            tokio::time::timeout_at(deadline.end().into(), told).await.map_err(late)?;
        }
    }

    fn found_after(&self, before: u64) -> Option<Result<Vec<Spot>>> {
        let known = self.known.lock();
        if known.finished == before { None } else { known.found.clone() }
    }

    /// Has a helper thread look, unless one does; how many had finished before.
    fn begin(self: &Arc<Self>, deadline: Deadline) -> Result<u64> {
        let mut known = self.known.lock();
        // one that the parent process had is not here
        if known.looking != Some(sys::generation()) {
            let whereabouts = self.clone();
            sys::start_thread("larder-find", move || whereabouts.look(&deadline)).map_err(|error| {
                Error::new(Kind::Connection, format!("cannot ask where the server is: {}", reason(&error)))
            })?;
            known.looking = Some(sys::generation());
            known.looked = Some(Instant::now());
        }
        Ok(known.finished)
    }

    fn look(&self, deadline: &Deadline) {
        let found = self.find(deadline);
        let mut known = self.known.lock();
        known.looking = None;
        known.finished += 1;
        known.found = Some(found);
        drop(known);
        self.told.notify_waiters();
    }

    /// The server has said nothing for a while: asks whether it is somewhere else now. Does not wait; connections see it
    /// by [`Followed::is_current`].
    fn ask_again(self: &Arc<Self>) {
        let due = self.known.lock().looked.is_none_or(|last| last.elapsed() >= BETWEEN);
        if due {
            let _ = self.begin(QUESTION.start()); // without a thread the next one asks
        }
    }

    /// Nobody is where the server should be: whoever said so is asked after the others.
    pub(super) fn distrust(&self) {
        self.finder.distrust();
    }

    /// A server turned a request away, or is not what it should be: its connections are given up.
    fn wrong(&self, address: &Address) {
        self.finder.distrust();
        self.known.lock().places.retain(|place| place != address);
        self.epoch.fetch_add(1, Ordering::Release);
    }
}

/// Where a connection to a server that moves leads.
pub(super) struct Followed {
    whereabouts: Arc<Whereabouts>,
    spot: Spot,
    /// When it was last known that it leads to the right place.
    epoch: AtomicU64,
}

impl Followed {
    pub(super) fn new(whereabouts: &Arc<Whereabouts>, spot: &Spot, epoch: u64) -> Self {
        Self { whereabouts: whereabouts.clone(), spot: spot.clone(), epoch: AtomicU64::new(epoch) }
    }

    /// The server, as it is shown.
    pub(super) fn shown(&self) -> &Arc<str> {
        &self.spot.shown
    }

    /// Whether the connection still leads where it should, as far as is known. Quick where nothing has changed.
    pub(super) fn is_current(&self) -> bool {
        let epoch = self.whereabouts.epoch.load(Ordering::Acquire);
        if epoch == self.epoch.load(Ordering::Relaxed) {
            return true;
        }
        let current = self.whereabouts.known.lock().places.contains(&self.spot.address);
        if current {
            self.epoch.store(epoch, Ordering::Relaxed);
        }
        current
    }

    /// Has it asked whether the server is somewhere else, since nothing is heard of it.
    pub(super) fn doubt(&self) {
        self.whereabouts.ask_again();
    }

    /// Gives up all connections to this server.
    pub(super) fn wrong(&self) {
        self.whereabouts.wrong(&self.spot.address);
    }
}

/// What is said of a connection to a server that is somewhere else now.
pub(super) fn moved() -> Error {
    Error::new(Kind::Connection, "the connection was given up: another server has taken this one's place")
}

/// The time for a place, where so many are left after it: something has to be left to find the server elsewhere.
pub(super) fn share(left: Duration, others: u32) -> Duration {
    left / others.saturating_add(2)
}

/// Asks where the server is, and connects on this thread.
pub(super) fn connect(
    whereabouts: &Arc<Whereabouts>,
    resting: &Resting,
    resolver: &Resolver,
    deadline: &Deadline,
) -> Result<(Wire, Followed)> {
    let epoch = whereabouts.epoch(); // what changes from here on is looked at
    let spots = whereabouts.find(deadline)?;
    let mut failure = late("connecting", deadline);
    let mut others = u32::try_from(spots.len()).unwrap_or(u32::MAX);
    for spot in &spots {
        others = others.saturating_sub(1);
        let Some(left) = deadline.left() else { break };
        match connect::connect(&spot.address, resting, resolver, &deadline.at_most(share(left, others))) {
            Ok(wire) => return Ok((wire, Followed::new(whereabouts, spot, epoch))),
            Err(error) => failure = error.at_server(&spot.shown),
        }
    }
    whereabouts.distrust();
    Err(failure)
}

impl Whereabouts {
    /// Changes with the places that are known.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }
}
