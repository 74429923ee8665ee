//! MAX_ENTRIES and CULL_FREQUENCY (DB-8, DB-11).

use larder::store::Call;
use larder::timeout::Ttl;
use serde_json::json;

use super::{LONG, Place, SPENT, Short};

fn limits(most: i64, frequency: i64) -> serde_json::Value {
    json!({"OPTIONS": {"MAX_ENTRIES": most, "CULL_FREQUENCY": frequency}})
}

#[test]
fn a_writer_alone_culls_as_django_does() {
    let place = Place::with_table("delete");
    let store = place.store_with(&limits(5, 3));
    for number in 0..6 {
        store.put(&format!("k{number}"), "v", LONG); // one more than the limit: it is looked before the write
    }
    assert_eq!(place.count(), 6);
    store.put("z", "v", LONG); // 6 // 3 = 2 go, by the alphabet
    assert_eq!(place.keys(), [":1:k2", ":1:k3", ":1:k4", ":1:k5", ":1:z"]);
    store.put("a", "v", SPENT);
    store.put("b", "v", LONG); // the one that is over goes, which is enough
    assert_eq!(place.keys(), [":1:b", ":1:k2", ":1:k3", ":1:k4", ":1:k5", ":1:z"]);
}

#[test]
fn frequency_0_drops_all_and_odd_numbers_do_no_harm() {
    let place = Place::with_table("delete");
    let store = place.store_with(&limits(3, 0));
    for number in 0..5 {
        store.put(&number.to_string(), "v", LONG);
    }
    assert_eq!(place.keys(), [":1:4"]);
    for (most, frequency) in [(0, 3), (-7, 3), (2, -3), (2, 1_000_000), (2, i64::MAX), (i64::MAX, 1), (2, 1)] {
        store.clear(larder::store::Scope::Everything, &Call::default()).unwrap();
        let other = place.store_with(&limits(most, frequency));
        for number in 0..20 {
            other.put(&number.to_string(), "v", LONG);
        }
        assert_eq!(other.read_text("19").unwrap(), "v", "{most} {frequency}");
    }
}

/// The bound that `database/census.rs` states.
#[test]
fn writers_overshoot_by_a_bounded_number() {
    const MOST: u64 = 64;
    let place = Place::with_table("wal");
    let stores: Vec<_> = (0..4).map(|_| place.store_with(&limits(64, 2))).collect();
    let bound = MOST + 1 + 4 * (MOST / 16) + 4;
    std::thread::scope(|scope| {
        for (number, store) in stores.iter().enumerate() {
            scope.spawn(move || {
                for round in 0..150 {
                    store.put(&format!("{number}-{round}"), "v", LONG);
                }
            });
        }
        for _ in 0..50 {
            let count = place.count();
            assert!(count <= bound, "{count}");
        }
    });
    assert!((1..=bound).contains(&place.count()));
}

/// Far from the limit no COUNT is made: one would read the whole index.
#[test]
fn rows_that_others_add_are_counted_in_time() {
    let place = Place::with_table("delete");
    let store = place.store_with(&limits(100, 2));
    store.put("first", "v", LONG); // counts
    let other = place.store();
    for number in 0..300 {
        other.put(&format!("o{number:03}"), "v", Ttl::Forever);
    }
    for number in 0..5 {
        store.put(&format!("p{number}"), "v", LONG);
    }
    assert_eq!(place.count(), 306);
    store.put("p5", "v", LONG); // the step of 100 / 16 is full
    assert!(place.count() <= 160, "{}", place.count());
}
