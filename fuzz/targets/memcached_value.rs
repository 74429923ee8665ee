#![no_main]

use larder::codec::{Form, Serializer};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((flags, stored)) = input.split_first() else { return };
    for form in [Form::PyMemcache { compressed: true }, Form::PyLibMc] {
        larder_fuzz::read(&larder_fuzz::codec(Serializer::Pickle(5), form), stored, u32::from(*flags));
    }
});
