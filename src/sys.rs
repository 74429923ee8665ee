//! What is asked of the operating system: fork generation, what a forked child closes, signal masks, the wall clock.
//! With `capi` the only place for `unsafe`.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

mod bell;
mod forks;
mod process;

pub use self::bell::Bell;
pub use self::forks::{Forking, around_forks};
pub use self::process::PerProcess;

static GENERATION: AtomicU32 = AtomicU32::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    close_inherited();
}

/// Makes [`generation`] change in forked children from now on.
pub fn watch_forks() {
    // not a Once: a child that was forked inside of it would wait for ever
    if !WATCHED.swap(true, Ordering::AcqRel) {
        // SAFETY: the handlers keep to what a fork allows; `-z nodelete` keeps them mapped.
        unsafe { libc::pthread_atfork(Some(forks::before), Some(forks::after), Some(in_child)) };
    }
}

/// A number that differs between a process and its forked children.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Descriptors to close in a forked child: they are shared with the parent, and it should be the only one to hold them.
/// Chunks, each twice as large as the one before, so that the child's handler finds them without a lock.
static INHERITED: [AtomicPtr<AtomicI32>; 16] = [const { AtomicPtr::new(std::ptr::null_mut()) }; 16];

const FIRST_DESCRIPTORS: usize = 64;
const NO_DESCRIPTOR: i32 = -1;

/// While this lives, a forked child closes the descriptor. It must be dropped before the descriptor is closed, so that
/// a number that means something else meanwhile is left alone.
#[derive(Debug)]
pub struct CloseInChild {
    place: Option<&'static AtomicI32>,
    generation: u32,
}

impl CloseInChild {
    /// For a descriptor that is open.
    pub fn new(descriptor: BorrowedFd<'_>) -> Self {
        let number = descriptor.as_raw_fd();
        let place = (0..INHERITED.len()).find_map(|chunk| {
            inherited(chunk).iter().find(|place| {
                place.compare_exchange(NO_DESCRIPTOR, number, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            })
        });
        Self { place, generation: generation() } // beyond a million descriptors a child keeps some open
    }
}

impl Drop for CloseInChild {
    fn drop(&mut self) {
        if let Some(place) = self.place.filter(|_| self.generation == generation()) {
            place.store(NO_DESCRIPTOR, Ordering::Release);
        }
    }
}

/// A chunk of places, made when first needed and kept.
fn inherited(chunk: usize) -> &'static [AtomicI32] {
    let Some(home) = INHERITED.get(chunk) else { return &[] };
    let len = FIRST_DESCRIPTORS << chunk;
    let mut places = home.load(Ordering::Acquire);
    if places.is_null() {
        let fresh: Box<[AtomicI32]> = (0..len).map(|_| AtomicI32::new(NO_DESCRIPTOR)).collect();
        let fresh = Box::into_raw(fresh).cast::<AtomicI32>();
        places = match home.compare_exchange(std::ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => fresh,
            Err(other) => {
                // SAFETY: nobody else has seen these; they were a box of that many a moment ago.
                drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(fresh, len)) });
                other
            }
        };
    }
    // SAFETY: a chunk that is set has `len` places and is never freed.
    unsafe { std::slice::from_raw_parts(places, len) }
}

/// Closes what the parent had open. Runs in the child's only thread, where only what a signal handler may do is allowed:
/// no locks, no memory.
fn close_inherited() {
    for (chunk, home) in INHERITED.iter().enumerate() {
        let places = home.load(Ordering::Acquire);
        if places.is_null() {
            break;
        }
        // SAFETY: a chunk that is set has that many places and is never freed.
        let places = unsafe { std::slice::from_raw_parts(places, FIRST_DESCRIPTORS << chunk) };
        for place in places {
            let number = place.swap(NO_DESCRIPTOR, Ordering::AcqRel);
            if number != NO_DESCRIPTOR {
                // SAFETY: the child's copy of a descriptor that only larder's own objects know, which leak here.
                unsafe { libc::close(number) };
            }
        }
    }
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
        } else {
            // SAFETY: taken once, here, and not used afterwards.
            let value = unsafe { ManuallyDrop::take(&mut self.value) };
            process::keep(Box::into_raw(Box::new(value)).cast());
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

/// Random bytes of the operating system's, fresh ones at each use: nothing that a forked child would share.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

/// Seconds since 1970, as Python's `time.time()`.
pub fn wall_clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
