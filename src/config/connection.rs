//! What redis-py's connections and pools are told: by OPTIONS (core), by CONNECTION_POOL_KWARGS (django-redis) and by
//! the URL, under the same names. Later sources win (U-6).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::alias::{Address, Resting, Server};
use super::names::did_you_mean;
use super::place::{Place, Report, Setting};
use super::python::{float_of, int, int_of, is_true};
use super::resting;
use super::sentinel::{Role, Sentinels};
use super::tls::Ssl;
use super::url::{Target, Url};
use crate::error::Result;

/// redis-py's pool size where `max_connections` is not given, or 0.
const CONNECTIONS: usize = 100;

/// Waits are never longer than this.
const LONGEST_WAIT: Duration = Duration::from_hours(365 * 24);

/// Every name that redis-py's connections and pools take.
pub(super) const KNOWN: [&str; 43] = [
    // These have a meaning here.
    "db",
    "username",
    "password",
    "socket_timeout",
    "socket_connect_timeout",
    "client_name",
    "max_connections",
    "host",
    "port",
    "path",
    "socket_keepalive",
    "socket_keepalive_options",
    "health_check_interval",
    // These change nothing here.
    "socket_type",
    "socket_read_size",
    "retry_on_timeout",
    "retry_on_error",
    "protocol",
    "legacy_responses",
    "lib_name",
    "lib_version",
    "driver_info",
    "timeout",
    "encoding",
    "encoding_errors",
    "decode_responses",
    // These are about TLS.
    "ssl",
    "ssl_keyfile",
    "ssl_certfile",
    "ssl_cert_reqs",
    "ssl_include_verify_flags",
    "ssl_exclude_verify_flags",
    "ssl_ca_certs",
    "ssl_ca_data",
    "ssl_ca_path",
    "ssl_check_hostname",
    "ssl_password",
    "ssl_validate_ocsp",
    "ssl_validate_ocsp_stapled",
    "ssl_ocsp_context",
    "ssl_ocsp_expected_cert",
    "ssl_min_version",
    "ssl_ciphers",
];

/// Names that redis-py takes, but whose values are Python objects.
const OBJECTS: [&str; 11] = [
    "connection_class",
    "queue_class",
    "parser_class",
    "retry",
    "redis_connect_func",
    "credential_provider",
    "command_packer",
    "cache_factory",
    "cache_config",
    "event_dispatcher",
    "maint_notifications_config",
];

/// What a connection is wanted to be. It may hold a password: there is no Debug on purpose.
#[derive(Default)]
pub(super) struct Wanted {
    /// A host, where the URL names none.
    pub host: Option<String>,
    /// A port, where the URL names none.
    pub port: Option<u16>,
    /// A socket's path, where the URL names none.
    pub path: Option<String>,
    /// SELECT.
    pub database: Option<u32>,
    /// AUTH.
    pub username: Option<String>,
    /// AUTH.
    pub password: Option<String>,
    /// How long an answer may take.
    pub timeout: Option<Duration>,
    /// How long connecting may take.
    pub connect: Option<Duration>,
    /// CLIENT SETNAME.
    pub client_name: Option<String>,
    /// Connections at the same time.
    pub max_connections: Option<usize>,
    /// How connections that rest are kept.
    pub resting: Resting,
    /// Whether and how TLS is spoken.
    pub ssl: Ssl,
    /// Whether the URL is of a socket.
    pub is_socket: bool,
    /// Whether it is a `valkey://` or `valkeys://`.
    pub of_valkey: bool,
    /// The Sentinels to be asked where the server is (DR-31); `None`: it is where the URL says.
    pub sentinels: Option<Arc<Sentinels>>,
    /// The host as the URL has it written: a service's name.
    pub service: Option<String>,
    /// `is_master`, of the URL and of the arguments.
    pub role: Role,
    /// What of it larder does not have.
    pub lacking: Option<String>,
}

impl Wanted {
    /// What is wanted of a server before anything was read but its URL's kind.
    pub fn of(url: &Url) -> Self {
        let is_socket = matches!(url.target, Target::Unix { .. });
        Self { is_socket, of_valkey: url.of_valkey, ssl: Ssl::new(url.tls), ..Self::default() }
    }

    /// Takes over keyword arguments. The kind of URL must be known.
    pub fn take_arguments(&mut self, arguments: &Map<String, Value>, place: &Place, report: &mut Report) -> Result<()> {
        for (name, value) in arguments {
            self.take(name, &Setting { place: place.at(name), value, secret: false }, report)?;
        }
        Ok(())
    }

    /// Takes over a URL: it beats what was taken before (U-6).
    pub fn take_url(&mut self, url: Url, place: &Place, report: &mut Report) -> Result<()> {
        for (name, text) in &url.query {
            if name == "is_master" && self.sentinels.is_some() {
                self.role.take_url(text); // it does not get as far as the connection (DR-31)
                continue;
            }
            let Some(value) = converted(name, text) else {
                return Err(place.query(name).error("has a value of the wrong type"));
            };
            // A name that is not known may be a piece of a password.
            let inside = if KNOWN.contains(&name.as_str()) { place.query(name) } else { place.query("…") };
            self.take(name, &Setting { place: inside, value: &value, secret: true }, report)?;
        }
        self.username = url.username.or(self.username.take());
        self.password = url.password.or(self.password.take());
        let has_database = url.query.iter().any(|(name, _)| name == "db");
        match url.target {
            Target::Tcp { host, written, port, database, odd_path } => {
                if self.sentinels.is_some() && port.is_some() {
                    report.warn(place, "redis-py ignores the URL's port, since the host is the name of a service");
                }
                self.service = written;
                self.host = host.or(self.host.take());
                self.port = port.or(self.port);
                if let Some(database) = database.filter(|_| !has_database) {
                    let number = u32::try_from(database);
                    self.database =
                        Some(number.map_err(|_| place.error("has a database number that is out of range"))?);
                }
                if odd_path && !has_database {
                    report.warn(place, "redis-py ignores the URL's path, since it is no database number"); // U-3
                }
            }
            Target::Unix { path, odd_host } => {
                self.path = Some(path).filter(|path| !path.is_empty()).or(self.path.take());
                if odd_host {
                    report.warn(place, "redis-py ignores what stands between unix:// and the next /; a path has three: unix:///run/redis.sock");
                }
            }
        }
        Ok(())
    }

    /// Takes over one argument.
    pub fn take(&mut self, name: &str, setting: &Setting<'_>, report: &mut Report) -> Result<()> {
        match name {
            "db" => self.database = database(setting, report)?,
            "username" => self.username = secret(setting)?,
            "password" => self.password = secret(setting)?.or(self.password.take()),
            "socket_timeout" => self.timeout = wait(setting, report)?,
            "socket_connect_timeout" => self.connect = wait(setting, report)?,
            "client_name" => self.client_name = optional_text(setting, report)?,
            "max_connections" => self.max_connections = connections(setting, report)?,
            "host" if !self.is_socket => self.host = optional_text(setting, report)?,
            "port" if !self.is_socket => self.port = Some(port(setting, report)?),
            "path" if self.is_socket => self.path = optional_text(setting, report)?,
            "protocol" if !matches!(int(setting.value), Some(2 | 3)) && !setting.value.is_null() => {
                return Err(setting.must_be("2 or 3", report));
            }
            "encoding" | "decode_responses" => self.take_decoding(name, setting),
            "socket_keepalive" | "socket_keepalive_options" | "health_check_interval" => {
                resting::take(&mut self.resting, name, setting, report)?;
            }
            _ if name.starts_with("ssl") && KNOWN.contains(&name) => {
                let lacking = self.ssl.take(name, setting, report)?;
                self.lacking = self.lacking.take().or(lacking);
            }
            "is_master" if self.sentinels.is_some() => self.role.take_argument(is_true(setting.value)),
            // larder always asks a connection what it leads to
            "check_connection" if self.sentinels.is_some() => {}
            _ => without_effect(name, &setting.place)?,
        }
        Ok(())
    }

    /// Other encodings change keys; answers that are texts already cannot be unpickled.
    fn take_decoding(&mut self, name: &str, setting: &Setting<'_>) {
        let usual = match name {
            "encoding" => {
                setting.value.as_str().is_some_and(|text| matches!(text.to_lowercase().as_str(), "utf-8" | "utf8"))
            }
            _ => !is_true(setting.value),
        };
        if !usual {
            self.lacking
                .get_or_insert_with(|| format!("{}: this version of larder has only the default", setting.place));
        }
    }

    /// The server.
    pub fn server(&self, place: &Place, report: &mut Report) -> Result<Server> {
        let database = self.database.unwrap_or(0);
        let tls = self.ssl.settings(self.is_socket, report)?;
        let (address, shown) = if let Some(sentinels) = &self.sentinels {
            sentinels.service(self.service.as_deref(), &self.role, tls, place)?
        } else if self.is_socket {
            let path = self.path.as_ref().filter(|path| !path.contains('\0'));
            let path = path.ok_or_else(|| place.error("names no socket; it must look like unix:///run/redis.sock"))?;
            (Address::Unix(path.into()), format!("unix://{path} (database {database})"))
        } else {
            let host = self.host.clone().unwrap_or_else(|| "localhost".to_owned()); // U-2
            let port = self.port.unwrap_or(6379);
            let brackets = if host.contains(':') { ("[", "]") } else { ("", "") };
            let scheme = match (self.of_valkey, tls.is_some()) {
                (false, false) => "redis",
                (false, true) => "rediss",
                (true, false) => "valkey",
                (true, true) => "valkeys",
            };
            let shown = format!("{scheme}://{}{host}{}:{port}/{database}", brackets.0, brackets.1);
            (
                match tls {
                    Some(tls) => Address::Tls(host, port, Box::new(tls)),
                    None => Address::Tcp(host, port),
                },
                shown,
            )
        };
        Ok(Server {
            address,
            username: self.username.clone(),
            password: self.password.clone(),
            database,
            client_name: self.client_name.clone(),
            shown: Arc::from(shown),
        })
    }

    /// Connections at the same time.
    pub fn connections(&self) -> usize {
        self.max_connections.unwrap_or(CONNECTIONS)
    }
}

/// Names that change nothing here, and names that are wrong.
fn without_effect(name: &str, place: &Place) -> Result<()> {
    match name {
        "host" | "port" => Err(place.error("has no meaning with a unix:// address")),
        "path" => Err(place.error("has a meaning only with a unix:// address")),
        _ if KNOWN.contains(&name) => Ok(()),
        _ if OBJECTS.contains(&name) => {
            Err(place.error("must be a Python object, which JSON cannot hold; leave it out"))
        }
        // Python raises a TypeError at the first connection.
        _ => Err(place.error(format_args!("redis-py has no such option{}", did_you_mean(name, &KNOWN)))),
    }
}

/// The value of a query's option (U-5); `None` where redis-py's conversion fails.
fn converted(name: &str, text: &str) -> Option<Value> {
    match name {
        "db" | "socket_read_size" | "max_connections" | "health_check_interval" | "ssl_min_version" | "protocol" => {
            int_of(text).map(Value::from)
        }
        "socket_timeout" | "socket_connect_timeout" | "timeout" => {
            float_of(text).and_then(serde_json::Number::from_f64).map(Value::Number)
        }
        "socket_keepalive" | "retry_on_timeout" | "ssl_check_hostname" | "legacy_responses" => {
            Some(Value::Bool(!matches!(text.to_uppercase().as_str(), "0" | "F" | "FALSE" | "N" | "NO")))
        }
        _ => Some(Value::from(text)),
    }
}

fn database(setting: &Setting<'_>, report: &Report) -> Result<Option<u32>> {
    let wrong = || setting.must_be("a database number (0 or greater)", report);
    match setting.value {
        value if !is_true(value) => Ok(Some(0)), // redis-py then sends no SELECT
        Value::Number(number) if number.is_f64() => Err(wrong()),
        value @ (Value::Number(_) | Value::String(_)) => {
            int(value).and_then(|number| u32::try_from(number).ok()).map(Some).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// A user name or password; numbers are sent by their digits, empty ones are none. Never shown.
pub(super) fn secret(setting: &Setting<'_>) -> Result<Option<String>> {
    match setting.value {
        value if !is_true(value) => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) if !number.is_f64() => Ok(Some(number.to_string())),
        _ => Err(setting.place.error("must be a text")),
    }
}

fn optional_text(setting: &Setting<'_>, report: &Report) -> Result<Option<String>> {
    match setting.value {
        value if !is_true(value) => Ok(None),
        _ => setting.text(report).map(|text| Some(text.to_owned())),
    }
}

pub(super) fn port(setting: &Setting<'_>, report: &Report) -> Result<u16> {
    let number = int(setting.value).and_then(|number| u16::try_from(number).ok());
    number.ok_or_else(|| setting.must_be("a port (0 to 65535)", report))
}

fn connections(setting: &Setting<'_>, report: &Report) -> Result<Option<usize>> {
    match setting.value {
        value if !is_true(value) => Ok(None), // redis-py: `max_connections or 100`
        Value::Number(number) if !number.is_f64() => {
            let count = number.as_u64().map(|count| usize::try_from(count).unwrap_or(usize::MAX));
            count.map(Some).ok_or_else(|| setting.must_be("a whole number greater than 0", report))
        }
        _ => Err(setting.must_be("a whole number greater than 0", report)),
    }
}

/// A time in seconds. `null` is Python's "for ever".
pub(super) fn wait(setting: &Setting<'_>, report: &mut Report) -> Result<Option<Duration>> {
    if setting.value.is_null() {
        report.warn(
            &setting.place,
            "is null, which in Python means to wait for ever; here every call has an end (LARDER.TIMEOUT_MS, else 5 s)",
        );
        return Ok(None);
    }
    seconds(setting.value).map(Some).ok_or_else(|| setting.must_be("a number of seconds greater than 0", report))
}

/// A positive number of seconds (`true` is 1, as in Python), one millisecond at least.
pub(super) fn seconds(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Bool(true) => 1.0,
        Value::Number(number) => number.as_f64()?,
        _ => return None,
    };
    let wait = || Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT);
    (seconds > 0.0).then(|| wait().clamp(Duration::from_millis(1), LONGEST_WAIT))
}
