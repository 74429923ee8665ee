//! From a configured database to its connections.

use std::sync::Arc;

use sqlx::ConnectOptions;

use super::super::Bounds;
use super::super::census::Census;
use super::super::dialect::{Dialect, Engine};
use super::super::expiry::Calendar;
use super::Server;
use super::link::Link;
use super::pool::Pool;
use super::scan::Cursors;
use super::table::Table;
use crate::backend::{Backend, Spawner};
use crate::config::{Database, Login, Reach};
use crate::error::Result;

/// The cache of an alias on a PostgreSQL server. Never connects.
#[cfg(feature = "postgres")]
pub fn open_postgres(
    config: &Database,
    postgres: &crate::config::Postgres,
    bounds: Bounds,
    spawner: &Arc<dyn Spawner>,
) -> Result<Arc<dyn Backend>> {
    let plan = super::postgres::Plan {
        options: postgres_options(postgres),
        time_zone: config.times.zone.as_ref().map(|zone| zone.value.clone()),
        role: postgres.role.clone(),
        isolation: postgres.isolation,
        prepares: postgres.prepares,
    };
    open::<super::postgres::PostgresLink>(config, Engine::Postgres, &postgres.login, plan, bounds, spawner)
}

/// The cache of an alias on a MySQL or MariaDB server. Never connects.
#[cfg(feature = "mysql")]
pub fn open_mysql(
    config: &Database,
    mysql: &crate::config::MySql,
    bounds: Bounds,
    spawner: &Arc<dyn Spawner>,
) -> Result<Arc<dyn Backend>> {
    let plan = super::mysql::Plan { options: mysql_options(mysql), session: mysql_session(mysql) };
    open::<super::mysql::MySqlLink>(config, Engine::MySql, &mysql.login, plan, bounds, spawner)
}

fn open<L: Link>(
    config: &Database,
    engine: Engine,
    login: &Login,
    plan: L::Plan,
    bounds: Bounds,
    spawner: &Arc<dyn Spawner>,
) -> Result<Arc<dyn Backend>> {
    let table = Table {
        dialect: Dialect::new(engine, &config.table)?,
        calendar: Calendar::open(&config.times, engine)?,
        census: Census::new(bounds.culling),
        limit: bounds.limits.bytes,
        cursors: Cursors::default(),
    };
    let name = login.database.as_deref().unwrap_or_default();
    let shown = match &login.reach {
        Reach::Socket(..) => format!("unix:{}, database {name}", login.shown),
        Reach::Tcp(..) | Reach::Local(_) => format!("{}/{name}", login.shown),
    };
    let pool = Pool::<L>::new(plan, config.max_connections, login.connect);
    Ok(Arc::new(Server::new(table, pool, spawner.clone(), shown.into())))
}

#[cfg(feature = "postgres")]
fn postgres_options(postgres: &crate::config::Postgres) -> sqlx::postgres::PgConnectOptions {
    use sqlx::postgres::{PgConnectOptions, PgSslMode};

    use crate::config::SslMode;

    let login = &postgres.login;
    // as libpq, what is not said comes from PGUSER, PGPASSWORD, …
    let mut options = PgConnectOptions::new_without_pgpass().extra_float_digits(None).disable_statement_logging();
    options = match &login.reach {
        Reach::Tcp(host, port) => options.host(host).port(*port),
        Reach::Socket(folder, port) => options.socket(folder).port(*port),
        Reach::Local(port) => {
            let is_there = |folder: &&str| std::path::Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
            match Reach::LOCAL_POSTGRES.iter().copied().find(is_there) {
                Some(folder) => options.socket(folder).port(*port),
                None => options.host("127.0.0.1").port(*port),
            }
        }
    };
    if let Some(user) = &login.user {
        options = options.username(user);
    }
    if let Some(password) = &login.password {
        options = options.password(password);
    }
    if let Some(database) = &login.database {
        options = options.database(database);
    }
    if let Some(file) = &postgres.root_certificate {
        options = options.ssl_root_cert(&file.value);
    }
    if let Some(file) = &postgres.certificate {
        options = options.ssl_client_cert(&file.value);
    }
    if let Some(file) = &postgres.key {
        options = options.ssl_client_key(&file.value);
    }
    if let Some(name) = &postgres.application {
        options = options.application_name(name);
    }
    if !postgres.settings.is_empty() {
        options = options.options(postgres.settings.iter().map(|(name, value)| (name, value)));
    }
    options.ssl_mode(match postgres.ssl {
        SslMode::Disable => PgSslMode::Disable,
        SslMode::Allow => PgSslMode::Allow,
        SslMode::Prefer => PgSslMode::Prefer,
        SslMode::Require => PgSslMode::Require,
        SslMode::VerifyCa => PgSslMode::VerifyCa,
        SslMode::VerifyFull => PgSslMode::VerifyFull,
    })
}

#[cfg(feature = "mysql")]
fn mysql_options(mysql: &crate::config::MySql) -> sqlx::mysql::MySqlConnectOptions {
    use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

    use crate::config::SslMode;

    let login = &mysql.login;
    // the session's settings are the server's, as Django leaves them
    let mut options = MySqlConnectOptions::new()
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .charset(&mysql.charset)
        .disable_statement_logging();
    options = match &login.reach {
        Reach::Tcp(host, port) => options.host(host).port(*port),
        Reach::Socket(path, _) => options.socket(path),
        Reach::Local(port) => match Reach::LOCAL_MYSQL.iter().find(|path| std::path::Path::new(path).exists()) {
            Some(path) => options.socket(path),
            None => options.host("127.0.0.1").port(*port),
        },
    };
    let here = || ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()); // as libmysql
    if let Some(user) = login.user.clone().or_else(here) {
        options = options.username(&user);
    }
    if let Some(password) = &login.password {
        options = options.password(password);
    }
    if let Some(database) = &login.database {
        options = options.database(database);
    }
    if let Some(collation) = &mysql.collation {
        options = options.collation(collation);
    }
    if let Some(file) = &mysql.root_certificate {
        options = options.ssl_ca(&file.value);
    }
    if let Some(file) = &mysql.certificate {
        options = options.ssl_client_cert(&file.value);
    }
    if let Some(file) = &mysql.key {
        options = options.ssl_client_key(&file.value);
    }
    options.ssl_mode(match mysql.ssl {
        SslMode::Disable => MySqlSslMode::Disabled,
        SslMode::Allow | SslMode::Prefer => MySqlSslMode::Preferred,
        SslMode::Require => MySqlSslMode::Required,
        SslMode::VerifyCa => MySqlSslMode::VerifyCa,
        SslMode::VerifyFull => MySqlSslMode::VerifyIdentity,
    })
}

/// What Django's sessions begin with, and what OPTIONS ask for.
#[cfg(feature = "mysql")]
fn mysql_session(mysql: &crate::config::MySql) -> String {
    let mut statements = Vec::new();
    if let Some(mode) = &mysql.sql_mode {
        statements.push(format!("SET SESSION sql_mode = '{}'", mode.replace('\\', "\\\\").replace('\'', "''")));
    }
    statements.extend(mysql.init.clone());
    if let Some(level) = mysql.isolation {
        statements.push(format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}"));
    }
    statements.join("; ")
}
