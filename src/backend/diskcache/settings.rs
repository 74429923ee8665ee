//! The Settings table of a shard and the rest of its schema: what diskcache makes where it is not there, to the letter,
//! since both compare it with what they find.

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql};

use super::fault::Fault;
use crate::config::Scalar;
use crate::error::{Error, Kind};

/// What diskcache starts with, in its order. `size_limit` is for all shards together.
const DEFAULTS: [(&str, Default); 12] = [
    ("statistics", Default::Number(0)),
    ("tag_index", Default::Number(0)),
    ("eviction_policy", Default::Word("least-recently-stored")),
    (SIZE_LIMIT, Default::Number(1 << 30)),
    ("cull_limit", Default::Number(10)),
    ("sqlite_auto_vacuum", Default::Number(1)),
    ("sqlite_cache_size", Default::Number(1 << 13)),
    ("sqlite_journal_mode", Default::Word("wal")),
    ("sqlite_mmap_size", Default::Number(1 << 26)),
    ("sqlite_synchronous", Default::Number(1)),
    ("disk_min_file_size", Default::Number(1 << 15)),
    ("disk_pickle_protocol", Default::Number(5)),
];

enum Default {
    Number(i64),
    Word(&'static str),
}

const SIZE_LIMIT: &str = "size_limit";

/// Counted in the table, each from 0.
const COUNTED: [&str; 4] = ["count", "size", "hits", "misses"];

/// PRAGMAs that are carried out. Not `mmap_size`: where another process makes a mapped file shorter, a read would end
/// this process.
const PRAGMAS: [&str; 4] = ["auto_vacuum", "cache_size", "journal_mode", "synchronous"];

/// The tables, indexes and triggers, apart from the index of the policy and that of tags.
const SCHEMA: [&str; 9] = [
    "CREATE TABLE IF NOT EXISTS Settings ( key TEXT NOT NULL UNIQUE, value)",
    "CREATE TABLE IF NOT EXISTS Cache ( rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, \
     expire_time REAL, access_time REAL, access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0, \
     mode INTEGER DEFAULT 0, filename TEXT, value BLOB)",
    "CREATE UNIQUE INDEX IF NOT EXISTS Cache_key_raw ON Cache(key, raw)",
    "CREATE INDEX IF NOT EXISTS Cache_expire_time ON Cache (expire_time)",
    "CREATE TRIGGER IF NOT EXISTS Settings_count_insert AFTER INSERT ON Cache FOR EACH ROW BEGIN \
     UPDATE Settings SET value = value + 1 WHERE key = \"count\"; END",
    "CREATE TRIGGER IF NOT EXISTS Settings_count_delete AFTER DELETE ON Cache FOR EACH ROW BEGIN \
     UPDATE Settings SET value = value - 1 WHERE key = \"count\"; END",
    "CREATE TRIGGER IF NOT EXISTS Settings_size_insert AFTER INSERT ON Cache FOR EACH ROW BEGIN \
     UPDATE Settings SET value = value + NEW.size WHERE key = \"size\"; END",
    "CREATE TRIGGER IF NOT EXISTS Settings_size_update AFTER UPDATE ON Cache FOR EACH ROW BEGIN \
     UPDATE Settings SET value = value + NEW.size - OLD.size WHERE key = \"size\"; END",
    "CREATE TRIGGER IF NOT EXISTS Settings_size_delete AFTER DELETE ON Cache FOR EACH ROW BEGIN \
     UPDATE Settings SET value = value - OLD.size WHERE key = \"size\"; END",
];

/// What is evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing but what has expired.
    None,
    /// What was written first.
    LeastRecentlyStored,
    /// What was not read for the longest time.
    LeastRecentlyUsed,
    /// What was read least.
    LeastFrequentlyUsed,
}

impl Policy {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "least-recently-stored" => Self::LeastRecentlyStored,
            "least-recently-used" => Self::LeastRecentlyUsed,
            "least-frequently-used" => Self::LeastFrequentlyUsed,
            _ => return None,
        })
    }

    fn index(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::LeastRecentlyStored => Some("CREATE INDEX IF NOT EXISTS Cache_store_time ON Cache (store_time)"),
            Self::LeastRecentlyUsed => Some("CREATE INDEX IF NOT EXISTS Cache_access_time ON Cache (access_time)"),
            Self::LeastFrequentlyUsed => Some("CREATE INDEX IF NOT EXISTS Cache_access_count ON Cache (access_count)"),
        }
    }
}

/// The settings that operations look at, as they were when the database was opened: diskcache does not look again either.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is evicted first.
    pub policy: Policy,
    /// At most so many rows are evicted by one write; 0: none.
    pub cull_limit: i64,
    /// The volume from which rows are evicted, in bytes.
    pub size_limit: f64,
    /// Whether hits and misses are counted.
    pub statistics: bool,
    /// Values of this size go to a file: characters of a text, bytes of all else.
    pub min_file_size: f64,
    /// The size of a page, in bytes.
    pub page_size: i64,
}

/// The settings of an alias, for each of its shards.
#[derive(Debug)]
pub struct Wanted {
    shards: u16,
    settings: Vec<(String, Scalar)>,
}

impl Wanted {
    /// What OPTIONS says, spread over so many shards.
    pub fn new(shards: u16, settings: Vec<(String, Scalar)>) -> Self {
        Self { shards, settings }
    }

    /// As FanoutCache hands them to a shard: a part of the size limit, also where OPTIONS has none.
    fn of_a_shard(&self) -> Vec<(&str, Scalar)> {
        let mut wanted: Vec<(&str, Scalar)> =
            self.settings.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let total =
            wanted.iter().find(|(name, _)| *name == SIZE_LIMIT).map_or(f64::from(1 << 30), |(_, limit)| number(limit));
        wanted.retain(|(name, _)| *name != SIZE_LIMIT);
        wanted.insert(0, (SIZE_LIMIT, Scalar::Float(total / f64::from(self.shards))));
        wanted
    }
}

impl From<Default> for Scalar {
    fn from(value: Default) -> Self {
        match value {
            Default::Number(number) => Self::Int(number),
            Default::Word(word) => Self::Text(word.into()),
        }
    }
}

/// Makes what is missing in a database and says what it is set to. With `wanted`, its settings are replaced by those.
pub fn prepare(connection: &Connection, wanted: Option<&Wanted>) -> Result<Settings, Fault> {
    let there = read(connection)?;
    let wanted = wanted.map(Wanted::of_a_shard).unwrap_or_default();
    let mut all: Vec<(String, Scalar)> =
        DEFAULTS.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    for (name, value) in
        there.iter().map(|(name, value)| (name.as_str(), value)).chain(wanted.iter().map(|(n, v)| (*n, v)))
    {
        if COUNTED.contains(&name) {
            continue;
        }
        match all.iter_mut().find(|(known, _)| known == name) {
            Some((_, place)) => *place = value.clone(),
            None => all.push((name.to_owned(), value.clone())),
        }
    }
    for name in PRAGMAS {
        if let Some((_, value)) = all.iter().find(|(known, _)| known.strip_prefix("sqlite_") == Some(name)) {
            set_pragma(connection, name, value)?;
        }
    }
    let has_tags = is_true(get(&all, "tag_index"));
    if let Some((_, tags)) = all.iter_mut().find(|(name, _)| name == "tag_index") {
        *tags = Scalar::Int(has_tags.into()); // as diskcache writes it when it has made the index, or dropped it
    }
    let settings = settings_of(connection, &all)?;
    if !is_whole(connection, &all, &there, settings.policy, has_tags)? {
        make(connection, &all, settings.policy, has_tags)?;
    }
    Ok(settings)
}

/// What the table has; nothing where there is none.
fn read(connection: &Connection) -> Result<Vec<(String, Scalar)>, Fault> {
    if !has(connection, "Settings")? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare("SELECT key, value FROM Settings LIMIT 1000")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let ValueRef::Text(name) = row.get_ref(0)? else { continue };
        let value = match row.get_ref(1)? {
            ValueRef::Integer(int) => Scalar::Int(int),
            ValueRef::Real(float) => Scalar::Float(float),
            ValueRef::Text(text) => Scalar::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Null => Scalar::Null,
            ValueRef::Blob(_) => continue,
        };
        found.push((String::from_utf8_lossy(name).into_owned(), value));
    }
    Ok(found)
}

fn has(connection: &Connection, name: &str) -> Result<bool, Fault> {
    let found = connection.prepare_cached("SELECT 1 FROM sqlite_master WHERE name = ?1")?.query_row([name], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

/// Sets a PRAGMA, unless it is set to that already: some take long, or no longer work with tables there.
fn set_pragma(connection: &Connection, name: &str, value: &Scalar) -> Result<(), Fault> {
    let word = match value {
        Scalar::Int(int) => int.to_string(),
        Scalar::Text(word) if word.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !word.is_empty() => word.clone(),
        _ => return Ok(()),
    };
    let now: Value = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
    let same = match &now {
        Value::Integer(now) => *value == Scalar::Int(*now),
        Value::Text(now) => now.eq_ignore_ascii_case(&word),
        _ => false,
    };
    if !same {
        let mut statement = connection.prepare(&format!("PRAGMA {name} = {word}"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// Whether nothing needs to be made or written. Looking takes no lock that another process would wait for.
fn is_whole(
    connection: &Connection,
    all: &[(String, Scalar)],
    there: &[(String, Scalar)],
    policy: Policy,
    has_tags: bool,
) -> Result<bool, Fault> {
    let same = |(name, value): &(String, Scalar)| there.iter().any(|(known, old)| known == name && old == value);
    let counted = |name: &str| there.iter().any(|(known, _)| known == name);
    if !all.iter().all(same) || !COUNTED.iter().all(|name| counted(name)) {
        return Ok(false);
    }
    for statement in SCHEMA.into_iter().chain(policy.index()) {
        if !has(connection, name_in(statement))? {
            return Ok(false);
        }
    }
    Ok(has(connection, "Cache_tag_rowid")? == has_tags)
}

/// The name in a `CREATE … IF NOT EXISTS name …`.
fn name_in(statement: &str) -> &str {
    let rest = statement.split_once("EXISTS ").map_or("", |(_, rest)| rest);
    rest.split([' ', '(']).next().unwrap_or_default()
}

/// Makes tables, indexes and triggers, and writes the settings, all at once.
fn make(connection: &Connection, all: &[(String, Scalar)], policy: Policy, has_tags: bool) -> Result<(), Fault> {
    let transaction = super::session::Transaction::begin(connection)?;
    let [first, rest @ ..] = SCHEMA;
    connection.execute(first, [])?;
    for (name, value) in all {
        let mut same = connection
            .prepare_cached("SELECT 1 FROM Settings WHERE key = ?1 AND value IS ?2 AND typeof(value) = typeof(?2)")?;
        if same.query_row((name, value), |_| Ok(())).optional()?.is_none() {
            connection.execute("INSERT OR REPLACE INTO Settings VALUES (?1, ?2)", (name, value))?;
        }
    }
    for name in COUNTED {
        connection.execute("INSERT OR IGNORE INTO Settings VALUES (?1, 0)", [name])?;
    }
    for statement in rest.into_iter().chain(policy.index()) {
        connection.execute(statement, [])?;
    }
    let tags = if has_tags {
        "CREATE INDEX IF NOT EXISTS Cache_tag_rowid ON Cache(tag, rowid)"
    } else {
        "DROP INDEX IF EXISTS Cache_tag_rowid"
    };
    connection.execute(tags, [])?;
    transaction.commit()
}

fn settings_of(connection: &Connection, all: &[(String, Scalar)]) -> Result<Settings, Fault> {
    let Some(Scalar::Text(name)) = get(all, "eviction_policy") else {
        return Err(not_known("its eviction_policy is no text"));
    };
    let Some(policy) = Policy::named(name) else {
        return Err(not_known("its eviction_policy is none that diskcache 5 has"));
    };
    let float = |name| get(all, name).map_or(0.0, number);
    let cull_limit = match get(all, "cull_limit") {
        Some(Scalar::Int(limit)) => *limit,
        _ => return Err(not_known("its cull_limit is no whole number")),
    };
    Ok(Settings {
        policy,
        cull_limit,
        size_limit: float(SIZE_LIMIT),
        statistics: is_true(get(all, "statistics")),
        min_file_size: float("disk_min_file_size"),
        page_size: connection.query_row("PRAGMA page_size", [], |row| row.get(0))?,
    })
}

fn get<'a>(all: &'a [(String, Scalar)], name: &str) -> Option<&'a Scalar> {
    all.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn not_known(what: &str) -> Fault {
    Fault::Told(Error::new(Kind::Config, format!("the Settings table of the cache is not diskcache's: {what}")))
}

/// Python's `bool(x)`.
fn is_true(value: Option<&Scalar>) -> bool {
    match value {
        None | Some(Scalar::Null) => false,
        Some(Scalar::Int(int)) => *int != 0,
        Some(Scalar::Float(float)) => *float != 0.0,
        Some(Scalar::Text(text)) => !text.is_empty(),
    }
}

/// A number; 0 for what is none.
fn number(value: &Scalar) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "sizes in bytes")]
    match value {
        Scalar::Int(int) => *int as f64,
        Scalar::Float(float) => *float,
        Scalar::Null | Scalar::Text(_) => 0.0,
    }
}

impl ToSql for Scalar {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Int(int) => ToSqlOutput::Owned(Value::Integer(*int)),
            Self::Float(float) => ToSqlOutput::Owned(Value::Real(*float)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}
