//! The cache of an alias: one server or several, each key on the one that its client would choose (M-4, M-5).
//!
//! Operations on one key keep their order, since a key has one server; what works on several waits for its turn on each.

use std::borrow::Cow;
use std::sync::Arc;

use super::calls::{habits, supports};
use super::choice::Choice;
use super::key;
use super::protocol::Text;
use super::standing::Standing;
use crate::backend::net::{self, Endpoint, Spread, Turns, Whole, divide};
use crate::backend::request::by_call;
use crate::backend::unsupported;
use crate::backend::{
    Answer, Backend, Capability, Counted, Entry, Habits, Health, Job, Keys, Order, Page, Reply, Request, Sink, Spawner,
    Stored, StoredRef, Ticket, Touched, When, Written, perform,
};
use crate::config::{self, Failover};
use crate::error::{Error, Kind, Result};
use crate::key::MadeKey;
use crate::lock::Mutex;
use crate::log::Log;
use crate::timeout::{Budget, Ttl};

/// The servers of an alias.
pub(super) struct Several {
    config: config::Memcached,
    choice: Choice,
    members: Vec<Arc<Member>>,
    spawner: Arc<dyn Spawner>,
    turns: Turns,
}

/// One of the servers.
struct Member {
    server: net::Server<Text>,
    standing: Arc<Standing>,
}

impl Several {
    /// Connects when it is first used. `spawner` runs the asynchronous operations; `log` hears of servers that come and
    /// go.
    pub(super) fn open(config: config::Memcached, spawner: &Arc<dyn Spawner>, log: &Arc<dyn Log>) -> Self {
        let member = |server: &config::MemcachedServer| {
            let shown = server.shown.clone();
            // the only one has nobody who could take its keys over
            let rule = if config.servers.len() > 1 { config.failover } else { Failover::None };
            let standing = Arc::new(Standing::new(rule, shown.clone(), log.clone()));
            let endpoint = Endpoint {
                address: server.address.clone(),
                shown,
                connect: config.connect,
                connect_setting: "connect_timeout",
                max_connections: config.max_connections,
                connections_setting: "max_pool_size or LARDER.MAX_CONNECTIONS",
                resting: config.resting.clone(),
                breaker: config.breaker,
                finder: None,
                watch: Some(standing.clone()),
            };
            let server = net::Server::open(endpoint, Text::new(config.client), spawner.clone(), log.clone());
            Arc::new(Member { server, standing })
        };
        let members = config.servers.iter().map(member).collect();
        Self { choice: Choice::new(&config), members, config, spawner: spawner.clone(), turns: Turns::default() }
    }

    /// The server of a key, and the key as it is sent there.
    fn locate<'k>(&self, key: &'k MadeKey) -> Result<(&Arc<Member>, Cow<'k, MadeKey>)> {
        key::check(&self.config, key)?; // K-7, K-8
        let prefix = self.config.key_prefix.as_bytes();
        let sent = if prefix.is_empty() { Cow::Borrowed(key) } else { Cow::Owned(key.behind(prefix)) };
        let usable = |index: usize| self.members.get(index).is_some_and(|member| member.standing.is_usable());
        let by = if self.config.chooses_with_prefix { &sent } else { key };
        let chosen = self.choice.pick(by.as_bytes(), &usable).or_else(|| {
            // Nobody is left to take keys over: then to leave servers out only makes it longer until all is well again.
            self.members.iter().for_each(|member| member.standing.readmit());
            self.choice.pick(by.as_bytes(), &|_| true)
        });
        let member = chosen.and_then(|index| self.members.get(index));
        member.map(|member| (member, sent)).ok_or_else(no_server)
    }

    /// What becomes of a request that is not about one key.
    fn spread(&self, request: &Request<'_>) -> Result<Spread<Member>> {
        let lenient = self.config.ignore_exceptions;
        let locate = |key: &MadeKey| self.locate(key).map(|(member, sent)| (member, sent.into_owned()));
        match *request {
            Request::GetMany(keys) => {
                let parts = divide(keys, locate)?;
                Ok(Spread::of(parts, Order::GetMany, |places| Whole::of_values(keys.len(), places, lenient)))
            }
            Request::SetMany(entries, ttl) => {
                let parts = divide(entries, |entry: &Entry| {
                    locate(&entry.key).map(|(member, key)| (member, Entry { key, value: entry.value.clone() }))
                })?;
                let order = |entries| Order::SetMany(entries, ttl);
                Ok(Spread::of(parts, order, |places| Whole::of_writes(entries.len(), places)))
            }
            Request::DeleteMany(keys) => {
                let parts = divide(keys, locate)?;
                Ok(Spread::of(parts, Order::DeleteMany, |places| Whole::of_removals(places.len(), lenient)))
            }
            Request::Clear(None) => Ok(Spread::to_all(&self.members, &Order::Clear(None))),
            Request::Ping => Ok(Spread::to_all(&self.members, &Order::Ping)),
            Request::PurgeExpired => Ok(Spread::of_nothing()),
            _ => Err(unsupported("listing keys")),
        }
    }

    /// The server that gets requests for several keys as they are.
    fn only(&self) -> Option<&Member> {
        match &*self.members {
            [only] if self.config.key_prefix.is_empty() => Some(only),
            _ => None,
        }
    }

    fn call(&self, request: &Request<'_>, budget: Budget) -> Result<Reply> {
        let Some(key) = request.key() else { return self.call_several(request, budget) };
        let (member, sent) = self.locate(key)?;
        let budget = if is_plain_set(request) { budget.fixed() } else { budget };
        let reply = perform(&member.server, &request.on(&sent), budget)?;
        if is_refusal(request, &reply) {
            member.server.delete(&sent, budget)?; // M-10
            return Err(not_stored());
        }
        Ok(reply)
    }

    /// Asks all servers before the first answer is read: each gets all its keys at once.
    fn call_several(&self, request: &Request<'_>, budget: Budget) -> Result<Reply> {
        let budget = budget.fixed();
        if let (Some(only), Request::GetMany(keys)) = (self.only(), request) {
            keys.iter().try_for_each(|key| self.locate(key).map(drop))?;
            return perform(&only.server, request, budget);
        }
        self.spread(request)?.ask(|member| &member.server, budget)
    }

    fn begin(&self, request: &Request<'_>, budget: Budget, ticket: Ticket) -> std::result::Result<(), (Ticket, Error)> {
        let Some(key) = request.key() else {
            let spread = match self.spread(request) {
                Ok(spread) => spread,
                Err(error) => return Err((ticket, error)),
            };
            spread.begin(|member| &member.server, budget, ticket);
            return Ok(());
        };
        let (member, sent) = match self.locate(key) {
            Ok(located) => located,
            Err(error) => return Err((ticket, error)),
        };
        if !is_plain_set(request) {
            member.server.start(request.on(&sent), budget, ticket);
            return Ok(());
        }
        let budget = budget.fixed();
        let unsetting = Unsetting {
            member: member.clone(),
            key: sent.clone().into_owned(),
            budget,
            spawner: self.spawner.clone(),
            ticket: Mutex::new(Some(ticket)),
        };
        member.server.start(request.on(&sent), budget, Ticket::new(Arc::new(unsetting), 0));
        Ok(())
    }
}

/// Whether a request is a set that nothing but the server can refuse.
fn is_plain_set(request: &Request<'_>) -> bool {
    matches!(request, Request::Set { when: When::Always, .. })
}

/// Whether the server refused it all the same.
fn is_refusal(request: &Request<'_>, reply: &Reply) -> bool {
    is_plain_set(request) && matches!(reply, Reply::Written(Written::NotStored))
}

/// Removes the old value where the server did not store the new one (M-10), and answers then.
struct Unsetting {
    member: Arc<Member>,
    key: MadeKey,
    budget: Budget,
    spawner: Arc<dyn Spawner>,
    ticket: Mutex<Option<Ticket>>,
}

impl Sink for Unsetting {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        let Some((_, answer)) = answers.pop() else { return };
        let Some(ticket) = self.ticket.lock().take() else { return };
        let Ok(Reply::Written(Written::NotStored)) = answer else { return ticket.answer(answer) };
        let (member, key, budget) = (self.member.clone(), self.key.clone(), self.budget);
        // Where it cannot be begun any more the ticket is dropped, which is an answer.
        let _ = self.spawner.spawn(Box::pin(async move {
            let done = Ticket::new(Arc::new(Unset(Mutex::new(Some(ticket)))), 0);
            member.server.start(Request::Delete(&key), budget, done);
        }));
    }
}

/// Answers a set whose old value was removed.
struct Unset(Mutex<Option<Ticket>>);

impl Sink for Unset {
    fn deliver(&self, answers: &mut Vec<Answer>) {
        let Some((_, answer)) = answers.pop() else { return };
        if let Some(ticket) = self.0.lock().take() {
            ticket.answer(answer.and_then(|_| Err(not_stored())));
        }
    }
}

fn not_stored() -> Error {
    Error::new(Kind::Server, "the server did not store the value; the old one was removed")
}

fn no_server() -> Error {
    Error::new(Kind::Panic, "no server was chosen")
}

impl Backend for Several {
    fn supports(&self, capability: Capability) -> bool {
        supports(capability)
    }

    fn habits(&self) -> Habits {
        habits()
    }

    by_call!();

    fn start(&self, request: Request<'_>, budget: Budget, ticket: Ticket) {
        if let Err((ticket, error)) = self.begin(&request, budget, ticket) {
            ticket.answer(Err(error));
        }
    }

    fn start_job(&self, keys: Keys<'_>, budget: Budget, job: Job) {
        let parts = match keys {
            Keys::All => Ok(Turns::on_all(&self.members)),
            Keys::These(keys) => {
                // as they are sent: the order is kept by that
                let places = keys.iter().map(|key| self.locate(key).map(|(member, sent)| (member, sent.into_owned())));
                places.collect::<Result<Vec<_>>>().map(Turns::on)
            }
        };
        match parts {
            Ok(parts) => self.turns.start(&parts, |member| &member.server, budget, &self.spawner, job),
            Err(error) => job(Err(error)),
        }
    }

    fn begin_batch(&self) {
        self.members.iter().for_each(|member| member.server.begin_batch());
    }

    fn end_batch(&self) {
        self.members.iter().for_each(|member| member.server.end_batch());
    }

    fn health(&self) -> Vec<Health> {
        self.members.iter().flat_map(|member| member.server.health()).collect()
    }
}
