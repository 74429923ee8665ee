//! TLS by hand: rustls encrypts and decrypts, and the two transports move the bytes by their own rules.
//!
//! Nothing is ever sent when a connection is dropped: in a forked child that would end the parent's connection, and
//! Redis' replies tell by themselves whether they are whole.

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::certificates;
use super::connect::without_brackets;
use super::fault::{is_passing, no_connection};
use super::tls_fault::{Peer, failed, said};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;

/// Certificates are read again after this long, since they are renewed now and then.
const FRESH: Duration = Duration::from_mins(1);
/// How often one receive asks the socket.
const ROUNDS: u32 = 64;
/// The most that is encrypted at once.
const CHUNK: usize = 32 << 10;

/// What TLS with one server needs: the certificates, read when they are first needed.
#[derive(Default)]
pub(super) struct Setup(Mutex<Option<(Instant, Arc<ClientConfig>)>>);

impl Setup {
    /// Whether the certificates have been read, so that [`Setup::begin`] does not wait for a disk.
    pub(super) fn is_ready(&self) -> bool {
        self.known().is_some()
    }

    /// Reads the certificates, unless that was done a moment ago. Fails with `Kind::Config` and the JSON path.
    pub(super) fn prepare(&self, settings: &config::Tls) -> Result<Arc<ClientConfig>> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let read = Arc::new(certificates::client(settings)?);
        *self.0.lock() = Some((Instant::now(), read.clone()));
        Ok(read)
    }

    /// The beginning of a conversation with `host`.
    pub(super) fn begin(&self, host: &str, settings: &config::Tls) -> Result<Box<Tls>> {
        // a zone or a root is no part of the name
        let bare = without_brackets(host).split('%').next().unwrap_or_default().trim_end_matches('.');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| Error::new(Kind::Config, "the server's host is no name that a certificate can have"))?;
        let peer = Peer::new(host, settings);
        let connection = ClientConnection::new(self.prepare(settings)?, name).map_err(|error| failed(&error, &peer))?;
        Ok(Box::new(Tls { connection, peer, taken: 0, more: 0 }))
    }

    /// Has the certificates read anew the next time.
    pub(super) fn forget(&self) {
        drop(self.0.lock().take());
    }

    fn known(&self) -> Option<Arc<ClientConfig>> {
        let known = self.0.lock();
        known.as_ref().filter(|(read, _)| read.elapsed() < FRESH).map(|(_, config)| config.clone())
    }
}

/// One conversation.
pub(super) struct Tls {
    connection: ClientConnection,
    peer: Peer,
    /// Of what is being sent: bytes that are encrypted, and of which the sender does not know yet.
    taken: usize,
    /// Decrypted bytes that nobody has received.
    more: usize,
}

/// What the handshake waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing: it is over.
    Done,
    /// That something comes.
    Receive,
    /// That something can be sent.
    Send,
}

impl Tls {
    /// Goes on with the handshake as far as it goes now.
    pub(super) fn shake(&mut self, socket: BorrowedFd<'_>) -> Result<Turn> {
        loop {
            match self.flush(socket) {
                Ok(()) => {}
                Err(error) if is_passing(&error) => return Ok(Turn::Send),
                Err(error) => return Err(no_connection(&error)),
            }
            if !self.connection.is_handshaking() {
                return Ok(Turn::Done);
            }
            match self.connection.read_tls(&mut Source { socket, flags: RecvFlags::DONTWAIT }) {
                Ok(0) => {
                    let reason = "cannot connect: the server closed the connection while TLS was agreed on; \
                                  does it speak TLS on this port?";
                    return Err(Error::new(Kind::Connection, reason));
                }
                Ok(_) => {}
                Err(error) if is_passing(&error) => return Ok(Turn::Receive),
                Err(error) => return Err(no_connection(&error)),
            }
            self.process(socket).map_err(|error| failed(&error, &self.peer))?;
        }
    }

    /// Sends what the socket takes now. What is not sent must be offered again, in front: some of it may be encrypted
    /// already.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        if self.taken == 0 {
            let some = bytes.get(..bytes.len().min(CHUNK)).unwrap_or_default();
            self.taken = self.connection.writer().write(some)?;
            if self.taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.flush(socket).map_err(|error| self.explained(socket, error))?;
        Ok(std::mem::take(&mut self.taken))
    }

    /// Why nothing can be sent: the server may have said it before it closed the connection.
    fn explained(&mut self, socket: BorrowedFd<'_>, error: io::Error) -> io::Error {
        if !is_passing(&error) {
            while let Ok(1..) = self.connection.read_tls(&mut Source { socket, flags: RecvFlags::DONTWAIT }) {
                if let Err(failure) = self.connection.process_new_packets() {
                    return io::Error::other(said(&failure, &self.peer));
                }
            }
        }
        error
    }

    /// Appends what has come to `room`, within its capacity; 0 is the end. Only the first receive has these flags, the
    /// others don't wait. A server that sends much in which nothing is said interrupts it, so that deadlines are looked at.
    pub(super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        room: &mut Vec<u8>,
        mut flags: RecvFlags,
    ) -> io::Result<usize> {
        for _ in 0..ROUNDS {
            match self.take(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The end without a word, as of a process that was killed, is an end.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                outcome => return outcome,
            }
            if self.connection.read_tls(&mut Source { socket, flags })? > 0 || !self.connection.is_handshaking() {
                self.process(socket).map_err(|error| io::Error::other(said(&error, &self.peer)))?;
            }
            flags = RecvFlags::DONTWAIT;
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    /// How many bytes, of those that are to be offered again, may have got to the server all the same.
    pub(super) fn under_way(&self) -> usize {
        self.taken
    }

    /// Whether there is something to receive without asking the socket.
    pub(super) fn has_more(&self) -> bool {
        self.more > 0
    }

    fn take(&mut self, room: &mut Vec<u8>) -> io::Result<usize> {
        let spare = room.capacity() - room.len();
        let mut reader = self.connection.reader();
        let chunk = reader.fill_buf()?;
        let chunk = chunk.get(..chunk.len().min(spare)).unwrap_or_default();
        let count = chunk.len();
        room.extend_from_slice(chunk);
        reader.consume(count);
        self.more = self.more.saturating_sub(count);
        Ok(count)
    }

    /// Decrypts what came; answers what TLS itself asks, as far as it can be sent now.
    fn process(&mut self, socket: BorrowedFd<'_>) -> Result<(), rustls::Error> {
        let outcome = self.connection.process_new_packets().map(|state| self.more = state.plaintext_bytes_to_read());
        let _ = self.flush(socket); // what is not sent goes with the next
        outcome
    }

    fn flush(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut Sink { socket })?;
        }
        Ok(())
    }
}

/// The socket, to receive from.
struct Source<'a> {
    socket: BorrowedFd<'a>,
    flags: RecvFlags,
}

impl Read for Source<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.socket, room, self.flags)?.0)
    }
}

/// The socket, to send to.
struct Sink<'a> {
    socket: BorrowedFd<'a>,
}

const QUIETLY: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.socket, bytes, QUIETLY)?)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(sendmsg(self.socket, slices, &mut SendAncillaryBuffer::default(), QUIETLY)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lets the cryptography look at the processor now, while no child waits for a thread of its parent to do so.
pub(super) fn warm_up() {
    let _ = certificates::provider().secure_random.fill(&mut [0]);
}
