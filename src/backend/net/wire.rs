//! A connected socket that one thread uses at a time: plain, or through TLS.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::connect::wait;
use super::fault::{late, no_connection};
use super::tls::{Tls, Turn};
use crate::error::Result;
use crate::sys::{CloseInChild, Ours};
use crate::timeout::Deadline;

/// A socket and what was agreed on over it.
pub(super) struct Wire {
    /// Before the socket, so that it is dropped before the descriptor is closed.
    _token: CloseInChild,
    socket: Ours<OwnedFd>,
    tls: Option<Box<Tls>>,
}

impl Wire {
    /// A plain one.
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self { _token: CloseInChild::new(socket.as_fd()), socket: Ours::new(socket), tls: None }
    }

    /// Agrees on TLS.
    pub(super) fn secure(&mut self, mut tls: Box<Tls>, deadline: &Deadline) -> Result<()> {
        let socket = self.as_fd().map_err(|error| no_connection(&error))?;
        loop {
            let events = match tls.shake(socket)? {
                Turn::Done => break,
                Turn::Receive => PollFlags::IN,
                Turn::Send => PollFlags::OUT,
            };
            if !wait(socket, events, deadline).map_err(|error| no_connection(&error))? {
                return Err(late("agreeing on TLS (does the server speak it on this port?)", deadline));
            }
        }
        self.tls = Some(tls);
        Ok(())
    }

    /// The socket, in the process that made it.
    pub(super) fn as_fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.socket.get().map(AsFd::as_fd).ok_or_else(|| Errno::NOTCONN.into())
    }

    /// Sends what the socket takes now. What is not sent must be offered again: TLS may have encrypted it already.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let socket = self.socket.get().ok_or(Errno::NOTCONN)?;
        match &mut self.tls {
            None => Ok(send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?),
            Some(tls) => tls.send(socket.as_fd(), bytes),
        }
    }

    /// Appends what has come to `room`, within its capacity; 0 is the end. Waits as `flags` and the socket's time-out
    /// say; an error that says to try again later may come sooner.
    pub(super) fn receive(&mut self, room: &mut Vec<u8>, flags: RecvFlags) -> io::Result<usize> {
        let socket = self.socket.get().ok_or(Errno::NOTCONN)?;
        match &mut self.tls {
            None => Ok(recv(socket, spare_capacity(room), flags)?.0),
            Some(tls) => tls.receive(socket.as_fd(), room, flags),
        }
    }

    /// Whether nothing has come that was not received, not even an end.
    pub(super) fn is_quiet(&self) -> bool {
        let mut probe = [0_u8; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let Some(socket) = self.socket.get() else { return false };
        self.is_empty() && matches!(recv(socket, &mut probe, flags), Err(Errno::AGAIN | Errno::INTR))
    }

    /// Whether all that was taken from the socket has been received.
    pub(super) fn is_empty(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.has_more())
    }
}
