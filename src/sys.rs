//! What is asked of the operating system: fork generation, signal masks, the wall clock. With `capi` the only place
//! for `unsafe`.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

static GENERATION: AtomicU32 = AtomicU32::new(0);
static WATCH: Once = Once::new();

extern "C" fn bump() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Makes [`generation`] change in forked children from now on.
pub fn watch_forks() {
    // SAFETY: the handler only adds to an atomic, which is safe in a forked child; `-z nodelete` keeps it mapped.
    WATCH.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(bump));
    });
}

/// A number that differs between a process and its forked children.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// One of `T` for each generation of the process: what a thread of the parent had locked during a fork stays locked in
/// the child for ever, so a child has its own. They are used again only by a descendant [`GENERATIONS`] forks away.
pub struct PerGeneration<T>([T; GENERATIONS]);

/// How many generations have something of their own.
pub const GENERATIONS: usize = 64;

impl<T> PerGeneration<T> {
    /// Of what each generation starts with.
    pub const fn new(all: [T; GENERATIONS]) -> Self {
        Self(all)
    }

    /// This generation's.
    pub fn get(&self) -> &T {
        let [first, ..] = generation().to_le_bytes();
        let [zero, ..] = &self.0;
        self.0.get(usize::from(first) % GENERATIONS).unwrap_or(zero)
    }
}

/// Something that only the process that made it may use or drop: threads, sockets and event descriptors behind it are
/// its own. A forked child leaks it, so that the parent notices nothing.
pub struct Ours<T> {
    value: ManuallyDrop<T>,
    generation: u32,
}

impl<T> Ours<T> {
    /// Marks `value` as this process's.
    pub fn new(value: T) -> Self {
        Self { value: ManuallyDrop::new(value), generation: generation() }
    }

    /// The value, unless this is a forked child.
    pub fn get(&self) -> Option<&T> {
        (self.generation == generation()).then_some(&*self.value)
    }
}

impl<T> Drop for Ours<T> {
    fn drop(&mut self) {
        if self.generation == generation() {
            // SAFETY: dropped once, here, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

/// Runs `make`, with every signal blocked in this thread: threads that it starts inherit that, so that a host's signal
/// handlers never run on them.
pub fn with_signals_blocked<T>(make: impl FnOnce() -> T) -> T {
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the set was filled by pthread_sigmask below.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
        }
    }
    // SAFETY: both sets are plain data that the calls fill before they are read.
    let restore = unsafe {
        let mut all = std::mem::zeroed();
        let mut old = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old);
        Restore(old)
    };
    let result = make();
    drop(restore);
    result
}

/// Starts a thread of larder's with all signals blocked; `name` has at most 15 characters.
pub fn start_thread(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<std::thread::JoinHandle<()>> {
    with_signals_blocked(|| std::thread::Builder::new().name(name.into()).spawn(body))
}

/// Seconds since 1970, as Python's `time.time()`.
pub fn wall_clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
