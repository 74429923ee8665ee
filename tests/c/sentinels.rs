//! C programs on a service that Sentinels watch.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::sentinels::{FAILOVER, Service, wait};
use crate::driver::{self, Link, build, folder_of_its_own};
use crate::given::Given;

/// Django-redis' DefaultClient: the primary alone is asked.
const DEFAULT: &str = "django_redis.client.DefaultClient";

/// Ends the service's first primary when the program is ready, and tells the program when the Sentinels have another.
fn fail_over(service: &mut Service, folder: &Path, ended: &AtomicBool) {
    let before = service.primary();
    let index = service.servers.iter().position(|server| server.port == before).unwrap();
    let say = |what: &str| std::fs::write(folder.join(what), "").unwrap();
    wait("the program is ready, or has ended", || ended.load(Ordering::SeqCst) || folder.join("ready").exists());
    thread::sleep(Duration::from_millis(200));
    say("killed");
    let killed = Instant::now();
    service.servers[index].kill();
    wait("the Sentinels have another primary", || service.primary() != before);
    assert!(killed.elapsed() < FAILOVER, "the Sentinels themselves took {:?}", killed.elapsed());
    say("over");
}

#[test]
fn failover() {
    let program = build("tests/c/failover.c", Link::Dynamic);
    let mut service = Service::start("mymaster", 2, 3, None);
    let primary = || service.entry(&json!({"CLIENT_CLASS": DEFAULT}));
    let given = Given::new(&json!({"patient": primary(), "hasty": primary(), "both": service.entry(&json!({}))}));
    let folder = folder_of_its_own("run");
    let ended = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        let trouble = scope.spawn(|| fail_over(&mut service, &folder, &ended));
        let arguments = [folder.to_str().unwrap(), "-"];
        let outcome = driver::run_with_variables(&given.variables(), &program, &folder, &arguments);
        ended.store(true, Ordering::SeqCst);
        println!("{}", outcome.said);
        trouble.join().unwrap();
        outcome
    });
    outcome.expect("no wrong value, and service was back");
    let _ = std::fs::remove_dir_all(folder);
}

/// A child makes connections of its own to what the Sentinels name, and the parent's are as they were.
#[test]
fn fork_over_sentinels() {
    let service = Service::start("mymaster", 1, 1, None);
    let program = build("tests/c/fork.c", Link::Dynamic);
    let folder = folder_of_its_own("run");
    let given = Given::new(&json!({
        "file": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": folder.join("files"),
            "OPTIONS": {"MAX_ENTRIES": 1_000_000},
        },
        "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 1_000_000}},
        "primary": service.entry(&json!({"CLIENT_CLASS": DEFAULT})),
        "replicas": service.entry(&json!({})),
    }));
    let arguments = [folder.to_str().unwrap(), "-"];
    let outcome = driver::run_with_variables(&given.variables(), &program, &folder, &arguments);
    println!("{}", outcome.said);
    outcome.expect("noticed nothing");
    let _ = std::fs::remove_dir_all(folder);
}
