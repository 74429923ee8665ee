//! Values of both sides, in every store.

use larder::backend::Written;
use serde_json::json;

use super::world::{DISK, FOREVER, MINUTES, RAW_REDIS, REDIS, STORES, World, call};

/// Riot's answers, and the bounds of what is stored in other ways than the rest.
const VALUES: [&str; 9] = [
    r#"{"id": "x-y_z", "accountId": "a\u00e9", "name": "Hide on bush", "profileIconId": 6, "revisionDate": 1588539284000}"#,
    r#"[{"queueType": "RANKED_SOLO_5x5", "wins": 12}, {"queueType": "RANKED_FLEX_SR", "wins": 3}]"#,
    r#""text""#,
    "7",
    "1180591620717411303424",
    "1.5",
    "true",
    "[]",
    r#"{"nested": [[1, {"a": null}], "", "\u00e9\uc548"]}"#,
];

pub fn values_are_read_by_the_other(world: &mut World) {
    for (number, value) in VALUES.iter().enumerate() {
        let one = call(MINUTES, &json!({"name": format!("Player {number}")}).to_string());
        for store in STORES {
            // Pyot writes to one of its stores, larder finds it there and writes it back, and Pyot reads all of it
            world.remove(&one);
            world.python("put", &one, Some(store), Some(value));
            let (level, found) = world.get(&one).unwrap_or_else(|| panic!("{value} in store {store} is not found"));
            assert_eq!((level, found.as_str()), (store, *value), "{}", world.version);
            for earlier in STORES {
                let there = (earlier <= store).then_some(*value);
                assert_eq!(world.python_has(&one, earlier).as_deref(), there, "{earlier} from {store}");
            }
            // larder writes, and each of Pyot's stores has it
            world.remove(&one);
            assert_eq!(world.set(&one, value), Written::Stored);
            world.only_in(&one, store);
            assert_eq!(world.python_has(&one, store).as_deref(), Some(*value), "{store}");
            // Pyot's own pipeline writes it back, and larder finds it in the first
            assert_eq!(world.python("get", &one, None, None)[1], json!(value));
            assert_eq!(world.get(&one).unwrap(), (0, (*value).to_owned()), "{}", world.version);
        }
        assert!(world.delete(&one) && !world.delete(&one));
    }
}

/// What JSON cannot say travels from store to store too: a pickle is passed on as it is.
pub fn python_objects_are_written_back(world: &mut World) {
    for odd in ["thing", "date", "set", "tuple", "bytes", "keys"] {
        let one = call(FOREVER, &json!({"name": odd}).to_string());
        for store in [REDIS, RAW_REDIS, DISK] {
            world.remove(&one);
            world.python("put", &one, Some(store), Some(odd));
            let found = world.found(&one).expect(odd);
            assert_eq!(found.level, Some(store), "{odd}");
            for earlier in 0..=store {
                let there = world.python("is_odd", &one, Some(earlier), Some(odd));
                assert_eq!(there, json!(true), "{odd} in {earlier} from {store}");
            }
        }
    }
}

/// Pyot's own objects show what larder has written.
pub fn pyots_objects_show_larders_entries(world: &mut World) {
    let written = world.set(
            &call(MINUTES, r#"{"name": "Hide on bush"}"#),
            r#"{"name": "Hide on bush", "id": "i", "accountId": "a", "puuid": "p", "profileIconId": 6, "summonerLevel": 543}"#,
        );
    assert_eq!(written, Written::Stored);
    assert_eq!(world.python.must("summoner", json!({"name": "Hide on bush"})), json!([543, "p"]));
}
