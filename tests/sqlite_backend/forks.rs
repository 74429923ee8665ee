//! A forked child has connections of its own, and leaves its parent's alone.
#![allow(unsafe_code)]

use super::common::alone::alone;
use super::{LONG, Place, Short};

/// Runs `body` in a forked child; whether it said that all is well.
fn in_child(body: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs only `body`, and leaves without running anything of the test harness.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(false);
        // SAFETY: as above.
        unsafe { libc::_exit(i32::from(!well)) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and the place can be written.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status == 0
}

#[test]
fn both_sides_go_on() {
    if !alone("forks::both_sides_go_on") {
        return;
    }
    for mode in ["delete", "wal"] {
        let place = Place::with_table(mode);
        let store = place.store();
        store.put("parent", "before", LONG);
        let well = in_child(|| {
            let read = store.read_text("parent").as_deref() == Some("before");
            for number in 0..50 {
                store.put(&format!("child {number}"), "v", LONG);
            }
            read && store.read_text("child 49").as_deref() == Some("v")
        });
        assert!(well, "{mode}");
        assert_eq!(store.read_text("child 49").unwrap(), "v");
        store.put("parent", "after", LONG);
        assert_eq!(place.count(), 51);
        place.sql("PRAGMA integrity_check");
    }
}

/// In WAL mode the last connection that is closed removes the log: a child's must count.
#[test]
fn a_child_s_writes_outlive_its_parent_s_connections() {
    if !alone("forks::a_child_s_writes_outlive_its_parent_s_connections") {
        return;
    }
    let place = Place::with_table("wal");
    let store = place.store();
    store.put("parent", "v", LONG);
    let (mut ready, mut go) = ([0; 2], [0; 2]);
    // SAFETY: both are places for two descriptors.
    assert_eq!(unsafe { libc::pipe(ready.as_mut_ptr()) + libc::pipe(go.as_mut_ptr()) }, 0);
    let wait = |end: i32| {
        let mut byte = [0_u8];
        // SAFETY: a place for one byte.
        unsafe { libc::read(end, byte.as_mut_ptr().cast(), 1) == 1 }
    };
    // SAFETY: one byte is there.
    let tell = |end: i32| unsafe { libc::write(end, b"x".as_ptr().cast(), 1) == 1 };
    // SAFETY: as in `in_child`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let work = || {
            store.put("child", "before", LONG);
            assert!(tell(ready[1]) && wait(go[0]));
            for number in 0..50 {
                store.put(&format!("late {number}"), "v", LONG);
            }
        };
        let well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_ok();
        std::mem::forget(store);
        // SAFETY: as in `in_child`.
        unsafe { libc::_exit(i32::from(!well)) };
    }
    assert!(wait(ready[0]));
    drop(store); // closes the parent's connections, if there are any
    let fresh = place.store(); // somebody new, as the first of this process
    assert_eq!(fresh.read_text("child").unwrap(), "before");
    fresh.put("new", "v", LONG);
    drop(fresh);
    assert!(tell(go[1]));
    let mut status = 0;
    // SAFETY: as in `in_child`.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert_eq!(place.count(), 53);
    let checked: String = rusqlite::Connection::open(place.file())
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(checked, "ok");
}
