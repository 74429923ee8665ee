//! A value of one store made into what another one stores.

use super::{Store, Value};
use crate::codec::Input;
use crate::error::{Error, Kind, Result};
use crate::stored::Stored;

impl Store {
    /// What to store here for a value of the store `from`, to be written as [`Input::Ready`]. Where both serialise alike
    /// the value is not decoded: see [`Codec::carry`](crate::codec::Codec::carry).
    ///
    /// What HerdClient stores has a soft deadline beside the value. It goes along from one such client to another of the
    /// same package, and is left behind on the way to other stores; a value that comes from another store gets none.
    ///
    /// # Errors
    ///
    /// Those of [`Codec::carry`](crate::codec::Codec::carry); [`Kind::Unsupported`] for what stands beside a soft deadline
    /// and cannot be written without it.
    pub fn carry(&self, from: &Self, value: &Value) -> Result<Stored> {
        let named = |error| self.named("carry", error);
        let has_marker = from.herd.is_some() && value.soft_deadline().is_some();
        let knows_marker = self.herd.is_some() && self.codec.form == from.codec.form;
        if !has_marker || knows_marker {
            return self.codec.carry(&from.codec, &value.kept()).map_err(named);
        }
        value.written_again(|input: Input<'_>| self.codec.encode(input)).unwrap_or_else(|| Err(beside())).map_err(named)
    }
}

fn beside() -> Error {
    let reason = "HerdClient stored the value with a soft deadline, from which larder cannot part it: it holds what JSON \
                  cannot say";
    Error::new(Kind::Unsupported, reason)
}
