//! Forked children, and writers that are killed.
#![allow(unsafe_code)]

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use larder::value::Number;

use super::common::alone::alone;
use super::*;

/// Forks; the child runs `work` and ends, well if that is true.
fn child(work: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child runs only larder and the allocator, which are made for it, and leaves without running more of the
    // test harness.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(false);
            libc::_exit(i32::from(!done));
        }
        assert!(child > 0);
        child
    }
}

fn ended(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the child is ours, and the place can be written.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status
}

/// Children that are forked while threads of the parent work can work at once, and lose nothing.
#[test]
fn children_forked_amid_work() {
    if !alone("fork::children_forked_amid_work") {
        return;
    }
    let folder = Folder::new();
    let store = folder.store(&json!({"SHARDS": 2}));
    let one = Number::Int(1.into());
    set(&store, "n", Input::Json(b"0"));
    let done = AtomicBool::new(false);
    let large = "x".repeat(40_000);
    let added = std::thread::scope(|scope| {
        let parents: Vec<_> = (0..2)
            .map(|number| {
                let (store, one, done, large) = (&store, &one, &done, &large);
                scope.spawn(move || {
                    let mut added = 0;
                    while !done.load(Ordering::Relaxed) {
                        store.incr("n", one, &call()).unwrap();
                        set(store, &format!("parent{number}"), Input::Text(large));
                        added += 1;
                    }
                    added
                })
            })
            .collect();
        let children: Vec<i32> = (0..6)
            .map(|number| {
                std::thread::sleep(Duration::from_millis(5));
                child(|| {
                    (0..20).all(|_| {
                        set(&store, &format!("child{number}"), Input::Text(&large));
                        store.incr("n", &one, &call()).is_ok_and(|sum| sum.is_some())
                    })
                })
            })
            .collect();
        let ends: Vec<i32> = children.into_iter().map(ended).collect();
        done.store(true, Ordering::Relaxed);
        assert_eq!(ends, [0; 6]);
        parents.into_iter().map(|parent| parent.join().unwrap()).sum::<usize>()
    });
    assert_eq!(json_of(&store, "n").unwrap(), (added + 6 * 20).to_string());
    let mut python = folder.python(&json!({"SHARDS": 2}));
    python.no_faults();
}

/// Threads that fork at the same time: no child inherits a connection that was opened between another thread's fork and
/// its own, with locks that nobody will ever give back.
#[test]
fn threads_fork_side_by_side() {
    if !alone("fork::threads_fork_side_by_side") {
        return;
    }
    let folder = Folder::new();
    let store = folder.store(&json!({"SHARDS": 2}));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (store, done) = (&store, &done);
        for number in 0..2 {
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    set(store, &format!("parent {number}"), Input::Text("v"));
                }
            });
        }
        let forkers: Vec<_> = (0..4)
            .map(|number| {
                scope.spawn(move || {
                    let fork = |count: i32| {
                        child(|| {
                            // SAFETY: a child that waits for ever is ended, and seen.
                            unsafe { libc::alarm(30) };
                            (0..3).all(|key| {
                                let key = format!("child {number} {count} {key}");
                                set(store, &key, Input::Text("v"));
                                true
                            })
                        })
                    };
                    (0..15).map(|count| ended(fork(count))).collect::<Vec<_>>()
                })
            })
            .collect();
        let ends: Vec<i32> = forkers.into_iter().flat_map(|forker| forker.join().unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        assert_eq!(ends, [0; 60]);
    });
    for (number, count, key) in (0..180).map(|at| (at / 45, at / 3 % 15, at % 3)) {
        assert!(json_of(&store, &format!("child {number} {count} {key}")).is_some());
    }
    folder.python(&json!({"SHARDS": 2})).no_faults();
}

/// SQLite in a child believes that it has its parent's locks. If it had not, the last of the others to close the database
/// would remove the log that the child writes into.
#[test]
fn a_child_outlives_its_parent_s_connections() {
    if !alone("fork::a_child_outlives_its_parent_s_connections") {
        return;
    }
    let folder = Folder::new();
    let store = folder.store(&json!({"SHARDS": 1}));
    set(&store, "k", Input::Text("parent"));
    let (mut from_child, mut to_parent) = std::io::pipe().unwrap();
    let (mut from_parent, mut to_child) = std::io::pipe().unwrap();
    let child = child(|| {
        set(&store, "child", Input::Text("first"));
        to_parent.write_all(b"x").unwrap();
        let mut byte = [0];
        from_parent.read_exact(&mut byte).unwrap();
        let seen = json_of(&store, "python").unwrap() == "'seen'" || json_of(&store, "python").unwrap() == "\"seen\"";
        set(&store, "child", Input::Text("second"));
        seen && json_of(&store, "child").unwrap() == "\"second\""
    });
    let mut byte = [0];
    from_child.read_exact(&mut byte).unwrap();
    drop(store); // closes the parent's connections
    let mut python = folder.python(&json!({"SHARDS": 1}));
    python.set("python", "'seen'");
    drop(python);
    to_child.write_all(b"x").unwrap();
    assert_eq!(ended(child), 0);
    let mut python = folder.python(&json!({"SHARDS": 1}));
    assert_eq!(python.get("child"), "'second'");
    assert_eq!(python.get("k"), "'parent'");
    python.no_faults();
}

/// A writer that is killed leaves at most files that no row names, which `purge_expired` removes when they are old.
#[test]
fn a_killed_writer_leaves_only_files() {
    if !alone("fork::a_killed_writer_leaves_only_files") {
        return;
    }
    let folder = Folder::new();
    let params = json!({"SHARDS": 1});
    folder.store(&params).ping(&call()).unwrap();
    let large = "x".repeat(2_000_000);
    for pause in [2, 5, 9, 14, 20] {
        let store = folder.store(&params);
        let writer = child(|| {
            (0..1000).for_each(|number| set(&store, &format!("k{}", number % 5), Input::Text(&large)));
            true
        });
        std::thread::sleep(Duration::from_millis(pause));
        // SAFETY: the child is ours.
        assert_eq!(unsafe { libc::kill(writer, libc::SIGKILL) }, 0);
        ended(writer);
    }
    // one as a writer leaves it that was killed between the file and the row
    let left = folder.0.join("cache/000/aa/bb/0123456789abcdef0123456789ab.val");
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    std::fs::write(&left, "half").unwrap();
    let mut python = folder.python(&params);
    let faults = python.must("check", json!({}));
    let harmless = |fault: &Value| {
        let fault = fault.as_str().unwrap();
        fault.starts_with("unknown file: ") || fault.starts_with("empty directory: ")
    };
    assert!(faults.as_array().unwrap().iter().all(harmless), "{faults}");
    let store = folder.store(&params);
    assert_eq!(store.purge_expired(&call()).unwrap(), 0);
    assert!(left.exists()); // somebody may be about to name it
    let before = SystemTime::now() - Duration::from_hours(2);
    for file in folder.value_files() {
        std::fs::File::open(file).unwrap().set_modified(before).unwrap();
    }
    assert!(store.purge_expired(&call()).unwrap() >= 1);
    assert!(!left.exists());
    let faults = python.must("check", json!({}));
    assert!(faults.as_array().unwrap().iter().all(|fault| fault.as_str().unwrap().starts_with("empty")), "{faults}");
    assert!((0..5).all(|number| {
        store.get(&format!("k{number}"), &call()).unwrap().is_none_or(|value| value.text().unwrap().shown == large)
    }));
}
