//! What a server's errors mean.

use super::decoder::Complaint;
use crate::error::{Error, Kind};

/// The longest text of a server's error that is shown.
const MAX_SHOWN: usize = 200;

/// Whether the server has no room for the connection, and closes it.
pub(super) fn is_full(text: &[u8]) -> bool {
    contains(text, b"Too many open connections")
}

/// An error line as an error of ours.
pub(super) fn answered(complaint: Complaint, text: &[u8]) -> Error {
    let said = shown(text);
    match complaint {
        _ if is_full(text) => {
            let reason = "the server has as many connections as it may (its option -c)";
            Error::new(Kind::Server, reason).retriable_if(true)
        }
        Complaint::Server if contains(text, b"too large for cache") => {
            let reason = "the value is larger than the server takes (its option -I, 1 MiB where it is not given); what was \
                          under the key before is gone";
            Error::new(Kind::TooBig, reason)
        }
        Complaint::Server => {
            let passing = [&b"out of memory"[..], b"temporar", b"try again", b"unavailable", b"timed out", b"timeout"];
            Error::new(Kind::Server, format!("the server answered SERVER_ERROR: {said}"))
                .retriable_if(passing.iter().any(|part| contains(text, part)))
        }
        Complaint::Client if contains(text, b"non-numeric value") => {
            Error::new(Kind::Type, "the value is none that memcached can count: digits, 0 to 2**64 - 1") // O-8
        }
        Complaint::Client if contains(text, b"unauthenticated") => {
            let reason = "the server asks for a user and a password, which the Python clients have no way to give in the text \
                          protocol";
            Error::new(Kind::Server, reason)
        }
        Complaint::Client if contains(text, b"exptime") => {
            Error::new(Kind::Invalid, "the time to live is longer than the server can count; use forever")
        }
        Complaint::Client => Error::new(Kind::Server, format!("the server answered CLIENT_ERROR: {said}")),
        Complaint::Unknown => {
            let more = if said.is_empty() { String::new() } else { format!(": {said}") };
            let reason = format!("the server does not know the command (is it older than memcached 1.4.8?){more}");
            Error::new(Kind::Server, reason)
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// What an error says, without what may stand in quotation marks: a key, or a value.
fn shown(text: &[u8]) -> String {
    let is_end = |byte: &u8| byte.is_ascii_control() || matches!(byte, b'"' | b'\'' | b'`');
    let text = text.split(is_end).next().unwrap_or_default();
    String::from_utf8_lossy(text.get(..text.len().min(MAX_SHOWN)).unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_is_and_whether_a_retry_can_help() {
        for (complaint, text, kind, retriable) in [
            (Complaint::Server, "object too large for cache", Kind::TooBig, false),
            (Complaint::Server, "out of memory storing object", Kind::Server, true),
            (Complaint::Server, "temporary failure", Kind::Server, true),
            (Complaint::Server, "whatever", Kind::Server, false),
            (Complaint::Client, "cannot increment or decrement non-numeric value", Kind::Type, false),
            (Complaint::Client, "invalid exptime argument", Kind::Invalid, false),
            (Complaint::Client, "bad command line format", Kind::Server, false),
            (Complaint::Client, "unauthenticated", Kind::Server, false),
            (Complaint::Unknown, "", Kind::Server, false),
            (Complaint::Unknown, "Too many open connections", Kind::Server, true),
        ] {
            let error = answered(complaint, text.as_bytes());
            assert_eq!((error.kind(), error.is_retriable()), (kind, retriable), "{text}");
        }
    }

    #[test]
    fn keys_and_values_are_not_shown() {
        let error = answered(Complaint::Server, b"cannot do 'the key' now\x00secret").to_string();
        assert!(error.contains("cannot do") && !error.contains("key") && !error.contains("secret"), "{error}");
        assert!(answered(Complaint::Client, &[b'x'; 5000]).to_string().len() < 400);
    }
}
