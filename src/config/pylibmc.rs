//! What OPTIONS hands to pylibmc's Client: `binary`, `username`, `password`, and libmemcached's `behaviors`.

use std::time::Duration;

use serde_json::{Map, Value};

use super::entry::Entry;
use super::memcached::{Choice, Failover, Hash, Options, Ring, key_prefix};
use super::names::did_you_mean;
use super::place::{Report, Setting};
use super::python::is_true;
use crate::error::Result;

/// Every name that the client takes.
const KNOWN: [&str; 4] = ["behaviors", "binary", "username", "password"];

/// Every behavior.
const BEHAVIORS: [&str; 32] = [
    // These have a meaning here.
    "hash",
    "ketama",
    "ketama_weighted",
    "distribution",
    "tcp_keepalive",
    "connect_timeout",
    "receive_timeout",
    "_poll_timeout",
    "auto_eject",
    "remove_failed",
    "failure_limit",
    "dead_timeout",
    "retry_timeout",
    "_retry_timeout",
    "_sort_hosts",
    "_hash_with_prefix_key",
    "namespace",
    "pickle_protocol",
    // These change nothing here.
    "ketama_hash",
    "no_block",
    "tcp_nodelay",
    "cas",
    "buffer_requests",
    "verify_keys",
    "send_timeout",
    "num_replicas",
    "_io_msg_watermark",
    "_io_bytes_watermark",
    "_io_key_prefetch",
    "_noreply",
    "_socket_send_size",
    "_socket_recv_size",
];

/// libmemcached's own, where nothing is said.
const FAILURE_LIMIT: u32 = 5;
const RETRY_TIMEOUT: Duration = Duration::from_secs(2);

/// Where keys go.
struct Distribution {
    hash: Hash,
    kind: Kind,
    weighted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Modula,
    Consistent,
    Spy,
}

/// Reads OPTIONS; whether servers count by their weight on a ring, whatever these are.
pub(super) fn read(options: &mut Options, entry: &Entry<'_>, report: &mut Report) -> Result<bool> {
    let mut weighted = false;
    for (name, setting) in entry.options() {
        match name {
            "behaviors" | "username" | "password" if setting.value.is_null() => {}
            "behaviors" => weighted = behaviors(options, setting.object(report)?, &setting, report)?,
            "binary" => {
                let on = matches!(setting.value, Value::Bool(_)) || setting.value.is_u64();
                if !on {
                    return Err(setting.must_be("true or false", report));
                }
                if is_true(setting.value) {
                    options.lack(&setting.place, "memcached's binary protocol is not in this version of larder");
                }
            }
            "username" | "password" if entry.option("binary").is_some_and(|binary| is_true(binary.value)) => {}
            "username" | "password" => {
                // as pylibmc says
                return Err(setting.place.error(
                    "needs SASL, which only the binary protocol has, and that is not in this version of larder",
                ));
            }
            "MAX_ENTRIES" | "CULL_FREQUENCY" => {
                report.warn(&setting.place, "has no effect here, and pylibmc refuses it (TypeError)"); // P-12
            }
            _ => {
                let hint = if BEHAVIORS.contains(&name) {
                    "; it is one of the behaviors, and belongs inside behaviors".to_owned()
                } else {
                    did_you_mean(name, &KNOWN).to_string()
                };
                return Err(setting.place.error(format_args!("pylibmc has no such option{hint}")));
            }
        }
    }
    Ok(weighted)
}

fn behaviors(
    options: &mut Options,
    map: &Map<String, Value>,
    whole: &Setting<'_>,
    report: &mut Report,
) -> Result<bool> {
    for (name, value) in map {
        let setting = Setting { place: whole.place.at(name), value, secret: false };
        if !BEHAVIORS.contains(&name.as_str()) {
            let hint = did_you_mean(name, &BEHAVIORS);
            return Err(setting.place.error(format_args!("pylibmc has no such behavior{hint}")));
        }
        take(options, name, &setting, report)?;
    }
    let inside = |name: &str| Setting::of(map, &whole.place, name);
    let distribution = distribution(options, &inside, report)?;
    let ring = Ring { hash: distribution.hash, weighted: distribution.weighted, spy: distribution.kind == Kind::Spy };
    options.config.choice = match distribution.kind {
        Kind::Modula => Choice::Modulo(distribution.hash),
        Kind::Consistent | Kind::Spy => Choice::Ketama(ring),
    };
    options.config.failover = failover(distribution.kind, &inside, report)?;
    Ok(distribution.weighted)
}

/// Behaviors of which each stands for itself.
fn take(options: &mut Options, name: &str, setting: &Setting<'_>, report: &mut Report) -> Result<()> {
    match name {
        "hash" | "distribution" => drop(setting.text(report)?),
        "namespace" => options.config.key_prefix = key_prefix(setting, report)?,
        // a name of a hash, or its number
        "ketama_hash" if setting.value.is_string() => {}
        "pickle_protocol" => match number(setting, report)? {
            ..0 => options.protocol = 5,
            protocol @ 0..=5 => options.protocol = u8::try_from(protocol).unwrap_or(5),
            _ => options.lack(&setting.place, "larder writes pickles with the protocols 0 to 5"),
        },
        "connect_timeout" => options.config.connect = limit(number(setting, report)?, Duration::from_millis(1)),
        "receive_timeout" => {
            options.timeout = limit(number(setting, report)?, Duration::from_micros(1)).or(options.timeout.take());
        }
        "_poll_timeout" => {
            options.timeout = options.timeout.take().or(limit(number(setting, report)?, Duration::from_millis(1)));
        }
        "tcp_keepalive" => {
            if number(setting, report)? == 0 {
                options.config.resting.keepalive = None;
            }
        }
        "_sort_hosts" => options.sorted = number(setting, report)? != 0,
        "_hash_with_prefix_key" => options.config.chooses_with_prefix = number(setting, report)? != 0,
        "_noreply" if number(setting, report)? != 0 => {
            report.warn(
                &setting.place,
                "larder waits for the answers all the same, so that it can tell what became of a write",
            );
        }
        "buffer_requests" if number(setting, report)? != 0 => {
            report.warn(
                &setting.place,
                "larder sends writes at once all the same, so that it can tell what became of them",
            );
        }
        "num_replicas" if number(setting, report)? != 0 => {
            report.warn(&setting.place, "has no effect with the text protocol, as in libmemcached");
        }
        _ => drop(number(setting, report)?),
    }
    Ok(())
}

/// Which server a key belongs to. libmemcached hears of the behaviors in this order, whatever theirs is.
fn distribution<'a>(
    options: &mut Options,
    inside: &dyn Fn(&str) -> Option<Setting<'a>>,
    report: &Report,
) -> Result<Distribution> {
    let mut wanted = Distribution { hash: Hash::OneAtATime, kind: Kind::Modula, weighted: false };
    if let Some(setting) = inside("hash") {
        wanted.hash = hash(options, &setting, report)?;
    }
    if let Some(setting) = inside("ketama") {
        wanted.kind = if number(&setting, report)? == 0 { Kind::Modula } else { Kind::Consistent };
        wanted.weighted = false;
    }
    if let Some(setting) = inside("ketama_weighted") {
        wanted.kind = Kind::Consistent; // a 0 too turns the ring on
        wanted.weighted = number(&setting, report)? != 0;
        if wanted.weighted {
            wanted.hash = Hash::Md5;
        }
    }
    if let Some(setting) = inside("distribution") {
        match setting.text(report)? {
            "modula" => wanted.kind = Kind::Modula,
            "consistent" | "consistent ketama" => (wanted.kind, wanted.weighted) = (Kind::Consistent, false),
            "consistent weighted" => (wanted.kind, wanted.weighted) = (Kind::Consistent, true),
            "consistent ketama spy" => wanted.kind = Kind::Spy,
            "random" => options.lack(&setting.place, "a server by chance is not in this version of larder"),
            "virtual bucket" => options.lack(&setting.place, "virtual buckets are not in this version of larder"),
            name => {
                let known =
                    ["modula", "consistent", "consistent ketama", "consistent weighted", "consistent ketama spy"];
                let hint = did_you_mean(name, &known);
                return Err(setting.place.error(format_args!("libmemcached has no such distribution{hint}")));
            }
        }
    }
    Ok(wanted)
}

fn hash(options: &mut Options, setting: &Setting<'_>, report: &Report) -> Result<Hash> {
    Ok(match setting.text(report)? {
        "default" => Hash::OneAtATime,
        "md5" => Hash::Md5,
        "crc" => Hash::Crc,
        "fnv1_64" => Hash::Fnv1Of64,
        "fnv1a_64" => Hash::Fnv1aOf64,
        "fnv1_32" => Hash::Fnv1Of32,
        "fnv1a_32" => Hash::Fnv1aOf32,
        "hsieh" | "murmur" | "jenkins" => {
            options.lack(&setting.place, "this hash is not in this version of larder; default, md5, crc and fnv… are");
            Hash::OneAtATime
        }
        name => {
            let known = ["default", "md5", "crc", "fnv1_64", "fnv1a_64", "fnv1_32", "fnv1a_32", "murmur", "jenkins"];
            let hint = did_you_mean(name, &known);
            return Err(setting.place.error(format_args!("libmemcached has no such hash{hint}")));
        }
    })
}

/// What becomes of the keys of a server that is away. Only a ring can be made without it.
fn failover<'a>(kind: Kind, inside: &dyn Fn(&str) -> Option<Setting<'a>>, report: &Report) -> Result<Failover> {
    let mut ejects = false;
    let mut failures = FAILURE_LIMIT;
    if let Some(setting) = inside("auto_eject") {
        ejects = number(&setting, report)? != 0;
    }
    for name in ["remove_failed", "failure_limit"] {
        let Some(setting) = inside(name) else { continue };
        let limit = u32::try_from(number(&setting, report)?).ok().filter(|limit| *limit > 0);
        failures = limit.ok_or_else(|| setting.must_be("a whole number greater than 0", report))?;
        ejects |= name == "remove_failed";
    }
    let seconds = |name: &str| inside(name).map(|setting| number(&setting, report)).transpose();
    let retry = match seconds("retry_timeout")? {
        None => seconds("_retry_timeout")?,
        given => given,
    };
    let pause = limit(seconds("dead_timeout")?.unwrap_or(0), Duration::from_secs(1))
        .or(limit(retry.unwrap_or(0), Duration::from_secs(1)));
    let pause = pause.unwrap_or(RETRY_TIMEOUT);
    Ok(if ejects && kind != Kind::Modula { Failover::Eject { failures, pause } } else { Failover::None })
}

/// A number of units of time; none where it is not above 0. Never longer than a year.
fn limit(number: i64, unit: Duration) -> Option<Duration> {
    let count = u32::try_from(number.min(i64::from(u32::MAX))).ok().filter(|count| *count > 0)?;
    Some((unit * count).min(Duration::from_hours(8760)))
}

/// A behavior's value: a whole number, or a truth value for 1 and 0.
fn number(setting: &Setting<'_>, report: &Report) -> Result<i64> {
    match setting.value {
        Value::Bool(truth) => Ok(i64::from(*truth)),
        value => value.as_i64().ok_or_else(|| setting.must_be("a whole number, or true or false", report)),
    }
}
