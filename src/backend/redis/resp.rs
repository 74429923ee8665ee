//! The wire format, RESP2 and RESP3: replies, and the one encoder.

use bytes::Bytes;

/// One reply.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Frame {
    /// No value (`_`, `$-1`, `*-1`).
    Null,
    /// A status such as `OK`.
    Simple(Bytes),
    /// An error, with its code word.
    Error(Bytes),
    /// A 64-bit number.
    Int(i64),
    /// Bytes.
    Bulk(Bytes),
    /// A floating-point number.
    Double(f64),
    /// A truth value.
    Bool(bool),
    /// A number of any size, in digits.
    BigNumber(Bytes),
    /// An array or a set.
    Array(Vec<Frame>),
    /// A map: key, value, key, value, …
    Map(Vec<Frame>),
    /// A message that answers no request.
    Push(Vec<Frame>),
}

/// Writes one command to the end of `out`.
pub(super) fn command(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    header(out, arguments.len());
    for one in arguments {
        argument(out, one);
    }
}

/// Begins a command of `count` arguments, which follow by [`argument`].
pub(super) fn header(out: &mut Vec<u8>, count: usize) {
    prefixed(out, b'*', count);
}

/// Writes one argument.
pub(super) fn argument(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 32);
    prefixed(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn prefixed(out: &mut Vec<u8>, mark: u8, number: usize) {
    if let Ok(small @ 0..100) = u8::try_from(number) {
        // nearly all of them
        let digits = [mark, b'0' + small / 10, b'0' + small % 10, b'\r', b'\n'];
        return match small {
            0..10 => out.extend_from_slice(&[mark, b'0' + small, b'\r', b'\n']),
            _ => out.extend_from_slice(&digits),
        };
    }
    out.push(mark);
    out.extend_from_slice(Digits::of(i64::try_from(number).unwrap_or(i64::MAX)).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The decimal text of a number, without an allocation.
pub(super) struct Digits {
    text: [u8; 20],
    start: usize,
}

impl Digits {
    /// The text of `number`.
    pub(super) fn of(number: i64) -> Self {
        let mut digits = Self { text: [0; 20], start: 20 };
        let mut left = number.unsigned_abs();
        loop {
            digits.push((left % 10).to_le_bytes()[0] + b'0');
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if number < 0 {
            digits.push(b'-');
        }
        digits
    }

    fn push(&mut self, byte: u8) {
        self.start = self.start.saturating_sub(1); // 20 places hold every i64
        if let Some(place) = self.text.get_mut(self.start) {
            *place = byte;
        }
    }

    /// The text.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.get(self.start..).unwrap_or_default()
    }
}
