//! The body of a cache file: one zlib stream, read in bounded memory (FB-3, FB-4).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;

/// More states than this are not kept: one of them has some 50 KiB (reading) or 300 KiB (writing).
const KEPT: usize = 4;

/// States of the algorithm, kept because making one costs more than packing a small value.
#[derive(Default)]
pub struct Zlib {
    readers: Pool<Decompress>,
    writers: Pool<Compress>,
}

impl Zlib {
    /// Unpacks the stream at the beginning of `packed`, whatever follows it (FB-4); at most `limit` bytes.
    pub fn unpack(&self, packed: &[u8], limit: usize) -> Result<Vec<u8>> {
        let mut value = Vec::new();
        value.try_reserve_exact(packed.len().saturating_mul(3).clamp(256, 1 << 20)).map_err(no_memory)?;
        self.with_reader(|reader| {
            loop {
                if value.len() > limit {
                    return Err(too_big());
                }
                if value.len() == value.capacity() {
                    let more = value.len().min((limit - value.len()).saturating_add(1));
                    value.try_reserve_exact(more).map_err(no_memory)?;
                }
                let before = (reader.total_in(), value.len());
                let rest = rest_of(packed, reader);
                match reader.decompress_vec(rest, &mut value, FlushDecompress::None) {
                    Ok(Status::StreamEnd) if value.len() > limit => return Err(too_big()),
                    Ok(Status::StreamEnd) => return Ok(()),
                    // There was room, so it is input that is wanting.
                    Ok(_) if before == (reader.total_in(), value.len()) => return Err(broken()),
                    Ok(_) => {}
                    Err(_) => return Err(broken()),
                }
            }
        })?;
        Ok(value)
    }

    /// The length of the stream at the beginning of `packed`, after unpacking it to nowhere.
    pub fn length(&self, packed: &[u8], limit: usize) -> Result<usize> {
        let mut nowhere = [0; 16 << 10];
        self.with_reader(|reader| {
            loop {
                let (read, written) = (reader.total_in(), reader.total_out());
                let rest = rest_of(packed, reader);
                let status = reader.decompress(rest, &mut nowhere, FlushDecompress::None).map_err(|_| broken())?;
                if usize::try_from(reader.total_out()).map_or(true, |size| size > limit) {
                    return Err(too_big());
                }
                if status == Status::StreamEnd {
                    return usize::try_from(reader.total_in()).map_err(|_| too_big());
                }
                if (read, written) == (reader.total_in(), reader.total_out()) {
                    return Err(broken());
                }
            }
        })
    }

    /// Packs a value behind what `file` holds, as `zlib.compress` does by default.
    pub fn pack(&self, value: &[u8], file: &mut Vec<u8>) -> Result<()> {
        let mut writer = self.writers.take().unwrap_or_else(|| Compress::new(Compression::default(), true));
        writer.reset();
        file.try_reserve_exact(value.len() / 2 + 128).map_err(no_memory)?;
        loop {
            let done = usize::try_from(writer.total_in()).unwrap_or(usize::MAX);
            let rest = value.get(done..).unwrap_or_default();
            match writer.compress_vec(rest, file, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => break,
                Ok(_) => file.try_reserve(file.len().max(1024)).map_err(no_memory)?,
                Err(_) => return Err(Error::new(Kind::Io, "the value could not be compressed")),
            }
        }
        self.writers.give(writer);
        Ok(())
    }

    fn with_reader<T>(&self, read: impl FnOnce(&mut Decompress) -> Result<T>) -> Result<T> {
        let mut reader = self.readers.take().unwrap_or_else(|| Decompress::new(true));
        reader.reset(true);
        let result = read(&mut reader);
        self.readers.give(reader);
        result
    }
}

fn rest_of<'a>(packed: &'a [u8], reader: &Decompress) -> &'a [u8] {
    usize::try_from(reader.total_in()).ok().and_then(|done| packed.get(done..)).unwrap_or_default()
}

struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T> Pool<T> {
    fn take(&self) -> Option<T> {
        self.0.lock().pop()
    }

    fn give(&self, state: T) {
        let mut kept = self.0.lock();
        if kept.len() < KEPT {
            kept.push(state);
        }
    }
}

fn broken() -> Error {
    Error::new(Kind::Undecodable, "the value in the cache file is not a whole zlib stream")
}

fn too_big() -> Error {
    Error::new(Kind::TooBig, "the value in the cache file is larger than MAX_VALUE_BYTES")
}

fn no_memory(_: std::collections::TryReserveError) -> Error {
    Error::new(Kind::Memory, "not enough memory for the value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(value: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        Zlib::default().pack(value, &mut file).unwrap();
        file
    }

    #[test]
    fn values_come_back_and_what_follows_is_not_theirs() {
        let zlib = Zlib::default();
        let noise: Vec<u8> = (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
        for value in [&b""[..], b"v", &noise, &vec![b'v'; 3_000_000]] {
            let mut file = packed(value);
            assert!(file.starts_with(&[0x78, 0x9C])); // FB-3
            let length = file.len();
            file.extend_from_slice(b"garbage"); // FB-4
            assert!(zlib.unpack(&file, value.len()).unwrap() == value);
            assert_eq!(zlib.length(&file, value.len()).unwrap(), length);
        }
    }

    #[test]
    fn the_limit_is_exact() {
        let zlib = Zlib::default();
        for size in [100, 256, 257, 100_000] {
            let file = packed(&vec![b'v'; size]);
            assert!(zlib.unpack(&file, size).is_ok());
            assert_eq!(zlib.unpack(&file, size - 1).unwrap_err().kind(), Kind::TooBig);
            assert_eq!(zlib.length(&file, size - 1).unwrap_err().kind(), Kind::TooBig);
        }
    }

    #[test]
    fn every_cut_and_every_flip_is_an_error() {
        let zlib = Zlib::default();
        let file = packed(b"a value that is a little longer than others");
        for end in 0..file.len() {
            assert_eq!(zlib.unpack(&file[..end], 1 << 20).unwrap_err().kind(), Kind::Undecodable);
            assert_eq!(zlib.length(&file[..end], 1 << 20).unwrap_err().kind(), Kind::Undecodable);
            let mut flipped = file.clone();
            flipped[end] ^= 0xFF;
            assert!(zlib.unpack(&flipped, 1 << 20).is_err());
        }
    }
}
