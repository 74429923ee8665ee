//! What stands behind a context's handle: the configuration, which never changes, and for each process the context that
//! is made from it. A forked child makes its own when it first needs one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::call_out::is_inside;
use super::callback::deliver;
use super::event::Pending;
use super::guard::be_silent;
use super::loads::Loads;
use super::log::{HostLog, LogTarget};
use crate::config::{self, Config};
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;
use crate::log::{Level, Log};
use crate::pyot::flight::Flights;
use crate::runtime::{CallbackThread, Queue, Runtime, next_operation};
use crate::store::{Plugins, Sources, Surroundings};
use crate::sys::{self, GENERATIONS, PerGeneration, PerProcess};

/// Operations that a context accepts for callbacks before it refuses more with LARDER_EBUSY.
const CALLBACK_CAPACITY: usize = 65_536;

/// The share of a shutdown's time in which operations may end by themselves.
const GRACE: (u32, u32) = (3, 4);

/// A configuration, and this process's context.
pub(crate) struct Home {
    pub config: Arc<Config>,
    plugins: Arc<Plugins>,
    log: LogTarget,
    context: PerProcess<Arc<Context>>,
}

impl Home {
    /// Reads a configuration.
    pub fn open(text: &[u8], log: LogTarget) -> Result<Self> {
        be_silent();
        sys::watch_forks();
        let plugins = super::plugin::registered();
        let config = Arc::new(config::read_with(text, &|name| std::env::var(name).ok(), &plugins.registered())?);
        let plugins = Arc::new(plugins.named_in(&config));
        let context = Context::new(config.clone(), plugins.clone(), log);
        for warning in &config.warnings {
            context.log.record(Level::Warning, &format_args!("{warning}"));
        }
        Ok(Self { config, plugins, log, context: PerProcess::new(Arc::new(context)) })
    }

    /// This process's context; a forked child gets one of its own, unless its parent had shut it down.
    pub fn context(&self) -> Result<&Arc<Context>> {
        self.context.get_or_make(|inherited| {
            if inherited.is_shut_down() {
                return Err(Error::new(Kind::Shutdown, "the context is shut down"));
            }
            Ok(Arc::new(Context::new(self.config.clone(), self.plugins.clone(), self.log)))
        })
    }
}

/// The runtime of a configuration's stores in one process.
pub(crate) struct Context {
    pub config: Arc<Config>,
    pub around: Surroundings,
    pub queue: Arc<Queue<Pending>>,
    pub callbacks: CallbackThread<Pending>,
    pub log: Arc<HostLog>,
    /// What the program was asked to load.
    pub loads: Arc<Loads>,
    /// The loads under way of each pipeline and alias, so that several handles share them.
    flights: Mutex<FlightsOf>,
    /// Who has something to tell `larder_prometheus`.
    pub sources: Sources,
    /// The completion queues that hosts opened.
    queues: Mutex<Vec<Weak<Queue<Pending>>>>,
    runtime: Arc<Runtime>,
    /// Operations with lower ids were begun before this context, perhaps by the parent process.
    first_operation: u64,
    shut_down: AtomicBool,
    /// A thread is shutting down.
    shutting: AtomicBool,
    /// Counts this context among those that keep the in-memory data alive, until it is shut down.
    keeps_data: AtomicBool,
}

/// The loads under way, by what they are for.
type FlightsOf = BTreeMap<(Of, Arc<str>), Arc<Flights>>;

/// What shares loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Of {
    /// The handles of a pipeline.
    Pipeline,
    /// The stores of an alias.
    Alias,
}

/// Contexts that are not shut down. The last one to go takes the in-memory data with it, open stores or not.
static KEEPERS: PerGeneration<Mutex<usize>> = PerGeneration::new([const { Mutex::new(0) }; GENERATIONS]);

impl Context {
    fn new(config: Arc<Config>, plugins: Arc<Plugins>, log: LogTarget) -> Self {
        let (runtime, queue, log) =
            (Runtime::new(), Queue::telling(CALLBACK_CAPACITY, Pending::answered), Arc::new(HostLog::new(log)));
        let around = Surroundings {
            #[cfg(feature = "memory")]
            tables: crate::backend::memory::Tables::shared(),
            plugins,
            spawner: runtime.clone(),
            log: log.clone(),
        };
        *KEEPERS.get().lock() += 1;
        Self {
            config,
            around,
            callbacks: CallbackThread::new(queue.clone(), deliver),
            queue,
            log,
            loads: Arc::default(),
            flights: Mutex::default(),
            sources: Sources::default(),
            queues: Mutex::default(),
            runtime,
            first_operation: next_operation(),
            shut_down: AtomicBool::new(false),
            shutting: AtomicBool::new(false),
            keeps_data: AtomicBool::new(true),
        }
    }

    /// Whether shutting down has begun; its stores answer LARDER_ESHUTDOWN then.
    #[inline]
    pub fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::Relaxed)
    }

    /// Makes a completion queue for at most `capacity` operations.
    pub fn open_queue(&self, capacity: usize) -> Result<Arc<Queue<Pending>>> {
        let queue = Queue::telling(capacity, Pending::answered);
        let mut queues = self.queues.lock();
        if self.is_shut_down() {
            return Err(Error::new(Kind::Shutdown, "the context is shut down"));
        }
        queues.retain(|known| known.strong_count() > 0);
        queues.push(Arc::downgrade(&queue));
        Ok(queue)
    }

    /// Answers an operation with "cancelled", unless it has been answered; whether it did.
    pub fn cancel(&self, operation: u64) -> Result<bool> {
        if operation < self.first_operation && sys::generation() > 0 {
            return Err(super::store::forked());
        }
        Ok(self.queue.cancel(operation) || self.open_queues().iter().any(|queue| queue.cancel(operation)))
    }

    /// The loads under way of a pipeline or an alias.
    pub fn flights(&self, of: Of, name: &Arc<str>) -> Arc<Flights> {
        self.flights.lock().entry((of, name.clone())).or_default().clone()
    }

    fn open_queues(&self) -> Vec<Arc<Queue<Pending>>> {
        self.queues.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Lets go of the in-memory data; the last context to do so frees it.
    fn let_go_of_data(&self) {
        if !self.keeps_data.swap(false, Ordering::SeqCst) {
            return;
        }
        let is_last = {
            let mut keepers = KEEPERS.get().lock();
            *keepers -= 1;
            *keepers == 0
        };
        #[cfg(feature = "memory")]
        if is_last {
            self.around.tables.clear();
        }
        #[cfg(not(feature = "memory"))]
        let _ = is_last;
    }

    /// Ends all that runs. See `larder_shutdown`.
    pub fn shut_down(&self, limit: Duration) -> Result<()> {
        let refuse = |kind, reason: &str| Err(Error::new(kind, reason).during("shutdown"));
        if self.callbacks.is_current() || HostLog::is_inside() || is_inside() {
            return refuse(
                Kind::Deadlock,
                "a callback cannot wait for callbacks to end, nor can a plug-in or a loader; shut down from elsewhere",
            );
        }
        if self.shutting.swap(true, Ordering::SeqCst) {
            return refuse(Kind::Busy, "another thread is shutting the context down");
        }
        let ended = self.end_all(limit);
        self.shutting.store(false, Ordering::SeqCst);
        if ended {
            self.let_go_of_data();
            return Ok(());
        }
        refuse(Kind::Timeout, "something was still running at the end of the time; no new callback starts")
    }

    fn end_all(&self, limit: Duration) -> bool {
        let now = Instant::now();
        let end = now.checked_add(limit).unwrap_or_else(|| now + Duration::from_hours(365 * 24));
        let grace = now + (end - now) * GRACE.0 / GRACE.1;
        self.shut_down.store(true, Ordering::SeqCst);
        let queues = self.open_queues();
        self.queue.close_entrance();
        for queue in &queues {
            queue.close_entrance();
        }
        self.queue.drain(grace);
        for queue in &queues {
            queue.wait_for_answers(grace);
        }
        self.loads.close(); // so that nobody waits for a loader any more
        // what has not ended by itself is dropped, which answers it
        let stopped = self.runtime.stop(end);
        let drained = self.queue.drain(end);
        let answered = queues.iter().all(|queue| queue.wait_for_answers(end));
        self.queue.close();
        let joined = self.callbacks.join(end);
        let silent = self.log.close(end);
        stopped && drained && answered && joined && silent
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.let_go_of_data();
    }
}
