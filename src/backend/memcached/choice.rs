//! Which server has a key, as the Python clients decide it (M-4, M-5).

use std::sync::Arc;

use num_traits::ToPrimitive;
use smallvec::SmallVec;

use super::hash::{self, Murmur};
use crate::config::{self, Address, Failover, Hash, Memcached, MemcachedServer};
use crate::lock::Mutex;

/// How the servers of an alias are chosen from.
pub(super) enum Choice {
    /// pymemcache's.
    Rendezvous(Vec<Node>),
    /// libmemcached's without a ring: the hash modulo the number of servers.
    Modulo(Hash, usize),
    /// libmemcached's with one.
    Ring(Ring),
}

/// A server in pymemcache's eyes.
pub(super) struct Node {
    name: String,
    /// The hash of what stands before the key.
    start: Murmur,
}

/// The points of all servers, and of those that were there last time.
pub(super) struct Ring {
    servers: Vec<MemcachedServer>,
    rule: config::Ring,
    /// Whether servers that cannot be reached lose their points.
    ejects: bool,
    all: Vec<Point>,
    some: Mutex<Option<Rest>>,
}

/// Which servers were there, and their points.
type Rest = (Vec<bool>, Arc<Vec<Point>>);

/// A place on the ring, and the index of its server.
type Point = (u32, usize);

/// Points of a server: without weights, and with equal ones.
const POINTS: usize = 100;
const WEIGHTED_POINTS: u16 = 160;
/// Points that one MD5 gives.
const POINTS_PER_DIGEST: u16 = 4;
/// A port that is not named in a point.
const DEFAULT_PORT: u16 = 11211;

impl Choice {
    /// The choice of a configuration.
    pub(super) fn new(config: &Memcached) -> Self {
        let servers = &config.servers;
        match config.choice {
            config::Choice::Rendezvous => Self::Rendezvous(servers.iter().map(Node::of).collect()),
            config::Choice::Modulo(hash) => Self::Modulo(hash, servers.len()),
            config::Choice::Ketama(rule) => Self::Ring(Ring {
                all: points(servers, rule, &vec![true; servers.len()]),
                servers: servers.clone(),
                rule,
                ejects: matches!(config.failover, Failover::Eject { .. }),
                some: Mutex::new(None),
            }),
        }
    }

    /// The index of the server that has a made key, among those that are usable; `None` where none is.
    pub(super) fn pick(&self, key: &[u8], usable: &dyn Fn(usize) -> bool) -> Option<usize> {
        match self {
            Self::Rendezvous(nodes) if nodes.len() == 1 => usable(0).then_some(0),
            Self::Rendezvous(nodes) => rendezvous(nodes, key, usable),
            Self::Modulo(_, 1) => Some(0),
            Self::Modulo(hash, count) => usize::try_from(hash::of(*hash, key)).ok()?.checked_rem(*count),
            Self::Ring(ring) => ring.pick(key, usable),
        }
    }
}

impl Node {
    /// Its name is the host and the port, which is always there, or the socket's path.
    fn of(server: &MemcachedServer) -> Self {
        let name = match server.address {
            Address::Unix(_) => server.name.clone(),
            _ => format!("{}:{}", server.name, server.port()),
        };
        let mut start = Murmur::default();
        start.add(&masked(&name));
        start.add(b"-");
        Self { name, start }
    }
}

/// The highest score wins, and of equal ones the larger name.
fn rendezvous(nodes: &[Node], key: &[u8], usable: &dyn Fn(usize) -> bool) -> Option<usize> {
    let key = std::str::from_utf8(key).map_or_else(|_| SmallVec::from_slice(key), masked);
    let score = |node: &Node| {
        let mut hash = node.start;
        hash.add(&key);
        hash.sum()
    };
    let usable = nodes.iter().enumerate().filter(|(index, _)| usable(*index));
    let best = usable.max_by(|(_, one), (_, other)| (score(one), &one.name).cmp(&(score(other), &other.name)));
    best.map(|(index, _)| index)
}

/// What pymemcache hashes: the lowest eight bits of each character.
fn masked(text: &str) -> SmallVec<[u8; 256]> {
    if text.is_ascii() {
        return SmallVec::from_slice(text.as_bytes());
    }
    text.chars().map(|character| u32::from(character).to_le_bytes()[0]).collect()
}

impl Ring {
    fn pick(&self, key: &[u8], usable: &dyn Fn(usize) -> bool) -> Option<usize> {
        let hash = if self.servers.len() == 1 { 0 } else { hash::of(self.rule.hash, key) };
        if !self.ejects {
            return next(&self.all, hash);
        }
        let live: Vec<bool> = (0..self.servers.len()).map(usable).collect();
        match live.iter().filter(|live| **live).count() {
            0 => None,
            count if count == live.len() => next(&self.all, hash),
            _ => next(&self.without_dead(live), hash),
        }
    }

    /// The points without those of servers that are away: with weights the others get more.
    fn without_dead(&self, live: Vec<bool>) -> Arc<Vec<Point>> {
        if let Some((known, points)) = &*self.some.lock()
            && *known == live
        {
            return points.clone();
        }
        let points = Arc::new(points(&self.servers, self.rule, &live));
        *self.some.lock() = Some((live, points.clone()));
        points
    }
}

/// The server of the first point that is not before the hash.
fn next(points: &[Point], hash: u32) -> Option<usize> {
    let at = points.partition_point(|(point, _)| *point < hash);
    points.get(at).or(points.first()).map(|(_, server)| *server)
}

/// The points of the servers that are live, in order.
fn points(servers: &[MemcachedServer], rule: config::Ring, live: &[bool]) -> Vec<Point> {
    let live = || servers.iter().enumerate().zip(live).filter(|(_, live)| **live).map(|(server, _)| server);
    let (count, weights) = live()
        .fold((0_u16, 0_u64), |(count, sum), (_, server)| (count.saturating_add(1), sum + u64::from(server.weight)));
    let mut points = Vec::new();
    for (index, server) in live() {
        let digests = if rule.weighted { digests(server.weight, weights, count) } else { POINTS };
        for number in 0..digests {
            let name = point_name(server, rule.spy, number);
            if rule.weighted {
                let digest = hash::md5(name.as_bytes());
                points.extend(
                    digest.chunks_exact(4).filter_map(|part| Some((u32::from_le_bytes(part.try_into().ok()?), index))),
                );
            } else {
                points.push((hash::of(rule.hash, name.as_bytes()), index));
            }
        }
    }
    points.sort_unstable();
    points
}

/// From how many digests a server has its points, computed with libmemcached's precision.
fn digests(weight: u32, weights: u64, count: u16) -> usize {
    let share = weight.to_f32().unwrap_or(1.0) / weights.to_f32().unwrap_or(1.0);
    let each = share * f32::from(WEIGHTED_POINTS) / f32::from(POINTS_PER_DIGEST) * f32::from(count);
    (each + 0.000_000_000_1).floor().to_usize().unwrap_or(0)
}

fn point_name(server: &MemcachedServer, spy: bool, number: usize) -> String {
    let (name, port) = (&server.name, server.port());
    match port {
        _ if spy => format!("/{name}:{port}-{number}"),
        DEFAULT_PORT => format!("{name}-{number}"),
        _ => format!("{name}:{port}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Client;

    fn config(client: Client, servers: &[(&str, u16, u32)], choice: config::Choice, failover: Failover) -> Memcached {
        let servers = servers.iter().map(|(name, port, weight)| MemcachedServer {
            address: Address::Tcp((*name).to_owned(), *port),
            name: (*name).to_owned(),
            weight: *weight,
            shown: (*name).into(),
        });
        Memcached {
            client,
            servers: servers.collect(),
            choice,
            failover,
            key_prefix: String::new(),
            chooses_with_prefix: false,
            ascii_keys: false,
            compressed: false,
            breaker: None,
            resting: config::Resting::default(),
            connect: None,
            max_connections: 1,
            ignore_exceptions: false,
        }
    }

    fn rendezvous(servers: &[(&str, u16, u32)]) -> Choice {
        Choice::new(&config(Client::PyMemcache, servers, config::Choice::Rendezvous, Failover::None))
    }

    // M-4
    #[test]
    fn the_contract_s_examples_go_where_they_should() {
        let choice = rendezvous(&[("127.0.0.1", 11211, 1), ("127.0.0.1", 11212, 1)]);
        let picked: Vec<_> =
            [":1:a", ":1:b", ":1:c", ":1:é"].iter().map(|key| choice.pick(key.as_bytes(), &|_| true)).collect();
        assert_eq!(picked, [Some(1), Some(0), Some(0), Some(0)]);
    }

    #[test]
    fn keys_of_a_server_that_is_out_go_to_the_others_and_nobody_else_s_move() {
        let choice = rendezvous(&[("a", 1, 1), ("b", 1, 1), ("c", 1, 1)]);
        let key = |number: u32| format!(":1:k{number}");
        for number in 0..1000 {
            let usual = choice.pick(key(number).as_bytes(), &|_| true).unwrap();
            let without = choice.pick(key(number).as_bytes(), &|index| index != 1).unwrap();
            assert!(without != 1 && (usual == 1 || usual == without));
        }
        assert_eq!(choice.pick(b"k", &|_| false), None);
    }

    #[test]
    fn only_a_ring_that_ejects_looks_who_is_there() {
        let ring = config::Ring { hash: Hash::OneAtATime, weighted: true, spy: false };
        let servers = [("a", 1, 3), ("b", 1, 1), ("c", 1, 2)];
        let eject = Failover::Eject { failures: 1, pause: std::time::Duration::from_secs(1) };
        let open = |choice, failover| Choice::new(&config(Client::PyLibMc, &servers, choice, failover));
        let modulo = open(config::Choice::Modulo(Hash::OneAtATime), Failover::None);
        let stays = open(config::Choice::Ketama(ring), Failover::None);
        let ejects = open(config::Choice::Ketama(ring), eject);
        let two =
            Choice::new(&config(Client::PyLibMc, &[("a", 1, 3), ("c", 1, 2)], config::Choice::Ketama(ring), eject));
        for number in 0..1000 {
            let key = format!(":1:k{number}").into_bytes();
            assert_eq!(modulo.pick(&key, &|_| false), modulo.pick(&key, &|_| true));
            assert_eq!(stays.pick(&key, &|_| false), stays.pick(&key, &|_| true));
            assert_eq!(ejects.pick(&key, &|_| true), stays.pick(&key, &|_| true));
            let left = two.pick(&key, &|_| true).map(|index| [0, 2][index]);
            assert_eq!(ejects.pick(&key, &|index| index != 1), left);
        }
        assert_eq!(ejects.pick(b"k", &|_| false), None);
    }
}
