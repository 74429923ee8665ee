//! Many at once: threads, processes, Python's touch, and a disk that is full.

use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;

/// Runs `test` of this program again in another process, under a shell command that ends in `"$@"`.
fn again(test: &str, shell: &str, folder: &Folder) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", shell, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("LARDER_TEST_FOLDER", &folder.0).stdout(Stdio::piped());
    command
}

/// The folder of the process that started this one.
fn given_folder() -> Option<Folder> {
    std::env::var_os("LARDER_TEST_FOLDER").map(|path| Folder(path.into()))
}

fn add_from_all_sides(caches: &[&dyn Backend], prepare: impl Fn(&str)) {
    for round in 0..100 {
        let name = round.to_string();
        prepare(&name);
        let start = std::sync::Barrier::new(caches.len());
        let winners: Vec<usize> = thread::scope(|scope| {
            let threads: Vec<_> = caches
                .iter()
                .enumerate()
                .map(|(number, cache)| {
                    let (start, name) = (&start, &name);
                    scope.spawn(move || {
                        start.wait();
                        (cache.add(name, &number.to_string(), LONG) == Written::Stored).then_some(number)
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(caches[0].read(&name).unwrap(), winners[0].to_string());
    }
}

/// FB-10, and the same in memory: one wins, over nothing and over an expired entry.
#[test]
fn exactly_one_add_wins() {
    let in_memory = memory(ROOMY);
    add_from_all_sides(&[&in_memory as &dyn Backend; 6], |_| ());
    in_memory.clear(None, BUDGET).unwrap();
    add_from_all_sides(&[&in_memory as &dyn Backend; 6], |name| {
        assert_eq!(in_memory.put(name, "old", SPENT), Written::NotKept);
    });

    let folder = Folder::new();
    let files: Vec<File> = (0..6).map(|_| folder.cache(ROOMY)).collect(); // as separate as processes
    let caches: Vec<&dyn Backend> = files.iter().map(|file| file as &dyn Backend).collect();
    add_from_all_sides(&caches, |_| ());
    files[0].clear(None, BUDGET).unwrap();
    add_from_all_sides(&caches, |name| assert_eq!(files[0].put(name, "old", SPENT), Written::NotKept));
    assert!(folder.names().iter().all(|name| name.ends_with(".djcache")));
}

/// A value is one byte many times over; half of one and half of another would show.
#[test]
fn readers_never_see_half_a_value() {
    each(|cache| {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for writer in 0..2_u8 {
                let done = &done;
                scope.spawn(move || {
                    for round in 0..300_usize {
                        let value =
                            vec![b'a' + writer * 13 + u8::try_from(round % 13).unwrap(); 1 + round * 337 % 50_000];
                        cache.set(&key("k"), (&value).into(), LONG, When::Always, BUDGET).unwrap();
                        if round % 10 == 0 {
                            cache.retime("k", if round % 20 == 0 { LONG } else { Ttl::Forever });
                        }
                    }
                    done.store(true, Ordering::Relaxed);
                });
            }
            scope.spawn(|| {
                let mut seen = 0;
                while !done.load(Ordering::Relaxed) || seen == 0 {
                    if let Some(value) = cache.get(&key("k"), BUDGET).unwrap() {
                        let value = value.bytes;
                        assert!(value.iter().all(|byte| *byte == value[0]));
                        seen += 1;
                    }
                }
            });
        });
    });
}

/// All operations on few keys at once, with culls going on; the limit holds in memory at every moment.
#[test]
fn threads_on_few_keys() {
    let cache = memory(Culling { max_entries: 20, frequency: 4 });
    thread::scope(|scope| {
        for seed in 0..4_u32 {
            let cache = &cache;
            scope.spawn(move || {
                for round in 0..3000_u32 {
                    let name = ((round * 7 + seed * 13) % 40).to_string();
                    match round % 5 {
                        0 => assert!(cache.read(&name).is_none_or(|value| value == "v")),
                        1 => _ = cache.drop_key(&name),
                        2 => _ = cache.add(&name, "v", if round % 3 == 0 { SPENT } else { LONG }),
                        3 => _ = cache.update(&key(&name), &mut |old| Ok(old.bytes.to_vec().into()), BUDGET).unwrap(),
                        _ => assert_eq!(cache.put(&name, "v", LONG), Written::Stored),
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..300 {
                assert!(cache.scan(b"*", 0, BUDGET).unwrap().keys.len() <= 20 + 4); // a scan takes shard after shard
            }
        });
    });
    cache.put("last", "v", LONG);
    assert!(cache.scan(b"*", 0, BUDGET).unwrap().keys.len() <= 20); // L-4
    assert_eq!(cache.read("last").unwrap(), "v");
}

/// The bound that `file/census.rs` states, with four processes: MAX_ENTRIES + 4 × MAX_ENTRIES / 16, and one each that
/// is under way.
#[test]
fn four_processes_overshoot_by_a_bounded_number() {
    let culling = Culling { max_entries: 64, frequency: 2 };
    if let Some(folder) = given_folder() {
        let cache = folder.cache(culling);
        for number in 0..400 {
            cache.put(&format!("{}-{number}", std::process::id()), "v", LONG);
        }
        std::mem::forget(folder);
        return;
    }
    let folder = Folder::new();
    let cache = folder.cache(culling);
    let test = "writers::four_processes_overshoot_by_a_bounded_number";
    let mut writers: Vec<_> = (0..4).map(|_| again(test, "exec \"$@\"", &folder).spawn().unwrap()).collect();
    let mut most = 0;
    while writers.iter_mut().any(|writer| writer.try_wait().unwrap().is_none()) {
        most = most.max(folder.names().iter().filter(|name| name.ends_with(".djcache")).count());
    }
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    }
    assert!((33..=64 + 4 * 4 + 4).contains(&most), "{most}");
    cache.put("one more", "v", LONG);
    assert!(folder.names().iter().all(|name| name.ends_with(".djcache")));
}

/// A set that fails leaves the old value, and no half file; here because no file may grow beyond 4 KiB.
#[test]
fn a_full_disk_leaves_the_old_value() {
    let Some(folder) = given_folder() else {
        let folder = Folder::new();
        let shell = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
        let output = again("writers::a_full_disk_leaves_the_old_value", shell, &folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        return;
    };
    for culling in [ROOMY, Culling { max_entries: 1, frequency: 0 }] {
        let cache = folder.cache(culling);
        cache.put("a", "old", LONG);
        let mut random = 1_u32;
        let mut noise = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random.to_be_bytes()[0]
        };
        let large: Vec<u8> = (0..50_000).map(|_| noise()).collect();
        for when in [When::Always, When::Present] {
            let error = cache.set(&key("a"), (&large).into(), LONG, when, BUDGET).unwrap_err();
            assert_eq!(error.kind(), Kind::Io, "{error}");
            assert!(error.reason().contains(folder.cache_path().to_str().unwrap()), "{error}");
            assert_eq!(cache.read("a").unwrap(), "old");
        }
        assert!(cache.set(&key("b"), (&large).into(), LONG, When::Missing, BUDGET).is_err());
        assert!(!cache.there("b"));
        assert!(folder.names().iter().all(|name| name.ends_with(".djcache")), "{:?}", folder.names());
    }
}

/// FB-7: Python's touch holds the lock while it rewrites a file in place. A reader that meets half of that reads
/// again, and a touch waits.
#[test]
fn pythons_touch_is_waited_for() {
    let folder = Folder::new();
    let cache = folder.cache(ROOMY);
    cache.put("k", "a value of some length", LONG);
    let path = folder.cache_path().join(&folder.names()[0]);
    let whole = std::fs::read(&path).unwrap();
    let python = std::fs::File::options().write(true).open(&path).unwrap();
    rustix::fs::flock(&python, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut torn = whole.clone();
    torn[30..].fill(0);
    std::os::unix::fs::FileExt::write_all_at(&python, &torn, 0).unwrap();

    let late = Budget::new(Duration::from_millis(30));
    assert_eq!(cache.get(&key("k"), late).unwrap_err().kind(), Kind::Undecodable);
    assert_eq!(cache.touch(&key("k"), Ttl::Forever, late).unwrap_err().kind(), Kind::Timeout);
    thread::scope(|scope| {
        let reader = scope.spawn(|| cache.read("k"));
        let toucher = scope.spawn(|| cache.retime("k", Ttl::Forever));
        thread::sleep(Duration::from_millis(50));
        assert!(!reader.is_finished() && !toucher.is_finished());
        std::os::unix::fs::FileExt::write_all_at(&python, &whole, 0).unwrap();
        drop(python);
        assert_eq!(reader.join().unwrap().unwrap(), "a value of some length");
        assert_eq!(toucher.join().unwrap(), Touched::Changed);
    });
    assert_eq!(cache.ttl(&key("k"), BUDGET).unwrap(), Some(Ttl::Forever));
}
