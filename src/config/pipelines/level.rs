//! One store of a pipeline (PY-S).

use serde_json::Value;

use super::arguments::Arguments;
use super::{Expirations, TokenForm, own_stores};
use crate::config::names::{nearest, nearest_class};
use crate::config::place::{Place, Report, Setting};
use crate::config::python::int;
use crate::config::{Alias, Family};
use crate::error::Result;

/// Python's INFO.
const INFO: i32 = 20;

/// Pyot's services: what asks somebody else's server.
const SERVICES: [&str; 4] = ["RiotAPI", "CDragon", "DDragon", "MerakiCDN"];

/// One store of a pipeline.
#[derive(Clone, Debug)]
pub struct Level {
    /// What it is over: a copy of an alias of CACHES, or one made for a store of Pyot's own. Opening it fails for what
    /// this version does not have (`Family::NotBuiltIn`).
    pub alias: Alias,
    /// Which of Pyot's stores.
    pub kind: LevelKind,
    /// For how long what is stored here.
    pub expirations: Expirations,
    /// `LOG_LEVEL`, in Python's numbers: 10 is DEBUG, 20 INFO (where it is not given), 30 WARNING.
    pub log_level: i32,
}

/// Pyot's cache stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelKind {
    /// `pyot.stores.DjangoCache`: an alias of CACHES.
    DjangoCache,
    /// `pyot.stores.RedisCache`: a Redis database with tokens for keys and pickles.
    RedisCache,
    /// `pyot.stores.Omnistone`: in this process's memory.
    Omnistone,
    /// `pyot.stores.DiskCache`: a diskcache directory with tokens for keys and pickled bytes.
    DiskCache,
    /// `pyot.stores.MongoDB`, which cannot be opened in this version.
    MongoDb,
}

impl LevelKind {
    /// All of them.
    const ALL: [Self; 5] = [Self::DjangoCache, Self::RedisCache, Self::Omnistone, Self::DiskCache, Self::MongoDb];

    /// The name that records have (PY-L).
    pub fn name(self) -> &'static str {
        match self {
            Self::DjangoCache => "DjangoCache",
            Self::RedisCache => "RedisCache",
            Self::Omnistone => "Omnistone",
            Self::DiskCache => "DiskCache",
            Self::MongoDb => "MongoDB",
        }
    }
}

impl Level {
    /// What stands between the game and the operation in records (PY-L): `DjangoCache > alias`; for stores of Pyot's own
    /// the alias is what it is in Pyot (`host:port/db`, the directory's last name), and Omnistone has none.
    pub fn title(&self) -> String {
        match self.kind {
            LevelKind::Omnistone => self.kind.name().to_owned(),
            _ => format!("{} > {}", self.kind.name(), self.alias.name),
        }
    }

    /// Reads one store.
    pub(super) fn read(setting: &Setting<'_>, around: &Around<'_>, report: &mut Report) -> Result<Self> {
        let map =
            setting.value.as_object().ok_or_else(|| setting.must_be("a store (an object with a BACKEND)", report))?;
        let mut arguments = Arguments::read(map, setting.place.clone())?;
        let backend = arguments.take("backend").ok_or_else(|| arguments.missing("backend", ""))?;
        let kind = store(&backend, report)?;
        let expirations = arguments.take("expirations");
        let place = arguments.place_of("expirations", expirations.as_ref());
        let expirations = Expirations::read(expirations.as_ref(), &place, around.model, around.form, report)?;
        let log_level = match arguments.take("log_level") {
            Some(level) => log_level(&level, report)?,
            None => INFO,
        };
        if let Some(game) = arguments.take("game") {
            report.warn(&game.place, "is ignored, as in Pyot: it is the model");
        }
        let alias = match kind {
            LevelKind::DjangoCache => {
                let alias = arguments.take("alias").filter(|alias| !alias.value.is_null());
                let why = ": larder will not guess which cache is used"; // PY-S2
                alias_of(&alias.ok_or_else(|| arguments.missing("alias", why))?, around.aliases, report)?
            }
            LevelKind::RedisCache => own_stores::redis(&mut arguments, around.form, report)?,
            LevelKind::Omnistone => own_stores::omnistone(&mut arguments, report)?,
            LevelKind::DiskCache => own_stores::disk(&mut arguments, around.form, report)?,
            LevelKind::MongoDb => own_stores::not_there(&mut arguments, &backend.place, kind)?,
        };
        arguments.finish(&format!("pyot.stores.{} has no such argument", kind.name()))?; // PY-S1
        Ok(Self { alias, kind, expirations, log_level })
    }
}

/// What is around a store.
pub(super) struct Around<'a> {
    /// The pipeline's model, in lower case.
    pub model: &'a str,
    /// Whose tables.
    pub form: TokenForm,
    /// All of CACHES.
    pub aliases: &'a [Alias],
}

/// Which store BACKEND names: `pyot.stores.Omnistone`, or as Pyot 6 writes it `pyot.stores.omnistone.Omnistone`.
fn store(setting: &Setting<'_>, report: &Report) -> Result<LevelKind> {
    let path = setting.text(report)?;
    let class = path.strip_prefix("pyot.stores.").map(|rest| match rest.split_once('.') {
        Some((module, class)) if class.to_lowercase() == module => class,
        _ => rest,
    });
    if let Some(kind) = LevelKind::ALL.into_iter().find(|kind| Some(kind.name()) == class) {
        return Ok(kind);
    }
    let shown = report.shown(setting.value);
    if SERVICES.into_iter().any(|service| Some(service) == class) {
        return Err(setting.place.error(format_args!(
            "{shown} asks a service, which larder does not do: leave it out, and give larder_pipeline_open a loader that \
             asks it"
        )));
    }
    let known: Vec<String> = LevelKind::ALL
        .map(LevelKind::name)
        .into_iter()
        .chain(SERVICES)
        .map(|name| format!("pyot.stores.{name}"))
        .collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let hint = match nearest_class(path, &known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!(
            "it knows {}; what a store of your own does, a loader can do (larder_pipeline_open)",
            known.join(", ")
        ),
    };
    Err(setting.place.error(format_args!("{shown} is not a store that larder knows; {hint}")))
}

/// The alias of CACHES that is named.
pub(super) fn alias_of(setting: &Setting<'_>, aliases: &[Alias], report: &Report) -> Result<Alias> {
    let name = setting.text(report)?;
    if let Some(alias) = aliases.iter().find(|alias| &*alias.name == name) {
        return Ok(alias.clone());
    }
    let shown = report.shown(setting.value);
    let names = || aliases.iter().map(|alias| &*alias.name);
    let hint = match nearest(name, names()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("it has {}", names().take(20).collect::<Vec<_>>().join(", ")),
    };
    Err(setting.place.error(format_args!("CACHES has no alias {shown}; {hint}")))
}

/// One of Python's numbers; a text of one too, since `${NAME}` makes texts.
fn log_level(setting: &Setting<'_>, report: &Report) -> Result<i32> {
    let whole = matches!(setting.value, Value::String(_)) || setting.value.is_i64() || setting.value.is_u64();
    let level = int(setting.value).filter(|_| whole).and_then(|level| i32::try_from(level).ok());
    level.ok_or_else(|| {
        setting.must_be("one of Python's numbers (10 is DEBUG, 20 INFO, 30 WARNING, 40 ERROR, 50 CRITICAL)", report)
    })
}

/// Whether a store is in the memory of this process only.
pub(super) fn is_omnistone(level: &Level) -> bool {
    level.kind == LevelKind::Omnistone
}

/// An alias that cannot be opened.
pub(super) fn lacking(place: &Place, kind: LevelKind) -> Family {
    Family::NotBuiltIn { reason: format!("{place}: pyot.stores.{} is not in this version of larder", kind.name()) }
}
