//! The JSON serializer of django-redis: `json.dumps` with Django's encoder, and `json.loads` (DR-13).

use bytes::Bytes;

use super::{read, write};
use crate::codec::Input;
use crate::error::{Error, Kind, Result};
use crate::value::{Limits, Tree};

/// `json.dumps(value, cls=DjangoJSONEncoder).encode()`.
pub fn serialise(input: Input<'_>, limits: &Limits) -> Result<Vec<u8>> {
    match input {
        Input::Json(text) => serialise_tree(&read(text, limits)?, limits),
        _ => Err(Error::new(Kind::Config, "this is not there yet")),
    }
}

/// The same for a tree.
pub fn serialise_tree(tree: &Tree, limits: &Limits) -> Result<Vec<u8>> {
    Ok(write(tree, limits)?.0.into_bytes())
}

/// `json.loads(serialised.decode())`.
pub fn deserialise(serialised: &Bytes, limits: &Limits) -> Result<Tree> {
    read(serialised, limits)
}
