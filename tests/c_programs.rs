//! The C programs of `tests/c`, built with every warning an error, against the library that was just built. Run once
//! more under valgrind and with AddressSanitizer by `make test-valgrind` and `make test-asan`.

mod common;

#[path = "c/driver.rs"]
mod driver;
#[path = "c/given.rs"]
mod given;
#[path = "c/sentinels.rs"]
mod sentinels;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::redis::RedisServer;
use driver::{
    Link, Outcome, Under, VALGRIND_FOUND, build, folder_of_its_own, library_folder, run, run_with_leaks, under,
};
use given::Given;

/// Runs a program as `program <folder> <URL of an empty Redis, or "-">`.
fn run_with(program: &Path, redis: Option<&RedisServer>, more: &[&str]) -> Outcome {
    let folder = folder_of_its_own("run");
    let url = redis.map_or_else(|| "-".to_owned(), |server| server.url(3));
    let mut arguments = vec![folder.to_str().unwrap(), url.as_str()];
    arguments.extend(more);
    let outcome = run(program, &folder, &arguments);
    println!("{}", outcome.said);
    let _ = std::fs::remove_dir_all(folder);
    outcome
}

/// Runs a program on aliases that are given, instead of its own.
fn run_on(program: &Path, given: &Given) -> Outcome {
    let folder = folder_of_its_own("run");
    let outcome = driver::run_with_variables(&given.variables(), program, &folder, &[folder.to_str().unwrap(), "-"]);
    println!("{}", outcome.said);
    let _ = std::fs::remove_dir_all(folder);
    outcome
}

#[test]
fn misuse() {
    run_with(&build("tests/c/misuse.c", Link::Dynamic), Some(&RedisServer::start()), &[])
        .expect("every call was answered");
}

#[test]
fn misuse_linked_statically() {
    run_with(&build("tests/c/misuse.c", Link::Static), Some(&RedisServer::start()), &[])
        .expect("every call was answered");
}

#[test]
fn misuse_async() {
    run_with(&build("tests/c/misuse_async.c", Link::Dynamic), None, &[]).expect("every call was refused");
}

#[test]
fn statistics() {
    run_with(&build("tests/c/statistics.c", Link::Dynamic), Some(&RedisServer::start()), &[])
        .expect("each was counted once");
}

#[test]
fn hostile() {
    run_with(&build("tests/c/hostile.c", Link::Dynamic), Some(&RedisServer::start()), &[])
        .expect("nobody waited for himself");
}

#[test]
fn threads() {
    run_with(&build("tests/c/threads.c", Link::Dynamic), Some(&RedisServer::start()), &[])
        .expect("nothing was mixed up");
}

#[test]
fn reopen() {
    run_with(&build("tests/c/reopen.c", Link::Dynamic), Some(&RedisServer::start()), &[]).expect("before and after");
}

#[test]
fn dlopen() {
    let library = library_folder().join("liblarder.so");
    let program = build("tests/c/dlopen.c", Link::Not);
    run_with(&program, Some(&RedisServer::start()), &[library.to_str().unwrap()]).expect("loaded and unloaded 7 times");
}

#[test]
fn exit() {
    let (program, folder) = (build("tests/c/exit.c", Link::Dynamic), folder_of_its_own("run"));
    run_with_leaks(true, &program, &folder, &[folder.to_str().unwrap(), "-"]).expect("nothing fell over");
}

#[test]
fn sigpipe() {
    run_with(&build("tests/c/sigpipe.c", Link::Dynamic), None, &[]).expect("sigpipe: alive");
}

#[test]
fn sigprof() {
    let outcome = run_with(&build("tests/c/sigprof.c", Link::Dynamic), Some(&RedisServer::start()), &[]);
    outcome.expect("none of them on a thread of larder's");
}

#[test]
fn signals() {
    let outcome = run_with(&build("tests/c/signals.c", Link::Dynamic), Some(&RedisServer::start()), &[]);
    outcome.expect("each wait ended in time");
}

#[test]
fn small_stack() {
    let outcome = run_with(&build("tests/c/small_stack.c", Link::Dynamic), Some(&RedisServer::start()), &[]);
    outcome.expect("KiB were enough");
}

#[test]
fn shutdown() {
    run_with(&build("tests/c/shutdown.c", Link::Dynamic), None, &[]).expect("one at a time, and silence");
}

#[test]
fn fork() {
    run_with(&build("tests/c/fork.c", Link::Dynamic), Some(&RedisServer::start()), &[]).expect("noticed nothing");
}

#[test]
fn fork_many() {
    run_with(&build("tests/c/fork_many.c", Link::Dynamic), Some(&RedisServer::start()), &[]).expect("no hang");
}

#[test]
fn callbacks() {
    run_with(&build("tests/c/callbacks.c", Link::Dynamic), Some(&RedisServer::start()), &[]).expect("exactly once");
}

#[test]
fn queue() {
    run_with(&build("tests/c/queue.c", Link::Dynamic), Some(&RedisServer::start()), &[]).expect("one event for each");
}

#[test]
fn many_in_flight() {
    run_with(&build("tests/c/many_in_flight.c", Link::Dynamic), Some(&RedisServer::start()), &[])
        .expect("there was room for them");
}

#[test]
fn order() {
    run_with(&build("tests/c/order.c", Link::Dynamic), Some(&RedisServer::start()), &[]).expect("one after the other");
}

#[test]
fn twins() {
    run_with(&build("tests/c/twins.c", Link::Dynamic), Some(&RedisServer::start()), &[]).expect("word for word");
}

/// Every other backend: those of one kind share a server.
#[test]
fn twins_on_memcached() {
    run_on(&build("tests/c/twins.c", Link::Dynamic), &Given::memcached()).expect("word for word");
}

#[test]
fn twins_in_databases() {
    run_on(&build("tests/c/twins.c", Link::Dynamic), &Given::databases()).expect("word for word");
}

#[test]
fn twins_in_local_files() {
    run_on(&build("tests/c/twins.c", Link::Dynamic), &Given::local()).expect("word for word");
}

#[test]
fn order_on_memcached() {
    run_on(&build("tests/c/order.c", Link::Dynamic), &Given::memcached()).expect("one after the other");
}

#[test]
fn order_in_databases() {
    run_on(&build("tests/c/order.c", Link::Dynamic), &Given::databases()).expect("one after the other");
}

#[test]
fn order_in_local_files() {
    run_on(&build("tests/c/order.c", Link::Dynamic), &Given::local()).expect("one after the other");
}

#[test]
fn queue_faults() {
    run_with(&build("tests/c/queue_faults.c", Link::Dynamic), None, &[]).expect("answered in time");
}

#[test]
fn exactly_once() {
    let program = build("tests/c/exactly_once.c", Link::Dynamic);
    let server = RedisServer::start();
    let (folder, url) = (folder_of_its_own("run"), server.url(3));
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ends = OnDrop(|| ended.store(true, Ordering::SeqCst));
        let restarts = scope.spawn(|| trouble(server, &ended));
        let outcome = run(&program, &folder, &[folder.to_str().unwrap(), &url]);
        ended.store(true, Ordering::SeqCst);
        println!("{}the server was killed {} times", outcome.said, restarts.join().unwrap());
        outcome.expect("exactly once: ");
    });
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn exactly_once_on_memcached() {
    let program = build("tests/c/exactly_once.c", Link::Dynamic);
    let mut given = Given::memcached_in_trouble();
    let mut server = given.memcached.pop().unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ends = OnDrop(|| ended.store(true, Ordering::SeqCst));
        let restarts = scope.spawn(|| {
            // where a tool looks on, much fails while the server is away, and little is done while it is there
            let calm = Duration::from_millis(if under() == Under::Plain { 150 } else { 1500 });
            let mut kills = 0;
            while !ended.load(Ordering::SeqCst) {
                std::thread::sleep(calm);
                server.pause(true);
                std::thread::sleep(Duration::from_millis(60));
                server.pause(false);
                std::thread::sleep(calm);
                server.kill();
                std::thread::sleep(Duration::from_millis(40));
                server.revive();
                kills += 1;
            }
            kills
        });
        let outcome = run_on(&program, &given);
        ended.store(true, Ordering::SeqCst);
        println!("the server was killed {} times", restarts.join().unwrap());
        outcome.expect("exactly once: ");
    });
}

/// Kills a server and starts another in its place, and lets it stand still, until `ended`; how often it was killed.
fn trouble(mut server: RedisServer, ended: &AtomicBool) -> u32 {
    let (port, mut kills) = (server.port(), 0);
    while !ended.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(150));
        server.pause(true);
        std::thread::sleep(Duration::from_millis(60));
        server.pause(false);
        std::thread::sleep(Duration::from_millis(150));
        drop(server);
        std::thread::sleep(Duration::from_millis(40));
        server = RedisServer::start_on(port, None);
        kills += 1;
    }
    kills
}

/// Does something however a test ends.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

#[test]
fn values() {
    run_with(&build("tests/c/values.c", Link::Dynamic), Some(&RedisServer::start()), &[]).expect("as they were");
}

#[test]
fn tokens() {
    run_with(&build("tests/c/tokens.c", Link::Dynamic), None, &[]).expect("what Pyot calls them");
}

#[test]
fn plugins() {
    run_with(&build("tests/c/plugins.c", Link::Dynamic), None, &[]).expect("they do what they say, and go once");
}

#[test]
fn plugins_calls() {
    run_with(&build("tests/c/plugins_calls.c", Link::Dynamic), None, &[]).expect("called as it is said");
}

#[test]
fn plugins_hostile() {
    run_with(&build("tests/c/plugins_hostile.c", Link::Dynamic), None, &[]).expect("nothing that they do hurts");
}

#[test]
fn plugins_backends() {
    run_with(&build("tests/c/plugins_backends.c", Link::Dynamic), Some(&RedisServer::start()), &[])
        .expect("with larder's own");
}

#[test]
fn pipeline() {
    run_with(&build("tests/c/pipeline.c", Link::Dynamic), None, &[]).expect("the same in all faces");
}

#[test]
fn pipeline_loads() {
    run_with(&build("tests/c/pipeline_loads.c", Link::Dynamic), None, &[]).expect("everything ended once");
}

#[test]
fn pipeline_hostile() {
    run_with(&build("tests/c/pipeline_hostile.c", Link::Dynamic), None, &[]).expect("all of it ended");
}

#[test]
fn pipeline_stats() {
    run_with(&build("tests/c/pipeline_stats.c", Link::Dynamic), None, &[]).expect("each was counted once");
}

#[test]
fn pipeline_log() {
    run_with(&build("tests/c/pipeline_log.c", Link::Dynamic), None, &[]).expect("Pyot's records");
}

#[test]
fn pipeline_misuse() {
    run_with(&build("tests/c/pipeline_misuse.c", Link::Dynamic), None, &[]).expect("every call was answered");
}

#[test]
fn header_in_cpp() {
    run_with(&build("tests/c/header.cc", Link::Dynamic), None, &[]).expect("fine in C++");
}

/// The tool that we run under finds faults that are there, and only those: a check that cannot fail proves nothing.
#[test]
fn faults_are_found() {
    let program = build("tests/c/broken.c", Link::Dynamic);
    for (fault, in_words) in [("overflow", "heap-buffer-overflow"), ("write", "heap-buffer-overflow"), ("leak", "leak")]
    {
        match under() {
            Under::Plain => break, // nothing looks
            Under::Valgrind => {
                let outcome = run_with(&program, None, &[fault]);
                assert_eq!(outcome.status, Some(VALGRIND_FOUND), "{fault}: {}", outcome.said);
            }
            Under::AddressSanitizer => {
                let outcome = run_with(&program, None, &[fault]);
                assert_ne!(outcome.status, Some(0), "{fault} was not found");
                assert!(outcome.said.contains(in_words), "{fault}: {}", outcome.said);
            }
        }
    }
    run_with(&program, None, &["none"]).expect("nobody noticed");
}

/// The sanitizer is linked in, on both sides: the program brings its runtime, the library calls it.
#[test]
fn sanitizer_is_linked_in() {
    let program = build("tests/c/header.cc", Link::Dynamic);
    let library = library_folder().join("liblarder.so");
    let instrumented = under() == Under::AddressSanitizer;
    assert_eq!(has_symbol(&["--undefined-only", "-D"], &library, "__asan_report_load"), instrumented, "{library:?}");
    assert_eq!(has_symbol(&["--undefined-only", "-D"], &program, "__asan_init"), instrumented, "{program:?}");
}

fn has_symbol(options: &[&str], file: &Path, name: &str) -> bool {
    let mut command = std::process::Command::new("nm");
    command.args(options).arg(file);
    let outcome = driver::finish(command);
    outcome.expect("");
    outcome.said.lines().any(|line| line.split_whitespace().any(|word| word.starts_with(name)))
}
