//! Settings that name a Python class: those that larder has, others that it knows, a program's own, and strangers.

use std::sync::Arc;

use super::names::nearest_class;
use super::place::{Report, Setting};
use crate::error::Result;

/// The classes that a setting can name.
pub(super) struct Classes<T: 'static> {
    /// What they are, in a word.
    pub noun: &'static str,
    /// What larder has.
    pub known: &'static [(&'static str, T)],
    /// What it does not have.
    pub later: &'static [&'static str],
    /// Other names that begin so are spelling mistakes; the rest are an application's own classes.
    pub home: &'static str,
    /// The function with which a program registers one of its own; empty where it cannot.
    pub register: &'static str,
}

/// What a name stands for.
pub(super) enum Chosen<T> {
    /// One of larder's.
    Known(T),
    /// One that the program has registered.
    Own(Arc<str>),
    /// One that is not there, and why.
    Lacking(String),
}

impl<T> Chosen<T> {
    /// Why it is not there.
    pub fn lacking(self) -> Option<String> {
        match self {
            Self::Lacking(reason) => Some(reason),
            Self::Known(_) | Self::Own(_) => None,
        }
    }
}

impl<T: Clone> Classes<T> {
    /// Why larder cannot do what the named class does, where it cannot.
    pub fn lacking(&self, setting: &Setting<'_>, report: &Report) -> Result<Option<String>> {
        Ok(self.choose(setting, &[], report)?.lacking())
    }

    /// What the setting names; `own` are the names that the program has registered.
    pub fn choose(&self, setting: &Setting<'_>, own: &[Arc<str>], report: &Report) -> Result<Chosen<T>> {
        let path = setting.text(report)?;
        if let Some(name) = own.iter().find(|name| &***name == path) {
            return Ok(Chosen::Own(name.clone()));
        }
        if let Some((_, known)) = self.known.iter().find(|(known, _)| *known == path) {
            return Ok(Chosen::Known(known.clone()));
        }
        let shown = report.shown(setting.value);
        let noun = self.noun;
        if self.later.contains(&path) {
            return Ok(Chosen::Lacking(format!(
                "{}: the {noun} {shown} is not in this version of larder",
                setting.place
            )));
        }
        if path.starts_with(self.home) || !path.contains('.') {
            let hint = self.hint(path, &[]);
            return Err(setting.place.error(format_args!("{shown} is not a {noun}{hint}")));
        }
        let place = &setting.place;
        if self.register.is_empty() {
            return Ok(Chosen::Lacking(format!("{place}: larder cannot use a {noun} of your own, {shown}")));
        }
        let register = self.register;
        let hint = self.hint(path, own);
        Ok(Chosen::Lacking(format!(
            "{place}: nobody has registered a {noun} {shown} ({register} does, before the configuration is opened){hint}"
        )))
    }

    /// The name that is near, else all that can be used.
    fn hint(&self, path: &str, own: &[Arc<str>]) -> String {
        let mut known: Vec<&str> =
            own.iter().map(|name| &**name).chain(self.known.iter().map(|(name, _)| *name)).collect();
        let usable = known.len();
        known.extend(self.later);
        match nearest_class(path, &known) {
            Some(found) => format!("; did you mean {found}?"),
            None if usable == 0 => String::new(),
            None => {
                known.truncate(usable);
                format!("; there are {}", known.join(", "))
            }
        }
    }
}
