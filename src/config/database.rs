//! `django.core.cache.backends.db.DatabaseCache` (rules DB).

use serde_json::{Map, Value};

use super::entry::{Built, Entry};
use super::own::Own;
use super::place::Report;
use crate::error::Result;

/// The settings of a database alias.
#[derive(Clone, Debug)]
pub struct Database {
    /// LOCATION (DB-1).
    pub table: String,
}

/// Reads what is this backend's own; `siblings` is what stands beside CACHES.
pub(super) fn read(
    _entry: &Entry<'_>,
    _own: &Own,
    _siblings: &Map<String, Value>,
    _report: &mut Report,
) -> Result<Built> {
    Ok(Built::plain(super::alias::Family::Database(Database { table: String::new() })))
}
