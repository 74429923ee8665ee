//! How Python shows texts: `repr(str)` (PY-T6).

mod printable;
mod unicode;

use std::io::Write;

pub use unicode::Unicode;

use crate::value::wtf8;

/// Python's `repr` of a `str`, by the default version of Unicode.
///
/// Which characters are escaped depends on that version: an older Python escapes the characters that were assigned since.
/// Nothing else differs.
pub fn repr(text: &str) -> String {
    let mut shown = Vec::with_capacity(text.len() + 2);
    push_repr(&mut shown, text.as_bytes(), Unicode::default());
    String::from_utf8(shown).unwrap_or_default() // of valid text it is valid
}

/// Adds Python's `repr` of a `str` to UTF-8 text. The `str` is UTF-8 too, in which lone surrogates may stand as three bytes
/// each. At most ten bytes are added for four, four for one, and two quotes.
pub(crate) fn push_repr(shown: &mut Vec<u8>, mut text: &[u8], unicode: Unicode) {
    let quote =
        if memchr::memchr(b'\'', text).is_some() && memchr::memchr(b'"', text).is_none() { b'"' } else { b'\'' };
    shown.push(quote);
    loop {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'\\' && byte != quote;
        let plain = text.iter().position(|byte| !is_plain(*byte)).unwrap_or(text.len());
        let (before, rest) = text.split_at_checked(plain).unwrap_or((text, &[]));
        shown.extend_from_slice(before);
        let Some((code, len)) = wtf8::first(rest) else { break };
        let (character, rest) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        match character {
            [b'\t'] => shown.extend_from_slice(b"\\t"),
            [b'\n'] => shown.extend_from_slice(b"\\n"),
            [b'\r'] => shown.extend_from_slice(b"\\r"),
            [b'\\' | b'\'' | b'"'] => {
                shown.push(b'\\');
                shown.extend_from_slice(character);
            }
            _ if unicode.is_printable(code) => shown.extend_from_slice(character),
            _ => push_escape(shown, code),
        }
        text = rest;
    }
    shown.push(quote);
}

fn push_escape(shown: &mut Vec<u8>, code: u32) {
    // Writing to a Vec cannot fail.
    let _ = match code {
        0..=0xff => write!(shown, "\\x{code:02x}"),
        0x100..=0xffff => write!(shown, "\\u{code:04x}"),
        _ => write!(shown, "\\U{code:08x}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_look_as_in_python() {
        let shown = [
            ("", "''"),
            ("it's", "\"it's\""),
            ("\"it's\"", "'\"it\\'s\"'"),
            ("a\\b\t\n\r\0", "'a\\\\b\\t\\n\\r\\x00'"),
            ("\u{a0}\u{ad}\u{200b}\u{2028}", "'\\xa0\\xad\\u200b\\u2028'"),
            ("é한日😀", "'é한日😀'"),
            ("\u{e000}\u{10ffff}", "'\\ue000\\U0010ffff'"),
            ("\u{7f}\u{85}", "'\\x7f\\x85'"),
        ];
        for (text, expected) in shown {
            assert_eq!(repr(text), expected);
        }
    }

    #[test]
    fn lone_surrogates_are_escaped() {
        let mut shown = Vec::new();
        push_repr(&mut shown, b"a\xED\xA0\x80'\xED\xBF\xBF", Unicode::V14_0);
        assert_eq!(shown, br#""a\ud800'\udfff""#);
    }
}
