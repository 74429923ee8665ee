//! What is sent to a server, and what becomes of it: `timeouts` and `operations` (T-4, M-10, M-11, O-8).

use std::time::{SystemTime, UNIX_EPOCH};

use larder::capi::status::{
    LARDER_EINVAL, LARDER_ETOOBIG, LARDER_ETYPE, LARDER_MISS, LARDER_NOT_KEPT, LARDER_NOT_STORED, LARDER_OK,
    larder_status,
};
use larder::capi::upkeep::LARDER_CLEAR_EVERYTHING;
use serde_json::{Value, json};

use super::common::client::{Answer, Call, Context, Input, Store, Ttl, alone};
use super::common::golden;
use super::common::memcached::{MemcachedClient, MemcachedServer};
use super::tee::Tee;
use super::{backend, memcached_values};

/// A server, and what is sent to it.
struct World {
    server: MemcachedServer,
    tee: Tee,
}

impl World {
    fn new() -> Self {
        let server = MemcachedServer::start();
        let tee = Tee::before(server.port());
        Self { server, tee }
    }

    fn open(&self, client: &str, timeout: Option<Value>) -> Context {
        let mut entry = json!({"BACKEND": backend(client), "LOCATION": format!("127.0.0.1:{}", self.tee.port())});
        if let Some(timeout) = timeout {
            entry["TIMEOUT"] = timeout;
        }
        Context::open(&json!({"CACHES": {"default": entry}}).to_string()).unwrap()
    }
}

/// What is to be sent for a line of the golden data, whose clock stood still: times of day are later here.
fn with_today(line: &str, clock: i64) -> Vec<String> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let place = if words[0] == "touch" { 2 } else { 3 };
    let Some(time) = words.get(place).and_then(|word| word.parse::<i64>().ok()) else { return vec![line.to_owned()] };
    if time <= 2_592_000 || (4_294_000_000..1 << 32).contains(&time) {
        return vec![line.to_owned()]; // relative, or a negative number without its sign
    }
    // pylibmc's numbers have 32 bits in a set
    let wraps = words[0] != "touch" && time != 1_900_000_188 + 10_000_000_000 && time > 2_000_000_000;
    (-1..=2)
        .map(|late| {
            let today =
                if wraps { (now + late + 10_000_000_000).rem_euclid(1 << 32) } else { time - clock + now + late };
            let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            words[place] = today.to_string();
            words.join(" ")
        })
        .collect()
}

#[test]
fn times_to_live_are_sent_as_python_sends_them() {
    alone(|| {
        let (data, world) = (memcached_values(), World::new());
        let clock = golden::int(&data["about"]["clock_for_timeouts"]);
        let mut direct = world.server.client();
        let rows = golden::list(&data["timeouts"]);
        assert!(rows.len() >= 128);
        for row in rows {
            let timeout = golden::text(&row["timeout"]);
            let default =
                timeout.strip_prefix("default with TIMEOUT ").map(|text| text.parse().map_or(Value::Null, i64::into));
            let context = world.open(golden::text(&row["client"]), default);
            check_timeout(row, clock, &context.store("default").unwrap(), &world, &mut direct);
        }
    });
}

/// One row of `timeouts`.
fn check_timeout(row: &Value, clock: i64, store: &Store, world: &World, direct: &mut MemcachedClient) {
    let (op, timeout) = (golden::text(&row["op"]), golden::text(&row["timeout"]));
    let what = format!("{} {op} {timeout}", row["client"]);
    direct.flush();
    if op != "add" {
        direct.put(b":1:t", 16, 1000, b"old");
    }
    world.tee.sent();
    let ttl = match timeout {
        "None" => Ttl::Forever,
        _ if timeout.starts_with("default") => Ttl::Default,
        seconds => Ttl::Millis(golden::millis(seconds)),
    };
    let plain = Call::default();
    let status = match op {
        "set" => store.set("t", Input::Text("new"), ttl, plain),
        "add" => store.add("t", Input::Text("new"), ttl, plain),
        "touch" => store.expire("t", ttl, plain),
        "set_many" => store.set_many(&[("t", "\"new\"")], ttl, plain).map(|(status, failed)| {
            assert_eq!(failed, [false], "{what}");
            status
        }),
        other => panic!("a call that this test does not know: {other}"),
    };
    let after = golden::text(&row["after"]);
    // pitfall 18: what ends after 2038 vanishes in this server, which says that it is stored
    let expected = match golden::text(&row["result"]) {
        raised if raised.starts_with("AllocationError") => Err(LARDER_EINVAL),
        "True" | "None" | "[]" if after == "missing" && timeout != "10000000000" => Ok(LARDER_NOT_KEPT),
        "True" | "None" | "[]" => Ok(LARDER_OK),
        other => panic!("an answer that this test does not know: {other}"),
    };
    assert_eq!(status.map_err(|failure| failure.status), expected, "{what}");
    let sent = String::from_utf8(world.tee.sent()).unwrap();
    let lines: Vec<&str> = sent.split_terminator("\r\n").collect();
    let wanted = golden::list(&row["lines"]);
    assert_eq!(lines.len(), wanted.len(), "{what}: {lines:?}");
    for (line, wanted) in lines.iter().zip(wanted) {
        let wanted = with_today(golden::text(wanted), clock);
        assert!(wanted.iter().any(|one| one == line), "{what}: {line} is not {wanted:?}");
    }
    let class = match direct.item(b":1:t").map(|item| item.left) {
        None => "missing",
        Some(None) => "persistent",
        Some(Some(_)) => "expiring",
    };
    assert_eq!(class, after, "{what}");
}

/// How a call ended, as the golden data says it.
#[derive(Debug, PartialEq)]
enum Said {
    Returned(Value),
    Failed(larder_status),
    NoSuchKey,
}

impl Said {
    fn python(result: &Value) -> Self {
        match result["raises"].as_str() {
            Some(raised) if raised.starts_with("ValueError") => Self::NoSuchKey,
            Some(raised) if raised.contains("ClientError") => Self::Failed(LARDER_ETYPE),
            Some(raised) if raised.starts_with("MemcacheServerError") || raised.starts_with("TooBig") => {
                Self::Failed(LARDER_ETOOBIG)
            }
            Some(raised) => panic!("an error that this test does not know: {raised}"),
            None => {
                let returns = &result["returns"];
                let json = if returns["json"].is_null() { &returns["json_lax"] } else { &returns["json"] };
                Self::Returned(golden::read(golden::text(json)))
            }
        }
    }
}

/// Brings the cache into the state that a call expects.
fn prepare(store: &Store, call: &str) {
    let set = |key: &str, json: &str| {
        assert_eq!(store.set(key, Input::Json(json), Ttl::Default, Call::default()), Ok(LARDER_OK));
    };
    match call {
        "get('a')" => set("a", "\"x\""),
        "get_many(['a','b','zz'])" => {
            set("a", "1");
            set("b", "\"two\"");
        }
        "has_key('a')" => set("a", "null"),
        "delete('a') existing" | "touch('a', 0)" => set("a", "1"),
        "delete_many(['a','b'])" | "clear()" => {
            set("a", "1");
            set("b", "1");
        }
        "incr('n')" | "incr('n', 5)" | "incr('n', -5)" => set("n", "41"),
        "decr('n') 10 -> 9 pads with a space" => set("n", "10"),
        "get('n') after decr 10 -> 9" => {
            set("n", "10");
            assert_eq!(store.incr("n", -1, Call::default()), Ok(Some("9".to_owned())));
        }
        "decr('n', 5) below zero stops at 0" => set("n", "3"),
        "incr('n') on negative" => set("n", "-3"),
        "incr('n') at 2**64-1 wraps" => set("n", "18446744073709551615"),
        "incr('n') on a str" => set("n", "\"x\""),
        "incr('n') on a digit str" => set("n", "\"7\""),
        "incr('n') on True" => set("n", "true"),
        "incr('n') on None" => set("n", "null"),
        "incr_version('v')" => set("v", "\"x\""),
        "add('a', 1) existing" => set("a", "2"),
        call if call.starts_with("set('a', 1 MiB + 1)") => set("a", "1"),
        _ => {}
    }
}

fn perform(store: &Store, call: &str) -> Answer<Value> {
    let plain = Call::default();
    let truth = |status, no| match status {
        _ if status == no => json!(false),
        LARDER_OK | LARDER_NOT_KEPT => json!(true),
        other => panic!("{call}: {other}"),
    };
    let get = |key: &str| -> Answer<Value> {
        Ok(store.get(key, plain)?.map_or(Value::Null, |value| golden::read(&value.json().unwrap().shown)))
    };
    Ok(match call {
        "get('a') missing" | "get('a')" => get("a")?,
        "get('n') after decr 10 -> 9" => get("n")?,
        "get_many(['a','b','zz'])" | "get_many([])" => {
            let keys: &[&str] = if call == "get_many([])" { &[] } else { &["a", "b", "zz"] };
            let found = store.get_many(keys, plain)?;
            let found = keys.iter().zip(&found).filter_map(|(key, value)| {
                Some(((*key).to_owned(), golden::read(&value.as_ref()?.json().unwrap().shown)))
            });
            Value::Object(found.collect())
        }
        "has_key('a')" => truth(store.has("a", plain)?, LARDER_MISS),
        "delete('a') existing" | "delete('a') missing" => truth(store.delete("a", plain)?, LARDER_MISS),
        "delete_many(['a','b'])" => {
            assert_eq!(store.delete_many(&["a", "b"], plain)?, 2);
            Value::Null
        }
        "incr('n', 5)" => counted(store.incr("n", 5, plain)?),
        "incr('n', -5)" | "decr('n', 5) below zero stops at 0" => counted(store.incr("n", -5, plain)?),
        "decr('n') 10 -> 9 pads with a space" => counted(store.incr("n", -1, plain)?),
        call if call.starts_with("incr('n')") => counted(store.incr("n", 1, plain)?),
        "incr_version('v')" => {
            let version = store.incr_version("v", 1, plain)?;
            counted(version.map(|version| version.to_string()))
        }
        "add('a', 1) existing" => truth(store.add("a", Input::Json("1"), Ttl::Default, plain)?, LARDER_NOT_STORED),
        "touch('a') missing" => truth(store.expire("a", Ttl::Default, plain)?, LARDER_MISS),
        "touch('a', 0)" => truth(store.expire("a", Ttl::Millis(0), plain)?, LARDER_MISS),
        "set_many({'a': 1, 'b': 'x'})" | "set_many({})" => {
            let items: &[(&str, &str)] = if call == "set_many({})" { &[] } else { &[("a", "1"), ("b", "\"x\"")] };
            let (status, failed) = store.set_many(items, Ttl::Default, plain)?;
            assert!(status == LARDER_OK && !failed.contains(&true));
            json!([])
        }
        "set('ключ', 1)" => {
            store.set("ключ", Input::Json("1"), Ttl::Default, plain)?;
            Value::Array(vec![Value::Null, get("ключ")?])
        }
        "clear()" => {
            assert_eq!(store.clear(LARDER_CLEAR_EVERYTHING, plain)?, LARDER_OK);
            Value::Null
        }
        call if call.starts_with("set('a', 1 MiB + 1)") => {
            store.set("a", Input::Text(&"a".repeat((1 << 20) + 1)), Ttl::Default, plain)?;
            Value::Null
        }
        other => panic!("a call that this test does not know: {other}"),
    })
}

fn counted(sum: Option<String>) -> Value {
    golden::read(&sum.unwrap_or_else(|| "null".to_owned()))
}

#[test]
fn operations_answer_and_send_what_pythons_do() {
    alone(|| {
        let (data, world) = (memcached_values(), World::new());
        let mut direct = world.server.client();
        let rows = golden::list(&data["operations"]);
        assert!(rows.len() >= 60);
        for row in rows {
            let (client, call) = (golden::text(&row["client"]), golden::text(&row["call"]));
            let what = format!("{client}: {call}");
            let context = world.open(client, None);
            let store = context.store("default").unwrap();
            direct.flush();
            prepare(&store, call);
            world.tee.sent();
            let said = match perform(&store, call) {
                Ok(value) if value.is_null() && call.starts_with("incr") => Said::NoSuchKey,
                Ok(value) => Said::Returned(value),
                Err(failure) => Said::Failed(failure.status),
            };
            assert_eq!(said, Said::python(&row["result"]), "{what}");
            let (sent, wanted) = (world.tee.sent(), golden::bytes(&row["sent"]));
            assert!(sent.starts_with(&wanted), "{what}: {}", sent.escape_ascii());
            assert!(sent.len() == wanted.len() || sent.len() > 1 << 20, "{what}: {}", sent.escape_ascii());
            for key in [":1:a", ":1:b", ":1:n", ":1:v", ":2:v"] {
                let kept = direct.item(key.as_bytes()).map(|item| (item.flags, item.bytes));
                let row = &row["keys_after"][key];
                let wanted = (!row.is_null())
                    .then(|| (u32::try_from(golden::int(&row["flags"])).unwrap(), golden::bytes(&row["raw"])));
                assert_eq!(kept, wanted, "{what}, {key}");
            }
        }
    });
}
