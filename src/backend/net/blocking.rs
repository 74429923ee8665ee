//! The synchronous transport: one blocking connection, used by one caller at a time on the caller's own thread.
//!
//! A small exchange is one send and one receive. Whatever takes longer is waited for by poll with what is left of the
//! call's deadline.

use std::io;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::net::{RecvFlags, sockopt};

use super::connect::{self, wait};
use super::counts::Open;
use super::fault::{is_passing, late, lost, reason};
use super::input::{SMALL_READS, garbage};
use super::pipe::Tools;
use super::protocol::{Decoding, FrameOf, Next, Protocol, Reading};
use super::whereabouts::{self, Followed, SILENCE, moved};
use super::wire::Wire;
use crate::error::{Error, Kind, Result};
use crate::sys;
use crate::timeout::Deadline;

/// A request buffer that grew beyond this is given back.
const KEPT_BUFFER: usize = 64 << 10;

/// Replies up to this size are taken by one receive where the ones before were as large.
const MOST_AT_ONCE: usize = 128 << 10;

/// What is taken of answers while a request is still being sent: those to ten thousand small commands are far less.
const MOST_WHILE_SENDING: usize = 16 << 20;

/// A connection to a server that has been greeted.
pub(super) struct Connection<P: Protocol> {
    wire: Wire,
    decoder: P::Decoder,
    /// The commands of this exchange.
    pub(super) out: Vec<u8>,
    /// The receive time-out that the socket has.
    patience: Duration,
    /// In which process it was made.
    generation: u32,
    /// How many bytes have come in this exchange.
    heard: usize,
    /// What the decoder takes with one receive, and how many exchanges in succession wanted something else.
    at_once: usize,
    misfits: u32,
    /// What is taken of answers in one exchange.
    most: usize,
    /// Where it leads, where the server can move.
    followed: Option<Followed>,
    _open: Open,
}

/// How an exchange failed.
pub(super) struct Failure {
    /// Why.
    pub(super) error: Error,
    /// The connection was dead before any byte of a reply came.
    pub(super) dead: bool,
}

impl<P: Protocol> Connection<P> {
    /// Connects and greets.
    pub(super) fn open(tools: &Tools<P>, deadline: &Deadline) -> Result<Self> {
        let endpoint = &tools.endpoint;
        // All that connecting takes, the first commands included.
        let limited = connect::at_most(deadline, endpoint.connect);
        let greeted = Self::greeted(tools, &limited).inspect_err(|_| tools.counts.failed());
        greeted.map_err(|error| match endpoint.connect {
            Some(limit) if error.kind() == Kind::Timeout && deadline.left().is_some() => {
                slow(limit, endpoint.connect_setting, &error)
            }
            _ => error,
        })
    }

    fn greeted(tools: &Tools<P>, deadline: &Deadline) -> Result<Self> {
        let endpoint = &tools.endpoint;
        let (wire, followed) = match &tools.whereabouts {
            None => (connect::connect(&endpoint.address, &endpoint.resting, &tools.resolver, deadline)?, None),
            Some(whereabouts) => {
                let reached = whereabouts::connect(whereabouts, &endpoint.resting, &tools.resolver, deadline)?;
                (reached.0, Some(reached.1))
            }
        };
        let mut fresh = Self {
            wire,
            decoder: P::Decoder::new(SMALL_READS),
            out: Vec::new(),
            patience: Duration::ZERO,
            generation: sys::generation(),
            heard: 0,
            at_once: SMALL_READS,
            misfits: 0,
            most: tools.most,
            followed,
            _open: tools.counts.opened(),
        };
        if let Some(greeting) = tools.protocol.greet(&mut fresh.out) {
            let greeted = fresh.exchange(greeting, deadline).map_err(|failure| failure.error).flatten();
            greeted.map_err(|error| fresh.blamed(error))?;
            fresh.out = Vec::new(); // there was a password in it
        }
        Ok(fresh)
    }

    /// What an error says of the server, where that can move: one that turned a request away is not used any more. The
    /// error names it.
    pub(super) fn blamed(&self, error: Error) -> Error {
        let Some(followed) = &self.followed else { return error };
        if error.was_turned_away() {
            followed.wrong();
        }
        error.at_server(followed.shown())
    }

    /// Whether it still leads where it should.
    pub(super) fn is_current(&self) -> bool {
        self.followed.as_ref().is_none_or(Followed::is_current)
    }

    /// Whether this process made it.
    pub(super) fn is_ours(&self) -> bool {
        self.generation == sys::generation()
    }

    /// Whether the server still seems to be there: nothing has been received, not even an end.
    pub(super) fn is_quiet(&self) -> bool {
        self.wire.is_quiet()
    }

    /// Whether the server answers a ping, with whatever it says to it.
    pub(super) fn answers(&mut self, protocol: &P, deadline: &Deadline) -> bool {
        self.out.clear();
        let reading = protocol.ping(&mut self.out);
        self.exchange(reading, deadline).is_ok()
    }

    /// Whether another exchange may follow, after the last one ended well.
    pub(super) fn is_reusable(&self) -> bool {
        self.decoder.is_empty() && self.wire.is_empty()
    }

    /// Sends what is in `out` and reads until the operation ends. After a failure the connection must be closed; an
    /// inner error is the server's answer.
    pub(super) fn exchange<R: Reading<Frame = FrameOf<P>>>(
        &mut self,
        reading: R,
        deadline: &Deadline,
    ) -> std::result::Result<Result<R::Answer>, Failure> {
        self.begin(deadline)?;
        self.end(reading, deadline)
    }

    /// Sends what is in `out`: the first half of an exchange.
    pub(super) fn begin(&mut self, deadline: &Deadline) -> std::result::Result<(), Failure> {
        self.heard = 0;
        self.send(deadline)
    }

    /// Reads until the operation ends: the second half.
    pub(super) fn end<R: Reading<Frame = FrameOf<P>>>(
        &mut self,
        reading: R,
        deadline: &Deadline,
    ) -> std::result::Result<Result<R::Answer>, Failure> {
        let mut reading = reading;
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
        let fits = self.heard <= self.at_once && (self.at_once == SMALL_READS || self.heard > self.at_once / 2);
        if fits || (self.heard > MOST_AT_ONCE && self.at_once == SMALL_READS) {
            self.misfits = 0;
        } else {
            self.adapt();
        }
    }

    /// Values are mostly about as large as the last ones. Where those were large, one receive takes the next one, into
    /// memory that becomes the value; where they were small, or huge, as the decoder does by itself.
    fn adapt(&mut self) {
        self.misfits += 1;
        if self.misfits < 2 || !self.decoder.is_empty() {
            return;
        }
        self.misfits = 0;
        if (SMALL_READS + 1..=MOST_AT_ONCE).contains(&self.heard) {
            self.at_once = self.heard + self.heard / 8;
            self.decoder = P::Decoder::sharing(self.at_once);
        } else {
            self.at_once = SMALL_READS;
            self.decoder = P::Decoder::new(SMALL_READS);
        }
    }

    fn send(&mut self, deadline: &Deadline) -> std::result::Result<(), Failure> {
        let mut sent = 0;
        while let Some(rest) = self.out.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.wire.send(rest) {
                Ok(count) => sent += count,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => self.make_way(deadline)?,
                    _ => return Err(self.broken(&error)),
                },
            }
        }
        Ok(())
    }

    /// Waits until more can be sent. A server that answers before it has heard all may read nothing more until its
    /// answers are taken.
    fn make_way(&mut self, deadline: &Deadline) -> std::result::Result<(), Failure> {
        self.wait(PollFlags::OUT | PollFlags::IN, "sending", deadline)?;
        let room = self.decoder.room().map_err(|error| Failure { error, dead: false })?;
        match self.wire.receive(room, RecvFlags::DONTWAIT) {
            Ok(0) => return Err(self.ended("the server closed it")),
            Ok(count) => self.heard += count,
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(self.broken(&error)),
        }
        if self.heard > MOST_WHILE_SENDING {
            return Err(Failure { error: garbage("it answers more than it was asked"), dead: false });
        }
        Ok(())
    }

    /// The next reply.
    fn frame(&mut self, deadline: &Deadline) -> std::result::Result<FrameOf<P>, Failure> {
        loop {
            match self.decoder.next() {
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
            match self.wire.receive(room, flags) {
                Ok(0) => return Err(self.ended("the server closed it")),
                Ok(count) => {
                    self.heard += count;
                    if self.heard > self.most {
                        return Err(Failure { error: garbage("its answer has no end"), dead: false });
                    }
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => {
                        self.wait(PollFlags::IN, "waiting for the reply", deadline)?;
                    }
                    _ => return Err(self.broken(&error)),
                },
            }
            flags = RecvFlags::DONTWAIT;
        }
    }

    /// Makes a blocking receive end before the deadline. Calls have mostly the same deadline, so that the time-out that
    /// the socket has is mostly good enough: between half and all of what is left.
    fn be_patient(&mut self, deadline: &Deadline) -> std::result::Result<RecvFlags, Failure> {
        let mut left = deadline.left().ok_or_else(|| too_late("waiting for the reply", deadline))?;
        if self.followed.is_some() {
            left = left.min(SILENCE); // then it is asked where the server is
        }
        if self.patience <= left && self.patience >= left / 2 {
            return Ok(RecvFlags::empty());
        }
        let patience = left * 3 / 4;
        if patience < Duration::from_millis(1) {
            return Ok(RecvFlags::DONTWAIT);
        }
        let socket = self.wire.as_fd().map_err(|error| self.broken(&error))?;
        sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, Some(patience))
            .map_err(|error| self.broken(&error.into()))?;
        self.patience = patience;
        Ok(RecvFlags::empty())
    }

    fn wait(&self, events: PollFlags, doing: &str, deadline: &Deadline) -> std::result::Result<(), Failure> {
        loop {
            let pause = if self.followed.is_some() { deadline.at_most(SILENCE / 4) } else { *deadline };
            match self.wire.as_fd().and_then(|socket| wait(socket, events, &pause)) {
                Ok(true) => return Ok(()),
                Ok(false) if deadline.left().is_none() => return Err(too_late(doing, deadline)),
                Ok(false) => self.look_elsewhere()?,
                Err(error) => return Err(Failure { error: lost(&reason(&error)), dead: false }),
            }
        }
    }

    /// The server is silent: has it asked whether another has taken its place, and goes by what is known of that.
    fn look_elsewhere(&self) -> std::result::Result<(), Failure> {
        let Some(followed) = &self.followed else { return Ok(()) };
        if !followed.is_current() {
            return Err(Failure { error: moved(), dead: false });
        }
        followed.doubt();
        Ok(())
    }

    fn broken(&self, error: &io::Error) -> Failure {
        self.ended(&reason(error))
    }

    fn ended(&self, why: &str) -> Failure {
        Failure { error: lost(why), dead: self.heard == 0 }
    }
}

/// Connecting took longer than it may.
fn slow(limit: Duration, setting: &str, error: &Error) -> Error {
    let doing = error.reason().split_once(" passed while ").map_or("connecting", |(_, doing)| doing);
    let limit = limit.as_millis();
    let reason = format!("more than the {limit} ms that connecting may take ({setting}) passed while {doing}");
    Error::new(Kind::Timeout, reason)
}

fn too_late(doing: &str, deadline: &Deadline) -> Failure {
    Failure { error: late(doing, deadline), dead: false }
}
