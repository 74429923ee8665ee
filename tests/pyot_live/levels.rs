//! Order, removal and membership over all stores, for both sides (PY-P1 to PY-P3).

use serde_json::json;

use super::world::{DATABASE, DISK, FILE, FOREVER, REDIS, STORES, World, call};

pub fn both_ask_the_stores_in_the_same_order(world: &mut World) {
    let one = call(FOREVER, r#"{"id": 1}"#);
    for (store, value) in [(DISK, "\"disk\""), (DATABASE, "\"database\""), (REDIS, "\"redis\"")] {
        world.only_in(&one, DISK);
        world.python("put", &one, Some(store), Some(value));
        assert_eq!(world.get(&one), Some((store, value.to_owned())));
        // what is behind the store that had it stays as it was
        let behind = if store == DISK { value } else { "\"disk\"" };
        assert_eq!(world.python_has(&one, DISK).as_deref(), Some(behind), "{}", world.version);
        assert_eq!(world.python_has(&one, FILE).as_deref(), Some(value), "{}", world.version);
        assert_eq!(world.python("get", &one, None, None)[1], json!(value));
    }
}

pub fn both_remove_and_see_all_that_is_there(world: &mut World) {
    let one = call(FOREVER, r#"{"id": 2}"#);
    for store in STORES {
        world.python("put", &one, Some(store), Some("1"));
        assert!(world.contains(&one), "store {store}");
        assert!(world.delete(&one), "store {store}");
        assert_eq!(world.python("contains", &one, None, None), json!(false), "store {store}");
    }
    world.set(&one, "1");
    world.python("delete", &one, None, None);
    assert!(!world.contains(&one) && world.get(&one).is_none() && !world.delete(&one));
}
