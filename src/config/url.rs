//! Redis URLs as redis-py reads them with `urllib.parse` (rules U). No reason given here shows a part of the URL: any
//! part may be a piece of a password that was not percent-encoded.

use std::net::Ipv6Addr;

use super::python::int_of;

/// Whose URLs: the schemes differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Schemes {
    /// redis-py's `redis://`, `rediss://`, `unix://`, in lower case (U-1).
    #[default]
    Redis,
    /// valkey-py's `valkey://`, `valkeys://`, and redis-py's, in any case (1.16).
    Valkey,
}

impl Schemes {
    /// The scheme at a URL's beginning, in lower case.
    fn of(self, url: &str) -> Option<&'static str> {
        let begins = |scheme: &str| match self {
            Self::Redis => url.starts_with(scheme),
            Self::Valkey => url.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)),
        };
        let of_valkey = ["valkey://", "valkeys://"].into_iter().filter(|_| self == Self::Valkey);
        of_valkey.chain(["redis://", "rediss://", "unix://"]).find(|scheme| begins(scheme))
    }

    /// Why a URL has none of them.
    fn wrong(self, url: &str) -> String {
        let hint = if url.starts_with(' ') {
            "; blanks around it are not taken off"
        } else if Self::Valkey.of(url).is_some_and(|scheme| scheme.starts_with("valkey")) {
            "; valkey:// is for django_valkey.cache.ValkeyCache"
        } else {
            ""
        };
        match self {
            Self::Redis => format!("must begin with redis://, rediss:// or unix://{hint}"),
            Self::Valkey => {
                format!("must begin with valkey://, valkeys://, redis://, rediss:// or unix://{hint}")
            }
        }
    }
}

/// What a URL says. It may hold a password: there is no Debug on purpose.
#[derive(Clone)]
pub(super) struct Url {
    /// `rediss://`, `valkeys://`.
    pub tls: bool,
    /// Whether it is a `valkey://` or `valkeys://`.
    pub of_valkey: bool,
    /// Where.
    pub target: Target,
    /// The user, percent-decoded.
    pub username: Option<String>,
    /// The password, percent-decoded.
    pub password: Option<String>,
    /// The options after `?`, decoded, the first of each name (U-5).
    pub query: Vec<(String, String)>,
}

/// Where a URL points.
#[derive(Clone)]
pub(super) enum Target {
    /// `redis://` and `rediss://`, `valkey://` and `valkeys://`.
    Tcp {
        /// The host, lower-cased (U-2).
        host: Option<String>,
        /// The host as it is written: the name of a Sentinels' service (DR-32).
        written: Option<String>,
        /// The port.
        port: Option<u16>,
        /// The number in the path (U-3).
        database: Option<i64>,
        /// Whether the path is there but no number, so that redis-py ignores it.
        odd_path: bool,
    },
    /// `unix://`.
    Unix {
        /// The socket's path.
        path: String,
        /// Whether something other than user and password stands between `//` and `/`; redis-py ignores it.
        odd_host: bool,
    },
}

const UNESCAPED: &str = "has an @ behind a / or ? or #, which end the server's name: in a user name or password write \
                         %2F for /, %3F for ?, %23 for # and %40 for @";

/// Reads a URL. The error is the reason.
pub(super) fn parse(url: &str, schemes: Schemes) -> Result<Url, String> {
    let scheme = schemes.of(url).ok_or_else(|| schemes.wrong(url))?;
    let url = url.replace(['\t', '\r', '\n'], ""); // as urlsplit does
    let rest = url.get(scheme.len()..).unwrap_or_default();
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (credentials, host_and_port) = match authority.rsplit_once('@') {
        Some((credentials, host)) => (Some(credentials), host),
        None => (None, authority),
    };
    let is_socket = scheme == "unix://";
    refuse_cut_password(authority, path, query, fragment, is_socket)?;
    let (username, password) = credentials.map_or((None, None), |text| match text.split_once(':') {
        Some((username, password)) => (Some(username), Some(password)),
        None => (Some(text), None),
    });
    check_brackets(authority)?;
    let (host, port) = host_and_port_of(host_and_port);
    let target = if is_socket {
        Target::Unix { path: percent_decoded(path), odd_host: !host_and_port.is_empty() }
    } else {
        let number = percent_decoded(path).replace('/', ""); // U-3
        let database = int_of(&number);
        Target::Tcp {
            host: Some(percent_decoded(&lower_case(host))).filter(|host| !host.is_empty()),
            written: Some(host.to_owned()).filter(|host| !host.is_empty()),
            port: port_of(port)?,
            database,
            odd_path: database.is_none() && !number.is_empty(),
        }
    };
    Ok(Url {
        tls: matches!(scheme, "rediss://" | "valkeys://"),
        of_valkey: scheme.starts_with("valkey"),
        target,
        username: username.map(percent_decoded).filter(|text| !text.is_empty()),
        password: password.map(percent_decoded).filter(|text| !text.is_empty()),
        query: options(query),
    })
}

/// An `@` behind the host means that a password with a `/`, `?` or `#` was cut there: redis-py would go to a wrong
/// server, and a message that named it would show a piece of the password.
fn refuse_cut_password(
    authority: &str,
    path: &str,
    query: &str,
    fragment: &str,
    is_socket: bool,
) -> Result<(), String> {
    let in_path = path.contains('@') && !(is_socket && authority.is_empty());
    let in_query = query.split('&').any(|field| match field.split_once('=') {
        Some((name, value)) => name.contains('@') || (value.contains('@') && !is_option_name(name)),
        None => field.contains('@'),
    });
    if in_path || in_query || fragment.contains('@') { Err(UNESCAPED.to_owned()) } else { Ok(()) }
}

fn is_option_name(name: &str) -> bool {
    super::connection::KNOWN.contains(&name)
}

/// Refuses brackets that hold no IPv6 address, wherever in the authority they are: in a user name or password they have
/// to be written %5B and %5D.
fn check_brackets(authority: &str) -> Result<(), String> {
    if authority.contains('[') != authority.contains(']') {
        return Err("has a bracket without its partner (in a user name or password write %5B and %5D)".to_owned());
    }
    let Some((_, bracketed)) = authority.split_once('[') else { return Ok(()) };
    let host = bracketed.split_once(']').map_or(bracketed, |(host, _)| host);
    let (address, zone) = host.split_once('%').unwrap_or((host, "no zone"));
    if address.parse::<Ipv6Addr>().is_err() || zone.is_empty() || zone.contains('%') {
        return Err("has no IPv6 address between its brackets".to_owned());
    }
    Ok(())
}

/// Takes host and port apart, with the brackets of an IPv6 address off.
fn host_and_port_of(text: &str) -> (&str, &str) {
    let Some((_, bracketed)) = text.split_once('[') else {
        return text.split_once(':').unwrap_or((text, ""));
    };
    let (host, behind) = bracketed.split_once(']').unwrap_or((bracketed, ""));
    (host, behind.split_once(':').map_or("", |(_, port)| port))
}

/// Lower case, but not in an IPv6 zone.
fn lower_case(host: &str) -> String {
    match host.split_once('%') {
        Some((host, zone)) => format!("{}%{zone}", host.to_lowercase()),
        None => host.to_lowercase(),
    }
}

/// The port; absent and 0 mean the default one.
fn port_of(text: &str) -> Result<Option<u16>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || {
        "has a port that is no number from 0 to 65535 (a / or ? or # in a password has to be written %2F, %3F, %23)"
            .to_owned()
    };
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let port: u16 = text
        .trim_start_matches('0')
        .parse()
        .or_else(|error| if text.bytes().all(|byte| byte == b'0') { Ok(0) } else { Err(error) })
        .map_err(|_| wrong())?;
    Ok(Some(port).filter(|&port| port != 0))
}

/// The options of a query: blank ones are dropped, the first of each name counts (U-5).
fn options(query: &str) -> Vec<(String, String)> {
    let mut options: Vec<(String, String)> = Vec::new();
    for field in query.split('&') {
        let Some((name, value)) = field.split_once('=').filter(|(_, value)| !value.is_empty()) else { continue };
        let name = percent_decoded(&name.replace('+', " "));
        // Unknown names are an error later, so this stays short.
        if options.len() <= super::connection::KNOWN.len() && options.iter().all(|(known, _)| *known != name) {
            options.push((name, percent_decoded(&value.replace('+', " "))));
        }
    }
    options
}

/// `urllib.parse.unquote`: `%xx` become bytes, and what is not UTF-8 then becomes U+FFFD.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let byte = match (first, after) {
            (b'%', [high, low, behind @ ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| {
                rest = behind;
                high << 4 | low
            }),
            _ => None,
        };
        bytes.push(byte.unwrap_or(first));
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
