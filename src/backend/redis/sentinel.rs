//! Sentinels: they are asked where a service's primary and its replicas are (DR-35).
//!
//! As redis-py does: `SENTINEL MASTERS`, and `SENTINEL SLAVES` for replicas, one Sentinel after the other, the one that
//! answered last first. That what they name is a primary is seen by ROLE (`greeting`), since they can be behind the times.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Resp;
use super::fault::{answered, contains, is_about_users};
use super::resp::{Frame, command};
use crate::backend::net::{Endpoint, Finder, Next, Reading, Spot, Unfound, Visitor, unexpected};
use crate::config::{Address, Flavor, Resting, Server, Service};
use crate::error::{Error, Kind, Result};
use crate::lock::Mutex;
use crate::timeout::Deadline;

/// More is not taken of one Sentinel's answer: a thousand services are some 600 KB.
const LONGEST_ANSWER: usize = 8 << 20;
/// No Sentinel may take longer, however much time a call has.
const LONGEST_VISIT: Duration = Duration::from_secs(1);
/// So many names of services are shown.
const SHOWN: usize = 8;
/// The longest name of a host.
const LONGEST_HOST: usize = 255;

/// The Sentinels of one alias, and what they are asked for.
pub(super) struct Sentinels {
    service: Service,
    /// The name in lower case, where that differs: redis-py knows no other (DR-32).
    lower: Option<String>,
    visitors: Vec<Visitor<Resp>>,
    /// In which order they are asked.
    order: Mutex<Vec<usize>>,
    /// Whose turn it is among replicas.
    turn: AtomicUsize,
}

/// A server, as a Sentinel describes it.
struct Node {
    name: Vec<u8>,
    host: String,
    port: u16,
    up: bool,
}

/// What one Sentinel says.
enum Said {
    /// Where to go.
    Spots(Vec<Spot>),
    /// Nobody can be reached now.
    Down,
    /// It knows no such service, only these.
    Unknown(Vec<String>),
}

impl Sentinels {
    pub(super) fn new(service: &Service, flavor: Flavor) -> Self {
        let visitors: Vec<_> = service.sentinels.iter().map(|sentinel| visitor(sentinel, flavor)).collect();
        let lower = service.name.to_lowercase();
        Self {
            lower: Some(lower).filter(|lower| *lower != *service.name),
            order: Mutex::new((0..visitors.len()).collect()),
            turn: AtomicUsize::new(usize::try_from(RandomState::new().hash_one(0) >> 33).unwrap_or(0)),
            service: service.clone(),
            visitors,
        }
    }

    fn ask(&self, visitor: &Visitor<Resp>, deadline: &Deadline) -> Result<Said> {
        let answers = visitor.ask(deadline, |out| {
            command(out, &[b"SENTINEL", b"MASTERS"]);
            let mut missing = 1;
            if !self.service.primary {
                for name in [Some(&*self.service.name), self.lower.as_deref()].into_iter().flatten() {
                    command(out, &[b"SENTINEL", b"SLAVES", name.as_bytes()]);
                    missing += 1;
                }
            }
            Listing { frames: Vec::new(), missing }
        })?;
        let mut answers = answers.iter();
        let primaries = answers.next().and_then(|frame| nodes(frame, b"master")).ok_or_else(unexpected)?;
        let named = |name: &str| primaries.iter().find(|node| node.name == name.as_bytes());
        let written = named(&self.service.name);
        let Some(primary) = written.or_else(|| named(self.lower.as_deref()?)) else {
            let name = |node: &Node| String::from_utf8_lossy(&node.name).chars().take(60).collect();
            return Ok(Said::Unknown(primaries.iter().map(name).collect()));
        };
        let mut spots = Vec::new();
        if !self.service.primary {
            // where the name as it is written is not known, the second answer is to the other one
            let replicas = answers.nth(usize::from(written.is_none()));
            let replicas = replicas.and_then(|frame| nodes(frame, b"slave")).unwrap_or_default();
            spots.extend(replicas.iter().filter(|node| node.up).map(|node| self.spot(node, "replica ", visitor)));
            let turn = self.turn.fetch_add(1, Ordering::Relaxed).checked_rem(spots.len());
            spots.rotate_left(turn.unwrap_or(0));
        }
        if primary.up {
            spots.push(self.spot(primary, "", visitor));
        }
        Ok(if spots.is_empty() { Said::Down } else { Said::Spots(spots) })
    }

    fn spot(&self, node: &Node, what: &str, visitor: &Visitor<Resp>) -> Spot {
        let Node { host, port, .. } = node;
        let (name, sentinel) = (&self.service.name, visitor.shown());
        let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Spot {
            address: match &self.service.tls {
                Some(tls) => Address::Tls(host.clone(), *port, tls.clone()), // DR-37
                None => Address::Tcp(host.clone(), *port),
            },
            shown: format!("service {name} ({what}{place} by {sentinel})").into(),
        }
    }

    /// No Sentinel could say where to go.
    fn nowhere(&self, down: bool, names: Option<BTreeSet<String>>, failures: &[Error]) -> Unfound {
        let name = &self.service.name;
        let what = if self.service.primary { "primary" } else { "server" };
        let too_late = names.is_none() && failures.is_empty();
        let mut reasons: Vec<String> = failures.iter().map(told).collect();
        let begin = match names {
            _ if down => format!("the Sentinels know no {what} of it that can be reached now"),
            Some(names) if names.is_empty() => format!("no Sentinel knows a service {name}, or any other"),
            Some(names) => {
                let mut shown: Vec<&str> = names.iter().map(String::as_str).take(SHOWN).collect();
                shown.extend((names.len() > SHOWN).then_some("…"));
                format!("no Sentinel knows a service {name} (case counts), only {}", shown.join(", "))
            }
            None => "no Sentinel could be asked".to_owned(),
        };
        let strange = begin.starts_with("no Sentinel knows");
        reasons.insert(0, begin);
        let error = Error::new(Kind::Connection, reasons.join("; "));
        // one that was slow, or that this call had no time to ask, may be quicker the next time
        if down || too_late || failures.iter().any(|error| error.kind() == Kind::Timeout) {
            return Unfound::NotNow(error);
        }
        // a Sentinel that was away may know better
        let passing = if strange { !failures.is_empty() } else { failures.iter().all(Error::is_retriable) };
        Unfound::NotAtAll(error.retriable_if(passing))
    }
}

fn told(error: &Error) -> String {
    match error.server() {
        Some(server) => format!("{server}: {}", error.reason()),
        None => error.reason().to_owned(),
    }
}

fn visitor(sentinel: &Server, flavor: Flavor) -> Visitor<Resp> {
    let endpoint = Endpoint {
        address: sentinel.address.clone(),
        shown: sentinel.shown.clone(),
        connect: None, // a visit as a whole has its time
        connect_setting: "SENTINEL_KWARGS.socket_connect_timeout",
        max_connections: 1,
        connections_setting: "SENTINELS",
        resting: Resting::default(),
        breaker: None,
        finder: None,
        watch: None,
    };
    Visitor::new(endpoint, Resp { flavor, server: Arc::new(sentinel.clone()) }, LONGEST_ANSWER)
}

impl Finder for Sentinels {
    fn find(&self, deadline: &Deadline) -> Result<Vec<Spot>, Unfound> {
        let order = self.order.lock().clone();
        let (mut failures, mut down, mut names) = (Vec::new(), false, None);
        for (position, index) in order.iter().enumerate() {
            let (Some(visitor), Some(left)) = (self.visitors.get(*index), deadline.left()) else { break };
            // those that are left get as much each, and so does connecting to what is found
            let shares = u32::try_from(order.len() - position).unwrap_or(u32::MAX).saturating_add(1);
            let share = (left / shares).min(LONGEST_VISIT).min(self.service.patience.unwrap_or(LONGEST_VISIT));
            match self.ask(visitor, &deadline.at_most(share)) {
                Ok(Said::Spots(spots)) => {
                    self.order.lock().sort_by_key(|other| other != index); // it is asked first the next time
                    return Ok(spots);
                }
                Ok(Said::Down) => down = true,
                Ok(Said::Unknown(some)) => {
                    names.get_or_insert_with(BTreeSet::new).extend(some.into_iter().map(|name| plain(&name)));
                }
                Err(error) if error.kind() == Kind::Timeout => {
                    let reason = format!("it does not answer within {} ms", share.as_millis());
                    failures.push(Error::new(Kind::Timeout, reason).at_server(visitor.shown()));
                }
                Err(error) => failures.push(error.at_server(visitor.shown())),
            }
        }
        Err(self.nowhere(down, names, &failures))
    }

    fn distrust(&self) {
        let mut order = self.order.lock();
        if !order.is_empty() {
            order.rotate_left(1);
        }
    }
}

/// A name without what could deceive who reads it.
fn plain(name: &str) -> String {
    name.chars().filter(|one| !one.is_control()).collect()
}

/// Waits for the replies to some listings; those are `None` where there is no such service.
struct Listing {
    frames: Vec<Frame>,
    missing: usize,
}

impl Reading for Listing {
    type Frame = Frame;
    type Answer = Vec<Frame>;

    fn read(mut self, frame: Frame, _: &mut Vec<u8>) -> Next<Self> {
        match (&frame, self.frames.is_empty()) {
            (Frame::Error(text), true) => return Next::Done(Err(refused(text))),
            (Frame::Array(_) | Frame::Error(_) | Frame::Null, _) => self.frames.push(frame),
            _ => return Next::Broken(unexpected()),
        }
        self.missing -= 1;
        if self.missing == 0 { Next::Done(Ok(self.frames)) } else { Next::More(self) }
    }
}

fn refused(text: &[u8]) -> Error {
    let reason = if is_about_users(text) {
        "it asks for a password, or refuses the one that it got: see SENTINEL_KWARGS"
    } else if contains(text, b"unknown command") {
        "it is no Sentinel; is that the port of a Redis server?"
    } else {
        return answered(text);
    };
    Error::new(Kind::Server, reason)
}

/// The servers that a listing describes; `None` where it is no listing. What makes no sense is left out.
fn nodes(frame: &Frame, kind: &[u8]) -> Option<Vec<Node>> {
    let Frame::Array(items) = frame else { return None };
    Some(items.iter().filter_map(|item| node(item, kind)).collect())
}

fn node(frame: &Frame, kind: &[u8]) -> Option<Node> {
    let (Frame::Array(fields) | Frame::Map(fields)) = frame else { return None };
    let field = |wanted: &[u8]| {
        fields.chunks_exact(2).find_map(|pair| match pair {
            [Frame::Bulk(name), Frame::Bulk(value)] if **name == *wanted => Some(value),
            _ => None,
        })
    };
    let host = std::str::from_utf8(field(b"ip")?).ok()?;
    let port = std::str::from_utf8(field(b"port")?).ok()?.parse().ok().filter(|port| *port > 0)?;
    let usable = !host.is_empty() && host.len() <= LONGEST_HOST && host.bytes().all(|byte| byte.is_ascii_graphic());
    let flags: Vec<&[u8]> = field(b"flags")?.split(|byte| *byte == b',').collect();
    let has = |flag: &[u8]| flags.contains(&flag);
    let up = has(kind) && !has(b"s_down") && !has(b"o_down");
    usable.then(|| Node {
        name: field(b"name").map(|name| name.to_vec()).unwrap_or_default(),
        host: host.to_owned(),
        port,
        up,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeout::Budget;

    #[test]
    fn a_call_without_time_says_nothing_about_the_service() {
        let sentinel = Server {
            address: Address::Tcp("127.0.0.1".into(), 1),
            username: None,
            password: None,
            database: 0,
            client_name: None,
            shown: "127.0.0.1:1".into(),
        };
        let sentinels = vec![sentinel];
        let service = Service { name: "mymaster".into(), primary: true, sentinels, patience: None, tls: None };
        let found = Sentinels::new(&service, Flavor::DjangoRedis).find(&Budget::new(Duration::ZERO).start());
        assert!(matches!(found, Err(Unfound::NotNow(_))), "others may go on waiting for it");
    }
}
