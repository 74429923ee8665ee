//! Replies that memcached would not give, and what must never be sent.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use larder::backend::{Entry, Reply, Request, When, Written};
use larder::error::Kind;
use serde_json::json;

use super::client::{Client, LIFE, PYLIBMC, PYMEMCACHE, fake, key, until, value};
use super::common::flight::{FACES, ask};
use super::common::memcached::MemcachedServer;
use super::tee::Tee;
use larder::timeout::Budget;

// M-10
#[test]
fn a_set_that_is_not_stored_removes_the_old_value() {
    for face in FACES {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let lines = heard.clone();
        let port = fake(move |line, stream| {
            lines.lock().unwrap().push(line.to_owned());
            let reply: &[u8] = if line.starts_with("delete") { b"DELETED\r\n" } else { b"NOT_STORED\r\n" };
            stream.write_all(reply).unwrap();
        });
        let client = Client::of(PYMEMCACHE, &[format!("127.0.0.1:{port}")], &json!({"key_prefix": "p:"}));
        let error = client.set(face, "k", "v").unwrap_err();
        assert_eq!((error.kind(), error.may_have_happened()), (Kind::Server, false), "{error}");
        assert_eq!(*heard.lock().unwrap(), ["set p:k 0 900 1", "delete p:k"], "{face:?}");
        let add = Request::Set { key: &key("k"), value: b"v".into(), ttl: LIFE, when: When::Missing };
        assert!(matches!(client.ask(face, &add), Ok(Reply::Written(Written::NotStored))));
        assert_eq!(heard.lock().unwrap().len(), 3, "an add that is not stored removes nothing");
    }
}

// The requests are longer than all buffers between, and the server hears the next only when its answer was taken.
#[test]
fn answers_are_taken_while_requests_are_sent() {
    const COUNT: usize = 5000;
    let long = "x".repeat(3000);
    let port = fake(move |line, stream| {
        let reply = if line.starts_with("set") { format!("SERVER_ERROR {long}\r\n") } else { "END\r\n".to_owned() };
        stream.write_all(reply.as_bytes()).unwrap();
    });
    let client = Client::of(PYMEMCACHE, &[format!("127.0.0.1:{port}")], &json!({}));
    let entries: Vec<Entry> =
        (0..COUNT).map(|number| Entry { key: key(&format!("k{number}")), value: vec![b'v'; 3000].into() }).collect();
    for face in FACES {
        let budget = Budget::new(Duration::from_mins(1));
        let Ok(Reply::Failures(failures)) = ask(&*client.cache, face, &Request::SetMany(&entries, LIFE), budget) else {
            panic!("{face:?}: failures")
        };
        assert!(failures.len() == COUNT && failures.iter().all(Option::is_some), "{face:?}");
    }
}

#[test]
fn strange_answers_break_the_connection_and_the_next_call_is_well() {
    for reply in [
        "VALUE other 0 1\r\nx\r\nEND\r\n",
        "VALUE k 0 1\r\nx\r\nVALUE k 0 1\r\nx\r\nEND\r\n",
        "VALUE k 0 99999999999\r\n",
        "VALUE k 0 1\r\nxyz\r\nEND\r\n",
        "VALUE k 0 1\r\nx\r\nSTORED\r\n",
        "STORED\r\n",
        "-ERR unknown command 'get'\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "ERROR Too many open connections\r\n",
        "\u{1}\u{2}\u{3}\r\n",
    ] {
        for face in FACES {
            let asked = Mutex::new(0);
            let port = fake(move |_, stream| {
                let mut asked = asked.lock().unwrap();
                *asked += 1;
                let answer = if *asked == 1 { reply } else { "VALUE k 0 2\r\nok\r\nEND\r\n" };
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let client = Client::of(PYLIBMC, &[format!("127.0.0.1:{port}")], &json!({}));
            let error = client.get(face, "k").unwrap_err();
            assert!(matches!(error.kind(), Kind::Connection | Kind::TooBig | Kind::Server), "{reply:?}: {error}");
            assert!(!error.may_have_happened() && error.to_string().len() < 400, "{reply:?}: {error}");
            assert!(
                until(|| client.get(face, "k").is_ok_and(|found| found == Some(value("ok")))),
                "{reply:?}, {face:?}"
            );
        }
    }
}

#[test]
fn a_reply_that_never_comes_ends_by_the_deadline() {
    let port = fake(|_, _| {});
    let client = Client::of(PYMEMCACHE, &[format!("127.0.0.1:{port}")], &json!({}));
    let short = Budget::new(Duration::from_millis(200));
    for face in FACES {
        let begun = Instant::now();
        let read = ask(&*client.cache, face, &Request::Get(&key("k")), short).unwrap_err();
        assert_eq!((read.kind(), read.may_have_happened()), (Kind::Timeout, false), "{read}");
        let set = Request::Set { key: &key("k"), value: b"v".into(), ttl: LIFE, when: When::Always };
        let write = ask(&*client.cache, face, &set, short).unwrap_err();
        assert_eq!((write.kind(), write.may_have_happened()), (Kind::Timeout, true), "{write}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn refused_keys_are_never_sent() {
    let server = MemcachedServer::start();
    let tee = Tee::before(server.port());
    let client = Client::of(PYMEMCACHE, &[format!("127.0.0.1:{}", tee.port())], &json!({}));
    for face in FACES {
        for bad in ["q x", "q\r\nflush_all", "q\0", "", "\u{7f}", &"é".repeat(126), &"k".repeat(251)] {
            let (bad_key, fine) = (key(bad), key("fine"));
            let entries = [&fine, &bad_key].map(|key| Entry { key: key.clone(), value: b"v".to_vec().into() });
            for request in [
                Request::Get(&bad_key),
                Request::Set { key: &bad_key, value: b"v".into(), ttl: LIFE, when: When::Always },
                Request::Delete(&bad_key),
                Request::Incr(&bad_key, 1),
                Request::GetMany(&[fine.clone(), bad_key.clone()]),
                Request::SetMany(&entries, LIFE),
            ] {
                let error = client.ask(face, &request).unwrap_err();
                assert_eq!(error.kind(), Kind::Invalid, "{bad:?}");
                assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
            }
        }
    }
    assert_eq!(tee.sent(), b"");
}
