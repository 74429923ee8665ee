//! `bz2.compress` and `bz2.decompress`.

use bzip2::{Action, Compress, Compression, Decompress, Status};

use super::MAX_STREAMS;
use crate::unpack::{Fault, Room};

pub(super) fn pack(value: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut writer = Compress::new(Compression::best(), 0);
    // What bzip2 says that is always enough.
    let mut packed = super::space(value.len().saturating_add(value.len() / 100).saturating_add(600))?;
    loop {
        let done = usize::try_from(writer.total_in()).unwrap_or(usize::MAX);
        let rest = value.get(done..).unwrap_or_default();
        match writer.compress_vec(rest, &mut packed, Action::Finish) {
            Ok(Status::StreamEnd) => return Ok(packed),
            Ok(_) => packed.try_reserve(1024).map_err(|_| Fault::NoMemory)?,
            Err(_) => return Err(Fault::NoMemory),
        }
    }
}

/// All streams; what follows the first and is none is ignored, as in Python, but for one that is cut short.
pub(super) fn unpack(stored: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    let mut room = super::room(stored, limit)?;
    let mut rest = stored;
    for _ in 0..MAX_STREAMS {
        if rest.is_empty() {
            return room.finish();
        }
        let start = room.so_far().len();
        match stream(rest, &mut room) {
            Ok(length) => rest = rest.get(length..).unwrap_or_default(),
            Err(Fault::Broken) if rest.len() < stored.len() => {
                room.forget_behind(start);
                return room.finish();
            }
            Err(fault) => return Err(fault),
        }
    }
    if rest.is_empty() { room.finish() } else { Err(Fault::ManyStreams) }
}

fn stream(packed: &[u8], room: &mut Room) -> Result<usize, Fault> {
    let mut reader = Decompress::new(false);
    loop {
        let before = (reader.total_in(), reader.total_out());
        let done = usize::try_from(before.0).unwrap_or(usize::MAX);
        let status = reader.decompress(packed.get(done..).unwrap_or_default(), room.spare()?);
        room.written(usize::try_from(reader.total_out() - before.1).map_err(|_| Fault::TooBig)?);
        match status {
            Ok(Status::StreamEnd) => return usize::try_from(reader.total_in()).map_err(|_| Fault::TooBig),
            Ok(Status::MemNeeded) => return Err(Fault::NoMemory),
            // There was room, so it is input that is wanting.
            Ok(_) if before == (reader.total_in(), reader.total_out()) => return Err(Fault::CutShort),
            Ok(_) => {}
            Err(_) => return Err(Fault::Broken),
        }
    }
}
