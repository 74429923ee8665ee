//! The server itself goes wrong: it restarts, hangs, and closes connections that rest.

use std::time::{Duration, Instant};

use larder::timeout::Budget;

use super::client::{Ask, Client, FACES, Face, Outcome};
use super::common::flight::memcached_on;
use super::common::memcached::MemcachedServer;
use super::common::proxy::{Fault, Proxy};
use super::common::redis::RedisServer;
use super::load::{Load, Rules, Summary, head, row};
use super::scenario::well_again;
use super::servers::Servers;

const DEADLINE: Budget = Budget::new(Duration::from_millis(250));
/// The load before something happens, and after it.
const AROUND: Duration = Duration::from_millis(150);
/// How long the server is away.
const AWAY: Duration = Duration::from_millis(600);
/// How long a connection rests before the server closes it.
const REST: Duration = Duration::from_millis(50);
/// A deadline that a server which is well always keeps.
const LONG: Budget = Budget::new(Duration::from_secs(20));

/// Runs a load on both faces while `act` does something to the first server, and fails with all that was wrong.
fn survive(name: &str, forgets: bool, act: impl Fn(&Servers)) {
    for servers in Servers::all() {
        survive_on(&servers, &format!("{name}, {}", servers.name()), forgets, &act);
    }
}

fn survive_on(servers: &Servers, name: &str, forgets: bool, act: &impl Fn(&Servers)) {
    let port = servers.ports()[0];
    let (mut rows, mut problems) = (vec![head()], Vec::new());
    for face in FACES {
        let client = servers.open(port, None);
        let load = Load::new(&client, face, name, DEADLINE, servers, port);
        let (mut on, mut off) = (Instant::now(), Instant::now());
        let records = load.run(|| {
            std::thread::sleep(AROUND);
            on = Instant::now();
            act(servers);
            off = Instant::now();
            std::thread::sleep(AROUND);
        });
        let well = well_again(&client, face, &servers.key_on_first(port, "well")).map(|time| time + AROUND);
        let summary = Summary::between(&records, on, off);
        let mut found = Rules { budget: DEADLINE, garbage: false, forgets }.judge(&records);
        if !forgets {
            found.extend(load.judge_server(&records));
        }
        found.extend(load.judge_others(&records));
        if well.is_none() || summary.ok == summary.calls {
            found.push(format!("well again after {well:?}; {} of {} calls ok", summary.ok, summary.calls));
        }
        rows.push(row(name, face, &summary, DEADLINE, well));
        problems.extend(found.into_iter().map(|problem| format!("{name}, {face:?}: {problem}")));
    }
    println!("{}", rows.join("\n"));
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn a_server_that_is_killed_and_comes_back() {
    survive("kill -9 and start", true, |server| {
        server.kill();
        std::thread::sleep(AWAY);
        server.revive();
    });
}

#[test]
fn a_server_that_hangs_and_goes_on() {
    survive("SIGSTOP and SIGCONT", false, |server| {
        server.pause(true);
        std::thread::sleep(AWAY);
        server.pause(false);
    });
}

/// Makes sure that some connections rest, and that the values are there.
fn warm_up(client: &Client, face: Face) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for number in 0..20 {
                    let outcome = client.ask(face, &Ask::Set(format!("rests:{thread}"), number), LONG);
                    assert!(outcome.is_ok(), "{outcome:?}");
                }
            });
        }
    });
}

/// Reads on all connections that rest: none of them may cost an error.
fn read_all(client: &Client, face: Face, what: &str) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for _ in 0..3 {
                    let outcome = client.ask(face, &Ask::Get(format!("rests:{thread}")), LONG);
                    assert!(
                        matches!(&outcome, Outcome::Found(found) if *found == [19]),
                        "{what}, {face:?}: {outcome:?}"
                    );
                }
            });
        }
    });
}

#[test]
fn a_connection_that_the_server_closed_while_it_rested_costs_no_error() {
    let server = RedisServer::start();
    for face in FACES {
        let client = Client::open(server.port(), None);
        warm_up(&client, face);
        for rest in [0, 0, 0, 0, 0, 0, 20, 50] {
            std::thread::sleep(REST);
            let killed = server.command(0, &[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
            assert_ne!(killed, b"0", "no connection rested");
            std::thread::sleep(Duration::from_millis(rest));
            read_all(&client, face, "CLIENT KILL");
        }
    }
}

/// The read and the end of the connection are seen in the same moment: it is too late to send the read elsewhere, but
/// not to send it again.
#[test]
fn a_read_that_meets_the_end_of_a_connection_costs_no_error() {
    let server = RedisServer::start();
    let client = Client::open(server.port(), None);
    warm_up(&client, Face::Asynchronous);
    let mut reads = Vec::new();
    std::thread::sleep(REST);
    client.while_busy(|| {
        assert_ne!(server.command(0, &[b"CLIENT", b"KILL", b"TYPE", b"normal"]), b"0", "no connection rested");
        for thread in 0..4 {
            let ask = Ask::Get(format!("rests:{thread}"));
            let begun = ask.with_request(|request| client.begin(request, LONG));
            reads.push((ask, begun));
        }
    });
    for (ask, begun) in reads {
        let outcome = ask.judge(begun.end());
        assert!(matches!(&outcome, Outcome::Found(found) if *found == [19]), "{outcome:?}");
    }
}

#[test]
fn a_connection_that_was_reset_while_it_rested_costs_no_error() {
    for servers in Servers::all() {
        let proxy = Proxy::start(servers.ports()[0]);
        for face in FACES {
            let client = servers.open(proxy.port(), None);
            warm_up(&client, face);
            for rest in [0, 0, 0, 20, 50] {
                std::thread::sleep(REST);
                proxy.set(Fault::Reset);
                proxy.set(Fault::None);
                std::thread::sleep(Duration::from_millis(rest));
                read_all(&client, face, servers.name());
            }
        }
    }
}

#[test]
fn a_connection_that_rested_longer_than_the_server_allows_costs_no_error() {
    let server = RedisServer::start();
    let clients = FACES.map(|face| (face, Client::open(server.port(), None)));
    for (face, client) in &clients {
        warm_up(client, *face);
    }
    server.command(0, &[b"CONFIG", b"SET", b"timeout", b"1"]);
    let open = || {
        let list = String::from_utf8(server.command(0, &[b"CLIENT", b"LIST", b"TYPE", b"normal"])).unwrap();
        list.lines().filter(|line| !line.contains("cmd=client")).count()
    };
    let closed = super::client::until(Duration::from_secs(20), || open() == 0);
    assert!(closed.is_some(), "{} connections are still open", open());
    for (face, client) in &clients {
        read_all(client, *face, "timeout");
    }
}

#[test]
fn a_connection_that_rested_longer_than_memcached_allows_costs_no_error() {
    let server = MemcachedServer::several(1, &["-o", "idle_timeout=1"]).remove(0);
    let clients = FACES.map(|face| (face, Client::on_memcached(memcached_on(&[server.port()]))));
    for (face, client) in &clients {
        warm_up(client, *face);
    }
    // it looks every now and then
    let closed = || server.client().stat("idle_kicks") >= 2;
    assert!(super::client::until(Duration::from_secs(30), closed).is_some(), "no connection was closed");
    for (face, client) in &clients {
        read_all(client, *face, "idle_timeout");
    }
}
