//! The proxy does what its faults are called: seen by a plain socket, without larder.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::common::proxy::{Fault, Proxy};
use super::common::redis::RedisServer;

/// How long a test waits for something that must not come.
const SOON: Duration = Duration::from_millis(200);
/// How long for something that must.
const LONG: Duration = Duration::from_secs(20);

fn connect(proxy: &Proxy, limit: Duration) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, proxy.port())), limit)
}

/// Sends ECHO with a long text, and tells what comes back within a time: the bytes, and how it ended (`None`: it is
/// still open).
fn echo(mut socket: &TcpStream, limit: Duration) -> (Vec<u8>, Option<std::io::Result<()>>) {
    let text = "x".repeat(200);
    let request = format!("*2\r\n$4\r\nECHO\r\n${}\r\n{text}\r\n", text.len());
    if let Err(error) = socket.write_all(request.as_bytes()) {
        return (Vec::new(), Some(Err(error)));
    }
    let wanted = format!("${}\r\n{text}\r\n", text.len()).len();
    let (end, mut heard) = (Instant::now() + limit, Vec::new());
    while heard.len() < wanted {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        socket.set_read_timeout(Some(left)).unwrap();
        let mut piece = [0; 1000];
        match socket.read(&mut piece) {
            Ok(0) => return (heard, Some(Ok(()))),
            Ok(size) => heard.extend_from_slice(&piece[..size]),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(error) => return (heard, Some(Err(error))),
        }
    }
    (heard, None)
}

fn is_right(heard: &[u8]) -> bool {
    heard.starts_with(b"$200\r\nxx") && heard.ends_with(b"xx\r\n")
}

/// A proxy and an open connection through it.
fn open(server: &RedisServer) -> (Proxy, TcpStream) {
    let proxy = Proxy::start(server.port());
    let socket = connect(&proxy, LONG).unwrap();
    assert!(is_right(&echo(&socket, LONG).0));
    (proxy, socket)
}

#[test]
fn open_connections_feel_what_goes_wrong() {
    let server = RedisServer::start();
    for (fault, is_seen) in [
        (Fault::Reset, (|heard, end| heard == 0 && matches!(end, Some(Err(ErrorKind::ConnectionReset)))) as Seen),
        (Fault::Refuse, |heard, end| heard == 0 && matches!(end, Some(Err(ErrorKind::ConnectionReset)))),
        (Fault::BlackHole, |heard, end| heard == 0 && end.is_none()),
        (Fault::Stall, |heard, end| heard == 0 && end.is_none()),
        (Fault::HalfCloseRequests, |heard, end| heard == 0 && end.is_none()),
        (Fault::HalfCloseReplies, |heard, end| heard == 0 && matches!(end, Some(Ok(())))),
        (Fault::Truncate(20), |heard, end| heard == 20 && end.is_some()),
        (Fault::Drip(Duration::from_millis(20)), |heard, end| heard > 0 && heard < 100 && end.is_none()),
        (Fault::Slow(1), |heard, end| heard < 208 && end.is_none()),
        (Fault::Delay(SOON * 2), |heard, end| heard == 0 && end.is_none()),
    ] {
        let (proxy, socket) = open(&server);
        proxy.set(fault);
        // those that show without a byte have done so
        std::thread::sleep(SOON / 4);
        // what ends is waited for
        let ends = matches!(fault, Fault::Reset | Fault::Refuse | Fault::HalfCloseReplies | Fault::Truncate(_));
        let (heard, end) = echo(&socket, if ends { LONG } else { SOON });
        let kind = end.map(|end| end.map_err(|error| error.kind()));
        assert!(is_seen(heard.len(), kind), "{fault:?}: {} bytes, {kind:?}", heard.len());
        // and it is over when it is said to be
        proxy.set(Fault::None);
        let fresh = super::client::until(LONG, || connect(&proxy, LONG).is_ok_and(|new| is_right(&echo(&new, LONG).0)));
        assert!(fresh.is_some(), "{fault:?}");
    }
}

type Seen = fn(usize, Option<Result<(), ErrorKind>>) -> bool;

#[test]
fn garbage_comes_in_place_of_replies() {
    let server = RedisServer::start();
    for (fault, good) in [(Fault::Garbage, 0), (Fault::GarbageInReply, 103)] {
        let (proxy, socket) = open(&server);
        proxy.set(fault);
        let (heard, _) = echo(&socket, LONG);
        let right = [b"$200\r\n".as_slice(), &[b'x'; 200], b"\r\n"].concat();
        let same = heard.iter().zip(&right).take_while(|(heard, right)| heard == right).count();
        assert_eq!((heard.len(), same.min(good)), (208, good), "{fault:?}: {same}");
        assert!(same < 208);
        proxy.set(Fault::None);
        assert!(!is_right(&echo(&socket, LONG).0), "{fault:?} is for good");
    }
}

#[test]
fn what_was_stalled_comes_later_and_what_was_lost_does_not() {
    let server = RedisServer::start();
    for (fault, comes) in [(Fault::Stall, true), (Fault::BlackHole, false)] {
        let (proxy, socket) = open(&server);
        proxy.set(fault);
        assert_eq!(echo(&socket, SOON).0, b"");
        proxy.set(Fault::None);
        let mut first = [0; 6];
        socket.set_read_timeout(Some(if comes { LONG } else { SOON })).unwrap();
        assert_eq!((&socket).read_exact(&mut first).is_ok(), comes, "{fault:?}");
    }
}

#[test]
fn new_connections_feel_what_goes_wrong() {
    let server = RedisServer::start();
    let (proxy, socket) = open(&server);
    proxy.set(Fault::Deaf);
    assert_eq!(connect(&proxy, SOON).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(is_right(&echo(&socket, LONG).0), "an open connection is well");
    proxy.set(Fault::SlowAccept(SOON * 2));
    let waits = super::client::until(LONG, || connect(&proxy, LONG).is_ok()).and_then(|_| connect(&proxy, LONG).ok());
    assert_eq!(echo(&waits.unwrap(), SOON).0, b"");
    proxy.set(Fault::Refuse);
    let refused = || connect(&proxy, LONG).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
    assert!(super::client::until(LONG, refused).is_some());
    let port = proxy.port();
    socket.shutdown(Shutdown::Both).ok();
    drop(proxy);
    assert!(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok(), "the proxy is gone");
}
