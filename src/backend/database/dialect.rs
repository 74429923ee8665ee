//! The SQL of each kind of database: names in quotes (DB-1), the table (DB-3), and a statement for each step.
//!
//! Parameters are named in the comments in their order: `key` is a made key, `value` Base64 text (DB-4), `expires` and
//! `now` are what [`super::expiry::Calendar`] writes. A row is *over* when its `expires` is at or before `now`. On MySQL,
//! which numbers no parameters, the `key` of `replace`, `touch`, `touch_live`, `delete`, `delete_over` and the prefix of
//! `clear_prefix` are given twice, one right after the other, and the keys of `delete_many` are given all, and all again.
//!
//! On MySQL and MariaDB a collation can take two keys for one (pitfall 24). Reads give the stored key back, which has to
//! be compared with the one that was asked for; what changes or removes a row compares bytes in the statement; `set` takes the
//! row of such a neighbour over, so that a value that was just written is what is read.

use super::names::{index_name, quoted};
use crate::config::Engine as Database;
use crate::error::Result;

/// The kinds of databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
}

impl Engine {
    /// Of a configured database.
    pub fn of(database: &Database) -> Self {
        match database {
            Database::Sqlite(_) => Self::Sqlite,
            Database::Postgres(_) => Self::Postgres,
            Database::MySql(_) => Self::MySql,
        }
    }
}

/// The statements for one table.
#[derive(Clone, Debug)]
pub struct Dialect {
    engine: Engine,
    /// The table, in quotes.
    table: String,
    /// Its index's name, in quotes.
    index: String,
    /// `key` → the stored key (not on SQLite, whose keys are exact), value, expires. On PostgreSQL the last is
    /// microseconds since 1970 (BIGINT; far beyond all for `infinity`), elsewhere its text.
    pub get: String,
    /// `key` → the stored key (not on SQLite), expires as in `get`.
    pub expiry: String,
    /// `key`, `value`, `expires`: writes always. PostgreSQL: → whether the row is new.
    pub set: String,
    /// What stands before the rows of [`Dialect::set_many`], and behind them.
    around_rows: [String; 2],
    /// `key`, `value`, `expires`, `now`: writes where there is no row, or one that is over; no row is changed otherwise.
    /// PostgreSQL: → whether the row is new. MySQL takes no `now`: it is a plain insert, which fails with error 1062
    /// where there is a row; then comes `renew`.
    pub add: String,
    /// MySQL, `value`, `expires`, `key`, `now`: writes over a row that is over.
    pub renew: String,
    /// `value`, `expires`, `key`, `now`: writes over a row that is not over (XX).
    pub replace: String,
    /// `expires`, `key`: whatever the row's time (DB-10).
    pub touch: String,
    /// `expires`, `key`, `now`: only a row that is not over.
    pub touch_live: String,
    /// `key`: also a row that is over.
    pub delete: String,
    /// `key`, `now`: only a row that is over, so that one that was just refreshed stays.
    pub delete_over: String,
    /// → how many rows there are.
    pub count: String,
    /// `now`: removes the rows that are over.
    pub purge: String,
    /// `offset` → the key at that place of the alphabet, by the database's collation (DB-11).
    pub cull_key: String,
    /// `key`: removes the smaller ones (DB-11).
    pub cull: String,
    /// Removes all rows.
    pub clear: String,
    /// Removes the keys that begin with a text, by their bytes. SQLite: `first`, `behind`; else `prefix`.
    pub clear_prefix: String,
    /// Keys of rows that are not over. SQLite: `row`, `now`, `limit` → row number, key: those behind a row number.
    /// Else: `key`, `now`, `limit` → key: those behind a key, in an order of bytes; begin with an empty one.
    pub keys: String,
    /// Whether the table can be read.
    pub ping: String,
    /// Makes the table where it is not there, then its index (MySQL has no way to ask for an index only where it is not
    /// there: error 1061 says that it is).
    pub create: [String; 2],
    /// What `createcachetable --dry-run` prints (DB-3).
    pub create_text: String,
}

/// Names of columns.
struct Columns {
    key: String,
    value: String,
    expires: String,
}

/// A value that is put into a statement: numbered where an engine can.
struct Holders(Engine);

impl Holders {
    fn at(&self, number: usize) -> String {
        match self.0 {
            Engine::Sqlite => format!("?{number}"),
            Engine::Postgres => format!("${number}"),
            Engine::MySql => "?".to_owned(),
        }
    }

    /// Of a point in time: PostgreSQL is sent a text, which it reads in the zone of the session where it names none.
    fn time(&self, number: usize) -> String {
        match self.0 {
            Engine::Postgres => format!("CAST(${number} AS timestamp with time zone)"),
            _ => self.at(number),
        }
    }

    /// Of a row (key, value, expires), behind so many others.
    fn row(&self, others: usize) -> String {
        format!("({}, {}, {})", self.at(others + 1), self.at(others + 2), self.time(others + 3))
    }
}

impl Dialect {
    /// For LOCATION `table`.
    pub fn new(engine: Engine, table: &str) -> Result<Self> {
        let quote = if engine == Engine::MySql { '`' } else { '"' };
        let quoted = quoted(table, quote)?;
        let index = index_name(&quoted, quote);
        let columns = Columns {
            key: format!("{quote}cache_key{quote}"),
            value: format!("{quote}value{quote}"),
            expires: format!("{quote}expires{quote}"),
        };
        let mut dialect = Self::reads(engine, quoted, index, &columns);
        dialect.add_writes(&columns);
        dialect.add_upkeep(&columns);
        dialect.add_table(&columns);
        Ok(dialect)
    }

    /// Which database this speaks to.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// What to do where there is no table; the same words for every engine.
    pub fn no_table(&self) -> String {
        let table = self.table();
        format!("the table {table} is not there; make it with larder_create_table, or with manage.py createcachetable")
    }

    /// The table for messages.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// [`Dialect::get`] of `count` keys (at least 1): the stored key comes first on every engine.
    pub fn get_many(&self, count: usize) -> String {
        let (quote, at) = (self.quote(), Holders(self.engine));
        let holders: Vec<String> = (1..=count).map(|number| at.at(number)).collect();
        let expires = shown(self.engine, &format!("{quote}expires{quote}"));
        let (table, holders) = (&self.table, holders.join(", "));
        format!(
            "SELECT {quote}cache_key{quote}, {quote}value{quote}, {expires} FROM {table} WHERE {quote}cache_key{quote} \
             IN ({holders})"
        )
    }

    /// [`Dialect::delete`] of `count` keys (at least 1).
    pub fn delete_many(&self, count: usize) -> String {
        let (quote, at) = (self.quote(), Holders(self.engine));
        let holder = |number| match self.engine {
            Engine::MySql => "CAST(? AS BINARY)".to_owned(),
            _ => at.at(number),
        };
        let first: Vec<String> = (1..=count).map(|number| at.at(number)).collect();
        let (table, first) = (&self.table, first.join(", "));
        let statement = format!("DELETE FROM {table} WHERE {quote}cache_key{quote} IN ({first})");
        if self.engine != Engine::MySql {
            return statement;
        }
        // the keys once more, by their bytes
        let second: Vec<String> = (1..=count).map(holder).collect();
        format!("{statement} AND {} IN ({})", bytes_of("`cache_key`"), second.join(", "))
    }

    /// [`Dialect::delete_over`] of `count` keys (at least 1): as [`Dialect::delete_many`], and then `now`.
    pub fn delete_over_many(&self, count: usize) -> String {
        let (quote, at) = (self.quote(), Holders(self.engine));
        format!("{} AND {quote}expires{quote} <= {}", self.delete_many(count), at.time(count + 1))
    }

    /// [`Dialect::set`] of `count` rows (at least 1): key, value and expires of one after the other.
    pub fn set_many(&self, count: usize) -> String {
        let rows: Vec<String> = (0..count).map(|row| Holders(self.engine).row(row * 3)).collect();
        let [before, behind] = &self.around_rows;
        format!("{before}{}{behind}", rows.join(", "))
    }

    fn quote(&self) -> char {
        if self.engine == Engine::MySql { '`' } else { '"' }
    }

    /// Where the row is exactly this key's; `number` is that of its parameter, which MySQL needs twice.
    fn is_key(&self, key: &str, number: usize) -> String {
        match self.engine {
            Engine::MySql => {
                // the first finds it by the index; the second takes no neighbour
                format!("{key} = ? AND {} = CAST(? AS BINARY)", bytes_of(key))
            }
            _ => format!("{key} = {}", Holders(self.engine).at(number)),
        }
    }

    fn reads(engine: Engine, table: String, index: String, columns: &Columns) -> Self {
        let Columns { key, value, expires } = columns;
        let at = Holders(engine);
        let stored_key = if engine == Engine::Sqlite { String::new() } else { format!("{key}, ") };
        let expires = shown(engine, expires);
        let from = format!("FROM {table} WHERE {key} = {}", at.at(1));
        Self {
            engine,
            get: format!("SELECT {stored_key}{value}, {expires} {from}"),
            expiry: format!("SELECT {stored_key}{expires} {from}"),
            count: format!("SELECT COUNT(*) FROM {table}"),
            ping: format!("SELECT {key}, {value}, {expires} FROM {table} LIMIT 1"),
            clear: format!("DELETE FROM {table}"),
            table,
            index,
            set: String::new(),
            around_rows: [String::new(), String::new()],
            add: String::new(),
            renew: String::new(),
            replace: String::new(),
            touch: String::new(),
            touch_live: String::new(),
            delete: String::new(),
            delete_over: String::new(),
            purge: String::new(),
            cull_key: String::new(),
            cull: String::new(),
            clear_prefix: String::new(),
            keys: String::new(),
            create: [String::new(), String::new()],
            create_text: String::new(),
        }
    }

    fn add_writes(&mut self, columns: &Columns) {
        let Columns { key, value, expires } = columns;
        let (table, at) = (&self.table, Holders(self.engine));
        let (one, three, four) = (at.at(1), at.time(3), at.time(4));
        let (row, columns) = (at.row(0), format!("({key}, {value}, {expires}) VALUES "));
        if self.engine == Engine::MySql {
            let before = format!("INSERT INTO {table} {columns}");
            // the key keeps the spelling that came first, as with Django (pitfall 24)
            let behind = format!(" ON DUPLICATE KEY UPDATE {value} = VALUES({value}), {expires} = VALUES({expires})");
            self.add = format!("{before}{row}");
            self.renew = format!("UPDATE {table} SET {value} = ?, {expires} = ? WHERE {key} = ? AND {expires} <= ?");
            self.around_rows = [before, behind];
        } else {
            let told = if self.engine == Engine::Postgres { " RETURNING (xmax = 0)" } else { "" };
            let before = format!("INSERT INTO {table} AS larder_old {columns}");
            let update = format!(
                " ON CONFLICT ({key}) DO UPDATE SET {value} = excluded.{value}, {expires} = excluded.{expires}"
            );
            self.add = format!("{before}{row}{update} WHERE larder_old.{expires} <= {four}{told}");
            self.around_rows = [before, format!("{update}{told}")];
        }
        self.set = self.set_many(1);
        let is_key = self.is_key(key, 3);
        self.replace = format!(
            "UPDATE {table} SET {value} = {one}, {expires} = {} WHERE {is_key} AND {expires} > {four}",
            at.time(2)
        );
        let is_key = self.is_key(key, 2);
        self.touch = format!("UPDATE {table} SET {expires} = {} WHERE {is_key}", at.time(1));
        self.touch_live = format!("{} AND {expires} > {three}", self.touch);
        self.delete = format!("DELETE FROM {table} WHERE {}", self.is_key(key, 1));
        self.delete_over = format!("{} AND {expires} <= {}", self.delete, at.time(2));
    }

    fn add_upkeep(&mut self, columns: &Columns) {
        let Columns { key, expires, .. } = columns;
        let (table, at) = (&self.table, Holders(self.engine));
        let (one, two, three) = (at.at(1), at.at(2), at.at(3));
        self.purge = format!("DELETE FROM {table} WHERE {expires} <= {}", at.time(1));
        self.cull_key = format!("SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {one}");
        self.cull = format!("DELETE FROM {table} WHERE {key} < {one}");
        let live = format!("{expires} > {}", at.time(2));
        match self.engine {
            Engine::Sqlite => {
                self.clear_prefix = format!("DELETE FROM {table} WHERE {key} >= {one} AND {key} < {two}");
                self.keys = format!(
                    "SELECT rowid, {key} FROM {table} WHERE rowid > {one} AND {live} ORDER BY rowid LIMIT {three}"
                );
            }
            Engine::Postgres => {
                self.clear_prefix = format!("DELETE FROM {table} WHERE starts_with({key}, {one})");
                let ordered = format!("{key} COLLATE \"C\"");
                self.keys = format!(
                    "SELECT {key} FROM {table} WHERE {ordered} > {one} AND {live} ORDER BY {ordered} LIMIT {three}"
                );
            }
            Engine::MySql => {
                let bytes = bytes_of(key);
                self.clear_prefix = format!(
                    "DELETE FROM {table} WHERE LEFT({bytes}, LENGTH(?)) = CAST(? AS BINARY)" // the prefix twice
                );
                self.keys = format!(
                    "SELECT {key} FROM {table} WHERE {bytes} > CAST(? AS BINARY) AND {live} ORDER BY {bytes} LIMIT ?"
                );
            }
        }
    }

    /// DB-3.
    fn add_table(&mut self, columns: &Columns) {
        let Columns { key, value, expires } = columns;
        let (table, index) = (&self.table, &self.index);
        let (text, time) = match self.engine {
            Engine::Sqlite => ("text", "datetime"),
            Engine::Postgres => ("text", "timestamp with time zone"),
            Engine::MySql => ("longtext", "datetime(6)"),
        };
        let body = format!(
            "{table} (\n    {key} varchar(255) NOT NULL PRIMARY KEY,\n    {value} {text} NOT NULL,\n    {expires} {time} \
             NOT NULL\n)"
        );
        let on = format!("{index} ON {table} ({expires})");
        self.create_text = format!("CREATE TABLE {body};\nCREATE INDEX {on};\n");
        let unless = if self.engine == Engine::MySql { "" } else { "IF NOT EXISTS " };
        self.create = [format!("CREATE TABLE IF NOT EXISTS {body}"), format!("CREATE INDEX {unless}{on}")];
    }
}

/// The column `expires` as it is read.
fn shown(engine: Engine, expires: &str) -> String {
    match engine {
        Engine::Sqlite => expires.to_owned(),
        Engine::Postgres => format!(
            "CASE WHEN isfinite({expires}) THEN CAST(EXTRACT(EPOCH FROM {expires}) * 1000000 AS bigint) WHEN {expires} > \
             now() THEN 9223372036854775807 ELSE -9223372036854775808 END"
        ),
        Engine::MySql => format!("CAST({expires} AS CHAR)"),
    }
}

/// A MySQL column's UTF-8 bytes, which know no collation and no padding.
fn bytes_of(key: &str) -> String {
    format!("CAST(CONVERT({key} USING utf8mb4) AS BINARY)")
}
