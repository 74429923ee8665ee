//! `diskcache.DjangoCache` (contract 1.17).

use std::path::PathBuf;

use super::entry::{Built, Entry};
use super::place::Report;
use crate::error::Result;

/// The settings of a diskcache alias.
#[derive(Clone, Debug)]
pub struct DiskCache {
    /// LOCATION.
    pub directory: PathBuf,
}

/// Reads what is this backend's own.
pub(super) fn read(_entry: &Entry<'_>, _report: &mut Report) -> Result<Built> {
    Ok(Built::plain(super::alias::Family::DiskCache(DiskCache { directory: PathBuf::new() })))
}
