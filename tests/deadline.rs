//! One deadline for all steps of a call: a server that answers each command late, or for ever the same.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use common::client::{Answer, Call, Context, alone};
use common::redis::free_port;
use larder::capi::status::LARDER_ETIMEOUT;

/// How late each answer is, against a call's 500 ms.
const LATE: Duration = Duration::from_millis(200);

/// Serves connections: what `answer` makes of a command's name, each time after `late`.
fn serve(late: Duration, answer: fn(&str) -> &'static str) -> u16 {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || while serve_one(&stream, late, answer).is_some() {});
        }
    });
    port
}

fn serve_one(stream: &TcpStream, late: Duration, answer: fn(&str) -> &'static str) -> Option<()> {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0).map(|_| line.trim_end().to_owned())
    };
    let arguments: usize = line()?.strip_prefix('*')?.parse().ok()?;
    let mut name = None;
    for _ in 0..arguments {
        let len: usize = line()?.strip_prefix('$')?.parse().ok()?;
        let mut text = vec![0; len + 2];
        BufReader::with_capacity(1, stream).read_exact(&mut text).ok()?;
        name.get_or_insert(String::from_utf8_lossy(&text[..len]).into_owned());
    }
    std::thread::sleep(late);
    let mut stream = stream;
    stream.write_all(answer(&name?).as_bytes()).ok()
}

fn open(port: u16) -> Context {
    let config = format!(
        r#"{{"CACHES": {{"default": {{"BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://127.0.0.1:{port}/0", "LARDER": {{"TIMEOUT_MS": 500}}}}}}}}"#
    );
    Context::open(&config).unwrap()
}

/// The call has to end by its deadline; the slack is only for a busy machine.
fn ends_in_time<T: std::fmt::Debug>(call: impl FnOnce() -> Answer<T>) {
    let begin = Instant::now();
    let failure = call().unwrap_err();
    assert_eq!(failure.status, LARDER_ETIMEOUT, "{failure:?}");
    assert!(begin.elapsed() < Duration::from_secs(5), "{failure:?} after {:?}", begin.elapsed());
}

#[test]
fn the_steps_of_an_incr_share_one_deadline() {
    alone(|| {
        // 2**63 - 1 is counted by the store: EVAL, PTTL, GET, SET (DR-20); together they are too late
        let port = serve(LATE, |name| match name {
            "EVAL" => "-ERR increment or decrement would overflow\r\n",
            "PTTL" => ":100000\r\n",
            "GET" => "$19\r\n9223372036854775807\r\n",
            _ => "+OK\r\n",
        });
        let context = open(port);
        let store = context.store("default").unwrap();
        ends_in_time(|| store.incr("n", 1, Call::default()));
    });
}

#[test]
fn the_steps_of_an_incr_version_share_one_deadline() {
    alone(|| {
        let port = serve(LATE, |name| match name {
            "PTTL" => ":100000\r\n",
            "GET" => "$1\r\n7\r\n",
            "DEL" => ":1\r\n",
            _ => "+OK\r\n",
        });
        let context = open(port);
        let store = context.store("default").unwrap();
        ends_in_time(|| store.incr_version("n", 1, Call::default()));
    });
}

#[test]
fn a_listing_without_matches_ends_by_its_deadline() {
    alone(|| {
        let port = serve(Duration::from_millis(1), |name| match name {
            "SCAN" => "*2\r\n$1\r\n7\r\n*0\r\n", // never the last page
            _ => "+OK\r\n",
        });
        let context = open(port);
        let store = context.store("default").unwrap();
        ends_in_time(|| store.keys("*", Call::default()));
    });
}
