//! All operations by either side in any order, on a few keys: each finds what the other left, as a model says beforehand.

use std::collections::HashMap;

use larder::capi::status::{LARDER_MISS, LARDER_NOT_STORED};
use serde_json::{Value, json};

use super::LARDER_OK;
use super::common::client::{Call, Input, Store, Ttl};
use super::dice::Dice;
use super::world::{self, ALIASES, Alias, World, ZONES, in_turn};

/// Operations for each alias.
const OPERATIONS: usize = 150;

const KEYS: [&str; 6] = ["a", "b", "clé", "ключ", "k:1", "日本"];

/// Times to live that do not end meanwhile: as Python has them, and as larder has them.
const LIVES: [(&str, Ttl); 4] = [
    ("100", Ttl::Millis(100_000)),
    ("1000.5", Ttl::Millis(1_000_500)),
    ("null", Ttl::Forever),
    ("2592001", Ttl::Millis(2_592_001_000)),
];

/// What is known of the cache: values as JSON text, by key and version.
type Model = HashMap<(&'static str, Option<&'static str>), String>;

#[test]
fn all_operations_in_any_order() {
    in_turn(|servers| {
        let seed = world::seed();
        let mut dice = Dice::new(seed);
        let mut world = World::start_in(servers, *dice.pick(&ZONES));
        for alias in ALIASES {
            let store = world.store(alias.name);
            let mut turns = Turns { world: &mut world, store, alias, model: Model::new(), dice: &mut dice };
            for number in 0..OPERATIONS {
                turns.one(&format!("LARDER_SEED={seed}: {}, operation {number}", alias.name));
            }
        }
    });
}

/// One alias, used by both.
struct Turns<'a> {
    world: &'a mut World,
    store: Store,
    alias: Alias,
    model: Model,
    dice: &'a mut Dice,
}

impl Turns<'_> {
    /// One operation of one side, and a look by the other.
    fn one(&mut self, what: &str) {
        let key = *self.dice.pick(&KEYS);
        let version = *self.dice.pick(&[None, None, None, Some("9")]);
        let by_python = self.dice.below(2) == 0;
        let old = self.model.get(&(key, version)).cloned();
        match self.dice.below(8) {
            0 | 1 => {
                let json = self.value();
                self.write("set", key, version, &json, by_python, true, what);
                self.model.insert((key, version), json);
            }
            2 => {
                let json = self.value();
                self.write("add", key, version, &json, by_python, old.is_none(), what);
                self.model.entry((key, version)).or_insert(json);
            }
            3 => self.touch(key, version, by_python, old.is_some(), what),
            4 => {
                self.delete(key, version, by_python, old.is_some(), what);
                self.model.remove(&(key, version));
            }
            5 => self.count(key, version, by_python, what),
            6 => self.set_many(version, by_python, what),
            _ => self.get_many(version, by_python, what),
        }
        self.look(key, version, !by_python, what);
    }

    /// A value that every client keeps: a number to count, or JSON text of any shape in a list.
    fn value(&mut self) -> String {
        match self.dice.below(3) {
            0 => (1_000_000 + self.dice.below(1_000_000)).to_string(),
            _ => format!("[{}]", self.dice.json()),
        }
    }

    fn python(&mut self, method: &str, arguments: &Value, version: Option<&str>) -> Value {
        let asked = json!({"alias": self.alias.name, "method": method, "arguments": arguments, "version": version});
        self.world.partner.must("call", asked)
    }

    #[allow(clippy::too_many_arguments)]
    fn write(
        &mut self,
        method: &str,
        key: &str,
        version: Option<&str>,
        json: &str,
        by_python: bool,
        stored: bool,
        what: &str,
    ) {
        let (python, larder) = *self.dice.pick(&LIVES);
        if by_python {
            let timeout: Value = serde_json::from_str(python).unwrap();
            let asked = json!({
                "alias": self.alias.name, "method": method, "key": key, "json_text": json, "timeout": timeout,
                "version": version,
            });
            let answer = self.world.partner.must("write", asked);
            if method == "add" {
                assert_eq!(answer, json!(stored), "{what}: add {key} by Python");
            }
            return;
        }
        let (value, call) = (Input::Json(json), Call::version(version));
        let status = match method {
            "add" => self.store.add(key, value, larder, call),
            _ => self.store.set(key, value, larder, call),
        };
        assert_eq!(status, Ok(if stored { LARDER_OK } else { LARDER_NOT_STORED }), "{what}: {method} {key}");
    }

    fn touch(&mut self, key: &str, version: Option<&str>, by_python: bool, there: bool, what: &str) {
        let (python, larder) = *self.dice.pick(&LIVES);
        if by_python {
            let timeout: Value = serde_json::from_str(python).unwrap();
            let touched = self.python("touch", &json!([key, timeout]), version);
            // pitfall 12: Redis' PERSIST answers False where there was no end
            assert!(touched == json!(there) || (timeout.is_null() && touched == json!(false)), "{what}: touch {key}");
        } else {
            let status = self.store.expire(key, larder, Call::version(version));
            let right = status == Ok(if there { LARDER_OK } else { LARDER_MISS });
            assert!(right || (larder == Ttl::Forever && status == Ok(LARDER_MISS)), "{what}: touch {key}: {status:?}");
        }
    }

    fn delete(&mut self, key: &str, version: Option<&str>, by_python: bool, there: bool, what: &str) {
        if by_python {
            let deleted = self.python("delete", &json!([key]), version);
            assert_eq!(deleted, json!(there), "{what}: delete {key} by Python");
        } else {
            let status = self.store.delete(key, Call::version(version));
            assert_eq!(status, Ok(if there { LARDER_OK } else { LARDER_MISS }), "{what}: delete {key}");
        }
    }

    /// Adds to a number, where there is one.
    fn count(&mut self, key: &'static str, version: Option<&'static str>, by_python: bool, what: &str) {
        let delta = i64::try_from(self.dice.below(2000)).unwrap() - 1000;
        let Some(number) = self.model.get(&(key, version)).map(|json| json.parse::<i64>()) else {
            if !by_python {
                assert_eq!(self.store.incr(key, delta, Call::version(version)), Ok(None), "{what}: incr {key}");
            }
            return;
        };
        let Ok(number) = number else { return };
        let sum = number + delta;
        if by_python {
            let answer = self.python("incr", &json!([key, delta]), version);
            assert_eq!(answer, json!(sum), "{what}: incr {key} by Python");
        } else {
            let answer = self.store.incr(key, delta, Call::version(version));
            assert_eq!(answer, Ok(Some(sum.to_string())), "{what}: incr {key}");
        }
        self.model.insert((key, version), sum.to_string());
    }

    fn set_many(&mut self, version: Option<&'static str>, by_python: bool, what: &str) {
        let first = self.dice.below(KEYS.len() - 2);
        let keys = &KEYS[first..first + 3];
        let values: Vec<String> = keys.iter().map(|_| self.value()).collect();
        if by_python {
            let asked = json!({
                "alias": self.alias.name, "json_texts": keys.iter().copied().zip(&values).collect::<HashMap<_, _>>(),
                "version": version,
            });
            self.world.partner.must("write_many", asked);
        } else {
            let items: Vec<_> = keys.iter().copied().zip(values.iter().map(String::as_str)).collect();
            let set = self.store.set_many(&items, Ttl::Millis(100_000), Call::version(version));
            assert_eq!(set, Ok((LARDER_OK, vec![false; 3])), "{what}: set_many");
        }
        for (key, value) in keys.iter().zip(values) {
            self.model.insert((key, version), value);
        }
    }

    fn get_many(&mut self, version: Option<&'static str>, by_python: bool, what: &str) {
        if by_python {
            let wanted: HashMap<_, _> =
                KEYS.iter().filter_map(|key| Some((*key, self.model.get(&(*key, version))?))).collect();
            let asked = json!({"alias": self.alias.name, "keys": KEYS, "version": version, "json_texts": wanted});
            assert_eq!(self.world.partner.must("judge_many", asked), Value::Null, "{what}: get_many by Python");
            return;
        }
        let found = self.store.get_many(&KEYS, Call::version(version)).unwrap();
        for (key, value) in KEYS.iter().zip(found) {
            let value = value.map(|value| value.json().unwrap());
            self.compare(key, version, value.map(|value| (value.shown, value.lossy)), what);
        }
    }

    /// What a side sees under a key.
    fn look(&mut self, key: &'static str, version: Option<&'static str>, by_python: bool, what: &str) {
        if !by_python {
            let value = self.store.get(key, Call::version(version)).unwrap().map(|value| value.json().unwrap());
            return self.compare(key, version, value.map(|value| (value.shown, value.lossy)), what);
        }
        if let Some(json) = self.model.get(&(key, version)) {
            let asked = json!({"alias": self.alias.name, "key": key, "version": version, "json_text": json});
            assert_eq!(self.world.partner.must("judge", asked), Value::Null, "{what}: {key} for Python");
        } else {
            let there = self.python("has_key", &json!([key]), version);
            assert_eq!(there, json!(false), "{what}: {key} for Python");
        }
    }

    /// Compares what larder shows with the model.
    fn compare(&mut self, key: &'static str, version: Option<&'static str>, seen: Option<(String, bool)>, what: &str) {
        let wanted = self.model.get(&(key, version));
        assert_eq!(seen.is_some(), wanted.is_some(), "{what}: {key}");
        let (Some((shown, lossy)), Some(wanted)) = (seen, wanted) else { return };
        let asked = json!({"json_text": wanted, "shown_text": shown, "lossy": lossy});
        assert_eq!(self.world.partner.must("shown_as", asked), Value::Null, "{what}: {key}");
    }
}
