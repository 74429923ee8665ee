//! Pyot's own cache stores (2.6), each as an alias of what larder has: keys as they are, everything pickled.

use std::sync::atomic::{AtomicU64, Ordering};

use super::arguments::Arguments;
use super::level::lacking;
use super::{LevelKind, TokenForm};
use crate::config::Alias;
use crate::config::alias::{Culling, Family, Flavor, Serializer};
use crate::config::connection::Wanted;
use crate::config::diskcache;
use crate::config::entry::{Built, Common};
use crate::config::own::{Own, positive};
use crate::config::place::{Place, Report, Setting};
use crate::config::python::text;
use crate::config::servers::{self, Server};
use crate::config::url::{self, Schemes};
use crate::error::Result;
use crate::key::{KeyFunction, KeyRules};
use crate::timeout::Ttl;

/// What `pickle.dumps` writes where nothing is said, up to Python 3.13. All are read.
const PROTOCOL: u8 = 4;

/// Those that do not cull.
const NO_CULLING: Culling = Culling { max_entries: 300, frequency: 3 };

/// `pyot.stores.RedisCache`: `redis.Redis(host, port, db, …)`, with redis-py's arguments.
pub(super) fn redis(arguments: &mut Arguments<'_>, form: TokenForm, report: &mut Report) -> Result<Alias> {
    let own = Own::of(arguments.take("larder"), true, report)?;
    let (host, port, db) = (host(arguments, report)?, arguments.take("port"), arguments.take("db"));
    let shown = |setting: Option<&Setting<'_>>, default: &str| {
        setting.and_then(|setting| text(setting.value)).unwrap_or_else(|| default.to_owned())
    };
    let socket = arguments.take("unix_socket_path").filter(|path| !path.value.is_null());
    let db_shown = shown(db.as_ref(), "0");
    let name = match &socket {
        // as with the host: an address here may hold a password
        Some(path) if path.value.as_str().is_none_or(|path| !path.starts_with('/') || path.contains('\0')) => {
            let wanted = "the path of a socket, which begins with /";
            return Err(Setting { secret: true, ..path.clone() }.must_be(wanted, report));
        }
        Some(path) => format!("{}/{db_shown}", path.text(report)?),
        None => format!("{}:{}/{db_shown}", shown(host.as_ref(), "127.0.0.1"), shown(port.as_ref(), "6379")),
    };
    let named = [("port", port), ("db", db), ("path", socket.clone()), ("host", host)];
    let mut given: Vec<(String, Setting<'_>)> =
        named.into_iter().filter_map(|(name, setting)| setting.map(|setting| (name.to_owned(), setting))).collect();
    given.extend(arguments.rest(form == TokenForm::V3)?);
    let mut take = |wanted: &mut Wanted, report: &mut Report| {
        if socket.is_none() {
            wanted.host = Some("127.0.0.1".to_owned());
        }
        given.iter().try_for_each(|(name, setting)| wanted.take(name, setting, report))
    };
    let place = &arguments.place;
    let scheme = if socket.is_some() { "unix://" } else { "redis://" };
    let url = url::parse(scheme, Schemes::Redis).map_err(|reason| place.error(reason))?;
    let server = Server { place: place.clone(), url, text: scheme.to_owned() };
    let built = servers::build(Flavor::Core, (server, Vec::new()), &mut take, &own, false, report)?;
    alias(&name, NO_CULLING, built, own, place)
}

/// HOST. People put addresses with passwords there, and messages and records show hosts.
fn host<'a>(arguments: &mut Arguments<'a>, report: &Report) -> Result<Option<Setting<'a>>> {
    let Some(host) = arguments.take("host") else { return Ok(None) };
    let secret = Setting { secret: true, ..host.clone() };
    let is_host = |text: &str| !text.is_empty() && !text.contains(['@', '/', '\0']);
    if host.value.as_str().is_some_and(is_host) {
        return Ok(Some(host));
    }
    let wanted = "the name or the address of a host; PORT, DB, USERNAME and PASSWORD are beside it";
    Err(secret.must_be(wanted, report))
}

/// `pyot.stores.Omnistone`: a memory that nobody else has.
pub(super) fn omnistone(arguments: &mut Arguments<'_>, report: &mut Report) -> Result<Alias> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let own = Own::of(arguments.take("larder"), false, report)?;
    let max_entries = number(arguments.take("max_entries"), 10_000, report)?;
    // so it is spelt in Pyot
    let (misspelt, spelt) = (arguments.take("cull_frecuency"), arguments.take("cull_frequency"));
    if let (Some(one), Some(other)) = (&misspelt, &spelt) {
        return Err(other.place.error(format_args!("stands twice: {} is there too", one.place)));
    }
    let frequency = number(misspelt.or(spelt), 2, report)?;
    let culling = Culling { max_entries, frequency };
    let built = Built::plain(Family::Private { id: NEXT.fetch_add(1, Ordering::Relaxed) });
    alias(LevelKind::Omnistone.name(), culling, built, own, &arguments.place)
}

fn number(setting: Option<Setting<'_>>, default: i64, report: &Report) -> Result<i64> {
    match setting {
        Some(setting) => positive(&setting, report).map(|number| i64::try_from(number).unwrap_or(i64::MAX)),
        None => Ok(default),
    }
}

/// `pyot.stores.DiskCache`: `diskcache.FanoutCache(directory, …)`, with diskcache's arguments.
pub(super) fn disk(arguments: &mut Arguments<'_>, form: TokenForm, report: &mut Report) -> Result<Alias> {
    let own = Own::of(arguments.take("larder"), false, report)?;
    let directory = arguments.take("directory");
    let directory = directory.ok_or_else(|| arguments.missing("directory", ""))?;
    let written = directory.text(report)?;
    // as Pyot takes it for its records
    let name = written.rsplit(if written.contains('/') { '/' } else { '\\' }).next().unwrap_or_default();
    let path = diskcache::directory(Some(&directory), &directory.place, report)?;
    let shards = diskcache::shards(arguments.take("shards").as_ref(), report)?;
    diskcache::check_timeout(arguments.take("timeout").as_ref(), report)?;
    let settings = arguments.rest(form == TokenForm::V3)?;
    let settings = settings.iter().map(|(name, setting)| (name.as_str(), setting.clone()));
    let built = diskcache::build(path, shards, settings, report)?;
    alias(name, NO_CULLING, built, own, &arguments.place)
}

/// A store that this version does not have: only opening its pipeline fails.
pub(super) fn not_there(arguments: &mut Arguments<'_>, place: &Place, kind: LevelKind) -> Result<Alias> {
    arguments.rest(true)?;
    let own = Own::of(None, false, &mut Report::default())?;
    alias(kind.name(), NO_CULLING, Built::plain(lacking(place, kind)), own, place)
}

fn alias(name: &str, culling: Culling, built: Built, own: Own, place: &Place) -> Result<Alias> {
    let keys = KeyRules { function: KeyFunction::AsIs, version: "1".to_owned(), ..KeyRules::default() };
    let built = Built { serializer: Serializer::Pickle(PROTOCOL), ..built };
    let common = Common { keys, ttl: Ttl::Forever, culling };
    Ok(Alias { is_of_pyot: true, ..common.with(name, built, own, place)? })
}
