//! `lzma.compress` (.xz) and `lzma.decompress` (.xz and .lzma).

use std::io::{ErrorKind, Write};

use lzma_rust2::{Action, LzmaStream, Status, StreamResult, XzOptions, XzStream, XzWriter};

use super::MAX_STREAMS;
use crate::unpack::{Fault, Room};

/// The first byte of .xz, which can be none of .lzma.
const XZ: u8 = 0xFD;

/// One that a .lzma header says which has no size.
const UNKNOWN: u64 = u64::MAX;

/// Preset 4 with CRC64. The dictionary is no longer than the value, which saves the time to clear it.
pub(super) fn pack(value: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut options = XzOptions::with_preset(4);
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX).checked_next_power_of_two().unwrap_or(u32::MAX);
    options.lzma_options.dict_size = options.lzma_options.dict_size.min(length.max(4096));
    // Chunks that would become longer are stored as they are.
    let packed = super::space(value.len().saturating_add(value.len() >> 12).saturating_add(256))?;
    let mut writer = XzWriter::new(packed, options).map_err(|_| Fault::NoMemory)?;
    writer.write_all(value).map_err(|_| Fault::NoMemory)?;
    writer.finish().map_err(|_| Fault::NoMemory)
}

/// All streams, of either format, with at most one filter before LZMA2; what follows the first stream and is none is
/// ignored, as in Python, but for one that is cut short.
pub(super) fn unpack(stored: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    let mut room = super::room(stored, limit)?;
    let mut rest = stored;
    for _ in 0..MAX_STREAMS {
        let start = room.so_far().len();
        match stream(rest, &mut room, limit) {
            Ok(length) => rest = rest.get(length..).unwrap_or_default(),
            Err(Fault::Broken) if rest.len() < stored.len() => {
                room.forget_behind(start);
                return room.finish();
            }
            Err(fault) => return Err(fault),
        }
        if rest.is_empty() {
            return room.finish();
        }
    }
    Err(Fault::ManyStreams)
}

/// The stream at the beginning of `packed`: its length.
fn stream(packed: &[u8], room: &mut Room, limit: usize) -> Result<usize, Fault> {
    if packed.first() != Some(&XZ) {
        let (mut reader, header) = legacy(packed, limit)?;
        let behind = packed.get(header..).unwrap_or_default();
        return Ok(header + drain(behind, room, |input, output| reader.process(input, output, Action::Finish))?);
    }
    let mut reader = XzStream::new(false);
    drain(packed, room, |input, output| reader.process(input, output, Action::Finish))
}

/// Runs a decoder to the end of its stream: the length of that.
fn drain(
    packed: &[u8],
    room: &mut Room,
    mut process: impl FnMut(&[u8], &mut [u8]) -> std::io::Result<StreamResult>,
) -> Result<usize, Fault> {
    let mut done = 0;
    loop {
        let step =
            process(packed.get(done..).unwrap_or_default(), room.spare()?).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => Fault::CutShort,
                ErrorKind::OutOfMemory => Fault::NoMemory,
                _ => Fault::Broken,
            })?;
        done += step.bytes_consumed;
        room.written(step.bytes_produced);
        if step.status == Status::StreamEnd {
            return Ok(done);
        }
        // There was room, so it is input that is wanting.
        if step.bytes_consumed == 0 && step.bytes_produced == 0 {
            return Err(Fault::CutShort);
        }
    }
}

/// A reader for .lzma, and the length of the header. The format has no magic, so liblzma looks whether the header is one
/// that somebody would write; other bytes are none from the first that cannot be on.
fn legacy(packed: &[u8], limit: usize) -> Result<(LzmaStream, usize), Fault> {
    let properties = *packed.first().ok_or(Fault::CutShort)?;
    let (literal_context, literal_position) = (properties % 9, properties / 9 % 5);
    if properties > 224 || literal_context + literal_position > 4 || properties == b'L' {
        return Err(Fault::Broken); // L: an .lz file to liblzma
    }
    let dictionary = packed.get(1..).and_then(<[u8]>::first_chunk).ok_or(Fault::CutShort)?;
    let dictionary = u32::from_le_bytes(*dictionary);
    if !is_likely(dictionary) {
        return Err(Fault::Broken);
    }
    let size = packed.get(5..).and_then(<[u8]>::first_chunk).ok_or(Fault::CutShort)?;
    let size = u64::from_le_bytes(*size);
    if size != UNKNOWN && size >= 1 << 38 {
        return Err(Fault::Broken);
    }
    // Nothing refers to what lies further back than all of the output.
    let largest = u32::try_from(limit).unwrap_or(u32::MAX).clamp(4096, u32::MAX - 15);
    let reader =
        LzmaStream::new_with_props(size, properties, dictionary.min(largest), None).map_err(|_| Fault::Broken)?;
    Ok((reader, 13))
}

/// Nothing, 2**n, 2**n + 2**(n-1) or the largest.
fn is_likely(dictionary: u32) -> bool {
    let highest = dictionary.checked_ilog2().map_or(0, |bit| 1 << bit);
    dictionary == u32::MAX || dictionary == highest || dictionary == highest | highest >> 1
}
