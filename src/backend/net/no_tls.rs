//! What stands for TLS in a build without it: nothing that can exist. Such an alias is refused before it gets here.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::net::RecvFlags;

use crate::config;
use crate::error::{Error, Kind, Result};

/// See the real one.
#[derive(Default)]
pub(super) struct Setup;

/// There is none.
pub(super) enum Tls {}

/// See the real one.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "it is matched, and never made")]
pub(super) enum Turn {
    Done,
    Receive,
    Send,
}

#[allow(clippy::unused_self, reason = "as the real one's")]
impl Setup {
    pub(super) fn is_ready(&self) -> bool {
        true
    }

    pub(super) fn forget(&self) {}

    pub(super) fn prepare(&self, _: &config::Tls) -> Result<()> {
        Err(Error::new(Kind::Config, "larder was built without the feature \"tls\""))
    }

    pub(super) fn begin(&self, _: &str, settings: &config::Tls) -> Result<Box<Tls>> {
        Err(self.prepare(settings).err().unwrap_or_else(super::fault::unexpected))
    }
}

impl Tls {
    pub(super) fn shake(&mut self, _: BorrowedFd<'_>) -> Result<Turn> {
        match *self {}
    }

    pub(super) fn send(&mut self, _: BorrowedFd<'_>, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(super) fn receive(&mut self, _: BorrowedFd<'_>, _: &mut Vec<u8>, _: RecvFlags) -> io::Result<usize> {
        match *self {}
    }

    pub(super) fn under_way(&self) -> usize {
        match *self {}
    }

    pub(super) fn has_more(&self) -> bool {
        match *self {}
    }
}

/// Nothing to make ready.
pub(super) fn warm_up() {}
