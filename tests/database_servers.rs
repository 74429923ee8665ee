//! DatabaseCache on PostgreSQL and MariaDB: the rows that Django wrote, and what each operation does to rows.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "redis"))] // the helpers are the Redis tests' too
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::database::{Site, new_name};
use common::flight::{FACES, LONG, Runtime, ask};
use common::golden;
use larder::backend::{Backend, Entry, Request, Touched, When, Written};
use larder::error::Kind;
use larder::key::MadeKey;
use larder::timeout::Ttl;
use serde_json::{Value, json};

const LIFE: Ttl = Ttl::Millis(900_000);

fn key(text: &str) -> MadeKey {
    MadeKey::as_is(text)
}

fn entry(key_: &str, value: &[u8]) -> Entry {
    Entry { key: key(key_), value: value.to_vec().into() }
}

fn bytes(stored: Option<larder::backend::Stored>) -> Option<Vec<u8>> {
    stored.map(|stored| stored.bytes.to_vec())
}

fn set(cache: &dyn Backend, text: &str, value: &[u8]) {
    assert_eq!(cache.set(&key(text), value.into(), LIFE, When::Always, LONG).unwrap(), Written::Stored);
}

fn get(cache: &dyn Backend, text: &str) -> Option<Vec<u8>> {
    bytes(cache.get(&key(text), LONG).unwrap())
}

/// The four settings of the golden data.
const SETTINGS: [&str; 4] = ["utc", "naive_utc", "naive_chicago", "tz_chicago"];

fn golden_of(site: &Site) -> Value {
    let name = if site.is_mariadb() { "mariadb" } else { "postgresql" };
    golden::read(&common::golden(&format!("db_rows/{name}.json")))
}

fn settings_of(data: &Value, setting: &str) -> Value {
    let of = &data[setting];
    json!({"USE_TZ": of["USE_TZ"], "TIME_ZONE": of["TIME_ZONE"]})
}

fn rows_of(data: &Value, setting: &str) -> Vec<Value> {
    let rows = golden::list(&data[&format!("{setting}_rows")]).to_vec();
    assert!(rows.len() >= 26, "{setting} has few rows");
    rows
}

// DB-3: the statements, and the table that the server makes of them.
#[test]
fn the_table_is_createcachetable_s() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let data = golden_of(&site);
        for setting in SETTINGS {
            let (of, more) = (&data[setting], settings_of(&data, setting));
            let cache = site.open(golden::text(&of["table"]), &more, runtime.clone());
            assert_eq!(cache.table_sql().unwrap(), golden::text(&of["create_table"]), "{} {setting}", site.name());
            cache.create_table(LONG).unwrap();
            cache.create_table(LONG).unwrap(); // it is there
            check_table(&site, of);
            site.query("DROP TABLE \"my cache table\"");
        }
    }
}

fn check_table(site: &Site, of: &Value) {
    let info = &of["info"];
    if site.is_mariadb() {
        let shown = site.query("SHOW CREATE TABLE \"my cache table\"");
        let (_, statement) = shown.split_once('|').unwrap();
        return assert_eq!(statement, golden::text(&info["show_create_table"]));
    }
    let columns = site.query(
        "SELECT column_name, data_type, character_maximum_length, is_nullable FROM information_schema.columns WHERE \
         table_name = 'my cache table' ORDER BY ordinal_position",
    );
    let column = |one: &Value| {
        let shown = |part: &Value| {
            if part.is_null() {
                String::new()
            } else {
                golden::number(part).map_or_else(|| golden::text(part).to_owned(), str::to_owned)
            }
        };
        golden::list(one).iter().map(shown).collect::<Vec<_>>().join("|")
    };
    let expected: Vec<String> = golden::list(&info["columns"]).iter().map(column).collect();
    assert_eq!(columns.lines().collect::<Vec<_>>(), expected);
    let indexes =
        site.query("SELECT indexdef FROM pg_indexes WHERE tablename = 'my cache table' ORDER BY indexname DESC");
    let mut indexes: Vec<&str> = indexes.lines().collect();
    indexes.sort_unstable();
    let mut expected: Vec<&str> = golden::list(&info["indexes"]).iter().map(golden::text).collect();
    expected.sort_unstable();
    assert_eq!(indexes, expected);
}

/// The keys of which MariaDB's collation makes one (pitfall 24).
fn is_neighbour(row: &Value) -> bool {
    let key = golden::text(&row["key"]).to_lowercase();
    ["casekey", "trailing", "trailing ", "ünïcode kéy", "unicode key"].contains(&key.as_str())
}

/// The whole second in which Django's row ends, in seconds from now and a little more, so that a slow machine writes the
/// same second.
#[allow(clippy::cast_possible_truncation)] // far from the bounds
fn ttl_of(row: &Value) -> Ttl {
    const T0: f64 = 1_700_776_785.75;
    let Some(timeout) = golden::number(&row["timeout"]) else { return Ttl::Forever };
    let timeout: f64 = timeout.parse().unwrap();
    let timeout = if timeout == 0.0 { -1.0 } else { timeout }; // T-1
    let end = (T0 + timeout).floor();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    Ttl::Millis(((end + 0.02 - now) * 1000.0) as i64)
}

// DB-4, DB-5, K-12: each row that Django wrote is written the same by larder, and Django's own is read.
#[test]
fn rows_are_django_s() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let data = golden_of(&site);
        for setting in SETTINGS {
            let more = settings_of(&data, setting);
            let (written, written_name) = site.open_new(&more, runtime.clone());
            let (read, read_name) = site.open_new(&more, runtime.clone());
            for row in rows_of(&data, setting) {
                let what = format!("{} {setting} {}", site.name(), golden::text(&row["key"]));
                let made = key(golden::text(&row["final_key"]));
                if golden::text(&row["stored"]) == "false" {
                    let refused = written.set(&made, b"x".as_slice().into(), LIFE, When::Always, LONG).unwrap_err();
                    assert_eq!(refused.kind(), Kind::TooBig, "{what}: {refused}"); // DB-9: said
                    assert!(refused.reason().contains("255 characters"), "{refused}");
                    assert_eq!(bytes(read.get(&made, LONG).unwrap()), None, "{what}");
                    continue;
                }
                if row["row"].is_null() || (site.is_mariadb() && is_neighbour(&row)) {
                    continue; // neighbours come together, below
                }
                let (value, expires) = (golden::text(&row["row"]["value"]), golden::text(&row["row"]["expires"]));
                let raw = golden::bytes(&row["row"]["value"]);
                check_row(&site, (&*written, &written_name), &made, &raw, &row, &what);
                insert(&site, &read_name, &made, value, expires);
                let lives = row["has_key"] == true;
                assert_eq!(read.has(&made, LONG).unwrap(), lives, "{what}");
                assert_eq!(bytes(read.get(&made, LONG).unwrap()), lives.then_some(raw), "{what}");
            }
            if site.is_mariadb() {
                written.clear(None, LONG).unwrap();
                check_neighbours(&site, (&*written, &written_name), &rows_of(&data, setting));
            }
        }
    }
}

/// Pitfall 24: of keys that the collation takes for one, the first gives the row its name, the last one its value.
fn check_neighbours(site: &Site, (cache, table): (&dyn Backend, &str), rows: &[Value]) {
    let neighbours: Vec<&Value> = rows.iter().filter(|row| is_neighbour(row)).collect();
    assert!(neighbours.len() >= 6);
    for row in &neighbours {
        let (made, number) = (key(golden::text(&row["final_key"])), golden::text(&row["json"]));
        let pickle = if number == "1" { b"\x80\x05K\x01." } else { b"\x80\x05K\x02." };
        cache.set(&made, pickle.into(), ttl_of(row), When::Always, LONG).unwrap();
    }
    let stored = site.rows(table);
    for row in neighbours {
        let what = golden::text(&row["final_key"]);
        let there = stored.iter().find(|[key, ..]| key == what).map(|[_, value, _]| value.as_str());
        assert_eq!(there, row["row"]["value"].as_str(), "{what}");
        assert_eq!(cache.has(&key(what), LONG).unwrap(), row["has_key"] == true, "{what}");
        let reads = bytes(cache.get(&key(what), LONG).unwrap());
        let default = row["reads_back"]["returns"]["repr"] == "'DEFAULT'";
        assert_eq!(reads, (!default).then(|| b"\x80\x05K\x02.".to_vec()), "{what}");
    }
}

fn check_row(site: &Site, (cache, table): (&dyn Backend, &str), made: &MadeKey, raw: &[u8], row: &Value, what: &str) {
    cache.clear(None, LONG).unwrap();
    loop {
        let begun = Instant::now();
        let ttl = ttl_of(row);
        let is_over = matches!(ttl, Ttl::Millis(ms) if ms < 0);
        let written = cache.set(made, raw.into(), ttl, When::Always, LONG).unwrap();
        assert_eq!(written, if is_over { Written::NotKept } else { Written::Stored }, "{what}");
        if begun.elapsed() < Duration::from_millis(900) {
            break; // else the machine was so slow that it may be the next second's
        }
    }
    let expected = [std::str::from_utf8(made.as_bytes()).unwrap()].into_iter();
    let expected: Vec<&str> =
        expected.chain(["value", "expires"].map(|name| golden::text(&row["row"][name]))).collect();
    assert_eq!(site.rows(table).concat(), expected, "{what}");
}

fn insert(site: &Site, table: &str, made: &MadeKey, value: &str, expires: &str) {
    let made = std::str::from_utf8(made.as_bytes()).unwrap().replace('\'', "''");
    site.query(&format!("INSERT INTO \"{table}\" VALUES ('{made}', '{value}', '{expires}')"));
}

// O table, by both faces.
#[test]
fn operations_do_what_django_s_do() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let (cache, _) = site.open_new(&json!({}), runtime.clone());
        for face in FACES {
            let name = format!("{} {face:?}", site.name());
            let ask = |request: Request<'_>| format!("{:?}", ask(&*cache, face, &request, LONG).unwrap());
            let (one, two, none) = (key("one"), key("two"), key("none"));
            let write =
                |key, value: &'static [u8], ttl, when| ask(Request::Set { key, value: value.into(), ttl, when });
            cache.clear(None, LONG).unwrap();
            assert_eq!(write(&one, b"1", LIFE, When::Present), "Written(NotStored)", "{name}");
            assert_eq!(write(&one, b"1", LIFE, When::Missing), "Written(Stored)", "{name}");
            assert_eq!(write(&one, b"2", LIFE, When::Missing), "Written(NotStored)", "{name}");
            assert_eq!(get(&*cache, "one").unwrap(), b"1");
            assert_eq!(write(&one, b"3", LIFE, When::Present), "Written(Stored)", "{name}");
            assert_eq!(write(&two, b"4", Ttl::Millis(-5000), When::Always), "Written(NotKept)", "{name}");
            assert_eq!(ask(Request::Has(&two)), "Found(false)", "{name}");
            assert_eq!(write(&two, b"5", LIFE, When::Present), "Written(NotStored)", "{name}"); // it is over
            assert_eq!(write(&two, b"6", LIFE, When::Missing), "Written(Stored)", "{name}"); // over a row that is over
            assert_eq!(get(&*cache, "two").unwrap(), b"6");
            let keys = [one.clone(), none.clone(), two.clone(), one.clone()];
            let values = ask(Request::GetMany(&keys));
            assert_eq!(values.matches("b\"3\"").count(), 2, "{name} {values}");
            assert!(values.contains("b\"6\"") && values.contains("None"), "{name} {values}");
            assert_eq!(ask(Request::Touch(&none, LIFE)), "Touched(Missing)", "{name}");
            assert_eq!(ask(Request::Touch(&two, Ttl::Millis(0))), "Touched(NotKept)", "{name}");
            assert_eq!(ask(Request::Persist(&two)), "Touched(Missing)", "{name}"); // it is over
            assert_eq!(ask(Request::Touch(&two, LIFE)), "Touched(Changed)", "{name}"); // DB-10: back to life
            assert_eq!(get(&*cache, "two").unwrap(), b"6");
            assert_eq!(ask(Request::Persist(&two)), "Touched(Changed)", "{name}");
            assert_eq!(ask(Request::Ttl(&two)), "Left(Some(Forever))", "{name}");
            assert!(ask(Request::Ttl(&one)).starts_with("Left(Some(Millis(89"), "{name}");
            assert_eq!(ask(Request::Ttl(&none)), "Left(None)", "{name}");
            let fetched = ask(Request::FetchMany(&keys));
            assert_eq!(fetched.matches("left: Some(Millis(89").count(), 2, "{name} {fetched}");
            assert!(
                fetched.contains("None, Some(Fetched") && fetched.contains("left: Some(Forever)"),
                "{name} {fetched}"
            );
            let fetched = ask(Request::Fetch(&one));
            assert!(fetched.contains("b\"3\"") && fetched.contains("left: Some(Millis(89"), "{name} {fetched}");
            assert_eq!(ask(Request::Fetch(&none)), "Fetched(None)", "{name}");
            write(&one, b"1", Ttl::Millis(-5000), When::Always);
            assert_eq!(ask(Request::Delete(&one)), "Found(true)", "{name}"); // also one that is over
            assert_eq!(ask(Request::Delete(&one)), "Found(false)", "{name}");
            write(&one, b"1", Ttl::Millis(-5000), When::Always);
            assert_eq!(get(&*cache, "one"), None); // and takes the row away (DB-7)
            assert_eq!(ask(Request::Delete(&one)), "Found(false)", "{name}");
            write(&one, b"1", Ttl::Millis(-5000), When::Always);
            ask(Request::GetMany(&keys));
            assert_eq!(ask(Request::Touch(&one, LIFE)), "Touched(Missing)", "{name}");
            write(&one, b"1", Ttl::Millis(-5000), When::Always);
            assert_eq!(ask(Request::PurgeExpired), "Removed(1)", "{name}");
            assert_eq!(ask(Request::DeleteMany(&keys)), "Removed(1)", "{name}");
            assert_eq!(ask(Request::Ping), "Done", "{name}");
            assert_eq!(ask(Request::Incr(&one, 1)), "Counted(ByStore)", "{name}"); // O-3
        }
    }
}

#[test]
fn many_rows_go_in_few_statements() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let more = json!({"CACHE": {"OPTIONS": {"MAX_ENTRIES": 100_000}}});
        let (cache, table) = site.open_new(&more, runtime.clone());
        let name = site.name();
        let mut entries: Vec<Entry> = (0..1300).map(|number| entry(&format!("k{number}"), b"v")).collect();
        entries.push(entry("large", &vec![7; 3 << 20]));
        entries.push(entry("k5", b"last"));
        entries.push(entry(&"é".repeat(256), b"v"));
        let failures = cache.set_many(&entries, LIFE, LONG).unwrap();
        let failed: Vec<usize> = (0..failures.len()).filter(|at| failures[*at].is_some()).collect();
        assert_eq!((failures.len(), failed), (entries.len(), vec![1302]), "{name}");
        assert_eq!(failures[1302].as_ref().unwrap().kind(), Kind::TooBig); // K-12
        assert_eq!(site.query(&format!("SELECT COUNT(*) FROM \"{table}\"")), "1301");
        let keys: Vec<MadeKey> = entries.iter().rev().map(|entry| entry.key.clone()).collect();
        let found = cache.get_many(&keys, LONG).unwrap();
        assert_eq!(found.len(), keys.len());
        assert!(found[0].is_none() && found.iter().skip(1).all(Option::is_some), "{name}");
        assert_eq!(bytes(found[1].clone()).unwrap(), b"last", "{name}");
        assert_eq!(bytes(found[2].clone()).unwrap(), vec![7; 3 << 20], "{name}");
        assert_eq!(cache.delete_many(&keys, LONG).unwrap(), 1301, "{name}");
        assert_eq!(cache.get_many(&[], LONG).unwrap(), []);
        assert!(cache.set_many(&[], LIFE, LONG).unwrap().is_empty());
        assert_eq!(cache.delete_many(&[], LONG).unwrap(), 0);
    }
}

#[test]
fn keys_are_listed_and_cleared_by_their_bytes() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let more = json!({"CACHE": {"OPTIONS": {"MAX_ENTRIES": 100_000}}});
        let (cache, _) = site.open_new(&more, runtime.clone());
        let name = site.name();
        let odd = ["Pre:x", "pre%x", "pre_x", "pre\\x", "pré", "pre'x", "pre\"x", "pre😀"];
        let mut names: Vec<String> = (0..1200).map(|number| format!("pre:{number}")).collect();
        names.extend(odd.map(str::to_owned));
        let entries: Vec<Entry> = names.iter().map(|name| entry(name, b"v")).collect();
        cache.set_many(&entries, LIFE, LONG).unwrap();
        cache.set(&key("pre:over"), b"v".as_slice().into(), Ttl::Millis(-5000), When::Always, LONG).unwrap();
        let list = |pattern: &str| {
            let (mut keys, mut at, mut pages) = (Vec::new(), 0, 0);
            loop {
                let page = cache.scan(pattern.as_bytes(), at, LONG).unwrap();
                keys.extend(page.keys.into_iter().map(|key| String::from_utf8(key).unwrap()));
                pages += 1;
                let Some(next) = page.next else { break };
                at = next;
            }
            assert!(pages > 1);
            keys.sort();
            keys
        };
        names.sort();
        assert_eq!(list("*"), names, "{name}");
        assert_eq!(
            list("pre:11[0-1]?"),
            names
                .iter()
                .filter(|name| {
                    name.strip_prefix("pre:11").is_some_and(|rest| rest.len() == 2 && rest.starts_with(['0', '1']))
                })
                .cloned()
                .collect::<Vec<_>>(),
            "{name}"
        );
        assert_eq!(cache.scan(b"*", 4_000_000, LONG).unwrap_err().kind(), Kind::Invalid);
        cache.clear(Some(b"pre:"), LONG).unwrap();
        let mut left: Vec<&str> = odd.to_vec();
        left.sort_unstable();
        let mut page = cache.scan(b"*", 0, LONG).unwrap();
        page.keys.sort();
        assert_eq!(page.keys, left.iter().map(|one| one.as_bytes()).collect::<Vec<_>>(), "{name}");
        cache.clear(Some(b"pre_"), LONG).unwrap();
        assert!(get(&*cache, "pre%x").is_some() && get(&*cache, "pre_x").is_none(), "{name}");
        cache.clear(None, LONG).unwrap();
        assert!(cache.scan(b"*", 0, LONG).unwrap().keys.is_empty(), "{name}");
    }
}

// Pitfall 24: MariaDB takes some keys for one, and the row keeps the name that came first. What is not named by exactly
// its key is neither read nor removed.
#[test]
fn neighbours_of_a_collation_share_a_row_as_with_django() {
    let runtime = Runtime::start();
    let [postgres, mariadb] = Site::both();
    for (one, other) in [("CaseKey", "casekey"), ("trailing", "trailing "), ("ünïcode kéy", "unicode key")] {
        for site in [&postgres, &mariadb] {
            let (cache, _) = site.open_new(&json!({}), runtime.clone());
            set(&*cache, one, b"1");
            assert_eq!((get(&*cache, one).unwrap(), get(&*cache, other)), (b"1".to_vec(), None));
            let merged = site.is_mariadb();
            assert_eq!(cache.has(&key(other), LONG).unwrap(), merged, "{}: {other}", site.name());
            assert!(!cache.delete(&key(other), LONG).unwrap());
            assert_eq!(cache.touch(&key(other), LIFE, LONG).unwrap(), Touched::Missing);
            assert_eq!(cache.delete_many(&[key(other)], LONG).unwrap(), 0);
            set(&*cache, other, b"2");
            let (first, second) = if merged { (b"2", None) } else { (b"1", Some(b"2".to_vec())) };
            assert_eq!((get(&*cache, one).unwrap(), get(&*cache, other)), (first.to_vec(), second), "{one}");
            let many = cache.get_many(&[key(one), key(other)], LONG).unwrap();
            assert_eq!((many[0].is_some(), many[1].is_none()), (true, merged));
        }
    }
}

// DB-8, DB-11: what is left after each write is what Django leaves.
#[test]
fn too_many_rows_are_culled_as_django_culls() {
    let runtime = Runtime::start();
    for site in Site::both() {
        for (frequency, left) in [(3, "k03 k04 k05 k06 k07 k08 k09 k10 k11 k12 k13"), (0, "k11 k12 k13")] {
            let more = json!({"CACHE": {"OPTIONS": {"MAX_ENTRIES": 10, "CULL_FREQUENCY": frequency}}});
            let (cache, table) = site.open_new(&more, runtime.clone());
            for number in 0..14 {
                set(&*cache, &format!("k{number:02}"), b"v");
            }
            let keys: Vec<String> = site.rows(&table).into_iter().map(|[key, ..]| key).collect();
            assert_eq!(keys.join(" "), left, "{} {frequency}", site.name());
            // several at once are culled as if they came one after the other
            let (cache, table) = site.open_new(&more, runtime.clone());
            let entries: Vec<Entry> = (0..14).map(|number| entry(&format!("k{number:02}"), b"v")).collect();
            assert!(cache.set_many(&entries, LIFE, LONG).unwrap().iter().all(Option::is_none));
            let keys: Vec<String> = site.rows(&table).into_iter().map(|[key, ..]| key).collect();
            assert_eq!(keys.join(" "), left, "{} {frequency}, several", site.name());
        }
        // rows that are over go first
        let more = json!({"CACHE": {"OPTIONS": {"MAX_ENTRIES": 10}}});
        let (cache, table) = site.open_new(&more, runtime.clone());
        for number in 0..11 {
            let ttl = if number == 10 { Ttl::Millis(-5000) } else { LIFE };
            cache.set(&key(&format!("k{number:02}")), b"v".as_slice().into(), ttl, When::Always, LONG).unwrap();
        }
        set(&*cache, "k11", b"v");
        let keys: Vec<String> = site.rows(&table).into_iter().map(|[key, ..]| key).collect();
        assert_eq!((keys.len(), keys.contains(&"k10".to_owned())), (11, false), "{}", site.name());
    }
}

// A caller inside a runtime of its own is served too: its thread waits.
#[test]
fn callers_inside_another_runtime_are_served() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let (cache, _) = site.open_new(&json!({}), runtime.clone());
        let own = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        own.block_on(async {
            set(&*cache, "k", b"v");
            assert_eq!(get(&*cache, "k").unwrap(), b"v");
        });
    }
}

#[test]
fn a_socket_and_other_spellings_of_the_place_do() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let (cache, table) = site.open_new(&json!({}), runtime.clone());
        set(&*cache, "k", b"v");
        let socket = match &site {
            Site::Postgres(server) => server.socket_folder().to_owned(),
            Site::MariaDb(server) => server.socket_path(),
        };
        for database in [json!({"HOST": socket}), json!({"PORT": site.port().to_string()})] {
            let other = site.open(&table, &json!({"DATABASE": database}), runtime.clone());
            assert_eq!(get(&*other, "k").unwrap(), b"v", "{} {database}", site.name());
        }
    }
}

#[test]
fn rows_that_python_could_not_read_are_errors() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let (cache, table) = site.open_new(&json!({"CACHE": {"LARDER": {"MAX_VALUE_BYTES": 100}}}), runtime.clone());
        insert(&site, &table, &key("text"), "YWI", "2055-08-01 23:46:25");
        assert_eq!(cache.get(&key("text"), LONG).unwrap_err().kind(), Kind::Undecodable);
        let large = "A".repeat(400);
        insert(&site, &table, &key("large"), &large, "2055-08-01 23:46:25");
        assert_eq!(cache.get(&key("large"), LONG).unwrap_err().kind(), Kind::TooBig);
        if !site.is_mariadb() {
            insert(&site, &table, &key("always"), "YWI=", "infinity");
            assert_eq!(get(&*cache, "always").unwrap(), b"ab");
            assert_eq!(cache.ttl(&key("always"), LONG).unwrap(), Some(Ttl::Forever));
            let refused = cache.get(&key("a\0b"), LONG).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid, "{refused}");
        }
        set(&*cache, "k", b"v"); // and the connection goes on
    }
}

#[test]
fn names_that_need_quotes_do() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let table = format!("{}; DROP TABLE x -- '%s$1?", new_name());
        let cache = site.open(&table, &json!({}), runtime.clone());
        let missing = cache.get(&key("k"), LONG).unwrap_err();
        assert!(missing.reason().contains("larder_create_table"), "{missing}");
        cache.create_table(LONG).unwrap();
        set(&*cache, "k", b"v");
        assert_eq!(get(&*cache, "k").unwrap(), b"v");
    }
}

#[test]
fn statistics_count_connections() {
    let runtime = Runtime::start();
    for site in Site::both() {
        let (cache, _) = site.open_new(&json!({}), runtime.clone());
        for _ in 0..10 {
            set(&*cache, "k", b"v");
        }
        let health = cache.health();
        assert_eq!(health.len(), 1);
        assert_eq!((health[0].connections, health[0].connected, health[0].connect_failures), (1, 1, 0));
        assert_eq!(&*health[0].server, format!("127.0.0.1:{}/shop", site.port()));
    }
}

// A connection that is free is closed with the cache, and the server is told.
#[test]
fn sessions_end_with_the_cache() {
    let runtime = Runtime::start();
    for site in Site::both_alone() {
        let (cache, _) = site.open_new(&json!({}), runtime.clone());
        set(&*cache, "k", b"v");
        assert_eq!(site.sessions().len(), 1);
        drop(cache);
        common::database::wait_until("the session has ended", || site.sessions().is_empty());
    }
}

// Through a pooler that gives each transaction a session of its own, nothing may be kept in a session.
#[test]
fn without_prepared_statements_each_operation_is_a_transaction() {
    let runtime = Runtime::start();
    let [site, _] = Site::both();
    let more = json!({"DATABASE": {"OPTIONS": {"prepare_threshold": null, "application_name": "pooled"}}});
    let (cache, _) = site.open_new(&more, runtime.clone());
    set(&*cache, "k", b"1");
    assert_eq!(get(&*cache, "k").unwrap(), b"1");
    let refused = cache.get(&key("a\0b"), LONG).unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid, "{refused}"); // and the transaction is undone
    cache.set_many(&[entry("a", b"1"), entry("b", b"2")], LIFE, LONG).unwrap();
    assert_eq!(cache.delete_many(&[key("a"), key("b"), key("k")], LONG).unwrap(), 3);
    let of = |what: &str| site.query(&format!("SELECT {what} FROM pg_stat_activity WHERE application_name = 'pooled'"));
    assert_eq!(of("state"), "idle");
    assert_eq!(of("query"), "COMMIT");
}

// DB-5: what Django's sessions have set.
#[test]
fn sessions_begin_as_django_s() {
    let runtime = Runtime::start();
    let [postgres, mariadb] = Site::both();
    let more = json!({"USE_TZ": false, "TIME_ZONE": "America/Chicago", "DATABASE": {"OPTIONS": {
        "isolation_level": 4, "assume_role": "pg_read_all_data",
    }}});
    let table = new_name();
    let error = postgres.open(&table, &more, runtime.clone()).create_table(LONG).unwrap_err();
    assert!(error.to_string().contains("user may not do this"), "{error}"); // the role may only read
    postgres.open(&table, &json!({}), runtime.clone()).create_table(LONG).unwrap();
    let reader = postgres.open(&table, &more, runtime.clone());
    assert_eq!(get(&*reader, "k"), None);
    let more = json!({"DATABASE": {"OPTIONS": {
        "sql_mode": "STRICT_ALL_TABLES", "init_command": "SET @a = 'it''s', SESSION lock_wait_timeout = 77",
    }}});
    let (cache, table) = mariadb.open_new(&more, runtime.clone());
    set(&*cache, "k", b"v");
    let shown = mariadb.query(&format!(
        "CREATE TRIGGER \"{table} t\" BEFORE UPDATE ON \"{table}\" FOR EACH ROW SET NEW.cache_key = CONCAT_WS(' ', \
         @@session.tx_isolation, @@session.lock_wait_timeout, @@character_set_client, @@time_zone)"
    ));
    assert_eq!(shown, "");
    set(&*cache, "k", b"v");
    let rows = mariadb.rows(&table);
    assert_eq!(rows[0][0], "READ-COMMITTED 77 utf8mb4 SYSTEM");
}
