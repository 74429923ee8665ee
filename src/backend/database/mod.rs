//! Django's DatabaseCache (contract 1.8): a table that Python processes read and write too.
//!
//! What the databases have in common is here: the SQL ([`dialect`]), times ([`expiry`]), the values' texts ([`row`]), and
//! when to cull ([`census`]). Each kind of database has a file that talks to it.

// Some of it is for other engines than those of this build.
#[cfg_attr(not(all(feature = "sqlite-system", feature = "postgres", feature = "mysql")), allow(dead_code))]
mod census;
#[cfg_attr(not(all(feature = "sqlite-system", feature = "postgres", feature = "mysql")), allow(dead_code))]
mod dialect;
#[cfg_attr(not(all(feature = "sqlite-system", feature = "postgres", feature = "mysql")), allow(dead_code))]
mod expiry;
#[cfg_attr(not(all(feature = "sqlite-system", feature = "postgres", feature = "mysql")), allow(dead_code))]
mod row;

use std::sync::Arc;

use super::{Backend, Spawner};
use crate::config::{Culling, Database, Engine};
use crate::error::{Error, Kind, Result};
use crate::log::Log;
use crate::value::Limits;

/// What an alias says besides where its table is.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// MAX_ENTRIES and CULL_FREQUENCY.
    pub culling: Culling,
    /// The largest value that is read.
    pub limits: Limits,
}

/// The cache of an alias. Never connects.
#[allow(unused_variables, clippy::needless_pass_by_value, reason = "depends on the features")]
pub fn open(
    config: Database,
    bounds: Bounds,
    spawner: &Arc<dyn Spawner>,
    log: &Arc<dyn Log>,
) -> Result<Arc<dyn Backend>> {
    match config.engine {
        Engine::Sqlite(_) => Err(not_built_in("sqlite")),
        Engine::Postgres(_) => Err(not_built_in("postgres")),
        Engine::MySql(_) => Err(not_built_in("mysql")),
    }
}

/// An engine whose cargo feature is off.
fn not_built_in(feature: &str) -> Error {
    Error::new(Kind::Config, format!("larder was built without the feature \"{feature}\""))
}
