//! Floats as Python writes them (PY-T4).

use std::io::Write;

use serde_json::ser::{CompactFormatter, Formatter};

/// How a float without digits is spelt.
#[derive(Clone, Copy, Debug)]
pub struct Spelling {
    /// Not a number.
    pub nan: &'static str,
    /// Infinity, without its sign.
    pub infinity: &'static str,
}

/// `repr(value)`.
pub const REPR: Spelling = Spelling { nan: "nan", infinity: "inf" };

/// `json.dumps(value)`.
pub const JSON: Spelling = Spelling { nan: "NaN", infinity: "Infinity" };

/// Python's `repr` of a float.
pub fn repr(value: f64) -> String {
    let mut text = Vec::new();
    push(&mut text, value, REPR);
    String::from_utf8(text).unwrap_or_default() // all of it is ASCII
}

/// Adds a float's shortest text that reads back as the same float.
pub fn push(out: &mut Vec<u8>, value: f64, spelling: Spelling) {
    if value.is_nan() {
        out.extend_from_slice(spelling.nan.as_bytes());
        return;
    }
    if value.is_infinite() {
        out.extend_from_slice(if value < 0.0 { b"-" } else { b"" });
        out.extend_from_slice(spelling.infinity.as_bytes());
        return;
    }
    let mut buffer = [0_u8; 32];
    let text = shortest(&mut buffer, value);
    let has = |wanted: u8| memchr::memchr(wanted, text).is_some();
    if (1e-4..1e16).contains(&value.abs()) && has(b'.') && !has(b'e') {
        out.extend_from_slice(text); // as Python has it
        return;
    }
    push_parts(out, text);
}

/// The shortest digits that read back as the same float, in some form that JSON has. Of two texts of one length it is the
/// nearer one, and of two at one distance the even one, as in Python; serde_json's are like that.
fn shortest(buffer: &mut [u8; 32], value: f64) -> &[u8] {
    let mut rest = &mut buffer[..];
    // What does not fit is not there; every float fits.
    let _ = CompactFormatter.write_f64(&mut rest, value);
    let len = 32 - rest.len();
    buffer.get(..len).unwrap_or_default()
}

/// Adds a number in any form as Python would write it.
fn push_parts(out: &mut Vec<u8>, text: &[u8]) {
    let (sign, text) = text.split_at(usize::from(text.first() == Some(&b'-')));
    out.extend_from_slice(sign);
    let mut parts = text.split(|byte| *byte == b'e');
    let (mantissa, exponent) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let exponent: i32 = std::str::from_utf8(exponent).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut digits = [0_u8; 32];
    let (mut len, mut point, mut zeros) = (0, 0, 0);
    for (place, byte) in mantissa.iter().filter(|byte| **byte != b'.').enumerate() {
        if len == 0 && *byte == b'0' {
            zeros = place + 1; // before the first digit
        } else if let Some(slot) = digits.get_mut(len) {
            *slot = *byte;
            len += 1;
        }
    }
    if len == 0 {
        out.extend_from_slice(b"0.0");
        return;
    }
    point += mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    // both are small: of a float that has 17 digits and less than 400 zeros
    let first = exponent + i32::try_from(point).unwrap_or(0) - i32::try_from(zeros).unwrap_or(0) - 1;
    let digits = digits.get(..len).unwrap_or_default();
    let significant = digits.iter().rposition(|byte| *byte != b'0').map_or(1, |last| last + 1);
    let (whole, fraction) = digits.get(..significant).and_then(<[u8]>::split_first).unwrap_or((&b'0', &[]));
    match first {
        0..16 => positional(out, *whole, fraction, first.unsigned_abs() as usize),
        -4..0 => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + first.unsigned_abs() as usize - 1, b'0');
            out.push(*whole);
            out.extend_from_slice(fraction);
        }
        _ => scientific(out, *whole, fraction, first),
    }
}

fn positional(out: &mut Vec<u8>, whole: u8, fraction: &[u8], exponent: usize) {
    out.push(whole);
    let (before, after) = fraction.split_at_checked(exponent).unwrap_or((fraction, &[]));
    out.extend_from_slice(before);
    out.resize(out.len() + exponent - before.len(), b'0');
    out.push(b'.');
    out.extend_from_slice(if after.is_empty() { b"0" } else { after });
}

fn scientific(out: &mut Vec<u8>, whole: u8, fraction: &[u8], exponent: i32) {
    out.push(whole);
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    // Writing to a Vec cannot fail.
    let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_look_as_in_python() {
        let shown = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (1.5e300, "1.5e+300"),
            (1e-4, "0.0001"),
            (0.000_05, "5e-05"),
            (-1.25e-7, "-1.25e-07"),
            (123_456_789.125, "123456789.125"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (number, expected) in shown {
            assert_eq!(repr(number), expected);
        }
    }

    /// Any form of a number, since what serde_json writes is its own affair.
    #[test]
    fn any_form_becomes_pythons() {
        let shown = [
            ("0", "0.0"),
            ("-0.0", "-0.0"),
            ("1", "1.0"),
            ("1e0", "1.0"),
            ("10e-1", "1.0"),
            ("1e16", "1e+16"),
            ("10000000000000000.0", "1e+16"),
            ("0.00001", "1e-05"),
            ("0.000125e1", "0.00125"),
            ("-1.25e-7", "-1.25e-07"),
            ("12.5e300", "1.25e+301"),
            ("1200", "1200.0"),
        ];
        for (text, expected) in shown {
            let mut out = Vec::new();
            push_parts(&mut out, text.as_bytes());
            assert_eq!(String::from_utf8_lossy(&out), expected, "{text}");
        }
    }

    /// The digits of the standard library, which are shortest and nearest, but do not say which of two at one distance:
    /// that is the even one, which rounding to so many digits gives.
    fn digits(value: f64) -> String {
        let text = format!("{:e}", value.abs());
        let len = text.split('e').next().unwrap().len();
        let even = format!("{:.*e}", len.saturating_sub(2), value.abs());
        let text = if len > 16 && even.parse() == Ok(value.abs()) { even } else { text };
        text.split('e').next().unwrap().replace('.', "").trim_end_matches('0').to_owned()
    }

    #[test]
    fn digits_are_the_shortest_the_nearest_and_even() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for round in 0..200_000 {
            let bits = next();
            // everything; numbers as people have; whole ones beyond 2**53, where there are ties
            #[allow(clippy::cast_precision_loss, reason = "that is the point")]
            let value = match round % 4 {
                0 => f64::from_bits(bits),
                1 => (bits >> 40) as f64 / 1000.0,
                2 => (bits >> 11) as f64 / (1_u64 << 53) as f64,
                _ => (bits >> (round % 11)) as f64,
            };
            if !value.is_finite() || value == 0.0 {
                continue;
            }
            let text = repr(value);
            assert_eq!(text.parse::<f64>().ok().map(f64::to_bits), Some(value.to_bits()), "{value:e}");
            let mantissa = text.trim_start_matches('-').split('e').next().unwrap().replace('.', "");
            assert_eq!(mantissa.trim_matches('0'), digits(value), "{value:e}");
        }
    }
}
