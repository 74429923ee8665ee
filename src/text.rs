//! How Python shows texts: `repr(str)`.

use std::fmt::Write;

use unicode_general_category::{GeneralCategory, get_general_category};

/// Python's `repr` of a `str` (contract: PY-T6).
///
/// Which characters are escaped depends on the version of Unicode: this is 16.0, as in Python 3.14. An older Python
/// escapes the characters that were assigned since (Python 3.11 knows Unicode 14); nothing else differs.
pub fn repr(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 2);
    push_repr(&mut shown, text);
    shown
}

/// Appends [`repr`] of `text`.
pub fn push_repr(shown: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    shown.push(quote);
    for character in text.chars() {
        match character {
            '\\' => shown.push_str("\\\\"),
            '\t' => shown.push_str("\\t"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            _ if character == quote => shown.extend(['\\', quote]),
            _ if is_printable(character) => shown.push(character),
            _ => push_escape(shown, character),
        }
    }
    shown.push(quote);
}

/// Whether Python's `str.isprintable` takes the character for printable, by Unicode 16.0.
pub fn is_printable(character: char) -> bool {
    use GeneralCategory as Category;
    match character {
        ' '..='~' => true,
        '\0'..='\u{a0}' => false,
        _ => !matches!(
            get_general_category(character),
            Category::Control
                | Category::Format
                | Category::Surrogate
                | Category::PrivateUse
                | Category::Unassigned
                | Category::LineSeparator
                | Category::ParagraphSeparator
                | Category::SpaceSeparator
        ),
    }
}

fn push_escape(shown: &mut String, character: char) {
    let code = u32::from(character);
    // Writing to a String cannot fail.
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
}
