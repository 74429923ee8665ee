//! KEY_FUNCTION: what makes keys (P-6, K-4).

use super::entry::Entry;
use super::names::did_you_mean;
use super::place::Report;
use crate::error::Result;
use crate::key::KeyFunction;

/// Django's own.
const DEFAULT: &str = "django.core.cache.backends.base.default_key_func";
/// The one that changes nothing.
const AS_IS: &str = "larder.as_is";

/// What the setting says.
pub(super) fn read(entry: &Entry<'_>, report: &Report) -> Result<KeyFunction> {
    let Some(setting) = entry.top("KEY_FUNCTION").filter(|setting| !setting.value.is_null()) else {
        return Ok(KeyFunction::Default);
    };
    let own = &entry.beside.plugged.key_functions;
    let name = setting.value.as_str().unwrap_or_default();
    if let Some(name) = own.iter().find(|known| &***known == name) {
        return Ok(KeyFunction::Own(name.clone()));
    }
    match name {
        DEFAULT => Ok(KeyFunction::Default),
        AS_IS => Ok(KeyFunction::AsIs), // K-4
        _ => {
            let known = format!(
                "{DEFAULT:?} or {AS_IS:?} (the key as it is) or a name that the program has registered \
                 (larder_register_key_function does, before the configuration is opened)"
            );
            let error = setting.must_be(&known, report);
            let all: Vec<&str> = own.iter().map(|name| &**name).chain([DEFAULT, AS_IS]).collect();
            let reason = format!("{}{}", error.reason(), did_you_mean(name, &all));
            Err(error.with_reason(reason))
        }
    }
}
