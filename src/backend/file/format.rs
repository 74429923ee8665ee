//! The head of a cache file: a pickled number that says when the entry expires (FB-3).
//!
//! Only what a pickled `None`, bool, int or float can consist of is understood, in any protocol; anything else is refused
//! unread, so that nothing in a file can make a reader run, import or allocate anything.

use crate::error::{Error, Kind, Result};

/// No pickled number that means a time is longer; enough to read where only the head is of interest.
pub const MAX_HEADER: usize = 1024;

/// The head of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Header {
    /// When the entry expires, in seconds since 1970 (`None`: never), and the number of bytes that say so.
    Expiry(Option<f64>, usize),
    /// The file ends where an opcode should begin. Python's EOFError, which Django takes for "expired" (FB-5).
    Missing,
}

impl Header {
    /// Reads the head of a file; `bytes` is the file or at least its first [`MAX_HEADER`] bytes.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor(bytes.get(..MAX_HEADER).unwrap_or(bytes));
        let total = cursor.0.len();
        let mut expiry = None;
        loop {
            let Ok([opcode]) = cursor.take() else {
                return if total < MAX_HEADER { Ok(Self::Missing) } else { Err(no_expiry()) };
            };
            let number = match opcode {
                0x80 => {
                    let [protocol] = cursor.take()?;
                    if protocol > 5 {
                        return Err(no_expiry());
                    }
                    continue;
                }
                0x95 => {
                    let length = u64::from_le_bytes(cursor.take()?);
                    if usize::try_from(length).map_or(true, |length| length > cursor.0.len()) {
                        return Err(no_expiry());
                    }
                    continue;
                }
                b'.' => {
                    let expiry = expiry.ok_or_else(no_expiry)?;
                    return Ok(Self::Expiry(expiry, total - cursor.0.len()));
                }
                b'N' => None,
                opcode => Some(cursor.number(opcode)?),
            };
            if expiry.replace(number).is_some() {
                return Err(no_expiry());
            }
        }
    }

    /// Whether the entry has expired (FB-5, T-2: `expiry < now`; not a number never is).
    pub fn is_over(self, now: f64) -> bool {
        match self {
            Self::Expiry(expiry, _) => expiry.is_some_and(|expiry| expiry < now),
            Self::Missing => true,
        }
    }
}

/// Writes a head as Python does with protocol 5: 4 bytes for `None`, 21 for a float.
pub fn push_header(file: &mut Vec<u8>, expiry: Option<f64>) {
    file.extend_from_slice(&[0x80, 5]);
    match expiry {
        None => file.push(b'N'),
        Some(expiry) => {
            file.push(0x95);
            file.extend_from_slice(&10_u64.to_le_bytes());
            file.push(b'G');
            file.extend_from_slice(&expiry.to_be_bytes());
        }
    }
    file.push(b'.');
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(no_expiry)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(no_expiry)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The rest of the line, without its end.
    fn line(&mut self) -> Result<&'a str> {
        let end = memchr::memchr(b'\n', self.0).ok_or_else(no_expiry)?;
        let line = self.slice(end)?;
        let [_] = self.take()?;
        std::str::from_utf8(line).map_err(|_| no_expiry())
    }

    /// The number that an opcode pushes.
    fn number(&mut self, opcode: u8) -> Result<f64> {
        match opcode {
            0x88 => Ok(1.0),
            0x89 => Ok(0.0),
            b'G' => Ok(f64::from_be_bytes(self.take()?)),
            b'K' => Ok(f64::from(u8::from_le_bytes(self.take()?))),
            b'M' => Ok(f64::from(u16::from_le_bytes(self.take()?))),
            b'J' => Ok(f64::from(i32::from_le_bytes(self.take()?))),
            0x8A => {
                let [length] = self.take()?;
                Ok(long(self.slice(usize::from(length))?))
            }
            0x8B => {
                let length = i32::from_le_bytes(self.take()?);
                Ok(long(self.slice(usize::try_from(length).map_err(|_| no_expiry())?)?))
            }
            b'F' => self.line()?.trim().parse().map_err(|_| no_expiry()),
            b'I' => decimal(self.line()?),
            b'L' => {
                let line = self.line()?;
                decimal(line.strip_suffix('L').unwrap_or(line))
            }
            _ => Err(no_expiry()),
        }
    }
}

/// A plain decimal int. `00` and `01` are the bools of protocol 0; octal and the like are not a time.
fn decimal(text: &str) -> Result<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(no_expiry());
    }
    if digits.len() > 1 && digits.starts_with('0') && !matches!(text, "00" | "01") {
        return Err(no_expiry());
    }
    text.parse().map_err(|_| no_expiry())
}

/// A little-endian two's complement of any length. Beyond 64 bits only the sign matters for a time.
#[allow(clippy::cast_precision_loss)] // a time needs no more than a float's precision
fn long(bytes: &[u8]) -> f64 {
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let fill = if negative { 0xFF } else { 0 };
    let mut low = [fill; 8];
    low.iter_mut().zip(bytes).for_each(|(low, byte)| *low = *byte);
    let value = i64::from_le_bytes(low);
    let fits = bytes.iter().skip(8).all(|byte| *byte == fill) && (value < 0) == negative;
    match (fits, negative) {
        (true, _) => value as f64,
        (false, true) => f64::NEG_INFINITY,
        (false, false) => f64::INFINITY,
    }
}

fn no_expiry() -> Error {
    Error::new(Kind::Undecodable, "the cache file does not begin with an expiry")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry(bytes: &[u8]) -> Option<f64> {
        match Header::read(bytes) {
            Ok(Header::Expiry(expiry, length)) => {
                assert_eq!(length, bytes.len());
                expiry
            }
            other => panic!("{bytes:?}: {other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (time, length) in [(None, 4), (Some(2_700_909_919.539_435), 21), (Some(-1.0), 21)] {
            let mut bytes = Vec::new();
            push_header(&mut bytes, time);
            assert_eq!(bytes.len(), length); // FB-3
            assert_eq!(expiry(&bytes), time);
        }
    }

    #[test]
    fn numbers_of_every_protocol() {
        for (bytes, value) in [
            (&b"\x80\x05N."[..], None),
            (b"N.", None),
            (b"K\x07.", Some(7.0)),
            (b"M\x01\x02.", Some(513.0)),
            (b"J\xff\xff\xff\xff.", Some(-1.0)),
            (b"\x80\x02\x8a\x00.", Some(0.0)),
            (b"\x8a\x01\xff.", Some(-1.0)),
            (b"\x8a\x05\x5f\x9d\xfc\xa0\x00.", Some(2_700_909_919.0)),
            (b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00.", Some(f64::INFINITY)),
            (b"\x8a\x0a\x01\0\0\0\0\0\0\0\0\0.", Some(1.0)),
            (b"\x8b\x01\0\0\0\x80.", Some(-128.0)),
            (b"I01\n.", Some(1.0)),
            (b"I-12\n.", Some(-12.0)),
            (b"L12L\n.", Some(12.0)),
            (b"F1.5\n.", Some(1.5)),
            (b"Finf\n.", Some(f64::INFINITY)),
            (b"F-1e+16\n.", Some(-1e16)),
            (b"\x80\x05\x88.", Some(1.0)),
        ] {
            let found = expiry(bytes);
            assert!(found == value, "{bytes:?}: {found:?}");
        }
        assert!(expiry(b"Fnan\n.").is_some_and(f64::is_nan));
    }

    #[test]
    fn everything_else_is_refused() {
        for bytes in [
            &b"not a pickle"[..],
            b"cos\nsystem\n(U\x06echo hitR.",
            b"\x80\x06N.",
            b"NN.",
            b".",
            b"\x80\x05.",
            b"\x80",
            b"K",
            b"I010\n.",
            b"I\n.",
            b"Fsoon\n.",
            b"\x95\xff\xff\xff\xff\xff\xff\xff\xffN.",
            b"\x8b\xff\xff\xff\xff.",
            b"\x8b\xff\xff\xff\x7f\x01.",
        ] {
            assert_eq!(Header::read(bytes).map_err(|error| error.kind()), Err(Kind::Undecodable), "{bytes:?}");
        }
        assert!(Header::read(&b"\x80\x05".repeat(MAX_HEADER)).is_err());
    }

    #[test]
    fn where_python_meets_the_end() {
        for bytes in [&b""[..], b"\x80\x05", b"\x80\x05N", b"K\x01"] {
            assert!(matches!(Header::read(bytes), Ok(Header::Missing)), "{bytes:?}"); // FB-5
        }
    }
}
