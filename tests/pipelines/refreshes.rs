//! Grace, early refreshes and jitter: all on request.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use larder::error::{Error, Kind};
use larder::pyot::ask::{Ask, Loaded};
use larder::pyot::load::Load;
use larder::timeout::Ttl;
use serde_json::{Value, json};

use crate::bed::{Bed, FACES, Face, LONG, ONE, Own, loaded, stores, text, usual};

fn with(load: &Value) -> Value {
    json!({"PIPELINE": usual(), "LOAD": load})
}

#[test]
fn what_just_expired_is_served_while_one_caller_loads_it_anew() {
    for face in FACES {
        let (sender, receiver) = mpsc::channel::<Load>();
        let sender = Mutex::new(sender);
        let loader = Own::new(move |load| sender.lock().unwrap().send(load).unwrap());
        let bed = Bed::loading(&with(&json!({"GRACE_MS": 600_000})), loader.clone());
        // a value that is over, as larder has written it two minutes ago
        bed.put("memory", ONE, "old", Ttl::Millis(590_000));
        for round in 0..3 {
            let found = bed.get(face, ONE).unwrap().unwrap();
            assert_eq!((text(&found), found.level, found.stale), ("old".to_owned(), Some(0), true));
            assert_eq!(found.refreshing, round == 0, "one of them has it loaded");
        }
        receiver.recv_timeout(LONG).unwrap().done(loaded("new"));
        bed.until("the new value", |bed| bed.read("memory", ONE).as_deref() == Some("new"));
        bed.until("the landing", |bed| bed.flights.is_empty());
        assert_eq!((loader.calls(), bed.counts().all.refreshes, bed.counts().all.stale), (1, 1, 3));
        let found = bed.get(face, ONE).unwrap().unwrap();
        assert_eq!((text(&found), found.stale, found.refreshing), ("new".to_owned(), false, false));
        // it is kept for as much longer
        assert!((710_000..=720_000).contains(&bed.left("memory", ONE).unwrap()));
        assert!((710_000..=720_000).contains(&bed.left("file", ONE).unwrap()));
    }
}

#[test]
fn a_loader_of_one_call_is_not_called_after_it() {
    let bed = Bed::new(&with(&json!({"GRACE_MS": 600_000})));
    bed.put("memory", ONE, "old", Ttl::Millis(590_000));
    let get = |loader| bed.get_with(Face::Now, ONE, &Ask { loader: Some(loader), ..Ask::default() }).unwrap().unwrap();
    let failing = Own::new(|load| load.done(Loaded::Failed(Error::new(Kind::Io, "no service"))));
    let found = get(failing.clone());
    assert_eq!((text(&found), found.stale, failing.calls()), ("old".to_owned(), true, 1));
    let loader = Own::text("new");
    let found = get(loader.clone());
    assert_eq!((text(&found), found.level, found.stale), ("new".to_owned(), None, false));
    assert_eq!((loader.calls(), bed.flights.len(), bed.read("memory", ONE).as_deref()), (1, 0, Some("new")));
}

#[test]
fn a_refresh_takes_what_a_later_store_has() {
    for face in FACES {
        let loader = Own::text("loaded");
        let bed = Bed::loading(&with(&json!({"GRACE_MS": 600_000})), loader.clone());
        bed.put("memory", ONE, "old", Ttl::Millis(590_000));
        bed.put("file", ONE, "fresh", Ttl::Millis(660_000));
        assert!(bed.get(face, ONE).unwrap().unwrap().stale);
        bed.until("the fresh value", |bed| bed.read("memory", ONE).as_deref() == Some("fresh"));
        assert_eq!(loader.calls(), 0);
        bed.until("the landing", |bed| bed.flights.is_empty());
        assert_eq!(bed.counts().all.refreshes, 0, "nothing was loaded");
        assert!((650_000..=660_000).contains(&bed.left("memory", ONE).unwrap()), "as long as there");
    }
}

#[test]
fn without_a_loader_what_is_over_is_a_miss() {
    for face in FACES {
        let bed = Bed::new(&with(&json!({"GRACE_MS": 600_000})));
        bed.put("memory", ONE, "old", Ttl::Millis(590_000));
        assert!(bed.get(face, ONE).unwrap().is_none());
        bed.put("file", ONE, "fresh", Ttl::Millis(700_000));
        assert_eq!(bed.text(face, ONE).unwrap().unwrap(), ("fresh".to_owned(), Some(1)));
        assert_eq!(bed.text(face, ONE).unwrap().unwrap(), ("fresh".to_owned(), Some(0)));
        // neither has one for only the stores
        let bed = Bed::loading(&with(&json!({"GRACE_MS": 600_000})), Own::text("loaded"));
        bed.put("memory", ONE, "old", Ttl::Millis(590_000));
        assert!(bed.get_with(face, ONE, &Ask { no_load: true, ..Ask::default() }).unwrap().is_none());
    }
}

#[test]
fn a_value_near_its_end_is_loaded_early() {
    for face in FACES {
        let loader = Own::new(|load| {
            std::thread::sleep(Duration::from_millis(20));
            load.done(loaded("new"));
        });
        let bed = Bed::loading(&with(&json!({"EARLY": 1})), loader.clone());
        // nobody knows yet how long loads take, and 2 minutes are far away
        bed.put("memory", ONE, "old", Ttl::Millis(3));
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(text(&bed.get(face, ONE).unwrap().unwrap()), "new");
        for _ in 0..20 {
            assert_eq!(bed.get(face, ONE).unwrap().unwrap().level, Some(0));
        }
        assert_eq!((loader.calls(), bed.counts().all.refreshes), (1, 0));
        // 20 ms or more for a load: with less than that left it soon happens
        bed.until("an early load", |bed| {
            bed.put("memory", ONE, "old", Ttl::Millis(15));
            let _ = bed.store("file").delete(ONE, &larder::store::Call::default());
            if let Some(found) = bed.get(face, ONE).unwrap().filter(|found| found.level == Some(0)) {
                assert!(!found.stale, "it is not over");
            }
            bed.counts().all.refreshes > 0
        });
        bed.until("the landing", |bed| bed.flights.is_empty());
        assert_eq!(text(&bed.get(face, ONE).unwrap().unwrap()), "new");
    }
}

#[test]
fn expiries_are_spread() {
    for face in FACES {
        let bed = Bed::new(&json!({"PIPELINE": stores(&json!({"summoner_v4_by_name": 1000}), &json!({})),
            "LOAD": {"JITTER": 0.5}}));
        let mut lefts = Vec::new();
        for number in 0..40 {
            let token = format!("lolna1summoner_v4_by_name{{'n':_{number}}}{{}}");
            bed.set(face, &token, "x").unwrap();
            lefts.push(bed.left("memory", &token).unwrap());
        }
        assert!(lefts.iter().all(|left| (490_000..=1_500_000).contains(left)), "{lefts:?}");
        let (least, most) = (lefts.iter().min().unwrap(), lefts.iter().max().unwrap());
        assert!(most - least > 200_000, "{lefts:?}");
    }
}
