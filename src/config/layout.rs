//! What django-redis' clients make of several servers, and of values: `REPLICA_READ_ONLY`, ShardClient's ring, and
//! HerdClient's time (DR-6, DR-40, DR-50).

use std::time::Duration;

use super::alias::{Family, Layout, Serializer};
use super::django_redis::Client;
use super::entry::{Built, Entry};
use super::place::{Report, Setting};
use super::python::is_true;
use crate::error::Result;

/// What `CACHE_HERD_TIMEOUT` is where it is not there.
const HERD: Duration = Duration::from_mins(1);

/// Makes of the servers, which have these URLs as they are written, what a client makes of them.
pub(super) fn arrange(
    mut built: Built,
    client: Client,
    urls: Vec<String>,
    entry: &Entry<'_>,
    report: &mut Report,
) -> Result<Built> {
    let herd = if client == Client::Herd { Some(herd_time(entry, report)?) } else { None };
    let fail_over = fails_over(client, entry, report);
    if herd.is_some() && !matches!(built.serializer, Serializer::Pickle(_)) {
        let place = entry.place.at("OPTIONS").at("SERIALIZER");
        let reason = "HerdClient stores a marker with each value, which only the pickle serializer can write: take that \
                      one, or DefaultClient";
        built.family = Family::NotBuiltIn { reason: format!("{place}: {reason}") };
    }
    if let Family::Redis(redis) = &mut built.family {
        redis.herd = herd;
        redis.layout = if client == Client::Shard { Layout::Ring(urls) } else { Layout::Replicas { fail_over } };
    }
    Ok(built)
}

/// REPLICA_READ_ONLY, by Python's truth.
fn fails_over(client: Client, entry: &Entry<'_>, report: &mut Report) -> bool {
    let Some(setting) = entry.option("REPLICA_READ_ONLY") else { return false };
    if setting.value.is_string() {
        report.warn(&setting.place, "is a text; every text but the empty one counts as true, as in Django");
    }
    let fail_over = !is_true(setting.value);
    if fail_over && client == Client::Shard {
        report.warn(&setting.place, "has no effect with ShardClient, as in django-redis: a key has one server");
    }
    fail_over
}

/// CACHE_HERD_TIMEOUT, a setting beside CACHES. django-redis adds it to times to live and draws a number up to it.
fn herd_time(entry: &Entry<'_>, report: &Report) -> Result<Duration> {
    let Some(setting) = entry.beside("CACHE_HERD_TIMEOUT") else { return Ok(HERD) };
    seconds(&setting).ok_or_else(|| setting.must_be("a whole number of seconds, 0 or more", report))
}

fn seconds(setting: &Setting<'_>) -> Option<Duration> {
    let seconds = setting.value.as_u64()?;
    u32::try_from(seconds).ok().map(|seconds| Duration::from_secs(seconds.into()))
}
