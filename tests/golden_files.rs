//! The golden cache files (golden/files): what Django wrote, what it makes of odd files, and files that mean harm.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // helpers of tests may say plainly what must not happen
#![cfg(feature = "file")]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder::backend::file::File;
use larder::backend::{Backend, Spawner, Touched, When, Written};
use larder::config::Culling;
use larder::error::{Error, Kind, Result};
use larder::key::MadeKey;
use larder::timeout::{Budget, Ttl};
use larder::value::Limits;
use serde_json::Value;

const BUDGET: Budget = Budget::new(Duration::from_secs(5));

struct NoThreads;

impl Spawner for NoThreads {
    fn spawn(&self, _task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<()> {
        Err(Error::new(Kind::Shutdown, "no tasks here"))
    }

    fn spawn_blocking(&self, _job: Box<dyn FnOnce() + Send>) -> Result<()> {
        Err(Error::new(Kind::Shutdown, "no threads here"))
    }
}

/// A copy of one folder of golden files, since reading can delete.
struct Copy(PathBuf);

impl Copy {
    fn of(folder: &str, test: &str) -> Self {
        let copy = std::env::temp_dir().join(format!("larder-golden-{}-{test}-{folder}", std::process::id()));
        std::fs::create_dir_all(&copy).unwrap();
        for file in std::fs::read_dir(golden().join(folder)).unwrap() {
            let file = file.unwrap();
            std::fs::write(copy.join(file.file_name()), std::fs::read(file.path()).unwrap()).unwrap();
        }
        Self(copy)
    }

    fn cache(&self, limit: usize) -> File {
        let culling = Culling { max_entries: 1_000_000, frequency: 3 };
        File::open(self.0.clone(), culling, Limits { bytes: limit, ..Limits::default() }, Arc::new(NoThreads))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn golden() -> PathBuf {
    let shared = std::env::var_os("LARDER_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let files = shared.join("golden/files");
    assert!(files.is_dir(), "the golden files are not at {}; set LARDER_SHARED", files.display());
    files
}

fn manifest(section: &str) -> Vec<Value> {
    let text = std::fs::read(golden().join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    let rows = manifest[section].as_array().unwrap().clone();
    assert!(!rows.is_empty());
    rows
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_else(|| panic!("{name} in {row}"))
}

/// The made key of an odd or hostile file.
fn default_key(row: &Value) -> MadeKey {
    MadeKey::as_is(&format!(":1:{}", text(row, "key")))
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The body by the reference decoder of flate2, not by larder's own loop.
fn body(file: &[u8], header: usize) -> Vec<u8> {
    let mut value = Vec::new();
    flate2::read::ZlibDecoder::new(&file[header..]).read_to_end(&mut value).unwrap();
    value
}

#[test]
fn every_entry_reads_as_django_wrote_it() {
    for folder in ["plain", "prefixed", "touched"] {
        let copy = Copy::of(folder, "entries");
        let cache = copy.cache(1 << 20);
        for row in manifest("entries").iter().filter(|row| text(row, "dir") == folder) {
            let key = MadeKey::as_is(text(row, "final_key")); // K-11: under this name it has to be found
            let path = copy.0.join(text(row, "file"));
            let file = std::fs::read(&path).unwrap();
            let header = usize::try_from(row["header_bytes"].as_u64().unwrap()).unwrap();
            let expired = row["expired"].as_bool().unwrap();
            if expired {
                assert_eq!(cache.get(&key, BUDGET).unwrap(), None); // FB-5
                assert!(!path.exists());
                continue;
            }
            assert!(cache.has(&key, BUDGET).unwrap(), "{row}");
            let value = cache.get(&key, BUDGET).unwrap().unwrap();
            assert!(value.bytes == body(&file, header), "{row}"); // FB-3, FB-4
            match (row["expiry"].as_f64(), cache.ttl(&key, BUDGET).unwrap()) {
                (None, Some(Ttl::Forever)) => {}
                (Some(expiry), Some(Ttl::Millis(left))) => {
                    let left = Duration::from_millis(u64::try_from(left).unwrap()).as_secs_f64();
                    assert!((expiry - now() - left).abs() < 5.0, "{row}: {left}");
                }
                (expected, found) => panic!("{row}: {expected:?} {found:?}"),
            }
        }
    }
}

#[test]
fn a_touch_keeps_the_value_and_drops_what_stayed_behind() {
    let copy = Copy::of("touched", "touch");
    let cache = copy.cache(1 << 20);
    for row in manifest("entries").iter().filter(|row| text(row, "dir") == "touched") {
        let key = MadeKey::as_is(text(row, "final_key"));
        let path = copy.0.join(text(row, "file"));
        let value = cache.get(&key, BUDGET).unwrap().unwrap();
        assert_eq!(cache.touch(&key, Ttl::Forever, BUDGET).unwrap(), Touched::Changed);
        let file = std::fs::read(&path).unwrap();
        assert!(file.starts_with(b"\x80\x05N.\x78"), "{row}"); // FB-3
        let mut decoder = flate2::read::ZlibDecoder::new(&file[4..]);
        std::io::copy(&mut decoder, &mut std::io::sink()).unwrap();
        assert_eq!(decoder.total_in(), u64::try_from(file.len() - 4).unwrap(), "{row}"); // FB-4: no stale bytes
        assert_eq!(cache.get(&key, BUDGET).unwrap().unwrap(), value);
    }
}

#[test]
fn odd_files_are_read_as_django_reads_them() {
    let copy = Copy::of("odd", "odd");
    let cache = copy.cache(1 << 20);
    let rows = manifest("odd");
    for row in &rows {
        let key = default_key(row);
        let path = copy.0.join(text(row, "file"));
        let file = std::fs::read(&path).unwrap();
        let has = &row["django_has_key"];
        match cache.has(&key, BUDGET) {
            Ok(found) => assert_eq!(has["returns"]["json"], found.to_string(), "{row}"),
            Err(error) => {
                assert!(has["raises"].is_string(), "{row}: {error}");
                assert_eq!(error.kind(), Kind::Undecodable);
            }
        }
        std::fs::write(&path, &file).unwrap(); // has deletes what is expired
        let get = &row["django_get_with_default"];
        match cache.get(&key, BUDGET) {
            Ok(None) => assert_eq!(get["returns"]["json"], "\"DEFAULT\"", "{row}"),
            Ok(Some(value)) => {
                assert!(get["returns"].is_object() && get["returns"]["json"] != "\"DEFAULT\"", "{row}");
                let header = file.windows(2).position(|pair| pair[0] == b'x' && [1, 0x9C, 0xDA].contains(&pair[1]));
                assert!(value.bytes == body(&file, header.unwrap()), "{row}");
            }
            Err(error) => {
                assert!(get["raises"].is_string(), "{row}: {error}");
                assert_eq!(error.kind(), Kind::Undecodable, "{row}"); // FB-5
            }
        }
        assert_eq!(!path.exists(), row["file_deleted_by_get"].as_bool().unwrap(), "{row}");
    }
    cache.clear(None, BUDGET).unwrap(); // FB-9
    let mut left: Vec<_> = std::fs::read_dir(&copy.0).unwrap().map(|file| file.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["notes.txt", "tmpabc123"]);
}

/// The peak of this process's memory, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn hostile_files_run_nothing_and_take_no_memory() {
    let copy = Copy::of("hostile", "hostile");
    let cache = copy.cache(1 << 20);
    let before = peak();
    for row in &manifest("hostile") {
        let key = default_key(row);
        let path = copy.0.join(text(row, "file"));
        let file = std::fs::read(&path).unwrap();
        let got = cache.get(&key, BUDGET);
        match text(row, "key") {
            "header" => {
                assert_eq!(got.unwrap_err().kind(), Kind::Undecodable);
                assert_eq!(cache.has(&key, BUDGET).unwrap_err().kind(), Kind::Undecodable);
                assert_eq!(
                    cache.set(&key, b"v".into(), Ttl::Forever, When::Missing, BUDGET).unwrap_err().kind(),
                    Kind::Undecodable
                );
            }
            "bomb" => {
                assert_eq!(got.unwrap_err().kind(), Kind::TooBig);
                assert_eq!(cache.touch(&key, Ttl::Forever, BUDGET).unwrap_err().kind(), Kind::TooBig);
            }
            // The backend hands out bytes; what they say is the codec's business.
            "value" | "big-length" => assert!(got.unwrap().unwrap().bytes == body(&file, 21)),
            other => panic!("a new hostile file: {other}"),
        }
        assert!(std::fs::read(&path).unwrap() == file, "{row}");
        assert_eq!(cache.set(&key, b"v".into(), Ttl::Forever, When::Always, BUDGET).unwrap(), Written::Stored);
    }
    assert!(peak() - before < 32 << 10, "{} KiB", peak() - before);
    for folder in [&copy.0, &PathBuf::from(".")] {
        let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("pwned")));
    }
}
