//! Opening an alias: its backend, the form of its values, and which failures it hides.

use std::sync::Arc;

use super::failure::Ignores;
use super::stats::Counters;
use super::{Facts, Herd, Plugins, Store, Surroundings};
use crate::backend::{Backend, Habits, dummy};
use crate::codec::Form;
use crate::config::{Alias, Family, Flavor};
use crate::error::{Error, Kind, Result};

impl Store {
    /// Opens an alias; never connects.
    pub fn open(alias: Alias, around: Surroundings) -> Result<Self> {
        let backend = open_backend(&alias, &around).map_err(|error| error.during("open").on_alias(&alias.name))?;
        let (form, ignores) = manners(&alias, &around.plugins);
        let on_alias = |error: Error| error.during("open").on_alias(&alias.name);
        let codec = around.plugins.codec(&alias, form).map_err(on_alias)?;
        let key_functions = around.plugins.key_functions(&alias).map_err(on_alias)?;
        let head = alias.keys.head(None);
        let herding = match &alias.family {
            Family::Redis(redis) => redis.herd.map(Herd::new),
            _ => None,
        };
        let facts = Arc::new(Facts { codec: codec.clone(), alias: alias.name.clone(), herded: herding.is_some() });
        let counters = Counters::new(alias.name.clone(), measures_all(&alias.family) && backend.near().is_none());
        let habits = backend.habits();
        Ok(Self {
            habits: Habits { warns_about_keys: habits.warns_about_keys && !alias.is_of_pyot, ..habits },
            alias,
            head,
            key_functions,
            backend,
            codec,
            facts,
            spawner: around.spawner,
            log: around.log,
            ignores,
            herd: herding,
            counters: Arc::new(counters),
        })
    }
}

/// How an alias's Python client writes its values, and which failures it hides.
fn manners(alias: &Alias, plugins: &Plugins) -> (Form, Ignores) {
    match &alias.family {
        #[cfg(feature = "diskcache")]
        Family::DiskCache(_) if alias.is_of_pyot => (Form::PyotDisk, Ignores::Nothing),
        _ if alias.is_of_pyot => (Form::Pickle, Ignores::Nothing),
        Family::Redis(redis) => {
            let valkey = redis.flavor == Flavor::DjangoValkey;
            let (form, all) = if valkey {
                (Form::ValkeyNumbers, Ignores::EveryCall)
            } else {
                (Form::RedisIntegers, Ignores::AllButTouch)
            };
            (form, Ignores::all_if(redis.ignore_exceptions, all))
        }
        #[cfg(feature = "memcached")]
        Family::Memcached(memcached) => {
            (memcached_form(memcached), Ignores::all_if(memcached.ignore_exceptions, Ignores::All))
        }
        #[cfg(feature = "diskcache")]
        Family::DiskCache(_) => (Form::DiskCache, Ignores::Nothing),
        // an integer is stored as the digits that the backend counts with
        Family::Plugged(plugged) if plugins.counts(plugged) => (Form::RedisIntegers, Ignores::Nothing),
        _ => (Form::Pickle, Ignores::Nothing),
    }
}

/// Whether an alias's operations wait for a server, a disk or a plug-in, so that looking at the clock costs next to nothing.
fn measures_all(family: &Family) -> bool {
    match family {
        Family::Dummy => false,
        #[cfg(feature = "memory")]
        Family::Memory { .. } | Family::Private { .. } => false,
        _ => true,
    }
}

/// What an alias's Python client writes (M-7).
#[cfg(feature = "memcached")]
fn memcached_form(memcached: &crate::config::Memcached) -> Form {
    match memcached.client {
        crate::config::Client::PyMemcache => Form::PyMemcache { compressed: memcached.compressed },
        crate::config::Client::PyLibMc => Form::PyLibMc,
    }
}

#[cfg_attr(not(any(feature = "memory", feature = "file", feature = "redis")), allow(unused_variables))]
fn open_backend(alias: &Alias, around: &Surroundings) -> Result<Arc<dyn Backend>> {
    Ok(match &alias.family {
        Family::Dummy => Arc::new(dummy::Dummy),
        #[cfg(feature = "memory")]
        Family::Memory { name } => Arc::new(crate::backend::memory::Memory::open(&around.tables, name, alias.culling)),
        #[cfg(feature = "memory")]
        Family::Private { id } => Arc::new(crate::backend::memory::Memory::private(&around.tables, *id, alias.culling)),
        #[cfg(feature = "file")]
        Family::File { directory } => Arc::new(crate::backend::file::File::open(
            directory.clone(),
            alias.culling,
            alias.settings.limits,
            around.spawner.clone(),
        )),
        Family::Plugged(plugged) => around.plugins.backend(alias, plugged, &around.spawner)?,
        #[cfg(feature = "redis")]
        Family::Redis(redis) => crate::backend::redis::open(redis.clone(), around.spawner.clone(), around.log.clone()),
        #[cfg(feature = "memcached")]
        Family::Memcached(memcached) => {
            crate::backend::memcached::open(memcached.clone(), &around.spawner, &around.log)
        }
        #[cfg(any(feature = "sqlite-system", feature = "postgres", feature = "mysql"))]
        Family::Database(database) => {
            let bounds = crate::backend::database::Bounds { culling: alias.culling, limits: alias.settings.limits };
            crate::backend::database::open(database.clone(), bounds, &around.spawner, &around.log)?
        }
        #[cfg(feature = "diskcache")]
        Family::DiskCache(disk) => {
            crate::backend::diskcache::open(disk.clone(), alias.settings.limits, &around.spawner)?
        }
        Family::NotBuiltIn { reason } => return Err(Error::new(Kind::Config, reason.clone())),
        #[allow(unreachable_patterns)]
        _ => return Err(Error::new(Kind::Config, "this backend is not built in: larder was compiled without it")),
    })
}
