//! `django.db.backends.mysql`: OPTIONS are mysqlclient's (`MySQLdb.connect`).

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::super::alias::Named;
use super::super::place::{Report, Setting};
use super::super::python::is_true;
use super::options::{file, lacks, seconds, text, unknown};
use super::{Engine, Login, Reach, Read, Source, SslMode};
use crate::error::Result;

/// A MySQL or MariaDB database.
#[derive(Clone, Debug)]
pub struct MySql {
    /// Where it is, and who asks. [`Reach::Socket`] is the path of the socket. `localhost` and no HOST at all mean a
    /// socket, as in libmysql.
    pub login: Login,
    /// `ssl_mode` and `ssl`. mysqlclient's default is `PREFERRED`, and what `ssl` says makes it `REQUIRED` at least.
    pub ssl: SslMode,
    /// `ssl.ca`.
    pub root_certificate: Option<Named<PathBuf>>,
    /// `ssl.cert`.
    pub certificate: Option<Named<PathBuf>>,
    /// `ssl.key`.
    pub key: Option<Named<PathBuf>>,
    /// `charset`; Django's default is `utf8mb4`.
    pub charset: String,
    /// `collation`.
    pub collation: Option<String>,
    /// `sql_mode`: for `SET SESSION sql_mode`; `None`: the server's own.
    pub sql_mode: Option<String>,
    /// `init_command`: run on each connection.
    pub init: Option<String>,
    /// `isolation_level`; Django's default is `READ COMMITTED`. `None`: the server's own.
    pub isolation: Option<&'static str>,
}

/// Python's side, or what larder does in its own way.
const NO_EFFECT: [&str; 9] = [
    "conv",
    "cursorclass",
    "use_unicode",
    "autocommit",
    "binary_prefix",
    "compress",
    "multi_statements",
    "local_infile",
    "client_flag",
];

/// Known to mysqlclient, and not here.
const LACKING: [&str; 5] =
    ["read_default_file", "read_default_group", "named_pipe", "auth_plugin", "server_public_key_path"];

/// What is read here.
const READ: [&str; 11] = [
    "unix_socket",
    "connect_timeout",
    "read_timeout",
    "write_timeout",
    "charset",
    "collation",
    "sql_mode",
    "init_command",
    "ssl_mode",
    "ssl",
    "isolation_level",
];

pub(super) fn read(source: &Source<'_>, report: &mut Report) -> Result<Read> {
    let mut mysql = empty(login(source, report)?);
    let (mut lacking, mut timeout) = (None, None);
    let mut asked = None;
    for (name, setting) in source.options() {
        match name {
            "user" | "passwd" | "password" | "host" | "port" | "db" | "database" => {
                let wanted = match name {
                    "passwd" => "PASSWORD".to_owned(),
                    "db" | "database" => "NAME".to_owned(),
                    _ => name.to_uppercase(),
                };
                return Err(setting.place.error(format_args!("stands in OPTIONS; write {wanted} of the database")));
            }
            "isolation_level" => mysql.isolation = isolation(&setting, report)?,
            _ if setting.value.is_null() || NO_EFFECT.contains(&name) => {}
            _ if LACKING.contains(&name) => lacking = lacking.or_else(|| Some(lacks(&setting))),
            "read_timeout" | "write_timeout" => {
                let wait = seconds(&setting, report)?;
                timeout = timeout.max(Some(wait).filter(|wait: &Duration| !wait.is_zero()));
            }
            "ssl_mode" => asked = Some(ssl_mode(&setting, report)?),
            _ => take(&mut mysql, name, &setting, &mut lacking, report)?,
        }
    }
    mysql.ssl = asked.unwrap_or(mysql.ssl);
    Ok(Read { engine: Engine::MySql(mysql), timeout, max_connections: None, lacking })
}

fn take(
    mysql: &mut MySql,
    name: &str,
    setting: &Setting<'_>,
    lacking: &mut Option<String>,
    report: &mut Report,
) -> Result<()> {
    match name {
        "unix_socket" => {
            mysql.login.reach = Reach::Socket(file(setting, report)?.value, 0);
            mysql.login.shown = Source::shown(&mysql.login.reach);
        }
        "connect_timeout" => mysql.login.connect = Some(seconds(setting, report)?).filter(|wait| !wait.is_zero()),
        "charset" => mysql.charset = text(setting, report)?,
        "collation" => mysql.collation = Some(text(setting, report)?),
        "sql_mode" => mysql.sql_mode = Some(text(setting, report)?),
        "init_command" => mysql.init = Some(text(setting, report)?).filter(|command| !command.trim().is_empty()),
        "ssl" => ssl(mysql, setting, lacking, report)?,
        _ => {
            let known = [&READ[..], &NO_EFFECT, &LACKING].concat();
            return Err(unknown(setting, name, &known, "MySQLdb.connect"));
        }
    }
    Ok(())
}

fn empty(login: Login) -> MySql {
    MySql {
        login,
        ssl: SslMode::Prefer,
        root_certificate: None,
        certificate: None,
        key: None,
        charset: "utf8mb4".to_owned(),
        collation: None,
        sql_mode: None,
        init: None,
        isolation: Some("READ COMMITTED"),
    }
}

fn login(source: &Source<'_>, report: &Report) -> Result<Login> {
    let port = source.port(3306, report)?;
    let reach = match source.name("HOST", report)? {
        None | Some("localhost") => Reach::Local(port),
        Some(path) if path.starts_with('/') => Reach::Socket(path.into(), port),
        Some(host) => Reach::Tcp(host.to_owned(), port),
    };
    let database = source.name("NAME", report)?.map(str::to_owned);
    if database.is_none() {
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

/// null is the server's own, as in Django.
fn isolation(setting: &Setting<'_>, report: &Report) -> Result<Option<&'static str>> {
    if !is_true(setting.value) {
        return Ok(None);
    }
    Ok(Some(match setting.text(report)?.to_ascii_lowercase().as_str() {
        "read uncommitted" => "READ UNCOMMITTED",
        "read committed" => "READ COMMITTED",
        "repeatable read" => "REPEATABLE READ",
        "serializable" => "SERIALIZABLE",
        _ => {
            let wanted = "\"read uncommitted\", \"read committed\", \"repeatable read\" or \"serializable\"";
            return Err(setting.must_be(wanted, report));
        }
    }))
}

fn ssl_mode(setting: &Setting<'_>, report: &Report) -> Result<SslMode> {
    Ok(match setting.text(report)?.to_ascii_uppercase().as_str() {
        "DISABLED" => SslMode::Disable,
        "PREFERRED" => SslMode::Prefer,
        "REQUIRED" => SslMode::Require,
        "VERIFY_CA" => SslMode::VerifyCa,
        "VERIFY_IDENTITY" => SslMode::VerifyFull,
        _ => {
            let wanted = "\"DISABLED\", \"PREFERRED\", \"REQUIRED\", \"VERIFY_CA\" or \"VERIFY_IDENTITY\"";
            return Err(setting.must_be(wanted, report));
        }
    })
}

/// `{"ca": …, "cert": …, "key": …}`; true asks for TLS alone.
fn ssl(mysql: &mut MySql, setting: &Setting<'_>, lacking: &mut Option<String>, report: &mut Report) -> Result<()> {
    if let Value::Bool(on) = setting.value {
        mysql.ssl = if *on { SslMode::Require } else { mysql.ssl };
        return Ok(());
    }
    let map = setting.object(report)?;
    if !map.is_empty() {
        mysql.ssl = SslMode::Require;
    }
    for (name, value) in map {
        let inside = Setting { place: setting.place.at(name), value, secret: false };
        match name.as_str() {
            _ if inside.value.is_null() => {}
            "ca" => {
                mysql.root_certificate = Some(file(&inside, report)?);
                mysql.ssl = SslMode::VerifyCa; // libmysql looks at the server's certificate from then on
            }
            "cert" => mysql.certificate = Some(file(&inside, report)?),
            "key" => mysql.key = Some(file(&inside, report)?),
            "capath" | "cipher" => *lacking = lacking.take().or_else(|| Some(lacks(&inside))),
            _ => return Err(unknown(&inside, name, &["ca", "cert", "key", "capath", "cipher"], "MySQLdb's ssl")),
        }
    }
    Ok(())
}
