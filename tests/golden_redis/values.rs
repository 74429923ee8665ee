//! The golden data's values under every one of its configurations, both ways.

use base64::Engine;
use larder::capi::status::{LARDER_ETYPE, LARDER_EUNDECODABLE, LARDER_OK};
use serde_json::{Value, json};

use super::common::client::{Call, Context, Input, Store, Ttl, alone};
use super::common::golden;
use super::common::python::Partner;
use super::common::redis::RedisServer;
use super::data::{config, exact, pttl};
use super::{redis_values, shown};

/// The configurations, by name.
fn configs(data: &Value) -> Vec<&str> {
    let configs: Vec<&str> = golden::object(&data["configs"]).keys().map(String::as_str).collect();
    assert!(configs.len() >= 61, "there are fewer configurations than there were");
    configs
}

/// The rows of `cases` for a configuration.
fn cases<'a>(data: &'a Value, config: &str) -> Vec<&'a Value> {
    let of_config = golden::list(&data["cases"]).iter().filter(|case| golden::text(&case["config"]) == config);
    let cases: Vec<_> = of_config.collect();
    assert!(cases.len() >= 10, "{config} has fewer cases than it had");
    cases
}

/// A case's value: described in the row itself, or by its name.
fn described<'a>(data: &'a Value, case: &'a Value) -> &'a Value {
    if case.get("type").is_some() { case } else { &data["values"][golden::text(&case["value"])] }
}

/// The path of a configuration's compressor, where it has one.
fn compressor<'a>(data: &'a Value, config: &str) -> Option<&'a str> {
    data["configs"][config]["OPTIONS"].get("COMPRESSOR").map(golden::text)
}

#[test]
fn values_of_python_are_read_in_every_configuration() {
    alone(|| {
        let (data, server) = (redis_values(), RedisServer::start());
        let mut read = 0;
        for name in configs(&data) {
            let context = Context::open(&config(&data, name, &server)).unwrap();
            let store = context.store("default").unwrap();
            for case in cases(&data, name).into_iter().filter(|case| case.get("set_raises").is_none()) {
                check_read(&data, case, &store, &server);
                read += 1;
            }
        }
        assert!(read >= 1050, "only {read} values");
    });
}

fn check_read(data: &Value, case: &Value, store: &Store, server: &RedisServer) {
    let (key, redis_key) = (golden::text(&case["key"]), golden::text(&case["redis_key"]));
    let (config, value_name) = (golden::text(&case["config"]), golden::text(&case["value"]));
    let what = format!("{config}, {key}");
    server.command(0, &[b"SET", redis_key.as_bytes(), &golden::bytes(&case["raw"])]);
    let value = store.get(key, Call::default()).unwrap();
    let value = value.unwrap_or_else(|| panic!("{what} is not under {redis_key}"));
    assert_eq!(value.stored(), golden::bytes(&case["raw"]), "{what}");
    let python = &case["reads_back"];
    if python.get("raises").is_some() {
        assert_eq!(value.kind(), LARDER_EUNDECODABLE, "{what}");
        return;
    }
    let expected = python.get("returns").unwrap_or_else(|| described(data, case));
    // msgpack has one type for both
    let became_bytes = value_name == "bytearray" && golden::text(&expected["type"]) == "bytes";
    shown::check(&value, expected, if became_bytes { "bytes of a bytearray" } else { value_name }, &what);
}

/// What larder has stored, and what Python has.
struct Written<'a> {
    what: String,
    compressor: &'a str,
    larder: Vec<u8>,
    python: Vec<u8>,
}

#[test]
fn values_are_written_as_python_writes_them_in_every_configuration() {
    alone(|| {
        let (data, server) = (redis_values(), RedisServer::start());
        let mut written = Vec::new();
        let (mut count, mut refused) = (0, 0);
        for name in configs(&data) {
            let context = Context::open(&config(&data, name, &server)).unwrap();
            let store = context.store("default").unwrap();
            for case in cases(&data, name) {
                let Some((status, raw)) = write(&data, case, &store, &server) else { continue };
                let what = format!("{name}, {}", case["key"]);
                if case.get("set_raises").is_some() {
                    assert_eq!(status.expect_err(&what).status, LARDER_ETYPE, "{what}");
                    refused += 1;
                    continue;
                }
                assert_eq!(status, Ok(LARDER_OK), "{what}");
                let redis_key = golden::text(&case["redis_key"]);
                assert_eq!(pttl(&server, redis_key).class(), golden::text(&case["pttl_class"]), "{what}");
                let python = golden::bytes(&case["raw"]);
                match compressor(&data, name) {
                    Some(compressor) => written.push(Written { what, compressor, larder: raw, python }),
                    None => assert_eq!(raw.escape_ascii().to_string(), python.escape_ascii().to_string(), "{what}"),
                }
                count += 1;
            }
        }
        assert!(count >= 550 && refused >= 1, "only {count} values can be written, {refused} were refused");
        assert!(written.len() >= 400, "only {} values were to be compressed", written.len());
        check_compressed(&written);
    });
}

/// Writes a case's value; `None` where larder has no way to say it.
fn write(
    data: &Value,
    case: &Value,
    store: &Store,
    server: &RedisServer,
) -> Option<(super::common::client::Answer, Vec<u8>)> {
    let value = described(data, case);
    let key = golden::text(&case["key"]);
    let json;
    let input = if golden::text(&value["type"]) == "bytes" {
        Input::Bytes(shown::BYTES_VALUE)
    } else {
        json = exact(value)?;
        Input::Json(&json)
    };
    let status = store.set(key, input, Ttl::Default, Call::default());
    let raw = case.get("redis_key").map(|key| server.command(0, &[b"GET", golden::text(key).as_bytes()]));
    Some((status, raw.unwrap_or_default()))
}

/// django-redis's own compressors find the serializer's bytes in what larder has compressed, the same as in Python's, and
/// larder compresses what Python compresses (DR-12).
fn check_compressed(written: &[Written<'_>]) {
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let items = |of: for<'a> fn(&'a Written<'_>) -> &'a Vec<u8>| -> Vec<Value> {
        written.iter().map(|one| json!([one.compressor, base64(of(one))])).collect()
    };
    let mut partner = Partner::start("golden_redis/partner.py");
    let larder = partner.must("serialised", json!({"items": items(|one| &one.larder)}));
    let python = partner.must("serialised", json!({"items": items(|one| &one.python)}));
    let mut compressed = 0;
    for ((one, larder), python) in written.iter().zip(golden::list(&larder)).zip(golden::list(&python)) {
        assert_eq!(larder, python, "{}", one.what);
        compressed += usize::from(larder[1] == true);
    }
    assert!(compressed >= 150, "only {compressed} were compressed");
}
