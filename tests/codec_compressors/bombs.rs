//! Values that would unpack to far more than is allowed: refused, in bounded memory.

use std::fmt::Write;

use larder::error::Kind;
use larder::value::Limits;
use serde_json::json;

use crate::common::alone::alone;
use crate::common::random::Random;
use crate::{KINDS, compressor, from_b64, packed, partner, unpacked};

const LIMIT: usize = 4 << 20;

/// The most memory that this process has had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() * 1024
}

/// Runs something that may take `most` bytes of memory more than this process has had.
fn within<T>(most: usize, what: &str, run: impl FnOnce() -> T) -> T {
    std::fs::write("/proc/self/clear_refs", "5").unwrap(); // the peak is counted from here
    let before = peak();
    let result = run();
    let taken = peak() - before;
    assert!(taken < most, "{what} took {taken} bytes");
    result
}

#[test]
fn bombs_are_refused_in_bounded_memory() {
    if !alone("bombs::bombs_are_refused_in_bounded_memory") {
        return;
    }
    let mut partner = partner();
    for kind in ["zlib", "gzip", "xz", "lzma", "lz4", "zstd", "bz2", "brotli"] {
        let bomb = from_b64(&partner.must("bomb", json!({"kind": kind, "megabytes": 1024})));
        let kind = if kind == "xz" { "lzma" } else { kind };
        for limit in [0, 1000, LIMIT] {
            let refused = within(48 << 20, kind, || unpacked(kind, &bomb, limit)).unwrap_err();
            assert_eq!(refused.kind(), Kind::TooBig, "{kind}: {refused}");
        }
    }
}

/// Only one layer is taken off.
#[test]
fn a_bomb_inside_of_a_value_stays_packed() {
    for kind in KINDS {
        let mut value: Vec<u8> = (0..=255).collect();
        value.resize(LIMIT, 0);
        let inner = packed(kind, &value);
        let outer = packed(kind, &inner);
        assert_eq!(unpacked(kind, &outer, LIMIT).unwrap(), inner, "{kind}");
        assert_eq!(unpacked(kind, &inner, LIMIT).unwrap().len(), LIMIT, "{kind}");
        assert_eq!(unpacked(kind, &inner, LIMIT - 1).unwrap_err().kind(), Kind::TooBig, "{kind}");
    }
}

/// Headers that promise much (a size, a dictionary, a window) cost nothing.
#[test]
fn promises_take_no_memory() {
    if !alone("bombs::promises_take_no_memory") {
        return;
    }
    let from_hex = |text: &str| -> Vec<u8> {
        let digits: Vec<char> = text.chars().filter(|digit| !digit.is_whitespace()).collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    };
    for (kind, what, stored) in [
        // a dictionary of 4 GiB, no size; then 2 GiB and 128 GiB
        ("lzma", "a dictionary", "5d ffffffff ffffffffffffffff 00 341949ee8de917893a33"),
        ("lzma", "a size", "5d 00000080 0000000020000000 00 341949ee8de917893a33"),
        // a window of 2**27 and no size, a size of 2**60 in one segment
        ("zstd", "a window", "28b52ffd 00 88 0100 00 00"),
        ("zstd", "a size", "28b52ffd e0 0000000000000010 0300 00"),
    ] {
        let stored = from_hex(stored);
        let _ = within(4 << 20, what, || unpacked(kind, &stored, 512 << 20));
    }
    // The size in an lz4 frame, with the checksum that belongs to it.
    let mut frame = packed("lz4", &[b'v'; 1000]);
    frame[6..14].copy_from_slice(&(1_u64 << 50).to_le_bytes());
    let mut read = String::new();
    for checksum in 0..=255 {
        frame[14] = checksum;
        let taken = within(4 << 20, "a size", || unpacked("lz4", &frame, 512 << 20)).unwrap();
        write!(read, "{}", usize::from(taken == frame)).unwrap();
    }
    assert_eq!(read, "1".repeat(256), "the size is wrong, so this was not compressed");
}

/// Many streams that hold nothing do not take for ever.
#[test]
fn many_empty_streams_are_read_or_refused() {
    for (kind, empty) in [
        ("gzip", &b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\x03\0\0\0\0\0\0\0\0\0"[..]),
        ("zstd", b"\x28\xb5\x2f\xfd\x20\0\x01\0\0"),
        ("bz2", b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0"),
        ("lzma", b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\0\0\0\0\x1c\xdf\x44\x21\x1f\xb6\xf3\x7d\x01\0\0\0\0\x04YZ"),
        ("lzma", b"]\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0\x83\xff\xfb\xff\xff\xc0\0\0\0"),
    ] {
        assert_eq!(unpacked(kind, &empty.repeat(900), 10).unwrap(), "", "{kind}");
        let many = unpacked(kind, &empty.repeat(50_000), 10);
        match kind {
            "gzip" | "zstd" => assert_eq!(many.unwrap(), ""),
            _ => {
                let error = many.unwrap_err();
                assert_eq!(error.kind(), Kind::TooBig, "{kind}");
                assert!(error.reason().contains("more streams"), "{error}");
            }
        }
    }
}

/// What gets longer by being compressed is refused where it could not be read again.
#[test]
fn nothing_is_written_that_is_too_long_to_be_read() {
    let noise = Random(9).bytes(1000, 0..=255);
    for kind in KINDS {
        let length = packed(kind, &noise).len();
        assert!(length > noise.len(), "{kind}");
        let pack = |bytes| compressor(kind).compress(noise.clone(), &Limits { bytes, ..Limits::default() });
        assert_eq!(pack(length).unwrap().len(), length, "{kind}");
        assert_eq!(pack(length - 1).unwrap_err().kind(), Kind::TooBig, "{kind}");
    }
}
