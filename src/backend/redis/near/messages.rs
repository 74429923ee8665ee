//! What is said over a tracking connection: its first commands, and what the server tells.

use bytes::Bytes;

use crate::backend::net::{Decoding, Next, Reading, unexpected};
use crate::backend::redis::decoder::Decoder;
use crate::backend::redis::fault::answered;
use crate::backend::redis::greeting::{self, Greeting};
use crate::backend::redis::resp::{Frame, command};
use crate::config::Server;
use crate::error::{Error, Result};

/// Replies, and the messages between them.
pub(super) struct Messages(Decoder);

impl Decoding for Messages {
    type Frame = Frame;

    fn new(chunk: usize) -> Self {
        Self(Decoder::new(chunk))
    }

    fn sharing(chunk: usize) -> Self {
        Self(Decoder::sharing(chunk))
    }

    fn room(&mut self) -> Result<&mut Vec<u8>> {
        self.0.room()
    }

    fn next(&mut self) -> Result<Option<Frame>> {
        self.0.frame()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What the server told without being asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// These keys have changed.
    Changed(Vec<Bytes>),
    /// Everything has (FLUSHDB, FLUSHALL).
    Emptied,
    /// Something else.
    Other,
}

/// Reads a message. One about changes that cannot be read is an error: what has changed is not known then.
pub(super) fn told(items: Vec<Frame>) -> Result<Told> {
    let mut items = items.into_iter();
    match items.next() {
        Some(Frame::Bulk(name) | Frame::Simple(name)) if name == "invalidate" => {}
        _ => return Ok(Told::Other),
    }
    match (items.next(), items.next()) {
        (Some(Frame::Null), None) => Ok(Told::Emptied),
        (Some(Frame::Array(keys)), None) => {
            let keys = keys.into_iter().map(|key| match key {
                Frame::Bulk(key) => Some(key),
                _ => None,
            });
            keys.collect::<Option<_>>().map(Told::Changed).ok_or_else(unexpected)
        }
        _ => Err(unexpected()),
    }
}

/// Waits for the replies to the first commands.
pub(super) enum Opening {
    /// As on every connection of the alias.
    Greeting(Greeting),
    /// HELLO.
    Hello,
    /// CLIENT TRACKING.
    Tracking,
}

/// What comes after a reply.
pub(super) enum Opened {
    /// The server tells what changes from now on.
    Done,
    /// Another reply has to come.
    More(Opening),
    /// The server does not want to: why, and what larder asked for.
    Refused(&'static str, Error),
    /// The reply is none.
    Broken(Error),
}

/// AUTH and the like as on every connection, HELLO 3, and CLIENT TRACKING of every key that begins with `prefix`.
pub(super) fn open(out: &mut Vec<u8>, server: &Server, prefix: &[u8]) -> Opening {
    let greeting = greeting::greet(out, server);
    command(out, &[b"HELLO", b"3"]);
    let all: &[&[u8]] = &[b"CLIENT", b"TRACKING", b"ON", b"BCAST"];
    if prefix.is_empty() {
        command(out, all);
    } else {
        command(out, &[all, &[b"PREFIX", prefix]].concat());
    }
    greeting.map_or(Opening::Hello, Opening::Greeting)
}

/// PING.
pub(super) fn ping(out: &mut Vec<u8>) {
    command(out, &[b"PING"]);
}

impl Opening {
    /// Takes the next reply.
    pub(super) fn read(self, frame: Frame) -> Opened {
        match (self, frame) {
            (Self::Greeting(greeting), frame) => match greeting.read(frame, &mut Vec::new()) {
                Next::Done(_) => Opened::More(Self::Hello),
                Next::More(greeting) => Opened::More(Self::Greeting(greeting)),
                Next::Broken(error) => Opened::Refused("the first commands of a connection", error),
            },
            (Self::Hello, Frame::Error(text)) => {
                Opened::Refused("RESP3 (HELLO 3, which Redis has from version 6 on)", answered(&text))
            }
            (Self::Hello, Frame::Map(_) | Frame::Array(_)) => Opened::More(Self::Tracking),
            (Self::Tracking, Frame::Error(text)) => {
                Opened::Refused("CLIENT TRACKING, which a user's ACL has to allow", answered(&text))
            }
            (Self::Tracking, Frame::Simple(_)) => Opened::Done,
            (Self::Hello | Self::Tracking, _) => Opened::Broken(unexpected()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sent: &[u8]) -> Result<Told> {
        let mut messages = Messages::new(64);
        messages.room().unwrap().extend_from_slice(sent);
        match messages.next().unwrap() {
            Some(Frame::Push(items)) => told(items),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_server_tells_what_has_changed() {
        let keys = b">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n";
        assert_eq!(message(keys).unwrap(), Told::Changed(vec![Bytes::from("a"), Bytes::from("b")]));
        assert_eq!(message(b">2\r\n$10\r\ninvalidate\r\n_\r\n").unwrap(), Told::Emptied);
        assert_eq!(message(b">2\r\n$7\r\nmessage\r\n$1\r\na\r\n").unwrap(), Told::Other);
        for odd in [
            &b">2\r\n$10\r\ninvalidate\r\n:1\r\n"[..],
            b">2\r\n$10\r\ninvalidate\r\n*1\r\n:1\r\n",
            b">1\r\n$10\r\ninvalidate\r\n",
        ] {
            assert!(message(odd).is_err());
        }
    }
}
