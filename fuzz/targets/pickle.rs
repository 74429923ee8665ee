#![no_main]

use larder::codec::{Form, Serializer};

libfuzzer_sys::fuzz_target!(|stored: &[u8]| {
    for protocol in [0, 2, 5] {
        larder_fuzz::read(&larder_fuzz::codec(Serializer::Pickle(protocol), Form::Pickle), stored, 0);
    }
});
