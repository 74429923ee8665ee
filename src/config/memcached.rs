//! `django.core.cache.backends.memcached` (rules M).

use super::entry::{Built, Entry};
use super::own::Own;
use super::place::Report;
use crate::error::Result;

/// Which Python client a BACKEND stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `PyMemcacheCache`.
    PyMemcache,
    /// `PyLibMCCache`.
    PyLibMc,
}

/// The settings of a memcached alias.
#[derive(Clone, Debug)]
pub struct Memcached {
    /// Whose rules.
    pub client: Client,
}

/// Reads what is this backend's own.
pub(super) fn read(_entry: &Entry<'_>, _own: &Own, client: Client, _report: &mut Report) -> Result<Built> {
    Ok(Built::plain(super::alias::Family::Memcached(Memcached { client })))
}
