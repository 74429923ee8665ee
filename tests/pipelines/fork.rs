//! A forked child does not wait for its parent's loads.

use std::sync::{Mutex, mpsc};

use larder::pyot::ask::{Ask, Operation, TokenRef};

use crate::bed::{Bed, Face, LONG, ONE, Own, begin, loaded, text, usual, value};
use crate::common::alone::alone;

#[test]
fn a_child_loads_for_itself() {
    if !alone("fork::a_child_loads_for_itself") {
        return;
    }
    larder::sys::watch_forks();
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let parent = std::process::id();
    let loader = Own::new(move |load| {
        if std::process::id() == parent {
            let _ = sender.lock().unwrap().send(load); // to be answered later
        } else {
            load.done(loaded("the child's"));
        }
    });
    let bed = Bed::loading(&usual(), loader);
    let end = begin(&bed.pipeline, Face::Later, &Operation::Get { token: TokenRef::from(ONE) }, &Ask::default());
    let load = receiver.recv_timeout(LONG).unwrap();
    // SAFETY: the child uses only what is made for it, and leaves at once.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let found = bed.get(Face::Now, ONE).ok().flatten();
        let fine = found.is_some_and(|found| text(&found) == "the child's") && bed.flights.is_empty();
        // SAFETY: ends the child without running anything of the test harness.
        unsafe { libc::_exit(i32::from(!fine)) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, and the place can be written.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert_eq!(bed.flights.len(), 1, "the parent's goes on");
    load.done(loaded("the parent's"));
    let found = value(end().unwrap()).unwrap();
    assert!(found.level.is_none() && text(&found) == "the parent's");
}
