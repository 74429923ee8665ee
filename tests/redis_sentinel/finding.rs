//! Who is found, by whom, and what is said when nobody is.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use larder::backend::{Reply, Request};
use larder::error::Kind;
use larder::key::MadeKey;
use serde_json::json;

use crate::client::{Client, LONG};
use crate::common::flight::FACES;
use crate::common::redis::free_port;
use crate::common::sentinels::{Service, wait};

#[test]
fn the_primary_is_written_to_and_its_replicas_are_read() {
    let service = Service::start("mymaster", 2, 3, None);
    for face in FACES {
        let client = Client::new(&service.entry(&json!({})), face);
        client.set("k", "v");
        client.sees("k", "v");
        // round robin among the replicas, one connection each (DR-35)
        let readers: Vec<_> = (0..4).map(|_| Client::new(&service.entry(&json!({})), face)).collect();
        for server in &service.servers {
            server.command(&[b"CONFIG", b"RESETSTAT"]);
        }
        for reader in &readers {
            assert_eq!(reader.get("k").as_deref(), Some("v"));
        }
        let gets = |port: u16| service.at(port).command(&[b"INFO", b"commandstats"]).contains("cmdstat_get:");
        assert!(!gets(service.servers[0].port), "the primary was read");
        assert!(service.servers[1..].iter().any(|server| gets(server.port)));
        let health = client.cache.health();
        assert_eq!(&*health[0].server, "service mymaster");
        assert_eq!(&*health[1].server, "service mymaster (replicas)");
        // DefaultClient and two URLs by hand; and the primary alone
        for (location, written) in [
            (json!(["redis://mymaster/0?is_master=1", "redis://mymaster/0?is_master=0"]), "1"),
            (json!("redis://mymaster/0"), "2"),
        ] {
            let mut entry = service.entry(&json!({"CLIENT_CLASS": "django_redis.client.DefaultClient"}));
            entry["LOCATION"] = location;
            let by_hand = Client::new(&entry, face);
            by_hand.set("k", written);
            by_hand.sees("k", written);
        }
        client.sees("k", "2");
    }
}

#[test]
fn replicas_that_vanish_are_passed_over_and_then_the_primary_is_read() {
    let mut service = Service::start("mymaster", 2, 3, None);
    let clients = FACES.map(|face| Client::new(&service.entry(&json!({})), face));
    for client in &clients {
        client.set("k", "v");
        client.sees("k", "v");
    }
    service.servers[1].kill();
    for client in &clients {
        for _ in 0..5 {
            assert_eq!(client.get("k").as_deref(), Some("v"));
        }
    }
    service.servers[2].pause(true); // silent, not gone
    for client in &clients {
        assert_eq!(client.get("k").as_deref(), Some("v"), "{:?}", client.face);
    }
    service.servers[2].pause(false);
}

#[test]
fn sentinels_are_asked_as_they_are_told() {
    // a name with capital letters, and Sentinels that want a password (DR-32, DR-34)
    let service = Service::start("MyMaster", 1, 1, Some("s3cret"));
    for face in FACES {
        let client = Client::new(&service.entry(&json!({})), face);
        client.set("k", "v");
        client.sees("k", "v");
        // without the password; and one that is wrong: nothing of it is shown
        for kwargs in [json!({}), json!({"password": "not this"})] {
            let client = Client::new(&service.entry(&json!({"SENTINEL_KWARGS": kwargs})), face);
            let before = Instant::now();
            let error = client.fails(LONG);
            assert!(before.elapsed() < LONG / 2, "it waited for nothing");
            let said = error.clone().during("get").to_string();
            assert_eq!((error.kind(), error.is_retriable()), (Kind::Connection, false), "{said}");
            assert!(said.contains("service MyMaster") && said.contains("no Sentinel could be asked"), "{said}");
            assert!(said.contains("Sentinel 127.0.0.1:") && said.contains("password"), "{said}");
            assert!(!said.contains("not this") && !said.contains("s3cret"), "{said}");
        }
        // a dead Sentinel and one that never answers stand before the one that does
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut sentinels =
            vec![json!(["127.0.0.1", free_port()]), json!(["127.0.0.1", silent.local_addr().unwrap().port()])];
        sentinels.extend(service.sentinels().as_array().unwrap().clone());
        silent.set_nonblocking(true).unwrap();
        let was_asked = || std::iter::from_fn(|| silent.accept().ok()).count() > 0;
        let client = Client::new(&service.entry(&json!({"SENTINELS": sentinels})), face);
        client.set_within("k", "w", Duration::from_secs(4)).unwrap();
        assert!(was_asked());
        // from then on the one that answered is asked first
        service.at(service.primary()).command(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
        client.set_within("k", "x", Duration::from_secs(4)).unwrap();
        assert!(!was_asked());
    }
}

#[test]
fn a_service_that_nobody_knows_is_an_error_that_says_who_is_known() {
    let service = Service::start("MyMaster", 0, 1, None);
    for face in FACES {
        for (name, known) in [("mymaster", false), ("MyMaster", true), ("other", false)] {
            let mut entry = service.entry(&json!({}));
            entry["LOCATION"] = json!(format!("redis://{name}/0"));
            let client = Client::new(&entry, face);
            if known {
                client.set("k", "v");
                assert_eq!(client.get("k").as_deref(), Some("v"));
                continue;
            }
            let error = client.fails(LONG);
            let expected = format!("no Sentinel knows a service {name} (case counts), only MyMaster");
            assert!(error.reason().contains(&expected), "{error}");
            assert_eq!((error.kind(), error.is_retriable()), (Kind::Connection, false), "{error}");
        }
        let mut entry = service.entry(&json!({"SENTINELS": [["127.0.0.1", free_port()]]}));
        let error = Client::new(&entry, face).fails(LONG);
        assert!(error.is_retriable() && error.reason().contains("no Sentinel could be asked"), "{error}");
        assert!(error.reason().contains("is the server running there?"), "{error}");
        // a port where a data server listens
        entry["OPTIONS"]["SENTINELS"] = json!([["127.0.0.1", service.servers[0].port]]);
        let error = Client::new(&entry, face).fails(LONG);
        assert!(error.reason().contains("it is no Sentinel"), "{error}");
    }
    // a name in lower case is what django-redis would make of it: the Sentinels are asked for that too (DR-32)
    let lower = Service::start("lowly", 1, 1, None);
    let mut entry = lower.entry(&json!({}));
    entry["LOCATION"] = json!("redis://Lowly/0");
    for face in FACES {
        let client = Client::new(&entry, face);
        client.set("k", "v");
        client.sees("k", "v");
    }
}

#[test]
fn operations_of_several_rounds_follow_too() {
    let service = Service::start("mymaster", 1, 1, None);
    for face in FACES {
        let client = Client::new(&service.entry(&json!({})), face);
        client.set("p:1", "v");
        client.set("p:2", "v");
        wait("both are there", || {
            let keys = [MadeKey::as_is("p:1"), MadeKey::as_is("p:2")];
            let reply = client.call(&Request::GetMany(&keys), LONG).unwrap();
            matches!(reply, Reply::Values(values) if values.iter().all(Option::is_some))
        });
        client.call(&Request::Clear(Some(b"p:")), LONG).unwrap();
        wait("both are gone", || client.get("p:1").is_none() && client.get("p:2").is_none());
        assert!(matches!(client.call(&Request::Ping, LONG).unwrap(), Reply::Done));
    }
}

/// `sentinel announce-hostnames yes`: what they tell are names, which are looked up.
#[test]
fn sentinels_can_tell_names_of_hosts() {
    let mut service = Service::start_at("localhost", "mymaster", 1, 3, None);
    let told = |service: &Service| {
        let address: &[&[u8]] = &[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", b"mymaster"];
        service.ask(&service.sentinels[0], address)
    };
    assert!(told(&service).starts_with("localhost "), "{}", told(&service));
    let clients = FACES.map(|face| Client::new(&service.entry(&json!({})), face));
    for client in &clients {
        client.set("k", "v");
        client.sees("k", "v");
    }
    let before = service.primary();
    let index = service.servers.iter().position(|server| server.port == before).unwrap();
    service.servers[index].kill();
    for client in &clients {
        client.set("k", "w"); // as soon as there is a primary again
        assert_eq!(client.get("k").as_deref(), Some("w"), "{:?}", client.face);
    }
    wait("the first Sentinel knows too", || service.primary() != before);
    assert!(told(&service).starts_with("localhost "), "{}", told(&service));
    // nobody is left: the call names the host
    service.servers.iter_mut().for_each(crate::common::sentinels::Server::kill);
    for client in &clients {
        wait("the call says where nobody is", || {
            let error = client.fails(Duration::from_millis(500));
            assert!(error.is_retriable(), "{error}");
            eprintln!("{:?} {}", client.face, error.clone().during("get"));
            error.to_string().contains("localhost:") || error.reason().contains("no server of it")
        });
    }
}
