//! `NEAR_CACHE`: what of a Redis alias is kept in the process.

use super::alias::{Address, Family, Layout, NearCache};
use super::connection::seconds;
use super::own::{hint, size};
use super::place::{Place, Report, Setting};
use crate::error::Result;
use crate::key::{KeyFunction, KeyRules};

/// What it has in it.
const KNOWN: [&str; 3] = ["MAX_ENTRIES", "MAX_BYTES", "TIMEOUT"];

/// Reads the setting; `None` where there is to be none.
pub(super) fn read(setting: &Setting<'_>, report: &Report) -> Result<Option<NearCache>> {
    let mut near = NearCache::default();
    let Some(object) = setting.value.as_object() else {
        let wanted = "true, false, or an object with MAX_ENTRIES, MAX_BYTES and TIMEOUT";
        let on = setting.value.as_bool().ok_or_else(|| setting.must_be(wanted, report))?;
        return Ok(on.then_some(near));
    };
    for (name, value) in object {
        let inside = Setting { place: setting.place.at(name), value, secret: false };
        match name.as_str() {
            "MAX_ENTRIES" => near.max_entries = size(&inside, report)?,
            "MAX_BYTES" => near.max_bytes = size(&inside, report)?,
            "TIMEOUT" => {
                let time = seconds(value).filter(|_| value.is_number());
                near.timeout = time.ok_or_else(|| inside.must_be("a number of seconds greater than 0", report))?;
            }
            _ => {
                let hint = hint(name, &KNOWN);
                return Err(inside.place.error(format_args!("a near cache has no such setting{hint}")));
            }
        }
    }
    Ok(Some(near))
}

/// Gives it to its alias, where that can have one: whoever sets it relies on it.
pub(super) fn take(family: &mut Family, near: Option<(Place, NearCache)>, keys: &KeyRules) -> Result<()> {
    let Some((place, near)) = near else { return Ok(()) };
    let redis = match family {
        Family::Redis(redis) => redis,
        Family::NotBuiltIn { .. } => return Ok(()), // it cannot be opened at all
        _ => return Err(place.error("is for Redis aliases only: other servers do not tell what has changed")),
    };
    if redis.herd.is_some() {
        return Err(place.error("cannot be used with HerdClient; take DefaultClient, or leave it out"));
    }
    if matches!(redis.layout, Layout::Replicas { .. }) && !redis.replicas.is_empty() {
        return Err(place.error(
            "cannot be used with replicas: they lag behind, and a value read from one after its change was told would \
             be kept; name one server in LOCATION, or leave it out",
        ));
    }
    if std::iter::once(&redis.server).chain(&redis.replicas).any(|one| matches!(one.address, Address::Service(_))) {
        return Err(place.error(
            "cannot be used with Sentinels: after a failover nobody tells which changes were lost; name the server in \
             LOCATION, or leave it out",
        ));
    }
    // whatever the version: a call can name another
    let prefix = match keys.function {
        KeyFunction::Default => format!("{}:", keys.prefix).into_bytes(),
        KeyFunction::AsIs | KeyFunction::Own(_) => Vec::new(),
    };
    redis.near = Some(NearCache { prefix, ..near });
    Ok(())
}
