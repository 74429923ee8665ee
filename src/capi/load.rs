//! Loaders: what a program loads where no store has it.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::argument::{
    self, LARDER_CALL_LOAD_EVENT, LARDER_CALL_NO_LOAD, LARDER_TTL_DEFAULT, invalid, sized, sized_inside, ttl,
};
use super::call_out::{inside, kind_of, pointer};
use super::error::larder_error;
use super::event::{LoadNote, Pending};
use super::guard::guard;
use super::loads::{self, Loads};
use super::sink::one_line;
use super::status::{LARDER_MISS, LARDER_OK, larder_status, name};
use super::token::{self, larder_token};
use crate::error::{Error, Kind, Result};
use crate::pyot::ask::{Ask, Loaded, OwnedInput};
use crate::pyot::load::{Load, Loader};
use crate::pyot::pipeline::Rules;
use crate::runtime::Queue;
use crate::sys;
use crate::timeout::Budget;

/// `level` of an answer: no store had the value, it was loaded.
pub const LARDER_LEVEL_LOADED: i32 = -1;
/// `level` of an answer: there is no value.
pub const LARDER_LEVEL_NONE: i32 = -2;
/// `level` of one of several values: a store had it, but it is over, and is being loaded anew (GRACE_MS). A get of one
/// value answers LARDER_STALE instead, and tells the store.
pub const LARDER_LEVEL_STALE: i32 = -3;

/// What a loader is asked for. It lives during the call only, but for the number.
#[repr(C)]
pub struct larder_load_request {
    /// `sizeof(larder_load_request)` of the library; the struct only grows at its end.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The load, for larder_load_done. Never used again.
    pub load: u64,
    /// The token, or the key of larder_get_or_load, in UTF-8 and NUL-terminated.
    pub token: *const c_char,
    /// Its length in bytes.
    pub token_len: usize,
    /// The pipeline, or the alias of larder_get_or_load, as in the configuration, NUL-terminated.
    pub name: *const c_char,
    /// The time in ms that is left for it. Nobody waits any longer.
    pub timeout_ms: i64,
    /// The token itself, for larder_token_server, larder_token_param and the like; retain it to keep it longer. NULL where
    /// larder was given a text.
    pub made: *const larder_token,
}

/// A program's own source, the last one of a pipeline (Pyot's "service"): called when no store has a token.
///
/// It answers by larder_load_done, exactly once, before it returns or later, from any thread. Or it says it itself:
/// LARDER_OK is "answered, or will be", LARDER_MISS "there is no such thing", which is final, a negative status "failed"
/// (which one of larder's statuses tells callers why). Where it has answered both ways, the first counts. A load that is
/// never answered frees its waiters when its time is over.
///
/// A synchronous call runs it on the caller's own thread; operations by callback and queue run it on a thread of larder's
/// that may wait, never on the callback thread. All who want the same token at the same time share one load, so it runs once
/// for them; for different tokens it can run on several threads at once. It may use larder, but not shut the context down,
/// and not wait for what it is loading itself (LARDER_EDEADLOCK). It must return: longjmp and exceptions through it are
/// undefined. It may outlast the call that it is for, when that is cancelled or its time is over.
///
/// A pipeline's own loader may begin after that call, too. That of a synchronous call never does: what grace or early have
/// loaded anew is loaded within the call, which then has the new value. One of an operation by callback or queue may begin
/// later, with grace and early, and where the operation was cancelled or its time is over. With these give user data that
/// lives until larder_shutdown has answered LARDER_OK, or use a pipeline's loader, whose user data is released when nothing
/// needs it any more.
pub type larder_load_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, request: *const larder_load_request) -> larder_status>;

/// Frees the user data of a loader: called once, on any thread, when the pipeline is closed and nothing of it runs any more.
pub type larder_release_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// How larder_get_or_load loads. Start from `LARDER_LOAD_OPTIONS_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_load_options {
    /// `sizeof(larder_load_options)`; the struct only grows at its end.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// What a load may take in ms, however short the call's own time is; 0: 30 s.
    pub timeout_ms: i64,
    /// More than 0: processes load one after the other. Whoever loads holds redis-py's lock on the key `lock:<key>` for so
    /// many ms at the most: Python keeps larder out by `cache.lock("lock:" + key)` of django-redis. Only on backends with
    /// locks.
    pub lock_ms: i64,
    /// More than 0: a value is kept so many ms longer, and handed out (LARDER_STALE) while one caller loads it anew.
    pub grace_ms: i64,
    /// More than 0: values are loaded anew before they expire, with a chance that grows towards the end; 1 is usual, more is
    /// earlier.
    pub early: f64,
    /// 0 to 0.5: times to live are lengthened or shortened at random, by this part at most, so that what was stored together
    /// does not expire together.
    pub jitter: f64,
}

/// The size of `larder_load_options` in larder 0.1.
const FIRST_SIZE: usize = 48;

impl larder_load_options {
    /// A host's options.
    ///
    /// # Safety
    /// `options` is NULL or has the size that it tells.
    pub(super) unsafe fn read(options: *const Self) -> Result<Option<Self>> {
        // SAFETY: by this function's own contract; all zero are valid options.
        unsafe { sized(options, FIRST_SIZE, "load options") }
    }

    /// Those that stand in a buffer of requests; 0: none.
    pub(super) fn inside(buffer: &[u8], at: u64) -> Result<Option<Self>> {
        let at = usize::try_from(at).map_err(|_| invalid("the load options are not inside the buffer"))?;
        // SAFETY: all zero are valid options.
        (at > 0).then(|| unsafe { sized_inside(buffer, at, FIRST_SIZE, "load options") }).transpose()
    }

    /// What the options ask for.
    pub(super) fn rules(&self) -> Result<Rules> {
        let ms = |ms: i64, what: &str| {
            let whole = u64::try_from(ms);
            whole.map(Duration::from_millis).map_err(|_| invalid(format!("{what} of the load options is negative")))
        };
        let usual = Rules::default();
        let timeout = ms(self.timeout_ms, "timeout_ms")?;
        let lock = ms(self.lock_ms, "lock_ms")?;
        if !self.early.is_finite() || self.early < 0.0 {
            return Err(invalid("early of the load options is no number from 0 on"));
        }
        if !(0.0..=0.5).contains(&self.jitter) {
            return Err(invalid("jitter of the load options is not within 0 and 0.5"));
        }
        Ok(Rules {
            timeout: if timeout.is_zero() { usual.timeout } else { timeout },
            lock: Some(lock).filter(|lock| !lock.is_zero()),
            grace: ms(self.grace_ms, "grace_ms")?,
            early: self.early,
            jitter: self.jitter,
        })
    }
}

/// A program's function and its data.
pub(super) struct Host {
    load: unsafe extern "C" fn(*mut c_void, *const larder_load_request) -> larder_status,
    user_data: *mut c_void,
    release: larder_release_fn,
    /// Whether the data is ours to release.
    owned: AtomicBool,
    /// The process that the data was given in: a child's copy is not released.
    generation: u32,
}

// SAFETY: the host promises in `larder_load_fn`'s contract that the function may be called on any thread, with its data.
unsafe impl Send for Host {}
// SAFETY: as above, and on several threads at once.
unsafe impl Sync for Host {}

impl Host {
    /// A function with its data; `None` for none.
    pub fn new(load: larder_load_fn, user_data: *mut c_void, release: larder_release_fn) -> Option<Self> {
        let (owned, generation) = (AtomicBool::new(false), sys::generation());
        load.map(|load| Self { load, user_data, release, owned, generation })
    }

    /// From now on the data goes with this.
    pub fn own(&self) {
        self.owned.store(true, Ordering::Relaxed);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let ours = *self.owned.get_mut() && self.generation == sys::generation();
        if let Some(release) = self.release.filter(|_| ours) {
            // SAFETY: the function and its data are the host's, and nobody else has them any more.
            inside(|| unsafe { release(self.user_data) });
        }
    }
}

/// A loader that is a function of the program's.
pub(super) struct HostLoader {
    host: Arc<Host>,
    /// NUL-terminated.
    name: Box<[u8]>,
    loads: Arc<Loads>,
}

impl HostLoader {
    /// What `name` loads by a function.
    pub fn shared(host: Arc<Host>, name: &str, loads: Arc<Loads>) -> Arc<dyn Loader> {
        Arc::new(Self { host, name: terminated(name), loads })
    }
}

impl Loader for HostLoader {
    fn load(&self, load: Load) {
        let (token, left, made) = (load.token().clone(), load.left(), load.made().cloned());
        let Some(id) = self.loads.keep(load) else { return };
        let text = terminated(&token);
        let request = larder_load_request {
            struct_size: u32::try_from(size_of::<larder_load_request>()).unwrap_or_default(),
            reserved: 0,
            load: id,
            token: pointer(&text),
            token_len: token.len(),
            name: pointer(&self.name),
            timeout_ms: millis(left),
            made: made.map_or(std::ptr::null(), |made| larder_token::into_raw(made).cast_const()),
        };
        // SAFETY: the function and its data are the host's; the request lives until it returns.
        let status = inside(|| unsafe { (self.host.load)(self.host.user_data, &raw const request) });
        // SAFETY: NULL, or the share that was made above.
        unsafe { token::larder_token_release(request.made.cast_mut()) };
        match status {
            LARDER_OK => {} // answered, or it will be
            LARDER_MISS => drop(loads::answer(id, || Loaded::NotFound)),
            failed => drop(loads::answer(id, || Loaded::Failed(failure(failed, None)))),
        }
    }
}

/// A loader that is whoever polls a completion queue: the load becomes an event there.
struct QueueLoader {
    queue: Arc<Queue<Pending>>,
    loads: Arc<Loads>,
    tag: u64,
    operation: i32,
}

impl Loader for QueueLoader {
    fn load(&self, load: Load) {
        let (token, left, made) = (load.token().clone(), load.left(), load.made().cloned());
        let Some(id) = self.loads.keep(load) else { return };
        let end = Instant::now() + left.min(LONGEST);
        let note = LoadNote { load: id, token, made, operation: self.operation, end };
        drop(self.queue.note(Pending::load(note, self.tag))); // a note that nobody can take fails its load
    }

    fn blocks(&self) -> bool {
        false
    }
}

/// Where loads come from in one context, and whose they are.
pub(super) struct Sources<'a> {
    /// The context's loads.
    pub loads: &'a Arc<Loads>,
    /// The pipeline's or the alias's name.
    pub name: &'a str,
    /// The completion queue that asks, with the tag and the operation of the request.
    pub queue: Option<(&'a Arc<Queue<Pending>>, u64, i32)>,
}

impl Sources<'_> {
    /// What a call asks for: `LARDER_CALL_NO_LOAD`, `LARDER_CALL_LOAD_EVENT`, a time, a loader of its own.
    pub fn ask(&self, flags: u32, timeout_ms: i64, load: larder_load_fn, user_data: *mut c_void) -> Result<Ask> {
        if flags & !(LARDER_CALL_NO_LOAD | LARDER_CALL_LOAD_EVENT) != 0 {
            return Err(invalid(format!("flags {flags:#x} of the call hold bits that mean nothing to a pipeline")));
        }
        let (budget, _) = argument::wishes(0, timeout_ms)?;
        let by_event = flags & LARDER_CALL_LOAD_EVENT != 0;
        let no_load = flags & LARDER_CALL_NO_LOAD != 0;
        if (by_event && no_load) || (load.is_some() && (by_event || no_load)) {
            return Err(invalid("a loader, LARDER_CALL_LOAD_EVENT and LARDER_CALL_NO_LOAD exclude each other"));
        }
        let loader = match self.queue {
            Some((queue, tag, operation)) if by_event => {
                let (queue, loads) = (queue.clone(), self.loads.clone());
                Some(Arc::new(QueueLoader { queue, loads, tag, operation }) as Arc<dyn Loader>)
            }
            None if by_event => {
                return Err(invalid("LARDER_CALL_LOAD_EVENT is for the requests of a completion queue"));
            }
            _ => Host::new(load, user_data, None)
                .map(|host| HostLoader::shared(Arc::new(host), self.name, self.loads.clone())),
        };
        Ok(Ask { budget: budget.map(Budget::new), loader, no_load, ..Ask::default() })
    }
}

fn terminated(text: &str) -> Box<[u8]> {
    text.bytes().chain([0]).collect()
}

/// As good as for ever, and small enough to be added to any clock.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// A time that is left, as loaders are told it: at least 1, since 0 looks like no limit.
pub(super) fn millis(left: Duration) -> i64 {
    i64::try_from(left.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// The error of a load that failed, in a loader's words.
fn failure(status: larder_status, message: Option<&str>) -> Error {
    let known = name(status).to_str().ok().filter(|name| name.starts_with("LARDER_"));
    let reason = match (message, known) {
        (Some(message), _) => format!("the loader: {message}"),
        (None, _) if status > 0 => format!("the loader answered {status}, which means nothing there"),
        (None, Some(known)) => format!("the loader failed with {known}"),
        (None, None) => format!("the loader failed with {status}"),
    };
    Error::new(kind_of(status).unwrap_or(Kind::Server), reason)
}

/// Answers a load: exactly once, from any thread, during the call of the loader or after it.
///
/// @param load the number in the larder_load_request, or the `number` of a LARDER_EVENT_LOAD
/// @param status LARDER_OK with a value; LARDER_MISS: there is no such thing, which is final; negative: it failed
/// @param value the value's bytes, by `format`; only read during this call; NULL without a value
/// @param value_len their length
/// @param format LARDER_BYTES, LARDER_TEXT, LARDER_JSON, or LARDER_STORED: serialised already, as the first store has it;
///        0 without a value
/// @param ttl_ms LARDER_TTL_DEFAULT: what the pipeline's EXPIRATIONS (for larder_get_or_load its `ttl_ms`) say; otherwise the
///        time to live in ms, or LARDER_TTL_FOREVER, which EXPIRATIONS still bound; 0 or less: the value is handed out
///        and kept nowhere
/// @param message NULL, or why it failed, NUL-terminated UTF-8, for the error that callers get; never with a password, a
///        key or a value in it
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EHANDLE when there is no such load: it was answered, its time is over, the context was shut
///         down; LARDER_EINVAL, LARDER_EMEMORY: it is not answered, and can still be
///
/// Blocks: never. Threads: any, callbacks and loaders included. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_load_done(
    load: u64,
    status: larder_status,
    value: *const c_void,
    value_len: usize,
    format: i32,
    ttl_ms: i64,
    message: *const c_char,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        let gone = || Error::new(Kind::Handle, "there is no such load: it was answered, or its time is over");
        if !loads::is_waiting(load) {
            return Err(gone());
        }
        // SAFETY: the host passes NULL or a NUL-terminated text, and a value of its length.
        let (message, value) = unsafe {
            let message = if message.is_null() { None } else { Some(one_line(argument::name(message, "message")?)?) };
            (message, argument::bytes(value, value_len, "value")?)
        };
        let loaded = match status {
            LARDER_OK => {
                let kept = (ttl_ms != LARDER_TTL_DEFAULT).then(|| ttl(ttl_ms));
                Loaded::Value(Arc::new(OwnedInput::keep(argument::input_of(value, format)?)?), kept)
            }
            LARDER_MISS => Loaded::NotFound,
            failed if failed < 0 => Loaded::Failed(failure(failed, message.as_deref())),
            other => return Err(invalid(format!("{other} is no answer; LARDER_OK, LARDER_MISS and failures are"))),
        };
        loads::answer(load, || loaded).then_some(LARDER_OK).ok_or_else(gone)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}
