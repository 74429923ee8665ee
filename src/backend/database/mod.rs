//! Django's DatabaseCache (contract 1.8): a table that Python processes read and write too.
//!
//! What the databases have in common is here: the SQL ([`dialect`]), times ([`expiry`]), the values' texts ([`row`]), and
//! when to cull ([`census`]). Each kind of database has a file that talks to it.

pub mod census;
pub mod dialect;
pub mod expiry;
mod names;
pub mod row;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod server;
#[cfg(feature = "sqlite-system")]
mod sqlite;

use std::sync::Arc;

use super::{Backend, Habits, IncrBy, Spawner};
use crate::config::{Culling, Database, Engine};
use crate::error::Result;
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

/// What Django does around every database.
#[cfg_attr(not(feature = "sqlite-system"), allow(dead_code))]
const HABITS: Habits = Habits {
    incr: IncrBy::GetThenSet,      // O-3
    incr_version_keeps_ttl: false, // O-4
    none_has_no_version: false,
    counts_seconds: false,
    warns_about_keys: true, // K-6
};

/// The cache of an alias. Never connects.
#[allow(unused_variables, clippy::needless_pass_by_value, reason = "depends on the features")]
pub fn open(
    config: Database,
    bounds: Bounds,
    spawner: &Arc<dyn Spawner>,
    log: &Arc<dyn Log>,
) -> Result<Arc<dyn Backend>> {
    match &config.engine {
        #[cfg(feature = "sqlite-system")]
        Engine::Sqlite(database) => {
            let (table, times, most) = (&config.table, &config.times, config.max_connections);
            Ok(Arc::new(sqlite::Sqlite::open(database.clone(), table, times, most, bounds, spawner.clone())?))
        }
        #[cfg(not(feature = "sqlite-system"))]
        Engine::Sqlite(_) => Err(not_built_in("sqlite")),
        #[cfg(feature = "postgres")]
        Engine::Postgres(postgres) => server::open_postgres(&config, postgres, bounds, spawner),
        #[cfg(not(feature = "postgres"))]
        Engine::Postgres(_) => Err(not_built_in("postgres")),
        #[cfg(feature = "mysql")]
        Engine::MySql(mysql) => server::open_mysql(&config, mysql, bounds, spawner),
        #[cfg(not(feature = "mysql"))]
        Engine::MySql(_) => Err(not_built_in("mysql")),
    }
}

/// An engine whose cargo feature is off.
#[cfg(not(all(feature = "sqlite-system", feature = "postgres", feature = "mysql")))]
fn not_built_in(feature: &str) -> crate::error::Error {
    crate::error::Error::new(crate::error::Kind::Config, format!("larder was built without the feature \"{feature}\""))
}
