//! Every serializer × compressor × client: what Python writes larder reads as the same value, and the other way round.

use std::collections::BTreeMap;

use base64::Engine;
use larder::capi::status::LARDER_OK;
use serde_json::{Map, Value, json};

use super::common::client::{Call, Context, Input, Store, Ttl, alone};
use super::common::python::Partner;
use super::dice::Dice;
use super::matrix::{Alias, LAYOUTS, Layout, Servers, aliases};
use super::world;

/// Values of each side for each alias.
const VALUES: usize = 19;

/// So many at the least are compared in a run.
const ENOUGH_VALUES: usize = 10_000;

/// Faults that are told before the test gives up.
const ENOUGH: usize = 20;

const PLAIN: Call<'static> = Call { version: None, flags: 0 };

#[test]
fn every_serializer_compressor_and_client() {
    alone(|| {
        let seed = world::seed();
        let mut dice = Dice::new(seed);
        let servers = Servers::start();
        let aliases = aliases(&servers);
        assert!(aliases.len() >= 300);
        let caches: Map<String, Value> =
            aliases.iter().map(|alias| (alias.name.clone(), alias.entry.clone())).collect();
        let mut partner = Partner::start("live/many.py");
        partner.must("setup", json!({"caches": caches}));
        let context = Context::open(&json!({"CACHES": caches}).to_string()).unwrap();
        let mut turn = Turn { partner: &mut partner, servers: &servers, dice: &mut dice, faults: Vec::new() };
        let mut counts = BTreeMap::new();
        for alias in &aliases {
            let store = context.store(&alias.name).unwrap();
            let count = turn.python_writes(alias, &store) + turn.larder_writes(alias, &store);
            *counts.entry(format!("{:?}", alias.layout)).or_insert(0) += count;
            let told = turn.faults.iter().take(ENOUGH).map(String::as_str).collect::<Vec<_>>().join("\n");
            assert!(turn.faults.is_empty(), "LARDER_SEED={seed}: {} faults:\n{told}", turn.faults.len());
        }
        assert_eq!(counts.len(), LAYOUTS.len());
        assert!(counts.values().sum::<usize>() >= ENOUGH_VALUES, "only {counts:?} values");
    });
}

/// Both sides, and what was wrong.
struct Turn<'a> {
    partner: &'a mut Partner,
    servers: &'a Servers,
    dice: &'a mut Dice,
    faults: Vec<String>,
}

impl Turn<'_> {
    /// Keys that are all different, and odd.
    fn keys(&mut self, by: &str) -> Vec<String> {
        (0..VALUES).map(|number| format!("{by}{number}{}", self.dice.key())).collect()
    }

    /// What one side has written can be read on every server.
    fn settle(&self, alias: &Alias) {
        if matches!(alias.layout, Layout::Replicas | Layout::Sentinel) {
            self.servers.settle();
        }
    }

    /// What is wrong with a value under a key.
    fn fault(&mut self, alias: &Alias, key: &str, what: impl std::fmt::Display) {
        self.faults.push(format!("{}, key {key:?}: {what}", alias.name));
    }

    /// What Python says is wrong, by key.
    fn told(&mut self, alias: &Alias, wrong: &Value) {
        for (key, what) in wrong.as_object().unwrap() {
            self.fault(alias, key, what.as_str().unwrap());
        }
    }

    /// Python sets values; larder reads, shows and sets them again. How many there were.
    fn python_writes(&mut self, alias: &Alias, store: &Store) -> usize {
        let keys = self.keys("p");
        let seed = self.dice.number();
        let made = self.partner.must("write", json!({"alias": alias.name, "seed": seed, "keys": keys}));
        let made = made.as_object().unwrap();
        self.settle(alias);
        let keys: Vec<&str> = made.keys().map(String::as_str).collect();
        let (mut shown, mut exact) = (Map::new(), Vec::new());
        for (key, value) in keys.iter().zip(store.get_many(&keys, PLAIN).unwrap()) {
            let Some(value) = value else {
                self.fault(alias, key, "is not there");
                continue;
            };
            if made[*key]["kind"] != value.kind() {
                self.fault(alias, key, format!("{}: is of kind {}", made[*key], value.kind()));
                continue;
            }
            match value.json() {
                Ok(json) => {
                    if !json.lossy {
                        exact.push((format!("again {key}"), *key, json.shown.clone()));
                    }
                    shown.insert((*key).to_owned(), json!([json.shown, json.lossy]));
                }
                Err(failure) => self.fault(alias, key, format!("{}: {failure:?}", made[*key])),
            }
        }
        let wrong = self.partner.must("shown", json!({"items": shown}));
        self.told(alias, &wrong);
        let items: Vec<(&str, &str)> = exact.iter().map(|(again, _, json)| (again.as_str(), json.as_str())).collect();
        let set = store.set_many(&items, Ttl::Default, PLAIN);
        assert_eq!(set, Ok((LARDER_OK, vec![false; items.len()])), "{}", alias.name);
        self.settle(alias);
        let again: Map<String, Value> = exact.iter().map(|(again, key, _)| (again.clone(), json!(key))).collect();
        let wrong = self.partner.must("again", json!({"alias": alias.name, "keys": again}));
        self.told(alias, &wrong);
        made.len()
    }

    /// Larder sets values; Python reads them. How many there were.
    fn larder_writes(&mut self, alias: &Alias, store: &Store) -> usize {
        let mut items = Map::new();
        for key in self.keys("l") {
            let (text, bytes);
            let (input, item) = match self.dice.below(8) {
                0 => {
                    bytes = self.dice.bytes();
                    let raw = base64::engine::general_purpose::STANDARD.encode(&bytes);
                    (Input::Bytes(&bytes), json!({"raw": raw}))
                }
                1 => {
                    text = self.dice.text();
                    (Input::Text(&text), json!({"text": text}))
                }
                _ => {
                    text = self.dice.json();
                    (Input::Json(&text), json!({"json_text": text}))
                }
            };
            let set = store.set(&key, input, Ttl::Default, PLAIN);
            if set.as_ref().is_ok_and(|status| *status != LARDER_OK) {
                self.fault(alias, &key, format!("{input:.300?}: {set:?}"));
            }
            items.insert(key, json!([item, set.is_err()]));
        }
        self.settle(alias);
        let judged = self.partner.must("judge", json!({"alias": alias.name, "items": items}));
        self.told(alias, &judged["wrong"]);
        usize::try_from(judged["count"].as_u64().unwrap()).unwrap()
    }
}
