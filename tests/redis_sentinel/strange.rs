//! Sentinels that are wrong, for a moment or on purpose: they must not make a call hang, or write to the wrong server.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use larder::backend::{Counted, Reply, Request};
use larder::error::Kind;
use larder::key::MadeKey;
use larder::lock::Mutex;
use serde_json::{Value, json};

use crate::client::{Client, LONG};
use crate::common::flight::{FACES, SLACK};
use crate::common::redis::{RedisClient, RedisServer, free_port};
use crate::common::sentinels::wait;

/// What a false Sentinel answers.
#[derive(Clone)]
pub enum Says {
    /// Where the primary and the replicas of `mymaster` are, and the primary's flags.
    Points(u16, Vec<u16>, &'static str),
    /// These bytes, whatever it is asked, and then nothing.
    Bytes(Vec<u8>),
    /// A list without an end.
    Endless,
    /// Nothing; the connection ends.
    Nothing,
}

pub struct Fake {
    pub port: u16,
    says: Arc<Mutex<Says>>,
}

impl Fake {
    pub fn start(says: Says) -> Self {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let says = Arc::new(Mutex::new(says));
        let shared = says.clone();
        // it ends with the test program
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, says }
    }

    pub fn say(&self, says: Says) {
        *self.says.lock() = says;
    }

    pub fn entry(&self, more: &Value) -> Value {
        entry(&[self], more)
    }
}

fn serve(stream: TcpStream, says: &Mutex<Says>) {
    let mut out = stream.try_clone().unwrap();
    let mut client = RedisClient::reading(stream);
    while let Some(command) = client.heard() {
        let says = says.lock().clone();
        let name = String::from_utf8_lossy(&command[0]).to_uppercase();
        let sent = match says {
            _ if name == "ROLE" => out.write_all(b"*2\r\n$8\r\nsentinel\r\n*1\r\n$8\r\nmymaster\r\n"),
            Says::Points(primary, replicas, flags) => {
                let text = if command[1].eq_ignore_ascii_case(b"MASTERS") {
                    format!("*1\r\n{}", described("mymaster", primary, flags))
                } else if command[2] != b"mymaster" {
                    "-ERR No such master with that name\r\n".to_owned()
                } else {
                    let all: String = replicas.iter().map(|port| described("some", *port, "slave")).collect();
                    format!("*{}\r\n{all}", replicas.len())
                };
                out.write_all(text.as_bytes())
            }
            Says::Bytes(bytes) => out.write_all(&bytes),
            Says::Endless => {
                let _ = out.write_all(b"*4000000\r\n");
                let piece = b"*2\r\n$1\r\na\r\n$1\r\nb\r\n".repeat(1000);
                while out.write_all(&piece).is_ok() {}
                return;
            }
            Says::Nothing => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

fn described(name: &str, port: u16, flags: &str) -> String {
    let port = port.to_string();
    let fields = ["name", name, "ip", "127.0.0.1", "port", &port, "flags", flags, "num-other-sentinels", "0"];
    let fields = fields.map(|field| format!("${}\r\n{field}\r\n", field.len()));
    format!("*10\r\n{}", fields.concat())
}

/// DefaultClient, and so one server: the primary.
fn entry(sentinels: &[&Fake], more: &Value) -> Value {
    let list: Vec<_> = sentinels.iter().map(|fake| json!(["127.0.0.1", fake.port])).collect();
    let mut options = json!({"CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory", "SENTINELS": list});
    for (name, value) in more.as_object().into_iter().flatten() {
        options[name] = value.clone();
    }
    json!({
        "BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://mymaster/0", "OPTIONS": options,
        "LARDER": {"BREAKER": false},
    })
}

#[test]
fn garbage_is_an_error_within_the_deadline() {
    let server = RedisServer::start();
    let fake = Fake::start(Says::Nothing);
    let deep = [b"*1\r\n".repeat(100), b":1\r\n".to_vec()].concat();
    let halves = "*1\r\n*4\r\n$4\r\nname\r\n$8\r\nmymaster\r\n$2\r\nip\r\n$-1\r\n";
    let strange = described("mymaster", 0, "master").replace("127.0.0.1", "a/b c\u{7f}..");
    for says in [
        Says::Nothing,
        Says::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        Says::Bytes(b"*-5\r\n".to_vec()),
        Says::Bytes(b"*1000000000\r\n".to_vec()),
        Says::Bytes(b"$5\r\nab".to_vec()),
        Says::Bytes(b"+OK\r\n".to_vec()),
        Says::Bytes(b":7\r\n".to_vec()),
        Says::Bytes(b"*1\r\n:7\r\n".to_vec()),
        Says::Bytes(b"*0\r\n".to_vec()),
        Says::Bytes(b"-ERR something \x1b[31m else\r\n".to_vec()),
        Says::Bytes(halves.into()),
        Says::Bytes(format!("*1\r\n{strange}").into_bytes()),
        Says::Bytes(deep),
        Says::Bytes(vec![b'x'; 1 << 20]),
        Says::Endless,
    ] {
        for face in FACES {
            fake.say(says.clone());
            let client = Client::new(&fake.entry(&json!({})), face);
            let (begun, limit) = (Instant::now(), Duration::from_millis(600));
            let error = client.fails(limit);
            assert!(begun.elapsed() < limit + SLACK, "{:?}", begun.elapsed());
            assert!(matches!(error.kind(), Kind::Connection | Kind::Timeout), "{error:?}");
            assert!(!error.to_string().contains(|one: char| one.is_control()), "{error}");
            fake.say(Says::Points(server.port(), Vec::new(), "master"));
            // a question that is under way is answered as before
            wait("the Sentinel has come to its senses", || client.set_within("k", "v", LONG).is_ok());
            assert_eq!(client.get("k").as_deref(), Some("v"));
        }
    }
}

#[test]
fn a_sentinel_that_names_the_wrong_server_is_not_believed() {
    let (primary, replica) = (RedisServer::start(), RedisServer::start());
    replica.command(0, &[b"REPLICAOF", b"127.0.0.1", primary.port().to_string().as_bytes()]);
    let liar = Fake::start(Says::Nothing);
    for face in FACES {
        for (port, said) in [
            (replica.port(), "a replica, while a Sentinel calls it the primary"),
            (liar.port, "is a Sentinel"),
            (free_port(), "cannot connect"),
        ] {
            liar.say(Says::Points(port, Vec::new(), "master"));
            let client = Client::new(&liar.entry(&json!({})), face);
            let by = format!("at service mymaster (127.0.0.1:{port} by Sentinel 127.0.0.1:{})", liar.port);
            wait("the call says what is the matter", || {
                let (begun, limit) = (Instant::now(), Duration::from_millis(700));
                let error = client.set_within("k", "v", limit).unwrap_err();
                assert!(begun.elapsed() < limit + SLACK);
                assert!(error.is_retriable() && !error.may_have_happened(), "{error:?}");
                let whole = error.during("set").to_string();
                // a busy machine is a slow Sentinel; what waits in a queue says what the last try came to
                let place = by.strip_prefix("at ").unwrap();
                whole.contains(said) && whole.contains(place)
            });
            // one that knows better, asked second, is asked first from then on
            let honest = Fake::start(Says::Points(primary.port(), vec![replica.port()], "master"));
            let client = Client::new(&entry(&[&liar, &honest], &json!({})), face);
            client.set("k", "v");
            assert_eq!(client.get("k").as_deref(), Some("v"));
        }
        for flags in ["master,s_down", "master,o_down,disconnected", "slave", ""] {
            liar.say(Says::Points(primary.port(), Vec::new(), flags));
            let client = Client::new(&liar.entry(&json!({})), face);
            wait("the call says what is the matter", || {
                let error = client.fails(Duration::from_millis(300));
                assert!(error.is_retriable(), "{error}");
                error.reason().contains("know no primary of it that can be reached now")
            });
        }
    }
}

#[test]
fn a_primary_that_was_made_a_replica_is_left_and_nothing_is_done_twice() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let ports = servers.each_ref().map(RedisServer::port);
    let fake = Fake::start(Says::Points(ports[0], Vec::new(), "master"));
    let key = MadeKey::as_is("n");
    for face in FACES {
        servers[0].command(0, &[b"REPLICAOF", b"NO", b"ONE"]);
        fake.say(Says::Points(ports[0], Vec::new(), "master"));
        let client = Client::new(&fake.entry(&json!({})), face);
        client.set("n", "0");
        servers[1].command(0, &[b"REPLICAOF", b"NO", b"ONE"]);
        servers[1].command(0, &[b"SET", b"n", b"0"]);
        servers[0].command(0, &[b"REPLICAOF", b"127.0.0.1", ports[1].to_string().as_bytes()]);
        // the Sentinel is behind the times
        let later = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(400));
                fake.say(Says::Points(ports[1], Vec::new(), "master"));
            });
            let answers: Vec<_> = (0..5).map(|_| client.call(&Request::Incr(&key, 1), LONG)).collect();
            answers
        });
        for (index, answer) in later.into_iter().enumerate() {
            let expected = i64::try_from(index).unwrap() + 1;
            assert!(matches!(answer, Ok(Reply::Counted(Counted::Now(now))) if now == expected), "{answer:?}");
        }
        assert_eq!(servers[1].command(0, &[b"GET", b"n"]), b"5");
        // nobody comes to its aid: the call says what is the matter
        servers[1].command(0, &[b"REPLICAOF", b"127.0.0.1", ports[0].to_string().as_bytes()]);
        let error = client.call(&Request::Incr(&key, 1), Duration::from_millis(500)).unwrap_err();
        assert!(error.is_retriable() && !error.may_have_happened(), "{error:?}");
        servers[1].command(0, &[b"REPLICAOF", b"NO", b"ONE"]);
        assert!(matches!(client.call(&Request::Incr(&key, 1), LONG), Ok(Reply::Counted(Counted::Now(6)))));
    }
}

#[test]
fn a_server_that_stands_still_is_left_when_another_takes_its_place() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let ports = servers.each_ref().map(RedisServer::port);
    for face in FACES {
        let fake = Fake::start(Says::Points(ports[0], Vec::new(), "master"));
        let client = Client::new(&fake.entry(&json!({})), face);
        client.set("k", "v");
        servers[0].pause(true);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                fake.say(Says::Points(ports[1], Vec::new(), "master"));
            });
            let begun = Instant::now();
            client.set("k", "w"); // under way when the place is taken
            assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
        });
        servers[0].pause(false);
        assert_eq!(client.get("k").as_deref(), Some("w"));
        assert_eq!(servers[1].command(0, &[b"GET", b"k"]), b"w");
    }
}

#[test]
fn sentinels_that_were_away_are_found_again_and_good_connections_do_without() {
    let server = RedisServer::start();
    let fake = Fake::start(Says::Points(server.port(), Vec::new(), "master"));
    for face in FACES {
        fake.say(Says::Points(server.port(), Vec::new(), "master"));
        let client = Client::new(&fake.entry(&json!({})), face);
        client.set("k", "v");
        fake.say(Says::Nothing);
        assert_eq!(client.get("k").as_deref(), Some("v"));
        server.command(0, &[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
        let begun = Instant::now();
        let error = wait_for_error(&client);
        assert!(error.is_retriable(), "{error}");
        assert!(begun.elapsed() < LONG, "no Sentinel can say anything: there is nothing to wait for");
        fake.say(Says::Points(server.port(), Vec::new(), "master"));
        wait("it is back", || client.get_within("k", LONG).is_ok());
    }
}

/// A read may still find the connection before its end is noticed.
fn wait_for_error(client: &Client) -> larder::error::Error {
    loop {
        if let Err(error) = client.get_within("k", LONG * 2) {
            return error;
        }
    }
}
