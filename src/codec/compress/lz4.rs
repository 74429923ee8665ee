//! `lz4.frame.compress` and `lz4.frame.decompress`.

use std::io::{BufRead, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use crate::unpack::{Fault, Room};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4D, 0x18];

/// Of a block whose bytes are stored as they are.
const UNCOMPRESSED: u32 = 1 << 31;

const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const DICTIONARY: u8 = 1;

/// Blocks of 64 KiB, which refer to those before them, and the size of the value: what Python writes by default.
pub(super) fn pack(value: &[u8]) -> Result<Vec<u8>, Fault> {
    let one_block = value.len() <= 64 << 10;
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(if one_block { BlockMode::Independent } else { BlockMode::Linked })
        .content_size(u64::try_from(value.len()).ok());
    // A block that would become longer is stored as it is.
    let packed = super::space(value.len().saturating_add(value.len() >> 13).saturating_add(64))?;
    let mut encoder = FrameEncoder::with_frame_info(info, packed);
    encoder.write_all(value).map_err(|_| Fault::Broken)?;
    encoder.finish().map_err(|_| Fault::Broken)
}

/// The first frame; whatever follows it is ignored, as in Python.
pub(super) fn unpack(stored: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    let frame = frame(stored).ok_or(Fault::Broken)?;
    let mut room = super::room(frame, limit)?;
    let mut decoder = FrameDecoder::new(frame);
    loop {
        let block = decoder.fill_buf().map_err(|_| Fault::Broken)?;
        let length = block.len();
        copy(block, &mut room)?;
        decoder.consume(length);
        // An empty block, too, gives nothing: the end is where the bytes of the frame are used up.
        if length == 0 && decoder.get_ref().is_empty() {
            return room.finish();
        }
    }
}

fn copy(mut block: &[u8], room: &mut Room) -> Result<(), Fault> {
    while !block.is_empty() {
        let spare = room.spare()?;
        let (now, later) = block.split_at(spare.len().min(block.len()));
        if let Some(spare) = spare.get_mut(..now.len()) {
            spare.copy_from_slice(now);
        }
        room.written(now.len());
        block = later;
    }
    Ok(())
}

/// The bytes of the first frame; `None` where it is no frame, or its end is missing (which the decoder does not tell from
/// an end between two blocks).
fn frame(stored: &[u8]) -> Option<&[u8]> {
    let [flags, _] = *stored.strip_prefix(&MAGIC)?.first_chunk()?;
    let optional = |flag: u8, length: usize| if flags & flag == 0 { 0 } else { length };
    let mut end = MAGIC.len() + 3 + optional(CONTENT_SIZE, 8) + optional(DICTIONARY, 4);
    loop {
        let size = u32::from_le_bytes(*stored.get(end..)?.first_chunk()?);
        end += 4;
        if size == 0 {
            return stored.get(..end + optional(CONTENT_CHECKSUM, 4));
        }
        let length = usize::try_from(size & !UNCOMPRESSED).ok()?;
        end = end.checked_add(length)?.checked_add(optional(BLOCK_CHECKSUMS, 4))?;
    }
}
