//! The loader: the last source (Pyot's service).

use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use larder::error::{Error, Kind};
use larder::pyot::ask::{Ask, Loaded, Operation, OwnedInput, TokenRef};
use larder::pyot::load::Load;
use larder::pyot::pipeline::{Pipeline, Rules};
use larder::timeout::{Ttl, TtlChoice};
use serde_json::json;

use crate::bed::{Bed, FACES, Face, LONG, ONE, Own, TWO, begin, loaded, stores, text, usual, value, within};

// PY-P1
#[test]
fn what_no_store_has_is_loaded_and_stored() {
    for face in FACES {
        let loader = Own::text("loaded #");
        let bed = Bed::loading(&usual(), loader.clone());
        let found = bed.get(face, ONE).unwrap().unwrap();
        assert_eq!((text(&found), found.level, found.stale), ("loaded 1".to_owned(), None, false));
        assert_eq!(bed.text(face, ONE).unwrap().unwrap(), ("loaded 1".to_owned(), Some(0)));
        assert_eq!(bed.read("file", ONE).unwrap(), "loaded 1");
        assert!((110_000..=120_000).contains(&bed.left("file", ONE).unwrap()));
        assert_eq!(loader.calls(), 1);
        let inner = format!("<{ONE}>");
        let said = |alias, what| format!("[Trace: LOL > DjangoCache > {alias}] {what}: {inner}");
        assert_eq!(bed.log(), [said("memory", "SET"), said("file", "SET"), said("memory", "GET")]);
        assert_eq!((bed.counts().all.loads, bed.counts().all.misses), (1, 0));
        // only the stores
        let ask = Ask { no_load: true, ..Ask::default() };
        assert!(bed.get_with(face, TWO, &ask).unwrap().is_none());
        // another source for one call
        let ask = Ask { loader: Some(Own::text("from elsewhere")), ..Ask::default() };
        assert_eq!(text(&bed.get_with(face, TWO, &ask).unwrap().unwrap()), "from elsewhere");
        assert_eq!(loader.calls(), 1);
    }
}

// PY-S4: what no store keeps is loaded each time
#[test]
fn an_endpoint_that_no_store_keeps_is_loaded_each_time() {
    for face in FACES {
        let bed = Bed::loading(&stores(&json!({}), &json!({})), Own::text("#"));
        for number in ["1", "2"] {
            assert_eq!(bed.text(face, ONE).unwrap().unwrap(), (number.to_owned(), None));
        }
        assert_eq!((bed.read("memory", ONE), bed.read("file", ONE)), (None, None));
    }
}

// PY-P1: final
#[test]
fn not_found_is_final_and_not_stored() {
    for face in FACES {
        let loader = Own::new(|load| load.done(Loaded::NotFound));
        let bed = Bed::loading(&usual(), loader.clone());
        for _ in 0..2 {
            assert!(bed.get(face, ONE).unwrap().is_none());
        }
        assert_eq!((loader.calls(), bed.counts().all.not_found, bed.counts().all.misses), (2, 2, 2));
        assert_eq!(bed.read("memory", ONE), None);
    }
}

#[test]
fn a_load_that_fails_is_told_and_the_next_begins_anew() {
    let ways: [(Kind, fn(Load)); 3] = [
        (Kind::Connection, |load| load.done(Loaded::Failed(Error::new(Kind::Connection, "the service is away")))),
        (Kind::Panic, |load| panic!("in the loader of {} bytes", load.token().len())),
        (Kind::Panic, drop),
    ];
    for face in FACES {
        for (kind, way) in ways {
            let calls = std::sync::atomic::AtomicUsize::new(0);
            let loader = Own::new(move |load| match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => way(load),
                _ => load.done(loaded("at last")),
            });
            let bed = Bed::loading(&usual(), loader);
            assert_eq!(bed.get(face, ONE).err().unwrap().kind(), kind);
            assert_eq!(bed.read("memory", ONE), None);
            assert!(bed.flights.is_empty());
            assert_eq!(text(&bed.get(face, ONE).unwrap().unwrap()), "at last");
            assert_eq!((bed.counts().all.load_failures, bed.counts().all.loads), (1, 2));
        }
    }
}

#[test]
fn a_loader_may_answer_later_from_any_thread() {
    for face in FACES {
        for blocks in [true, false] {
            let act = |load: Load| {
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(30));
                    load.done(loaded("late"));
                });
            };
            let bed = Bed::loading(&usual(), if blocks { Own::new(act) } else { Own::quick(act) });
            assert_eq!(text(&bed.get(face, ONE).unwrap().unwrap()), "late");
            assert_eq!(bed.read("file", ONE).unwrap(), "late");
        }
    }
}

// A synchronous call runs it on its own thread, others never on the submitter's.
#[test]
fn where_loaders_run() {
    for face in FACES {
        let (sender, receiver) = mpsc::channel();
        let sender = Mutex::new(sender);
        let loader = Own::new(move |load| {
            sender.lock().unwrap().send(std::thread::current().id()).unwrap();
            load.done(loaded("x"));
        });
        let bed = Bed::loading(&usual(), loader);
        bed.get(face, ONE).unwrap();
        assert_eq!(receiver.recv().unwrap() == std::thread::current().id(), face == Face::Now);
    }
}

// Loaders that wait, as many as there may be, keep neither files nor each other's answers.
#[test]
fn loaders_that_wait_hold_nothing_up() {
    let (sender, receiver) = mpsc::channel::<Load>();
    let (sender, gate) = (Mutex::new(sender), Arc::new(std::sync::Barrier::new(9)));
    let inside = gate.clone();
    let loader = Own::new(move |load| {
        sender.lock().unwrap().send(load).unwrap();
        inside.wait();
    });
    let bed = Bed::loading(&usual(), loader);
    let tokens: Vec<String> = (0..8).map(|number| format!("lolna1summoner_v4_by_name{{'n':_{number}}}{{}}")).collect();
    let ends: Vec<_> = tokens
        .iter()
        .map(|token| bed.begin(Face::Later, &Operation::Get { token: TokenRef::from(&**token) }, &Ask::default()))
        .collect();
    let loads: Vec<Load> = (0..8).map(|_| receiver.recv_timeout(LONG).unwrap()).collect();
    bed.put("file", ONE, "x", Ttl::Forever);
    assert_eq!(text(&bed.get(Face::Later, ONE).unwrap().unwrap()), "x");
    for load in loads {
        load.done(loaded("y"));
    }
    for end in ends {
        assert_eq!(text(&value(end().unwrap()).unwrap()), "y");
    }
    gate.wait();
}

// Another total time than a load's: the call ends, the load goes on and is stored.
#[test]
fn a_caller_whose_time_is_over_leaves_the_load_to_a_task() {
    for face in FACES {
        let (sender, receiver) = mpsc::channel::<Load>();
        let sender = Mutex::new(sender);
        let bed = Bed::loading(&usual(), Own::new(move |load| sender.lock().unwrap().send(load).unwrap()));
        let began = Instant::now();
        assert_eq!(bed.get_with(face, ONE, &within(300)).err().unwrap().kind(), Kind::Timeout);
        assert!(began.elapsed() >= Duration::from_millis(300));
        let load = receiver.recv_timeout(LONG).unwrap();
        assert_eq!(bed.flights.len(), 1, "it is under way");
        // who comes now shares it
        let end = bed.begin(Face::Later, &Operation::Get { token: TokenRef::from(ONE) }, &Ask::default());
        bed.until("the one that shares it", |bed| bed.counts().all.shared_loads == 1);
        load.done(loaded("for the others"));
        assert_eq!(text(&value(end().unwrap()).unwrap()), "for the others");
        assert_eq!(bed.read("file", ONE).unwrap(), "for the others");
        assert_eq!((bed.counts().all.loads, bed.counts().all.shared_loads), (1, 1));
    }
}

// The value is there, and only its writing is given up to a task.
#[test]
fn a_loader_that_takes_the_callers_time_does_not_lose_its_value() {
    let loader = Own::new(|load| {
        std::thread::sleep(Duration::from_millis(600));
        load.done(loaded("slow"));
    });
    let bed = Bed::loading(&usual(), loader);
    // time enough to begin the load on a machine that does much else, and less than it takes
    assert_eq!(text(&bed.get_with(Face::Now, ONE, &within(500)).unwrap().unwrap()), "slow");
    bed.until("the write", |bed| bed.read("file", ONE).is_some() && bed.flights.is_empty());
}

#[test]
fn a_load_has_a_limit_and_what_comes_later_is_not_looked_at() {
    for face in FACES {
        let (sender, receiver) = mpsc::channel::<Load>();
        let sender = Mutex::new(Some(sender));
        let pipeline = json!({"PIPELINE": usual(), "LOAD": {"TIMEOUT_MS": 350}});
        // the first is answered much too late, the others at once
        let loader = Own::new(move |load| match sender.lock().unwrap().take() {
            Some(sender) => sender.send(load).unwrap(),
            None => load.done(loaded("in time")),
        });
        let bed = Bed::loading(&pipeline, loader.clone());
        let error = bed.get(face, ONE).err().unwrap();
        assert_eq!(error.kind(), Kind::Timeout);
        assert!(error.to_string().contains("350 ms"), "{error}");
        let load = receiver.recv_timeout(LONG).unwrap();
        assert_eq!(load.limit(), Duration::from_millis(350));
        load.done(loaded("too late"));
        // the next begins a new one
        assert_eq!(text(&bed.get(face, ONE).unwrap().unwrap()), "in time");
        assert_eq!(loader.calls(), 2);
        assert_eq!(bed.read("file", ONE).unwrap(), "in time");
    }
}

// A loader that hangs on the thread of a synchronous call keeps nobody else.
#[test]
fn a_loader_that_hangs_frees_the_others() {
    let (sender, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let first = std::sync::atomic::AtomicBool::new(true);
    let loader = Own::new(move |load| {
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            let _ = gate.lock().unwrap().recv_timeout(LONG);
            return load.done(loaded("too late"));
        }
        load.done(loaded("in time"));
    });
    let pipeline = json!({"PIPELINE": usual(), "LOAD": {"TIMEOUT_MS": 1_000}});
    let bed = Bed::loading(&pipeline, loader.clone());
    let pipeline = bed.pipeline.clone();
    let hangs = std::thread::spawn(move || {
        pipeline
            .perform(&Operation::Get { token: TokenRef::from(ONE) }, &Ask::default())
            .err()
            .map(|error| error.kind())
    });
    bed.until("the first load", |_| loader.calls() == 1);
    let mut ends = Vec::new();
    for face in FACES {
        ends.push(bed.get(face, ONE).map(|found| text(&found.unwrap())).map_err(|error| error.kind()));
    }
    assert_eq!(ends[0], Err(Kind::Timeout), "it waited for the one that hangs");
    assert_eq!(ends[1], Ok("in time".to_owned()), "and who comes then loads anew");
    sender.send(()).unwrap();
    assert_eq!(hangs.join().unwrap(), Some(Kind::Timeout));
    assert_eq!(bed.read("memory", ONE).unwrap(), "in time");
}

#[test]
fn waiting_for_ones_own_load_is_a_deadlock() {
    for face in FACES {
        let pipeline: Arc<Mutex<Option<Arc<Pipeline>>>> = Arc::default();
        let own = pipeline.clone();
        let loader = Own::new(move |load| {
            let pipeline = own.lock().unwrap().clone().unwrap();
            let ask = within(5_000);
            let get = |token| begin(&pipeline, Face::Now, &Operation::Get { token: TokenRef::from(token) }, &ask)();
            if &**load.token() == ONE {
                let same = get(ONE).err().unwrap();
                assert_eq!(same.kind(), Kind::Deadlock);
                // of others it may well ask
                let other = text(&value(get(TWO).unwrap()).unwrap());
                load.done(loaded(&format!("with {other}")));
            } else {
                assert_eq!(get(ONE).err().unwrap().kind(), Kind::Deadlock, "also by a detour");
                load.done(loaded("the other"));
            }
        });
        let bed = Bed::loading(&usual(), loader);
        *pipeline.lock().unwrap() = Some(bed.pipeline.clone());
        assert_eq!(text(&bed.get(face, ONE).unwrap().unwrap()), "with the other");
        *pipeline.lock().unwrap() = None;
    }
}

#[test]
fn a_loader_can_bound_the_time_to_live() {
    for face in FACES {
        for (own, left) in [
            (Ttl::Millis(5_000), Some(5_000)),
            (Ttl::Millis(900_000), Some(120_000)),
            (Ttl::Forever, Some(120_000)),
            (Ttl::Millis(0), None),
        ] {
            let loader = Own::new(move |load| {
                load.done(Loaded::Value(Arc::new(OwnedInput::Json(b"[1]".to_vec())), Some(TtlChoice::Of(own))));
            });
            let bed = Bed::loading(&usual(), loader);
            assert_eq!(bed.get(face, ONE).unwrap().unwrap().value.json().unwrap().shown, "[1]");
            let is_left = |alias: &str| {
                let is = bed.left(alias, ONE);
                is.zip(left).map_or(is == left, |(is, left)| (left - 4_000..=left).contains(&is))
            };
            assert!(is_left("memory") && is_left("file"), "{own:?}: {:?}", bed.left("memory", ONE));
        }
    }
}

// larder_get_or_load
#[test]
fn one_store_with_a_loader() {
    for face in FACES {
        let bed = Bed::new(&usual());
        let around = || Arc::new(Pipeline::around(bed.store("file"), Rules::default(), bed.flights.clone()));
        let loader = Own::text("loaded #");
        let ask = Ask { loader: Some(loader.clone()), ..Ask::default() };
        let get = |key, ttl, ask: &Ask| {
            value(begin(&around(), face, &Operation::GetOrLoad { key, ttl }, ask)().unwrap()).map(|found| text(&found))
        };
        let ttl = TtlChoice::Of(Ttl::Millis(60_000));
        assert_eq!(get("key", ttl, &ask).unwrap(), "loaded 1");
        assert_eq!(get("key", ttl, &ask).unwrap(), "loaded 1");
        assert!((50_000..=60_000).contains(&bed.left("file", "key").unwrap()));
        let other = Ask { version: Some("2".into()), ..ask.clone() };
        assert_eq!(get("key", TtlChoice::Of(Ttl::Forever), &other).unwrap(), "loaded 2");
        assert!((50_000..=60_000).contains(&bed.left("file", "key").unwrap()), "it was another key");
        // the alias's own time
        assert_eq!(get("third", TtlChoice::Default, &ask).unwrap(), "loaded 3");
        assert!((290_000..=300_000).contains(&bed.left("file", "third").unwrap()));
        assert_eq!(get("none", ttl, &Ask::default()), None, "nobody loads");
        assert_eq!(loader.calls(), 3);
        assert!(bed.log().is_empty(), "no records of Pyot's");
    }
}

// A store that hangs as the value is written does not keep it from who has no more time.
#[test]
fn what_is_loaded_is_not_lost_to_a_store_that_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // accepts nothing
    let location = format!("redis://127.0.0.1:{}/0", listener.local_addr().unwrap().port());
    let more = json!({"hangs": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location}});
    for face in FACES {
        let mut pipeline = usual();
        pipeline[1]["ALIAS"] = json!("hangs");
        let bed = Bed::with(&pipeline, &more, Some(Own::text("loaded")));
        let found = bed.get_with(face, ONE, &within(2_000)).unwrap().unwrap();
        assert_eq!((text(&found), bed.read("memory", ONE).as_deref()), ("loaded".to_owned(), Some("loaded")));
    }
}

// The answer comes exactly once when a runtime is ended in the midst of a load.
#[test]
fn a_shutdown_frees_who_waits() {
    let (sender, receiver) = mpsc::channel::<Load>();
    let sender = Mutex::new(sender);
    let bed = Bed::loading(&usual(), Own::new(move |load| sender.lock().unwrap().send(load).unwrap()));
    let end = bed.begin(Face::Later, &Operation::Get { token: TokenRef::from(ONE) }, &Ask::default());
    let load = receiver.recv_timeout(LONG).unwrap();
    let pipeline = bed.pipeline.clone();
    let waits = std::thread::spawn(move || {
        pipeline
            .perform(&Operation::Get { token: TokenRef::from(ONE) }, &Ask::default())
            .err()
            .map(|error| error.kind())
    });
    bed.until("the one that shares it", |bed| bed.counts().all.shared_loads == 1);
    bed.shut_down();
    assert_eq!(end().err().unwrap().kind(), Kind::Shutdown);
    assert_eq!(waits.join().unwrap(), Some(Kind::Shutdown));
    load.done(loaded("too late"));
    assert!(bed.flights.is_empty());
    // on one's own thread it still works
    assert_eq!(bed.get(Face::Later, TWO).err().unwrap().kind(), Kind::Shutdown);
}
