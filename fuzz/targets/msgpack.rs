#![no_main]

use larder::codec::{Form, Serializer, msgpack};
use larder_fuzz::{LIMITS, codec, read, shown};

libfuzzer_sys::fuzz_target!(|stored: &[u8]| {
    if let Some(tree) = read(&codec(Serializer::MsgPack, Form::Pickle), stored, 0)
        && let Ok(again) = msgpack::write(&tree, &LIMITS)
    {
        let again = msgpack::read(&again.into(), &LIMITS).expect("what was written is read");
        assert_eq!(shown(&again), shown(&tree));
    }
});
