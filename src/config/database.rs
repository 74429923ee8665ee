//! `django.core.cache.backends.db.DatabaseCache` (rules DB): LOCATION is a table, and the connection is one of
//! `DATABASES`.

mod mysql;
mod options;
mod postgres;
mod sqlite;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

pub use self::mysql::MySql;
pub use self::postgres::{Postgres, SslMode};
pub use self::sqlite::{Sqlite, SqliteFile};
use super::alias::{Family, Named};
use super::entry::{Built, Entry};
use super::names::nearest;
use super::own::Own;
use super::place::{Place, Report, Setting};
use super::python::int;
use crate::error::Result;

/// What Django takes where TIME_ZONE is not set (`django.conf.global_settings`).
const DJANGO_ZONE: &str = "America/Chicago";

/// Connections at the same time where nothing else is said.
const MAX_CONNECTIONS: usize = 16;

/// The settings of a database alias.
#[derive(Clone, Debug)]
pub struct Database {
    /// LOCATION, as it stands there (DB-1); never empty, without NUL.
    pub table: String,
    /// Which database, and how to get there.
    pub engine: Engine,
    /// How the column `expires` is to be read and written (DB-5).
    pub times: Times,
    /// `"LARDER": {"MAX_CONNECTIONS": …}`, else 16 (or what the `pool` of PostgreSQL's OPTIONS says).
    pub max_connections: usize,
}

/// The kinds of databases.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there are as many as aliases, and they are read once")]
pub enum Engine {
    /// `django.db.backends.sqlite3`.
    Sqlite(Sqlite),
    /// `django.db.backends.postgresql`.
    Postgres(Postgres),
    /// `django.db.backends.mysql`.
    MySql(MySql),
}

impl Engine {
    /// Whether this build has it, and the cargo feature that brings it.
    pub(super) fn feature(&self) -> (bool, &'static str) {
        match self {
            Self::Sqlite(_) => (cfg!(feature = "sqlite-system"), "sqlite"),
            Self::Postgres(_) => (cfg!(feature = "postgres"), "postgres"),
            Self::MySql(_) => (cfg!(feature = "mysql"), "mysql"),
        }
    }
}

/// How points in time stand in the table (DB-5).
#[derive(Clone, Debug)]
pub struct Times {
    /// USE_TZ: expiries are moments; without it they are what the clock on the wall says.
    pub use_tz: bool,
    /// The zone of the texts, and of the sessions of servers that know zones: with USE_TZ the database's TIME_ZONE, or
    /// UTC; else the setting TIME_ZONE. `None`: the system's (USE_TZ false, TIME_ZONE null).
    pub zone: Option<Named<String>>,
}

/// Where a server listens, and who asks. `Debug` shows no password.
#[derive(Clone)]
pub struct Login {
    /// HOST and PORT.
    pub reach: Reach,
    /// USER; `None`: the one that this process runs as.
    pub user: Option<String>,
    /// PASSWORD.
    pub password: Option<String>,
    /// NAME.
    pub database: Option<String>,
    /// `connect_timeout`: what connecting may take of a call's time.
    pub connect: Option<Duration>,
    /// The server for messages: no credentials.
    pub shown: std::sync::Arc<str>,
}

/// HOST and PORT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A host and a port.
    Tcp(String, u16),
    /// A socket: for MySQL its path, for PostgreSQL the directory that it is in, and the port that is part of its name.
    Socket(PathBuf, u16),
    /// Nothing is said (or, for MySQL, `localhost`): the first socket of [`Reach::LOCAL_MYSQL`] or
    /// [`Reach::LOCAL_POSTGRES`] that is there, else this port of 127.0.0.1.
    Local(u16),
}

impl Reach {
    /// Where MySQL and MariaDB put their socket. libmysql knows only one place, the one it was compiled with.
    pub const LOCAL_MYSQL: [&str; 4] =
        ["/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];
    /// In which directories PostgreSQL puts `.s.PGSQL.<port>`.
    pub const LOCAL_POSTGRES: [&str; 3] = ["/run/postgresql", "/var/run/postgresql", "/tmp"];
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("reach", &self.reach)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// Names that a database may have beside its OPTIONS.
const KNOWN: [&str; 14] = [
    "ENGINE",
    "NAME",
    "USER",
    "PASSWORD",
    "HOST",
    "PORT",
    "OPTIONS",
    "TIME_ZONE",
    "ATOMIC_REQUESTS",
    "AUTOCOMMIT",
    "CONN_MAX_AGE",
    "CONN_HEALTH_CHECKS",
    "DISABLE_SERVER_SIDE_CURSORS",
    "TEST",
];

/// The engines that larder has, and those of Django that it has not.
const ENGINES: [&str; 3] = ["django.db.backends.sqlite3", "django.db.backends.postgresql", "django.db.backends.mysql"];

/// One database of DATABASES being read.
struct Source<'a> {
    place: Place,
    map: &'a Map<String, Value>,
    options: Option<&'a Map<String, Value>>,
}

impl<'a> Source<'a> {
    /// A setting, unless it is null or an empty text, which mean that it is not set.
    fn set(&self, name: &str) -> Option<Setting<'a>> {
        Setting::of(self.map, &self.place, name)
            .filter(|setting| !setting.value.is_null() && setting.value.as_str() != Some(""))
    }

    /// A text, where it is set.
    fn text(&self, name: &str, report: &Report) -> Result<Option<&'a str>> {
        let setting = self.set(name).map(|setting| Setting { secret: name == "PASSWORD", ..setting });
        let Some(setting) = setting else { return Ok(None) };
        let text = setting.text(report)?;
        if text.contains('\0') {
            return Err(setting.place.error("has a NUL character"));
        }
        Ok(Some(text))
    }

    /// HOST or NAME of a server. A URL may hold a password, which messages that name the server would show.
    fn name(&self, name: &str, report: &Report) -> Result<Option<&'a str>> {
        let text = self.text(name, report)?;
        if text.is_some_and(|text| text.contains("://")) {
            return Err(self.place.at(name).error("is a URL; write its parts as USER, PASSWORD, HOST, PORT and NAME"));
        }
        Ok(text)
    }

    /// PORT, a number or a text.
    fn port(&self, default: u16, report: &Report) -> Result<u16> {
        let Some(setting) = self.set("PORT") else { return Ok(default) };
        let number = int(setting.value).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        number.ok_or_else(|| setting.must_be("a port (1 to 65535)", report))
    }

    /// All of OPTIONS.
    fn options(&self) -> impl Iterator<Item = (&'a str, Setting<'a>)> + use<'a> {
        let place = self.place.at("OPTIONS");
        self.options.into_iter().flatten().map(move |(name, value)| {
            (name.as_str(), Setting { place: place.at(name), value, secret: options::is_secret(name) })
        })
    }

    fn shown(reach: &Reach) -> std::sync::Arc<str> {
        match reach {
            Reach::Tcp(host, port) => format!("{host}:{port}"),
            Reach::Socket(path, _) => path.display().to_string(),
            Reach::Local(port) => format!("localhost:{port}"),
        }
        .into()
    }
}

/// What the part of an engine gives.
struct Read {
    engine: Engine,
    timeout: Option<Duration>,
    max_connections: Option<usize>,
    /// What of it larder does not have.
    lacking: Option<String>,
}

/// Reads what is this backend's own; `siblings` is what stands beside CACHES.
pub(super) fn read(entry: &Entry<'_>, own: &Own, siblings: &Map<String, Value>, report: &mut Report) -> Result<Built> {
    let table = table(entry, report)?;
    if let Some(breaker) = entry.larder("BREAKER") {
        report.warn(&breaker.place, "has no effect with this backend");
    }
    let source = source(entry, own, siblings, report)?;
    let Some(engine) = source.set("ENGINE") else {
        return Err(source.place.at("ENGINE").error(format_args!("is missing; there are {}", ENGINES.join(", "))));
    };
    let times = times(&source, siblings, report)?;
    let read = match engine.text(report)? {
        "django.db.backends.sqlite3" | "django.contrib.gis.db.backends.spatialite" => sqlite::read(&source, report)?,
        "django.db.backends.postgresql"
        | "django.db.backends.postgresql_psycopg2"
        | "django.contrib.gis.db.backends.postgis" => postgres::read(&source, report)?,
        "django.db.backends.mysql" | "django.contrib.gis.db.backends.mysql" => mysql::read(&source, report)?,
        other => return unknown_engine(other, &engine, report),
    };
    for name in source.map.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
        let hint = super::names::did_you_mean(name, &KNOWN);
        report.warn(&source.place.at(name), format_args!("is ignored, as in Django: unknown name{hint}"));
    }
    let family = match read.lacking {
        Some(reason) => Family::NotBuiltIn { reason },
        None => Family::Database(Database {
            table,
            engine: read.engine,
            times,
            max_connections: own.max_connections.or(read.max_connections).unwrap_or(MAX_CONNECTIONS),
        }),
    };
    Ok(Built { timeout: read.timeout, ..Built::plain(family) })
}

/// DB-1.
fn table(entry: &Entry<'_>, report: &Report) -> Result<String> {
    let Some(location) = entry.top("LOCATION") else {
        return Err(entry.place.at("LOCATION").error("is missing; this backend takes the name of a table"));
    };
    let table = location.text(report)?;
    if table.is_empty() || table.contains('\0') {
        return Err(location.place.error("must be the name of a table"));
    }
    if table.contains("://") {
        // it may hold a password, which the name of a table in a message would show
        return Err(location
            .place
            .error("is a URL; this backend takes the name of a table, and finds the connection in DATABASES"));
    }
    Ok(table.to_owned())
}

/// DB-2: the database that the alias asks for, or `default`.
fn source<'a>(entry: &Entry<'_>, own: &Own, siblings: &'a Map<String, Value>, report: &Report) -> Result<Source<'a>> {
    let place = Place::document().at("DATABASES");
    let Some(databases) = Setting::of(siblings, &Place::document(), "DATABASES") else {
        let reason = "needs a database, but there is no DATABASES beside CACHES; it must look as in Django's settings";
        return Err(entry.place.at("BACKEND").error(reason));
    };
    let databases = databases.object(report)?;
    let (name, asked_at) = match &own.database {
        Some(named) => (named.value.as_str(), &*named.place),
        None => ("default", ""),
    };
    let Some(setting) = Setting::of(databases, &place, name) else {
        let hint = match nearest(name, databases.keys().map(String::as_str)) {
            Some(found) => format!("; did you mean {found}?"),
            None => String::new(),
        };
        let error = if asked_at.is_empty() {
            let lack = r#"is missing, and the alias does not ask for another ("LARDER": {"DATABASE": …})"#;
            place.at(name).error(lack)
        } else {
            crate::error::Error::new(
                crate::error::Kind::Config,
                format!("{asked_at}: no such database in DATABASES{hint}"),
            )
        };
        return Err(error);
    };
    let map = setting.object(report)?;
    let options = match Setting::of(map, &setting.place, "OPTIONS") {
        Some(options) => Some(options.object(report)?),
        None => None,
    };
    Ok(Source { place: setting.place, map, options })
}

/// DB-5.
fn times(source: &Source<'_>, siblings: &Map<String, Value>, report: &Report) -> Result<Times> {
    let here = Place::document();
    let use_tz = match Setting::of(siblings, &here, "USE_TZ") {
        Some(setting) => setting.value.as_bool().ok_or_else(|| setting.must_be("true or false", report))?,
        None => true,
    };
    let named = |place: &Place, value: &str| Named { place: place.to_string().into(), value: value.to_owned() };
    let own = source.text("TIME_ZONE", report)?;
    let own_place = source.place.at("TIME_ZONE");
    if use_tz {
        return Ok(Times { use_tz, zone: Some(named(&own_place, own.unwrap_or("UTC"))) });
    }
    if own.is_some() {
        return Err(own_place.error("cannot be set where USE_TZ is false, as in Django")); // check_settings
    }
    let zone = match Setting::of(siblings, &here, "TIME_ZONE") {
        Some(setting) if setting.value.is_null() || setting.value.as_str() == Some("") => None,
        Some(setting) => Some(named(&setting.place, setting.text(report)?)),
        None => Some(named(&here.at("TIME_ZONE"), DJANGO_ZONE)),
    };
    Ok(Times { use_tz, zone })
}

/// An engine that larder has not, or nobody.
fn unknown_engine(name: &str, setting: &Setting<'_>, report: &Report) -> Result<Built> {
    let shown = report.shown(setting.value);
    if matches!(name, "django.db.backends.oracle" | "django.contrib.gis.db.backends.oracle") {
        let reason = format!("{}: Oracle is not in this version of larder", setting.place);
        return Ok(Built::plain(Family::NotBuiltIn { reason }));
    }
    if name == "django.db.backends.dummy" {
        return Err(setting.place.error("is Django's stand-in for no database at all"));
    }
    let hint = match nearest(name, ENGINES) {
        Some(found) => format!("; did you mean {found}?"),
        None => format!("; there are {}", ENGINES.join(", ")),
    };
    if !name.contains('.') || name.starts_with("django.") {
        return Err(setting.place.error(format_args!("{shown} is not an engine of Django{hint}")));
    }
    let reason = format!("{}: larder does not have the engine {shown}{hint}", setting.place);
    Ok(Built::plain(Family::NotBuiltIn { reason }))
}
