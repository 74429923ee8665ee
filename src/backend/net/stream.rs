//! A socket on the runtime, of either kind, plain or through TLS.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use super::connect::Place;
use super::fault::no_connection;
use super::tls::{Tls, Turn};
use crate::error::Result;
use crate::lock::Mutex;
use crate::sys::{CloseInChild, Ours};

/// A socket that does not block, registered with the runtime.
pub(super) struct Stream {
    /// Before the socket, so that it is dropped before the descriptor is closed.
    _token: CloseInChild,
    socket: Ours<Socket>,
    /// The lock is never waited for: only the task of the connection comes here.
    tls: Option<Mutex<Box<Tls>>>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Registers a socket that was made for `place`. Must be called on the runtime.
    pub(super) fn new(socket: OwnedFd, place: &Place) -> io::Result<Self> {
        let token = CloseInChild::new(socket.as_fd());
        let socket = match place {
            Place::Tcp(_) => Socket::Tcp(TcpStream::from_std(socket.into())?),
            Place::Unix(_) => Socket::Unix(UnixStream::from_std(socket.into())?),
        };
        Ok(Self { _token: token, socket: Ours::new(socket), tls: None })
    }

    /// Whether the server has not closed it. Asks the system: the runtime may not have heard yet.
    pub(super) fn is_open(&self) -> io::Result<()> {
        match recv(self.socket()?.as_fd(), &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((0, _)) => Err(io::Error::other("the server closed it")),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What became of connecting, once the socket can be written to.
    pub(super) async fn connected(&self) -> io::Result<()> {
        poll_fn(|context| self.poll_write_ready(context)).await?;
        super::connect::finish(self.socket()?.as_fd())
    }

    /// Agrees on TLS.
    pub(super) async fn secure(&mut self, mut tls: Box<Tls>) -> Result<()> {
        let mut turn = Turn::Send;
        while turn != Turn::Done {
            turn = self.shake(&mut tls, turn).await.map_err(|error| no_connection(&error)).flatten()?;
        }
        self.tls = Some(Mutex::new(tls));
        Ok(())
    }

    /// Waits for what the handshake waits for, and goes on with it.
    async fn shake(&self, tls: &mut Tls, turn: Turn) -> io::Result<Result<Turn>> {
        let interest = if turn == Turn::Send { Interest::WRITABLE } else { Interest::READABLE };
        loop {
            match turn {
                Turn::Send => poll_fn(|context| self.poll_write_ready(context)).await?,
                _ => poll_fn(|context| self.socket()?.poll_read_ready(context)).await?,
            }
            let socket = self.socket()?;
            // The runtime has to hear from within that there is nothing, or it takes the socket for ready.
            let step = || match tls.shake(socket.as_fd()) {
                Ok(same) if same == turn => Err(io::ErrorKind::WouldBlock.into()),
                next => Ok(next),
            };
            match socket.try_io(interest, step) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
        }
    }

    /// Sends what the socket takes now. What is not sent must be offered again, in front: TLS may have encrypted it
    /// already. Not the runtime's own writing: what that does about SIGPIPE depends on the kind of socket and on the
    /// standard library's version.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let socket = self.socket()?;
        let now = || match &self.tls {
            None => Ok(send(socket.as_fd(), bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?),
            Some(tls) => tls.lock().send(socket.as_fd(), bytes),
        };
        socket.try_io(Interest::WRITABLE, now)
    }

    /// How many bytes of what is to be offered again may have got to the server all the same.
    pub(super) fn under_way(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.lock().under_way())
    }

    /// Appends what has come to `room`, within its capacity; 0 is the end.
    pub(super) fn receive(&self, room: &mut Vec<u8>) -> io::Result<usize> {
        let socket = self.socket()?;
        match &self.tls {
            None => {
                let now = || Ok(recv(socket.as_fd(), spare_capacity(room), RecvFlags::DONTWAIT)?.0);
                socket.try_io(Interest::READABLE, now)
            }
            Some(tls) => {
                let mut tls = tls.lock();
                let has_more = tls.has_more();
                let mut now = || tls.receive(socket.as_fd(), room, RecvFlags::DONTWAIT);
                if has_more { now() } else { socket.try_io(Interest::READABLE, now) }
            }
        }
    }

    /// Whether receiving is worth a try.
    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.tls.as_ref().is_some_and(|tls| tls.lock().has_more()) {
            return Poll::Ready(Ok(()));
        }
        self.socket()?.poll_read_ready(context)
    }

    /// Whether sending is worth a try.
    pub(super) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.socket()? {
            Socket::Tcp(stream) => stream.poll_write_ready(context),
            Socket::Unix(stream) => stream.poll_write_ready(context),
        }
    }

    fn socket(&self) -> io::Result<&Socket> {
        self.socket.get().ok_or_else(|| Errno::NOTCONN.into())
    }
}

impl Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    fn try_io<R>(&self, interest: Interest, now: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, now),
            Self::Unix(stream) => stream.try_io(interest, now),
        }
    }

    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(context),
            Self::Unix(stream) => stream.poll_read_ready(context),
        }
    }
}
