//! Stores in order: who is asked, what is written back, what is logged.

use std::sync::Arc;

use larder::codec::Input;
use larder::error::Kind;
use larder::log::Level;
use larder::pyot::ask::{Ask, Operation, Outcome, TokenRef};
use larder::pyot::token::{Token, Wish};
use larder::timeout::{Ttl, TtlChoice};
use larder::{backend::When, store::Call};
use serde_json::json;

use crate::bed::{Bed, FACES, Face, ONE, TWO, stores, text, usual};

const MINUTE: Ttl = Ttl::Millis(60_000);

// PY-P1, PY-L
#[test]
fn the_first_store_that_has_it_answers_and_those_before_get_it() {
    for face in FACES {
        let bed = Bed::new(&usual());
        assert!(bed.get(face, ONE).unwrap().is_none());
        assert_eq!(bed.log(), [""; 0], "misses are not logged");
        bed.put("file", ONE, "level 35", Ttl::Millis(90_000));
        assert_eq!(bed.text(face, ONE).unwrap().unwrap(), ("level 35".to_owned(), Some(1)));
        assert_eq!(bed.text(face, ONE).unwrap().unwrap(), ("level 35".to_owned(), Some(0)));
        assert_eq!(bed.read("memory", ONE).unwrap(), "level 35");
        let inner = format!("<{ONE}>");
        assert_eq!(
            bed.log(),
            [
                format!("[Trace: LOL > DjangoCache > file] GET: {inner}"),
                format!("[Trace: LOL > DjangoCache > memory] SET: {inner}"),
                format!("[Trace: LOL > DjangoCache > memory] GET: {inner}"),
            ]
        );
        let counts = bed.counts();
        assert_eq!((counts.levels[0].hits, counts.levels[1].hits, counts.all.misses), (1, 1, 1));
        assert_eq!((counts.levels[0].written_back, counts.levels[1].written_back), (1, 0));
    }
}

// PY-L: what is known of a token
#[test]
fn records_say_what_was_called() {
    for face in FACES {
        let mut pipeline = usual();
        pipeline[0]["LOG_LEVEL"] = json!(30);
        pipeline[1]["LOG_LEVEL"] = json!(5);
        let bed = Bed::new(&pipeline);
        let params = br#"{"name": "Hide on bush"}"#;
        let token = Token::new(Wish::default(), "lol", "na1", "summoner_v4_by_name", params, b"").unwrap();
        let token = Arc::new(token);
        let style = bed.pipeline.style();
        let text_of = token.text_in(style).unwrap();
        assert_eq!(text_of, ONE);
        let token = TokenRef::of(&token, text_of);
        bed.ask(face, &Operation::Set { token, value: Input::Text("x") }, &Ask::default()).unwrap();
        let inner = "<NA1 summoner_v4_by_name: Hide on bush>";
        assert_eq!(
            bed.records(),
            [
                (Level::Warning, format!("[Trace: LOL > DjangoCache > memory] SET: {inner}")),
                (Level::Debug, format!("[Trace: LOL > DjangoCache > file] SET: {inner}")),
            ]
        );
        assert!(matches!(bed.ask(face, &Operation::Get { token }, &Ask::default()), Ok(Outcome::Value(Some(_)))));
        assert!(matches!(bed.ask(face, &Operation::Delete { token }, &Ask::default()), Ok(Outcome::Found(true))));
        assert!(matches!(bed.ask(face, &Operation::Contains { token }, &Ask::default()), Ok(Outcome::Found(false))));
        assert_eq!(
            bed.log(),
            [
                format!("[Trace: LOL > DjangoCache > memory] GET: {inner}"),
                format!("[Trace: LOL > DjangoCache > memory] DELETE: {inner}"),
                format!("[Trace: LOL > DjangoCache > file] DELETE: {inner}"),
            ]
        );
    }
}

// A player's name is anybody's text: a record stays one line, and does not steer a terminal.
#[test]
fn records_are_one_line() {
    let bed = Bed::new(&usual());
    let params = b"{\"name\": \"x\\n[Trace: LOL > DjangoCache > file] \\u001b[2J\\u2028\"}";
    let token = Token::new(Wish::default(), "lol", "na1", "summoner_v4_by_name", params, b"").unwrap();
    let token = Arc::new(token);
    let text_of = token.text_in(bed.pipeline.style()).unwrap();
    let token = TokenRef::of(&token, text_of);
    bed.ask(Face::Now, &Operation::Delete { token }, &Ask::default()).unwrap();
    bed.ask(Face::Now, &Operation::Delete { token: TokenRef::from("lol\r\u{9b}31m{}") }, &Ask::default()).unwrap();
    let shown = bed.log();
    assert!(
        shown[0]
            .contains("DELETE: <NA1 summoner_v4_by_name: x\\n[Trace: LOL > DjangoCache > file] \\u{1b}[2J\\u{2028}>"),
        "{}",
        shown[0]
    );
    assert!(shown[2].contains("DELETE: <lol\\r\\u{9b}31m{}>"), "{}", shown[2]);
}

// PY-P2, and the issue: what is left where that is known, or Pyot's full time
#[test]
fn what_is_written_back_lives_no_longer() {
    for face in FACES {
        for (mode, least, most) in [("remaining", 25_000, 30_000), ("full", 110_000, 120_000)] {
            let bed = Bed::new(&json!({"PIPELINE": usual(), "WRITE_BACK_TTL": mode}));
            bed.put("file", ONE, "x", Ttl::Millis(30_000));
            bed.get(face, ONE).unwrap().unwrap();
            let left = bed.left("memory", ONE).unwrap();
            assert!((least..=most).contains(&left), "{mode}: {left}");
        }
        // the store's own time is the shorter
        let bed = Bed::new(&usual());
        bed.put("file", ONE, "x", Ttl::Millis(600_000));
        bed.get(face, ONE).unwrap().unwrap();
        assert!((110_000..=120_000).contains(&bed.left("memory", ONE).unwrap()));
        // what is for ever there gets the store's own time here, and the other way round
        bed.put("file", TWO, "x", Ttl::Forever);
        bed.get(face, TWO).unwrap().unwrap();
        assert!((110_000..=120_000).contains(&bed.left("memory", TWO).unwrap()));
        let bed = Bed::new(&stores(&json!({"summoner_v4_by_name": -1}), &json!({"summoner_v4_by_name": 60})));
        bed.put("file", ONE, "x", MINUTE);
        bed.get(face, ONE).unwrap().unwrap();
        assert!((50_000..=60_000).contains(&bed.left("memory", ONE).unwrap()));
        bed.put("file", TWO, "x", Ttl::Forever);
        bed.get(face, TWO).unwrap().unwrap();
        assert_eq!(bed.left("memory", TWO), Some(-1));
    }
}

// PY-S4, PY-S5, PY-S7
#[test]
fn a_store_that_does_not_keep_an_endpoint_is_left_alone() {
    for face in FACES {
        let bed = Bed::new(&stores(&json!({"summoner_v4_by_name": 0}), &json!({"summoner_v4_by_name": 60})));
        bed.put("memory", ONE, "hidden", MINUTE);
        assert!(bed.get(face, ONE).unwrap().is_none());
        let contains = Operation::Contains { token: TokenRef::from(ONE) };
        assert!(matches!(bed.ask(face, &contains, &Ask::default()), Ok(Outcome::Found(true))), "PY-S7");
        bed.put("file", ONE, "x", MINUTE);
        assert_eq!(bed.text(face, ONE).unwrap().unwrap(), ("x".to_owned(), Some(1)));
        assert_eq!(bed.read("memory", ONE).unwrap(), "hidden", "nothing is written back");
        assert_eq!(bed.counts().levels[0].skipped, 2);
        // a method that is in no store's table of this model (PY-E5)
        let unknown = "lolna1brand_new_endpoint{}{}";
        bed.log();
        bed.put("file", unknown, "x", MINUTE);
        assert!(bed.get(face, unknown).unwrap().is_none());
        let warning =
            "[Trace: Pyot Pipeline] WARNING: A non defined expiration token was passed, returned 0 by default";
        assert_eq!(bed.records(), vec![(Level::Warning, warning.to_owned()); 2]);
    }
}

// PY-S5
#[test]
fn a_none_is_a_miss() {
    for face in FACES {
        let bed = Bed::new(&usual());
        let none = |alias: &str| {
            let (ttl, call) = (TtlChoice::Of(MINUTE), Call::default());
            bed.store(alias).set(ONE, Input::Json(b"null"), ttl, When::Always, &call).unwrap();
        };
        none("memory");
        let contains = Operation::Contains { token: TokenRef::from(ONE) };
        assert!(matches!(bed.ask(face, &contains, &Ask::default()), Ok(Outcome::Found(false))), "PY-S7");
        assert!(bed.get(face, ONE).unwrap().is_none());
        bed.put("file", ONE, "x", MINUTE);
        assert_eq!(bed.text(face, ONE).unwrap().unwrap().1, Some(1));
        assert_eq!(bed.text(face, ONE).unwrap().unwrap().1, Some(0), "it took the place of the None");
        none("memory");
        none("file");
        assert!(bed.get(face, ONE).unwrap().is_none());
    }
}

#[test]
fn any_value_crosses_the_stores_unchanged() {
    let pickles = "django.core.cache.backends";
    let more = json!({"other": {"BACKEND": format!("{pickles}.locmem.LocMemCache"), "LOCATION": "other",
        "OPTIONS": {"MAX_ENTRIES": 10}}});
    for face in FACES {
        let expirations = json!({"summoner_v4_by_name": 120});
        let pipeline = json!([
            {"BACKEND": "pyot.stores.DjangoCache", "ALIAS": "other", "EXPIRATIONS": expirations},
            {"BACKEND": "pyot.stores.DjangoCache", "ALIAS": "file", "EXPIRATIONS": expirations},
        ]);
        let bed = Bed::with(&pipeline, &more, None);
        // an instance of a class that nothing here could make
        let pickle = b"\x80\x04\x95\x17\x00\x00\x00\x00\x00\x00\x00\x8c\x04some\x94\x8c\x05Class\x94\x93\x94)\x81\x94.";
        let (ttl, call) = (TtlChoice::Of(MINUTE), Call::default());
        bed.store("file").set(ONE, Input::Stored(pickle), ttl, When::Always, &call).unwrap();
        for level in [1, 0] {
            let found = bed.get(face, ONE).unwrap().unwrap();
            assert_eq!((found.level, found.value.stored().bytes), (Some(level), &pickle[..]));
        }
    }
}

#[test]
fn one_store_is_a_pipeline_too_and_tokens_are_looked_at() {
    for face in FACES {
        let bed = Bed::new(&json!([usual()[0]]));
        bed.set(face, ONE, "x").unwrap();
        assert_eq!(text(&bed.get(face, ONE).unwrap().unwrap()), "x");
        let error = bed.get(face, "").err().unwrap();
        assert_eq!(error.kind(), Kind::Invalid);
    }
}
