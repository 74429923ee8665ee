//! larder and a real server with a network between them that does everything wrong: each call ends by its deadline with
//! the right status, nobody gets another key's value, and the cache is well again when the network is, without being
//! opened anew. `cargo test --test faults -- --nocapture` prints the table of the times.
#![cfg(all(feature = "memory", feature = "redis", feature = "memcached"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "faults/client.rs"]
mod client;
mod common;
#[path = "faults/hidden.rs"]
mod hidden;
#[path = "faults/large.rs"]
mod large;
#[path = "faults/load.rs"]
mod load;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/scenario.rs"]
mod scenario;
#[path = "faults/server.rs"]
mod server;
#[path = "faults/servers.rs"]
mod servers;
#[path = "faults/witness.rs"]
mod witness;

use std::sync::Mutex;
use std::time::Duration;

use client::{FACES, Face};
use common::proxy::Fault;
use load::head;
use scenario::{Felt, Report, Scenario};
use servers::Servers;

/// So many scenarios at the same time: they mostly wait.
const AT_ONCE: usize = 4;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// All faults of the proxy.
const SCENARIOS: [Scenario; 19] = [
    Scenario::new("nothing", Fault::None, Felt::Slowness),
    Scenario::new("delay 20 ms", Fault::Delay(ms(20)), Felt::Slowness),
    Scenario::new("delay 400 ms", Fault::Delay(ms(400)), Felt::OpenWrites),
    Scenario::new("drip, a byte every ms", Fault::Drip(ms(1)), Felt::Slowness),
    Scenario::new("drip, a byte every 100 ms", Fault::Drip(ms(100)), Felt::Timeouts), // no reply of Redis is in time
    Scenario::new("slow, 100 bytes a ms", Fault::Slow(100), Felt::Slowness),
    Scenario::new("stall", Fault::Stall, Felt::OpenWrites),
    Scenario::new("black hole", Fault::BlackHole, Felt::OpenWrites),
    Scenario { cut_first: true, ..Scenario::new("black hole, new connections", Fault::BlackHole, Felt::Timeouts) },
    Scenario { breaker: true, ..Scenario::new("black hole, with breaker", Fault::BlackHole, Felt::OpenWrites) },
    Scenario::new("reset", Fault::Reset, Felt::Failures),
    Scenario::new("refuse", Fault::Refuse, Felt::Unsent),
    Scenario { breaker: true, ..Scenario::new("refuse, with breaker", Fault::Refuse, Felt::Unsent) },
    Scenario { cut_first: true, ..Scenario::new("connecting is not answered", Fault::Deaf, Felt::Timeouts) },
    Scenario { cut_first: true, ..Scenario::new("slow accept, 400 ms", Fault::SlowAccept(ms(400)), Felt::Timeouts) },
    Scenario::new("half close of replies", Fault::HalfCloseReplies, Felt::Failures),
    Scenario::new("half close of requests", Fault::HalfCloseRequests, Felt::OpenWrites),
    Scenario::new("garbage", Fault::Garbage, Felt::Failures),
    Scenario::new("garbage in the middle of a reply", Fault::GarbageInReply, Felt::Failures),
];

/// Replies that are cut after so many bytes: in the first line, in a value, in a long one.
const CUTS: [Scenario; 3] = [
    Scenario::new("closed after 3 bytes", Fault::Truncate(3), Felt::Failures),
    Scenario::new("closed after 100 bytes", Fault::Truncate(100), Felt::Failures),
    Scenario::new("closed after 100,000 bytes", Fault::Truncate(100_000), Felt::Slowness),
];

#[test]
fn every_fault_on_every_face() {
    survive(&Servers::redis());
}

#[test]
fn every_fault_of_memcached_on_every_face() {
    survive(&Servers::memcached(1));
}

#[test]
fn every_fault_of_one_memcached_of_several_on_every_face() {
    survive(&Servers::memcached(3));
}

fn survive(servers: &Servers) {
    let jobs: Vec<(Scenario, Face)> =
        SCENARIOS.iter().chain(&CUTS).flat_map(|scenario| FACES.map(|face| (*scenario, face))).collect();
    let todo = Mutex::new((0..jobs.len()).rev().collect::<Vec<_>>());
    let reports = Mutex::new(Vec::<(usize, Report)>::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = { todo.lock().unwrap().pop() } {
                    let (scenario, face) = jobs[job];
                    let report = scenario.run(face, servers);
                    reports.lock().unwrap().push((job, report));
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap();
    reports.sort_by_key(|(job, _)| *job);
    assert_eq!(reports.len(), jobs.len());
    println!("{}{}", servers.name(), head());
    let mut problems = Vec::new();
    for (job, Report { row, problems: found }) in reports {
        println!("{row}");
        let (scenario, face) = jobs[job];
        let name = format!("{}, {}", servers.name(), scenario.name);
        problems.extend(found.into_iter().map(|problem| format!("{name}, {face:?}: {problem}")));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
