//! `django_valkey.cache.ValkeyCache` (1.16).

use super::alias::Family;
use super::entry::{Built, Entry};
use super::own::Own;
use super::place::Report;
use crate::error::Result;

/// Reads what is this backend's own.
pub(super) fn read(entry: &Entry<'_>, _own: &Own, _report: &mut Report) -> Result<Built> {
    let reason = format!("{}: django-valkey is not there yet", entry.place.at("BACKEND"));
    Ok(Built::plain(Family::NotBuiltIn { reason }))
}
