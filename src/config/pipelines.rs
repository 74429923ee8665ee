//! `PIPELINES`: Pyot's pipelines over the aliases (PY-S, PY-E).

mod arguments;
mod duration;
mod expirations;
mod level;
mod loading;
mod own_stores;
mod tables;

pub use expirations::{Expirations, Expiry};
pub use level::{Level, LevelKind};
pub use loading::{LoadLock, Loading};

use std::sync::Arc;

use serde_json::{Map, Value};

use super::alias::Alias;
use super::place::{Place, Report, Setting, quoted};
use super::python::int;
use crate::error::Result;
use arguments::Arguments;
use level::Around;

/// The versions of Unicode whose tables larder has, oldest first: a Python's own is in `unicodedata.unidata_version`.
pub const UNICODE_VERSIONS: [&str; 6] = ["13.0", "14.0", "15.0", "15.1", "16.0", "17.0"];

/// One entry of PIPELINES.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The model's name as it is written.
    pub name: Arc<str>,
    /// The same in lower case: what tokens begin with, and what tells pipelines apart.
    pub model: Box<str>,
    /// The stores, fastest first; one at least.
    pub levels: Vec<Level>,
    /// `PYOT`: how tokens become keys.
    pub form: TokenForm,
    /// `UNICODE`: one of [`UNICODE_VERSIONS`], which decides what Python's `repr` escapes; `None` where it is not given.
    pub unicode: Option<Box<str>>,
    /// `WRITE_BACK_TTL`.
    pub write_back: WriteBack,
    /// `ON_STORE_ERROR`.
    pub on_error: OnStoreError,
    /// `LOAD`.
    pub loading: Loading,
}

/// Which of Pyot's major versions makes the keys (PY-T).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenForm {
    /// `"PYOT": 3`: Python's `repr` of dicts.
    #[default]
    V3,
    /// `"PYOT": 6`: a path with a query.
    V6,
}

/// For how long a value that a later store had is written to the stores before it (PY-P2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteBack {
    /// `"remaining"`: for as long as it lives there, where that store knows it, and at most for the store's own time.
    #[default]
    Remaining,
    /// `"full"`: for the store's own time, as in Pyot.
    Full,
}

/// What becomes of a get when a store fails (PY-P6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStoreError {
    /// `"skip"`: the next store is asked.
    #[default]
    Skip,
    /// `"fail"`: it fails, as in Pyot.
    Fail,
}

/// So many pipelines at most, and so many stores in each: every store holds a copy of its alias.
const MOST_PIPELINES: usize = 256;
const MOST_STORES: usize = 32;

/// Reads PIPELINES, which stands beside CACHES where it is there.
pub(super) fn read(siblings: &Map<String, Value>, aliases: &[Alias], report: &mut Report) -> Result<Vec<Pipeline>> {
    let Some(setting) = Setting::of(siblings, &Place::document(), "PIPELINES") else { return Ok(Vec::new()) };
    let map = setting.object(report)?;
    if map.len() > MOST_PIPELINES {
        return Err(setting.place.error(format_args!("has more than {MOST_PIPELINES} pipelines")));
    }
    let mut pipelines: Vec<Pipeline> = Vec::with_capacity(map.len());
    for (name, value) in map {
        let setting = Setting { place: setting.place.at(name), value, secret: false };
        let pipeline = Pipeline::read(name, &setting, aliases, report)?;
        if let Some(other) = pipelines.iter().find(|other| other.model == pipeline.model) {
            let what = format!("is {} in another case, and Pyot compares models in lower case", quoted(&other.name));
            return Err(setting.place.error(what));
        }
        pipelines.push(pipeline);
    }
    Ok(pipelines)
}

impl Pipeline {
    /// Reads one: a list of stores, or an object with one.
    fn read(name: &str, setting: &Setting<'_>, aliases: &[Alias], report: &mut Report) -> Result<Self> {
        if name.is_empty() {
            return Err(setting.place.error("has no name; it is the model's"));
        }
        let model = name.to_lowercase();
        let mut pipeline = Self {
            name: Arc::from(name),
            model: Box::from(model.as_str()),
            levels: Vec::new(),
            form: TokenForm::default(),
            unicode: None,
            write_back: WriteBack::default(),
            on_error: OnStoreError::default(),
            loading: Loading::default(),
        };
        let stores = match setting.value {
            Value::Object(map) => pipeline.read_settings(map, setting, aliases, report)?,
            _ => setting.clone(),
        };
        let around = Around { model: &model, form: pipeline.form, aliases };
        pipeline.levels = read_stores(&stores, &around, report)?;
        Ok(pipeline)
    }

    /// Takes over what the object says, and gives its list of stores.
    fn read_settings<'a>(
        &mut self,
        map: &'a Map<String, Value>,
        setting: &Setting<'_>,
        aliases: &[Alias],
        report: &mut Report,
    ) -> Result<Setting<'a>> {
        let mut names = Arguments::read(map, setting.place.clone())?;
        let (stores, of_6) = (names.take("pipeline"), names.take("stores"));
        if let (Some(one), Some(other)) = (&stores, &of_6) {
            return Err(other.place.error(format_args!("stands twice: {} is there too", one.place)));
        }
        let why = "; a pipeline is a list of stores, or an object with such a list under PIPELINE";
        let stores = stores.or(of_6).ok_or_else(|| names.missing("pipeline", why))?;
        if let Some(version) = names.take("pyot") {
            self.form = token_form(&version, report)?;
        }
        if let Some(unicode) = names.take("unicode") {
            self.unicode = Some(known_unicode(&unicode, report)?);
        }
        let (remaining, full) = (WriteBack::Remaining, WriteBack::Full);
        if let Some(choice) = names.take("write_back_ttl") {
            self.write_back = choose(&choice, [("remaining", remaining), ("full", full)], report)?;
        }
        if let Some(choice) = names.take("on_store_error") {
            self.on_error = choose(&choice, [("skip", OnStoreError::Skip), ("fail", OnStoreError::Fail)], report)?;
        }
        if let Some(load) = names.take("load") {
            self.loading = Loading::read(&load, aliases, report)?;
        }
        self.check_pyot_s_own(&mut names, report)?;
        names.finish("a pipeline has no such setting")?;
        Ok(stores)
    }

    /// What else Pyot's settings have: of no use here.
    fn check_pyot_s_own(&self, names: &mut Arguments<'_>, report: &mut Report) -> Result<()> {
        if let Some(model) = names.take("model")
            && model.text(report)?.to_lowercase() != *self.model
        {
            return Err(model.must_be("the model that the pipeline is named after, or not be there", report));
        }
        for name in
            ["default_region", "default_platform", "default_locale", "default_version", "locale_map", "name", "default"]
        {
            if let Some(setting) = names.take(name) {
                report.warn(&setting.place, "has no effect here: larder asks no service");
            }
        }
        Ok(())
    }
}

fn read_stores(setting: &Setting<'_>, around: &Around<'_>, report: &mut Report) -> Result<Vec<Level>> {
    let list = setting.value.as_array().ok_or_else(|| setting.must_be("a list of stores", report))?;
    if list.is_empty() {
        return Err(setting.place.error("has no store")); // PY-P4
    }
    if list.len() > MOST_STORES {
        return Err(setting.place.error(format_args!("has more than {MOST_STORES} stores")));
    }
    let mut levels: Vec<Level> = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let store = Setting { place: setting.place.item(index), value, secret: false };
        let read = Level::read(&store, around, report)?;
        // PY-S3; Pyot 6 takes as many as there are
        if around.form == TokenForm::V3 && level::is_omnistone(&read) && levels.iter().any(level::is_omnistone) {
            return Err(store.place.error("is a second pyot.stores.Omnistone; a pipeline has only one"));
        }
        levels.push(read);
    }
    Ok(levels)
}

/// A number or the text of one.
fn token_form(setting: &Setting<'_>, report: &Report) -> Result<TokenForm> {
    let whole = !setting.value.is_boolean() && !setting.value.is_f64();
    match int(setting.value).filter(|_| whole) {
        Some(3) => Ok(TokenForm::V3),
        Some(6) => Ok(TokenForm::V6),
        _ => Err(setting.must_be("3 or 6, the major version of Pyot that makes the keys", report)),
    }
}

fn known_unicode(setting: &Setting<'_>, report: &Report) -> Result<Box<str>> {
    let known = UNICODE_VERSIONS.into_iter().find(|known| setting.value.as_str() == Some(*known));
    known.map(Box::from).ok_or_else(|| {
        let wanted = format!(
            "in quotes one of {} (Python's is unicodedata.unidata_version, without its last .0)",
            UNICODE_VERSIONS.join(", ")
        );
        setting.must_be(&wanted, report)
    })
}

fn choose<T: Copy>(setting: &Setting<'_>, choices: [(&str, T); 2], report: &Report) -> Result<T> {
    let [(first, _), (second, _)] = choices;
    let chosen = choices.into_iter().find(|(name, _)| setting.value.as_str() == Some(*name));
    chosen.map(|(_, choice)| choice).ok_or_else(|| setting.must_be(&format!("\"{first}\" or \"{second}\""), report))
}
