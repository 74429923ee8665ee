//! What each call answers when nobody listens, with and without IGNORE_EXCEPTIONS (DR-15, DR-16).

use larder::capi::status::{LARDER_ECONNECTION, LARDER_IGNORED, larder_status};
use larder::capi::upkeep::LARDER_CLEAR_EVERYTHING;
use serde_json::json;

use super::common::client::{Answer, Call, Context, Input, Store, Ttl, alone};
use super::common::golden;
use super::common::redis::free_port;
use super::{data, redis_values};

/// How a call ended.
#[derive(Debug, PartialEq)]
enum Ended {
    /// With a failure that is told.
    Failed(larder_status),
    /// As on an empty cache, and it is said that this is no answer.
    Ignored,
}

impl From<Answer> for Ended {
    fn from(answer: Answer) -> Self {
        match answer {
            Ok(LARDER_IGNORED) => Self::Ignored,
            Ok(other) => panic!("an answer from nowhere: {other}"),
            Err(failure) => Self::Failed(failure.status),
        }
    }
}

fn perform(store: &Store, call: &str) -> Ended {
    let plain = Call::default();
    let one = Input::Json("1");
    match call {
        "get('a')" | "get('a', 'dflt')" => store.get_status("a", plain).into(),
        "set('a', 1)" => store.set("a", one, Ttl::Default, plain).into(),
        "add('a', 1)" => store.add("a", one, Ttl::Default, plain).into(),
        "touch('a')" => store.expire("a", Ttl::Default, plain).into(),
        "delete('a')" => store.delete("a", plain).into(),
        "has_key('a')" => store.has("a", plain).into(),
        "get_many(['a'])" => store.get_many_status(&["a"], plain).into(),
        "set_many({'a': 1})" => store.set_many(&[("a", "1")], Ttl::Default, plain).map(|(status, _)| status).into(),
        "delete_many(['a'])" => store.delete_many_status(&["a"], plain).into(),
        "incr('a')" => store.incr_status("a", 1, plain).into(),
        "incr_version('a')" => store.incr_version_status("a", 1, plain).into(),
        "get_or_set('a', 1)" => {
            // both of its steps
            let (get, add) = (store.get_status("a", plain).into(), store.add("a", one, Ttl::Default, plain).into());
            assert_eq!(get, add);
            get
        }
        "clear()" => store.clear(LARDER_CLEAR_EVERYTHING, plain).into(),
        other => panic!("the golden data has a call that this test does not know: {other}"),
    }
}

#[test]
fn calls_to_nobody_end_as_in_python() {
    alone(|| {
        let (data, port) = (redis_values(), free_port());
        let rows = golden::list(&data["unreachable"]);
        assert!(rows.len() >= 42);
        for row in rows {
            let (name, call) = (golden::text(&row["flavor"]), golden::text(&row["call"]));
            let flavor = data::flavor(name.strip_suffix(" IGNORE_EXCEPTIONS").unwrap_or(name));
            let ignores = name.ends_with("IGNORE_EXCEPTIONS");
            let location = format!("redis://127.0.0.1:{port}/0");
            // only django-redis has the option; Django's own client would take it for one of redis-py's
            let options = if ignores { json!({"IGNORE_EXCEPTIONS": true}) } else { json!({}) };
            let entry = json!({"BACKEND": flavor.backend, "LOCATION": location, "OPTIONS": options});
            let context = Context::open(&json!({"default": entry}).to_string()).unwrap();
            let ended = perform(&context.store("default").unwrap(), call);
            let expected = match row["result"].get("raises") {
                Some(raised) => {
                    assert_eq!(golden::text(raised), "ConnectionError");
                    Ended::Failed(LARDER_ECONNECTION)
                }
                None => Ended::Ignored,
            };
            assert_eq!(ended, expected, "{name}: {call}");
        }
    });
}

#[test]
fn django_valkey_ignores_the_failures_of_every_call() {
    // 1.16: touch, persist and ttl too, which django-redis tells
    alone(|| {
        let port = free_port();
        let entry = json!({"BACKEND": "django_valkey.cache.ValkeyCache", "LOCATION": format!("valkey://127.0.0.1:{port}"),
            "OPTIONS": {"IGNORE_EXCEPTIONS": true}});
        let context = Context::open(&json!({"default": entry}).to_string()).unwrap();
        let store = context.store("default").unwrap();
        let calls = golden::list(&redis_values()["unreachable"]).to_vec();
        for row in &calls {
            let call = golden::text(&row["call"]);
            assert_eq!(perform(&store, call), Ended::Ignored, "{call}");
        }
        assert_eq!(Ended::from(store.persist("a", Call::default())), Ended::Ignored);
        assert_eq!(Ended::from(store.ttl_status("a", Call::default())), Ended::Ignored);
    });
}
