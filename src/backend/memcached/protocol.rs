//! The text protocol, as the transports see it.

use std::sync::Arc;

use super::calls::Calls;
use super::command;
use super::decoder::Decoder;
use super::request::{self, Expect};
use crate::backend::Request;
use crate::backend::net::{Nature, Pool, Protocol, Way};
use crate::config::Client;
use crate::error::Result;

/// What one memcached server is spoken to in. Keys are as they are sent: looked at, and with the client's own prefix.
#[derive(Clone)]
pub(super) struct Text {
    client: Client,
}

impl Text {
    /// As a Python client speaks it.
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Protocol for Text {
    type Decoder = Decoder;
    type Expect = Expect;
    type Calls = Calls;

    fn calls(&self, pool: Arc<Pool<Self>>) -> Calls {
        Calls { client: self.client, pool }
    }

    fn greet(&self, _: &mut Vec<u8>) -> Option<Expect> {
        None
    }

    fn ping(&self, out: &mut Vec<u8>) -> Expect {
        Expect::Alive(command::ping(out))
    }

    fn way(&self, request: &Request<'_>) -> Way {
        request::way(request)
    }

    fn nature(&self, request: &Request<'_>) -> Nature {
        request::nature(request)
    }

    fn write(&self, out: &mut Vec<u8>, request: &Request<'_>, key: u64) -> Result<Expect> {
        request::write(out, self.client, request, key)
    }
}
