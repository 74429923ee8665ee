//! A real Django with django-redis' SentinelClient, and larder on the same configuration: each reads what the other wrote,
//! before a failover and after it.

use serde_json::{Value, json};

use crate::common::client::{Call, Context, Input, Store, Ttl, alone};
use crate::common::python::Partner;
use crate::common::sentinels::{Server, Service, wait};

fn write(store: &Store, key: &str, value: &Value) {
    let value = value.to_string();
    store.set(key, Input::Json(&value), Ttl::Default, Call::default()).unwrap();
}

fn read(store: &Store, key: &str) -> Option<Value> {
    let value = store.get(key, Call::default()).unwrap()?;
    Some(serde_json::from_str(&value.json().unwrap().shown).unwrap())
}

#[test]
fn django_and_larder_share_a_service() {
    alone(|| {
        let mut service = Service::start("mymaster", 2, 3, None);
        let config = json!({"CACHES": {"default": service.entry(&json!({}))}});
        let mut django = Partner::start("redis_sentinel/partner.py");
        django.must("begin", json!({"config": config}));
        let context = Context::open(&config.to_string()).unwrap();
        let store = context.store("default").unwrap();
        let both_ways = |django: &mut Partner, round: i64| {
            let values = [json!(round), json!({"list": [1, "é", null]}), json!("x".repeat(5000))];
            for (index, value) in values.iter().enumerate() {
                let (ours, theirs) = (format!("ours {round} {index}"), format!("theirs {round} {index}"));
                write(&store, &ours, value);
                django.must("set", json!({"key": theirs, "value": value}));
                // the replicas that are read are a moment behind
                wait("larder sees Django's", || read(&store, &theirs).as_ref() == Some(value));
                let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
                while django.must("get", json!({"key": ours})) != *value {
                    assert!(std::time::Instant::now() < end, "Django does not see larder's");
                }
            }
        };
        both_ways(&mut django, 1);
        let before = service.primary();
        let index = service.servers.iter().position(|server| server.port == before).unwrap();
        service.servers[index].kill();
        wait("the Sentinels have another primary", || service.primary() != before);
        // larder goes on by itself; Django's first calls may fail, and its user tries again
        write(&store, "after", &json!("ours"));
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while django.ask("set", json!({"key": "again", "value": 1})).is_err() {
            assert!(std::time::Instant::now() < end, "Django does not find the new primary");
        }
        wait("the last replica follows the new primary", || {
            let primary = service.primary().to_string();
            service
                .servers
                .iter()
                .enumerate()
                .filter(|(at, server)| *at != index && server.port != service.primary())
                .all(|(_, server)| {
                    let role = server.command(&[b"ROLE"]);
                    role.contains(&primary) && role.contains("connected")
                })
        });
        wait("larder sees its own", || read(&store, "after") == Some(json!("ours")));
        both_ways(&mut django, 2);
    });
}

/// ShardClient whose shares are services, and HerdClient on a service's primary and replicas: django-redis' Sentinel factory
/// can be used with each client.
#[test]
fn shards_and_herds_can_be_on_services() {
    alone(|| {
        let mut service = Service::start("one", 1, 3, None);
        let other = service.another("two", 0);
        let alias = |client: &str, locations: &[&str]| {
            let client = format!("django_redis.client.{client}");
            let mut entry = service.entry(&json!({"CLIENT_CLASS": client}));
            entry["LOCATION"] = json!(locations);
            entry["KEY_PREFIX"] = json!(client);
            entry
        };
        let config = json!({"CACHES": {
            "default": alias("DefaultClient", &["redis://one/0"]),
            "shards": alias("ShardClient", &["redis://one/0", "redis://two/0"]),
            "herd": alias("HerdClient", &["redis://one/0?is_master=1", "redis://one/0?is_master=0"]),
        }});
        let mut django = Partner::start("redis_sentinel/partner.py");
        django.must("begin", json!({"config": config}));
        let context = Context::open(&config.to_string()).unwrap();
        let aliases = ["shards", "herd"];
        let stores = aliases.map(|alias| context.store(alias).unwrap());
        // so many keys that both services have some
        let both_ways = |django: &mut Partner, round: i64| {
            for (alias, store) in aliases.iter().zip(&stores) {
                for number in 0..10 {
                    let (ours, theirs) = (format!("ours {round} {number}"), format!("theirs {round} {number}"));
                    write(store, &ours, &json!([round, number]));
                    django.must("set", json!({"key": theirs, "value": [number, round], "alias": alias}));
                    // the replicas that HerdClient reads are a moment behind
                    wait("larder sees Django's", || read(store, &theirs) == Some(json!([number, round])));
                    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
                    while django.must("get", json!({"key": ours, "alias": alias})) != json!([round, number]) {
                        assert!(std::time::Instant::now() < end, "Django does not see larder's");
                    }
                }
            }
        };
        both_ways(&mut django, 1);
        let shares = |servers: &Server| servers.command(&[b"DBSIZE"]).parse::<u64>().unwrap();
        assert!(shares(&service.servers[0]) > 20 && shares(&other[0]) > 0, "one of the services has no keys");
        let before = service.primary();
        let index = service.servers.iter().position(|server| server.port == before).unwrap();
        service.servers[index].kill();
        // all shares are there for larder within the call's own time, whose it is
        for (alias, store) in aliases.iter().zip(&stores) {
            for number in 0..10 {
                let key = format!("after {number}");
                write(store, &key, &json!(alias));
                wait("what was written can be read", || read(store, &key) == Some(json!(alias)));
            }
        }
        wait("the first Sentinel knows too", || service.primary() != before);
        // Django's first calls may fail
        for alias in aliases {
            let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
            for number in 0..10 {
                let asked = json!({"key": format!("after {number}"), "alias": alias});
                while django.ask("get", asked.clone()) != Ok(json!(alias)) {
                    assert!(
                        std::time::Instant::now() < end,
                        "Django does not see what larder wrote after the failover"
                    );
                }
            }
        }
        both_ways(&mut django, 2);
    });
}
