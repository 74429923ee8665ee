//! One entry of CACHES: what every backend reads (rules A and P), and which backend it is.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::alias::{Alias, Compressor, CompressorMethod, Culling, Family, Plugged, Serializer, Settings};
use super::encoding::Encoding;
use super::memcached::Client;
use super::names::{did_you_mean, nearest_class};
use super::own::Own;
use super::place::{Place, Report, Setting, working_directory};
use super::python::{int, text};
use super::{
    Registered, core_redis, database, diskcache, django_redis, django_valkey, key_function, memcached, near,
    reverse_key,
};
use crate::error::Result;
use crate::key::{KeyFunction, KeyRules, ReverseKey};
use crate::timeout::Ttl;

/// The deadline of a call where nothing else is said.
const BUDGET: Duration = Duration::from_secs(5);

/// No time to live is longer, so that the end of one can be computed (some 146 million years).
const LONGEST_TTL: i64 = i64::MAX / 2;

/// Names that every entry may have at its top level.
const TOP: [&str; 13] = [
    "BACKEND",
    "LOCATION",
    "TIMEOUT",
    "timeout",
    "max_entries",
    "cull_frequency",
    "MAX_ENTRIES",
    "CULL_FREQUENCY",
    "KEY_PREFIX",
    "VERSION",
    "KEY_FUNCTION",
    "OPTIONS",
    "LARDER",
];

/// What a BACKEND names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Memory,
    File,
    Dummy,
    CoreRedis,
    DjangoRedis,
    PyMemcache,
    PyLibMc,
    Database,
    DiskCache,
    DjangoValkey,
    /// What the program has registered, by its place in the list.
    Own(usize),
    /// Known, but not in this version: what it needs.
    Later(&'static str),
}

impl Named {
    /// Whether it has servers.
    fn is_remote(self) -> bool {
        matches!(
            self,
            Self::CoreRedis
                | Self::DjangoRedis
                | Self::DjangoValkey
                | Self::PyMemcache
                | Self::PyLibMc
                | Self::Database
        )
    }
}

/// The BACKEND strings (1.1).
const BACKENDS: [(&str, Named); 12] = [
    ("django.core.cache.backends.locmem.LocMemCache", Named::Memory),
    ("django.core.cache.backends.filebased.FileBasedCache", Named::File),
    ("django.core.cache.backends.dummy.DummyCache", Named::Dummy),
    ("django.core.cache.backends.redis.RedisCache", Named::CoreRedis),
    ("django_redis.cache.RedisCache", Named::DjangoRedis),
    ("django.core.cache.backends.memcached.PyMemcacheCache", Named::PyMemcache),
    ("django.core.cache.backends.memcached.PyLibMCCache", Named::PyLibMc),
    ("django.core.cache.backends.db.DatabaseCache", Named::Database),
    ("django_valkey.cache.ValkeyCache", Named::DjangoValkey),
    ("diskcache.DjangoCache", Named::DiskCache),
    ("django_valkey.async_cache.cache.AsyncValkeyCache", Named::Later("django-valkey's asynchronous cache")),
    ("django_valkey.cluster_cache.cache.ClusterValkeyCache", Named::Later("django-valkey's cluster cache")),
];

/// An entry being read.
pub(super) struct Entry<'a> {
    /// Where it stands.
    pub place: Place,
    /// What stands beside CACHES, and what the program has registered.
    pub beside: &'a Beside<'a>,
    map: &'a Map<String, Value>,
    options: Option<&'a Map<String, Value>>,
}

/// What counts for every entry.
pub(super) struct Beside<'a> {
    /// What stands beside CACHES.
    pub siblings: &'a Map<String, Value>,
    /// What the program has registered.
    pub plugged: &'a Registered,
}

/// What a backend's own part of an entry gives.
pub(super) struct Built {
    /// The backend.
    pub family: Family,
    /// The backend's own time-out.
    pub timeout: Option<Duration>,
    /// Who makes bytes of values.
    pub serializer: Serializer,
    /// Who makes them fewer.
    pub compressor: Compressor,
}

impl Built {
    /// A backend without anything special: Django's own pickle protocol (PK-1).
    pub fn plain(family: Family) -> Self {
        Self { family, timeout: None, serializer: Serializer::Pickle(5), compressor: Compressor::default() }
    }
}

impl<'a> Entry<'a> {
    /// A setting at the top level.
    pub fn top(&self, name: &str) -> Option<Setting<'a>> {
        Setting::of(self.map, &self.place, name)
    }

    /// A setting inside OPTIONS.
    pub fn option(&self, name: &str) -> Option<Setting<'a>> {
        self.options.and_then(|options| Setting::of(options, &self.place.at("OPTIONS"), name))
    }

    /// A setting inside LARDER.
    pub fn larder(&self, name: &str) -> Option<Setting<'a>> {
        let larder = self.map.get("LARDER")?.as_object()?;
        Setting::of(larder, &self.place.at("LARDER"), name)
    }

    /// A setting beside CACHES.
    pub fn beside(&self, name: &str) -> Option<Setting<'a>> {
        Setting::of(self.beside.siblings, &Place::document(), name)
    }

    /// All of OPTIONS.
    pub fn options(&self) -> impl Iterator<Item = (&'a str, Setting<'a>)> + use<'a> {
        let place = self.place.at("OPTIONS");
        self.options
            .into_iter()
            .flatten()
            .map(move |(name, value)| (name.as_str(), Setting { place: place.at(name), value, secret: false }))
    }
}

/// Reads the entry of the alias `name`.
pub(super) fn read(name: &str, value: &Value, place: Place, beside: &Beside<'_>, report: &mut Report) -> Result<Alias> {
    let whole = Setting { place: place.clone(), value, secret: false };
    let map = value.as_object().ok_or_else(|| whole.must_be("an alias (an object with a BACKEND)", report))?;
    let named = backend(map, name, &place, beside.plugged, report)?;
    let options = match Setting::of(map, &place, "OPTIONS") {
        Some(options) => Some(options.object(report)?), // P-7: null is an error in Django too
        None => None,
    };
    let entry = Entry { place, beside, map, options };
    let keys = key_rules(&entry, named, report)?;
    let ttl = time_to_live(&entry, report);
    let culling = culling(&entry, named, report);
    let own = Own::read(&entry, named.is_remote(), report)?;
    warn_of_unknown_names(&entry, named, report);
    if own.database.is_some() && named != Named::Database {
        report.warn(&entry.place.at("LARDER").at("DATABASE"), "has no effect with this backend");
    }
    let built = match named {
        Named::Memory => memory(&entry, report)?,
        Named::File => file(&entry, report)?,
        Named::Dummy => Built::plain(Family::Dummy),
        Named::CoreRedis => core_redis::read(&entry, &own, report)?,
        Named::DjangoRedis => django_redis::read(&entry, &own, &django_redis::DJANGO_REDIS, report)?,
        Named::PyMemcache => memcached::read(&entry, &own, Client::PyMemcache, report)?,
        Named::PyLibMc => memcached::read(&entry, &own, Client::PyLibMc, report)?,
        Named::Database => database::read(&entry, &own, beside.siblings, report)?,
        Named::DiskCache => diskcache::read(&entry, report)?,
        Named::DjangoValkey => django_valkey::read(&entry, &own, report)?,
        Named::Own(index) => plugged(index, &entry, report)?,
        Named::Later(what) => Built::plain(Family::NotBuiltIn {
            reason: format!("{}: {what} is not in this version of larder", entry.place.at("BACKEND")),
        }),
    };
    Common { keys, ttl, culling }.with(name, built, own, &entry.place)
}

/// What every alias has, whatever its backend is.
pub(super) struct Common {
    /// How keys are made.
    pub keys: KeyRules,
    /// The default time to live.
    pub ttl: Ttl,
    /// When a local backend culls.
    pub culling: Culling,
}

impl Common {
    /// The alias; its entry stands at `place`.
    pub fn with(self, name: &str, built: Built, own: Own, place: &Place) -> Result<Alias> {
        let budget = own.timeout.or(built.timeout).unwrap_or(BUDGET);
        let mut family = in_this_build(built.family, &built.compressor, place);
        near::take(&mut family, own.near, &self.keys)?;
        Ok(Alias {
            name: Arc::from(name),
            keys: self.keys,
            ttl: self.ttl,
            culling: self.culling,
            family,
            serializer: built.serializer,
            compressor: built.compressor,
            is_of_pyot: false,
            settings: Settings { budget, limits: own.limits, undecodable_is_miss: own.undecodable_is_miss },
        })
    }
}

/// which backend the entry names.
fn backend(
    map: &Map<String, Value>,
    alias: &str,
    place: &Place,
    plugged: &Registered,
    report: &Report,
) -> Result<Named> {
    let Some(setting) = Setting::of(map, place, "BACKEND") else {
        let hint = if alias.eq_ignore_ascii_case("caches") {
            "; if the aliases are inside, write CACHES"
        } else if map.contains_key("backend") {
            "; names are upper-case"
        } else {
            ""
        };
        return Err(place.at("BACKEND").error(format_args!("is missing{hint}")));
    };
    let path = setting.text(report)?;
    if let Some(index) = plugged.backends.iter().position(|name| &**name == path) {
        return Ok(Named::Own(index));
    }
    if let Some((_, named)) = BACKENDS.iter().find(|(known, _)| *known == path) {
        return Ok(*named);
    }
    if path == "django.core.cache.backends.memcached.MemcachedCache" {
        return Err(setting.place.error(
            "memcached.MemcachedCache is no longer in Django; use django.core.cache.backends.memcached.PyMemcacheCache",
        ));
    }
    let shown = report.shown(setting.value);
    let known: Vec<&str> =
        plugged.backends.iter().map(|name| &**name).chain(BACKENDS.map(|(known, _)| known)).collect();
    let hint = match nearest_class(path, &known) {
        Some(found) => format!("did you mean {found}?"),
        None => format!("it knows {}", known.join(", ")),
    };
    Err(setting.place.error(format_args!(
        "{shown} is not a backend that larder knows, and nobody has registered it (larder_register_backend does, before \
         the configuration is opened); {hint}"
    )))
}

/// P-4 to P-6.
fn key_rules(entry: &Entry<'_>, named: Named, report: &mut Report) -> Result<KeyRules> {
    let prefix = key_text(entry, "KEY_PREFIX", "", report)?;
    let version = key_text(entry, "VERSION", "1", report)?;
    let function = key_function::read(entry, report)?;
    let mut rules = KeyRules { prefix, version, function, ..KeyRules::default() };
    match named {
        Named::DjangoRedis | Named::DjangoValkey => {
            rules.reverse = reverse_key::read(entry, &rules, report)?;
            rules.nothing_is_default = named == Named::DjangoValkey;
        }
        Named::Own(_) if entry.top("REVERSE_KEY_FUNCTION").is_some() => {
            rules.reverse = reverse_key::read(entry, &rules, report)?;
        }
        _ => {
            if let KeyFunction::Own(name) = &rules.function {
                rules.reverse = ReverseKey::Own(name.clone());
            }
        }
    }
    Ok(rules)
}

/// A part of keys, as Python's `%s` writes it.
fn key_text(entry: &Entry<'_>, name: &str, default: &str, report: &mut Report) -> Result<String> {
    let Some(setting) = entry.top(name) else { return Ok(default.to_owned()) };
    if setting.value.is_null() {
        report.warn(&setting.place, "is null, which puts the text None into every key, as in Django"); // P-4, P-5
    }
    match setting.value {
        Value::Array(_) | Value::Object(_) => Err(setting.must_be("a text or a number", report)),
        value => text(value).ok_or_else(|| setting.must_be("written in quotes, so that no digit is lost", report)),
    }
}

/// P-1, P-9, P-11.
fn time_to_live(entry: &Entry<'_>, report: &mut Report) -> Ttl {
    let setting = first_of([entry.top("timeout"), entry.top("TIMEOUT")], report);
    match setting {
        Some(setting) if setting.value.is_null() => Ttl::Forever,
        setting => {
            let seconds = whole_number(setting, 300, report);
            Ttl::Millis(seconds.saturating_mul(1000).clamp(-LONGEST_TTL, LONGEST_TTL))
        }
    }
}

/// P-2, P-3 and P-8: what a top-level upper-case name says is honoured here, after the places where Django looks.
fn culling(entry: &Entry<'_>, named: Named, report: &mut Report) -> Culling {
    let mut number = |lower: &str, upper: &str, default: i64| {
        let at_top = entry.top(upper);
        if let Some(setting) = &at_top {
            let django_looks = entry.top(lower).is_some() || entry.option(upper).is_some();
            let why = if !matches!(
                named,
                Named::Memory | Named::File | Named::Database | Named::Own(_) | Named::Later(_)
            ) {
                "has no effect with this backend".to_owned()
            } else if django_looks {
                format!("is ignored: {lower} or OPTIONS.{upper} is there too")
            } else {
                format!(
                    "a Django process that shares this cache does not see it; inside OPTIONS both do ({default} is Django's default)"
                )
            };
            report.warn(&setting.place, why);
        }
        let setting = first_of([entry.top(lower), entry.option(upper)], report).or(at_top);
        whole_number(setting, default, report)
    };
    Culling {
        max_entries: number("max_entries", "MAX_ENTRIES", 300),
        frequency: number("cull_frequency", "CULL_FREQUENCY", 3),
    }
}

/// The first setting that is there; the other one is warned about.
fn first_of<'a>(settings: [Option<Setting<'a>>; 2], report: &mut Report) -> Option<Setting<'a>> {
    let [first, second] = settings;
    if let (Some(first), Some(second)) = (&first, &second) {
        report.warn(&second.place, format_args!("is ignored, as in Django: {} is there too", first.place)); // P-9
    }
    first.or(second)
}

/// Python's `int(x)`, and the default where that fails.
fn whole_number(setting: Option<Setting<'_>>, default: i64, report: &mut Report) -> i64 {
    let Some(setting) = setting else { return default };
    let number = int(setting.value);
    let shown = report.shown(setting.value);
    match number {
        None => report
            .warn(&setting.place, format_args!("{shown} is no whole number; it counts as {default}, as in Django")),
        Some(number) if setting.value.as_f64().is_some_and(|float| float.fract() != 0.0) => {
            report.warn(&setting.place, format_args!("{shown} counts as {number}, as in Django"));
        }
        Some(_) => {}
    }
    number.unwrap_or(default)
}

/// Django hands unknown names to the backend, which ignores them.
fn warn_of_unknown_names(entry: &Entry<'_>, named: Named, report: &mut Report) {
    for name in entry.map.keys() {
        let known = TOP.contains(&name.as_str())
            || (matches!(named, Named::DjangoRedis | Named::DjangoValkey) && name == "REVERSE_KEY_FUNCTION")
            || (named == Named::DiskCache && diskcache::TOP.contains(&name.as_str()))
            || matches!(named, Named::Own(_) | Named::Later(_));
        if !known {
            report.warn(
                &entry.place.at(name),
                format_args!("is ignored, as in Django: unknown name{}", did_you_mean(name, &TOP)),
            );
        }
    }
    if matches!(named, Named::Memory | Named::File | Named::Dummy | Named::Database) {
        for (name, setting) in entry.options() {
            if !matches!(name, "MAX_ENTRIES" | "CULL_FREQUENCY") {
                let hint = did_you_mean(name, &["MAX_ENTRIES", "CULL_FREQUENCY"]); // P-10
                report.warn(&setting.place, format_args!("is ignored, as in Django: unknown name{hint}"));
            }
        }
    }
}

/// A backend of the program's own. Its values are encoded as those of django-redis can be, by default as Django's.
fn plugged(index: usize, entry: &Entry<'_>, report: &Report) -> Result<Built> {
    let values = Encoding::read(entry, &django_redis::DJANGO_REDIS, 5, report)?;
    let name = entry.beside.plugged.backends.get(index).cloned().unwrap_or_else(|| Arc::from(""));
    let family = match values.lacking {
        Some(reason) => Family::NotBuiltIn { reason },
        None => Family::Plugged(Plugged { name, entry: Value::Object(entry.map.clone()).to_string() }),
    };
    Ok(Built { serializer: values.serializer, compressor: values.compressor, ..Built::plain(family) })
}

/// L-1: LOCATION is a name.
fn memory(entry: &Entry<'_>, report: &Report) -> Result<Built> {
    let name = match entry.top("LOCATION") {
        Some(location) => location.text(report)?,
        None => "",
    };
    Ok(Built::plain(Family::Memory { name: name.to_owned() }))
}

/// FB-1: LOCATION is a directory.
fn file(entry: &Entry<'_>, report: &mut Report) -> Result<Built> {
    let place = entry.place.at("LOCATION");
    let location = match entry.top("LOCATION") {
        Some(location) => location.text(report)?,
        None => "",
    };
    if location.contains('\0') {
        return Err(place.error("has a NUL character, which no directory's name can have"));
    }
    if location.contains("://") {
        // it may hold a password, which a directory's name in a message would show
        return Err(place.error("is a URL; this backend takes a directory"));
    }
    let mut directory = PathBuf::new();
    if !location.starts_with('/') {
        directory = working_directory(&place, " (caches.W003)", report)?;
    }
    directory.push(location);
    Ok(Built::plain(Family::File { directory: without_dots(&directory) }))
}

/// `os.path.normpath`: `.` and `..` are taken out by text alone.
fn without_dots(path: &Path) -> PathBuf {
    let mut kept = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    kept
}

/// A backend or a compressor whose cargo feature is off is not there.
fn in_this_build(family: Family, compressor: &Compressor, place: &Place) -> Family {
    let is_built_in = !matches!(compressor.method, CompressorMethod::Identity | CompressorMethod::Own(_));
    let (is_there, feature) = match &family {
        Family::Memory { .. } | Family::Private { .. } => (cfg!(feature = "memory"), "memory"),
        Family::File { .. } => (cfg!(feature = "file"), "file"),
        Family::Redis(_) if cfg!(feature = "redis") && is_built_in => (cfg!(feature = "compressors"), "compressors"),
        Family::Plugged(_) if is_built_in => (cfg!(feature = "compressors"), "compressors"),
        Family::Redis(_) => (cfg!(feature = "redis"), "redis"),
        Family::Memcached(_) => (cfg!(feature = "memcached"), "memcached"),
        Family::Database(database) => database.engine.feature(),
        Family::DiskCache(_) => (cfg!(feature = "diskcache"), "diskcache"),
        Family::Dummy | Family::Plugged(_) | Family::NotBuiltIn { .. } => return family,
    };
    if is_there {
        return family;
    }
    let place = if feature == "compressors" { place.at("OPTIONS").at("COMPRESSOR") } else { place.at("BACKEND") };
    let reason = format!("{place}: larder was built without the feature \"{feature}\"");
    Family::NotBuiltIn { reason }
}
