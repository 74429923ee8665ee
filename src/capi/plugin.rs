//! What a program plugs in: key functions, serializers, compressors, backends.

use crate::store::Plugins;

/// What is registered now.
pub(super) fn registered() -> Plugins {
    Plugins::default()
}
