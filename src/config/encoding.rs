//! SERIALIZER, COMPRESSOR and PICKLE_VERSION in OPTIONS: who makes bytes of values, and who makes them fewer (DR-10 to
//! DR-13).

use super::alias::{Compressor, CompressorMethod, Serializer};
use super::class::Chosen;
use super::django_redis::{Kind, Package};
use super::entry::Entry;
use super::place::Report;
use super::python::int;
use crate::error::Result;

/// What the three say.
pub(super) struct Encoding {
    /// Who makes bytes of values.
    pub serializer: Serializer,
    /// Who makes them fewer.
    pub compressor: Compressor,
    /// Why larder cannot do what one of them does.
    pub lacking: Option<String>,
}

impl Encoding {
    /// Reads them, by the names of `package` and those that the program has registered. Where nothing is said it is
    /// pickles of protocol `default`.
    pub fn read(entry: &Entry<'_>, package: &Package, default: u8, report: &Report) -> Result<Self> {
        let mut read = Self {
            serializer: Serializer::Pickle(protocol(entry, default, report)?),
            compressor: Compressor::default(),
            lacking: None,
        };
        let plugged = &entry.beside.plugged;
        if let Some(setting) = entry.option("SERIALIZER") {
            match package.serializers.choose(&setting, &plugged.serializers, report)? {
                Chosen::Known(Kind::Pickle) => {}
                Chosen::Known(Kind::Json) => read.serializer = Serializer::Json,
                Chosen::Known(Kind::MsgPack) => read.serializer = Serializer::MsgPack,
                Chosen::Own(name) => read.serializer = Serializer::Own(name),
                Chosen::Lacking(reason) => read.lacking = Some(reason),
            }
        }
        if let Some(setting) = entry.option("COMPRESSOR") {
            match package.compressors.choose(&setting, &plugged.compressors, report)? {
                Chosen::Known((method, min_length)) => {
                    read.compressor = Compressor { method, min_length, forgives: package.forgives };
                }
                Chosen::Own(name) => read.compressor.method = CompressorMethod::Own(name),
                Chosen::Lacking(reason) => read.lacking = read.lacking.or(Some(reason)),
            }
        }
        Ok(read)
    }
}

/// PICKLE_VERSION: `int(x)`; negative numbers are the highest protocol.
fn protocol(entry: &Entry<'_>, default: u8, report: &Report) -> Result<u8> {
    let Some(setting) = entry.option("PICKLE_VERSION") else { return Ok(default) };
    let number = int(setting.value).filter(|number| *number <= 5);
    let number = number.ok_or_else(|| setting.must_be("a whole number from -1 to 5", report))?;
    Ok(u8::try_from(number).unwrap_or(5))
}
