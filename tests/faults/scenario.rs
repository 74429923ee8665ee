//! One fault on one face: load before, during and after it, and then the way back to health.

use std::time::{Duration, Instant};

use larder::backend::Health;
use larder::config::BreakerRule;
use larder::timeout::Budget;

use super::client::{Ask, Client, Face, until};
use super::common::proxy::{Fault, Proxy};
use super::load::{Load, Record, Rules, Summary, may_have_happened, plain, row};
use super::servers::Servers;

/// The load before the fault begins, and after it is over.
const AROUND: Duration = Duration::from_millis(150);
/// How long it lasts: calls of several deadlines begin meanwhile.
const LASTING: Duration = Duration::from_millis(900);
/// After a deadline and this, calls that fail at once have used up all connections that had died.
const SURELY: Duration = Duration::from_millis(100);
/// Within this time all is to be well after the fault.
pub const WELL_WITHIN: Duration = Duration::from_secs(10);
/// So many calls of each sort have to succeed one after the other for that.
const IN_A_ROW: usize = 4;
/// Connections that may be open then: what the configuration says, and two for the asynchronous face.
const MAX_CONNECTIONS: u64 = 8 + 2;

/// A fault, and what has to come of it.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name in the table.
    pub name: &'static str,
    /// What goes wrong.
    pub fault: Fault,
    /// Open connections are reset first: the fault concerns new ones.
    pub cut_first: bool,
    /// The deadline of each call.
    pub deadline: Duration,
    /// What the calls under way have to show, so that the fault was really felt.
    pub felt: Felt,
    /// With the breaker.
    pub breaker: bool,
}

/// How a fault shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Felt {
    /// It costs time only.
    Slowness,
    /// Calls fail.
    Failures,
    /// Calls end by their deadline.
    Timeouts,
    /// Calls end by their deadline, and writes were under way: they may have happened.
    OpenWrites,
    /// Calls fail, and no write was sent: on the synchronous face none may have happened.
    Unsent,
}

/// What came of a scenario on one face.
pub struct Report {
    /// Its row in the table.
    pub row: String,
    /// What was wrong.
    pub problems: Vec<String>,
}

impl Scenario {
    /// A scenario with the usual deadline.
    pub const fn new(name: &'static str, fault: Fault, felt: Felt) -> Self {
        Self { name, fault, felt, cut_first: false, deadline: Duration::from_millis(250), breaker: false }
    }

    /// Runs it against servers that are well: the fault is on the way to the first.
    pub fn run(&self, face: Face, servers: &Servers) -> Report {
        let proxy = Proxy::start(servers.ports()[0]);
        let client = servers.open(proxy.port(), self.breaker.then(BreakerRule::default));
        let budget = Budget::new(self.deadline);
        let load = Load::new(&client, face, &format!("{}/{face:?}", self.name), budget, servers, proxy.port());
        let (mut on, mut off) = (Instant::now(), Instant::now());
        let records = load.run(|| {
            std::thread::sleep(AROUND);
            if self.cut_first {
                proxy.set(Fault::Refuse); // nobody gets a connection before the fault is on
            }
            proxy.set(self.fault);
            on = Instant::now();
            std::thread::sleep(LASTING);
            off = Instant::now();
            proxy.set(Fault::None);
            std::thread::sleep(AROUND);
        });
        let well = well_again(&client, face, &servers.key_on_first(proxy.port(), &load_key(self, face)))
            .map(|time| time + AROUND);

        let garbage = matches!(self.fault, Fault::Garbage | Fault::GarbageInReply);
        let mut problems = Rules { budget, garbage, forgets: false }.judge(&records);
        let summary = Summary::between(&records, on, off);
        if well.is_none() {
            problems.push(format!("not well again within {WELL_WITHIN:?}"));
        }
        let within = |one: &&Record| one.begun > on + self.deadline + SURELY && one.begun + one.took < off;
        let open = records.iter().filter(within).filter(|one| may_have_happened(&one.outcome)).count();
        problems.extend(self.missing_signs(face, open, &summary));
        problems.extend(load.judge_server(&records));
        problems.extend(load.judge_others(&records));
        problems.extend(self.unhealthy(&client.cache().health()));
        Report { row: row(self.name, face, &summary, budget, well), problems }
    }

    /// What the cache says of itself when all is well again: no more connections than it may have, and a breaker that
    /// did its work where there is one.
    fn unhealthy(&self, health: &[Health]) -> Option<String> {
        let [server, ..] = health else { return Some("there is no server".to_owned()) };
        let breaker = if self.breaker {
            server.breaker_opened > 0 && server.refused > 0 && !server.breaker_open
        } else {
            server.breaker_opened == 0 && server.refused == 0
        };
        let fine = breaker && (1..=MAX_CONNECTIONS).contains(&server.connections);
        (!fine).then(|| format!("{server:?}"))
    }

    /// `open` writes may have happened that were begun when no connection was left, not even one that had died
    /// unnoticed, and ended before there was one again.
    fn missing_signs(&self, face: Face, open: usize, all: &Summary) -> Option<String> {
        let failed = all.calls - all.ok;
        let shown = match self.felt {
            Felt::Slowness => all.ok > 0,
            Felt::Failures => failed > 0,
            Felt::Timeouts => all.timeouts > 0,
            Felt::OpenWrites => all.timeouts > 0 && all.maybe > 0,
            // What is queued for a connection is sent when there is one, so that it may happen even later.
            Felt::Unsent => failed > 0 && (face == Face::Asynchronous || open == 0),
        };
        let Summary { calls, ok, timeouts, maybe, .. } = all;
        (!shown).then(|| {
            format!(
                "{:?} is not seen in {calls} calls: {ok} ok, {timeouts} late, {maybe} open, {open} later",
                self.felt
            )
        })
    }
}

fn load_key(scenario: &Scenario, face: Face) -> String {
    plain(&format!("{}/{face:?}/well", scenario.name))
}

/// Waits until everything works, without the cache being opened anew; how long that took. The deadline is one that a
/// server which is well always keeps.
pub fn well_again(client: &Client, face: Face, name: &str) -> Option<Duration> {
    let budget = Budget::new(Duration::from_millis(500));
    let mut number = 0;
    until(WELL_WITHIN, || {
        (0..IN_A_ROW).all(|_| {
            number += 1;
            let set = client.ask(face, &Ask::Set(name.to_owned(), number), budget);
            let get = || client.ask(face, &Ask::Get(name.to_owned()), budget);
            set.is_ok() && matches!(get(), super::client::Outcome::Found(found) if found == [number])
        })
    })
}
