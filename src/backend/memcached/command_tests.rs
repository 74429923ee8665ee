//! Lines as the golden data has them, and replies that no honest server gives.

use super::super::decoder::Decoder;
use super::super::request::{self, Expect};
use super::*;
use crate::backend::fence::number;
use crate::backend::net::{Decoding, Expecting};
use crate::backend::{Entry, Reply, Request};

const CLOCK: i64 = 1_900_000_188;

fn key(text: &str) -> MadeKey {
    MadeKey::as_is(text)
}

// T-4, pitfall 18; the clock of the golden data.
#[test]
fn times_are_django_s() {
    for (ttl, expected) in [
        (Ttl::Forever, 0),
        (Ttl::Millis(0), -1),
        (Ttl::Millis(500), -1),
        (Ttl::Millis(-500), -1),
        (Ttl::Millis(-1000), -1),
        (Ttl::Millis(-100_000), -100),
        (Ttl::Millis(1900), 1),
        (Ttl::Millis(60_000), 60),
        (Ttl::Millis(2_592_000_000), 2_592_000),
        (Ttl::Millis(2_592_000_500), 1_902_592_188),
        (Ttl::Millis(2_592_001_000), 1_902_592_189),
        (Ttl::Millis(10_000_000_000_000), 11_900_000_188),
        (Ttl::Millis(i64::MAX), i64::MAX / 1000 + CLOCK),
    ] {
        assert_eq!(exptime(ttl, || CLOCK), expected, "{ttl:?}");
    }
}

/// Feeds one reply to what waits for it.
fn read(expect: Expect, reply: &[u8]) -> Next<Expect> {
    let mut decoder = Decoder::new(1 << 14);
    decoder.room().unwrap().extend_from_slice(reply);
    let mut expect = expect;
    loop {
        let frame = decoder.next().unwrap().expect("a whole reply");
        match expect.read(frame, &mut Vec::new()) {
            Next::More(rest) => expect = rest,
            other => {
                assert!(decoder.is_empty(), "something is left of the reply");
                return other;
            }
        }
    }
}

fn written(client: Client, request: &Request<'_>) -> (String, Expect) {
    let mut out = Vec::new();
    let first = request.key().map_or(0, |key| number(key.as_bytes()));
    let expect = request::write(&mut out, client, request, first).unwrap();
    (String::from_utf8(out).unwrap(), expect)
}

fn answer(request: &Request<'_>, reply: &[u8]) -> Result<Reply> {
    match read(written(Client::PyMemcache, request).1, reply) {
        Next::Done(answer) => answer.map(|reply| reply.expect("somebody asked")),
        Next::Broken(error) => panic!("broken: {error}"),
        Next::More(_) => panic!("more is waited for"),
    }
}

/// The error that breaks the connection.
fn broken(request: &Request<'_>, reply: &[u8]) -> Error {
    match read(written(Client::PyMemcache, request).1, reply) {
        Next::Broken(error) => error,
        _ => panic!("{} is taken for an answer", reply.escape_ascii()),
    }
}

fn values(reply: &Reply) -> Vec<Option<&[u8]>> {
    let Reply::Values(values) = reply else { panic!("{reply:?}") };
    values.iter().map(|value| value.as_ref().map(|value| &value.bytes[..])).collect()
}

#[test]
fn another_key_s_value_breaks_the_connection() {
    let (k, l) = (key("k"), key("l"));
    for request in [Request::Get(&k), Request::Has(&k), Request::GetMany(std::slice::from_ref(&k))] {
        broken(&request, b"VALUE l 0 1\r\nx\r\nEND\r\n");
        broken(&request, b"VALUE k 0 1\r\nx\r\nVALUE k 0 1\r\nx\r\nEND\r\n");
        broken(&request, b"VALUE k 0 1\r\nx\r\nVALUE l 0 1\r\nx\r\nEND\r\n");
        broken(&request, b"STORED\r\n");
        broken(&request, b"17\r\n");
        broken(&request, b"ERROR Too many open connections\r\n");
    }
    let keys = [k.clone(), l.clone()];
    broken(&Request::GetMany(&keys), b"VALUE m 0 1\r\nx\r\nEND\r\n");
    broken(&Request::Delete(&k), b"STORED\r\n");
    broken(&Request::Delete(&k), b"END\r\n");
    broken(&Request::Incr(&k, 1), b"STORED\r\n");
    broken(&Request::Ping, b"OK\r\n");
    broken(&Request::Clear(None), b"VERSION 1\r\n");
    broken(&Request::Touch(&k, Ttl::Forever), b"DELETED\r\n");
    broken(&Request::DeleteMany(&keys), b"DELETED\r\nTOUCHED\r\n");
}

#[test]
fn values_find_their_keys_in_any_order() {
    let keys = ["a", "b", "c", "a"].map(key);
    let get = |reply: &[u8]| answer(&Request::GetMany(&keys), reply).unwrap();
    let value = |name: &str, text: &str| format!("VALUE {name} 0 {}\r\n{text}\r\n", text.len());
    let reply = |parts: &[(&str, &str)]| {
        let mut all: String = parts.iter().map(|(name, text)| value(name, text)).collect();
        all.push_str("END\r\n");
        all.into_bytes()
    };
    assert_eq!(values(&get(b"END\r\n")), [None; 4]);
    assert_eq!(values(&get(&reply(&[("b", "2")]))), [None, Some(&b"2"[..]), None, None]);
    let all = [Some(&b"1"[..]), Some(b"2"), Some(b"3"), Some(b"4")];
    assert_eq!(values(&get(&reply(&[("a", "1"), ("b", "2"), ("c", "3"), ("a", "4")]))), all);
    assert_eq!(values(&get(&reply(&[("c", "3"), ("b", "2"), ("a", "1"), ("a", "4")]))), all);
    let expect = |reply: &[u8]| broken(&Request::GetMany(&keys), reply);
    expect(&reply(&[("b", "2"), ("b", "2")]));
    expect(&reply(&[("c", "3"), ("b", "2"), ("b", "2")]));
    expect(&reply(&[("a", "1"), ("a", "1"), ("a", "1")]));
}

// What follows a command that a server did not understand may be its value.
#[test]
fn a_write_that_is_not_understood_breaks_the_connection() {
    let k = key("k");
    let value = StoredRef { bytes: b"flush_all", flags: 0 };
    for when in [When::Always, When::Missing, When::Present] {
        let set = Request::Set { key: &k, value, ttl: Ttl::Forever, when };
        broken(&set, b"ERROR\r\n");
        broken(&set, b"CLIENT_ERROR bad command line format\r\n");
        broken(&set, b"DELETED\r\n");
        let full = answer(&set, b"SERVER_ERROR object too large for cache\r\n").unwrap_err();
        assert_eq!(full.kind(), Kind::TooBig);
    }
    let entries = ["a", "b", "c"].map(|name| Entry { key: key(name), value: b"v"[..].to_vec().into() });
    let set_many = Request::SetMany(&entries, Ttl::Forever);
    broken(&set_many, b"STORED\r\nERROR\r\n");
    let reply = b"STORED\r\nSERVER_ERROR out of memory storing object\r\nNOT_STORED\r\n";
    let Ok(Reply::Failures(failures)) = answer(&set_many, reply) else { panic!("failures") };
    assert_eq!(failures.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn a_number_can_be_larger_than_ours() {
    let k = key("k");
    let count = |reply: &[u8]| match answer(&Request::Incr(&k, 1), reply) {
        Ok(Reply::Counted(counted)) => Ok(counted),
        Err(error) => Err(error.kind()),
        other => panic!("{other:?}"),
    };
    assert_eq!(count(b"9223372036854775807\r\n"), Ok(Counted::Now(i64::MAX)));
    assert_eq!(count(b"9223372036854775808\r\n"), Ok(Counted::Beyond(1 << 63)));
    assert_eq!(count(b"NOT_FOUND\r\n"), Ok(Counted::Missing));
    let not_a_number = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    assert_eq!(count(not_a_number), Err(Kind::Type));
    assert_eq!(written(Client::PyMemcache, &Request::Incr(&k, i64::MIN)).0, "decr k 9223372036854775808\r\n");
}

#[test]
fn what_the_clients_write_differently() {
    let k = key("k");
    let line = |client, request: &Request<'_>| written(client, request).0;
    let (one, other) = (Client::PyMemcache, Client::PyLibMc);
    assert_eq!(line(one, &Request::Clear(None)), "flush_all 0\r\n");
    assert_eq!(line(other, &Request::Clear(None)), "flush_all \r\n");
    assert_eq!(line(one, &Request::Touch(&k, Ttl::Millis(0))), "touch k -1\r\n");
    assert_eq!(line(other, &Request::Touch(&k, Ttl::Millis(0))), "delete k\r\n"); // M-11
    let set = Request::Set {
        key: &k,
        value: StoredRef { bytes: b"v", flags: 16 },
        ttl: Ttl::Millis(-100_000),
        when: When::Always,
    };
    assert_eq!(line(one, &set), "set k 16 -100 1\r\nv\r\n");
    assert_eq!(line(other, &set), "set k 16 4294967196 1\r\nv\r\n");
    let mut out = Vec::new();
    for ttl in [Ttl::Millis(1), Ttl::Millis(-1), Ttl::Millis(-1000)] {
        let refused = request::write(&mut out, other, &Request::Touch(&k, ttl), 1).err().map(|error| error.kind());
        assert_eq!((refused, out.len()), (Some(Kind::Invalid), 0));
    }
}

#[test]
fn only_a_get_says_whose_value_comes() {
    let k = key("k");
    assert_eq!(written(Client::PyMemcache, &Request::Get(&k)).1.key(), Some(number(b"k")));
    let (_, has) = written(Client::PyMemcache, &Request::Has(&k));
    assert!(has.key().is_none() && !has.writes());
    assert!(written(Client::PyMemcache, &Request::Delete(&k)).1.writes());
}
