//! The escapes of protocol 0: what STRING and UNICODE opcodes hold.

use crate::value::wtf8;

/// The text of a UNICODE opcode: Latin-1 with `\uXXXX` and `\UXXXXXXXX`; `None` if an escape is broken.
pub fn raw_unicode_escape(mut line: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(line.len());
    while let [byte, rest @ ..] = line {
        line = rest;
        if *byte != b'\\' {
            wtf8::push(&mut out, u32::from(*byte));
            continue;
        }
        let digits = match line.first() {
            Some(b'u') => 4,
            Some(b'U') => 8,
            other => {
                out.push(b'\\');
                if let Some(byte) = other {
                    wtf8::push(&mut out, u32::from(*byte));
                    line = line.get(1..).unwrap_or_default();
                }
                continue;
            }
        };
        let code = line.get(1..=digits).and_then(|digits| number(digits, 16))?;
        if !wtf8::push(&mut out, code) {
            return None;
        }
        line = line.get(1 + digits..).unwrap_or_default();
    }
    Some(out)
}

/// The text of a STRING opcode with its quotes: ASCII with Python's escapes; `None` if it is broken.
pub fn quoted(line: &[u8]) -> Option<Vec<u8>> {
    let mut rest = match line {
        [first @ (b'\'' | b'"'), inner @ .., last] if first == last => inner,
        _ => return None,
    };
    let mut out = Vec::with_capacity(rest.len());
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let (escape, after) = rest.split_first()?;
        rest = after;
        match escape {
            b'\n' => {}
            b'\\' | b'\'' | b'"' => out.push(*escape),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let more = rest.iter().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                let digits = [&[*escape], rest.get(..more)?].concat();
                out.push(number(&digits, 8)?.to_le_bytes().first().copied()?);
                rest = rest.get(more..)?;
            }
            b'x' => {
                out.push(u8::try_from(number(rest.get(..2)?, 16)?).ok()?);
                rest = rest.get(2..)?;
            }
            other => out.extend_from_slice(&[b'\\', *other]),
        }
    }
    out.is_ascii().then_some(out)
}

fn number(digits: &[u8], base: u32) -> Option<u32> {
    digits
        .iter()
        .try_fold(0_u32, |number, byte| number.checked_mul(base)?.checked_add(char::from(*byte).to_digit(base)?))
}
