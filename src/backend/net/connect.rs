//! From a configured server to a connected socket: addresses, connecting without waiting, TLS.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with, sockopt};
use tokio::sync::Notify;

use super::fault::{late, no_connection, reason, unexpected};
use super::tls::{Setup, Tls};
use super::wire::Wire;
use crate::config::{Address, Resting};
use crate::error::{Error, Kind, Result};
use crate::lock::{Condvar, Mutex};
use crate::sys;
use crate::timeout::{self, Deadline};

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

/// Finds a server's addresses, and what TLS with it needs. Names are looked up on a helper thread, each once at a time
/// for all callers, since the system's own look-up knows no deadline.
#[derive(Default)]
pub(super) struct Resolver {
    names: Mutex<HashMap<(String, u16), Arc<Lookups>>>,
    tls: Setup,
}

/// A server has one name. Where Sentinels tell it there can be more, but not without end.
const MAX_NAMES: usize = 64;

/// The look-up of a name, and those who wait for it: threads and tasks.
#[derive(Default)]
struct Lookups {
    state: Mutex<Lookup>,
    finished: Condvar,
    told: Notify,
}

#[derive(Default)]
struct Lookup {
    running: bool,
    finished: u64,
    found: Option<std::result::Result<Vec<SocketAddr>, Arc<str>>>,
}

const LOOKING_UP: &str = "looking the server's name up";

impl Lookup {
    /// What was found, once more than `before` look-ups have finished.
    fn after(&self, before: u64) -> Option<Result<Vec<SocketAddr>>> {
        (self.finished != before).then(|| match &self.found {
            Some(Ok(addresses)) => Ok(addresses.clone()),
            Some(Err(why)) => Err(Error::new(Kind::Connection, format!("cannot find the server's address: {why}"))),
            None => Err(unexpected()),
        })
    }
}

impl Resolver {
    /// The places to try, at least one.
    pub(super) fn places(&self, address: &Address, deadline: &Deadline) -> Result<Vec<Place>> {
        match address {
            Address::Unix(path) => Ok(vec![Place::Unix(unix(path)?)]),
            Address::Service(_) => Err(unexpected()),
            Address::Tcp(host, port) | Address::Tls(host, port, _) => {
                if let Some(ip) = literal(host) {
                    return Ok(vec![Place::Tcp(SocketAddr::new(ip, *port))]);
                }
                Ok(self.look_up(host, *port, deadline)?.into_iter().map(Place::Tcp).collect())
            }
        }
    }

    /// The beginning of a conversation in TLS with the server, if that is what it speaks. Reads certificates where
    /// that was not done a moment ago.
    pub(super) fn tls(&self, address: &Address) -> Result<Option<Box<Tls>>> {
        match address {
            Address::Tls(host, _, settings) => self.tls.begin(host, settings).map(Some),
            Address::Tcp(..) | Address::Unix(_) | Address::Service(_) => Ok(None),
        }
    }

    /// TLS was not agreed on: the certificates are read anew the next time, since they may have been renewed.
    pub(super) fn tls_failed(&self) {
        self.tls.forget();
    }

    /// Whether certificates that are needed have been read.
    pub(super) fn has_certificates(&self, address: &Address) -> bool {
        match address {
            Address::Unix(_) | Address::Tcp(..) | Address::Service(_) => true,
            Address::Tls(..) => self.tls.is_ready(),
        }
    }

    /// As [`Resolver::places`], for a task: no thread of the runtime waits for a name.
    pub(super) async fn places_later(&self, address: &Address, deadline: &Deadline) -> Result<Vec<Place>> {
        let (host, port) = match address {
            Address::Tcp(host, port) | Address::Tls(host, port, _) if literal(host).is_none() => (host, *port),
            _ => return self.places(address, deadline),
        };
        let lookups = self.of(host, port);
        let before = lookups.begin(host, port)?;
        loop {
            let told = lookups.told.notified(); // from here on nothing is missed
            if let Some(found) = lookups.state.lock().after(before) {
                return Ok(found?.into_iter().map(Place::Tcp).collect());
            }
            let late = |_| late(LOOKING_UP, deadline);
            tokio::time::timeout_at(deadline.end().into(), told).await.map_err(late)?;
        }
    }

    fn look_up(&self, host: &str, port: u16, deadline: &Deadline) -> Result<Vec<SocketAddr>> {
        let lookups = self.of(host, port);
        let before = lookups.begin(host, port)?;
        let mut state = lookups.state.lock();
        loop {
            if let Some(found) = state.after(before) {
                return found;
            }
            let left = deadline.left().ok_or_else(|| late(LOOKING_UP, deadline))?;
            state = lookups.finished.wait_for(state, left);
        }
    }

    /// The look-ups of a name.
    fn of(&self, host: &str, port: u16) -> Arc<Lookups> {
        let mut names = self.names.lock();
        if names.len() >= MAX_NAMES {
            names.clear();
        }
        names.entry((host.to_owned(), port)).or_default().clone()
    }
}

impl Lookups {
    /// Begins a look-up, unless one is under way; how many had finished before.
    fn begin(self: &Arc<Self>, host: &str, port: u16) -> Result<u64> {
        let mut state = self.state.lock();
        if !state.running {
            state.running = true;
            if let Err(error) = self.start(host.to_owned(), port) {
                state.running = false;
                return Err(Error::new(Kind::Connection, format!("cannot look a name up: {}", reason(&error))));
            }
        }
        Ok(state.finished)
    }

    fn start(self: &Arc<Self>, host: String, port: u16) -> io::Result<()> {
        let shared = self.clone();
        let job = move || {
            let found = match (host.as_str(), port).to_socket_addrs().map(Vec::from_iter) {
                Ok(addresses) if addresses.is_empty() => Err("the name has none".into()),
                Ok(addresses) => Ok(addresses),
                Err(error) => Err(reason(&error).into()),
            };
            let mut state = shared.state.lock();
            state.running = false;
            state.finished += 1;
            state.found = Some(found);
            drop(state);
            shared.finished.notify_all();
            shared.told.notify_waiters();
        };
        sys::start_thread("larder-resolve", job).map(drop)
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    without_brackets(host).parse().ok()
}

/// A host as it is without the brackets that a URL has around an IPv6 address.
pub(super) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn unix(path: &Path) -> Result<SocketAddrUnix> {
    SocketAddrUnix::new(path).map_err(|error| no_connection(&error.into()))
}

/// Begins to connect.
pub(super) fn begin(place: &Place, resting: &Resting) -> io::Result<Started> {
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
            keep(socket.as_fd(), resting)?;
            rustix::net::connect(&socket, address)
        }
    };
    match outcome {
        Ok(()) => Ok(Started { socket, connected: true }),
        Err(Errno::INPROGRESS | Errno::INTR) => Ok(Started { socket, connected: false }),
        Err(error) => Err(error.into()),
    }
}

/// Has the system notice that the other side is gone: while nothing is said, and while something is not heard.
fn keep(socket: BorrowedFd<'_>, resting: &Resting) -> io::Result<()> {
    if let Some(keepalive) = resting.keepalive {
        let seconds = |count: u32| Duration::from_secs(count.into());
        sockopt::set_socket_keepalive(socket, true)?;
        if let Some(idle) = keepalive.idle {
            sockopt::set_tcp_keepidle(socket, seconds(idle))?;
        }
        if let Some(interval) = keepalive.interval {
            sockopt::set_tcp_keepintvl(socket, seconds(interval))?;
        }
        if let Some(count) = keepalive.count {
            sockopt::set_tcp_keepcnt(socket, count)?;
        }
    }
    // the kernel takes a signed number of ms
    let unheard = i32::try_from(resting.unheard.as_millis()).unwrap_or(i32::MAX);
    Ok(sockopt::set_tcp_user_timeout(socket, unheard.unsigned_abs())?)
}

/// What became of a connection once its socket can be written to.
pub(super) fn finish(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(sockopt::socket_error(socket)??)
}

/// Connects on this thread, TLS included. The socket blocks.
pub(super) fn connect(address: &Address, resting: &Resting, resolver: &Resolver, deadline: &Deadline) -> Result<Wire> {
    let places = resolver.places(address, deadline)?;
    let mut failure = late("connecting", deadline);
    let mut untried = u32::try_from(places.len()).unwrap_or(u32::MAX);
    for place in &places {
        let Some(left) = deadline.left() else { break };
        let share = deadline.at_most(left / untried);
        let reached = try_place(place, resting, &share).and_then(|mut wire| {
            if let Some(tls) = resolver.tls(address)? {
                wire.secure(tls, &share).inspect_err(|_| resolver.tls_failed())?;
            }
            Ok(wire)
        });
        match reached {
            Ok(wire) => return Ok(wire),
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

fn try_place(place: &Place, resting: &Resting, deadline: &Deadline) -> Result<Wire> {
    let started = loop {
        match begin(place, resting) {
            // A unix socket whose queue is full says so at once.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = deadline.left().ok_or_else(|| late("connecting", deadline))?;
                timeout::pause(left.min(Duration::from_millis(5)));
            }
            Err(error) => return Err(no_connection(&error)),
            Ok(started) => break started,
        }
    };
    let wire = Wire::new(started.socket);
    let socket = wire.as_fd().map_err(|error| no_connection(&error))?;
    if !started.connected {
        if !wait(socket, PollFlags::OUT, deadline).map_err(|error| no_connection(&error))? {
            return Err(late("connecting", deadline));
        }
        finish(socket).map_err(|error| no_connection(&error))?;
    }
    rustix::io::ioctl_fionbio(socket, false).map_err(|error| no_connection(&error.into()))?;
    Ok(wire)
}

/// Waits until a socket is ready for something; `false` when the deadline passes first.
pub(super) fn wait(socket: BorrowedFd<'_>, events: PollFlags, deadline: &Deadline) -> io::Result<bool> {
    while let Some(left) = deadline.left() {
        // Rounded up: an early end would only make another round.
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut [PollFd::from_borrowed_fd(socket, events)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::config::Keepalive;

    #[test]
    fn the_system_is_told_how_to_keep_connections() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let place = Place::Tcp(listener.local_addr().unwrap());
        let seconds = Duration::from_secs;
        let usual = begin(&place, &Resting::default()).unwrap().socket;
        assert!(sockopt::socket_keepalive(&usual).unwrap() && sockopt::tcp_nodelay(&usual).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&usual).unwrap(), seconds(60));
        assert_eq!(sockopt::tcp_keepintvl(&usual).unwrap(), seconds(10));
        assert_eq!(sockopt::tcp_keepcnt(&usual).unwrap(), 3);
        assert_eq!(sockopt::tcp_user_timeout(&usual).unwrap(), 30_000);
        let keepalive = Some(Keepalive { idle: Some(7), interval: None, count: Some(9) });
        let given = begin(&place, &Resting { keepalive, unheard: Duration::MAX, check: None }).unwrap().socket;
        assert_eq!(sockopt::tcp_keepidle(&given).unwrap(), seconds(7));
        assert_eq!(sockopt::tcp_keepcnt(&given).unwrap(), 9);
        let off = begin(&place, &Resting { keepalive: None, ..Resting::default() }).unwrap().socket;
        assert!(!sockopt::socket_keepalive(&off).unwrap());
    }
}
