//! A proxy between larder and a real server that does what networks and servers do wrong: see [`Fault`]. The fault can
//! be changed at any time, and what is open then feels it too.
//!
//! One thread accepts, two serve each connection, one for each direction. They look at the fault every few
//! milliseconds, and all of them end with the proxy.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use super::random::Random;
use super::redis::free_port;

/// How long a thread waits for bytes, or for a listener, before it looks at the fault again.
const LOOK: Duration = Duration::from_millis(3);
/// How long a fault may take to begin, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many connections the listener holds that are not accepted yet.
const QUEUE: i32 = 1024;
/// What is read at once.
const CHUNK: usize = 64 << 10;

/// What goes wrong. "For good" means that a connection which has felt the fault stays so after it is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Each piece waits, in both directions.
    Delay(Duration),
    /// Replies come byte by byte, with a rest after each.
    Drip(Duration),
    /// At most so many bytes a millisecond, in each direction.
    Slow(usize),
    /// Nothing moves, nothing is lost: all of it comes when the fault is over.
    Stall,
    /// Everything is taken and lost, for good: a router forgot the connection.
    BlackHole,
    /// Connections are accepted and reset (RST), open ones too.
    Reset,
    /// Nobody listens and open connections are reset; later there is a listener again on the same port.
    Refuse,
    /// Connecting is not answered: the listener's queue is full. Open connections are well.
    Deaf,
    /// Connections that are made wait so long before anybody serves them. Open ones are well.
    SlowAccept(Duration),
    /// The replies' direction is closed (FIN), for good; requests still reach the server.
    HalfCloseReplies,
    /// The requests' direction is closed towards the server, for good. The client is told nothing, and hears nothing.
    HalfCloseRequests,
    /// Random bytes come in place of replies, for good.
    Garbage,
    /// From the middle of a reply on, random bytes come, for good. No carriage return is in them: no reply is whole.
    GarbageInReply,
    /// Each connection passes on so many bytes of replies, and is closed.
    Truncate(usize),
}

impl Fault {
    /// Whether a connection that felt it stays as it is.
    fn is_for_good(self) -> bool {
        matches!(
            self,
            Self::BlackHole | Self::HalfCloseReplies | Self::HalfCloseRequests | Self::Garbage | Self::GarbageInReply
        )
    }

    /// Whether every connection is reset.
    fn resets(self) -> bool {
        matches!(self, Self::Reset | Self::Refuse)
    }
}

/// A running proxy; ends with all its connections and threads when dropped.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the threads share.
struct Shared {
    /// The server's port.
    server: u16,
    fault: Mutex<Fault>,
    ended: AtomicBool,
    accepted: AtomicUsize,
    /// Connections that were accepted and are not closed.
    open: AtomicUsize,
    /// How the listener is now: [`CLOSED`], [`LISTENING`] or [`DEAF`].
    listener: AtomicU8,
}

const CLOSED: u8 = 0;
const LISTENING: u8 = 1;
const DEAF: u8 = 2;

impl Proxy {
    /// Starts a proxy without a fault before the server on this port of 127.0.0.1.
    pub fn start(server: u16) -> Self {
        let port = free_port();
        let fault = Mutex::new(Fault::None);
        let (ended, accepted, open) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        let shared = Arc::new(Shared { server, fault, ended, accepted, open, listener: AtomicU8::new(LISTENING) });
        let listener = listen(port).unwrap();
        let acceptor = spawn({
            let shared = shared.clone();
            move || Acceptor { port, shared, connections: Vec::new() }.run(listener)
        });
        Self { port, shared, acceptor: Some(acceptor) }
    }

    /// The port on 127.0.0.1 to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes something go wrong from now on, or nothing. When this returns the listener is as the fault wants it, and
    /// what is to be reset was; other faults are felt with the next bytes.
    pub fn set(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        let wanted = match fault {
            Fault::Refuse => CLOSED,
            Fault::Deaf => DEAF,
            _ => LISTENING,
        };
        let end = Instant::now() + PATIENCE;
        let is_open = || self.shared.open.load(Ordering::SeqCst) > 0;
        while self.shared.listener.load(Ordering::SeqCst) != wanted || (fault.resets() && is_open()) {
            assert!(Instant::now() < end, "{fault:?} does not begin");
            sleep(LOOK / 3);
        }
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The thread that accepts.
struct Acceptor {
    port: u16,
    shared: Arc<Shared>,
    connections: Vec<JoinHandle<()>>,
}

impl Acceptor {
    fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        while !self.shared.has_ended() {
            match (self.shared.fault(), &listener) {
                (Fault::Refuse, _) => {
                    listener = None;
                    self.is_now(CLOSED);
                }
                (_, None) => listener = listen(self.port).ok(),
                (Fault::Deaf, Some(deaf)) => self.be_deaf(deaf),
                (_, Some(listener)) => {
                    self.is_now(LISTENING);
                    self.accept(listener);
                }
            }
            sleep(LOOK / 3);
        }
        for connection in self.connections.drain(..) {
            let _ = connection.join();
        }
    }

    fn is_now(&self, listener: u8) {
        self.shared.listener.store(listener, Ordering::SeqCst);
    }

    fn accept(&mut self, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            self.shared.accepted.fetch_add(1, Ordering::SeqCst);
            self.connections.retain(|connection| !connection.is_finished());
            self.shared.open.fetch_add(1, Ordering::SeqCst);
            let shared = self.shared.clone();
            self.connections.push(spawn(move || {
                serve(&shared, client);
                shared.open.fetch_sub(1, Ordering::SeqCst);
            }));
        }
    }

    /// Fills the queue of the listener and leaves it so until the fault is over. The system then drops what asks to
    /// connect, as if it had never come.
    fn be_deaf(&self, listener: &TcpListener) {
        rustix::net::listen(listener, 0).unwrap();
        let fill = || TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, self.port).into(), LOOK * 10);
        let fillers: Vec<_> = std::iter::from_fn(|| fill().ok()).take(16).collect();
        self.is_now(DEAF);
        while self.shared.fault() == Fault::Deaf && !self.shared.has_ended() {
            sleep(LOOK);
        }
        drop(fillers);
        rustix::net::listen(listener, QUEUE).unwrap();
    }
}

/// One client and the server, for the threads of both directions.
struct Connection {
    shared: Arc<Shared>,
    client: TcpStream,
    server: TcpStream,
    /// The fault that this connection has for good.
    stuck: Mutex<Option<Fault>>,
    over: AtomicBool,
}

/// Serves one connection, to its end.
fn serve(shared: &Arc<Shared>, client: TcpStream) {
    if let Fault::SlowAccept(pause) = shared.fault() {
        nap(shared, pause, |fault| matches!(fault, Fault::SlowAccept(_)));
    }
    let server = match TcpStream::connect((Ipv4Addr::LOCALHOST, shared.server)) {
        Ok(server) if !shared.fault().resets() => server,
        _ => return reset_when_closed(&client),
    };
    for socket in [&client, &server] {
        socket.set_nonblocking(false).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(LOOK)).unwrap();
        socket.set_write_timeout(Some(LOOK)).unwrap();
    }
    let (stuck, over) = (Mutex::new(None), AtomicBool::new(false));
    let connection = Connection { shared: shared.clone(), client, server, stuck, over };
    std::thread::scope(|scope| {
        scope.spawn(|| connection.pass_requests());
        connection.pass_replies();
    });
}

/// Closing the socket then tells the peer with RST, not with FIN.
fn reset_when_closed(socket: &TcpStream) {
    let _ = set_socket_linger(socket, Some(Duration::ZERO));
}

/// Sleeps, but not longer than the fault is one that asks for it.
fn nap(shared: &Shared, pause: Duration, goes_on: impl Fn(Fault) -> bool) {
    let mut left = pause;
    while !left.is_zero() && goes_on(shared.fault()) && !shared.has_ended() {
        let step = left.min(LOOK);
        sleep(step);
        left -= step;
    }
}

/// What a direction does after a piece.
enum Then {
    GoOn,
    /// This direction is over, the other may go on.
    End,
}

impl Connection {
    /// The fault that this connection feels now.
    fn fault(&self) -> Fault {
        let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = self.shared.fault();
        if fault.resets() {
            return fault;
        }
        if fault.is_for_good() {
            stuck.get_or_insert(fault);
        }
        stuck.unwrap_or(fault)
    }

    /// Whether both directions have to end; tells both ends with a reset where the fault says so.
    fn is_over(&self) -> bool {
        if self.fault().resets() {
            reset_when_closed(&self.client);
            self.over.store(true, Ordering::SeqCst);
        }
        self.over.load(Ordering::SeqCst) || self.shared.has_ended()
    }

    fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    fn pass_requests(&self) {
        let mut closed = false;
        self.pass(&self.client, &self.server, |fault, piece| {
            match fault {
                Fault::BlackHole => {}
                Fault::HalfCloseRequests => {
                    if !std::mem::replace(&mut closed, true) {
                        let _ = self.server.shutdown(Shutdown::Write);
                    }
                }
                _ => self.write(&self.server, piece)?,
            }
            Ok(Then::GoOn)
        });
    }

    fn pass_replies(&self) {
        let mut random = Random(self.shared.accepted.load(Ordering::SeqCst) as u64);
        let mut passed = 0;
        self.pass(&self.server, &self.client, |fault, piece| {
            match fault {
                Fault::BlackHole | Fault::HalfCloseRequests => {}
                Fault::Drip(rest) => self.drip(piece, rest)?,
                Fault::HalfCloseReplies => {
                    self.client.shutdown(Shutdown::Write)?;
                    return Ok(Then::End);
                }
                Fault::Garbage => self.write(&self.client, &random.bytes(piece.len(), 0..=255))?,
                Fault::GarbageInReply => {
                    let (good, bad) = piece.split_at(if passed == 0 { piece.len() / 2 } else { 0 });
                    passed += 1;
                    self.write(&self.client, good)?;
                    self.write(&self.client, &random.bytes(bad.len(), 14..=255))?;
                }
                Fault::Truncate(most) => {
                    let (good, rest) = piece.split_at(piece.len().min(most - most.min(passed)));
                    passed += good.len();
                    self.write(&self.client, good)?;
                    if !rest.is_empty() {
                        self.end();
                    }
                }
                _ => self.write(&self.client, piece)?,
            }
            Ok(Then::GoOn)
        });
    }

    /// Moves pieces in one direction until that ends; `act` does with each what the fault asks for.
    fn pass(&self, from: &TcpStream, to: &TcpStream, mut act: impl FnMut(Fault, &[u8]) -> io::Result<Then>) {
        let mut buffer = vec![0; CHUNK];
        while !self.is_over() {
            let most = match self.fault() {
                Fault::Stall => {
                    sleep(LOOK);
                    continue;
                }
                // These show without a byte that moves.
                fault @ (Fault::HalfCloseReplies | Fault::HalfCloseRequests) => {
                    if matches!(act(fault, &[]), Ok(Then::End) | Err(_)) {
                        return;
                    }
                    CHUNK
                }
                Fault::Slow(most) => most.saturating_mul(3).clamp(1, CHUNK),
                _ => CHUNK,
            };
            let mut reader = from;
            let size = match reader.read(&mut buffer[..most]) {
                Ok(0) => return self.finish(to),
                Ok(size) => size,
                Err(error) if is_passing(&error) => continue,
                Err(_) => {
                    reset_when_closed(to);
                    return self.end();
                }
            };
            self.hold_back();
            match act(self.fault(), &buffer[..size]) {
                Ok(Then::GoOn) => {}
                Ok(Then::End) => return,
                Err(_) => return self.end(),
            }
        }
    }

    /// One end has closed its direction: passed on, unless a fault keeps it secret.
    fn finish(&self, to: &TcpStream) {
        while matches!(self.fault(), Fault::Stall | Fault::BlackHole | Fault::HalfCloseRequests) && !self.is_over() {
            sleep(LOOK);
            // The client is gone: nobody is left who could be kept in the dark.
            let mut probe = [0; 1];
            if matches!(self.client.peek(&mut probe), Ok(0)) {
                return self.end();
            }
        }
        if to.shutdown(Shutdown::Write).is_err() {
            self.end();
        }
    }

    /// Waits as long as the fault wants a piece to wait.
    fn hold_back(&self) {
        match self.fault() {
            Fault::Delay(pause) => nap(&self.shared, pause, |fault| matches!(fault, Fault::Delay(_))),
            Fault::Slow(_) => sleep(LOOK),
            Fault::Stall => nap(&self.shared, Duration::from_hours(1), |fault| fault == Fault::Stall),
            _ => {}
        }
    }

    fn drip(&self, piece: &[u8], rest: Duration) -> io::Result<()> {
        for (at, byte) in piece.iter().enumerate() {
            if self.is_over() {
                return Ok(());
            }
            if !matches!(self.fault(), Fault::Drip(_)) {
                return self.write(&self.client, &piece[at..]);
            }
            self.write(&self.client, &[*byte])?;
            sleep(rest);
        }
        Ok(())
    }

    /// Writes all of it, however slowly the other end takes it, unless the connection is over.
    fn write(&self, mut to: &TcpStream, piece: &[u8]) -> io::Result<()> {
        let mut rest = piece;
        while !rest.is_empty() && !self.is_over() {
            match to.write(rest) {
                Ok(size) => rest = &rest[size..],
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
