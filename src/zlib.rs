//! Zlib streams, and the bare deflate streams inside of gzip, in bounded memory.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::unpack::{Fault, Room};

/// What stands around a deflate stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// The header and the checksum of zlib.
    Zlib,
    /// Nothing.
    None,
}

thread_local! {
    // Kept, because making one costs more than packing a small value: 50 KiB (reading), 300 KiB (writing) a thread.
    static READER: RefCell<Option<Decompress>> = const { RefCell::new(None) };
    static WRITER: RefCell<Option<Writer>> = const { RefCell::new(None) };
}

struct Writer {
    state: Compress,
    wrap: Wrap,
    level: u32,
}

/// Unpacks the stream at the beginning of `packed` into `room`, whatever follows it: the length of the stream.
pub fn unpack(packed: &[u8], wrap: Wrap, room: &mut Room) -> Result<usize, Fault> {
    with_reader(wrap, |reader| {
        loop {
            let before = (reader.total_in(), reader.total_out());
            let status = reader.decompress(rest_of(packed, reader), room.spare()?, FlushDecompress::None);
            room.written(usize::try_from(reader.total_out() - before.1).map_err(|_| Fault::TooBig)?);
            match status {
                Ok(Status::StreamEnd) => return usize::try_from(reader.total_in()).map_err(|_| Fault::TooBig),
                // There was room, so it is input that is wanting.
                Ok(_) if before == (reader.total_in(), reader.total_out()) => return Err(Fault::CutShort),
                Ok(_) => {}
                Err(_) => return Err(Fault::Broken),
            }
        }
    })
}

/// The value in the zlib stream at the beginning of `packed`, at most `limit` bytes.
pub fn value(packed: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    let mut room = Room::new(expected(packed), limit)?;
    unpack(packed, Wrap::Zlib, &mut room)?;
    room.finish()
}

/// How large a value is expected to be.
pub fn expected(packed: &[u8]) -> usize {
    packed.len().saturating_mul(3).min(1 << 20)
}

/// The length of the zlib stream at the beginning of `packed`, after unpacking it to nowhere.
pub fn length(packed: &[u8], limit: usize) -> Result<usize, Fault> {
    let mut nowhere = [0; 16 << 10];
    with_reader(Wrap::Zlib, |reader| {
        loop {
            let before = (reader.total_in(), reader.total_out());
            let rest = rest_of(packed, reader);
            let status = reader.decompress(rest, &mut nowhere, FlushDecompress::None).map_err(|_| Fault::Broken)?;
            if usize::try_from(reader.total_out()).map_or(true, |size| size > limit) {
                return Err(Fault::TooBig);
            }
            if status == Status::StreamEnd {
                return usize::try_from(reader.total_in()).map_err(|_| Fault::TooBig);
            }
            if before == (reader.total_in(), reader.total_out()) {
                return Err(Fault::CutShort);
            }
        }
    })
}

/// Packs a value behind what `packed` holds.
pub fn pack(value: &[u8], wrap: Wrap, level: u32, packed: &mut Vec<u8>) -> Result<(), Fault> {
    let kept = WRITER.try_with(|kept| kept.try_borrow_mut().ok()?.take()).ok().flatten();
    let mut writer = kept.filter(|kept| kept.wrap == wrap && kept.level == level).unwrap_or_else(|| Writer {
        state: Compress::new(Compression::new(level), wrap == Wrap::Zlib),
        wrap,
        level,
    });
    let state = &mut writer.state;
    state.reset();
    packed.try_reserve_exact(value.len() / 2 + 128).map_err(|_| Fault::NoMemory)?;
    loop {
        let done = usize::try_from(state.total_in()).unwrap_or(usize::MAX);
        let rest = value.get(done..).unwrap_or_default();
        match state.compress_vec(rest, packed, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => break,
            Ok(_) => packed.try_reserve(packed.len().max(1024)).map_err(|_| Fault::NoMemory)?,
            Err(_) => return Err(Fault::Broken),
        }
    }
    keep(&WRITER, writer);
    Ok(())
}

fn with_reader<T>(wrap: Wrap, read: impl FnOnce(&mut Decompress) -> Result<T, Fault>) -> Result<T, Fault> {
    let kept = READER.try_with(|kept| kept.try_borrow_mut().ok()?.take()).ok().flatten();
    let mut reader = kept.unwrap_or_else(|| Decompress::new(true));
    reader.reset(wrap == Wrap::Zlib);
    let result = read(&mut reader);
    keep(&READER, reader);
    result
}

fn keep<T>(place: &'static std::thread::LocalKey<RefCell<Option<T>>>, state: T) {
    // A thread that is ending keeps nothing.
    let _ = place.try_with(|kept| {
        if let Ok(mut kept) = kept.try_borrow_mut() {
            *kept = Some(state);
        }
    });
}

fn rest_of<'a>(packed: &'a [u8], reader: &Decompress) -> &'a [u8] {
    usize::try_from(reader.total_in()).ok().and_then(|done| packed.get(done..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(value: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        pack(value, Wrap::Zlib, 6, &mut file).unwrap();
        file
    }

    #[test]
    fn values_come_back_and_what_follows_is_not_theirs() {
        let noise: Vec<u8> = (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
        for expected in [&b""[..], b"v", &noise, &vec![b'v'; 3_000_000]] {
            let mut file = packed(expected);
            assert!(file.starts_with(&[0x78, 0x9C])); // FB-3
            let size = file.len();
            file.extend_from_slice(b"garbage"); // FB-4
            assert!(value(&file, expected.len()).unwrap() == expected);
            assert_eq!(length(&file, expected.len()), Ok(size));
        }
    }

    #[test]
    fn bare_streams_have_nothing_around_them() {
        let mut stream = Vec::new();
        pack(b"a value, a value", Wrap::None, 9, &mut stream).unwrap();
        let mut room = Room::new(0, 100).unwrap();
        assert_eq!(unpack(&stream, Wrap::None, &mut room), Ok(stream.len()));
        assert_eq!(room.finish().unwrap(), b"a value, a value");
        assert!(value(&stream, 100).is_err());
    }

    #[test]
    fn the_limit_is_exact() {
        for size in [100, 256, 257, 100_000] {
            let file = packed(&vec![b'v'; size]);
            assert!(value(&file, size).is_ok());
            assert_eq!(value(&file, size - 1), Err(Fault::TooBig));
            assert_eq!(length(&file, size - 1), Err(Fault::TooBig));
        }
    }

    #[test]
    fn every_cut_and_every_flip_is_an_error() {
        let file = packed(b"a value that is a little longer than others");
        for end in 0..file.len() {
            assert_eq!(value(&file[..end], 1 << 20), Err(Fault::CutShort));
            assert_eq!(length(&file[..end], 1 << 20), Err(Fault::CutShort));
            let mut flipped = file.clone();
            flipped[end] ^= 0xFF;
            assert!(value(&flipped, 1 << 20).is_err());
        }
    }
}
