//! PostgreSQL's connections and errors.

use sqlx::postgres::{PgArguments, PgColumn, PgConnectOptions, PgDatabaseError, PgRow, PgSeverity};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, Connection, Executor, PgConnection, Postgres, Row as _, TypeInfo};

use super::fault::{Fault, Nature, said};
use super::link::{Arg, Done, Link, Row};
use crate::error::Kind;

/// Whom to connect to.
pub struct Plan {
    /// Server, database, user, TLS.
    pub options: PgConnectOptions,
    /// The session's time zone, in which "for ever" is read (DB-5); `None`: UTC.
    pub time_zone: Option<String>,
    /// The role to take (`assume_role`).
    pub role: Option<String>,
    /// The isolation level of the session's transactions; `None`: the server's own.
    pub isolation: Option<&'static str>,
    /// Whether statements keep their names on the server: a pooler in between may not like that.
    pub prepares: bool,
}

/// A connection to PostgreSQL.
pub struct PostgresLink {
    connection: PgConnection,
    prepares: bool,
}

impl PostgresLink {
    fn bind<'q>(&self, sql: &str, args: &[Arg<'q>]) -> Query<'q, Postgres, PgArguments> {
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(self.prepares);
        args.iter().fold(query, |query, arg| match *arg {
            Arg::Text(text) => query.bind(text),
            Arg::Int(number) => query.bind(number),
        })
    }
}

impl Link for PostgresLink {
    type Plan = Plan;

    async fn connect(plan: &Plan) -> Done<Self> {
        let connection = PgConnection::connect_with(&plan.options).await?;
        let mut link = Self { connection, prepares: plan.prepares };
        // sqlx begins every session in UTC
        if let Some(zone) = plan.time_zone.as_deref().filter(|zone| *zone != "UTC") {
            link.say(&format!("SET TIME ZONE '{}'", zone.replace('\'', "''"))).await?;
        }
        if let Some(role) = &plan.role {
            link.say(&format!("SET ROLE \"{}\"", role.replace('"', "\"\""))).await?;
        }
        if let Some(level) = plan.isolation {
            link.say(&format!("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}")).await?;
        }
        Ok(link)
    }

    async fn rows(&mut self, sql: &str, args: &[Arg<'_>]) -> Done<Vec<Row>> {
        let rows = self.bind(sql, args).fetch_all(&mut self.connection).await?;
        rows.iter().map(read).collect()
    }

    async fn run(&mut self, sql: &str, args: &[Arg<'_>]) -> Done<u64> {
        Ok(self.bind(sql, args).execute(&mut self.connection).await?.rows_affected())
    }

    async fn say(&mut self, sql: &str) -> Done<()> {
        Executor::execute(&mut self.connection, AssertSqlSafe(sql)).await.map(drop)
    }

    fn wants_transactions(&self) -> bool {
        !self.prepares
    }

    async fn ping(&mut self) -> Done<()> {
        self.connection.ping().await
    }

    async fn close(self) {
        let _ = self.connection.close().await; // it may be gone already
    }

    fn fault(error: &sqlx::Error) -> Fault {
        let answer = error.as_database_error().and_then(|answer| answer.try_downcast_ref::<PgDatabaseError>());
        answer.map_or_else(
            || Fault::of_transport(error),
            |answer| {
                let ends = matches!(answer.severity(), PgSeverity::Fatal | PgSeverity::Panic);
                let fault = answered(answer.code(), answer.message());
                if ends && fault.leaves_connection() { fault.but(Nature::Broken) } else { fault }
            },
        )
    }
}

fn read(row: &PgRow) -> Done<Row> {
    let column = |(at, column): (usize, &PgColumn)| match column.type_info().name() {
        "BOOL" => row.try_get::<bool, _>(at).map(|is| is.to_string()),
        "INT8" => row.try_get::<i64, _>(at).map(|number| number.to_string()),
        "INT4" => row.try_get::<i32, _>(at).map(|number| number.to_string()),
        _ => row.try_get_unchecked::<String, _>(at),
    };
    row.columns().iter().enumerate().map(column).collect()
}

/// What an answer of the server means, by its SQLSTATE.
fn answered(code: &str, message: &str) -> Fault {
    let refused = |reason: &str| Fault::refused(Kind::Server, reason);
    match code {
        "23505" => refused("there is such a row already").but(Nature::Duplicate),
        // deadlock, serialization failure, lock not available: rolled back
        "40P01" | "40001" | "55P03" => refused("others write the same rows").but(Nature::Passing).retriable(true),
        // an administrator ended the session, or it rested too long: not in the middle of a commit
        "57P01" | "57P05" | "25P03" => {
            Fault::refused(Kind::Connection, "the server ended the connection").but(Nature::Undone)
        }
        // what the session had prepared is gone, or the table was changed since
        "26000" | "0A000" => refused("a prepared statement does not fit any more").but(Nature::Undone),
        "57P02" => Fault::refused(Kind::Connection, "the server crashed").but(Nature::Broken),
        "57P03" => Fault::refused(Kind::Connection, "the server is starting up or shutting down").but(Nature::Undone),
        "57014" => Fault::refused(Kind::Timeout, "the server's own time limit for statements passed"),
        "53300" => {
            refused("the server has no connection left; lower MAX_CONNECTIONS or raise the server's").retriable(true)
        }
        "28P01" | "28000" => {
            refused("the server refused the user or the password; check USER and PASSWORD, and pg_hba.conf")
        }
        "3D000" => refused("there is no such database; check NAME"),
        "42P01" => refused("there is no such table").but(Nature::NoTable),
        "42703" | "42883" | "42804" => refused("the table has other columns than createcachetable gives it"),
        "42501" => refused("the database's user may not do this to the table"),
        "25006" => refused("the database only allows reading; is this a standby?"),
        "22001" => Fault::refused(Kind::TooBig, super::LONG_KEY),
        "22021" => Fault::refused(Kind::Invalid, "PostgreSQL takes no text with a NUL character, and this key has one"),
        "54000" => Fault::refused(Kind::TooBig, "the value is larger than the server takes"),
        _ if code.starts_with("08") => Fault::refused(Kind::Connection, said(code, "")).but(Nature::Broken),
        // disk full, out of memory
        _ if code.starts_with("53") => Fault::refused(Kind::Server, said(code, message)).retriable(true),
        // data errors quote data
        _ if code.starts_with("22") || code.starts_with("23") => Fault::refused(Kind::Server, said(code, "")),
        _ => Fault::refused(Kind::Server, said(code, message)),
    }
}
