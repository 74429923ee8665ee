//! The Redis caches: Django's own and django-redis, over TCP and unix sockets (contract: R and DR rules).
//!
//! `resp` with `decoder` is the wire format, `command` the operations, `request` the same for a queue, `calls` for
//! callers that wait, `fault` the errors. The transports are [`net`](super::net)'s. `replicas` (with `fail_over`) and
//! `shards` (with `ring`) are caches on several servers, `listing` what their listings have in common. `sentinel` finds servers that move.
//! `near` keeps what is read in the process.

use std::sync::Arc;

use super::net::{self, Endpoint, Nature, Pool, Protocol, Way};
use super::{Backend, Request, Spawner};
use crate::config::{self, Address, Flavor, Layout};
use crate::error::Result;
use crate::key::MadeKey;
use crate::log::Log;

mod calls;
mod command;
mod decoder;
mod expiry;
mod fail_over;
mod fault;
mod fetch;
mod greeting;
mod listing;
mod lock;
mod near;
mod pattern;
mod replicas;
mod request;
mod resp;
mod ring;
mod sentinel;
mod shards;
mod transaction;

use calls::Calls;
use request::Expect;

/// The most keys in one command; more are sent in several.
const KEYS_AT_ONCE: usize = 10_000;
/// The most keys in one UNLINK of a sweep: about as many as one SCAN shows.
const REMOVED_AT_ONCE: usize = 1000;
/// The most entries in one transaction; more are sent in several.
const ENTRIES_AT_ONCE: usize = 50_000;

/// A cache on one Redis server.
type Redis = net::Server<Resp>;

/// What one Redis server is spoken to in.
#[derive(Clone)]
struct Resp {
    flavor: Flavor,
    /// Who we are, and which database.
    server: Arc<config::Server>,
}

impl Protocol for Resp {
    type Decoder = decoder::Decoder;
    type Expect = Expect;
    type Calls = Calls;

    fn calls(&self, pool: Arc<Pool<Self>>) -> Calls {
        Calls { flavor: self.flavor, pool }
    }

    fn greet(&self, out: &mut Vec<u8>) -> Option<Expect> {
        greeting::greet(out, &self.server).map(|greeting| Expect::Greeting(Box::new(greeting)))
    }

    fn ping(&self, out: &mut Vec<u8>) -> Expect {
        Expect::Alive(command::ping(out))
    }

    fn way(&self, request: &Request<'_>) -> Way {
        request::way(request)
    }

    fn nature(&self, request: &Request<'_>) -> Nature {
        calls::nature(request)
    }

    fn write(&self, out: &mut Vec<u8>, request: &Request<'_>, key: u64) -> Result<Expect> {
        request::write(out, self.flavor, request, key)
    }
}

/// The cache of a configuration, on one server or on several. It connects when it is first used. `spawner` runs the
/// asynchronous operations; `log` hears of servers that come and go.
#[allow(clippy::needless_pass_by_value, reason = "it keeps them")]
pub fn open(mut config: config::Redis, spawner: Arc<dyn Spawner>, log: Arc<dyn Log>) -> Arc<dyn Backend> {
    let near = near::Plan::of(&mut config, &log);
    let cache = on_all(config, &spawner, &log);
    match near {
        Some(near) => Arc::new(near.before(cache, spawner)),
        None => cache,
    }
}

/// The cache of a configuration, on all its servers.
fn on_all(mut config: config::Redis, spawner: &Arc<dyn Spawner>, log: &Arc<dyn Log>) -> Arc<dyn Backend> {
    let others = std::mem::take(&mut config.replicas);
    let layout = std::mem::replace(&mut config.layout, Layout::Replicas { fail_over: false });
    let on = |config: config::Redis| on_one(config, spawner.clone(), log.clone());
    if others.is_empty() {
        return Arc::new(on(config));
    }
    let others: Vec<Redis> = others.into_iter().map(|server| on(config::Redis { server, ..config.clone() })).collect();
    match layout {
        Layout::Replicas { fail_over } => {
            Arc::new(replicas::Replicated::new(on(config), others, fail_over, spawner.clone()))
        }
        Layout::Ring(urls) => {
            let mut urls = urls.into_iter();
            let first = urls.next().unwrap_or_default();
            Arc::new(shards::Sharded::new((on(config), first), others.into_iter().zip(urls), spawner.clone()))
        }
    }
}

/// The cache on the first server of a configuration. The others are not looked at: that is what [`open`] is for.
fn on_one(config: config::Redis, spawner: Arc<dyn Spawner>, log: Arc<dyn Log>) -> Redis {
    let endpoint = Endpoint {
        address: config.server.address.clone(),
        shown: config.server.shown.clone(),
        connect: config.connect,
        connect_setting: "SOCKET_CONNECT_TIMEOUT",
        max_connections: config.max_connections,
        connections_setting: "max_connections",
        resting: config.resting,
        breaker: config.breaker,
        finder: match &config.server.address {
            Address::Service(service) => Some(Arc::new(sentinel::Sentinels::new(service, config.flavor))),
            Address::Tcp(..) | Address::Tls(..) | Address::Unix(_) => None,
        },
        watch: None,
    };
    let protocol = Resp { flavor: config.flavor, server: Arc::new(config.server) };
    Redis::open(endpoint, protocol, spawner, log)
}

/// Tells which server of a ShardClient has a key, without asking any (DR-50, DR-51).
pub struct Chooser(ring::Ring);

impl Chooser {
    /// For servers with these URLs, as they are written.
    pub fn new<'u>(urls: impl IntoIterator<Item = &'u str>) -> Self {
        Self(ring::Ring::new(urls))
    }

    /// The index of the server that has a made key.
    pub fn server_of(&self, key: &MadeKey) -> usize {
        self.0.server_of(key.as_bytes())
    }
}

/// What the fuzz targets call.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    /// Reads what a server sent, at once and in pieces of so many bytes.
    pub fn replies(sent: &[u8], piece: usize) {
        crate::backend::net::fuzz::in_any_pieces::<super::decoder::Decoder>(sent, piece);
    }
}
