//! Locks over a network that fails: whatever happens, either the caller has the token of what is held, or it is let go of
//! again, though it never expires.

use std::time::{Duration, Instant};

use larder::store::Operation;
use larder::timeout::{Ttl, TtlChoice};
use serde_json::json;

use super::common::client::Ttl as CallTtl;
use super::common::client::{Call, Context};
use super::common::proxy::{Fault, Proxy};
use super::common::redis::RedisServer;
use super::later::{Later, wait_until_free};

/// A call's deadline.
const DEADLINE_MS: u64 = 400;
const FAULTS: [Fault; 6] = [
    Fault::HalfCloseReplies,
    Fault::Stall,
    Fault::Delay(Duration::from_millis(150)),
    Fault::BlackHole,
    Fault::Reset,
    Fault::Garbage,
];

/// What holds in the end.
fn judge(server: &RedisServer, key: &str, fault: Fault, token: Option<String>) {
    let made = format!(":1:{key}");
    match token {
        Some(token) => {
            assert_eq!(server.command(0, &[b"GET", made.as_bytes()]), token.as_bytes(), "{fault:?}");
            server.command(0, &[b"DEL", made.as_bytes()]);
        }
        None => wait_until_free(server, &made),
    }
}

/// After a fault the breaker may be open for a while.
fn until_well(works: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !works() {
        assert!(Instant::now() < end, "it does not get well");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Lets the fault last so long while something runs.
fn during<T>(proxy: &Proxy, fault: Fault, lasting: u64, act: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        proxy.set(fault);
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(lasting));
            proxy.set(Fault::None);
        });
        act()
    })
}

#[test]
fn no_lock_is_held_by_nobody() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let context = Context::open(
        &json!({"default": {"BACKEND": "django_redis.cache.RedisCache",
                            "LOCATION": format!("redis://127.0.0.1:{}/0", proxy.port()),
                            "LARDER": {"BREAKER": false}}})
        .to_string(),
    )
    .unwrap();
    let store = context.store("default").unwrap();
    let (mut held, mut failed) = (0, 0);
    for fault in FAULTS {
        for lasting in [20, 600] {
            // a connection that is there already, and none has failed
            let key = format!("{lasting}");
            until_well(|| store.has("warm", Call::default()).is_ok());
            let deadline = i64::try_from(DEADLINE_MS).unwrap();
            let token = during(&proxy, fault, lasting, || store.lock(&key, CallTtl::Forever, 100, deadline));
            match &token {
                Ok(token) => held += u32::from(token.is_some()),
                Err(_) => failed += 1,
            }
            judge(&server, &key, fault, token.unwrap_or(None));
        }
    }
    assert!(held > 0 && failed > 0, "{held} held, {failed} failed");
}

#[test]
fn nor_by_nobody_later() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let later = Later::open(proxy.port());
    let (mut held, mut failed) = (0, 0);
    for fault in FAULTS {
        for lasting in [20, 600] {
            let key = format!("{lasting}");
            until_well(|| later.end(later.begin(&Operation::Ping, Duration::from_millis(500))).is_ok());
            let token = during(&proxy, fault, lasting, || {
                let lock = Operation::Lock {
                    key: &key,
                    ttl: TtlChoice::Of(Ttl::Forever),
                    wait: Some(Duration::from_millis(100)),
                };
                later.token(later.begin(&lock, Duration::from_millis(DEADLINE_MS)))
            });
            match &token {
                Ok(token) => held += u32::from(token.is_some()),
                Err(_) => failed += 1,
            }
            judge(&server, &key, fault, token.unwrap_or(None));
        }
    }
    assert!(held > 0 && failed > 0, "{held} held, {failed} failed");
}

// A server that hangs: what it was sent comes to it after the call has failed.
#[test]
fn a_lock_that_is_taken_after_the_call_has_failed() {
    let server = RedisServer::start();
    let (_context, store) = super::open(&server);
    assert!(!store.lock("warm", CallTtl::Forever, 0, 0).unwrap().unwrap().is_empty());
    server.command(0, &[b"CONFIG", b"RESETSTAT"]);
    server.pause(true);
    let failed = store.lock("one", CallTtl::Forever, 0, 300).unwrap_err();
    assert!(failed.message.contains("may have been carried out"), "{failed:?}");
    server.pause(false);
    wait_until_free(&server, ":1:one");
    let released = || {
        let stats = String::from_utf8(server.command(0, &[b"INFO", b"commandstats"])).unwrap();
        stats.contains("cmdstat_set:calls=1,") && stats.contains("cmdstat_del:calls=1,")
    };
    let end = Instant::now() + Duration::from_secs(30);
    while !released() {
        assert!(Instant::now() < end, "it was never taken, or not let go of");
        std::thread::sleep(Duration::from_millis(10));
    }
}
