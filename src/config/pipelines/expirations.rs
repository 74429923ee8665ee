//! EXPIRATIONS: for how long a store keeps the answers of each endpoint (PY-E).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{TokenForm, duration, tables};
use crate::config::names::nearest;
use crate::config::place::{Place, Report, Setting};
use crate::config::python::int;
use crate::error::Result;

/// No time is longer, so that its milliseconds and its end can be computed (some 146 million years).
const LONGEST: i64 = i64::MAX / 2000;

/// Stands for every endpoint that is not named.
const OTHERS: &str = "*";

/// For how long what is kept (PY-E4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// 0: neither read nor stored.
    Never,
    /// -1: for ever.
    Forever,
    /// So many seconds, 1 at least and some 4.6e15 at most.
    Seconds(i64),
}

impl Expiry {
    /// What a number means; `None` for those that mean nothing.
    fn of(seconds: i64) -> Option<Self> {
        match seconds {
            -1 => Some(Self::Forever),
            0 => Some(Self::Never),
            1..=LONGEST => Some(Self::Seconds(seconds)),
            _ => None,
        }
    }
}

/// Times to live by endpoint. Names are compared as they are written (PY-E2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expirations {
    table: BTreeMap<Box<str>, Expiry>,
    others: Option<Expiry>,
}

impl Expirations {
    /// What counts for an endpoint: its own, else that of `"*"`; `None` where there is neither, which counts as 0 with
    /// a warning in the log (PY-E5).
    pub fn of(&self, method: &str) -> Option<Expiry> {
        self.table.get(method).copied().or(self.others)
    }

    /// The endpoints that have one of their own, sorted; `"*"` is none of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(|name| &**name)
    }

    /// Reads EXPIRATIONS, which stands at `place` where it is there, over the model's own table (PY-E1).
    pub(super) fn read(
        setting: Option<&Setting<'_>>,
        place: &Place,
        model: &str,
        form: TokenForm,
        report: &mut Report,
    ) -> Result<Self> {
        let own = tables::of(model, form);
        let given = match setting.filter(|setting| !setting.value.is_null()) {
            Some(setting) => Some(setting.object(report)?),
            None => None,
        };
        let others = match given.and_then(|given| Setting::of(given, place, OTHERS)) {
            Some(others) => Some(read_one(&others, report)?),
            None => None,
        };
        let mut table = BTreeMap::new();
        for (name, seconds) in own.iter().flatten() {
            // whoever says what all others have means these too (PY-E8)
            if let Some(expiry) = others.or(Expiry::of(*seconds)) {
                table.insert(Box::from(*name), expiry);
            }
        }
        for (name, value) in given.into_iter().flatten().filter(|(name, _)| *name != OTHERS) {
            let inside = Setting { place: place.at(name), value, secret: false };
            if own.is_some() && !table.contains_key(name.as_str()) {
                return Err(unknown(name, model, form, &inside.place, &table)); // PY-E2
            }
            table.insert(Box::from(name.as_str()), read_one(&inside, report)?);
        }
        if others.is_none_or(|others| others == Expiry::Never) && table.values().all(|kept| *kept == Expiry::Never) {
            report.warn(place, "keeps nothing, so this store is never asked: no endpoint has a time to live");
        }
        Ok(Self { table, others })
    }
}

/// The error that a model of Pyot's has no such endpoint.
fn unknown(
    name: &str,
    model: &str,
    form: TokenForm,
    place: &Place,
    table: &BTreeMap<Box<str>, Expiry>,
) -> crate::error::Error {
    let version = match form {
        TokenForm::V3 => 3,
        TokenForm::V6 => 6,
    };
    let in_6 = || form == TokenForm::V3 && tables::of(model, TokenForm::V6).is_some_and(|six| has(&six, name));
    let hint = if in_6() {
        "; Pyot 6 has it (\"PYOT\": 6)".to_owned()
    } else {
        nearest(name, table.keys().map(|known| &**known))
            .map_or_else(String::new, |near| format!("; did you mean {near}?"))
    };
    place.error(format_args!(
        "is not an endpoint of {model} in Pyot {version}{hint} (\"*\" stands for all that are not named, and a model with \
         a name of your own has any endpoint)"
    ))
}

fn has(table: &[(&str, i64)], name: &str) -> bool {
    table.iter().any(|(known, _)| *known == name)
}

/// One time (PY-E3, PY-E4).
fn read_one(setting: &Setting<'_>, report: &mut Report) -> Result<Expiry> {
    let wanted =
        "a number of seconds, 0 (neither read nor stored), -1 (for ever) or a duration such as \"3h\" or \"PT3H\"";
    let (seconds, cut) = match setting.value {
        Value::Number(number) => (int(setting.value), number.as_f64().is_some_and(|float| float.fract() != 0.0)),
        Value::Bool(truth) => (Some(i64::from(*truth)), true), // as in Python
        Value::String(text) => match (int(setting.value), duration::read(text)) {
            (Some(seconds), _) => (Some(seconds), false),
            (None, Some(time)) => (Some(i64::try_from(time.seconds).unwrap_or(i64::MAX)), time.has_fraction),
            (None, None) => (None, false),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => (None, false),
    };
    let Some(seconds) = seconds else { return Err(setting.must_be(wanted, report)) };
    let Some(expiry) = Expiry::of(seconds) else {
        let why = if seconds < 0 {
            "is less than -1: -1 is for ever, 0 neither read nor stored, the rest are seconds" // PY-E4
        } else {
            "is longer than 146 million years; -1 is for ever"
        };
        return Err(setting.place.error(why));
    };
    if cut {
        let shown = report.shown(setting.value);
        let meaning = match expiry {
            Expiry::Never => ", neither read nor stored",
            Expiry::Forever => ", for ever",
            Expiry::Seconds(_) => "",
        };
        report.warn(&setting.place, format_args!("{shown} counts as {seconds}{meaning}, as in Pyot")); // PY-E3
    }
    Ok(expiry)
}
