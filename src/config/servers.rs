//! LOCATION of the two Redis caches: one or more URLs.

use super::alias::{self, Address, Family, Flavor, Redis};
use super::connection::Wanted;
use super::entry::Built;
use super::own::Own;
use super::place::{Place, Report, Setting};
use super::url::{self, Schemes, Url};
use crate::error::Result;

/// A URL, and where it stands. It may hold a password: there is no Debug on purpose.
pub(super) struct Server {
    /// Where.
    pub place: Place,
    /// The URL.
    pub url: Url,
    /// The same as it is written, which is what a ring is made of (DR-50).
    pub text: String,
}

/// Reads LOCATION (which stands at `place`): a list of URLs, or a text that is split at `separators` without taking
/// blanks off (R-1, DR-1). There is one URL at least; the first comes apart.
pub(super) fn read(
    location: Option<Setting<'_>>,
    place: &Place,
    separators: &[char],
    schemes: Schemes,
    report: &Report,
) -> Result<(Server, Vec<Server>)> {
    let missing = || {
        let scheme = if schemes == Schemes::Valkey { "valkey" } else { "redis" };
        place.error(format_args!("is missing; it must be a URL such as {scheme}://127.0.0.1:6379/0"))
    };
    let location = location.ok_or_else(missing)?;
    let mut servers = Vec::new();
    if let Some(list) = location.value.as_array() {
        for (index, value) in list.iter().enumerate() {
            let item = Setting { place: place.item(index), value, secret: true };
            servers.push(parse(item.text(report)?, item.place, schemes)?);
        }
    } else {
        let text = Setting { secret: true, ..location }.text(report)?;
        if text.is_empty() {
            return Err(missing());
        }
        let count = text.split(separators).count();
        for (index, piece) in text.split(separators).enumerate() {
            let server = parse(piece, place.clone(), schemes);
            servers.push(if count == 1 {
                server?
            } else {
                server.map_err(|error| split(&error, index, count, place))?
            });
        }
    }
    let mut servers = servers.into_iter();
    let first = servers.next().ok_or_else(missing)?;
    Ok((first, servers.collect()))
}

fn parse(text: &str, place: Place, schemes: Schemes) -> Result<Server> {
    match url::parse(text, schemes) {
        Ok(url) => Ok(Server { place, url, text: text.to_owned() }),
        Err(reason) => Err(place.error(reason)),
    }
}

/// The error of one piece of a text, with a word on how there came to be pieces.
fn split(error: &crate::error::Error, index: usize, count: usize, place: &Place) -> crate::error::Error {
    let reason = error.reason().strip_prefix(&format!("{place}: ")).unwrap_or_default().to_owned();
    place.error(format_args!(
        "is split into {count} addresses (in a password write %2C for a comma, %3B for a semicolon), and number {} {reason}",
        index + 1
    ))
}

/// The Redis family, or what is lacking. `options` tells what is wanted of every server, before its URL.
pub(super) fn build(
    flavor: Flavor,
    (writer, replicas): (Server, Vec<Server>),
    options: &mut dyn FnMut(&mut Wanted, &mut Report) -> Result<()>,
    own: &Own,
    ignore_exceptions: bool,
    report: &mut Report,
) -> Result<Built> {
    let place = writer.place.clone();
    let mut wanted = Wanted::of(&writer.url);
    options(&mut wanted, report)?;
    wanted.take_url(writer.url, &place, report)?;
    let server = wanted.server(&place, report)?;
    let mut others = Vec::with_capacity(replicas.len());
    for replica in replicas {
        let mut also = Wanted::of(&replica.url);
        options(&mut also, &mut report.again())?; // it has been warned of already
        also.take_url(replica.url, &replica.place, report)?;
        if (also.timeout, also.connect, also.connections()) != (wanted.timeout, wanted.connect, wanted.connections()) {
            let why = "gives this server other times or limits than the first, whose count for all";
            report.warn(&replica.place, why);
        }
        others.push(also.server(&replica.place, &mut report.again())?);
        wanted.lacking = wanted.lacking.or(also.lacking);
    }
    let speaks_tls = |server: &alias::Server| match &server.address {
        Address::Tls(..) => true,
        Address::Service(service) => service.speaks_tls(),
        Address::Tcp(..) | Address::Unix(_) => false,
    };
    if cfg!(not(feature = "tls")) && (speaks_tls(&server) || others.iter().any(speaks_tls)) {
        let reason = format!("{place}: TLS is not built in: larder was built without the feature \"tls\"");
        wanted.lacking.get_or_insert(reason);
    }
    let (timeout, mut resting) = (wanted.timeout, wanted.resting.clone());
    resting.unheard = resting.unheard.max(own.timeout.or(timeout).unwrap_or_default());
    let family = match wanted.lacking.take() {
        Some(reason) => Family::NotBuiltIn { reason },
        None => Family::Redis(Redis {
            flavor,
            server,
            replicas: others,
            layout: alias::Layout::Replicas { fail_over: false },
            herd: None,
            breaker: own.breaker,
            resting,
            connect: wanted.connect,
            max_connections: own.max_connections.unwrap_or_else(|| wanted.connections()),
            ignore_exceptions,
            near: None, // see `near::take`
        }),
    };
    Ok(Built { timeout, ..Built::plain(family) })
}
