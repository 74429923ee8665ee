//! `django.core.cache.backends.redis.RedisCache` (rules R).

use std::sync::Arc;

use super::alias::{Flavor, Serializer};
use super::class::Classes;
use super::connection::Wanted;
use super::entry::{Built, Entry};
use super::own::Own;
use super::place::Report;
use super::python::is_true;
use super::servers;
use super::url::Schemes;
use crate::error::Result;

const SERIALIZERS: Classes<()> = Classes {
    noun: "serializer",
    known: &[("django.core.cache.backends.redis.RedisSerializer", ())],
    later: &[],
    home: "django.core.",
    register: "larder_register_serializer",
};

const POOLS: Classes<()> = Classes {
    noun: "connection pool",
    known: &[
        ("redis.ConnectionPool", ()),
        ("redis.connection.ConnectionPool", ()),
        ("redis.BlockingConnectionPool", ()),
        ("redis.connection.BlockingConnectionPool", ()),
    ],
    later: &["redis.sentinel.SentinelConnectionPool"],
    home: "redis.",
    register: "",
};

const PARSERS: Classes<()> = Classes {
    noun: "parser",
    known: &[
        ("redis.connection.DefaultParser", ()),
        ("redis.connection._RESP2Parser", ()),
        ("redis.connection._RESP3Parser", ()),
        ("redis.connection._HiredisParser", ()),
    ],
    later: &[],
    home: "redis.",
    register: "",
};

/// Reads what is this backend's own.
pub(super) fn read(entry: &Entry<'_>, own: &Own, report: &mut Report) -> Result<Built> {
    let (location, place) = (entry.top("LOCATION"), entry.place.at("LOCATION"));
    let servers = servers::read(location, &place, &[';', ','], Schemes::Redis, report)?;
    let mut options = |wanted: &mut Wanted, report: &mut Report| take_options(wanted, entry, report);
    let built = servers::build(Flavor::Core, servers, &mut options, own, false, report)?;
    Ok(match own_serializer(entry) {
        Some(name) => Built { serializer: Serializer::Own(name), ..built },
        None => built,
    })
}

/// What the program has registered under the name that stands in OPTIONS.
fn own_serializer(entry: &Entry<'_>) -> Option<Arc<str>> {
    let setting = entry.option("serializer")?;
    let registered = &entry.beside.plugged.serializers;
    registered.iter().find(|name| Some(&***name) == setting.value.as_str()).cloned()
}

fn take_options(wanted: &mut Wanted, entry: &Entry<'_>, report: &mut Report) -> Result<()> {
    for (name, setting) in entry.options() {
        let classes = match name {
            "serializer" => &SERIALIZERS,
            "pool_class" => &POOLS,
            "parser_class" => &PARSERS,
            "MAX_ENTRIES" | "CULL_FREQUENCY" => {
                report.warn(&setting.place, "has no effect here, and Django's Redis client refuses it (TypeError)"); // P-12
                continue;
            }
            _ => {
                wanted.take(name, &setting, report)?;
                continue;
            }
        };
        if is_true(setting.value) {
            let own = if name == "serializer" { entry.beside.plugged.serializers.as_slice() } else { &[] };
            let lacking = classes.choose(&setting, own, report)?.lacking();
            wanted.lacking = wanted.lacking.take().or(lacking);
        }
    }
    Ok(())
}
