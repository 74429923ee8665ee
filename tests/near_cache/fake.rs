//! A server of the test's own: it says when a reply comes, and when a change is told.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::common::flight::{FACES, Face, LONG, ask, tcp};
use super::common::redis::{RedisClient, free_port};
use super::{Client, eventually, key, raw, settings, text};
use larder::backend::{Reply, Request};
use larder::config::NearCache;
use larder::lock::Mutex;

/// What the server does, and has seen.
pub struct Fake {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    /// Connections over which changes are told.
    tracking: Mutex<Vec<Shout>>,
    /// GETs that came.
    gets: AtomicUsize,
    /// While this is set nobody gets the reply to a GET.
    held: AtomicBool,
    /// HELLO and CLIENT TRACKING, PING, and what is answered to PTTL.
    hello: &'static str,
    tracks: &'static str,
    pongs: AtomicBool,
    left: &'static str,
}

/// Where a connection is written to. Locked while a message is written: a reply between two pieces of it is nonsense.
type Shout = Arc<Mutex<TcpStream>>;

const HELLO: &str = "%1\r\n$5\r\nproto\r\n:3\r\n";
const OK: &str = "+OK\r\n";

impl Fake {
    pub fn start(hello: &'static str, tracks: &'static str, left: &'static str) -> Self {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let shared = Arc::new(Shared {
            tracking: Mutex::default(),
            gets: AtomicUsize::new(0),
            held: AtomicBool::new(false),
            hello,
            tracks,
            pongs: AtomicBool::new(true),
            left,
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, stream) = (serving.clone(), stream.unwrap());
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { port, shared }
    }

    fn gets(&self) -> usize {
        self.shared.gets.load(Ordering::SeqCst)
    }

    /// Tells a change, and waits until it was heard: an answer to a PING comes behind it.
    fn tell(&self, client: &Client, message: &[u8]) {
        let before = client.near();
        for stream in &*self.shared.tracking.lock() {
            let _ = stream.lock().write_all(message);
        }
        eventually("it was heard", || {
            let now = client.near();
            now.invalidated > before.invalidated || now.emptied > before.emptied
        });
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut commands = RedisClient::reading(stream.try_clone().unwrap());
        let stream = Arc::new(Mutex::new(stream));
        while let Some(command) = commands.heard() {
            let reply = match &command[0][..] {
                b"HELLO" => self.hello,
                b"CLIENT" => {
                    self.tracking.lock().push(stream.clone());
                    self.tracks
                }
                b"PING" if self.pongs.load(Ordering::SeqCst) => "+PONG\r\n",
                b"PING" => "",
                b"PTTL" => self.left,
                b"GET" => {
                    self.gets.fetch_add(1, Ordering::SeqCst);
                    while self.held.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    "$1\r\nv\r\n"
                }
                _ => OK,
            };
            if stream.lock().write_all(reply.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn changed(name: &str) -> Vec<u8> {
    let key = raw(name);
    [format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n${}\r\n", key.len()).as_bytes(), &key, b"\r\n"].concat()
}

const EMPTIED: &[u8] = b">2\r\n$10\r\ninvalidate\r\n_\r\n";

// The rule of the whole: what was asked for before a change was told does not get in after it.
#[test]
fn a_change_that_is_told_while_a_read_is_under_way_wins() {
    for face in FACES {
        for message in [changed("k"), EMPTIED.to_vec()] {
            let fake = Fake::start(HELLO, OK, ":-1\r\n");
            let client = Client::of(settings(tcp(fake.port), NearCache::default()));
            client.stands(1);
            let (gets, hits) = (fake.gets(), client.near().hits);
            fake.shared.held.store(true, Ordering::SeqCst);
            std::thread::scope(|scope| {
                let read = scope.spawn(|| read(&client, face, "k"));
                eventually("the server was asked", || fake.gets() == gets + 1);
                fake.tell(&client, &message);
                fake.shared.held.store(false, Ordering::SeqCst);
                assert_eq!(read.join().unwrap(), "v");
            });
            // it has to be asked for again, and is kept then
            assert_eq!(read(&client, face, "k"), "v");
            assert_eq!((fake.gets(), client.near().hits), (gets + 2, hits), "{face:?}");
            assert_eq!(read(&client, face, "k"), "v");
            assert_eq!((fake.gets(), client.near().hits), (gets + 2, hits + 1), "{face:?}");
        }
    }
}

// A connection that is lost while a read is under way is a change of everything.
#[test]
fn a_loss_while_a_read_is_under_way_wins() {
    let fake = Fake::start(HELLO, OK, ":-1\r\n");
    let client = Client::of(settings(tcp(fake.port), NearCache::default()));
    client.stands(1);
    let gets = fake.gets();
    fake.shared.held.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let read = scope.spawn(|| read(&client, Face::Synchronous, "k"));
        eventually("the server was asked", || fake.gets() == gets + 1);
        let emptied = client.near().emptied;
        for stream in fake.shared.tracking.lock().drain(..) {
            stream.lock().shutdown(std::net::Shutdown::Both).unwrap();
        }
        eventually("the loss was noticed", || client.near().emptied > emptied);
        fake.shared.held.store(false, Ordering::SeqCst);
        assert_eq!(read.join().unwrap(), "v");
    });
    client.stands(1);
    let hits = client.near().hits;
    assert_eq!(read(&client, Face::Synchronous, "k"), "v");
    assert_eq!(client.near().hits, hits);
}

fn read(client: &Client, face: Face, name: &str) -> String {
    match ask(&*client.cache, face, &Request::Get(&key(name)), LONG).unwrap() {
        Reply::Value(Some(value)) => text(value),
        other => panic!("{other:?}"),
    }
}

/// Reads a key again and again until the server was asked for it so often.
fn read_until_asked(fake: &Fake, client: &Client, times: usize) {
    client.stands(1);
    let gets = fake.gets();
    eventually("the server is asked again", || {
        read(client, Face::Synchronous, "k");
        fake.gets() - gets >= times
    });
}

// The server never tells that a key has expired: the process knows by itself when it will.
#[test]
fn nothing_is_kept_longer_than_it_lives() {
    let usual = NearCache::default;
    let expiring = Fake::start(HELLO, OK, ":200\r\n");
    let client = Client::of(settings(tcp(expiring.port), usual()));
    let begin = Instant::now();
    read_until_asked(&expiring, &client, 4);
    assert!(client.near().hits > 0 && begin.elapsed() > Duration::from_millis(600));
    let bounded = Fake::start(HELLO, OK, ":-1\r\n");
    let near = NearCache { timeout: Duration::from_millis(200), ..usual() };
    let client = Client::of(settings(tcp(bounded.port), near));
    read_until_asked(&bounded, &client, 4);
    assert!(client.near().hits > 0);
    let gone = Fake::start(HELLO, OK, ":-2\r\n"); // it expired between GET and PTTL
    let client = Client::of(settings(tcp(gone.port), usual()));
    read_until_asked(&gone, &client, 10);
    assert_eq!((client.near().hits, client.near().entries), (0, 0));
}

// Without RESP3, or where a user may not track: reads work, nothing is kept, and the log says why, once.
#[test]
fn a_server_that_does_not_tell_is_read_from_without_a_near_cache() {
    for (hello, tracks, said) in [
        ("-ERR unknown command 'HELLO'\r\n", "-ERR no\r\n", "the server refuses RESP3 (HELLO 3"),
        ("-NOPROTO unsupported protocol version\r\n", OK, "the server refuses RESP3 (HELLO 3"),
        (HELLO, "-NOPERM this user may not\r\n", "the server refuses CLIENT TRACKING"),
    ] {
        let fake = Fake::start(hello, tracks, ":-1\r\n");
        let client = Client::of(settings(tcp(fake.port), NearCache::default()));
        eventually("it was said", || {
            assert_eq!(read(&client, Face::Synchronous, "k"), "v");
            client.log.warnings(said) > 0
        });
        let gets = fake.gets();
        for face in FACES {
            (0..20).for_each(|_| assert_eq!(read(&client, face, "k"), "v"));
        }
        assert_eq!(fake.gets() - gets, 40);
        assert_eq!((client.near().entries, client.near().tracked, client.near().hits), (0, 0, 0));
        assert_eq!(client.log.warnings(said), 1);
        assert_eq!(client.log.warnings("reads go to the server"), 1);
    }
}

// A server that does not answer a PING any more: nothing is used for longer than the lease.
#[test]
fn a_silent_link_is_given_up() {
    let fake = Fake::start(HELLO, OK, ":-1\r\n");
    let client = Client::of(settings(tcp(fake.port), NearCache::default()));
    client.stands(1);
    read(&client, Face::Synchronous, "k");
    fake.shared.pongs.store(false, Ordering::SeqCst);
    let begin = Instant::now();
    let gets = fake.gets();
    let mut used = Duration::ZERO;
    eventually("the server is asked again", || {
        let asked = begin.elapsed();
        read(&client, Face::Synchronous, "k");
        if fake.gets() == gets {
            used = asked;
        }
        std::thread::sleep(Duration::from_millis(5));
        fake.gets() > gets
    });
    // every PING that was answered had been sent before this began
    assert!(used < Duration::from_secs(3), "{used:?}");
    eventually("the connection was given up", || client.log.warnings("has not answered a PING for 3 s") == 1);
    client.stands(1);
}

// What cannot be understood may have been about any key: the near cache is emptied, and stands again over a new connection.
#[test]
fn a_link_that_talks_nonsense_is_given_up() {
    let deep = [b">2\r\n$10\r\ninvalidate\r\n".as_slice(), &b"*1\r\n".repeat(1000)].concat();
    for nonsense in [
        b">2\r\n$10\r\ninvalidate\r\n:1\r\n".as_slice(),
        b">2\r\n$10\r\ninvalidate\r\n$1\r\nk\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n*1\r\n$1\r\nk\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n_\r\n",
        b">3\r\n$10\r\ninvalidate\r\n*0\r\n*0\r\n",
        b">1\r\n$10\r\ninvalidate\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*99999999999\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n$99999999999\r\n",
        b">-2\r\n",
        &deep,
        b"+PONG\r\n+PONG\r\n+PONG\r\n",
        b"$1\r\nx\r\n",
        b"-ERR\r\n",
        b"\0\xff\r\n",
    ] {
        let fake = Fake::start(HELLO, OK, ":-1\r\n");
        let client = Client::of(settings(tcp(fake.port), NearCache::default()));
        client.stands(1);
        client.keep("k", "v");
        let (emptied, gets) = (client.near().emptied, fake.gets());
        for stream in std::mem::take(&mut *fake.shared.tracking.lock()) {
            let _ = stream.lock().write_all(nonsense);
        }
        let shown = String::from_utf8_lossy(nonsense).into_owned();
        eventually(&shown, || client.near().emptied > emptied);
        assert_eq!(read(&client, Face::Synchronous, "k"), "v");
        assert!(fake.gets() > gets, "{shown}");
        client.stands(1);
    }
}

// More messages than anybody wants to hear: reads go on, and what is told last counts.
#[test]
fn a_flood_of_messages_holds_nothing_up() {
    let fake = Fake::start(HELLO, OK, ":-1\r\n");
    let client = Client::of(settings(tcp(fake.port), NearCache::default()));
    client.stands(1);
    let flood: Vec<u8> = (0..20_000).flat_map(|number| changed(&format!("other{number}"))).collect();
    let before = client.near();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let stream = fake.shared.tracking.lock()[0].clone();
            for round in 0..5 {
                // a PING's answer comes behind what is not heard yet, and has to come within the lease
                eventually("it was heard", || client.near().invalidated >= before.invalidated + round * 20_000);
                stream.lock().write_all(&flood).unwrap();
            }
        });
        for face in FACES {
            (0..200).for_each(|_| assert_eq!(read(&client, face, "k"), "v"));
        }
    });
    eventually("all was heard", || client.near().invalidated >= before.invalidated + 100_000);
    assert_eq!(client.near().emptied, before.emptied);
    client.keep("k", "v");
    let gets = fake.gets();
    fake.tell(&client, &changed("k"));
    assert_eq!(read(&client, Face::Synchronous, "k"), "v");
    assert_eq!(fake.gets(), gets + 1);
}
