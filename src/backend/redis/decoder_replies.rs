//! What the oracle tests feed to both parsers: replies of every type, changed ones, noise, and how they arrive.

use proptest::prelude::*;

use crate::backend::net::input::{LARGE_READS, SMALL_READS};

/// How bytes arrive.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Whether values share the memory that they were read into.
    pub(super) shares: bool,
    /// What the decoder reads at a time.
    pub(super) chunk: usize,
    /// What the system hands out at a time: these sizes, again and again.
    pub(super) pieces: Vec<usize>,
}

impl Reading {
    /// All that there is, at once.
    pub(super) fn at_once() -> Self {
        Self { shares: false, chunk: SMALL_READS, pieces: vec![usize::MAX] }
    }
}

/// From a byte at a time to all at once. Small chunks move the decoder's memory about all the time.
pub(super) fn reading() -> impl Strategy<Value = Reading> {
    let pieces = prop_oneof![
        Just(vec![1]),
        prop::collection::vec(1..20_usize, 1..6),
        prop::collection::vec(1..40_000_usize, 1..6),
        Just(vec![usize::MAX]),
    ];
    let chunk = prop::sample::select(vec![16, 50, 200, SMALL_READS, LARGE_READS]);
    (any::<bool>(), chunk, pieces).prop_map(|(shares, chunk, pieces)| Reading { shares, chunk, pieces })
}

fn line(mark: u8, text: &str) -> Vec<u8> {
    [&[mark], text.as_bytes(), b"\r\n"].concat()
}

fn blob(mark: u8, data: &[u8]) -> Vec<u8> {
    [&[mark], data.len().to_string().as_bytes(), b"\r\n", data, b"\r\n"].concat()
}

fn many(mark: u8, count: usize, items: &[Vec<u8>]) -> Vec<u8> {
    [line(mark, &count.to_string()), items.concat()].concat()
}

/// A reply that holds no others.
fn leaf() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n')], 0..40);
    let fixed = ["_", "$-1", "*-1", "~-1", "#t", "#f", "+OK", ",inf", ",-inf", ",nan", ":0", "*0", "~0", "%0"];
    let large = (1..50_000_usize, any::<u8>()).prop_map(|(size, byte)| blob(b'$', &vec![byte; size]));
    prop_oneof![
        20 => prop::sample::select(fixed.to_vec()).prop_map(|text| format!("{text}\r\n").into_bytes()),
        10 => "[^\r\n]{0,20}".prop_map(|text| line(b'+', &text)),
        10 => "(ERR|WRONGTYPE|MOVED|X|)( [^\r\n]{0,20})?".prop_map(|text| line(b'-', &text)),
        10 => any::<i64>().prop_map(|number| line(b':', &number.to_string())),
        10 => any::<f64>().prop_map(|number| line(b',', &format!("{number:e}"))),
        10 => "[+-]?[0-9]{1,40}".prop_map(|digits| line(b'(', &digits)),
        20 => bytes().prop_map(|data| blob(b'$', &data)),
        1 => large,
        10 => bytes().prop_map(|data| blob(b'!', &data)),
        10 => ("[a-z]{3}", bytes()).prop_map(|(format, data)| blob(b'=', &[format.as_bytes(), b":", &data].concat())),
    ]
}

/// A reply of any type, in any of the forms that a server may choose.
fn reply() -> impl Strategy<Value = Vec<u8>> {
    leaf().prop_recursive(7, 40, 5, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..5);
        let pairs = |least: usize| {
            prop::collection::vec((inner.clone(), inner.clone()), least..3)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| [key, value].concat()).collect::<Vec<_>>())
        };
        prop_oneof![
            some().prop_map(|items| many(b'*', items.len(), &items)),
            some().prop_map(|items| many(b'~', items.len(), &items)),
            pairs(0).prop_map(|pairs| many(b'%', pairs.len(), &pairs)),
            ("[a-z]{1,12}", some()).prop_map(|(kind, items)| [
                many(b'>', items.len() + 1, &[blob(b'$', kind.as_bytes())]),
                items.concat()
            ]
            .concat()),
            (pairs(1), inner.clone()).prop_map(|(pairs, value)| [many(b'|', pairs.len(), &pairs), value].concat()),
        ]
    })
}

/// A few replies, some of them deep inside arrays, sets and attributes of one item.
pub(super) fn replies() -> impl Strategy<Value = Vec<u8>> {
    let around = prop::sample::select(vec!["*1\r\n", "~1\r\n", "%1\r\n:1\r\n", "|1\r\n+a\r\n:1\r\n"]);
    let deep = (prop::collection::vec(around, 0..9), reply())
        .prop_map(|(around, reply)| [around.concat().as_bytes(), &reply].concat());
    prop::collection::vec(prop_oneof![3 => reply().boxed(), 1 => deep.boxed()], 1..5)
        .prop_map(|replies| replies.concat())
}

/// Noise that is made of what the protocol is made of.
pub(super) fn noise() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(SIGNS.to_vec())];
    prop::collection::vec(byte, 0..60)
}

/// What has a meaning in the protocol.
const SIGNS: &[u8] = b"$*:+-_#,(!=%~>|\r\n\r\n\r\n0123456789tf";

/// Lines that are not as they should be, or not where they should be; with the end of a line.
const LINES: &str =
    "$-1 $-2 *2 *-1 %1 %-1 ~1 |1 |0 >1 >0 $5 !3 _ _x #x #t #tt :+1 :1x :- ,1e400 ,x (1.5 (+1 $? *? . ;4";
/// Pieces of lines.
const PIECES: [&str; 12] =
    ["\r\n", "\n", "\r", "-1", "=5\r\nab:cd\r\n", "=6\r\nabc:d\r\n", "+", " ", ": 1\r\n", "9", "99999999", "\u{e9}"];

/// A place in some bytes, given in parts of 65,536: mostly so many bytes beside the beginning of a line.
type Place = (u16, Option<i8>);

fn find((part, beside): Place, bytes: &[u8]) -> usize {
    let of = |count: usize| usize::from(part) * count / (usize::from(u16::MAX) + 1);
    let Some(beside) = beside else { return of(bytes.len()) };
    let ends = bytes.windows(2).enumerate().filter(|(_, two)| two == b"\r\n").map(|(at, _)| at + 2);
    let lines: Vec<usize> = std::iter::once(0).chain(ends).collect();
    lines[of(lines.len())].saturating_add_signed(beside.into()).min(bytes.len())
}

/// A change to what a server sent.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Remove(Place, usize),
    Repeat(Place, usize),
    Put(Place, Vec<u8>),
    Replace(Place, u8),
    End(Place),
}

fn place() -> impl Strategy<Value = Place> {
    let beside = prop_oneof![1 => Just(None), 2 => Just(Some(0)), 2 => (-2..=2_i8).prop_map(Some)];
    (any::<u16>(), beside)
}

/// The end of what came, anywhere.
pub(super) fn cut() -> impl Strategy<Value = Change> {
    place().prop_map(Change::End)
}

/// One to three changes.
pub(super) fn changes() -> impl Strategy<Value = Vec<Change>> {
    let lines: Vec<Vec<u8>> = LINES.split(' ').map(|text| format!("{text}\r\n").into_bytes()).collect();
    let put = prop_oneof![
        2 => prop::sample::select(lines),
        1 => prop::sample::select(PIECES.map(|piece| piece.as_bytes().to_vec()).to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    let byte = prop_oneof![any::<u8>(), prop::sample::select(SIGNS.to_vec())];
    let change = prop_oneof![
        2 => (place(), 1..12_usize).prop_map(|(place, size)| Change::Remove(place, size)),
        1 => (place(), 1..12_usize).prop_map(|(place, size)| Change::Repeat(place, size)),
        4 => (place(), put).prop_map(|(place, bytes)| Change::Put(place, bytes)),
        4 => (place(), byte).prop_map(|(place, byte)| Change::Replace(place, byte)),
        1 => cut(),
    ];
    prop::collection::vec(change, 1..4)
}

impl Change {
    /// Makes it.
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        let (Self::Remove(place, _)
        | Self::Repeat(place, _)
        | Self::Put(place, _)
        | Self::Replace(place, _)
        | Self::End(place)) = self;
        let at = find(*place, bytes);
        match self {
            Self::Remove(_, size) => drop(bytes.drain(at..bytes.len().min(at + size))),
            Self::Repeat(_, size) => {
                let piece = bytes[at..bytes.len().min(at + size)].to_vec();
                bytes.splice(at..at, piece);
            }
            Self::Put(_, piece) => drop(bytes.splice(at..at, piece.iter().copied())),
            Self::Replace(_, byte) => bytes.iter_mut().skip(at).take(1).for_each(|place| *place = *byte),
            Self::End(_) => bytes.truncate(at),
        }
    }
}
