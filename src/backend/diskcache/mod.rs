//! diskcache's DjangoCache (contract 1.17).

use std::sync::Arc;

use super::{Backend, Spawner};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::log::Log;

/// The cache of an alias.
pub fn open(_config: config::DiskCache, _spawner: &Arc<dyn Spawner>, _log: &Arc<dyn Log>) -> Result<Arc<dyn Backend>> {
    Err(Error::new(Kind::Config, "this backend is not in this version of larder"))
}
