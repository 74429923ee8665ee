//! Times to live: whoever writes, both sides and the server (or the file) agree.

use std::time::{Duration, Instant};

use larder::capi::status::LARDER_EUNSUPPORTED;
use serde_json::{Value, json};

use super::LARDER_OK;
use super::common::client::{Input, Store, Ttl};
use super::world::{ALIASES, Alias, Kind, PLAIN, World, ZONES, in_turn};

/// How much clocks and roundings may differ, in ms: what is left may be shorter by the first, longer by the second.
fn slack(kind: Kind) -> (i64, i64) {
    match kind {
        Kind::Core | Kind::DjangoRedis | Kind::File | Kind::DiskCache => (50, 50),
        Kind::Database(_) => (1050, 50), // DB-5: cut to the second
        // its clock moves once a second, and has begun at some time within one
        Kind::Memcached(_) | Kind::MemcachedSocket => (2050, 2050),
    }
}

/// Times to live: Python's `timeout` argument, larder's, and what is left at once, in ms.
fn times(kind: Kind) -> Vec<(Value, Ttl, Option<i64>)> {
    let mut times = vec![
        (json!("default"), Ttl::Default, Some(300_000)),
        (json!(100), Ttl::Millis(100_000), Some(100_000)),
        (json!(null), Ttl::Forever, None),
        (json!(2_592_001), Ttl::Millis(2_592_001_000), Some(2_592_001_000)),
    ];
    match kind {
        // T: whole seconds
        Kind::Core | Kind::Memcached(_) | Kind::MemcachedSocket => {
            times.push((json!(99.9), Ttl::Millis(99_900), Some(99_000)));
        }
        Kind::DjangoRedis | Kind::File | Kind::Database(_) | Kind::DiskCache => {
            times.push((json!(99.9), Ttl::Millis(99_900), Some(99_900)));
        }
    }
    times
}

#[test]
fn times_to_live_agree() {
    in_turn(|servers| {
        let mut world = World::start(servers);
        agree_on_times(&mut world, &ALIASES);
    });
}

/// DB-5: without USE_TZ the tables have what the clock on the wall says.
#[test]
fn times_of_tables_agree_without_time_zones() {
    in_turn(|servers| {
        let mut world = World::start_in(servers, ZONES[1]);
        let tables: Vec<_> = ALIASES.into_iter().filter(|alias| matches!(alias.kind, Kind::Database(_))).collect();
        agree_on_times(&mut world, &tables);
    });
}

fn agree_on_times(world: &mut World, aliases: &[Alias]) {
    {
        for &alias in aliases {
            let store = world.store(alias.name);
            for (python, larder, left) in times(alias.kind) {
                let what = format!("{}, {python}", alias.name);
                let begin = Instant::now();
                set_by_python(world, alias, "t", &python);
                check(world, &store, alias, (begin, left), &format!("{what}, set by Python"));
                let begin = Instant::now();
                assert_eq!(store.set("t", Input::Json("1"), larder, PLAIN), Ok(LARDER_OK), "{what}");
                check(world, &store, alias, (begin, left), &format!("{what}, set by larder"));
                assert!(store.delete("t", PLAIN).is_ok());
                let begin = Instant::now();
                assert_eq!(store.add("t", Input::Json("1"), larder, PLAIN), Ok(LARDER_OK), "{what}");
                check(world, &store, alias, (begin, left), &format!("{what}, added by larder"));

                // touched by the one, seen by the other
                set_by_python(world, alias, "t", &json!(1000));
                let begin = Instant::now();
                assert_eq!(store.expire("t", larder, PLAIN), Ok(LARDER_OK), "{what}");
                check(world, &store, alias, (begin, left), &format!("{what}, touched by larder"));
                assert_eq!(store.set("t", Input::Json("1"), Ttl::Millis(1_000_000), PLAIN), Ok(LARDER_OK), "{what}");
                let begin = Instant::now();
                let arguments = if python == "default" { json!(["t"]) } else { json!(["t", python]) };
                assert_eq!(world.partner.call(alias.name, "touch", &arguments), json!(true), "{what}");
                check(world, &store, alias, (begin, left), &format!("{what}, touched by Python"));
                assert_eq!(store.get("t", PLAIN).unwrap().unwrap().json().unwrap().shown, "1", "{what}");
            }
            assert_eq!(store.set("t", Input::Json("1"), Ttl::Default, PLAIN), Ok(LARDER_OK));
            let begin = Instant::now();
            assert_eq!(store.persist("t", PLAIN), Ok(LARDER_OK));
            check(world, &store, alias, (begin, None), &format!("{}, persisted", alias.name));
        }
    }
}

#[test]
fn the_timeout_of_the_alias_is_the_default_of_both() {
    in_turn(|servers| {
        let mut world = World::start(servers);
        for (name, python_sees) in [("short", json!(7)), ("forever", json!(null))] {
            let store = world.store(name);
            world.partner.call(name, "set", &json!(["by_Python", 1]));
            assert_eq!(store.set("by_larder", Input::Json("1"), Ttl::Default, PLAIN), Ok(LARDER_OK));
            for key in ["by_Python", "by_larder"] {
                let (left, made) = (store.ttl(key, PLAIN).unwrap().unwrap(), format!(":1:{key}"));
                let server = world.servers.redis.command(1, &[b"TTL", made.as_bytes()]);
                match python_sees.as_i64() {
                    Some(seconds) => {
                        assert!(matches!(left, Ttl::Millis(left) if (1..=seconds * 1000).contains(&left)), "{left:?}");
                        assert_ne!(server, b"-1", "{name}, {key}");
                    }
                    None => assert_eq!((left, server), (Ttl::Forever, b"-1".to_vec()), "{name}, {key}"),
                }
            }
        }
    });
}

#[test]
fn both_see_the_end() {
    in_turn(|servers| {
        let mut world = World::start(servers);
        for alias in ALIASES {
            let store = world.store(alias.name);
            world.partner.call(alias.name, "set", &json!(["by_Python", 1, 1]));
            assert_eq!(store.set("by_larder", Input::Json("1"), Ttl::Millis(1000), PLAIN), Ok(LARDER_OK));
            // Zero and less are over at once.
            world.partner.call(alias.name, "set", &json!(["zero_by_Python", 1, 0]));
            store.set("zero_by_larder", Input::Json("1"), Ttl::Millis(0), PLAIN).unwrap();
            store.set("less_by_larder", Input::Json("1"), Ttl::Millis(-5000), PLAIN).unwrap();
        }
        for late in [false, true] {
            if late {
                std::thread::sleep(Duration::from_millis(1300));
            }
            for alias in ALIASES {
                let store = world.store(alias.name);
                let mut keys = vec!["zero_by_Python", "zero_by_larder", "less_by_larder"];
                if late {
                    keys.extend(["by_Python", "by_larder"]);
                }
                for key in keys {
                    let what = format!("{}, {key}", alias.name);
                    // Python must look first, and on other files than larder: who sees an end removes the file.
                    if key.ends_with("larder") {
                        assert_eq!(world.partner.call(alias.name, "get", &json!([key])), Value::Null, "{what}");
                        assert_eq!(world.partner.call(alias.name, "has_key", &json!([key])), json!(false), "{what}");
                    }
                    assert!(store.get(key, PLAIN).unwrap().is_none(), "{what}");
                    assert_ne!(store.has(key, PLAIN), Ok(LARDER_OK), "{what}");
                    if !alias.kind.is_memcached() {
                        assert_eq!(store.ttl(key, PLAIN), Ok(None), "{what}");
                    }
                    assert_eq!(world.partner.call(alias.name, "has_key", &json!([key])), json!(false), "{what}");
                }
            }
        }
    });
}

fn set_by_python(world: &mut World, alias: Alias, key: &str, timeout: &Value) {
    let arguments = if timeout == "default" { json!([key, 1]) } else { json!([key, 1, timeout]) };
    world.partner.call(alias.name, "set", &arguments);
}

/// When a time to live began, and how long it is (`None`: without an end).
type Life = (Instant, Option<i64>);

/// Asserts that the key `t` has what is left of a life, for larder, and for Python, the file, the table or the server.
fn check(world: &mut World, store: &Store, alias: Alias, life: Life, what: &str) {
    let slack = slack(alias.kind);
    match store.ttl("t", PLAIN) {
        Err(failure) if alias.kind.is_memcached() => assert_eq!(failure.status, LARDER_EUNSUPPORTED, "{failure:?}"),
        seen => {
            let seen = seen.unwrap().unwrap_or_else(|| panic!("{what}: it is not there"));
            agree(millis(seen), life, slack, &format!("{what}, for larder"));
        }
    }
    if alias.kind == Kind::DjangoRedis {
        let seen = world.partner.call(alias.name, "pttl", &json!(["t"]));
        agree(seen.as_i64(), life, slack, &format!("{what}, for Python"));
    }
    if alias.kind == Kind::File {
        let header = world.partner.must("header", json!({"alias": alias.name, "key": "t"}));
        assert_eq!(header[1], if life.1.is_some() { 21 } else { 4 }, "{what}: FB-3");
    }
    let seen = world.left(alias, "t");
    assert_ne!(seen, -2, "{what}: the server does not have it");
    agree((seen != -1).then_some(seen), life, slack, &format!("{what}, for the server"));
}

fn millis(ttl: Ttl) -> Option<i64> {
    match ttl {
        Ttl::Millis(left) => Some(left),
        Ttl::Forever => None,
        other @ Ttl::Default => panic!("{other:?} is left"),
    }
}

fn agree(seen: Option<i64>, (begin, whole): Life, (less, more): (i64, i64), what: &str) {
    let gone = i64::try_from(begin.elapsed().as_millis()).unwrap();
    match (seen, whole) {
        (None, None) => {}
        (Some(seen), Some(whole)) if (whole - gone - less..=whole + more).contains(&seen) => {}
        _ => panic!("{what}: {seen:?} ms are left of {whole:?}, {gone} ms later"),
    }
}
