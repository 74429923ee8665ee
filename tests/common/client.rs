//! The C API as a test in Rust wants it: the exported functions are called as a C program calls them, handles and
//! objects give themselves back, and every answer is checked or handed on.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::fmt;
use std::ptr::{null, null_mut};

use larder::capi::argument::{
    LARDER_BYTES, LARDER_JSON, LARDER_STORED, LARDER_TEXT, LARDER_TTL_DEFAULT, LARDER_TTL_FOREVER, larder_call,
};
use larder::capi::context::{larder_context, larder_open, larder_shutdown};
use larder::capi::cursor::{larder_cursor, larder_cursor_close, larder_cursor_next, larder_keys};
use larder::capi::error::{larder_error, larder_error_message, larder_error_release, larder_error_status};
use larder::capi::live::larder_live;
use larder::capi::many::{larder_delete_many, larder_get_many, larder_set_many};
use larder::capi::operation::{
    larder_add, larder_delete, larder_expire, larder_get, larder_has, larder_incr, larder_incr_version, larder_persist,
    larder_set, larder_ttl,
};
use larder::capi::prometheus::larder_prometheus;
use larder::capi::stats::{larder_stats, larder_stats_errors, larder_store_stats};
use larder::capi::status::{
    LARDER_EMPTY, LARDER_LOSSY, LARDER_MISS, LARDER_OK, LARDER_TRUNCATED, larder_status, larder_status_name,
};
use larder::capi::store::{larder_store, larder_store_close, larder_store_open};
use larder::capi::upkeep::larder_clear;
use larder::store::{Store as RustStore, Surroundings};

pub use super::value::Value;

/// A negative status and its message.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    pub status: larder_status,
    pub message: String,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", name(self.status), self.message)
    }
}

/// What a call answers: a status that is 0 or more (or what it hands out), or a failure.
pub type Answer<T = larder_status> = Result<T, Failure>;

/// The name of a status.
pub fn name(status: larder_status) -> &'static str {
    // SAFETY: the text has static lifetime and ends with NUL.
    unsafe { CStr::from_ptr(larder_status_name(status)) }.to_str().unwrap()
}

/// Asserts that everything that was opened or handed out is given back.
pub fn assert_nothing_is_left() {
    for (kind, what) in (1..).zip(["contexts", "stores", "cursors", "values", "errors"]) {
        assert_eq!(larder_live(kind), 0, "{what} are left");
    }
}

/// Runs a test's part; nothing may be left open after it. One at a time: what is open is counted by the process.
pub fn alone(test: impl FnOnce()) {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    test();
    assert_nothing_is_left();
}

/// Calls, and turns a negative status and its error into a failure.
pub(super) fn ask(call: impl FnOnce(*mut *mut larder_error) -> larder_status) -> Answer {
    let mut error = null_mut();
    let status = call(&raw mut error);
    if status >= 0 {
        assert!(error.is_null(), "{} came with an error", name(status));
        return Ok(status);
    }
    assert!(!error.is_null(), "{} came without an error", name(status));
    // SAFETY: the error is ours until it is released; its message lives as long.
    unsafe {
        assert_eq!(larder_error_status(error), status);
        let message = CStr::from_ptr(larder_error_message(error)).to_str().unwrap().to_owned();
        larder_error_release(error);
        Err(Failure { status, message })
    }
}

/// A value to set.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    Bytes(&'a [u8]),
    Text(&'a str),
    Json(&'a str),
    Stored(&'a [u8]),
}

impl Input<'_> {
    fn parts(&self) -> (*const c_void, usize, i32) {
        let (bytes, format) = match self {
            Self::Bytes(bytes) => (*bytes, LARDER_BYTES),
            Self::Text(text) => (text.as_bytes(), LARDER_TEXT),
            Self::Json(json) => (json.as_bytes(), LARDER_JSON),
            Self::Stored(bytes) => (*bytes, LARDER_STORED),
        };
        (bytes.as_ptr().cast(), bytes.len(), format)
    }
}

/// A time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    Default,
    Forever,
    Millis(i64),
}

impl Ttl {
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Default => LARDER_TTL_DEFAULT,
            Self::Forever => LARDER_TTL_FOREVER,
            Self::Millis(ms) => ms,
        }
    }
}

/// What a call asks for besides its arguments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    pub version: Option<&'a str>,
    pub flags: u32,
}

impl<'a> Call<'a> {
    /// A call for a version, where there is one.
    pub fn version(version: Option<&'a str>) -> Self {
        Self { version, flags: 0 }
    }

    pub(super) fn raw(&self) -> larder_call {
        larder_call {
            struct_size: u32::try_from(size_of::<larder_call>()).unwrap(),
            flags: self.flags,
            timeout_ms: 0,
            version: self.version.map_or(null(), |version| version.as_ptr().cast()),
            version_len: self.version.map_or(0, str::len),
        }
    }
}

/// An open configuration; shut down when dropped.
pub struct Context(*mut larder_context);

impl Context {
    /// Reads a configuration.
    pub fn open(json: &str) -> Answer<Self> {
        let mut context = null_mut();
        // SAFETY: text, places and options are as the documentation asks for.
        ask(|err| unsafe { larder_open(json.as_ptr().cast(), json.len(), null(), &raw mut context, err) })?;
        Ok(Self(context))
    }

    /// Opens an alias.
    pub fn store(&self, alias: &str) -> Answer<Store> {
        let alias = CString::new(alias).unwrap();
        let mut store = null_mut();
        // SAFETY: as above.
        ask(|err| unsafe { larder_store_open(self.0, alias.as_ptr(), &raw mut store, err) })?;
        Ok(Store(store))
    }

    /// What Prometheus is told.
    pub fn prometheus(&self) -> String {
        let mut needed = 0;
        // SAFETY: the handle is checked by the library, and the buffer has its capacity.
        let asked = ask(|err| unsafe { larder_prometheus(self.0, null_mut(), 0, &raw mut needed, err) });
        assert_eq!(asked, Ok(if needed == 0 { LARDER_OK } else { LARDER_TRUNCATED }));
        let mut text = vec![0_u8; needed + 100];
        let (place, capacity) = (text.as_mut_ptr().cast(), text.len());
        // SAFETY: as above.
        let filled = ask(|err| unsafe { larder_prometheus(self.0, place, capacity, &raw mut needed, err) });
        assert_eq!(filled, Ok(LARDER_OK));
        text.truncate(needed);
        String::from_utf8(text).unwrap()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and checked by the library.
        let ended = ask(|err| unsafe { larder_shutdown(self.0, 10_000, err) });
        if !std::thread::panicking() {
            assert_eq!(ended, Ok(LARDER_OK), "the context does not shut down");
        }
    }
}

/// The Rust object for an alias of a configuration, for what the C API cannot say.
pub fn rust_store(config: &str, alias: &str) -> RustStore {
    let plugins = larder::capi::plugin::registered();
    let config = larder::config::read_with(config.as_bytes(), &|_| None, &plugins.registered()).unwrap();
    let alias = config.aliases.into_iter().find(|one| &*one.name == alias).unwrap();
    let around = Surroundings {
        plugins: std::sync::Arc::new(plugins),
        tables: larder::backend::memory::Tables::shared(),
        spawner: larder::runtime::Runtime::new(),
        log: std::sync::Arc::new(Silence),
    };
    RustStore::open(alias, around).unwrap()
}

/// An open alias; closed when dropped.
pub struct Store(pub(super) *mut larder_store);

// SAFETY: any function may be called on any thread, says the header.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Drop for Store {
    fn drop(&mut self) {
        let status = larder_store_close(self.0);
        if !std::thread::panicking() {
            assert_eq!(status, LARDER_OK);
        }
    }
}

// SAFETY of all calls below: handles are checked by the library, texts and arrays live during the call, and places to
// be written are local variables.
impl Store {
    /// What it has seen.
    pub fn stats(&self) -> larder_store_stats {
        let struct_size = u32::try_from(size_of::<larder_store_stats>()).unwrap();
        let mut stats = larder_store_stats { struct_size, ..Default::default() };
        assert_eq!(ask(|err| unsafe { larder_stats(self.0, &raw mut stats, err) }), Ok(LARDER_OK));
        stats
    }

    /// How often it failed with a status.
    pub fn errors(&self, status: larder_status) -> Answer<u64> {
        let mut count = 77;
        ask(|err| unsafe { larder_stats_errors(self.0, status, &raw mut count, err) })?;
        Ok(count)
    }

    /// The status alone, which may be one that comes without an answer.
    pub fn get_status(&self, key: &str, call: Call<'_>) -> Answer {
        self.get_any(key, call).map(|(status, _)| status)
    }

    fn get_any(&self, key: &str, call: Call<'_>) -> Answer<(larder_status, Option<Value>)> {
        let (mut value, call) = (null_mut(), call.raw());
        let status =
            ask(|err| unsafe { larder_get(self.0, text(key), key.len(), &raw const call, &raw mut value, err) })?;
        Ok((status, Value::taken(value)))
    }

    pub fn get(&self, key: &str, call: Call<'_>) -> Answer<Option<Value>> {
        let (status, value) = self.get_any(key, call)?;
        assert_eq!(status, if value.is_some() { LARDER_OK } else { LARDER_MISS }, "{}", name(status));
        Ok(value)
    }

    pub fn set(&self, key: &str, value: Input<'_>, ttl: Ttl, call: Call<'_>) -> Answer {
        let ((data, len, format), call) = (value.parts(), call.raw());
        let ttl = ttl.number();
        ask(|err| unsafe { larder_set(self.0, text(key), key.len(), data, len, format, ttl, &raw const call, err) })
    }

    pub fn add(&self, key: &str, value: Input<'_>, ttl: Ttl, call: Call<'_>) -> Answer {
        let ((data, len, format), call) = (value.parts(), call.raw());
        let ttl = ttl.number();
        ask(|err| unsafe { larder_add(self.0, text(key), key.len(), data, len, format, ttl, &raw const call, err) })
    }

    pub fn expire(&self, key: &str, ttl: Ttl, call: Call<'_>) -> Answer {
        let call = call.raw();
        ask(|err| unsafe { larder_expire(self.0, text(key), key.len(), ttl.number(), &raw const call, err) })
    }

    pub fn persist(&self, key: &str, call: Call<'_>) -> Answer {
        let call = call.raw();
        ask(|err| unsafe { larder_persist(self.0, text(key), key.len(), &raw const call, err) })
    }

    /// The status alone.
    pub fn ttl_status(&self, key: &str, call: Call<'_>) -> Answer {
        let (mut left, call) = (-1, call.raw());
        ask(|err| unsafe { larder_ttl(self.0, text(key), key.len(), &raw const call, &raw mut left, err) })
    }

    /// What is left of a key's time; `None` on a miss.
    pub fn ttl(&self, key: &str, call: Call<'_>) -> Answer<Option<Ttl>> {
        let (mut left, call) = (-1, call.raw());
        let status =
            ask(|err| unsafe { larder_ttl(self.0, text(key), key.len(), &raw const call, &raw mut left, err) })?;
        Ok(match (status, left) {
            (LARDER_OK, LARDER_TTL_FOREVER) => Some(Ttl::Forever),
            (LARDER_OK, left) => Some(Ttl::Millis(left)),
            (other, left) => {
                assert_eq!((other, left), (LARDER_MISS, 0));
                None
            }
        })
    }

    pub fn delete(&self, key: &str, call: Call<'_>) -> Answer {
        let call = call.raw();
        ask(|err| unsafe { larder_delete(self.0, text(key), key.len(), &raw const call, err) })
    }

    pub fn has(&self, key: &str, call: Call<'_>) -> Answer {
        let call = call.raw();
        ask(|err| unsafe { larder_has(self.0, text(key), key.len(), &raw const call, err) })
    }

    /// The status alone.
    pub fn incr_status(&self, key: &str, delta: i64, call: Call<'_>) -> Answer {
        let (mut number, mut value, call) = (0, null_mut(), call.raw());
        let status = ask(|err| unsafe {
            let (number, value) = (&raw mut number, &raw mut value);
            larder_incr(self.0, text(key), key.len(), delta, &raw const call, number, value, err)
        });
        drop(Value::taken(value));
        status
    }

    /// The new number as JSON text; `None` on a miss.
    pub fn incr(&self, key: &str, delta: i64, call: Call<'_>) -> Answer<Option<String>> {
        let (mut number, mut value, call) = (0, null_mut(), call.raw());
        let status = ask(|err| unsafe {
            let (number, value) = (&raw mut number, &raw mut value);
            larder_incr(self.0, text(key), key.len(), delta, &raw const call, number, value, err)
        })?;
        let Some(value) = Value::taken(value) else {
            assert_eq!(status, LARDER_MISS, "{}", name(status));
            return Ok(None);
        };
        let json = value.json()?.shown;
        match status {
            LARDER_OK => assert_eq!(number.to_string(), json, "the number and the value differ"),
            other => assert_eq!(other, LARDER_LOSSY, "{}", name(other)),
        }
        Ok(Some(json))
    }

    /// The status alone.
    pub fn incr_version_status(&self, key: &str, delta: i64, call: Call<'_>) -> Answer {
        let (mut version, call) = (i64::MIN, call.raw());
        ask(|err| unsafe {
            larder_incr_version(self.0, text(key), key.len(), delta, &raw const call, &raw mut version, err)
        })
    }

    /// The new version; `None` on a miss.
    pub fn incr_version(&self, key: &str, delta: i64, call: Call<'_>) -> Answer<Option<i64>> {
        let (mut version, call) = (i64::MIN, call.raw());
        let status = ask(|err| unsafe {
            larder_incr_version(self.0, text(key), key.len(), delta, &raw const call, &raw mut version, err)
        })?;
        if status == LARDER_MISS {
            return Ok(None);
        }
        assert_eq!(status, LARDER_OK, "{}", name(status));
        Ok(Some(version))
    }

    /// The status alone.
    pub fn get_many_status(&self, keys: &[&str], call: Call<'_>) -> Answer {
        self.get_many_any(keys, call).map(|(status, _)| status)
    }

    pub fn get_many(&self, keys: &[&str], call: Call<'_>) -> Answer<Vec<Option<Value>>> {
        let (status, values) = self.get_many_any(keys, call)?;
        assert_eq!(status, LARDER_OK, "{}", name(status));
        Ok(values)
    }

    fn get_many_any(&self, keys: &[&str], call: Call<'_>) -> Answer<(larder_status, Vec<Option<Value>>)> {
        let (texts, lens, call) = (texts(keys), lens(keys), call.raw());
        let (mut values, mut found) = (vec![null_mut(); keys.len()], usize::MAX);
        let status = ask(|err| unsafe {
            let (values, found) = (values.as_mut_ptr(), &raw mut found);
            larder_get_many(self.0, texts.as_ptr(), lens.as_ptr(), keys.len(), &raw const call, values, found, err)
        })?;
        let values: Vec<_> = values.into_iter().map(Value::taken).collect();
        assert_eq!(values.iter().flatten().count(), found);
        Ok((status, values))
    }

    /// The status, and which keys failed.
    pub fn set_many(&self, items: &[(&str, &str)], ttl: Ttl, call: Call<'_>) -> Answer<(larder_status, Vec<bool>)> {
        let keys: Vec<&str> = items.iter().map(|item| item.0).collect();
        let values: Vec<&str> = items.iter().map(|item| item.1).collect();
        let (key_texts, key_lens, call) = (texts(&keys), lens(&keys), call.raw());
        let (json_texts, json_lens): (Vec<*const c_void>, _) =
            (values.iter().map(|json| json.as_ptr().cast()).collect(), lens(&values));
        let mut failed = vec![2_u8; items.len()];
        let status = ask(|err| unsafe {
            let (keys, key_lens) = (key_texts.as_ptr(), key_lens.as_ptr());
            let (values, value_lens, n) = (json_texts.as_ptr(), json_lens.as_ptr(), items.len());
            let (ttl, failed) = (ttl.number(), failed.as_mut_ptr());
            larder_set_many(
                self.0,
                keys,
                key_lens,
                values,
                value_lens,
                n,
                LARDER_JSON,
                ttl,
                &raw const call,
                failed,
                err,
            )
        })?;
        assert!(failed.iter().all(|mark| *mark < 2), "a place for `failed` was not written");
        Ok((status, failed.into_iter().map(|mark| mark == 1).collect()))
    }

    /// The status alone.
    pub fn delete_many_status(&self, keys: &[&str], call: Call<'_>) -> Answer {
        let (texts, lens, mut removed, call) = (texts(keys), lens(keys), u64::MAX, call.raw());
        ask(|err| unsafe {
            let removed = &raw mut removed;
            larder_delete_many(self.0, texts.as_ptr(), lens.as_ptr(), keys.len(), &raw const call, removed, err)
        })
    }

    /// How many there were.
    pub fn delete_many(&self, keys: &[&str], call: Call<'_>) -> Answer<u64> {
        let (texts, lens, mut removed, call) = (texts(keys), lens(keys), u64::MAX, call.raw());
        let status = ask(|err| unsafe {
            let removed = &raw mut removed;
            larder_delete_many(self.0, texts.as_ptr(), lens.as_ptr(), keys.len(), &raw const call, removed, err)
        })?;
        assert_eq!(status, LARDER_OK, "{}", name(status));
        Ok(removed)
    }

    /// The keys that match, in the order in which they came.
    pub fn keys(&self, pattern: &str, call: Call<'_>) -> Answer<Vec<String>> {
        let (mut cursor, call) = (null_mut(), call.raw());
        let status = ask(|err| unsafe {
            larder_keys(self.0, text(pattern), pattern.len(), &raw const call, &raw mut cursor, err)
        })?;
        assert_eq!(status, LARDER_OK, "{}", name(status));
        let keys = listed(cursor);
        assert_eq!(larder_cursor_close(cursor), LARDER_OK);
        keys
    }

    pub fn clear(&self, scope: i32, call: Call<'_>) -> Answer {
        let call = call.raw();
        ask(|err| unsafe { larder_clear(self.0, scope, &raw const call, err) })
    }
}

fn listed(cursor: *mut larder_cursor) -> Answer<Vec<String>> {
    let mut keys = Vec::new();
    let mut buffer = [0_u8; 1024];
    loop {
        let mut needed = 0;
        let place = buffer.as_mut_ptr().cast();
        let status = ask(|err| unsafe { larder_cursor_next(cursor, place, buffer.len(), &raw mut needed, err) })?;
        if status == LARDER_EMPTY {
            return Ok(keys);
        }
        assert_eq!(status, LARDER_OK, "{}", name(status));
        keys.push(String::from_utf8(buffer[..needed].to_vec()).unwrap());
    }
}

fn text(text: &str) -> *const c_char {
    text.as_ptr().cast()
}

fn texts(all: &[&str]) -> Vec<*const c_char> {
    all.iter().map(|one| text(one)).collect()
}

fn lens(all: &[&str]) -> Vec<usize> {
    all.iter().map(|one| one.len()).collect()
}

/// A log that nobody reads.
struct Silence;

impl larder::log::Log for Silence {
    fn record(&self, _: larder::log::Level, _: &std::fmt::Arguments<'_>) {}
}
