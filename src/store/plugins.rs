//! What a program has plugged in, under dotted names, and what an alias takes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::backend::{Backend, OpenBackend, Spawner};
use crate::codec::compress::{Compressor, Method};
use crate::codec::{Codec, Form, Serializer, own};
use crate::config::{self, Alias, CompressorMethod, Config, Family, Plugged, Registered};
use crate::error::{Error, Kind, Result};
use crate::key::{KeyFunction, MakeKey, ReverseKey};

/// What a program has plugged in.
#[derive(Clone, Default)]
pub struct Plugins {
    /// For KEY_FUNCTION and REVERSE_KEY_FUNCTION.
    pub key_functions: BTreeMap<Arc<str>, Arc<dyn MakeKey>>,
    /// For SERIALIZER.
    pub serializers: BTreeMap<Arc<str>, Arc<dyn own::Serialize>>,
    /// For COMPRESSOR.
    pub compressors: BTreeMap<Arc<str>, Arc<dyn own::Compress>>,
    /// For BACKEND.
    pub backends: BTreeMap<Arc<str>, Arc<dyn OpenBackend>>,
}

impl Plugins {
    /// The names, for who reads the configuration.
    pub fn registered(&self) -> Registered {
        Registered {
            key_functions: self.key_functions.keys().cloned().collect(),
            serializers: self.serializers.keys().cloned().collect(),
            compressors: self.compressors.keys().cloned().collect(),
            backends: self.backends.keys().cloned().collect(),
        }
    }

    /// Takes a name back, of every kind; whether anything had it.
    pub fn remove(&mut self, name: &str) -> bool {
        let key_function = self.key_functions.remove(name).is_some();
        let serializer = self.serializers.remove(name).is_some();
        let compressor = self.compressors.remove(name).is_some();
        self.backends.remove(name).is_some() || key_function || serializer || compressor
    }

    /// Those of them that a configuration names.
    #[must_use]
    pub fn named_in(&self, config: &Config) -> Self {
        let mut named = Self::default();
        for alias in &config.aliases {
            if let KeyFunction::Own(name) = &alias.keys.function {
                copy(&self.key_functions, name, &mut named.key_functions);
            }
            if let ReverseKey::Own(name) = &alias.keys.reverse {
                copy(&self.key_functions, name, &mut named.key_functions);
            }
            if let config::Serializer::Own(name) = &alias.serializer {
                copy(&self.serializers, name, &mut named.serializers);
            }
            if let CompressorMethod::Own(name) = &alias.compressor.method {
                copy(&self.compressors, name, &mut named.compressors);
            }
            if let Family::Plugged(plugged) = &alias.family {
                copy(&self.backends, &plugged.name, &mut named.backends);
            }
        }
        named
    }

    /// Whether a plugged-in backend counts in digits.
    pub(super) fn counts(&self, plugged: &Plugged) -> bool {
        self.backends.get(&plugged.name).is_some_and(|backend| backend.counts())
    }

    /// The codec of an alias that stores `form`.
    pub(super) fn codec(&self, alias: &Alias, form: Form) -> Result<Codec> {
        let serializer = match &alias.serializer {
            config::Serializer::Pickle(protocol) => Serializer::Pickle(*protocol),
            config::Serializer::Json => Serializer::Json,
            config::Serializer::MsgPack => Serializer::MsgPack,
            config::Serializer::Own(name) => Serializer::Own(found(&self.serializers, name, "serializer")?),
        };
        Ok(Codec { form, serializer, compressor: self.compressor(&alias.compressor)?, limits: alias.settings.limits })
    }

    fn compressor(&self, config: &config::Compressor) -> Result<Compressor> {
        let mut min_length = config.min_length;
        let method = match &config.method {
            CompressorMethod::Identity => Method::Identity,
            CompressorMethod::Zlib => Method::Zlib,
            CompressorMethod::Gzip => Method::Gzip,
            CompressorMethod::Lzma => Method::Lzma,
            CompressorMethod::Lz4 => Method::Lz4,
            CompressorMethod::Zstd => Method::Zstd,
            CompressorMethod::Bz2 => Method::Bz2,
            CompressorMethod::Brotli => Method::Brotli,
            CompressorMethod::Own(name) => {
                let own = found(&self.compressors, name, "compressor")?;
                min_length = own.min_length();
                Method::Own(own)
            }
        };
        Ok(Compressor { method, min_length, forgives: config.forgives })
    }

    /// The alias's key function and its way back, where they are plugged in.
    pub(super) fn key_functions(&self, alias: &Alias) -> Result<KeyFunctions> {
        let find = |name: &Arc<str>| found(&self.key_functions, name, "key function").map(Some);
        Ok(KeyFunctions {
            make: match &alias.keys.function {
                KeyFunction::Own(name) => find(name)?,
                KeyFunction::Default | KeyFunction::AsIs => None,
            },
            reverse: match &alias.keys.reverse {
                ReverseKey::Own(name) => find(name)?,
                ReverseKey::Exact | ReverseKey::SecondColon => None,
            },
        })
    }

    /// Opens an alias's plugged-in backend.
    pub(super) fn backend(
        &self,
        alias: &Alias,
        plugged: &Plugged,
        spawner: &Arc<dyn Spawner>,
    ) -> Result<Arc<dyn Backend>> {
        found(&self.backends, &plugged.name, "backend")?.open(alias, &plugged.entry, spawner)
    }
}

/// What makes an alias's keys where that is plugged in.
#[derive(Clone, Default)]
pub(super) struct KeyFunctions {
    pub(super) make: Option<Arc<dyn MakeKey>>,
    pub(super) reverse: Option<Arc<dyn MakeKey>>,
}

fn found<T: ?Sized>(registered: &BTreeMap<Arc<str>, Arc<T>>, name: &Arc<str>, noun: &str) -> Result<Arc<T>> {
    registered.get(name).cloned().ok_or_else(|| {
        Error::new(Kind::Config, format!("nobody has registered the {noun} {name:?} with what opens this store"))
    })
}

fn copy<T: ?Sized>(from: &BTreeMap<Arc<str>, Arc<T>>, name: &Arc<str>, to: &mut BTreeMap<Arc<str>, Arc<T>>) {
    if let Some(found) = from.get(name) {
        to.insert(name.clone(), found.clone());
    }
}
