//! Loads that a program has been asked for and has not answered yet, by their ids.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind};
use crate::lock::Mutex;
use crate::pyot::ask::Loaded;
use crate::pyot::load::Load;
use crate::sys::{GENERATIONS, PerGeneration};

/// The loads of one context. Its shutdown ends them.
#[derive(Default)]
pub(crate) struct Loads {
    closed: AtomicBool,
}

struct Waiting {
    load: Load,
    of: Arc<Loads>,
    /// After that nobody can want it any more, and it is forgotten.
    end: Instant,
}

struct Table {
    waiting: BTreeMap<u64, Waiting>,
    /// When those were last looked for that are over.
    swept: Option<Instant>,
}

/// One table for the process: larder_load_done has nothing but an id. A child's is empty.
static TABLE: PerGeneration<Mutex<Table>> =
    PerGeneration::new([const { Mutex::new(Table { waiting: BTreeMap::new(), swept: None }) }; GENERATIONS]);

/// Ids are never used again.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// How long a load is kept beyond its time, so that an answer which is a little late is taken for what it is.
const SPARE: Duration = Duration::from_secs(5);
/// How often those are looked for that are over.
const SWEEP: Duration = Duration::from_secs(1);

impl Loads {
    /// Keeps a load until it is answered; its id. `None` when the context is shut down: then it has failed.
    pub fn keep(self: &Arc<Self>, load: Load) -> Option<u64> {
        let (id, now) = (NEXT.fetch_add(1, Ordering::Relaxed), Instant::now());
        let end = now + load.left().min(Duration::from_hours(365 * 24)) + SPARE;
        let mut table = TABLE.get().lock();
        if self.closed.load(Ordering::SeqCst) {
            drop(table);
            load.done(Loaded::Failed(shut_down()));
            return None;
        }
        table.waiting.insert(id, Waiting { load, of: self.clone(), end });
        let over = table.sweep(now);
        drop(table);
        drop(over); // answers, which must not happen under the lock
        Some(id)
    }

    /// Fails all that is under way, and whatever comes later.
    pub fn close(&self) {
        let mut table = TABLE.get().lock();
        self.closed.store(true, Ordering::SeqCst);
        let ours = |waiting: &Waiting| std::ptr::eq(Arc::as_ptr(&waiting.of), self);
        let ids: Vec<u64> = table.waiting.iter().filter(|(_, waiting)| ours(waiting)).map(|(id, _)| *id).collect();
        let left: Vec<Waiting> = ids.iter().filter_map(|id| table.waiting.remove(id)).collect();
        drop(table);
        for waiting in left {
            waiting.load.done(Loaded::Failed(shut_down()));
        }
    }
}

impl Table {
    fn sweep(&mut self, now: Instant) -> Vec<Waiting> {
        if self.swept.is_some_and(|swept| now < swept + SWEEP) {
            return Vec::new();
        }
        self.swept = Some(now);
        let over: Vec<u64> = self.waiting.iter().filter(|(_, one)| one.end < now).map(|(id, _)| *id).collect();
        over.iter().filter_map(|id| self.waiting.remove(id)).collect()
    }
}

/// Answers a load; `false` when there is none with this id (any more).
pub(super) fn answer(id: u64, loaded: impl FnOnce() -> Loaded) -> bool {
    let found = TABLE.get().lock().waiting.remove(&id);
    match found {
        Some(waiting) => {
            waiting.load.done(loaded());
            true
        }
        None => false,
    }
}

/// Whether a load waits for its answer.
pub(super) fn is_waiting(id: u64) -> bool {
    TABLE.get().lock().waiting.contains_key(&id)
}

fn shut_down() -> Error {
    Error::new(Kind::Shutdown, "the context is shut down; nobody waits for the load any more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    fn load(limit: Duration) -> (Load, Receiver<Option<Kind>>) {
        let (sender, receiver) = channel();
        let answer = move |loaded| {
            let kind = if let Loaded::Failed(error) = loaded { Some(error.kind()) } else { None };
            let _ = sender.send(kind);
        };
        (Load::new("token".into(), limit, 1, Box::new(answer)), receiver)
    }

    #[test]
    fn a_load_is_answered_once() {
        let (loads, (load, answered)) = (Arc::new(Loads::default()), load(Duration::from_secs(9)));
        let id = loads.keep(load).unwrap();
        assert!(is_waiting(id));
        assert!(answer(id, || Loaded::NotFound));
        assert!(!answer(id, || unreachable!()));
        assert_eq!(answered.recv(), Ok(None));
        assert!(answered.recv().is_err(), "and only once");
    }

    #[test]
    fn a_shutdown_ends_its_own_loads_and_later_ones() {
        let (loads, others) = (Arc::new(Loads::default()), Arc::new(Loads::default()));
        let ((mine, answered), (theirs, unanswered)) = (load(Duration::from_secs(9)), load(Duration::from_secs(9)));
        let (mine, theirs) = (loads.keep(mine).unwrap(), others.keep(theirs).unwrap());
        loads.close();
        assert_eq!(answered.recv(), Ok(Some(Kind::Shutdown)));
        assert!(!is_waiting(mine) && is_waiting(theirs));
        let (late, answered) = load(Duration::from_secs(9));
        assert_eq!(loads.keep(late), None);
        assert_eq!(answered.recv(), Ok(Some(Kind::Shutdown)));
        others.close();
        assert_eq!(unanswered.recv(), Ok(Some(Kind::Shutdown)));
    }

    #[test]
    fn what_nobody_answers_is_forgotten() {
        let mut table = Table { waiting: BTreeMap::new(), swept: None };
        let now = Instant::now();
        let (lost, answered) = load(Duration::ZERO);
        table.waiting.insert(7, Waiting { load: lost, of: Arc::default(), end: now });
        assert!(table.sweep(now).is_empty(), "not yet");
        assert!(table.sweep(now + SWEEP / 2).is_empty(), "not so soon again");
        assert_eq!(table.sweep(now + SWEEP * 2).len(), 1);
        assert_eq!(answered.recv(), Ok(Some(Kind::Panic)));
    }
}
