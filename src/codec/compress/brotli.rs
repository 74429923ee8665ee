//! `brotli.compress` and `brotli.decompress`.

use brotli::enc::{BrotliEncoderParams, StandardAlloc};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use crate::unpack::Fault;

/// Quality 11 and a window of 2**22 bytes, as django-valkey asks for by default.
pub(super) fn pack(value: &[u8]) -> Result<Vec<u8>, Fault> {
    let params =
        BrotliEncoderParams { quality: 11, lgwin: 22, size_hint: value.len(), ..BrotliEncoderParams::default() };
    let mut packed = super::space(value.len().saturating_add(value.len() >> 12).saturating_add(64))?;
    brotli::BrotliCompress(&mut &*value, &mut packed, &params).map_err(|_| Fault::NoMemory)?;
    Ok(packed)
}

/// One stream and nothing else.
pub(super) fn unpack(stored: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    let mut room = super::room(stored, limit)?;
    let memory = StandardAlloc::default;
    let mut reader = BrotliState::new_strict(memory(), memory(), memory());
    let (mut done, mut left, mut total) = (0, stored.len(), 0);
    loop {
        let before = (left, total);
        let spare = room.spare()?;
        let (mut room_left, mut written) = (spare.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut done,
            stored,
            &mut room_left,
            &mut written,
            spare,
            &mut total,
            &mut reader,
        );
        room.written(written);
        match result {
            BrotliResult::ResultSuccess if left == 0 => return room.finish(),
            BrotliResult::ResultSuccess | BrotliResult::ResultFailure => return Err(Fault::Broken),
            BrotliResult::NeedsMoreOutput if before != (left, total) || written > 0 => {}
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => return Err(Fault::CutShort),
        }
    }
}
