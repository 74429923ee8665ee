#![no_main]

use larder::codec::{Form, Input, Serializer};
use larder::value::Loss;
use larder_fuzz::{codec, read, shown};

libfuzzer_sys::fuzz_target!(|stored: &[u8]| {
    let codec = codec(Serializer::Pickle(4), Form::RedisIntegers);
    let Some(tree) = read(&codec, stored, 0) else { return };
    let Ok((value, deadline)) = codec.unpack_herd(tree) else { return };
    if let (Some((text, Loss::Exact)), Some(deadline)) = (shown(&value), deadline)
        && let Ok(again) = codec.encode_herd(Input::Json(text.as_bytes()), deadline)
    {
        let again = codec.unpack_herd(codec.decode(&again).expect("it is read")).expect("a deadline");
        assert_eq!((shown(&again.0), again.1), (Some((text, Loss::Exact)), Some(deadline)));
    }
});
