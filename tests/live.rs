//! A real Django process and larder take turns on the same servers and directories: what one writes the other reads as
//! the same value, and times to live agree (contract: PK, R, DR, FB, M, DB, T rules, 1.17).
#![cfg(all(
    feature = "file",
    feature = "redis",
    feature = "memcached",
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql",
    feature = "diskcache",
    feature = "compressors"
))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "live/clients.rs"]
mod clients;
mod common;
#[path = "live/culling.rs"]
mod culling;
#[path = "live/dice.rs"]
mod dice;
#[path = "live/expiry.rs"]
mod expiry;
#[path = "live/matrix.rs"]
mod matrix;
#[path = "live/mixed.rs"]
mod mixed;
#[path = "live/refused.rs"]
mod refused;
#[path = "live/turns.rs"]
mod turns;
#[path = "live/world.rs"]
mod world;

use base64::Engine;
use common::client::{Call, Input, Store, Ttl};
use dice::Dice;
use larder::capi::status::LARDER_OK;
use serde_json::{Value, json};
use world::{ALIASES, Alias, World, ZONES, in_turn};

/// Values of each side for each alias.
const VALUES: usize = 200;

/// So many at the least are compared in a run.
const ENOUGH_VALUES: usize = 5000;

/// MAX_ENTRIES of the alias that is culled.
const FEW: u64 = 20;

/// Faults that are told before the test gives up.
const ENOUGH: usize = 10;

#[test]
fn values_of_one_side_are_the_same_on_the_other() {
    in_turn(|servers| {
        let seed = world::seed();
        let mut dice = Dice::new(seed);
        let mut world = World::start_in(servers, *dice.pick(&ZONES));
        let (mut read, mut written, mut faults) = (0, 0, Vec::new());
        for alias in ALIASES {
            let store = world.store(alias.name);
            world.partner.must("make", json!({"seed": dice.number(), "count": VALUES}));
            for number in 0..VALUES {
                if let Some(found) = python_writes(&mut world, &store, alias, &mut dice, number) {
                    faults.extend(found);
                    read += 1;
                }
            }
            for _ in 0..VALUES {
                faults.extend(larder_writes(&mut world, &store, alias, &mut dice));
                written += 1;
            }
            let told = faults.iter().take(ENOUGH).map(String::as_str).collect::<Vec<_>>().join("\n");
            assert!(faults.is_empty(), "LARDER_SEED={seed}: {} faults:\n{told}", faults.len());
        }
        assert!(read + written >= ENOUGH_VALUES, "only {read} + {written} values");
    });
}

/// Python sets a value; larder reads it, shows it, and sets it again in the two ways that keep it as it is. `None` where
/// the client cannot keep the value.
fn python_writes(
    world: &mut World,
    store: &Store,
    alias: Alias,
    dice: &mut Dice,
    number: usize,
) -> Option<Vec<String>> {
    let (key, version) = (dice.key_for(alias), dice.version_for(alias));
    let mut place = json!({"alias": alias.name, "key": key, "version": version, "value": number});
    let made = match world.partner.ask("set_value", place.clone()) {
        Ok(made) => made,
        Err(raised) => {
            let kept = world.partner.must("is_kept", json!({"alias": alias.name, "value": number}));
            assert_eq!(kept, json!(false), "{}, value {number}, key {key:?}: {raised}", alias.name);
            return None;
        }
    };
    Some(read_by_larder(world, store, alias, &mut place, &made))
}

fn read_by_larder(world: &mut World, store: &Store, alias: Alias, place: &mut Value, made: &Value) -> Vec<String> {
    let (key, number) = (place["key"].as_str().unwrap().to_owned(), place["value"].clone());
    let version = place["version"].as_str().map(str::to_owned);
    let what = format!("{}, value {number}, a {}, key {key:?}", alias.name, made["type"]);
    let call = Call::version(version.as_deref());
    let value = match store.get(&key, call) {
        Ok(Some(value)) => value,
        other => return vec![format!("{what}: {:?}", other.map(|_| "a miss"))],
    };
    let shown = match value.json() {
        Ok(shown) => shown,
        Err(failure) => return vec![format!("{what}: {failure:?}")],
    };
    let mut faults = Vec::new();
    if made["kind"] != value.kind() {
        faults.push(format!("{what}: is of kind {}, not {}", value.kind(), made["kind"]));
    }
    let asked = json!({"alias": alias.name, "value": number, "json_text": shown.shown, "lossy": shown.lossy});
    if let Some(wrong) = world.partner.must("shown", asked).as_str() {
        faults.push(format!("{what}: is shown as {wrong}"));
    }
    place["key"] = "again".into();
    let stored = value.stored();
    // bytes alone do not say what they are where flags or a mode say that
    let mut again = if alias.kind.changes_values() { Vec::new() } else { vec![Input::Stored(&stored)] };
    if !shown.lossy {
        again.push(Input::Json(&shown.shown));
    }
    for input in again {
        if store.set("again", input, Ttl::Default, call) != Ok(LARDER_OK) {
            faults.push(format!("{what}: cannot be set again as {input:?}"));
        } else if let Some(wrong) = world.partner.must("judge", place.clone()).as_str() {
            faults.push(format!("{what}: set again as {input:.300?}, Python reads {wrong}"));
        }
    }
    faults
}

/// Larder sets a value; Python reads it.
fn larder_writes(world: &mut World, store: &Store, alias: Alias, dice: &mut Dice) -> Option<String> {
    let (key, version) = (dice.key_for(alias), dice.version_for(alias));
    let mut asked = json!({"alias": alias.name, "key": key, "version": version});
    let (text, bytes);
    let input = match dice.below(8) {
        0 => {
            bytes = dice.bytes();
            asked["raw"] = base64::engine::general_purpose::STANDARD.encode(&bytes).into();
            Input::Bytes(&bytes)
        }
        1 => {
            text = dice.text();
            asked["text"] = text.as_str().into();
            Input::Text(&text)
        }
        _ => {
            text = dice.json();
            asked["json_text"] = text.as_str().into();
            Input::Json(&text)
        }
    };
    let status = store.set(&key, input, Ttl::Default, Call::version(version));
    if alias.kind.changes_values() {
        let mut what = asked.clone();
        for name in ["key", "version"] {
            what.as_object_mut().unwrap().remove(name);
        }
        if world.partner.must("is_kept", what) == json!(false) {
            status.as_ref().ok()?;
            asked["as_it_is"] = true.into(); // Python cannot write it so, but has to read it
        }
    }
    if status != Ok(LARDER_OK) {
        return Some(format!("{}, key {key:?}: {input:.300?}: {status:?}", alias.name));
    }
    match world.partner.ask("judge", asked) {
        Ok(Value::Null) => None,
        wrong => Some(format!("{}, key {key:?}: {input:.300?}: Python reads {wrong:?}", alias.name)),
    }
}
