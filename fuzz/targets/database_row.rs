#![no_main]

use larder::backend::database::row;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((limit, column)) = input.split_first() else { return };
    let limit = usize::from(*limit) * 64;
    let Ok(value) = row::decode(column, limit) else { return };
    assert!(value.len() <= limit);
    // what was read comes back from what is written for it
    let written = row::encode(&value).expect("there is memory");
    assert_eq!(row::decode(written.as_bytes(), limit).expect("it was written just now"), value);
});
