//! What goes wrong on the way to a server, said so that one knows what to do.

use std::io;
use std::sync::Arc;

use crate::error::{Error, Kind};
use crate::timeout::Deadline;

/// A reply of a form that the command cannot have.
pub(crate) fn unexpected() -> Error {
    Error::new(Kind::Connection, "the server answered something that does not belong to the request")
}

/// The deadline passed while `doing` something.
pub(super) fn late(doing: &str, deadline: &Deadline) -> Error {
    Error::new(Kind::Timeout, format!("the deadline of {} ms passed while {doing}", deadline.total().as_millis()))
}

/// The connection is gone.
pub(crate) fn lost(why: &str) -> Error {
    Error::new(Kind::Connection, format!("the connection broke: {why}"))
}

/// No connection could be made.
pub(super) fn no_connection(why: &io::Error) -> Error {
    let hint = match why.kind() {
        io::ErrorKind::ConnectionRefused => "; is the server running there?",
        io::ErrorKind::NotFound => "; is the server running, and is this the path of its socket?",
        io::ErrorKind::PermissionDenied => "; may this user use the socket?",
        _ => "",
    };
    Error::new(Kind::Connection, format!("cannot connect: {}{hint}", reason(why)))
}

/// Whether the same may go well a moment later.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// What the operating system says, in lower case and without the number.
pub(super) fn reason(why: &io::Error) -> String {
    let mut text = why.to_string();
    if why.get_ref().is_some() {
        return text; // our own words
    }
    if let Some(number) = text.find(" (os error") {
        text.truncate(number);
    }
    text.to_lowercase()
}

/// Adds to an error where it came from, and whether the server may have done what was asked.
pub(super) fn placed(error: Error, shown: &Arc<str>, writes: bool) -> Error {
    let open = matches!(error.kind(), Kind::Timeout | Kind::Connection);
    let error = error.at_server(shown);
    if writes && open { error.maybe_done() } else { error }
}
