//! What a kind of servers speaks: how requests are written and replies read. No sockets: both transports use this.

use std::sync::Arc;
use std::time::Duration;

use super::breaker::Watch;
use super::pool::Pool;
use super::whereabouts::Finder;
use crate::backend::{Backend, Reply, Request};
use crate::config::{Address, BreakerRule, Resting};
use crate::error::{Error, Result};

/// A server and how it is reached.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// Where it listens.
    pub(crate) address: Address,
    /// The server for messages: no credentials.
    pub(crate) shown: Arc<str>,
    /// What connecting may take of a call's time.
    pub(crate) connect: Option<Duration>,
    /// What the configuration calls that, for messages.
    pub(crate) connect_setting: &'static str,
    /// Blocking connections at the same time.
    pub(crate) max_connections: usize,
    /// What the configuration calls that, for messages.
    pub(crate) connections_setting: &'static str,
    /// How connections that rest are kept, and looked at.
    pub(crate) resting: Resting,
    /// When calls are to fail at once; `None`: never.
    pub(crate) breaker: Option<BreakerRule>,
    /// Finds it, where it moves; `None`: it is where the address says.
    pub(crate) finder: Option<Arc<dyn Finder>>,
    /// Hears how the server does.
    pub(crate) watch: Option<Arc<dyn Watch>>,
}

/// What a server speaks, with the settings that this needs.
pub(crate) trait Protocol: Clone + Send + Sync + Sized + 'static {
    /// Takes what was received apart.
    type Decoder: Decoding + Send;
    /// What a place in the queue waits for. Small, since thousands stand in line: what is large and rare has a box.
    type Expect: Expecting<Frame = FrameOf<Self>> + Send;
    /// The synchronous operations of one server.
    type Calls: Backend + Clone + 'static;

    /// The synchronous operations over a pool.
    fn calls(&self, pool: Arc<Pool<Self>>) -> Self::Calls;

    /// Writes a connection's first commands; `None` where none are needed. A refusal has to break the connection.
    fn greet(&self, out: &mut Vec<u8>) -> Option<Self::Expect>;

    /// Writes the shortest question that a server answers whatever its state.
    fn ping(&self, out: &mut Vec<u8>) -> Self::Expect;

    /// How a request is carried out.
    fn way(&self, request: &Request<'_>) -> Way;

    /// What may be done with a request when its connection breaks.
    fn nature(&self, request: &Request<'_>) -> Nature;

    /// Writes a request whose way is an exchange to the end of `out`; where that fails nothing is written. `key` is the
    /// number of its one key, or of the first.
    fn write(&self, out: &mut Vec<u8>, request: &Request<'_>, key: u64) -> Result<Self::Expect>;
}

/// A protocol's replies.
pub(crate) type FrameOf<P> = <<P as Protocol>::Decoder as Decoding>::Frame;

/// Turns what a server sent, in pieces of any size, into replies. After an error it is not used again.
pub(crate) trait Decoding {
    /// A reply.
    type Frame: Send;

    /// A decoder that reads `chunk` bytes at a time, and whose values are copies.
    fn new(chunk: usize) -> Self;

    /// A decoder whose values are parts of what was read.
    fn sharing(chunk: usize) -> Self;

    /// Memory to read into: bytes are to be appended, within the capacity that is there.
    fn room(&mut self) -> Result<&mut Vec<u8>>;

    /// The next whole reply, if there is one. Messages that answer nothing are passed over.
    fn next(&mut self) -> Result<Option<Self::Frame>>;

    /// Whether everything that was read has been handed out.
    fn is_empty(&self) -> bool;
}

/// What comes after a reply.
pub(crate) enum Next<R: Reading> {
    /// The operation has ended. An error here is the server's answer; the connection is fine.
    Done(Result<R::Answer>),
    /// Another reply has to come, to what was sent or to what was just written to the buffer.
    More(R),
    /// The reply cannot be one to this request: nothing that comes over this connection can be trusted.
    Broken(Error),
}

/// What waits for replies.
pub(crate) trait Reading: Sized {
    /// A reply.
    type Frame;
    /// What the operation answers.
    type Answer;

    /// Takes the next reply. Writes further commands, if any are needed, to the end of `out`.
    fn read(self, frame: Self::Frame, out: &mut Vec<u8>) -> Next<Self>;
}

/// What waits for replies in a queue.
pub(crate) trait Expecting: Reading<Answer = Option<Reply>> {
    /// Whether the server may have changed something when no answer comes.
    fn writes(&self) -> bool;

    /// The number of the one key whose value comes.
    fn key(&self) -> Option<u64>;
}

/// How a request is carried out.
pub(crate) enum Way {
    /// By commands that are sent at once: one exchange.
    Exchange,
    /// By nothing: this is the answer.
    Answer(Result<Reply>),
    /// In several rounds.
    Rounds,
}

/// What an operation may do when its connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Reads: can be repeated.
    Reads,
    /// Writes, but once more does no harm and answers the same.
    WritesAgain,
    /// Writes, and a second time would answer or do something else.
    WritesOnce,
}
