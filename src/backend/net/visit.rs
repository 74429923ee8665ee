//! One exchange over a connection of its own, on the caller's thread: for servers that are asked seldom.
#![cfg_attr(not(feature = "redis"), allow(dead_code))]

use std::sync::Arc;

use super::blocking::Connection;
use super::pipe::Tools;
use super::protocol::{Endpoint, FrameOf, Protocol, Reading};
use crate::error::Result;
use crate::log::Silent;
use crate::timeout::Deadline;

/// A server that is visited now and then.
pub(crate) struct Visitor<P: Protocol> {
    tools: Tools<P>,
}

impl<P: Protocol> Visitor<P> {
    /// The server behind `endpoint`; more than `most` bytes are not taken of its answers.
    pub(crate) fn new(endpoint: Endpoint, protocol: P, most: usize) -> Self {
        Self { tools: Tools { most, ..Tools::new(endpoint, protocol, Arc::new(Silent)) } }
    }

    /// The server, as it is shown.
    pub(crate) fn shown(&self) -> &Arc<str> {
        &self.tools.endpoint.shown
    }

    /// Connects, asks, and closes the connection.
    pub(crate) fn ask<R: Reading<Frame = FrameOf<P>>>(
        &self,
        deadline: &Deadline,
        write: impl FnOnce(&mut Vec<u8>) -> R,
    ) -> Result<R::Answer> {
        let mut connection = Connection::open(&self.tools, deadline)?;
        connection.out.clear();
        let reading = write(&mut connection.out);
        connection.exchange(reading, deadline).map_err(|failure| failure.error)?
    }
}
