//! `django.core.cache.backends.memcached`: PyMemcacheCache and PyLibMCCache (rules M). What they have in common is
//! here, and what OPTIONS hands to pymemcache's HashClient; `pylibmc` has the other client's.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::alias::{Address, BreakerRule, Family, Keepalive, Resting, Serializer};
use super::class::Classes;
use super::connection::{seconds, wait};
use super::entry::{Built, Entry};
use super::names::did_you_mean;
use super::own::Own;
use super::place::{Place, Report, Setting};
use super::python::{int, is_true};
use super::{memcached_servers, pylibmc};
use crate::error::Result;

/// Connections at the same time, where nothing limits them.
const CONNECTIONS: usize = 100;

/// Which Python client a BACKEND stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `PyMemcacheCache`.
    PyMemcache,
    /// `PyLibMCCache`.
    PyLibMc,
}

/// The settings of a memcached alias.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each stands for one option of the Python clients")]
pub struct Memcached {
    /// Whose rules.
    pub client: Client,
    /// The servers (LOCATION); at least one. Their order counts with [`Choice::Modulo`].
    pub servers: Vec<MemcachedServer>,
    /// Which server a key belongs to (M-4, M-5).
    pub choice: Choice,
    /// What becomes of the keys of a server that cannot be reached (M-6).
    pub failover: Failover,
    /// What the client puts before every made key (`key_prefix`, `namespace`); ASCII. The choice of the server does not
    /// see it, unless [`Memcached::chooses_with_prefix`].
    pub key_prefix: String,
    /// `_hash_with_prefix_key`.
    pub chooses_with_prefix: bool,
    /// Keys may have only ASCII characters (`allow_unicode_keys` false).
    pub ascii_keys: bool,
    /// Long values are deflated (`compressed_serde`).
    pub compressed: bool,
    /// When calls to a server that fails are to fail at once; `None`: never (`"LARDER": {"BREAKER": …}`).
    pub breaker: Option<BreakerRule>,
    /// How connections that rest are kept, and looked at.
    pub resting: Resting,
    /// What connecting may take of a call's time (`connect_timeout`).
    pub connect: Option<Duration>,
    /// Blocking connections at the same time, to each server.
    pub max_connections: usize,
    /// `ignore_exc`: a server that is away or answers errors counts as an empty cache.
    pub ignore_exceptions: bool,
}

/// One memcached server (M-2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemcachedServer {
    /// Where it listens; never TLS.
    pub address: Address,
    /// The host without brackets, or the socket's path, as LOCATION has it: the choice of a server uses it.
    pub name: String,
    /// Its weight (pylibmc's third part), 1 where nothing is said.
    pub weight: u32,
    /// The server for messages.
    pub shown: Arc<str>,
}

impl MemcachedServer {
    /// The port, 0 for a socket.
    pub fn port(&self) -> u16 {
        match self.address {
            Address::Tcp(_, port) | Address::Tls(_, port, _) => port,
            Address::Unix(_) | Address::Service(_) => 0,
        }
    }
}

/// Which server a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// pymemcache: the highest murmur3 of server and key (M-4).
    Rendezvous,
    /// libmemcached's `modula`: the key's hash modulo the number of servers (M-5).
    Modulo(Hash),
    /// libmemcached's `consistent …`: the next point on a ring.
    Ketama(Ring),
}

/// A ring of libmemcached's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// The hash of keys, and of points where they have no weights.
    pub hash: Hash,
    /// Servers have points by their weight, four from each MD5.
    pub weighted: bool,
    /// Points are named as Java's spymemcached names them.
    pub spy: bool,
}

/// A hash of libmemcached's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// `default`: Jenkins's one-at-a-time.
    OneAtATime,
    /// `md5`.
    Md5,
    /// `crc`.
    Crc,
    /// `fnv1_64`.
    Fnv1Of64,
    /// `fnv1a_64`.
    Fnv1aOf64,
    /// `fnv1_32`.
    Fnv1Of32,
    /// `fnv1a_32`.
    Fnv1aOf32,
}

/// What becomes of the keys of a server that cannot be reached (M-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    /// They fail: libmemcached, unless it is told to eject.
    None,
    /// pymemcache: after `attempts` more failures, at least `retry` apart, the other servers take the keys over for
    /// `dead`.
    Rotate {
        /// `retry_attempts`.
        attempts: u32,
        /// `retry_timeout`.
        retry: Duration,
        /// `dead_timeout`.
        dead: Duration,
    },
    /// libmemcached's `auto_eject` or `remove_failed` on a ring: after so many failures the next servers on the ring take
    /// the keys over for a while.
    Eject {
        /// `failure_limit` or `remove_failed`.
        failures: u32,
        /// `dead_timeout`, else `retry_timeout`.
        pause: Duration,
    },
}

/// What OPTIONS says.
pub(super) struct Options {
    /// What there is no BACKEND-specific word for.
    pub config: Memcached,
    /// How long an answer may take.
    pub timeout: Option<Duration>,
    /// Connections at the same time.
    pub connections: Option<usize>,
    /// The pickle protocol to write.
    pub protocol: u8,
    /// Servers are sorted before they are counted (`_sort_hosts`).
    pub sorted: bool,
    /// What larder does not have.
    pub lacking: Option<String>,
}

impl Options {
    /// Notes what larder does not have.
    pub fn lack(&mut self, place: &Place, why: &str) {
        self.lacking.get_or_insert_with(|| format!("{place}: {why}"));
    }
}

/// Reads what is this backend's own.
pub(super) fn read(entry: &Entry<'_>, own: &Own, client: Client, report: &mut Report) -> Result<Built> {
    let config = Memcached {
        client,
        servers: Vec::new(),
        choice: match client {
            Client::PyMemcache => Choice::Rendezvous,
            Client::PyLibMc => Choice::Modulo(Hash::OneAtATime),
        },
        failover: match client {
            Client::PyMemcache => {
                Failover::Rotate { attempts: 2, retry: Duration::from_secs(1), dead: Duration::from_mins(1) }
            }
            Client::PyLibMc => Failover::None,
        },
        key_prefix: String::new(),
        chooses_with_prefix: false,
        ascii_keys: false,
        compressed: false,
        breaker: own.breaker,
        resting: Resting::default(),
        connect: None,
        max_connections: CONNECTIONS,
        ignore_exceptions: false,
    };
    let mut options = Options { config, timeout: None, connections: None, protocol: 5, sorted: false, lacking: None };
    let weighted = match client {
        Client::PyMemcache => pymemcache(&mut options, entry, report).map(|()| None)?,
        Client::PyLibMc => Some(pylibmc::read(&mut options, entry, report)?),
    };
    let Options { mut config, timeout, connections, protocol, sorted, lacking } = options;
    let (mut servers, udp) = memcached_servers::read(entry, client, report)?;
    if sorted {
        servers.sort_by(|one, other| (one.name.as_bytes(), one.port()).cmp(&(other.name.as_bytes(), other.port())));
    }
    if let (Some(wanted), Choice::Ketama(ring)) = (weighted, &mut config.choice) {
        ring.weighted = wanted || servers.iter().any(|server| server.weight > 1);
    }
    if let Some(reason) = lacking.or(udp) {
        let family = Family::NotBuiltIn { reason };
        return Ok(Built { timeout, serializer: Serializer::Pickle(protocol), ..Built::plain(family) });
    }
    config.servers = servers;
    config.max_connections = own.max_connections.or(connections).unwrap_or(CONNECTIONS);
    config.resting.unheard = config.resting.unheard.max(own.timeout.or(timeout).unwrap_or_default());
    let family = Family::Memcached(config);
    Ok(Built { timeout, serializer: Serializer::Pickle(protocol), ..Built::plain(family) })
}

// ---- pymemcache ----

/// Every name that pymemcache's HashClient takes.
const KNOWN: [&str; 24] = [
    // These have a meaning here.
    "connect_timeout",
    "timeout",
    "key_prefix",
    "use_pooling",
    "max_pool_size",
    "retry_attempts",
    "retry_timeout",
    "dead_timeout",
    "ignore_exc",
    "allow_unicode_keys",
    "serde",
    "socket_keepalive",
    // These change nothing here.
    "no_delay",
    "pool_idle_timeout",
    "default_noreply",
    "encoding",
    // The values of these are Python objects.
    "hasher",
    "serializer",
    "deserializer",
    "socket_module",
    "lock_generator",
    "tls_context",
    // The program cannot give these: Django does, and HashClient.
    "servers",
    "server",
];

const SERDES: Classes<()> = Classes {
    noun: "serde",
    known: &[("pymemcache.serde.pickle_serde", ()), ("pymemcache.serde.compressed_serde", ())],
    later: &[],
    home: "pymemcache.",
    register: "",
};

const HASHERS: Classes<()> = Classes {
    noun: "hasher",
    known: &[("pymemcache.client.rendezvous.RendezvousHash", ())],
    later: &[],
    home: "pymemcache.",
    register: "",
};

/// M-3: all of OPTIONS are keyword arguments of HashClient.
fn pymemcache(options: &mut Options, entry: &Entry<'_>, report: &mut Report) -> Result<()> {
    for (name, setting) in entry.options() {
        take(options, name, &setting, report)?;
    }
    let pooled = entry.option("use_pooling").is_some_and(|setting| is_true(setting.value));
    if let (Some(size), false) = (entry.option("max_pool_size"), pooled) {
        report.warn(&size.place, "has no effect without use_pooling, as in pymemcache");
        options.connections = None;
    }
    Ok(())
}

fn take(options: &mut Options, name: &str, setting: &Setting<'_>, report: &mut Report) -> Result<()> {
    let config = &mut options.config;
    match name {
        "timeout" => options.timeout = wait(setting, report)?,
        "connect_timeout" => config.connect = wait(setting, report)?,
        "key_prefix" => config.key_prefix = key_prefix(setting, report)?,
        "max_pool_size" => options.connections = pool_size(setting, report)?,
        "retry_attempts" | "retry_timeout" | "dead_timeout" => take_failover(config, name, setting, report)?,
        "ignore_exc" => config.ignore_exceptions = is_true(setting.value),
        "allow_unicode_keys" => config.ascii_keys = !is_true(setting.value),
        "socket_keepalive" if is_true(setting.value) => {
            config.resting.keepalive = Some(keepalive(setting, report)?);
        }
        "serde" => return take_serde(options, setting, report),
        "hasher" => {
            if let Some(reason) = HASHERS.lacking(setting, report)? {
                options.lacking.get_or_insert(reason);
            }
        }
        "encoding" => {
            // numbers are all that it is used for, and these are the same in all of them
            let same = ["ascii", "us-ascii", "utf-8", "utf8", "latin-1", "latin1", "iso-8859-1"];
            if !same.contains(&setting.text(report)?.to_lowercase().as_str()) {
                options.lack(&setting.place, "this version of larder has only the default");
            }
        }
        "default_noreply" if is_true(setting.value) => {
            report.warn(
                &setting.place,
                "larder waits for the answers all the same, so that it can tell what became of a write",
            );
        }
        "use_pooling" | "no_delay" | "pool_idle_timeout" | "default_noreply" | "socket_keepalive" => {}
        "tls_context" if is_true(setting.value) => {
            let why = "must be a Python object, which JSON cannot hold, and larder speaks no TLS with memcached: reach the \
                       server through a TLS proxy on this machine (stunnel), and leave this out";
            return Err(setting.place.error(why));
        }
        "serializer" | "deserializer" | "socket_module" | "lock_generator" | "tls_context" => {
            if is_true(setting.value) {
                return Err(setting.place.error("must be a Python object, which JSON cannot hold; leave it out"));
            }
        }
        "servers" | "server" => {
            return Err(setting.place.error("is what LOCATION says; Python raises a TypeError here"));
        }
        "MAX_ENTRIES" | "CULL_FREQUENCY" => {
            report.warn(&setting.place, "has no effect here, and pymemcache refuses it (TypeError)"); // P-12
        }
        _ => {
            let hint = did_you_mean(name, &KNOWN);
            return Err(setting.place.error(format_args!("pymemcache has no such option{hint}")));
        }
    }
    Ok(())
}

fn take_serde(options: &mut Options, setting: &Setting<'_>, report: &Report) -> Result<()> {
    if !is_true(setting.value) {
        options.lack(&setting.place, "without a serde pymemcache stores only bytes; this version of larder has pickle_serde and compressed_serde");
        return Ok(());
    }
    if let Some(reason) = SERDES.lacking(setting, report)? {
        options.lacking.get_or_insert(reason);
    }
    options.config.compressed = setting.value.as_str().is_some_and(|path| path.ends_with(".compressed_serde"));
    Ok(())
}

fn take_failover(config: &mut Memcached, name: &str, setting: &Setting<'_>, report: &Report) -> Result<()> {
    let Failover::Rotate { attempts, retry, dead } = &mut config.failover else { return Ok(()) };
    let pause = || match setting.value {
        Value::Number(number) if number.as_f64() == Some(0.0) => Ok(Duration::ZERO),
        value => seconds(value).ok_or_else(|| setting.must_be("a number of seconds, 0 or greater", report)),
    };
    match name {
        "retry_timeout" => *retry = pause()?,
        "dead_timeout" => *dead = pause()?,
        _ => {
            let number = int(setting.value).filter(|_| setting.value.is_number());
            let number = number.ok_or_else(|| setting.must_be("a whole number", report))?;
            *attempts = u32::try_from(number.max(0)).unwrap_or(u32::MAX);
        }
    }
    Ok(())
}

/// What the client puts before keys. Python wants bytes here, which JSON does not have: a text stands for them.
pub(super) fn key_prefix(setting: &Setting<'_>, report: &Report) -> Result<String> {
    let prefix = setting.text(report)?;
    if prefix.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(setting
            .place
            .error("must have only visible ASCII characters, since it becomes a part of every key"));
    }
    if prefix.len() >= 250 {
        return Err(setting.place.error("leaves no room for keys, which have 250 bytes with it"));
    }
    Ok(prefix.to_owned())
}

fn pool_size(setting: &Setting<'_>, report: &Report) -> Result<Option<usize>> {
    if setting.value.is_null() {
        return Ok(None);
    }
    let size = setting.value.as_u64().filter(|size| *size > 0).and_then(|size| usize::try_from(size).ok());
    size.map(Some).ok_or_else(|| setting.must_be("a whole number greater than 0", report))
}

/// pymemcache's KeepaliveOpts, written as an object.
fn keepalive(setting: &Setting<'_>, report: &Report) -> Result<Keepalive> {
    let mut keepalive = Keepalive { idle: Some(1), interval: Some(1), count: Some(5) };
    let wanted = "an object with idle, intvl and cnt, for pymemcache's KeepaliveOpts";
    let object = setting.value.as_object().ok_or_else(|| setting.must_be(wanted, report))?;
    for (name, value) in object {
        let inside = Setting { place: setting.place.at(name), value, secret: false };
        let option = match name.as_str() {
            "idle" => &mut keepalive.idle,
            "intvl" => &mut keepalive.interval,
            "cnt" => &mut keepalive.count,
            _ => {
                let hint = did_you_mean(name, &["idle", "intvl", "cnt"]);
                return Err(inside.place.error(format_args!("KeepaliveOpts has no such option{hint}")));
            }
        };
        // Linux has no room for more.
        let number =
            int(value).filter(|number| (1..=32_767).contains(number)).and_then(|number| number.try_into().ok());
        *option = Some(number.ok_or_else(|| inside.must_be("a whole number from 1 to 32767", report))?);
    }
    Ok(keepalive)
}
