//! How long entries live, for both sides (PY-E, PY-S4, PY-S5, PY-S7).

use std::thread::sleep;
use std::time::Duration;

use larder::backend::Written;
use larder::config::Expiry;
use serde_json::json;

use super::world::{FOREVER, MINUTES, NEVER, RAW_REDIS, REDIS, SECOND, STORES, World, call};

const NAME: &str = r#"{"name": "x"}"#;

/// PY-E1, PY-E6, PY-E7: each game's own table, and nothing besides but the older name.
pub fn the_tables_are_pyots(world: &mut World) {
    let tables = world.python.must("tables", json!({}));
    let caches = json!({"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}});
    for (game, table) in tables.as_object().unwrap() {
        let pyot = table.as_object().unwrap();
        let store = json!({"BACKEND": "pyot.stores.Omnistone"});
        let pipeline = json!({"PYOT": world.version, "PIPELINE": [store]});
        let document = json!({"CACHES": caches, "PIPELINES": {game: pipeline}}).to_string();
        let config = larder::config::read(document.as_bytes(), &|_| None).unwrap();
        let ours = &config.pipelines[0].levels[0].expirations;
        for (name, seconds) in pyot {
            let wanted = match seconds.as_i64() {
                Some(0) => Expiry::Never,
                Some(seconds) => Expiry::Seconds(seconds),
                None => panic!("{game} {name}: {seconds}"),
            };
            assert_eq!(ours.of(name), Some(wanted), "{game} {name}");
        }
        let known: Vec<&str> = ours.names().filter(|name| pyot.get(*name).is_none()).collect();
        let older = if game == "lol" { &["status_v3_shard_data"][..] } else { &[] };
        assert_eq!(known, older, "{game} of version {}", world.version);
    }
}

pub fn both_write_the_same_times(world: &mut World) {
    for by_larder in [true, false] {
        for (method, range) in [(MINUTES, 115_000..=120_000), (FOREVER, -1..=-1), (NEVER, -2..=-2)] {
            let one = call(method, NAME);
            world.remove(&one);
            if by_larder {
                let kept = if method == NEVER { Written::NotKept } else { Written::Stored };
                assert_eq!(world.set(&one, "1"), kept);
            } else {
                world.python("put", &one, None, Some("1"));
            }
            for store in [REDIS, RAW_REDIS] {
                let ttl = world.redis_ttl(&one, store);
                assert!(range.contains(&ttl), "{method} in store {store}: {ttl}");
            }
            let found = (method != NEVER).then(|| (0, "1".to_owned()));
            assert_eq!(world.get(&one), found, "{method}");
            for store in STORES {
                assert_eq!(world.python_has(&one, store).is_some(), method != NEVER, "{method} in {store}");
            }
        }
    }
}

/// PY-S5, PY-S7: what is not to be cached is not read either, but it is there.
pub fn what_is_never_kept_is_never_read(world: &mut World) {
    let one = call(NEVER, NAME);
    for alias in ["file", "database"] {
        world.python.must("by_hand", json!({"alias": alias, "call": one.json(), "value": "1"}));
    }
    assert!(world.get(&one).is_none() && world.contains(&one));
    assert_eq!(world.python("get", &one, None, None), json!(["str", "\"NotFound\""]));
    assert_eq!(world.python("contains", &one, None, None), json!(true));
    // a delete takes no notice of the times either
    assert!(world.delete(&one) && !world.contains(&one));
}

/// PY-S5: a cached None is a miss for both.
pub fn a_none_is_a_miss(world: &mut World) {
    let one = call(FOREVER, NAME);
    world.remove(&one);
    world.python.must("by_hand", json!({"alias": "redis", "call": one.json(), "value": "null"}));
    assert!(world.get(&one).is_none() && !world.contains(&one));
    assert_eq!(world.python("contains", &one, None, None), json!(false));
    world.python("put", &one, Some(2), Some("[2]"));
    assert_eq!(world.get(&one), Some((2, "[2]".to_owned())));
}

pub fn what_is_over_is_over_for_both(world: &mut World) {
    let (larders, pyots) = (call(SECOND, r#"{"id": "larder"}"#), call(SECOND, r#"{"id": "pyot"}"#));
    world.set(&larders, "1");
    world.python("put", &pyots, None, Some("2"));
    sleep(Duration::from_millis(2_100)); // the database counts in whole seconds
    for one in [&larders, &pyots] {
        assert!(world.get(one).is_none(), "{one:?}");
        for store in STORES {
            assert_eq!(world.python_has(one, store), None, "{one:?} in {store}");
        }
    }
}

/// larder's decision: what is written back lives for what is left where that is known, in Pyot for the whole time again.
pub fn what_is_written_back_lives_for_what_is_left(world: &mut World) {
    let one = call(MINUTES, NAME);
    world.remove(&one);
    world.python("put", &one, Some(RAW_REDIS), Some("1"));
    world.server.command(1, &[b"EXPIRE", world.token(&one).as_bytes(), b"30"]);
    assert_eq!(world.get(&one).unwrap().0, RAW_REDIS);
    let left = world.redis_ttl(&one, REDIS);
    assert!((25_000..=30_000).contains(&left), "{left}");
    world.python("delete", &one, Some(0), None);
    world.python("delete", &one, Some(REDIS), None);
    world.python("delete", &one, Some(2), None);
    world.python("get", &one, None, None);
    let whole = world.redis_ttl(&one, REDIS);
    assert!((115_000..=120_000).contains(&whole), "{whole}");
}
