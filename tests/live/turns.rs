//! Operations in turn: what one side does, the other goes on from.

use larder::capi::status::{LARDER_MISS, LARDER_NOT_STORED};
use larder::capi::upkeep::LARDER_CLEAR_EVERYTHING;
use serde_json::{Value, json};

use super::LARDER_OK;
use super::common::client::{Call, Input, Ttl};
use super::world::{ALIASES, Alias, Kind, PLAIN, World, in_turn};

#[test]
fn both_add_to_one_number() {
    in_turn(|servers| {
        let mut world = World::start(servers);
        for alias in ALIASES {
            let store = world.store(alias.name);
            world.partner.call(alias.name, "set", &json!(["n", 400]));
            let mut number = 400;
            for delta in [1, 10, -3, 0, -100, 1_000_000_007] {
                number += delta;
                assert_eq!(store.incr("n", delta, PLAIN), Ok(Some(number.to_string())), "{}", alias.name);
                number += delta;
                assert_eq!(
                    world.partner.call(alias.name, "incr", &json!(["n", delta])),
                    json!(number),
                    "{}",
                    alias.name
                );
                number -= delta;
                assert_eq!(
                    world.partner.call(alias.name, "decr", &json!(["n", delta])),
                    json!(number),
                    "{}",
                    alias.name
                );
            }
            assert_eq!(store.incr("there_is_none", 1, PLAIN), Ok(None));
            match alias.kind {
                Kind::Core | Kind::DiskCache => continue,
                Kind::Memcached(_) | Kind::MemcachedSocket => {
                    memcached_counts(&mut world, alias);
                    continue;
                }
                Kind::DjangoRedis | Kind::File | Kind::Database(_) => {}
            }
            // Where Python adds: beyond 64 bits, and floats (DR-20, O-3).
            store.set("n", Input::Json("9223372036854775807"), Ttl::Default, PLAIN).unwrap();
            assert_eq!(store.incr("n", 1, PLAIN), Ok(Some("9223372036854775808".into())), "{}", alias.name);
            world.partner.call(alias.name, "incr", &json!(["n"]));
            world.python_has(alias.name, "n", "9223372036854775809");
            assert_eq!(store.incr("n", -1, PLAIN), Ok(Some("9223372036854775808".into())), "{}", alias.name);
            world.partner.call(alias.name, "set", &json!(["n", 1.5]));
            assert_eq!(store.incr("n", 1, PLAIN), Ok(Some("2.5".into())), "{}", alias.name);
            world.partner.call(alias.name, "incr", &json!(["n", 0.25]));
            assert_eq!(store.incr("n", 0, PLAIN), Ok(Some("2.75".into())), "{}", alias.name);
            world.python_has(alias.name, "n", "2.75");
        }
    });
}

/// Numbers of 64 bits without a sign, which stop at 0 and begin again after the last; what is written over a longer one
/// has blanks behind it (O-8, pitfall 19).
fn memcached_counts(world: &mut World, alias: Alias) {
    let (store, name) = (world.store(alias.name), alias.name);
    world.partner.call(name, "set", &json!(["n", 10]));
    assert_eq!(store.incr("n", -1, PLAIN), Ok(Some("9".into())), "{name}");
    assert_eq!(store.get("n", PLAIN).unwrap().unwrap().json().unwrap().shown, "9", "{name}");
    world.python_has(name, "n", "9");
    assert_eq!(store.incr("n", -100, PLAIN), Ok(Some("0".into())), "{name}");
    world.python_has(name, "n", "0");
    store.set("n", Input::Json("18446744073709551614"), Ttl::Default, PLAIN).unwrap();
    assert_eq!(world.partner.call(name, "incr", &json!(["n"])), json!(u64::MAX), "{name}");
    assert_eq!(store.incr("n", 1, PLAIN), Ok(Some("0".into())), "{name}");
    world.python_has(name, "n", "0");
}

#[test]
fn what_one_removes_is_gone_for_the_other() {
    in_turn(|servers| {
        let mut world = World::start(servers);
        for alias in ALIASES {
            let (store, name) = (world.store(alias.name), alias.name);
            for key in ["a", "b", "c", "d"] {
                world.partner.call(name, "set", &json!([key, key]));
            }
            assert_eq!(store.delete("a", PLAIN), Ok(LARDER_OK), "{name}");
            assert_eq!(world.partner.call(name, "get", &json!(["a", "gone"])), "gone", "{name}");
            assert_eq!(world.partner.call(name, "delete", &json!(["a"])), json!(false), "{name}");
            assert_eq!(world.partner.call(name, "delete", &json!(["b"])), json!(true), "{name}");
            assert!(store.get("b", PLAIN).unwrap().is_none(), "{name}");
            assert_eq!(store.delete("b", PLAIN), Ok(LARDER_MISS), "{name}");
            assert_eq!(store.delete_many(&["a", "c", "d"], PLAIN), Ok(2), "{name}");
            assert_eq!(world.partner.call(name, "get_many", &json!([["a", "b", "c", "d"]])), json!({}), "{name}");

            // add: the first one wins, whoever it is
            assert_eq!(world.partner.call(name, "add", &json!(["e", 1])), json!(true), "{name}");
            assert_eq!(store.add("e", Input::Json("2"), Ttl::Default, PLAIN), Ok(LARDER_NOT_STORED), "{name}");
            assert_eq!(store.add("f", Input::Json("2"), Ttl::Default, PLAIN), Ok(LARDER_OK), "{name}");
            assert_eq!(world.partner.call(name, "add", &json!(["f", 1])), json!(false), "{name}");
            assert_eq!(world.partner.call(name, "get_many", &json!([["e", "f"]])), json!({"e": 1, "f": 2}), "{name}");
        }
    });
}

#[test]
fn many_at_once_and_versions() {
    in_turn(|servers| {
        let mut world = World::start(servers);
        for alias in ALIASES {
            let (store, name) = (world.store(alias.name), alias.name);
            let items = [("é_1", "[1, null]"), ("é_2", "\"two\""), ("é_3", "3")];
            let set = store.set_many(&items, Ttl::Default, Call::version(Some("8")));
            assert_eq!(set, Ok((LARDER_OK, vec![false; 3])), "{name}");
            let keys =
                json!({"alias": name, "method": "get_many", "arguments": [["é_1", "é_2", "é_3", "é_4"]], "version": 8});
            let found = world.partner.must("call", keys);
            assert_eq!(found, json!({"é_1": [1, null], "é_2": "two", "é_3": 3}), "{name}");
            world.partner.call(name, "set_many", &json!([{"x": 1, "y": [2.5]}]));
            let found = store.get_many(&["x", "none", "y"], PLAIN).unwrap();
            let found = found.iter().map(|value| value.as_ref().map(|value| value.json().unwrap().shown));
            assert_eq!(found.collect::<Vec<_>>(), [Some("1".into()), None, Some("[2.5]".into())], "{name}");

            // to another version by one, and back by the other
            let version: i64 = alias.version.parse().unwrap();
            assert_eq!(store.incr_version("y", 4, PLAIN), Ok(Some(version + 4)), "{name}");
            let there = json!({"alias": name, "method": "decr_version", "arguments": ["y", 4], "version": version + 4});
            assert_eq!(world.partner.must("call", there), json!(version), "{name}");
            assert_eq!(store.get("y", PLAIN).unwrap().unwrap().json().unwrap().shown, "[2.5]", "{name}");
        }
    });
}

#[test]
fn clearing_clears_for_both() {
    in_turn(|servers| {
        let mut world = World::start(servers);
        for alias in ALIASES {
            let (store, name) = (world.store(alias.name), alias.name);
            world.partner.call(name, "set", &json!(["k", 1]));
            assert_eq!(store.clear(LARDER_CLEAR_EVERYTHING, PLAIN), Ok(LARDER_OK), "{name}");
            assert_eq!(world.partner.call(name, "get", &json!(["k"])), Value::Null, "{name}");
            store.set("k", Input::Json("1"), Ttl::Default, PLAIN).unwrap();
            world.partner.call(name, "clear", &json!([]));
            assert!(store.get("k", PLAIN).unwrap().is_none(), "{name}");
        }
    });
}
