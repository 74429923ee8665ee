//! Files: what is written, what is left alone, how many there are (FB-1 to FB-12).

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use super::*;

fn file_of(folder: &Folder) -> PathBuf {
    let names = folder.names();
    assert_eq!(names.len(), 1, "{names:?}");
    folder.cache_path().join(&names[0])
}

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// FB-2, FB-3, FB-6, K-11.
#[test]
fn a_file_as_django_writes_it() {
    let folder = Folder::new();
    let cache = folder.cache(ROOMY);
    assert_eq!(mode(&folder.0.join("a")), 0o700);
    assert_eq!(mode(&folder.cache_path()), 0o700);
    cache.put("k", "value", Ttl::Forever);
    let path = file_of(&folder);
    assert!(path.ends_with("86faa9ea774c6ce60e4513e14b3c0af9.djcache")); // the contract's example
    assert_eq!(mode(&path), 0o600);
    assert!(std::fs::read(&path).unwrap().starts_with(b"\x80\x05N.\x78\x9C"));
    cache.put("k", "value", LONG);
    let file = std::fs::read(&path).unwrap();
    assert!(file.starts_with(b"\x80\x05\x95\x0a\0\0\0\0\0\0\0G") && file[20..].starts_with(b".\x78\x9C"));
    let expiry = f64::from_be_bytes(file[12..20].try_into().unwrap());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((expiry - now - 1000.0).abs() < 5.0);
    assert!(cache.drop_key("k"));
    assert!(folder.names().is_empty());
}

#[test]
fn a_directory_that_vanishes_is_made_again() {
    let folder = Folder::new();
    let cache = folder.cache(ROOMY);
    cache.put("a", "v", LONG);
    std::fs::remove_dir_all(folder.0.join("a")).unwrap();
    assert_eq!(cache.read("a"), None);
    assert!(!cache.drop_key("a"));
    cache.clear(None, BUDGET).unwrap();
    assert_eq!(cache.purge_expired(BUDGET).unwrap(), 0);
    cache.put("a", "w", LONG); // FB-2
    assert_eq!(cache.read("a").unwrap(), "w");
}

#[test]
fn a_directory_that_cannot_be_is_reported_by_the_first_use() {
    for (place, end) in [("a", "a' is not a directory"), ("a/cache", "a/cache' is not a directory")] {
        let folder = Folder::new();
        std::fs::create_dir_all(folder.0.join(place).parent().unwrap()).unwrap();
        std::fs::write(folder.0.join(place), "a file where a directory should be").unwrap();
        let cache = folder.cache(ROOMY);
        for error in [
            cache.set(&key("k"), b"v".into(), LONG, When::Always, BUDGET).unwrap_err(),
            cache.set(&key("k"), b"v".into(), LONG, When::Missing, BUDGET).unwrap_err(),
            cache.ping(BUDGET).unwrap_err(),
            cache.get(&key("k"), BUDGET).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::Io);
            let named = format!("the cache directory '{}'", folder.cache_path().display());
            assert!(error.reason().starts_with(&named) && error.reason().ends_with(end), "{error}");
            assert!(!error.reason().contains("djcache"), "{error}");
        }
    }
}

/// A failure names the file where it is one file that stands in the way, and what was to be done with it.
#[test]
fn failures_name_the_file() {
    let folder = Folder::new();
    let cache = folder.cache(ROOMY);
    let path = folder.cache_path().join("86faa9ea774c6ce60e4513e14b3c0af9.djcache");
    std::fs::create_dir(&path).unwrap();
    let told = |error: Error| error.reason().replace(path.to_str().unwrap(), "FILE");
    let read = told(cache.get(&key("k"), BUDGET).unwrap_err());
    assert!(read.starts_with("the cache file 'FILE' cannot be read: "), "{read}");
    let replaced = told(cache.set(&key("k"), b"v".into(), LONG, When::Always, BUDGET).unwrap_err());
    assert!(replaced.starts_with("the cache file 'FILE' cannot be replaced: "), "{replaced}");
    let removed = told(cache.delete(&key("k"), BUDGET).unwrap_err());
    assert!(removed.starts_with("the cache file 'FILE' cannot be removed: "), "{removed}");
}

/// A link that leads nowhere is as good as no entry: add replaces it, and does not wait for ever.
#[test]
fn add_replaces_a_dangling_link() {
    let folder = Folder::new();
    let cache = folder.cache(ROOMY);
    let path = folder.cache_path().join("86faa9ea774c6ce60e4513e14b3c0af9.djcache");
    let nowhere = folder.0.join("nowhere");
    std::os::unix::fs::symlink(&nowhere, &path).unwrap();
    assert_eq!(cache.read("k"), None);
    assert_eq!(cache.add("k", "v", LONG), Written::Stored);
    assert_eq!(cache.read("k").unwrap(), "v");
    assert_eq!(cache.add("k", "w", LONG), Written::NotStored);
    assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
    assert!(!nowhere.exists(), "nothing was written through the link");
    assert_eq!(folder.names().len(), 1);
}

/// FB-9; listing and prefixes are beyond a cache of hashes.
#[test]
fn clear_removes_cache_files_only() {
    let folder = Folder::new();
    let cache = folder.cache(ROOMY);
    cache.put("a", "v", LONG);
    for name in ["tmpabcd1234", "notes.txt", ".hidden.djcache", "0.djcache", "x.djcache.bak"] {
        std::fs::write(folder.cache_path().join(name), "x").unwrap();
    }
    assert_eq!(cache.clear(Some(b":1:"), BUDGET).unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(cache.scan(b"*", 0, BUDGET).unwrap_err().kind(), Kind::Unsupported);
    assert!(cache.there("a"));
    cache.clear(None, BUDGET).unwrap();
    assert_eq!(folder.names(), [".hidden.djcache", "notes.txt", "tmpabcd1234", "x.djcache.bak"]);
    std::fs::create_dir(folder.cache_path().join("a folder.djcache")).unwrap();
    cache.put("a", "v", LONG);
    cache.clear(None, BUDGET).unwrap(); // a directory is passed over
    assert!(!cache.there("a") && folder.names().contains(&"a folder.djcache".into()));
}

#[test]
fn purging_removes_expired_files_and_orphans() {
    let folder = Folder::new();
    let cache = folder.cache(ROOMY);
    cache.put("live", "v", LONG);
    cache.put("expired", "v", SPENT);
    std::fs::write(folder.cache_path().join("0.djcache"), "").unwrap();
    std::fs::write(folder.cache_path().join("1.djcache"), "damaged").unwrap();
    // Everything that could be a stranger's is left: another name, mode, kind, or a fresh one (FB-1, FB-6).
    let strangers = ["tmp.old", "template", "tmpabc", "tmpREPORT12", "tmpreport123", "tmpreadable", "tmpfresh123"];
    let mut left: BTreeSet<String> = strangers.map(String::from).into();
    for name in strangers.iter().chain(&["tmpold_1234"]) {
        let file = std::fs::File::create(folder.cache_path().join(name)).unwrap();
        let mode = if *name == "tmpreadable" { 0o644 } else { 0o600 };
        file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        if *name != "tmpfresh123" {
            file.set_modified(SystemTime::now() - Duration::from_hours(2)).unwrap();
        }
    }
    std::fs::create_dir(folder.cache_path().join("tmpfolder_1")).unwrap();
    std::os::unix::fs::symlink("tmp.old", folder.cache_path().join("tmplink_123")).unwrap();
    left.extend(["tmpfolder_1", "tmplink_123", "1.djcache"].map(String::from));
    assert_eq!(cache.purge_expired(BUDGET).unwrap(), 3);
    let now: BTreeSet<_> = folder.names().into_iter().collect();
    assert!(left.is_subset(&now), "{now:?}");
    assert_eq!(now.len(), left.len() + 1); // and the live one
    assert!(cache.there("live"));
}

/// Golden scenario "MAX_ENTRIES 5, CULL_FREQUENCY 0"; FB-8.
#[test]
fn the_limit_is_exact_for_one_writer() {
    let folder = Folder::new();
    let cache = folder.cache(Culling { max_entries: 5, frequency: 0 });
    for number in 0..12 {
        cache.put(&format!("k{number:02}"), "v", LONG);
    }
    let there: Vec<_> = (0..12).filter(|number| cache.there(&format!("k{number:02}"))).collect();
    assert_eq!(there, [10, 11]);
}

/// FB-8: before each write, also one that overwrites, `int(n / frequency)` files go once there are `max_entries`.
#[test]
fn the_number_of_files_is_that_of_django() {
    for (max, frequency) in [(5_usize, 3_usize), (5, 2), (40, 3), (100, 7), (3, 9), (0, 1), (200, 0)] {
        let folder = Folder::new();
        let culling = Culling { max_entries: max.try_into().unwrap(), frequency: frequency.try_into().unwrap() };
        let cache = folder.cache(culling);
        let mut random = 7_u64;
        for _ in 0..600 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let name = ((random >> 33) % 150).to_string();
            let n = folder.names().len();
            let existed = cache.there(&name);
            if random >> 61 == 0 {
                assert_eq!(cache.drop_key(&name), existed);
                assert_eq!(folder.names().len(), n - usize::from(existed));
                continue;
            }
            cache.put(&name, "v", LONG);
            let culled = if n >= max { n.checked_div(frequency).unwrap_or(n) } else { 0 };
            // The file that is overwritten is the first to be culled, and is then there again.
            let added = usize::from(!existed || culled > 0);
            assert_eq!(folder.names().len(), n - culled + added, "{max} {frequency}");
            assert!(cache.there(&name));
        }
    }
}

/// Expired files go before live ones, old ones before new ones (FB-8 leaves the choice open).
#[test]
fn what_is_expired_or_old_is_culled_first() {
    let folder = Folder::new();
    let cache = folder.cache(Culling { max_entries: 8, frequency: 2 });
    for name in ["old", "a", "b", "c"] {
        cache.put(name, "v", LONG);
        std::thread::sleep(Duration::from_millis(15));
    }
    for name in ["x", "y", "z", "w"] {
        cache.put(name, "v", if name == "w" { LONG } else { SPENT });
    }
    cache.put("new", "v", LONG);
    for (name, there) in [("old", false), ("a", true), ("b", true), ("c", true), ("w", true), ("new", true)] {
        assert_eq!(cache.there(name), there, "{name}");
    }
    assert_eq!(folder.names().len(), 5);
}

/// How often the directory itself was read while `work` ran, as the kernel counts.
fn listings(folder: &Folder, work: impl FnOnce()) -> usize {
    use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
    let watcher = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
    add_watch(&watcher, folder.cache_path(), WatchFlags::ACCESS).unwrap();
    work();
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(&watcher, &mut buffer);
    let mut count = 0;
    while let Ok(event) = reader.next() {
        assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW));
        count += usize::from(event.events().contains(ReadFlags::ISDIR) && event.file_name().is_none());
    }
    count
}

/// FB-8: Django lists the directory on each set; here the number of files is kept.
#[test]
fn a_set_does_not_list_the_directory() {
    let folder = Folder::new();
    let cache = folder.cache(Culling { max_entries: 10_000, frequency: 3 });
    for number in 0..100 {
        cache.put(&format!("old{number}"), "v", LONG);
    }
    let seen = listings(&folder, || {
        for number in 0..200 {
            cache.put(&format!("k{number}"), "v", LONG);
        }
    });
    assert!(seen <= 2, "{seen} listings in 200 sets");
    assert!(listings(&folder, || assert!(!folder.names().is_empty())) >= 1, "a listing is seen");
}

/// FB-8: a set does not list the directory, so other writers' files are seen late, but within the stated bound.
#[test]
fn other_writers_files_count() {
    let folder = Folder::new();
    let culling = Culling { max_entries: 64, frequency: 2 };
    let cache = folder.cache(culling);
    cache.put("mine", "v", LONG);
    for number in 0..100 {
        std::fs::write(folder.cache_path().join(format!("{number}.djcache")), b"\x80\x05N.").unwrap();
    }
    for number in 0..4 {
        cache.put(&format!("more{number}"), "v", LONG);
    }
    assert!(folder.names().len() <= 64, "{}", folder.names().len());
}

/// A pipe in the directory does not stop anyone.
#[test]
fn what_is_no_file_does_not_block() {
    let folder = Folder::new();
    let cache = folder.cache(ROOMY);
    let path = folder.cache_path().join("86faa9ea774c6ce60e4513e14b3c0af9.djcache");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(cache.get(&key("k"), BUDGET).map_or(true, |value| value.is_none()));
    std::fs::create_dir_all(folder.cache_path().join("28be1541b2aa688fec6084a6e1a8490c.djcache")).unwrap();
    assert_eq!(cache.get(&key("é"), BUDGET).unwrap_err().kind(), Kind::Io);
    assert_eq!(cache.set(&key("é"), b"v".into(), LONG, When::Always, BUDGET).unwrap_err().kind(), Kind::Io);
    assert!(!folder.names().iter().any(|name| name.starts_with("tmp")));
}
