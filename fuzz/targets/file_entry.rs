#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| larder::backend::file::fuzz::entry(file, larder_fuzz::LIMITS.bytes));
