//! What the decoder promises: any split gives the same replies, and garbage gives an error in bounded memory.

use proptest::prelude::*;

use super::super::resp::{Digits, argument, command};
use super::*;
use crate::backend::net::input::{BELIEVED, LARGE_READS, SMALL_READS};

fn encode(frame: &Frame, out: &mut Vec<u8>) {
    let bulk = |mark: char, data: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(format!("{mark}{}\r\n", data.len()).as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    };
    let many = |mark: char, count: usize, items: &[Frame], out: &mut Vec<u8>| {
        out.extend_from_slice(format!("{mark}{count}\r\n").as_bytes());
        for item in items {
            encode(item, out);
        }
    };
    match frame {
        Frame::Null => out.extend_from_slice(b"$-1\r\n"),
        Frame::Simple(text) => out.extend_from_slice(&[b"+", text.as_ref(), b"\r\n"].concat()),
        Frame::Error(text) => bulk('!', text, out),
        Frame::Int(number) => out.extend_from_slice(format!(":{number}\r\n").as_bytes()),
        Frame::Bulk(data) => bulk('$', data, out),
        Frame::Double(number) => out.extend_from_slice(format!(",{number}\r\n").as_bytes()),
        Frame::Bool(truth) => out.extend_from_slice(if *truth { b"#t\r\n" } else { b"#f\r\n" }),
        Frame::BigNumber(digits) => out.extend_from_slice(&[b"(", digits.as_ref(), b"\r\n"].concat()),
        Frame::Array(items) => many('*', items.len(), items, out),
        Frame::Map(items) => many('%', items.len() / 2, items, out),
        Frame::Push(items) => many('>', items.len(), items, out),
    }
}

fn leaf() -> impl Strategy<Value = Frame> {
    prop_oneof![
        Just(Frame::Null),
        "[ -~]{0,20}".prop_map(|text| Frame::Simple(text.into())),
        any::<i64>().prop_map(Frame::Int),
        any::<bool>().prop_map(Frame::Bool),
        (-1e9..1e9).prop_map(Frame::Double),
        "-?[0-9]{1,40}".prop_map(|digits| Frame::BigNumber(digits.into())),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|data| Frame::Error(data.into())),
        prop::collection::vec(any::<u8>(), 0..100).prop_map(|data| Frame::Bulk(data.into())),
        (8_000..40_000_usize, any::<u8>()).prop_map(|(size, byte)| Frame::Bulk(vec![byte; size].into())),
    ]
}

fn frame() -> impl Strategy<Value = Frame> {
    leaf().prop_recursive(4, 30, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Frame::Array),
            prop::collection::vec((inner.clone(), inner.clone()), 0..4)
                .prop_map(|pairs| Frame::Map(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect())),
            prop::collection::vec(inner, 1..4).prop_map(Frame::Push),
        ]
    })
}

/// Feeds `bytes` as a socket would, in pieces of the sizes that `pieces` repeats.
fn decode(bytes: &[u8], pieces: &[usize]) -> Result<Vec<Frame>> {
    let copies = decode_with(Decoder::new(SMALL_READS), bytes, pieces);
    for chunk in [SMALL_READS, LARGE_READS] {
        let parts = decode_with(Decoder::sharing(chunk), bytes, pieces);
        let same = match (&parts, &copies) {
            (Ok(parts), Ok(copies)) => parts == copies || format!("{parts:?}") == format!("{copies:?}"), // nan
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
        while let Some(frame) = decoder.frame()? {
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
            encode(frame, &mut bytes);
        }
        prop_assert_eq!(&decode(&bytes, &[usize::MAX]).unwrap(), &frames);
        prop_assert_eq!(&decode(&bytes, &pieces).unwrap(), &frames);
    }

    #[test]
    fn garbage_ends_in_an_error_or_waits_for_more(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"$*:+-_#,(!=%~>|\r\n0123456789tf".to_vec())], 0..300),
        pieces in prop::collection::vec(1..50_usize, 1..4),
    ) {
        let whole = decode(&bytes, &[usize::MAX]);
        let split = decode(&bytes, &pieces);
        prop_assert_eq!(whole.is_ok(), split.is_ok());
        if let (Ok(whole), Ok(split)) = (whole, split) {
            prop_assert_eq!(format!("{whole:?}"), format!("{split:?}")); // nan differs from itself
        }
    }
}

#[test]
fn every_byte_can_be_the_last_of_a_piece() {
    let bytes =
        b"*3\r\n$5\r\nhello\r\n:-42\r\n*1\r\n+OK\r\n|1\r\n+ttl\r\n:3\r\n=8\r\ntxt:some\r\n-ERR no\r\n_\r\n*-1\r\n";
    let whole = decode(bytes, &[usize::MAX]).unwrap();
    assert_eq!(whole.len(), 5);
    assert_eq!(whole[1], Frame::Bulk(Bytes::from_static(b"some")), "an attribute is not a reply");
    for first in 1..bytes.len() {
        assert_eq!(decode(bytes, &[first, usize::MAX]).unwrap(), whole, "split after {first}");
    }
    assert_eq!(decode(bytes, &[1]).unwrap(), whole);
}

#[test]
fn refuses_what_is_not_the_protocol() {
    for bad in [
        "HTTP/1.1 400 Bad Request\r\n",
        "$-2\r\n",
        "$+5\r\n",
        "$ 5\r\n",
        "$\r\n",
        "$1x\r\n",
        ":\r\n",
        ":1 \r\n",
        ":--1\r\n",
        ":9223372036854775808\r\n",
        "*x\r\n",
        "*-2\r\n",
        "%-1\r\n",
        "#x\r\n",
        "_x\r\n",
        "(1.5\r\n",
        ",one\r\n",
        "+OK\n",
        "\r\n",
        "\n",
        "$3\r\nabcde",
        "=2\r\nab\r\n",
        "$99999999999999999999\r\n",
        "$600000000\r\n",
        "*99999999\r\n",
        "$?\r\n",
        ">0\r\n",
    ] {
        assert!(decode(bad.as_bytes(), &[usize::MAX]).is_err(), "{bad:?} was taken");
    }
    let deep = "*1\r\n".repeat(100_000);
    assert!(decode(deep.as_bytes(), &[usize::MAX]).is_err());
    assert!(decode(&vec![b'+'; 200_000], &[usize::MAX]).is_err(), "a line without an end");
}

#[test]
fn announced_sizes_are_not_believed() {
    let mut decoder = Decoder::new(SMALL_READS);
    decoder.room().unwrap().extend_from_slice(b"$536870912\r\nabc");
    assert_eq!(decoder.frame().unwrap(), None);
    assert!(decoder.room().unwrap().capacity() <= 2 * BELIEVED, "512 MiB were announced, 3 bytes came");

    let mut decoder = Decoder::new(SMALL_READS);
    decoder.room().unwrap().extend_from_slice(b"*4000000\r\n*4000000\r\n:1\r\n");
    assert_eq!(decoder.frame().unwrap(), None);
    assert!(decoder.open.iter().all(|open| open.items.capacity() <= 256));
}

#[test]
fn a_large_value_is_read_into_its_own_buffer() {
    let mut bytes = Vec::new();
    let value = vec![7; 10 << 20];
    argument(&mut bytes, &value);
    bytes.extend_from_slice(b":1\r\n");
    let frames = decode(&bytes, &[100_000]).unwrap();
    assert_eq!(frames, [Frame::Bulk(value.into()), Frame::Int(1)]);
}

#[test]
fn numbers_are_written_as_redis_wants_them() {
    for number in [0, 1, -1, 9, 10, 300_000, i64::MAX, i64::MIN] {
        assert_eq!(Digits::of(number).as_bytes(), number.to_string().as_bytes());
    }
    let mut out = Vec::new();
    command(&mut out, &[b"GET", b":1:k"]);
    assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$4\r\n:1:k\r\n");
}

// A read that is shared: its values have no memory of their own, and it is used again when they are gone.
#[test]
fn values_are_parts_of_what_was_read() {
    let mut decoder = Decoder::sharing(LARGE_READS);
    let mut reads = std::collections::HashSet::new();
    for round in 0..100_u8 {
        let mut bytes = Vec::new();
        for one in 0..20_u8 {
            argument(&mut bytes, &[round ^ one; 1000]);
        }
        let room = decoder.room().unwrap();
        room.extend_from_slice(&bytes);
        reads.insert(room.as_ptr());
        for one in 0..20_u8 {
            let Some(Frame::Bulk(value)) = decoder.frame().unwrap() else { panic!("no value") };
            assert!(value == vec![round ^ one; 1000]);
            assert!(decoder.input.shares(&value), "a copy");
        }
        assert_eq!(decoder.frame().unwrap(), None);
    }
    assert!(reads.len() <= 3, "{} buffers were made", reads.len());
}

#[test]
fn a_value_that_stays_is_not_written_over() {
    let mut decoder = Decoder::sharing(LARGE_READS);
    let mut stay = Vec::new();
    for round in 0..50_u8 {
        let room = decoder.room().unwrap();
        argument(room, &vec![round; 9000]);
        argument(room, &[round; 10]);
        let Some(Frame::Bulk(large)) = decoder.frame().unwrap() else { panic!("no value") };
        let Some(Frame::Bulk(small)) = decoder.frame().unwrap() else { panic!("no value") };
        stay.push((large, small));
    }
    for (round, (large, small)) in (0..50_u8).zip(stay) {
        assert!(large == vec![round; 9000] && small == vec![round; 10]);
    }
}
