//! A pipeline with its loads, and a near cache under others' writes, at once by all three faces.

use std::ffi::{CString, c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder::capi::argument::{LARDER_CALL_LOAD_EVENT, LARDER_TEXT, LARDER_TTL_DEFAULT};
use larder::capi::context::{larder_context, larder_open, larder_shutdown};
use larder::capi::event::{LARDER_EVENT_LOAD, larder_event, larder_events_clear};
use larder::capi::get_or_load::larder_get_or_load;
use larder::capi::load::{larder_load_done, larder_load_options, larder_load_request};
use larder::capi::operation::{larder_get, larder_set};
use larder::capi::pipeline::{
    larder_pipeline, larder_pipeline_call, larder_pipeline_close, larder_pipeline_open, larder_pipeline_options,
};
use larder::capi::pipeline_callback::larder_pipeline_get_cb;
use larder::capi::pipeline_operation::{
    larder_pipeline_delete, larder_pipeline_get, larder_pipeline_get_many, larder_pipeline_set,
};
use larder::capi::pipeline_stats::{
    larder_pipeline_level_stats, larder_pipeline_numbers, larder_pipeline_stats, larder_pipeline_stats_errors,
};
use larder::capi::prometheus::larder_prometheus;
use larder::capi::queue::{larder_queue, larder_queue_close, larder_queue_open, larder_queue_poll, larder_submit};
use larder::capi::request::{LARDER_OP_PIPELINE_GET, larder_request};
use larder::capi::stats::{larder_stats, larder_store_stats};
use larder::capi::store::{larder_store, larder_store_close};
use larder::capi::token::{larder_token, larder_token_begin, larder_token_release};
use larder::capi::token_field::larder_token_param_int;
use larder::capi::value::{larder_value, larder_value_release};
use larder::lock::Mutex;

use super::{Handle, holds_its_key, open_store};

const TOKENS: usize = 12;

static LOADS: AtomicUsize = AtomicUsize::new(0);
static RELEASED: AtomicUsize = AtomicUsize::new(0);
/// Loads that whoever polls answers.
static LATER: Mutex<Vec<(u64, Vec<u8>)>> = Mutex::new(Vec::new());
static ANSWERS: AtomicUsize = AtomicUsize::new(0);
static EVENTS: AtomicUsize = AtomicUsize::new(0);

/// Two pipelines over memory and a near cache: one that only loads, and one that looks at times, and takes a lock.
fn open(url: &str) -> Handle {
    let levels = r#"[{"BACKEND": "pyot.stores.DjangoCache", "ALIAS": "first", "EXPIRATIONS": {"*": 1}},
                     {"BACKEND": "pyot.stores.DjangoCache", "ALIAS": "near", "EXPIRATIONS": {"*": 1}}]"#;
    let redis = |more: &str| {
        format!(
            r#"{{"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "{url}", "KEY_PREFIX": "near", "TIMEOUT": 5{more}}}"#
        )
    };
    let text = format!(
        r#"{{"CACHES": {{
               "first": {{"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "first",
                          "OPTIONS": {{"MAX_ENTRIES": 8}}}},
               "near": {},
               "others": {}}},
             "PIPELINES": {{
               "PLAIN": {levels},
               "WATCHED": {{"PIPELINE": {levels},
                            "LOAD": {{"GRACE_MS": 300, "EARLY": 2, "JITTER": 0.3, "LOCK": "others"}}}}}}}}"#,
        redis(r#", "LARDER": {"NEAR_CACHE": {"MAX_ENTRIES": 10, "TIMEOUT": 1}}"#),
        redis("")
    );
    let mut context: *mut larder_context = null_mut();
    let status = unsafe { larder_open(text.as_ptr().cast(), text.len(), null_mut(), &raw mut context, null_mut()) };
    assert_eq!(status, 0, "the configuration of the pipelines");
    Handle(context as usize)
}

/// Answers with the token: at once, or later from another thread; and now and then with nothing.
unsafe extern "C" fn load(_: *mut c_void, request: *const larder_load_request) -> i32 {
    let request = unsafe { &*request };
    let (id, number) = (request.load, LOADS.fetch_add(1, Ordering::Relaxed));
    let text = unsafe { std::slice::from_raw_parts(request.token.cast::<u8>(), request.token_len) }.to_vec();
    match number % 4 {
        0 => return 1, // LARDER_MISS
        1 => LATER.lock().push((id, text)),
        _ => done(id, &text),
    }
    0
}

fn done(id: u64, text: &[u8]) {
    let (data, len) = (text.as_ptr().cast(), text.len());
    // a load of which nobody knows any more is an error, which is fine
    unsafe { larder_load_done(id, 0, data, len, LARDER_TEXT, LARDER_TTL_DEFAULT, null(), null_mut()) };
}

unsafe extern "C" fn release(_: *mut c_void) {
    RELEASED.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C" fn answered(_: *mut c_void, _: *const larder_event) {
    ANSWERS.fetch_add(1, Ordering::SeqCst);
}

fn open_pipeline(context: Handle, name: &str) -> Handle {
    let name = CString::new(name).unwrap();
    let size = u32::try_from(size_of::<larder_pipeline_options>()).unwrap();
    let options = larder_pipeline_options {
        struct_size: size,
        reserved: 0,
        load: Some(load),
        load_user_data: null_mut(),
        load_release: Some(release),
    };
    let mut pipeline: *mut larder_pipeline = null_mut();
    let context = context.0 as *const larder_context;
    let opened =
        unsafe { larder_pipeline_open(context, name.as_ptr(), &raw const options, &raw mut pipeline, null_mut()) };
    assert_eq!(opened, 0);
    Handle(pipeline as usize)
}

fn token(number: usize) -> String {
    format!("token{}", number % TOKENS)
}

/// Gets, sets, and deletes by one thread; every value is its token.
fn synchronous(context: Handle, pipeline: Handle, rounds: usize) {
    let pipeline = pipeline.0 as *const larder_pipeline;
    for round in 0..rounds {
        let text = token(round);
        let (data, len) = (text.as_ptr().cast::<c_char>(), text.len());
        unsafe {
            let mut value = null_mut();
            let status = larder_pipeline_get(pipeline, data, len, null(), &raw mut value, null_mut(), null_mut());
            assert!(status >= 0, "{status}");
            if !value.is_null() {
                holds_its_key(value, &text);
                larder_value_release(value);
            }
            match round % 5 {
                0 => drop(larder_pipeline_delete(pipeline, data, len, null(), null_mut())),
                1 => drop(larder_pipeline_set(pipeline, data, len, data.cast(), len, LARDER_TEXT, null(), null_mut())),
                2 => get_several(pipeline, round),
                _ => look(context, pipeline),
            }
        }
    }
}

fn get_several(pipeline: *const larder_pipeline, round: usize) {
    let texts: Vec<String> = (round..round + 5).map(token).collect();
    let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr().cast()).collect();
    let lens: Vec<usize> = texts.iter().map(String::len).collect();
    let mut values: [*mut larder_value; 5] = [null_mut(); 5];
    unsafe {
        let status = larder_pipeline_get_many(
            pipeline,
            pointers.as_ptr(),
            lens.as_ptr(),
            5,
            null(),
            values.as_mut_ptr(),
            null_mut(),
            null_mut(),
            null_mut(),
        );
        assert!(status >= 0, "{status}");
        for (value, text) in values.iter().zip(&texts).filter(|(value, _)| !value.is_null()) {
            holds_its_key(*value, text);
        }
        for value in values {
            larder_value_release(value);
        }
    }
}

/// Everything that counts.
fn look(context: Handle, pipeline: *const larder_pipeline) {
    let size = |size: usize| u32::try_from(size).unwrap();
    let mut numbers =
        larder_pipeline_numbers { struct_size: size(size_of::<larder_pipeline_numbers>()), ..Default::default() };
    let mut stats = larder_store_stats { struct_size: size(size_of::<larder_store_stats>()), ..Default::default() };
    let (mut failures, mut needed) = (0, 0);
    unsafe {
        assert_eq!(larder_pipeline_stats(pipeline, &raw mut numbers, null_mut()), 0);
        assert_eq!(larder_pipeline_stats_errors(pipeline, -2, &raw mut failures, null_mut()), 0);
        assert_eq!(larder_pipeline_level_stats(pipeline, 1, &raw mut stats, null_mut()), 0);
        larder_prometheus(context.0 as *const larder_context, null_mut(), 0, &raw mut needed, null_mut());
    }
}

/// One token for all threads, by callback; each writes it in the pipeline's way when it is first used.
fn by_callback(pipeline: Handle, shared: Handle, rounds: usize) -> usize {
    let made = [shared.0 as *const larder_token];
    let size = u32::try_from(size_of::<larder_pipeline_call>()).unwrap();
    let call = larder_pipeline_call {
        struct_size: size,
        flags: 0,
        timeout_ms: 0,
        load: None,
        load_user_data: null_mut(),
        tokens: made.as_ptr(),
    };
    let pipeline = pipeline.0 as *const larder_pipeline;
    let begin = || unsafe {
        let (answered, nobody) = (Some(answered as unsafe extern "C" fn(_, _)), null_mut());
        larder_pipeline_get_cb(pipeline, null(), 0, &raw const call, answered, nobody, null_mut(), null_mut())
    };
    (0..rounds).filter(|_| begin() == 0).count()
}

/// By queue, with whoever polls for a loader; how many requests were accepted.
fn submit(pipeline: Handle, queue: Handle, rounds: usize) -> usize {
    let mut accepted = 0;
    for round in 0..rounds {
        let texts: Vec<String> = (0..4).map(|number| token(round + number)).collect();
        let requests: Vec<larder_request> = texts
            .iter()
            .map(|text| {
                // SAFETY: all zero are a valid request.
                let mut request: larder_request = unsafe { std::mem::zeroed() };
                (request.operation, request.flags) = (LARDER_OP_PIPELINE_GET, LARDER_CALL_LOAD_EVENT);
                request.pipeline = pipeline.0 as *const larder_pipeline;
                (request.key, request.key_len) = (text.as_ptr().cast(), text.len());
                request
            })
            .collect();
        let mut count = 0;
        let size = size_of::<larder_request>();
        let queue = queue.0 as *const larder_queue;
        unsafe { larder_submit(queue, requests.as_ptr(), requests.len(), size, &raw mut count, null_mut()) };
        accepted += count;
    }
    accepted
}

/// Answers loads, and counts the answers to requests, until told to stop and nothing is left.
fn poll(queue: Handle, stop: &AtomicBool) {
    loop {
        let last = stop.load(Ordering::SeqCst);
        let mut events: [larder_event; 16] = unsafe { std::mem::zeroed() };
        let (mut count, size) = (0, size_of::<larder_event>());
        unsafe {
            let queue = queue.0 as *const larder_queue;
            larder_queue_poll(queue, events.as_mut_ptr(), 16, size, 20, &raw mut count, null_mut());
            for event in &events[..count] {
                if event.kind == LARDER_EVENT_LOAD {
                    let text = std::slice::from_raw_parts(event.text.cast::<u8>(), event.text_len);
                    done(u64::try_from(event.number).unwrap(), text);
                } else {
                    EVENTS.fetch_add(1, Ordering::SeqCst);
                }
            }
            larder_events_clear(events.as_mut_ptr(), count, size);
        }
        let later = std::mem::take(&mut *LATER.lock());
        for (id, text) in &later {
            done(*id, text);
        }
        if last && count == 0 && later.is_empty() {
            return;
        }
    }
}

/// The store with the near cache: hits, loads with their options, and what another store writes.
fn near(store: Handle, other: Handle, rounds: usize) {
    let size = u32::try_from(size_of::<larder_load_options>()).unwrap();
    let options = larder_load_options {
        struct_size: size,
        reserved: 0,
        timeout_ms: 0,
        lock_ms: 0,
        grace_ms: 200,
        early: 1.0,
        jitter: 0.2,
    };
    let end = Instant::now() + Duration::from_secs(30);
    let is_short = |round| round < rounds || (counted(store).near_hits == 0 && Instant::now() < end);
    for round in (0..).take_while(|round| is_short(*round)) {
        let text = format!("near{}", round % 15);
        let (data, len) = (text.as_ptr().cast::<c_char>(), text.len());
        let (near, other) = (store.0 as *const larder_store, other.0 as *const larder_store);
        for way in 0..4 {
            let mut value = null_mut();
            let (place, no_error) = (&raw mut value, null_mut());
            unsafe {
                let status = if way == 0 {
                    let (loader, options) = (Some(load as unsafe extern "C" fn(_, _) -> _), &raw const options);
                    larder_get_or_load(near, data, len, loader, null_mut(), 900, options, null(), place, no_error)
                } else {
                    larder_get(near, data, len, null(), place, no_error)
                };
                assert!(status >= 0, "{status}");
                if !value.is_null() {
                    holds_its_key(value, &text);
                    larder_value_release(value);
                }
            }
        }
        if round % 4 == 0 {
            let writer = if round % 3 == 0 { near } else { other };
            let life = LARDER_TTL_DEFAULT;
            unsafe { larder_set(writer, data, len, data.cast(), len, LARDER_TEXT, life, null(), null_mut()) };
        }
    }
}

/// What a store has seen.
fn counted(store: Handle) -> larder_store_stats {
    let size = u32::try_from(size_of::<larder_store_stats>()).unwrap();
    let mut told = larder_store_stats { struct_size: size, ..Default::default() };
    assert_eq!(unsafe { larder_stats(store.0 as *const larder_store, &raw mut told, null_mut()) }, 0);
    told
}

/// A token that is not finished yet.
fn shared_token() -> Handle {
    let mut made: *mut larder_token = null_mut();
    unsafe {
        let (model, server, method) = (c"plain".as_ptr(), c"na1".as_ptr(), c"summoner".as_ptr());
        assert_eq!(larder_token_begin(model, server, method, null(), &raw mut made, null_mut()), 0);
        assert_eq!(larder_token_param_int(made, c"id".as_ptr(), 7, null_mut()), 0);
    }
    Handle(made as usize)
}

pub fn everything_at_once(url: &str, rounds: usize) {
    let context = open(url);
    let pipelines = ["PLAIN", "WATCHED"].map(|name| open_pipeline(context, name));
    let stores = [open_store(context, "near"), open_store(context, "others")];
    let mut raw: *mut larder_queue = null_mut();
    let opened = unsafe { larder_queue_open(context.0 as *const larder_context, 500, 0, &raw mut raw, null_mut()) };
    assert_eq!(opened, 0);
    let (queue, shared, stop) = (Handle(raw as usize), shared_token(), AtomicBool::new(false));
    let counts = || [&ANSWERS, &EVENTS, &RELEASED].map(|count| count.load(Ordering::SeqCst));
    let [answers, events, released] = counts();
    thread::scope(|scope| {
        let poller = scope.spawn(|| poll(queue, &stop));
        let (mut counted, mut others) = (Vec::new(), Vec::new());
        for pipeline in pipelines {
            counted.push(scope.spawn(move || (by_callback(pipeline, shared, rounds), 0)));
            counted.push(scope.spawn(move || (0, submit(pipeline, queue, rounds))));
            for _ in 0..2 {
                others.push(scope.spawn(move || synchronous(context, pipeline, rounds)));
            }
        }
        others.push(scope.spawn(move || {
            for _ in 0..rounds / 4 {
                let pipeline = open_pipeline(context, "watched");
                assert_eq!(larder_pipeline_close(pipeline.0 as *mut larder_pipeline), 0);
            }
        }));
        for _ in 0..2 {
            others.push(scope.spawn(move || near(stores[0], stores[1], rounds)));
        }
        let accepted: Vec<(usize, usize)> = counted.into_iter().map(|count| count.join().unwrap()).collect();
        let (by_callback, by_event) = accepted.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let expected = [answers + by_callback, events + by_event];
        let end = Instant::now() + Duration::from_mins(1);
        while counts()[..2] != expected && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        for other in others {
            other.join().unwrap(); // what they ask for can be a load of the queue's
        }
        stop.store(true, Ordering::SeqCst);
        poller.join().unwrap();
        assert_eq!(counts()[..2], expected, "a callback, or an event, for each accepted operation");
    });
    unsafe { larder_token_release(shared.0 as *mut larder_token) };
    let near = counted(stores[0]);
    let seen = (near.near_hits, near.loads, LOADS.load(Ordering::SeqCst));
    assert!(seen.0 > 0 && seen.1 > 0 && seen.2 > 0, "the mix does what it should: {seen:?}");
    // shutting down while loads are under way
    stop.store(false, Ordering::SeqCst);
    thread::scope(|scope| {
        let poller = scope.spawn(|| poll(queue, &stop));
        by_callback_of_text(pipelines[0]);
        assert_eq!(unsafe { larder_shutdown(context.0 as *mut larder_context, 10_000, null_mut()) }, 0);
        stop.store(true, Ordering::SeqCst);
        poller.join().unwrap();
    });
    assert_eq!(larder_queue_close(queue.0 as *mut larder_queue), 0);
    for pipeline in pipelines {
        assert_eq!(larder_pipeline_close(pipeline.0 as *mut larder_pipeline), 0);
    }
    for store in stores {
        assert_eq!(larder_store_close(store.0 as *mut larder_store), 0);
    }
    assert_eq!(counts()[2] - released, 2 + rounds / 4, "each loader's data is released once");
}

/// Begins loads that nobody waits for here.
fn by_callback_of_text(pipeline: Handle) {
    for number in 0..TOKENS {
        let text = format!("last{number}");
        unsafe {
            let pipeline = pipeline.0 as *const larder_pipeline;
            let (data, len) = (text.as_ptr().cast(), text.len());
            larder_pipeline_get_cb(pipeline, data, len, null(), Some(answered), null_mut(), null_mut(), null_mut());
        }
    }
}
