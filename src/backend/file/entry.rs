//! One cache file that is open: its head, its bytes, its lock, and whether it still is what its name stands for.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use super::format::{Header, MAX_HEADER};
use crate::error::{Error, Kind, Result};
use crate::timeout::{self, Deadline};

/// Enough for nearly every small value in one read.
const FIRST_READ: usize = 16 << 10;

/// An open cache file.
pub struct Entry {
    file: OwnedFd,
    locked: Cell<bool>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Closing alone would leave the lock with a child that was forked meanwhile.
        if self.locked.get() {
            let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
        }
    }
}

impl Entry {
    /// Opens a file for reading; `None` if there is none.
    pub fn open(path: &[u8]) -> Result<Option<Self>, Errno> {
        Self::open_with(path, OFlags::RDONLY)
    }

    /// Opens a file as Django's touch does, for which it has to be writable (FB-7); `None` if there is none.
    pub fn open_for_touch(path: &[u8]) -> Result<Option<Self>, Errno> {
        Self::open_with(path, OFlags::RDWR)
    }

    fn open_with(path: &[u8], access: OFlags) -> Result<Option<Self>, Errno> {
        // NONBLOCK means nothing to a file, and keeps a pipe that someone put here from stopping the caller.
        let flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        loop {
            match rustix::fs::open(path, flags, Mode::empty()) {
                Ok(file) => return Ok(Some(Self { file, locked: Cell::new(false) })),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the head only.
    pub fn header(&self) -> Result<Result<Header>, Errno> {
        let mut head = [0; MAX_HEADER];
        let mut length = 0;
        while let Some(rest) = head.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match rustix::io::pread(&self.file, rest, u64::try_from(length).unwrap_or(0)) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            }
            // One read has nearly always the whole head.
            if let Ok(header @ Header::Expiry(..)) = Header::read(head.get(..length).unwrap_or_default()) {
                return Ok(Ok(header));
            }
        }
        Ok(Header::read(head.get(..length).unwrap_or_default()))
    }

    /// Whether the entry has expired; what cannot be read has not.
    pub fn is_over(&self, now: f64) -> bool {
        matches!(self.header(), Ok(Ok(header)) if header.is_over(now))
    }

    /// When the file was written, to compare with others.
    pub fn age(&self) -> (i64, i64) {
        rustix::fs::fstat(&self.file)
            .map_or((i64::MAX, 0), |stat| (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)))
    }

    /// Reads the file, but not much more than `limit` bytes; whether that was all of it. One system call for a small
    /// file.
    pub fn read(&self, limit: usize) -> Result<(Vec<u8>, bool), ReadError> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(FIRST_READ).map_err(|_| ReadError::Memory)?;
        while bytes.len() <= limit {
            let room = bytes.capacity() - bytes.len();
            match rustix::io::read(&self.file, rustix::buffer::spare_capacity(&mut bytes)) {
                Ok(0) => return Ok((bytes, true)),
                Ok(read) if read < room => return Ok((bytes, true)),
                Ok(_) => {
                    let size = rustix::fs::fstat(&self.file).map_err(ReadError::System)?.st_size;
                    let left = usize::try_from(size).unwrap_or(0).min(limit).saturating_sub(bytes.len());
                    bytes.try_reserve_exact(left.saturating_add(1).max(4096)).map_err(|_| ReadError::Memory)?;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(ReadError::System(error)),
            }
        }
        Ok((bytes, false))
    }

    /// Goes back to the beginning, to read again.
    pub fn rewind(&self) -> Result<(), Errno> {
        rustix::fs::seek(&self.file, SeekFrom::Start(0)).map(drop)
    }

    /// Waits for the lock that Django's touch takes (FB-7). It is released when the entry is dropped.
    pub fn lock(&self, exclusive: bool, deadline: &Deadline) -> Result<(), LockError> {
        let operation =
            if exclusive { FlockOperation::NonBlockingLockExclusive } else { FlockOperation::NonBlockingLockShared };
        loop {
            match rustix::fs::flock(&self.file, operation) {
                Ok(()) => {
                    self.locked.set(true);
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if deadline.left().is_none() => return Err(LockError::Late),
                Err(Errno::WOULDBLOCK) => timeout::pause(Duration::from_millis(1)),
                Err(error) => return Err(LockError::System(error)),
            }
        }
    }

    /// Takes the lock if it is free. Where a file system has no locks it counts as free.
    pub fn try_lock(&self) -> bool {
        let outcome = rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive);
        self.locked.set(outcome.is_ok());
        outcome != Err(Errno::WOULDBLOCK)
    }

    /// Whether the name still stands for this file, and not for one that has replaced it.
    pub fn is_at(&self, path: &[u8]) -> Result<bool, Errno> {
        let named = match rustix::fs::stat(path) {
            Err(Errno::NOENT) => return Ok(false),
            other => other?,
        };
        let this = rustix::fs::fstat(&self.file)?;
        Ok((named.st_dev, named.st_ino) == (this.st_dev, this.st_ino))
    }
}

/// Why a file could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// There was no memory for it.
    Memory,
    /// The system refused.
    System(Errno),
}

/// Why a lock was not had.
#[derive(Debug)]
pub enum LockError {
    /// Another process held it all the time.
    Late,
    /// The system refused.
    System(Errno),
}

impl LockError {
    /// The error of a call whose time ended here.
    pub fn late() -> Error {
        Error::new(Kind::Timeout, "another process holds the lock of the cache file")
    }
}
