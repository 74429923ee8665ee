//! From a configured server to a connected socket: addresses, connecting without waiting, and the first commands.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with, sockopt};

use super::command::{Next, Reading};
use super::fault::{answered, is_about_users, late, no_connection, reason, unexpected};
use super::resp::{Frame, command};
use crate::config::{Address, Server};
use crate::error::{Error, Kind, Result};
use crate::lock::{Condvar, Mutex};
use crate::sys;
use crate::timeout::Deadline;

/// A socket's address.
pub(super) enum Place {
    Tcp(SocketAddr),
    Unix(SocketAddrUnix),
}

/// A socket that is connected, or will be when it can be written to.
pub(super) struct Started {
    pub(super) socket: OwnedFd,
    pub(super) connected: bool,
}

/// Finds a server's addresses. Names are looked up on a helper thread, one at a time for all callers, since the
/// system's own look-up knows no deadline.
#[derive(Default)]
pub(super) struct Resolver(Arc<(Mutex<Lookup>, Condvar)>);

#[derive(Default)]
struct Lookup {
    running: bool,
    finished: u64,
    found: Option<std::result::Result<Vec<SocketAddr>, Arc<str>>>,
}

impl Resolver {
    /// The places to try, at least one.
    pub(super) fn places(&self, address: &Address, deadline: &Deadline) -> Result<Vec<Place>> {
        match address {
            Address::Unix(path) => Ok(vec![Place::Unix(unix(path)?)]),
            Address::Tcp(host, port) => {
                if let Some(ip) = literal(host) {
                    return Ok(vec![Place::Tcp(SocketAddr::new(ip, *port))]);
                }
                Ok(self.look_up(host, *port, deadline)?.into_iter().map(Place::Tcp).collect())
            }
        }
    }

    fn look_up(&self, host: &str, port: u16, deadline: &Deadline) -> Result<Vec<SocketAddr>> {
        let (lookup, finished) = &*self.0;
        let mut state = lookup.lock();
        if !state.running {
            state.running = true;
            if let Err(error) = self.start(host.to_owned(), port) {
                state.running = false;
                return Err(Error::new(Kind::Connection, format!("cannot look a name up: {}", reason(&error))));
            }
        }
        let before = state.finished;
        while state.finished == before {
            let left = deadline.left().ok_or_else(|| late("looking the server's name up", deadline))?;
            state = finished.wait_for(state, left);
        }
        match &state.found {
            Some(Ok(addresses)) => Ok(addresses.clone()),
            Some(Err(why)) => Err(Error::new(Kind::Connection, format!("cannot find the server's address: {why}"))),
            None => Err(unexpected()),
        }
    }

    fn start(&self, host: String, port: u16) -> io::Result<()> {
        let shared = self.0.clone();
        let job = move || {
            let found = match (host.as_str(), port).to_socket_addrs().map(Vec::from_iter) {
                Ok(addresses) if addresses.is_empty() => Err("the name has none".into()),
                Ok(addresses) => Ok(addresses),
                Err(error) => Err(reason(&error).into()),
            };
            let (lookup, finished) = &*shared;
            let mut state = lookup.lock();
            state.running = false;
            state.finished += 1;
            state.found = Some(found);
            finished.notify_all();
        };
        sys::start_thread("larder-resolve", job).map(drop)
    }
}

/// Whether an address is found without waiting.
pub(super) fn is_literal(address: &Address) -> bool {
    match address {
        Address::Unix(_) => true,
        Address::Tcp(host, _) => literal(host).is_some(),
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

fn unix(path: &Path) -> Result<SocketAddrUnix> {
    SocketAddrUnix::new(path).map_err(|error| no_connection(&error.into()))
}

/// Begins to connect.
pub(super) fn begin(place: &Place) -> io::Result<Started> {
    let family = match place {
        Place::Unix(_) => AddressFamily::UNIX,
        Place::Tcp(SocketAddr::V4(_)) => AddressFamily::INET,
        Place::Tcp(SocketAddr::V6(_)) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    let outcome = match place {
        Place::Unix(path) => rustix::net::connect(&socket, path),
        Place::Tcp(address) => {
            sockopt::set_tcp_nodelay(&socket, true)?;
            sockopt::set_socket_keepalive(&socket, true)?;
            rustix::net::connect(&socket, address)
        }
    };
    match outcome {
        Ok(()) => Ok(Started { socket, connected: true }),
        Err(Errno::INPROGRESS | Errno::INTR) => Ok(Started { socket, connected: false }),
        Err(error) => Err(error.into()),
    }
}

/// What became of a connection once its socket can be written to.
pub(super) fn finish(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(sockopt::socket_error(socket)??)
}

/// Connects on this thread. The socket blocks.
pub(super) fn connect(
    server: &Server,
    limit: Option<Duration>,
    resolver: &Resolver,
    whole: &Deadline,
) -> Result<OwnedFd> {
    let deadline = at_most(whole, limit);
    let places = resolver.places(&server.address, &deadline)?;
    let mut failure = late("connecting", &deadline);
    let mut untried = u32::try_from(places.len()).unwrap_or(u32::MAX);
    for place in &places {
        let Some(left) = deadline.left() else { break };
        match try_place(place, &deadline.at_most(left / untried)) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error,
        }
        untried -= 1;
    }
    Err(failure)
}

/// A deadline, or an earlier one if there is a limit.
pub(super) fn at_most(whole: &Deadline, limit: Option<Duration>) -> Deadline {
    limit.filter(|limit| *limit < whole.total()).map_or(*whole, |limit| whole.at_most(limit))
}

fn try_place(place: &Place, deadline: &Deadline) -> Result<OwnedFd> {
    let started = loop {
        match begin(place) {
            // A unix socket whose queue is full says so at once.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = deadline.left().ok_or_else(|| late("connecting", deadline))?;
                std::thread::sleep(left.min(Duration::from_millis(5)));
            }
            Err(error) => return Err(no_connection(&error)),
            Ok(started) => break started,
        }
    };
    if !started.connected {
        if !wait(&started.socket, PollFlags::OUT, deadline).map_err(|error| no_connection(&error))? {
            return Err(late("connecting", deadline));
        }
        finish(rustix::fd::AsFd::as_fd(&started.socket)).map_err(|error| no_connection(&error))?;
    }
    rustix::io::ioctl_fionbio(&started.socket, false).map_err(|error| no_connection(&error.into()))?;
    Ok(started.socket)
}

/// Waits until a socket is ready for something; `false` when the deadline passes first.
pub(super) fn wait(socket: &OwnedFd, events: PollFlags, deadline: &Deadline) -> io::Result<bool> {
    while let Some(left) = deadline.left() {
        // Rounded up: an early end would only make another round.
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut [PollFd::new(socket, events)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// Waits for the replies to the first commands of a connection.
pub(super) struct Greeting {
    steps: Vec<Step>,
    at: usize,
}

#[derive(Clone, Copy)]
enum Step {
    Auth,
    SetName,
    Select,
}

/// AUTH, CLIENT SETNAME and SELECT, as far as they are needed; `None` where nothing is.
pub(super) fn greet(out: &mut Vec<u8>, server: &Server) -> Option<Greeting> {
    let mut steps = Vec::new();
    let (user, password) = (server.username.as_deref(), server.password.as_deref());
    if user.is_some() || password.is_some() {
        // a user without a password has the empty one, as in redis-py: never the default user's rights
        let password = password.unwrap_or_default().as_bytes();
        match user {
            Some(user) => command(out, &[b"AUTH", user.as_bytes(), password]),
            None => command(out, &[b"AUTH", password]),
        }
        steps.push(Step::Auth);
    }
    if let Some(name) = server.client_name.as_deref() {
        command(out, &[b"CLIENT", b"SETNAME", name.as_bytes()]);
        steps.push(Step::SetName);
    }
    if server.database != 0 {
        command(out, &[b"SELECT", server.database.to_string().as_bytes()]);
        steps.push(Step::Select);
    }
    (!steps.is_empty()).then_some(Greeting { steps, at: 0 })
}

impl Reading for Greeting {
    type Answer = ();

    fn read(mut self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        let Some(step) = self.steps.get(self.at) else { return Next::Broken(unexpected()) };
        match frame {
            Frame::Simple(_) => {}
            Frame::Error(text) => return Next::Broken(step.refused(&text)),
            _ => return Next::Broken(unexpected()),
        }
        self.at += 1;
        if self.at == self.steps.len() { Next::Done(Ok(())) } else { Next::More(self) }
    }
}

impl Step {
    /// A refusal ends the connection: commands for one database must never reach another.
    fn refused(self, text: &[u8]) -> Error {
        let error = answered(text);
        let advice = match self {
            // what else it says (LOADING, too many clients) has nothing to do with the password
            Self::Auth if !is_about_users(text) => return error,
            Self::Auth => {
                let reason = "the server refused the user or the password, check LOCATION and OPTIONS";
                return Error::new(error.kind(), reason).retriable_if(error.is_retriable());
            }
            Self::SetName => "the server refused the client name, check client_name",
            Self::Select => "the server refused the database number, check LOCATION and OPTIONS",
        };
        Error::new(error.kind(), format!("{advice}: {}", error.reason())).retriable_if(error.is_retriable())
    }
}
