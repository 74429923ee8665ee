//! The calls of the golden data's `operations`, by their Python text, and which commands differ on purpose.

use larder::capi::argument::{LARDER_CALL_NX, LARDER_CALL_XX};
use larder::capi::status::{LARDER_ETYPE, LARDER_MISS, LARDER_NOT_STORED, LARDER_OK, larder_status};
use larder::capi::upkeep::LARDER_CLEAR_EVERYTHING;
use serde_json::{Value, json};

use super::common::client::{self, Answer, Call, Input, Store, Ttl};
use super::common::golden;
use super::data::{Flavor, commands};

/// Calls that the C API does not have.
pub const NOT_HERE: [(&str, &str); 1] =
    [("incr('n', ignore_key_check=True) missing", "adding to a missing key is a miss everywhere")];

/// How a call ended, as the golden data says it.
#[derive(Debug, PartialEq)]
pub enum Said {
    Returned(Value),
    NoSuchKey,
    WrongType,
    Failed(String),
}

impl Said {
    /// What the golden data has.
    pub fn python(result: &Value) -> Self {
        match result["raises"].as_str() {
            Some(raised) if raised.starts_with("ValueError") => Self::NoSuchKey,
            Some(raised) if raised.starts_with("TypeError") || raised.starts_with("ResponseError") => Self::WrongType,
            Some(raised) => Self::Failed(raised.to_owned()),
            None => Self::Returned(golden::read(golden::text(&result["returns"]["json"]))),
        }
    }
}

/// Brings the cache into the state that a call expects.
pub fn prepare(store: &Store, call: &str) {
    let set = |key: &str, json: &str, ttl: Ttl| {
        assert_eq!(store.set(key, Input::Json(json), ttl, Call::default()), Ok(LARDER_OK));
    };
    // There is a connection before the server is watched.
    store.has("a", Call::default()).unwrap();
    match call {
        "get('a') after set('a', 7)" => set("a", "7", Ttl::Default),
        "get_many(['a','b','zz'])" => {
            set("a", "1", Ttl::Default);
            set("b", "\"two\"", Ttl::Default);
        }
        "has_key('a')" => set("a", "null", Ttl::Default),
        "delete('a') existing"
        | "persist('a')"
        | "expire('a', 20)"
        | "pexpire('a', 20500)"
        | "expire_at('a', 4102444800)" => {
            set("a", "1", Ttl::Default);
        }
        "delete_many(['a','b','c'])" | "clear()" => {
            set("a", "1", Ttl::Default);
            set("b", "1", Ttl::Default);
        }
        "incr('n')" | "incr('n', 5)" => set("n", "41", Ttl::Default),
        "decr('n', 5)" => set("n", "3", Ttl::Default),
        "incr('n') on a str" => set("n", "\"x\"", Ttl::Default),
        "incr('n') on None" => set("n", "null", Ttl::Default),
        "incr('n') on 1.5" => set("n", "1.5", Ttl::Default),
        "incr('n') at 2**63-1" => set("n", "9223372036854775807", Ttl::Default),
        "incr('n') on 2**70" => set("n", "1180591620717411303424", Ttl::Default),
        "incr_version('v')" => set("v", "\"x\"", Ttl::Default),
        "incr_version('v', 3) of a key without timeout" => set("v", "5", Ttl::Forever),
        "ttl('a')" => set("a", "1", Ttl::Millis(500_000)),
        "ttl('a') without timeout" => set("a", "1", Ttl::Forever),
        "set('a', 1, nx=True) existing" => set("a", "2", Ttl::Default),
        "keys('a*')" | "iter_keys('a*')" => {
            for key in ["ab", "ac", "b"] {
                set(key, "1", Ttl::Default);
            }
        }
        "delete_pattern('a*')" => {
            set("ab", "1", Ttl::Default);
            set("b", "1", Ttl::Default);
        }
        _ => {}
    }
}

/// Makes the call.
pub fn perform(store: &Store, flavor: Flavor, call: &str) -> Said {
    match answer(store, flavor, call) {
        Ok(said) => said,
        Err(failure) if failure.status == LARDER_ETYPE => Said::WrongType,
        Err(failure) => Said::Failed(format!("{failure:?}")),
    }
}

fn answer(store: &Store, flavor: Flavor, call: &str) -> Answer<Said> {
    let plain = Call::default();
    let is_core = flavor.name == "django";
    Ok(Said::Returned(match call {
        "get('a') missing" | "get('a') after set('a', 7)" => get(store, "a")?.unwrap_or(Value::Null),
        "get('a', 'dflt') missing" => get(store, "a")?.unwrap_or_else(|| "dflt".into()),
        "get_many(['a','b','zz'])" => get_many(store, &["a", "b", "zz"])?,
        "get_many([])" => get_many(store, &[])?,
        "has_key('a')" => truth(store.has("a", plain)?, LARDER_MISS),
        "delete('a') existing" | "delete('a') missing" => truth(store.delete("a", plain)?, LARDER_MISS),
        "delete_many(['a','b','c'])" => counted(store.delete_many(&["a", "b", "c"], plain)?, is_core),
        "delete_many([])" => counted(store.delete_many(&[], plain)?, is_core),
        "incr('n', 5)" => return incr(store, 5),
        "decr('n', 5)" => return incr(store, -5),
        call if call.starts_with("incr('n')") => return incr(store, 1),
        "incr_version('v')" | "incr_version('v') missing" => return incr_version(store, 1),
        "incr_version('v', 3) of a key without timeout" => return incr_version(store, 3),
        "set_many({'a': 1, 'b': 'x', 'c': True})" => {
            set_many(store, &[("a", "1"), ("b", "\"x\""), ("c", "true")], is_core)?
        }
        "set_many({})" => set_many(store, &[], is_core)?,
        "get_or_set('g', 'd')" => {
            assert_eq!(get(store, "g")?, None);
            store.add("g", Input::Text("d"), Ttl::Default, plain)?;
            get(store, "g")?.unwrap()
        }
        "clear()" => {
            assert_eq!(store.clear(LARDER_CLEAR_EVERYTHING, plain)?, LARDER_OK);
            if is_core { true.into() } else { Value::Null }
        }
        "ttl('a')" | "ttl('a') without timeout" | "ttl('a') missing" => match store.ttl("a", plain)? {
            None => golden::from_number("0"),
            Some(Ttl::Millis(left)) => golden::from_number(&((left + 999) / 1000).to_string()),
            Some(_) => Value::Null,
        },
        "persist('a')" => truth(store.persist("a", plain)?, LARDER_MISS),
        "expire('a', 20)" => truth(store.expire("a", Ttl::Millis(20_000), plain)?, LARDER_MISS),
        "pexpire('a', 20500)" => truth(store.expire("a", Ttl::Millis(20_500), plain)?, LARDER_MISS),
        "expire_at('a', 4102444800)" => truth(store.expire_at("a", 4_102_444_800_000, plain)?, LARDER_MISS),
        "delete_pattern('a*')" => counted(store.delete_pattern("a*", plain, 0)?, false),
        "set('a', 1, nx=True) existing" => conditional(store, LARDER_CALL_NX)?,
        "set('a', 1, xx=True) missing" => conditional(store, LARDER_CALL_XX)?,
        "keys('a*')" | "iter_keys('a*')" => {
            let mut keys = store.keys("a*", plain)?;
            keys.sort();
            json!(keys)
        }
        other => panic!("the golden data has a call that this test does not know: {other}"),
    }))
}

fn get(store: &Store, key: &str) -> Answer<Option<Value>> {
    let value = store.get(key, Call::default())?;
    value.map(|value| Ok(golden::read(&value.json()?.shown))).transpose()
}

fn get_many(store: &Store, keys: &[&str]) -> Answer<Value> {
    let mut found = serde_json::Map::new();
    for (key, value) in keys.iter().zip(store.get_many(keys, Call::default())?) {
        if let Some(value) = value {
            found.insert((*key).to_owned(), golden::read(&value.json()?.shown));
        }
    }
    Ok(found.into())
}

fn set_many(store: &Store, items: &[(&str, &str)], is_core: bool) -> Answer<Value> {
    let (status, failed) = store.set_many(items, Ttl::Default, Call::default())?;
    assert_eq!((status, failed), (LARDER_OK, vec![false; items.len()]));
    Ok(if is_core { json!([]) } else { Value::Null })
}

fn incr(store: &Store, delta: i64) -> Answer<Said> {
    let sum = store.incr("n", delta, Call::default())?;
    Ok(sum.map_or(Said::NoSuchKey, |sum| Said::Returned(golden::read(&sum))))
}

fn incr_version(store: &Store, delta: i64) -> Answer<Said> {
    let version = store.incr_version("v", delta, Call::default())?;
    Ok(version.map_or(Said::NoSuchKey, |version| Said::Returned(golden::from_number(&version.to_string()))))
}

fn conditional(store: &Store, flags: u32) -> Answer<Value> {
    let call = Call { flags, ..Call::default() };
    Ok(truth(store.set("a", Input::Json("1"), Ttl::Default, call)?, LARDER_NOT_STORED))
}

fn counted(removed: u64, is_core: bool) -> Value {
    if is_core { Value::Null } else { golden::from_number(&removed.to_string()) }
}

fn truth(status: larder_status, no: larder_status) -> Value {
    match status {
        LARDER_OK => true.into(),
        other if other == no => false.into(),
        other => panic!("an unexpected {}", client::name(other)),
    }
}

/// Commands that are not Python's, on purpose. `script` stands for a script that adds in one step, `~300000` for
/// at most that many milliseconds, and not many less.
struct Otherwise {
    flavor: &'static str,
    call: &'static str,
    commands: &'static [&'static [&'static str]],
    reason: &'static str,
}

const ATOMIC: &str = "contract 1.19: one atomic step in place of EXISTS and INCRBY";
const MILLIS: &str = "the time is kept and told in milliseconds: PTTL in place of EXISTS and TTL";
const PAGES: &str = "keys are listed in pages: KEYS would stop the server";

const SWEEP: &str = "contract 1.19 and issue 5: a sensible COUNT, and UNLINK of each page as it comes";

const MOMENT: &str = "PEXPIREAT alone does not tell whether the moment is past, and the key gone";

const OTHERWISE: [Otherwise; 23] = [
    otherwise("django", "get_many([])", &[], "nothing is asked for; Python sends a command that the server refuses"),
    otherwise("django", "incr('n')", &[&["EVAL", "script", "1", ":1:n", "1"]], ATOMIC),
    otherwise("django", "incr('n', 5)", &[&["EVAL", "script", "1", ":1:n", "5"]], ATOMIC),
    otherwise("django", "decr('n', 5)", &[&["EVAL", "script", "1", ":1:n", "-5"]], ATOMIC),
    otherwise("django", "incr('n') missing", &[&["EVAL", "script", "1", ":1:n", "1"]], ATOMIC),
    otherwise("django", "incr('n') on a str", &[&["EVAL", "script", "1", ":1:n", "1"]], ATOMIC),
    otherwise("django", "incr('n') on None", &[&["EVAL", "script", "1", ":1:n", "1"]], ATOMIC),
    otherwise("django", "incr('n') on 1.5", &[&["EVAL", "script", "1", ":1:n", "1"]], ATOMIC),
    otherwise("django", "incr('n') at 2**63-1", &[&["EVAL", "script", "1", ":1:n", "1"]], ATOMIC),
    otherwise("django", "incr('n') on 2**70", &[&["EVAL", "script", "1", ":1:n", "1"]], ATOMIC),
    otherwise(
        "django_redis",
        "incr('n') on a str",
        &[&["EVAL", "script", "1", ":1:n", "1"], &["PTTL", ":1:n"], &["GET", ":1:n"]],
        MILLIS,
    ),
    otherwise(
        "django_redis",
        "incr('n') on None",
        &[&["EVAL", "script", "1", ":1:n", "1"], &["PTTL", ":1:n"], &["GET", ":1:n"]],
        MILLIS,
    ),
    otherwise(
        "django_redis",
        "incr('n') at 2**63-1",
        &[
            &["EVAL", "script", "1", ":1:n", "1"],
            &["PTTL", ":1:n"],
            &["GET", ":1:n"],
            &["SET", ":1:n", "9223372036854775808", "PX", "~300000"],
        ],
        MILLIS,
    ),
    otherwise(
        "django_redis",
        "incr('n') on 2**70",
        &[
            &["EVAL", "script", "1", ":1:n", "1"],
            &["PTTL", ":1:n"],
            &["GET", ":1:n"],
            &["SET", ":1:n", "1180591620717411303425", "PX", "~300000"],
        ],
        MILLIS,
    ),
    otherwise("django_redis", "incr_version('v') missing", &[&["GET", ":1:v"]], "a miss needs no time to live"),
    otherwise(
        "django_redis",
        "incr_version('v', 3) of a key without timeout",
        &[&["GET", ":1:v"], &["PTTL", ":1:v"], &["SET", ":4:v", "5"], &["DEL", ":1:v"]],
        MILLIS,
    ),
    otherwise("django_redis", "ttl('a')", &[&["PTTL", ":1:a"]], MILLIS),
    otherwise("django_redis", "ttl('a') without timeout", &[&["PTTL", ":1:a"]], MILLIS),
    otherwise("django_redis", "ttl('a') missing", &[&["PTTL", ":1:a"]], MILLIS),
    otherwise(
        "django_redis",
        "expire_at('a', 4102444800)",
        &[&["PEXPIREAT", ":1:a", "4102444800000"], &["EXISTS", ":1:a"]],
        MOMENT,
    ),
    otherwise(
        "django_redis",
        "delete_pattern('a*')",
        &[&["SCAN", "0", "MATCH", ":1:a*", "COUNT", "1000"], &["UNLINK", ":1:ab"]],
        SWEEP,
    ),
    otherwise("django_redis", "keys('a*')", &[&["SCAN", "0", "MATCH", ":1:a*", "COUNT", "1000"]], PAGES),
    otherwise("django_redis", "iter_keys('a*')", &[&["SCAN", "0", "MATCH", ":1:a*", "COUNT", "1000"]], PAGES),
];

const fn otherwise(
    flavor: &'static str,
    call: &'static str,
    commands: &'static [&'static [&'static str]],
    reason: &'static str,
) -> Otherwise {
    Otherwise { flavor, call, commands, reason }
}

/// Commands in which only the words that are not Python's differ: what they are, what they become, and why.
const REWORDED: [(&str, &[&str], &[&str], &str); 3] = [
    ("expire('a', 20)", &["EXPIRE", ":1:a", "20"], &["PEXPIRE", ":1:a", "20000"], MILLIS),
    ("incr('n') on 1.5", &["EXISTS", ":1:n"], &["PTTL", ":1:n"], MILLIS),
    ("incr_version('v')", &["EXISTS", ":1:v"], &["PTTL", ":1:v"], MILLIS),
];

/// Asserts that the server saw Python's commands, or those that are meant to differ.
pub fn check_commands(seen: &[Vec<Vec<u8>>], flavor: Flavor, call: &str, python: &Value) {
    let listed = OTHERWISE.iter().find(|one| one.flavor == flavor.name && one.call == call);
    let (expected, reason) = match listed {
        Some(listed) => {
            let expected = listed.commands.iter().map(|one| one.iter().map(|one| one.as_bytes().to_vec()).collect());
            (expected.collect(), listed.reason)
        }
        None => reworded(flavor, call, commands(python)),
    };
    let like = |seen: &Vec<u8>, expected: &Vec<u8>| match expected.strip_prefix(b"~") {
        Some(most) => {
            let number = |text: &[u8]| std::str::from_utf8(text).unwrap().parse::<i64>().unwrap();
            (number(most) - 5000..=number(most)).contains(&number(seen))
        }
        None if expected == b"script" || is_script(expected) => is_script(seen),
        None => seen == expected,
    };
    let like = |seen: &Vec<Vec<u8>>, expected: &Vec<Vec<u8>>| {
        seen.len() == expected.len() && seen.iter().zip(expected).all(|(seen, expected)| like(seen, expected))
    };
    let same = seen.len() == expected.len() && seen.iter().zip(&expected).all(|(seen, expected)| like(seen, expected));
    let show = |commands: &[Vec<Vec<u8>>]| {
        let show = |command: &Vec<Vec<u8>>| command.iter().map(|one| one.escape_ascii().to_string()).collect();
        commands.iter().map(show).collect::<Vec<Vec<String>>>()
    };
    assert!(same, "{}: {call} ({reason}):\n{:?}\n{:?}", flavor.name, show(seen), show(&expected));
}

fn reworded(flavor: Flavor, call: &str, mut python: Vec<Vec<Vec<u8>>>) -> (Vec<Vec<Vec<u8>>>, &'static str) {
    let Some((_, from, to, reason)) = REWORDED.iter().find(|one| flavor.name == "django_redis" && one.0 == call) else {
        return (python, "as Python");
    };
    let raw = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    let at = python.iter().position(|command| *command == raw(from)).unwrap();
    python[at] = raw(to);
    if *reason == MILLIS && from[0] == "EXISTS" {
        assert_eq!(python[at + 1][0], b"TTL");
        python.remove(at + 1);
        for command in &mut python {
            if let Some(at) = command.iter().position(|word| word == b"PX") {
                command[at + 1].insert(0, b'~');
            }
        }
    }
    (python, reason)
}

/// A script that adds in one step to a key that is there. The text is the client's own; what it does is compared by the
/// rows' results.
fn is_script(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    ["EXISTS", "INCRBY", "KEYS[1]", "ARGV[1]"].iter().all(|word| text.contains(word))
}
