//! JSON strings as Python writes them: ASCII only.

use crate::value::wtf8;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Adds a text with its quotes. False if two surrogates stand together that a reader takes for one character.
///
/// At most six times as many bytes are added, and two.
pub fn push_string(out: &mut Vec<u8>, mut text: &[u8]) -> bool {
    let mut exact = true;
    out.push(b'"');
    // Most texts need no escape, which a look at all bytes at once finds faster than one at each.
    if text.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
        out.extend_from_slice(text);
        out.push(b'"');
        return true;
    }
    loop {
        let plain = text.iter().position(|byte| !is_plain(*byte)).unwrap_or(text.len());
        let (before, rest) = text.split_at_checked(plain).unwrap_or((text, &[]));
        out.extend_from_slice(before);
        let Some((code, len)) = wtf8::first(rest) else { break };
        text = rest.get(len..).unwrap_or_default();
        match code {
            0x22 => out.extend_from_slice(b"\\\""),
            0x5C => out.extend_from_slice(b"\\\\"),
            0x0A => out.extend_from_slice(b"\\n"),
            0x0D => out.extend_from_slice(b"\\r"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0C => out.extend_from_slice(b"\\f"),
            0x08 => out.extend_from_slice(b"\\b"),
            _ => {
                push_units(out, code);
                let low_follows = wtf8::surrogate(text).is_some_and(|unit| (0xDC00..=0xDFFF).contains(&unit));
                exact &= !((0xD800..=0xDBFF).contains(&code) && low_follows);
            }
        }
    }
    out.push(b'"');
    exact
}

/// The number of bytes that [`push_string`] adds.
pub fn string_len(mut text: &[u8]) -> usize {
    let mut len = 2;
    while let Some((code, used)) = wtf8::first(text) {
        len += match code {
            0x22 | 0x5C | 0x0A | 0x0D | 0x09 | 0x0C | 0x08 => 2,
            0x20..=0x7E => 1,
            0x1_0000.. => 12,
            _ => 6,
        };
        text = text.get(used..).unwrap_or_default();
    }
    len
}

/// True for the bytes that stand for themselves.
#[inline]
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~')
}

fn push_units(out: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                push_unit(out, *unit);
            }
        }
        None => push_unit(out, u16::try_from(code).unwrap_or(0xFFFD)),
    }
}

fn push_unit(out: &mut Vec<u8>, unit: u16) {
    let digit = |shift: u16| HEX.get(usize::from(unit >> shift & 0xF)).copied().unwrap_or(b'0');
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}
