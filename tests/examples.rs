//! The examples that users copy from, built with every warning an error, and what they say.
#![cfg(all(feature = "memory", feature = "file", feature = "redis"))]

mod common;

#[path = "c/driver.rs"]
mod driver;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::python;
use common::redis::{RedisServer, free_port};
use driver::{Link, Outcome, build, build_with, finish, folder_of_its_own, root, run};

/// Builds an example.
fn example(name: &str) -> PathBuf {
    build(&format!("examples-c/{name}.c"), Link::Dynamic)
}

/// A folder with the configuration of the examples, for a Redis on this port of this machine.
fn configured(port: u16) -> PathBuf {
    let folder = folder_of_its_own("example");
    let text = std::fs::read_to_string(root().join("examples-c/caches.json")).unwrap();
    assert_eq!(text.matches(":6379/").count(), 2);
    std::fs::write(folder.join("caches.json"), text.replace(":6379/", &format!(":{port}/"))).unwrap();
    folder
}

/// What a program says under a headline, without the spaces at the beginning of its lines.
fn section<'a>(outcome: &'a Outcome, headline: &str) -> Vec<&'a str> {
    let lines = outcome.said.lines().skip_while(|line| *line != headline).skip(1);
    lines.take_while(|line| line.starts_with(' ')).map(str::trim_start).collect()
}

#[track_caller]
fn sets_reads_expires_and_counts(said: &[&str]) {
    let wanted = [
        "read back:      hello",
        r#"a dict:         {"name": "Ahri", "level": 678}"#,
        "after 100 ms:   LARDER_MISS",
        "counted to:     42",
    ];
    assert_eq!(said.get(..4), Some(&wanted[..]), "{said:?}");
}

#[track_caller]
fn lists_its_keys(said: &[&str]) {
    let mut keys: Vec<&str> = said[4..].to_vec();
    keys.sort_unstable();
    keys.dedup(); // Redis may tell a key twice
    let wanted = ["quickstart:greeting", "quickstart:summoner", "quickstart:visits"];
    assert_eq!(keys, wanted.map(|key| format!("key:            {key}")));
}

#[test]
fn quickstart_without_a_server() {
    let folder = configured(free_port());
    let outcome = run::<&str>(&example("quickstart"), &folder, &[]);
    outcome.expect("");
    assert!(outcome.said.contains("warning: CACHES.pyot-filebased.MAX_ENTRIES: "), "{}", outcome.said);
    let files = section(&outcome, "pyot-filebased");
    sets_reads_expires_and_counts(&files);
    assert!(files[4].starts_with("keys:           unsupported (keys on alias 'pyot-filebased': "), "{files:?}");
    let memory = section(&outcome, "scratch");
    sets_reads_expires_and_counts(&memory);
    lists_its_keys(&memory);
    let redis = section(&outcome, "default");
    assert!(redis[0].starts_with("nobody answers: ping on alias 'default' at redis://127.0.0.1:"), "{redis:?}");
    assert!(folder.join("filebased-cache").is_dir(), "the relative LOCATION is in the working directory");
}

#[test]
fn quickstart_with_a_server() {
    let server = RedisServer::start();
    let outcome = run::<&str>(&example("quickstart"), &configured(server.port()), &[]);
    outcome.expect("");
    for alias in ["pyot-filebased", "scratch", "default"] {
        sets_reads_expires_and_counts(&section(&outcome, alias));
    }
    lists_its_keys(&section(&outcome, "default"));
    assert_eq!(server.command(10, &[b"DBSIZE"]), b"0", "it cleans up");
}

#[test]
fn errors() {
    let outcome = run::<&str>(&example("errors"), &folder_of_its_own("example"), &[]);
    for words in [
        "LARDER_ECONFIG (-1): open: the document: is not JSON",
        "did you mean django.core.cache.backends.locmem.LocMemCache?",
        "default.LOCATION: must be a text",
        "the environment variable NO_SUCH_VARIABLE is not set",
        "LARDER_ECONFIG (-1): store_open: CACHES has no alias \"defualt\"; did you mean \"default\"?",
        "LARDER_ECONNECTION (-9): get on alias 'default' at redis://127.0.0.1:1/0: ",
        "[trying again can help]",
        "LARDER_IGNORED (8)",
        "LARDER_MISS (1)",
        "LARDER_ETYPE (-5): incr on alias 'scratch': the value is of kind text, not a number",
        "LARDER_EHANDLE (-3): the store is NULL, closed, or no store",
    ] {
        outcome.expect(words);
    }
    let told = outcome.said.replace("redis://:very-secret", "");
    assert!(!told.contains("very-secret"), "{}", outcome.said);
}

#[test]
fn many() {
    let (program, server) = (example("many"), RedisServer::start());
    let folder = configured(server.port());
    for arguments in [&[][..], &["caches.json", "default"], &["caches.json", "pyot-filebased"]] {
        let outcome = run(&program, &folder, arguments);
        outcome.expect("3 of 4 found");
        outcome.expect("get  many:mid     {\"champion\": \"Ahri\"}");
        outcome.expect("get  many:bottom  nothing");
        outcome.expect("3 removed");
    }
}

#[test]
fn callbacks() {
    let (program, server) = (example("callbacks"), RedisServer::start());
    let folder = configured(server.port());
    for arguments in [&[][..], &["caches.json", "default"], &["caches.json", "pyot-filebased"]] {
        let outcome = run(&program, &folder, arguments);
        outcome.expect("the word is \"later\"\nshut down\n");
        assert_eq!(outcome.said.matches("answered: LARDER_OK\n").count(), 3, "{}", outcome.said);
        assert_eq!(outcome.said.matches("answered: LARDER_MISS\n").count(), 1, "{}", outcome.said);
    }
}

/// An example without arguments (in memory), with files, with a server, and with one that does not answer.
fn with_each_backend(program: &Path, first: &[&str], check: impl Fn(&str, &Outcome)) {
    let server = RedisServer::start();
    let folder = configured(server.port());
    for more in [&[][..], &["caches.json", "default"], &["caches.json", "pyot-filebased"]] {
        let outcome = run(program, &folder, &[first, more].concat());
        outcome.expect("");
        check(more.last().unwrap_or(&"memory"), &outcome);
    }
    let folder = configured(free_port());
    let outcome = run(program, &folder, &[first, &["caches.json", "default"]].concat());
    check("nobody", &outcome);
}

#[test]
fn epoll_queue() {
    with_each_backend(&example("epoll_queue"), &[], |alias, outcome| {
        outcome.expect("40 answers to 40 requests, and the timer ticked");
        if alias == "nobody" {
            assert_eq!(outcome.said.matches(" failed: ").count(), 40, "{}", outcome.said);
            return;
        }
        let squares = (0..20).map(|number| format!("{number} squared is {}", number * number));
        let said: Vec<&str> = outcome.said.lines().filter(|line| line.contains("squared")).collect();
        // different keys are not ordered
        assert_eq!(sorted(said.iter().map(ToString::to_string)), sorted(squares));
    });
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort_unstable();
    lines
}

#[test]
fn libuv_queue() {
    let program = build_with("examples-c/libuv_queue.c", Link::Dynamic, &["libuv"]);
    with_each_backend(&program, &[], |alias, outcome| {
        outcome.expect("the loop has ended\n");
        if alias == "nobody" {
            assert_eq!(outcome.said.matches(" on alias 'default' at redis://127.0.0.1:").count(), 4, "{outcome:?}");
        } else {
            outcome.expect("set to 41: LARDER_OK\ncount: 42\ndelete: LARDER_OK\nget: LARDER_MISS\n");
        }
    });
}

#[test]
fn game_loop() {
    with_each_backend(&example("game_loop"), &["0.5"], |alias, outcome| {
        outcome.expect("30 frames: 600 submitted, 0 skipped\nlarder took ");
        outcome.expect("\n600 answered: ");
        if alias == "nobody" {
            outcome.expect(" 0 found what was saved, 600 failed\n");
        } else if alias == "memory" {
            outcome.expect(" 300 found what was saved, 0 failed\n"); // elsewhere 500 ms may be too short, on a busy machine
        }
    });
}

#[test]
fn prefork() {
    let (program, server) = (example("prefork"), RedisServer::start());
    let folder = configured(server.port());
    for arguments in [&[][..], &["caches.json", "default"], &["caches.json", "pyot-filebased"]] {
        let outcome = run(&program, &folder, arguments);
        outcome.expect("4 workers, 0 failed\n");
        for worker in 0..4 {
            outcome.expect(&format!("\nparent: worker {worker} counted to 25\n"));
            outcome.expect(&format!("worker {worker}: \"hello, worker\", counted to 25\n"));
        }
        if arguments.last() == Some(&"default") {
            outcome.expect("parent: all together 100\n"); // files cannot add atomically
        }
    }
    let outcome = run(&program, &configured(free_port()), &["caches.json", "default"]);
    assert_eq!(outcome.status, Some(1), "{}", outcome.said);
    assert!(outcome.said.starts_with("LARDER_ECONNECTION: set on alias 'default' at redis://"), "{}", outcome.said);
}

#[test]
fn cancel() {
    let outcome = run(&example("cancel"), &folder_of_its_own("example"), &[] as &[&str]);
    outcome.expect("cancel: LARDER_OK\nrequest 1: LARDER_ECANCELLED\n");
    outcome.expect("cancel again: LARDER_MISS\nrequest 2: LARDER_ETIMEOUT\n");
    outcome.expect("the deadline of 200 ms passed");
    outcome.expect("nothing more\n");
}

#[test]
fn lock() {
    let (program, server) = (example("lock"), RedisServer::start());
    let folder = configured(server.port());
    for _ in 0..2 {
        let outcome = run(&program, &folder, &["caches.json", "default"]);
        outcome.expect("locked, with a token of 32 digits\na second time: LARDER_NOT_STORED\n");
        outcome.expect("a minute more: LARDER_OK\nunlocked: LARDER_OK\nagain: LARDER_MISS\n");
    }
    assert_eq!(server.command(10, &[b"DBSIZE"]), b"0", "it cleans up");
    run(&program, &folder, &["caches.json", "scratch"]).expect("scratch has no locks");
}

#[test]
fn pipeline() {
    let (program, folder) = (example("pipeline"), folder_of_its_own("example"));
    for name in ["pipeline.json", "pipeline_service.json"] {
        std::fs::copy(root().join("examples-c").join(name), folder.join(name)).unwrap();
    }
    let found = "{\"id\": \"x1a0FY\", \"puuid\": \"bGV2ZWw\", \"name\": \"Hide on bush\", \"profileIconId\": 6, \
                 \"summonerLevel\": 678}";
    let nobody = "not found: Nobody";
    let first = run(&program, &folder, &["pipeline.json", "pipeline_service.json"]);
    first.expect(&format!("loaded: {found}\ncached in store 0: {found}\n{nobody}\nthe loader was called 2 times\n"));
    let again = run(&program, &folder, &["pipeline.json", "pipeline_service.json"]);
    again.expect(&format!("cached in store 1: {found}\ncached in store 0: {found}\n{nobody}\n"));
    again.expect("the loader was called 1 times\n");
    // what the service does not have any more is cached all the same; what it cannot tell is an error
    std::fs::remove_dir_all(folder.join("filebased-cache")).unwrap();
    std::fs::remove_file(folder.join("pipeline_service.json")).unwrap();
    // it gives up with all open
    let outcome = driver::run_with_leaks(true, &program, &folder, &["pipeline.json", "pipeline_service.json"]);
    assert_eq!(outcome.status, Some(1), "{}", outcome.said);
    assert!(outcome.said.contains("LARDER_EIO: ") && outcome.said.contains("the loader: No such file"), "{outcome:?}");
}

#[test]
fn stampede() {
    let (program, folder) = (example("stampede"), configured(free_port()));
    let threads = if driver::under() == driver::Under::Plain { "1000" } else { "200" }; // valgrind has room for 500
    let said = format!("{threads} threads: {threads} have the value, 0 failed, loads: 1\n");
    run(&program, &folder, &[threads]).expect(&said);
    run(&program, &folder, &[threads, "caches.json", "pyot-filebased"]).expect(&said);
}

#[test]
fn plugin() {
    let outcome = run(&example("plugin"), &folder_of_its_own("example"), &[] as &[&str]);
    outcome
        .expect("LARDER_ECONFIG: open: default.BACKEND: \"shop.Shelf\" is not a backend that larder knows, and nobody");
    outcome.expect("\nopen:       default, {\"BACKEND\":\"shop.Shelf\",\"LOCATION\":\"by the door\",");
    outcome.expect("\ngreeting    \"hello\", stored in 6 bytes\n");
    outcome.expect("\nline        \"----------------------------------------\", stored in 8 bytes\n");
    outcome.expect("\nvisits      42, stored in 3 bytes\n");
    for key in ["greeting", "line", "visits"] {
        outcome.expect(&format!("\nkey:        {key}\n"));
    }
    outcome.expect("\nclose:      the shelf\n");
}

#[test]
fn shared_with_django() {
    let server = RedisServer::start();
    for backend in ["django_redis.cache.RedisCache", "django.core.cache.backends.redis.RedisCache"] {
        let folder = folder_of_its_own("example");
        let text = std::fs::read_to_string(root().join("examples-c/shared.json")).unwrap();
        assert_eq!((text.matches(":6379/").count(), text.matches("django_redis.cache.RedisCache").count()), (1, 1));
        let text = text.replace(":6379/", &format!(":{}/", server.port()));
        std::fs::write(folder.join("shared.json"), text.replace("django_redis.cache.RedisCache", backend)).unwrap();
        django_side(&folder, "fill");
        let outcome = run(&example("shared_with_django"), &folder, &[] as &[&str]);
        for alias in ["files", "redis"] {
            let said = section(&outcome, alias);
            assert_eq!(said.len(), 7, "{}", outcome.said);
            assert_eq!(said[0], r#"django:text        "\uc804\uc801 from Python""#);
            assert_eq!(said[1], "django:number      41");
            assert_eq!(said[2], r#"django:dict        {"name": "Ahri", "champions": ["Azir", "Ahri"], "level": 678}"#);
            assert_eq!(said[3], r#"django:tuple       [1, "two", 3.0]   (as near as JSON gets)"#);
            assert!(said[4].contains("2026-11-22T16:30:00"), "{}", said[4]);
            assert!(said[5].contains("1.50"), "{}", said[5]);
            assert_eq!(said[6], "django:number is   42 now");
        }
        django_side(&folder, "check");
        server.command(4, &[b"FLUSHDB"]);
    }
}

/// A real Django process that fills the caches, or checks what is in them.
fn django_side(folder: &Path, what: &str) {
    let mut command = Command::new(python::interpreter());
    command.arg(root().join("examples-c/django_side.py")).args(["shared.json", what]).current_dir(folder);
    finish(command).expect(&format!("django: {what} redis: done"));
}

#[test]
fn create_table() {
    let (program, folder) = (example("create_table"), folder_of_its_own("example"));
    std::fs::copy(root().join("examples-c/database.json"), folder.join("database.json")).unwrap();
    let shown = run(&program, &folder, &["database.json", "database"]);
    shown.expect("CREATE TABLE \"django_cache\"");
    assert!(!folder.join("site.sqlite3").exists(), "printing asks no database");
    let outcome = run(&program, &folder, &["database.json", "database", "make"]);
    outcome.expect("the table is there\n");
    run(&program, &folder, &["database.json", "database", "make"]).expect("the table is there\n");
    // Django says the same words, in lines of its own, and finds the table made
    let script = "import json, sys, django\n\
                  from django.conf import settings\n\
                  document = json.load(open('database.json'))\n\
                  document.pop('USE_TZ')\n\
                  settings.configure(**document)\n\
                  django.setup()\n\
                  from django.core.cache import caches\n\
                  from django.core.management import call_command\n\
                  call_command('createcachetable', verbosity=2)\n\
                  caches['database'].set('k', [1])\n\
                  print(caches['database'].get('k'))\n\
                  document['DATABASES']['default']['NAME'] = 'other.sqlite3'\n\
                  from django.db import connections\n\
                  connections['default'].close()\n\
                  connections['default'].settings_dict['NAME'] = 'other.sqlite3'\n\
                  call_command('createcachetable', dry_run=True)\n";
    let mut command = Command::new(python::interpreter());
    command.args(["-c", script]).current_dir(&folder);
    let django = finish(command);
    django.expect("Cache table 'django_cache' already exists.\n[1]\n");
    let words = |text: &str| text.split_whitespace().collect::<String>().replace(';', "");
    let printed = django.said.split("[1]\n").nth(1).unwrap();
    assert_eq!(words(&shown.said), words(printed), "{}", django.said);
    // another alias than a database's says so
    std::fs::copy(root().join("examples-c/caches.json"), folder.join("caches.json")).unwrap();
    let outcome = run(&program, &folder, &["caches.json", "scratch"]);
    assert_eq!(outcome.status, Some(1), "{}", outcome.said);
    assert!(outcome.said.starts_with("the SQL: LARDER_EUNSUPPORTED: "), "{}", outcome.said);
}
