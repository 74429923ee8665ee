//! Numbers in text: the bare digits of Redis values (rule I), those of django-valkey (1.16), and the text opcodes of
//! protocol 0.

use num_bigint::BigInt;
use num_traits::Num;

use crate::value::MAX_DIGITS;

/// An int, small ones without an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Int {
    /// An int of at most 64 bits.
    Small(i64),
    /// Any other.
    Big(BigInt),
}

impl From<Int> for BigInt {
    fn from(int: Int) -> Self {
        match int {
            Int::Small(value) => value.into(),
            Int::Big(value) => value,
        }
    }
}

/// A number that stands for itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Bare {
    /// An int.
    Int(Int),
    /// A float.
    Float(f64),
}

/// What django-valkey takes for a number: digits alone are an int, of at most 4300 digits, and what `float(bytes)`
/// takes in Python is a float (1.16).
pub fn number(bytes: &[u8]) -> Option<Bare> {
    if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit) {
        return int(bytes).map(Bare::Int);
    }
    float(bytes).map(Bare::Float)
}

/// What `float(bytes)` makes of the bytes in Python, or `None` where it raises: ASCII white space around, a sign, single
/// underscores between digits; `nan` and `inf` in any case.
pub fn float(bytes: &[u8]) -> Option<f64> {
    let bytes = strip(bytes);
    if !matches!(bytes.first(), Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'i' | b'I' | b'n' | b'N')) {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    if !text.contains('_') {
        return text.parse().ok();
    }
    let mut plain = String::with_capacity(text.len());
    let mut before = ' ';
    let mut after = text.chars().skip(1);
    for c in text.chars() {
        let next = after.next();
        if c != '_' {
            plain.push(c);
        } else if !(before.is_ascii_digit() && next.is_some_and(|next| next.is_ascii_digit())) {
            return None;
        }
        before = c;
    }
    plain.parse().ok()
}

/// What `int(bytes)` makes of the bytes in Python, or `None` where it raises (rule I).
///
/// ASCII white space around, a sign, decimal digits with single underscores between; at most 4300 digits.
pub fn int(bytes: &[u8]) -> Option<Int> {
    in_base(unsigned(strip(bytes))?, 10)
}

/// What C's `strtol(…, 0)` and then Python's `int(text, 0)` make of an INT opcode's text (pitfall 6).
pub(super) fn int_with_prefix(text: &[u8]) -> Option<Int> {
    let (negative, digits) = unsigned(text.trim_ascii_start())?;
    if let [b'0', octal @ ..] = digits
        && octal.iter().all(|byte| matches!(byte, b'0'..=b'7'))
        && let Some(Int::Small(value)) = in_base((negative, digits), 8)
    {
        return Some(Int::Small(value));
    }
    int_literal(text)
}

/// Python's `int(text, 0)`: `0x`, `0o` and `0b` are understood, leading zeros are not.
pub(super) fn int_literal(text: &[u8]) -> Option<Int> {
    let (negative, digits) = unsigned(strip(text))?;
    let (base, digits) = match digits {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        [b'0', b'o' | b'O', rest @ ..] => (8, rest),
        [b'0', b'b' | b'B', rest @ ..] => (2, rest),
        [b'0', rest @ ..] if rest.iter().any(|byte| !matches!(byte, b'0' | b'_')) => return None,
        _ => return in_base((negative, digits), 10),
    };
    // One underscore may stand between the prefix and the digits.
    in_base((negative, digits.strip_prefix(b"_").unwrap_or(digits)), base)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn strip(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().take_while(|byte| is_space(**byte)).count();
    let bytes = bytes.get(start..).unwrap_or_default();
    let end = bytes.iter().rev().take_while(|byte| is_space(**byte)).count();
    bytes.get(..bytes.len() - end).unwrap_or_default()
}

/// Whether the number is negative, and what follows the sign.
fn unsigned(text: &[u8]) -> Option<(bool, &[u8])> {
    match text {
        [b'-', rest @ ..] => Some((true, rest)),
        [] => None,
        [b'+', rest @ ..] | rest => Some((false, rest)),
    }
}

fn in_base((negative, digits): (bool, &[u8]), base: u32) -> Option<Int> {
    let mut value = 0_i64;
    let mut fits = true;
    let mut count = 0_usize;
    let mut after_digit = false;
    for byte in digits {
        if *byte == b'_' && after_digit {
            after_digit = false;
            continue;
        }
        let digit = char::from(*byte).to_digit(base)?;
        after_digit = true;
        count += 1;
        match value.checked_mul(i64::from(base)).and_then(|value| value.checked_sub(i64::from(digit))) {
            Some(next) => value = next,
            None => fits = false,
        }
    }
    if !after_digit || (base == 10 && count > MAX_DIGITS) {
        return None;
    }
    // The loop counts downwards, since there is one more negative number than there are positive ones.
    let value = if negative { Some(value) } else { value.checked_neg() };
    match value.filter(|_| fits) {
        Some(value) => Some(Int::Small(value)),
        None => big(negative, digits, base),
    }
}

fn big(negative: bool, digits: &[u8], base: u32) -> Option<Int> {
    let text: String = digits.iter().filter(|byte| **byte != b'_').map(|byte| char::from(*byte)).collect();
    let value = BigInt::from_str_radix(&text, base).ok()?;
    Some(Int::Big(if negative { -value } else { value }))
}
