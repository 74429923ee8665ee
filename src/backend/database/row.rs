//! What stands in the column `value`: Base64 of the serialised value (DB-4).

use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine as _};

use crate::error::{Error, Kind, Result};

/// As Python decodes: bits that are left over count for nothing.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The text for the column.
pub fn encode(value: &[u8]) -> Result<String> {
    let size = base64::encoded_len(value.len(), true).ok_or_else(|| too_big(value.len(), usize::MAX))?;
    let mut text = String::new();
    text.try_reserve_exact(size).map_err(|_| no_memory(size))?;
    base64_simd::STANDARD.encode_append(value, &mut text);
    Ok(text)
}

/// The serialised value of at most `limit` bytes. As in Python, what is no letter of Base64 counts for nothing (line
/// breaks, for example), and so does what follows the padding.
pub fn decode(text: &[u8], limit: usize) -> Result<Vec<u8>> {
    let error = match decode_plain(text, limit) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let letters = letters_of(text).count();
    if letters == text.len() || error.kind() == Kind::Memory {
        return Err(error);
    }
    let mut kept = Vec::new();
    if largest(letters) <= limit.saturating_add(SLACK) {
        kept.try_reserve_exact(letters).map_err(|_| no_memory(letters))?;
        kept.extend(letters_of(text));
        return decode_plain(&kept, limit);
    }
    Err(too_big(largest(letters) - SLACK, limit))
}

fn decode_plain(text: &[u8], limit: usize) -> Result<Vec<u8>> {
    let most = largest(text.len());
    if most > limit.saturating_add(SLACK) {
        return Err(too_big(most - SLACK, limit));
    }
    let mut value = Vec::new();
    value.try_reserve_exact(most).map_err(|_| no_memory(most))?;
    if base64_simd::STANDARD.decode_append(text, &mut value).is_err() {
        value.resize(most, 0);
        let size = LENIENT.decode_slice(text, &mut value).map_err(|_| undecodable("is not Base64"))?;
        value.truncate(size);
    }
    if value.len() > limit {
        return Err(too_big(value.len(), limit));
    }
    Ok(value)
}

/// How many bytes a text can stand for at most: up to [`SLACK`] more than it does.
fn largest(letters: usize) -> usize {
    letters / 4 * 3 + 3
}

/// Two that padding stands for, and three for a rest that is none.
const SLACK: usize = 5;

/// The letters of Base64 up to the end of the padding.
fn letters_of(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let (mut count, mut ended) = (0_usize, false);
    text.iter().copied().filter(move |byte| {
        let is_padding = *byte == b'=' && count % 4 >= 2;
        let is_kept = !ended && (byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/') || is_padding);
        count += usize::from(is_kept);
        ended |= is_kept && is_padding && count % 4 == 0;
        is_kept
    })
}

/// A row that cannot be read.
pub fn undecodable(what: &str) -> Error {
    Error::new(Kind::Undecodable, format!("what the table holds for this key {what}"))
}

fn too_big(size: usize, limit: usize) -> Error {
    Error::new(Kind::TooBig, format!("the stored value has {size} bytes or more; MAX_VALUE_BYTES is {limit}"))
}

fn no_memory(size: usize) -> Error {
    Error::new(Kind::Memory, format!("no memory for a value of {size} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_python_s() {
        assert_eq!(encode(b"\x80\x05K\x01.").unwrap(), "gAVLAS4=");
        assert_eq!(decode(b"gAVLAS4=", 5).unwrap(), b"\x80\x05K\x01.");
        assert_eq!(decode(b"", 0).unwrap(), b"");
        // base64.b64decode of each gives b'ab' or b'abc'
        for text in ["YWI=", "YW\nI=", "Y W I =", "YWI=YWI=", "YWJ=", "\u{e9}YWI=", "=YWI=", "YWI=\n"] {
            assert_eq!(decode(text.as_bytes(), 100).unwrap(), b"ab", "{text:?}");
        }
        assert_eq!(decode(b"YWJj=", 3).unwrap(), b"abc");
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for text in ["YWI", "Y", "YWJjZ", "YW=", "Y===x"] {
            assert_eq!(decode(text.as_bytes(), 100).unwrap_err().kind(), Kind::Undecodable, "{text}");
        }
    }

    #[test]
    fn values_are_bounded() {
        let text = encode(&[7; 100]).unwrap();
        assert!(decode(text.as_bytes(), 100).is_ok());
        for limit in [0, 50, 99] {
            assert_eq!(decode(text.as_bytes(), limit).unwrap_err().kind(), Kind::TooBig, "{limit}");
        }
    }
}
