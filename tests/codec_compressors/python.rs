//! Either side reads what the other writes.

use serde_json::json;

use crate::{KINDS, b64, compressor, from_b64, packed, partner, read_by_python, unpacked, values};

const LIMIT: usize = 4 << 20;

#[test]
fn python_reads_what_is_written() {
    let mut partner = partner();
    let values = values();
    for kind in KINDS {
        // Brotli's best quality takes long in a debug build.
        let values: Vec<_> = values.iter().filter(|value| kind != "brotli" || value.len() < 70_000).collect();
        let stored: Vec<_> = values.iter().map(|value| packed(kind, value)).collect();
        for ((value, stored), read) in values.iter().zip(&stored).zip(read_by_python(&mut partner, kind, &stored)) {
            let is_plain = value.len() <= compressor(kind).min_length;
            assert_eq!(*value == stored, is_plain, "{kind}: {} bytes", value.len());
            let read = read.unwrap_or_else(|| panic!("{kind}: Python raises at {} bytes", value.len()));
            assert!(read == **value, "{kind}: {} bytes", value.len());
            assert!(unpacked(kind, stored, LIMIT).unwrap() == **value, "{kind}: {} bytes", value.len());
        }
    }
}

#[test]
fn what_python_writes_is_read() {
    let mut partner = partner();
    let values = values();
    for kind in KINDS {
        let values: Vec<_> = values.iter().filter(|value| kind != "brotli" || value.len() < 70_000).collect();
        let texts: Vec<_> = values.iter().map(|value| b64(value)).collect();
        let stored = partner.must("compress", json!({"kind": kind, "values": texts}));
        for (value, stored) in values.iter().zip(stored.as_array().unwrap()) {
            let read = unpacked(kind, &from_b64(stored), LIMIT).unwrap();
            assert!(read == **value, "{kind}: {} bytes", value.len());
        }
    }
}

/// Other settings, several members, what may stand before, between and behind.
#[test]
fn what_others_write_is_read() {
    let mut partner = partner();
    for value in values().iter().filter(|value| [14, 1000, 65_537].contains(&value.len())) {
        for written in partner.must("other_writers", json!({"value": b64(value)})).as_array().unwrap() {
            let (kind, stored) = (written[0].as_str().unwrap(), from_b64(&written[1]));
            let read = unpacked(kind, &stored, LIMIT).unwrap();
            let by_python = read_by_python(&mut partner, kind, std::slice::from_ref(&stored)).remove(0).unwrap();
            let size = value.len();
            assert!(by_python == *value, "{kind}: Python reads something else of {size} bytes");
            assert!(read == *value, "{kind}: {size} bytes, beginning with {}", stored[..10].escape_ascii());
        }
    }
}

/// The frames that Python writes by default begin so; ours do, too.
#[test]
fn the_formats_are_pythons() {
    let mut partner = partner();
    for value in [vec![b'v'; 1000], vec![b'v'; 100_000]] {
        for (kind, same) in [("zlib", 2), ("lzma", 12), ("lz4", 15), ("bz2", 4)] {
            let stored = partner.must("compress", json!({"kind": kind, "values": [b64(&value)]}));
            let (theirs, ours) = (from_b64(&stored[0]), packed(kind, &value));
            assert_eq!(theirs[..same], ours[..same], "{kind}");
        }
        let (theirs, ours) =
            (partner.must("compress", json!({"kind": "gzip", "values": [b64(&value)]})), packed("gzip", &value));
        let theirs = from_b64(&theirs[0]);
        assert_eq!((&theirs[..4], &theirs[8..10]), (&ours[..4], &ours[8..10]));
        assert_eq!(ours[4..8], [0; 4], "no time of day");
        // Whether a single segment or not, the size of the value is there.
        let zstd = packed("zstd", &value);
        assert_eq!(zstd[..4], *b"\x28\xb5\x2f\xfd");
        assert!(zstd[4] & 0b1110_0000 != 0, "it says no size");
    }
}
