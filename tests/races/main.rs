//! Many threads at the C API at once, as a plain program: by `cargo test` a short stress test, by `make test-tsan` under
//! ThreadSanitizer, which then has to find nothing. `races bug` has a data race on purpose, to show that it looks.
#![allow(unsafe_code, reason = "it calls the C API as a C program would")]

#[path = "../common/daemon.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod daemon;
mod pipelines;
#[path = "../common/redis.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod redis;

use std::ffi::{CString, c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder::capi::argument::{LARDER_TEXT, LARDER_TTL_DEFAULT};
use larder::capi::callback::{larder_get_cb, larder_op, larder_set_cb};
use larder::capi::context::{larder_context, larder_open, larder_shutdown};
use larder::capi::error::larder_error;
use larder::capi::event::{larder_event, larder_events_clear};
use larder::capi::live::{LARDER_LIVE_CONTEXTS, LARDER_LIVE_PIPELINES, larder_live};
use larder::capi::operation::{larder_get, larder_incr, larder_set};
use larder::capi::queue::{
    larder_cancel, larder_queue, larder_queue_close, larder_queue_open, larder_queue_poll, larder_queue_wake,
    larder_submit,
};
use larder::capi::request::{LARDER_OP_GET, LARDER_OP_INCR, LARDER_OP_SET, larder_request};
use larder::capi::stats::{larder_stats, larder_store_stats};
use larder::capi::store::{larder_store, larder_store_close, larder_store_open};
use larder::capi::value::{larder_value, larder_value_release, larder_value_text};

/// Handles are numbers; threads may share them.
#[derive(Clone, Copy)]
struct Handle(usize);

static ANSWERS: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn answered(_: *mut c_void, _: larder_op, _: i32, _: *const larder_value, _: *const larder_error) {
    ANSWERS.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C" fn logged(_: *mut c_void, _: i32, _: *const c_char) {}

fn open(url: &str) -> Handle {
    let text = format!(
        r#"{{"memory": {{"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "races",
                         "OPTIONS": {{"MAX_ENTRIES": 50}}}},
             "redis": {{"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "{url}"}}}}"#
    );
    let mut options = larder::capi::log::larder_options {
        struct_size: 24,
        log_level: 0,
        log: Some(logged),
        log_user_data: null_mut(),
    };
    let mut context: *mut larder_context = null_mut();
    let status =
        unsafe { larder_open(text.as_ptr().cast(), text.len(), &raw mut options, &raw mut context, null_mut()) };
    assert_eq!(status, 0);
    Handle(context as usize)
}

fn open_store(context: Handle, alias: &str) -> Handle {
    let alias = CString::new(alias).unwrap();
    let mut store: *mut larder_store = null_mut();
    let context = context.0 as *const larder_context;
    assert_eq!(unsafe { larder_store_open(context, alias.as_ptr(), &raw mut store, null_mut()) }, 0);
    Handle(store as usize)
}

/// The key of a number; values hold their key.
fn key(number: usize) -> String {
    format!("key{}", number % 40)
}

fn synchronous(store: Handle, rounds: usize) {
    let store = store.0 as *const larder_store;
    for round in 0..rounds {
        let key = key(round);
        let (data, len) = (key.as_ptr().cast::<c_char>(), key.len());
        unsafe {
            let set =
                larder_set(store, data, len, data.cast(), len, LARDER_TEXT, LARDER_TTL_DEFAULT, null(), null_mut());
            assert_eq!(set, 0);
            let mut value = null_mut();
            if larder_get(store, data, len, null(), &raw mut value, null_mut()) == 0 {
                holds_its_key(value, &key);
                larder_value_release(value);
            }
            larder_incr(store, c"number".as_ptr(), 6, 1, null(), null_mut(), null_mut(), null_mut());
            let mut stats = larder_store_stats { struct_size: 96, ..Default::default() };
            assert_eq!(larder_stats(store, &raw mut stats, null_mut()), 0);
        }
    }
}

unsafe fn holds_its_key(value: *const larder_value, key: &str) {
    let (mut text, mut len) = (null::<c_char>(), 0);
    unsafe {
        assert_eq!(larder_value_text(value, &raw mut text, &raw mut len, null_mut()), 0);
        assert_eq!(std::slice::from_raw_parts(text.cast::<u8>(), len), key.as_bytes());
    }
}

fn with_callbacks(store: Handle, rounds: usize) -> usize {
    let store = store.0 as *const larder_store;
    let mut accepted = 0;
    for round in 0..rounds {
        let key = key(round);
        let (data, len) = (key.as_ptr().cast::<c_char>(), key.len());
        unsafe {
            let set = larder_set_cb(
                store,
                data,
                len,
                data.cast(),
                len,
                LARDER_TEXT,
                LARDER_TTL_DEFAULT,
                null(),
                Some(answered),
                null_mut(),
                null_mut(),
                null_mut(),
            );
            let get = larder_get_cb(store, data, len, null(), Some(answered), null_mut(), null_mut(), null_mut());
            accepted += usize::from(set == 0) + usize::from(get == 0);
        }
    }
    accepted
}

fn submit(context: Handle, store: Handle, queue: Handle, rounds: usize) -> usize {
    let mut accepted = 0;
    for round in 0..rounds {
        let keys: Vec<String> = (0..8).map(|number| key(round * 3 + number)).collect();
        let mut ops = [0_u64; 8];
        let requests: Vec<larder_request> = keys
            .iter()
            .zip(&mut ops)
            .enumerate()
            .map(|(number, (key, op))| {
                // SAFETY: all zero are a valid request.
                let mut request: larder_request = unsafe { std::mem::zeroed() };
                request.operation = [LARDER_OP_SET, LARDER_OP_GET, LARDER_OP_INCR][number % 3];
                request.format = LARDER_TEXT;
                request.store = store.0 as *const larder_store;
                request.tag = number as u64;
                (request.key, request.key_len) = (key.as_ptr().cast(), key.len());
                (request.value, request.value_len) = (key.as_ptr().cast(), key.len());
                request.ttl_ms = LARDER_TTL_DEFAULT;
                request.op = op;
                request
            })
            .collect();
        let mut count = 0;
        let queue = queue.0 as *const larder_queue;
        unsafe {
            let size = size_of::<larder_request>();
            larder_submit(queue, requests.as_ptr(), requests.len(), size, &raw mut count, null_mut());
        }
        accepted += count;
        larder_cancel(context.0 as *const larder_context, ops[round % 8]);
        larder_queue_wake(queue);
    }
    accepted
}

/// Polls until told to stop and nothing is left; how many events came.
fn poll(queue: Handle, stop: &AtomicBool) -> usize {
    let mut seen = 0;
    loop {
        let last = stop.load(Ordering::SeqCst);
        let mut events: [larder_event; 32] = unsafe { std::mem::zeroed() };
        let mut count = 0;
        unsafe {
            let size = size_of::<larder_event>();
            larder_queue_poll(
                queue.0 as *const larder_queue,
                events.as_mut_ptr(),
                32,
                size,
                20,
                &raw mut count,
                null_mut(),
            );
            larder_events_clear(events.as_mut_ptr(), count, size);
        }
        seen += count;
        if last && count == 0 {
            return seen;
        }
    }
}

fn everything_at_once(url: &str, rounds: usize) {
    let context = open(url);
    let stores = [open_store(context, "memory"), open_store(context, "redis")];
    let mut raw: *mut larder_queue = null_mut();
    let opened = unsafe { larder_queue_open(context.0 as *const larder_context, 500, 10, &raw mut raw, null_mut()) };
    assert_eq!(opened, 0);
    let queue = Handle(raw as usize);
    let stop = AtomicBool::new(false);
    let answers = ANSWERS.load(Ordering::SeqCst);
    thread::scope(|scope| {
        let pollers = [(); 2].map(|()| scope.spawn(|| poll(queue, &stop)));
        let others: Vec<_> = stores
            .iter()
            .flat_map(|store| {
                let store = *store;
                [
                    scope.spawn(move || {
                        synchronous(store, rounds);
                        (0, 0)
                    }),
                    scope.spawn(move || (with_callbacks(store, rounds), 0)),
                    scope.spawn(move || (0, submit(context, store, queue, rounds))),
                    scope.spawn(move || {
                        for _ in 0..rounds {
                            let store = open_store(context, "memory");
                            larder_store_close(store.0 as *mut larder_store);
                        }
                        (0, 0)
                    }),
                ]
            })
            .collect();
        let (mut by_callback, mut by_event) = (0, 0);
        for other in others {
            let (callbacks, events) = other.join().unwrap();
            by_callback += callbacks;
            by_event += events;
        }
        let end = Instant::now() + Duration::from_secs(30);
        while ANSWERS.load(Ordering::SeqCst) < answers + by_callback && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(Duration::from_millis(50));
        stop.store(true, Ordering::SeqCst);
        let events: usize = pollers.into_iter().map(|poller| poller.join().unwrap()).sum();
        assert_eq!(ANSWERS.load(Ordering::SeqCst), answers + by_callback, "a callback for each accepted operation");
        assert!(events >= by_event, "an event for each accepted operation, and log records");
    });
    // shutting down while operations are under way
    with_callbacks(stores[1], 50);
    submit(context, stores[1], queue, 5);
    let down = thread::spawn(move || unsafe { larder_shutdown(context.0 as *mut larder_context, 10_000, null_mut()) });
    with_callbacks(stores[1], 50);
    assert_eq!(down.join().unwrap(), 0);
    poll(queue, &AtomicBool::new(true));
    assert_eq!(larder_queue_close(queue.0 as *mut larder_queue), 0);
    for store in stores {
        assert_eq!(larder_store_close(store.0 as *mut larder_store), 0);
    }
}

/// Two threads write one number without a lock.
fn bug() {
    static mut SHARED: u64 = 0;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    unsafe { SHARED = std::hint::black_box(SHARED) + 1 };
                }
            });
        }
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "bug") {
        return bug();
    }
    let rounds = std::env::var("LARDER_RACES_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(200);
    let server = redis::RedisServer::start();
    for database in 1..=2 {
        everything_at_once(&server.url(0), rounds);
        pipelines::everything_at_once(&server.url(database), rounds);
    }
    for kind in LARDER_LIVE_CONTEXTS..=LARDER_LIVE_PIPELINES {
        assert_eq!(larder_live(kind), 0, "kind {kind}");
    }
    println!("races: every operation was answered once");
}
