//! `pyzstd.compress` and `pyzstd.decompress`.

use std::cell::RefCell;

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{self, CCtx, DCtx, InBuffer, OutBuffer, ResetDirective};

use crate::unpack::{Fault, Room};

/// Contexts that have grown beyond this are not kept.
const KEPT: usize = 4 << 20;

/// Python's default.
const LEVEL: i32 = 3;

thread_local! {
    // Making a context costs more than a small value does.
    static READER: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
    static WRITER: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
}

/// One frame that begins with the size of the value.
pub(super) fn pack(value: &[u8]) -> Result<Vec<u8>, Fault> {
    let kept = WRITER.try_with(|kept| kept.try_borrow_mut().ok()?.take()).ok().flatten();
    let mut writer = kept.or_else(CCtx::try_create).ok_or(Fault::NoMemory)?;
    let mut packed = super::space(zstd_safe::compress_bound(value.len()))?;
    writer.compress(&mut packed, value, LEVEL).map_err(|_| Fault::NoMemory)?;
    if writer.sizeof() <= KEPT {
        let _ = WRITER.try_with(|kept| kept.replace(Some(writer)));
    }
    Ok(packed)
}

/// All frames, with skippable ones between them, and nothing else. A window of more than 2**27 bytes is refused, which is
/// zstd's default, and Python's.
pub(super) fn unpack(stored: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    // Where there is room for all of the value it is unpacked in place, without a window beside it.
    let promised = zstd_safe::get_frame_content_size(stored).ok().flatten().unwrap_or_default();
    let promised = usize::try_from(promised).unwrap_or(usize::MAX);
    let likely = stored.len().saturating_mul(32).max(64 << 10);
    let mut room = Room::new(promised.min(likely), limit)?;
    let kept = READER.try_with(|kept| kept.try_borrow_mut().ok()?.take()).ok().flatten();
    let mut reader = kept.or_else(DCtx::try_create).ok_or(Fault::NoMemory)?;
    reader.reset(ResetDirective::SessionOnly).map_err(|_| Fault::Broken)?;
    let result = frames(&mut reader, stored, &mut room);
    if reader.sizeof() <= KEPT {
        let _ = READER.try_with(|kept| kept.replace(Some(reader)));
    }
    result?;
    room.finish()
}

fn frames(reader: &mut DCtx<'static>, stored: &[u8], room: &mut Room) -> Result<(), Fault> {
    let mut input = InBuffer::around(stored);
    loop {
        let before = input.pos();
        let mut output = OutBuffer::around(room.spare()?);
        let more = reader.decompress_stream(&mut output, &mut input);
        let written = output.pos();
        room.written(written);
        match more {
            Ok(0) if input.pos() == stored.len() => return Ok(()),
            Ok(0) => {}
            Ok(_) if written == 0 && input.pos() == before => return Err(Fault::CutShort),
            Ok(_) => {}
            Err(code) if zstd_safe::is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_memory_allocation) => {
                return Err(Fault::NoMemory);
            }
            Err(_) => return Err(Fault::Broken),
        }
    }
}
