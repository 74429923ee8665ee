//! REVERSE_KEY_FUNCTION: how `larder_keys` finds the user's key in a made one (DR-2).

use super::entry::Entry;
use super::names::did_you_mean;
use super::place::{Place, Report};
use super::python::is_true;
use crate::error::Result;
use crate::key::{KeyFunction, KeyRules, ReverseKey};

/// The names that are always there.
const KNOWN: [(&str, ReverseKey); 3] = [
    ("django_redis.util.default_reverse_key", ReverseKey::SecondColon),
    ("django_valkey.util.default_reverse_key", ReverseKey::SecondColon),
    ("larder.exact", ReverseKey::Exact),
];

/// What the setting says; `rules` are the alias's other rules for keys.
pub(super) fn read(entry: &Entry<'_>, rules: &KeyRules, report: &mut Report) -> Result<ReverseKey> {
    // As in Python, what counts as false is as good as nothing.
    let Some(setting) = entry.top("REVERSE_KEY_FUNCTION").filter(|setting| is_true(setting.value)) else {
        return Ok(default(entry, rules, report));
    };
    let own = &entry.beside.plugged.key_functions;
    let name = setting.text(report)?;
    if let Some(name) = own.iter().find(|known| &***known == name) {
        return Ok(ReverseKey::Own(name.clone()));
    }
    if let Some((_, known)) = KNOWN.iter().find(|(known, _)| *known == name) {
        if *known == ReverseKey::SecondColon {
            warn_of_colons(&setting.place, rules, report);
        }
        return Ok(known.clone());
    }
    let known: Vec<&str> = own.iter().map(|name| &**name).chain(KNOWN.map(|(known, _)| known)).collect();
    let shown = report.shown(setting.value);
    let hint = did_you_mean(name, &known).to_string();
    let hint = if hint.is_empty() { format!("; there are {}", known.join(", ")) } else { hint };
    Err(setting.place.error(format_args!(
        "{shown} is not a reverse key function that larder has, and nobody has registered a key function of this name \
         (larder_register_key_function does, before the configuration is opened){hint}"
    )))
}

/// django-redis's own; but where keys are not made by Django's function it could only be wrong.
fn default(entry: &Entry<'_>, rules: &KeyRules, report: &mut Report) -> ReverseKey {
    match &rules.function {
        KeyFunction::Default => {
            warn_of_colons(&entry.place.at("KEY_PREFIX"), rules, report);
            ReverseKey::SecondColon
        }
        KeyFunction::AsIs => ReverseKey::Exact,
        KeyFunction::Own(name) => ReverseKey::Own(name.clone()),
    }
}

/// Where the keys that are told are not those that were asked for.
fn warn_of_colons(place: &Place, rules: &KeyRules, report: &mut Report) {
    let names: Vec<&str> = [("KEY_PREFIX", &rules.prefix), ("VERSION", &rules.version)]
        .iter()
        .filter(|(_, text)| text.contains(':'))
        .map(|(name, _)| *name)
        .collect();
    if rules.function == KeyFunction::Default && !names.is_empty() {
        report.warn(
            place,
            format_args!(
                "with a colon in {} larder_keys tells wrong keys, as keys() does in Django: what is behind the second \
                 colon; \"REVERSE_KEY_FUNCTION\": \"larder.exact\" tells the right ones",
                names.join(" and ")
            ),
        );
    }
}
