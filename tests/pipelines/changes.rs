//! What changes the stores: set, delete, clear, expire.

use larder::backend::Written;
use larder::codec::Input;
use larder::error::Kind;
use larder::pyot::ask::{Ask, Operation, Outcome, TokenRef};
use larder::store::Scope;
use larder::timeout::Ttl;
use serde_json::json;

use crate::bed::{Bed, FACES, ONE, TWO, stores, usual};

// PY-S4, PY-P2
#[test]
fn a_set_goes_to_all_stores_each_with_its_own_time() {
    for face in FACES {
        let bed = Bed::new(&stores(
            &json!({"summoner_v4_by_name": 60, "match_v4_match": 0}),
            &json!({"summoner_v4_by_name": -1, "match_v4_match": 10}),
        ));
        assert!(matches!(bed.set(face, ONE, "x"), Ok(Outcome::Written(Written::Stored))));
        assert!((50_000..=60_000).contains(&bed.left("memory", ONE).unwrap()));
        assert_eq!(bed.left("file", ONE), Some(-1));
        let played = "loleuw1match_v4_match{'id':_1}{}";
        assert!(matches!(bed.set(face, played, "x"), Ok(Outcome::Written(Written::Stored))));
        assert_eq!((bed.read("memory", played), bed.read("file", played).as_deref()), (None, Some("x")));
        // 0 everywhere: silently nothing
        bed.log();
        let nowhere = "lolna1spectator_v4_current_game{'id':_1}{}";
        assert!(matches!(bed.set(face, nowhere, "x"), Ok(Outcome::Written(Written::NotKept))));
        assert_eq!(bed.log(), [""; 0]);
        assert_eq!((bed.read("memory", nowhere), bed.read("file", nowhere)), (None, None));
    }
}

// what is no value at all is refused before anything is written
#[test]
fn a_set_of_what_is_no_value_fails() {
    for face in FACES {
        let bed = Bed::new(&usual());
        bed.put("memory", ONE, "old", Ttl::Forever);
        let set = Operation::Set { token: TokenRef::from(ONE), value: Input::Json(b"{") };
        assert_eq!(bed.ask(face, &set, &Ask::default()).err().unwrap().kind(), Kind::Invalid);
        assert_eq!(bed.read("memory", ONE).unwrap(), "old");
    }
}

// PY-S6, PY-P3
#[test]
fn a_delete_removes_from_all_stores() {
    for face in FACES {
        let bed = Bed::new(&stores(&json!({"summoner_v4_by_name": 0}), &json!({"summoner_v4_by_name": 60})));
        bed.put("memory", ONE, "x", Ttl::Forever); // times to live by endpoint do not matter
        bed.put("file", ONE, "x", Ttl::Forever);
        let delete = || match bed.ask(face, &Operation::Delete { token: TokenRef::from(ONE) }, &Ask::default()) {
            Ok(Outcome::Found(found)) => found,
            _ => panic!("no outcome of a delete"),
        };
        assert!(delete());
        assert_eq!((bed.read("memory", ONE), bed.read("file", ONE)), (None, None));
        assert!(!delete(), "never an error that it is not there");
        bed.put("file", ONE, "x", Ttl::Forever);
        assert!(delete());
        assert_eq!(bed.log().len(), 6, "always logged");
    }
}

// PY-S8, and the issue: within a scope
#[test]
fn a_clear_clears_all_stores() {
    for face in FACES {
        let bed = Bed::new(&usual());
        for scope in [Scope::Prefix, Scope::Everything] {
            bed.set(face, ONE, "x").unwrap();
            bed.set(face, TWO, "x").unwrap();
            bed.log();
            let done = bed.ask(face, &Operation::Clear { scope }, &Ask::default());
            if let Err(error) = done {
                // files have hashed names
                assert_eq!((scope, error.kind()), (Scope::Prefix, Kind::Unsupported));
                assert!(error.to_string().contains("'file'"), "{error}");
                assert_eq!(bed.read("memory", ONE).unwrap(), "x", "refused before anything was cleared");
                continue;
            }
            assert_eq!((bed.read("memory", ONE), bed.read("file", TWO)), (None, None));
            let said =
                |alias| format!("[Trace: LOL > DjangoCache > {alias}] CLEAR: Store has been cleared successfully");
            assert_eq!(bed.log(), [said("memory"), said("file")]);
        }
    }
}

// The decision: a store with raw keys has no prefix, and says so before anything is cleared.
#[test]
fn raw_keys_are_not_cleared_by_prefix() {
    for face in FACES {
        let own = json!({"BACKEND": "pyot.stores.Omnistone", "EXPIRATIONS": {"summoner_v4_by_name": 60}});
        let redis = json!({"BACKEND": "pyot.stores.RedisCache", "HOST": "127.0.0.1", "PORT": 1, "DB": 3});
        let bed = Bed::new(&json!([own, redis]));
        let clear = Operation::Clear { scope: Scope::Prefix };
        let error = bed.ask(face, &clear, &Ask::default()).err().unwrap();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
        assert!(error.to_string().contains("prefix"), "{error}");
    }
}

// The meaning of expire: Pyot has none that works (PY-S9).
#[test]
fn expire_removes_what_has_expired() {
    for face in FACES {
        let bed = Bed::new(&usual());
        for number in 0..3 {
            bed.put("file", &format!("{ONE}{number}"), "x", Ttl::Millis(1));
            bed.put("memory", &format!("{ONE}{number}"), "x", Ttl::Millis(1));
        }
        bed.put("file", TWO, "x", Ttl::Forever);
        std::thread::sleep(std::time::Duration::from_millis(20));
        let removed = || match bed.ask(face, &Operation::Expire, &Ask::default()) {
            Ok(Outcome::Removed(count)) => count,
            _ => panic!("no outcome of an expire"),
        };
        assert_eq!(removed(), 6);
        assert_eq!(removed(), 0);
        assert_eq!(bed.read("file", TWO).unwrap(), "x");
    }
}
