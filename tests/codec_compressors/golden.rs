//! What django-redis stored with every serializer and compressor.

use std::collections::BTreeMap;

use bytes::Bytes;
use larder::codec::{Codec, Form, Input, Serializer};
use larder::error::Kind;
use larder::value::{Limits, Loss};
use serde_json::Value;

use crate::codec_support::{blob, document, dumps, golden, list, shown};
use crate::{compressor, packed, partner, read_by_python, unpacked};

const COMPRESSED: [&str; 5] = ["zlib", "gzip", "lzma", "lz4", "zstd"];

/// The serializer's part of a configuration's name and the compressor's.
fn parts(config: &str) -> Option<(&str, &str)> {
    let (serializer, kind) = config.strip_prefix("django_redis ")?.rsplit_once(' ')?;
    COMPRESSED.contains(&kind).then_some((serializer, kind))
}

fn codec(serializer: &str, kind: &str) -> Codec {
    let serializer = match serializer.split_once("PICKLE_VERSION=") {
        Some((_, version)) => Serializer::Pickle(version.parse().unwrap_or(5)),
        None if serializer == "json" => Serializer::Json,
        None if serializer == "msgpack" => Serializer::MsgPack,
        None => Serializer::Pickle(4), // pitfall 1
    };
    Codec { form: Form::RedisIntegers, serializer, compressor: compressor(kind), limits: Limits::default() }
}

/// What is stored without a compressor, by serializer and value.
fn plain(data: &Value) -> BTreeMap<(&str, &str), Vec<u8>> {
    let mut plain = BTreeMap::new();
    for case in list(data, "cases") {
        let config = case["config"].as_str().unwrap();
        let Some(serializer) = config.strip_prefix("django_redis ").and_then(|rest| rest.strip_suffix(" identity"))
        else {
            continue;
        };
        if let Some(raw) = blob(&case["raw"]) {
            plain.insert((serializer, case["value"].as_str().unwrap()), raw);
        }
    }
    plain
}

#[test]
fn what_was_stored_is_unpacked_and_packed_for_python() {
    let data = golden("redis_values.json");
    let plain = plain(&data);
    let (mut equal, mut lengths) = (0, 0);
    let mut ours: BTreeMap<&str, Vec<[Vec<u8>; 2]>> = BTreeMap::new();
    for case in list(&data, "cases") {
        let (Some((serializer, kind)), Some(raw)) = (parts(case["config"].as_str().unwrap()), blob(&case["raw"]))
        else {
            continue;
        };
        let what = format!("{} with {}", case["value"], case["config"]);
        if larder::codec::raw::int(&raw).is_some() {
            continue; // DR-10: never compressed
        }
        let value = case["value"].as_str().unwrap();
        let serialised = unpacked(kind, &raw, 1 << 30).unwrap_or_else(|error| panic!("{what}: {error}"));
        if let Some(expected) = plain.get(&(serializer, value)) {
            assert!(serialised == *expected, "{what}");
            equal += 1;
        }
        if let Some(size) = value.strip_prefix("serialized to ").and_then(|rest| rest.strip_suffix(" bytes")) {
            assert_eq!(serialised.len(), size.parse::<usize>().unwrap(), "{what}");
            lengths += 1;
        }
        // The same is compressed.
        let stored = packed(kind, &serialised);
        assert_eq!(stored == *serialised, raw == *serialised, "{what}");
        ours.entry(kind).or_default().push([stored, serialised.into()]);
    }
    assert!(equal > 250 && lengths > 80, "{equal} values, {lengths} lengths");
    let mut partner = partner();
    for (kind, values) in &ours {
        let stored: Vec<_> = values.iter().map(|[stored, _]| stored.clone()).collect();
        for (read, [_, expected]) in read_by_python(&mut partner, kind, &stored).iter().zip(values) {
            assert!(read.as_ref() == Some(expected), "{kind}: {}", expected.escape_ascii());
        }
    }
}

#[test]
fn every_value_is_read_and_written() {
    let data = golden("redis_values.json");
    let (mut read, mut written) = (0, 0);
    for case in list(&data, "cases") {
        let (Some((serializer, kind)), Some(raw)) = (parts(case["config"].as_str().unwrap()), blob(&case["raw"]))
        else {
            continue;
        };
        let what = format!("{} with {}", case["value"], case["config"]);
        let codec = codec(serializer, kind);
        let tree = codec.decode(&Bytes::from(raw.clone()).into()).map_err(|error| format!("{what}: {error}"));
        if case["reads_back"].get("raises").is_some() {
            assert!(tree.is_err(), "{what}: Python raises");
            continue;
        }
        let value = case["reads_back"].get("returns");
        let value = value.unwrap_or_else(|| data["values"].get(case["value"].as_str().unwrap()).unwrap_or(case));
        let (text, loss) = shown(&tree.unwrap());
        read += 1;
        if let Some(lax) = document(value, "json_lax") {
            assert_eq!(text, dumps(&lax), "{what}");
        }
        if let Some(exact) = document(value, "json") {
            assert_eq!((text.as_str(), loss), (dumps(&exact).as_str(), Loss::Exact), "{what}");
            if case["reads_back"] != "same" {
                continue; // something else was written
            }
            let stored = codec.encode(Input::Json(exact.as_bytes())).expect("it can be written").bytes;
            let limit = 1 << 30;
            assert_eq!(unpacked(kind, &stored, limit).unwrap(), unpacked(kind, &raw, limit).unwrap(), "{what}");
            written += 1;
        }
    }
    assert!(read > 400 && written > 250, "{read} values were read, {written} were written");
}

#[test]
fn foreign_bytes_are_read_as_by_django() {
    let data = golden("redis_values.json");
    let mut compared = 0;
    for case in list(&data, "foreign_bytes") {
        let raw = blob(&case["raw"]).expect("bytes");
        for (reader, expected) in case["read_by"].as_object().expect("readers") {
            let Some((serializer, kind)) = parts(reader) else { continue };
            compared += 1;
            let what = format!("{reader}: {}", raw.escape_ascii());
            match (expected, codec(serializer, kind).decode(&Bytes::from(raw.clone()).into())) {
                (expected, Ok(tree)) if expected.get("returns").is_some() => {
                    let text = match document(&expected["returns"], "json").as_deref() {
                        None if expected["returns"]["repr"] == "nan" => "NaN".to_owned(),
                        Some("(same digits as raw)") => String::from_utf8_lossy(&raw).into_owned(),
                        text => dumps(text.expect("a JSON value")),
                    };
                    assert_eq!(shown(&tree).0, text, "{what}");
                }
                (expected, Err(error)) if expected.get("raises").is_some() => {
                    assert!(matches!(error.kind(), Kind::Undecodable | Kind::TooBig), "{what}: {error}");
                }
                (expected, result) => panic!("{what}: {expected} but {result:?}"),
            }
        }
    }
    assert!(compared > 100, "{compared} readings");
}
