//! A connection that one task has for itself, to hear what a server says without being asked. No queue, no tickets: whoever
//! has it writes, reads, and decides what to do when it is lost.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::connect::Resolver;
use super::dial::Road;
use super::fault::{is_passing, lost, reason};
use super::input::LARGE_READS;
use super::protocol::Decoding;
use super::stream::Stream;
use crate::backend::Spawner;
use crate::config::{Address, Resting};
use crate::error::Result;
use crate::timeout::Deadline;

/// Connects to one server that is where its address says.
pub(crate) struct Dialler {
    address: Address,
    resting: Resting,
    resolver: Arc<Resolver>,
}

/// A connection.
pub(crate) struct Line<D> {
    stream: Stream,
    decoder: D,
    unsent: Vec<u8>,
}

impl Dialler {
    /// For this server.
    pub(crate) fn new(address: Address, resting: Resting) -> Self {
        Self { address, resting, resolver: Arc::default() }
    }

    /// Connects, TLS included. Must be called on the runtime.
    pub(crate) async fn dial<D: Decoding>(&self, spawner: &Arc<dyn Spawner>, deadline: &Deadline) -> Result<Line<D>> {
        let road = Road { resolver: &self.resolver, resting: &self.resting };
        let stream = road.dial(&self.address, spawner, deadline).await?;
        Ok(Line { stream, decoder: D::new(LARGE_READS), unsent: Vec::new() })
    }
}

impl<D: Decoding> Line<D> {
    /// What is put behind this is sent while [`Line::poll_next`] is waited for.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.unsent
    }

    /// The next message. An error means that the connection is of no use any more.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<D::Frame>> {
        loop {
            if let Some(frame) = self.decoder.next()? {
                return Poll::Ready(Ok(frame));
            }
            self.send(context)?;
            ready!(self.stream.poll_read_ready(context)).map_err(|error| lost(&reason(&error)))?;
            match self.stream.receive(self.decoder.room()?) {
                Ok(0) => return Poll::Ready(Err(lost("the server closed it"))),
                Ok(_) => {}
                Err(error) if is_passing(&error) => {}
                Err(error) => return Poll::Ready(Err(lost(&reason(&error)))),
            }
        }
    }

    /// Sends what the socket takes; for the rest the task is woken.
    fn send(&mut self, context: &mut Context<'_>) -> Result<()> {
        while !self.unsent.is_empty() {
            let ready = match self.stream.poll_write_ready(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(ready) => ready,
            };
            match ready.and_then(|()| self.stream.send(&self.unsent)) {
                Ok(sent) => drop(self.unsent.drain(..sent.min(self.unsent.len()))),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(lost(&reason(&error))),
            }
        }
        Ok(())
    }
}
