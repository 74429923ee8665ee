//! REVERSE_KEY_FUNCTION (DR-2).

use larder::config::{Registered, read_with};
use larder::key::ReverseKey;
use serde_json::{Value, json};

use super::{DJANGO_REDIS, nothing, open, refused};

#[test]
fn the_reverse_key_function_is_one_that_is_known() {
    let with = |settings: Value| {
        let mut entry = json!({"BACKEND": DJANGO_REDIS, "LOCATION": "redis://h"});
        entry.as_object_mut().expect("it is one").extend(settings.as_object().expect("it is one").clone());
        json!({"CACHES": {"default": entry}})
    };
    let read = |settings: Value| {
        let config = open(&with(settings));
        (config.aliases[0].keys.reverse.clone(), config.warnings)
    };
    let named = |function: &str| json!({"REVERSE_KEY_FUNCTION": function});
    // DR-2
    for settings in [json!({}), json!({"REVERSE_KEY_FUNCTION": null}), named("django_redis.util.default_reverse_key")] {
        assert_eq!(read(settings.clone()), (ReverseKey::SecondColon, Vec::new()), "{settings}");
    }
    assert_eq!(read(named("larder.exact")), (ReverseKey::Exact, Vec::new()));
    // Keys that Django's function did not make have no two colons.
    assert_eq!(read(json!({"KEY_FUNCTION": "larder.as_is"})).0, ReverseKey::Exact);

    for (settings, names) in [
        (json!({"KEY_PREFIX": "a:b"}), "KEY_PREFIX larder_keys"),
        (json!({"VERSION": "1:2"}), "VERSION larder_keys"),
        (json!({"KEY_PREFIX": ":", "VERSION": "1:2"}), "KEY_PREFIX and VERSION larder_keys"),
    ] {
        let (reverse, warnings) = read(settings.clone());
        assert_eq!(reverse, ReverseKey::SecondColon, "{settings}");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with("CACHES.default.KEY_PREFIX: with a colon in "), "{warnings:?}");
        assert!(warnings[0].contains(names) && warnings[0].contains("\"larder.exact\""), "{warnings:?}");
    }
    let exact = json!({"KEY_PREFIX": "a:b", "REVERSE_KEY_FUNCTION": "larder.exact"});
    assert_eq!(read(exact), (ReverseKey::Exact, Vec::new()));

    for (name, hint) in [
        ("larder.exakt", "did you mean larder.exact?"),
        ("django_redis.utils.default_reverse_key", "did you mean django_redis.util.default_reverse_key?"),
        ("shop.reverse", "there are django_redis.util.default_reverse_key, "),
    ] {
        let reason = refused(&with(named(name)));
        assert!(reason.starts_with("CACHES.default.REVERSE_KEY_FUNCTION: \""), "{reason}");
        assert!(reason.contains(hint), "{reason}");
    }
    let registered = Registered { key_functions: vec!["shop.reverse".into()], ..Registered::default() };
    let own =
        read_with(with(named("shop.reverse")).to_string().as_bytes(), &nothing, &registered).expect("it is known");
    assert_eq!(own.aliases[0].keys.reverse, ReverseKey::Own("shop.reverse".into()));
}
