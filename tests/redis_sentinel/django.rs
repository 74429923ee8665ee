//! A real Django with django-redis' SentinelClient, and larder on the same configuration: each reads what the other wrote,
//! before a failover and after it.

use serde_json::{Value, json};

use crate::common::client::{Call, Context, Input, Store, Ttl, alone};
use crate::common::python::Partner;
use crate::common::sentinels::{Service, wait};

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
