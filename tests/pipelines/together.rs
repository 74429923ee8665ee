//! One load for all who miss one token at the same time.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::{Duration, Instant};

use larder::error::{Error, Kind};
use larder::pyot::ask::{Ask, Loaded, Operation, TokenRef};
use larder::pyot::load::Load;
use serde_json::json;

use crate::bed::{Bed, FACES, Face, LONG, ONE, Own, begin, loaded, text, usual, value, within};

// PY-P5: unlike Pyot; and PY-S10: no thread has to wait for another's call
#[test]
fn hundreds_of_threads_share_one_load() {
    const THREADS: usize = 300;
    for face in FACES {
        let loader = Own::new(|load| {
            std::thread::sleep(Duration::from_millis(20));
            load.done(loaded("once"));
        });
        let bed = Bed::loading(&usual(), loader.clone());
        let start = Barrier::new(THREADS);
        let loads = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    let found = bed.get(face, ONE).unwrap().unwrap();
                    assert_eq!(text(&found), "once");
                    loads.fetch_add(usize::from(found.level.is_none()), Ordering::SeqCst);
                });
            }
        });
        assert_eq!(loader.calls(), 1, "however late some of them came to ask");
        assert!(loads.load(Ordering::SeqCst) >= 1 && bed.flights.is_empty());
        assert_eq!(bed.counts().all.loads, 1);
    }
}

// Who missed before a load landed, and would begin one only then, finds its value in the stores.
#[test]
fn who_comes_just_too_late_looks_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // accepts nothing
    let port = listener.local_addr().unwrap().port();
    let location = format!("redis://127.0.0.1:{port}/0");
    let more = json!({"hangs": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location}});
    for face in FACES {
        let mut pipeline = usual();
        pipeline[1]["ALIAS"] = json!("hangs");
        let loader = Own::text("of the other");
        let bed = Bed::with(&pipeline, &more, Some(loader.clone()));
        let other = bed.pipeline.clone();
        // it asks the second store for three quarters of its time, and then nobody has it
        let late = std::thread::spawn(move || {
            let get = Operation::Get { token: TokenRef::from(ONE) };
            let found = value(begin(&other, face, &get, &within(4_000))().unwrap()).unwrap();
            (text(&found), found.level)
        });
        std::thread::sleep(Duration::from_millis(100));
        // a quarter of the time is left for the load, on a machine that does much else
        assert_eq!(text(&bed.get_with(Face::Now, ONE, &within(1_200)).unwrap().unwrap()), "of the other");
        bed.until("the landing", |bed| bed.flights.is_empty());
        assert_eq!(late.join().unwrap(), ("of the other".to_owned(), Some(0)));
        assert_eq!(loader.calls(), 1);
    }
}

#[test]
fn each_waits_until_its_own_deadline() {
    let (sender, receiver) = mpsc::channel::<Load>();
    let sender = Mutex::new(sender);
    let bed = Bed::loading(&usual(), Own::new(move |load| sender.lock().unwrap().send(load).unwrap()));
    let get = || Operation::Get { token: TokenRef::from(ONE) };
    let patient = bed.begin(Face::Later, &get(), &Ask::default());
    let load = receiver.recv_timeout(LONG).unwrap();
    for face in FACES {
        let began = Instant::now();
        let error = bed.get_with(face, ONE, &within(300)).err().unwrap();
        assert_eq!(error.kind(), Kind::Timeout);
        assert!(began.elapsed() >= Duration::from_millis(300));
    }
    load.done(loaded("x"));
    assert_eq!(text(&value(patient().unwrap()).unwrap()), "x");
    assert_eq!((bed.counts().all.loads, bed.counts().all.shared_loads), (1, 2));
}

#[test]
fn whatever_becomes_of_a_load_frees_all_who_wait() {
    type Way = (Result<Option<&'static str>, Kind>, fn(Load));
    let ways: [Way; 5] = [
        (Ok(Some("x")), |load| load.done(loaded("x"))),
        (Ok(None), |load| load.done(Loaded::NotFound)),
        (Err(Kind::Server), |load| load.done(Loaded::Failed(Error::new(Kind::Server, "503")))),
        (Err(Kind::Panic), |_load| panic!("in a loader")),
        (Err(Kind::Panic), drop),
    ];
    for leader in FACES {
        for (expected, way) in ways {
            let (sender, receiver) = mpsc::channel::<()>();
            let (receiver, inside) = (Mutex::new(receiver), Arc::new(AtomicUsize::new(0)));
            let seen = inside.clone();
            let loader = Own::new(move |load| {
                seen.fetch_add(1, Ordering::SeqCst);
                let _ = receiver.lock().unwrap().recv_timeout(LONG);
                way(load);
            });
            let bed = Bed::loading(&usual(), loader.clone());
            let get =
                |face| bed.get(face, ONE).map(|found| found.map(|found| text(&found))).map_err(|error| error.kind());
            let ends = std::thread::scope(|scope| {
                let mut ends = vec![scope.spawn(|| get(leader))];
                bed.until("the loader", |_| inside.load(Ordering::SeqCst) == 1);
                ends.extend((0..6).map(|number| scope.spawn(move || get(FACES[number % 2]))));
                bed.until("all the others", |bed| bed.counts().all.shared_loads == 6);
                sender.send(()).unwrap();
                ends.into_iter().map(|end| end.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(ends, vec![expected.map(|text| text.map(str::to_owned)); 7]);
            assert!(loader.calls() == 1 && bed.flights.is_empty());
        }
    }
}
