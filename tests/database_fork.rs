//! A forked child uses a store over connections of its own, and its parent's sessions never notice.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "redis"))] // the helpers are the Redis tests' too
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, unsafe_code)]

mod common;

use common::client::{Call, Context, Input, Store, Ttl};
use common::database::{Site, new_name, wait_until};
use common::flight::{LONG, Runtime};
use larder::capi::status::LARDER_OK;
use larder::error::Kind;
use larder::key::MadeKey;
use serde_json::json;

fn set(store: &Store, key: &str, value: &str) {
    assert_eq!(store.set(key, Input::Text(value), Ttl::Default, Call::default()).unwrap(), LARDER_OK);
}

fn get(store: &Store, key: &str) -> Option<String> {
    store.get(key, Call::default()).unwrap().map(|value| value.text().unwrap().shown)
}

/// Runs something in a forked child, and tells whether it came to its end.
fn in_child(what: impl FnOnce()) -> bool {
    // SAFETY: the child runs only this and leaves at once, without the harness's own clean-up.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(what)).is_ok();
        // SAFETY: as above.
        unsafe { libc::_exit(i32::from(!ended)) };
    }
    let mut status = -1;
    // SAFETY: the child is ours, and the place can be written.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status == 0
}

// One test, so that no other thread is in the middle of something when it forks.
#[test]
fn a_child_has_connections_of_its_own() {
    for site in Site::both_alone() {
        let name = site.name();
        let table = new_name();
        let runtime = Runtime::start();
        let backend = site.open(&table, &json!({}), runtime.clone());
        backend.create_table(LONG).unwrap();
        let context = Context::open(&site.config(&table, &json!({})).to_string()).unwrap();
        let store = context.store("default").unwrap();
        set(&store, "k", "parent");
        let before = site.sessions();
        assert_eq!(before.len(), 2, "{name}");
        let ended = in_child(|| {
            assert_eq!(get(&store, "k").unwrap(), "parent"); // the same handle, another session
            assert_eq!(site.sessions().len(), 3);
            set(&store, "k", "child");
            let forked = backend.get(&MadeKey::as_is("k"), LONG).unwrap_err();
            assert_eq!(forked.kind(), Kind::Forked, "{forked}");
            drop((store_again(&context), taken(&backend))); // and what was inherited goes without a word
            let grandchild = in_child(|| assert_eq!(get(&store, "k").unwrap(), "child"));
            assert!(grandchild);
            assert_eq!(get(&store, "k").unwrap(), "child");
            drop(taken(&store));
            drop(taken(&context));
        });
        assert!(ended, "{name}: the child failed");
        wait_until("the child's sessions have ended", || site.sessions().len() == 2);
        assert_eq!(site.sessions(), before, "{name}");
        // the parent's own go on
        assert_eq!(get(&store, "k").unwrap(), "child", "{name}");
        assert!(backend.has(&MadeKey::as_is(":1:k"), LONG).unwrap(), "{name}");
        set(&store, "k", "parent again");
        assert_eq!(get(&store, "k").unwrap(), "parent again");
        assert_eq!(site.sessions(), before, "{name}");
    }
}

/// The child's copy of something, to be dropped there.
fn taken<T>(inherited: &T) -> T {
    // SAFETY: the child leaves without dropping what it is a copy of.
    unsafe { std::ptr::read(inherited) }
}

fn store_again(context: &Context) -> Store {
    context.store("default").unwrap()
}
