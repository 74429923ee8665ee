//! The text of dates, times, decimals and UUIDs, from the arguments that their pickles hold.

use std::fmt::Write;

use super::arena::{Node, Tables};
use super::global::Known;
use super::wtf8;

const SECOND: i128 = 1_000_000;
const MINUTE: i128 = 60 * SECOND;
const HOUR: i128 = 60 * MINUTE;
const DAY: i128 = 24 * HOUR;

/// Python's limit for the days of a timedelta, in both directions.
const MOST_DAYS: u64 = 999_999_999;

/// A UUID's state has its number, and perhaps whether making it was safe.
const MOST_UUID_PAIRS: usize = 4;

/// The text of an object of one of these classes; `None` for other objects, and where the arguments make no sense.
pub(crate) fn text(tables: &Tables, object: u32) -> Option<String> {
    let (object, known) = tables.known_object(Node::Object(object))?;
    if object.kwargs.is_some() || object.items != super::arena::NIL || object.pairs != super::arena::NIL {
        return None;
    }
    let args = tables.as_slice(object.args)?;
    match (known, object.state) {
        (Known::DateTime, None) => datetime(tables, args),
        (Known::Date, None) => match args {
            [Node::Bytes(span)] => date(tables.slice(*span)),
            _ => None,
        },
        (Known::Time, None) => time_of_day(tables, args),
        (Known::TimeDelta, None) => duration_text(duration(args)?),
        (Known::Decimal, None) => match args {
            [Node::Text { span, .. }] => Some(wtf8::shown(tables.slice(*span)).into_owned()),
            _ => None,
        },
        (Known::Uuid, Some(Node::Group(state))) => uuid(tables, state),
        _ => None,
    }
}

fn datetime(tables: &Tables, args: &[Node]) -> Option<String> {
    let (Node::Bytes(span), zone) = args.split_first()? else { return None };
    let (day, clock) = tables.slice(*span).split_at_checked(4)?;
    let [y1, y2, month, d] = *day else { return None };
    // The highest bit of the month is `fold`, the second pass through an hour when clocks go back.
    let mut text = date(&[y1, y2, month & 0x7F, d])?;
    text.push('T');
    clock_text(&mut text, clock)?;
    zone_text(tables, &mut text, zone)?;
    Some(text)
}

fn date(bytes: &[u8]) -> Option<String> {
    let [y1, y2, month, day] = *bytes else { return None };
    let year = u16::from_be_bytes([y1, y2]);
    ((1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day))
        .then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn time_of_day(tables: &Tables, args: &[Node]) -> Option<String> {
    let (Node::Bytes(span), zone) = args.split_first()? else { return None };
    let mut clock = <[u8; 6]>::try_from(tables.slice(*span)).ok()?;
    // The highest bit of the hour is `fold`.
    clock[0] &= 0x7F;
    let mut text = String::new();
    clock_text(&mut text, &clock)?;
    zone_text(tables, &mut text, zone)?;
    Some(text)
}

/// `HH:MM:SS`, with six digits of microseconds unless these are zero.
fn clock_text(text: &mut String, bytes: &[u8]) -> Option<()> {
    let [hour, minute, second, m1, m2, m3] = *bytes else { return None };
    let micros = u32::from_be_bytes([0, m1, m2, m3]);
    if hour > 23 || minute > 59 || second > 59 || micros > 999_999 {
        return None;
    }
    write!(text, "{hour:02}:{minute:02}:{second:02}").ok()?;
    if micros != 0 {
        write!(text, ".{micros:06}").ok()?;
    }
    Some(())
}

/// `+HH:MM`, `[Area/City]`, or nothing for a naive time.
fn zone_text(tables: &Tables, text: &mut String, zone: &[Node]) -> Option<()> {
    let node = match zone {
        [] | [Node::None] => return Some(()),
        [node] => *node,
        _ => return None,
    };
    let (object, known) = tables.known_object(node)?;
    let args = tables.as_slice(object.args)?;
    match (known, args) {
        (Known::TimeZone, [delta] | [delta, _]) => {
            let (delta, kind) = tables.known_object(*delta)?;
            if kind != Known::TimeDelta {
                return None;
            }
            offset_text(text, duration(tables.as_slice(delta.args)?)?)
        }
        (Known::PytzUtc, []) => offset_text(text, 0),
        (Known::ZoneInfo, [Node::Text { span, .. }, ..]) => write!(text, "[{}]", wtf8::shown(tables.slice(*span))).ok(),
        _ => None,
    }
}

fn offset_text(text: &mut String, offset: i128) -> Option<()> {
    let size = offset.abs();
    if size >= DAY {
        return None;
    }
    let sign = if offset < 0 { '-' } else { '+' };
    write!(text, "{sign}{:02}:{:02}", size / HOUR, size % HOUR / MINUTE).ok()?;
    if size % MINUTE != 0 {
        write!(text, ":{:02}", size % MINUTE / SECOND).ok()?;
    }
    if size % SECOND != 0 {
        write!(text, ".{:06}", size % SECOND).ok()?;
    }
    Some(())
}

/// The microseconds of `timedelta(days, seconds, microseconds)`.
fn duration(args: &[Node]) -> Option<i128> {
    let [Node::Int(days), Node::Int(seconds), Node::Int(micros)] = *args else { return None };
    if days.unsigned_abs() > MOST_DAYS || !(0..86_400).contains(&seconds) || !(0..1_000_000).contains(&micros) {
        return None;
    }
    Some(i128::from(days) * DAY + i128::from(seconds) * SECOND + i128::from(micros))
}

/// `P1DT02H00M00S`, as Django's JSON encoder writes a timedelta (DR-13).
fn duration_text(value: i128) -> Option<String> {
    let size = value.abs();
    let mut text = String::from(if value < 0 { "-" } else { "" });
    let (hours, minutes) = (size % DAY / HOUR, size % HOUR / MINUTE);
    write!(text, "P{}DT{hours:02}H{minutes:02}M{:02}", size / DAY, size % MINUTE / SECOND).ok()?;
    if size % SECOND != 0 {
        write!(text, ".{:06}", size % SECOND).ok()?;
    }
    text.push('S');
    Some(text)
}

fn uuid(tables: &Tables, state: u32) -> Option<String> {
    // One dict can be the state of many objects, so a large one is not searched.
    if tables.group_len(state) > 2 * MOST_UUID_PAIRS {
        return None;
    }
    let mut items = tables.iter(state);
    let mut found = None;
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        if let Node::Text { span, .. } = key
            && tables.slice(span) == b"int"
        {
            found = Some(value);
        }
    }
    let number = match found? {
        Node::Int(value) => u128::try_from(value).ok()?,
        Node::Big(span) => {
            // The numbers of the tables have no byte too many: 128 bits and a sign take at most 17.
            let (bytes, rest) = tables.slice(span).split_at_checked(16).unwrap_or((tables.slice(span), &[]));
            let negative = bytes.len() < 16 && bytes.last().is_some_and(|byte| *byte >= 0x80);
            if negative || !matches!(rest, [] | [0]) {
                return None;
            }
            bytes.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte))
        }
        _ => return None,
    };
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    Some([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}
