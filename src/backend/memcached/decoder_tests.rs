//! What the decoder promises: any split gives the same replies, and garbage gives an error in bounded memory.

use proptest::prelude::*;

use super::*;
use crate::backend::net::input::{LARGE, LARGE_READS, SMALL_READS};

fn encode(frame: &Frame, keys: &[String], out: &mut Vec<u8>) {
    match frame {
        Frame::Values(items) => {
            for (item, key) in items.iter().zip(keys.iter().cycle()) {
                let value = &item.value;
                out.extend_from_slice(format!("VALUE {key} {} {}\r\n", value.flags, value.bytes.len()).as_bytes());
                out.extend_from_slice(&value.bytes);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"END\r\n");
        }
        Frame::Number(number) => out.extend_from_slice(format!("{number}\r\n").as_bytes()),
        Frame::Word(word) => out.extend_from_slice(match word {
            Word::Stored => b"STORED\r\n",
            Word::NotStored => b"NOT_STORED\r\n",
            Word::Exists => b"EXISTS\r\n",
            Word::NotFound => b"NOT_FOUND\r\n",
            Word::Deleted => b"DELETED\r\n",
            Word::Touched => b"TOUCHED\r\n",
            Word::Ok => b"OK\r\n",
            Word::Version => b"VERSION 1.6.18\r\n",
        }),
        Frame::Error(complaint, text) => {
            let name: &[u8] = match complaint {
                Complaint::Unknown => b"ERROR",
                Complaint::Client => b"CLIENT_ERROR",
                Complaint::Server => b"SERVER_ERROR",
            };
            out.extend_from_slice(&[name, b" ", text, b"\r\n"].concat());
        }
    }
}

const KEYS: [&str; 3] = [":1:k", "a:2:日本", "x"];

fn keys() -> Vec<String> {
    KEYS.map(str::to_owned).into()
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100),
        "(END\r\n|VALUE a 0 1\r\n|\r\n){0,5}".prop_map(String::into_bytes),
        (LARGE - 10..LARGE * 5, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]),
    ]
}

fn frame() -> impl Strategy<Value = Frame> {
    let items = prop::collection::vec((any::<u32>(), data()), 0..6).prop_map(|values| {
        let items = values.into_iter().zip(KEYS.iter().cycle()).map(|((flags, bytes), key)| Item {
            key: number(key.as_bytes()),
            value: Stored { bytes: bytes.into(), flags },
        });
        Frame::Values(items.collect())
    });
    let words = [
        Word::Stored,
        Word::NotStored,
        Word::Exists,
        Word::NotFound,
        Word::Deleted,
        Word::Touched,
        Word::Ok,
        Word::Version,
    ];
    let complaints = [Complaint::Unknown, Complaint::Client, Complaint::Server];
    prop_oneof![
        items,
        any::<u64>().prop_map(Frame::Number),
        prop::sample::select(words.to_vec()).prop_map(Frame::Word),
        (prop::sample::select(complaints.to_vec()), "[a-z]{0,20}")
            .prop_map(|(one, text)| Frame::Error(one, text.into())),
    ]
}

/// Feeds `bytes` as a socket would, in pieces of the sizes that `pieces` repeats.
fn decode(bytes: &[u8], pieces: &[usize]) -> Result<Vec<Frame>> {
    let copies = decode_with(Decoder::new(SMALL_READS), bytes, pieces);
    for chunk in [SMALL_READS, LARGE_READS] {
        let same = match (&decode_with(Decoder::sharing(chunk), bytes, pieces), &copies) {
            (Ok(parts), Ok(copies)) => parts == copies,
            (parts, copies) => parts.is_err() && copies.is_err(),
        };
        assert!(same, "parts and copies differ");
    }
    copies
}

fn decode_with(mut decoder: Decoder, bytes: &[u8], pieces: &[usize]) -> Result<Vec<Frame>> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() {
        let room = decoder.room()?;
        let size = rest.len().min(room.capacity() - room.len()).min(*pieces.next().unwrap());
        assert!(size > 0, "there must be room");
        room.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
        while let Some(frame) = decoder.next()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_replies(
        frames in prop::collection::vec(frame(), 1..6), pieces in prop::collection::vec(1..5000_usize, 1..8),
    ) {
        let mut bytes = Vec::new();
        for frame in &frames {
            encode(frame, &keys(), &mut bytes);
        }
        prop_assert_eq!(&decode(&bytes, &[usize::MAX]).unwrap(), &frames);
        prop_assert_eq!(&decode(&bytes, &pieces).unwrap(), &frames);
    }

    #[test]
    fn garbage_ends_in_an_error_or_waits_for_more(
        parts in prop::collection::vec(prop_oneof![
            "[\\x00-\\x7f]{0,12}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..12),
            prop::sample::select(vec!["VALUE ", "k ", "0 ", "3", "\r\n", "abc\r\n", "END\r\n", "STORED\r\n", "17\r\n", "ERROR\r\n"])
                .prop_map(|text| text.as_bytes().to_vec()),
        ], 0..20),
        pieces in prop::collection::vec(1..50_usize, 1..4),
    ) {
        let bytes = parts.concat();
        let (whole, split) = (decode(&bytes, &[usize::MAX]), decode(&bytes, &pieces));
        prop_assert_eq!(whole.is_ok(), split.is_ok());
        if let (Ok(whole), Ok(split)) = (whole, split) {
            prop_assert_eq!(whole, split);
        }
    }
}

fn one(text: &[u8]) -> Result<Vec<Frame>> {
    decode(text, &[1])
}

#[test]
fn replies_are_what_the_protocol_says() {
    let found = |key: &str, flags, bytes: &'static [u8]| {
        let value = Stored { bytes: Bytes::from_static(bytes), flags };
        Frame::Values(Items::from_buf([Item { key: number(key.as_bytes()), value }]))
    };
    for (text, expected) in [
        (&b"END\r\n"[..], Frame::Values(Items::new())),
        (b"VALUE :1:k 16 3\r\nabc\r\nEND\r\n", found(":1:k", 16, b"abc")),
        (b"VALUE :1:k 4294967295 0 18446744073709551615\r\n\r\nEND\r\n", found(":1:k", u32::MAX, b"")), // gets
        (b"VALUE k 0 5\r\nEND\r\n\r\nEND\r\n", found("k", 0, b"END\r\n")),
        (b"18446744073709551615\r\n", Frame::Number(u64::MAX)),
        (b"9 \r\n", Frame::Number(9)),
        (b"VERSION 1.6.18\r\n", Frame::Word(Word::Version)),
        (b"ERROR\r\n", Frame::Error(Complaint::Unknown, Bytes::new())),
        (b"ERROR Too many\r\n", Frame::Error(Complaint::Unknown, Bytes::from_static(b"Too many"))),
        (b"CLIENT_ERROR bad\r\n", Frame::Error(Complaint::Client, Bytes::from_static(b"bad"))),
        (b"SERVER_ERROR\r\n", Frame::Error(Complaint::Server, Bytes::new())),
        // in the midst of values
        (b"VALUE k 0 1\r\nx\r\nSERVER_ERROR oom\r\n", Frame::Error(Complaint::Server, Bytes::from_static(b"oom"))),
    ] {
        assert_eq!(one(text).unwrap(), [expected], "{}", text.escape_ascii());
    }
}

#[test]
fn what_no_memcached_sends_is_an_error_and_ends_the_connection() {
    for text in [
        &b"+OK\r\n"[..],
        b"HTTP/1.1 400 Bad Request\r\n",
        b"-ERR unknown command\r\n",
        b"\r\n",
        b"stored\r\n",
        b"STORED \r\n",
        b"ERRORS\r\n",
        b"SERVER_ERRORx\r\n",
        b"STORED\n",
        b"-1\r\n",
        b"18446744073709551616\r\n",
        b"000000000000000000001\r\n",
        b"VALUE\r\n",
        b"VALUE \r\n",
        b"VALUE k\r\n",
        b"VALUE k 0\r\n",
        b"VALUE k 0 \r\n",
        b"VALUE  0 1\r\n",
        b"VALUE k -1 1\r\n",
        b"VALUE k 4294967296 1\r\n",
        b"VALUE k 0 -1\r\n",
        b"VALUE k 0 1x\r\n",
        b"VALUE k 0 1 x\r\n",
        b"VALUE k 0 1 2 3\r\n",
        b"VALUE k 0 3\r\nabcd\r\n",
        b"VALUE k 0 3\r\nabc\n\r",
        b"VALUE k 0 1\r\nx\r\nSTORED\r\n",
        b"VALUE k 0 1\r\nx\r\n17\r\n",
    ] {
        let error = one(text).expect_err(&text.escape_ascii().to_string());
        assert_eq!((error.kind(), error.is_retriable()), (Kind::Connection, false), "{}", text.escape_ascii());
    }
}

#[test]
fn huge_announcements_cost_no_memory() {
    for length in ["536870913", "1099511627776", "18446744073709551615"] {
        let error = one(format!("VALUE k 0 {length}\r\n").as_bytes()).unwrap_err();
        assert_eq!(error.kind(), Kind::TooBig, "{length}");
    }
    let mut decoder = Decoder::new(SMALL_READS);
    decoder.room().unwrap().extend_from_slice(b"VALUE k 0 536870912\r\nx");
    assert!(decoder.next().unwrap().is_none());
    let room = decoder.room().unwrap();
    assert!(room.capacity() <= 5 << 20, "{} bytes for one that came", room.capacity());
    assert!(!decoder.is_empty());
    // a line without an end
    let endless = vec![b'x'; 1 << 20];
    assert_eq!(decode(&endless, &[4096]).unwrap_err().kind(), Kind::Connection);
}

#[test]
fn a_large_value_lands_in_memory_of_its_own_and_what_follows_is_not_lost() {
    let value: Vec<u8> = (0..3_000_000_u32).map(|index| index.to_le_bytes()[1]).collect();
    let mut bytes = format!("VALUE k 7 {}\r\n", value.len()).into_bytes();
    bytes.extend_from_slice(&value);
    bytes.extend_from_slice(b"\r\nEND\r\nSTORED\r\nVALUE k 7 1\r\nx\r\nEND\r\n");
    for pieces in [&[usize::MAX][..], &[1 << 16], &[4000, 1, 100_000]] {
        let frames = decode(&bytes, pieces).unwrap();
        let [Frame::Values(large), Frame::Word(Word::Stored), Frame::Values(small)] = &frames[..] else {
            panic!("{} replies", frames.len())
        };
        assert!(large[0].value.bytes == value && large[0].value.flags == 7 && small[0].value.bytes == "x");
    }
}

#[test]
fn every_cut_waits_for_more() {
    let text = b"VALUE :1:k 16 3\r\nabc\r\nVALUE :1:l 16 0\r\n\r\nEND\r\n";
    for end in 0..text.len() {
        assert_eq!(one(&text[..end]).unwrap(), [], "{end}");
    }
    assert_eq!(one(text).unwrap().len(), 1);
}
