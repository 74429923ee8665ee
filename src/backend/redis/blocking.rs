//! The synchronous transport: one blocking connection, used by one caller at a time on the caller's own thread.
//!
//! A small exchange is one send and one receive. Whatever takes longer is waited for by poll with what is left of the
//! call's deadline.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};

use super::command::{Next, Reading};
use super::connect::{self, Resolver, wait};
use super::fault::{late, lost, reason};
use super::resp::{Decoder, Frame, SMALL_READS};
use crate::config;
use crate::error::{Error, Result};
use crate::sys;
use crate::timeout::Deadline;

/// A request buffer that grew beyond this is given back.
const KEPT_BUFFER: usize = 64 << 10;

/// A connection to a server that has been greeted.
pub(super) struct Connection {
    socket: OwnedFd,
    decoder: Decoder,
    /// The commands of this exchange.
    pub(super) out: Vec<u8>,
    /// The receive time-out that the socket has.
    patience: Duration,
    /// In which process it was made.
    generation: u32,
    /// Whether a byte has come in this exchange.
    heard: bool,
}

/// How an exchange failed.
pub(super) struct Failure {
    /// Why.
    pub(super) error: Error,
    /// The connection was dead before any byte of a reply came.
    pub(super) dead: bool,
}

impl Connection {
    /// Connects and greets.
    pub(super) fn open(config: &config::Redis, resolver: &Resolver, deadline: &Deadline) -> Result<Self> {
        let socket = connect::connect(&config.server, config.connect, resolver, deadline)?;
        let mut fresh = Self {
            socket,
            decoder: Decoder::new(SMALL_READS),
            out: Vec::new(),
            patience: Duration::ZERO,
            generation: sys::generation(),
            heard: false,
        };
        let limited = connect::at_most(deadline, config.connect);
        if let Some(greeting) = connect::greet(&mut fresh.out, &config.server) {
            fresh.exchange(greeting, &limited).map_err(|failure| failure.error)??;
            fresh.out = Vec::new(); // there was a password in it
        }
        Ok(fresh)
    }

    /// Whether this process made it.
    pub(super) fn is_ours(&self) -> bool {
        self.generation == sys::generation()
    }

    /// Whether the server still seems to be there: nothing has been received, not even an end.
    pub(super) fn is_quiet(&self) -> bool {
        let mut probe = [0_u8; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(recv(&self.socket, &mut probe, flags), Err(Errno::AGAIN | Errno::INTR))
    }

    /// Whether another exchange may follow, after the last one ended well.
    pub(super) fn is_reusable(&self) -> bool {
        self.decoder.is_empty()
    }

    /// Sends what is in `out` and reads until the operation ends. After a failure the connection must be closed; an
    /// inner error is the server's answer.
    pub(super) fn exchange<R: Reading>(
        &mut self,
        reading: R,
        deadline: &Deadline,
    ) -> std::result::Result<Result<R::Answer>, Failure> {
        let mut reading = reading;
        self.heard = false;
        self.send(deadline)?;
        loop {
            self.out.clear();
            let frame = self.frame(deadline)?;
            match reading.read(frame, &mut self.out) {
                Next::Done(answer) => {
                    self.tidy();
                    return Ok(answer);
                }
                Next::Broken(error) => return Err(Failure { error, dead: false }),
                Next::More(rest) => {
                    reading = rest;
                    if !self.out.is_empty() {
                        self.send(deadline)?;
                    }
                }
            }
        }
    }

    fn tidy(&mut self) {
        if self.out.capacity() > KEPT_BUFFER {
            self.out = Vec::new();
        }
    }

    fn send(&mut self, deadline: &Deadline) -> std::result::Result<(), Failure> {
        let mut rest = self.out.as_slice();
        while !rest.is_empty() {
            match send(&self.socket, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, "sending", deadline)?,
                Err(error) => return Err(self.broken(error)),
            }
        }
        Ok(())
    }

    /// The next reply that is no push message.
    fn frame(&mut self, deadline: &Deadline) -> std::result::Result<Frame, Failure> {
        loop {
            match self.decoder.next() {
                Ok(Some(Frame::Push(_))) => {}
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => self.receive(deadline)?,
                Err(error) => return Err(Failure { error, dead: false }),
            }
        }
    }

    fn receive(&mut self, deadline: &Deadline) -> std::result::Result<(), Failure> {
        // The first wait is in the receive itself; only what does not come in one piece pays for a poll.
        let mut flags = if self.decoder.is_empty() { self.be_patient(deadline)? } else { RecvFlags::DONTWAIT };
        if flags == RecvFlags::DONTWAIT && deadline.left().is_none() {
            return Err(too_late("waiting for the reply", deadline)); // however much keeps coming
        }
        loop {
            let room = self.decoder.room().map_err(|error| Failure { error, dead: false })?;
            match recv(&self.socket, spare_capacity(room), flags) {
                Ok((0, _)) => return Err(self.ended("the server closed it")),
                Ok(_) => {
                    self.heard = true;
                    return Ok(());
                }
                Err(Errno::INTR | Errno::AGAIN) => self.wait(PollFlags::IN, "waiting for the reply", deadline)?,
                Err(error) => return Err(self.broken(error)),
            }
            flags = RecvFlags::DONTWAIT;
        }
    }

    /// Makes a blocking receive end before the deadline. Calls have mostly the same deadline, so that the time-out that
    /// the socket has is mostly good enough: between half and all of what is left.
    fn be_patient(&mut self, deadline: &Deadline) -> std::result::Result<RecvFlags, Failure> {
        let left = deadline.left().ok_or_else(|| too_late("waiting for the reply", deadline))?;
        if self.patience <= left && self.patience >= left / 2 {
            return Ok(RecvFlags::empty());
        }
        let patience = left * 3 / 4;
        if patience < Duration::from_millis(1) {
            return Ok(RecvFlags::DONTWAIT);
        }
        sockopt::set_socket_timeout(&self.socket, sockopt::Timeout::Recv, Some(patience))
            .map_err(|error| self.broken(error))?;
        self.patience = patience;
        Ok(RecvFlags::empty())
    }

    fn wait(&self, events: PollFlags, doing: &str, deadline: &Deadline) -> std::result::Result<(), Failure> {
        match wait(&self.socket, events, deadline) {
            Ok(true) => Ok(()),
            Ok(false) => Err(too_late(doing, deadline)),
            Err(error) => Err(Failure { error: lost(&reason(&error)), dead: false }),
        }
    }

    fn broken(&self, error: Errno) -> Failure {
        self.ended(&reason(&error.into()))
    }

    fn ended(&self, why: &str) -> Failure {
        Failure { error: lost(why), dead: !self.heard }
    }
}

fn too_late(doing: &str, deadline: &Deadline) -> Failure {
    Failure { error: late(doing, deadline), dead: false }
}
