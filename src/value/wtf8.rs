//! Python text: UTF-8 in which lone surrogates may stand as three bytes each ("surrogatepass").

use std::borrow::Cow;

/// Whether bytes are UTF-8, lone surrogates allowed, as Python reads text from a pickle.
pub(crate) fn is_valid(mut bytes: &[u8]) -> bool {
    loop {
        match std::str::from_utf8(bytes) {
            Ok(_) => return true,
            Err(error) => {
                let Some((_, rest)) = bytes.split_at_checked(error.valid_up_to()) else { return false };
                if surrogate(rest).is_none() {
                    return false;
                }
                bytes = rest.get(3..).unwrap_or_default();
            }
        }
    }
}

/// The surrogate that bytes begin with.
pub(crate) fn surrogate(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [0xED, second @ 0xA0..=0xBF, third @ 0x80..=0xBF, ..] => {
            Some(0xD000 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F))
        }
        _ => None,
    }
}

/// Adds a code unit that is a surrogate.
pub(crate) fn push_surrogate(out: &mut Vec<u8>, unit: u16) {
    let [high, low] = unit.to_be_bytes();
    out.extend_from_slice(&[0xED, 0x80 | (high & 0x0F) << 2 | low >> 6, 0x80 | low & 0x3F]);
}

/// Adds a code point, surrogates too; false beyond U+10FFFF.
pub(crate) fn push(out: &mut Vec<u8>, code: u32) -> bool {
    if let Some(c) = char::from_u32(code) {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        return true;
    }
    match u16::try_from(code) {
        Ok(unit) => {
            push_surrogate(out, unit);
            true
        }
        Err(_) => false,
    }
}

/// The code point that valid bytes begin with, and its length.
pub(crate) fn first(bytes: &[u8]) -> Option<(u32, usize)> {
    let low = |byte: u8| u32::from(byte & 0x3F);
    match *bytes {
        [] => None,
        [a @ 0..=0x7F, ..] => Some((u32::from(a), 1)),
        [a @ 0xC0..=0xDF, b, ..] => Some((u32::from(a & 0x1F) << 6 | low(b), 2)),
        [a @ 0xE0..=0xEF, b, c, ..] => Some((u32::from(a & 0x0F) << 12 | low(b) << 6 | low(c), 3)),
        [a, b, c, d, ..] => Some((u32::from(a & 0x07) << 18 | low(b) << 12 | low(c) << 6 | low(d), 4)),
        _ => Some((0xFFFD, bytes.len())),
    }
}

/// The text with U+FFFD in place of each lone surrogate.
pub(crate) fn replaced(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    while let Some((code, len)) = first(bytes) {
        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        bytes = bytes.get(len..).unwrap_or_default();
    }
    text
}

/// The text, borrowed if it has no lone surrogates.
pub(crate) fn shown(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| Cow::Owned(replaced(bytes)), Cow::Borrowed)
}

/// The bytes that Latin-1 has for the text, or `None` if it has characters beyond it.
pub(crate) fn to_latin1(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    while let Some((code, len)) = first(bytes) {
        out.push(u8::try_from(code).ok()?);
        bytes = bytes.get(len..).unwrap_or_default();
    }
    Some(out)
}

/// The text that Latin-1 reads bytes as.
pub(crate) fn from_latin1(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 2);
    for byte in bytes {
        push(&mut out, u32::from(*byte));
    }
    out
}
