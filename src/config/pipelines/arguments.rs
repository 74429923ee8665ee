//! A store's arguments as Pyot takes them: names that are entirely upper-case are lower-cased (PY-S1).

use serde_json::{Map, Value};

use crate::config::names::nearest;
use crate::config::place::{Place, Setting};
use crate::error::{Error, Result};

/// No store takes so many.
const MOST: usize = 200;

/// The arguments of one store that were not taken yet, by their names in lower case, in the order of the document.
pub(super) struct Arguments<'a> {
    /// Where the store stands.
    pub place: Place,
    left: Vec<(String, Setting<'a>)>,
    /// What may be taken, for errors.
    known: Vec<&'static str>,
}

impl<'a> Arguments<'a> {
    /// Those of an object.
    pub fn read(map: &'a Map<String, Value>, place: Place) -> Result<Self> {
        if map.len() > MOST {
            return Err(place.error(format_args!("has more than {MOST} names")));
        }
        let mut left: Vec<(String, Setting<'a>)> = Vec::with_capacity(map.len());
        for (name, value) in map {
            let setting = Setting { place: place.at(name), value, secret: false };
            let lower = lower(name);
            // Both have to be in `map`, so it need not be looked for in `left`.
            if lower != *name && map.contains_key(&lower) {
                return Err(setting.place.error(format_args!("stands twice: {} is there too", place.at(&lower))));
            }
            left.push((lower, setting));
        }
        Ok(Self { place, left, known: Vec::new() })
    }

    /// Takes one out. `name` is in lower case.
    pub fn take(&mut self, name: &'static str) -> Option<Setting<'a>> {
        self.known.push(name);
        let index = self.left.iter().position(|(given, _)| given == name)?;
        Some(self.left.remove(index).1)
    }

    /// Where an argument stands, or would.
    pub fn place_of(&self, name: &str, setting: Option<&Setting<'_>>) -> Place {
        setting.map_or_else(|| self.place.at(&name.to_uppercase()), |setting| setting.place.clone())
    }

    /// The error that an argument is missing: `why` it has to be there. One in mixed case could be meant.
    pub fn missing(&self, name: &str, why: &str) -> Error {
        let nearly = self.left.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        let hint = match nearly {
            Some((given, _)) => format!("; {given} is neither upper-case nor lower-case, and so passed on as it is"),
            None => String::new(),
        };
        self.place.at(&name.to_uppercase()).error(format_args!("is missing{why}{hint}"))
    }

    /// Takes all that are left out, for what another library takes. Pyot 3 lower-cases these whatever they are; one that
    /// then is an argument of the store itself is there twice for Python.
    pub fn rest(&mut self, lower_all: bool) -> Result<Vec<(String, Setting<'a>)>> {
        let mut rest: Vec<(String, Setting<'a>)> = Vec::with_capacity(self.left.len());
        for (name, setting) in std::mem::take(&mut self.left) {
            let name = if lower_all { name.to_lowercase() } else { name };
            if self.known.contains(&name.as_str()) || rest.iter().any(|(other, _)| *other == name) {
                let what = "is neither upper-case nor lower-case, and Pyot raises a TypeError";
                return Err(setting.place.error(format_args!("{what}; did you mean {}?", name.to_uppercase())));
            }
            rest.push((name, setting));
        }
        Ok(rest)
    }

    /// Refuses what nobody has taken: Python raises a TypeError. `what` it is in words.
    pub fn finish(self, what: &str) -> Result<()> {
        let Some((name, setting)) = self.left.into_iter().next() else { return Ok(()) };
        let known: Vec<String> = self.known.iter().map(|name| name.to_uppercase()).collect();
        let hint = match nearest(&name, known.iter().map(String::as_str)) {
            Some(near) if near.to_lowercase() == name.to_lowercase() => {
                format!("; did you mean {near}? What is neither upper-case nor lower-case is passed on as it is")
            }
            Some(near) => format!("; did you mean {near}?"),
            None => format!("; there are {}", known.join(", ")),
        };
        Err(setting.place.error(format_args!("{what}{hint}")))
    }
}

/// A name that is entirely upper-case in lower case; the others as they are.
pub(super) fn lower(name: &str) -> String {
    if name.to_uppercase() == name { name.to_lowercase() } else { name.to_owned() }
}
