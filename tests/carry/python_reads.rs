//! What Python reads of what was carried.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use larder::codec::Input;
use serde_json::{Value, json};

use super::common::python::Partner;
use super::forms;
use super::values::documents;

#[test]
fn python_reads_what_was_carried() {
    let caches = forms::all();
    let mut python = Partner::start("carry/partner.py");
    // bools are ints after pylibmc, and JSON's ints beyond 64 bits are not msgpack's
    let documents: Vec<String> =
        documents().into_iter().filter(|text| !matches!(text.as_str(), "true" | "false")).collect();
    let source = &caches[0];
    let mut expected: Option<Value> = None;
    for to in caches.iter().filter(|to| !to.form.ends_with("disk") && to.form != "diskcache" && to.serializer != "own")
    {
        for by in caches.iter().filter(|by| ["pickle", "redis", "compressed"].contains(&by.form)) {
            let stored: Vec<Value> = documents
                .iter()
                .map(|text| {
                    let first = source.codec.encode(Input::Json(text.as_bytes())).unwrap();
                    let second = by.codec.carry(&source.codec, &first).unwrap();
                    let third = to.codec.carry(&by.codec, &second).unwrap();
                    json!([third.flags, STANDARD.encode(&third.bytes)])
                })
                .collect();
            let asked = json!({
                "form": to.form, "serializer": to.serializer, "compressor": to.compressor, "stored": stored,
            });
            let read = python.must("read", asked);
            let wanted = expected.get_or_insert_with(|| read.clone());
            for ((document, read), wanted) in
                documents.iter().zip(read.as_array().unwrap()).zip(wanted.as_array().unwrap())
            {
                assert_eq!(read, wanted, "{document} from {by} to {to}");
            }
        }
    }
    assert_eq!(expected.unwrap()[4], json!(["int", "65536"]));
}
