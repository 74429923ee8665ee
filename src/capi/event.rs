//! `larder_event`: how an operation ended, in the asynchronous faces; and log records and loads in a completion queue.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Instant;

use super::argument::invalid;
use super::callback::{larder_completion_fn, larder_event_fn, larder_op};
use super::error::larder_error;
use super::guard::{caught, quietly};
use super::load::{LARDER_LEVEL_NONE, millis};
use super::loads;
use super::operation::{found, nearest, touched, ttl_ms, written};
use super::pipeline;
use super::request as op;
use super::status::{
    LARDER_IGNORED, LARDER_LOSSY, LARDER_MISS, LARDER_NOT_KEPT, LARDER_NOT_STORED, LARDER_OK, larder_status, of,
};
use super::token::{self, larder_token};
use super::value::{self, larder_value};
use crate::backend::{Page, Reply};
use crate::error::{Error, Kind, Result};
use crate::log::Level;
use crate::pyot::ask::{self, Loaded};
use crate::pyot::pipeline::Pipeline;
use crate::pyot::token::Token;
use crate::runtime::Event;
use crate::store::{Asked, Outcome, Store, Value};

/// `kind` of an event: an operation has ended.
pub const LARDER_EVENT_DONE: i32 = 1;
/// `kind` of an event: a log record.
pub const LARDER_EVENT_LOG: i32 = 2;
/// `kind` of an event: something is to be loaded, and answered with larder_load_done; for requests with
/// LARDER_CALL_LOAD_EVENT. The event LARDER_EVENT_DONE of the request follows.
pub const LARDER_EVENT_LOAD: i32 = 3;

/// How an operation ended, a log record, or a load to be answered. Fields that an event has no use for are 0 or NULL.
/// What the pointers lead to belongs to the event: larder_events_clear releases it. To keep a value or an error longer,
/// retain it, or take it out and put NULL in its place. The struct only grows at its end.
#[repr(C)]
pub struct larder_event {
    /// `LARDER_EVENT_…`.
    pub kind: i32,
    /// Which operation, `LARDER_OP_…`; of a log record its level, `LARDER_LOG_…`.
    pub operation: i32,
    /// The tag of the request.
    pub tag: u64,
    /// The id of the operation; of a load 0.
    pub op: larder_op,
    /// How it ended: as the function of the same name answers.
    pub status: larder_status,
    /// How many `values` there are, and marks in `failed`; 0 when the operation failed as a whole.
    pub n: u32,
    /// LARDER_OP_TTL: what is left in ms, or LARDER_TTL_FOREVER. LARDER_OP_INCR: the new number, or the nearest with
    /// LARDER_LOSSY. LARDER_OP_INCR_VERSION: the new version. LARDER_OP_GET_MANY: how many were found.
    /// LARDER_OP_SET_MANY: how many failed. LARDER_OP_DELETE_MANY, _DELETE_PATTERN, _PURGE_EXPIRED: how many were removed.
    /// LARDER_OP_KEYS: where the next page begins, 0 at the end. LARDER_OP_PIPELINE_GET_MANY: how many were found.
    /// LARDER_OP_PIPELINE_EXPIRE: how many were removed. LARDER_OP_PIPELINE_GET, _GET_OR_LOAD: 1 where this operation has
    /// begun to have the value loaded anew (GRACE_MS, EARLY), so that with LARDER_CALL_LOAD_EVENT a load can still come;
    /// else 0. Of a load: which, for larder_load_done.
    pub number: i64,
    /// LARDER_OP_GET, LARDER_OP_SESSION, LARDER_OP_PIPELINE_GET, LARDER_OP_GET_OR_LOAD: the value. LARDER_OP_INCR: the
    /// new number, whatever its size. LARDER_OP_LOCK: the token.
    pub value: *mut larder_value,
    /// LARDER_OP_GET_MANY, _PIPELINE_GET_MANY: the values in the order of the keys, NULL for a miss. LARDER_OP_KEYS:
    /// the keys of this page, as texts.
    pub values: *mut *mut larder_value,
    /// LARDER_OP_SET_MANY: 1 for each value that is not known to be stored, else 0.
    pub failed: *mut u8,
    /// Why it failed, for a negative status.
    pub error: *mut larder_error,
    /// A log record's line, or the token or key to be loaded, in UTF-8 and NUL-terminated.
    pub text: *mut c_char,
    /// Its length in bytes.
    pub text_len: usize,
    /// LARDER_OP_PIPELINE_GET, LARDER_OP_GET_OR_LOAD: the store that had the value, from 0, or LARDER_LEVEL_LOADED, or
    /// LARDER_LEVEL_NONE. Otherwise 0.
    pub level: i32,
    /// 0.
    pub reserved: u32,
    /// LARDER_OP_PIPELINE_GET_MANY: the same for each of the `values`; LARDER_LEVEL_STALE for one that is over.
    pub levels: *mut i32,
    /// Of a load: the time in ms that is left for it; nobody waits any longer.
    pub timeout_ms: i64,
    /// Of a load: the token itself, for larder_token_server, larder_token_param and the like; NULL where larder was given a
    /// text.
    pub token: *mut larder_token,
}

/// The size of `larder_event` in larder 0.1: programs that were built then still bring it.
pub(crate) const FIRST_SIZE: usize = 88;

/// What an operation leaves in its queue until the answer comes.
pub(crate) struct Pending {
    pub what: What,
    pub to: To,
    /// When it began, if its time is measured.
    pub began: Option<Instant>,
}

impl Pending {
    /// Takes the operation's time; `now` is looked at once for several.
    pub fn answered(&self, now: &mut Option<Instant>) {
        if let (Some(began), What::Store(store, _)) = (self.began, &self.what) {
            store.took(now.get_or_insert_with(Instant::now).saturating_duration_since(began));
        }
    }
}

/// Who knows how an operation ended.
pub(crate) enum What {
    /// An operation on a store.
    Store(Arc<Store>, Asked),
    /// An operation on a pipeline, or a load for a store, with its number.
    Pipeline(Arc<Pipeline>, ask::Asked, i32),
    /// No operation: something is to be loaded.
    Load(Box<LoadNote>),
}

/// A load that waits to be told. One that is dropped has failed.
pub(crate) struct LoadNote {
    /// Its number; 0 once it is the host's to answer.
    pub load: u64,
    pub token: Arc<str>,
    /// What it was made of, where that is known.
    pub made: Option<Arc<Token>>,
    /// The operation that wants it.
    pub operation: i32,
    /// When its time is over.
    pub end: Instant,
}

impl Drop for LoadNote {
    fn drop(&mut self) {
        if self.load != 0 {
            let lost = || Loaded::Failed(Error::new(Kind::Handle, "the queue that was to load it was closed"));
            loads::answer(self.load, lost);
        }
    }
}

impl What {
    fn number(&self) -> i32 {
        match self {
            Self::Store(_, asked) => op::number_of(*asked),
            Self::Pipeline(_, _, number) => *number,
            Self::Load(note) => note.operation,
        }
    }
}

impl Pending {
    /// A load to be told.
    pub(crate) fn load(note: LoadNote, tag: u64) -> Self {
        Self { what: What::Load(Box::new(note)), to: To::Tag(tag), began: None }
    }
}

/// Whom an answer goes to.
pub(crate) enum To {
    /// A completion queue's host, under its tag.
    Tag(u64),
    /// A callback.
    Completion(larder_completion_fn, *mut c_void),
    /// A callback that takes an event.
    Event(larder_event_fn, *mut c_void),
}

// SAFETY: the host promises in its callback's contract that it runs on another thread, with its data.
unsafe impl Send for Pending {}

impl larder_event {
    pub(crate) const EMPTY: Self = Self {
        kind: 0,
        operation: 0,
        tag: 0,
        op: 0,
        status: LARDER_OK,
        n: 0,
        number: 0,
        value: std::ptr::null_mut(),
        values: std::ptr::null_mut(),
        failed: std::ptr::null_mut(),
        error: std::ptr::null_mut(),
        text: std::ptr::null_mut(),
        text_len: 0,
        level: 0,
        reserved: 0,
        levels: std::ptr::null_mut(),
        timeout_ms: 0,
        token: std::ptr::null_mut(),
    };

    /// The event of an operation that has been answered, or of a load.
    pub(crate) fn of(event: Event<Pending>) -> Self {
        let Pending { what, to, .. } = event.payload;
        let tag = if let To::Tag(tag) = to { tag } else { 0 };
        match what {
            What::Load(note) => Self::to_load(*note, tag),
            what => Self::concluded(&what, event.operation, tag, event.answer),
        }
    }

    /// The event of an operation from its parts. Something has to be around this that keeps panics silent.
    pub(crate) fn concluded(what: &What, op: larder_op, tag: u64, answer: Result<Reply>) -> Self {
        let mut made = Self { kind: LARDER_EVENT_DONE, operation: what.number(), tag, op, ..Self::EMPTY };
        let concluded = caught(|| match what {
            What::Store(store, asked) => {
                let outcome = store.conclude(*asked, answer)?;
                made.fill(store, outcome)
            }
            What::Pipeline(pipeline, asked, _) => {
                let outcome = pipeline.conclude(*asked, answer)?;
                made.fill_from_levels(outcome);
                Ok(())
            }
            What::Load(_) => Ok(()),
        });
        let failure = match concluded {
            Ok(Ok(())) => return made,
            Ok(Err(error)) => error,
            Err(_) => Error::new(Kind::Panic, "a panic was caught inside larder; please report it"),
        };
        if matches!(made.operation, op::LARDER_OP_PIPELINE_GET | op::LARDER_OP_GET_OR_LOAD) {
            made.level = LARDER_LEVEL_NONE;
        }
        made.status = if failure.is_hidden() { LARDER_IGNORED } else { of(failure.kind()) }; // DR-15
        if !failure.is_hidden() {
            made.error = Arc::into_raw(larder_error::new(&failure)).cast_mut();
        }
        made
    }

    /// A log record.
    pub(crate) fn record(level: Level, text: &str) -> Self {
        let made = Self { kind: LARDER_EVENT_LOG, operation: level as i32, ..Self::EMPTY };
        made.with_text(text.bytes().filter(|byte| *byte != 0).collect())
    }

    /// A load: from now on it is the host's to answer.
    fn to_load(mut note: LoadNote, tag: u64) -> Self {
        // what it has waited here is gone
        let timeout_ms = millis(note.end.saturating_duration_since(Instant::now()));
        let operation = note.operation;
        let number = std::mem::take(&mut note.load).cast_signed();
        let token = note.made.take().map_or(std::ptr::null_mut(), larder_token::into_raw);
        let made = Self { kind: LARDER_EVENT_LOAD, operation, tag, number, timeout_ms, token, ..Self::EMPTY };
        made.with_text(note.token.as_bytes().to_vec())
    }

    fn with_text(mut self, mut text: Vec<u8>) -> Self {
        self.text_len = text.len();
        text.push(0);
        self.text = Box::into_raw(text.into_boxed_slice()).cast();
        self
    }

    fn fill(&mut self, store: &Store, outcome: Outcome) -> Result<()> {
        self.status = match outcome {
            Outcome::Value(value) => found(value.map(|value| self.value = larder_value::into_raw(value)).is_some()),
            Outcome::Locked(None) => LARDER_NOT_STORED,
            Outcome::Locked(Some(token)) => {
                self.value = larder_value::into_raw(token);
                LARDER_OK
            }
            Outcome::Written(done) => written(done),
            Outcome::Touched(done) => touched(done),
            Outcome::Left(left) => found(left.map(|left| self.number = ttl_ms(left)).is_some()),
            Outcome::Found(is_there) => found(is_there),
            Outcome::Version(version) => found(version.map(|version| self.number = version).is_some()),
            Outcome::Removed(count) => self.counted(count),
            Outcome::Done => LARDER_OK,
            Outcome::Sum(None) => LARDER_MISS,
            Outcome::Sum(Some(sum)) => {
                let (number, exact) = sum.number()?.map_or((0, false), |number| nearest(&number));
                self.number = number;
                self.value = larder_value::into_raw(sum);
                if exact { LARDER_OK } else { LARDER_LOSSY }
            }
            Outcome::Values(values) => {
                self.number = count(values.iter().flatten().count());
                self.hold(values);
                LARDER_OK
            }
            Outcome::Page(Page { keys, next }) => {
                let texts = keys.iter().map(|key| store.value_of_key(key).map(Some));
                let texts = texts.collect::<Result<Vec<_>>>()?;
                self.number = next.map_or(0, u64::cast_signed);
                self.hold(texts);
                LARDER_OK
            }
            Outcome::Failures(failures, spent) => self.marked(&failures, spent),
            Outcome::Fetched(_) | Outcome::FetchedMany(_) => {
                return Err(Error::new(Kind::Panic, "a host was given an answer that only pipelines ask for"));
            }
        };
        Ok(())
    }

    /// How an operation on a pipeline ended.
    fn fill_from_levels(&mut self, outcome: ask::Outcome) {
        self.status = match outcome {
            ask::Outcome::Value(found) => {
                self.level = pipeline::level_of(found.as_ref());
                self.number = i64::from(found.as_ref().is_some_and(|found| found.refreshing));
                let status = pipeline::status_of(found.as_ref());
                self.value = found.map_or(std::ptr::null_mut(), |found| larder_value::into_raw(found.value));
                status
            }
            ask::Outcome::Values(values) => {
                let levels: Box<[i32]> = values.iter().map(|found| pipeline::level_among(found.as_ref())).collect();
                if !levels.is_empty() {
                    self.levels = Box::into_raw(levels).cast();
                }
                self.number = count(values.iter().flatten().count());
                self.hold(values.into_iter().map(|found| found.map(|found| found.value)).collect());
                LARDER_OK
            }
            ask::Outcome::Written(done) => pipeline::set_status(done),
            ask::Outcome::Found(is_there) => found(is_there),
            ask::Outcome::Removed(count) => self.counted(count),
            ask::Outcome::Done => LARDER_OK,
        };
    }

    fn counted(&mut self, number: u64) -> larder_status {
        self.number = i64::try_from(number).unwrap_or(i64::MAX);
        LARDER_OK
    }

    fn hold(&mut self, values: Vec<Option<Value>>) {
        let values: Box<[*mut larder_value]> =
            values.into_iter().map(|value| value.map_or(std::ptr::null_mut(), larder_value::into_raw)).collect();
        self.n = u32::try_from(values.len()).unwrap_or(u32::MAX);
        if !values.is_empty() {
            self.values = Box::into_raw(values).cast();
        }
    }

    fn marked(&mut self, failures: &[Option<Error>], spent: bool) -> larder_status {
        let marks: Box<[u8]> = failures.iter().map(|failure| u8::from(failure.is_some())).collect();
        self.n = u32::try_from(marks.len()).unwrap_or(u32::MAX);
        if !marks.is_empty() {
            self.failed = Box::into_raw(marks).cast();
        }
        self.number = count(failures.iter().flatten().count());
        match failures.iter().flatten().next() {
            Some(first) if first.is_hidden() => LARDER_IGNORED, // DR-15
            Some(first) => {
                self.error = Arc::into_raw(larder_error::new(first)).cast_mut();
                of(first.kind())
            }
            None if spent => LARDER_NOT_KEPT,
            None => LARDER_OK,
        }
    }

    /// Releases what the event holds; it is empty then.
    ///
    /// # Safety
    /// The pointers are as this module made them, or NULL.
    pub(crate) unsafe fn clear(&mut self) {
        let value = std::mem::replace(&mut self.value, std::ptr::null_mut());
        if !value.is_null() {
            // SAFETY: by this function's own contract; it is released once, since it is NULL now.
            unsafe { value::larder_value_release(value) };
        }
        if self.values.is_null() && self.failed.is_null() && self.error.is_null() && self.text.is_null() {
            // `levels` come with `values`, and `token` with `text`
            *self = Self::EMPTY; // as mostly
            return;
        }
        let held = std::mem::replace(self, Self::EMPTY);
        // SAFETY: by this function's own contract; each is released once, since the event is empty now.
        unsafe {
            super::error::larder_error_release(held.error);
            token::larder_token_release(held.token);
            let n = held.n as usize;
            if !held.values.is_null() {
                let values = Box::from_raw(std::ptr::slice_from_raw_parts_mut(held.values, n));
                values.iter().for_each(|value| value::larder_value_release(*value));
            }
            if !held.levels.is_null() {
                drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(held.levels, n)));
            }
            if !held.failed.is_null() {
                drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(held.failed, n)));
            }
            if !held.text.is_null() {
                drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(held.text.cast::<u8>(), held.text_len + 1)));
            }
        }
    }
}

impl larder_event {
    /// Releases what a host's struct of `size` bytes has no place for, since it could not give it back.
    ///
    /// # Safety
    /// The pointers are as this module made them, or NULL.
    unsafe fn shed(&mut self, size: usize) {
        if size < std::mem::offset_of!(Self, levels) + size_of::<usize>() && !self.levels.is_null() {
            let levels = std::mem::replace(&mut self.levels, std::ptr::null_mut());
            // SAFETY: by this function's own contract there are `n` of them.
            drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(levels, self.n as usize)) });
        }
        if size < std::mem::offset_of!(Self, token) + size_of::<usize>() {
            // SAFETY: by this function's own contract.
            unsafe { token::larder_token_release(std::mem::replace(&mut self.token, std::ptr::null_mut())) };
        }
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The host's places for events, each `size` bytes apart.
pub(crate) struct Places {
    first: *mut u8,
    size: usize,
    count: usize,
}

impl Places {
    /// # Safety
    /// `events` is NULL or has `count` places of `size` bytes that can be written.
    pub(crate) unsafe fn new(events: *mut larder_event, count: usize, size: usize) -> Result<Self> {
        if size < FIRST_SIZE || !size.is_multiple_of(align_of::<larder_event>()) || size > 4096 {
            return Err(invalid(format!("event_size is {size}; it must be sizeof(larder_event)")));
        }
        if events.is_null() && count > 0 {
            return Err(invalid(format!("events is NULL with a count of {count}")));
        }
        if !(events as usize).is_multiple_of(align_of::<larder_event>()) {
            return Err(invalid("events is not aligned as a larder_event"));
        }
        Ok(Self { first: events.cast(), size, count: count.min(isize::MAX as usize / size) })
    }

    /// How many places there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Writes an event, which owns what it points to; what the host's struct has beyond it becomes 0.
    pub(crate) fn write(&mut self, index: usize, mut event: larder_event) {
        if index >= self.count {
            return;
        }
        if self.size < size_of::<larder_event>() {
            // SAFETY: the event is ours until it is written.
            unsafe { event.shed(self.size) };
        }
        let known = self.size.min(size_of::<larder_event>());
        // SAFETY: by contract of `new` the place has `size` bytes, and index is below the count.
        unsafe {
            let place = self.first.add(index * self.size);
            std::ptr::write_bytes(place, 0, self.size);
            std::ptr::copy_nonoverlapping((&raw const event).cast::<u8>(), place, known);
        }
    }
}

/// Releases what events hold: values, errors, texts. They are empty then; clearing them again is harmless.
///
/// @param events `n` events that were polled, or all zero; NULL with 0 is harmless
/// @param n how many
/// @param event_size `sizeof(larder_event)`
///
/// Blocks: never. Threads: any. Owns: takes what the events hold. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_events_clear(events: *mut larder_event, n: usize, event_size: usize) {
    // SAFETY: the host passes events that it polled, or zero; wrong sizes are refused.
    let _ = quietly(|| unsafe {
        let Ok(mut places) = Places::new(events, n, event_size) else { return };
        for index in 0..places.len() {
            let place = places.first.add(index * event_size);
            if event_size == size_of::<larder_event>() {
                #[allow(clippy::cast_ptr_alignment, reason = "`Places::new` looked at it")]
                (*place.cast::<larder_event>()).clear();
                continue;
            }
            let mut event = larder_event::EMPTY;
            let known = event_size.min(size_of::<larder_event>());
            std::ptr::copy_nonoverlapping(place, (&raw mut event).cast::<u8>(), known);
            event.clear();
            places.write(index, event);
        }
    });
}
