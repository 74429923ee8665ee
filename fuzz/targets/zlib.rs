#![no_main]

use larder::codec::compress::Method;

libfuzzer_sys::fuzz_target!(|stored: &[u8]| larder_fuzz::unpack(Method::Zlib, stored, 65536));
