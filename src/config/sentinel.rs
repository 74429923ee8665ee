//! Sentinels: who is asked where a service's servers are (DR-31 to DR-37).

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::alias::{self, Address, Service, Tls};
use super::connection::{Wanted, port};
use super::entry::Entry;
use super::place::{Place, Report, Setting};
use super::python::is_true;
use super::servers::Server;
use super::url::Url;
use crate::error::Result;

/// How SENTINELS has to look.
const SHAPE: &str = "a list of Sentinels, each [host, port], such as [[\"10.0.0.1\", 26379], [\"10.0.0.2\", 26379]]";

/// The Sentinels of an alias, and how they are asked.
#[derive(Default)]
pub(super) struct Sentinels {
    servers: Vec<alias::Server>,
    patience: Option<Duration>,
}

/// Whether a service's primary is wanted, or a replica. The arguments beat the URL.
#[derive(Default)]
pub(super) struct Role {
    url: Option<bool>,
    argument: Option<bool>,
}

impl Role {
    /// Takes what a URL says: redis-py's `to_bool`.
    pub fn take_url(&mut self, text: &str) {
        self.url = Some(!matches!(text.to_uppercase().as_str(), "0" | "F" | "FALSE" | "N" | "NO"));
    }

    /// Takes what CONNECTION_POOL_KWARGS say.
    pub fn take_argument(&mut self, primary: bool) {
        self.argument = Some(primary);
    }

    fn is_primary(&self) -> bool {
        self.argument.or(self.url).unwrap_or(true)
    }
}

impl Sentinels {
    /// Reads SENTINELS and SENTINEL_KWARGS. `wanted` has what the options say of the servers: where there are no
    /// SENTINEL_KWARGS, its times count for the Sentinels too, and nothing else does (DR-34).
    pub fn read(entry: &Entry<'_>, wanted: &Wanted, report: &mut Report) -> Result<Self> {
        let missing = |place: &Place| place.error(format_args!("must be {SHAPE}")); // DR-33
        let place = entry.place.at("OPTIONS").at("SENTINELS");
        let setting = entry.option("SENTINELS").ok_or_else(|| missing(&place))?;
        let list = setting.value.as_array().filter(|list| !list.is_empty()).ok_or_else(|| missing(&place))?;
        let arguments = entry.option("SENTINEL_KWARGS").filter(|setting| !setting.value.is_null());
        let mut servers = Vec::with_capacity(list.len());
        let mut patience = wanted.connect.or(wanted.timeout);
        for (index, value) in list.iter().enumerate() {
            let item = Setting { place: setting.place.item(index), value, secret: false };
            let (host, port) = host_and_port(&item, report)?;
            // what the arguments say is warned of once
            let mut again = report.again();
            let report = if index == 0 { &mut *report } else { &mut again };
            let mut sentinel = Wanted::default();
            if let Some(arguments) = &arguments {
                take_arguments(&mut sentinel, arguments, report)?;
                patience = sentinel.connect.or(sentinel.timeout);
            }
            sentinel.host = Some(host);
            sentinel.port = Some(port);
            let server = sentinel.server(&item.place, report)?;
            let shown = server.shown.trim_start_matches("rediss://").trim_start_matches("redis://");
            let shown = Arc::from(format!("Sentinel {}", shown.trim_end_matches("/0")));
            servers.push(alias::Server { shown, ..server });
        }
        Ok(Self { servers, patience })
    }

    /// Where the server of a URL is, whose host is the name of a service, and how that is shown.
    pub fn service(
        &self,
        name: Option<&str>,
        role: &Role,
        tls: Option<Tls>,
        place: &Place,
    ) -> Result<(Address, String)> {
        let missing = || place.error("names no service of the Sentinels; it must look like redis://mymaster/0");
        let name = name.ok_or_else(missing)?;
        let primary = role.is_primary();
        let service = Service {
            name: name.into(),
            primary,
            sentinels: self.servers.clone(),
            patience: self.patience,
            tls: tls.map(Box::new),
        };
        let shown = format!("service {name}{}", if primary { "" } else { " (replicas)" });
        Ok((Address::Service(Box::new(service)), shown))
    }
}

/// Takes SENTINEL_KWARGS: what any redis-py connection takes, but where the Sentinel is.
fn take_arguments(sentinel: &mut Wanted, arguments: &Setting<'_>, report: &mut Report) -> Result<()> {
    // a text in its place is likely to be a password
    let object = Setting { secret: arguments.value.is_string(), ..arguments.clone() }.object(report)?;
    for (name, value) in object {
        let setting = Setting { place: arguments.place.at(name), value, secret: false };
        match name.as_str() {
            "host" | "port" => return Err(setting.place.error("stands in SENTINELS already")),
            "db" if is_true(value) => return Err(setting.place.error("has no meaning: Sentinels have no databases")),
            "decode_responses" | "encoding" => {} // of their answers nothing is handed on
            _ => sentinel.take(name, &setting, report)?,
        }
    }
    match sentinel.lacking.take() {
        Some(reason) => Err(crate::error::Error::new(crate::error::Kind::Config, reason)),
        None => Ok(()),
    }
}

fn host_and_port(item: &Setting<'_>, report: &Report) -> Result<(String, u16)> {
    let pair = match item.value {
        Value::Array(pair) => pair.as_slice(),
        _ => &[],
    };
    let [host, number] = pair else {
        return Err(item.must_be("[host, port], such as [\"10.0.0.1\", 26379]", report));
    };
    let host = Setting { place: item.place.item(0), value: host, secret: false };
    let number = Setting { place: item.place.item(1), value: number, secret: false };
    let name = host.text(report)?;
    if name.is_empty() || name.contains(['/', '@', '\0', ' ']) {
        return Err(host.place.error("must be a host, without anything around it"));
    }
    Ok((name.to_owned(), port(&number, report)?))
}

/// SentinelClient's two servers for one URL: the primary, which is written to, and the replicas (DR-31).
pub(super) fn both(one: Server) -> (Server, Vec<Server>) {
    let with_role = |url: &Url, role: &str| {
        let mut url = url.clone();
        url.query.retain(|(name, _)| name != "is_master");
        url.query.push(("is_master".to_owned(), role.to_owned()));
        url
    };
    let replicas = Server { place: one.place.clone(), url: with_role(&one.url, "0"), text: one.text.clone() };
    (Server { url: with_role(&one.url, "1"), ..one }, vec![replicas])
}

/// The settings for Sentinels change nothing where nobody asks them.
pub(super) fn warn_of_unused(entry: &Entry<'_>, factory: &str, report: &mut Report) {
    for name in ["SENTINELS", "SENTINEL_KWARGS"] {
        if let Some(setting) = entry.option(name).filter(|setting| is_true(setting.value)) {
            report.warn(&setting.place, format_args!("has no effect without {factory}"));
        }
    }
}
