//! A socket on the runtime, of either kind.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use super::connect::Place;

/// A socket that does not block, registered with the runtime.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Registers a socket that was made for `place`. Must be called on the runtime.
    pub(super) fn new(socket: OwnedFd, place: &Place) -> io::Result<Self> {
        Ok(match place {
            Place::Tcp(_) => Self::Tcp(TcpStream::from_std(socket.into())?),
            Place::Unix(_) => Self::Unix(UnixStream::from_std(socket.into())?),
        })
    }

    /// The socket.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    /// Sends what the socket takes now. Not the runtime's own writing: what that does about SIGPIPE depends on the kind
    /// of socket and on the standard library's version.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let now = || Ok(send(self.as_fd(), bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?);
        self.try_io(Interest::WRITABLE, now)
    }

    /// Appends what has come to `room`, within its capacity; 0 is the end.
    pub(super) fn receive(&self, room: &mut Vec<u8>) -> io::Result<usize> {
        let now = || Ok(recv(self.as_fd(), spare_capacity(room), RecvFlags::DONTWAIT)?.0);
        self.try_io(Interest::READABLE, now)
    }

    fn try_io<R>(&self, interest: Interest, now: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, now),
            Self::Unix(stream) => stream.try_io(interest, now),
        }
    }

    /// Whether receiving is worth a try.
    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(context),
            Self::Unix(stream) => stream.poll_read_ready(context),
        }
    }

    /// Whether sending is worth a try.
    pub(super) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(context),
            Self::Unix(stream) => stream.poll_write_ready(context),
        }
    }
}
