//! Serialised values that promise or unfold to far more than they are: refused or shown within the limits, in bounded memory.

use larder::codec::{Form, Serializer, json};
use larder::error::Kind;
use larder::value::Limits;

use crate::alone::alone;
use crate::{codec, decode};

/// What decoding and showing one of them may take: some times the longest of them.
const MOST: usize = 96 << 20;

/// The most memory that this process has had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() * 1024
}

/// Lists of ten times the list before, in a few bytes: shown, they are `10**levels` texts.
fn laughs(levels: u8) -> Vec<u8> {
    let mut pickle = b"\x80\x02]q\0U\x03lola".to_vec();
    for level in 1..=levels {
        pickle.extend([b']', b'q', level, b'(']);
        pickle.extend([b'h', level - 1].repeat(10));
        pickle.push(b'e');
    }
    pickle.push(b'.');
    pickle
}

/// Each doubles what the one before holds: a dict whose values are the dict before.
fn twins(levels: u8) -> Vec<u8> {
    let mut pickle = b"\x80\x02}q\0".to_vec();
    for level in 1..=levels {
        pickle.extend([b'}', b'q', level, b'(', b'K', 1, b'h', level - 1, b'K', 2, b'h', level - 1, b'u']);
    }
    pickle.push(b'.');
    pickle
}

#[test]
fn serialised_bombs_are_refused_in_bounded_memory() {
    if !alone("bombs::serialised_bombs_are_refused_in_bounded_memory") {
        return;
    }
    let pickle = || Serializer::Pickle(4);
    let deep = |begin: &[u8]| begin.repeat(2_000_000);
    let bombs: Vec<(&str, Serializer, Vec<u8>)> = vec![
        ("a thousand million laughs", pickle(), laughs(9)),
        ("more laughs", pickle(), laughs(200)),
        ("twins", pickle(), twins(250)),
        ("bytes of 4 GiB", pickle(), b"\x80\x04B\xff\xff\xff\xff.".to_vec()),
        ("bytes of 2**62", pickle(), b"\x80\x04\x8e\0\0\0\0\0\0\0\x40.".to_vec()),
        ("a text of 2**62", pickle(), b"\x80\x04\x8d\0\0\0\0\0\0\0\x40.".to_vec()),
        ("a bytearray of 2**40", pickle(), b"\x80\x05\x96\0\0\0\0\0\x01\0\0.".to_vec()),
        ("a frame of 2**62", pickle(), b"\x80\x04\x95\0\0\0\0\0\0\0\x40K\x01.".to_vec()),
        ("a place in the memo", pickle(), b"\x80\x02]r\xff\xff\xff\x7fj\xff\xff\xff\x7f.".to_vec()),
        ("a number of 2 GiB", pickle(), b"\x80\x02\x8b\xff\xff\xff\x7f.".to_vec()),
        ("a number of many digits", pickle(), [&b"I"[..], &b"7".repeat(2_000_000), b"\n."].concat()),
        ("a deep pickle", pickle(), deep(b"(")),
        ("a deep list", Serializer::MsgPack, deep(b"\x91")),
        ("a long list", Serializer::MsgPack, b"\xdd\xff\xff\xff\xff".to_vec()),
        ("a long map", Serializer::MsgPack, b"\xdf\xff\xff\xff\xff".to_vec()),
        ("long bytes", Serializer::MsgPack, b"\xc6\xff\xff\xff\xff".to_vec()),
        ("lists that promise", Serializer::MsgPack, deep(b"\xdd\xff\xff\xff\xff")),
        ("a deep text", Serializer::Json, deep(b"[")),
        ("digits", Serializer::Json, deep(b"7")),
    ];
    let limits = Limits { bytes: 16 << 20, ..Limits::default() };
    for (what, serializer, stored) in bombs {
        let mut codec = codec(serializer, Form::Pickle);
        codec.limits = limits;
        std::fs::write("/proc/self/clear_refs", "5").unwrap(); // the peak is counted from here
        let before = peak();
        let shown = decode(&codec, &stored).and_then(|tree| json::write(&tree, &limits));
        let taken = peak() - before;
        assert!(taken < MOST, "{what} took {taken} bytes");
        match shown {
            // what is not read, or not shown
            Err(error) => assert!(matches!(error.kind(), Kind::Undecodable | Kind::TooBig), "{what}: {error}"),
            // a frame is only a hint, and the memo has any places
            Ok((text, _)) => assert!(text.len() < 10, "{what}: {} bytes", text.len()),
        }
    }
}
