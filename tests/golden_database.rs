//! The golden rows (golden/db_rows): the table, its rows, and what is read from them, with four settings of USE_TZ and
//! TIME_ZONE (contract: DB-1, DB-3 to DB-6, DB-10).
#![cfg(all(feature = "sqlite-system", feature = "memory"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::golden::{self, int, millis, number, object, text};
use larder::backend::database::dialect::{Dialect, Engine};
use larder::backend::database::expiry::Calendar;
use larder::backend::database::row;
use larder::backend::{Touched, When};
use larder::codec::Input;
use larder::config::{Named, Times};
use larder::store::{Call, Store};
use larder::timeout::{Ttl, TtlChoice};
use larder::value::ValueKind;
use rusqlite::Connection;
use serde_json::{Value, json};

const ENGINES: [(Engine, &str); 3] =
    [(Engine::Sqlite, "sqlite"), (Engine::Postgres, "postgresql"), (Engine::MySql, "mariadb")];
const SETTINGS: [&str; 4] = ["utc", "naive_utc", "naive_chicago", "tz_chicago"];
const TABLE: &str = "my cache table";
const PREFIX: &str = "olaf";

fn data(engine: &str) -> Value {
    golden::read(&common::golden(&format!("db_rows/{engine}.json")))
}

fn rows<'a>(data: &'a Value, setting: &str) -> &'a [Value] {
    let rows = golden::list(&data[&format!("{setting}_rows")]);
    assert!(rows.len() > 20);
    rows
}

/// The settings of Django with which the rows were written. None of the databases had a TIME_ZONE of its own.
fn times(data: &Value, setting: &str) -> Times {
    let (use_tz, zone) = (data[setting]["USE_TZ"].as_bool().unwrap(), text(&data[setting]["TIME_ZONE"]));
    let zone = if use_tz { "UTC" } else { zone };
    Times { use_tz, zone: Some(Named { place: Arc::from("TIME_ZONE"), value: zone.to_owned() }) }
}

fn ttl(row: &Value) -> Ttl {
    number(&row["timeout"]).map_or(Ttl::Forever, |seconds| Ttl::Millis(millis(seconds)))
}

#[test]
fn the_table_is_made_as_django_makes_it() {
    for (engine, name) in ENGINES {
        let (data, dialect) = (data(name), Dialect::new(engine, TABLE).unwrap());
        for setting in SETTINGS {
            assert_eq!(dialect.create_text, text(&data[setting]["create_table"]), "{name} {setting}"); // DB-3
        }
    }
}

#[test]
fn expiries_are_written_as_django_writes_them() {
    let mut compared = 0;
    for (engine, name) in ENGINES {
        let data = data(name);
        let t0: f64 = number(&data["about"]["t0"]).unwrap().parse().unwrap();
        for setting in SETTINGS {
            let calendar = Calendar::open(&times(&data, setting), engine).unwrap();
            let now = calendar.at(t0);
            for row in rows(&data, setting).iter().filter(|row| row["row"].is_object()) {
                let stored = text(&row["row"]["expires"]);
                let (written, is_over) = calendar.expires(ttl(row), now);
                if engine == Engine::Postgres && ttl(row) == Ttl::Forever {
                    // sent without a zone, which makes it 10000-01-01 05:59:59+00 in a session in Chicago
                    assert_eq!(written, "9999-12-31 23:59:59");
                } else if engine == Engine::MySql {
                    assert_eq!(format!("{written}.000000"), stored, "{setting} {row}");
                } else {
                    assert_eq!(written, stored, "{name} {setting} {row}"); // DB-5
                }
                if engine != Engine::Postgres {
                    let end = calendar.read(stored).unwrap();
                    assert_eq!(end.is_over(now.point), is_over, "{setting} {row}");
                    assert_eq!(end.left(now.point) == Ttl::Forever, ttl(row) == Ttl::Forever);
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 280);
}

#[test]
fn values_are_written_as_django_writes_them() {
    let codec = larder::codec::Codec::pickling(5, larder::codec::Form::Pickle, larder::value::Limits::default());
    let (mut same, mut compared) = (0, 0);
    for (_, name) in ENGINES {
        let data = data(name);
        for row in SETTINGS.iter().flat_map(|setting| rows(&data, setting)).filter(|row| row["row"].is_object()) {
            let stored = text(&row["row"]["value"]);
            let value = row::decode(stored.as_bytes(), 1 << 20).unwrap();
            assert_eq!(row::encode(&value).unwrap(), stored); // DB-4
            compared += 1;
            // pitfall 24: where MariaDB takes two keys for one, the row has the other key's value
            let is_own = row["reads_back"] == "same" || row["has_key"] == false;
            if let Some(json) = row["json"].as_str().filter(|_| is_own) {
                let value = codec.encode(Input::Json(json.as_bytes())).unwrap();
                assert_eq!(row::encode(&value.bytes).unwrap(), stored, "{row}");
                same += 1;
            }
        }
    }
    assert!(compared > 280 && same > 230, "{compared} {same}");
}

/// A copy of one of Django's databases, since reading can delete.
struct Copy {
    path: PathBuf,
    setting: &'static str,
    data: Value,
}

impl Copy {
    fn of(setting: &'static str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("larder-golden-db-{}-{number}.sqlite3", std::process::id()));
        let original = common::shared().join("golden/db_rows").join(format!("cache_{setting}.sqlite3"));
        std::fs::write(&path, std::fs::read(original).unwrap()).unwrap();
        Self { path, setting, data: data("sqlite") }
    }

    fn store(&self) -> Store {
        let document = document(&self.path, &self.data[self.setting]);
        common::client::rust_store(&document.to_string(), "default")
    }

    fn rows(&self) -> &[Value] {
        rows(&self.data, self.setting)
    }

    /// The columns of a row, where there is one.
    fn columns(&self, key: &str) -> Option<(String, String)> {
        let connection = Connection::open(&self.path).unwrap();
        let found = connection.query_row(
            &format!("SELECT value, expires FROM \"{TABLE}\" WHERE cache_key = ?"),
            [key],
            |row| Ok((row.get(0)?, row.get(1)?)),
        );
        found.ok()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn document(path: &Path, setting: &Value) -> Value {
    json!({
        "CACHES": {"default": {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": TABLE,
            "KEY_PREFIX": PREFIX,
        }},
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path.to_str().unwrap()}},
        "USE_TZ": setting["USE_TZ"],
        "TIME_ZONE": text(&setting["TIME_ZONE"]),
    })
}

#[test]
fn django_s_databases_are_read() {
    for setting in SETTINGS {
        let copy = Copy::of(setting);
        let store = copy.store();
        for row in copy.rows() {
            let (key, live) = (text(&row["key"]), row["has_key"].as_bool().unwrap());
            let call = Call::default();
            assert_eq!(store.has(key, &call).unwrap(), live, "{setting} {row}");
            let stored = copy.columns(text(&row["final_key"]));
            assert_eq!(stored.unwrap().0, text(&row["row"]["value"])); // has removes nothing
            let value = store.get(key, &call).unwrap();
            assert_eq!(value.is_some(), live, "{setting} {row}");
            let Some(value) = value else {
                assert_eq!(copy.columns(text(&row["final_key"])), None, "get removes what is over"); // DB-7
                continue;
            };
            assert_eq!(row["reads_back"], "same");
            match row["json"].as_str() {
                Some(json) => {
                    let shown = golden::read(value.json().unwrap().shown);
                    assert_eq!(shown, golden::read(json), "{setting} {row}");
                }
                None => assert_ne!(value.kind().unwrap(), ValueKind::Null),
            }
        }
    }
}

// DB-3: as SQLite itself tells what there is
#[test]
fn the_table_of_sqlite_is_made_as_django_makes_it() {
    for setting in SETTINGS {
        let copy = Copy::of(setting);
        let connection = Connection::open(&copy.path).unwrap();
        connection.execute_batch(&format!("DROP TABLE \"{TABLE}\"")).unwrap();
        for _ in 0..2 {
            copy.store().create_table(&Call::default()).unwrap(); // the second time it is there
        }
        let mut found =
            connection.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid").unwrap();
        let found: Vec<String> = found.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let expected = golden::list(&copy.data[setting]["info"]["schema"]);
        assert_eq!(found, expected.iter().map(text).collect::<Vec<_>>(), "{setting}");
    }
}

/// What larder stores under the same key is, byte for byte, what Django had stored.
#[test]
fn rows_are_written_as_django_writes_them() {
    for setting in SETTINGS {
        let copy = Copy::of(setting);
        let store = copy.store();
        let calendar = Calendar::open(&times(&copy.data, setting), Engine::Sqlite).unwrap();
        for row in copy.rows() {
            let Some(json) = row["json"].as_str() else { continue };
            let choice = TtlChoice::Of(ttl(row));
            let before = calendar.expires(ttl(row), calendar.now()).0;
            store.set(text(&row["key"]), Input::Json(json.as_bytes()), choice, When::Always, &Call::default()).unwrap();
            let after = calendar.expires(ttl(row), calendar.now()).0;
            let (value, expires) = copy.columns(text(&row["final_key"])).unwrap();
            assert_eq!(value, text(&row["row"]["value"]), "{setting} {row}");
            assert!(before <= expires && expires <= after, "{before} {expires} {after}");
        }
    }
}

#[test]
fn expired_rows_are_revived_and_deleted() {
    let copy = Copy::of("utc");
    let store = copy.store();
    let hour = TtlChoice::Of(Ttl::Millis(3_600_000));
    assert_eq!(store.touch("expired", hour, &Call::default()).unwrap(), Touched::Changed); // DB-10
    assert_eq!(store.get("expired", &Call::default()).unwrap().unwrap().text().unwrap().shown, "gone");
    assert!(store.delete("expired zero", &Call::default()).unwrap()); // O table
    assert!(!store.delete("expired zero", &Call::default()).unwrap());
    let added = store.set("expired negative", Input::Text("new"), hour, When::Missing, &Call::default()).unwrap();
    assert_eq!(added, larder::backend::Written::Stored);
    assert_eq!(store.get("expired negative", &Call::default()).unwrap().unwrap().text().unwrap().shown, "new");
}

#[test]
fn the_data_is_what_this_test_thinks_it_is() {
    let data = data("sqlite");
    assert_eq!(object(&data["utc"])["table"], TABLE);
    assert_eq!(int(&rows(&data, "utc")[0]["timeout"]), 1_000_000_000);
    assert_eq!(text(&data["about"]["key_prefix"]), PREFIX);
}
