//! Floats as Python writes them (PY-T4).

use std::io::Write;

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
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        out.extend_from_slice(spelling.infinity.as_bytes());
        return;
    }
    let mut buffer = [0_u8; 32];
    let text = digits(&mut buffer, value.abs());
    let mut parts = text.split(|byte| *byte == b'e');
    let (mantissa, exponent) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let exponent: i32 = std::str::from_utf8(exponent).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (whole, fraction) = match mantissa {
        [whole, b'.', fraction @ ..] => (*whole, fraction),
        [whole, ..] => (*whole, &[][..]),
        [] => (b'0', &[][..]),
    };
    match exponent {
        0..16 => positional(out, whole, fraction, exponent.unsigned_abs() as usize),
        -4..0 => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + exponent.unsigned_abs() as usize - 1, b'0');
            out.push(whole);
            out.extend_from_slice(fraction);
        }
        _ => scientific(out, whole, fraction, exponent),
    }
}

/// The shortest digits with an exponent, as in `1.25e-7`; the buffer holds the 17 digits, the point and the exponent.
fn digits(buffer: &mut [u8; 32], value: f64) -> &[u8] {
    let len = written(buffer, format_args!("{value:e}"));
    let mantissa = buffer.iter().take(len).take_while(|byte| **byte != b'e').count();
    // With 16 digits and more there can be two shortest texts at the same distance. Python takes the even one, as
    // rounding to that many digits does.
    if mantissa > 16 {
        let mut rounded = [0_u8; 32];
        let rounded_len = written(&mut rounded, format_args!("{value:.*e}", mantissa - 2));
        let text = rounded.get(..rounded_len).and_then(|text| std::str::from_utf8(text).ok());
        if text.and_then(|text| text.parse().ok()) == Some(value) {
            *buffer = rounded;
            return buffer.get(..rounded_len).unwrap_or_default();
        }
    }
    buffer.get(..len).unwrap_or_default()
}

/// Writes into a buffer; the answer is how much.
fn written(buffer: &mut [u8; 32], text: std::fmt::Arguments<'_>) -> usize {
    let mut rest = &mut buffer[..];
    // What does not fit is not there; everything that is written here fits.
    let _ = rest.write_fmt(text);
    32 - rest.len()
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
}
