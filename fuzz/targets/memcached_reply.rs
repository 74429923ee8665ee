#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((piece, sent)) = input.split_first() else { return };
    larder::backend::memcached::fuzz::replies(sent, usize::from(*piece));
});
