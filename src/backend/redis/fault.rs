//! What goes wrong in a server, said so that one knows what to do.

use crate::error::{Error, Kind};

/// The longest text of a server's error that is shown.
const MAX_SHOWN: usize = 200;

/// Error codes of a server that a later try can get past.
const PASSING: [&[u8]; 8] =
    [b"LOADING", b"BUSY", b"TRYAGAIN", b"CLUSTERDOWN", b"MASTERDOWN", b"OOM", b"NOREPLICAS", b"UNBLOCKED"];

/// Error codes of a server that did nothing because of what it is at the moment.
const TURNING_AWAY: [&[u8]; 3] = [b"READONLY", b"LOADING", b"MASTERDOWN"];

/// An error reply as an error of ours.
pub(super) fn answered(text: &[u8]) -> Error {
    let code = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    let error = with_code(code, text);
    if TURNING_AWAY.contains(&code) { error.turned_away() } else { error }
}

fn with_code(code: &[u8], text: &[u8]) -> Error {
    let said = shown(text);
    match code {
        b"WRONGTYPE" => Error::new(Kind::Type, "the key holds another type than text (a list, a hash, …)"),
        b"READONLY" => {
            let reason = "the server is a read-only replica; the first URL of LOCATION must be the primary (where \
                          Sentinels are asked, they have not agreed on another primary yet)";
            Error::new(Kind::Server, reason)
        }
        b"NOAUTH" => {
            let reason = "the server asks for a password: put it into the URL (redis://:password@host) or into OPTIONS";
            Error::new(Kind::Server, reason)
        }
        b"WRONGPASS" => Error::new(Kind::Server, format!("the server refused the password, check it: {said}")),
        b"NOPERM" => Error::new(Kind::Server, format!("the server's user may not do this, check its ACL: {said}")),
        b"DENIED" => Error::new(Kind::Server, "the server is in protected mode: give it a password, or use loopback"),
        b"MISCONF" => Error::new(Kind::Server, format!("the server cannot save, see to its disk: {said}")),
        _ if contains(text, b"invalid expire time") => too_long(),
        _ => Error::new(Kind::Server, format!("the server answered: {said}"))
            .retriable_if(PASSING.contains(&code) || contains(text, b"max number of clients")),
    }
}

/// A time to live that Redis cannot hold.
pub(super) fn too_long() -> Error {
    Error::new(Kind::Invalid, "the time to live is longer than Redis can count; use forever")
}

/// Whether an error is about who may use the server.
pub(super) fn is_about_users(text: &[u8]) -> bool {
    text.starts_with(b"WRONGPASS") || text.starts_with(b"NOAUTH") || contains(text, b"AUTH")
}

/// Whether `text` has `part` in it.
pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// A server's error without what it may quote of a request: an unknown command comes back with its arguments, and
/// what stands between quotation marks can be a key or a value.
fn shown(text: &[u8]) -> String {
    let text = text.get(..memchr::memmem::find(text, b", with args").unwrap_or(text.len())).unwrap_or_default();
    let text = text.split(u8::is_ascii_control).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text.get(..text.len().min(MAX_SHOWN)).unwrap_or_default());
    let mut parts = parts(&text).into_iter();
    let mut shown = parts.next().unwrap_or_default().to_owned();
    while let Some(quoted) = parts.next() {
        // the name of a command that the server does not have (renamed, or too new) is worth knowing
        let is_name = shown.ends_with("unknown command ") && quoted.bytes().all(|byte| byte.is_ascii_alphabetic());
        shown.push_str(if is_name { quoted } else { "…" });
        shown.push_str(parts.next().unwrap_or_default());
    }
    shown
}

/// What stands between quotation marks of any kind, and around them. The apostrophe in "can't" is none.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, mark) in text.match_indices(['\'', '"', '`']) {
        let end = at + mark.len();
        let is_letter = |one: Option<char>| one.is_some_and(char::is_alphabetic);
        let before = text.get(..at).unwrap_or_default().chars().next_back();
        let after = text.get(end..).unwrap_or_default().chars().next();
        if mark != "'" || !is_letter(before) || !is_letter(after) {
            parts.push(text.get(begin..at).unwrap_or_default());
            begin = end;
        }
    }
    parts.push(text.get(begin..).unwrap_or_default());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_a_retry_can_help() {
        for (text, kind, retriable) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", Kind::Server, true),
            ("LOADING Redis is loading the dataset in memory", Kind::Server, true),
            ("READONLY You can't write against a read only replica.", Kind::Server, false),
            ("NOREPLICAS Not enough good replicas to write.", Kind::Server, true),
            ("BUSY Redis is busy running a script.", Kind::Server, true),
            ("CLUSTERDOWN The cluster is down", Kind::Server, true),
            ("ERR max number of clients reached", Kind::Server, true),
            ("MISCONF Redis is configured to save RDB snapshots", Kind::Server, false),
            ("NOAUTH Authentication required.", Kind::Server, false),
            ("ERR syntax error", Kind::Server, false),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", Kind::Type, false),
            ("ERR invalid expire time in 'set' command", Kind::Invalid, false),
        ] {
            let error = answered(text.as_bytes());
            assert_eq!((error.kind(), error.is_retriable()), (kind, retriable), "{text}");
        }
    }

    #[test]
    fn says_what_to_do() {
        for (text, expected) in [
            ("READONLY You can't write against a read only replica.", "the first URL of LOCATION must be the primary"),
            ("NOAUTH Authentication required.", "put it into the URL (redis://:password@host) or into OPTIONS"),
            ("WRONGPASS invalid username-password pair", "the server refused the password, check it"),
            ("ERR it's so that I can't say 'key' here", "the server answered: ERR it's so that I can't say … here"),
        ] {
            assert!(answered(text.as_bytes()).reason().contains(expected), "{text}");
        }
    }

    #[test]
    fn what_a_request_carried_is_not_shown() {
        let error = answered(b"ERR unknown command 'SETT', with args beginning with: 'key' 'the value' ");
        assert!(error.to_string().contains("SETT") && !error.to_string().contains("the value"), "{error}");
        let echo = answered(b"ERR cannot do SET 'key' \"the value\" now").to_string();
        assert!(echo.contains("now") && !echo.contains("key") && !echo.contains("value"), "{echo}");
        let apostrophe = answered(b"ERR can't SET 'it's secret' now").to_string();
        assert!(apostrophe.contains("can't SET … now") && !apostrophe.contains("secret"), "{apostrophe}");
        let long = answered(&[b"ERR \r\n\x1b[31m\xff".as_slice(), &[b'x'; 5000]].concat()).to_string();
        assert!(long.len() < 400 && !long.contains(|one: char| one.is_control()), "{long}");
    }
}
