//! MySQL's and MariaDB's connections and errors.

use sqlx::mysql::{MySqlArguments, MySqlColumn, MySqlConnectOptions, MySqlDatabaseError, MySqlRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, Connection, Executor, MySql, MySqlConnection, Row as _, TypeInfo};

use super::fault::{Fault, Nature, said};
use super::link::{Arg, Done, Link, Row};
use crate::error::Kind;

/// Whom to connect to.
pub struct Plan {
    /// Server, database, user, TLS.
    pub options: MySqlConnectOptions,
    /// What each session begins with, as Django's: statements with `;` between them.
    pub session: String,
}

/// A connection to MySQL or MariaDB.
pub struct MySqlLink(MySqlConnection);

impl Link for MySqlLink {
    type Plan = Plan;

    async fn connect(plan: &Plan) -> Done<Self> {
        let mut link = Self(MySqlConnection::connect_with(&plan.options).await?);
        if !plan.session.is_empty() {
            link.say(&plan.session).await?;
        }
        Ok(link)
    }

    async fn rows(&mut self, sql: &str, args: &[Arg<'_>]) -> Done<Vec<Row>> {
        let rows = bind(sql, args).fetch_all(&mut self.0).await?;
        rows.iter().map(read).collect()
    }

    async fn run(&mut self, sql: &str, args: &[Arg<'_>]) -> Done<u64> {
        Ok(bind(sql, args).execute(&mut self.0).await?.rows_affected())
    }

    async fn say(&mut self, sql: &str) -> Done<()> {
        Executor::execute(&mut self.0, AssertSqlSafe(sql)).await.map(drop)
    }

    async fn ping(&mut self) -> Done<()> {
        self.0.ping().await
    }

    async fn close(self) {
        let _ = self.0.close().await; // it may be gone already
    }

    fn fault(error: &sqlx::Error) -> Fault {
        let answer = error.as_database_error().and_then(|answer| answer.try_downcast_ref::<MySqlDatabaseError>());
        answer.map_or_else(|| Fault::of_transport(error), |answer| answered(answer.number(), answer.message()))
    }
}

fn bind<'q>(sql: &str, args: &[Arg<'q>]) -> Query<'q, MySql, MySqlArguments> {
    args.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, arg| match *arg {
        Arg::Text(text) => query.bind(text),
        Arg::Int(number) => query.bind(number),
    })
}

fn read(row: &MySqlRow) -> Done<Row> {
    let column = |(at, column): (usize, &MySqlColumn)| match column.type_info().name() {
        "BIGINT" | "INT" => row.try_get::<i64, _>(at).map(|number| number.to_string()),
        _ => row.try_get_unchecked::<String, _>(at),
    };
    row.columns().iter().enumerate().map(column).collect()
}

/// What an answer of the server means, by its number.
fn answered(number: u16, message: &str) -> Fault {
    let refused = |reason: &str| Fault::refused(Kind::Server, reason);
    match number {
        // a row, or an index of this name
        1062 | 1061 => refused("there is such a row already").but(Nature::Duplicate),
        // deadlock, record changed since last read: rolled back
        1213 | 1020 => refused("others write the same rows").but(Nature::Passing).retriable(true),
        1205 => Fault::refused(Kind::Timeout, "the server's own time limit for waiting for a lock passed"),
        // killed, by an administrator or a shutdown
        1927 | 1053 | 4031 => Fault::refused(Kind::Connection, "the server ended the connection").but(Nature::Broken),
        // what the session had prepared is gone, or the table was changed since
        1243 | 1615 => refused("a prepared statement does not fit any more").but(Nature::Undone),
        1317 | 1969 | 3024 => Fault::refused(Kind::Timeout, "the server interrupted the statement"),
        1040 | 1203 | 1226 => {
            refused("the server has no connection left; lower MAX_CONNECTIONS or raise the server's").retriable(true)
        }
        1129 | 1130 => refused("the server takes no connections from this host"),
        1045 | 1698 | 1251 | 2061 => refused("the server refused the user or the password; check USER and PASSWORD"),
        1044 => refused("the database's user may not use this database; check USER and NAME"),
        1049 => refused("there is no such database; check NAME"),
        1146 => refused("there is no such table").but(Nature::NoTable),
        1054 => refused("the table has other columns than createcachetable gives it"),
        1142 | 1143 | 1227 => refused("the database's user may not do this to the table"),
        1290 | 1792 | 1836 => refused("the database only allows reading; is this a replica?"),
        1406 => Fault::refused(Kind::TooBig, super::LONG_KEY),
        1153 => {
            Fault::refused(Kind::TooBig, "the value is larger than the server's max_allowed_packet").but(Nature::Broken)
        }
        1366 => Fault::refused(Kind::Invalid, "the table's character set cannot hold this key; it should be utf8mb4"),
        // disk full, out of memory
        1021 | 1041 | 1114 => Fault::refused(Kind::Server, said(&number.to_string(), message)).retriable(true),
        _ => Fault::refused(Kind::Server, said(&number.to_string(), message)),
    }
}
