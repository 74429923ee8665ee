//! POSIX locks on a part of a file.

use std::os::fd::{AsRawFd, BorrowedFd};

/// Takes a shared lock on some bytes of a file for this process, without waiting. It lasts until the process closes any
/// descriptor of the file, or ends.
pub fn share(file: BorrowedFd<'_>, start: u32, len: u32) -> std::io::Result<()> {
    let too_far = |_| std::io::Error::from(std::io::ErrorKind::InvalidInput);
    // SAFETY: plain data, for which zeros are fine.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_RDLCK.try_into().map_err(too_far)?;
    lock.l_whence = libc::SEEK_SET.try_into().map_err(too_far)?;
    lock.l_start = start.into();
    lock.l_len = len.into();
    // SAFETY: the descriptor is open and the lock is whole.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) } {
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok(()),
    }
}
