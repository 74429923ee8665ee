#![no_main]

use larder::codec::{Form, Input, Serializer, json};
use larder_fuzz::{LIMITS, codec, read, shown};

libfuzzer_sys::fuzz_target!(|stored: &[u8]| {
    if let Some(tree) = read(&codec(Serializer::Json, Form::Pickle), stored, 0) {
        // What was JSON is JSON again.
        let text = json::serialise_tree(&tree, &LIMITS);
        let again = text.ok().and_then(|text| json::deserialise(&text.into(), &LIMITS).ok());
        assert!(again.is_none_or(|again| shown(&again) == shown(&tree)));
    }
    // The texts of programs are read more strictly.
    if let Ok(tree) = json::read(stored, &LIMITS) {
        shown(&tree);
        for protocol in [0, 4] {
            let codec = codec(Serializer::Pickle(protocol), Form::RedisIntegers);
            let pickle = codec.encode(Input::Json(stored));
            assert!(
                pickle.is_err() || shown(&codec.decode(&pickle.expect("a pickle")).expect("a value")) == shown(&tree)
            );
        }
    }
});
