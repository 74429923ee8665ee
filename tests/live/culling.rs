//! Both sides write to one small directory, and both make room (FB-8).

use serde_json::json;

use super::common::client::{Input, Ttl};
use super::world::{PLAIN, World, in_turn};
use super::{FEW, LARDER_OK};

#[test]
fn both_sides_count_and_cull_each_others_files() {
    in_turn(|servers| {
        let mut world = World::start(servers);
        let store = world.store("small");
        let mut fewest = FEW;
        for number in 0..200 {
            let (key, json) = (format!("k{number}"), number.to_string());
            // Ten by one, then ten by the other: each finds the other's files, and has to make room among them.
            if number / 10 % 2 == 0 {
                assert_eq!(store.set(&key, Input::Json(&json), Ttl::Default, PLAIN), Ok(LARDER_OK));
                world.python_has("small", &key, &json);
            } else {
                world.partner.call("small", "set", &json!([key, number]));
                let value = store.get(&key, PLAIN).unwrap().expect("Python has just set it");
                assert_eq!(value.json().unwrap().shown, json);
            }
            let count = world.partner.must("count_files", json!({"alias": "small"})).as_u64().unwrap();
            assert!(count <= FEW + 1, "{count} files after {key}, and MAX_ENTRIES is {FEW}");
            if number > FEW {
                fewest = fewest.min(count);
            }
        }
        // A third goes (CULL_FREQUENCY 3), never more.
        assert!(fewest >= FEW - FEW / 3, "{fewest} files were left after a cull");
        assert!(fewest < FEW, "nothing was ever culled");
    });
}
