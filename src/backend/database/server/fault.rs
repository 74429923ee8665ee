//! What goes wrong at a database server, said so that one knows what to do.

use std::io;

use crate::error::{Error, Kind};
use crate::timeout::Deadline;

/// The longest text of a server's error that is shown.
const MAX_SHOWN: usize = 200;

/// A failed statement or connection.
#[derive(Clone, Debug)]
pub struct Fault {
    /// For the caller.
    pub error: Error,
    /// What can be done about it.
    pub nature: Nature,
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// The server refused the statement, and would again.
    Refused,
    /// A row with this key is there already.
    Duplicate,
    /// There is no such table; the error has yet to name it.
    NoTable,
    /// The server undid what had been done, because others were in the way: to be tried again.
    Passing,
    /// The connection is gone, and nothing of the statement was carried out.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code))]
    Undone,
    /// The connection is gone, or in an unknown state.
    Broken,
}

/// What is no answer of the server.
impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::of_transport(&error)
    }
}

impl Fault {
    /// One that the server would answer again.
    pub fn refused(kind: Kind, reason: impl Into<String>) -> Self {
        Self { error: Error::new(kind, reason), nature: Nature::Refused }
    }

    /// Another nature.
    #[must_use]
    pub fn but(mut self, nature: Nature) -> Self {
        self.nature = nature;
        self
    }

    /// Whether trying again can help, for the caller.
    #[must_use]
    pub fn retriable(mut self, retriable: bool) -> Self {
        self.error = self.error.retriable_if(retriable);
        self
    }

    /// Whether the connection can be used again.
    pub fn leaves_connection(&self) -> bool {
        matches!(self.nature, Nature::Refused | Nature::Duplicate | Nature::NoTable | Nature::Passing)
    }

    /// A fault before there was a connection: nothing was sent.
    #[must_use]
    pub fn while_connecting(self) -> Self {
        let error = match self.error.kind() {
            Kind::Connection => Error::new(Kind::Connection, format!("cannot connect: {}", self.error.reason()))
                .retriable_if(self.error.is_retriable()),
            _ => self.error,
        };
        Self { error, nature: Nature::Refused }
    }

    /// What is no answer of the server.
    pub fn of_transport(error: &sqlx::Error) -> Self {
        let broken = |reason: String| Self { error: Error::new(Kind::Connection, reason), nature: Nature::Broken };
        let tls_failed = |why: &str| broken(format!("TLS failed: {}", cut(why))).retriable(false);
        match error {
            sqlx::Error::Io(why) if why.kind() == io::ErrorKind::InvalidData => tls_failed(&why.to_string()),
            sqlx::Error::Io(why) => broken(of_io(why)),
            sqlx::Error::Tls(why) => tls_failed(&why.to_string()),
            sqlx::Error::Configuration(why) => Self::refused(Kind::Config, cut(&why.to_string())).but(Nature::Broken),
            // texts of sqlx about the bytes of the protocol; they can quote what was received
            sqlx::Error::Protocol(_) => broken("the server answered something that does not belong here".to_owned()),
            sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => {
                Self::refused(Kind::TooBig, "the request is larger than the protocol can carry").but(Nature::Broken)
            }
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
                let reason = "the table has columns of other types than createcachetable gives them";
                Self::refused(Kind::Server, reason).but(Nature::Broken)
            }
            _ => broken("the connection cannot be used".to_owned()),
        }
    }
}

/// What larder itself finds wrong.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { error, nature: Nature::Refused }
    }
}

/// The deadline passed while `doing` something.
pub fn late(doing: &str, deadline: &Deadline) -> Error {
    Error::new(Kind::Timeout, format!("the deadline of {} ms passed while {doing}", deadline.total().as_millis()))
}

/// A server's own words, where they don't quote what was sent.
pub fn said(code: &str, text: &str) -> String {
    let mut shown = String::new();
    for (at, part) in text.split(['\'', '"', '`']).enumerate() {
        shown.push_str(if at % 2 == 0 { part } else { "…" });
    }
    format!("the server answered {code}: {}", cut(&shown))
}

fn of_io(why: &io::Error) -> String {
    let hint = match why.kind() {
        io::ErrorKind::ConnectionRefused => "; is the server running there?",
        io::ErrorKind::NotFound => "; is the server running, and is this the path of its socket?",
        io::ErrorKind::UnexpectedEof => return "the connection broke: the server closed it".to_owned(),
        _ => "",
    };
    let text = why.to_string().to_lowercase();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("{}{hint}", cut(text))
}

/// One line, not too long.
fn cut(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_parts_and_credentials_are_not_shown() {
        let text = said("1234", "Incorrect value: 'secret' for column `value` \r\n\x1b here");
        assert_eq!(text, "the server answered 1234: Incorrect value: … for column …     here");
        assert!(said("1", &"x".repeat(5000)).len() < 300);
    }

    #[test]
    fn a_fault_while_connecting_was_never_sent() {
        let gone = sqlx::Error::Io(io::Error::from(io::ErrorKind::ConnectionRefused));
        let fault = Fault::of_transport(&gone);
        assert_eq!(fault.nature, Nature::Broken);
        let fault = fault.while_connecting();
        assert_eq!(fault.nature, Nature::Refused);
        assert!(fault.error.to_string().contains("is the server running there?"), "{:?}", fault.error);
        assert!(fault.error.is_retriable());
    }
}
