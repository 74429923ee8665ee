#![no_main]

use larder::codec::{Form, Serializer};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((kind, stored)) = input.split_first() else { return };
    larder_fuzz::read(&larder_fuzz::codec(Serializer::Pickle(5), Form::DiskCache), stored, u32::from(kind % 7));
});
