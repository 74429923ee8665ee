//! Sessions that a real Django made, read by examples-c/session.c (contract 1.18); and what is no session.

mod common;

#[path = "c/driver.rs"]
mod driver;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::memcached::MemcachedServer;
use common::python;
use common::redis::{RedisServer, free_port};
use driver::{Link, Outcome, build, finish, folder_of_its_own, root, run};
use serde_json::{Value, json};

/// A session key of the form that Django makes, which nobody has.
const NOBODY: &str = "0123456789abcdefghijklmnopqrstuv";

/// What a browser could send to do harm. No Django makes these.
const HOSTILE: [&str; 12] = [
    "",
    "1234567",
    "123456789\r\nset x 0 0 1",
    "                ",
    "12345678*",
    "[0-9a-z]12345678",
    "../../../../etc/passwd",
    "'; DROP TABLE django_cache; --",
    "d_db0123456789abcdefghijklmnopqrstuv",
    "éééééééééééééééé",
    "𝟘𝟙𝟚𝟛𝟜𝟝𝟞𝟟𝟠𝟡",
    "12345678\u{7f}",
];

fn configuration(server: u16, memcached: u16) -> (PathBuf, PathBuf) {
    let folder = folder_of_its_own("sessions");
    let database = folder.join("site.sqlite3");
    let document = json!({
        "CACHES": {
            "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": format!("redis://127.0.0.1:{server}/1")},
            "core": {"BACKEND": "django.core.cache.backends.redis.RedisCache",
                     "LOCATION": format!("redis://127.0.0.1:{server}/2"), "KEY_PREFIX": "site", "VERSION": 3},
            "files": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": folder.join("files")},
            "memcached": {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
                          "LOCATION": format!("127.0.0.1:{memcached}")},
            "disk": {"BACKEND": "diskcache.DjangoCache", "LOCATION": folder.join("disk"), "SHARDS": 2},
            "database": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "django_cache"},
        },
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
        "USE_TZ": true,
    });
    let path = folder.join("caches.json");
    std::fs::write(&path, document.to_string()).unwrap();
    (folder, path)
}

fn django_side(folder: &Path, arguments: &[&str]) -> Value {
    let mut command = Command::new(python::interpreter());
    command.arg(root().join("tests/sessions/django_side.py")).arg("caches.json").args(arguments).current_dir(folder);
    command.env("PYTHONWARNINGS", "ignore"); // of keys that memcached would refuse
    let outcome = finish(command);
    outcome.expect("");
    serde_json::from_str(&outcome.said).unwrap_or_else(|error| panic!("{error}:\n{}", outcome.said))
}

fn read(program: &Path, folder: &Path, alias: &str, keys: &[&str]) -> Outcome {
    run(program, folder, &[&["caches.json", alias], keys].concat())
}

/// How much there is in the caches.
fn sizes(server: &RedisServer, folder: &Path) -> (Vec<u8>, Vec<u8>, usize) {
    let files = std::fs::read_dir(folder.join("files")).unwrap().count();
    (server.command(1, &[b"DBSIZE"]), server.command(2, &[b"DBSIZE"]), files)
}

#[test]
fn sessions_of_a_real_django() {
    let (program, server) = (build("examples-c/session.c", Link::Dynamic), RedisServer::start());
    let memcached = MemcachedServer::start();
    let (folder, _) = configuration(server.port(), memcached.port());
    let made = django_side(&folder, &[]);
    // a file whose time is up goes with the first look at it, as in Django
    let expired = made["files"]["expired"].as_str().unwrap();
    read(&program, &folder, "files", &[expired]).expect("no such session: LARDER_MISS\n");
    let before = sizes(&server, &folder);
    for alias in ["default", "core", "files", "memcached", "disk", "database"] {
        let keys = &made[alias];
        let key = |name: &str| keys[name].as_str().unwrap();
        let logged_in = format!(
            "user {} is logged in\n  _auth_user_backend   django.contrib.auth.backends.ModelBackend\n  \
             cart                 three potions\n",
            key("user")
        );
        for name in ["login", "expiry"] {
            read(&program, &folder, alias, &[key(name)]).expect(&logged_in);
        }
        read(&program, &folder, alias, &[key("anonymous")]).expect(
            "a session without a login\n  _auth_user_backend   (not there)\n  cart                 nothing yet\n",
        );
        read(&program, &folder, alias, &[key("empty")]).expect("a session without a login\n");
        let missed = ["flushed", "expired"].map(key);
        let outcome = read(&program, &folder, alias, &[&missed[..], &[NOBODY, "nonenone"], &HOSTILE].concat());
        outcome.expect("");
        let wanted = "no such session: LARDER_MISS\n".repeat(missed.len() + 2 + HOSTILE.len());
        assert_eq!(outcome.said, wanted, "{alias}");
        // Django agrees, but for a key that leads to another place
        let django = django_side(&folder, &[&["check", alias], &HOSTILE[..]].concat());
        assert_eq!(django, json!(vec![json!({}); HOSTILE.len()]), "{alias}");
    }
    assert_eq!(sizes(&server, &folder), before, "reading makes and removes nothing");
}

#[test]
fn a_server_that_is_down_is_no_miss() {
    let program = build("examples-c/session.c", Link::Dynamic);
    let (folder, _) = configuration(free_port(), free_port());
    let outcome = read(&program, &folder, "default", &[NOBODY]);
    assert_eq!(outcome.status, Some(1), "{}", outcome.said);
    assert!(
        outcome.said.starts_with("not known: LARDER_ECONNECTION: session on alias 'default' at redis://127.0.0.1:"),
        "{}",
        outcome.said
    );
    // what cannot be a session key is a miss all the same: nobody has to be asked
    let outcome = read(&program, &folder, "default", &HOSTILE);
    outcome.expect("");
    assert_eq!(outcome.said.matches("no such session: LARDER_MISS\n").count(), HOSTILE.len(), "{}", outcome.said);
}
