//! LOCATION of the two memcached caches (M-1, M-2).

use std::sync::Arc;

use super::alias::Address;
use super::entry::Entry;
use super::memcached::{Client, MemcachedServer};
use super::place::{Place, Report, Setting, working_directory};
use super::python::int_of;
use crate::error::Result;

/// A server, or why this version of larder has it not.
type Parsed = std::result::Result<MemcachedServer, String>;

/// Reads LOCATION: a list, or a text that is split at `;` and `,` without taking blanks off. The second part says what of
/// it this version of larder does not have.
pub(super) fn read(
    entry: &Entry<'_>,
    client: Client,
    report: &mut Report,
) -> Result<(Vec<MemcachedServer>, Option<String>)> {
    let place = entry.place.at("LOCATION");
    let missing = || place.error("is missing; it must be a server such as 127.0.0.1:11211, or a list of them");
    let location = entry.top("LOCATION").ok_or_else(missing)?;
    let mut servers = Vec::new();
    let mut lacking = None;
    let mut add = |parsed: Parsed| match parsed {
        // pymemcache's servers are a set by name
        Ok(server) if client == Client::PyMemcache && servers.contains(&server) => {}
        Ok(server) => servers.push(server),
        Err(reason) => {
            lacking.get_or_insert(reason);
        }
    };
    if let Some(list) = location.value.as_array() {
        for (index, value) in list.iter().enumerate() {
            let item = Setting { place: place.item(index), value, secret: false };
            if value.is_array() {
                let why = "must be a text such as \"127.0.0.1:11211\"; Python takes a pair only as a tuple, which JSON does not have";
                return Err(item.place.error(why));
            }
            add(parse(item.text(report)?, &item.place, client, report)?);
        }
    } else {
        let text = location.text(report)?;
        if text.is_empty() {
            return Err(missing());
        }
        let pieces: Vec<&str> = text.split([';', ',']).collect(); // M-1
        for (index, piece) in pieces.iter().enumerate() {
            if piece.is_empty() {
                let (count, number) = (pieces.len(), index + 1);
                return Err(place.error(format_args!("is split into {count} servers, and number {number} is empty")));
            }
            add(parse(piece, &place, client, report)?);
        }
    }
    let mixed = |server: &MemcachedServer| matches!(server.address, Address::Unix(_));
    if client == Client::PyLibMc && servers.iter().any(mixed) && !servers.iter().all(mixed) {
        return Err(place.error("has sockets' paths and hosts, and pylibmc takes only the one or the other"));
    }
    if servers.is_empty() && lacking.is_none() {
        return Err(missing());
    }
    Ok((servers, lacking))
}

fn parse(text: &str, place: &Place, client: Client, report: &mut Report) -> Result<Parsed> {
    if text.contains('@') || text.contains("://") {
        return Err(place.error("is a URL; a server of memcached is written host:port, or as a socket's path")); // may hold a password
    }
    if text.contains('\0') {
        return Err(place.error("has a NUL character, which no server's name can have"));
    }
    if text.is_empty() {
        return Err(place.error("is empty; it must be a server such as 127.0.0.1:11211"));
    }
    let socket = text.strip_prefix("unix:");
    match client {
        Client::PyMemcache if socket.is_some() || text.starts_with('/') => {
            unix(socket.unwrap_or(text), place, report).map(Ok)
        }
        Client::PyMemcache => pymemcache(text, place, report).map(Ok),
        Client::PyLibMc => {
            let text = socket.unwrap_or(text);
            if text.starts_with('/') {
                return unix(text, place, report).map(Ok);
            }
            if socket.is_some() {
                return Err(
                    place.error("has a socket's path that does not begin with /, and pylibmc takes it for a host")
                );
            }
            if text.starts_with("udp:") {
                return Ok(Err(format!("{place}: UDP is not in this version of larder")));
            }
            pylibmc(text, place, report).map(Ok)
        }
    }
}

fn unix(path: &str, place: &Place, report: &mut Report) -> Result<MemcachedServer> {
    if path.is_empty() {
        return Err(place.error("names no socket; it must look like unix:/run/memcached.sock"));
    }
    let mut whole = std::path::PathBuf::new();
    if !path.starts_with('/') {
        whole = working_directory(place, "", report)?;
    }
    whole.push(path);
    let shown = Arc::from(format!("unix:{path}"));
    Ok(MemcachedServer { address: Address::Unix(whole), name: path.to_owned(), weight: 1, shown })
}

/// `normalize_server_spec`.
fn pymemcache(text: &str, place: &Place, report: &mut Report) -> Result<MemcachedServer> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, port),
        _ => (text, "11211"),
    };
    if let Some(inside) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return tcp(inside, port, place, report);
    }
    if host.contains(':') {
        let why = "has more than one colon; an IPv6 address needs brackets ([::1]:11211), and weights are pylibmc's";
        return Err(place.error(why));
    }
    tcp(host, port, place, report)
}

/// `translate_server_spec`.
fn pylibmc(text: &str, place: &Place, report: &mut Report) -> Result<MemcachedServer> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inside) => match inside.strip_suffix(']') {
            Some(host) => (host, None),
            None => inside.rsplit_once("]:").map_or((text, None), |(host, rest)| (host, Some(rest))),
        },
        None => text.split_once(':').map_or((text, None), |(host, rest)| (host, Some(rest))),
    };
    let (port, weight) = match rest.unwrap_or("11211").split_once(':') {
        Some((port, weight)) => (port, weight),
        None => (rest.unwrap_or("11211"), "1"),
    };
    let port = if int_of(port) == Some(0) { "11211" } else { port }; // as libmemcached does
    let mut server = tcp(host, port, place, report)?;
    let weight = int_of(weight).and_then(|weight| u16::try_from(weight).ok());
    let weight = weight.ok_or_else(|| place.error("has a weight that is no number from 1 to 65535"))?;
    server.weight = weight.max(1).into(); // as libmemcached does
    Ok(server)
}

fn tcp(host: &str, port: &str, place: &Place, report: &mut Report) -> Result<MemcachedServer> {
    let number = int_of(port).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let why = "has a port that is no number from 1 to 65535; it must look like 127.0.0.1:11211 or [::1]:11211";
    let port = number.ok_or_else(|| place.error(why))?;
    if host.is_empty() {
        return Err(place.error("names no host"));
    }
    if host.contains(['[', ']']) {
        return Err(place.error("has brackets that do not belong together; it must look like [::1]:11211"));
    }
    if host.contains('/') {
        return Err(place.error("has a / in its host; a socket's path begins with it"));
    }
    if host.trim() != host {
        report.warn(place, "has a blank beside a host's name, which belongs to the name, as in Django"); // M-1
    }
    let brackets = if host.contains(':') { ("[", "]") } else { ("", "") };
    let shown = Arc::from(format!("{}{host}{}:{port}", brackets.0, brackets.1));
    let address = Address::Tcp(host.to_owned(), port);
    Ok(MemcachedServer { address, name: host.to_owned(), weight: 1, shown })
}
