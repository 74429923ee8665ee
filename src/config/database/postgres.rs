//! `django.db.backends.postgresql`: OPTIONS are psycopg's and libpq's.

use std::path::PathBuf;

use serde_json::Value;

use super::super::alias::Named;
use super::super::place::{Report, Setting};
use super::super::python::int;
use super::options::{count, file, lacks, seconds, text, unknown};
use super::{Engine, Login, Reach, Read, Source};
use crate::error::Result;

/// A PostgreSQL database.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Where it is, and who asks. [`Reach::Socket`] is the directory of the socket.
    pub login: Login,
    /// `sslmode`; libpq's default is `prefer`. Means nothing over a socket.
    pub ssl: SslMode,
    /// `sslrootcert`: whom to trust; `system` is `None`.
    pub root_certificate: Option<Named<PathBuf>>,
    /// `sslcert`.
    pub certificate: Option<Named<PathBuf>>,
    /// `sslkey`.
    pub key: Option<Named<PathBuf>>,
    /// `options`: settings of the session, by their names.
    pub settings: Vec<(String, String)>,
    /// `application_name`.
    pub application: Option<String>,
    /// `assume_role`: whom to become after connecting (`SET ROLE`, to be quoted).
    pub role: Option<String>,
    /// `isolation_level`: `READ UNCOMMITTED` to `SERIALIZABLE`; `None`: the server's own.
    pub isolation: Option<&'static str>,
    /// Whether statements may be prepared by name: false where `prepare_threshold` is null, which those set who connect
    /// through a pooler such as PgBouncer.
    pub prepares: bool,
}

/// libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "libpq's names")]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// How a connection is made, or Python's side of it: they change nothing here.
const NO_EFFECT: [&str; 17] = [
    "client_encoding",
    "server_side_binding",
    "cursor_factory",
    "autocommit",
    "fallback_application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "gssencmode",
    "krbsrvname",
    "sslcompression",
    "sslsni",
    "channel_binding",
    "context",
    "row_factory",
];

/// Known to libpq, and not here.
const LACKING: [&str; 13] = [
    "service",
    "servicefile",
    "passfile",
    "hostaddr",
    "sslcrl",
    "sslcrldir",
    "sslpassword",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "requirepeer",
    "require_auth",
    "target_session_attrs",
    "load_balance_hosts",
];

/// What is read here.
const READ: [&str; 11] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "connect_timeout",
    "options",
    "application_name",
    "assume_role",
    "isolation_level",
    "prepare_threshold",
    "pool",
];

pub(super) fn read(source: &Source<'_>, report: &mut Report) -> Result<Read> {
    let mut postgres = empty(login(source, report)?);
    let (mut lacking, mut connections) = (None, None);
    for (name, setting) in source.options() {
        match name {
            "pool" => connections = pool(&setting, report)?,
            "user" | "password" | "host" | "port" | "dbname" => {
                return Err(setting.place.error(format_args!(
                    "stands in OPTIONS; write {} of the database",
                    if name == "dbname" { "NAME".to_owned() } else { name.to_uppercase() }
                )));
            }
            "prepare_threshold" => postgres.prepares = !setting.value.is_null(),
            _ if setting.value.is_null() || NO_EFFECT.contains(&name) => {}
            _ if LACKING.contains(&name) => lacking = lacking.or_else(|| Some(lacks(&setting))),
            _ => take(&mut postgres, name, &setting, report)?,
        }
    }
    Ok(Read { engine: Engine::Postgres(postgres), timeout: None, max_connections: connections, lacking })
}

fn take(postgres: &mut Postgres, name: &str, setting: &Setting<'_>, report: &mut Report) -> Result<()> {
    match name {
        "sslmode" => postgres.ssl = ssl_mode(setting, report)?,
        "sslrootcert" if setting.value.as_str() == Some("system") => {}
        "sslrootcert" => postgres.root_certificate = Some(file(setting, report)?),
        "sslcert" => postgres.certificate = Some(file(setting, report)?),
        "sslkey" => postgres.key = Some(file(setting, report)?),
        "connect_timeout" => postgres.login.connect = Some(seconds(setting, report)?).filter(|wait| !wait.is_zero()),
        "options" => postgres.settings = settings(setting, report)?,
        "application_name" => postgres.application = Some(text(setting, report)?),
        "assume_role" => postgres.role = Some(text(setting, report)?).filter(|role| !role.is_empty()),
        "isolation_level" => postgres.isolation = Some(isolation(setting, report)?),
        _ => {
            let known = [&READ[..], &NO_EFFECT, &LACKING].concat();
            return Err(unknown(setting, name, &known, "psycopg"));
        }
    }
    Ok(())
}

fn empty(login: Login) -> Postgres {
    Postgres {
        login,
        ssl: SslMode::Prefer,
        root_certificate: None,
        certificate: None,
        key: None,
        settings: Vec::new(),
        application: None,
        role: None,
        isolation: None,
        prepares: true,
    }
}

fn login(source: &Source<'_>, report: &Report) -> Result<Login> {
    let port = source.port(5432, report)?;
    let reach = match source.name("HOST", report)? {
        None => Reach::Local(port),
        Some(path) if path.starts_with('/') => Reach::Socket(path.into(), port),
        Some(hosts) if hosts.contains(',') => {
            return Err(source.place.at("HOST").error("has several hosts; larder takes one"));
        }
        Some(host) => Reach::Tcp(host.to_owned(), port),
    };
    // Django: null is the database `postgres`; an empty NAME wants a service
    let database = match source.map.get("NAME") {
        Some(Value::Null) => Some("postgres".to_owned()),
        _ => source.name("NAME", report)?.map(str::to_owned),
    };
    let has_service = source.options.is_some_and(|options| options.contains_key("service"));
    if database.is_none() && !has_service {
        return Err(source.place.at("NAME").error("is missing"));
    }
    Ok(Login {
        shown: Source::shown(&reach),
        reach,
        user: source.text("USER", report)?.map(str::to_owned),
        password: source.text("PASSWORD", report)?.map(str::to_owned),
        database,
        connect: None,
    })
}

fn ssl_mode(setting: &Setting<'_>, report: &Report) -> Result<SslMode> {
    Ok(match setting.text(report)? {
        "disable" => SslMode::Disable,
        "allow" => SslMode::Allow,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => {
            let wanted = "\"disable\", \"allow\", \"prefer\", \"require\", \"verify-ca\" or \"verify-full\"";
            return Err(setting.must_be(wanted, report));
        }
    })
}

/// psycopg's IsolationLevel.
fn isolation(setting: &Setting<'_>, report: &Report) -> Result<&'static str> {
    Ok(match int(setting.value) {
        Some(1) => "READ UNCOMMITTED",
        Some(2) => "READ COMMITTED",
        Some(3) => "REPEATABLE READ",
        Some(4) => "SERIALIZABLE",
        _ => return Err(setting.must_be("1 (read uncommitted) to 4 (serializable)", report)),
    })
}

/// `-c name=value` and `--name=value`, with blanks between them; a backslash keeps what follows.
fn settings(setting: &Setting<'_>, report: &Report) -> Result<Vec<(String, String)>> {
    let wrong = || setting.place.error("must be of the form \"-c name=value -c name=value\"");
    let mut words = words(&text(setting, report)?).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let pair = match word.strip_prefix("--") {
            Some(pair) => pair.to_owned(),
            None => match word.strip_prefix("-c") {
                Some("") => words.next().ok_or_else(wrong)?,
                Some(pair) => pair.to_owned(),
                None => return Err(wrong()),
            },
        };
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut inside) = (Vec::new(), String::new(), false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter.is_ascii_whitespace() {
            if inside {
                words.push(std::mem::take(&mut word));
            }
            inside = false;
            continue;
        }
        inside = true;
        word.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    if inside {
        words.push(word);
    }
    words
}

/// psycopg_pool's arguments: only how many connections there may be matters here.
fn pool(setting: &Setting<'_>, report: &Report) -> Result<Option<usize>> {
    match setting.value {
        Value::Object(map) => match Setting::of(map, &setting.place, "max_size") {
            Some(size) if !size.value.is_null() => count(&size, report).map(Some),
            _ => Ok(None),
        },
        Value::Bool(_) | Value::Null => Ok(None),
        _ => Err(setting.must_be("true, false, or an object", report)),
    }
}
