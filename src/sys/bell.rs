//! A descriptor that is readable while the bell rings.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

use super::CloseInChild;

/// An event descriptor: close-on-exec, and closed in forked children, which must not take the parent's rings away.
pub struct Bell {
    _child: CloseInChild, // goes before the descriptor is closed
    descriptor: OwnedFd,
}

impl Bell {
    /// A silent bell.
    pub fn new() -> io::Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { _child: CloseInChild::new(descriptor.as_fd()), descriptor })
    }

    /// Makes it readable until it is hushed.
    pub fn ring(&self) {
        let _ = rustix::io::write(&self.descriptor, &1_u64.to_ne_bytes()); // fails only when it rings already
    }

    /// Makes it unreadable.
    pub fn hush(&self) {
        let _ = rustix::io::read(&self.descriptor, &mut [0_u8; 8]); // fails only when it is silent already
    }

    /// The descriptor's number, to be waited on.
    pub fn number(&self) -> i32 {
        self.descriptor.as_raw_fd()
    }
}
