//! The decoder against the parser of redis-rs: whatever a server sends, both read the same, or both refuse it.
//!
//! Where ours differs on purpose, the input has to show why ([`excuse`]), or theirs has to say so ([`is_only_theirs`]):
//!
//! * ours is strict about numbers: no blanks around them, lengths and counts in digits alone, `-1` only where it means
//!   null, `_` with nothing behind it, digits in a big number, three letters before the colon of a verbatim text;
//! * a line feed without a carriage return is refused, a message or an attribute without items too;
//! * ours has limits (nesting, lengths, items, lines), and reads a line only when its end is there;
//! * theirs wants UTF-8 in lines, and a text as the first item of a push message; ours passes on what came;
//! * ours drops attributes, and says nothing about a status `OK` or a set that it would not say about others.
//!
//! `LARDER_FUZZ_SECONDS=60` goes on for so long; without it a run is short.

#[path = "decoder_replies.rs"]
mod replies;

use std::io::Cursor;
use std::time::{Duration, Instant};

use ::redis::{Parser, Value, VerbatimFormat};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use self::replies::{Reading, changes, cut, noise, reading, replies};
use super::*;
use crate::backend::net::input::{LARGE, LARGE_READS, SMALL_READS};

/// What one test does where nobody asks for more.
const CASES: u32 = 500;
/// The marks that a length follows, and those that a count follows.
const LENGTHS: &[u8] = b"$=!";
const COUNTS: &[u8] = b"*~%>|";

/// How reading ended.
#[derive(Clone, Debug, PartialEq)]
enum End {
    /// More bytes are wanted, or none.
    More,
    /// What came cannot be a reply.
    Refused(String),
}

/// Reads `bytes` as they come from a socket; also whether all of them were used up.
fn ours(bytes: &[u8], reading: &Reading) -> (Vec<Frame>, End, bool) {
    let new = if reading.shares { Decoder::sharing } else { Decoder::new };
    let mut decoder = new(reading.chunk);
    let mut frames = Vec::new();
    let (mut rest, mut pieces) = (bytes, reading.pieces.iter().cycle());
    while !rest.is_empty() {
        let room = decoder.room().unwrap();
        let size = rest.len().min(room.capacity() - room.len()).min(*pieces.next().unwrap());
        room.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
        loop {
            match decoder.frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, End::Refused(error.reason().to_owned()), false),
            }
        }
    }
    let is_empty = decoder.is_empty();
    (frames, End::More, is_empty)
}

/// Reads `bytes` with redis-rs.
fn theirs(bytes: &[u8]) -> (Vec<Value>, End) {
    let (mut parser, mut reader) = (Parser::new(), Cursor::new(bytes));
    let mut values = Vec::new();
    loop {
        match parser.parse_value(&mut reader) {
            Ok(value) => values.push(value),
            Err(error) if error.is_io_error() => return (values, End::More),
            Err(error) => return (values, End::Refused(error.to_string())),
        }
    }
}

/// Whether both mean the same.
fn is_same(frame: &Frame, value: &Value) -> bool {
    let all = |frames: &[Frame], values: &[Value]| {
        frames.len() == values.len() && frames.iter().zip(values).all(|(frame, value)| is_same(frame, value))
    };
    match (frame, value) {
        (_, Value::Attribute { data, .. }) => is_same(frame, data),
        (Frame::Null, Value::Nil) => true,
        (Frame::Simple(text), Value::Okay) => text == "OK",
        (Frame::Simple(text), Value::SimpleString(other)) => text == other,
        (Frame::Error(text), Value::ServerError(other)) => {
            let text = String::from_utf8_lossy(text);
            let mut parts = text.splitn(2, ' ');
            parts.next() == Some(other.code()) && parts.next() == other.details()
        }
        (Frame::Int(number), Value::Int(other)) => number == other,
        (Frame::Bulk(data), Value::BulkString(other)) => data == other,
        (Frame::Bulk(data), Value::VerbatimString { format, text }) => {
            // theirs ends the format at the first colon, wherever that is
            let early = matches!(format, VerbatimFormat::Unknown(format) if format.chars().count() < 3);
            let data = String::from_utf8_lossy(data);
            data == *text || (early && text.ends_with(&*data))
        }
        (Frame::Double(number), Value::Double(other)) => {
            number.to_bits() == other.to_bits() || (number.is_nan() && other.is_nan())
        }
        (Frame::Bool(truth), Value::Boolean(other)) => truth == other,
        (Frame::BigNumber(digits), Value::BigNumber(other)) => digits == other,
        (Frame::Array(items), Value::Array(others) | Value::Set(others)) => all(items, others),
        (Frame::Map(items), Value::Map(others)) => {
            let others: Vec<Value> = others.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect();
            all(items, &others)
        }
        (Frame::Push(items), Value::Push { kind, data }) => {
            let kind = kind.to_string();
            let names = |frame: &Frame| matches!(frame, Frame::Bulk(text) | Frame::Simple(text) if *text == kind);
            items.split_first().is_some_and(|(first, rest)| names(first) && all(rest, data))
        }
        _ => false,
    }
}

/// Whether any line, at whatever place, begins with one of `marks` and goes on with something that `odd` says yes to.
fn has_line(bytes: &[u8], marks: &[u8], odd: impl Fn(u8, &[u8]) -> bool) -> bool {
    bytes.iter().enumerate().filter(|(_, mark)| marks.contains(mark)).any(|(at, mark)| {
        let rest = &bytes[at + 1..];
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        odd(*mark, rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]))
    })
}

/// Whether the input has what ours refuses for this reason although theirs does not.
fn excuse(reason: &str, bytes: &[u8]) -> bool {
    let digits = |body: &[u8]| !body.is_empty() && body.len() <= 18 && body.iter().all(u8::is_ascii_digit);
    let blank = |body: &[u8]| String::from_utf8_lossy(body).trim().len() != body.len();
    let reason = reason.rsplit(": ").next().unwrap_or_default();
    match reason {
        "a line ends without a carriage return" => {
            bytes.iter().enumerate().any(|(at, byte)| *byte == b'\n' && (at == 0 || bytes[at - 1] != b'\r'))
        }
        "a length is not a number" => {
            has_line(bytes, LENGTHS, |mark, body| !(digits(body) || mark == b'$' && body == b"-1"))
        }
        "a count is not a number" => {
            has_line(bytes, COUNTS, |mark, body| !(digits(body) || b"*~".contains(&mark) && body == b"-1"))
        }
        "an empty message" => has_line(bytes, b">|", |_, body| !body.is_empty() && body.iter().all(|one| *one == b'0')),
        "a number is not a number" => has_line(bytes, b":,", |_, body| blank(body)),
        "a reply begins with no known mark" => {
            has_line(bytes, b"_", |_, body| !body.is_empty()) || has_line(bytes, b"(", |_, body| !is_number(body))
        }
        "a verbatim text has no format" => bytes.contains(&b'='),
        "a reply is nested too deeply" => bytes.iter().filter(|byte| COUNTS.contains(byte)).count() > MAX_DEPTH,
        "a reply has too many items" | "the server sends too much in one reply" => {
            has_line(bytes, COUNTS, |_, body| digits(body) && body.len() > 6)
        }
        _ if reason.starts_with("the server announces a value of") => {
            has_line(bytes, LENGTHS, |_, body| digits(body) && body.len() > 8)
        }
        _ => false, // a value that does not end, an empty line: nobody may take that
    }
}

/// Whether theirs refuses for a reason that ours does not have, in its own words: a line that is not UTF-8, or a push
/// message that does not begin with a text.
fn is_only_theirs(reason: &str) -> bool {
    reason.contains("utf-8") || reason.contains("decoding push")
}

/// Both read `bytes`, and must agree; the reason why not.
fn agree(bytes: &[u8], reading: &Reading) -> std::result::Result<(), String> {
    let (frames, end, _) = ours(bytes, reading);
    let (values, other_end) = theirs(bytes);
    for (frame, value) in frames.iter().zip(&values) {
        if !is_same(frame, value) {
            return Err(format!("{frame:?} here is {value:?} there"));
        }
    }
    let (here, there) = (frames.len(), values.len());
    let agreed = match (&end, &other_end) {
        (End::Refused(reason), _) if here < there || other_end == End::More => excuse(reason, bytes),
        (_, End::Refused(why)) if there < here => is_only_theirs(why),
        (End::More, End::Refused(why)) => {
            // Ours looks at a line, or at the end of a value, when it is there.
            let later = [bytes, b"\r\n\r\n"].concat();
            is_only_theirs(why) || matches!(ours(&later, reading).1, End::Refused(_))
        }
        _ => here == there,
    };
    let told = || format!("{here} replies and {end:?} here, {there} and {other_end:?} there");
    if agreed { Ok(()) } else { Err(told()) }
}

/// Runs a test on many inputs: a fixed number, or as long as `LARDER_FUZZ_SECONDS` says.
fn fuzz<S: Strategy>(strategy: &S, test: impl Fn(S::Value) -> std::result::Result<(), TestCaseError>) {
    let seconds = std::env::var("LARDER_FUZZ_SECONDS").ok().map(|text| text.parse().expect("a number of seconds"));
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    loop {
        let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
        TestRunner::new(config).run(strategy, &test).unwrap_or_else(|failure| panic!("{failure}"));
        if Instant::now() >= end {
            return;
        }
    }
}

fn must_agree(bytes: &[u8], reading: &Reading) -> std::result::Result<(), TestCaseError> {
    agree(bytes, reading)
        .map_err(|why| TestCaseError::fail(format!("{why}, for {:?}", bytes.escape_ascii().to_string())))
}

#[test]
fn both_read_whole_replies() {
    fuzz(&(replies(), reading()), |(bytes, reading)| {
        must_agree(&bytes, &reading)?;
        let (frames, end, is_empty) = ours(&bytes, &reading);
        prop_assert!(end == End::More && is_empty, "not all was read: {:?}", end);
        prop_assert_eq!(frames.len(), theirs(&bytes).0.len());
        Ok(())
    });
}

#[test]
fn both_wait_for_the_rest_of_a_reply() {
    fuzz(&(replies(), cut(), reading()), |(mut bytes, cut, reading)| {
        cut.apply(&mut bytes);
        must_agree(&bytes, &reading)?;
        prop_assert_eq!(ours(&bytes, &reading).1, End::More);
        Ok(())
    });
}

#[test]
fn both_refuse_what_was_changed_or_read_it_alike() {
    fuzz(&(replies(), changes(), reading()), |(mut bytes, changes, reading)| {
        for change in changes {
            change.apply(&mut bytes);
        }
        must_agree(&bytes, &reading)
    });
}

#[test]
fn both_refuse_garbage_or_read_it_alike() {
    fuzz(&(noise(), reading()), |(bytes, reading)| must_agree(&bytes, &reading));
}

/// Values around the size from which they get a buffer of their own, with a good end and with bad ones.
#[test]
fn both_look_at_the_end_of_a_value() {
    for size in [0, 1, LARGE - 1, LARGE, LARGE + 1, 2 * LARGE, SMALL_READS, LARGE_READS + 1, 3 * LARGE_READS] {
        for end in ["\r\n", "\r\r", "\n\n", "xx", "\n\r"] {
            let bytes = [format!("${size}\r\n").as_bytes(), &vec![b'v'; size], end.as_bytes(), b":1\r\n"].concat();
            for (chunk, piece) in [(16, 1000), (SMALL_READS, usize::MAX), (LARGE_READS, 7), (LARGE_READS, usize::MAX)] {
                for shares in [false, true] {
                    let reading = Reading { shares, chunk, pieces: vec![piece] };
                    agree(&bytes, &reading).unwrap();
                    let read = if end == "\r\n" { 2 } else { 0 };
                    assert_eq!(ours(&bytes, &reading).0.len(), read, "{size} and {end:?}, {reading:?}");
                }
            }
        }
    }
}

/// Each difference that is meant, by name: what ours does, what theirs does.
#[test]
fn differences_are_as_described() {
    let refused = |bytes: &str| matches!(ours(bytes.as_bytes(), &Reading::at_once()).1, End::Refused(_));
    let read = |bytes: &str| theirs(bytes.as_bytes()).0.len() == 1;
    for strict in [
        "$-2\r\n",
        "$+1\r\na\r\n",
        "$ 1\r\na\r\n",
        "*+1\r\n:1\r\n",
        ": 1\r\n",
        ":1 \r\n",
        ", 1\r\n",
        "_x\r\n",
        "(1.5\r\n",
        "(\r\n",
        "=4\r\nab:c\r\n",
        "+a\nb\r\n",
        ">0\r\n",
        "|0\r\n:1\r\n",
    ] {
        assert!(refused(strict) && read(strict), "{strict:?}");
    }
    for (bytes, frame) in [
        (b"+\xff\r\n".as_slice(), Frame::Simple(Bytes::from_static(b"\xff"))),
        (b"-\xff\r\n", Frame::Error(Bytes::from_static(b"\xff"))),
        (b">1\r\n:1\r\n", Frame::Push(vec![Frame::Int(1)])),
    ] {
        assert_eq!(ours(bytes, &Reading::at_once()).0, [frame]);
        assert!(matches!(theirs(bytes).1, End::Refused(_)));
    }
    // the format of a verbatim text has three letters; theirs ends it at the first colon
    let odd = b"=7\r\na:b:xyz\r\n";
    assert_eq!(ours(odd, &Reading::at_once()).0, [Frame::Bulk(Bytes::from_static(b"xyz"))]);
    assert!(matches!(&theirs(odd).0[..], [Value::VerbatimString { text, .. }] if text == "b:xyz"));
    // the limits; theirs goes deeper, on the thread's stack
    let deep = "*1\r\n".repeat(MAX_DEPTH + 1) + ":1\r\n";
    let theirs_too = std::thread::Builder::new().stack_size(64 << 20).spawn({
        let deep = deep.clone();
        move || theirs(deep.as_bytes()).0.len()
    });
    assert!(refused(&deep) && theirs_too.unwrap().join().unwrap() == 1);
    assert!(refused("$536870913\r\n") && theirs(b"$536870913\r\n").1 == End::More);
}
