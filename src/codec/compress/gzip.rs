//! `gzip.compress` and `gzip.decompress`.

use flate2::Crc;

use super::Failed;
use crate::unpack::{Fault, Room};
use crate::zlib::{self, Wrap};

/// No name, no comment, no time of day (so that a value has one form), best compression, unknown system.
const HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 255];

const HEADER_CHECKSUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

pub(super) fn pack(value: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut packed = HEADER.to_vec();
    zlib::pack(value, Wrap::None, 9, &mut packed)?;
    let mut crc = Crc::new();
    crc.update(value);
    packed.try_reserve_exact(8).map_err(|_| Fault::NoMemory)?;
    packed.extend_from_slice(&crc.sum().to_le_bytes());
    packed.extend_from_slice(&crc.amount().to_le_bytes());
    Ok(packed)
}

/// All members, with zeros between and behind them. As in Python, `BadGzipFile` is "not compressed": a wrong magic (also of
/// what follows a member), method, checksum or length. A missing end and a broken deflate stream are errors.
pub(super) fn unpack(stored: &[u8], limit: usize) -> Result<Vec<u8>, Failed> {
    let strict = |fault| Failed::strict(fault, limit);
    let mut room = super::room(stored, limit).map_err(strict)?;
    let mut rest = stored;
    while !rest.is_empty() {
        let start = room.so_far().len();
        let stream = past_header(rest).map_err(|missing| match missing {
            Missing::Gzip => Failed::NotCompressed,
            Missing::End => strict(Fault::CutShort),
        })?;
        let length = zlib::unpack(stream, Wrap::None, &mut room).map_err(strict)?;
        let behind = stream.get(length..).unwrap_or_default();
        let Some((trailer, behind)) = behind.split_first_chunk() else { return Err(strict(Fault::CutShort)) };
        if !matches(*trailer, &room, start) {
            return Err(Failed::NotCompressed);
        }
        let zeros = behind.iter().take_while(|byte| **byte == 0).count();
        rest = behind.get(zeros..).unwrap_or_default();
    }
    room.finish().map_err(strict)
}

/// Whether checksum and length are those of what was unpacked since `start`.
fn matches(trailer: [u8; 8], room: &Room, start: usize) -> bool {
    let mut crc = Crc::new();
    crc.update(room.so_far().get(start..).unwrap_or_default());
    u64::from_le_bytes(trailer) == u64::from(crc.amount()) << 32 | u64::from(crc.sum())
}

enum Missing {
    Gzip,
    End,
}

/// What follows a member's header.
fn past_header(member: &[u8]) -> Result<&[u8], Missing> {
    if !member.starts_with(&[0x1F, 0x8B]) {
        return Err(Missing::Gzip);
    }
    let (fixed, mut rest) = member.split_first_chunk::<10>().ok_or(Missing::End)?;
    let [_, _, method, flags, ..] = *fixed;
    if method != 8 {
        return Err(Missing::Gzip);
    }
    if flags & EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk().ok_or(Missing::End)?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..).ok_or(Missing::End)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            // Where the zero is missing, what is left is empty, and that is an end that is missing.
            let end = memchr::memchr(0, rest).map_or(rest.len(), |at| at + 1);
            rest = rest.get(end..).unwrap_or_default();
        }
    }
    if flags & HEADER_CHECKSUM != 0 {
        rest = rest.get(2..).ok_or(Missing::End)?;
    }
    Ok(rest)
}
